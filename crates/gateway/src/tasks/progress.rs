//! A task from its first computation to its last.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tacit_accord::Consensus;
use tacit_engine::Level;
use tacit_job::{Ask, Job, Preselector, Terms, Told};
use tacit_model::api::{TaskBody, TaskWindow};
use tacit_model::{Attempt, Fingerprint, Slot, UnixMillis};
use tacit_store::{StoreError, TaskRow, What};
use tokio::sync::futures::Notified;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::branches::remark;
use super::matching::fits;
use super::shown::add_window;
use super::{PART_PATIENCE, PATIENCE};
use crate::clients::withdrawn;
use crate::directory::{Offer, changes};
use crate::execution::{Agreed, Outcome};
use crate::left_out::LeftOut;
use crate::receipts::{Debt, Parts};
use crate::seats::{Pause, Place, Seated};
use crate::{Gateway, GatewayError};

/// What a client hears of a computation that was given up.
const NO_RESULT: &str = "the computation was given up and cannot be repeated; ask again for a later window";

/// A task that begins within so many milliseconds is not made durable before.
const SOON: u64 = 1_000;

/// Between two looks at whether owners have decided.
const RING: Duration = Duration::from_millis(200);

/// What a client may do if members declined: why they did is their owners' to know, and where they read it is the same
/// everywhere.
const LATER: &str = "the owner of each peer reads why with `tacit peer show NAME`, and what waits for its word with `tacit \
                     policy approvals NAME`, for which you give time with `tacit task run --approval SECONDS`; if \
                     somebody came, went or was lost since an earlier result over these records, ask for a later window";

/// What a client hears if members were busy all the time.
const BUSY: &str = "members were busy with other computations until this one's time was over; ask again later";

/// What a client hears of members that are not asked again.
fn left_out(without: &LeftOut) -> String {
    format!("{} of the members declined or got lost", without.len())
}

/// How one computation ended.
struct Ended {
    job: Option<Job>,
    /// What the receipt of a result needs.
    receipt: Option<(Arc<Consensus>, Debt, Option<Parts>)>,
    outcome: Result<Agreed, String>,
    /// What else its client should know.
    remark: String,
}

impl Ended {
    fn without_result(job: Option<Job>, why: String) -> Self {
        Self { job, receipt: None, outcome: Err(why), remark: String::new() }
    }
}

/// Until when one computation waits, and for what.
struct Patience {
    /// Members that come back, where those who are there are not enough.
    members: Instant,
    /// Owners that their peers ask.
    owners: Instant,
    /// A seat at each member.
    seats: Instant,
    /// How long for that, whenever it begins anew.
    seats_for: Duration,
    /// Those who may hold a result and were not heard, once there are any.
    result: Option<Instant>,
}

impl Patience {
    fn new(ask: &Ask, seats: Duration) -> Self {
        let seats_for = match ask.level() {
            Level::Branch => seats.min(PART_PATIENCE),
            Level::Flat | Level::Root => seats,
        };
        let now = Instant::now();
        let owners = now + Duration::from_secs(ask.request.approval_s.into());
        Self { members: now + PATIENCE, owners, seats: now + seats_for, seats_for, result: None }
    }

    fn renew_members(&mut self) {
        self.members = Instant::now() + PATIENCE;
    }

    fn renew_seats(&mut self) {
        self.seats = Instant::now() + self.seats_for;
    }

    /// Until when those who may hold a result are asked for it: from when they were first not heard, however often that is.
    fn of_result(&mut self) -> Instant {
        *self.result.get_or_insert_with(|| Instant::now() + self.seats_for)
    }
}

