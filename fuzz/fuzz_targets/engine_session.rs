//! Session messages: a hostile member among honest ones.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tacit_fuzz::hostile::{Cheat, Group, session};

#[derive(Arbitrary, Debug)]
struct Case {
    group: Group,
    items: u8,
    cheat: Cheat,
}

fuzz_target!(|case: Case| session(case.group, case.cheat, 1 + usize::from(case.items % 4)));
