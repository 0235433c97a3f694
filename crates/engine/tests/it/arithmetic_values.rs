//! Every operation of the arithmetic against plain numbers: fields, numbers of parties, delays.

use proptest::prelude::*;
use tacit_algebra::{F61, F127, Field, Fp};
use tacit_engine::arithmetic::{Arithmetic, Shared};

use crate::arithmetic_world::{delayed, lockstep, most, numbers};

const PARTIES: [usize; 7] = [3, 4, 5, 6, 7, 8, 11];

/// What every party opens must be what the plain numbers give.
fn check<F: Field>(
    n: usize,
    t: usize,
    seed: u64,
    expected: &[F],
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> Vec<F>,
) {
    for (me, found) in delayed(n, t, seed, program).into_iter().enumerate() {
        assert_eq!(found.len(), expected.len());
        let wrong = found.iter().zip(expected).position(|(found, expected)| found != expected);
        assert_eq!(wrong, None, "party {me} of {n}, t = {t}, {}, seed {seed}", F::NAME);
    }
}

/// Shares of numbers that the first and the last party know.
async fn inputs<F: Field>(context: &mut Arithmetic<'_, F>, a: &[F], b: &[F]) -> (Shared<F>, Shared<F>) {
    let last = context.parties() - 1;
    let own_a = (context.me() == 0).then_some(a);
    let own_b = (context.me() == last).then_some(b);
    let a = context.input(0, a.len(), own_a).await.expect("input");
    let b = context.input(last, b.len(), own_b).await.expect("input");
    (a, b)
}

fn all_operations<F: Field>(n: usize, t: usize, length: usize, seed: u64) {
    let (a, b) = (numbers::<F>(length, seed), numbers::<F>(length, seed ^ 77));
    let each = |f: &dyn Fn(F, F) -> F| a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect::<Vec<F>>();
    check(n, t, seed, &each(&|a, b| a * b), async |context| {
        let (a, b) = inputs(context, &a, &b).await;
        let product = context.multiply(&a, &b).await.expect("product");
        context.open(&product).await.expect("open")
    });
    let five = F::from_u64(5);
    check(n, t, seed, &each(&|a, b| (a + b - five * b) * (a + b - five * b) + five), async |context| {
        let (a, b) = inputs(context, &a, &b).await;
        let mut sum = a.add(&b);
        let mut scaled = b.duplicate();
        scaled.scale(five);
        sum.sub_assign(&scaled);
        context.square_assign(&mut sum).await.expect("square");
        sum.add_constant(&vec![five; length]);
        context.open(&sum).await.expect("open")
    });
    check(n, t, seed, &[F::dot(&a, &b)], async |context| {
        let (a, b) = inputs(context, &a, &b).await;
        let dot = context.dot(&a, &b, length).await.expect("dot");
        context.open(&dot).await.expect("open")
    });
    for exponent in [0, 1, 2, 11, F::MODULUS - 2] {
        check(n, t, seed, &each(&|a, _| a.pow(exponent)), async |context| {
            let (a, _) = inputs(context, &a, &b).await;
            let power = context.power(&a, exponent).await.expect("power");
            context.open(&power).await.expect("open")
        });
    }
    let units: Vec<F> = a.iter().map(|a| if *a == F::ZERO { F::ONE } else { *a }).collect();
    let inverses: Vec<F> = units.iter().map(|a| a.inv_or_zero()).collect();
    check(n, t, seed, &inverses, async |context| {
        let (a, _) = inputs(context, &units, &b).await;
        let inverse = context.inverse(&a).await.expect("inverse");
        context.open(&inverse).await.expect("open")
    });
    check(n, t, seed, &each(&|a, b| if a == b { F::ONE } else { F::ZERO }), async |context| {
        let (a, b) = inputs(context, &a, &b).await;
        let equal = context.equal(&a, &b).await.expect("equal");
        context.open(&equal).await.expect("open")
    });
    check(n, t, seed, &vec![F::ONE; length], async |context| {
        let (a, _) = inputs(context, &a, &b).await;
        let equal = context.equal(&a, &a).await.expect("equal");
        context.open(&equal).await.expect("open")
    });
    check(n, t, seed, &vec![F::ZERO; length], async |context| {
        let bits = context.random_bits(length).await.expect("bits");
        let square = context.multiply(&bits, &bits).await.expect("square");
        context.open(&square.sub(&bits)).await.expect("open")
    });
}

