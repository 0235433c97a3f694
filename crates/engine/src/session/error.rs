//! How a session can fail, grouped by whose fault it is.

use crate::environment::FreezeRefused;

/// Why there is no result. Members are named by their index in the plan. No message holds data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are named in each message
pub enum SessionError {
    // ---- our own side ------------------------------------------------------------------------
    /// This node's own input does not fit the plan. Nothing was sent.
    #[error("this node's own input was not sent: {0}")]
    OwnInput(#[from] OwnInputError),
    /// The caller's arguments do not fit the plan.
    #[error("the session was called wrongly: {what}")]
    WrongCall { what: &'static str },
    /// The own journal refused the input set.
    #[error("the input set was not frozen: {0}")]
    Freeze(#[from] FreezeRefused),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Crypto,

    /// Messages to or from this compute peer were late, so that it agreed with the others on different things; they go on
    /// without it (model `guaranteed`). It has signed nothing of the result, and nobody names it.
    #[error(
        "this node and the others did not hear the same messages in time, and go on without each other; check its network and clock"
    )]
    TooSlow,

    // ---- losses: nobody cheated --------------------------------------------------------------
    /// A compute peer was lost before all had signed the input set. Another attempt may leave it out.
    #[error("compute peer {member} was lost before the inputs were frozen; try again, without it if it stays away")]
    LostBeforeFreeze { member: usize },
    /// Inputs are missing and the plan says that nothing is computed then.
    #[error("the inputs of members {members:?} are missing; try again when they are back")]
    MissingInput { members: Vec<usize> },
    /// Fewer contributors than the plan demands.
    #[error("{found} inputs are complete and {needed} are needed; missing: {missing:?}")]
    TooFewContributors { found: usize, needed: usize, missing: Vec<usize> },
    /// A compute peer was lost while the result was computed on shares, which takes all of them.
    #[error("compute peer {member} was lost while the result was computed; the slot is frozen and has no result")]
    LostDuringEvaluation { member: usize },
    /// Too few compute peers were left to open the result.
    #[error("{found} of {needed} shares of the result arrived; the slot is frozen and has no result")]
    NotEnoughShares { found: usize, needed: usize },

    // ---- a peer, but it cannot be told which -------------------------------------------------
    /// The shares of the result contradict each other and there are too few to tell which are wrong.
    #[error("the shares of the result disagree and cannot be corrected; no result is accepted")]
    DisagreeingShares,
    /// What was computed on shares does not hold, or a compute peer told different things to different peers. Nothing
    /// of it was opened.
    #[error("a compute peer computed wrongly; which one cannot be told, and no result is accepted")]
    WrongComputation,
    /// Compute peers hold different commitments of these input peers: either those told different
    /// things, or a compute peer misreports.
    #[error("compute peers hold different commitments of members {members:?}; leave them out or ask for an audit")]
    Equivocation { members: Vec<usize> },
    /// Another compute peer was told other things than this one before the freeze, by whom cannot be told. Nothing was
    /// frozen or opened.
    #[error(
        "member {member} was told other things than this node; try again, and look at who took part if it stays so"
    )]
    DifferentViews { member: usize },
    /// Another compute peer signed another set. That one may be honest: whoever told the two of them
    /// different things is at fault. Nothing is opened, and the slot has no result.
    #[error("member {member} froze another input set; some compute peer told different things to different peers")]
    DifferentSets { member: usize },
    /// What compute peers say about these input peers' shares contradicts itself: the input peer dealt shares that
    /// do not fit, or (not in `semi-honest`) a compute peer lies about them. Nothing was frozen.
    #[error("the shares of members {members:?} contradict each other; leave them out, or ask for an audit")]
    Contradiction { members: Vec<usize> },
    /// A result above contributors times maxElement: some input was out of bounds.
    #[error("item {} is above what the contributors may reach; some input was out of bounds", item + 1)]
    OutOfRange { item: usize },

    // ---- a peer ------------------------------------------------------------------------------
    /// A member sent what no honest member sends.
    #[error("member {member} broke the protocol: {what}")]
    PeerMisbehaved { member: usize, what: Misbehaviour },

    /// The compute peers found, under sharing, that these input peers' numbers are not in `[0, maxElement]`, or are sums that no
    /// such records have. Nothing was frozen or opened.
    #[error("members {members:?} gave numbers out of bounds; leave them out, or let them correct their rows")]
    OutOfBounds { members: Vec<usize> },

    // ---- the task ----------------------------------------------------------------------------
    /// The exact sum is not below the declared modulus.
    #[error("item {} is not below the declared modulus; choose a larger modulus", item + 1)]
    AboveModulus { item: usize },
}

/// Why the own input was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are named in each message
pub enum OwnInputError {
    /// Another number of items than the plan has.
    #[error("it has {found} items and the plan has {expected}")]
    Length { found: usize, expected: usize },
    /// Not whole records, or too many of them.
    #[error("it has {found} numbers, which are not up to {most} records of {columns}")]
    Records { found: usize, columns: usize, most: u64 },
    /// A value above the plan's maxElement.
    #[error("item {} is above maxElement", item + 1)]
    TooLarge {
        /// Which item, counted from 0; told to people from 1.
        item: usize,
    },
    /// The plan does not list this member as an input peer.
    #[error("the plan expects none from this node")]
    NotExpected,
}

/// What a member did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// A message that cannot be read, or one that has no place here.
    #[error("a malformed or unexpected message")]
    Malformed,
    /// A signature over the frozen set that is not valid.
    #[error("an invalid signature")]
    BadSignature,
}

/// A share that did not fit and was corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose it was.
    pub member: usize,
    /// What was wrong.
    pub kind: FaultKind,
}

/// What was wrong. In the `semi-honest` model this is a hint for the operators, not evidence.
/// In `malicious`, [`OutOfBounds`](Self::OutOfBounds) is certain: t cheating compute peers cannot bring it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Its share of the result was wrong: it changed it, or an input peer had dealt it a wrong one.
    WrongShare,
    /// Compute peers hold different commitments of this input peer, which was therefore left out.
    ConflictingCommitments,
    /// Numbers of this input peer are not in `[0, maxElement]`, or are sums that no such records have; it was left out.
    OutOfBounds,
    /// What compute peers say about this input peer's shares contradicts itself; it was left out. It or a
    /// compute peer is at fault.
    Contradiction,
}
