//! What is computed on shares equals a plain computation, through whole sessions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tacit_engine::{FieldChoice, NoResult, Plan, PlanError, SecurityModel, SessionError, Sharing, Statistic};

use crate::world::{Ends, World, error, outcome};

/// Everybody gives a row of the same length, computes and receives.
pub(crate) fn world(n: usize, aggregator: &str, items: usize, parameters: &[(&str, &str)], seed: u64) -> World {
    let mut world = World::decentralised(n, (n - 1) / 2, items, seed);
    world.request.aggregator = aggregator.to_owned();
    world.request.parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    world
}

/// What all recipients got, which is the same.
pub(crate) fn opened(world: &World) -> Vec<u128> {
    let ends = world.run(|_| {});
    let mut results = world.request.recipients.iter().map(|member| {
        let outcome = outcome(&ends[*member]).unwrap_or_else(|| panic!("{:?}", error(&ends[*member])));
        (outcome.values.clone().expect("a recipient"), outcome.agreement)
    });
    let first = results.next().expect("recipients");
    assert!(results.all(|other| other == first) && first.1 != [0; 32]);
    first.0
}

/// What recipients make of it.
pub(crate) fn result(world: &World) -> Result<Vec<Statistic>, NoResult> {
    world.plan().statistics(&opened(world)).expect("a statistic")
}

/// The same where there must be one, by name.
pub(crate) fn statistics(world: &World) -> BTreeMap<String, f64> {
    result(world).expect("a result").into_iter().map(|s| (s.name, s.value)).collect()
}

/// The rows of those who gave one.
pub(crate) fn rows(world: &World) -> Vec<&Vec<u64>> {
    world.inputs.iter().flatten().collect()
}

/// Per item, the numbers of all.
pub(crate) fn columns(world: &World) -> impl Iterator<Item = Vec<u64>> + '_ {
    (0..world.request.items).map(|item| rows(world).iter().map(|row| row[item]).collect())
}

/// How many have each item.
pub(crate) fn counts(world: &World) -> Vec<usize> {
    columns(world).map(|column| column.iter().filter(|v| **v > 0).count()).collect()
}

