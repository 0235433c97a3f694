//! The way to the other replicas: one link for each that Raft talks to, dialled when it is needed.
//!
//! Raft drops a call that has no answer within a heartbeat, which may be less than a link takes to open: TCP, TLS and the
//! hellos are three round trips. So a dial is a task of its own. Whoever asks waits for it; who asks next finds the link.

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
use serde::{Deserialize, Serialize};
use tacit_link::{ControlLink, Host, LinkError};
use tacit_store::Picture;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::election::Ear;
use crate::receive::{Piece, PieceOf, Taken};
use crate::replica::ReplicaNode;
use crate::types::{Content, LogIndex, Promise, StorageError, Types};

/// One dial; who asks after it begins another. Where nobody listens it ends within half of this, before a vote does.
const DIAL: Duration = Duration::from_millis(600);
/// One piece of a snapshot, and its answer; who takes them waits as long for the next one.
pub(crate) const PIECE: Duration = Duration::from_secs(30);
/// Putting a snapshot in place.
const INSTALL: Duration = Duration::from_secs(600);

/// From one replica to another.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Counts on each link; the answer carries it.
    pub(crate) number: u64,
    /// What the other one acknowledged to this leader before it was started anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<LogIndex>,
    pub(crate) what: What,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
    Snapshot(Box<Piece>),
}

/// And back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    pub(crate) what: Answered,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answered {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    Snapshot(Taken),
    /// It cannot, for now or for good; it says why in its own log.
    Failed,
}

/// Makes ways.
pub(crate) struct Ways {
    nodes: BTreeMap<u64, (Arc<There>, Arc<Mutex<Line>>)>,
    ear: Ear,
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
        let nodes = nodes.iter().map(|(number, node)| (*number, (Arc::new(there(node)), Arc::default()))).collect();
        Self { nodes, ear }
    }
}

impl RaftNetworkFactory<Types> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Way {
        let (there, votes) = self.nodes.get(&target).cloned().unzip();
        Way {
            there,
            line: Line::default(),
            votes: votes.unwrap_or_default(),
            ear: self.ear.clone(),
            acknowledged: None,
            fit: usize::MAX,
        }
    }
}

/// The way to one replica.
pub(crate) struct Way {
    there: Option<Arc<There>>,
    /// For what the leader sends.
    line: Line,
    /// For votes: Raft makes a way for each of them, and the line is kept from one election to the next.
    votes: Arc<Mutex<Line>>,
    ear: Ear,
    acknowledged: Option<Acknowledged>,
    /// So many entries are sent at once: fewer while answers come later than Raft waits.
    fit: usize,
}

/// The last entry that the other one acknowledged, and which start of its node it was.
type Acknowledged = (LogIndex, [u8; 8]);

/// Where a replica is, and what it takes to get there.
pub(crate) struct There {
    host: Host,
    node: ReplicaNode,
    /// How long a dial may take.
    limit: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Ends with whoever wants the link.
type Dial = AbortOnDropHandle<Result<ControlLink, LinkError>>;

impl There {
    fn dial(&self) -> Dial {
        let (host, node, limit, stop) = (self.host.clone(), self.node.clone(), self.limit, self.stop.clone());
        AbortOnDropHandle::new(self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => Err(LinkError::ShuttingDown),
                dialled = host.dial_replica(node.fingerprint, &node.addresses, limit) => dialled,
            }
        }))
    }
}

/// A link that is dialled when it is needed.
#[derive(Default)]
pub(crate) struct Line {
    link: Option<ControlLink>,
    /// Under way while there is no link; one at a time.
    dial: Option<Dial>,
    last: u64,
}

type Failed = RPCError<u64, EmptyNode, RaftError<u64>>;

impl Line {
    /// Asks, and waits for the answer. Dropped meanwhile, it loses nothing but the answer.
    async fn ask(
        &mut self,
        there: Option<&There>,
        before: Option<Acknowledged>,
        what: What,
    ) -> Result<(Answered, [u8; 8]), LinkError> {
        let answered = self.try_ask(there, before, what).await;
        if answered.is_err() {
            self.link = None;
        }
        answered
    }

    async fn try_ask(
        &mut self,
        there: Option<&There>,
        before: Option<Acknowledged>,
        what: What,
    ) -> Result<(Answered, [u8; 8]), LinkError> {
        if !self.is_open().await {
            let Some(there) = there else { return Err(LinkError::Config("a replica that is not on the list")) };
            let dialled = self.dial.get_or_insert_with(|| there.dial()).await;
            self.dial = None;
            self.link = Some(dialled.map_err(|_| LinkError::ShuttingDown)??);
        }
        let Some(link) = &mut self.link else { return Err(LinkError::ShuttingDown) };
        self.last += 1;
        let start = link.epoch();
        let acknowledged = before.filter(|(_, before)| *before != start).map(|(entry, _)| entry);
        link.send(&Ask { number: self.last, acknowledged, what })?;
        loop {
            let answer: Answer = link.recv().await?;
            // Answers to questions that were given up are passed over.
            if answer.number == self.last {
                return Ok((answer.what, start));
            }
        }
    }

    /// Whether there is a link, after a look at what a dial came to that nobody waited for. One that failed says nothing
    /// about now.
    async fn is_open(&mut self) -> bool {
        if let Some(dial) = &mut self.dial
            && dial.is_finished()
        {
            let dialled = dial.await;
            self.dial = None;
            self.link = dialled.ok().and_then(Result::ok);
        }
        self.link.is_some()
    }
}

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
            let asked = self.line.ask(self.there.as_deref(), None, What::Snapshot(piece));
            let asked = tokio::time::timeout(if last { INSTALL } else { PIECE }, asked).await;
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

/// It said that it cannot.
fn unable() -> Failed {
    Unreachable::new(&std::io::Error::other("it could not answer")).into()
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        mut rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        let all = rpc.entries.len() <= self.fit;
        rpc.entries.truncate(self.fit);
        let (sent, before) = (rpc.entries.len(), self.fit);
        if sent > 0 {
            // Raft drops this call if there is no answer in time, and asks for the same again.
            self.fit = (sent / 2).max(1);
        }
        let kept = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        let asked = self.line.ask(self.there.as_deref(), self.acknowledged, What::Append(rpc)).await;
        self.fit = before.max(sent * 2);
        match asked.map_err(failed)? {
            (Answered::Append(answer), start) => {
                if let (AppendEntriesResponse::Success, Some(kept)) = (&answer, kept) {
                    let before = self.acknowledged.map_or(kept, |(entry, _)| entry);
                    self.acknowledged = Some((kept.max(before), start));
                }
                Ok(match answer {
                    AppendEntriesResponse::Success if !all => AppendEntriesResponse::PartialSuccess(kept),
                    answer => answer,
                })
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
        let mut line = self.votes.lock().await;
        let (kept, own) = (line.is_open().await, rpc.last_log_id);
        let there = self.there.as_deref();
        let mut answered = line.ask(there, None, What::Vote(rpc.clone())).await;
        if kept && answered.is_err() {
            // The other one may have been restarted since the last election.
            answered = line.ask(there, None, What::Vote(rpc)).await;
        }
        match answered.map_err(failed)? {
            (Answered::Vote(answer), _) => {
                if !answer.vote_granted {
                    self.ear.compared(Instant::now(), own, answer.last_log_id);
                }
                Ok(answer)
            }
            _ => Err(unable()),
        }
    }

    fn backoff(&self) -> openraft::network::Backoff {
        openraft::network::Backoff::new(std::iter::repeat(Duration::from_millis(200)))
    }
}

#[cfg(test)]
mod tests;
