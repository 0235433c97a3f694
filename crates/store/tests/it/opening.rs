//! Opening, versions, closing.

use std::time::Duration;

use sqlx::{Connection, Executor};
use tacit_model::{RunId, Slot};
use tacit_store::{ReplicaRows, Store, StoreError, What};

use crate::postgres::{Network, Schema};
use crate::{Fixture, at, on_both};

on_both!(a_newer_schema_is_refused, what_was_written_is_there_after_reopening, replicas_open_at_once);

async fn a_newer_schema_is_refused(f: &Fixture) {
    f.store.set_setting("a", "b", at(0)).await.unwrap();
    let sql = "INSERT INTO schema_version (version) VALUES (999)";
    match f.address.strip_prefix("sqlite:") {
        Some(path) => drop(sqlx::SqliteConnection::connect(path).await.unwrap().execute(sql).await.unwrap()),
        None => drop(sqlx::PgConnection::connect(&f.address).await.unwrap().execute(sql).await.unwrap()),
    }
    let Err(error) = Store::open(&f.address).await else { panic!("a newer schema was opened") };
    assert!(matches!(error, StoreError::NewerSchema { found: 999, known } if known < 999), "{error}");
    assert!(error.to_string().contains("start the newer program"));
}

async fn what_was_written_is_there_after_reopening(f: &Fixture) {
    f.store.set_setting("a", "b", at(0)).await.unwrap();
    f.store.close().await;
    assert!(matches!(f.store.set_setting("a", "c", at(0)).await, Err(StoreError::Unavailable { .. })));
    let again = Store::open(&f.address).await.unwrap();
    assert_eq!(again.setting("a").await.unwrap().as_deref(), Some("b"));
    assert!(["sqlite", "postgres"].contains(&again.kind()));
}

async fn replicas_open_at_once(f: &Fixture) {
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let address = f.address.clone();
            tokio::spawn(async move { Store::open(&address).await })
        })
        .collect();
    for (number, one) in opening.into_iter().enumerate() {
        let store = one.await.unwrap().unwrap();
        store.create_group(&format!("g{number}"), "t", at(0)).await.unwrap();
    }
    assert_eq!(f.store.groups().await.unwrap().len(), 4);
}

/// The lock of [`Store::open_alone`], and who holds it.
const LOCK: &str = "SELECT pg_advisory_lock(1952539497, hashtext(current_schema()::text))";
const LOCKS: &str = "FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = 1952539497 AND objsubid = 2
                     AND objid::bigint = (hashtext(current_schema()::text)::bigint & 4294967295)";

#[tokio::test]
async fn w1_a_postgres_that_another_node_uses_is_refused() {
    let schema = Schema::create().await;
    let first = Store::open_alone(&schema.address).await.unwrap();
    let refused = Store::open_alone(&schema.address).await.map(drop);
    assert_eq!(refused, Err(What::InUse.into()));
    first.set_setting("a", "b", at(0)).await.unwrap();
    // What was a node's is free when it ends, in whatever way.
    first.close().await;
    let second = Store::open_alone(&schema.address).await.unwrap();
    drop(second);
    let third = Store::open_alone(&schema.address).await.unwrap();
    assert_eq!(third.setting("a").await.unwrap().as_deref(), Some("b"));

    // A node that loses the lock to another one writes no more.
    let address = schema.address.clone();
    let other = tokio::spawn(async move {
        let mut conn = sqlx::PgConnection::connect(&address).await.unwrap();
        conn.execute(LOCK).await.unwrap();
        conn
    });
    let mut admin = sqlx::PgConnection::connect(&schema.address).await.unwrap();
    let waiting = format!("SELECT 1 {LOCKS} AND NOT granted");
    let given_up = async {
        while admin.fetch_optional(sqlx::AssertSqlSafe(waiting.clone())).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let end = sqlx::AssertSqlSafe(format!("SELECT pg_terminate_backend(pid) {LOCKS} AND granted"));
        admin.execute(end).await.unwrap();
        let _held = other.await.unwrap();
        while third.set_setting("a", "c", at(0)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), given_up).await.expect("it notices");
    assert!(matches!(third.set_setting("a", "c", at(0)).await, Err(StoreError::Unavailable { .. })));
}

