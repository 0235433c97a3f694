//! Verified arithmetic: right where all are honest; and where one is not, no wrong number is ever opened, nobody honest is
//! named, and whether the computation ends does not depend on secrets.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tacit_algebra::{F61, F127, Field, Fp};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Shared};
use tacit_engine::{Ended, Mailbox, Simulator};

use crate::arithmetic_world::{numbers, setup};
use crate::uniform::chi_squared;

/// The first byte of messages (the table is in arithmetic/wire.rs).
pub(crate) const INPUT: u8 = 1;
pub(crate) const RESHARE: u8 = 2;
const TO_KING: u8 = 4;
const FROM_KING: u8 = 5;
pub(crate) const OPEN: u8 = 6;
const COMMIT: u8 = 9;
const COIN: u8 = 10;

pub(crate) type Opened<F> = Result<Vec<F>, ArithmeticError>;
pub(crate) type Ends<F> = Vec<Ended<Opened<F>>>;

/// Runs the same program as each of n parties, under what `change` does to the simulator.
pub(crate) fn run<F: Field>(
    (n, t): (usize, usize),
    seed: u64,
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> Opened<F>,
    change: impl FnOnce(&mut Simulator<'_, Opened<F>>),
) -> Ends<F> {
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let (mailbox, program) = (simulator.mailbox(me), &program);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::verified(setup(&mailbox, me, n, t, seed))?;
            program(&mut context).await
        });
    }
    change(&mut simulator);
    simulator.run()
}

pub(crate) fn ok<F: Field>(end: &Ended<Opened<F>>) -> Option<&Vec<F>> {
    match end {
        Ended::Finished(Ok(opened)) => Some(opened),
        _ => None,
    }
}

pub(crate) fn error<F: Field>(end: &Ended<Opened<F>>) -> Option<&ArithmeticError> {
    match end {
        Ended::Finished(Err(error)) => Some(error),
        _ => None,
    }
}

/// Whom the honest call cheaters.
pub(crate) fn accused<F: Field>(ends: &Ends<F>, cheater: usize) -> Vec<usize> {
    let mut accused = Vec::new();
    for (_, end) in ends.iter().enumerate().filter(|(me, _)| *me != cheater) {
        match error(end) {
            Some(ArithmeticError::Malformed { member }) => accused.push(*member),
            Some(ArithmeticError::WrongShares { members }) => accused.extend(members),
            _ => {}
        }
    }
    accused
}

/// Two parties' numbers, neither of them party 0.
pub(crate) async fn inputs<F: Field>(
    context: &mut Arithmetic<'_, F>,
    length: usize,
) -> Result<[Shared<F>; 2], ArithmeticError> {
    let me = context.me();
    let own: Vec<F> = if me == 1 || me == 2 { numbers(length, me as u64) } else { Vec::new() };
    let mut lengths = vec![0; context.parties()];
    (lengths[1], lengths[2]) = (length, length);
    let mut shared = context.input_all(&lengths, &own).await?;
    let second = shared.swap_remove(2);
    Ok([shared.swap_remove(1), second])
}

pub(crate) fn plain<F: Field>(length: usize) -> [Vec<F>; 2] {
    [numbers(length, 1), numbers(length, 2)]
}

const GROUPS: [(usize, usize); 7] = [(3, 1), (4, 1), (5, 2), (6, 2), (7, 2), (7, 3), (8, 3)];

fn operations_are_right<F: Field>() {
    for group in GROUPS {
        let ends = run::<F>(
            group,
            3,
            async |context| {
                let [a, b] = inputs(context, 12).await?;
                let mut opened = Vec::new();
                let product = context.multiply(&a, &b).await?;
                let mut square = a.duplicate();
                context.square_assign(&mut square).await?;
                let dot = context.dot(&a, &b, 4).await?;
                let matrix = context.matmul(&a.slice(0..6), &b.slice(0..6), 2, 2).await?;
                let tree = context.product(&a.slice(0..10), 5).await?;
                let power = context.power(&b, 13).await?;
                let equal = context.equal(&Shared::concat(&[&a, &a]), &Shared::concat(&[&b, &a])).await?;
                for part in [product, square, dot, matrix, tree, power, equal] {
                    opened.extend(context.open(&part).await?);
                }
                let random = context.random(5).await?;
                let inverse = context.inverse(&random).await?;
                let one = context.multiply(&random, &inverse).await?;
                opened.extend(context.open(&one).await?);
                let bits = context.random_bits(40).await?;
                let bits = context.open(&bits).await?;
                assert!(bits.iter().all(|bit| *bit == F::ZERO || *bit == F::ONE));
                assert!(bits.contains(&F::ZERO) && bits.contains(&F::ONE));
                Ok(opened)
            },
            |_| {},
        );
        let [a, b] = plain::<F>(12);
        let products: Vec<F> = a.iter().zip(&b).map(|(a, b)| *a * *b).collect();
        let mut expected = products.clone();
        expected.extend(a.iter().map(|a| a.square()));
        expected.extend(products.chunks(4).map(|row| row.iter().copied().sum::<F>()));
        expected.extend(
            [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| (0..3).map(|k| a[3 * i + k] * b[2 * k + j]).sum::<F>()),
        );
        expected.extend(a[..10].chunks(5).map(|row| row.iter().fold(F::ONE, |p, a| p * *a)));
        expected.extend(b.iter().map(|b| b.pow_vartime(13)));
        expected.extend(a.iter().zip(&b).map(|(a, b)| if a == b { F::ONE } else { F::ZERO }));
        expected.extend([F::ONE; 12 + 5]);
        for end in &ends {
            assert_eq!(ok(end), Some(&expected), "{group:?}: {:?}", error(end));
        }
    }
}

