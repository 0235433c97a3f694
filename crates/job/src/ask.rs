//! A client's task as peers get it: the request with the signatures of client and gateway, and what
//! everybody derives from it.

use serde::{Deserialize, Serialize};
use tacit_accord::{Charter, OnMissingInput};
use tacit_engine::{LEVEL, Level, aggregate};
use tacit_model::api::{TaskRequest, TaskSignature};
use tacit_model::{Fingerprint, RunId, SessionId, Slot, UnixMillis};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey};

use crate::job::PROVIDER;
use crate::plan::{MODEL, names_level};
use crate::preselector::{Preselector, Window};
use crate::request::{FixedRequest, id_of, signed_text};
use crate::scale::{Micro, Scale};
use crate::{Source, Task};

/// More sources than this are not taken.
const MAX_SOURCES: usize = 32;
/// Longer texts are not taken.
const MAX_TEXT: usize = 200;
/// Owners are not waited for longer than this, in seconds.
const MAX_APPROVAL_S: u32 = 86_400;
/// Samples that are further apart make no record, in seconds.
const MAX_ALIGN_S: u32 = 86_400;
/// More computations of one task than this are not taken.
const MAX_TIMES: u32 = 100_000;
/// Owners in branches are not waited for longer than this, in seconds.
const MAX_BRANCH_APPROVAL_S: u32 = 60;
/// More branches than this are not asked together.
const MAX_BRANCHES: u32 = 200;

/// A client's task with the signatures under it. Every peer sees all of it before it decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What is asked for.
    pub request: FixedRequest,
    /// The client's signature under it, if the client has a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<TaskSignature>,
    /// The gateway's signature: it has authorised the client.
    pub ticket: TaskSignature,
}

/// Why a request cannot be taken. The text says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// A field that cannot be read.
    #[error("{0}")]
    Field(String),
    /// No aggregator of this name.
    #[error("there is no aggregator {0:?}; choose one of {names}, as `tacit group aggregators` describes them", names = aggregate::names())]
    Aggregator(String),
    /// A signature that does not fit.
    #[error("the {0} signature does not fit the task")]
    Signature(&'static str),
}

/// A request whose fields have been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Labels that all peers must have.
    pub labels: Vec<String>,
    /// Which records.
    pub preselector: Preselector,
    /// Samples of the same interval of so many milliseconds make a record; 0: of the same moment.
    pub align_ms: i64,
    /// Which of them.
    pub filter: Vec<Condition>,
    /// How values become numbers of the engine.
    pub scale: Scale,
    /// When it was asked.
    pub issued: UnixMillis,
    /// Milliseconds between two computations.
    pub every_ms: i64,
    /// How many computations.
    pub times: i64,
}

/// A condition on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The series.
    pub source: String,
    /// `<=`, `>=`, `!=`, `=`, `<` or `>`.
    pub relation: Relation,
    /// What it is compared with.
    pub value: Micro,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        let signs = [
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("!=", Relation::Unequal),
            ("=", Relation::Equal),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        let (sign, relation) = signs.into_iter().find(|(sign, _)| text.contains(sign))?;
        let (source, value) = text.split_once(sign)?;
        let source = source.trim();
        is_word(source).then_some(Self { source: source.to_owned(), relation, value: value.trim().parse().ok()? })
    }

    /// Whether a value meets it.
    pub fn holds(&self, value: Micro) -> bool {
        match self.relation {
            Relation::Equal => value == self.value,
            Relation::Unequal => value != self.value,
            Relation::Less => value < self.value,
            Relation::AtMost => value <= self.value,
            Relation::Greater => value > self.value,
            Relation::AtLeast => value >= self.value,
        }
    }
}

/// Whether a text can name a series or a label: 1 to 100 letters, digits and `_-.:=`.
pub fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-.:=".contains(c);
    (1..=100).contains(&text.chars().count()) && text.chars().all(plain)
}

/// Whether a text can name a series: as a label, without `=`.
pub fn is_source(text: &str) -> bool {
    is_word(text) && !text.contains('=')
}

/// The id of a task: of its request, so that the same request is the same task everywhere.
pub fn task_id(request: &TaskRequest) -> SessionId {
    id_of(&signed_text(request))
}

/// A request without what differs each time that the same is asked.
pub fn question(request: &TaskRequest) -> TaskRequest {
    TaskRequest { issued: String::new(), nonce: String::new(), result_key: None, ..request.clone() }
}

