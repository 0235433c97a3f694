//! The sum is the sum, and only recipients learn it.

use proptest::prelude::*;
use tacit_engine::{OwnInputError, SessionError, commitment};

use crate::world::{COMMITMENT, RESULT, SHARES, World, count, error, outcome};

#[test]
fn sum_for_all_n_and_t() {
    for n in 3..=11 {
        for t in 1..=(n - 1) / 2 {
            let seed = (n * 100 + t) as u64;
            World::decentralised(n, t, 5, seed).run_and_check();
            World::delegated(2 + n % 4, n, t, 5, seed).run_and_check();
        }
    }
}

#[test]
fn sum_of_several_chunks() {
    World::decentralised(3, 1, 12_345, 1).run_and_check();
    World::delegated(3, 5, 2, 30_000, 2).run_and_check();
    World::delegated(3, 4, 1, 9000, 3).with_max(u64::MAX).run_and_check();
}

#[test]
fn rule8_sums_never_wrap() {
    let border = ((1u64 << 61) - 2) / 3;
    for max in [border, border + 1, 1 << 61, (1 << 63) - 1, u64::MAX] {
        let mut world = World::decentralised(3, 1, 4, max).with_max(max);
        world.run_and_check();
        world.inputs = vec![Some(vec![max; 4]); 3];
        world.fresh().run_and_check();
    }
}

#[test]
fn rule8_results_above_the_declared_modulus_are_errors() {
    let mut world = World::decentralised(5, 2, 3, 1);
    world.request.modulus = Some(1013);
    world.inputs = vec![
        Some(vec![200, 202, 203]),
        Some(vec![200, 202, 203]),
        Some(vec![200, 202, 202]),
        Some(vec![200, 202, 202]),
        Some(vec![212, 205, 202]),
    ];
    // 1012, 1013, 1012
    for end in world.run(|_| {}) {
        assert_eq!(error(&end), Some(&SessionError::AboveModulus { item: 1 }));
    }
    world.inputs[0] = Some(vec![200, 201, 203]);
    world.fresh().run_and_check();
}

/// Through whole sessions: whatever prime is declared, a sum or product below it is exact and another one an error, at the
/// border as well.
#[test]
fn p32_sums_and_products_at_the_border_of_every_declared_modulus() {
    let primes = [257, 65_537, 1_401_085_391, (1 << 61) - 1, (1 << 63) - 25, u64::MAX - 58];
    for (n, prime) in [3, 4, 5, 7].into_iter().flat_map(|n| primes.map(|prime| (n, prime))) {
        // Of each item two peers give something, and the others the neutral number.
        let check = |aggregator: &str, neutral: u64, first: [u64; 4], last: [u64; 4], expected: Option<[u64; 4]>| {
            let mut world = World::decentralised(n, (n - 1) / 2, 4, prime).with_max(prime - 1);
            world.request.aggregator = aggregator.to_owned();
            world.request.modulus = Some(prime);
            world.inputs = vec![Some(vec![neutral; 4]); n];
            (world.inputs[0], world.inputs[n - 1]) = (Some(first.to_vec()), Some(last.to_vec()));
            for end in world.run(|_| {}) {
                let values = outcome(&end).map(|outcome| outcome.values.clone().expect("a recipient"));
                assert_eq!(values, expected.map(|values| values.map(u128::from).to_vec()), "n = {n}, p = {prime}");
                let above = expected.is_none().then_some(&SessionError::AboveModulus { item: 3 });
                assert_eq!(error(&end), above, "n = {n}, p = {prime}");
            }
        };
        let half = prime / 2;
        check("sum", 0, [0, 1, half, prime - 1], [0, 0, half, 0], Some([0, 1, prime - 1, prime - 1]));
        check("sum", 0, [0, 1, half, prime - 1], [0, 0, half, 1], None);
        check("sum", 0, [0, 1, half, prime - 1], [0, 0, half, prime - 1], None);
        // What fits the field of 127 bits if all others give the most.
        if prime.ilog2() as usize * n < 120 {
            check("product", 1, [0, 1, half, prime - 1], [9, 1, 2, 1], Some([0, 1, prime - 1, prime - 1]));
            check("product", 1, [0, 1, half, half + 1], [9, 1, 2, 2], None);
        }
    }
}

#[test]
fn p19_an_honest_peer_refuses_to_send_what_breaks_the_bound() {
    for (input, refusal) in [
        (vec![0, 1001], OwnInputError::TooLarge { item: 1 }),
        (vec![1], OwnInputError::Length { found: 1, expected: 2 }),
    ] {
        let mut world = World::decentralised(3, 1, 2, 4);
        world.inputs[1] = Some(input);
        let (ends, wire) = world.tapped();
        assert_eq!(error(&ends[1]), Some(&SessionError::OwnInput(refusal)));
        assert_eq!(error(&ends[0]), Some(&SessionError::LostBeforeFreeze { member: 1 }));
        assert_eq!(count(&wire, COMMITMENT, |from| from == 1), 0);
    }
    let mut world = World::delegated(2, 3, 1, 2, 4);
    world.inputs[0] = Some(vec![1, 1]);
    let ends = world.run(|_| {});
    assert_eq!(error(&ends[0]), Some(&SessionError::OwnInput(OwnInputError::NotExpected)));
}

