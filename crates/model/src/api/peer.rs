//! The parties that a node hosts: joining, rows, results, and what they know of their group.

use serde::{Deserialize, Serialize};

use super::{Decimal, PairingState, PeerRole, Standing};
use crate::{Fingerprint, GroupId, RunId, Slot};

/// A request to become a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinBody {
    /// The party's name, unique at the gateway and on this node.
    pub name: String,
    /// What it does.
    pub role: PeerRole,
    /// Base address of the gateway: its `/api/v1`, or its P2DS address.
    pub gateway_url: String,
    /// The gateway's certificate, if it is known from another channel; then nobody else is believed.
    #[serde(default)]
    pub gateway_fingerprint: Option<Fingerprint>,
    /// The one-time code.
    pub registration_code: String,
    /// Who runs it; its own name if left out.
    #[serde(default)]
    pub operator: Option<String>,
    /// Where results are posted.
    #[serde(default)]
    pub final_results_url: Option<String>,
    /// A key of an older system, base64, shown as a label.
    #[serde(default)]
    pub label_key: Option<String>,
    /// A key that lies in the node's key folder already; a new one is made if left out.
    #[serde(default)]
    pub key: Option<Fingerprint>,
}

/// A party hosted by this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerBody {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: PeerRole,
    /// Its group at its gateway, once registered.
    pub gid: Option<GroupId>,
    /// Its own certificate.
    pub fingerprint: Option<Fingerprint>,
    /// Its gateway's address.
    pub gateway_url: String,
    /// Its gateway's certificate, as pinned.
    pub gateway_fingerprint: Option<Fingerprint>,
    /// What its operator and the gateway's read to each other to verify it.
    pub comparison_code: Option<String>,
    /// Whether that was done, or the gateway's certificate came from the operator. Without, it does not compute.
    pub gateway_compared: bool,
    /// Where results are posted.
    pub final_results_url: Option<String>,
    /// A key of an older system, shown as a label.
    pub label_key: Option<String>,
    /// How far the pairing with its gateway has come, as far as it knows.
    pub pairing: PairingState,
    /// How it stands.
    pub status: Standing,
    /// Whether its control link is open.
    pub connected: bool,
    /// The run it takes part in.
    pub run: Option<RunId>,
    /// Rows that wait for their slot.
    pub queued: u64,
    /// Why it last failed since the node started, in words for its owner.
    pub last_error: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<String>,
    /// The few before that, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_errors: Vec<TroubleBody>,
}

/// What went wrong for a peer, in words for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleBody {
    /// When.
    pub at: String,
    /// What.
    pub what: String,
}

/// Parties hosted by this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerList {
    /// By name.
    pub peers: Vec<PeerBody>,
}

/// Rows handed in, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsBody {
    /// The rows, in the order of their slots.
    pub rows: Vec<RowBody>,
}

/// The values of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowBody {
    /// When the slot begins, RFC 3339; left out where slots are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_start: Option<String>,
    /// One number per item; for statistics, records one after the other.
    pub values: Vec<Decimal>,
}

/// Rows are durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsReceipt {
    /// How many were taken.
    pub accepted: usize,
    /// The first slot that has no row yet.
    pub next_slot: Option<Slot>,
}

/// The result of one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultBody {
    /// The run; of a client's task the number that stands for it.
    pub run: RunId,
    /// The id of the client's task; left out for the group's standing task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The slot, or which computation of the task.
    pub slot: Slot,
    /// One number per item; where statistics are computed, the sums that were opened for them.
    pub values: Vec<Decimal>,
    /// What the aggregator makes of the sums. Left out where the sums are the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<StatisticBody>,
    /// Why the sums make no statistic, such as `no records`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_result: Option<String>,
    /// How many contributed.
    pub contributors: u32,
    /// When it became durable here.
    pub at: String,
}

/// One named number of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatisticBody {
    /// What it is, such as `mean(x1)`.
    pub name: String,
    /// How much.
    pub value: f64,
}

/// Results of a party.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultList {
    /// In the order of their slots.
    pub results: Vec<ResultBody>,
    /// Whether there are more than one answer holds: with `run` or `task`, `from` shows them.
    #[serde(default)]
    pub more: bool,
}

/// Who learns what: the charter that a party last accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterBody {
    /// The consensus.
    pub consensus: Option<String>,
    /// The signed document, to be checked by hand.
    pub document: Option<String>,
    /// How many corrupted operators are tolerated: any more of them together learn every input.
    pub threshold: Option<u32>,
    /// The members that were agreed.
    pub members: Vec<RosterMember>,
    /// What the party was last asked to do, in words.
    pub last_job: Option<String>,
}

/// A member in a charter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterMember {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Who runs it.
    pub operator: String,
    /// What it does.
    pub role: PeerRole,
    /// Where its link port is.
    pub endpoint: String,
}
