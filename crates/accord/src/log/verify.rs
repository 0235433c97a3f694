//! Verification of an export, line by line: whole and true, or the first place where it is not.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::PublicKey;

use super::checkpoint::{Checkpoint, CheckpointError, origin_of};
use super::cosign::cosigned;
use super::export::{COSIGNED, CheckpointLine, CosignedLine, ENTRY, FORMAT, Header, LEAF, MAX_LINE, SEQ, signed_after};
use super::note::Note;
use super::tree::{Hash, Tree, leaf_hash};
use crate::canonical;

mod links;

pub use links::GroupReport;
use links::Links;

/// Where an export does not hold, and why. It is the first such place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The line, from 1.
    pub line: u64,
    /// The entry, from 1, where one is concerned.
    pub entry: Option<u64>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The first line.
    #[error("the header was changed or is of another format: {0}")]
    Header(&'static str),
    /// The header's key is not the one that was asked for.
    #[error("this is the log of node {found}, not of {expected}; get the export from the right node")]
    Node {
        /// The fingerprint that was asked for.
        expected: Fingerprint,
        /// The one in the file.
        found: Fingerprint,
    },
    /// A checkpoint.
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint by a node whose key is not known.
    #[error("the checkpoint was signed for {0}, another writer of this log; give its public key too")]
    UnknownWriter(String),
    /// Not a line of this format.
    #[error("the line was changed or does not belong here: {0}")]
    Form(&'static str),
    /// Another entry stands where one belongs.
    #[error("entry {expected} belongs here and entry {found} stands here: one was deleted, inserted or moved")]
    Order {
        /// The number that belongs here.
        expected: u64,
        /// The number that stands here.
        found: u64,
    },
    /// The text of the entry is not the one that was hashed.
    #[error("the entry was changed: its text does not have the hash that stands beside it")]
    Changed,
    /// Entries with matching hashes that are not the ones that were signed.
    #[error("one of the entries {first} to {last} was replaced: together they are not what the node signed")]
    Replaced {
        /// The first entry that may be the one.
        first: u64,
        /// The last entry that may be the one.
        last: u64,
    },
    /// The checkpoint over another number of entries.
    #[error("a checkpoint over {found} entries stands where one over {expected} belongs")]
    Size {
        /// How many entries it should cover.
        expected: u64,
        /// How many it covers.
        found: u64,
    },
    /// The file ends early.
    #[error("the file ends here; the signed checkpoint says {signed} entries: it was truncated")]
    Truncated {
        /// How many there should be.
        signed: u64,
    },
    /// The file goes on.
    #[error("the file goes on after the {0} entries of the signed checkpoint: something was added")]
    Longer(u64),
    /// The consensus of this entry does not hold or does not follow.
    #[error("the consensus in this entry does not hold: {0}")]
    Consensus(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "entry {entry} (line {}): {}", self.line, self.fault),
            None => write!(f, "line {}: {}", self.line, self.fault),
        }
    }
}

impl core::error::Error for Broken {}

/// What an export that holds says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose log.
    pub node: Fingerprint,
    /// Its key.
    pub key: PublicKey,
    /// The software that wrote the last entries.
    pub software: String,
    /// The signed head.
    pub checkpoint: Checkpoint,
    /// Who says to have written entries; usually the node alone.
    pub writers: BTreeSet<Fingerprint>,
    /// The times of the first and the last entry.
    pub span: Option<(UnixMillis, UnixMillis)>,
    /// How many entries of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// What was agreed in each group.
    pub groups: BTreeMap<String, GroupReport>,
    /// Who co-signed: over how many entries of this log, and when.
    pub witnesses: BTreeMap<Fingerprint, (u64, UnixMillis)>,
}

/// Reads an export. Memory does not grow with the number of entries.
pub struct Verifier {
    pin: Option<Fingerprint>,
    others: Vec<PublicKey>,
    line: u64,
    stage: Stage,
}

enum Stage {
    Header,
    Checkpoint(Header, PublicKey),
    Entries(Box<Reading>),
}

struct Reading {
    header: Header,
    key: PublicKey,
    head: Checkpoint,
    tree: Tree,
    /// Entries up to here are proven.
    proven: u64,
    /// A checkpoint over all entries so far comes next.
    checkpoint_due: bool,
    writers: BTreeSet<Fingerprint>,
    span: Option<(UnixMillis, UnixMillis)>,
    kinds: BTreeMap<String, u64>,
    links: Links,
    witnesses: BTreeMap<Fingerprint, (u64, UnixMillis)>,
    /// Roots that witnesses saw, by size.
    seen: BTreeMap<u64, Vec<Hash>>,
}

/// An entry of any kind, also of kinds that newer versions write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnyEntry {
    at: UnixMillis,
    node: Fingerprint,
    kind: String,
    facts: serde_json::Map<String, serde_json::Value>,
}

