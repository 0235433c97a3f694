//! One attempt at one job: Prepare, Link, Session, then agreement of all.
//!
//! Each phase is a barrier: everybody is instructed, everybody's report is waited for until the
//! phase's deadline. Before the inputs are frozen a failed attempt may be repaired with other members
//! of the signed roster; after it the slot ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tacit_accord::Consensus;
use tacit_engine::SecurityModel;
use tacit_job::{Decline, Fault, Job, Report, ToPeer, Told};
use tacit_model::api::TaskTiming;
use tacit_model::{Fingerprint, GroupId, SessionId};
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use crate::directory::{Happening, Reports};
use crate::{Gateway, GatewayError};

mod words;

use words::{Accused, Names, explain, words};

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All recipients that are there hold the same result.
    Done(Agreed),
    /// Nothing was frozen: another attempt without these members may follow.
    Repair { without: Vec<Fingerprint>, why: String },
    /// These members wait for their owners; without the others another attempt may follow.
    Waiting { owners: Vec<Fingerprint>, without: Vec<Fingerprint>, why: String },
    /// These members compute as much as they can. Nothing was frozen, and they may be asked again.
    Busy { why: String },
    /// The slot is over without a result.
    Failed { why: String },
}

#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) agreement: String,
    /// The session that the result comes from: the job's, or an earlier one whose end this gateway missed.
    pub(crate) session: SessionId,
    pub(crate) contributors: u32,
    /// What else the operator should know: wrong shares that were corrected, recipients that were lost.
    pub(crate) remarks: Vec<String>,
    /// The result as recipients told it, if a client's task wants it told.
    pub(crate) told: Vec<Told>,
    /// How long the phases took.
    pub(crate) timing: TaskTiming,
}

type Reported = BTreeMap<Fingerprint, Option<Report>>;

impl Gateway {
    pub(crate) async fn execute(&self, consensus: &Consensus, job: &Job) -> Outcome {
        let plan = match tacit_job::plan_of(consensus, job) {
            Ok(plan) => plan,
            Err(error) => return Outcome::Failed { why: error.to_string() },
        };
        let members = job.members();
        let mut reports = self.inner.directory.watch(job.session, members.clone());
        let outcome = self.phases(consensus, job, &digest_text(&plan.digest().0), &members, &mut reports).await;
        if !matches!(outcome, Outcome::Done(_)) {
            for member in &members {
                self.inner.directory.send(member, &ToPeer::Abort { session: job.session });
            }
        }
        outcome
    }

    async fn phases(
        &self,
        consensus: &Consensus,
        job: &Job,
        plan: &str,
        members: &[Fingerprint],
        reports: &mut Reports<'_>,
    ) -> Outcome {
        let names = Names(consensus.charter());
        let limits = self.inner.limits;

        let started = Instant::now();
        let prepare = ToPeer::Prepare { job: Box::new(job.clone()), plan: plan.to_owned() };
        let limit = self.prepare_limit(job);
        let prepared = self.phase(members, &prepare, reports, limit).instrument(info_span!("prepare")).await;
        let nonces = match nonces(&prepared, job, &names) {
            Ok(nonces) => nonces,
            Err(outcome) => return outcome,
        };

        let prepared_at = Instant::now();
        let endpoints = members.iter().map(|m| self.endpoint(consensus, m)).collect();
        let link = ToPeer::Link { session: job.session, nonces, endpoints };
        let linked = self.phase(members, &link, reports, limits.link).instrument(info_span!("link")).await;
        if let Err(outcome) = all_linked(&linked, job, &names) {
            return outcome;
        }

        let linked_at = Instant::now();
        let session = ToPeer::Session { session: job.session };
        let done = self.phase(members, &session, reports, limits.session).instrument(info_span!("session")).await;
        let mut outcome = judge(&done, job, &names);
        if let Outcome::Done(agreed) = &mut outcome {
            let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            agreed.timing = TaskTiming {
                prepare_us: micros(prepared_at - started),
                link_us: micros(linked_at - prepared_at),
                session_us: micros(linked_at.elapsed()),
            };
        }
        outcome
    }

