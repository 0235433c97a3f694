//! The coins of a geometric variable, as exact fractions of 2^64: the same on every machine.
//!
//! Let X >= 0 have P(X = k) proportional to e^(-k x). The bits of X are independent, and bit i is one with probability
//! 1 / (1 + e^(2^i x)). The difference of two such variables is the discrete Laplace distribution with scale 1/x, P(k)
//! proportional to e^(-|k| x) (Ghosh, Roughgarden, Sundararajan 2009).

use num_bigint::BigUint;

/// Bits behind the point.
const POINT: u64 = 256;
/// Above this exponent a coin would be one less often than once in 2^66.
const LAST: u32 = 46;
/// Halvings before the series: the argument is below 2^-8 then.
const HALVINGS: usize = 14;

/// The thresholds of bits 0, 1, ..., for x = above / below, which is positive. Higher bits are left out: all of them
/// together would be one less often than once in 2^65.
pub(super) fn thresholds(above: &BigUint, below: &BigUint) -> Vec<u64> {
    let x = (above << POINT) / below;
    let last = BigUint::from(LAST) << POINT;
    let mut out = Vec::new();
    let mut y = x;
    while y < last {
        out.push(threshold(&y));
        y <<= 1;
    }
    out
}

/// 2^64 / (1 + e^y), to the nearest.
fn threshold(y: &BigUint) -> u64 {
    let one = BigUint::from(1u8) << POINT;
    let power = exponential(y);
    let quotient = (&power << 65u8) / (one + &power);
    // Halves up; at most 2^63.
    u64::try_from((quotient + 1u8) >> 1u8).unwrap_or(u64::MAX)
}

/// e^-y for y below 2^6, less than 2^-200 away.
fn exponential(y: &BigUint) -> BigUint {
    let one = BigUint::from(1u8) << POINT;
    let small = y >> HALVINGS;
    // Even and odd terms apart, since there are no negative numbers here.
    let (mut plus, mut minus) = (one.clone(), BigUint::ZERO);
    let mut term = one;
    for k in 1..=32u32 {
        term = ((term * &small) >> POINT) / k;
        if k % 2 == 0 { plus += &term } else { minus += &term }
    }
    let mut power = plus - minus;
    for _ in 0..HALVINGS {
        power = (&power * &power) >> POINT;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(above: u32, below: u32) -> Vec<u64> {
        thresholds(&above.into(), &below.into())
    }

    #[test]
    fn thresholds_are_those_of_the_logistic_function() {
        for (above, below) in [(1u32, 1u32), (1, 100), (7, 3), (1, 1_000_000), (40, 1), (1, 4_000_000_000)] {
            let found = of(above, below);
            let mut y = f64::from(above) / f64::from(below);
            for threshold in &found {
                let wanted = 2f64.powi(64) / (1.0 + y.exp());
                assert!((*threshold as f64 - wanted).abs() <= 0.5 + wanted * 1e-12, "{above}/{below}: {y}");
                y *= 2.0;
            }
            assert!((46.0..92.0).contains(&y) && found.iter().all(|threshold| *threshold > 0));
        }
        // 2^64 / (1 + e), with 60 digits: 4961093570831980853.8550...
        assert_eq!(of(1, 1)[0], 4961093570831980854);
        assert!(of(50, 1).is_empty());
    }

    /// The difference of two variables made of these coins is the discrete Laplace distribution, and its neighbours'
    /// chances differ by a factor of at most e^x, but for what the module says.
    #[test]
    fn coins_make_the_discrete_laplace_distribution() {
        let chance = |threshold: u64| threshold as f64 / 2f64.powi(64);
        for (above, below) in [(1u32, 4u32), (1, 1), (2, 1)] {
            let x = f64::from(above) / f64::from(below);
            let mut one_sided = vec![1.0];
            for (bit, threshold) in of(above, below).into_iter().enumerate() {
                let mut next = vec![0.0; one_sided.len() + (1 << bit)];
                for (value, p) in one_sided.iter().enumerate() {
                    next[value] += p * (1.0 - chance(threshold));
                    next[value + (1 << bit)] += p * chance(threshold);
                }
                one_sided = next;
            }
            let difference = |k: usize| -> f64 { one_sided.iter().zip(&one_sided[k..]).map(|(a, b)| a * b).sum() };
            let alpha = (-x).exp();
            for k in 0..one_sided.len().min(40) {
                let wanted = (1.0 - alpha) / (1.0 + alpha) * alpha.powi(k as i32);
                assert!((difference(k) - wanted).abs() < 1e-15, "{x}: {k}");
            }
            assert!(difference(0) / difference(1) <= x.exp() * (1.0 + 1e-12));
        }
    }
}
