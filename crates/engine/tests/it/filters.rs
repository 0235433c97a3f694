//! Set operations on Bloom filters equal the same on plain filters, through whole sessions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tacit_engine::aggregate::Filter;
use tacit_engine::simulator::SplitMix;
use tacit_engine::{Plan, PlanError, SecurityModel};

use crate::evaluations::{opened, parties, rows, statistics, world};
use crate::world::World;

const POSITIONS: usize = 61;

/// The most records of one peer, the largest key and the largest weight.
const MOST: u64 = 8;
const LARGEST: u64 = 29;
const HEAVIEST: u64 = 9;

/// Rows of keys, or of keys and weights.
fn keys(n: usize, weighted: bool, seed: u64) -> Vec<Vec<u64>> {
    let random = &mut SplitMix::new(seed);
    let row = |_| {
        let mut row = Vec::new();
        for _ in 0..random.below(MOST + 1) {
            row.push(random.below(LARGEST + 1));
            if weighted {
                row.push(random.below(HEAVIEST + 1));
            }
        }
        row
    };
    (0..n).map(row).collect()
}

/// Rows at the borders, and random ones.
fn borders(n: usize, weighted: bool) -> Vec<Vec<Vec<u64>>> {
    let full = |first: u64, weight: u64| -> Vec<u64> {
        let key = |key: u64| if weighted { vec![(first + key) % (LARGEST + 1), weight] } else { vec![first + key] };
        (0..MOST).flat_map(key).collect()
    };
    let nobody = vec![Vec::new(); n];
    let mut one = nobody.clone();
    one[n - 1] = full(LARGEST + 1 - MOST, HEAVIEST);
    let mut all_but_one = vec![full(0, HEAVIEST); n];
    all_but_one[0].clear();
    let repeated =
        if weighted { vec![LARGEST, HEAVIEST, LARGEST, 0, LARGEST, 1] } else { vec![LARGEST; MOST as usize] };
    vec![
        nobody,
        one,
        all_but_one,
        vec![full(0, HEAVIEST); n],
        vec![full(0, 0); n],
        vec![repeated; n],
        keys(n, weighted, 5),
    ]
}

fn group(rows: &[Vec<u64>], name: &str, columns: usize, more: &[(&str, &str)]) -> World {
    let text = POSITIONS.to_string();
    let most = MOST.to_string();
    let parameters = [&[("positions", text.as_str()), ("hashes", "2"), ("max_records", &most)], more].concat();
    let mut world = world(rows.len(), name, columns, &parameters, 7).with_max(LARGEST);
    world.inputs = rows.iter().cloned().map(Some).collect();
    world
}

fn filter() -> Filter {
    Filter::new(POSITIONS, 2).expect("a filter")
}

/// Each peer's bits.
fn filters(world: &World) -> Vec<Vec<bool>> {
    let one = |row: &Vec<u64>| {
        let mut bits = vec![false; POSITIONS];
        row.iter().for_each(|key| filter().bits_of(*key).for_each(|bit| bits[bit] = true));
        bits
    };
    rows(world).into_iter().map(one).collect()
}

/// In how many filters each bit is set.
fn counts(world: &World) -> Vec<usize> {
    let filters = filters(world);
    (0..POSITIONS).map(|bit| filters.iter().filter(|filter| filter[bit]).count()).collect()
}

fn base(n: usize, name: &str, more: &[(&str, &str)], seed: u64) -> World {
    group(&keys(n, false, seed), name, 1, more)
}

