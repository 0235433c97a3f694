//! Correction and detection of wrong shares.

use proptest::prelude::*;
use tacit_algebra::poly;
use tacit_algebra::reed_solomon::{Consistency, ConsistencyError, DecodeError, check_degree, correctable, decode};
use tacit_algebra::{F61, F127, Field, Fp};

struct Word<F: Field> {
    poly: Vec<F>,
    points: Vec<F>,
    values: Vec<F>,
}

/// The codeword of a pseudo-random polynomial over points 1..=n, with `offset` added at `wrong`.
fn word<F: Field>(n: usize, degree: usize, seed: u64, wrong: &[usize]) -> Word<F> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        F::from_u64(state >> 17)
    };
    let poly: Vec<F> = (0..=degree).map(|_| next()).collect();
    let points: Vec<F> = (1..=n).map(|i| F::from_u64(i as u64)).collect();
    let mut values: Vec<F> = points.iter().map(|x| poly::eval(&poly, *x)).collect();
    for i in wrong {
        let offset = next();
        values[*i] += if offset == F::ZERO { F::ONE } else { offset };
    }
    Word { poly, points, values }
}

fn corrects<F: Field>(n: usize, degree: usize, seed: u64, wrong: &[usize]) {
    let w = word::<F>(n, degree, seed, wrong);
    let decoded = decode(&w.points, &w.values, degree).expect("within the radius");
    assert!(decoded.poly == w.poly);
    let mut wrong = wrong.to_vec();
    wrong.sort_unstable();
    assert_eq!(decoded.errors, wrong);
    assert_eq!(check_degree(&w.points, &w.values, degree), wrong.is_empty());
}

#[test]
fn every_size_degree_and_number_of_errors() {
    for n in 1..=16 {
        for degree in 0..n {
            for e in 0..=correctable(n, degree) {
                // Errors spread over the word, starting anywhere.
                for start in 0..n {
                    let mut wrong: Vec<usize> = (0..e).map(|i| (start + i * 5) % n).collect();
                    wrong.sort_unstable();
                    wrong.dedup();
                    let seed = (n * 1000 + degree * 50 + start) as u64;
                    corrects::<F61>(n, degree, seed, &wrong);
                    corrects::<F127>(n, degree, seed, &wrong);
                    corrects::<Fp<17>>(n, degree, seed, &wrong);
                }
            }
        }
    }
}

/// All words of length 5 over GF(5) and GF(7): the decoder finds the nearest codeword exactly if
/// there is one within the radius.
fn every_word<const P: u64>(degree: usize) {
    const N: usize = 5;
    let digits = |mut v: u64, n: usize| -> Vec<Fp<P>> {
        let mut digit = || {
            let d = v % P;
            v /= P;
            Fp::from_u64(d)
        };
        (0..n).map(|_| digit()).collect()
    };
    let points: Vec<Fp<P>> = (0..N as u64).map(Fp::from_u64).collect();
    let polys: Vec<Vec<Fp<P>>> = (0..P.pow(degree as u32 + 1)).map(|v| digits(v, degree + 1)).collect();
    let evaluate = |f: &Vec<Fp<P>>| points.iter().map(|x| poly::eval(f, *x)).collect::<Vec<_>>();
    let codewords: Vec<_> = polys.iter().map(evaluate).collect();
    for v in 0..P.pow(N as u32) {
        let values = digits(v, N);
        let distance = |c: &Vec<Fp<P>>| c.iter().zip(&values).filter(|(a, b)| a != b).count();
        let near = codewords.iter().position(|c| distance(c) <= correctable(N, degree));
        match (near, decode(&points, &values, degree)) {
            (Some(i), Ok(decoded)) => {
                assert!(decoded.poly == polys[i]);
                assert_eq!(decoded.errors.len(), distance(&codewords[i]));
            }
            (None, Err(error)) => assert_eq!(error, DecodeError::TooManyErrors),
            (near, result) => panic!("word {v}: nearest {near:?}, result {result:?}"),
        }
        assert_eq!(check_degree(&points, &values, degree), codewords.contains(&values));
    }
}

#[test]
fn exhaustive_over_small_fields() {
    every_word::<5>(0);
    every_word::<5>(2);
    every_word::<5>(3);
    every_word::<7>(1);
    every_word::<7>(2);
}

