//! What holds between the sums of one peer because all of them are over the same records. Proven together with the range of each
//! sum, it makes a bound one of each record: a peer with one record moves a mean no further than one record can.
//!
//! For every record with numbers x, y in `[0, M]`
//!
//! ```text
//!   x  <= M       x² <= M x
//!   xy <= M x     xy <= M y       xy >= M x + M y - M²          (M-x)(M-y) >= 0
//! ```
//!
//! and every record is in exactly one bucket of a column. (For products these are the convex and concave envelopes of
//! McCormick, "Computability of global solutions to factorable nonconvex programs", 1976; with xy >= 0.) They are linear, so that
//! they hold of a peer's sums as well, with the number of its records, c, in place of 1, whichever its records are and also if it
//! has none; an inequality that names a sum which a statistic does not have is left out.
//!
//! Of the sums of at most m records there are quadratic ones besides. With `A = c S_xx - S_x²`, which is the sum of (x - x')² over
//! all pairs of records, B the same of y and D the same of x + y,
//!
//! ```text
//!   0 <= A, B <= M² floor(m²/4)      0 <= D <= 4 M² floor(m²/4)      0 <= 2A 2B - (D-A-B)² <= 4 M⁴ floor(m²/4)²
//! ```
//!
//! D - A - B is twice `c S_xy - S_x S_y`: the last line is the inequality of Cauchy and Schwarz. D and the last line are proven
//! only where a statistic has no result without them ([`Joint`]).
//!
//! **What that makes certain**: the sums behind `count`, `mean` and `histogram` are those of some records, at most
//! `max_records`, each within its bounds. Of a column and its squares, (c, S_x, S_xx) are those of numbers in `[0, M]` which
//! need not be whole and may weigh differently, c together; where the last line is proven, the same holds of two columns, their
//! squares and their products (Anstreicher, Burer, "Computable representations for convex hulls of low-dimensional quadratic forms",
//! 2010). Sums of these over all peers are again such: no variance is negative, no correlation above 1. Of three columns
//! together (a regression on two or more) it is not certain, nor where the last field is too small for the forms: [`Missing`].

use std::collections::BTreeMap;

use tacit_algebra::{F127, Field};

use super::records::Term;

/// A linear form over numbers: which, and how often each.
pub(crate) type Form = Vec<(usize, i128)>;

/// All that holds between the sums of a peer. The slack of each tie that is no equality is a number of its own, behind the
/// sums: first those of the linear ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ties {
    pub(crate) linear: Vec<Tie>,
    /// Those of single columns, then those of pairs.
    pub(crate) quadratic: Vec<Quadratic>,
    /// How many are of single columns.
    columns: usize,
    missing: Option<Missing>,
}

/// A linear form over a vector's numbers that lies in `[0, bound]`, whatever the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tie {
    pub(crate) terms: Form,
    /// The largest value; 0: an equality.
    pub(crate) bound: u128,
}

/// `a b - d²` of three linear forms over the sums and the slacks before its own, which lies in `[0, bound]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quadratic {
    /// a, b, d.
    pub(crate) wires: [Form; 3],
    /// The largest value; 0: an equality.
    pub(crate) bound: u128,
}

/// Which moments have to fit each other for a statistic to have a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// Those of each column.
    Columns,
    /// Those of each pair of columns.
    Pairs,
    /// Those of all columns.
    All,
}

/// What is not proven, so that a single input peer can void a statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// That squares are as large as their sums demand.
    Squares,
    /// That products of pairs fit the squares.
    Pairs,
    /// That products of all columns fit each other.
    All,
}

impl Missing {
    /// In words, with what to do.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Squares => {
                "that squares are as large as their sums demand is not proven, since that would take numbers above 2^127-2: an input \
                 peer that lies can void the result, unnamed; lower maxElement or max_records"
            }
            Self::Pairs => {
                "that products of columns fit their squares is not proven, since that would take numbers above 2^127-2 or too \
                 long a proof: an input peer that lies can void the result, unnamed; lower maxElement, max_records or the \
                 number of columns"
            }
            Self::All => {
                "that the products of more than two columns fit each other is not proven: an input peer that lies can void the \
                 result, unnamed"
            }
        }
    }
}

