//! Bounds under sharing: numbers out of `[0, maxElement]` do not enter the sum.

use tacit_algebra::{F61, Field};
use tacit_engine::{Fault, FaultKind, SecurityModel, SessionError, Sharing};

use crate::world::{SHARES, Sim, World, error, outcome};

const MODELS: [SecurityModel; 2] = [SecurityModel::SemiHonest, SecurityModel::Malicious];
const GROUPS: [(usize, usize); 4] = [(3, 1), (4, 1), (5, 2), (7, 3)];

#[test]
fn p19_engine_sums_with_proven_bounds() {
    for model in MODELS {
        for n in 3..=11 {
            for t in [1, (n - 1) / 2] {
                World::decentralised(n, t, 5, n as u64).proven(model).run_and_check();
            }
            World::delegated(4, n, (n - 1) / 2, 3, n as u64).proven(model).run_and_check();
        }
        // Every maximum, powers of two and their neighbours, up to numbers that take the large field.
        for max in [0, 1, 2, 3, 4, 7, 8, 9, 1013, u64::from(u32::MAX), u64::MAX / 2, u64::MAX] {
            World::decentralised(3, 1, 4, max).with_max(max).proven(model).run_and_check();
        }
        // Several chunks of shares and of answers.
        World::delegated(2, 3, 1, 9000, 1).with_max(7).proven(model).run_and_check();
    }
    let mut additive = World::decentralised(4, 1, 6, 1).proven(SecurityModel::SemiHonest);
    additive.request.sharing = Sharing::Additive;
    additive.run_and_check();
}

/// Adds `delta` to element `at` of what input peer `dealer` of a delegated world deals, as a dealer does who knows
/// what it is doing: by a polynomial of degree t, so that all shares still fit.
fn deals_more(world: &World, simulator: &mut Sim<'_>, slot: usize, at: usize, delta: F61) {
    let plan = world.plan();
    let n = plan.compute().len();
    let Sharing::Shamir { threshold } = plan.sharing() else { panic!("Shamir") };
    let points: Vec<F61> = plan.points().iter().map(|p| F61::from_u128(*p)).collect();
    // Zero at those whose shares come from seeds.
    let seeded: Vec<usize> = (slot % n..slot % n + threshold).map(|i| i % n).collect();
    let vanishing = move |x: F61| {
        seeded.iter().fold(F61::ONE, |product, i| product * (points[*i] - x) * points[*i].inv().expect("not zero"))
    };
    let points: Vec<F61> = plan.points().iter().map(|p| F61::from_u128(*p)).collect();
    let compute = plan.compute().to_vec();
    simulator.rewrite(world.request.inputs[slot], move |to, mut message| {
        if message[0] == SHARES && message[1..5] == [0; 4] {
            let position = compute.iter().position(|m| *m == to).expect("a compute peer");
            let place = 5 + 8 * at..5 + 8 * (at + 1);
            let share = F61::from_bytes_checked(&message[place.clone()]).expect("an element");
            let mut bytes = Vec::new();
            (share + delta * vanishing(points[position])).write_bytes(&mut bytes);
            message[place].copy_from_slice(&bytes);
        }
        Some(message)
    });
}

#[test]
fn p19_engine_bound_is_enforced_against_a_cheating_input_peer() {
    for model in MODELS {
        for (n, t) in [(3, 1), (4, 1), (5, 2), (7, 2), (11, 5)] {
            // The first number's mask, bits and quotient are elements 0, 1..=10 and 11..=21.
            for (at, delta) in [(1, 2), (10, 1 << 20), (3, -1), (11, 1), (21, 5)] {
                let world = World::delegated(4, n, t, 2, n as u64).proven(model);
                let cheat =
                    |world: &World| world.run(|simulator| deals_more(world, simulator, 1, at, F61::from_i64(delta)));
                let cheater = world.request.inputs[1];
                for end in &cheat(&world)[..n] {
                    assert_eq!(error(end), Some(&SessionError::OutOfBounds { members: vec![cheater] }));
                }
                // With others enough, they are unharmed.
                let world = world.proceed(3);
                let ends = cheat(&world);
                let others = [n, n + 2, n + 3];
                for end in &ends {
                    let outcome = outcome(end).expect("the others' sum");
                    if let Some(values) = &outcome.values {
                        assert_eq!(*values, world.sum_of(&others));
                        assert_eq!(outcome.contributors, others);
                    }
                }
                let fault = Fault { member: cheater, kind: FaultKind::OutOfBounds };
                assert!(ends[..n].iter().all(|end| outcome(end).is_some_and(|o| o.faults == [fault])));
            }
        }
    }
}

