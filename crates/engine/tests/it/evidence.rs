//! Evidence that convicts a compute peer before anybody, and that cannot be made against an honest one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tacit_algebra::poly::lagrange_at;
use tacit_algebra::{F61, Field};
use tacit_engine::evidence::{Evidence, NotProven, SignedShare, Step, statement};
use tacit_engine::{Environment, FreezeRecord, FreezeRefused, Outcome, PlanRequest, SimulatedEnvironment};
use tacit_model::Fingerprint;
use tacit_model::codec::{Decode, Encode};

use crate::guaranteed::guaranteed;
use crate::world::{ANSWERS, COIN, Ends, RESULT, Sim, World, outcome};

const SIGNED: u8 = 20;
const PRODUCT: u8 = 11;
/// Elements behind the sums.
const SALT: usize = 5;

fn world(n: usize, t: usize) -> World {
    guaranteed(World::delegated(3, n, t, 2, 6).with_max(9))
}

/// A compute peer that changes the last chunk of its share of the result (of sums) and signs that, as it could. What it signs
/// is bound to follows from how it ends when it does not.
pub(crate) fn signed_lie(world: &World, outcome: &Outcome, liar: usize) -> impl FnMut(usize, &mut Vec<u8>) + use<> {
    let (plan, mut environment) = (world.plan().digest(), SimulatedEnvironment::new(world.seed, liar));
    let (binding, frozen) = (outcome.binding, outcome.frozen);
    let (last, elements) = last_chunk(world.request.items + SALT);
    let mut said: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    move |to, message| match message[0] {
        RESULT if message[1..5] == (last as u32).to_be_bytes() => {
            let length = message.len();
            message[length - elements] ^= 1;
            said.insert(to, message[length - elements..].to_vec());
        }
        SIGNED => {
            let Some(said) = said.get(&to) else { return };
            let digest = statement(&plan, &binding, Step::Result, &frozen, last, said);
            message[1..].copy_from_slice(&environment.sign_message(&digest));
        }
        _ => {}
    }
}

/// The number of the last message of a vector, and its bytes of elements.
fn last_chunk(length: usize) -> (usize, usize) {
    const CHUNK: usize = 8192;
    ((length - 1) / CHUNK, 8 * ((length - 1) % CHUNK + 1))
}

/// A compute peer that changes its answers or the last message of its masked products and signs that, likewise.
fn signed_lie_on_the_way(world: &World, outcome: &Outcome, liar: usize, kind: u8) -> impl FnMut(&mut [u8]) + use<> {
    let (plan, mut environment) = (world.plan().digest(), SimulatedEnvironment::new(world.seed, liar));
    let (binding, frozen, mut agreed) = (outcome.binding, outcome.frozen, [0; 32]);
    let (last_chunk, elements) = if kind == PRODUCT { last_chunk(world.request.items) } else { (0, 0) };
    move |message| {
        if message[0] == COIN {
            agreed.copy_from_slice(&message[5..37]);
        }
        if message[0] != kind || kind == PRODUCT && message.len() != 69 + elements {
            return;
        }
        let number = u32::from_be_bytes(message[1..5].try_into().expect("four bytes"));
        let (step, basis) = match kind {
            ANSWERS => (Step::Answers(number), &agreed),
            _ => (Step::Product(number), &frozen),
        };
        let last = message.len() - 8;
        message[last] ^= 1;
        let digest = statement(&plan, &binding, step, basis, last_chunk, &message[69..]);
        message[5..69].copy_from_slice(&environment.sign_message(&digest));
    }
}

/// What the honest compute peers keep of such liars, after a right result.
fn evidence_on_the_way(n: usize, t: usize, liars: &[usize], kind: u8) -> (World, Vec<Vec<Evidence>>) {
    let mut world = world(n, t);
    let kept = evidence_of_world(&mut world, liars, kind);
    (world, kept)
}

