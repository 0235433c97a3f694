//! Products of shared vectors.
//!
//! A product of two shares of degree t is a share of degree 2t of the product (Ben-Or, Goldwasser,
//! Wigderson 1988). [`Arithmetic::reduce`] brings it back to degree t, by the cheaper of two ways:
//!
//! | | when | rounds | elements sent per party and product |
//! |---|---|---|---|
//! | [`reshare`] | short vectors; n < 7 | 1 | (n-1-t)(2t+1)/n; n = 3: exactly 1 |
//! | [`king`] | long vectors, n >= 7 | 3 | (n-1-t)/(n-t) + (n-1)/n + (n-1-t)/n: 2.2 for n = 11 |
//!
//! Anything that is a sum of products is reduced once per sum: see [`Arithmetic::dot`].

use std::ops::Range;

use tacit_algebra::Field;

use super::{Arithmetic, ArithmeticError, Shared};

mod king;
mod reshare;
#[cfg(test)]
mod secrecy;

pub(super) use king::King;
pub(super) use reshare::Reshare;

/// From so many parties on long vectors go over kings (measured: benches/multiply.rs).
pub(crate) const KING_FROM: usize = 7;
/// Shorter vectors are reshared, in one round.
pub(crate) const KING_LENGTH: usize = 16 * 1024;

impl<F: Field> Arithmetic<'_, F> {
    /// `a[i] * b[i]`.
    ///
    /// Cost, promise and sources: see [`multiply_into`](Self::multiply_into).
    pub async fn multiply(&mut self, a: &Shared<F>, b: &Shared<F>) -> Result<Shared<F>, ArithmeticError> {
        let mut out = Shared::zeros(a.len());
        self.multiply_into(a, b, &mut out).await?;
        Ok(out)
    }

    /// `out[i] = a[i] * b[i]`, without new memory for the result.
    ///
    /// One round and (n-1-t)(2t+1)/n elements per product and party; for long vectors from seven
    /// parties on three rounds and about two elements. Semi-honest, t < n/2: the shares
    /// of the product are fresh, whoever puts t parties' views together learns nothing.
    /// Gennaro, Rabin, Rabin 1998 with seed compression; Damgård, Nielsen 2007 with rotating kings
    /// (Goyal, Song 2020).
    pub async fn multiply_into(
        &mut self,
        a: &Shared<F>,
        b: &Shared<F>,
        out: &mut Shared<F>,
    ) -> Result<(), ArithmeticError> {
        if a.len() != b.len() || a.len() != out.len() {
            return Err(ArithmeticError::WrongCall { what: "vectors of one product are equally long" });
        }
        let piece = self.piece(1);
        let factors = a.expose_shares().chunks(piece).zip(b.expose_shares().chunks(piece));
        for ((a, b), out) in factors.zip(out.shares_mut().chunks_mut(piece)) {
            self.reduce(|range, _, tile| F::mul_slice(tile, &a[range.clone()], &b[range]), out).await?;
            self.note(a, b, 1, out).await?;
        }
        Ok(())
    }

    /// `a[i] *= b[i]`, in place. Costs what [`multiply_into`](Self::multiply_into) costs.
    pub async fn multiply_assign(&mut self, a: &mut Shared<F>, b: &Shared<F>) -> Result<(), ArithmeticError> {
        if a.len() != b.len() {
            return Err(ArithmeticError::WrongCall { what: "vectors of one product are equally long" });
        }
        let piece = self.piece(1);
        for (a, b) in a.shares_mut().chunks_mut(piece).zip(b.expose_shares().chunks(piece)) {
            let factors = self.keep(a);
            self.reduce(|range, a, tile| F::mul_slice(tile, a, &b[range]), a).await?;
            if let Some(factors) = factors {
                self.note(factors.expose_shares(), b, 1, a).await?;
            }
        }
        Ok(())
    }

    /// `a[i] *= a[i]`, in place. Costs what [`multiply_into`](Self::multiply_into) costs.
    pub async fn square_assign(&mut self, a: &mut Shared<F>) -> Result<(), ArithmeticError> {
        let piece = self.piece(1);
        for a in a.shares_mut().chunks_mut(piece) {
            let factors = self.keep(a);
            self.reduce(|_, a, tile| F::mul_slice(tile, a, a), a).await?;
            if let Some(factors) = factors {
                self.note(factors.expose_shares(), factors.expose_shares(), 1, a).await?;
            }
        }
        Ok(())
    }

    /// Factors that are going to be overwritten and have to be verified.
    fn keep(&self, factors: &[F]) -> Option<Shared<F>> {
        self.verifies().then(|| Shared::from_shares(factors.to_vec()))
    }

    /// Fresh shares of degree t from shares of degree 2t. `product` gets indices of the vector (one tile of
    /// them), what `out` holds there, and writes shares of degree 2t.
    pub(super) async fn reduce(
        &mut self,
        product: impl FnMut(Range<usize>, &[F], &mut [F]) + Send,
        out: &mut [F],
    ) -> Result<(), ArithmeticError> {
        self.reduce_unchecked(product, out).await?;
        self.check_degree(&[out]).await
    }

    /// The same; where n > 2t+1 and a peer deviates, the new shares may lie on no polynomial of degree t.
    pub(super) async fn reduce_unchecked(
        &mut self,
        product: impl FnMut(Range<usize>, &[F], &mut [F]) + Send,
        out: &mut [F],
    ) -> Result<(), ArithmeticError> {
        let operation = self.begin()?;
        if let Some(mut robust) = self.robust.take() {
            let result = self.reduce_robustly(&mut robust, operation, product, out).await;
            self.robust = Some(robust);
            return self.end(result);
        }
        let result = if self.n >= KING_FROM && out.len() >= KING_LENGTH {
            self.over_kings(operation, product, out).await
        } else {
            self.reshare(operation, product, out).await
        };
        self.end(result)
    }
}
