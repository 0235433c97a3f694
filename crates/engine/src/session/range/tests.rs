use tacit_algebra::{F61, Fp};

use super::*;
use crate::aggregate::ties::{Quadratic, Tie, ties as ties_of};
use crate::aggregate::{Joint, Term};

fn random() -> impl FnMut(&mut [u8]) {
    let mut stream = Keystream::new(&[7; 32]).expect("key");
    move |bytes: &mut [u8]| stream.fill(bytes)
}

/// Every number in range passes and comes back; every number above is caught, also with crafted bits.
#[test]
fn p19_engine_a_proof_exists_exactly_for_numbers_in_range() {
    for bound in [0u128, 1, 2, 3, 4, 5, 6, 7, 9, 31, 32, 33, 1013] {
        let layout = Layout::<F61>::new([bound].into_iter(), &Ties::none(), 2);
        let query = Query::new(&layout, &[3; 32]).expect("key");
        let salt = [F61::from_u64(11), F61::from_u64(12)];
        for number in 0..2 * bound + 3 {
            let dealt = layout.encode([number].into_iter(), &salt, &mut random());
            assert_eq!(dealt.len(), layout.length());
            let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 3]);
            query.answer(&dealt, &mut answers, &mut sums);
            assert_eq!(answers.len(), layout.answers());
            // Encoding a number that is too large drops what its bits cannot hold: never above the bound.
            assert!(query.accepts(&answers));
            assert!(sums[0].to_u128() <= bound);
            if number <= bound {
                assert_eq!(sums[0].to_u128(), number, "{number} of {bound}");
            }
            assert_eq!(sums[1..], salt);
        }
        // Any element instead of a bit is caught, whatever the quotient pretends.
        for place in 1..=bits(bound) {
            for wrong in [F61::from_u64(2), -F61::ONE, F61::from_u64(1 << 40)] {
                let mut dealt = layout.encode([0].into_iter(), &salt, &mut random());
                dealt[place] = wrong;
                let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 3]);
                query.answer(&dealt, &mut answers, &mut sums);
                assert!(!query.accepts(&answers));
            }
        }
    }
}

#[test]
fn shapes_of_statistics_differ_by_number() {
    let bounds = [1u128, 1000, 1_000_000, 1000];
    let layout = Layout::<F61>::new(bounds.into_iter(), &Ties::none(), 5);
    assert_eq!(layout.shapes.len(), 3);
    assert_eq!(layout.length(), 4 + 22 + 42 + 22 + 6);
    let numbers = [1u128, 999, 1_000_000, 0];
    let dealt = layout.encode(numbers.into_iter(), &[F61::ONE; 5], &mut random());
    let query = Query::new(&layout, &[9; 32]).expect("key");
    let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 9]);
    query.answer(&dealt, &mut answers, &mut sums);
    assert!(query.accepts(&answers));
    assert!(sums.iter().zip(numbers).all(|(sum, number)| sum.to_u128() == number));
}

/// Twice the first number less the second is from 0 to 3, and the third is the second.
fn ties() -> Ties {
    let slack = Tie { terms: vec![(0, 2), (1, -1)], bound: 3 };
    Ties::of(&[slack, Tie { terms: vec![(1, 1), (2, -1)], bound: 0 }], &[])
}

#[test]
fn p19_engine_numbers_that_do_not_belong_together_are_caught() {
    let layout = Layout::<F61>::new([3u128, 6, 6].into_iter(), &ties(), 2);
    assert_eq!(layout.answers(), 4 + 2, "an equality takes no slack");
    let query = Query::new(&layout, &[4; 32]).expect("key");
    let passes = |dealt: &[F61]| {
        let (mut answers, mut sums) = (Vec::new(), vec![F61::ZERO; 5]);
        query.answer(dealt, &mut answers, &mut sums);
        (query.accepts(&answers), sums)
    };
    let salt = [F61::from_u64(11), F61::from_u64(12)];
    for numbers in (0..=3u128).flat_map(|a| (0..=6).flat_map(move |b| (0..=6).map(move |c| [a, b, c]))) {
        let [a, b, c] = numbers;
        let dealt = layout.encode(numbers.into_iter(), &salt, &mut random());
        assert_eq!(dealt.len(), layout.length());
        let (passed, sums) = passes(&dealt);
        assert_eq!(passed, b <= 2 * a && 2 * a <= b + 3 && b == c, "{numbers:?}");
        assert!(sums.iter().zip(numbers).all(|(sum, number)| sum.to_u128() == number));
        assert_eq!(sums[3..], salt);
        // The slack that would fit, dealt as if it were a bit.
        let mut crafted = dealt.to_vec();
        let first = elements(bits(3)) + 2 * elements(bits(6)) + 1;
        crafted[first] = F61::from_u128(2 * a) - F61::from_u128(b);
        crafted[first + 1] = F61::ZERO;
        let bit = 2 * a == b || 2 * a == b + 1;
        assert!(!passes(&crafted).0 || bit && b == c, "{numbers:?}");
    }
}

