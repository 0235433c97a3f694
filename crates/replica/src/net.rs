//! The way to the other replicas, as Raft asks for it.
//!
//! Raft gives up a call after a heartbeat and makes it again, however long its entries are. Here they are sent once: the next
//! call waits for the answer to the first one, and a short message on a link of its own says meanwhile who leads.

use core::future::Future;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    Fatal, NetworkError, PayloadTooLarge, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{AnyError, EmptyNode, OptionalSend, Snapshot, SnapshotMeta, StorageIOError};
use serde::Serialize;
use tacit_link::{Host, LinkError};
use tacit_store::Picture;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ear::{Ear, PIECE};
use crate::line::{Acknowledged, Line, There};
use crate::message::{Answered, Candidacy, What};
use crate::receive::{Piece, PieceOf, Taken};
use crate::types::{Content, LogIndex, Promise, ReplicaNode, StorageError, Types};

/// One dial; who asks after it begins another. Where nobody listens it ends within half of this, before a vote does.
const DIAL: Duration = Duration::from_millis(600);
/// How long one look for a late answer takes: with it Raft still hears in time that the other node was heard.
const BEAT: Duration = Duration::from_millis(100);
/// Entries whose answer does not come for so long are sent again, on a new link; long ones have more time.
const LATE: Duration = Duration::from_secs(30);
/// As many bytes a second travel on the slowest network that is supported: half a megabit. On a slower one what is longest would
/// be sent again and again.
const SLOWEST: usize = 64 << 10;
/// Putting a snapshot in place.
const INSTALL: Duration = Duration::from_secs(600);

/// Makes ways.
pub(crate) struct Ways {
    nodes: BTreeMap<u64, Voter>,
}

impl Ways {
    /// Dials are among these tasks, and end when told to stop.
    pub(crate) fn new(
        host: &Host,
        nodes: &BTreeMap<u64, ReplicaNode>,
        ear: Ear,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let there = |node: &ReplicaNode| There {
            host: host.clone(),
            node: node.clone(),
            limit: DIAL,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let voter = |node| Voter { there: Arc::new(there(node)), line: Arc::default(), ear: ear.clone() };
        Self { nodes: nodes.iter().map(|(number, node)| (*number, voter(node))).collect() }
    }

    /// All nodes but this one.
    pub(crate) fn voters(&self, but: u64) -> Vec<Voter> {
        self.nodes.iter().filter(|(number, _)| **number != but).map(|(_, voter)| voter.clone()).collect()
    }
}

impl RaftNetworkFactory<Types> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Way {
        let voter = self.nodes.get(&target).cloned();
        Way {
            there: voter.as_ref().map(|voter| Arc::clone(&voter.there)),
            line: Line::default(),
            voter,
            pulse: Line::default(),
            acknowledged: None,
            flight: None,
        }
    }
}

/// The way to one replica.
pub(crate) struct Way {
    there: Option<Arc<There>>,
    /// For what the leader sends.
    line: Line,
    voter: Option<Voter>,
    /// For what says only that it leads, while the other line is busy with long entries.
    pulse: Line,
    acknowledged: Option<Acknowledged>,
    flight: Option<Flight>,
}

/// Entries that were sent, and whose answer did not come while Raft waited. They are not sent again as long as the link lives.
struct Flight {
    question: u64,
    start: [u8; 8],
    after: Option<LogIndex>,
    last: LogIndex,
    begun: Instant,
    /// After that they are late; known once they are waited for.
    limit: Option<Duration>,
    /// The answer came, and Raft does not know yet.
    arrived: bool,
}

impl Flight {
    /// Whether these are the same entries again, maybe with more behind them, or none.
    fn carries(&self, rpc: &AppendEntriesRequest<Types>) -> bool {
        let last = rpc.entries.last().map(|entry| entry.log_id);
        last.is_none() || self.after == rpc.prev_log_id && Some(self.last) <= last
    }
}

/// Who is asked for votes. Raft makes a way for each of them; the line is kept from one election to the next.
#[derive(Clone)]
pub(crate) struct Voter {
    there: Arc<There>,
    line: Arc<Mutex<Line>>,
    ear: Ear,
}