impl Ties {
    /// Where nothing holds between sums.
    pub(crate) const fn none() -> Self {
        Self { linear: Vec::new(), quadratic: Vec::new(), columns: 0, missing: None }
    }

    /// The largest slacks of those that have one, in the order of the slacks.
    pub(crate) fn slack_bounds(&self) -> impl Iterator<Item = u128> {
        let linear = self.linear.iter().map(|tie| tie.bound);
        linear.chain(self.quadratic.iter().map(|tie| tie.bound)).filter(|bound| *bound > 0)
    }

    /// How many slacks are before those of the quadratic ones.
    pub(crate) fn linear_slacks(&self) -> usize {
        self.linear.iter().filter(|tie| tie.has_slack()).count()
    }

    /// Puts the slacks behind the sums. What is negative, which no records give, is a number far above the bound.
    pub(crate) fn push_slacks(&self, numbers: &mut Vec<u128>) {
        for tie in self.linear.iter().filter(|tie| tie.has_slack()) {
            let slack = tie.slack(numbers);
            numbers.push(slack);
        }
        for tie in self.quadratic.iter().filter(|tie| tie.has_slack()) {
            let slack = tie.slack(numbers);
            numbers.push(slack);
        }
    }

    /// A field above it is one in which no tie wraps, where sums are within these bounds; `None` if that is beyond all fields.
    pub(crate) fn reach(&self, bounds: &[u128]) -> Option<u128> {
        let bounds: Vec<u128> = bounds.iter().copied().chain(self.slack_bounds()).collect();
        let linear = self.linear.iter().map(|tie| tie.reach(&bounds));
        linear
            .chain(self.quadratic.iter().map(|tie| tie.reach(&bounds)))
            .try_fold(0, |most, reach| Some(most.max(reach?)))
    }

    #[cfg(test)]
    pub(crate) fn of(linear: &[Tie], quadratic: &[Quadratic]) -> Self {
        Self { linear: linear.to_vec(), quadratic: quadratic.to_vec(), ..Self::none() }
    }

    /// What is not proven and could be missed.
    pub(crate) fn missing(&self) -> Option<Missing> {
        self.missing
    }

    /// Leaves out what is proven of pairs of columns; `false` if nothing is.
    pub(crate) fn drop_pairs(&mut self) -> bool {
        let some = self.quadratic.len() > self.columns;
        if some {
            self.quadratic.truncate(self.columns);
            self.missing = Some(Missing::Pairs);
        }
        some
    }
}

impl Tie {
    /// Whether the form may be something else than 0.
    pub(crate) fn has_slack(&self) -> bool {
        self.bound > 0
    }

    /// The form of these numbers.
    pub(crate) fn slack(&self, numbers: &[u128]) -> u128 {
        value(&self.terms, numbers)
    }

    /// How far from 0 the form minus a slack can be where each number is within its bound and the slack within this one: in a
    /// field above that, the form is the slack only if it is the slack as a whole number. `None` if that is beyond all fields.
    pub(crate) fn reach(&self, bounds: &[u128]) -> Option<u128> {
        let (above, below) = extent(&self.terms, bounds)?;
        Some(above.max(below.checked_add(self.bound)?))
    }
}

impl Quadratic {
    /// Whether it may be something else than 0.
    pub(crate) fn has_slack(&self) -> bool {
        self.bound > 0
    }

    /// What it is of these numbers.
    pub(crate) fn slack(&self, numbers: &[u128]) -> u128 {
        let [a, b, d] = self.wires.each_ref().map(|form| value(form, numbers));
        a.wrapping_mul(b).wrapping_sub(d.wrapping_mul(d))
    }

    /// As of a linear [`Tie`].
    pub(crate) fn reach(&self, bounds: &[u128]) -> Option<u128> {
        let [a, b, d] = self.wires.each_ref().map(|form| extent(form, bounds));
        let ((a_above, a_below), (b_above, b_below), (d_above, d_below)) = (a?, b?, d?);
        let above = a_above.checked_mul(b_above)?.max(a_below.checked_mul(b_below)?);
        let below = a_above.checked_mul(b_below)?.max(a_below.checked_mul(b_above)?);
        let d = d_above.max(d_below);
        Some(above.max(below.checked_add(d.checked_mul(d)?)?.checked_add(self.bound)?))
    }
}

