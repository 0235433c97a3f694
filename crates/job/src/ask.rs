//! A client's task as peers get it: the request with the signatures of client and gateway, and what
//! everybody derives from it.

use serde::{Deserialize, Serialize};
use tacit_accord::{Charter, OnMissingInput, digest};
use tacit_engine::{LEVEL, Level, aggregate};
use tacit_model::api::{TaskRequest, TaskSignature};
use tacit_model::codec::{Encode, put_bytes};
use tacit_model::{Fingerprint, RunId, SessionId};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey};

use crate::plan::MODEL;
use crate::request::{FixedRequest, digest_of, id_of, signed_text};
use crate::{Source, Task, Terms};

/// The most records whose sum a peer gives where the aggregator takes one number of each.
pub const MAX_SUMMED: u64 = 10_000;

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

/// The id of a task: of its request, so that the same request is the same task everywhere.
pub fn task_id(request: &TaskRequest) -> SessionId {
    id_of(&digest_of(&signed_text(request)))
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

    /// SHA-256 of it, signatures included, and of a run.
    pub(crate) fn digest(&self, run: RunId) -> [u8; 32] {
        let mut text = self.request.digest().to_vec();
        for seal in self.client.iter().chain([&self.ticket]) {
            put_bytes(&mut text, seal.key.as_bytes());
            put_bytes(&mut text, seal.signature.as_bytes());
        }
        run.encode(&mut text);
        digest("task-asked", &text)
    }

    /// The fields, read and checked, once for all copies of the request.
    pub fn terms(&self) -> Result<&Terms, AskError> {
        self.request.terms()
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

/// Members of a charter that learn the result of a client's request.
pub(crate) fn named_recipients(request: &TaskRequest, charter: &Charter) -> Vec<Fingerprint> {
    match request.recipients.as_slice() {
        [] => charter.recipients().map(|m| m.fingerprint).collect(),
        named => charter.members.iter().map(|m| m.fingerprint).filter(|m| named.contains(m)).collect(),
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
