//! One party of a verified computation changes, repeats or withholds something: no wrong number is ever opened, nobody honest is
//! named, and whether the computation ends does not depend on secrets.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tacit_algebra::{F61, Field};
use tacit_engine::Simulator;
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError};

use crate::arithmetic_world::setup;
use crate::verified::{
    COIN, COMMIT, Ends, FROM_KING, INPUT, OPEN, Opened, RESHARE, TO_KING, accused, error, inputs, ok, program, result,
    run,
};

/// One party changes any one of its messages, in any of these ways, or does not send it.
#[test]
fn rule5_no_single_change_makes_a_wrong_product_or_frames_anybody() {
    for group in [(3, 1), (4, 1), (5, 2), (6, 2)] {
        let sent = Rc::new(RefCell::new(Vec::new()));
        let kinds = Rc::clone(&sent);
        let ends = run::<F61>(group, 5, program, |simulator| {
            simulator.rewrite(0, move |_, message| {
                kinds.borrow_mut().push(message[0]);
                Some(message)
            });
        });
        assert!(ends.iter().all(|end| ok(end) == Some(&result())));
        let kinds = sent.borrow().clone();
        assert!([RESHARE, OPEN, COIN].iter().all(|kind| kinds.contains(kind)));
        for (target, kind) in kinds.into_iter().enumerate() {
            for change in 0..5 {
                let mut at = 0;
                let ends = run::<F61>(group, 5, program, |simulator| {
                    simulator.rewrite(0, move |_, mut message| {
                        at += 1;
                        if at != target + 1 {
                            return Some(message);
                        }
                        let length = message.len();
                        match change {
                            0 => return None,
                            1 => message[length - 8] ^= 1,
                            2 => message[5] ^= 4,
                            3 => message[0] ^= 1,
                            _ => message.truncate(length - 1),
                        }
                        Some(message)
                    });
                });
                let honest = || ends.iter().skip(1);
                for end in honest() {
                    assert!(ok(end).is_none_or(|opened| *opened == result()), "{group:?} {target} {change}");
                    assert!(ok(end).is_some() || error(end).is_some(), "{group:?} {target} {change}: no end");
                }
                assert!(accused(&ends, 0).iter().all(|member| *member == 0), "{group:?} {target} {change}");
                // An error in a product never passes for anybody.
                if kind == RESHARE && matches!(change, 1 | 2) {
                    assert!(honest().all(|end| error(end).is_some()), "{group:?} {target} {change}");
                }
            }
        }
    }
}

/// The whole of what is opened at the end of a program, if all honest parties send it only after the check.
fn opened_after(wire: &[(usize, u8, usize)], elements: usize, cheater: usize) -> usize {
    wire.iter().filter(|(from, kind, length)| *from != cheater && *kind == OPEN && *length == 5 + 8 * elements).count()
}

type Wire = Rc<RefCell<Vec<(usize, u8, usize)>>>;

/// Passes everything on, changed by `cheat` where the cheater sends it, and remembers kinds and lengths.
fn tap<F: Field>(
    simulator: &mut Simulator<'_, Opened<F>>,
    n: usize,
    cheater: usize,
    cheat: impl FnMut(usize, &mut Vec<u8>) + 'static,
) -> Wire {
    let wire = Wire::default();
    let cheat = Rc::new(RefCell::new(cheat));
    for from in 0..n {
        let (wire, cheat) = (Rc::clone(&wire), Rc::clone(&cheat));
        simulator.rewrite(from, move |to, mut message| {
            if from == cheater {
                cheat.borrow_mut()(to, &mut message);
            }
            wire.borrow_mut().push((from, message[0], message.len()));
            Some(message)
        });
    }
    wire
}