#[test]
fn rule11_only_recipients_learn() {
    let mut world = World::delegated(4, 5, 2, 6, 9);
    world.request.recipients = vec![2, 6];
    world.run_and_check();
    let (_, wire) = world.tapped();
    assert_eq!(count(&wire, RESULT, |_| true), 9, "each compute peer to each recipient but itself");
    assert!(wire.iter().all(|(_, to, m)| m[0] != RESULT || [2, 6].contains(to)));
    // Somebody who is nothing in this plan learns nothing at all.
    world.request.inputs = vec![5, 6, 7];
    world.draw_inputs();
    let ends = world.run(|_| {});
    let idle = outcome(&ends[8]).expect("ended well");
    assert!(idle.values.is_none() && idle.contributors.is_empty() && idle.frozen == [0; 32]);
}

#[test]
fn rule10_commitments_are_salted() {
    let world = World::decentralised(3, 1, 2, 5);
    let mut again = world.clone();
    again.request.attempt.0 = 1;
    again = again.fresh();
    let (first, second) = (world.run(|_| {}), again.run(|_| {}));
    let receipts = |ends: &crate::world::Ends| {
        let outcome = outcome(&ends[0]).expect("ended well");
        (outcome.binding, outcome.receipt.clone().expect("own input"))
    };
    let (binding, receipt) = receipts(&first);
    let input = world.inputs[0].as_ref().expect("input");
    let member = &world.request.members[0];
    assert_eq!(commitment(&binding, member, &receipt.salt, input), receipt.commitment);
    assert_ne!(*receipt.salt, [0; 32]);
    assert_ne!(commitment(&binding, member, &[0; 32], input), receipt.commitment);
    assert_ne!(receipts(&second).1.commitment, receipt.commitment);
    // The journal keeps what all signed.
    let record = &world.journals[1].records()[0];
    assert_eq!(record.commitments[0], receipt.commitment);
    assert_eq!(record.contributors.len(), 3);
}

/// With the salt the input is found among a thousand; without it nothing is.
#[test]
fn rule10_a_commitment_is_not_brute_forced() {
    let mut world = World::decentralised(3, 1, 1, 6);
    world.inputs[0] = Some(vec![613]);
    let ends = world.run(|_| {});
    let ended = outcome(&ends[0]).expect("ended well");
    let (binding, receipt) = (ended.binding, ended.receipt.clone().expect("own input"));
    let member = &world.request.members[0];
    let found = |salt: &[u8; 32]| -> Vec<u64> {
        (0..=1000).filter(|input| commitment(&binding, member, salt, &[*input]) == receipt.commitment).collect()
    };
    assert_eq!(found(&receipt.salt), [613]);
    for salt in [[0; 32], binding, receipt.commitment, ended.frozen, ended.agreement, member.0] {
        assert!(found(&salt).is_empty());
    }
    // Nor does the opened result's commitment, under anything that was published, tell the sum.
    let sums = 0..=3000_u64;
    assert!(sums.into_iter().all(|sum| commitment(&binding, member, &binding, &[sum]) != ended.agreement));
}

#[test]
fn rule4_each_attempt_draws_new_polynomials() {
    // Same inputs, same link secrets, same generator state: a node restored from a snapshot.
    let shares = |world: &World| {
        let (_, wire) = world.tapped();
        let mut shares: Vec<Vec<u8>> =
            wire.iter().filter(|(_, _, m)| m[0] == SHARES).map(|(_, _, m)| m[5..21].to_vec()).collect();
        shares.sort_unstable();
        shares
    };
    let world = World::decentralised(5, 2, 2, 11);
    let base = shares(&world);
    assert_eq!(base.len(), 10, "t of the n-1 shares of each dealer are never sent");
    assert_eq!(base, shares(&world.clone()));
    type Change = fn(&mut World);
    let changes: [Change; 5] = [
        |w| w.request.attempt.0 += 1,
        |w| w.request.session.0[0] ^= 1,
        |w| w.request.charter[0] ^= 1,
        |w| w.request.slot.0 += 1,
        |w| w.nonce += 1,
    ];
    for change in changes {
        let mut other = world.clone();
        other = other.fresh();
        change(&mut other);
        assert!(shares(&other).iter().all(|share| !base.contains(share)));
    }
}

#[test]
fn futures_can_move_between_threads() {
    fn sendable<T: Send>(_: &T) {}
    let world = World::decentralised(3, 1, 1, 1);
    let (plan, nonces) = (world.plan(), world.nonces());
    let mailbox = tacit_engine::Mailbox::new(3);
    let mut environment = world.environment(0);
    sendable(&tacit_engine::run(&plan, 0, &mailbox, &mut environment, &nonces, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sums_under_random_delays(
        seed: u64,
        n in 3usize..=11,
        extra in 0usize..5,
        items in 1usize..40,
        big: bool,
        recipients in prop::collection::btree_set(0usize..16, 1..6),
    ) {
        let t = 1 + seed as usize % ((n - 1) / 2);
        let mut world = World::delegated(extra.max(2), n, t, items, seed);
        let members = world.request.members.len();
        // Some compute peers give as well.
        world.request.inputs = (0..members).filter(|m| *m >= n || (seed >> m) & 1 == 1).collect();
        let recipients: std::collections::BTreeSet<usize> = recipients.iter().map(|r| r % members).collect();
        world.request.recipients = recipients.into_iter().collect();
        world.with_max(if big { u64::MAX >> 1 } else { 65_535 }).run_and_check();
    }
}
