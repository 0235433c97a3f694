//! What one of the parties of a comparison or of a test for zero sees, for t = 1: over all randomness in a field of seven
//! elements, where what is opened is masked by three bits, and exactly for small statistical masks.
//!
//! The steps are looked at one by one, each given the own shares of what goes in: from a number to its summands, from a
//! shared bit to a shared number, the opening of a masked number. Between them are products and gates, whose views
//! stand beside them (multiply/secrecy.rs, boolean/secrecy.rs). Randomness is enumerated where the protocol draws it.

use std::collections::BTreeMap;

use tacit_algebra::poly::{eval, lagrange_at, powers};
use tacit_algebra::{F61, F127, Field, Fp};

use super::{STATISTICAL_BITS, Shape};
use crate::arithmetic::boolean::interval;
use crate::arithmetic::dealing::{Weights, seeded};
use crate::arithmetic::random::{contains, sets, subset_share_of_one};

type F7 = Fp<7>;
const P: u64 = 7;
/// Bits of an element.
const K: usize = 3;

fn all() -> impl Iterator<Item = F7> + Clone {
    (0..P).map(F7::from_u64)
}

fn points(n: usize) -> Vec<F7> {
    (1..=n as u64).map(F7::from_u64).collect()
}

fn number(x: F7) -> u64 {
    x.to_u128() as u64
}

/// How often which view occurs, over all randomness.
type Views = BTreeMap<Vec<u64>, u64>;

fn note(views: &mut Views, view: Vec<u64>) {
    *views.entry(view).or_default() += 1;
}

/// The largest statistical distance of two of these, as multiple of 1 / `of`, which it must be exactly.
fn distance(views: &[Views], of: u64) -> u64 {
    let total: u64 = views[0].values().sum();
    let of_pair = |a: &Views, b: &Views| -> u64 {
        let count = |views: &Views, view: &Vec<u64>| views.get(view).copied().unwrap_or(0);
        let apart: u64 = a.keys().map(|view| count(a, view).saturating_sub(count(b, view))).sum();
        assert_eq!(apart * of % total, 0, "{apart} of {total} is no multiple of 1/{of}");
        apart * of / total
    };
    views.iter().flat_map(|a| views.iter().map(move |b| of_pair(a, b))).max().unwrap_or(0)
}

/// From a number to two summands of its bits. `last` learns what the mask leaves, and shares its bits.
fn down(n: usize, last: usize) {
    let (points, set) = (points(n), ((1 << n) - 1) ^ (1 << last));
    let of_last: Vec<u64> = sets(n, 1).filter(|set| contains(*set, last)).collect();
    let streams: Vec<u64> = of_last.iter().copied().filter(|set| *set != interval(n, 1, last)).collect();
    let sender = (last + 1) % n;
    let lambda = lagrange_at(&[points[last], points[sender]], F7::ZERO).expect("points");
    let shape = Shape::whole::<F7>();
    assert_eq!((shape.width, shape.mask_bits()), (K, K as u32));
    let mut views = vec![vec![Views::new(); P as usize]; n];
    for (x, slope) in all().flat_map(|x| all().map(move |slope| (x, slope))) {
        for random in 0..1u64 << (K * (1 + streams.len())) {
            let word = |i: usize| random >> (K * i) & 7;
            let mask = F7::from_u64(word(0));
            let share = |i: usize| {
                let of_mask = if contains(set, i) { subset_share_of_one(&points, set, i) * mask } else { F7::ZERO };
                eval(&[x, slope], points[i]) - of_mask
            };
            let left = lambda[0] * share(last) + lambda[1] * share(sender);
            assert!(left + mask == x, "the summands add up");
            // Each stream of the other sets of the last one masks what it says to its own.
            let component = |of: u64| match streams.iter().position(|stream| *stream == of) {
                Some(stream) => word(1 + stream),
                None => (0..streams.len()).fold(number(left), |said, stream| said ^ word(1 + stream)),
            };
            for (me, views) in views.iter_mut().enumerate() {
                let mut view = vec![number(eval(&[x, slope], points[me]))];
                view.extend(of_last.iter().filter(|set| contains(**set, me)).map(|set| component(*set)));
                match me == last {
                    true => view.extend([number(share(sender)), number(left)]),
                    false => view.push(word(0)),
                }
                note(&mut views[number(x) as usize], view);
            }
        }
    }
    for (me, views) in views.iter().enumerate() {
        // Three bits give seven elements: zero one way more than the others.
        let expected = u64::from(me == last);
        assert_eq!(distance(views, 1 << K), expected, "n = {n}, party {me}");
    }
}

#[test]
fn rule6_secrecy_of_the_way_to_bits_in_7_elements() {
    for (n, last) in [(3, 0), (3, 1), (3, 2), (4, 0), (4, 3)] {
        down(n, last);
    }
}

