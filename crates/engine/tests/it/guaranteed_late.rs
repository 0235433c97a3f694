//! The model `guaranteed` on a network that is not synchronous: messages of one honest compute peer to another one are
//! late, beside t cheaters. The result may fail to come; no wrong one does, and nobody honest is named or convicted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use tacit_algebra::{F61, Field};
use tacit_engine::SessionError;
use tacit_engine::simulator::SplitMix;

use crate::evidence::{signed_lie, verify};
use crate::guaranteed::guaranteed;
use crate::world::{AGREE, ANSWERS, COIN, Ends, KEYS, MASKED, RESULT, Sim, World, error, outcome};

/// The honest peer whose messages are late, and the honest one that they are late for.
const LATE: usize = 0;
const VICTIM: usize = 1;
/// What a peer sends in a round of agreement that has nothing to pass on.
const NOTHING_NEW: [u8; 5] = [AGREE, 0, 0, 0, 0];

/// Masked products (the table is in arithmetic/wire.rs).
pub(crate) const PRODUCT: u8 = 11;

/// Two sums or products, and the salt.
pub(crate) const ELEMENTS: usize = 7;

/// Groups for sums, and for products.
const SUMS: [(usize, usize); 3] = [(4, 1), (7, 2), (10, 3)];
const PRODUCTS: [(usize, usize); 2] = [(5, 1), (9, 2)];

fn world(n: usize, t: usize, products: bool, everybody: bool) -> World {
    let world = match everybody {
        true => World::decentralised(n, t, 2, 8),
        false => World::delegated(2, n, t, 2, 8),
    };
    let mut world = guaranteed(world.with_max(5));
    if products {
        world.request.aggregator = "product".to_owned();
    }
    world
}

fn worlds() -> impl Iterator<Item = (World, usize, usize)> {
    let groups = SUMS.map(|group| (group, false)).into_iter().chain(PRODUCTS.map(|group| (group, true)));
    groups.flat_map(|((n, t), products)| [true, false].map(|everybody| (world(n, t, products, everybody), n, t)))
}

/// Passes every message through one function of sender, receiver, how many of its kind went that way before, and content.
fn rewrite_all(
    simulator: &mut Sim<'_>,
    members: usize,
    hook: impl Fn(usize, usize, usize, Vec<u8>) -> Option<Vec<u8>> + Clone + 'static,
) {
    for from in 0..members {
        let (hook, mut sent) = (hook.clone(), BTreeMap::<(usize, u8), usize>::new());
        simulator.rewrite(from, move |to, message| {
            let number = sent.entry((to, message[0])).or_default();
            *number += 1;
            hook(from, to, *number - 1, message)
        });
    }
}

/// No honest recipient of that run has a wrong result, names somebody honest, or holds what convicts somebody honest.
/// Returns how many have a result, and how many stopped because they were not heard.
pub(crate) fn nobody_is_framed(world: &World, ends: &Ends, cheaters: &[usize], what: &str) -> (usize, usize) {
    let plan = world.plan();
    let (mut results, mut stopped) = (0, 0);
    for (member, end) in ends.iter().enumerate().filter(|(member, _)| !cheaters.contains(member)) {
        for evidence in world.journals[member].evidence() {
            let convicted = evidence.check(&plan, verify(world)).expect("a peer keeps what convicts");
            let convicted = plan.index_of(&convicted).expect("a member");
            assert!(cheaters.contains(&convicted), "{what}: {convicted} is honest and convicted");
        }
        let Some(outcome) = outcome(end) else {
            let error = error(end).expect("an end");
            assert!(!matches!(error, SessionError::PeerMisbehaved { .. }), "{what}: {member} blames: {error:?}");
            stopped += usize::from(*error == SessionError::TooSlow);
            continue;
        };
        let framed = outcome.faults.iter().find(|fault| !cheaters.contains(&fault.member));
        assert_eq!(framed, None, "{what}: {member} names somebody honest");
        if let Some(values) = &outcome.values {
            let rows = || outcome.contributors.iter().filter_map(|member| world.inputs[*member].as_ref());
            let product = world.request.aggregator == "product";
            let right: Vec<u128> = (0..world.request.items)
                .map(|item| rows().map(move |row| u128::from(row[item])))
                .map(|column| if product { column.product() } else { column.sum() })
                .collect();
            assert_eq!(*values, right, "{what}: {member} has a wrong result");
            results += 1;
        }
    }
    (results, stopped)
}

