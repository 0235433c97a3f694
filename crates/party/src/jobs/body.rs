//! A job in words for its owner.

use std::collections::{BTreeMap, BTreeSet};

use tacit_engine::{Level, aggregate};
use tacit_job::{Ask, Job};
use tacit_model::UnixMillis;
use tacit_model::api::{JobBody, JobParticipant, JobSignatures, JobState, JobWindow, TaskRequest};
use tacit_store::{JobProgress, JobRow};

use super::{Entry, LONGEST};
use crate::PartyError;

/// So many participants are kept of a job that would be too long.
const NAMED: usize = 400;

/// As it is shown.
pub(super) fn of(number: i64, entry: &Entry) -> JobBody {
    let Entry { job, gateway, consensus, verified, at, state, detail, ended, .. } = entry;
    let charter = consensus.as_ref().filter(|known| known.id() == job.charter).map(|known| known.charter());
    let ask = job.ask();
    let slot_start = || charter?.slots.start_of(job.slot).map(|from| JobWindow { from: moment(from), to: None });
    JobBody {
        number,
        state: *state,
        detail: detail.clone(),
        asked: moment(*at),
        ended: ended.map(moment),
        gateway: *gateway,
        group: job.group,
        consensus: job.charter.to_string(),
        session: job.session.to_string(),
        run: job.run,
        slot: job.slot,
        attempt: job.attempt,
        task: ask.map(|ask| ask.id().to_string()),
        client: verified.flatten(),
        request: ask.map(|ask| Box::new((*ask.request).clone())),
        signatures: ask.map(|ask| JobSignatures {
            client: ask.client.clone(),
            gateway: ask.ticket.clone(),
            hold: verified.is_some(),
        }),
        purpose: job.task.purpose.clone(),
        sources: match ask {
            Some(ask) => ask.request.sources.clone(),
            None => vec!["queue".to_owned()],
        },
        window: match ask {
            Some(ask) => window(ask, job),
            None => slot_start(),
        },
        aggregator: job.task.aggregator.clone(),
        parameters: job.task.parameters.clone(),
        model: job.task.model().to_owned(),
        threshold: charter.map(|charter| charter.threshold),
        participants: participants(entry),
        participants_left_out: 0,
        opened: opened(job),
        told: told(job),
    }
}

/// As it is kept.
pub(super) fn row(number: i64, entry: &Entry) -> JobRow {
    let mut shown = of(number, entry);
    let mut body = text(&shown);
    if body.len() > LONGEST {
        // Of a large group: those who compute are named, and of the others as many as there is room for.
        let all = shown.participants.len();
        shown.participants.sort_by_key(|member| !member.computes);
        shown.participants.truncate(NAMED);
        shown.participants_left_out = u32::try_from(all - shown.participants.len()).unwrap_or(u32::MAX);
        body = text(&shown);
    }
    if body.len() > LONGEST {
        // Made up.
        shown.opened = format!("what was asked is {} bytes long and not kept in whole", body.len());
        shown.participants.clear();
        shown.parameters.clear();
        (shown.request, shown.signatures) = (None, None);
        for part in shown.sources.iter_mut().chain([&mut shown.purpose, &mut shown.aggregator, &mut shown.model]) {
            *part = part.chars().take(200).collect();
        }
        shown.sources.truncate(32);
        body = text(&shown);
    }
    let JobProgress { state, detail, ended, .. } = entry.progress(number);
    JobRow { number, at: entry.at, state, detail, ended, computed: entry.computed.into(), body }
}

/// As it was kept, with what is known since.
pub(super) fn read(row: JobRow) -> Result<JobBody, PartyError> {
    let damaged = |error: serde_json::Error| PartyError::Damaged(format!("a job it was asked for: {error}"));
    let mut body: JobBody = serde_json::from_str(&row.body).map_err(damaged)?;
    body.state = serde_json::from_value(row.state.into()).map_err(damaged)?;
    body.ended = row.ended.map(moment);
    body.detail = match body.state {
        JobState::Interrupted => "this peer's node stopped before it heard of an end".to_owned(),
        _ => row.detail,
    };
    Ok(body)
}

fn text(body: &JobBody) -> String {
    // Texts and whole numbers always have a JSON form.
    serde_json::to_string(body).unwrap_or_default()
}

fn moment(at: UnixMillis) -> String {
    at.to_rfc3339()
}

fn window(ask: &Ask, job: &Job) -> Option<JobWindow> {
    let window = ask.terms().ok()?.window(job.slot)?;
    Some(JobWindow { from: moment(window.from), to: Some(moment(window.to)) })
}

