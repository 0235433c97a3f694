//! The engine over the links, from the moment when this party has its own (see [`go_ahead`](crate::go_ahead)), then what becomes
//! of the slot.

use std::collections::BTreeSet;
use std::sync::Arc;

use tacit_accord::Charter;
use tacit_engine::{FaultKind, FreezeRefused, Level, Mailbox, Outcome, PARKED_HARD_LIMIT, Plan, SessionError};
use tacit_job::{Fault, Job, Report, session_deadline};
use tacit_model::api::JobState;
use tacit_model::{Fingerprint, RunId, Slot};
use tacit_store::{OwedRow, ResultRow, StoreError};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::branch;
use super::linking::Linked;
use super::name_of;
use super::outside;
use super::prepare::{Claim, note_and_bind};
use super::told;
use super::willing;
use crate::drive::{GivenUp, drive};
use crate::environment::{Judges, PartyEnvironment, name_members};
use crate::evidence;
use crate::go_ahead::GoAhead;
use crate::jobs::Noted;
use crate::party::Inner;
use crate::policy::freezes;
use crate::receipts::Left;
use crate::results::Stored;

/// Why a session has no result.
struct Failed {
    fault: Fault,
    /// Whether a set was, or may have been, bound.
    frozen: bool,
    why: String,
}

impl Failed {
    fn new(fault: Fault, frozen: bool, why: impl Into<String>) -> Self {
        Self { fault, frozen, why: why.into() }
    }
}

/// The report, and what the receipt of a session needs that is done; `None` if it was given up before the go-ahead.
pub(super) async fn run(
    party: &Arc<Inner>,
    linked: Linked,
    mut go_ahead: GoAhead,
    abort: &CancellationToken,
    noted: &Arc<Noted>,
) -> Option<(Report, Option<Left>)> {
    // Others could open without this party what it deals, or a provider has the engine's place.
    if (!freezes(&party.me, &linked.job) || party.provider_of(&linked.job).is_some()) && !go_ahead.came().await {
        return None;
    }
    let done = compute(party, linked, go_ahead.clone(), abort, noted).await;
    // What went wrong ahead of the gateway's word is told when it comes.
    if !go_ahead.came().await {
        return None;
    }
    Some(done.map_or_else(
        |Failed { fault, frozen, why }| {
            party.trouble(format!("{}: {why}", name_of(&noted.job)));
            noted.ended(JobState::Failed, why);
            (Report::Failed { fault, frozen }, None)
        },
        |(report, left)| (report, Some(left)),
    ))
}

