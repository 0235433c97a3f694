//! Samples out of CSV: what was measured, by moment.

use std::collections::BTreeMap;
use std::io::Read;

use tacit_model::UnixMillis;
use tacit_store::Redacted;

use super::SourceError;
use super::csv_file::{moment, unreadable};
use super::series::{MAX_SAMPLES, SampleText};

/// Reads `at,temperature,occupancy`: a header, then one record per line, each with a moment (RFC 3339 or milliseconds
/// since 1970) and decimals; an empty field is no sample. Only what is newer than `after`, in order of time, and at
/// most [`MAX_SAMPLES`] of it, the oldest. The memory needed does not grow with the number of lines.
pub fn read_samples(reader: impl Read, after: UnixMillis) -> Result<Vec<SampleText>, SourceError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(true).flexible(true).trim(csv::Trim::All).from_reader(reader);
    let header = reader.headers().map_err(unreadable)?.clone();
    if header.len() < 2 || header.get(0).is_none_or(|first| first.trim_start_matches('\u{feff}') != "at") {
        return Err(SourceError::SampleHeader);
    }
    let mut oldest = Oldest { most: MAX_SAMPLES, samples: Vec::new() };
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = record.get(0).and_then(moment).ok_or(SourceError::Moment { line })?;
        if record.len() != header.len() {
            return Err(SourceError::Columns { line, found: record.len(), expected: header.len() });
        }
        if at <= after {
            continue;
        }
        let values: BTreeMap<String, Redacted<String>> = header
            .iter()
            .zip(record.iter())
            .skip(1)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), Redacted(value.to_owned())))
            .collect();
        if !values.is_empty() {
            oldest.add(SampleText { at, values });
        }
    }
    Ok(oldest.in_order())
}

/// The oldest of many samples: of those with the same moment, the first to come.
struct Oldest {
    most: usize,
    /// Fewer than twice as many, so that sorting takes little for each.
    samples: Vec<SampleText>,
}

impl Oldest {
    fn add(&mut self, sample: SampleText) {
        self.samples.push(sample);
        if self.samples.len() / 2 >= self.most {
            self.cut();
        }
    }

    fn in_order(mut self) -> Vec<SampleText> {
        self.cut();
        self.samples
    }

    fn cut(&mut self) {
        self.samples.sort_by_key(|sample| sample.at);
        self.samples.truncate(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, after: i64) -> Result<Vec<(i64, Vec<String>)>, String> {
        let samples = read_samples(text.as_bytes(), UnixMillis(after)).map_err(|e| e.to_string())?;
        let show = |s: &SampleText| s.values.iter().map(|(name, value)| format!("{name}={}", value.0)).collect();
        Ok(samples.iter().map(|sample| (sample.at.0, show(sample))).collect())
    }

    #[test]
    fn samples_out_of_csv_are_the_new_ones_in_order() {
        let text = "at,temperature,occupancy\n2000,21.5,1\n1970-01-01T00:00:01Z,-3,\n3000,,\n";
        let first = (1000, vec!["temperature=-3".to_owned()]);
        let second = (2000, vec!["occupancy=1".to_owned(), "temperature=21.5".to_owned()]);
        assert_eq!(read(text, 0), Ok(vec![first, second.clone()]));
        assert_eq!(read(text, 1000), Ok(vec![second]));
        for wrong in ["", "time,a\n1,2\n", "at\n1\n", "at,a\nsoon,1\n", "at,a\n1,2,3\n"] {
            assert!(read(wrong, 0).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_oldest_are_kept_in_bounded_memory() {
        let mut oldest = Oldest { most: 4, samples: Vec::new() };
        // Moments fall and rise, and some occur twice.
        for (number, at) in [9, 3, 8, 1, 7, 3, 6, 5, 2, 9, 3, 8, 4, 2].into_iter().enumerate() {
            let values = BTreeMap::from([("a".to_owned(), Redacted(number.to_string()))]);
            oldest.add(SampleText { at: UnixMillis(at), values });
            assert!(oldest.samples.len() < 8, "after {number}");
        }
        let kept: Vec<(i64, String)> =
            oldest.in_order().iter().map(|sample| (sample.at.0, sample.values["a"].0.clone())).collect();
        assert_eq!(kept, [(1, "3"), (2, "8"), (2, "13"), (3, "1")].map(|(at, number)| (at, number.to_owned())));
    }

    /// In words of samples: there are no slots and no group here.
    #[test]
    fn bad_lines_are_named() {
        let moment = "line 2: column `at` must be RFC 3339 such as 2026-03-04T00:05:00Z, or milliseconds since 1970";
        assert_eq!(read("at,a\nsoon,1\n", 0), Err(moment.to_owned()));
        let columns = |line, found| Err(format!("line {line} has {found} columns, and the header names 2"));
        assert_eq!(read("at,a\n0,1\n1,2,3\n", 0), columns(3, 3));
        assert_eq!(read("at,a\n1\n", 0), columns(2, 1));
        let text = read_samples(&b"at,a\n1,2\n2,\xff\n"[..], UnixMillis(0)).map_err(|e| e.to_string());
        assert!(text.is_err_and(|why| why == "line 3 is not text in UTF-8"));
    }
}
