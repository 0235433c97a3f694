//! The part of a policy that is about clients' tasks.

use std::collections::BTreeMap;

use tacit_accord::Charter;
use tacit_engine::{Level, Plan, SecurityModel};
use tacit_job::{Ask, Decline, Job, Terms, Window};
use tacit_model::api::TaskRequest;
use tacit_model::{CLOCK_SKEW_MS, Fingerprint, UnixMillis};
use tacit_store::{Apart, AskedRow, Clash, Look, OpenedRow, SpendRow, StoreError};

use super::{Policy, fewest_inputs};
use crate::party::Inner;

/// A task is taken up to so long after the moment it is for.
const LATE_MS: i64 = 5 * 60_000;

/// Why a client's task is against the policy. For the owner of the peer only.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskRefusal {
    /// No tasks at all.
    #[error("this peer's policy takes no tasks of clients")]
    NoTasks,
    /// A purpose that is not on the list.
    #[error("the purpose {0:?} is not one that this peer's policy allows")]
    Purpose(String),
    /// A series that is not on the list.
    #[error("the series {0:?} is not one that this peer's policy gives from")]
    Source(String),
    /// The client is not on the list, or did not sign.
    #[error("the client {0} is not one that this peer's policy serves")]
    Client(String),
    /// The gateway would learn the result.
    #[error("the task tells the gateway the result, and this peer's policy does not")]
    TellsGateway,
    /// A branch's part for a gateway that is not on the list.
    #[error("the task is a part of one of a gateway above that this peer's policy does not name: set parents")]
    Parent,
    /// Too few who give data.
    #[error("{found} members would give data, this peer's policy wants at least {wanted} for a task")]
    FewParticipants {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// Too few operators behind them.
    #[error("{found} operators would give data, this peer's policy wants at least {wanted}")]
    FewOperators {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// Asked for another time.
    #[error("the task is for {at}, and now is {now}: it has expired, or the clocks differ")]
    Expired {
        /// The moment it is for.
        at: UnixMillis,
        /// The moment.
        now: UnixMillis,
    },
    /// The budget of queries is spent.
    #[error("{found} tasks took part of this peer's data within {span}, its policy allows {most}")]
    Budget {
        /// How many there were.
        found: u64,
        /// How many there may be.
        most: u64,
        /// In what time.
        span: &'static str,
    },
    /// The same data with other members: the difference of two results would tell who gave what.
    #[error("{name:?} of {window} went into a result with other members before; ask for a later window")]
    Overlap {
        /// The series.
        name: String,
        /// What was asked for.
        window: Window,
    },
    /// A result over the same records of others: the difference of two would tell who gave what.
    #[error(
        "a result over {name:?} of {window} may have been opened with other members, some of whom are in this one, too; ask \
         for a later window, one that begins at {until} or after, or with the same members", until = .apart.until
    )]
    Company {
        /// The series.
        name: String,
        /// What was asked for.
        window: Window,
        /// Who is not in this one, and from when on it does not matter.
        apart: Apart,
    },
    /// It is not known any more with whom results over these records were opened.
    #[error(
        "which results over {name:?} of {window} this peer computed it knows only from {upto} on (keep_samples_hours lets go of \
         what is older), so it computes none that reaches further back; ask for a window that begins then or later, or keep \
         longer than the longest window that is asked for"
    )]
    Forgotten {
        /// The series.
        name: String,
        /// What was asked for.
        window: Window,
        /// Up to here it was let go of.
        upto: UnixMillis,
    },
    /// It asks which records meet a condition.
    #[error(
        "the task takes only records that meet a condition ({0}), and this peer's policy gives all or none: a result over few \
         records may tell one of them; set conditions to allow it"
    )]
    Condition(String),
    /// Its bounds do not hold all values that a series can have.
    #[error(
        "the task takes values from {least} to {most}, and {name:?} has some from {from} to {to} by this peer's policy \
         (ranges): its client must take all of them"
    )]
    Range {
        /// The series.
        name: String,
        /// The least value that it can have.
        from: String,
        /// The largest.
        to: String,
        /// The least value the task takes.
        least: String,
        /// The largest.
        most: String,
    },
    /// Its bounds leave records out.
    #[error(
        "the task takes values from {least} to {most}, which leaves {left_out} of this peer's records out, and its policy \
         gives all or none; set conditions to allow it, or ranges, so that such an answer tells nothing of the records"
    )]
    LeftOut {
        /// How many.
        left_out: usize,
        /// The least value it takes.
        least: String,
        /// The largest.
        most: String,
    },
    /// Exact numbers of a series whose leakage is bounded.
    #[error(
        "{name:?} has a budget of epsilon or delta, and {aggregator} opens exact numbers; only aggregators with noise are \
         given it"
    )]
    Exact {
        /// The series.
        name: String,
        /// The aggregator.
        aggregator: String,
    },
    /// The budget of a series is spent.
    #[error("{name:?} has spent {what} {spent} of {most}, and this would cost {cost} more")]
    Spent {
        /// `epsilon` or `delta`.
        what: &'static str,
        /// The series.
        name: String,
        /// What all results so far have cost.
        spent: String,
        /// What this one costs.
        cost: String,
        /// What all may cost.
        most: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TaskRefusal {
    /// Why a window cannot be computed with this company.
    pub(crate) fn of(clash: Clash, row: &OpenedRow) -> Self {
        let (name, window) = (row.source.clone(), Window { from: row.from_ms, to: row.to_ms });
        match clash {
            Clash::Company(apart) => Self::Company { name, window, apart },
            Clash::Forgotten(upto) => Self::Forgotten { name, window, upto },
        }
    }

    /// Who is missing from this one, and from when on windows are free, if that is why.
    pub(crate) fn apart(&self) -> Option<(Vec<Fingerprint>, UnixMillis)> {
        match self {
            Self::Company { apart, .. } => Some((apart.missing.clone(), apart.until)),
            _ => None,
        }
    }

    /// What the gateway hears of it.
    pub(crate) fn decline(&self) -> Decline {
        let apart = self.apart().map(|(missing, until)| Decline::Apart { missing, until });
        apart.unwrap_or(Decline::Policy)
    }
}

/// Whether a computation of a task for this moment comes too late, also if its owners took all the time they have.
pub(crate) fn is_late(request: &TaskRequest, at: UnixMillis, now: UnixMillis) -> bool {
    now.since(at) > LATE_MS.saturating_add(i64::from(request.approval_s) * 1000)
}

/// A client's task with what a peer knows about it.
pub(crate) struct Asked<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) terms: &'a Terms,
    /// This peer.
    pub(crate) me: Fingerprint,
    /// Who signed it.
    pub(crate) client: Option<Fingerprint>,
    /// The moment it is for.
    pub(crate) at: UnixMillis,
    pub(crate) now: UnixMillis,
}

