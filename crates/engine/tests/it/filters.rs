//! Set operations on Bloom filters equal the same on plain filters, through whole sessions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tacit_engine::aggregate::Filter;
use tacit_engine::simulator::SplitMix;
use tacit_engine::{Plan, PlanError, SecurityModel};

use crate::evaluations::{opened, parties, rows, statistics, world};
use crate::world::World;

const POSITIONS: usize = 61;

/// Rows of up to eight keys below 30, or of keys and weights up to 9.
fn with_keys(mut world: World, weighted: bool, seed: u64) -> World {
    world.request.max_element = 29;
    let random = &mut SplitMix::new(seed);
    for row in world.inputs.iter_mut().flatten() {
        row.clear();
        for _ in 0..random.below(9) {
            row.push(random.below(30));
            if weighted {
                row.push(random.below(10));
            }
        }
    }
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
    let text = POSITIONS.to_string();
    let parameters = [&[("positions", text.as_str()), ("hashes", "2"), ("max_records", "8")], more].concat();
    with_keys(world(n, name, 1, &parameters, seed), false, seed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn p31_filters_of_sets(n in parties(), least in 1usize..8, seed: u64) {
        let least = least.min(n);
        let text = least.to_string();
        let plain = counts(&base(n, "filter_union", &[], seed));
        let bits = |k: usize| plain.iter().map(|c| u128::from(*c >= k)).collect::<Vec<_>>();
        prop_assert_eq!(opened(&base(n, "filter_union", &[], seed)), bits(1));
        prop_assert_eq!(opened(&base(n, "filter_intersection", &[], seed)), bits(n));
        let threshold = |counts| base(n, "filter_threshold_union", &[("min_peers", &text), ("counts", counts)], seed);
        prop_assert_eq!(opened(&threshold("no")), bits(least));
        let with_counts: Vec<u128> = plain.iter().map(|c| if *c >= least { *c as u128 } else { 0 }).collect();
        prop_assert_eq!(opened(&threshold("yes")), with_counts);
        let of = |of| base(n, "filter_cardinality", &[("of", of)], seed);
        prop_assert_eq!(opened(&of("union")), vec![bits(1).iter().sum::<u128>()]);
        prop_assert_eq!(opened(&of("intersection")), vec![bits(n).iter().sum::<u128>()]);
        let many = base(n, "filter_cardinality", &[("of", "threshold"), ("min_peers", &text)], seed);
        prop_assert_eq!(opened(&many), vec![bits(least).iter().sum::<u128>()]);
    }

    #[test]
    fn p31_filters_of_weighted_sets(n in parties(), least in 1usize..4, weight in 0u64..12, seed: u64) {
        let (text, least_weight) = (least.to_string(), weight.to_string());
        let positions = POSITIONS.to_string();
        let parameters = [
            ("positions", positions.as_str()), ("hashes", "2"), ("max_records", "8"), ("min_peers", &text),
            ("min_weight", &least_weight), ("max_weight", "9"),
        ];
        let world = with_keys(world(n, "filter_weighted_intersection", 2, &parameters, seed), true, seed);
        let (mut peers, mut weights) = (vec![0u128; POSITIONS], vec![0u128; POSITIONS]);
        for row in rows(&world) {
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