impl Voter {
    /// Whether it would vote for this node now, if it answers. That binds nobody, and no term grows.
    pub(crate) async fn would_vote(&self, rpc: VoteRequest<u64>) -> Option<VoteResponse<u64>> {
        self.ask(Candidacy { rpc, trial: true }).await.ok()
    }

    async fn ask(&self, candidacy: Candidacy) -> Result<VoteResponse<u64>, Failed> {
        let mut line = self.line.lock().await;
        // It is kept from one election to the next, which may be weeks, and nobody stays with a leader that has an odd clock.
        line.end_with_old_clock();
        let kept = line.is_open().await;
        let there = Some(&*self.there);
        let mut answered = line.ask(there, None, What::Vote(candidacy.clone())).await;
        if kept && answered.is_err() {
            // The other one may have been restarted since the last election.
            answered = line.ask(there, None, What::Vote(candidacy)).await;
        }
        match answered.map_err(failed)? {
            (Answered::Vote(answer), _) => Ok(answer),
            _ => Err(unable()),
        }
    }
}

type Failed = RPCError<u64, EmptyNode, RaftError<u64>>;

fn failed(error: LinkError) -> Failed {
    match error {
        // Fewer entries fit.
        LinkError::TooLarge { .. } => PayloadTooLarge::new_entries_hint(1).into(),
        LinkError::Closed(_) => NetworkError::new(&error).into(),
        _ => Unreachable::new(&error).into(),
    }
}

type Unsent = StreamingError<Types, Fatal<u64>>;

impl Way {
    fn acknowledge(&mut self, kept: LogIndex, start: [u8; 8]) {
        let before = self.acknowledged.map_or(kept, |(entry, _)| entry);
        self.acknowledged = Some((kept.max(before), start));
    }

    /// Entries are still on their way, or their answer is. Meanwhile the other node is told that this one leads, and Raft
    /// that it was heard: of the lease counts what was said now, not the answer to what was said long ago.
    async fn wait_with_pulse(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        let (after, wanted) = (rpc.prev_log_id, rpc.entries.last().map(|entry| entry.log_id));
        let Self { there, line, pulse, acknowledged, flight: Some(flight), .. } = self else { return Err(unable()) };
        if wanted.is_some() && flight.limit.is_none() {
            flight.limit = Some(LATE + travel(&rpc.entries));
        }
        let beat = What::Append(AppendEntriesRequest { entries: Vec::new(), ..rpc });
        let late = async {
            if wanted.is_none() || flight.arrived {
                return Ok(None);
            }
            match tokio::time::timeout(BEAT, line.hear(flight.question)).await {
                Err(_) => Ok(None),
                Ok(Ok(Answered::Append(AppendEntriesResponse::Success))) => {
                    flight.arrived = true;
                    Ok(None)
                }
                Ok(Ok(Answered::Append(refused))) => Ok(Some(refused)),
                Ok(Ok(_)) => Err(unable()),
                Ok(Err(error)) => Err(failed(error)),
            }
        };
        let (beat, late) = tokio::join!(pulse.ask(there.as_deref(), *acknowledged, beat), late);
        let overdue = flight.limit.is_some_and(|limit| flight.begun.elapsed() >= limit);
        let (arrived, start) = (flight.arrived, flight.start);
        let arrived = arrived.then_some(flight.last);
        if !matches!(late, Ok(None)) {
            self.flight = None;
        }
        // A refusal that was said long ago would count for the lease, too.
        match (beat.map_err(failed)?, late?) {
            ((Answered::Append(AppendEntriesResponse::Success), _), None) => {}
            ((Answered::Append(AppendEntriesResponse::Success), _), Some(refused)) => return Ok(refused),
            ((Answered::Append(refused), _), _) => return Ok(refused),
            _ => return Err(unable()),
        }
        match (wanted, arrived) {
            (None, _) => Ok(AppendEntriesResponse::Success),
            (Some(wanted), Some(last)) => {
                self.acknowledge(last, start);
                self.flight = None;
                Ok(match last == wanted {
                    true => AppendEntriesResponse::Success,
                    false => AppendEntriesResponse::PartialSuccess(Some(last)),
                })
            }
            (Some(_), None) if overdue => {
                self.flight = None;
                self.line.end_unless(false);
                Err(unable())
            }
            // Raft knows no such success before the first entry.
            (Some(_), None) if after.is_none() => Err(unable()),
            (Some(_), None) => Ok(AppendEntriesResponse::PartialSuccess(after)),
        }
    }