/// A computation of a task, before any record is read.
pub(crate) struct Unread<'a> {
    pub(crate) job: &'a Job,
    pub(crate) plan: &'a Plan,
    /// What this peer would know to be opened, if it computes.
    pub(crate) opened: &'a [OpenedRow],
    /// The series that it gives from, if it gives.
    pub(crate) gives: Option<&'a [&'a str]>,
}

impl Policy {
    /// All that is asked of a computation before a record is read, once the task itself was judged ([`Self::judge_task`]);
    /// what it costs. This and [`Self::judge_read`] are the whole list, for Prepare and for whoever judges again.
    pub(crate) async fn judge_unread(
        &self,
        party: &Inner,
        look: &mut Look,
        asked: &Asked<'_>,
        work: &Unread<'_>,
    ) -> Result<Vec<SpendRow>, TaskRefusal> {
        self.judge_company_before(party, look, work.opened).await?;
        let Some(sources) = work.gives else { return Ok(Vec::new()) };
        let spent = self.judge_budget(party, look, work.job, work.plan, sources, asked.now).await?;
        // Who gives a branch's part has no records of its own in it.
        if work.plan.level() != Level::Root {
            self.judge_conditions(&asked.ask.request)?;
            self.judge_ranges(&asked.ask.request, &asked.terms.scale)?;
        }
        Ok(spent)
    }

