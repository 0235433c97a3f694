//! Statistics equal a plain computation over all records, through whole sessions.

use proptest::prelude::*;
use tacit_engine::simulator::SplitMix;
use tacit_engine::{FieldChoice, NoResult, OwnInputError, Plan, PlanError, SessionError, Sharing, aggregate};

use crate::evaluations::{self, result, statistics};
use crate::plain_statistics::{self, Group, close, column, covariance, records};
use crate::world::{World, error, outcome};

/// Three without records.
const NOBODY: [Vec<u64>; 3] = [Vec::new(), Vec::new(), Vec::new()];

/// A world in which each member gives records.
pub(crate) fn world(
    aggregator: &str,
    columns: usize,
    parameters: &[(&str, &str)],
    rows: impl Into<Vec<Vec<u64>>>,
) -> World {
    let rows = rows.into();
    let seed = rows.iter().flatten().fold(77, |seed, v| seed ^ v);
    let mut world = evaluations::world(rows.len(), aggregator, columns, parameters, seed).with_max(1000);
    world.inputs = rows.into_iter().map(Some).collect();
    world
}

fn row(columns: usize) -> impl Strategy<Value = Vec<u64>> {
    let value = prop_oneof![Just(0u64), Just(1000), 0u64..=1000];
    prop::collection::vec(prop::collection::vec(value, columns), 0..6).prop_map(|records| records.concat())
}

/// Rows of 3, 4, 5 or 7 peers.
fn rows(columns: usize) -> impl Strategy<Value = Vec<Vec<u64>>> {
    evaluations::parties().prop_flat_map(move |n| prop::collection::vec(row(columns), n))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn counts_and_means(rows in rows(2)) {
        plain_statistics::counts_and_means(&Group::semi_honest(rows))?;
    }

    #[test]
    fn variances(rows in rows(2), ddof in 0u8..2) {
        plain_statistics::variances(&Group::semi_honest(rows), ddof)?;
    }

    /// Peers that count once each: the same as if each had its own mean as its only record.
    #[test]
    fn statistics_per_peer(rows in rows(2), median: bool) {
        let own_mean = |row: &Vec<u64>| -> Vec<u64> {
            let records = row.len() / 2;
            let columns = (0..2usize.min(row.len())).map(|at| row.chunks(2).map(|r| r[at]).sum::<u64>());
            columns.map(|sum| (sum as f64 / records as f64 + 0.5).floor() as u64).collect()
        };
        // Comparisons among many have tests of their own.
        let rows = if median { rows[..3].to_vec() } else { rows };
        let means: Vec<Vec<u64>> = rows.iter().map(own_mean).collect();
        let names: &[(&str, &[(&str, &str)])] = match median {
            true => &[("min", &[]), ("max", &[]), ("range", &[]), ("median", &[]), ("quantile", &[("level", "0.3")])],
            false => &[
                ("count", &[]), ("mean", &[]), ("variance", &[("ddof", "0")]), ("std_deviation", &[]), ("covariance", &[]),
                ("correlation", &[]), ("linear_regression", &[]), ("histogram", &[("edges", "10,500")]),
            ],
        };
        for (name, parameters) in names {
            let per_peer = [*parameters, &[("per_peer", "yes")][..]].concat();
            let found = result(&world(name, 2, &per_peer, rows.clone()));
            prop_assert_eq!(found, result(&world(name, 2, parameters, means.clone())), "{}", name);
        }
    }

    #[test]
    fn weighted_means(rows in rows(3)) {
        plain_statistics::weighted_means(&Group::semi_honest(rows))?;
    }

    #[test]
    fn histograms(rows in rows(2), first in 0u64..3) {
        plain_statistics::histograms(&Group::semi_honest(rows), first)?;
    }

    #[test]
    fn covariances_and_correlations(rows in rows(3)) {
        plain_statistics::covariances_and_correlations(&Group::semi_honest(rows))?;
    }

    #[test]
    fn regressions(rows in rows(3), intercept in any::<bool>()) {
        plain_statistics::regressions(&Group::semi_honest(rows), 3, intercept)?;
    }
}

