//! A task of ordinary size for every aggregator: what docs/protocols.md gives costs for, and what they are compared with.

use tacit_engine::aggregate::{self, Aggregator, Filtered, Function, Shape};
use tacit_engine::simulator::SplitMix;
use tacit_engine::{OnMissing, PlanError, SecurityModel};

use crate::world::World;

/// The aggregators with every model that they are offered in.
pub(crate) fn offers() -> impl Iterator<Item = (&'static Aggregator, SecurityModel)> {
    aggregate::registry().iter().flat_map(|a| a.models.iter().map(move |model| (a, *model)))
}

/// The largest threshold that a model allows of `n` compute peers, for sums or for functions on shares; 1, which the
/// planner refuses, where there is none.
pub(crate) fn threshold(n: usize, model: SecurityModel, sum: bool) -> usize {
    let most = match (model, sum) {
        (SecurityModel::Guaranteed, true) => (n - 1) / 3,
        (SecurityModel::Guaranteed, false) => (n - 1) / 4,
        _ => (n - 1) / 2,
    };
    most.max(1)
}

/// Items of the reference task: vectors have a hundred, records two columns where they may.
fn items(aggregator: &Aggregator) -> usize {
    match aggregator.input {
        Shape::Vector => 100,
        _ if ["sort", "distinct_count", "key_cardinality"].contains(&aggregator.name) => 1,
        _ => match aggregator.function {
            Function::Filter(Filtered::Set(_)) => 1,
            _ => 2,
        },
    }
}

/// The task among `n` peers that all give, compute and receive, up to 10 records from each; the planner's refusal where it
/// is not offered.
pub(crate) fn task(aggregator: &'static Aggregator, model: SecurityModel, n: usize) -> Result<World, PlanError> {
    let t = threshold(n, model, aggregator.function == Function::Sum);
    let mut world = World::decentralised(n, t, items(aggregator), 11).proven(model);
    world.request.aggregator = aggregator.name.to_owned();
    world.request.max_element = match aggregator.name {
        "logistic_regression" => 1,
        _ => 100,
    };
    if model == SecurityModel::Guaranteed {
        world.request.on_missing = OnMissing::Proceed { min: 2 };
    }
    for parameter in aggregator.parameters {
        let value = match parameter.name {
            "max_records" => "10",
            "min_peers" => "2",
            "of" => "threshold",
            "min_weight" => "50",
            "peer_weights" => "0=2,1=3",
            "min_peer_weight" => "3",
            "positions" => "100",
            "edges" => "0,25,50,75",
            "level" => "0.25",
            "epsilon" => "1",
            _ => continue,
        };
        _ = world.request.parameters.insert(parameter.name.to_owned(), value.to_owned());
    }
    tacit_engine::Plan::build(world.request.clone())?;
    fill(&mut world, aggregator.input);
    Ok(world)
}

/// Rows that make a result: columns that differ, and labels that they do not foretell.
fn fill(world: &mut World, input: Shape) {
    let (max, columns) = (world.request.max_element, world.request.items);
    let mut random = SplitMix::new(world.seed);
    let length = if input == Shape::Vector { columns } else { columns * 10 };
    world.inputs = world.inputs.iter().map(|_| Some((0..length).map(|_| random.below(max + 1)).collect())).collect();
}
