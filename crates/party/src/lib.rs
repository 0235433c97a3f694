//! A peer: what it is willing to do, where its numbers come from, and its sessions over links.
//!
//! ```text
//!            HTTP edge                       gateway
//!               │ rows, start, stop             │ charter, jobs
//!  sources ──► Party ──────────────────── control link
//!               │   Prepare ─► Link ─► Session  │
//!             store             │      engine ◄─┴─► links to other peers
//!               └── outbox ──► finalResultsURL
//! ```
//!
//! # What it promises
//!
//! - **Who sees shares is not the gateway's decision.** Shares go only to members of a charter that its
//!   deciders signed and that follows the last one this party knows; with `verified_only` in its [`Policy`] only
//!   to members whose fingerprint the own operator verified. The first charter must be signed under the
//!   manager key that was pinned at registration.
//! - **One plan, recomputed.** A job whose plan this party does not compute itself is declined.
//! - **One set per slot.** A slot that was bound to an input set is never tried again. The binding is
//!   durable before it is signed.
//! - **Nothing repeats.** Nonces are drawn anew for each Prepare, session ids are used once, seeds come
//!   from the links' fresh key exchange; nothing of it is read from disk.
//! - An acknowledged row is durable; its data is deleted with the result of its slot. A result is durable
//!   before the gateway hears of it, and is posted until the receiver has it.
//!
//! Any t+1 computing peers together learn every input; k input peers that put their inputs together learn
//! the sum of the others'.
//!
//! # What it does not do
//!
//! It does not choose members, times or slots (the gateway does), and it retries no session.

mod drive;
mod environment;
mod error;
mod evidence;
mod finder;
mod gateway_link;
mod go_ahead;
mod http;
mod jobs;
mod outbox;
mod pair_secrets;
mod parties;
mod party;
mod policy;
mod provider;
mod receipts;
mod registration;
mod results;
mod roster;
mod session;
pub mod source;
mod standing;
mod witness;

pub use drive::{GivenUp, Seats, drive};
pub use environment::{Given, Judges, PartyEnvironment};
pub use error::PartyError;
pub use finder::{Finder, FinderSetup};
pub use go_ahead::GoAhead;
pub use http::{HttpError, HttpPoster, HttpRules};
pub use pair_secrets::PairSecrets;
pub use parties::{Parties, PartiesSetup, key_name};
pub use party::{Approval, Comparison, Offer, Party, PartyLimits, PartySetup, PartyState, PartyStatus, Trouble};
pub use policy::{Policy, PolicyRefusal, TaskRefusal};
pub use provider::{EchoProvider, Provider};
pub use registration::{JoinRequest, Joined, register};
pub use results::SlotResult;
pub use session::branch::Siblings;
pub use source::RowText;
