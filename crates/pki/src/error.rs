use std::io;
use std::path::PathBuf;

use tacit_model::Fingerprint;

/// Everything that can go wrong with keys, certificates, trust and signatures.
///
/// No message holds key material or signed data.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A certificate that cannot be used.
    #[error("not a usable certificate: {0}")]
    Certificate(&'static str),
    /// A public key that cannot be used.
    #[error("not a usable Ed25519 public key: {0}")]
    PublicKey(&'static str),
    /// A private key that cannot be used.
    #[error("not a usable Ed25519 private key: {0}")]
    PrivateKey(&'static str),
    /// The signature does not belong to this message and key.
    #[error("the signature does not verify")]
    Signature,
    /// A name for people that would mislead them or break the certificate.
    #[error("not a usable label: {0}; use 1 to 64 characters, no control or direction characters, no outer spaces")]
    Label(&'static str),
    /// A start of validity that a certificate cannot express.
    #[error("a certificate cannot start at this time; check the clock of this machine")]
    Time,
    /// A signed envelope that is refused.
    #[error("signed envelope refused: {0}")]
    Envelope(#[from] EnvelopeFault),
    /// The trust store says no.
    #[error(transparent)]
    Trust(#[from] TrustFault),
    /// Key files that cannot be written or must not be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileFault),
    /// A P2DS key that is not one (P2DS: `ERR_INV_CERT`).
    #[error("not a usable P2DS key: {0}")]
    LegacyKey(#[from] LegacyKeyFault),
    /// A text that should have been an API token.
    #[error("not an API token: expected `tacit_` and 43 letters, digits, `-` or `_`")]
    Token,
    /// A sealed result, or the key for one, that cannot be read.
    #[error("the sealed result does not open with this key, or the key is no X25519 key in base64")]
    Sealed,
    /// The operating system gave no randomness.
    #[error("the operating system's random generator failed; nothing was generated")]
    Random,
    /// A library refused what it must accept: a defect of this program.
    #[error("defect: {0}; please report it")]
    Bug(&'static str),
}

/// Why a signed envelope is refused.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// Longer than [`MAX_ENVELOPE`](crate::envelope::MAX_ENVELOPE).
    #[error("it is too large")]
    TooLarge,
    /// Not three base64url parts in their one canonical form.
    #[error("it is not a JWS in compact form")]
    Malformed,
    /// The protected header holds anything but `alg`, `kid` and `typ`, each once.
    #[error("its header must hold exactly alg, kid and typ")]
    Header,
    /// Signed with something other than Ed25519.
    #[error("its algorithm is not EdDSA")]
    Algorithm,
    /// Signed for another purpose.
    #[error("it was not signed as a {expected}")]
    Purpose {
        /// The purpose that was asked for.
        expected: &'static str,
    },
    /// Nobody knows a key with this fingerprint.
    #[error("its signer {0} is not known here")]
    UnknownSigner(Fingerprint),
    /// It names a signer other than the one whose key was given.
    #[error("it names {0} as its signer, who was not expected")]
    WrongSigner(Fingerprint),
    /// The signature does not verify.
    #[error("its signature does not verify")]
    Signature,
}

/// Why the trust store says no.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// Somebody else holds this label.
    #[error("identity reserved: this label belongs to another key; choose another, or ask the operator")]
    LabelReserved,
    /// This fingerprint was added under another label.
    #[error("{0} is already known under another label")]
    OtherLabel(Fingerprint),
    /// Never seen.
    #[error("{0} is not known here; pair with it first")]
    Unknown(Fingerprint),
    /// Added, but no person has compared and accepted it.
    #[error("{0} is waiting: compare the codes on both sides, then accept it")]
    NotAccepted(Fingerprint),
    /// Revoked, for ever.
    #[error("{0} is revoked; its owner needs a new key")]
    Revoked(Fingerprint),
    /// An acceptance that names nobody.
    #[error("an acceptance must say who verified the fingerprint")]
    NoVerifier,
}

/// Why a key file is not written or not used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum KeyFileFault {
    /// A name that is not a plain file name.
    #[error("a key's name must be 1 to 64 characters of a-z, 0-9, `-` and `_`")]
    Name,
    /// There is a key already; it is never overwritten.
    #[error("{0} exists already and is never overwritten; move it away first if you really want a new identity")]
    Exists(PathBuf),
    /// There is no such file.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// Group or others have rights they must not have.
    #[error("{path} is open to other users (mode {mode:04o}); run: chmod {wanted:o} {quoted}")]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// What its mode is.
        mode: u32,
        /// What its mode must be.
        wanted: u32,
        /// The path as a shell word.
        quoted: String,
    },
    /// The file or folder belongs to somebody else.
    #[error("{path} belongs to user {owner}, this program runs as user {user}; run it as {owner} or change the owner")]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Not a regular file, or not what it should hold.
    #[error("{path} does not hold {expected}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Private key and certificate are not a pair.
    #[error("{0} is the certificate of another key")]
    Mismatch(PathBuf),
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a text is not a P2DS key.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LegacyKeyFault {
    /// Not base64, or far too long.
    #[error("it is not base64")]
    Base64,
    /// Not the expected DER structure.
    #[error("it is not a DER key of the expected form")]
    Structure,
    /// Some other kind of key.
    #[error("it is not an elliptic curve key with a named curve")]
    NotElliptic,
    /// The point has the wrong form or length.
    #[error("its point is not an uncompressed point of the curve's length")]
    Point,
    /// The point is not on the curve.
    #[error("its point is not on the curve")]
    OffCurve,
    /// The private number is zero or too large.
    #[error("its private number is out of range")]
    Scalar,
}
