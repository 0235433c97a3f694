//! Pseudorandom secret sharing (Cramer, Damgård, Ishai 2005): random sharings without a message.
//!
//! Every set A of n-t parties has a key. The element is the sum over all A of a stream of A's key;
//! any t parties miss the key of the set of all others. Party i's share is the sum over its sets of
//! stream times f_A(x_i), where f_A has degree t, is 1 at zero, and vanishes at all who are not in A.

use tacit_algebra::Field;
use zeroize::Zeroizing;

use crate::arithmetic::ArithmeticError;
use crate::arithmetic::context::Arithmetic;
use crate::arithmetic::dealing::tiles;
use crate::arithmetic::linear::{TILE, combine};
use crate::arithmetic::streams::{Purpose, draw};
use crate::arithmetic::wire::{self, Kind};
use crate::keystream::Keystream;

pub(in crate::arithmetic) struct Subsets<F: Field> {
    streams: Vec<Keystream>,
    /// f_A at this party's point.
    weights: Vec<F>,
    arena: Zeroizing<Vec<F>>,
}

/// All sets of n-t of up to 64 parties, as bits, ascending: n choose t steps, by the next number with as many ones
/// (Gosper).
pub(crate) fn sets(n: usize, t: usize) -> impl Iterator<Item = u64> {
    let next = |set: u128| {
        let low = set & set.wrapping_neg();
        let up = set + low;
        (low > 0).then(|| (((set ^ up) >> 2) / low) | up)
    };
    let first = (1u128 << (n - t)) - 1;
    std::iter::successors(Some(first), move |set| next(*set)).take_while(move |set| set >> n == 0).map(|set| set as u64)
}

pub(in crate::arithmetic) fn contains(set: u64, party: usize) -> bool {
    set >> party & 1 == 1
}

/// The share of one that party `me` of the set has.
pub(crate) fn share_of_one<F: Field>(points: &[F], set: u64, me: usize) -> F {
    let outside = (0..points.len()).filter(|i| !contains(set, *i)).map(|i| points[i]);
    let (above, below) = outside.fold((F::ONE, F::ONE), |(above, below), x| (above * (points[me] - x), below * -x));
    // Points are not zero.
    above * below.inv_or_zero()
}

impl<F: Field> Subsets<F> {
    /// Agrees on the keys. n = 3: no message.
    pub(super) async fn exchange(context: &mut Arithmetic<'_, F>, operation: u32) -> Result<Self, ArithmeticError> {
        let (n, t, me) = (context.n, context.t, context.me);
        let mine: Vec<u64> = sets(n, t).filter(|set| contains(*set, me)).collect();
        let streams = context.streams_of_sets(&mine, operation, Purpose::Subset).await?;
        let weights = mine.iter().map(|set| share_of_one(&context.points, *set, me)).collect();
        let arena = Zeroizing::new(vec![F::ZERO; mine.len() * TILE]);
        Ok(Self { streams, weights, arena })
    }

    /// The next random elements.
    pub(super) fn fill(&mut self, out: &mut [F]) {
        for tile in tiles(out.len()) {
            for (stream, column) in self.streams.iter_mut().zip(self.arena.chunks_exact_mut(TILE)) {
                draw(stream, &mut column[..tile.len()]);
            }
            combine(&self.weights, &self.arena, TILE, &mut out[tile]);
        }
    }
}

impl<F: Field> Arithmetic<'_, F> {
    /// One stream for each of these sets of n-t parties, all of which this party is in: the first of each set
    /// chooses a key and tells the others, in one round. n = 3: the sets are the pairs, who have keys already.
    pub(in crate::arithmetic) async fn streams_of_sets(
        &mut self,
        mine: &[u64],
        operation: u32,
        purpose: Purpose,
    ) -> Result<Vec<Keystream>, ArithmeticError> {
        let (n, me) = (self.n, self.me);
        let first = |set: u64| set.trailing_zeros() as usize;
        let mut streams: Vec<Option<Keystream>> = Vec::new();
        if n == 3 {
            for set in mine {
                let other = (0..n).find(|i| *i != me && contains(*set, *i)).unwrap_or(me);
                streams.push(Some(self.seeds.pair_stream(other, purpose)?));
            }
        } else {
            let mut messages: Vec<Vec<u8>> = vec![Vec::new(); n];
            for set in mine {
                if first(*set) != me {
                    streams.push(None);
                    continue;
                }
                let mut key = Zeroizing::new([0; 32]);
                self.local.fill(&mut *key);
                for (_, message) in messages.iter_mut().enumerate().filter(|(i, _)| *i != me && contains(*set, *i)) {
                    if message.is_empty() {
                        message.reserve_exact(wire::HEADER + 32 * mine.len());
                        wire::header(Kind::Keys, operation, message);
                    }
                    message.extend_from_slice(&*key);
                }
                streams.push(Some(Keystream::new(&key)?));
            }
            for (i, message) in messages.into_iter().enumerate().filter(|(_, message)| !message.is_empty()) {
                self.send(i, message);
            }
            for sender in 0..me {
                let theirs: Vec<usize> = (0..mine.len()).filter(|i| first(mine[*i]) == sender).collect();
                if theirs.is_empty() {
                    continue;
                }
                let message = self.recv(sender).await?;
                let keys =
                    wire::content(&message, Kind::Keys, operation, 32 * theirs.len()).ok_or(self.malformed(sender))?;
                for (i, key) in theirs.into_iter().zip(keys.as_chunks::<32>().0) {
                    streams[i] = Some(Keystream::new(key)?);
                }
            }
        }
        Ok(streams.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_all_of_their_size_in_order() {
        for n in 1..=12 {
            for t in 0..=n {
                let all = (0..1u64 << n).filter(|set| set.count_ones() as usize == n - t);
                assert!(sets(n, t).eq(all), "{n} {t}");
            }
        }
        let many: Vec<u64> = sets(64, 1).collect();
        assert!(many.len() == 64 && many.iter().all(|set| set.count_ones() == 63) && many.is_sorted());
        assert_eq!(sets(40, 2).count(), 780);
    }
}