/// What is opened of a contributor is distributed alike for every vector that it may have: over all masks.
#[test]
fn secrecy_of_range_proofs_exhaustive() {
    type Small = Fp<263>;
    let views = |layout: &Layout<Small>, numbers: &[u128]| {
        let query = Query::new(layout, &[5; 32]).expect("key");
        let count = layout.masks() - 1;
        let mut seen: Vec<Vec<u128>> = Vec::new();
        for choice in 0..263u64.pow(count as u32) {
            let masks = (0..count as u32).map(|k| Small::from_u64(choice / 263u64.pow(k)));
            let masks: Vec<Small> = masks.chain([Small::ZERO]).collect();
            let dealt = layout.deal(numbers.iter().copied(), &[], &masks);
            let (mut answers, mut sums) = (Vec::new(), vec![Small::ZERO; numbers.len()]);
            query.answer(&dealt, &mut answers, &mut sums);
            assert!(query.accepts(&answers), "what ties add is 0");
            seen.push(answers.iter().map(|a| a.to_u128()).collect());
        }
        seen.sort_unstable();
        seen
    };
    let one = Layout::<Small>::new([3u128].into_iter(), &Ties::none(), 0);
    // A slack is masked like a number.
    let tie = Tie { terms: vec![(0, 2)], bound: 6 };
    let tied = Layout::<Small>::new([3u128].into_iter(), &Ties::of(&[tie], &[]), 0);
    for layout in [one, tied] {
        let first = views(&layout, &[0]);
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "every mask gives another view");
        assert!((1..=3).all(|number| views(&layout, &[number]) == first));
    }
}

/// `x0 x1 - x2²`, in a block that has its tie at 1.
fn square(bound: u128) -> Ties {
    Ties::of(&[], &[Quadratic { wires: [vec![(0, 1)], vec![(1, 1)], vec![(2, 1)]], bound }])
}

/// The answers to a query, the numbers' sums, and whether they pass.
fn ask<F: Field>(layout: &Layout<F>, query: &Query<'_, F>, dealt: &[F]) -> (Vec<F>, Vec<F>, bool) {
    let (mut answers, mut sums) = (Vec::new(), vec![F::ZERO; layout.summed + layout.salt]);
    query.answer(dealt, &mut answers, &mut sums);
    assert_eq!(answers.len(), layout.answers());
    let passes = query.accepts(&answers);
    (answers, sums, passes)
}

#[test]
fn p19_engine_products_that_do_not_belong_together_are_caught() {
    for bound in [0u128, 5, 9] {
        let layout = Layout::<F61>::new([3u128; 3].into_iter(), &square(bound), 1);
        let query = Query::new(&layout, &[8; 32]).expect("key");
        let all = (0..4u128).flat_map(|a| (0..4).flat_map(move |b| (0..4).map(move |d| [a, b, d])));
        for numbers in all {
            let [a, b, d] = numbers;
            let dealt = layout.encode(numbers.into_iter(), &[F61::ONE], &mut random());
            assert_eq!(dealt.len(), layout.length());
            let (_, sums, passed) = ask(&layout, &query, &dealt);
            assert_eq!(passed, d * d <= a * b && a * b <= d * d + bound, "{numbers:?} up to {bound}");
            assert!(sums.iter().zip(numbers).all(|(sum, number)| sum.to_u128() == number));
            // Any other mask or value of the gate.
            let end = layout.length() - 2;
            for at in end - layout.blocks[0].elements()..end {
                let mut crafted = dealt.to_vec();
                crafted[at] += F61::from_u64(7);
                assert!(!ask(&layout, &query, &crafted).2, "{numbers:?}, element {at}");
            }
        }
    }
}

