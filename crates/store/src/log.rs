//! The node's append-only log: entries, the kept hashes of its Merkle tree, its signed heads.
//!
//! The store keeps them in one piece; what a hash covers and who signs is the caller's business. A batch is
//! appended as a whole, so that one sync pays for many entries. Neither entries nor kept hashes can be changed or
//! deleted by anybody who goes through the database.

use tacit_model::UnixMillis;

use crate::db::{Conn, Scalar, ToValue, Value, args, from_row};
use crate::pages::fitting;
use crate::{Store, StoreError, What};

/// An entry to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// A word of the caller's.
    pub kind: String,
    /// What is logged.
    pub body: Vec<u8>,
    /// Its hash.
    pub leaf: [u8; 32],
    /// When it was logged.
    pub at: UnixMillis,
}

/// The hash of a complete subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogNode {
    /// Its height, above 0.
    pub level: u8,
    /// Its place among those of its height, from 0.
    pub place: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// How many entries it covers.
    pub size: u64,
    /// The signed text.
    pub note: String,
}
from_row!(LogHead { size, note });

/// Entries that are appended together, with what follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogBatch {
    /// How many entries there were when the batch was made.
    pub after: u64,
    /// The new ones.
    pub entries: Vec<NewEntry>,
    /// Subtrees that became complete.
    pub nodes: Vec<LogNode>,
    /// Heads that stay for ever, each with the number of its block, from 1.
    pub blocks: Vec<(u64, LogHead)>,
    /// The head of all; it replaces the one before.
    pub newest: LogHead,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its number, counted from 1 without gaps.
    pub seq: i64,
    /// A word of the caller's.
    pub kind: String,
    /// When it was logged.
    pub at: UnixMillis,
    /// Its hash.
    pub leaf: [u8; 32],
    /// What was logged.
    pub body: Vec<u8>,
}
from_row!(LogRow { seq, kind, at, leaf, body });

/// An entry of the hash chain that came before the Merkle log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldEntry {
    /// A word of the caller's.
    pub kind: String,
    /// What was logged.
    pub body: Vec<u8>,
    /// When it was logged.
    pub at: UnixMillis,
}
from_row!(OldEntry { kind, body, at });

impl Store {
    /// Appends a batch, all of it or nothing; `Conflict(LogHead)` if there are not exactly `after` entries.
    pub async fn log_append(&self, batch: LogBatch) -> Result<(), StoreError> {
        self.run_tx("log_append", batch, |db, batch| {
            Box::pin(async move {
                if size(db).await? != batch.after {
                    return Err(What::LogHead.into());
                }
                let mut seq = number(batch.after);
                for chunk in batch.entries.chunks(CHUNK) {
                    let mut values = Vec::with_capacity(5 * chunk.len());
                    for entry in chunk {
                        seq += 1;
                        values.push(Value::Int(Some(seq)));
                        values.extend_from_slice(args![entry.kind, entry.at, entry.leaf, entry.body]);
                    }
                    db.insert("INSERT INTO log (seq, kind, at, leaf, body) VALUES ", 5, &values).await?;
                }
                for chunk in batch.nodes.chunks(CHUNK) {
                    let mut values = Vec::with_capacity(3 * chunk.len());
                    for node in chunk {
                        values.extend([
                            Value::Int(Some(i64::from(node.level))),
                            Value::Int(Some(number(node.place))),
                            node.hash.to_value(),
                        ]);
                    }
                    db.insert("INSERT INTO log_nodes (level, place, hash) VALUES ", 3, &values).await?;
                }
                for (block, head) in &batch.blocks {
                    let sql = "INSERT INTO log_heads (block, size, note) VALUES ($1, $2, $3)";
                    db.execute(sql, args![number(*block), number(head.size), head.note]).await?;
                }
                db.execute(
                    "INSERT INTO log_heads (block, size, note) VALUES (0, $1, $2)
                     ON CONFLICT (block) DO UPDATE SET size = excluded.size, note = excluded.note",
                    args![number(batch.newest.size), batch.newest.note],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// How many entries the log has.
    pub async fn log_size(&self) -> Result<u64, StoreError> {
        size(&mut self.reader().await?).await
    }

    /// At most `max` entries from number `from` on.
    pub async fn log_entries(&self, from: i64, max: u32) -> Result<Vec<LogRow>, StoreError> {
        let sql = "SELECT * FROM log WHERE seq >= $1 ORDER BY seq LIMIT $2";
        self.reader().await?.all(sql, args![from, max]).await
    }

    /// Entries from number `from` on for one answer: at most `max`, and about 4 MiB of them, but one always; and whether
    /// there may be more. What one answer does not hold is not read.
    pub async fn log_page(&self, from: i64, max: u32) -> Result<(Vec<LogRow>, bool), StoreError> {
        let sql = "SELECT CAST(LENGTH(body) AS BIGINT) AS v FROM log WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let lengths: Vec<Scalar<u64>> = self.reader().await?.all(sql, args![from, max]).await?;
        let count = fitting(&lengths);
        let more = usize::try_from(count) != Ok(lengths.len()) || count == max;
        // The log only grows: these are the same entries.
        Ok((self.log_entries(from, count).await?, more))
    }

    /// At most `max` entries of the kinds `consensus` or `software` with numbers below `before`, newest first.
    pub async fn log_notable(&self, kind: &str, before: u64, max: u32) -> Result<Vec<LogRow>, StoreError> {
        // Says again what the index holds, or it would not be used.
        let sql = "SELECT * FROM log WHERE kind IN ('consensus', 'software') AND kind = $1 AND seq < $2
                   ORDER BY seq DESC LIMIT $3";
        self.reader().await?.all(sql, args![kind, number(before), max]).await
    }

    /// Hashes that lie side by side: of entries (level 0) or of complete subtrees; fewer than `count` if there are
    /// not so many.
    pub async fn log_hashes(&self, level: u8, from: u64, count: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        let (from, to) = (number(from), number(from.saturating_add(count)));
        let mut db = self.reader().await?;
        let hashes: Vec<Scalar<[u8; 32]>> = if level == 0 {
            let sql = "SELECT leaf AS v FROM log WHERE seq > $1 AND seq <= $2 ORDER BY seq";
            db.all(sql, args![from, to]).await?
        } else {
            let sql = "SELECT hash AS v FROM log_nodes WHERE level = $1 AND place >= $2 AND place < $3 ORDER BY place";
            db.all(sql, args![i64::from(level), from, to]).await?
        };
        Ok(hashes.into_iter().map(|Scalar(hash)| hash).collect())
    }

    /// At most `max` entries of the hash chain that came before the Merkle log, from number `from` on: kind, text, time.
    pub async fn log_before_merkle(&self, from: u64, max: u32) -> Result<Vec<OldEntry>, StoreError> {
        let sql = "SELECT kind, body, at FROM log_chain WHERE seq >= $1 ORDER BY seq LIMIT $2";
        self.reader().await?.all(sql, args![number(from), max]).await
    }

    /// The signed head of a block, from 1, or the newest one, 0.
    pub async fn log_head(&self, block: u64) -> Result<Option<LogHead>, StoreError> {
        let sql = "SELECT size, note FROM log_heads WHERE block = $1";
        self.reader().await?.optional(sql, args![number(block)]).await
    }
}

/// Rows per statement: at most 1,000 arguments, well under the limits of both databases.
const CHUNK: usize = 200;

/// Numbers of this table never come near the limit.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

async fn size(db: &mut Conn) -> Result<u64, StoreError> {
    let Scalar(size) = db.one("SELECT COALESCE(max(seq), 0) AS v FROM log", &[]).await?;
    Ok(size)
}
