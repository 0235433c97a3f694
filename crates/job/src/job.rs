use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tacit_accord::{Charter, ConsensusId, OnMissingInput, canonical, digest};
use tacit_model::codec::put_bytes;
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot};

use crate::plan::MODEL;

/// What a client asks for. A P2DS group's standing task is derived from its charter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What it is for, in words that a peer's policy knows.
    pub purpose: String,
    /// Where the numbers come from.
    pub source: Source,
    /// Name of the aggregator.
    pub aggregator: String,
    /// Length of each input vector.
    pub items: u32,
    /// Largest value an input may have, decimal.
    pub max_element: String,
    /// Declared modulus of the result, decimal, if there is one.
    pub modulus: Option<String>,
    /// What to do without an input.
    pub on_missing_input: OnMissingInput,
    /// Settings of the aggregator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Where a peer's numbers come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Source {
    /// The rows that were handed in for the slots of a run.
    Queue,
    /// The series of the members, as a client asked.
    Series(Box<crate::Ask>),
}

/// A task bound to today's members: what one attempt at one slot will do, and with whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// This run of it.
    pub session: SessionId,
    /// The group.
    pub group: GroupId,
    /// The consensus under which it runs.
    pub charter: ConsensusId,
    /// Which start-to-stop of the standing task; for a client's task a number below zero that follows from it.
    pub run: RunId,
    /// Which time slot.
    pub slot: Slot,
    /// How often this slot was tried before.
    pub attempt: Attempt,
    /// What is computed.
    pub task: Task,
    /// Who gives data.
    pub inputs: Vec<Fingerprint>,
    /// Who computes on shares. May leave out lost members of the charter, never add one.
    pub compute: Vec<Fingerprint>,
    /// Who learns the result. Nobody else can open it, the gateway included.
    pub recipients: Vec<Fingerprint>,
}

/// The setting by which a charter says with which SMC provider is computed, instead of the built-in engine. A client's
/// task may ask for that one.
pub(crate) const PROVIDER: &str = "provider";

impl Task {
    /// The SMC provider that is computed with; the built-in engine if none. `plan_of` refuses one that the charter does
    /// not name.
    pub fn provider(&self) -> Option<&String> {
        self.parameters.get(PROVIDER)
    }

    /// The security model that it asks for.
    pub fn model(&self) -> &str {
        self.parameters.get(MODEL).map_or("semi-honest", String::as_str)
    }

    /// The standing task of a configured group.
    pub fn standing(charter: &Charter) -> Option<Self> {
        let configuration = charter.configuration.as_ref()?;
        Some(Self {
            purpose: format!("standing task of {}", charter.name),
            source: Source::Queue,
            aggregator: configuration.aggregator.clone(),
            items: configuration.items,
            max_element: configuration.max_element.clone(),
            modulus: Some(configuration.field.clone()),
            on_missing_input: charter.slots.on_missing_input,
            parameters: configuration.parameters.clone(),
        })
    }

    /// SHA-256 of what it follows from, and of the run it is asked for in: a slot of another run is another slot. A client's
    /// task follows from what was asked, which [`plan_of`](crate::plan_of) checks; the standing one stands for itself.
    pub fn digest(&self, run: RunId) -> [u8; 32] {
        match &self.source {
            Source::Series(ask) => ask.digest(run),
            // It holds only texts and small integers, so it always has a canonical form.
            Source::Queue => digest("task", canonical(&(self, run)).unwrap_or_default().as_bytes()),
        }
    }
}

impl Job {
    /// What the client asked for, if this is a client's task and not the group's standing one.
    pub fn ask(&self) -> Option<&crate::Ask> {
        match &self.task.source {
            Source::Series(ask) => Some(ask),
            Source::Queue => None,
        }
    }

    /// Everybody who takes part, sorted, each once.
    pub fn members(&self) -> Vec<Fingerprint> {
        let mut members: Vec<_> = self.inputs.iter().chain(&self.compute).chain(&self.recipients).copied().collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

/// What a new member pins at its gateway, in one value for the comparison code: whoever stands in between
/// could otherwise let the gateway's certificate pass and put in a manager key of its own.
pub fn pairing_digest(gateway: &Fingerprint, manager_key: &str) -> Fingerprint {
    let mut text = Vec::new();
    for part in [&gateway.0[..], manager_key.as_bytes()] {
        put_bytes(&mut text, part);
    }
    Fingerprint(digest("pairing", &text))
}

/// What the owner of a key signs to register with it: the code and the name, so that the signature is
/// of no use elsewhere.
pub fn registration_proof(code: &str, name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for part in ["register", code, name] {
        put_bytes(&mut text, part.as_bytes());
    }
    text
}
