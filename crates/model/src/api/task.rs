//! Tasks: what a client asks of a group, and what becomes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Decimal, PeerRole, StatisticBody};
use crate::{Fingerprint, GroupId, Slot};

/// What a client asks for: the task description of FlexSMC (thesis, Table 4.2), with what the security
/// rules add to it. The client signs the canonical text of exactly these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRequest {
    /// The group.
    pub group: GroupId,
    /// Which peers: labels that all must have, with commas between them, such as `offices,floor=3`. All
    /// peers if empty.
    #[serde(default)]
    pub set: String,
    /// What for, in a word that policies know, such as `HVAC`.
    pub purpose: String,
    /// Names of the series; one column of a record each.
    pub sources: Vec<String>,
    /// Only records for which all of these hold, such as `occupancy>=1`. Judged by each peer for itself.
    #[serde(default)]
    pub filter: Vec<String>,
    /// Which records: `now`, `last_30min`, `last_1h`, or two moments as `FROM/TO`.
    #[serde(default = "now")]
    pub preselector: String,
    /// Samples of several series become a record if they are of the same moment; or, with so many seconds (at most a
    /// day), of the same interval of that length, counted from 1970 in UTC. Of each series the latest sample counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub align_s: u32,
    /// Name of the aggregator.
    pub aggregator: String,
    /// Settings of the aggregator.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Decimal places of the values that count, 0 to 6.
    #[serde(default)]
    pub decimals: u8,
    /// The least value a record may have, decimal. Values below it do not enter.
    #[serde(default = "zero")]
    pub least: String,
    /// The largest value a record may have, decimal. Values above it do not enter.
    #[serde(default = "million")]
    pub most: String,
    /// `semi-honest`, `malicious` or `guaranteed`.
    #[serde(default = "semi_honest")]
    pub model: String,
    /// Members that learn the result, by certificate. If empty, those whom the charter names.
    #[serde(default)]
    pub recipients: Vec<Fingerprint>,
    /// A public key of the client, base64: recipients seal the result for it, so that the gateway carries
    /// what it cannot read. DHKEM(X25519, HKDF-SHA256) of RFC 9180.
    #[serde(default)]
    pub result_key: Option<String>,
    /// The gateway is a recipient, too: the result is told in clear to it and to its caller.
    #[serde(default)]
    pub tell_gateway: bool,
    /// At least so many must give data; over branches, in each of them.
    #[serde(default = "three")]
    pub min_participants: u32,
    /// At least so many branches: members give no numbers then, but shares of what their own groups computed, and only
    /// the total of all branches is opened. 0 for a task of one group.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub branches: u32,
    /// In a branch: the task above of which this is a part. Not to be set by clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<ParentTask>>,
    /// So many seconds members have to ask their owners where their policies want that, at most a day. Those
    /// whose owners have not answered by then are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub approval_s: u32,
    /// When it was asked, RFC 3339; windows end here. Filled in by the gateway if empty.
    #[serde(default)]
    pub issued: String,
    /// 32 hexadecimal digits that make this task differ from all others. Drawn by the gateway if empty.
    #[serde(default)]
    pub nonce: String,
    /// Computed again and again, if set.
    #[serde(default)]
    pub repeat: Option<TaskRepeat>,
}

impl TaskRequest {
    /// A question about one series, with what is usual for everything else: as a request that leaves it out.
    pub fn about(group: GroupId, source: &str, aggregator: &str, purpose: &str) -> Self {
        Self {
            group,
            set: String::new(),
            purpose: purpose.to_owned(),
            sources: vec![source.to_owned()],
            filter: Vec::new(),
            preselector: now(),
            align_s: 0,
            aggregator: aggregator.to_owned(),
            parameters: BTreeMap::new(),
            decimals: 0,
            least: zero(),
            most: million(),
            model: semi_honest(),
            recipients: Vec::new(),
            result_key: None,
            tell_gateway: false,
            min_participants: three(),
            branches: 0,
            parent: None,
            approval_s: 0,
            issued: String::new(),
            nonce: String::new(),
            repeat: None,
        }
    }
}

/// The task of a group above, of which a branch computes a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentTask {
    /// What the client asked there.
    pub task: TaskRequest,
    /// The client's signature under it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<TaskSignature>,
    /// The signature of the gateway there.
    pub ticket: TaskSignature,
    /// The consensus of the group there, hexadecimal.
    pub charter: String,
    /// Which computation of it.
    pub window: Slot,
}

/// How often a task is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRepeat {
    /// Seconds between two.
    pub every_s: u32,
    /// How many there are.
    pub times: u32,
}

/// A client's signature under the canonical text of its [`TaskRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSignature {
    /// The client's public key, base64 SubjectPublicKeyInfo.
    pub key: String,
    /// 64 bytes, hexadecimal.
    pub signature: String,
}

/// A task that is handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// What is asked for.
    pub task: TaskRequest,
    /// Who asks; then `issued` and `nonce` must be set.
    #[serde(default)]
    pub signature: Option<TaskSignature>,
    /// An address to which the task is posted after each computation, signed by the gateway: one of those that the
    /// gateway's operator allows. The answer comes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    /// Answer when it is done (or has failed) rather than at once; what takes longer than one request may, after about
    /// 55 s, is answered while it is `open`.
    #[serde(default = "yes")]
    pub wait: bool,
}

/// A task and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskBody {
    /// Its id: from the text of the request.
    pub id: String,
    /// What was asked for.
    pub task: TaskRequest,
    /// `open`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Why it failed, or remarks.
    pub detail: String,
    /// When it was handed in.
    pub created: String,
    /// What was computed so far, in order.
    pub windows: Vec<TaskWindow>,
}