/// A king tells one peer another number than the rest, or a dealer deals it a share that does not fit, with more peers
/// than 2t+1: found before the next product, so that nothing is computed from it. Products of fewer than seven go over no
/// kings: there the dealers are tried, and kings in arithmetic/multiply/king.rs.
#[test]
fn rule6_kings_and_dealers_that_equivocate_are_found_layer_by_layer() {
    for (group, length) in [((4, 1), 9), ((6, 2), 9), ((7, 2), 9), ((7, 2), 20_000), ((9, 3), 20_000)] {
        let kind = if length > 9 { FROM_KING } else { RESHARE };
        let layers = |change: bool| {
            let mut wire = None;
            let ends = run::<F61>(
                group,
                6,
                async |context| {
                    let [a, b] = inputs(context, length).await?;
                    let mut product = context.multiply(&a, &b).await?;
                    context.multiply_assign(&mut product, &a).await?;
                    context.open(&product.slice(0..7)).await
                },
                |simulator| {
                    let mut first = change;
                    wire = Some(tap(simulator, group.0, 0, move |_, message| {
                        if message[0] == kind && std::mem::take(&mut first) {
                            message[5] ^= 1;
                        }
                    }));
                },
            );
            let wire = wire.expect("tapped");
            let wire = wire.borrow();
            let of_layers = if length > 9 { TO_KING } else { RESHARE };
            let honest = wire.iter().filter(|(from, kind, size)| *from == 2 && *kind == of_layers && *size > 5 + 8 * 8);
            (ends, honest.count(), opened_after(&wire, 7, 0))
        };
        let (ends, both, opened) = layers(false);
        assert!(ends.iter().all(|end| ok(end).is_some()));
        assert!(both > 0 && opened > 0);
        let (ends, first, opened) = layers(true);
        for end in &ends[1..] {
            assert!(
                matches!(error(end), Some(ArithmeticError::Unverified | ArithmeticError::Lost { .. })),
                "{group:?}"
            );
        }
        assert!(ends[1..].iter().any(|end| error(end) == Some(&ArithmeticError::Unverified)));
        assert!(first < both, "{group:?}: nothing is multiplied after a layer that does not fit");
        assert_eq!(opened, 0, "{group:?}");
    }
}

/// An error in a product, of every kind and by every party, is found before the first share of a result leaves.
#[test]
fn rule6_nothing_is_opened_before_it_is_verified() {
    for (group, length) in [((3, 1), 5), ((5, 2), 5), ((7, 3), 5), ((7, 3), 20_000)] {
        for cheater in 0..group.0 {
            let kind = if length > 5 { TO_KING } else { RESHARE };
            let mut wire = None;
            let ends = run::<F61>(
                group,
                7,
                async |context| {
                    let [a, b] = inputs(context, length).await?;
                    let product = context.multiply(&a, &b).await?;
                    let result = context.multiply(&product, &a).await?;
                    context.open(&result.slice(0..5)).await
                },
                |simulator| {
                    let mut first = true;
                    wire = Some(tap(simulator, group.0, cheater, move |_, message| {
                        if message[0] == kind && std::mem::take(&mut first) {
                            message[5] ^= 1;
                        }
                    }));
                },
            );
            let honest = ends.iter().enumerate().filter(|(me, _)| *me != cheater);
            for (me, end) in honest {
                let found = error(end);
                assert!(
                    matches!(found, Some(ArithmeticError::Unverified | ArithmeticError::Lost { .. })),
                    "{me} of {group:?}: {found:?}"
                );
            }
            assert_eq!(opened_after(&wire.expect("tapped").borrow(), 5, cheater), 0, "{group:?}");
        }
    }
}

/// An error on a control bit's product, for both bits: the computation always ends, so its end tells nothing.
#[test]
fn rule5_an_error_on_a_control_bit_ends_the_computation_whatever_the_bit() {
    for group in [(3, 1), (5, 2)] {
        let ends_of = |bit: u64, on_bit: bool| {
            let unverified = |seed| {
                let ends = run::<F61>(
                    group,
                    seed,
                    async |context| {
                        let own = [F61::from_u64(bit), F61::from_u64(10), F61::from_u64(20)];
                        let shared = context.input(1, 3, (context.me() == 1).then_some(&own[..])).await?;
                        let [bit, a, b] = [0, 1, 2].map(|i| shared.slice(i..i + 1));
                        // b^2, b^3, ... are b.
                        let bit = if on_bit { context.power(&bit, 3).await? } else { bit };
                        let chosen = context.select(&bit, &a, &b).await?;
                        context.open(&chosen).await
                    },
                    |simulator| {
                        let mut first = true;
                        simulator.rewrite(0, move |_, mut message| {
                            if message[0] == RESHARE && std::mem::take(&mut first) {
                                message[5] ^= 1;
                            }
                            Some(message)
                        });
                    },
                );
                ends[1..].iter().all(|end| ok(end).is_none())
            };
            (0..60).filter(|seed| unverified(*seed)).count()
        };
        for on_bit in [false, true] {
            assert_eq!((ends_of(0, on_bit), ends_of(1, on_bit)), (60, 60), "{group:?}");
        }
    }
}

