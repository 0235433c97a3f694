//! Bits in replicated sharing, 64 to a machine word: what comparisons, decompositions and sorting compute on.
//!
//! A bit is the exclusive or of one component per set of n-t parties; all parties of a set have its
//! component, and any t parties miss that of the set of all others (Ito, Saito, Nishizeki 1987). Values are
//! *bit-sliced*: [`Planes`] has one plane per bit of the values, with one lane per value.
//!
//! | operation | rounds | bits sent per party |
//! |---|---|---|
//! | exclusive or, negation | 0 | 0 |
//! | [`and`](Arithmetic::and) | 1 | n-1-t per gate: 1 for n = 3, 2 for n = 5, 3 for n = 7, 5 for n = 11 |
//! | random bits that one party (or one set) knows | 0 | 0 |
//! | [`share_planes`](Arithmetic::share_planes), a party's own bits | 1 | n-1-t per bit, by it alone |
//! | [`open_planes_to`](Arithmetic::open_planes_to) one party | 1 | 1 per bit, by t parties |
//!
//! The keys of the sets are agreed in one round when they are first needed (n = 3: none). A party is in
//! n-1 choose t sets: 2, 6, 20, 70, 252 for n = 3, 5, 7, 9, 11 with the largest t. That is its memory and its work
//! per shared bit, and why this is not offered above [`HELD_AT_MOST`].
//!
//! Semi-honest, t < n/2. Nothing depends on secrets in time or memory access.

use tacit_algebra::Field;

use super::random::{contains, sets};
use super::streams::{Purpose, Seeds};
use super::zero::neighbours;
use super::{Arithmetic, ArithmeticError};
use crate::keystream::Keystream;

mod circuits;
mod gates;
mod planes;
#[cfg(test)]
mod secrecy;
mod sharing;

pub(super) use circuits::Sum;
pub(super) use planes::{Planes, join_bits, slice_bits, slice_words, words};
pub(super) use sharing::Source;

/// More parties than this do not compute on bits: what each does grows with two to the power of their number.
const COMPARE_AT_MOST: usize = 11;
/// A party in more sets than this does not compute on bits.
const HELD_AT_MOST: usize = 500;

/// Whether so many parties can compute on bits.
pub(crate) fn can_compare(n: usize, t: usize) -> bool {
    // n-1 choose t, without the sets themselves.
    let held = (0..t).try_fold(1usize, |held, i| Some(held.checked_mul((n - 1).checked_sub(i)?)? / (i + 1)));
    n <= COMPARE_AT_MOST && held.is_some_and(|held| held <= HELD_AT_MOST)
}

/// Who has which component, and who computes what of a product: the same for all, from n and t alone.
pub(super) struct Structure {
    /// The sets that this party is in, ascending.
    held: Vec<u64>,
    /// How each component of a product comes about, by held set.
    origins: Vec<Origin>,
    /// This party's part of a product: component `a` times the sum of the components `bs`.
    terms: Vec<(usize, Vec<usize>)>,
    /// Of those held, the set whose component this party says.
    own: usize,
}

/// Where a fresh component comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// From this party: the set begins with it on the circle.
    Own,
    /// From the party that the set begins with.
    Party(usize),
    /// From the set's stream, which one of its parties adds to what it says.
    Stream { adds: bool },
}

/// The set whose component a party says: it and the n-t-1 parties after it.
pub(super) fn interval(n: usize, t: usize, party: usize) -> u64 {
    (0..n - t).map(|i| 1 << ((party + i) % n)).sum()
}

impl Structure {
    fn new(n: usize, t: usize, me: usize) -> Self {
        let all: Vec<u64> = sets(n, t).collect();
        let held: Vec<u64> = all.iter().copied().filter(|set| contains(*set, me)).collect();
        let begins = |set: u64| (0..n).find(|i| interval(n, t, *i) == set);
        let members = |set: u64| (0..n).filter(move |i| contains(set, *i));
        let place = |set: u64| held.binary_search(&set).unwrap_or_default();
        let origin = |set: u64| match begins(set) {
            Some(party) if party == me => Origin::Own,
            Some(party) => Origin::Party(party),
            None => {
                let index = all.binary_search(&set).unwrap_or_default();
                Origin::Stream { adds: members(set).nth(index % (n - t)) == Some(me) }
            }
        };
        // Each pair of components goes to whoever of those that have both has least to do.
        let mut load = vec![0usize; n];
        let mut terms: Vec<(usize, Vec<usize>)> = Vec::new();
        for a in &all {
            let mut bs = Vec::new();
            for b in &all {
                // Any two sets meet: 2(n-t) > n.
                let Some(who) = members(a & b).min_by_key(|i| load[*i]) else { continue };
                load[who] += 1;
                if who == me {
                    bs.push(place(*b));
                }
            }
            if !bs.is_empty() {
                terms.push((place(*a), bs));
            }
        }
        let origins = held.iter().map(|set| origin(*set)).collect();
        Self { own: place(interval(n, t, me)), origins, terms, held }
    }
}

