//! The Merkle tree of RFC 9162, section 2.1.1, growing at its right edge.

use aws_lc_rs::digest::{Context, SHA256};

/// Every so many levels the hashes of complete subtrees are kept, so that a proof over any number of entries
/// reads a few hundred hashes: those of single entries, of 2^8, of 2^16, and so on.
pub const KEPT: u8 = 8;

/// A hash of the tree: SHA-256. Its text form is 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The root of the tree without entries: SHA-256 of nothing.
    pub fn empty() -> Self {
        sha256(&[])
    }
}

/// The hash of an entry: SHA-256(0x00 || entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// The hash of two subtrees: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    sha256(&[&bytes])
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Hash(hash)
}

/// A complete subtree: it covers the entries from `index << level` on, `1 << level` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its height; 0 is a single entry.
    pub level: u8,
    /// Its place among the subtrees of its height, from 0.
    pub index: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A tree that only grows. It holds one hash per set bit of its size: the complete subtrees it consists of,
/// largest first (a compact range).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// The tree without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of which the complete subtrees are known; `None` if their number does not fit the size.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (size.count_ones() as usize == peaks.len()).then_some(Self { size, peaks })
    }

    /// How many entries it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry by its hash. `keep` is given the subtrees that this completes and that are to be kept:
    /// see [`KEPT`]. The entry itself is not among them.
    pub fn append(&mut self, leaf: Hash, mut keep: impl FnMut(Node)) {
        let (mut hash, mut level, mut index) = (leaf, 0, self.size);
        while index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            (hash, level, index) = (node_hash(&left, &hash), level + 1, index >> 1);
            if level % KEPT == 0 {
                keep(Node { level, index, hash });
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Its root: RFC 9162, section 2.1.1.
    pub fn root(&self) -> Hash {
        join(self.peaks.iter().copied()).unwrap_or_else(Hash::empty)
    }
}

/// The root over complete subtrees in falling sizes, joined from the right; `None` of nothing.
pub(super) fn join(subtrees: impl DoubleEndedIterator<Item = Hash>) -> Option<Hash> {
    subtrees.rev().reduce(|right, left| node_hash(&left, &right))
}

tacit_model::hexadecimal_id!(Hash: 32, "hash");
