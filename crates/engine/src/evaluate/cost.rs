//! What operations on shares cost, from the tables at the operations themselves.

use crate::plan::FieldChoice;

/// Rounds, and elements that one party sends on average, of operations one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    n: usize,
    t: usize,
    field: FieldChoice,
    pub(crate) rounds: usize,
    elements: u64,
}

impl Cost {
    /// Nothing yet, among n compute peers with threshold t.
    pub(crate) fn new(n: usize, t: usize, field: FieldChoice) -> Self {
        Self { n, t, field, rounds: 0, elements: 0 }
    }

    /// Bytes that one party sends.
    pub(crate) fn bytes(&self) -> u64 {
        self.elements * self.field.bytes() as u64
    }

    /// One multiplication of vectors of this length.
    pub(super) fn multiply(&mut self, length: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        let length_ = length as u64;
        if self.n >= crate::arithmetic::KING_FROM && length >= crate::arithmetic::KING_LENGTH {
            self.rounds += 3;
            self.elements += length_ * (n - 1 - t) / (n - t) + length_ * (2 * n - 2 - t) / n;
        } else {
            self.rounds += 1;
            self.elements += (length_ * (n - 1 - t) * (2 * t + 1)).div_ceil(n);
        }
    }

    /// Each element to a public power.
    pub(super) fn power(&mut self, length: usize, exponent: u128) {
        (0..crate::arithmetic::multiplications_of_power(exponent)).for_each(|_| self.multiply(length));
    }
}