/// Longley's data (1967), the classic test of regression programs; certified values of NIST StRD.
#[test]
fn regression_of_longley_to_all_digits() {
    // Deflator (in tenths), gross national product, unemployed, armed forces, population, year, employed.
    const LONGLEY: [[u64; 7]; 16] = [
        [830, 234289, 2356, 1590, 107608, 1947, 60323],
        [885, 259426, 2325, 1456, 108632, 1948, 61122],
        [882, 258054, 3682, 1616, 109773, 1949, 60171],
        [895, 284599, 3351, 1650, 110929, 1950, 61187],
        [962, 328975, 2099, 3099, 112075, 1951, 63221],
        [981, 346999, 1932, 3594, 113270, 1952, 63639],
        [990, 365385, 1870, 3547, 115094, 1953, 64989],
        [1000, 363112, 3578, 3350, 116219, 1954, 63761],
        [1012, 397469, 2904, 3048, 117388, 1955, 66019],
        [1046, 419180, 2822, 2857, 118734, 1956, 67857],
        [1084, 442769, 2936, 2798, 120445, 1957, 68169],
        [1108, 444546, 4681, 2637, 121950, 1958, 66513],
        [1126, 482704, 3813, 2552, 123366, 1959, 68655],
        [1142, 502601, 3931, 2514, 125368, 1960, 69564],
        [1157, 518173, 4806, 2572, 127852, 1961, 69331],
        [1169, 554894, 4007, 2827, 130081, 1962, 70551],
    ];
    let rows = [LONGLEY[..5].concat(), LONGLEY[5..6].concat(), LONGLEY[6..].concat()];
    let names = "deflator,gnp,unemployed,forces,population,year,employed";
    let mut world = world("linear_regression", 7, &[("names", names)], rows);
    world.request.max_element = 1_000_000;
    let found = statistics(&world);
    // The deflator is in tenths here and in points there, so its two numbers are a tenth of NIST's.
    let certified = [
        ("coefficient(intercept)", -3482258.63459582),
        ("coefficient(deflator)", 1.50618722713733),
        ("coefficient(gnp)", -0.358191792925910E-01),
        ("coefficient(unemployed)", -2.02022980381683),
        ("coefficient(forces)", -1.03322686717359),
        ("coefficient(population)", -0.511041056535807E-01),
        ("coefficient(year)", 1829.15146461355),
        ("standard_error(intercept)", 890420.383607373),
        ("standard_error(deflator)", 8.49149257747669),
        ("standard_error(gnp)", 0.334910077722432E-01),
        ("standard_error(unemployed)", 0.488399681651699),
        ("standard_error(forces)", 0.214274163161675),
        ("standard_error(population)", 0.226073200069370),
        ("standard_error(year)", 455.478499142212),
        ("r_squared", 0.995479004577296),
        ("residual_variance", 304.854073561965 * 304.854073561965),
        ("count", 16.0),
    ];
    for (name, value) in certified {
        close(found[name], value, 1e-13);
    }
    assert_eq!(found.len(), certified.len());
}

#[test]
fn rule8_statistics_never_wrap() {
    // Sums of squares: 3 peers, m records each, values up to max.
    let plan = |max: u64, records: &str| {
        let mut world = world("variance", 1, &[("max_records", records)], NOBODY);
        world.request.max_element = max;
        Plan::build(world.request)
    };
    assert_eq!(plan(1000, "10000").map(|p| p.field()), Ok(FieldChoice::F61));
    // 3·1·max² on both sides of 2^61-1, and of 2^127-1.
    let border = 876_706_528; // floor(sqrt((2^61-2)/3))
    assert_eq!(plan(border, "1").map(|p| p.field()), Ok(FieldChoice::F61));
    assert_eq!(plan(border + 1, "1").map(|p| p.field()), Ok(FieldChoice::F127));
    let border = 7_530_851_732_716_320_752; // floor(sqrt((2^127-2)/3))
    assert_eq!(plan(border, "1").map(|p| p.field()), Ok(FieldChoice::F127));
    assert_eq!(plan(border + 1, "1"), Err(PlanError::SumsCouldWrap));
    assert_eq!(plan(u64::MAX, "4294967296"), Err(PlanError::SumsCouldWrap));

    // At the border itself all sums are right.
    let mut world = world("variance", 1, &[("max_records", "1")], [vec![border], vec![border], vec![border]]);
    world.request.max_element = border;
    let ends = world.run(|_| {});
    let square = u128::from(border) * u128::from(border);
    for end in &ends {
        let values = outcome(end).and_then(|o| o.values.clone());
        assert_eq!(values, Some(vec![3, 3 * u128::from(border), 3 * square]));
    }
    let found = statistics(&world.clone().fresh());
    assert_eq!((found["variance(x1)"], found["mean(x1)"]), (0.0, border as f64));
    // A difference of one in the last of 63 bits is not lost.
    world.inputs[0] = Some(vec![border - 1]);
    assert_eq!(statistics(&world.fresh())["variance(x1)"], 1.0 / 3.0);
}

