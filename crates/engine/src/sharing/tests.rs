use std::collections::HashMap;

use proptest::prelude::*;
use tacit_algebra::{F61, F127, Field, Fp};

use super::*;
use crate::simulator::SplitMix;

mod branches;

/// All vectors of `count` elements.
fn all<F: Field>(count: usize) -> impl Iterator<Item = Vec<F>> {
    let p = F::MODULUS;
    (0..p.pow(count as u32)).map(move |mut number| {
        let mut digits = Vec::with_capacity(count);
        for _ in 0..count {
            digits.push(F::from_u128(number % p));
            number /= p;
        }
        digits
    })
}

/// Every receiver's share of one value, with given pseudorandom shares.
fn deal<F: Field>(dealer: &Dealer<F>, n: usize, value: F, seeded: &[F]) -> Vec<F> {
    let mut shares = vec![F::ZERO; n];
    for (position, share) in dealer.seeded.iter().zip(seeded) {
        shares[*position] = *share;
    }
    let columns: Vec<&[F]> = seeded.chunks(1).collect();
    for recipe in dealer.explicit.iter().chain(&dealer.own) {
        recipe.share(&[value], &columns, &mut shares[recipe.receiver..=recipe.receiver]);
    }
    shares
}

/// For two honest dealers and any coalition of receivers as large as is tolerated: the joint view
/// (the coalition's shares of both inputs, everybody's share of the sum, and the sum) has the same
/// distribution for all inputs with the same sum. All randomness is enumerated.
fn secrecy<F: Field>(n: usize, sharing: Sharing, owns: [Option<usize>; 2]) {
    let tolerated = match sharing {
        Sharing::Shamir { threshold } => threshold,
        Sharing::Additive => n - 1,
    };
    assert!(is_secret::<F>(n, sharing, owns, tolerated), "n={n} {sharing:?}");
}

fn is_secret<F: Field>(n: usize, sharing: Sharing, owns: [Option<usize>; 2], coalition: usize) -> bool {
    let points: Vec<F> = (1..=n as u64).map(F::from_u64).collect();
    let dealers = owns.map(|own| Dealer::new(&points, sharing, own, 1).expect("points"));
    let seeds = dealers.each_ref().map(|dealer| dealer.seeded.len());
    let coalitions = (0u32..1 << n).filter(|set| {
        let members = |own: Option<usize>| own.is_some_and(|own| set >> own & 1 == 1);
        set.count_ones() as usize == coalition && !owns.into_iter().any(members)
    });
    let coalitions: Vec<u32> = coalitions.collect();
    assert!(!coalitions.is_empty());
    for set in coalitions {
        let mut by_sum: HashMap<u128, HashMap<Vec<u128>, u64>> = HashMap::new();
        for inputs in all::<F>(2) {
            let mut views: HashMap<Vec<u128>, u64> = HashMap::new();
            for random in all::<F>(seeds[0] + seeds[1]) {
                let (first, second) = random.split_at(seeds[0]);
                let a = deal(&dealers[0], n, inputs[0], first);
                let b = deal(&dealers[1], n, inputs[1], second);
                let held = (0..n).filter(|i| set >> i & 1 == 1).flat_map(|i| [a[i], b[i]]);
                let opened = (0..n).map(|i| a[i] + b[i]);
                *views.entry(held.chain(opened).map(F::to_u128).collect()).or_default() += 1;
            }
            let sum = (inputs[0] + inputs[1]).to_u128();
            let first = by_sum.entry(sum).or_insert_with(|| views.clone());
            if *first != views {
                return false;
            }
        }
        // The views of different sums never coincide: they contain the sum.
        assert_eq!(by_sum.len() as u128, F::MODULUS);
    }
    true
}

#[test]
fn larger_coalitions_are_told_apart() {
    assert!(!is_secret::<Fp<5>>(3, Sharing::Shamir { threshold: 1 }, [None, None], 2));
    assert!(!is_secret::<Fp<7>>(5, Sharing::Shamir { threshold: 1 }, [Some(0), None], 2));
    assert!(!is_secret::<Fp<5>>(3, Sharing::Additive, [None, None], 3));
}

