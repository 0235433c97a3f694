//! What the reports of a phase mean together: whether it goes on, is tried again, or is over.

use std::collections::BTreeMap;

use tacit_engine::SecurityModel;
use tacit_job::{Decline, Fault, Job, Report, Told};
use tacit_model::api::TaskTiming;
use tacit_model::{Fingerprint, SessionId, UnixMillis};

use super::unreached::Unreached;
use super::words::{Accused, Names, explain, words};
use super::{Agreed, Outcome, Reported};

#[cfg(test)]
pub(super) mod tests;

/// Why there is another attempt where nobody is known to be gone and somebody has said nothing.
const NOT_ALL: &str = "not all have reported";

/// All nonces in the order of the members, or what follows from the first thing that stands against it.
pub(super) fn nonces(prepared: &Reported, job: &Job, names: &Names<'_>) -> Result<Vec<String>, Outcome> {
    let mut nonces = Vec::with_capacity(prepared.len());
    let mut without = Vec::new();
    let mut bound = Bound::default();
    let mut refused = Vec::new();
    let (mut waiting, mut busy) = (Vec::new(), Vec::new());
    let mut apart = Differing::default();
    for (member, report) in prepared {
        match report {
            // Nobody else holds a result, whatever they say.
            Some(Report::Done { .. } | Report::Declined { why: Decline::Frozen { .. } })
                if !job.recipients.contains(member) =>
            {
                bound.members.push(*member);
            }
            // Of a client's task: the result of before, and what is told of it.
            Some(Report::Done { agreement: Some(agreement), contributors, told, session, .. }) => {
                let held =
                    Held { member: *member, contributors: *contributors, told: told.as_ref(), session: *session };
                bound.hold(agreement, held);
            }
            // The others read it, and all of them would give up at one that is none.
            Some(Report::Prepared { nonce }) if is_nonce(nonce) => nonces.push(nonce.clone()),
            Some(Report::Declined { why: Decline::Frozen { done, session } }) => match done {
                Some(agreement) => {
                    let contributors = u32::try_from(job.inputs.len()).unwrap_or(u32::MAX);
                    bound.hold(agreement, Held { member: *member, contributors, told: None, session: *session });
                }
                None => bound.members.push(*member),
            },
            Some(Report::Declined { why: Decline::Waiting }) if job.ask().is_some() => waiting.push(*member),
            Some(Report::Declined { why: Decline::Policy | Decline::Plan | Decline::Roster | Decline::Waiting }) => {
                refused.push(*member);
            }
            Some(Report::Declined { why: Decline::Apart { missing, until } }) => {
                apart.note(*member, missing, *until);
                refused.push(*member);
            }
            Some(Report::Declined { why: Decline::Busy }) => busy.push(*member),
            _ => without.push(*member),
        }
    }
    if !bound.members.is_empty() {
        // A run that was cut off after its freeze. If there is a result, it was only the news that got lost; otherwise
        // this slot can never be opened again.
        if let Some(agreed) = bound.result(job, names)? {
            return Err(Outcome::Done(agreed));
        }
        if !bound.may_be_invented(prepared, job, names) {
            let why = format!("{} had bound its inputs before the interruption", names.all(&bound.members));
            return Err(frozen(prepared, job, why));
        }
        without.append(&mut bound.members);
    }
    let only_gives = refused.iter().any(|member| !job.compute.contains(member));
    if let Some(outcome) = apart.outcome(names) {
        // Whoever is missing may come back. If nobody is, those who give may stand against somebody new.
        if !only_gives || matches!(&outcome, Outcome::Apart { missing, .. } if !missing.is_empty()) {
            return Err(outcome);
        }
    }
    if !refused.is_empty() && job.ask().is_some() {
        // A peer that does not want to is left out of a client's task. Those who only give first: without their records those who
        // compute may be willing.
        if only_gives {
            refused.retain(|member| !job.compute.contains(member));
        }
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
        let why = format!("{} is busy with other sessions", names.all(&busy));
        return Err(Outcome::Busy { members: busy, why });
    }
    match prepared.len() == job.members().len() {
        true => Ok(nonces),
        false => Err(Outcome::Repair { without, why: NOT_ALL.to_owned() }),
    }
}

