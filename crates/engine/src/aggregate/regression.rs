//! Ordinary least squares: the last column as a linear function of the others.
//!
//! The normal equations are solved exactly, by fraction-free elimination (Bareiss 1968) on whole
//! numbers; only the final quotients are rounded. So an ill-conditioned system costs no accuracy, and a
//! singular one is recognised for certain.

use num_bigint::BigInt;

use super::covariance::pairs;
use super::exact::{big, ratio, root_of_ratio};
use super::moments::{count_of, mean_terms, some_records};
use super::statistic::{NoResult, Statistic};
use super::{Settings, Term};

/// The number of records, the sum of each column, then the sum of the products of each pair: with a
/// column of ones before the others, all of X^T X, X^T y and y^T y.
pub(super) fn terms(settings: &Settings) -> Vec<Term> {
    let pairs = pairs(settings.columns).map(|(a, b)| Term::Product(a, b));
    mean_terms(settings).into_iter().chain(pairs).collect()
}

pub(super) fn linear_regression(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    let records = some_records(sums[0])?;
    let system = System::of(settings, sums);
    let unknowns = system.names.len();
    let needed = unknowns as u128 + 1;
    if records < needed {
        return Err(NoResult::TooFew { records, needed });
    }
    let Solution { determinant, coefficients, inverse } = solve(&system)?;
    // All of these are multiplied by the determinant.
    let explained: BigInt = coefficients.iter().zip(&system.right).map(|(c, r)| c * r).sum();
    let residual = &determinant * &system.squares - explained;
    if residual < big(0) || inverse.iter().any(|entry| *entry < big(0)) {
        return Err(NoResult::Impossible);
    }
    let freedom = big(records - unknowns as u128);
    let mut statistics = vec![count_of(records)];
    for (name, coefficient) in system.names.iter().zip(&coefficients) {
        statistics.push(Statistic::new(format!("coefficient({name})"), ratio(coefficient, &determinant)?));
    }
    let below = &determinant * &determinant * &freedom;
    for (name, entry) in system.names.iter().zip(&inverse) {
        let error = root_of_ratio(&(&residual * entry), &below)?;
        statistics.push(Statistic::new(format!("standard_error({name})"), error));
    }
    statistics.push(Statistic::new("residual_variance", ratio(&residual, &(&determinant * &freedom))?));
    // The total is n times the variation of y about its mean; without a constant term, about zero.
    let (scale, total) = if settings.intercept {
        let sum = big(sums[settings.columns]);
        (big(records), big(records) * &system.squares - &sum * &sum)
    } else {
        (big(1), system.squares.clone())
    };
    if total > big(0) {
        let total = total * &determinant;
        statistics.push(Statistic::new("r_squared", ratio(&(&total - scale * residual), &total)?));
    }
    Ok(statistics)
}

/// The normal equations.
struct System {
    names: Vec<String>,
    /// X^T X, row by row.
    left: Vec<Vec<BigInt>>,
    /// X^T y.
    right: Vec<BigInt>,
    /// y^T y.
    squares: BigInt,
}

impl System {
    fn of(settings: &Settings, sums: &[u128]) -> Self {
        let columns = settings.columns;
        // Column 0 is the ones, then the columns of the records.
        let mut products = vec![vec![big(0); columns + 1]; columns + 1];
        let places = (0..=columns).map(|b| (0, b)).chain(pairs(columns).map(|(a, b)| (a + 1, b + 1)));
        for ((a, b), sum) in places.zip(sums) {
            products[a][b] = big(*sum);
            products[b][a] = big(*sum);
        }
        let used = usize::from(!settings.intercept)..columns;
        let names = std::iter::once("intercept").chain(settings.names.iter().map(String::as_str));
        Self {
            names: names.take(columns).skip(used.start).map(str::to_owned).collect(),
            left: used.clone().map(|row| products[row][used.clone()].to_vec()).collect(),
            right: used.map(|row| products[row][columns].clone()).collect(),
            squares: products[columns][columns].clone(),
        }
    }
}

/// All multiplied by the determinant.
struct Solution {
    determinant: BigInt,
    coefficients: Vec<BigInt>,
    /// The diagonal of the inverse of X^T X.
    inverse: Vec<BigInt>,
}

/// Fraction-free elimination of [X^T X | X^T y | 1]. The leading minors of X^T X are the pivots: none of
/// them is negative, and the first that is zero says that columns depend on each other.
fn solve(system: &System) -> Result<Solution, NoResult> {
    let size = system.left.len();
    let mut rows: Vec<Vec<BigInt>> = system.left.clone();
    for (index, row) in rows.iter_mut().enumerate() {
        row.push(system.right[index].clone());
        row.extend((0..size).map(|column| big(u128::from(column == index))));
    }
    let mut before = big(1);
    for pivot in 0..size {
        let pivot_row = rows[pivot].clone();
        let head = &pivot_row[pivot];
        match head.cmp(&big(0)) {
            std::cmp::Ordering::Less => return Err(NoResult::Impossible),
            std::cmp::Ordering::Equal => return Err(NoResult::Singular),
            std::cmp::Ordering::Greater => {}
        }
        for (_, row) in rows.iter_mut().enumerate().filter(|(index, _)| *index != pivot) {
            let factor = row[pivot].clone();
            for (entry, above) in row.iter_mut().zip(&pivot_row) {
                // Every division is without remainder.
                *entry = (head * &*entry - &factor * above) / &before;
            }
        }
        before = head.clone();
    }
    let coefficients = rows.iter().map(|row| row[size].clone()).collect();
    let inverse = rows.iter().enumerate().map(|(index, row)| row[size + 1 + index].clone()).collect();
    Ok(Solution { determinant: before, coefficients, inverse })
}
