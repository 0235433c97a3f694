//! Receipts of results, kept by the gateway and by parties.

use tacit_model::{GroupId, RunId, SessionId, Slot, UnixMillis};

use crate::db::{args, from_row};
use crate::{Store, StoreError};

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

impl Store {
    /// Keeps a receipt for a party, or for the gateway (empty name). One that is there stays.
    pub async fn put_receipt(&self, holder: &str, row: ReceiptRow) -> Result<(), StoreError> {
        self.run_later("put_receipt", (holder.to_owned(), row), |db, (holder, row)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO receipts (holder, session, gid, run, slot, body, own, at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (holder, session) DO NOTHING",
                    args![holder, row.session.to_string(), row.gid, row.run, row.slot, row.body, row.own, row.at],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// One receipt.
    pub async fn receipt(&self, holder: &str, session: SessionId) -> Result<Option<ReceiptRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, body, own, at FROM receipts WHERE holder = $1 AND session = $2";
        self.reader().await?.optional(sql, args![holder, session.to_string()]).await
    }

    /// The newest receipts of a holder, at most so many.
    pub async fn receipts(&self, holder: &str, max: u32) -> Result<Vec<ReceiptRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, body, own, at FROM receipts WHERE holder = $1
                   ORDER BY at DESC, gid DESC, run DESC, slot DESC LIMIT $2";
        self.reader().await?.all(sql, args![holder, max]).await
    }
}
