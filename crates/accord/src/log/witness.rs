//! What a member does with the checkpoints that a node shows it: it remembers one, and demands that every later
//! one grew out of it.
//!
//! A node that shows different logs to different members signs both. Two members that compare notes, or one
//! that comes back, then hold [`Disputed`] with two signatures of the node under it: evidence for anybody.

use tacit_pki::PublicKey;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::proof::{ProofError, verify_consistency};
use super::tree::Hash;

/// Why a checkpoint is not accepted after the last one. Keep both notes: they are the evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disputed {
    /// It is no checkpoint of this node.
    #[error(transparent)]
    Unsigned(#[from] CheckpointError),
    /// The node shows less than it had shown.
    #[error(
        "the log had {seen} entries and now has {shown}: it was rolled back, or this answer is old; ask again, \
         and show both checkpoints to the other members if it stays so"
    )]
    Shrunk {
        /// Entries in the last checkpoint.
        seen: u64,
        /// Entries in this one.
        shown: u64,
    },
    /// Two roots for one size.
    #[error("two signed checkpoints of {0} entries differ: the node keeps two logs; show both to the other members")]
    Forked(u64),
    /// It did not grow out of the last one.
    #[error("the checkpoint of {shown} entries does not contain the one of {seen}: {fault}")]
    Rewritten {
        /// Entries in the last checkpoint.
        seen: u64,
        /// Entries in this one.
        shown: u64,
        /// What is wrong with the proof.
        fault: ProofError,
    },
}

/// Accepts the checkpoint `shown` (a signed note) of the node with this key, given the last one accepted (none at
/// first contact) and the proof of consistency between the two. Returns what to remember.
pub fn witness(
    node: &PublicKey,
    last: Option<&Checkpoint>,
    shown: &str,
    consistency: &[Hash],
) -> Result<Checkpoint, Disputed> {
    let shown = Checkpoint::open(shown, node)?;
    let Some(last) = last else { return Ok(shown) };
    if last.origin != shown.origin {
        let (expected, found) = (last.origin.clone(), shown.origin);
        return Err(CheckpointError::Origin { expected, found }.into());
    }
    if shown.size < last.size {
        return Err(Disputed::Shrunk { seen: last.size, shown: shown.size });
    }
    if shown.size == last.size && shown.root != last.root {
        return Err(Disputed::Forked(shown.size));
    }
    verify_consistency((last.size, &last.root), (shown.size, &shown.root), consistency)
        .map_err(|fault| Disputed::Rewritten { seen: last.size, shown: shown.size, fault })?;
    Ok(shown)
}
