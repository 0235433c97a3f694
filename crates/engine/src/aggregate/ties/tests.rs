use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::aggregate::encoding::Encoding;
use crate::aggregate::{Aggregator, NoResult, registry};
use crate::plan::{PlanRequest, tests::request};
use crate::simulator::SplitMix;

/// The encodings of all statistics over records, where each record counts and where each peer does.
fn encodings(max_element: u64, most: u64) -> Vec<(String, Encoding, usize)> {
    let mut all = Vec::new();
    for aggregator in registry().iter().filter(|aggregator| aggregator.records.is_some()) {
        for per_peer in ["no", "yes"] {
            let parameters = [
                ("max_records", most.to_string()),
                ("per_peer", per_peer.to_owned()),
                ("edges", "0,2,4,1000".to_owned()),
            ];
            let takes = |name: &str| aggregator.parameters.iter().any(|parameter| parameter.name == name);
            let parameters: BTreeMap<String, String> =
                parameters.into_iter().filter(|(name, _)| takes(name)).map(|(n, v)| (n.to_owned(), v)).collect();
            let columns = aggregator.records.as_ref().map_or(0, |codec| codec.columns.0.max(2));
            let request = PlanRequest { max_element, items: columns, parameters, ..request() };
            let encoding = Encoding::new(aggregator, &request).expect("an encoding");
            all.push((format!("{} per_peer={per_peer}", aggregator.name), encoding, columns));
        }
    }
    all
}

/// Whether numbers within their bounds satisfy all ties.
fn holds(encoding: &Encoding, sums: &[u128]) -> bool {
    let bounds: Vec<u128> = (0..encoding.length()).map(|at| encoding.bound(at)).collect();
    satisfied(encoding.ties(), &bounds, sums)
}

fn satisfied(ties: &Ties, bounds: &[u128], sums: &[u128]) -> bool {
    let mut numbers = sums.to_vec();
    ties.push_slacks(&mut numbers);
    let bounds = bounds.iter().copied().chain(ties.slack_bounds());
    let linear = ties.linear.iter().filter(|tie| !tie.has_slack()).map(|tie| tie.slack(&numbers));
    let quadratic = ties.quadratic.iter().filter(|tie| !tie.has_slack()).map(|tie| tie.slack(&numbers));
    numbers.iter().zip(bounds).all(|(number, bound)| *number <= bound)
        && linear.chain(quadratic).all(|slack| slack == 0)
}

