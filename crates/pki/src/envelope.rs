//! Signatures that are good for one purpose only.
//!
//! Every signature of Tacit names its [`Context`]; one made for a context never verifies in another,
//! so that, say, a signed task cannot be shown as agreement to a result.
//!
//! - [`sign`] / [`verify`]: JWS compact serialization (RFC 7515) with EdDSA (RFC 8037), which any JOSE
//!   library reads. The protected header is `{"alg":"EdDSA","kid":<fingerprint>,"typ":"tacit-<context>+json"}`
//!   and nothing else; other and critical members are refused.
//! - [`sign_detached`] / [`verify_detached`]: 64 bytes over `tacit/v1/<context>\0` and the message, for
//!   binary messages where every byte counts.
//!
//! The two never collide: what is signed begins with `ey` here and with `tacit/` there. Neither hides
//! anything, and neither stops a replay: the payload must name its group, run and attempt.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tacit_model::Fingerprint;

use crate::{EnvelopeFault, Identity, PkiError, PublicKey, Signature, verifying};

/// Longest envelope that is read, in characters.
pub const MAX_ENVELOPE: usize = 16 * 1024 * 1024;

/// Ours has about 130 bytes.
const MAX_HEADER: usize = 512;

/// What a signature is for. Closed: a new purpose is a new member here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// A decision: the consensus on the charter of a group.
    Charter,
    /// What somebody does in a negotiation before it is decided.
    Negotiation,
    /// The set of inputs, fixed before anything is opened.
    Freeze,
    /// A plan that peers are asked to take part in.
    Prepare,
    /// What a client asks for.
    Task,
    /// The head of an audit log.
    Checkpoint,
    /// A message between parties, kept as evidence.
    Message,
    /// A result that its signer computed.
    Agreement,
    /// What a gateway says of itself to whoever looks for one.
    Announcement,
    /// What a compute peer says of a session it computed.
    Receipt,
    /// What a gateway tells a client of its task.
    Notice,
}

impl Context {
    /// All purposes.
    pub const ALL: [Self; 11] = [
        Self::Charter,
        Self::Negotiation,
        Self::Freeze,
        Self::Prepare,
        Self::Task,
        Self::Checkpoint,
        Self::Message,
        Self::Agreement,
        Self::Announcement,
        Self::Receipt,
        Self::Notice,
    ];

    /// Its name, which never changes: it is part of what is signed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Charter => "charter",
            Self::Negotiation => "negotiation",
            Self::Freeze => "freeze",
            Self::Prepare => "prepare",
            Self::Task => "task",
            Self::Checkpoint => "checkpoint",
            Self::Message => "message",
            Self::Agreement => "agreement",
            Self::Announcement => "announcement",
            Self::Receipt => "receipt",
            Self::Notice => "notice",
        }
    }
}

/// A signed payload in JWS compact form. Says nothing until it is verified.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signed(String);

impl Signed {
    /// Takes a text from elsewhere.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Same as [`verify`].
    pub fn verify(&self, context: Context, key: &PublicKey) -> Result<Verified, PkiError> {
        verify(&self.0, context, key)
    }

    /// Same as [`verify_from`].
    pub fn verify_from(
        &self,
        context: Context,
        key_of: impl FnOnce(&Fingerprint) -> Option<PublicKey>,
    ) -> Result<Verified, PkiError> {
        verify_from(&self.0, context, key_of)
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} characters)", self.0.len())
    }
}

/// Proof that `signer` signed `payload` for the context that was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified {
    payload: Vec<u8>,
    signer: Fingerprint,
}

impl Verified {
    /// What was signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What was signed.
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    /// Who signed it.
    pub fn signer(&self) -> Fingerprint {
        self.signer
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified({} bytes by {:?})", self.payload.len(), self.signer)
    }
}

