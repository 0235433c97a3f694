//! A symmetric positive semidefinite system on shares, by L D L^T, with everything kept in bounds.
//!
//! A pivot below the floor is replaced by the floor; that keeps the rest positive semidefinite, and quotients L below
//! sqrt(most of the diagonal / floor) = 32. Right sides are kept below 4 pivots, unknowns below 4. So numbers stay below what
//! divisions (2^38) and truncations (2^81) promise for, whatever the system is. A regular system with a solution within bounds
//! is solved as if there were none.

use tacit_algebra::Field;

use super::FRACTION;
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::evaluate::Cost;

/// Bits of numbers that are divided.
const DIVIDED: u32 = 38;
/// Bits of numbers that are compared.
const COMPARED: u32 = 60;
/// Bits of sums of products.
const PRODUCTS: u32 = 64;
/// The most that an unknown, and a right side over its pivot, can be.
const STEP: u64 = 4;
/// The most that an entry of L^-1 can be.
const INVERSE: u64 = 20;
/// A step below 2^-9 is the last one that is needed: the error is about its square then.
const SMALL: u128 = 1 << (FRACTION - 9);

/// The system (information) step = gradient.
pub(super) struct System<F: Field> {
    pub(super) size: usize,
    /// How many records there can be: the diagonal is at most a quarter of it.
    pub(super) places: usize,
    /// Row by row; the upper half is not looked at.
    pub(super) information: Shared<F>,
    pub(super) gradient: Shared<F>,
}

/// What there is when a system is solved.
pub(super) struct Solution<F: Field> {
    pub(super) step: Shared<F>,
    pub(super) factors: Factors<F>,
    /// For each pivot 1 if it was not below the floor.
    pub(super) regular: Vec<Shared<F>>,
}

/// L (below its diagonal of ones) and D.
pub(super) struct Factors<F: Field> {
    /// Column by column.
    lower: Vec<Vec<F>>,
    pivots: Vec<F>,
}

impl<F: Field> Drop for Factors<F> {
    fn drop(&mut self) {
        // As shares: cleared when they are dropped.
        self.lower.drain(..).for_each(|column| drop(Shared::from_shares(column)));
        drop(Shared::from_shares(std::mem::take(&mut self.pivots)));
    }
}

impl<F: Field> System<F> {
    /// The least pivot that is divided by: 2^-12 of the number of places, and at least 1/8.
    fn floor(&self) -> F {
        F::from_u128(((self.places as u128) << (FRACTION - 12)).max(1 << (FRACTION - 3)))
    }

    pub(super) async fn solve(self, arithmetic: &mut Arithmetic<'_, F>) -> Result<Solution<F>, ArithmeticError> {
        let (size, floor) = (self.size, self.floor());
        // What is left of the lower half, row by row.
        let left = self.information.expose_shares();
        let mut left: Vec<Vec<F>> = (0..size).map(|row| left[row * size..][..=row].to_vec()).collect();
        let mut right = self.gradient.expose_shares().to_vec();
        let (mut pivots, mut lower, mut regular) = (Vec::new(), Vec::new(), Vec::new());
        for j in 0..size {
            let above = Shared::from_shares(vec![left[j][j] - floor]);
            let mut ok = arithmetic.is_negative(&above, COMPARED).await?;
            ok.scale(-F::ONE);
            ok.add_constant(&[F::ONE]);
            let mut pivot = arithmetic.multiply(&ok, &above).await?;
            pivot.add_constant(&[floor]);
            regular.push(ok);
            let mut limit = pivot.duplicate();
            limit.scale(F::from_u64(STEP));
            let (clamped, _) = clamp(arithmetic, &Shared::from_shares(vec![right[j]]), &limit).await?;
            right[j] = clamped.expose_shares()[0];
            // The column below the pivot, and the right side, over the pivot.
            let mut above: Vec<F> = (j + 1..size).map(|row| left[row][j]).collect();
            above.push(right[j]);
            let below = Shared::from_shares(vec![pivot.expose_shares()[0]; above.len()]);
            let above = Shared::from_shares(above);
            let quotients = arithmetic.fixed_divide(&above, &below, FRACTION, DIVIDED).await?;
            let mut column = quotients.expose_shares().to_vec();
            let unknown = column.pop().unwrap_or(F::ZERO);
            // From now on the right side's place is its quotient's.
            let side = std::mem::replace(&mut right[j], unknown);
            pivots.push(pivot.expose_shares()[0]);
            // What goes off the rest: column times row, and column times right side.
            let (mut factors, mut others) = (Vec::new(), Vec::new());
            for (a, quotient) in column.iter().enumerate() {
                others.extend((0..=a).map(|b| left[j + 1 + b][j]));
                others.push(side);
                factors.extend(std::iter::repeat_n(*quotient, a + 2));
            }
            if factors.is_empty() {
                lower.push(column);
                break;
            }
            let (factors, others) = (Shared::from_shares(factors), Shared::from_shares(others));
            let products = arithmetic.fixed_multiply(&factors, &others, FRACTION).await?;
            let mut products = products.expose_shares().iter();
            for (row, right) in left.iter_mut().zip(&mut right).skip(j + 1) {
                for entry in row[j + 1..].iter_mut().chain([right]) {
                    *entry -= products.next().copied().unwrap_or(F::ZERO);
                }
            }
            lower.push(column);
        }
        left.into_iter().for_each(|row| drop(Shared::from_shares(row)));
        let factors = Factors { lower, pivots };
        let step = factors.back(arithmetic, Shared::from_shares(right)).await?;
        Ok(Solution { step, factors, regular })
    }
}

