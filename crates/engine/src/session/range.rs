//! Proof that shared numbers are in range: what a dealer adds to its vector, and what the compute peers
//! compare at a random point.
//!
//! A number x in `[0, M]` is dealt as K bits b_1 .. b_K with x = sum of w_k b_k, where the weights are 1, 2, 4, ...
//! and the last one is what is missing to M: every choice of bits is in range, and every number in range has
//! one. So only "each b_k is a bit" is left to prove, by a fully linear proof (Boneh, Boyle,
//! Corrigan-Gibbs, Gilboa, Ishai 2019) whose queries are linear in what was dealt:
//!
//! * f is the polynomial of degree K with f(0) = u, a random mask, and f(k) = b_k;
//! * all b_k are bits exactly if Z(X) = (X-1)...(X-K) divides f(f-1), and the dealer deals the quotient h, of degree K,
//!   by its values at K+1 further points.
//!
//! Where numbers belong together ([`Tie`]), what a linear form of them gives is dealt behind them, as one more number in
//! range: its slack y. Then "form - y = 0" is left to prove, and as it is linear in what was dealt, it costs no more than a
//! coefficient. (Where the slack can only be 0, nothing is dealt.)
//!
//! After everything is dealt the compute peers toss a point s and coefficients r and open, per contributor,
//!
//! ```text
//!   v_c = f_c(s) for every number c,   e = salt mask + sum of r'_k salt_k,
//!   q = sum of r_c Z_c(s) h_c(s) + sum of r"_j (form_j - y_j)
//! ```
//!
//! and accept if sum of r_c v_c (v_c - 1) = q. All three are linear in the shares, so that they are opened like
//! any vector: wrong shares show. The opening also proves that everything was dealt by polynomials of degree t.
//!
//! **Error**: a contributor with a number out of range, with a tie that does not hold, or with a sharing of another degree, is
//! accepted with probability at most (2K+2)/p per opening: 2K/p that s is a root of what a wrong number leaves, 1/p that a
//! combination of what does not vanish does, that of ties included, and 1/p for the degree. The planner takes a field where
//! that is below 2^-40 for all contributors together, and in which no tie wraps.
//!
//! **Leakage**: v_c is uniform because of u, e because of its mask; q follows from the v_c, since what ties add to it is 0 of
//! every honest dealer; s is never one of the bits' places. **Cost**: 2K+2 elements are dealt per number instead of one.

use std::collections::BTreeMap;

use tacit_algebra::Field;
use tacit_algebra::poly::{consecutive_weights, lagrange_with};
use zeroize::Zeroizing;

use crate::aggregate::ties::{Tie, with_slack};
use crate::keystream::{CryptoFailed, Keystream};

/// Elements that are dealt for a number with so many bits: the mask, the bits, the quotient.
pub(crate) const fn elements(bits: usize) -> usize {
    2 * bits + 2
}

/// Bits of numbers up to `bound`.
pub(crate) const fn bits(bound: u128) -> usize {
    (u128::BITS - bound.leading_zeros()) as usize
}

/// What is dealt for vectors with these bounds, and how it is computed.
pub(super) struct Layout<F: Field> {
    shapes: Vec<Shape<F>>,
    /// Which shape each number has: those that are added up, then slacks.
    numbers: Vec<usize>,
    /// How many are added up.
    summed: usize,
    ties: Vec<Tie>,
    /// Salt elements behind the numbers, before their mask.
    salt: usize,
}

/// Numbers with one bound.
struct Shape<F> {
    bound: u128,
    weights: Vec<F>,
    /// The barycentric weights of K+1 consecutive points.
    barycentric: Vec<F>,
    /// What f(0), .., f(K) give at the points K+1, .., 2K+1.
    beyond: Vec<Vec<F>>,
    /// 1 / Z at those points.
    inverse: Vec<F>,
}

impl<F: Field> Layout<F> {
    /// The layout of a vector whose numbers have these bounds and ties, followed by `salt` elements.
    pub(super) fn new(bounds: impl Iterator<Item = u128>, ties: &[Tie], salt: usize) -> Self {
        let mut known = BTreeMap::new();
        let (mut shapes, mut numbers) = (Vec::new(), Vec::new());
        let mut summed = 0;
        for bound in bounds.inspect(|_| summed += 1).chain(with_slack(ties).map(|tie| tie.bound)) {
            let shape = match known.get(&bound) {
                Some(shape) => *shape,
                None => {
                    shapes.push(Shape::new(bound));
                    known.insert(bound, shapes.len() - 1);
                    shapes.len() - 1
                }
            };
            numbers.push(shape);
        }
        Self { shapes, numbers, summed, ties: ties.to_vec(), salt }
    }