/// Ties of many columns are in several blocks, one of them shorter, and each of them is proven.
#[test]
fn each_tie_of_each_block_counts() {
    let terms: Vec<Term> = std::iter::once(Term::One)
        .chain((0..37).map(Term::Value))
        .chain((0..37).map(|column| Term::Product(column, column)))
        .collect();
    let bounds: Vec<u128> = terms.iter().map(|term| if *term == Term::One { 3 } else { 3 * 100 }).collect();
    let ties = ties_of(&terms, &bounds, 10, 3, Joint::Columns).expect("ties");
    let layout = Layout::<F61>::new(bounds.iter().copied(), &ties, 0);
    assert_eq!(layout.blocks.len(), 3);
    // Records 1, 2 and 9 in every column.
    let honest: Vec<u128> = [vec![3u128], vec![12; 37], vec![86; 37]].concat();
    let query = Query::new(&layout, &[6; 32]).expect("key");
    let passes = |numbers: &[u128]| {
        let dealt = layout.encode(numbers.iter().copied(), &[], &mut random());
        assert_eq!(dealt.len(), layout.length());
        ask(&layout, &query, &dealt).2
    };
    assert!(passes(&honest));
    for column in 0..37 {
        let mut numbers = honest.clone();
        // 3 * 48 = 12²: what is least.
        numbers[1 + 37 + column] = 48;
        assert!(passes(&numbers), "{column}");
        numbers[1 + 37 + column] = 47;
        assert!(!passes(&numbers), "{column}");
    }
}

/// Whoever deals the best wrong polynomial is accepted at its roots and hardly anywhere else.
#[test]
fn rule6_a_wrong_product_is_accepted_at_two_points_only() {
    type Small = Fp<4093>;
    let layout = Layout::<Small>::new([3u128; 3].into_iter(), &square(9), 0);
    // 1 * 1 - 2² is not 6. The difference of the polynomials is 9 at 1, the tie's place, and 0 at 300 and 400.
    let mut dealt = layout.encode([1, 1, 2].into_iter(), &[], &mut random()).to_vec();
    let slack = 3 * elements(bits(3));
    let of_slack = |y: u128| {
        let one = Layout::<Small>::new([9u128].into_iter(), &Ties::none(), 0);
        one.encode([y].into_iter(), &[], &mut random())[..elements(bits(9))].to_vec()
    };
    dealt[slack..slack + elements(bits(9))].copy_from_slice(&of_slack(6));
    let roots = [300u64, 400].map(Small::from_u64);
    let difference = |x: u64| {
        let at = |x: Small| (x - roots[0]) * (x - roots[1]);
        at(Small::from_u64(x)) * at(Small::ONE).inv().expect("no root") * Small::from_u64(9)
    };
    let gate = slack + elements(bits(9)) + MASKS;
    dealt[gate] += difference(0);
    dealt[gate + 1] += difference(2);
    let mut accepted = 0;
    for challenge in 0..20_000u32 {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&challenge.to_le_bytes());
        let query = Query::new(&layout, &key).expect("key");
        accepted += u32::from(ask(&layout, &query, &dealt).2);
    }
    // 2 of 3837 points, and 1 of 4093 coefficients.
    assert!((3..40).contains(&accepted), "{accepted} of 20000");
}

/// Each mask makes one answer uniform and changes no other; q follows from those. So what is opened tells nothing.
#[test]
fn secrecy_of_products_one_mask_for_each_answer() {
    type Small = Fp<263>;
    let layout = Layout::<Small>::new([3u128; 3].into_iter(), &square(9), 0);
    let query = Query::new(&layout, &[5; 32]).expect("key");
    let masks = layout.masks() - 1;
    assert_eq!(masks + 2, layout.answers(), "v and g, then q and e");
    let vectors = [[0u128, 0, 0], [1, 1, 1], [3, 3, 0], [3, 3, 3], [2, 3, 1]];
    let dealt = |numbers: [u128; 3], masks: &[Small]| layout.deal(numbers.into_iter(), &[], masks);
    let zeros = vec![Small::ZERO; masks + 1];
    for numbers in vectors {
        let (base, ..) = ask(&layout, &query, &dealt(numbers, &zeros));
        for mask in 0..masks {
            let mut seen = std::collections::BTreeSet::new();
            for value in 0..263 {
                let mut chosen = zeros.clone();
                chosen[mask] = Small::from_u64(value);
                let (answers, _, passes) = ask(&layout, &query, &dealt(numbers, &chosen));
                assert!(passes, "q is what the others say");
                seen.insert(answers[mask].to_u128());
                assert!((0..masks).all(|other| other == mask || answers[other] == base[other]));
            }
            assert_eq!(seen.len(), 263, "mask {mask} of {numbers:?}");
        }
    }
}