/// All functions of these sets of keys.
fn sets_are_right(model: SecurityModel, rows: &[Vec<u64>], least: usize) -> TestCaseResult {
    let text = least.to_string();
    let base = |name: &str, more: &[(&str, &str)]| group(rows, name, 1, more).in_model(model);
    let plain = counts(&base("filter_union", &[]));
    let bits = |k: usize| plain.iter().map(|c| u128::from(*c >= k)).collect::<Vec<_>>();
    prop_assert_eq!(opened(&base("filter_union", &[])), bits(1));
    prop_assert_eq!(opened(&base("filter_intersection", &[])), bits(rows.len()));
    let threshold = |counts| base("filter_threshold_union", &[("min_peers", &text), ("counts", counts)]);
    prop_assert_eq!(opened(&threshold("no")), bits(least));
    let with_counts: Vec<u128> = plain.iter().map(|c| if *c >= least { *c as u128 } else { 0 }).collect();
    prop_assert_eq!(opened(&threshold("yes")), with_counts);
    let of = |of| base("filter_cardinality", &[("of", of)]);
    prop_assert_eq!(opened(&of("union")), vec![bits(1).iter().sum::<u128>()]);
    prop_assert_eq!(opened(&of("intersection")), vec![bits(rows.len()).iter().sum::<u128>()]);
    let many = base("filter_cardinality", &[("of", "threshold"), ("min_peers", &text)]);
    prop_assert_eq!(opened(&many), vec![bits(least).iter().sum::<u128>()]);
    Ok(())
}

/// What is learnt of these sets of keys and weights.
fn weighted_sets_are_right(model: SecurityModel, rows: &[Vec<u64>], least: usize, weight: u64) -> TestCaseResult {
    let (text, least_weight, heaviest) = (least.to_string(), weight.to_string(), HEAVIEST.to_string());
    let parameters = [("min_peers", &*text), ("min_weight", &*least_weight), ("max_weight", &*heaviest)];
    let world = group(rows, "filter_weighted_intersection", 2, &parameters).in_model(model);
    let (mut peers, mut weights) = (vec![0u128; POSITIONS], vec![0u128; POSITIONS]);
    for row in rows {
        let mut largest = BTreeMap::new();
        for record in row.chunks_exact(2).filter(|record| record[1] > 0) {
            for bit in filter().bits_of(record[0]) {
                let most: &mut u64 = largest.entry(bit).or_default();
                *most = record[1].max(*most);
            }
        }
        for (bit, most) in largest {
            peers[bit] += 1;
            weights[bit] += u128::from(most);
        }
    }
    for bit in 0..POSITIONS {
        if peers[bit] < least as u128 || weights[bit] < u128::from(weight) {
            (peers[bit], weights[bit]) = (0, 0);
        }
    }
    prop_assert_eq!(opened(&world), [&peers[..], &weights].concat());
    let learning = |learn: &str| {
        let mut world = world.clone().fresh();
        world.request.parameters.insert("learn".to_owned(), learn.to_owned());
        opened(&world)
    };
    prop_assert_eq!(learning("events"), peers.iter().map(|n| u128::from(*n > 0)).collect::<Vec<_>>());
    prop_assert_eq!(learning("counts"), peers);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn p31_filters_of_sets(n in parties(), least in 1usize..8, seed: u64) {
        sets_are_right(SecurityModel::SemiHonest, &keys(n, false, seed), least.min(n))?;
    }

    #[test]
    fn p31_filters_of_weighted_sets(n in parties(), least in 1usize..4, weight in 0u64..12, seed: u64) {
        weighted_sets_are_right(SecurityModel::SemiHonest, &keys(n, true, seed), least, weight)?;
    }
}

/// The same where compute peers may cheat, at the borders and random, each with another least number of peers.
fn filters_are_right(model: SecurityModel, n: usize) {
    for (at, rows) in borders(n, false).iter().enumerate() {
        sets_are_right(model, rows, 1 + (at + 1) % n).unwrap_or_else(|why| panic!("{why}; n = {n}: {rows:?}"));
    }
}

#[test]
fn p31_malicious_filters_equal_plain_ones() {
    [3, 4, 5, 7].into_iter().for_each(|n| filters_are_right(SecurityModel::Malicious, n));
}

#[test]
fn p31_guaranteed_filters_equal_plain_ones() {
    [5, 6, 7].into_iter().for_each(|n| filters_are_right(SecurityModel::Guaranteed, n));
}

#[test]
fn p31_guaranteed_filters_equal_plain_ones_of_nine() {
    filters_are_right(SecurityModel::Guaranteed, 9);
}

