//! Tests for zero and equality that leak nothing: their results are shared.
//!
//! | | when | rounds | products per element |
//! |---|---|---|---|
//! | masked bits | p = 2^k - 1, k >= 61, short vectors | those of random_bits, 1, those of ceil(log2 k) multiplications | k - 1, and k random bits |
//! | Fermat | everything else | those of about 4/3 k multiplications | about 4/3 k |
//!
//! The first opens a + r for random bits of r: a is zero exactly if the opened number has r's bits. k bits
//! give every residue but zero one way and zero two, which is uniform up to 2^-k.

use subtle::Choice;
use tacit_algebra::Field;
use tacit_algebra::poly::powers;

use super::{Arithmetic, ArithmeticError, Shared};

/// Longer vectors are tested by Fermat's theorem: more rounds, fewer products.
pub(crate) const MASKED_LENGTH: usize = 2048;

impl<F: Field> Arithmetic<'_, F> {
    /// 1 where `a[i] = b[i]`, else 0, shared. Costs what [`is_zero`](Self::is_zero) costs.
    pub async fn equal(&mut self, a: &Shared<F>, b: &Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        if a.len() != b.len() {
            return Err(ArithmeticError::WrongCall { what: "vectors that are compared are equally long" });
        }
        self.is_zero(&a.sub(b)).await
    }

    /// 1 where `a[i]` is zero, else 0, shared; nothing is opened that depends on a. Semi-honest, t < n/2;
    /// wrong with probability 2^-k per element in the first way of the module's table, never
    /// in the second. Nishide, Ohta 2007; 1 - a^(p-1) as in SEPIA (Burkhart et al. 2010).
    pub async fn is_zero(&mut self, a: &Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        let mersenne = F::BITS >= 61 && (F::MODULUS + 1).is_power_of_two();
        if mersenne && a.len() < MASKED_LENGTH {
            return self.is_zero_by_bits(a).await;
        }
        let mut result = self.power(a, F::MODULUS - 1).await?;
        result.scale(-F::ONE);
        result.add_constant(&vec![F::ONE; a.len()]);
        Ok(result)
    }

    async fn is_zero_by_bits(&mut self, a: &Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        let width = F::BITS as usize;
        let mut bits = self.random_bits(a.len() * width).await?;
        let weights = powers(F::from_u64(2), width);
        let mask = bits.expose_shares().chunks_exact(width).map(|bits| F::dot(bits, &weights)).collect();
        let mut masked = Shared::from_shares(mask);
        masked.add_assign(a);
        let opened = self.open(&masked).await?;
        // b where the opened bit is 1, 1 - b where it is 0: all ones exactly if the bits agree.
        for (bits, opened) in bits.shares_mut().chunks_exact_mut(width).zip(opened) {
            let opened = opened.to_u128();
            for (j, bit) in bits.iter_mut().enumerate() {
                let same = Choice::from((opened >> j & 1) as u8);
                *bit = F::conditional_select(&(F::ONE - *bit), bit, same);
            }
        }
        self.product(&bits, width).await
    }
}
