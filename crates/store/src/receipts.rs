//! Receipts of results, kept by the gateway and by parties; and those that are owed, written with the result.

use tacit_model::{GroupId, RunId, SessionId, Slot, UnixMillis};

use crate::db::{Conn, Scalar, args, from_row};
use crate::{Store, StoreError};

/// The holder of receipts that the gateway is, beside the parties of its node; no party has this name.
pub const GATEWAY_HOLDER: &str = "";

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    /// The session whose result it is about.
    pub session: SessionId,
    /// The group.
    pub gid: GroupId,
    /// The run.
    pub run: RunId,
    /// The slot.
    pub slot: Slot,
    /// The receipt.
    pub body: String,
    /// What concerns its holder alone: whether its own data counted.
    pub own: Option<String>,
    /// When it became durable here.
    pub at: UnixMillis,
}
from_row!(ReceiptRow { session, gid, run, slot, body, own, at });

/// A receipt that is owed: the result is durable, its receipt is not issued (gateway) or has not come (party).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedRow {
    /// The session whose result it is about.
    pub session: SessionId,
    /// The group.
    pub gid: GroupId,
    /// The run.
    pub run: RunId,
    /// The slot.
    pub slot: Slot,
    /// What its holder needs to issue it, or to give its part.
    pub body: String,
    /// When the result became durable here.
    pub at: UnixMillis,
}
from_row!(OwedRow { session, gid, run, slot, body, at });

impl Store {
    /// Notes that a receipt is owed, where no result is stored with it. One that is there stays.
    pub async fn owe(&self, holder: &str, row: OwedRow) -> Result<(), StoreError> {
        self.run_one_write((holder.to_owned(), row), |db, (holder, row)| Box::pin(insert_owed(db, holder, row))).await
    }

    /// The same for what nobody waits for: it shares its commit with others.
    pub async fn owe_later(&self, holder: &str, row: OwedRow) -> Result<(), StoreError> {
        self.run_later("owe", (holder.to_owned(), row), |db, (holder, row)| Box::pin(insert_owed(db, holder, row)))
            .await
    }

    /// What is owed for a session.
    pub async fn owed(&self, holder: &str, session: SessionId) -> Result<Option<OwedRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, body, at FROM receipts_owed WHERE holder = $1 AND session = $2";
        self.reader().await?.optional(sql, args![holder, session.to_string()]).await
    }

    /// The newest of what is owed, at most so many.
    pub async fn all_owed(&self, holder: &str, max: u32) -> Result<Vec<OwedRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, body, at FROM receipts_owed WHERE holder = $1
                   ORDER BY at DESC, session LIMIT $2";
        self.reader().await?.all(sql, args![holder, max]).await
    }

    /// Keeps a receipt for a party, or for the gateway (empty name); it is owed no more. One that is there stays.
    pub async fn put_receipt(&self, holder: &str, row: ReceiptRow) -> Result<(), StoreError> {
        self.run_later("put_receipt", (holder.to_owned(), row), |db, (holder, row)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO receipts (holder, session, gid, run, slot, body, own, at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (holder, session) DO NOTHING",
                    args![holder, row.session.to_string(), row.gid, row.run, row.slot, row.body, row.own, row.at],
                )
                .await?;
                let sql = "DELETE FROM receipts_owed WHERE holder = $1 AND session = $2";
                db.execute(sql, args![holder, row.session.to_string()]).await?;
                Ok(())
            })
        })
        .await
    }

    /// A holder's receipts of a group that became durable at this moment or later, oldest first, at most so many; but
    /// all of the first moment, however many: who asks on from the moment of the last one gets others.
    pub async fn receipts_since(
        &self,
        holder: &str,
        gid: GroupId,
        since: UnixMillis,
        max: u32,
    ) -> Result<Vec<ReceiptRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, body, own, at FROM receipts
                   WHERE holder = $1 AND gid = $2 AND at >= $3 ORDER BY at, run, slot LIMIT $4";
        let mut max = max.max(1);
        loop {
            let rows: Vec<ReceiptRow> = self.reader().await?.all(sql, args![holder, gid, since, max]).await?;
            let all = rows.len() < usize::try_from(max).unwrap_or(usize::MAX);
            if all || max == u32::MAX || rows.last().is_some_and(|row| row.at > since) {
                return Ok(rows);
            }
            max = max.saturating_mul(2);
        }
    }

    /// One receipt.
    pub async fn receipt(&self, holder: &str, session: SessionId) -> Result<Option<ReceiptRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, body, own, at FROM receipts WHERE holder = $1 AND session = $2";
        self.reader().await?.optional(sql, args![holder, session.to_string()]).await
    }

    /// Whether a holder has a receipt of this slot.
    pub async fn has_receipt(&self, holder: &str, gid: GroupId, run: RunId, slot: Slot) -> Result<bool, StoreError> {
        let sql = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM receipts
                       WHERE holder = $1 AND gid = $2 AND run = $3 AND slot = $4) THEN 1 ELSE 0 END AS BIGINT) AS v";
        let Scalar(there): Scalar<i64> = self.reader().await?.one(sql, args![holder, gid, run, slot]).await?;
        Ok(there == 1)
    }

    /// The newest receipts of a holder, at most so many, without the documents.
    pub async fn receipts(&self, holder: &str, max: u32) -> Result<Vec<ReceiptRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, '' AS body, CAST(NULL AS TEXT) AS own, at FROM receipts
                   WHERE holder = $1 ORDER BY at DESC, gid DESC, run DESC, slot DESC LIMIT $2";
        self.reader().await?.all(sql, args![holder, max]).await
    }
}

/// Notes that a receipt is owed, within a transaction that makes its result durable; not if it is there.
pub(crate) async fn insert_owed(db: &mut Conn, holder: &str, row: &OwedRow) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO receipts_owed (holder, session, gid, run, slot, body, at)
         SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS
             (SELECT 1 FROM receipts WHERE holder = $1 AND session = $2)
         ON CONFLICT (holder, session) DO NOTHING",
        args![holder, row.session.to_string(), row.gid, row.run, row.slot, row.body, row.at],
    )
    .await?;
    Ok(())
}
