//! Receipts: what a session computed, under which agreement, with whom, signed by those who computed it, and logged.
//!
//! ```text
//!  job, plan, frozen set ─► Statement ── each compute peer signs the same text
//!                                │ k of n signatures, k = t + 1: one of them honest
//!                                ▼
//!               entry of the gateway's log ─► inclusion proof ─► signed checkpoint ─► Receipt
//! ```
//!
//! The form, byte by byte, is in docs/receipt-spec.md. **Promises**: who verifies a receipt with public keys alone knows
//! that at least one honest compute peer computed this task under this consensus over so many contributions, bound to
//! these commitments. **Leaks nothing** of inputs or of who contributed: contributors are a count and a Merkle root over
//! commitments with salts of 256 bits. A contributor, and nobody else, can show that its data is under that root:
//! [`Contribution`]. **Does not say** what the result is; the agreement is a commitment that recipients can open.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey};

use crate::log::{Checkpoint, Entry, Hash, Tree, leaf_hash, verify_inclusion};
use crate::{CanonicalError, Charter, ConsensusId, canonical, digest};

/// Name and version of the format.
pub const FORMAT: &str = "tacit-receipt/1";
/// Longest receipt that is read, in bytes.
pub const MAX_RECEIPT: usize = 8 << 20;

/// What the compute peers of a session agree that it was. All of them derive the same text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORMAT`].
    pub format: String,
    /// The group.
    pub group: GroupId,
    /// The consensus under which it ran.
    pub consensus: ConsensusId,
    /// The session.
    pub session: SessionId,
    /// The run of the group.
    pub run: RunId,
    /// The slot of the run, from 0.
    pub slot: Slot,
    /// How often the slot was tried before.
    pub attempt: Attempt,
    /// What was computed, as every peer checked it.
    pub task: serde_json::Value,
    /// Digest of the plan that every peer computed, hexadecimal.
    pub plan: String,
    /// What is promised against whom: `semi-honest`, `malicious`, `guaranteed`.
    pub model: String,
    /// How many operators may be corrupted.
    pub threshold: u32,
    /// Who computed, ascending.
    pub compute: Vec<Fingerprint>,
    /// Whose data is in.
    pub contributors: Contributors,
    /// How many could learn the result.
    pub recipients: u32,
    /// Bounds that were enforced or checked, by name.
    pub guards: BTreeMap<String, String>,
    /// What was charged to a privacy budget; nothing, where there was no noise.
    pub budget: Option<BTreeMap<String, String>>,
    /// Digest of the frozen set, which every compute peer signed before anything was opened, hexadecimal.
    pub frozen: String,
    /// Digest of the plan and of all members' nonces, hexadecimal.
    pub binding: String,
    /// Commitment to the result, hexadecimal, where every compute peer is a recipient too.
    pub agreement: Option<String>,
}

/// How many contributed, and a commitment to who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contributors {
    /// How many.
    pub count: u64,
    /// Merkle root over [`contribution_leaf`]s, by ascending fingerprint, hexadecimal.
    pub root: String,
}

/// A compute peer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptSignature {
    /// Its public key, base64 SubjectPublicKeyInfo.
    pub key: String,
    /// Ed25519 over the statement's text in the context `receipt`, base64.
    pub signature: String,
}

/// Where the gateway's log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logged {
    /// The entry.
    pub entry: Entry,
    /// Its number, from 1.
    pub number: u64,
    /// That it is in the log of the checkpoint, hexadecimal hashes (RFC 9162, section 2.1.3).
    pub proof: Vec<String>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// The gateway's public key, base64 SubjectPublicKeyInfo.
    pub key: String,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What is signed.
    pub statement: Statement,
    /// By whom, ascending by fingerprint.
    pub signatures: Vec<ReceiptSignature>,
    /// Where it is logged.
    pub log: Logged,
}

/// Whether its holder's data counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    /// The session.
    pub session: SessionId,
    /// The contributor.
    pub party: Fingerprint,
    /// Its place under the contributors' root, if it counted.
    pub counted: Option<Counted>,
    /// Why it did not count.
    pub reason: Option<String>,
}

