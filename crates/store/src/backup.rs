//! A copy of a node's rows that holds no inputs.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::StoreError;
use crate::store::{create_private, remove_database, sqlite_options, sqlite_path};

/// What goes into computations: rows that wait, and samples of series. The rest of a slot's row says that it is over.
const FORGET: [&str; 3] = [
    "DELETE FROM input_rows WHERE data IS NOT NULL",
    "UPDATE party_runs SET pending = 0 WHERE pending <> 0",
    "DELETE FROM series",
];

/// Copies a SQLite database, also of a running node, into a file that is not there yet, for the owner's eyes only.
///
/// The copy is of one moment, and of no input: those are removed in a file beside the original, which has them
/// anyway, before anything is written to `to`. One at a time: while another one is made this is refused.
pub async fn backup(address: &str, to: &Path) -> Result<(), StoreError> {
    let from = sqlite_path(address)?;
    let failed = |what: &Path, reason: &dyn core::fmt::Display| StoreError::Unavailable {
        reason: format!("{}: {reason}", what.display()),
    };
    if to.exists() {
        return Err(failed(to, &"is there already"));
    }
    std::fs::metadata(&from).map_err(|e| failed(&from, &e))?;
    let between = between(&from);
    // Two would take each other's file between for that of a killed one.
    let _alone =
        alone(&between).map_err(|()| failed(&from, &"another backup of it is being made; wait for its end"))?;
    let removed = |path: &Path| remove_database(path).map_err(|error| failed(path, &error));
    // Of a backup that was interrupted.
    removed(&between)?;
    let made = async {
        copy(&from, &between, &[]).await?;
        copy(&between, to, &FORGET).await
    };
    let made = made.await;
    removed(&between)?;
    if made.is_err() {
        removed(to)?;
    }
    made
}

/// Locks the folder of a database against other backups until what is handed back goes; also when the process is killed. Nothing
/// is left in it, whoever made the backup. A file system that cannot lock folders keeps nobody out.
fn alone(between: &Path) -> Result<Option<File>, ()> {
    let folder = between.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(folder) = File::open(folder) else { return Ok(None) };
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Err(()),
        _ => Ok(Some(folder)),
    }
}

/// Beside a database, with everything in it until the inputs are removed. Nobody else gives a file this name: what lies
/// there is of a backup that was killed.
pub(crate) fn between(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".tacit-backup-in-progress");
    name.into()
}

/// Runs statements, then copies what is left without its free pages.
async fn copy(from: &Path, to: &Path, first: &[&'static str]) -> Result<(), StoreError> {
    create_private(to)?;
    let mut conn: SqliteConnection = sqlite_options(from).connect().await?;
    let copied = copy_by(&mut conn, to, first).await;
    // Also after a failure: whoever holds it open keeps files beside it.
    let closed = conn.close().await;
    copied?;
    closed?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|e| StoreError::Unavailable { reason: format!("{}: {e}", to.display()) })
}

async fn copy_by(conn: &mut SqliteConnection, to: &Path, first: &[&'static str]) -> Result<(), StoreError> {
    for statement in first {
        sqlx::query(*statement).execute(&mut *conn).await?;
    }
    sqlx::query("VACUUM INTO $1").bind(to.display().to_string()).execute(conn).await?;
    Ok(())
}
