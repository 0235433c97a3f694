//! The replicated tables as a whole: read at one moment, staged on another node, and put in the place of what was there.
//!
//! ```text
//!  ReplicaRows::picture ─► Picture::next: SnapshotPart, SnapshotPart, ... ─► Staging::take ─► ReplicaRows::install
//!     one read transaction                                                     a file beside     one transaction
//! ```
//!
//! Memory holds a part at a time. What arrives goes into a database of its own with the same schema, so that whatever
//! does not fit there is refused before the node's own rows are touched.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Cell, REPLICATED, ReplicaRows, changed, commit, hex, roll_back, run_with, set_state, state};
use crate::StoreError;
use crate::db::{Conn, FromRow, Row, Scalar, args, from_row};
use crate::store::{open_reader, open_writer, remove_database, sqlite_path};

/// A part is sent when it is so long, counted as text.
const PART: usize = 256 << 10;
/// Rows that are read at once.
const READ: i64 = 32;

/// Some rows of one table.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    table: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// Rows may hold registration codes.
impl core::fmt::Debug for SnapshotPart {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} rows of {}", self.rows.len(), self.table)
    }
}

impl SnapshotPart {
    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// All rows of the replicated tables at one moment, whatever is written meanwhile.
pub struct Picture {
    conn: Conn,
    changed: u64,
    mark: Option<String>,
    table: usize,
    columns: Vec<String>,
    last: i64,
}

impl Picture {
    /// The value that was kept with the rows.
    pub fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// The index of the last change that is in.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// The next rows; `None` after the last ones.
    pub async fn next(&mut self) -> Result<Option<SnapshotPart>, StoreError> {
        while let Some(table) = REPLICATED.get(self.table) {
            if self.columns.is_empty() {
                self.columns = columns_of(&mut self.conn, table).await?;
            }
            let sql = format!(
                "SELECT rowid AS v, {} FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT $2",
                self.columns.join(", ")
            );
            let mut rows = Vec::new();
            let mut length = 0;
            while length < PART {
                // Names of the own schema only.
                let sql = sqlx::AssertSqlSafe(sql.clone());
                let read: Vec<Numbered> = self.conn.all(sql, args![self.last, READ]).await?;
                if read.is_empty() {
                    break;
                }
                for row in read {
                    if length >= PART {
                        break;
                    }
                    self.last = row.rowid;
                    length += row.cells.iter().map(Cell::length).sum::<usize>();
                    rows.push(row.cells);
                }
            }
            if !rows.is_empty() {
                let columns = self.columns.clone();
                return Ok(Some(SnapshotPart { table: (*table).to_owned(), columns, rows }));
            }
            self.table += 1;
            self.columns.clear();
            self.last = i64::MIN;
        }
        Ok(None)
    }
}

impl Cell {
    /// About so long as text.
    fn length(&self) -> usize {
        match self {
            Self::Int(_) => 16,
            Self::Text(text) | Self::Blob(text) => 16 + text.as_ref().map_or(0, String::len),
        }
    }
}

/// A row as it is stored, with its number.
struct Numbered {
    rowid: i64,
    cells: Vec<Cell>,
}

impl FromRow for Numbered {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let Row::Sqlite(stored) = row else { return Err(StoreError::corrupt("replicas are on SQLite")) };
        let cell = |column| {
            Ok(match row.kind(column)?.as_str() {
                "NULL" => Cell::Int(None),
                "INTEGER" => Cell::Int(Some(row.at(column)?)),
                "TEXT" => Cell::Text(Some(row.at(column)?)),
                "BLOB" => Cell::Blob(Some(hex(&row.at::<Vec<u8>>(column)?))),
                kind => return Err(StoreError::corrupt(format!("a value of kind {kind}"))),
            })
        };
        let cells = (1..sqlx::Row::len(stored)).map(cell).collect::<Result<_, _>>()?;
        Ok(Self { rowid: row.at(0)?, cells })
    }
}

/// Rows of another node on their way into this one.
pub struct Staging {
    conn: Conn,
    path: PathBuf,
    table: usize,
    rows: u64,
}