/// What t cheaters do so that the last round of an agreement decides: the first of them tells what it says to the second
/// one only, that one to the third, and the last one, in round t, to the peer whose messages are late. Each chain is
/// signed as the protocol wants it, by the protocol's own code.
fn through_the_chain(
    cheaters: Range<usize>,
    stage: usize,
) -> impl Fn(usize, usize, usize, &mut Vec<u8>) + Clone + 'static {
    let t = cheaters.len();
    move |from, to, number, message| {
        let Some(link) = from.checked_sub(cheaters.start).filter(|_| cheaters.contains(&from)) else { return };
        let next = if link + 1 == t { LATE } else { from + 1 };
        if message[0] == AGREE && number == stage * (t + 1) + link && to != next {
            *message = NOTHING_NEW.to_vec();
        }
    }
}

/// Whether a message comes too late: those of the late peer to the victim, from the given one on.
fn is_late(from: usize, to: usize, late: &Cell<bool>, since: impl FnOnce() -> bool) -> bool {
    let theirs = (from, to) == (LATE, VICTIM);
    if theirs && since() {
        late.set(true);
    }
    theirs && late.get()
}

/// What the first cheater says that it got of this dealer's keys is something else.
fn claims_another_key(dealer: usize, cheater: usize, from: usize, to: usize, message: &mut [u8]) {
    if let (KEYS, true, Some(last)) = (message[0], (from, to) == (dealer, cheater), message.last_mut()) {
        *last ^= 1;
    }
}

/// A cheater says it holds another key of an honest dealer; who hears that in time drops the key's set.
#[test]
fn rule5_a_late_word_about_keys_frames_nobody() {
    let mut stopped = 0;
    for (world, n, t) in worlds() {
        let members = world.request.members.len();
        let cheaters: Vec<usize> = (n - t..n).collect();
        let outside = world.request.inputs.iter().copied().find(|input| *input >= n);
        // The victim's own keys, those of another honest peer, those of an input peer that does not compute.
        for dealer in [Some(VICTIM), Some(2), outside].into_iter().flatten() {
            let world = world.clone().fresh();
            let (chain, late) = (through_the_chain(n - t..n, 0), Rc::new(Cell::new(false)));
            let ends = world.run(|simulator| {
                rewrite_all(simulator, members, move |from, to, number, mut message| {
                    claims_another_key(dealer, n - t, from, to, &mut message);
                    chain(from, to, number, &mut message);
                    let since = || message[0] == AGREE && number == t;
                    (!is_late(from, to, &late, since)).then_some(message)
                });
            });
            let what = format!("n={n} t={t} dealer {dealer}");
            let (results, alone) = nobody_is_framed(&world, &ends, &cheaters, &what);
            stopped += alone;
            // The cheaters do nothing else, so that the others have a result without the victim.
            assert!(results > 0, "{what}");
        }
    }
    assert!(stopped > 0, "the victim notices");
}

/// An input peer gives t honest compute peers another masked vector, and whether it is in hangs on what a cheater reports.
#[test]
fn rule5_a_late_word_about_inputs_frames_nobody() {
    for (world, n, t) in worlds() {
        let members = world.request.members.len();
        let Some(giver) = world.request.inputs.iter().copied().find(|input| *input >= n) else { continue };
        let cheaters: Vec<usize> = (n - t..n).chain([giver]).collect();
        let (chain, late) = (through_the_chain(n - t..n, 1), Rc::new(Cell::new(false)));
        let ends = world.run(|simulator| {
            rewrite_all(simulator, members, move |from, to, number, mut message| {
                if let (MASKED, true, Some(last)) = (message[0], from == giver, message.last_mut()) {
                    *last ^= u8::from((2..2 + t).contains(&to));
                }
                chain(from, to, number, &mut message);
                let since = || message[0] == AGREE && number == (t + 1) + t;
                (!is_late(from, to, &late, since)).then_some(message)
            });
        });
        nobody_is_framed(&world, &ends, &cheaters, &format!("n={n} t={t}"));
    }
}

/// What a cheater makes of its messages.
type Lie = RefCell<Box<dyn FnMut(usize, &mut Vec<u8>)>>;

