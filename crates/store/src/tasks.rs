//! Gateway: tasks of clients. A task is durable before its client hears of it, so that it survives the
//! gateway; what became of it never holds a result that the gateway was not told.

use tacit_model::{GroupId, Slot, UnixMillis};

use crate::db::{Scalar, args, from_row};
use crate::pages::fitting;
use crate::receipts::{GATEWAY_HOLDER, insert_owed};
use crate::{OwedRow, Store, StoreError, What};

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// Its id.
    pub id: String,
    /// Its group.
    pub gid: GroupId,
    /// Whose it is: the name of a token, or a certificate.
    pub client: String,
    /// The client's word for "the same request".
    pub idempotency: Option<String>,
    /// The signed request, JSON in the caller's form.
    pub ask_json: String,
    /// `open`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Why.
    pub detail: String,
    /// The next computation.
    pub next_window: Slot,
    /// When it was handed in.
    pub created: UnixMillis,
    /// When it last changed.
    pub updated: UnixMillis,
}
from_row!(TaskRow { id, gid, client, idempotency, ask_json, state, detail, next_window, created, updated });

/// What became of one computation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskWindowRow {
    /// Which.
    pub slot: Slot,
    /// JSON in the caller's form.
    pub body_json: String,
    /// When.
    pub at: UnixMillis,
}
from_row!(TaskWindowRow { slot, body_json, at });

/// Which computations of a task, or slots or results of a run, where there are more than one answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// The last ones.
    Newest,
    /// The first ones from here on.
    From(Slot),
}

impl Store {
    /// Keeps a new task. `Conflict(Task)` if it is known, or its client has used its idempotency key.
    pub async fn add_task(&self, row: TaskRow) -> Result<(), StoreError> {
        self.run_one_write(row, |db, row| {
            Box::pin(async move {
                let added = db
                    .execute(
                        "INSERT INTO tasks (id, gid, client, idempotency, ask_json, state, detail,
                             next_window, created, updated)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
                        args![
                            row.id,
                            row.gid,
                            row.client,
                            row.idempotency,
                            row.ask_json,
                            row.state,
                            row.detail,
                            row.next_window,
                            row.created,
                            row.updated
                        ],
                    )
                    .await?;
                if added == 0 { Err(What::Task.into()) } else { Ok(()) }
            })
        })
        .await
    }

    /// One task.
    pub async fn task(&self, id: &str) -> Result<Option<TaskRow>, StoreError> {
        self.reader().await?.optional("SELECT * FROM tasks WHERE id = $1", args![id]).await
    }

    /// The task that a client handed in under this key.
    pub async fn task_by_key(&self, client: &str, key: &str) -> Result<Option<TaskRow>, StoreError> {
        let sql = "SELECT * FROM tasks WHERE client = $1 AND idempotency = $2";
        self.reader().await?.optional(sql, args![client, key]).await
    }

    /// The latest tasks, newest first; of one client, or of all. At most `most`, and about 4 MiB of requests, but one always.
    pub async fn tasks(&self, client: Option<&str>, most: i64) -> Result<Vec<TaskRow>, StoreError> {
        let mut db = self.reader().await?;
        let sql = "SELECT CAST(LENGTH(ask_json) AS BIGINT) AS v FROM tasks
                   WHERE client = COALESCE($1, client) ORDER BY created DESC, id LIMIT $2";
        let lengths: Vec<Scalar<u64>> = db.all(sql, args![client, most]).await?;
        let sql = "SELECT * FROM tasks WHERE client = COALESCE($1, client) ORDER BY created DESC, id LIMIT $2";
        db.all(sql, args![client, fitting(&lengths)]).await
    }

    /// Tasks that are not over.
    pub async fn open_tasks(&self) -> Result<Vec<TaskRow>, StoreError> {
        let sql = "SELECT * FROM tasks WHERE state = 'open' ORDER BY created, id";
        self.reader().await?.all(sql, &[]).await
    }

    /// Records a computation of a task and how the task stands after it. Saying it again changes nothing.
    ///
    /// If there is a result, that its receipt is owed is durable with it.
    #[allow(clippy::too_many_arguments, reason = "the columns of one row")]
    pub async fn end_window(
        &self,
        id: &str,
        slot: Slot,
        body_json: String,
        state: &str,
        detail: &str,
        owed: Option<OwedRow>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (id.to_owned(), slot, body_json, state.to_owned(), detail.to_owned(), owed, now);
        self.run_tx("end_window", args, |db, (id, slot, body, state, detail, owed, now)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO task_windows (id, slot, body_json, at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (id, slot) DO NOTHING",
                    args![id, slot, body, now],
                )
                .await?;
                db.execute(
                    "UPDATE tasks SET next_window = $2, state = $3, detail = $4, updated = $5
                     WHERE id = $1 AND state = 'open'",
                    args![id, slot.0.saturating_add(1), state, detail, now],
                )
                .await?;
                match owed {
                    Some(owed) => insert_owed(db, GATEWAY_HOLDER, owed).await,
                    None => Ok(()),
                }
            })
        })
        .await
    }

    /// Ends a task that is not over; `false` if it was.
    pub async fn end_task(&self, id: &str, state: &str, detail: &str, now: UnixMillis) -> Result<bool, StoreError> {
        let args = (id.to_owned(), state.to_owned(), detail.to_owned(), now);
        self.run_tx("end_task", args, |db, (id, state, detail, now)| {
            Box::pin(async move {
                let ended = db
                    .execute(
                        "UPDATE tasks SET state = $2, detail = $3, updated = $4 WHERE id = $1 AND state = 'open'",
                        args![id, state, detail, now],
                    )
                    .await?;
                Ok(ended > 0)
            })
        })
        .await
    }

    /// What became of the computations of a task, in order, for one answer: at most `most`, and about 4 MiB of them, but one
    /// always. What one answer does not hold is not read.
    pub async fn task_windows(&self, id: &str, which: Windows, most: u32) -> Result<Vec<TaskWindowRow>, StoreError> {
        let mut db = self.reader().await?;
        match which {
            Windows::From(from) => {
                let sql = "SELECT CAST(LENGTH(body_json) AS BIGINT) AS v FROM task_windows
                           WHERE id = $1 AND slot >= $2 ORDER BY slot LIMIT $3";
                let lengths: Vec<Scalar<u64>> = db.all(sql, args![id, from, most]).await?;
                let sql = "SELECT slot, body_json, at FROM task_windows
                           WHERE id = $1 AND slot >= $2 ORDER BY slot LIMIT $3";
                db.all(sql, args![id, from, fitting(&lengths)]).await
            }
            Windows::Newest => {
                let sql = "SELECT CAST(LENGTH(body_json) AS BIGINT) AS v FROM task_windows
                           WHERE id = $1 ORDER BY slot DESC LIMIT $2";
                let lengths: Vec<Scalar<u64>> = db.all(sql, args![id, most]).await?;
                let sql = "SELECT slot, body_json, at FROM task_windows WHERE id = $1 ORDER BY slot DESC LIMIT $2";
                let mut rows: Vec<TaskWindowRow> = db.all(sql, args![id, fitting(&lengths)]).await?;
                rows.reverse();
                Ok(rows)
            }
        }
    }
}
