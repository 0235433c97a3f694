//! Shared bits that are one with a public probability: what noise is sampled from.
//!
//! A coin is the comparison of 64 random bits, which nobody knows, with a public threshold: one with probability
//! threshold / 2^64 exactly.
//!
//! Semi-honest, t < n/2, n <= 11: replicated random bits cost nothing, a coin 184 gates and the way up of one bit; t parties learn
//! nothing about any coin. Where products are verified, any n > 2t: the bits are shared random ones, each of which is verified to square
//! to itself, and a tree of products compares them ([`masked`](super::masked)); t parties can neither learn nor choose a coin, and what
//! was tossed wrongly is never opened. A coin takes 64 random bits and 2 * 64 products. As in Dwork, Kenthapadi, McSherry, Mironov, Naor
//! 2006 (Our Data, Ourselves), where noise is made of such coins.

use tacit_algebra::Field;

use super::boolean::{slice_words, words};
use super::masked::MASKED_AT_ONCE;
use super::{Arithmetic, ArithmeticError, Shared};

/// Random bits that a coin is tossed with.
const WIDTH: usize = 64;

impl<F: Field> Arithmetic<'_, F> {
    /// A bit for each threshold, one with probability threshold / 2^64, else 0, shared. No threshold is zero.
    ///
    /// Rounds: 7 for the comparison and those of the way up; again for every [`lanes`](Self::lanes) coins. Verified: those of the bits
    /// and of 6 products; again for every 4096 coins.
    pub async fn biased_bits(&mut self, thresholds: &[u64]) -> Result<Shared<F>, ArithmeticError> {
        if thresholds.contains(&0) {
            return Err(ArithmeticError::WrongCall { what: "a coin that is never one need not be tossed" });
        }
        if self.verifies() {
            return self.biased_bits_by_products(thresholds).await;
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

    /// Of verified bits: random < threshold unless threshold - 1 < random.
    async fn biased_bits_by_products(&mut self, thresholds: &[u64]) -> Result<Shared<F>, ArithmeticError> {
        let mut out = Shared::zeros(0);
        for thresholds in thresholds.chunks(MASKED_AT_ONCE) {
            let random = self.random_bits(thresholds.len() * WIDTH).await?;
            let largest: Vec<u128> = thresholds.iter().map(|threshold| u128::from(*threshold) - 1).collect();
            let mut coins = self.less_than_bits(&largest, &random, WIDTH).await?;
            coins.scale(-F::ONE);
            coins.add_constant(&vec![F::ONE; thresholds.len()]);
            out.append(coins.expose_shares());
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