#[test]
fn verified_operations_equal_plain_ones() {
    operations_are_right::<F61>();
    operations_are_right::<F127>();
}

/// More products than are verified at once, over kings and by resharing, opened by slices.
#[test]
fn verified_long_vectors_equal_plain_ones() {
    for group in [(3, 1), (7, 3), (7, 2)] {
        let length = 140_000;
        let ends = run::<F61>(
            group,
            4,
            async |context| {
                let [a, b] = inputs(context, length).await?;
                let mut product = context.multiply(&a, &b).await?;
                context.multiply_assign(&mut product, &a).await?;
                context.open(&product).await
            },
            |_| {},
        );
        let [a, b] = plain::<F61>(length);
        let expected: Vec<F61> = a.iter().zip(&b).map(|(a, b)| *a * *b * *a).collect();
        for end in &ends {
            assert!(ok(end) == Some(&expected), "{group:?}: {:?}", error(end));
        }
    }
}

#[test]
fn rule6_products_are_not_verified_in_small_fields() {
    let mailbox = Mailbox::new(3);
    let refused = Arithmetic::<Fp<1013>>::verified(setup(&mailbox, 0, 3, 1, 1));
    assert!(matches!(refused.err(), Some(ArithmeticError::WrongCall { .. })));
}

/// A product, a power and bits; nothing is party 0's.
pub(crate) async fn program<F: Field>(context: &mut Arithmetic<'_, F>) -> Opened<F> {
    let [a, b] = inputs(context, 3).await?;
    let mut product = context.multiply(&a, &b).await?;
    context.multiply_assign(&mut product, &a).await?;
    let bits = context.random_bits(2).await?;
    let both = context.multiply(&bits.slice(0..1), &bits.slice(1..2)).await?;
    // 0 whatever the bits are.
    let none = context.multiply(&both, &Shared::constant(&[F::ONE]).sub(&bits.slice(0..1))).await?;
    context.open(&Shared::concat(&[&product, &none])).await
}

pub(crate) fn result<F: Field>() -> Vec<F> {
    let [a, b] = plain::<F>(3);
    a.iter().zip(&b).map(|(a, b)| *a * *b * *a).chain([F::ZERO]).collect()
}

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

/// What is opened to verify products of zeros is uniform.
#[test]
fn what_verification_opens_is_uniform() {
    const BUCKETS: usize = 16;
    for group in [(3, 1), (5, 2)] {
        for value in [0, 1] {
            let mut counts = [[0; BUCKETS]; 3];
            for seed in 0..1600 {
                let last = Rc::new(RefCell::new(Vec::new()));
                let kept = Rc::clone(&last);
                run::<F61>(
                    group,
                    seed,
                    async |context| {
                        let own = [F61::from_u64(value); 2];
                        let a = context.input(1, 2, (context.me() == 1).then_some(&own[..])).await?;
                        _ = context.multiply(&a, &a).await?;
                        context.verify().await?;
                        Ok(Vec::new())
                    },
                    |simulator| {
                        simulator.rewrite(1, move |_, message| {
                            if message[0] == OPEN {
                                *kept.borrow_mut() = message[5..].to_vec();
                            }
                            Some(message)
                        });
                    },
                );
                for (counts, element) in counts.iter_mut().zip(last.borrow().as_chunks::<8>().0) {
                    counts[usize::from(element[0] & 15)] += 1;
                }
            }
            for counts in counts {
                let chi = chi_squared(&counts);
                // 15 degrees of freedom: above 50 once in 90,000.
                assert!(chi < 50.0, "{group:?} {value}: {chi}");
            }
        }
    }
}

