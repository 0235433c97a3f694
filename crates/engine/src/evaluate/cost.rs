//! What operations on shares cost, from the tables at the operations themselves.

use crate::plan::FieldChoice;

/// Rounds and bytes of operations one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    n: usize,
    t: usize,
    field: FieldChoice,
    pub(crate) rounds: usize,
    /// That one party sends, on average.
    pub(crate) bytes: u64,
}

impl Cost {
    /// Nothing yet, among n compute peers with threshold t.
    pub(crate) fn new(n: usize, t: usize, field: FieldChoice) -> Self {
        Self { n, t, field, rounds: 0, bytes: 0 }
    }

    /// One multiplication of vectors of this length.
    pub(super) fn multiply(&mut self, length: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        let count = length as u64;
        if self.n >= crate::arithmetic::KING_FROM && length >= crate::arithmetic::KING_LENGTH {
            self.rounds += 3;
            self.elements(count * (n - 1 - t) / (n - t) + count * (2 * n - 2 - t) / n);
        } else {
            self.rounds += 1;
            self.elements((count * (n - 1 - t) * (2 * t + 1)).div_ceil(n));
        }
    }

    fn elements(&mut self, elements: u64) {
        self.bytes += elements * self.field.bytes() as u64;
    }

    /// What another row of operations takes, after these.
    pub(super) fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.bytes += other.bytes;
    }

    /// Order of so many pairs of numbers below 2^bits.
    ///
    /// The tables of arithmetic/{compare,split,boolean}.rs: split, carry save from t+1 summands to two, a tree of
    /// carries (just below 3 gates per bit), the way up.
    pub(super) fn compare(&mut self, length: usize, bits: u32) {
        if length == 0 {
            return;
        }
        let (n, t, modulus) = (self.n as u64, self.t as u64, self.field.bits());
        let statistical = bits + 41 + (self.t as u32 + 2).ilog2() + 1 < modulus;
        let width = u64::from(if statistical { bits } else { modulus });
        let gates = width * (3 + t - 1);
        let numbers = length as u64;
        let up = (n - 1 - t) * if t > 1 { t + 1 } else { 1 } + t * (n - 1 - t) * (2 * t + 1);
        let down = if t == 1 { 1 } else { t * (n - 1 - t) + t };
        let bits_sent = numbers * (gates * (n - 1 - t) + (width * (n - 1 - t) + t) / n);
        self.bytes += bits_sent / 8 + numbers * (up + down) * self.field.bytes() as u64 / n;
        let carry_save = (self.t + 1).saturating_sub(2);
        let split = if t == 1 { 2 } else { 3 };
        let lift = 2 + (self.t + 1).next_power_of_two().ilog2() as usize;
        let rounds = split + carry_save + 1 + (width.next_power_of_two().ilog2() as usize) + lift;
        self.rounds += rounds * length.div_ceil(crate::arithmetic::lanes(self.n, self.t, modulus));
    }

    /// So many bits that are one with a probability: arithmetic/coins.rs.
    pub(super) fn coins(&mut self, coins: usize) {
        let (n, t, numbers) = (self.n as u64, self.t as u64, coins as u64);
        let up = (n - 1 - t) * if t > 1 { t + 1 } else { 1 } + t * (n - 1 - t) * (2 * t + 1);
        // One party opens to another one bit of each coin, t of them.
        self.bytes += numbers * (184 * (n - 1 - t) * n + t) / (8 * n);
        self.bytes += numbers * up * self.field.bytes() as u64 / n;
        let rounds = 7 + 2 + (self.t + 1).next_power_of_two().ilog2() as usize;
        self.rounds += rounds * coins.div_ceil(crate::arithmetic::lanes(self.n, self.t, self.field.bits()));
    }

    /// Each element to a public power.
    pub(super) fn power(&mut self, length: usize, exponent: u128) {
        (0..crate::arithmetic::multiplications_of_power(exponent)).for_each(|_| self.multiply(length));
    }
}
