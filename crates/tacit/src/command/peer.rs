//! `tacit peer`: what the operator of a peer does.

mod jobs;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use tacit_accord::Consensus;
use tacit_model::api::{
    CompareRequest, Decimal, JobBody, PeerBody, ResultBody, ResultList, RosterBody, RowBody, SampleBody,
};
use tacit_model::{Fingerprint, RunId, Slot};
use tacit_pki::PublicKey;

use super::waiting::{FOR_MEMBERS, QUIET, aloud};
use super::{are, commas, counted, print, print_all};
use crate::connection::Connection;
use crate::output::{Code, Failure, for_shell};
use crate::wizard::{confirm, say};

/// Look after the peers of a node: start, stop, hand in rows, read results.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit peer rows alpha '1;4;2' '8;9;23'     two time slots of three items\n  \
    tacit peer results alpha\n  \
    tacit peer jobs alpha --max 3              what it was asked, by whom, and what is opened to whom\n  \
    tacit peer roster alpha                    who would see shares, and what was asked last\n  \
    tacit peer labels alpha offices floor=3\n  \
    tacit peer measure alpha temperature=21.5 occupancy=1\n  \
    tacit peer compare alpha --source distance --purpose fitness --preselector last_24h --most 100")]
pub(crate) struct Peer {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// All peers of the node.
    List,
    /// One peer.
    Show {
        /// Its name.
        name: String,
    },
    /// Take part in the group's runs.
    Start {
        /// Its name.
        name: String,
    },
    /// Take part no longer; rows that wait for their slots are given up.
    Stop {
        /// Its name.
        name: String,
        /// Ask nothing.
        #[arg(long)]
        yes: bool,
    },
    /// Hand in rows: one argument is one time slot, all or none are taken. In a timed run rows carry the start of their
    /// slot, which `tacit source csv` gives them.
    Rows {
        /// Its name.
        name: String,
        /// Numbers with semicolons between them; for statistics, records one after the other.
        #[arg(required = true)]
        rows: Vec<String>,
    },
    /// What the peer received.
    Results {
        /// Its name.
        name: String,
        /// The run of the group's standing task; all by default.
        #[arg(long, conflicts_with = "task")]
        run: Option<i64>,
        /// The client's task, by its id; all by default.
        #[arg(long, value_name = "ID")]
        task: Option<String>,
        /// Of a run or task with many results, those from this slot or computation on. By default the last ones are shown.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        from: Option<i64>,
    },
    /// What the peer was asked to take part in: by whom, what for, with whom, what is opened to whom, and the end.
    Jobs {
        /// Its name.
        name: String,
        /// At most so many that it began to compute, and as many others, the newest first; the last 100 of each are kept.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
        max: u32,
    },
    /// Who would see shares, and what was asked last.
    Roster {
        /// Its name.
        name: String,
    },
    /// The head of the gateway's log that the peer last co-signed, as a note to compare with other members.
    Witness {
        /// Its name.
        name: String,
    },
    /// Add a sample to the peer's series, which tasks are answered from.
    Measure {
        /// Its name.
        name: String,
        /// SERIES=DECIMAL, such as temperature=21.5; several make one record.
        #[arg(required = true, value_name = "SERIES=DECIMAL")]
        values: Vec<String>,
        /// When, RFC 3339; now by default.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Set the labels by which tasks choose the peer; without any, show them and the peer's series.
    Labels {
        /// Its name.
        name: String,
        /// All of them, such as offices floor=3.
        labels: Vec<String>,
    },
    /// Ask the group for the average of a series, and compare: nobody else learns either number.
    Compare {
        /// Its name.
        name: String,
        /// The series.
        #[arg(long)]
        source: String,
        /// What for.
        #[arg(long)]
        purpose: String,
        /// Which peers: labels with commas between them; all by default.
        #[arg(long, default_value = "")]
        set: String,
        /// now, last_30min, last_1h, last_2d (s, min, h, d), or FROM/TO.
        #[arg(long, default_value = "now")]
        preselector: String,
        /// Decimal places that count.
        #[arg(long, default_value_t = 2)]
        decimals: u8,
        /// The least value that enters.
        #[arg(long, default_value = "-1000000", allow_hyphen_values = true)]
        least: String,
        /// The largest value that enters.
        #[arg(long, default_value = "1000000", allow_hyphen_values = true)]
        most: String,
        /// At least so many must give data.
        #[arg(long, default_value_t = 3)]
        min_participants: u32,
    },
    /// Leave the group and forget everything.
    Leave {
        /// Its name.
        name: String,
        /// Ask nothing.
        #[arg(long)]
        yes: bool,
    },
}

impl Peer {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let json = self.json;
        match self.action {
            Action::List => {
                let none = "no peer yet: `tacit join CODE --gateway URL --name NAME` makes one";
                print_all(json, &client.peers().await?, none, describe)
            }
            Action::Show { name } => print(json, &client.peer(&name).await?, describe),
            Action::Start { name } => {
                print(json, &client.start_peer(&name).await?, |p| format!("{} takes part", p.name))
            }
            Action::Stop { name, yes } => {
                let waiting = usize::try_from(client.peer(&name).await?.queued)?;
                if waiting > 0 {
                    let rows = counted(waiting, "row");
                    confirm(&format!("{rows} of {name} would be given up before the slot"), yes)?;
                    say(&format!("given up: {rows} of {name}"))?;
                }
                print(json, &client.stop_peer(&name).await?, |p| format!("{} has stopped", p.name))
            }
            Action::Rows { name, rows } => {
                let rows = rows.iter().map(|row| read_row(row)).collect::<Result<_, _>>()?;
                print(json, &client.add_rows(&name, rows).await?, |r| format!("{} kept", are(r.accepted, "row")))
            }
            Action::Results { name, run, task, from } => {
                let from = from.map(|from| Slot(from - 1));
                let ResultList { results, more } = client.results(&name, run.map(RunId), task.as_deref(), from).await?;
                let none =
                    format!("{name} has received no such result yet; `tacit peer jobs {name}` shows what it was asked");
                print_all(json, &results, &none, told_result)?;
                match more {
                    true => say(
                        "note: there are more; --run RUN or --task ID, with --from NUMBER, shows those from there on",
                    ),
                    false => Ok(()),
                }
            }
            Action::Jobs { name, max } => {
                let (all, mut first) = (client.jobs(&name, max).await?, true);
                print_all(json, &all, &format!("{name} was asked nothing yet"), |job| {
                    let apart = if std::mem::take(&mut first) { "" } else { "\n" };
                    format!("{apart}{}", jobs::describe(job))
                })
            }
            Action::Roster { name } => {
                let roster = client.roster(&name).await?;
                // As JSON it is in the roster; people read it as `jobs` shows it.
                let last = if json { Vec::new() } else { client.jobs(&name, 1).await? };
                print(json, &roster, |roster| told_roster(roster, last.first()))
            }
            Action::Witness { name } => {
                let seen = client.witness(&name).await?;
                print(json, &seen, |seen| seen.checkpoint.as_deref().unwrap_or("nothing yet").trim_end().to_owned())?;
                match &seen.disputed {
                    None => Ok(()),
                    Some(shown) => Err(Failure::new(
                        Code::Refused,
                        format!("the gateway {} signed this too, and one contradicts the other:\n{shown}", seen.log),
                    )),
                }
            }
            Action::Measure { name, values, at } => {
                let values = record(&values)?;
                let receipt = client.add_samples(&name, vec![SampleBody { at, values }]).await?;
                print(json, &receipt, |r| format!("{} kept", are(r.accepted, "sample")))
            }
            Action::Labels { name, labels } => {
                let offer = match labels.is_empty() {
                    true => client.offer(&name).await?,
                    false => client.set_labels(&name, labels).await?,
                };
                print(json, &offer, |o| {
                    format!("labels {}, series {}", commas(&o.labels, "-"), commas(&o.sources, "-"))
                })
            }
            Action::Compare { name, source, purpose, set, preselector, decimals, least, most, min_participants } => {
                let request =
                    CompareRequest { source, set, purpose, preselector, decimals, least, most, min_participants };
                // A message nobody reads stops nothing.
                let wait = || drop(say(FOR_MEMBERS));
                print(json, &aloud(QUIET, client.compare(&name, &request), wait).await?, |told| {
                    let own = told.own.as_deref().unwrap_or("nothing to compare with");
                    format!("own {own}, average of {} peers {}", told.contributors, told.average)
                })
            }
            Action::Leave { name, yes } => {
                let lost = "would leave its group, and its rows, results and receipts on this node be deleted";
                confirm(&format!("{name} {lost}"), yes)?;
                client.delete_peer(&name).await?;
                print(json, &name, |n| left(n))
            }
        }
    }
}

