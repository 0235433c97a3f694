//! Logistic regression: Newton's method (iteratively reweighted least squares) on shares.
//!
//! Each contributor gives as many places as records are allowed; empty ones are zero and weigh nothing. Coefficients and
//! standard errors are opened, if the iteration has converged, and nothing else: no gradient, no matrix, no number of records.
//!
//! Columns are mapped to z = 2 x / max - 1, in [-1, 1], which is public and linear. With u = (1, z) of each record and
//! p = 1 / (1 + e^-(u g)), a step solves (U^T W U) s = U^T (y - p) for W = p (1 - p) and adds s to g (McCullagh, Nelder 1989,
//! 2.5 and 4.4). The system is solved by [`solve`]. All numbers are fixed-point, [`FRACTION`] bits behind the point; every
//! operand stays within what its operation promises for, whatever the records are, since steps, quotients and pivots are
//! kept in bounds. Whether one of these bounds was met in the last step is part of what "converged" means.

use tacit_algebra::Field;

use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::settings::{DEFAULT_TABLE, column_maxima};
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

mod solve;

use solve::{Solution, System};

/// Bits behind the point.
const FRACTION: u32 = 24;
/// Bits behind the point of weights.
const WEIGHT: u32 = 20;
/// Records of all peers.
const MOST_PLACES: usize = 8192;
/// Numbers of a record, its label included.
const COLUMNS: (usize, usize) = (2, 9);
/// The largest value of a column.
const LARGEST: u64 = 1 << FRACTION;
/// What opened numbers are lifted by, so that none is negative.
const OFFSET: u128 = 1 << 40;
/// Steps unless the task says otherwise.
const ITERATIONS: usize = 8;
const MOST_ITERATIONS: usize = 20;

/// A regression of the last column, 0 or 1, on the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logistic {
    /// Of the explaining columns.
    names: Vec<String>,
    /// What z is made of: floor(2^25 / max), for each.
    slopes: Vec<u64>,
    /// Places of one contributor.
    most: usize,
    inputs: usize,
    iterations: usize,
}

impl Logistic {
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_comparisons()?;
        if !(COLUMNS.0..=COLUMNS.1).contains(&settings.items()) {
            return Err(settings.bad_columns(COLUMNS.0, COLUMNS.1));
        }
        let most = settings.number("max_records", DEFAULT_TABLE)?;
        let places = most.saturating_mul(settings.inputs());
        if places > MOST_PLACES {
            return Err(PlanError::TooManyItems { items: places, limit: MOST_PLACES });
        }
        let mut names = settings.column_names()?;
        names.pop();
        let maxima = column_maxima(settings.aggregator, settings.request)?;
        let maxima = &maxima[..names.len()];
        if maxima.iter().any(|max| !(1..=LARGEST).contains(max)) {
            return Err(settings.bad("maxima"));
        }
        Ok(Self {
            names,
            slopes: maxima.iter().map(|max| (1 << (FRACTION + 1)) / max).collect(),
            most,
            inputs: settings.inputs(),
            iterations: settings.number("iterations", ITERATIONS)?,
        })
    }

    /// Coefficients, the constant one first.
    fn size(&self) -> usize {
        1 + self.names.len()
    }

    /// u of each place, row by row, and the labels.
    fn design<F: Field>(&self, inputs: &Inputs<F>) -> (Shared<F>, Shared<F>) {
        let one = F::from_u128(1 << FRACTION);
        let slopes: Vec<F> = self.slopes.iter().map(|slope| F::from_u64(*slope)).collect();
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for input in &inputs.each {
            // Present, the columns, the label.
            for place in input.expose_shares().chunks_exact(self.size() + 1) {
                let present = place[0] * one;
                rows.push(present);
                rows.extend(place[1..].iter().zip(&slopes).map(|(x, slope)| *x * *slope - present));
                labels.push(place[self.size()]);
            }
        }
        (Shared::from_shares(rows), Shared::from_shares(labels))
    }

    /// U^T W U and U^T (y - p) at these coefficients, with [`FRACTION`] bits.
    async fn system<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        rows: &Shared<F>,
        labels: &Shared<F>,
        coefficients: &Shared<F>,
    ) -> Result<System<F>, ArithmeticError> {
        let (size, places) = (self.size(), labels.len());
        let columns = transposed(rows, size);
        let linear = arithmetic.matmul(rows, coefficients, places, 1).await?;
        // Coefficients are below 2^10 together.
        let linear = arithmetic.truncate(&linear, FRACTION, 2 * FRACTION + 12).await?;
        let p = arithmetic.fixed_logistic(&linear, FRACTION, FRACTION + 12).await?;
        let mut residuals = labels.duplicate();
        residuals.scale(F::from_u128(1 << FRACTION));
        residuals.sub_assign(&p);
        let gradient = arithmetic.matmul(&columns, &residuals, size, 1).await?;
        let gradient = arithmetic.truncate(&gradient, FRACTION, 2 * FRACTION + 14).await?;
        let mut rest = Shared::constant(&vec![F::from_u128(1 << FRACTION); places]);
        rest.sub_assign(&p);
        let weights = arithmetic.multiply(&p, &rest).await?;
        let mut weights = arithmetic.truncate(&weights, 2 * FRACTION - WEIGHT, 2 * FRACTION).await?;
        // More than the truncation can take off: none is negative.
        weights.add_constant(&vec![F::from_u64(4); places]);
        let repeated = weights.expose_shares().iter().flat_map(|weight| std::iter::repeat_n(*weight, size)).collect();
        let weighted = arithmetic.multiply(&Shared::from_shares(repeated), rows).await?;
        let information = arithmetic.matmul(&columns, &weighted, size, size).await?;
        let information = arithmetic.truncate(&information, FRACTION + WEIGHT, 2 * FRACTION + WEIGHT + 12).await?;
        Ok(System { size, places: self.most * self.inputs, information, gradient })
    }

    fn decode_numbers(&self, opened: &[u128]) -> Result<Vec<Statistic>, NoResult> {
        let (good, opened) = opened.split_first().ok_or(NoResult::Impossible)?;
        match *good {
            0 => return Err(NoResult::NotConverged),
            1 => {}
            _ => return Err(NoResult::Impossible),
        }
        // Below 2^53: whole numbers are doubles.
        let number = |opened: u128| (opened as f64 - OFFSET as f64) / f64::from(1u32 << FRACTION);
        let slope = |at: usize| match at {
            0 => 1.0,
            at => self.slopes[at - 1] as f64 / f64::from(1u32 << FRACTION),
        };
        let names: Vec<&str> = std::iter::once("intercept").chain(self.names.iter().map(String::as_str)).collect();
        let (coefficients, variances) = opened.split_at(self.size());
        let mut out = Vec::with_capacity(2 * self.size());
        for (at, name) in names.iter().enumerate() {
            out.push(Statistic::new(format!("coefficient({name})"), number(coefficients[at]) * slope(at)));
        }
        for (at, name) in names.iter().enumerate() {
            let variance = number(variances[at]);
            if variance <= 0.0 {
                return Err(NoResult::NotConverged);
            }
            out.push(Statistic::new(format!("standard_error({name})"), variance.sqrt() * slope(at)));
        }
        Ok(out)
    }
}

