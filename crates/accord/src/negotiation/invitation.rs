use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tacit_model::ParseIdError;

use crate::digest;

/// Names a negotiation: 32 random bytes, in text 43 characters of unpadded URL-safe base64. Nobody guesses
/// one, so knowing it is the permission to read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NegotiationId(pub [u8; 32]);

impl fmt::Display for NegotiationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// Shows the beginning only: the whole is a permission.
impl fmt::Debug for NegotiationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NegotiationId({}..)", &self.to_string()[..6])
    }
}

impl FromStr for NegotiationId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong = ParseIdError { what: "negotiation", digits: 43 };
        if text.len() != 43 {
            return Err(wrong);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong)?;
        Ok(Self(bytes.try_into().map_err(|_| wrong)?))
    }
}

tacit_model::text_in_json!(NegotiationId);

/// Who may take part besides those who decide anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invitation {
    /// Whoever has this key.
    Key(String),
    /// Whoever says the secret of this hash ([`secret_hash`]) first, and nobody after.
    Secret(String),
}

/// What is kept of a one-time secret: its hash, bound to the negotiation. A secret has at least 128 random
/// bits, so that the hash gives nothing away.
pub fn secret_hash(negotiation: &NegotiationId, secret: &str) -> String {
    let mut bytes = negotiation.0.to_vec();
    bytes.extend_from_slice(secret.as_bytes());
    hex::encode(digest("invitation", &bytes))
}
