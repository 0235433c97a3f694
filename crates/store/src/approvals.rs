//! Peer: tasks that its owner is or was asked about.

use tacit_model::{RunId, Slot, UnixMillis};

use crate::db::{Conn, Scalar, args, from_row};
use crate::{Store, StoreError, What};

/// A task that an owner is or was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// The task's id.
    pub task: String,
    /// `waiting`, `approved` or `refused`.
    pub state: String,
    /// The request, JSON in the caller's form.
    pub ask_json: String,
    /// The certificate of the client, if it signed.
    pub client: Option<String>,
    /// When it was first asked.
    pub asked: UnixMillis,
    /// When the owner decided.
    pub decided: Option<UnixMillis>,
}
from_row!(ApprovalRow { task, state, ask_json, client, asked, decided });

/// So many undecided ones are remembered of a party; a flood of tasks pushes out the oldest.
const MOST_WAITING: i64 = 1000;

impl Store {
    /// One task that the owner is or was asked about.
    pub async fn approval(&self, party: &str, task: &str) -> Result<Option<ApprovalRow>, StoreError> {
        let sql = "SELECT task, state, ask_json, client, asked, decided FROM approvals WHERE party = $1 AND task = $2";
        self.reader().await?.optional(sql, args![party, task]).await
    }

    /// The latest tasks that the owner is or was asked about, newest first.
    pub async fn approvals(&self, party: &str, most: i64) -> Result<Vec<ApprovalRow>, StoreError> {
        let sql = "SELECT task, state, ask_json, client, asked, decided FROM approvals WHERE party = $1
                   ORDER BY asked DESC, task LIMIT $2";
        self.reader().await?.all(sql, args![party, most]).await
    }

    /// Asks the owner. Asking again changes nothing.
    pub async fn ask_owner(&self, party: &str, row: ApprovalRow) -> Result<(), StoreError> {
        self.run_tx("ask_owner", (party.to_owned(), row), |db, (party, row)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO approvals (party, task, state, ask_json, client, asked, decided)
                     VALUES ($1, $2, $3, $4, $5, $6, NULL) ON CONFLICT (party, task) DO NOTHING",
                    args![party, row.task, row.state, row.ask_json, row.client, row.asked],
                )
                .await?;
                db.execute(
                    "DELETE FROM approvals WHERE party = $1 AND state = 'waiting' AND task NOT IN
                         (SELECT task FROM approvals WHERE party = $1 AND state = 'waiting'
                          ORDER BY asked DESC, task LIMIT $2)",
                    args![party, MOST_WAITING],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The owner's decision, which may change until the last computation of the task is frozen; `false` if it is, or nobody
    /// asked. Of a refusal and a [freeze](Store::freeze) at the same time, one is in vain.
    pub async fn decide_approval(
        &self,
        party: &str,
        task: &str,
        state: &str,
        (run, last): (RunId, Slot),
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let args = (party.to_owned(), task.to_owned(), state.to_owned(), run, last, now);
        self.run_tx("decide_approval", args, |db, (party, task, state, run, last, now)| {
            Box::pin(async move {
                let decided = db
                    .execute(
                        "UPDATE approvals SET state = $3, decided = $4 WHERE party = $1 AND task = $2
                         AND NOT EXISTS (SELECT 1 FROM freezes WHERE party = $1 AND run = $5 AND slot = $6)",
                        args![party, task, state, now, run, last],
                    )
                    .await?;
                Ok(decided > 0)
            })
        })
        .await
    }
}

/// `Conflict(Refused)` if the owner has refused a task. To be asked in the transaction that binds this peer to it: so a refusal
/// holds from when it is acknowledged.
pub(crate) async fn not_refused(db: &mut Conn, party: &str, task: &str) -> Result<(), StoreError> {
    let sql = "SELECT count(*) AS v FROM approvals WHERE party = $1 AND task = $2 AND state = 'refused'";
    let Scalar(refused): Scalar<u64> = db.one(sql, args![party, task]).await?;
    if refused > 0 { Err(What::Refused.into()) } else { Ok(()) }
}
