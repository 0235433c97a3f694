//! The append-only log.

use sqlx::{Connection, Executor};
use tacit_store::{LogBatch, LogHead, LogNode, NewEntry, OldEntry, Store, What};

use crate::{Fixture, at, on_all};

on_all!(the_log_never_forks, batches_are_whole; alone: the_log_cannot_be_rewritten, the_chain_before_it_stays, an_answer_holds_what_fits_and_one_always);

fn entry(number: u8) -> NewEntry {
    NewEntry { kind: "kind".to_owned(), body: vec![number], leaf: [number; 32], at: at(i64::from(number)) }
}

fn head(size: u64) -> LogHead {
    LogHead { size, note: format!("head of {size}") }
}

fn batch(after: u64, entries: Vec<NewEntry>) -> LogBatch {
    let newest = head(after + entries.len() as u64);
    LogBatch { after, entries, nodes: Vec::new(), blocks: Vec::new(), newest }
}

async fn the_log_never_forks(f: &Fixture) {
    assert_eq!(f.store.log_size().await.unwrap(), 0);
    assert_eq!(f.store.log_head(0).await.unwrap(), None);
    let calls: Vec<_> = (0..12u8)
        .map(|i| {
            let store = f.store.clone();
            tokio::spawn(async move {
                loop {
                    let size = store.log_size().await.unwrap();
                    match store.log_append(batch(size, vec![entry(i)])).await {
                        Ok(()) => return size + 1,
                        Err(error) => assert_eq!(error, What::LogHead.into()),
                    }
                }
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for call in calls {
        numbers.push(call.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<u64>>());
    let entries = f.store.log_entries(1, 100).await.unwrap();
    let mut bodies: Vec<u8> = entries.iter().map(|entry| entry.body[0]).collect();
    assert!(entries.iter().all(|entry| entry.leaf == [entry.body[0]; 32] && entry.at == at(entry.body[0].into())));
    let leaves = f.store.log_hashes(0, 0, 12).await.unwrap();
    assert_eq!(leaves, entries.iter().map(|entry| entry.leaf).collect::<Vec<_>>());
    bodies.sort_unstable();
    assert_eq!(bodies, (0..12).collect::<Vec<u8>>());
    assert_eq!(f.store.log_head(0).await.unwrap(), Some(head(12)));
    let middle = f.store.log_entries(5, 2).await.unwrap();
    assert_eq!(middle.iter().map(|entry| entry.seq).collect::<Vec<_>>(), vec![5, 6]);
    for after in [0, 11, 13] {
        assert_eq!(f.store.log_append(batch(after, vec![entry(1)])).await, Err(What::LogHead.into()));
    }
}

async fn an_answer_holds_what_fits_and_one_always(f: &Fixture) {
    let s = &f.store;
    let long = |number: u8, bytes: usize| NewEntry { body: vec![number; bytes], ..entry(number) };
    s.log_append(batch(0, vec![long(0, 5 << 20), long(1, 3 << 20), long(2, 1 << 20), long(3, 1)])).await.unwrap();
    for (from, max, expected, more) in [
        (1, 9, &[1][..], true),
        (2, 9, &[2, 3][..], true),
        (4, 9, &[4][..], false),
        (2, 1, &[2][..], true),
        (5, 9, &[][..], false),
    ] {
        let (rows, rest) = s.log_page(from, max).await.unwrap();
        assert_eq!((&*rows.iter().map(|row| row.seq).collect::<Vec<_>>(), rest), (expected, more), "from {from}");
    }
}

async fn batches_are_whole(f: &Fixture) {
    let entries: Vec<NewEntry> = (0..=255).chain(0..=255).map(entry).collect();
    let nodes = (0..2).map(|place| LogNode { level: 8, place, hash: [8; 32] }).collect();
    let blocks = vec![(1, head(256)), (2, head(512))];
    let whole = LogBatch { nodes, blocks, ..batch(0, entries) };
    f.store.log_append(whole.clone()).await.unwrap();
    assert_eq!(f.store.log_size().await.unwrap(), 512);
    assert_eq!(f.store.log_hashes(8, 0, 3).await.unwrap(), vec![[8; 32]; 2]);
    assert_eq!(f.store.log_hashes(8, 1, 1).await.unwrap(), vec![[8; 32]]);
    assert_eq!(f.store.log_hashes(0, 510, 9).await.unwrap(), vec![[254; 32], [255; 32]]);
    assert_eq!(f.store.log_head(2).await.unwrap(), Some(head(512)));
    // A subtree that is there already: nothing of the batch stays.
    let again = LogBatch { nodes: whole.nodes, ..batch(512, vec![entry(1)]) };
    f.store.log_append(again).await.unwrap_err();
    assert_eq!(f.store.log_size().await.unwrap(), 512);
    assert_eq!(f.store.log_head(0).await.unwrap(), Some(head(512)));

    let notable = |number, kind: &str| NewEntry { kind: kind.to_owned(), ..entry(number) };
    let more = vec![notable(1, "software"), notable(2, "consensus"), notable(3, "consensus"), entry(4)];
    f.store.log_append(batch(512, more)).await.unwrap();
    let numbers = |rows: Vec<tacit_store::LogRow>| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(numbers(f.store.log_notable("consensus", u64::MAX, 9).await.unwrap()), [515, 514]);
    assert_eq!(numbers(f.store.log_notable("consensus", 515, 9).await.unwrap()), [514]);
    assert_eq!(numbers(f.store.log_notable("software", u64::MAX, 1).await.unwrap()), [513]);
}

async fn the_log_cannot_be_rewritten(f: &Fixture) {
    let nodes = vec![LogNode { level: 8, place: 0, hash: [8; 32] }];
    let one = LogBatch { nodes, blocks: vec![(1, head(1))], ..batch(0, vec![entry(1)]) };
    f.store.log_append(one).await.unwrap();
    for table in ["log", "log_nodes", "log_heads"] {
        let column = match table {
            "log" => "kind = 'x'",
            "log_nodes" => "level = 16",
            _ => "note = 'x'",
        };
        for sql in [format!("UPDATE {table} SET {column}"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")]
        {
            if f.store.kind() == "sqlite" && sql.starts_with("TRUNCATE") {
                continue;
            }
            let message = run(f, &sql).await.unwrap_err().to_string();
            assert!(message.contains("append-only"), "{sql}: {message}");
        }
    }
    assert_eq!(f.store.log_entries(1, 9).await.unwrap().len(), 1);
    assert_eq!(f.store.log_head(1).await.unwrap(), Some(head(1)));
}

/// A database of the first schema: its hash chain is kept beside the new log.
async fn the_chain_before_it_stays(f: &Fixture) {
    // Back to schema 1: what every later migration made goes.
    let made = ["log", "log_nodes", "log_heads", "witnessed", "cosignatures", "receipts"];
    let later = [
        "negotiation_steps",
        "negotiations",
        "series",
        "asked",
        "task_windows",
        "tasks",
        "receipts_owed",
        "approvals",
        "notices",
        "replica_log",
        "replica_state",
        "evidence",
        "spent",
        "forgotten",
        "jobs",
        "opened",
        "companies",
        "opened_before",
    ];
    for table in made.iter().chain(&later) {
        run(f, &format!("DROP TABLE {table}")).await.unwrap();
    }
    run(f, "ALTER TABLE log_chain RENAME TO log").await.unwrap();
    run(f, "ALTER TABLE members DROP COLUMN refusal").await.unwrap();
    run(f, "DELETE FROM schema_version WHERE version >= 2").await.unwrap();
    let bytes = if f.address.starts_with("sqlite:") { "X'78', X'79'" } else { "'x', 'y'" };
    let insert = format!("INSERT INTO log (seq, kind, body, hash, at) VALUES (1, 'action', {bytes}, 0)");
    run(f, &insert).await.unwrap();
    let store = Store::open(&f.address).await.unwrap();
    assert_eq!(store.log_size().await.unwrap(), 0);
    let old = store.log_before_merkle(1, 9).await.unwrap();
    assert_eq!(old, [OldEntry { kind: "action".to_owned(), body: vec![b'x'], at: tacit_model::UnixMillis(0) }]);
    store.log_append(batch(0, vec![entry(1)])).await.unwrap();
    let message = run(f, "DELETE FROM log_chain").await.unwrap_err().to_string();
    assert!(message.contains("append-only"), "the old entry is there and stays: {message}");
}

async fn run(f: &Fixture, sql: &str) -> Result<(), sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    match f.address.strip_prefix("sqlite:") {
        Some(path) => sqlx::SqliteConnection::connect(path).await?.execute(sql).await.map(drop),
        None => sqlx::PgConnection::connect(&f.address).await?.execute(sql).await.map(drop),
    }
}
