//! Error detection for many tuples of shares over the same points.

use crate::field::Field;
use crate::poly::{PointsError, barycentric_weights, vandermonde};

/// Precomputed parity checks: n values lie on a polynomial of degree <= d exactly if
/// sum over i of w\[i\] * x_i^r * value\[i\] = 0 for r = 0 .. n-d-2, w the barycentric weights.
///
/// Memory and set-up are n * (n-d-1) elements and O(n^2) products.
#[derive(Clone, Debug)]
pub struct Consistency<F: Field> {
    n: usize,
    degree: usize,
    rows: Vec<Vec<F>>,
}

impl<F: Field> Consistency<F> {
    /// The checks for degree <= `degree` over `points`. With n <= degree + 1 points there is
    /// nothing to check and every tuple passes; see [`redundancy`](Self::redundancy).
    pub fn new(points: &[F], degree: usize) -> Result<Self, PointsError> {
        let weights = barycentric_weights(points)?;
        let n = points.len();
        let mut rows = vandermonde(points, n.saturating_sub(degree).saturating_sub(1));
        for row in &mut rows {
            row.iter_mut().zip(&weights).for_each(|(h, w)| *h *= *w);
        }
        Ok(Self { n, degree, rows })
    }

    /// The degree that is checked for.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// n-d-1: up to so many wrong values in a tuple are always noticed.
    pub fn redundancy(&self) -> usize {
        self.rows.len()
    }

    /// Whether one n-tuple is consistent. `false` also if it has another length than n.
    pub fn check(&self, values: &[F]) -> bool {
        values.len() == self.n && self.passes(values)
    }

    /// Whether all tuples are consistent, from one random linear combination.
    ///
    /// `vectors[i]` is what party i holds, so tuple k is `vectors[0][k], vectors[1][k], ...`. If some
    /// tuple is inconsistent, uniform `challenges` that were drawn after the vectors were fixed let
    /// it pass with probability 1/p; powers of one challenge with probability L/p for length L. The
    /// cost is one product per value.
    pub fn check_combined(&self, vectors: &[&[F]], challenges: &[F]) -> Result<bool, ConsistencyError> {
        Ok(self.passes(&self.combine(vectors, challenges)?))
    }

    /// The linear combination of all tuples that [`check_combined`](Self::check_combined) tests. If
    /// it is inconsistent, [`decode`](super::decode) on it names the parties that sent wrong values
    /// anywhere in their vectors, as long as they are few enough.
    pub fn combine(&self, vectors: &[&[F]], challenges: &[F]) -> Result<Vec<F>, ConsistencyError> {
        self.shape(vectors, Some(challenges.len()))?;
        Ok(vectors.iter().map(|v| F::dot(v, challenges)).collect())
    }

    /// The index of the first inconsistent tuple, without randomness, at n-d-1 products per value.
    /// The time reveals that index and nothing else.
    pub fn first_inconsistent(&self, vectors: &[&[F]]) -> Result<Option<usize>, ConsistencyError> {
        let length = self.shape(vectors, None)?;
        let mut tuple = vec![F::ZERO; self.n];
        Ok((0..length).find(|k| {
            tuple.iter_mut().zip(vectors).for_each(|(t, v)| *t = v[*k]);
            !self.passes(&tuple)
        }))
    }

    fn passes(&self, values: &[F]) -> bool {
        // All rows are joined so that the time does not tell which one failed.
        self.rows.iter().fold(true, |ok, row| ok & (F::dot(row, values) == F::ZERO))
    }

    fn shape(&self, vectors: &[&[F]], length: Option<usize>) -> Result<usize, ConsistencyError> {
        if vectors.len() != self.n {
            let (found, expected) = (vectors.len(), self.n);
            return Err(ConsistencyError::Vectors { found, expected });
        }
        let expected = length.or(vectors.first().map(|v| v.len())).unwrap_or(0);
        match vectors.iter().position(|v| v.len() != expected) {
            Some(vector) => {
                let found = vectors[vector].len();
                Err(ConsistencyError::Length { vector, found, expected })
            }
            None => Ok(expected),
        }
    }
}

/// Why vectors cannot be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsistencyError {
    /// Not one vector per evaluation point.
    #[error("{found} vectors for {expected} evaluation points")]
    Vectors {
        /// Number of vectors.
        found: usize,
        /// Number of points.
        expected: usize,
    },
    /// A vector is not as long as the others or as the challenges.
    #[error("vector {vector} has {found} elements instead of {expected}")]
    Length {
        /// Index of the vector.
        vector: usize,
        /// Its length.
        found: usize,
        /// The length of the challenges, or of the first vector.
        expected: usize,
    },
}
