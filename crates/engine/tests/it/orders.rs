//! Functions of order equal a plain computation, through whole sessions.

use proptest::prelude::*;
use tacit_engine::simulator::SplitMix;
use tacit_engine::{NoResult, Plan, PlanError};

use crate::evaluations::{self, result};
use crate::world::World;

/// Everybody gives up to `most` records, computes and receives.
fn world(n: usize, aggregator: &str, columns: usize, most: u64, parameters: &[(&str, &str)], seed: u64) -> World {
    let mut world = evaluations::world(n, aggregator, columns, parameters, seed);
    world.request.parameters.insert("max_records".to_owned(), most.to_string());
    world
}

/// Records for everybody, border values and equal ones often.
fn with_records(mut world: World, most: u64, max: u64) -> World {
    let mut random = SplitMix::new(world.seed);
    let columns = world.request.items as u64;
    world.request.max_element = max;
    for row in world.inputs.iter_mut().flatten() {
        let numbers = columns * random.below(most + 1);
        let number = |_| match random.below(4) {
            0 => 0,
            1 => max,
            2 => random.below(max.min(3) + 1),
            _ => random.below(max.saturating_add(1).max(1)),
        };
        *row = (0..numbers).map(number).collect();
    }
    world
}

/// The numbers of a column, ascending.
fn column(world: &World, column: usize) -> Vec<u64> {
    let columns = world.request.items;
    let rows = world.inputs.iter().flatten();
    let mut all: Vec<u64> = rows.flat_map(|row| row.chunks(columns).map(|record| record[column])).collect();
    all.sort_unstable();
    all
}

/// As numpy does it: `level` in hundredths.
fn quantile(sorted: &[u64], level: u64) -> f64 {
    let position = (sorted.len() as u64 - 1) * level;
    let (at, part) = ((position / 100) as usize, position % 100);
    let upper = *sorted.get(at + 1).unwrap_or(&0);
    let numerator = u128::from(sorted[at]) * u128::from(100 - part) + u128::from(upper) * u128::from(part);
    numerator as f64 / 100.0
}

fn parties() -> impl Strategy<Value = usize> {
    prop_oneof![Just(3usize), Just(4), Just(5), Just(7)]
}

