//! [`Planes`]: this party's components of bit-sliced values, and what is local.

use tacit_algebra::Field;
use zeroize::Zeroizing;

/// Words that hold so many lanes.
pub(in crate::arithmetic) fn words(lanes: usize) -> usize {
    lanes.div_ceil(64)
}

/// Components of shared bits: by component, then plane, then word of 64 lanes. Lanes beyond the values hold
/// anything. Cleared when dropped.
pub(in crate::arithmetic) struct Planes {
    components: usize,
    planes: usize,
    words: usize,
    data: Vec<u64>,
}

impl Planes {
    /// Shared zeros.
    pub(in crate::arithmetic) fn zeros(components: usize, planes: usize, words: usize) -> Self {
        Self { components, planes, words, data: vec![0; components * planes * words] }
    }

    pub(in crate::arithmetic) fn components(&self) -> usize {
        self.components
    }

    /// Bits of each value.
    pub(in crate::arithmetic) fn len(&self) -> usize {
        self.planes
    }

    pub(in crate::arithmetic) fn words(&self) -> usize {
        self.words
    }

    /// All planes of one component.
    pub(in crate::arithmetic) fn component(&self, component: usize) -> &[u64] {
        let length = self.planes * self.words;
        &self.data[component * length..][..length]
    }

    pub(in crate::arithmetic) fn component_mut(&mut self, component: usize) -> &mut [u64] {
        let length = self.planes * self.words;
        &mut self.data[component * length..][..length]
    }

    /// One plane of one component.
    pub(in crate::arithmetic) fn plane(&self, component: usize, plane: usize) -> &[u64] {
        &self.data[(component * self.planes + plane) * self.words..][..self.words]
    }

    pub(in crate::arithmetic) fn plane_mut(&mut self, component: usize, plane: usize) -> &mut [u64] {
        &mut self.data[(component * self.planes + plane) * self.words..][..self.words]
    }

    /// Planes of others: `pick(i)` says where plane i comes from; `None` is zero.
    pub(in crate::arithmetic) fn gather<'p>(
        &self,
        planes: usize,
        pick: impl Fn(usize) -> Option<(&'p Self, usize)>,
    ) -> Self {
        let mut out = Self::zeros(self.components, planes, self.words);
        for plane in 0..planes {
            if let Some((from, index)) = pick(plane) {
                for component in 0..self.components {
                    out.plane_mut(component, plane).copy_from_slice(from.plane(component, index));
                }
            }
        }
        out
    }

    /// Some of the planes, and of those the first words.
    pub(in crate::arithmetic) fn cut(&self, planes: std::ops::Range<usize>, words: usize) -> Self {
        let mut out = Self::zeros(self.components, planes.len(), words);
        for component in 0..self.components {
            for (i, plane) in planes.clone().enumerate() {
                out.plane_mut(component, i).copy_from_slice(&self.plane(component, plane)[..words]);
            }
        }
        out
    }

    /// Changes every plane of every component: what is linear, or public.
    pub(in crate::arithmetic) fn each_plane(&mut self, change: impl FnMut(&mut [u64])) {
        self.data.chunks_exact_mut(self.words.max(1)).for_each(change);
    }

    /// `self ^= other`, all planes.
    pub(in crate::arithmetic) fn xor_assign(&mut self, other: &Self) {
        assert_eq!((self.planes, self.words), (other.planes, other.words));
        xor(&mut self.data, &other.data);
    }

    /// `self ^ other`, all planes.
    pub(in crate::arithmetic) fn xor(&self, other: &Self) -> Self {
        let mut out = self.gather(self.planes, |plane| Some((self, plane)));
        out.xor_assign(other);
        out
    }

    /// `self[plane] = other[index]`.
    pub(in crate::arithmetic) fn copy_plane(&mut self, plane: usize, other: &Self, index: usize) {
        for component in 0..self.components {
            self.plane_mut(component, plane).copy_from_slice(other.plane(component, index));
        }
    }

    /// `self[plane] ^= other[index]`.
    pub(in crate::arithmetic) fn xor_plane(&mut self, plane: usize, other: &Self, index: usize) {
        for component in 0..self.components {
            xor(self.plane_mut(component, plane), other.plane(component, index));
        }
    }
}

impl Drop for Planes {
    fn drop(&mut self) {
        self.data.fill(0);
        std::hint::black_box(&mut self.data);
    }
}

