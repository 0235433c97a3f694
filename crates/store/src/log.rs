//! The node's append-only log. The store keeps the chain in one piece; what a hash covers is the caller's business.

use tacit_model::UnixMillis;

use crate::db::{Conn, args, from_row};
use crate::{Store, StoreError, What};

/// The last entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Its number, counted from 1.
    pub seq: i64,
    /// Its hash.
    pub hash: [u8; 32],
}
from_row!(LogHead { seq, hash });

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its number, counted from 1 without gaps.
    pub seq: i64,
    /// A word of the caller's.
    pub kind: String,
    /// What was logged.
    pub body: Vec<u8>,
    /// Its hash.
    pub hash: [u8; 32],
    /// The hash of the entry before, none for the first.
    pub prev: Option<[u8; 32]>,
    /// When it was logged.
    pub at: UnixMillis,
}
from_row!(LogRow { seq, kind, body, hash, prev, at });

impl Store {
    /// Appends an entry if the head's hash is `expected_prev` (none for an empty log), else `Conflict(LogHead)`;
    /// the entry's number.
    pub async fn log_append(
        &self,
        kind: &str,
        body: &[u8],
        hash: [u8; 32],
        expected_prev: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Result<i64, StoreError> {
        let args = (kind.to_owned(), body.to_vec(), hash, expected_prev, now);
        self.run_tx("log_append", args, |db, (kind, body, hash, expected, now)| {
            Box::pin(async move {
                let head = head(db).await?;
                if head.map(|head| head.hash) != *expected {
                    return Err(What::LogHead.into());
                }
                let seq = head.map_or(0, |head| head.seq) + 1;
                db.execute(
                    "INSERT INTO log (seq, kind, body, hash, prev, at) VALUES ($1, $2, $3, $4, $5, $6)",
                    args![seq, kind, body, hash, expected, now],
                )
                .await?;
                Ok(seq)
            })
        })
        .await
    }

    /// The last entry.
    pub async fn log_head(&self) -> Result<Option<LogHead>, StoreError> {
        head(&mut self.reader().await?).await
    }

    /// At most `max` entries from number `from` on.
    pub async fn log_entries(&self, from: i64, max: u32) -> Result<Vec<LogRow>, StoreError> {
        let sql = "SELECT * FROM log WHERE seq >= $1 ORDER BY seq LIMIT $2";
        self.reader().await?.all(sql, args![from, max]).await
    }
}

async fn head(db: &mut Conn) -> Result<Option<LogHead>, StoreError> {
    db.optional("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1", &[]).await
}
