use tacit_engine::RowShape;
use tacit_model::UnixMillis;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longer texts are no rows; a million numbers of 20 digits fit.
const MAX_TEXT: usize = 24 * 1024 * 1024;

/// One row as it was handed in: `1;4;2`. Wiped when dropped, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RowText(String);

/// The values of one slot. Wiped when dropped, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Row(Vec<u64>);

/// What becomes of rows with a number above the group's maxElement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AboveMax {
    /// They are refused when they are handed in.
    Refused,
    /// They are taken, and their round fails visibly, as the P2DS manual says.
    FailsItsRound,
}

/// What is wrong with a row; says where, never what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// Something other than digits, `;` and white space.
    #[error("only digits, spaces and ';' may occur (first other character at position {at})")]
    Character {
        /// Position of the first such character, counted from 1.
        at: usize,
    },
    /// Nothing where a number should be, or two numbers without `;` between them.
    #[error("item {item} is not one whole number from 0 up")]
    NotOne {
        /// Which item, counted from 1.
        item: usize,
    },
    /// A number of 2^64 or more.
    #[error("item {item} is not below 2^64")]
    TooLarge {
        /// Which item, counted from 1.
        item: usize,
    },
    /// A number above what the group's configuration lets in.
    #[error(
        "item {item} is above {most}, the largest value that the group lets in (maxElement; `tacit group configure \
         --max-element` sets it)"
    )]
    AboveMaxElement {
        /// Which item, counted from 1.
        item: usize,
        /// The limit.
        most: u64,
    },
    /// Not as many items as the charter says.
    #[error("the row has {found} items, the group's configuration says {expected}")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Not whole records, or more of them than the charter allows.
    #[error("the row has {found} numbers, the group's configuration says up to {most} records of {columns}")]
    Records {
        /// How many numbers there are.
        found: usize,
        /// How many make a record.
        columns: usize,
        /// How many records there may be.
        most: u64,
    },
    /// The text is longer than any row.
    #[error("the row is too long")]
    TooLong,
    /// A slot is left out, or comes out of order.
    #[error("its slot does not follow the slot of the row before; hand in every slot, in order")]
    Gap,
    /// The group's slots have times and the row has none, or not the start of a slot.
    #[error(
        "rows of this run carry the start of their slot, and this one has no slot_start, or another moment: the first slot \
         begins at {first}, and each is {minutes} min long (`tacit group slot-rules` sets both); `tacit source csv FILE \
         --peer NAME` hands in rows with their starts"
    )]
    OffSlot {
        /// When the first slot begins.
        first: UnixMillis,
        /// The length of a slot.
        minutes: i64,
    },
    /// A slot further ahead than rows may wait.
    #[error("its slot is too far ahead of the others")]
    FarAhead,
    /// The first column is no moment.
    #[error("slot_start must be RFC 3339 such as 2026-03-04T00:05:00Z, or milliseconds since 1970")]
    SlotStart,
}

/// Reads `1;4;2`. With a shape, the row must have it; a row of no records is empty or white space.
pub fn parse_row(text: &str, shape: Option<RowShape>) -> Result<Row, RowError> {
    if text.len() > MAX_TEXT {
        return Err(RowError::TooLong);
    }
    if let Some(at) = text.bytes().position(|b| !(b.is_ascii_digit() || b == b';' || b.is_ascii_whitespace())) {
        return Err(RowError::Character { at: at + 1 });
    }
    if matches!(shape, Some(RowShape::Records { .. })) && text.trim().is_empty() {
        return Ok(Row(Vec::new()));
    }
    let found = text.bytes().filter(|b| *b == b';').count() + 1;
    if let Some(shape) = shape.filter(|shape| !shape.fits(found)) {
        return Err(RowError::shape(found, shape));
    }
    // Reserved at once: a growing vector would leave copies behind that nobody wipes.
    let mut row = Row(Vec::with_capacity(found));
    for (index, item) in text.split(';').enumerate() {
        row.0.push(number(item.trim(), index + 1)?);
    }
    Ok(row)
}

