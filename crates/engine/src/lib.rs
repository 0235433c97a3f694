//! Secure multi-party computation, without network, clock or disk.
//!
//! A [`Plan`] says who takes part and what is computed; every peer recomputes it from the same
//! [`PlanRequest`] and compares digests. [`run`] is the session: an async function whose only await
//! points are rounds. It talks to the other members through a [`Mailbox`] and to its own party
//! through an [`Environment`]. A driver polls it: links in production, the [`Simulator`] in tests.
//!
//! ```text
//!   Plan ----> run( plan, me, &mailbox, &mut environment, nonces, input ) ----> Outcome
//!                        |  ^              |
//!               send     v  | recv         v  pair secrets, randomness, signature, durable freeze
//!                      Mailbox          Environment
//!                        |  ^
//!         take_outgoing  v  | deliver, lose, set_queued
//!                      the driver (TLS links, Simulator)
//! ```
//!
//! # What it promises
//!
//! `semi-honest` sums: any t of the compute peers learn nothing but their own inputs and, if they are
//! recipients, the sum; t < n/2 (n-of-n additive sharing: n-1). Nothing is opened before all compute
//! peers signed the same input set, no second set is opened for a slot, and a result is never wrapped. Numbers out of
//! their bounds do not enter the sum where bounds are proven.
//!
//! `malicious`, t < n/2: no wrong result is accepted, whatever t compute peers do. `guaranteed`, n >= 3t+1 for sums and
//! n >= 4t+1 for products: the result comes, too, and cheaters are named. docs/protocols.md says by what, and which
//! functions each model offers.
//!
//! # What it does not do
//!
//! It authenticates nobody (links do), it decides nothing about who may take part (the charter
//! does), and it retries nothing (the runner does). A bound proves range, not truth.

pub mod aggregate;
pub mod arithmetic;
mod environment;
mod evaluate;
pub mod evidence;
mod keystream;
mod mailbox;
pub mod plan;
mod session;
mod sharing;
pub mod simulator;
mod transcript;

pub use aggregate::{NoResult, RowShape, Statistic};
pub use environment::{Environment, FreezeRecord, FreezeRefused};
pub use evidence::Evidence;
pub use mailbox::{Counters, Flooded, Lost, Mailbox, PARKED_HARD_LIMIT, PARKED_SOFT_LIMIT, QUEUE_LIMIT, Traffic};
pub use plan::{
    FieldChoice, Forecast, LEVEL, Level, OnMissing, Plan, PlanDigest, PlanError, PlanRequest, SecurityModel, Sharing,
};
pub use session::{
    Carried, Fault, FaultKind, InputVector, Misbehaviour, Outcome, OwnInputError, Receipt, SessionError,
    check_own_input, commitment, run, session_binding,
};
pub use simulator::{Ended, Journal, SimulatedEnvironment, Simulator};
