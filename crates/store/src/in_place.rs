//! SQLite on the caller's thread.
//!
//! sqlx gives every connection a thread, and each statement goes there and back: two switches between threads, where the
//! statement itself takes some ten microseconds. The one writer has a thread anyway (`writer.rs`), and readers look up
//! few rows by key, in the page cache: both run their statements where they are. What may take long (replicas,
//! snapshots, other people's databases) stays with sqlx.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::Value;
use crate::store::PATIENCE;
use crate::{StoreError, What};

/// Statements that a connection keeps prepared: all that the store knows.
const PREPARED: usize = 512;

/// A connection that runs statements at once.
pub(crate) struct InPlace(Connection);

impl InPlace {
    /// The one connection that writes. The file is there and has the newest schema.
    pub(crate) fn writer(path: &Path) -> Result<Self, StoreError> {
        let conn =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        // As in `store.rs`: acknowledged means durable, and deleted rows are overwritten.
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON",
        )?;
        Self::ready(conn)
    }

    fn reader(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::ready(Connection::open_with_flags(path, flags)?)
    }

    fn ready(conn: Connection) -> Result<Self, StoreError> {
        conn.busy_timeout(PATIENCE)?;
        conn.set_prepared_statement_cache_capacity(PREPARED);
        Ok(Self(conn))
    }

    /// Runs a statement to its end; how many rows it touched.
    pub(crate) fn execute(&mut self, sql: &str, args: &[Value<'_>]) -> Result<u64, StoreError> {
        self.query(sql, args, |_| Ok(true))?;
        Ok(self.0.changes())
    }

    /// Runs a statement and shows its rows until `row` has seen enough.
    pub(crate) fn query(
        &mut self,
        sql: &str,
        args: &[Value<'_>],
        mut row: impl FnMut(&rusqlite::Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        for place in 1..=statement.parameter_count() {
            // `$3` is the third argument, wherever it stands.
            let number = statement.parameter_name(place).and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok());
            let value = number.and_then(|number| args.get(number.checked_sub(1)?));
            match value.ok_or_else(|| StoreError::corrupt("a statement with another number of arguments"))? {
                Value::Int(value) => statement.raw_bind_parameter(place, value)?,
                Value::Text(Some(text)) if text.contains('\0') => return Err(What::ZeroByte.into()),
                Value::Text(value) => statement.raw_bind_parameter(place, value)?,
                Value::Blob(value) => statement.raw_bind_parameter(place, value)?,
            }
        }
        let mut rows = statement.raw_query();
        while let Some(next) = rows.next()? {
            if !row(next)? {
                break;
            }
        }
        Ok(())
    }
}

/// Connections for reading, opened when they are needed.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<InPlace>>,
    most: u32,
    permits: Arc<Semaphore>,
}

/// One of them; it goes back when it is dropped.
pub(crate) struct Reader {
    conn: Option<InPlace>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, most: u32) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(1)));
        Arc::new(Self { path, idle: Mutex::default(), most, permits })
    }

    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Reader, StoreError> {
        let unavailable = |reason: &str| StoreError::Unavailable { reason: reason.to_owned() };
        // Reading does not wait for anything: whoever reads again and again lets others go on.
        tokio::task::coop::consume_budget().await;
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| unavailable("no free connection in time"))?;
        let permit = permit.map_err(|_| unavailable("the store was closed"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => InPlace::reader(&self.path)?,
        };
        Ok(Reader { conn: Some(conn), readers: Arc::clone(self), _permit: permit })
    }

    /// Waits until all are back, and closes them.
    pub(crate) async fn close(&self) {
        let all = self.permits.acquire_many(self.most).await;
        self.permits.close();
        drop(all);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Reader {
    pub(crate) fn conn(&mut self) -> Result<&mut InPlace, StoreError> {
        self.conn.as_mut().ok_or_else(|| StoreError::corrupt("a reader that was given back"))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            // One that cannot end what it began is closed.
            if !conn.0.is_autocommit() && conn.0.execute_batch("ROLLBACK").is_err() {
                return;
            }
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}