/// From any message on, whatever else t cheaters do in whatever step; some of them sign their lies.
#[test]
fn rule5_late_from_any_message_on_beside_t_cheaters_frames_nobody() {
    let mut convicted = 0;
    for (world, n, t) in worlds().filter(|(_, n, _)| *n <= 7) {
        let members = world.request.members.len();
        let cheaters: Vec<usize> = (n - t..n).collect();
        let dealer = world.request.inputs.iter().copied().find(|input| *input >= n).unwrap_or(2);
        for lie in [0, ANSWERS, COIN, PRODUCT, RESULT] {
            for since in 0..6 + 2 * (t + 1) {
                let attack = |world: &World, signed: Vec<Lie>| {
                    let (chain, late) = (through_the_chain(n - t..n, 0), Rc::new(Cell::new(false)));
                    let (seen, signed) = (Rc::new(Cell::new(0)), Rc::new(signed));
                    world.run(|simulator| {
                        rewrite_all(simulator, members, move |from, to, number, mut message| {
                            claims_another_key(dealer, n - t, from, to, &mut message);
                            chain(from, to, number, &mut message);
                            match from.checked_sub(n - t).filter(|_| from < n) {
                                Some(cheater) if lie == RESULT && !signed.is_empty() => {
                                    (signed[cheater].borrow_mut())(to, &mut message);
                                }
                                Some(_) if message[0] == lie && lie != RESULT => {
                                    let at = message.len() - 8;
                                    message[at] ^= 1;
                                }
                                _ => {}
                            }
                            let since = || seen.replace(seen.get() + 1) >= since;
                            (!is_late(from, to, &late, since)).then_some(message)
                        });
                    })
                };
                let mut world = world.clone().fresh();
                let mut ends = attack(&world, Vec::new());
                // What they sign follows from what is agreed in that very run.
                if lie == RESULT && world.request.aggregator == "sum" {
                    let run: Option<Vec<_>> = cheaters.iter().map(|cheater| outcome(&ends[*cheater])).collect();
                    let Some(run) = run else { continue };
                    let lies = cheaters.iter().zip(run);
                    let lies =
                        lies.map(|(cheater, run)| -> Lie { RefCell::new(Box::new(signed_lie(&world, run, *cheater))) });
                    let lies = lies.collect();
                    world = world.fresh();
                    ends = attack(&world, lies);
                }
                nobody_is_framed(&world, &ends, &cheaters, &format!("n={n} t={t} lie {lie} late since {since}"));
                convicted += world.journals.iter().map(|journal| journal.evidence().len()).sum::<usize>();
            }
        }
    }
    assert!(convicted > 0, "signed lies convict beside a late peer, too");
}

/// Puts the last elements of a message on the polynomials that are 1 beside the right ones at 0, and the same as they are for
/// these.
fn shift(points: &[F61], from: usize, unchanged: &[usize], elements: usize, message: &mut [u8]) {
    let zero = |x: F61| unchanged.iter().fold(F61::ONE, |product, other| product * (points[*other] - x));
    let shift = zero(points[from]) * zero(F61::ZERO).inv().expect("points are not 0");
    for element in 1..=elements {
        let place = message.len() - 8 * element..message.len() - 8 * (element - 1);
        let share = F61::from_bytes_checked(&message[place.clone()]).expect("one");
        let mut bytes = Vec::new();
        (share + shift).write_bytes(&mut bytes);
        message[place].copy_from_slice(&bytes);
    }
}

/// A late word has stopped the victim, and t cheaters put their shares on the polynomials that fit those of t honest peers: with
/// them they are as many as the honest ones that are left. Silence counts, so that neither is taken for the right ones.
#[test]
fn rule5_a_late_word_and_shares_that_fit_others_make_no_wrong_result() {
    for ((n, t), kind) in SUMS.into_iter().flat_map(|group| [ANSWERS, RESULT].map(|kind| (group, kind))) {
        let what = format!("n={n} t={t} kind {kind}");
        for beside_a_late_one in [true, false] {
            let world = world(n, t, false, false);
            let members = world.request.members.len();
            let cheaters: Vec<usize> = (n - t..n).collect();
            let points: Vec<F61> = world.plan().points().iter().map(|point| F61::from_u128(*point)).collect();
            let (chain, late) = (through_the_chain(n - t..n, 0), Rc::new(Cell::new(false)));
            let fitted = Rc::new(Cell::new(0));
            let count = Rc::clone(&fitted);
            let ends = world.run(|simulator| {
                rewrite_all(simulator, members, move |from, to, number, mut message| {
                    if beside_a_late_one {
                        claims_another_key(n, n - t, from, to, &mut message);
                        chain(from, to, number, &mut message);
                        let since = || message[0] == AGREE && number == t;
                        if is_late(from, to, &late, since) {
                            return None;
                        }
                    }
                    if message[0] == kind && (n - t..n).contains(&from) {
                        let unchanged: Vec<usize> = std::iter::once(LATE).chain(2..n - t).take(t).collect();
                        let elements = if kind == RESULT { ELEMENTS } else { (message.len() - 5) / 8 - 8 };
                        shift(&points, from, &unchanged, elements, &mut message);
                        count.set(count.get() + 1);
                    }
                    Some(message)
                });
            });
            let (results, stopped) = nobody_is_framed(&world, &ends, &cheaters, &what);
            assert!(fitted.get() > 0, "{what}: there was nothing to put beside the right ones");
            match beside_a_late_one {
                true => assert!(results == 0 && stopped > 0, "{what}: {results} results, {stopped} stopped"),
                // Where everybody is heard the right ones are more.
                false => assert_eq!((results, stopped), (world.request.recipients.len(), 0), "{what}"),
            }
        }
    }
}

