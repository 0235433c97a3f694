//! One node per PostgreSQL.
//!
//! A SQLite file lies in a data folder, which its node locks. A PostgreSQL can be named by two nodes, by mistake or by somebody
//! who hopes that they share the work: each would serve the same groups, and answer for the other's sessions. So a node holds
//! an advisory lock of its schema, on a connection of its own, as long as it runs. The server gives it back when that
//! connection ends, also after kill -9. A node that has lost it, because the server was restarted, takes it again; if another one
//! was faster, it writes no more.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::store::PATIENCE;
use crate::{StoreError, What};

/// "taci"; the other half of the lock's name is the schema.
const LOCK: i32 = 0x7461_6369;
/// A node that was just killed may be there still, as the server sees it.
const WAIT: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(200);
/// Whether the lock is still held is looked at so often.
const LOOK: Duration = Duration::from_secs(2);

/// The lock, as long as this lives and the pool that it was kept for is open.
pub(crate) struct Alone(JoinHandle<()>);

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes the lock, or says that another node has it.
pub(crate) async fn take(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
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

async fn try_take(options: &PgConnectOptions) -> Result<Option<PgConnection>, StoreError> {
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
    Ok(taken.then_some(conn))
}

/// Keeps the lock until the pool is closed, and closes the pool if another node has it.
pub(crate) fn keep(held: PgConnection, options: PgConnectOptions, pool: PgPool) -> Alone {
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
async fn lost(mut held: PgConnection, options: &PgConnectOptions) {
    loop {
        sleep(LOOK).await;
        if matches!(timeout(PATIENCE, held.ping()).await, Ok(Ok(()))) {
            continue;
        }
        tracing::warn!("the connection that holds the lock of this PostgreSQL is lost; taking it again");
        held = loop {
            match timeout(PATIENCE + WAIT, take(options)).await {
                Ok(Ok(held)) => break held,
                Ok(Err(StoreError::Conflict { .. })) => return,
                // The server does not answer: nobody writes.
                _ => sleep(LOOK).await,
            }
        };
    }
}