/// A dealer of a random bit that deals neither 1 nor -1 would take the mask from what the bit hides.
#[test]
fn rule6_malformed_random_bits_are_found_before_they_are_used() {
    for seed in 0..20 {
        let mut wire = None;
        let ends = run::<F61>(
            (3, 1),
            seed,
            async |context| {
                let bits = context.random_bits(6).await?;
                let opened = context.open(&bits).await?;
                assert!(opened.iter().all(|bit| *bit == F61::ZERO || *bit == F61::ONE));
                Ok(opened)
            },
            |simulator| {
                wire = Some(tap(simulator, 3, 0, |_, message| {
                    if message[0] == INPUT {
                        message[6] ^= 1;
                    }
                }));
            },
        );
        // Dealers rotate: party 0 deals if it sends anything of that kind.
        let wire = wire.expect("tapped");
        let dealt = wire.borrow().iter().any(|(from, kind, _)| *from == 0 && *kind == INPUT);
        assert!(dealt && ends[1..].iter().all(|end| ok(end).is_none()));
        assert_eq!(opened_after(&wire.borrow(), 6, 0), 0);
    }
}

/// Messages of an earlier run in place of today's.
#[test]
fn rule4_products_of_an_earlier_run_do_not_pass() {
    for kind in [RESHARE, COMMIT, COIN, OPEN] {
        let old = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&old);
        run::<F61>((3, 1), 8, program, |simulator| {
            simulator.rewrite(1, move |to, message| {
                if message[0] == kind {
                    kept.borrow_mut().push((to, message.clone()));
                }
                Some(message)
            });
        });
        let ends = run::<F61>((3, 1), 9, program, |simulator| {
            simulator.rewrite(1, move |to, message| {
                let mut old = old.borrow_mut();
                let replayed = old.iter().position(|(was_to, _)| message[0] == kind && *was_to == to);
                Some(replayed.map_or(message, |i| old.remove(i).1))
            });
        });
        assert!([0, 2].into_iter().all(|me| ok(&ends[me]).is_none()), "kind {kind}");
        assert!(accused(&ends, 1).iter().all(|member| *member == 1));
    }
}

#[test]
fn rule5_silence_is_a_loss_and_never_called_cheating() {
    for after in 0..30 {
        for group in [(3, 1), (4, 1), (5, 2)] {
            let ends = run::<F61>(group, 10, program, |simulator| simulator.crash_after(1, after));
            for (_, end) in ends.iter().enumerate().filter(|(me, _)| *me != 1) {
                let fine = ok(end).is_some_and(|opened| *opened == result())
                    || matches!(error(end), Some(ArithmeticError::Lost { .. }));
                assert!(fine, "{group:?} after {after}: {:?}", error(end));
            }
        }
    }
}

/// A party's coin is shown only after it has heard everybody: a king that owes a peer its part learns no challenge.
#[test]
fn rule6_no_coin_is_shown_before_all_kings_were_heard() {
    let shown = Rc::new(Cell::new(0));
    let counter = Rc::clone(&shown);
    let mut simulator = Simulator::new(5, 11);
    for me in 0..5 {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::<F61>::new(setup(&mailbox, me, 5, 2, 11))?;
            let random = context.random(20_000).await?;
            context.open(&random).await
        });
    }
    simulator.rewrite(3, |to, message| (message[0] != FROM_KING || to != 1).then_some(message));
    simulator.rewrite(1, move |_, message| {
        counter.set(counter.get() + usize::from(message[0] == COIN));
        Some(message)
    });
    let ends: Ends<F61> = simulator.run();
    assert_eq!(shown.get(), 0);
    assert!(ends.iter().all(|end| ok(end).is_none()), "one coin lacks");
}

/// Two hashes of one coin would let a party choose a challenge for each peer.
#[test]
fn rule6_coins_are_committed_alike_to_all() {
    for group in [(3, 1), (5, 2)] {
        // The first hash, and the next one that goes along with a coin.
        for (kind, place, other_error) in [(COMMIT, 5, false), (COIN, 5 + 32, false), (COIN, 5, true)] {
            let ends = run::<F61>(group, 12, program, |simulator| {
                let mut first = true;
                simulator.rewrite(0, move |to, mut message| {
                    if message[0] == kind && to == 1 && std::mem::take(&mut first) {
                        message[place] ^= 1;
                    }
                    Some(message)
                });
            });
            assert!(ends[1..].iter().all(|end| ok(end).is_none()));
            assert!(accused(&ends, 0).iter().all(|member| *member == 0));
            if other_error {
                assert_eq!(
                    error(&ends[1]),
                    Some(&ArithmeticError::Malformed { member: 0 }),
                    "its own hash convicts it"
                );
            }
        }
    }
}
