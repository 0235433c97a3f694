//! One suite, run on SQLite and on PostgreSQL. How PostgreSQL is found: see `postgres.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approvals;
mod directory;
mod evidence;
mod foreign;
mod jobs;
mod kill;
mod latency;
mod log;
mod notices;
mod opened;
mod opening;
mod outbox;
mod postgres;
mod property;
mod purge;
mod queue;
mod receipts;
mod replica;
mod runs;
mod snapshot;
mod tasks;

use tacit_model::{Attempt, RunId, Slot, UnixMillis};
use tacit_store::{NewFreeze, Store};

/// A store of its own for each test, gone when dropped.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) address: String,
    /// The same rows through another replica, where there are several.
    pub(crate) second: Option<Store>,
    /// The databases of all replicas.
    replicas: Vec<String>,
    _keep: Keep,
}

#[allow(dead_code, reason = "held for its destructor")]
enum Keep {
    Folder(tempfile::TempDir),
    Schema(postgres::Schema),
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", folder.path().join("tacit.db").display());
        Self::of(Store::open(&address).await.unwrap(), address, Keep::Folder(folder))
    }

    /// Three replicas, each with a file of its own.
    pub(crate) async fn replicas() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let replica::Replicated { first, second, addresses, .. } = replica::trio(folder.path()).await;
        let alone = Self::of(first, addresses[0].clone(), Keep::Folder(folder));
        Self { second: Some(second), replicas: addresses, ..alone }
    }

    fn of(store: Store, address: String, keep: Keep) -> Self {
        Self { store, address, second: None, replicas: Vec::new(), _keep: keep }
    }

    /// All replicas, if there are any, hold the same rows.
    async fn same_everywhere(&self) {
        if !self.replicas.is_empty() {
            replica::same_everywhere(&self.replicas).await;
        }
    }

    pub(crate) async fn postgres() -> Self {
        let schema = postgres::Schema::create().await;
        let address = schema.address.clone();
        Self::of(Store::open(&address).await.unwrap(), address, Keep::Schema(schema))
    }
}

/// Some moment; tests need no clock.
pub(crate) fn at(millis: i64) -> UnixMillis {
    UnixMillis(1_790_000_000_000 + millis)
}

/// A set to be frozen, of no client's task.
pub(crate) fn set(run: RunId, slot: Slot, attempt: Attempt, set_digest: [u8; 32]) -> NewFreeze {
    let (charter, inputs) = ([1; 32], [1; 32]);
    NewFreeze {
        run,
        slot,
        attempt,
        set_digest,
        charter,
        inputs,
        moment: None,
        taken: Vec::new(),
        opened: Vec::new(),
        disjoint: false,
        spent: Vec::new(),
        job: None,
        approved: None,
    }
}

/// Makes one test per database out of each `async fn name(fixture: &Fixture)`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        $crate::tests_on!(sqlite, sqlite: $($name),*);
        $crate::tests_on!(postgres, postgres: $($name),*);
    };
}
pub(crate) use on_both;

/// The same on three replicas, which must hold the same rows afterwards.
macro_rules! on_replicas {
    ($($name:ident),* $(,)?) => {
        $crate::tests_on!(w1_replicas, replicas: $($name),*);
    };
}
pub(crate) use on_replicas;

/// The same on the databases and on three replicas; after `alone` those about rows that replicas do not share.
macro_rules! on_all {
    ($($name:ident),*; alone: $($alone:ident),* $(,)?) => {
        $crate::on_both!($($name,)* $($alone),*);
        $crate::on_replicas!($($name),*);
    };
}
pub(crate) use on_all;

macro_rules! tests_on {
    ($module:ident, $fixture:ident: $($name:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fixture = $crate::Fixture::$fixture().await;
                    super::$name(&fixture).await;
                    fixture.same_everywhere().await;
                }
            )*
        }
    };
}
pub(crate) use tests_on;