/// That a contribution is under the contributors' root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// The contributor's salted commitment to its input, hexadecimal.
    pub commitment: String,
    /// Its place, from 0.
    pub index: u64,
    /// Hexadecimal hashes (RFC 9162, section 2.1.3).
    pub proof: Vec<String>,
}

/// Why a text is no receipt that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFault {
    /// The part of it.
    pub place: &'static str,
    /// What is wrong there.
    pub why: String,
}

impl fmt::Display for ReceiptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

impl core::error::Error for ReceiptFault {}

/// What is said of a signature that is not one of the key beside it over this text.
const UNSIGNED: &str = "does not verify: something was changed";

impl ReceiptFault {
    fn is_unsigned(&self) -> bool {
        self.why.ends_with(UNSIGNED)
    }
}

fn fault<T>(place: &'static str, why: impl fmt::Display) -> Result<T, ReceiptFault> {
    Err(ReceiptFault { place, why: why.to_string() })
}

/// The leaf of a contributor: nobody can guess it who does not know the commitment, and that is salted.
pub fn contribution_leaf(party: &Fingerprint, commitment: &[u8; 32]) -> Hash {
    let mut text = b"tacit/v1/contribution\0".to_vec();
    text.extend_from_slice(&party.0);
    text.extend_from_slice(commitment);
    leaf_hash(&text)
}

/// The root over contributors' leaves, in order.
pub fn contributors_root(leaves: &[Hash]) -> Hash {
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.append(*leaf, drop));
    tree.root()
}

impl Statement {
    /// The text that is signed.
    pub fn text(&self) -> Result<String, CanonicalError> {
        canonical(self)
    }

    /// Signs it as a compute peer.
    pub fn sign(&self, peer: &Identity) -> Result<ReceiptSignature, CanonicalError> {
        Ok(Self::sign_text(&self.text()?, peer))
    }

    /// The same for who has the text already.
    pub fn sign_text(text: &str, peer: &Identity) -> ReceiptSignature {
        let signature = sign_detached(peer, Context::Receipt, text.as_bytes());
        ReceiptSignature { key: peer.public_key().to_base64(), signature: STANDARD.encode(signature) }
    }

    /// The SMC provider that computed in place of the built-in engine. Then `model` and `threshold` are what it was
    /// asked for, and whether it kept to them the signatures do not say.
    pub fn provider(&self) -> Option<&str> {
        self.task.get("parameters")?.get("provider")?.as_str()
    }

