//! Proof that quadratic ties hold between dealt numbers, by queries that are linear in what was dealt.
//!
//! Up to [`BLOCK`] ties `a b - d² = y` ([`Quadratic`]) are proven together (the proof for repeated gates of Boneh, Boyle,
//! Corrigan-Gibbs, Gilboa, Ishai 2019). Of L ties
//!
//! * g_a, g_b and g_d are the polynomials of degree L with a random mask at 0 and at j what the forms a, b and d of tie j are;
//! * P is the polynomial of degree 2L with y_j at j, and what the dealer deals at 0 and at L+1, .., 2L.
//!
//! An honest dealer's P is `g_a g_b - g_d²`. If one tie does not hold, the two differ at its place, and then everywhere
//! but at 2L points at most. At the tossed s the compute peers open the three g(s) of each block, which are uniform
//! because of the masks, and compare: P(s) is linear in the slacks and in what was dealt, and goes into q.

use tacit_algebra::Field;
use tacit_algebra::poly::{consecutive_weights, lagrange_with};

use super::{places, signed};
use crate::aggregate::ties::{Form, Quadratic};

/// The most ties that are proven together.
const BLOCK: usize = 16;
/// a, b, d.
const WIRES: usize = 3;
/// Each has one.
pub(super) const MASKS: usize = WIRES;

/// Elements that are dealt for so many ties besides their slacks.
pub(crate) const fn quadratic_elements(ties: usize) -> usize {
    // The masks, P(0), and P beyond the ties.
    ties.div_ceil(BLOCK) * (WIRES + 1) + ties
}

/// Elements that are opened for so many ties besides those of their slacks.
pub(crate) const fn quadratic_answers(ties: usize) -> usize {
    ties.div_ceil(BLOCK) * WIRES
}

/// At how many points, at most, something wrong can look right.
pub(crate) const fn quadratic_degree(ties: usize) -> usize {
    2 * if ties < BLOCK { ties } else { BLOCK }
}

/// Ties that are proven together.
pub(super) struct Block<F: Field> {
    /// The forms of each tie.
    wires: Vec<[Form; WIRES]>,
    /// Which number the slack of each is, if it may be something else than 0.
    slacks: Vec<Option<usize>>,
    /// What values at 0, .., L give at L+1, .., 2L.
    beyond: Vec<Vec<F>>,
}

impl<F: Field> Block<F> {
    /// All blocks of these ties, whose slacks begin at this number.
    pub(super) fn all(ties: &[Quadratic], mut slack: usize) -> Vec<Self> {
        let mut next = |tie: &Quadratic| {
            tie.has_slack().then(|| {
                slack += 1;
                slack - 1
            })
        };
        let block = |ties: &[Quadratic]| Self {
            wires: ties.iter().map(|tie| tie.wires.clone()).collect(),
            slacks: ties.iter().map(&mut next).collect(),
            beyond: {
                let (weights, nodes) = (consecutive_weights(ties.len() + 1), places(0, ties.len()));
                places(ties.len() + 1, ties.len() - 1).iter().map(|x| lagrange_with(&weights, &nodes, *x)).collect()
            },
        };
        ties.chunks(BLOCK).map(block).collect()
    }

    /// Elements that are dealt: the masks, P(0), P(L+1), .., P(2L).
    pub(super) fn elements(&self) -> usize {
        quadratic_elements(self.wires.len())
    }

    /// What is dealt where the numbers and the masks are these.
    pub(super) fn encode(&self, numbers: &[F], masks: &[F], out: &mut Vec<F>) {
        out.extend_from_slice(masks);
        let gate = |wires: [F; WIRES]| wires[0] * wires[1] - wires[2].square();
        out.push(gate([masks[0], masks[1], masks[2]]));
        for row in &self.beyond {
            let values = std::array::from_fn(|wire| {
                let tied = self.wires.iter().zip(&row[1..]);
                tied.fold(row[0] * masks[wire], |sum, (forms, l)| l.mul_add(value(&forms[wire], numbers), sum))
            });
            out.push(gate(values));
        }
    }
}

fn value<F: Field>(form: &Form, numbers: &[F]) -> F {
    form.iter().fold(F::ZERO, |sum, (number, times)| signed::<F>(*times).mul_add(numbers[*number], sum))
}

/// A block at the point s.
pub(super) struct BlockAt<F: Field> {
    /// What each wire takes of its mask, and of numbers.
    mask: F,
    wires: [Vec<(usize, F)>; WIRES],
    /// What q takes of P(0), P(L+1), .., P(2L): times the coefficient.
    dealt: Vec<F>,
    coefficient: F,
}

impl<F: Field> BlockAt<F> {
    /// What q takes of slacks is added to `tied`.
    pub(super) fn new(block: &Block<F>, s: F, coefficient: F, tied: &mut [F]) -> Self {
        let ties = block.wires.len();
        let of_wires = lagrange_with(&consecutive_weights(ties + 1), &places(0, ties), s);
        let mut of_gate = lagrange_with(&consecutive_weights(2 * ties + 1), &places(0, 2 * ties), s);
        F::scale_slice(&mut of_gate, coefficient);
        for (slack, l) in block.slacks.iter().zip(&of_gate[1..]) {
            if let Some(slack) = slack {
                tied[*slack] += *l;
            }
        }
        let wires = std::array::from_fn(|wire| {
            let forms = block.wires.iter().zip(&of_wires[1..]);
            forms.flat_map(|(forms, l)| forms[wire].iter().map(|(n, times)| (*n, signed::<F>(*times) * *l))).collect()
        });
        let dealt = of_gate[..1].iter().chain(&of_gate[ties + 1..]).copied().collect();
        Self { mask: of_wires[0], wires, dealt, coefficient }
    }

    /// Appends the share of each wire at s, and returns that of P(s) times the coefficient, less what it takes of slacks.
    pub(super) fn answer(&self, dealt: &[F], numbers: &[F], answers: &mut Vec<F>) -> F {
        let (masks, gate) = dealt.split_at(WIRES);
        for (wire, mask) in self.wires.iter().zip(masks) {
            answers.push(wire.iter().fold(self.mask * *mask, |sum, (n, l)| l.mul_add(numbers[*n], sum)));
        }
        F::dot(&self.dealt, gate)
    }

    /// What P(s) times the coefficient has to be, from the opened wires.
    pub(super) fn expected(&self, wires: &[F]) -> F {
        (wires[0] * wires[1] - wires[2].square()) * self.coefficient
    }
}