    /// Sends so many messages to all connected members of a group, each when all have answered the one
    /// before; how many members answered all, and how long it took. `through_providers`: members let their
    /// SMC providers answer, in one session of each; who has none, or lets nobody ping it, does not count.
    pub async fn ping_group(
        &self,
        group: GroupId,
        messages: u32,
        through_providers: bool,
    ) -> Result<(usize, Duration), GatewayError> {
        self.current(group).await?;
        let members: Vec<Fingerprint> = self.inner.directory.of_group(group).into_iter().map(|(m, _)| m).collect();
        let session = crate::runs::new_session()?;
        let mut reports = self.inner.directory.watch(session, members.clone());
        let mut answered = members.len();
        let started = Instant::now();
        for number in 1..=messages {
            let message = match through_providers {
                true => ToPeer::PingProvider { session, number, more: number < messages },
                false => ToPeer::Ping { session },
            };
            let reported = self.phase(&members, &message, &mut reports, self.inner.limits.prepare).await;
            answered = answered.min(reported.values().filter(|report| matches!(report, Some(Report::Pong))).count());
        }
        Ok((answered, started.elapsed()))
    }

    fn endpoint(&self, consensus: &Consensus, member: &Fingerprint) -> String {
        let charter = || consensus.charter().member(member).map(|m| m.endpoint.clone()).unwrap_or_default();
        let now = self.inner.directory.present(member).and_then(|present| present.endpoint);
        now.unwrap_or_else(charter)
    }

    /// Instructs everybody and waits until everybody reported, is gone, or the deadline passed.
    async fn phase(
        &self,
        members: &[Fingerprint],
        message: &ToPeer,
        reports: &mut Reports<'_>,
        limit: Duration,
    ) -> Reported {
        let deadline = Instant::now() + limit;
        let mut reported: Reported = BTreeMap::new();
        for absent in self.inner.directory.send_all(members, message) {
            reported.insert(absent, None);
        }
        while reported.len() < members.len() {
            match tokio::time::timeout_at(deadline, reports.next()).await {
                Ok(Some((member, Happening::Report(report)))) => {
                    reported.insert(member, Some(report));
                }
                Ok(Some((member, Happening::Gone))) => {
                    reported.entry(member).or_insert(None);
                }
                Ok(None) | Err(_) => break,
            }
        }
        for member in members {
            reported.entry(*member).or_insert(None);
        }
        reported
    }
}

