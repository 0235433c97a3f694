//! Statistics over records of all parties, as tasks ask for them.
//!
//! In the time: a whole session from the barrier on, with proven bounds and the frozen set on the disk, and the decoding of the
//! opened numbers. Not in it: the plan, the links, drawing the records.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_engine::Statistic;
use tacit_model::SessionId;

use super::messages::{Sample, Turn};
use super::meter::{Meter, peak_kib};
use super::seat::{Seat, element};
use crate::output::Failure;

/// Which statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Mean and deviation of three columns.
    StdDeviation,
    /// One column on two others, least squares.
    LinearRegression,
    /// The middle record.
    Median,
    /// The ten largest sums of items.
    TopK,
    /// The ten keys with the largest sums of weights.
    TopKeys,
    /// Of the sums of items.
    Entropy,
    /// How many values there are.
    DistinctCount,
    /// A label on two columns.
    LogisticRegression,
}

/// The largest number of a record.
const LARGEST: u64 = 1000;

impl Kind {
    fn aggregator(self) -> &'static str {
        match self {
            Self::StdDeviation => "std_deviation",
            Self::LinearRegression => "linear_regression",
            Self::Median => "median",
            Self::TopK => "top_k",
            Self::TopKeys => "top_keys",
            Self::Entropy => "entropy",
            Self::DistinctCount => "distinct_count",
            Self::LogisticRegression => "logistic_regression",
        }
    }

    /// Numbers of a record; `None` where a row is a vector of so many items.
    fn columns(self) -> Option<usize> {
        match self {
            Self::StdDeviation | Self::LinearRegression | Self::LogisticRegression => Some(3),
            Self::TopKeys => Some(2),
            Self::Median | Self::DistinctCount => Some(1),
            Self::TopK | Self::Entropy => None,
        }
    }

    fn row(self, session: &SessionId, party: usize, size: usize) -> Vec<u64> {
        let number = |index: usize| element(session, party, index) % (LARGEST + 1);
        match self {
            Self::LogisticRegression => (0..size)
                .flat_map(|i| {
                    // Ones are frequent where the first column is large.
                    let label = number(3 * i) + number(3 * i + 2) > LARGEST;
                    [number(3 * i), number(3 * i + 1), u64::from(label)]
                })
                .collect(),
            _ => (0..size * self.columns().unwrap_or(1)).map(number).collect(),
        }
    }

    /// Whether the result is that of these rows: computed again in plain numbers.
    fn is_right(self, rows: &[Vec<u64>], result: &[Statistic]) -> bool {
        let found: BTreeMap<&str, f64> = result.iter().map(|s| (s.name.as_str(), s.value)).collect();
        let get = |name: &str| found.get(name).copied().unwrap_or(f64::NAN);
        let close = |found: f64, wanted: f64| (found - wanted).abs() <= 1e-9 * wanted.abs().max(1e-3);
        let records: Vec<&[u64]> =
            rows.iter().flat_map(|row| row.chunks_exact(self.columns().unwrap_or(row.len().max(1)))).collect();
        let column = |at: usize| records.iter().map(move |record| record[at] as f64);
        let count = records.len() as f64;
        match self {
            Self::StdDeviation => (0..3).all(|at| {
                let mean = column(at).sum::<f64>() / count;
                let variance = column(at).map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
                close(get(&format!("std_deviation(x{})", at + 1)), variance.sqrt())
            }),
            Self::LinearRegression => {
                let [a, b, c] = ["intercept", "x1", "x2"].map(|name| get(&format!("coefficient({name})")));
                let residuals = || records.iter().map(|r| r[2] as f64 - a - b * r[0] as f64 - c * r[1] as f64);
                orthogonal(&records, residuals().collect(), 1e-9)
            }
            Self::LogisticRegression => {
                let [a, b, c] = ["intercept", "x1", "x2"].map(|name| get(&format!("coefficient({name})")));
                let chance = |r: &[u64]| 1.0 / (1.0 + (-(a + b * r[0] as f64 + c * r[1] as f64)).exp());
                orthogonal(&records, records.iter().map(|r| r[2] as f64 - chance(r)).collect(), 1e-3)
            }
            Self::Median => {
                let mut numbers: Vec<f64> = column(0).collect();
                numbers.sort_by(f64::total_cmp);
                let middle = numbers.len() / 2;
                let below = if numbers.len().is_multiple_of(2) { numbers[middle - 1] } else { numbers[middle] };
                close(get("median(x1)"), (below + numbers[middle]) / 2.0)
            }
            Self::DistinctCount => {
                get("distinct") == records.iter().map(|record| record[0]).collect::<BTreeSet<u64>>().len() as f64
            }
            Self::TopKeys => {
                let mut sums: BTreeMap<u64, u64> = BTreeMap::new();
                records.iter().for_each(|record| *sums.entry(record[0]).or_default() += record[1]);
                // Of equal sums the smaller key comes first; who weighs nothing is not there.
                let mut sums: Vec<(Reverse<u64>, u64)> =
                    sums.into_iter().map(|(key, sum)| (Reverse(sum), key)).collect();
                sums.sort_unstable();
                let wanted = sums.iter().filter(|(sum, _)| sum.0 > 0).take(10);
                wanted
                    .map(|(sum, key)| (format!("sum({key})"), sum.0 as f64))
                    .eq(result.iter().map(|found| (found.name.clone(), found.value)))
            }
            Self::TopK | Self::Entropy => {
                let mut sums: Vec<u64> =
                    (0..rows[0].len()).map(|item| rows.iter().map(|row| row[item]).sum()).collect();
                if self == Self::Entropy {
                    let total: f64 = sums.iter().map(|sum| *sum as f64).sum();
                    let shares: f64 = sums.iter().map(|sum| (*sum as f64 / total).powi(2)).sum();
                    return close(get("tsallis(2)"), 1.0 - shares);
                }
                sums.sort_unstable_by(|a, b| b.cmp(a));
                let wanted = sums.iter().take(10).filter(|sum| **sum > 0).map(|sum| *sum as f64);
                wanted.eq(result.iter().map(|s| s.value))
            }
        }
    }
}

