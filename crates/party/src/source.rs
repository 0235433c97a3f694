//! Where a peer's numbers come from.
//!
//! - [`RowText`], [`Row`]: the rows of the P2DS manual, `1;4;2`.
//! - [`read_csv`]: a file of `slot_start,count` or `slot_start,v1,v2,...`.
//! - [`SampleText`]: a moment of a peer's series, for tasks of clients; [`read_samples`]: a file of such.
//! - [`count_log`]: how many lines of a log file match, per time slot.
//!
//! All times are UTC. Values never appear in an error: it names the place, not the content.

mod csv_file;
mod lines;
mod log_counter;
mod rows;
mod samples;
pub(crate) mod series;
mod stamp;

pub use csv_file::read_csv;
pub use log_counter::{LogCounts, LogPattern, count_log};
pub use rows::{AboveMax, Row, RowError, RowText, format_row, parse_row};
pub use samples::read_samples;
pub use series::{MAX_SAMPLES, SampleError, SampleText, is_future};

use tacit_model::UnixMillis;

/// More rows than this are not taken from one file.
pub const MAX_ROWS: usize = 100_000;

/// A row with the start of its slot.
pub struct TimedRow {
    /// When the slot begins.
    pub slot_start: UnixMillis,
    /// The values.
    pub row: Row,
}

/// Consecutive time slots of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotWindow {
    start: UnixMillis,
    slot_ms: i64,
    slots: usize,
}

/// Why a source gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Not a CSV file of the expected shape.
    #[error("line {line}: {why}")]
    Line {
        /// Which line, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: RowError,
    },
    /// The first column of a sample is no moment.
    #[error("line {line}: column `at` must be RFC 3339 such as 2026-03-04T00:05:00Z, or milliseconds since 1970")]
    Moment {
        /// Which line, counted from 1.
        line: u64,
    },
    /// A line has more or fewer columns than the header.
    #[error("line {line} has {found} columns, and the header names {expected}")]
    Columns {
        /// Which line, counted from 1.
        line: u64,
        /// How many it has.
        found: usize,
        /// How many the header names.
        expected: usize,
    },
    /// A line is no text.
    #[error("line {line} is not text in UTF-8")]
    NotText {
        /// Which line, counted from 1.
        line: u64,
    },
    /// The first line is not a header of samples.
    #[error("the first line must be a header such as at,temperature,occupancy, with commas between")]
    SampleHeader,
    /// The first line is not a header.
    #[error("the first line must be a header such as slot_start,count, with commas between")]
    Header,
    /// Two rows have the same slot.
    #[error("line {line}: this slot_start occurs twice")]
    Twice {
        /// Which line, counted from 1.
        line: u64,
    },
    /// Too many rows.
    #[error("more than {MAX_ROWS} rows; split the file")]
    TooMany,
    /// The slots are not usable.
    #[error("slots need a length of at least 1 ms and there may be 1 to {MAX_ROWS} of them")]
    Window,
    /// The pattern is no regular expression.
    #[error("the pattern is no regular expression: {0}")]
    Pattern(String),
}

impl SlotWindow {
    /// `slots` slots of `slot_ms` milliseconds from `start`.
    pub fn new(start: UnixMillis, slot_ms: i64, slots: usize) -> Result<Self, SourceError> {
        let end = i64::try_from(slots).ok().and_then(|n| n.checked_mul(slot_ms)).and_then(|n| start.0.checked_add(n));
        if slot_ms < 1 || slots == 0 || slots > MAX_ROWS || end.is_none() {
            return Err(SourceError::Window);
        }
        Ok(Self { start, slot_ms, slots })
    }

    /// Which slot a moment belongs to.
    pub fn slot(&self, moment: UnixMillis) -> Option<usize> {
        let slot = usize::try_from(moment.since(self.start).div_euclid(self.slot_ms)).ok()?;
        (slot < self.slots).then_some(slot)
    }

    /// When each slot begins.
    pub fn starts(&self) -> impl Iterator<Item = UnixMillis> + '_ {
        (0..self.slots)
            .map(|slot| self.start.plus(i64::try_from(slot).unwrap_or(i64::MAX).saturating_mul(self.slot_ms)))
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.slots
    }

    fn middle(&self) -> UnixMillis {
        let half = i64::try_from(self.slots).unwrap_or(i64::MAX).saturating_mul(self.slot_ms) / 2;
        self.start.plus(half)
    }
}
