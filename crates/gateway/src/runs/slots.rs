//! The slots of a run: each is gathered, computed, tried again where that is allowed, and recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tacit_accord::log::Kind;
use tacit_accord::{Charter, Consensus, ConsensusId, OnMissingInput};
use tacit_engine::PlanError;
use tacit_job::{Job, JobError, StopReason, Task};
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, Slot};
use tacit_store::{SlotOutcome, SlotState, StoreError, What};
use tokio::time::Instant;
use tracing::info;

use super::{charter_compute, job_of, new_session};
use crate::execution::{Agreed, Outcome};
use crate::left_out::LeftOut;
use crate::receipts::Debt;
use crate::seats::{Pause, Seated};
use crate::{Gateway, GatewayError};

impl Gateway {
    /// All slots of a run, until it is finished or a slot fails.
    pub(super) async fn drive(&self, group: GroupId, run: RunId) -> Result<(StopReason, String), GatewayError> {
        let row = self.inner.store.open_run(group).await?.ok_or(GatewayError::NotFound("run"))?;
        let mut slot = row.next_slot;
        let mut absent = BTreeMap::new();
        loop {
            let consensus = self.current(group).await?;
            let slots = consensus.charter().configuration.as_ref().map_or(0, |c| c.time_slots);
            if slots >= 0 && slot.0 >= i64::from(slots) {
                return Ok((StopReason::Finished, String::new()));
            }
            // A crash between the end of a slot and the step to the next one leaves an ended slot here.
            let ended = match self.inner.store.slot(group, run, slot).await? {
                Some(outcome) if outcome.state == SlotState::Done => Ok(()),
                Some(outcome) if outcome.state == SlotState::Failed => Err(outcome.detail.unwrap_or_default()),
                _ => match self.slot(group, run, slot, &mut absent).await {
                    // The gateways agreed on how it ended after this one had given up waiting for them.
                    Err(GatewayError::Store(StoreError::Conflict { what: What::SlotUsed })) => continue,
                    ended => ended?,
                },
            };
            if let Err(why) = ended {
                return Ok((StopReason::Failed, format!("slot {}: {why}", slot.counted())));
            }
            slot = Slot(slot.0 + 1);
            self.inner.store.set_next_slot(group, run, slot).await?;
        }
    }

