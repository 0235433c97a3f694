//! Shared bits that are one with a public probability: what noise is sampled from.
//!
//! A coin is the comparison of 64 random bits, which nobody knows, with a public threshold: one with probability
//! threshold / 2^64 exactly. Random bits cost nothing, a coin 184 gates and the way up of one bit.
//!
//! Semi-honest, t < n/2, n <= 11: t parties learn nothing about any coin. As in Dwork, Kenthapadi, McSherry, Mironov, Naor
//! 2006 (Our Data, Ourselves), where noise is made of such coins.

use tacit_algebra::Field;

use super::boolean::{slice_words, words};
use super::{Arithmetic, ArithmeticError, Shared};

/// Random bits that a coin is tossed with.
const WIDTH: usize = 64;

impl<F: Field> Arithmetic<'_, F> {
    /// A bit for each threshold, one with probability threshold / 2^64, else 0, shared. No threshold is zero.
    ///
    /// Rounds: 7 for the comparison and those of the way up; again for every [`lanes`](Self::lanes) coins.
    pub async fn biased_bits(&mut self, thresholds: &[u64]) -> Result<Shared<F>, ArithmeticError> {
        if thresholds.contains(&0) {
            return Err(ArithmeticError::WrongCall { what: "a coin that is never one need not be tossed" });
        }
        self.ready_for_bits().await?;
        let mut out = Vec::with_capacity(thresholds.len());
        for thresholds in thresholds.chunks(self.lanes()) {
            let length = thresholds.len();
            let random = self.random_shared_planes(WIDTH, words(length))?;
            // random + (2^64 - threshold) leaves at the top unless random is below the threshold.
            let complements: Vec<u64> = thresholds.iter().map(|threshold| threshold.wrapping_neg()).collect();
            let complements = self.public_planes(WIDTH, words(length), &slice_words(&complements));
            let mut bit = self.carry(&random, &complements, WIDTH, false).await?;
            self.negate(&mut bit);
            out.extend_from_slice(self.lift(&bit, length).await?.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }
}
