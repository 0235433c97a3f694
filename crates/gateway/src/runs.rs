//! Runs: the standing task of a group from start to stop, slot by slot. There is one runner; every
//! computation of a group passes [`Gateway::execute`].

mod slots;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tacit_accord::{Charter, Consensus};
use tacit_engine::{Forecast, PlanError};
use tacit_job::{Job, JobError, StopReason, Task, ToPeer};
use tacit_model::api::PairingState;
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot};
use tacit_pki::random;
use tacit_store::{MemberRow, PeerStatus, RunRow, RunState, SlotOutcome, SlotState, StoreError, What, Windows};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::agreed::until_agreed;
use crate::pairing::state_of;
use crate::{Gateway, GatewayError};

/// A run as its operator sees it.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Counted per group.
    pub run: RunId,
    /// How it stands.
    pub state: RunState,
    /// Why it ended, if there is something to say.
    pub reason: String,
    /// The next slot.
    pub next_slot: Slot,
}

/// A slot as its operator sees it. Never holds the result.
#[derive(Clone, Debug)]
pub struct SlotView {
    /// Counted from 0 in its run.
    pub slot: Slot,
    /// How often it was tried, from 0.
    pub attempt: Attempt,
    /// How it stands.
    pub state: SlotState,
    /// Why it failed, or remarks.
    pub detail: String,
    /// How many contributed.
    pub contributors: Option<u32>,
}

/// The runs that are being driven right now.
#[derive(Default)]
pub(crate) struct Runs {
    driven: Mutex<BTreeMap<GroupId, CancellationToken>>,
    /// The last slot of a run for which a job was made: whoever comes now comes for the next one.
    begun: Mutex<BTreeMap<GroupId, (RunId, Slot)>>,
}

impl Runs {
    fn begin(&self, group: GroupId, run: RunId, slot: Slot) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(group, (run, slot));
    }

    /// The first slot for which a row of a newcomer is in time.
    fn open_slot(&self, group: GroupId, run: &RunRow) -> Slot {
        match self.begun.lock().unwrap_or_else(PoisonError::into_inner).get(&group) {
            Some((of, slot)) if *of == run.run => run.next_slot.max(Slot(slot.0.saturating_add(1))),
            _ => run.next_slot,
        }
    }
}

impl Gateway {
    /// Starts every verified member of a group; the others are left out. Returns how many are started.
    pub async fn start_group(&self, group: GroupId) -> Result<usize, GatewayError> {
        let consensus = self.runnable(group).await?;
        let mut started = 0;
        for member in self.inner.store.members(group).await? {
            if !member.verified || member.last_status == PeerStatus::Started {
                continue;
            }
            let Some(fingerprint) = member.fingerprint else { continue };
            if consensus.charter().member(&fingerprint).is_none() {
                continue;
            }
            if self.inner.directory.present(&fingerprint).is_none() {
                warn!(group = %group, member = member.peer_name, "not started: not connected");
                continue;
            }
            let (run, from) = self.start_member(group, &member.peer_name).await?;
            self.inner.directory.send(&fingerprint, &ToPeer::Start { group, run, from });
            started += 1;
        }
        Ok(started)
    }

    /// Stops a group's run and all its members.
    pub async fn stop_group(&self, group: GroupId) -> Result<(), GatewayError> {
        self.stop_driving(group);
        match self.inner.store.open_run(group).await? {
            Some(run) => self.end_run(group, run.run, StopReason::Finished, "stopped by the operator", false).await,
            None => Ok(()),
        }
    }

    /// A verified member takes part from now on. Opens the run if there is none. The run, and the first of its slots
    /// that this member can give a row for, if some are over.
    pub(crate) async fn start_member(&self, group: GroupId, name: &str) -> Result<(RunId, Option<Slot>), GatewayError> {
        let consensus = self.runnable(group).await?;
        let member = self.row(name).await?;
        let fingerprint = match member.fingerprint {
            Some(fingerprint) if consensus.charter().member(&fingerprint).is_some() => fingerprint,
            _ => return Err(GatewayError::Refused(format!("{name} is not verified; compare its fingerprint first"))),
        };
        let run = match self.inner.store.open_run(group).await? {
            Some(run) => run,
            None => self.inner.store.start_run(group, consensus.id().0, self.inner.clock.now()).await?,
        };
        self.inner.store.set_status(member.pid, PeerStatus::Started).await?;
        self.log_action(group, "start", name).await?;
        let from = self.inner.runs.open_slot(group, &run);
        self.inner.directory.update(&fingerprint, |present| {
            if present.run != Some(run.run) {
                present.run = Some(run.run);
                present.upto = Slot(0);
                present.from = from;
            }
        });
        self.continue_run(group, run.run);
        Ok((run.run, Some(from).filter(|from| from.0 > 0)))
    }