proptest! {
    #[test]
    fn any_errors_within_the_radius(
        n in 1usize..40, degree in 0usize..40, seed in any::<u64>(), order in Just((0..40).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let degree = degree % n;
        let positions: Vec<usize> = order.into_iter().filter(|i| *i < n).collect();
        corrects::<F61>(n, degree, seed, &positions[..correctable(n, degree)]);
    }

    #[test]
    fn too_many_errors_are_never_corrected_wrongly(
        n in 4usize..20, degree in 0usize..20, seed in any::<u64>(), extra in 1usize..20,
    ) {
        let degree = degree % (n - 1);
        let count = (correctable(n, degree) + extra).min(n - degree - 1);
        let wrong: Vec<usize> = (0..count).collect();
        let w = word::<F61>(n, degree, seed, &wrong);
        prop_assert!(!check_degree(&w.points, &w.values, degree));
        match decode(&w.points, &w.values, degree) {
            // Random offsets reach another codeword with negligible probability.
            Ok(decoded) => prop_assert!(decoded.poly == w.poly && decoded.errors == wrong),
            Err(error) => prop_assert_eq!(error, DecodeError::TooManyErrors),
        }
    }

    #[test]
    fn combined_check_notices_one_wrong_value(
        n in 3usize..12, degree in 0usize..11, length in 1usize..200, at in any::<usize>(), challenge in 2u64..u64::MAX >> 4,
    ) {
        let degree = degree % (n - 1);
        let words: Vec<Word<F61>> = (0..length).map(|k| word(n, degree, k as u64, &[])).collect();
        let mut vectors: Vec<Vec<F61>> = (0..n).map(|i| words.iter().map(|w| w.values[i]).collect()).collect();
        let challenges = poly::powers(F61::from_u64(challenge), length);
        let check = Consistency::new(&words[0].points, degree).expect("distinct");
        prop_assert_eq!(check.redundancy(), n - degree - 1);
        fn borrowed(v: &[Vec<F61>]) -> Vec<&[F61]> {
            v.iter().map(Vec::as_slice).collect()
        }
        prop_assert_eq!(check.check_combined(&borrowed(&vectors), &challenges), Ok(true));
        prop_assert_eq!(check.first_inconsistent(&borrowed(&vectors)), Ok(None));

        vectors[at % n][at % length] += F61::ONE;
        prop_assert_eq!(check.check_combined(&borrowed(&vectors), &challenges), Ok(false));
        prop_assert_eq!(check.first_inconsistent(&borrowed(&vectors)), Ok(Some(at % length)));
        if correctable(n, degree) > 0 {
            let combined = check.combine(&borrowed(&vectors), &challenges).expect("same lengths");
            let decoded = decode(&words[0].points, &combined, degree).expect("one error");
            prop_assert_eq!(decoded.errors, [at % n]);
        }
    }
}

#[test]
fn shapes_are_checked() {
    let points: Vec<F61> = (1..=4).map(F61::from_u64).collect();
    assert_eq!(decode(&points, &points, 4), Err(DecodeError::TooFew { values: 4, degree: 4 }));
    assert!(matches!(decode(&points, &points[1..], 1), Err(DecodeError::Points(_))));
    assert!(matches!(decode(&[F61::ONE; 3], &points[1..], 1), Err(DecodeError::Points(_))));
    assert!(!check_degree(&points, &points[1..], 1));
    assert!(!check_degree(&[F61::ONE; 4], &points, 1));

    let check = Consistency::new(&points, 1).expect("distinct");
    assert_eq!(check.degree(), 1);
    assert!(check.check(&points) && !check.check(&points[1..]));
    let few = [&points[..]; 3];
    assert_eq!(check.check_combined(&few, &points), Err(ConsistencyError::Vectors { found: 3, expected: 4 }));
    let ragged = [&points[..], &points[..], &points[1..], &points[..]];
    let error = ConsistencyError::Length { vector: 2, found: 3, expected: 4 };
    assert_eq!(check.check_combined(&ragged, &points), Err(error));
    assert_eq!(check.first_inconsistent(&ragged), Err(error));
    // Nothing is redundant, nothing can be wrong.
    assert!(Consistency::new(&points, 7).expect("distinct").check(&points));
}
