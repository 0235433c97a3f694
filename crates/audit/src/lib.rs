//! The audit log of a node, on its disk: what `accord` calculates and `store` keeps, put together.
//!
//! ```text
//!  gateway, parties, HTTP edge ── append ──► one writer ── batch: entries, subtrees, signed head ──► store (one sync)
//!                                                                       │
//!             members, auditors ◄── page, checkpoint, inclusion, consistency, export ◄──┘
//! ```
//!
//! One log per node, written by all its roles. [`AuditLog::append`] returns when the entry is durable and the signed
//! head covers it; [`AuditLog::note`] does not wait, and what nobody waits for gathers for 200 ms. Whoever waits at the
//! same time shares one batch, one signature and one sync. After a crash the log goes on from what is durable; entries are never renumbered.
//!
//! **Promises** that every signed head extends those before it, as long as the database is not replaced by an older
//! copy; then the witnesses notice. **Does not** decide what is logged.

mod error;
mod export;
mod log;
mod proof;

pub use error::AuditError;
pub use export::Export;
pub use log::{AuditLog, AuditSetup, Signed, facts};
