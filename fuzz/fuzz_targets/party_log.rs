//! Log files: sshd, Suricata, and any pattern. Every line is counted in one place at most.

#![no_main]

use std::io::BufReader;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tacit_model::UnixMillis;
use tacit_party::source::{LogPattern, SlotWindow, count_log};

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    which: u8,
    pattern: &'a str,
    start: Option<i64>,
    slot_ms: i64,
    slots: u8,
    buffer: u8,
    log: &'a [u8],
}

fuzz_target!(|case: Case<'_>| {
    let pattern = match case.which % 4 {
        0 => LogPattern::Sshd,
        1 => LogPattern::Suricata,
        2 => r"\[(?P<time>[^\]]+)\]".parse().expect("a pattern"),
        _ => match case.pattern.parse() {
            Ok(pattern) => pattern,
            Err(_) => return,
        },
    };
    // The day of the seeds, or any moment.
    let window = match case.start {
        None => SlotWindow::new(UnixMillis(1_772_582_400_000), 3_600_000, 24),
        Some(start) => SlotWindow::new(UnixMillis(start), case.slot_ms, usize::from(case.slots)),
    };
    let Ok(window) = window else { return };
    let reader = BufReader::with_capacity(1 + usize::from(case.buffer), case.log);
    let counts = count_log(reader, &pattern, &window).expect("memory can be read");
    assert_eq!(counts.slots.len(), window.slots());
    let inside: u64 = counts.slots.iter().map(|(_, count)| count).sum();
    assert!(inside + counts.outside + counts.bad <= counts.lines);
    let ends = case.log.iter().filter(|byte| **byte == b'\n').count();
    assert!(counts.lines == ends as u64 || counts.lines == ends as u64 + 1);
});
