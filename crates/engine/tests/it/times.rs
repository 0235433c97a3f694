//! The planner's times against those that docs/benchmarks.md has: on two cores, all parties together.

use tacit_engine::SecurityModel::{Malicious, SemiHonest};
use tacit_engine::aggregate;

use crate::arithmetic_world::most;
use crate::world::World;

/// Predicted times are within this factor of measured ones, either way.
const FACTOR: f64 = 2.25;

/// Measured and predicted, in milliseconds.
struct Case {
    what: String,
    measured: f64,
    predicted: f64,
}

/// All cases whose prediction is too far off; all are printed.
fn check(cases: &[Case]) {
    let off = |case: &Case| (case.predicted / case.measured).max(case.measured / case.predicted);
    for case in cases {
        eprintln!("{}: {:.2} ms, predicted {:.2}, {:.2}", case.what, case.measured, case.predicted, off(case));
    }
    let wrong: Vec<&str> = cases.iter().filter(|case| off(case) > FACTOR).map(|case| case.what.as_str()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn session(what: &str, n: usize, measured: f64, change: impl FnOnce(&mut World)) -> Case {
    let mut world = World::decentralised(n, most(n), 1, 1);
    change(&mut world);
    let predicted = world.plan().forecast().micros as f64 / 1000.0;
    Case { what: format!("{what}, n = {n}"), measured, predicted }
}

/// Commit 98d7f54: "Sum of vectors, every party gives one, opened to all", medians; and 25 bounded vectors of each.
#[test]
fn times_of_sums_are_as_measured() {
    let declared = [
        (3, [0.89, 0.91, 1.82, 78.4]),
        (4, [1.44, 1.44, 2.95, 107.0]),
        (5, [2.14, 2.27, 4.52, 160.0]),
        (7, [3.28, 3.59, 7.78, 271.0]),
        (9, [4.94, 5.27, 11.4, 396.0]),
        (11, [7.64, 7.38, 15.8, 581.0]),
    ];
    let mut cases = Vec::new();
    for (n, measured) in declared {
        for (items, measured) in [1, 288, 10_000, 1_000_000].into_iter().zip(measured) {
            cases.push(session(&format!("sum of {items}"), n, measured, |world| world.request.items = items));
        }
    }
    let vectors_per_second = [(3, 4275.0), (4, 4473.0), (5, 3577.0), (7, 2666.0), (9, 2034.0), (11, 1670.0)];
    for (n, rate) in vectors_per_second {
        cases.push(session("25 bounded vectors", n, 25.0 * n as f64 / rate * 1000.0, |world| {
            *world = world.clone().proven(SemiHonest);
            (world.request.items, world.request.max_element) = (25 * 288, (1 << 16) - 1);
        }));
    }
    check(&cases);
}

/// Commit 98d7f54: "Statistics over records of all parties", medians for 3, 5 and 7 parties.
#[test]
fn times_of_statistics_are_as_measured() {
    let table: [(&str, usize, usize, [f64; 3]); 7] = [
        ("std_deviation", 3, 10_000, [2.6, 5.4, 9.3]),
        ("linear_regression", 3, 10_000, [2.8, 5.7, 8.4]),
        ("median", 1, 100, [11.2, 22.4, 62.0]),
        ("top_k", 0, 1000, [18.7, 47.9, 134.0]),
        ("entropy", 0, 1000, [2.6, 5.3, 10.5]),
        ("distinct_count", 1, 1000, [1.6, 4.1, 8.0]),
        ("logistic_regression", 3, 100, [103.0, 283.0, 673.0]),
    ];
    let mut cases = Vec::new();
    for (aggregator, columns, size, measured) in table {
        for (n, measured) in [3, 5, 7].into_iter().zip(measured) {
            cases.push(session(aggregator, n, measured, |world| {
                *world = world.clone().proven(SemiHonest);
                let request = &mut world.request;
                request.aggregator = aggregator.to_owned();
                request.max_element = 1000;
                request.items = if columns == 0 { size } else { columns };
                if columns > 0 {
                    _ = request.parameters.insert("max_records".to_owned(), size.to_string());
                }
            }));
        }
    }
    check(&cases);
}

/// Commits 98d7f54 and b7d1360 (malicious): "Multiplication of shared numbers" in batches of a million and one by one,
/// "Order of shared numbers": comparisons in batches of 100,000 (10,000), one vector sorted.
#[test]
fn times_of_operations_are_as_measured() {
    let million = 1_000_000;
    let table = [
        ("multiply", SemiHonest, 3, million, 25.9),
        ("multiply", SemiHonest, 5, million, 114.0),
        ("multiply", SemiHonest, 11, million, 213.0),
        ("multiply", SemiHonest, 3, 1, 0.031),
        ("multiply", SemiHonest, 5, 1, 0.063),
        ("multiply", SemiHonest, 11, 1, 0.247),
        ("multiply", Malicious, 3, million, 55.6),
        ("multiply", Malicious, 5, million, 114.0),
        ("multiply", Malicious, 7, million, 185.0),
        ("multiply", Malicious, 11, million, 356.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 3, 100_000, 25.8),
        ("less_than, is_negative, 64 bits", SemiHonest, 5, 100_000, 124.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 7, 100_000, 546.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 9, 10_000, 524.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 11, 10_000, 5128.0),
        ("sort, 32 bits", SemiHonest, 3, 1000, 16.7),
        ("sort, 32 bits", SemiHonest, 3, 10_000, 93.6),
        ("sort, 32 bits", SemiHonest, 5, 10_000, 524.0),
        ("sort, 32 bits", SemiHonest, 7, 1000, 270.0),
    ];
    let case = |(name, model, n, numbers, measured): (&str, _, usize, usize, f64)| {
        let operation = aggregate::operations().iter().find(|operation| operation.name == name).expect("listed");
        let cost = operation.cost(model, n, most(n), numbers).expect("offered");
        Case { what: format!("{numbers} {name}, n = {n}"), measured, predicted: cost.micros as f64 / 1000.0 }
    };
    check(&table.map(case));
}