/// From a shared bit to a shared number: the product of two signs.
fn up(n: usize, last: usize) {
    let (points, set) = (points(n), ((1 << n) - 1) ^ (1 << last));
    let all_sets: Vec<u64> = sets(n, 1).collect();
    let own = all_sets.binary_search(&set).expect("a set");
    let weights = Weights::new(&points, 1, last, F7::ZERO, F7::ONE).expect("points");
    let sign = |bit: u64| if bit == 1 { -F7::ONE } else { F7::ONE };
    let mut views = vec![vec![Views::new(); 2]; n];
    for random in 0..1u64 << n {
        let (bits, mask) = (random & ((1 << (n - 1)) - 1), random >> (n - 1));
        for (bit, seed) in [0, 1].into_iter().flat_map(|bit| all().map(move |seed| (bit, seed))) {
            let component = |i: usize| match i + 1 == n {
                true => (0..n - 1).fold(bit, |sum, i| sum ^ (bits >> i & 1)),
                false => bits >> i & 1,
            };
            // The last one lacks one component, which comes masked.
            let said = component(own) ^ mask;
            let left = (0..n).filter(|i| *i != own).fold(said, |sum, i| sum ^ component(i));
            assert_eq!(left ^ mask, bit);
            assert!(sign(left) * sign(mask) == sign(bit));
            for (me, views) in views.iter_mut().enumerate() {
                let mut view: Vec<u64> = (0..n).filter(|i| contains(all_sets[*i], me)).map(component).collect();
                match me == last {
                    true => view.extend([said, left]),
                    false => view.push(mask),
                }
                if seeded(n, 1, last).any(|i| i == me) {
                    view.push(number(seed));
                }
                if let Some((_, weights)) = weights.explicit.iter().find(|(receiver, _)| *receiver == me) {
                    view.push(number(weights[0] * sign(left) + weights[1] * seed));
                }
                note(&mut views[bit as usize], view);
            }
        }
    }
    for (me, views) in views.iter().enumerate() {
        assert_eq!(distance(views, 1), 0, "n = {n}, party {me}");
    }
}

#[test]
fn rule6_secrecy_of_the_way_from_bits_in_7_elements() {
    for (n, last) in [(3, 0), (3, 1), (3, 2), (4, 0), (4, 3)] {
        up(n, last);
    }
}

/// What is opened where numbers are tested for zero, and where they are compared and products are verified: the number and
/// shared random bits.
#[test]
fn rule6_secrecy_of_masked_openings_in_7_elements() {
    let (points, weights) = (points(3), powers(F7::from_u64(2), K));
    let mut views = vec![vec![Views::new(); P as usize]; 3];
    for (x, slope) in all().flat_map(|x| all().map(move |slope| (x, slope))) {
        for mask in 0..1u64 << K {
            for slopes in 0..P.pow(K as u32) {
                let bits = |me: usize| -> Vec<F7> {
                    let slope = |bit: usize| F7::from_u64(slopes / P.pow(bit as u32) % P);
                    (0..K).map(|bit| eval(&[F7::from_u64(mask >> bit & 1), slope(bit)], points[me])).collect()
                };
                let share = |me: usize| F7::dot(&bits(me), &weights) + eval(&[x, slope], points[me]);
                let shown: Vec<F7> = (0..3).map(share).collect();
                for (me, views) in views.iter_mut().enumerate() {
                    let mine = [vec![eval(&[x, slope], points[me])], bits(me)].concat();
                    note(&mut views[number(x) as usize], mine.into_iter().chain(shown.clone()).map(number).collect());
                }
            }
        }
    }
    for views in &views {
        assert_eq!(distance(views, 1 << K), 1, "exactly what three bits cannot hide");
    }
}

/// Masks that are longer than numbers: two numbers are told apart with the probability by which they differ, over the
/// size of the masks, and never better than is stated.
#[test]
fn rule6_statistical_masks_are_as_good_as_stated() {
    for (width, above) in [(1, 3), (2, 4), (3, 2), (4, 0), (1, 7)] {
        let shape = Shape { width, above: Some(above) };
        let masks = 1u64 << shape.mask_bits();
        let offset = shape.offset::<F61>(1).to_u128() as u64;
        let views = |numbers: u64| -> Vec<Views> {
            let of_number = |x: u64| {
                let mut views = Views::new();
                (0..masks).for_each(|mask| note(&mut views, vec![x + offset - mask]));
                views
            };
            (0..numbers).map(of_number).collect()
        };
        for bits in 1..=3 {
            let numbers = 1 << bits;
            assert_eq!(distance(&views(numbers), masks), numbers - 1, "below 2^-(bits of masks - {bits})");
        }
    }
    // The masks that are used: 40 bits longer than the numbers, and the sums of all of them stay in the field.
    fn stated<F: Field>(t: usize) {
        for (width, bits) in (1..=64).flat_map(|bits| [(1, bits), (bits as usize, bits)]) {
            let Some(shape) = Shape::lowest::<F>(width, bits, t) else { continue };
            assert_eq!(shape.mask_bits(), bits + STATISTICAL_BITS);
            let offset = shape.offset::<F>(t).to_u128();
            assert!(offset >= t as u128 * ((1 << shape.mask_bits()) - 1), "what is left is not negative");
            assert!(offset + (1 << bits) < F::MODULUS, "nor does it wrap");
            assert_eq!(offset % (1 << width), 0, "the lowest bits are those of the number");
        }
    }
    (1..=5).for_each(stated::<F127>);
    (1..=5).for_each(stated::<F61>);
}
