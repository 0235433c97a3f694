use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tacit_pki::Identity;
use tacit_pki::envelope::{Context, sign_detached};

use super::{Invitation, NegotiationId};
use crate::{CanonicalError, ConsensusId, canonical, digest};

/// What somebody does in a negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Puts a text forward, in place of the one that the same signer put forward before.
    Contribute {
        /// The text, in the form of the negotiation.
        text: String,
        /// The hash of the secret by which a newcomer takes part ([`super::secret_hash`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invitation: Option<String>,
        /// Under a text that accepts a charter: Ed25519 over the id of the consensus that it leads to, base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<String>,
    },
    /// Takes one's own text back.
    Withdraw,
    /// Lets somebody else take part. Only who opened it may.
    Invite(Invitation),
    /// Ends the negotiation without a consensus. Only who opened it may.
    Cancel,
}

/// An act with the signature that makes it its signer's. Says nothing until the state machine checked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAct {
    /// The signer's key, as the form writes keys.
    pub signer: String,
    /// 1 for the signer's first act in this negotiation, then one more each time: nothing counts twice.
    pub turn: u32,
    /// What is done.
    pub act: Act,
    /// As the form writes signatures.
    pub signature: String,
}

impl Act {
    /// What is signed: the negotiation, the turn and everything that is done, in canonical JSON.
    pub fn message(&self, negotiation: &NegotiationId, turn: u32) -> Result<String, CanonicalError> {
        let about = match self {
            Self::Contribute { text, invitation, decision } => {
                let text = hex::encode(digest("contribution", text.as_bytes()));
                json!({ "act": "contribute", "text": text, "invitation": invitation, "decision": decision })
            }
            Self::Withdraw => json!({ "act": "withdraw" }),
            Self::Invite(whom) => json!({ "act": "invite", "whom": whom }),
            Self::Cancel => json!({ "act": "cancel" }),
        };
        canonical(&json!({ "negotiation": negotiation, "turn": turn, "about": about }))
    }
}

/// Signs an act in the form of `/api/v1`. Done where the key is, never by a server for somebody else.
pub fn sign_act(
    signer: &Identity,
    negotiation: &NegotiationId,
    turn: u32,
    act: Act,
) -> Result<SignedAct, CanonicalError> {
    let signature = sign_detached(signer, Context::Negotiation, act.message(negotiation, turn)?.as_bytes());
    Ok(SignedAct { signer: signer.public_key().to_base64(), turn, act, signature: STANDARD.encode(signature) })
}

/// The signature over the consensus that an accepting text leads to, for [`Act::Contribute`].
pub fn sign_decision(signer: &Identity, consensus: &ConsensusId) -> String {
    STANDARD.encode(sign_detached(signer, Context::Charter, &consensus.0))
}
