//! Phase 1: is this a job that this party takes part in?

use std::sync::Arc;

use tacit_accord::{Charter, Consensus, ConsensusId, OnMissingInput};
use tacit_engine::{InputVector, Level, Plan};
use tacit_job::{Ask, Decline, Job, JobError, Report, Window, plan_of};
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::random;
use tacit_store::{ApprovalRow, AskedRow, InputRow, InputState, OpenedRow, ResultRow, SessionClaim, StoreError};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::running::above;
use super::{branch, told};
use crate::environment::{Given, company_of, name_company, name_members};
use crate::jobs::Noted;
use crate::party::Inner;
use crate::policy::{Asked, Policy, QUEUE, TaskRefusal, Unread, freezes};
use crate::results::Stored;
use crate::source::Row;
use crate::source::series::{self, NothingToGive};

/// A job that was checked: this party knows the charter, computed the same plan, is willing, and has
/// its row.
pub(super) struct Prepared {
    pub(super) job: Job,
    pub(super) consensus: Arc<Consensus>,
    pub(super) plan: Plan,
    pub(super) me: usize,
    pub(super) nonce: [u8; 32],
    pub(super) input: Option<InputVector>,
    /// What this party was willing by.
    pub(super) policy: Arc<Policy>,
    /// How many of its records the bounds of a client's task leave out.
    pub(super) left_out: usize,
    /// What must be durable before anything is sent.
    pub(super) claim: Claim,
}

/// What a party makes durable before it gives shares, and with its freeze.
pub(super) struct Claim {
    /// That the session id is used, and to which charter the slot is bound. `None`
    /// of a client's task at a party that computes: nothing is opened before its own freeze, and all is noted with it.
    pub(super) now: Option<JoinHandle<Result<(), StoreError>>>,
    /// The windows and the budget spent, noted right before shares leave: empty unless the result can be opened without
    /// a freeze of this party, since it only gives, or the model is `guaranteed`.
    pub(super) before: Given,
    /// The same, noted with the freeze by all others.
    pub(super) with_freeze: Given,
}

/// Not with me; the detail is for the owner only.
pub(super) struct Declined {
    pub(super) why: Decline,
    pub(super) detail: String,
    /// What this party said when the same computation ended, if it has the result: said again, the news may be lost.
    pub(super) done: Option<Box<Report>>,
}

impl Declined {
    pub(super) fn new(why: Decline, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into(), done: None }
    }
}

pub(super) async fn prepare(party: &Inner, job: Job, digest: &str, noted: &Noted) -> Result<Prepared, Declined> {
    let asked = job.ask().is_some();
    if job.group != party.group || (!asked && party.standing.run() != Some(job.run)) {
        return Err(Declined::new(Decline::NotRunning, "this peer does not take part in that run"));
    }
    let consensus = party.roster.known().filter(|known| known.id() == job.charter);
    let consensus = consensus.ok_or_else(|| {
        Declined::new(Decline::Charter, format!("the job is under charter {}, which is not the known one", job.charter))
    })?;
    let plan = plan_of(&consensus, &job).map_err(|error| match error {
        JobError::Charter => Declined::new(Decline::Charter, error.to_string()),
        JobError::Roster(_) => Declined::new(Decline::Roster, error.to_string()),
        _ => Declined::new(Decline::Plan, error.to_string()),
    })?;
    let me =
        plan.index_of(&party.me).ok_or_else(|| Declined::new(Decline::Roster, "the job does not name this peer"))?;
    if !digest.eq_ignore_ascii_case(&hex::encode(plan.digest().0)) {
        return Err(Declined::new(
            Decline::Plan,
            "the gateway computed another plan than this peer: run the same version of tacit on both",
        ));
    }
    let policy = party.policy();
    let judged = policy.judge(&party.me, &job, consensus.charter());
    judged.map_err(|refusal| Declined::new(Decline::Policy, refusal.to_string()))?;

    if !party.standing.look(|standing| standing.gateway_compared) {
        let detail = format!(
            "this gateway was found on the network and nobody has compared its certificate; read the code to its operator, \
             then: tacit pair approve '{}' --gateway --code CODE",
            party.name
        );
        return Err(Declined::new(Decline::Policy, detail));
    }

    if let Some(name) = job.task.provider() {
        let unfit = |why: String| Declined::new(Decline::Plan, why);
        let provider = party.provider_of(&job).ok_or_else(|| {
            unfit(format!(
                "the group computes with the SMC provider {name}, and [provider] of node.toml knows no such one"
            ))
        })?;
        provider.is_there().await.map_err(|error| unfit(error.to_string()))?;
    }

    let gives = plan.inputs().binary_search(&me).is_ok();
    if asked {
        let (input, given, left_out) = prepare_task(party, &policy, &job, &consensus, &plan, gives, noted).await?;
        let ready = ready(party, policy, job, consensus, plan, me, input.filter(|_| gives), given)?;
        return Ok(Prepared { left_out, ..ready });
    }
    let timed = consensus.charter().slots.start_of(job.slot).is_some();
    let input = match party.ahead.take(job.run, job.slot) {
        Some(row) if !timed && (row.is_some() || !gives) => row,
        _ => slot_state(party, &job, consensus.charter()).await?,
    };
    if gives && input.is_none() {
        return Err(Declined::new(Decline::NoRow, "there is no row for this slot"));
    }
    let mut given = Given::default();
    if gives {
        let judged =
            policy.judge_budget(party, &mut party.store.look(), &job, &plan, &[QUEUE], party.clock.now()).await;
        given.spent = judged.map_err(|refusal| Declined::new(Decline::Policy, refusal.to_string()))?;
    }
    ready(party, policy, job, consensus, plan, me, input.filter(|_| gives), given)
}

