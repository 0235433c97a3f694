//! Work on secrets chosen by an argument, for counting instructions: see scripts/constant_time.sh.
//!
//! `constant_time PART SECRETS` does the same work on secrets that are zero (0), large (1), random (2) or random bits (3), with
//! the same randomness, and prints nothing. Parts: `fields`, `semi-honest` and `verified` arithmetic, whole `sessions`; and
//! `branch` and `index`, which leak on purpose and must be found.

use std::collections::BTreeMap;
use std::hint::black_box;

use tacit_algebra::{F61, F127, Field, Fp};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Setup, Shared};
use tacit_engine::simulator::SplitMix;
use tacit_engine::{
    OnMissing, Outcome, Plan, PlanRequest, SecurityModel, SessionError, Sharing, SimulatedEnvironment, Simulator, run,
};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};
use zeroize::Zeroizing;

/// Secret numbers of each vector.
const LENGTH: usize = 70;
/// They are below 2^30.
const BITS: u32 = 30;
/// Numbers of sessions are at most this.
const LARGEST: u64 = 1 << BITS;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    const USAGE: &str = "constant_time fields|semi-honest|verified|sessions|branch|index 0|1|2|3";
    let mut arguments = std::env::args().skip(1);
    let (part, which) = (arguments.next().ok_or(USAGE)?, arguments.next().ok_or(USAGE)?);
    measured(&part, &secrets(which.parse()?))
}

/// What is counted: the start of a program is not the same each time.
#[inline(never)]
fn measured(part: &str, secrets: &[u64]) -> Result<(), Failure> {
    match part {
        "fields" => {
            field::<F61>(secrets);
            field::<F127>(secrets);
            field::<Fp<1013>>(secrets);
            field::<Fp<9_223_372_036_854_775_783>>(secrets);
            Ok(())
        }
        "semi-honest" => [3, 5].into_iter().try_for_each(|parties| {
            play::<F61>(parties, secrets, false)?;
            play::<F127>(parties, secrets, false)
        }),
        // More parties than 2t+1 check the degrees of what they get, too.
        "verified" => [3, 4].into_iter().try_for_each(|parties| {
            play::<F61>(parties, secrets, true)?;
            play::<F127>(parties, secrets, true)
        }),
        "sessions" => sessions(secrets),
        "branch" => {
            secrets.iter().filter(|secret| **secret > 1 << 29).for_each(|secret| _ = black_box(secret));
            Ok(())
        }
        "index" => {
            let table = vec![1u8; 1 << 24];
            secrets.iter().for_each(|secret| _ = black_box(table[*secret as usize % table.len()]));
            Ok(())
        }
        _ => Err("no such part".into()),
    }
}

/// Vectors of numbers below 2^30, by the same instructions whatever they are.
fn secrets(which: u64) -> Vec<u64> {
    let all = (1 << BITS) - 1;
    // What is kept of a random number, and what is added.
    let (kept, added) = [(0, 0), (0, all), (all, 0), (1, 0)][which as usize % 4];
    let mut random = SplitMix::new(7);
    (0..2 * LENGTH).map(|_| (random.next_u64() & kept) | added).collect()
}

/// All of a field but what its documentation excepts.
fn field<F: Field>(secrets: &[u64]) {
    let mut numbers: Vec<F> = secrets.iter().map(|x| F::from_u64(*x)).collect();
    // All over the field: zero stays zero, large numbers become those below p.
    numbers.iter_mut().skip(LENGTH).for_each(|x| *x = -*x);
    let (a, b) = numbers.split_at(LENGTH);
    for (a, b) in a.iter().zip(b) {
        let results = [*a + *b, *a - *b, *a * *b, -*a, a.square(), a.mul_add(*b, *b), a.inv_or_zero(), b.pow(77)];
        black_box((results, a == b, a.to_u128(), b.to_i128_signed()));
    }
    for secret in secrets {
        black_box((F::from_u128(u128::from(*secret) << 90), F::from_i64(-(*secret as i64))));
    }
    let mut out = a.to_vec();
    F::add_assign_slice(&mut out, b);
    F::sub_assign_slice(&mut out, a);
    F::mul_add_slice(&mut out, a, b);
    F::scale_slice(&mut out, F::from_u64(5));
    F::scale_add(&mut out, F::from_u64(6), a);
    F::mul_slice(&mut out, a, b);
    black_box((F::dot(a, b), F::sum_slice(a), &out));
    let mut bytes = Vec::new();
    F::encode_slice(&numbers, &mut bytes);
    black_box(F::decode_into(&bytes, &mut out.repeat(2)).is_ok());
    // None is zero: that would show, as is documented.
    let mut odd: Vec<F> = secrets.iter().map(|x| F::from_u64((*x % 1012) | 1)).collect();
    black_box(F::invert_all(&mut odd));
}