    /// All that is asked of what would be given, of which the task's bounds leave so many records out.
    pub(crate) async fn judge_read(
        &self,
        party: &Inner,
        look: &mut Look,
        asked: &Asked<'_>,
        left_out: usize,
        taken: &[AskedRow],
    ) -> Result<(), TaskRefusal> {
        self.judge_left_out(&asked.ask.request, left_out)?;
        self.judge_history(party, look, taken, asked.now).await
    }

    /// How long samples are kept, in milliseconds.
    pub(crate) fn keep_samples_ms(&self) -> i64 {
        // A policy of an older version may say 0.
        i64::from(self.keep_samples_hours.max(1)).saturating_mul(3_600_000)
    }

    /// Whether this peer takes part in a client's task, as far as the task itself says.
    pub(crate) fn judge_task(&self, asked: &Asked<'_>, job: &Job, charter: &Charter) -> Result<(), TaskRefusal> {
        let request = &asked.ask.request;
        if !self.tasks {
            return Err(TaskRefusal::NoTasks);
        }
        if !self.purposes.is_empty() && !self.purposes.contains(&request.purpose) {
            return Err(TaskRefusal::Purpose(request.purpose.clone()));
        }
        let gives = |source: &&str| self.sources.is_empty() || self.sources.iter().any(|s| s == source);
        if let Some(source) = asked.terms.series(request).find(|source| !gives(source)) {
            return Err(TaskRefusal::Source(source.to_owned()));
        }
        if !self.clients.is_empty() && !asked.client.is_some_and(|client| self.clients.contains(&client)) {
            let who = asked.client.map_or_else(|| "without a signature".to_owned(), |client| client.to_string());
            return Err(TaskRefusal::Client(who));
        }
        let tells = request.tell_gateway || request.parent.as_ref().is_some_and(|above| above.task.tell_gateway);
        if tells && !self.tell_gateway {
            return Err(TaskRefusal::TellsGateway);
        }
        let (at, now) = (asked.at, asked.now);
        if at.since(now) > CLOCK_SKEW_MS || is_late(request, at, now) {
            return Err(TaskRefusal::Expired { at, now });
        }
        // Losses before the freeze may bring it down to what the task says.
        let found = usize::try_from(request.min_participants).unwrap_or(usize::MAX).min(job.inputs.len());
        if found < self.min_participants {
            return Err(TaskRefusal::FewParticipants { found, wanted: self.min_participants });
        }
        let found = match freezes(&asked.me, job) {
            // Who is lost on the way is known at the freeze, see `judge_company`.
            true => by_operator(&job.inputs, charter).len(),
            false => fewest_operators(&asked.me, job, charter),
        };
        self.enough_operators(found, charter)
    }

    /// Whether a task may leave records of this peer out by its conditions. To be asked of who gives records.
    fn judge_conditions(&self, request: &TaskRequest) -> Result<(), TaskRefusal> {
        match self.conditions || request.filter.is_empty() {
            true => Ok(()),
            false => Err(TaskRefusal::Condition(request.filter.join(", "))),
        }
    }

    /// Whether it may leave so many out by its bounds.
    fn judge_left_out(&self, request: &TaskRequest, left_out: usize) -> Result<(), TaskRefusal> {
        match self.conditions || left_out == 0 {
            true => Ok(()),
            false => Err(TaskRefusal::LeftOut { left_out, least: request.least.clone(), most: request.most.clone() }),
        }
    }

