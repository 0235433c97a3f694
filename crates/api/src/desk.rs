//! What the edge needs of the parties that this node hosts.
//!
//! `PartyDesk::from(parties)` is the real one; tests plug in their own.

mod parties;

use core::future::Future;
use core::pin::Pin;
use std::collections::BTreeSet;
use std::sync::Arc;

use tacit_accord::{Consensus, MemberRole};
use tacit_model::api::{
    ApprovalBody, CompareBody, CompareRequest, JobBody, OfferBody, PairingState, PeerPolicy, PolicyBody,
};
use tacit_model::{Fingerprint, GroupId, RunId, Slot, UnixMillis};
use tacit_party::source::{AboveMax, Row, SampleText};
use tacit_store::Redacted;

/// A peer, a run or all, and the first slot.
type ResultsAsked = (String, Option<RunId>, Option<Slot>);
/// And whether there are more.
type ResultsFound = (Vec<PartyResult>, bool);

/// Who wants to become a member, and where.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// Base address of the gateway; empty to look for one.
    pub gateway_url: String,
    /// Its certificate, if it is known from another channel; then nobody else is believed.
    pub gateway_fingerprint: Option<Fingerprint>,
    /// The one-time code.
    pub code: Redacted<String>,
    /// The name in the group and on this node.
    pub name: String,
    /// What it does.
    pub role: MemberRole,
    /// Where its HTTP edge is.
    pub url: String,
    /// Who runs it; empty for its own name.
    pub operator: String,
    /// A key of an older system, shown as a label.
    pub label_key: Option<String>,
    /// Where results are posted.
    pub final_results_url: Option<String>,
    /// A key that lies in the node's key folder already; a new one is made if absent.
    pub key: Option<Fingerprint>,
}

/// What is known of a party right now.
#[derive(Clone, Debug)]
pub struct PartyFacts {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: MemberRole,
    /// Its group.
    pub gid: Option<GroupId>,
    /// Its certificate.
    pub fingerprint: Option<Fingerprint>,
    /// Its gateway's address.
    pub gateway_url: String,
    /// Its gateway's certificate, as pinned.
    pub gateway_fingerprint: Option<Fingerprint>,
    /// What its operator and the gateway's read to each other.
    pub comparison: Option<String>,
    /// Whether that was done, or the certificate came from the operator; without, it does not compute.
    pub gateway_compared: bool,
    /// Where results are posted.
    pub final_results_url: Option<String>,
    /// A key of an older system.
    pub label_key: Option<String>,
    /// The code it registered with; P2DS clients authenticate by it.
    pub registration_code: Redacted<String>,
    /// What its gateway last said of the pairing.
    pub pairing: PairingState,
    /// 0 unknown, 1 started, 2 error, 3 stopped.
    pub status: i64,
    /// Whether its control link is open.
    pub connected: bool,
    /// The run it takes part in.
    pub run: Option<RunId>,
    /// Rows that wait for their slot.
    pub queued: u64,
    /// Why it last failed since the node started, for its owner.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<UnixMillis>,
    /// When it failed before that, and why; the latest first.
    pub earlier_errors: Vec<(UnixMillis, String)>,
}

/// A row, and when its slot begins if slots are not only counted.
pub struct TimedRow {
    /// The start of the slot.
    pub slot_start: Option<UnixMillis>,
    /// The values.
    pub row: Row,
}

/// Rows are durable.
#[derive(Clone, Copy, Debug)]
pub struct RowsKept {
    /// How many.
    pub accepted: usize,
    /// The first slot without a row.
    pub next_slot: Option<Slot>,
}

/// One result.
#[derive(Clone)]
pub struct PartyResult {
    /// The run.
    pub run: RunId,
    /// The slot.
    pub slot: Slot,
    /// One number per item; where statistics are computed, the opened sums.
    pub values: Vec<u128>,
    /// The named numbers of a statistic.
    pub statistics: Vec<(String, f64)>,
    /// Why the sums make no statistic.
    pub no_result: Option<String>,
    /// The id of the client's task.
    pub task: Option<String>,
    /// How many contributed.
    pub contributors: u32,
    /// When it became durable.
    pub at: UnixMillis,
}

/// What a party knows of its group.
#[derive(Clone, Debug, Default)]
pub struct PartyRoster {
    /// The consensus it last accepted.
    pub consensus: Option<Consensus>,
    /// What it was last asked to do, in words.
    pub last_job: Option<String>,
}

/// Why a party did not do what was asked. Nothing changed. No text holds data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// Nobody of this name is here.
    #[error("there is no such peer on this node; `tacit peer list` shows which there are")]
    NotFound,
    /// Its owner was not asked about this task.
    #[error("this peer was not asked about that task; `tacit policy approvals NAME` shows which")]
    NotAsked,
    /// It runs already.
    #[error("this peer is running already")]
    Running,
    /// It takes part in no run.
    #[error("this peer is not running; start it first: `tacit group start` at the gateway, or `tacit peer start` here")]
    NotRunning,
    /// The code is unknown or was used.
    #[error("this registration code is unknown or was used; ask for a new one")]
    Code,
    /// It clashes with what is there.
    #[error("{0}")]
    Conflict(String),
    /// A value is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// The gateway, the charter or a check said no.
    #[error("{0}")]
    Refused(String),
    /// Too many rows wait.
    #[error("the input queue is full; try again in {retry_after} s")]
    TooMany {
        /// When to try again, in seconds.
        retry_after: u64,
    },
    /// The gateway does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// A failure of the node itself.
    #[error("{0}")]
    Internal(String),
}

