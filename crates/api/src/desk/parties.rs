//! The desk of a node that hosts real parties.

use std::collections::BTreeSet;

use tacit_model::api::{ApprovalBody, CompareBody, CompareRequest, OfferBody, PeerPolicy, PolicyBody};
use tacit_model::{Fingerprint, RunId, Slot};
use tacit_party::source::{AboveMax, SampleText};
use tacit_party::{Approval, Comparison, HttpError, Parties, Party, PartyError, PartyState, SlotResult};
use tacit_pki::PkiError;
use tacit_store::StoreError;

use super::{DeskError, JoinRequest, PartyDesk, PartyFacts, PartyResult, PartyRoster, RowsKept, TimedRow};

/// After so many values no further run is read for a list of results.
const VALUES: usize = 500_000;
/// What a result takes besides, in values.
const APART: usize = 10;

impl From<Parties> for PartyDesk {
    fn from(parties: Parties) -> Self {
        // Each operation holds a handle of its own.
        macro_rules! with {
            (|$parties:ident, $argument:tt: $type:ty| $work:expr) => {{
                let handle = parties.clone();
                move |$argument: $type| {
                    let $parties = handle.clone();
                    async move { $work }
                }
            }};
        }
        Self::new()
            .join(with!(|parties, request: JoinRequest| join(&parties, request).await))
            .list(with!(|parties, (): ()| list(&parties).await))
            .get(with!(|parties, name: String| facts(&parties, &find(&parties, &name)?).await))
            .remove(with!(|parties, name: String| Ok(parties.remove(&name).await?)))
            .start(with!(|parties, name: String| Ok(find(&parties, &name)?.start().await.map(drop)?)))
            .stop(with!(|parties, name: String| Ok(find(&parties, &name)?.stop().await?)))
            .add_rows(with!(|parties, (name, rows, above_max): (String, Vec<TimedRow>, AboveMax)| {
                add_rows(&find(&parties, &name)?, rows, above_max).await
            }))
            .results(with!(|parties, (name, run, from): (String, Option<RunId>, Option<Slot>)| {
                results(&parties, &name, run, from).await
            }))
            .compare(with!(|parties, (name, fingerprint, code): (String, Option<Fingerprint>, Option<String>)| Ok(
                find(&parties, &name)?.compare_gateway(fingerprint, code.as_deref()).await?
            )))
            .roster(with!(|parties, name: String| roster(&find(&parties, &name)?)))
            .add_samples(with!(|parties, (name, samples): (String, Vec<SampleText>)| {
                Ok(find(&parties, &name)?.add_samples(samples).await?)
            }))
            .offer(with!(|parties, name: String| {
                let offer = find(&parties, &name)?.offer();
                Ok(OfferBody {
                    labels: offer.labels.into_iter().collect(),
                    sources: offer.sources.into_iter().collect(),
                })
            }))
            .set_labels(with!(|parties, (name, labels): (String, BTreeSet<String>)| {
                Ok(find(&parties, &name)?.set_labels(labels).await?)
            }))
            .policy(with!(|parties, name: String| policy_of(&find(&parties, &name)?).await))
            .set_policy(with!(|parties, (name, policy): (String, Option<PeerPolicy>)| {
                let party = find(&parties, &name)?;
                party.set_policy(policy).await?;
                policy_of(&party).await
            }))
            .approvals(with!(|parties, name: String| {
                Ok(find(&parties, &name)?.approvals().await?.into_iter().map(approval_body).collect())
            }))
            .decide_approval(with!(|parties, (name, task, approved): (String, String, bool)| {
                Ok(approval_body(find(&parties, &name)?.decide_approval(&task, approved).await?))
            }))
            .jobs(with!(|parties, (name, max): (String, u32)| Ok(find(&parties, &name)?.jobs(max).await?)))
            .compare_average(with!(|parties, (name, request): (String, CompareRequest)| {
                let found = find(&parties, &name)?.compare(request).await?;
                let Comparison { task, average, own, contributors } = found;
                Ok(CompareBody { task, average, own, contributors })
            }))
    }
}

async fn policy_of(party: &Party) -> Result<PolicyBody, DeskError> {
    let (own, policy) = party.policy();
    Ok(PolicyBody { own, policy, spent: party.spent().await? })
}

fn approval_body(approval: Approval) -> ApprovalBody {
    ApprovalBody {
        task: approval.task,
        state: approval.state,
        request: approval.ask.request.into(),
        client: approval.client,
        asked: approval.asked.to_rfc3339(),
        decided: approval.decided.map(|decided| decided.to_rfc3339()),
    }
}

fn find(parties: &Parties, name: &str) -> Result<Party, DeskError> {
    parties.get(name).ok_or(DeskError::NotFound)
}

async fn join(parties: &Parties, request: JoinRequest) -> Result<PartyFacts, DeskError> {
    let name = request.name.clone();
    let joining = tacit_party::JoinRequest {
        base_url: request.gateway_url,
        code: request.code,
        name: request.name,
        role: request.role,
        url: request.url,
        operator: request.operator,
        label_key: request.label_key,
        // The node knows its own.
        endpoint: String::new(),
        final_results_url: request.final_results_url,
        gateway: request.gateway_fingerprint,
        compared: true,
        key: request.key,
    };
    parties.join(joining).await?;
    facts(parties, &find(parties, &name)?).await
}

