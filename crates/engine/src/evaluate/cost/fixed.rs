//! Costs of fixed-point numbers: arithmetic/fixed.rs and arithmetic/exponential.rs.

use super::bits::upper;
use super::{Cost, depth, pieces};
use crate::arithmetic::{DIVIDED_AT_ONCE, newton_steps};

/// The reciprocal in the logistic function is of numbers of so many bits.
const LOGISTIC_BITS: u32 = 37;

impl Cost {
    /// Numbers over a power of two.
    pub(in crate::evaluate) fn truncate(&mut self, length: usize) {
        let (t, others) = (self.t as u64, (self.n - 1 - self.t) as u64);
        self.ready_for_bits();
        // Masks and what is left of the number, dealt; t shares of it, opened.
        let dealt = if t > 1 { 2 * t * others } else { 0 } + others;
        self.elements((length as u64 * (dealt + t)).div_ceil(self.n as u64));
        let rounds = if t > 1 { 3 } else { 2 };
        self.clocks.together(rounds * length.div_ceil(DIVIDED_AT_ONCE));
    }

    /// Products of fixed-point numbers.
    pub(in crate::evaluate) fn fixed_multiply(&mut self, length: usize) {
        self.multiply(length);
        self.truncate(length);
    }

    /// Quotients of numbers below 2^bits.
    pub(in crate::evaluate) fn divide(&mut self, length: usize, bits: u32) {
        for piece in pieces(length, DIVIDED_AT_ONCE) {
            self.normal(piece, bits);
            self.reciprocal(piece, bits);
            (0..2).for_each(|_| self.fixed_multiply(piece));
        }
    }

    /// Square roots of numbers below 2^bits.
    pub(in crate::evaluate) fn sqrt(&mut self, length: usize, bits: u32) {
        for piece in pieces(length, DIVIDED_AT_ONCE) {
            self.normal(piece, bits);
            self.truncate(piece);
            (0..3 * newton_steps(bits) + 2).for_each(|_| self.fixed_multiply(piece));
        }
    }

    /// Exponentials.
    pub(in crate::evaluate) fn exp(&mut self, length: usize) {
        for piece in pieces(length, DIVIDED_AT_ONCE) {
            self.exponential(piece);
            self.truncate(piece);
        }
    }

    /// Logarithms of numbers below 2^bits.
    pub(in crate::evaluate) fn log(&mut self, length: usize, bits: u32) {
        for piece in pieces(length, DIVIDED_AT_ONCE) {
            self.normal(piece, bits);
            // Powers 2, 3 and 4, 5 to 8, 9 to 12.
            [1, 2, 4, 4].iter().for_each(|powers| self.fixed_multiply(powers * piece));
            self.truncate(piece);
        }
    }

    /// The logistic function of numbers below 2^bits.
    pub(in crate::evaluate) fn logistic(&mut self, length: usize, bits: u32) {
        for piece in pieces(length, DIVIDED_AT_ONCE) {
            self.compare(3 * piece, bits + 1);
            self.multiply(piece);
            self.exponential(piece);
            self.reciprocal(piece, LOGISTIC_BITS);
            self.truncate(piece);
            self.multiply(piece);
        }
    }

    /// The polynomial's powers 2, 3 and 4, 5 to 8; its sum; six squarings.
    fn exponential(&mut self, length: usize) {
        [1, 2, 4].iter().for_each(|powers| self.fixed_multiply(powers * length));
        self.truncate(length);
        (0..6).for_each(|_| self.fixed_multiply(length));
    }

    fn reciprocal(&mut self, length: usize, bits: u32) {
        (0..2 * newton_steps(bits)).for_each(|_| self.fixed_multiply(length));
    }

    /// Bits, whether there is a one above each, the highest to the field, a product.
    fn normal(&mut self, length: usize, bits: u32) {
        let width = bits as usize;
        self.apart(length, bits);
        self.gates(length, (0..depth(width)).map(|level| upper(width, level)).sum());
        self.clocks.together(depth(width));
        self.lift(length * width);
        self.multiply(length);
    }
}
