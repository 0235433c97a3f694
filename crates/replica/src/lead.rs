//! Who leads: Raft's word, limited by a lease.

use std::time::Duration;

use openraft::{RaftMetrics, ServerState};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::types::Raft;

/// A leader that has not heard from a majority for so long leads no more. Shorter than the time in which nobody else
/// can be elected, by what its duties take to end.
pub(crate) const LEASE: Duration = Duration::from_millis(800);
/// The lease is looked at so often.
const LOOK: Duration = Duration::from_millis(50);

/// What a node has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It leads, and its rows are up to date. The number grows with every new leader and fences older ones.
    Leading(u64),
    /// It follows that node, or nobody that it knows of.
    Following(Option<u64>),
    /// The replication has ended on this node: its disk failed, or it cannot do what the others did.
    Stopped,
}

/// Keeps the duty up to date as long as Raft runs.
pub(crate) async fn watch(raft: Raft, duty: watch::Sender<Duty>) {
    let mut metrics = raft.metrics();
    let mut acknowledged = None;
    // What was told before counts from when it was told: silence must not look like good news.
    let mut fresh = true;
    loop {
        let now = Instant::now();
        let next = {
            let seen = metrics.borrow_and_update();
            let since = seen.millis_since_quorum_ack.map(Duration::from_millis).filter(|_| fresh);
            let told = since.and_then(|since| now.checked_sub(since));
            acknowledged = match seen.state {
                ServerState::Leader => acknowledged.max(told),
                _ => None,
            };
            judge(&seen, acknowledged.is_some_and(|at| now.duration_since(at) < LEASE))
        };
        duty.send_if_modified(|known| std::mem::replace(known, next) != next);
        if next == Duty::Stopped {
            return;
        }
        fresh = tokio::select! {
            changed = metrics.changed() => match changed {
                Ok(()) => true,
                Err(_) => {
                    duty.send_replace(Duty::Stopped);
                    return;
                }
            },
            () = tokio::time::sleep(LOOK) => false,
        };
    }
}

fn judge(seen: &RaftMetrics<u64, openraft::EmptyNode>, lease: bool) -> Duty {
    if seen.running_state.is_err() || seen.state == ServerState::Shutdown {
        return Duty::Stopped;
    }
    // The first entry of its own term is applied: so is everything before.
    let current = seen.last_applied.is_some_and(|applied| applied.leader_id.term == seen.current_term);
    match seen.state {
        ServerState::Leader if lease && current => Duty::Leading(seen.current_term),
        _ => Duty::Following(seen.current_leader.filter(|leader| *leader != seen.id)),
    }
}