    /// Whether those whose data is about to be bound are enough: losses may have made them fewer than the job named.
    pub(crate) fn judge_company(&self, contributors: &[Fingerprint], charter: &Charter) -> Result<(), TaskRefusal> {
        let found = contributors.len();
        if found < self.min_participants {
            return Err(TaskRefusal::FewParticipants { found, wanted: self.min_participants });
        }
        self.enough_operators(by_operator(contributors, charter).len(), charter)
    }

    fn enough_operators(&self, found: usize, charter: &Charter) -> Result<(), TaskRefusal> {
        match charter.test_mode || found >= self.min_operators {
            true => Ok(()),
            false => Err(TaskRefusal::FewOperators { found, wanted: self.min_operators }),
        }
    }

    /// Whether results over these windows would make no difference with earlier ones that this peer computed (rule 3).
    async fn judge_company_before(
        &self,
        party: &Inner,
        look: &mut Look,
        rows: &[OpenedRow],
    ) -> Result<(), TaskRefusal> {
        for row in rows.iter().filter(|_| self.disjoint_windows) {
            if let Some(clash) = look.opened_with_others(&party.name, row).await? {
                return Err(TaskRefusal::of(clash, row));
            }
        }
        Ok(())
    }

    /// Whether the budget of queries allows one more, and whether the window is disjoint from those that
    /// went into results with other members (rule 3). `rows` is what would go into this one.
    async fn judge_history(
        &self,
        party: &Inner,
        look: &mut Look,
        rows: &[AskedRow],
        now: UnixMillis,
    ) -> Result<(), TaskRefusal> {
        let name = &party.name;
        // What is on its way counts too: it is noted when it is frozen. The group's own slots are no tasks.
        let under_way = u64::try_from(party.sessions.open_tasks().saturating_sub(1)).unwrap_or(u64::MAX);
        let budgets = [("a minute", 60_000, self.tasks_per_minute), ("a day", 86_400_000, self.tasks_per_day)];
        for (span, ms, most) in budgets.into_iter().filter(|(_, _, most)| *most > 0) {
            let (found, most) = (look.asked_since(name, now.plus(-ms)).await?, u64::from(most));
            let found = found.saturating_add(under_way);
            if found >= most {
                return Err(TaskRefusal::Budget { found, most, span });
            }
        }
        for row in rows.iter().filter(|_| self.disjoint_windows) {
            let window = Window { from: row.from_ms, to: row.to_ms };
            if look.asked_with_others(name, row).await? {
                return Err(TaskRefusal::Overlap { name: row.source.clone(), window });
            }
        }
        Ok(())
    }
}

/// Whether nothing of a job can be opened before this peer has agreed to the very set. In `guaranteed` the others
/// can do without it.
pub(crate) fn freezes(me: &Fingerprint, job: &Job) -> bool {
    job.compute.contains(me) && SecurityModel::named(job.task.model()) != Some(SecurityModel::Guaranteed)
}

/// How many of these members each operator has.
fn by_operator<'a>(members: &[Fingerprint], charter: &'a Charter) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for member in members.iter().filter_map(|member| charter.member(member)) {
        *counts.entry(member.operator.as_str()).or_insert(0) += 1;
    }
    counts
}

/// How many operators are left at least, whoever of the others is lost: the smallest set that the task goes on with,
/// filled from this peer's own operator first, then from the largest of the others.
fn fewest_operators(me: &Fingerprint, job: &Job, charter: &Charter) -> usize {
    let mut left = fewest_inputs(job);
    let mine = charter.member(me).filter(|_| job.inputs.contains(me)).map(|me| me.operator.as_str());
    let mut sizes: Vec<(bool, usize)> =
        by_operator(&job.inputs, charter).into_iter().map(|(name, size)| (Some(name) == mine, size)).collect();
    sizes.sort_unstable_by_key(|size| core::cmp::Reverse(*size));
    let mut operators = 0;
    for (_, size) in sizes {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(size);
        operators += 1;
    }
    operators
}
