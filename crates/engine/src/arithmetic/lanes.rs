//! Moving lanes of bit-sliced values: halves by a bit of the index, and shifts.

use super::boolean::Planes;

/// The lanes of a vector whose index has a bit, and those whose index has not, both in order.
pub(super) struct Halves {
    pub(super) even: Planes,
    pub(super) odd: Planes,
    /// The bit, a power of two.
    group: usize,
}

impl Halves {
    /// Takes lanes apart by the bit `group` of their index. The planes have an even number of words.
    pub(super) fn split(all: &Planes, group: usize) -> Self {
        let words = all.words() / 2;
        let mut even = Planes::zeros(all.components(), all.len(), words);
        let mut odd = Planes::zeros(all.components(), all.len(), words);
        for component in 0..all.components() {
            for plane in 0..all.len() {
                let from = all.plane(component, plane);
                let (even, odd) = (even.plane_mut(component, plane), odd.plane_mut(component, plane));
                if group >= 64 {
                    let run = group / 64;
                    for (i, from) in from.chunks_exact(2 * run).enumerate() {
                        even[i * run..][..run].copy_from_slice(&from[..run]);
                        odd[i * run..][..run].copy_from_slice(&from[run..]);
                    }
                } else {
                    for (i, from) in from.chunks_exact(2).enumerate() {
                        let (a, b) = (unshuffle(from[0], group), unshuffle(from[1], group));
                        even[i] = a & LOW | b << 32;
                        odd[i] = a >> 32 | b & !LOW;
                    }
                }
            }
        }
        Self { even, odd, group }
    }

    /// Puts them together again.
    pub(super) fn join(self) -> Planes {
        let Self { even, odd, group } = self;
        let mut all = Planes::zeros(even.components(), even.len(), 2 * even.words());
        for component in 0..even.components() {
            for plane in 0..even.len() {
                let (even, odd) = (even.plane(component, plane), odd.plane(component, plane));
                let to = all.plane_mut(component, plane);
                if group >= 64 {
                    let run = group / 64;
                    for (i, to) in to.chunks_exact_mut(2 * run).enumerate() {
                        to[..run].copy_from_slice(&even[i * run..][..run]);
                        to[run..].copy_from_slice(&odd[i * run..][..run]);
                    }
                } else {
                    for (i, to) in to.chunks_exact_mut(2).enumerate() {
                        to[0] = shuffle(even[i] & LOW | odd[i] << 32, group);
                        to[1] = shuffle(even[i] >> 32 | odd[i] & !LOW, group);
                    }
                }
            }
        }
        all
    }

    /// The index of lane i of a half in the whole.
    fn index(&self, lane: usize, odd: bool) -> usize {
        let shift = self.group.trailing_zeros();
        (lane >> shift) << (shift + 1) | usize::from(odd) << shift | lane & (self.group - 1)
    }

    /// Ones in the lanes i of the lower half whose partner is a number of the same row: `step` 0: even lane i and odd
    /// lane i; otherwise odd lane i and even lane i + step.
    pub(super) fn mask(&self, rows: Rows, step: usize) -> Vec<u64> {
        let lanes = self.even.words() * 64;
        let mut mask = vec![0u64; self.even.words()];
        for lane in 0..lanes.saturating_sub(step) {
            let own = self.index(lane, step > 0);
            let partner = self.index(lane + step, step == 0);
            mask[lane / 64] |= u64::from(rows.are_beside(own, partner)) << (lane % 64);
        }
        mask
    }
}

/// Rows of numbers, each from a lane on that is a multiple of a power of two.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) count: usize,
    /// Numbers of a row.
    pub(super) width: usize,
}

impl Rows {
    /// Lanes of a row.
    pub(super) fn lanes(self) -> usize {
        self.width.next_power_of_two()
    }

    /// Whether both lanes are numbers of the same row, if the first is one.
    fn are_beside(self, own: usize, other: usize) -> bool {
        let (row, place) = (other / self.lanes(), other % self.lanes());
        own / self.lanes() == row && row < self.count && place < self.width
    }
}

