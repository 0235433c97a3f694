//! Bytes that no honest party sends never panic and never give a wrong result.

use proptest::prelude::*;
use tacit_engine::simulator::SplitMix;
use tacit_engine::{Ended, SessionError};

use crate::world::{World, error};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn malformed_messages_never_panic(
        seed: u64,
        nth in 0u64..40,
        how in 0u8..6,
        delegated: bool,
        proceed: bool,
        long in prop::bool::weighted(0.03),
    ) {
        let items = if long { 17_000 } else { 4 };
        let world = if delegated { World::delegated(3, 5, 2, items, seed) } else { World::decentralised(5, 2, items, seed) };
        let world = if proceed { world.proceed(2) } else { world };
        let cheater = seed as usize % world.request.members.len();
        let ends = world.run(|simulator| {
            let mut count = 0;
            let mut random = SplitMix::new(seed);
            simulator.rewrite(cheater, move |_, message| {
                count += 1;
                if count - 1 == nth { mutate(message, how, &mut random) } else { Some(message) }
            });
        });
        for (member, end) in ends.iter().enumerate().filter(|(member, _)| *member != cheater) {
            if let Ended::Finished(Ok(outcome)) = end
                && let Some(values) = &outcome.values
            {
                prop_assert_eq!(values, &world.sum_of(&outcome.contributors), "member {}", member);
            }
            if let Some(SessionError::PeerMisbehaved { member, .. }) = error(end) {
                prop_assert_eq!(*member, cheater, "an honest member is never blamed");
            }
        }
    }

    #[test]
    fn garbage_from_a_compute_peer_never_panics(seed: u64) {
        let world = World::decentralised(4, 1, 3, seed);
        let ends = world.run(|simulator| {
            let mut random = SplitMix::new(seed);
            simulator.rewrite(1, move |_, _| {
                Some((0..random.below(200)).map(|i| if i == 0 { random.below(13) as u8 } else { random.next_u64() as u8 }).collect())
            });
        });
        for end in [&ends[0], &ends[2], &ends[3]] {
            prop_assert!(error(end).is_some());
        }
    }
}

/// Truncated, oversized, flipped, replaced, dropped, or doubled in length.
fn mutate(mut message: Vec<u8>, how: u8, random: &mut SplitMix) -> Option<Vec<u8>> {
    let at = random.below(message.len() as u64) as usize;
    match how {
        0 => message.truncate(at),
        1 => message.extend((0..1 + random.below(100_000)).map(|_| 7)),
        2 => message[at] ^= 1 << random.below(8),
        3 => message.iter_mut().for_each(|byte| *byte = random.next_u64() as u8),
        4 => return None,
        _ => message.extend_from_within(..),
    }
    Some(message)
}
