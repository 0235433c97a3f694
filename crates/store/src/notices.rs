//! Gateway: where clients want to hear of their tasks.

use tacit_model::UnixMillis;

use crate::db::{args, from_row};
use crate::{Store, StoreError};

/// A task whose client has not heard of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// The task's id.
    pub task: String,
    /// Where to.
    pub url: String,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When to try next.
    pub next_at: UnixMillis,
    /// From which computation on it has not heard.
    pub told: i64,
    /// How many computations there are now.
    pub windows: i64,
    /// How the task stands now.
    pub state: String,
}
from_row!(NoticeRow { task, url, attempts, next_at, told, windows, state });

impl Store {
    /// Somebody wants to hear of a task at an address. Before the task itself is kept: an address without a task is
    /// never written to, and to one that is known its client alone adds one ([`Store::set_notice`]).
    pub async fn add_notice(&self, task: &str, url: &str, now: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("add_notice", (task.to_owned(), url.to_owned(), now), |db, (task, url, now)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO notices (task, url, told_windows, told_state, attempts, next_at)
                     SELECT $1, $2, 0, 'open', 0, $3 WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = $1)
                     ON CONFLICT (task) DO NOTHING",
                    args![task, url, now],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The client of a task that is known wants to hear of it at this address, from its beginning; an earlier address is
    /// told no more. The same address once more changes nothing, and neither does somebody else's wish.
    pub async fn set_notice(&self, task: &str, client: &str, url: &str, now: UnixMillis) -> Result<(), StoreError> {
        let wish = (task.to_owned(), client.to_owned(), url.to_owned(), now);
        self.run_tx("set_notice", wish, |db, (task, client, url, now)| {
            Box::pin(async move {
                // A task that is worked at may become durable later.
                db.execute(
                    "INSERT INTO notices (task, url, told_windows, told_state, attempts, next_at)
                     SELECT $1, $2, 0, 'open', 0, $3
                     WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = $1 AND client <> $4)
                     ON CONFLICT (task) DO UPDATE SET url = excluded.url, told_windows = 0, told_state = 'open',
                         attempts = 0, next_at = excluded.next_at WHERE notices.url <> excluded.url",
                    args![task, url, now, client],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Tasks that changed since their clients were last told, the most urgent first.
    pub async fn notices_open(&self) -> Result<Vec<NoticeRow>, StoreError> {
        let sql =
            "SELECT n.task, n.url, n.attempts, n.next_at, n.told_windows AS told, t.next_window AS windows, t.state
                   FROM notices n JOIN tasks t ON t.id = n.task
                   WHERE t.next_window > n.told_windows OR t.state <> n.told_state
                   ORDER BY n.next_at, n.task";
        self.reader().await?.all(sql, &[]).await
    }

    /// The client was told of so many computations and this state at this row's address. If it named another one while that was on its way, this changes
    /// nothing, like the next two.
    pub async fn notice_told(&self, row: &NoticeRow) -> Result<(), StoreError> {
        self.run_tx("notice_told", row.clone(), |db, row| {
            Box::pin(async move {
                db.execute(
                    "UPDATE notices SET told_windows = $2, told_state = $3, attempts = 0 WHERE task = $1 AND url = $4",
                    args![row.task, row.windows, row.state, row.url],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The client could not be told at this row's address; again at `next_at`.
    pub async fn notice_failed(&self, row: &NoticeRow, next_at: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("notice_failed", (row.clone(), next_at), |db, (row, next_at)| {
            Box::pin(async move {
                let sql = "UPDATE notices SET attempts = attempts + 1, next_at = $2 WHERE task = $1 AND url = $3";
                db.execute(sql, args![row.task, next_at, row.url]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Tells no more at this row's address: nobody wants it there, or this gateway may not write to it.
    pub async fn forget_notice(&self, row: &NoticeRow) -> Result<(), StoreError> {
        self.run_tx("forget_notice", row.clone(), |db, row| {
            Box::pin(async move {
                db.execute("DELETE FROM notices WHERE task = $1 AND url = $2", args![row.task, row.url]).await?;
                Ok(())
            })
        })
        .await
    }
}
