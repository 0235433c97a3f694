//! Opening a database.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool, SqliteConnection};
use tokio::sync::RwLock;

use crate::alone::Alone;
use crate::backup::between;
use crate::db::Conn;
use crate::in_place::{InPlace, Readers};
use crate::replica::{Replicator, is_replica};
use crate::writer::Writer;
use crate::{StoreError, What, migrate};

/// The rows of one node. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: Arc<Db>,
    /// Something could not be written, and nothing was since, as far as [`Store::ping`] knows.
    pub(crate) unwritten: Arc<AtomicBool>,
}

pub(crate) enum Db {
    Sqlite {
        writer: Writer,
        readers: Arc<Readers>,
        /// The lock of a node, until the store is closed.
        alone: Mutex<Option<File>>,
    },
    /// Work runs concurrently under the shared side of the gate; work that lost a serialisation race is repeated
    /// under its exclusive side, so that it cannot lose again inside this process.
    Postgres {
        pool: PgPool,
        gate: RwLock<()>,
        /// Held for its destructor.
        _alone: Option<Alone>,
    },
}

/// How long SQLite waits for a lock of another process, and anybody for a connection. Said again in
/// `writer.rs`.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;

impl Store {
    /// Opens `sqlite:PATH`, a bare path, or `postgres://...`; creates or upgrades the schema.
    ///
    /// Refuses a file that [`ReplicaRows`](crate::ReplicaRows) has opened: it would no longer hold what the other
    /// replicas hold.
    ///
    /// Must be called inside a Tokio runtime that outlives the store.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        Self::open_as(address, false).await
    }

    /// The same for a node, which shares its rows with no other one: refuses a database that another node has opened so,
    /// before anything in it is touched.
    ///
    /// Must be called inside a Tokio runtime that outlives the store.
    pub async fn open_alone(address: &str) -> Result<Self, StoreError> {
        Self::open_as(address, true).await
    }

    async fn open_as(address: &str, alone: bool) -> Result<Self, StoreError> {
        let db = if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            open_postgres(address, alone).await?
        } else {
            let path = sqlite_path(address)?;
            let held = alone.then(|| crate::alone::take_file(&path)).transpose()?;
            open_sqlite(path, None, held).await?
        };
        Ok(Self::over(db))
    }

    /// Opens `sqlite:PATH` as one of several replicas: whatever is written is agreed on by `replicator` first, and made
    /// by [`ReplicaRows`](crate::ReplicaRows) over the same file, opened before. Where this node may not write,
    /// writing answers `Replicas`; after that answer a change may still be made, if nobody said what became of it.
    ///
    /// Must be called inside a Tokio runtime that outlives the store.
    pub async fn open_replicated(address: &str, replicator: Arc<dyn Replicator>) -> Result<Self, StoreError> {
        Ok(Self::over(open_sqlite(sqlite_path(address)?, Some(replicator), None).await?))
    }

    fn over(db: Db) -> Self {
        Self { db: Arc::new(db), unwritten: Arc::default() }
    }

    /// Which database is behind: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match &*self.db {
            Db::Sqlite { .. } => "sqlite",
            Db::Postgres { .. } => "postgres",
        }
    }

    /// Whether the database answers, and takes what is written (for `/readyz`). Once something could not be written, as on a
    /// full disk where reading goes on, a small write is tried each time until one succeeds.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let _: crate::db::Scalar<i64> = self.reader().await?.one("SELECT CAST(1 AS BIGINT) AS v", &[]).await?;
        if self.unwritten.load(Ordering::Relaxed) {
            self.run_tx("probe", (), |db, _| {
                Box::pin(async move {
                    let sql = "INSERT INTO settings (name, value, updated) VALUES ('probe', '', 0)
                               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                    db.execute(sql, &[]).await.map(drop)
                })
            })
            .await?;
            self.unwritten.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits for queued work and closes every connection; later calls answer `Unavailable`.
    pub async fn close(&self) {
        match &*self.db {
            Db::Sqlite { writer, readers, alone } => {
                readers.close().await;
                writer.close().await;
                // Clones of the store may live on.
                drop(alone.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            Db::Postgres { pool, .. } => pool.close().await,
        }
    }

    /// A connection for reading; on SQLite it never waits for the writer.
    pub(crate) async fn reader(&self) -> Result<Conn, StoreError> {
        Ok(match &*self.db {
            Db::Sqlite { readers, .. } => Conn::SqliteReader(readers.acquire().await?),
            Db::Postgres { pool, .. } => Conn::PostgresReader(pool.acquire().await?),
        })
    }
}

pub(crate) fn sqlite_path(address: &str) -> Result<PathBuf, StoreError> {
    let path = match address.strip_prefix("sqlite:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None => address,
    };
    if path.contains("://") {
        return Err(StoreError::Address { reason: "unknown kind of database".into() });
    }
    if path.is_empty() || path == ":memory:" {
        return Err(StoreError::Address { reason: "a file is needed: what is acknowledged must be durable".into() });
    }
    Ok(PathBuf::from(path))
}

/// A writing connection of its own, with the newest schema.
pub(crate) async fn open_writer(address: &str) -> Result<Conn, StoreError> {
    let path = sqlite_path(address)?;
    create_private(&path)?;
    let mut writer = Conn::SqliteWriter(SqliteConnection::connect_with(&sqlite_options(&path)).await?);
    migrate::run(&mut writer).await?;
    Ok(writer)
}

/// A reading connection of its own.
pub(crate) async fn open_reader(address: &str) -> Result<Conn, StoreError> {
    let options = sqlite_options(&sqlite_path(address)?).read_only(true);
    Ok(Conn::SqliteWriter(SqliteConnection::connect_with(&options).await?))
}

pub(crate) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode, FULL syncs the log at every commit: acknowledged means durable.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        // Deleted input rows are overwritten, not only unlinked.
        .pragma("secure_delete", "ON")
        .disable_statement_logging()
}

async fn open_sqlite(
    path: PathBuf,
    replicator: Option<Arc<dyn Replicator>>,
    alone: Option<File>,
) -> Result<Db, StoreError> {
    create_private(&path)?;
    // A backup that was killed left all inputs there. One that is being made fails, and says so.
    let left = between(&path);
    remove_database(&left)
        .map_err(|error| StoreError::Unavailable { reason: format!("cannot remove {}: {error}", left.display()) })?;
    let options = sqlite_options(&path);
    let mut writer = Conn::SqliteWriter(SqliteConnection::connect_with(&options).await?);
    migrate::run(&mut writer).await?;
    let writer = match (writer, replicator) {
        (Conn::SqliteWriter(conn), Some(replicator)) => {
            Writer::start(Conn::SqliteRecorder(conn, Vec::new()), Some(replicator))?
        }
        (mut writer, _) => {
            if is_replica(&mut writer).await? {
                return Err(What::Replicated.into());
            }
            writer.close().await?;
            Writer::start(Conn::SqliteInPlace(InPlace::writer(&path)?), None)?
        }
    };
    Ok(Db::Sqlite { writer, readers: Readers::new(path, SQLITE_READERS), alone: Mutex::new(alone) })
}

/// The file holds inputs and registration codes: nobody else may read it. SQLite gives its log the same mode.
pub(crate) fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::Unavailable { reason: format!("cannot open {}: {error}", path.display()) }),
    }
}

