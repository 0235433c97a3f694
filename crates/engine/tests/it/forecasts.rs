//! What the planner says a session will take is what it takes, and the result is right, for every aggregator in every model and
//! every number of compute peers of docs/protocols.md.

use tacit_engine::SecurityModel;
use tacit_engine::aggregate::{Function, Noisy, PEERS};

use crate::plain_results;
use crate::reference::{offers, task};
use crate::world::{error, outcome};

/// Logistic regression among eleven takes a quarter of a minute. Eight and nine compute as any even and odd number above do.
const LOGISTIC_UP_TO: usize = 9;

/// How far bytes may be off, as a part of what is foreseen. Headers of messages are not foreseen.
fn most_off(model: SecurityModel) -> f64 {
    match model {
        // Everybody passes on what everybody says, unless it heard it before.
        SecurityModel::Guaranteed => 0.2,
        SecurityModel::SemiHonest | SecurityModel::Malicious => 0.1,
    }
}

/// Runs the reference tasks and compares.
fn forecasts_hold(n: usize, model: SecurityModel) {
    let (mut compared, mut right) = (0, 0);
    let mut wrong = Vec::new();
    for (aggregator, _) in offers().filter(|(_, offered)| *offered == model) {
        let Ok(world) = task(aggregator, model, n) else { continue };
        if aggregator.function == Function::Logistic && n > LOGISTIC_UP_TO {
            continue;
        }
        let mut world = world;
        // Verified bits take their time. Those of so many sums are still more than travel at once.
        if model == SecurityModel::Malicious && aggregator.function == Function::Noise(Noisy::Sum) && n > 5 {
            world.request.items = 20;
            world.draw_inputs();
        }
        let forecast = world.plan().forecast();
        let measured = world.measure();
        let mut results = measured.ends.iter().map(|end| {
            let outcome = outcome(end).unwrap_or_else(|| panic!("{}: {:?}", aggregator.name, error(end)));
            outcome.values.as_ref().expect("a recipient")
        });
        let first = results.next().expect("recipients");
        assert!(results.all(|other| other == first), "{}: all have the same", aggregator.name);
        right += usize::from(plain_results::is_right(&world, first));
        let (rounds, foreseen_rounds) = (measured.rounds, forecast.rounds);
        let found = measured.bytes as f64 / n as f64;
        let foreseen = (forecast.input_bytes + forecast.compute_bytes) as f64;
        let off = (found - foreseen).abs() / foreseen;
        let what = format!(
            "{} in {} among {n}: {rounds} rounds of {foreseen_rounds}, {:.3} of the bytes",
            aggregator.name,
            model.name(),
            found / foreseen
        );
        eprintln!("{what}");
        let rounds_hold = match model {
            // Where products are not verified, parties with nothing to wait for go on.
            SecurityModel::SemiHonest => rounds <= foreseen_rounds && 5 * rounds >= 4 * foreseen_rounds,
            _ => rounds == foreseen_rounds,
        };
        if !rounds_hold || off > most_off(model) {
            wrong.push(what);
        }
        compared += 1;
    }
    assert!(compared > 0 && wrong.is_empty(), "{wrong:#?}");
    // What has no plain computation here has one in a test of its own.
    assert!(2 * right > compared, "the results of {right} of {compared} are known");
}

#[test]
fn forecasts_of_all_aggregators() {
    (3..=8).for_each(|n| forecasts_hold(n, SecurityModel::SemiHonest));
}

#[test]
fn forecasts_of_all_aggregators_among_many() {
    (9..=*PEERS.end()).for_each(|n| forecasts_hold(n, SecurityModel::SemiHonest));
}

#[test]
fn forecasts_of_all_aggregators_malicious() {
    PEERS.for_each(|n| forecasts_hold(n, SecurityModel::Malicious));
}

#[test]
fn forecasts_of_all_aggregators_guaranteed() {
    PEERS.skip(1).for_each(|n| forecasts_hold(n, SecurityModel::Guaranteed));
}
