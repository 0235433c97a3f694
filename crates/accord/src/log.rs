//! The audit log: append-only, Merkle-hashed, signed, and checked by strangers.
//!
//! ```text
//!  Entry ─ body ─► leaf_hash ─► Tree ─ root ─► Checkpoint ─ sign ─► signed note
//!                     │                            │                    │
//!                     └── ProofPlan: inclusion, consistency ──► witness: grown, never rewritten
//!                     └── export: one file ──► Verifier: whole and true, or the place where it is not
//! ```
//!
//! - [`Entry`], [`Kind`]: one line. What enters: decisions, key use, actions, sessions, software versions.
//!   What never enters: data, hashes of data or of shares, and participants beyond what the members of the
//!   group may know.
//! - [`Tree`], [`ProofPlan`], [`verify_inclusion`], [`verify_consistency`]: the Merkle tree of RFC 9162,
//!   section 2.1, with a state of one hash per set bit of its size.
//! - [`Checkpoint`]: its signed head, in the text form of C2SP tlog-checkpoint, as a C2SP signed [`note`].
//! - [`witness()`], [`cosign`]: what a member does with the checkpoints it is shown.
//! - [`export`]: the log as one file, and its verification with public keys only.
//!
//! **Does not** store, send or read a clock. **Promises** that no text from outside makes it panic. **Does not
//! promise** that what an entry says is true: only that it was written by then and not changed since.

mod checkpoint;
mod cosign;
mod entry;
pub mod export;
pub mod note;
mod proof;
mod tree;
mod verify;
mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, origin_of};
pub use cosign::{cosign, cosigned};
pub use entry::{Entry, Kind};
pub use proof::{ProofError, ProofPlan, Span, verify_consistency, verify_inclusion};
pub use tree::{Hash, KEPT, Node, Tree, leaf_hash, node_hash};
pub use witness::{Disputed, witness};
