use core::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ED25519,
    PublicKeyData, SigningKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tacit_model::Fingerprint;
use time::{Duration, OffsetDateTime, UtcOffset};
use zeroize::Zeroizing;

use crate::label::check_label;
use crate::{PkiError, PublicKey, Signature, fingerprint_of_certificate, sni_name};

/// Ten years, leap days included.
const VALIDITY: Duration = Duration::days(3652);

/// A key pair and the self-signed certificate that carries it into TLS.
///
/// The certificate is a wrapper: what counts is the key, named by its fingerprint. A new certificate
/// over the same key is the same party. The private key is wiped when the identity is dropped.
pub struct Identity {
    key: Ed25519KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
    certificate: CertificateDer<'static>,
}

impl Identity {
    /// A new key from the operating system's generator. The certificate's subject is `label`, its
    /// name in TLS is [`sni_name`] of the fingerprint, and it is valid for ten years from
    /// `not_before`.
    pub fn generate(label: &str, not_before: OffsetDateTime) -> Result<Self, PkiError> {
        Self::with_new_certificate(Ed25519KeyPair::generate().map_err(|_| PkiError::Random)?, label, not_before)
    }

    /// An existing key (PKCS#8) with a new certificate. The fingerprint stays what it was.
    pub fn from_pkcs8(pkcs8: &[u8], label: &str, not_before: OffsetDateTime) -> Result<Self, PkiError> {
        Self::with_new_certificate(parse_key(pkcs8)?, label, not_before)
    }

    /// An existing key (PKCS#8) and its certificate.
    pub fn from_parts(pkcs8: &[u8], certificate_der: &[u8]) -> Result<Self, PkiError> {
        let (key, certificate) = (parse_key(pkcs8)?, CertificateDer::from(certificate_der.to_vec()));
        let public = public_of(&key)?;
        if fingerprint_of_certificate(&certificate)? != public.fingerprint() {
            return Err(PkiError::Certificate("it belongs to another key"));
        }
        Ok(Self { pkcs8: to_pkcs8(&key)?, key, public, certificate })
    }

    /// Who this is: SHA-256 of the SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The certificate.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Signs exactly these bytes, which therefore say nothing about their purpose.
    ///
    /// What another party is to rely on goes through [`envelope`](crate::envelope): a signature
    /// without a purpose can be shown again as something else.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.key.sign(message).as_ref());
        Signature(bytes)
    }

    /// A copy of the private key for the TLS library, the one way by which it leaves this crate.
    ///
    /// The copy does not wipe itself: hand it to `rustls` at once (which keeps it for as long as its
    /// configuration lives), and never log, store or clone it.
    pub fn tls_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()))
    }

    pub(crate) fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    fn with_new_certificate(key: Ed25519KeyPair, label: &str, not_before: OffsetDateTime) -> Result<Self, PkiError> {
        let public = public_of(&key)?;
        let certificate = self_sign(&key, &public, label, not_before)?;
        Ok(Self { pkcs8: to_pkcs8(&key)?, key, public, certificate })
    }
}

/// Shows the fingerprint only.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.fingerprint())
    }
}

fn parse_key(pkcs8: &[u8]) -> Result<Ed25519KeyPair, PkiError> {
    // Takes version 1 (as OpenSSL writes it) and version 2; a stored public part must match.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| PkiError::PrivateKey("it is not PKCS#8 of Ed25519"))
}

fn public_of(key: &Ed25519KeyPair) -> Result<PublicKey, PkiError> {
    let raw =
        <[u8; 32]>::try_from(key.public_key().as_ref()).map_err(|_| PkiError::Bug("Ed25519 key without 32 bytes"))?;
    PublicKey::from_raw(raw)
}

fn to_pkcs8(key: &Ed25519KeyPair) -> Result<Zeroizing<Vec<u8>>, PkiError> {
    // `Document` wipes itself as well.
    let document = key.to_pkcs8v1().map_err(|_| PkiError::Bug("Ed25519 key without PKCS#8"))?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

fn self_sign(
    key: &Ed25519KeyPair,
    public: &PublicKey,
    label: &str,
    not_before: OffsetDateTime,
) -> Result<CertificateDer<'static>, PkiError> {
    check_label(label)?;
    let not_before = not_before.to_offset(UtcOffset::UTC);
    // Before 1970 the clock is certainly wrong, and beyond year 9999 X.509 has no words.
    if !(1970..=9980).contains(&not_before.year()) {
        return Err(PkiError::Time);
    }
    let mut params = CertificateParams::new(vec![sni_name(public.fingerprint())])
        .map_err(|_| PkiError::Bug("the TLS name was refused"))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, label);
    params.not_before = not_before;
    params.not_after = not_before + VALIDITY;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate =
        params.self_signed(&Signer { key, public }).map_err(|_| PkiError::Bug("the certificate was not built"))?;
    Ok(certificate.into())
}