/// 32 bytes in hexadecimal.
fn is_nonce(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Goes on if everybody has its links; otherwise who is left out of the next attempt.
pub(super) fn all_linked(linked: &Reported, job: &Job, names: &Names<'_>) -> Result<(), Outcome> {
    let mut unreached = Unreached::default();
    let mut gone: Vec<Fingerprint> = Vec::new();
    for (member, report) in linked {
        match report {
            Some(Report::Linked) => {}
            Some(Report::Unlinked { missing }) if unreached.note(member, missing, job) => {}
            _ => gone.push(*member),
        }
    }
    if linked.values().all(|report| matches!(report, Some(Report::Linked))) {
        return match linked.len() == job.members().len() {
            true => Ok(()),
            false => Err(Outcome::Repair { without: gone, why: NOT_ALL.to_owned() }),
        };
    }
    let without = unreached.left_out(gone, job, names);
    let why = format!("no link to {}", names.all(&without));
    Err(Outcome::Repair { without, why })
}

/// Members that say that a result would make a difference with an earlier one.
#[derive(Default)]
struct Differing<'r>(Vec<(Fingerprint, &'r [Fingerprint], UnixMillis)>);

impl<'r> Differing<'r> {
    fn note(&mut self, member: Fingerprint, missing: &'r [Fingerprint], until: UnixMillis) {
        self.0.push((member, missing, until));
    }

    /// What follows if one of them is honest: fewer may have made it up, and are left out as if they had reasons of their own.
    fn outcome(&self, names: &Names<'_>) -> Option<Outcome> {
        let honest = |said: &[Fingerprint]| names.operators(said) > names.may_lie();
        let all: Vec<Fingerprint> = self.0.iter().map(|(member, ..)| *member).collect();
        if !honest(&all) {
            return None;
        }
        let mut said: BTreeMap<Fingerprint, Vec<Fingerprint>> = BTreeMap::new();
        for (member, missing, _) in &self.0 {
            missing.iter().for_each(|who| said.entry(*who).or_default().push(*member));
        }
        let missing: Vec<Fingerprint> = said.into_iter().filter(|(_, by)| honest(by)).map(|(who, _)| who).collect();
        // The latest that an honest one agrees with; members of one operator are one voice.
        let mut latest: BTreeMap<Option<&str>, UnixMillis> = BTreeMap::new();
        for (member, _, until) in &self.0 {
            let voice = latest.entry(names.operator(member)).or_insert(*until);
            *voice = (*voice).max(*until);
        }
        let mut moments: Vec<UnixMillis> = latest.into_values().collect();
        moments.sort_unstable();
        let until = moments[moments.len().saturating_sub(names.may_lie() + 1)];
        let why = words(&Fault::Apart { missing: missing.clone(), until }, names);
        Some(Outcome::Apart { missing, until, why })
    }
}

/// A recipient that reports a result, and what it says of it.
#[derive(Clone, Copy)]
struct Held<'r> {
    member: Fingerprint,
    contributors: u32,
    told: Option<&'r Told>,
    /// The session that it comes from, if it says so.
    session: Option<SessionId>,
}

fn members(held: &[Held<'_>]) -> Vec<Fingerprint> {
    held.iter().map(|held| held.member).collect()
}

/// Those who say, before a session, that they bound themselves to an input set in an earlier one.
#[derive(Default)]
struct Bound<'r> {
    members: Vec<Fingerprint>,
    /// Recipients among them that have its result, by agreement.
    results: BTreeMap<&'r str, Vec<Held<'r>>>,
}

impl<'r> Bound<'r> {
    fn hold(&mut self, agreement: &'r str, held: Held<'r>) {
        self.members.push(held.member);
        self.results.entry(agreement).or_default().push(held);
    }

