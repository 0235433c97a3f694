//! A log as one file, for an auditor who has nothing but public keys.
//!
//! Lines of canonical JSON (RFC 8785), each ended by a newline:
//!
//! ```text
//! {"format":"tacit-audit/1","key":<base64 SPKI>,"node":<fingerprint>,"software":<what wrote the last entries>}
//! {"checkpoint":<signed note over all N entries>}
//! {"cosigned":<signed note over n <= N entries, with a witness's signature>,"key":<its base64 SPKI>}    any number
//! {"entry":{...},"leaf":<hex>,"seq":1}
//! ...
//! {"entry":{...},"leaf":<hex>,"seq":256}
//! {"checkpoint":<signed note over 256 entries>}        after each 256th entry but the last
//! ...
//! {"entry":{...},"leaf":<hex>,"seq":N}
//! ```
//!
//! `leaf` is the hash of the entry's text exactly as it stands, so a changed entry is found by itself; the
//! checkpoints in between, which the node signed when it wrote those entries, narrow down a change that also
//! mended the leaf. Nothing in the file is left unchecked: not the header (its key is the one that signed, its
//! software the one last logged), not the order, not the end.

use serde::{Deserialize, Serialize};
use tacit_model::Fingerprint;
use tacit_pki::PublicKey;

use super::tree::Hash;
pub use super::verify::{Broken, Fault, GroupReport, Report, Verifier};
use crate::{CanonicalError, canonical};

/// Name and version of the format.
pub const FORMAT: &str = "tacit-audit/1";
/// The node signs the head of its log whenever so many entries more are there, and says so in an export.
pub const SIGNED_EVERY: u64 = 256;
/// Longest line that is read. A charter of 10,000 members has about 3 MB.
pub const MAX_LINE: usize = 64 << 20;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// Public key of the node, base64 SubjectPublicKeyInfo.
    pub key: String,
    /// The node.
    pub node: Fingerprint,
    /// The software that the log names last; empty if it names none.
    pub software: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointLine {
    pub(super) checkpoint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CosignedLine {
    pub(super) cosigned: String,
    pub(super) key: String,
}

/// A line with a checkpoint that a witness co-signed.
pub fn cosigned_line(note: &str, witness: &PublicKey) -> Result<String, CanonicalError> {
    line(canonical(&CosignedLine { cosigned: note.to_owned(), key: witness.to_base64() })?)
}

/// The first line of an export.
pub fn header_line(key: &PublicKey, software: &str) -> Result<String, CanonicalError> {
    let (format, software) = (FORMAT.to_owned(), software.to_owned());
    line(canonical(&Header { format, key: key.to_base64(), node: key.fingerprint(), software })?)
}

/// A line with a signed checkpoint.
pub fn checkpoint_line(note: &str) -> Result<String, CanonicalError> {
    line(canonical(&CheckpointLine { checkpoint: note.to_owned() })?)
}

/// The line of an entry, numbered from 1. `body` is the canonical text that was hashed.
pub fn entry_line(seq: u64, leaf: &Hash, body: &str) -> String {
    format!("{ENTRY}{body}{LEAF}{leaf}\"{SEQ}{seq}}}\n")
}

pub(super) const COSIGNED: &str = "{\"cosigned\":";
pub(super) const ENTRY: &str = "{\"entry\":";
pub(super) const LEAF: &str = ",\"leaf\":\"";
pub(super) const SEQ: &str = ",\"seq\":";

/// Whether a line with a checkpoint stands after this entry in an export of so many entries.
pub fn signed_after(seq: u64, entries: u64) -> bool {
    seq > 0 && seq < entries && seq.is_multiple_of(SIGNED_EVERY)
}

fn line(mut text: String) -> Result<String, CanonicalError> {
    text.push('\n');
    Ok(text)
}
