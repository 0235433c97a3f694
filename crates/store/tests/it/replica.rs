//! One gateway's rows on three replicas: everything that the store offers to a gateway works there too, and leaves the
//! same rows on each.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Connection, Row};
use tacit_model::Slot;
use tacit_store::{
    Change, MemberKeys, MemberRefusal, NewMember, NewRow, NotAgreed, Redacted, ReplicaRows, Replicator, Store,
    StoreError, What,
};
use tokio::sync::Mutex;

use crate::directory::peer;
use crate::receipts::{owed, receipt};
use crate::tasks::of_task;
use crate::{Fixture, at, on_replicas};

/// Tables of a node alone.
const OWN: [&str; 2] = ["replica_log", "replica_state"];

/// Brings changes to three nodes, in one order, as text.
struct Trio {
    rows: Mutex<(u64, Vec<ReplicaRows>)>,
    /// Changes that were too large.
    refused: AtomicUsize,
}

/// Larger changes are not proposed, counted as text.
const LIMIT: usize = 1 << 20;

/// The store over the first of three nodes, another one over the second, and the addresses of all.
pub(crate) struct Replicated {
    pub(crate) first: Store,
    pub(crate) second: Store,
    pub(crate) addresses: Vec<String>,
    trio: Arc<Trio>,
}

impl Replicator for Trio {
    fn agree<'a>(&'a self, change: Change) -> Pin<Box<dyn Future<Output = Result<bool, NotAgreed>> + Send + 'a>> {
        Box::pin(async move {
            let text = serde_json::to_string(&change).unwrap();
            if text.len() > LIMIT {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(NotAgreed::Unproposed(StoreError::TooLarge));
            }
            let mut rows = self.rows.lock().await;
            rows.0 += 1;
            let index = rows.0;
            let mut made = Vec::new();
            for node in &rows.1 {
                let change: Change = serde_json::from_str(&text).unwrap();
                made.extend(node.apply(&[(index, change)], &[]).await.unwrap());
            }
            assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
            Ok(made[0])
        })
    }
}

pub(crate) async fn trio(folder: &std::path::Path) -> Replicated {
    let addresses: Vec<_> =
        (0..3).map(|node| format!("sqlite:{}", folder.join(format!("{node}.db")).display())).collect();
    let mut rows = Vec::new();
    for address in &addresses {
        rows.push(ReplicaRows::open(address).await.unwrap());
    }
    let trio = Arc::new(Trio { rows: Mutex::new((0, rows)), refused: AtomicUsize::new(0) });
    let first = Store::open_replicated(&addresses[0], Arc::clone(&trio) as Arc<dyn Replicator>).await.unwrap();
    let second = Store::open_replicated(&addresses[1], Arc::clone(&trio) as Arc<dyn Replicator>).await.unwrap();
    Replicated { first, second, addresses, trio }
}

/// All rows of all tables, but for those of the replication itself.
pub(crate) async fn dump(address: &str) -> String {
    let path = address.strip_prefix("sqlite:").unwrap();
    let mut conn = sqlx::SqliteConnection::connect(path).await.unwrap();
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    let mut text = String::new();
    for table in tables.fetch_all(&mut conn).await.unwrap() {
        let table: String = table.get(0);
        if OWN.contains(&table.as_str()) {
            continue;
        }
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns = sqlx::query(sqlx::AssertSqlSafe(columns)).fetch_all(&mut conn).await.unwrap();
        let columns: Vec<String> =
            columns.iter().map(|column| format!("quote({})", column.get::<String, _>(0))).collect();
        let rows = format!("SELECT {} AS line FROM {table} ORDER BY line", columns.join(" || ',' || "));
        for row in sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_all(&mut conn).await.unwrap() {
            text.push_str(&format!("{table}: {}\n", row.get::<String, _>(0)));
        }
    }
    text
}

pub(crate) async fn same_everywhere(addresses: &[String]) {
    let first = dump(&addresses[0]).await;
    assert!(first.lines().count() > 1, "{first}");
    for address in &addresses[1..] {
        assert_eq!(dump(address).await, first);
    }
}

on_replicas!(
    tasks_are_kept_on_all,
    debts_and_notices_are_kept_on_all,
    revocations_are_kept_on_all,
    what_peers_hold_is_refused,
    two_that_think_to_lead_do_not_mix
);

async fn tasks_are_kept_on_all(f: &Fixture) {
    f.store.add_task(of_task("a")).await.unwrap();
    assert!(f.store.add_task(of_task("a")).await.is_err_and(|error| error.is_refusal()));
    f.store.end_window("a", Slot(0), "{}".to_owned(), "done", "", None, at(1)).await.unwrap();
    assert_eq!(f.store.task("a").await.unwrap().unwrap().state, "done");
}