    /// Elements of the dealt vector.
    pub(super) fn length(&self) -> usize {
        self.numbers.iter().map(|shape| elements(self.shapes[*shape].bits())).sum::<usize>() + self.salt + 1
    }

    /// Elements that are opened of each contributor: one per number, q, e.
    pub(super) fn answers(&self) -> usize {
        self.numbers.len() + 2
    }

    /// The vector to be dealt. The masks come from `random`; a number out of range gives others bits than its own, and so
    /// does a slack that no records have.
    pub(super) fn encode(
        &self,
        numbers: impl Iterator<Item = u128>,
        salt: &[F],
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Zeroizing<Vec<F>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.length()));
        let mut masks = Zeroizing::new(vec![F::ZERO; self.numbers.len() + 1]);
        F::fill_uniform(&mut |bytes: &mut [u8]| random(bytes), &mut masks);
        let mut tied = Zeroizing::new(Vec::with_capacity(if self.ties.is_empty() { 0 } else { self.summed }));
        let (summed, slacks) = self.numbers.split_at(self.summed);
        for ((number, shape), mask) in numbers.zip(summed).zip(masks.iter()) {
            self.shapes[*shape].encode(number, *mask, &mut out);
            if !self.ties.is_empty() {
                tied.push(number);
            }
        }
        for ((tie, shape), mask) in with_slack(&self.ties).zip(slacks).zip(&masks[self.summed..]) {
            self.shapes[*shape].encode(tie.slack(&tied), *mask, &mut out);
        }
        out.extend_from_slice(salt);
        out.push(masks[self.numbers.len()]);
        out
    }
}

impl<F: Field> Shape<F> {
    fn new(bound: u128) -> Self {
        let bits = bits(bound);
        let mut weights: Vec<F> = (0..bits).map(|k| F::from_u128(1 << k)).collect();
        if let Some(last) = weights.last_mut() {
            *last = F::from_u128(last_weight(bound));
        }
        let barycentric = consecutive_weights(bits + 1);
        let (nodes, further) = (places(0, bits), places(bits + 1, bits));
        let beyond = further.iter().map(|y| lagrange_with(&barycentric, &nodes, *y)).collect();
        let mut inverse: Vec<F> = further.iter().map(|y| vanishing(bits, *y)).collect();
        let invertible = F::invert_all(&mut inverse);
        debug_assert!(invertible.is_some(), "Z vanishes at its roots only");
        Self { bound, weights, barycentric, beyond, inverse }
    }

    fn bits(&self) -> usize {
        self.weights.len()
    }

    fn encode(&self, number: u128, mask: F, out: &mut Vec<F>) {
        let start = out.len();
        out.push(mask);
        let bits = self.bits();
        if bits > 0 {
            // The last bit is set if the others cannot make the number; no branch tells.
            let low = (1u128 << (bits - 1)) - 1;
            let top = u128::from(number > low);
            let rest = number.wrapping_sub(top * last_weight(self.bound));
            out.extend((0..bits - 1).map(|k| F::from_u64((rest >> k & 1) as u64)));
            out.push(F::from_u64(top as u64));
        }
        for (row, inverse) in self.beyond.iter().zip(&self.inverse) {
            let f = F::dot(row, &out[start..=start + bits]);
            out.push(f * (f - F::ONE) * *inverse);
        }
    }
}

/// The weight of the last of a bound's bits.
fn last_weight(bound: u128) -> u128 {
    bound.wrapping_sub((1 << (bits(bound) - 1)) - 1)
}

/// K+1 consecutive points.
fn places<F: Field>(first: usize, bits: usize) -> Vec<F> {
    (first..=first + bits).map(|point| F::from_u64(point as u64)).collect()
}

/// Z(x) = (x-1)...(x-K).
fn vanishing<F: Field>(bits: usize, x: F) -> F {
    (1..=bits as u64).fold(F::ONE, |product, k| product * (x - F::from_u64(k)))
}

/// What the compute peers compare, for one challenge.
pub(super) struct Query<'l, F: Field> {
    layout: &'l Layout<F>,
    at: Vec<At<F>>,
    /// r, then r'.
    coefficients: Vec<F>,
    /// What the combination of all ties takes of each number; nothing where there are none.
    tied: Vec<F>,
}

/// One shape at the point s.
struct At<F> {
    /// Of f(0), .., f(K).
    f: Vec<F>,
    /// Of the quotient's values, times Z(s).
    h: Vec<F>,
}

/// Points below are the places of bits and of masks.
const NO_CHALLENGE: u128 = 256;