    /// The result of the earlier session: all recipients hold it, or in the model `guaranteed` enough for it to stand.
    fn result(&self, job: &Job, names: &Names<'_>) -> Result<Option<Agreed>, Outcome> {
        let others = |agreement: &str| -> Vec<Fingerprint> {
            let others = self.results.iter().filter(|(other, _)| **other != agreement);
            others.flat_map(|(_, held)| members(held)).collect()
        };
        let found = self.results.iter().find(|(agreement, held)| {
            let others = others(agreement);
            (others.is_empty() && held.len() == job.recipients.len()) || stands(held, &others, job, names)
        });
        let Some((agreement, held)) = found else { return Ok(None) };
        let mut remarks = Vec::new();
        let told = told_of(held, &others(agreement), &mut remarks, job, names)?;
        remarks.extend(missing(held, &others(agreement), job, names));
        // An older version does not say which session it was.
        let sessions = said_by_operators(held, names, |held| held.session);
        Ok(Some(Agreed {
            agreement: (*agreement).to_owned(),
            session: sessions.flatten().unwrap_or(job.session),
            contributors: contributors(held, names),
            remarks,
            told,
            timing: TaskTiming::default(),
        }))
    }

    /// Whether they may be liars in the model `guaranteed`, whose results are not theirs to prevent. A set is opened after
    /// n-t compute peers signed it, so more honest ones than t would say here that they are bound, or be away.
    fn may_be_invented(&self, prepared: &Reported, job: &Job, names: &Names<'_>) -> bool {
        let ready = |member: &Fingerprint| matches!(prepared.get(member), Some(Some(Report::Prepared { .. })));
        job.task.model() == SecurityModel::Guaranteed.name()
            && names.operators(job.compute.iter().filter(|member| !ready(member))) <= names.may_lie()
    }
}