impl Verifier {
    /// Believes the node with the pinned fingerprint; without one, the report says whose log it was. `others`
    /// are keys of further nodes that write the same log.
    pub fn new(pin: Option<Fingerprint>, others: Vec<PublicKey>) -> Self {
        Self { pin, others, line: 0, stage: Stage::Header }
    }

    /// Takes the next line, with its newline. After an error nothing more is to be read.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.line += 1;
        let entry = match &self.stage {
            Stage::Entries(reading) if !reading.checkpoint_due => Some(reading.tree.size() + 1),
            _ => None,
        };
        self.step(line).map_err(|fault| Broken { line: self.line, entry, fault })
    }

    fn step(&mut self, line: &[u8]) -> Result<(), Fault> {
        if line.len() > MAX_LINE {
            return Err(Fault::Form("it is too long"));
        }
        let line = core::str::from_utf8(line).map_err(|_| Fault::Form("it is not UTF-8"))?;
        let line = line.strip_suffix('\n').ok_or(Fault::Form("it does not end: the file was cut off inside it"))?;
        match &mut self.stage {
            Stage::Header => {
                let (header, key) = header(line, self.pin)?;
                self.stage = Stage::Checkpoint(header, key);
            }
            Stage::Checkpoint(header, key) => {
                let head = checkpoint(line, &[*key])?;
                self.stage = Stage::Entries(Box::new(Reading {
                    header: header.clone(),
                    key: *key,
                    head,
                    tree: Tree::new(),
                    proven: 0,
                    checkpoint_due: false,
                    writers: BTreeSet::new(),
                    span: None,
                    kinds: BTreeMap::new(),
                    links: Links::default(),
                    witnesses: BTreeMap::new(),
                    seen: BTreeMap::new(),
                }));
            }
            Stage::Entries(reading) if reading.checkpoint_due => {
                let mut keys = vec![reading.key];
                keys.extend(&self.others);
                reading.between(checkpoint(line, &keys)?)?;
            }
            Stage::Entries(reading) if line.starts_with(COSIGNED) => reading.cosigned(line)?,
            Stage::Entries(reading) => reading.entry(line)?,
        }
        Ok(())
    }

    /// After the last line: what the log says, if all of it holds.
    pub fn finish(self) -> Result<Report, Broken> {
        let broken = |entry, fault| Broken { line: self.line + 1, entry, fault };
        let reading = match self.stage {
            Stage::Entries(reading) => *reading,
            Stage::Header => return Err(broken(None, Fault::Form("the file is empty"))),
            Stage::Checkpoint(..) => return Err(broken(None, Fault::Form("the file ends after its header"))),
        };
        let signed = reading.head.size;
        if reading.tree.size() < signed {
            return Err(broken(Some(reading.tree.size() + 1), Fault::Truncated { signed }));
        }
        if reading.tree.root() != reading.head.root {
            let first = reading.proven + 1;
            return Err(broken(Some(first), Fault::Replaced { first, last: signed }));
        }
        if reading.header.software != reading.links.software() {
            let fault = Fault::Header("its software is not the one that the log names last");
            return Err(Broken { line: 1, entry: None, fault });
        }
        Ok(Report {
            node: reading.header.node,
            key: reading.key,
            software: reading.header.software,
            checkpoint: reading.head,
            writers: reading.writers,
            span: reading.span,
            kinds: reading.kinds,
            groups: reading.links.into_groups(),
            witnesses: reading.witnesses,
        })
    }
}

fn header(line: &str, pin: Option<Fingerprint>) -> Result<(Header, PublicKey), Fault> {
    let header: Header = parse(line).ok_or(Fault::Header("it is not canonical JSON with the four known members"))?;
    if header.format != FORMAT {
        return Err(Fault::Header("this program reads tacit-audit/1"));
    }
    let key = PublicKey::from_base64(&header.key).map_err(|_| Fault::Header("its key is no Ed25519 key"))?;
    if key.fingerprint() != header.node {
        return Err(Fault::Header("its key has another fingerprint"));
    }
    match pin {
        Some(expected) if expected != header.node => Err(Fault::Node { expected, found: header.node }),
        _ => Ok((header, key)),
    }
}

/// A checkpoint with exactly one signature, of one of these keys: what cannot be checked has no place here.
fn checkpoint(line: &str, keys: &[PublicKey]) -> Result<Checkpoint, Fault> {
    let line: CheckpointLine = parse(line).ok_or(Fault::Form("a checkpoint belongs here"))?;
    let note = Note::read(&line.checkpoint).map_err(CheckpointError::from)?;
    if note.signatures() != 1 {
        return Err(Fault::Form("it carries more than the signature of the log's node"));
    }
    let origin = line.checkpoint.lines().next().unwrap_or_default();
    match keys.iter().find(|key| origin == origin_of(&key.fingerprint())) {
        Some(key) => Ok(Checkpoint::open(&line.checkpoint, key)?),
        None => Err(Fault::UnknownWriter(origin.chars().take(80).collect())),
    }
}

