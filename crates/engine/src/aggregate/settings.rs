//! What a task sets, read and checked: columns, records of a peer, names, edges, maxima.

use super::{Aggregator, histogram};
use crate::plan::{PlanError, PlanRequest};

/// How many records a peer may give in a slot unless the task says otherwise.
const DEFAULT_MAX_RECORDS: u64 = 10_000;
/// The same where each record is computed on.
pub(crate) const DEFAULT_TABLE: usize = 100;
/// How much a key may weigh unless the task says otherwise.
pub(crate) const DEFAULT_MAX_WEIGHT: usize = 1000;
/// The most that a task may say.
const MOST_RECORDS: u64 = 1 << 32;
/// The most edges of a histogram.
const MOST_EDGES: usize = 1000;
/// The most buckets of all its columns together: what holds between their counts takes memory, too.
const MOST_BUCKETS: usize = 1 << 20;

/// The settings of a task, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Numbers of one record.
    pub columns: usize,
    /// The most records of one peer.
    pub max_records: u64,
    /// The columns' names.
    pub names: Vec<String>,
    /// What is taken off the number of records before dividing by it.
    pub ddof: u8,
    /// Where buckets begin.
    pub edges: Vec<u64>,
    /// Whether a regression has a constant term.
    pub intercept: bool,
    /// Whether each peer counts as one record, its own mean.
    pub per_peer: bool,
}

impl Settings {
    pub(super) fn read(aggregator: &'static Aggregator, request: &PlanRequest) -> Result<Self, PlanError> {
        let name = aggregator.name;
        let bad = |parameter: &str| PlanError::BadParameter { name, parameter: parameter.to_owned() };
        let text = |key: &str| request.parameters.get(key).map(String::as_str);
        let columns = request.items;
        let names = match text("names") {
            Some(text) => list(text).map(str::to_owned).collect(),
            None => (1..=columns).map(|column| format!("x{column}")).collect::<Vec<_>>(),
        };
        if names.len() != columns {
            return Err(bad("names"));
        }
        let needs_edges = aggregator.parameters.iter().any(|p| p.name == "edges");
        let edges = match text("edges") {
            Some(text) => numbers(text).ok_or_else(|| bad("edges"))?,
            None if needs_edges => return Err(PlanError::MissingParameter { name, parameter: "edges" }),
            None => Vec::new(),
        };
        let buckets = columns.saturating_mul(histogram::buckets(&edges).len());
        if needs_edges && buckets > MOST_BUCKETS {
            return Err(PlanError::TooManyBuckets { buckets, limit: MOST_BUCKETS });
        }
        Ok(Self {
            columns,
            max_records: max_records(aggregator, request)?,
            names,
            ddof: match text("ddof") {
                Some(text) => text.parse().map_err(|_| bad("ddof"))?,
                None => 1,
            },
            edges,
            intercept: text("intercept") != Some("no"),
            per_peer: is_per_peer(request),
        })
    }
}

/// Whether the task weighs peers, not records.
pub(crate) fn is_per_peer(request: &PlanRequest) -> bool {
    request.parameters.get("per_peer").is_some_and(|text| text == "yes")
}

/// The most records of one peer.
pub(super) fn max_records(aggregator: &'static Aggregator, request: &PlanRequest) -> Result<u64, PlanError> {
    max_records_or(DEFAULT_MAX_RECORDS, aggregator, request)
}

pub(super) fn max_records_or(
    unless_set: u64,
    aggregator: &'static Aggregator,
    request: &PlanRequest,
) -> Result<u64, PlanError> {
    limit_or(unless_set, "max_records", aggregator, request)
}

fn limit_or(
    unless_set: u64,
    parameter: &str,
    aggregator: &'static Aggregator,
    request: &PlanRequest,
) -> Result<u64, PlanError> {
    let bad = |_| PlanError::BadParameter { name: aggregator.name, parameter: parameter.to_owned() };
    request.parameters.get(parameter).map_or(Ok(unless_set), |text| text.parse().map_err(bad))
}

/// How much a key may weigh, which is not more than the largest value of a row where the row says it.
pub(super) fn max_weight(
    weighted: bool,
    aggregator: &'static Aggregator,
    request: &PlanRequest,
) -> Result<u64, PlanError> {
    let unless_set = (DEFAULT_MAX_WEIGHT as u64).min(request.max_element);
    let most = limit_or(unless_set, "max_weight", aggregator, request)?;
    if weighted && most > request.max_element {
        return Err(PlanError::BadParameter { name: aggregator.name, parameter: "max_weight".to_owned() });
    }
    Ok(most)
}

/// The largest value of each column where the last is a label, 0 or 1.
pub(crate) fn column_maxima(aggregator: &'static Aggregator, request: &PlanRequest) -> Result<Vec<u64>, PlanError> {
    let parameter = "maxima";
    let explaining = request.items.saturating_sub(1);
    let maxima = match request.parameters.get(parameter) {
        Some(text) => numbers(text).unwrap_or_default(),
        None => vec![request.max_element; explaining],
    };
    if maxima.len() != explaining || maxima.iter().any(|max| *max > request.max_element) {
        return Err(PlanError::BadParameter { name: aggregator.name, parameter: parameter.to_owned() });
    }
    Ok(maxima.into_iter().chain([1]).collect())
}

/// Accepts the largest values of columns.
pub(super) fn are_maxima(text: &str) -> bool {
    numbers(text).is_some_and(|maxima| maxima.iter().all(|max| *max > 0))
}

/// Accepts a number of records.
pub(super) fn is_record_limit(text: &str) -> bool {
    text.parse::<u64>().is_ok_and(|limit| (1..=MOST_RECORDS).contains(&limit))
}

/// Accepts the largest weight of a key.
pub(super) fn is_weight(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|most| most > 0)
}

/// Accepts names, each once, without what results use to put names together.
pub(super) fn are_names(text: &str) -> bool {
    let names: Vec<&str> = list(text).collect();
    let good = |name: &&str| {
        (1..=40).contains(&name.chars().count())
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
    };
    let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    names.iter().all(good) && distinct.len() == names.len() && !distinct.contains("intercept")
}

/// Accepts edges.
pub(super) fn are_edges(text: &str) -> bool {
    numbers(text).is_some_and(|edges| edges.len() <= MOST_EDGES && edges.windows(2).all(|pair| pair[0] < pair[1]))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    list(text).map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_strictly() {
        assert!(is_record_limit("1") && is_record_limit("4294967296"));
        assert!(!is_record_limit("0") && !is_record_limit("4294967297") && !is_record_limit("many"));
        assert!(are_names("age, length of stay,bmi") && !are_names("a,a") && !are_names("a,") && !are_names("a(b"));
        assert!(are_edges("0,10, 20") && are_edges("5") && !are_edges("") && !are_edges("1,1") && !are_edges("2,1"));
    }
}