/// The number under which the computations of a task are kept, see [`Ask::run`].
pub fn task_run(request: &TaskRequest) -> RunId {
    run_of(task_id(request))
}

/// The same from the task's id.
pub fn run_of(task: SessionId) -> RunId {
    let SessionId(id) = task;
    let mut low = [0; 8];
    low[2..].copy_from_slice(&id[..6]);
    // 48 bits: canonical texts hold numbers up to 2^53.
    RunId(-1 - i64::from_be_bytes(low))
}

/// The first digits of the id of the task that computations of this number belong to; `None` for a run of a group.
pub fn task_digits(run: RunId) -> Option<String> {
    let low = u64::try_from((-1_i64).checked_sub(run.0)?).ok()?;
    Some(format!("{low:012x}"))
}

/// A client's signature under a request.
pub fn sign_request(request: &TaskRequest, client: &Identity) -> TaskSignature {
    seal(client, Context::Task, &signed_text(request))
}

fn seal(identity: &Identity, context: Context, text: &[u8]) -> TaskSignature {
    TaskSignature {
        key: identity.public_key().to_base64(),
        signature: hex::encode(sign_detached(identity, context, text)),
    }
}

fn signer(seal: &TaskSignature, context: Context, text: &[u8]) -> Option<Fingerprint> {
    let key = PublicKey::from_base64(&seal.key).ok()?;
    let mut signature = [0; 64];
    hex::decode_to_slice(&seal.signature, &mut signature).ok()?;
    verify_detached(&key, context, text, &signature).ok()?;
    Some(key.fingerprint())
}

impl Ask {
    /// The gateway's ticket for a request. The client's signature is checked.
    pub fn admit(request: TaskRequest, client: Option<TaskSignature>, gateway: &Identity) -> Result<Self, AskError> {
        let request = FixedRequest::from(request);
        if client.as_ref().is_some_and(|client| signer(client, Context::Task, request.text()).is_none()) {
            return Err(AskError::Signature("client's"));
        }
        let ticket = seal(gateway, Context::Prepare, request.text());
        let ask = Self { request, client, ticket };
        ask.terms()?;
        Ok(ask)
    }

    /// Checks both signatures; the client's certificate, if it signed.
    pub fn verify(&self, gateway: &Fingerprint) -> Result<Option<Fingerprint>, AskError> {
        let text = self.request.text();
        if signer(&self.ticket, Context::Prepare, text).as_ref() != Some(gateway) {
            return Err(AskError::Signature("gateway's"));
        }
        let client = |client: &TaskSignature| signer(client, Context::Task, text);
        match &self.client {
            None => Ok(None),
            Some(seal) => client(seal).map(Some).ok_or(AskError::Signature("client's")),
        }
    }

    /// Its id: of the request, so that the same request is the same task everywhere.
    pub fn id(&self) -> SessionId {
        self.request.id()
    }

    /// Under this number its computations are kept beside runs, which count upwards from 1. It follows
    /// from the request, so that a gateway cannot have the same request computed over two input sets.
    pub fn run(&self) -> RunId {
        run_of(self.id())
    }

