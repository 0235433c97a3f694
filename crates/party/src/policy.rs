//! What a peer is willing to take part in. Its own operator decides; the gateway learns only "no".

mod budget;
mod entries;
mod governing;
mod ranges;
mod tasks;

pub use tasks::TaskRefusal;

pub(crate) use budget::{QUEUE, delta_text};
pub(crate) use governing::{Governing, check};
pub(crate) use tasks::{Asked, Unread, freezes, is_late};

use std::collections::BTreeSet;

use tacit_accord::{Charter, OnMissingInput};
use tacit_job::Job;
use tacit_model::Fingerprint;
use tacit_model::api::PeerPolicy;

use crate::PartyError;

/// The peer's own rules and the limits of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What its operator decides.
    pub rules: PeerPolicy,
    /// So many sessions may be open at once. A node's limit.
    pub max_sessions: usize,
    /// So many rows may wait for their slots. A node's limit.
    pub max_queued_rows: u64,
}

/// Why a job is against the policy. For the owner of the peer only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyRefusal {
    /// Too few who compute.
    #[error("{found} operators compute in this group, this peer's policy wants at least {wanted}")]
    FewComputing {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// Too few who give data.
    #[error("{found} members would give data, this peer's policy wants at least {wanted}")]
    FewInputs {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// An aggregator that is not on the list.
    #[error("the aggregator {0:?} is not one that this peer's policy allows")]
    Aggregator(String),
    /// A security model that is not on the list.
    #[error("the security model {0} is not one that this peer's policy allows")]
    Model(String),
    /// Shares would go to somebody whom the operator has not verified.
    #[error("{name:?} ({fingerprint}) would get shares and was not verified by this peer's operator")]
    NotVerified {
        /// The member's name in the charter.
        name: String,
        /// Its certificate.
        fingerprint: Fingerprint,
    },
    /// The own data would hide among data of strangers only.
    #[error("{found} verified members would give data beside strangers, this peer's policy wants at least {wanted}")]
    FewVerifiedInputs {
        /// How many there are, this peer included.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
}

impl Default for Policy {
    fn default() -> Self {
        PeerPolicy::default().into()
    }
}

impl From<PeerPolicy> for Policy {
    fn from(rules: PeerPolicy) -> Self {
        Self { rules, max_sessions: 8, max_queued_rows: 100_000 }
    }
}

impl core::ops::Deref for Policy {
    type Target = PeerPolicy;

    fn deref(&self) -> &PeerPolicy {
        &self.rules
    }
}

impl core::ops::DerefMut for Policy {
    fn deref_mut(&mut self) -> &mut PeerPolicy {
        &mut self.rules
    }
}

impl Policy {
    /// Whether it can be meant; the texts are those that an owner reads who sets such a policy.
    pub fn check(&self) -> Result<(), PartyError> {
        check(&self.rules)
    }

    /// Whether `me` takes part in this job under this charter.
    pub fn judge(&self, me: &Fingerprint, job: &Job, charter: &Charter) -> Result<(), PolicyRefusal> {
        let allowed = self.aggregators.is_empty() || self.aggregators.contains(&job.task.aggregator);
        if !allowed {
            return Err(PolicyRefusal::Aggregator(job.task.aggregator.clone()));
        }
        let model = job.task.model();
        if !self.models.is_empty() && !self.models.iter().any(|allowed| allowed == model) {
            return Err(PolicyRefusal::Model(model.to_owned()));
        }
        let found = computing_operators(charter);
        if found < self.min_computing {
            return Err(PolicyRefusal::FewComputing { found, wanted: self.min_computing });
        }
        let found = fewest_inputs(job);
        // So many may be lost before the freeze without ending the session.
        let spare = job.inputs.len() - found;
        if found < self.min_inputs {
            return Err(PolicyRefusal::FewInputs { found, wanted: self.min_inputs });
        }
        if self.verified_only { self.judge_strangers(me, job, charter, spare) } else { Ok(()) }
    }

    fn judge_strangers(
        &self,
        me: &Fingerprint,
        job: &Job,
        charter: &Charter,
        spare: usize,
    ) -> Result<(), PolicyRefusal> {
        let known = |member: &&Fingerprint| **member == *me || self.verified.contains(*member);
        if let Some(stranger) = job.compute.iter().find(|member| !known(member)) {
            let name = charter.member(stranger).map(|member| member.name.clone()).unwrap_or_default();
            return Err(PolicyRefusal::NotVerified { name, fingerprint: *stranger });
        }
        // k input peers together learn the sum of the rest: strangers do not count as company.
        let found = job.inputs.iter().filter(known).count().saturating_sub(spare);
        if job.inputs.contains(me) && found < self.min_inputs {
            return Err(PolicyRefusal::FewVerifiedInputs { found, wanted: self.min_inputs });
        }
        Ok(())
    }
}

/// With how few of the input peers that it names the session of a job still goes on.
fn fewest_inputs(job: &Job) -> usize {
    match job.task.on_missing_input {
        OnMissingInput::Proceed(min) => job.inputs.len().min(usize::try_from(min).unwrap_or(usize::MAX)),
        OnMissingInput::Wait | OnMissingInput::Fail => job.inputs.len(),
    }
}

/// The threshold counts operators, not processes; only a group for trying out counts processes.
fn computing_operators(charter: &Charter) -> usize {
    if charter.test_mode {
        return charter.computing().count();
    }
    charter.computing().map(|member| member.operator.as_str()).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use tacit_accord::{Member, MemberRole};
    use tacit_job::{Source, Task};
    use tacit_model::{Attempt, GroupId, RunId, SessionId, Slot};

    use super::*;

    fn who(number: u8) -> Fingerprint {
        Fingerprint([number; 32])
    }

    /// Members 0 and 1 give, 2 to 4 compute, each with its own operator.
    fn scene() -> (Charter, Job) {
        let member = |number: u8| Member {
            name: format!("m{number}"),
            fingerprint: who(number),
            operator: format!("o{number}"),
            role: if number < 2 { MemberRole::Input } else { MemberRole::Privacy },
            endpoint: String::new(),
        };
        let members = (0..5).map(member).collect();
        let charter = Charter { members, ..Charter::new(GroupId(1), "g", String::new()) };
        let task = Task {
            purpose: String::new(),
            source: Source::Queue,
            aggregator: "sum".to_owned(),
            items: 1,
            max_element: "1".to_owned(),
            modulus: None,
            on_missing_input: OnMissingInput::Fail,
            parameters: Default::default(),
        };
        let job = Job {
            session: SessionId([0; 16]),
            group: GroupId(1),
            charter: tacit_accord::ConsensusId([0; 32]),
            run: RunId(1),
            slot: Slot(0),
            attempt: Attempt(0),
            task,
            inputs: vec![who(0), who(1)],
            compute: vec![who(2), who(3), who(4)],
            recipients: vec![who(0)],
        };
        (charter, job)
    }

    #[test]
    fn p29_too_few_are_refused_and_operators_count() {
        let (mut charter, mut job) = scene();
        let policy = Policy::default();
        assert_eq!(policy.judge(&who(0), &job, &charter), Ok(()));
        // A lost member does not lower the threshold.
        job.compute.pop();
        assert_eq!(policy.judge(&who(0), &job, &charter), Ok(()));
        charter.members[4].operator = "o3".to_owned();
        let few = PolicyRefusal::FewComputing { found: 2, wanted: 3 };
        assert_eq!(policy.judge(&who(0), &job, &charter), Err(few));
        charter.test_mode = true;
        assert_eq!(policy.judge(&who(0), &job, &charter), Ok(()));
        job.task.on_missing_input = OnMissingInput::Proceed(1);
        let few = PolicyRefusal::FewInputs { found: 1, wanted: 2 };
        assert_eq!(policy.judge(&who(0), &job, &charter), Err(few));
        let strict = Policy::from(PeerPolicy { models: vec!["malicious".to_owned()], ..PeerPolicy::default() });
        let other = PolicyRefusal::Model("semi-honest".to_owned());
        assert_eq!(strict.judge(&who(0), &job, &charter), Err(other));
        let policy = Policy::from(PeerPolicy { aggregators: vec!["mean".to_owned()], ..policy.rules });
        assert_eq!(policy.judge(&who(0), &job, &charter), Err(PolicyRefusal::Aggregator("sum".to_owned())));
    }

    #[test]
    fn rule1_strangers_get_no_shares_and_are_no_company() {
        let (charter, job) = scene();
        let rules = PeerPolicy { verified_only: true, verified: (1..4).map(who).collect(), ..PeerPolicy::default() };
        let mut policy = Policy::from(rules);
        let stranger = PolicyRefusal::NotVerified { name: "m4".to_owned(), fingerprint: who(4) };
        assert_eq!(policy.judge(&who(0), &job, &charter), Err(stranger));
        policy.verified.insert(who(4));
        assert_eq!(policy.judge(&who(0), &job, &charter), Ok(()));
        policy.verified.remove(&who(1));
        let alone = PolicyRefusal::FewVerifiedInputs { found: 1, wanted: 2 };
        assert_eq!(policy.judge(&who(0), &job, &charter), Err(alone));
    }
}