/// `to ^= from`.
pub(super) fn xor(to: &mut [u64], from: &[u64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
}

/// Values as planes of `width` bits, lowest first; higher bits are left out.
pub(in crate::arithmetic) fn slice_bits<F: Field>(values: &[F], width: usize) -> Zeroizing<Vec<u64>> {
    let words = words(values.len());
    let mut planes = Zeroizing::new(vec![0; width * words]);
    for (word, values) in values.chunks(64).enumerate() {
        let (mut low, mut high) = ([0u64; 64], [0u64; 64]);
        for (i, value) in values.iter().enumerate() {
            let value = value.to_u128();
            (low[i], high[i]) = (value as u64, (value >> 64) as u64);
        }
        transpose(&mut low);
        (0..width.min(64)).for_each(|plane| planes[plane * words + word] = low[plane]);
        if width > 64 {
            transpose(&mut high);
            (64..width).for_each(|plane| planes[plane * words + word] = high[plane - 64]);
        }
    }
    planes
}

/// Words as planes of 64 bits, lowest first.
pub(in crate::arithmetic) fn slice_words(values: &[u64]) -> Vec<u64> {
    let words = words(values.len());
    let mut planes = vec![0; 64 * words];
    for (word, values) in values.chunks(64).enumerate() {
        let mut block = [0u64; 64];
        block[..values.len()].copy_from_slice(values);
        transpose(&mut block);
        block.iter().enumerate().for_each(|(plane, bits)| planes[plane * words + word] = *bits);
    }
    planes
}

/// The integers that planes stand for, so many of them.
pub(in crate::arithmetic) fn join_bits(planes: &[u64], length: usize) -> Zeroizing<Vec<u128>> {
    let words = words(length);
    let width = planes.len().checked_div(words).unwrap_or(0);
    let mut values = Zeroizing::new(vec![0; length]);
    for (word, values) in values.chunks_mut(64).enumerate() {
        let (mut low, mut high) = ([0u64; 64], [0u64; 64]);
        (0..width.min(64)).for_each(|plane| low[plane] = planes[plane * words + word]);
        transpose(&mut low);
        if width > 64 {
            (64..width).for_each(|plane| high[plane - 64] = planes[plane * words + word]);
            transpose(&mut high);
        }
        for (i, value) in values.iter_mut().enumerate() {
            *value = u128::from(low[i]) | u128::from(high[i]) << 64;
        }
    }
    values
}

/// Bit j of word i becomes bit i of word j (Warren, Hacker's Delight, 7-3).
fn transpose(block: &mut [u64; 64]) {
    macro_rules! steps {
        ($($distance:literal $mask:literal)*) => {$(
            for start in (0..64).step_by(2 * $distance) {
                for i in start..start + $distance {
                    let swapped = (block[i] >> $distance ^ block[i + $distance]) & $mask;
                    block[i] ^= swapped << $distance;
                    block[i + $distance] ^= swapped;
                }
            }
        )*};
    }
    steps!(
        32 0x0000_0000_ffff_ffff
        16 0x0000_ffff_0000_ffff
        8 0x00ff_00ff_00ff_00ff
        4 0x0f0f_0f0f_0f0f_0f0f
        2 0x3333_3333_3333_3333
        1 0x5555_5555_5555_5555
    );
}

#[cfg(test)]
mod tests {
    use tacit_algebra::F127;

    use super::*;

    #[test]
    fn transposition() {
        let block: [u64; 64] = std::array::from_fn(|i| (i as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut turned = block;
        transpose(&mut turned);
        for (i, row) in block.iter().enumerate() {
            for (j, column) in turned.iter().enumerate() {
                assert_eq!(row >> j & 1, column >> i & 1);
            }
        }
    }

    #[test]
    fn words_are_sliced_like_elements() {
        let values: Vec<u64> = (0..100).map(|i| (i + 1u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let elements: Vec<F127> = values.iter().map(|value| F127::from_u64(*value)).collect();
        assert_eq!(slice_words(&values), *slice_bits(&elements, 64));
    }

    #[test]
    fn slices_join() {
        for length in [1, 63, 64, 65, 200] {
            let value = |i: usize| (i as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 2;
            let values: Vec<F127> = (0..length).map(|i| F127::from_u128(value(i))).collect();
            for width in [1, 31, 64, 65, 127] {
                let joined = join_bits(&slice_bits(&values, width), length);
                let mask = (1u128 << width) - 1;
                assert!(joined.iter().zip(&values).all(|(joined, value)| *joined == value.to_u128() & mask));
            }
        }
    }
}
