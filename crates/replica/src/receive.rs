//! Taking the rows of the leader where entries of its log are gone.
//!
//! The pieces come one after the other and are staged; the last one says how many rows there should be. Only then Raft is
//! told, which puts them in the place of what was there. A piece that does not follow, does not fit the schema or is not from
//! who leads ends the attempt: nothing was touched, and the leader begins again. Raft hears of no piece but the last: that
//! there is a leader is noted here.

use std::collections::BTreeSet;
use std::sync::Arc;

use openraft::error::Fatal;
use openraft::{EmptyNode, Snapshot, SnapshotMeta};
use serde::{Deserialize, Serialize};
use tacit_store::{ReplicaRows, SnapshotPart, Staging, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::ear::{Arriving, Ear};
use crate::types::{Content, Promise, Raft, Types};

/// A piece of a snapshot.
#[derive(Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Of the leader.
    pub(crate) vote: Promise,
    pub(crate) meta: SnapshotMeta<u64, EmptyNode>,
    /// The index of the last change in it.
    pub(crate) changed: u64,
    /// From 0.
    pub(crate) number: u64,
    pub(crate) what: PieceOf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PieceOf {
    /// Before all, and short: whoever waits for the first rows over a slow network knows that they come.
    Begin,
    Rows(SnapshotPart),
    /// After all; how many rows there were.
    End(u64),
}

/// What became of a piece.
#[derive(Serialize, Deserialize)]
pub(crate) struct Taken {
    /// The last vote here: whoever has an earlier one leads no more.
    pub(crate) vote: Promise,
    /// Whether the next one may come; after the last one, whether all was put in place.
    pub(crate) taken: bool,
}

/// Where pieces arrive. One snapshot at a time: the first piece of another one ends it.
pub(crate) struct Receiver {
    rows: Arc<ReplicaRows>,
    members: BTreeSet<u64>,
    ear: Ear,
    under_way: Mutex<Option<Box<UnderWay>>>,
}

struct UnderWay {
    vote: Promise,
    meta: SnapshotMeta<u64, EmptyNode>,
    changed: u64,
    next: u64,
    staging: Staging,
}

impl UnderWay {
    fn goes_on_with(&self, piece: &Piece) -> bool {
        (&self.vote, &self.meta, self.changed, self.next) == (&piece.vote, &piece.meta, piece.changed, piece.number)
    }
}

impl Receiver {
    pub(crate) fn new(rows: Arc<ReplicaRows>, members: BTreeSet<u64>, ear: Ear) -> Self {
        Self { rows, members, ear, under_way: Mutex::new(None) }
    }

    /// Takes a piece that this node sent. An error says that Raft has stopped here.
    pub(crate) async fn take(&self, raft: &Raft, from: u64, piece: Piece) -> Result<Taken, Fatal<u64>> {
        let vote = raft.metrics().borrow().vote;
        let leads = piece.vote.committed && piece.vote.leader_id.voted_for == Some(from) && piece.vote >= vote;
        let same_list = piece.meta.last_membership.voter_ids().collect::<BTreeSet<_>>() == self.members;
        if !leads || !same_list || piece.meta.last_log_id.is_none() {
            warn!(from, "a snapshot of who does not lead, or of other gateways, was refused");
            return Ok(Taken { vote, taken: false });
        }
        let mut under_way = self.under_way.lock().await;
        let sender = piece.vote.leader_id.term;
        self.ear.heard_rows(Instant::now(), sender, Arriving::Here);
        let taken = self.take_next(raft, from, vote, &mut under_way, piece).await;
        let now = Instant::now();
        self.ear.heard_rows(now, sender, if under_way.is_some() { Arriving::Since(now) } else { Arriving::Nothing });
        taken
    }

    async fn take_next(
        &self,
        raft: &Raft,
        from: u64,
        vote: Promise,
        under_way: &mut Option<Box<UnderWay>>,
        piece: Piece,
    ) -> Result<Taken, Fatal<u64>> {
        // Whatever goes wrong: it begins again.
        let known = under_way.take();
        match self.stage(known, piece).await {
            Ok(Staged::Some(more)) => {
                *under_way = Some(more);
                Ok(Taken { vote, taken: true })
            }
            Ok(Staged::All { vote: leader, snapshot }) => {
                info!(meta = %snapshot.meta, "the rows of the leading gateway are put in place");
                let answer = raft.install_full_snapshot(leader, snapshot).await?;
                Ok(Taken { vote: answer.vote, taken: answer.vote == leader })
            }
            Err(error) => {
                warn!(from, %error, "a snapshot was refused");
                Ok(Taken { vote, taken: false })
            }
        }
    }

    async fn stage(&self, known: Option<Box<UnderWay>>, piece: Piece) -> Result<Staged, Unfit> {
        let mut at = match known {
            Some(known) if known.goes_on_with(&piece) => known,
            // One that is given up must be closed before its place is taken.
            known => {
                drop(known);
                if piece.number > 0 {
                    return Err(Unfit::Order);
                }
                let staging = self.rows.stage().await?;
                Box::new(UnderWay { vote: piece.vote, meta: piece.meta, changed: piece.changed, next: 0, staging })
            }
        };
        match piece.what {
            PieceOf::Begin if at.next > 0 => Err(Unfit::Order),
            PieceOf::Begin => {
                at.next += 1;
                Ok(Staged::Some(at))
            }
            PieceOf::Rows(part) => {
                at.staging.take(&part).await?;
                at.next += 1;
                Ok(Staged::Some(at))
            }
            PieceOf::End(rows) if rows == at.staging.rows() => {
                let content = Content::Staged { rows: at.staging.finish().await?, changed: at.changed };
                let snapshot = Snapshot { meta: at.meta, snapshot: Box::new(content) };
                Ok(Staged::All { vote: at.vote, snapshot })
            }
            PieceOf::End(_) => Err(Unfit::Missing),
        }
    }
}

/// Why a piece is not taken.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it does not follow on what came before")]
    Order,
    #[error("rows are missing")]
    Missing,
    #[error(transparent)]
    Store(#[from] StoreError),
}

enum Staged {
    Some(Box<UnderWay>),
    All { vote: Promise, snapshot: Snapshot<Types> },
}
