//! What operations on shares cost, from the tables at the operations themselves.

use crate::arithmetic::{
    PRODUCTS_BY_SLICES, TESTED_BY_BITS, VERIFIED_AT_ONCE, can_hold_subsets, opens_by_slices, parts_to_verify,
};
use crate::plan::{BYTES_PER_MICRO, FieldChoice, SecurityModel};

mod bits;
mod fixed;

/// Work on a factor that is verified, for each party: docs/benchmarks.md, products with and without it.
const NANOS_PER_FACTOR: u64 = 10;
/// A gate of 64 bits: so long for each pair of components of all parties together (comparisons, n = 3 to 11).
const PICOS_PER_PAIR: u64 = 700;

/// Microseconds of a round among n parties on two cores: all send to all (docs/benchmarks.md, multiplications in a chain).
pub(crate) fn round_micros(n: usize) -> u64 {
    10 + 2 * (n * n) as u64
}

/// Rounds, bytes and work of operations one after the other.
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
    /// What all parties together compute besides.
    nanos: u64,
    /// Whether products went over kings.
    pub(crate) kings: bool,
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
            nanos: 0,
            kings: false,
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

    /// Microseconds from beginning to end, all parties on two cores: rounds, what is sent, and work besides.
    pub(crate) fn micros(&self) -> u64 {
        let sent = self.n as u64 * self.bytes / BYTES_PER_MICRO;
        self.rounds as u64 * round_micros(self.n) + sent + self.nanos / 1000
    }

    /// Nanoseconds that all parties compute besides what is sent.
    pub(crate) fn work(&mut self, nanos: u64) {
        self.nanos = self.nanos.saturating_add(nanos);
    }

    /// One multiplication of vectors of this length.
    pub(super) fn multiply(&mut self, length: usize) {
        if self.robust {
            // Each message of 64 KiB and a last one that is shorter is signed.
            let messages = (length * self.field.bytes()).div_ceil(64 * 1024) as u64;
            self.bytes += 64 * messages * (self.n as u64 - 1);
            return self.open_at_once(length as u64);
        }
        if self.noted.is_none() {
            return self.reduce(length);
        }
        self.dot(length, 1);
    }

    /// So many factors more, which are verified as soon as there are enough.
    fn note(&mut self, factors: usize) {
        if self.noted.is_some() {
            self.work((factors * self.n) as u64 * NANOS_PER_FACTOR);
        }
        self.noted = self.noted.map(|noted| noted + factors);
        if self.noted >= Some(VERIFIED_AT_ONCE) {
            self.verify();
        }
    }

    /// Whether new shares fit.
    fn check_degree(&mut self) {
        if self.noted.is_some() && self.n > 2 * self.t + 1 {
            self.checks += 1;
            self.random_unchecked(1);
            self.toss();
            self.open_at_once(1);
        }
    }

    /// What the verification of all that is noted takes.
    pub(crate) fn verify(&mut self) {
        let Some(mut length) = self.noted.filter(|noted| *noted > 0) else { return };
        self.noted = Some(0);
        self.checks += 1;
        self.random_unchecked(2);
        self.toss();
        while let Some(parts) = parts_to_verify(length) {
            self.reduce(2 * parts - 2);
            self.toss();
            length = length.div_ceil(parts);
        }
        self.reduce(2 * length);
        self.toss();
        self.open_at_once(3);
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
    pub(super) fn random(&mut self, length: usize) {
        self.random_unchecked(length as u64);
        self.check_degree();
    }

    fn random_unchecked(&mut self, length: u64) {
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

    fn open_at_once(&mut self, length: u64) {
        self.rounds += 1;
        self.elements(length * (self.n as u64 - 1));
    }

    /// Products brought back to degree t.
    fn reduce(&mut self, length: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        let count = length as u64;
        if self.n >= crate::arithmetic::KING_FROM && length >= crate::arithmetic::KING_LENGTH {
            self.kings = true;
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

    /// Shared random bits: arithmetic/bits.rs.
    pub(super) fn random_bits(&mut self, length: usize) {
        if self.t >= 2 {
            self.random(length);
            self.open_products(length);
        } else {
            let (n, t) = (self.n as u64, self.t as u64);
            self.rounds += 1;
            self.elements((t + 1) * (n - 1 - t) * length as u64 / n);
            self.check_degree();
            self.product(length, self.t + 1);
        }
        self.note(length);
    }

    /// Products that are opened and nothing else: arithmetic/inverse.rs.
    fn open_products(&mut self, length: usize) {
        let n = self.n as u64;
        if self.noted.is_some() {
            self.multiply(length);
            self.open(length);
        } else if length >= PRODUCTS_BY_SLICES {
            self.rounds += 2;
            self.elements(2 * (n - 1) * length as u64 / n);
        } else {
            self.open_at_once(length as u64);
        }
    }

    /// The inverse of each element.
    pub(super) fn inverse(&mut self, length: usize) {
        self.random(length);
        self.open_products(length);
    }

    /// To all, in the cheaper way, after what is noted was verified.
    pub(super) fn open(&mut self, length: usize) {
        self.verify();
        if !opens_by_slices(self.n, length) {
            return self.open_at_once(length as u64);
        }
        let (n, t) = (self.n as u64, self.t as u64);
        self.rounds += 2;
        self.elements(length as u64 * (t + n - 1) / n);
        self.toss();
        self.open_at_once(n);
    }

    /// To one.
    pub(super) fn open_to_one(&mut self, length: usize) {
        self.verify();
        self.rounds += 1;
        self.elements((length as u64 * (self.n as u64 - 1)).div_ceil(self.n as u64));
    }

    /// So many numbers of each party.
    pub(super) fn input(&mut self, length: usize) {
        self.rounds += 1;
        self.elements(length as u64 * (self.n - 1 - self.t) as u64);
        self.check_degree();
    }

    /// Sums of so many products each.
    pub(super) fn dot(&mut self, sums: usize, width: usize) {
        if self.robust || self.noted.is_none() {
            return self.multiply(sums);
        }
        for piece in pieces(sums, (VERIFIED_AT_ONCE / width.max(1)).max(1)) {
            self.reduce(piece);
            self.check_degree();
            self.note(piece * width);
        }
    }

    /// The product of each so many factors: a tree.
    pub(super) fn product(&mut self, rows: usize, mut width: usize) {
        while width > 1 {
            self.multiply(width / 2 * rows);
            width = width.div_ceil(2);
        }
    }

    /// Each element to a public power.
    pub(super) fn power(&mut self, length: usize, exponent: u128) {
        (0..crate::arithmetic::multiplications_of_power(exponent)).for_each(|_| self.multiply(length));
    }

    /// Whether each element is zero: arithmetic/equal.rs.
    pub(super) fn is_zero(&mut self, length: usize) {
        let width = self.field.bits();
        if length >= TESTED_BY_BITS {
            return self.power(length, (1 << width) - 2);
        }
        self.random_bits(length * width as usize);
        self.open(length);
        self.product(length, width as usize);
    }
}

/// Levels of a tree over so many leaves.
fn depth(leaves: usize) -> usize {
    leaves.next_power_of_two().ilog2() as usize
}

/// A vector in pieces of at most so many elements.
fn pieces(length: usize, at_once: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(at_once.max(1)).map(move |from| at_once.min(length - from))
}
