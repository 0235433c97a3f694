//! The model `malicious`: whatever t peers do, no wrong result is accepted, nobody honest is accused, and whether
//! the session ends early does not depend on anybody's input.

use std::cell::Cell;
use std::rc::Rc;

use tacit_engine::{Ended, FaultKind, Plan, PlanError, SecurityModel, SessionError, Sharing};

use crate::world::{ANSWERS, COIN, Ends, HOLD, RESULT, SHARES, World, change_one, error, kinds, outcome};

fn malicious(world: World) -> World {
    world.proven(SecurityModel::Malicious)
}

/// Whom an error or an outcome calls a cheater.
pub(crate) fn accused(ends: &Ends, honest: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut accused = Vec::new();
    for member in honest {
        match error(&ends[member]) {
            Some(SessionError::PeerMisbehaved { member, .. }) => accused.push(*member),
            Some(SessionError::OutOfBounds { members }) => accused.extend(members),
            _ => {}
        }
        let certain = |kind| matches!(kind, FaultKind::OutOfBounds | FaultKind::WrongShare);
        let faults = outcome(&ends[member]).map(|o| o.faults.clone()).unwrap_or_default();
        accused.extend(faults.iter().filter(|f| certain(f.kind)).map(|f| f.member));
    }
    accused
}

/// One peer that gives, computes and receives changes any one byte of any one of its messages, or does not send it.
#[test]
fn rule5_no_single_change_makes_a_wrong_result_or_frames_anybody() {
    for (n, t) in [(3, 1), (4, 1), (5, 2)] {
        let world = malicious(World::decentralised(n, t, 1, 3).with_max(5));
        let honest_sum: u128 = (1..n).filter_map(|m| world.inputs[m].as_ref()).map(|v| u128::from(v[0])).sum();
        let sent = kinds(&world.clone().fresh().tapped().1, 0);
        for target in 0..sent.len() {
            for change in 0..6 {
                let ends = world.clone().fresh().run(|simulator| {
                    change_one(simulator, 0, target, move |mut message| {
                        let length = message.len();
                        match change {
                            0 => return None,
                            1 => message[0] ^= 2,
                            2 => message[length - 1] ^= 1,
                            3 => message[length / 2] ^= 4,
                            4 => message[(length - 1).min(5)] ^= 1,
                            _ => message.truncate(length / 2),
                        }
                        Some(message)
                    });
                });
                for (member, end) in ends.iter().enumerate().skip(1) {
                    match end {
                        Ended::Finished(Ok(outcome)) => {
                            let value = outcome.values.as_ref().expect("a recipient")[0];
                            // The cheater's own number is its business, within the bound.
                            assert!((honest_sum..=honest_sum + 5).contains(&value), "message {target} change {change}");
                        }
                        Ended::Finished(Err(_)) => {}
                        _ => panic!("member {member} did not end"),
                    }
                }
                let accused = accused(&ends, 1..n);
                assert!(accused.iter().all(|m| *m == 0), "message {target} change {change} frames {accused:?}");
            }
        }
    }
}

/// A compute peer that lies about its share of the answers, for everybody's input in turn.
#[test]
fn rule5_a_lie_about_a_proof_frames_nobody() {
    for (n, t) in [(3, 1), (4, 1), (5, 2), (7, 3)] {
        for victim in 0..3usize {
            let world = malicious(World::delegated(3, n, t, 2, 7));
            let attack = |world: &World| {
                world.run(|simulator| {
                    for liar in 0..t {
                        simulator.rewrite(liar, move |_, mut message| {
                            // One message of answers; of each contributor one for each of two items, and two more.
                            if message[0] == ANSWERS {
                                message[5 + victim * 4 * 8 + 1 + liar] ^= 1;
                            }
                            Some(message)
                        });
                    }
                })
            };
            let ends = attack(&world);
            for end in &ends[t..n] {
                assert_eq!(error(end), Some(&SessionError::Contradiction { members: vec![n + victim] }));
            }
            assert!(accused(&ends, t..n).is_empty());
        }
    }
}

/// Two hashes of a coin would let a peer choose different points for different peers, and so see two values under
/// one mask.
#[test]
fn rule6_coins_are_committed_alike_to_all_before_anything_is_answered() {
    for tag in [HOLD, COIN] {
        let world = malicious(World::decentralised(4, 1, 2, 5));
        let answers = Rc::new(Cell::new(0));
        let ends = world.run(|simulator| {
            simulator.rewrite(1, move |to, mut message| {
                let place = if tag == HOLD { message.len() - 1 } else { 1 };
                if message[0] == tag && to == 3 {
                    message[place] ^= 1;
                }
                Some(message)
            });
            for member in [0, 2, 3] {
                let answers = answers.clone();
                simulator.rewrite(member, move |_, message| {
                    answers.set(answers.get() + u32::from(message[0] == ANSWERS));
                    Some(message)
                });
            }
        });
        if tag == HOLD {
            assert_eq!(answers.get(), 0, "no honest peer answers");
        }
        assert!([0, 2, 3].into_iter().all(|m| error(&ends[m]).is_some()));
        assert!(accused(&ends, [0, 2, 3].into_iter()).iter().all(|m| *m == 1));
    }
}

#[test]
fn rule6_a_coin_is_shown_only_by_who_holds_all_shares() {
    // The last share of input peer 0 never comes to compute peer 2.
    let world = malicious(World::delegated(3, 3, 1, 2, 5));
    let ends = world.run(|simulator| {
        simulator.rewrite(3, |to, message| (message[0] != SHARES || to != 2).then_some(message));
    });
    assert!(ends[..3].iter().all(|end| error(end).is_some()));
    assert!(accused(&ends, 0..3).is_empty(), "a loss is not cheating");
}

