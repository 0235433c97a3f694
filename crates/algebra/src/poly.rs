//! Polynomials as coefficient vectors, constant term first.
//!
//! Evaluation points are public and checked to be distinct; coefficients and values may be secret.
//! The empty vector is the zero polynomial; leading zeros are allowed. All costs are quadratic in
//! the number of points at most, which is right for tens of parties.

use crate::field::Field;

/// The value at `x`, by Horner's rule.
#[inline]
pub fn eval<F: Field>(coeffs: &[F], x: F) -> F {
    coeffs.iter().rev().fold(F::ZERO, |acc, c| acc.mul_add(x, *c))
}

/// 1, x, x^2, ..., x^(n-1).
pub fn powers<F: Field>(x: F, n: usize) -> Vec<F> {
    let mut next = F::ONE;
    let mut step = || {
        let this = next;
        next *= x;
        this
    };
    (0..n).map(|_| step()).collect()
}

/// The Vandermonde matrix with `rows` rows: entry (r, i) is `points[i]`^r.
pub fn vandermonde<F: Field>(points: &[F], rows: usize) -> Vec<Vec<F>> {
    let mut row = vec![F::ONE; points.len()];
    (0..rows)
        .map(|_| {
            let mut next = row.clone();
            next.iter_mut().zip(points).for_each(|(v, x)| *v *= *x);
            std::mem::replace(&mut row, next)
        })
        .collect()
}

/// The coefficients l with f(x) = sum of l\[i\] * f(points\[i\]) for every f of degree below n.
pub fn lagrange_at<F: Field>(points: &[F], x: F) -> Result<Vec<F>, PointsError> {
    let mut l = barycentric_weights(points)?;
    weigh(&mut l, points, x);
    Ok(l)
}

/// The same for points whose [barycentric weights](barycentric_weights) are known: some n multiplications.
pub fn lagrange_with<F: Field>(weights: &[F], points: &[F], x: F) -> Vec<F> {
    let mut l = weights.to_vec();
    weigh(&mut l, points, x);
    l
}

/// Barycentric weights times the products of (x - x_j) before and after i, so that x may be one of the points.
fn weigh<F: Field>(l: &mut [F], points: &[F], x: F) {
    let mut before = F::ONE;
    for (l, p) in l.iter_mut().zip(points) {
        *l *= before;
        before *= x - *p;
    }
    let mut after = F::ONE;
    for (l, p) in l.iter_mut().zip(points).rev() {
        *l *= after;
        after *= x - *p;
    }
}

/// The n coefficients of the one polynomial of degree below n through all (point, value).
pub fn interpolate<F: Field>(points: &[F], values: &[F]) -> Result<Vec<F>, PointsError> {
    same_length(points, values)?;
    let weights = barycentric_weights(points)?;
    let master = from_roots(points);
    let mut result = vec![F::ZERO; points.len()];
    let mut basis = vec![F::ZERO; points.len()];
    for ((x, y), w) in points.iter().zip(values).zip(weights) {
        divide_by_root(&master, *x, &mut basis);
        F::scale_add(&mut result, *y * w, &basis);
    }
    Ok(result)
}

/// The monic polynomial that vanishes exactly at `roots`.
pub fn from_roots<F: Field>(roots: &[F]) -> Vec<F> {
    let mut f = Vec::with_capacity(roots.len() + 1);
    f.push(F::ONE);
    for root in roots {
        // f * (X - root): shift up, then subtract root times the old coefficient, top first.
        f.push(F::ZERO);
        for i in (0..f.len()).rev() {
            let below = if i == 0 { F::ZERO } else { f[i - 1] };
            f[i] = below - *root * f[i];
        }
    }
    f
}

/// The product.
pub fn mul<F: Field>(a: &[F], b: &[F]) -> Vec<F> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let mut out = vec![F::ZERO; a.len() + b.len() - 1];
    for (i, a) in a.iter().enumerate() {
        F::scale_add(&mut out[i..i + b.len()], *a, b);
    }
    out
}