impl<'l, F: Field> Query<'l, F> {
    /// The query of a challenge that was tossed after everything was dealt.
    pub(super) fn new(layout: &'l Layout<F>, challenge: &[u8; 32]) -> Result<Self, CryptoFailed> {
        let mut stream = Keystream::new(challenge)?;
        let mut draw = |bytes: &mut [u8]| stream.fill(bytes);
        let s = loop {
            let s = F::uniform(&mut draw);
            if s.to_u128() >= NO_CHALLENGE {
                break s;
            }
        };
        let mut coefficients = vec![F::ZERO; layout.numbers.len() + layout.salt];
        F::fill_uniform(&mut draw, &mut coefficients);
        let at = layout.shapes.iter().map(|shape| At::new(shape, s)).collect();
        let mut tied = vec![F::ZERO; if layout.ties.is_empty() { 0 } else { layout.numbers.len() }];
        let mut slack = layout.summed;
        for tie in &layout.ties {
            let coefficient = F::uniform(&mut draw);
            for (number, times) in &tie.terms {
                let size = F::from_u128(times.unsigned_abs());
                tied[*number] += coefficient * if *times < 0 { -size } else { size };
            }
            if tie.has_slack() {
                tied[slack] = -coefficient;
                slack += 1;
            }
        }
        Ok(Self { layout, at, coefficients, tied })
    }

    /// This party's share of the answers, appended, and, added to `sums`, of the numbers and the salt, from its share
    /// of a dealt vector.
    pub(super) fn answer(&self, mut share: &[F], answers: &mut Vec<F>, sums: &mut [F]) {
        let mut quotient = F::ZERO;
        for (c, shape) in self.layout.numbers.iter().enumerate() {
            let (at, weights) = (&self.at[*shape], &self.layout.shapes[*shape].weights);
            let (f, rest) = share.split_at(at.f.len());
            let (h, rest) = rest.split_at(at.h.len());
            share = rest;
            answers.push(F::dot(&at.f, f));
            quotient = self.coefficients[c].mul_add(F::dot(&at.h, h), quotient);
            let number = F::dot(weights, &f[1..]);
            if let Some(tied) = self.tied.get(c) {
                quotient = tied.mul_add(number, quotient);
            }
            if c < self.layout.summed {
                sums[c] += number;
            }
        }
        let (salt, mask) = share.split_at(self.layout.salt);
        let numbers = self.layout.numbers.len();
        answers.push(quotient);
        answers.push(F::dot(&self.coefficients[numbers..], salt) + mask[0]);
        F::add_assign_slice(&mut sums[self.layout.summed..], salt);
    }

    /// Whether opened answers are those of numbers in range that belong together.
    pub(super) fn accepts(&self, answers: &[F]) -> bool {
        let numbers = self.layout.numbers.len();
        let products = answers[..numbers].iter().zip(&self.coefficients).map(|(v, r)| *v * (*v - F::ONE) * *r);
        products.sum::<F>() == answers[numbers]
    }
}

impl<F: Field> At<F> {
    fn new(shape: &Shape<F>, s: F) -> Self {
        let bits = shape.bits();
        let f = lagrange_with(&shape.barycentric, &places(0, bits), s);
        let mut h = lagrange_with(&shape.barycentric, &places(bits + 1, bits), s);
        F::scale_slice(&mut h, vanishing(bits, s));
        Self { f, h }
    }
}

#[cfg(test)]
mod tests {
    use tacit_algebra::F61;

    use super::*;

    fn random() -> impl FnMut(&mut [u8]) {
        let mut stream = Keystream::new(&[7; 32]).expect("key");
        move |bytes: &mut [u8]| stream.fill(bytes)
    }