/// An asynchronous operation.
pub(crate) type Operation<A, R> =
    Arc<dyn Fn(A) -> Pin<Box<dyn Future<Output = Result<R, DeskError>> + Send>> + Send + Sync>;

/// The parties that this node hosts, as a set of operations: whoever builds the node plugs them in.
#[derive(Clone)]
pub struct PartyDesk {
    pub(crate) join: Operation<JoinRequest, PartyFacts>,
    pub(crate) list: Operation<(), Vec<PartyFacts>>,
    pub(crate) get: Operation<String, PartyFacts>,
    pub(crate) remove: Operation<String, ()>,
    pub(crate) start: Operation<String, ()>,
    pub(crate) stop: Operation<String, ()>,
    pub(crate) add_rows: Operation<(String, Vec<TimedRow>, AboveMax), RowsKept>,
    pub(crate) results: Operation<ResultsAsked, ResultsFound>,
    pub(crate) roster: Operation<String, PartyRoster>,
    pub(crate) compare: Operation<(String, Option<Fingerprint>, Option<String>), ()>,
    pub(crate) add_samples: Operation<(String, Vec<SampleText>), usize>,
    pub(crate) offer: Operation<String, OfferBody>,
    pub(crate) set_labels: Operation<(String, BTreeSet<String>), ()>,
    pub(crate) policy: Operation<String, PolicyBody>,
    pub(crate) set_policy: Operation<(String, Option<PeerPolicy>), PolicyBody>,
    pub(crate) approvals: Operation<String, Vec<ApprovalBody>>,
    pub(crate) decide_approval: Operation<(String, String, bool), ApprovalBody>,
    pub(crate) compare_average: Operation<(String, CompareRequest), CompareBody>,
    pub(crate) jobs: Operation<(String, u32), Vec<JobBody>>,
}

macro_rules! plugs {
    ($($(#[$doc:meta])* $name:ident($argument:ty) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name<F, Fut>(mut self, operation: F) -> Self
        where
            F: Fn($argument) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<$answer, DeskError>> + Send + 'static,
        {
            self.$name = Arc::new(move |argument| Box::pin(operation(argument)));
            self
        }
    )*};
}

impl PartyDesk {
    /// A desk at which nothing is done yet: nobody is here, and every operation is refused.
    pub fn new() -> Self {
        fn closed<A: 'static, R: Send + 'static>() -> Operation<A, R> {
            Arc::new(|_| Box::pin(core::future::ready(Err(DeskError::NotFound))))
        }
        Self {
            join: closed(),
            list: Arc::new(|()| Box::pin(core::future::ready(Ok(Vec::new())))),
            get: closed(),
            remove: closed(),
            start: closed(),
            stop: closed(),
            add_rows: closed(),
            results: closed(),
            roster: closed(),
            compare: closed(),
            add_samples: closed(),
            offer: closed(),
            set_labels: closed(),
            policy: closed(),
            set_policy: closed(),
            approvals: closed(),
            decide_approval: closed(),
            compare_average: closed(),
            jobs: closed(),
        }
    }

    plugs! {
        /// Makes an identity, registers at the gateway and opens the party.
        join(JoinRequest) -> PartyFacts;
        /// Everybody, by name.
        list(()) -> Vec<PartyFacts>;
        /// One party, or `NotFound`.
        get(String) -> PartyFacts;
        /// Stops a party and forgets it with everything it held.
        remove(String) -> ();
        /// Takes part in the group's runs from now on.
        start(String) -> ();
        /// Takes part no longer.
        stop(String) -> ();
        /// Queues rows, all or none.
        add_rows((String, Vec<TimedRow>, AboveMax)) -> RowsKept;
        /// The last results a party received, of one run or of all, or those of a run from a slot on; and whether there are
        /// more of them.
        results((String, Option<RunId>, Option<Slot>)) -> (Vec<PartyResult>, bool);
        /// What a party knows of its group.
        roster(String) -> PartyRoster;
        /// Says what was compared with the gateway's operator: its fingerprint or the code.
        compare((String, Option<Fingerprint>, Option<String>)) -> ();
        /// Adds samples to a party's series, all or none; how many.
        add_samples((String, Vec<SampleText>)) -> usize;
        /// What a party offers to tasks.
        offer(String) -> OfferBody;
        /// Sets a party's labels.
        set_labels((String, BTreeSet<String>)) -> ();
        /// The policy in force.
        policy(String) -> PolicyBody;
        /// Sets a party's policy; without one the node's is in force again.
        set_policy((String, Option<PeerPolicy>)) -> PolicyBody;
        /// Tasks that the owner is or was asked about.
        approvals(String) -> Vec<ApprovalBody>;
        /// The owner's decision on a task.
        decide_approval((String, String, bool)) -> ApprovalBody;
        /// Asks the group for an average, for this party alone.
        compare_average((String, CompareRequest)) -> CompareBody;
        /// What a party was asked to take part in, newest first, at most so many.
        jobs((String, u32)) -> Vec<JobBody>;
    }
}

impl Default for PartyDesk {
    fn default() -> Self {
        Self::new()
    }
}
