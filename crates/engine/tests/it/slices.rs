//! Long vectors, opened by slices among the compute peers.

use tacit_engine::{Ended, Fault, FaultKind, SessionError};

use crate::world::{CHECK, OPENED, RESULT, World, count, error, kinds, outcome};

#[test]
fn long_vectors_open_by_slices() {
    for (n, t, items) in [(3, 1, 16_385), (4, 1, 40_000), (5, 2, 20_001), (11, 5, 17_000)] {
        let world = World::decentralised(n, t, items, n as u64);
        world.run_and_check();
        let world = world.fresh();
        let (_, wire) = world.tapped();
        assert!(count(&wire, OPENED, |_| true) > 0);
        assert_eq!(count(&wire, RESULT, |_| true), 0, "whole shares stay at home");
    }
    World::decentralised(3, 1, 17_000, 1).with_max(u64::MAX).run_and_check();
}

#[test]
fn losses_while_slices_are_opened() {
    // Everything that member 4 sends from its signature on.
    let world = World::decentralised(5, 2, 17_000, 6);
    let mine = kinds(&world.tapped().1, 4);
    let frozen = mine.iter().rposition(|tag| *tag == crate::world::FREEZE).expect("signed") + 1;
    for messages in frozen..=mine.len() {
        let mut world = world.clone().fresh();
        world.seed = messages as u64;
        let ends = world.run(|simulator| simulator.crash_after(4, messages as u64));
        assert!(matches!(ends[4], Ended::Crashed));
        for end in &ends[..4] {
            let outcome = outcome(end).expect("four of five open");
            assert_eq!(outcome.values, Some(world.sum_of(&[0, 1, 2, 3, 4])));
            assert!(outcome.faults.is_empty());
        }
    }
}

#[test]
fn a_wrong_slice_is_noticed_and_opened_again() {
    // To all, or to one only; also a lie in the check itself.
    for (tag, receiver) in [(OPENED, None), (OPENED, Some(1)), (CHECK, None), (CHECK, Some(2))] {
        let world = World::decentralised(5, 2, 17_000, 8);
        let ends = world.run(|simulator| {
            simulator.rewrite(0, move |to, mut message| {
                if message[0] == tag && receiver.is_none_or(|r| r == to) {
                    message[5] ^= 1;
                }
                Some(message)
            });
        });
        for end in &ends[1..] {
            assert_eq!(outcome(end).and_then(|o| o.values.clone()), Some(world.sum_of(&[0, 1, 2, 3, 4])));
        }
    }
}

#[test]
fn wrong_shares_in_slices_are_corrected_and_named() {
    const SLICE: u8 = 7;
    let world = World::decentralised(4, 1, 17_000, 8);
    let wrong = |from, _, mut message: Vec<u8>| {
        if from == 0 && [SLICE, RESULT].contains(&message[0]) {
            message[5] ^= 1;
        }
        Some(message)
    };
    let (ends, _) = world.altered(wrong);
    for end in &ends[1..] {
        let outcome = outcome(end).expect("corrected");
        assert_eq!(outcome.values, Some(world.sum_of(&[0, 1, 2, 3])));
        assert_eq!(outcome.faults, [Fault { member: 0, kind: FaultKind::WrongShare }]);
    }
    for (n, t) in [(3, 1), (5, 2)] {
        let world = World::decentralised(n, t, 17_000, 8);
        let (ends, _) = world.altered(wrong);
        for end in &ends[1..] {
            assert_eq!(error(end), Some(&SessionError::DisagreeingShares));
        }
    }
}

/// Shares are dealt and sums opened chunk by chunk: four times the elements are not more bytes on their way.
#[test]
fn long_vectors_take_no_more_room_on_the_way() {
    let most = |items| World::decentralised(3, 1, items, 4).measure().most_in_flight;
    let (short, long) = (most(200_000), most(800_000));
    assert!(long <= short + short / 4, "{short} bytes on their way at once, then {long}");
}
