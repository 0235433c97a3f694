//! Figures on the terminal: a table for people, one JSON object per line for programs.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::cases::{Case, Unit};
use super::orchestra::Run;
use super::peers;
use crate::output::{Failure, bytes};

/// One line, as contracted: names stay.
#[derive(Debug, Serialize)]
struct Line<'a> {
    bench: &'a str,
    what: &'a str,
    parties: usize,
    threshold: usize,
    model: &'a str,
    field: &'a str,
    size: usize,
    unit: &'a str,
    min: f64,
    median: f64,
    max: f64,
    runs: usize,
    warm_ups: usize,
    /// The party that sent most, in one run.
    bytes_sent_per_party: u64,
    tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rounds: Option<u64>,
    /// The process that held most, since it was started.
    max_rss_mb: f64,
    /// Of all parties in one run, median.
    cpu_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    existing: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<f64>,
}

/// Prints figures as they come.
pub(crate) struct Report {
    json: bool,
    rows: usize,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, rows: 0 }
    }

    /// Says on the error output what is being measured.
    pub(crate) fn begin(&self, case: &Case) {
        let what = if case.bench == case.what { String::new() } else { format!(" {}", case.what) };
        let text = format!("{}{what}, {} parties, size {}", case.bench, case.parties, case.size);
        if std::io::stderr().is_terminal() && std::io::stdout().is_terminal() {
            // The table's row takes the place of this line.
            eprint!("\r\x1b[K{text} ...\r");
        } else {
            eprintln!("{text}: {} runs after {} to warm up", case.runs, case.warm_ups);
        }
    }

    pub(crate) fn figure(&mut self, case: &Case, runs: &[Run]) -> Result<(), Failure> {
        let line = line(case, runs);
        if self.json {
            println!("{}", serde_json::to_string(&line)?);
        } else {
            if self.rows == 0 {
                println!("{HEAD}");
            }
            println!("{}", row(&line, case.unit));
        }
        self.rows += 1;
        Ok(std::io::stdout().flush()?)
    }

    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if !self.json {
            println!(
                "\nEvery result was right. Times are from a common start to the slowest party's result; links are made before."
            );
            println!("existing: MP-SPDZ on two cores (docs/benchmarks.md); ours/ex. above 1: that many times better.");
        }
        Ok(())
    }
}

fn line<'a>(case: &'a Case, runs: &'a [Run]) -> Line<'a> {
    // The slowest party's time is the time of the run.
    let slowest = |run: &Run| run.iter().map(|sample| (sample.nanos, sample.steps)).max().unwrap_or_default();
    let value = |run| {
        let (nanos, steps) = slowest(run);
        case.unit.value(nanos, steps)
    };
    let mut values: Vec<f64> = runs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let mut cpu: Vec<f64> =
        runs.iter().map(|run| run.iter().map(|sample| sample.cpu_micros as f64 / 1e3).sum()).collect();
    cpu.sort_by(f64::total_cmp);
    let samples = || runs.iter().flatten();
    Line {
        bench: case.bench,
        what: case.what,
        parties: case.parties,
        threshold: case.threshold(),
        model: case.model.name(),
        field: samples().next().map_or("", |sample| &sample.field),
        size: case.size,
        unit: case.unit.name(),
        min: rounded(values.first().copied().unwrap_or(0.0)),
        median: rounded(median(&values)),
        max: rounded(values.last().copied().unwrap_or(0.0)),
        runs: runs.len(),
        warm_ups: case.warm_ups,
        bytes_sent_per_party: samples().map(|sample| sample.bytes_sent).max().unwrap_or(0),
        tls: true,
        rounds: samples().filter_map(|sample| sample.rounds).max(),
        max_rss_mb: rounded(samples().map(|sample| sample.peak_kib).max().unwrap_or(0) as f64 / 1024.0),
        cpu_ms: rounded(median(&cpu)),
        existing: peers::existing(case),
        aim: peers::aim(case),
    }
}

const HEAD: &str = concat!(
    "bench  what        parties  t      size        min     median        max  unit   sent/party   memory",
    "   existing        aim  ours/ex."
);

fn row(line: &Line<'_>, unit: Unit) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
    let better =
        line.existing.map(|existing| if unit.is_rate() { line.median / existing } else { existing / line.median });
    format!(
        "{:<6} {:<11} {:>7} {:>2} {:>9} {:>10} {:>10} {:>10}  {:<5} {:>11} {:>5} MB {:>10} {:>10} {:>9}",
        line.bench,
        line.what,
        line.parties,
        line.threshold,
        line.size,
        short(line.min),
        short(line.median),
        short(line.max),
        line.unit,
        bytes(line.bytes_sent_per_party),
        short(line.max_rss_mb.round()),
        number(line.existing),
        number(line.aim),
        better.map_or_else(|| "-".to_owned(), |better| format!("{better:.1} x")),
    )
}

/// The middle of sorted values.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Four significant digits: more would only be noise.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let scale = 10f64.powf(3.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_digits() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert_eq!(rounded(12_345_678.0), 12_350_000.0);
        assert_eq!(rounded(0.012_345_6), 0.012_35);
        assert_eq!(
            (short(20.4e6), short(0.0625), bytes(8_000_123)),
            ("20.40 M".into(), "0.06".into(), "8.0 MB".into())
        );
    }
}
