//! The laws of a field and the borders of its representation, the same for every field.

use proptest::prelude::*;
use tacit_algebra::{F61, F127, Field, Fp};

/// Numbers at which a reduction can go wrong.
fn borders<F: Field>() -> Vec<u128> {
    let p = F::modulus();
    let near_p = [p - 1, p, p + 1, p / 2, p / 2 + 1, 2 * p - 1, 2 * p, 2 * p + 1];
    let words = [(1 << 61) - 1, 1 << 61, u64::MAX.into(), 1 << 64, 1 << 127, u128::MAX - 1, u128::MAX];
    [0, 1, 2].into_iter().chain(near_p).chain(words).collect()
}

/// Half of the numbers are borders.
fn number<F: Field>() -> impl Strategy<Value = u128> {
    prop_oneof![prop::sample::select(borders::<F>()), any::<u128>()]
}

/// a * b modulo p by double-and-add on plain integers: slow, and independent of the code under test.
fn product_mod(a: u128, b: u128, p: u128) -> u128 {
    let (mut r, a) = (0, a % p);
    for i in (0..128).rev() {
        r = (r + r) % p;
        if (b >> i) & 1 == 1 {
            r = (r + a) % p;
        }
    }
    r
}

fn constants_hold<F: Field>() {
    let p = F::modulus();
    assert_eq!(F::BITS, 128 - p.leading_zeros());
    assert!(F::BYTES * 8 > F::BITS as usize && F::ACC_TERMS >= 16);
    assert_eq!((F::ZERO.to_u128(), F::ONE.to_u128()), (0, 1));
    assert!(F::default() == F::ZERO);
    assert!(F::from_i64(-1).to_u128() == p - 1);
}

fn arithmetic_agrees_with_integers<F: Field>(a: u128, b: u128, c: u128) {
    let p = F::modulus();
    let (x, y, z) = (F::from_u128(a), F::from_u128(b), F::from_u128(c));
    let (a, b, c) = (a % p, b % p, c % p);
    assert_eq!(x.to_u128(), a);
    assert_eq!((x + y).to_u128(), (a + b) % p);
    assert_eq!((x - y).to_u128(), (a + p - b) % p);
    assert_eq!((-x).to_u128(), (p - a) % p);
    assert_eq!((x * y).to_u128(), product_mod(a, b, p));
    assert_eq!(x.mul_add(y, z).to_u128(), (product_mod(a, b, p) + c) % p);
    assert_eq!(x.square().to_u128(), product_mod(a, a, p));
    assert_eq!(x == y, a == b);
    let (mut s, mut d, mut m) = (x, x, x);
    s += y;
    d -= y;
    m *= y;
    assert!(s == x + y && d == x - y && m == x * y);
    assert!([x, y, z].into_iter().sum::<F>() == x + y + z);
}

fn laws_hold<F: Field>(a: u128, b: u128, c: u128) {
    let (x, y, z) = (F::from_u128(a), F::from_u128(b), F::from_u128(c));
    assert!((x + y) + z == x + (y + z) && x + y == y + x);
    assert!((x * y) * z == x * (y * z) && x * y == y * x);
    assert!(x * (y + z) == x * y + x * z);
    assert!(x + F::ZERO == x && x * F::ONE == x && x + -x == F::ZERO);
    match x.inv() {
        Some(inverse) => assert!(x * inverse == F::ONE && inverse == x.inv_or_zero()),
        None => assert!(x == F::ZERO && x.inv_or_zero() == F::ZERO),
    }
    assert!(x.pow(c) == x.pow_vartime(c));
    assert!(x.pow(F::modulus()) == x && x.pow(0) == F::ONE);
    assert!(x.pow(a >> 1) * x.pow(b >> 1) == x.pow((a >> 1) + (b >> 1)));
}

fn signed_numbers_survive<F: Field>(v: i64) {
    let half = i128::try_from(F::modulus() / 2).expect("p < 2^127");
    let expected = i128::from(v).rem_euclid(2 * half + 1);
    let centred = if expected > half { expected - (2 * half + 1) } else { expected };
    assert_eq!(F::from_i64(v).to_i128_signed(), centred);
    assert!(F::from_i64(v) + F::from_i64(v.wrapping_neg()) == F::ZERO || v == i64::MIN);
    assert!(F::from_u64(v.unsigned_abs()) == F::from_u128(v.unsigned_abs().into()));
}

fn bulk_agrees_with_single<F: Field>(a: &[u128], b: &[u128], k: u128) {
    let xs: Vec<F> = a.iter().map(|v| F::from_u128(*v)).collect();
    let ys: Vec<F> = b.iter().map(|v| F::from_u128(*v)).collect();
    let (xs, ys) = (&xs[..xs.len().min(ys.len())], &ys[..xs.len().min(ys.len())]);
    let k = F::from_u128(k);
    let pairs = || xs.iter().copied().zip(ys.iter().copied());
    let changed = |f: fn(&mut [F], &[F])| {
        let mut v = xs.to_vec();
        f(&mut v, ys);
        v
    };
    assert!(changed(F::add_assign_slice) == pairs().map(|(x, y)| x + y).collect::<Vec<_>>());
    assert!(changed(F::sub_assign_slice) == pairs().map(|(x, y)| x - y).collect::<Vec<_>>());
    let mut v = xs.to_vec();
    F::mul_slice(&mut v, xs, ys);
    assert!(v == pairs().map(|(x, y)| x * y).collect::<Vec<_>>());
    F::mul_add_slice(&mut v, xs, ys);
    assert!(v == pairs().map(|(x, y)| x * y + x * y).collect::<Vec<_>>());
    let mut v = xs.to_vec();
    F::scale_add(&mut v, k, ys);
    assert!(v == pairs().map(|(x, y)| x + k * y).collect::<Vec<_>>());
    F::scale_slice(&mut v, k);
    assert!(v == pairs().map(|(x, y)| (x + k * y) * k).collect::<Vec<_>>());
    assert!(F::dot(xs, ys) == pairs().map(|(x, y)| x * y).sum());
    assert!(F::sum_slice(xs) == xs.iter().copied().sum());
    let mut inverses = xs.to_vec();
    match F::invert_all(&mut inverses) {
        Some(()) => assert!(inverses.iter().zip(xs).all(|(i, x)| *i * *x == F::ONE)),
        None => assert!(xs.contains(&F::ZERO) && inverses == xs),
    }
}

