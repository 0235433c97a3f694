//! The curve sect409k1 (NIST K-409, SEC 2 section 3.5), as far as a public key needs it:
//! y^2 + xy = x^3 + 1 over GF(2)[z] / (z^409 + z^87 + 1).

/// Bytes of a coordinate: 409 bits.
pub(super) const BYTES: usize = 52;

const BITS: usize = 409;
const MIDDLE: usize = 87;
const WORDS: usize = 7;

/// The order of the base point, 407 bits.
const ORDER: [u8; 51] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x5f, 0x83, 0xb2, 0xd4, 0xea, 0x20, 0x40, 0x0e, 0xc4, 0x55, 0x7d, 0x5e,
    0xd3, 0xe3, 0xe7, 0xca, 0x5b, 0x4b, 0x5c, 0x83, 0xb8, 0xe0, 0x1e, 0x5f, 0xcf,
];

/// Whether (x, y) satisfies the curve's equation. The time depends on the values: public keys only.
pub(super) fn on_curve_vartime(x: &[u8], y: &[u8]) -> bool {
    let (Some(x), Some(y)) = (Element::from_bytes(x), Element::from_bytes(y)) else { return false };
    let left = y.times(y).plus(x.times(y));
    let right = x.times(x).times(x).plus(Element::ONE);
    left == right
}

/// Whether 0 < scalar < order, without a branch on the scalar.
pub(super) fn scalar_in_range(scalar: &[u8]) -> bool {
    if scalar.len() != ORDER.len() {
        return false;
    }
    let (mut borrow, mut seen) = (0_u16, 0_u8);
    for (s, n) in scalar.iter().zip(ORDER).rev() {
        // Below zero wraps around, and bit 15 says so.
        borrow = u16::from(*s).wrapping_sub(u16::from(n)).wrapping_sub(borrow) >> 15;
        seen |= s;
    }
    (borrow == 1) & (seen != 0)
}

/// An element of the field; bit i is the coefficient of z^i, the first word holds the lowest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Element([u64; WORDS]);

impl Element {
    const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0]);

    /// Big-endian, as in SEC 1; `None` if it is not reduced.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != BYTES {
            return None;
        }
        let mut words = [0; WORDS];
        for (i, byte) in bytes.iter().rev().enumerate() {
            words[i / 8] |= u64::from(*byte) << (8 * (i % 8));
        }
        (words[WORDS - 1] >> (BITS % 64) == 0).then_some(Self(words))
    }

    fn plus(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    fn times(self, other: Self) -> Self {
        let mut product = [0_u64; 2 * WORDS];
        for bit in 0..BITS {
            if bit_of(&self.0, bit) {
                add_shifted(&mut product, &other.0, bit);
            }
        }
        // From the top: z^i = z^(i-409) * (z^87 + 1).
        for bit in (BITS..2 * BITS - 1).rev() {
            if bit_of(&product, bit) {
                for at in [bit, bit - BITS, bit - BITS + MIDDLE] {
                    product[at / 64] ^= 1 << (at % 64);
                }
            }
        }
        Self(core::array::from_fn(|i| product[i]))
    }
}

fn bit_of(words: &[u64], bit: usize) -> bool {
    words[bit / 64] >> (bit % 64) & 1 == 1
}

fn add_shifted(sum: &mut [u64; 2 * WORDS], value: &[u64; WORDS], by: usize) {
    let (skip, shift) = (by / 64, by % 64);
    for (i, word) in value.iter().enumerate() {
        sum[i + skip] ^= word << shift;
        // The value has 409 bits and `by` is below 409, so nothing leaves the 14 words.
        if shift > 0 {
            sum[i + skip + 1] ^= word >> (64 - shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text).expect("hex")
    }

    const GX: &str =
        "0060f05f658f49c1ad3ab1890f7184210efd0987e307c84c27accfb8f9f67cc2c460189eb5aaaa62ee222eb1b35540cfe9023746";
    const GY: &str =
        "01e369050b7c4e42acba1dacbf04299c3460782f918ea427e6325165e9ea10e3da5f6c42e9c55215aa9ca27a5863ec48d8e0286b";

    #[test]
    fn base_point_of_sec_2_is_on_the_curve() {
        let (x, y) = (hex(GX), hex(GY));
        assert!(on_curve_vartime(&x, &y));
        assert!(!on_curve_vartime(&y, &x));
        for bit in 0..BITS {
            let mut wrong = y.clone();
            wrong[BYTES - 1 - bit / 8] ^= 1 << (bit % 8);
            // The one other point with this x is (x, x + y).
            assert!(!on_curve_vartime(&x, &wrong));
        }
        let sum: Vec<u8> = x.iter().zip(&y).map(|(x, y)| x ^ y).collect();
        assert!(on_curve_vartime(&x, &sum));
    }

    #[test]
    fn the_point_with_x_zero() {
        let mut one = vec![0; BYTES];
        one[BYTES - 1] = 1;
        assert!(on_curve_vartime(&[0; BYTES], &one));
        assert!(!on_curve_vartime(&[0; BYTES], &[0; BYTES]));
    }

    #[test]
    fn refuses_unreduced_coordinates() {
        let mut x = hex(GX);
        x[0] |= 0x02; // z^409
        assert!(!on_curve_vartime(&x, &hex(GY)));
        assert!(!on_curve_vartime(&hex(GX)[1..], &hex(GY)));
    }

    #[test]
    fn scalars() {
        let mut scalar = ORDER;
        assert!(!scalar_in_range(&scalar));
        scalar[50] -= 1;
        assert!(scalar_in_range(&scalar));
        scalar[50] += 2;
        assert!(!scalar_in_range(&scalar));
        assert!(!scalar_in_range(&[0; 51]));
        assert!(!scalar_in_range(&[0xff; 51]));
        assert!(!scalar_in_range(&[1; 50]));
        assert!(!scalar_in_range(&[]));
    }

    fn element() -> impl Strategy<Value = Element> {
        any::<[u64; WORDS]>().prop_map(|mut words| {
            words[WORDS - 1] &= (1 << (BITS % 64)) - 1;
            Element(words)
        })
    }

    proptest! {
        #[test]
        fn field_laws(a in element(), b in element(), c in element()) {
            prop_assert!(a.times(b) == b.times(a));
            prop_assert!(a.times(b).times(c) == a.times(b.times(c)));
            prop_assert!(a.times(b.plus(c)) == a.times(b).plus(a.times(c)));
            prop_assert!(a.times(Element::ONE) == a);
            prop_assert!(a.plus(b).times(a.plus(b)) == a.times(a).plus(b.times(b)));
        }

        /// a^(2^409) = a holds in this field and only in fields whose size divides it.
        #[test]
        fn frobenius(a in element()) {
            prop_assert!((0..BITS).fold(a, |x, _| x.times(x)) == a);
        }

        #[test]
        fn never_panics(x: Vec<u8>, y: Vec<u8>) {
            let _ = on_curve_vartime(&x, &y);
            let _ = scalar_in_range(&x);
        }
    }
}
