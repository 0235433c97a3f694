//! Messages of multiplications, random bits, inverses and openings: a hostile compute peer among honest ones.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tacit_algebra::{F61, Field};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Setup};
use tacit_engine::{Ended, Mailbox, Simulator};
use tacit_fuzz::hostile::{Change, Changer};
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

#[derive(Arbitrary, Debug)]
struct Case {
    size: u8,
    cheater: u8,
    seed: u8,
    program: Vec<Step>,
    changes: Vec<Change>,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Step {
    Random(u8),
    Input(u8),
    Multiply,
    Square,
    Dot,
    Product,
    Power(u8),
    Bits(u8),
    Inverse,
    IsZero,
    Open,
    OpenTo(u8),
}

fuzz_target!(|case: Case| {
    let n = 3 + usize::from(case.size) % 5;
    let cheater = usize::from(case.cheater) % n;
    let seed = u64::from(case.seed);
    let program = &case.program[..case.program.len().min(8)];
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::<F61>::new(setup(&mailbox, me, n, seed)).expect("a right setup");
            let result = run(&mut context, program).await;
            if let Err(error) = &result
                && !matches!(error, ArithmeticError::WrongCall { .. } | ArithmeticError::NotInvertible { .. })
            {
                assert_eq!(context.random(1).await.err(), Some(error.clone()), "what failed once stays failed");
            }
            result
        });
    }
    let mut changer = Changer::new(case.changes);
    let tally = changer.tally.clone();
    simulator.rewrite(cheater, move |_, message| changer.apply(message));
    let ends = simulator.run();
    for (member, end) in ends.into_iter().enumerate().filter(|(member, _)| *member != cheater) {
        let Ended::Finished(end) = end else { panic!("member {member} did not end") };
        match end {
            Err(ArithmeticError::Malformed { member: blamed }) => assert_eq!(blamed, cheater, "by member {member}"),
            Err(ArithmeticError::WrongCall { what }) => panic!("member {member}: {what}"),
            Err(ArithmeticError::NotInvertible { .. }) | Ok(()) => {}
            Err(error) => assert_ne!(tally.get(), (0, false), "member {member} among honest ones: {error}"),
        }
    }
});

async fn run(context: &mut Arithmetic<'_, F61>, program: &[Step]) -> Result<(), ArithmeticError> {
    let mut value = context.random(2).await?;
    for step in program {
        value = match *step {
            Step::Random(length) => context.random(1 + usize::from(length % 40)).await?,
            Step::Input(dealer) => {
                let dealer = usize::from(dealer) % context.parties();
                let values = [F61::from_u64(7); 3];
                let own = (dealer == context.me()).then_some(&values[..]);
                context.input(dealer, 3, own).await?
            }
            Step::Multiply => context.multiply(&value, &value).await?,
            Step::Square => {
                context.square_assign(&mut value).await?;
                value
            }
            Step::Dot => context.dot(&value, &value, value.len()).await?,
            Step::Product => context.product(&value, value.len()).await?,
            Step::Power(exponent) => context.power(&value, u128::from(exponent)).await?,
            Step::Bits(length) => context.random_bits(1 + usize::from(length % 4)).await?,
            Step::Inverse => context.inverse(&value).await?,
            Step::IsZero => context.is_zero(&value).await?,
            Step::Open => {
                context.open(&value).await?;
                value
            }
            Step::OpenTo(to) => {
                let to = usize::from(to) % context.parties();
                context.open_to(&value, &[to]).await?;
                value
            }
        };
    }
    context.open(&value).await.map(drop)
}

fn setup(mailbox: &Mailbox, me: usize, n: usize, seed: u64) -> Setup<'_, F61> {
    let secret = |i: usize, j: usize| {
        let mut secret = Zeroizing::new([0; 32]);
        secret[0] = u8::try_from(i.min(j)).expect("few members");
        secret[1] = u8::try_from(i.max(j)).expect("few members");
        secret
    };
    Setup {
        mailbox,
        me,
        threshold: (n - 1) / 2,
        members: (0..n).collect(),
        fingerprints: (0..n).map(|i| Fingerprint([u8::try_from(i + 1).expect("few members"); 32])).collect(),
        points: (0..n).map(|i| F61::from_u64(1000 + 77 * i as u64)).collect(),
        binding: [u8::try_from(seed).expect("one byte"); 32],
        pair_secrets: (0..n).map(|j| secret(me, j)).collect(),
        local_seed: secret(me, me),
    }
}
