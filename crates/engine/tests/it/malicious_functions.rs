//! Functions that multiply shares, in the model `malicious`: right, and never wrong.

use std::cell::Cell;
use std::rc::Rc;

use tacit_engine::{Plan, PlanError, SecurityModel, SessionError};

use crate::world::{Ends, FREEZE, RESULT, World, change_one, error, kinds, outcome};

/// Everybody gives, computes and receives.
fn world(n: usize, t: usize, (aggregator, parameters): Function, items: usize, seed: u64) -> World {
    let mut world = World::decentralised(n, t, items, seed).with_max(5).proven(SecurityModel::SemiHonest);
    world.request.aggregator = aggregator.to_owned();
    world.request.parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    world
}

type Function = (&'static str, &'static [(&'static str, &'static str)]);

const FUNCTIONS: [Function; 18] = [
    ("product", &[]),
    ("entropy", &[("q", "3")]),
    ("set_union", &[]),
    ("set_intersection", &[]),
    ("threshold_union", &[("min_peers", "2"), ("counts", "yes")]),
    ("set_cardinality", &[]),
    ("distinct_count", &[]),
    ("event_correlation", &[("min_peers", "2"), ("min_weight", "6")]),
    ("min", &[]),
    ("max", &[]),
    ("range", &[]),
    ("median", &[]),
    ("sort", &[]),
    ("top_k", &[("k", "2")]),
    ("top_keys", &[("k", "2"), ("max_records", "1")]),
    ("key_cardinality", &[("max_records", "3")]),
    ("key_cardinality", &[("of", "threshold"), ("min_peers", "2"), ("max_records", "2")]),
    // So little noise that some of it would be astonishing: e^-20.
    ("noisy_count", &[("epsilon", "20"), ("max_records", "1")]),
];

fn malicious(world: &World) -> World {
    let mut world = world.clone().fresh();
    world.request.model = SecurityModel::Malicious;
    world
}

fn values(ends: &Ends) -> Vec<u128> {
    let mut all = ends.iter().map(|end| {
        let outcome = outcome(end).unwrap_or_else(|| panic!("{:?}", error(end)));
        outcome.values.clone().expect("a recipient")
    });
    let first = all.next().expect("recipients");
    assert!(all.all(|other| other == first));
    first
}

#[test]
fn malicious_functions_equal_semi_honest_ones() {
    for (n, t) in [(3, 1), (4, 1), (5, 2), (6, 2), (7, 2), (7, 3)] {
        for (i, function) in FUNCTIONS.into_iter().enumerate() {
            let items = match function.0 {
                "distinct_count" | "sort" | "key_cardinality" => 1,
                "top_keys" => 2,
                _ => 3,
            };
            let world = world(n, t, function, items, 20 + i as u64);
            assert_eq!(values(&malicious(&world).run(|_| {})), values(&world.run(|_| {})), "{function:?} n = {n}");
        }
    }
}

/// One compute peer changes any one of its messages after the freeze: no wrong result, nobody honest accused.
#[test]
fn rule5_no_single_change_makes_a_wrong_function() {
    for (n, t) in [(3, 1), (4, 1)] {
        let world = malicious(&world(n, t, ("product", &[]), 1, 3));
        let expected: u128 = world.inputs.iter().flatten().map(|row| u128::from(row[0])).product();
        let (ends, wire) = world.clone().fresh().tapped();
        assert_eq!(values(&ends), [expected]);
        let sent = kinds(&wire, 0);
        let frozen = sent.iter().rposition(|kind| *kind == FREEZE).expect("a signature");
        for target in frozen + 1..sent.len() {
            for change in 0..4 {
                let ends = world.clone().fresh().run(|simulator| {
                    change_one(simulator, 0, target, move |mut message| {
                        let length = message.len();
                        match change {
                            0 => return None,
                            1 => message[length - 8] ^= 1,
                            2 => message[5] ^= 1,
                            _ => message.truncate(length / 2),
                        }
                        Some(message)
                    });
                });
                for end in &ends[1..] {
                    let right = outcome(end).is_none_or(|outcome| outcome.values == Some(vec![expected]));
                    assert!(right, "n = {n}, message {target}, change {change}");
                    if let Some(SessionError::PeerMisbehaved { member, .. }) = error(end) {
                        assert_eq!(*member, 0, "n = {n}, message {target}, change {change}");
                    }
                    let faults = outcome(end).map(|outcome| outcome.faults.clone()).unwrap_or_default();
                    assert!(faults.iter().all(|fault| fault.member == 0));
                }
            }
        }
    }
}