/// Lends the key to the certificate builder without giving it away.
struct Signer<'a> {
    key: &'a Ed25519KeyPair,
    public: &'a PublicKey,
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.raw()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key
            .try_sign(message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    use super::*;
    use crate::CertificateFacts;

    pub(crate) const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00.5 +02:00);

    pub(crate) fn identity(label: &str) -> Identity {
        Identity::generate(label, NOW).expect("identity")
    }

    #[test]
    fn certificate_says_who_it_is() {
        let id = identity("Hôpital A");
        let facts = CertificateFacts::read(id.certificate_der()).expect("certificate");
        assert_eq!(facts.fingerprint, id.fingerprint());
        assert_eq!(facts.common_name.as_deref(), Some("Hôpital A"));
        assert_eq!(facts.not_before, datetime!(2026-03-01 10:00:00 UTC));
        assert_eq!(facts.not_after, datetime!(2036-02-29 10:00:00 UTC));
        assert_eq!(PublicKey::from_certificate(id.certificate_der()).expect("key"), *id.public_key());

        let (_, parsed) = X509Certificate::from_der(id.certificate_der()).expect("certificate");
        let names = parsed.subject_alternative_name().expect("extension").expect("present");
        assert_eq!(names.value.general_names, [GeneralName::DNSName(&sni_name(id.fingerprint()))]);
        assert!(!parsed.is_ca());
        // Signed by its own key.
        let signature = Signature(parsed.signature_value.data.as_ref().try_into().expect("64 bytes"));
        assert!(id.public_key().verify(parsed.tbs_certificate.as_ref(), &signature).is_ok());
    }

    #[test]
    fn key_goes_out_and_comes_back() {
        let id = identity("a");
        let PrivateKeyDer::Pkcs8(key) = id.tls_key() else { panic!("not PKCS#8") };
        let again = Identity::from_parts(key.secret_pkcs8_der(), id.certificate_der()).expect("parts");
        assert_eq!(again.fingerprint(), id.fingerprint());
        assert!(id.public_key().verify(b"m", &again.sign(b"m")).is_ok());
        let renamed = Identity::from_pkcs8(key.secret_pkcs8_der(), "b", NOW).expect("key");
        assert_eq!(renamed.fingerprint(), id.fingerprint());
        assert_ne!(renamed.certificate_der(), id.certificate_der());
        assert!(Identity::from_parts(key.secret_pkcs8_der(), identity("b").certificate_der()).is_err());
    }

    #[test]
    fn two_identities_differ() {
        assert_ne!(identity("a").fingerprint(), identity("a").fingerprint());
    }

    #[test]
    fn refuses_bad_labels_and_times() {
        assert!(matches!(Identity::generate("", NOW), Err(PkiError::Label(_))));
        for time in [
            datetime!(1969-12-31 23:59:59 UTC),
            datetime!(9999-01-01 00:00:00 UTC),
            datetime!(-0001-01-01 00:00:00 UTC),
        ] {
            assert!(matches!(Identity::generate("a", time), Err(PkiError::Time)));
        }
    }

    #[test]
    fn certificates_after_2049_are_readable() {
        let id = Identity::generate("a", datetime!(2049-12-31 23:59:59 UTC)).expect("identity");
        let facts = CertificateFacts::read(id.certificate_der()).expect("certificate");
        assert_eq!(facts.not_after.year(), 2059);
    }

    #[test]
    fn debug_shows_no_secret() {
        let id = identity("a");
        let shown = format!("{id:?}");
        assert!(shown.len() < 50 && !shown.contains(&hex::encode(&id.expose_pkcs8()[16..24])), "{shown}");
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            prop_assert!(Identity::from_pkcs8(&bytes, "a", NOW).is_err());
        }
    }
}
