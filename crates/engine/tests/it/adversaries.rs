//! Cheaters: wrong shares, and input peers that tell different things to different peers.

use tacit_engine::{Fault, FaultKind, SessionError};

use crate::world::{COMMITMENT, RESULT, SHARES, World, error, outcome};

/// Changes the first element of a chunk.
fn spoil(message: &mut [u8], at: usize) {
    message[at] ^= 1;
}

#[test]
fn disagreeing_share_detected() {
    // n=3, t=1: one spare share finds a wrong one and cannot tell which.
    let world = World::decentralised(3, 1, 4, 1);
    let ends = world.run(|simulator| {
        simulator.rewrite(2, |_, mut message| {
            if message[0] == RESULT {
                spoil(&mut message, 5);
            }
            Some(message)
        });
    });
    for end in &ends[..2] {
        assert_eq!(error(end), Some(&SessionError::DisagreeingShares));
    }
    assert_eq!(outcome(&ends[2]).and_then(|o| o.values.clone()), Some(world.sum_of(&[0, 1, 2])));
}

#[test]
fn wrong_share_corrected_and_named() {
    for (n, t, cheaters) in [(4, 1, 1), (5, 1, 1), (7, 2, 1), (7, 2, 2), (11, 3, 3)] {
        for items in [4, 500, 10_000] {
            let world = World::delegated(3, n, t, items, n as u64);
            let ends = world.run(|simulator| {
                for cheater in 0..cheaters {
                    simulator.rewrite(cheater, move |_, mut message| {
                        // Not in the header of the first chunk; everybody in a different item.
                        let at = message.len() - 8 * (cheater + 2);
                        if message[0] == RESULT {
                            spoil(&mut message, at);
                        }
                        Some(message)
                    });
                }
            });
            for end in &ends[n..] {
                let outcome = outcome(end).expect("corrected");
                assert_eq!(outcome.values, Some(world.sum_of(&world.request.inputs)));
                let named = |member| Fault { member, kind: FaultKind::WrongShare };
                let mut faults = outcome.faults.clone();
                faults.sort_by_key(|fault| fault.member);
                assert_eq!(faults, (0..cheaters).map(named).collect::<Vec<_>>());
            }
        }
    }
}

/// Fewer than 3t+1 shares: t cheaters could have framed whoever seems to be wrong.
#[test]
fn rule5_nobody_is_named_below_3t_plus_1() {
    for (n, t, lost) in [(5, 2, 0), (6, 2, 0), (11, 5, 0), (4, 1, 1), (7, 2, 1)] {
        for items in [4, 500] {
            let world = World::delegated(3, n, t, items, n as u64);
            let ends = world.run(|simulator| {
                simulator.rewrite(0, |_, mut message| {
                    let at = message.len() - 8;
                    if message[0] == RESULT {
                        spoil(&mut message, at);
                    }
                    Some(message)
                });
                for member in 1..=lost {
                    simulator.rewrite(member, |_, message| (message[0] != RESULT).then_some(message));
                }
            });
            for end in &ends[n..] {
                assert_eq!(error(end), Some(&SessionError::DisagreeingShares), "n={n} t={t} lost={lost}");
            }
        }
    }
}

#[test]
fn too_many_wrong_shares_give_no_result() {
    let world = World::delegated(3, 7, 2, 4, 3);
    let ends = world.run(|simulator| {
        for cheater in 0..4 {
            simulator.rewrite(cheater, move |_, mut message| {
                let at = message.len() - 8 - cheater;
                if message[0] == RESULT {
                    spoil(&mut message, at);
                }
                Some(message)
            });
        }
    });
    for end in &ends[7..] {
        assert_eq!(error(end), Some(&SessionError::DisagreeingShares));
    }
}

#[test]
fn equivocating_contributor_is_excluded_and_named() {
    let equivocate = |simulator: &mut crate::world::Sim<'_>| {
        simulator.rewrite(5, |to, mut message| {
            if message[0] == COMMITMENT && to == 1 {
                message[7] ^= 1;
            }
            Some(message)
        });
    };
    let world = World::delegated(4, 3, 1, 3, 2);
    for end in &world.run(equivocate)[..3] {
        assert_eq!(error(end), Some(&SessionError::Equivocation { members: vec![5] }));
    }
    let world = world.proceed(2);
    let ends = world.run(equivocate);
    for end in &ends[..3] {
        let outcome = outcome(end).expect("the others' sum");
        assert_eq!(outcome.contributors, [3, 4, 6]);
        assert_eq!(outcome.faults, [Fault { member: 5, kind: FaultKind::ConflictingCommitments }]);
    }
    assert_eq!(outcome(&ends[3]).and_then(|o| o.values.clone()), Some(world.sum_of(&[3, 4, 6])));
    // Also a member that computes and receives itself.
    let world = World::decentralised(5, 2, 9000, 2).proceed(2);
    let ends = world.run(|simulator| {
        simulator.rewrite(0, |to, mut message| {
            if message[0] == COMMITMENT && to == 4 {
                message[7] ^= 1;
            }
            Some(message)
        });
    });
    for end in &ends {
        let outcome = outcome(end).expect("the others' sum");
        assert_eq!(outcome.values, Some(world.sum_of(&[1, 2, 3, 4])));
    }
}

#[test]
fn inputs_out_of_bounds_do_not_pass_unnoticed_where_the_sum_shows_it() {
    // A dealer that adds a large number to its share of one receiver breaks the polynomial instead.
    let world = World::decentralised(3, 1, 3, 2);
    let ends = world.run(|simulator| {
        simulator.rewrite(0, |_, mut message| {
            if message[0] == SHARES {
                message[5 + 6] ^= 0x10;
            }
            Some(message)
        });
    });
    for end in &ends {
        assert_eq!(error(end), Some(&SessionError::DisagreeingShares));
    }
}