#[test]
fn secrecy_of_sum_exhaustive_gf5() {
    secrecy::<Fp<5>>(3, Sharing::Shamir { threshold: 1 }, [None, None]);
    secrecy::<Fp<5>>(3, Sharing::Shamir { threshold: 1 }, [Some(0), Some(1)]);
    secrecy::<Fp<5>>(4, Sharing::Shamir { threshold: 1 }, [None, None]);
    secrecy::<Fp<5>>(4, Sharing::Shamir { threshold: 1 }, [Some(3), None]);
    secrecy::<Fp<5>>(3, Sharing::Additive, [None, None]);
}

#[test]
fn secrecy_of_sum_exhaustive_gf7() {
    secrecy::<Fp<7>>(3, Sharing::Shamir { threshold: 1 }, [None, None]);
    secrecy::<Fp<7>>(6, Sharing::Shamir { threshold: 1 }, [Some(0), Some(5)]);
    secrecy::<Fp<7>>(5, Sharing::Shamir { threshold: 2 }, [None, None]);
    secrecy::<Fp<7>>(5, Sharing::Shamir { threshold: 2 }, [Some(0), Some(3)]);
    secrecy::<Fp<7>>(3, Sharing::Additive, [None, None]);
}

#[test]
fn seeded_receivers_follow_the_dealer() {
    let shamir = Sharing::Shamir { threshold: 2 };
    assert_eq!(receivers(5, shamir, Some(3), 0), (vec![4, 0], vec![1, 2]));
    assert_eq!(receivers(5, shamir, None, 4), (vec![4, 0], vec![1, 2, 3]));
    assert_eq!(receivers(3, shamir, Some(1), 0), (vec![2, 0], vec![]));
    assert_eq!(receivers(3, Sharing::Additive, Some(2), 0), (vec![0, 1], vec![]));
    assert_eq!(receivers(3, Sharing::Additive, None, 1), (vec![1, 2], vec![0]));
}

/// Deals to all and opens after some shares were changed and some lost.
fn round_trip<F: Field>(n: usize, t: usize, length: usize, lost: usize, wrong: usize, seed: u64) {
    let mut random = SplitMix::new(seed);
    let mut draw = |bytes: &mut [u8]| bytes.iter_mut().for_each(|b| *b = random.next_u64() as u8);
    let mut points = vec![F::ZERO; n];
    F::fill_uniform(&mut draw, &mut points);
    let sharing = Sharing::Shamir { threshold: t };
    let dealer = Dealer::new(&points, sharing, None, seed as usize % n).expect("points");
    let mut secret = vec![F::ZERO; length];
    F::fill_uniform(&mut draw, &mut secret);
    let seeded: Vec<Vec<F>> = (0..t)
        .map(|_| {
            let mut share = vec![F::ZERO; length];
            F::fill_uniform(&mut draw, &mut share);
            share
        })
        .collect();
    let columns: Vec<&[F]> = seeded.iter().map(Vec::as_slice).collect();
    let mut shares = vec![vec![F::ZERO; length]; n];
    dealer.seeded.iter().zip(&seeded).for_each(|(position, share)| shares[*position].clone_from(share));
    for recipe in &dealer.explicit {
        recipe.share(&secret, &columns, &mut shares[recipe.receiver]);
    }
    let mut recombiner = Recombiner::new(&points, sharing, needed(sharing, points.len())).expect("enough");
    for _ in 0..lost {
        shares.remove(0);
        recombiner.without(recombiner.alive()[0]).expect("enough");
    }
    let liars: Vec<usize> = recombiner.alive()[..wrong].to_vec();
    for (i, share) in shares[..wrong].iter_mut().enumerate() {
        share[(i * 7 + 3) % length] += F::ONE;
    }
    let mut out = vec![F::ZERO; length];
    let spare = n - lost - t - 1;
    let result = recombiner.open(shares, &mut draw, &mut out);
    if wrong == 0 || (wrong <= spare / 2 && n - lost > 3 * t) {
        assert_eq!(result, Ok(liars));
        assert!(out == secret);
    } else if wrong <= spare {
        // One at a time they may still be few enough in each item.
        assert!(result == Err(NoVector::Disagree) || out == secret);
    }
}