    /// How many compute peers must have signed: one more than may be corrupted.
    pub fn quorum(&self) -> usize {
        usize::try_from(self.threshold).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// Whether this is a compute peer's signature under it; who that is.
    pub fn signer(&self, signature: &ReceiptSignature) -> Result<Fingerprint, ReceiptFault> {
        let Ok(text) = self.text() else { return fault("statement", "it has no canonical form") };
        self.signer_of(&text, signature)
    }

    /// The same for who has its text already: a statement has many signers.
    pub fn signer_of(&self, text: &str, signature: &ReceiptSignature) -> Result<Fingerprint, ReceiptFault> {
        const PLACE: &str = "signatures";
        let Ok(key) = PublicKey::from_base64(&signature.key) else { return fault(PLACE, "a key is no Ed25519 key") };
        let signer = key.fingerprint();
        if !self.compute.contains(&signer) {
            return fault(PLACE, format!("{signer} is none of those who computed"));
        }
        let bytes = STANDARD.decode(&signature.signature).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let Some(bytes) = bytes else { return fault(PLACE, "a signature is not base64 of 64 bytes") };
        match verify_detached(&key, Context::Receipt, text.as_bytes(), &bytes) {
            Ok(()) => Ok(signer),
            Err(_) => fault(PLACE, format!("the signature of {signer} {UNSIGNED}")),
        }
    }

    /// What the gateway's log says of a receipt: facts of its entry, which fix statement and signatures.
    pub fn facts(
        &self,
        signatures: &[ReceiptSignature],
        agreement: &str,
    ) -> Result<serde_json::Map<String, serde_json::Value>, CanonicalError> {
        self.facts_of(&self.text()?, signatures, agreement)
    }

    /// The same for who has the statement's text already.
    fn facts_of(
        &self,
        text: &str,
        signatures: &[ReceiptSignature],
        agreement: &str,
    ) -> Result<serde_json::Map<String, serde_json::Value>, CanonicalError> {
        let hash = |purpose, text: &str| hex::encode(digest(purpose, text.as_bytes()));
        let facts = [
            ("group", self.group.to_string()),
            ("session", self.session.to_string()),
            ("statement", hash("receipt-statement", text)),
            ("signatures", hash("receipt-signatures", &canonical(&signatures)?)),
            ("agreement", agreement.to_owned()),
        ];
        Ok(facts.into_iter().map(|(name, fact)| (name.to_owned(), fact.into())).collect())
    }

    /// Whether those who computed are computing members of this charter, with its threshold. `id` is that of the
    /// consensus, which the caller verified.
    pub fn check_charter(&self, id: ConsensusId, charter: &Charter) -> Result<(), ReceiptFault> {
        const PLACE: &str = "consensus";
        if self.consensus != id || self.group != charter.group {
            return fault(PLACE, format!("the receipt is under consensus {}", self.consensus));
        }
        if self.threshold != charter.threshold {
            return fault(PLACE, "the charter has another threshold");
        }
        let roster: BTreeSet<Fingerprint> = charter.computing().map(|member| member.fingerprint).collect();
        match self.compute.iter().find(|peer| !roster.contains(peer)) {
            Some(stranger) => fault(PLACE, format!("{stranger} does not compute in this charter")),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), ReceiptFault> {
        const PLACE: &str = "statement";
        let hash = |text: &str| text.parse::<Hash>().is_ok_and(|hash| hash.to_string() == text);
        let hashes = [&self.plan, &self.contributors.root, &self.frozen, &self.binding];
        if self.format != FORMAT {
            return fault(PLACE, "this program reads tacit-receipt/1");
        }
        if !hashes.into_iter().chain(&self.agreement).all(|text| hash(text)) {
            return fault(PLACE, "a digest is not 64 hexadecimal digits");
        }
        if !self.compute.is_sorted_by(|a, b| a < b) || self.compute.len() < self.quorum() {
            return fault(PLACE, "those who computed are not in order, or too few for the threshold");
        }
        if self.contributors.count == 0 {
            return fault(PLACE, "nobody contributed");
        }
        Ok(())
    }
}

impl Receipt {
    /// The document.
    pub fn to_document(&self) -> Result<String, CanonicalError> {
        canonical(self)
    }

    /// Reads and verifies a receipt: every byte of it. A newline at the end is allowed.
    ///
    /// Whose receipt it is, is for the caller to ask: [`Receipt::gateway`], [`Receipt::check_charter`].
    pub fn verify(document: &str) -> Result<Self, ReceiptFault> {
        Self::verify_with_text(document).map(|(receipt, _)| receipt)
    }

    /// The same, with the text of the statement, which is long to write.
    pub fn verify_with_text(document: &str) -> Result<(Self, String), ReceiptFault> {
        let text = document.strip_suffix('\n').unwrap_or(document);
        if text.len() > MAX_RECEIPT {
            return fault("document", "it is too long");
        }
        let receipt: Self = match serde_json::from_str(text) {
            Ok(receipt) => receipt,
            Err(error) => return fault("document", format!("it has not the form of a receipt: {error}")),
        };
        let canonical = receipt.to_document().unwrap_or_default();
        if canonical != text {
            let same = canonical.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            return fault("document", format!("it is not in canonical form (RFC 8785) from byte {} on", same + 1));
        }
        receipt.statement.check()?;
        let Ok(text) = receipt.statement.text() else { return fault("statement", "it has no canonical form") };
        receipt.check_signatures(&text)?;
        receipt.check_log(&text)?;
        Ok((receipt, text))
    }

    /// The gateway in whose log it is.
    pub fn gateway(&self) -> Fingerprint {
        self.log.entry.node
    }

    /// Whether those who computed are computing members of this charter, with its threshold. `id` is that of the
    /// consensus, which the caller verified.
    pub fn check_charter(&self, id: ConsensusId, charter: &Charter) -> Result<(), ReceiptFault> {
        self.statement.check_charter(id, charter)
    }

    /// Whether a contributor's proof holds under this receipt.
    pub fn check_contribution(&self, own: &Contribution) -> Result<(), ReceiptFault> {
        const PLACE: &str = "contribution";
        if own.session != self.statement.session {
            return fault(PLACE, "it belongs to another session");
        }
        let Some(counted) = &own.counted else { return fault(PLACE, own.reason.as_deref().unwrap_or("not counted")) };
        let Some(commitment) = bytes(&counted.commitment) else { return fault(PLACE, "its commitment is no hash") };
        let root = self.statement.contributors.root.parse().unwrap_or_else(|_| Hash::empty());
        let leaf = contribution_leaf(&own.party, &commitment);
        let Some(proof) = hashes(&counted.proof) else { return fault(PLACE, "its proof holds what is no hash") };
        match verify_inclusion(&leaf, counted.index, self.statement.contributors.count, &proof, &root) {
            Ok(()) => Ok(()),
            Err(_) => fault(PLACE, "it is not under the contributors' root"),
        }
    }

    fn check_signatures(&self, text: &str) -> Result<(), ReceiptFault> {
        let mut last = None;
        let checked: Vec<_> =
            self.signatures.iter().map(|signature| self.statement.signer_of(text, signature)).collect();
        if !checked.is_empty() && checked.iter().all(|checked| checked.as_ref().is_err_and(ReceiptFault::is_unsigned)) {
            return fault("statement", "none of the signatures under it verifies: it was changed");
        }
        for signer in checked {
            let signer = signer?;
            if last.is_some_and(|last| last >= signer) {
                return fault("signatures", "they are not in order, each signer once");
            }
            last = Some(signer);
        }
        let (have, need) = (self.signatures.len(), self.statement.quorum());
        if have < need { fault("signatures", format!("{have} are there and {need} are needed")) } else { Ok(()) }
    }

    /// Whether it is in the log that it names, about the statement with this text and about these signatures. A part of
    /// [`Receipt::verify`].
    pub fn check_log(&self, text: &str) -> Result<(), ReceiptFault> {
        const PLACE: &str = "log";
        let log = &self.log;
        let Ok(key) = PublicKey::from_base64(&log.key) else { return fault(PLACE, "its key is no Ed25519 key") };
        if log.entry.node != key.fingerprint() || log.entry.kind != crate::log::Kind::Receipt {
            return fault(PLACE, "the entry is no receipt of the node that signed the checkpoint");
        }
        let agreement = log.entry.facts.get("agreement").and_then(|text| text.as_str()).unwrap_or_default();
        let expected = self.statement.facts_of(text, &self.signatures, agreement);
        let result = self.statement.agreement.as_deref().is_none_or(|signed| signed == agreement);
        if bytes(agreement).is_none() || !result || expected.ok().as_ref() != Some(&log.entry.facts) {
            return fault(PLACE, "the entry is about another statement, other signatures or another result");
        }
        let checkpoint = match Checkpoint::open(&log.checkpoint, &key) {
            Ok(checkpoint) => checkpoint,
            Err(error) => return fault("checkpoint", error),
        };
        let Ok(body) = log.entry.body() else { return fault(PLACE, "the entry has no canonical form") };
        let (Some(index), Some(proof)) = (log.number.checked_sub(1), hashes(&log.proof)) else {
            return fault(PLACE, "its number or its proof is none");
        };
        match verify_inclusion(&leaf_hash(body.as_bytes()), index, checkpoint.size, &proof, &checkpoint.root) {
            Ok(()) => Ok(()),
            Err(error) => fault(PLACE, error),
        }
    }
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    text.parse::<Hash>().ok().filter(|hash| hash.to_string() == text).map(|hash| hash.0)
}

fn hashes(texts: &[String]) -> Option<Vec<Hash>> {
    texts.iter().map(|text| bytes(text).map(Hash)).collect()
}
