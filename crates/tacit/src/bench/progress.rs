//! How far a long measurement is, on the error output.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often the line changes on a terminal.
const TERMINAL: Duration = Duration::from_millis(200);
/// And how often a new one is written elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(20);

/// One figure's progress. Its line is gone from a terminal when it ends.
pub(super) struct Progress {
    text: String,
    total: usize,
    done: usize,
    terminal: bool,
    told: Instant,
}

impl Progress {
    /// Says what begins.
    pub(super) fn begin(text: String, total: usize) -> Self {
        let progress = Self { text, total, done: 0, terminal: std::io::stderr().is_terminal(), told: Instant::now() };
        progress.tell();
        progress
    }

    /// One more is done. Takes no time between two tellings.
    pub(super) fn step(&mut self) {
        self.done += 1;
        let now = Instant::now();
        if now.duration_since(self.told) >= if self.terminal { TERMINAL } else { ELSEWHERE } {
            self.told = now;
            self.tell();
        }
    }

    fn tell(&self) {
        let Self { text, total, done, terminal, .. } = self;
        match terminal {
            true => eprint!("\r\x1b[K{text}: {done} of {total} ...\r"),
            false => eprintln!("{text}: {done} of {total}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
