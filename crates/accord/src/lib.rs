//! Governance: what the members of a group agreed on, who signed it, and the log that proves it.
//!
//! Every change of a charter passes [`decide`]; nothing else makes a [`Consensus`]. A one-admin
//! group is a single-signer consensus under the manager key that peers pin when they register.
//! Once a charter names owners, the manager key alone changes nothing.
//!
//! There is no I/O here: texts, keys and times are arguments, and what to store or send is a result.
//!
//! - [`Charter`]: the agreed configuration of a group.
//! - [`Consensus`]: a charter with its place in the chain and its signatures.
//! - [`decide`], [`Proposal`]: the only way from one consensus to the next.
//! - [`negotiation`]: signed texts, until all who must have signed the same one.
//! - [`verify_chain`], [`registry`]: what a client that knows one consensus believes of a served registry.
//! - [`log`]: the append-only, signed Merkle log in which decisions and actions are kept.
//! - [`receipt`]: what a session computed, signed by those who computed it, and logged.

mod canonical;
mod charter;
mod consensus;
mod decide;
pub mod log;
pub mod negotiation;
pub mod receipt;
mod registry;

pub use canonical::{CanonicalError, canonical, digest};
pub use charter::{
    Charter, CharterError, Configuration, MAX_MEMBERS, Member, MemberRole, OnMissingInput, Sharing, SlotRules,
};
pub use consensus::{Consensus, ConsensusError, ConsensusId, Text, UncheckedConsensus};
pub use decide::{Proposal, Refusal, decide};
pub use registry::{ChainError, Registered, registry, verify_chain};