/// Willing. `given` is what goes into a task and what it costs, to be noted before anything can be opened.
#[expect(clippy::too_many_arguments, reason = "all that was found out")]
fn ready(
    party: &Inner,
    policy: Arc<Policy>,
    job: Job,
    consensus: Arc<Consensus>,
    plan: Plan,
    me: usize,
    input: Option<Row>,
    given: Given,
) -> Result<Prepared, Declined> {
    let mut nonce = [0; 32];
    random::fill(&mut nonce).map_err(|error| Declined::new(Decline::NoRow, error.to_string()))?;
    let freezes = freezes(&party.me, &job);
    let (before, with_freeze) = match job.compute.contains(&party.me) {
        _ if freezes => (Given::default(), given),
        // In `guaranteed` the others can do without this peer, so what it gives is noted before; and at the freeze
        // once more, with those whose data is in.
        true => (Given { opened: Vec::new(), ..given.clone() }, Given { spent: Vec::new(), ..given }),
        false => (given, Given::default()),
    };
    let now = if freezes && job.ask().is_some() { None } else { Some(claim(party, &job)) };
    let claim = Claim { now, before, with_freeze };
    let input = input.map(|row| InputVector::new(row.into_values()));
    Ok(Prepared { job, consensus, plan, me, nonce, input, policy, left_out: 0, claim })
}

