//! A deterministic primality test for declared moduli.
//!
//! Miller-Rabin to the bases 2, 3, 5, ..., 37 decides every number below 3.3 * 10^24 (Sorenson and
//! Webster, "Strong pseudoprimes to twelve prime bases", 2015), therefore every `u64`. Moduli are
//! public: the time depends on the number.

const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Whether `n` is prime. Exact, no probability involved. Usable in constants.
pub const fn is_prime(n: u64) -> bool {
    if n < 2 {
        return false;
    }
    let mut i = 0;
    while i < BASES.len() {
        if n.is_multiple_of(BASES[i]) {
            return n == BASES[i];
        }
        i += 1;
    }
    let twos = (n - 1).trailing_zeros();
    let odd = (n - 1) >> twos;
    let mut i = 0;
    while i < BASES.len() {
        if witnesses_composite(n, BASES[i], odd, twos) {
            return false;
        }
        i += 1;
    }
    true
}

/// Whether `base` proves the odd number `n` = `odd` * 2^`twos` + 1 composite.
const fn witnesses_composite(n: u64, base: u64, odd: u64, twos: u32) -> bool {
    let mut x = pow_mod(base, odd, n);
    if x == 1 || x == n - 1 {
        return false;
    }
    let mut i = 1;
    while i < twos {
        x = mul_mod(x, x, n);
        if x == n - 1 {
            return false;
        }
        i += 1;
    }
    true
}

const fn pow_mod(base: u64, mut exponent: u64, n: u64) -> u64 {
    let (mut result, mut square) = (1, base % n);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, square, n);
        }
        square = mul_mod(square, square, n);
        exponent >>= 1;
    }
    result
}

const fn mul_mod(a: u64, b: u64, n: u64) -> u64 {
    // The remainder is below n, a u64.
    ((a as u128 * b as u128) % n as u128) as u64
}

#[cfg(test)]
mod tests {
    use super::is_prime;

    #[test]
    fn agrees_with_a_sieve() {
        const N: usize = 100_000;
        let mut composite = vec![false; N];
        for i in 2..N {
            if !composite[i] {
                (i * i..N).step_by(i).for_each(|j| composite[j] = true);
            }
        }
        for (n, composite) in composite.iter().enumerate() {
            assert_eq!(is_prime(n as u64), n >= 2 && !composite, "{n}");
        }
    }

    #[test]
    fn known_primes() {
        for p in [
            1013,
            65_537,
            4_294_967_291,              // 2^32 - 5
            (1 << 61) - 1,              // Mersenne
            9_223_372_036_854_775_783,  // 2^63 - 25
            18_446_744_073_709_551_557, // 2^64 - 59, the largest
        ] {
            assert!(is_prime(p), "{p}");
        }
    }

    #[test]
    fn known_composites() {
        let carmichael = [561, 1105, 1729, 2465, 2821, 6601, 8911, 825_265, 321_197_185];
        // The least strong pseudoprimes to the first k prime bases (OEIS A014233) that fit.
        let strong = [
            2047,
            1_373_653,
            25_326_001,
            3_215_031_751,
            2_152_302_898_747,
            3_474_749_660_383,
            341_550_071_728_321,
            3_825_123_056_546_413_051,
        ];
        let near = [u64::MAX, (1 << 61) + 1, (1 << 63) - 1, 1013 * 1013, 4_294_967_291 * 4_294_967_279];
        for n in carmichael.into_iter().chain(strong).chain(near) {
            assert!(!is_prime(n), "{n}");
        }
    }
}
