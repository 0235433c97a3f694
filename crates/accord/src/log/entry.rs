//! What is logged.

use serde::{Deserialize, Serialize};
use tacit_model::{Fingerprint, UnixMillis};

use crate::{CanonicalError, canonical, digest};

/// What an entry is about. The names are part of the log's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A charter became the current one.
    Consensus,
    /// An operator did something (start, stop, code, verify).
    Action,
    /// A session ended.
    Session,
    /// The program started, with its version.
    Software,
}

impl Kind {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Action => "action",
            Self::Session => "session",
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

/// Hash of an entry and of everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head(pub [u8; 32]);

impl Head {
    /// The head of the empty log.
    pub const EMPTY: Self = Self([0; 32]);

    /// The head after one more entry.
    pub fn after(self, body: &str) -> Self {
        let mut bytes = Vec::with_capacity(32 + body.len());
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(body.as_bytes());
        Self(digest("log", &bytes))
    }
}

impl Entry {
    /// The canonical text that is stored and hashed.
    pub fn body(&self) -> Result<String, CanonicalError> {
        canonical(self)
    }
}

/// The first place where stored entries do not follow from one another: its number from 0, or
/// nothing if all hold.
pub fn first_break<'a>(entries: impl IntoIterator<Item = (&'a str, [u8; 32])>) -> Option<usize> {
    let mut head = Head::EMPTY;
    for (number, (body, hash)) in entries.into_iter().enumerate() {
        head = head.after(body);
        if head.0 != hash {
            return Some(number);
        }
    }
    None
}
