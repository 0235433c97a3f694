//! One member of a group does what the fuzzer wants; the others are honest.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use arbitrary::Arbitrary;
use tacit_engine::simulator::SplitMix;
use tacit_engine::{
    Ended, OnMissing, Outcome, Plan, PlanRequest, SecurityModel, SessionError, Sharing, SimulatedEnvironment,
    Simulator, run,
};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

/// The largest input that an honest member gives.
const MAX_ELEMENT: u64 = 1000;

/// A group and the member of it that is hostile.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub struct Group {
    size: u8,
    /// Input peers and compute peers are apart.
    delegated: bool,
    proceed: bool,
    additive: bool,
    wide_field: bool,
    cheater: u8,
    seed: u8,
}

/// What the hostile member does with its messages.
#[derive(Arbitrary, Debug, Clone)]
pub enum Cheat {
    /// It follows the protocol and changes some of what it sends.
    Rewrite(Vec<Change>),
    /// It sends this and reads nothing.
    Raw(Vec<Message>),
}

/// A message to a member.
#[derive(Arbitrary, Debug, Clone)]
pub struct Message {
    to: u8,
    body: Vec<u8>,
}

/// A change of the message that comes after `skip` unchanged ones.
#[derive(Arbitrary, Debug, Clone)]
pub struct Change {
    skip: u8,
    how: How,
}

/// How a message is changed.
#[derive(Arbitrary, Debug, Clone)]
pub enum How {
    Drop,
    Truncate(u16),
    Extend(Vec<u8>),
    Overwrite {
        at: u16,
        with: Vec<u8>,
    },
    FromTheEnd {
        at: u8,
        with: u8,
    },
    Replace(Vec<u8>),
    /// Another message that was sent before.
    Repeat(u8),
}

/// Applies changes to one message after the other.
pub struct Changer {
    left: std::vec::IntoIter<Change>,
    next: Option<Change>,
    sent: Vec<Vec<u8>>,
    /// How many were changed, and whether one was dropped.
    pub tally: Rc<Cell<(usize, bool)>>,
}

impl Changer {
    pub fn new(changes: Vec<Change>) -> Self {
        let mut left = changes.into_iter();
        let next = left.next();
        Self { left, next, sent: Vec::new(), tally: Rc::default() }
    }

    /// The message as it leaves.
    pub fn apply(&mut self, message: Vec<u8>) -> Option<Vec<u8>> {
        if self.sent.len() < 64 {
            self.sent.push(message.clone());
        }
        match &mut self.next {
            None => return Some(message),
            Some(change) if change.skip > 0 => {
                change.skip -= 1;
                return Some(message);
            }
            Some(_) => {}
        }
        let change = std::mem::replace(&mut self.next, self.left.next())?;
        let changed = change.how.apply(message.clone(), &self.sent);
        let (changes, dropped) = self.tally.get();
        self.tally.set((changes + usize::from(changed.as_ref() != Some(&message)), dropped || changed.is_none()));
        changed
    }
}

impl How {
    fn apply(self, mut message: Vec<u8>, sent: &[Vec<u8>]) -> Option<Vec<u8>> {
        match self {
            Self::Drop => return None,
            Self::Truncate(length) => message.truncate(usize::from(length)),
            Self::Extend(more) => message.extend(more),
            Self::Overwrite { at, with } => {
                for (byte, with) in message.iter_mut().skip(usize::from(at)).zip(with) {
                    *byte = with;
                }
            }
            Self::FromTheEnd { at, with } => {
                if let Some(byte) = message.iter_mut().rev().nth(usize::from(at)) {
                    *byte = with;
                }
            }
            Self::Replace(with) => message = with,
            Self::Repeat(which) => message = sent.get(usize::from(which)).cloned().unwrap_or(message),
        }
        Some(message)
    }
}

