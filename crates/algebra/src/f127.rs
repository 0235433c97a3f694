//! [`F127`]: integers modulo the Mersenne prime 2^127 - 1, for fixed-point numbers and wide masks.
//!
//! 2^127 is 1 modulo p, so a product of 254 bits is reduced by adding its two halves.

use crate::field::Field;

const P: u128 = (1 << 127) - 1;

/// An element of GF(2^127-1).
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct F127(u128);

/// A sum of products of [`F127`]: `top * 2^256 + high * 2^128 + low`.
#[derive(Clone, Copy, Default)]
pub struct Acc127 {
    low: u128,
    high: u128,
    top: u64,
}

impl F127 {
    /// An element from its canonical representative; `None` for `v` >= p.
    #[inline]
    pub const fn new(v: u128) -> Option<Self> {
        if v < P { Some(Self(v)) } else { None }
    }

    word_excess!(u128, P);

    /// From `v` <= 2p - 1.
    #[inline(always)]
    const fn once(v: u128) -> Self {
        let t = v.wrapping_sub(P);
        // v >= 2^127 + p cannot happen, so the top bit of t tells v < p.
        Self(t.wrapping_add(P & (t >> 127).wrapping_neg()))
    }

    /// From any 128-bit number.
    #[inline(always)]
    const fn reduce(v: u128) -> Self {
        Self::once((v & P) + (v >> 127))
    }

    #[inline(always)]
    const fn sum(self, other: Self) -> Self {
        Self::once(self.0.wrapping_add(other.0))
    }

    #[inline(always)]
    const fn difference(self, other: Self) -> Self {
        let t = self.0.wrapping_sub(other.0);
        Self(t.wrapping_add(P & (t >> 127).wrapping_neg()))
    }

    #[inline(always)]
    const fn product(self, other: Self) -> Self {
        let (high, low) = wide(self.0, other.0);
        // Halves at bit 127: both below p, and the upper one at most p - 2.
        Self::once((low & P).wrapping_add((high << 1) | (low >> 127)))
    }
}

/// The 256-bit product of two numbers below 2^127, as (high, low).
#[inline(always)]
const fn wide(a: u128, b: u128) -> (u128, u128) {
    let (a0, a1) = (a as u64 as u128, a >> 64);
    let (b0, b1) = (b as u64 as u128, b >> 64);
    let low = a0.wrapping_mul(b0);
    let high = a1.wrapping_mul(b1);
    // a1 and b1 have 63 bits: the two cross products add without overflow.
    let cross = a0.wrapping_mul(b1).wrapping_add(a1.wrapping_mul(b0));
    let (low, carry) = low.overflowing_add(cross << 64);
    (high.wrapping_add(cross >> 64).wrapping_add(carry as u128), low)
}

field_operators!([] F127, "F127(..)");

impl Field for F127 {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);
    const MODULUS: u128 = P;
    const BITS: u32 = 127;
    const BYTES: usize = 16;
    const NAME: &'static str = "2^127-1";

    type Acc = Acc127;
    /// 320 bits hold 2^66 products; the bound keeps the sum over an accumulator's life small.
    const ACC_TERMS: usize = 1 << 20;

    #[inline(always)]
    fn acc_mul(acc: &mut Acc127, a: Self, b: Self) {
        let (high, low) = wide(a.0, b.0);
        let (low, carry) = acc.low.overflowing_add(low);
        // high < 2^126: the carry fits.
        let (high, over) = acc.high.overflowing_add(high.wrapping_add(u128::from(carry)));
        *acc = Acc127 { low, high, top: acc.top.wrapping_add(u64::from(over)) };
    }

    #[inline(always)]
    fn acc_add(acc: &mut Acc127, a: Self) {
        let (low, carry) = acc.low.overflowing_add(a.0);
        let (high, over) = acc.high.overflowing_add(u128::from(carry));
        *acc = Acc127 { low, high, top: acc.top.wrapping_add(u64::from(over)) };
    }

    #[inline(always)]
    fn acc_reduce(acc: Acc127) -> Self {
        // 2^128 = 2 and 2^256 = 4 modulo p.
        let high = Self::reduce(acc.high);
        let top = Self(u128::from(acc.top) << 2);
        Self::reduce(acc.low) + high + high + top
    }

    #[inline]
    fn from_u64(v: u64) -> Self {
        Self(u128::from(v))
    }

    #[inline]
    fn from_u128(v: u128) -> Self {
        Self::reduce(v)
    }

    #[inline]
    fn to_u128(self) -> u128 {
        self.0
    }

    word_codec!(u128);
}
