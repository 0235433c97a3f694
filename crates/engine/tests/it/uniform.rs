//! What a privacy peer is sent, looked at as a statistician would.

use std::cell::RefCell;
use std::rc::Rc;

use crate::world::{SHARES, World};

const BINS: usize = 64;
/// Chi squared with 63 degrees of freedom is above this once in ten million draws.
pub(crate) const LIMIT: f64 = 140.0;

/// How far from evenly values fell into bins, of which there are so many in each.
pub(crate) fn chi_squared(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum()
}

fn unevenness_of(bins: impl Iterator<Item = usize>) -> f64 {
    let mut counts = [0; BINS];
    bins.for_each(|bin| counts[bin] += 1);
    assert!(counts.iter().sum::<u64>() > 50 * BINS as u64, "too few values");
    chi_squared(&counts)
}

/// The largest statistic over several ways to sort numbers of so many bits into bins.
pub(crate) fn unevenness(bits: u32, values: &[u128]) -> f64 {
    let bin = |value: u128| (value % BINS as u128) as usize;
    let high = unevenness_of(values.iter().map(|v| bin(v >> (bits - 6))));
    let low = unevenness_of(values.iter().map(|v| bin(*v)));
    let middle = unevenness_of(values.iter().map(|v| bin(v >> (bits / 2))));
    let steps = unevenness_of(values.windows(2).map(|pair| bin(pair[1].wrapping_sub(pair[0]) >> 20)));
    high.max(low).max(middle).max(steps)
}

/// All elements that the first giver sends to each computing peer, if every row is `value`.
fn sent(n: usize, t: usize, value: impl Fn(usize) -> u64) -> Vec<Vec<u128>> {
    const ITEMS: usize = 6000;
    let mut world = World::delegated(2, n, t, ITEMS, 77);
    let row: Vec<u64> = (0..ITEMS).map(value).collect();
    world.inputs = world.inputs.into_iter().map(|input| input.map(|_| row.clone())).collect();
    let seen = Rc::new(RefCell::new(vec![Vec::new(); n]));
    world.run(|simulator| {
        let seen = Rc::clone(&seen);
        simulator.rewrite(n, move |receiver, message| {
            if message[0] == SHARES && receiver < n {
                // Elements are at the end; what comes before them is at most a few words.
                let words = message.len().saturating_sub(24) / 8;
                let elements = message[message.len() - 8 * words..].chunks_exact(8);
                let element = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte));
                seen.borrow_mut()[receiver].extend(elements.map(element));
            }
            Some(message)
        });
    });
    seen.take()
}

#[test]
fn p29_shares_are_uniform_whatever_the_input() {
    for (n, t) in [(3, 1), (5, 2)] {
        let inputs: [fn(usize) -> u64; 3] = [|_| 0, |_| 1000, |i| if i % 2 == 0 { 0 } else { 1000 }];
        for (number, input) in inputs.into_iter().enumerate() {
            let sent = sent(n, t, input);
            // The shares of t peers are expanded from seeds and never sent.
            let by_message: Vec<_> = sent.iter().filter(|values| !values.is_empty()).collect();
            assert_eq!(by_message.len(), n - t, "n={n}");
            for values in by_message {
                let statistic = unevenness(61, values);
                assert!(statistic < LIMIT, "n={n} input {number}: chi squared is {statistic}");
                // The same looked at in the clear is found at once: the test sees what it is for.
                let clear: Vec<u128> = (0..values.len()).map(|i| values[i] % 2 * 1000).collect();
                assert!(unevenness(61, &clear) > 100.0 * LIMIT);
            }
        }
    }
}
