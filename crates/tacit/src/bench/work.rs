//! What the parties of a bench do in one run.

use serde::{Deserialize, Serialize};

use super::messages::{Sample, Turn};
use super::seat::Seat;
use super::{multiply, order, statistics, sum};
use crate::output::Failure;

/// One kind of work, told to all parties.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// A whole session of the engine: share, freeze, open.
    Sum {
        /// Elements of each vector.
        items: usize,
    },
    /// The same for [`VECTORS`](sum::VECTORS) vectors at once of each party, of numbers that are proven to be in range.
    Bounded {
        /// Elements of each vector.
        items: usize,
    },
    /// Products of two shared vectors.
    Multiply {
        /// Elements of each vector.
        elements: usize,
    },
    /// Products of which each needs the one before.
    MultiplyInTurn {
        /// How many.
        rounds: usize,
    },
    /// Comparisons of 64-bit numbers.
    Compare {
        /// How many.
        pairs: usize,
    },
    /// Sorting 32-bit numbers.
    Sort {
        /// How many.
        numbers: usize,
    },
    /// A statistic over records, or a vector of items, of each party.
    Statistic {
        /// Which one.
        kind: statistics::Kind,
        /// Records, or items.
        size: usize,
    },
}

/// Work on more elements than this is bulk.
const BULK: usize = 100_000;

impl Work {
    /// Measured runs, and those before them that are not.
    pub(crate) fn runs(&self) -> (usize, usize) {
        match self {
            Self::Sum { items } | Self::Multiply { elements: items } if *items > BULK => (9, 2),
            Self::Sum { .. } | Self::Multiply { .. } => (50, 5),
            Self::MultiplyInTurn { .. } | Self::Compare { .. } | Self::Sort { .. } | Self::Bounded { .. } => (9, 2),
            Self::Statistic { .. } => (9, 1),
        }
    }

    /// Does this party's part of it.
    pub(crate) async fn run(&self, seat: &mut Seat, turn: &Turn) -> Result<Sample, Failure> {
        match self {
            Self::Sum { items } => sum::run(seat, turn, *items, None).await,
            Self::Bounded { items } => sum::run(seat, turn, *items, Some(16)).await,
            Self::Multiply { elements } => multiply::run(seat, turn, multiply::Shape::Vector(*elements)).await,
            Self::Compare { pairs } => order::run(seat, turn, order::Task::Compare(*pairs)).await,
            Self::Sort { numbers } => order::run(seat, turn, order::Task::Sort(*numbers)).await,
            Self::Statistic { kind, size } => statistics::run(seat, turn, *kind, *size).await,
            Self::MultiplyInTurn { rounds } => multiply::run(seat, turn, multiply::Shape::Chain(*rounds)).await,
        }
    }
}
