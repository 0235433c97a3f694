//! The accepting side of TLS looks at the key of whoever connects, and believes nothing else in its certificate.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme};

use crate::PublicKey;

/// The key in the one certificate that somebody shows. A chain is refused: there is no issuer to believe.
pub fn shown_key(certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<PublicKey, Error> {
    if !others.is_empty() {
        return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
    }
    PublicKey::from_certificate(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Takes every client that proves possession of the one Ed25519 key it shows, over TLS 1.3. What that key may do is
/// for the caller to decide, by its fingerprint.
#[derive(Debug)]
pub struct ShownKey {
    provider: Arc<CryptoProvider>,
    required: bool,
}

impl ShownKey {
    /// Everybody shows one.
    pub fn required(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, required: true }
    }

    /// Who has none may come, too.
    pub fn welcome(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, required: false }
    }
}

impl ClientCertVerifier for ShownKey {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        shown_key(certificate, others).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
