//! The audit log of a real node: exported, verified offline, tampered with, killed and restored.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Node, run};
use crate::p2ds::{Config, Group, PRIVACY};
use crate::sink::Sink;
use crate::wait::until;

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

    // The restore was an honest one: from the head that was shown then the log is witnessed again.
    let settle = |accept: &str| {
        run(&["audit", "settle", "--state", state, "--accept", accept, "--reason", "restored", "--json"])
    };
    assert_eq!(settle("nonsense").status.code(), Some(3));
    let kept = std::fs::read(node.data().join("seen.disputed")).expect("the evidence");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    let root = kept["shown"].as_str().and_then(|note| note.lines().nth(2)).expect("a root");
    let said = settle(root);
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let told: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let evidence = std::fs::read_to_string(told["evidence"].as_str().expect("a file")).expect("the evidence");
    assert!(evidence.contains("\"settled\": \"restored\""), "{evidence}");
    work(&node, 2);
    held(&["witness", "--data", &data, "--state", state]);
    assert_eq!(settle(root).status.code(), Some(2), "there is nothing to settle any more");
}

/// What a peer's node says it saw of its gateway's log.
fn seen(node: &Node, peer: &str) -> Value {
    node.api("GET", &format!("/peers/{peer}/witness"), None).ok().json()
}

/// Waits until a peer co-signed the whole log of the gateway as it is now; the note.
fn witnessed(gateway: &Node, node: &Node, peer: &str) -> String {
    let size = gateway.api("GET", "/log/checkpoint", None).ok().json()["size"].as_u64().expect("a size");
    until(&format!("{peer} to witness {size} entries"), || {
        let seen = seen(node, peer);
        let note = seen["checkpoint"].as_str().unwrap_or_default();
        let reached = note.lines().nth(1).and_then(|line| line.parse::<u64>().ok()).unwrap_or(0);
        if reached >= size { Ok(note.to_owned()) } else { Err(seen.to_string()) }
    })
}

/// R11, A17's last consensus, DESIGN's witnesses: a gateway that shows two members two logs is caught, with evidence.
#[test]
fn r11_members_that_were_shown_different_logs_hold_the_evidence() {
    let mut gateway = Node::with("gateway", &["--test-mode", "--roles", "manager"]);
    let mut a = Node::with("a", &["--test-mode", "--roles", "peer"]);
    let mut b = Node::with("b", &["--test-mode", "--roles", "peer"]);
    let sink = Sink::open();
    let mut group = Group::found(&gateway.manager(), "g");
    group.join(&a.peers(), "a", PRIVACY, &sink.url("a"));
    group.join(&b.peers(), "b", PRIVACY, &sink.url("b"));
    group.verify_all();
    let (name_a, name_b) = (group.full("a"), group.full("b"));
    witnessed(&gateway, &a, &name_a);
    witnessed(&gateway, &b, &name_b);
    // Both cosignatures are in an export, and hold.
    let data = gateway.data();
    let file = data.join("log.jsonl");
    until("two cosignatures", || {
        let exported = held(&["export", "--data", text(&data), "--out", text(&file)]);
        match exported["witnesses"].as_array().map(Vec::len) {
            Some(2) => Ok(()),
            _ => Err(exported["witnesses"].to_string()),
        }
    });
    assert_eq!(held(&["verify", text(&file)])["witnesses"].as_array().map(Vec::len), Some(2));

    b.stop();
    gateway.stop();
    let before = std::fs::read(data.join("tacit.db")).expect("the database");
    gateway.restart();
    work(&gateway, 2);
    let left = witnessed(&gateway, &a, &name_a);
    a.stop();
    gateway.stop();
    std::fs::write(data.join("tacit.db"), before).expect("the database");
    gateway.restart();
    work(&gateway, 2);
    work(&gateway, 3);
    b.restart();
    witnessed(&gateway, &b, &name_b);

    // One member hands its head to the other, who asks the gateway for a proof that there cannot be.
    let note = a.data().join("left.note");
    std::fs::write(&note, left).expect("a note");
    let state = a.data().join("seen.json");
    let args = ["witness", "--data", text(&data), "--state", text(&state), "--against", text(&note)];
    let (code, _, error) = audit(&args);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("does not contain"), "{error}");
    assert!(a.data().join("seen.disputed").is_file());

    // And the member that comes back notices by itself.
    a.restart();
    until("the dispute", || match seen(&a, &name_a)["disputed"].as_str() {
        Some(_) => Ok(()),
        None => Err(seen(&a, &name_a).to_string()),
    });
    let told = run(&["peer", "witness", &name_a, "--data", text(&a.data())]);
    assert_eq!(told.status.code(), Some(3));
    let own = held(&["check", "--data", text(&a.data())]);
    assert_eq!(own["kinds"]["witness"], 1, "{own}");

    // It was an honest restore. The operators say so, of the very head that they looked at, and the log keeps it.
    let disputed = seen(&a, &name_a)["disputed"].as_str().expect("a note").to_owned();
    let root = disputed.lines().nth(2).expect("a root").to_owned();
    let settle = |accept: &str, reason: &str| {
        let data = a.data();
        run(&["audit", "settle", &name_a, "--accept", accept, "--reason", reason, "--data", text(&data)])
    };
    let other = left_root(&note);
    for (accept, reason) in [(other.as_str(), "restored"), ("", "restored"), (root.as_str(), " ")] {
        let said = settle(accept, reason);
        assert_ne!(said.status.code(), Some(0), "{accept} {reason}");
        assert!(seen(&a, &name_a)["disputed"].is_string());
    }
    let said = settle(&root, "gateway restored from the backup of last night");
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    assert_ne!(settle(&root, "again").status.code(), Some(0), "there is nothing to settle any more");
    work(&gateway, 4);
    witnessed(&gateway, &a, &name_a);
    assert_eq!(seen(&a, &name_a)["disputed"], Value::Null);
    let shown = run(&["audit", "show", "--data", text(&a.data())]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let entry = shown.lines().find(|line| line.contains("\"settled\"")).expect("an entry");
    assert!(entry.contains("backup of last night") && entry.contains(&root), "{entry}");
    held(&["check", "--data", text(&a.data())]);
}

