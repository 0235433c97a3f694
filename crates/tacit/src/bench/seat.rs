//! One party's place in a bench: who the others are, the barrier, and how a protocol is driven.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tacit_engine::{Mailbox, OnMissing, Plan, PlanRequest, SecurityModel, Sharing};
use tacit_link::{Host, PortEvent, SessionPort};
use tacit_model::{Attempt, Clock, Fingerprint, RunId, SessionId, Slot};
use tacit_party::{Given, GoAhead, PairSecrets, PartyEnvironment, Seats, drive};
use tacit_pki::Identity;
use tacit_store::Store;
use tokio_util::sync::CancellationToken;

use super::messages::Turn;
use crate::output::{Code, Failure};

/// The largest number that a party puts in: sums of 64 parties stay in the 61-bit field, as they do elsewhere.
pub(crate) const MAX_ELEMENT: u64 = (1 << 55) - 1;
/// A party that hears nothing for so long gives up.
const DEADLINE: Duration = Duration::from_secs(300);
/// Under this name frozen sets are stored.
const PARTY: &str = "bench";
const RUN: RunId = RunId(1);

/// A party that has met the others.
pub(crate) struct Seat {
    pub(crate) host: Host,
    pub(crate) identity: Arc<Identity>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    /// All parties, ascending.
    pub(crate) members: Vec<Fingerprint>,
    /// This one's place among them.
    pub(crate) me: usize,
    pub(crate) barrier: Barrier,
}

/// Everything that a run needs and that is made before its time begins, as Prepare and Link do.
pub(crate) struct Ready {
    pub(crate) plan: Plan,
    port: SessionPort,
}

impl Seat {
    /// The other parties.
    pub(crate) fn peers(&self) -> Vec<Fingerprint> {
        self.members.iter().copied().filter(|member| *member != self.members[self.me]).collect()
    }

    /// Plans a sum of `items` elements that all put in and all learn, and opens its session.
    pub(crate) fn prepare(&self, turn: &Turn, items: usize) -> Result<Ready, Failure> {
        self.prepare_with(turn, items, MAX_ELEMENT, "declared")
    }

    /// The same with numbers of so many bits, each proven to be in range, in the turn's security model.
    pub(crate) fn prepare_bounded(&self, turn: &Turn, items: usize, bits: u32) -> Result<Ready, Failure> {
        self.prepare_with(turn, items, (1 << bits) - 1, "proven")
    }

    fn prepare_with(&self, turn: &Turn, items: usize, max_element: u64, bounds: &str) -> Result<Ready, Failure> {
        let model =
            SecurityModel::named(&turn.model).ok_or(Failure::usage("a security model that there is none of"))?;
        let model = if bounds == "proven" { model } else { SecurityModel::SemiHonest };
        let parameters = [("bounds".to_owned(), bounds.to_owned())].into();
        self.prepare_plan(turn, model, "sum", items, max_element, parameters)
    }

    /// Plans an aggregator over what all put in and all learn, with bounds proven as they are by default.
    pub(crate) fn prepare_aggregator(
        &self,
        turn: &Turn,
        aggregator: &str,
        items: usize,
        max_element: u64,
        parameters: BTreeMap<String, String>,
    ) -> Result<Ready, Failure> {
        self.prepare_plan(turn, SecurityModel::SemiHonest, aggregator, items, max_element, parameters)
    }

    fn prepare_plan(
        &self,
        turn: &Turn,
        model: SecurityModel,
        aggregator: &str,
        items: usize,
        max_element: u64,
        parameters: BTreeMap<String, String>,
    ) -> Result<Ready, Failure> {
        let all: Vec<usize> = (0..self.members.len()).collect();
        let plan = Plan::build(PlanRequest {
            session: turn.session,
            attempt: Attempt(0),
            slot: Slot(turn.number),
            charter: [1; 32],
            task: [2; 32],
            aggregator: aggregator.to_owned(),
            aggregator_version: 1,
            parameters,
            sharing: Sharing::Shamir { threshold: turn.threshold },
            charter_threshold: turn.threshold,
            charter_compute: all.len(),
            model,
            items,
            max_element,
            modulus: None,
            members: self.members.clone(),
            inputs: all.clone(),
            compute: all.clone(),
            recipients: all,
            on_missing: match model {
                SecurityModel::Guaranteed => OnMissing::Proceed { min: 2 },
                _ => OnMissing::Fail,
            },
        })?;
        let port = self.host.open_session(turn.session, self.peers())?;
        Ok(Ready { plan, port })
    }

