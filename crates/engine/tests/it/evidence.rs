//! Evidence that convicts a compute peer before anybody, and that cannot be made against an honest one.

use std::collections::BTreeMap;

use tacit_engine::evidence::{Evidence, NotProven, Step, statement};
use tacit_engine::{Environment, Outcome, SecurityModel, SimulatedEnvironment};
use tacit_model::Fingerprint;
use tacit_model::codec::{Decode, Encode};

use crate::world::{ANSWERS, COIN, Ends, RESULT, Sim, World, outcome};

const SIGNED: u8 = 20;
const PRODUCT: u8 = 11;

fn world(n: usize, t: usize) -> World {
    World::delegated(3, n, t, 2, 6).with_max(9).proven(SecurityModel::Guaranteed).proceed(2)
}

/// A compute peer that changes its share of the result (of two sums) and signs that, as it could. What it signs is
/// bound to follows from how it ends when it does not.
pub(crate) fn signed_lie(world: &World, outcome: &Outcome, liar: usize) -> impl FnMut(usize, &mut Vec<u8>) + use<> {
    let (plan, mut environment) = (world.plan().digest(), SimulatedEnvironment::new(world.seed, liar));
    let (binding, frozen) = (outcome.binding, outcome.frozen);
    let mut said: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    move |to, message| match message[0] {
        RESULT => {
            let (length, elements) = (message.len(), 8 * 7);
            message[length - elements] ^= 1;
            said.insert(to, message[length - elements..].to_vec());
        }
        SIGNED => {
            let digest = statement(&plan, &binding, Step::Result, &frozen, 0, &said[&to]);
            message[1..].copy_from_slice(&environment.sign_message(&digest));
        }
        _ => {}
    }
}

/// A compute peer that changes its answers or its masked products and signs that, likewise.
fn signed_lie_on_the_way(world: &World, outcome: &Outcome, liar: usize, kind: u8) -> impl FnMut(&mut [u8]) + use<> {
    let (plan, mut environment) = (world.plan().digest(), SimulatedEnvironment::new(world.seed, liar));
    let (binding, frozen, mut agreed) = (outcome.binding, outcome.frozen, [0; 32]);
    move |message| {
        if message[0] == COIN {
            agreed.copy_from_slice(&message[5..37]);
        }
        if message[0] != kind {
            return;
        }
        let number = u32::from_be_bytes(message[1..5].try_into().expect("four bytes"));
        let (step, basis) = match kind {
            ANSWERS => (Step::Answers(number), &agreed),
            _ => (Step::Product(number), &frozen),
        };
        let last = message.len() - 8;
        message[last] ^= 1;
        let digest = statement(&plan, &binding, step, basis, 0, &message[69..]);
        message[5..69].copy_from_slice(&environment.sign_message(&digest));
    }
}

/// What the honest compute peers keep of such liars, after a right result.
fn evidence_on_the_way(n: usize, t: usize, liars: &[usize], kind: u8) -> (World, Vec<Vec<Evidence>>) {
    let mut world = world(n, t);
    if kind == PRODUCT {
        world.request.aggregator = "product".to_owned();
    }
    let honest = world.clone().fresh().run(|_| {});
    let ends = world.clone().fresh().run(|simulator| {
        for liar in liars {
            let run = outcome(&honest[*liar]).expect("an honest run");
            let mut lie = signed_lie_on_the_way(&world, run, *liar, kind);
            simulator.rewrite(*liar, move |_, mut message| {
                lie(&mut message);
                Some(message)
            });
        }
    });
    for member in world.request.recipients.iter().copied() {
        let (found, right) =
            (outcome(&ends[member]).expect("the result comes"), outcome(&honest[member]).expect("one"));
        assert_eq!(found.values, right.values);
        assert!(found.evidence.is_empty(), "recipients see shares of the result alone");
    }
    let compute = (0..n).filter(|member| !liars.contains(member));
    let kept = compute.map(|member| outcome(&ends[member]).expect("the result comes").evidence.clone()).collect();
    (world, kept)
}

