//! Sessions of a party: Prepare, Link, Session.
//!
//! ```text
//!  Prepare ──► checks ──► Prepared ── Link ──► links ──► Linked ───────── Session ──► engine ──► Report
//!                 │                                │         └► deals ahead ──┘             │
//!              Declined                         Unlinked                              Done or Failed
//! ```
//!
//! Each step is a value that the next one consumes: there is no session that runs without having been
//! checked. A session id is taken once, by the first message that names it. What is done ahead of the third message, and how
//! far it goes, says [`go_ahead`](crate::go_ahead).

pub(crate) mod ahead;
pub(crate) mod branch;
mod linking;
mod outside;
mod prepare;
mod running;
mod told;
mod willing;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tacit_job::{Decline, Fault, Job, Report, ToGateway, status, task_digits};
use tacit_model::api::JobState;
use tacit_model::{RunId, SessionId, Slot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, info_span};

use crate::go_ahead::{GoAhead, Starter};
use crate::jobs::Noted;
use crate::party::Inner;
use crate::receipts;
use linking::Linked;
use prepare::{Declined, Prepared};

/// So many used session ids are remembered in memory; the store remembers them all.
const REMEMBERED: usize = 1 << 16;

/// The sessions of one party.
#[derive(Default)]
pub(crate) struct Sessions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<SessionId, Entry>,
    used: HashSet<SessionId>,
    order: VecDeque<SessionId>,
    /// Slots to which this party gave its row without learning the result.
    given: HashSet<(RunId, Slot)>,
    /// The run that was tidied, and up to where.
    tidied: Option<(RunId, Slot)>,
}

impl State {
    /// Gives up those that their gateway has not continued for too long.
    fn give_up_stale(&mut self, stale: Duration) {
        self.open.retain(|_, entry| {
            let keep = matches!(entry.step, Step::Running) || entry.since.elapsed() < stale;
            if !keep {
                entry.abort.cancel();
            }
            keep
        });
    }
}

struct Entry {
    run: RunId,
    slot: Slot,
    /// When its step began.
    since: Instant,
    abort: CancellationToken,
    step: Step,
    /// Where its owner reads of it. It was given up if nobody else holds it when this goes.
    noted: Arc<Noted>,
}

enum Step {
    /// A step is being worked on.
    Busy,
    Prepared(Box<Prepared>),
    /// What the engine may do ahead of the third message is on its way.
    Linked(Starter),
    Running,
}

impl Sessions {
    /// Whether a session of this run was let go ahead.
    pub(crate) fn runs(&self, run: RunId) -> bool {
        self.lock().open.values().any(|entry| entry.run == run && matches!(entry.step, Step::Running))
    }

    /// Whether this session was let go ahead.
    fn runs_session(&self, session: SessionId) -> bool {
        self.lock().open.get(&session).is_some_and(|entry| matches!(entry.step, Step::Running))
    }

    /// Whether a session of this slot was let go ahead and not given up since: it may be about to have a result.
    fn computes(&self, run: RunId, slot: Slot) -> bool {
        let goes_on = |entry: &Entry| matches!(entry.step, Step::Running) && !entry.abort.is_cancelled();
        self.lock().open.values().any(|entry| (entry.run, entry.slot) == (run, slot) && goes_on(entry))
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.lock().open.len()
    }

    /// How many of them are of clients' tasks.
    pub(crate) fn open_tasks(&self) -> usize {
        self.lock().open.values().filter(|entry| task_digits(entry.run).is_some()).count()
    }

    /// Gives up those that were not let go ahead: their gateway is gone, or their run is over.
    pub(crate) fn give_up_waiting(&self, which: impl Fn(RunId) -> bool) {
        self.lock().open.retain(|_, entry| {
            let keep = matches!(entry.step, Step::Running) || !which(entry.run);
            if !keep {
                entry.abort.cancel();
            }
            keep
        });
    }

    /// Gives all up.
    pub(crate) fn give_up_all(&self) {
        self.lock().open.drain().for_each(|(_, entry)| entry.abort.cancel());
    }

    fn take(&self, job: &Job, limit: usize, stale: Duration, noted: &Arc<Noted>) -> Result<CancellationToken, Decline> {
        let mut state = self.lock();
        state.give_up_stale(stale);
        if state.open.len() >= limit || !state.used.insert(job.session) {
            return Err(Decline::Busy);
        }
        state.order.push_back(job.session);
        if state.order.len() > REMEMBERED
            && let Some(oldest) = state.order.pop_front()
        {
            state.used.remove(&oldest);
        }
        let abort = CancellationToken::new();
        let (since, noted) = (Instant::now(), Arc::clone(noted));
        let (run, slot, step) = (job.run, job.slot, Step::Busy);
        let entry = Entry { run, slot, since, abort: abort.clone(), step, noted };
        state.open.insert(job.session, entry);
        Ok(abort)
    }