impl Evaluate for Logistic {
    fn each(&self) -> bool {
        true
    }

    fn outputs(&self) -> usize {
        1 + 2 * self.size()
    }

    fn largest(&self, output: usize, _: usize) -> Option<u128> {
        Some(if output == 0 { 1 } else { 2 * OFFSET })
    }

    fn largest_inside(&self, _: usize) -> Option<u128> {
        // Truncated numbers and their masks: fixed-point numbers are in the large field only.
        Some(1 << 126)
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        let (size, places) = (self.size(), contributors * self.most);
        for _ in 0..self.iterations {
            for length in [places, size] {
                cost.multiply(length);
                cost.truncate(length);
            }
            cost.logistic(places, FRACTION + 12);
            cost.multiply(places);
            cost.truncate(places);
            cost.multiply(places * size);
            cost.multiply(size * size);
            cost.truncate(size * size);
            solve::cost(size, cost);
        }
        solve::cost_of_variances(size, cost);
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let (rows, labels) = self.design(&inputs);
        let mut coefficients = Shared::zeros(self.size());
        let mut flags = Vec::new();
        let mut variances = Shared::zeros(self.size());
        for iteration in 1..=self.iterations {
            let system = self.system(arithmetic, &rows, &labels, &coefficients).await?;
            let Solution { step, factors, regular } = system.solve(arithmetic).await?;
            coefficients.add_assign(&step);
            if iteration == self.iterations {
                flags.extend(regular);
                flags.push(solve::is_small(arithmetic, &step).await?);
                let (found, inside) = factors.variances(arithmetic).await?;
                flags.extend(inside);
                variances = found;
            }
        }
        let flags = Shared::concat(&flags.iter().collect::<Vec<_>>());
        let good = arithmetic.product(&flags, flags.len()).await?;
        // The constant of x is that of z less all coefficients.
        let mut numbers = Shared::concat(&[&coefficients, &variances]);
        let shares = coefficients.expose_shares();
        let constant = shares[1..].iter().fold(shares[0], |constant, share| constant - *share);
        numbers = Shared::concat(&[&Shared::from_shares(vec![constant]), &numbers.slice(1..numbers.len())]);
        numbers.add_constant(&vec![F::from_u128(OFFSET); numbers.len()]);
        let repeated = Shared::from_shares(vec![good.expose_shares()[0]; numbers.len()]);
        let numbers = arithmetic.multiply(&repeated, &numbers).await?;
        Ok(Shared::concat(&[&good, &numbers]))
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        Some(self.decode_numbers(opened))
    }
}

/// A matrix with rows of this width, column by column.
fn transposed<F: Field>(rows: &Shared<F>, width: usize) -> Shared<F> {
    let shares = rows.expose_shares();
    let column = |column: usize| shares.iter().skip(column).step_by(width).copied();
    Shared::from_shares((0..width).flat_map(column).collect())
}

/// Accepts a number of steps.
pub(crate) fn are_iterations(text: &str) -> bool {
    text.parse::<usize>().is_ok_and(|steps| (1..=MOST_ITERATIONS).contains(&steps))
}
