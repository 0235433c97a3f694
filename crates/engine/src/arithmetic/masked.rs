//! Comparison where products are verified: masks of shared random bits, and a tree of products.
//!
//! For p = 2^k - 1 and a number x below p, with a mask R of k random bits as an integer in [0, p]:
//!
//! ```text
//!   open  c = x + R mod p          uniform up to 2^-k, after the bits were verified
//!   tree  w = [c < R]              the sum passed p; c is public, so that bits are compared by local operations
//!   then  lowest bit of x = c_0 xor R_0 xor w
//! ```
//!
//! x is negative exactly if 2x is odd (Nishide, Ohta 2007). Damgård, Fitzi, Kiltz, Nielsen, Toft 2006 for bits and masks. Every
//! bit squares to itself and every product is noted; an opening verifies them before it begins
//! ([`verify`](super::verify)), so that a mask is never taken from what it hides by bits that are none.
//!
//! Cost per number: k random bits, 2k products, one opening; rounds: those of the bits, of two
//! verifications, log2 k + 2. Any n > 2t, whatever t peers do; perfect but for 2^-k.

use subtle::Choice;
use tacit_algebra::Field;
use tacit_algebra::poly::powers;

use super::{Arithmetic, ArithmeticError, Shared};

/// Numbers that are compared together: their bits take a few megabytes.
pub(crate) const MASKED_AT_ONCE: usize = 1 << 12;

impl<F: Field> Arithmetic<'_, F> {
    /// The lowest bit of each number below p, shared.
    pub(super) async fn lowest_bit_by_masks(&mut self, x: &Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        let mut out = Shared::zeros(0);
        for piece in x.expose_shares().chunks(MASKED_AT_ONCE) {
            let piece = Shared::from_shares(piece.to_vec());
            out.append(self.lowest_bit_of_piece(&piece).await?.expose_shares());
        }
        Ok(out)
    }

    async fn lowest_bit_of_piece(&mut self, x: &Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        let width = F::BITS as usize;
        let bits = self.random_bits(x.len() * width).await?;
        let weights = powers(F::from_u64(2), width);
        let masks = bits.expose_shares().chunks_exact(width).map(|bits| F::dot(bits, &weights)).collect();
        let mut masked = Shared::from_shares(masks);
        masked.add_assign(x);
        let opened: Vec<u128> = self.open(&masked).await?.into_iter().map(F::to_u128).collect();
        let passed = self.less_than_bits(&opened, &bits, width).await?;
        let mut lowest = Shared::zeros(x.len());
        let own = bits.expose_shares().iter().step_by(width);
        for ((lowest, own), opened) in lowest.shares_mut().iter_mut().zip(own).zip(&opened) {
            *lowest = F::conditional_select(own, &(F::ONE - *own), Choice::from((opened & 1) as u8));
        }
        // a xor b is a + b - 2ab.
        let mut both = self.multiply(&lowest, &passed).await?;
        both.scale(-F::from_u64(2));
        both.add_assign(&lowest);
        both.add_assign(&passed);
        Ok(both)
    }

    /// 1 where a public number is less than the one with these shared bits, lowest first, else 0.
    pub(super) async fn less_than_bits(
        &mut self,
        public: &[u128],
        bits: &Shared<F>,
        width: usize,
    ) -> Result<Shared<F>, ArithmeticError> {
        // Of each place: the public bit is less; the bits are equal.
        let (mut less, mut equal) = (bits.duplicate(), bits.duplicate());
        let rows = less.shares_mut().chunks_exact_mut(width).zip(equal.shares_mut().chunks_exact_mut(width));
        for ((less, equal), public) in rows.zip(public) {
            for (place, (less, equal)) in less.iter_mut().zip(equal).enumerate() {
                let set = Choice::from((public >> place & 1) as u8);
                *less = F::conditional_select(less, &F::ZERO, set);
                *equal = F::conditional_select(&(F::ONE - *equal), equal, set);
            }
        }
        let (rows, mut width) = (public.len(), width);
        while width > 1 {
            let pairs = width / 2;
            // Whether the lowest places of all are equal is not needed.
            let (mut upper, mut lower) = (Shared::zeros(0), Shared::zeros(0));
            for row in 0..rows {
                let less = &less.expose_shares()[row * width..(row + 1) * width];
                let equal = &equal.expose_shares()[row * width..(row + 1) * width];
                let place = |of: &[F], first: usize, from: usize| {
                    Shared::from_shares(of[first..2 * pairs].iter().skip(2 * from).step_by(2).copied().collect())
                };
                upper.append(place(equal, 1, 0).expose_shares());
                lower.append(place(less, 0, 0).expose_shares());
                upper.append(place(equal, 1, 1).expose_shares());
                lower.append(place(equal, 0, 1).expose_shares());
            }
            let products = self.multiply(&upper, &lower).await?;
            let (mut next_less, mut next_equal) = (Shared::zeros(0), Shared::zeros(0));
            for (row, products) in products.expose_shares().chunks_exact(2 * pairs - 1).enumerate() {
                let here = row * width..(row + 1) * width;
                let (less, equal) = (&less.expose_shares()[here.clone()], &equal.expose_shares()[here]);
                let merged = (0..pairs).map(|pair| less[2 * pair + 1] + products[pair]).collect();
                next_less.append(Shared::from_shares(merged).expose_shares());
                next_less.append(&less[2 * pairs..]);
                next_equal.append(&[F::ZERO]);
                next_equal.append(&products[pairs..]);
                next_equal.append(&equal[2 * pairs..]);
            }
            (less, equal) = (next_less, next_equal);
            width = pairs + width % 2;
        }
        Ok(less)
    }
}