#[test]
fn rows_that_do_not_fit_are_not_sent() {
    let own = |rows: [Vec<u64>; 3]| {
        let world = world("mean", 2, &[("max_records", "2")], rows);
        error(&world.run(|_| {})[0]).cloned()
    };
    let broken = OwnInputError::Records { found: 3, columns: 2, most: 2 };
    assert_eq!(own([vec![1, 2, 3], vec![], vec![]]), Some(SessionError::OwnInput(broken)));
    let many = OwnInputError::Records { found: 6, columns: 2, most: 2 };
    assert_eq!(own([vec![1; 6], vec![], vec![]]), Some(SessionError::OwnInput(many)));
    let large = OwnInputError::TooLarge { item: 3 };
    assert_eq!(own([vec![1, 2, 3, 1001], vec![], vec![]]), Some(SessionError::OwnInput(large)));
}

#[test]
fn settings_that_cannot_be_right_are_refused() {
    let refusal = |aggregator: &str, columns: usize, parameters: &[(&str, &str)]| {
        Plan::build(world(aggregator, columns, parameters, NOBODY).request).expect_err("a refusal")
    };
    let bad = |name: &'static str, parameter: &str| PlanError::BadParameter { name, parameter: parameter.to_owned() };
    assert_eq!(refusal("mean", 2, &[("names", "only one")]), bad("mean", "names"));
    assert_eq!(refusal("mean", 2, &[("ddof", "1")]), bad("mean", "ddof"));
    assert_eq!(refusal("variance", 2, &[("ddof", "2")]), bad("variance", "ddof"));
    for name in ["weighted_mean", "sum", "sort", "distinct_count", "logistic_regression"] {
        assert_eq!(
            refusal(name, 2, &[("per_peer", "yes")]),
            bad(aggregate::find(name).expect("registered").name, "per_peer")
        );
    }
    assert_eq!(refusal("mean", 1, &[("per_peer", "1")]), bad("mean", "per_peer"));
    assert_eq!(refusal("mean", 1, &[("max_records", "0")]), bad("mean", "max_records"));
    let missing = PlanError::MissingParameter { name: "histogram", parameter: "edges" };
    assert_eq!(refusal("histogram", 1, &[]), missing);
    assert_eq!(refusal("histogram", 1, &[("edges", "5,5")]), bad("histogram", "edges"));
    let edges = (0..1000).map(|edge| edge.to_string()).collect::<Vec<_>>().join(",");
    let many = PlanError::TooManyBuckets { buckets: 1_049_000, limit: 1 << 20 };
    assert_eq!(refusal("histogram", 1049, &[("edges", &edges)]), many);
    let columns = PlanError::BadColumns { name: "linear_regression", columns: 1, least: 2, most: 16 };
    assert_eq!(refusal("linear_regression", 1, &[]), columns);
}

#[test]
fn statistics_with_additive_sharing_and_a_missing_peer() {
    let mut additive = world("mean", 1, &[], [vec![1, 2], vec![3], vec![]]);
    additive.request.sharing = Sharing::Additive;
    assert_eq!(statistics(&additive)["mean(x1)"], 2.0);
    let mut fewer = world("mean", 1, &[], [vec![1, 2], vec![3], vec![]]).proceed(2);
    fewer.inputs[0] = None;
    assert_eq!(statistics(&fewer)["mean(x1)"], 3.0);
}

#[test]
fn longer_vectors_and_many_records() {
    let mut random = SplitMix::new(9);
    let mut row = || (0..40 * 64).map(|_| random.below(1001)).collect::<Vec<u64>>();
    let rows = [row(), row(), row()];
    let all = records(&rows, 64);
    let found = statistics(&world("covariance", 64, &[], rows));
    let plain = covariance(&column(&all, 3), &column(&all, 63), 1.0);
    close(found["covariance(x4,x64)"], plain, 1e-9);
}

/// Sums that no records have are no result, however they came about.
#[test]
fn impossible_sums_are_refused() {
    let plan = world("variance", 1, &[], NOBODY).plan();
    assert_eq!(plan.statistics(&[3, 30, 100]), Some(Err(NoResult::Impossible)));
    assert_eq!(plan.statistics(&[3, 30]), Some(Err(NoResult::Impossible)));
    let plan = world("linear_regression", 2, &[], NOBODY).plan();
    assert_eq!(plan.statistics(&[5, 10, 10, 21, 20, 1]), Some(Err(NoResult::Impossible)));
    let plan = world("histogram", 2, &[("edges", "0,5")], NOBODY).plan();
    assert_eq!(plan.statistics(&[1, 1, 2, 1]), Some(Err(NoResult::Impossible)));
}
