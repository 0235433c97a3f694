//! Networks of comparisons: which numbers are compared does not depend on the numbers.
//!
//! Every stage is one batched comparison and one multiplication, for all rows at once. Batcher 1968 as in
//! Knuth, The Art of Computer Programming 3, 5.2.2 (sort, any length); the k largest by sorted blocks
//! whose pairs are merged and cut to k (bitonic merge, the same sources).

use tacit_algebra::Field;

use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::evaluate::Cost;

/// Disjoint pairs whose smaller number goes to the first place.
type Stage = Vec<(usize, usize)>;

/// The stages that sort so many numbers, ascending.
fn sorting(length: usize) -> Vec<Stage> {
    let mut stages = Vec::new();
    let top = length.next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            let stage = (0..length.saturating_sub(d)).filter(|i| i & p == r).map(|i| (i, i + d)).collect();
            stages.push(stage);
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
    stages
}

/// Each row of `width` numbers sorted, ascending; all below 2^bits. On bits, unless products are verified or the bits
/// of all numbers are too many.
pub(in crate::evaluate) async fn sort<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    mut rows: Shared<F>,
    width: usize,
    bits: u32,
) -> Result<Shared<F>, ArithmeticError> {
    if arithmetic.sorts_on_bits(rows.len(), width, bits) {
        return arithmetic.sort_rows(&rows, width, bits).await;
    }
    for stage in sorting(width) {
        rows = exchange(arithmetic, rows, width, &stage, bits).await?;
    }
    Ok(rows)
}

pub(in crate::evaluate) fn sort_cost(width: usize, rows: usize, bits: u32, cost: &mut Cost) {
    if !cost.sort_on_bits(rows, width, bits) {
        sorting(width).iter().for_each(|stage| stage_cost(stage.len() * rows, bits, cost));
    }
}

fn stage_cost(pairs: usize, bits: u32, cost: &mut Cost) {
    cost.compare(pairs, bits);
    cost.multiply(pairs);
}

/// Keys in ascending order, and what belongs to each in the same order; both with their bits. As [`sort`], in one row.
pub(in crate::evaluate) async fn sort_pairs<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    (mut keys, bits): (Shared<F>, u32),
    (mut payload, payload_bits): (Shared<F>, u32),
) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
    let length = keys.len();
    if arithmetic.sorts_on_bits(length, length, bits + payload_bits) {
        return arithmetic.sort_with(&keys, bits, &payload, payload_bits).await;
    }
    for stage in sorting(length).into_iter().filter(|stage| !stage.is_empty()) {
        let places = |upper: bool| stage.iter().map(move |(a, b)| if upper { *b } else { *a });
        let (low, high) = (taken(&keys, places(false)), taken(&keys, places(true)));
        let swap = arithmetic.less_than(&high, &low, bits).await?;
        let mut moved =
            Shared::concat(&[&high.sub(&low), &taken(&payload, places(true)).sub(&taken(&payload, places(false)))]);
        arithmetic.multiply_assign(&mut moved, &Shared::concat(&[&swap, &swap])).await?;
        for (numbers, moved) in
            [(&mut keys, &moved.expose_shares()[..stage.len()]), (&mut payload, &moved.expose_shares()[stage.len()..])]
        {
            let mut shares = numbers.expose_shares().to_vec();
            for ((a, b), moved) in stage.iter().zip(moved) {
                (shares[*a], shares[*b]) = (shares[*a] + *moved, shares[*b] - *moved);
            }
            *numbers = Shared::from_shares(shares);
        }
    }
    Ok((keys, payload))
}

pub(in crate::evaluate) fn sort_pairs_cost(length: usize, bits: u32, payload_bits: u32, cost: &mut Cost) {
    if !cost.sort_pairs_on_bits(length, bits, payload_bits) {
        for pairs in sorting(length).iter().map(Vec::len).filter(|pairs| *pairs > 0) {
            cost.compare(pairs, bits);
            cost.multiply(2 * pairs);
        }
    }
}

/// The numbers at these places.
fn taken<F: Field>(numbers: &Shared<F>, places: impl Iterator<Item = usize>) -> Shared<F> {
    let shares = numbers.expose_shares();
    Shared::from_shares(places.map(|place| shares[place]).collect())
}

/// Puts each pair of each row in order.
async fn exchange<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    rows: Shared<F>,
    width: usize,
    stage: &Stage,
    bits: u32,
) -> Result<Shared<F>, ArithmeticError> {
    if stage.is_empty() {
        return Ok(rows);
    }
    let places = |row: usize| stage.iter().map(move |(a, b)| (row * width + a, row * width + b));
    let pairs: Vec<(usize, usize)> = (0..rows.len() / width).flat_map(places).collect();
    let first = taken(&rows, pairs.iter().map(|(a, _)| *a));
    let second = taken(&rows, pairs.iter().map(|(_, b)| *b));
    let (low, high) = in_order(arithmetic, &first, &second, bits).await?;
    let mut out = rows.expose_shares().to_vec();
    for (i, (a, b)) in pairs.iter().enumerate() {
        out[*a] = low.expose_shares()[i];
        out[*b] = high.expose_shares()[i];
    }
    Ok(Shared::from_shares(out))
}

/// The smaller and the larger of each pair.
async fn in_order<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    a: &Shared<F>,
    b: &Shared<F>,
    bits: u32,
) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
    let mut swap = arithmetic.less_than(b, a, bits).await?;
    arithmetic.multiply_assign(&mut swap, &b.sub(a)).await?;
    Ok((a.add(&swap), b.sub(&swap)))
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
    let mut rows = sort(arithmetic, Shared::concat(&[&numbers, &fill]), block, bits).await?;
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
        let (_, mut merged) = in_order(arithmetic, &first, &second, bits).await?;
        for stage in bitonic(block) {
            merged = exchange(arithmetic, merged, block, &stage, bits).await?;
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

    fn run(stages: &[Stage], row: &mut [bool]) {
        for stage in stages {
            for (a, b) in stage {
                (row[*a], row[*b]) = (row[*a] & row[*b], row[*a] | row[*b]);
            }
        }
    }

    /// A network that sorts all rows of zeros and ones sorts everything (Knuth 5.3.4, theorem Z).
    #[test]
    fn networks_sort_all_zeros_and_ones() {
        for length in 1..=13usize {
            let stages = sorting(length);
            for pattern in 0..1u32 << length {
                let mut row: Vec<bool> = (0..length).map(|i| pattern >> i & 1 == 1).collect();
                run(&stages, &mut row);
                assert!(row.is_sorted(), "{length}: {pattern:b}");
            }
            let disjoint = |stage: &Stage| {
                let mut seen = vec![false; length];
                stage.iter().flat_map(|(a, b)| [*a, *b]).all(|place| !std::mem::replace(&mut seen[place], true))
            };
            assert!(stages.iter().all(disjoint));
        }
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
