//! Sorting by comparisons of shared numbers: Batcher's merge exchange, a stage at a time.
//!
//! Every stage is one batched comparison and one multiplication, for all rows at once; which numbers are compared does not
//! depend on the numbers. It is what sorting is made of where comparisons are verified, or the bits of all numbers are too many
//! for [`sort`](super::sort). Batcher 1968 as in Knuth, The Art of Computer Programming 3, 5.2.2 (any length).

use tacit_algebra::Field;

use super::{Arithmetic, ArithmeticError, Shared};

/// Disjoint pairs whose smaller number goes to the first place.
pub(crate) type Stage = Vec<(usize, usize)>;

/// The stages that sort so many numbers, ascending.
pub(crate) fn sorting(length: usize) -> Vec<Stage> {
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

impl<F: Field> Arithmetic<'_, F> {
    /// Each row of `width` numbers sorted, ascending; all below 2^bits.
    pub(super) async fn sort_by_comparisons(
        &mut self,
        mut rows: Shared<F>,
        width: usize,
        bits: u32,
    ) -> Result<Shared<F>, ArithmeticError> {
        for stage in sorting(width) {
            rows = self.exchange_pairs(rows, width, &stage, bits).await?;
        }
        Ok(rows)
    }

    /// Keys below 2^bits in ascending order, and what belongs to each in the same order.
    pub(super) async fn sort_with_by_comparisons(
        &mut self,
        mut keys: Shared<F>,
        bits: u32,
        mut payload: Shared<F>,
    ) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
        for stage in sorting(keys.len()).into_iter().filter(|stage| !stage.is_empty()) {
            let places = |upper: bool| stage.iter().map(move |(a, b)| if upper { *b } else { *a });
            let (low, high) = (taken(&keys, places(false)), taken(&keys, places(true)));
            let swap = self.less_than(&high, &low, bits).await?;
            let mut moved =
                Shared::concat(&[&high.sub(&low), &taken(&payload, places(true)).sub(&taken(&payload, places(false)))]);
            self.multiply_assign(&mut moved, &Shared::concat(&[&swap, &swap])).await?;
            for (numbers, moved) in [
                (&mut keys, &moved.expose_shares()[..stage.len()]),
                (&mut payload, &moved.expose_shares()[stage.len()..]),
            ] {
                let mut shares = numbers.expose_shares().to_vec();
                for ((a, b), moved) in stage.iter().zip(moved) {
                    (shares[*a], shares[*b]) = (shares[*a] + *moved, shares[*b] - *moved);
                }
                *numbers = Shared::from_shares(shares);
            }
        }
        Ok((keys, payload))
    }

    /// Puts each pair of each row in order.
    pub(crate) async fn exchange_pairs(
        &mut self,
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
        let (low, high) = self.in_order(&first, &second, bits).await?;
        let mut out = rows.expose_shares().to_vec();
        for (i, (a, b)) in pairs.iter().enumerate() {
            out[*a] = low.expose_shares()[i];
            out[*b] = high.expose_shares()[i];
        }
        Ok(Shared::from_shares(out))
    }

    /// The smaller and the larger of each pair.
    pub(crate) async fn in_order(
        &mut self,
        a: &Shared<F>,
        b: &Shared<F>,
        bits: u32,
    ) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
        let mut swap = self.less_than(b, a, bits).await?;
        self.multiply_assign(&mut swap, &b.sub(a)).await?;
        Ok((a.add(&swap), b.sub(&swap)))
    }
}

/// The numbers at these places.
fn taken<F: Field>(numbers: &Shared<F>, places: impl Iterator<Item = usize>) -> Shared<F> {
    let shares = numbers.expose_shares();
    Shared::from_shares(places.map(|place| shares[place]).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run(stages: &[Stage], row: &mut [bool]) {
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
    }
}
