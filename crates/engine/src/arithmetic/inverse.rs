//! Inverses, and the opening of masked products that they rest on.

use std::ops::Range;

use tacit_algebra::Field;

use super::slices::Route;
use super::wire::{self, Kind};
use super::{Arithmetic, ArithmeticError, Shared};

/// Shorter vectors are opened in one round.
pub(crate) const SLICED_LENGTH: usize = 4096;
/// A random element is zero so often in a row with probability below 2^-60.
const TRIES_BITS: u32 = 60;

impl<F: Field> Arithmetic<'_, F> {
    /// The inverse of each element.
    ///
    /// A product with a random element is opened: one round and n-1 elements per party, for vectors
    /// from 4096 on two rounds and 2(n-1)/n, and a call of [`random`](Self::random). A random element that
    /// happened to be zero is replaced and tried again. Any t < n/2 learn nothing: what is opened is
    /// uniform, and where products are verified, this one is before it is opened. An element that is zero gives [`ArithmeticError::NotInvertible`], which tells everybody
    /// that it is zero (wrong with probability below 2^-60). Bar-Ilan, Beaver 1989.
    pub async fn inverse(&mut self, a: &Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        let mut out = self.random(a.len()).await?;
        let opened = self.open_products(a, &out, &mut |_| ()).await?;
        let mut waiting: Vec<usize> = (0..opened.len()).filter(|i| opened[*i] == F::ZERO).collect();
        scale_by_inverses(out.shares_mut(), opened);
        for _ in 0..TRIES_BITS.div_ceil(F::BITS - 1) {
            if waiting.is_empty() {
                return Ok(out);
            }
            let some = Shared::from_shares(waiting.iter().map(|i| a.expose_shares()[*i]).collect());
            let mut inverses = self.random(waiting.len()).await?;
            let opened = self.open_products(&some, &inverses, &mut |_| ()).await?;
            let still: Vec<bool> = opened.iter().map(|v| *v == F::ZERO).collect();
            scale_by_inverses(inverses.shares_mut(), opened);
            for (i, inverse) in waiting.iter().zip(inverses.expose_shares()) {
                out.shares_mut()[*i] = *inverse;
            }
            let mut still = still.into_iter();
            waiting.retain(|_| still.next() == Some(true));
        }
        match waiting.first() {
            None => Ok(out),
            Some(index) => Err(ArithmeticError::NotInvertible { index: *index }),
        }
    }

    /// Opens `a[i] * b[i]` to everybody and nothing else about a and b: shares of degree 2t, masked by a
    /// sharing of zero, are added up. `transform` is applied to the sums, where slices are used by
    /// the king alone. Where products are verified, they are multiplied, verified and opened instead.
    pub(super) async fn open_products(
        &mut self,
        a: &Shared<F>,
        b: &Shared<F>,
        transform: &mut (impl FnMut(&mut [F]) + Send),
    ) -> Result<Vec<F>, ArithmeticError> {
        if a.len() != b.len() {
            return Err(ArithmeticError::WrongCall { what: "vectors of one product are equally long" });
        }
        if self.verifies() {
            let products = self.multiply(a, b).await?;
            let mut opened = self.open(&products).await?;
            transform(&mut opened);
            return Ok(opened);
        }
        let operation = self.begin()?;
        let result = self.open_products_inner(operation, a.expose_shares(), b.expose_shares(), transform).await;
        self.end(result)
    }

    async fn open_products_inner(
        &mut self,
        operation: u32,
        a: &[F],
        b: &[F],
        transform: &mut (impl FnMut(&mut [F]) + Send),
    ) -> Result<Vec<F>, ArithmeticError> {
        let lambda = self.lambda_of_all()?;
        let mut zero = self.take_zero()?;
        let mut fill = |_: usize, range: Range<usize>, tile: &mut [F]| {
            F::mul_slice(tile, &a[range.clone()], &b[range]);
            F::scale_slice(tile, lambda);
            zero.add_to(tile);
        };
        let opened = if a.len() >= SLICED_LENGTH {
            let route = Route { senders: self.n - 1, receivers: 1 };
            self.gather(operation, a.len(), route, fill, transform).await?
        } else {
            let mut sum = vec![F::ZERO; a.len()];
            super::dealing::tiles(a.len()).for_each(|tile| fill(self.me, tile.clone(), &mut sum[tile]));
            if !sum.is_empty() {
                let mut message = wire::message::<F>(Kind::Open, operation, sum.len());
                F::encode_slice(&sum, &mut message);
                for other in self.others() {
                    self.send(other, message.clone());
                }
                for other in self.others() {
                    let message = self.recv(other).await?;
                    let bytes = self.content(&message, other, Kind::Open, operation, sum.len())?;
                    let tile = &mut self.tile;
                    let added = super::context::decode_tiles(bytes, tile, |at, tile| {
                        F::add_assign_slice(&mut sum[at..at + tile.len()], tile);
                    });
                    added.map_err(|_| self.malformed(other))?;
                }
            }
            transform(&mut sum);
            sum
        };
        self.zero = Some(zero);
        Ok(opened)
    }
}

/// `shares[i] /= opened[i]`; those with a zero become anything.
fn scale_by_inverses<F: Field>(shares: &mut [F], mut opened: Vec<F>) {
    invert_or_keep_zero(&mut opened);
    shares.iter_mut().zip(opened).for_each(|(share, inverse)| *share *= inverse);
}

/// Inverts public numbers in place; zeros stay.
pub(super) fn invert_or_keep_zero<F: Field>(xs: &mut [F]) {
    for xs in xs.chunks_mut(super::linear::TILE) {
        let zeros: Vec<usize> = (0..xs.len()).filter(|i| xs[*i] == F::ZERO).collect();
        zeros.iter().for_each(|i| xs[*i] = F::ONE);
        F::invert_all(xs).expect("no zero is left");
        zeros.iter().for_each(|i| xs[*i] = F::ZERO);
    }
}
