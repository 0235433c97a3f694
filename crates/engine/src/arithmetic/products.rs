//! Sums of products, products of many, and powers.

use std::ops::Range;

use tacit_algebra::Field;

use super::{Arithmetic, ArithmeticError, Shared};

/// Bits of an exponent that are handled together.
const WINDOW_BITS: u32 = 3;

impl<F: Field> Arithmetic<'_, F> {
    /// One number per `width` consecutive elements: the sum of `a[i] * b[i]` over them.
    ///
    /// Costs what [`multiply_into`](Self::multiply_into) costs for a vector of as many elements as the result
    /// has: the sum is formed before the degree is reduced (Catrina, de Hoogh 2010).
    pub async fn dot(&mut self, a: &Shared<F>, b: &Shared<F>, width: usize) -> Result<Shared<F>, ArithmeticError> {
        if a.len() != b.len() || width == 0 || !a.len().is_multiple_of(width) {
            return Err(ArithmeticError::WrongCall { what: "both vectors have whole rows of the same width" });
        }
        let mut out = Shared::zeros(a.len() / width);
        let piece = self.piece(width).min(out.len().max(1));
        let factors = a.expose_shares().chunks(piece * width).zip(b.expose_shares().chunks(piece * width));
        for ((a, b), out) in factors.zip(out.shares_mut().chunks_mut(piece)) {
            let product = |range: Range<usize>, _: &[F], tile: &mut [F]| {
                let range = range.start * width..range.end * width;
                let rows = a[range.clone()].chunks_exact(width).zip(b[range].chunks_exact(width));
                tile.iter_mut().zip(rows).for_each(|(out, (a, b))| *out = F::dot(a, b));
            };
            self.reduce(product, out).await?;
            self.note(a, b, width, out).await?;
        }
        Ok(out)
    }

    /// The product of two matrices, stored row by row: `a` has `rows` rows, `b` has `columns` columns.
    ///
    /// Costs what [`multiply_into`](Self::multiply_into) costs for rows * columns elements, whatever the inner
    /// dimension. Where products are verified, it takes memory for rows * columns * inner factors.
    pub async fn matmul(
        &mut self,
        a: &Shared<F>,
        b: &Shared<F>,
        rows: usize,
        columns: usize,
    ) -> Result<Shared<F>, ArithmeticError> {
        let inner = a.len().checked_div(rows).unwrap_or(0);
        if columns == 0 || inner == 0 || inner * rows != a.len() || inner * columns != b.len() {
            return Err(ArithmeticError::WrongCall { what: "the matrices fit and are not empty" });
        }
        let a = a.expose_shares();
        let mut transposed = Shared::zeros(b.len());
        for (i, row) in b.expose_shares().chunks_exact(columns).enumerate() {
            for (j, element) in row.iter().enumerate() {
                transposed.shares_mut()[j * inner + i] = *element;
            }
        }
        let b = transposed.expose_shares();
        if self.verifies() {
            let left: Vec<F> =
                a.chunks_exact(inner).flat_map(|row| std::iter::repeat_n(row, columns)).flatten().copied().collect();
            let right: Vec<F> = std::iter::repeat_n(b, rows).flatten().copied().collect();
            return self.dot(&Shared::from_shares(left), &Shared::from_shares(right), inner).await;
        }
        let mut out = Shared::zeros(rows * columns);
        let product = |range: Range<usize>, _: &[F], tile: &mut [F]| {
            for (out, index) in tile.iter_mut().zip(range) {
                let (row, column) = (index / columns, index % columns);
                *out = F::dot(&a[row * inner..][..inner], &b[column * inner..][..inner]);
            }
        };
        self.reduce(product, out.shares_mut()).await?;
        Ok(out)
    }

    /// One number per `width` consecutive elements: their product.
    ///
    /// A tree: ceil(log2 width) times a multiplication, width-1 products per result; the promise is the multiplication's.
    pub async fn product(&mut self, a: &Shared<F>, width: usize) -> Result<Shared<F>, ArithmeticError> {
        if width == 0 || !a.len().is_multiple_of(width) {
            return Err(ArithmeticError::WrongCall { what: "the vector has whole rows" });
        }
        let rows = a.len() / width;
        let (mut level, mut width) = (a.duplicate(), width);
        while width > 1 {
            let half = width / 2;
            let factors = level.expose_shares();
            let mut products = Shared::zeros(rows * half);
            let product = |range: Range<usize>, _: &[F], mut tile: &mut [F]| {
                let mut index = range.start;
                while !tile.is_empty() {
                    let (row, column) = (index / half, index % half);
                    let (run, rest) = tile.split_at_mut((half - column).min(tile.len()));
                    let left = &factors[row * width + column..][..run.len()];
                    let right = &factors[row * width + half + column..][..run.len()];
                    F::mul_slice(run, left, right);
                    index += run.len();
                    tile = rest;
                }
            };
            if self.verifies() {
                let side = |from: usize| {
                    let rows = factors.chunks_exact(width).flat_map(|row| &row[from..from + half]);
                    Shared::from_shares(rows.copied().collect())
                };
                self.multiply_into(&side(0), &side(half), &mut products).await?;
            } else {
                self.reduce(product, products.shares_mut()).await?;
            }
            level = match width % 2 {
                0 => products,
                // The last element of each row had no partner.
                _ => {
                    let mut next = Shared::zeros(rows * (half + 1));
                    let rows = products.expose_shares().chunks_exact(half).zip(factors.chunks_exact(width));
                    for (next, (products, factors)) in next.shares_mut().chunks_exact_mut(half + 1).zip(rows) {
                        next[..half].copy_from_slice(products);
                        next[half] = factors[width - 1];
                    }
                    next
                }
            };
            width = half + width % 2;
        }
        Ok(level)
    }

    /// Each element to a public power; 1 for exponent 0.
    ///
    /// For an exponent of b bits b-1 squarings and at most b/3 + 4 multiplications, one after the
    /// other (sliding windows of three bits); exponents below 8 need no table.
    pub async fn power(&mut self, a: &Shared<F>, exponent: u128) -> Result<Shared<F>, ArithmeticError> {
        if exponent == 0 {
            return Ok(Shared::constant(&vec![F::ONE; a.len()]));
        }
        // a, a^3, a^5, a^7 as far as the exponent's windows need them.
        let windows = windows(exponent);
        let largest = windows.iter().map(|(_, digit)| *digit).max().unwrap_or(1);
        let mut odd = vec![a.duplicate()];
        if largest > 1 {
            let mut square = a.duplicate();
            self.square_assign(&mut square).await?;
            for i in 0..largest / 2 {
                odd.push(self.multiply(&odd[i], &square).await?);
            }
        }
        let mut result: Option<Shared<F>> = None;
        for (squarings, digit) in windows {
            result = Some(match result {
                None => odd[digit / 2].duplicate(),
                Some(mut power) => {
                    for _ in 0..squarings {
                        self.square_assign(&mut power).await?;
                    }
                    if digit > 0 {
                        self.multiply_assign(&mut power, &odd[digit / 2]).await?;
                    }
                    power
                }
            });
        }
        Ok(result.unwrap_or_else(|| a.duplicate()))
    }
}

