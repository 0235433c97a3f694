//! Verified arithmetic: right where all are honest, and what its verification opens is uniform.

use std::cell::RefCell;
use std::rc::Rc;

use tacit_algebra::{F61, F127, Field, Fp};
use tacit_engine::arithmetic::{Arithmetic, ArithmeticError, Shared};
use tacit_engine::{Ended, Mailbox, Simulator};

use crate::arithmetic_world::{numbers, setup};
use crate::uniform::chi_squared;

/// The first byte of messages (the table is in arithmetic/wire.rs).
pub(crate) const INPUT: u8 = 1;
pub(crate) const RESHARE: u8 = 2;
pub(crate) const TO_KING: u8 = 4;
pub(crate) const FROM_KING: u8 = 5;
pub(crate) const OPEN: u8 = 6;
pub(crate) const COMMIT: u8 = 9;
pub(crate) const COIN: u8 = 10;

pub(crate) type Opened<F> = Result<Vec<F>, ArithmeticError>;
pub(crate) type Ends<F> = Vec<Ended<Opened<F>>>;

/// Runs the same program as each of n parties, under what `change` does to the simulator.
pub(crate) fn run<F: Field>(
    (n, t): (usize, usize),
    seed: u64,
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> Opened<F>,
    change: impl FnOnce(&mut Simulator<'_, Opened<F>>),
) -> Ends<F> {
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let (mailbox, program) = (simulator.mailbox(me), &program);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::verified(setup(&mailbox, me, n, t, seed))?;
            program(&mut context).await
        });
    }
    change(&mut simulator);
    simulator.run()
}

pub(crate) fn ok<F: Field>(end: &Ended<Opened<F>>) -> Option<&Vec<F>> {
    match end {
        Ended::Finished(Ok(opened)) => Some(opened),
        _ => None,
    }
}

pub(crate) fn error<F: Field>(end: &Ended<Opened<F>>) -> Option<&ArithmeticError> {
    match end {
        Ended::Finished(Err(error)) => Some(error),
        _ => None,
    }
}

/// Whom the honest call cheaters.
pub(crate) fn accused<F: Field>(ends: &Ends<F>, cheater: usize) -> Vec<usize> {
    let mut accused = Vec::new();
    for (_, end) in ends.iter().enumerate().filter(|(me, _)| *me != cheater) {
        match error(end) {
            Some(ArithmeticError::Malformed { member }) => accused.push(*member),
            Some(ArithmeticError::WrongShares { members }) => accused.extend(members),
            _ => {}
        }
    }
    accused
}

/// Two parties' numbers, neither of them party 0.
pub(crate) async fn inputs<F: Field>(
    context: &mut Arithmetic<'_, F>,
    length: usize,
) -> Result<[Shared<F>; 2], ArithmeticError> {
    let me = context.me();
    let own: Vec<F> = if me == 1 || me == 2 { numbers(length, me as u64) } else { Vec::new() };
    let mut lengths = vec![0; context.parties()];
    (lengths[1], lengths[2]) = (length, length);
    let mut shared = context.input_all(&lengths, &own).await?;
    let second = shared.swap_remove(2);
    Ok([shared.swap_remove(1), second])
}

pub(crate) fn plain<F: Field>(length: usize) -> [Vec<F>; 2] {
    [numbers(length, 1), numbers(length, 2)]
}

pub(crate) const GROUPS: [(usize, usize); 7] = [(3, 1), (4, 1), (5, 2), (6, 2), (7, 2), (7, 3), (8, 3)];

fn operations_are_right<F: Field>() {
    for group in GROUPS {
        let ends = run::<F>(
            group,
            3,
            async |context| {
                let [a, b] = inputs(context, 12).await?;
                let mut opened = Vec::new();
                let product = context.multiply(&a, &b).await?;
                let mut square = a.duplicate();
                context.square_assign(&mut square).await?;
                let dot = context.dot(&a, &b, 4).await?;
                let matrix = context.matmul(&a.slice(0..6), &b.slice(0..6), 2, 2).await?;
                let tree = context.product(&a.slice(0..10), 5).await?;
                let power = context.power(&b, 13).await?;
                let equal = context.equal(&Shared::concat(&[&a, &a]), &Shared::concat(&[&b, &a])).await?;
                for part in [product, square, dot, matrix, tree, power, equal] {
                    opened.extend(context.open(&part).await?);
                }
                let random = context.random(5).await?;
                let inverse = context.inverse(&random).await?;
                let one = context.multiply(&random, &inverse).await?;
                opened.extend(context.open(&one).await?);
                let bits = context.random_bits(40).await?;
                let bits = context.open(&bits).await?;
                assert!(bits.iter().all(|bit| *bit == F::ZERO || *bit == F::ONE));
                assert!(bits.contains(&F::ZERO) && bits.contains(&F::ONE));
                Ok(opened)
            },
            |_| {},
        );
        let [a, b] = plain::<F>(12);
        let products: Vec<F> = a.iter().zip(&b).map(|(a, b)| *a * *b).collect();
        let mut expected = products.clone();
        expected.extend(a.iter().map(|a| a.square()));
        expected.extend(products.chunks(4).map(|row| row.iter().copied().sum::<F>()));
        expected.extend(
            [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| (0..3).map(|k| a[3 * i + k] * b[2 * k + j]).sum::<F>()),
        );
        expected.extend(a[..10].chunks(5).map(|row| row.iter().fold(F::ONE, |p, a| p * *a)));
        expected.extend(b.iter().map(|b| b.pow_vartime(13)));
        expected.extend(a.iter().zip(&b).map(|(a, b)| if a == b { F::ONE } else { F::ZERO }));
        expected.extend([F::ONE; 12 + 5]);
        for end in &ends {
            assert_eq!(ok(end), Some(&expected), "{group:?}: {:?}", error(end));
        }
    }
}