/// Of up to 2^53 / 100, so that doubles are exact.
fn largest() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0u64), Just(1), Just(9), Just(65_535), Just(1 << 40)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn p32_smallest_largest_and_middle(n in parties(), columns in 1usize..3, most in 1u64..4, max in largest(), seed: u64) {
        for (name, parameters) in [
            ("min", &[][..]), ("max", &[]), ("range", &[]), ("median", &[]), ("quantile", &[("level", "0.95")]),
        ] {
            let world = with_records(world(n, name, columns, most, parameters, seed), most, max);
            let found = result(&world);
            let expected = |sorted: &[u64]| match name {
                "min" => sorted[0] as f64,
                "max" => sorted[sorted.len() - 1] as f64,
                "range" => (sorted[sorted.len() - 1] - sorted[0]) as f64,
                "median" => quantile(sorted, 50),
                _ => quantile(sorted, 95),
            };
            let columns: Vec<Vec<u64>> = (0..columns).map(|c| column(&world, c)).collect();
            if columns[0].is_empty() {
                prop_assert_eq!(found, Err(NoResult::NoRecords));
                continue;
            }
            let found: Vec<f64> = found.expect("a result").into_iter().map(|s| s.value).collect();
            prop_assert_eq!(found, columns.iter().map(|c| expected(c)).collect::<Vec<_>>(), "{}", name);
        }
    }

    #[test]
    fn p32_sort(n in parties(), most in 1u64..5, max in largest(), seed: u64) {
        let world = with_records(world(n, "sort", 1, most, &[], seed), most, max);
        let found: Vec<f64> = result(&world).expect("a result").into_iter().map(|s| s.value).collect();
        prop_assert_eq!(found, column(&world, 0).into_iter().map(|v| v as f64).collect::<Vec<_>>());
    }

    #[test]
    fn p30_top_k(n in parties(), items in 1usize..30, k in 1usize..9, max in largest(), seed: u64) {
        let mut world = World::decentralised(n, (n - 1) / 2, items, seed).with_max(max);
        world.request.aggregator = "top_k".to_owned();
        world.request.parameters.insert("k".to_owned(), k.to_string());
        let sums = world.sum_of(&(0..n).collect::<Vec<_>>());
        let mut order: Vec<usize> = (0..items).filter(|item| sums[*item] > 0).collect();
        order.sort_by_key(|item| (std::cmp::Reverse(sums[*item]), *item));
        let expected: Vec<(String, f64)> =
            order.iter().take(k).map(|item| (format!("sum({})", item + 1), sums[*item] as f64)).collect();
        let found: Vec<(String, f64)> = result(&world).expect("a result").into_iter().map(|s| (s.name, s.value)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn p31_weighted_event_correlation(n in parties(), items in 1usize..9, min_weight in 0u64..20, seed: u64) {
        let mut world = World::decentralised(n, (n - 1) / 2, items, seed).with_max(7);
        world.request.aggregator = "event_correlation".to_owned();
        world.request.parameters.insert("min_peers".to_owned(), "2".to_owned());
        world.request.parameters.insert("min_weight".to_owned(), min_weight.to_string());
        let mut expected = Vec::new();
        for item in 0..items {
            let weights: Vec<u64> = world.inputs.iter().flatten().map(|row| row[item]).collect();
            let (peers, weight) = (weights.iter().filter(|w| **w > 0).count(), weights.iter().sum::<u64>());
            if peers >= 2 && weight >= min_weight {
                expected.push((format!("peers({})", item + 1), peers as f64));
                expected.push((format!("weight({})", item + 1), weight as f64));
            }
        }
        let found: Vec<(String, f64)> = result(&world).expect("a result").into_iter().map(|s| (s.name, s.value)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn largest_numbers_and_all_numbers_of_peers() {
    for n in [3, 6, 9, 11] {
        for name in ["min", "max", "range"] {
            let mut world = world(n, name, 1, 1, &[], 3).with_max(u64::MAX);
            world.inputs = (0..n as u64).map(|i| Some(vec![u64::MAX - i * 7])).collect();
            let expected = match name {
                "min" => u64::MAX - (n as u64 - 1) * 7,
                "max" => u64::MAX,
                _ => (n as u64 - 1) * 7,
            };
            assert_eq!(result(&world).expect("a result")[0].value, expected as f64, "{name}, n = {n}");
        }
    }
}

#[test]
fn what_cannot_be_ordered_is_refused() {
    let refusal = |n, name: &str, columns, most, parameters: &[(&str, &str)]| {
        Plan::build(world(n, name, columns, most, parameters, 1).request).expect_err("refused")
    };
    assert_eq!(refusal(13, "min", 1, 1, &[]), PlanError::TooManyToCompare { count: 13, name: "min" });
    let missing = PlanError::MissingParameter { name: "quantile", parameter: "level" };
    assert_eq!(refusal(3, "quantile", 1, 1, &[]), missing);
    let bad = PlanError::BadParameter { name: "quantile", parameter: "level".to_owned() };
    assert_eq!(refusal(3, "quantile", 1, 1, &[("level", "1.5")]), bad);
    assert_eq!(refusal(3, "median", 2, 20_000, &[]), PlanError::TooManyItems { items: 120_000, limit: 100_000 });
    let columns = PlanError::BadColumns { name: "sort", columns: 2, least: 1, most: 1 };
    assert_eq!(refusal(3, "sort", 2, 1, &[]), columns);
}

/// What the planner says of rounds and bytes is near what is sent.
#[test]
fn forecasts_of_comparisons() {
    for (n, name) in [3, 4, 5, 7, 11].into_iter().flat_map(|n| ["max", "median"].map(|name| (n, name))) {
        let world = with_records(world(n, name, 40, 2, &[], 2), 2, 60_000);
        let (found, foreseen) = world.sent_and_foreseen();
        assert!((0.8..1.4).contains(&(foreseen / found)), "{name}, n = {n}: {found} bytes sent, {foreseen} foreseen");
    }
}