    /// One slot: waits for its rows, then tries until it is done or failed.
    async fn slot(
        &self,
        group: GroupId,
        run: RunId,
        slot: Slot,
        absent: &mut Absent,
    ) -> Result<Result<(), String>, GatewayError> {
        let mut without = LeftOut::default();
        let mut last = String::new();
        // Peers gave shares under it, perhaps; a set opened under another one would tell the difference.
        let mut begun: Option<ConsensusId> = None;
        let mut place = self.inner.seats.line_up();
        let mut seated_until = None;
        // Until when those who may hold a result are asked for it.
        let mut heard_until = None;
        let mut busy_for = Pause::default();
        let mut tried = 0;
        while tried < self.inner.limits.attempts {
            let ready = match self.gather(group, run, slot, &mut without, begun, absent).await? {
                Ok(ready) => ready,
                Err(why) => {
                    let why = if last.is_empty() { why } else { format!("{why} ({last})") };
                    self.fail_slot(group, run, slot, &why).await?;
                    return Ok(Err(why));
                }
            };
            let until = *seated_until.get_or_insert_with(|| Instant::now() + self.inner.limits.seats);
            let members = ready.job.members();
            if !place.holds(&members) {
                match place.wait(&members, until).await {
                    Seated::AtOnce => {}
                    Seated::Later if self.still_fits(&ready, run).await? => {}
                    Seated::Later => {
                        // Nobody waits for these seats while this slot waits for its members.
                        place.give_back();
                        continue;
                    }
                    Seated::Never => {
                        let why = "members were busy with other computations for too long".to_owned();
                        let full = self.inner.seats.full(&members);
                        if can_do_without(&ready.job, &full) {
                            without.extend(full);
                            last = why;
                            tried += 1;
                            continue;
                        }
                        self.fail_slot(group, run, slot, &why).await?;
                        return Ok(Err(why));
                    }
                }
            }
            begun = Some(ready.consensus.id());
            let mut job = ready.job;
            let now = self.inner.clock.now();
            let attempt = self.inner.store.record_attempt(group, run, slot, job.session, now).await?;
            job.attempt = attempt;
            info!(group = %group, run = %run, slot = %slot, attempt = %attempt, session = %job.session, "job");
            without.asking(&members, &self.inner.directory);
            let parts = self.inner.gathering.open(job.session, job.members());
            match self.execute(&ready.consensus, &job).await {
                Outcome::Done(agreed) => {
                    let detail = agreed.remarks.join("; ");
                    let offered = ready.consensus.charter().inputs().map(|member| member.fingerprint).collect();
                    let debt = Debt::of(offered, &ready.consensus, &job, &agreed, now);
                    self.record(&job, SlotState::Done, &detail, Some((&agreed, &debt))).await?;
                    self.issue_receipt(&ready.consensus, debt, parts);
                    return Ok(Ok(()));
                }
                Outcome::Busy { why, .. } if Instant::now() < until => {
                    info!(group = %group, slot = %slot, why, "asking again");
                    place.give_back();
                    busy_for.pass().await;
                    continue;
                }
                Outcome::Busy { members, why } if can_do_without(&job, &members) => {
                    info!(group = %group, slot = %slot, why, "going on without them");
                    without.extend(members);
                    last = why;
                }
                Outcome::Repair { without: lost, why } => {
                    info!(group = %group, slot = %slot, why, "repairing before the freeze");
                    without.extend(lost.into_iter().filter(|m| !job.inputs.contains(m)));
                    last = why;
                }
                Outcome::Unheard { recipients, why } => {
                    info!(group = %group, slot = %slot, why, "asking those who may hold a result, once they are back");
                    place.give_back();
                    let until = *heard_until.get_or_insert_with(|| Instant::now() + self.inner.limits.seats);
                    // A slot is for all of them.
                    let all = recipients.len();
                    if Instant::now() >= until || !self.inner.directory.are_there(&recipients, all, until).await {
                        self.record(&job, SlotState::Failed, &why, None).await?;
                        return Ok(Err(why));
                    }
                    busy_for.pass().await;
                    last = why;
                    continue;
                }
                Outcome::Failed { why }
                | Outcome::Busy { why, .. }
                | Outcome::Waiting { why, .. }
                | Outcome::Apart { why, .. } => {
                    self.record(&job, SlotState::Failed, &why, None).await?;
                    return Ok(Err(why));
                }
            }
            // The others may have these seats while a slot waits for members that were lost.
            place.give_back();
            tried += 1;
        }
        self.fail_slot(group, run, slot, &last).await?;
        Ok(Err(last))
    }

    /// Whether a job can be tried as it was made: under the same charter, and nobody of it is away.
    async fn still_fits(&self, ready: &Ready, run: RunId) -> Result<bool, GatewayError> {
        let there = |member: &Fingerprint| {
            let present = self.inner.directory.present(member);
            present.is_some_and(|present| present.run == Some(run)) || !ready.waited_for(member)
        };
        let same = self.current(ready.job.group).await?.id() == ready.consensus.id();
        Ok(same && ready.job.members().iter().all(there))
    }

