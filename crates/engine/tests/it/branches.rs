//! Results over several branches, whole sessions of both levels: equal to the flat result, and refused where they
//! cannot be right.

use std::collections::BTreeMap;

use tacit_engine::aggregate::{self, Shape};
use tacit_engine::simulator::SplitMix;
use tacit_engine::{
    FieldChoice, LEVEL, Level, OnMissing, Outcome, Plan, PlanError, SecurityModel, SessionError, Sharing,
};

use crate::world::{World, error, outcome};

/// What is asked of all branches.
#[derive(Clone, Copy)]
struct Question<'a> {
    aggregator: &'a str,
    columns: usize,
    parameters: &'a [(&'a str, &'a str)],
}

impl Question<'_> {
    fn of(self, mut world: World, level: Level) -> World {
        world.request.aggregator = self.aggregator.to_owned();
        world.request.parameters = self.parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        world.request.parameters.extend(level.name().map(|name| (LEVEL.to_owned(), name.to_owned())));
        world
    }

    /// The rows of a branch of so many members, its last one without any.
    fn rows(self, members: usize, random: &mut SplitMix) -> Vec<Option<Vec<u64>>> {
        let records = match aggregate::find(self.aggregator).expect("registered").input {
            Shape::Vector => 1,
            _ => 1 + random.below(4) as usize,
        };
        let row = |random: &mut SplitMix| (0..records * self.columns).map(|_| random.below(1001)).collect();
        (0..members).map(|member| (member + 1 < members).then(|| row(random))).collect()
    }

    /// A branch's session: the summands of its compute peers. Whoever has no row is left out.
    fn branch(self, rows: &[Option<Vec<u64>>], seed: u64) -> Vec<Vec<u64>> {
        let mut world =
            self.of(World::decentralised(rows.len(), (rows.len() - 1) / 2, self.columns, seed), Level::Branch);
        world.inputs = rows.to_vec();
        let ends = world.proceed(2).run(|_| {});
        let outcomes: Vec<&Outcome> = ends.iter().map(|end| outcome(end).expect("frozen")).collect();
        // Nobody learns anything, and all hold shares of the same set.
        assert!(outcomes.iter().all(|o| o.values.is_none() && o.agreement == outcomes[0].agreement));
        assert!(outcomes.iter().all(|o| o.contributors.len() == rows.iter().flatten().count()));
        outcomes.iter().map(|o| o.carried.as_ref().expect("a summand").input().expose().to_vec()).collect()
    }

    /// The root's session over these summands.
    fn root(self, summands: &[Vec<u64>], compute: usize, seed: u64) -> World {
        let world = World::delegated(summands.len(), compute, (compute - 1) / 2, self.columns, seed);
        let mut world = self.of(world, Level::Root);
        world.inputs = (0..compute).map(|_| None).chain(summands.iter().cloned().map(Some)).collect();
        world
    }

    /// The same over all members in one session.
    fn flat(self, rows: Vec<Option<Vec<u64>>>, seed: u64) -> (Vec<u128>, World) {
        let mut world = self.of(World::decentralised(rows.len(), 1, self.columns, seed), Level::Flat);
        world.inputs = rows;
        let world = world.proceed(2);
        let ends = world.run(|_| {});
        (outcome(&ends[0]).and_then(|o| o.values.clone()).expect("a result"), world)
    }
}

#[test]
fn w2_engine_two_levels_equal_one() {
    let sums = Question { aggregator: "sum", columns: 3, parameters: &[("bounds", "declared")] };
    for (number, (question, branches, compute)) in [
        (sums, vec![3, 3, 3], 3),
        (Question { parameters: &[], ..sums }, vec![4, 5], 3),
        (Question { aggregator: "count", columns: 1, parameters: &[] }, vec![3, 3], 3),
        (Question { aggregator: "mean", columns: 2, parameters: &[] }, vec![3, 4, 3, 5], 5),
        (Question { aggregator: "variance", columns: 1, parameters: &[] }, vec![3, 3, 3], 4),
        (Question { aggregator: "histogram", columns: 1, parameters: &[("edges", "0,100,500")] }, vec![3, 5], 3),
        (Question { aggregator: "linear_regression", columns: 2, parameters: &[] }, vec![5, 4], 3),
    ]
    .into_iter()
    .enumerate()
    {
        let mut random = SplitMix::new(number as u64);
        let rows: Vec<_> = branches.iter().map(|members| question.rows(*members, &mut random)).collect();
        let summands: Vec<_> = rows.iter().zip(70..).flat_map(|(rows, seed)| question.branch(rows, seed)).collect();
        let root = question.root(&summands, compute, 90);
        let (wanted, flat) = question.flat(rows.concat(), 91);
        let ends = root.run(|_| {});
        for member in &root.request.recipients {
            let outcome = outcome(&ends[*member]).unwrap_or_else(|| panic!("{:?}", error(&ends[*member])));
            assert_eq!(outcome.values.as_ref(), Some(&wanted), "{}", question.aggregator);
            assert_eq!(outcome.counted, Some(rows.iter().flatten().flatten().count() as u64));
            assert_eq!(root.plan().statistics(&wanted), flat.plan().statistics(&wanted));
        }
        assert_eq!(root.plan().field(), FieldChoice::F127);
    }
}

