//! Between shares and bits: a shared number becomes t+1 bit-sliced summands, a shared bit becomes a shared number.
//!
//! **Down** ([`Arithmetic::split`]): t of t+1 parties deal random numbers whose bits are random shared bits; what is
//! left of the number after they are taken away is opened to the last one, who shares its bits. Any t parties lack
//! one of the summands. With t = 1 the first summand belongs to the set of all but the last, and no dealing is needed.
//!
//! **Up** ([`Arithmetic::lift`]): the same for each bit, with signs. The bit is the exclusive or of t+1 bits that
//! somebody knows, which is a product of signs.
//!
//! | | rounds | elements, bits sent by all parties together, per number or bit |
//! |---|---|---|
//! | down, t = 1 | 2 | 1 element; n-2 bits per bit of width |
//! | down | 3 | t(n-1-t) + t elements; n-1-t bits per bit of width |
//! | up | 1 + 1 + those of ceil(log2(t+1)) multiplications | (n-1-t) elements, for t > 1 times t+1, and t products; t bits |
//!
//! The idea of random numbers with their bits: Damgård, Fitzi, Kiltz, Nielsen, Toft 2006; edaBits: Escudero, Ghosh,
//! Keller, Rachuri, Scholl 2020.

use subtle::Choice;
use tacit_algebra::Field;
use tacit_algebra::poly::lagrange_at;
use zeroize::Zeroizing;

use super::boolean::{Planes, Source, Sum, join_bits, slice_bits, words};
use super::context::decode_tiles;
use super::random::subset_share_of_one;
use super::wire::{self, Kind};
use super::{Arithmetic, ArithmeticError, Shared};

#[cfg(test)]
mod secrecy;

/// What is left of a number is uniform up to 2^-40 where it is not exactly uniform.
pub(super) const STATISTICAL_BITS: u32 = 40;

/// Which bits are wanted of a number, and how it is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bits of the summands.
    pub(super) width: usize,
    /// Random bits above them; `None`: masks are uniform in the field and the sum is modulo p.
    above: Option<u32>,
}

impl Shape {
    /// All bits of a number in the field, p = 2^k - 1. Masks are uniform.
    pub(super) fn whole<F: Field>() -> Self {
        Self { width: F::BITS as usize, above: None }
    }

    /// The lowest `width` bits of a number below 2^`bits`. The masks are longer by [`STATISTICAL_BITS`]; `None`
    /// if the field has no room for that.
    pub(super) fn lowest<F: Field>(width: usize, bits: u32, t: usize) -> Option<Self> {
        let above = (bits + STATISTICAL_BITS).checked_sub(u32::try_from(width).ok()?)?;
        let top = bits + STATISTICAL_BITS + (t + 2).ilog2() + 1;
        (top < F::BITS).then_some(Self { width, above: Some(above) })
    }

    /// So that what is left stays positive: a multiple of 2^width, at least the sum of the masks.
    fn offset<F: Field>(self, masks: usize) -> F {
        F::from_u128((masks as u128).next_power_of_two() << self.mask_bits())
    }

    fn mask_bits(self) -> u32 {
        self.width as u32 + self.above.unwrap_or(0)
    }
}

/// Who does what in one conversion.
struct Roles {
    /// Who learns what is left.
    last: usize,
    /// The owners of the t masks.
    sources: Vec<Source>,
}

