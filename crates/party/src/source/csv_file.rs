use std::collections::BTreeSet;
use std::io::Read;

use tacit_model::UnixMillis;
use zeroize::Zeroizing;

use super::rows::RowError;
use super::{MAX_ROWS, Row, SourceError, TimedRow, stamp};

/// Reads `slot_start,count` or `slot_start,v1,v2,...`: a header, then one row per slot.
///
/// `slot_start` is RFC 3339 or milliseconds since 1970. Each row has as many values as the header names. Rows come
/// back in the order of their slots; a slot may occur once.
pub fn read_csv(reader: impl Read) -> Result<Vec<TimedRow>, SourceError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(true).flexible(true).trim(csv::Trim::All).from_reader(reader);
    let header = reader.headers().map_err(unreadable)?;
    if header.len() < 2 || header.get(0).is_none_or(|first| first.trim_start_matches('\u{feff}') != "slot_start") {
        return Err(SourceError::Header);
    }
    let columns = header.len();
    let mut rows: Vec<TimedRow> = Vec::new();
    let mut seen = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != columns {
            return Err(SourceError::Columns { line, found: record.len(), expected: columns });
        }
        let row = read_record(&record).map_err(|why| SourceError::Line { line, why })?;
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

fn read_record(record: &csv::StringRecord) -> Result<TimedRow, RowError> {
    let slot_start = record.get(0).and_then(moment).ok_or(RowError::SlotStart)?;
    let mut values = Zeroizing::new(Vec::with_capacity(record.len()));
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

/// The file could not be read, or a line of it is no text.
pub(super) fn unreadable(error: csv::Error) -> SourceError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => SourceError::Io(e),
        _ => SourceError::NotText { line },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(i64, Vec<u64>)>, SourceError> {
        Ok(read_csv(text.as_bytes())?.into_iter().map(|r| (r.slot_start.0, r.row.expose().to_vec())).collect())
    }

    #[test]
    fn one_or_several_columns() {
        let text = "slot_start,count\r\n1970-01-01T00:05:00Z,7\r\n1970-01-01T00:00:00Z,0\n";
        assert_eq!(read(text).expect("a good file"), vec![(0, vec![0]), (300_000, vec![7])]);
        assert_eq!(read("slot_start,a,b\n300000, 1 ,2\n").expect("a good file"), vec![(300_000, vec![1, 2])]);
    }

    #[test]
    fn bad_lines_are_named() {
        for header in ["when,count", "slot_start", "slot_start;count"] {
            assert!(matches!(read(&format!("{header}\n0,1\n")), Err(SourceError::Header)), "{header}");
        }
        let wrong = |text: &str| match read(text) {
            Err(SourceError::Line { line, why }) => (line, why),
            _ => panic!("accepted"),
        };
        assert_eq!(wrong("slot_start,count\n0,1\nx,1\n"), (3, RowError::SlotStart));
        assert_eq!(wrong("slot_start,count\n0,1.5\n"), (2, RowError::NotOne { item: 1 }));
        assert!(matches!(read("slot_start,count\n0,1\n0,1\n"), Err(SourceError::Twice { line: 3 })));
        assert!(matches!(read_csv(&b"slot_start,count\n0,\xff\n"[..]), Err(SourceError::NotText { line: 2 })));
    }

    /// A file knows no group: what a row lacks, it lacks beside its header.
    #[test]
    fn a_row_is_measured_by_its_header() {
        let said = |text| read(text).expect_err("another length").to_string();
        assert_eq!(said("slot_start,count\n0,1,2\n"), "line 2 has 3 columns, and the header names 2");
        assert_eq!(said("slot_start,a,b\n0,1,2\n60000,1\n"), "line 3 has 2 columns, and the header names 3");
    }
}
