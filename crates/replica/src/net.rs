//! The way to the other replicas: one link for each that Raft talks to, dialled when it is needed.

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

use crate::election::Ear;
use crate::receive::{Piece, PieceOf, Taken};
use crate::replica::ReplicaNode;
use crate::types::{Content, LogIndex, Promise, StorageError, Types};

/// One round of dialling; Raft tries again.
const DIAL: Duration = Duration::from_millis(300);
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
    host: Host,
    nodes: BTreeMap<u64, (ReplicaNode, Arc<Mutex<Line>>)>,
    ear: Ear,
}

impl Ways {
    pub(crate) fn new(host: Host, nodes: &BTreeMap<u64, ReplicaNode>, ear: Ear) -> Self {
        let nodes = nodes.iter().map(|(number, node)| (*number, (node.clone(), Arc::default()))).collect();
        Self { host, nodes, ear }
    }
}

impl RaftNetworkFactory<Types> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Way {
        let (node, votes) = self.nodes.get(&target).cloned().unzip();
        Way {
            host: self.host.clone(),
            node,
            line: Line::default(),
            votes: votes.unwrap_or_default(),
            ear: self.ear.clone(),
            acknowledged: None,
        }
    }
}

/// The way to one replica.
pub(crate) struct Way {
    host: Host,
    node: Option<ReplicaNode>,
    /// For what the leader sends.
    line: Line,
    /// For votes: Raft makes a way for each of them, and the line is kept from one election to the next.
    votes: Arc<Mutex<Line>>,
    ear: Ear,
    acknowledged: Option<Acknowledged>,
}

/// The last entry that the other one acknowledged, and which start of its node it was.
type Acknowledged = (LogIndex, [u8; 8]);

/// A link that is dialled when it is needed.
#[derive(Default)]
pub(crate) struct Line {
    link: Option<ControlLink>,
    last: u64,
}

type Failed = RPCError<u64, EmptyNode, RaftError<u64>>;

impl Line {
    /// Asks, and waits for the answer. Dropped meanwhile, it loses nothing but the answer.
    async fn ask(
        &mut self,
        host: &Host,
        node: Option<&ReplicaNode>,
        before: Option<Acknowledged>,
        what: What,
    ) -> Result<(Answered, [u8; 8]), LinkError> {
        let answered = self.try_ask(host, node, before, what).await;
        if answered.is_err() {
            self.link = None;
        }
        answered
    }

    async fn try_ask(
        &mut self,
        host: &Host,
        node: Option<&ReplicaNode>,
        before: Option<Acknowledged>,
        what: What,
    ) -> Result<(Answered, [u8; 8]), LinkError> {
        if self.link.is_none() {
            let Some(node) = node else { return Err(LinkError::Config("a replica that is not on the list")) };
            self.link = Some(host.dial_replica(node.fingerprint, &node.addresses, DIAL).await?);
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
            let asked = self.line.ask(&self.host, self.node.as_ref(), None, What::Snapshot(piece));
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
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        let kept = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        let asked = self.line.ask(&self.host, self.node.as_ref(), self.acknowledged, What::Append(rpc)).await;
        match asked.map_err(failed)? {
            (Answered::Append(answer), start) => {
                if let (AppendEntriesResponse::Success, Some(kept)) = (&answer, kept) {
                    let before = self.acknowledged.map_or(kept, |(entry, _)| entry);
                    self.acknowledged = Some((kept.max(before), start));
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
        let mut line = self.votes.lock().await;
        let (kept, own) = (line.link.is_some(), rpc.last_log_id);
        let mut answered = line.ask(&self.host, self.node.as_ref(), None, What::Vote(rpc.clone())).await;
        if kept && answered.is_err() {
            // The other one may have been restarted since the last election.
            answered = line.ask(&self.host, self.node.as_ref(), None, What::Vote(rpc)).await;
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
