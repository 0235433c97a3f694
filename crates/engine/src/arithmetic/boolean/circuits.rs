//! Adders on bit-sliced values, of logarithmic depth.

use tacit_algebra::Field;

use super::Planes;
use crate::arithmetic::{Arithmetic, ArithmeticError};

/// Two summands of the same width. With `modular` their sum is meant modulo p = 2^width - 1: what leaves at
/// the top comes in at the bottom. Otherwise it is meant modulo 2^width.
pub(in crate::arithmetic) struct Sum {
    pub(in crate::arithmetic) left: Planes,
    pub(in crate::arithmetic) right: Planes,
    pub(in crate::arithmetic) modular: bool,
}

impl<F: Field> Arithmetic<'_, F> {
    /// Many summands become two with the same sum: carry save, three become two with one gate per bit (Wallace
    /// 1964). One round for three and for four more than one: 3: 1, 4: 2, 5, 6: 3 rounds.
    pub(in crate::arithmetic) async fn compress(
        &mut self,
        mut summands: Vec<Planes>,
        modular: bool,
    ) -> Result<Sum, ArithmeticError> {
        while summands.len() > 2 {
            let rest = summands.split_off(summands.len() / 3 * 3);
            let width = summands[0].len();
            let halves: Vec<(Planes, Planes)> =
                summands.chunks_exact(3).map(|group| (group[0].xor(&group[2]), group[1].xor(&group[2]))).collect();
            let planes = halves.len() * width;
            let left = summands[0].gather(planes, |i| Some((&halves[i / width].0, i % width)));
            let right = summands[0].gather(planes, |i| Some((&halves[i / width].1, i % width)));
            let gates: Vec<(usize, usize)> = (0..planes).map(|i| (i, i)).collect();
            // The majority of a, b, c is (a + c)(b + c) + c.
            let products = self.and(&left, &right, &gates).await?;
            let mut next = Vec::new();
            for (g, (group, (mut sum, _))) in summands.chunks_exact(3).zip(halves).enumerate() {
                sum.xor_assign(&group[1]);
                let from = |i: usize| if i > 0 { Some(i - 1) } else { modular.then_some(width - 1) };
                let mut carry = products.gather(width, |i| from(i).map(|i| (&products, g * width + i)));
                for i in 0..width {
                    if let Some(from) = from(i) {
                        carry.xor_plane(i, &group[2], from);
                    }
                }
                next.extend([sum, carry]);
            }
            next.extend(rest);
            summands = next;
        }
        match (summands.pop(), summands.pop()) {
            (Some(right), Some(left)) => Ok(Sum { left, right, modular }),
            _ => Err(ArithmeticError::WrongCall { what: "a sum has two summands" }),
        }
    }

    /// The carry that leaves the lowest `width` bits of `left + right + carry_in`, one plane.
    ///
    /// 1 + ceil(log2 width) rounds, less than 3 width gates: a tree of (generate, propagate).
    pub(in crate::arithmetic) async fn carry(
        &mut self,
        left: &Planes,
        right: &Planes,
        width: usize,
        carry_in: bool,
    ) -> Result<Planes, ArithmeticError> {
        let mut blocks = width;
        // Generate of each block, then propagate.
        let mut tree = self.generate_propagate(left, right, width).await?;
        if carry_in && width > 0 {
            let propagate = tree.gather(1, |_| Some((&tree, width)));
            tree.xor_plane(0, &propagate, 0);
        }
        while blocks > 1 {
            let pairs = blocks / 2;
            let generate = (0..pairs).map(|j| (blocks + 2 * j + 1, 2 * j));
            // Nothing comes into the lowest block, so nothing is propagated by it.
            let propagate = (1..pairs).map(|j| (blocks + 2 * j + 1, blocks + 2 * j));
            let gates: Vec<(usize, usize)> = generate.chain(propagate).collect();
            let products = self.and(&tree, &tree, &gates).await?;
            let above = blocks.div_ceil(2);
            let mut next = tree.gather(2 * above, |i| match i {
                i if i < above => Some((&tree, (2 * i + 1).min(blocks - 1))),
                i if i == above => None,
                i if i - above < pairs => Some((&products, pairs + i - above - 1)),
                _ => Some((&tree, 2 * blocks - 1)),
            });
            (0..pairs).for_each(|j| next.xor_plane(j, &products, j));
            (tree, blocks) = (next, above);
        }
        Ok(tree.gather(1, |_| (width > 0).then_some((&tree, 0))))
    }

    /// The lowest `take` bits of the sum, below p if it is modular.
    ///
    /// 1 + ceil(log2 width) rounds, one more if it is modular; width + width log2 width gates (Sklansky 1960).
    pub(in crate::arithmetic) async fn add_up(&mut self, sum: &Sum, take: usize) -> Result<Planes, ArithmeticError> {
        let width = if sum.modular { sum.left.len() } else { take };
        let leaves = self.generate_propagate(&sum.left, &sum.right, width).await?;
        let mut prefix = leaves.gather(2 * width, |i| Some((&leaves, i)));
        let mut distance = 1;
        while distance < width {
            let upper: Vec<usize> = (0..width).filter(|i| i & distance != 0).collect();
            // The last bit of the lower half.
            let below = |i: usize| (i & !(2 * distance - 1)) + distance - 1;
            let both = |i: &usize| sum.modular || *i >= 2 * distance;
            let generate = upper.iter().map(|i| (width + i, below(*i)));
            let propagate = upper.iter().filter(|i| both(i)).map(|i| (width + i, width + below(*i)));
            let gates: Vec<(usize, usize)> = generate.chain(propagate).collect();
            let products = self.and(&prefix, &prefix, &gates).await?;
            for (k, i) in upper.iter().enumerate() {
                prefix.xor_plane(*i, &products, k);
            }
            for (k, i) in upper.iter().filter(|i| both(i)).enumerate() {
                prefix.copy_plane(width + i, &products, upper.len() + k);
            }
            distance *= 2;
        }
        let mut out = leaves.gather(take, |i| Some((&leaves, width + i)));
        (1..take).for_each(|i| out.xor_plane(i, &prefix, i - 1));
        if sum.modular {
            // Comes in where the sum is at least p: where it leaves at the top, or is all ones.
            let mut carry_in = prefix.gather(1, |_| Some((&prefix, width - 1)));
            carry_in.xor_plane(0, &prefix, 2 * width - 1);
            let gates: Vec<(usize, usize)> = (1..take).map(|i| (0, width + i - 1)).collect();
            let products = self.and(&carry_in, &prefix, &gates).await?;
            out.xor_plane(0, &carry_in, 0);
            (1..take).for_each(|i| out.xor_plane(i, &products, i - 1));
        }
        Ok(out)
    }

    /// Where bits of the summands make a carry (`width` planes), then where they hand one on.
    async fn generate_propagate(
        &mut self,
        left: &Planes,
        right: &Planes,
        width: usize,
    ) -> Result<Planes, ArithmeticError> {
        let gates: Vec<(usize, usize)> = (0..width).map(|i| (i, i)).collect();
        let generate = self.and(left, right, &gates).await?;
        let mut both = left.gather(2 * width, |i| match i {
            i if i < width => Some((&generate, i)),
            i => Some((left, i - width)),
        });
        (0..width).for_each(|i| both.xor_plane(width + i, right, i));
        Ok(both)
    }
}
