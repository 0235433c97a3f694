//! Three patients and a hospital that learns only the sum of their numbers: n-of-n additive sharing,
//! the first example of many courses, with a certificate for each of the four.

use std::path::Path;
use std::time::Duration;

use tacit_model::api::{ConfigurationBody, Decimal, PeerRole, RowBody, SharingKind};
use tacit_pki::random;

use super::report::Report;
use crate::config::{NodeConfig, Role};
use crate::output::Failure;
use crate::scenario::{Organisation, Scenario, ephemeral};

const PEOPLE: [Organisation; 4] = [
    Organisation { name: "alice", role: PeerRole::Both },
    Organisation { name: "bob", role: PeerRole::Both },
    Organisation { name: "charlie", role: PeerRole::Both },
    Organisation { name: "hospital", role: PeerRole::Recipient },
];
const PATIENTS: usize = 3;
/// The largest number a patient may have. Three of them stay below 2^61-1 whatever they are.
const LARGEST: u64 = (1 << 59) - 1;
const FIELD: u64 = (1 << 61) - 1;

pub(super) async fn run(folder: &Path, rounds: u32, report: &mut Report) -> Result<(), Failure> {
    report.say("Three patients, one hospital. The hospital learns the sum of three numbers and nothing else.\n");
    report.say("Starting the processes: a coordinator, three patients, the hospital");
    let coordinator = NodeConfig { name: "coordinator".to_owned(), roles: vec![Role::Gateway], ..ephemeral() };
    let scenario =
        Scenario::start(folder, "hospital", SharingKind::Additive, &PEOPLE, coordinator, |_| Ok(ephemeral())).await?;
    for (name, fingerprint) in scenario.form().await? {
        report.say(&format!("  {name:<9} joined and compared: {}…", fingerprint.short()));
    }
    let rounds = rounds.max(1);
    let run = scenario
        .begin(&ConfigurationBody {
            field: FIELD.into(),
            max_element: LARGEST.into(),
            aggregator: "additive".to_owned(),
            items: 1,
            time_slots: i32::try_from(rounds)?,
            result_buffer_size: 1,
            parameters: Default::default(),
        })
        .await?;
    let mut numbers = vec![Vec::new(); PATIENTS];
    for round in 0..rounds {
        for (patient, list) in numbers.iter_mut().enumerate() {
            list.push(number(round, patient)?);
        }
    }
    for (patient, list) in numbers.iter().enumerate() {
        let rows = list.iter().map(|n| RowBody { slot_start: None, values: vec![Decimal::from(*n)] }).collect();
        scenario.push(patient, rows).await?;
    }
    report.say(&format!("\nAdding up {rounds} times, among four TLS processes"));
    for done in 1..=rounds {
        let ended = scenario.until_slot(run, i64::from(done), Duration::from_secs(60)).await?;
        report.progress(&format!("{} of {rounds}", ended.next_slot));
        if !ended.reason.is_empty() {
            break;
        }
    }
    report.progress_done();
    let ended = scenario.until_slot(run, i64::from(rounds), Duration::from_secs(60)).await?;
    let plain: Vec<u128> =
        (0..numbers[0].len()).map(|round| numbers.iter().map(|list| u128::from(list[round])).sum()).collect();
    let learned: Vec<u128> =
        scenario.results(PATIENTS, run).await?.iter().filter_map(|r| r.values.first().map(|v| v.0)).collect();
    let right = learned.iter().zip(&plain).filter(|(a, b)| a == b).count();
    report.check("sums", learned == plain, format!("{right} of {rounds} sums are right at the hospital"));
    report.check(
        "run",
        ended.reason.is_empty(),
        if ended.reason.is_empty() { "no round failed".to_owned() } else { ended.reason },
    );
    let mut others = 0;
    for patient in 0..PATIENTS {
        others += scenario.results(patient, run).await?.len();
    }
    report.check("recipients", others == 0, "the patients and the coordinator learned nothing");
    report.result("rounds", rounds);
    report.result("right", right);
    scenario.stop().await?;
    report.say(&format!("\nDone in {:.1} s.", report.elapsed_ms() as f64 / 1000.0));
    Ok(())
}

/// Zero, the largest, and random numbers in turn.
fn number(round: u32, patient: usize) -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    random::fill(&mut bytes)?;
    Ok(match (round, patient) {
        (0, _) => 0,
        (1, _) => LARGEST,
        (2, 0) => LARGEST,
        (2, _) => 0,
        _ => u64::from_le_bytes(bytes) & LARGEST,
    })
}