/// Cheaters that say to each peer that they agreed on what that peer did.
#[test]
fn rule5_cheaters_that_agree_with_everybody_frame_nobody() {
    // The tag and the number of the chunk, then the hash of what was agreed.
    const AGREED: Range<usize> = 5..37;
    for (world, n, t) in worlds() {
        let members = world.request.members.len();
        let cheaters: Vec<usize> = (n - t..n).collect();
        let attack = |said: Rc<BTreeMap<usize, Vec<u8>>>| {
            let (chain, late) = (through_the_chain(n - t..n, 0), Rc::new(Cell::new(false)));
            let wire = Rc::new(RefCell::new(BTreeMap::new()));
            let tapped = Rc::clone(&wire);
            let world = world.clone().fresh();
            let ends = world.run(|simulator| {
                rewrite_all(simulator, members, move |from, to, number, mut message| {
                    claims_another_key(2, n - t, from, to, &mut message);
                    chain(from, to, number, &mut message);
                    let since = || message[0] == AGREE && number == t;
                    let late = is_late(from, to, &late, since);
                    if message[0] == COIN {
                        tapped.borrow_mut().insert(from, message[AGREED].to_vec());
                        if let Some(said) = said.get(&to).filter(|_| (n - t..n).contains(&from)) {
                            message[AGREED].copy_from_slice(said);
                        }
                    }
                    (!late).then_some(message)
                });
            });
            (world, ends, wire.take())
        };
        let (_, _, said) = attack(Rc::default());
        assert_ne!(said[&VICTIM], said[&LATE], "n={n}: a late word makes a difference");
        let (world, ends, _) = attack(Rc::new(said));
        let (_, stopped) = nobody_is_framed(&world, &ends, &cheaters, &format!("n={n} t={t}"));
        assert!(stopped > 0, "n={n}: t cheaters are not enough company for the victim");
    }
}

/// Any messages between honest peers are late, each pair from a step of its own on, and cheaters lie in any steps.
#[test]
fn rule5_whatever_is_late_beside_t_cheaters_frames_nobody() {
    let mut results = 0;
    for (world, n, t) in worlds().filter(|(_, n, _)| *n <= 7) {
        let members = world.request.members.len();
        let cheaters: Vec<usize> = (n - t..n).collect();
        for seed in 0..40 {
            let mut random = SplitMix::new(seed);
            let most = 8 + 4 * t as u64;
            // From which message on, for each pair; mostly never.
            let cut: Vec<Vec<u64>> = (0..members)
                .map(|_| {
                    (0..members).map(|_| if random.below(4) == 0 { random.below(most) } else { u64::MAX }).collect()
                })
                .collect();
            let lies = [0, ANSWERS, COIN, PRODUCT, RESULT][random.below(5) as usize];
            let (dealer, stage) = (random.below(members as u64 - t as u64) as usize, random.below(2) as usize);
            let dealer = if dealer < n - t { dealer } else { dealer + t };
            let chain = through_the_chain(n - t..n, stage);
            let sent = Rc::new(RefCell::new(vec![vec![0; members]; members]));
            let world = world.clone().fresh();
            let ends = world.run(|simulator| {
                rewrite_all(simulator, members, move |from, to, number, mut message| {
                    claims_another_key(dealer, n - t, from, to, &mut message);
                    chain(from, to, number, &mut message);
                    if (n - t..n).contains(&from) && message[0] == lies {
                        let at = message.len() - 8;
                        message[at] ^= 1;
                    }
                    let sent = &mut sent.borrow_mut()[from][to];
                    *sent += 1;
                    (*sent <= cut[from][to]).then_some(message)
                });
            });
            results += nobody_is_framed(&world, &ends, &cheaters, &format!("n={n} t={t} seed {seed}")).0;
        }
    }
    assert!(results > 0, "something comes sometimes");
}
