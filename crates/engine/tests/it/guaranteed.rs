//! The model `guaranteed`: the sum comes whatever t of n >= 3t+1 compute peers and any input peers do.

use tacit_algebra::{F61, Field};
use tacit_engine::{Ended, Fault, FaultKind, OnMissing, Plan, PlanError, SecurityModel, SessionError, Sharing};

use crate::world::{
    AGREE, ANSWERS, COIN, Ends, FREEZE, KEYS, MASKED, RESULT, Sim, World, change_one, error, kinds, outcome,
};

const SIZES: [(usize, usize); 5] = [(4, 1), (5, 1), (7, 2), (8, 2), (10, 3)];

pub(crate) fn guaranteed(world: World) -> World {
    world.proven(SecurityModel::Guaranteed).proceed(2)
}

/// All recipients but the cheaters have this sum.
pub(crate) fn all_have(world: &World, ends: &Ends, cheaters: &[usize], contributors: &[usize]) {
    for (member, end) in ends.iter().enumerate().filter(|(member, _)| !cheaters.contains(member)) {
        let outcome = outcome(end).unwrap_or_else(|| panic!("member {member}: {:?}", error(end)));
        if world.request.recipients.contains(&member) {
            assert_eq!(outcome.values, Some(world.sum_of(contributors)), "member {member}");
            assert_eq!(outcome.contributors, contributors);
        }
        let named = outcome.faults.iter().map(|fault| fault.member);
        assert!(named.clone().all(|m| cheaters.contains(&m)), "{:?} frames somebody", outcome.faults);
    }
}

#[test]
fn rule5_guaranteed_sums() {
    for (n, t) in SIZES {
        guaranteed(World::decentralised(n, t, 5, n as u64)).run_and_check();
        guaranteed(World::delegated(4, n, t, 3, n as u64)).run_and_check();
    }
    // The large field, and several chunks.
    guaranteed(World::decentralised(4, 1, 2, 1)).with_max(u64::MAX).run_and_check();
    guaranteed(World::delegated(2, 4, 1, 9000, 1)).with_max(3).run_and_check();
}

#[test]
fn rule5_guaranteed_goes_on_without_silent_peers() {
    for (n, t) in SIZES {
        let silent: Vec<usize> = (1..=t).collect();
        let world = guaranteed(World::decentralised(n, t, 3, 2));
        let others: Vec<usize> = (0..n).filter(|m| !silent.contains(m)).collect();
        for after in [0, 1, n as u64, 3 * n as u64 + 1] {
            // From the start, or from some message on.
            let world = world.clone().fresh();
            let ends = world.run(|simulator| {
                for member in &silent {
                    simulator.crash_after(*member, after);
                }
            });
            let first = outcome(&ends[0]).expect("a result").contributors.clone();
            assert!(others.iter().all(|m| first.contains(m)));
            all_have(&world, &ends, &silent, &first);
        }
    }
}

/// Who reads nothing counts towards t like who says nothing; who only gives or receives holds no compute peer up at all.
#[test]
fn rule5_guaranteed_waits_for_nobody_of_t_that_do_not_read() {
    for (world, t) in [(World::decentralised(7, 2, 1, 1), 2), (World::delegated(3, 4, 1, 1, 1), 1)] {
        let world = guaranteed(world);
        let (members, compute) = (world.request.members.len(), world.request.compute.clone());
        let mut mailboxes = Vec::new();
        world.run(|simulator| mailboxes.extend((0..members).map(|member| simulator.mailbox(member))));
        for (member, mailbox) in mailboxes.iter().enumerate() {
            let outside = if compute.contains(&member) { members - compute.len() } else { 0 };
            assert_eq!(mailbox.spare(), t + outside, "member {member}");
        }
    }
}

/// Peers of the charter that are not there when the session begins count towards t.
#[test]
fn rule5_guaranteed_with_peers_that_are_away() {
    for (n, t) in SIZES {
        for away in 1..=t {
            let mut world = guaranteed(World::delegated(3, n, t, 3, 5));
            world.request.compute.truncate(n - away);
            let ends = world.run(|simulator| {
                for liar in 0..t - away {
                    simulator.rewrite(liar, |_, mut message| {
                        let at = message.len().saturating_sub(8);
                        if message[0] == RESULT || message[0] == ANSWERS {
                            message[at] ^= 1;
                        }
                        Some(message)
                    });
                }
            });
            let liars: Vec<usize> = (0..t - away).collect();
            all_have(&world, &ends, &liars, &world.request.inputs);
        }
    }
}