    /// The fields, read and checked.
    pub fn terms(&self) -> Result<Terms, AskError> {
        let request = &self.request;
        let bad = |what: &str| AskError::Field(what.to_owned());
        let texts = [&request.purpose, &request.set, &request.preselector, &request.aggregator];
        if texts.iter().any(|text| text.len() > MAX_TEXT || text.chars().any(char::is_control)) {
            return Err(bad("texts of a task have at most 200 printable characters"));
        }
        if request.purpose.trim().is_empty() {
            return Err(bad("say in purpose what the result is for, such as HVAC"));
        }
        if aggregate::find(&request.aggregator).is_none() {
            return Err(AskError::Aggregator(request.aggregator.clone()));
        }
        let labels: Vec<String> =
            request.set.split(',').map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        if !labels.iter().all(|label| is_word(label)) {
            return Err(bad("set is labels with commas between them, such as offices,floor=3"));
        }
        let sources = &request.sources;
        if sources.is_empty() || sources.len() > MAX_SOURCES || !sources.iter().all(|source| is_source(source)) {
            return Err(bad("sources names 1 to 32 series, each with letters, digits and _-.:"));
        }
        let filter: Option<Vec<Condition>> = request.filter.iter().map(|text| Condition::parse(text)).collect();
        let filter = filter.filter(|filter| filter.len() <= MAX_SOURCES && filter.iter().all(|c| is_source(&c.source)));
        let filter =
            filter.ok_or_else(|| bad("a filter is a series, a relation and a decimal, such as 'occupancy>=1'"))?;
        let number = |text: &str| text.parse::<Micro>().map_err(|e| bad(&format!("least and most: {e}")));
        let scale = Scale::new(number(&request.least)?, number(&request.most)?, request.decimals)
            .ok_or_else(|| bad("least must be below most, and decimals at most 6"))?;
        let aggregator = aggregate::find(&request.aggregator).map_or("", |a| a.name);
        if !scale.suits(aggregator) {
            return Err(bad(
                "this aggregator takes whole numbers from 0: leave out decimals, and least (for sum: least)",
            ));
        }
        if !["semi-honest", "malicious", "guaranteed"].contains(&request.model.as_str()) {
            return Err(bad("model is semi-honest, malicious or guaranteed"));
        }
        if request.parameters.contains_key(MODEL) {
            return Err(bad("the security model has a field of its own"));
        }
        if names_level(&request.parameters) {
            return Err(bad("level is set by tasks over branches alone: ask with branches"));
        }
        if !(request.branches == 0 || (2..=MAX_BRANCHES).contains(&request.branches)) {
            return Err(bad("branches is at least 2: with one, its total would be the result"));
        }
        if request.branches > 0 && (request.parent.is_some() || request.model != "semi-honest") {
            return Err(bad("a task over branches has two levels, and is computed semi-honest"));
        }
        if self.level() != Level::Flat && request.parameters.contains_key(PROVIDER) {
            return Err(bad("a provider opens what it adds up: over branches the built-in engine computes"));
        }
        if request.branches > 0 && request.approval_s > MAX_BRANCH_APPROVAL_S {
            return Err(bad("over branches approval_s is at most 60: shares are not kept for long"));
        }
        self.parent()?;
        let issued = UnixMillis::from_rfc3339(&request.issued)
            .ok_or_else(|| bad("issued is a moment such as 2026-01-01T12:00:00Z"))?;
        if request.nonce.len() != 32 || !request.nonce.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad("nonce is 32 hexadecimal digits"));
        }
        let preselector = Preselector::parse(&request.preselector).map_err(|e| bad(&e.to_string()))?;
        let (every_ms, times) = match request.repeat {
            None => (0, 1),
            Some(_) if matches!(preselector, Preselector::Between { .. }) => {
                return Err(bad("a window between two moments does not repeat"));
            }
            Some(repeat) if repeat.every_s == 0 || !(1..=MAX_TIMES).contains(&repeat.times) => {
                return Err(bad("repeat needs at least 1 second and 1 to 100000 times"));
            }
            Some(repeat) => (i64::from(repeat.every_s) * 1000, i64::from(repeat.times)),
        };
        if request.approval_s > MAX_APPROVAL_S {
            return Err(bad("approval_s is at most a day, 86400"));
        }
        if request.align_s > MAX_ALIGN_S {
            return Err(bad("align_s is at most a day, 86400"));
        }
        let align_ms = i64::from(request.align_s) * 1000;
        if request.min_participants < 2 {
            return Err(bad("min_participants must be at least 2: of two, each learns the other's"));
        }
        Ok(Terms { labels, preselector, align_ms, filter, scale, issued, every_ms, times })
    }

    /// The task that it comes to, the same for everybody.
    pub fn task(&self) -> Result<Task, AskError> {
        let terms = self.terms()?;
        let request = &self.request;
        let mut parameters = request.parameters.clone();
        let found = aggregate::find(&request.aggregator);
        let takes = |name: &str| found.is_some_and(|a| a.parameters.iter().any(|p| p.name == name));
        if takes("names") {
            parameters.entry("names".to_owned()).or_insert_with(|| request.sources.join(","));
        }
        if request.model != "semi-honest" {
            parameters.insert(MODEL.to_owned(), request.model.clone());
        }
        parameters.extend(self.level().name().map(|level| (LEVEL.to_owned(), level.to_owned())));
        let mut largest = terms.scale.largest();
        if takes("max_records") && terms.preselector.is_now() {
            parameters.entry("max_records".to_owned()).or_insert_with(|| "1".to_owned());
        } else if !takes("max_records") && !terms.preselector.is_now() {
            if found.is_none_or(|a| a.name != "sum") {
                let why = "this aggregator takes one number of each peer: choose the preselector now";
                return Err(AskError::Field(why.to_owned()));
            }
            // A peer adds its own records before the others' are added.
            largest = largest
                .checked_mul(MAX_SUMMED)
                .ok_or_else(|| AskError::Field("the bounds are too wide for a sum over a window".to_owned()))?;
        }
        Ok(Task {
            purpose: request.purpose.clone(),
            source: Source::Series(Box::new(self.clone())),
            aggregator: request.aggregator.clone(),
            items: u32::try_from(request.sources.len()).unwrap_or(u32::MAX),
            max_element: largest.to_string(),
            modulus: None,
            on_missing_input: match self.level() {
                // Shares of a part of a branch are worth nothing.
                Level::Root => OnMissingInput::Fail,
                Level::Flat | Level::Branch => OnMissingInput::Proceed(request.min_participants),
            },
            parameters,
        })
    }

    /// Members that may learn the result; in a branch, those that keep shares of it.
    pub fn recipients(&self, charter: &Charter) -> Vec<Fingerprint> {
        match self.request.recipients.as_slice() {
            [] if self.level() == Level::Branch => charter.computing().map(|m| m.fingerprint).collect(),
            _ => named_recipients(&self.request, charter),
        }
    }
}

