//! How measured values are spread, as the thesis on FlexSMC tabulates them.

use serde::Serialize;

use crate::output::Failure;

/// All of these in the unit of the values.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Spread {
    min: f64,
    max: f64,
    mean: f64,
    std: f64,
    p25: f64,
    median: f64,
    p75: f64,
    p90: f64,
    runs: usize,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let at = |part: f64| {
            let place = part * (values.len().saturating_sub(1)) as f64;
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            match (values.get(low), values.get(high)) {
                (Some(low), Some(high)) => low + (high - low) * place.fract(),
                _ => 0.0,
            }
        };
        let short = |value: f64| (value * 1000.0).round() / 1000.0;
        Self {
            min: short(at(0.0)),
            max: short(at(1.0)),
            mean: short(mean),
            std: short(variance.sqrt()),
            p25: short(at(0.25)),
            median: short(at(0.5)),
            p75: short(at(0.75)),
            p90: short(at(0.9)),
            runs: values.len(),
        }
    }
}

/// One row of a table: names as contracted.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    bench: &'static str,
    what: &'static str,
    parties: usize,
    threshold: usize,
    model: &'static str,
    field: &'static str,
    size: usize,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    /// Of one run, by the peer that sent most; of a phase, for the whole request of which it is one.
    bytes_sent_per_party: u64,
    tls: bool,
    /// The thesis' median on twelve machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    existing: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<f64>,
}

/// FlexSMC, Smarzly 2017, tables A.1, A.2, 6.1 and 6.2: medians in ms for 3, 5, 7, 9 and 11 peers.
const EXISTING: [(&str, [f64; 5]); 8] = [
    ("T_flex_1", [0.698, 0.723, 0.822, 1.323, 1.414]),
    ("T_flex_10", [4.324, 4.326, 4.728, 4.882, 5.388]),
    ("T_flexcon_10", [7.112, 7.336, 8.185, 8.921, 9.162]),
    ("prepare", [1.422, 1.497, 1.520, 1.562, 1.611]),
    ("link_cold", [1001.3, 1001.4, 1001.7, 1001.9, 1002.1]),
    ("session", [3.027, 3.973, 5.364, 6.974, 8.396]),
    ("T_total_cold", [1005.9, 1007.1, 1008.8, 1010.7, 1012.5]),
    ("T_total", [1005.9, 1007.1, 1008.8, 1010.7, 1012.5]),
];
const AIMS: [(&str, f64); 4] = [("T_flex_1", 0.4), ("T_flex_10", 2.0), ("T_total", 4.0), ("T_total_cold", 35.0)];

impl Cell {
    pub(super) fn new(what: &'static str, parties: usize, spread: Spread, bytes_sent_per_party: u64) -> Self {
        let column = [3, 5, 7, 9, 11].iter().position(|n| *n == parties);
        let row = EXISTING.iter().find(|(name, _)| *name == what);
        Self {
            bench: "orchestration",
            what,
            parties,
            threshold: parties.saturating_sub(1) / 2,
            model: "semi-honest",
            field: "2^61-1",
            size: 1,
            unit: "ms",
            spread,
            bytes_sent_per_party,
            tls: true,
            existing: row.zip(column).map(|((_, values), column)| values[column]),
            aim: AIMS.iter().find(|(name, _)| *name == what && parties == 11).map(|(_, aim)| *aim),
        }
    }

    /// Prints it: as JSON, as CSV or as a row of a table.
    pub(super) fn print(&self, form: Form, first: bool) -> Result<(), Failure> {
        let Spread { min, max, mean, std, p25, median, p75, p90, runs } = self.spread;
        let (what, parties) = (self.what, self.parties);
        let line = match form {
            Form::Json => serde_json::to_string(self)?,
            Form::Csv => {
                if first {
                    crate::output::line(
                        "what,parties,min,max,mean,std,p25,median,p75,p90,runs,existing,aim,bytes_sent_per_party",
                    )?;
                }
                let [existing, aim] =
                    [self.existing, self.aim].map(|value| value.map_or_else(String::new, |value| value.to_string()));
                let sent = self.bytes_sent_per_party;
                format!(
                    "{what},{parties},{min},{max},{mean},{std},{p25},{median},{p75},{p90},{runs},{existing},{aim},{sent}"
                )
            }
            Form::Table => {
                if first {
                    crate::output::line(
                        "what          peers      min      max     mean      std      25%   median      75%      90%  existing",
                    )?;
                }
                let existing = self.existing.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
                format!(
                    "{what:<13} {parties:>5} {min:>8.3} {max:>8.3} {mean:>8.3} {std:>8.3} {p25:>8.3} {median:>8.3} {p75:>8.3} {p90:>8.3} {existing:>9}"
                )
            }
        };
        Ok(crate::output::line(&line)?)
    }
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
    Table,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f24_quartiles_are_those_of_the_books() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0, 5.0]);
        assert_eq!([spread.min, spread.p25, spread.median, spread.p75, spread.max], [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((spread.mean, spread.std, spread.p90), (3.0, 1.581, 4.6));
        assert_eq!(Cell::new("T_flex_1", 11, spread, 0).existing, Some(1.414));
    }
}
