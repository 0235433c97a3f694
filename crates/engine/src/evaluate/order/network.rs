//! The k largest of many, by a network of comparisons, and what such networks cost: which numbers are compared does not depend on
//! the numbers.
//!
//! Blocks are sorted, their pairs merged and cut to k (bitonic merge: Batcher 1968 as in Knuth, The Art of Computer Programming 3,
//! 5.2.2).

use tacit_algebra::Field;

use crate::arithmetic::network::{Stage, sorting};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::evaluate::Cost;

/// What [`Arithmetic::sort_rows`] costs.
pub(in crate::evaluate) fn sort_cost(width: usize, rows: usize, bits: u32, cost: &mut Cost) {
    if !cost.sort_on_bits(rows, width, bits) {
        sorting(width).iter().for_each(|stage| stage_cost(stage.len() * rows, bits, cost));
    }
}

fn stage_cost(pairs: usize, bits: u32, cost: &mut Cost) {
    cost.compare(pairs, bits);
    cost.multiply(pairs);
}

/// What [`Arithmetic::sort_with`] costs.
pub(in crate::evaluate) fn sort_pairs_cost(length: usize, bits: u32, payload_bits: u32, cost: &mut Cost) {
    if !cost.sort_pairs_on_bits(length, bits, payload_bits) {
        for pairs in sorting(length).iter().map(Vec::len).filter(|pairs| *pairs > 0) {
            cost.compare(pairs, bits);
            cost.multiply(2 * pairs);
        }
    }
}

/// What [`Arithmetic::min`] and [`Arithmetic::max`] cost; [`Arithmetic::argmin`] chooses two values at a time.
pub(in crate::evaluate) fn extreme_cost(mut width: usize, rows: usize, bits: u32, values: usize, cost: &mut Cost) {
    while width > 1 {
        cost.compare(width / 2 * rows, bits);
        cost.multiply(values * (width / 2) * rows);
        width = width.div_ceil(2);
    }
}

/// The k largest numbers, descending; fewer numbers than k are filled up with zeros.
pub(in crate::evaluate) async fn top<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    numbers: Shared<F>,
    k: usize,
    bits: u32,
) -> Result<Shared<F>, ArithmeticError> {
    let block = k.next_power_of_two();
    let fill = Shared::zeros(numbers.len().next_multiple_of(block) - numbers.len());
    let mut rows = arithmetic.sort_rows(&Shared::concat(&[&numbers, &fill]), block, bits).await?;
    while rows.len() > block {
        let pairs = rows.len() / block / 2;
        let shares = rows.expose_shares();
        let of = |pair: usize, upper: bool| {
            let start = (2 * pair + usize::from(upper)) * block;
            shares[start..start + block].iter().copied()
        };
        // The larger ones of an ascending and a descending block: the k largest of both, bitonic.
        let first = Shared::from_shares((0..pairs).flat_map(|pair| of(pair, false)).collect());
        let second = Shared::from_shares((0..pairs).flat_map(|pair| of(pair, true).rev()).collect());
        let left = rows.slice(2 * pairs * block..rows.len());
        let (_, mut merged) = arithmetic.in_order(&first, &second, bits).await?;
        for stage in bitonic(block) {
            merged = arithmetic.exchange_pairs(merged, block, &stage, bits).await?;
        }
        rows = Shared::concat(&[&merged, &left]);
    }
    let ascending = rows.expose_shares();
    Ok(Shared::from_shares(ascending.iter().rev().take(k).copied().collect()))
}

pub(in crate::evaluate) fn top_cost(length: usize, k: usize, bits: u32, cost: &mut Cost) {
    let block = k.next_power_of_two();
    let mut blocks = length.div_ceil(block);
    sort_cost(block, blocks, bits, cost);
    while blocks > 1 {
        stage_cost(blocks / 2 * block, bits, cost);
        bitonic(block).iter().for_each(|stage| stage_cost(blocks / 2 * stage.len(), bits, cost));
        blocks = blocks.div_ceil(2);
    }
}

/// The stages that sort a bitonic row whose length is a power of two.
fn bitonic(length: usize) -> Vec<Stage> {
    let distances = std::iter::successors(Some(length / 2), |d| Some(d / 2)).take_while(|d| *d > 0);
    distances.map(|d| (0..length).filter(|i| i & d == 0).map(|i| (i, i + d)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::network::tests::run;

    /// A network that sorts all rows of zeros and ones sorts everything (Knuth 5.3.4, theorem Z).
    #[test]
    fn bitonic_networks_sort_all_bitonic_zeros_and_ones() {
        // Up and then down, or down and then up.
        for pattern in (0..=8).flat_map(|a| (a..=8).map(move |b| (a, b))) {
            for inside in [false, true] {
                let mut row: Vec<bool> = (0..8).map(|i| (pattern.0..pattern.1).contains(&i) == inside).collect();
                run(&bitonic(8), &mut row);
                assert!(row.is_sorted());
            }
        }
    }
}