/// The moment of a computation of a request, if it is one of its own: see [`Terms::moment`].
pub(crate) fn moment_of(request: &TaskRequest, window: Slot) -> Option<UnixMillis> {
    let issued = UnixMillis::from_rfc3339(&request.issued)?;
    let (every_ms, times) =
        request.repeat.map_or((0, 1), |repeat| (i64::from(repeat.every_s) * 1000, i64::from(repeat.times)));
    moment(issued, every_ms, times, window)
}

fn moment(issued: UnixMillis, every_ms: i64, times: i64, window: Slot) -> Option<UnixMillis> {
    (0..times).contains(&window.0).then(|| issued.plus(window.0.saturating_mul(every_ms)))
}

/// Members of a charter that learn the result of a client's request.
pub(crate) fn named_recipients(request: &TaskRequest, charter: &Charter) -> Vec<Fingerprint> {
    match request.recipients.as_slice() {
        [] => charter.recipients().map(|m| m.fingerprint).collect(),
        named => charter.members.iter().map(|m| m.fingerprint).filter(|m| named.contains(m)).collect(),
    }
}

/// The most records whose sum a peer gives where the aggregator takes one number of each.
pub const MAX_SUMMED: u64 = 10_000;

impl Terms {
    /// The moment of a computation, if it is one of the task's.
    pub fn moment(&self, window: Slot) -> Option<UnixMillis> {
        moment(self.issued, self.every_ms, self.times, window)
    }

    /// The records of a computation.
    pub fn window(&self, window: Slot) -> Option<Window> {
        self.moment(window).map(|at| self.preselector.window(at))
    }

    /// When the record of a sample of this moment begins, and when the next one does.
    pub fn record_of(&self, at: UnixMillis) -> Window {
        match self.align_ms {
            0 => Window { from: at, to: at.plus(1) },
            length => {
                let from = at.plus(-at.0.rem_euclid(length));
                Window { from, to: from.plus(length) }
            }
        }
    }

    /// The series that a peer must have.
    pub fn series<'a>(&'a self, request: &'a TaskRequest) -> impl Iterator<Item = &'a str> {
        request.sources.iter().map(String::as_str).chain(self.filter.iter().map(|c| c.source.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_task_says_how_its_id_begins() {
        for first in [0, 1, 0x7f, 0xff] {
            let id = SessionId(core::array::from_fn(|at| if at == 0 { first } else { at as u8 }));
            assert_eq!(task_digits(run_of(id)).as_deref(), Some(&id.to_string()[..12]));
        }
        for run in [0, 1, i64::MAX] {
            assert_eq!(task_digits(RunId(run)), None);
        }
        assert_eq!(task_digits(RunId(i64::MIN)).map(|digits| digits.len()), Some(16), "nobody's, and no harm");
    }
}