async fn compute(
    party: &Arc<Inner>,
    linked: Linked,
    mut go_ahead: GoAhead,
    abort: &CancellationToken,
    noted: &Arc<Noted>,
) -> Result<(Report, Left), Failed> {
    let Linked { job, consensus, plan, me, nonces, input, mut port, seats, secrets, claim, policy } = linked;
    // The session id is durably used, and the slot bound to charter and input peers, before the first
    // message leaves.
    let Claim { now, before, with_freeze } = claim;
    let approved = willing::asked_about(&policy, &job, &plan, me);
    let claimed = match now {
        Some(now) => now.await.ok(),
        None => Some(Ok(())),
    };
    let bound = match claimed {
        Some(Ok(())) => note_and_bind(party, &job, before, approved.clone()).await,
        Some(refused) => refused,
        None => return Err(Failed::new(Fault::Ended, false, "this peer is shutting down")),
    };
    bound.map_err(|error| match error {
        StoreError::Conflict { .. } => Failed::new(Fault::Ended, false, error.to_string()),
        _ => Failed::new(Fault::Own, false, error.to_string()),
    })?;

    let mailbox = Mailbox::new(plan.members().len());
    let moment = job.ask().and_then(|ask| ask.terms().ok()?.moment(job.slot));
    let mut environment = PartyEnvironment {
        identity: Arc::clone(&party.identity),
        secrets,
        keys: seats.keys(),
        store: party.store.clone(),
        clock: Arc::clone(&party.clock),
        party: party.name.clone(),
        run: job.run,
        charter: job.charter.0,
        inputs: name_members(&job.inputs),
        moment,
        given: with_freeze,
        noted: job.ask().map(|_| Arc::clone(noted)),
        approved,
        go_ahead: go_ahead.clone(),
        above: above(&job),
        disjoint: party.policy().disjoint_windows,
        judges: job.ask().is_some().then(|| Judges { policy, consensus: Arc::clone(&consensus) }),
        declined: None,
        apart: None,
        bound: false,
        contributions: Vec::new(),
        evidence: Vec::new(),
    };
    if let Some(provider) = party.provider_of(&job) {
        // The engine does so itself, and proves it to the others; a provider takes what it is given.
        if let Err(error) = tacit_engine::check_own_input(&plan, me, input.as_ref()).map_err(SessionError::from) {
            let why = error.to_string();
            fail_slot(party, job.run, job.slot, &why).await;
            return Err(Failed::new(Fault::Own, false, why));
        }
        let stage = outside::Stage { provider, job: &job, plan: &plan, me, nonces: &nonces, seats: &seats };
        let input = Zeroizing::new(input.map(|input| input.expose().to_vec()).unwrap_or_default());
        let done = outside::run(party, &stage, &mut port, &mut environment, input, abort).await;
        let bound = environment.bound;
        noted.with_freeze(&environment);
        return match done {
            Ok(outside::Done { learned, frozen, binding }) => {
                port.finish();
                let agreement = learned.agreement;
                let left =
                    Left::by_provider(job, plan, (frozen, binding, agreement), environment.contributions, &party.me);
                finish(party, consensus.charter(), left, me, learned, bound).await
            }
            Err(ended) => {
                if bound {
                    fail_slot(party, job.run, job.slot, &ended.why).await;
                }
                Err(Failed::new(ended.fault, bound, ended.why))
            }
        };
    }
    // Beside what the engine lets wait, one more message may be on its way in fragments.
    for peer in plan.compute().iter().filter_map(|member| seats.port_of(*member)) {
        port.let_wait(peer, plan.parked_limit() + PARKED_HARD_LIMIT);
    }
    seats.tell_key(&mut port, party.identity.public_key());
    let deadline = session_deadline(party.limits.session, &plan);
    let engine = tacit_engine::run(&plan, me, &mailbox, &mut environment, &nonces, input);
    let driven = drive(engine, &mut port, &mailbox, &seats, deadline, go_ahead.clone(), abort).await;
    // An end before the go-ahead has no effect before it: an attempt that is given up until then leaves the slot open.
    let driven = if go_ahead.came().await { driven } else { Err(GivenUp::Aborted) };
    let bound = environment.bound;
    noted.with_freeze(&environment);
    if matches!(driven, Ok(Ok(_))) {
        port.finish();
    }
    let lied = evidence::keep(party, &consensus, &job, &environment.keys, &environment.evidence).await;
    let and_who_lied = |why: String| match &lied {
        Some(lied) => format!("{why}; {lied}"),
        None => why,
    };

    let outcome = match driven {
        Ok(Ok(mut outcome)) => {
            if let (Some(carried), Some(ask)) = (outcome.carried.take(), job.ask()) {
                branch::keep(party, ask.id(), &carried);
            }
            outcome
        }
        Ok(Err(error)) => {
            let refused = matches!(error, SessionError::Freeze(why) if why != FreezeRefused::Declined);
            let apart = environment.apart.take().map(|(missing, until)| Fault::Apart { missing, until });
            let (fault, frozen) = (apart.unwrap_or_else(|| fault_of(&error, &plan)), bound || refused);
            let spent = frozen || matches!(error, SessionError::OwnInput(_));
            let why = environment.declined.take().unwrap_or_else(|| explain(&error, &plan, &consensus));
            if spent {
                fail_slot(party, job.run, job.slot, &why).await;
            }
            return Err(Failed::new(fault, frozen, and_who_lied(why)));
        }
        Err(given_up) => {
            let why = match given_up {
                GivenUp::Aborted => "the session was given up",
                GivenUp::Deadline => "the session ran out of time",
            };
            if bound {
                fail_slot(party, job.run, job.slot, why).await;
            }
            return Err(Failed::new(Fault::Ended, bound, and_who_lied(why.to_owned())));
        }
    };
    if let Some(lied) = lied {
        party.trouble(format!("{}: {lied}; the result is right nevertheless", name_of(&noted.job)));
    }
    let left = Left::of(job, plan, &outcome, environment.contributions);
    let learned = Learned::of(outcome, &left.plan);
    finish(party, consensus.charter(), left, me, learned, bound).await
}

/// Settles the slot, together with what is owed to its receipt.
async fn finish(
    party: &Arc<Inner>,
    charter: &Charter,
    mut left: Left,
    me: usize,
    learned: Learned,
    bound: bool,
) -> Result<(Report, Left), Failed> {
    let owed = if left.job.ask().is_none() { Some(left.owed(party)) } else { None };
    let settled = settle(party, charter, &left.job, &left.plan, me, learned, owed).await;
    let report = settled.map_err(|error| Failed::new(Fault::Own, bound, error.to_string()))?;
    Ok((report, left))
}

