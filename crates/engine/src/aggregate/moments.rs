//! Count, mean, variance and standard deviation of each column.

use num_bigint::BigInt;

use super::exact::{big, ratio, root_of_ratio};
use super::statistic::{NoResult, Statistic};
use super::{Settings, Term};

pub(super) fn count_terms(_: &Settings) -> Vec<Term> {
    vec![Term::One]
}

pub(super) fn count(_: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    Ok(vec![count_of(sums[0])])
}

/// The number of records, then the sum of each column.
pub(super) fn mean_terms(settings: &Settings) -> Vec<Term> {
    std::iter::once(Term::One).chain((0..settings.columns).map(Term::Value)).collect()
}

pub(super) fn mean(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    let (records, sums) = (some_records(sums[0])?, &sums[1..]);
    let mut statistics = vec![count_of(records)];
    push_means(&mut statistics, settings, records, sums)?;
    Ok(statistics)
}

/// The number of records, the sum of each column, then the sum of each column's squares.
pub(super) fn variance_terms(settings: &Settings) -> Vec<Term> {
    let squares = (0..settings.columns).map(|column| Term::Product(column, column));
    mean_terms(settings).into_iter().chain(squares).collect()
}

pub(super) fn variance(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    spread(settings, sums, "variance", ratio)
}

pub(super) fn std_deviation(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    spread(settings, sums, "std_deviation", root_of_ratio)
}

fn spread(
    settings: &Settings,
    sums: &[u128],
    what: &str,
    value: fn(&BigInt, &BigInt) -> Result<f64, NoResult>,
) -> Result<Vec<Statistic>, NoResult> {
    let records = enough_records(sums[0], settings)?;
    let (sums, squares) = sums[1..].split_at(settings.columns);
    let mut statistics = vec![count_of(records)];
    push_means(&mut statistics, settings, records, sums)?;
    for ((name, sum), square) in settings.names.iter().zip(sums).zip(squares) {
        let scatter = scatter(records, *sum, *sum, *square);
        if scatter < big(0) {
            return Err(NoResult::Impossible);
        }
        statistics.push(Statistic::new(format!("{what}({name})"), value(&scatter, &divisor(records, settings))?));
    }
    Ok(statistics)
}

/// n times the sum of the products of deviations from the means: `n·Σab - Σa·Σb`.
pub(super) fn scatter(records: u128, a: u128, b: u128, products: u128) -> BigInt {
    big(records) * products - big(a) * b
}

/// What a [`scatter`] is divided by: `n·(n - ddof)`.
pub(super) fn divisor(records: u128, settings: &Settings) -> BigInt {
    big(records) * (records - u128::from(settings.ddof))
}

pub(super) fn count_of(records: u128) -> Statistic {
    // Below 2^53: at most 20,000 members with 2^32 records each.
    Statistic::new("count", records as f64)
}

pub(super) fn push_means(
    statistics: &mut Vec<Statistic>,
    settings: &Settings,
    records: u128,
    sums: &[u128],
) -> Result<(), NoResult> {
    for (name, sum) in settings.names.iter().zip(sums) {
        statistics.push(Statistic::new(format!("mean({name})"), ratio(&big(*sum), &big(records))?));
    }
    Ok(())
}

pub(super) fn some_records(records: u128) -> Result<u128, NoResult> {
    if records == 0 { Err(NoResult::NoRecords) } else { Ok(records) }
}

/// More records than degrees of freedom are taken off.
pub(super) fn enough_records(records: u128, settings: &Settings) -> Result<u128, NoResult> {
    let needed = u128::from(settings.ddof) + 1;
    let records = some_records(records)?;
    if records < needed { Err(NoResult::TooFew { records, needed }) } else { Ok(records) }
}