    /// Waits until a slot can be computed, or until its charter says that it cannot.
    async fn gather(
        &self,
        group: GroupId,
        run: RunId,
        slot: Slot,
        without: &mut LeftOut,
        begun: Option<ConsensusId>,
        absent: &mut Absent,
    ) -> Result<Result<Ready, String>, GatewayError> {
        let mut first_row: Option<Instant> = None;
        loop {
            // Registered before looking, so that nothing that changes meanwhile is missed.
            let changed = self.inner.directory.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();

            let consensus = self.current(group).await?;
            if begun.is_some_and(|begun| begun != consensus.id()) {
                return Ok(Err("the charter changed between two attempts".to_owned()));
            }
            let charter = consensus.charter();
            let task = Task::standing(charter).ok_or_else(|| GatewayError::Bug("a run without a task".to_owned()))?;
            let taking_part = |m: &Fingerprint| self.inner.directory.present(m).filter(|p| p.run == Some(run));
            let inputs: Vec<Fingerprint> = charter.inputs().map(|m| m.fingerprint).collect();
            let has_row = |m: &Fingerprint| taking_part(m).is_some_and(|p| p.upto > slot && p.from <= slot);
            let with_row: Vec<Fingerprint> = inputs.iter().copied().filter(|m| has_row(m)).collect();
            let all_compute = charter_compute(charter);
            let compute: Vec<Fingerprint> =
                all_compute.iter().copied().filter(|m| taking_part(m).is_some() && !without.contains(m)).collect();

            let now = Instant::now();
            absent.retain(|m, _| taking_part(m).is_none());
            for member in all_compute.iter().filter(|m| taking_part(m).is_none()) {
                absent.entry(*member).or_insert(now);
            }
            if !with_row.is_empty() {
                first_row.get_or_insert(now);
            }
            let deadline = first_row.map(|at| at + Duration::from_millis(charter.slots.deadline_ms.into()));
            let closed = deadline.is_some_and(|deadline| now >= deadline);
            let givers = if with_row.len() == inputs.len() {
                Some(with_row.clone())
            } else {
                match charter.slots.on_missing_input {
                    OnMissingInput::Fail if closed => {
                        let late = inputs.iter().filter(|m| !with_row.contains(m));
                        return Ok(Err(format!("no input from {} before the slot closed", names(charter, late))));
                    }
                    OnMissingInput::Proceed(min) if closed => {
                        if with_row.len() < usize::try_from(min).unwrap_or(usize::MAX) {
                            return Ok(Err(format!("only {} inputs before the slot closed", with_row.len())));
                        }
                        Some(with_row.clone())
                    }
                    _ => None,
                }
            };
            let mut wake = deadline;
            if let Some(givers) = givers {
                let threshold = usize::try_from(charter.threshold).unwrap_or(usize::MAX);
                let needed = tacit_engine::Plan::compute_needed(all_compute.len(), threshold);
                let complete = compute.len() + without.len() >= all_compute.len();
                // Whoever is away for long is not waited for at each slot anew.
                let since = absent.values().copied().max().unwrap_or(now);
                let waited = now >= since + self.inner.limits.grace;
                let started = self.has_begun(slot, &all_compute, run);
                let job = job_of(charter, &consensus, task, run, slot, Attempt(0), &compute)?;
                let job = Job { inputs: givers, ..job };
                let all = compute.len() == all_compute.len();
                let few = !all && (compute.len() < needed || takes_more(&consensus, &job));
                if few && without.let_back(&self.inner.directory, |now| now.run == Some(run)) {
                    continue;
                }
                if !few && (complete || (waited && started)) {
                    self.inner.runs.begin(group, run, slot);
                    return Ok(Ok(Ready { consensus, job }));
                }
                if closed {
                    let gone = all_compute.iter().filter(|m| !compute.contains(m));
                    return Ok(Err(format!("{} did not take part", names(charter, gone))));
                }
                if !waited {
                    wake = Some(since + self.inner.limits.grace);
                }
            }
            match wake.filter(|at| *at > now) {
                Some(at) => drop(tokio::time::timeout_at(at, changed).await),
                None => changed.await,
            }
        }
    }

    /// Whether all computing members have been started at least once in this run. Before that a slot
    /// waits for them, so that the order in which operators start does not matter.
    fn has_begun(&self, slot: Slot, compute: &[Fingerprint], run: RunId) -> bool {
        slot.0 > 0 || compute.iter().all(|m| self.inner.directory.present(m).is_none_or(|p| p.run == Some(run)))
    }

