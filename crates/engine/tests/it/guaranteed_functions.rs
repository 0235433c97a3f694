//! Products in the model `guaranteed`, n >= 4t+1: they come, they are right, and who sent wrong shares is named.

use tacit_engine::{Ended, FaultKind, Plan, PlanError, SecurityModel, SessionError};

use crate::uniform::chi_squared;
use crate::world::{Ends, FREEZE, RESULT, World, change_one, error, kinds, outcome};

/// Masked products (the table is in arithmetic/wire.rs).
const PRODUCT: u8 = 11;

const SIZES: [(usize, usize); 4] = [(5, 1), (6, 1), (9, 2), (10, 2)];

fn guaranteed(mut world: World, (aggregator, parameters): (&str, &[(&str, &str)])) -> World {
    world = world.with_max(5).proven(SecurityModel::Guaranteed).proceed(2);
    world.request.aggregator = aggregator.to_owned();
    world.request.parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    world
}

const PRODUCTS: (&str, &[(&str, &str)]) = ("product", &[]);

/// The product of these contributors' rows, item by item.
fn product(world: &World, contributors: &[usize]) -> Vec<u128> {
    let rows = || contributors.iter().filter_map(|member| world.inputs[*member].as_ref());
    (0..world.request.items).map(|item| rows().map(|row| u128::from(row[item])).product()).collect()
}

/// All honest members have the product and name nobody honest; returns who was named by all honest recipients.
fn all_have(world: &World, ends: &Ends, cheaters: &[usize]) -> Vec<usize> {
    let mut named: Option<Vec<usize>> = None;
    for (member, end) in ends.iter().enumerate().filter(|(member, _)| !cheaters.contains(member)) {
        let outcome = outcome(end).unwrap_or_else(|| panic!("member {member}: {:?}", error(end)));
        if world.request.recipients.contains(&member) {
            assert_eq!(outcome.values, Some(product(world, &outcome.contributors)), "member {member}");
        }
        let faults: Vec<usize> = outcome.faults.iter().map(|fault| fault.member).collect();
        assert!(faults.iter().all(|member| cheaters.contains(member)), "{:?} frames somebody", outcome.faults);
        if world.request.compute.contains(&member) {
            named = Some(named.unwrap_or_else(|| faults.clone()).into_iter().filter(|m| faults.contains(m)).collect());
        }
    }
    named.unwrap_or_default()
}

#[test]
fn rule5_guaranteed_functions_equal_semi_honest_ones() {
    for (n, t) in SIZES {
        for function in [
            PRODUCTS,
            ("entropy", &[("q", "3")][..]),
            ("set_union", &[]),
            ("set_intersection", &[]),
            ("threshold_union", &[("min_peers", "2"), ("counts", "yes")]),
            ("set_cardinality", &[]),
            ("distinct_count", &[]),
        ] {
            let items = if function.0 == "distinct_count" { 1 } else { 3 };
            let world = guaranteed(World::delegated(4, n, t, items, n as u64), function);
            let mut plain = world.clone().fresh();
            plain.request.model = SecurityModel::SemiHonest;
            let values = |ends: Ends| -> Vec<Vec<u128>> {
                let of = |end: &Ended<_>| outcome(end).unwrap_or_else(|| panic!("{:?}", error(end))).values.clone();
                ends[n..].iter().map(|end| of(end).expect("a recipient")).collect()
            };
            assert_eq!(values(world.run(|_| {})), values(plain.run(|_| {})), "{function:?} n = {n}");
        }
    }
    // More than one message each.
    let world = guaranteed(World::delegated(2, 5, 1, 20_000, 3), PRODUCTS);
    assert!(all_have(&world, &world.run(|_| {}), &[]).is_empty());
}

/// t compute peers change every masked product, to everybody something else.
#[test]
fn rule5_guaranteed_products_come_and_name_who_lies() {
    for (n, t) in SIZES {
        let world = guaranteed(World::delegated(3, n, t, 70, 6), PRODUCTS);
        let liars: Vec<usize> = (0..t).map(|i| 3 * i).collect();
        let ends = world.run(|simulator| {
            for liar in &liars {
                let liar = *liar;
                simulator.rewrite(liar, move |to, mut message| {
                    if message[0] == PRODUCT {
                        message[69 + 8 * ((to + liar) % 3)] ^= 1 << (to % 4);
                    }
                    Some(message)
                });
            }
        });
        assert_eq!(all_have(&world, &ends, &liars), liars, "n = {n}");
        let kinds = ends[n - 1..n].iter().flat_map(|end| outcome(end).expect("a result").faults.clone());
        assert!(kinds.into_iter().all(|fault| fault.kind == FaultKind::WrongShare));
    }
}

/// Silent in the middle, or unreadable: the result comes, and silence is not cheating.
#[test]
fn rule5_guaranteed_products_come_without_silent_peers() {
    for (n, t) in SIZES {
        for lost in 0..4 {
            let world = guaranteed(World::delegated(3, n, t, 2, 7), PRODUCTS);
            let gone: Vec<usize> = (1..=t).collect();
            let ends = world.run(|simulator| {
                for member in &gone {
                    let mut sent = 0;
                    simulator.rewrite(*member, move |_, mut message| {
                        if message[0] == PRODUCT {
                            sent += 1;
                            match lost {
                                0 => return None,
                                1 if sent > n => return None,
                                2 => message.truncate(9),
                                3 => message[5..].fill(0xff),
                                _ => {}
                            }
                        }
                        Some(message)
                    });
                }
            });
            let named = all_have(&world, &ends, &gone);
            assert!(named.is_empty(), "n = {n}: {named:?}");
        }
    }
}

