//! Evidence as a document: what convicts compute peers of wrong shares, checked with public keys alone.
//!
//! It holds what the engine's [`Evidence`] is about (the job and the charter, from which the plan follows), the public
//! keys of those who signed shares, and the evidence itself. Whom it convicts, and why nobody honest can be convicted,
//! is said there. The charter is bound by the plan that everybody signed; whether it is one that was agreed on,
//! readers find out by comparing its id with the consensus they know.
//!
//! It may show some shares of a chunk of the result, and therefore that chunk: give it to nobody who may not know it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tacit_accord::Consensus;
use tacit_engine::Evidence;
use tacit_model::Fingerprint;
use tacit_model::codec::{Decode, Encode};
use tacit_pki::PublicKey;
use tacit_pki::envelope::{Context, verify_detached};

use crate::{Job, plan_of};

/// The form of the document.
pub const EVIDENCE_FORMAT: &str = "tacit-evidence/3";

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceDocument {
    /// Always [`EVIDENCE_FORMAT`].
    pub format: String,
    /// The charter under which was computed, as consensus document.
    pub consensus: String,
    /// What was computed, by whom.
    pub job: Job,
    /// Public keys of those whose shares are shown, base64.
    pub keys: Vec<String>,
    /// One for each of the accused, base64 of the engine's encoding.
    pub proofs: Vec<String>,
}

/// What a document proves.
#[derive(Clone, Debug)]
pub struct Convicted {
    /// Who signed wrong shares of the result, each once, and under which name the charter knows them.
    pub members: Vec<(Fingerprint, String)>,
    /// The charter.
    pub consensus: Consensus,
    /// What was computed.
    pub job: Job,
}

/// Why a document proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct EvidenceFault {
    /// Which part of it.
    pub place: &'static str,
    /// Why.
    pub why: String,
}

fn fault(place: &'static str, why: impl ToString) -> EvidenceFault {
    EvidenceFault { place, why: why.to_string() }
}

impl EvidenceDocument {
    /// The document of what a session left as evidence. `keys` are those of the compute peers; others do not matter.
    pub fn new<'k>(
        consensus: &Consensus,
        job: &Job,
        keys: impl Iterator<Item = &'k PublicKey>,
        proofs: &[Evidence],
    ) -> Self {
        Self {
            format: EVIDENCE_FORMAT.to_owned(),
            consensus: consensus.to_document(),
            job: job.clone(),
            keys: keys.map(PublicKey::to_base64).collect(),
            proofs: proofs.iter().map(|proof| STANDARD.encode(proof.to_bytes())).collect(),
        }
    }

    /// As JSON text.
    pub fn text(&self) -> Result<String, EvidenceFault> {
        serde_json::to_string(self).map_err(|e| fault("document", e))
    }

    /// Reads a document and checks all that it says: every proof in it must convict somebody, and nobody twice.
    pub fn verify(text: &str) -> Result<Convicted, EvidenceFault> {
        let document: Self = serde_json::from_str(text).map_err(|e| fault("document", e))?;
        if document.format != EVIDENCE_FORMAT {
            return Err(fault("document", format!("its format is not {EVIDENCE_FORMAT}")));
        }
        let unchecked = Consensus::read(&document.consensus).map_err(|e| fault("consensus", e))?;
        // Whoever signed a share signed this id, in the plan. Who decided on it, readers look up by the id.
        let consensus = unchecked
            .recall(document.job.charter)
            .ok_or_else(|| fault("consensus", "it is another one than the job names"))?;
        let plan = plan_of(&consensus, &document.job).map_err(|e| fault("job", e))?;
        let mut keys = BTreeMap::new();
        for key in &document.keys {
            let key = PublicKey::from_base64(key).map_err(|e| fault("keys", e))?;
            keys.insert(key.fingerprint(), key);
        }
        let signed = |member: &Fingerprint, digest: &[u8; 32], signature: &[u8; 64]| {
            keys.get(member).is_some_and(|key| verify_detached(key, Context::Message, digest, signature).is_ok())
        };
        let mut members: Vec<(Fingerprint, String)> = Vec::new();
        for proof in &document.proofs {
            let bytes = STANDARD.decode(proof).map_err(|e| fault("proofs", e))?;
            let evidence = Evidence::from_bytes(&bytes).map_err(|e| fault("proofs", e))?;
            let liar = evidence.check(&plan, signed).map_err(|e| fault("proofs", e))?;
            if members.iter().any(|(member, _)| *member == liar) {
                return Err(fault("proofs", "two of them accuse the same peer"));
            }
            let name = consensus.charter().member(&liar).map(|member| member.name.clone()).unwrap_or_default();
            members.push((liar, name));
        }
        if members.is_empty() {
            return Err(fault("proofs", "there are none"));
        }
        Ok(Convicted { members, consensus, job: document.job })
    }
}