impl<F: Field> Factors<F> {
    /// L^T x = right, from below, each unknown within bounds.
    async fn back(&self, arithmetic: &mut Arithmetic<'_, F>, right: Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        let right = right.expose_shares();
        // From the last unknown up.
        let mut found = Shared::zeros(0);
        for j in (0..right.len()).rev() {
            let mut unknown = Shared::from_shares(vec![right[j]]);
            if !found.is_empty() {
                let column = Shared::from_shares(self.lower[j].iter().rev().copied().collect());
                let taken = arithmetic.dot(&column, &found, found.len()).await?;
                unknown.sub_assign(&arithmetic.truncate(&taken, FRACTION, PRODUCTS).await?);
            }
            let (unknown, _) = clamp_public(arithmetic, &unknown, STEP).await?;
            found = Shared::concat(&[&found, &unknown]);
        }
        Ok(Shared::from_shares(found.expose_shares().iter().rev().copied().collect()))
    }

    /// Entry (a, b) of L, a > b.
    fn lower(&self, a: usize, b: usize) -> F {
        self.lower[b][a - b - 1]
    }

    /// The variance of (1, -1, ..., -1) times the unknowns, then that of each unknown but the first; and whether everything
    /// was within bounds.
    ///
    /// The inverse of L D L^T is M^T D^-1 M with M = L^-1, found row by row.
    pub(super) async fn variances(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
    ) -> Result<(Shared<F>, Vec<Shared<F>>), ArithmeticError> {
        let size = self.pivots.len();
        let one = F::from_u128(1 << FRACTION);
        let mut rows: Vec<Shared<F>> = vec![Shared::constant(&[one])];
        let mut inside = Vec::new();
        for a in 1..size {
            // Row a: minus L times the rows above, in which there are ones at the end.
            let (mut factors, mut others) = (Vec::new(), Vec::new());
            for (l, row) in rows.iter().enumerate() {
                factors.extend(std::iter::repeat_n(self.lower(a, l), a));
                let mut padded = row.expose_shares().to_vec();
                padded.resize(a, F::ZERO);
                others.extend(padded);
            }
            let products = transposed_pairs(factors, others, a);
            let sums = arithmetic.dot(&products.0, &products.1, a).await?;
            let mut row = arithmetic.truncate(&sums, FRACTION, PRODUCTS).await?;
            row.scale(-F::ONE);
            let (row, within) = clamp_public(arithmetic, &row, INVERSE).await?;
            inside.push(within);
            rows.push(Shared::concat(&[&row, &Shared::constant(&[one])]));
        }
        // (1, -1, ..., -1) for each row of M.
        let contrast = |row: &Shared<F>| {
            let shares = row.expose_shares();
            shares[1..].iter().fold(shares[0], |sum, share| sum - *share)
        };
        let contrasts = Shared::from_shares(rows.iter().map(contrast).collect());
        let (contrasts, within) = clamp_public(arithmetic, &contrasts, INVERSE).await?;
        inside.push(within);
        let (mut roots, mut pivots, mut unknowns) = (Vec::new(), Vec::new(), Vec::new());
        for (a, row) in rows.iter().enumerate() {
            roots.push(contrasts.expose_shares()[a]);
            roots.extend_from_slice(&row.expose_shares()[1..]);
            unknowns.extend(0..=a);
            pivots.extend(std::iter::repeat_n(self.pivots[a], a + 1));
        }
        let roots = Shared::from_shares(roots);
        let squares = arithmetic.fixed_multiply(&roots, &roots, FRACTION).await?;
        let parts = arithmetic.fixed_divide(&squares, &Shared::from_shares(pivots), FRACTION, DIVIDED).await?;
        let mut variances = vec![F::ZERO; size];
        unknowns.into_iter().zip(parts.expose_shares()).for_each(|(unknown, part)| variances[unknown] += *part);
        Ok((Shared::from_shares(variances), inside))
    }
}

