//! Logistic regression on shares against Newton's method in plain numbers.

use std::collections::BTreeMap;

use tacit_engine::simulator::SplitMix;
use tacit_engine::{NoResult, OwnInputError, PlanError, SessionError};

use crate::evaluations::{self, statistics};
use crate::world::{World, error};

/// Rows of all peers, of records of some columns and a label.
fn world(n: usize, columns: usize, rows: Vec<Vec<u64>>, parameters: &[(&str, &str)]) -> World {
    let parameters = [parameters, &[("bounds", "declared")]].concat();
    let mut world = evaluations::world(n, "logistic_regression", columns, &parameters, 6).with_max(100);
    world.inputs = rows.into_iter().map(Some).collect();
    world
}

/// Records whose label is 1 with the chance that the coefficients say, given to `peers`.
fn records(peers: usize, count: usize, coefficients: &[f64], maxima: &[u64], seed: u64) -> Vec<Vec<u64>> {
    let mut random = SplitMix::new(seed);
    let mut rows = vec![Vec::new(); peers];
    for record in 0..count {
        let x: Vec<u64> = maxima.iter().map(|max| random.below(max + 1)).collect();
        let linear = x.iter().zip(&coefficients[1..]).fold(coefficients[0], |sum, (x, c)| sum + *x as f64 * c);
        let label = (random.below(1 << 40) as f64 / 2f64.powi(40)) < 1.0 / (1.0 + (-linear).exp());
        // The last peer has fewer.
        let peer = if record % 7 == 0 { 0 } else { record % peers };
        rows[peer].extend(x);
        rows[peer].push(u64::from(label));
    }
    rows
}

/// Coefficients and standard errors, by Newton's method and elimination in double precision.
fn reference(rows: &[Vec<u64>], columns: usize) -> (Vec<f64>, Vec<f64>) {
    let records: Vec<Vec<f64>> = rows
        .iter()
        .flat_map(|row| row.chunks_exact(columns))
        .map(|record| std::iter::once(1.0).chain(record.iter().map(|x| *x as f64)).collect())
        .collect();
    let mut coefficients = vec![0.0; columns];
    let mut inverse = Vec::new();
    for _ in 0..30 {
        let mut rows = vec![vec![0.0; 2 * columns + 1]; columns];
        for record in &records {
            let linear: f64 = record[..columns].iter().zip(&coefficients).map(|(x, c)| x * c).sum();
            let p = 1.0 / (1.0 + (-linear).exp());
            for (row, left) in rows.iter_mut().zip(record) {
                let entries = row.iter_mut().zip(&record[..columns]);
                entries.for_each(|(entry, right)| *entry += p * (1.0 - p) * left * right);
                row[2 * columns] += left * (record[columns] - p);
            }
        }
        (0..columns).for_each(|a| rows[a][columns + a] = 1.0);
        for pivot in 0..columns {
            let head = rows[pivot][pivot];
            rows[pivot].iter_mut().for_each(|entry| *entry /= head);
            let above = rows[pivot].clone();
            for (_, row) in rows.iter_mut().enumerate().filter(|(a, _)| *a != pivot) {
                let factor = row[pivot];
                row.iter_mut().zip(&above).for_each(|(entry, above)| *entry -= factor * above);
            }
        }
        (0..columns).for_each(|a| coefficients[a] += rows[a][2 * columns]);
        inverse = (0..columns).map(|a| rows[a][columns + a].sqrt()).collect();
    }
    (coefficients, inverse)
}

fn check(found: &BTreeMap<String, f64>, rows: &[Vec<u64>], names: &[&str]) {
    let (coefficients, errors) = reference(rows, names.len());
    for (name, (coefficient, deviation)) in names.iter().zip(coefficients.iter().zip(&errors)) {
        let (c, e) = (found[&format!("coefficient({name})")], found[&format!("standard_error({name})")]);
        assert!((c - coefficient).abs() <= 0.01 * deviation, "{name}: {c} is not {coefficient} (+- {deviation})");
        assert!((e / deviation - 1.0).abs() <= 0.01, "{name}: standard error {e} is not {deviation}");
    }
}

#[test]
fn logistic_regressions_equal_plaintext() {
    for (n, seed) in [(3, 1), (4, 2), (5, 3)] {
        let rows = records(n, 60 * n, &[-1.0, 0.04, -0.02], &[100, 60], seed);
        let world =
            world(n, 3, rows.clone(), &[("max_records", "150"), ("names", "age,dose,ill"), ("maxima", "100,60")]);
        let found = statistics(&world);
        check(&found, &rows, &["intercept", "age", "dose"]);
        assert_eq!(found.len(), 6);
    }
}

