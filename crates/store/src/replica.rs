//! One database on several nodes: what a transaction writes becomes a [`Change`] that all of them make in one order.
//!
//! ```text
//!  run_tx -- recorded, rolled back -- Change --> Replicator (a majority keeps it) --> ReplicaRows::apply on each node
//! ```
//!
//! A change names the change that it was recorded after. If another one came in between, it is stale: every node
//! skips it alike, and its author records it once more. So nothing is ever written over what its author did not see,
//! whoever thinks to be in the lead.
//!
//! Only the gateway's tables are replicated. A transaction that writes anywhere else is refused on a replicated store:
//! what peers hold never travels. A change from another node may insert, update and delete rows of those tables and
//! do nothing else.

mod snapshot;

use core::future::Future;
use core::pin::Pin;
use std::fs::File;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::alone::take_file;
use crate::db::{Conn, Scalar, Value, args, from_row};
use crate::store::{open_writer, sqlite_path};
use crate::{StoreError, What};

pub use snapshot::{Picture, SnapshotPart, Staged, Staging};

/// The tables of a gateway, which all its replicas hold.
pub const REPLICATED: [&str; 24] = [
    "counters",
    "groups",
    "consensus",
    "codes",
    "members",
    "revoked",
    "runs",
    "slots",
    "log",
    "log_nodes",
    "log_heads",
    "cosignatures",
    "receipts",
    "receipts_owed",
    "negotiations",
    "negotiation_steps",
    "tasks",
    "notices",
    "task_windows",
    "tokens",
    "settings",
    // Of the first schema; nothing is written to it.
    "leases",
    "received",
    "received_keys",
];

/// Longer texts of statements are not taken from others.
const MAX_STATEMENT: usize = 64 << 10;
/// Statements of one change.
const MAX_STATEMENTS: usize = 100_000;

/// One writing statement with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    sql: String,
    args: Vec<Cell>,
}

/// An argument. Nothing in it is ever NULL of no type, since PostgreSQL is not spoken here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Cell {
    #[serde(rename = "i")]
    Int(Option<i64>),
    #[serde(rename = "t")]
    Text(Option<String>),
    /// Hexadecimal.
    #[serde(rename = "b")]
    Blob(Option<String>),
}

/// Arguments may be registration codes.
impl core::fmt::Debug for Cell {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("_")
    }
}

/// What transactions wrote, to be made by every replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The index of the change that its author saw last; 0 for none.
    pub after: u64,
    /// In order.
    pub statements: Vec<Statement>,
}

/// Brings a change to all replicas.
pub trait Replicator: Send + Sync {
    /// Returns when a majority keeps the change and this node has looked at it: `true` if it was made, `false` if it
    /// was stale.
    fn agree<'a>(&'a self, change: Change) -> Pin<Box<dyn Future<Output = Result<bool, NotAgreed>> + Send + 'a>>;
}

/// Why there was no agreement on a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAgreed {
    /// It was not proposed to anybody, and will not be made.
    Unproposed(StoreError),
    /// Nobody said what became of it: it may still be made.
    Unheard(StoreError),
}

impl Statement {
    pub(crate) fn record(sql: &str, args: &[Value<'_>]) -> Self {
        let cell = |value: &Value<'_>| match *value {
            Value::Int(int) => Cell::Int(int),
            Value::Text(text) => Cell::Text(text.map(str::to_owned)),
            Value::Blob(blob) => Cell::Blob(blob.map(hex)),
        };
        Self { sql: sql.to_owned(), args: args.iter().map(cell).collect() }
    }

    /// Whether a text writes: reads and the words around transactions are not recorded.
    pub(crate) fn writes(sql: &str) -> bool {
        ["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"].iter().any(|word| first_word(sql).eq_ignore_ascii_case(word))
    }