/// The same for every party, but for what the first one puts in.
fn play<F: Field>(parties: usize, secrets: &[u64], verified: bool) -> Result<(), Failure> {
    let mut simulator = Simulator::<Result<(), ArithmeticError>>::new(parties, 1).without_delays();
    for me in 0..parties {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let setup = Setup {
                mailbox: &mailbox,
                me,
                threshold: (parties - 1) / 2,
                members: (0..parties).collect(),
                fingerprints: (0..parties).map(|i| Fingerprint([i as u8 + 1; 32])).collect(),
                points: (1..=parties as u64).map(F::from_u64).collect(),
                binding: [1; 32],
                pair_secrets: (0..parties).map(|other| Zeroizing::new([(me + other) as u8; 32])).collect(),
                local_seed: Zeroizing::new([me as u8; 32]),
            };
            let mut arithmetic = if verified { Arithmetic::verified(setup)? } else { Arithmetic::<F>::new(setup)? };
            let numbers: Vec<F> = secrets.iter().map(|secret| F::from_u64(*secret)).collect();
            let all = arithmetic.input(0, numbers.len(), (me == 0).then_some(&numbers[..])).await?;
            let (a, b) = (all.slice(0..LENGTH), all.slice(LENGTH..2 * LENGTH));
            alike(&mut arithmetic, &a, &b).await?;
            if !verified {
                over_bits(&mut arithmetic, &a, &b).await?;
            }
            Ok(())
        });
    }
    simulator.run().into_iter().try_for_each(|ended| Ok(ended.finished().ok_or("a party did not finish")??))
}

/// What is offered in both models. Nothing is opened but what is masked.
async fn alike<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    a: &Shared<F>,
    b: &Shared<F>,
) -> Result<(), ArithmeticError> {
    let product = arithmetic.multiply(a, b).await?;
    arithmetic.dot(a, &product, 7).await?;
    arithmetic.power(a, 11).await?;
    arithmetic.equal(a, b).await?;
    let less = arithmetic.less_than(a, b, BITS).await?;
    arithmetic.less_than_public(a, &[F::from_u64(1000); LENGTH], BITS).await?;
    arithmetic.select(&less, a, b).await?;
    arithmetic.least_significant_bit(a, BITS).await?;
    arithmetic.prefix_or(&less, 10).await?;
    arithmetic.product(a, 5).await?;
    arithmetic.matmul(&a.slice(0..8), &b.slice(0..8), 2, 2).await?;
    arithmetic.in_interval(a, &[F::from_u64(7); LENGTH], &[F::from_u64(70_000); LENGTH], BITS).await?;
    arithmetic.max(a, 7, BITS).await?;
    arithmetic.argmin(a, 7, BITS).await?;
    arithmetic.sort(&a.slice(0..6), BITS).await?;
    arithmetic.sort_with(&a.slice(0..4), BITS, &b.slice(0..4), BITS).await?;
    let mut positive = b.duplicate();
    positive.add_constant(&[F::ONE; LENGTH]);
    arithmetic.inverse(&positive).await?;
    arithmetic.biased_bits(&[1 << 60, 1 << 63, u64::MAX / 3]).await?;
    arithmetic.verify().await
}

/// What is computed on replicated bits.
async fn over_bits<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    a: &Shared<F>,
    b: &Shared<F>,
) -> Result<(), ArithmeticError> {
    arithmetic.decompose(a, BITS).await?;
    arithmetic.sort(a, BITS).await?;
    arithmetic.shuffle(a, BITS).await?;
    if F::BITS == 127 {
        let mut positive = b.duplicate();
        positive.add_constant(&[F::ONE; LENGTH]);
        arithmetic.fixed_divide(a, &positive, 8, 38).await?;
        arithmetic.fixed_sqrt(a, 16, 32).await?;
        arithmetic.fixed_logistic(a, 20, 32).await?;
        arithmetic.fixed_log(&positive, 20, 32).await?;
    }
    Ok(())
}

