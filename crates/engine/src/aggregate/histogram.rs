//! How many records fall into each bucket, for each column. Edges are public; every record falls into
//! exactly one bucket.

use super::records::{Settings, Term};
use super::statistic::{NoResult, Statistic};

/// For each column the buckets from below to above.
pub(super) fn terms(settings: &Settings) -> Vec<Term> {
    let buckets = buckets(&settings.edges);
    let of = |column| buckets.iter().map(move |(from, to)| Term::Within { column, from: *from, to: *to });
    (0..settings.columns).flat_map(of).collect()
}

pub(super) fn histogram(settings: &Settings, sums: &[u128]) -> Result<Vec<Statistic>, NoResult> {
    let buckets = buckets(&settings.edges);
    let mut statistics = Vec::with_capacity(sums.len());
    let mut records = None;
    for (name, counts) in settings.names.iter().zip(sums.chunks(buckets.len())) {
        let total: u128 = counts.iter().sum();
        if *records.get_or_insert(total) != total {
            return Err(NoResult::Impossible);
        }
        for ((from, to), count) in buckets.iter().zip(counts) {
            let to = to.map_or_else(|| "inf".to_owned(), |to| to.to_string());
            // Below 2^53: at most 20,000 members with 2^32 records each.
            statistics.push(Statistic::new(format!("bucket({name},[{from},{to}))"), *count as f64));
        }
    }
    Ok(statistics)
}

/// Below the first edge (unless that is 0), between edges, from the last edge on.
fn buckets(edges: &[u64]) -> Vec<(u64, Option<u64>)> {
    let mut starts = edges.to_vec();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
    starts.iter().copied().zip(ends).collect()
}
