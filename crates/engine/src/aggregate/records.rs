//! What a statistic adds up of each record.

use super::settings::Settings;
use super::ties::Ties;

/// What is added up of each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// 1: its sum counts records.
    One,
    /// The value of a column.
    Value(usize),
    /// The product of two columns, or the square of one.
    Product(usize, usize),
    /// 1 if the column's value is at least `from` and below `to`, otherwise 0.
    Within {
        /// The column.
        column: usize,
        /// The least value.
        from: u64,
        /// The first value that is too large; `None` if none is.
        to: Option<u64>,
    },
}

impl Term {
    pub(super) fn of(self, record: &[u64]) -> u128 {
        match self {
            Self::One => 1,
            Self::Value(column) => u128::from(record[column]),
            Self::Product(a, b) => u128::from(record[a]) * u128::from(record[b]),
            Self::Within { column, from, to } => {
                u128::from(record[column] >= from) & u128::from(to.is_none_or(|to| record[column] < to))
            }
        }
    }

    /// The most that one record can give.
    pub(super) fn largest(self, max_element: u64) -> u128 {
        let max = u128::from(max_element);
        match self {
            Self::One => 1,
            Self::Within { from, .. } => u128::from(from <= max_element),
            Self::Value(_) => max,
            Self::Product(..) => max * max,
        }
    }
}

/// How records become sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) settings: Settings,
    pub(crate) terms: Vec<Term>,
    /// Of one contributor, for each term.
    pub(super) bounds: Vec<u128>,
    /// What holds between the terms' sums.
    pub(crate) ties: Ties,
}
