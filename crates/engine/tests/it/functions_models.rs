//! Functions on shares against plain computations in the models that do not trust the compute peers: nobody has anything,
//! one has, everybody has the most, and random numbers.

use tacit_engine::{Plan, SecurityModel};

use crate::evaluations::{columns, counts, opened, world};
use crate::orders::at_borders;
use crate::world::World;

const ITEMS: usize = 3;
/// The largest number, also the largest key of `distinct_count`.
const LARGEST: u64 = 5;

type Function = (&'static str, &'static [(&'static str, &'static str)], fn(&World) -> Vec<u128>);

const FUNCTIONS: [Function; 9] = [
    ("product", &[], |world| columns(world).map(|c| c.iter().map(|v| u128::from(*v)).product()).collect()),
    ("entropy", &[("q", "3")], |world| {
        let sums: Vec<u128> = columns(world).map(|c| c.iter().map(|v| u128::from(*v)).sum()).collect();
        vec![sums.iter().sum(), sums.iter().map(|sum| sum.pow(3)).sum()]
    }),
    ("set_union", &[], |world| at_least(world, 1)),
    ("set_intersection", &[], |world| at_least(world, world.inputs.len())),
    ("threshold_union", &[("min_peers", "2"), ("counts", "yes")], |world| {
        counts(world).into_iter().map(|count| if count < 2 { 0 } else { count as u128 }).collect()
    }),
    ("set_cardinality", &[], |world| vec![at_least(world, 1).iter().sum()]),
    ("set_cardinality", &[("of", "intersection")], |world| vec![at_least(world, world.inputs.len()).iter().sum()]),
    ("set_cardinality", &[("of", "threshold"), ("min_peers", "3")], |world| vec![at_least(world, 3).iter().sum()]),
    ("event_correlation", &[("min_peers", "2"), ("min_weight", "10")], |world| {
        let reported: Vec<(u128, u128)> = columns(world)
            .zip(counts(world))
            .map(|(column, count)| (count as u128, column.iter().map(|v| u128::from(*v)).sum::<u128>()))
            .map(|found| if found.0 >= 2 && found.1 >= 10 { found } else { (0, 0) })
            .collect();
        reported.iter().map(|found| found.0).chain(reported.iter().map(|found| found.1)).collect()
    }),
];

/// Which items so many have.
fn at_least(world: &World, least: usize) -> Vec<u128> {
    counts(world).into_iter().map(|count| u128::from(count >= least)).collect()
}

/// All functions that the model offers, among `n`.
fn are_right(model: SecurityModel, n: usize) {
    let nothing = vec![vec![0; ITEMS]; n];
    let (mut one, mut all_but_one) = (nothing.clone(), vec![vec![LARGEST; ITEMS]; n]);
    one[n - 1].fill(LARGEST);
    all_but_one[0].fill(0);
    let mut two = nothing.clone();
    two[0].fill(LARGEST);
    two[n - 1] = (0..ITEMS as u64).map(|item| LARGEST - item).collect();
    let rows = [nothing, one, two, all_but_one, vec![vec![LARGEST; ITEMS]; n], vec![vec![1; ITEMS]; n]];
    let mut offered = 0;
    for (name, parameters, plain) in FUNCTIONS {
        let base = world(n, name, ITEMS, parameters, n as u64).with_max(LARGEST).in_model(model);
        if name == "event_correlation" && model == SecurityModel::Guaranteed {
            assert!(Plan::build(base.request).is_err(), "compares");
            continue;
        }
        for world in at_borders(&base, &rows) {
            assert_eq!(opened(&world), plain(&world), "{name} {parameters:?}, n = {n}: {:?}", world.inputs);
        }
        offered += 1;
    }
    assert!(offered >= FUNCTIONS.len() - 1);
}

/// How many keys there are, in lists of different lengths.
fn distinct_is_right(model: SecurityModel, n: usize) {
    let all: Vec<u64> = (0..=LARGEST).collect();
    let nobody = vec![Vec::new(); n];
    let mut one = nobody.clone();
    one[n - 1] = vec![LARGEST];
    let each = (0..n as u64).map(|peer| vec![peer % (LARGEST + 1)]).collect();
    let lists = [nobody, one, each, vec![vec![0; all.len()]; n], vec![all; n]];
    let base = world(n, "distinct_count", 1, &[("max_records", "6")], n as u64).with_max(LARGEST).in_model(model);
    for world in at_borders(&base, &lists) {
        let keys: std::collections::BTreeSet<&u64> = world.inputs.iter().flatten().flatten().collect();
        assert_eq!(opened(&world), [keys.len() as u128], "n = {n}: {:?}", world.inputs);
    }
}

#[test]
fn p30_p31_p32_malicious_functions_equal_plain_ones() {
    for n in [3, 4, 5, 7] {
        are_right(SecurityModel::Malicious, n);
        distinct_is_right(SecurityModel::Malicious, n);
    }
}

#[test]
fn p30_p31_p32_guaranteed_functions_equal_plain_ones() {
    for n in [5, 6, 7, 9] {
        are_right(SecurityModel::Guaranteed, n);
        distinct_is_right(SecurityModel::Guaranteed, n);
    }
}
