//! Speed of the hot loops on one core, over vectors that stay in the second-level cache:
//! `cargo bench -p tacit-algebra`. One line per loop: field, loop, billions of elements per second
//! (best of several runs).

use std::hint::black_box;
use std::time::Instant;

use tacit_algebra::{F61, F127, Field, Fp};

const N: usize = 8192;
const RUNS: usize = 30;
const LOOPS: usize = 100;

fn main() {
    all::<F61>();
    all::<F127>();
    all::<Fp<9_223_372_036_854_775_783>>();
}

fn all<F: Field>() {
    let a: Vec<F> = (0..N as u64).map(|i| F::from_u64(i) * F::from_u64(0x9e37_79b9_7f4a_7c15)).collect();
    let b: Vec<F> = a.iter().map(|x| x.square()).collect();
    let k = b[77];
    let mut acc = b.clone();
    measure::<F>("add_assign_slice", || F::add_assign_slice(black_box(&mut acc), black_box(&a)));
    measure::<F>("sub_assign_slice", || F::sub_assign_slice(black_box(&mut acc), black_box(&a)));
    measure::<F>("scale_add", || F::scale_add(black_box(&mut acc), black_box(k), black_box(&a)));
    measure::<F>("mul_add_slice", || F::mul_add_slice(black_box(&mut acc), black_box(&a), black_box(&b)));
    measure::<F>("mul_slice", || F::mul_slice(black_box(&mut acc), black_box(&a), black_box(&b)));
    measure::<F>("dot", || {
        black_box(F::dot(black_box(&a), black_box(&b)));
    });
    measure::<F>("sum_slice", || {
        black_box(F::sum_slice(black_box(&a)));
    });
    let mut bytes = Vec::with_capacity(N * F::BYTES);
    measure::<F>("encode_slice", || {
        bytes.clear();
        F::encode_slice(black_box(&a), &mut bytes);
    });
    measure::<F>("decode_into", || F::decode_into(black_box(&bytes), black_box(&mut acc)).expect("canonical"));
    // A generator that costs nothing but a copy: what sampling itself costs.
    measure::<F>("fill_uniform", || {
        F::fill_uniform(&mut |out| out.copy_from_slice(&bytes[..out.len()]), black_box(&mut acc));
    });
}

fn measure<F: Field>(what: &str, mut work: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..LOOPS).for_each(|_| work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    let elements = (N * LOOPS) as f64;
    println!("{:8} {what:18} {:6.2} G/s {:6.2} ns", F::NAME, elements / best / 1e9, best * 1e9 / elements);
}