impl Staging {
    /// Takes the next part. An error says that it cannot be one: nothing was changed but this staging, which is to be
    /// dropped.
    pub async fn take(&mut self, part: &SnapshotPart) -> Result<(), StoreError> {
        let unfit = |reason: &str| StoreError::Statement { reason: format!("a snapshot has {reason}") };
        let place = REPLICATED.iter().position(|table| *table == part.table);
        let place = place.filter(|place| *place >= self.table).ok_or_else(|| unfit("a table that has no turn"))?;
        let table = REPLICATED[place];
        let columns = columns_of(&mut self.conn, table).await?;
        if part.columns != columns || part.rows.iter().any(|row| row.len() != columns.len()) {
            return Err(unfit("rows of another schema"));
        }
        self.table = place;
        let places: Vec<_> = (1..=columns.len()).map(|number| format!("${number}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", columns.join(", "), places.join(", "));
        self.conn.execute("BEGIN IMMEDIATE", &[]).await?;
        for row in &part.rows {
            // Names of the own schema only.
            if let Err(error) = run_with(&mut self.conn, sql.clone(), row).await {
                roll_back(&mut self.conn).await;
                return Err(error);
            }
        }
        self.rows += part.rows();
        commit(&mut self.conn).await
    }

    /// How many rows were taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the taking. The rows can be installed from here on.
    pub async fn finish(self) -> Result<Staged, StoreError> {
        self.conn.close().await?;
        Ok(Staged { path: self.path })
    }
}

/// All rows of another node, in a file beside the database. Gone when it is dropped.
pub struct Staged {
    path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _gone = remove_database(&self.path);
    }
}

struct Trigger {
    name: String,
    sql: String,
}
from_row!(Trigger { name, sql });

impl ReplicaRows {
    /// A picture of the rows, and of a value that was kept with them, at this moment. As long as it is held, the
    /// write-ahead file of the database grows.
    pub async fn picture(&self, mark: &str) -> Result<Picture, StoreError> {
        let mut conn = open_reader(&self.address).await?;
        conn.execute("BEGIN", &[]).await?;
        let (changed, mark) = (changed(&mut conn).await?, state(&mut conn, mark).await?);
        Ok(Picture { conn, changed, mark, table: 0, columns: Vec::new(), last: i64::MIN })
    }

    /// Removes what was staged and neither installed nor dropped: before a crash.
    pub fn unstage(&self) -> Result<(), StoreError> {
        let _gone = remove_database(&self.incoming()?);
        Ok(())
    }

    fn incoming(&self) -> Result<PathBuf, StoreError> {
        let mut path = sqlite_path(&self.address)?.into_os_string();
        path.push("-incoming");
        Ok(PathBuf::from(path))
    }

    /// A place for the rows of another node. There is one: what was begun before and not installed is gone.
    pub async fn stage(&self) -> Result<Staging, StoreError> {
        let path = self.incoming()?;
        let _gone = remove_database(&path);
        let mut conn = open_writer(&format!("sqlite:{}", path.display())).await?;
        // It is made anew after a crash.
        conn.execute("PRAGMA synchronous = OFF", &[]).await?;
        Ok(Staging { conn, path, table: 0, rows: 0 })
    }

    /// Puts staged rows in the place of all that this node has, with the index of the last change in them, and keeps
    /// `marks` (name, value) with them: durably, all of it or nothing.
    pub async fn install(&self, staged: &Staged, changed: u64, marks: &[(&str, String)]) -> Result<(), StoreError> {
        let mut conns = self.conns.lock().await;
        let db = &mut conns.log;
        let path = staged.path.display().to_string();
        db.execute("ATTACH DATABASE $1 AS incoming", args![path]).await?;
        let mut done = db.execute("BEGIN IMMEDIATE", &[]).await.map(drop);
        if done.is_ok() {
            done = replace(db, changed, marks).await;
            done = match done {
                Ok(()) => commit(db).await,
                Err(error) => {
                    roll_back(db).await;
                    Err(error)
                }
            };
        }
        db.execute("DETACH DATABASE incoming", &[]).await?;
        done
    }
}

async fn replace(db: &mut Conn, index: u64, marks: &[(&str, String)]) -> Result<(), StoreError> {
    // The audit log may only grow, whoever writes; here it is taken as a whole.
    let sql = "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' ORDER BY name";
    let triggers: Vec<Trigger> = db.all(sql, &[]).await?;
    for Trigger { name, .. } in &triggers {
        db.execute(sqlx::AssertSqlSafe(format!("DROP TRIGGER main.{name}")), &[]).await?;
    }
    for table in REPLICATED {
        let columns = columns_of(db, table).await?.join(", ");
        db.execute(sqlx::AssertSqlSafe(format!("DELETE FROM main.{table}")), &[]).await?;
        let sql = format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM incoming.{table} ORDER BY incoming.{table}.rowid"
        );
        db.execute(sqlx::AssertSqlSafe(sql), &[]).await?;
    }
    for Trigger { sql, .. } in triggers {
        db.execute(sqlx::AssertSqlSafe(sql), &[]).await?;
    }
    set_state(db, super::CHANGED, &index.to_string()).await?;
    for (name, value) in marks {
        set_state(db, name, value).await?;
    }
    Ok(())
}

/// The columns of a table, in the order of the schema.
async fn columns_of(db: &mut Conn, table: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name AS v FROM pragma_table_info($1) ORDER BY cid";
    let columns: Vec<Scalar<String>> = db.all(sql, args![table]).await?;
    Ok(columns.into_iter().map(|Scalar(name)| name).collect())
}
