//! Losses and malformed messages in the arithmetic: the error names the member, nothing hangs.

use tacit_algebra::{F61, Field};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Shared};
use tacit_engine::{Ended, Mailbox, Simulator};
use zeroize::Zeroizing;

use crate::arithmetic_world::{most, setup};

type End = Ended<Result<(), ArithmeticError>>;

fn run(
    n: usize,
    length: usize,
    seed: u64,
    change: impl FnOnce(&mut Simulator<Result<(), ArithmeticError>>),
) -> Vec<End> {
    run_among(n, most(n), length, seed, change)
}

fn run_among(
    n: usize,
    t: usize,
    length: usize,
    seed: u64,
    change: impl FnOnce(&mut Simulator<Result<(), ArithmeticError>>),
) -> Vec<End> {
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::<F61>::new(setup(&mailbox, me, n, t, seed))?;
            let a = context.random(length).await?;
            let b = context.multiply(&a, &a).await?;
            let result = context.open(&b).await.map(|_| ());
            // What failed once stays failed.
            if result.is_err() {
                assert_eq!(context.multiply(&a, &a).await.err(), result.clone().err());
            }
            result
        });
    }
    change(&mut simulator);
    simulator.run()
}

#[test]
fn a_lost_member_is_named() {
    for (n, length) in [(3, 10), (3, 100_000), (7, 10), (7, 100_000)] {
        for after in 0..4 {
            let ends = run(n, length, 5, |simulator| simulator.crash_after(2, after));
            for (me, end) in ends.into_iter().enumerate().filter(|(me, _)| *me != 2) {
                match end {
                    // Whoever stopped because of the loss is lost to others then.
                    Ended::Finished(Err(ArithmeticError::Lost { member })) => assert_ne!(member, me),
                    Ended::Finished(Ok(())) => {}
                    _ => panic!("party {me} of {n} ended otherwise"),
                }
            }
        }
    }
}

#[test]
fn malformed_messages_are_refused() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        |m| m.clear(),
        |m| m[0] ^= 1,
        |m| m[2] ^= 1,
        |m| m.push(0),
        |m| m.truncate(m.len() - 8),
        |m| m[5..13].fill(0xff),
    ];
    for n in [3, 5] {
        for change in changes {
            let mut first = true;
            let ends = run(n, 10, 6, |simulator| {
                simulator.rewrite(1, move |_, mut message| {
                    // Keys of subsets are any bytes.
                    if message[0] != 7 && std::mem::take(&mut first) {
                        change(&mut message);
                    }
                    Some(message)
                });
            });
            let named = |end: &End| *end == Ended::Finished(Err(ArithmeticError::Malformed { member: 1 }));
            assert!(ends.iter().any(named), "n = {n}");
        }
    }
}

#[test]
fn rule5_wrong_shares_are_noticed_and_named_from_3t_plus_1_on() {
    // The last message of the program is the opening.
    for (n, t, length) in [(3, 1, 10), (5, 2, 10), (6, 2, 10), (7, 3, 300), (4, 1, 10), (7, 2, 300)] {
        let ends = run_among(n, t, length, 7, |simulator| {
            simulator.rewrite(1, move |_, mut message| {
                if message[0] == 6 {
                    message[5] ^= 1;
                }
                Some(message)
            });
        });
        // With fewer shares t cheaters could frame somebody.
        let members = if n > 3 * t { vec![1] } else { Vec::new() };
        for (me, end) in ends.iter().enumerate().filter(|(me, _)| *me != 1) {
            assert_eq!(
                *end,
                Ended::Finished(Err(ArithmeticError::WrongShares { members: members.clone() })),
                "{me} of {n}, t = {t}"
            );
        }
    }
}

/// One of the t+1 senders of a slice lies; its king puts the wrong slice together and is honest.
#[test]
fn rule5_an_honest_king_is_not_framed() {
    let ends = run(5, 20_000, 8, |simulator| {
        simulator.rewrite(3, move |_, mut message| {
            if message[0] == 4 {
                message[5] ^= 1;
            }
            Some(message)
        });
    });
    for (_, end) in ends.iter().enumerate().filter(|(me, _)| *me != 3) {
        assert_eq!(*end, Ended::Finished(Err(ArithmeticError::WrongShares { members: Vec::new() })));
    }
}

#[test]
fn a_king_that_lies_is_noticed() {
    let ends = run(5, 20_000, 8, |simulator| {
        simulator.rewrite(3, move |_, mut message| {
            if message[0] == 5 {
                message[5] ^= 1;
            }
            Some(message)
        });
    });
    for (_, end) in ends.iter().enumerate().filter(|(me, _)| *me != 3) {
        assert_eq!(*end, Ended::Finished(Err(ArithmeticError::WrongShares { members: Vec::new() })));
    }
}

#[test]
fn setups_that_cannot_be_right() {
    let mailbox = Mailbox::new(5);
    let refused = |change: fn(&mut tacit_engine::arithmetic::Setup<'_, F61>)| {
        let mut setup = setup(&mailbox, 0, 5, 2, 1);
        change(&mut setup);
        assert!(matches!(Arithmetic::new(setup).err(), Some(ArithmeticError::WrongCall { .. })));
    };
    refused(|s| s.threshold = 0);
    refused(|s| s.threshold = 3);
    refused(|s| s.me = 5);
    refused(|s| s.points[1] = s.points[2]);
    refused(|s| s.points[4] = F61::ZERO);
    refused(|s| s.pair_secrets.push(Zeroizing::new([0; 32])));
    refused(|s| _ = s.members.pop());
}

#[test]
fn wrong_calls_send_nothing() {
    let mailbox = Mailbox::new(3);
    let mut context = Arithmetic::<F61>::new(setup(&mailbox, 0, 3, 1, 1)).expect("setup");
    let (one, two) = (Shared::constant(&[F61::ONE]), Shared::constant(&[F61::ONE; 2]));
    let mut wrong = 0;
    let mut check = |polled: Option<bool>| {
        assert_eq!(polled, Some(true));
        wrong += 1;
    };
    macro_rules! refused {
        ($call:expr) => {
            check(now($call).map(|r| matches!(r.err(), Some(ArithmeticError::WrongCall { .. }))))
        };
    }
    refused!(context.multiply(&one, &two));
    refused!(context.dot(&two, &two, 0));
    refused!(context.dot(&two, &one, 1));
    refused!(context.matmul(&two, &one, 1, 1));
    refused!(context.product(&two, 3));
    refused!(context.equal(&one, &two));
    refused!(context.input(3, 1, None));
    refused!(context.input(0, 1, None));
    refused!(context.input_all(&[1, 1], &[F61::ONE]));
    refused!(context.open_to(&one, &[3]));
    assert_eq!(wrong, 10);
    assert_eq!(mailbox.counters().total_sent().messages, 0);
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(result) => Some(result),
        std::task::Poll::Pending => None,
    }
}