fn describe(peer: &PeerBody) -> String {
    let mut text = format!(
        "{:<16} {:<9} {:<12} {:<10} {}",
        peer.name,
        peer.role.word(),
        peer.status.word(),
        if peer.connected { "connected" } else { "away" },
        if peer.queued == 1 { "1 row waits".to_owned() } else { format!("{} rows wait", peer.queued) }
    );
    if let Some(error) = &peer.last_error {
        let at = peer.last_error_at.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
        text.push_str(&format!("\n  last trouble{at}: {error}"));
        // A run that failed tells what went before it by itself.
        for earlier in peer.earlier_errors.iter().filter(|earlier| !error.contains(&earlier.what)) {
            text.push_str(&format!("\n  before that, at {}: {}", earlier.at, earlier.what));
        }
    }
    text
}

fn told_result(result: &ResultBody) -> String {
    let values: Vec<String> = result.values.iter().map(ToString::to_string).collect();
    let of = match &result.task {
        Some(task) => format!("task {task} computation {}", result.slot.counted()),
        None => format!("run {} slot {:>4}", result.run, result.slot.counted()),
    };
    let mut text = format!("{of}  {}  ({} contributors, {})", values.join(";"), result.contributors, result.at);
    for statistic in &result.statistics {
        text.push_str(&format!("\n  {:<32} {}", statistic.name, statistic.value));
    }
    if let Some(why) = &result.no_result {
        text.push_str(&format!("\n  no result: {why}"));
    }
    text
}