/// The first product's error ends the session before any share of a result is sent.
#[test]
fn rule6_no_share_of_a_function_leaves_before_it_is_verified() {
    const RESHARE: u8 = 2;
    for (n, t) in [(3, 1), (5, 2)] {
        for cheater in 0..n {
            let mut world = World::delegated(3, n, t, 2, 4).with_max(5).proven(SecurityModel::Malicious);
            world.request.aggregator = "product".to_owned();
            let results = Rc::new(Cell::new(0));
            let ends = world.run(|simulator| {
                for member in 0..n {
                    let results = Rc::clone(&results);
                    let mut first = member == cheater;
                    simulator.rewrite(member, move |to, mut message| {
                        if message[0] == RESHARE && std::mem::take(&mut first) {
                            message[5] ^= 1;
                        }
                        // Compute peers open to each other under the same tag.
                        let result = message[0] == RESULT && to >= n && member != cheater;
                        results.set(results.get() + usize::from(result));
                        Some(message)
                    });
                }
            });
            assert_eq!(results.get(), 0, "n = {n}");
            let honest = || ends[..n].iter().enumerate().filter(|(me, _)| *me != cheater);
            assert!(honest().all(|(_, end)| matches!(
                error(end),
                Some(SessionError::WrongComputation | SessionError::LostDuringEvaluation { .. })
            )));
            assert!(honest().any(|(_, end)| error(end) == Some(&SessionError::WrongComputation)));
            assert!(ends[n..].iter().all(|end| outcome(end).is_none()));
        }
    }
}

#[test]
fn rule5_functions_that_are_not_verified_are_refused() {
    for (name, model) in [("top_k", SecurityModel::Guaranteed), ("median", SecurityModel::Guaranteed)] {
        let mut world = World::decentralised(4, 1, 2, 1).proven(model).proceed(2);
        world.request.aggregator = name.to_owned();
        assert_eq!(Plan::build(world.request).err(), Some(PlanError::ModelNotOffered { name, model }));
    }
}

/// The planner's bytes are those that are sent.
#[test]
fn forecasts_of_malicious_functions_are_what_is_sent() {
    for (n, t) in [(3, 1), (4, 1), (5, 2), (7, 3), (8, 3)] {
        for (function, items) in [(FUNCTIONS[0], 3000), (FUNCTIONS[1], 3000), (FUNCTIONS[8], 40), (FUNCTIONS[10], 20)] {
            let world = malicious(&world(n, t, function, items, 2));
            let (found, foreseen) = world.sent_and_foreseen();
            let off = (found - foreseen).abs() / foreseen;
            assert!(off < 0.05, "{function:?}, n = {n}: {found} bytes sent, {foreseen} foreseen");
        }
    }
}

/// An aggregator that is new is offered against cheaters only where somebody said so here, too.
#[test]
fn rule5_what_is_offered_against_cheaters_is_a_closed_list() {
    let offered = |model: SecurityModel| -> Vec<&'static str> {
        let evaluated = |a: &&tacit_engine::aggregate::Aggregator| a.function != tacit_engine::aggregate::Function::Sum;
        let all = tacit_engine::aggregate::registry().iter().filter(evaluated);
        all.filter(|aggregator| aggregator.models.contains(&model)).map(|aggregator| aggregator.name).collect()
    };
    let products = [
        "product",
        "entropy",
        "set_union",
        "set_intersection",
        "threshold_union",
        "set_cardinality",
        "distinct_count",
        "filter_union",
        "filter_intersection",
        "filter_threshold_union",
        "filter_cardinality",
    ];
    let compared = [
        "filter_weighted_intersection",
        "event_correlation",
        "min",
        "max",
        "range",
        "median",
        "quantile",
        "sort",
        "top_k",
        "top_keys",
        "key_cardinality",
        "noisy_sum",
        "noisy_count",
        "noisy_mean",
        "noisy_histogram",
    ];
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(offered(SecurityModel::Guaranteed)), sorted(products.to_vec()));
    assert_eq!(sorted(offered(SecurityModel::Malicious)), sorted([&products[..], &compared[..]].concat()));
}