fn lie(simulator: &mut Sim<'_>, world: &World, honest: &Ends, liar: usize) {
    let mut lie = signed_lie(world, outcome(&honest[liar]).expect("an honest run"), liar);
    simulator.rewrite(liar, move |to, mut message| {
        lie(to, &mut message);
        Some(message)
    });
}

pub(crate) fn verify(world: &World) -> impl Fn(&Fingerprint, &[u8; 32], &[u8; 64]) -> bool {
    let (seed, members) = (world.seed, world.request.members.clone());
    move |member, digest, signature| {
        let member = members.iter().position(|m| m == member).expect("a member");
        SimulatedEnvironment::new(seed, 0).verify_message(member, digest, signature)
    }
}

fn evidence_of(world: &World, liars: &[usize]) -> Vec<Vec<Evidence>> {
    let honest = world.clone().fresh().run(|_| {});
    let ends =
        world.clone().fresh().run(|simulator| liars.iter().for_each(|liar| lie(simulator, world, &honest, *liar)));
    let recipients = &world.request.recipients;
    let right = outcome(&honest[recipients[0]]).expect("a result").values.clone();
    recipients
        .iter()
        .map(|member| {
            let outcome = outcome(&ends[*member]).expect("the result comes");
            assert_eq!(outcome.values, right);
            let named: Vec<usize> = outcome.faults.iter().map(|fault| fault.member).collect();
            assert_eq!(named, liars, "whoever is named for its share of the result is convicted, too");
            outcome.evidence.clone()
        })
        .collect()
}

#[test]
fn rule5_signed_wrong_shares_convict_their_signers_before_outsiders() {
    for (n, t) in [(4, 1), (5, 1), (7, 2)] {
        let world = world(n, t);
        let liars: Vec<usize> = (0..t).map(|i| 2 * i + 1).collect();
        let plan = world.plan();
        for evidence in evidence_of(&world, &liars) {
            // It travels as bytes.
            let evidence: Vec<Evidence> =
                evidence.iter().map(|e| Evidence::from_bytes(&e.to_bytes()).expect("its own bytes")).collect();
            let named: Vec<Fingerprint> =
                evidence.iter().map(|e| e.check(&plan, verify(&world)).expect("proven")).collect();
            let expected: Vec<Fingerprint> = liars.iter().map(|liar| world.request.members[*liar]).collect();
            assert_eq!(named, expected);
        }
        assert!(evidence_of(&world, &[]).iter().all(Vec::is_empty), "honest peers leave no evidence");
    }
}

/// Of each liar one piece, however many inputs it lied about; whoever is added to those accused is not convicted.
#[test]
fn rule5_signed_wrong_answers_and_products_convict_their_signers_before_outsiders() {
    for (n, t, kind) in [(4, 1, ANSWERS), (7, 2, ANSWERS), (5, 1, PRODUCT), (9, 2, PRODUCT)] {
        let liars: Vec<usize> = (0..t).map(|i| 2 * i + 1).collect();
        let (world, kept) = evidence_on_the_way(n, t, &liars, kind);
        let plan = world.plan();
        for evidence in kept {
            let evidence: Vec<Evidence> =
                evidence.iter().map(|e| Evidence::from_bytes(&e.to_bytes()).expect("its own bytes")).collect();
            let named: Vec<Fingerprint> =
                evidence.iter().map(|e| e.check(&plan, verify(&world)).expect("proven")).collect();
            let expected: Vec<Fingerprint> = liars.iter().map(|liar| world.request.members[*liar]).collect();
            assert_eq!(named, expected, "n = {n}, kind {kind}");
            for (evidence, share) in evidence.iter().flat_map(|e| e.shares.iter().map(move |share| (e, share))) {
                let mut changed = evidence.clone();
                changed.accused = share.position;
                let convicts = changed.check(&plan, verify(&world));
                assert_eq!(convicts.is_ok(), share.position == evidence.accused);
                // What is signed of one step is nothing of another.
                changed.step = match evidence.step {
                    Step::Answers(number) => Step::Answers(number + 1),
                    _ => Step::Result,
                };
                assert_eq!(changed.check(&plan, verify(&world)), Err(NotProven::BadSignature));
            }
        }
    }
}

