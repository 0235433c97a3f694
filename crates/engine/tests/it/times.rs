//! The planner's times against those that docs/benchmarks.md has: on two cores, all parties together.

use tacit_engine::SecurityModel::{Malicious, SemiHonest};
use tacit_engine::aggregate;

use crate::arithmetic_world::most;
use crate::world::World;

/// Predicted times are within this factor of measured ones, either way.
const FACTOR: f64 = 1.75;

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

/// Commit af6eb2d: "Sum of vectors, every party gives one, opened to all", medians; and 25 bounded vectors of each.
#[test]
fn times_of_sums_are_as_measured() {
    let declared = [
        (3, [0.88, 0.93, 1.84, 75.6]),
        (4, [1.20, 1.31, 2.49, 108.0]),
        (5, [1.81, 1.95, 3.73, 158.0]),
        (7, [3.26, 3.29, 7.26, 249.0]),
        (9, [4.23, 4.49, 10.3, 381.0]),
        (11, [6.78, 6.81, 15.4, 568.0]),
    ];
    let mut cases = Vec::new();
    for (n, measured) in declared {
        for (items, measured) in [1, 288, 10_000, 1_000_000].into_iter().zip(measured) {
            cases.push(session(&format!("sum of {items}"), n, measured, |world| world.request.items = items));
        }
    }
    let vectors_per_second = [(3, 5160.0), (4, 4212.0), (5, 3543.0), (7, 2932.0), (9, 2218.0), (11, 1753.0)];
    for (n, rate) in vectors_per_second {
        cases.push(session("25 bounded vectors", n, 25.0 * n as f64 / rate * 1000.0, |world| {
            *world = world.clone().proven(SemiHonest);
            (world.request.items, world.request.max_element) = (25 * 288, (1 << 16) - 1);
        }));
    }
    check(&cases);
}

/// Commit af6eb2d: "Statistics over records of all parties", medians for 3, 5 and 7 parties.
#[test]
fn times_of_statistics_are_as_measured() {
    let table: [(&str, usize, usize, [f64; 3]); 7] = [
        ("std_deviation", 3, 10_000, [2.3, 4.4, 7.0]),
        ("linear_regression", 3, 10_000, [2.8, 4.7, 8.2]),
        ("median", 1, 100, [11.3, 21.3, 62.2]),
        ("top_k", 0, 1000, [21.4, 49.5, 132.0]),
        ("entropy", 0, 1000, [2.3, 5.8, 9.2]),
        ("distinct_count", 1, 1000, [1.8, 4.0, 7.1]),
        ("logistic_regression", 3, 100, [104.0, 288.0, 697.0]),
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

/// Commit af6eb2d: "Multiplication of shared numbers" in batches of a million and one by one,
/// "Order of shared numbers": comparisons in batches of 100,000 (10,000), one vector sorted.
#[test]
fn times_of_operations_are_as_measured() {
    let million = 1_000_000;
    let table = [
        ("multiply", SemiHonest, 3, million, 27.0),
        ("multiply", SemiHonest, 5, million, 60.7),
        ("multiply", SemiHonest, 11, million, 209.0),
        ("multiply", SemiHonest, 3, 1, 0.0321),
        ("multiply", SemiHonest, 5, 1, 0.0513),
        ("multiply", SemiHonest, 11, 1, 0.239),
        ("multiply", Malicious, 3, million, 53.4),
        ("multiply", Malicious, 5, million, 112.0),
        ("multiply", Malicious, 7, million, 179.0),
        ("multiply", Malicious, 11, million, 326.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 3, 100_000, 24.6),
        ("less_than, is_negative, 64 bits", SemiHonest, 5, 100_000, 124.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 7, 100_000, 559.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 9, 10_000, 358.0),
        ("less_than, is_negative, 64 bits", SemiHonest, 11, 10_000, 3356.0),
        ("sort, 32 bits", SemiHonest, 3, 1000, 16.4),
        ("sort, 32 bits", SemiHonest, 3, 10_000, 98.2),
        ("sort, 32 bits", SemiHonest, 5, 10_000, 294.0),
        ("sort, 32 bits", SemiHonest, 7, 1000, 133.0),
    ];
    let case = |(name, model, n, numbers, measured): (&str, _, usize, usize, f64)| {
        let operation = aggregate::operations().iter().find(|operation| operation.name == name).expect("listed");
        let cost = operation.cost(model, n, most(n), numbers).expect("offered");
        Case { what: format!("{numbers} {name}, n = {n}"), measured, predicted: cost.micros as f64 / 1000.0 }
    };
    check(&table.map(case));
}