/// The same in a world of one's own.
fn evidence_of_world(world: &mut World, liars: &[usize], kind: u8) -> Vec<Vec<Evidence>> {
    if kind == PRODUCT {
        world.request.aggregator = "product".to_owned();
    }
    let honest = world.clone().fresh().run(|_| {});
    let ends = world.run(|simulator| {
        for liar in liars {
            let run = outcome(&honest[*liar]).expect("an honest run");
            let mut lie = signed_lie_on_the_way(world, run, *liar, kind);
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
        assert!(world.journals[member].evidence().is_empty(), "recipients see shares of the result alone");
    }
    let compute = world.request.compute.iter().filter(|member| !liars.contains(member));
    compute.map(|member| world.journals[*member].evidence()).collect()
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
    let world = world.clone().fresh();
    let ends = world.run(|simulator| liars.iter().for_each(|liar| lie(simulator, &world, &honest, *liar)));
    let recipients = &world.request.recipients;
    let right = outcome(&honest[recipients[0]]).expect("a result").values.clone();
    recipients
        .iter()
        .map(|member| {
            let outcome = outcome(&ends[*member]).expect("the result comes");
            assert_eq!(outcome.values, right);
            let named: Vec<usize> = outcome.faults.iter().map(|fault| fault.member).collect();
            assert_eq!(named, liars, "whoever is named for its share of the result is convicted, too");
            world.journals[*member].evidence()
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

/// The own environment, and how many signatures of others under their messages were looked at.
struct Counting(SimulatedEnvironment, Arc<AtomicUsize>);

impl Environment for Counting {
    fn random(&mut self, out: &mut [u8]) {
        self.0.random(out);
    }

    fn pair_secret(&mut self, member: usize) -> [u8; 32] {
        self.0.pair_secret(member)
    }

    fn sign_freeze(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        self.0.sign_freeze(digest)
    }

    fn verify_freeze(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        self.0.verify_freeze(member, digest, signature)
    }

    fn sign_message(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        self.0.sign_message(digest)
    }

    fn verify_message(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.verify_message(member, digest, signature)
    }

    async fn freeze(&mut self, record: FreezeRecord) -> Result<(), FreezeRefused> {
        self.0.freeze(record).await
    }

    fn convicted(&mut self, evidence: Evidence) {
        self.0.convicted(evidence);
    }
}

/// However many messages it lies in, its signature and those of d+t others are looked at once; one that signs no lie costs one
/// signature for each of them.
#[test]
fn rule5_a_liar_costs_its_signatures_once() {
    const LIAR: usize = 1;
    for (givers, signs) in [2, 12].into_iter().flat_map(|givers| [(givers, true), (givers, false)]) {
        let world = guaranteed(World::delegated(givers, 4, 1, 2, 6).with_max(9));
        let honest = world.clone().fresh().run(|_| {});
        let looked: Vec<Arc<AtomicUsize>> = (0..4 + givers).map(|_| Arc::default()).collect();
        let counting = |member: usize| Counting(world.environment(member), Arc::clone(&looked[member]));
        let run = outcome(&honest[LIAR]).expect("an honest run");
        let (mut lie, mut results) = (signed_lie_on_the_way(&world, run, LIAR, ANSWERS), signed_lie(&world, run, LIAR));
        let cheat = |simulator: &mut Sim<'_>| {
            simulator.rewrite(LIAR, move |to, mut message| {
                lie(&mut message);
                results(to, &mut message);
                if !signs && message[0] == ANSWERS {
                    message[5..69].fill(0);
                }
                Some(message)
            });
        };
        let ends = world.run_among(counting, cheat, |_, ends| ends);
        for member in (0..4).filter(|member| *member != LIAR) {
            let named: Vec<usize> = outcome(&ends[member]).expect("a result").faults.iter().map(|f| f.member).collect();
            assert_eq!(named, [LIAR], "who it sent wrong answers to knows, signed or not");
            assert_eq!(world.journals[member].evidence().len(), usize::from(signs));
            let count = looked[member].load(Ordering::Relaxed);
            assert_eq!(count, if signs { 3 } else { givers }, "{givers} {signs}");
        }
        // To recipients it lied once.
        for (journal, looked) in world.journals.iter().zip(&looked).skip(4) {
            assert_eq!(journal.evidence().len(), 1);
            assert_eq!(looked.load(Ordering::Relaxed), 4, "theirs are all");
        }
    }
}

/// Several messages, and a lie in the last of them: that one convicts.
#[test]
fn rule5_a_signed_lie_in_the_last_chunk_alone_convicts() {
    let long = |n, t| World { request: PlanRequest { items: 9000, ..world(n, t).request }, ..world(n, t) }.with_max(3);
    let mut sum = long(4, 1);
    for evidence in evidence_of(&sum, &[2]) {
        let [evidence] = &evidence[..] else { panic!("one liar") };
        assert_eq!((evidence.step, evidence.chunk), (Step::Result, 1));
        assert_eq!(evidence.check(&sum.plan(), verify(&sum)), Ok(sum.request.members[2]));
    }
    sum = long(5, 1);
    for evidence in evidence_of_world(&mut sum, &[2], PRODUCT) {
        let [evidence] = &evidence[..] else { panic!("one liar") };
        assert_eq!(evidence.chunk, 1);
        assert!(matches!(evidence.step, Step::Product(_)));
        assert_eq!(evidence.check(&sum.plan(), verify(&sum)), Ok(sum.request.members[2]));
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

/// The strongest frame: corrupted peers put their shares on a polynomial through d honest ones, on which the victim's share
/// and those of all other honest peers are not. t of them have d+t shares there, one fewer than convict; t+1, which is more
/// than the model tolerates, would convict whom they like.
#[test]
fn rule5_t_corrupted_signers_cannot_convict_an_honest_peer() {
    for (n, t, kind) in
        [(4usize, 1usize, RESULT), (7, 2, RESULT), (4, 1, ANSWERS), (7, 2, ANSWERS), (5, 1, PRODUCT), (9, 2, PRODUCT)]
    {
        let (world, mut kept) = match kind {
            RESULT => (world(n, t), evidence_of(&world(n, t), &[0])),
            _ => evidence_on_the_way(n, t, &[0], kind),
        };
        let (plan, genuine) = (world.plan(), kept.swap_remove(0).swap_remove(0));
        let degree = if kind == PRODUCT { 2 * t } else { t };
        let (liar, honest): (Vec<SignedShare>, Vec<SignedShare>) =
            genuine.shares.iter().cloned().partition(|share| share.position == genuine.accused);
        assert_eq!((liar.len(), honest.len()), (1, degree + t + 1));
        for victim in 0..honest.len() {
            // The victim last, the corrupted ones first.
            let mut shares = [&liar[..], &honest[..victim], &honest[victim + 1..], &honest[victim..=victim]].concat();
            let frame = |corrupted: usize, shares: &mut Vec<SignedShare>| {
                let through = shares[corrupted..corrupted + degree].to_vec();
                bend(&world, &genuine, &mut shares[..corrupted], &through);
                let mut evidence = Evidence { accused: honest[victim].position, ..genuine.clone() };
                evidence.shares = shares.clone();
                evidence.shares.sort_by_key(|share| share.position);
                evidence.check(&plan, verify(&world))
            };
            assert_eq!(frame(t, &mut shares.clone()), Err(NotProven::NothingWrong), "n = {n}, kind {kind}");
            // Without the honest share that does not fit there are too few.
            let mut fitting = shares.clone();
            fitting.remove(t + degree);
            assert_eq!(frame(t, &mut fitting), Err(NotProven::Incomplete), "n = {n}, kind {kind}");
            let framed = plan.members()[plan.compute()[honest[victim].position as usize]];
            assert_eq!(frame(t + 1, &mut shares), Ok(framed), "n = {n}, kind {kind}: the bound is tight");
        }
    }
}

/// Puts these shares on a polynomial through others that is not the right one, and signs them.
fn bend(world: &World, evidence: &Evidence, shares: &mut [SignedShare], through: &[SignedShare]) {
    let plan = world.plan();
    let point = |share: &SignedShare| F61::from_u128(plan.points()[share.position as usize]);
    let elements = |share: &SignedShare| -> Vec<F61> {
        let (elements, _) = share.elements.as_chunks::<8>();
        elements.iter().map(|bytes| F61::from_bytes_checked(bytes).expect("an element")).collect()
    };
    let (first, others) = shares.split_first_mut().expect("somebody is corrupted");
    let bent: Vec<F61> = elements(first).into_iter().map(|element| element + F61::from_u64(3)).collect();
    let places: Vec<F61> = [point(first)].into_iter().chain(through.iter().map(point)).collect();
    let columns: Vec<Vec<F61>> = [bent].into_iter().chain(through.iter().map(elements)).collect();
    for share in [first].into_iter().chain(others) {
        let weights = lagrange_at(&places, point(share)).expect("distinct points");
        share.elements.clear();
        for element in 0..columns[0].len() {
            let fits: F61 = weights.iter().zip(&columns).map(|(weight, column)| *weight * column[element]).sum();
            fits.write_bytes(&mut share.elements);
        }
        let Evidence { plan: digest, binding, step, basis, chunk, .. } = evidence;
        let digest = statement(digest, binding, *step, basis, *chunk as usize, &share.elements);
        let member = plan.compute()[share.position as usize];
        share.signature = SimulatedEnvironment::new(world.seed, member).sign_message(&digest);
    }
}
