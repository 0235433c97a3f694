//! One attempt at one job: Prepare, Link, Session, then agreement of all.
//!
//! Each phase is a [`Barrier`]: everybody is instructed, everybody's report is waited for until the
//! phase's deadline, or until the attempt cannot succeed any more. Before the inputs are frozen a failed
//! attempt may be repaired with other members of the signed roster; after it the slot ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tacit_accord::Consensus;
use tacit_engine::Plan;
use tacit_job::{Job, Report, ToPeer, Told, session_limit};
use tacit_model::api::TaskTiming;
use tacit_model::{Fingerprint, GroupId, SessionId, UnixMillis};
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use crate::directory::{Happening, Reports};
use crate::{Gateway, GatewayError};

mod barrier;
mod unreached;
mod verdict;
mod words;

use barrier::Barrier;
use verdict::{all_linked, judge, nonces};
use words::Names;

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
    Busy { members: Vec<Fingerprint>, why: String },
    /// Nothing was frozen: an honest member says that the result would make a difference with an earlier one. With these
    /// members, or for windows that begin at that moment or later, another attempt may follow.
    Apart { missing: Vec<Fingerprint>, until: UnixMillis, why: String },
    /// A set is frozen, and of those who may hold its result nobody has said whether they do. They say so when they are asked
    /// again; nothing is computed anew.
    Unheard { recipients: Vec<Fingerprint>, why: String },
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

/// Who answered the messages of [`Gateway::ping_group`].
#[derive(Clone, Debug)]
pub struct Pinged {
    /// How many members answered every message.
    pub answered: usize,
    /// Names of the members of the signed roster that did not, in order.
    pub silent: Vec<String>,
    /// How long all messages took.
    pub elapsed: Duration,
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
        let outcome = self.phases(consensus, job, &plan, &members, &mut reports).await;
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
        plan: &Plan,
        members: &[Fingerprint],
        reports: &mut Reports<'_>,
    ) -> Outcome {
        let names = Names(consensus.charter());
        let limits = self.inner.limits;

        let started = Instant::now();
        let prepare = ToPeer::Prepare { job: Box::new(job.clone()), plan: digest_text(&plan.digest().0) };
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
        let limit = session_limit(limits.session, plan);
        let done = self.phase(members, &session, reports, limit).instrument(info_span!("session")).await;
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
    /// before. `through_providers`: members let their SMC providers answer, in one session of each; who has none, or
    /// lets nobody ping it, does not count as having answered.
    pub async fn ping_group(
        &self,
        group: GroupId,
        messages: u32,
        through_providers: bool,
    ) -> Result<Pinged, GatewayError> {
        let consensus = self.current(group).await?;
        let members: Vec<Fingerprint> = self.inner.directory.of_group(group).into_iter().map(|(m, _)| m).collect();
        let session = crate::runs::new_session()?;
        let mut reports = self.inner.directory.watch(session, members.clone());
        let mut answered: BTreeSet<Fingerprint> = members.iter().copied().collect();
        let started = Instant::now();
        for number in 1..=messages {
            let message = match through_providers {
                true => ToPeer::PingProvider { session, number, more: number < messages },
                false => ToPeer::Ping { session },
            };
            let reported = self.phase(&members, &message, &mut reports, self.inner.limits.prepare).await;
            answered.retain(|member| matches!(reported.get(member), Some(Some(Report::Pong))));
        }
        let elapsed = started.elapsed();
        let silent = consensus.charter().members.iter().filter(|member| !answered.contains(&member.fingerprint));
        let mut silent: Vec<String> = silent.map(|member| member.name.clone()).collect();
        silent.sort();
        Ok(Pinged { answered: answered.len(), silent, elapsed })
    }

    fn endpoint(&self, consensus: &Consensus, member: &Fingerprint) -> String {
        let charter = || consensus.charter().member(member).map(|m| m.endpoint.clone()).unwrap_or_default();
        let now = self.inner.directory.present(member).and_then(|present| present.endpoint);
        now.unwrap_or_else(charter)
    }

    /// Instructs everybody and waits until everybody reported, is gone, or is not waited for any longer.
    async fn phase(
        &self,
        members: &[Fingerprint],
        message: &ToPeer,
        reports: &mut Reports<'_>,
        limit: Duration,
    ) -> Reported {
        let mut barrier = Barrier::new(message, Instant::now() + limit);
        for absent in self.inner.directory.send_all(members, message) {
            barrier.gone(absent);
        }
        while barrier.count() < members.len() {
            match tokio::time::timeout_at(barrier.deadline(), reports.next()).await {
                Ok(Some((member, Happening::Report(report)))) => barrier.report(member, report),
                Ok(Some((member, Happening::Gone))) => barrier.gone(member),
                Ok(Some((member, Happening::Anew))) => barrier.anew(member),
                Ok(None) | Err(_) => break,
            }
        }
        barrier.end(members, |silent| self.inner.directory.unanswered(silent))
    }
}

/// The text form of a plan digest in a Prepare.
fn digest_text(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
