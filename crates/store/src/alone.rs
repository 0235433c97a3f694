//! One node per database.
//!
//! A database can be named by two nodes, by mistake or by somebody who hopes that they share the work: each would serve the
//! same groups, and answer for the other's sessions.
//!
//! **SQLite.** A node locks its data folder, but another folder's `node.toml` can name the same file. So it locks a file beside
//! the database, too, which the system frees when the process ends, in whatever way. Who only reads or copies the database
//! does not ask for it.
//!
//! **PostgreSQL.** A node holds an advisory lock of its schema, on a connection of its own, as long as it runs. The server
//! gives it back when that connection ends, also after kill -9. A node that has lost it, because the server was restarted,
//! takes it again; if another one was faster, it writes no more. Where it is the node's own earlier connection that has it,
//! which a network that was dark has kept from ending, the node ends that.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::store::{PATIENCE, create_private};
use crate::{StoreError, What};

/// "taci"; the other half of the lock's name is the schema.
const LOCK: i32 = 0x7461_6369;
/// A node that was just killed may be there still, as the server sees it.
const WAIT: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(200);
/// Whether the lock is still held is looked at so often.
const LOOK: Duration = Duration::from_secs(2);

/// Takes a SQLite file for as long as what is handed back lives, or says that another node has it. Nothing in it is touched.
pub(crate) fn take_file(path: &Path) -> Result<File, StoreError> {
    create_private(path)?;
    let failed = |path: &Path, error: std::io::Error| StoreError::Unavailable {
        reason: format!("cannot lock {}: {error}", path.display()),
    };
    // Whatever the path to it: links lead to the same file.
    let mut beside = path.canonicalize().map_err(|error| failed(path, error))?.into_os_string();
    // The locks of its own file are SQLite's.
    beside.push("-lock");
    let beside = PathBuf::from(beside);
    create_private(&beside)?;
    // On a network's file system only who may write can lock.
    let file = File::options().write(true).open(&beside).map_err(|error| failed(&beside, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(What::InUse.into()),
        Err(TryLockError::Error(error)) => Err(failed(&beside, error)),
    }
}

/// The lock, as long as this lives and the pool that it was kept for is open.
pub(crate) struct Alone(JoinHandle<()>);

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection that has the lock, and what the server calls it.
pub(crate) struct Held {
    conn: PgConnection,
    pid: i32,
    since: String,
}

/// Takes the lock, or says that another node has it.
pub(crate) async fn take(options: &PgConnectOptions) -> Result<Held, StoreError> {
    let until = Instant::now() + WAIT;
    loop {
        if let Some(held) = try_take(options).await? {
            return Ok(held);
        }
        if Instant::now() >= until {
            return Err(What::InUse.into());
        }
        sleep(AGAIN).await;
    }
}

async fn try_take(options: &PgConnectOptions) -> Result<Option<Held>, StoreError> {
    let mut conn = PgConnection::connect_with(options).await?;
    // A node whose machine vanished keeps others out for half a minute, and not for hours.
    conn.execute(
        "SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
                set_config('tcp_keepalives_count', '3', false)",
    )
    .await?;
    let taken: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext(coalesce(current_schema()::text, '')))")
            .bind(LOCK)
            .fetch_one(&mut conn)
            .await?;
    if !taken {
        return Ok(None);
    }
    let sql = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let (pid, since) = sqlx::query_as(sql).fetch_one(&mut conn).await?;
    Ok(Some(Held { conn, pid, since }))
}

/// Takes the lock again, or says that another node has it. Nothing if it was the node's own lost connection, which is ended.
async fn retake(options: &PgConnectOptions, pid: i32, since: &str) -> Result<Option<Held>, StoreError> {
    if let Some(held) = try_take(options).await? {
        return Ok(Some(held));
    }
    let mut conn = PgConnection::connect_with(options).await?;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";
    let own: Option<bool> = sqlx::query_scalar(sql).bind(pid).bind(since).fetch_optional(&mut conn).await?;
    if own.is_some() { Ok(None) } else { Err(What::InUse.into()) }
}

/// Keeps the lock until the pool is closed, and closes the pool if another node has it.
pub(crate) fn keep(held: Held, options: PgConnectOptions, pool: PgPool) -> Alone {
    Alone(tokio::spawn(async move {
        let closed = pool.close_event();
        tokio::select! {
            () = closed => {}
            () = lost(held, &options) => {
                tracing::error!(
                    "another node has taken this PostgreSQL while the server was away; this one writes no more: stop one of them"
                );
                pool.close().await;
            }
        }
    }))
}

/// Resolves when another node has the lock.
async fn lost(mut held: Held, options: &PgConnectOptions) {
    loop {
        sleep(LOOK).await;
        if matches!(timeout(PATIENCE, held.conn.ping()).await, Ok(Ok(()))) {
            continue;
        }
        tracing::warn!("the connection that holds the lock of this PostgreSQL is lost; taking it again");
        let Held { conn, pid, since } = held;
        drop(conn);
        held = loop {
            match timeout(PATIENCE, retake(options, pid, &since)).await {
                Ok(Ok(Some(held))) => break held,
                Ok(Ok(None)) => sleep(AGAIN).await,
                Ok(Err(StoreError::Conflict { .. })) => return,
                // The server does not answer: nobody writes.
                _ => sleep(LOOK).await,
            }
        };
    }
}