/// Whole sessions: inputs are shared with the proofs of their bounds and ties, noise is tossed. Results, which are public, are the
/// same for all secrets: two peers' numbers add up to the same, or are the same two records, and secret is who has which.
fn sessions(secrets: &[u64]) -> Result<(), Failure> {
    use SecurityModel::{Guaranteed, Malicious, SemiHonest};
    let one = ("max_records", "1");
    session((3, 1), "sum", &[("bounds", "declared")], SemiHonest, LENGTH, |me| summand(me, secrets))?;
    session((5, 2), "sum", &[], Malicious, LENGTH, |me| summand(me, secrets))?;
    session((4, 1), "sum", &[], Guaranteed, LENGTH, |me| summand(me, secrets))?;
    session((3, 1), "mean", &[one], SemiHonest, LENGTH, |me| summand(me, secrets))?;
    session((3, 1), "noisy_sum", &[("epsilon", "5")], SemiHonest, LENGTH, |me| summand(me, secrets))?;
    let two = ("max_records", "2");
    session((3, 1), "correlation", &[two], SemiHonest, 2, |me| records(me, secrets, 2))?;
    session((4, 1), "correlation", &[two], Malicious, 2, |me| records(me, secrets, 2))?;
    session((4, 1), "variance", &[two], Guaranteed, 2, |me| records(me, secrets, 2))?;
    session((5, 1), "product", &[], Guaranteed, 8, |me| records(me, secrets, 4))
}

/// Of the first two peers these add up to the same.
fn summand(me: usize, secrets: &[u64]) -> Vec<u64> {
    let number = |secret: &u64| match me {
        0 => *secret,
        1 => LARGEST - *secret,
        _ => 5,
    };
    secrets[..LENGTH].iter().map(number).collect()
}

/// So many records of two numbers. The first two peers have the same pairs of them, and a secret bit says who has which.
fn records(me: usize, secrets: &[u64], count: usize) -> Vec<u64> {
    let record = |(place, secret): (usize, &u64)| {
        let bit = match me {
            0 => secret & 1,
            1 => (secret & 1) ^ 1,
            _ => 0,
        };
        let place = place as u64;
        [3 + place + 8 * bit, 20 + place * place - 5 * bit]
    };
    secrets[..count].iter().enumerate().flat_map(record).collect()
}

fn session(
    (peers, threshold): (usize, usize),
    aggregator: &str,
    parameters: &[(&str, &str)],
    model: SecurityModel,
    items: usize,
    row: impl Fn(usize) -> Vec<u64>,
) -> Result<(), Failure> {
    let everybody: Vec<usize> = (0..peers).collect();
    let plan = Plan::build(PlanRequest {
        session: SessionId([1; 16]),
        attempt: Attempt(0),
        slot: Slot(0),
        charter: [0; 32],
        task: [0; 32],
        aggregator: aggregator.to_owned(),
        aggregator_version: 1,
        parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>(),
        sharing: Sharing::Shamir { threshold },
        charter_threshold: threshold,
        charter_compute: peers,
        model,
        items,
        max_element: if aggregator == "product" { 40 } else { LARGEST },
        modulus: None,
        members: everybody.iter().map(|i| Fingerprint([*i as u8 + 1; 32])).collect(),
        inputs: everybody.clone(),
        compute: everybody.clone(),
        recipients: everybody,
        on_missing: if model == SecurityModel::Guaranteed { OnMissing::Proceed { min: 2 } } else { OnMissing::Fail },
    })?;
    let nonces = vec![[7; 32]; peers];
    let mut simulator = Simulator::<Result<Outcome, SessionError>>::new(peers, 1).without_delays();
    for me in 0..peers {
        let input = row(me);
        let mailbox = simulator.mailbox(me);
        let mut environment = SimulatedEnvironment::new(1, me);
        let (plan, nonces) = (&plan, &nonces);
        simulator.spawn(me, async move { run(plan, me, &mailbox, &mut environment, nonces, Some(input.into())).await });
    }
    for ended in simulator.run() {
        let outcome = ended.finished().ok_or("a peer did not finish")??;
        if !outcome.faults.is_empty() {
            return Err("honest peers are blamed".into());
        }
    }
    Ok(())
}
