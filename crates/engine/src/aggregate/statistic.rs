//! What recipients get out of opened sums, and why they may get nothing.

/// One number of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistic {
    /// What it is, such as `mean(x1)`.
    pub name: String,
    /// How much. Counts are exact; everything else is the double nearest to the exact value or, behind a
    /// square root, within 2^-50 of it.
    pub value: f64,
}

impl Statistic {
    pub(crate) fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value }
    }
}

/// The sums are there, and they make no statistic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoResult {
    /// Nobody had a record.
    #[error("no records")]
    NoRecords,
    /// Fewer records than the statistic needs.
    #[error("{records} records are too few: at least {needed} are needed")]
    TooFew {
        /// How many there are.
        records: u128,
        /// How many it takes.
        needed: u128,
    },
    /// The noise is larger than what there is.
    #[error("with its noise the number of records is not above zero: there is no mean")]
    OnlyNoise,
    /// Newton's method did not settle.
    #[error(
        "the regression has not converged: records are too few, columns depend on each other, or a column foretells the \
         label with certainty; leave a column out, or raise iterations"
    )]
    NotConverged,
    /// A filter in which every key looks as if it was there.
    #[error("all bits of the filter are set: take more positions")]
    FullFilter,
    /// All weights are zero.
    #[error("the weights add up to zero")]
    NoWeight,
    /// A column without variance.
    #[error("{name} is the same in all records: correlations with it are not defined")]
    Constant {
        /// The column.
        name: String,
    },
    /// There is more than one regression.
    #[error("the columns of the regression depend on each other: leave one of them out")]
    Singular,
    /// The honest encoding of any records gives other sums.
    #[error("no records have these sums: some input peer did not encode its own as the aggregator says")]
    Impossible,
    /// Beyond what a double can hold.
    #[error("a number of the result is too large to be written as a decimal of double precision")]
    TooLarge,
}
