//! How an operation can fail, grouped by whose fault it is.

use crate::keystream::CryptoFailed;
use crate::mailbox::Lost;

/// Why an operation has no result. Members are named by their index in the mailbox. No message
/// holds data. After an error other than [`WrongCall`](Self::WrongCall) and
/// [`NotInvertible`](Self::NotInvertible) parties may be at different places: the context refuses everything else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are named in each message
pub enum ArithmeticError {
    // ---- our own side ------------------------------------------------------------------------
    /// The caller's arguments do not fit; nothing was sent.
    #[error("the arithmetic was called wrongly: {what}")]
    WrongCall { what: &'static str },
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Crypto,
    /// The program asked for the inverse of zero. That this element is zero is known to all now.
    #[error("element {index} has no inverse")]
    NotInvertible { index: usize },

    // ---- losses: nobody cheated --------------------------------------------------------------
    /// A compute peer was lost.
    #[error("compute peer {member} was lost; try again without it")]
    Lost { member: usize },

    /// The others' shares fit each other and this party's own one does not fit them: it computed from other things than
    /// they did, because messages were late.
    #[error("this node's own share does not fit those of the others")]
    Outvoted,

    // ---- a peer ------------------------------------------------------------------------------
    /// A member sent what no honest member sends.
    #[error("member {member} sent a malformed or unexpected message")]
    Malformed { member: usize },
    /// Opened shares contradict each other. The members are those whose shares are wrong; none where
    /// t cheaters could have made an honest member look like one (below 3t+1 shares, and by slices).
    #[error("the shares of an opened vector disagree; wrong ones came from members {members:?}")]
    WrongShares { members: Vec<usize> },
    /// What was computed does not hold, or different things were told to different members. By whom cannot be told.
    #[error("a compute peer computed wrongly, or told different things to different members; which one cannot be told")]
    Unverified,
}

impl From<Lost> for ArithmeticError {
    fn from(Lost(member): Lost) -> Self {
        Self::Lost { member }
    }
}

impl From<CryptoFailed> for ArithmeticError {
    fn from(_: CryptoFailed) -> Self {
        Self::Crypto
    }
}
