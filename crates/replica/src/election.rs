//! When a follower stands for election: after silence, in turns.
//!
//! ```text
//!   last word of the leader ──── SILENCE ────┬─ TURN ─┬─ TURN ─┬─►
//!                                            first    second   third node after the leader stands
//! ```
//!
//! Raft draws these times at random, and where two draw alike their votes are split, and another round is needed. Here
//! the nodes stand one after the other, in the order of their numbers after the one that led: the first is elected before the
//! second one's turn, unless it is gone, too. A node whose log is shorter than another's cannot be elected: it makes room,
//! and the other one stands at once. A node that is being sent all rows hears nothing else of the leader meanwhile, and
//! does not stand.
//!
//! Before it stands a node asks the others whether they would vote for it, and leaves it at that unless a majority would
//! (Ongaro's thesis, 9.6). Who hears a leader would not. So a node that was cut off comes back with the term it had:
//! with a later one it would depose a leader that everybody else hears. Nothing of Raft's safety depends on all this.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::ServerState;
use openraft::raft::VoteRequest;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ear::{Ear, ROUND, VOTERS_LEASE};
use crate::log::Log;
use crate::net::Voter;
use crate::types::{Promise, Raft};

/// The time is looked at so often.
const LOOK: Duration = Duration::from_millis(25);

/// Stands for election whenever it is time, as long as Raft runs.
pub(crate) async fn stand(raft: Raft, candidate: Candidate, ear: Ear, stop: CancellationToken) {
    let metrics = raft.metrics();
    let Candidate { me, nodes, .. } = &candidate;
    let mut led = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (state, term, acknowledged) = {
            let seen = metrics.borrow();
            led = seen.current_leader.or(led);
            (seen.state, seen.current_term, seen.millis_since_quorum_ack.map(Duration::from_millis))
        };
        let now = Instant::now();
        match state {
            ServerState::Shutdown => return,
            // One that no majority hears must not keep the others from choosing another one.
            ServerState::Leader if acknowledged.is_some_and(|since| since < VOTERS_LEASE) => ear.heard(now, term),
            ServerState::Leader => {}
            _ if ear.is_time(now, turn(nodes, *me, led)) => {
                ear.voted(now);
                let would_win = tokio::select! {
                    () = stop.cancelled() => return,
                    would_win = candidate.would_win(&ear) => would_win,
                };
                // Otherwise a leader was heard of meanwhile, another one stood, or this node makes room.
                if would_win && ear.is_quiet_since(now) {
                    ear.voted(Instant::now());
                    if raft.trigger().elect().await.is_err() {
                        return;
                    }
                }
            }
            _ => {}
        }
    }
}

/// What a node needs to know before it stands.
pub(crate) struct Candidate {
    pub(crate) me: u64,
    pub(crate) nodes: BTreeSet<u64>,
    pub(crate) log: Log,
    /// The others.
    pub(crate) voters: Vec<Voter>,
}

impl Candidate {
    /// Whether a majority would vote for this node, itself counted: asked before its term grows.
    async fn would_win(&self, ear: &Ear) -> bool {
        let (vote, last) = match self.log.clone().promised().await {
            Ok(promised) => promised,
            Err(error) => {
                warn!(%error, "this node does not stand for election: its log cannot be read");
                return false;
            }
        };
        let term = vote.map_or(0, |vote| vote.leader_id.term) + 1;
        let rpc = VoteRequest::new(Promise::new(term, self.me), last);
        let mut asked = JoinSet::new();
        for voter in self.voters.clone() {
            let rpc = rpc.clone();
            asked.spawn(async move { voter.would_vote(rpc).await });
        }
        let (mut votes, mut longest) = (1, None);
        let count = async {
            while votes * 2 <= self.nodes.len() {
                let Some(answer) = asked.join_next().await else { return false };
                if let Ok(Some(answer)) = answer {
                    votes += usize::from(answer.vote_granted);
                    longest = longest.max(answer.last_log_id);
                }
            }
            true
        };
        let would_win = tokio::time::timeout(ROUND, count).await.unwrap_or(false);
        // If this log is the longer one, the others hear a leader. One longer log is in nobody's way whom a majority would elect.
        if !would_win && longest > last {
            ear.compared(Instant::now(), last, longest);
        }
        would_win
    }
}

/// How many nodes come before this one: in the order of their numbers, behind the one that led.
fn turn(nodes: &BTreeSet<u64>, me: u64, led: Option<u64>) -> u32 {
    let behind = |node: u64| nodes.iter().position(|other| *other == node).unwrap_or(0);
    let first = led.map_or(0, |led| behind(led) + 1);
    let turn = (nodes.len() + behind(me) - first % nodes.len().max(1)) % nodes.len().max(1);
    u32::try_from(turn).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w1_each_node_has_its_turn_behind_the_one_that_led() {
        let nodes = BTreeSet::from([10, 20, 30]);
        let turns = |led| [10, 20, 30].map(|me| turn(&nodes, me, led));
        assert_eq!(turns(None), [0, 1, 2]);
        assert_eq!(turns(Some(10)), [2, 0, 1]);
        assert_eq!(turns(Some(20)), [1, 2, 0]);
        assert_eq!(turns(Some(30)), [0, 1, 2]);
    }
}
