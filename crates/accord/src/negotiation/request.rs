use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey};

use super::{Invitation, NegotiationId};
use crate::{CanonicalError, canonical};

/// What somebody asks a gateway to open, signed by the key that then is the opener's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningRequest {
    /// The gateway that is asked, so that nobody else is.
    pub gateway: Fingerprint,
    /// What it is to be about, for people.
    pub title: String,
    /// The group whose charter it is to change, if it is one's.
    pub group: Option<i64>,
    /// From when on nothing more is taken.
    pub expires: UnixMillis,
    /// Who else may take part. A secret's hash cannot be bound to an id that is not drawn yet, so secrets are
    /// invited afterwards.
    pub invited: Vec<String>,
    /// Random: the same request is not taken twice.
    pub nonce: String,
}

impl OpeningRequest {
    /// The signature of `opener`, base64.
    pub fn sign(&self, opener: &Identity) -> Result<String, CanonicalError> {
        Ok(STANDARD.encode(sign_detached(opener, Context::Negotiation, self.message()?.as_bytes())))
    }

    /// Whether `signature` is that of `opener`.
    pub fn holds(&self, opener: &str, signature: &str) -> bool {
        self.message().is_ok_and(|message| signed(opener, message.as_bytes(), signature))
    }

    /// Those who are invited by their keys.
    pub fn invitations(&self) -> Vec<Invitation> {
        self.invited.iter().cloned().map(Invitation::Key).collect()
    }

    /// What is signed.
    pub fn message(&self) -> Result<String, CanonicalError> {
        canonical(&json!({ "about": { "act": "open", "request": self } }))
    }
}

/// The signature by which a member asks for the whole history, base64. Good for some minutes around `at`.
pub fn sign_history(member: &Identity, negotiation: &NegotiationId, at: UnixMillis) -> Result<String, CanonicalError> {
    Ok(STANDARD.encode(sign_detached(member, Context::Negotiation, history_message(negotiation, at)?.as_bytes())))
}

/// Whether a request for the history is that of `member`.
pub fn history_holds(member: &str, negotiation: &NegotiationId, at: UnixMillis, signature: &str) -> bool {
    history_message(negotiation, at).is_ok_and(|message| signed(member, message.as_bytes(), signature))
}

/// What is signed by whoever wishes to read the whole history.
pub fn history_message(negotiation: &NegotiationId, at: UnixMillis) -> Result<String, CanonicalError> {
    canonical(&json!({ "negotiation": negotiation, "about": { "act": "history", "at": at } }))
}

fn signed(key: &str, message: &[u8], signature: &str) -> bool {
    let Ok(key) = PublicKey::from_base64(key) else { return false };
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    let Ok(signature) = <[u8; 64]>::try_from(signature) else { return false };
    verify_detached(&key, Context::Negotiation, message, &signature).is_ok()
}