    /// Sends all rows, a piece at a time, and waits until they are in place.
    async fn send_rows(
        &mut self,
        vote: Promise,
        meta: SnapshotMeta<u64, EmptyNode>,
        mut picture: Box<Picture>,
    ) -> Result<SnapshotResponse<u64>, Unsent> {
        let changed = picture.changed();
        let (mut number, mut rows) = (0, 0);
        let mut what = PieceOf::Begin;
        loop {
            let last = matches!(what, PieceOf::End(_));
            let piece = Box::new(Piece { vote, meta: meta.clone(), changed, number, what });
            // A piece has at least one row, however long.
            let limit = if last { INSTALL } else { PIECE + travel(&piece) };
            let asked = self.line.ask(self.there.as_deref(), None, What::Snapshot(piece));
            let asked = tokio::time::timeout(limit, asked).await;
            match asked.map_err(|late| NetworkError::new(&late))?.map_err(|error| Unreachable::new(&error))? {
                (Answered::Snapshot(Taken { vote: later, .. }), _) if later > vote => {
                    return Ok(SnapshotResponse::new(later));
                }
                (Answered::Snapshot(Taken { vote, taken: true }), _) if last => return Ok(SnapshotResponse::new(vote)),
                (Answered::Snapshot(Taken { taken: true, .. }), _) => number += 1,
                _ => return Err(Unreachable::new(&std::io::Error::other("it refused the snapshot")).into()),
            }
            let part = picture.next().await.map_err(|error| {
                let error = StorageIOError::read_snapshot(Some(meta.signature()), AnyError::new(&error));
                StorageError::from(error)
            })?;
            rows += part.as_ref().map_or(0, tacit_store::SnapshotPart::rows);
            what = part.map_or(PieceOf::End(rows), PieceOf::Rows);
        }
    }
}

/// How long this is on its way at most.
fn travel(what: &impl Serialize) -> Duration {
    let length = serde_json::to_vec(what).map_or(0, |text| text.len());
    Duration::from_secs((length / SLOWEST) as u64)
}

/// It said that it cannot.
fn unable() -> Failed {
    Unreachable::new(&std::io::Error::other("it could not answer")).into()
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        if self.flight.as_ref().is_some_and(|flight| flight.carries(&rpc)) {
            return self.wait_with_pulse(rpc).await;
        }
        self.flight = None;
        let (after, last) = (rpc.prev_log_id, rpc.entries.last().map(|entry| entry.log_id));
        let said = self.line.say(self.there.as_deref(), self.acknowledged, What::Append(rpc)).await;
        let (question, start) = said.map_err(failed)?;
        let begun = Instant::now();
        self.flight = last.map(|last| Flight { question, start, after, last, begun, limit: None, arrived: false });
        // Raft drops this call if there is no answer in time, and asks for the same again.
        let heard = self.line.hear(question).await;
        self.flight = None;
        match heard.map_err(failed)? {
            Answered::Append(answer) => {
                if let (AppendEntriesResponse::Success, Some(kept)) = (&answer, last.or(after)) {
                    self.acknowledge(kept, start);
                }
                Ok(answer)
            }
            _ => Err(unable()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Promise,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, Unsent> {
        let Content::Here(picture) = *snapshot.snapshot else {
            return Err(Unreachable::new(&std::io::Error::other("there are no rows to send")).into());
        };
        let cancel = pin!(cancel);
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = self.send_rows(vote, snapshot.meta, picture) => sent,
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, _option: RPCOption) -> Result<VoteResponse<u64>, Failed> {
        let Some(voter) = &self.voter else { return Err(unable()) };
        let own = rpc.last_log_id;
        let answer = voter.ask(Candidacy { rpc, trial: false }).await?;
        if !answer.vote_granted {
            voter.ear.compared(Instant::now(), own, answer.last_log_id);
        }
        Ok(answer)
    }

    fn backoff(&self) -> openraft::network::Backoff {
        openraft::network::Backoff::new(std::iter::repeat(Duration::from_millis(200)))
    }
}

#[cfg(test)]
mod tests;
