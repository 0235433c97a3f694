//! What statistics over records must be, by plain computations that know nothing of shares: for whole sessions of any group.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tacit_engine::{NoResult, SecurityModel};

use crate::evaluations::{result, statistics};
use crate::world::World;

/// A model, and the records that each of the group gives.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) model: SecurityModel,
    /// The most records that a peer may give, unless it is what is usual.
    pub(crate) most: Option<usize>,
    pub(crate) rows: Vec<Vec<u64>>,
}

impl Group {
    pub(crate) fn semi_honest(rows: Vec<Vec<u64>>) -> Self {
        Self { model: SecurityModel::SemiHonest, most: None, rows }
    }

    fn world(&self, aggregator: &str, columns: usize, parameters: &[(&str, &str)]) -> World {
        let mut world = crate::statistics::world(aggregator, columns, parameters, self.rows.clone());
        if let Some(most) = self.most {
            world.request.parameters.insert("max_records".to_owned(), most.to_string());
        }
        world.in_model(self.model)
    }
}

/// Why so few records give no result that takes so many.
fn too_few(records: usize, needed: usize) -> Option<NoResult> {
    match records {
        0 => Some(NoResult::NoRecords),
        _ if records < needed => Some(NoResult::TooFew { records: records as u128, needed: needed as u128 }),
        _ => None,
    }
}

pub(crate) fn close(found: f64, wanted: f64, relative: f64) {
    let scale = found.abs().max(wanted.abs()).max(1e-6);
    assert!((found - wanted).abs() <= relative * scale, "{found} is not {wanted}");
}

pub(crate) fn records(rows: &[Vec<u64>], columns: usize) -> Vec<Vec<f64>> {
    rows.iter().flat_map(|row| row.chunks(columns)).map(|r| r.iter().map(|v| *v as f64).collect()).collect()
}

pub(crate) fn column(records: &[Vec<f64>], column: usize) -> Vec<f64> {
    records.iter().map(|record| record[column]).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Two passes, divided by n - ddof.
pub(crate) fn covariance(a: &[f64], b: &[f64], ddof: f64) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / (a.len() as f64 - ddof)
}

pub(crate) fn counts_and_means(group: &Group) -> TestCaseResult {
    let all = records(&group.rows, 2);
    let count = statistics(&group.world("count", 2, &[]));
    prop_assert_eq!(count["count"], all.len() as f64);
    let mean_world = group.world("mean", 2, &[("names", "age,stay")]);
    if all.is_empty() {
        prop_assert_eq!(result(&mean_world), Err(NoResult::NoRecords));
    } else {
        let found = statistics(&mean_world);
        // Sums below 2^53 are exact in doubles, so that even the last bit is the same.
        prop_assert_eq!(found["count"], all.len() as f64);
        prop_assert_eq!(found["mean(age)"], mean(&column(&all, 0)));
        prop_assert_eq!(found["mean(stay)"], mean(&column(&all, 1)));
    }
    Ok(())
}

pub(crate) fn variances(group: &Group, ddof: u8) -> TestCaseResult {
    let all = records(&group.rows, 2);
    let text = ddof.to_string();
    let world = |name| group.world(name, 2, &[("ddof", &text)]);
    if let Some(why) = too_few(all.len(), 1 + usize::from(ddof)) {
        prop_assert_eq!(result(&world("variance")), Err(why.clone()));
        prop_assert_eq!(result(&world("std_deviation")), Err(why));
        return Ok(());
    }
    let (variance, deviation) = (statistics(&world("variance")), statistics(&world("std_deviation")));
    for at in 0..2 {
        let values = column(&all, at);
        let plain = covariance(&values, &values, f64::from(ddof));
        close(variance[&format!("variance(x{})", at + 1)], plain, 1e-12);
        close(deviation[&format!("std_deviation(x{})", at + 1)], plain.sqrt(), 1e-12);
        prop_assert_eq!(deviation[&format!("mean(x{})", at + 1)], mean(&values));
    }
    Ok(())
}

pub(crate) fn weighted_means(group: &Group) -> TestCaseResult {
    let all = records(&group.rows, 3);
    let weights = column(&all, 2);
    let world = group.world("weighted_mean", 3, &[]);
    let total: f64 = weights.iter().sum();
    if total == 0.0 {
        prop_assert_eq!(result(&world), Err(NoResult::NoWeight));
        return Ok(());
    }
    let found = statistics(&world);
    prop_assert_eq!(found["weight"], total);
    for at in 0..2 {
        let sum: f64 = column(&all, at).iter().zip(&weights).map(|(value, weight)| value * weight).sum();
        prop_assert_eq!(found[&format!("weighted_mean(x{})", at + 1)], sum / total);
    }
    prop_assert_eq!(found.len(), 3, "the number of records is not opened");
    Ok(())
}

pub(crate) fn histograms(group: &Group, first: u64) -> TestCaseResult {
    let all = records(&group.rows, 2);
    let edges = [first, 500, 1000];
    let text = edges.map(|edge| edge.to_string()).join(",");
    let found = statistics(&group.world("histogram", 2, &[("edges", &text)]));
    let bounds: Vec<f64> =
        [0].iter().filter(|_| first > 0).chain(&edges).map(|edge| *edge as f64).chain([f64::INFINITY]).collect();
    let mut buckets = 0;
    for at in 0..2 {
        for pair in bounds.windows(2) {
            let count = column(&all, at).iter().filter(|v| (pair[0]..pair[1]).contains(*v)).count();
            prop_assert_eq!(found[&format!("bucket(x{},[{},{}))", at + 1, pair[0], pair[1])], count as f64);
            buckets += 1;
        }
    }
    prop_assert_eq!(found.len(), buckets);
    Ok(())
}