    /// Ends a slot that no attempt could be made at.
    async fn fail_slot(&self, group: GroupId, run: RunId, slot: Slot, why: &str) -> Result<(), GatewayError> {
        let session = new_session()?;
        let now = self.inner.clock.now();
        let attempt = self.inner.store.record_attempt(group, run, slot, session, now).await?;
        let outcome = SlotOutcome {
            gid: group,
            run,
            slot,
            attempt,
            session,
            state: SlotState::Failed,
            detail: Some(why.to_owned()),
            contributors: None,
            agreement: None,
            updated: now,
        };
        Ok(self.inner.store.slot_outcome(outcome).await?)
    }

    /// Records how an attempt ended a slot.
    async fn record(
        &self,
        job: &Job,
        state: SlotState,
        detail: &str,
        done: Option<(&Agreed, &Debt)>,
    ) -> Result<(), GatewayError> {
        let agreed = done.map(|(agreed, _)| agreed);
        let outcome = SlotOutcome {
            gid: job.group,
            run: job.run,
            slot: job.slot,
            attempt: job.attempt,
            session: job.session,
            state,
            detail: (!detail.is_empty()).then(|| detail.to_owned()),
            contributors: agreed.map(|agreed| agreed.contributors),
            agreement: agreed.map(|agreed| agreed.agreement.clone().into_bytes()),
            updated: self.inner.clock.now(),
        };
        let owed = done.map(|(_, debt)| debt.row());
        // Both are durable before the slot counts as ended; they share a sync.
        let kept = self.inner.store.slot_outcome_owing(outcome, owed);
        let (kept, logged) = tokio::join!(kept, self.log_session(job, agreed));
        kept?;
        logged
    }

    /// Logs how an attempt ended a slot. Says neither who took part nor what came out.
    pub(crate) async fn log_session(&self, job: &Job, agreed: Option<&Agreed>) -> Result<(), GatewayError> {
        let facts = [
            ("group", job.group.to_string()),
            ("run", job.run.to_string()),
            ("slot", job.slot.to_string()),
            ("attempt", job.attempt.to_string()),
            ("session", agreed.map_or(job.session, |agreed| agreed.session).to_string()),
            ("consensus", job.charter.to_string()),
            ("state", if agreed.is_some() { "done" } else { "failed" }.to_owned()),
            ("agreement", agreed.map(|agreed| agreed.agreement.clone()).unwrap_or_default()),
        ];
        self.log(Kind::Session, facts).await
    }
}

/// Since when computing members that take part no longer have been away.
type Absent = BTreeMap<Fingerprint, Instant>;

struct Ready {
    consensus: Arc<Consensus>,
    job: Job,
}

impl Ready {
    /// Who only receives is not waited for.
    fn waited_for(&self, member: &Fingerprint) -> bool {
        self.job.inputs.contains(member) || self.job.compute.contains(member)
    }
}

/// Whether products, or the security model, need more compute peers than are in a job.
fn takes_more(consensus: &Consensus, job: &Job) -> bool {
    let refused = tacit_job::plan_of(consensus, job).err();
    matches!(refused, Some(JobError::Plan(PlanError::TooFewLeft { .. } | PlanError::TooFewForProducts { .. })))
}

/// Whether a slot can be tried without these members: of a standing task all give, or there is no slot.
fn can_do_without(job: &Job, members: &[Fingerprint]) -> bool {
    !members.is_empty() && members.iter().all(|member| !job.inputs.contains(member))
}

fn names<'a>(charter: &Charter, members: impl Iterator<Item = &'a Fingerprint>) -> String {
    let name = |m: &Fingerprint| charter.member(m).map_or_else(|| m.short(), |m| m.name.clone());
    members.map(name).collect::<Vec<_>>().join(", ")
}
