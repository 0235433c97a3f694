//! A node that is killed again and again while rows come in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::harness::Node;
use crate::http::escaped;
use crate::p2ds::{Config, ERROR, Group, STARTED, number};
use crate::sink::Sink;
use crate::wait::{let_pass, until};

/// A small generator: the moments of the kills can be repeated with `TACIT_SEED`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a peer's row says, so that a sum tells which two rows went into it: the row's own number in the
/// peer's column, and a value that follows from it in the last one.
fn row(peer: &str, id: u64) -> String {
    match peer {
        "a" => format!("{id};0;{}", 7 * id),
        _ => format!("0;{id};{}", 1_000_000 + 3 * id),
    }
}

/// The numbers of the two rows in a sum, if it is one.
fn ids(values: &[u64]) -> (u64, u64) {
    let &[a, b, both] = values else { panic!("not three values: {values:?}") };
    assert_eq!(both, 7 * a + 1_000_000 + 3 * b, "a wrong sum: {values:?}");
    (a, b)
}

/// What one peer's client knows of the rows of one run.
#[derive(Default)]
struct Written {
    /// Acknowledged, in their order.
    acknowledged: Vec<u64>,
    /// Sent, and cut off before an answer.
    unknown: Vec<u64>,
}

/// The results of a run as a peer holds them, checked for their form.
#[track_caller]
fn results(node: &Node, group: &Group, peer: &str, run: i64) -> Vec<(u64, u64)> {
    let path = format!("/peers/{}/results?run={run}", escaped(&group.full(peer)));
    let body = node.api("GET", &path, None).ok().json();
    let results = body["results"].as_array().expect("a list");
    for (at, result) in results.iter().enumerate() {
        assert_eq!(number(&result["slot"]), i64::try_from(at).expect("small"), "a gap in {body}");
        assert_eq!(result["contributors"], 2, "{result}");
    }
    let values = |result: &Value| -> Vec<u64> {
        let values = result["values"].as_array().expect("values");
        values.iter().map(|value| u64::try_from(number(value)).expect("not negative")).collect()
    };
    results.iter().map(|result| ids(&values(result))).collect()
}

/// Each acknowledged row once and in order; a row that was cut off once or not at all.
#[track_caller]
fn check_rows(peer: &str, computed: &[u64], written: &Written) {
    let mut acknowledged = written.acknowledged.iter().peekable();
    for id in computed {
        if acknowledged.peek() == Some(&id) {
            acknowledged.next();
        } else {
            assert!(
                written.unknown.contains(id),
                "{peer}: row {id} twice, out of order or never written: {computed:?}"
            );
            assert_eq!(computed.iter().filter(|other| *other == id).count(), 1, "{peer}: row {id} twice");
        }
    }
}