#[test]
fn logistic_regressions_among_seven_equal_plaintext() {
    let rows = records(7, 210, &[-1.0, 0.08], &[40], 4);
    let world = world(7, 2, rows.clone(), &[("max_records", "65"), ("names", "dose,ill"), ("maxima", "40")]);
    check(&statistics(&world), &rows, &["intercept", "dose"]);
}

#[test]
fn logistic_regressions_of_many_columns_and_of_one() {
    let rows = records(3, 400, &[0.3, 0.1, -0.1, 0.2, 0.05, -0.2, 0.0, 0.02], &[10, 10, 8, 20, 5, 9, 100], 4);
    let wide = world(3, 8, rows.clone(), &[("max_records", "200"), ("maxima", "10,10,8,20,5,9,100")]);
    check(&statistics(&wide), &rows, &["intercept", "x1", "x2", "x3", "x4", "x5", "x6", "x7"]);
    let rows = records(3, 100, &[-0.5, 1.2], &[1], 5);
    let narrow = world(3, 2, rows.clone(), &[("maxima", "1")]);
    check(&statistics(&narrow), &rows, &["intercept", "x1"]);
}

#[test]
fn rule8_regressions_without_an_answer_have_no_result() {
    let parameters = &[("max_records", "60")];
    let result = |columns: usize, record: &dyn Fn(u64) -> Vec<u64>, parameters: &[(&str, &str)]| {
        let rows = (0..3).map(|peer| (0..40).flat_map(|i| record(3 * i + peer)).collect()).collect();
        evaluations::result(&world(3, columns, rows, parameters))
    };
    let noisy = |i: u64| i.wrapping_mul(0x9e37_79b9) >> 7 & 1;
    // The label follows from x.
    assert_eq!(result(2, &|i| vec![i % 100, u64::from(i % 100 > 50)], parameters), Err(NoResult::NotConverged));
    // Two columns are the same; a column is the same in all records; all labels are.
    assert_eq!(result(3, &|i| vec![i % 90, i % 90, noisy(i)], parameters), Err(NoResult::NotConverged));
    assert_eq!(result(3, &|i| vec![i % 90, 100, noisy(i)], parameters), Err(NoResult::NotConverged));
    assert_eq!(result(2, &|i| vec![i % 90, 1], parameters), Err(NoResult::NotConverged));
    // One step is not enough.
    let few = &[("max_records", "60"), ("iterations", "1")];
    assert_eq!(result(2, &|i| vec![i % 90, u64::from(i % 90 > 30) & noisy(i)], few), Err(NoResult::NotConverged));
    // Nobody has a record.
    let empty = world(3, 2, vec![Vec::new(); 3], parameters);
    assert_eq!(evaluations::result(&empty), Err(NoResult::NotConverged));
}

#[test]
fn regressions_that_cannot_be_right_are_refused() {
    let rows = || vec![vec![1, 0], vec![2, 1], vec![3, 0]];
    let refusal = |change: &dyn Fn(&mut World)| {
        let mut world = world(3, 2, rows(), &[]);
        change(&mut world);
        tacit_engine::Plan::build(world.request).expect_err("refused")
    };
    let set = |key: &'static str, value: &'static str| {
        move |world: &mut World| _ = world.request.parameters.insert(key.to_owned(), value.to_owned())
    };
    let name = "logistic_regression";
    for (key, value) in [("maxima", "1,1"), ("maxima", "101"), ("maxima", "0"), ("iterations", "21")] {
        assert_eq!(refusal(&set(key, value)), PlanError::BadParameter { name, parameter: key.to_owned() }, "{value}");
    }
    assert_eq!(refusal(&set("max_records", "2731")), PlanError::TooManyItems { items: 8193, limit: 8192 });
    let columns = |columns| PlanError::BadColumns { name, columns, least: 2, most: 9 };
    assert_eq!(refusal(&|w| w.request.items = 10), columns(10));
    assert_eq!(refusal(&|w| w.request.items = 1), columns(1));
    // An honest peer does not send a label above 1, or a number above its column's largest.
    for (row, item) in [(vec![5, 2], 1), (vec![3, 1, 11, 0], 2)] {
        let mut world = world(3, 2, rows(), &[("maxima", "10")]);
        world.inputs[1] = Some(row);
        let ends = world.run(|_| {});
        assert_eq!(error(&ends[1]), Some(&SessionError::OwnInput(OwnInputError::TooLarge { item })));
    }
}