    /// Whether it is one statement that changes rows of one replicated table. Transactions could be left, files
    /// attached and tables made with anything else.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let mut words = self.sql.split_ascii_whitespace();
        let table = match (words.next(), words.next(), words.next()) {
            (Some("INSERT"), Some("INTO"), Some(table)) | (Some("DELETE"), Some("FROM"), Some(table)) => table,
            (Some("UPDATE"), Some(table), _) => table,
            _ => "",
        };
        let plain = self.sql.len() <= MAX_STATEMENT && !self.sql.contains([';', '\0']);
        if plain && REPLICATED.contains(&table) {
            return Ok(());
        }
        Err(StoreError::Statement { reason: "a change of what is not replicated".to_owned() })
    }

    async fn run(&self, db: &mut Conn) -> Result<(), StoreError> {
        // The text was checked: one statement on a table of this list.
        run_with(db, self.sql.clone(), &self.args).await
    }
}

/// Runs a statement whose text is known to be safe.
async fn run_with(db: &mut Conn, sql: String, cells: &[Cell]) -> Result<(), StoreError> {
    let blobs = cells.iter().map(|cell| match cell {
        Cell::Blob(Some(text)) => unhex(text).map(Some),
        _ => Ok(None),
    });
    let blobs = blobs.collect::<Result<Vec<_>, _>>()?;
    let values: Vec<Value<'_>> = cells.iter().zip(&blobs).map(|(cell, blob)| value_of(cell, blob)).collect();
    db.execute(sqlx::AssertSqlSafe(sql), &values).await.map(drop)
}

fn value_of<'a>(cell: &'a Cell, blob: &'a Option<Vec<u8>>) -> Value<'a> {
    match cell {
        Cell::Int(int) => Value::Int(*int),
        Cell::Text(text) => Value::Text(text.as_deref()),
        Cell::Blob(_) => Value::Blob(blob.as_deref()),
    }
}

impl Change {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.statements.len() > MAX_STATEMENTS {
            return Err(StoreError::TooLarge);
        }
        self.statements.iter().try_for_each(Statement::check)
    }
}

fn first_word(sql: &str) -> &str {
    sql.split_ascii_whitespace().next().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, StoreError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty());
    bytes.ok_or_else(|| StoreError::corrupt("a change whose bytes are not hexadecimal"))
}

/// The name of the index of the last change in `replica_state`.
const CHANGED: &str = "changed";

/// The index of the last change that was made.
pub(crate) async fn changed(db: &mut Conn) -> Result<u64, StoreError> {
    let text = state(db, CHANGED).await?;
    text.map_or(Ok(0), |text| text.parse().map_err(|_| StoreError::corrupt("the index of the last change")))
}

/// Whether the database was ever opened as one of several replicas.
pub(crate) async fn is_replica(db: &mut Conn) -> Result<bool, StoreError> {
    Ok(state(db, CHANGED).await?.is_some())
}

async fn state(db: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value AS v FROM replica_state WHERE name = $1";
    Ok(db.optional::<Scalar<String>>(sql, args![name]).await?.map(|Scalar(text)| text))
}