/// Moduli from 9 to 127 bits; those of the work are Mersenne's, the others are not.
fn in_field<F: Field>() {
    for n in PARTIES {
        all_operations::<F>(n, most(n), 9, n as u64);
    }
    // Fewer cheaters than the most that n allows.
    all_operations::<F>(5, 1, 3, 1);
    all_operations::<F>(7, 2, 3, 2);
    all_operations::<F>(11, 1, 3, 3);
}

#[test]
fn p32_operations_in_f61() {
    in_field::<F61>();
}

#[test]
fn p32_operations_in_f127() {
    in_field::<F127>();
}

#[test]
fn p32_operations_in_257() {
    in_field::<Fp<257>>();
}

#[test]
fn p32_operations_in_65537() {
    in_field::<Fp<65537>>();
}

#[test]
fn p32_operations_in_1401085391() {
    in_field::<Fp<1401085391>>();
}

/// The largest prime below 2^63: as many bits as [`Fp`] holds.
#[test]
fn p32_operations_in_2_63_minus_25() {
    in_field::<Fp<9_223_372_036_854_775_783>>();
}

#[test]
fn p32_long_vectors_of_products() {
    // Several chunks and blocks, and a last one that is not full.
    for (n, t) in [(3, 1), (4, 1), (5, 2), (7, 3), (8, 3), (11, 5)] {
        let length = 130_001;
        let (a, b) = (numbers::<F61>(length, 5), numbers::<F61>(length, 6));
        let expected: Vec<F61> = a.iter().zip(&b).map(|(a, b)| *a * *b).collect();
        check(n, t, 9, &expected, async |context| {
            let (a, b) = inputs(context, &a, &b).await;
            let product = context.multiply(&a, &b).await.expect("product");
            context.open(&product).await.expect("open")
        });
        check(n, t, 9, &expected, async |context| {
            let (mut a, b) = inputs(context, &a, &b).await;
            context.multiply_assign(&mut a, &b).await.expect("product");
            context.open_to(&a, &[0, n - 1, 1]).await.expect("open").unwrap_or_else(|| expected.clone())
        });
    }
}

#[test]
fn p32_long_vectors_in_a_small_field() {
    for (n, t) in [(3, 1), (5, 2), (7, 3), (7, 1)] {
        let length = 40_000;
        let (a, b) = (numbers::<Fp<257>>(length, 5), numbers::<Fp<257>>(length, 6));
        let expected: Vec<Fp<257>> = a.iter().zip(&b).map(|(a, b)| *a * *b).collect();
        check(n, t, 10, &expected, async |context| {
            let (a, b) = inputs(context, &a, &b).await;
            let product = context.multiply(&a, &b).await.expect("product");
            context.open(&product).await.expect("open")
        });
    }
}

#[test]
fn p32_inverses_bits_and_zero_tests_of_long_vectors() {
    for (n, t) in [(3, 1), (5, 2), (7, 3)] {
        let length = 20_000;
        let a: Vec<F61> = (1..=length as u64).map(F61::from_u64).collect();
        let expected: Vec<F61> = a.iter().map(|a| a.inv_or_zero()).collect();
        check(n, t, 11, &expected, async |context| {
            let (a, _) = inputs(context, &a, &[]).await;
            let inverse = context.inverse(&a).await.expect("inverse");
            context.open(&inverse).await.expect("open")
        });
        let opened = delayed(n, t, 12, async |context: &mut Arithmetic<'_, F61>| {
            let bits = context.random_bits(length).await.expect("bits");
            context.open(&bits).await.expect("open")
        });
        assert!(opened.iter().all(|bits| *bits == opened[0]));
        assert!(opened[0].iter().all(|bit| *bit == F61::ZERO || *bit == F61::ONE));
        let ones = opened[0].iter().filter(|bit| **bit == F61::ONE).count();
        // Six standard deviations.
        assert!(ones.abs_diff(length / 2) < 425, "{ones} ones");
        let expected: Vec<F61> = a.iter().map(|a| F61::from_u64(u64::from(a.to_u64() % 3 == 0))).collect();
        check(n, t, 13, &expected, async |context| {
            let (a, _) = inputs(context, &a, &[]).await;
            let residues: Vec<F61> = (1..=length as u64).map(|i| F61::from_u64(i / 3 * 3)).collect();
            let equal = context.equal(&a, &Shared::constant(&residues)).await.expect("equal");
            context.open(&equal).await.expect("open")
        });
    }
}

#[test]
fn p32_random_elements_agree_and_differ() {
    for n in PARTIES {
        for length in [1, 5000] {
            let opened = delayed(n, most(n), 14, async |context: &mut Arithmetic<'_, F61>| {
                let first = context.random(length).await.expect("random");
                let second = context.random(length).await.expect("random");
                let mut all = context.open(&first).await.expect("open");
                all.extend(context.open(&second).await.expect("open"));
                all
            });
            assert!(opened.iter().all(|all| *all == opened[0]));
            let mut seen: Vec<u64> = opened[0].iter().map(|x| x.to_u64()).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 2 * length, "n = {n}");
        }
    }
}

