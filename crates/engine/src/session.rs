//! One session of a sum, as every member runs it.
//!
//! ```text
//!  input peers      compute peers                                     recipients
//!   share ------->   add up
//!                    views: whose shares are complete? (all to all)
//!                    freeze: durable record, signature (all to all)
//!                    OpeningAuthorised
//!                    open ------------------------------------------>  check, correct, canonicalise
//! ```
//!
//! Four rounds (eight where a long vector is opened by slices). A peer signs one input set per slot,
//! and only after it saw what all compute peers hold; so a peer that crashes while shares are dealt
//! burns nothing. Additions are local.
//!
//! # Who may be corrupted
//!
//! Model `semi-honest`: any t compute peers and any input peers, who put together what they see. Wrong
//! shares at the opening are corrected or noticed as far as the spare shares go; a loss or a
//! time-out is never called cheating.

use tacit_model::Fingerprint;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::mailbox::Mailbox;
use crate::plan::Plan;

mod error;

pub use error::{Fault, FaultKind, Misbehaviour, OwnInputError, SessionError};

/// Elements of a vector that travel in one message.
pub(crate) const CHUNK: usize = 8192;

/// A party's own numbers, one per item. Not printable; cleared when dropped.
pub struct InputVector(Zeroizing<Vec<u64>>);

impl InputVector {
    /// Takes the numbers over.
    pub fn new(values: Vec<u64>) -> Self {
        Self(Zeroizing::new(values))
    }

    /// The numbers.
    pub fn expose(&self) -> &[u64] {
        &self.0
    }
}

impl From<Vec<u64>> for InputVector {
    fn from(values: Vec<u64>) -> Self {
        Self::new(values)
    }
}

/// What proves later that an input was in: kept by the contributor.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the compute peers signed for this contributor.
    pub commitment: [u8; 32],
    /// Opens the commitment together with the input; never shown to others.
    pub salt: Zeroizing<[u8; 32]>,
}

/// How a session ended for one member.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The sums, for recipients.
    pub values: Option<Vec<u128>>,
    /// The same for all recipients of the same result, and nothing to anybody else; zeros for a
    /// member that is not a recipient.
    pub agreement: [u8; 32],
    /// Whose inputs are in: indices of members, ascending. Empty for a member that neither computes
    /// nor receives, who is not told.
    pub contributors: Vec<usize>,
    /// The freeze digest that all compute peers signed; zeros where `contributors` is empty.
    pub frozen: [u8; 32],
    /// For the own input.
    pub receipt: Option<Receipt>,
    /// Members whose shares did not fit. The result is right nevertheless.
    pub faults: Vec<Fault>,
}

/// Runs a session to its end as member `me` of the plan.
///
/// `nonces` are all members' fresh random numbers, in the members' order; they were exchanged before
/// and are the same for everybody. `input` is this member's vector, if it gives one.
pub async fn run<E: Environment>(
    plan: &Plan,
    me: usize,
    mailbox: &Mailbox,
    environment: &mut E,
    nonces: &[[u8; 32]],
    input: Option<InputVector>,
) -> Result<Outcome, SessionError> {
    let _ = (plan, me, mailbox, environment, nonces, input, None::<Fingerprint>);
    Err(SessionError::WrongCall { what: "not wired yet" })
}
