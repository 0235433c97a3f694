//! Exact rounds and elements of the arithmetic.

use tacit_algebra::{F61, F127, Field};
use tacit_engine::arithmetic::{Arithmetic, Shared};

use crate::arithmetic_world::{Cost, lockstep, most};

/// What a program costs after a preparation that is not counted (keys of subsets).
fn cost<F: Field>(n: usize, program: impl AsyncFn(&mut Arithmetic<'_, F>, &Shared<F>), length: usize) -> (usize, f64) {
    let prepare = async |context: &mut Arithmetic<'_, F>| context.random(length).await.expect("random");
    let (_, before) = lockstep(n, most(n), 3, async |context| _ = prepare(context).await);
    let (_, after) = lockstep(n, most(n), 3, async |context| {
        let a = prepare(context).await;
        program(context, &a).await;
    });
    let elements = |cost: &Cost| cost.elements::<F>();
    (after.rounds - before.rounds, elements(&after) - elements(&before))
}

#[test]
fn multiply_n3_one_round_one_element() {
    for length in [1, 100, 8192] {
        let (rounds, elements) =
            cost::<F61>(3, async |context, a| _ = context.multiply(a, a).await.expect("product"), length);
        assert_eq!((rounds, elements), (1, length as f64));
    }
    // Every party by itself: one message, one wait.
    let (counted, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F127>| {
        let a = context.random(50).await.expect("random");
        _ = context.multiply(&a, &a).await.expect("product");
    });
    assert_eq!(counted.len(), 3);
    let (_, cost) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F127>| {
        let a = context.random(50).await.expect("random");
        _ = context.multiply(&a, &a).await.expect("product");
    });
    for counters in cost.counters {
        assert_eq!(counters.rounds, 1);
        assert_eq!((counters.total_sent().messages, counters.total_sent().bytes), (1, 5 + 50 * 16));
    }
}

#[test]
fn multiply_reshared() {
    for n in [4, 5, 6, 7, 8, 9, 11] {
        let t = most(n);
        // A multiple of n, so that rotating dealers even out.
        let length = 110;
        let (rounds, elements) = cost::<F61>(
            n,
            async |context, a| {
                for _ in 0..n {
                    context.multiply(a, a).await.expect("product");
                }
            },
            length,
        );
        let expected = length * (2 * t + 1) * (n - 1 - t);
        assert_eq!(rounds, n);
        assert!((elements - expected as f64).abs() < 1e-6, "n = {n}: {elements}");
    }
}

#[test]
fn multiply_over_kings() {
    for n in [7, 8, 9, 11] {
        let t = most(n);
        let length = n * (n - t) * 1000;
        let (rounds, elements) =
            cost::<F61>(n, async |context, a| _ = context.multiply(a, a).await.expect("product"), length);
        let (n, t) = (n as f64, t as f64);
        let expected = (n - 1.0 - t) / (n - t) + (n - 1.0) / n + (n - 1.0 - t) / n;
        assert!(rounds <= 4, "{rounds} rounds");
        assert!((elements / length as f64 - expected).abs() < 0.01, "n = {n}: {}", elements / length as f64);
    }
}

#[test]
fn sums_of_products_cost_their_results() {
    for n in [3, 5] {
        let per_product = (n - 1 - most(n)) as f64;
        let (rounds, elements) =
            cost::<F61>(n, async |context, a| _ = context.dot(a, a, 100).await.expect("dot"), 1000);
        assert_eq!((rounds, elements), (1, 10.0 * per_product));
        let (rounds, elements) =
            cost::<F61>(n, async |context, a| _ = context.matmul(a, a, 10, 10).await.expect("product"), 100);
        assert_eq!((rounds, elements), (1, 100.0 * per_product));
    }
}

#[test]
fn trees_powers_inverses() {
    let one = |n: usize| (n - 1 - most(n)) as f64;
    for n in [3, 5] {
        let (rounds, elements) =
            cost::<F61>(n, async |context, a| _ = context.product(a, 13).await.expect("product"), 26);
        assert_eq!((rounds, elements), (4, 24.0 * one(n)));
        let (rounds, elements) = cost::<F61>(n, async |context, a| _ = context.power(a, 8).await.expect("power"), 7);
        assert_eq!((rounds, elements), (3, 21.0 * one(n)));
        let (rounds, elements) = cost::<F61>(n, async |context, a| _ = context.inverse(a).await.expect("inverse"), 7);
        assert_eq!((rounds, elements), (1, 7.0 * (n - 1) as f64));
    }
}

#[test]
fn random_and_bits() {
    let random = async |context: &mut Arithmetic<'_, F61>, _: &Shared<F61>| {
        _ = context.random(12).await.expect("random");
    };
    for n in [3, 4, 5, 6, 7] {
        assert_eq!(cost::<F61>(n, random, 1), (0, 0.0), "n = {n}");
    }
    let (rounds, elements) = cost::<F61>(9, random, 1);
    // Twelve elements are three dealings of five results.
    assert_eq!((rounds, elements), (1, 3.0 * 4.0));
    let bits = async |context: &mut Arithmetic<'_, F61>, _: &Shared<F61>| {
        _ = context.random_bits(30).await.expect("bits");
    };
    // Two dealers of three, one product.
    assert_eq!(cost::<F61>(3, bits, 1), (2, 2.0 * 30.0 / 3.0 + 30.0));
    // Squares are opened.
    assert_eq!(cost::<F61>(5, bits, 1), (1, 30.0 * 4.0));
}

#[test]
fn openings() {
    for n in [3, 7] {
        let (rounds, elements) = cost::<F61>(n, async |context, a| _ = context.open(a).await.expect("open"), 500);
        assert_eq!((rounds, elements), (1, 500.0 * (n - 1) as f64));
        let to_one = async |context: &mut Arithmetic<'_, F61>, a: &Shared<F61>| {
            _ = context.open_to(a, &[1]).await.expect("open");
        };
        let (rounds, elements) = cost::<F61>(n, to_one, 500);
        assert_eq!(rounds, 1);
        assert!((elements - 500.0 * (n - 1) as f64 / n as f64).abs() < 1e-6);
    }
    for n in [5, 7] {
        let length = 1000 * n * 4;
        let (rounds, elements) = cost::<F61>(n, async |context, a| _ = context.open(a).await.expect("open"), length);
        let expected = (most(n) + n - 1) as f64 / n as f64;
        // The check's challenge needs keys of subsets only once; n = 7 has them from batches not yet.
        assert!(rounds <= 5, "{rounds} rounds");
        assert!((elements / length as f64 - expected).abs() < 0.01, "n = {n}: {}", elements / length as f64);
    }
}

#[test]
fn inputs() {
    for n in [3, 4, 7] {
        let program = async |context: &mut Arithmetic<'_, F61>, _: &Shared<F61>| {
            let own = vec![F61::ONE; 40];
            _ = context.input_all(&vec![40; n], &own).await.expect("inputs");
        };
        assert_eq!(cost::<F61>(n, program, 1), (1, 40.0 * (n - 1 - most(n)) as f64));
    }
}

#[test]
fn zero_tests() {
    let program = async |context: &mut Arithmetic<'_, F61>, a: &Shared<F61>| {
        _ = context.is_zero(a).await.expect("test");
    };
    // Bits, opening, tree.
    assert_eq!(cost::<F61>(3, program, 5).0, 2 + 1 + 6);
    assert_eq!(cost::<F61>(5, program, 5).0, 1 + 1 + 6);
}