/// As many of the largest products as an accumulator promises to hold.
fn full_accumulator_is_exact<F: Field>() {
    let (terms, top) = (F::ACC_TERMS, -F::ONE);
    let mut acc = F::Acc::default();
    (0..terms).for_each(|_| F::acc_mul(&mut acc, top, top));
    assert!(F::acc_reduce(acc) == F::from_u128(terms as u128));
    let mut acc = F::Acc::default();
    (0..terms).for_each(|_| F::acc_add(&mut acc, top));
    assert!(F::acc_reduce(acc) == -F::from_u128(terms as u128));
    let many = vec![top; 1000];
    assert!(F::dot(&many, &many) == F::from_u64(1000));
}

fn debug_is_silent<F: Field>() {
    let shown = format!("{:?}", F::from_u64(3));
    assert!(shown.ends_with("(..)"), "{shown}");
}

macro_rules! field_tests {
    ($($name:ident: $field:ty;)*) => {$(
        mod $name {
            use super::*;
            type F = $field;

            #[test]
            fn constants() {
                constants_hold::<F>();
                debug_is_silent::<F>();
            }

            #[test]
            fn accumulator() {
                full_accumulator_is_exact::<F>();
            }

            #[test]
            fn all_pairs_of_borders() {
                for a in borders::<F>() {
                    for b in borders::<F>() {
                        arithmetic_agrees_with_integers::<F>(a, b, F::modulus() - 1);
                        laws_hold::<F>(a, b, 1);
                    }
                }
            }

            proptest! {
                #[test]
                fn integers(a in number::<F>(), b in number::<F>(), c in number::<F>()) {
                    arithmetic_agrees_with_integers::<F>(a, b, c);
                }

                #[test]
                fn laws(a in number::<F>(), b in number::<F>(), c in number::<F>()) {
                    laws_hold::<F>(a, b, c);
                }

                #[test]
                fn signed(v in prop_oneof![any::<i64>(), -3i64..3, Just(i64::MIN), Just(i64::MAX)]) {
                    signed_numbers_survive::<F>(v);
                }

                #[test]
                fn bulk(
                    a in prop::collection::vec(number::<F>(), 0..150),
                    b in prop::collection::vec(number::<F>(), 0..150),
                    k in number::<F>(),
                ) {
                    bulk_agrees_with_single::<F>(&a, &b, k);
                }
            }
        }
    )*};
}

field_tests! {
    f61: F61;
    f127: F127;
    fp3: Fp<3>;
    fp5: Fp<5>;
    fp7: Fp<7>;
    fp113: Fp<113>;
    fp257: Fp<257>;
    fp1013: Fp<1013>;
    fp32: Fp<4_294_967_291>;
    fp61: Fp<2_305_843_009_213_693_951>;
    fp62: Fp<4_611_686_018_427_388_039>;
    fp63: Fp<9_223_372_036_854_775_783>;
}

fn exhaustive<const P: u64>() {
    for a in 0..P {
        for b in 0..P {
            let (x, y) = (Fp::<P>::from_u64(a), Fp::<P>::from_u64(b));
            assert_eq!((x + y).to_u128(), ((a + b) % P).into());
            assert_eq!((x - y).to_u128(), ((a + P - b) % P).into());
            assert_eq!((x * y).to_u128(), ((a * b) % P).into());
            assert_eq!(x == y, a == b);
        }
        let x = Fp::<P>::from_u64(a);
        assert_eq!(x.inv().is_some(), a != 0);
        assert!(x.inv().is_none_or(|i| i * x == Fp::ONE));
    }
}

#[test]
fn every_pair_of_small_fields() {
    exhaustive::<2>();
    exhaustive::<3>();
    exhaustive::<5>();
    exhaustive::<7>();
    // Barrett's quotient is too small by 2 here, for example for 90 * 108.
    exhaustive::<113>();
    exhaustive::<257>();
}

#[test]
fn names_are_unambiguous() {
    assert_eq!((F61::NAME, F127::NAME), ("2^61-1", "2^127-1"));
    assert_eq!((Fp::<2>::NAME, Fp::<1013>::NAME), ("2", "1013"));
    assert_eq!(Fp::<9_223_372_036_854_775_783>::NAME, "9223372036854775783");
}

#[test]
fn same_modulus_same_field() {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..10_000 {
        let y = x.rotate_left(23) ^ 0x5851_f42d_4c95_7f2d;
        let wide = (F61::from_u64(x) * F61::from_u64(y)).to_u128();
        let barrett = (Fp::<2_305_843_009_213_693_951>::from_u64(x) * Fp::from_u64(y)).to_u128();
        assert_eq!(wide, barrett);
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
}
