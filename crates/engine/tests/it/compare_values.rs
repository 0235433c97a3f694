//! Order, bits and choices on shares against plain numbers: fields, numbers of parties, borders.

use proptest::prelude::*;
use tacit_algebra::{F61, F127, Field};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Shared};
use tacit_engine::simulator::SplitMix;

use crate::arithmetic_world::{delayed, delayed_of, fill, lockstep, most};

const PARTIES: [usize; 9] = [3, 4, 5, 6, 7, 8, 9, 10, 11];

/// What every party opens must be what the plain numbers give.
fn check<F: Field>(
    n: usize,
    t: usize,
    seed: u64,
    expected: &[u128],
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> Result<Shared<F>, ArithmeticError>,
) {
    check_of((n, t), false, seed, expected, program);
}

/// The same, products verified if that is wanted.
fn check_of<F: Field>(
    (n, t): (usize, usize),
    verified: bool,
    seed: u64,
    expected: &[u128],
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> Result<Shared<F>, ArithmeticError>,
) {
    let opened = delayed_of((n, t), seed, verified, async |context: &mut Arithmetic<'_, F>| {
        let shared = program(context).await.expect("operation");
        context.open(&shared).await.expect("open")
    });
    for (me, found) in opened.into_iter().enumerate() {
        let found: Vec<u128> = found.iter().map(|x| x.to_u128()).collect();
        assert_eq!(found.len(), expected.len());
        let wrong = (0..found.len()).find(|i| found[*i] != expected[*i]);
        assert_eq!(wrong, None, "party {me} of {n}, t = {t}, {}, seed {seed}, verified: {verified}", F::NAME);
    }
}

/// Shares of numbers that the last party knows.
async fn input<F: Field>(context: &mut Arithmetic<'_, F>, numbers: &[u128]) -> Shared<F> {
    let last = context.parties() - 1;
    let numbers: Vec<F> = numbers.iter().map(|x| F::from_u128(*x)).collect();
    context.input(last, numbers.len(), (context.me() == last).then_some(&numbers[..])).await.expect("input")
}

/// Numbers below 2^bits: borders, neighbours of powers, random ones.
fn below(bits: u32, length: usize, seed: u64) -> Vec<u128> {
    let top = (1u128 << bits) - 1;
    let mut out = vec![0, 1, top, top - 1, top / 2, top / 2 + 1, 2.min(top)];
    let mut random = SplitMix::new(seed);
    while out.len() < length {
        let mut bytes = [0; 16];
        fill(&mut random, &mut bytes);
        let value = u128::from_le_bytes(bytes) & top;
        // Also short ones.
        out.push(value >> random.below(u64::from(bits)));
    }
    for i in (1..out.len()).rev() {
        out.swap(i, random.below(i as u64 + 1) as usize);
    }
    out.truncate(length);
    out
}

fn order<F: Field>(n: usize, t: usize, bits: u32, length: usize, seed: u64) {
    order_of::<F>((n, t), false, bits, length, seed);
}

fn order_of<F: Field>(group: (usize, usize), verified: bool, bits: u32, length: usize, seed: u64) {
    let (a, mut b) = (below(bits, length, seed), below(bits, length, !seed));
    // Equal and neighbouring ones.
    for i in (0..length).step_by(5) {
        b[i] = a[i];
    }
    for i in (1..length).step_by(7) {
        b[i] = (a[i] + 1) & ((1 << bits) - 1);
    }
    let less: Vec<u128> = a.iter().zip(&b).map(|(a, b)| u128::from(a < b)).collect();
    check_of::<F>(group, verified, seed, &less, async |context| {
        let (a, b) = (input(context, &a).await, input(context, &b).await);
        context.less_than(&a, &b, bits).await
    });
    check_of::<F>(group, verified, seed + 1, &less, async |context| {
        let public: Vec<F> = b.iter().map(|b| F::from_u128(*b)).collect();
        let a = input(context, &a).await;
        context.less_than_public(&a, &public, bits).await
    });
}

#[test]
fn p32_less_than_for_all_numbers_of_parties() {
    for n in PARTIES {
        // One word of lanes is full, one is not; more parties cost more time.
        let length = if n > 8 { 30 } else { 130 };
        order::<F61>(n, most(n), 59, length, n as u64);
        order::<F127>(n, most(n), 64, length, n as u64);
    }
}

#[test]
fn p32_verified_order_is_the_same() {
    for group in [(3, 1), (4, 1), (5, 2), (7, 3)] {
        order_of::<F61>(group, true, 59, 24, 3);
        order_of::<F61>(group, true, 8, 24, 4);
    }
    order_of::<F61>((3, 1), true, 1, 24, 5);
    order_of::<F127>((3, 1), true, 64, 24, 6);
    order_of::<F127>((3, 1), true, 125, 24, 7);
}