/// The text form of a plan digest in a Prepare.
fn digest_text(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All nonces in the order of the members, or what follows from the first thing that stands against it.
fn nonces(prepared: &Reported, job: &Job, names: &Names<'_>) -> Result<Vec<String>, Outcome> {
    let mut nonces = Vec::with_capacity(prepared.len());
    let mut without = Vec::new();
    let mut finished: BTreeMap<&str, (usize, BTreeSet<SessionId>)> = BTreeMap::new();
    let mut frozen = Vec::new();
    let mut refused = Vec::new();
    let (mut contributors, mut told) = (u32::try_from(job.inputs.len()).unwrap_or(u32::MAX), Vec::new());
    let (mut waiting, mut busy) = (Vec::new(), Vec::new());
    for (member, report) in prepared {
        match report {
            // Nobody else holds a result, whatever they say.
            Some(Report::Done { .. } | Report::Declined { why: Decline::Frozen { .. } })
                if !job.recipients.contains(member) =>
            {
                frozen.push(*member);
            }
            // Of a client's task: the result of before, and what is told of it.
            Some(Report::Done { agreement: Some(agreement), contributors: count, told: result, session, .. }) => {
                frozen.push(*member);
                let (holders, sessions) = finished.entry(agreement).or_default();
                *holders += 1;
                sessions.extend(session);
                contributors = *count;
                told.extend(result.clone());
            }
            Some(Report::Prepared { nonce }) => nonces.push(nonce.clone()),
            Some(Report::Declined { why: Decline::Frozen { done, session } }) => {
                frozen.push(*member);
                if let Some(agreement) = done {
                    let (count, sessions) = finished.entry(agreement).or_default();
                    *count += 1;
                    sessions.extend(session);
                }
            }
            Some(Report::Declined { why: Decline::Waiting }) if job.ask().is_some() => waiting.push(*member),
            Some(Report::Declined { why: Decline::Policy | Decline::Plan | Decline::Roster | Decline::Waiting }) => {
                refused.push(*member);
            }
            Some(Report::Declined { why: Decline::Busy }) => busy.push(*member),
            _ => without.push(*member),
        }
    }
    if !frozen.is_empty() {
        // A run that was cut off after its freeze. If every recipient holds the result, it was only the
        // news that got lost; otherwise this slot can never be opened again.
        let mut agreements = finished.into_iter();
        return Err(match (agreements.next(), agreements.next()) {
            (Some((agreement, (count, sessions))), None) if count == job.recipients.len() => Outcome::Done(Agreed {
                agreement: agreement.to_owned(),
                // An older version does not say which one it was.
                session: sessions.first().copied().filter(|_| sessions.len() == 1).unwrap_or(job.session),
                contributors,
                remarks: Vec::new(),
                told,
                timing: TaskTiming::default(),
            }),
            _ => {
                Outcome::Failed { why: format!("{} had bound its inputs before the interruption", names.all(&frozen)) }
            }
        });
    }
    if !refused.is_empty() && job.ask().is_some() {
        // A peer that does not want to is left out of a client's task.
        without.append(&mut refused);
    }
    if !refused.is_empty() {
        return Err(Outcome::Failed { why: format!("{} declined; its owner sees the reason", names.all(&refused)) });
    }
    if !waiting.is_empty() {
        let why = format!("{} waits for its owner", names.all(&waiting));
        return Err(Outcome::Waiting { owners: waiting, without, why });
    }
    if !without.is_empty() {
        let why = format!("{} did not get ready", names.all(&without));
        return Err(Outcome::Repair { without, why });
    }
    if !busy.is_empty() {
        return Err(Outcome::Busy { why: format!("{} is busy with other sessions", names.all(&busy)) });
    }
    Ok(nonces)
}

fn all_linked(linked: &Reported, job: &Job, names: &Names<'_>) -> Result<(), Outcome> {
    let mut without: Vec<Fingerprint> = Vec::new();
    for (member, report) in linked {
        match report {
            Some(Report::Linked) => {}
            Some(Report::Unlinked { missing }) => without.extend(missing.iter().filter(|m| job.compute.contains(m))),
            _ => without.push(*member),
        }
    }
    without.sort_unstable();
    without.dedup();
    if linked.values().all(|report| matches!(report, Some(Report::Linked))) {
        return Ok(());
    }
    let why = format!("no link to {}", names.all(&without));
    Err(Outcome::Repair { without, why })
}

/// A recipient that reports a result, and what it says of it.
#[derive(Clone, Copy)]
struct Held<'r> {
    member: Fingerprint,
    contributors: u32,
    told: Option<&'r Told>,
}

