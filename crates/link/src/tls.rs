//! TLS settings: 1.3 only, hybrid post-quantum key exchange first, both sides authenticated by
//! Ed25519 keys, no resumption (it would skip the look at the certificate).
//!
//! A certificate here only carries a key. The server side takes any, since who may connect is the
//! gate's decision and needs the fingerprint first; the dialling side takes exactly the key whose
//! name it dialled. Both demand the handshake's signature, the proof of possession.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, ServerConfig, SignatureScheme,
};
use tacit_model::Fingerprint;
use tacit_pki::{Identity, PublicKey, ShownKey, fingerprint_of_sni, shown_key, sni_name};

use crate::error::LinkError;
use crate::hub::Protocol;

/// What both sides use of aws-lc.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..default_provider()
    })
}

/// A party's certificate and key in the form TLS wants.
pub(crate) fn certified_key(identity: &Identity, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, LinkError> {
    CertifiedKey::from_der(vec![identity.certificate_der().clone()], identity.tls_key(), provider)
        .map(Arc::new)
        .map_err(|_| LinkError::Config("the party's certificate and key do not fit"))
}

/// The fingerprint behind a certificate that a peer showed.
pub(crate) fn fingerprint(certificates: Option<&[CertificateDer<'_>]>) -> Result<Fingerprint, LinkError> {
    match certificates {
        Some([one]) => PublicKey::from_certificate(one)
            .map(|key| key.fingerprint())
            .map_err(|_| LinkError::Handshake("certificate without an Ed25519 key".into())),
        _ => Err(LinkError::Handshake("not exactly one certificate".into())),
    }
}

/// The certificates of the parties on this node, by the name they are dialled by.
#[derive(Default)]
pub(crate) struct Certificates(RwLock<HashMap<Fingerprint, Arc<CertifiedKey>>>);

impl Certificates {
    pub(crate) fn add(&self, party: Fingerprint, key: Arc<CertifiedKey>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(party, key);
    }

    pub(crate) fn remove(&self, party: &Fingerprint) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(party);
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let party = fingerprint_of_sni(hello.server_name()?)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&party).cloned()
    }
}

/// The accepting side, for all parties and protocols of the node.
pub(crate) fn server_config(
    provider: &Arc<CryptoProvider>,
    certificates: Arc<Certificates>,
) -> Result<Arc<ServerConfig>, LinkError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| LinkError::Config("TLS 1.3 is not available"))?
        .with_client_cert_verifier(Arc::new(ShownKey::required(Arc::clone(provider))))
        .with_cert_resolver(certificates);
    config.alpn_protocols = [Protocol::Control, Protocol::Mpc, Protocol::Replica].map(|p| p.alpn().to_vec()).to_vec();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The dialling side of one party for one protocol.
pub(crate) fn client_config(
    provider: &Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
    protocol: Protocol,
) -> Result<Arc<ClientConfig>, LinkError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| LinkError::Config("TLS 1.3 is not available"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedKey(Arc::clone(provider))))
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from((*key).clone())));
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The name under which a party is dialled.
pub(crate) fn server_name(party: Fingerprint) -> Result<ServerName<'static>, LinkError> {
    ServerName::try_from(sni_name(party)).map_err(|_| LinkError::Config("fingerprint without a name"))
}

/// Takes exactly the server whose key's fingerprint is the name that was dialled.
#[derive(Debug)]
struct PinnedKey(Arc<CryptoProvider>);

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = shown_key(certificate, others)?;
        let pinned = match name {
            ServerName::DnsName(name) => fingerprint_of_sni(name.as_ref()),
            _ => None,
        };
        if pinned == Some(key.fingerprint()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
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
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