#[test]
fn p32_less_than_for_all_widths() {
    for bits in [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 58, 59] {
        order::<F61>(3, 1, bits, 70, u64::from(bits));
        order::<F61>(5, 2, bits, 70, u64::from(bits));
    }
    for bits in [1, 32, 63, 64, 80, 81, 82, 83, 84, 85, 100, 124, 125] {
        order::<F127>(3, 1, bits, 70, u64::from(bits));
        order::<F127>(4, 1, bits, 70, u64::from(bits));
        order::<F127>(7, 3, bits, 70, u64::from(bits));
    }
}

#[test]
fn p32_less_than_with_fewer_cheaters_than_most() {
    for (n, t) in [(5, 1), (6, 1), (7, 1), (7, 2), (9, 2), (11, 1)] {
        order::<F61>(n, t, 40, 70, n as u64);
        order::<F127>(n, t, 64, 70, n as u64);
    }
}

#[test]
fn p32_signs_of_all_numbers_of_the_field() {
    let half = F61::MODULUS / 2;
    let numbers = [0, 1, 2, half, half + 1, half - 1, half + 2, F61::MODULUS - 1, F61::MODULUS - 2];
    let negative: Vec<u128> = numbers.iter().map(|x| u128::from(*x > half)).collect();
    for n in [3, 4, 5, 7] {
        check::<F61>(n, most(n), 5, &negative, async |context| {
            let x = input(context, &numbers).await;
            context.is_negative(&x, 59).await
        });
    }
    let half = F127::MODULUS / 2;
    let numbers = [0, 1, 2, half, half + 1, half - 1, half + 2, F127::MODULUS - 1, F127::MODULUS - 2];
    let negative: Vec<u128> = numbers.iter().map(|x| u128::from(*x > half)).collect();
    for n in [3, 5] {
        check::<F127>(n, most(n), 5, &negative, async |context| {
            let x = input(context, &numbers).await;
            context.is_negative(&x, 125).await
        });
    }
}

#[test]
fn p32_long_vectors_are_compared_in_pieces() {
    for (n, length) in [(3, 70_001), (5, 40_000)] {
        order::<F61>(n, most(n), 32, length, 5);
    }
}

fn bits<F: Field>(n: usize, bits: u32) {
    let numbers = below(bits, 40, n as u64);
    let lowest: Vec<u128> = numbers.iter().map(|x| x & 1).collect();
    check::<F>(n, most(n), 7, &lowest, async |context| {
        let x = input(context, &numbers).await;
        context.least_significant_bit(&x, bits).await
    });
    let all: Vec<u128> = numbers.iter().flat_map(|x| (0..bits).map(move |i| x >> i & 1)).collect();
    check::<F>(n, most(n), 8, &all, async |context| {
        let x = input(context, &numbers).await;
        context.decompose(&x, bits).await
    });
}

#[test]
fn p32_lowest_bits_and_decompositions() {
    for n in [3, 4, 5, 7, 8] {
        bits::<F61>(n, 16);
        bits::<F61>(n, 33);
        bits::<F61>(n, 59);
        bits::<F127>(n, 64);
    }
    bits::<F61>(3, 1);
    bits::<F127>(3, 125);
    // Any element, as a number below p.
    let numbers = [0, 1, F61::MODULUS - 1, F61::MODULUS - 2, F61::MODULUS / 2];
    let lowest: Vec<u128> = numbers.iter().map(|x| x & 1).collect();
    for n in [3, 5] {
        check::<F61>(n, most(n), 7, &lowest, async |context| {
            let x = input(context, &numbers).await;
            context.least_significant_bit(&x, 61).await
        });
    }
}

