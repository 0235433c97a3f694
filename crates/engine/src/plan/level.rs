//! Results over several groups: what a session of a branch and one of the root above it have to be.
//!
//! ```text
//!   branch 1: inputs -> shares of T_1 at B_11 .. B_1m   (frozen, never opened)
//!   branch 2: inputs -> shares of T_2 at B_21 .. B_2m
//!                              |  lambda_i s_i, dealt like any input
//!                              v
//!   root:     Q_1 .. Q_k add up; opened: T_1 + T_2 + .., and how many gave data in all
//! ```
//!
//! The shares s_i of a branch's total lie on a polynomial of degree t, so that the total is the sum of lambda_i s_i with
//! Lagrange's coefficients at 0. Each B_i deals its summand to the root's compute peers; the root adds up all summands
//! of all branches. Behind the items travels how many contributed, which every B_i knows as a constant.
//!
//! A summand is a field element without bounds of its own, so bounds are proven inside the branch, both levels work in
//! 2^127-1 whatever the numbers, and what is opened must not exceed what so many contributors can reach.

use tacit_algebra::{F127, Field};
use zeroize::Zeroizing;

use super::{MAX_MEMBERS, OnMissing, PlanError, PlanRequest, SecurityModel, Sharing};
use crate::aggregate::{Aggregator, Function};

/// The parameter that carries a [`Level`].
pub const LEVEL: &str = "level";

/// More contributors than this are not added up over all branches.
pub(crate) const MAX_COUNTED: usize = 1 << 24;

/// Whether a session stands alone, or computes a part of a result over several groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It stands alone.
    Flat,
    /// It ends in shares of its total at its compute peers, and opens nothing.
    Branch,
    /// Its inputs are such shares.
    Root,
}

impl Level {
    /// The level that a plan's parameters name.
    pub(super) fn of(request: &PlanRequest) -> Self {
        request.parameters.get(LEVEL).and_then(|text| Self::named(text)).unwrap_or(Self::Flat)
    }

    /// The level that a text names. A quantile's level, which goes by the same parameter, names none.
    pub fn named(text: &str) -> Option<Self> {
        [Self::Branch, Self::Root].into_iter().find(|level| level.name() == Some(text))
    }

    /// Its name in parameters; none for a session that stands alone.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Flat => None,
            Self::Branch => Some("branch"),
            Self::Root => Some("root"),
        }
    }
}

impl Aggregator {
    /// Whether results over several branches can be computed: whatever is encoded, added up, and decoded.
    pub fn composes(&self) -> bool {
        self.function == Function::Sum
    }
}

/// Refuses what does not compose, or would not be safe in two levels.
pub(super) fn check(request: &PlanRequest, aggregator: &Aggregator) -> Result<(), PlanError> {
    let level = Level::of(request);
    if level == Level::Flat {
        return Ok(());
    }
    if !aggregator.composes() {
        return Err(PlanError::DoesNotCompose { name: aggregator.name });
    }
    if request.model != SecurityModel::SemiHonest || !matches!(request.sharing, Sharing::Shamir { .. }) {
        return Err(PlanError::BranchesModel);
    }
    let (left, n) = (request.compute.len(), request.charter_compute);
    match level {
        // The root knows the branch by all its compute peers; the shares of some of them are no part of anything.
        Level::Branch if left < n => Err(PlanError::BranchIncomplete { left, n }),
        Level::Branch if request.recipients != request.compute => Err(PlanError::BadRoster { list: "recipients" }),
        Level::Root if request.on_missing != OnMissing::Fail => Err(PlanError::RootGoesOn),
        Level::Root if request.inputs.len().saturating_mul(MAX_MEMBERS) > MAX_COUNTED => {
            Err(PlanError::TooManyBranches { count: request.inputs.len(), limit: MAX_COUNTED / MAX_MEMBERS })
        }
        _ => Ok(()),
    }
}

/// Whether no total of all branches can wrap.
pub(super) fn fits(bound: u128) -> bool {
    (MAX_COUNTED as u128).checked_mul(bound).is_some_and(|total| total < F127::MODULUS)
}

/// An element as two words of a row.
pub(crate) fn words(element: u128) -> [u64; 2] {
    [(element & u128::from(u64::MAX)) as u64, (element >> 64) as u64]
}

/// The elements behind a row of words.
pub(super) fn elements(row: &[u64]) -> Zeroizing<Vec<u128>> {
    Zeroizing::new(row.chunks_exact(2).map(|pair| u128::from(pair[0]) | u128::from(pair[1]) << 64).collect())
}
