//! What an HTTP client may ask, and whom to believe over https: the system's authorities, or a certificate that is pinned.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, InvalidMessage, ServerConfig, SignatureScheme};
use tacit_model::Fingerprint;
use url::Url;

use crate::{Identity, ShownKey};

/// Who is believed.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Certificates by their fingerprint; names and dates in them do not matter, the key is the identity.
    pub pinned: Vec<Fingerprint>,
    /// Also whatever an authority issued that the system trusts.
    pub authorities: bool,
    /// Everybody: only for reading what proves itself, such as a signed announcement.
    pub anybody: bool,
}

impl Trust {
    /// One certificate and nobody else; without one, the system's authorities.
    pub fn only(pin: Option<Fingerprint>) -> Self {
        Self { authorities: pin.is_none(), pinned: pin.into_iter().collect(), anybody: false }
    }
}

/// TLS 1.3 for an HTTP client, which shows its own certificate to servers that ask for one, if it has one.
pub fn client_config(trust: Trust, own: Option<&Identity>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier::new(trust, provider.clone()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match own {
        Some(own) => config.with_client_auth_cert(vec![own.certificate_der().clone()], own.tls_key()),
        None => Ok(config.with_no_client_auth()),
    }
}

/// TLS 1.3 for an HTTP server. It looks at the certificate of a client that shows one, and serves others as well.
pub fn server_config(own: &Identity) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(ShownKey::welcome(provider)))
        .with_single_cert(vec![own.certificate_der().clone()], own.tls_key())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Somebody answered in another protocol than was asked for: mostly the other port of a node. Says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherProtocol {
    /// http, and https was asked for.
    #[error("this node serves http, and https was asked for; on this machine give its address with http://")]
    Http,
    /// TLS, and http was asked for.
    #[error(
        "https or links are served there, and http was asked for; give its HTTP address (usually port 7400, and not \
         the link port, usually 7401), with https:// if that is what it serves"
    )]
    Tls,
    /// Links, and https was asked for.
    #[error("that is a link port; give the HTTP address (usually port 7400)")]
    Links,
}

impl OtherProtocol {
    /// What answered, if that is why a request failed.
    pub fn behind(error: &(dyn core::error::Error + 'static)) -> Option<Self> {
        let told = causes(error).find_map(|cause| match cause.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(Self::Http),
            // It has certificates only for the names that links are dialled by.
            rustls::Error::AlertReceived(AlertDescription::AccessDenied) => Some(Self::Links),
            _ => None,
        });
        // The HTTP client has no type for it.
        told.or_else(|| innermost(error).starts_with("invalid HTTP version").then_some(Self::Tls))
    }
}

/// Whether a connection failed because nobody who is trusted stands behind the server's certificate. Trying
/// again does not help then: somebody may stand in between.
pub fn is_untrusted(error: &(dyn core::error::Error + 'static)) -> bool {
    causes(error)
        .any(|cause| matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_))))
}

type Cause<'a> = &'a (dyn core::error::Error + 'static);

/// An error and what led to it, the innermost cause last.
fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    core::iter::successors(Some(error), |&error| cause_of(error))
}

/// An I/O error tells its cause's cause as its own.
fn cause_of(error: Cause<'_>) -> Option<Cause<'_>> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The innermost cause of a failure: without the address that was asked, which may hold a registration code.
pub fn innermost(error: &(dyn core::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Why nothing is said to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// Not an address of the web.
    #[error("{0:?} is not an http or https address: write https://HOST:PORT, or http://127.0.0.1:PORT on this machine")]
    Other(String),
    /// Plain http to another machine.
    #[error("plain http is used on this machine only; use https for {0:?}")]
    PlainHttp(String),
}

/// An address that may be asked: https, or plain http on this machine; anywhere, if that is allowed.
pub fn address(text: &str, plain_http_anywhere: bool) -> Result<Url, NoAddress> {
    let other = || NoAddress::Other(text.to_owned());
    let url = Url::parse(text).map_err(|_| other())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(other)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_http_anywhere || is_this_machine(host) => Ok(url),
        "http" => Err(NoAddress::PlainHttp(text.to_owned())),
        _ => Err(other()),
    }
}

/// Host and port: on one machine several nodes may be meant, and one node has several ports.
pub fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a host of a URL is this machine: nothing is said in plain http to any other.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// The system's authorities, or a pinned key.
#[derive(Debug)]
struct Verifier {
    pinned: Vec<Fingerprint>,
    anybody: bool,
    provider: Arc<CryptoProvider>,
    authorities: Option<rustls_platform_verifier::Verifier>,
}

impl Verifier {
    fn new(trust: Trust, provider: Arc<CryptoProvider>) -> Self {
        // A machine without any authority still reaches what is pinned.
        let system = || rustls_platform_verifier::Verifier::new(provider.clone()).ok();
        let authorities = if trust.authorities { system() } else { None };
        Self { pinned: trust.pinned, anybody: trust.anybody, provider, authorities }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let fingerprint = crate::fingerprint_of_certificate(end_entity);
        if self.anybody || fingerprint.is_ok_and(|fingerprint| self.pinned.contains(&fingerprint)) {
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let authorities = self.authorities.as_ref().ok_or(unknown)?;
        authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