/// The root in a note.
fn left_root(note: &Path) -> String {
    let note = std::fs::read_to_string(note).expect("a note");
    note.lines().nth(2).expect("a root").to_owned()
}

/// Every result has a receipt that a stranger verifies; contributors, and nobody else, prove that their data counted.
#[test]
fn a_result_has_a_receipt_that_strangers_verify() {
    let (node, sink) = (Node::start(), Sink::open());
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &Config::of(2, 2));
    group.start();
    for slot in [1, 2] {
        group.give("a", &["1;3"]);
        group.give("b", &["2;5"]);
        assert_eq!(sink.wait_rows("a", slot).len(), slot);
    }
    let data = node.data();
    let receipts = |holder: &[&str]| -> Vec<Value> {
        let output = run(&[&["receipt", "list", "--json", "--data", text(&data)], holder].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let (a, x) = (group.full("a"), group.full("x"));
    until("the receipts", || {
        let all = [receipts(&[]), receipts(&["--peer", &a]), receipts(&["--peer", &x])];
        if all.iter().all(|list| list.len() == 2) { Ok(()) } else { Err(format!("{all:?}")) }
    });
    let session = receipts(&[])[0]["session"].as_str().expect("a session").to_owned();
    let (file, mine) = (data.join("receipt.json"), data.join("mine.json"));
    let (file, mine) = (text(&file), text(&mine));
    let show =
        run(&["receipt", "show", &session, "--data", text(&data), "--peer", &a, "--out", file, "--contribution", mine]);
    assert_eq!(show.status.code(), Some(0), "{show:?}");
    // The gateway holds the same one, and a peer that gave nothing has nothing to prove.
    let theirs = run(&["receipt", "show", &session, "--data", text(&data)]);
    let document = std::fs::read(file).expect("a receipt");
    assert_eq!(theirs.stdout, document);
    let none = run(&["receipt", "show", &session, "--data", text(&data), "--peer", &x, "--contribution", mine]);
    assert_eq!(none.status.code(), Some(3));

    let key = node.api("GET", "/node", None).ok().json()["fingerprint"].as_str().expect("a fingerprint").to_owned();
    let charter = run(&["group", "consensus", &group.gid.to_string(), "--data", text(&data), "--json"]);
    let agreed = data.join("charter.json");
    std::fs::write(&agreed, &charter.stdout).expect("a charter");
    let verify = |more: &[&str]| run(&[&["receipt", "verify", file, "--json"], more].concat());
    let whole = verify(&["--key", &key, "--contribution", mine, "--consensus", text(&agreed)]);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    let told: Value = serde_json::from_slice(&whole.stdout).expect("JSON");
    // One more than may be corrupted: the threshold is 1.
    assert_eq!((&told["ok"], told["signers"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    let statement = &told["statement"];
    assert_eq!((&statement["contributors"]["count"], &statement["threshold"]), (&json!(2), &json!(1)));
    assert_eq!(verify(&["--key", &"0".repeat(64)]).status.code(), Some(3));

    // DESIGN rule 10: nobody who gave data but did not compute is named, and no sum or row is told.
    let plain = String::from_utf8(document.clone()).expect("text");
    for giver in ["a", "b"] {
        let member = node.api("GET", &format!("/members/{}", group.full(giver)), None).ok().json();
        let fingerprint = member["fingerprint"].as_str().expect("a fingerprint");
        assert!(!plain.contains(fingerprint), "{giver} is named");
    }

    // A verifier that shares no code says the same, of the good one and of changed ones.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/verify_receipt.py");
    let stranger = |more: &[&str]| {
        let output = std::process::Command::new("python3").args([script, file]).args(more).output();
        output.expect("python3 runs")
    };
    let said = stranger(&["--key", &key, "--contribution", mine]);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let own = std::fs::read_to_string(mine).expect("a proof");
    for (from, to) in [
        ("\"count\":2", "\"count\":3"),
        ("\"slot\":", "\"slot\":1"),
        ("tacit/", "tacit0"),
        ("signature\":\"", "signature\":\"A"),
    ] {
        std::fs::write(file, plain.replacen(from, to, 1)).expect("written");
        assert_ne!(plain, plain.replacen(from, to, 1), "{from}");
        assert_eq!(verify(&[]).status.code(), Some(3), "{from}");
        assert_eq!(stranger(&[]).status.code(), Some(3), "{from}");
    }
    std::fs::write(file, document).expect("written");
    std::fs::write(mine, own.replacen("\"index\":", "\"index\":1", 1)).expect("written");
    assert_eq!(verify(&["--contribution", mine]).status.code(), Some(3));
    assert_eq!(stranger(&["--contribution", mine]).status.code(), Some(3));

    // R10: sessions, receipts, keys that signed, parameters, decisions, calls and the version are in the log.
    let log = held(&["check", "--data", text(&data)]);
    for kind in ["session", "receipt", "key_use", "parameter", "consensus", "action", "software"] {
        assert!(log["kinds"][kind].as_u64() > Some(0), "{kind}: {log}");
    }
}
