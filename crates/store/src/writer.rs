//! The one writer of a SQLite file, with group commit.
//!
//! Callers queue their work; the writer takes all that is queued, runs each piece inside a savepoint of one
//! transaction and answers after the commit. While one commit waits for the disk the next batch gathers, so the
//! number of syncs does not grow with the number of callers. Nobody waits on purpose: a lone call commits at once.
//! The exception is work that [does not hurry](Pace::Later): it gathers a little while, and commits apart from the rest.

mod replicated;

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::StoreError;
use crate::db::{Conn, from_row};
use crate::replica::Replicator;
use crate::tx::Work;

/// More callers than this wait for their turn to queue.
const QUEUE: usize = 1024;
/// Pieces of work per commit.
const BATCH: usize = 256;
/// How long work that does not hurry waits for more of its kind.
const GATHER: Duration = Duration::from_millis(200);

/// How a piece of work is committed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// With whatever else is queued.
    Soon,
    /// The same; it may commit by itself when nothing else is queued.
    OneWrite,
    /// Nobody waits for an answer because of it: it gathers for [`GATHER`].
    Later,
}

pub(crate) struct Writer {
    queue: mpsc::Sender<Order>,
    places: Arc<Semaphore>,
}

enum Order {
    /// Work, and its place in the queue.
    Work(Box<dyn Job>, OwnedSemaphorePermit),
    Close(oneshot::Sender<()>),
}

impl Writer {
    /// Takes the connection over, on a thread of its own. With a `replicator` other nodes make the same changes, and
    /// `conn` records them.
    pub(crate) fn start(conn: Conn, replicator: Option<Arc<dyn Replicator>>) -> Result<Self, StoreError> {
        let (queue, orders) = mpsc::channel();
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("tacit-writer".to_owned());
        let serve = move || serve(conn, replicator.as_deref(), &orders, &runtime);
        thread.spawn(serve).map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        Ok(Self { queue, places: Arc::new(Semaphore::new(QUEUE)) })
    }

    /// Queues work; the answer comes after its commit, whatever the pace.
    pub(crate) async fn run<A, T>(&self, args: A, work: Work<A, T>, pace: Pace) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let closed = || StoreError::Unavailable { reason: "the store was closed".into() };
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Queued { args, work, pace, outcome: None, reply });
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| closed())?;
        self.queue.send(Order::Work(job, place)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    pub(crate) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Order::Close(reply)).is_ok() {
            // Fails only if the writer ended meanwhile, which is what was asked for.
            let _ = answer.await;
        }
    }
}

/// The writer's thread. What it waits for besides orders (the other nodes' agreement) is on `runtime`.
fn serve(mut conn: Conn, replicator: Option<&dyn Replicator>, orders: &mpsc::Receiver<Order>, runtime: &Handle) {
    let mut jobs = Vec::new();
    let mut later = Later::default();
    let mut closing = None;
    let mut leftovers = Leftovers { since: Some(Instant::now()) };
    while closing.is_none() {
        let heard = match [later.pause(), leftovers.pause()].into_iter().flatten().min() {
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(pause) => orders.recv_timeout(pause),
        };
        let idle = matches!(heard, Err(RecvTimeoutError::Timeout)) && !later.is_due();
        let mut next = match heard {
            Err(RecvTimeoutError::Disconnected) => break,
            heard => heard.ok(),
        };
        while let Some(order) = next {
            match order {
                Order::Work(job, place) => {
                    drop(place);
                    if job.pace() == Pace::Later { later.add(job) } else { jobs.push(job) }
                }
                Order::Close(reply) => closing = Some(reply),
            }
            next =
                if jobs.len() + later.jobs.len() < BATCH && closing.is_none() { orders.try_recv().ok() } else { None };
        }
        if jobs.iter().any(|job| job.pace() != Pace::OneWrite) {
            leftovers.since.get_or_insert_with(Instant::now);
        }
        runtime.block_on(run_on(&mut conn, replicator, &mut jobs));
        if later.is_due() {
            leftovers.since.get_or_insert_with(Instant::now);
            runtime.block_on(run_on(&mut conn, replicator, &mut later.take()));
        }
        if idle || leftovers.pause() == Some(Duration::ZERO) {
            runtime.block_on(leftovers.wipe(&mut conn));
        }
    }
    runtime.block_on(async {
        run_on(&mut conn, replicator, &mut later.take()).await;
        leftovers.wipe(&mut conn).await;
        if let Err(error) = conn.close().await {
            tracing::warn!(%error, "closing the database");
        }
    });
    if let Some(reply) = closing {
        // The caller may have stopped waiting.
        let _ = reply.send(());
    }
}

/// Work that does not hurry.
#[derive(Default)]
struct Later {
    jobs: Vec<Box<dyn Job>>,
    since: Option<Instant>,
}

impl Later {
    fn add(&mut self, job: Box<dyn Job>) {
        self.since.get_or_insert_with(Instant::now);
        self.jobs.push(job);
    }

    /// How long to wait for more; none if there is none.
    fn pause(&self) -> Option<Duration> {
        let full = self.jobs.len() >= BATCH;
        self.since.map(|since| if full { Duration::ZERO } else { GATHER.saturating_sub(since.elapsed()) })
    }

    fn is_due(&self) -> bool {
        self.pause() == Some(Duration::ZERO)
    }

    fn take(&mut self) -> Vec<Box<dyn Job>> {
        self.since = None;
        std::mem::take(&mut self.jobs)
    }
}

