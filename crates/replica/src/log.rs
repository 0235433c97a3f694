//! Raft's log on the node's disk.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tacit_store::ReplicaRows;

use crate::types::{Entry, LogIndex, Promise, StorageError, Types};

/// What each node promised: its vote.
const VOTE: &str = "vote";
/// The last entry that was removed.
const PURGED: &str = "purged";

/// Entries go to another node together up to this length, counted as text: where the network is slow, and the link breaks on
/// the way, no more is lost.
const BATCH: usize = 256 << 10;
/// Entries that are read at once.
const READ: u64 = 8;

/// The log of one node.
#[derive(Clone)]
pub(crate) struct Log {
    rows: Arc<ReplicaRows>,
}

impl Log {
    pub(crate) fn new(rows: Arc<ReplicaRows>) -> Self {
        Self { rows }
    }

    /// The last vote and the last entry.
    pub(crate) async fn promised(&mut self) -> Result<(Option<Promise>, Option<LogIndex>), StorageError> {
        Ok((self.read_vote().await?, self.get_log_state().await?.last_log_id))
    }

    async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StorageError> {
        let text = self.rows.state(name).await.map_err(reading)?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(reading)
    }

    async fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StorageError> {
        let text = serde_json::to_string(value).map_err(writing)?;
        self.rows.set_state(name, &text).await.map_err(writing)
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let below = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(below) => *below,
            Bound::Unbounded => u64::MAX,
        };
        let lines = self.rows.entries(from, below).await.map_err(reading)?;
        lines.iter().map(|(_, body)| serde_json::from_str(body).map_err(reading)).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        let (mut entries, mut length, mut next) = (Vec::new(), 0, start);
        while next < end {
            let lines = self.rows.entries(next, end.min(next + READ)).await.map_err(reading)?;
            // Removed meanwhile: Raft asks again.
            if lines.is_empty() {
                break;
            }
            for (index, body) in lines {
                length += body.len();
                // At least one, however long.
                if length > BATCH && !entries.is_empty() {
                    return Ok(entries);
                }
                entries.push(serde_json::from_str(&body).map_err(reading)?);
                next = index + 1;
            }
        }
        Ok(entries)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let purged: Option<LogIndex> = self.read(PURGED).await?;
        let last = self.rows.last().await.map_err(reading)?;
        let last = last.map(|(_, body)| serde_json::from_str::<Entry>(&body)).transpose().map_err(reading)?;
        // After a crash entries may be left that count as removed.
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.map(|entry| entry.log_id).max(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Promise) -> Result<(), StorageError> {
        self.write(VOTE, vote).await
    }

    async fn read_vote(&mut self) -> Result<Option<Promise>, StorageError> {
        self.read(VOTE).await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let lines = entries
            .into_iter()
            .map(|entry| Ok((entry.log_id.index, serde_json::to_string(&entry)?)))
            .collect::<Result<Vec<_>, serde_json::Error>>()
            .map_err(writing)?;
        let kept = self.rows.append(&lines).await;
        callback.log_io_completed(kept.clone().map_err(std::io::Error::other));
        kept.map_err(writing)
    }

    async fn truncate(&mut self, from: LogIndex) -> Result<(), StorageError> {
        self.rows.truncate(from.index).await.map_err(writing)
    }

    async fn purge(&mut self, to: LogIndex) -> Result<(), StorageError> {
        self.write(PURGED, &to).await?;
        self.rows.purge(to.index).await.map_err(writing)
    }
}

fn reading(error: impl std::error::Error + 'static) -> StorageError {
    openraft::StorageIOError::read_logs(openraft::AnyError::new(&error)).into()
}

fn writing(error: impl std::error::Error + 'static) -> StorageError {
    openraft::StorageIOError::write_logs(openraft::AnyError::new(&error)).into()
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, EntryPayload};
    use tacit_store::Change;

    use super::*;

    /// A change with so many bytes in it. Nobody makes it.
    fn entry(index: u64, length: usize) -> Entry {
        let statement = serde_json::json!({"sql": "x".repeat(length), "args": []});
        let change: Change =
            serde_json::from_value(serde_json::json!({"after": 0, "statements": [statement]})).unwrap();
        let log_id = LogIndex::new(CommittedLeaderId::new(1, 1), index);
        Entry { log_id, payload: EntryPayload::Normal(change) }
    }

    /// Many long entries at once would be lost together where a link breaks.
    #[tokio::test]
    async fn w1_entries_are_sent_in_short_batches_and_each_of_them_is_sent() {
        const KIB: usize = 1 << 10;
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", folder.path().join("tacit.db").display());
        let rows = Arc::new(ReplicaRows::open(&address).await.unwrap());
        let lengths = [1, 100 * KIB, 100 * KIB, 100 * KIB, 600 * KIB, 1].into_iter().chain([1; 40]);
        let entries = (1..).zip(lengths).map(|(index, length)| entry(index, length));
        let lines: Vec<_> = entries.map(|entry| (entry.log_id.index, serde_json::to_string(&entry).unwrap())).collect();
        rows.append(&lines).await.unwrap();
        let mut log = Log::new(rows);
        let (end, mut next, mut batches) = (47, 1, Vec::new());
        while next < end {
            let batch = log.limited_get_log_entries(next, end).await.unwrap();
            let length: usize = batch.iter().map(|entry| serde_json::to_string(entry).unwrap().len()).sum();
            assert!(batch.len() == 1 || length <= BATCH, "{length}");
            let indices: Vec<_> = batch.iter().map(|entry| entry.log_id.index).collect();
            let from_here: Vec<_> = (next..).take(indices.len()).collect();
            assert_eq!(indices, from_here);
            batches.push(indices.len());
            next += batch.len() as u64;
        }
        // The short one and two long ones, the third, the one that is longer than a batch, and all that are short.
        assert_eq!(batches, [3, 1, 1, 41]);
        assert_eq!(log.limited_get_log_entries(6, 9).await.unwrap().len(), 3);
        assert!(log.limited_get_log_entries(9, 9).await.unwrap().is_empty());
    }
}