/// Signs a payload, by convention canonical JSON, for one purpose.
pub fn sign(identity: &Identity, context: Context, payload: &[u8]) -> Signed {
    // Nothing in these three needs escaping in JSON.
    let header = format!(r#"{{"alg":"{ALGORITHM}","kid":"{}","typ":"{}"}}"#, identity.fingerprint(), typ(context));
    let mut text = URL_SAFE_NO_PAD.encode(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = identity.sign(text.as_bytes());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.0, &mut text);
    Signed(text)
}

/// Verifies an envelope of a known signer.
pub fn verify(text: &str, context: Context, key: &PublicKey) -> Result<Verified, PkiError> {
    let parts = Parts::read(text, context)?;
    if parts.signer != key.fingerprint() {
        return Err(EnvelopeFault::WrongSigner(parts.signer).into());
    }
    parts.check(key)
}

/// Verifies an envelope of whomever it names, if `key_of` knows that party's key.
///
/// `key_of` sees the fingerprint before anything is proven; it must only look it up.
pub fn verify_from(
    text: &str,
    context: Context,
    key_of: impl FnOnce(&Fingerprint) -> Option<PublicKey>,
) -> Result<Verified, PkiError> {
    let parts = Parts::read(text, context)?;
    let key = key_of(&parts.signer).ok_or(EnvelopeFault::UnknownSigner(parts.signer))?;
    if parts.signer != key.fingerprint() {
        return Err(EnvelopeFault::WrongSigner(parts.signer).into());
    }
    parts.check(&key)
}

/// Signs a binary message for one purpose; only the 64 bytes travel with it.
pub fn sign_detached(identity: &Identity, context: Context, message: &[u8]) -> [u8; 64] {
    identity.sign(&with_context(context, message)).0
}

/// Verifies what [`sign_detached`] made.
pub fn verify_detached(
    key: &PublicKey,
    context: Context,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), PkiError> {
    key.verify(&with_context(context, message), &Signature(*signature))
}

/// Verifies several parties' signatures under one message, together where that is faster; the place of the first that does
/// not hold.
///
/// For who acts on them. What is kept to be shown to others is verified one by one: see `verifying.rs`.
pub fn verify_all_detached(context: Context, message: &[u8], signed: &[(&PublicKey, &[u8; 64])]) -> Result<(), usize> {
    let text = with_context(context, message);
    if verifying::hold_together(&text, signed) {
        return Ok(());
    }
    let fails = |(key, signature): &(&PublicKey, &[u8; 64])| key.verify(&text, &Signature(**signature)).is_err();
    signed.iter().position(fails).map_or(Ok(()), Err)
}

const ALGORITHM: &str = "EdDSA";

fn typ(context: Context) -> String {
    format!("tacit-{}+json", context.name())
}

fn with_context(context: Context, message: &[u8]) -> Vec<u8> {
    const PREFIX: &[u8] = b"tacit/v1/";
    let name = context.name().as_bytes();
    let mut text = Vec::with_capacity(PREFIX.len() + name.len() + 1 + message.len());
    text.extend_from_slice(PREFIX);
    text.extend_from_slice(name);
    text.push(0);
    text.extend_from_slice(message);
    text
}

/// The only members a header may hold; `crit`, `b64`, `jwk` and whatever may come are refused, and so
/// are repeated members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// An envelope of the right form and purpose, not yet verified.
struct Parts<'a> {
    signed: &'a str,
    payload: Vec<u8>,
    signature: Signature,
    signer: Fingerprint,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str, context: Context) -> Result<Self, EnvelopeFault> {
        if text.len() > MAX_ENVELOPE {
            return Err(EnvelopeFault::TooLarge);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(EnvelopeFault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(EnvelopeFault::Malformed)?;
        if header.len() > MAX_HEADER {
            return Err(EnvelopeFault::Header);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| EnvelopeFault::Header)?;
        if header.alg != ALGORITHM {
            return Err(EnvelopeFault::Algorithm);
        }
        if header.typ != typ(context) {
            return Err(EnvelopeFault::Purpose { expected: context.name() });
        }
        let signer: Fingerprint = header.kid.parse().map_err(|_| EnvelopeFault::Header)?;
        if signer.to_string() != header.kid {
            return Err(EnvelopeFault::Header);
        }
        let signature = <[u8; 64]>::try_from(decode(signature)?).map_err(|_| EnvelopeFault::Malformed)?;
        Ok(Self { signed, payload: decode(payload)?, signature: Signature(signature), signer })
    }

    fn check(self, key: &PublicKey) -> Result<Verified, PkiError> {
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| EnvelopeFault::Signature)?;
        Ok(Verified { payload: self.payload, signer: self.signer })
    }
}

/// Refuses padding, foreign characters and left-over bits: one payload, one text.
fn decode(part: &str) -> Result<Vec<u8>, EnvelopeFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| EnvelopeFault::Malformed)
}

#[cfg(test)]
mod tests;
