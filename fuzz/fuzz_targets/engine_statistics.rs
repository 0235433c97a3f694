//! Results of statistics: any sums that the members bring about give numbers or a reason, never a panic.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tacit_engine::{OnMissing, Plan, PlanRequest, SecurityModel, Sharing, aggregate};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

#[derive(Arbitrary, Debug)]
struct Case {
    aggregator: u8,
    columns: u8,
    max_element: u64,
    parameters: Vec<(u8, String)>,
    sums: Vec<u128>,
}

fuzz_target!(|case: Case| {
    let aggregator = &aggregate::registry()[usize::from(case.aggregator) % aggregate::registry().len()];
    let parameters: BTreeMap<String, String> = case
        .parameters
        .into_iter()
        .filter_map(|(which, text)| {
            let name = aggregator.parameters.get(usize::from(which) % aggregator.parameters.len().max(1))?.name;
            Some((name.to_owned(), text))
        })
        .collect();
    let request = PlanRequest {
        session: SessionId([0; 16]),
        attempt: Attempt(0),
        slot: Slot(0),
        charter: [0; 32],
        task: [0; 32],
        aggregator: aggregator.name.to_owned(),
        aggregator_version: aggregator.version,
        parameters,
        sharing: Sharing::Shamir { threshold: 1 },
        charter_threshold: 1,
        charter_compute: 3,
        model: SecurityModel::SemiHonest,
        items: usize::from(case.columns % 8),
        max_element: case.max_element,
        modulus: None,
        members: (1..=3).map(|i| Fingerprint([i; 32])).collect(),
        inputs: vec![0, 1, 2],
        compute: vec![0, 1, 2],
        recipients: vec![0, 1, 2],
        on_missing: OnMissing::Fail,
    };
    let Ok(plan) = Plan::build(request) else { return };
    // The session refuses sums above what the contributors may reach.
    let sums: Vec<u128> = (0..plan.items())
        .map(|item| {
            let most = plan.bound(item).saturating_mul(3);
            let sum = case.sums.get(item % case.sums.len().max(1)).copied().unwrap_or(0);
            if most == u128::MAX { sum } else { sum % (most + 1) }
        })
        .collect();
    match plan.statistics(&sums) {
        Some(Ok(statistics)) => assert!(statistics.iter().all(|s| s.value.is_finite() && !s.name.is_empty())),
        Some(Err(why)) => assert!(!why.to_string().is_empty()),
        None => assert!(aggregator.records.is_none()),
    }
});