/// Of an event it is proven that a report is 0 or 1, and that its weight is at most what it may be. (That a report and its weight
/// belong together is not: docs/protocols.md.)
#[test]
fn p31_reports_and_weights_of_events_out_of_range_stay_out() {
    for (model, (n, t)) in MODELS.into_iter().flat_map(|model| GROUPS.map(|group| (model, group))) {
        // Of each of two events a mask, one bit, two values of the quotient; then a mask, three bits and four values of each weight.
        for (at, delta) in [(1, 1), (1, -1), (5, 1 << 20), (7, 1), (10, 2), (11, 1 << 20), (19, -2), (23, 1)] {
            let mut world = World::delegated(4, n, t, 2, n as u64).with_max(7).proven(model);
            world.request.aggregator = "event_correlation".to_owned();
            world.request.parameters.insert("min_peers".to_owned(), "1".to_owned());
            world.inputs = (0..n + 4).map(|member| (member >= n).then(|| vec![3, 7])).collect();
            let cheat =
                |world: &World| world.run(|simulator| deals_more(world, simulator, 1, at, F61::from_i64(delta)));
            let cheater = world.request.inputs[1];
            for end in &cheat(&world)[..n] {
                let found = Some(&SessionError::OutOfBounds { members: vec![cheater] });
                assert_eq!(error(end), found, "{}, n = {n}, element {at}", model.name());
            }
            for end in &cheat(&world.proceed(3))[n..] {
                let outcome = outcome(end).expect("the others' events");
                assert_eq!(outcome.values, Some(vec![3, 3, 9, 21]), "{}, n = {n}, element {at}", model.name());
            }
        }
    }
}

/// Whoever reports an event without weight, which nothing prevents, does not take the others' events from them.
#[test]
fn p31_a_weight_below_its_reports_voids_no_event() {
    let mut world = World::decentralised(3, 1, 2, 1).with_max(7).proven(SecurityModel::Malicious);
    world.request.aggregator = "event_correlation".to_owned();
    world.request.parameters.insert("min_peers".to_owned(), "2".to_owned());
    let found = world.plan().statistics(&[2, 3, 1, 9]).expect("a statistic").expect("a result");
    let found: Vec<(&str, f64)> = found.iter().map(|s| (s.name.as_str(), s.value)).collect();
    assert_eq!(found, [("peers(1)", 2.0), ("weight(1)", 1.0), ("peers(2)", 3.0), ("weight(2)", 9.0)]);
}

/// The same cheat on the mask alone is out of bounds, too.
#[test]
fn p19_engine_a_mask_cannot_be_changed_alone() {
    let world = World::delegated(3, 3, 1, 2, 4).proven(SecurityModel::Malicious);
    let ends = world.run(|simulator| deals_more(&world, simulator, 1, 0, F61::ONE));
    // f passes through the mask, so that the quotient would have to change with it.
    assert!(ends[..3].iter().all(|end| matches!(error(end), Some(SessionError::OutOfBounds { .. }))));
}

#[test]
fn p19_engine_shares_that_do_not_fit_are_found_before_the_freeze() {
    for model in MODELS {
        for (n, t) in [(3, 1), (4, 1), (6, 2), (7, 3)] {
            let world = World::delegated(3, n, t, 3, 5).proven(model);
            let victim = n - 1;
            let ends = world.run(|simulator| {
                // Input peer 0 deals one of the compute peers something else.
                simulator.rewrite(n, move |to, mut message| {
                    if message[0] == SHARES && to == victim {
                        message[5] ^= 1;
                    }
                    Some(message)
                });
            });
            for end in &ends[..n] {
                assert_eq!(error(end), Some(&SessionError::Contradiction { members: vec![n] }), "n={n} t={t}");
            }
            assert!(world.journals.iter().all(|journal| journal.records().is_empty()), "nothing is frozen");
        }
    }
}
