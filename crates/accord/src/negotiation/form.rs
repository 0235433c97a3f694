use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacit_pki::PublicKey;
use tacit_pki::envelope::{Context, verify_detached};

use super::charter_terms::charter_text;
use super::{Agreement, NegotiationId, Resource, SignedAct, Wording};
use crate::ConsensusId;

/// What the state machine must know of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether the text, signed by all who must, is to be the consensus. Otherwise it is only talk.
    pub accepts: bool,
    /// If not empty: exactly these may have signed.
    pub signers: BTreeSet<String>,
    /// Keys that the text gives a say: they must have signed it themselves.
    pub consenting: BTreeSet<String>,
}

/// How a wire form writes, names and signs. A form holds no state.
pub trait Form {
    /// What a text says, or in words why it is none of this form. Must hold for every text that accepts:
    /// the negotiation it names is this one.
    fn read(&self, negotiation: &NegotiationId, text: &str) -> Result<Reading, String>;

    /// Whether the signature is the signer's and for this negotiation: before its text is read, which costs more.
    fn is_signed(&self, negotiation: &NegotiationId, act: &SignedAct) -> bool;

    /// Whether a decision comes with the act where one must, and is the signer's.
    fn is_decided(&self, act: &SignedAct) -> bool;

    /// Whether the signature, and a decision that comes with it, are the signer's and for this negotiation.
    fn holds(&self, negotiation: &NegotiationId, act: &SignedAct) -> bool {
        self.is_signed(negotiation, act) && self.is_decided(act)
    }

    /// The id of what was agreed.
    fn id_of(&self, agreement: &Agreement) -> Result<String, String>;
}

/// The form of `/api/v1`: canonical JSON (RFC 8785), Ed25519, keys as base64 SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonForm;

impl Form for JsonForm {
    fn read(&self, negotiation: &NegotiationId, text: &str) -> Result<Reading, String> {
        let wording = Wording::read(text).map_err(|e| e.to_string())?;
        if wording.negotiation != *negotiation {
            return Err("the text was written for another negotiation".to_owned());
        }
        let mut consenting = BTreeSet::new();
        for part in &wording.parts {
            match part.resource {
                Resource::Charter => {
                    let text = charter_text(part).map_err(|e| e.to_string())?;
                    consenting.extend(text.charter.owners);
                }
                Resource::Statement => {}
            }
        }
        Ok(Reading { accepts: wording.accept, signers: wording.signers, consenting })
    }

    fn is_signed(&self, negotiation: &NegotiationId, act: &SignedAct) -> bool {
        let message = act.act.message(negotiation, act.turn);
        message.is_ok_and(|text| signed(&act.signer, Context::Negotiation, text.as_bytes(), &act.signature))
    }

    fn is_decided(&self, act: &SignedAct) -> bool {
        match &act.act {
            super::Act::Contribute { text, decision, .. } => decision_holds(&act.signer, text, decision.as_deref()),
            _ => true,
        }
    }

    fn id_of(&self, agreement: &Agreement) -> Result<String, String> {
        agreement.id().map(|id| id.to_string()).map_err(|e| e.to_string())
    }
}

/// A text that accepts a charter comes with a signature over the consensus that it leads to; no other does.
fn decision_holds(signer: &str, text: &str, decision: Option<&str>) -> bool {
    let Ok(wording) = Wording::read(text) else { return false };
    match (decided(&wording), decision) {
        (None, None) => true,
        (Some(Ok(id)), Some(decision)) => signed(signer, Context::Charter, &id.0, decision),
        _ => false,
    }
}

/// The consensus of the charter that an accepting text leads to, if it is about a charter.
pub(super) fn decided(wording: &Wording) -> Option<Result<ConsensusId, String>> {
    let part = wording.parts.iter().find(|part| part.resource == Resource::Charter)?;
    wording.accept.then(|| {
        let text = charter_text(part).map_err(|e| e.to_string())?;
        text.id().map_err(|e| e.to_string())
    })
}

fn signed(key: &str, context: Context, message: &[u8], signature: &str) -> bool {
    let Ok(key) = PublicKey::from_base64(key) else { return false };
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    let Ok(signature) = <[u8; 64]>::try_from(signature) else { return false };
    verify_detached(&key, context, message, &signature).is_ok()
}