const LOW: u64 = 0xffff_ffff;

/// Bits that change places with those `distance` above them.
const SWAPPED: [(usize, u64); 5] = [
    (1, 0x2222_2222_2222_2222),
    (2, 0x0c0c_0c0c_0c0c_0c0c),
    (4, 0x00f0_00f0_00f0_00f0),
    (8, 0x0000_ff00_0000_ff00),
    (16, 0x0000_0000_ffff_0000),
];

fn swap(word: u64, distance: usize, mask: u64) -> u64 {
    let both = (word ^ word >> distance) & mask;
    word ^ both ^ both << distance
}

/// Runs of `group` bits: the first, third, ... go to the lower half, the others to the upper one.
fn unshuffle(word: u64, group: usize) -> u64 {
    SWAPPED.iter().filter(|(d, _)| *d >= group).fold(word, |word, (d, mask)| swap(word, *d, *mask))
}

/// Undoes [`unshuffle`].
fn shuffle(word: u64, group: usize) -> u64 {
    SWAPPED.iter().rev().filter(|(d, _)| *d >= group).fold(word, |word, (d, mask)| swap(word, *d, *mask))
}

/// Lane i + by goes to lane i; zeros come in.
pub(super) fn shift_down(plane: &mut [u64], by: usize) {
    let (whole, bits) = (by / 64, by % 64);
    for i in 0..plane.len() {
        let at = |i: usize| plane.get(i).copied().unwrap_or(0);
        plane[i] = match bits {
            0 => at(i + whole),
            _ => at(i + whole) >> bits | at(i + whole + 1) << (64 - bits),
        };
    }
}

/// Lane i goes to lane i + by; zeros come in.
pub(super) fn shift_up(plane: &mut [u64], by: usize) {
    let (whole, bits) = (by / 64, by % 64);
    for i in (0..plane.len()).rev() {
        let at = |below: usize| i.checked_sub(below).map_or(0, |i| plane[i]);
        plane[i] = match bits {
            0 => at(whole),
            _ => at(whole) << bits | at(whole + 1) >> (64 - bits),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(words: usize) -> Planes {
        let mut all = Planes::zeros(2, 3, words);
        for component in 0..2 {
            for (i, word) in all.component_mut(component).iter_mut().enumerate() {
                *word = ((i + 100 * component) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
        }
        all
    }

    fn lane(plane: &[u64], lane: usize) -> u64 {
        plane[lane / 64] >> (lane % 64) & 1
    }

    #[test]
    fn halves_are_by_a_bit_of_the_index() {
        for words in [2, 4, 8] {
            let all = pattern(words);
            let mut group = 1;
            while group <= words * 32 {
                let halves = Halves::split(&all, group);
                for i in 0..words * 32 {
                    for (odd, half) in [(false, &halves.even), (true, &halves.odd)] {
                        let index = halves.index(i, odd);
                        assert_eq!(index & group != 0, odd);
                        assert_eq!(lane(half.plane(1, 2), i), lane(all.plane(1, 2), index), "{words} {group} {i}");
                    }
                }
                let joined = halves.join();
                assert!((0..2).all(|c| joined.component(c) == all.component(c)));
                group *= 2;
            }
        }
    }

    #[test]
    fn shifts_of_lanes() {
        let all = pattern(3);
        for by in [0, 1, 7, 63, 64, 65, 100, 128, 191] {
            let (mut down, mut up) = (all.plane(0, 0).to_vec(), all.plane(0, 0).to_vec());
            shift_down(&mut down, by);
            shift_up(&mut up, by);
            for i in 0..192 {
                let at = |i: Option<usize>| i.filter(|i| *i < 192).map_or(0, |i| lane(all.plane(0, 0), i));
                assert_eq!(lane(&down, i), at(i.checked_add(by)));
                assert_eq!(lane(&up, i), at(i.checked_sub(by)));
            }
        }
    }
}
