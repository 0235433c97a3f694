//! Three organisations add up a day of attack counts: 288 slots of five minutes each.

use std::path::Path;
use std::time::Duration;

use tacit_model::api::{ConfigurationBody, Decimal, PeerRole, RowBody, SharingKind};

use super::chart::{bars, table};
use super::report::Report;
use crate::config::{NodeConfig, Role};
use crate::output::{Failure, program};
use crate::scenario::{Organisation, Scenario, ephemeral};

/// Counts of one organisation: where each slot begins, and how many attacks it saw.
struct Domain {
    label: String,
    slots: Vec<(String, u64)>,
}

const ORGANISATIONS: [Organisation; 3] = [
    Organisation { name: "alpha", role: PeerRole::Both },
    Organisation { name: "beta", role: PeerRole::Both },
    Organisation { name: "gamma", role: PeerRole::Both },
];

/// The usual modulus, 2^61-1, and the largest prime below 2^64 for large counts.
const FIELD: u64 = (1 << 61) - 1;
const LARGE_FIELD: u64 = u64::MAX - 58;

pub(super) async fn run(folder: &Path, input: Option<&Path>, report: &mut Report) -> Result<(), Failure> {
    let domains = match input {
        Some(input) => read_folder(input)?,
        None => built_in()?,
    };
    let days = domains[0].slots.len();
    let largest = domains.iter().flat_map(|d| &d.slots).map(|(_, count)| *count).max().unwrap_or(0);
    report.say(&format!(
        "Three organisations, {days} time slots each. Nobody shows a single count; together they get the sums.\n"
    ));
    for domain in &domains {
        let counts: Vec<u128> = domain.slots.iter().map(|(_, count)| u128::from(*count)).collect();
        report.say(&format!("  {:<8} {}  only {} sees this", domain.label, bars(&counts, 72), domain.label));
    }

    report.say("\nStarting four processes: a coordinator, and a node for each organisation");
    let coordinator = NodeConfig { name: "coordinator".to_owned(), roles: vec![Role::Gateway], ..ephemeral() };
    let scenario =
        Scenario::start(folder, "attacks", SharingKind::Shamir, &ORGANISATIONS, coordinator, |_| Ok(ephemeral()))
            .await?;
    for (name, fingerprint) in scenario.form().await? {
        report.say(&format!("  {name:<8} joined and compared: {}…", fingerprint.short()));
    }
    let configuration = ConfigurationBody {
        field: if largest < 1 << 59 { FIELD } else { LARGE_FIELD }.into(),
        max_element: largest.max(1_000_000).into(),
        aggregator: "additive".to_owned(),
        items: u32::try_from(days)?,
        time_slots: 1,
        result_buffer_size: 1,
        parameters: Default::default(),
    };
    let run = scenario.begin(&configuration).await?;
    report.say(&format!("\nComputing over TLS 1.3, {} sums, threshold 1 of 3", days));
    for (number, domain) in domains.iter().enumerate() {
        report.progress(&format!("{} hands its row to its own node", domain.label));
        let values = domain.slots.iter().map(|(_, count)| Decimal::from(*count)).collect();
        let slot_start = None;
        scenario.push(number, vec![RowBody { slot_start, values }]).await?;
    }
    report.progress("shares travel, the input set is frozen, the sums are opened");
    let ended = scenario.until_slot(run, 1, Duration::from_secs(60)).await?;
    report.progress_done();

    let plain: Vec<u128> = (0..days).map(|i| domains.iter().map(|d| u128::from(d.slots[i].1)).sum()).collect();
    let mut received = Vec::new();
    for number in 0..domains.len() {
        let results = scenario.results(number, run).await?;
        received.push(results.into_iter().next().map(|r| r.values.iter().map(|v| v.0).collect::<Vec<u128>>()));
    }
    let sums = received[0].clone().unwrap_or_default();
    show(report, &domains, &sums);
    report.check(
        "run",
        ended.reason.is_empty(),
        if ended.reason.is_empty() { "the computation ended well".to_owned() } else { ended.reason },
    );
    let equal = sums.iter().zip(&plain).filter(|(a, b)| a == b).count();
    report.check(
        "sums",
        sums == plain,
        format!(
            "{equal} of {days} sums equal the sums of the open data (known here because this machine plays all three)"
        ),
    );
    report.check(
        "recipients",
        received.iter().all(|r| r.as_ref() == Some(&sums)),
        "all three organisations hold the same sums; the coordinator holds none",
    );
    // Numbers that JSON readers keep; larger ones as text.
    let number = |sum: &u128| u64::try_from(*sum).map_or_else(|_| sum.to_string().into(), serde_json::Value::from);
    report.result("sums", sums.iter().map(number).collect::<Vec<_>>());
    report.result("slots", days);
    scenario.stop().await?;
    let origin = match input {
        Some(_) => "The input is what you gave; nobody but its owner saw it.",
        None => "The input is real: see crates/tacit/data/attacks/ORIGIN.md",
    };
    report.say(&format!("\nDone in {:.1} s. {origin}", report.elapsed_ms() as f64 / 1000.0));
    let tacit = program();
    report.say(&format!(
        "What next:\n  {tacit} demo attacks --input DIR\n      the same with your own CSV files (slot_start,count), one \
         per organisation\n  {tacit} up\n      the same three organisations, staying up\n  docs/threat-model.md\n      \
         what is promised, and what is not"
    ));
    Ok(())
}