fn reading(text: &str) -> Result<(String, String), Failure> {
    let parts = text.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    parts.ok_or_else(|| Failure::usage("a sample is SERIES=DECIMAL, such as temperature=21.5"))
}

/// One record: each series has one value at a moment.
fn record(readings: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    for text in readings {
        let (name, value) = reading(text)?;
        if values.insert(name.clone(), value).is_some() {
            return Err(Failure::usage(format!(
                "{name} is given twice, and a record has one value of each series: run the command once for each"
            )));
        }
    }
    Ok(values)
}

fn read_row(text: &str) -> Result<RowBody, Failure> {
    // A slot without records, where statistics are computed.
    if text.trim().is_empty() {
        return Ok(RowBody { slot_start: None, values: Vec::new() });
    }
    let numbers = text.split(';').map(|part| part.trim().parse::<Decimal>());
    let values = numbers
        .collect::<Result<_, _>>()
        .map_err(|_| Failure::usage("a row is whole numbers from 0 with semicolons between them, such as '1;4;2'"))?;
    Ok(RowBody { slot_start: None, values })
}

/// Who would see shares, and what was asked last.
fn told_roster(roster: &RosterBody, last: Option<&JobBody>) -> String {
    let mut text = format!(
        "consensus {}, threshold {}\n",
        roster.consensus.as_deref().unwrap_or("none yet"),
        roster.threshold.map_or_else(|| "-".to_owned(), |t| t.to_string())
    );
    if let Some(manager) = roster.document.as_deref().and_then(manager_key) {
        text.push_str(&format!("manager key {manager}\n"));
    }
    for m in &roster.members {
        text.push_str(&format!("  {:<16} {:<9} {:<16} {}\n", m.name, m.role.word(), m.operator, m.fingerprint));
    }
    match last {
        Some(job) => text.push_str(&format!("last job:\n{}", jobs::describe(job))),
        None => text.push_str("last job: none yet"),
    }
    text
}