/// Runs a session of vectors of this length and checks what holds whatever the hostile member does: nobody
/// panics, no honest member is blamed, and nothing but its own contribution is changed by one who only gives
/// data.
pub fn session(group: Group, cheat: Cheat, items: usize) {
    let request = group.request(items);
    let members = request.members.len();
    let cheater = usize::from(group.cheater) % members;
    let seed = u64::from(group.seed);
    let mut random = SplitMix::new(seed);
    let inputs: Vec<Option<Vec<u64>>> = (0..members)
        .map(|member| {
            let vector = || (0..items).map(|_| random.below(MAX_ELEMENT + 1)).collect();
            request.inputs.contains(&member).then(vector)
        })
        .collect();
    let plan = Plan::build(request).expect("the plan is right");
    let nonces = vec![[0; 32]; members];
    let mut simulator: Simulator<'_, Result<Outcome, SessionError>> = Simulator::new(members, seed);
    for member in 0..members {
        let mailbox = simulator.mailbox(member);
        let mut environment = SimulatedEnvironment::new(seed, member);
        let input = inputs[member].clone().map(Into::into);
        let (plan, nonces) = (&plan, &nonces);
        simulator.spawn(member, async move { run(plan, member, &mailbox, &mut environment, nonces, input).await });
    }
    let mut tally = Rc::new(Cell::new((usize::MAX, true)));
    match cheat {
        Cheat::Rewrite(changes) => {
            let mut changer = Changer::new(changes);
            tally = changer.tally.clone();
            simulator.rewrite(cheater, move |_, message| changer.apply(message));
        }
        Cheat::Raw(messages) => {
            let mailbox = simulator.mailbox(cheater);
            simulator.spawn(cheater, async move {
                for message in messages {
                    mailbox.send(usize::from(message.to) % members, message.body);
                }
                Err(SessionError::Crypto)
            });
        }
    }
    let ends = simulator.run();
    drop(simulator);

    let (changes, dropped) = tally.get();
    let sum_of = |contributors: &[usize], item: usize| -> u128 {
        contributors.iter().filter_map(|m| inputs[*m].as_ref()).map(|v| u128::from(v[item])).sum()
    };
    let mut seen: Option<(Vec<usize>, Vec<u128>)> = None;
    for (member, end) in ends.into_iter().enumerate().filter(|(member, _)| *member != cheater) {
        let Ended::Finished(end) = end else { panic!("member {member} did not end") };
        let outcome = match end {
            Ok(outcome) => outcome,
            Err(SessionError::PeerMisbehaved { member: blamed, .. }) => {
                assert_eq!(blamed, cheater, "member {member} blames an honest one");
                continue;
            }
            Err(SessionError::OwnInput(_) | SessionError::WrongCall { .. } | SessionError::Crypto) => {
                panic!("member {member} blames itself")
            }
            Err(_) => continue,
        };
        let Some(values) = outcome.values else { continue };
        let exact = (0..items).all(|item| values[item] == sum_of(&outcome.contributors, item));
        // Summands have no redundancy.
        if changes <= 1 && !dropped && !group.additive {
            assert!(exact, "one changed message changed the result of member {member}");
        }
        // A hostile compute peer may bring down honest ones, and with them the spare shares.
        if plan.compute().binary_search(&cheater).is_err() {
            assert!(exact || outcome.contributors.contains(&cheater), "member {member} has a wrong sum");
            let most = outcome.contributors.len() as u128 * u128::from(plan.max_element());
            assert!(values.iter().all(|value| *value <= most), "member {member} has a sum out of range");
            let here = (outcome.contributors, values);
            assert_eq!(*seen.get_or_insert_with(|| here.clone()), here, "two results");
        }
    }
}

impl Group {
    fn request(&self, items: usize) -> PlanRequest {
        let n = 3 + usize::from(self.size) % 5;
        let givers = if self.delegated { 2 + usize::from(self.size) / 5 % 2 } else { 0 };
        let members = n + givers;
        let apart: Vec<usize> = if self.delegated { (n..members).collect() } else { (0..n).collect() };
        let fingerprint = |member: usize| {
            let mut bytes = [member as u8 + 1; 32];
            bytes[31] = self.seed;
            Fingerprint(bytes)
        };
        let threshold = (n - 1) / 2;
        PlanRequest {
            session: SessionId([5; 16]),
            attempt: Attempt(0),
            slot: Slot(0),
            charter: [1; 32],
            task: [2; 32],
            aggregator: "sum".to_owned(),
            aggregator_version: 1,
            parameters: BTreeMap::new(),
            sharing: if self.additive { Sharing::Additive } else { Sharing::Shamir { threshold } },
            charter_threshold: threshold,
            charter_compute: n,
            model: SecurityModel::SemiHonest,
            items,
            max_element: if self.wide_field { u64::MAX } else { MAX_ELEMENT },
            modulus: None,
            members: (0..members).map(fingerprint).collect(),
            inputs: apart.clone(),
            compute: (0..n).collect(),
            recipients: apart,
            on_missing: if self.proceed { OnMissing::Proceed { min: 2 } } else { OnMissing::Fail },
        }
    }
}