fn show(report: &Report, domains: &[Domain], sums: &[u128]) {
    if sums.is_empty() {
        return;
    }
    report.say(&format!("  {:<8} {}  all three see this\n", "together", bars(sums, 72)));
    let mut busiest: Vec<usize> = (0..sums.len()).collect();
    busiest.sort_by_key(|&i| core::cmp::Reverse(sums[i]));
    busiest.truncate(8);
    busiest.sort_unstable();
    let rows: Vec<Vec<String>> =
        busiest.iter().map(|&i| vec![domains[0].slots[i].0.clone(), sums[i].to_string()]).collect();
    report.say(if busiest.len() < sums.len() { "The eight busiest slots:" } else { "The slots:" });
    report.say(&table(&["slot_start", "sum"], &rows));
}

fn built_in() -> Result<Vec<Domain>, Failure> {
    [
        ("alpha", include_str!("../../data/attacks/domain-a.csv")),
        ("beta", include_str!("../../data/attacks/domain-b.csv")),
        ("gamma", include_str!("../../data/attacks/domain-c.csv")),
    ]
    .into_iter()
    .map(|(label, text)| read_csv(label, text.as_bytes()))
    .collect()
}

/// One CSV per domain, taken by name; slots are matched by their start, not by their place.
fn read_folder(folder: &Path) -> Result<Vec<Domain>, Failure> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(|e| Failure::usage(format!("{} cannot be read: {e}", folder.display())))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .collect();
    files.sort();
    if files.len() != ORGANISATIONS.len() {
        return Err(Failure::usage(format!(
            "{} holds {} CSV files; this demo needs {}, one per organisation",
            folder.display(),
            files.len(),
            ORGANISATIONS.len()
        )));
    }
    let mut domains = Vec::new();
    for (file, organisation) in files.iter().zip(ORGANISATIONS) {
        let bytes = std::fs::read(file)?;
        domains.push(read_csv(organisation.name, &bytes).map_err(|e| e.about(&file.display().to_string()))?);
    }
    let starts = |d: &Domain| d.slots.iter().map(|(start, _)| start.clone()).collect::<Vec<_>>();
    if domains.iter().any(|d| starts(d) != starts(&domains[0])) {
        return Err(Failure::usage(
            "the files do not have the same slot_start values; a missing slot needs a line with count 0",
        ));
    }
    Ok(domains)
}

fn read_csv(label: &str, bytes: &[u8]) -> Result<Domain, Failure> {
    let rows = tacit_party::source::read_csv(bytes).map_err(|e| Failure::usage(e.to_string()))?;
    if rows.iter().any(|timed| timed.row.len() != 1) {
        return Err(Failure::usage("it has more than one number in a line; the format is slot_start,count"));
    }
    let slots: Vec<(String, u64)> = rows
        .into_iter()
        .filter_map(|timed| Some((timed.slot_start.to_rfc3339(), *timed.row.expose().first()?)))
        .collect();
    if slots.is_empty() {
        return Err(Failure::usage("there is no row in it; the format is slot_start,count"));
    }
    Ok(Domain { label: label.to_owned(), slots })
}