#[test]
fn p32_inputs_of_every_party_and_length() {
    for n in PARTIES {
        let lengths: Vec<usize> = (0..n).map(|i| if i == 1 { 0 } else { i * 5000 }).collect();
        let opened = delayed(n, most(n), 15, async |context: &mut Arithmetic<'_, F127>| {
            let own = numbers(lengths[context.me()], context.me() as u64);
            let shared = context.input_all(&lengths, &own).await.expect("inputs");
            let shared = Shared::concat(&shared.iter().collect::<Vec<_>>());
            context.open(&shared).await.expect("open")
        });
        let expected: Vec<F127> = (0..n).flat_map(|i| numbers(lengths[i], i as u64)).collect();
        assert!(opened.iter().all(|found| *found == expected));
    }
}

#[test]
fn p32_matrix_products_and_linear_maps() {
    let (rows, inner, columns) = (7, 5, 3);
    let (a, b) = (numbers::<F61>(rows * inner, 1), numbers::<F61>(inner * columns, 2));
    let public = numbers::<F61>(4 * rows * columns, 3);
    let mut product = Vec::new();
    for i in 0..rows {
        for j in 0..columns {
            product.push((0..inner).map(|k| a[i * inner + k] * b[k * columns + j]).sum::<F61>());
        }
    }
    let mut expected: Vec<F61> = product.clone();
    expected.extend(public.chunks(product.len()).map(|row| F61::dot(row, &product)));
    for n in [3, 4, 5, 7] {
        check(n, most(n), 16, &expected, async |context| {
            let (a, b) = inputs(context, &a, &b).await;
            let product = context.matmul(&a, &b, rows, columns).await.expect("matrix product");
            let all = Shared::concat(&[&product, &product.transform(&public)]);
            context.open(&all).await.expect("open")
        });
    }
}

#[test]
fn p32_zero_has_no_inverse_and_nothing_else_breaks() {
    let ended = delayed(3, 1, 17, async |context: &mut Arithmetic<'_, Fp<257>>| {
        let values = [Fp::ONE, Fp::ZERO, Fp::ONE];
        let a = context.input(0, 3, (context.me() == 0).then_some(&values)).await.expect("input");
        let error = context.inverse(&a).await.err();
        (error, context.open(&a).await.is_ok())
    });
    let error = tacit_engine::arithmetic::ArithmeticError::NotInvertible { index: 1 };
    assert!(ended.iter().all(|end| *end == (Some(error.clone()), true)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn p32_product_trees_and_dot_products(
        seed in any::<u64>(),
        n in 3usize..=9,
        below in 0usize..3,
        width in 1usize..9,
        rows in 1usize..200,
        large in any::<bool>(),
    ) {
        let t = most(n).saturating_sub(below).max(1);
        if large { trees::<F127>(n, t, seed, rows, width) } else { trees::<Fp<65537>>(n, t, seed, rows, width) }
    }
}

fn trees<F: Field>(n: usize, t: usize, seed: u64, rows: usize, width: usize) {
    let (a, b) = (numbers::<F>(rows * width, seed), numbers::<F>(rows * width, !seed));
    let mut expected: Vec<F> = a.chunks(width).map(|row| row.iter().fold(F::ONE, |p, x| p * *x)).collect();
    expected.extend(a.chunks(width).zip(b.chunks(width)).map(|(a, b)| F::dot(a, b)));
    check(n, t, seed, &expected, async |context| {
        let (a, b) = inputs(context, &a, &b).await;
        let products = context.product(&a, width).await.expect("products");
        let dots = context.dot(&a, &b, width).await.expect("dots");
        context.open(&Shared::concat(&[&products, &dots])).await.expect("open")
    });
}

#[test]
fn futures_may_change_threads() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let (sums, _) = lockstep(3, 1, 18, async |context: &mut Arithmetic<'_, F61>| {
        let a = sendable(context.random(2)).await.expect("random");
        let b = sendable(context.multiply(&a, &a)).await.expect("product");
        let c = sendable(context.power(&b, 9)).await.expect("power");
        let d = sendable(context.inverse(&c)).await.expect("inverse");
        let e = sendable(context.equal(&c, &d)).await.expect("equal");
        sendable(context.open(&e)).await.expect("open")
    });
    assert!(sums.iter().all(|sum| *sum == [F61::ZERO; 2]));
}
