//! What each single party sees is uniform whatever the numbers are, in both fields: what it is sent, and the numbers
//! behind it, put together as the party would. Seeds are fixed, so that no test fails by chance.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tacit_algebra::poly::lagrange_at;
use tacit_algebra::{F61, F127, Field};
use tacit_engine::arithmetic::{Arithmetic, Shared};
use tacit_engine::{FieldChoice, SecurityModel, Simulator};

use crate::arithmetic_world::{context, most, points};
use crate::uniform::{LIMIT, unevenness};
use crate::world::{ANSWERS, RESULT, SHARES, World};

/// Messages of the arithmetic (the table is in arithmetic/wire.rs).
const OPEN: u8 = 6;
const KEYS: u8 = 7;
const BITS: u8 = 8;
const COMMIT: u8 = 9;
const TOSSED: u8 = 10;

/// Elements at the end of a message, behind its number and whatever else comes first.
fn elements<F: Field>(message: &[u8]) -> Vec<F> {
    let whole = message.len().saturating_sub(5) / F::BYTES * F::BYTES;
    let mut out = vec![F::ZERO; whole / F::BYTES];
    F::decode_into(&message[message.len() - whole..], &mut out).expect("elements");
    out
}

/// What one party got.
#[derive(Clone)]
struct Seen<F> {
    /// Elements, one after the other.
    arrived: Vec<u128>,
    /// Of each opening, by its number: the shares of each sender.
    openings: BTreeMap<u32, BTreeMap<usize, Vec<F>>>,
}

impl<F: Field> Seen<F> {
    fn new() -> Self {
        Self { arrived: Vec::new(), openings: BTreeMap::new() }
    }

    fn arrived(&mut self, elements: &[F]) {
        self.arrived.extend(elements.iter().map(|x| x.to_u128()));
    }

    fn share(&mut self, opening: u32, from: usize, elements: Vec<F>) {
        self.openings.entry(opening).or_default().entry(from).or_default().extend(elements);
    }

    /// The numbers that were opened, where t+1 others' shares tell them; the shares where fewer were sent.
    fn opened(&self, points: &[F], t: usize) -> Vec<u128> {
        let mut all = Vec::new();
        for senders in self.openings.values() {
            let (from, columns): (Vec<F>, Vec<&Vec<F>>) =
                senders.iter().take(t + 1).map(|(sender, column)| (points[*sender], column)).unzip();
            if from.len() <= t {
                all.extend(columns.into_iter().flatten().map(|x| x.to_u128()));
                continue;
            }
            let lambdas = lagrange_at(&from, F::ZERO).expect("points");
            let number = |i: usize| lambdas.iter().zip(&columns).map(|(lambda, column)| *lambda * column[i]).sum::<F>();
            all.extend((0..columns[0].len()).map(|i| number(i).to_u128()));
        }
        all
    }
}

/// What each of n parties sees of a program, but for keys, coins and bits.
fn seen<F: Field>(n: usize, seed: u64, verified: bool, program: impl AsyncFn(&mut Arithmetic<'_, F>)) -> Vec<Seen<F>> {
    let program = &program;
    let seen = Rc::new(RefCell::new(vec![Seen::new(); n]));
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            program(&mut context(&mailbox, me, (n, most(n)), seed, verified)).await;
        });
        let seen = Rc::clone(&seen);
        simulator.rewrite(me, move |to, message| {
            let seen = &mut seen.borrow_mut()[to];
            match message[0] {
                KEYS | BITS | COMMIT | TOSSED => {}
                OPEN => {
                    let number = u32::from_be_bytes(message[1..5].try_into().expect("four bytes"));
                    seen.share(number, me, elements(&message));
                }
                _ => seen.arrived(&elements::<F>(&message)),
            }
            Some(message)
        });
    }
    simulator.run();
    seen.take()
}

