//! The trait [`Field`]: what protocols may do with an element of a prime field.
//!
//! Single elements use the operators. Whole vectors use the `*_slice` functions, which are plain
//! loops that compilers vectorise; sums of products use an accumulator ([`Field::Acc`]) which
//! reduces once per sum instead of once per product.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

#[macro_use]
pub(crate) mod codec;
#[macro_use]
mod ops;

/// An element of a prime field, always in canonical form.
///
/// `==` takes the same time whatever the operands; so does everything else here unless it says
/// otherwise. `Default` is zero.
pub trait Field:
    Copy
    + Debug
    + Default
    + Eq
    + ConstantTimeEq
    + ConditionallySelectable
    + DefaultIsZeroes
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
{
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;
    /// The prime p.
    const MODULUS: u128;
    /// Bits of p. Sampling masks to this many bits.
    const BITS: u32;
    /// Bytes of one element on the wire, little-endian.
    const BYTES: usize;
    /// The name of the field in plans, on the wire and in benches, such as `2^61-1`.
    const NAME: &'static str;

    /// A sum of products that is reduced at its end. `Default` is the empty sum.
    type Acc: Copy + Default + Send;
    /// How many calls of [`acc_mul`](Self::acc_mul) and [`acc_add`](Self::acc_add) together one
    /// accumulator holds. At least 16. Beyond it the result is wrong, without notice.
    const ACC_TERMS: usize;

    /// `acc += a * b`, unreduced.
    fn acc_mul(acc: &mut Self::Acc, a: Self, b: Self);
    /// `acc += a`, unreduced.
    fn acc_add(acc: &mut Self::Acc, a: Self);
    /// The element that an accumulator stands for.
    fn acc_reduce(acc: Self::Acc) -> Self;

    /// The prime p.
    #[inline]
    fn modulus() -> u128 {
        Self::MODULUS
    }

    /// `v` modulo p.
    fn from_u64(v: u64) -> Self;
    /// `v` modulo p.
    fn from_u128(v: u128) -> Self;
    /// The canonical representative in `[0, p)`.
    fn to_u128(self) -> u128;

    /// A signed number; negative ones become p - |v|. Undone by
    /// [`to_i128_signed`](Self::to_i128_signed) where |v| <= (p-1)/2.
    #[inline]
    fn from_i64(v: i64) -> Self {
        let magnitude = Self::from_u64(v.unsigned_abs());
        let negative = subtle::Choice::from(u8::from(v < 0));
        Self::conditional_select(&magnitude, &-magnitude, negative)
    }

    /// The representative nearest to zero, in `[-(p-1)/2, (p-1)/2]` (for p = 2: 0 or 1).
    #[inline]
    fn to_i128_signed(self) -> i128 {
        // p < 2^127, therefore neither cast loses bits.
        let v = self.to_u128() as i128;
        let half = (Self::MODULUS / 2) as i128;
        let above = (half - v) >> 127; // all ones where v > half
        v - (Self::MODULUS as i128 & above)
    }

    /// `self * b + c`, reduced once.
    #[inline]
    fn mul_add(self, b: Self, c: Self) -> Self {
        self * b + c
    }

    /// `self * self`.
    #[inline]
    fn square(self) -> Self {
        self * self
    }

    /// `self` to the power `e`; 1 for `e` = 0. Neither base nor exponent shows in the time: always
    /// 128 squarings and products.
    fn pow(self, e: u128) -> Self {
        let mut r = Self::ONE;
        for i in (0..128).rev() {
            r = r.square();
            let bit = subtle::Choice::from(u8::from((e >> i) & 1 == 1));
            r = Self::conditional_select(&r, &(r * self), bit);
        }
        r
    }

    /// `self` to the power `e`, in time that depends on `e`, never on `self`.
    fn pow_vartime(self, e: u128) -> Self {
        let mut r = Self::ONE;
        for i in (0..128 - e.leading_zeros()).rev() {
            r = r.square();
            if (e >> i) & 1 == 1 {
                r *= self;
            }
        }
        r
    }

    /// The inverse, or zero for zero, without telling which.
    #[inline]
    fn inv_or_zero(self) -> Self {
        // Fermat; the exponent is a public constant.
        if Self::MODULUS == 2 { self } else { self.pow_vartime(Self::MODULUS - 2) }
    }

    /// The inverse; `None` for zero. Only that case shows in the time.
    #[inline]
    fn inv(self) -> Option<Self> {
        let inverse = self.inv_or_zero();
        if self == Self::ZERO { None } else { Some(inverse) }
    }

    /// Inverts all elements in place for the price of one inversion and three products each.
    /// `None`, and nothing changed, if one of them is zero.
    fn invert_all(xs: &mut [Self]) -> Option<()> {
        let mut prefix = Vec::with_capacity(xs.len());
        let mut product = Self::ONE;
        for x in xs.iter() {
            prefix.push(product);
            product *= *x;
        }
        let mut suffix = product.inv()?;
        for (x, before) in xs.iter_mut().zip(prefix).rev() {
            let inverse = suffix * before;
            suffix *= *x;
            *x = inverse;
        }
        Some(())
    }

    // ---- wire -------------------------------------------------------------------------------

    /// One element from exactly [`BYTES`](Self::BYTES) bytes; `None` for another length or a
    /// number >= p.
    fn from_bytes_checked(bytes: &[u8]) -> Option<Self>;
    /// Appends the [`BYTES`](Self::BYTES) bytes of one element.
    fn write_bytes(self, out: &mut Vec<u8>);
    /// Appends all elements.
    fn encode_slice(xs: &[Self], out: &mut Vec<u8>);
    /// Appends the elements that `bytes` holds; on an error `out` is as before.
    fn decode_slice(bytes: &[u8], out: &mut Vec<Self>) -> Result<(), Malformed>;
    /// Decodes into place; `bytes` must hold exactly `out.len()` elements. On an error `out` is
    /// all zero.
    fn decode_into(bytes: &[u8], out: &mut [Self]) -> Result<(), Malformed>;

    // ---- sampling ---------------------------------------------------------------------------

    /// Fills `out` with uniform elements from a stream of uniform bytes.
    ///
    /// The stream is read as words of [`BYTES`](Self::BYTES) bytes, little-endian, cut to
    /// [`BITS`](Self::BITS) bits. Words below p are the output, in order; others are skipped. The
    /// result is exactly uniform, and it depends on the stream alone: two ends that read it in
    /// different pieces get the same elements and leave the stream at the same place. `draw` is
    /// called for whole words, at most 16 KiB at a time.
    fn fill_uniform(draw: &mut impl FnMut(&mut [u8]), out: &mut [Self]);

    /// One uniform element; see [`fill_uniform`](Self::fill_uniform).
    #[inline]
    fn uniform(draw: &mut impl FnMut(&mut [u8])) -> Self {
        let mut one = [Self::ZERO];
        Self::fill_uniform(draw, &mut one);
        one[0]
    }

    // ---- vectors ----------------------------------------------------------------------------
    // All of these panic if the lengths differ, as `copy_from_slice` does.

    /// `acc[i] += x[i]`. Panics if the lengths differ.
    #[inline]
    fn add_assign_slice(acc: &mut [Self], x: &[Self]) {
        assert_eq!(acc.len(), x.len());
        for (a, x) in acc.iter_mut().zip(x) {
            *a += *x;
        }
    }

    /// `acc[i] -= x[i]`. Panics if the lengths differ.
    #[inline]
    fn sub_assign_slice(acc: &mut [Self], x: &[Self]) {
        assert_eq!(acc.len(), x.len());
        for (a, x) in acc.iter_mut().zip(x) {
            *a -= *x;
        }
    }

    /// `out[i] = a[i] * b[i]`. Panics if the lengths differ.
    #[inline]
    fn mul_slice(out: &mut [Self], a: &[Self], b: &[Self]) {
        assert!(out.len() == a.len() && out.len() == b.len());
        for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
            *o = *a * *b;
        }
    }

    /// `acc[i] += a[i] * b[i]`. Panics if the lengths differ.
    #[inline]
    fn mul_add_slice(acc: &mut [Self], a: &[Self], b: &[Self]) {
        assert!(acc.len() == a.len() && acc.len() == b.len());
        for ((o, a), b) in acc.iter_mut().zip(a).zip(b) {
            *o = a.mul_add(*b, *o);
        }
    }

    /// `xs[i] *= k`.
    #[inline]
    fn scale_slice(xs: &mut [Self], k: Self) {
        for x in xs {
            *x *= k;
        }
    }

    /// `acc[i] += k * x[i]`. Panics if the lengths differ.
    #[inline]
    fn scale_add(acc: &mut [Self], k: Self, x: &[Self]) {
        assert_eq!(acc.len(), x.len());
        for (a, x) in acc.iter_mut().zip(x) {
            *a = k.mul_add(*x, *a);
        }
    }

    /// The sum of `a[i] * b[i]`, of any length. Panics if the lengths differ.
    #[inline]
    fn dot(a: &[Self], b: &[Self]) -> Self {
        assert_eq!(a.len(), b.len());
        let mut total = Self::ZERO;
        for (a, b) in a.chunks(Self::ACC_TERMS).zip(b.chunks(Self::ACC_TERMS)) {
            let mut acc = Self::Acc::default();
            for (a, b) in a.iter().zip(b) {
                Self::acc_mul(&mut acc, *a, *b);
            }
            total += Self::acc_reduce(acc);
        }
        total
    }

    /// The sum of all elements.
    #[inline]
    fn sum_slice(xs: &[Self]) -> Self {
        let mut total = Self::ZERO;
        for xs in xs.chunks(Self::ACC_TERMS) {
            let mut acc = Self::Acc::default();
            for x in xs {
                Self::acc_add(&mut acc, *x);
            }
            total += Self::acc_reduce(acc);
        }
        total
    }
}

/// Why bytes are not a vector of field elements. The sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The length is not the one that the elements need.
    #[error("{found} bytes are not {}", expectation(*.element, *.expected))]
    Length {
        /// How many bytes there were.
        found: usize,
        /// Bytes of one element.
        element: usize,
        /// How many elements were expected, if that was known.
        expected: Option<usize>,
    },
    /// At least one number is not below the modulus.
    #[error("an element is not below the modulus")]
    NonCanonical,
}

fn expectation(element: usize, expected: Option<usize>) -> String {
    match expected {
        Some(n) => format!("{n} elements of {element} bytes"),
        None => format!("whole elements of {element} bytes"),
    }
}
