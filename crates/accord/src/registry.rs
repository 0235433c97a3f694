use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tacit_model::Fingerprint;
use tacit_pki::PublicKey;

use crate::{Consensus, ConsensusError, ConsensusId, MemberRole, Refusal};

/// A party as a group's signed chain knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Who runs it.
    pub operator: String,
    /// What it does.
    pub role: MemberRole,
    /// Its place on the way of the data: 1 gives, 2 computes, 3 learns.
    pub layer: u8,
    /// Where it is reached; empty if it only dials.
    pub endpoint: String,
    /// The consensus that admitted it, as it is now known.
    pub admitted_by: ConsensusId,
}

/// Why a chain of documents is not the one that a client relies on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// There is no document.
    #[error("the registry shows no consensus at all")]
    Empty,
    /// A document that cannot be read; counted from 1.
    #[error("document {0} of the chain: {1}")]
    Unreadable(usize, ConsensusError),
    /// A document that does not follow.
    #[error("document {0} of the chain: {1}")]
    Refused(usize, Refusal),
    /// The consensus that the client knows is not part of it.
    #[error("the chain does not hold the consensus that was last seen: it was rewritten or cut")]
    Forgotten,
}

/// Reads a chain of documents as a peer does: the first under the pinned manager key, each next onto the one
/// before it, and the consensus that was last seen among them.
pub fn verify_chain(
    documents: &[String],
    manager: &PublicKey,
    last_seen: Option<ConsensusId>,
) -> Result<Vec<Consensus>, ChainError> {
    let mut chain: Vec<Consensus> = Vec::new();
    for (at, document) in documents.iter().enumerate() {
        let next = Consensus::read(document).map_err(|e| ChainError::Unreadable(at + 1, e))?;
        let checked = match chain.last() {
            None => next.check_first(manager),
            Some(known) => next.check_next(known),
        };
        chain.push(checked.map_err(|e| ChainError::Refused(at + 1, e))?);
    }
    if chain.is_empty() {
        return Err(ChainError::Empty);
    }
    match last_seen {
        Some(id) if !chain.iter().any(|consensus| consensus.id() == id) => Err(ChainError::Forgotten),
        _ => Ok(chain),
    }
}

/// The parties of a checked chain as its last consensus lists them, by name.
pub fn registry(chain: &[Consensus]) -> Vec<Registered> {
    let mut known: BTreeMap<&str, Registered> = BTreeMap::new();
    for consensus in chain {
        let mut now = BTreeMap::new();
        for member in &consensus.charter().members {
            let before = known.remove(member.name.as_str());
            let entry = Registered {
                name: member.name.clone(),
                fingerprint: member.fingerprint,
                operator: member.operator.clone(),
                role: member.role,
                layer: match member.role {
                    MemberRole::Input => 1,
                    MemberRole::Privacy | MemberRole::Both => 2,
                    MemberRole::Recipient => 3,
                },
                endpoint: member.endpoint.clone(),
                admitted_by: consensus.id(),
            };
            // Whoever is listed unchanged was admitted before.
            let kept = before.filter(|b| Registered { admitted_by: b.admitted_by, ..entry.clone() } == *b);
            now.insert(member.name.as_str(), kept.unwrap_or(entry));
        }
        known = now;
    }
    known.into_values().collect()
}
