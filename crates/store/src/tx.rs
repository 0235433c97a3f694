//! Named transactions: the only way to write.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::RwLock;

use crate::db::Conn;
use crate::store::{Db, Store};
use crate::writer::Pace;
use crate::{StoreError, What};

/// What a transaction does: a future over the connection and the arguments.
pub(crate) type Step<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// The work of a transaction. It may run several times, so it owns nothing and touches nothing but the database.
pub(crate) type Work<A, T> = for<'c> fn(&'c mut Conn, &'c A) -> Step<'c, T>;

const TRIES: u32 = 12;

impl Store {
    /// Runs `work` in one transaction: `Ok` is committed and durable, an error has changed nothing.
    ///
    /// On SQLite the work runs to its end even if the caller goes away meanwhile.
    pub(crate) async fn run_tx<A, T>(&self, name: &'static str, args: A, work: Work<A, T>) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.heeded(match &*self.db {
            Db::Sqlite { writer, .. } => writer.run(args, work, Pace::Soon).await,
            Db::Postgres { pool, gate, .. } => run_on_postgres(pool, gate, name, &args, work).await,
        })
    }

    /// The same for work that nobody's answer depends on: on SQLite it shares its commit with others of its kind, and
    /// may take some 200 ms longer. What is urgent does not wait behind it.
    pub(crate) async fn run_later<A, T>(&self, name: &'static str, args: A, work: Work<A, T>) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.heeded(match &*self.db {
            Db::Sqlite { writer, .. } => writer.run(args, work, Pace::Later).await,
            Db::Postgres { pool, gate, .. } => run_on_postgres(pool, gate, name, &args, work).await,
        })
    }

    /// Runs work whose first statement is its only writing one, makes sense on its own, and does nothing if the
    /// work is to fail; what follows may only read, to say why. Saves the steps of a transaction on SQLite, where one
    /// writer does it all. On PostgreSQL it is a transaction like any other: by itself a statement that writes only where
    /// others have not written does not see those that do so at the same moment.
    ///
    /// The statement must be run to its end (`execute` or `all`, never `optional`): only then is it committed.
    pub(crate) async fn run_one_write<A, T>(&self, args: A, work: Work<A, T>) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.heeded(match &*self.db {
            Db::Sqlite { writer, .. } => writer.run(args, work, Pace::OneWrite).await,
            Db::Postgres { pool, gate, .. } => run_on_postgres(pool, gate, "one_write", &args, work).await,
        })
    }

    /// Remembers that the database did not take what was to be written.
    fn heeded<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unavailable { .. } | StoreError::Corrupt { .. }) = &outcome {
            self.unwritten.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

async fn run_on_postgres<A, T>(
    pool: &sqlx::PgPool,
    gate: &RwLock<()>,
    name: &'static str,
    args: &A,
    work: Work<A, T>,
) -> Result<T, StoreError>
where
    A: Send + Sync + 'static,
    T: Send + 'static,
{
    let first = {
        let _shared = gate.read().await;
        try_on_postgres(pool, args, work).await
    };
    if !lost_a_race(&first) {
        return first;
    }
    // Nobody of this process interferes from here on; another replica still may.
    let _exclusive = gate.write().await;
    let mut pause = Duration::from_millis(1);
    for attempt in 2..=TRIES {
        let again = try_on_postgres(pool, args, work).await;
        if !lost_a_race(&again) || attempt == TRIES {
            return again;
        }
        tracing::debug!(transaction = name, attempt, "serialisation failure, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    Err(StoreError::Busy)
}

/// Two inserts of one key race to a unique violation: when repeated, the loser sees the winner's row.
fn lost_a_race<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Busy | StoreError::Conflict { what: What::Duplicate }))
}

async fn try_on_postgres<A, T>(pool: &sqlx::PgPool, args: &A, work: Work<A, T>) -> Result<T, StoreError> {
    let mut conn = Conn::PostgresTx(pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?);
    let done = work(&mut conn, args).await;
    let Conn::PostgresTx(tx) = conn else { return Err(StoreError::corrupt("a transaction changed its database")) };
    match done {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // An error here hides nothing: the connection is dropped and the server rolls back.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}
