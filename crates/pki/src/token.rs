//! API tokens: the owner keeps the token (a file of mode 0400), the server keeps its hash.
//!
//! A token holds 256 random bits, so a plain SHA-256 is enough: there is nothing to guess, and a
//! stolen hash opens nothing.

use core::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{PkiError, random};

const PREFIX: &str = "tacit_";
const SECRET: usize = 32;
const TEXT: usize = PREFIX.len() + 43;

/// `tacit_` and 32 random bytes in base64url. Whoever holds it is its owner.
///
/// Neither printed nor compared; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct ApiToken(String);

impl ApiToken {
    /// A new token.
    pub fn generate() -> Result<Self, PkiError> {
        let mut secret = Zeroizing::new([0; SECRET]);
        random::fill(secret.as_mut_slice())?;
        // Room for the whole text from the start: growing would leave copies behind.
        let mut text = String::with_capacity(TEXT);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Ok(Self(text))
    }

    /// Reads a token from a file or an `Authorization: Bearer` header.
    pub fn parse(text: &str) -> Result<Self, PkiError> {
        let digits = text.strip_prefix(PREFIX).ok_or(PkiError::Token)?;
        let mut secret = Zeroizing::new([0; SECRET]);
        let len = URL_SAFE_NO_PAD.decode_slice(digits, secret.as_mut_slice()).map_err(|_| PkiError::Token)?;
        if len == SECRET { Ok(Self(text.to_owned())) } else { Err(PkiError::Token) }
    }

    /// The text, to be shown once or written to the owner's file.
    pub fn expose_text(&self) -> &str {
        &self.0
    }

    /// What the server keeps.
    pub fn hash(&self) -> TokenHash {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        TokenHash(bytes)
    }
}

/// SHA-256 of a token's text, as 64 hexadecimal digits in files and databases.
///
/// Has no `==`: compare with [`TokenHash::matches`], whose time says nothing.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Whether this is the hash of `token`, in constant time.
    pub fn matches(&self, token: &ApiToken) -> bool {
        self.0.ct_eq(&token.hash().0).into()
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, PkiError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| PkiError::Token)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({})", hex::encode(&self.0[..4]))
    }
}

impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_hex(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_matches_its_own_hash_only() {
        let (a, b) = (ApiToken::generate().expect("token"), ApiToken::generate().expect("token"));
        assert!(a.expose_text().starts_with("tacit_"));
        assert_eq!(a.expose_text().len(), TEXT);
        assert!(a.hash().matches(&a));
        assert!(!a.hash().matches(&b));
        let read = ApiToken::parse(a.expose_text()).expect("own text");
        assert!(a.hash().matches(&read));
    }

    #[test]
    fn hash_is_stored_as_hex() {
        let token = ApiToken::parse(&format!("tacit_{}", "A".repeat(43))).expect("token");
        let json = serde_json::to_string(&token.hash()).expect("json");
        assert_eq!(json.len(), 66);
        let back: TokenHash = serde_json::from_str(&json).expect("json");
        assert!(back.matches(&token));
        assert!(serde_json::from_str::<TokenHash>("\"00\"").is_err());
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "tacit_",
            "default-admin-key",
            &format!("tacit_{}", "A".repeat(42)),
            &format!("tacit_{}B", "A".repeat(42)),
            &format!("tacit_{}=", "A".repeat(43)),
            &format!("tacit_{}", "A".repeat(44)),
        ] {
            assert!(ApiToken::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}", tail in "[A-Za-z0-9_-]{0,60}") {
            let _ = ApiToken::parse(&text);
            let _ = ApiToken::parse(&format!("tacit_{tail}"));
            let _ = TokenHash::from_hex(&text);
        }
    }
}
