//! Fixed-point numbers: truncation, products, quotients, square roots.
//!
//! A number x is shared as the integer nearest to x 2^f in 2^127-1, f the `fraction` bits; `bits` bounds integers: the caller
//! promises |x 2^f| < 2^bits of every operand and result. Errors are in units of the last place, 2^-f:
//!
//! | operation | promise | error at most, E = floor(t/2) + 1 | rounds for n = 3 |
//! |---|---|---|---|
//! | [`truncate`](Arithmetic::truncate) | the number before it below 2^bits, bits <= 81 | E, random | 2 |
//! | [`fixed_multiply`](Arithmetic::fixed_multiply) | product of the integers below 2^81 | E | 3 |
//! | [`fixed_divide`](Arithmetic::fixed_divide) | 0 < b, fraction + 4 <= bits <= 38 | 2 E + q E 2^(3-bits), q the quotient's integer | about 50 |
//! | [`fixed_sqrt`](Arithmetic::fixed_sqrt) | 0 <= x, bits <= 38 | 2 E + q E 2^(3-bits), q the root's integer | about 65 |
//!
//! Masks leave a statistical distance of 2^-40 per number and truncation.
//!
//! Truncation: Catrina, Saxena 2010, with the masks of [`split`](super::split); quotients and roots by normalisation and
//! Newton's iteration as in section 3.4 there. Semi-honest, t < n/2, n <= 11.

use tacit_algebra::Field;

use super::boolean::Planes;
use super::split::Shape;
use super::{Arithmetic, ArithmeticError, Shared};

/// Numbers that are divided at a time.
pub(crate) const AT_ONCE: usize = 1 << 13;
/// Bits of a number that can be truncated in 2^127-1, for all numbers of parties.
const TRUNCATED_AT_MOST: u32 = 81;
/// Bits of numbers that can be divided.
const DIVIDED_AT_MOST: u32 = 38;

/// A number of k bits, moved up until its highest bit is the k-th.
pub(super) struct Normal<F: Field> {
    /// 2^(k-1-h), h the place of the highest bit; 0 for 0.
    pub(super) factor: Shared<F>,
    /// The number times the factor: in [2^(k-1), 2^k), or 0.
    pub(super) mantissa: Shared<F>,
    /// 1 at the place h, place by place, all numbers for each.
    pub(super) highest: Shared<F>,
}

