//! What a demo tells: a story with progress for people, one object for scripts.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::output::{Code, Failure};

/// Collects checks and results while the story is told.
pub(crate) struct Report {
    demo: &'static str,
    json: bool,
    started: Instant,
    checks: Vec<Value>,
    ok: bool,
    results: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(demo: &'static str, json: bool) -> Self {
        Self { demo, json, started: Instant::now(), checks: Vec::new(), ok: true, results: Map::new() }
    }

    /// A line of the story.
    pub(crate) fn say(&self, line: &str) {
        if !self.json {
            // A demo whose reader has gone still ends its processes.
            let _read = crate::output::line(line);
        }
    }

    /// Whether somebody looks at a terminal that can draw in place.
    pub(crate) fn is_watched(&self) -> bool {
        !self.json && std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// A line that the next one replaces, on a terminal only.
    pub(crate) fn progress(&self, line: &str) {
        if self.is_watched() {
            let mut out = std::io::stdout();
            let _shown = write!(out, "\r\x1b[K  {line}").and_then(|()| out.flush());
        }
    }

    /// Ends the line of progress.
    pub(crate) fn progress_done(&self) {
        if self.is_watched() {
            let mut out = std::io::stdout();
            let _shown = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
    }

    /// Something that was looked at, and whether it was as it should be.
    pub(crate) fn check(&mut self, name: &str, ok: bool, detail: impl Into<String>) {
        let detail = detail.into();
        self.say(&format!("  {} {detail}", if ok { "✓" } else { "✗" }));
        self.ok &= ok;
        self.checks.push(json!({"name": name, "ok": ok, "detail": detail}));
    }

    pub(crate) fn result(&mut self, name: &str, value: impl Into<Value>) {
        self.results.insert(name.to_owned(), value.into());
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Prints the object; fails unless every check held.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if self.json {
            let elapsed = self.elapsed_ms();
            let told = json!({"demo": self.demo, "ok": self.ok, "checks": self.checks, "results": self.results, "elapsed_ms": elapsed});
            let _read = crate::output::line(&told.to_string());
        }
        if self.ok { Ok(()) } else { Err(Failure::new(Code::Other, "a check of the demo failed; see above")) }
    }
}
