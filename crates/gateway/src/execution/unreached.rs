//! Who is left out of the next attempt where members say that they do not reach each other.
//!
//! Of two that do not reach each other either may be cut off, and either may lie. Whoever is in most such pairs goes, then
//! whoever is in most of those that are left: one that reaches nobody, or says so of everybody, goes alone.

use std::collections::{BTreeMap, BTreeSet};

use tacit_job::Job;
use tacit_model::Fingerprint;

use super::words::Names;

#[cfg(test)]
mod tests;

/// Who said that it does not reach whom.
#[derive(Default)]
pub(super) struct Unreached(BTreeSet<(Fingerprint, Fingerprint)>);

impl Unreached {
    /// Whether it names anybody of the job.
    pub(super) fn note(&mut self, by: &Fingerprint, members: &[Fingerprint], job: &Job) -> bool {
        let all = job.members();
        let before = self.0.len();
        let others = members.iter().filter(|member| *member != by && all.contains(member));
        self.0.extend(others.map(|member| (*by, *member)));
        self.0.len() > before
    }

    /// Whom to leave out, ascending: these, who are gone anyhow, and of the others as few as there is a pair.
    pub(super) fn left_out(mut self, gone: Vec<Fingerprint>, job: &Job, names: &Names<'_>) -> Vec<Fingerprint> {
        let mut out: BTreeSet<Fingerprint> = gone.into_iter().collect();
        loop {
            self.0.retain(|(by, whom)| !out.contains(by) && !out.contains(whom));
            let Some(worst) = self.worst(job, names) else { return out.into_iter().collect() };
            out.insert(worst);
        }
    }

    /// Who is in most pairs. What others say of a member that does not say it of them counts only where it is said by more
    /// operators than may lie. Of several members it is one that only gives, since all others need those who compute; then
    /// one that says it of members who do not say it, too.
    fn worst(&self, job: &Job, names: &Names<'_>) -> Option<Fingerprint> {
        let mut all: BTreeMap<Fingerprint, Said> = BTreeMap::new();
        for (by, whom) in &self.0 {
            all.entry(*by).or_default().names.insert(*whom);
            all.entry(*whom).or_default().named_by.insert(*by);
        }
        let weight = |member: &Fingerprint, said: &Said| {
            let believed = names.operators(&said.named_by) > names.may_lie();
            let partners = if believed { said.names.union(&said.named_by).count() } else { said.names.len() };
            let alone = said.names.difference(&said.named_by).count();
            (partners, !job.compute.contains(member), alone, *member)
        };
        all.iter().map(|(member, said)| weight(member, said)).max().map(|(.., member)| member)
    }
}

/// What one member says of others, and they of it.
#[derive(Default)]
struct Said {
    names: BTreeSet<Fingerprint>,
    named_by: BTreeSet<Fingerprint>,
}
