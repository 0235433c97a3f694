//! Computing on Shamir shares: the arithmetic core.
//!
//! An [`Arithmetic`] is one party's context; its operations are async functions whose only await points are
//! rounds. [`Shared`] is this party's shares of a vector, with the operations that need no
//! message.
//!
//! ```text
//!   input  ->  Shared  -- add, scale, transform (local) -->  Shared  ->  open
//!                      -- multiply, dot, power, ... ------>
//!                      -- less_than, decompose, ... ------>   over replicated bits
//! ```
//!
//! # What it promises
//!
//! `semi-honest`, t < n/2: whoever puts together what t compute peers see learns nothing but what is
//! opened. Nothing depends on secrets in time or memory access. Costs stand at each operation: rounds
//! on a network that delivers all messages of a round at once, elements that one party sends; long
//! vectors stream in messages of 64 KiB whose rounds overlap.
//!
//! [`Arithmetic::verified`], t < n/2, whatever t compute peers do: nothing is opened that was computed wrongly
//! ([`verify`](Arithmetic::verify)), and until then they learn nothing.
//!
//! # What it does not do
//!
//! Unless it is verified, it does not notice a peer that multiplies wrongly. It does not survive a
//! loss: the operation ends with an error that names the member.
//!
//! Evaluation points are any distinct field elements but zero.

mod bits;
mod boolean;
#[cfg(test)]
mod cheating;
mod coins;
mod compare;
mod context;
mod dealing;
mod equal;
mod error;
mod exponential;
mod extremes;
mod fixed;
mod input;
mod inverse;
mod lanes;
mod linear;
mod masked;
mod multiply;
pub(crate) mod network;
mod open;
mod products;
mod random;
mod robust;
mod share;
mod slices;
mod sort;
mod split;
mod streams;
mod toss;
mod verify;
mod wire;
mod zero;

pub(crate) use boolean::can_compare;
pub(crate) use compare::lanes;
pub use context::{Arithmetic, Setup};
pub(crate) use equal::MASKED_LENGTH as TESTED_BY_BITS;
pub use error::ArithmeticError;
pub(crate) use fixed::{AT_ONCE as DIVIDED_AT_ONCE, steps as newton_steps};
pub(crate) use inverse::SLICED_LENGTH as PRODUCTS_BY_SLICES;
pub(crate) use masked::MASKED_AT_ONCE;
pub(crate) use multiply::{KING_FROM, KING_LENGTH};
pub(crate) use open::opens_by_slices;
pub(crate) use products::multiplications_of_power;
pub(crate) use random::{can_hold_subsets, sets, subset_share_of_one as share_of_one};
pub(crate) use robust::{Disputed, Notary, Robust};
pub use share::Shared;
pub(crate) use sort::{COLLISION_BITS as SHUFFLED_BITS, LIFTED as LIFTED_AT_ONCE, sorts_on_bits};
pub(crate) use verify::{BATCH as VERIFIED_AT_ONCE, parts as parts_to_verify};
pub(crate) use wire::CHUNK_BYTES;

/// How many messages a party sends to a peer before it reads the first: enough to keep links busy, few
/// enough to stay in cache.
pub(crate) const WINDOW: usize = 4;