/// What was overwritten in the database may still be in its write-ahead file, also from before a crash.
struct Leftovers {
    /// Since when there may be some. Work of one write deletes nothing.
    since: Option<Instant>,
}

/// Nothing was written for so long: the writer is idle.
const IDLE: Duration = Duration::from_millis(200);
/// A writer that is never idle interrupts its work after so long.
const AT_LATEST: Duration = Duration::from_secs(10);

impl Leftovers {
    /// How long to wait for work before wiping; none if there is nothing to wipe.
    fn pause(&self) -> Option<Duration> {
        self.since.map(|since| IDLE.min(AT_LATEST.saturating_sub(since.elapsed())))
    }

    /// Moves the write-ahead file into the database and truncates it.
    async fn wipe(&mut self, conn: &mut Conn) {
        if self.since.take().is_none() {
            return;
        }
        // A reader that takes its time does not hold up the writer: it is tried again.
        let wiped = async {
            conn.execute("PRAGMA busy_timeout = 20", &[]).await?;
            let done = conn.all::<Checkpoint>("PRAGMA wal_checkpoint(TRUNCATE)", &[]).await;
            conn.execute("PRAGMA busy_timeout = 10000", &[]).await?;
            done
        };
        match wiped.await {
            Ok(done) if done.iter().all(|done| done.busy == 0) => {}
            // Somebody reads; or the disk is full, which the next write will say.
            Ok(_) => self.since = Some(Instant::now()),
            Err(error) => {
                tracing::debug!(%error, "the write-ahead file was not truncated");
                self.since = Some(Instant::now());
            }
        }
    }
}

struct Checkpoint {
    busy: i64,
}
from_row!(Checkpoint { busy });

/// Runs work here alone, or together with other nodes.
async fn run_on(conn: &mut Conn, replicator: Option<&dyn Replicator>, jobs: &mut Vec<Box<dyn Job>>) {
    match replicator {
        None => run_batch(conn, jobs).await,
        Some(replicator) => replicated::run_batch(conn, replicator, jobs).await,
    }
}

async fn run_batch(conn: &mut Conn, jobs: &mut Vec<Box<dyn Job>>) {
    if jobs.len() > 1 {
        match run_together(conn, jobs).await {
            Ok(()) => {
                jobs.drain(..).for_each(|job| job.answer(Ok(())));
                return;
            }
            Err(error) => {
                // Nothing of the batch is left; each piece gets its own transaction and its own error.
                tracing::warn!(%error, "a shared commit failed, committing one by one");
                roll_back(conn).await;
            }
        }
    }
    for mut job in jobs.drain(..) {
        let committed = run_alone(conn, &mut *job).await;
        if committed.is_err() {
            roll_back(conn).await;
        }
        job.answer(committed);
    }
}

async fn run_together(conn: &mut Conn, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    conn.execute("BEGIN IMMEDIATE", &[]).await?;
    run_pieces(conn, jobs).await?;
    conn.execute("COMMIT", &[]).await.map(drop)
}

/// Runs all pieces in the open transaction; a piece that was refused leaves nothing.
async fn run_pieces(conn: &mut Conn, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    for job in jobs {
        let before = match conn {
            Conn::SqliteRecorder(_, written) => written.len(),
            _ => 0,
        };
        // One statement is all or nothing by itself.
        let savepoint = job.pace() != Pace::OneWrite;
        if savepoint {
            conn.execute("SAVEPOINT piece", &[]).await?;
        }
        let done = job.run(conn).await;
        if let (Err(_), Conn::SqliteRecorder(_, written)) = (&done, &mut *conn) {
            written.truncate(before);
        }
        match done {
            Ok(()) => {}
            Err(error) if !error.is_refusal() => return Err(error),
            Err(_) if savepoint => drop(conn.execute("ROLLBACK TO piece", &[]).await?),
            Err(_) => {}
        }
        if savepoint {
            conn.execute("RELEASE piece", &[]).await?;
        }
    }
    Ok(())
}

async fn run_alone(conn: &mut Conn, job: &mut dyn Job) -> Result<(), StoreError> {
    if job.pace() == Pace::OneWrite {
        return job.run(conn).await;
    }
    conn.execute("BEGIN IMMEDIATE", &[]).await?;
    job.run(conn).await?;
    conn.execute("COMMIT", &[]).await.map(drop)
}

/// Fails if nothing is open (SQLite rolls back by itself when the disk is full), which is what is wanted.
async fn roll_back(conn: &mut Conn) {
    let _ = conn.execute("ROLLBACK", &[]).await;
}

/// A piece of queued work, whatever its types.
trait Job: Send {
    /// Runs once more; an error must leave nothing.
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;
    /// How it is committed.
    fn pace(&self) -> Pace;
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Queued<A, T> {
    args: A,
    work: Work<A, T>,
    pace: Pace,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<A: Send + Sync, T: Send> Job for Queued<A, T> {
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(async move {
            let outcome = (self.work)(conn, &self.args).await;
            let done = outcome.as_ref().map(drop).map_err(StoreError::clone);
            self.outcome = Some(outcome);
            done
        })
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(outcome), Ok(())) => outcome,
            (None, Ok(())) => Err(StoreError::corrupt("work that did not run was committed")),
        };
        // The caller may have stopped waiting; the work is done all the same.
        let _ = self.reply.send(outcome);
    }
}
