//! Functions of order equal a plain computation, through whole sessions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tacit_engine::simulator::SplitMix;
use tacit_engine::{NoResult, Plan, PlanError, SecurityModel};

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
pub(crate) fn column(world: &World, column: usize) -> Vec<u64> {
    let columns = world.request.items;
    let rows = world.inputs.iter().flatten();
    let mut all: Vec<u64> = rows.flat_map(|row| row.chunks(columns).map(|record| record[column])).collect();
    all.sort_unstable();
    all
}

/// As numpy does it: `level` in hundredths.
pub(crate) fn quantile(sorted: &[u64], level: u64) -> f64 {
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

/// What is read off sorted columns.
const MIDDLES: [(&str, &[(&str, &str)]); 5] =
    [("min", &[]), ("max", &[]), ("range", &[]), ("median", &[]), ("quantile", &[("level", "0.95")])];

fn middle_is_right(world: &World) -> TestCaseResult {
    let (name, found) = (world.request.aggregator.as_str(), result(world));
    let expected = |sorted: &[u64]| match name {
        "min" => sorted[0] as f64,
        "max" => sorted[sorted.len() - 1] as f64,
        "range" => (sorted[sorted.len() - 1] - sorted[0]) as f64,
        "median" => quantile(sorted, 50),
        _ => quantile(sorted, 95),
    };
    let columns: Vec<Vec<u64>> = (0..world.request.items).map(|c| column(world, c)).collect();
    if columns[0].is_empty() {
        prop_assert_eq!(found, Err(NoResult::NoRecords));
        return Ok(());
    }
    let found: Vec<f64> = found.expect("a result").into_iter().map(|s| s.value).collect();
    prop_assert_eq!(found, columns.iter().map(|c| expected(c)).collect::<Vec<_>>(), "{}", name);
    Ok(())
}

fn sorted_is_right(world: &World) -> TestCaseResult {
    let found: Vec<f64> = result(world).expect("a result").into_iter().map(|s| s.value).collect();
    prop_assert_eq!(found, column(world, 0).into_iter().map(|v| v as f64).collect::<Vec<_>>());
    Ok(())
}

fn top_is_right(world: &World, k: usize) -> TestCaseResult {
    let sums = world.sum_of(&world.request.inputs);
    let mut order: Vec<usize> = (0..sums.len()).filter(|item| sums[*item] > 0).collect();
    order.sort_by_key(|item| (std::cmp::Reverse(sums[*item]), *item));
    let expected: Vec<(String, f64)> =
        order.iter().take(k).map(|item| (format!("sum({})", item + 1), sums[*item] as f64)).collect();
    let found: Vec<(String, f64)> = result(world).expect("a result").into_iter().map(|s| (s.name, s.value)).collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

/// The largest sums of keys, by a map.
pub(crate) fn top_of(world: &World, k: usize) -> Vec<(String, f64)> {
    let mut sums = BTreeMap::<u64, u64>::new();
    for pair in world.inputs.iter().flatten().flat_map(|row| row.chunks(2)) {
        *sums.entry(pair[0]).or_default() += pair[1];
    }
    let mut order: Vec<(u64, u64)> = sums.into_iter().filter(|(_, sum)| *sum > 0).collect();
    order.sort_by_key(|(key, sum)| (std::cmp::Reverse(*sum), *key));
    order.into_iter().take(k).map(|(key, sum)| (format!("sum({key})"), sum as f64)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn p32_smallest_largest_and_middle(n in parties(), columns in 1usize..3, most in 1u64..4, max in largest(), seed: u64) {
        for (name, parameters) in MIDDLES {
            let world = with_records(world(n, name, columns, most, parameters, seed), most, max);
            middle_is_right(&world)?;
        }
    }

    #[test]
    fn p32_sort(n in parties(), most in 1u64..5, max in largest(), seed: u64) {
        sorted_is_right(&with_records(world(n, "sort", 1, most, &[], seed), most, max))?;
    }

    #[test]
    fn p30_top_k(n in parties(), items in 1usize..30, k in 1usize..9, max in largest(), seed: u64) {
        top_is_right(&evaluations::world(n, "top_k", items, &[("k", &k.to_string())], seed).with_max(max), k)?;
    }

    /// Keys that nobody listed before: equal to adding up in a map, whatever is empty, repeated or at a border.
    #[test]
    fn p30_top_keys(n in parties(), most in 1u64..7, k in 1usize..9, wide: bool, seed: u64) {
        let parameters = [("k", k.to_string()), ("max_weight", "900".to_owned())];
        let parameters = parameters.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut world = world(n, "top_keys", 2, most, &parameters, seed);
        world.request.max_element = if wide { u64::from(u32::MAX) } else { 1000 };
        let mut random = SplitMix::new(seed);
        let keys: Vec<u64> = [0, 1, 2, 900, world.request.max_element].into_iter().chain((0..4).map(|_| random.below(1000))).collect();
        for row in world.inputs.iter_mut().flatten() {
            let pair = |_| [keys[random.below(9) as usize], [0, 1, 2, 900][random.below(4) as usize]];
            *row = (0..[0, most / 2, most][seed as usize % 3]).flat_map(pair).collect();
        }
        let expected = top_of(&world, k);
        let model = if n < 7 { SecurityModel::Malicious } else { SecurityModel::SemiHonest };
        for model in [SecurityModel::SemiHonest, model] {
            let found = result(&world.clone().in_model(model));
            let found: Vec<(String, f64)> = found.expect("a result").into_iter().map(|s| (s.name, s.value)).collect();
            prop_assert_eq!(&found, &expected, "{:?}", model);
        }
    }

    /// How many keys so many have, whoever repeats its own.
    #[test]
    fn p31_key_cardinality(n in parties(), most in 1u64..7, least in 1usize..8, wide: bool, seed: u64) {
        let least = least.min(n).to_string();
        let max = if wide { u64::MAX } else { 9 };
        for (parameters, wanted) in [
            (&[][..], 1), (&[("of", "intersection")], n),
            (&[("of", "threshold"), ("min_peers", &*least)], least.parse().expect("a number")),
        ] {
            let mut world = world(n, "key_cardinality", 1, most, parameters, seed);
            world.request.max_element = max;
            let mut random = SplitMix::new(seed);
            for row in world.inputs.iter_mut().flatten() {
                let key = |random: &mut SplitMix| [0, 1, 2, max - 1, max][random.below(5) as usize];
                *row = (0..[0, most / 2, most, most][random.below(4) as usize]).map(|_| key(&mut random)).collect();
            }
            let mut holders = BTreeMap::<u64, usize>::new();
            for row in world.inputs.iter().flatten() {
                let own: std::collections::BTreeSet<u64> = row.iter().copied().collect();
                own.into_iter().for_each(|key| *holders.entry(key).or_default() += 1);
            }
            let expected = holders.values().filter(|count| **count >= wanted).count() as f64;
            for model in [SecurityModel::SemiHonest, SecurityModel::Malicious] {
                let found = result(&world.clone().in_model(model)).expect("a result");
                prop_assert_eq!(found.len(), 1);
                prop_assert_eq!((found[0].name.as_str(), found[0].value), ("keys", expected), "{:?}", parameters);
            }
        }
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

    /// What a report counts depends on whose it is; little weights go another way than large ones.
    #[test]
    fn p31_event_correlation_with_weights_of_peers(
        n in parties(), items in 1usize..9, scale in prop_oneof![Just(1u64), Just(200_000)], seed: u64, absent: bool,
    ) {
        for (model, min_peers, min_weight) in [
            (SecurityModel::SemiHonest, 0, 0), (SecurityModel::SemiHonest, 2, 9), (SecurityModel::Malicious, 1, 0),
        ] {
            let mut random = SplitMix::new(seed);
            let mut world = World::decentralised(n, (n - 1) / 2, items, seed).with_max(7).proven(model).proceed(2);
            world.request.aggregator = "event_correlation".to_owned();
            if absent {
                world.inputs[1] = None;
            }
            // The last is not named, and weighs 1.
            let weights: Vec<u64> = (0..n as u64 - 1).map(|_| scale * random.below(6)).chain([1]).collect();
            // One alone is not enough, unless others are asked for.
            let (most, all) = (weights.iter().copied().max().expect("peers"), weights.iter().sum::<u64>());
            let above = if min_peers > 1 { 0 } else { most };
            if above == all {
                continue;
            }
            let least = 1 + above + random.below(all - above);
            let list: Vec<String> = weights[..n - 1].iter().enumerate().map(|(at, w)| format!("{at}={w}")).collect();
            let mut set = |name: &str, value: String| world.request.parameters.insert(name.to_owned(), value);
            _ = set("peer_weights", list.join(","));
            _ = set("min_peer_weight", least.to_string());
            _ = set("min_weight", min_weight.to_string());
            if min_peers > 0 {
                _ = set("min_peers", min_peers.to_string());
            }
            let mut expected = Vec::new();
            for item in 0..items {
                let reports = world.inputs.iter().zip(&weights).filter_map(|(row, w)| Some((row.as_ref()?[item], w)));
                let reports: Vec<(u64, &u64)> = reports.filter(|(report, _)| *report > 0).collect();
                let weight: u64 = reports.iter().map(|(report, _)| report).sum();
                let counted: u64 = reports.iter().map(|(_, weight)| **weight).sum();
                if reports.len() >= min_peers.max(1) && weight >= min_weight && counted >= least {
                    expected.push((format!("peers({})", item + 1), reports.len() as f64));
                    expected.push((format!("weight({})", item + 1), weight as f64));
                }
            }
            let found: Vec<(String, f64)> = result(&world).expect("a result").into_iter().map(|s| (s.name, s.value)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

/// A world as it is, and with each of these inputs.
pub(crate) fn at_borders(world: &World, inputs: &[Vec<Vec<u64>>]) -> Vec<World> {
    let with =
        |rows: &Vec<Vec<u64>>| World { inputs: rows.iter().cloned().map(Some).collect(), ..world.clone().fresh() };
    [world.clone()].into_iter().chain(inputs.iter().map(with)).collect()
}

/// Where compute peers may cheat: nobody has records, one has, all numbers are the largest or the smallest, and random ones.
fn malicious_orders_are_right(n: usize, most: u64, maxima: &[u64]) {
    for max in maxima.iter().copied() {
        let (full, nobody) = (vec![max; 2 * most as usize], vec![Vec::new(); n]);
        let mut one = nobody.clone();
        one[n - 1] = vec![max, 0];
        let rows = [nobody, one, vec![full; n], vec![vec![0; 2 * most as usize]; n]];
        for (name, parameters) in MIDDLES {
            let base = world(n, name, 2, most, parameters, max).in_model(SecurityModel::Malicious);
            let base = with_records(base, most, max);
            for world in at_borders(&base, &rows) {
                middle_is_right(&world).unwrap_or_else(|why| panic!("{why}; n = {n}: {:?}", world.inputs));
            }
        }
        let base = world(n, "sort", 1, 2 * most, &[], max).in_model(SecurityModel::Malicious);
        let base = with_records(base, 2 * most, max);
        for world in at_borders(&base, &rows) {
            sorted_is_right(&world).unwrap_or_else(|why| panic!("{why}; n = {n}: {:?}", world.inputs));
        }
        let base =
            evaluations::world(n, "top_k", 4, &[("k", "2")], max).in_model(SecurityModel::Malicious).with_max(max);
        let rows = [vec![vec![0; 4]; n], vec![vec![max; 4]; n]];
        for world in at_borders(&base, &rows) {
            top_is_right(&world, 2).unwrap_or_else(|why| panic!("{why}; n = {n}: {:?}", world.inputs));
        }
    }
}

#[test]
fn p32_malicious_orders_equal_plain_ones() {
    [3, 4].into_iter().for_each(|n| malicious_orders_are_right(n, 2, &[0, 1, 1000]));
}

#[test]
fn p32_malicious_orders_equal_plain_ones_of_five() {
    malicious_orders_are_right(5, 2, &[0, 1, 1000]);
}

/// One record of each, all numbers equal or not.
#[test]
fn p32_malicious_orders_equal_plain_ones_of_seven() {
    malicious_orders_are_right(7, 1, &[1000]);
}

/// Keys that several have, that one has, and that nobody has; of equal sums the smaller key.
#[test]
fn p30_malicious_top_keys_equal_plain_ones_of_seven() {
    let parameters = [("k", "3"), ("max_weight", "900")];
    let base = world(7, "top_keys", 2, 1, &parameters, 5).with_max(1000).in_model(SecurityModel::Malicious);
    let pairs = |pairs: [[u64; 2]; 7]| pairs.map(|pair| pair.to_vec()).to_vec();
    let mixed = pairs([[7, 900], [0, 1], [7, 1], [1000, 450], [1000, 450], [5, 0], [3, 900]]);
    for rows in [mixed, pairs([[1000, 900]; 7]), pairs([[0, 0]; 7]), vec![Vec::new(); 7]] {
        let world = World { inputs: rows.into_iter().map(Some).collect(), ..base.clone().fresh() };
        let found = result(&world).expect("a result").into_iter().map(|s| (s.name, s.value));
        assert_eq!(found.collect::<Vec<_>>(), top_of(&world, 3), "{:?}", world.inputs);
    }
}

#[test]
fn p31_weights_of_peers_that_cannot_be_right_are_refused() {
    let name = "event_correlation";
    let refusal = |parameters: &[(&str, &str)]| {
        Plan::build(evaluations::world(3, name, 2, parameters, 1).request).expect_err("refused")
    };
    let bad = |parameter: &str| PlanError::BadParameter { name, parameter: parameter.to_owned() };
    let missing = |parameter| PlanError::MissingParameter { name, parameter };
    assert_eq!(refusal(&[("peer_weights", "0=2")]), missing("min_peer_weight"));
    assert_eq!(refusal(&[]), missing("min_peers"));
    for stranger in ["3", "alpha", "-1"] {
        let weights = format!("0=2,{stranger}=2");
        let unknown = PlanError::UnknownPeer { parameter: "peer_weights", peer: stranger.to_owned() };
        assert_eq!(refusal(&[("peer_weights", &weights), ("min_peer_weight", "1")]), unknown);
    }
    for wrong in ["", "0", "0=x", "0=1000001", "0=18446744073709551616", "0=1,0=2"] {
        assert_eq!(refusal(&[("peer_weights", wrong), ("min_peer_weight", "1")]), bad("peer_weights"), "{wrong}");
    }
    for wrong in ["0", "-1", "18446744073709551616", "much"] {
        assert_eq!(refusal(&[("min_peer_weight", wrong)]), bad("min_peer_weight"), "{wrong}");
    }
    let light = |total, least| PlanError::PeersWeighTooLittle { total, least };
    assert_eq!(refusal(&[("min_peer_weight", "4")]), light(3, 4));
    assert_eq!(refusal(&[("peer_weights", "0=0,1=0,2=5"), ("min_peer_weight", "6")]), light(5, 6));
    assert_eq!(
        refusal(&[("peer_weights", "0=1000000"), ("min_peer_weight", "18446744073709551615")]),
        light(1_000_002, u64::MAX)
    );
    let alone = |weight, least| PlanError::OnePeerWeighsEnough { weight, least };
    assert_eq!(refusal(&[("min_peer_weight", "1")]), alone(1, 1));
    assert_eq!(refusal(&[("peer_weights", "0=0,1=0,2=5"), ("min_peer_weight", "5")]), alone(5, 5));
    assert_eq!(refusal(&[("peer_weights", "2=5"), ("min_peer_weight", "3"), ("min_peers", "1")]), alone(5, 3));
    // With more compute peers than can compare, weights that a polynomial is enough for.
    let many = |weights: &str, least: &str| {
        let parameters = [("peer_weights", weights), ("min_peer_weight", least)];
        Plan::build(evaluations::world(13, name, 2, &parameters, 1).request).err()
    };
    assert_eq!(many("0=4,1=4", "5"), None);
    assert_eq!(many("0=40", "41"), Some(PlanError::TooManyToCompare { count: 13, name }));
    let beside = [("peer_weights", "0=5"), ("min_peer_weight", "5"), ("min_peers", "2")];
    assert_eq!(Plan::build(evaluations::world(3, name, 2, &beside, 1).request).err(), None);
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

/// Keys as addresses, an absent peer, and what cannot be right.
#[test]
fn p30_top_keys_of_addresses() {
    let parameters = [("keys_as", "ipv4"), ("k", "2")];
    let mut addresses = world(3, "top_keys", 2, 2, &parameters, 1).proceed(2);
    addresses.request.max_element = u64::from(u32::MAX);
    let [a, b, c] = [[192, 0, 2, 1], [198, 51, 100, 7], [255, 255, 255, 255]].map(|a| u64::from(u32::from_be_bytes(a)));
    addresses.inputs = vec![Some(vec![a, 500, b, 499]), None, Some(vec![c, 999, b, 500])];
    let found: Vec<(String, f64)> =
        result(&addresses).expect("a result").into_iter().map(|s| (s.name, s.value)).collect();
    // Of equal sums the smaller key.
    assert_eq!(found, [("sum(198.51.100.7)".to_owned(), 999.0), ("sum(255.255.255.255)".to_owned(), 999.0)]);

    let refusal = |columns, max, parameters: &[(&str, &str)]| {
        let mut world = evaluations::world(3, "top_keys", columns, parameters, 1);
        world.request.max_element = max;
        Plan::build(world.request).expect_err("refused")
    };
    let bad = |parameter: &str| PlanError::BadParameter { name: "top_keys", parameter: parameter.to_owned() };
    assert_eq!(refusal(1, 9, &[]), PlanError::BadColumns { name: "top_keys", columns: 1, least: 2, most: 2 });
    assert_eq!(refusal(2, 1 << 32, &[("keys_as", "ipv4")]), bad("keys_as"));
    assert_eq!(refusal(2, 9, &[("keys_as", "colour")]), bad("keys_as"));
    assert_eq!(refusal(2, 9, &[("max_weight", "10")]), bad("max_weight"));
    assert_eq!(refusal(2, 9, &[("k", "0")]), bad("k"));
    let places = PlanError::TooManyItems { items: 120_000, limit: 100_000 };
    assert_eq!(refusal(2, 9, &[("max_records", "40000")]), places);
    // 64 bits of keys leave 60 for sums.
    assert_eq!(
        Plan::build(world(3, "top_keys", 2, 100, &[("max_weight", "4294967295")], 1).with_max(u64::MAX).request).err(),
        None
    );
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