/// Peers of the charter that are away count towards t.
#[test]
fn rule5_guaranteed_products_with_peers_that_are_away() {
    for (n, t) in SIZES {
        for away in 1..=t {
            let mut world = guaranteed(World::delegated(3, n, t, 3, 5), PRODUCTS);
            world.request.compute.truncate(n - away);
            let liars: Vec<usize> = (0..t - away).collect();
            let ends = world.run(|simulator| {
                for liar in &liars {
                    simulator.rewrite(*liar, |_, mut message| {
                        if message[0] == PRODUCT || message[0] == RESULT {
                            let at = message.len() - 8;
                            message[at] ^= 1;
                        }
                        Some(message)
                    });
                }
            });
            all_have(&world, &ends, &liars);
        }
    }
}

/// One compute peer changes any one of its messages after the freeze, or does not send it.
#[test]
fn rule5_guaranteed_no_single_change_stops_a_product_or_frames_anybody() {
    let world = guaranteed(World::decentralised(5, 1, 1, 3), PRODUCTS);
    let sent = kinds(&world.clone().fresh().tapped().1, 0);
    let frozen = sent.iter().rposition(|kind| *kind == FREEZE).expect("a signature");
    assert!(frozen + 4 < sent.len());
    for target in frozen..sent.len() {
        for change in 0..4 {
            let world = world.clone().fresh();
            let ends = world.run(|simulator| {
                change_one(simulator, 0, target, move |mut message| {
                    let length = message.len();
                    match change {
                        0 => return None,
                        1 => message[length - 8] ^= 1,
                        2 => message[0] ^= 1,
                        _ => message.truncate(length / 2),
                    }
                    Some(message)
                });
            });
            all_have(&world, &ends, &[0]);
        }
    }
}

/// More than the model tolerates, t liars and an honest peer that is too slow: no result or the right one; the slow one is
/// never called a cheater.
#[test]
fn rule5_a_slow_honest_peer_beside_t_cheaters_at_a_product() {
    for (n, t) in SIZES {
        let world = guaranteed(World::delegated(2, n, t, 2, 9), PRODUCTS);
        let ends = world.run(|simulator| {
            for liar in 0..t {
                simulator.rewrite(liar, |_, mut message| {
                    if message[0] == PRODUCT {
                        message[69] ^= 1;
                    }
                    Some(message)
                });
            }
            simulator.rewrite(t, |_, message| (message[0] != PRODUCT).then_some(message));
        });
        for end in &ends[t + 1..] {
            match end {
                Ended::Finished(Ok(outcome)) => {
                    let right = product(&world, &outcome.contributors);
                    assert!(outcome.values.as_ref().is_none_or(|values| *values == right));
                    assert!(outcome.faults.iter().all(|fault| fault.member < t));
                }
                Ended::Finished(Err(error)) => {
                    assert!(!matches!(error, SessionError::PeerMisbehaved { .. }), "{error:?}");
                }
                _ => panic!("a member did not end"),
            }
        }
    }
}

/// What goes over the wire for one product of zeros and of ones is equally uniform.
#[test]
fn masked_products_are_uniform() {
    const BUCKETS: usize = 16;
    for value in [0, 1] {
        let mut world = guaranteed(World::delegated(2, 5, 1, 4000, 3), PRODUCTS);
        world.inputs.iter_mut().flatten().for_each(|row| row.fill(value));
        let (_, wire) = world.tapped();
        let mut counts = [0; BUCKETS];
        let shares = wire.iter().filter(|(from, to, message)| (*from, *to, message[0]) == (2, 0, PRODUCT));
        for element in shares.flat_map(|(_, _, message)| message[69..].as_chunks::<8>().0) {
            counts[usize::from(element[0] & 15)] += 1;
        }
        assert_eq!(counts.iter().sum::<u64>(), 4000);
        let chi = chi_squared(&counts);
        // 15 degrees of freedom: above 50 once in 90,000.
        assert!(chi < 50.0, "{value}: {chi}");
    }
}

#[test]
fn rule5_guaranteed_products_are_refused_where_they_cannot_be_promised() {
    for (n, t) in [(4, 1), (8, 2), (7, 2)] {
        let world = guaranteed(World::decentralised(n, t, 2, 1), PRODUCTS);
        let (needed, name) = (4 * t + 1, "product");
        let refused = PlanError::TooFewForGuaranteedProducts { n, needed, threshold: t, name };
        assert_eq!(Plan::build(world.request).err(), Some(refused));
    }
    let world = guaranteed(World::decentralised(5, 1, 2, 1), ("median", &[]));
    let refused = PlanError::ModelNotOffered { name: "median", model: SecurityModel::Guaranteed };
    assert_eq!(Plan::build(world.request).err(), Some(refused));
}