/// How many compute, in tests against plain computations.
pub(crate) fn parties() -> impl Strategy<Value = usize> {
    prop_oneof![Just(3usize), Just(4), Just(5), Just(7)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn p32_products(n in parties(), items in 1usize..6, seed: u64, big: bool) {
        let world = world(n, "product", items, &[], seed).with_max(if big { (1 << (126 / n)) - 1 } else { 3 });
        let expected: Vec<u128> = columns(&world).map(|c| c.iter().map(|v| u128::from(*v)).product()).collect();
        prop_assert_eq!(opened(&world), expected);
    }

    #[test]
    fn p30_entropy(n in parties(), items in 1usize..20, q in 2u32..6, seed: u64) {
        let world = world(n, "entropy", items, &[("q", &q.to_string())], seed).with_max(200);
        let sums: Vec<u128> = columns(&world).map(|c| c.iter().map(|v| u128::from(*v)).sum()).collect();
        let total: u128 = sums.iter().sum();
        let powers: u128 = sums.iter().map(|s| s.pow(q)).sum();
        // Neither item sums nor anything else.
        prop_assert_eq!(opened(&world), vec![total, powers]);
        if total > 0 {
            let shares = sums.iter().map(|s| (*s as f64 / total as f64).powi(q as i32)).sum::<f64>();
            let entropy = (1.0 - shares) / f64::from(q - 1);
            let found = statistics(&world.fresh());
            let name = format!("tsallis({q})");
            prop_assert!((found[&name] - entropy).abs() < 1e-12);
            prop_assert!((found["per_mille"] - entropy * 1000.0).abs() <= 0.5 + 1e-9);
        }
    }

    #[test]
    fn p31_set_operations(n in parties(), items in 1usize..12, least in 1usize..8, seed: u64) {
        let least = least.min(n);
        let text = least.to_string();
        let base = |name: &str, parameters: &[(&str, &str)]| world(n, name, items, parameters, seed).with_max(2);
        let counts = counts(&base("set_union", &[]));
        let bits = |k: usize| counts.iter().map(|c| u128::from(*c >= k)).collect::<Vec<_>>();
        prop_assert_eq!(opened(&base("set_union", &[])), bits(1));
        prop_assert_eq!(opened(&base("set_intersection", &[])), bits(n));
        prop_assert_eq!(opened(&base("threshold_union", &[("min_peers", &text)])), bits(least));
        let with_counts: Vec<u128> = counts.iter().map(|c| if *c >= least { *c as u128 } else { 0 }).collect();
        prop_assert_eq!(opened(&base("threshold_union", &[("min_peers", &text), ("counts", "yes")])), with_counts);
        prop_assert_eq!(opened(&base("set_cardinality", &[])), vec![bits(1).iter().sum::<u128>()]);
        let many = base("set_cardinality", &[("of", "threshold"), ("min_peers", &text)]);
        prop_assert_eq!(opened(&many), vec![bits(least).iter().sum::<u128>()]);
        let both = base("set_cardinality", &[("of", "intersection")]);
        prop_assert_eq!(opened(&both), vec![bits(n).iter().sum::<u128>()]);
    }

    #[test]
    fn p31_distinct_count(n in parties(), seed: u64, max in 0u64..40) {
        let mut world = world(n, "distinct_count", 1, &[("max_records", "9")], seed).with_max(max);
        let random = &mut tacit_engine::simulator::SplitMix::new(seed);
        for row in world.inputs.iter_mut().flatten() {
            *row = (0..random.below(10)).map(|_| random.below(max + 1)).collect();
        }
        let distinct: std::collections::BTreeSet<u64> = rows(&world).into_iter().flatten().copied().collect();
        prop_assert_eq!(statistics(&world)["distinct"], distinct.len() as f64);
    }

    #[test]
    fn p31_event_correlation(n in parties(), items in 1usize..12, least in 1usize..8, seed: u64) {
        let least = least.min(n);
        let world = world(n, "event_correlation", items, &[("min_peers", &least.to_string())], seed).with_max(4);
        let mut expected = BTreeMap::new();
        for (item, (column, count)) in columns(&world).zip(counts(&world)).enumerate() {
            if count >= least {
                expected.insert(format!("peers({})", item + 1), count as f64);
                expected.insert(format!("weight({})", item + 1), column.iter().sum::<u64>() as f64);
            }
        }
        prop_assert_eq!(statistics(&world), expected);
    }

    /// SEPIA's learnWeights and learnCount set to no: what is not asked for is not opened.
    #[test]
    fn p31_event_correlation_opens_no_more_than_is_asked_for(n in parties(), items in 1usize..12, least in 1usize..8, seed: u64) {
        let least = least.min(n);
        for learn in ["events", "counts"] {
            let parameters = [("min_peers", &*least.to_string()), ("learn", learn)];
            let world = world(n, "event_correlation", items, &parameters, seed).with_max(4);
            let found = counts(&world).into_iter().map(|count| if count >= least { count as u128 } else { 0 });
            let expected: Vec<u128> = found.map(|n| if learn == "events" { n.min(1) } else { n }).collect();
            let name = if learn == "events" { "event" } else { "peers" };
            let named = expected.iter().enumerate().filter(|(_, n)| **n > 0);
            let named: BTreeMap<_, _> = named.map(|(item, n)| (format!("{name}({})", item + 1), *n as f64)).collect();
            prop_assert_eq!(statistics(&world), named);
            prop_assert_eq!(opened(&world), expected);
        }
    }
}

#[test]
fn delegated_groups_and_missing_inputs() {
    // Seven give, three compute, two of the seven receive; one gives nothing.
    let mut world = World::delegated(7, 3, 1, 4, 5).with_max(9).proceed(3);
    world.request.aggregator = "product".to_owned();
    world.request.recipients = vec![4, 8];
    world.inputs[6] = None;
    let expected: Vec<u128> = columns(&world).map(|c| c.iter().map(|v| u128::from(*v)).product()).collect();
    let ends = world.run(|_| {});
    for (member, end) in ends.iter().enumerate() {
        let outcome = outcome(end).unwrap_or_else(|| panic!("{member}: {:?}", error(end)));
        assert_eq!(outcome.values, [4, 8].contains(&member).then(|| expected.clone()), "{member}");
    }
    // Everybody who is there has it: the intersection is that of the contributors.
    let mut world = world.fresh();
    world.request.aggregator = "set_intersection".to_owned();
    world.inputs.iter_mut().flatten().for_each(|row| row.fill(1));
    assert_eq!(opened(&world), [1; 4]);
}

#[test]
fn long_vectors_and_all_numbers_of_peers() {
    for n in [3, 6, 8, 11] {
        let world = world(n, "product", 20_000, &[], 3).with_max(5);
        let expected: Vec<u128> = columns(&world).map(|c| c.iter().map(|v| u128::from(*v)).product()).collect();
        assert_eq!(opened(&world), expected, "n = {n}");
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    let refusal = |change: &dyn Fn(&mut World)| {
        let mut world = world(5, "product", 2, &[], 1).with_max(1000);
        change(&mut world);
        Plan::build(world.request).expect_err("refused")
    };
    assert_eq!(refusal(&|w| w.request.max_element = 1 << 26), PlanError::ResultsCouldWrap { name: "product" });
    assert_eq!(refusal(&|w| w.request.max_element = u64::MAX), PlanError::ResultsCouldWrap { name: "product" });
    assert_eq!(refusal(&|w| w.request.sharing = Sharing::Additive), PlanError::SharingNotOffered { name: "product" });
    let model = SecurityModel::Guaranteed;
    let refused = refusal(&|w| (w.request.aggregator, w.request.model) = ("top_k".to_owned(), model));
    assert_eq!(refused, PlanError::ModelNotOffered { name: "top_k", model });
    // Four of five compute peers open a sum, but cannot multiply.
    let few = refusal(&|w| w.request.compute = vec![0, 1, 2, 3]);
    assert_eq!(few, PlanError::TooFewForProducts { left: 4, needed: 5, name: "product" });
    let missing = refusal(&|w| w.request.aggregator = "event_correlation".to_owned());
    assert_eq!(missing, PlanError::MissingParameter { name: "event_correlation", parameter: "min_peers" });
    let above = refusal(&|w| {
        w.request.aggregator = "threshold_union".to_owned();
        _ = w.request.parameters.insert("min_peers".to_owned(), "6".to_owned());
    });
    assert_eq!(above, PlanError::BadParameter { name: "threshold_union", parameter: "min_peers".to_owned() });
    for parameters in [&[("min_peers", "2")][..], &[("of", "intersection"), ("min_peers", "2")]] {
        let refused = Plan::build(world(5, "set_cardinality", 2, parameters, 1).request).err();
        let bad = PlanError::BadParameter { name: "set_cardinality", parameter: "min_peers".to_owned() };
        assert_eq!(refused, Some(bad), "{parameters:?}");
    }
    let least = Plan::build(world(5, "set_cardinality", 2, &[("of", "threshold")], 1).request).err();
    assert_eq!(least, Some(PlanError::MissingParameter { name: "set_cardinality", parameter: "min_peers" }));
    let columns = refusal(&|w| w.request.aggregator = "distinct_count".to_owned());
    assert_eq!(columns, PlanError::BadColumns { name: "distinct_count", columns: 2, least: 1, most: 1 });
    let wide = refusal(&|w| {
        (w.request.aggregator, w.request.items) = ("distinct_count".to_owned(), 1);
        w.request.max_element = 2_000_000;
    });
    assert_eq!(wide, PlanError::TooManyItems { items: 10_000_005, limit: 10_000_000 });
    // The smallest field in which nothing wraps.
    let field = |max| world(5, "product", 1, &[], 1).with_max(max).plan().field();
    assert_eq!((field(4705), field(4706)), (FieldChoice::F61, FieldChoice::F127));
}

/// A lost compute peer ends the session for all, clearly, whenever it goes; nobody gets a wrong number.
#[test]
fn a_loss_during_the_evaluation_ends_the_session() {
    let mut named = 0;
    for crash in 0..40 {
        let mut world = world(5, "product", 3, &[], 7);
        world.request.recipients = vec![1, 2];
        let expected: Vec<u128> = columns(&world).map(|c| c.iter().map(|v| u128::from(*v)).product()).collect();
        let ends: Ends = world.run(|simulator| simulator.crash_after(0, crash));
        for end in &ends[1..] {
            match (outcome(end), error(end)) {
                (Some(outcome), _) => assert!(outcome.values.as_ref().is_none_or(|values| *values == expected)),
                (_, Some(SessionError::LostDuringEvaluation { .. })) => named += 1,
                (_, Some(SessionError::LostBeforeFreeze { .. } | SessionError::NotEnoughShares { .. })) => {}
                (_, other) => panic!("{other:?}"),
            }
        }
    }
    assert!(named > 0);
}

/// Nobody sends anything of the evaluation before all signed the input set (rule 3), and nothing of it goes to
/// members that do not compute (rule 11).
#[test]
fn rule3_the_evaluation_comes_after_the_freeze() {
    let mut world = World::delegated(4, 5, 2, 3, 9).with_max(50);
    world.request.aggregator = "product".to_owned();
    let (_, wire) = world.tapped();
    for from in 0..5 {
        let sent: Vec<(u8, usize)> = wire.iter().filter(|(f, ..)| *f == from).map(|(_, to, m)| (m[0], *to)).collect();
        let first_freeze = sent.iter().position(|(tag, _)| *tag == crate::world::FREEZE).expect("a signature");
        // Resharing, kind 2, has the tag that input peers use for "absent"; compute peers are none here.
        let reshares: Vec<usize> = (0..sent.len()).filter(|i| sent[*i].0 == 2).collect();
        assert_eq!(reshares.len(), 2 * 2, "two levels of the tree, n-1-t messages each");
        assert!(reshares.iter().all(|i| *i > first_freeze + 3), "after the last of four signatures");
        assert!(reshares.iter().all(|i| sent[*i].1 < 5));
    }
    // A peer that withholds its signature stops everything before the first product.
    let world = world.clone().fresh();
    let sent = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = std::rc::Rc::clone(&sent);
    let ends = world.run(move |simulator| {
        simulator.rewrite(0, |_, message| (message[0] != crate::world::FREEZE).then_some(message));
        simulator.rewrite(1, move |_, message| {
            counter.set(counter.get() + usize::from(message[0] == 2));
            Some(message)
        });
    });
    assert!(ends.iter().all(|end| outcome(end).is_none_or(|outcome| outcome.values.is_none())));
    assert_eq!(sent.get(), 0);
}

/// The planner's bytes are those that are sent.
#[test]
fn forecasts_are_what_is_sent() {
    for n in [3, 4, 5, 7, 11] {
        for (name, parameters) in [
            ("product", &[][..]),
            ("entropy", &[("q", "5")]),
            ("set_union", &[]),
            ("event_correlation", &[("min_peers", "2")]),
            ("event_correlation", &[("min_peer_weight", "4"), ("peer_weights", "0=2,1=3")]),
            ("event_correlation", &[("min_peers", "2"), ("min_peer_weight", "60"), ("peer_weights", "0=40,1=30")]),
            ("event_correlation", &[("min_peers", "2"), ("learn", "counts")]),
            ("event_correlation", &[("min_peers", "2"), ("learn", "events")]),
        ] {
            let world = world(n, name, 600, parameters, 2).with_max(9);
            let (found, foreseen) = world.sent_and_foreseen();
            let off = (found - foreseen).abs() / foreseen;
            assert!(off < 0.05, "{name}, n = {n}: {found} bytes sent, {foreseen} foreseen");
        }
    }
}
