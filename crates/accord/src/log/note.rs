//! Signed notes as C2SP describes them (<https://c2sp.org/signed-note>), with Ed25519.
//!
//! A note is a text, an empty line, and lines `— <key name> <base64(key id || signature)>`. The key id is the
//! first four bytes of SHA-256(name || 0x0A || 0x01 || public key): a label, not a proof.
//!
//! Strict where the specification leaves a choice: a signature of a known key that does not verify refuses the
//! whole note, and a key signs once. Signatures of unknown keys are ignored, as it demands.

use core::fmt;
use core::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacit_pki::{Identity, PublicKey, Signature};

/// Longest note that is read, in bytes.
pub const MAX_NOTE: usize = 64 * 1024;
/// Most signatures that are read; the specification asks for 16 at least.
pub const MAX_SIGNATURES: usize = 64;

/// Type byte of Ed25519 signatures over the text as it is.
const ED25519: u8 = 1;
/// Em dash and space.
pub(super) const MARK: &str = "\u{2014} ";

/// Why a text is not a note that may be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not of the form of a signed note.
    #[error("this is not a signed note: {0}")]
    Malformed(&'static str),
    /// No key that was asked for signed it.
    #[error("it is not signed by {0}; get the signer's key from its operator and compare fingerprints")]
    NotSigned(String),
    /// A signature of a key that was asked for is wrong.
    #[error("the signature of {0} does not verify: the text or the signature was changed")]
    Signature(String),
    /// A text that is no key of this form.
    #[error("this is not a note key: {0}")]
    Key(&'static str),
}

/// A key under a name, as notes are signed with. Its text form is `name+id+base64(0x01 || key)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: PublicKey,
}

impl NoteKey {
    /// A key under a name; names are not empty and hold neither white space nor `+`.
    pub fn new(name: impl Into<String>, key: PublicKey) -> Result<Self, NoteError> {
        let name = name.into();
        if is_name(&name) { Ok(Self { name, key }) } else { Err(NoteError::Key("its name has white space or a plus")) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The label that stands in front of its signatures.
    pub fn id(&self) -> [u8; 4] {
        let mut bytes = self.name.clone().into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.typed());
        let hash = digest(&SHA256, &bytes);
        let mut id = [0; 4];
        id.copy_from_slice(&hash.as_ref()[..4]);
        id
    }

    /// Type byte and the 32 bytes of RFC 8032, which end the SubjectPublicKeyInfo.
    fn typed(&self) -> [u8; 33] {
        let mut bytes = [ED25519; 33];
        bytes[1..].copy_from_slice(&self.key.spki()[PublicKey::SPKI_LEN - 32..]);
        bytes
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(self.typed()))
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // The base64 may hold plus signs, the name may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it has not the form name+id+key"));
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key("its last part is not base64"))?;
        let key = match key.split_first() {
            Some((&ED25519, key)) => <[u8; 32]>::try_from(key).map_err(|_| NoteError::Key("it has not 32 bytes"))?,
            _ => return Err(NoteError::Key("it is not of type 1, Ed25519")),
        };
        let key = PublicKey::from_raw(key).map_err(|_| NoteError::Key("it is no usable Ed25519 key"))?;
        let read = Self::new(name, key)?;
        if hex::encode(read.id()) == id { Ok(read) } else { Err(NoteError::Key("its id belongs to another key")) }
    }
}

/// A text with its signatures, none of which was looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl Note {
    /// Reads a note. Nothing in it may be believed before [`Note::verified`].
    pub fn read(note: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        if note.len() > MAX_NOTE {
            return Err(malformed("it is too long"));
        }
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(malformed("it holds a control character"));
        }
        // The last empty line ends the text.
        let end = note.rfind("\n\n").ok_or(malformed("no empty line stands before the signatures"))?;
        let lines = note[end + 2..].strip_suffix('\n').ok_or(malformed("its last line does not end"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            let (name, signature) = line
                .strip_prefix(MARK)
                .and_then(|line| line.split_once(' '))
                .ok_or(malformed("a signature line has not the form: dash, name, signature"))?;
            let bytes = STANDARD.decode(signature).map_err(|_| malformed("a signature is not base64"))?;
            let (id, signature) = bytes.split_first_chunk::<4>().ok_or(malformed("a signature has no key id"))?;
            if !is_name(name) || signature.is_empty() || signatures.len() == MAX_SIGNATURES {
                return Err(malformed("a signature line is empty, or there are too many"));
            }
            signatures.push(Line { name: name.to_owned(), id: *id, signature: signature.to_vec() });
        }
        Ok(Self { text: note[..=end].to_owned(), signatures })
    }

    /// How many signatures it carries, known or not.
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }

    /// The text, whoever signed it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The only signature under this name and key id.
    pub(super) fn line(&self, name: &str, id: [u8; 4]) -> Option<&[u8]> {
        let mut lines = self.signatures.iter().filter(|line| line.name == name && line.id == id);
        let line = lines.next()?;
        lines.next().is_none().then_some(&line.signature)
    }

    /// The text, if this key signed it.
    pub fn verified(&self, key: &NoteKey) -> Result<&str, NoteError> {
        let id = key.id();
        let mut of_key = self.signatures.iter().filter(|line| line.name == key.name && line.id == id);
        let wrong = || NoteError::Signature(key.name.clone());
        let line = of_key.next().ok_or_else(|| NoteError::NotSigned(key.name.clone()))?;
        let signature = <[u8; 64]>::try_from(line.signature.as_slice()).map_err(|_| wrong())?;
        key.key.verify(self.text.as_bytes(), &Signature(signature)).map_err(|_| wrong())?;
        if of_key.next().is_some() {
            return Err(NoteError::Malformed("a key signed it twice"));
        }
        Ok(&self.text)
    }
}

/// Signs a text that ends with a newline.
///
/// Not public: the signature covers the text and nothing else, so a text must not look like anything that a
/// node signs elsewhere. Envelopes begin with `ey` or `tacit/v1/`; checkpoints with `tacit/` and 64 hexadecimal
/// digits.
pub(super) fn sign(text: &str, name: &str, identity: &Identity) -> Result<String, NoteError> {
    let key = NoteKey::new(name, *identity.public_key())?;
    let mut signature = key.id().to_vec();
    signature.extend_from_slice(&identity.sign(text.as_bytes()).0);
    Ok(format!("{text}\n{MARK}{name} {}\n", STANDARD.encode(signature)))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

#[cfg(test)]
mod tests;