#[test]
fn verified_operations_equal_plain_ones() {
    operations_are_right::<F61>();
    operations_are_right::<F127>();
}

/// More products than are verified at once, over kings and by resharing, opened by slices.
#[test]
fn verified_long_vectors_equal_plain_ones() {
    for group in [(3, 1), (7, 3), (7, 2)] {
        let length = 140_000;
        let ends = run::<F61>(
            group,
            4,
            async |context| {
                let [a, b] = inputs(context, length).await?;
                let mut product = context.multiply(&a, &b).await?;
                context.multiply_assign(&mut product, &a).await?;
                context.open(&product).await
            },
            |_| {},
        );
        let [a, b] = plain::<F61>(length);
        let expected: Vec<F61> = a.iter().zip(&b).map(|(a, b)| *a * *b * *a).collect();
        for end in &ends {
            assert!(ok(end) == Some(&expected), "{group:?}: {:?}", error(end));
        }
    }
}

#[test]
fn rule6_products_are_not_verified_in_small_fields() {
    let mailbox = Mailbox::new(3);
    let refused = Arithmetic::<Fp<1013>>::verified(setup(&mailbox, 0, 3, 1, 1));
    assert!(matches!(refused.err(), Some(ArithmeticError::WrongCall { .. })));
}

/// A product, a power and bits; nothing is party 0's.
pub(crate) async fn program<F: Field>(context: &mut Arithmetic<'_, F>) -> Opened<F> {
    let [a, b] = inputs(context, 3).await?;
    let mut product = context.multiply(&a, &b).await?;
    context.multiply_assign(&mut product, &a).await?;
    let bits = context.random_bits(2).await?;
    let both = context.multiply(&bits.slice(0..1), &bits.slice(1..2)).await?;
    // 0 whatever the bits are.
    let none = context.multiply(&both, &Shared::constant(&[F::ONE]).sub(&bits.slice(0..1))).await?;
    context.open(&Shared::concat(&[&product, &none])).await
}

pub(crate) fn result<F: Field>() -> Vec<F> {
    let [a, b] = plain::<F>(3);
    a.iter().zip(&b).map(|(a, b)| *a * *b * *a).chain([F::ZERO]).collect()
}

/// What is opened to verify products of zeros is uniform.
#[test]
fn what_verification_opens_is_uniform() {
    const BUCKETS: usize = 16;
    for group in [(3, 1), (5, 2)] {
        for value in [0, 1] {
            let mut counts = [[0; BUCKETS]; 3];
            for seed in 0..1600 {
                let last = Rc::new(RefCell::new(Vec::new()));
                let kept = Rc::clone(&last);
                run::<F61>(
                    group,
                    seed,
                    async |context| {
                        let own = [F61::from_u64(value); 2];
                        let a = context.input(1, 2, (context.me() == 1).then_some(&own[..])).await?;
                        _ = context.multiply(&a, &a).await?;
                        context.verify().await?;
                        Ok(Vec::new())
                    },
                    |simulator| {
                        simulator.rewrite(1, move |_, message| {
                            if message[0] == OPEN {
                                *kept.borrow_mut() = message[5..].to_vec();
                            }
                            Some(message)
                        });
                    },
                );
                for (counts, element) in counts.iter_mut().zip(last.borrow().as_chunks::<8>().0) {
                    counts[usize::from(element[0] & 15)] += 1;
                }
            }
            for counts in counts {
                let chi = chi_squared(&counts);
                // 15 degrees of freedom: above 50 once in 90,000.
                assert!(chi < 50.0, "{group:?} {value}: {chi}");
            }
        }
    }
}
