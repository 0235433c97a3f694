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
//! After everything is dealt the compute peers toss a point s and coefficients r and open, per contributor,
//!
//! ```text
//!   v_c = f_c(s) for every number c,   q = sum of r_c Z_c(s) h_c(s),   e = salt mask + sum of r'_k salt_k
//! ```
//!
//! and accept if sum of r_c v_c (v_c - 1) = q. All three are linear in the shares, so that they are opened like
//! any vector: wrong shares show. The opening also proves that everything was dealt by polynomials of degree t.
//!
//! **Error**: a contributor with a number out of range, or with a sharing of another degree, is accepted with
//! probability at most (2K+2)/p per opening; the planner takes a field where that is below 2^-40 for all
//! contributors together. **Leakage**: v_c is uniform because of u, e because of its mask, q follows from the
//! v_c; s is never one of the bits' places. **Cost**: 2K+2 elements are dealt per number instead of one.

use std::collections::BTreeMap;

use tacit_algebra::Field;
use tacit_algebra::poly::{consecutive_weights, lagrange_with};
use zeroize::Zeroizing;

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
    /// Which shape each number has.
    numbers: Vec<usize>,
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
    /// The layout of a vector whose numbers have these bounds, followed by `salt` elements.
    pub(super) fn new(bounds: impl Iterator<Item = u128>, salt: usize) -> Self {
        let mut known = BTreeMap::new();
        let (mut shapes, mut numbers) = (Vec::new(), Vec::new());
        for bound in bounds {
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
        Self { shapes, numbers, salt }
    }

    /// Elements of the dealt vector.
    pub(super) fn length(&self) -> usize {
        self.numbers.iter().map(|shape| elements(self.shapes[*shape].bits())).sum::<usize>() + self.salt + 1
    }

    /// Elements that are opened of each contributor: one per number, q, e.
    pub(super) fn answers(&self) -> usize {
        self.numbers.len() + 2
    }

    /// The vector to be dealt. The masks come from `random`; a number out of range gives bits that are none.
    pub(super) fn encode(
        &self,
        numbers: impl Iterator<Item = u128>,
        salt: &[F],
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Zeroizing<Vec<F>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.length()));
        let mut masks = Zeroizing::new(vec![F::ZERO; self.numbers.len() + 1]);
        F::fill_uniform(&mut |bytes: &mut [u8]| random(bytes), &mut masks);
        for ((number, shape), mask) in numbers.zip(&self.numbers).zip(masks.iter()) {
            self.shapes[*shape].encode(number, *mask, &mut out);
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
        Ok(Self { layout, at, coefficients })
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
            sums[c] += F::dot(weights, &f[1..]);
        }
        let (salt, mask) = share.split_at(self.layout.salt);
        let numbers = self.layout.numbers.len();
        answers.push(quotient);
        answers.push(F::dot(&self.coefficients[numbers..], salt) + mask[0]);
        F::add_assign_slice(&mut sums[numbers..], salt);
    }

    /// Whether opened answers are those of numbers in range.
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
            let layout = Layout::<F61>::new([bound].into_iter(), 2);
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
        let layout = Layout::<F61>::new(bounds.into_iter(), 5);
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

    /// What is opened of a contributor is distributed alike for every vector: over all masks.
    #[test]
    fn secrecy_of_range_proofs_exhaustive() {
        use tacit_algebra::Fp;
        type Small = Fp<1009>;
        let layout = Layout::<Small>::new([3u128].into_iter(), 0);
        let query = Query::new(&layout, &[5; 32]).expect("key");
        let views = |number: u128| {
            let mut seen: Vec<Vec<u128>> = Vec::new();
            for mask in 0..1009u64 {
                let mut dealt = Vec::new();
                layout.shapes[0].encode(number, Small::from_u64(mask), &mut dealt);
                dealt.push(Small::ZERO);
                let (mut answers, mut sums) = (Vec::new(), vec![Small::ZERO; 1]);
                query.answer(&dealt, &mut answers, &mut sums);
                seen.push(answers.iter().map(|a| a.to_u128()).collect());
            }
            seen.sort_unstable();
            seen
        };
        assert!((1..=3).all(|number| views(number) == views(0)));
    }
}
