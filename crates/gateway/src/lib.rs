//! The gateway: the one address clients talk to. It orchestrates and never sees data or shares.
//!
//! ```text
//!   HTTP edge ──► groups (decide) ──► store, log
//!                      │ charter
//!   peers ◄──────── directory ◄──── control links
//!                      │ rows, reports
//!            runs, tasks ──► execution: Prepare ─► Link ─► Session ─► agreement
//! ```
//!
//! What it may do: name a time, a session and a subset of the signed roster. What it cannot do: make
//! a peer send shares to anybody the charter's owners did not sign, lower the threshold, or open a
//! result. Those rules are enforced by the peers; see `tacit-party`.

mod agreed;
mod authority;
mod clients;
mod control;
mod decisions;
mod directory;
mod error;
mod execution;
mod gateway;
mod groups;
mod left_out;
mod listing;
mod members;
mod negotiations;
mod pairing;
mod receipts;
mod registry;
mod runs;
mod seats;
mod tasks;
mod witness;

pub use clients::{Client, Denied, NotAllowed, Scope, Shown, check_limits, client_of};
pub use control::Admitted;
pub use error::GatewayError;
pub use execution::Pinged;
pub use gateway::{Gateway, GatewaySetup, Lead, RunnerLimits};
pub use groups::{GroupStatus, GroupView};
pub use listing::Listed;
pub use members::{JoinReceipt, MemberView, NewMember};
pub use negotiations::NegotiationView;
pub use pairing::Compared;
pub use registry::{Candidate, RegistryView};
pub use runs::{RunView, SlotView};
/// What the planner foresees of a slot.
pub use tacit_engine::Forecast;
pub use tasks::{MemberOffer, Notice, Notifier, TaskWatch};