/// A client's task: signatures, moment and policy are checked, then the records are selected, but for so many that its bounds
/// leave out.
async fn prepare_task(
    party: &Inner,
    policy: &Policy,
    job: &Job,
    consensus: &Consensus,
    plan: &Plan,
    gives: bool,
    noted: &Noted,
) -> Result<(Option<Row>, Given, usize), Declined> {
    let ask = job.ask().ok_or_else(|| Declined::new(Decline::Plan, "not a task of a client"))?;
    let unfit = |error: tacit_job::AskError| Declined::new(Decline::Plan, error.to_string());
    let client = branch::client_of(party, policy, ask)?;
    noted.verified(client);
    let terms = ask.terms().map_err(unfit)?;
    let at = terms.moment(job.slot).ok_or_else(|| Declined::new(Decline::Plan, "the task has no such computation"))?;
    let now = party.clock.now();
    let refused = |refusal: TaskRefusal| Declined::new(refusal.decline(), refusal.to_string());
    let asked = Asked { ask, terms, me: party.me, client, at, now };
    policy.judge_task(&asked, job, consensus.charter()).map_err(refused)?;
    let mut look = party.store.look();
    if !look.is_untouched(&party.name, job.run, job.slot, at).await.map_err(unread)? {
        look.let_go();
        if let Err(declined) = slot_state(party, job, consensus.charter()).await {
            return Err(Declined { done: again(party, consensus.charter(), job, plan).await, ..declined });
        }
        if look.is_forgotten(at).await.map_err(unread)? {
            let why =
                "what this peer knew of tasks of that time was deleted (retention_days), so it takes part in none";
            return Err(Declined::new(Decline::Frozen { done: None, session: None }, why));
        }
    }
    let mut sources: Vec<&str> = terms.series(&ask.request).collect();
    sources.sort_unstable();
    sources.dedup();
    let no_window = || Declined::new(Decline::Plan, "the task has no such computation");
    let task = ask.id().to_string();
    let opened = match job.compute.contains(&party.me) {
        true => windows(party, job, &task, plan, &sources, terms.window(job.slot).ok_or_else(no_window)?),
        false => Vec::new(),
    };
    let unread = Unread { job, plan, opened: &opened, gives: gives.then_some(&*sources) };
    let spent = policy.judge_unread(party, &mut look, &asked, &unread).await.map_err(refused)?;
    if !gives {
        return Ok((None, Given { opened, ..Given::default() }, 0));
    }
    if policy.manual_approval {
        look.let_go();
        ask_owner(party, ask, client, now).await?;
    }
    let (mut left_out, mut beyond) = (0, 0);
    let (row_given, window) = match plan.level() {
        // A branch is asked at the end, when nothing else stands against it.
        Level::Root => (None, terms.window(job.slot)),
        Level::Flat | Level::Branch => {
            let nothing = |why: NothingToGive| Declined::new(Decline::NoRow, why.to_string());
            let selected = series::select(&mut look, &party.name, ask, terms, job.slot, plan, policy).await;
            let selected = selected.map_err(nothing)?;
            (left_out, beyond) = (selected.left_out, selected.beyond);
            (Some(selected.row), Some(selected.window))
        }
    };
    let window = window.ok_or_else(no_window)?;
    let row = |source: &str| AskedRow {
        run: job.run,
        task: task.clone(),
        slot: job.slot,
        source: source.to_owned(),
        client: client.map(|client| client.to_string()).unwrap_or_default(),
        from_ms: window.from,
        to_ms: series::end(window, party.clock.now()),
        members: name_company(&job.inputs, above(job).as_deref()),
        at: now,
    };
    let taken: Vec<AskedRow> = sources.into_iter().map(row).collect();
    policy.judge_read(party, &mut look, &asked, left_out, &taken).await.map_err(refused)?;
    drop(look);
    let given = match row_given {
        Some(given) => given,
        None => branch::part(party, policy, ask, job).await?,
    };
    if beyond > 0 {
        party.trouble(format!(
            "{beyond} of this peer's records have a value that its policy says there cannot be (ranges), and stay out of \
             task {task}"
        ));
    }
    if left_out > 0 {
        let (least, most) = (&ask.request.least, &ask.request.most);
        party.trouble(format!(
            "task {task} leaves {left_out} of this peer's records out: its client takes values from {least} to {most}"
        ));
    }
    Ok((Some(given), Given { taken, opened, spent }, left_out))
}

/// Whose records of which windows a result would be over, for who computes it. Which of the window a peer takes, such as
/// its latest record, nobody else knows.
fn windows(party: &Inner, job: &Job, task: &str, plan: &Plan, sources: &[&str], window: Window) -> Vec<OpenedRow> {
    let company = Arc::new(company_of(job, plan, &party.me, above(job).as_deref()));
    let now = party.clock.now();
    let row = |source: &&str| OpenedRow {
        run: job.run,
        task: task.to_owned(),
        slot: job.slot,
        source: (*source).to_owned(),
        from_ms: window.from,
        // To its end: how far the records go is known at the freeze only, since those who give choose theirs until then.
        to_ms: window.to,
        company: Arc::clone(&company),
        at: now,
    };
    sources.iter().map(row).collect()
}

/// The database did not answer. Whoever is busy is asked again; a broken one cannot give.
fn unread(error: StoreError) -> Declined {
    let why = if error == StoreError::Busy { Decline::Busy } else { Decline::NoRow };
    Declined::new(why, error.to_string())
}

