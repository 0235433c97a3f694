//! n-of-n additive sharing: three patients and a hospital that learns only their sum.

use tacit_engine::{SessionError, Sharing};

use crate::world::{COMMITMENT, RESULT, World, error, outcome};

/// Patients 0..3 give and compute, the hospital (3) receives.
fn hospital(seed: u64, max: u64, items: usize) -> World {
    let mut world = World::decentralised(4, 1, items, seed);
    world.request.inputs = vec![0, 1, 2];
    world.request.compute = vec![0, 1, 2];
    world.request.charter_compute = 3;
    world.request.recipients = vec![3];
    world.request.sharing = Sharing::Additive;
    world.with_max(max)
}

#[test]
fn additive_10000_runs() {
    let largest = ((1u64 << 61) - 2) / 3;
    for seed in 0..10_000 {
        // Shares are uniform, so partial sums of shares cross the modulus in almost every run.
        let max = match seed % 20 {
            // Sums beyond 2^61-1 and 2^64.
            2 | 3 => u64::MAX,
            even if even % 2 == 0 => largest,
            _ => 200,
        };
        let mut world = hospital(seed, max, 3);
        match seed % 20 {
            0 => world.inputs[..3].fill(Some(vec![0; 3])),
            1 | 2 => world.inputs[..3].fill(Some(vec![world.request.max_element; 3])),
            _ => {}
        }
        world.run_and_check();
    }
}

/// A sum that crosses the modulus of the configuration is an error, and never a small number.
#[test]
fn additive_sums_across_a_declared_modulus_are_errors() {
    let (mut right, mut refused) = (0, 0);
    for seed in 0..1000 {
        let mut world = hospital(seed, 600, 1);
        world.request.modulus = Some(1013);
        let sum = world.sum_of(&[0, 1, 2])[0];
        if sum < 1013 {
            world.run_and_check();
            right += 1;
        } else {
            let ends = world.run(|_| {});
            assert_eq!(error(&ends[3]), Some(&SessionError::AboveModulus { item: 0 }), "{sum}");
            refused += 1;
        }
    }
    assert!(right > 100 && refused > 100, "{right} right, {refused} refused");
}

#[test]
fn additive_in_all_sizes_and_the_large_field() {
    for n in 3..=11 {
        for m in [2, 5] {
            let mut world = World::delegated(m, n, 1, 9000, n as u64);
            world.request.sharing = Sharing::Additive;
            world.run_and_check();
            world.with_max(u64::MAX).fresh().run_and_check();
        }
    }
}

#[test]
fn additive_sharing_opens_nothing_after_a_loss() {
    let world = hospital(1, 200, 2);
    // Patient 1 sends 2 commitments, 2 views, 2 signatures; its share of the sum is lost.
    let ends = world.run(|simulator| simulator.crash_after(1, 6));
    assert_eq!(error(&ends[3]), Some(&SessionError::NotEnoughShares { found: 2, needed: 3 }));
}

#[test]
fn patients_send_no_share_at_all() {
    // With n-1 seeded shares there is nothing left to send but commitments.
    let world = hospital(1, 200, 2);
    let (ends, wire) = world.tapped();
    assert!(outcome(&ends[3]).is_some());
    assert_eq!(crate::world::count(&wire, crate::world::SHARES, |_| true), 0);
    assert_eq!(crate::world::count(&wire, COMMITMENT, |_| true), 6);
    assert_eq!(crate::world::count(&wire, RESULT, |_| true), 3);
}
