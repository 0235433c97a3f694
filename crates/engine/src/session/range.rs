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
//! Where numbers belong together ([`Ties`]), what a form of them gives is dealt behind them, as one more number in
//! range: its slack y. Then "form - y = 0" is left to prove. A linear form is linear in what was dealt and costs no more than a
//! coefficient; for quadratic ones see [`quadratic`]. (Where the slack can only be 0, none is dealt.)
//!
//! After everything is dealt the compute peers toss a point s and coefficients r and open, per contributor,
//!
//! ```text
//!   v_c = f_c(s) for every number c,   e = salt mask + sum of r'_k salt_k,
//!   g_a(s), g_b(s), g_d(s) for every block i of quadratic ties,
//!   q = sum of r_c Z_c(s) h_c(s) + sum of r"_j (form_j - y_j) + sum of r"'_i P_i(s)
//! ```
//!
//! and accept if sum of r_c v_c (v_c - 1) + sum of r"'_i (g_a g_b - g_d²)(s) = q. All are linear in the shares, so that they
//! are opened like any vector: wrong shares show. The opening also proves that everything was dealt by polynomials of degree t.
//!
//! **Error**: a contributor with a number out of range, with a tie that does not hold, or with a sharing of another degree, is
//! accepted with probability at most (d+2)/p per opening: d/p, d being the largest of 2K and 2L, that s is a root of what a
//! wrong number or a wrong block leaves, 1/p that a combination of what does not vanish does, that of ties included, and 1/p
//! for the degree. (256 places are no choice for s, which changes nothing: the planner leaves room.) The planner takes a field
//! where that is below 2^-40 for all contributors together, and in which no tie wraps.
//!
//! **Leakage**: v_c and the g(s) are uniform and independent because each has a mask of its own, and so is e; q follows from
//! them, since what linear ties add to it is 0 of every honest dealer; s is never one of the places of bits or of ties.
//! **Cost**: 2K+2 elements are dealt per number instead of one, and L+4 per block.

use std::collections::BTreeMap;

use tacit_algebra::Field;
use tacit_algebra::poly::{consecutive_weights, lagrange_with};
use zeroize::Zeroizing;

use crate::aggregate::ties::Ties;
use crate::keystream::{CryptoFailed, Keystream};
use quadratic::{Block, BlockAt, MASKS};

mod quadratic;

