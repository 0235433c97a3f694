//! Every kind of operation on shares of secrets chosen by the argument, for counting instructions: see
//! scripts/constant_time.sh.
//!
//! `constant_time 0|1|2` does the same work on secrets that are zero, large or random, with the same randomness, and prints
//! nothing. With `leak` behind it there is one branch on a secret, which must be found.

use tacit_algebra::{F61, F127, Field};
use tacit_engine::Simulator;
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Setup};
use tacit_engine::simulator::SplitMix;
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

/// Secret numbers of each vector.
const LENGTH: usize = 70;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let argument = std::env::args().nth(1).ok_or("0, 1 or 2")?;
    let secrets = secrets(argument.bytes().next().ok_or("0, 1 or 2")?);
    let leak = std::env::args().nth(2).is_some();
    measured(&secrets, leak)
}

/// What is counted: the start of a program is not the same each time.
#[inline(never)]
fn measured(secrets: &[u64], leak: bool) -> Result<(), Failure> {
    if leak {
        secrets.iter().filter(|secret| **secret > 1 << 29).for_each(|secret| _ = std::hint::black_box(secret));
    }
    for parties in [3, 5] {
        play::<F61>(parties, secrets)?;
        play::<F127>(parties, secrets)?;
    }
    Ok(())
}

/// The same for every party, but for what the first one puts in.
fn play<F: Field>(parties: usize, secrets: &[u64]) -> Result<(), Failure> {
    let mut simulator = Simulator::<Result<(), ArithmeticError>>::new(parties, 1).without_delays();
    for me in 0..parties {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let mut arithmetic = Arithmetic::<F>::new(Setup {
                mailbox: &mailbox,
                me,
                threshold: (parties - 1) / 2,
                members: (0..parties).collect(),
                fingerprints: (0..parties).map(|i| Fingerprint([i as u8 + 1; 32])).collect(),
                points: (1..=parties as u64).map(F::from_u64).collect(),
                binding: [1; 32],
                pair_secrets: (0..parties).map(|other| Zeroizing::new([(me + other) as u8; 32])).collect(),
                local_seed: Zeroizing::new([me as u8; 32]),
            })?;
            work(&mut arithmetic, secrets).await
        });
    }
    simulator.run().into_iter().try_for_each(|ended| Ok(ended.finished().ok_or("a party did not finish")??))
}

/// Two vectors of numbers below 2^30, by the same instructions whatever they are.
fn secrets(which: u8) -> Vec<u64> {
    let all = (1 << 30) - 1;
    // What is kept of a random number, and what is added.
    let (kept, added) = [(0, 0), (0, all), (all, 0)][usize::from(which % 3)];
    let mut random = SplitMix::new(7);
    (0..2 * LENGTH).map(|_| (random.next_u64() & kept) | added).collect()
}

async fn work<F: Field>(arithmetic: &mut Arithmetic<'_, F>, secrets: &[u64]) -> Result<(), ArithmeticError> {
    let numbers: Vec<F> = secrets.iter().map(|secret| F::from_u64(*secret)).collect();
    let all = arithmetic.input(0, numbers.len(), (arithmetic.me() == 0).then_some(&numbers[..])).await?;
    let (a, b) = (all.slice(0..LENGTH), all.slice(LENGTH..2 * LENGTH));
    let product = arithmetic.multiply(&a, &b).await?;
    arithmetic.dot(&a, &product, 7).await?;
    arithmetic.power(&a, 11).await?;
    arithmetic.equal(&a, &b).await?;
    let less = arithmetic.less_than(&a, &b, 30).await?;
    arithmetic.select(&less, &a, &b).await?;
    arithmetic.least_significant_bit(&a, 30).await?;
    arithmetic.decompose(&a, 30).await?;
    arithmetic.prefix_or(&less, 10).await?;
    arithmetic.max(&a, 7, 30).await?;
    arithmetic.sort(&a, 30).await?;
    arithmetic.shuffle(&a, 30).await?;
    if F::BITS == 127 {
        let mut positive = b.duplicate();
        positive.add_constant(&[F::ONE; LENGTH]);
        arithmetic.fixed_divide(&a, &positive, 8, 38).await?;
        arithmetic.fixed_sqrt(&a, 16, 32).await?;
        arithmetic.fixed_logistic(&a, 20, 32).await?;
        arithmetic.fixed_log(&positive, 20, 32).await?;
    }
    Ok(())
}