    /// A member no longer takes part. The run goes on while enough remain.
    pub(crate) async fn stop_member(&self, group: GroupId, name: &str) -> Result<(), GatewayError> {
        let member = self.row(name).await?;
        if member.last_status != PeerStatus::Started {
            return Err(GatewayError::Conflict(format!("{name} is not running")));
        }
        self.inner.store.set_status(member.pid, PeerStatus::Stopped).await?;
        self.log_action(group, "stop", name).await?;
        let Some(run) = self.inner.store.open_run(group).await? else { return Ok(()) };
        if let Some(fingerprint) = member.fingerprint {
            let stop = ToPeer::Stop { group, run: run.run, reason: StopReason::Finished };
            self.inner.directory.send(&fingerprint, &stop);
            self.inner.directory.update(&fingerprint, |present| present.run = None);
        }
        let running = self.inner.store.members(group).await?.iter().any(|m| m.last_status == PeerStatus::Started);
        if !running {
            self.stop_driving(group);
            self.end_run(group, run.run, StopReason::Finished, "all members stopped", false).await?;
        }
        Ok(())
    }

    /// A member that was taking part is back after a restart of it or of this gateway.
    pub(crate) async fn resume_member(
        &self,
        member: Fingerprint,
        row: &MemberRow,
        run: Option<RunId>,
    ) -> Result<(), GatewayError> {
        let group = row.gid;
        match self.inner.store.open_run(group).await? {
            Some(open) => {
                self.inner.directory.update(&member, |present| present.run = Some(open.run));
                let from = Some(open.next_slot).filter(|from| from.0 > 0);
                self.inner.directory.send(&member, &ToPeer::Start { group, run: open.run, from });
            }
            None => {
                // The gateway went down between the end of the run and the members' statuses.
                let last = match run {
                    Some(run) => self.inner.store.run(group, run).await?,
                    None => self.inner.store.runs(group).await?.pop(),
                };
                let failed = last.is_some_and(|row| row.state == RunState::Failed);
                let (reason, status) = match failed {
                    true => (StopReason::Failed, PeerStatus::Error),
                    false => (StopReason::Finished, PeerStatus::Stopped),
                };
                self.inner.store.set_status(row.pid, status).await?;
                if let Some(run) = run {
                    self.inner.directory.send(&member, &ToPeer::Stop { group, run, reason });
                }
            }
        }
        Ok(())
    }