impl<F: Field> Arithmetic<'_, F> {
    fn next_roles(&mut self) -> Roles {
        let (n, t, last) = (self.n, self.t, self.next_turn());
        let sources = match t {
            1 => vec![Source::Set(((1 << n) - 1) ^ (1 << last))],
            _ => (1..=t).map(|i| Source::Party((last + i) % n)).collect(),
        };
        Roles { last, sources }
    }

    /// Summands of the numbers, modulo 2^width or modulo p as the shape says.
    pub(super) async fn split(&mut self, numbers: &Shared<F>, shape: Shape) -> Result<Sum, ArithmeticError> {
        let length = numbers.len();
        let Roles { last, sources } = self.next_roles();
        let mut summands = Vec::new();
        let mut mine = None;
        for source in &sources {
            let (planes, plain) = self.random_planes(*source, shape.width, words(length))?;
            summands.push(planes);
            mine = mine.or(plain);
        }
        let masks = self.masks(&sources, mine, shape, length)?;
        let mut left = numbers.duplicate();
        let masks = masks.as_ref().map(|masks| masks.as_slice());
        self.share_known(&sources, length, masks).await?.iter().for_each(|mask| left.sub_assign(mask));
        if shape.above.is_some() {
            let offset = shape.offset(sources.len());
            left.add_constant(&vec![offset; length]);
        }
        let left = self.open_to_last(last, &left).await?;
        let plain = left.map(|left| slice_bits(&left, shape.width));
        let plain = plain.as_ref().map(|plain| plain.as_slice());
        summands.push(self.share_planes(last, shape.width, words(length), plain).await?);
        self.compress(summands, shape.above.is_none()).await
    }

    /// The masks that this party knows: its bits, and random ones above them.
    fn masks(
        &mut self,
        sources: &[Source],
        plain: Option<Zeroizing<Vec<u64>>>,
        shape: Shape,
        length: usize,
    ) -> Result<Option<Zeroizing<Vec<F>>>, ArithmeticError> {
        let above = shape.above.unwrap_or(0);
        let words = if above > 64 { 2 } else { usize::from(above > 0) };
        let drawn = match (sources, words) {
            (_, 0) => None,
            ([Source::Set(set)], _) => self.random_words_of_set(*set, words * length)?,
            _ if plain.is_some() => {
                let mut bytes = Zeroizing::new(vec![0; 8 * words * length]);
                self.local.fill(&mut bytes);
                Some(Zeroizing::new(bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()))
            }
            _ => None,
        };
        let Some(plain) = plain else { return Ok(None) };
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        for (i, low) in join_bits(&plain, length).iter().enumerate() {
            let high = match &drawn {
                Some(drawn) => {
                    drawn[words * i..words * (i + 1)].iter().fold(0u128, |x, word| x << 64 | u128::from(*word))
                }
                None => 0,
            };
            let high = high & ((1 << above) - 1);
            out.push(F::from_u128(low | high << shape.width));
        }
        Ok(Some(out))
    }

    /// A number as (what is left of it, as integer over 2^width) + (the masks over 2^width), without the lower bits, and
    /// what was added before: one round for the masks where t > 1, one to open, one to share what is left.
    ///
    /// The two are together between 0 and t less than the integer part of the number and the offset over 2^width.
    pub(super) async fn masked_apart(
        &mut self,
        number: &Shared<F>,
        shape: Shape,
    ) -> Result<(Shared<F>, Shared<F>, F), ArithmeticError> {
        let length = number.len();
        let Roles { last, sources } = self.next_roles();
        let drawn = match sources[..] {
            [Source::Set(set)] => self.random_words_of_set(set, 2 * length)?,
            _ if sources.contains(&Source::Party(self.me)) => {
                let mut bytes = Zeroizing::new(vec![0; 16 * length]);
                self.local.fill(&mut bytes);
                Some(Zeroizing::new(bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()))
            }
            _ => None,
        };
        let known = drawn.map(|drawn| {
            let mask = |i: usize| {
                (u128::from(drawn[2 * i]) << 64 | u128::from(drawn[2 * i + 1])) & ((1 << shape.mask_bits()) - 1)
            };
            let whole = (0..length).map(|i| F::from_u128(mask(i)));
            let above = (0..length).map(|i| F::from_u128(mask(i) >> shape.width));
            Zeroizing::new(whole.chain(above).collect::<Vec<F>>())
        });
        let known = known.as_ref().map(|known| known.as_slice());
        let (mut left, mut above) = (number.duplicate(), Shared::zeros(length));
        for mask in self.share_known(&sources, 2 * length, known).await? {
            left.sub_assign(&mask.slice(0..length));
            above.add_assign(&mask.slice(length..2 * length));
        }
        let offset = shape.offset::<F>(sources.len());
        left.add_constant(&vec![offset; length]);
        let left = self.open_to_last(last, &left).await?;
        let left = left.map(|left| {
            Zeroizing::new(left.iter().map(|x| F::from_u128(x.to_u128() >> shape.width)).collect::<Vec<F>>())
        });
        let left = self.input(last, length, left.as_ref().map(|left| left.as_slice())).await?;
        Ok((left, above, offset))
    }

    /// Shares of what the sources know; `known` is this party's, if it is one of them.
    async fn share_known(
        &mut self,
        sources: &[Source],
        length: usize,
        known: Option<&[F]>,
    ) -> Result<Vec<Shared<F>>, ArithmeticError> {
        if let [Source::Set(set)] = sources {
            // All others' shares are zero, nothing is sent.
            let mut share = Shared::from_shares(known.map_or_else(|| vec![F::ZERO; length], <[F]>::to_vec));
            share.scale(subset_share_of_one(&self.points, *set, self.me));
            return Ok(vec![share]);
        }
        let mut lengths = vec![0; self.n];
        let dealers: Vec<usize> =
            sources.iter().filter_map(|source| if let Source::Party(i) = source { Some(*i) } else { None }).collect();
        dealers.iter().for_each(|dealer| lengths[*dealer] = length);
        let mut shared = self.input_all(&lengths, known.unwrap_or_default()).await?;
        Ok(dealers.iter().map(|dealer| std::mem::replace(&mut shared[*dealer], Shared::zeros(0))).collect())
    }

    /// Opens numbers to one party, with as few shares as it takes: its own and those of the t parties after it.
    async fn open_to_last(
        &mut self,
        last: usize,
        shared: &Shared<F>,
    ) -> Result<Option<Zeroizing<Vec<F>>>, ArithmeticError> {
        let operation = self.begin()?;
        let result = self.open_to_last_inner(operation, last, shared.expose_shares()).await;
        self.end(result)
    }

    async fn open_to_last_inner(
        &mut self,
        operation: u32,
        last: usize,
        shares: &[F],
    ) -> Result<Option<Zeroizing<Vec<F>>>, ArithmeticError> {
        let senders: Vec<usize> = (1..=self.t).map(|i| (last + i) % self.n).collect();
        if self.me != last {
            if senders.contains(&self.me) && !shares.is_empty() {
                let mut message = wire::message::<F>(Kind::Open, operation, shares.len());
                F::encode_slice(shares, &mut message);
                self.send(last, message);
            }
            return Ok(None);
        }
        let known: Vec<F> = std::iter::once(last).chain(senders.iter().copied()).map(|i| self.points[i]).collect();
        let lambda = lagrange_at(&known, F::ZERO)
            .map_err(|_| ArithmeticError::WrongCall { what: "evaluation points are distinct" })?;
        let mut out = Zeroizing::new(shares.to_vec());
        F::scale_slice(&mut out, lambda[0]);
        for (sender, lambda) in senders.iter().zip(&lambda[1..]).filter(|_| !shares.is_empty()) {
            let message = self.recv(*sender).await?;
            let bytes = self.content(&message, *sender, Kind::Open, operation, shares.len())?;
            let added = decode_tiles(bytes, &mut self.tile, |at, tile| {
                F::scale_add(&mut out[at..at + tile.len()], *lambda, tile);
            });
            added.map_err(|_| self.malformed(*sender))?;
        }
        Ok(Some(out))
    }

    /// 0 or 1 for each shared bit: `length` numbers for each plane, plane after plane.
    pub(super) async fn lift(&mut self, bits: &Planes, length: usize) -> Result<Shared<F>, ArithmeticError> {
        let Roles { last, sources } = self.next_roles();
        let mut left = bits.gather(bits.len(), |plane| Some((bits, plane)));
        let mut mine = None;
        for source in &sources {
            let (planes, plain) = self.random_planes(*source, bits.len(), words(length))?;
            left.xor_assign(&planes);
            mine = mine.or(plain);
        }
        let left = self.open_planes_to(last, &left).await?;
        let all = length * bits.len();
        let known = mine.or(left).map(|planes| signs::<F>(&planes, length));
        let known = known.as_ref().map(|signs| signs.as_slice());
        let factors = match sources[..] {
            [Source::Set(_)] => {
                let is_last = self.me == last;
                let mut factors = self.share_known(&sources, all, known.filter(|_| !is_last)).await?;
                factors.push(self.input(last, all, known.filter(|_| is_last)).await?);
                factors
            }
            _ => {
                let all_of_them: Vec<Source> = sources.into_iter().chain([Source::Party(last)]).collect();
                self.share_known(&all_of_them, all, known).await?
            }
        };
        let mut product = self.product_of(factors).await?;
        // From 1, -1 to 0, 1.
        let half = F::from_u64(2).inv_or_zero();
        product.scale(-half);
        product.add_constant(&vec![half; all]);
        Ok(product)
    }

    /// The elementwise product of vectors of the same length: a tree, all products of a level in one round.
    pub(super) async fn product_of(&mut self, mut factors: Vec<Shared<F>>) -> Result<Shared<F>, ArithmeticError> {
        while factors.len() > 1 {
            let half = factors.len() / 2;
            if half == 1 {
                let factor = factors.swap_remove(1);
                self.multiply_assign(&mut factors[0], &factor).await?;
                continue;
            }
            let length = factors[0].len();
            let left: Vec<&Shared<F>> = factors[..half].iter().collect();
            let right: Vec<&Shared<F>> = factors[half..2 * half].iter().collect();
            let mut products = Shared::concat(&left);
            self.multiply_assign(&mut products, &Shared::concat(&right)).await?;
            let rest = factors.split_off(2 * half);
            factors = (0..half).map(|i| products.slice(i * length..(i + 1) * length)).chain(rest).collect();
        }
        factors.pop().ok_or(ArithmeticError::WrongCall { what: "a product has factors" })
    }
}

/// One for a zero, minus one for a one.
fn signs<F: Field>(planes: &[u64], length: usize) -> Zeroizing<Vec<F>> {
    let mut out = Zeroizing::new(Vec::with_capacity(planes.len() * 64));
    for plane in planes.chunks_exact(words(length).max(1)) {
        let bit = |i: usize| Choice::from((plane[i / 64] >> (i % 64) & 1) as u8);
        out.extend((0..length).map(|i| F::conditional_select(&F::ONE, &-F::ONE, bit(i))));
    }
    out
}
