use std::collections::BTreeSet;
use std::io::Read;

use tacit_model::UnixMillis;
use zeroize::Zeroizing;

use super::rows::RowError;
use super::{MAX_ROWS, Row, SourceError, TimedRow, stamp};

/// Reads `slot_start,count` or `slot_start,v1,v2,...`: a header, then one row per slot.
///
/// `slot_start` is RFC 3339 or milliseconds since 1970. Each row must have `items` values. Rows come back
/// in the order of their slots; a slot may occur once.
pub fn read_csv(reader: impl Read, items: usize) -> Result<Vec<TimedRow>, SourceError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(true).flexible(true).trim(csv::Trim::All).from_reader(reader);
    let header = reader.headers().map_err(unreadable)?;
    if header.get(0).is_none_or(|first| first.trim_start_matches('\u{feff}') != "slot_start") {
        return Err(SourceError::Header);
    }
    let mut rows: Vec<TimedRow> = Vec::new();
    let mut seen = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = read_record(&record, items).map_err(|why| SourceError::Line { line, why })?;
        if !seen.insert(row.slot_start) {
            return Err(SourceError::Twice { line });
        }
        if rows.len() == MAX_ROWS {
            return Err(SourceError::TooMany);
        }
        rows.push(row);
    }
    rows.sort_by_key(|row| row.slot_start);
    Ok(rows)
}

fn read_record(record: &csv::StringRecord, items: usize) -> Result<TimedRow, RowError> {
    let slot_start = record.get(0).and_then(moment).ok_or(RowError::SlotStart)?;
    let found = record.len() - 1;
    if found != items {
        return Err(RowError::Length { found, expected: items });
    }
    let mut values = Zeroizing::new(Vec::with_capacity(items));
    for (index, field) in record.iter().skip(1).enumerate() {
        values.push(super::rows::number(field, index + 1)?);
    }
    Ok(TimedRow { slot_start, row: Row::new(core::mem::take(&mut *values)) })
}

pub(super) fn moment(text: &str) -> Option<UnixMillis> {
    let millis =
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok().map(UnixMillis));
    millis.unwrap_or_else(|| stamp::whole(text))
}

fn unreadable(error: csv::Error) -> SourceError {
    unread(error, |line| SourceError::Line { line, why: RowError::Character { at: 1 } })
}

/// The file could not be read, or a line of it is no text, which each kind of file says in its own words.
pub(super) fn unread(error: csv::Error, no_text: impl FnOnce(u64) -> SourceError) -> SourceError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => SourceError::Io(e),
        _ => no_text(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, items: usize) -> Result<Vec<(i64, Vec<u64>)>, SourceError> {
        Ok(read_csv(text.as_bytes(), items)?.into_iter().map(|r| (r.slot_start.0, r.row.expose().to_vec())).collect())
    }

    #[test]
    fn one_or_several_columns() {
        let text = "slot_start,count\r\n1970-01-01T00:05:00Z,7\r\n1970-01-01T00:00:00Z,0\n";
        assert_eq!(read(text, 1).expect("a good file"), vec![(0, vec![0]), (300_000, vec![7])]);
        assert_eq!(read("slot_start,a,b\n300000, 1 ,2\n", 2).expect("a good file"), vec![(300_000, vec![1, 2])]);
    }

    #[test]
    fn bad_lines_are_named() {
        assert!(matches!(read("when,count\n0,1\n", 1), Err(SourceError::Header)));
        let wrong = |text: &str, items| match read(text, items) {
            Err(SourceError::Line { line, why }) => (line, why),
            _ => panic!("accepted"),
        };
        assert_eq!(wrong("slot_start,count\n0,1\nx,1\n", 1), (3, RowError::SlotStart));
        assert_eq!(wrong("slot_start,count\n0,1.5\n", 1), (2, RowError::NotOne { item: 1 }));
        assert_eq!(wrong("slot_start,count\n0,1,2\n", 1), (2, RowError::Length { found: 2, expected: 1 }));
        assert!(matches!(read("slot_start,count\n0,1\n0,1\n", 1), Err(SourceError::Twice { line: 3 })));
    }
}