/// Whether, in the model `guaranteed`, a result stands against what others say: more operators hold it than may lie, so that
/// an honest one does, and what an honest recipient of that model holds is right; and no more are against it than may lie.
fn stands(held: &[Held<'_>], against: &[Fingerprint], job: &Job, names: &Names<'_>) -> bool {
    let operators = |members: &mut dyn Iterator<Item = &Fingerprint>| {
        members.map(|member| names.0.member(member).map(|m| m.operator.as_str())).collect::<BTreeSet<_>>().len()
    };
    let may_lie = names.0.threshold as usize;
    job.task.model() == SecurityModel::Guaranteed.name()
        && operators(&mut held.iter().map(|held| &held.member)) > may_lie
        && operators(&mut against.iter()) <= may_lie
}

/// What holders of the same result tell of it, and who tells otherwise than more operators than may lie: the agreement is a
/// hash that says nothing about what is told in clear. Without such a majority, nothing where two differ.
fn told_alike(held: &[Held<'_>], job: &Job, names: &Names<'_>) -> Result<(Vec<Told>, Vec<Fingerprint>), String> {
    let mut tellings: Vec<Vec<Held<'_>>> = Vec::new();
    let (open, sealed): (Vec<&Held<'_>>, Vec<&Held<'_>>) =
        held.iter().partition(|held| matches!(held.told, Some(Told::Open(_))));
    for one in open {
        match tellings.iter_mut().find(|alike| alike.iter().any(|other| other.told == one.told)) {
            Some(alike) => alike.push(*one),
            None => tellings.push(vec![*one]),
        }
    }
    let others = |at: usize| -> Vec<Fingerprint> {
        let others = tellings.iter().enumerate().filter(|(other, _)| *other != at);
        others.flat_map(|(_, held)| held.iter().map(|held| held.member)).collect()
    };
    let right = match tellings.len() {
        0 | 1 => 0,
        _ => (0..tellings.len()).find(|at| stands(&tellings[*at], &others(*at), job, names)).ok_or_else(|| {
            let all: Vec<_> = tellings.iter().flatten().map(|held| held.member).collect();
            format!("{} tell different numbers of the same result", names.all(&all))
        })?,
    };
    let telling = tellings.get(right).into_iter().flatten().chain(sealed);
    Ok((telling.filter_map(|held| held.told.cloned()).collect(), others(right)))
}

/// What the reports of a session mean together.
fn judge(done: &Reported, job: &Job, names: &Names<'_>) -> Outcome {
    let mut agreements: BTreeMap<&str, Vec<Held<'_>>> = BTreeMap::new();
    let mut remarks = Vec::new();
    let mut faults = Vec::new();
    let mut accused = Accused::default();
    let mut frozen = false;
    let mut lost = Vec::new();
    for (member, report) in done {
        match report {
            Some(Report::Done { agreement, contributors: count, faults: wrong, left_out, told: result, .. }) => {
                frozen = true;
                if let (true, Some(agreement)) = (job.recipients.contains(member), agreement) {
                    let held = Held { member: *member, contributors: *count, told: result.as_ref() };
                    agreements.entry(agreement).or_default().push(held);
                }
                if !wrong.is_empty() {
                    let what = format!("shares that {} sent did not fit and were corrected", names.all(wrong));
                    accused.note(*member, what);
                }
                for fault in left_out.iter().filter(|fault| fault.leaves_out()) {
                    accused.note(*member, format!("{}, which is left out", words(fault, names)));
                }
            }
            Some(Report::Failed { fault, frozen: bound }) => {
                frozen |= bound;
                faults.push((*member, fault));
            }
            _ => lost.push(*member),
        }
    }
    let mut by_count: Vec<_> = agreements.into_iter().collect();
    by_count.sort_by_key(|(_, held)| core::cmp::Reverse(held.len()));
    let members = |held: &[Held<'_>]| held.iter().map(|held| held.member).collect::<Vec<_>>();
    let doubts: Vec<_> = faults.iter().filter(|(member, fault)| is_contradiction(job, member, fault)).collect();
    let doubted =
        |(member, fault): &&(Fingerprint, &Fault)| format!("{} reports: {}", names.of(member), words(fault, names));
    let outvotes = by_count.iter().position(|(agreement, held)| {
        let others = by_count.iter().filter(|(other, _)| other != agreement).flat_map(|(_, held)| members(held));
        let against: Vec<_> = others.chain(doubts.iter().map(|(member, _)| *member)).collect();
        stands(held, &against, job, names)
    });
    if let Some(at) = outvotes {
        by_count.swap(0, at);
    }
    match by_count.as_slice() {
        [(agreement, held), odd @ ..] if outvotes.is_some() || (odd.is_empty() && doubts.is_empty()) => {
            let (told, telling) = match told_alike(held, job, names) {
                Ok(told) => told,
                Err(why) => return Outcome::Failed { why },
            };
            remarks.extend(accused.texts(job, names));
            let odd: Vec<_> = odd.iter().flat_map(|(_, held)| members(held)).collect();
            let outvoted = |what: String| format!("{what}; more operators hold the same result than may be corrupted");
            if !odd.is_empty() {
                remarks.push(outvoted(format!("the result of {} differs", names.all(&odd))));
            }
            remarks.extend(doubts.iter().map(doubted).map(outvoted));
            if !telling.is_empty() {
                remarks.push(outvoted(format!("what {} tells of the result differs", names.all(&telling))));
            }
            let missing: Vec<_> =
                job.recipients.iter().filter(|r| !matches!(done.get(r), Some(Some(Report::Done { .. })))).collect();
            if !missing.is_empty() {
                remarks.push(format!("{} did not receive the result", names.all(missing)));
            }
            remarks.sort();
            remarks.dedup();
            Outcome::Done(Agreed {
                agreement: (*agreement).to_owned(),
                session: job.session,
                contributors: said_by_most(held),
                remarks,
                told,
                timing: TaskTiming::default(),
            })
        }
        [(_, held)] => {
            // A result that somebody else has reason to doubt is no result of the slot.
            let doubts: Vec<String> = doubts.iter().map(doubted).collect();
            Outcome::Failed { why: format!("{}; {} holds a result", doubts.join("; "), names.all(&members(held))) }
        }
        [(_, most), odd @ ..] => {
            let (most, odd) = (members(most), odd.iter().flat_map(|(_, held)| members(held)).collect::<Vec<_>>());
            // Without a majority somebody is wrong, and nobody knows who: an honest member must not be named alone.
            let why = match most.len() > odd.len() {
                true => format!("{} differs from the others", names.all(&odd)),
                false => format!("{} hold different ones", names.all(most.iter().chain(&odd))),
            };
            Outcome::Failed { why: format!("the results disagree: {why}") }
        }
        [] if frozen => Outcome::Failed { why: explain(&faults, &lost, job, names) },
        [] => {
            let why = explain(&faults, &lost, job, names);
            let ends_it = |(member, fault): &(Fingerprint, &Fault)| match fault {
                Fault::Range | Fault::MissingInput { .. } => true,
                // Another attempt would be over the same inputs, and leaving out whoever reports it would leave the
                // field to the one at fault.
                fault if fault.is_cheating() => true,
                // Without its input there is no other attempt at the standing task.
                Fault::Own => job.ask().is_none() && job.inputs.contains(member),
                _ => false,
            };
            if faults.iter().any(ends_it) {
                return Outcome::Failed { why };
            }
            let named = faults.iter().filter_map(|(_, fault)| match fault {
                Fault::Lost { members } => Some(members.clone()),
                _ => None,
            });
            let own = faults.iter().filter(|(_, fault)| **fault == Fault::Own).map(|(member, _)| *member);
            let mut without: Vec<_> = named.flatten().chain(own).chain(lost).collect();
            without.sort_unstable();
            without.dedup();
            Outcome::Repair { without, why }
        }
    }
}

/// How many contributed, as most of those say who hold the result.
fn said_by_most(held: &[Held<'_>]) -> u32 {
    let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
    held.iter().for_each(|held| *votes.entry(held.contributors).or_default() += 1);
    votes.into_iter().max_by_key(|(_, votes)| *votes).map_or(0, |(count, _)| count)
}

/// Whether a recipient saw something that contradicts the result of others. A loss does not.
fn is_contradiction(job: &Job, member: &Fingerprint, fault: &Fault) -> bool {
    let contradicts = fault.is_cheating() || matches!(fault, Fault::Shares | Fault::Misbehaved { .. } | Fault::Range);
    contradicts && job.recipients.contains(member)
}

#[cfg(test)]
mod tests {
    use tacit_accord::{Charter, Member, MemberRole};
    use tacit_model::api::{Decimal, TaskResult};
    use tacit_model::{Attempt, GroupId, RunId, SessionId, Slot};

    use super::*;

    fn who(number: u8) -> Fingerprint {
        Fingerprint([number; 32])
    }

    /// Members 0 to 2 do everything.
    fn scene() -> (Charter, Job) {
        let member = |number: u8| Member {
            name: format!("m{number}"),
            fingerprint: who(number),
            operator: format!("o{number}"),
            role: MemberRole::Both,
            endpoint: String::new(),
        };
        let members = (0..3).map(member).collect();
        let charter = Charter { members, ..Charter::new(GroupId(1), "g", String::new()) };
        let task = serde_json::json!({
            "purpose": "", "source": "queue", "aggregator": "sum", "items": 1, "max_element": "1", "modulus": null,
            "on_missing_input": "fail",
        });
        let task = serde_json::from_value(task).expect("a task");
        let all: Vec<_> = (0..3).map(who).collect();
        let job = Job {
            session: SessionId([0; 16]),
            group: GroupId(1),
            charter: tacit_accord::ConsensusId([0; 32]),
            run: RunId(1),
            slot: Slot(0),
            attempt: Attempt(0),
            task,
            inputs: all.clone(),
            compute: all.clone(),
            recipients: all,
        };
        (charter, job)
    }

    fn judged(third: Option<Report>, change: impl FnOnce(&mut Job)) -> Outcome {
        let (charter, mut job) = scene();
        change(&mut job);
        let done = || {
            Some(Report::Done {
                agreement: Some("a".to_owned()),
                contributors: 3,
                faults: Vec::new(),
                left_out: Vec::new(),
                told: None,
                session: None,
            })
        };
        let reported = BTreeMap::from([(who(0), done()), (who(1), done()), (who(2), third)]);
        judge(&reported, &job, &Names(&charter))
    }

    fn failed(fault: Fault) -> Option<Report> {
        Some(Report::Failed { fault, frozen: true })
    }

    #[test]
    fn rule10_an_own_reason_is_not_told() {
        let (charter, mut job) = scene();
        let failed = |fault| Some(Report::Failed { fault, frozen: false });
        let missing = || failed(Fault::MissingInput { members: vec![who(2)] });
        let reported = BTreeMap::from([(who(0), missing()), (who(1), missing()), (who(2), failed(Fault::Own))]);
        match judge(&reported, &job, &Names(&charter)) {
            Outcome::Failed { why } => assert_eq!(why, "m2 had a reason of its own; its owner sees it"),
            other => panic!("{other:?}"),
        }
        // Of a member that only computes another attempt may be made without it.
        job.inputs.truncate(2);
        let lost = || failed(Fault::Lost { members: vec![who(2)] });
        let reported = BTreeMap::from([(who(0), lost()), (who(1), lost()), (who(2), failed(Fault::Own))]);
        match judge(&reported, &job, &Names(&charter)) {
            Outcome::Repair { without, .. } => assert_eq!(without, [who(2)]),
            other => panic!("{other:?}"),
        }
    }

    /// The gateway was interrupted after the end: it asks again, and hears what was told before.
    #[test]
    fn f13_a_resumed_task_is_done_with_its_result() {
        let (charter, mut job) = scene();
        job.recipients.truncate(2);
        let done = |told: Option<&str>| {
            let told = told.map(|sealed| Told::Sealed(sealed.to_owned()));
            Some(Report::Done {
                agreement: Some("a".to_owned()),
                contributors: 2,
                faults: Vec::new(),
                left_out: Vec::new(),
                told,
                session: None,
            })
        };
        let frozen = || Some(Report::Declined { why: Decline::Frozen { done: None, session: None } });
        let mut reported = BTreeMap::from([(who(0), done(Some("x"))), (who(1), done(None)), (who(2), frozen())]);
        match nonces(&reported, &job, &Names(&charter)) {
            Err(Outcome::Done(agreed)) => {
                assert_eq!((agreed.agreement.as_str(), agreed.contributors), ("a", 2));
                assert_eq!(agreed.told, [Told::Sealed("x".to_owned())]);
            }
            other => panic!("{other:?}"),
        }
        // A result of somebody who does not receive it is none.
        let prepared = || Some(Report::Prepared { nonce: "n".to_owned() });
        let invented = BTreeMap::from([(who(0), prepared()), (who(1), prepared()), (who(2), done(Some("y")))]);
        let mut one = job.clone();
        one.recipients.truncate(1);
        assert!(matches!(nonces(&invented, &one, &Names(&charter)), Err(Outcome::Failed { .. })));
        // A recipient without the result, or with another one, leaves none.
        for odd in [
            frozen(),
            Some(Report::Done {
                agreement: Some("b".to_owned()),
                contributors: 2,
                faults: Vec::new(),
                left_out: Vec::new(),
                told: None,
                session: None,
            }),
        ] {
            reported.insert(who(1), odd);
            assert!(matches!(nonces(&reported, &job, &Names(&charter)), Err(Outcome::Failed { .. })));
        }
    }

    /// Reports of the three members, of a task that leaves nobody out.
    fn three(reports: [Report; 3]) -> Outcome {
        let (charter, job) = scene();
        let reported = (0..3).map(who).zip(reports.map(Some)).collect();
        judge(&reported, &job, &Names(&charter))
    }

    #[test]
    fn p19_who_finds_a_cheater_is_neither_blamed_nor_left_out() {
        let failed = |fault: &Fault| Report::Failed { fault: fault.clone(), frozen: false };
        let beyond = Fault::OutOfBounds { members: vec![who(2)] };
        let disputed = Fault::Disputed { members: vec![who(2)] };
        let fits = "what the compute peers hold of m2 does not fit together, by its fault or by that of one of them";
        let other = "some compute peer told the others different things; which one is not known";
        // (what two members report, what the third does, what the slot says)
        let cases = [
            (&beyond, failed(&Fault::Own), "numbers of m2 are out of bounds"),
            (&disputed, failed(&disputed), fits),
            (&Fault::Equivocated, failed(&Fault::Ended), other),
            (&Fault::Equivocated, failed(&Fault::Lost { members: vec![who(0)] }), other),
        ];
        for (found, third, says) in cases {
            match three([failed(found), failed(found), third]) {
                Outcome::Failed { why } => assert_eq!(why, says),
                repaired => panic!("{found:?}: {repaired:?}"),
            }
        }
        // t members that say it may lie.
        let lie = Fault::OutOfBounds { members: vec![who(1)] };
        match three([failed(&lie), failed(&Fault::FewShares), failed(&Fault::FewShares)]) {
            Outcome::Failed { why } => assert_eq!(why, "m0 says that numbers of m1 are out of bounds"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn p19_each_kind_of_fault_has_words_that_are_true() {
        let done = |faults: &[u8], left_out: &[Fault]| Report::Done {
            agreement: Some("a".to_owned()),
            contributors: 2,
            faults: faults.iter().copied().map(who).collect(),
            left_out: left_out.to_vec(),
            told: None,
            session: None,
        };
        let remarks = |reports| match three(reports) {
            Outcome::Done(agreed) => agreed.remarks,
            other => panic!("{other:?}"),
        };
        let beyond = [Fault::OutOfBounds { members: vec![who(2)] }];
        let disputed = [Fault::Disputed { members: vec![who(2)] }];
        let nothing = || done(&[], &[]);
        assert_eq!(
            remarks([done(&[], &beyond), done(&[], &beyond), nothing()]),
            ["numbers of m2 are out of bounds, which is left out"]
        );
        let [said] = &remarks([done(&[], &disputed), done(&[], &disputed), nothing()])[..] else { panic!() };
        assert!(said.contains("by its fault or by that of one of them") && !said.contains("wrong"), "{said}");
        assert_eq!(
            remarks([done(&[2], &[]), done(&[2], &[]), nothing()]),
            ["shares that m2 sent did not fit and were corrected"]
        );
        // One of three may lie, and is quoted; what is no reason to leave somebody out says nothing.
        assert_eq!(
            remarks([done(&[1], &beyond), done(&[], &[Fault::Own]), nothing()]),
            [
                "m0 says that numbers of m2 are out of bounds, which is left out",
                "m0 says that shares that m1 sent did not fit and were corrected"
            ]
        );
    }

    /// Which of two results has the larger hash says nothing about who is right.
    #[test]
    fn f21_nobody_is_named_alone_without_a_majority() {
        let (charter, mut job) = scene();
        job.recipients.push(who(3));
        let told = |agreements: &[&str]| {
            let done = |agreement: &&str| {
                let agreement = Some((*agreement).to_owned());
                Some(Report::Done {
                    agreement,
                    contributors: 3,
                    faults: Vec::new(),
                    left_out: Vec::new(),
                    told: None,
                    session: None,
                })
            };
            let reported: Reported = (0..).map(who).zip(agreements.iter().map(done)).collect();
            match judge(&reported, &job, &Names(&charter)) {
                Outcome::Failed { why } => why,
                other => panic!("{other:?}"),
            }
        };
        let odd = |name: &str| format!("the results disagree: {name} differs from the others");
        assert_eq!(told(&["a", "a", "b"]), odd("m2"));
        assert_eq!(told(&["b", "a", "b"]), odd("m1"));
        assert_eq!(told(&["a", "b"]), "the results disagree: m0, m1 hold different ones");
        assert_eq!(told(&["b", "c", "a"]), "the results disagree: m2, m0, m1 hold different ones");
        let stranger = who(3).short();
        let tie = |names: &str| format!("the results disagree: {names} hold different ones");
        assert_eq!(told(&["a", "b", "a", "b"]), tie(&format!("m0, m2, m1, {stranger}")));
        assert_eq!(told(&["a", "b", "a", "c"]), tie(&format!("m0, m2, m1, {stranger}")));
    }

    /// In the model `guaranteed` the results of t+1 operators stand, whatever up to t others say; the gateway's log says
    /// who says it. Elsewhere, and where t+1 others do not hold the same, the slot has no result.
    #[test]
    fn rule5_guaranteed_results_are_not_voided_by_t_recipients() {
        let done = |agreement: &str, contributors: u32| Report::Done {
            agreement: Some(agreement.to_owned()),
            contributors,
            faults: Vec::new(),
            left_out: Vec::new(),
            told: Some(Told::Sealed(agreement.to_owned())),
            session: None,
        };
        let doubt = || Report::Failed { fault: Fault::Shares, frozen: true };
        let judged = |model: &str, reports: &[Report], operators: [u8; 4]| {
            let (mut charter, mut job) = scene();
            charter.members.push(charter.members[0].clone());
            for (number, (member, operator)) in (0..).zip(charter.members.iter_mut().zip(operators)) {
                (member.fingerprint, member.name) = (who(number), format!("m{number}"));
                member.operator = format!("o{operator}");
            }
            charter.threshold = 1;
            job.task.parameters.insert("security_model".to_owned(), model.to_owned());
            for members in [&mut job.inputs, &mut job.compute, &mut job.recipients] {
                members.push(who(3));
            }
            let reported = (0..).map(who).zip(reports.iter().cloned().map(Some)).collect();
            judge(&reported, &job, &Names(&charter))
        };
        let each = [0, 1, 2, 3];
        let right = || done("a", 4);
        for (lie, says) in [(doubt(), "m2 reports: "), (done("b", 9), "the result of m2 differs")] {
            let reports = [right(), right(), lie.clone(), right()];
            match judged("guaranteed", &reports, each) {
                Outcome::Done(agreed) => {
                    assert_eq!((agreed.agreement.as_str(), agreed.contributors), ("a", 4));
                    assert_eq!(agreed.told, vec![Told::Sealed("a".to_owned()); 3], "nothing of the one that lies");
                    assert!(agreed.remarks.iter().any(|remark| remark.starts_with(says)), "{:?}", agreed.remarks);
                }
                other => panic!("{other:?}"),
            }
            for model in ["semi-honest", "malicious"] {
                assert!(matches!(judged(model, &reports, each), Outcome::Failed { .. }), "{model}");
            }
            // Members of one operator are one voice.
            assert!(matches!(judged("guaranteed", &reports, [0, 0, 2, 0]), Outcome::Failed { .. }));
        }
        // The agreement says nothing about what is told in clear.
        let tells = |number: u128| Report::Done {
            agreement: Some("a".to_owned()),
            contributors: 4,
            faults: Vec::new(),
            left_out: Vec::new(),
            told: Some(Told::Open(Box::new(TaskResult {
                id: "t".to_owned(),
                window: Slot(0),
                statistics: Vec::new(),
                no_result: None,
                values: vec![Decimal(number)],
                contributors: 4,
            }))),
            session: None,
        };
        for liar in [0, 3] {
            let mut reports = [tells(5), tells(5), tells(5), tells(5)];
            reports[liar] = tells(99);
            match judged("guaranteed", &reports, each) {
                Outcome::Done(agreed) => {
                    let Report::Done { told: Some(right), .. } = tells(5) else { panic!() };
                    assert_eq!(agreed.told, vec![right; 3]);
                    assert!(agreed.remarks.iter().any(|remark| remark.starts_with("what m")), "{:?}", agreed.remarks);
                }
                other => panic!("{other:?}"),
            }
            match judged("semi-honest", &reports, each) {
                Outcome::Failed { why } => assert!(why.contains("tell different numbers"), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        // Two results with t+1 operators each: more than t lie, and nothing says who.
        let halves = [right(), right(), done("b", 4), done("b", 4)];
        assert!(matches!(judged("guaranteed", &halves, each), Outcome::Failed { .. }));
        let one = [right(), doubt(), doubt(), doubt()];
        assert!(matches!(judged("guaranteed", &one, each), Outcome::Failed { .. }));
        let doubted = [right(), right(), doubt(), doubt()];
        assert!(matches!(judged("guaranteed", &doubted, each), Outcome::Failed { .. }));
    }

    #[test]
    fn rule8_a_contradicted_result_fails_the_slot() {
        let cheated = [
            Fault::OutOfBounds { members: vec![who(0)] },
            Fault::Disputed { members: vec![who(0)] },
            Fault::Equivocated,
        ];
        for fault in [Fault::Shares, Fault::Misbehaved { member: who(0) }, Fault::Range].into_iter().chain(cheated) {
            match judged(failed(fault.clone()), |_| {}) {
                Outcome::Failed { why } => assert!(why.contains("m2 reports") && why.contains("m0, m1 holds"), "{why}"),
                other => panic!("{fault:?}: {other:?}"),
            }
            // Who is no recipient has no result to compare.
            assert!(matches!(judged(failed(fault), |job| job.recipients.truncate(2)), Outcome::Done(_)));
        }
        let losses =
            [failed(Fault::FewShares), failed(Fault::Lost { members: vec![who(1)] }), failed(Fault::Ended), None];
        for loss in losses {
            match judged(loss, |_| {}) {
                Outcome::Done(agreed) => assert_eq!(agreed.remarks, ["m2 did not receive the result"]),
                other => panic!("{other:?}"),
            }
        }
    }
}
