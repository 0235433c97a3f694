//! Writing where other nodes make the same changes: recorded, rolled back, agreed on, made by all.

use super::{Job, roll_back, run_pieces};
use crate::StoreError;
use crate::db::Conn;
use crate::replica::{Change, NotAgreed, Replicator, changed};

/// So often a batch is recorded again because another change came first. The lead changes rarely.
const TRIES: u32 = 5;

/// Runs queued work and answers when the other nodes have agreed on what it writes.
pub(super) async fn run_batch(conn: &mut Conn, replicator: &dyn Replicator, jobs: &mut Vec<Box<dyn Job>>) {
    if jobs.len() > 1 {
        match agree(conn, replicator, jobs).await {
            Ok(()) => {
                jobs.drain(..).for_each(|job| job.answer(Ok(())));
                return;
            }
            // It may have been agreed on after all: doing it once more could do it twice.
            Err(NotAgreed::Unheard(error)) => {
                jobs.drain(..).for_each(|job| job.answer(Err(error.clone())));
                return;
            }
            Err(NotAgreed::Unproposed(error)) => {
                tracing::warn!(%error, "recording together failed, recording one by one");
            }
        }
    }
    for job in jobs.drain(..) {
        let mut alone = [job];
        let done = match agree(conn, replicator, &mut alone).await {
            Ok(()) => Ok(()),
            Err(NotAgreed::Unheard(error) | NotAgreed::Unproposed(error)) => Err(error),
        };
        let [job] = alone;
        job.answer(done);
    }
}

async fn agree(conn: &mut Conn, replicator: &dyn Replicator, jobs: &mut [Box<dyn Job>]) -> Result<(), NotAgreed> {
    for _ in 0..TRIES {
        let recorded = record(conn, jobs).await;
        // What was written here is undone: this node makes the change when it has been agreed on, like the others.
        roll_back(conn).await;
        let change = recorded.map_err(NotAgreed::Unproposed)?;
        if change.statements.is_empty() || replicator.agree(change).await? {
            return Ok(());
        }
    }
    Err(NotAgreed::Unproposed(StoreError::Busy))
}

async fn record(conn: &mut Conn, jobs: &mut [Box<dyn Job>]) -> Result<Change, StoreError> {
    take(conn);
    conn.execute("BEGIN IMMEDIATE", &[]).await?;
    let after = changed(conn).await?;
    run_pieces(conn, jobs).await?;
    let change = Change { after, statements: take(conn) };
    change.check()?;
    Ok(change)
}

fn take(conn: &mut Conn) -> Vec<crate::replica::Statement> {
    match conn {
        Conn::SqliteRecorder(_, written) => core::mem::take(written),
        _ => Vec::new(),
    }
}
