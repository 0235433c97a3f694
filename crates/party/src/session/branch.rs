//! This party's part in tasks over branches.
//!
//! A compute peer of a branch is two parties of one node: one in the branch's own group, one in the group above. Asked
//! above, the second has the branch's gateway compute the branch's part, in which the first keeps its share of the
//! total; then the second gives that share as its input. Neither gateway sees it, and it never touches the disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tacit_engine::Carried;
use tacit_job::{Ask, Decline, Job, Request, Response, task_id};
use tacit_model::api::PeerPolicy;
use tacit_model::{Fingerprint, SessionId};

use super::prepare::{Declined, verify};
use crate::PartyError;
use crate::party::Inner;
use crate::policy::{Policy, TaskRefusal};
use crate::source::Row;

/// A branch has so long for its part, beside what its owners may take to approve.
const PART: Duration = Duration::from_secs(45);
/// Shares that nobody came for are let go after so long.
const KEPT: Duration = Duration::from_secs(300);
/// So many totals are kept at once; then the oldest goes.
const MOST: usize = 256;
/// And so many words of them all: 256 MiB.
const ROOM: usize = 1 << 25;

/// The parties of a node, for each other.
#[derive(Clone, Default)]
pub struct Siblings(Arc<Mutex<BTreeMap<String, Weak<Inner>>>>);

impl Siblings {
    pub(crate) fn add(&self, party: &Arc<Inner>) {
        let mut parties = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parties.insert(party.name.clone(), Arc::downgrade(party));
    }

    /// The party of this name, if it can be the branch of this one.
    fn below(&self, party: &Inner, name: &str) -> Option<Arc<Inner>> {
        let below = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name)?.upgrade()?;
        is_below(party, &below).then_some(below)
    }

    /// The names of all that can be the branch of this one.
    fn all_below(&self, party: &Inner) -> Vec<String> {
        let parties: Vec<_> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(Weak::upgrade).collect();
        parties.iter().filter(|below| is_below(party, below)).map(|below| below.name.clone()).collect()
    }
}

/// A branch is another group than the one above.
fn is_below(party: &Inner, below: &Inner) -> bool {
    below.group != party.group || below.gateway != party.gateway
}

/// Refuses a policy that newly names a branch that is not here. One that it has named before may have left: the other rules
/// can be changed all the same.
pub(crate) fn check_branch(party: &Inner, policy: &PeerPolicy) -> Result<(), PartyError> {
    let Some(name) = policy.branch.first() else { return Ok(()) };
    if party.policy().branch == policy.branch || party.siblings.below(party, name).is_some() {
        return Ok(());
    }
    let names = party.siblings.all_below(party).join(", ");
    let here = match names.is_empty() {
        true => "this node has none: let one join the branch first".to_owned(),
        false => format!("this node has {names}"),
    };
    Err(PartyError::Policy(format!(
        "branch={name} is no party of this node that is in another group than {}; {here}",
        party.name
    )))
}

/// Shares of totals that the group above may come for, by the id of the branch's part, which is of everything that the
/// task above says. In memory only.
#[derive(Default)]
pub(crate) struct Kept(Mutex<VecDeque<(SessionId, Row)>>);

impl Kept {
    /// Keeps one more, and the latest others as far as there is room for all of them.
    fn put(&self, part: SessionId, share: Row, room: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != part);
        kept.push_back((part, share));
        let words = |kept: &VecDeque<(SessionId, Row)>| kept.iter().map(|(_, share)| share.len()).sum::<usize>();
        while kept.len() > MOST || (kept.len() > 1 && words(&kept) > room) {
            kept.pop_front();
        }
    }

    fn forget(&self, part: SessionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != part);
    }

    /// The share, which may be dealt in several attempts that are not frozen.
    fn get(&self, part: SessionId) -> Option<Row> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| *known == part).map(|(_, share)| share.clone())
    }
}