/// What a session told this party, whoever computed it.
pub(super) struct Learned {
    /// The sums, for recipients.
    pub(super) values: Option<Vec<u128>>,
    /// The same for all recipients of the same result.
    pub(super) agreement: [u8; 32],
    /// How many contributed.
    pub(super) contributors: u32,
    /// Members whose shares of the result did not fit.
    pub(super) faults: Vec<Fingerprint>,
    /// Input peers that are not in it, and why.
    pub(super) left_out: Vec<Fault>,
}

impl Learned {
    fn of(outcome: Outcome, plan: &Plan) -> Self {
        let of = |kinds: &[FaultKind]| -> Vec<Fingerprint> {
            let fitting = outcome.faults.iter().filter(|fault| kinds.contains(&fault.kind));
            let members: BTreeSet<usize> = fitting.map(|fault| fault.member).collect();
            members.into_iter().filter_map(|member| plan.members().get(member)).copied().collect()
        };
        let beyond = of(&[FaultKind::OutOfBounds]);
        let disputed = of(&[FaultKind::Contradiction, FaultKind::ConflictingCommitments]);
        let mut left_out = Vec::new();
        if !beyond.is_empty() {
            left_out.push(Fault::OutOfBounds { members: beyond });
        }
        if !disputed.is_empty() {
            left_out.push(Fault::Disputed { members: disputed });
        }
        let faults = of(&[FaultKind::WrongShare]);
        // Over branches, those who dealt were not those who gave data.
        let contributors = outcome.counted.unwrap_or(outcome.contributors.len() as u64);
        let contributors = u32::try_from(contributors).unwrap_or(u32::MAX);
        Self { values: outcome.values, agreement: outcome.agreement, contributors, faults, left_out }
    }
}

/// Makes a recipient's result durable, which deletes the input of the slot, before anybody hears of it; and with it
/// what this party owes to the receipt. After a client's task, where every commit counts, it follows.
async fn settle(
    party: &Inner,
    charter: &Charter,
    job: &Job,
    plan: &Plan,
    me: usize,
    outcome: Learned,
    owed: Option<OwedRow>,
) -> Result<Report, StoreError> {
    let (run, slot) = (job.run, job.slot);
    let Learned { contributors, faults, left_out, .. } = outcome;
    let result = |values_json, agreement| ResultRow {
        slot,
        session: job.session,
        values_json,
        contributors,
        agreement,
        at: party.clock.now(),
    };
    let gives = plan.inputs().binary_search(&me).is_ok();
    let computes = plan.compute().binary_search(&me).is_ok();
    let mut told = None;
    let agreement = match outcome.values {
        Some(values) => {
            let made = told::in_units(job, plan, &values);
            told = told::tell(job, charter, &party.identity, plan, &values, made.as_ref(), contributors);
            let task = job.ask().map(|ask| ask.id().to_string());
            let row = result(Stored::new(&values, made, task).text(), outcome.agreement.to_vec());
            let posts = party.final_results_url.is_some() && job.ask().is_none();
            match job.ask().is_some() && computes {
                true => party.store.commit_task_result(&party.name, run, row).await?,
                false => party.store.commit_result_owing(&party.name, run, slot, row, posts, owed).await?,
            }
            Some(hex::encode(outcome.agreement))
        }
        // A branch's part is kept in shares: all compute peers say which set they hold shares of.
        None if job.ask().is_some() && plan.level() == Level::Branch && computes => {
            Some(hex::encode(outcome.agreement))
        }
        // What went into a client's task stays in its series, and the freeze says that the slot is over.
        None if job.ask().is_some() => None,
        // A computing peer has signed the frozen set: the slot is over, the input goes.
        None if gives && computes => {
            let row = result(String::new(), Vec::new());
            party.store.commit_result_owing(&party.name, run, slot, row, false, owed).await?;
            None
        }
        // Whoever only gives does not hear whether the slot is over: see `tidy_later`.
        None => {
            if let Some(owed) = owed {
                party.store.owe(&party.name, owed).await?;
            }
            if gives {
                party.sessions.lock().given.insert((run, slot));
            }
            None
        }
    };
    Ok(Report::Done { agreement, contributors, faults, left_out, told, session: None })
}