/// Two of five move the decoding to a polynomial on which an honest share is the wrong one.
#[test]
fn rule5_nobody_is_framed_below_3t_plus_1() {
    let points: Vec<F61> = (1..=5).map(F61::from_u64).collect();
    let sharing = Sharing::Shamir { threshold: 2 };
    // The honest shares are those of 7, and the liars' those of a polynomial through two honest ones.
    let honest = [F61::from_u64(7); 5];
    let on = |points: &[F61], values: &[F61], at: F61| {
        lagrange_at(points, at).expect("distinct").iter().zip(values).fold(F61::ZERO, |sum, (w, v)| sum + *w * *v)
    };
    let known = [points[0], points[1], F61::ZERO];
    let values = [honest[0], honest[1], F61::from_u64(99)];
    let mut shares: Vec<Vec<F61>> = honest.iter().map(|share| vec![*share]).collect();
    for liar in 3..5 {
        shares[liar] = vec![on(&known, &values, points[liar])];
    }
    let mut out = [F61::ZERO];
    let result = Recombiner::new(&points, sharing, needed(sharing, points.len())).expect("enough").open(
        shares,
        &mut |_| {},
        &mut out,
    );
    assert_eq!(result, Err(NoVector::Disagree));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn shares_open_to_the_secret(n in 3usize..12, a in any::<u64>(), long: bool, big: bool) {
        let t = 1 + a as usize % ((n - 1) / 2);
        let lost = (a >> 16) as usize % (n - t);
        let wrong = (a >> 32) as usize % (n - lost - t);
        let length = if long { 200 } else { 9 };
        if big {
            round_trip::<F127>(n, t, length, lost, wrong, a);
        } else {
            round_trip::<F61>(n, t, length, lost, wrong, a);
        }
    }
}

#[test]
fn too_few_shares_open_nothing() {
    let points: Vec<F61> = (1..=5).map(F61::from_u64).collect();
    let mut recombiner = Recombiner::new(&points, Sharing::Shamir { threshold: 2 }, 3).expect("enough");
    recombiner.without(0).expect("enough");
    recombiner.without(1).expect("enough");
    assert_eq!(recombiner.without(2), Err(NoVector::TooFew { found: 2, needed: 3 }));
    let mut additive = Recombiner::new(&points, Sharing::Additive, points.len()).expect("enough");
    assert_eq!(additive.without(4), Err(NoVector::TooFew { found: 4, needed: 5 }));
}

fn needed(sharing: Sharing, n: usize) -> usize {
    match sharing {
        Sharing::Shamir { threshold } => threshold + 1,
        Sharing::Additive => n,
    }
}

/// Masked products have degree 2t. With one party away, one more whose message is late leaves three of degree two, which
/// fit whatever the one that lies has sent: that is no product.
#[test]
fn rule5_products_take_as_many_shares_as_t_liars_cannot_bend() {
    let points: Vec<F61> = (1..=4).map(F61::from_u64).collect();
    let mut recombiner = Recombiner::decoding(&points, 2, 1, 0).expect("all are there");
    assert_eq!(recombiner.without(0).err(), Some(NoVector::TooFew { found: 3, needed: 4 }));
    // With nobody away one may be late, or lie.
    let points: Vec<F61> = (1..=5).map(F61::from_u64).collect();
    let mut recombiner = Recombiner::decoding(&points, 2, 1, 1).expect("all are there");
    assert_eq!(recombiner.without(0), Ok(()));
}