#[test]
fn kill_nine_under_writes() {
    let kills = setting("TACIT_KILLS", 5);
    let seed = setting("TACIT_SEED", 9);
    eprintln!("{kills} kills, seed {seed}");
    let mut random = Random(seed);

    let (mut node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let config = Config { field: 2147483647, max: 1_000_000_000, ..Config::of(3, -1) };
    let group = Group::usual(&manager, &service, "g", &|peer| sink.url(peer), &config);
    group.start();

    let mut run = 1;
    let mut written: BTreeMap<(i64, &str), Written> = BTreeMap::new();
    let mut next_id = 1;
    let mut ended = Vec::new();
    for kill in 0..=kills {
        // The last round is not cut off.
        let patience = (kill < kills).then(|| Duration::from_millis(random.below(400)));
        let killer = patience.map(|patience| {
            let pid = node.pid();
            std::thread::spawn(move || {
                let_pass(patience);
                let _killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
            })
        });
        for _ in 0..if killer.is_some() { 2000 } else { 20 } {
            let mut lost = false;
            for peer in ["a", "b"] {
                let entry = written.entry((run, peer)).or_default();
                match service.input(&group.full(peer), &group.seat(peer).code, &row(peer, next_id)) {
                    Ok(reply) if reply.status == 200 => entry.acknowledged.push(next_id),
                    // Refused: the run has ended meanwhile. Nothing was written.
                    Ok(reply) => assert!(reply.is_refusal(), "{reply:?}"),
                    Err(_) => {
                        entry.unknown.push(next_id);
                        lost = true;
                    }
                }
            }
            next_id += 1;
            if lost {
                break;
            }
        }
        if let Some(killer) = killer {
            killer.join().expect("the killer");
            node.restart();
        }
        group.wait_connected();
        // The run goes on by itself, or has failed where everybody sees it; then the next one begins.
        let state = settled(&node, &group, run);
        if state != "open" {
            group.wait_all(ERROR);
            ended.push(run);
            run += 1;
            if kill < kills {
                group.start();
            }
        }
        if kill < kills {
            group.wait_running("a");
            group.wait_running("b");
            group.wait_status("a", STARTED);
        }
    }

    // What the peers hold, run by run.
    let mut all = Vec::new();
    for run in 1..=run {
        if !written.contains_key(&(run, "a")) {
            continue;
        }
        let failed = ended.contains(&run);
        // One peer may know of the last slot a moment before the other.
        let (of_a, of_b) = until(&format!("as many results of run {run} at both peers"), || {
            let (of_a, of_b) = (results(&node, &group, "a", run), results(&node, &group, "b", run));
            if failed || of_a.len() == of_b.len() {
                Ok((of_a, of_b))
            } else {
                Err(format!("{} and {}", of_a.len(), of_b.len()))
            }
        });
        let shorter = of_a.len().min(of_b.len());
        assert_eq!(of_a[..shorter], of_b[..shorter], "the peers hold different results of run {run}");
        let (first, second): (Vec<u64>, Vec<u64>) = of_a.iter().copied().unzip();
        let mut left_over = Vec::new();
        for (peer, computed) in [("a", &first), ("b", &second)] {
            let written = &written[&(run, peer)];
            check_rows(peer, computed, written);
            let counted = written.acknowledged.iter().filter(|id| computed.contains(id)).count();
            left_over.push(written.acknowledged.len() - counted);
            eprintln!(
                "run {run}, {peer}: {counted} of {} acknowledged rows, failed: {failed}",
                written.acknowledged.len()
            );
        }
        // Only rows of a run that failed, or rows without a counterpart, are not in a sum.
        assert!(failed || left_over.contains(&0), "run {run}: {left_over:?} acknowledged rows were left out");
        all.extend(of_a.iter().map(|(a, b)| format!("{a};{b};{}", 7 * a + 1_000_000 + 3 * b)));
    }
    // What was posted, a repeated post counted once.
    let posted = until("all results to be posted", || {
        let rows = sink.rows("a");
        if rows.len() >= all.len() { Ok(rows) } else { Err(format!("{} of {}", rows.len(), all.len())) }
    });
    assert_eq!(posted, all);
    assert!(all.len() > 20, "only {} slots were computed", all.len());
}

/// Waits until a run has computed all it can, and says how it stands.
#[track_caller]
fn settled(node: &Node, group: &Group, run: i64) -> String {
    until(&format!("run {run} to settle"), || {
        let runs = node.api("GET", &format!("/groups/{}/runs", group.gid), None).ok().json();
        let found = runs["runs"].as_array().into_iter().flatten().find(|found| found["run"] == run);
        let found = found.ok_or_else(|| runs.to_string())?;
        // Rows that wait for their counterparts may stay; a pair may not.
        let waiting = ["a", "b"].map(|peer| {
            let path = format!("/peers/{}", escaped(&group.full(peer)));
            number(&node.api("GET", &path, None).ok().json()["queued"])
        });
        let state = found["state"].as_str().unwrap_or_default().to_owned();
        if state != "open" || waiting.contains(&0) { Ok(state) } else { Err(format!("{waiting:?} rows wait: {found}")) }
    })
}
