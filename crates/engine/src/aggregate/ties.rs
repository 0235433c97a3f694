//! What holds between the sums of one peer because all of them are over the same records. Proven together with the range of each
//! sum, it makes a bound one of each record: a peer with one record moves a mean no further than one record can.
//!
//! For every record with whole numbers x, y in `[0, M]`
//!
//! ```text
//!   x  <= M
//!   x² <= M x     x² >= x         x² >= (2M-1) x - M (M-1)      (M-x)(M-1-x) >= 0, since both are whole
//!   xy <= M x     xy <= M y       xy >= M x + M y - M²          (M-x)(M-y) >= 0
//! ```
//!
//! and every record is in exactly one bucket of a column. (For products these are the convex and concave envelopes of McCormick,
//! "Computability of global solutions to factorable nonconvex programs", 1976; with the bound below, xy >= 0, they are all
//! inequalities that hold of one product.) They are linear, so that they hold of a peer's sums as well, with the number of its
//! records, c, in place of 1, whichever its records are and also if it has none; an inequality that names a sum which a statistic
//! does not have is left out.
//!
//! **What that makes certain**: the sums behind `count`, `mean` and `histogram` are those of some records, at most `max_records`,
//! each within its bounds. Those with squares and products satisfy these inequalities; that there are records which give them
//! is not certain (not every tangent of a square is here, and c S_xx >= S_x² is not linear).

use std::collections::BTreeMap;

use super::records::Term;

/// A linear form over a vector's numbers that lies in `[0, bound]`, whatever the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tie {
    /// Which numbers, and how often each.
    pub(crate) terms: Vec<(usize, i128)>,
    /// The largest value; 0: an equality.
    pub(crate) bound: u128,
}

impl Tie {
    /// Whether the form may be something else than 0.
    pub(crate) fn has_slack(&self) -> bool {
        self.bound > 0
    }

    /// The form of these numbers. What is negative, which no records give, is a number far above the bound.
    pub(crate) fn slack(&self, numbers: &[u128]) -> u128 {
        let product = |(number, times): &(usize, i128)| numbers[*number].wrapping_mul(*times as u128);
        self.terms.iter().map(product).fold(0, u128::wrapping_add)
    }

    /// How far from 0 the form minus a slack can be where each number is within its bound and the slack within this one: in a
    /// field above that, the form is the slack only if it is the slack as a whole number. `None` if that is beyond all fields.
    pub(crate) fn reach(&self, bounds: &[u128]) -> Option<u128> {
        let (mut above, mut below) = (0u128, self.bound);
        for (number, times) in &self.terms {
            let most = bounds[*number].checked_mul(times.unsigned_abs())?;
            let side = if *times > 0 { &mut above } else { &mut below };
            *side = side.checked_add(most)?;
        }
        Some(above.max(below))
    }
}

/// Those whose slack is dealt: where it can only be 0, there is nothing to deal.
pub(crate) fn with_slack(ties: &[Tie]) -> impl Iterator<Item = &Tie> {
    ties.iter().filter(|tie| tie.has_slack())
}

/// The ties of the sums of these terms over at most `most` records of numbers up to `max_element`. `None` if coefficients are
/// beyond all fields.
pub(crate) fn ties(terms: &[Term], max_element: u64, most: u64) -> Option<Vec<Tie>> {
    let tied = terms.iter().enumerate().filter(|(_, term)| !matches!(term, Term::Within { .. }));
    let places: BTreeMap<Term, usize> = tied.map(|(at, term)| (*term, at)).collect();
    let place = |term: Term| places.get(&term).copied();
    let (max, records) = (i128::from(max_element), place(Term::One));
    let mut ties = Vec::new();
    // What one record can give, times as many as there may be.
    let mut tie = |terms: Vec<(usize, i128)>, largest: i128| -> Option<()> {
        let bound = u128::try_from(largest).ok()?.checked_mul(u128::from(most))?;
        ties.push(Tie { terms, bound });
        Some(())
    };
    for (at, term) in terms.iter().enumerate() {
        match *term {
            // Where there is a square it follows from what holds of that, unless all three of these are one equality.
            Term::Value(column) if max < 2 || place(Term::Product(column, column)).is_none() => {
                if let Some(records) = records {
                    tie(vec![(records, max), (at, -1)], max)?;
                }
            }
            Term::Product(a, b) if a == b => {
                let square = max.checked_mul(max)?;
                if let Some(value) = place(Term::Value(a)) {
                    tie(vec![(value, max), (at, -1)], (max / 2) * (max - max / 2))?;
                    tie(vec![(at, 1), (value, -1)], square - max)?;
                    if let Some(records) = records {
                        tie(vec![(at, 1), (value, 1 - 2 * max), (records, square - max)], square - max)?;
                    }
                }
            }
            Term::Product(a, b) => {
                let square = max.checked_mul(max)?;
                let (a, b) = (place(Term::Value(a)), place(Term::Value(b)));
                for value in [a, b].into_iter().flatten() {
                    tie(vec![(value, max), (at, -1)], square)?;
                }
                if let (Some(a), Some(b), Some(records)) = (a, b, records) {
                    tie(vec![(at, 1), (a, -max), (b, -max), (records, square)], square)?;
                }
            }
            Term::One | Term::Value(_) | Term::Within { .. } => {}
        }
    }
    // The buckets of each column hold all records.
    let mut columns: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, term) in terms.iter().enumerate() {
        if let Term::Within { column, .. } = term {
            columns.entry(*column).or_default().push(at);
        }
    }
    let mut before: Option<&[usize]> = records.as_ref().map(std::slice::from_ref);
    for buckets in columns.values() {
        let all = buckets.iter().map(|at| (*at, 1));
        match before {
            Some(before) => tie(all.chain(before.iter().map(|at| (*at, -1))).collect(), 0)?,
            None => tie(all.collect(), 1)?,
        }
        before = Some(buckets);
    }
    Some(ties)
}

#[cfg(test)]
mod tests;