/// Whether, in the model `guaranteed`, a result stands against what others say: more operators hold it than may lie, so that
/// an honest one does, and what an honest recipient of that model holds is right; and no more are against it than may lie.
fn stands(held: &[Held<'_>], against: &[Fingerprint], job: &Job, names: &Names<'_>) -> bool {
    job.task.model() == SecurityModel::Guaranteed.name()
        && names.operators(held.iter().map(|held| &held.member)) > names.may_lie()
        && names.operators(against) <= names.may_lie()
}

/// What is told of a result that stands, and what is remarked of those who say otherwise.
fn told_of(
    held: &[Held<'_>],
    odd: &[Fingerprint],
    remarks: &mut Vec<String>,
    job: &Job,
    names: &Names<'_>,
) -> Result<Vec<Told>, Outcome> {
    let (told, telling) = told_alike(held, job, names).map_err(|why| Outcome::Failed { why })?;
    if !odd.is_empty() {
        remarks.push(outvoted(format!("the result of {} differs", names.all(odd))));
    }
    if !telling.is_empty() {
        remarks.push(outvoted(format!("what {} tells of the result differs", names.all(&telling))));
    }
    Ok(told)
}

fn outvoted(what: String) -> String {
    format!("{what}; more operators hold the same result than may be corrupted")
}

/// Recipients that have no result at all.
fn missing(held: &[Held<'_>], odd: &[Fingerprint], job: &Job, names: &Names<'_>) -> Option<String> {
    let has = |member: &Fingerprint| odd.contains(member) || held.iter().any(|held| held.member == *member);
    let missing: Vec<_> = job.recipients.iter().filter(|member| !has(member)).collect();
    (!missing.is_empty()).then(|| format!("{} did not receive the result", names.all(missing)))
}

/// What holders of the same result tell of it, and who tells otherwise than more operators than may lie: the agreement is a
/// hash that says nothing about what is told in clear. Without such a majority, nothing where two differ.
fn told_alike(held: &[Held<'_>], job: &Job, names: &Names<'_>) -> Result<(Vec<Told>, Vec<Fingerprint>), String> {
    let mut tellings: Vec<Vec<Held<'_>>> = Vec::new();
    let (open, sealed): (Vec<&Held<'_>>, Vec<&Held<'_>>) =
        held.iter().partition(|held| matches!(held.told, Some(Told::Open(_))));
    // In clear nobody tells what was asked for with a key, so whoever does has made it up.
    let clear = job.ask().is_none_or(|ask| ask.request.tell_gateway);
    for one in open.into_iter().filter(|_| clear) {
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
pub(super) fn judge(done: &Reported, job: &Job, names: &Names<'_>) -> Outcome {
    let mut agreements: BTreeMap<&str, Vec<Held<'_>>> = BTreeMap::new();
    let mut remarks = Vec::new();
    let mut faults = Vec::new();
    let mut accused = Accused::default();
    let mut is_frozen = false;
    let mut lost = Vec::new();
    for (member, report) in done {
        match report {
            Some(Report::Done { agreement, contributors: count, faults: wrong, left_out, told: result, .. }) => {
                is_frozen = true;
                if let (true, Some(agreement)) = (job.recipients.contains(member), agreement) {
                    let told = result.as_ref();
                    let held = Held { member: *member, contributors: *count, told, session: Some(job.session) };
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
                is_frozen |= bound;
                faults.push((*member, fault));
            }
            _ => lost.push(*member),
        }
    }
    let mut by_count: Vec<_> = agreements.into_iter().collect();
    by_count.sort_by_key(|(_, held)| core::cmp::Reverse(held.len()));
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
            let odd: Vec<_> = odd.iter().flat_map(|(_, held)| members(held)).collect();
            let told = match told_of(held, &odd, &mut remarks, job, names) {
                Ok(told) => told,
                Err(outcome) => return outcome,
            };
            remarks.extend(accused.texts(job, names));
            remarks.extend(doubts.iter().map(doubted).map(outvoted));
            remarks.extend(missing(held, &odd, job, names));
            remarks.sort();
            remarks.dedup();
            Outcome::Done(Agreed {
                agreement: (*agreement).to_owned(),
                session: job.session,
                contributors: contributors(held, names),
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
        [] if is_frozen => frozen(done, job, explain(&faults, &lost, job, names)),
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
            let mut apart = Differing::default();
            for (member, fault) in &faults {
                if let Fault::Apart { missing, until } = fault {
                    apart.note(*member, missing, *until);
                }
            }
            if let Some(outcome) = apart.outcome(names) {
                return outcome;
            }
            // Whoever does not know the session was restarted since.
            let own = |fault: &Fault| matches!(fault, Fault::Own | Fault::Apart { .. } | Fault::Order);
            let own = faults.iter().filter(|(_, fault)| own(fault));
            let gone: Vec<Fingerprint> = own.map(|(member, _)| *member).chain(lost).collect();
            let mut unreached = Unreached::default();
            // Whoever ends because somebody is gone is lost to the next in turn, and is there for another attempt.
            if gone.is_empty() {
                for (member, fault) in &faults {
                    if let Fault::Lost { members } = fault {
                        let _named = unreached.note(member, members, job);
                    }
                }
            }
            let without = unreached.left_out(gone, job, names);
            Outcome::Repair { without, why }
        }
    }
}

/// What a frozen set comes to that nobody has told a result of. A recipient makes it durable before it reports, so whoever
/// was cut off meanwhile may hold it.
fn frozen(reported: &Reported, job: &Job, why: String) -> Outcome {
    let heard = |member: &Fingerprint| match reported.get(member) {
        None | Some(None | Some(Report::Declined { why: Decline::Busy })) => false,
        Some(Some(_)) => true,
    };
    match job.recipients.iter().any(heard) {
        true => Outcome::Failed { why },
        false => Outcome::Unheard { recipients: job.recipients.clone(), why },
    }
}

/// How many contributed, as the operators of most say that hold the result; fewer, if as many say one thing as another.
fn contributors(held: &[Held<'_>], names: &Names<'_>) -> u32 {
    said_by_operators(held, names, |held| core::cmp::Reverse(held.contributors)).map_or(0, |count| count.0)
}

/// What most operators say of those who hold the result; the largest, if as many say one thing as another. The agreement is
/// a hash that does not cover it.
fn said_by_operators<T: Ord>(held: &[Held<'_>], names: &Names<'_>, said: impl Fn(&Held<'_>) -> T) -> Option<T> {
    let mut votes: BTreeMap<T, Vec<Fingerprint>> = BTreeMap::new();
    held.iter().for_each(|held| votes.entry(said(held)).or_default().push(held.member));
    votes.into_iter().max_by_key(|(_, members)| names.operators(members)).map(|(what, _)| what)
}

/// Whether a recipient saw something that contradicts the result of others. A loss does not.
fn is_contradiction(job: &Job, member: &Fingerprint, fault: &Fault) -> bool {
    let contradicts = fault.is_cheating() || matches!(fault, Fault::Shares | Fault::Misbehaved { .. } | Fault::Range);
    contradicts && job.recipients.contains(member)
}
