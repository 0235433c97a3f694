//! Attacks on the model `guaranteed` that take what honest peers signed or said elsewhere, or fit what they hear: words of
//! another session or step, shares of another set, shares on a polynomial of the cheaters' own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use tacit_algebra::{F61, Field};
use tacit_engine::{Flooded, Mailbox, PARKED_HARD_LIMIT, run};

use crate::guaranteed::{all_have, guaranteed};
use crate::guaranteed_late::{ELEMENTS, PRODUCT, nobody_is_framed};
use crate::world::{AGREE, ANSWERS, KEYS, MASKED, RESULT, Wire, World, error, outcome};

const SIZES: [(usize, usize); 3] = [(4, 1), (7, 2), (10, 3)];
/// What compute peers tell input peers of dropped sets, and the signature under a chunk of the result (session/message.rs).
const DROPPED: u8 = 17;
const SIGNED: u8 = 20;

/// The messages of a kind that went one way, in order.
fn way(wire: &Wire, kind: u8, from: usize, to: usize) -> Vec<Vec<u8>> {
    let of = wire.iter().filter(|(f, t, message)| (*f, *t, message[0]) == (from, to, kind));
    of.map(|(_, _, message)| message.clone()).collect()
}

/// In the second round of each agreement cheaters pass on what honest peers signed in an earlier session, or in the agreement
/// before. If that counted, those would have said two things, and would have no word.
#[test]
fn rule4_words_of_another_session_or_agreement_do_not_pass() {
    for (n, t) in SIZES {
        let earlier = guaranteed(World::delegated(3, n, t, 2, 6));
        let (_, heard) = earlier.tapped();
        let mut world = earlier.clone().fresh();
        world.nonce += 1;
        let (_, same) = world.clone().fresh().tapped();
        // By stage: what an honest peer passed on in that round, under two signatures each.
        let passed_on = |wire: &Wire, stage: usize| way(wire, AGREE, n - 1, 0)[stage * (t + 1) + 1].clone();
        let replays = [[passed_on(&heard, 0), passed_on(&heard, 1)], [passed_on(&same, 1), passed_on(&same, 0)]];
        assert!(replays.iter().flatten().all(|words| words.len() > 100), "they pass something on");
        for [first, second] in replays {
            let cheaters: Vec<usize> = (0..t).collect();
            let world = world.clone().fresh();
            let ends = world.run(|simulator| {
                for cheater in &cheaters {
                    let (words, mut sent) = ([first.clone(), second.clone()], BTreeMap::<usize, usize>::new());
                    simulator.rewrite(*cheater, move |to, message| {
                        if message[0] != AGREE {
                            return Some(message);
                        }
                        let number = sent.entry(to).or_default();
                        *number += 1;
                        let (stage, round) = ((*number - 1) / (t + 1), (*number - 1) % (t + 1));
                        Some(if round == 1 { words[stage].clone() } else { message })
                    });
                }
            });
            all_have(&world, &ends, &cheaters, &world.request.inputs);
        }
    }
}

/// Cheaters tell recipients what they rightly hold and sign, of another set: without one of the contributors. It is that of the
/// same session, as it would have been if that one had not given.
#[test]
fn rule3_recipients_take_the_set_that_most_compute_peers_signed() {
    for (n, t) in SIZES {
        for seed in 0..4 {
            let world = guaranteed(World::delegated(4, n, t, 2, seed));
            let mut without = world.clone().fresh();
            without.inputs[n + 1] = None;
            let (_, wire) = without.tapped();
            let cheaters: Vec<usize> = (0..t).collect();
            let ends = world.run(|simulator| {
                for cheater in cheaters.iter().copied() {
                    let other = |kind: u8| -> Vec<_> { (n..n + 4).map(|to| way(&wire, kind, cheater, to)).collect() };
                    let (results, signed) = (other(RESULT), other(SIGNED));
                    simulator.rewrite(cheater, move |to, message| match message[0] {
                        RESULT => results[to - n].first().cloned(),
                        SIGNED => signed[to - n].first().cloned(),
                        _ => Some(message),
                    });
                }
            });
            all_have(&world, &ends, &cheaters, &world.request.inputs);
            for (end, journal) in ends.iter().zip(&world.journals).skip(n) {
                assert!(outcome(end).is_some_and(|outcome| outcome.faults.is_empty()), "no share was wrong");
                assert!(journal.evidence().is_empty());
            }
        }
    }
}

