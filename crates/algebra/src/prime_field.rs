//! [`Fp<P>`](Fp): integers modulo any prime below 2^63 that is known at compile time.
//!
//! For exhaustive tests and declared small moduli. Products are reduced by Barrett's method (Handbook of
//! Applied Cryptography, 14.42) with constants computed at compile time: three multiplications and
//! two masked subtractions, no division, the same time for all operands. A modulus that is not a
//! prime does not compile.

use crate::field::Field;
use crate::primality::is_prime;

/// An element of GF(P).
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct Fp<const P: u64>(u64);

impl<const P: u64> Fp<P> {
    /// Bits of P.
    const K: u32 = {
        assert!(P < 1 << 63, "the modulus must be below 2^63");
        assert!(is_prime(P), "the modulus must be prime");
        64 - P.leading_zeros()
    };

    /// floor(2^2k / P), below 2^64 because P > 2^(k-1) or P = 2.
    const MU: u64 = ((1u128 << (2 * Self::K)) / P as u128) as u64;

    /// P in decimal, and where the digits begin.
    const DIGITS: ([u8; 20], usize) = {
        let (mut digits, mut start, mut rest) = ([0; 20], 20, P);
        while rest > 0 {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        (digits, start)
    };

    word_excess!(u64, P);

    /// An element from its canonical representative; `None` for `v` >= P.
    #[inline]
    pub const fn new(v: u64) -> Option<Self> {
        if v < P { Some(Self(v)) } else { None }
    }

    /// From x < 2^2k.
    #[inline(always)]
    const fn reduce(x: u128) -> Self {
        let q1 = (x >> (Self::K - 1)) as u64; // < 2^(k+1) <= 2^64
        let q3 = ((q1 as u128).wrapping_mul(Self::MU as u128) >> (Self::K + 1)) as u64;
        let r = x.wrapping_sub((q3 as u128).wrapping_mul(P as u128)); // < 3P
        Self(Self::subtract_once(Self::subtract_once(r)) as u64)
    }

    /// `x - P` if that is not negative, otherwise `x`.
    #[inline(always)]
    const fn subtract_once(x: u128) -> u128 {
        let t = x.wrapping_sub(P as u128);
        t.wrapping_add(P as u128 & (t >> 127).wrapping_neg())
    }

    #[inline(always)]
    const fn sum(self, other: Self) -> Self {
        let t = self.0.wrapping_add(other.0).wrapping_sub(P);
        Self(t.wrapping_add(P & (t >> 63).wrapping_neg()))
    }

    #[inline(always)]
    const fn difference(self, other: Self) -> Self {
        let t = self.0.wrapping_sub(other.0);
        Self(t.wrapping_add(P & (t >> 63).wrapping_neg()))
    }

    #[inline(always)]
    const fn product(self, other: Self) -> Self {
        Self::reduce((self.0 as u128).wrapping_mul(other.0 as u128))
    }

    /// Horner over digits of k - 1 bits: each step stays below P * 2^(k-1) <= P^2.
    #[inline]
    const fn reduce_any(x: u128, bits: u32) -> Self {
        let width = Self::K - 1;
        let mut at = bits.div_ceil(width) * width;
        let mut r = Self(0);
        while at > 0 {
            at -= width;
            let digit = if at < 128 { (x >> at) & ((1 << width) - 1) } else { 0 };
            r = Self::reduce(((r.0 as u128) << width) + digit);
        }
        r
    }
}

field_operators!([const P: u64] Fp<P>, "Fp(..)");

impl<const P: u64> Field for Fp<P> {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);
    const MODULUS: u128 = P as u128;
    const BITS: u32 = Self::K;
    const BYTES: usize = 8;
    /// P in decimal.
    const NAME: &'static str = match std::str::from_utf8(Self::DIGITS.0.split_at(Self::DIGITS.1).1) {
        Ok(name) => name,
        Err(_) => panic!("decimal digits are text"),
    };

    /// Reduced after every term: nothing overflows for any P.
    type Acc = u64;
    const ACC_TERMS: usize = 1 << 20;

    #[inline(always)]
    fn acc_mul(acc: &mut u64, a: Self, b: Self) {
        *acc = (Self(*acc) + a * b).0;
    }

    #[inline(always)]
    fn acc_add(acc: &mut u64, a: Self) {
        *acc = (Self(*acc) + a).0;
    }

    #[inline(always)]
    fn acc_reduce(acc: u64) -> Self {
        Self(acc)
    }

    #[inline]
    fn from_u64(v: u64) -> Self {
        Self::reduce_any(v as u128, 64)
    }

    #[inline]
    fn from_u128(v: u128) -> Self {
        Self::reduce_any(v, 128)
    }

    #[inline]
    fn to_u128(self) -> u128 {
        u128::from(self.0)
    }

    word_codec!(u64);
}
