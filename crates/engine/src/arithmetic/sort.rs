//! Sorting and shuffling: Batcher's merge exchange on bit-sliced numbers.
//!
//! All keys are taken apart into shared bits once, the whole network runs on bits, 64 comparators to a machine word,
//! and what comes out is put together once. A layer of the network compares (carry tree) and exchanges where the order is
//! wrong (one gate per bit). Which numbers meet depends on their count alone.
//!
//! For m numbers of k bits: l = ceil(log2 m), l(l+1)/2 layers of at most m/2 comparators, each 2 + ceil(log2 k) rounds;
//! less than 4k gates per comparator. 10,000 numbers of 32 bits: 105 layers, 735 rounds; n = 3: 121 bits per comparator
//! and party, 11.5 MB.
//!
//! Batcher 1968; merge exchange: Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M. Semi-honest, t < n/2, n <= 11. Where
//! products are verified, or the bits of all numbers would take too much memory, the same network runs on comparisons of shared
//! numbers (`network.rs`); shuffling is offered semi-honest only.

use tacit_algebra::Field;
use tacit_algebra::poly::powers;

use super::boolean::{Planes, words};
use super::lanes::{Halves, Rows, shift_down, shift_up};
use super::{Arithmetic, ArithmeticError, Shared};

/// Numbers that are put together from bits at a time.
pub(crate) const LIFTED: usize = 1 << 19;
/// Bytes of all bits that are sorted at once.
const PLANES_AT_MOST: usize = 32 << 20;
/// A shuffle's keys differ but with probability 2^-40.
pub(crate) const COLLISION_BITS: usize = 40;

/// Whether so many numbers, in rows of `width`, are sorted on bits: where that fits in memory.
pub(crate) fn sorts_on_bits(n: usize, t: usize, length: usize, width: usize, bits: u32) -> bool {
    let components = (0..t).fold(1, |held, i| held * (n - 1 - i) / (i + 1));
    let lanes = (length / width.max(1)).saturating_mul(width.next_power_of_two());
    lanes.saturating_mul(components).saturating_mul(bits as usize) / 8 <= PLANES_AT_MOST
}

/// Rows of `from` numbers as rows of `to`: cut, or filled up with zeros.
fn in_rows<F: Field>(x: &Shared<F>, from: usize, to: usize) -> Shared<F> {
    let row = |row: &[F]| -> Vec<F> { row.iter().copied().chain(std::iter::repeat(F::ZERO)).take(to).collect() };
    Shared::from_shares(x.expose_shares().chunks_exact(from).flat_map(row).collect())
}