impl Gateway {
    /// All computations of a task. With `keep` the task becomes durable beside the first one, or before it waits long for it.
    pub(super) async fn drive_task(
        &self,
        row: &TaskRow,
        ask: &Ask,
        body: &watch::Sender<TaskBody>,
        mut keep: bool,
    ) -> Result<(), GatewayError> {
        let terms = ask.terms().map_err(|e| GatewayError::Bug(e.to_string()))?;
        let mut window = row.next_window;
        while let Some(at) = terms.moment(window) {
            let now = self.inner.clock.now();
            if let Ok(early @ 1..) = u64::try_from(at.since(now)) {
                if early > SOON && std::mem::take(&mut keep) {
                    self.keep_task(row).await?;
                }
                tokio::time::sleep(Duration::from_millis(early)).await;
            }
            // Its client was looked at when it was handed in; a computation may be days after that, and the client's
            // right may have been taken back before the task was known here.
            if let Some(why) = withdrawn(&self.inner.store, &row.client, ask).await? {
                self.close_task(&row.id, "cancelled", &why, body).await;
                return Ok(());
            }
            let first = std::mem::take(&mut keep);
            let kept = async {
                match first {
                    true => self.keep_task(row).await,
                    false => Ok(()),
                }
            };
            // What cannot be kept is not computed to its end: somebody may be told its id meanwhile.
            let computed = async { Ok::<_, GatewayError>(self.task_window(ask, window).await) };
            let ((), ended) = tokio::try_join!(kept, computed)?;
            let ended = ended?;
            let last = terms.moment(Slot(window.0 + 1)).is_none();
            self.end_window(row, ended, window, last, body).await?;
            window = Slot(window.0 + 1);
        }
        Ok(())
    }

    /// Makes a task durable. It is already if the gateways agreed on that after this one had given up waiting for them.
    async fn keep_task(&self, row: &TaskRow) -> Result<(), GatewayError> {
        let kept = self.inner.store.add_task(row.clone()).await;
        if let Err(StoreError::Conflict { what: What::Task }) = &kept
            && self.inner.store.task(&row.id).await?.is_some_and(|known| {
                (&known.client, known.created, &known.ask_json) == (&row.client, row.created, &row.ask_json)
            })
        {
            return Ok(());
        }
        Ok(kept?)
    }