async fn set_state(db: &mut Conn, name: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO replica_state (name, value) VALUES ($1, $2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    db.execute(sql, args![name, value]).await.map(drop)
}

struct LogLine {
    idx: i64,
    body: String,
}
from_row!(LogLine { idx, body });

/// A node's own rows of the replication: the log, what was promised, and the replicated tables as changes arrive.
///
/// Each call is durable when it returns, but for [`apply`](Self::apply). On SQLite only.
pub struct ReplicaRows {
    address: String,
    conns: Mutex<Conns>,
    /// The lock of a node.
    _alone: Option<File>,
}

/// Used in turn: nobody waits for a lock of the file.
struct Conns {
    log: Conn,
    /// Does not sync: what it loses in a power cut is in the log.
    tables: Conn,
}

impl ReplicaRows {
    /// Opens `sqlite:PATH`, beside the [`Store`](crate::Store) over the same file; creates or upgrades the schema.
    ///
    /// Refuses a database that was written without replicas: those would lack what it holds.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        let mut conn = open_writer(address).await?;
        if !is_replica(&mut conn).await? {
            let Scalar(rows): Scalar<i64> = conn
                .one("SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM tokens) + (SELECT count(*) FROM groups) AS v", &[])
                .await?;
            if rows > 0 {
                return Err(StoreError::Conflict { what: What::NotReplicated });
            }
            set_state(&mut conn, CHANGED, "0").await?;
        }
        let mut tables = open_writer(address).await?;
        tables.execute("PRAGMA synchronous = NORMAL", &[]).await?;
        Ok(Self { address: address.to_owned(), conns: Mutex::new(Conns { log: conn, tables }), _alone: None })
    }

    /// The same for a node: refuses a file that another node has opened so, also by
    /// [`Store::open_alone`](crate::Store::open_alone).
    pub async fn open_alone(address: &str) -> Result<Self, StoreError> {
        let held = take_file(&sqlite_path(address)?)?;
        Ok(Self { _alone: Some(held), ..Self::open(address).await? })
    }

    /// A value that the replication keeps.
    pub async fn state(&self, name: &str) -> Result<Option<String>, StoreError> {
        state(&mut self.conns.lock().await.log, name).await
    }

    /// Keeps a value.
    pub async fn set_state(&self, name: &str, value: &str) -> Result<(), StoreError> {
        set_state(&mut self.conns.lock().await.log, name, value).await
    }

    /// Appends entries to the log, all or none. Those of the same index are replaced.
    pub async fn append(&self, entries: &[(u64, String)]) -> Result<(), StoreError> {
        let mut conns = self.conns.lock().await;
        let db = &mut conns.log;
        db.execute("BEGIN IMMEDIATE", &[]).await?;
        let sql = "INSERT INTO replica_log (idx, body) VALUES ($1, $2)
                   ON CONFLICT (idx) DO UPDATE SET body = excluded.body";
        for (index, body) in entries {
            if let Err(error) = db.execute(sql, args![number(*index), body]).await {
                roll_back(db).await;
                return Err(error);
            }
        }
        commit(db).await
    }

    /// The entries of these indices, in order.
    pub async fn entries(&self, from: u64, below: u64) -> Result<Vec<(u64, String)>, StoreError> {
        let sql = "SELECT idx, body FROM replica_log WHERE idx >= $1 AND idx < $2 ORDER BY idx";
        let lines: Vec<LogLine> = self.conns.lock().await.log.all(sql, args![number(from), number(below)]).await?;
        Ok(lines.into_iter().map(|line| (line.idx.unsigned_abs(), line.body)).collect())
    }

    /// The last entry.
    pub async fn last(&self) -> Result<Option<(u64, String)>, StoreError> {
        let sql = "SELECT idx, body FROM replica_log ORDER BY idx DESC LIMIT 1";
        let line: Option<LogLine> = self.conns.lock().await.log.optional(sql, &[]).await?;
        Ok(line.map(|line| (line.idx.unsigned_abs(), line.body)))
    }

    /// Removes the entries from this index on: they were never agreed on.
    pub async fn truncate(&self, from: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM replica_log WHERE idx >= $1";
        self.conns.lock().await.log.execute(sql, args![number(from)]).await.map(drop)
    }

    /// Removes the entries up to this index, some at a time, so that nobody waits long.
    pub async fn purge(&self, to: u64) -> Result<(), StoreError> {
        const PIECE: u64 = 200;
        let sql =
            "DELETE FROM replica_log WHERE idx IN (SELECT idx FROM replica_log WHERE idx <= $1 ORDER BY idx LIMIT $2)";
        let (to, piece) = (number(to), number(PIECE));
        while self.conns.lock().await.log.execute(sql, args![to, piece]).await? == PIECE {}
        Ok(())
    }

    /// Makes agreed changes, each with its index, and keeps `marks` (name, value) with them: all of it or nothing.
    /// For each change whether it was made, or was stale. A power cut may undo it, and the marks with it: then it is to
    /// be made again, from the log.
    pub async fn apply(&self, changes: &[(u64, Change)], marks: &[(&str, String)]) -> Result<Vec<bool>, StoreError> {
        for (_, change) in changes {
            change.check()?;
        }
        let mut conns = self.conns.lock().await;
        let db = &mut conns.tables;
        db.execute("BEGIN IMMEDIATE", &[]).await?;
        match make(db, changes, marks).await {
            Ok(made) => commit(db).await.map(|()| made),
            Err(error) => {
                roll_back(db).await;
                Err(error)
            }
        }
    }
}

