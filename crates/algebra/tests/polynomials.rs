//! Interpolation and division.

use proptest::prelude::*;
use tacit_algebra::poly::{self, PointsError};
use tacit_algebra::{F61, F127, Field, Fp};

fn elements<F: Field>(values: &[u64]) -> Vec<F> {
    values.iter().map(|v| F::from_u64(*v)).collect()
}

fn interpolation<F: Field>(coeffs: &[u64], first_point: u64, at: u64) {
    let f: Vec<F> = elements(coeffs);
    let points: Vec<F> = (0..coeffs.len()).map(|i| F::from_u64(first_point) + F::from_u64(i as u64 * 3)).collect();
    let values: Vec<F> = points.iter().map(|x| poly::eval(&f, *x)).collect();
    assert!(poly::interpolate(&points, &values).as_ref() == Ok(&f));
    for x in points.iter().copied().chain([F::ZERO, F::from_u64(at)]) {
        let lambda = poly::lagrange_at(&points, x).expect("distinct");
        let weights = poly::barycentric_weights(&points).expect("distinct");
        assert!(poly::lagrange_with(&weights, &points, x) == lambda);
        assert!(F::dot(&lambda, &values) == poly::eval(&f, x));
        let powers = poly::powers(x, f.len());
        assert!(F::dot(&powers, &f) == poly::eval(&f, x));
    }
    let matrix = poly::vandermonde(&points, f.len());
    for (r, row) in matrix.iter().enumerate() {
        assert!(row.iter().zip(&points).all(|(v, x)| *v == x.pow(r as u128)));
    }
    let master = poly::from_roots(&points);
    assert!(master.last() == Some(&F::ONE));
    assert!(points.iter().all(|x| poly::eval(&master, *x) == F::ZERO));
}

/// Whatever the first number is, and however many follow.
fn consecutive<F: Field>(first: u64, n: usize) {
    let points: Vec<F> = (0..n as u64).map(|i| F::from_u64(first + i)).collect();
    assert!(poly::barycentric_weights(&points).as_ref() == Ok(&poly::consecutive_weights(n)));
}

fn division<F: Field>(a: &[u64], b: &[u64]) {
    let (a, b): (Vec<F>, Vec<F>) = (elements(a), elements(b));
    let Some((q, r)) = poly::div_rem_vartime(&a, &b) else {
        assert!(b.iter().all(|c| *c == F::ZERO));
        return;
    };
    assert!(r.len() < poly::trim_vartime(&b).len());
    let mut back = poly::mul(&q, &b);
    back.resize(back.len().max(a.len()).max(r.len()), F::ZERO);
    F::add_assign_slice(&mut back[..r.len()], &r);
    assert!(poly::trim_vartime(&back) == poly::trim_vartime(&a));
    assert!(poly::trim_vartime(&q).len() == q.len() && poly::trim_vartime(&r).len() == r.len());
}

proptest! {
    #[test]
    fn interpolation_undoes_evaluation(
        coeffs in prop::collection::vec(any::<u64>(), 0..20), first in any::<u64>(), at in any::<u64>(),
    ) {
        interpolation::<F61>(&coeffs, first, at);
        interpolation::<F127>(&coeffs, first, at);
        interpolation::<Fp<257>>(&coeffs, first, at);
        interpolation::<Fp<9_223_372_036_854_775_783>>(&coeffs, first, at);
    }

    #[test]
    fn division_undoes_multiplication(
        a in prop::collection::vec(0u64..9, 0..12), b in prop::collection::vec(0u64..9, 0..12),
    ) {
        division::<F61>(&a, &b);
        division::<F127>(&a, &b);
        division::<Fp<3>>(&a, &b);
    }
}

#[test]
fn weights_of_consecutive_points_are_those_of_any_points() {
    for n in 0..70 {
        consecutive::<F61>(0, n);
        consecutive::<F127>(n as u64 + 1, n);
        consecutive::<Fp<257>>(7, n);
    }
}

#[test]
fn equal_points_are_refused() {
    let points = elements::<F61>(&[4, 9, 1, 9]);
    let error = PointsError::Duplicate { first: 1, second: 3 };
    assert_eq!(poly::lagrange_at(&points, F61::ZERO), Err(error));
    assert_eq!(poly::interpolate(&points, &points), Err(error));
    let error = PointsError::Length { points: 4, values: 3 };
    assert_eq!(poly::interpolate(&points, &points[..3]), Err(error));
    // Equal modulo p counts.
    let error = PointsError::Duplicate { first: 0, second: 1 };
    assert_eq!(poly::lagrange_at(&elements::<Fp<5>>(&[1, 6]), Fp::ZERO), Err(error));
}

#[test]
fn nothing_is_the_zero_polynomial() {
    assert!(poly::eval::<F61>(&[], F61::ONE) == F61::ZERO);
    assert!(poly::interpolate::<F61>(&[], &[]) == Ok(vec![]));
    assert!(poly::mul::<F61>(&[], &[F61::ONE]).is_empty());
    assert!(poly::div_rem_vartime(&[F61::ONE], &[F61::ZERO]).is_none());
}