/// Input of slots that are over goes, also where this party did not learn how they ended. The gateway
/// works at few slots at a time, so what lies far enough behind a Prepare is over.
pub(super) fn tidy_later(party: &Arc<Inner>, run: RunId, slot: Slot) {
    let behind = i64::try_from(party.policy().max_sessions).unwrap_or(i64::MAX);
    let upto = Slot(slot.0.saturating_sub(behind));
    let from = {
        let mut state = party.sessions.lock();
        let from = match state.tidied {
            Some((tidied, from)) if tidied == run => from,
            _ => Slot(0),
        };
        if from >= upto {
            return;
        }
        state.tidied = Some((run, upto));
        from
    };
    let party = Arc::clone(party);
    party.tasks.clone().spawn(async move {
        if let Err(error) = tidy(&party, run, from, upto).await {
            party.trouble(format!("input of ended slots was not deleted: {error}"));
        }
    });
}

async fn tidy(party: &Inner, run: RunId, from: Slot, upto: Slot) -> Result<(), StoreError> {
    // Only where there are rows: how far ahead a slot is that this party computes is its gateway's word.
    for slot in party.store.waiting_slots(&party.name, run, from, upto).await? {
        if party.sessions.lock().given.remove(&(run, slot)) {
            let row = ResultRow {
                slot,
                session: tacit_model::SessionId([0; 16]),
                values_json: String::new(),
                contributors: 0,
                agreement: Vec::new(),
                at: party.clock.now(),
            };
            party.store.commit_result(&party.name, run, slot, row, false).await?;
        } else {
            fail_slot(party, run, slot, "the slot was closed without a result").await;
        }
    }
    Ok(())
}

/// The charter above, if this is a branch's part.
pub(super) fn above(job: &Job) -> Option<String> {
    Some(job.ask()?.request.parent.as_ref()?.charter.clone())
}

async fn fail_slot(party: &Inner, run: RunId, slot: Slot, why: &str) {
    if let Err(error) = party.store.fail_slot(&party.name, run, slot, why, party.clock.now()).await {
        party.trouble(format!("slot {} could not be marked as failed: {error}", slot.counted()));
    }
}

fn fault_of(error: &SessionError, plan: &Plan) -> Fault {
    let names = |members: &[usize]| -> Vec<Fingerprint> {
        members.iter().filter_map(|member| plan.members().get(*member)).copied().collect()
    };
    match error {
        SessionError::Freeze(FreezeRefused::AlreadyFrozen) => Fault::Ended,
        SessionError::LostBeforeFreeze { member } | SessionError::LostDuringEvaluation { member } => {
            Fault::Lost { members: names(&[*member]) }
        }
        SessionError::MissingInput { members } => Fault::MissingInput { members: names(members) },
        SessionError::TooFewContributors { missing, .. } => Fault::MissingInput { members: names(missing) },
        SessionError::NotEnoughShares { .. } => Fault::FewShares,
        SessionError::OutOfBounds { members } => Fault::OutOfBounds { members: names(members) },
        SessionError::Contradiction { members } | SessionError::Equivocation { members } => {
            Fault::Disputed { members: names(members) }
        }
        // The member that the engine names may be as honest as this one.
        SessionError::DifferentViews { .. } | SessionError::DifferentSets { .. } => Fault::Equivocated,
        SessionError::DisagreeingShares | SessionError::WrongComputation => Fault::Shares,
        SessionError::TooSlow => Fault::Ended,
        SessionError::OutOfRange { .. } | SessionError::AboveModulus { .. } => Fault::Range,
        SessionError::PeerMisbehaved { member, .. } => match plan.members().get(*member) {
            Some(member) => Fault::Misbehaved { member: *member },
            None => Fault::Shares,
        },
        _ => Fault::Own,
    }
}

/// For the owner: the engine's words, with the names behind its numbers.
fn explain(error: &SessionError, plan: &Plan, consensus: &tacit_accord::Consensus) -> String {
    let numbers = match error {
        SessionError::LostBeforeFreeze { member }
        | SessionError::LostDuringEvaluation { member }
        | SessionError::DifferentViews { member }
        | SessionError::DifferentSets { member }
        | SessionError::PeerMisbehaved { member, .. } => vec![*member],
        SessionError::MissingInput { members }
        | SessionError::OutOfBounds { members }
        | SessionError::Contradiction { members }
        | SessionError::Equivocation { members } => members.clone(),
        SessionError::TooFewContributors { missing, .. } => missing.clone(),
        _ => Vec::new(),
    };
    let name = |member: &usize| {
        let charter = consensus.charter();
        let known = plan.members().get(*member).and_then(|member| charter.member(member));
        known.map(|known| format!("{member} is {}", known.name))
    };
    let names: Vec<String> = numbers.iter().filter_map(name).collect();
    if names.is_empty() { error.to_string() } else { format!("{error} ({})", names.join(", ")) }
}
