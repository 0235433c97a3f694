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

/// Elements count 16 bytes in 2^127-1.
fn bytes_per_party(
    n: usize,
    length: usize,
    program: impl AsyncFn(&mut Arithmetic<'_, F127>, &Shared<F127>),
) -> (usize, f64) {
    // Keys are agreed before.
    let prepare = async |context: &mut Arithmetic<'_, F127>| {
        let a = Shared::constant(&vec![F127::ONE; length]);
        let order = context.less_than(&a.slice(0..1), &a.slice(0..1), 1).await.expect("order");
        // All parties hear all, so that nobody is ahead.
        context.open(&order).await.expect("open");
        a
    };
    let (_, before) = lockstep(n, most(n), 3, async |context| _ = prepare(context).await);
    let (_, after) = lockstep(n, most(n), 3, async |context| {
        let a = prepare(context).await;
        program(context, &a).await;
    });
    (after.rounds - before.rounds, (after.elements::<F127>() - before.elements::<F127>()) * 16.0)
}

#[test]
fn comparisons() {
    let program = async |context: &mut Arithmetic<'_, F127>, a: &Shared<F127>| {
        _ = context.less_than(a, a, 64).await.expect("order");
    };
    // Gates: 64 leaves, then a tree of 120.
    for length in [64.0, 640.0] {
        let (rounds, bytes) = bytes_per_party(3, length as usize, program);
        // Down: opened, and its 65 bits. Up: opened bit, one input, and one product of each.
        let expected = (16.0 + 65.0 / 8.0 + 1.0 / 8.0 + 16.0) / 3.0 + 184.0 / 8.0 + 16.0;
        assert_eq!(rounds, 12);
        assert!((bytes - length * expected).abs() < 1e-6, "{}", bytes / length);
    }
    for (n, rounds_of_masks, rounds_of_carry_save, rounds_of_products) in [(5, 1, 1, 2), (7, 1, 2, 2)] {
        let t = most(n);
        let (rounds, bytes) = bytes_per_party(n, 640, program);
        let (parties, explicit, masks) = (n as f64, (n - 1 - t) as f64, t as f64);
        let inputs = 16.0 * (masks * explicit + masks) + 65.0 / 8.0 * explicit;
        // Of the top carry nothing is saved: it is computed and not used.
        let gates = (184.0 + (masks - 1.0) * 65.0) / 8.0 * explicit;
        let up = masks / 8.0 + 16.0 * (masks + 1.0) * explicit;
        let products = masks * 16.0 * explicit;
        let expected = (inputs + up) / parties + gates + products;
        assert_eq!(rounds, rounds_of_masks + 2 + rounds_of_carry_save + 7 + 2 + rounds_of_products);
        assert!((bytes / 640.0 - expected).abs() < 1e-6, "n = {n}: {} {expected}", bytes / 640.0);
    }
}

#[test]
fn lowest_bits_need_no_gate() {
    let program = async |context: &mut Arithmetic<'_, F127>, a: &Shared<F127>| {
        _ = context.least_significant_bit(a, 64).await.expect("bit");
    };
    // Two down, three up; parties with nothing to wait for are ahead.
    assert!(bytes_per_party(3, 64, program).0 <= 2 + 3);
}

#[test]
fn sorting() {
    let program = async |context: &mut Arithmetic<'_, F127>, a: &Shared<F127>| {
        _ = context.sort(a, 32).await.expect("sorted");
    };
    let (rounds, _) = bytes_per_party(3, 200, program);
    // Bits: two rounds down, 1 + 5 of the adder. Eight doublings: 36 layers of 1 + 5 + 1. Three rounds up.
    // Parties with nothing to wait for are ahead.
    assert!((36 * 7..=2 + 6 + 36 * 7 + 3).contains(&rounds), "{rounds} rounds");
}