#[test]
fn p31_malicious_weighted_filters_equal_plain_ones() {
    for n in [3, 4, 5, 7] {
        for (at, rows) in borders(n, true).iter().enumerate() {
            let least = 1 + (at + 1) % n;
            let weight = [0, 1, HEAVIEST * n as u64][at % 3];
            weighted_sets_are_right(SecurityModel::Malicious, rows, least, weight)
                .unwrap_or_else(|why| panic!("{why}; n = {n}, {least} peers, weight {weight}: {rows:?}"));
        }
    }
}

/// What recipients read of a filter: no key is missed, and the stated rate is that of the bits that are set.
#[test]
fn p31_keys_are_found_and_the_rate_is_stated() {
    let keys: Vec<String> = (0..30).map(|key: u64| key.to_string()).collect();
    let list = keys.join(",");
    for model in [SecurityModel::SemiHonest, SecurityModel::Malicious] {
        let mut world = base(4, "filter_threshold_union", &[("min_peers", "2"), ("counts", "yes"), ("keys", &list)], 8);
        world.request.model = model;
        let found = statistics(&world);
        let plain = counts(&world);
        for key in 0..30u64 {
            let holders = rows(&world).iter().filter(|row| row.contains(&key)).count();
            let seen =
                filter().bits_of(key).map(|bit| if plain[bit] < 2 { 0 } else { plain[bit] }).min().expect("bits");
            assert_eq!(found[&format!("peers({key})")], seen as f64, "{key}");
            assert!(holders < 2 || seen >= holders, "{key} is missed");
        }
        let set = plain.iter().filter(|count| **count >= 2).count();
        assert_eq!(found["bits_set"], set as f64);
        assert_eq!(found["false_positive_rate"], (set as f64 / POSITIONS as f64).powi(2));
        assert!(found["keys_estimated"] > 0.0);
    }
    // Before anything is known: all peers give as many keys as they may.
    let plan = base(3, "filter_union", &[], 1).plan();
    let rate = plan.false_positives().expect("approximate");
    assert_eq!(rate, filter().false_positives_of(24));
    assert!(plan.forecast().notes.iter().any(|note| note.contains(&format!("{rate:.2e}"))));
    assert_eq!(plan.items(), POSITIONS);
}

/// SEPIA's argument rules (A.6), and those of filters.
#[test]
fn p31_filters_that_cannot_be_right_are_refused() {
    let refusal = |name: &str, parameters: &[(&str, &str)], items: usize| {
        let mut world = world(3, name, items, parameters, 1);
        world.request.max_element = 1000;
        Plan::build(world.request).expect_err("refused")
    };
    let missing = |name, parameter| PlanError::MissingParameter { name, parameter };
    let bad = |name, parameter: &str| PlanError::BadParameter { name, parameter: parameter.to_owned() };
    assert_eq!(refusal("filter_union", &[], 1), missing("filter_union", "positions"));
    assert_eq!(refusal("filter_union", &[("positions", "1")], 1), bad("filter_union", "positions"));
    assert_eq!(refusal("filter_union", &[("positions", "9"), ("hashes", "33")], 1), bad("filter_union", "hashes"));
    assert_eq!(refusal("filter_union", &[("positions", "9"), ("keys", "a")], 1), bad("filter_union", "keys"));
    let (name, positions) = ("filter_threshold_union", ("positions", "100"));
    assert_eq!(refusal(name, &[positions], 1), missing(name, "min_peers"));
    assert_eq!(refusal(name, &[positions, ("min_peers", "4")], 1), bad(name, "min_peers"));
    assert_eq!(refusal(name, &[positions, ("min_peers", "0")], 1), bad(name, "min_peers"));
    let columns = PlanError::BadColumns { name: "filter_union", columns: 2, least: 1, most: 1 };
    assert_eq!(refusal("filter_union", &[positions], 2), columns);
    let name = "filter_weighted_intersection";
    assert_eq!(refusal(name, &[positions, ("min_peers", "2"), ("max_weight", "1001")], 2), bad(name, "max_weight"));
    let columns = PlanError::BadColumns { name, columns: 1, least: 2, most: 2 };
    assert_eq!(refusal(name, &[positions, ("min_peers", "2")], 1), columns);
}
