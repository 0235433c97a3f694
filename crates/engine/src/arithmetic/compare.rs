//! Order: less-than, intervals, signs, the least significant bit, decomposition into bits.
//!
//! A number x of the field stands for the integer nearest to zero, in [-(p-1)/2, (p-1)/2]; differences of
//! non-negative numbers are negative or not. `bits` bounds numbers: the caller promises |x| < 2^bits, and wrong
//! promises give wrong results. The bit that is wanted is computed in a Boolean circuit on the two summands
//! of [`split`](super::split):
//!
//! | | when | wanted | circuit | secrecy |
//! |---|---|---|---|---|
//! | statistical | bits + 41 + log2(t+2) fit the field: 64-bit numbers in 2^127-1 | bit `bits` of x + 2^bits | carry of `bits` bits | 2^-40 |
//! | exact | otherwise, bits <= log2 p - 2 | lowest bit of 2x modulo p (Nishide, Ohta 2007) | carry of log2 p bits | 1/(p+1) |
//!
//! Both are always right. n = 3, 64-bit numbers in 2^127-1: 12 rounds, 184 gates of one bit, one element for the way
//! down and three for the way up: about 50 bytes per party. Damgård et al. 2006; Catrina, de Hoogh 2010 for the masks;
//! Araki et al. 2016 and Ito, Saito, Nishizeki 1987 for the gates. Fields: 2^61-1 and 2^127-1.
//!
//! Where products are verified, whatever t peers do, order comes from [`masked`](super::masked) instead; decomposition is
//! not offered there.
//!
//! Semi-honest, t < n/2, n <= 11. Rounds do not depend on the length up to [`Arithmetic::lanes`] numbers; longer
//! vectors go in pieces of so many, one after the other.

use tacit_algebra::Field;

use super::boolean::{Planes, Sum};
use super::split::Shape;
use super::{Arithmetic, ArithmeticError, Shared};

/// Numbers that are compared together at most.
const LANES_AT_MOST: usize = 1 << 15;
/// Memory for one bit-sliced summand of so many numbers.
const SUMMAND_BYTES: usize = 16 << 20;

