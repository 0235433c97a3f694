//! What a party shows its owner of the jobs it is asked to take part in (FlexSMC, requirement R.4): who asks, what for,
//! over which records, with whom, under which model, what is opened to whom, and what became of it.
//!
//! A job is shown from before anything else is done with it. A client's task becomes durable with the freeze of a peer that
//! computes, so nothing is opened that its owner could not read of; everything else a moment later, with others, so that no
//! session waits for the disk because of it: what a node was told in its last 200 ms may be missing after a crash.
//! Notes: nothing that a party may or may not do follows from them. The newest [`KEPT`] that were computed are kept, and as
//! many that were only asked for, so that a gateway cannot push the ones out by the others; until they are as old as other
//! records are kept for.

mod body;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tacit_accord::Consensus;
use tacit_job::Job;
use tacit_model::api::{JobBody, JobState};
use tacit_model::{Clock, Fingerprint, UnixMillis};
use tacit_store::{JobProgress, JobRow, Store, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::PartyError;
use crate::environment::PartyEnvironment;
use crate::party::Inner;

/// So many jobs of either kind are kept: some hours of a task that is asked every minute or two, some hundred kilobytes in a group of
/// eleven.
const KEPT: u32 = 100;
/// A text of the gateway's making that is longer is not kept in whole.
const LONGEST: usize = 256 * 1024;

/// The jobs of one party.
pub(crate) struct Jobs {
    party: String,
    store: Store,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Rung when there is something to write.
    changed: Notify,
}

#[derive(Default)]
struct State {
    latest: i64,
    /// What was last asked.
    last: Option<Arc<Job>>,
    /// Jobs that go on, or whose end is not durable, by number.
    open: BTreeMap<i64, Entry>,
}

/// A job that is not durable as it stands.
#[derive(Clone)]
struct Entry {
    job: Arc<Job>,
    gateway: Fingerprint,
    consensus: Option<Arc<Consensus>>,
    /// The client, once the signatures under its task were found to hold.
    verified: Option<Option<Fingerprint>>,
    at: UnixMillis,
    state: JobState,
    detail: String,
    ended: Option<UnixMillis>,
    /// Whether it was let go ahead: random pieces of its input may have left before.
    computed: bool,
    /// Whether it changed since it was last written.
    changed: bool,
    /// Whether its freeze noted all that is said of it but how it goes.
    noted: bool,
}

/// One job, while something is done with it. Dropped without an end, it was given up.
pub struct Noted {
    jobs: Arc<Jobs>,
    number: i64,
    pub(crate) job: Arc<Job>,
}

/// Room for so many of either kind.
struct Room([u32; 2]);

impl Room {
    fn of(each: u32) -> Self {
        Self([each; 2])
    }

    /// Whether there is room for one more, which it takes.
    fn takes(&mut self, computed: bool) -> bool {
        let left = &mut self.0[usize::from(computed)];
        let takes = *left > 0;
        *left = left.saturating_sub(1);
        takes
    }
}

impl State {
    /// Lets go of what has ended and would not be kept either. What goes on stays: its session is one of few.
    fn let_go(&mut self) {
        if self.open.len() <= 2 * KEPT as usize {
            return;
        }
        let mut room = Room::of(KEPT);
        let ended = self.open.iter().rev().filter(|(_, entry)| entry.ended.is_some());
        let gone: Vec<i64> =
            ended.filter(|(_, entry)| !room.takes(entry.computed)).map(|(number, _)| *number).collect();
        gone.iter().for_each(|number| drop(self.open.remove(number)));
    }
}

impl Entry {
    fn progress(&self, number: i64) -> JobProgress {
        let detail = self.detail.replace('\0', "");
        JobProgress { number, state: self.state.word().to_owned(), detail, ended: self.ended }
    }
}

impl Jobs {
    /// Takes up what the store has. What had not ended there was interrupted.
    pub(crate) async fn open(party: &str, store: Store, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        let latest = store.take_up_jobs(party, JobState::Interrupted.word(), clock.now()).await?;
        let state = Mutex::new(State { latest, ..State::default() });
        Ok(Arc::new(Self { party: party.to_owned(), store, clock, state, changed: Notify::new() }))
    }

    /// Shows a job that this party was just asked to take part in.
    pub(crate) fn note(self: &Arc<Self>, party: &Inner, job: &Job) -> Arc<Noted> {
        let job = Arc::new(job.clone());
        let entry = Entry {
            job: Arc::clone(&job),
            gateway: party.leading(),
            consensus: party.roster.known(),
            verified: None,
            at: self.clock.now(),
            state: JobState::Asked,
            detail: String::new(),
            ended: None,
            computed: false,
            changed: true,
            noted: false,
        };
        let mut state = self.lock();
        state.latest += 1;
        let number = state.latest;
        state.last = Some(Arc::clone(&job));
        state.open.insert(number, entry);
        // Also while the disk does not answer.
        state.let_go();
        drop(state);
        self.changed.notify_one();
        Arc::new(Noted { jobs: Arc::clone(self), number, job })
    }

    /// What was last asked since the node started.
    pub(crate) fn last(&self) -> Option<Arc<Job>> {
        self.lock().last.clone()
    }

    /// The newest: at most so many that were computed, and as many others.
    pub(crate) async fn list(&self, max: u32) -> Result<Vec<JobBody>, PartyError> {
        // Read first: what is written meanwhile leaves memory only then.
        let open = self.lock().open.clone();
        let mut all = BTreeMap::new();
        for row in self.store.jobs(&self.party, max.min(KEPT)).await? {
            all.insert(row.number, (row.computed != 0, body::read(row)?));
        }
        all.extend(open.iter().map(|(number, entry)| (*number, (entry.computed, body::of(*number, entry)))));
        let mut room = Room::of(max.min(KEPT));
        Ok(all.into_values().rev().filter(|(computed, _)| room.takes(*computed)).map(|(_, body)| body).collect())
    }

    /// Writes whatever changes, until the party is closed.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
            }
            self.keep().await;
        }
    }

    /// Writes what has changed. What cannot be written is shown as long as the node runs and there is room.
    pub(crate) async fn keep(&self) {
        let changed: Vec<(i64, Entry)> = {
            let mut state = self.lock();
            let changed = state.open.iter_mut().filter(|(_, entry)| entry.changed);
            let taken = changed.map(|(number, entry)| {
                entry.changed = false;
                (*number, entry.clone())
            });
            taken.collect()
        };
        if changed.is_empty() {
            return;
        }
        // Those before will not be kept.
        let mut room = Room::of(KEPT);
        let newest = changed.iter().rev().filter(|(_, entry)| room.takes(entry.computed));
        let (noted, new): (Vec<_>, Vec<_>) = newest.partition(|(_, entry)| entry.noted);
        let rows = new.into_iter().map(|(number, entry)| body::row(*number, entry)).collect();
        let progress = noted.into_iter().map(|(number, entry)| entry.progress(*number)).collect();
        let written = self.store.note_jobs(&self.party, rows, progress, KEPT.into()).await;
        let mut state = self.lock();
        match written {
            Ok(()) => {
                for (number, _) in changed {
                    if state.open.get(&number).is_some_and(|entry| entry.ended.is_some() && !entry.changed) {
                        state.open.remove(&number);
                    }
                }
            }
            Err(error) => {
                warn!(party = %self.party, %error, "what this peer was asked could not be kept");
                // With the next one again.
                for (number, _) in changed {
                    state.open.entry(number).and_modify(|entry| entry.changed = true);
                }
            }
        }
        state.let_go();
    }

    fn change(&self, number: i64, change: impl FnOnce(&mut Entry)) {
        let mut state = self.lock();
        let Some(entry) = state.open.get_mut(&number).filter(|entry| entry.ended.is_none()) else { return };
        change(entry);
        entry.changed = true;
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// The signatures hold; the client's certificate, if it signed.
    pub(crate) fn verified(&self, client: Option<Fingerprint>) {
        self.jobs.change(self.number, |entry| entry.verified = Some(client));
    }

    /// The session begins.
    pub(crate) fn computes(&self) {
        self.jobs.change(self.number, |entry| (entry.state, entry.computed) = (JobState::Computing, true));
    }

    /// What its freeze noted of a client's task, if it came to that, is not written again.
    pub(crate) fn with_freeze(&self, environment: &PartyEnvironment) {
        let frozen = !environment.contributions.is_empty();
        if let Some(entry) = self.jobs.lock().open.get_mut(&self.number) {
            entry.noted = frozen && entry.job.ask().is_some();
        }
    }

    /// As it is kept.
    pub(crate) fn row(&self) -> Option<JobRow> {
        // Put into words without the lock.
        let entry = self.jobs.lock().open.get(&self.number).cloned()?;
        Some(body::row(self.number, &entry))
    }

    /// What became of it; only the first end counts.
    pub(crate) fn ended(&self, state: JobState, detail: impl Into<String>) {
        let (detail, now) = (detail.into(), self.jobs.clock.now());
        self.jobs.change(self.number, |entry| (entry.state, entry.detail, entry.ended) = (state, detail, Some(now)));
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let why = "the gateway gave it up or does not go on with it, or the link to it was lost";
        self.ended(JobState::GivenUp, why);
    }
}
