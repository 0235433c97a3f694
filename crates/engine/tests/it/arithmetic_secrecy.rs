//! What goes over the wire looks uniform whatever the numbers are. The exhaustive tests over small
//! fields stand beside the code (src/arithmetic/multiply/secrecy.rs).

use std::cell::RefCell;
use std::rc::Rc;

use tacit_algebra::{F61, Field};
use tacit_engine::Simulator;
use tacit_engine::arithmetic::{Arithmetic, Shared};

use crate::arithmetic_world::{context, most, setup};
use crate::uniform::chi_squared;

const BUCKETS: usize = 64;
const LENGTH: usize = 40_000;

/// Chi-square of the top and the bottom six bits of everything that the parties send while they
/// multiply one number with itself, over and over.
fn chi_square(n: usize, number: u64, seed: u64) -> (f64, f64) {
    let counts = Rc::new(RefCell::new([[0u64; BUCKETS]; 2]));
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::<F61>::new(setup(&mailbox, me, n, most(n), seed)).expect("setup");
            let number = vec![F61::from_u64(number); LENGTH];
            let a = context.input(0, LENGTH, (me == 0).then_some(&number)).await.expect("input");
            _ = context.multiply(&a, &a).await.expect("product");
        });
        let counts = counts.clone();
        simulator.rewrite(me, move |_, message| {
            let mut counts = counts.borrow_mut();
            // Kings send what is public.
            if message[0] != 5 {
                for element in message[5..].as_chunks::<8>().0 {
                    let element = u64::from_le_bytes(*element);
                    counts[0][(element >> 55) as usize] += 1;
                    counts[1][(element & 63) as usize] += 1;
                }
            }
            Some(message)
        });
    }
    simulator.run();
    let counts = counts.borrow();
    (chi_squared(&counts[0]), chi_squared(&counts[1]))
}

/// The same of everything that the parties send in a program, but for keys and coins.
fn chi_square_of(n: usize, seed: u64, verified: bool, program: impl AsyncFn(&mut Arithmetic<'_, F61>)) -> (f64, f64) {
    let program = &program;
    let counts = Rc::new(RefCell::new([[0u64; BUCKETS]; 2]));
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            program(&mut context(&mailbox, me, (n, most(n)), seed, verified)).await;
        });
        let counts = counts.clone();
        let mut last = Vec::new();
        simulator.rewrite(me, move |_, message| {
            let mut counts = counts.borrow_mut();
            // Copies to several receivers count once; kind 7 are keys, 9 and 10 hashes and coins.
            if message == last || [7, 9, 10].contains(&message[0]) {
                return Some(message);
            }
            last.clone_from(&message);
            for word in message[5..].as_chunks::<8>().0 {
                let word = u64::from_le_bytes(*word);
                // Kind 8: words of bits; elements otherwise.
                let top = if message[0] == 8 { word >> 58 } else { word >> 55 };
                counts[0][top as usize] += 1;
                counts[1][(word & 63) as usize] += 1;
            }
            Some(message)
        });
    }
    simulator.run();
    let counts = counts.borrow();
    (chi_squared(&counts[0]), chi_squared(&counts[1]))
}

#[test]
fn messages_are_uniform_whatever_is_compared() {
    // All that is opened on the way, all masked products, all components of bits.
    for n in [3, 4, 5, 7] {
        for number in [0, 1, (1 << 61) - 2, 1 << 59] {
            let (top, bottom) = chi_square_of(n, n as u64 + 40, false, async |context| {
                let number = Shared::constant(&vec![F61::from_u64(number); 4096]);
                _ = context.is_negative(&number, 59).await.expect("order");
            });
            assert!(top < 130.0 && bottom < 130.0, "n = {n}, {number}: {top}, {bottom}");
        }
    }
}

/// By masked bits, and by order where products are verified. Nothing is opened but masked numbers.
#[test]
fn messages_are_uniform_whatever_is_tested_for_zero() {
    for n in [3, 4, 5] {
        for (number, verified) in [0, 1, (1 << 61) - 2].into_iter().flat_map(|x| [(x, false), (x, true)]) {
            let (top, bottom) = chi_square_of(n, n as u64 + 60, verified, async |context| {
                let number = Shared::constant(&[F61::from_u64(number); 200]);
                _ = context.is_zero(&number).await.expect("zero or not");
                if verified {
                    _ = context.is_negative(&number, 59).await.expect("order");
                }
            });
            assert!(top < 130.0 && bottom < 130.0, "n = {n}, {number}, {verified}: {top}, {bottom}");
        }
    }
}

#[test]
fn messages_are_uniform_whatever_is_multiplied() {
    // 63 degrees of freedom: above 130 with probability 1e-6; seeds are fixed.
    for n in [3, 5, 7] {
        for number in [0, 1, (1 << 61) - 2] {
            let (top, bottom) = chi_square(n, number, n as u64 + 20);
            assert!(top < 130.0 && bottom < 130.0, "n = {n}: {top}, {bottom}");
        }
    }
}
