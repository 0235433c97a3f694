//! Covariance and correlation of all pairs of columns.

use super::exact::{big, ratio, root_of_ratio};
use super::moments::{count_of, divisor, enough_records, mean_terms, push_means, scatter};
use super::statistic::{NoResult, Statistic};
use super::{Settings, Term};

/// The number of records, the sum of each column, then the sum of the products of each pair.
pub(super) fn terms(settings: &Settings) -> Vec<Term> {
    let pairs = pairs(settings.columns).map(|(a, b)| Term::Product(a, b));
    mean_terms(settings).into_iter().chain(pairs).collect()
}

/// Every column with itself and with those after it.
pub(super) fn pairs(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).flat_map(move |a| (a..columns).map(move |b| (a, b)))
}

pub(super) fn covariance(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    let records = enough_records(sums[0], settings)?;
    let (sums, products) = sums[1..].split_at(settings.columns);
    let mut statistics = vec![count_of(records)];
    push_means(&mut statistics, settings, records, sums)?;
    for ((a, b), product) in pairs(settings.columns).zip(products) {
        let scatter = scatter(records, sums[a], sums[b], *product);
        if a == b && scatter < big(0) {
            return Err(NoResult::Impossible);
        }
        let name = format!("covariance({},{})", settings.names[a], settings.names[b]);
        statistics.push(Statistic::new(name, ratio(&scatter, &divisor(records, settings))?));
    }
    Ok(statistics)
}

pub(super) fn correlation(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    let records = super::moments::some_records(sums[0])?;
    let (sums, products) = sums[1..].split_at(settings.columns);
    let scatters: Vec<_> = pairs(settings.columns)
        .zip(products)
        .map(|((a, b), product)| ((a, b), scatter(records, sums[a], sums[b], *product)))
        .collect();
    let own: Vec<_> = scatters.iter().filter(|((a, b), _)| a == b).map(|(_, scatter)| scatter).collect();
    for (name, scatter) in settings.names.iter().zip(&own) {
        match (*scatter).cmp(&big(0)) {
            std::cmp::Ordering::Less => return Err(NoResult::Impossible),
            std::cmp::Ordering::Equal => return Err(NoResult::Constant { name: name.clone() }),
            std::cmp::Ordering::Greater => {}
        }
    }
    let mut statistics = vec![count_of(records)];
    for ((a, b), scatter) in scatters.iter().filter(|((a, b), _)| a != b) {
        // r = ±√(s_ab² / (s_aa·s_bb)): one rounding, one root.
        let (above, below) = (scatter * scatter, own[*a] * own[*b]);
        if above > below {
            return Err(NoResult::Impossible);
        }
        let size = root_of_ratio(&above, &below)?;
        let name = format!("correlation({},{})", settings.names[*a], settings.names[*b]);
        statistics.push(Statistic::new(name, if *scatter < big(0) { -size } else { size }));
    }
    Ok(statistics)
}
