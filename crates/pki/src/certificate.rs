use core::fmt;
use core::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tacit_model::Fingerprint;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{PkiError, verifying};

/// No certificate of ours or of a P2DS, FlexSMC or SNOOP installation comes near this size.
const MAX_CERTIFICATE: usize = 64 * 1024;

/// SHA-256 of the certificate's SubjectPublicKeyInfo, whatever kind of key it holds.
///
/// Says nothing about who signed the certificate or whether it is still valid: a party is its key.
pub fn fingerprint_of_certificate(der: &[u8]) -> Result<Fingerprint, PkiError> {
    Ok(fingerprint_of_spki(parse(der)?.public_key().raw))
}

/// What a certificate says about itself, for showing it to people; none of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fingerprint: Fingerprint,
    /// The subject's common name, if there is exactly one and it is text.
    pub common_name: Option<String>,
    /// Start of validity.
    pub not_before: OffsetDateTime,
    /// End of validity.
    pub not_after: OffsetDateTime,
}

impl CertificateFacts {
    /// Reads a certificate.
    pub fn read(der: &[u8]) -> Result<Self, PkiError> {
        let certificate = parse(der)?;
        let mut names = certificate.subject().iter_common_name();
        let common_name = match (names.next(), names.next()) {
            (Some(only), None) => only.as_str().ok().map(str::to_owned),
            _ => None,
        };
        Ok(Self {
            fingerprint: fingerprint_of_spki(certificate.public_key().raw),
            common_name,
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
        })
    }
}

/// An Ed25519 signature (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", hex::encode(&self.0[..4]))
    }
}

/// An Ed25519 public key that can identify a party: canonical and not of small order, so that a
/// key has one fingerprint and a signature under it speaks for one message.
///
/// Its text form, also in JSON, is the base64 of its SubjectPublicKeyInfo (RFC 8410).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

/// SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING of 32 bytes }: the only form DER allows.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Length of the SubjectPublicKeyInfo.
    pub const SPKI_LEN: usize = 44;

    /// Reads a SubjectPublicKeyInfo.
    pub fn from_spki(der: &[u8]) -> Result<Self, PkiError> {
        let key =
            der.strip_prefix(&SPKI_PREFIX).ok_or(PkiError::PublicKey("it is not an Ed25519 SubjectPublicKeyInfo"))?;
        let key = <[u8; 32]>::try_from(key).map_err(|_| PkiError::PublicKey("it has the wrong length"))?;
        Self::from_raw(key)
    }

    /// Reads the 32 bytes of RFC 8032.
    pub fn from_raw(key: [u8; 32]) -> Result<Self, PkiError> {
        let mut y = key;
        y[31] &= 0x7f;
        let above_p = y[31] == 0x7f && y[1..31].iter().all(|byte| *byte == 0xff) && y[0] >= 0xed;
        if above_p {
            return Err(PkiError::PublicKey("its coordinate is not reduced"));
        }
        if SMALL_ORDER.contains(&y) {
            return Err(PkiError::PublicKey("it has small order"));
        }
        Ok(Self(key))
    }

    /// Reads the key of a certificate.
    pub fn from_certificate(der: &[u8]) -> Result<Self, PkiError> {
        Self::from_spki(parse(der)?.public_key().raw)
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> [u8; Self::SPKI_LEN] {
        let mut der = [0; Self::SPKI_LEN];
        der[..12].copy_from_slice(&SPKI_PREFIX);
        der[12..].copy_from_slice(&self.0);
        der
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint_of_spki(&self.spki())
    }

    /// Checks a signature over exactly these bytes.
    ///
    /// Bytes alone have no purpose; what one party signs for another goes through
    /// [`envelope`](crate::envelope).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), PkiError> {
        if verifying::holds(message, self, &signature.0) { Ok(()) } else { Err(PkiError::Signature) }
    }

    /// The text form.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.spki())
    }

    /// Reads the text form.
    pub fn from_base64(text: &str) -> Result<Self, PkiError> {
        // 44 bytes are 60 characters; the buffer is what the decoder asks for at least.
        if text.len() != 60 {
            return Err(PkiError::PublicKey("its text does not have 60 characters"));
        }
        Self::from_spki(&STANDARD.decode(text).map_err(|_| PkiError::PublicKey("it is not base64"))?)
    }

    pub(crate) fn raw(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.fingerprint())
    }
}

impl FromStr for PublicKey {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        Self::from_base64(text)
    }
}

tacit_model::text_in_json!(PublicKey);

pub(crate) fn fingerprint_of_spki(der: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, der).as_ref());
    Fingerprint(bytes)
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PkiError> {
    if der.len() > MAX_CERTIFICATE {
        return Err(PkiError::Certificate("it is too large"));
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(PkiError::Certificate("bytes follow it")),
        Err(_) => Err(PkiError::Certificate("it is not X.509 in DER")),
    }
}

/// The reduced y coordinates of the eight points whose order divides 8. Under such a key one
/// signature can be valid for many messages.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    {
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        minus_one
    },
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::tests::identity;

    #[test]
    fn text_form_goes_there_and_back() {
        let key = *identity("a").public_key();
        assert_eq!(PublicKey::from_base64(&key.to_base64()).expect("own text"), key);
        let json = serde_json::to_string(&key).expect("json");
        assert_eq!(serde_json::from_str::<PublicKey>(&json).expect("json"), key);
        assert!(PublicKey::from_base64(&key.to_base64()[1..]).is_err());
    }

    #[test]
    fn rfc_8032_vector_2() {
        let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let sig = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        let mut raw = [0; 32];
        hex::decode_to_slice(key, &mut raw).expect("hex");
        let mut signature = Signature([0; 64]);
        hex::decode_to_slice(sig, &mut signature.0).expect("hex");
        let key = PublicKey::from_raw(raw).expect("key");
        assert!(key.verify(&[0x72], &signature).is_ok());
        assert!(matches!(key.verify(&[0x73], &signature), Err(PkiError::Signature)));
    }

    #[test]
    fn refuses_keys_that_identify_nobody() {
        for mut key in SMALL_ORDER {
            assert!(PublicKey::from_raw(key).is_err());
            key[31] |= 0x80;
            assert!(PublicKey::from_raw(key).is_err());
        }
        let mut above = [0xff; 32];
        for low in 0xed..=0xff {
            above[0] = low;
            assert!(PublicKey::from_raw(above).is_err());
        }
    }

    #[test]
    fn certificate_must_be_alone() {
        let mut der = identity("a").certificate_der().to_vec();
        assert!(fingerprint_of_certificate(&der).is_ok());
        der.push(0);
        assert!(fingerprint_of_certificate(&der).is_err());
        assert!(fingerprint_of_certificate(&vec![0x30; MAX_CERTIFICATE + 1]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, text in "\\PC{0,80}") {
            let _ = fingerprint_of_certificate(&bytes);
            let _ = CertificateFacts::read(&bytes);
            let _ = PublicKey::from_spki(&bytes);
            let _ = PublicKey::from_base64(&text);
        }

        #[test]
        fn never_panics_near_a_certificate(at in 0_usize..400, with: u8, cut in 0_usize..400) {
            let mut der = identity("a").certificate_der().to_vec();
            let len = der.len();
            der[at % len] = with;
            let _ = CertificateFacts::read(&der);
            let _ = PublicKey::from_certificate(&der[..cut.min(len)]);
        }
    }
}