/// Rule 8: a part of a branch, or shares of another session, never make a number.
#[test]
fn w2_engine_a_branch_that_is_not_whole_makes_no_result() {
    let question = Question { aggregator: "sum", columns: 2, parameters: &[] };
    let mut random = SplitMix::new(5);
    let rows: Vec<_> = (0..2).map(|_| question.rows(3, &mut random)).collect();
    let whole: Vec<_> = rows.iter().zip(1..).flat_map(|(rows, seed)| question.branch(rows, seed)).collect();
    let elsewhere = question.branch(&rows[0], 77);
    let refused = |summands: &[Vec<u64>]| {
        let root = question.root(summands, 3, 3);
        let ends = root.run(|_| {});
        root.request
            .recipients
            .iter()
            .all(|member| matches!(error(&ends[*member]), Some(SessionError::OutOfRange { .. })))
    };
    assert!(!refused(&whole));
    assert!(refused(&whole[1..]), "a compute peer of a branch is missing");
    let mut mixed = whole.clone();
    mixed[0].clone_from(&elsewhere[0]);
    assert!(refused(&mixed), "a summand is from another session of the same branch");
    // One that says that it has none ends the session.
    let mut root = question.root(&whole, 3, 4);
    root.inputs[3] = None;
    let ends = root.run(|_| {});
    assert!(matches!(error(&ends[0]), Some(SessionError::MissingInput { members }) if members == &[3]));
}

#[test]
fn w2_engine_what_does_not_compose_is_refused() {
    let levels = [Level::Branch, Level::Root];
    let world =
        |level| Question { aggregator: "sum", columns: 1, parameters: &[] }.of(World::decentralised(4, 1, 1, 1), level);
    let mut composing = Vec::new();
    for aggregator in aggregate::registry() {
        for level in levels {
            let mut request = world(level).request;
            request.aggregator = aggregator.name.to_owned();
            request.aggregator_version = aggregator.version;
            request.items = aggregator.records.map_or(1, |codec| codec.columns.0);
            let edges = aggregator.parameters.iter().any(|p| p.name == "edges");
            request.parameters.extend(edges.then(|| ("edges".to_owned(), "0,10".to_owned())));
            match Plan::build(request) {
                Ok(_) if level == Level::Root => composing.push(aggregator.name),
                Ok(_) => assert!(aggregator.composes()),
                Err(error) => assert_eq!(error, PlanError::DoesNotCompose { name: aggregator.name }),
            }
        }
    }
    let sums = ["sum", "count", "mean", "variance", "std_deviation", "weighted_mean", "histogram", "covariance"];
    assert_eq!(composing, [&sums[..], &["correlation", "linear_regression"]].concat());
    let refusal = PlanError::DoesNotCompose { name: "median" }.to_string();
    assert!(composing.iter().all(|name| refusal.contains(name)), "{refusal}");

    for level in levels {
        let mut malicious = world(level).request;
        malicious.model = SecurityModel::Malicious;
        assert_eq!(Plan::build(malicious), Err(PlanError::BranchesModel));
        let mut additive = world(level).request;
        additive.sharing = Sharing::Additive;
        assert_eq!(Plan::build(additive), Err(PlanError::BranchesModel));
        let mut wide = world(level).request;
        wide.aggregator = "variance".to_owned();
        wide.max_element = u64::MAX;
        assert_eq!(Plan::build(wide), Err(PlanError::SumsCouldWrap));
    }
    let mut fewer = world(Level::Branch).request;
    (fewer.compute, fewer.recipients) = (vec![0, 1, 2], vec![0, 1, 2]);
    assert_eq!(Plan::build(fewer), Err(PlanError::BranchIncomplete { left: 3, n: 4 }));
    let mut told = world(Level::Branch).request;
    told.recipients = vec![0];
    assert_eq!(Plan::build(told), Err(PlanError::BadRoster { list: "recipients" }));
    let mut part = world(Level::Root).request;
    part.on_missing = OnMissing::Proceed { min: 3 };
    assert_eq!(Plan::build(part), Err(PlanError::RootGoesOn));
    // The levels are other plans than the flat one, and nobody takes one for the other.
    let digests: BTreeMap<_, _> =
        [Level::Flat, Level::Branch, Level::Root].map(|level| (world(level).plan().digest().0, ())).into();
    assert_eq!(digests.len(), 3);
}