/// The share at a place of the polynomial that is 1 at zero and vanishes at these places.
fn bent(world: &World, at: usize, zeros: Range<usize>) -> F61 {
    let points: Vec<F61> = world.plan().points().iter().map(|point| F61::from_u128(*point)).collect();
    let factor = |zero: usize| (points[zero] - points[at]) * points[zero].inv().expect("points are not zero");
    zeros.map(factor).fold(F61::ONE, |product, factor| product * factor)
}

/// Adds to the element that begins so many bytes before the end.
fn add(message: &mut [u8], before_end: usize, delta: F61) {
    let place = message.len() - before_end..message.len() - before_end + 8;
    let element = F61::from_bytes_checked(&message[place.clone()]).expect("an element");
    let mut bytes = Vec::new();
    (element + delta).write_bytes(&mut bytes);
    message[place].copy_from_slice(&bytes);
}

/// More than the model tolerates: so many honest peers are slow that 2t or 2t+1 shares are left. Of these t are cheaters', on the
/// polynomial of another number, one more, through t honest ones: all fit, or the one honest share that does not looks wrong.
/// It must not be named, nor the number be taken.
#[test]
fn rule5_slow_honest_peers_beside_t_cheaters_that_fit_are_not_framed() {
    let cases = SIZES.into_iter().flat_map(|(n, t)| [(n, t, 2 * t), (n, t, 2 * t + 1)]);
    for (n, t, left, kind) in cases.flat_map(|(n, t, left)| [ANSWERS, RESULT].map(|kind| (n, t, left, kind))) {
        let mut world = guaranteed(World::delegated(2, n, t, 2, 8).with_max(5));
        world.inputs[n..].fill(Some(vec![2, 3]));
        // Compute peers know the set without being told; others need n-t that say the same.
        world.request.recipients = (0..n + 2).collect();
        let slow = n - left;
        let cheaters: Vec<usize> = (n - t..n).collect();
        let ends = world.run(|simulator| {
            for member in 0..slow {
                simulator.rewrite(member, move |_, message| (message[0] != kind).then_some(message));
            }
            for cheater in cheaters.iter().copied() {
                let delta = bent(&world, cheater, slow..slow + t);
                simulator.rewrite(cheater, move |_, mut message| {
                    if message[0] == kind {
                        add(&mut message, if kind == RESULT { 8 * ELEMENTS } else { 8 }, delta);
                    }
                    Some(message)
                });
            }
        });
        nobody_is_framed(&world, &ends, &cheaters, &format!("n={n} t={t} left {left} kind {kind}"));
    }
}

/// More than the model tolerates: t are away, and so many honest ones are late at the products that 2t+1 shares of degree 2t are
/// left, which fit whatever is in them. t of these are cheaters', who make the product one more, and add one to their shares
/// of the result, too, so that these fit.
#[test]
fn rule5_away_late_and_lying_together_make_no_wrong_product() {
    for (n, t) in [(5, 1), (6, 1), (9, 2)] {
        let mut world = guaranteed(World::delegated(2, n, t, 2, 8).with_max(5));
        world.request.aggregator = "product".to_owned();
        world.inputs[n..].fill(Some(vec![2, 3]));
        let (present, late) = (n - t, n - t - (2 * t + 1));
        world.request.compute.truncate(present);
        world.request.recipients = (0..present).chain(n..n + 2).collect();
        let cheaters: Vec<usize> = (present - t..present).collect();
        let ends = world.run(|simulator| {
            for member in 0..late {
                simulator.rewrite(member, |_, message| (message[0] != PRODUCT).then_some(message));
            }
            for cheater in cheaters.iter().copied() {
                let (delta, friends) = (bent(&world, cheater, late..present - t), cheaters.clone());
                simulator.rewrite(cheater, move |to, mut message| {
                    match message[0] {
                        PRODUCT if !friends.contains(&to) => add(&mut message, 16, delta),
                        RESULT => add(&mut message, 8 * ELEMENTS, F61::ONE),
                        _ => {}
                    }
                    Some(message)
                });
            }
        });
        let (results, _) = nobody_is_framed(&world, &ends, &cheaters, &format!("n={n} t={t}"));
        assert_eq!(results, 0, "n={n} t={t}: there are too few");
    }
}