/// Who asks. The ticket is of the gateway that took the task; another one may have taken over since.
pub(super) fn verify(party: &Inner, ask: &Ask) -> Result<Option<Fingerprint>, tacit_job::AskError> {
    let verified = party.gateways().iter().map(|gateway| ask.verify(gateway)).find(Result::is_ok);
    verified.unwrap_or_else(|| ask.verify(&party.gateway))
}

/// Whether the owner has approved this task; if nobody has asked them, this does.
pub(super) async fn ask_owner(
    party: &Inner,
    ask: &Ask,
    client: Option<Fingerprint>,
    now: UnixMillis,
) -> Result<(), Declined> {
    let task = ask.id().to_string();
    let known = party.store.approval(&party.name, &task).await.map_err(unread)?;
    let waiting = || {
        let name = &party.name;
        let decide = format!(
            "read it with `tacit policy approvals {name}` and say `tacit policy approve {name} {task}` or `tacit policy refuse \
             {name} {task}`"
        );
        let no_time = "its client gave no time for approval (`tacit task run --approval SECONDS`)";
        let how = match (ask.request.approval_s, ask.request.repeat) {
            (0, None) => format!("{no_time} and must ask again; `tacit policy approvals {name}` shows what it asked"),
            (0, Some(_)) => format!("{decide}, for the next computation: {no_time}"),
            _ => decide,
        };
        Declined::new(Decline::Waiting, format!("task {task} waits for this peer's owner; {how}"))
    };
    match known.as_ref().map(|known| known.state.as_str()) {
        Some("approved") => Ok(()),
        Some("refused") => Err(Declined::new(Decline::Policy, format!("this peer's owner refused task {task}"))),
        Some(_) => Err(waiting()),
        None => {
            let row = ApprovalRow {
                task: task.clone(),
                state: "waiting".to_owned(),
                ask_json: serde_json::to_string(ask).map_err(|e| Declined::new(Decline::NoRow, e.to_string()))?,
                client: client.map(|client| client.to_string()),
                asked: now,
                decided: None,
            };
            party.store.ask_owner(&party.name, row).await.map_err(unread)?;
            Err(waiting())
        }
    }
}

/// The end of a client's task that is over here, told to the client once more; it is the same request, so it has the
/// same recipients and the same key.
async fn again(party: &Inner, charter: &Charter, job: &Job, plan: &Plan) -> Option<Box<Report>> {
    let result = party.store.result(&party.name, job.run, job.slot).await.ok()??;
    if !is_of(&result, job) {
        return None;
    }
    let sums = Stored::read(&result.values_json).ok()?.sums().ok()?;
    // It is signed as what was computed then, whatever was agreed on since.
    let bound = party.store.slot_binding(&party.name, job.run, job.slot).await.ok()?;
    let then = bound.map(|bound| Job { charter: ConsensusId(bound.charter), ..job.clone() });
    let job = then.as_ref().unwrap_or(job);
    let made = told::in_units(job, plan, &sums);
    let told = told::tell(job, charter, &party.identity, plan, &sums, made.as_ref(), result.contributors);
    let agreement = Some(hex::encode(result.agreement));
    let (contributors, session) = (result.contributors, Some(result.session));
    Some(Box::new(Report::Done { agreement, contributors, faults: Vec::new(), left_out: Vec::new(), told, session }))
}

/// Whether a result is the one of this job. The number under which a task's are kept is short enough to make a second task
/// for: who asks that one must not hear the result of the first.
fn is_of(result: &ResultRow, job: &Job) -> bool {
    let Some(ask) = job.ask() else { return true };
    Stored::read(&result.values_json).is_ok_and(|stored| stored.task() == Some(ask.id().to_string().as_str()))
}

