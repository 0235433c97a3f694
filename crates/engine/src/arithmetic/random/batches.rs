//! Random sharings in batches: n dealings give n-t results (Beerliová-Trubíniová, Hirt 2008).
//!
//! Everybody deals one random sharing; n-t combinations of the n are taken with a Vandermonde
//! matrix. Any n-t of its columns are invertible, so whatever t parties dealt, the results are
//! uniform as long as the n-t others dealt uniform ones.

use std::collections::VecDeque;

use bytes::Bytes;
use tacit_algebra::Field;
use tacit_algebra::poly::vandermonde;
use zeroize::Zeroizing;

use crate::arithmetic::ArithmeticError;
use crate::arithmetic::context::Arithmetic;
use crate::arithmetic::dealing::{Streams, Weights, explicit, tiles};
use crate::arithmetic::linear::{TILE, combine};
use crate::arithmetic::streams::{Purpose, draw};
use crate::arithmetic::wire::{self, Kind};

pub(in crate::arithmetic) struct Batches<F: Field> {
    streams: Streams,
    /// The dealer's first column is its own share.
    weights: Weights<F>,
    /// n-t rows of n.
    matrix: Vec<Vec<F>>,
    /// Own shares of the dealings that are not collected yet.
    dealt: VecDeque<Zeroizing<Vec<F>>>,
    /// One tile per dealer.
    arena: Zeroizing<Vec<F>>,
    /// Vectors to use again.
    spare: Vec<Zeroizing<Vec<F>>>,
}

impl<F: Field> Batches<F> {
    pub(super) fn new(context: &Arithmetic<'_, F>) -> Result<Self, ArithmeticError> {
        let Arithmetic { n, t, me, points, seeds, .. } = context;
        Ok(Self {
            streams: Streams::new(seeds, *n, *t, Purpose::Mask)?,
            weights: Weights::new(points, *t, *me, points[*me], F::ONE)?,
            matrix: vandermonde(points, n - t),
            dealt: VecDeque::new(),
            arena: Zeroizing::new(vec![F::ZERO; n * TILE]),
            spare: Vec::new(),
        })
    }

    /// Elements of one block: as many as one message from each dealer gives.
    pub(in crate::arithmetic) fn block(n: usize, t: usize) -> usize {
        wire::chunk::<F>() * (n - t)
    }

    /// Deals for a block of `length` elements.
    pub(in crate::arithmetic) fn deal(&mut self, context: &mut Arithmetic<'_, F>, operation: u32, length: usize) {
        let count = length.div_ceil(self.matrix.len());
        let mut own = self.spare.pop().unwrap_or_default();
        own.resize(count, F::ZERO);
        let message = |_: &_| wire::message::<F>(Kind::Mask, operation, count);
        let mut messages: Vec<Vec<u8>> = self.weights.explicit.iter().map(message).collect();
        let Arithmetic { columns, local, .. } = context;
        for tile in tiles(count) {
            let fill = |_: &[F], column: &mut [F]| draw(local, column);
            columns.deal(&self.weights, &mut self.streams, fill, &mut own[tile], &mut messages);
        }
        for ((receiver, _), message) in self.weights.explicit.iter().zip(messages) {
            context.send(*receiver, message);
        }
        self.dealt.push_back(own);
    }

    /// The random elements of the oldest block that was dealt, at least `length` of them.
    pub(in crate::arithmetic) async fn collect(
        &mut self,
        context: &Arithmetic<'_, F>,
        operation: u32,
        length: usize,
    ) -> Result<Zeroizing<Vec<F>>, ArithmeticError> {
        let (n, t, me) = (context.n, context.t, context.me);
        let rows = self.matrix.len();
        let count = length.div_ceil(rows);
        let own = self.dealt.pop_front().unwrap_or_default();
        let mut messages: Vec<Bytes> = vec![Bytes::new(); n];
        for dealer in context.others().filter(|dealer| explicit(n, t, *dealer).any(|i| i == me)) {
            messages[dealer] = context.recv(dealer).await?;
            context.content(&messages[dealer], dealer, Kind::Mask, operation, count)?;
        }
        let mut out = self.spare.pop().unwrap_or_default();
        out.resize(count * rows, F::ZERO);
        for tile in tiles(count) {
            for (dealer, column) in self.arena.chunks_exact_mut(TILE).enumerate() {
                let column = &mut column[..tile.len()];
                if dealer == me {
                    column.copy_from_slice(&own[tile.clone()]);
                } else if let Some(stream) = self.streams.from(dealer) {
                    draw(stream, column);
                } else {
                    let bytes = wire::HEADER + tile.start * F::BYTES..wire::HEADER + tile.end * F::BYTES;
                    F::decode_into(&messages[dealer][bytes], column).map_err(|_| context.malformed(dealer))?;
                }
            }
            for (row, out) in self.matrix.iter().zip(out.chunks_exact_mut(count)) {
                combine(row, &self.arena, TILE, &mut out[tile.clone()]);
            }
        }
        self.spare.push(own);
        Ok(out)
    }

    /// Takes a vector back for later.
    pub(in crate::arithmetic) fn recycle(&mut self, used: Zeroizing<Vec<F>>) {
        self.spare.push(used);
    }
}