pub(crate) fn covariances_and_correlations(group: &Group) -> TestCaseResult {
    let all = records(&group.rows, 3);
    let world = group.world("covariance", 3, &[]);
    if let Some(why) = too_few(all.len(), 2) {
        prop_assert_eq!(result(&world), Err(why));
    } else {
        covariances(&statistics(&world), &all)?;
    }
    let world = group.world("correlation", 3, &[]);
    if all.is_empty() {
        prop_assert_eq!(result(&world), Err(NoResult::NoRecords));
        return Ok(());
    }
    let columns: Vec<Vec<f64>> = (0..3).map(|at| column(&all, at)).collect();
    let constant = columns.iter().position(|values| values.iter().all(|v| *v == values[0]));
    if let Some(at) = constant {
        prop_assert_eq!(result(&world), Err(NoResult::Constant { name: format!("x{}", at + 1) }));
        return Ok(());
    }
    let found = statistics(&world);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let of = |a: usize, b: usize| covariance(&columns[a], &columns[b], 0.0);
        let plain = of(a, b) / (of(a, a) * of(b, b)).sqrt();
        let r = found[&format!("correlation(x{},x{})", a + 1, b + 1)];
        prop_assert!((r - plain).abs() < 1e-9 && r.abs() <= 1.0);
    }
    Ok(())
}

fn covariances(found: &BTreeMap<String, f64>, all: &[Vec<f64>]) -> TestCaseResult {
    let columns: Vec<Vec<f64>> = (0..3).map(|at| column(all, at)).collect();
    for a in 0..3 {
        for b in a..3 {
            let name = format!("covariance(x{},x{})", a + 1, b + 1);
            // Cancellation is the plain computation's, not ours: compare on the scale of the values.
            prop_assert!((found[&name] - covariance(&columns[a], &columns[b], 1.0)).abs() < 1e-6);
        }
    }
    Ok(())
}

/// Of the last of two or three columns.
pub(crate) fn regressions(group: &Group, columns: usize, intercept: bool) -> TestCaseResult {
    let all = records(&group.rows, columns);
    let text = if intercept { "yes" } else { "no" };
    let (last, predictors) = (columns - 1, &["a", "b"][..columns - 1]);
    let world = group.world(
        "linear_regression",
        columns,
        &[("names", &format!("{},y", predictors.join(","))), ("intercept", text)],
    );
    let names: Vec<&str> = ["intercept"].iter().filter(|_| intercept).chain(predictors).copied().collect();
    let regressors = |record: &[f64]| -> Vec<f64> {
        let constant = [1.0];
        constant.iter().filter(|_| intercept).chain(&record[..last]).copied().collect()
    };
    let found = match result(&world) {
        Ok(found) => found.into_iter().map(|s| (s.name, s.value)).collect::<BTreeMap<_, _>>(),
        Err(NoResult::NoRecords) => {
            prop_assert!(all.is_empty());
            return Ok(());
        }
        Err(NoResult::TooFew { .. }) => {
            prop_assert!(!all.is_empty() && all.len() <= names.len());
            return Ok(());
        }
        Err(why) => {
            prop_assert_eq!(why, NoResult::Singular);
            // All minors of the design are zero: its rank is not full.
            let design: Vec<Vec<i128>> =
                all.iter().map(|r| regressors(r).iter().map(|v| *v as i128).collect()).collect();
            prop_assert_eq!(gram_determinant(&design), 0);
            return Ok(());
        }
    };
    let coefficients: Vec<f64> = names.iter().map(|name| found[&format!("coefficient({name})")]).collect();
    // Least squares: residuals are orthogonal to every regressor.
    let y = column(&all, last);
    let residuals: Vec<f64> = all
        .iter()
        .zip(&y)
        .map(|(record, y)| y - regressors(record).iter().zip(&coefficients).map(|(x, c)| x * c).sum::<f64>())
        .collect();
    let size = coefficients.iter().fold(1.0, |m: f64, c| m.max(c.abs()));
    for at in 0..names.len() {
        let dot: f64 = all.iter().zip(&residuals).map(|(record, r)| regressors(record)[at] * r).sum();
        prop_assert!(dot.abs() < 1e-6 * size, "{}", dot);
    }
    let rss: f64 = residuals.iter().map(|r| r * r).sum();
    let freedom = (all.len() - names.len()) as f64;
    let scale = y.iter().map(|y| y * y).sum::<f64>().max(1.0) * size;
    prop_assert!((found["residual_variance"] * freedom - rss).abs() < 1e-9 * scale);
    let center = if intercept { mean(&y) } else { 0.0 };
    let total: f64 = y.iter().map(|y| (y - center) * (y - center)).sum();
    match found.get("r_squared") {
        Some(r) => prop_assert!((r - (1.0 - rss / total)).abs() < 1e-9 * scale / total && (0.0..=1.0).contains(r)),
        None => prop_assert!(total < 1e-9),
    }
    for name in names {
        let error = found[&format!("standard_error({name})")];
        prop_assert!(error >= 0.0);
    }
    Ok(())
}

/// Of X^T X, in whole numbers, by expansion.
fn gram_determinant(design: &[Vec<i128>]) -> i128 {
    let size = design[0].len();
    let gram = |a: usize, b: usize| design.iter().map(|row| row[a] * row[b]).sum::<i128>();
    let minor = |a: usize, b: usize, c: usize, d: usize| gram(a, c) * gram(b, d) - gram(a, d) * gram(b, c);
    match size {
        1 => gram(0, 0),
        2 => minor(0, 1, 0, 1),
        _ => gram(0, 0) * minor(1, 2, 1, 2) - gram(0, 1) * minor(1, 2, 0, 2) + gram(0, 2) * minor(1, 2, 0, 1),
    }
}
