//! What a demo tells: a story with progress for people, one object for scripts.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
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
    /// Why a line could not be written, although there is somebody who would read it.
    unwritten: OnceLock<std::io::Error>,
}

impl Report {
    pub(crate) fn new(demo: &'static str, json: bool) -> Self {
        Self {
            demo,
            json,
            started: Instant::now(),
            checks: Vec::new(),
            ok: true,
            results: Map::new(),
            unwritten: OnceLock::new(),
        }
    }

    /// A line of the story.
    pub(crate) fn say(&self, line: &str) {
        if !self.json {
            self.write(line);
        }
    }

    /// A demo whose reader has gone, or whose disk is full, still ends its processes.
    fn write(&self, line: &str) {
        if let Err(error) = crate::output::line(line)
            && error.kind() != ErrorKind::BrokenPipe
        {
            let _first = self.unwritten.set(error);
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
            self.write(&told.to_string());
        }
        if let Some(error) = self.unwritten.into_inner() {
            return Err(Failure::new(Code::Other, format!("what the demo tells could not be written: {error}")));
        }
        if self.ok { Ok(()) } else { Err(Failure::new(Code::Other, "a check of the demo failed; see above")) }
    }
}
