//! Replication: several gateways hold the same rows, and one of them leads.
//!
//! ```text
//!   gateway ── run_tx ──► store (records a Change) ──► Replica::agree ─┐            node A, in the lead
//!                                                                       ▼
//!                         Raft: log on a majority of disks ◄── replica links (tacit-rep/1) ──► nodes B, C
//!                                                                       │
//!            every node: ReplicaRows::apply, in one order, each change once
//! ```
//!
//! Raft is the paper's (Ongaro and Ousterhout 2014), by the crate `openraft`; this room gives it a log on the node's
//! disk, the nodes' TLS links, and a lease. Who the replicas are is the operators' word, the same list on every node.
//!
//! **Promises.** What [`agree`](tacit_store::Replicator::agree) confirmed is on the disks of a majority and is made by
//! every replica that is or comes back. At most one node at a time has the duty [`Duty::Leading`] as long as clocks of
//! the nodes run at about the same speed: the lease ends before anybody else can be elected. A machine that is suspended
//! is a clock that stands still: it may read what is old until the rest of its lease is over. Even where that fails,
//! nothing is written twice or over something unseen, since a change names the one before it.
//!
//! **Does not** survive the loss of more than half of the nodes, nor a replica that lies: each of them may act for all
//! (they are one operator's or trust each other). Nodes are not added or removed while it runs.
//!
//! **The log** does not grow for ever: what is applied is in the rows, which are on the disk before entries go. A node
//! that was away takes what it missed, entry by entry, or else all rows at once ([`LogKeeping`]).
//!
//! **Costs.** One write is one message to each other node and back, two syncs on the leading node and one on a
//! majority. Without replicas nothing of this runs.

#![allow(clippy::result_large_err, reason = "the errors of Raft are large, and rare")]

mod ear;
mod election;
mod error;
mod lead;
mod line;
mod log;
mod machine;
mod memory;
mod message;
mod net;
mod receive;
mod replica;
mod serve;
mod types;

pub use error::ReplicaError;
pub use lead::Duty;
pub use replica::{LogKeeping, Replica, ReplicaSetup};
pub use types::ReplicaNode;
