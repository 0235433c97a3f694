//! Costs of what is computed on bits: order, decomposition, sorting, coins.

use super::{Cost, PICOS_PER_COMPONENT, PICOS_PER_PAIR, depth, pieces};
use crate::arithmetic::{LIFTED_AT_ONCE, MASKED_AT_ONCE, SHUFFLED_BITS, lanes, sorts_on_bits};

/// Random bits that a coin is tossed with: arithmetic/coins.rs.
const COIN: u32 = 64;

impl Cost {
    /// Order of so many pairs of numbers below 2^bits: arithmetic/compare.rs.
    pub(in crate::evaluate) fn compare(&mut self, length: usize, bits: u32) {
        if self.noted.is_some() {
            return pieces(length, MASKED_AT_ONCE).for_each(|piece| self.compare_by_masks(piece));
        }
        let modulus = self.field.bits();
        let (summands, carry) = if self.has_room(bits + 1) { (bits + 1, bits) } else { (modulus, modulus) };
        for piece in pieces(length, self.at_once()) {
            self.split(piece, summands);
            self.carry(piece, carry);
            self.lift(piece);
        }
    }

    /// The lowest bits of numbers below 2^bits.
    pub(in crate::evaluate) fn lowest_bit(&mut self, length: usize, bits: u32) {
        if self.noted.is_some() || !self.has_room(bits) {
            return self.compare(length, self.field.bits() - 2);
        }
        for piece in pieces(length, self.at_once()) {
            self.split(piece, 1);
            self.lift(piece);
        }
    }

    /// All bits of numbers below 2^bits.
    pub(in crate::evaluate) fn decompose(&mut self, length: usize, bits: u32) {
        for piece in pieces(length, (self.at_once() / bits as usize).max(64)) {
            self.apart(piece, bits);
            self.lift(piece * bits as usize);
        }
    }

    /// From the first one on, row by row.
    pub(in crate::evaluate) fn prefix_or(&mut self, rows: usize, width: usize) {
        (0..depth(width)).for_each(|level| self.multiply(rows * upper(width, level)));
    }

    /// Rows of numbers below 2^bits in order, if that is done on bits: arithmetic/sort.rs. Says whether it is.
    pub(in crate::evaluate) fn sort_on_bits(&mut self, rows: usize, width: usize, bits: u32) -> bool {
        if self.noted.is_some() || self.robust || !sorts_on_bits(self.n, self.t, rows * width, width, bits) {
            return false;
        }
        let numbers = if rows == 1 { width } else { rows * width.next_power_of_two() };
        self.apart(numbers, bits);
        self.exchange_all(rows, width, bits, bits);
        self.together(numbers, bits);
        true
    }

    /// The same for numbers and what belongs to each.
    pub(in crate::evaluate) fn sort_pairs_on_bits(&mut self, length: usize, bits: u32, payload: u32) -> bool {
        let on_bits =
            self.noted.is_none() && !self.robust && sorts_on_bits(self.n, self.t, length, length, bits + payload);
        if on_bits {
            self.sort_with(length, bits, payload);
        }
        on_bits
    }

    /// Numbers in order, and what belongs to each.
    pub(in crate::evaluate) fn sort_with(&mut self, length: usize, bits: u32, payload: u32) {
        self.apart(length, bits);
        self.apart(length, payload);
        self.exchange_all(1, length, bits, bits + payload);
        self.together(length, bits);
        self.together(length, payload);
    }

    /// Numbers in a random order: keys cost nothing.
    pub(in crate::evaluate) fn shuffle(&mut self, length: usize, bits: u32) {
        let keys = SHUFFLED_BITS as u32 + 2 * depth(length) as u32;
        self.apart(length, bits);
        self.exchange_all(1, length, keys, keys + bits);
        self.together(length, bits);
    }

    /// So many bits that are one with a probability: arithmetic/coins.rs.
    pub(in crate::evaluate) fn coins(&mut self, coins: usize) {
        if self.noted.is_some() {
            return pieces(coins, MASKED_AT_ONCE).for_each(|piece| {
                self.random_bits(piece * COIN as usize);
                self.compare_bits(piece, COIN as usize);
            });
        }
        for piece in pieces(coins, self.at_once()) {
            self.carry(piece, COIN);
            self.lift(piece);
        }
    }

    /// Once, the keys of all sets of replicated bits.
    pub(super) fn ready_for_bits(&mut self) {
        if !std::mem::replace(&mut self.keyed_for_bits, true) {
            self.keys(self.held());
        }
    }

    /// Bits of numbers below 2^bits, side by side: two summands, then a prefix adder (boolean/circuits.rs).
    pub(super) fn apart(&mut self, numbers: usize, bits: u32) {
        let exact = !self.has_room(bits);
        let width = if exact { self.field.bits() } else { bits };
        let levels = 0..depth(width as usize);
        let adder: usize = levels
            .map(|level| {
                let generate = upper(width as usize, level);
                // Nothing comes into the lowest block.
                let lowest = if exact { 0 } else { upper((2 << level).min(width as usize), level) };
                2 * generate - lowest
            })
            .sum();
        let modular = if exact { bits as usize - 1 } else { 0 };
        for piece in pieces(numbers, self.at_once()) {
            self.split(piece, width);
            self.gates(piece, width as usize + adder + modular);
            self.clocks.together(1 + depth(width as usize) + usize::from(exact));
        }
    }

