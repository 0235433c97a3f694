//! Fixed-point numbers on shares: errors are within what is promised, on borders and random values.

use tacit_algebra::{F61, F127, Field};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Shared};
use tacit_engine::simulator::SplitMix;

use crate::arithmetic_world::{delayed, lockstep, most};

const PARTIES: [usize; 6] = [3, 4, 5, 6, 7, 11];

/// What the parties open, as signed integers.
fn opened(
    n: usize,
    numbers: &[i128],
    program: impl AsyncFn(&mut Arithmetic<'_, F127>, Shared<F127>) -> Result<Shared<F127>, ArithmeticError>,
) -> Vec<i128> {
    let opened = delayed(n, most(n), 7, async |context: &mut Arithmetic<'_, F127>| {
        let element =
            |x: &i128| if *x < 0 { -F127::from_u128(x.unsigned_abs()) } else { F127::from_u128(x.unsigned_abs()) };
        let numbers: Vec<F127> = numbers.iter().map(element).collect();
        let x = context.input(0, numbers.len(), (context.me() == 0).then_some(&numbers[..])).await.expect("input");
        let result = program(context, x).await.expect("operation");
        context.open(&result).await.expect("open")
    });
    assert!(opened.iter().all(|found| *found == opened[0]));
    opened[0].iter().map(|x| x.to_i128_signed()).collect()
}

/// E of the module.
fn unit(n: usize) -> f64 {
    (most(n) / 2 + 1) as f64
}

/// Numbers of up to so many bits: borders and random lengths, not negative.
fn numbers(bits: u32, length: usize, seed: u64) -> Vec<i128> {
    let top = (1i128 << bits) - 1;
    let mut out = vec![0, 1, 2, 3, top, top - 1, top / 2, top / 2 + 1, top / 4];
    let mut random = SplitMix::new(seed);
    while out.len() < length {
        let wide = i128::from(random.next_u64()) << 64 | i128::from(random.next_u64());
        out.push((wide & top) >> random.below(u64::from(bits)));
    }
    out
}

#[test]
fn p32_truncation_is_one_of_the_integers_around() {
    for n in PARTIES {
        for (shift, bits) in [(16, 81), (1, 40), (40, 40), (0, 30), (60, 81)] {
            let mut x = numbers(bits, 120, u64::from(shift));
            x.extend(x.clone().iter().map(|x| -x));
            let found = opened(n, &x, async |context, x| context.truncate(&x, shift, bits).await);
            let mut seen = std::collections::BTreeSet::new();
            for (x, found) in x.iter().zip(&found) {
                let away = found - (x >> shift);
                seen.insert(away);
                let error = (found << shift) - x;
                assert!(error.abs() <= (unit(n) as i128) << shift, "n = {n}, {x} >> {shift}: {found}");
            }
            assert!(seen.len() <= most(n) + 1);
        }
    }
}

#[test]
fn p32_fixed_products() {
    let fraction = 16;
    for n in PARTIES {
        let mut a = numbers(40, 100, 1);
        let b = numbers(40, 100, 2);
        a.iter_mut().skip(1).step_by(2).for_each(|a| *a = -*a);
        let both: Vec<i128> = a.iter().chain(&b).copied().collect();
        let found = opened(n, &both, async |context, x| {
            context.fixed_multiply(&x.slice(0..100), &x.slice(100..200), fraction).await
        });
        for i in 0..100 {
            let error = (found[i] << fraction) - a[i] * b[i];
            assert!(error.abs() <= (unit(n) as i128) << fraction, "n = {n}, {} * {}", a[i], b[i]);
        }
    }
}

#[test]
fn p32_fixed_quotients() {
    for n in PARTIES {
        for (fraction, bits) in [(16, 32), (16, 38), (8, 20), (20, 26), (0, 30)] {
            let divisors: Vec<i128> = numbers(bits, 100, 3).into_iter().map(|b| b.max(1)).collect();
            let mut dividends = numbers(bits, 100, 4);
            // The quotient is below 2^bits too.
            let most = |b: i128| ((b << bits) >> fraction) - 1;
            dividends.iter_mut().zip(&divisors).for_each(|(a, b)| *a = (*a).min(most(*b).max(0)));
            dividends.iter_mut().skip(1).step_by(3).for_each(|a| *a = -*a);
            let both: Vec<i128> = dividends.iter().chain(&divisors).copied().collect();
            let found = opened(n, &both, async |context, x| {
                context.fixed_divide(&x.slice(0..100), &x.slice(100..200), fraction, bits).await
            });
            for i in 0..100 {
                let exact = (dividends[i] << fraction) as f64 / divisors[i] as f64;
                let bound = unit(n) * (2.0 + exact.abs() * 8.0 / (1u64 << bits) as f64);
                let error = (found[i] as f64 - exact).abs();
                assert!(error <= bound, "n = {n}, {fraction} of {bits}: {} / {}: {error}", dividends[i], divisors[i]);
            }
        }
    }
}

#[test]
fn p32_fixed_roots() {
    for n in PARTIES {
        for (fraction, bits) in [(16, 32), (16, 38), (8, 20), (20, 26), (0, 30)] {
            let x = numbers(bits, 100, 5);
            let found = opened(n, &x, async |context, x| context.fixed_sqrt(&x, fraction, bits).await);
            for (x, found) in x.iter().zip(&found) {
                let exact = ((x << fraction) as f64).sqrt();
                let bound = unit(n) * (2.0 + exact * 8.0 / (1u64 << bits) as f64);
                let error = (*found as f64 - exact).abs();
                assert!(error <= bound, "n = {n}, {fraction} of {bits}: root of {x}: {error}");
            }
        }
    }
}

#[test]
fn numbers_without_room_are_refused() {
    let (refused, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F127>| {
        let one = Shared::constant(&[F127::ONE]);
        [
            context.truncate(&one, 5, 82).await.is_err(),
            context.truncate(&one, 6, 5).await.is_err(),
            context.fixed_divide(&one, &one, 16, 39).await.is_err(),
            context.fixed_divide(&one, &one, 16, 19).await.is_err(),
            context.fixed_sqrt(&one, 16, 39).await.is_err(),
            context.truncate(&one, 5, 81).await.is_ok(),
        ]
    });
    assert!(refused.iter().all(|refused| *refused == [true; 6]));
    let (refused, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F61>| {
        context.truncate(&Shared::constant(&[F61::ONE]), 5, 10).await.is_err()
    });
    assert_eq!(refused, [true; 3]);
}