fn participants(entry: &Entry) -> Vec<JobParticipant> {
    let job = &entry.job;
    let [gives, computes, learns] =
        [&job.inputs, &job.compute, &job.recipients].map(|named| named.iter().copied().collect::<BTreeSet<_>>());
    let listed = entry.consensus.iter().flat_map(|known| &known.charter().members);
    let listed: BTreeMap<_, _> = listed.map(|member| (member.fingerprint, member)).collect();
    let describe = |fingerprint| {
        let member = listed.get(&fingerprint);
        JobParticipant {
            fingerprint,
            name: member.map(|member| member.name.clone()),
            operator: member.map(|member| member.operator.clone()),
            gives: gives.contains(&fingerprint),
            computes: computes.contains(&fingerprint),
            learns: learns.contains(&fingerprint) && !is_part(job),
        }
    };
    job.members().into_iter().map(describe).collect()
}

/// Whether it is a branch's part, whose members keep shares of what is opened above.
fn is_part(job: &Job) -> bool {
    job.ask().is_some_and(|ask| ask.level() == Level::Branch)
}

/// The request whose result it is, or goes into: of a branch's part, the one above.
fn asked_for(job: &Job) -> Option<&TaskRequest> {
    let request: &TaskRequest = &job.ask()?.request;
    Some(request.parent.as_ref().map_or(request, |above| &above.task))
}

/// What the recipients read.
fn opened(job: &Job) -> String {
    let opened = match aggregate::find(&job.task.aggregator) {
        Some(found) => format!("{}: {}; leakage: {}", found.summary, found.output.describe(), found.leakage),
        None => "nothing: no such aggregator is known here".to_owned(),
    };
    if !is_part(job) {
        return opened;
    }
    let recipients = match asked_for(job).map_or(0, |request| request.recipients.len()) {
        0 => "its recipients".to_owned(),
        named => format!("those {named} of its members that the request above names"),
    };
    format!(
        "nothing here: the members that compute keep shares of the total for the group above, which opens that of all its \
         branches to {recipients}: {opened}"
    )
}

/// Who reads it beside the recipients.
fn told(job: &Job) -> String {
    let told = match asked_for(job) {
        Some(request) if request.tell_gateway && is_part(job) => "the gateway above and its client, in clear",
        Some(request) if request.tell_gateway => "the gateway and its client, in clear",
        Some(request) if request.result_key.is_some() => "the client, sealed for its key; the gateway reads nothing",
        _ => "nobody",
    };
    told.to_owned()
}

#[cfg(test)]
mod tests {
    use tacit_accord::ConsensusId;
    use tacit_model::{Attempt, Fingerprint, GroupId, SessionId, Slot};
    use tacit_pki::Identity;

    use super::*;

    /// Rule 11: who gives to a branch reads where it goes from there.
    #[test]
    fn w2_the_owner_of_a_branch_s_peer_reads_who_learns_the_result_above() {
        let gateway = Identity::generate("root", time::OffsetDateTime::UNIX_EPOCH).expect("a key");
        let job = |change: fn(&mut TaskRequest)| {
            let mut request = TaskRequest {
                branches: 2,
                issued: "2026-01-01T00:00:00Z".to_owned(),
                nonce: "0".repeat(32),
                ..TaskRequest::about(GroupId(1), "energy", "mean", "energy")
            };
            change(&mut request);
            let above = Ask::admit(request, None, &gateway).expect("a task");
            let part = above.in_branch(ConsensusId([7; 32]), Slot(0), GroupId(2)).expect("a part");
            let part = Ask::admit(part, None, &gateway).expect("a part");
            let (run, task) = (part.run(), part.task().expect("a task"));
            Job {
                session: SessionId([0; 16]),
                group: GroupId(2),
                charter: ConsensusId([0; 32]),
                run,
                slot: Slot(0),
                attempt: Attempt(0),
                task,
                inputs: Vec::new(),
                compute: Vec::new(),
                recipients: Vec::new(),
            }
        };
        let clear = job(|request| request.tell_gateway = true);
        assert_eq!(told(&clear), "the gateway above and its client, in clear");
        assert!(opened(&clear).starts_with("nothing here") && opened(&clear).contains("leakage"), "{}", opened(&clear));
        let sealed = job(|request| {
            request.tell_gateway = false;
            request.result_key = Some("age1".to_owned());
            request.recipients = vec![Fingerprint([9; 32])];
        });
        assert!(told(&sealed).starts_with("the client, sealed"), "{}", told(&sealed));
        assert!(opened(&sealed).contains("those 1 of its members"), "{}", opened(&sealed));
        assert_eq!(told(&job(|request| request.tell_gateway = false)), "nobody");
    }
}