/// A SQLite database and the files that it keeps beside it, as far as they are there.
pub(crate) fn remove_database(path: &Path) -> std::io::Result<()> {
    for more in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(more);
        match std::fs::remove_file(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn open_postgres(address: &str, alone: bool) -> Result<Db, StoreError> {
    let options = PgConnectOptions::from_str(address)
        // The error may quote the address, and that may hold a password.
        .map_err(|_| StoreError::Address { reason: "not a PostgreSQL address".into() })?
        .application_name("tacit")
        .disable_statement_logging();
    // A pool would try again and again and then only say that it waited; this says what is wrong.
    let refused = |reason: &str| StoreError::Unavailable { reason: format!("PostgreSQL does not answer: {reason}") };
    match tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await {
        Err(_) => return Err(refused("time-out")),
        Ok(Err(sqlx::Error::Io(error))) => return Err(refused(&error.to_string())),
        Ok(Err(error)) => return Err(error.into()),
        Ok(Ok(conn)) => conn.close().await?,
    }
    let held = match alone {
        true => Some(crate::alone::take(&options).await?),
        false => None,
    };
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .after_connect(|conn, _| {
            Box::pin(async move {
                // Acknowledged means durable, whatever the role's defaults say.
                conn.execute(
                    "SELECT set_config('synchronous_commit', 'on', false)
                     WHERE current_setting('synchronous_commit') = 'off'",
                )
                .await?;
                Ok(())
            })
        })
        .connect_with(options.clone())
        .await?;
    let mut conn = Conn::PostgresTx(pool.begin().await?);
    let crate::db::Scalar(fsync) =
        conn.one::<crate::db::Scalar<String>>("SELECT current_setting('fsync') AS v", &[]).await?;
    if fsync == "off" {
        tracing::warn!("this PostgreSQL runs with fsync=off: a power cut may lose acknowledged rows");
    }
    migrate::run(&mut conn).await?;
    if let Conn::PostgresTx(tx) = conn {
        tx.commit().await?;
    }
    let alone = held.map(|held| crate::alone::keep(held, options, pool.clone()));
    Ok(Db::Postgres { pool, gate: RwLock::new(()), _alone: alone })
}

#[cfg(test)]
mod tests {
    use tacit_model::UnixMillis;

    use super::*;

    /// A full disk, as far as a test can have one: reading goes on.
    #[tokio::test]
    async fn a_store_that_takes_no_writes_is_not_well_until_it_does_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.db");
        let store = Store::open(path.to_str().expect("a path")).await.expect("it opens");
        let takes = async |writes: bool| {
            let set = store.run_one_write(writes, |db, writes| {
                let sql = if *writes { "PRAGMA query_only = OFF" } else { "PRAGMA query_only = ON" };
                Box::pin(async move { db.execute(sql, &[]).await.map(drop) })
            });
            set.await.expect("set");
        };
        assert_eq!(store.ping().await, Ok(()));
        takes(false).await;
        let write = || store.set_setting("a", "b", UnixMillis(0));
        assert!(matches!(write().await, Err(StoreError::Unavailable { .. })));
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
        assert!(store.setting("a").await.is_ok(), "reading goes on");
        takes(true).await;
        assert_eq!(store.ping().await, Ok(()));
        assert_eq!(write().await, Ok(()));
    }
}
