//! Cheaters that look before they cheat, and such that send what is right too late. What else is tried stands in
//! docs/checks.md, at rules 5 and 6.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tacit_algebra::{F61, Field};
use tacit_engine::arithmetic::{Arithmetic, Shared};
use tacit_engine::{Ended, SecurityModel, Simulator};

use crate::arithmetic_world::{points, setup};
use crate::guaranteed;
use crate::malicious;
use crate::verified::{self, Ends, INPUT, OPEN, Opened, RESHARE, accused, error, inputs, ok, plain, program, result};
use crate::world::{World, outcome};

/// Elements that honest parties told the cheater, as they left: it hears them before it speaks.
type Seen = Rc<RefCell<Vec<F61>>>;

/// Lets party 0 hear the last element of each message to it.
fn listen(simulator: &mut Simulator<'_, Opened<F61>>, n: usize) -> Seen {
    let seen = Seen::default();
    for from in 1..n {
        let seen = Rc::clone(&seen);
        simulator.rewrite(from, move |to, message| {
            if to == 0 && [INPUT, RESHARE, OPEN].contains(&message[0]) {
                seen.borrow_mut().extend(F61::from_bytes_checked(&message[message.len() - 8..]));
            }
            Some(message)
        });
    }
    seen
}

/// Adds to the first element of a message.
fn add(message: &mut [u8], error: F61) {
    let element = F61::from_bytes_checked(&message[5..13]).expect("an element");
    let mut bytes = Vec::new();
    (element + error).write_bytes(&mut bytes);
    message[5..13].copy_from_slice(&bytes);
}

/// One product, opened. The cheater adds what it heard last to what it deals, and shifts its own share as the new
/// polynomial wants it. Returns what the honest make of it, and the product.
fn shifted_product(seed: u64, is_verified: bool) -> (Vec<Option<F61>>, F61) {
    let mut simulator = Simulator::new(3, seed);
    for me in 0..3 {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let setup = setup(&mailbox, me, 3, 1, seed);
            let mut context = if is_verified { Arithmetic::verified(setup)? } else { Arithmetic::new(setup)? };
            let [a, b] = inputs(&mut context, 1).await?;
            let product = context.multiply(&a, &b).await?;
            context.open(&product).await
        });
    }
    let seen = listen(&mut simulator, 3);
    // The share of party 1 comes from a seed, that of party 2 in a message.
    let x: Vec<F61> = points(3, seed);
    let own = (x[0] - x[1]) * (x[2] - x[1]).inv_or_zero();
    let mut shift = None;
    simulator.rewrite(0, move |to, mut message| {
        let heard = seen.borrow().last().copied();
        if message[0] == RESHARE && to == 2 && shift.is_none() {
            shift = heard;
            add(&mut message, heard.expect("something was dealt before"));
        } else if message[0] == OPEN {
            add(&mut message, shift.unwrap_or_default() * own);
        }
        Some(message)
    });
    let ends: Ends<F61> = simulator.run();
    let [a, b] = plain::<F61>(1);
    (ends[1..].iter().map(|end| ok(end).map(|opened| opened[0])).collect(), a[0] * b[0])
}

/// A cheater that hears the others' shares of a step before it deals its own ones. The same attack makes a wrong product pass
/// where products are not verified: there the model promises nothing.
#[test]
fn rule5_an_adaptive_cheater_makes_no_wrong_product_pass() {
    for seed in 0..40 {
        let (opened, product) = shifted_product(seed, false);
        assert!(opened.iter().all(|opened| opened.is_some_and(|opened| opened != product)), "the attack is one");
        let (opened, _) = shifted_product(seed, true);
        assert!(opened.iter().all(Option::is_none), "seed {seed}");
    }
}

/// Cheats chosen from what was heard, in every message of every step, verification included.
#[test]
fn rule5_cheats_that_follow_what_was_heard_neither_pass_nor_frame_anybody() {
    for (group, strategy) in [(3, 1), (4, 1), (5, 2), (7, 3)].into_iter().flat_map(|g| (0..5).map(move |s| (g, s))) {
        for seed in 0..6 {
            let cheats = Rc::new(Cell::new(0));
            let counter = Rc::clone(&cheats);
            let ends = verified::run::<F61>(group, seed, program, |simulator| {
                let seen = listen(simulator, group.0);
                let mut owed = F61::ZERO;
                simulator.rewrite(0, move |to, mut message| {
                    let Some(heard) = seen.borrow().last().copied() else { return Some(message) };
                    let odd = heard.to_u128() % 2 == 1;
                    let error = match (strategy, message[0]) {
                        // Everywhere; only if it likes what it heard; the same for one of its peers alone.
                        (0, RESHARE | OPEN) => heard,
                        (1, RESHARE | OPEN) if odd => F61::ONE,
                        (2, RESHARE) if to == group.0 - 1 => heard,
                        // Takes back in an opening what it added before.
                        (3, RESHARE) => {
                            owed += heard;
                            heard
                        }
                        (3, OPEN) => -std::mem::take(&mut owed),
                        // Waits for the last steps: what an honest party opens becomes its own share.
                        (4, OPEN) => heard - F61::from_bytes_checked(&message[5..13]).expect("an element"),
                        _ => F61::ZERO,
                    };
                    if error != F61::ZERO {
                        counter.set(counter.get() + 1);
                        add(&mut message, error);
                    }
                    Some(message)
                });
            });
            assert!(cheats.get() > 0 || strategy == 1, "{group:?} {strategy}: nothing was tried");
            for end in &ends[1..] {
                let fine = ok(end).is_none_or(|opened| *opened == result());
                assert!(fine, "{group:?} strategy {strategy} seed {seed}");
            }
            assert!(accused(&ends, 0).iter().all(|member| *member == 0), "{group:?} strategy {strategy} seed {seed}");
        }
    }
}

