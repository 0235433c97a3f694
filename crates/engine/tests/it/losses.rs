//! Parties that vanish, at every moment.

use tacit_engine::{Ended, SessionError};

use crate::world::{World, error, outcome};

#[test]
fn p33_engine_crash_during_reconstruct_m5_t2() {
    // Five privacy peers, t=2. Peer 4 deals nothing; it sends 4 views, 4 signatures, then 3 results.
    for lost_results in 0..3u64 {
        let world = World::delegated(3, 5, 2, 4, lost_results);
        let ends = world.run(|simulator| simulator.crash_after(4, 8 + lost_results));
        assert!(matches!(ends[4], Ended::Crashed));
        for end in &ends[5..] {
            let outcome = outcome(end).expect("the sum comes nevertheless");
            assert_eq!(outcome.values, Some(world.sum_of(&[5, 6, 7])));
            assert!(outcome.faults.is_empty(), "a loss is not a fault");
        }
    }
    // Two of five as well; three are too many.
    for crashes in 1..=3 {
        let world = World::delegated(3, 5, 2, 4, 1);
        let ends = world.run(|simulator| (0..crashes).for_each(|peer| simulator.crash_after(peer, 8)));
        for end in &ends[5..] {
            if crashes <= 2 {
                assert_eq!(outcome(end).and_then(|o| o.values.clone()), Some(world.sum_of(&[5, 6, 7])));
            } else {
                assert_eq!(error(end), Some(&SessionError::NotEnoughShares { found: 2, needed: 3 }));
            }
        }
    }
}

/// The same for what is computed from shares: once it is computed, t of five may go.
#[test]
fn p33_engine_crash_during_the_opening_of_a_function_m5_t2() {
    for (aggregator, losses) in [("product", 1), ("product", 2), ("median", 1), ("median", 2), ("product", 3)] {
        let world = || {
            let mut world = World::delegated(3, 5, 2, 2, 5).with_max(9);
            world.request.aggregator = aggregator.to_owned();
            world
        };
        let (whole, wire) = world().tapped();
        let expected = outcome(&whole[5]).and_then(|outcome| outcome.values.clone()).expect("a result");
        // How many messages each sends before those of the result, to three recipients.
        let before = |peer: usize| {
            let sent = wire.iter().filter(|(from, ..)| *from == peer);
            sent.take_while(|(_, _, message)| message[0] != crate::world::RESULT || message.len() < 100).count() as u64
        };
        for lost_results in 0..3 {
            let ends = world().run(|simulator| {
                (0..losses).for_each(|peer| simulator.crash_after(peer, before(peer) + lost_results));
            });
            for end in &ends[5..] {
                match (outcome(end), error(end)) {
                    (Some(outcome), _) => {
                        assert_eq!(outcome.values.as_ref(), Some(&expected), "{aggregator}");
                        assert!(outcome.faults.is_empty(), "a loss is not a fault");
                    }
                    // Three shares are needed.
                    (None, Some(error)) => assert!(
                        losses == 3 && matches!(error, SessionError::NotEnoughShares { .. }),
                        "{aggregator}: {error:?}"
                    ),
                    (None, None) => panic!("a recipient did not end"),
                }
            }
        }
    }
}

/// A crash of any party after any number of messages: every result that comes is right, and what
/// does not come is a loss, never cheating.
#[test]
fn crashes_at_every_moment() {
    let worlds = [World::decentralised(5, 2, 3, 1), World::delegated(3, 4, 1, 3, 2)];
    for world in worlds {
        let members = world.request.members.len();
        for proceed in [false, true] {
            let world = if proceed { world.clone().proceed(2) } else { world.clone() };
            for victim in 0..members {
                for messages in 0..20 {
                    let mut world = world.clone().fresh();
                    world.seed = messages;
                    let ends = world.run(|simulator| simulator.crash_after(victim, messages));
                    for end in &ends {
                        match end {
                            Ended::Finished(Ok(outcome)) => {
                                if let Some(values) = &outcome.values {
                                    assert_eq!(*values, world.sum_of(&outcome.contributors));
                                }
                            }
                            Ended::Finished(Err(error)) => assert!(
                                matches!(
                                    error,
                                    SessionError::LostBeforeFreeze { .. }
                                        | SessionError::MissingInput { .. }
                                        | SessionError::NotEnoughShares { .. }
                                ),
                                "{error}"
                            ),
                            Ended::Crashed | Ended::Silent => {}
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn lost_input_peer_before_freeze_fails_or_proceeds() {
    // Input peer 6 of 3..=6 sends 3 commitments and 2 explicit shares a chunk.
    for messages in 0..=10 {
        let world = World::delegated(4, 3, 1, 20_000, messages);
        let chunks = 3;
        let complete = messages >= 3 + 2 * chunks;
        let ends = world.run(|simulator| simulator.crash_after(6, messages));
        if complete {
            // Its input stays in.
            assert_eq!(outcome(&ends[3]).and_then(|o| o.values.clone()), Some(world.sum_of(&[3, 4, 5, 6])));
        } else {
            assert_eq!(error(&ends[0]), Some(&SessionError::MissingInput { members: vec![6] }));
            assert!(world.journals[0].records().is_empty(), "nothing was signed, so the slot can be tried again");
        }
        let world = world.fresh().proceed(3);
        let ends = world.run(|simulator| simulator.crash_after(6, messages));
        let contributors = if complete { vec![3, 4, 5, 6] } else { vec![3, 4, 5] };
        for end in &ends[3..6] {
            let outcome = outcome(end).expect("the others' sum");
            assert_eq!(outcome.contributors, contributors);
            assert_eq!(outcome.values, Some(world.sum_of(&contributors)));
        }
        let world = world.fresh().proceed(4);
        let ends = world.run(|simulator| simulator.crash_after(6, messages));
        if !complete {
            let too_few = SessionError::TooFewContributors { found: 3, needed: 4, missing: vec![6] };
            assert_eq!(error(&ends[1]), Some(&too_few));
        }
    }
}

#[test]
fn an_input_peer_without_an_input_says_so() {
    let mut world = World::decentralised(4, 1, 3, 3);
    world.inputs[2] = None;
    for end in world.run(|_| {}) {
        assert_eq!(error(&end), Some(&SessionError::MissingInput { members: vec![2] }));
    }
    let world = world.proceed(2);
    for end in world.run(|_| {}) {
        let outcome = outcome(&end).expect("the others' sum");
        assert_eq!(outcome.contributors, [0, 1, 3]);
        assert_eq!(outcome.values, Some(world.sum_of(&[0, 1, 3])));
    }
}

#[test]
fn rule2_fewer_compute_peers_after_a_loss_keep_the_threshold() {
    for left in 3..=5 {
        let mut world = World::delegated(3, 5, 2, 4, left as u64);
        world.request.compute.truncate(left);
        world.run_and_check();
    }
}
