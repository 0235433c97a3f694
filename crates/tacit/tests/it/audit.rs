//! The audit log of a real node: exported, verified offline, tampered with, killed and restored.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Node, run};

fn audit(args: &[&str]) -> (Option<i32>, Value, String) {
    let output = run(&[&["audit"], args, &["--json"]].concat());
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), value, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn held(args: &[&str]) -> Value {
    let (code, value, error) = audit(args);
    assert_eq!((code, &value["ok"]), (Some(0), &json!(true)), "{args:?}: {error}");
    value
}

#[track_caller]
fn refused(args: &[&str]) -> Value {
    let (code, value, error) = audit(args);
    assert_eq!((code, &value["ok"]), (Some(3), &json!(false)), "{args:?}: {error}");
    assert!(error.contains("the log does not hold"), "{error}");
    value
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A group, a decision, invitations: some entries of each kind.
fn work(node: &Node, group: i64) {
    let made = node.api("POST", "/groups", Some(&json!({ "name": format!("group {group}") })));
    assert_eq!(made.status, 201, "{}", made.body);
    let rules = json!({ "on_missing_input": "wait", "deadline_ms": 60_000 + group, "slot_ms": 0 });
    let ruled = node.api("PUT", &format!("/groups/{group}/slot-rules"), Some(&rules));
    assert_eq!(ruled.status, 200, "{}", ruled.body);
    for _ in 0..3 {
        let code = node.api("POST", &format!("/groups/{group}/codes"), None);
        assert_eq!(code.status, 201, "{}", code.body);
    }
}

#[test]
fn r12_an_export_is_verified_offline_and_every_change_of_it_refused() {
    let mut node = Node::start();
    work(&node, 1);
    let data = node.data();
    let file = data.join("log.jsonl");
    let (data, path) = (text(&data), text(&file));

    let checked = held(&["check", "--data", data]);
    let exported = held(&["export", "--data", data, "--out", path]);
    assert_eq!(checked["root"], exported["root"]);
    assert_eq!(exported["groups"][0]["decisions"], 2, "{exported}");
    let fingerprint = exported["node"].as_str().expect("a fingerprint").to_owned();
    let key = exported["key"].as_str().expect("a key").to_owned();
    let consensus = node.api("GET", "/groups/1", None).ok().json()["consensus"].clone();
    assert_eq!(exported["groups"][0]["consensus"], consensus, "the id is recomputed from the file");

    // Offline: the node is gone.
    node.stop();
    for args in [&["verify", path][..], &["verify", path, "--key", &fingerprint], &["verify", path, "--key", &key]] {
        let verified = held(args);
        assert_eq!(verified["root"], exported["root"]);
        assert_eq!(verified["pinned"], json!(args.len() > 2));
    }
    refused(&["verify", path, "--key", &"0".repeat(64)]);

    // R11: edited, deleted, swapped, added, cut off. The entry is named.
    let whole = std::fs::read_to_string(&file).expect("a file");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let forged = file.with_file_name("forged.jsonl");
    let try_with = |lines: &[&str]| {
        std::fs::write(&forged, lines.concat()).expect("written");
        refused(&["verify", text(&forged)])["entry"].clone()
    };
    let edited = lines[4].replacen("\"at\":1", "\"at\":2", 1);
    assert_eq!(try_with(&[&lines[..4], &[edited.as_str()], &lines[5..]].concat()), 3);
    assert_eq!(try_with(&[&lines[..4], &lines[5..]].concat()), 3);
    assert_eq!(try_with(&[&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat()), 2);
    assert_eq!(try_with(&[&lines[..4], &lines[3..]].concat()), 3);
    assert_eq!(try_with(&lines[..lines.len() - 1]), json!(lines.len() - 2));
    assert_eq!(try_with(&[&lines[..], &lines[2..3]].concat()), json!(lines.len() - 1));
    assert_eq!(audit(&["verify", "/nonexistent"]).0, Some(2));
}

/// R14: killed, restarted, restored from a copy. Whoever saw a later head notices the restored one.
#[test]
fn r14_the_log_survives_kills_and_a_witness_sees_a_rollback() {
    let mut node = Node::start();
    let data = node.data();
    let data = text(&data).to_owned();
    let state = node.data().join("seen.json");
    let state = text(&state);
    work(&node, 1);
    held(&["witness", "--data", &data, "--state", state]);
    node.kill();
    let copy = std::fs::read(node.data().join("tacit.db")).expect("the database");
    let wal = std::fs::read(node.data().join("tacit.db-wal")).ok();
    node.restart();
    let before = held(&["witness", "--data", &data, "--state", state]);
    assert!(before["entries"].as_u64() > before["before"].as_u64(), "each start is an entry: {before}");
    for round in 2..5 {
        work(&node, round);
        node.kill();
        node.restart();
        let checked = held(&["check", "--data", &data]);
        assert_eq!(checked["kinds"]["software"], round + 1);
        assert_eq!(checked["groups"].as_array().map(Vec::len), usize::try_from(round).ok());
        held(&["witness", "--data", &data, "--state", state]);
    }
    node.stop();
    for file in ["tacit.db", "tacit.db-wal", "tacit.db-shm"] {
        let _not_there = std::fs::remove_file(node.data().join(file));
    }
    std::fs::write(node.data().join("tacit.db"), copy).expect("restored");
    if let Some(wal) = wal {
        std::fs::write(node.data().join("tacit.db-wal"), wal).expect("restored");
    }
    node.restart();
    held(&["check", "--data", &data]);
    let (code, _, error) = audit(&["witness", "--data", &data, "--state", state]);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("rolled back"), "{error}");
    assert!(node.data().join("seen.disputed").is_file());
}