    /// Every number in range passes and comes back; every number above is caught, also with crafted bits.
    #[test]
    fn p19_engine_a_proof_exists_exactly_for_numbers_in_range() {
        for bound in [0u128, 1, 2, 3, 4, 5, 6, 7, 9, 31, 32, 33, 1013] {
            let layout = Layout::<F61>::new([bound].into_iter(), &[], 2);
            let query = Query::new(&layout, &[3; 32]).expect("key");
            let salt = [F61::from_u64(11), F61::from_u64(12)];
            for number in 0..2 * bound + 3 {
                let dealt = layout.encode([number].into_iter(), &salt, &mut random());
                assert_eq!(dealt.len(), layout.length());
                let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 3]);
                query.answer(&dealt, &mut answers, &mut sums);
                assert_eq!(answers.len(), layout.answers());
                // Encoding a number that is too large drops what its bits cannot hold: never above the bound.
                assert!(query.accepts(&answers));
                assert!(sums[0].to_u128() <= bound);
                if number <= bound {
                    assert_eq!(sums[0].to_u128(), number, "{number} of {bound}");
                }
                assert_eq!(sums[1..], salt);
            }
            // Any element instead of a bit is caught, whatever the quotient pretends.
            for place in 1..=bits(bound) {
                for wrong in [F61::from_u64(2), -F61::ONE, F61::from_u64(1 << 40)] {
                    let mut dealt = layout.encode([0].into_iter(), &salt, &mut random());
                    dealt[place] = wrong;
                    let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 3]);
                    query.answer(&dealt, &mut answers, &mut sums);
                    assert!(!query.accepts(&answers));
                }
            }
        }
    }

    #[test]
    fn shapes_of_statistics_differ_by_number() {
        let bounds = [1u128, 1000, 1_000_000, 1000];
        let layout = Layout::<F61>::new(bounds.into_iter(), &[], 5);
        assert_eq!(layout.shapes.len(), 3);
        assert_eq!(layout.length(), 4 + 22 + 42 + 22 + 6);
        let numbers = [1u128, 999, 1_000_000, 0];
        let dealt = layout.encode(numbers.into_iter(), &[F61::ONE; 5], &mut random());
        let query = Query::new(&layout, &[9; 32]).expect("key");
        let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 9]);
        query.answer(&dealt, &mut answers, &mut sums);
        assert!(query.accepts(&answers));
        assert!(sums.iter().zip(numbers).all(|(sum, number)| sum.to_u128() == number));
    }

    /// Twice the first number less the second is from 0 to 3, and the third is the second.
    fn ties() -> [Tie; 2] {
        [Tie { terms: vec![(0, 2), (1, -1)], bound: 3 }, Tie { terms: vec![(1, 1), (2, -1)], bound: 0 }]
    }

    #[test]
    fn p19_engine_numbers_that_do_not_belong_together_are_caught() {
        let layout = Layout::<F61>::new([3u128, 6, 6].into_iter(), &ties(), 2);
        assert_eq!(layout.answers(), 4 + 2, "an equality takes no slack");
        let query = Query::new(&layout, &[4; 32]).expect("key");
        let passes = |dealt: &[F61]| {
            let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 5]);
            query.answer(dealt, &mut answers, &mut sums);
            (query.accepts(&answers), sums)
        };
        let salt = [F61::from_u64(11), F61::from_u64(12)];
        for numbers in (0..=3u128).flat_map(|a| (0..=6).flat_map(move |b| (0..=6).map(move |c| [a, b, c]))) {
            let [a, b, c] = numbers;
            let dealt = layout.encode(numbers.into_iter(), &salt, &mut random());
            assert_eq!(dealt.len(), layout.length());
            let (passed, sums) = passes(&dealt);
            assert_eq!(passed, b <= 2 * a && 2 * a <= b + 3 && b == c, "{numbers:?}");
            assert!(sums.iter().zip(numbers).all(|(sum, number)| sum.to_u128() == number));
            assert_eq!(sums[3..], salt);
            // The slack that would fit, dealt as if it were a bit.
            let mut crafted = dealt.to_vec();
            let first = elements(bits(3)) + 2 * elements(bits(6)) + 1;
            crafted[first] = F61::from_u128(2 * a) - F61::from_u128(b);
            crafted[first + 1] = F61::ZERO;
            let bit = 2 * a == b || 2 * a == b + 1;
            assert!(!passes(&crafted).0 || bit && b == c, "{numbers:?}");
        }
    }

    /// What is opened of a contributor is distributed alike for every vector that it may have: over all masks.
    #[test]
    fn secrecy_of_range_proofs_exhaustive() {
        use tacit_algebra::Fp;
        type Small = Fp<263>;
        let views = |layout: &Layout<Small>, numbers: &[u128]| {
            let query = Query::new(layout, &[5; 32]).expect("key");
            let slacks = layout.ties.iter().map(|tie| tie.slack(numbers));
            let all: Vec<u128> = numbers.iter().copied().chain(slacks).collect();
            let mut seen: Vec<Vec<u128>> = Vec::new();
            for masks in 0..263u64.pow(all.len() as u32) {
                let mut dealt = Vec::new();
                for (k, (number, shape)) in all.iter().zip(&layout.numbers).enumerate() {
                    layout.shapes[*shape].encode(*number, Small::from_u64(masks / 263u64.pow(k as u32)), &mut dealt);
                }
                dealt.push(Small::ZERO);
                let (mut answers, mut sums) = (Vec::new(), vec![Small::ZERO; numbers.len()]);
                query.answer(&dealt, &mut answers, &mut sums);
                assert!(query.accepts(&answers), "what ties add is 0");
                seen.push(answers.iter().map(|a| a.to_u128()).collect());
            }
            seen.sort_unstable();
            seen
        };
        let one = Layout::<Small>::new([3u128].into_iter(), &[], 0);
        // A slack is masked like a number.
        let tie = Tie { terms: vec![(0, 2)], bound: 6 };
        let tied = Layout::<Small>::new([3u128].into_iter(), &[tie], 0);
        for layout in [one, tied] {
            let first = views(&layout, &[0]);
            assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "every mask gives another view");
            assert!((1..=3).all(|number| views(&layout, &[number]) == first));
        }
    }
}
