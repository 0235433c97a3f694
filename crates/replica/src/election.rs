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
//! does not stand. Nothing of Raft's safety depends on it.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::ServerState;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ear::Ear;
use crate::types::Raft;

/// The time is looked at so often.
const LOOK: Duration = Duration::from_millis(25);

/// Stands for election whenever it is time, as long as Raft runs.
pub(crate) async fn stand(raft: Raft, me: u64, nodes: BTreeSet<u64>, ear: Ear, stop: CancellationToken) {
    let metrics = raft.metrics();
    let mut led = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (state, term) = {
            let seen = metrics.borrow();
            led = seen.current_leader.or(led);
            (seen.state, seen.current_term)
        };
        let now = Instant::now();
        match state {
            ServerState::Shutdown => return,
            ServerState::Leader => ear.heard(now, term),
            _ if ear.is_time(now, turn(&nodes, me, led)) => {
                ear.voted(now);
                if raft.trigger().elect().await.is_err() {
                    return;
                }
            }
            _ => {}
        }
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
