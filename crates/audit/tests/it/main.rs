//! The log on its disk: groups, crashes, proofs, and what an older version left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use sqlx::{Connection, Executor};
use tacit_accord::log::export::Verifier;
use tacit_accord::log::{Entry, Hash, Kind, verify_consistency, verify_inclusion};
use tacit_audit::{AuditError, AuditLog, AuditSetup, facts};
use tacit_model::{ManualClock, UnixMillis};
use tacit_pki::Identity;
use tacit_store::Store;
use tempfile::TempDir;
use time::OffsetDateTime;

struct Node {
    folder: TempDir,
    identity: Arc<Identity>,
}

impl Node {
    fn new() -> Self {
        let identity = Arc::new(Identity::generate("node", OffsetDateTime::UNIX_EPOCH).unwrap());
        Self { folder: TempDir::new().unwrap(), identity }
    }

    fn path(&self) -> String {
        self.folder.path().join("tacit.db").to_str().unwrap().to_owned()
    }

    async fn open(&self) -> Result<(AuditLog, Store), AuditError> {
        let store = Store::open(&self.path()).await.unwrap();
        let setup = AuditSetup {
            store: store.clone(),
            node: Arc::clone(&self.identity),
            clock: Arc::new(ManualClock::new(UnixMillis(1_790_000_000_000))),
            software: "tacit 0.0.0".to_owned(),
            parameters: vec![("limits.sessions".to_owned(), "8".to_owned())],
        };
        Ok((AuditLog::open(setup).await?, store))
    }

    async fn run(&self, sql: &'static str) {
        let mut db = sqlx::SqliteConnection::connect(&self.path()).await.unwrap();
        db.execute(sql).await.unwrap();
        db.close().await.unwrap();
    }
}

async fn verified(log: &AuditLog) -> tacit_accord::log::export::Report {
    let mut verifier = Verifier::new(Some(log.node()), Vec::new());
    let mut export = log.export().await.unwrap();
    while let Some(lines) = export.next().await.unwrap() {
        for line in lines.split_inclusive('\n') {
            verifier.line(line.as_bytes()).unwrap();
        }
    }
    verifier.finish().unwrap()
}

#[tokio::test]
async fn r11_callers_share_batches_and_every_head_extends_those_before_it() {
    let node = Node::new();
    let (log, store) = node.open().await.unwrap();
    let mut heads = vec![log.checkpoint().await.unwrap().checkpoint];
    let mut numbers = Vec::new();
    for round in 0..3 {
        let calls: Vec<_> = (0..300)
            .map(|i| {
                let log = log.clone();
                let facts = facts([("action", format!("{round}.{i}"))]);
                tokio::spawn(async move { log.append(Kind::Action, facts).await.unwrap() })
            })
            .collect();
        for call in calls {
            numbers.push(call.await.unwrap());
        }
        heads.push(log.checkpoint().await.unwrap().checkpoint);
    }
    numbers.sort_unstable();
    // The start of the program and its settings come first.
    assert_eq!(numbers, (3..=902).collect::<Vec<u64>>());
    let last = heads.last().unwrap();
    for head in &heads {
        let proof = log.consistency(head.size, last.size).await.unwrap();
        verify_consistency((head.size, &head.root), (last.size, &last.root), &proof).unwrap();
    }
    for seq in (1..=902).step_by(53) {
        let leaf = Hash(log.entries(seq, 1).await.unwrap()[0].leaf);
        let proof = log.inclusion(seq, 902).await.unwrap();
        verify_inclusion(&leaf, seq - 1, 902, &proof, &last.root).unwrap();
        let earlier = log.inclusion(seq.min(300), 302).await.unwrap();
        assert!(earlier.len() <= 9);
    }
    assert!(matches!(log.inclusion(903, 902).await, Err(AuditError::Proof(_))));
    assert!(matches!(log.inclusion(0, 902).await, Err(AuditError::Proof(_))));
    assert!(matches!(log.consistency(5, 903).await, Err(AuditError::Proof(_))));
    assert_eq!(verified(&log).await.kinds["action"], 900);
    store.close().await;
}

#[tokio::test]
async fn r14_a_log_goes_on_where_it_was() {
    let node = Node::new();
    for start in 1..=3 {
        let (log, store) = node.open().await.unwrap();
        for _ in 0..200 {
            log.note(Kind::Action, facts([("action", "noted".to_owned())]));
        }
        log.flush().await.unwrap();
        let report = verified(&log).await;
        assert_eq!((report.kinds["software"], report.kinds["action"]), (start, 200 * start));
        assert_eq!(report.software, "tacit 0.0.0");
        store.close().await;
        assert!(matches!(log.append(Kind::Action, facts([])).await, Err(AuditError::Store(_))));
    }
}

/// What the hash chain of the first version held is not lost; it comes first, as it was.
#[tokio::test]
async fn r14_entries_of_the_version_before_are_carried_over_once() {
    let node = Node::new();
    Store::open(&node.path()).await.unwrap().close().await;
    let old = Entry { at: UnixMillis(7), node: node.identity.fingerprint(), kind: Kind::Action, facts: facts([]) };
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
         INSERT INTO log_chain (seq, kind, body, hash, at) SELECT i, 'action', CAST('{}' AS BLOB), x'00', 7 FROM n",
        old.body().unwrap()
    );
    node.run(sql.leak()).await;
    for start in 1..=2 {
        let (log, store) = node.open().await.unwrap();
        let report = verified(&log).await;
        assert_eq!((report.kinds["action"], report.kinds["software"]), (2500, start));
        let first = log.entries(2500, 2).await.unwrap();
        assert_eq!(first[0].body, old.body().unwrap().into_bytes());
        assert_eq!((first[0].at, first[1].kind.as_str()), (UnixMillis(7), "software"));
        store.close().await;
    }
}

#[tokio::test]
async fn r11_a_changed_database_does_not_open() {
    let node = Node::new();
    let (log, store) = node.open().await.unwrap();
    log.append(Kind::Action, facts([("action", "start".to_owned())])).await.unwrap();
    store.close().await;
    node.run("DROP TRIGGER merkle_log_no_update; UPDATE log SET leaf = zeroblob(32) WHERE seq = 2").await;
    assert!(matches!(node.open().await, Err(AuditError::Damaged(_))));
}
