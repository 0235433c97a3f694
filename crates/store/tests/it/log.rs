//! The append-only log.

use sqlx::{Connection, Executor};
use tacit_store::{LogHead, What};

use crate::{Fixture, at, on_both};

on_both!(the_log_never_forks, the_log_cannot_be_rewritten);

async fn the_log_never_forks(f: &Fixture) {
    assert_eq!(f.store.log_head().await.unwrap(), None);
    let calls: Vec<_> = (0..12u8)
        .map(|i| {
            let store = f.store.clone();
            tokio::spawn(async move {
                loop {
                    let head = store.log_head().await.unwrap();
                    match store.log_append("kind", &[i], [i + 1; 32], head.map(|head| head.hash), at(0)).await {
                        Ok(seq) => return seq,
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
    assert_eq!(numbers, (1..=12).collect::<Vec<i64>>());
    let entries = f.store.log_entries(1, 100).await.unwrap();
    let mut prev = None;
    for entry in &entries {
        assert_eq!(entry.prev, prev);
        assert_eq!(entry.hash, [entry.body[0] + 1; 32]);
        prev = Some(entry.hash);
    }
    assert_eq!(f.store.log_head().await.unwrap(), prev.map(|hash| LogHead { seq: 12, hash }));
    let middle = f.store.log_entries(5, 2).await.unwrap();
    assert_eq!(middle.iter().map(|entry| entry.seq).collect::<Vec<_>>(), vec![5, 6]);
    assert_eq!(f.store.log_append("kind", &[], [0; 32], None, at(0)).await, Err(What::LogHead.into()));
}

async fn the_log_cannot_be_rewritten(f: &Fixture) {
    f.store.log_append("kind", b"body", [1; 32], None, at(0)).await.unwrap();
    for sql in ["UPDATE log SET kind = 'x'", "DELETE FROM log"] {
        let message = match f.address.strip_prefix("sqlite:") {
            Some(path) => {
                let mut db = sqlx::SqliteConnection::connect(path).await.unwrap();
                db.execute(sql).await.unwrap_err().to_string()
            }
            None => {
                let mut db = sqlx::PgConnection::connect(&f.address).await.unwrap();
                db.execute("TRUNCATE log").await.unwrap_err();
                db.execute(sql).await.unwrap_err().to_string()
            }
        };
        assert!(message.contains("append-only"), "{message}");
    }
    assert_eq!(f.store.log_entries(1, 9).await.unwrap().len(), 1);
}
