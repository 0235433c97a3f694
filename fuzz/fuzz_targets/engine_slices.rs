//! Session messages where a long vector is opened by slices: a hostile member among honest ones.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tacit_fuzz::hostile::{Cheat, Group, session};

#[derive(Arbitrary, Debug)]
struct Case {
    group: Group,
    cheat: Cheat,
}

// Just above the length from which on vectors are opened so, and more than two chunks.
fuzz_target!(|case: Case| session(case.group, case.cheat, 16 * 1024 + 1));
