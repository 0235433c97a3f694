//! Whom a computation goes on without, and who of them is asked again.
//!
//! Who declined stays out. Who was lost and has come back over a new link since is asked once more, where the others are
//! too few: once, so that one that comes and goes cannot use up the attempts of all.

use std::collections::{BTreeMap, BTreeSet};

use tacit_model::Fingerprint;

use crate::directory::{Directory, Present};

/// Members that a computation goes on without.
#[derive(Default)]
pub(crate) struct LeftOut {
    members: BTreeSet<Fingerprint>,
    /// Over which link each was asked last.
    links: BTreeMap<Fingerprint, u64>,
    /// Who was let back already.
    again: BTreeSet<Fingerprint>,
}

impl LeftOut {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn contains(&self, member: &Fingerprint) -> bool {
        self.members.contains(member)
    }

    pub(crate) fn extend(&mut self, members: impl IntoIterator<Item = Fingerprint>) {
        self.members.extend(members);
    }

    /// These are asked again, whyever they were left out.
    pub(crate) fn take_back(&mut self, members: &[Fingerprint]) {
        self.members.retain(|member| !members.contains(member));
    }

    /// These are about to be asked.
    pub(crate) fn asking(&mut self, members: &[Fingerprint], directory: &Directory) {
        let link = |member: &Fingerprint| directory.present(member).map(|present| (*member, present.link));
        self.links.extend(members.iter().filter_map(link));
    }

    /// Those who have come back since they were asked, and are ready, are asked once more. Whether there are any.
    pub(crate) fn let_back(&mut self, directory: &Directory, ready: impl Fn(&Present) -> bool) -> bool {
        let back = |member: &Fingerprint| {
            directory.present(member).is_some_and(|now| self.is_new(member, &now) && ready(&now))
        };
        let back: Vec<Fingerprint> = self.may_come().filter(|member| back(member)).copied().collect();
        self.take_back(&back);
        self.again.extend(&back);
        !back.is_empty()
    }

    /// Whether somebody was lost who may come back, or has come and is not ready yet.
    pub(crate) fn waits(&self, directory: &Directory) -> bool {
        self.may_come().any(|member| directory.present(member).is_none_or(|now| self.is_new(member, &now)))
    }

    fn may_come(&self) -> impl Iterator<Item = &Fingerprint> {
        self.members.difference(&self.again)
    }

    fn is_new(&self, member: &Fingerprint, now: &Present) -> bool {
        self.links.get(member).is_some_and(|asked| *asked != now.link)
    }
}
