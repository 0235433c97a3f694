//! The daily clean-up: what belongs to runs and tasks that ended long enough ago is deleted.

use std::sync::Arc;
use std::time::Duration;

use tacit_model::{Clock, UnixMillis};
use tacit_store::{Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Limits;

/// What this node keeps rows for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Parties and gateway.
    All,
    /// The gateway alone: of several that hold the same rows, the one that leads cleans up for all.
    Gateway,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Cleans up after this time and then once a day, until told to stop; never if everything is to be kept.
pub(crate) fn start(
    limits: &Limits,
    keeps: Keeps,
    after: Duration,
    store: &Store,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) {
    if limits.retention_days == 0 {
        return;
    }
    let kept = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX).saturating_mul(limits.retention_days.into());
    let (store, clock) = (store.clone(), Arc::clone(clock));
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        let mut daily = tokio::time::interval_at(Instant::now() + after, DAY);
        loop {
            daily.tick().await;
            match clean(&store, keeps, clock.now().plus(-kept)).await {
                Ok(deleted) => tracing::info!(deleted, "what is older than the retention was deleted"),
                Err(error) => tracing::warn!(%error, "what is older than the retention could not be deleted"),
            }
        }
    }));
}

/// What went, for the node's own log.
async fn clean(store: &Store, keeps: Keeps, before: UnixMillis) -> Result<String, StoreError> {
    let gateway = store.purge_gateway(before).await?;
    match keeps {
        Keeps::All => Ok(format!("{gateway:?}, {:?}", store.purge(before).await?)),
        Keeps::Gateway => Ok(format!("{gateway:?}")),
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future;
    use core::pin::Pin;

    use tacit_model::{GroupId, ManualClock, RunId, SessionId, Slot};
    use tacit_store::{Change, NewRow, NotAgreed, Redacted, ReplicaRows, Replicator, ResultRow, TaskRow};

    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn begin(keeps: Keeps, store: &Store) -> CancellationToken {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(UnixMillis(10 * DAY_MS)));
        let stop = CancellationToken::new();
        let limits = Limits { retention_days: 7, ..Limits::default() };
        start(&limits, keeps, Duration::ZERO, store, &clock, &stop);
        stop
    }

    async fn soon(done: impl AsyncFn() -> bool) {
        let look = async {
            while !done().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), look).await.expect("what is old is deleted, the new kept");
    }

    async fn add_tasks(store: &Store) {
        for (id, day) in [("old", 1), ("new", 9)] {
            let row = TaskRow {
                id: id.to_owned(),
                gid: GroupId(1),
                client: "c".to_owned(),
                idempotency: None,
                ask_json: "{}".to_owned(),
                state: "done".to_owned(),
                detail: String::new(),
                next_window: Slot(1),
                created: UnixMillis(day * DAY_MS),
                updated: UnixMillis(day * DAY_MS),
            };
            store.add_task(row).await.expect("kept");
        }
    }

    async fn tasks(store: &Store) -> Vec<String> {
        store.tasks(None, 9).await.expect("tasks").into_iter().map(|task| task.id).collect()
    }

    #[tokio::test]
    async fn rule12_retention_deletes_old_results_at_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("tacit.db").display().to_string()).await.expect("a store");
        for (run, closed) in [(RunId(1), 1), (RunId(2), 9)] {
            let row = NewRow { slot_start: None, data: Redacted(vec![1]) };
            store.append_rows("p", run, &[row], 10, UnixMillis(0)).await.expect("queued");
            let result = ResultRow {
                slot: Slot(0),
                session: SessionId([1; 16]),
                values_json: "[3]".to_owned(),
                contributors: 2,
                agreement: Vec::new(),
                at: UnixMillis(0),
            };
            store.commit_result("p", run, Slot(0), result, false).await.expect("kept");
            store.close_run_rows("p", run, UnixMillis(closed * DAY_MS)).await.expect("closed");
        }
        add_tasks(&store).await;
        let stop = begin(Keeps::All, &store);
        soon(async || store.result_runs("p").await.expect("runs") == [RunId(2)] && tasks(&store).await == ["new"])
            .await;
        stop.cancel();
    }

    /// Makes each change on the one node there is.
    struct Alone(tokio::sync::Mutex<(u64, ReplicaRows)>);

    impl Replicator for Alone {
        fn agree<'a>(&'a self, change: Change) -> Pin<Box<dyn Future<Output = Result<bool, NotAgreed>> + Send + 'a>> {
            Box::pin(async move {
                let mut rows = self.0.lock().await;
                rows.0 += 1;
                let made = rows.1.apply(&[(rows.0, change)], &[]).await.map_err(NotAgreed::Unproposed)?;
                Ok(made[0])
            })
        }
    }

    #[tokio::test]
    async fn w1_the_gateway_that_leads_cleans_up_through_the_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = folder.path().join("tacit.db").display().to_string();
        let rows = ReplicaRows::open(&address).await.expect("rows");
        let alone = Arc::new(Alone(tokio::sync::Mutex::new((0, rows))));
        let store = Store::open_replicated(&address, alone).await.expect("a store");
        add_tasks(&store).await;
        assert!(store.purge(UnixMillis(0)).await.is_err(), "rows of parties are none of its own");
        let stop = begin(Keeps::Gateway, &store);
        soon(async || tasks(&store).await == ["new"]).await;
        stop.cancel();
    }
}
