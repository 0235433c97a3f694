//! What operations on shares cost, from the tables at the operations themselves.

use crate::arithmetic::{
    MASKED_AT_ONCE, VERIFIED_AT_ONCE, can_hold_subsets, opens_by_slices, parts_to_verify, sorts_on_bits,
};
use crate::plan::{FieldChoice, SecurityModel};

/// Rounds and bytes of operations one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    n: usize,
    t: usize,
    field: FieldChoice,
    pub(crate) rounds: usize,
    /// That one party sends, on average.
    pub(crate) bytes: u64,
    /// Checks that a wrong number could pass by chance.
    pub(crate) checks: u64,
    /// Factors that are noted; `None`: nothing is verified.
    noted: Option<usize>,
    /// Whether products are masked and decoded.
    robust: bool,
    /// Whether the first coins are committed.
    committed: bool,
    /// Whether the keys of subsets are agreed.
    keyed: bool,
    /// Whether those of replicated bits are.
    keyed_for_bits: bool,
}

impl Cost {
    /// Nothing yet, among n compute peers with threshold t.
    pub(crate) fn new(n: usize, t: usize, field: FieldChoice) -> Self {
        Self {
            n,
            t,
            field,
            rounds: 0,
            bytes: 0,
            checks: 0,
            noted: None,
            robust: false,
            committed: false,
            keyed: n == 3,
            keyed_for_bits: n == 3,
        }
    }

    /// The same in another security model.
    pub(crate) fn in_model(self, model: SecurityModel) -> Self {
        match model {
            SecurityModel::SemiHonest => self,
            SecurityModel::Malicious => Self { noted: Some(0), ..self },
            SecurityModel::Guaranteed => Self { robust: true, ..self },
        }
    }

    /// One multiplication of vectors of this length.
    pub(super) fn multiply(&mut self, length: usize) {
        if self.robust {
            return self.open(length as u64);
        }
        if self.noted.is_none() {
            return self.reduce(length);
        }
        let mut left = length;
        while left > 0 {
            let piece = left.min(VERIFIED_AT_ONCE);
            left -= piece;
            self.reduce(piece);
            self.check_degree();
            self.note(piece);
        }
    }

    /// So many factors more, which are verified as soon as there are enough.
    fn note(&mut self, factors: usize) {
        self.noted = self.noted.map(|noted| noted + factors);
        if self.noted >= Some(VERIFIED_AT_ONCE) {
            self.verify();
        }
    }

    /// Whether new shares fit.
    fn check_degree(&mut self) {
        if self.n > 2 * self.t + 1 {
            self.checks += 1;
            self.random(1);
            self.toss();
            self.open(1);
        }
    }

    /// What the verification of all that is noted takes.
    pub(crate) fn verify(&mut self) {
        let Some(mut length) = self.noted.filter(|noted| *noted > 0) else { return };
        self.noted = Some(0);
        self.checks += 1;
        self.random(2);
        self.toss();
        while let Some(parts) = parts_to_verify(length) {
            self.reduce(2 * parts - 2);
            self.toss();
            length = length.div_ceil(parts);
        }
        self.reduce(2 * length);
        self.toss();
        self.open(3);
    }

    /// A coin of everybody, with the hash of the next and a digest.
    fn toss(&mut self) {
        let others = self.n as u64 - 1;
        if !std::mem::replace(&mut self.committed, true) {
            self.rounds += 1;
            self.bytes += others * (5 + 32);
        }
        self.rounds += 1;
        self.bytes += others * (5 + 96);
    }

    /// Shared random elements.
    fn random(&mut self, length: u64) {
        let (n, t) = (self.n as u64, self.t as u64);
        match can_hold_subsets(self.n, self.t, length as usize) {
            Some(_) if std::mem::replace(&mut self.keyed, true) => {}
            Some(held) => self.keys(held),
            None => {
                self.rounds += 1;
                self.elements(length.div_ceil(n - t) * (n - 1 - t));
            }
        }
    }

    /// The keys of all sets, of which a party holds so many: the first of each set tells its key to the n-t-1 others.
    fn keys(&mut self, held: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        self.rounds += 1;
        let sets = held as u64 * n / (n - t);
        self.bytes += sets * (n - t - 1) * 32 / n;
    }

    /// Of so many bits side by side, what is sent: whole words. Their keys come first.
    fn lanes(&mut self, length: usize) -> u64 {
        if !std::mem::replace(&mut self.keyed_for_bits, true) {
            self.keys((0..self.t).fold(1, |held, i| held * (self.n - 1 - i) / (i + 1)));
        }
        length.next_multiple_of(64) as u64
    }

