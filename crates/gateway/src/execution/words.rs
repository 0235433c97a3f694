//! What the reports of an attempt mean, in words for the operator. They name members, never data, and blame nobody
//! whom an honest member does not blame.

use std::collections::{BTreeMap, BTreeSet};

use tacit_accord::Charter;
use tacit_job::{Fault, Job};
use tacit_model::Fingerprint;

/// The members' names for texts to the operator.
pub(super) struct Names<'a>(pub(super) &'a Charter);

impl Names<'_> {
    pub(super) fn of(&self, member: &Fingerprint) -> String {
        self.0.member(member).map_or_else(|| member.short(), |m| m.name.clone())
    }

    pub(super) fn all<'f>(&self, members: impl IntoIterator<Item = &'f Fingerprint>) -> String {
        members.into_iter().map(|m| self.of(m)).collect::<Vec<_>>().join(", ")
    }

    /// How many operators these members belong to: members of one operator are one voice.
    pub(super) fn operators<'f>(&self, members: impl IntoIterator<Item = &'f Fingerprint>) -> usize {
        members.into_iter().map(|member| self.operator(member)).collect::<BTreeSet<_>>().len()
    }

    /// Who runs a member.
    pub(super) fn operator(&self, member: &Fingerprint) -> Option<&str> {
        self.0.member(member).map(|m| m.operator.as_str())
    }

    /// How many operators may be corrupted.
    pub(super) fn may_lie(&self) -> usize {
        self.0.threshold as usize
    }
}

/// What members say against others, by whom it is said.
#[derive(Default)]
pub(super) struct Accused(BTreeMap<String, Vec<Fingerprint>>);

impl Accused {
    pub(super) fn note(&mut self, by: Fingerprint, what: String) {
        self.0.entry(what).or_default().push(by);
    }

    pub(super) fn texts(self, job: &Job, names: &Names<'_>) -> Vec<String> {
        self.0.into_iter().map(|(what, by)| attributed(&what, &by, job, names)).collect()
    }
}

/// Whether more compute peers say it than may lie: then an honest one does. Each has an operator of its own.
fn backed(by: &[Fingerprint], job: &Job, names: &Names<'_>) -> bool {
    by.iter().filter(|member| job.compute.contains(member)).count() > names.may_lie()
}

/// An accusation as a fact if it is one, otherwise as the word of those who make it, so that they frame nobody.
fn attributed(what: &str, by: &[Fingerprint], job: &Job, names: &Names<'_>) -> String {
    match backed(by, job, names) {
        true => what.to_owned(),
        false if by.len() == 1 => format!("{} says that {what}", names.all(by)),
        false => format!("{} say that {what}", names.all(by)),
    }
}

/// The most telling fault, in words. Names members, never data.
pub(super) fn explain(faults: &[(Fingerprint, &Fault)], lost: &[Fingerprint], job: &Job, names: &Names<'_>) -> String {
    let saying = |fault: &Fault| -> Vec<Fingerprint> {
        faults.iter().filter(|(_, other)| *other == fault).map(|(member, _)| *member).collect()
    };
    let weight = |fault: &Fault| match fault {
        // Before the reason that its offender gives.
        Fault::OutOfBounds { .. } if backed(&saying(fault), job, names) => 0,
        Fault::Apart { .. } if backed(&saying(fault), job, names) => 0,
        Fault::Own => 1,
        Fault::Range => 2,
        Fault::OutOfBounds { .. } => 3,
        Fault::Disputed { .. } => 4,
        Fault::Misbehaved { .. } => 5,
        Fault::Equivocated => 6,
        Fault::MissingInput { .. } => 7,
        Fault::Shares => 8,
        Fault::FewShares => 9,
        Fault::Lost { .. } => 10,
        _ => 11,
    };
    let Some((member, fault)) = faults.iter().min_by_key(|(_, fault)| weight(fault)) else {
        return format!("{} did not report in time", names.all(lost));
    };
    match fault {
        Fault::OutOfBounds { .. } | Fault::Disputed { .. } | Fault::Equivocated | Fault::Misbehaved { .. } => {
            attributed(&words(fault, names), &saying(fault), job, names)
        }
        Fault::Own => format!("{} had a reason of its own; its owner sees it", names.of(member)),
        _ => words(fault, names),
    }
}

/// What a fault means, whoever reports it.
pub(super) fn words(fault: &Fault, names: &Names<'_>) -> String {
    match fault {
        Fault::Range => "the result is not below the declared field".to_owned(),
        Fault::Misbehaved { member } => format!("{} broke the protocol", names.of(member)),
        Fault::OutOfBounds { members } => format!("numbers of {} are out of bounds", names.all(members)),
        Fault::Disputed { members } => format!(
            "what the compute peers hold of {} does not fit together, by its fault or by that of one of them",
            names.all(members)
        ),
        Fault::Equivocated => "some compute peer told the others different things; which one is not known".to_owned(),
        Fault::MissingInput { members } => format!("{} gave no input that counts", names.all(members)),
        Fault::Shares => "the shares of the opening disagree".to_owned(),
        Fault::FewShares => "too few shares arrived for the opening".to_owned(),
        Fault::Lost { members } => format!("{} was lost", names.all(members)),
        Fault::Order => "a step was out of order".to_owned(),
        Fault::Apart { missing, until } => {
            let who = match missing.as_slice() {
                [] => "somebody is new".to_owned(),
                missing => format!("{} gave to it and is not in this one", names.all(missing)),
            };
            format!(
                "the result would make a difference with an earlier one over some of the same records: {who}; windows that \
                 begin at {until} or later are free"
            )
        }
        _ => "the session ran out of time".to_owned(),
    }
}