/// Whatever an honest peer has, it can prove: random records, many of them at the borders, and none at all.
#[test]
fn p19_engine_all_records_satisfy_all_ties() {
    let mut random = SplitMix::new(5);
    let mut checked = 0;
    for max_element in [0, 1, 2, 3, 4, 7, 1000, u64::from(u32::MAX), u64::MAX / 8] {
        for most in [1, 2, 5] {
            for (name, encoding, columns) in encodings(max_element, most) {
                assert!(*encoding.ties() != Ties::none() || name.contains("count"), "{name}");
                for case in 0..60 {
                    let records = case % (most + 1);
                    let value = |random: &mut SplitMix| match random.below(6) {
                        0 => 0,
                        1 => max_element,
                        2 => 1.min(max_element),
                        3 => max_element.saturating_sub(1),
                        _ => random.below(max_element + 1),
                    };
                    let row: Vec<u64> = (0..records * columns as u64).map(|_| value(&mut random)).collect();
                    let sums = encoding.encode(&row).expect("sums");
                    assert!(holds(&encoding, &sums), "{name}, {row:?} up to {max_element}: {sums:?}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 10_000);
}

/// Where nothing is squared, numbers may be as large as they fit.
#[test]
fn the_largest_numbers_have_counts_means_and_histograms() {
    for name in ["count", "mean", "histogram"] {
        let mut request = PlanRequest { max_element: u64::MAX, items: 2, ..request() };
        if name == "histogram" {
            request.parameters.insert("edges".to_owned(), "1,18446744073709551615".to_owned());
        }
        let encoding = Encoding::new(named(name), &request).expect("an encoding");
        let sums = encoding.encode(&[u64::MAX, 0, u64::MAX, u64::MAX]).expect("sums");
        assert!(holds(&encoding, &sums), "{name}: {sums:?}");
    }
}

fn named(name: &str) -> &'static Aggregator {
    crate::aggregate::find(name).expect("registered")
}

/// All vectors up to these bounds.
fn all_vectors(bounds: &[u128]) -> Vec<Vec<u128>> {
    bounds.iter().fold(vec![Vec::new()], |vectors, bound| {
        vectors.iter().flat_map(|vector| (0..=*bound).map(|last| [&vector[..], &[last]].concat())).collect()
    })
}

/// Counts, means and histograms: what passes is what some records give, and nothing else.
#[test]
fn p19_engine_sums_that_pass_are_those_of_records() {
    let (max_element, most) = (3, 2);
    for (name, columns) in [("count", 1), ("mean", 2), ("histogram", 2)] {
        let mut request = PlanRequest { max_element, items: columns, ..request() };
        request.parameters.insert("max_records".to_owned(), most.to_string());
        if name == "histogram" {
            request.parameters.insert("edges".to_owned(), "1,3,9".to_owned());
        }
        let encoding = Encoding::new(named(name), &request).expect("an encoding");
        let rows = (0..=most).flat_map(|records| all_vectors(&vec![3; records * columns]));
        let row = |row: Vec<u128>| row.into_iter().map(|value| value as u64).collect::<Vec<u64>>();
        let given: BTreeSet<Vec<u128>> =
            rows.map(|values| encoding.encode(&row(values)).expect("sums").to_vec()).collect();
        let bounds: Vec<u128> = (0..encoding.length()).map(|at| encoding.bound(at)).collect();
        let pass: BTreeSet<Vec<u128>> =
            all_vectors(&bounds).into_iter().filter(|vector| holds(&encoding, vector)).collect();
        assert_eq!(pass, given, "{name}");
    }
}

/// A column and its square, of two records at most: what passes is what Jensen's inequality and the chord leave, with the gaps
/// closed that tangents have.
#[test]
fn p19_engine_squares_are_as_large_as_their_sums_demand() {
    for (max, most) in [(1u128, 2u128), (2, 1), (2, 3), (3, 2), (10, 1), (10, 2)] {
        let terms = [Term::One, Term::Value(0), Term::Product(0, 0)];
        let bounds = [most, most * max, most * max * max];
        let ties = ties(&terms, &bounds, max as u64, most as u64, Joint::Columns).expect("ties");
        assert_eq!(ties.missing(), None);
        for sums in all_vectors(&bounds) {
            let [records, value, square] = sums[..] else { panic!("three") };
            let spread = (records / 2) * (records - records / 2) * max * max;
            let passes = satisfied(&ties, &bounds, &sums);
            let right = value * value <= records * square && square <= max * value && value <= max * records;
            assert!(!passes || right, "{sums:?} of {max}");
            assert!(passes || !right || records * square > value * value + spread, "{sums:?} of {max}");
            if most == 1 && records == 1 {
                assert_eq!(passes, square == value * value, "{sums:?} of {max}");
            }
        }
    }
}

/// All sums of pairs of columns that pass, added to all others: no correlation, regression or variance is void.
#[test]
fn p19_engine_nobody_voids_a_statistic_exhaustive() {
    let most = 2;
    for (name, columns, max) in [("correlation", 2, 2), ("linear_regression", 2, 2), ("std_deviation", 1, 4)] {
        let mut request = PlanRequest { max_element: max, items: columns, ..request() };
        request.parameters.insert("max_records".to_owned(), most.to_string());
        let aggregator = named(name);
        let encoding = Encoding::new(aggregator, &request).expect("an encoding");
        assert_eq!(encoding.ties().missing(), None);
        let Encoding::Records(records) = &encoding else { panic!("records") };
        let bounds: Vec<u128> = (0..encoding.length()).map(|at| encoding.bound(at)).collect();
        let codec = aggregator.records.expect("records");
        let void = |sums: &[u128]| (codec.decode)(&records.settings, sums) == Err(NoResult::Impossible);
        let all = all_vectors(&bounds);
        let pass: Vec<&Vec<u128>> = all.iter().filter(|sums| holds(&encoding, sums)).collect();
        assert!(pass.len() > 15, "{name}: {}", pass.len());
        for (one, other) in pass.iter().flat_map(|one| pass.iter().map(move |other| (one, other))) {
            let total: Vec<u128> = one.iter().zip(*other).map(|(a, b)| a + b).collect();
            assert!(!void(&total), "{name}: {one:?} and {other:?}");
        }
        // Linear ties alone leave some that do void it.
        let linear = Ties::of(&Sums::of(&records.terms, &bounds, max, most).linear(false).expect("ties"), &[]);
        let twice = |sums: &[u128]| sums.iter().map(|sum| 2 * sum).collect::<Vec<_>>();
        assert!(all.iter().any(|sums| satisfied(&linear, &bounds, sums) && void(&twice(sums))), "{name}");
    }
}

/// Where forms are beyond all fields, less is proven, and the plan says what.
#[test]
fn rule7_what_is_not_proven_of_squares_is_said() {
    let missing = |name: &str, columns: usize, max_element: u64, most: u64| {
        let mut request = PlanRequest { max_element, items: columns, ..request() };
        request.parameters.insert("max_records".to_owned(), most.to_string());
        let plan = crate::Plan::build(request_of(name, request)).expect("a plan");
        let notes = plan.forecast().notes;
        let said = notes.iter().any(|note| plan.missing().is_some_and(|missing| note == missing.describe()));
        assert_eq!(said, plan.missing().is_some());
        plan.missing()
    };
    assert_eq!(missing("variance", 1, 1000, 10_000), None);
    assert_eq!(missing("variance", 1, u64::from(u32::MAX), 1 << 31), None);
    assert_eq!(missing("variance", 1, u64::from(u32::MAX), 1 << 32), Some(Missing::Squares));
    assert_eq!(missing("correlation", 2, 1000, 10_000), None);
    assert_eq!(missing("correlation", 5, 1000, 10_000), None);
    assert_eq!(missing("correlation", 2, u64::from(u32::MAX), 1), None);
    assert_eq!(missing("correlation", 2, u64::from(u32::MAX), 10_000), Some(Missing::Pairs));
    assert_eq!(missing("correlation", 2, u64::from(u32::MAX), 1 << 32), Some(Missing::Squares));
    assert_eq!(missing("linear_regression", 2, 1000, 10_000), None);
    assert_eq!(missing("linear_regression", 3, 1000, 10_000), Some(Missing::All));
    assert_eq!(missing("covariance", 3, 1000, 10_000), None);
    assert_eq!(missing("mean", 3, u64::from(u32::MAX), 1 << 32), None);
}

/// The task of a statistic, its numbers in range for certain.
fn request_of(aggregator: &str, request: PlanRequest) -> PlanRequest {
    let mut parameters = request.parameters;
    parameters.remove("bounds");
    PlanRequest { aggregator: aggregator.to_owned(), parameters, modulus: None, ..request }
}

/// Planners take a field above the reach; that it is what a form less its slack can be at most, over all numbers in range.
#[test]
fn rule8_no_tie_wraps_below_its_reach() {
    let bounds = [3u128, 2, 4];
    let tie = Tie { terms: vec![(0, 5), (1, -7), (2, -1)], bound: 6 };
    let slacks = (0..=tie.bound as i128).collect::<Vec<_>>();
    let forms = all_vectors(&bounds).into_iter().map(|numbers| tie.slack(&numbers) as i128);
    let most = forms.flat_map(|form| slacks.iter().map(move |slack| (form - slack).unsigned_abs())).max();
    assert_eq!(tie.reach(&bounds), most);
    assert_eq!(Tie { terms: vec![(0, i128::MAX)], bound: 0 }.reach(&bounds), None);
}

#[test]
fn rule8_no_product_wraps_below_its_reach() {
    let bounds = [3u128, 2, 4, 5];
    for wires in [
        [vec![(0, 1)], vec![(1, 1)], vec![(2, 1)]],
        [vec![(0, 2), (1, 1)], vec![(2, 3)], vec![(3, 1), (1, -4), (0, -1)]],
        [vec![(0, 2), (1, -5)], vec![(2, 3), (3, -1)], vec![(1, 1)]],
    ] {
        let tie = Quadratic { wires, bound: 6 };
        let forms = all_vectors(&bounds).into_iter().map(|numbers| tie.slack(&numbers) as i128);
        let most = forms.flat_map(|form| [form, form - 6]).map(i128::unsigned_abs).max().expect("some");
        let reach = tie.reach(&bounds).expect("in a field");
        assert!(most <= reach, "{tie:?}: {most} of {reach}");
    }
    let largest = Quadratic { wires: [vec![(0, i128::MAX)], vec![(0, 2)], vec![]], bound: 0 };
    assert_eq!(largest.reach(&bounds), None);
}
