use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Duty, NegotiationId};
use crate::{CanonicalError, ConsensusId, canonical};

/// More parts than this are not read in one text.
const MAX_PARTS: usize = 64;

/// A text of a negotiation: who signs it says what its parameters should be, and whether that is the last word.
///
/// Two texts are the same if their canonical JSON is; so a text that accepts holds nothing that differs from
/// signer to signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// The negotiation it was written for.
    pub negotiation: NegotiationId,
    /// Whether the signer accepts all of it, once everybody who must has signed the same.
    pub accept: bool,
    /// What is agreed, part by part.
    pub parts: Vec<Part>,
    /// If not empty: exactly these keys may have signed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub signers: BTreeSet<String>,
    /// While it is talk: parameters (`part/parameter`) that the signer looked at and wants as they stand here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accepted: BTreeSet<String>,
    /// While it is talk: parameters that the signer wants otherwise without saying how.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rejected: BTreeSet<String>,
}

/// One thing that is agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What kind of thing.
    pub resource: Resource,
    /// Which one: for a charter the number of its group.
    pub id: String,
    /// The consensus it follows, if there is one: somebody else's decision in between makes it stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_last_consensus: Option<ConsensusId>,
    /// Its place in the chain: 1 for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// When the text was first put forward, Unix milliseconds.
    pub proposed_at: i64,
    /// Parameters and their values.
    pub terms: BTreeMap<String, Value>,
    /// What each actor does under these terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<Duty>,
}

/// What kind of thing a part is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The charter of a group.
    Charter,
    /// Anything else that people want to have signed; it changes nothing by itself.
    Statement,
}

/// Why a text is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordingError {
    /// Not the expected JSON.
    #[error("the text is no negotiation text: {0}")]
    Unreadable(String),
    /// Not in canonical form, so that others would sign other bytes.
    #[error("the text is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// The number of parts.
    #[error("a text has 1 to {MAX_PARTS} parts, at most one of them a charter")]
    Parts,
    /// A text that accepts says nothing about single parameters.
    #[error("a text that accepts lists no accepted or rejected parameters: it accepts all of them")]
    Remarks,
    /// A remark about a parameter that is not there.
    #[error("there is no parameter {0:?} in this text; parameters are called PART/NAME, parts count from 1")]
    NoSuchParameter(String),
}

impl Wording {
    /// Reads a text and checks its form.
    pub fn read(text: &str) -> Result<Self, WordingError> {
        let wording: Self = serde_json::from_str(text).map_err(|e| WordingError::Unreadable(e.to_string()))?;
        let again = wording.to_text().map_err(|e| WordingError::Unreadable(e.to_string()))?;
        if again != text {
            return Err(WordingError::NotCanonical);
        }
        wording.check()?;
        Ok(wording)
    }

    /// The bytes that are signed: canonical JSON.
    pub fn to_text(&self) -> Result<String, CanonicalError> {
        canonical(self)
    }

    /// The same terms as the signer's last word.
    pub fn accepting(mut self) -> Self {
        self.accept = true;
        self.accepted.clear();
        self.rejected.clear();
        self
    }

    /// The terms under their full names, `part/parameter`, parts counted from 1.
    pub fn parameters(&self) -> BTreeMap<String, &Value> {
        let named =
            self.parts.iter().enumerate().flat_map(|(at, part)| {
                part.terms.iter().map(move |(name, value)| (format!("{}/{name}", at + 1), value))
            });
        named.collect()
    }

    fn check(&self) -> Result<(), WordingError> {
        let charters = self.parts.iter().filter(|part| part.resource == Resource::Charter).count();
        if self.parts.is_empty() || self.parts.len() > MAX_PARTS || charters > 1 {
            return Err(WordingError::Parts);
        }
        if self.accept && !(self.accepted.is_empty() && self.rejected.is_empty()) {
            return Err(WordingError::Remarks);
        }
        let parameters = self.parameters();
        match self.accepted.iter().chain(&self.rejected).find(|name| !parameters.contains_key(*name)) {
            Some(stranger) => Err(WordingError::NoSuchParameter(stranger.clone())),
            None => Ok(()),
        }
    }
}