/// The data folder of each node is locked; what two of them name as their database is not in either.
#[tokio::test]
async fn w1_a_sqlite_file_that_another_node_uses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tacit.db");
    let link = folder.path().join("other.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let [path, link] = [path, link].map(|path| path.to_str().unwrap().to_owned());
    let first = Store::open_alone(&path).await.unwrap();
    for other in [&path, &link] {
        assert_eq!(Store::open_alone(other).await.map(drop), Err(What::InUse.into()), "{other}");
        assert_eq!(ReplicaRows::open_alone(other).await.map(drop), Err(What::InUse.into()), "{other}");
    }
    // A backup only reads.
    Store::open(&path).await.unwrap().close().await;
    first.set_setting("a", "b", at(0)).await.unwrap();
    first.close().await;
    let second = Store::open_alone(&link).await.unwrap();
    assert_eq!(second.setting("a").await.unwrap().as_deref(), Some("b"));
    drop(second);
    Store::open_alone(&path).await.unwrap().close().await;
}

/// Where the network was dark the server keeps the node's earlier connection, and the lock with it: the node would take itself
/// for another one, and write no more.
#[tokio::test]
async fn w1_a_node_takes_its_postgres_back_from_its_own_lost_connection() {
    let schema = Schema::create().await;
    let network = Network::before(&schema).await;
    let store = Store::open_alone(&network.address).await.unwrap();
    store.set_setting("a", "b", at(0)).await.unwrap();
    let mut admin = sqlx::PgConnection::connect(&schema.address).await.unwrap();
    let sql = format!("SELECT pid {LOCKS} AND granted");
    let mut holder = async || -> Option<i32> {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone())).fetch_optional(&mut admin).await.unwrap()
    };
    let first = holder().await.expect("the node has the lock");
    network.go_dark();
    assert_eq!(holder().await, Some(first), "the server has not noticed");
    let taken_back = async {
        while holder().await.is_none_or(|pid| pid == first) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The other connections of before are lost as well: each is noticed when it is used.
        while store.set_setting("a", "c", at(1)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), taken_back).await.expect("it takes the lock again, and writes");
    let refused = Store::open_alone(&schema.address).await.map(drop);
    assert_eq!(refused, Err(What::InUse.into()));
}

#[tokio::test]
async fn bad_addresses_are_refused() {
    for address in ["", "sqlite:", "sqlite::memory:", "mysql://x/y", "postgres://u@host:port/x"] {
        assert!(matches!(Store::open(address).await, Err(StoreError::Address { .. })), "{address}");
    }
    let Err(StoreError::Unavailable { reason }) = Store::open("/nonexistent/folder/tacit.db").await else {
        panic!("opened a file in a folder that is not there")
    };
    assert!(reason.contains("/nonexistent"));
    let unreachable = Store::open("postgres://u:hush@127.0.0.1:1/x").await;
    let Err(error @ StoreError::Unavailable { .. }) = unreachable else { panic!("reached nobody") };
    assert!(!error.to_string().contains("hush"));
}

#[tokio::test]
async fn a_strange_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::write(&path, vec![b'x'; 5000]).unwrap();
    let opened = Store::open(path.to_str().unwrap()).await;
    assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "{:?}", opened.err());

    let path = folder.path().join("y.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    other.execute("CREATE TABLE theirs (x)").await.unwrap();
    other.close().await.unwrap();
    let opened = Store::open(path.to_str().unwrap()).await;
    assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "{:?}", opened.err());
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_private_and_synced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tacit.db");
    let store = Store::open(path.to_str().unwrap()).await.unwrap();
    store.set_setting("a", "b", at(0)).await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}

