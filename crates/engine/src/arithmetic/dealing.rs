//! Seed-compressed dealing: t of the n-1 shares that a dealer owes are pseudorandom and never sent.
//!
//! A polynomial of degree t is fixed by t+1 values. A dealer's are its secret (or, for random
//! elements, its own share) and the shares of the t receivers after it, which both ends expand from
//! a common seed. All other shares are combinations of those with weights that depend on the points
//! alone (Cramer, Damgård, Ishai 2005, section 4.2, "pseudorandom secret sharing" with one dealer).

use tacit_algebra::Field;
use tacit_algebra::poly::lagrange_at;
use zeroize::Zeroizing;

use super::ArithmeticError;
use super::linear::{TILE, combine};
use super::streams::{Purpose, Seeds, draw};
use crate::keystream::Keystream;

/// The receivers of a dealer whose shares are seeded, in the order of the weights.
pub(super) fn seeded(n: usize, t: usize, dealer: usize) -> impl Iterator<Item = usize> {
    (1..=t).map(move |i| (dealer + i) % n)
}

/// The receivers of a dealer that get a message.
pub(super) fn explicit(n: usize, t: usize, dealer: usize) -> impl Iterator<Item = usize> {
    (t + 1..n).map(move |i| (dealer + i) % n)
}

/// Weights of the shares of one dealer: of the first column, then of the seeded ones.
pub(super) struct Weights<F> {
    /// For each explicit receiver.
    pub(super) explicit: Vec<(usize, Vec<F>)>,
    /// For the dealer's own share.
    pub(super) own: Vec<F>,
}

impl<F: Field> Weights<F> {
    /// The first column is the value at `first` times 1/`factor`.
    pub(super) fn new(points: &[F], t: usize, dealer: usize, first: F, factor: F) -> Result<Self, ArithmeticError> {
        let n = points.len();
        let mut known = vec![first];
        known.extend(seeded(n, t, dealer).map(|i| points[i]));
        let weights = |receiver: usize| -> Result<Vec<F>, ArithmeticError> {
            let mut weights = lagrange_at(&known, points[receiver])
                .map_err(|_| ArithmeticError::WrongCall { what: "evaluation points must be distinct and not zero" })?;
            weights[0] *= factor;
            Ok(weights)
        };
        let explicit = explicit(n, t, dealer).map(|i| Ok((i, weights(i)?))).collect::<Result<_, ArithmeticError>>()?;
        Ok(Self { explicit, own: weights(dealer)? })
    }
}

/// One purpose's streams of this party, as a dealer and as a receiver.
pub(super) struct Streams {
    /// To the seeded receivers, in the order of [`seeded`].
    to: Vec<Keystream>,
    /// From each dealer that seeds this party.
    from: Vec<Option<Keystream>>,
}

impl Streams {
    pub(super) fn new(seeds: &Seeds, n: usize, t: usize, purpose: Purpose) -> Result<Self, ArithmeticError> {
        let me = seeds.me;
        let to = seeded(n, t, me).map(|i| seeds.stream(me, i, purpose)).collect::<Result<_, _>>()?;
        let from = (0..n)
            .map(|dealer| match seeded(n, t, dealer).any(|i| i == me) {
                true => seeds.stream(dealer, me, purpose).map(Some),
                false => Ok(None),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { to, from })
    }

    /// The stream of a dealer that seeds this party.
    pub(super) fn from(&mut self, dealer: usize) -> Option<&mut Keystream> {
        self.from[dealer].as_mut()
    }
}

/// The dealer's columns: the first one, then one per seeded receiver, [`TILE`] elements each.
pub(super) struct Columns<F: Field> {
    arena: Zeroizing<Vec<F>>,
    out: Zeroizing<Vec<F>>,
}

impl<F: Field> Columns<F> {
    pub(super) fn new(t: usize) -> Self {
        Self { arena: Zeroizing::new(vec![F::ZERO; (t + 1) * TILE]), out: Zeroizing::new(vec![F::ZERO; TILE]) }
    }

    /// Deals up to [`TILE`] elements: `fill` makes the first column, `own` gets the dealer's share,
    /// `messages` (one per explicit receiver, in the weights' order) grow by the others'.
    pub(super) fn deal(
        &mut self,
        weights: &Weights<F>,
        streams: &mut Streams,
        fill: impl FnOnce(&[F], &mut [F]),
        own: &mut [F],
        messages: &mut [Vec<u8>],
    ) {
        let length = own.len();
        fill(own, &mut self.arena[..length]);
        for (stream, column) in streams.to.iter_mut().zip(self.arena.chunks_exact_mut(TILE).skip(1)) {
            draw(stream, &mut column[..length]);
        }
        let out = &mut self.out[..length];
        for ((_, weights), message) in weights.explicit.iter().zip(messages) {
            combine(weights, &self.arena, TILE, out);
            F::encode_slice(out, message);
        }
        combine(&weights.own, &self.arena, TILE, own);
    }
}

/// The pieces of at most [`TILE`] elements of `0..length`.
pub(super) fn tiles(length: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..length.div_ceil(TILE)).map(move |i| i * TILE..((i + 1) * TILE).min(length))
}