/// A form of these numbers, modulo 2^128.
fn value(form: &Form, numbers: &[u128]) -> u128 {
    let product = |(number, times): &(usize, i128)| numbers[*number].wrapping_mul(*times as u128);
    form.iter().map(product).fold(0, u128::wrapping_add)
}

/// How far above and how far below 0 a form can be.
fn extent(form: &Form, bounds: &[u128]) -> Option<(u128, u128)> {
    let (mut above, mut below) = (0u128, 0u128);
    for (number, times) in form {
        let most = bounds[*number].checked_mul(times.unsigned_abs())?;
        let side = if *times > 0 { &mut above } else { &mut below };
        *side = side.checked_add(most)?;
    }
    Some((above, below))
}

/// Where the sums of a statistic are, and how large they can be.
struct Sums<'t> {
    terms: &'t [Term],
    places: BTreeMap<Term, usize>,
    bounds: &'t [u128],
    max: i128,
    most: u64,
}

/// The ties of the sums of these terms, each within its bound, over at most `most` records of numbers up to `max_element`:
/// as many of them as fit the largest field. `None` if coefficients of linear ones are beyond all fields.
pub(crate) fn ties(terms: &[Term], bounds: &[u128], max_element: u64, most: u64, joint: Joint) -> Option<Ties> {
    let sums = Sums::of(terms, bounds, max_element, most);
    let quadratic = sums.squares();
    let mut ties = Ties {
        linear: sums.linear(quadratic.is_some())?,
        columns: quadratic.as_ref().map_or(0, Vec::len),
        missing: (quadratic.is_none() && sums.needs_squares()).then_some(Missing::Squares),
        quadratic: quadratic.unwrap_or_default(),
    };
    let columns = terms.iter().filter(|term| matches!(term, Term::Value(_))).count();
    if joint == Joint::All && columns > 2 {
        ties.missing = ties.missing.or(Some(Missing::All));
    } else if joint != Joint::Columns && sums.needs_squares() && ties.missing.is_none() {
        match sums.pairs(&ties) {
            Some(pairs) => ties.quadratic.extend(pairs),
            None => ties.missing = Some(Missing::Pairs),
        }
    }
    Some(ties)
}

impl<'t> Sums<'t> {
    fn of(terms: &'t [Term], bounds: &'t [u128], max_element: u64, most: u64) -> Self {
        let tied = terms.iter().enumerate().filter(|(_, term)| !matches!(term, Term::Within { .. }));
        let places = tied.map(|(at, term)| (*term, at)).collect();
        Self { terms, places, bounds, max: i128::from(max_element), most }
    }

    fn place(&self, term: Term) -> Option<usize> {
        self.places.get(&term).copied()
    }

    /// Whether linear ties leave something open of squares. Numbers up to 1 are their own squares, and then products say how
    /// many records are of each kind.
    fn needs_squares(&self) -> bool {
        let square = |term: &Term| matches!(term, Term::Product(a, b) if a == b);
        self.max > 1 && self.terms.iter().any(square)
    }

    /// The most that the squares of the differences between all pairs of records add up to. `None` if that is beyond all fields.
    fn differences(&self) -> Option<u128> {
        let half = self.most / 2;
        let of_ones = u128::from(half) * u128::from(self.most - half);
        of_ones.checked_mul(u128::try_from(self.max.checked_mul(self.max)?).ok()?)
    }

    /// `c S_xx - S_x²` of each column whose squares are added up. `None` if they need none or do not fit a field.
    fn squares(&self) -> Option<Vec<Quadratic>> {
        let records = self.place(Term::One).filter(|_| self.needs_squares())?;
        let bound = self.differences()?;
        let square = |(at, term): (usize, &Term)| match *term {
            Term::Product(a, b) if a == b => {
                let wires = [vec![(records, 1)], vec![(at, 1)], vec![(self.place(Term::Value(a))?, 1)]];
                Some(Quadratic { wires, bound })
            }
            _ => None,
        };
        let squares: Vec<Quadratic> = self.terms.iter().enumerate().filter_map(square).collect();
        let fit = |tie: &Quadratic| tie.reach(self.bounds).is_some_and(|reach| reach < F127::MODULUS);
        squares.iter().all(fit).then_some(squares)
    }

