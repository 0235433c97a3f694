//! What is logged.

use serde::{Deserialize, Serialize};
use tacit_model::{Fingerprint, UnixMillis};

use crate::{CanonicalError, canonical};

/// What an entry is about. The names are part of the log's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A charter became the current one.
    Consensus,
    /// A parameter of a charter or of the node has this value from now on.
    Parameter,
    /// A key signed something other than this log.
    KeyUse,
    /// An operator did something (start, stop, code, verify).
    Action,
    /// A session ended.
    Session,
    /// The receipt of a result.
    Receipt,
    /// What somebody else's log looked like: co-signed, or disputed.
    Witness,
    /// A compute peer was convicted of a wrong share of a result; what convicts it is elsewhere.
    Evidence,
    /// The program started, with its version.
    Software,
}

impl Kind {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Parameter => "parameter",
            Self::KeyUse => "key_use",
            Self::Action => "action",
            Self::Session => "session",
            Self::Receipt => "receipt",
            Self::Witness => "witness",
            Self::Evidence => "evidence",
            Self::Software => "software",
        }
    }
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened.
    pub at: UnixMillis,
    /// Who wrote it: the node's certificate.
    pub node: Fingerprint,
    /// What it is about.
    pub kind: Kind,
    /// The facts, as text fields.
    pub facts: serde_json::Map<String, serde_json::Value>,
}

impl Entry {
    /// The canonical text that is stored and hashed.
    pub fn body(&self) -> Result<String, CanonicalError> {
        canonical(self)
    }
}