/// One computation of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskWindow {
    /// Counted from 0.
    pub window: Slot,
    /// `done` or `failed`.
    pub state: String,
    /// Why it failed, or remarks.
    pub detail: String,
    /// How many gave data, over all branches where there are some. Who they were is told to members only.
    pub contributors: u32,
    /// The commitment on which all recipients agreed, hexadecimal.
    pub agreement: String,
    /// The result, if the task tells the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// The result as recipients sealed it for the client's key, base64. Of more recipients than may be
    /// corrupted, so that they can be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<String>,
    /// How long the phases of the attempt took that was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<TaskTiming>,
    /// When it ended.
    pub at: String,
}

impl TaskWindow {
    /// One that ended like this, with nothing else to show of it yet.
    pub fn new(window: Slot, state: &str) -> Self {
        Self {
            window,
            state: state.to_owned(),
            detail: String::new(),
            contributors: 0,
            agreement: String::new(),
            result: None,
            sealed: Vec::new(),
            timing: None,
            at: String::new(),
        }
    }
}

/// How long the phases took, as the gateway saw them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTiming {
    /// Microseconds until all were prepared.
    pub prepare_us: u64,
    /// Microseconds until all were linked.
    pub link_us: u64,
    /// Microseconds until all had reported the result.
    pub session_us: u64,
}

/// Messages to all connected members and back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingBody {
    /// How many members answered every message.
    pub members: usize,
    /// How many messages, each after all had answered the one before.
    pub messages: u32,
    /// Microseconds for all of them.
    pub elapsed_us: u64,
    /// Names of the group's members that did not answer every message, or are away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<String>,
}

/// What a computation came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The task.
    pub id: String,
    /// Which computation of it.
    pub window: Slot,
    /// The numbers, in the unit of the sources.
    pub statistics: Vec<StatisticBody>,
    /// Why there are none, such as `no records`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_result: Option<String>,
    /// The opened sums, scaled to whole numbers.
    pub values: Vec<Decimal>,
    /// How many gave data.
    pub contributors: u32,
}

/// Tasks of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskList {
    /// Newest first.
    pub tasks: Vec<TaskBody>,
}

/// Samples of a peer's series, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplesBody {
    /// The samples.
    pub samples: Vec<SampleBody>,
}

/// What was measured at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleBody {
    /// When, RFC 3339; now if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// By the name of the series, decimals as text with up to 6 places.
    pub values: BTreeMap<String, String>,
}

/// Samples are durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplesReceipt {
    /// How many samples were taken.
    pub accepted: usize,
}

/// What a peer offers to tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferBody {
    /// Labels by which sets choose it, such as `offices` and `floor=3`.
    pub labels: Vec<String>,
    /// Names of its series.
    pub sources: Vec<String>,
}

/// The labels of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsBody {
    /// All of them; those of before are gone.
    pub labels: Vec<String>,
}

/// What a member that is connected offers to tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberOfferBody {
    /// Its name; left out for those who ask for tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its certificate; left out in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Labels by which sets choose it.
    pub labels: Vec<String>,
    /// Names of its series.
    pub sources: Vec<String>,
}

/// What the connected members of a group offer to tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferList {
    /// By certificate.
    pub offers: Vec<MemberOfferBody>,
}

/// A member of a group, and what is known of it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// What it does.
    pub role: PeerRole,
    /// Who runs it.
    pub operator: String,
    /// Whether it is there.
    pub available: bool,
    /// Since when it is there, or away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Where its link port is, `host:port`; empty if it only dials.
    pub endpoint: String,
    /// Labels by which sets choose it.
    pub labels: Vec<String>,
    /// Data: names of its series.
    pub sources: Vec<String>,
    /// Services: aggregators that it takes part in; all if empty.
    pub services: Vec<String>,
    /// Resources: how many sessions it computes at once.
    pub sessions: u32,
}

/// The members of a group, whether they are there or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryList {
    /// In the order of the charter.
    pub members: Vec<DirectoryEntry>,
}

/// The tasks that a token may ask for. An empty list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskScope {
    /// Groups.
    pub groups: Vec<GroupId>,
    /// Sets, as tasks write them.
    pub sets: Vec<String>,
    /// Purposes.
    pub purposes: Vec<String>,
    /// Aggregators.
    pub aggregators: Vec<String>,
}

/// What a peer asks the others for itself: the average of a series among all, to compare its own value with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareRequest {
    /// The series.
    pub source: String,
    /// Which peers; all if empty.
    #[serde(default)]
    pub set: String,
    /// What for.
    pub purpose: String,
    /// Which records: as in a task.
    #[serde(default = "now")]
    pub preselector: String,
    /// Decimal places that count, 0 to 6.
    #[serde(default)]
    pub decimals: u8,
    /// The least value a record may have, decimal.
    #[serde(default = "zero")]
    pub least: String,
    /// The largest value a record may have, decimal.
    #[serde(default = "million")]
    pub most: String,
    /// At least so many must give data.
    #[serde(default = "three")]
    pub min_participants: u32,
}

/// How a peer compares with the average. Only this peer learns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareBody {
    /// The task that was computed.
    pub task: String,
    /// The mean of all records of all.
    pub average: f64,
    /// The mean of this peer's own records in the same window; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// How many gave data, this peer included.
    pub contributors: u32,
}

fn now() -> String {
    "now".to_owned()
}

fn zero() -> String {
    "0".to_owned()
}

fn million() -> String {
    "1000000".to_owned()
}

fn semi_honest() -> String {
    "semi-honest".to_owned()
}

fn three() -> u32 {
    3
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn yes() -> bool {
    true
}
