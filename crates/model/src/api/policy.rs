//! Policies of peers, and what their owners are asked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::TaskRequest;
use crate::Fingerprint;

/// What a peer is willing to take part in, on top of the rules that hold for everybody. Its own operator decides;
/// the gateway learns only "no". In `node.toml` under `[policy]`, or set while the peer runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerPolicy {
    /// The signed roster must have at least so many operators that compute (in a test-mode group: so
    /// many members). What a session needs of them is the threshold's matter: losses do not lower that.
    pub min_computing: usize,
    /// At least so many members must give data.
    pub min_inputs: usize,
    /// Aggregators that are allowed; empty means all.
    pub aggregators: Vec<String>,
    /// Security models that are allowed; empty means all.
    pub models: Vec<String>,
    /// Give shares only to members whose fingerprint this peer's own operator has verified.
    ///
    /// Without it, whoever holds the manager key of a group without owners can name t+1 computing
    /// members of its own and read what is given to them.
    pub verified_only: bool,
    /// The fingerprints that the operator verified.
    pub verified: BTreeSet<Fingerprint>,
    /// Whether clients' tasks are taken at all.
    pub tasks: bool,
    /// Purposes that are allowed; empty means all.
    pub purposes: Vec<String>,
    /// Series that are given from; empty means all.
    pub sources: Vec<String>,
    /// Clients that are served, by the key they sign with; empty means all that the gateway authorises.
    pub clients: BTreeSet<Fingerprint>,
    /// Whether a task may tell the gateway its result.
    pub tell_gateway: bool,
    /// At least so many members must give data to a task.
    pub min_participants: usize,
    /// At least so many operators must be behind them (not asked in a test-mode group).
    pub min_operators: usize,
    /// In so many computations of tasks a minute this peer takes part; 0 means any number. Slots of the group are none.
    pub tasks_per_minute: u32,
    /// In so many a day; 0 means any number.
    pub tasks_per_day: u32,
    /// Give the same records to results with different members never. Without it, the difference of two
    /// results may tell what one member gave.
    pub disjoint_windows: bool,
    /// Whether a task may take some of this peer's records and leave others: by a condition, or by bounds that some do
    /// not fit. A result over few records may tell one of them, however many members take part. Without it this peer
    /// takes part with all its records of the window, or not at all.
    pub conditions: bool,
    /// The values that a series can have, as `NAME=FROM..TO`; `*` is every series without an entry of its own. A task
    /// whose bounds do not hold all of them is declined before any record is read, and under others a value beyond them
    /// stays out. Without a range, an answer tells whether a record is beyond the bounds that a task chose.
    pub ranges: Vec<String>,
    /// Ask the owner before this peer gives data to a task. Approved once, a task is approved for all its
    /// computations.
    pub manual_approval: bool,
    /// Gateways above: this peer's part may go, as shares, into results over branches that one of them asks for, by
    /// their certificates; empty means none.
    pub parents: BTreeSet<Fingerprint>,
    /// The party of this node, in a group of its own, whose shares this peer gives to tasks over branches; at most one.
    pub branch: Vec<String>,
    /// So much epsilon all results with noise over a series may cost together, as `NAME=DECIMAL`. `*` is every
    /// series without an entry of its own, `(queue)` the rows of a group's slots. A series with a budget is given to
    /// aggregators with noise only. What is spent stays spent.
    pub epsilon_budgets: Vec<String>,
    /// The same of delta.
    pub delta_budgets: Vec<String>,
    /// So many samples are kept; of more the oldest are let go.
    pub max_samples: u64,
    /// For so many hours samples are kept.
    pub keep_samples_hours: u32,
}

impl Default for PeerPolicy {
    fn default() -> Self {
        Self {
            min_computing: 3,
            min_inputs: 2,
            aggregators: Vec::new(),
            models: Vec::new(),
            verified_only: false,
            verified: BTreeSet::new(),
            tasks: true,
            purposes: Vec::new(),
            sources: Vec::new(),
            clients: BTreeSet::new(),
            tell_gateway: true,
            min_participants: 3,
            min_operators: 2,
            tasks_per_minute: 0,
            tasks_per_day: 0,
            disjoint_windows: true,
            conditions: false,
            ranges: Vec::new(),
            manual_approval: false,
            parents: BTreeSet::new(),
            branch: Vec::new(),
            epsilon_budgets: Vec::new(),
            delta_budgets: Vec::new(),
            max_samples: 1_000_000,
            keep_samples_hours: 24 * 366,
        }
    }
}

/// The policy in force at a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyBody {
    /// Whether it was set while the peer ran; otherwise it is the one of `node.toml`.
    pub own: bool,
    /// The rules.
    pub policy: PeerPolicy,
    /// What results with noise have cost so far, by series.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<SpentBody>,
}

/// What results with noise have cost a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentBody {
    /// The series; `(queue)` for rows of slots.
    pub source: String,
    /// All epsilons together, decimal.
    pub epsilon: String,
    /// All deltas together, decimal.
    pub delta: String,
    /// How many computations; one that was given up after it was paid for counts.
    pub results: u64,
}

/// A task that the owner of a peer is or was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalBody {
    /// The task's id.
    pub task: String,
    /// `waiting`, `approved`, `refused`, or `over` if nobody decided while it mattered.
    pub state: String,
    /// What the client asks for.
    pub request: TaskRequest,
    /// The certificate of the client, if it signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Fingerprint>,
    /// When it was first asked.
    pub asked: String,
    /// When the owner decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
}

/// Tasks that the owner of a peer is or was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalList {
    /// The latest first.
    pub approvals: Vec<ApprovalBody>,
}

/// What the owner decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalDecision {
    /// Whether this peer takes part.
    pub approved: bool,
}