/// Comparisons of numbers at the borders and all over, in both fields, for all groups.
#[test]
fn verified_comparisons_equal_plain_ones() {
    fn compare<F: Field>(group: (usize, usize), bits: u32) {
        let largest = (1u128 << bits) - 1;
        let numbers = |side: u128| -> Vec<F> {
            let border = [0, 1, largest, largest - 1, largest / 2];
            let mixed = (0..8u128).map(|i| (i * 0x9e37_79b9_7f4a_7c15 * (3 + side)) >> (i % 5) & largest);
            border.into_iter().flat_map(|a| [a, a.saturating_sub(side), a]).chain(mixed).map(F::from_u128).collect()
        };
        let (a, mut b) = (numbers(0), numbers(1));
        b.rotate_left(2);
        let ends = run::<F>(
            group,
            13,
            async |context| {
                let (a, b) = (Shared::constant(&a), Shared::constant(&b));
                let less = context.less_than(&a, &b, bits).await?;
                let lowest = context.least_significant_bit(&a, bits).await?;
                let largest = context.max(&Shared::concat(&[&a.slice(0..6), &b.slice(0..6)]), 3, bits).await?;
                context.open(&Shared::concat(&[&less, &lowest, &largest])).await
            },
            |_| {},
        );
        let bit = |bit: bool| F::from_u64(u64::from(bit));
        let mut expected: Vec<F> = a.iter().zip(&b).map(|(a, b)| bit(a.to_u128() < b.to_u128())).collect();
        expected.extend(a.iter().map(|a| bit(a.to_u128() % 2 == 1)));
        let rows: Vec<u128> = a[..6].iter().chain(&b[..6]).map(|x| x.to_u128()).collect();
        expected.extend(rows.chunks(3).map(|row| F::from_u128(row.iter().copied().max().expect("three"))));
        for end in &ends {
            assert_eq!(ok(end), Some(&expected), "{group:?} {bits} bits: {:?}", error(end));
        }
    }
    for group in GROUPS {
        compare::<F61>(group, 59);
        compare::<F61>(group, 7);
    }
    for group in [(3, 1), (4, 1), (5, 2)] {
        compare::<F127>(group, 64);
        compare::<F127>(group, 125);
    }
}

/// Sorting, also in rows and with what belongs to each key, is offered where products are verified, too.
#[test]
fn verified_orders_equal_plain_ones() {
    let keys: Vec<u128> = (0..12u128).map(|i| i * 7 % 12 + 3).collect();
    let field = |numbers: &[u128]| -> Vec<F61> { numbers.iter().map(|x| F61::from_u128(*x)).collect() };
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let mut in_rows = keys.clone();
    in_rows.chunks_exact_mut(4).for_each(<[u128]>::sort_unstable);
    let squares = |keys: &[u128]| keys.iter().map(|key| key * key).collect::<Vec<u128>>();
    let expected = field(&[sorted.clone(), in_rows, sorted.clone(), squares(&sorted)].concat());
    for group in [(3, 1), (4, 1), (5, 2), (7, 3)] {
        let ends = run::<F61>(
            group,
            17,
            async |context| {
                let (x, payload) = (Shared::constant(&field(&keys)), Shared::constant(&field(&squares(&keys))));
                let (sorted, in_rows) = (context.sort(&x, 8).await?, context.sort_rows(&x, 4, 8).await?);
                let (keys, payload) = context.sort_with(&x, 8, &payload, 8).await?;
                context.open(&Shared::concat(&[&sorted, &in_rows, &keys, &payload])).await
            },
            |_| {},
        );
        for end in &ends {
            assert_eq!(ok(end), Some(&expected), "{group:?}: {:?}", error(end));
        }
    }
}

/// A malformed bit, a wrong product in the tree, a wrong share of what is masked: no wrong order is ever opened, and the masked
/// number is not opened before its mask is verified.
#[test]
fn rule6_nothing_wrong_about_an_order_is_opened() {
    for group in [(3, 1), (4, 1), (5, 2)] {
        let compare = async |context: &mut Arithmetic<'_, F61>| {
            let [a, b] = inputs(context, 1).await?;
            // 1 where the fields' numbers differ as they do: the square of a difference below 2^20.
            let small = [context.is_zero(&a.sub(&b)).await?, Shared::constant(&[F61::from_u64(3)])];
            let less = context.less_than(&small[0], &small[1], 20).await?;
            context.open(&less).await
        };
        let messages = Rc::new(Cell::new(0));
        let counter = Rc::clone(&messages);
        let ends = run::<F61>(group, 14, compare, |simulator| {
            simulator.rewrite(0, move |_, message| {
                counter.set(counter.get() + 1);
                Some(message)
            });
        });
        assert!(ends.iter().all(|end| ok(end) == Some(&vec![F61::ONE])));
        for target in 0..messages.get() {
            let mut at = 0;
            let masked = Rc::new(Cell::new(false));
            let seen = Rc::clone(&masked);
            let ends = run::<F61>(group, 14, compare, |simulator| {
                simulator.rewrite(0, move |_, mut message| {
                    at += 1;
                    if at == target + 1 {
                        seen.set(matches!(message[0], INPUT | RESHARE));
                        let place = message.len() - 8;
                        message[place] ^= 1;
                    }
                    Some(message)
                });
            });
            for end in &ends[1..] {
                assert!(ok(end).is_none_or(|opened| *opened == vec![F61::ONE]), "{group:?} {target}");
            }
            // What was dealt wrongly never passes for anybody.
            if masked.get() {
                assert!(ends[1..].iter().all(|end| ok(end).is_none()), "{group:?} {target}");
            }
            assert!(accused(&ends, 0).iter().all(|member| *member == 0), "{group:?} {target}");
        }
    }
}
