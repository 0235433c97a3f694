//! What operations on shares cost, from the tables at the operations themselves.

use crate::arithmetic::{
    CHUNK_BYTES, PRODUCTS_BY_SLICES, TESTED_BY_BITS, VERIFIED_AT_ONCE, can_hold_subsets, opens_by_slices,
    parts_to_verify,
};
use crate::plan::{BYTES_PER_MICRO, FieldChoice, SecurityModel};

mod bits;
mod clocks;
mod fixed;

use clocks::{Clocks, overlapping};

/// Work on a factor that is verified, for each party: docs/benchmarks.md, products with and without it.
const NANOS_PER_FACTOR: u64 = 10;
/// A gate of 64 bits: so long for each pair of components of all parties together, and for each component (comparisons, n = 3
/// to 11).
const PICOS_PER_PAIR: u64 = 200;
const PICOS_PER_COMPONENT: u64 = 9_000;

/// Microseconds of a round among n parties on two cores: all send to all (docs/benchmarks.md, multiplications in a chain).
pub(crate) fn round_micros(n: usize) -> u64 {
    10 + 2 * (n * n) as u64
}

/// Rounds, bytes and work of operations one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    n: usize,
    t: usize,
    field: FieldChoice,
    clocks: Clocks,
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
            clocks: Clocks::new(n),
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

    /// From the beginning to the end of the slowest.
    pub(crate) fn rounds(&self) -> usize {
        self.clocks.slowest()
    }

    /// Microseconds from beginning to end, all parties on two cores: rounds, what is sent, and work besides.
    pub(crate) fn micros(&self) -> u64 {
        let sent = self.n as u64 * self.bytes / BYTES_PER_MICRO;
        self.rounds() as u64 * round_micros(self.n) + sent + self.nanos / 1000
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
            self.all_to_all(1);
            self.bytes += others * (5 + 32);
        }
        self.all_to_all(1);
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
                let dealt = length.div_ceil(n - t);
                self.clocks.together(overlapping(self.messages(dealt), 1));
                self.elements(dealt * (n - 1 - t));
            }
        }
    }

    /// The keys of all sets, of which a party holds so many: the first of each set tells its key to the n-t-1 others.
    fn keys(&mut self, held: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        // The first of a set is one of the first t+1.
        let most = self.t + 1;
        self.clocks.messages(1, |peer, _| 0..peer.min(most));
        self.wait_for_all();
        let sets = held as u64 * n / (n - t);
        self.bytes += sets * (n - t - 1) * 32 / n;
    }

    fn open_at_once(&mut self, length: u64) {
        self.all_to_all(self.messages(length));
        self.elements(length * (self.n as u64 - 1));
    }

    /// Products brought back to degree t.
    fn reduce(&mut self, length: usize) {
        let (n, t) = (self.n as u64, self.t as u64);
        let count = length as u64;
        if self.n >= crate::arithmetic::KING_FROM && length >= crate::arithmetic::KING_LENGTH {
            self.kings = true;
            self.clocks.together(overlapping(self.messages(count.div_ceil(n - t)), 3));
            self.elements(count * (n - 1 - t) / (n - t) + count * (2 * n - 2 - t) / n);
        } else {
            let (peers, dealers) = (self.n, 2 * self.t + 1);
            match peers == dealers {
                true => self.dealt_by_all(count),
                // Dealers rotate.
                false => self.dealt(count, |number, dealer| (dealer + peers - number % peers) % peers < dealers),
            }
            self.elements((count * (n - 1 - t) * (2 * t + 1)).div_ceil(n));
        }
    }

    /// What everybody tells everybody.
    fn all_to_all(&mut self, messages: usize) {
        let n = self.n;
        self.clocks.messages_alike(messages, |peer, _| (0..n).filter(move |sender| *sender != peer));
        self.wait_for_all();
    }

    /// So many elements of each of these dealers, by the number of the message: t receivers have seeds and wait for nothing.
    fn dealt(&mut self, length: u64, deals: impl Fn(usize, usize) -> bool) {
        let (n, t, deals) = (self.n, self.t, &deals);
        let messages = self.messages(length);
        self.clocks.messages(messages, |peer, number| dealers(n, t, peer).filter(move |dealer| deals(number, *dealer)));
        self.wait_for_all();
    }

    /// The same of everybody.
    fn dealt_by_all(&mut self, length: u64) {
        let (n, t) = (self.n, self.t);
        self.clocks.messages_alike(self.messages(length), |peer, _| dealers(n, t, peer));
        self.wait_for_all();
    }

    /// Where nothing is verified, operations are counted as if nobody went on ahead.
    fn wait_for_all(&mut self) {
        if self.noted.is_none() {
            self.clocks.together(0);
        }
    }

    /// In how many messages so many elements travel.
    fn messages(&self, elements: u64) -> usize {
        elements.div_ceil((CHUNK_BYTES / self.field.bytes()) as u64) as usize
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
            let (n, t, last) = (self.n as u64, self.t as u64, self.t);
            self.dealt(length as u64, |_, dealer| dealer <= last);
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
            self.by_slices(length);
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
        self.by_slices(length);
        self.elements(length as u64 * (t + n - 1) / n);
        self.toss();
        self.open_at_once(n);
    }

    /// To kings and back: arithmetic/slices.rs.
    fn by_slices(&mut self, length: usize) {
        let n = self.n as u64;
        self.clocks.together(overlapping(self.messages((length as u64).div_ceil(n)), 2));
    }

    /// To one.
    pub(super) fn open_to_one(&mut self, length: usize) {
        self.verify();
        self.clocks.together(1);
        self.elements((length as u64 * (self.n as u64 - 1)).div_ceil(self.n as u64));
    }

    /// So many numbers of each party.
    pub(super) fn input(&mut self, length: usize) {
        self.dealt_by_all(length as u64);
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

/// Those whose shares come to a peer in messages, not from seeds: arithmetic/dealing.rs.
fn dealers(n: usize, t: usize, peer: usize) -> impl Iterator<Item = usize> {
    (0..n).filter(move |dealer| (peer + n - dealer) % n > t)
}

/// Levels of a tree over so many leaves.
fn depth(leaves: usize) -> usize {
    leaves.next_power_of_two().ilog2() as usize
}

/// A vector in pieces of at most so many elements.
fn pieces(length: usize, at_once: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(at_once.max(1)).map(move |from| at_once.min(length - from))
}
