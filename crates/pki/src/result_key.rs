//! Sealing a result for one client, so that whoever carries it cannot read it.
//!
//! HPKE in base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Base mode proves
//! nothing about the sender: a client compares what several recipients sealed. The key exchange is
//! classical; on its way a sealed result travels inside links whose exchange is hybrid.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

use crate::PkiError;

const INFO: &[u8] = b"tacit/v1/result";
/// Of a public key, and of what is sent in front of the sealed text.
const KEY: usize = 32;

/// The private half of a client's key. Lives as long as the client waits.
pub struct ResultKey {
    private: HpkePrivateKey,
    public: String,
}

impl ResultKey {
    /// A new key from the operating system's generator.
    pub fn generate() -> Result<Self, PkiError> {
        let (public, private) = SUITE.generate_key_pair().map_err(|_| PkiError::Random)?;
        Ok(Self { private, public: STANDARD.encode(public.0) })
    }

    /// A key whose private half was kept in a file.
    pub fn from_parts(private: Vec<u8>, public: String) -> Self {
        Self { private: private.into(), public }
    }

    /// The private half, for a file that only its owner reads.
    pub fn expose_private(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.private.secret_bytes().to_vec())
    }

    /// The public half as a task names it, base64.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// What was sealed under `about` for this key.
    pub fn open(&self, sealed: &str, about: &[u8]) -> Result<Zeroizing<Vec<u8>>, PkiError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| PkiError::Sealed)?;
        let (secret, text) = bytes.split_at_checked(KEY).ok_or(PkiError::Sealed)?;
        let secret = EncapsulatedSecret(secret.to_vec());
        SUITE.open(&secret, INFO, about, text, &self.private).map(Zeroizing::new).map_err(|_| PkiError::Sealed)
    }
}

/// Seals a text for a client's public key; `about` is not sealed, and must be the same at opening.
pub fn seal(public: &str, about: &[u8], text: &[u8]) -> Result<String, PkiError> {
    let key = STANDARD.decode(public).ok().filter(|key| key.len() == KEY).ok_or(PkiError::Sealed)?;
    let (secret, sealed) = SUITE.seal(INFO, about, text, &HpkePublicKey(key)).map_err(|_| PkiError::Sealed)?;
    Ok(STANDARD.encode([secret.0, sealed].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule11_only_the_key_opens() {
        let (key, other) = (ResultKey::generate().expect("a key"), ResultKey::generate().expect("a key"));
        let sealed = seal(key.public(), b"task 1", b"42").expect("sealed");
        assert_eq!(&**key.open(&sealed, b"task 1").expect("opened"), b"42");
        assert!(key.open(&sealed, b"task 2").is_err() && other.open(&sealed, b"task 1").is_err());
        for wrong in ["", "AA==", &sealed[4..], &sealed[..sealed.len() - 4]] {
            assert!(key.open(wrong, b"task 1").is_err(), "{wrong}");
        }
        assert!(seal("AA==", b"", b"").is_err() && seal("?", b"", b"").is_err());
        let kept = ResultKey::from_parts(key.expose_private().to_vec(), key.public().to_owned());
        assert_eq!(&**kept.open(&sealed, b"task 1").expect("opened"), b"42");
        assert_ne!(seal(key.public(), b"task 1", b"42").ok(), Some(sealed), "sealed anew each time");
    }
}
