//! Degree reduction by resharing (Gennaro, Rabin, Rabin 1998) with seed compression.
//!
//! Each of 2t+1 dealers shares its local product, times its Lagrange coefficient, with degree t;
//! everybody adds what it gets. The coefficient is folded into the dealer's weights, so receivers
//! only add. t of the n-1 shares of a dealer are seeded and never sent. With more than 2t+1 parties
//! the dealers rotate from chunk to chunk.

use std::ops::Range;

use tacit_algebra::Field;
use tacit_algebra::poly::lagrange_at;

use crate::arithmetic::WINDOW;
use crate::arithmetic::context::{Arithmetic, decode_tiles};
use crate::arithmetic::dealing::{Streams, Weights, tiles};
use crate::arithmetic::error::ArithmeticError;
use crate::arithmetic::streams::{Purpose, draw};
use crate::arithmetic::wire::{self, Kind};

/// What resharing needs.
pub(in crate::arithmetic) struct Reshare<F> {
    streams: Streams,
    /// By first dealer; `None` if this party is not a dealer then.
    weights: Vec<Option<Weights<F>>>,
}

/// The dealers of a chunk.
fn dealers(n: usize, t: usize, first: usize) -> impl Iterator<Item = usize> {
    (first..=first + 2 * t).map(move |i| i % n)
}

/// A dealer's weights, its Lagrange coefficient folded in.
pub(super) fn folded_weights<F: Field>(
    points: &[F],
    t: usize,
    me: usize,
    first: usize,
) -> Result<Option<Weights<F>>, ArithmeticError> {
    let n = points.len();
    let Some(place) = dealers(n, t, first).position(|i| i == me) else { return Ok(None) };
    let dealing: Vec<F> = dealers(n, t, first).map(|i| points[i]).collect();
    let lambda = lagrange_at(&dealing, F::ZERO).map_err(|_| ArithmeticError::WrongCall { what: "distinct points" })?;
    Weights::new(points, t, me, F::ZERO, lambda[place]).map(Some)
}

impl<F: Field> Reshare<F> {
    fn new(context: &Arithmetic<'_, F>) -> Result<Self, ArithmeticError> {
        let Arithmetic { n, t, me, points, seeds, .. } = context;
        let weights = (0..*n).map(|first| folded_weights(points, *t, *me, first)).collect::<Result<_, _>>()?;
        Ok(Self { streams: Streams::new(seeds, *n, *t, Purpose::Reshare)?, weights })
    }
}

impl<F: Field> Arithmetic<'_, F> {
    pub(super) async fn reshare(
        &mut self,
        operation: u32,
        mut product: impl FnMut(Range<usize>, &[F], &mut [F]) + Send,
        out: &mut [F],
    ) -> Result<(), ArithmeticError> {
        let mut reshare = match self.reshare.take() {
            Some(reshare) => reshare,
            None => Box::new(Reshare::new(self)?),
        };
        let chunk = wire::chunk::<F>();
        let chunks = out.len().div_ceil(chunk);
        let range = |number: usize, length: usize| number * chunk..((number + 1) * chunk).min(length);
        let ahead = WINDOW.min(chunks);
        let first_turn = if self.n == 2 * self.t + 1 { 0 } else { self.next_turn() };
        let turn = |context: &Self, number: usize| {
            if context.n == 2 * context.t + 1 { 0 } else { (first_turn + number) % context.n }
        };
        for step in 0..chunks + ahead {
            if step < chunks {
                self.mailbox.drained().await;
                let range = range(step, out.len());
                let start = range.start;
                let product = |tile: Range<usize>, current: &[F], column: &mut [F]| {
                    product(start + tile.start..start + tile.end, current, column);
                };
                let first = turn(self, step);
                self.deal_products(&mut reshare, operation, first, product, &mut out[range]);
            }
            if let Some(number) = step.checked_sub(ahead) {
                let range = range(number, out.len());
                let first = turn(self, number);
                self.add_products(&mut reshare, operation, first, &mut out[range]).await?;
            }
        }
        self.reshare = Some(reshare);
        Ok(())
    }

    /// As a dealer: sends shares of one chunk of local products; `out` gets the own ones.
    fn deal_products(
        &mut self,
        reshare: &mut Reshare<F>,
        operation: u32,
        first: usize,
        mut product: impl FnMut(Range<usize>, &[F], &mut [F]),
        out: &mut [F],
    ) {
        let Some(weights) = &reshare.weights[first] else {
            out.fill(F::ZERO);
            return;
        };
        let message = |_: &_| wire::message::<F>(Kind::Reshare, operation, out.len());
        let mut messages: Vec<Vec<u8>> = weights.explicit.iter().map(message).collect();
        for tile in tiles(out.len()) {
            let own = &mut out[tile.clone()];
            let fill = |current: &[F], column: &mut [F]| product(tile, current, column);
            self.columns.deal(weights, &mut reshare.streams, fill, own, &mut messages);
        }
        for ((receiver, _), message) in weights.explicit.iter().zip(messages) {
            self.send(*receiver, message);
        }
    }

    /// As a receiver: adds all other dealers' shares of one chunk.
    async fn add_products(
        &mut self,
        reshare: &mut Reshare<F>,
        operation: u32,
        first: usize,
        out: &mut [F],
    ) -> Result<(), ArithmeticError> {
        let (n, t, me) = (self.n, self.t, self.me);
        for dealer in dealers(n, t, first).filter(|i| *i != me) {
            if let Some(stream) = reshare.streams.from(dealer) {
                for tile in tiles(out.len()) {
                    let column = &mut self.tile[..tile.len()];
                    draw(stream, column);
                    F::add_assign_slice(&mut out[tile], column);
                }
            }
        }
        for dealer in dealers(n, t, first).filter(|i| *i != me) {
            if reshare.streams.from(dealer).is_some() {
                continue;
            }
            let message = self.recv(dealer).await?;
            let bytes = self.content(&message, dealer, Kind::Reshare, operation, out.len())?;
            decode_tiles(bytes, &mut self.tile, |at, tile| F::add_assign_slice(&mut out[at..at + tile.len()], tile))
                .map_err(|_| ArithmeticError::Malformed { member: self.members[dealer] })?;
        }
        Ok(())
    }
}
