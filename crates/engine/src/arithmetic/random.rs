//! Shared random elements that nobody knows.
//!
//! | | when | rounds | elements sent per party and element |
//! |---|---|---|---|
//! | [`Subsets`] | few subsets, or short vectors | 0 (once 1 for the keys, unless n = 3) | 0 |
//! | [`Batches`] | everything else | 1 | (n-1-t)/(n-t) |

use std::ops::Range;

use tacit_algebra::Field;

use super::{Arithmetic, ArithmeticError, Shared};

mod batches;
mod subsets;

pub(super) use batches::Batches;
pub(super) use subsets::{Subsets, contains};
pub(crate) use subsets::{sets, share_of_one as subset_share_of_one};

/// Up to so many streams per party subsets are cheaper than batches, for vectors of any length.
const SUBSETS_ALWAYS: usize = 6;
/// Up to so many streams per party subsets serve short vectors.
const SUBSETS_AT_MOST: usize = 20;
/// What counts as a short vector.
const SHORT: usize = 4096;

/// In how many sets a party is, if so many random elements come from keys of sets.
pub(crate) fn can_hold_subsets(n: usize, t: usize, length: usize) -> Option<usize> {
    let held = held(n, t);
    (held <= SUBSETS_ALWAYS || (held <= SUBSETS_AT_MOST && length < SHORT)).then_some(held)
}

/// How many sets a party is in: n-1 choose t. Saturates.
fn held(n: usize, t: usize) -> usize {
    // Each step is a binomial coefficient, so the division is exact.
    (0..t).try_fold(1usize, |held, i| Some(held.checked_mul(n - 1 - i)? / (i + 1))).unwrap_or(usize::MAX)
}

impl<F: Field> Arithmetic<'_, F> {
    /// So many uniform elements, unknown to any t parties.
    ///
    /// n = 3: no round, no bytes. Up to 20 subsets per party (n <= 7): the same, after one round for
    /// keys at the first call; otherwise one round and (n-1-t)/(n-t) elements. Semi-honest, t < n/2.
    /// Cramer, Damgård, Ishai 2005 (subsets); Beerliová-Trubíniová, Hirt 2008 (batches).
    pub async fn random(&mut self, length: usize) -> Result<Shared<F>, ArithmeticError> {
        let out = self.random_unchecked(length).await?;
        self.check_degree(&[out.expose_shares()]).await?;
        Ok(out)
    }

    /// The same; where n > 2t+1 and a peer deviates, the shares may lie on no polynomial of degree t.
    pub(super) async fn random_unchecked(&mut self, length: usize) -> Result<Shared<F>, ArithmeticError> {
        let mut out = Shared::zeros(length);
        let operation = self.begin()?;
        let result = match can_hold_subsets(self.n, self.t, length) {
            Some(_) => self.random_of_subsets(operation, out.shares_mut()).await,
            None => self.random_of_batches(operation, out.shares_mut()).await,
        };
        self.end(result).map(|()| out)
    }

    async fn random_of_subsets(&mut self, operation: u32, out: &mut [F]) -> Result<(), ArithmeticError> {
        let mut subsets = match self.subsets.take() {
            Some(subsets) => subsets,
            None => Box::new(Subsets::exchange(self, operation).await?),
        };
        subsets.fill(out);
        self.subsets = Some(subsets);
        Ok(())
    }

    async fn random_of_batches(&mut self, operation: u32, out: &mut [F]) -> Result<(), ArithmeticError> {
        let mut batches = self.take_batches()?;
        let block = Batches::<F>::block(self.n, self.t);
        let blocks = out.len().div_ceil(block);
        let range = |number: usize| -> Range<usize> { number * block..((number + 1) * block).min(out.len()) };
        let ranges: Vec<Range<usize>> = (0..blocks).map(range).collect();
        for step in 0..=blocks {
            if let Some(range) = ranges.get(step) {
                self.mailbox.drained().await;
                batches.deal(self, operation, range.len());
            }
            if let Some(number) = step.checked_sub(1) {
                let range = ranges[number].clone();
                let masks = batches.collect(self, operation, range.len()).await?;
                out[range.clone()].copy_from_slice(&masks[..range.len()]);
                batches.recycle(masks);
            }
        }
        self.batches = Some(batches);
        Ok(())
    }

    pub(super) fn take_batches(&mut self) -> Result<Box<Batches<F>>, ArithmeticError> {
        match self.batches.take() {
            Some(batches) => Ok(batches),
            None => Ok(Box::new(Batches::new(self)?)),
        }
    }
}
