//! What agreed entries do: they change the node's rows.

use std::sync::Arc;

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    AnyError, EmptyNode, EntryPayload, OptionalSend, RaftSnapshotBuilder, SnapshotMeta, StorageIOError,
    StoredMembership,
};
use serde::{Deserialize, Serialize};
use tacit_store::{Change, ReplicaRows};

use crate::types::{Content, Entry, LogIndex, StorageError, Types};

/// How far the rows follow the log, kept in one transaction with them.
const MARK: &str = "applied";
/// How far they are on the disk for certain, so that the log is not needed up to there.
const SETTLED: &str = "settled";

#[derive(Clone, Default, Serialize, Deserialize)]
struct Mark {
    applied: Option<LogIndex>,
    members: StoredMembership<u64, EmptyNode>,
}

impl Mark {
    fn read(text: Option<&str>) -> Result<Self, AnyError> {
        let read = text.map(serde_json::from_str).transpose().map_err(|e| AnyError::new(&e))?;
        Ok(read.unwrap_or_default())
    }

    fn text(&self) -> Result<String, AnyError> {
        serde_json::to_string(self).map_err(|e| AnyError::new(&e))
    }

    fn meta(self) -> SnapshotMeta<u64, EmptyNode> {
        let snapshot_id = self.applied.map(|applied| applied.to_string()).unwrap_or_default();
        SnapshotMeta { last_log_id: self.applied, last_membership: self.members, snapshot_id }
    }
}

/// The rows of one node, as Raft sees them.
#[derive(Clone)]
pub(crate) struct Machine {
    rows: Arc<ReplicaRows>,
    mark: Mark,
    /// How far the log was not needed when this node was started, until Raft has asked.
    settled: Option<Mark>,
}

impl Machine {
    pub(crate) async fn open(rows: Arc<ReplicaRows>) -> Result<Self, StorageError> {
        let failed = |error: AnyError| StorageError::from(StorageIOError::read_state_machine(error));
        let mark = rows.state(MARK).await.map_err(|e| failed(AnyError::new(&e)))?;
        let settled = rows.state(SETTLED).await.map_err(|e| failed(AnyError::new(&e)))?;
        let [mark, settled] = [mark, settled].map(|text| Mark::read(text.as_deref()));
        Ok(Self { rows, mark: mark.map_err(failed)?, settled: Some(settled.map_err(failed)?) })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogIndex>, StoredMembership<u64, EmptyNode>), StorageError> {
        Ok((self.mark.applied, self.mark.members.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<bool>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut mark = self.mark.clone();
        let mut changes: Vec<(u64, Change)> = Vec::new();
        // For each entry the place of its change, if it has one.
        let mut places = Vec::new();
        for entry in entries {
            mark.applied = Some(entry.log_id);
            places.push(match entry.payload {
                EntryPayload::Normal(change) => {
                    changes.push((entry.log_id.index, change));
                    Some(changes.len() - 1)
                }
                EntryPayload::Membership(members) => {
                    mark.members = StoredMembership::new(Some(entry.log_id), members);
                    None
                }
                EntryPayload::Blank => None,
            });
        }
        // A replica that cannot do what the others did must not go on: Raft stops here.
        let failed = |error: AnyError| StorageError::from(StorageIOError::write_state_machine(error));
        let text = mark.text().map_err(failed)?;
        let made = self.rows.apply(&changes, &[(MARK, text)]).await.map_err(|e| failed(AnyError::new(&e)))?;
        self.mark = mark;
        Ok(places.into_iter().map(|place| place.is_none_or(|place| made[place])).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Content>, StorageError> {
        // Pieces are taken by `receive`.
        Ok(Box::new(Content::Kept))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, EmptyNode>,
        snapshot: Box<Content>,
    ) -> Result<(), StorageError> {
        let failed =
            |error: AnyError| StorageError::from(StorageIOError::write_snapshot(Some(meta.signature()), error));
        let Content::Staged { rows, changed } = *snapshot else {
            return Err(failed(AnyError::error("a snapshot without rows")));
        };
        let mark = Mark { applied: meta.last_log_id, members: meta.last_membership.clone() };
        let text = mark.text().map_err(failed)?;
        let marks = [(MARK, text.clone()), (SETTLED, text)];
        self.rows.install(&rows, changed, &marks).await.map_err(|e| failed(AnyError::new(&e)))?;
        self.mark = mark;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        // The first time Raft is about to start and asks what it may forget of the log. Later it wants to send.
        if let Some(settled) = self.settled.take() {
            let meta = settled.meta();
            return Ok(meta.last_log_id.is_some().then(|| Snapshot { meta, snapshot: Box::new(Content::Kept) }));
        }
        let failed = |error: AnyError| StorageError::from(StorageIOError::read_snapshot(None, error));
        let picture = self.rows.picture(MARK).await.map_err(|e| failed(AnyError::new(&e)))?;
        let meta = Mark::read(picture.mark()).map_err(failed)?.meta();
        Ok(meta.last_log_id.is_some().then(|| Snapshot { meta, snapshot: Box::new(Content::Here(Box::new(picture))) }))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    /// Makes certain that the rows are on the disk; then the log that led there may go.
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let failed = |error: AnyError| StorageError::from(StorageIOError::write_snapshot(None, error));
        let text = self.mark.text().map_err(failed)?;
        // It is synced, and with it whatever was written to the same file before.
        self.rows.set_state(SETTLED, &text).await.map_err(|e| failed(AnyError::new(&e)))?;
        Ok(Snapshot { meta: self.mark.clone().meta(), snapshot: Box::new(Content::Kept) })
    }
}
