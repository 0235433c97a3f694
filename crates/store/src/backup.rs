//! A copy of a node's rows that holds no inputs.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::StoreError;
use crate::store::{create_private, sqlite_options, sqlite_path};

/// What goes into computations: rows that wait, and samples of series. The rest of a slot's row says that it is over.
const FORGET: [&str; 2] = ["DELETE FROM input_rows WHERE data IS NOT NULL", "DELETE FROM series"];

/// Copies a SQLite database, also of a running node, into a file that is not there yet, for the owner's eyes only.
///
/// The copy is of one moment, and of no input: those are removed in a file beside the original, which has them
/// anyway, before anything is written to `to`.
pub async fn backup(address: &str, to: &Path) -> Result<(), StoreError> {
    let from = sqlite_path(address)?;
    let failed = |what: &Path, reason: &dyn core::fmt::Display| StoreError::Unavailable {
        reason: format!("{}: {reason}", what.display()),
    };
    if to.exists() {
        return Err(failed(to, &"is there already"));
    }
    std::fs::metadata(&from).map_err(|e| failed(&from, &e))?;
    let between = from.with_extension("backup");
    let removed = |path: &Path| match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(path, &error)),
        _ => Ok(()),
    };
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

/// Runs statements, then copies what is left without its free pages.
async fn copy(from: &Path, to: &Path, first: &[&'static str]) -> Result<(), StoreError> {
    create_private(to)?;
    let mut conn: SqliteConnection = sqlite_options(from).connect().await?;
    for statement in first {
        sqlx::query(*statement).execute(&mut conn).await?;
    }
    sqlx::query("VACUUM INTO $1").bind(to.display().to_string()).execute(&mut conn).await?;
    conn.close().await?;
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|e| StoreError::Unavailable { reason: format!("{}: {e}", to.display()) })
}