    /// One computation: matched and tried until it is done, or cannot be.
    async fn task_window(&self, ask: &Ask, window: Slot) -> Result<Ended, GatewayError> {
        let terms = ask.terms().map_err(|e| GatewayError::Bug(e.to_string()))?;
        let task = ask.task().map_err(|e| GatewayError::Bug(e.to_string()))?;
        let mut patience = Patience::new(ask, self.inner.limits.seats);
        let mut without = LeftOut::default();
        // Whoever is waited for once and is there without taking part is not waited for again.
        let mut awaited = BTreeSet::new();
        // Of a large group a task asks a few.
        let mut asked = BTreeSet::new();
        let mut last = String::new();
        let mut job = None;
        let mut attempt = 0;
        let mut place = self.inner.seats.line_up();
        let mut busy_for = Pause::default();
        while attempt < self.inner.limits.attempts {
            let changed = self.inner.directory.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (consensus, matched) =
                match self.match_task(ask, terms, &task, window, Attempt(attempt), &without).await? {
                    Ok(matched) => matched,
                    Err(_) if without.let_back(&self.inner.directory, |now| now.offer.is_said()) => continue,
                    // Somebody may be about to come back.
                    Err(_)
                        if self.waits(&without, &patience)
                            && comes_back(&mut place, changed, patience.members).await =>
                    {
                        continue;
                    }
                    Err(why) => {
                        let why = if last.is_empty() { why } else { format!("{last}; {why}; {LATER}") };
                        return Ok(Ended::without_result(job, why));
                    }
                };
            let members = matched.members();
            if !place.holds(&members) {
                match place.wait(&members, patience.seats).await {
                    Seated::AtOnce => {}
                    // Others may be there now.
                    Seated::Later => {
                        patience.renew_members();
                        continue;
                    }
                    // Who had no seat in all this time is left out like who declines: one member must not hold up all.
                    Seated::Never => {
                        let full = self.inner.seats.full(&members);
                        if full.is_empty() {
                            return Ok(Ended::without_result(job, BUSY.to_owned()));
                        }
                        without.extend(full);
                        last = BUSY.to_owned();
                        attempt += 1;
                        continue;
                    }
                }
            }
            asked.extend(matched.inputs.iter().copied());
            without.asking(&members, &self.inner.directory);
            let parts = self.inner.gathering.open(matched.session, members);
            let outcome = self.execute(&consensus, &matched).await;
            let matched = job.insert(matched);
            match outcome {
                Outcome::Done(agreed) => {
                    if !agreed.remarks.is_empty() {
                        let remarks = agreed.remarks.join("; ");
                        warn!(task = %ask.id(), window = %window, remarks, "a result, but not all is well");
                    }
                    let asked = asked.into_iter().collect();
                    let debt = Debt::of(asked, &consensus, matched, &agreed, self.inner.clock.now());
                    let remark = remark(ask, matched, consensus.charter());
                    let receipt = Some((consensus, debt, parts));
                    return Ok(Ended { job, receipt, outcome: Ok(agreed), remark });
                }
                // Names and reasons are for the operator's log; the client hears counts only.
                Outcome::Failed { why } => {
                    info!(task = %ask.id(), window = %window, why, "no result");
                    return Ok(Ended::without_result(job, NO_RESULT.to_owned()));
                }
                Outcome::Waiting { owners, without: lost, why } => {
                    without.extend(lost);
                    if Instant::now() < patience.owners {
                        place.give_back();
                        // An owner that decides lets its peer ring; so does whoever comes or goes.
                        let _rung = tokio::time::timeout_at(patience.owners, changed).await;
                        tokio::time::sleep(RING).await;
                        patience.renew_seats();
                        continue;
                    }
                    info!(task = %ask.id(), window = %window, why, "going on without them");
                    without.extend(owners);
                    last = left_out(&without);
                }
                Outcome::Busy { why, .. } if Instant::now() < patience.seats => {
                    info!(task = %ask.id(), window = %window, why, "asking again");
                    place.give_back();
                    busy_for.pass().await;
                    continue;
                }
                Outcome::Busy { members, why } => {
                    info!(task = %ask.id(), window = %window, why, "going on without them");
                    place.give_back();
                    without.extend(members);
                    last = BUSY.to_owned();
                }
                Outcome::Apart { missing, until, why } => {
                    info!(task = %ask.id(), window = %window, why, "it takes those who gave before, or a later window");
                    place.give_back();
                    let new: Vec<Fingerprint> = missing.into_iter().filter(|member| awaited.insert(*member)).collect();
                    last = apart(terms, window, until);
                    if new.is_empty() || !self.come_back(ask, terms, &new).await {
                        return Ok(Ended::without_result(job, last));
                    }
                    without.take_back(&new);
                    patience.renew_seats();
                }
                Outcome::Unheard { recipients, why } => {
                    info!(task = %ask.id(), window = %window, why, "asking those who may hold a result, once they are back");
                    place.give_back();
                    let until = patience.of_result();
                    // Any of them may tell it; another one may never come back.
                    if Instant::now() >= until || !self.inner.directory.are_there(&recipients, 1, until).await {
                        return Ok(Ended::without_result(job, NO_RESULT.to_owned()));
                    }
                    // Who just came says what it offers, and matching wants to know; or it is still busy with that session.
                    tokio::time::sleep(RING).await;
                    busy_for.pass().await;
                    patience.renew_members();
                    patience.renew_seats();
                    continue;
                }
                Outcome::Repair { without: lost, why } => {
                    info!(task = %ask.id(), window = %window, why, "repairing before the freeze");
                    without.extend(lost);
                    last = left_out(&without);
                }
            }
            attempt += 1;
        }
        Ok(Ended::without_result(job, format!("{last}; {LATER}")))
    }

    /// Whether a computation without enough members waits for more: at first, where somebody was lost, and while a result
    /// may be held by one that is away.
    fn waits(&self, without: &LeftOut, patience: &Patience) -> bool {
        without.is_empty()
            || without.waits(&self.inner.directory)
            || patience.result.is_some_and(|until| Instant::now() < until)
    }

