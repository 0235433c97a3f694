//! Exponential, logistic function and logarithm of fixed-point numbers.
//!
//! As in [`fixed`](super::fixed) a number x is shared as the integer nearest to x 2^f in 2^127-1. Errors in units of 2^-f,
//! E = floor(t/2) + 1:
//!
//! | operation | promise | error at most | rounds for n = 3 |
//! |---|---|---|---|
//! | [`fixed_exp`](Arithmetic::fixed_exp) | -32 <= x <= 0, f <= 26 | 2 E + 1 | 31 |
//! | [`fixed_logistic`](Arithmetic::fixed_logistic) | any \|x 2^f\| < 2^bits, f <= 26, bits <= 81 | 2 E + 1 | about 70 |
//! | [`fixed_log`](Arithmetic::fixed_log) | 0 < x, f <= 26, bits <= 36 | 2 E + 1 | about 40 |
//!
//! Inside, numbers have 36 bits behind the point. The exponential of x/64 is a polynomial, squared six times; 1/(1 + e^-|x|)
//! is found by Newton's iteration, which needs no normalisation there; the logarithm is a polynomial of the normalised number
//! (Chebyshev series, degree 12, 2^-34 away) and a multiple of log 2. Semi-honest, t < n/2, n <= 11.

use tacit_algebra::Field;

use super::fixed::{AT_ONCE, Normal};
use super::{Arithmetic, ArithmeticError, Shared};

/// Bits behind the point, inside.
const POINT: u32 = 36;
/// Bits behind the point of operands and results.
const FRACTION_AT_MOST: u32 = 26;
/// Exponentials are of numbers above -2^5.
const LEAST: u32 = 5;
/// e^-1/4 / k!, in units of 2^-36: e^y around y = -1/4.
const EXPONENTIAL: [i64; 9] = [
    53_518_782_294,
    53_518_782_294,
    26_759_391_147,
    8_919_797_049,
    2_229_949_262,
    445_989_852,
    74_331_642,
    10_618_806,
    1_327_351,
];
/// Of log (3 + s)/4 for s in [-1, 1], in units of 2^-36.
const LOGARITHM: [i64; 13] = [
    -19_769_361_485,
    22_906_492_230,
    -3_817_748_690,
    848_389_015,
    -212_097_433,
    56_555_977,
    -15_709_230,
    4_499_799,
    -1_313_914,
    370_229,
    -109_759,
    48_523,
    -15_263,
];
/// log 2 in units of 2^-72.
const LOG_OF_TWO: u128 = 3_273_295_013_171_879_848_906;

