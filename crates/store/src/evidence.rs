//! Evidence against compute peers that lied about their shares of results, kept by parties.

use tacit_model::{GroupId, RunId, SessionId, Slot, UnixMillis};

use crate::db::{args, from_row};
use crate::{Store, StoreError};

/// The evidence of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRow {
    /// The session.
    pub session: SessionId,
    /// The group.
    pub gid: GroupId,
    /// The run.
    pub run: RunId,
    /// The slot.
    pub slot: Slot,
    /// The fingerprints of those it convicts, separated by spaces.
    pub accused: String,
    /// The document. It shows a part of the result.
    pub body: String,
    /// When it became durable here.
    pub at: UnixMillis,
}
from_row!(EvidenceRow { session, gid, run, slot, accused, body, at });

impl Store {
    /// Keeps what convicts peers in a session, durably; what is there already stays. It goes with the results of the run,
    /// or with the party.
    pub async fn put_evidence(&self, party: &str, row: EvidenceRow) -> Result<(), StoreError> {
        self.run_one_write((party.to_owned(), row), |db, (party, row)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO evidence (party, session, gid, run, slot, accused, body, at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (party, session) DO NOTHING",
                    args![party, row.session.to_string(), row.gid, row.run, row.slot, row.accused, row.body, row.at],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The evidence of one session.
    pub async fn evidence(&self, party: &str, session: SessionId) -> Result<Option<EvidenceRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, accused, body, at FROM evidence WHERE party = $1 AND session = $2";
        self.reader().await?.optional(sql, args![party, session.to_string()]).await
    }

    /// The newest evidence that a party holds, at most so much, without the documents.
    pub async fn all_evidence(&self, party: &str, max: u32) -> Result<Vec<EvidenceRow>, StoreError> {
        let sql = "SELECT session, gid, run, slot, accused, '' AS body, at FROM evidence WHERE party = $1
                   ORDER BY at DESC, session LIMIT $2";
        self.reader().await?.all(sql, args![party, max]).await
    }
}