/// From the given message on, everything comes one message too late: what belonged to one step arrives in the next.
fn late(from: usize) -> impl FnMut(usize, Vec<u8>) -> Option<Vec<u8>> {
    let mut held: HashMap<usize, Vec<u8>> = HashMap::new();
    let mut sent = 0;
    move |to, message| {
        sent += 1;
        if sent <= from { Some(message) } else { held.insert(to, message) }
    }
}

#[test]
fn rule5_late_messages_in_products_neither_pass_nor_frame_anybody() {
    for group in [(3, 1), (4, 1), (5, 2)] {
        for from in 0..40 {
            let ends = verified::run::<F61>(group, 5, program, |simulator| simulator.rewrite(0, late(from)));
            for end in &ends[1..] {
                assert!(ok(end).is_none_or(|opened| *opened == result()), "{group:?} from {from}");
                assert!(ok(end).is_some() || error(end).is_some(), "{group:?} from {from}: no end");
            }
            assert!(accused(&ends, 0).iter().all(|member| *member == 0), "{group:?} from {from}");
        }
    }
}

#[test]
fn rule5_late_messages_in_sums_neither_pass_nor_frame_anybody() {
    for (n, t) in [(3, 1), (4, 1), (5, 2)] {
        let world = World::decentralised(n, t, 1, 3).with_max(5).proven(SecurityModel::Malicious);
        let others: u128 = (1..n).filter_map(|m| world.inputs[m].as_ref()).map(|v| u128::from(v[0])).sum();
        for from in 0..12 * n {
            let ends = world.clone().fresh().run(|simulator| simulator.rewrite(0, late(from)));
            for end in &ends[1..] {
                assert!(matches!(end, Ended::Finished(_)), "n = {n} from {from}: no end");
                let values = outcome(end).and_then(|outcome| outcome.values.clone());
                // The late one's own number is its business, within the bound.
                assert!(values.is_none_or(|values| (others..=others + 5).contains(&values[0])), "n = {n} from {from}");
            }
            assert!(malicious::accused(&ends, 1..n).iter().all(|m| *m == 0), "n = {n} from {from}");
        }
    }
}

/// Where the result is promised it comes, whenever t peers begin to be late.
#[test]
fn rule5_guaranteed_goes_on_without_late_peers() {
    for (n, t) in [(4, 1), (5, 1), (7, 2)] {
        let late_ones: Vec<usize> = (1..=t).collect();
        for from in (0..16 * n).step_by(3) {
            let world = guaranteed::guaranteed(World::decentralised(n, t, 3, 2));
            let ends =
                world.run(|simulator| late_ones.iter().for_each(|member| simulator.rewrite(*member, late(from))));
            let contributors = outcome(&ends[0]).unwrap_or_else(|| panic!("n = {n} from {from}")).contributors.clone();
            assert!((0..n).filter(|m| !late_ones.contains(m)).all(|m| contributors.contains(&m)));
            guaranteed::all_have(&world, &ends, &late_ones, &contributors);
        }
    }
}

/// Random elements that come in batches from all, dealt wrongly: what is computed from them is right, or nothing comes.
#[test]
fn rule6_malformed_random_elements_are_found_before_anything_is_opened() {
    const MASK: u8 = 3;
    for group in [(8, 3), (9, 4)] {
        for place in [5, 12] {
            let changed = Rc::new(Cell::new(0));
            let counter = Rc::clone(&changed);
            let ends = verified::run::<F61>(
                group,
                15,
                async |context| {
                    let random = context.random(9).await?;
                    let inverse = context.inverse(&random).await?;
                    let one = context.multiply(&random, &inverse).await?;
                    // A square that is opened beside its root's root would show a mask of a wrong degree.
                    let square = context.multiply(&one, &one).await?;
                    context.open(&Shared::concat(&[&one, &square])).await
                },
                |simulator| {
                    simulator.rewrite(0, move |to, mut message| {
                        if message[0] == MASK && to == group.0 - 1 {
                            counter.set(counter.get() + 1);
                            message[place] ^= 1;
                        }
                        Some(message)
                    });
                },
            );
            assert!(changed.get() > 0, "{group:?}: nothing is dealt");
            for end in &ends[1..] {
                assert!(ok(end).is_none_or(|opened| *opened == [F61::ONE; 18]), "{group:?}");
                // Of more than 2t+1 shares one does not fit.
                assert!(group != (8, 3) || ok(end).is_none(), "{group:?}");
            }
            assert!(accused(&ends, 0).iter().all(|member| *member == 0), "{group:?}");
        }
    }
}