    /// Whether these members are there in time with what is asked for.
    async fn come_back(&self, ask: &Ask, terms: &Terms, members: &[Fingerprint]) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            let changed = self.inner.directory.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let present: Vec<_> = members.iter().map(|member| self.inner.directory.present(member)).collect();
            let fits = |offer: &Offer| fits(ask, terms, offer);
            if present.iter().all(|present| present.as_ref().is_some_and(|present| fits(&present.offer))) {
                return true;
            }
            // Who is there and offers something else was not meant this time. Who just came has not said yet.
            let other = |offer: &Offer| !offer.sources.is_empty() && !fits(offer);
            if present.iter().flatten().any(|present| other(&present.offer)) {
                return false;
            }
            if !changes(changed, until).await {
                return false;
            }
        }
    }

    /// Makes durable how a computation ended, and tells those who watch.
    async fn end_window(
        &self,
        row: &TaskRow,
        ended: Ended,
        window: Slot,
        last: bool,
        body: &watch::Sender<TaskBody>,
    ) -> Result<(), GatewayError> {
        let now = self.inner.clock.now();
        let done = ended.outcome.is_ok();
        let mut shown = TaskWindow {
            detail: ended.remark.clone(),
            at: now.to_rfc3339(),
            ..TaskWindow::new(window, if done { "done" } else { "failed" })
        };
        match &ended.outcome {
            Ok(agreed) => {
                shown.contributors = agreed.contributors;
                shown.agreement.clone_from(&agreed.agreement);
                shown.timing = Some(agreed.timing);
                for told in &agreed.told {
                    match told {
                        Told::Open(result) => shown.result = Some(result.as_ref().clone()),
                        Told::Sealed(sealed) => shown.sealed.push(sealed.clone()),
                        _ => {}
                    }
                }
            }
            Err(why) => shown.detail.clone_from(why),
        }
        // A task with several computations goes on after one that failed.
        let over = last || (!done && row_is_single(body));
        let state = match (over, done) {
            (false, _) => "open",
            (true, true) => "done",
            (true, false) => "failed",
        };
        let text = serde_json::to_string(&shown).map_err(|e| GatewayError::Bug(e.to_string()))?;
        let owed = ended.receipt.as_ref().map(|(_, debt, _)| debt.row());
        self.inner.store.end_window(&row.id, window, text, state, &shown.detail, owed, now).await?;
        body.send_modify(|body| {
            state.clone_into(&mut body.state);
            body.detail.clone_from(&shown.detail);
            add_window(body, shown);
        });
        self.inner.news.notify_one();
        // The client has its answer, which is durable; the receipt and the log follow.
        if let Some((consensus, debt, parts)) = ended.receipt {
            self.issue_receipt(&consensus, debt, parts);
        }
        match &ended.job {
            Some(job) => self.log_session(job, ended.outcome.as_ref().ok()).await,
            None => Ok(()),
        }
    }
}

/// What a client hears if its result would tell what somebody gave: nobody is named (rule 10).
fn apart(terms: &Terms, window: Slot, until: UnixMillis) -> String {
    let moment = match (terms.preselector, terms.moment(window), terms.window(window)) {
        (Preselector::Now | Preselector::Last { .. }, Some(at), Some(window)) => {
            format!(", which this task's does from {} on", until.plus(at.since(window.from)).to_rfc3339())
        }
        _ => String::new(),
    };
    format!(
        "no result: with an earlier one over some of the same records, which other members gave to, it would tell what one of \
         them gave. Ask again when all who gave then are there, or for a window that begins at {} or later{moment}",
        until.to_rfc3339()
    )
}

/// Whether somebody comes or goes in time; meanwhile others may have the seats.
async fn comes_back(place: &mut Place<'_>, changed: Pin<&mut Notified<'_>>, until: Instant) -> bool {
    place.give_back();
    changes(changed, until).await
}

fn row_is_single(body: &watch::Sender<TaskBody>) -> bool {
    body.borrow().task.repeat.is_none()
}
