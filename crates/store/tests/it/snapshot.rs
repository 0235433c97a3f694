//! All rows of one replica, brought to another.

use std::time::Duration;

use sqlx::{Connection, Row};
use tacit_store::{Change, REPLICATED, ReplicaRows, SnapshotPart, Staged};

use crate::replica::dump;

/// A node on its own, with rows in every table that travels.
struct Filled {
    address: String,
    path: String,
}

impl Filled {
    async fn new(folder: &std::path::Path, name: &str, rows: usize) -> Self {
        let path = folder.join(format!("{name}.db")).display().to_string();
        let filled = Self { address: format!("sqlite:{path}"), path };
        drop(filled.open().await);
        let mut conn = sqlx::SqliteConnection::connect(&filled.path).await.unwrap();
        for table in REPLICATED {
            let columns = format!("SELECT type FROM pragma_table_info('{table}') ORDER BY cid");
            let columns = sqlx::query(sqlx::AssertSqlSafe(columns)).fetch_all(&mut conn).await.unwrap();
            for row in 0..rows {
                let value = |column: (usize, &sqlx::sqlite::SqliteRow)| match column.1.get::<String, _>(0).as_str() {
                    "BIGINT" => (row * 100 + column.0).to_string(),
                    "TEXT" => format!("'{name} \"{row}\" of {table} {}'", column.0),
                    // Empty ones, too.
                    "BYTEA" => format!("X'{}'", "0aff".repeat(row)),
                    kind => panic!("a column of {kind}"),
                };
                let values: Vec<_> = columns.iter().enumerate().map(value).collect();
                let insert = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
                sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&mut conn).await.unwrap();
            }
        }
        conn.close().await.unwrap();
        filled
    }

    async fn open(&self) -> ReplicaRows {
        ReplicaRows::open(&self.address).await.unwrap()
    }

    async fn run(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        let mut conn = sqlx::SqliteConnection::connect(&self.path).await.unwrap();
        sqlx::query(sql).execute(&mut conn).await.map(drop)
    }
}

async fn parts(rows: &ReplicaRows) -> Vec<SnapshotPart> {
    let mut picture = rows.picture("applied").await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = picture.next().await.unwrap() {
        let text = serde_json::to_string(&part).unwrap();
        assert!(text.len() < 2 << 20, "{}", text.len());
        parts.push(serde_json::from_str(&text).unwrap());
    }
    parts
}

async fn staged(rows: &ReplicaRows, parts: &[SnapshotPart]) -> Staged {
    let mut staging = rows.stage().await.unwrap();
    for part in parts {
        staging.take(part).await.unwrap();
    }
    assert_eq!(staging.rows(), parts.iter().map(SnapshotPart::rows).sum::<u64>());
    staging.finish().await.unwrap()
}

#[tokio::test]
async fn w1_a_snapshot_brings_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (Filled::new(folder.path(), "from", 40).await, Filled::new(folder.path(), "to", 3).await);
    // More than one part of a table, and NULL.
    from.run("INSERT INTO settings SELECT 'long ' || slot || ' ' || gid, hex(zeroblob(9000)), 1 FROM slots")
        .await
        .unwrap();
    from.run("UPDATE runs SET ended = NULL, reason = NULL WHERE run = 101").await.unwrap();
    let (source, target) = (from.open().await, to.open().await);
    let all = parts(&source).await;
    assert!(all.len() > 23, "{}", all.len());
    // What is written meanwhile is not in it.
    let mut picture = source.picture("applied").await.unwrap();
    let before = dump(&from.address).await;
    from.run("INSERT INTO settings VALUES ('later', '', 1)").await.unwrap();
    let mut same = Vec::new();
    while let Some(part) = picture.next().await.unwrap() {
        same.push(part);
    }
    assert!(same == all);
    let rows = staged(&target, &same).await;
    assert_ne!(dump(&to.address).await, before, "nothing is touched before it is installed");
    target.install(&rows, 7, &[("applied", "up to 7".to_owned())]).await.unwrap();
    drop(rows);
    assert_eq!(dump(&to.address).await, before);
    assert_eq!(target.state("applied").await.unwrap().as_deref(), Some("up to 7"));
    let next = |after| (after + 1, Change { after, statements: Vec::new() });
    assert_eq!(target.apply(&[next(6), next(7)], &[]).await.unwrap(), [false, true]);
    // The audit log is append-only as before, and nothing is left in the folder.
    assert!(to.run("DELETE FROM log").await.unwrap_err().to_string().contains("append-only"));
    assert!(to.run("UPDATE log_heads SET size = 0").await.unwrap_err().to_string().contains("append-only"));
    let left = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|file| file.as_ref().is_ok_and(|file| file.file_name().to_string_lossy().contains("incoming")));
    assert_eq!(left.count(), 0);
}