    /// Puts the next step in place; `false` if the session was given up meanwhile.
    fn put(&self, session: SessionId, step: Step) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.open.get_mut(&session) else { return false };
        (entry.step, entry.since) = (step, Instant::now());
        true
    }

    fn end(&self, session: SessionId) {
        self.lock().open.remove(&session);
    }

    fn take_prepared(
        &self,
        session: SessionId,
        stale: Duration,
    ) -> Option<(Box<Prepared>, CancellationToken, Arc<Noted>)> {
        let mut state = self.lock();
        state.give_up_stale(stale);
        let entry = state.open.get_mut(&session)?;
        match std::mem::replace(&mut entry.step, Step::Busy) {
            Step::Prepared(prepared) => {
                entry.since = Instant::now();
                Some((prepared, entry.abort.clone(), Arc::clone(&entry.noted)))
            }
            other => {
                entry.step = other;
                None
            }
        }
    }

    /// Lets one run that has its links; `false` if there is no such one.
    fn begin(&self, session: SessionId, stale: Duration) -> bool {
        let mut state = self.lock();
        state.give_up_stale(stale);
        let Some(entry) = state.open.get_mut(&session) else { return false };
        match std::mem::replace(&mut entry.step, Step::Running) {
            Step::Linked(starter) => {
                entry.noted.computes();
                starter.start();
                true
            }
            other => {
                entry.step = other;
                false
            }
        }
    }

    fn abort(&self, session: SessionId) {
        let mut state = self.lock();
        if let Some(entry) = state.open.get(&session) {
            entry.abort.cancel();
            if !matches!(entry.step, Step::Running) {
                state.open.remove(&session);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives up what its gateway does not continue, also if nobody says anything more: it has a place, a row, and maybe shares
/// that others dealt.
pub(crate) async fn give_up_abandoned(party: Arc<Inner>) {
    let step = party.limits.step;
    loop {
        tokio::select! {
            () = party.stop.cancelled() => return,
            () = tokio::time::sleep(step / 4) => party.sessions.lock().give_up_stale(step),
        }
    }
}

/// Phase 1.
pub(crate) fn on_prepare(party: &Arc<Inner>, job: Job, plan: String) {
    let (session, slot) = (job.session, job.slot);
    let noted = party.jobs.note(party, &job);
    let abort = match party.sessions.take(&job, party.policy().max_sessions, party.limits.step, &noted) {
        Ok(abort) => abort,
        Err(why) => {
            noted.ended(
                JobState::Declined,
                "as many sessions as allowed are open, or this session's id was used before",
            );
            return report(party, session, Report::Declined { why });
        }
    };
    let span = info_span!("prepare", party = %party.name, %session, %slot, attempt = %job.attempt);
    let party = Arc::clone(party);
    party.tasks.clone().spawn(
        async move {
            let checked = tokio::select! {
                () = abort.cancelled() => return,
                checked = prepare::prepare(&party, job, &plan, &noted) => checked,
            };
            let told = match checked {
                Ok(prepared) => {
                    let nonce = hex::encode(prepared.nonce);
                    let (run, asked) = (prepared.job.run, prepared.job.ask().is_some());
                    if !party.sessions.put(session, Step::Prepared(Box::new(prepared))) {
                        return;
                    }
                    if !asked {
                        running::tidy_later(&party, run, slot);
                    }
                    Report::Prepared { nonce }
                }
                Err(declined) => {
                    party.sessions.end(session);
                    match declined.done {
                        Some(done) => {
                            noted.ended(JobState::Done, "this computation was over; its end was told once more");
                            *done
                        }
                        None => return decline(&party, session, declined, &noted),
                    }
                }
            };
            report(&party, session, told);
        }
        .instrument(span),
    );
}

/// Not with this party; why, only its owner reads.
fn decline(party: &Inner, session: SessionId, declined: Declined, noted: &Noted) {
    let told = Report::Declined { why: declined.why };
    let (number, name) = status(&told);
    noted.ended(JobState::Declined, format!("{name} ({number}): {}", declined.detail));
    party.trouble(format!("{} was declined with {name} ({number}): {}", name_of(&noted.job), declined.detail));
    report(party, session, told);
}

/// What a job is called in words for the owner: a client's task by its id, as `tacit policy approvals` shows it.
fn name_of(job: &Job) -> String {
    let slot = job.slot.counted();
    match job.ask() {
        None => format!("slot {slot} of run {}", job.run),
        Some(ask) if ask.request.repeat.is_some() => format!("computation {slot} of task {}", ask.id()),
        Some(ask) => format!("task {}", ask.id()),
    }
}

/// A step that does not follow the one before: what was prepared is given up. A session that computes goes on,
/// since it may have been frozen.
fn out_of_order(party: &Inner, session: SessionId, step: &'static str) {
    if party.sessions.runs_session(session) {
        return;
    }
    party.sessions.abort(session);
    let told = Report::Failed { fault: Fault::Order, frozen: false };
    let (number, name) = status(&told);
    debug!(party = %party.name, %session, step, name, number, "a step out of order");
    report(party, session, told);
}

/// Phase 2.
pub(crate) fn on_link(party: &Arc<Inner>, session: SessionId, nonces: Vec<String>, endpoints: Vec<String>) {
    let Some((mut prepared, abort, noted)) = party.sessions.take_prepared(session, party.limits.step) else {
        return out_of_order(party, session, "Link");
    };
    let link = info_span!("link", party = %party.name, %session);
    let span = info_span!("session", party = %party.name, %session, slot = %prepared.job.slot);
    let party = Arc::clone(party);
    party.tasks.clone().spawn(
        async move {
            let willing = tokio::select! {
                () = abort.cancelled() => return,
                willing = willing::still_willing(&party, &mut prepared) => willing,
            };
            if let Err(declined) = willing {
                party.sessions.end(session);
                return decline(&party, session, declined, &noted);
            }
            let linked = tokio::select! {
                () = abort.cancelled() => return,
                linked = linking::link(&party, *prepared, &nonces, &endpoints).instrument(link) => linked,
            };
            match linked {
                Ok(linked) => {
                    let (starter, go_ahead) = GoAhead::awaited();
                    if !party.sessions.put(session, Step::Linked(starter)) {
                        return;
                    }
                    report(&party, session, Report::Linked);
                    // The word leaves before the work begins: the slowest one is waited for.
                    tokio::task::yield_now().await;
                    run(&party, session, linked, go_ahead, &abort, &noted).await;
                }
                Err(failed) => {
                    party.sessions.end(session);
                    noted.ended(JobState::Failed, failed.detail.clone());
                    party.trouble(failed.detail);
                    report(&party, session, *failed.report);
                }
            }
        }
        .instrument(span),
    );
}

/// Phase 3.
pub(crate) fn on_session(party: &Inner, session: SessionId) {
    if !party.sessions.begin(session, party.limits.step) {
        out_of_order(party, session, "Session");
    }
}

/// A session that has its links, to its end.
async fn run(
    party: &Arc<Inner>,
    session: SessionId,
    linked: Linked,
    go_ahead: GoAhead,
    abort: &CancellationToken,
    noted: &Arc<Noted>,
) {
    let (run, slot, asked) = (linked.job.run, linked.job.slot, linked.job.ask().is_some());
    let Some((told, left)) = running::run(party, linked, go_ahead, abort, noted).await else { return };
    if let Report::Done { contributors, .. } = &told {
        noted.ended(JobState::Done, format!("{contributors} members gave data"));
    }
    info!(outcome = outcome_word(&told), "session ended");
    // Before the report: whoever hears it may end the run, and then the results are flushed.
    party.sessions.end(session);
    party.outbox.notify_one();
    party.announce_passed().await;
    report(party, session, told);
    if let Some(left) = left {
        receipts::give_part(party, left);
    }
    if asked {
        return;
    }
    if let Err(error) = party.ahead.look(party, run, Slot(slot.0.saturating_add(1))).await {
        debug!(%error, "the next slot was not looked up");
    }
}

/// The gateway gives a session up.
pub(crate) fn on_abort(party: &Inner, session: SessionId) {
    party.sessions.abort(session);
}

fn report(party: &Inner, session: SessionId, report: Report) {
    // Without a link the gateway takes this party for gone, and asks again later.
    party.line.send(&ToGateway::Report { session, report });
}

fn outcome_word(report: &Report) -> &'static str {
    match report {
        Report::Done { .. } => "done",
        Report::Failed { frozen: true, .. } => "failed after the freeze",
        Report::Failed { fault: Fault::Apart { .. }, .. } => "refused: the set makes a difference with an earlier one",
        Report::Failed { fault: Fault::Own, .. } => "failed for a reason of its own",
        _ => "failed",
    }
}