/// Whether residuals are orthogonal to the constant and to the first two columns, which makes a fit the best one.
fn orthogonal(records: &[&[u64]], residuals: Vec<f64>, tolerance: f64) -> bool {
    let limit = tolerance * records.len() as f64 * residuals.iter().fold(0f64, |most, r| most.max(r.abs()));
    let sum =
        |weight: &dyn Fn(&[u64]) -> f64| -> f64 { records.iter().zip(&residuals).map(|(r, x)| weight(r) * x).sum() };
    let largest = LARGEST as f64;
    [sum(&|_| 1.0), sum(&|r| r[0] as f64 / largest), sum(&|r| r[1] as f64 / largest)]
        .iter()
        .all(|sum| sum.abs() <= limit.max(1e-6))
}

pub(super) async fn run(seat: &mut Seat, turn: &Turn, kind: Kind, size: usize) -> Result<Sample, Failure> {
    let mut parameters = BTreeMap::new();
    if kind.columns().is_some() {
        parameters.insert("max_records".to_owned(), size.to_string());
    }
    let items = kind.columns().unwrap_or(size);
    let ready = seat.prepare_aggregator(turn, kind.aggregator(), items, LARGEST, parameters)?;
    let (rounds, field) = (ready.plan.forecast().rounds, ready.plan.field().name());
    let input = kind.row(&turn.session, seat.me, size);
    seat.barrier.wait().await?;

    let meter = Meter::start();
    let me = seat.me;
    let session = seat.play(ready, async |plan, mailbox, mut environment| {
        let outcome = tacit_engine::run(plan, me, mailbox, &mut environment, &turn.nonces, Some(input.into())).await?;
        Ok(plan.statistics(&outcome.values.unwrap_or_default()))
    });
    let (result, bytes_sent) = session.await?;
    let reading = meter.stop();

    let rows: Vec<Vec<u64>> = (0..seat.members.len()).map(|party| kind.row(&turn.session, party, size)).collect();
    let right = matches!(result, Some(Ok(result)) if kind.is_right(&rows, &result));
    Ok(Sample {
        nanos: reading.nanos(),
        cpu_micros: reading.cpu_micros,
        steps: 1,
        bytes_sent,
        rounds: Some(rounds as u64),
        peak_kib: peak_kib(),
        field: field.to_owned(),
        right,
    })
}