/// From rows of `width` numbers to as many rows, one per place of a row.
fn transposed_pairs<F: Field>(factors: Vec<F>, others: Vec<F>, width: usize) -> (Shared<F>, Shared<F>) {
    (super::transposed(&Shared::from_shares(factors), width), super::transposed(&Shared::from_shares(others), width))
}

/// Whether all are between -2^-9 and 2^-9.
pub(super) async fn is_small<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    x: &Shared<F>,
) -> Result<Shared<F>, ArithmeticError> {
    let limit = Shared::constant(&vec![F::from_u128(SMALL); x.len()]);
    let (_, inside) = clamp(arithmetic, x, &limit).await?;
    Ok(inside)
}

/// The nearest numbers between minus and plus a public limit; and 1 for each that was there already.
async fn clamp_public<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    x: &Shared<F>,
    limit: u64,
) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
    let limit = F::from_u128(u128::from(limit) << FRACTION);
    clamp(arithmetic, x, &Shared::constant(&vec![limit; x.len()])).await
}

/// The same with limits of which the sum with any of the numbers is below 2^[`COMPARED`].
async fn clamp<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    x: &Shared<F>,
    limit: &Shared<F>,
) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
    let length = x.len();
    let outside = arithmetic.is_negative(&Shared::concat(&[&limit.sub(x), &limit.add(x)]), COMPARED).await?;
    let (above, below) = (outside.slice(0..length), outside.slice(length..2 * length));
    let mut inside = Shared::constant(&vec![F::ONE; length]);
    inside.sub_assign(&above);
    inside.sub_assign(&below);
    let sides = Shared::concat(&[&inside, &above.sub(&below)]);
    let products = arithmetic.multiply(&sides, &Shared::concat(&[x, limit])).await?;
    let clamped = products.slice(0..length).add(&products.slice(length..2 * length));
    Ok((clamped, inside))
}

/// What a solution costs.
pub(super) fn cost(size: usize, cost: &mut Cost) {
    for j in 0..size {
        let rest = size - 1 - j;
        cost.compare(1, COMPARED);
        cost.multiply(1);
        cost.compare(2, COMPARED);
        cost.multiply(2);
        cost.divide(rest + 1, DIVIDED);
        if rest > 0 {
            cost.multiply(rest * (rest + 3) / 2);
            cost.truncate(rest * (rest + 3) / 2);
            // The way back.
            cost.multiply(1);
            cost.truncate(1);
        }
        cost.compare(2, COMPARED);
        cost.multiply(2);
    }
}

/// What variances cost, the last flags included.
pub(super) fn cost_of_variances(size: usize, cost: &mut Cost) {
    for a in 1..=size {
        if a < size {
            cost.multiply(a);
            cost.truncate(a);
        }
        cost.compare(2 * a, COMPARED);
        cost.multiply(2 * a);
    }
    let parts = size * (size + 1) / 2;
    cost.multiply(parts);
    cost.truncate(parts);
    cost.divide(parts, DIVIDED);
    // Whether the step is small, all flags together, and the result.
    cost.compare(2 * size, COMPARED);
    cost.multiply(2 * size);
    let mut flags = 2 * size + parts;
    while flags > 1 {
        cost.multiply(flags / 2);
        flags = flags.div_ceil(2);
    }
    cost.multiply(2 * size);
}