pub(crate) use quadratic::{quadratic_answers, quadratic_degree, quadratic_elements};

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
    ties: Ties,
    blocks: Vec<Block<F>>,
    /// Salt elements behind the numbers and blocks, before their mask.
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
    pub(super) fn new(bounds: impl Iterator<Item = u128>, ties: &Ties, salt: usize) -> Self {
        let mut known = BTreeMap::new();
        let (mut shapes, mut numbers) = (Vec::new(), Vec::new());
        let mut summed = 0;
        for bound in bounds.inspect(|_| summed += 1).chain(ties.slack_bounds()) {
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
        let blocks = Block::all(&ties.quadratic, summed + ties.linear_slacks());
        Self { shapes, numbers, summed, ties: ties.clone(), blocks, salt }
    }

    /// Elements of the dealt vector.
    pub(super) fn length(&self) -> usize {
        let numbers = self.numbers.iter().map(|shape| elements(self.shapes[*shape].bits()));
        let blocks = self.blocks.iter().map(Block::elements);
        numbers.chain(blocks).sum::<usize>() + self.salt + 1
    }

    /// Elements that are opened of each contributor: one per number, three per block, q, e.
    pub(super) fn answers(&self) -> usize {
        self.numbers.len() + quadratic_answers(self.ties.quadratic.len()) + 2
    }

    /// The vector to be dealt. The masks come from `random`; a number out of range gives others bits than its own, and so
    /// does a slack that no records have.
    pub(super) fn encode(
        &self,
        numbers: impl Iterator<Item = u128>,
        salt: &[F],
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Zeroizing<Vec<F>> {
        let mut masks = Zeroizing::new(vec![F::ZERO; self.masks()]);
        F::fill_uniform(&mut |bytes: &mut [u8]| random(bytes), &mut masks);
        self.deal(numbers, salt, &masks)
    }

    /// One for each number, three for each block, one for the salt.
    fn masks(&self) -> usize {
        self.numbers.len() + MASKS * self.blocks.len() + 1
    }

    /// The vector with these masks.
    fn deal(&self, numbers: impl Iterator<Item = u128>, salt: &[F], masks: &[F]) -> Zeroizing<Vec<F>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.length()));
        let (of_numbers, rest) = masks.split_at(self.numbers.len());
        let (of_sums, of_slacks) = of_numbers.split_at(self.summed);
        let some = self.ties != Ties::none();
        let mut tied = Zeroizing::new(Vec::with_capacity(if some { self.numbers.len() } else { 0 }));
        for ((number, shape), mask) in numbers.zip(&self.numbers).zip(of_sums) {
            self.shapes[*shape].encode(number, *mask, &mut out);
            if some {
                tied.push(number);
            }
        }
        self.ties.push_slacks(&mut tied);
        let slacks = tied.iter().zip(&self.numbers).skip(self.summed);
        for ((slack, shape), mask) in slacks.zip(of_slacks) {
            self.shapes[*shape].encode(*slack, *mask, &mut out);
        }
        let (of_blocks, of_salt) = rest.split_at(MASKS * self.blocks.len());
        let tied: Zeroizing<Vec<F>> = Zeroizing::new(tied.iter().map(|number| F::from_u128(*number)).collect());
        for (block, masks) in self.blocks.iter().zip(of_blocks.chunks_exact(MASKS)) {
            block.encode(&tied, masks, &mut out);
        }
        out.extend_from_slice(salt);
        out.extend_from_slice(of_salt);
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

/// How often a number counts in a form.
fn signed<F: Field>(times: i128) -> F {
    let size = F::from_u128(times.unsigned_abs());
    if times < 0 { -size } else { size }
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
    blocks: Vec<BlockAt<F>>,
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

/// Points below are the places of bits, of ties and of masks.
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
        let some = layout.ties != Ties::none();
        let mut tied = vec![F::ZERO; if some { layout.numbers.len() } else { 0 }];
        let mut slack = layout.summed;
        for tie in &layout.ties.linear {
            let coefficient = F::uniform(&mut draw);
            for (number, times) in &tie.terms {
                tied[*number] += coefficient * signed::<F>(*times);
            }
            if tie.has_slack() {
                tied[slack] = -coefficient;
                slack += 1;
            }
        }
        let mut at_s = |block| BlockAt::new(block, s, F::uniform(&mut draw), &mut tied);
        let blocks = layout.blocks.iter().map(&mut at_s).collect();
        Ok(Self { layout, at, blocks, coefficients, tied })
    }

    /// This party's share of the answers, appended, and, added to `sums`, of the numbers and the salt, from its share
    /// of a dealt vector.
    pub(super) fn answer(&self, mut share: &[F], answers: &mut Vec<F>, sums: &mut [F]) {
        let mut quotient = F::ZERO;
        let blocks = !self.blocks.is_empty();
        let mut numbers = Zeroizing::new(Vec::with_capacity(if blocks { self.layout.numbers.len() } else { 0 }));
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
            if blocks {
                numbers.push(number);
            }
        }
        for (at, block) in self.blocks.iter().zip(&self.layout.blocks) {
            let (dealt, rest) = share.split_at(block.elements());
            share = rest;
            quotient += at.answer(dealt, &numbers, answers);
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
        let (bits, rest) = answers.split_at(numbers);
        let (wires, rest) = rest.split_at(MASKS * self.blocks.len());
        let bits = bits.iter().zip(&self.coefficients).map(|(v, r)| *v * (*v - F::ONE) * *r);
        let gates = self.blocks.iter().zip(wires.chunks_exact(MASKS)).map(|(block, wires)| block.expected(wires));
        bits.chain(gates).sum::<F>() == rest[0]
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
mod tests;