/// How many multiplications one after the other [`Arithmetic::power`] takes.
pub(crate) fn multiplications_of_power(exponent: u128) -> usize {
    let windows = windows(exponent);
    let largest = windows.iter().map(|(_, digit)| *digit).max().unwrap_or(1);
    let table = if largest > 1 { 1 + largest / 2 } else { 0 };
    let step = |(squarings, digit): &(u32, usize)| *squarings as usize + usize::from(*digit > 0);
    table + windows.iter().skip(1).map(step).sum::<usize>()
}

/// The exponent from its top, as steps "square so often, then multiply by this odd power" (0: none).
fn windows(exponent: u128) -> Vec<(u32, usize)> {
    let mut steps = Vec::new();
    let mut squarings = 0;
    let mut left = 128 - exponent.leading_zeros();
    while left > 0 {
        if exponent >> (left - 1) & 1 == 0 {
            squarings += 1;
            left -= 1;
            continue;
        }
        let mut width = WINDOW_BITS.min(left);
        let mut digit = exponent >> (left - width) & ((1 << width) - 1);
        let spare = digit.trailing_zeros();
        width -= spare;
        digit >>= spare;
        steps.push((squarings + width, digit as usize));
        squarings = 0;
        left -= width;
    }
    if squarings > 0 {
        steps.push((squarings, 0));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_put_the_exponent_together() {
        for exponent in (1..300).chain([(1 << 61) - 3, (1 << 61) - 2, (1 << 127) - 2, u128::MAX, 1 << 127]) {
            let steps = windows(exponent);
            let value = steps.iter().fold(0u128, |value, (squarings, digit)| {
                (if value == 0 { 0 } else { value << squarings }) + *digit as u128
            });
            assert_eq!(value, exponent);
            assert!(steps.iter().all(|(_, digit)| *digit < 8 && (*digit == 0 || digit % 2 == 1)));
        }
    }
}