/// The key under which a group was founded, for comparing: a client is shown the same.
fn manager_key(document: &str) -> Option<Fingerprint> {
    let manager = Consensus::read(document).ok()?;
    Some(PublicKey::from_base64(manager.claimed_manager()).ok()?.fingerprint())
}

/// A peer that has left. The gateway is not told: who its members are is its operator's, or the owners', to say.
fn left(name: &str) -> String {
    let remove = for_shell(name);
    format!(
        "{name} has left; its gateway is not told: the operator there takes it off by `tacit group remove {remove}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_left_hears_who_frees_the_name() {
        assert!(left("alpha").starts_with("alpha has left;"));
        assert!(left("al pha").ends_with("`tacit group remove 'al pha'`"), "{}", left("al pha"));
    }

    #[test]
    fn a_series_that_is_named_twice_loses_no_value_in_silence() {
        let record = |typed: &[&str]| record(&typed.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        let values = record(&["temperature=21.5", "occupancy = 1"]).expect("a record");
        assert_eq!((values["temperature"].as_str(), values["occupancy"].as_str()), ("21.5", "1"));
        let why = record(&["temperature=21.5", "temperature=22"]).expect_err("two values").to_string();
        assert!(why.contains("temperature is given twice"), "{why}");
        assert!(record(&["temperature"]).is_err());
    }

    #[test]
    fn a_second_trouble_does_not_hide_the_first() {
        let peer = |last: &str| {
            let peer: PeerBody = serde_json::from_value(serde_json::json!({
                "name": "alpha", "role": "both", "gid": 1, "fingerprint": null, "gateway_url": "", "gateway_fingerprint": null,
                "comparison_code": null, "gateway_compared": true, "final_results_url": null, "label_key": null,
                "pairing": "registered", "status": "running", "connected": true, "run": 1, "queued": 0, "last_error": last,
                "last_error_at": "2026-01-01T00:00:00Z",
                "earlier_errors": [{ "at": "2025-12-31T00:00:00Z", "what": "slot 1 was declined" }],
            }))
            .expect("a peer");
            describe(&peer)
        };
        let told = peer("not delivered");
        assert!(told.ends_with("\n  before that, at 2025-12-31T00:00:00Z: slot 1 was declined"), "{told}");
        let told = peer("run 2 ended; before that, at 2025-12-31T00:00:00Z: slot 1 was declined");
        assert_eq!(told.matches("slot 1 was declined").count(), 1, "{told}");
    }

    #[test]
    fn a_roster_ends_with_the_last_job_in_words() {
        let roster = RosterBody {
            consensus: Some("77ab".to_owned()),
            document: None,
            threshold: Some(1),
            members: Vec::new(),
            last_job: Some("{\"group\":1}".to_owned()),
        };
        let job: JobBody = serde_json::from_value(serde_json::json!({
            "number": 4, "state": "done", "detail": "", "asked": "2026-01-01T00:00:00Z", "gateway": "00".repeat(32),
            "group": 1, "consensus": "77ab", "session": "ab", "run": 1, "slot": 0, "attempt": 0, "purpose": "traffic",
            "sources": ["queue"], "aggregator": "sum", "parameters": {}, "model": "semi_honest", "participants": [],
            "opened": "the sum", "told": "nobody",
        }))
        .expect("a job");
        let told = told_roster(&roster, Some(&job));
        assert!(told.contains("consensus 77ab, threshold 1") && told.contains("last job:\n4. asked at"), "{told}");
        assert!(told.contains("purpose     traffic") && !told.contains('{'), "{told}");
        assert!(told_roster(&roster, None).ends_with("last job: none yet"));
    }
}
