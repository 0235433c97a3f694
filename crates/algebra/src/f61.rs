//! [`F61`]: integers modulo the Mersenne prime 2^61 - 1, the default working field.
//!
//! 2^61 is 1 modulo p, so a product of 122 bits is reduced by adding its two halves. Two elements
//! add without overflow of a machine word, and 64 products add without overflow of a `u128`.

use crate::field::Field;

const P: u64 = (1 << 61) - 1;

/// An element of GF(2^61-1).
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct F61(u64);

impl F61 {
    /// An element from its canonical representative; `None` for `v` >= p.
    #[inline]
    pub const fn new(v: u64) -> Option<Self> {
        if v < P { Some(Self(v)) } else { None }
    }

    /// The canonical representative.
    #[inline(always)]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    word_excess!(u64, P);

    /// From `v` <= 2p - 1.
    #[inline(always)]
    const fn once(v: u64) -> Self {
        let t = v.wrapping_sub(P);
        Self(t.wrapping_add(P & (t >> 63).wrapping_neg()))
    }

    /// From any 128-bit number.
    #[inline(always)]
    const fn reduce(x: u128) -> Self {
        let low = x as u64 & P;
        let middle = (x >> 61) as u64 & P;
        let high = (x >> 122) as u64; // 6 bits
        let s = low + middle + high; // <= 2p + 63
        Self::once((s & P) + (s >> 61))
    }

    /// From x <= p(p - 1): what one product and one summand can reach.
    #[inline(always)]
    const fn reduce_product(x: u128) -> Self {
        Self::once((x as u64 & P).wrapping_add((x >> 61) as u64))
    }

    #[inline(always)]
    const fn sum(self, other: Self) -> Self {
        Self::once(self.0.wrapping_add(other.0))
    }

    #[inline(always)]
    const fn difference(self, other: Self) -> Self {
        let t = self.0.wrapping_sub(other.0);
        Self(t.wrapping_add(P & (t >> 63).wrapping_neg()))
    }

    #[inline(always)]
    const fn product(self, other: Self) -> Self {
        Self::reduce_product(wide(self, other))
    }
}

#[inline(always)]
const fn wide(a: F61, b: F61) -> u128 {
    (a.0 as u128).wrapping_mul(b.0 as u128)
}

field_operators!([] F61, "F61(..)");

impl Field for F61 {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);
    const MODULUS: u128 = P as u128;
    const BITS: u32 = 61;
    const BYTES: usize = 8;
    const NAME: &'static str = "2^61-1";

    type Acc = u128;
    /// 64 (p-1)^2 < 2^128.
    const ACC_TERMS: usize = 64;

    #[inline(always)]
    fn acc_mul(acc: &mut u128, a: Self, b: Self) {
        *acc = acc.wrapping_add(wide(a, b));
    }

    #[inline(always)]
    fn acc_add(acc: &mut u128, a: Self) {
        *acc = acc.wrapping_add(u128::from(a.0));
    }

    #[inline(always)]
    fn acc_reduce(acc: u128) -> Self {
        Self::reduce(acc)
    }

    #[inline]
    fn from_u64(v: u64) -> Self {
        Self::once((v & P) + (v >> 61))
    }

    #[inline]
    fn from_u128(v: u128) -> Self {
        Self::reduce(v)
    }

    #[inline]
    fn to_u128(self) -> u128 {
        u128::from(self.0)
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self::reduce_product(wide(self, b).wrapping_add(u128::from(c.0)))
    }

    word_codec!(u64);
}
