//! One session, as every member runs it.
//!
//! ```text
//!  input peers      compute peers                                     recipients
//!   share ------->   add up
//!                    views: whose shares are complete? (all to all)
//!                    freeze: durable record, signature (all to all)
//!                    OpeningAuthorised
//!                    evaluate: the function on shares (unless it is the sum)
//!                    open ------------------------------------------>  check, correct, canonicalise
//! ```
//!
//! Where bounds are [proven](verify), the views are part of the proof. The model `guaranteed` has steps of its
//! own until the opening: [`guaranteed`].
//!
//! Four rounds (nine where a long vector is opened by slices), and those of the evaluation. A peer signs one input set per slot,
//! and only after it saw what all compute peers hold; so a peer that crashes while shares are dealt
//! burns nothing. Additions are local.
//!
//! # Who may be corrupted
//!
//! Model `semi-honest`: any t compute peers and any input peers, who put together what they see. Wrong
//! shares at the opening are corrected or noticed as far as the spare shares go; a loss or a
//! time-out is never called cheating.
//!
//! `malicious`: any t < n/2 compute peers and any input peers, who do what they like: no wrong result is accepted. At
//! least 2t+1 shares must come to an opening, and fit. `guaranteed`: see there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tacit_algebra::{F61, F127, Field};
use zeroize::Zeroizing;

use crate::aggregate::RowShape;
use crate::environment::Environment;
use crate::keystream::{CryptoFailed, Seed};
use crate::mailbox::Mailbox;
use crate::plan::{FieldChoice, Level, Plan, SecurityModel};
use crate::transcript::Transcript;

mod carried;
mod error;
mod evaluation;
mod freeze;
mod guaranteed;
mod input;
mod message;
mod opening;
mod output;
mod range;
#[cfg(test)]
mod tests;
mod verify;

pub use carried::Carried;
pub use error::{Fault, FaultKind, Misbehaviour, OwnInputError, SessionError};
pub use input::commitment;
pub(crate) use range::{
    bits as range_bits, elements as range_elements, quadratic_answers, quadratic_degree, quadratic_elements,
};

/// Elements of a vector that travel in one message.
pub(crate) const CHUNK: usize = 8192;
/// How many chunks a party sends ahead of what it reads: enough to fill links with latency, few
/// enough that all that is parked stays below the limits of mailboxes.
const WINDOW: usize = 8;

/// A party's own row: one number per item, or records one after the other. Not printable; cleared when dropped.
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
    /// What the compute peers signed for this contributor; see [`commitment`](commitment()).
    pub commitment: [u8; 32],
    /// Opens the commitment together with the input; never shown to others.
    pub salt: Zeroizing<[u8; 32]>,
}

/// How a session ended for one member.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What was opened, for recipients: sums, or what was computed from the inputs.
    pub values: Option<Vec<u128>>,
    /// For recipients of a result over branches: how many gave data in all of them.
    pub counted: Option<u64>,
    /// For compute peers of a branch: the own summand of its total.
    pub carried: Option<Carried>,
    /// The same for all recipients of the same result, and nothing to anybody else; zeros for a
    /// member that is not a recipient. In a branch: the same for all compute peers of the same frozen set.
    pub agreement: [u8; 32],
    /// Whose inputs are in: indices of members, ascending. Empty for a member that neither computes
    /// nor receives, who is not told.
    pub contributors: Vec<usize>,
    /// The freeze digest that all compute peers signed; zeros where `contributors` is empty.
    pub frozen: [u8; 32],
    /// The hash of the plan and all members' nonces that everything in the session is bound to.
    pub binding: [u8; 32],
    /// For the own input.
    pub receipt: Option<Receipt>,
    /// Members whose shares did not fit. The result is right nevertheless. What convicts them is with the
    /// [`Environment`] ([`convicted`](Environment::convicted)).
    pub faults: Vec<Fault>,
}

/// Runs a session to its end as member `me` of the plan.
///
/// `nonces` are all members' fresh random numbers, in the members' order; they were exchanged before
/// and are the same for everybody. `input` is this member's vector; an input peer that has none says
/// so to the others. The future does no I/O: see [`Mailbox`] for how to drive it. When it is done,
/// the driver still has to send what [`Mailbox::take_outgoing`] gives.
pub async fn run<E: Environment>(
    plan: &Plan,
    me: usize,
    mailbox: &Mailbox,
    environment: &mut E,
    nonces: &[[u8; 32]],
    input: Option<InputVector>,
) -> Result<Outcome, SessionError> {
    if me >= plan.members().len() || nonces.len() != plan.members().len() {
        return Err(SessionError::WrongCall { what: "one nonce per member, and `me` is a member" });
    }
    check_own_input(plan, me, input.as_ref())?;
    let binding = session_binding(plan, nonces);
    let position = plan.compute().binary_search(&me).ok();
    let party = Party {
        plan,
        me,
        mailbox,
        environment,
        binding,
        position,
        secrets: BTreeMap::new(),
        convicted: BTreeSet::new(),
    };
    match plan.field() {
        FieldChoice::F61 => Box::pin(run_in::<F61, E>(party, input)).await,
        FieldChoice::F127 => Box::pin(run_in::<F127, E>(party, input)).await,
    }
}