/// One party's place in a computation on bits.
pub(super) struct Boolean {
    structure: Structure,
    /// Of the held sets.
    streams: Vec<Keystream>,
    /// With the neighbours: each stream is added by both ends, so that all cancels.
    zero: Vec<Keystream>,
}

impl Boolean {
    fn new(
        seeds: &Seeds,
        n: usize,
        t: usize,
        structure: Structure,
        streams: Vec<Keystream>,
    ) -> Result<Self, ArithmeticError> {
        let zero = neighbours(n, t, seeds.me)
            .map(|i| seeds.pair_stream(i, Purpose::BitZero))
            .collect::<Result<_, ArithmeticError>>()?;
        Ok(Self { structure, streams, zero })
    }
}

impl<F: Field> Arithmetic<'_, F> {
    /// Makes keys and structure if this is the first computation on bits.
    pub(super) async fn ready_for_bits(&mut self) -> Result<(), ArithmeticError> {
        if self.boolean.is_some() {
            return Ok(());
        }
        if self.verifies() || self.robust.is_some() {
            return Err(ArithmeticError::WrongCall { what: "replicated bits are neither verified nor corrected" });
        }
        let (n, t, me) = (self.n, self.t, self.me);
        if !can_compare(n, t) {
            return Err(ArithmeticError::WrongCall { what: "bits are offered for up to eleven compute peers" });
        }
        let structure = Structure::new(n, t, me);
        let operation = self.begin()?;
        let streams = self.streams_of_sets(&structure.held, operation, Purpose::BitSubset).await;
        let streams = self.end(streams)?;
        self.boolean = Some(Box::new(Boolean::new(&self.seeds, n, t, structure, streams)?));
        Ok(())
    }

    /// How many components of each bit this party has.
    pub(super) fn components(&self) -> usize {
        self.boolean.as_ref().map_or(0, |boolean| boolean.structure.held.len())
    }

    fn take_boolean(&mut self) -> Result<Box<Boolean>, ArithmeticError> {
        self.boolean.take().ok_or(ArithmeticError::WrongCall { what: "computing on bits was not begun" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_eleven_parties_compare() {
        assert!((3..=11).all(|n| (1..=(n - 1) / 2).all(|t| can_compare(n, t))));
        assert!([(12, 5), (12, 1), (16, 3), (33, 2), (64, 1), (65, 1)].iter().all(|(n, t)| !can_compare(*n, *t)));
    }

    #[test]
    fn every_pair_of_components_is_multiplied_once() {
        for (n, t) in [(3, 1), (4, 1), (5, 1), (5, 2), (6, 2), (7, 3), (8, 2), (9, 4)] {
            let all: Vec<u64> = sets(n, t).collect();
            let mut seen = std::collections::BTreeSet::new();
            let mut adders = 0;
            for me in 0..n {
                let structure = Structure::new(n, t, me);
                for (a, bs) in &structure.terms {
                    for b in bs {
                        assert!(seen.insert((structure.held[*a], structure.held[*b])), "n = {n}, t = {t}");
                    }
                }
                adders += structure.origins.iter().filter(|o| **o == Origin::Stream { adds: true }).count();
                assert_eq!(structure.origins.iter().filter(|o| **o == Origin::Own).count(), 1);
                assert_eq!(structure.origins[structure.own], Origin::Own);
                let from = structure.origins.iter().filter(|o| matches!(o, Origin::Party(_))).count();
                assert_eq!(from, n - t - 1);
            }
            assert_eq!(seen.len(), all.len() * all.len());
            assert_eq!(adders, all.len() - n, "each set's stream is added once");
        }
    }
}