#[test]
fn rule5_evidence_frames_nobody() {
    let world = world(7, 2);
    let plan = world.plan();
    let genuine = evidence_of(&world, &[1]).swap_remove(0).swap_remove(0);
    let check = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = genuine.clone();
        change(&mut evidence);
        evidence.check(&plan, verify(&world))
    };
    assert!(check(&|_| ()).is_ok());
    // Accusing each of the others.
    for share in genuine.shares.iter().filter(|share| share.position != genuine.accused) {
        assert_eq!(check(&|e| e.accused = share.position), Err(NotProven::NothingWrong));
    }
    // Another share, session, set, chunk or plan than was signed.
    assert_eq!(check(&|e| e.shares[0].elements[0] ^= 1), Err(NotProven::BadSignature));
    assert_eq!(check(&|e| e.shares[3].signature[9] ^= 1), Err(NotProven::BadSignature));
    assert_eq!(check(&|e| e.binding[0] ^= 1), Err(NotProven::BadSignature));
    assert_eq!(check(&|e| e.basis[0] ^= 1), Err(NotProven::BadSignature));
    assert_eq!(check(&|e| e.step = Step::Answers(0)), Err(NotProven::BadSignature));
    assert_eq!(check(&|e| e.step = Step::Product(0)), Err(NotProven::Incomplete));
    assert_eq!(check(&|e| e.chunk = 1), Err(NotProven::BadSignature));
    assert_eq!(check(&|e| e.plan.0[0] ^= 1), Err(NotProven::AnotherPlan));
    // Too few, twice the same, nobody.
    assert_eq!(check(&|e| _ = e.shares.pop()), Err(NotProven::Incomplete));
    assert_eq!(check(&|e| e.shares[1] = e.shares[0].clone()), Err(NotProven::Incomplete));
    assert_eq!(check(&|e| e.accused = 6), Err(NotProven::Incomplete));
    assert_eq!(check(&|e| e.shares[5].position = 99), Err(NotProven::Incomplete));
    let mut other = world.clone();
    other.request.task = [9; 32];
    assert_eq!(genuine.check(&other.plan(), verify(&world)), Err(NotProven::AnotherPlan));
}

/// t corrupted peers sign whatever they like beside honest shares, to make an honest one look wrong.
#[test]
fn rule5_t_corrupted_signers_cannot_convict_an_honest_peer() {
    for (n, t, kind) in
        [(4usize, 1usize, RESULT), (7, 2, RESULT), (4, 1, ANSWERS), (7, 2, ANSWERS), (5, 1, PRODUCT), (9, 2, PRODUCT)]
    {
        let (world, mut kept) = match kind {
            RESULT => (world(n, t), evidence_of(&world(n, t), &[0])),
            _ => evidence_on_the_way(n, t, &[0], kind),
        };
        let plan = world.plan();
        let genuine = kept.swap_remove(0).swap_remove(0);
        // Peer 0 of the genuine one lies; the t last of the others are corrupted, too, and sign any shares.
        let victim = genuine.shares[1].position;
        let honest: Vec<usize> = (1..genuine.shares.len() - (t - 1)).collect();
        assert!(honest.len() > if kind == PRODUCT { 2 * t + 1 } else { t + 1 });
        for attempt in 0..60u64 {
            let mut evidence = genuine.clone();
            evidence.accused = victim;
            for index in (0..evidence.shares.len()).filter(|index| !honest.contains(index)) {
                let share = &mut evidence.shares[index];
                for (i, element) in share.elements.chunks_mut(8).enumerate() {
                    let value =
                        (attempt + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32 + index as u32) >> 4;
                    element.copy_from_slice(&value.to_le_bytes());
                }
                let (digest, binding, basis) = (&evidence.plan, &evidence.binding, &evidence.basis);
                let digest = statement(digest, binding, evidence.step, basis, evidence.chunk as usize, &share.elements);
                let member = plan.compute()[share.position as usize];
                share.signature = SimulatedEnvironment::new(world.seed, member).sign_message(&digest);
            }
            assert_eq!(evidence.check(&plan, verify(&world)), Err(NotProven::NothingWrong));
        }
    }
}