impl<F: Field> Arithmetic<'_, F> {
    /// 1 where a < b, else 0, shared. The caller promises |a - b| < 2^bits; for numbers below 2^bits this holds.
    ///
    /// The module says what it costs and promises.
    pub async fn less_than(&mut self, a: &Shared<F>, b: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        if a.len() != b.len() {
            return Err(ArithmeticError::WrongCall { what: "vectors that are compared are equally long" });
        }
        self.is_negative(&a.sub(b), bits).await
    }

    /// 1 where a is less than the public number at its place, else 0, shared. Costs what
    /// [`less_than`](Self::less_than) costs.
    pub async fn less_than_public(
        &mut self,
        a: &Shared<F>,
        public: &[F],
        bits: u32,
    ) -> Result<Shared<F>, ArithmeticError> {
        if a.len() != public.len() {
            return Err(ArithmeticError::WrongCall { what: "vectors that are compared are equally long" });
        }
        let mut difference = a.duplicate();
        difference.sub_assign(&Shared::constant(public));
        self.is_negative(&difference, bits).await
    }

    /// 1 where x < 0, else 0, shared; |x| < 2^bits.
    pub async fn is_negative(&mut self, x: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        self.check_bits(bits)?;
        if self.verifies() {
            let mut twice = x.duplicate();
            twice.scale(F::from_u64(2));
            return self.lowest_bit_by_masks(&twice).await;
        }
        self.one_bit_each(x, Wanted::Negative { bits }).await
    }

    /// The lowest bit of each number, shared; 0 <= x < 2^bits. With `bits` = log2 p any x, as a number below p.
    ///
    /// Where masks of bits + 40 bits fit the field no gate is needed: three rounds less those of the tree.
    pub async fn least_significant_bit(&mut self, x: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        if bits != F::BITS {
            self.check_bits(bits)?;
        }
        if self.verifies() {
            return self.lowest_bit_by_masks(x).await;
        }
        self.one_bit_each(x, Wanted::Lowest { bits }).await
    }

    /// The lowest `bits` bits of each number, shared: number after number, lowest bit first; 0 <= x < 2^bits.
    ///
    /// About 4 + log2 rounds for the bits and those of the way up, which costs most: three elements per bit
    /// for n = 3.
    pub async fn decompose(&mut self, x: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        let width = bits as usize;
        let mut out = Shared::zeros(0);
        // A piece has so many bits.
        let piece = (self.lanes_of(bits).await? / width.max(1)).max(64);
        for x in x.pieces(piece) {
            let planes = self.bits_of(&x, bits).await?;
            let by_plane = self.lift(&planes, x.len()).await?;
            let shares = by_plane.expose_shares();
            let length = x.len();
            let by_number = (0..length).flat_map(|i| (0..width).map(move |plane| shares[plane * length + i]));
            out = Shared::concat(&[&out, &Shared::from_shares(by_number.collect())]);
        }
        Ok(out)
    }

    /// 1 where low <= x <= high, both public, else 0, shared; x, low and high below 2^bits.
    ///
    /// Two comparisons at once; no further round.
    pub async fn in_interval(
        &mut self,
        x: &Shared<F>,
        low: &[F],
        high: &[F],
        bits: u32,
    ) -> Result<Shared<F>, ArithmeticError> {
        if x.len() != low.len() || x.len() != high.len() {
            return Err(ArithmeticError::WrongCall { what: "one interval per number" });
        }
        let ordered = |(low, high): (&F, &F)| low.to_u128() <= high.to_u128() && high.to_u128() >> bits == 0;
        if bits >= u128::BITS || !low.iter().zip(high).all(ordered) {
            return Err(ArithmeticError::WrongCall { what: "an interval begins before it ends, within its bits" });
        }
        let below = x.sub(&Shared::constant(low));
        let above = Shared::constant(high).sub(x);
        let both = self.is_negative(&Shared::concat(&[&below, &above]), bits).await?;
        // Never both, where low <= high.
        let mut inside = Shared::constant(&vec![F::ONE; x.len()]);
        inside.sub_assign(&both.slice(0..x.len()));
        inside.sub_assign(&both.slice(x.len()..2 * x.len()));
        Ok(inside)
    }

    /// 1 from the first 1 on, for each `width` consecutive bits: `y[i] = x[0] or ... or x[i]`.
    ///
    /// ceil(log2 width) multiplications, width log2(width) / 2 products per row (Sklansky 1960).
    pub async fn prefix_or(&mut self, bits: &Shared<F>, width: usize) -> Result<Shared<F>, ArithmeticError> {
        if width == 0 || !bits.len().is_multiple_of(width) {
            return Err(ArithmeticError::WrongCall { what: "the vector has whole rows" });
        }
        let mut out = bits.duplicate();
        let mut distance = 1;
        while distance < width {
            let upper = |i: &usize| (i % width) & distance != 0;
            let below = |i: usize| i - i % width + ((i % width) & !(2 * distance - 1)) + distance - 1;
            let places: Vec<usize> = (0..out.len()).filter(upper).collect();
            let shares = out.expose_shares();
            let here = Shared::from_shares(places.iter().map(|i| shares[*i]).collect());
            let before = Shared::from_shares(places.iter().map(|i| shares[below(*i)]).collect());
            let both = self.multiply(&here, &before).await?;
            // a or b is a + b - ab.
            let either = here.add(&before).sub(&both);
            places.iter().zip(either.expose_shares()).for_each(|(i, share)| out.shares_mut()[*i] = *share);
            distance *= 2;
        }
        Ok(out)
    }

    /// `a` where the condition is 1, `b` where it is 0. Costs a multiplication.
    pub async fn select(
        &mut self,
        condition: &Shared<F>,
        a: &Shared<F>,
        b: &Shared<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        if condition.len() != a.len() || a.len() != b.len() {
            return Err(ArithmeticError::WrongCall { what: "one condition and two numbers per place" });
        }
        let mut out = self.multiply(condition, &a.sub(b)).await?;
        out.add_assign(b);
        Ok(out)
    }

    /// How many numbers are compared together: what fits a few megabytes.
    pub fn lanes(&self) -> usize {
        lanes_of(self.components(), F::BITS)
    }

    /// Bit-sliced bits of numbers 0 <= x < 2^bits.
    pub(super) async fn bits_of(&mut self, x: &Shared<F>, bits: u32) -> Result<Planes, ArithmeticError> {
        let width = bits as usize;
        match Shape::lowest::<F>(width, bits, self.t) {
            Some(shape) => {
                let sum = self.split(x, shape).await?;
                self.add_up(&sum, width).await
            }
            None => {
                let sum = self.split(x, Shape::whole::<F>()).await?;
                self.add_up(&sum, width).await
            }
        }
    }

    /// The lowest bit of a number below p, all of the field.
    async fn lowest_bit(&mut self, x: &Shared<F>) -> Result<Planes, ArithmeticError> {
        let Sum { left, right, .. } = self.split(x, Shape::whole::<F>()).await?;
        // The sum is at least p exactly if the sum and one leave at the top; then p, which is odd, is taken off.
        let mut bit = self.carry(&left, &right, F::BITS as usize, true).await?;
        bit.xor_plane(0, &left, 0);
        bit.xor_plane(0, &right, 0);
        Ok(bit)
    }

    pub(super) fn check_bits(&self, bits: u32) -> Result<(), ArithmeticError> {
        if F::BITS < 61 || !(F::MODULUS + 1).is_power_of_two() {
            return Err(ArithmeticError::WrongCall { what: "numbers are compared in the fields 2^61-1 and 2^127-1" });
        }
        if bits + 2 > F::BITS {
            return Err(ArithmeticError::WrongCall {
                what: "the field is two bits larger than numbers that are compared",
            });
        }
        Ok(())
    }

    async fn lanes_of(&mut self, bits: u32) -> Result<usize, ArithmeticError> {
        self.check_bits(bits)?;
        self.ready_for_bits().await?;
        Ok(self.lanes())
    }

    async fn one_bit_each(&mut self, x: &Shared<F>, wanted: Wanted) -> Result<Shared<F>, ArithmeticError> {
        self.ready_for_bits().await?;
        let lanes = self.lanes();
        let mut out = Vec::with_capacity(x.len());
        for piece in x.pieces(lanes) {
            let bit = match wanted {
                Wanted::Negative { bits } => self.negative(piece, bits).await?,
                Wanted::Lowest { bits } => self.lowest(&piece, bits).await?,
            };
            out.extend_from_slice(bit.expose_shares());
        }
        Ok(Shared::from_shares(out))
    }

    async fn negative(&mut self, mut x: Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        let length = x.len();
        let two = F::from_u64(2);
        let Some(shape) = Shape::lowest::<F>(bits as usize + 1, bits + 1, self.t) else {
            x.scale(two);
            let bit = self.lowest_bit(&x).await?;
            return self.lift(&bit, length).await;
        };
        x.add_constant(&vec![two.pow_vartime(bits.into()); length]);
        let sum = self.split(&x, shape).await?;
        let top = bits as usize;
        let mut bit = self.carry(&sum.left, &sum.right, top, false).await?;
        bit.xor_plane(0, &sum.left, top);
        bit.xor_plane(0, &sum.right, top);
        // It is one where x >= 0.
        let mut negative = self.lift(&bit, length).await?;
        negative.scale(-F::ONE);
        negative.add_constant(&vec![F::ONE; length]);
        Ok(negative)
    }

    async fn lowest(&mut self, x: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        let bit = match Shape::lowest::<F>(1, bits, self.t) {
            Some(shape) => {
                let sum = self.split(x, shape).await?;
                sum.left.xor(&sum.right)
            }
            None => self.lowest_bit(x).await?,
        };
        self.lift(&bit, x.len()).await
    }
}

/// The same for n parties with threshold t, in a field of so many bits.
pub(crate) fn lanes(n: usize, t: usize, bits: u32) -> usize {
    lanes_of((0..t).fold(1, |held, i| held * (n - 1 - i) / (i + 1)), bits)
}

fn lanes_of(components: usize, bits: u32) -> usize {
    let of_a_lane = (components * bits as usize / 8).max(1);
    LANES_AT_MOST.min(SUMMAND_BYTES / of_a_lane).next_multiple_of(64)
}

/// The bit of each number that is wanted.
#[derive(Clone, Copy)]
enum Wanted {
    /// Whether it is negative.
    Negative { bits: u32 },
    /// Its lowest one.
    Lowest { bits: u32 },
}
