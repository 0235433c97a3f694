//! Whether a node still has what it acknowledged.
//!
//! A data folder that was restored from an older copy, or emptied, has forgotten entries that were counted as kept here,
//! and votes: the node could lose what was acknowledged, and vote twice. So a leader says what a node that was started
//! anew had acknowledged to it before; a node that has less ends for good. For its first second it votes for nobody,
//! so that it hears of that first.
//!
//! Only the leader of the time remembers, and only what it was told since it leads: where all gateways are down
//! together, or another one has come to lead since, nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tacit_store::{ReplicaRows, StoreError};

use crate::error::ReplicaError;
use crate::log::Log;
use crate::types::{LogIndex, Promise, StorageError};

/// Kept where something is missing.
const FORGOTTEN: &str = "forgotten";

/// What a node had when it was started.
pub(crate) struct Memory {
    term: u64,
    last: Option<LogIndex>,
    rows: Arc<ReplicaRows>,
    /// Something is missing, as was noticed since.
    lost: Arc<AtomicBool>,
}

impl Memory {
    /// Before Raft runs; refused where it was noticed before that something is missing.
    pub(crate) async fn open(rows: Arc<ReplicaRows>) -> Result<Self, ReplicaError> {
        let failed = |error: StorageError| ReplicaError::Start(error.to_string());
        let kept = rows.state(FORGOTTEN).await.map_err(|error| ReplicaError::Start(error.to_string()))?;
        if kept.is_some() {
            return Err(ReplicaError::Forgotten);
        }
        let mut log = Log::new(Arc::clone(&rows));
        let (vote, last) = log.promised().await.map_err(failed)?;
        Ok(Self { term: vote.map_or(0, |vote| vote.leader_id.term), last, rows, lost: Arc::default() })
    }

    /// Whether this node, when it was started, did not have what it had acknowledged to this leader. Under a later
    /// leader, which it would know, it may have been taken back rightly.
    pub(crate) fn lacks(&self, leader: &Promise, acknowledged: Option<LogIndex>) -> bool {
        acknowledged > self.last && self.term <= leader.leader_id.term
    }

    /// This node must not be used any more.
    pub(crate) async fn give_up(&self) -> Result<(), StoreError> {
        self.lost.store(true, Ordering::Release);
        self.rows.set_state(FORGOTTEN, "1").await
    }

    /// Raised as soon as this node must not be used any more. Whoever holds it does not hold the rows.
    pub(crate) fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }
}
