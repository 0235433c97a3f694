//! The signed head of a log: C2SP tlog-checkpoint (<https://c2sp.org/tlog-checkpoint>).
//!
//! ```text
//! tacit/<fingerprint of the node>
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — tacit/<fingerprint of the node> Az3grl...
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacit_model::Fingerprint;
use tacit_pki::{Identity, PublicKey};

use super::note::{self, Note, NoteError, NoteKey};
use super::tree::{Hash, Tree};

/// What a log was at a moment: so many entries, and their root.
///
/// One made by [`Checkpoint::open`] was signed by the node that its origin names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log: see [`origin_of`].
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// Further lines, opaque; Tacit writes none.
    pub extensions: Vec<String>,
}

/// Why a text is not a checkpoint that may be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The signed note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is signed but is no checkpoint.
    #[error("this is not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The log of another node.
    #[error("this checkpoint belongs to the log {found}, not to {expected}; ask the right node")]
    Origin {
        /// Whose log it should be.
        expected: String,
        /// Whose it says it is.
        found: String,
    },
}

/// The origin of a node's log and the name of its key: `tacit/<fingerprint>`.
pub fn origin_of(node: &Fingerprint) -> String {
    format!("tacit/{node}")
}

impl Checkpoint {
    /// The checkpoint of a node's log.
    pub fn new(node: &Fingerprint, tree: &Tree) -> Self {
        Self { origin: origin_of(node), size: tree.size(), root: tree.root(), extensions: Vec::new() }
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0));
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Reads the text of a checkpoint, of whatever log, that somebody else verified.
    pub fn read(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let lines = text.strip_suffix('\n').ok_or(malformed("its last line does not end"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(malformed("it has fewer than three lines"));
        };
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return Err(malformed("a line is empty"));
        }
        let number: u64 = size.parse().map_err(|_| malformed("its size is not a number"))?;
        if number.to_string() != size {
            return Err(malformed("its size is not written as numbers are"));
        }
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = Hash(root.ok_or(malformed("its root is not base64 of 32 bytes"))?);
        if number == 0 && root != Hash::empty() {
            return Err(malformed("an empty log has another root"));
        }
        Ok(Self { origin: origin.to_owned(), size: number, root, extensions })
    }

    /// Signs it as the node whose log it is; the signed note.
    ///
    /// A node signs only what it has stored, and nothing that contradicts what it signed before.
    pub fn sign(&self, node: &Identity) -> Result<String, CheckpointError> {
        let expected = origin_of(&node.fingerprint());
        if self.origin != expected {
            return Err(CheckpointError::Origin { expected, found: self.origin.clone() });
        }
        Ok(note::sign(&self.text(), &expected, node)?)
    }

    /// What a note says, whoever signed it: for what this node itself stored.
    pub fn unverified(note: &str) -> Result<Self, CheckpointError> {
        // The text of a checkpoint holds no empty line, so the first one ends it.
        let end = note.find("\n\n").ok_or(CheckpointError::Malformed("it is no note"))?;
        Self::read(&note[..=end])
    }

    /// The checkpoint in a signed note, if the node with this key signed it for its own log.
    pub fn open(note: &str, node: &PublicKey) -> Result<Self, CheckpointError> {
        let expected = origin_of(&node.fingerprint());
        let note = Note::read(note)?;
        let checkpoint = Self::read(note.verified(&NoteKey::new(expected.as_str(), *node)?)?)?;
        if checkpoint.origin != expected {
            return Err(CheckpointError::Origin { expected, found: checkpoint.origin });
        }
        Ok(checkpoint)
    }
}