    fn open(&mut self, length: u64) {
        self.rounds += 1;
        self.elements(length * (self.n as u64 - 1));
    }

    /// Products brought back to degree t.
    fn reduce(&mut self, length: usize) {
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

    /// Order of so many pairs of numbers below 2^bits.
    ///
    /// The tables of arithmetic/{compare,split,boolean}.rs: split, carry save from t+1 summands to two, a tree of
    /// carries (just below 3 gates per bit), the way up.
    pub(super) fn compare(&mut self, length: usize, bits: u32) {
        if length == 0 {
            return;
        }
        if self.noted.is_some() {
            let mut left = length;
            while left > 0 {
                let piece = left.min(MASKED_AT_ONCE);
                left -= piece;
                self.compare_by_masks(piece);
            }
            return;
        }
        let (n, t, modulus) = (self.n as u64, self.t as u64, self.field.bits());
        let statistical = bits + 41 + (self.t as u32 + 2).ilog2() + 1 < modulus;
        let width = u64::from(if statistical { bits } else { modulus });
        let gates = width * (3 + t - 1);
        let (numbers, lanes) = (length as u64, self.lanes(length));
        let bits_sent = lanes * (gates * (n - 1 - t) + (width * (n - 1 - t) + t) / n);
        self.bytes += bits_sent / 8 + numbers * (self.up() + self.down()) * self.field.bytes() as u64 / n;
        let rounds = self.split_rounds() + 1 + depth(width as usize) + self.lift_rounds();
        self.rounds += rounds * length.div_ceil(crate::arithmetic::lanes(self.n, self.t, modulus));
    }

    /// Elements that all parties send to take a number apart.
    fn down(&self) -> u64 {
        let (n, t) = (self.n as u64, self.t as u64);
        if t == 1 { 1 } else { t * (n - 1 - t) + t }
    }

    /// Elements that all parties send to lift a bit to the field.
    fn up(&self) -> u64 {
        let (n, t) = (self.n as u64, self.t as u64);
        (n - 1 - t) * if t > 1 { t + 1 } else { 1 } + t * (n - 1 - t) * (2 * t + 1)
    }

    /// From a number to two summands: masks, and carry save.
    fn split_rounds(&self) -> usize {
        let mut summands = self.t + 1;
        let mut rounds = if self.t == 1 { 2 } else { 3 };
        while summands > 2 {
            summands = summands / 3 * 2 + summands % 3;
            rounds += 1;
        }
        rounds
    }

    fn lift_rounds(&self) -> usize {
        2 + depth(self.t + 1)
    }

    /// Rows of numbers below 2^bits in order, if that is done on bits: arithmetic/sort.rs. Says whether it is.
    pub(super) fn sort_on_bits(&mut self, rows: usize, width: usize, bits: u32) -> bool {
        let (n, t, modulus) = (self.n as u64, self.t as u64, self.field.bits());
        if self.noted.is_some() || self.robust || !sorts_on_bits(self.n, self.t, rows * width, width, bits) {
            return false;
        }
        let numbers = if rows == 1 { width } else { rows * width.next_power_of_two() };
        // Halves are whole words.
        let lanes = self.lanes((rows * width.next_power_of_two()).next_multiple_of(128));
        // Apart: a prefix adder.
        let statistical = bits + 40 + (self.t as u32 + 2).ilog2() + 1 < modulus;
        let places = u64::from(if statistical { bits } else { modulus });
        let adder = places + places * depth(places as usize) as u64 + places * (t - 1);
        let apart = adder * (n - 1 - t) + (places * (n - 1 - t) + t) / n;
        let pieces = numbers.div_ceil(crate::arithmetic::lanes(self.n, self.t, modulus));
        self.rounds += pieces * (self.split_rounds() + 1 + depth(places as usize) + usize::from(!statistical));
        // Each comparator: a carry, and a gate for each bit.
        let (bits, layers) = (u64::from(bits), depth(width) * (depth(width) + 1) / 2);
        let network = layers as u64 * (4 * bits - 2) * (n - 1 - t);
        self.rounds += layers * (2 + depth(bits as usize));
        self.bytes += (lanes * apart + lanes / 2 * network + lanes * bits * t / n) / 8;
        // Together: each bit to the field.
        let lifted = numbers * bits as usize;
        self.rounds += 2;
        let dealt = (n - 1 - t) * if t > 1 { t + 1 } else { 1 };
        self.elements((numbers as u64 * self.down() + lifted as u64 * dealt) / n);
        let mut factors = self.t + 1;
        while factors > 1 {
            self.reduce(factors / 2 * lifted);
            factors = factors.div_ceil(2);
        }
        true
    }

    /// Numbers over a power of two: arithmetic/fixed.rs.
    pub(super) fn truncate(&mut self, length: usize) {
        let (t, others) = (self.t as u64, (self.n - 1 - self.t) as u64);
        // Masks and what is left of the number, dealt; t shares of it, opened.
        let dealt = if t > 1 { 2 * t * others } else { 0 } + others;
        self.elements((length as u64 * (dealt + t)).div_ceil(self.n as u64));
        self.rounds += if t > 1 { 3 } else { 2 };
    }

    /// Quotients of numbers below 2^bits, of short vectors.
    pub(super) fn divide(&mut self, length: usize, bits: u32) {
        // The highest bit: all bits, and each lifted.
        self.compare(length, bits);
        self.elements((length as u64 * u64::from(bits) * self.up()).div_ceil(self.n as u64));
        self.rounds += 1 + bits.next_power_of_two().ilog2() as usize;
        // The mantissa, four steps of Newton's iteration, two products.
        for number in 0..11 {
            self.multiply(length);
            if number > 0 {
                self.truncate(length);
            }
        }
    }

    /// The logistic function: arithmetic/exponential.rs.
    pub(super) fn logistic(&mut self, length: usize, bits: u32) {
        self.compare(3 * length, bits + 1);
        self.multiply(length);
        // Powers 2, 3 and 4, 5 to 8; the sum.
        for powers in [1, 2, 4] {
            self.multiply(powers * length);
            self.truncate(powers * length);
        }
        self.truncate(length);
        // Six squarings, eight products of Newton's iteration.
        for _ in 0..14 {
            self.multiply(length);
            self.truncate(length);
        }
        self.truncate(length);
        self.multiply(length);
    }

    /// So many bits that are one with a probability: arithmetic/coins.rs.
    pub(super) fn coins(&mut self, coins: usize) {
        let (n, t, numbers, lanes) = (self.n as u64, self.t as u64, coins as u64, self.lanes(coins));
        // One party opens to another one bit of each coin, t of them.
        self.bytes += lanes * (184 * (n - 1 - t) * n + t) / (8 * n);
        self.bytes += numbers * self.up() * self.field.bytes() as u64 / n;
        let rounds = 7 + self.lift_rounds();
        self.rounds += rounds * coins.div_ceil(crate::arithmetic::lanes(self.n, self.t, self.field.bits()));
    }

    /// The table of arithmetic/masked.rs: bits, an opening, a tree, an exclusive or.
    fn compare_by_masks(&mut self, length: usize) {
        let width = self.field.bits() as usize;
        self.random_bits(length * width);
        self.open_verified(length);
        let mut places = width;
        while places > 1 {
            self.multiply(length * (places / 2 * 2 - 1));
            places = places.div_ceil(2);
        }
        self.multiply(length);
    }

    /// Random bits that are verified: signs of t+1 dealers, or over roots.
    fn random_bits(&mut self, length: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        if self.t >= 2 {
            self.random(length as u64);
            self.check_degree();
            self.multiply(length);
            self.open_verified(length);
        } else {
            self.rounds += 1;
            self.elements((t + 1) * (n - 1 - t) * length as u64 / n);
            self.check_degree();
            let mut factors = self.t + 1;
            while factors > 1 {
                self.multiply(factors / 2 * length);
                factors = factors.div_ceil(2);
            }
        }
        self.note(length);
    }

    /// Verifies what is noted, then opens to all, in the cheaper way.
    fn open_verified(&mut self, length: usize) {
        self.verify();
        if !opens_by_slices(self.n, length) {
            return self.open(length as u64);
        }
        let (n, t) = (self.n as u64, self.t as u64);
        self.rounds += 2;
        self.elements(length as u64 * (t + n - 1) / n);
        self.toss();
        self.open(n);
    }

    /// Each element to a public power.
    pub(super) fn power(&mut self, length: usize, exponent: u128) {
        (0..crate::arithmetic::multiplications_of_power(exponent)).for_each(|_| self.multiply(length));
    }
}

/// Levels of a tree over so many leaves.
fn depth(leaves: usize) -> usize {
    leaves.next_power_of_two().ilog2() as usize
}