    /// All runs of a group, newest first.
    pub async fn runs(&self, group: GroupId) -> Result<Vec<RunView>, GatewayError> {
        let rows = self.inner.store.runs(group).await?;
        let view = |row: tacit_store::RunRow| RunView {
            run: row.run,
            state: row.state,
            reason: row.reason.unwrap_or_default(),
            next_slot: row.next_slot,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// At most so many slots of a run, in order: from one on, or the last ones. A run may go on for years.
    pub async fn slots(
        &self,
        group: GroupId,
        run: RunId,
        from: Option<Slot>,
        most: u32,
    ) -> Result<Vec<SlotView>, GatewayError> {
        let rows = self.inner.store.slots(group, run, from.map_or(Windows::Newest, Windows::From), most).await?;
        let view = |row: SlotOutcome| SlotView {
            slot: row.slot,
            attempt: row.attempt,
            state: row.state,
            detail: row.detail.unwrap_or_default(),
            contributors: row.contributors,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// What the planner foresees of one slot of the standing task with the members of the day, or why it foresees nothing;
    /// `None`: there is no standing task.
    pub async fn forecast(&self, group: GroupId) -> Result<Option<Result<Forecast, String>>, GatewayError> {
        let consensus = self.current(group).await?;
        let charter = consensus.charter();
        let Some(task) = Task::standing(charter) else { return Ok(None) };
        if let Some(provider) = task.provider() {
            return Ok(Some(Err(format!("the SMC provider {provider} computes, of which the planner knows nothing"))));
        }
        let job = job_of(charter, &consensus, task, RunId(0), Slot(0), Attempt(0), &charter_compute(charter))?;
        Ok(Some(match tacit_job::plan_of(&consensus, &job) {
            Ok(plan) => Ok(plan.forecast()),
            Err(error) => Err(self.no_plan(group, &error).await?),
        }))
    }

    /// The group's consensus, if its standing task could run with the members it has.
    async fn runnable(&self, group: GroupId) -> Result<Arc<Consensus>, GatewayError> {
        let consensus = self.current(group).await?;
        let charter = consensus.charter();
        let task = Task::standing(charter)
            .ok_or_else(|| GatewayError::Refused("the group has no configuration yet; set one first".to_owned()))?;
        let job = job_of(charter, &consensus, task, RunId(0), Slot(0), Attempt(0), &charter_compute(charter))?;
        if let Err(error) = tacit_job::plan_of(&consensus, &job) {
            return Err(GatewayError::Refused(self.no_plan(group, &error).await?));
        }
        Ok(consensus)
    }

    /// Why there is no plan. Where members are too few and some wait to be compared, it says how many: clients hear it, too,
    /// so it names nobody.
    pub(crate) async fn no_plan(&self, group: GroupId, error: &JobError) -> Result<String, GatewayError> {
        let why = error.to_string();
        if !is_for_few(error) {
            return Ok(why);
        }
        let waits = |row: &&MemberRow| row.fingerprint.is_some() && state_of(row) == PairingState::Waiting;
        Ok(match self.inner.store.members(group).await?.iter().filter(waits).count() {
            0 => why,
            1 => format!("{why}; 1 member waits to be compared: {COMPARE}"),
            waiting => format!("{why}; {waiting} members wait to be compared: {COMPARE}"),
        })
    }

    /// Drives a run in a task of its own, unless one does already.
    pub(crate) fn continue_run(&self, group: GroupId, run: RunId) {
        let stop = {
            let mut driven = self.inner.runs.driven.lock().unwrap_or_else(PoisonError::into_inner);
            if driven.contains_key(&group) {
                return;
            }
            let stop = self.inner.stop.child_token();
            driven.insert(group, stop.clone());
            stop
        };
        let gateway = self.clone();
        self.inner.tasks.spawn(async move {
            let ended = tokio::select! {
                () = stop.cancelled() => None,
                ended = until_agreed(&stop, || gateway.drive(group, run)) => Some(ended),
            };
            if let Some(ended) = ended {
                gateway.inner.runs.driven.lock().unwrap_or_else(PoisonError::into_inner).remove(&group);
                let (reason, why) = ended.unwrap_or_else(|error| (StopReason::Failed, error.to_string()));
                let mut begun = false;
                let end = || {
                    let again = std::mem::replace(&mut begun, true);
                    gateway.end_run(group, run, reason, &why, again)
                };
                if let Err(error) = until_agreed(&stop, end).await {
                    warn!(group = %group, %error, "the end of a run could not be recorded");
                }
            }
        });
    }

    fn stop_driving(&self, group: GroupId) {
        let mut driven = self.inner.runs.driven.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = driven.remove(&group) {
            stop.cancel();
        }
    }

    /// Ends a run; `again` after a write that may have been agreed on late.
    async fn end_run(
        &self,
        group: GroupId,
        run: RunId,
        reason: StopReason,
        why: &str,
        again: bool,
    ) -> Result<(), GatewayError> {
        let (state, status) = match reason {
            StopReason::Finished => (RunState::Done, PeerStatus::Stopped),
            StopReason::Failed => (RunState::Failed, PeerStatus::Error),
        };
        match self.inner.store.end_run(group, run, state, Some(why), self.inner.clock.now()).await {
            Err(StoreError::Conflict { what: What::RunEnded }) if again => {}
            ended => ended?,
        }
        for member in self.inner.store.members(group).await? {
            if member.last_status == PeerStatus::Started {
                self.inner.store.set_status(member.pid, status).await?;
            }
        }
        for (member, present) in self.inner.directory.of_group(group) {
            if present.run == Some(run) {
                self.inner.directory.send(&member, &ToPeer::Stop { group, run, reason });
                self.inner.directory.update(&member, |present| present.run = None);
            }
        }
        self.log_action(group, "end-run", why).await
    }
}

/// What the operator does with members that wait.
const COMPARE: &str = "`tacit pair list`, `tacit pair approve NAME`";

/// Whether there would be a plan with more members, perhaps.
fn is_for_few(error: &JobError) -> bool {
    match error {
        JobError::FewBranches { .. } => true,
        JobError::Plan(error) => matches!(
            error,
            PlanError::TooFewInputs { .. }
                | PlanError::BadMinimum { .. }
                | PlanError::TooFewComputePeers { .. }
                | PlanError::TooFewLeft { .. }
                | PlanError::TooFewForProducts { .. }
                | PlanError::TooFewForGuaranteed { .. }
                | PlanError::TooFewForGuaranteedProducts { .. }
        ),
        _ => false,
    }
}

fn charter_compute(charter: &Charter) -> Vec<Fingerprint> {
    charter.computing().map(|m| m.fingerprint).collect()
}

/// The job of a standing task: everybody who gives data also receives the result.
fn job_of(
    charter: &Charter,
    consensus: &Consensus,
    task: Task,
    run: RunId,
    slot: Slot,
    attempt: Attempt,
    compute: &[Fingerprint],
) -> Result<Job, GatewayError> {
    Ok(Job {
        session: new_session()?,
        group: charter.group,
        charter: consensus.id(),
        run,
        slot,
        attempt,
        task,
        inputs: charter.inputs().map(|m| m.fingerprint).collect(),
        recipients: charter.recipients().map(|m| m.fingerprint).collect(),
        compute: compute.to_vec(),
    })
}

pub(crate) fn new_session() -> Result<SessionId, GatewayError> {
    let mut session = [0; 16];
    random::fill(&mut session).map_err(|e| GatewayError::Bug(e.to_string()))?;
    Ok(SessionId(session))
}
