//! What the results of reference tasks must be, where a few lines of plain computation say it.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluations::{columns, counts};
use crate::orders::{column as sorted_column, quantile, top_of};
use crate::plain_statistics::{close, column, covariance, records};
use crate::world::World;

/// How far noise may be from 0, in standard deviations: more than that has a probability below e^-50.
const ASTONISHING: f64 = 40.0;

/// What is computed plainly.
enum Plain {
    /// Exactly these numbers are opened.
    Opened(Vec<u128>),
    /// The result has these values in this order, and perhaps more behind them.
    Values(Vec<f64>),
    /// Among what the result names are these, up to 2^-40 of them.
    Named(Vec<(String, f64)>),
    /// The same, but for noise of the standard deviation that the result says under this name.
    Noisy(&'static str, Vec<f64>),
}

/// Compares what was opened with what must be; `false` where nothing here says it.
pub(crate) fn is_right(world: &World, opened: &[u128]) -> bool {
    let Some(plain) = plain(world) else { return false };
    let what = &world.request.aggregator;
    if let Plain::Opened(expected) = plain {
        assert_eq!(opened, expected, "{what}");
        return true;
    }
    let found = world.plan().statistics(opened).expect("a statistic").unwrap_or_else(|why| panic!("{what}: {why}"));
    let named: BTreeMap<&str, f64> = found.iter().map(|s| (s.name.as_str(), s.value)).collect();
    let values: Vec<f64> = found.iter().map(|s| s.value).collect();
    match plain {
        Plain::Opened(_) => {}
        Plain::Values(expected) => assert_eq!(values[..expected.len()], expected, "{what}"),
        Plain::Named(expected) => {
            assert!(!expected.is_empty(), "{what}");
            expected.iter().for_each(|(name, wanted)| close(named[name.as_str()], *wanted, 2f64.powi(-40)));
        }
        Plain::Noisy(deviation, expected) => {
            let most = ASTONISHING * named[deviation];
            let near = values.iter().zip(&expected).all(|(found, wanted)| (found - wanted).abs() <= most);
            assert!(near && values.len() > expected.len(), "{what}: {values:?}, but for noise {expected:?}");
        }
    }
    true
}

fn plain(world: &World) -> Option<Plain> {
    let width = world.request.items;
    let parameter = |name: &str| world.request.parameters.get(name).map(String::as_str);
    let rows: Vec<Vec<u64>> = world.inputs.iter().flatten().cloned().collect();
    let all = || records(&rows, width);
    let least = |of_all: usize| match (parameter("of"), parameter("min_peers")) {
        (_, Some(least)) => least.parse().expect("a number"),
        _ => of_all,
    };
    let bits = |least: usize| counts(world).into_iter().map(|count| u128::from(count >= least)).collect::<Vec<_>>();
    let each_column =
        |of: fn(&[u64]) -> f64| Plain::Values((0..width).map(|at| of(&sorted_column(world, at))).collect());
    // How many peers have each key or value.
    let holders = || {
        let mut holders = BTreeMap::<u64, usize>::new();
        let own = rows.iter().flat_map(|row| row.iter().copied().collect::<BTreeSet<u64>>());
        own.for_each(|key| *holders.entry(key).or_default() += 1);
        holders
    };
    let buckets = |at: usize| {
        let edges: Vec<u64> =
            parameter("edges").unwrap_or_default().split(',').map(|edge| edge.parse().expect("an edge")).collect();
        let ends = edges[1..].iter().map(|edge| *edge as f64).chain([f64::INFINITY]).collect::<Vec<f64>>();
        let of = column(&all(), at);
        let count = |(from, to): (&u64, &f64)| of.iter().filter(|v| (*from as f64..*to).contains(*v)).count() as f64;
        edges.iter().zip(&ends).map(count).collect::<Vec<f64>>()
    };
    let mean = |at: usize| column(&all(), at).iter().sum::<f64>() / all().len() as f64;
    Some(match world.request.aggregator.as_str() {
        "sum" => Plain::Opened(world.sum_of(&world.request.inputs)),
        "product" => Plain::Opened(columns(world).map(|c| c.iter().map(|v| u128::from(*v)).product()).collect()),
        "set_union" => Plain::Opened(bits(1)),
        "set_intersection" => Plain::Opened(bits(rows.len())),
        "threshold_union" => Plain::Opened(bits(least(1))),
        "set_cardinality" => Plain::Opened(vec![bits(least(1)).iter().sum()]),
        "distinct_count" => Plain::Values(vec![holders().len() as f64]),
        "key_cardinality" => {
            let least = least(1);
            Plain::Values(vec![holders().values().filter(|count| **count >= least).count() as f64])
        }
        "count" => Plain::Values(vec![all().len() as f64]),
        "mean" => Plain::Named((0..width).map(|at| (format!("mean(x{})", at + 1), mean(at))).collect()),
        "covariance" => {
            let ddof = parameter("ddof").map_or(1.0, |text| text.parse().expect("a number"));
            Plain::Named(vec![(
                "covariance(x1,x2)".to_owned(),
                covariance(&column(&all(), 0), &column(&all(), 1), ddof),
            )])
        }
        "correlation" => {
            let of = |a: usize, b: usize| covariance(&column(&all(), a), &column(&all(), b), 0.0);
            Plain::Named(vec![("correlation(x1,x2)".to_owned(), of(0, 1) / (of(0, 0) * of(1, 1)).sqrt())])
        }
        "weighted_mean" => {
            let weights = column(&all(), 1);
            let sum: f64 = column(&all(), 0).iter().zip(&weights).map(|(value, weight)| value * weight).sum();
            Plain::Named(vec![("weighted_mean(x1)".to_owned(), sum / weights.iter().sum::<f64>())])
        }
        "histogram" => Plain::Values((0..width).flat_map(buckets).collect()),
        "min" => each_column(|sorted| sorted[0] as f64),
        "max" => each_column(|sorted| sorted[sorted.len() - 1] as f64),
        "range" => each_column(|sorted| (sorted[sorted.len() - 1] - sorted[0]) as f64),
        "median" => each_column(|sorted| quantile(sorted, 50)),
        "quantile" => each_column(|sorted| quantile(sorted, 25)),
        "sort" => Plain::Values(sorted_column(world, 0).into_iter().map(|v| v as f64).collect()),
        "top_k" => {
            let mut sums = world.sum_of(&world.request.inputs);
            sums.sort_unstable_by(|a, b| b.cmp(a));
            Plain::Values(sums.into_iter().take(5).map(|sum| sum as f64).collect())
        }
        "top_keys" => Plain::Values(top_of(world, 5).into_iter().map(|(_, sum)| sum).collect()),
        "noisy_sum" => {
            let sums = world.sum_of(&world.request.inputs);
            Plain::Noisy("noise_std_deviation(sum)", sums.into_iter().map(|sum| sum as f64).collect())
        }
        "noisy_count" => Plain::Noisy("noise_std_deviation(count)", vec![all().len() as f64]),
        "noisy_histogram" => Plain::Noisy("noise_std_deviation(bucket)", (0..width).flat_map(buckets).collect()),
        _ => return None,
    })
}
