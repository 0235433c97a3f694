//! Comparisons and orders where products are verified: right where all are honest, and nothing wrong about them is opened.

use std::cell::Cell;
use std::rc::Rc;

use tacit_algebra::{F61, F127, Field};
use tacit_engine::arithmetic::{Arithmetic, Shared};

use crate::verified::{GROUPS, INPUT, RESHARE, accused, error, inputs, ok, run};

/// Comparisons of numbers at the borders and all over, in both fields, for all groups.
#[test]
fn verified_comparisons_equal_plain_ones() {
    fn compare<F: Field>(group: (usize, usize), bits: u32) {
        let largest = (1u128 << bits) - 1;
        let numbers = |side: u128| -> Vec<F> {
            let border = [0, 1, largest, largest - 1, largest / 2];
            let mixed = (0..8u128).map(|i| (i * 0x9e37_79b9_7f4a_7c15 * (3 + side)) >> (i % 5) & largest);
            border.into_iter().flat_map(|a| [a, a.saturating_sub(side), a]).chain(mixed).map(F::from_u128).collect()
        };
        let (a, mut b) = (numbers(0), numbers(1));
        b.rotate_left(2);
        let ends = run::<F>(
            group,
            13,
            async |context| {
                let (a, b) = (Shared::constant(&a), Shared::constant(&b));
                let less = context.less_than(&a, &b, bits).await?;
                let lowest = context.least_significant_bit(&a, bits).await?;
                let largest = context.max(&Shared::concat(&[&a.slice(0..6), &b.slice(0..6)]), 3, bits).await?;
                context.open(&Shared::concat(&[&less, &lowest, &largest])).await
            },
            |_| {},
        );
        let bit = |bit: bool| F::from_u64(u64::from(bit));
        let mut expected: Vec<F> = a.iter().zip(&b).map(|(a, b)| bit(a.to_u128() < b.to_u128())).collect();
        expected.extend(a.iter().map(|a| bit(a.to_u128() % 2 == 1)));
        let rows: Vec<u128> = a[..6].iter().chain(&b[..6]).map(|x| x.to_u128()).collect();
        expected.extend(rows.chunks(3).map(|row| F::from_u128(row.iter().copied().max().expect("three"))));
        for end in &ends {
            assert_eq!(ok(end), Some(&expected), "{group:?} {bits} bits: {:?}", error(end));
        }
    }
    for group in GROUPS {
        compare::<F61>(group, 59);
        compare::<F61>(group, 7);
    }
    for group in [(3, 1), (4, 1), (5, 2)] {
        compare::<F127>(group, 64);
        compare::<F127>(group, 125);
    }
}

/// Sorting, also in rows and with what belongs to each key, is offered where products are verified, too.
#[test]
fn verified_orders_equal_plain_ones() {
    let keys: Vec<u128> = (0..12u128).map(|i| i * 7 % 12 + 3).collect();
    let field = |numbers: &[u128]| -> Vec<F61> { numbers.iter().map(|x| F61::from_u128(*x)).collect() };
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let mut in_rows = keys.clone();
    in_rows.chunks_exact_mut(4).for_each(<[u128]>::sort_unstable);
    let squares = |keys: &[u128]| keys.iter().map(|key| key * key).collect::<Vec<u128>>();
    let expected = field(&[sorted.clone(), in_rows, sorted.clone(), squares(&sorted)].concat());
    for group in [(3, 1), (4, 1), (5, 2), (7, 3)] {
        let ends = run::<F61>(
            group,
            17,
            async |context| {
                let (x, payload) = (Shared::constant(&field(&keys)), Shared::constant(&field(&squares(&keys))));
                let (sorted, in_rows) = (context.sort(&x, 8).await?, context.sort_rows(&x, 4, 8).await?);
                let (keys, payload) = context.sort_with(&x, 8, &payload, 8).await?;
                context.open(&Shared::concat(&[&sorted, &in_rows, &keys, &payload])).await
            },
            |_| {},
        );
        for end in &ends {
            assert_eq!(ok(end), Some(&expected), "{group:?}: {:?}", error(end));
        }
    }
}

/// A malformed bit, a wrong product in the tree, a wrong share of what is masked: no wrong order is ever opened, and the masked
/// number is not opened before its mask is verified.
#[test]
fn rule6_nothing_wrong_about_an_order_is_opened() {
    for group in [(3, 1), (4, 1), (5, 2)] {
        let compare = async |context: &mut Arithmetic<'_, F61>| {
            let [a, b] = inputs(context, 1).await?;
            // 1 where the fields' numbers differ as they do: the square of a difference below 2^20.
            let small = [context.is_zero(&a.sub(&b)).await?, Shared::constant(&[F61::from_u64(3)])];
            let less = context.less_than(&small[0], &small[1], 20).await?;
            context.open(&less).await
        };
        let messages = Rc::new(Cell::new(0));
        let counter = Rc::clone(&messages);
        let ends = run::<F61>(group, 14, compare, |simulator| {
            simulator.rewrite(0, move |_, message| {
                counter.set(counter.get() + 1);
                Some(message)
            });
        });
        assert!(ends.iter().all(|end| ok(end) == Some(&vec![F61::ONE])));
        for target in 0..messages.get() {
            let mut at = 0;
            let masked = Rc::new(Cell::new(false));
            let seen = Rc::clone(&masked);
            let ends = run::<F61>(group, 14, compare, |simulator| {
                simulator.rewrite(0, move |_, mut message| {
                    at += 1;
                    if at == target + 1 {
                        seen.set(matches!(message[0], INPUT | RESHARE));
                        let place = message.len() - 8;
                        message[place] ^= 1;
                    }
                    Some(message)
                });
            });
            for end in &ends[1..] {
                assert!(ok(end).is_none_or(|opened| *opened == vec![F61::ONE]), "{group:?} {target}");
            }
            // What was dealt wrongly never passes for anybody.
            if masked.get() {
                assert!(ends[1..].iter().all(|end| ok(end).is_none()), "{group:?} {target}");
            }
            assert!(accused(&ends, 0).iter().all(|member| *member == 0), "{group:?} {target}");
        }
    }
}
