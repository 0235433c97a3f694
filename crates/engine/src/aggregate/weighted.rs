//! The mean of each column but the last, weighted by the last.

use super::exact::{big, ratio};
use super::statistic::{NoResult, Statistic};
use super::{Settings, Term};

/// The sum of the weights, then the weighted sum of each column.
pub(super) fn terms(settings: &Settings) -> Vec<Term> {
    let weight = settings.columns - 1;
    std::iter::once(Term::Value(weight)).chain((0..weight).map(|column| Term::Product(column, weight))).collect()
}

pub(super) fn weighted_mean(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    let (weight, sums) = (big(sums[0]), &sums[1..]);
    if weight == big(0) {
        return Err(NoResult::NoWeight);
    }
    let mut statistics = vec![Statistic::new("weight", ratio(&weight, &big(1))?)];
    for (name, sum) in settings.names.iter().zip(sums) {
        statistics.push(Statistic::new(format!("weighted_mean({name})"), ratio(&big(*sum), &weight)?));
    }
    Ok(statistics)
}