/// One peer that gives, computes and receives changes any byte of any of its messages, or does not send it: all others
/// have the result, and nobody else is accused.
#[test]
fn rule5_guaranteed_no_single_change_stops_the_result_or_frames_anybody() {
    let world = guaranteed(World::decentralised(4, 1, 1, 3).with_max(5));
    let honest_sum: u128 = (1..4).filter_map(|m| world.inputs[m].as_ref()).map(|v| u128::from(v[0])).sum();
    let sent = kinds(&world.clone().fresh().tapped().1, 0);
    for target in 0..sent.len() {
        for change in 0..4 {
            let ends = world.clone().fresh().run(|simulator| {
                change_one(simulator, 0, target, move |mut message| {
                    let length = message.len();
                    match change {
                        0 => return None,
                        1 => message[length - 1] ^= 1,
                        2 => message[length / 2] ^= 4,
                        _ => message.truncate(length / 2),
                    }
                    Some(message)
                });
            });
            let mut agreements = Vec::new();
            for (member, end) in ends.iter().enumerate().skip(1) {
                let outcome = outcome(end).unwrap_or_else(|| panic!("{target} {change} {member}: {:?}", error(end)));
                let value = outcome.values.as_ref().expect("a recipient")[0];
                assert!((honest_sum..=honest_sum + 5).contains(&value), "message {target} change {change}");
                assert!([1, 2, 3].iter().all(|m| outcome.contributors.contains(m)), "honest inputs are in");
                assert!(outcome.faults.iter().all(|f| f.member == 0), "message {target} change {change}");
                agreements.push(outcome.agreement);
            }
            assert!(agreements.iter().all(|a| *a == agreements[0]));
        }
    }
}

/// t compute peers change something in every message of one kind, everybody something else.
#[test]
fn rule5_guaranteed_decodes_what_t_liars_send() {
    for (n, t) in SIZES {
        for tag in [KEYS, AGREE, COIN, ANSWERS, FREEZE, RESULT] {
            let world = guaranteed(World::delegated(3, n, t, 2, 6));
            let liars: Vec<usize> = (0..t).map(|i| 2 * i).collect();
            let ends = world.run(|simulator| {
                for liar in &liars {
                    let liar = *liar;
                    simulator.rewrite(liar, move |to, mut message| {
                        let at = message.len() - 1 - 8 * ((to + liar) % 3).min(message.len() / 9);
                        if message[0] == tag && at > 5 {
                            message[at] ^= 1 << (to % 4);
                        }
                        Some(message)
                    });
                }
            });
            all_have(&world, &ends, &liars, &world.request.inputs);
            // Shares of the result that their senders did not sign are silence; tests/it/evidence.rs has those that they did.
            if tag == RESULT {
                for (end, journal) in ends.iter().zip(&world.journals).skip(n) {
                    assert!(outcome(end).is_some_and(|o| o.faults.is_empty()), "n={n} t={t}");
                    assert!(journal.evidence().is_empty(), "n={n} t={t}");
                }
            }
        }
    }
}

/// Changes one element of what an input peer publishes under its mask, for those receivers.
fn publishes(
    simulator: &mut Sim<'_>,
    dealer: usize,
    element: usize,
    delta: F61,
    to_whom: impl Fn(usize) -> bool + 'static,
) {
    simulator.rewrite(dealer, move |to, mut message| {
        if message[0] == MASKED && message[1..5] == [0; 4] && to_whom(to) {
            let place = 5 + 64 + 8 * element..5 + 64 + 8 * (element + 1);
            let masked = F61::from_bytes_checked(&message[place.clone()]).expect("an element");
            let mut bytes = Vec::new();
            (masked + delta).write_bytes(&mut bytes);
            message[place].copy_from_slice(&bytes);
        }
        Some(message)
    });
}

#[test]
fn p19_engine_guaranteed_names_who_is_out_of_bounds_and_others_are_unharmed() {
    for (n, t) in SIZES {
        for (element, delta) in [(1, 2), (10, 1 << 20), (12, 1)] {
            let world = guaranteed(World::delegated(4, n, t, 2, n as u64));
            let ends = world.run(|simulator| {
                publishes(simulator, n + 1, element, F61::from_u64(delta), |_| true);
                // And t compute peers lie about the proof of an honest one.
                for liar in 0..t {
                    simulator.rewrite(liar, |_, mut message| {
                        if message[0] == ANSWERS {
                            message[70] ^= 1;
                        }
                        Some(message)
                    });
                }
            });
            let cheaters: Vec<usize> = (0..t).chain([n + 1]).collect();
            all_have(&world, &ends, &cheaters, &[n, n + 2, n + 3]);
            let named = Fault { member: n + 1, kind: FaultKind::OutOfBounds };
            assert!((t..n).all(|m| outcome(&ends[m]).is_some_and(|o| o.faults.contains(&named))));
        }
    }
}

