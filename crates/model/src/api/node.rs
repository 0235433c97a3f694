//! The node itself: what it is, its log, its tokens, and what was posted to its receiver.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::{Fingerprint, GroupId, RunId, Slot};

/// The running node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBody {
    /// Its name.
    pub name: String,
    /// Version of the program.
    pub software: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// What it does: `gateway`, `peer`, `receiver`, ...
    pub roles: Vec<String>,
    /// Where its link port is, `host:port`.
    pub link_address: Option<String>,
    /// Where its HTTP edge is.
    pub public_url: String,
    /// Its clock, to compare with one's own.
    pub now: String,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counted from 1 without gaps.
    pub seq: i64,
    /// The canonical text that is hashed.
    pub body: String,
    /// Its hash in the Merkle tree, hexadecimal.
    pub hash: String,
}

/// The signed head of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The checkpoint as a signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// How many entries it covers.
    pub size: u64,
    /// Their root, hexadecimal.
    pub root: String,
    /// Public key of the node that signed, base64 SubjectPublicKeyInfo.
    pub key: String,
}

/// A proof over the log (RFC 9162, sections 2.1.3 and 2.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogProof {
    /// How many entries the log has that it leads to.
    pub size: u64,
    /// Hashes, hexadecimal, in the order of the RFC.
    pub proof: Vec<String>,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// Entries, oldest first.
    pub entries: Vec<LogLine>,
    /// Where to go on; nothing if this was the end.
    pub next: Option<i64>,
}

/// What a peer of this node saw of its gateway's log, as a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessBody {
    /// The gateway whose log it is.
    pub log: Fingerprint,
    /// The last head that it accepted and co-signed, as the gateway's signed note; nothing before the first.
    pub checkpoint: Option<String>,
    /// A head that the gateway signed too and that contradicts it. Nothing is co-signed then any more.
    pub disputed: Option<String>,
}

/// What an operator says who looked into a dispute over a log and found a reason that is none to distrust it, such as a
/// gateway restored from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleBody {
    /// The root of the disputed head, base64 as in its third line: from it on the log is witnessed again.
    pub accept: String,
    /// Why; it is in the audit log of this node for good.
    pub reason: String,
}

/// A receipt in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLine {
    /// The session whose result it is about.
    pub session: String,
    /// The group.
    pub group: GroupId,
    /// The run.
    pub run: RunId,
    /// The slot, from 0.
    pub slot: Slot,
    /// When it was kept here.
    pub at: String,
}

/// Receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptList {
    /// Newest first.
    pub receipts: Vec<ReceiptLine>,
}

/// A receipt; see docs/receipt-spec.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBody {
    /// The document, canonical JSON as text.
    pub receipt: String,
    /// Whether this peer's own data counted, JSON as text; only of a peer's own receipts, where it was asked for data.
    pub contribution: Option<String>,
}

/// Evidence in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// The session in which somebody lied.
    pub session: String,
    /// The group.
    pub group: GroupId,
    /// The run.
    pub run: RunId,
    /// The slot, from 0.
    pub slot: Slot,
    /// Whom it convicts.
    pub accused: Vec<Fingerprint>,
    /// When it was kept here.
    pub at: String,
}

/// Evidence that a peer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceList {
    /// Newest first.
    pub evidence: Vec<EvidenceLine>,
}

/// What convicts compute peers before anybody. It shows a part of the result of its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceBody {
    /// The document, JSON as text.
    pub evidence: String,
}

/// A token to be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it allows.
    pub role: Role,
    /// A name for people.
    pub label: String,
    /// The tasks that it may ask for. A viewer's token without this may ask for none, an operator's for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<super::TaskScope>,
}

/// A client's certificate that is to be admitted: shown over https it does as well as a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCertificate {
    /// SHA-256 of its public key.
    pub fingerprint: Fingerprint,
    /// What it allows.
    pub role: Role,
    /// A name for people.
    pub label: String,
    /// The tasks that it may ask for: a viewer's certificate without this for none, an operator's for all. They bind
    /// every task that its key signed, whoever hands it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<super::TaskScope>,
}

/// A new token. This is the only time its text is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// Its name in lists: the hash of its text.
    pub id: String,
    /// What it allows.
    pub role: Role,
    /// Its text, for `Authorization: Bearer`.
    pub token: String,
}

impl core::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IssuedToken").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A token in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBody {
    /// The hash of its text; of a certificate its fingerprint.
    pub id: String,
    /// What it allows.
    pub role: String,
    /// A name for people.
    pub label: String,
    /// Whether it is a client's certificate and no token.
    #[serde(default)]
    pub certificate: bool,
    /// The tasks that it may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<super::TaskScope>,
    /// When it was issued.
    pub created: String,
    /// When it was revoked.
    pub revoked: Option<String>,
}

/// Tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// Oldest first.
    pub tokens: Vec<TokenBody>,
}

/// Results posted to the receiver (P2DS: `DataSets`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedBody {
    /// Rows such as `3;8`.
    pub data: Vec<String>,
    /// Who sends them; the old system leaves it empty.
    #[serde(default, rename = "peerName")]
    pub peer_name: Option<String>,
}

/// A row that was posted to the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRow {
    /// In the order of arrival, from 1.
    pub id: i64,
    /// The address it came from.
    pub from: String,
    /// When it came.
    pub when: String,
    /// The row.
    pub data: String,
}

/// Rows that were posted to the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedList {
    /// In the order of arrival.
    pub rows: Vec<ReceivedRow>,
}