/// What the next gateway still has to do: pay receipts, and tell clients.
async fn debts_and_notices_are_kept_on_all(f: &Fixture) {
    let (s, second) = (&f.store, f.second.as_ref().unwrap());
    s.add_notice("a", "https://hooks.example/", at(0)).await.unwrap();
    s.add_task(of_task("a")).await.unwrap();
    s.owe("", owed(1, 0)).await.unwrap();
    s.owe("", owed(2, 0)).await.unwrap();
    s.put_receipt("", receipt(1, 1)).await.unwrap();
    assert_eq!(second.all_owed("", 9).await.unwrap(), [owed(2, 0)]);
    assert_eq!(second.notices_open().await.unwrap(), []);
    s.end_window("a", Slot(0), "{}".to_owned(), "done", "", None, at(1)).await.unwrap();
    let open = second.notices_open().await.unwrap();
    assert_eq!(open.iter().map(|notice| notice.state.as_str()).collect::<Vec<_>>(), ["done"]);
    second.notice_failed(&open[0], at(5)).await.unwrap();
    second.notice_told(&open[0]).await.unwrap();
    assert_eq!(s.notices_open().await.unwrap(), []);
    s.forget_notice(&open[0]).await.unwrap();
}

/// A key that was revoked is so at whichever gateway leads next, and under all its names.
async fn revocations_are_kept_on_all(f: &Fixture) {
    let (s, second) = (&f.store, f.second.as_ref().unwrap());
    let gid = s.create_group("g", "t", at(0)).await.unwrap().gid;
    let key = tacit_model::Fingerprint([1; 32]);
    for name in ["alpha", "beta"] {
        s.add_code(name, gid, at(0)).await.unwrap();
        let keys = MemberKeys { fingerprint: Some(key), ..MemberKeys::default() };
        s.consume_code_and_add_member(name, NewMember { keys, ..peer(name) }, at(0)).await.unwrap();
    }
    let pid = s.member("t", "alpha").await.unwrap().unwrap().pid;
    s.refuse_member(pid, MemberRefusal::Revoked, "stolen", at(1)).await.unwrap();
    assert!(second.revoked(key).await.unwrap().is_some());
    for name in ["alpha", "beta"] {
        let row = second.member("t", name).await.unwrap().unwrap();
        assert_eq!((row.refusal, row.verified), (Some(MemberRefusal::Revoked), false), "{name}");
    }
}

async fn what_peers_hold_is_refused(f: &Fixture) {
    f.store.create_group("a", "t", at(0)).await.unwrap();
    let row = NewRow { slot_start: None, data: Redacted(vec![1]) };
    let refused = f.store.append_rows("p", tacit_model::RunId(1), &[row], 10, at(0)).await;
    assert!(matches!(refused, Err(StoreError::Statement { .. })), "{refused:?}");
    // The refused call is alone in its misfortune.
    f.store.create_group("b", "t", at(0)).await.unwrap();
}

/// A second author over the second node: both write, and neither over what it did not see.
async fn two_that_think_to_lead_do_not_mix(f: &Fixture) {
    let (first, second) = (f.store.clone(), f.second.clone().unwrap());
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let store = if number % 2 == 0 { first.clone() } else { second.clone() };
            tokio::spawn(async move { store.create_group(&format!("g{number}"), "t", at(number)).await })
        })
        .collect();
    let mut numbers = std::collections::BTreeSet::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(group) => assert!(numbers.insert(group.gid), "two groups have one number"),
            // Always late, and said so.
            Err(error) => assert_eq!(error, StoreError::Busy),
        }
    }
    assert!(numbers.len() > 10, "{numbers:?}");
    assert_eq!(f.store.groups().await.unwrap().len(), numbers.len());
}

/// What one replica wrote alone would be missing on the others when it came back.
#[tokio::test]
async fn w1_a_replica_is_not_opened_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Replicated { first, second, addresses, .. } = trio(folder.path()).await;
    first.create_group("g", "t", at(0)).await.unwrap();
    first.close().await;
    second.close().await;
    for address in &addresses {
        let alone = Store::open(address).await.map(drop);
        assert_eq!(alone, Err(StoreError::Conflict { what: What::Replicated }));
    }
    // Refused is not changed: they go on together.
    let again = trio(folder.path()).await;
    assert_eq!(again.first.groups().await.unwrap().len(), 1);
    same_everywhere(&addresses).await;
}

/// What is too large together is written one by one; what is too large alone harms nobody else.
#[tokio::test]
async fn w1_a_batch_that_is_too_large_is_written_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let Replicated { first, addresses, trio, .. } = trio(folder.path()).await;
    // They queue before the writer has its turn, which is on this thread too.
    let write = |name: &'static str, length: usize| {
        let store = first.clone();
        tokio::spawn(async move { store.set_setting(name, &"x".repeat(length), at(0)).await })
    };
    let calls = [write("a", 700 << 10), write("b", 2 << 20), write("c", 700 << 10), write("d", 1)];
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    assert_eq!(answers, [Ok(()), Err(StoreError::TooLarge), Ok(()), Ok(())]);
    assert_eq!(first.setting("b").await.unwrap(), None);
    // Once all together, and once the one that never fits.
    assert_eq!(trio.refused.load(Ordering::Relaxed), 2);
    same_everywhere(&addresses).await;
}