#[test]
fn rule5_guaranteed_one_input_per_contributor() {
    // One compute peer gets something else: it gets the right one from others.
    let world = guaranteed(World::delegated(3, 4, 1, 2, 9));
    let ends = world.run(|simulator| publishes(simulator, 4, 1, F61::ONE, |to| to == 2));
    all_have(&world, &ends, &[4], &[4, 5, 6]);
    // Half of them do: there is no such input.
    let world = world.fresh();
    let ends = world.run(|simulator| publishes(simulator, 4, 1, F61::ONE, |to| to < 2));
    all_have(&world, &ends, &[4], &[5, 6]);
    // Keys that differ are not used; the input is what it is.
    let world = world.fresh();
    let ends = world.run(|simulator| {
        simulator.rewrite(4, |to, mut message| {
            if message[0] == KEYS && to == 1 {
                message[7] ^= 1;
            }
            Some(message)
        });
    });
    all_have(&world, &ends, &[4], &[4, 5, 6]);
    // An input peer that deals keys and nothing else.
    let world = world.fresh();
    let ends = world.run(|simulator| simulator.rewrite(4, |_, message| (message[0] != MASKED).then_some(message)));
    all_have(&world, &ends, &[4], &[5, 6]);
    // One without an input.
    let mut world = world.fresh();
    world.inputs[5] = None;
    let ends = world.run(|_| {});
    all_have(&world, &ends, &[], &[4, 6]);
}

/// More than the model tolerates: no result, but no wrong one, and nobody is named.
#[test]
fn rule5_a_slow_honest_peer_beside_t_cheaters() {
    for (n, t) in SIZES {
        let world = guaranteed(World::delegated(2, n, t, 2, 9));
        let ends = world.run(|simulator| {
            for liar in 0..t {
                simulator.rewrite(liar, |_, mut message| {
                    let at = message.len().saturating_sub(8);
                    if message[0] == RESULT {
                        message[at] ^= 1;
                    }
                    Some(message)
                });
            }
            simulator.rewrite(t, |_, message| (message[0] != RESULT).then_some(message));
        });
        for end in &ends[n..] {
            match end {
                Ended::Finished(Ok(outcome)) => assert_eq!(outcome.values, Some(world.sum_of(&world.request.inputs))),
                Ended::Finished(Err(error)) => assert_eq!(*error, SessionError::DisagreeingShares),
                _ => panic!("a recipient did not end"),
            }
        }
    }
}

/// The result comes, so nothing is computed of which the planner knows that one input peer could make it void.
#[test]
fn rule5_guaranteed_refuses_what_one_peer_could_void() {
    let plan = |aggregator: &str, columns: usize, max_element: u64| {
        let mut world = guaranteed(World::decentralised(4, 1, columns, 1));
        (world.request.aggregator, world.request.max_element) = (aggregator.to_owned(), max_element);
        Plan::build(world.request)
    };
    let void = |name: &'static str| Err(PlanError::CouldBeVoid { name });
    assert_eq!(plan("linear_regression", 3, 100), void("linear_regression"));
    assert!(plan("linear_regression", 2, 100).is_ok() && plan("correlation", 3, 100).is_ok());
    // Beyond what the largest field holds.
    assert_eq!(plan("correlation", 2, 1 << 20), void("correlation"));
    assert_eq!(plan("variance", 1, 1 << 52), void("variance"));
    assert!(plan("variance", 1, 1 << 40).is_ok() && plan("mean", 1, 1 << 52).is_ok());
}

#[test]
fn rule5_guaranteed_plans_are_refused_where_nothing_can_be_promised() {
    let refusal = |n: usize, t: usize, change: fn(&mut World)| {
        let mut world = guaranteed(World::decentralised(n, t, 2, 1));
        change(&mut world);
        Plan::build(world.request).expect_err("must be refused")
    };
    for (n, t) in [(3, 1), (5, 2), (6, 2), (9, 3)] {
        let needed = 3 * t + 1;
        assert_eq!(refusal(n, t, |_| ()), PlanError::TooFewForGuaranteed { n, needed, threshold: t });
    }
    let left = refusal(7, 2, |w| w.request.compute.truncate(4));
    assert_eq!(left, PlanError::TooFewLeft { left: 4, needed: 5, n: 7 });
    assert_eq!(refusal(4, 1, |w| w.request.on_missing = OnMissing::Fail), PlanError::GuaranteedMustProceed);
    // A task that asks for all inputs is not one that a silent peer cannot end, and the forecast says so.
    for (min, survived) in [(4, 0), (3, 1), (2, 1)] {
        let mut world = guaranteed(World::decentralised(4, 1, 2, 1));
        world.request.on_missing = OnMissing::Proceed { min };
        let forecast = world.plan().forecast();
        assert_eq!(
            (forecast.cheaters_survived, forecast.losses, forecast.losses_before),
            (survived, survived, survived)
        );
        assert_eq!(forecast.notes.iter().any(|note| note.contains("not without 1")), survived == 0);
    }
    // Two to the power of its number of peers is nothing to wait for.
    let mut many = guaranteed(World::decentralised(40, 1, 2, 1));
    many.request.on_missing = OnMissing::Proceed { min: 2 };
    assert!(Plan::build(many.request).is_ok_and(|plan| plan.forecast().cheaters_survived == 1));
    assert!(matches!(refusal(4, 1, |w| w.request.sharing = Sharing::Additive), PlanError::SharingNotOffered { .. }));
    let median = refusal(4, 1, |w| w.request.aggregator = "median".to_owned());
    assert!(matches!(median, PlanError::ModelNotOffered { name: "median", .. }));
}