/// Writes `3;8`.
pub fn format_row(values: &[u64]) -> String {
    use core::fmt::Write as _;
    let mut text = String::with_capacity(values.len() * 4);
    for (index, value) in values.iter().enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{value}");
    }
    text
}

pub(super) fn number(item: &str, index: usize) -> Result<u64, RowError> {
    if item.is_empty() || !item.bytes().all(|b| b.is_ascii_digit()) {
        return Err(RowError::NotOne { item: index });
    }
    item.parse().map_err(|_| RowError::TooLarge { item: index })
}

impl RowError {
    /// For a row of so many numbers that has another shape.
    pub(crate) fn shape(found: usize, shape: RowShape) -> Self {
        match shape {
            RowShape::Items(expected) => Self::Length { found, expected },
            RowShape::Records { columns, most } => Self::Records { found, columns, most },
        }
    }
}

impl RowText {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for RowText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for RowText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Row {
    /// A row of these values.
    pub fn new(values: Vec<u64>) -> Self {
        Self(values)
    }

    /// The values.
    pub fn expose(&self) -> &[u64] {
        &self.0
    }

    /// The values, to be wiped by whoever takes them.
    pub(crate) fn into_values(mut self) -> Vec<u64> {
        core::mem::take(&mut self.0)
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, items: Option<usize>) -> Option<RowError> {
        parse_row(text, items.map(RowShape::Items)).err()
    }

    #[test]
    fn rows_of_the_manual_are_read() {
        assert_eq!(parse_row("1;4;2", Some(RowShape::Items(3))).map(|r| r.expose().to_vec()).ok(), Some(vec![1, 4, 2]));
        assert_eq!(
            parse_row(" 1 ;\t4\n", Some(RowShape::Items(2))).map(|r| r.expose().to_vec()).ok(),
            Some(vec![1, 4])
        );
        assert_eq!(parse_row("18446744073709551615", None).map(|r| r.expose().to_vec()).ok(), Some(vec![u64::MAX]));
        assert_eq!(format_row(&[3, 8]), "3;8");
    }

    #[test]
    fn p18_other_rows_are_refused_with_their_place() {
        assert_eq!(error("1;a", Some(2)), Some(RowError::Character { at: 3 }));
        assert_eq!(error("-1", Some(1)), Some(RowError::Character { at: 1 }));
        assert_eq!(error("1;;2", Some(3)), Some(RowError::NotOne { item: 2 }));
        assert_eq!(error("1 2;3", Some(2)), Some(RowError::NotOne { item: 1 }));
        assert_eq!(error("", None), Some(RowError::NotOne { item: 1 }));
        assert_eq!(error("1;2", Some(3)), Some(RowError::Length { found: 2, expected: 3 }));
        assert_eq!(error("18446744073709551616", None), Some(RowError::TooLarge { item: 1 }));
    }

    #[test]
    fn records_are_whole_and_may_be_none() {
        let shape = Some(RowShape::Records { columns: 2, most: 2 });
        let read = |text| parse_row(text, shape).map(|row| row.expose().to_vec());
        assert_eq!(read(" "), Ok(vec![]));
        assert_eq!(read("1;2"), Ok(vec![1, 2]));
        assert_eq!(read("1;2;3;4"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(read("1;2;3"), Err(RowError::Records { found: 3, columns: 2, most: 2 }));
        assert_eq!(read("1;2;3;4;5;6"), Err(RowError::Records { found: 6, columns: 2, most: 2 }));
    }

    /// Rows of `tacit peer rows` have no time at all.
    #[test]
    fn a_row_without_its_slots_start_hears_what_gives_it_one() {
        let text = RowError::OffSlot { first: UnixMillis(0), minutes: 5 }.to_string();
        for words in ["no slot_start, or another moment", "1970-01-01T00:00:00Z", "5 min", "`tacit source csv FILE"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn an_error_never_holds_the_value() {
        let text = error("98765432109876543210;1", Some(2)).map(|e| e.to_string()).unwrap_or_default();
        assert!(!text.contains("9876"), "{text}");
    }
}
