//! Statistics over records against plain computations in the models that do not trust the compute peers: nobody has records,
//! one has one, everything is as large as it may be, and random ones.

use tacit_engine::SecurityModel;
use tacit_engine::simulator::SplitMix;

use crate::plain_statistics::{
    Group, counts_and_means, covariances_and_correlations, histograms, regressions, variances, weighted_means,
};

/// The most records that a peer may give, and the largest number.
const MOST: usize = 4;
const LARGEST: u64 = 1000;

/// What the peers give, in rows of so many columns.
fn inputs(n: usize, columns: usize) -> Vec<Vec<Vec<u64>>> {
    let mut random = SplitMix::new((n * columns) as u64);
    let largest = vec![LARGEST; columns * MOST];
    let nobody = vec![Vec::new(); n];
    let (mut one, mut one_large, mut all_but_one) = (nobody.clone(), nobody.clone(), vec![largest.clone(); n]);
    one[n - 1] = (1..=columns as u64).collect();
    one_large[0] = largest[..columns].to_vec();
    all_but_one[1].clear();
    let mut row = |records: u64| {
        let value = |_| match random.below(4) {
            0 => 0,
            1 => LARGEST,
            _ => random.below(LARGEST + 1),
        };
        (0..records * columns as u64).map(value).collect::<Vec<u64>>()
    };
    let full = (0..n).map(|_| row(MOST as u64)).collect();
    let some = (0..n).map(|peer| row(peer as u64 % (MOST as u64 + 1))).collect();
    vec![nobody, one, one_large, vec![largest; n], all_but_one, vec![vec![0; columns * MOST]; n], full, some]
}

/// All statistics of all these inputs among `n`.
fn are_right(model: SecurityModel, n: usize) {
    let groups = |columns: usize| {
        inputs(n, columns).into_iter().map(move |rows| Group { model, most: Some(MOST), rows }).collect::<Vec<_>>()
    };
    for group in groups(2) {
        let found = counts_and_means(&group)
            .and_then(|()| variances(&group, 0))
            .and_then(|()| variances(&group, 1))
            .and_then(|()| histograms(&group, 0))
            .and_then(|()| histograms(&group, 2))
            .and_then(|()| regressions(&group, 2, true))
            .and_then(|()| regressions(&group, 2, false));
        found.unwrap_or_else(|why| panic!("{why}; {group:?}"));
    }
    for group in groups(3) {
        let found = weighted_means(&group).and_then(|()| covariances_and_correlations(&group));
        let found = match model {
            // Refused: `rule5_guaranteed_refuses_what_one_peer_could_void`.
            SecurityModel::Guaranteed => found,
            _ => found.and_then(|()| regressions(&group, 3, true)).and_then(|()| regressions(&group, 3, false)),
        };
        found.unwrap_or_else(|why| panic!("{why}; {group:?}"));
    }
}

#[test]
fn malicious_statistics_equal_plain_ones_of_three_and_four() {
    [3, 4].into_iter().for_each(|n| are_right(SecurityModel::Malicious, n));
}

#[test]
fn malicious_statistics_equal_plain_ones_of_five() {
    are_right(SecurityModel::Malicious, 5);
}

#[test]
fn malicious_statistics_equal_plain_ones_of_seven() {
    are_right(SecurityModel::Malicious, 7);
}

#[test]
fn guaranteed_statistics_equal_plain_ones_of_four() {
    are_right(SecurityModel::Guaranteed, 4);
}

#[test]
fn guaranteed_statistics_equal_plain_ones_of_five() {
    are_right(SecurityModel::Guaranteed, 5);
}

#[test]
fn guaranteed_statistics_equal_plain_ones_of_seven() {
    are_right(SecurityModel::Guaranteed, 7);
}