async fn list(parties: &Parties) -> Result<Vec<PartyFacts>, DeskError> {
    let mut all = Vec::new();
    for party in parties.list() {
        match facts(parties, &party).await {
            Ok(facts) => all.push(facts),
            // Removed while we looked.
            Err(DeskError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

async fn facts(parties: &Parties, party: &Party) -> Result<PartyFacts, DeskError> {
    let row = parties.row(party.name()).await?;
    let status = party.status().await?;
    Ok(PartyFacts {
        name: status.name,
        role: status.role,
        gid: Some(status.group),
        fingerprint: Some(status.fingerprint),
        gateway_url: row.gateway_url,
        gateway_fingerprint: Some(status.gateway),
        comparison: Some(status.comparison),
        gateway_compared: status.gateway_compared,
        final_results_url: row.final_results_url,
        label_key: row.label_key,
        registration_code: row.registration_code,
        pairing: status.pairing,
        status: match status.state {
            PartyState::Idle => 0,
            PartyState::Running => 1,
            PartyState::Failed => 2,
            PartyState::Stopped => 3,
        },
        connected: status.gateway_connected,
        run: status.run,
        queued: status.queued_rows,
        last_error_at: status.last_trouble.as_ref().map(|trouble| trouble.at),
        last_error: status.last_trouble.map(|trouble| trouble.what),
        earlier_errors: status.earlier_troubles.into_iter().map(|trouble| (trouble.at, trouble.what)).collect(),
    })
}

async fn add_rows(party: &Party, rows: Vec<TimedRow>, above_max: AboveMax) -> Result<RowsKept, DeskError> {
    let accepted = rows.len();
    let rows = rows.into_iter().map(|row| (row.slot_start, row.row)).collect();
    let next = party.add_timed_rows(rows, above_max).await?;
    Ok(RowsKept { accepted, next_slot: Some(next) })
}

async fn results(
    parties: &Parties,
    name: &str,
    run: Option<RunId>,
    from: Option<Slot>,
) -> Result<(Vec<PartyResult>, bool), DeskError> {
    let party = find(parties, name)?;
    let runs = match run {
        Some(run) => vec![run],
        None => parties.runs(name).await?,
    };
    // The newest first, as long as there is room.
    let (mut told, mut values, mut more) = (Vec::new(), 0, false);
    for run in runs.into_iter().rev() {
        if values > VALUES {
            more = true;
            break;
        }
        let (page, of_run) = party.results_from(run, from).await?;
        more |= of_run;
        values += page.iter().map(|result| result.values.len() + APART).sum::<usize>();
        let result = move |result: SlotResult| PartyResult {
            run,
            slot: result.slot,
            values: result.values,
            statistics: result.statistics,
            no_result: result.no_result,
            task: result.task,
            contributors: result.contributors,
            at: result.at,
        };
        told.push(page.into_iter().map(result).collect::<Vec<_>>());
    }
    Ok((told.into_iter().rev().flatten().collect(), more))
}

fn roster(party: &Party) -> Result<PartyRoster, DeskError> {
    Ok(PartyRoster { consensus: party.consensus(), last_job: party.last_job() })
}

impl From<PartyError> for DeskError {
    fn from(error: PartyError) -> Self {
        let text = error.to_string();
        match error {
            PartyError::InvalidData { .. } | PartyError::InvalidSample { .. } => Self::Invalid(text),
            PartyError::Labels | PartyError::Policy(_) | PartyError::Question(_) => Self::Invalid(text),
            PartyError::Pki(PkiError::Label(_)) => Self::Invalid(text),
            PartyError::Http(HttpError::Address(_) | HttpError::OtherProtocol { .. }) => Self::Invalid(text),
            PartyError::QueueFull { retry_after } => Self::TooMany { retry_after: retry_after.as_secs().max(1) },
            PartyError::NotRunning => Self::NotRunning,
            PartyError::AlreadyRunning => Self::Running,
            PartyError::Unknown(_) => Self::NotFound,
            PartyError::NoSuchTask(_) => Self::NotAsked,
            PartyError::NameTaken(_) | PartyError::KeyTaken(_) | PartyError::Conflict => Self::Conflict(text),
            PartyError::SlotTaken | PartyError::TaskOver(_) => Self::Conflict(text),
            PartyError::RegistrationCode => Self::Code,
            PartyError::NotVerified | PartyError::NoConfiguration | PartyError::Refused(_) => Self::Refused(text),
            PartyError::Declined(_) | PartyError::NoResult(_) => Self::Refused(text),
            PartyError::Answer(_) | PartyError::Charter(_) | PartyError::CharterText(_) => Self::Refused(text),
            PartyError::Http(HttpError::TooLong | HttpError::Untrusted(_)) => Self::Refused(text),
            PartyError::NowhereToLook | PartyError::GivenKey(_) => Self::Invalid(text),
            PartyError::NobodyFound | PartyError::Unreachable | PartyError::Stopping => Self::Unreachable(text),
            PartyError::Follows { .. } | PartyError::Unavailable(_) | PartyError::Late { .. } => {
                Self::Unreachable(text)
            }
            PartyError::Http(HttpError::Unreachable { .. }) => Self::Unreachable(text),
            PartyError::Store(StoreError::Busy | StoreError::Unavailable { .. }) => Self::Unreachable(text),
            _ => Self::Internal(text),
        }
    }
}
