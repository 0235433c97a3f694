//! What agreed entries do: they change the node's rows.

use std::io::Cursor;
use std::sync::Arc;

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    AnyError, EmptyNode, EntryPayload, OptionalSend, RaftSnapshotBuilder, SnapshotMeta, StorageIOError,
    StoredMembership,
};
use serde::{Deserialize, Serialize};
use tacit_store::{Change, ReplicaRows};

use crate::types::{Entry, LogIndex, StorageError, Types};

/// How far the rows follow the log, kept in one transaction with them.
const MARK: &str = "applied";

#[derive(Clone, Default, Serialize, Deserialize)]
struct Mark {
    applied: Option<LogIndex>,
    members: StoredMembership<u64, EmptyNode>,
}

/// The rows of one node, as Raft sees them.
#[derive(Clone)]
pub(crate) struct Machine {
    rows: Arc<ReplicaRows>,
    mark: Mark,
}

impl Machine {
    pub(crate) async fn open(rows: Arc<ReplicaRows>) -> Result<Self, StorageError> {
        let failed = |error: AnyError| StorageError::from(StorageIOError::read_state_machine(error));
        let text = rows.state(MARK).await.map_err(|e| failed(AnyError::new(&e)))?;
        let mark = text.map(|text| serde_json::from_str(&text)).transpose().map_err(|e| failed(AnyError::new(&e)))?;
        Ok(Self { rows, mark: mark.unwrap_or_default() })
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
        let text = serde_json::to_string(&mark).map_err(|e| failed(AnyError::new(&e)))?;
        let made = self.rows.apply(&changes, &[(MARK, text)]).await.map_err(|e| failed(AnyError::new(&e)))?;
        self.mark = mark;
        Ok(places.into_iter().map(|place| place.is_none_or(|place| made[place])).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Err(no_snapshots())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, EmptyNode>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        // The log is kept whole.
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        Err(no_snapshots())
    }
}

/// Never asked for: the policy is never to make one, and no part of the log is ever removed.
fn no_snapshots() -> StorageError {
    StorageIOError::read_snapshot(None, AnyError::error("the log is kept whole: there are no snapshots")).into()
}
