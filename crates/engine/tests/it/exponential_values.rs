//! Exponential, logistic function and logarithm on shares: errors are within what is promised.

use tacit_algebra::{F61, F127, Field};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Shared};
use tacit_engine::simulator::SplitMix;

use crate::arithmetic_world::{delayed, lockstep, most};

const PARTIES: [usize; 5] = [3, 4, 5, 7, 11];
const FRACTIONS: [u32; 3] = [26, 24, 10];

/// What an operation makes of numbers must be what `exact` says, up to 2 E + 1 units.
fn check(
    n: usize,
    fraction: u32,
    numbers: &[i128],
    exact: impl Fn(f64) -> f64,
    operation: impl AsyncFn(&mut Arithmetic<'_, F127>, Shared<F127>) -> Result<Shared<F127>, ArithmeticError>,
) {
    let found = delayed(n, most(n), 7, async |context: &mut Arithmetic<'_, F127>| {
        let element =
            |x: &i128| if *x < 0 { -F127::from_u128(x.unsigned_abs()) } else { F127::from_u128(x.unsigned_abs()) };
        let numbers: Vec<F127> = numbers.iter().map(element).collect();
        let x = context.input(0, numbers.len(), (context.me() == 0).then_some(&numbers[..])).await.expect("input");
        let result = operation(context, x).await.expect("operation");
        context.open(&result).await.expect("open")
    });
    assert!(found.iter().all(|party| *party == found[0]));
    let unit = 2f64.powi(fraction as i32);
    let allowed = (2 * (most(n) / 2 + 1) + 1) as f64;
    for (x, found) in numbers.iter().zip(&found[0]) {
        let wanted = exact(*x as f64 / unit) * unit;
        let error = (found.to_i128_signed() as f64 - wanted).abs();
        assert!(error <= allowed, "n = {n}, fraction {fraction}: {x} gives {found:?}, not {wanted}: {error}");
    }
}

/// Borders, and random numbers of all lengths up to a limit.
fn numbers(limit: i128, seed: u64) -> Vec<i128> {
    let mut out = vec![0, 1, 2, limit, limit - 1, limit / 2, limit / 2 + 1, limit / 3];
    let mut random = SplitMix::new(seed);
    let bits = u64::from(128 - limit.leading_zeros());
    while out.len() < 60 {
        out.push((i128::from(random.next_u64()) << 20 & (limit - 1)) >> random.below(bits));
        out.push(i128::from(random.next_u64()) % (limit + 1));
    }
    out
}

#[test]
fn p32_exponentials() {
    for n in PARTIES {
        for fraction in FRACTIONS {
            let x: Vec<i128> = numbers(32 << fraction, 1).into_iter().map(|x| -x).collect();
            check(n, fraction, &x, f64::exp, async |context, x| context.fixed_exp(&x, fraction).await);
        }
    }
}

#[test]
fn p32_logistic_function() {
    for n in PARTIES {
        for (fraction, bits) in [(26, 31), (24, 60), (10, 81)] {
            let mut x = numbers(32 << fraction, 2);
            x.extend(numbers((1 << bits) - 1, 3));
            x.extend(x.clone().iter().map(|x| -x));
            let exact = |x: f64| 1.0 / (1.0 + (-x).exp());
            let x: Vec<i128> = x.into_iter().filter(|x| x.unsigned_abs() < 1 << bits).collect();
            check(n, fraction, &x, exact, async |context, x| context.fixed_logistic(&x, fraction, bits).await);
        }
    }
}

#[test]
fn p32_logarithms() {
    for n in PARTIES {
        for (fraction, bits) in [(26, 36), (24, 30), (10, 11), (0, 36)] {
            let x: Vec<i128> = numbers((1 << bits) - 1, 4).into_iter().map(|x| x.max(1)).collect();
            check(n, fraction, &x, f64::ln, async |context, x| context.fixed_log(&x, fraction, bits).await);
        }
    }
}

#[test]
fn exponentials_without_room_are_refused() {
    let (refused, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F127>| {
        let one = Shared::constant(&[F127::ONE]);
        [
            context.fixed_exp(&one, 27).await.is_err(),
            context.fixed_logistic(&one, 27, 40).await.is_err(),
            context.fixed_log(&one, 20, 37).await.is_err(),
        ]
    });
    assert!(refused.iter().all(|refused| *refused == [true; 3]));
    let (refused, _) = lockstep(3, 1, 3, async |context: &mut Arithmetic<'_, F61>| {
        context.fixed_exp(&Shared::constant(&[F61::ZERO]), 10).await.is_err()
    });
    assert_eq!(refused, [true; 3]);
}
