//! Groups, their members and their runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Decimal, PairingState, PeerRole, Standing};
use crate::{Fingerprint, GroupId, RunId, Slot};

/// A group to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Its name, unique at the gateway.
    pub name: String,
    /// How inputs become shares.
    #[serde(default)]
    pub sharing: SharingKind,
}

/// How inputs become shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharingKind {
    /// By a polynomial of degree t: t tell nothing, losses are survived.
    #[default]
    Shamir,
    /// By n summands: all but one tell nothing, no loss is survived.
    Additive,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupBody {
    /// Its number.
    pub gid: GroupId,
    /// Its name.
    pub name: String,
    /// How its members stand together.
    pub status: Standing,
    /// The current consensus.
    pub consensus: String,
    /// How many corrupted operators are tolerated.
    pub threshold: u32,
    /// How inputs become shares.
    pub sharing: SharingKind,
    /// Public keys of the owners; while there is none, the manager decides alone.
    pub owners: Vec<String>,
    /// A group for trying out.
    pub test_mode: bool,
    /// What it computes, once configured.
    pub configuration: Option<ConfigurationBody>,
    /// When slots close.
    pub slots: SlotRulesBody,
    /// Everybody who registered, verified or not.
    pub members: Vec<MemberBody>,
    /// Open registration codes; only shown to operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes: Option<Vec<String>>,
    /// What the planner foresees of a slot with the members of the day; where one configured group is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastBody>,
    /// Why it foresees nothing, such as too few members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_forecast: Option<String>,
}

/// What a slot will take and survive, foreseen by the planner. docs/protocols.md says how wrong it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastBody {
    /// How many compute peers there are.
    pub compute_peers: u32,
    /// Rounds from the first share to the result.
    pub rounds: u64,
    /// Bytes that an input peer sends.
    pub input_bytes: u64,
    /// Bytes that a compute peer sends, on average.
    pub compute_bytes: u64,
    /// Microseconds from the first share to the result, all peers on one machine with two cores.
    pub micros: u64,
    /// How many compute peers may be lost before the inputs are frozen.
    pub losses_before: u32,
    /// How many may be lost after that.
    pub losses: u32,
    /// How many may compute wrongly without a wrong result being accepted.
    pub cheaters_noticed: u32,
    /// How many may, and the result comes nevertheless.
    pub cheaters_survived: u32,
    /// How many together learn nothing.
    pub colluding: u32,
    /// What else is to be known, in plain sentences.
    pub notes: Vec<String>,
}

/// All groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    /// The groups.
    pub groups: Vec<GroupBody>,
}

/// What a group computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationBody {
    /// Declared modulus of the result, a prime.
    pub field: Decimal,
    /// Largest value an input may have.
    pub max_element: Decimal,
    /// Name of the aggregator.
    pub aggregator: String,
    /// Length of each input vector.
    pub items: u32,
    /// How many slots a run has; negative means until stopped.
    pub time_slots: i32,
    /// How many results are posted together.
    #[serde(default = "one")]
    pub result_buffer_size: u32,
    /// Settings of the aggregator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}

/// When a slot closes and what is done about a member that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotRulesBody {
    /// What to do without an input.
    pub on_missing_input: OnMissing,
    /// Milliseconds from the first row of a slot to its close.
    pub deadline_ms: u32,
    /// Length of a slot in milliseconds where rows carry their time, 0 where they are only counted.
    #[serde(default)]
    pub slot_ms: u32,
    /// When the first slot of a run begins, RFC 3339. With it every row needs its `slot_start` and goes to that slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_slot: Option<String>,
}

/// What to do at the close of a slot in which an input peer gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// Keep the slot open.
    Wait,
    /// The slot fails.
    Fail,
    /// Go on if at least so many gave.
    Proceed(u32),
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberBody {
    /// Its group.
    pub gid: GroupId,
    /// Its number at the gateway.
    pub pid: i64,
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: PeerRole,
    /// Where its HTTP edge is.
    pub url: String,
    /// Who runs it.
    pub operator: String,
    /// A key of an older system, shown as a label.
    pub label_key: Option<String>,
    /// Its certificate.
    pub fingerprint: Option<Fingerprint>,
    /// How it stands.
    pub status: Standing,
    /// What its operator and the gateway's read to each other while pairing.
    #[serde(default)]
    pub comparison_code: Option<String>,
    /// Whether an operator compared its fingerprint and said yes.
    pub verified: bool,
    /// How far the pairing has come.
    pub pairing: PairingState,
    /// Whether its control link is open.
    pub connected: bool,
}

/// Members of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberList {
    /// The members.
    pub members: Vec<MemberBody>,
}

/// An operator's verdict on a member's fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyBody {
    /// Whether the fingerprints were equal.
    pub verified: bool,
    /// The fingerprint that was compared; needed to say yes.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

/// An operator's verdict on many members at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyManyBody {
    /// Those whose fingerprints were compared and are equal.
    pub members: Vec<ComparedMember>,
}

/// A member and the fingerprint that was compared with its operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparedMember {
    /// Its name.
    pub name: String,
    /// What was compared.
    pub fingerprint: Fingerprint,
}

/// An operator's decision about a peer that registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairingBody {
    /// What is decided.
    pub decision: PairingDecision,
    /// The fingerprint that was compared; this or the code is needed to approve.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// The comparison code that was compared.
    #[serde(default)]
    pub comparison_code: Option<String>,
    /// Why it is refused; kept here, not told to the peer.
    #[serde(default)]
    pub reason: String,
}

/// What an operator decides about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingDecision {
    /// Let it in: what both sides show is equal.
    Approve,
    /// Do not let it in; may be approved later.
    Reject,
    /// Never let its key in again.
    Revoke,
}

/// A registration code: one-time, secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeBody {
    /// The group it leads into.
    pub gid: GroupId,
    /// The code.
    pub code: String,
}

/// The consensus documents of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsensusBody {
    /// Signed documents, oldest first; each names the one before it.
    pub documents: Vec<String>,
    /// Where to go on; nothing if this was the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// How many members were started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedBody {
    /// Their number. Unverified and unreachable members are left out.
    pub started: usize,
}

/// One start-to-stop of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBody {
    /// Counted from 1.
    pub run: RunId,
    /// How it stands: `open`, or how it ended.
    pub state: String,
    /// Why it ended, if there is something to say.
    pub reason: String,
    /// The first slot that has not ended.
    pub next_slot: Slot,
}

/// Runs of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    /// Newest first.
    pub runs: Vec<RunBody>,
}

/// A slot of a run. Never holds the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotBody {
    /// Counted from 0.
    pub slot: Slot,
    /// How often it was tried before the attempt that is on record.
    pub attempt: u32,
    /// `open`, `done` or `failed`.
    pub state: String,
    /// Why it failed, or remarks.
    pub detail: String,
    /// How many contributed, once it is known.
    pub contributors: Option<u32>,
}

/// Slots of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotList {
    /// In their order.
    pub slots: Vec<SlotBody>,
}