/// The phases, in the session's field.
async fn run_in<F: Field, E: Environment>(
    mut party: Party<'_, E>,
    input: Option<InputVector>,
) -> Result<Outcome, SessionError> {
    let points: Vec<F> = party.plan.points().iter().map(|p| F::from_u128(*p)).collect();
    if party.plan.model() == SecurityModel::Guaranteed {
        let (authorised, receipt) = guaranteed::share_and_freeze(&mut party, &points, input).await?;
        let opened = guaranteed::open(&mut party, &points, authorised).await?;
        return output::outcome(&party, opened, receipt);
    }
    let layout = party.plan.bounds_proven().then(|| party.layout::<F>());
    let (shared, receipt) = input::share(&mut party, &points, layout.as_ref(), input).await?;
    let authorised = match shared {
        Some(shared) => {
            let authorised = freeze::freeze(&mut party, &points, layout.as_ref(), shared).await?;
            if party.plan.level() == Level::Branch {
                return carried::outcome(&party, &points, &authorised, receipt);
            }
            Some(evaluation::evaluate(&mut party, &points, authorised).await?)
        }
        None => None,
    };
    let opened = opening::open(&mut party, &points, authorised).await?;
    output::outcome(&party, opened, receipt)
}

/// A member in a session: the plan, its place in it, and its two ways out.
struct Party<'a, E> {
    plan: &'a Plan,
    me: usize,
    mailbox: &'a Mailbox,
    environment: &'a mut E,
    /// Hash of the plan and all members' nonces: names this session and nothing else.
    binding: [u8; 32],
    /// The place among the compute peers.
    position: Option<usize>,
    secrets: BTreeMap<usize, Zeroizing<[u8; 32]>>,
    /// Places of compute peers that are not listened to any more: see `guaranteed::conviction`.
    convicted: BTreeSet<usize>,
}

impl<E: Environment> Party<'_, E> {
    /// All compute peers but this one.
    fn other_compute_peers(&self) -> Vec<usize> {
        self.plan.compute().iter().copied().filter(|m| *m != self.me).collect()
    }

    /// The seed of the shares from a dealer to a receiver, one of which is this party.
    fn seed(&mut self, dealer: usize, receiver: usize) -> Result<Seed, SessionError> {
        let other = if dealer == self.me { receiver } else { dealer };
        let secret = self.secret(other);
        let members = self.plan.members();
        Ok(Seed::of_pair(&secret, &self.binding, &members[dealer], &members[receiver], "input")?)
    }

    /// The fresh secret with another member.
    fn secret(&mut self, other: usize) -> Zeroizing<[u8; 32]> {
        let environment = &mut *self.environment;
        self.secrets.entry(other).or_insert_with(|| Zeroizing::new(environment.pair_secret(other))).clone()
    }

    /// Where the seeded receivers of an input peer start that does not receive itself.
    fn start_of(&self, input: usize) -> usize {
        input % self.plan.compute().len()
    }

    fn compute_position(&self, member: usize) -> Option<usize> {
        self.plan.compute().binary_search(&member).ok()
    }

    /// Elements of the vectors that are added up: the items, then the common salt.
    fn length(&self) -> usize {
        self.plan.items() + self.plan.field().salt_elements()
    }

    /// Elements of the vector that is opened: the outputs, then the common salt.
    fn opened_length(&self) -> usize {
        self.plan.opened_elements()
    }

    /// Elements of the vectors that are dealt: the same, or with proofs that they are in range.
    fn dealt_length(&self) -> usize {
        self.plan.dealt_elements()
    }

    /// What is dealt where bounds are proven.
    fn layout<F: Field>(&self) -> range::Layout<F> {
        let bounds = (0..self.plan.items()).map(|item| self.plan.bound(item));
        range::Layout::new(bounds, self.plan.ties(), self.plan.field().salt_elements())
    }
}

impl From<CryptoFailed> for SessionError {
    fn from(_: CryptoFailed) -> Self {
        Self::Crypto
    }
}

/// What binds everything in a session to it, and with it each piece of [`Evidence`](crate::Evidence) of the session: a hash
/// of the plan and of all members' nonces, in the members' order.
pub fn session_binding(plan: &Plan, nonces: &[[u8; 32]]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/binding/v1");
    transcript.bytes(&plan.digest().0).number(nonces.len() as u64);
    for nonce in nonces {
        transcript.bytes(nonce);
    }
    transcript.finish()
}

/// An honest peer refuses to send what breaks the bound, whichever program computes.
pub fn check_own_input(plan: &Plan, me: usize, input: Option<&InputVector>) -> Result<(), OwnInputError> {
    let Some(values) = input.map(InputVector::expose) else { return Ok(()) };
    if !plan.inputs().contains(&me) {
        return Err(OwnInputError::NotExpected);
    }
    match plan.row_shape() {
        shape if shape.fits(values.len()) => {}
        RowShape::Items(expected) => return Err(OwnInputError::Length { found: values.len(), expected }),
        RowShape::Records { columns, most } => {
            return Err(OwnInputError::Records { found: values.len(), columns, most });
        }
    }
    match values.iter().enumerate().position(|(item, value)| *value > plan.row_bound(item)) {
        Some(item) => Err(OwnInputError::TooLarge { item }),
        None => Ok(()),
    }
}

/// The elements of chunk `chunk` of a vector of `length`.
pub(crate) fn chunk_range(chunk: usize, length: usize) -> Range<usize> {
    (chunk * CHUNK).min(length)..((chunk + 1) * CHUNK).min(length)
}
