use std::sync::PoisonError;

use tacit_accord::{ConsensusId, Member, MemberRole};
use tacit_job::StopReason;
use tacit_model::api::PairingState;
use tacit_model::{Fingerprint, GroupId, RunId, Slot, UnixMillis};

use super::Party;
use crate::PartyError;
use crate::standing::Standing;

/// How a party stands, for its owner.
#[derive(Clone, Debug)]
pub struct PartyStatus {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Its group.
    pub group: GroupId,
    /// What it registered as.
    pub role: MemberRole,
    /// In a word.
    pub state: PartyState,
    /// What the gateway last said of the pairing.
    pub pairing: PairingState,
    /// The run it takes part in.
    pub run: Option<RunId>,
    /// The slot that the next row will be for.
    pub next_slot: Option<Slot>,
    /// How many rows wait for their slots.
    pub queued_rows: u64,
    /// How many sessions are open.
    pub open_sessions: usize,
    /// What last went wrong.
    pub last_trouble: Option<Trouble>,
    /// What went wrong before that, the latest first; a few, each text once.
    pub earlier_troubles: Vec<Trouble>,
    /// Whether the control link to the gateway is open.
    pub gateway_connected: bool,
    /// The gateway it pinned.
    pub gateway: Fingerprint,
    /// What its operator and the gateway's read to each other: over both certificates and the manager key.
    pub comparison: String,
    /// Whether the gateway's certificate came from the operator or was compared; without, it does not compute.
    pub gateway_compared: bool,
    /// The signed charter it follows.
    pub charter: Option<ConsensusId>,
    /// Who is in it.
    pub roster: Vec<Member>,
    /// How many batches of results wait for the receiver.
    pub undelivered_batches: usize,
}

/// How a party stands, in a word. The numbers of P2DS are 0 to 3 in this order: idle, running, failed, stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartyState {
    /// Never started.
    Idle,
    /// Takes part in a run.
    Running,
    /// The last run ended by a failure.
    Failed,
    /// The last run is over.
    Stopped,
}

/// Something that went wrong, for the owner. Never holds data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub what: String,
}

/// How many troubles an owner is shown.
const TROUBLES: usize = 5;

/// Keeps the latest few. What comes again and again, such as a receiver that stays away, is kept once: it would push out
/// the others.
pub(super) fn remember(troubles: &mut Vec<Trouble>, new: Trouble) {
    troubles.retain(|known| known.what != new.what);
    troubles.insert(0, new);
    troubles.truncate(TROUBLES);
}

impl Party {
    /// How it stands.
    pub async fn status(&self) -> Result<PartyStatus, PartyError> {
        let party = &self.inner;
        let standing = party.standing.get();
        let known = party.roster.known();
        let (queued_rows, next_slot) = match standing.run {
            Some(run) => (party.store.pending(&party.name, run).await?, party.seen_next(run)),
            None => (0, None),
        };
        let open = party.store.outbox_batches_open().await?;
        let mut troubles = party.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone().into_iter();
        Ok(PartyStatus {
            name: party.name.clone(),
            fingerprint: party.me,
            group: party.group,
            role: standing.role,
            state: state_of(&standing),
            pairing: standing.pairing,
            run: standing.run,
            next_slot,
            queued_rows,
            open_sessions: party.sessions.open(),
            last_trouble: troubles.next(),
            earlier_troubles: troubles.collect(),
            gateway_connected: party.line.connected(),
            gateway: party.leading(),
            comparison: party.comparison(&standing),
            gateway_compared: standing.gateway_compared,
            charter: known.as_ref().map(|known| known.id()),
            roster: known.map(|known| known.charter().members.clone()).unwrap_or_default(),
            undelivered_batches: open.iter().filter(|batch| batch.party == party.name).count(),
        })
    }
}

fn state_of(standing: &Standing) -> PartyState {
    match (standing.run, standing.stopped) {
        (Some(_), _) => PartyState::Running,
        (None, Some(StopReason::Failed)) => PartyState::Failed,
        (None, Some(StopReason::Finished)) => PartyState::Stopped,
        (None, None) => PartyState::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_hides_none_of_the_few_before_it() {
        let mut troubles = Vec::new();
        let mut tell = |at, what: &str| {
            remember(&mut troubles, Trouble { at: UnixMillis(at), what: what.to_owned() });
            troubles.iter().map(|known| known.at.0).collect::<Vec<_>>()
        };
        assert_eq!(tell(1, "declined"), [1]);
        assert_eq!(tell(2, "not delivered"), [2, 1]);
        assert_eq!(tell(3, "not delivered"), [3, 1], "once, with its latest moment");
        for at in 4..10 {
            tell(at, &format!("task {at}"));
        }
        assert_eq!(tell(10, "not delivered"), [10, 9, 8, 7, 6]);
    }
}