/// The row of a slot that is still open here; an ended or frozen slot is never tried again.
async fn slot_state(party: &Inner, job: &Job, charter: &Charter) -> Result<Option<Row>, Declined> {
    let (store, run, slot) = (&party.store, job.run, job.slot);
    let name = &party.name;
    // Before anything is read: what ends meanwhile is told when the gateway, which may not know of that session, asks again.
    let goes_on = party.sessions.computes(run, slot);
    let bound_before = |done: Option<String>, session, why| match goes_on && done.is_none() {
        true => Declined::new(Decline::Busy, "an earlier session of this slot goes on, and its end is told afterwards"),
        false => Declined::new(Decline::Frozen { done, session }, why),
    };
    let (frozen, row, bound) = tokio::try_join!(
        store.frozen(name, run, slot),
        store.row(name, run, slot),
        store.slot_binding(name, run, slot)
    )
    .map_err(unread)?;
    let ended = row.as_ref().is_some_and(|row| row.state != InputState::Pending);
    if frozen.is_some() || ended {
        let result = store.result(&party.name, run, slot).await.map_err(unread)?;
        let result = result.filter(|result| !result.values_json.is_empty() && is_of(result, job));
        let session = result.as_ref().map(|result| result.session);
        let done = result.map(|result| hex::encode(result.agreement));
        return Err(bound_before(done, session, "this slot has ended or is bound to another attempt"));
    }
    if bound.is_some_and(|bound| {
        bound.charter != job.charter.0 || bound.inputs.is_some_and(|set| set != name_members(&job.inputs))
    }) {
        let why = "an earlier session of this slot was under another charter or with other input peers";
        return Err(bound_before(None, None, why));
    }
    // The slot's time is the charter's, which the plan binds; a row of another time is no row of this slot.
    let start = charter.slots.start_of(slot);
    if row.as_ref().is_some_and(|row| start.is_some() && row.slot_start != start) {
        return Err(Declined::new(Decline::NoRow, "the row was handed in for another time than the slot's"));
    }
    let damaged = || Declined::new(Decline::NoRow, "the stored row is damaged");
    row.map(|row| values_of(row).ok_or_else(damaged)).transpose()
}

/// The values of a stored row, which is wiped; `None` if it is damaged.
pub(super) fn values_of(row: InputRow) -> Option<Row> {
    let bytes = Zeroizing::new(row.data.map(|data| data.0).unwrap_or_default());
    let (words, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| Row::new(words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
}

/// Takes the session id for ever, and binds the slot to the charter. The write goes on while the links of
/// the session are made.
fn claim(party: &Inner, job: &Job) -> JoinHandle<Result<(), StoreError>> {
    let (store, name, claim, now) = (party.store.clone(), party.name.clone(), claim_of(job), party.clock.now());
    tokio::spawn(async move { store.claim_session(&name, claim, now).await })
}

fn claim_of(job: &Job) -> SessionClaim {
    SessionClaim { session: job.session, run: job.run, slot: job.slot, charter: job.charter.0 }
}

/// What a party without a freeze of its own makes durable before its shares leave: what it gives and what that costs,
/// judged once more against what was given meanwhile, and with whom; and against what its owner, if they were asked, has said
/// since.
pub(super) async fn note_and_bind(
    party: &Inner,
    job: &Job,
    given: Given,
    approved: Option<String>,
) -> Result<(), StoreError> {
    // Before it is noted with whom: an attempt that nothing is given to must not take the place of one that was given to.
    bind_inputs(party, job).await?;
    if !(given.taken.is_empty() && given.spent.is_empty()) {
        let disjoint = party.policy().disjoint_windows;
        party.store.note_asked(&party.name, given.taken, given.spent, disjoint, approved).await?;
    }
    Ok(())
}

/// Binds the slot to the input peers of this job, before shares are given. Where the charter wants the
/// input of all, it has named them already; and a peer that computes knows by its own freeze that no other
/// set was opened: nothing is opened before it has signed. Which branches take part is the gateway's choice, too.
async fn bind_inputs(party: &Inner, job: &Job) -> Result<(), StoreError> {
    let chosen = matches!(job.task.on_missing_input, OnMissingInput::Proceed(_))
        || job.ask().is_some_and(|ask| ask.level() == Level::Root);
    if chosen && job.inputs.contains(&party.me) && !job.compute.contains(&party.me) {
        party.store.bind_inputs(&party.name, claim_of(job), name_members(&job.inputs)).await?;
    }
    Ok(())
}
