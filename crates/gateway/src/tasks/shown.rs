//! How a task stands, as its client and whoever watches it are told: with as many of its computations as one answer holds.

use tacit_job::Ask;
use tacit_model::Slot;
use tacit_model::api::{TaskBody, TaskRequest, TaskWindow};
use tacit_store::{TaskRow, Windows};
use tokio::sync::watch;
use tracing::warn;

use crate::{Gateway, GatewayError};

/// Computations of a task in one answer; a task may be repeated for years.
pub(super) const SHOWN: u32 = 1_000;
/// Of a task that is worked at, so many of its last computations are held in memory, for those who watch it.
pub(super) const KEPT: u32 = 100;
/// And no more than so many bytes of them, but one always.
const KEPT_BYTES: usize = 4 << 20;
/// Of so many bytes of computations a list of tasks tells, and no more than those of one task beyond that.
const LISTED_BYTES: usize = 16 << 20;

/// A task on its way: how it stands, with its last computations, and its end.
pub struct TaskWatch {
    pub(super) body: watch::Receiver<TaskBody>,
}

impl TaskWatch {
    /// How it stands now.
    pub fn now(&self) -> TaskBody {
        self.body.borrow().clone()
    }

    /// Waits until it changes; `None` when it will not change any more.
    pub async fn changed(&mut self) -> Option<TaskBody> {
        self.body.changed().await.ok()?;
        Some(self.body.borrow_and_update().clone())
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> TaskBody {
        while self.body.borrow_and_update().state == "open" && self.body.changed().await.is_ok() {}
        self.now()
    }
}

impl Gateway {
    /// How a task of a client stands, or of anybody if none is named: with its computations from one on, or the newest, as
    /// many as one answer holds.
    pub async fn shown_task(
        &self,
        id: &str,
        client: Option<&str>,
        from: Option<Slot>,
    ) -> Result<TaskBody, GatewayError> {
        let row = self.inner.store.task(id).await?.filter(|row| client.is_none_or(|client| row.client == client));
        let row = row.ok_or(GatewayError::NotFound("task"))?;
        self.stored(&row, from.map_or(Windows::Newest, Windows::From), SHOWN).await
    }

    /// The latest tasks, newest first; of one client, or of all. One that this version cannot read is left out. Of all
    /// together as many computations are told as of one task, and of each the last one; none any more once they are long.
    pub async fn tasks(&self, client: Option<&str>, most: i64) -> Result<Vec<TaskBody>, GatewayError> {
        let (mut bodies, mut left, mut bytes) = (Vec::new(), SHOWN, 0);
        for row in self.inner.store.tasks(client, most).await? {
            let id = row.id.clone();
            let most = if bytes < LISTED_BYTES { left.max(1) } else { 0 };
            match self.stored(&row, Windows::Newest, most).await {
                Ok(task) => {
                    left = left.saturating_sub(u32::try_from(task.windows.len()).unwrap_or(u32::MAX));
                    bytes += task.windows.iter().map(length).sum::<usize>();
                    bodies.push(task);
                }
                Err(GatewayError::Bug(why)) => warn!(task = id, why, "a task cannot be read, and is not listed"),
                Err(error) => return Err(error),
            }
        }
        Ok(bodies)
    }

    pub(super) async fn watch_row(&self, row: TaskRow) -> Result<TaskWatch, GatewayError> {
        if let Some(open) = self.open_tasks().get(&row.id) {
            return Ok(open.watch());
        }
        let (_ended, body) = watch::channel(self.stored(&row, Windows::Newest, KEPT).await?);
        Ok(TaskWatch { body })
    }

    /// How a task stands by what is durable, with so many of its computations.
    pub(super) async fn stored(&self, row: &TaskRow, which: Windows, most: u32) -> Result<TaskBody, GatewayError> {
        let ask: Ask = serde_json::from_str(&row.ask_json).map_err(|e| GatewayError::Bug(e.to_string()))?;
        Ok(body_of(row, &ask.request, self.windows(&row.id, which, most).await?))
    }

    pub(super) async fn stored_task(&self, id: &str, which: Windows, most: u32) -> Result<TaskBody, GatewayError> {
        let row = self.inner.store.task(id).await?.ok_or(GatewayError::NotFound("task"))?;
        self.stored(&row, which, most).await
    }

    pub(super) async fn windows(&self, id: &str, which: Windows, most: u32) -> Result<Vec<TaskWindow>, GatewayError> {
        let rows = self.inner.store.task_windows(id, which, most).await?;
        let read =
            |text: &str| serde_json::from_str(text).map_err(|e| GatewayError::Bug(format!("a task window: {e}")));
        rows.iter().map(|row| read(&row.body_json)).collect()
    }
}

pub(super) fn body_of(row: &TaskRow, request: &TaskRequest, windows: Vec<TaskWindow>) -> TaskBody {
    TaskBody {
        id: row.id.clone(),
        task: request.clone(),
        state: row.state.clone(),
        detail: row.detail.clone(),
        created: row.created.to_rfc3339(),
        windows,
    }
}

/// Adds a computation that ended; the oldest are in the database alone.
pub(super) fn add_window(body: &mut TaskBody, window: TaskWindow) {
    let mut bytes = length(&window);
    body.windows.push(window);
    let most = usize::try_from(KEPT).unwrap_or(usize::MAX);
    let older = body.windows.iter().rev().take(most).skip(1).take_while(|window| {
        bytes += length(window);
        bytes <= KEPT_BYTES
    });
    let kept = 1 + older.count();
    body.windows.drain(..body.windows.len() - kept);
}

fn length(window: &TaskWindow) -> usize {
    serde_json::to_vec(window).map_or(0, |text| text.len())
}

pub(super) fn end_body(body: &mut TaskBody, state: &str, why: &str) {
    state.clone_into(&mut body.state);
    why.clone_into(&mut body.detail);
}