/// Of so many numbers.
fn choices(n: usize, verified: bool, length: usize) {
    let x = below(20, length, 1);
    let mut low = below(20, length, 2);
    let mut high = below(20, length, 3);
    for i in 0..length {
        (low[i], high[i]) = (low[i].min(high[i]), low[i].max(high[i]));
        // Borders belong to it.
        match i % 4 {
            0 => low[i] = x[i].min(high[i]),
            1 => high[i] = x[i].max(low[i]),
            _ => {}
        }
    }
    let inside: Vec<u128> = (0..length).map(|i| u128::from(low[i] <= x[i] && x[i] <= high[i])).collect();
    assert!(inside.contains(&0) && inside.contains(&1));
    check_of::<F61>((n, most(n)), verified, 9, &inside, async |context| {
        let shared = input(context, &x).await;
        let public = |numbers: &[u128]| numbers.iter().map(|x| F61::from_u128(*x)).collect::<Vec<F61>>();
        context.in_interval(&shared, &public(&low), &public(&high), 20).await
    });
    for width in [1, 2, 7, 8, length] {
        let x: Vec<u128> = below(3, 4 * width, 5).iter().map(|x| u128::from(*x == 0)).collect();
        let prefixes: Vec<u128> = x
            .chunks(width)
            .flat_map(|row| {
                row.iter().scan(0, |seen, bit| {
                    *seen |= *bit;
                    Some(*seen)
                })
            })
            .collect();
        check_of::<F61>((n, most(n)), verified, 10, &prefixes, async |context| {
            let x = input(context, &x).await;
            context.prefix_or(&x, width).await
        });
    }
    let condition: Vec<u128> = (0..length as u128).map(|i| i % 3 / 2).collect();
    let chosen: Vec<u128> = (0..length).map(|i| if condition[i] == 1 { low[i] } else { high[i] }).collect();
    check_of::<F61>((n, most(n)), verified, 11, &chosen, async |context| {
        let condition = input(context, &condition).await;
        let (low, high) = (input(context, &low).await, input(context, &high).await);
        context.select(&condition, &low, &high).await
    });
}

#[test]
fn p32_intervals_prefixes_and_choices() {
    [3, 4, 5, 7].into_iter().for_each(|n| choices(n, false, 60));
}

#[test]
fn p32_verified_intervals_prefixes_and_choices() {
    [3, 4, 5, 7].into_iter().for_each(|n| choices(n, true, 20));
}

fn extremes(n: usize, verified: bool, rows: usize, widths: &[usize]) {
    for width in widths.iter().copied() {
        let mut x = below(30, rows * width, width as u64);
        // Ties.
        x[0] = x[width - 1];
        let row = |best: &dyn Fn(&[u128]) -> u128| x.chunks(width).map(best).collect::<Vec<u128>>();
        let least = row(&|row| *row.iter().min().expect("not empty"));
        let largest = row(&|row| *row.iter().max().expect("not empty"));
        let first_of = |row: &[u128], best: u128| row.iter().position(|x| *x == best).expect("there") as u128;
        let first_least: Vec<u128> = x.chunks(width).zip(&least).map(|(row, best)| first_of(row, *best)).collect();
        let first_largest: Vec<u128> = x.chunks(width).zip(&largest).map(|(row, best)| first_of(row, *best)).collect();
        let expected = [least.clone(), largest.clone(), least, first_least, largest, first_largest].concat();
        check_of::<F61>((n, most(n)), verified, 12, &expected, async |context| {
            let x = input(context, &x).await;
            let least = context.min(&x, width, 30).await?;
            let largest = context.max(&x, width, 30).await?;
            let first = context.argmin(&x, width, 30).await?;
            let last = context.argmax(&x, width, 30).await?;
            Ok(Shared::concat(&[&least, &largest, &first.0, &first.1, &last.0, &last.1]))
        });
    }
}

#[test]
fn p32_extremes_of_rows_and_their_places() {
    [3, 4, 5, 7].into_iter().for_each(|n| extremes(n, false, 5, &[1, 2, 3, 8, 13]));
}

#[test]
fn p32_verified_extremes_of_rows_and_their_places() {
    [3, 4, 5, 7].into_iter().for_each(|n| extremes(n, true, 2, &[1, 3, 8]));
}

fn sorted<F: Field>(n: usize, bits: u32, length: usize) {
    let x = below(bits, length, 3 * length as u64);
    let mut expected = x.clone();
    expected.sort_unstable();
    check::<F>(n, most(n), 13, &expected, async |context| {
        let x = input(context, &x).await;
        context.sort(&x, bits).await
    });
}

#[test]
fn p32_sorting_of_any_length() {
    for length in (0..20).chain([31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 1000]) {
        sorted::<F61>(3, 32, length);
    }
    for n in [4, 5, 7] {
        sorted::<F61>(n, 20, 70);
        sorted::<F127>(n, 64, 70);
    }
    for bits in [1, 2, 3, 59] {
        sorted::<F61>(3, bits, 100);
    }
}

#[test]
fn p32_rows_are_sorted_each_by_itself() {
    for (n, width, rows) in
        [(3, 1, 5), (3, 2, 3), (3, 5, 40), (3, 32, 3), (3, 33, 4), (3, 100, 3), (4, 7, 9), (5, 64, 2)]
    {
        let x = below(12, width * rows, 7);
        let mut expected = x.clone();
        expected.chunks_exact_mut(width).for_each(<[u128]>::sort_unstable);
        check::<F61>(n, most(n), 16, &expected, async |context| {
            let x = input(context, &x).await;
            context.sort_rows(&x, width, 12).await
        });
    }
}

