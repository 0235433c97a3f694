//! Exhaustive secrecy of the product gate for n = 3, t = 1 in small fields: over all randomness, what one
//! party sees has the same distribution for all factors, given its own shares of the factors and
//! of the product.
//!
//! The randomness is enumerated where the protocol draws it from streams; the constants are those
//! that the protocol computes.

use tacit_algebra::poly::{eval, lagrange_at};
use tacit_algebra::{Field, Fp};

use super::king::share_of_one;
use super::reshare::folded_weights;
use crate::arithmetic::dealing::Weights;
use crate::arithmetic::random::subset_share_of_one;
use crate::arithmetic::zero::neighbours;

const N: usize = 3;
const T: usize = 1;

fn all<const P: u64>() -> impl Iterator<Item = Fp<P>> + Clone {
    (0..P).map(Fp::from_u64)
}

fn points<const P: u64>() -> Vec<Fp<P>> {
    [1, 2, 4].map(Fp::from_u64).to_vec()
}

fn share<const P: u64>(secret: Fp<P>, slope: Fp<P>, x: Fp<P>) -> Fp<P> {
    eval(&[secret, slope], x)
}

/// For each pair of factors: how often which (own shares, view) occurs, as a number in base P.
struct Views(Vec<Vec<u32>>);

impl Views {
    fn new(factors: usize, elements: u32, p: u64) -> Self {
        Self(vec![vec![0; p.pow(elements) as usize]; factors])
    }

    fn note<const P: u64>(&mut self, factors: usize, given: [Fp<P>; 3], view: &[Fp<P>]) {
        let index = given.iter().chain(view).fold(0, |index, x| index * u128::from(P) + x.to_u128());
        self.0[factors][index as usize] += 1;
    }

    /// All factors show the same views with the same own shares, equally often.
    fn assert_secret(&self) {
        assert!(self.0[0].iter().any(|count| *count > 0));
        assert!(self.0.iter().all(|counts| *counts == self.0[0]), "views tell factors apart");
    }
}

fn resharing_is_secret<const P: u64>(factors: &[(u64, u64)]) {
    let points = points::<P>();
    let weights: Vec<Weights<Fp<P>>> =
        (0..N).map(|i| folded_weights(&points, T, i, 0).expect("points").expect("all deal")).collect();
    let lambda = lagrange_at(&points[..2], Fp::ZERO).expect("points");
    for me in 0..N {
        let mut views = Views::new(factors.len(), 6, P);
        for (pair, (a, b)) in factors.iter().enumerate() {
            let (a, b) = (Fp::<P>::from_u64(*a), Fp::<P>::from_u64(*b));
            for (u, v) in all::<P>().flat_map(|u| all::<P>().map(move |v| (u, v))) {
                let products: Vec<Fp<P>> = points.iter().map(|x| share(a, u, *x) * share(b, v, *x)).collect();
                for index in 0..P.pow(3) {
                    // Dealer i's seeded share, which belongs to party i+1.
                    let seeds = [0, 1, 2].map(|i| Fp::<P>::from_u64(index / P.pow(i) % P));
                    let combine =
                        |weights: &[Fp<P>], dealer: usize| weights[0] * products[dealer] + weights[1] * seeds[dealer];
                    let (mut out, mut sent) = ([Fp::ZERO; N], [Fp::ZERO; N]);
                    for dealer in 0..N {
                        out[dealer] += combine(&weights[dealer].own, dealer);
                        out[(dealer + 1) % N] += seeds[dealer];
                        let (receiver, explicit) = &weights[dealer].explicit[0];
                        sent[*receiver] = combine(explicit, dealer);
                        out[*receiver] += sent[*receiver];
                    }
                    assert!(lambda[0] * out[0] + lambda[1] * out[1] == a * b);
                    // Own shares, own randomness; what arrives: a seeded share and a sent one.
                    let given = [share(a, u, points[me]), share(b, v, points[me]), out[me]];
                    views.note(pair, given, &[seeds[me], seeds[(me + N - 1) % N], sent[me]]);
                }
            }
        }
        views.assert_secret();
    }
}

#[test]
fn resharing_in_5_elements() {
    resharing_is_secret::<5>(&(0..25).map(|i| (i / 5, i % 5)).collect::<Vec<_>>());
}

#[test]
fn resharing_in_7_elements() {
    // Some factors: all would take long.
    resharing_is_secret::<7>(&[(0, 0), (0, 3), (1, 6), (5, 2), (6, 6)]);
}

/// One slice with party 0 as the king; masks from subsets, one stream per pair.
#[test]
fn kings_in_5_elements() {
    const P: u64 = 5;
    let points = points::<P>();
    let lambda = lagrange_at(&points, Fp::ZERO).expect("points");
    let ones: Vec<Fp<P>> = (0..N).map(|i| share_of_one(&points, T, 0, i).expect("points")).collect();
    let pairs = [(0, 1), (0, 2), (1, 2)];
    for (i, j) in pairs {
        assert!(neighbours(N, T, i).any(|k| k == j));
    }
    let factors = [(0, 0), (0, 1), (2, 4)];
    let mut views: Vec<Views> = [6, 4, 5].map(|view| Views::new(factors.len(), 3 + view, P)).into();
    for (pair, (a, b)) in factors.into_iter().enumerate() {
        let (a, b) = (Fp::<P>::from_u64(a), Fp::<P>::from_u64(b));
        for index in 0..P.pow(8) {
            let random = |i: u32| Fp::<P>::from_u64(index / P.pow(i) % P);
            let shares: Vec<(Fp<P>, Fp<P>)> =
                points.iter().map(|x| (share(a, random(0), *x), share(b, random(1), *x))).collect();
            let (mut summands, mut out) = ([Fp::<P>::ZERO; N], [Fp::ZERO; N]);
            for me in 0..N {
                let mine = pairs.iter().enumerate().filter(|(_, (i, j))| *i == me || *j == me);
                let mut mask = Fp::ZERO;
                let mut zero = Fp::ZERO;
                for (k, (i, j)) in mine {
                    mask += random(2 + k as u32) * subset_share_of_one(&points, 1 << i | 1 << j, me);
                    zero += if *i == me { random(5 + k as u32) } else { -random(5 + k as u32) };
                }
                summands[me] = lambda[me] * (shares[me].0 * shares[me].1 + mask) + zero;
                out[me] = -mask;
            }
            let masked: Fp<P> = summands.iter().copied().sum();
            (0..N).for_each(|i| out[i] += ones[i] * masked);
            assert!((0..N).map(|i| lambda[i] * out[i]).sum::<Fp<P>>() == a * b);
            assert!(ones[1] == Fp::ZERO, "the peer after the king gets no message");
            for me in 0..N {
                let given = [shares[me].0, shares[me].1, out[me]];
                let mine = pairs.iter().enumerate().filter(|(_, (i, j))| *i == me || *j == me);
                let mut view: Vec<Fp<P>> =
                    mine.flat_map(|(k, _)| [random(2 + k as u32), random(5 + k as u32)]).collect();
                match me {
                    0 => view.extend(&summands[1..]),
                    1 => {}
                    _ => view.push(masked),
                }
                views[me].note(pair, given, &view);
            }
        }
    }
    views.iter().for_each(Views::assert_secret);
}
