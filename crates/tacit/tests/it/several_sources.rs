//! One task over several series of each peer: what was measured in the same minute makes a record.

use serde_json::{Value, json};
use tacit_model::{Clock, SystemClock, UnixMillis};

use crate::harness::run;
use crate::rooms::Rooms;
use crate::wait::until_offers;

const MINUTE: i64 = 60_000;

/// What room `room` measured in minute `minute`: co2, and how many seats are taken.
fn measured(room: usize, minute: usize) -> (u64, u64) {
    let seats = (room + 2 * minute) as u64 % 5;
    (420 + 60 * seats + 7 * room as u64 + 11 * (minute as u64 % 3), seats)
}

/// Pearson's correlation.
fn correlation(records: &[(u64, u64)]) -> f64 {
    let n = records.len() as f64;
    let mean = |of: fn(&(u64, u64)) -> u64| records.iter().map(|r| of(r) as f64).sum::<f64>() / n;
    let (x, y) = (mean(|r| r.0), mean(|r| r.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| records.iter().map(|r| of(r.0 as f64 - x, r.1 as f64 - y)).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Two sensors that never measure at the same moment; the latest value of each minute counts, and a minute that only one
/// of them has makes no record. A peer that gives from one of the series only is left out.
#[test]
fn f15_several_sources_make_records_of_the_same_minute() {
    let scene = Rooms::found(4);
    // Eight whole minutes that are over.
    let start = UnixMillis((SystemClock.now().0 / MINUTE - 10) * MINUTE);
    for (room, place) in scene.rooms.iter().zip(0..) {
        let mut samples = Vec::new();
        let mut sample = |after: i64, source: &str, value: u64| {
            let at = start.plus(after).to_rfc3339();
            samples.push(json!({ "at": at, "values": { source: value.to_string() } }));
        };
        for minute in 0..8 {
            let (co2, seats) = measured(place, minute);
            let begin = minute as i64 * MINUTE;
            sample(begin, "co2", 1999);
            sample(begin + 21_000 + place as i64, "co2", co2);
            sample(begin + 59_999, "seats", seats);
        }
        sample(8 * MINUTE, "co2", 1500);
        let body = json!({ "samples": samples });
        room.node.api("POST", &format!("/peers/{}/samples", room.name), Some(&body)).ok();
    }
    let both = |o: &Value| o["sources"].as_array().is_some_and(|s| s.len() == 2);
    until_offers(4, || scene.gateway.offers(scene.gid), both);
    let window = |from: i64, to: i64| {
        let at = |minute| start.plus(minute * MINUTE).to_rfc3339();
        format!("{}/{}", at(from), at(to))
    };
    let records = |rooms: usize, minutes: std::ops::Range<usize>| -> Vec<(u64, u64)> {
        (0..rooms).flat_map(|room| minutes.clone().map(move |minute| measured(room, minute))).collect()
    };
    let group = scene.gid.to_string();
    let token = scene.gateway.data().join("keys").join("owner.token");
    let url = scene.gateway.url();
    let ask = |aggregator: &str, preselector: &str, more: &[&str]| -> std::process::Output {
        let question = [
            "task",
            "run",
            "--group",
            &group,
            "--source",
            "co2",
            "--source",
            "seats",
            "--most",
            "2000",
            "--purpose",
            "HVAC",
            "--aggregator",
            aggregator,
            "--preselector",
            preselector,
            "--json",
            "--node",
            &url,
            "--token-file",
            token.to_str().expect("a path"),
        ];
        run(&[&question[..], more].concat())
    };
    let number = |output: &std::process::Output, name: &str| -> f64 {
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let all = told["results"][0]["statistics"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|s| s["name"] == name).and_then(|s| s["value"].as_f64());
        found.unwrap_or_else(|| panic!("no {name} in {told}"))
    };
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");

    let first = window(0, 4);
    let together = ask("correlation", &first, &["--align", "60"]);
    assert!(together.status.success(), "{together:?}");
    near(number(&together, "correlation(co2,seats)"), correlation(&records(4, 0..4)));
    near(number(&together, "count"), 16.0);
    let weighted = ask("weighted_mean", &first, &["--align", "60"]);
    let weights: u64 = records(4, 0..4).iter().map(|r| r.1).sum();
    let sum: u64 = records(4, 0..4).iter().map(|r| r.0 * r.1).sum();
    near(number(&weighted, "weighted_mean(co2)"), sum as f64 / weights as f64);

    // Of the same moment there are no records, and no such thing as a record across days.
    assert!(!ask("correlation", &first, &[]).status.success());
    assert_eq!(ask("correlation", &first, &["--align", "86401"]).status.code(), Some(2));

    // Both series must be allowed. The room is left out, and its owner alone hears why.
    scene.rooms[3].policy(json!({ "sources": ["co2"] }));
    let second = window(4, 9);
    let without = ask("linear_regression", &second, &["--align", "60", "--model", "malicious"]);
    assert!(without.status.success(), "{without:?}");
    near(number(&without, "count"), 12.0);
    let why = scene.rooms[3].trouble();
    assert!(why.contains("\"seats\" is not one that this peer's policy gives from"), "{why}");
}
