//! Shares of one secret as a Reed-Solomon code: finding and correcting wrong ones.
//!
//! n values at n distinct public points lie on a polynomial of degree <= d, except for e wrong
//! ones. [`decode`] finds polynomial and errors for e <= floor((n-d-1)/2) (Gao, "A new algorithm for
//! decoding Reed-Solomon codes", 2003). [`Consistency`] only tells whether there are errors, at
//! most n-d-1 of which it is sure to notice, but does so for long vectors at little cost.
//!
//! [`decode`] takes time that depends on the values: use it on what is being opened. The tests of
//! [`Consistency`] reveal their result only.

use crate::field::Field;
use crate::poly::{self, PointsError};

mod consistency;

pub use consistency::{Consistency, ConsistencyError};

/// A codeword and where the received values differ from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<F: Field> {
    /// The degree + 1 coefficients, constant term (the secret) first.
    pub poly: Vec<F>,
    /// Indices of wrong values, ascending.
    pub errors: Vec<usize>,
}

/// How many wrong values [`decode`] corrects among n on a polynomial of degree <= `degree`.
pub const fn correctable(n: usize, degree: usize) -> usize {
    n.saturating_sub(degree).saturating_sub(1) / 2
}

/// The polynomial of degree <= `degree` that agrees with all values but at most
/// [`correctable`]`(n, degree)`. There is at most one. O(n^2).
pub fn decode<F: Field>(points: &[F], values: &[F], degree: usize) -> Result<Decoded<F>, DecodeError> {
    let n = points.len();
    if n <= degree {
        return Err(DecodeError::TooFew { values: n, degree });
    }
    // The extended Euclidean algorithm on g0 and g1 stops half-way, at degree < (n+k)/2, k = d+1:
    // g = u*g0 + v*g1, where v vanishes at the errors and f = g/v.
    let g1 = poly::interpolate(points, values)?;
    let mut older = (poly::from_roots(points), Vec::new());
    let mut newer = (poly::trim_vartime(&g1).to_vec(), vec![F::ONE]);
    while !newer.0.is_empty() && 2 * (newer.0.len() - 1) > n + degree {
        let (q, r) = poly::div_rem_vartime(&older.0, &newer.0).ok_or(DecodeError::TooManyErrors)?;
        let v = subtract(&older.1, &poly::mul(&q, &newer.1));
        older = std::mem::replace(&mut newer, (r, v));
    }
    let (f, rest) = poly::div_rem_vartime(&newer.0, &newer.1).ok_or(DecodeError::TooManyErrors)?;
    let mut f = poly::trim_vartime(&f).to_vec();
    if !rest.is_empty() || f.len() > degree + 1 {
        return Err(DecodeError::TooManyErrors);
    }
    f.resize(degree + 1, F::ZERO);
    let differs = |i: &usize| poly::eval(&f, points[*i]) != values[*i];
    let errors: Vec<usize> = (0..n).filter(differs).collect();
    if errors.len() > correctable(n, degree) {
        return Err(DecodeError::TooManyErrors);
    }
    Ok(Decoded { poly: f, errors })
}

/// Whether all values lie on one polynomial of degree <= `degree`. `false` also for points that
/// are not distinct and for lengths that differ. For many tuples over the same points use
/// [`Consistency`].
pub fn check_degree<F: Field>(points: &[F], values: &[F], degree: usize) -> bool {
    poly::same_length(points, values).is_ok() && Consistency::new(points, degree).is_ok_and(|c| c.check(values))
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer values than coefficients.
    #[error("{values} values do not determine a polynomial of degree {degree}")]
    TooFew {
        /// Number of values.
        values: usize,
        /// The degree asked for.
        degree: usize,
    },
    /// More values are wrong than can be corrected.
    #[error("more values are wrong than can be corrected")]
    TooManyErrors,
    /// Points and values do not fit.
    #[error(transparent)]
    Points(#[from] PointsError),
}

fn subtract<F: Field>(a: &[F], b: &[F]) -> Vec<F> {
    let mut out = a.to_vec();
    out.resize(a.len().max(b.len()), F::ZERO);
    F::sub_assign_slice(&mut out[..b.len()], b);
    out
}