/// With fewer than 2t+1 shares a cheater could bend the result; semi-honest would take it.
#[test]
fn rule5_an_opening_takes_2t_plus_1_shares() {
    for model in [SecurityModel::SemiHonest, SecurityModel::Malicious] {
        let world = World::delegated(3, 3, 1, 2, 5).proven(model);
        let ends = world.run(|simulator| {
            simulator.rewrite(2, |_, message| (message[0] != RESULT).then_some(message));
        });
        for end in &ends[3..] {
            match model {
                SecurityModel::SemiHonest => assert!(outcome(end).is_some()),
                _ => assert_eq!(error(end), Some(&SessionError::NotEnoughShares { found: 2, needed: 3 })),
            }
        }
    }
}

#[test]
fn rule5_a_wrong_share_of_the_result_is_never_accepted() {
    for (n, t, items) in [(3, 1, 2), (5, 2, 2), (7, 3, 300), (4, 1, 2), (7, 2, 300)] {
        let world = malicious(World::delegated(2, n, t, items, 6));
        let ends = world.run(|simulator| {
            for liar in 0..t {
                simulator.rewrite(liar, |_, mut message| {
                    let at = message.len() - 8;
                    if message[0] == RESULT {
                        message[at] ^= 1;
                    }
                    Some(message)
                });
            }
        });
        for end in &ends[n..] {
            if n > 3 * t {
                let outcome = outcome(end).expect("corrected");
                assert_eq!(outcome.values, Some(world.sum_of(&world.request.inputs)));
                let named: Vec<usize> = outcome.faults.iter().map(|f| f.member).collect();
                assert_eq!(named, (0..t).collect::<Vec<_>>());
            } else {
                assert_eq!(error(end), Some(&SessionError::DisagreeingShares));
            }
        }
    }
}

/// Messages of an earlier session with the same members and plan, in place of today's.
#[test]
fn rule4_messages_of_an_earlier_session_do_not_pass() {
    for tag in [SHARES, HOLD, ANSWERS, RESULT] {
        let earlier = malicious(World::decentralised(3, 1, 2, 8));
        let old = Rc::new(std::cell::RefCell::new(Vec::new()));
        let kept = old.clone();
        earlier.clone().run(|simulator| {
            simulator.rewrite(1, move |to, message| {
                if message[0] == tag {
                    kept.borrow_mut().push((to, message.clone()));
                }
                Some(message)
            });
        });
        let mut today = earlier.clone().fresh();
        today.nonce = 1;
        let ends = today.run(|simulator| {
            simulator.rewrite(1, move |to, message| {
                let mut old = old.borrow_mut();
                let replayed = old.iter().position(|(was_to, _)| message[0] == tag && *was_to == to);
                Some(replayed.map_or(message, |i| old.remove(i).1))
            });
        });
        for member in [0, 2] {
            assert!(error(&ends[member]).is_some(), "replayed {tag}");
        }
        assert!(accused(&ends, [0, 2].into_iter()).iter().all(|m| *m == 1));
    }
}

/// The same attack on all-zero and on all-maximal inputs of honest peers ends alike at every step.
#[test]
fn rule5_early_ends_do_not_depend_on_inputs() {
    for tag in [SHARES, HOLD, COIN, ANSWERS, RESULT] {
        for place in [5, 9, 14] {
            let end_of = |number: u64| {
                let mut world = malicious(World::decentralised(3, 1, 2, 2));
                world.inputs[0] = Some(vec![number; 2]);
                world.inputs[2] = Some(vec![number; 2]);
                let ends = world.run(|simulator| {
                    simulator.rewrite(1, move |_, mut message| {
                        if message[0] == tag {
                            message[place] ^= 1;
                        }
                        Some(message)
                    });
                });
                [0, 2].map(|m| error(&ends[m]).cloned())
            };
            assert_eq!(end_of(0), end_of(1000), "tag {tag}, byte {place}");
        }
    }
}

#[test]
fn rule5_silence_is_a_loss() {
    for silent in [0, 2] {
        let world = malicious(World::decentralised(3, 1, 2, 2));
        let ends = world.run(|simulator| simulator.rewrite(silent, |_, _| None));
        assert!(accused(&ends, (0..3).filter(|m| *m != silent)).is_empty());
        assert!((0..3).filter(|m| *m != silent).all(|m| error(&ends[m]).is_some()));
    }
}

#[test]
fn rule5_plans_that_could_not_promise_it_are_refused() {
    let refusal = |change: fn(&mut World)| {
        let mut world = malicious(World::decentralised(5, 2, 2, 1));
        change(&mut world);
        Plan::build(world.request).expect_err("must be refused")
    };
    assert!(matches!(refusal(|w| w.request.sharing = Sharing::Additive), PlanError::SharingNotOffered { .. }));
    let left = refusal(|w| {
        w.request.compute.truncate(4);
    });
    assert_eq!(left, PlanError::TooFewLeft { left: 4, needed: 5, n: 5 });
    // With a smaller threshold, too, any two attempts must share a member that is not corrupted.
    let mut world = malicious(World::decentralised(5, 1, 2, 1));
    world.request.compute.truncate(3);
    let left = Plan::build(world.request).expect_err("must be refused");
    assert_eq!(left, PlanError::TooFewLeft { left: 3, needed: 4, n: 5 });
    let declared = |w: &mut World| _ = w.request.parameters.insert("bounds".to_owned(), "declared".to_owned());
    assert_eq!(refusal(declared), PlanError::BoundsMustBeProven { model: SecurityModel::Malicious });
    assert!(matches!(refusal(|w| w.request.items = 1_000_000), PlanError::ProofTooLong { .. }));
}
