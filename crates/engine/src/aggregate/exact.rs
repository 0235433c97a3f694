//! From whole numbers of any size to the nearest double. Only opened sums come here, never secrets.

use num_bigint::{BigInt, BigUint, Sign};

use super::statistic::NoResult;

/// More bits than a double has, so that the last one can stand for all that follow.
const KEPT: i64 = 66;

/// A number as it is calculated with.
pub(crate) fn big(number: u128) -> BigInt {
    BigInt::from(number)
}

/// The double nearest to `above / below`, ties to even. `below` is not zero.
pub(crate) fn ratio(above: &BigInt, below: &BigInt) -> Result<f64, NoResult> {
    let negative = (above.sign() == Sign::Minus) != (below.sign() == Sign::Minus);
    let (above, below) = (above.magnitude(), below.magnitude());
    if *above == BigUint::ZERO {
        return Ok(0.0);
    }
    // The quotient gets 66 or 67 bits; what is cut off leaves a mark in its last bit.
    let up = KEPT - (bits(above) - bits(below));
    let (above, below) = (above << up.max(0).unsigned_abs(), below << (-up).max(0).unsigned_abs());
    let quotient = &above / &below;
    let inexact = &quotient * &below != above;
    let kept = u128::try_from(quotient).map_err(|_| NoResult::TooLarge)? | u128::from(inexact);
    // In two steps, since one power of two may not fit where the product does.
    let down = i32::try_from(-up).map_err(|_| NoResult::TooLarge)?;
    let magnitude = kept as f64 * 2f64.powi(down / 2) * 2f64.powi(down - down / 2);
    if !magnitude.is_normal() {
        return Err(NoResult::TooLarge);
    }
    Ok(if negative { -magnitude } else { magnitude })
}

/// The square root of `above / below`, which is not negative.
pub(crate) fn root_of_ratio(above: &BigInt, below: &BigInt) -> Result<f64, NoResult> {
    Ok(ratio(above, below)?.sqrt())
}

fn bits(number: &BigUint) -> i64 {
    i64::try_from(number.bits()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ratios_of_doubles_are_rounded_like_division(a in any::<i64>(), b in 1i64..) {
            // Below 2^53 both are doubles, and division of doubles is correctly rounded.
            let (a, b) = (a >> 11, (b >> 11).max(1));
            prop_assert_eq!(ratio(&a.into(), &b.into()), Ok(a as f64 / b as f64));
        }

        #[test]
        fn whole_numbers_are_rounded_like_casts(a in any::<u128>()) {
            prop_assert_eq!(ratio(&big(a), &big(1)), Ok(a as f64));
        }
    }

    #[test]
    fn common_factors_do_not_matter() {
        let factor = BigInt::from(3).pow(4000);
        assert_eq!(ratio(&(&factor * 7), &(&factor * -2)), Ok(-3.5));
        assert_eq!(ratio(&big(0), &factor), Ok(0.0));
        assert_eq!(ratio(&factor, &big(1)), Err(NoResult::TooLarge));
        assert_eq!(root_of_ratio(&(&factor * 9), &(&factor * 4)), Ok(1.5));
    }
}
