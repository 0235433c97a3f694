//! Shared random bits.
//!
//! | | when | rounds | elements sent per party and bit |
//! |---|---|---|---|
//! | signs of t+1 dealers, multiplied | t = 1; other fields | 1 + those of ceil(log2(t+1)) multiplications | (t+1)(n-1-t)/n and those of t products |
//! | square roots | p = 2^k - 1, t >= 2 | those of random and of an opening | 2(n-1)/n and those of random |
//!
//! The second (Damgård, Fitzi, Kiltz, Nielsen, Toft 2006) opens r^2; r divided by the chosen root of it is a sign.
//! Where the opening goes by slices only the king of a slice takes the roots, k-2 squarings each: that
//! makes them cheaper than t products from t = 2 on (measured by benches/multiply.rs in ns of CPU per
//! bit and party: 2^61-1 n = 5: 35 against 50, n = 7: 32 against 96; 2^127-1 n = 7: 118 against 262).

use subtle::Choice;
use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::inverse::invert_or_keep_zero;
use super::linear::TILE;
use super::{Arithmetic, ArithmeticError, Shared};

impl<F: Field> Arithmetic<'_, F> {
    /// So many shared bits, 0 or 1, uniform and unknown to any t parties. Semi-honest, t < n/2; the
    /// table of the module says the cost.
    pub async fn random_bits(&mut self, length: usize) -> Result<Shared<F>, ArithmeticError> {
        let mersenne = F::BITS >= 61 && (F::MODULUS + 1).is_power_of_two();
        let mut signs = match mersenne && self.t >= 2 {
            true => self.signs_by_roots(length).await?,
            false => self.signs_of_dealers(length).await?,
        };
        // From -1, 1 to 0, 1.
        let half = F::from_u64(2).inv().ok_or(ArithmeticError::WrongCall { what: "bits need an odd modulus" })?;
        signs.scale(half);
        signs.add_constant(&vec![half; length]);
        // Dealers may deal what is no sign; roots are signs. Whatever squares to itself is 0 or 1.
        let bits = signs.expose_shares();
        self.note(bits, bits, 1, bits).await?;
        Ok(signs)
    }

    /// The product of t+1 parties' own signs: any t of them miss one.
    async fn signs_of_dealers(&mut self, length: usize) -> Result<Shared<F>, ArithmeticError> {
        let first = self.next_turn();
        let dealers: Vec<usize> = (0..=self.t).map(|i| (first + i) % self.n).collect();
        let mut lengths = vec![0; self.n];
        dealers.iter().for_each(|dealer| lengths[*dealer] = length);
        let mut own = Zeroizing::new(Vec::new());
        if dealers.contains(&self.me) {
            own.resize(length, F::ZERO);
            self.draw_signs(&mut own);
        }
        let mut shared = self.input_all(&lengths, &own).await?;
        let empty = || Shared::zeros(0);
        let factors = dealers.iter().map(|dealer| std::mem::replace(&mut shared[*dealer], empty())).collect();
        self.product_of(factors).await
    }

    /// Minus one and one, each with probability 1/2, from the own generator.
    fn draw_signs(&mut self, out: &mut [F]) {
        let mut bytes = Zeroizing::new([0u8; 512]);
        for signs in out.chunks_mut(8 * bytes.len()) {
            self.local.fill(&mut *bytes);
            for (i, sign) in signs.iter_mut().enumerate() {
                let bit = Choice::from(bytes[i / 8] >> (i % 8) & 1);
                *sign = F::conditional_select(&F::ONE, &-F::ONE, bit);
            }
        }
    }

    /// Signs as random elements over a root of their square. p = 2^k - 1: the root of a square x is
    /// x^(2^(k-2)), since (p+1)/4 = 2^(k-2).
    async fn signs_by_roots(&mut self, length: usize) -> Result<Shared<F>, ArithmeticError> {
        let mut out = Shared::zeros(0);
        while out.len() < length {
            let mut random = self.random(length - out.len()).await?;
            let inverse_roots = self.open_products(&random, &random, &mut inverse_roots).await?;
            random.scale_each(&inverse_roots);
            // A zero has no sign; it is public that it was one. Probability 1/p each.
            let signs = random.expose_shares().iter().zip(&inverse_roots);
            let signs = signs.filter(|(_, root)| **root != F::ZERO).map(|(sign, _)| *sign).collect();
            out = match out.is_empty() {
                true => Shared::from_shares(signs),
                false => Shared::concat(&[&out, &Shared::from_shares(signs)]),
            };
        }
        Ok(out)
    }
}

/// Public squares become the inverses of one of their roots, zeros stay.
fn inverse_roots<F: Field>(squares: &mut [F]) {
    for tile in squares.chunks_mut(TILE) {
        for _ in 0..F::BITS - 2 {
            tile.iter_mut().for_each(|x| *x = x.square());
        }
    }
    invert_or_keep_zero(squares);
}