/// A copy that an operator made by hand has such a name, and so may the database.
#[tokio::test]
async fn a_backup_removes_nobody_elses_file() {
    let folder = tempfile::tempdir().unwrap();
    let by_hand = folder.path().join("tacit.backup");
    std::fs::write(&by_hand, b"by hand").unwrap();
    for name in ["tacit.db", "node.backup"] {
        let path = folder.path().join(name);
        let address = path.to_str().unwrap();
        let store = Store::open(address).await.unwrap();
        store.set_setting("a", "b", at(0)).await.unwrap();
        store.close().await;
        let to = folder.path().join(format!("copy of {name}"));
        tacit_store::backup(address, &to).await.unwrap();
        for kept in [address, to.to_str().unwrap()] {
            let store = Store::open(kept).await.unwrap();
            assert_eq!(store.setting("a").await.unwrap().as_deref(), Some("b"), "{kept}");
            store.close().await;
        }
    }
    assert_eq!(std::fs::read(by_hand).unwrap(), b"by hand");
}

/// Each would take the file of the other one, which has all inputs in it, for what a killed backup left.
#[tokio::test]
async fn of_two_backups_at_once_the_second_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tacit.db");
    let address = path.to_str().unwrap();
    Store::open(address).await.unwrap().close().await;
    let first = folder.path().join("tacit.db.tacit-backup-in-progress");
    std::fs::write(&first, b"of the first").unwrap();
    let lock = std::fs::File::open(folder.path()).unwrap();
    lock.try_lock().unwrap();
    let to = folder.path().join("copy");
    let refused = tacit_store::backup(address, &to).await.unwrap_err().to_string();
    assert!(refused.contains("another backup"), "{refused}");
    assert_eq!(std::fs::read(&first).unwrap(), b"of the first");
    assert!(!to.exists());
    // It was killed.
    lock.unlock().unwrap();
    tacit_store::backup(address, &to).await.unwrap();
    assert!(to.exists() && !first.exists());
}

/// What a backup that was killed leaves has every input in it: it does not outlive the next start.
#[tokio::test]
async fn rule12_what_a_killed_backup_left_goes_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tacit.db");
    let left = ["", "-wal", "-shm"].map(|more| folder.path().join(format!("tacit.db.tacit-backup-in-progress{more}")));
    left.iter().for_each(|file| std::fs::write(file, b"inputs").unwrap());
    Store::open(path.to_str().unwrap()).await.unwrap().close().await;
    assert!(path.exists() && !left.iter().any(|file| file.exists()));
}

/// What a party gave is on no disk any more soon after its slot is over.
#[tokio::test]
async fn rule12_deleted_rows_leave_the_write_ahead_file() {
    let marker = b"a row that nobody else may ever read";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tacit.db");
    let wal = folder.path().join("tacit.db-wal");
    let found = |file: &std::path::Path| {
        std::fs::read(file).is_ok_and(|bytes| bytes.windows(marker.len()).any(|part| part == marker))
    };
    let store = Store::open(path.to_str().unwrap()).await.unwrap();
    let rows = |count| vec![crate::queue::row(std::str::from_utf8(marker).unwrap()); count];
    store.append_rows("p", RunId(1), &rows(50), 1000, at(0)).await.unwrap();
    assert!(found(&wal) || found(&path));
    for slot in 0..50 {
        let kept = match slot % 2 {
            0 => store.commit_result("p", RunId(1), Slot(slot), crate::queue::result(slot), true).await,
            _ => store.fail_slot("p", RunId(1), Slot(slot), "late", at(1)).await,
        };
        kept.unwrap();
    }
    let gone = async {
        while found(&wal) || found(&path) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("both files are clean while it runs");

    // Also if the process ends right after a write.
    store.append_rows("p", RunId(1), &rows(1), 1000, at(0)).await.unwrap();
    store.fail_slot("p", RunId(1), Slot(50), "late", at(1)).await.unwrap();
    store.close().await;
    assert!(!found(&wal) && !found(&path));
}
