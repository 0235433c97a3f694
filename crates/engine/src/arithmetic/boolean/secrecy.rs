//! What t parties see of a gate tells nothing about the bits: exhaustively for small n, and for all n by the rank of
//! the masks in what they see.

use std::collections::BTreeMap;

use super::gates::product;
use super::{Origin, Planes, Structure, interval};
use crate::arithmetic::random::{contains, sets};
use crate::arithmetic::zero::neighbours;

/// Pairs of neighbours, each once.
fn pairs(n: usize, t: usize) -> Vec<(usize, usize)> {
    (0..n).flat_map(|i| neighbours(n, t, i).filter(move |j| i < *j).map(move |j| (i, j))).collect()
}

/// Which pairs' streams mask a party's summand.
fn zero_mask(pairs: &[(usize, usize)], party: usize) -> u64 {
    pairs.iter().enumerate().filter(|(_, (i, j))| *i == party || *j == party).map(|(k, _)| 1 << k).sum()
}

/// All sets are intervals here, so that no stream of a set is drawn.
fn gate_is_secret(n: usize, t: usize) {
    let all: Vec<u64> = sets(n, t).collect();
    assert_eq!(all.len(), n);
    let structures: Vec<Structure> = (0..n).map(|me| Structure::new(n, t, me)).collect();
    let pairs = pairs(n, t);
    let components = |secret: u64, random: u64| -> Vec<u64> {
        let mut bits: Vec<u64> = (0..n - 1).map(|i| random >> i & 1).collect();
        bits.push(bits.iter().fold(secret, |a, b| a ^ b));
        bits
    };
    let planes = |structure: &Structure, components: &[u64]| {
        let mut planes = Planes::zeros(structure.held.len(), 1, 1);
        for (component, set) in structure.held.iter().enumerate() {
            planes.plane_mut(component, 0)[0] = components[all.binary_search(set).expect("a set")];
        }
        planes
    };
    // For each party and secret: how often it sees what.
    let mut views = vec![vec![BTreeMap::<Vec<u64>, usize>::new(); 4]; n];
    for secret in 0..4 {
        for random in 0..1u64 << (2 * (n - 1) + pairs.len()) {
            let (x, y) = (components(secret & 1, random), components(secret >> 1, random >> (n - 1)));
            let zero = random >> (2 * (n - 1));
            let mut said = Vec::new();
            for (me, structure) in structures.iter().enumerate() {
                let mut sum = [0];
                product(structure, &planes(structure, &x), &planes(structure, &y), &[(0, 0)], &mut sum);
                said.push((sum[0] & 1) ^ u64::from((zero & zero_mask(&pairs, me)).count_ones() & 1));
            }
            assert_eq!(said.iter().fold(0, |a, b| a ^ b), (secret & 1) & (secret >> 1));
            for (me, views) in views.iter_mut().enumerate() {
                let held =
                    |of: &[u64]| all.iter().zip(of).filter(|(set, _)| contains(**set, me)).map(|(_, b)| *b).collect();
                let mut view: Vec<u64> = held(&x);
                view.extend::<Vec<u64>>(held(&y));
                view.push(zero & zero_mask(&pairs, me));
                view.extend((0..n).filter(|i| contains(interval(n, t, *i), me)).map(|i| said[i]));
                *views[secret as usize].entry(view).or_default() += 1;
            }
        }
    }
    for of_party in views {
        assert!(of_party.iter().all(|views| *views == of_party[0]), "views tell bits apart");
    }
}

#[test]
fn gate_among_three() {
    gate_is_secret(3, 1);
}

#[test]
fn gate_among_four() {
    gate_is_secret(4, 1);
}

/// Over any x and y: the summands of honest parties that t others hear are masked by streams that these lack, and
/// the masks are independent. Therefore they are uniform whatever x and y are.
#[test]
fn what_is_heard_is_uniform_for_all_numbers_of_parties() {
    for (n, t) in [(3, 1), (4, 1), (5, 1), (5, 2), (6, 2), (7, 2), (7, 3), (8, 3), (9, 2), (9, 4)] {
        let pairs = pairs(n, t);
        let structures: Vec<Structure> = (0..n).map(|me| Structure::new(n, t, me)).collect();
        for honest in sets(n, t) {
            let is_honest = |i: usize| contains(honest, i);
            let unknown: u64 =
                (0..pairs.len()).filter(|k| is_honest(pairs[*k].0) && is_honest(pairs[*k].1)).map(|k| 1 << k).sum();
            let mut rows = Vec::new();
            for me in (0..n).filter(|i| is_honest(*i)) {
                let heard = interval(n, t, me) & !honest != 0;
                if !heard {
                    continue;
                }
                let place = structures[me].held.binary_search(&honest).expect("an honest party is in it");
                let adds = structures[me].origins[place] == Origin::Stream { adds: true };
                rows.push(zero_mask(&pairs, me) & unknown | u64::from(adds) << 63);
            }
            assert_eq!(rank(rows.clone()), rows.len(), "n = {n}, t = {t}, honest {honest:b}");
        }
    }
}

/// Of a matrix over two elements.
fn rank(mut rows: Vec<u64>) -> usize {
    let mut rank = 0;
    for bit in 0..64 {
        let Some(pivot) = (rank..rows.len()).find(|i| rows[*i] >> bit & 1 == 1) else { continue };
        rows.swap(rank, pivot);
        let row = rows[rank];
        rows[rank + 1..].iter_mut().filter(|other| **other >> bit & 1 == 1).for_each(|other| *other ^= row);
        rank += 1;
    }
    rank
}
