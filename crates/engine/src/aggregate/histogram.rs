//! How many records fall into each bucket, for each column. Edges are public; every record falls into
//! exactly one bucket.

use super::statistic::{NoResult, Statistic};
use super::{Settings, Term};

/// For each column the buckets from below to above.
pub(super) fn terms(settings: &Settings) -> Vec<Term> {
    let buckets = buckets(&settings.edges);
    let of = |column| buckets.iter().map(move |(from, to)| Term::Within { column, from: *from, to: *to });
    (0..settings.columns).flat_map(of).collect()
}

pub(super) fn histogram(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    let buckets = buckets(&settings.edges);
    let mut records = None;
    for counts in sums.chunks(buckets.len()) {
        let total: u128 = counts.iter().sum();
        if *records.get_or_insert(total) != total {
            return Err(NoResult::Impossible);
        }
    }
    // Below 2^53: at most 20,000 members with 2^32 records each.
    Ok(names(settings).into_iter().zip(sums).map(|(name, count)| Statistic::new(name, *count as f64)).collect())
}

/// What the counts are called, in their order.
pub(crate) fn names(settings: &Settings) -> Vec<String> {
    let buckets = buckets(&settings.edges);
    let of = |name: &String| -> Vec<String> {
        let end = |to: &Option<u64>| to.map_or_else(|| "inf".to_owned(), |to| to.to_string());
        buckets.iter().map(|(from, to)| format!("bucket({name},[{from},{}))", end(to))).collect()
    };
    settings.names.iter().flat_map(of).collect()
}

/// Below the first edge (unless that is 0), between edges, from the last edge on.
pub(super) fn buckets(edges: &[u64]) -> Vec<(u64, Option<u64>)> {
    let mut starts = edges.to_vec();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
    starts.iter().copied().zip(ends).collect()
}