    /// Each number, of so many bits: its bits one by one, as arithmetic elements.
    fn together(&mut self, numbers: usize, bits: u32) {
        let at_once = (LIFTED_AT_ONCE / numbers.max(1)).max(1);
        pieces(bits as usize, at_once).for_each(|planes| self.lift(planes * numbers));
    }

    /// Merge exchange: in each layer a carry over the key and a gate for each bit.
    fn exchange_all(&mut self, rows: usize, width: usize, key: u32, planes: u32) {
        // Halves are whole words.
        let lanes = (rows * width.next_power_of_two()).next_multiple_of(128);
        let layers = depth(width) * (depth(width) + 1) / 2;
        self.gates(layers * (lanes / 2), carry_gates(key) + planes as usize);
        self.clocks.together(layers * (2 + depth(key as usize)));
    }

    /// The carry of two summands of so many bits.
    fn carry(&mut self, numbers: usize, bits: u32) {
        self.gates(numbers, carry_gates(bits));
        self.clocks.together(1 + depth(bits as usize));
    }

    /// From a number to two bit-sliced summands (arithmetic/split.rs): masks, and carry save.
    fn split(&mut self, numbers: usize, width: u32) {
        let (n, t, lanes) = (self.n as u64, self.t as u64, words(numbers) * 64);
        let dealt = if t == 1 { 1 } else { t * (n - 1 - t) + t };
        self.elements((numbers as u64 * dealt).div_ceil(n));
        self.bytes += lanes * u64::from(width) * (n - 1 - t) / (8 * n);
        self.gates(numbers, (self.t - 1) * width as usize);
        self.clocks.together(if t == 1 { 2 } else { 3 });
        let mut summands = self.t + 1;
        while summands > 2 {
            summands = summands / 3 * 2 + summands % 3;
            self.clocks.together(1);
        }
    }

    /// So many bits to the field: t+1 signs, multiplied.
    pub(super) fn lift(&mut self, bits: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        self.ready_for_bits();
        self.clocks.together(2);
        self.bytes += words(bits) * 8 * t / n;
        let dealt = (n - 1 - t) * if t > 1 { t + 1 } else { 1 };
        self.elements((bits as u64 * dealt).div_ceil(n));
        let mut factors = self.t + 1;
        while factors > 1 {
            self.reduce(factors / 2 * bits);
            factors = factors.div_ceil(2);
        }
    }

    /// So many gates for each number, 64 numbers to a word. Rounds are not counted.
    pub(super) fn gates(&mut self, numbers: usize, gates: usize) {
        self.ready_for_bits();
        let words = words(numbers) * gates as u64;
        self.bytes += words * 8 * (self.n - 1 - self.t) as u64;
        // n choose t components of either factor.
        let all = (self.held() * self.n / (self.n - self.t)) as u64;
        self.work(words.saturating_mul(all * all * PICOS_PER_PAIR + all * PICOS_PER_COMPONENT) / 1000);
    }

    /// The table of arithmetic/masked.rs: bits, an opening, a tree, an exclusive or.
    fn compare_by_masks(&mut self, length: usize) {
        let width = self.field.bits() as usize;
        self.random_bits(length * width);
        self.open(length);
        self.compare_bits(length, width);
        self.multiply(length);
    }

    /// Public numbers with shared bits: a tree of products.
    fn compare_bits(&mut self, length: usize, mut places: usize) {
        while places > 1 {
            self.multiply(length * (places / 2 * 2 - 1));
            places = places.div_ceil(2);
        }
    }

    /// Whether longer masks fit the field.
    fn has_room(&self, bits: u32) -> bool {
        bits + 40 + (self.t as u32 + 2).ilog2() + 1 < self.field.bits()
    }

    /// In how many sets a party is: the components of a bit that it has.
    fn held(&self) -> usize {
        (0..self.t).fold(1, |held, i| held * (self.n - 1 - i) / (i + 1))
    }

    /// Numbers that are compared together.
    fn at_once(&self) -> usize {
        lanes(self.n, self.t, self.field.bits())
    }
}

/// Of a row of places, those with this bit in their number.
pub(super) fn upper(width: usize, level: usize) -> usize {
    (0..width).filter(|place| place >> level & 1 == 1).count()
}

/// Leaves, then pairs of (generate, propagate), of which the lowest propagates nothing.
fn carry_gates(bits: u32) -> usize {
    let (mut gates, mut blocks) = (bits as usize, bits as usize);
    while blocks > 1 {
        gates += blocks / 2 * 2 - 1;
        blocks = blocks.div_ceil(2);
    }
    gates
}

fn words(numbers: usize) -> u64 {
    numbers.div_ceil(64) as u64
}
