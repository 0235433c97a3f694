//! Proofs of inclusion and of consistency: RFC 9162, sections 2.1.3 and 2.1.4.
//!
//! A proof is made in two steps, because the hashes lie on a disk: [`ProofPlan`] says which kept hashes are
//! needed, and makes the proof of them.

use core::ops::Range;

use super::tree::{Hash, KEPT, Tree, join, node_hash};

/// Kept hashes that lie side by side: `count` of height `level` from number `from` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Height of the subtrees: 0 for entries, else a multiple of [`KEPT`].
    pub level: u8,
    /// The first one, from 0.
    pub from: u64,
    /// How many; a power of two, less than 2^[`KEPT`].
    pub count: u64,
}

/// Why a proof was not made, or says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// No such entry, or no such earlier tree.
    #[error("{asked} is not inside a log of {size} entries; ask for a checkpoint of today and number from 1")]
    Outside {
        /// The entry (from 1) or the size that was asked for.
        asked: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The kept hashes are not those that were asked for.
    #[error("the log lacks kept hashes; restore a backup")]
    Missing,
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the signed root: the entry or the log is another one")]
    Mismatch,
}

/// Which kept hashes a proof, or a tree, consists of.
#[derive(Clone, Debug)]
pub struct ProofPlan {
    /// For each hash of the proof the complete subtrees it is joined from, largest first.
    parts: Vec<Vec<Span>>,
}

impl ProofPlan {
    /// That the entry `index`, counted from 0, is in the tree of this size: PATH(index, D\[size\]).
    pub fn inclusion(index: u64, size: u64) -> Result<Self, ProofError> {
        if index >= size {
            return Err(ProofError::Outside { asked: index.saturating_add(1), size });
        }
        let mut parts = Vec::new();
        let mut tree = 0..size;
        while tree.end - tree.start > 1 {
            let middle = split(&tree);
            let other;
            (tree, other) = if index < middle {
                (tree.start..middle, middle..tree.end)
            } else {
                (middle..tree.end, tree.start..middle)
            };
            parts.push(other);
        }
        // From the entry upwards.
        parts.reverse();
        Ok(Self::of(parts))
    }

    /// That the tree of `old` entries is the beginning of the tree of `size` entries: PROOF(old, D\[size\]).
    pub fn consistency(old: u64, size: u64) -> Result<Self, ProofError> {
        if old > size {
            return Err(ProofError::Outside { asked: old, size });
        }
        let mut parts = Vec::new();
        if old > 0 && old < size {
            let mut tree = 0..size;
            while tree.end != old {
                let middle = split(&tree);
                let other;
                (tree, other) = if old <= middle {
                    (tree.start..middle, middle..tree.end)
                } else {
                    (middle..tree.end, tree.start..middle)
                };
                parts.push(other);
            }
            // The verifier knows the old root, and needs no hash for it where it is a whole subtree.
            if tree.start != 0 {
                parts.push(tree);
            }
            parts.reverse();
        }
        Ok(Self::of(parts))
    }

    /// The complete subtrees that a tree of this size consists of, each as one hash.
    pub fn peaks(size: u64) -> Self {
        Self { parts: spans(0..size).map(|span| vec![span]).collect() }
    }

    fn of(parts: Vec<Range<u64>>) -> Self {
        Self { parts: parts.into_iter().map(|part| spans(part).collect()).collect() }
    }

    /// What to read.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        self.parts.iter().flatten().copied()
    }

    /// The proof, given the hashes of each span in order.
    pub fn finish(&self, read: &[Vec<Hash>]) -> Result<Vec<Hash>, ProofError> {
        let mut read = read.iter();
        let mut proof = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let mut subtrees = Vec::with_capacity(part.len());
            for span in part {
                let hashes = read.next().ok_or(ProofError::Missing)?;
                if u64::try_from(hashes.len()) != Ok(span.count) {
                    return Err(ProofError::Missing);
                }
                let mut tree = Tree::new();
                hashes.iter().for_each(|hash| tree.append(*hash, drop));
                subtrees.push(tree.root());
            }
            proof.push(join(subtrees.into_iter()).ok_or(ProofError::Missing)?);
        }
        if read.next().is_some() { Err(ProofError::Missing) } else { Ok(proof) }
    }
}

/// The largest power of two below the number of entries, counted from the first of them.
fn split(tree: &Range<u64>) -> u64 {
    tree.start + (1 << (tree.end - tree.start - 1).ilog2())
}

/// A range that a split made, as complete subtrees in falling sizes.
fn spans(range: Range<u64>) -> impl Iterator<Item = Span> {
    let mut start = range.start;
    (0..64_u8).rev().filter(move |height| (range.end - range.start) >> height & 1 == 1).map(move |height| {
        let level = height - height % KEPT;
        let span = Span { level, from: start >> level, count: 1 << (height - level) };
        start += 1 << height;
        span
    })
}

/// Whether the entry `index`, counted from 0, is in the tree with this size and root: RFC 9162, section 2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Outside { asked: index.saturating_add(1), size });
    }
    let mut hash = *leaf;
    let arrived = climb((index, size - 1), proof, |sibling, at_left| {
        hash = if at_left { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
    });
    if arrived && hash == *root { Ok(()) } else { Err(ProofError::Mismatch) }
}

/// Whether the tree of `old` entries is the beginning of the tree of `size` entries: RFC 9162, section 2.1.4.2.
///
/// Nothing needs no proof: a log without entries is the beginning of every log.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (size, root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), ProofError> {
    let holds = |whether: bool| if whether { Ok(()) } else { Err(ProofError::Mismatch) };
    if old > size {
        return Err(ProofError::Outside { asked: old, size });
    }
    if old == size {
        return holds(proof.is_empty() && old_root == root && (size > 0 || *root == Hash::empty()));
    }
    if old == 0 {
        return holds(proof.is_empty() && *old_root == Hash::empty());
    }
    let (mut at, mut last) = (old - 1, size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (first, rest) = match proof.split_first() {
        None => return Err(ProofError::Mismatch),
        Some(_) if old.is_power_of_two() => (old_root, proof),
        Some(split) => split,
    };
    let (mut old_hash, mut hash) = (*first, *first);
    let arrived = climb((at, last), rest, |sibling, at_left| {
        if at_left {
            (old_hash, hash) = (node_hash(sibling, &old_hash), node_hash(sibling, &hash));
        } else {
            hash = node_hash(&hash, sibling);
        }
    });
    holds(arrived && old_hash == *old_root && hash == *root)
}

/// The way up that both kinds of proof take, from a node to the root: `step` is told each sibling, and whether it
/// stands at the left. False if there are too few siblings or too many.
fn climb((mut at, mut last): (u64, u64), siblings: &[Hash], mut step: impl FnMut(&Hash, bool)) -> bool {
    for sibling in siblings {
        if last == 0 {
            return false;
        }
        let at_left = at & 1 == 1 || at == last;
        step(sibling, at_left);
        while at_left && at & 1 == 0 && at != 0 {
            (at, last) = (at >> 1, last >> 1);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0
}