/// Keeps a share that a session of this branch ended in, for a while.
pub(super) fn keep(party: &Arc<Inner>, part: SessionId, carried: &Carried) {
    party.kept.put(part, Row::new(carried.input().expose().to_vec()), ROOM);
    let party = Arc::clone(party);
    party.tasks.clone().spawn(async move {
        tokio::select! {
            () = party.stop.cancelled() => {}
            () = tokio::time::sleep(KEPT) => {}
        }
        party.kept.forget(part);
    });
}

/// This party's share of its branch's part of a task over branches, computed now if it is not there yet.
pub(super) async fn part(party: &Inner, policy: &Policy, ask: &Ask, job: &Job) -> Result<Row, Declined> {
    let nothing = |why: String| Declined::new(Decline::NoRow, why);
    let name = policy.branch.first().ok_or_else(|| {
        nothing(format!("this peer gives no branch's shares; say whose: tacit policy set {} branch=PARTY", party.name))
    })?;
    let below = party.siblings.below(party, name);
    let below = below.ok_or_else(|| nothing(format!("its policy says branch={name}, and no such party is here")))?;
    let charter =
        below.roster.known().ok_or_else(|| nothing(format!("{name} is not a verified member of its group")))?;
    // Above, all compute peers of the branch must be named, and nobody else under their operator.
    let inside = charter.charter().computing().count();
    let operator = party.operator(&party.me);
    let above = job.inputs.iter().filter(|member| party.operator(member) == operator).count();
    if inside != above {
        let why =
            format!("{name}'s group has {inside} computing members and {above} of them are members of this group");
        return Err(nothing(format!("{why}; all of them must be, under one operator, and nobody else under it")));
    }
    let task = ask.in_branch(job.charter, job.slot, below.group).map_err(|error| nothing(error.to_string()))?;
    let part = task_id(&task);
    if let Some(row) = below.kept.get(part) {
        return Ok(row);
    }
    let limit = PART + Duration::from_secs(ask.request.approval_s.into());
    let asked = below.line.request(Request::Branch { task: Box::new(task) }, limit).await;
    match asked.map_err(|error| nothing(format!("{name}'s gateway: {error}")))? {
        Response::Asked { .. } => {}
        Response::Refused { why } => return Err(nothing(format!("{name}'s gateway refused: {why}"))),
        _ => return Err(nothing(format!("{name}'s gateway answered something else"))),
    }
    below
        .kept
        .get(part)
        .ok_or_else(|| nothing(format!("{name}'s group computed no part of it; its owner sees the reason")))
}

/// Who asks: the client that signed a task; in a branch, the one that signed the task above, which one of the gateways
/// above must have admitted that this party's policy names.
pub(super) fn client_of(party: &Inner, policy: &Policy, ask: &Ask) -> Result<Option<Fingerprint>, Declined> {
    let unfit = |error: tacit_job::AskError| Declined::new(Decline::Plan, error.to_string());
    let client = verify(party, ask).map_err(unfit)?;
    let Some(above) = ask.parent().map_err(unfit)? else { return Ok(client) };
    let admitted = policy.parents.iter().find_map(|gateway| above.verify(gateway).ok());
    admitted.ok_or_else(|| Declined::new(Decline::Policy, TaskRefusal::Parent.to_string()))
}

impl Inner {
    fn operator(&self, member: &Fingerprint) -> Option<String> {
        self.roster.known()?.charter().member(member).map(|member| member.operator.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever may ask for long vectors does not fill the memory of the peers that keep shares of them.
    #[test]
    fn w2_shares_that_are_kept_take_so_much_room_and_no_more() {
        let kept = Kept::default();
        let part = |number: u8| SessionId([number; 16]);
        let there = || (0..9).filter(|number| kept.get(part(*number)).is_some()).collect::<Vec<_>>();
        for number in 0..4 {
            kept.put(part(number), Row::new(vec![number.into(); 3]), 10);
        }
        assert_eq!(there(), [1, 2, 3]);
        assert_eq!(kept.get(part(2)).map(|share| share.expose().to_vec()), Some(vec![2; 3]));
        // The one that was asked for is kept, however long it is.
        kept.put(part(4), Row::new(vec![0; 11]), 10);
        assert_eq!(there(), [4]);
        kept.forget(part(4));
        assert!(there().is_empty());
    }
}