/// What a compute peer lacks because its dealer gave it something else comes from others, one of whom lies: it is taken from
/// the one that gives what was agreed.
#[test]
fn rule5_what_is_passed_on_is_what_was_agreed() {
    for (giver, victim) in [(0, 2), (1, 2), (1, 3)] {
        let world = guaranteed(World::delegated(3, 4, 1, 2, 9));
        let ends = world.run(|simulator| {
            // What a compute peer sends of this kind is passed on.
            for (cheater, always) in [(4, false), (giver, true)] {
                simulator.rewrite(cheater, move |to, mut message| {
                    if message[0] == MASKED && (to == victim || always) {
                        *message.last_mut().expect("an element") ^= 1;
                    }
                    Some(message)
                });
            }
        });
        all_have(&world, &ends, &[giver, 4], &[4, 5, 6]);
    }
}

/// Cheaters deal every compute peer other keys: their sets are dropped, and products are masked by those of the others.
#[test]
fn rule5_products_are_right_though_keys_of_cheaters_differ() {
    for (n, t) in [(5, 1), (9, 2)] {
        let mut world = guaranteed(World::delegated(3, n, t, 2, 9).with_max(5));
        world.request.aggregator = "product".to_owned();
        let ends = world.run(|simulator| {
            for cheater in 0..t {
                simulator.rewrite(cheater, |to, mut message| {
                    if message[0] == KEYS {
                        let at = 1 + 32 * (to % 3) + to;
                        message[at] ^= 1 << (to % 8);
                    }
                    Some(message)
                });
            }
        });
        let cheaters: Vec<usize> = (0..t).collect();
        let (results, _) = nobody_is_framed(&world, &ends, &cheaters, &format!("n={n}"));
        assert_eq!(results, 3, "all recipients have it");
    }
}

/// t cheaters tell an input peer that all sets but one are dropped, whose key they know; what honest peers say is late. Whoever
/// believed them would mask its numbers with what they know.
#[test]
fn rule1_t_cheaters_cannot_talk_an_input_peer_out_of_its_mask() {
    for (n, t) in SIZES {
        let world = guaranteed(World::delegated(3, n, t, 2, 4));
        let cheaters: Vec<usize> = (0..t).collect();
        let (liars, dealer) = (cheaters.clone(), n);
        let (ends, wire) = world.altered(move |from, to, mut message| {
            if message[0] == DROPPED && to == dealer {
                if !liars.contains(&from) {
                    return None;
                }
                // Sets go by their bits: the first one is that of the first n-t compute peers.
                message[1] = 0;
                message[2..].fill(1);
            }
            Some(message)
        });
        assert!(error(&ends[dealer]).is_some(), "it gives nothing");
        assert!(wire.iter().all(|(from, _, message)| *from != dealer || message[0] != MASKED), "n={n}");
        all_have(&world, &ends, &[0, dealer], &[n + 1, n + 2]);
    }
}

/// Ten dealers that send nothing to one honest compute peer make another one give it all of that at once, maybe while it waits
/// for a silent one. Whoever took that for a flood would lose two of four, one of them honest.
#[test]
fn rule5_what_an_honest_compute_peer_has_to_give_is_no_flood() {
    let world = guaranteed(World::delegated(10, 4, 1, 47_000, 1));
    let (plan, nonces) = (world.plan(), world.nonces());
    let (mailbox, mut environment) = (Mailbox::new(plan.members().len()), world.environment(0));
    let mut session = pin!(run(&plan, 0, &mailbox, &mut environment, &nonces, None));
    assert!(session.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let dealt = Bytes::from(vec![0; plan.forecast().input_bytes as usize / 4]);
    assert!(10 * dealt.len() > PARKED_HARD_LIMIT);
    let half = dealt.slice(..dealt.len() / 2);
    let send = |from: usize, halves: usize| (0..halves).try_for_each(|_| mailbox.deliver(from, half.clone()));
    // All that it has to give, and what it deals itself; of a dealer its vector above the limit of all sessions.
    let above = PARKED_HARD_LIMIT / half.len() + 1;
    assert_eq!((send(1, 22), send(4, above)), (Ok(()), Ok(())));
    // That is what has a limit.
    assert_eq!((send(1, 22), send(4, 3)), (Err(Flooded(1)), Err(Flooded(4))));
}
