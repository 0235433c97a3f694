//! Rows and mechanics: where a node keeps what must outlive it.
//!
//! One [`Store`] for all roles of a node, on an embedded SQLite file or on PostgreSQL, with one schema and one
//! SQL text for both. A call that returns `Ok` is committed and durable: it survives `kill -9` and, as far as the
//! disk keeps its word, a power cut. A call that returns an error has changed nothing.
//!
//! What it does NOT do: decide. Who may do what, when a slot is late, which batch is posted when: callers say so;
//! the store offers compare-and-swap, all-or-nothing and at-most-once. It reads no clock: times are arguments.
//!
//! ```text
//! Store -- run_tx("name", args, work) --+-- SQLite: one writer task, queued work shares a commit (one fsync)
//!       |                               +-- PostgreSQL: pool, SERIALIZABLE, retried on serialisation failure
//!       |                               +-- SQLite with replicas: recorded, agreed on with the others, then made
//!       +-- read ------------------------- a few reader connections, never waiting for the writer
//! ```
//!
//! Costs on SQLite: one fsync per batch of queued writes. Secrets: registration codes and input rows do not show
//! in `Debug`; deleted input is overwritten in the database file (`secure_delete`), on PostgreSQL by the next vacuum.

mod alone;
mod approvals;
mod backup;
mod db;
mod error;
mod evidence;
mod foreign;
mod groups;
mod in_place;
mod jobs;
mod log;
mod look;
mod members;
mod migrate;
mod negotiations;
mod notices;
mod opened;
mod outbox;
mod pages;
mod parties;
mod purge;
mod receipts;
mod receiver;
mod redacted;
mod replica;
mod rows;
mod runs;
mod series;
mod settings;
mod slots;
mod spent;
mod store;
mod tasks;
mod tokens;
mod tx;
mod witness;
mod writer;

pub use approvals::ApprovalRow;
pub use backup::backup;
pub use error::{StoreError, What};
pub use evidence::EvidenceRow;
pub use foreign::{ForeignError, ForeignRow, read_foreign};
pub use groups::{CodeRow, GroupRow};
pub use jobs::{JobProgress, JobRow};
pub use log::{LogBatch, LogHead, LogNode, LogRow, NewEntry, OldEntry};
pub use look::Look;
pub use members::{MemberId, MemberKeys, MemberRefusal, MemberRow, NewMember, PeerStatus, PeerType};
pub use negotiations::NegotiationRow;
pub use notices::NoticeRow;
pub use opened::{Apart, Clash, Company, OpenedRow};
pub use outbox::{OutboxBatch, OutboxRow};
pub use parties::{PartyRow, RevokedRow, SessionClaim, SlotBinding};
pub use purge::{Purged, PurgedGateway};
pub use receipts::{GATEWAY_HOLDER, OwedRow, ReceiptRow};
pub use receiver::ReceivedRow;
pub use redacted::Redacted;
pub use replica::{
    Change, NotAgreed, Picture, REPLICATED, ReplicaRows, Replicator, SnapshotPart, Staged, Staging, Statement,
};
pub use rows::{InputRow, InputState, NewRow};
pub use runs::{RunRow, RunState, SlotOutcome, SlotState};
pub use series::{Added, AskedRow, Sample, SampleRow};
pub use slots::{FreezeOutcome, FrozenRow, NewFreeze, ResultRow};
pub use spent::{SpendRow, SpentRow};
pub use store::Store;
pub use tasks::{TaskRow, TaskWindowRow, Windows};
pub use tokens::TokenRow;
pub use witness::{CosignatureRow, WitnessedRow};
