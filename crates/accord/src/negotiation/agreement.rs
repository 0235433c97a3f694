use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_model::UnixMillis;

use super::{Act, Form, JsonForm, NegotiationId, SignedAct, Wording};
use crate::{CanonicalError, ConsensusId, canonical, digest};

/// What a negotiation ended in: one text, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The negotiation.
    pub negotiation: NegotiationId,
    /// The text.
    pub text: String,
    /// The signatures under it, by key.
    pub signings: BTreeMap<String, Signing>,
    /// When the last of them arrived.
    pub closed_at: UnixMillis,
}

/// One signature under an agreed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// The turn that was signed with it.
    pub turn: u32,
    /// The signature of the act.
    pub signature: String,
    /// The hash of the secret that the signer came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<String>,
    /// The signature over the charter's consensus, where the text is about a charter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

/// Names an agreement: SHA-256 of its canonical JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementId(pub [u8; 32]);

tacit_model::hexadecimal_id!(AgreementId: 32, "agreement id");

/// Why an agreement does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// The text is none, or does not accept.
    #[error("the text is not one that anybody could have accepted: {0}")]
    Text(String),
    /// A signature that does not verify.
    #[error("the signature of {0} does not verify")]
    Signature(String),
    /// Others signed than the text says.
    #[error("no proper set of signatures: the text names other signers")]
    Signers,
    /// No canonical form.
    #[error("it has no canonical form")]
    NoCanonicalForm,
}

impl Agreement {
    /// Its name, recomputed from what it holds.
    pub fn id(&self) -> Result<AgreementId, CanonicalError> {
        Ok(AgreementId(digest("agreement", canonical(self)?.as_bytes())))
    }

    /// Checks it as a stranger does, in the form of `/api/v1`: every signature, and that exactly those signed
    /// whom the text asks for. Whether they were the right ones is a question to the charter.
    pub fn verify(&self) -> Result<Wording, AgreementError> {
        let reading = JsonForm.read(&self.negotiation, &self.text).map_err(AgreementError::Text)?;
        let wording = Wording::read(&self.text).map_err(|e| AgreementError::Text(e.to_string()))?;
        if !reading.accepts {
            return Err(AgreementError::Text("it does not accept".to_owned()));
        }
        for (signer, signing) in &self.signings {
            let act = Act::Contribute {
                text: self.text.clone(),
                invitation: signing.invitation.clone(),
                decision: signing.decision.clone(),
            };
            let (turn, signature) = (signing.turn, signing.signature.clone());
            let act = SignedAct { signer: signer.clone(), turn, act, signature };
            if !JsonForm.holds(&self.negotiation, &act) {
                return Err(AgreementError::Signature(signer.clone()));
            }
        }
        let signed: BTreeSet<String> = self.signings.keys().cloned().collect();
        let proper = reading.signers.is_empty() || reading.signers == signed;
        if signed.is_empty() || !proper {
            return Err(AgreementError::Signers);
        }
        Ok(wording)
    }

    /// The consensus of the charter that it leads to, if it is about one.
    pub fn decided(&self) -> Option<ConsensusId> {
        super::form::decided(&Wording::read(&self.text).ok()?)?.ok()
    }
}
