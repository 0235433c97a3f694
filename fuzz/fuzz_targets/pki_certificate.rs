//! Certificates and public keys in DER: strangers' first bytes after the handshake began.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_pki::{CertificateFacts, Identity, PublicKey, fingerprint_of_certificate};
use time::OffsetDateTime;

fuzz_target!(|data: &[u8]| {
    let fingerprint = fingerprint_of_certificate(data).ok();
    let facts = CertificateFacts::read(data).ok();
    assert_eq!(fingerprint, facts.map(|facts| facts.fingerprint));
    if let Ok(key) = PublicKey::from_certificate(data) {
        assert_eq!(Some(key.fingerprint()), fingerprint, "a key has one fingerprint");
    }
    if let Ok(key) = PublicKey::from_spki(data) {
        assert_eq!(key.spki(), data);
        assert_eq!(PublicKey::from_base64(&key.to_base64()).ok(), Some(key));
    }
    if let Ok(identity) = Identity::from_pkcs8(data, "fuzz", OffsetDateTime::UNIX_EPOCH) {
        assert_eq!(fingerprint_of_certificate(identity.certificate_der()).ok(), Some(identity.fingerprint()));
    }
});