impl<F: Field> Arithmetic<'_, F> {
    /// The numbers in ascending order; 0 <= x < 2^bits. See the module.
    pub async fn sort(&mut self, x: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        self.sort_rows(x, x.len(), bits).await
    }

    /// The numbers of each row of `width` in ascending order, all rows at once; 0 <= x < 2^bits.
    pub async fn sort_rows(&mut self, x: &Shared<F>, width: usize, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        if x.is_empty() {
            return Ok(x.duplicate());
        }
        if width == 0 || !x.len().is_multiple_of(width) {
            return Err(ArithmeticError::WrongCall { what: "rows of the same width" });
        }
        if !self.sorts_on_bits(x.len(), width, bits) {
            return self.sort_by_comparisons(x.duplicate(), width, bits).await;
        }
        self.ready_to_sort(bits).await?;
        let rows = Rows { count: x.len() / width, width };
        // One row has nothing behind it.
        let lanes = if rows.count == 1 { width } else { rows.lanes() };
        let apart = in_rows(x, width, lanes);
        let sorted = self.bits_of_all(&apart, bits, rows.count * rows.lanes()).await?;
        let sorted = self.merge_exchange(sorted, rows, bits as usize).await?;
        let together = self.put_together(&sorted, 0..bits as usize, apart.len()).await?;
        Ok(in_rows(&together, lanes, width))
    }

    /// The keys in ascending order, and what belongs to each in the same order; which of equal keys comes
    /// first is not said. 0 <= key < 2^bits, 0 <= payload < 2^payload_bits.
    pub async fn sort_with(
        &mut self,
        keys: &Shared<F>,
        bits: u32,
        payload: &Shared<F>,
        payload_bits: u32,
    ) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
        if keys.len() != payload.len() {
            return Err(ArithmeticError::WrongCall { what: "one payload per key" });
        }
        if !self.sorts_on_bits(keys.len(), keys.len(), bits + payload_bits) {
            return self.sort_with_by_comparisons(keys.duplicate(), bits, payload.duplicate()).await;
        }
        self.ready_to_sort(bits.max(payload_bits)).await?;
        let length = keys.len();
        let (key_planes, planes) = (bits as usize, (bits + payload_bits) as usize);
        let keys = self.bits_of_all(keys, bits, length.next_power_of_two()).await?;
        let payload = self.bits_of_all(payload, payload_bits, length.next_power_of_two()).await?;
        let both = keys.gather(planes, |i| match i.checked_sub(key_planes) {
            None => Some((&keys, i)),
            Some(i) => Some((&payload, i)),
        });
        let sorted = self.merge_exchange(both, Rows { count: 1, width: length }, key_planes).await?;
        let keys = self.put_together(&sorted, 0..key_planes, length).await?;
        Ok((keys, self.put_together(&sorted, key_planes..planes, length).await?))
    }

    /// The numbers in a random order that nobody knows; 0 <= x < 2^bits.
    ///
    /// They are sorted by random keys of 40 + 2 log2(m) bits: all orders are equally likely but for 2^-40.
    pub async fn shuffle(&mut self, x: &Shared<F>, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        self.ready_to_sort(bits).await?;
        let length = x.len();
        let key_planes = COLLISION_BITS + 2 * length.next_power_of_two().trailing_zeros() as usize;
        let planes = key_planes + bits as usize;
        let payload = self.bits_of_all(x, bits, length.next_power_of_two()).await?;
        let keys = self.random_shared_planes(key_planes, payload.words())?;
        let both = payload.gather(planes, |i| match i.checked_sub(key_planes) {
            None => Some((&keys, i)),
            Some(i) => Some((&payload, i)),
        });
        let sorted = self.merge_exchange(both, Rows { count: 1, width: length }, key_planes).await?;
        self.put_together(&sorted, key_planes..planes, length).await
    }

    /// Whether so many numbers in rows of `width` are sorted on bits, which are not verified, or by comparisons.
    fn sorts_on_bits(&self, length: usize, width: usize, bits: u32) -> bool {
        !self.verifies() && self.robust.is_none() && sorts_on_bits(self.n, self.t, length, width, bits)
    }

    async fn ready_to_sort(&mut self, bits: u32) -> Result<(), ArithmeticError> {
        self.check_bits(bits)?;
        self.ready_for_bits().await
    }

    /// Bits of any number of numbers, in as many lanes as the network needs: an even number of words.
    async fn bits_of_all(&mut self, x: &Shared<F>, bits: u32, lanes: usize) -> Result<Planes, ArithmeticError> {
        let width = bits as usize;
        let all = words(lanes).next_multiple_of(2);
        let mut out = Planes::zeros(self.components(), width, all);
        let lanes = self.lanes();
        for (number, piece) in x.pieces(lanes).enumerate() {
            let planes = self.bits_of(&piece, bits).await?;
            for component in 0..planes.components() {
                for plane in 0..width {
                    let from = planes.plane(component, plane);
                    out.plane_mut(component, plane)[number * lanes / 64..][..from.len()].copy_from_slice(from);
                }
            }
        }
        Ok(out)
    }

    /// Numbers from some of the planes, lowest bit first.
    async fn put_together(
        &mut self,
        from: &Planes,
        planes: std::ops::Range<usize>,
        length: usize,
    ) -> Result<Shared<F>, ArithmeticError> {
        let mut out = Shared::zeros(length);
        let weights = powers(F::from_u64(2), planes.len());
        let at_once = (LIFTED / length.max(1)).max(1);
        for start in planes.clone().step_by(at_once) {
            let count = at_once.min(planes.end - start);
            let some = from.cut(start..start + count, words(length));
            let lifted = self.lift(&some, length).await?;
            for i in 0..count {
                out.scale_add(weights[start + i - planes.start], &lifted.slice(i * length..(i + 1) * length));
            }
        }
        Ok(out)
    }

    /// Sorts the lanes of each row by their lowest `key_planes` planes, as numbers.
    async fn merge_exchange(
        &mut self,
        mut all: Planes,
        rows: Rows,
        key_planes: usize,
    ) -> Result<Planes, ArithmeticError> {
        if rows.width < 2 {
            return Ok(all);
        }
        let top = rows.lanes() / 2;
        let mut group = top;
        while group > 0 {
            // Lanes whose index has this bit, and those that have not: comparators join one with another.
            let mut halves = Halves::split(&all, group);
            self.exchange(&mut halves, rows, key_planes, 0).await?;
            let mut step = top;
            while step > group {
                step /= 2;
                self.exchange(&mut halves, rows, key_planes, step).await?;
            }
            all = halves.join();
            group /= 2;
        }
        Ok(all)
    }

    /// One layer. `step` 0: lane i of the even half with lane i of the odd one. Otherwise lane i of the odd half
    /// with lane i + `step` of the even one: what lies q - p apart in the whole, p the bit of the halves, lies q/2 apart
    /// in them.
    async fn exchange(
        &mut self,
        halves: &mut Halves,
        rows: Rows,
        key_planes: usize,
        step: usize,
    ) -> Result<(), ArithmeticError> {
        let mask = halves.mask(rows, step);
        let (lower, upper) = match step {
            0 => (&halves.even, &halves.odd),
            _ => (&halves.odd, &halves.even),
        };
        let planes = lower.len();
        let mut aligned = upper.gather(planes, |i| Some((upper, i)));
        aligned.each_plane(|plane| shift_down(plane, step));
        let mut negated = aligned.gather(key_planes, |i| Some((&aligned, i)));
        self.negate(&mut negated);
        // lower + (2^k - 1 - upper) leaves k bits exactly if lower > upper.
        let mut wrong = self.carry(lower, &negated, key_planes, false).await?;
        wrong.each_plane(|plane| plane.iter_mut().zip(&mask).for_each(|(word, mask)| *word &= mask));
        aligned.xor_assign(lower);
        let gates: Vec<(usize, usize)> = (0..planes).map(|i| (0, i)).collect();
        let mut change = self.and(&wrong, &aligned, &gates).await?;
        let (lower, upper) = match step {
            0 => (&mut halves.even, &mut halves.odd),
            _ => (&mut halves.odd, &mut halves.even),
        };
        lower.xor_assign(&change);
        // Lanes that are not compared do not change, so none is shifted over the top.
        change.each_plane(|plane| shift_up(plane, step));
        upper.xor_assign(&change);
        Ok(())
    }
}
