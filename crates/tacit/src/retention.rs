//! The daily clean-up: what belongs to runs and tasks that ended long enough ago is deleted.
//!
//! What is deleted is gone for good, at all gateways that hold the same rows, and how old it is says one clock. So a
//! clean-up that finds the clock far ahead of the one before rests for a week: somebody has that long to set it right.
//! The moment is durable, so that neither a restart nor another gateway's lead makes a wrong clock the usual one.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
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
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long nothing is deleted after the clock was far ahead.
const REST_MS: i64 = 7 * DAY_MS;

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
    let kept = DAY_MS.saturating_mul(limits.retention_days.into());
    let (store, clock) = (store.clone(), Arc::clone(clock));
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        let mut daily = tokio::time::interval_at(Instant::now() + after, DAY);
        let mut back = false;
        loop {
            daily.tick().await;
            let now = clock.now();
            let cleaned = match doubted(&store, now, kept, &mut back).await {
                Ok(true) => continue,
                Ok(false) => clean(&store, keeps, now.plus(-kept)).await,
                Err(error) => Err(error),
            };
            match cleaned {
                Ok(deleted) => tracing::info!(deleted, "what is older than the retention was deleted"),
                Err(error) => tracing::warn!(%error, "what is older than the retention could not be deleted"),
            }
        }
    }));
}

/// The setting that holds [`Seen`].
const SEEN: &str = "cleanup_clock";

/// What the clean-ups before saw of the clock.
#[derive(Serialize, Deserialize)]
struct Seen {
    /// What it showed last.
    at: i64,
    /// When it was far ahead of the time before, unless that was more than a week ago.
    ahead_since: Option<i64>,
}

/// Whether nothing is deleted by what the clock shows now. `back` is whether it was far behind when this was last asked.
///
/// A node may have been off for some time, so the clock may be ahead by a quarter of what is kept, at least by a weekend.
/// A clock that is behind deletes too little. It is believed when it still is on the next day, and not before: a machine
/// that has no clock of its own begins with an old time, and would find the right one far ahead.
async fn doubted(store: &Store, now: UnixMillis, kept: i64, back: &mut bool) -> Result<bool, StoreError> {
    let usual = (kept / 4).max(3 * DAY_MS);
    let seen = store.setting(SEEN).await?.and_then(|text| serde_json::from_str::<Seen>(&text).ok());
    let (moved, mut ahead_since) = seen.map_or((0, None), |seen| (now.since(UnixMillis(seen.at)), seen.ahead_since));
    if moved < -usual && !std::mem::replace(back, true) {
        tracing::warn!(
            now = %now,
            "the clock is far behind the last clean-up: nothing is deleted before tomorrow. Set it if it is wrong"
        );
        return Ok(true);
    }
    *back = false;
    if moved > usual {
        tracing::warn!(
            now = %now,
            "the clock is far ahead of the last clean-up: nothing is deleted for a week. Set it if it is wrong"
        );
        ahead_since = Some(now.0);
    }
    // A clock that was set back is none to measure a week by.
    ahead_since = ahead_since.filter(|since| moved >= -usual && now.since(UnixMillis(*since)) < REST_MS);
    let seen = Seen { at: now.0, ahead_since };
    store.set_setting(SEEN, &serde_json::to_string(&seen).unwrap_or_default(), now).await?;
    Ok(ahead_since.is_some())
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

    /// One wrong clock deletes nothing for good, whether the node is started anew or another gateway takes the lead.
    #[tokio::test]
    async fn w1_a_clock_that_jumps_deletes_nothing() {
        async fn ask(store: &Store, day: i64, back: &mut bool) -> bool {
            doubted(store, UnixMillis(day * DAY_MS), 365 * DAY_MS, back).await.expect("an answer")
        }
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("tacit.db").display().to_string()).await.expect("a store");
        let mut back = false;
        // The first clean-up there is; then the usual ones, and one after a long holiday.
        for day in [20_000, 20_000, 20_001, 20_061] {
            assert!(!ask(&store, day, &mut back).await, "day {day}");
        }
        // Ten years ahead: also after a restart, which remembers nothing but what is in the database.
        for day in [23_650, 23_650, 23_656] {
            assert!(ask(&store, day, &mut false).await, "day {day}");
        }
        // Set right again: first it may be a machine without a clock, then it is believed.
        assert!(
            ask(&store, 20_062, &mut back).await
                && !ask(&store, 20_063, &mut back).await
                && !ask(&store, 20_064, &mut back).await
        );
        // A machine without a clock of its own, which is told the time later.
        assert!(ask(&store, 3, &mut back).await && !ask(&store, 20_065, &mut back).await);
        // The node was off for a year: after a week it goes on.
        assert!(
            ask(&store, 20_430, &mut back).await
                && ask(&store, 20_431, &mut back).await
                && ask(&store, 20_436, &mut back).await
        );
        assert!(!ask(&store, 20_437, &mut back).await && !ask(&store, 20_438, &mut back).await);
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