impl Reading {
    fn entry(&mut self, line: &str) -> Result<(), Fault> {
        let seq = self.tree.size() + 1;
        if seq > self.head.size {
            return Err(Fault::Longer(self.head.size));
        }
        let (body, leaf, number) = split(line).ok_or(Fault::Form("an entry belongs here"))?;
        if number != seq.to_string() {
            let found = number.parse().map_err(|_| Fault::Form("its number is no number"))?;
            if found == seq {
                return Err(Fault::Form("its number is not written as numbers are"));
            }
            return Err(Fault::Order { expected: seq, found });
        }
        let hash = leaf_hash(body.as_bytes());
        if leaf != hash.to_string() {
            return Err(Fault::Changed);
        }
        let entry: AnyEntry =
            serde_json::from_str(body).map_err(|_| Fault::Form("its text has not the form of an entry"))?;
        self.take(hash, entry)
    }

    /// A checkpoint that a witness co-signed. They stand before the entries, by witness.
    fn cosigned(&mut self, line: &str) -> Result<(), Fault> {
        let line: CosignedLine = parse(line).ok_or(Fault::Form("a co-signed checkpoint belongs here"))?;
        let witness = PublicKey::from_base64(&line.key).map_err(|_| Fault::Form("its key is no Ed25519 key"))?;
        let name = witness.fingerprint();
        if self.tree.size() > 0 || self.witnesses.keys().next_back().is_some_and(|last| *last >= name) {
            return Err(Fault::Form("it is not in its place among the co-signed checkpoints"));
        }
        let checkpoint = Checkpoint::open(&line.cosigned, &self.key)?;
        let at = cosigned(&line.cosigned, &witness).map_err(CheckpointError::from)?;
        if Note::read(&line.cosigned).map_err(CheckpointError::from)?.signatures() != 2 {
            return Err(Fault::Form("it carries more than two signatures"));
        }
        if checkpoint.size > self.head.size || (checkpoint.size == 0 && checkpoint.root != Hash::empty()) {
            return Err(Fault::Size { expected: self.head.size, found: checkpoint.size });
        }
        self.witnesses.insert(name, (checkpoint.size, at));
        self.seen.entry(checkpoint.size).or_default().push(checkpoint.root);
        Ok(())
    }

    fn take(&mut self, hash: Hash, entry: AnyEntry) -> Result<(), Fault> {
        self.links.follow(&entry.kind, &entry.facts).map_err(Fault::Consensus)?;
        self.writers.insert(entry.node);
        self.span = Some((self.span.map_or(entry.at, |(first, _)| first), entry.at));
        match self.kinds.get_mut(&entry.kind) {
            Some(count) => *count += 1,
            None => drop(self.kinds.insert(entry.kind, 1)),
        }
        self.tree.append(hash, drop);
        if let Some(roots) = self.seen.remove(&self.tree.size()) {
            let (root, last) = (self.tree.root(), self.tree.size());
            if roots.iter().any(|seen| *seen != root) {
                return Err(Fault::Replaced { first: self.proven + 1, last });
            }
        }
        self.checkpoint_due = signed_after(self.tree.size(), self.head.size);
        Ok(())
    }

    fn between(&mut self, checkpoint: Checkpoint) -> Result<(), Fault> {
        let last = self.tree.size();
        if checkpoint.size != last {
            return Err(Fault::Size { expected: last, found: checkpoint.size });
        }
        if checkpoint.root != self.tree.root() {
            return Err(Fault::Replaced { first: self.proven + 1, last });
        }
        (self.proven, self.checkpoint_due) = (last, false);
        Ok(())
    }
}

/// The text of an entry, its hash and its number, of a line of the right form.
fn split(line: &str) -> Option<(&str, &str, &str)> {
    const HASH: usize = 64;
    let (rest, number) = line.strip_prefix(ENTRY)?.strip_suffix('}')?.rsplit_once(SEQ)?;
    let rest = rest.strip_suffix('"')?;
    let (rest, leaf) = rest.split_at_checked(rest.len().checked_sub(HASH)?)?;
    Some((rest.strip_suffix(LEAF)?, leaf, number))
}

/// Reads canonical JSON: a value has one text.
fn parse<T: DeserializeOwned + serde::Serialize>(line: &str) -> Option<T> {
    let value: T = serde_json::from_str(line).ok()?;
    (canonical(&value).ok()? == line).then_some(value)
}
