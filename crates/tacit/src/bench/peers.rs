//! What the best existing system needed for the same work on such a machine, and what Tacit aims at.
//!
//! MP-SPDZ, semi-honest Shamir over 2^61-1, TLS, t = (n-1)/2, all parties on the same two cores; medians of its
//! own time (largest over parties, connections made before). docs/benchmarks.md names versions and settings.

use super::cases::Case;

/// The figure to be compared with, in the unit of the case.
pub(crate) fn existing(case: &Case) -> Option<f64> {
    find(EXISTING, case)
}

/// The figure that Tacit aims at, in the unit of the case.
pub(crate) fn aim(case: &Case) -> Option<f64> {
    find(AIMS, case)
}

/// bench, what, parties, size, value.
type Row = (&'static str, &'static str, usize, usize, f64);

fn find(rows: &[Row], case: &Case) -> Option<f64> {
    let same = |row: &&Row| (row.0, row.1, row.2, row.3) == (case.bench, case.what, case.parties, case.size);
    rows.iter().find(same).map(|row| row.4)
}

const EXISTING: &[Row] = &[
    ("sum", "sum", 3, 1, 1.97),
    ("sum", "sum", 5, 1, 6.3),
    ("sum", "sum", 7, 1, 14.3),
    ("sum", "sum", 9, 1, 15.1),
    ("sum", "sum", 11, 1, 19.0),
    ("sum", "sum", 3, 288, 2.05),
    ("sum", "sum", 5, 288, 5.04),
    ("sum", "sum", 7, 288, 9.96),
    ("sum", "sum", 9, 288, 14.1),
    ("sum", "sum", 11, 288, 22.3),
    ("sum", "sum", 3, 10_000, 9.2),
    ("sum", "sum", 5, 10_000, 26.5),
    ("sum", "sum", 7, 10_000, 51.7),
    ("sum", "sum", 9, 10_000, 52.8),
    ("sum", "sum", 11, 10_000, 72.1),
    ("sum", "sum", 3, 1_000_000, 376.0),
    ("sum", "sum", 5, 1_000_000, 925.0),
    ("sum", "sum", 7, 1_000_000, 1_880.0),
    ("sum", "sum", 9, 1_000_000, 3_120.0),
    ("sum", "sum", 11, 1_000_000, 5_740.0),
    // The best of its protocols: replicated in a ring for n = 3, Shamir, and ATLAS from n = 9.
    ("mul", "throughput", 3, 1_000_000, 19.2e6),
    ("mul", "throughput", 5, 1_000_000, 1.73e6),
    ("mul", "throughput", 7, 1_000_000, 0.79e6),
    ("mul", "throughput", 9, 1_000_000, 0.36e6),
    ("mul", "throughput", 11, 1_000_000, 0.25e6),
    ("mul", "round", 3, 1_000, 123.0),
    ("mul", "round", 5, 1_000, 335.0),
    ("mul", "round", 7, 1_000, 738.0),
    ("mul", "round", 9, 1_000, 1_337.0),
    ("mul", "round", 11, 1_000, 2_194.0),
    // The best of its protocols over a field: replicated with edaBits for n = 3, Shamir with edaBits above.
    ("compare", "less_than_64", 3, 10_000, 110e3),
    ("compare", "less_than_64", 3, 100_000, 120e3),
    ("compare", "less_than_64", 5, 10_000, 3.4e3),
    ("compare", "less_than_64", 7, 10_000, 1.7e3),
    // The best of all its protocols: replicated in a ring.
    ("sort", "sort_32", 3, 1_000, 100.0),
    ("sort", "sort_32", 3, 10_000, 547.0),
];

const AIMS: &[Row] = &[
    ("sum", "sum", 3, 1_000_000, 90.0),
    ("sum", "sum", 11, 1_000_000, 900.0),
    ("mul", "throughput", 3, 1_000_000, 20e6),
    ("mul", "throughput", 11, 1_000_000, 2e6),
    ("mul", "round", 3, 1_000, 60.0),
    ("mul", "round", 11, 1_000, 500.0),
    ("compare", "less_than_64", 3, 10_000, 500e3),
    ("compare", "less_than_64", 3, 100_000, 500e3),
    ("compare", "less_than_64", 5, 10_000, 50e3),
    ("compare", "less_than_64", 5, 100_000, 50e3),
    ("compare", "less_than_64", 7, 10_000, 25e3),
    ("compare", "less_than_64", 7, 100_000, 25e3),
    ("sort", "sort_32", 3, 10_000, 400.0),
];
