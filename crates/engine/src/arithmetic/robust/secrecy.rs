//! Exhaustive secrecy of the product that comes whatever t parties do, for t = 1 in a field of seven elements: given its own
//! shares of the factors and the streams of its sets, what one party is sent has the same distribution for all factors.
//!
//! All that the party does not know is enumerated: factors, the slopes that fit its shares, and what is drawn from the one
//! stream that it lacks, that of the set of all others. What it knows of the other streams shifts what it sees by
//! something that it knows, so some values of these are enough. Masks are made by the protocol's own code.

use std::collections::BTreeSet;

use tacit_algebra::poly::lagrange_at;
use tacit_algebra::reed_solomon::Consistency;
use tacit_algebra::{Field, Fp};

use super::mask_of_set;
use crate::arithmetic::random::{contains, sets, subset_share_of_one};
use crate::simulator::SplitMix;

type F7 = Fp<7>;
const P: usize = 7;
const T: usize = 1;
/// A number and a slope of each factor, and two elements of a stream.
type Case = [F7; 6];

/// Everything that is enumerated for one party.
fn cases() -> Vec<Case> {
    let digit = |case: usize, place: usize| F7::from_u64((case / P.pow(place as u32) % P) as u64);
    (0..P.pow(6)).map(|case| std::array::from_fn(|place| digit(case, place))).collect()
}

/// What everybody sends and what everybody's share of the product is, case by case, if the stream that `me` lacks gives the
/// elements of the case (those of the highest power only if `wide_random`), and the others `known` ones.
fn gate(
    cases: &[Case],
    points: &[F7],
    me: usize,
    known: &[[F7; 2]],
    wide_random: bool,
) -> (Vec<Vec<F7>>, Vec<Vec<F7>>) {
    let n = points.len();
    let all: Vec<u64> = sets(n, T).collect();
    let (mut sent, mut shares) = (Vec::new(), Vec::new());
    for party in 0..n {
        let share = |of: &[F7]| of[0] + of[1] * points[party];
        let mut wide: Vec<F7> = cases.iter().map(|case| share(&case[..2]) * share(&case[2..4])).collect();
        let (mut narrow, mut tile) = (vec![F7::ZERO; cases.len()], vec![F7::ZERO; cases.len()]);
        for (number, set) in all.iter().enumerate().filter(|(_, set)| contains(**set, party)) {
            let weight = subset_share_of_one(points, *set, party);
            let draw = |power: usize, tile: &mut [F7]| match contains(*set, me) {
                true => tile.fill(known[number][power]),
                false if power > 0 && !wide_random => tile.fill(F7::ZERO),
                false => tile.iter_mut().zip(cases).for_each(|(x, case)| *x = case[4 + power]),
            };
            mask_of_set(weight, points[party], T, draw, &mut tile, &mut narrow, &mut wide);
        }
        sent.push(wide);
        shares.push(narrow);
    }
    let lambda = lagrange_at(&points[..=2 * T], F7::ZERO).expect("points");
    for case in 0..cases.len() {
        let opened: F7 = lambda.iter().zip(&sent).map(|(lambda, sent)| *lambda * sent[case]).sum();
        shares.iter_mut().for_each(|share| share[case] += opened);
    }
    (sent, shares)
}

/// Whether what `me` is sent has one distribution, given its own shares of the factors.
fn is_secret(cases: &[Case], points: &[F7], me: usize, sent: &[Vec<F7>]) -> bool {
    // By own shares and factors: what was seen, case by case.
    let mut views = vec![vec![Vec::new(); P * P]; P * P];
    let number = |x: F7| x.to_u128() as usize;
    for (index, case) in cases.iter().enumerate() {
        let own = |of: &[F7]| number(of[0] + of[1] * points[me]);
        let seen = sent.iter().fold(0, |seen, sent| seen * P + number(sent[index]));
        views[own(&case[..2]) * P + own(&case[2..4])][number(case[0]) * P + number(case[2])].push(seen);
    }
    views.iter_mut().flatten().for_each(|seen| seen.sort_unstable());
    views.iter().all(|of_own| of_own.iter().all(|seen| !seen.is_empty() && *seen == of_own[0]))
}

#[test]
fn rule6_secrecy_of_guaranteed_products_in_7_elements() {
    let (cases, mut random) = (cases(), SplitMix::new(7));
    for (n, attempts) in [(5, 3), (6, 1)] {
        let points: Vec<F7> = (1..=n as u64).map(F7::from_u64).collect();
        let lambda = lagrange_at(&points[..=T], F7::ZERO).expect("points");
        let on_degree = |degree: usize| Consistency::new(&points, degree).expect("points");
        let (wide, narrow) = (on_degree(2 * T), on_degree(T));
        for me in 0..n {
            for _ in 0..attempts {
                let mut word = || F7::from_u64(random.below(P as u64));
                let known: Vec<[F7; 2]> = (0..n).map(|_| [word(), word()]).collect();
                let (sent, shares) = gate(&cases, &points, me, &known, true);
                assert!(is_secret(&cases, &points, me, &sent), "n = {n}, party {me}");
                // Whom it is secret from makes no difference to what it is.
                for (index, case) in cases.iter().enumerate().filter(|_| me == 0) {
                    let of = |shares: &[Vec<F7>]| -> Vec<F7> { shares.iter().map(|share| share[index]).collect() };
                    assert!(wide.check(&of(&sent)) && narrow.check(&of(&shares)));
                    let product: F7 = lambda.iter().zip(&shares).map(|(lambda, share)| *lambda * share[index]).sum();
                    assert!(product == case[0] * case[2], "it is the product");
                }
            }
        }
    }
}

/// A mask of degree t alone would not do.
#[test]
fn rule6_products_masked_by_degree_t_alone_are_told_apart() {
    let points: Vec<F7> = (1..=5).map(F7::from_u64).collect();
    let (cases, known) = (cases(), vec![[F7::ZERO; 2]; 5]);
    for me in 0..5 {
        let (sent, _) = gate(&cases, &points, me, &known, false);
        assert!(!is_secret(&cases, &points, me, &sent), "party {me}");
        let opened: BTreeSet<u128> = sent.iter().flatten().map(|share| share.to_u128()).collect();
        assert_eq!(opened.len(), P, "each share by itself looks uniform");
    }
}
