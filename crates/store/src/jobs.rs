//! Peer: what its parties were asked to take part in, the latest of it, for their owners.
//!
//! Rows are notes: nothing that a party may or may not do follows from them.

use tacit_model::UnixMillis;

use crate::db::{Conn, Scalar, args, from_row};
use crate::{Store, StoreError};

/// A job that a party was asked to take part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Counted from 1 at this party.
    pub number: i64,
    /// When it was asked.
    pub at: UnixMillis,
    /// A word of the caller's: how it stands.
    pub state: String,
    /// Why, for the owner.
    pub detail: String,
    /// When it ended.
    pub ended: Option<UnixMillis>,
    /// 1 if the party began to compute, 0 if it was only asked. The two do not take each other's places.
    pub computed: i64,
    /// What was asked.
    pub body: String,
}
from_row!(JobRow { number, at, state, detail, ended, computed, body });

/// How it goes with a job whose row is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProgress {
    /// As in [`JobRow`], like the others.
    pub number: i64,
    /// How it stands.
    pub state: String,
    /// Why.
    pub detail: String,
    /// When it ended.
    pub ended: Option<UnixMillis>,
}

impl Store {
    /// Notes jobs, and how it goes with those that are noted already; lets go of all but the newest `kept` that were computed,
    /// and as many others. It does not hurry: see `run_later`.
    pub async fn note_jobs(
        &self,
        party: &str,
        rows: Vec<JobRow>,
        progress: Vec<JobProgress>,
        kept: i64,
    ) -> Result<(), StoreError> {
        self.run_later("note_jobs", (party.to_owned(), rows, progress, kept), |db, (party, rows, progress, kept)| {
            Box::pin(async move {
                for row in rows {
                    put_job(db, party, row).await?;
                }
                for job in progress {
                    let sql = "UPDATE jobs SET state = $1, detail = $2, ended = $3 WHERE party = $4 AND number = $5";
                    db.execute(sql, args![job.state, job.detail, job.ended, party, job.number]).await?;
                }
                for computed in [0_i64, 1] {
                    let sql =
                        "DELETE FROM jobs WHERE party = $1 AND computed = $2 AND number <= (SELECT number FROM jobs
                                   WHERE party = $1 AND computed = $2 ORDER BY number DESC LIMIT 1 OFFSET $3)";
                    db.execute(sql, args![party, computed, kept]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The jobs of a party, newest first: at most so many that were computed, and as many others.
    pub async fn jobs(&self, party: &str, max: u32) -> Result<Vec<JobRow>, StoreError> {
        let sql = "SELECT number, at, state, detail, ended, computed, body FROM jobs WHERE party = $1 AND (
                       number IN (SELECT number FROM jobs WHERE party = $1 AND computed = 0 ORDER BY number DESC LIMIT $2)
                       OR number IN (SELECT number FROM jobs WHERE party = $1 AND computed = 1 ORDER BY number DESC LIMIT $2))
                   ORDER BY number DESC";
        self.reader().await?.all(sql, args![party, max]).await
    }

    /// The number of a party's latest job, 0 if there is none. Those that had not ended when the node stopped get this state.
    pub async fn take_up_jobs(&self, party: &str, state: &str, now: UnixMillis) -> Result<i64, StoreError> {
        self.run_tx("take_up_jobs", (party.to_owned(), state.to_owned(), now), |db, (party, state, now)| {
            Box::pin(async move {
                let sql = "UPDATE jobs SET state = $1, ended = $2 WHERE party = $3 AND ended IS NULL";
                db.execute(sql, args![state, now, party]).await?;
                let sql = "SELECT COALESCE(max(number), 0) AS v FROM jobs WHERE party = $1";
                let Scalar(latest) = db.one(sql, args![party]).await?;
                Ok(latest)
            })
        })
        .await
    }
}

/// Notes a job as it stands. What is older, and was overtaken on its way by the one that began to compute, changes nothing.
pub(crate) async fn put_job(db: &mut Conn, party: &str, row: &JobRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO jobs (party, number, at, state, detail, ended, computed, body)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
               ON CONFLICT (party, number) DO UPDATE SET at = excluded.at, state = excluded.state,
                   detail = excluded.detail, ended = excluded.ended, computed = excluded.computed, body = excluded.body
               WHERE excluded.computed >= jobs.computed";
    let args = args![party, row.number, row.at, row.state, row.detail, row.ended, row.computed, row.body];
    db.execute(sql, args).await.map(drop)
}
