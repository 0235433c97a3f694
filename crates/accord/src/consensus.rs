use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tacit_model::UnixMillis;
use tacit_pki::PublicKey;
use tacit_pki::envelope::{Context, verify_detached};

use crate::{Charter, canonical, digest};

/// Names a consensus: SHA-256 of its canonical text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsensusId(pub [u8; 32]);

tacit_model::hexadecimal_id!(ConsensusId: 32, "consensus id");

/// What is signed: a charter and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The agreed configuration.
    pub charter: Charter,
    /// The consensus it follows; none for the first one of a group.
    pub previous: Option<ConsensusId>,
    /// 1 for the first one, then one more each time.
    pub sequence: u64,
    /// When it was decided, by the clock of the node that closed it.
    pub decided_at: UnixMillis,
}

/// One signature under a consensus id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureLine {
    /// Public key, base64 SubjectPublicKeyInfo.
    pub(crate) key: String,
    /// Ed25519 over the id, base64.
    pub(crate) signature: String,
}

/// A decided text with the signatures that decided it. Only [`crate::decide`] and the checks in
/// this file make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consensus {
    id: ConsensusId,
    text: Text,
    signatures: Vec<SignatureLine>,
}

/// Why a document is not the consensus it claims to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsensusError {
    /// Not the expected JSON.
    #[error("this is not a consensus document: {0}")]
    Unreadable(String),
    /// The text is not in canonical form.
    #[error("the text is not in canonical form (RFC 8785)")]
    NotCanonical,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Text {
    /// The id that its signers sign.
    pub fn id(&self) -> Result<ConsensusId, crate::CanonicalError> {
        Ok(ConsensusId(digest("consensus", canonical(self)?.as_bytes())))
    }
}

impl Consensus {
    pub(crate) fn new(id: ConsensusId, text: Text, signatures: Vec<SignatureLine>) -> Self {
        Self { id, text, signatures }
    }

    /// Its name.
    pub fn id(&self) -> ConsensusId {
        self.id
    }

    /// What was agreed.
    pub fn charter(&self) -> &Charter {
        &self.text.charter
    }

    /// What was signed.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// The keys that signed, base64 SubjectPublicKeyInfo.
    pub fn signers(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().map(|line| line.key.as_str())
    }

    /// The document that is stored and sent: canonical text and signatures.
    pub fn to_document(&self) -> String {
        let text = canonical(&self.text).unwrap_or_default();
        let document = Document { text, signatures: self.signatures.clone() };
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads a document without believing it; its `check_` functions decide whether it is one.
    pub fn read(document: &str) -> Result<UncheckedConsensus, ConsensusError> {
        let unreadable = |e: serde_json::Error| ConsensusError::Unreadable(e.to_string());
        let document: Document = serde_json::from_str(document).map_err(unreadable)?;
        let text: Text = serde_json::from_str(&document.text).map_err(unreadable)?;
        let again = canonical(&text).map_err(|e| ConsensusError::Unreadable(e.to_string()))?;
        if again != document.text {
            return Err(ConsensusError::NotCanonical);
        }
        let id = ConsensusId(digest("consensus", document.text.as_bytes()));
        Ok(UncheckedConsensus { id, text, signatures: document.signatures })
    }
}

/// A well-formed document whose signatures and place were not looked at yet.
#[derive(Clone, Debug)]
pub struct UncheckedConsensus {
    pub(crate) id: ConsensusId,
    pub(crate) text: Text,
    pub(crate) signatures: Vec<SignatureLine>,
}

impl UncheckedConsensus {
    /// The id it would have.
    pub fn id(&self) -> ConsensusId {
        self.id
    }

    /// The first consensus of a group whose manager key was pinned at registration. That key must have
    /// signed it, whoever else the text names: naming a key is no proof of having it.
    pub fn check_first(self, pinned_manager: &PublicKey) -> Result<Consensus, crate::Refusal> {
        if self.text.charter.manager != pinned_manager.to_base64() {
            return Err(crate::Refusal::ForeignManager);
        }
        crate::decide::check(None, self)
    }

    /// The manager key that it names, base64: for readers that pin nothing.
    pub fn claimed_manager(&self) -> &str {
        &self.text.charter.manager
    }

    /// The consensus that follows one that is known.
    pub fn check_next(self, known: &Consensus) -> Result<Consensus, crate::Refusal> {
        crate::decide::check(Some(known), self)
    }

    /// A document that this node checked before it stored it under `id`: its text is that one still.
    /// Never for what comes from others, since it asks nobody who signed.
    pub fn recall(self, id: ConsensusId) -> Option<Consensus> {
        (self.id == id).then(|| Consensus::new(self.id, self.text, self.signatures))
    }
}

impl SignatureLine {
    pub(crate) fn new(key: &PublicKey, signature: [u8; 64]) -> Self {
        Self { key: key.to_base64(), signature: STANDARD.encode(signature) }
    }

    /// Whether it is a valid signature of this key under the id.
    pub(crate) fn holds(&self, id: &ConsensusId) -> bool {
        let Ok(key) = PublicKey::from_base64(&self.key) else { return false };
        let Ok(signature) = STANDARD.decode(&self.signature) else { return false };
        let Ok(signature) = <[u8; 64]>::try_from(signature) else { return false };
        verify_detached(&key, Context::Charter, &id.0, &signature).is_ok()
    }
}