    /// Drives a protocol to its end, in the way that the sessions of a peer are driven. Returns what it
    /// gave and how many bytes left.
    pub(crate) async fn play<T, P>(&self, ready: Ready, protocol: P) -> Result<(T, u64), Failure>
    where
        P: AsyncFnOnce(&Plan, &Mailbox, PartyEnvironment) -> Result<T, Failure>,
    {
        let Ready { plan, mut port } = ready;
        let seats = Seats::new(&plan, self.me, port.peers());
        let environment = PartyEnvironment {
            identity: Arc::clone(&self.identity),
            secrets: PairSecrets::of(&plan, &port, &seats)?,
            keys: seats.keys(),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            party: PARTY.to_owned(),
            run: RUN,
            charter: [0; 32],
            inputs: [0; 32],
            moment: None,
            given: Given::default(),
            noted: None,
            approved: None,
            go_ahead: GoAhead::given(),
            above: None,
            disjoint: false,
            judges: None,
            declined: None,
            apart: None,
            bound: false,
            contributions: Vec::new(),
            evidence: Vec::new(),
        };
        seats.tell_key(&mut port, self.identity.public_key());
        let mailbox = Mailbox::new(plan.members().len());
        let engine = protocol(&plan, &mailbox, environment);
        let outcome =
            drive(engine, &mut port, &mailbox, &seats, DEADLINE, GoAhead::given(), &CancellationToken::new()).await;
        let bytes_sent = port.stats().bytes_sent;
        port.finish();
        let outcome =
            outcome.map_err(|_| Failure::new(Code::Unreachable, "a party of the bench did not answer in time"))?;
        Ok((outcome?, bytes_sent))
    }
}

/// Lets all parties go on at the same moment: each tells all others and waits for all of them.
pub(crate) struct Barrier {
    port: SessionPort,
    /// How often each peer was heard that this party has not waited for yet.
    ahead: Vec<usize>,
}

impl Barrier {
    pub(crate) fn open(host: &Host, session: SessionId, peers: Vec<Fingerprint>) -> Result<Self, Failure> {
        let ahead = vec![0; peers.len()];
        Ok(Self { port: host.open_session(session, peers)?, ahead })
    }

    pub(crate) async fn wait(&mut self) -> Result<(), Failure> {
        for peer in 0..self.ahead.len() {
            self.port.send(peer, vec![0])?;
        }
        while self.ahead.contains(&0) {
            match self.port.recv().await {
                PortEvent::Message { from, .. } => self.ahead[from] += 1,
                PortEvent::Lost { reason, .. } => {
                    return Err(Failure::new(Code::Unreachable, format!("a party of the bench was lost: {reason}")));
                }
            }
        }
        self.ahead.iter_mut().for_each(|heard| *heard -= 1);
        Ok(())
    }
}

/// The number that a party puts in at a place: the same everywhere, so that each can check results.
pub(crate) fn element(session: &SessionId, party: usize, index: usize) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = session.0;
    let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    // SplitMix64 (Steele, Lea, Flood 2014); these numbers are secret to nobody.
    let mut x = seed ^ (((party as u64) << 40) + index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) & MAX_ELEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_differ_by_session_party_and_place_and_keep_the_bound() {
        let of = |s: u8, p, i| element(&SessionId([s; 16]), p, i);
        let all = [of(1, 0, 0), of(2, 0, 0), of(1, 1, 0), of(1, 0, 1), of(1, 1, 1)];
        assert!(all.iter().all(|e| *e <= MAX_ELEMENT));
        let distinct: std::collections::BTreeSet<u64> = all.into();
        assert_eq!(distinct.len(), all.len());
    }
}