impl<F: Field> Arithmetic<'_, F> {
    /// The numbers over 2^shift, as integers; |x| < 2^bits.
    ///
    /// Two rounds for t = 1, else three. The result is one of the t+2 integers around the quotient, at most
    /// floor(t/2) + 1 away; which one is random.
    pub async fn truncate(&mut self, x: &Shared<F>, shift: u32, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        if bits > TRUNCATED_AT_MOST || shift > bits || F::BITS != 127 {
            return Err(ArithmeticError::WrongCall { what: "numbers of up to 81 bits are truncated, in 2^127-1" });
        }
        self.ready_for_bits().await?;
        let mut out = Vec::with_capacity(x.len());
        for piece in x.pieces(AT_ONCE) {
            out.extend_from_slice(self.truncate_some(piece, shift, bits).await?.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }

    /// Products of fixed-point numbers. A multiplication and a truncation.
    pub async fn fixed_multiply(
        &mut self,
        a: &Shared<F>,
        b: &Shared<F>,
        fraction: u32,
    ) -> Result<Shared<F>, ArithmeticError> {
        let product = self.multiply(a, b).await?;
        self.truncate(&product, fraction, TRUNCATED_AT_MOST).await
    }

    /// Quotients of fixed-point numbers; b > 0. Where b is zero the quotient is about zero, and nobody learns it.
    pub async fn fixed_divide(
        &mut self,
        a: &Shared<F>,
        b: &Shared<F>,
        fraction: u32,
        bits: u32,
    ) -> Result<Shared<F>, ArithmeticError> {
        if a.len() != b.len() {
            return Err(ArithmeticError::WrongCall { what: "vectors of one quotient are equally long" });
        }
        self.check_fixed(fraction, bits)?;
        let mut out = Vec::with_capacity(a.len());
        for (a, b) in a.pieces(AT_ONCE).zip(b.pieces(AT_ONCE)) {
            let Normal { factor, mantissa, .. } = self.normal(&b, bits).await?;
            let inverse = self.reciprocal(&mantissa, bits).await?;
            // a/b = (a factor)/(b factor); as many bits of the first as the product has room for.
            let scaled = self.multiply(&a, &factor).await?;
            let scaled = self.truncate(&scaled, bits - fraction - 4, 2 * bits).await?;
            let quotient = self.multiply(&scaled, &inverse).await?;
            let quotient = self.truncate(&quotient, bits + 4, 2 * bits + 5).await?;
            out.extend_from_slice(quotient.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }

    /// Square roots of fixed-point numbers, x >= 0.
    pub async fn fixed_sqrt(&mut self, x: &Shared<F>, fraction: u32, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        self.check_fixed(fraction, bits)?;
        let mut out = Vec::with_capacity(x.len());
        for x in x.pieces(AT_ONCE) {
            let length = x.len();
            let Normal { mantissa, highest, .. } = self.normal(&x, bits).await?;
            let inverse = self.inverse_root(&mantissa, bits).await?;
            // The root of m = mantissa / 2^bits is m times the inverse root of m.
            let root = self.multiply(&mantissa, &inverse).await?;
            let root = self.truncate(&root, bits, 2 * bits + 1).await?;
            // x 2^fraction = m 2^(fraction + 1 + h); guard bits fill the room.
            let guard = (TRUNCATED_AT_MOST - 2 - bits - (fraction + bits).div_ceil(2)).min(32);
            let mut scale = Shared::zeros(length);
            for place in 0..bits {
                let power = 1u128 << (fraction + 1 + place + 2 * guard);
                let shares = highest.slice(place as usize * length..(place as usize + 1) * length);
                scale.scale_add(F::from_u128(power.isqrt()), &shares);
            }
            let root = self.multiply(&root, &scale).await?;
            let root = self.truncate(&root, bits + guard, TRUNCATED_AT_MOST).await?;
            out.extend_from_slice(root.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }

    fn check_fixed(&self, fraction: u32, bits: u32) -> Result<(), ArithmeticError> {
        if bits > DIVIDED_AT_MOST || fraction + 4 > bits || F::BITS != 127 {
            return Err(ArithmeticError::WrongCall {
                what: "fixed-point numbers have up to 38 bits, four more than their fraction, in 2^127-1",
            });
        }
        Ok(())
    }

    async fn truncate_some(&mut self, x: Shared<F>, shift: u32, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        let length = x.len();
        let Some(shape) = Shape::lowest::<F>(shift as usize, bits + 1, self.t) else {
            return Err(ArithmeticError::WrongCall { what: "the field has no room for masks of these numbers" });
        };
        let two = F::from_u64(2);
        let mut positive = x;
        let sign = two.pow_vartime(bits.max(shift).into());
        positive.add_constant(&vec![sign; length]);
        let (left, above, offset) = self.masked_apart(&positive, shape).await?;
        let mut out = left;
        out.add_assign(&above);
        // What the masks' lower bits make is between 0 and t too little.
        let correction = F::from_u64(u64::try_from(self.t).unwrap_or(0).div_ceil(2));
        let constant = correction - (sign + offset) * two.pow_vartime(shift.into()).inv_or_zero();
        out.add_constant(&vec![constant; length]);
        Ok(out)
    }

    /// The number's highest bit, in three steps: bits, or of all above, differences.
    pub(super) async fn normal(&mut self, x: &Shared<F>, bits: u32) -> Result<Normal<F>, ArithmeticError> {
        self.ready_for_bits().await?;
        let width = bits as usize;
        let length = x.len();
        let planes = self.bits_of(x, bits).await?;
        let reached = self.or_of_all_above(planes).await?;
        let mut highest = reached.gather(width, |i| Some((&reached, i)));
        (0..width - 1).for_each(|i| highest.xor_plane(i, &reached, i + 1));
        let highest = self.lift(&highest, length).await?;
        let mut factor = Shared::zeros(length);
        for place in 0..width {
            let power = F::from_u128(1 << (width - 1 - place));
            factor.scale_add(power, &highest.slice(place * length..(place + 1) * length));
        }
        let mantissa = self.multiply(x, &factor).await?;
        Ok(Normal { factor, mantissa, highest })
    }

    /// Plane i becomes the or of planes i, i+1, ...
    async fn or_of_all_above(&mut self, mut planes: Planes) -> Result<Planes, ArithmeticError> {
        let width = planes.len();
        let mut distance = 1;
        while distance < width {
            // Counted from the top.
            let lower: Vec<usize> = (0..width).filter(|i| i & distance != 0).collect();
            let upper = |i: usize| (i & !(2 * distance - 1)) + distance - 1;
            let gates: Vec<(usize, usize)> = lower.iter().map(|i| (width - 1 - i, width - 1 - upper(*i))).collect();
            let both = self.and(&planes, &planes, &gates).await?;
            let before = planes.gather(width, |i| Some((&planes, i)));
            for (k, (here, above)) in gates.iter().enumerate() {
                planes.xor_plane(*here, &before, *above);
                planes.xor_plane(*here, &both, k);
            }
            distance *= 2;
        }
        Ok(planes)
    }

    /// About 2^(2k) / m for m in [2^(k-1), 2^k): Newton's w (2 - m w).
    pub(super) async fn reciprocal(&mut self, mantissa: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        // Error below 0.0858 of 1/m.
        let mut w = Shared::constant(&vec![F::from_u128((29_142 << bits) / 10_000); mantissa.len()]);
        w.scale_add(-F::from_u64(2), mantissa);
        for _ in 0..steps(bits) {
            let product = self.multiply(mantissa, &w).await?;
            let product = self.truncate(&product, bits, 2 * bits + 2).await?;
            let mut rest = Shared::constant(&vec![F::from_u128(2 << bits); w.len()]);
            rest.sub_assign(&product);
            let next = self.multiply(&w, &rest).await?;
            w = self.truncate(&next, bits, 2 * bits + 3).await?;
        }
        Ok(w)
    }

    /// About 2^k / sqrt(m / 2^k) for m in [2^(k-1), 2^k): Newton's y (3 - m y^2) / 2.
    async fn inverse_root(&mut self, mantissa: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        // (28.5 - 13 m) / 16 is at most 0.032 of it away.
        let mut y = Shared::constant(&vec![F::from_u128(57 << (bits - 1)); mantissa.len()]);
        y.scale_add(-F::from_u64(13), mantissa);
        let mut y = self.truncate(&y, 4, bits + 5).await?;
        for _ in 0..steps(bits) {
            let square = self.multiply(&y, &y).await?;
            let square = self.truncate(&square, bits, 2 * bits + 2).await?;
            let product = self.multiply(&square, mantissa).await?;
            let product = self.truncate(&product, bits, 2 * bits + 2).await?;
            let mut rest = Shared::constant(&vec![F::from_u128(3 << bits); y.len()]);
            rest.sub_assign(&product);
            let next = self.multiply(&y, &rest).await?;
            y = self.truncate(&next, bits + 1, 2 * bits + 3).await?;
        }
        Ok(y)
    }
}

/// So many steps make the first error, below 2^-3.5, one below 2^-bits.
pub(crate) fn steps(bits: u32) -> usize {
    if bits <= 26 { 3 } else { 4 }
}