async fn make(db: &mut Conn, changes: &[(u64, Change)], marks: &[(&str, String)]) -> Result<Vec<bool>, StoreError> {
    let before = changed(db).await?;
    let mut last = before;
    let mut made = Vec::with_capacity(changes.len());
    for (index, change) in changes {
        let fits = change.after == last;
        if fits {
            for statement in &change.statements {
                statement.run(db).await?;
            }
            last = *index;
        }
        made.push(fits);
    }
    if last != before {
        set_state(db, CHANGED, &last.to_string()).await?;
    }
    for (name, value) in marks {
        set_state(db, name, value).await?;
    }
    Ok(made)
}

async fn commit(db: &mut Conn) -> Result<(), StoreError> {
    let committed = db.execute("COMMIT", &[]).await.map(drop);
    if committed.is_err() {
        roll_back(db).await;
    }
    committed
}

/// Fails if nothing is open, which is what is wanted.
async fn roll_back(db: &mut Conn) {
    let _ = db.execute("ROLLBACK", &[]).await;
}

/// Indices never come near the limit.
fn number(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w1_only_rows_of_the_gateway_can_be_changed_by_another_replica() {
        let allowed = |sql: &str| Statement { sql: sql.to_owned(), args: Vec::new() }.check().is_ok();
        for sql in [
            "INSERT INTO groups (gid) VALUES ($1)",
            "UPDATE tasks SET state = $1\n WHERE id = $2",
            "DELETE FROM codes WHERE code = $1",
        ] {
            assert!(allowed(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO groups (gid) VALUES (1); COMMIT; ATTACH 'x' AS x",
            "ATTACH DATABASE '/tmp/x' AS x",
            "PRAGMA writable_schema = ON",
            "CREATE TABLE t (a)",
            "DROP TABLE groups",
            "WITH x AS (SELECT 1) DELETE FROM groups",
            "INSERT INTO input_rows (party) VALUES ('p')",
            "UPDATE parties SET state = ''",
            "DELETE FROM freezes WHERE 1",
            "INSERT INTO replica_state (name, value) VALUES ('changed', '7')",
            "UPDATE main.input_rows SET state = ''",
            "SELECT 1",
            "COMMIT",
            "",
        ] {
            assert!(!allowed(sql), "{sql}");
        }
    }

    /// A new table must be put on one of the two lists: rows that are missing on a replica would be missed there.
    #[tokio::test]
    async fn w1_every_table_travels_or_stays() {
        const STAY: [&str; 25] = [
            "approvals",
            "asked",
            "companies",
            "evidence",
            "forgotten",
            "freezes",
            "input_rows",
            "jobs",
            "log_chain",
            "opened",
            "opened_before",
            "outbox",
            "outbox_batches",
            "parties",
            "party_runs",
            "replica_log",
            "replica_state",
            "results",
            "schema_version",
            "series",
            "sessions",
            "witnessed",
            "spent",
            "sqlite_sequence",
            "sqlite_stat1",
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tacit.db").display().to_string();
        let mut db = open_writer(&path).await.expect("a database");
        let tables: Vec<Scalar<String>> =
            db.all("SELECT name AS v FROM sqlite_master WHERE type = 'table'", &[]).await.expect("its tables");
        for Scalar(table) in &tables {
            assert!(REPLICATED.contains(&&**table) != STAY.contains(&&**table), "{table} is on no list, or on both");
        }
        for table in REPLICATED {
            assert!(tables.iter().any(|Scalar(there)| there == table), "there is no table {table}");
        }
    }

    #[test]
    fn bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)), Ok(bytes));
        for bad in ["a", "0g", "zz", "é"] {
            assert!(unhex(bad).is_err(), "{bad}");
        }
    }
}