#[test]
fn p32_what_belongs_to_a_key_goes_with_it() {
    for n in [3, 4, 5, 7] {
        let keys = below(10, 150, 4);
        let payload: Vec<u128> = keys.iter().map(|key| key * key).collect();
        let mut expected = keys.clone();
        expected.sort_unstable();
        expected.extend(expected.clone().iter().map(|key| key * key));
        check::<F61>(n, most(n), 14, &expected, async |context| {
            let (keys, payload) = (input(context, &keys).await, input(context, &payload).await);
            let (keys, payload) = context.sort_with(&keys, 10, &payload, 20).await?;
            Ok(Shared::concat(&[&keys, &payload]))
        });
    }
}

#[test]
fn p32_shuffles_keep_what_is_there_and_move_it() {
    for n in [3, 4, 5, 7] {
        let numbers: Vec<u128> = (0..300).collect();
        let opened = delayed(n, most(n), 15, async |context: &mut Arithmetic<'_, F61>| {
            let x = input(context, &numbers).await;
            let first = context.shuffle(&x, 9).await.expect("shuffle");
            let second = context.shuffle(&x, 9).await.expect("shuffle");
            let open = context.open(&Shared::concat(&[&first, &second])).await.expect("open");
            open.iter().map(|x| x.to_u128()).collect::<Vec<u128>>()
        });
        assert!(opened.iter().all(|found| *found == opened[0]));
        let (first, second) = opened[0].split_at(300);
        for found in [first, second] {
            let mut back = found.to_vec();
            back.sort_unstable();
            assert_eq!(back, numbers);
            // Each stays with probability 1/300: more than ten with probability below 1e-7.
            assert!(found.iter().zip(&numbers).filter(|(a, b)| a == b).count() <= 10);
        }
        assert!(first.iter().zip(second).filter(|(a, b)| a == b).count() <= 10);
    }
}

#[test]
fn p32_arguments_that_cannot_be_right_are_refused() {
    let (refused, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F61>| {
        let a = Shared::constant(&[F61::ONE; 3]);
        let b = Shared::constant(&[F61::ONE; 2]);
        let wrong =
            |result: Result<Shared<F61>, ArithmeticError>| matches!(result, Err(ArithmeticError::WrongCall { .. }));
        [
            wrong(context.less_than(&a, &b, 8).await),
            wrong(context.less_than_public(&a, &[F61::ONE], 8).await),
            wrong(context.less_than(&a, &a, 60).await),
            wrong(context.in_interval(&a, &[F61::ONE], &[F61::ONE; 3], 8).await),
            wrong(context.in_interval(&a, &[F61::from_u64(2); 3], &[F61::ONE; 3], 8).await),
            wrong(context.in_interval(&a, &[F61::ONE; 3], &[F61::from_u64(256); 3], 8).await),
            wrong(context.prefix_or(&a, 2).await),
            wrong(context.select(&a, &a, &b).await),
        ]
    });
    assert!(refused.iter().all(|refused| *refused == [true; 8]));
    let (refused, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, tacit_algebra::Fp<257>>| {
        context.is_negative(&Shared::constant(&[tacit_algebra::Fp::ONE]), 3).await.is_err()
    });
    assert_eq!(refused, [true; 3]);
    let (empty, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F61>| {
        context.less_than(&Shared::zeros(0), &Shared::zeros(0), 8).await.map(|x| x.len())
    });
    assert!(empty.iter().all(|empty| *empty == Ok(0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn p32_random_comparisons(
        seed in any::<u32>(),
        n in 3usize..=7,
        below in 0usize..3,
        bits in 1u32..=59,
        length in 1usize..200,
        large in any::<bool>(),
    ) {
        let t = most(n).saturating_sub(below).max(1);
        if large {
            order::<F127>(n, t, 2 * bits, length, seed.into());
        } else {
            order::<F61>(n, t, bits, length, seed.into());
        }
    }
}

#[test]
fn futures_may_change_threads() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let (results, _) = lockstep(3, 1, 18, async |context: &mut Arithmetic<'_, F61>| {
        let a = Shared::constant(&[F61::ONE; 2]);
        let b = sendable(context.less_than(&a, &a, 9)).await.expect("order");
        let c = sendable(context.decompose(&a, 9)).await.expect("bits");
        let d = sendable(context.least_significant_bit(&a, 9)).await.expect("bit");
        sendable(context.open(&Shared::concat(&[&b, &c, &d]))).await.expect("open").len()
    });
    assert_eq!(results, [2 + 18 + 2; 3]);
}
