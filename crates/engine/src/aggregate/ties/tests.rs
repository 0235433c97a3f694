use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::aggregate::records::Encoding;
use crate::aggregate::{Aggregator, registry};
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
fn holds(encoding: &Encoding, numbers: &[u128]) -> bool {
    let in_range = |(at, number): (usize, &u128)| *number <= encoding.bound(at);
    numbers.iter().enumerate().all(in_range) && encoding.ties().iter().all(|tie| tie.slack(numbers) <= tie.bound)
}

/// Whatever an honest peer has, it can prove: random records, many of them at the borders, and none at all.
#[test]
fn p19_engine_all_records_satisfy_all_ties() {
    let mut random = SplitMix::new(5);
    let mut checked = 0;
    for max_element in [0, 1, 2, 3, 4, 7, 1000, u64::from(u32::MAX), u64::MAX / 8] {
        for most in [1, 2, 5] {
            for (name, encoding, columns) in encodings(max_element, most) {
                assert!(!encoding.ties().is_empty() || name.contains("count"), "{name}");
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

/// One record of one column and its square: what passes lies between the chord and the tangents, and the true square does.
#[test]
fn p19_engine_squares_stay_between_their_tangents() {
    for max_element in [1u64, 2, 3, 10] {
        let terms = [Term::One, Term::Value(0), Term::Product(0, 0)];
        let ties = ties(&terms, max_element, 1).expect("ties");
        let max = u128::from(max_element);
        for (value, square) in (0..=max).flat_map(|value| (0..=max * max).map(move |square| (value, square))) {
            let passes = ties.iter().all(|tie| tie.slack(&[1, value, square]) <= tie.bound);
            let above = square >= value && square + max * (max - 1) >= (2 * max - 1) * value;
            assert!(!passes || above && square <= max * value, "{value}, {square} of {max}");
            assert!(passes || square != value * value, "{value} of {max}");
            // With no record there is nothing.
            let none = ties.iter().all(|tie| tie.slack(&[0, value, square]) <= tie.bound);
            assert_eq!(none, (value, square) == (0, 0), "{value}, {square} of {max}");
        }
    }
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
