//! Putting long vectors together by slices: each party is the king of one slice of a block, gets the
//! others' summands of it, and sends the sum back.
//!
//! ```text
//!   send                  collect                    read
//!   summands of slice k   king k adds them up,       k's result
//!   ------> king k        may transform the sum
//!                         ------> its receivers
//! ```
//!
//! Two rounds. The three steps are apart so that a caller may overlap those of several blocks.

use std::ops::Range;

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::ArithmeticError;
use super::context::{Arithmetic, decode_tiles};
use super::dealing::tiles;
use super::wire::{self, Kind};

/// Who sends to whom, as distances after a king.
#[derive(Clone, Copy)]
pub(super) struct Route {
    /// The king's summands come from itself and the so many peers after it.
    pub(super) senders: usize,
    /// The result goes to the peers at this distance and above.
    pub(super) receivers: usize,
}

/// What this party is adding up, for two blocks at a time.
pub(super) struct Slices<F: Field> {
    route: Route,
    sums: [Zeroizing<Vec<F>>; 2],
}

/// What is put together at a time.
pub(super) struct Block {
    pub(super) operation: u32,
    /// Which one of the operation's blocks.
    pub(super) number: usize,
    /// Indices of the vector.
    pub(super) range: Range<usize>,
}

/// The part of a block that belongs to king `k` of n.
pub(super) fn slice(block: &Range<usize>, n: usize, k: usize) -> Range<usize> {
    let size = block.len().div_ceil(n);
    (block.start + k * size).min(block.end)..(block.start + (k + 1) * size).min(block.end)
}

impl<F: Field> Slices<F> {
    pub(super) fn new(route: Route) -> Self {
        Self { route, sums: [Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new())] }
    }

    /// Sends summands of each slice to its king. `fill` gets the king, indices of the vector and
    /// the tile.
    pub(super) fn send(
        &mut self,
        context: &Arithmetic<'_, F>,
        block: &Block,
        mut fill: impl FnMut(usize, Range<usize>, &mut [F]),
        tile: &mut [F],
    ) {
        let (n, me) = (context.n, context.me);
        let sum = &mut self.sums[block.number % 2];
        sum.clear();
        sum.resize(slice(&block.range, n, me).len(), F::ZERO);
        // The same order for all parties: streams of zeros are read alike.
        for king in 0..n {
            let range = slice(&block.range, n, king);
            if range.is_empty() || (n + me - king) % n > self.route.senders {
                continue;
            }
            let indices = |tile: &Range<usize>| range.start + tile.start..range.start + tile.end;
            if king == me {
                tiles(range.len()).for_each(|t| fill(king, indices(&t), &mut sum[t]));
                continue;
            }
            let mut message = wire::message::<F>(Kind::ToKing, block.operation, range.len());
            for t in tiles(range.len()) {
                let tile = &mut tile[..t.len()];
                fill(king, indices(&t), tile);
                F::encode_slice(tile, &mut message);
            }
            context.send(king, message);
        }
    }

    /// As king: adds the others' summands, transforms the sum, sends it, and hands it over.
    pub(super) async fn collect(
        &mut self,
        context: &Arithmetic<'_, F>,
        block: &Block,
        transform: &mut (impl FnMut(&mut [F]) + Send),
        mut result: impl FnMut(usize, Range<usize>, &[F]),
        tile: &mut [F],
    ) -> Result<(), ArithmeticError> {
        let (n, me) = (context.n, context.me);
        let range = slice(&block.range, n, me);
        if range.is_empty() {
            return Ok(());
        }
        let sum = &mut self.sums[block.number % 2];
        for sender in (1..=self.route.senders).map(|i| (me + i) % n) {
            let message = context.recv(sender).await?;
            let bytes = context.content(&message, sender, Kind::ToKing, block.operation, range.len())?;
            decode_tiles(bytes, tile, |at, tile| F::add_assign_slice(&mut sum[at..at + tile.len()], tile))
                .map_err(|_| context.malformed(sender))?;
        }
        transform(sum);
        let mut message = wire::message::<F>(Kind::FromKing, block.operation, range.len());
        F::encode_slice(sum, &mut message);
        let mut receivers = (self.route.receivers..n).map(|i| (me + i) % n);
        if let Some(first) = receivers.next() {
            for receiver in receivers {
                context.send(receiver, message.clone());
            }
            context.send(first, message);
        }
        result(me, range, sum);
        Ok(())
    }

    /// Reads the other kings' results.
    pub(super) async fn read(
        &mut self,
        context: &Arithmetic<'_, F>,
        block: &Block,
        mut result: impl FnMut(usize, Range<usize>, &[F]),
        tile: &mut [F],
    ) -> Result<(), ArithmeticError> {
        let (n, me) = (context.n, context.me);
        for king in (1..n).map(|i| (me + i) % n) {
            let range = slice(&block.range, n, king);
            if range.is_empty() || (n + me - king) % n < self.route.receivers {
                continue;
            }
            let message = context.recv(king).await?;
            let bytes = context.content(&message, king, Kind::FromKing, block.operation, range.len())?;
            let start = range.start;
            decode_tiles(bytes, tile, |at, tile| result(king, start + at..start + at + tile.len(), tile))
                .map_err(|_| context.malformed(king))?;
        }
        Ok(())
    }
}
