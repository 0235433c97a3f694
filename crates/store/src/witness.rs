//! Witnesses: what parties of this node saw of their gateways' logs, and who co-signed this node's log.

use tacit_model::{Fingerprint, UnixMillis};

use crate::db::{args, from_row};
use crate::{Store, StoreError};

/// What a party saw last of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessedRow {
    /// Entries of the log then.
    pub size: u64,
    /// The signed note.
    pub note: String,
    /// A signed note that contradicts it, if one was shown.
    pub disputed: Option<String>,
    /// When.
    pub at: UnixMillis,
}
from_row!(WitnessedRow { size, note, disputed, at });

/// The last checkpoint of this node's log that a witness co-signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignatureRow {
    /// Who.
    pub witness: Fingerprint,
    /// Its public key, base64.
    pub witness_key: String,
    /// Entries of the log then.
    pub size: u64,
    /// The note with both signatures.
    pub note: String,
    /// When.
    pub at: UnixMillis,
}
from_row!(CosignatureRow { witness, witness_key, size, note, at });

impl Store {
    /// What a party saw last of a log.
    pub async fn witnessed(&self, party: &str, log: Fingerprint) -> Result<Option<WitnessedRow>, StoreError> {
        let sql = "SELECT size, note, disputed, at FROM witnessed WHERE party = $1 AND log = $2";
        self.reader().await?.optional(sql, args![party, log.to_string()]).await
    }

    /// Remembers what a party saw of a log, never less than before; not once the log is disputed.
    pub async fn set_witnessed(&self, party: &str, log: Fingerprint, seen: WitnessedRow) -> Result<(), StoreError> {
        let args = (party.to_owned(), log.to_string(), seen);
        self.run_tx("set_witnessed", args, |db, (party, log, seen)| {
            Box::pin(async move {
                let size = i64::try_from(seen.size).unwrap_or(i64::MAX);
                db.execute(
                    "INSERT INTO witnessed (party, log, size, note, disputed, at) VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (party, log) DO UPDATE SET size = excluded.size, note = excluded.note,
                         disputed = excluded.disputed, at = excluded.at
                     WHERE witnessed.disputed IS NULL AND witnessed.size <= excluded.size",
                    args![party, log, size, seen.note, seen.disputed, seen.at],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes the head that disputed the last one in its place; `false` if it is not that one any more.
    pub async fn settle_witnessed(
        &self,
        party: &str,
        log: Fingerprint,
        disputed: &str,
        size: u64,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let args = (party.to_owned(), log.to_string(), disputed.to_owned(), size, now);
        self.run_one_write(args, |db, (party, log, disputed, size, now)| {
            Box::pin(async move {
                let size = i64::try_from(*size).unwrap_or(i64::MAX);
                let settled = db
                    .execute(
                        "UPDATE witnessed SET size = $4, note = $3, disputed = NULL, at = $5
                         WHERE party = $1 AND log = $2 AND disputed = $3",
                        args![party, log, disputed, size, now],
                    )
                    .await?;
                Ok(settled > 0)
            })
        })
        .await
    }

    /// Keeps a co-signed checkpoint in place of the witness's last one.
    pub async fn set_cosignature(&self, row: CosignatureRow) -> Result<(), StoreError> {
        self.run_tx("set_cosignature", row, |db, row| {
            Box::pin(async move {
                let size = i64::try_from(row.size).unwrap_or(i64::MAX);
                db.execute(
                    "INSERT INTO cosignatures (witness, witness_key, size, note, at) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (witness) DO UPDATE SET size = excluded.size, note = excluded.note, at = excluded.at
                     WHERE cosignatures.size <= excluded.size",
                    args![row.witness.to_string(), row.witness_key, size, row.note, row.at],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// All co-signed checkpoints of this node's log, by witness.
    pub async fn cosignatures(&self) -> Result<Vec<CosignatureRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM cosignatures ORDER BY witness", &[]).await
    }
}
