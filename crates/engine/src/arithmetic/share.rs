//! [`Shared`]: this party's Shamir shares of a vector, and everything that is local.

use std::ops::Range;

use tacit_algebra::Field;

use super::linear;

/// This party's shares of a secret vector, degree t. Not printable; cleared when dropped.
///
/// Additions and products with public numbers are local: no rounds, no bytes (Shamir 1979). All
/// functions of two vectors panic if the lengths differ, as `copy_from_slice` does.
pub struct Shared<F: Field>(Vec<F>);

impl<F: Field> Shared<F> {
    /// Takes shares over that were made elsewhere with the same points and threshold.
    pub fn from_shares(shares: Vec<F>) -> Self {
        Self(shares)
    }

    /// Shares of public numbers: the numbers themselves, a polynomial of degree zero.
    pub fn constant(values: &[F]) -> Self {
        Self(values.to_vec())
    }

    /// So many shared zeros.
    pub fn zeros(length: usize) -> Self {
        Self(vec![F::ZERO; length])
    }

    /// The shares themselves.
    pub fn expose_shares(&self) -> &[F] {
        &self.0
    }

    pub(super) fn shares_mut(&mut self) -> &mut [F] {
        &mut self.0
    }

    /// Adds elements at the end; memory that is left is cleared.
    pub(super) fn append(&mut self, more: &[F]) {
        if self.0.capacity() - self.0.len() < more.len() {
            let mut larger = Vec::with_capacity((self.0.len() + more.len()).next_power_of_two());
            larger.extend_from_slice(&self.0);
            *self = Self(larger);
        }
        self.0.extend_from_slice(more);
    }

    /// Drops all but so many elements and keeps the memory.
    pub(super) fn truncate(&mut self, length: usize) {
        linear::forget(&mut self.0[length..]);
        self.0.truncate(length);
    }

    /// Drops all elements and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.truncate(0);
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A copy, which is a secret of its own.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The elements of a range.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self(self.0[range].to_vec())
    }

    /// All elements in pieces of `length`, of which the last may be shorter.
    pub(crate) fn pieces(&self, length: usize) -> impl Iterator<Item = Self> {
        self.0.chunks(length).map(|piece| Self(piece.to_vec()))
    }

    /// These elements and then those of `others`.
    pub fn concat(parts: &[&Self]) -> Self {
        let mut all = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
        parts.iter().for_each(|p| all.extend_from_slice(&p.0));
        Self(all)
    }

    /// `self + other`.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let mut sum = self.duplicate();
        sum.add_assign(other);
        sum
    }

    /// `self - other`.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        let mut difference = self.duplicate();
        difference.sub_assign(other);
        difference
    }

    /// `self += other`.
    pub fn add_assign(&mut self, other: &Self) {
        F::add_assign_slice(&mut self.0, &other.0);
    }

    /// `self -= other`.
    pub fn sub_assign(&mut self, other: &Self) {
        F::sub_assign_slice(&mut self.0, &other.0);
    }

    /// Adds public numbers.
    pub fn add_constant(&mut self, values: &[F]) {
        F::add_assign_slice(&mut self.0, values);
    }

    /// Multiplies all by one public number.
    pub fn scale(&mut self, factor: F) {
        F::scale_slice(&mut self.0, factor);
    }

    /// Multiplies each by its public number.
    pub fn scale_each(&mut self, factors: &[F]) {
        assert_eq!(self.0.len(), factors.len());
        self.0.iter_mut().zip(factors).for_each(|(share, factor)| *share *= *factor);
    }

    /// `self += factor * other`, the factor public.
    pub fn scale_add(&mut self, factor: F, other: &Self) {
        F::scale_add(&mut self.0, factor, &other.0);
    }

    /// The sum of all elements, one element.
    #[must_use]
    pub fn sum(&self) -> Self {
        Self(vec![F::sum_slice(&self.0)])
    }

    /// A public matrix, row by row, times this vector. Panics unless the matrix has whole rows.
    #[must_use]
    pub fn transform(&self, matrix: &[F]) -> Self {
        assert!(!self.is_empty() && matrix.len().is_multiple_of(self.len()));
        Self(matrix.chunks_exact(self.len()).map(|row| F::dot(row, &self.0)).collect())
    }
}

impl<F: Field> Drop for Shared<F> {
    fn drop(&mut self) {
        linear::forget(&mut self.0);
    }
}