/// Runs a program on shares of one number, over and over, that everybody holds a polynomial of.
fn check<F: Field>(
    sizes: &[usize],
    length: usize,
    verified: bool,
    program: impl AsyncFn(&mut Arithmetic<'_, F>, Shared<F>),
) {
    for n in sizes.iter().copied() {
        for number in [F::ZERO, -F::ONE, F::from_u128(F::MODULUS / 2 + 1)] {
            let seen = seen::<F>(n, n as u64 + 80, verified, async |context| {
                let own = vec![number; length];
                let shared = context.input(0, length, (context.me() == 0).then_some(&own)).await.expect("input");
                program(context, shared).await;
            });
            for (me, seen) in seen.iter().enumerate() {
                let opened = seen.opened(&points(n, n as u64 + 80), most(n));
                for values in [&seen.arrived, &opened] {
                    // Fewer are the last numbers of a verification, or what some peers are never sent.
                    let statistic = if values.len() > 3200 { unevenness(F::BITS, values) } else { 0.0 };
                    assert!(statistic < LIMIT, "{}, n = {n}, party {me}: {statistic}", F::NAME);
                }
                assert!(seen.arrived.len() + opened.len() > 3200, "party {me} of {n} sees something");
            }
        }
    }
}

#[test]
fn rule6_each_party_sees_uniform_numbers_of_products() {
    for verified in [false, true] {
        check::<F61>(&[3, 4, 5, 7], 8000, verified, async |context, x| {
            let squares = context.multiply(&x, &x).await.expect("product");
            _ = context.multiply(&squares, &x).await.expect("product");
            context.verify().await.expect("verified");
        });
        check::<F127>(&[3, 4, 5, 7], 8000, verified, async |context, x| {
            let squares = context.multiply(&x, &x).await.expect("product");
            _ = context.multiply(&squares, &x).await.expect("product");
            context.verify().await.expect("verified");
        });
    }
}

#[test]
fn rule6_each_party_sees_uniform_numbers_of_comparisons_in_the_large_field() {
    check::<F127>(&[3, 4, 5, 7], 3600, false, async |context, x| {
        _ = context.is_negative(&x, 64).await.expect("order");
    });
}

/// One masked number of each comparison is opened.
#[test]
fn rule6_each_party_sees_uniform_masked_openings_where_products_are_verified() {
    check::<F61>(&[3, 4, 5], 3600, true, async |context, x| {
        _ = context.is_negative(&x, 59).await.expect("order");
    });
    check::<F127>(&[3, 4], 3600, true, async |context, x| {
        _ = context.is_negative(&x, 64).await.expect("order");
    });
}

/// The same look finds at once what is not hidden, though each share by itself is uniform.
#[test]
fn rule6_what_is_opened_without_a_mask_is_seen() {
    let seen = seen::<F127>(3, 83, true, async |context| {
        let own = [F127::from_u64(5); 4000];
        let shared = context.input(0, 4000, (context.me() == 0).then_some(&own)).await.expect("input");
        _ = context.open(&shared).await.expect("open");
    });
    for seen in seen {
        let shares: Vec<u128> =
            seen.openings.values().flat_map(|s| s.values().flatten()).map(|x| x.to_u128()).collect();
        assert!(unevenness(127, &shares) < LIMIT);
        assert!(unevenness(127, &seen.opened(&points(3, 83), 1)) > 100.0 * LIMIT);
    }
}

/// A whole session of the model `malicious`: shares of inputs, the numbers that prove ranges, shares of the result.
fn malicious<F: Field>(field: FieldChoice, max: u64) {
    const ITEMS: usize = 1500;
    for (n, t) in [(3, 1), (5, 2)] {
        let inputs: [fn(usize, u64) -> u64; 3] = [|_, _| 0, |_, max| max, |i, max| i as u64 % 2 * max];
        for input in inputs {
            let mut world = World::decentralised(n, t, ITEMS, 91).proven(SecurityModel::Malicious).with_max(max);
            let row: Vec<u64> = (0..ITEMS).map(|i| input(i, max)).collect();
            world.inputs = vec![Some(row); n];
            let plan = world.plan();
            assert_eq!(plan.field(), field);
            let points: Vec<F> = plan.points().iter().map(|x| F::from_u128(*x)).collect();
            let mut seen = vec![Seen::<F>::new(); n];
            for (from, to, message) in world.tapped().1 {
                let number = || u32::from_be_bytes(message[1..5].try_into().expect("four bytes"));
                match message[0] {
                    SHARES | RESULT => seen[to].arrived(&elements::<F>(&message)),
                    ANSWERS => seen[to].share(number(), from, elements(&message)),
                    _ => {}
                }
            }
            for (me, seen) in seen.iter().enumerate() {
                for values in [&seen.arrived, &seen.opened(&points, t)] {
                    let statistic = unevenness(F::BITS, values);
                    assert!(statistic < LIMIT, "{}, n = {n}, party {me}: {statistic}", F::NAME);
                }
            }
        }
    }
}

#[test]
fn rule6_each_party_of_a_malicious_sum_sees_uniform_numbers() {
    malicious::<F61>(FieldChoice::F61, 1000);
    malicious::<F127>(FieldChoice::F127, u64::MAX);
}