    /// Of each pair of columns D, and the inequality of Cauchy and Schwarz. `None` if they do not fit a field.
    fn pairs(&self, ties: &Ties) -> Option<Vec<Quadratic>> {
        let records = self.place(Term::One)?;
        let first = self.terms.len() + ties.linear_slacks();
        let square_of = |column: usize| self.place(Term::Product(column, column));
        let slack_of = |column: usize| {
            let square = vec![(square_of(column)?, 1)];
            Some(first + ties.quadratic.iter().position(|tie| tie.wires[1] == square)?)
        };
        let of_one = self.differences()?;
        let products = self.terms.iter().enumerate().filter_map(|(at, term)| match *term {
            Term::Product(a, b) if a != b => Some((at, a, b)),
            _ => None,
        });
        let (mut sums, mut last) = (Vec::new(), Vec::new());
        for (at, a, b) in products {
            let squares = vec![(square_of(a)?, 1), (at, 2), (square_of(b)?, 1)];
            let values = vec![(self.place(Term::Value(a))?, 1), (self.place(Term::Value(b))?, 1)];
            let slack = first + ties.quadratic.len() + sums.len();
            sums.push(Quadratic { wires: [vec![(records, 1)], squares, values], bound: of_one.checked_mul(4)? });
            // Of one record, or none, all of these are 0 and nothing is left to say.
            if of_one > 0 {
                let (a, b) = (slack_of(a)?, slack_of(b)?);
                let wires = [vec![(a, 2)], vec![(b, 2)], vec![(slack, 1), (a, -1), (b, -1)]];
                last.push(Quadratic { wires, bound: of_one.checked_mul(of_one)?.checked_mul(4)? });
            }
        }
        sums.append(&mut last);
        let all =
            Ties { linear: ties.linear.clone(), quadratic: [&ties.quadratic[..], &sums].concat(), ..Ties::none() };
        all.reach(self.bounds).is_some_and(|reach| reach < F127::MODULUS).then_some(sums)
    }

    /// The linear ones. Where squares are not tied to their sums otherwise, they are by tangents, which leave gaps:
    /// `x² >= x` and, since both are whole, `(M-x)(M-1-x) >= 0`.
    fn linear(&self, squares: bool) -> Option<Vec<Tie>> {
        let (max, records) = (self.max, self.place(Term::One));
        let mut ties = Vec::new();
        // What one record can give, times as many as there may be.
        let mut tie = |terms: Form, largest: i128| -> Option<()> {
            let bound = u128::try_from(largest).ok()?.checked_mul(u128::from(self.most))?;
            ties.push(Tie { terms, bound });
            Some(())
        };
        for (at, term) in self.terms.iter().enumerate() {
            match *term {
                // Where there is a square it follows from what holds of that, unless all three of these are one equality.
                Term::Value(column) if max < 2 || self.place(Term::Product(column, column)).is_none() => {
                    if let Some(records) = records {
                        tie(vec![(records, max), (at, -1)], max)?;
                    }
                }
                Term::Product(a, b) if a == b => {
                    let square = max.checked_mul(max)?;
                    if let Some(value) = self.place(Term::Value(a)) {
                        tie(vec![(value, max), (at, -1)], (max / 2) * (max - max / 2))?;
                        if !squares {
                            tie(vec![(at, 1), (value, -1)], square - max)?;
                        }
                        if let Some(records) = records.filter(|_| !squares) {
                            tie(vec![(at, 1), (value, 1 - 2 * max), (records, square - max)], square - max)?;
                        }
                    }
                }
                Term::Product(a, b) => {
                    let square = max.checked_mul(max)?;
                    let (a, b) = (self.place(Term::Value(a)), self.place(Term::Value(b)));
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
        for (at, term) in self.terms.iter().enumerate() {
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
}

#[cfg(test)]
mod tests;
