//! Who somebody is, whom to trust, and what they signed.
//!
//! - [`Identity`]: one Ed25519 key pair and its self-signed certificate. Its name everywhere is the
//!   [`Fingerprint`](tacit_model::Fingerprint), SHA-256 of the SubjectPublicKeyInfo.
//! - [`envelope`]: signatures that are good for one purpose only.
//! - [`trust`]: which fingerprints a person has accepted, and the proof of it that other rooms demand.
//! - [`comparison_code`]: what two people read to each other while pairing.
//! - [`keyfile`]: private keys on disk. The only module that touches files.
//! - [`p2ds_key`]: keys of the older P2DS system, kept as labels only.
//! - [`https`]: whom an HTTP client believes.
//! - [`result_key`]: results that only one client opens.
//! - [`token`], [`random`]: API tokens, invitations, the operating system's generator.
//!
//! **Promises.** No parser panics, whatever the bytes. A private key leaves this crate only through
//! [`Identity::tls_key`]. Nothing here reads a clock, and nothing prints a secret.
//!
//! **Does not** build certificate chains, speak TLS, or decide who may do what.

mod certificate;
mod comparison;
mod der;
pub mod envelope;
mod error;
pub mod https;
mod identity;
pub mod keyfile;
mod label;
pub mod p2ds_key;
pub mod random;
pub mod result_key;
mod shown;
mod sni;
pub mod token;
pub mod trust;
mod verifying;

pub use certificate::{CertificateFacts, PublicKey, Signature, fingerprint_of_certificate};
pub use comparison::comparison_code;
pub use error::{EnvelopeFault, KeyFileFault, LegacyKeyFault, PkiError, TrustFault};
pub use identity::Identity;
pub use label::check_label;
pub use shown::{ShownKey, shown_key};
pub use sni::{fingerprint_of_sni, sni_name};
