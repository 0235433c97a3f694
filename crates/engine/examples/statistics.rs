//! Statistics of three simulated peers, for comparison with other programs: see scripts/oracles.sh.
//!
//! Reads cases from standard input, each a line `aggregator columns max_element key=value ...`, then one
//! line of numbers per peer, and writes a line `name value` per statistic (or `value[i] value` per item, or
//! `no-result why`), then `end`.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use tacit_engine::{
    Ended, OnMissing, Outcome, Plan, PlanRequest, SecurityModel, SessionError, Sharing, SimulatedEnvironment,
    Simulator, Statistic, run,
};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

const PEERS: usize = 3;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut lines = std::io::stdin().lock().lines();
    let mut out = std::io::stdout().lock();
    while let Some(head) = lines.next() {
        let plan = plan(&head?)?;
        let mut rows = Vec::with_capacity(PEERS);
        for _ in 0..PEERS {
            let line = lines.next().ok_or("a case has three rows")??;
            rows.push(line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?);
        }
        let sums = sums(&plan, rows)?;
        match plan.statistics(&sums).unwrap_or_else(|| Ok(values(&sums))) {
            Ok(statistics) => statistics.iter().try_for_each(|s| writeln!(out, "{} {:e}", s.name, s.value))?,
            Err(why) => writeln!(out, "no-result {why}")?,
        }
        writeln!(out, "end")?;
    }
    Ok(())
}

/// Results that have no names.
fn values(opened: &[u128]) -> Vec<Statistic> {
    let named = |(i, value): (usize, &u128)| Statistic { name: format!("value[{i}]"), value: *value as f64 };
    opened.iter().enumerate().map(named).collect()
}

fn plan(head: &str) -> Result<Plan, Failure> {
    let mut words = head.split_whitespace();
    let mut word = || words.next().ok_or("aggregator columns max_element key=value ...");
    let (aggregator, items, max_element) = (word()?.to_owned(), word()?.parse()?, word()?.parse()?);
    let pair = |text: &str| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let parameters: BTreeMap<String, String> = words.filter_map(pair).collect();
    let everybody: Vec<usize> = (0..PEERS).collect();
    Ok(Plan::build(PlanRequest {
        session: SessionId([1; 16]),
        attempt: Attempt(0),
        slot: Slot(0),
        charter: [0; 32],
        task: [0; 32],
        aggregator,
        aggregator_version: 1,
        parameters,
        sharing: Sharing::Shamir { threshold: 1 },
        charter_threshold: 1,
        charter_compute: PEERS,
        model: SecurityModel::SemiHonest,
        items,
        max_element,
        modulus: None,
        members: [1, 2, 3].map(|byte| Fingerprint([byte; 32])).to_vec(),
        inputs: everybody.clone(),
        compute: everybody.clone(),
        recipients: everybody,
        on_missing: OnMissing::Fail,
    })?)
}

fn sums(plan: &Plan, rows: Vec<Vec<u64>>) -> Result<Vec<u128>, Failure> {
    let nonces = [[7; 32]; PEERS];
    let mut simulator = Simulator::<Result<Outcome, SessionError>>::new(PEERS, 1);
    for (member, row) in rows.into_iter().enumerate() {
        let mailbox = simulator.mailbox(member);
        let mut environment = SimulatedEnvironment::new(1, member);
        let nonces = &nonces;
        simulator.spawn(member, async move {
            run(plan, member, &mailbox, &mut environment, nonces, Some(row.into())).await
        });
    }
    match simulator.run().into_iter().next().and_then(Ended::finished) {
        Some(outcome) => Ok(outcome?.values.ok_or("every peer is a recipient")?),
        None => Err("a peer did not finish".into()),
    }
}