/// A node that dies while it puts rows in place has the old ones or the new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w1_a_snapshot_that_is_cut_off_leaves_old_or_new_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (Filled::new(folder.path(), "from", 30).await, Filled::new(folder.path(), "to", 30).await);
    let all = parts(&from.open().await).await;
    let (new, old) = (dump(&from.address).await, dump(&to.address).await);
    // An error at the very end.
    let target = to.open().await;
    let rows = staged(&target, &all).await;
    assert!(target.install(&rows, 7, &[("no \0 name", String::new())]).await.is_err());
    assert_eq!(dump(&to.address).await, old);
    assert_eq!(target.state("applied").await.unwrap(), None);
    drop((target, rows));
    for millis in (0..40).step_by(8) {
        let target = to.open().await;
        let rows = staged(&target, &all).await;
        let marks = [("applied", "new".to_owned())];
        let done = tokio::time::timeout(Duration::from_millis(millis), target.install(&rows, 7, &marks)).await;
        // The connection goes with whatever it was doing; who may write now waits until it has gone.
        drop((target, rows));
        to.run("BEGIN IMMEDIATE; COMMIT").await.unwrap();
        let again = to.open().await;
        let applied = again.state("applied").await.unwrap().is_some();
        assert!(applied || done.is_err());
        assert!(dump(&to.address).await == if applied { new.clone() } else { old.clone() });
        if applied {
            break;
        }
    }
    let target = to.open().await;
    let rows = staged(&target, &all).await;
    target.install(&rows, 7, &[]).await.unwrap();
    assert_eq!(dump(&to.address).await, new);
}

#[tokio::test]
async fn w1_parts_of_a_snapshot_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let to = Filled::new(folder.path(), "to", 2).await;
    let (target, old) = (to.open().await, dump(&to.address).await);
    let part = |table: &str, columns: serde_json::Value, rows: serde_json::Value| -> SnapshotPart {
        serde_json::from_value(serde_json::json!({"table": table, "columns": columns, "rows": rows})).unwrap()
    };
    let names = serde_json::json!(["name", "value", "updated"]);
    let row = serde_json::json!([{"t": "a"}, {"t": "b"}, {"i": 1}]);
    let good = part("settings", names.clone(), serde_json::json!([row]));
    let twice = part("settings", names.clone(), serde_json::json!([row, row]));
    let null = part("settings", names.clone(), serde_json::json!([[{"t": null}, {"t": null}, {"t": null}]]));
    let short = part("settings", names.clone(), serde_json::json!([[{"t": "a"}]]));
    let hidden =
        part("settings", serde_json::json!(["name", "value", "updated) SELECT 1; --"]), serde_json::json!([row]));
    let own = part("input_rows", names.clone(), serde_json::json!([row]));
    let state =
        part("replica_state", serde_json::json!(["name", "value"]), serde_json::json!([[{"t": "a"}, {"t": "b"}]]));
    let token = serde_json::json!([[{"b": "0g"}, {"t": "r"}, {"t": "l"}, {"t": "{}"}, {"i": 1}, {"i": null}]]);
    let columns = serde_json::json!(["hash", "role", "label", "scope_json", "created", "revoked"]);
    let bytes = part("tokens", columns, token);
    for bad in [&twice, &null, &short, &hidden, &own, &state, &bytes] {
        assert!(target.stage().await.unwrap().take(bad).await.is_err(), "{bad:?}");
    }
    // Each table has its turn once.
    let mut staging = target.stage().await.unwrap();
    staging.take(&good).await.unwrap();
    assert!(staging.take(&good).await.is_err(), "the same row");
    let groups = part("groups", serde_json::json!([]), serde_json::json!([]));
    assert!(staging.take(&groups).await.is_err(), "an earlier table");
    drop(staging);
    for bad in [r#"{"table":"settings","columns":[],"rows":[[{"x":1}]]}"#, r#"{"table":1}"#, "[]"] {
        assert!(serde_json::from_str::<SnapshotPart>(bad).is_err());
    }
    assert_eq!(dump(&to.address).await, old);
}