impl<F: Field> Arithmetic<'_, F> {
    /// e^x for numbers from -32 to 0.
    pub async fn fixed_exp(&mut self, x: &Shared<F>, fraction: u32) -> Result<Shared<F>, ArithmeticError> {
        check_fraction::<F>(fraction)?;
        let mut out = Vec::with_capacity(x.len());
        for x in x.pieces(AT_ONCE) {
            let power = self.exponential(&x, fraction).await?;
            let power = self.truncate(&power, POINT - fraction, POINT + 1).await?;
            out.extend_from_slice(power.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }

    /// 1 / (1 + e^-x) for numbers of any sign; |x 2^fraction| < 2^bits.
    pub async fn fixed_logistic(
        &mut self,
        x: &Shared<F>,
        fraction: u32,
        bits: u32,
    ) -> Result<Shared<F>, ArithmeticError> {
        check_fraction::<F>(fraction)?;
        let mut out = Vec::with_capacity(x.len());
        for x in x.pieces(AT_ONCE) {
            out.extend_from_slice(self.logistic(&x, fraction, bits).await?.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }

    /// The natural logarithm of positive numbers; x 2^fraction < 2^bits. Of zero it is some number, and nobody learns it.
    pub async fn fixed_log(&mut self, x: &Shared<F>, fraction: u32, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        check_fraction::<F>(fraction)?;
        if bits > POINT || bits == 0 {
            return Err(ArithmeticError::WrongCall { what: "logarithms are of numbers of up to 36 bits" });
        }
        let mut out = Vec::with_capacity(x.len());
        for x in x.pieces(AT_ONCE) {
            let length = x.len();
            let Normal { mantissa, highest, .. } = self.normal(&x, bits).await?;
            // s = 4 m - 3 for m = mantissa / 2^bits in [1/2, 1).
            let mut s = mantissa;
            s.scale(F::from_u128(1 << (2 + POINT - bits)));
            s.add_constant(&vec![-F::from_u128(3 << POINT); length]);
            let powers = self.powers(s, LOGARITHM.len() - 1).await?;
            let mut log = polynomial(&LOGARITHM, &powers, length);
            // x = m 2^(place + 1 - fraction).
            for place in 0..bits {
                let exponent = F::from_i64(i64::from(place) + 1 - i64::from(fraction));
                let shares = highest.slice(place as usize * length..(place as usize + 1) * length);
                log.scale_add(exponent * F::from_u128(LOG_OF_TWO), &shares);
            }
            let log = self.truncate(&log, 2 * POINT - fraction, 2 * POINT + 6).await?;
            out.extend_from_slice(log.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }

    async fn logistic(&mut self, x: &Shared<F>, fraction: u32, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        let length = x.len();
        let (one, two) = (F::ONE, F::from_u64(2));
        let limit = F::from_u128(1 << (LEAST + fraction));
        let limits = Shared::constant(&vec![limit; length]);
        // Whether x is negative, above the limit, below minus the limit.
        let signs = Shared::concat(&[x, &limits.sub(x), &x.add(&limits)]);
        let signs = self.is_negative(&signs, bits.max(LEAST + fraction) + 1).await?;
        let part = |i: usize| signs.slice(i * length..(i + 1) * length);
        let (negative, above, below) = (part(0), part(1), part(2));
        let mut outside = above;
        outside.add_assign(&below);
        // x times this is |x|, or 0 outside.
        let mut sign = Shared::constant(&vec![one; length]);
        sign.sub_assign(&outside);
        sign.scale_add(-two, &negative);
        sign.scale_add(two, &below);
        // -min(|x|, limit)
        let mut nearest = self.multiply(&sign, x).await?;
        nearest.scale_add(limit, &outside);
        nearest.scale(-one);
        let mut denominator = self.exponential(&nearest, fraction).await?;
        denominator.add_constant(&vec![F::from_u128(1 << POINT); length]);
        // 2^(2 POINT + 2) over it: POINT + 2 bits behind the point.
        let inverse = self.reciprocal(&denominator, POINT + 1).await?;
        let of_absolute = self.truncate(&inverse, POINT + 2 - fraction, POINT + 4).await?;
        // p, or 1 - p where x < 0.
        let mut change = Shared::constant(&vec![F::from_u128(1 << fraction); length]);
        change.scale_add(-two, &of_absolute);
        let mut out = self.multiply(&negative, &change).await?;
        out.add_assign(&of_absolute);
        Ok(out)
    }

    /// e^x with [`POINT`] bits, for -32 <= x <= 0 with fewer.
    async fn exponential(&mut self, x: &Shared<F>, fraction: u32) -> Result<Shared<F>, ArithmeticError> {
        let length = x.len();
        // x/64 + 1/4, in [-1/4, 1/4].
        let mut y = x.duplicate();
        y.scale(F::from_u128(1 << (POINT - fraction - LEAST - 1)));
        y.add_constant(&vec![F::from_u128(1 << (POINT - 2)); length]);
        let powers = self.powers(y, EXPONENTIAL.len() - 1).await?;
        let sum = polynomial(&EXPONENTIAL, &powers, length);
        let mut power = self.truncate(&sum, POINT, 2 * POINT + 1).await?;
        for _ in 0..=LEAST {
            self.square_assign(&mut power).await?;
            power = self.truncate(&power, POINT, 2 * POINT + 1).await?;
        }
        Ok(power)
    }

    /// The powers 1 to `most` of numbers of at most 1, power after power: as many levels as most has bits.
    async fn powers(&mut self, x: Shared<F>, most: usize) -> Result<Shared<F>, ArithmeticError> {
        let length = x.len();
        let mut powers = x;
        while powers.len() < most * length {
            let known = powers.len() / length.max(1);
            let wanted = known.min(most - known);
            let highest = powers.slice((known - 1) * length..known * length);
            let factors: Vec<&Shared<F>> = (0..wanted).map(|_| &highest).collect();
            let next = self.multiply(&powers.slice(0..wanted * length), &Shared::concat(&factors)).await?;
            let next = self.truncate(&next, POINT, 2 * POINT + 1).await?;
            powers = Shared::concat(&[&powers, &next]);
        }
        Ok(powers)
    }
}

/// A polynomial of numbers whose powers these are, with twice as many bits behind the point.
fn polynomial<F: Field>(coefficients: &[i64], powers: &Shared<F>, length: usize) -> Shared<F> {
    let constant = F::from_i64(coefficients[0]) * F::from_u128(1 << POINT);
    let mut sum = Shared::constant(&vec![constant; length]);
    for (i, coefficient) in coefficients[1..].iter().enumerate() {
        sum.scale_add(F::from_i64(*coefficient), &powers.slice(i * length..(i + 1) * length));
    }
    sum
}

fn check_fraction<F: Field>(fraction: u32) -> Result<(), ArithmeticError> {
    if fraction > FRACTION_AT_MOST || F::BITS != 127 {
        return Err(ArithmeticError::WrongCall {
            what: "exponentials and logarithms have up to 26 bits behind the point, in 2^127-1",
        });
    }
    Ok(())
}
