//! What the planner says a session will take is what it takes, for every aggregator in every model.

use tacit_engine::SecurityModel;
use tacit_engine::aggregate::Function;

use crate::reference::{offers, task};
use crate::world::{error, outcome};

/// Runs the reference tasks and compares. Long chains of comparisons only among few.
fn forecasts_hold(n: usize, model: SecurityModel) {
    let mut compared = 0;
    for (aggregator, _) in offers().filter(|(_, offered)| *offered == model) {
        let many_rounds = matches!(aggregator.function, Function::Order(_) | Function::TopK | Function::Logistic);
        let Ok(world) = task(aggregator, model, n) else { continue };
        if many_rounds && n > 5 {
            continue;
        }
        let forecast = world.plan().forecast();
        let measured = world.measure();
        for end in &measured.ends {
            assert!(outcome(end).is_some(), "{}: {:?}", aggregator.name, error(end));
        }
        let what = format!("{} in {} among {n}", aggregator.name, model.name());
        // Rounds of different parties may overlap, so that a chain of operations takes fewer than they do one by one.
        let (rounds, foreseen) = (measured.rounds, forecast.rounds);
        assert!(rounds <= foreseen + 2 && 3 * rounds >= 2 * foreseen, "{what}: {rounds} rounds, {foreseen} foreseen");
        let found = measured.bytes as f64 / n as f64;
        let foreseen = (forecast.input_bytes + forecast.compute_bytes) as f64;
        let off = (found - foreseen).abs() / foreseen;
        eprintln!("{what}: {rounds} of {}, {:.3}", forecast.rounds, found / foreseen);
        let most = match (aggregator.function, model) {
            (Function::Logistic, _) => 0.3,
            // Everybody passes on what everybody says, unless it heard it before.
            (_, SecurityModel::Guaranteed) => 0.25,
            _ => 0.15,
        };
        assert!(off < most, "{what}: {found} bytes sent by each, {foreseen} foreseen");
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn forecasts_of_all_aggregators() {
    [3, 4, 5, 7, 10].into_iter().for_each(|n| forecasts_hold(n, SecurityModel::SemiHonest));
}

#[test]
fn forecasts_of_all_aggregators_malicious() {
    [3, 4, 5, 8].into_iter().for_each(|n| forecasts_hold(n, SecurityModel::Malicious));
}

#[test]
fn forecasts_of_all_aggregators_guaranteed() {
    [4, 5, 7, 9].into_iter().for_each(|n| forecasts_hold(n, SecurityModel::Guaranteed));
}
