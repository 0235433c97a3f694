//! Pseudorandom additive sharings of zero.
//!
//! Neighbours on a ring add and subtract the same stream, so that everything cancels. Each party has
//! 2d neighbours, the d before and after it, d = ceil((t+1)/2). Taking any t parties away leaves the
//! others connected (the d-th power of a cycle is 2d-connected), therefore the honest parties'
//! shares are uniform but for their sum: all that t parties and the receiver learn is the sum.

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::ArithmeticError;
use super::linear::TILE;
use super::streams::{Purpose, Seeds, draw};
use crate::keystream::Keystream;

pub(super) struct Zero<F: Field> {
    /// Stream, and whether this party adds it.
    streams: Vec<(Keystream, bool)>,
    tile: Zeroizing<Vec<F>>,
}

impl<F: Field> Zero<F> {
    pub(super) fn new(seeds: &Seeds, n: usize, t: usize) -> Result<Self, ArithmeticError> {
        let streams = neighbours(n, t, seeds.me)
            .map(|i| Ok((seeds.pair_stream(i, Purpose::Zero)?, seeds.me < i)))
            .collect::<Result<_, ArithmeticError>>()?;
        Ok(Self { streams, tile: Zeroizing::new(vec![F::ZERO; TILE]) })
    }

    /// Adds this party's shares of so many zeros, at most [`TILE`].
    pub(super) fn add_to(&mut self, out: &mut [F]) {
        let tile = &mut self.tile[..out.len()];
        for (stream, adds) in &mut self.streams {
            draw(stream, tile);
            if *adds {
                F::add_assign_slice(out, tile);
            } else {
                F::sub_assign_slice(out, tile);
            }
        }
    }
}

/// The peers that share a stream with this one.
pub(super) fn neighbours(n: usize, t: usize, me: usize) -> impl Iterator<Item = usize> {
    let reach = (t + 1).div_ceil(2);
    (0..n).filter(move |i| {
        let distance = (n + *i - me) % n;
        distance != 0 && (distance <= reach || n - distance <= reach)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_t_parties_the_others_stay_connected() {
        for n in 3..=11usize {
            for t in 1..=(n - 1) / 2 {
                for gone in (0u32..1 << n).filter(|gone| gone.count_ones() as usize == t) {
                    let left: Vec<usize> = (0..n).filter(|i| gone >> i & 1 == 0).collect();
                    let mut reached = vec![left[0]];
                    let mut at = 0;
                    while at < reached.len() {
                        for i in neighbours(n, t, reached[at]) {
                            assert!(neighbours(n, t, i).any(|back| back == reached[at]));
                            if left.contains(&i) && !reached.contains(&i) {
                                reached.push(i);
                            }
                        }
                        at += 1;
                    }
                    assert_eq!(reached.len(), left.len(), "n = {n}, t = {t}");
                }
            }
        }
    }
}