/// Quotient and remainder, without leading zeros; `None` if `b` is zero. The time depends on which
/// leading coefficients are zero: for public polynomials.
pub fn div_rem_vartime<F: Field>(a: &[F], b: &[F]) -> Option<(Vec<F>, Vec<F>)> {
    let b = trim_vartime(b);
    let lead = b.last()?.inv()?;
    let mut rest = trim_vartime(a).to_vec();
    let Some(steps) = rest.len().checked_sub(b.len() - 1) else {
        return Some((Vec::new(), rest));
    };
    let mut quotient = vec![F::ZERO; steps];
    for i in (0..steps).rev() {
        let q = rest[i + b.len() - 1] * lead;
        quotient[i] = q;
        F::scale_add(&mut rest[i..i + b.len()], -q, b);
    }
    rest.truncate(b.len() - 1);
    rest.truncate(trim_vartime(&rest).len());
    Some((quotient, rest))
}

/// The polynomial without leading zeros, so that its degree is its length less one.
pub fn trim_vartime<F: Field>(f: &[F]) -> &[F] {
    let length = f.iter().rposition(|c| *c != F::ZERO).map_or(0, |top| top + 1);
    &f[..length]
}

/// w\[i\] = 1 / product over j != i of (x_i - x_j). Fails exactly if the points are not distinct.
pub fn barycentric_weights<F: Field>(points: &[F]) -> Result<Vec<F>, PointsError> {
    let mut weights: Vec<F> = points
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let others = points.iter().enumerate().filter(|(j, _)| *j != i);
            others.fold(F::ONE, |product, (_, y)| product * (*x - *y))
        })
        .collect();
    match F::invert_all(&mut weights) {
        Some(()) => Ok(weights),
        None => Err(duplicate(points)),
    }
}

/// The same of n consecutive numbers, wherever they begin: 1 / ((-1)^(n-1-i) i! (n-1-i)!). Some n multiplications; the
/// field has to have more than n elements.
pub fn consecutive_weights<F: Field>(n: usize) -> Vec<F> {
    let mut factorial = F::ONE;
    let factorials: Vec<F> = (0..n as u64)
        .map(|i| {
            if i > 0 {
                factorial *= F::from_u64(i);
            }
            factorial
        })
        .collect();
    let signed = |below: usize, product: F| if below.is_multiple_of(2) { product } else { -product };
    let mut weights: Vec<F> =
        (0..n).map(|i| (i, n - 1 - i)).map(|(i, below)| signed(below, factorials[i] * factorials[below])).collect();
    let invertible = F::invert_all(&mut weights);
    debug_assert!(invertible.is_some(), "numbers below the characteristic have inverses");
    weights
}

/// Why points (and values) do not determine a polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointsError {
    /// Two evaluation points are equal.
    #[error("evaluation points {first} and {second} are equal")]
    Duplicate {
        /// Index of the first of the two.
        first: usize,
        /// Index of the second of the two.
        second: usize,
    },
    /// Not as many values as points.
    #[error("{values} values for {points} evaluation points")]
    Length {
        /// Number of points.
        points: usize,
        /// Number of values.
        values: usize,
    },
}

pub(crate) fn same_length<F: Field>(points: &[F], values: &[F]) -> Result<(), PointsError> {
    let (points, values) = (points.len(), values.len());
    if points == values { Ok(()) } else { Err(PointsError::Length { points, values }) }
}

/// `out` = f / (X - root) for a root of f, by synthetic division.
fn divide_by_root<F: Field>(f: &[F], root: F, out: &mut [F]) {
    let mut carry = F::ZERO;
    for (o, c) in out.iter_mut().zip(&f[1..]).rev() {
        carry = carry.mul_add(root, *c);
        *o = carry;
    }
}

fn duplicate<F: Field>(points: &[F]) -> PointsError {
    let pairs = (1..points.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
    let (first, second) = pairs
        .into_iter()
        .find(|(i, j)| points[*i] == points[*j])
        .expect("a product of differences is zero only if a difference is");
    PointsError::Duplicate { first, second }
}
