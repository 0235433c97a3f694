//! The audit log of a real node: exported over https, verified offline, tampered with, killed and restored.

use std::path::Path;

use serde_json::{Value, json};

use crate::agreement::Court;
use crate::harness::{Node, run};
use crate::p2ds::{Config, Group, PRIVACY};
use crate::sink::Sink;
use crate::wait::until;

/// How `tacit audit` ended, and what it said in JSON.
struct Audited {
    code: Option<i32>,
    value: Value,
    error: String,
}

/// Without the gateway: of files, or of the log of another node on this machine.
fn audit(args: &[&str]) -> Audited {
    let output = run(&[&["audit"], args, &["--json"]].concat());
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Audited { code: output.status.code(), value, error: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// From another process, over https: the gateway is known by its address, its certificate and a token.
fn audit_at(court: &Court, args: &[&str]) -> Audited {
    let ended = court.tacit("admin", &[&["audit"], args].concat());
    Audited { code: ended.code, value: serde_json::from_str(&ended.out).unwrap_or(Value::Null), error: ended.err }
}

impl Audited {
    #[track_caller]
    fn held(self) -> Value {
        assert_eq!((self.code, &self.value["ok"]), (Some(0), &json!(true)), "{}", self.error);
        self.value
    }

    #[track_caller]
    fn refused(self) -> Value {
        assert_eq!((self.code, &self.value["ok"]), (Some(3), &json!(false)), "{}", self.error);
        assert!(self.error.contains("the log does not hold"), "{}", self.error);
        self.value
    }
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
    let mut court = Court::new();
    work(&court.gateway, 1);
    let (_, consensus) = court.owned(&[]);
    let file = court.keys.path().join("log.jsonl");
    let path = text(&file);

    let checked = audit_at(&court, &["check"]).held();
    let exported = audit_at(&court, &["export", "--out", path]).held();
    assert_eq!(checked["root"], exported["root"]);
    let fingerprint = exported["node"].as_str().expect("a fingerprint").to_owned();
    let key = exported["key"].as_str().expect("a key").to_owned();
    assert_eq!(fingerprint, court.pin());

    // Offline: the node is gone. Each consensus id is recomputed from the file, the owners' signatures among them.
    court.gateway.stop();
    for args in [&["verify", path][..], &["verify", path, "--key", &fingerprint], &["verify", path, "--key", &key]] {
        let verified = audit(args).held();
        assert_eq!(verified["root"], exported["root"]);
        assert_eq!(verified["pinned"], json!(args.len() > 2));
        let group = &verified["groups"][0];
        assert_eq!((&group["decisions"], &group["consensus"]), (&json!(3), &json!(consensus)), "{verified}");
    }
    audit(&["verify", path, "--key", &"0".repeat(64)]).refused();

    // R11: edited, deleted, swapped, added, cut off. The entry is named.
    let whole = std::fs::read_to_string(&file).expect("a file");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let forged = file.with_file_name("forged.jsonl");
    let try_with = |lines: &[&str]| {
        std::fs::write(&forged, lines.concat()).expect("written");
        audit(&["verify", text(&forged)]).refused()["entry"].clone()
    };
    let edited = lines[4].replacen("\"at\":1", "\"at\":2", 1);
    assert_eq!(try_with(&[&lines[..4], &[edited.as_str()], &lines[5..]].concat()), 3);
    assert_eq!(try_with(&[&lines[..4], &lines[5..]].concat()), 3);
    assert_eq!(try_with(&[&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat()), 2);
    assert_eq!(try_with(&[&lines[..4], &lines[3..]].concat()), 3);
    assert_eq!(try_with(&lines[..lines.len() - 1]), json!(lines.len() - 2));
    assert_eq!(try_with(&[&lines[..], &lines[2..3]].concat()), json!(lines.len() - 1));
    assert_eq!(audit(&["verify", "/nonexistent"]).code, Some(2));
}

/// R14: killed, restarted, restored from a copy. Whoever saw a later head notices the restored one.
#[test]
fn r14_the_log_survives_kills_and_a_witness_sees_a_rollback() {
    let mut court = Court::new();
    let state = court.keys.path().join("seen.json");
    let state = text(&state);
    let data = court.gateway.data();
    work(&court.gateway, 1);
    let (_, owned) = court.owned(&[]);
    audit_at(&court, &["witness", "--state", state]).held();
    court.gateway.kill();
    let copy = std::fs::read(data.join("tacit.db")).expect("the database");
    let wal = std::fs::read(data.join("tacit.db-wal")).ok();
    court.gateway.restart();
    let before = audit_at(&court, &["witness", "--state", state]).held();
    assert!(before["entries"].as_u64() > before["before"].as_u64(), "each start is an entry: {before}");
    for round in 2..5 {
        work(&court.gateway, round);
        court.gateway.kill();
        court.gateway.restart();
        let checked = audit_at(&court, &["check"]).held();
        assert_eq!(checked["kinds"]["software"], round + 1);
        assert_eq!(checked["groups"].as_array().map(Vec::len), usize::try_from(round).ok());
        assert_eq!(checked["groups"][0]["consensus"], json!(owned));
        audit_at(&court, &["witness", "--state", state]).held();
    }
    court.gateway.stop();
    for file in ["tacit.db", "tacit.db-wal", "tacit.db-shm"] {
        let _not_there = std::fs::remove_file(data.join(file));
    }
    std::fs::write(data.join("tacit.db"), copy).expect("restored");
    if let Some(wal) = wal {
        std::fs::write(data.join("tacit.db-wal"), wal).expect("restored");
    }
    court.gateway.restart();
    audit_at(&court, &["check"]).held();
    let told = audit_at(&court, &["witness", "--state", state]);
    assert_eq!(told.code, Some(3), "{}", told.error);
    assert!(told.error.contains("rolled back"), "{}", told.error);
    assert!(court.keys.path().join("seen.disputed").is_file());

    // The restore was an honest one: from the head that was shown then the log is witnessed again.
    let settle = |accept: &str| {
        run(&["audit", "settle", "--state", state, "--accept", accept, "--reason", "restored", "--json"])
    };
    assert_eq!(settle("nonsense").status.code(), Some(3));
    let kept = std::fs::read(court.keys.path().join("seen.disputed")).expect("the evidence");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    let root = kept["shown"].as_str().and_then(|note| note.lines().nth(2)).expect("a root");
    let said = settle(root);
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let told: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let evidence = std::fs::read_to_string(told["evidence"].as_str().expect("a file")).expect("the evidence");
    assert!(evidence.contains("\"settled\": \"restored\""), "{evidence}");
    work(&court.gateway, 2);
    audit_at(&court, &["witness", "--state", state]).held();
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
    let mut court = Court::over(Node::with("gateway", &["--tls", "--test-mode", "--roles", "manager"]));
    let mut a = Node::with("a", &["--tls", "--test-mode", "--roles", "peer"]);
    let mut b = Node::with("b", &["--tls", "--test-mode", "--roles", "peer"]);
    let sink = Sink::open();
    let mut group = Group::found(&court.gateway.manager(), "g");
    group.join(&a.peers(), "a", PRIVACY, &sink.url("a"));
    group.join(&b.peers(), "b", PRIVACY, &sink.url("b"));
    group.verify_all();
    let (name_a, name_b) = (group.full("a"), group.full("b"));
    witnessed(&court.gateway, &a, &name_a);
    witnessed(&court.gateway, &b, &name_b);
    // Both cosignatures are in an export, and hold.
    let data = court.gateway.data();
    let file = court.keys.path().join("log.jsonl");
    until("two cosignatures", || {
        let exported = audit_at(&court, &["export", "--out", text(&file)]).held();
        match exported["witnesses"].as_array().map(Vec::len) {
            Some(2) => Ok(()),
            _ => Err(exported["witnesses"].to_string()),
        }
    });
    assert_eq!(audit(&["verify", text(&file)]).held()["witnesses"].as_array().map(Vec::len), Some(2));

    b.stop();
    court.gateway.stop();
    let before = std::fs::read(data.join("tacit.db")).expect("the database");
    court.gateway.restart();
    work(&court.gateway, 2);
    let left = witnessed(&court.gateway, &a, &name_a);
    a.stop();
    court.gateway.stop();
    std::fs::write(data.join("tacit.db"), before).expect("the database");
    court.gateway.restart();
    work(&court.gateway, 2);
    work(&court.gateway, 3);
    b.restart();
    witnessed(&court.gateway, &b, &name_b);

    // One member hands its head to the other, who asks the gateway for a proof that there cannot be.
    let note = a.data().join("left.note");
    std::fs::write(&note, left).expect("a note");
    let state = a.data().join("seen.json");
    let told = audit_at(&court, &["witness", "--state", text(&state), "--against", text(&note)]);
    assert_eq!(told.code, Some(3), "{}", told.error);
    assert!(told.error.contains("does not contain"), "{}", told.error);
    assert!(a.data().join("seen.disputed").is_file());

    // And the member that comes back notices by itself.
    a.restart();
    until("the dispute", || match seen(&a, &name_a)["disputed"].as_str() {
        Some(_) => Ok(()),
        None => Err(seen(&a, &name_a).to_string()),
    });
    let told = run(&["peer", "witness", &name_a, "--data", text(&a.data())]);
    assert_eq!(told.status.code(), Some(3));
    let own = audit(&["check", "--data", text(&a.data())]).held();
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
    work(&court.gateway, 4);
    witnessed(&court.gateway, &a, &name_a);
    assert_eq!(seen(&a, &name_a)["disputed"], Value::Null);
    let shown = run(&["audit", "show", "--data", text(&a.data())]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let entry = shown.lines().find(|line| line.contains("\"settled\"")).expect("an entry");
    assert!(entry.contains("backup of last night") && entry.contains(&root), "{entry}");
    audit(&["check", "--data", text(&a.data())]).held();
}

/// The first signature under a charter's document.
fn signature_in(document: &str) -> String {
    let document: Value = serde_json::from_str(document).expect("JSON");
    document["signatures"][0]["signature"].as_str().expect("a signature").to_owned()
}

/// The root in a note.
fn left_root(note: &Path) -> String {
    let note = std::fs::read_to_string(note).expect("a note");
    note.lines().nth(2).expect("a root").to_owned()
}

/// Every result has a receipt that a stranger verifies; contributors, and nobody else, prove that their data counted.
#[test]
fn r10_a_result_has_a_receipt_that_strangers_verify_and_the_log_tells_it_all() {
    let court = Court::over(Node::with("gateway", &["--tls", "--test-mode", "--roles", "manager"]));
    let (peers, sink) = (Node::with("peers", &["--tls", "--test-mode", "--roles", "peer"]), Sink::open());
    let (manager, service) = (court.gateway.manager(), peers.peers());
    let group = Group::usual(&manager, &service, "g", &|peer| sink.url(peer), &Config::of(2, 2));
    group.start();
    for slot in [1, 2] {
        group.give("a", &["1;3"]);
        group.give("b", &["2;5"]);
        assert_eq!(sink.wait_rows("a", slot).len(), slot);
    }
    let data = peers.data();
    let receipts = |holder: &str| -> Vec<Value> {
        let output = run(&["receipt", "list", "--json", "--data", text(&data), "--peer", holder]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let issued = || court.tacit("admin", &["receipt", "list"]).json().as_array().cloned().unwrap_or_default();
    let (a, x) = (group.full("a"), group.full("x"));
    until("the receipts", || {
        let all = [issued(), receipts(&a), receipts(&x)];
        if all.iter().all(|list| list.len() == 2) { Ok(()) } else { Err(format!("{all:?}")) }
    });
    let session = issued()[0]["session"].as_str().expect("a session").to_owned();
    let folder = court.keys.path();
    let (file, mine) = (folder.join("receipt.json"), folder.join("mine.json"));
    let (file, mine) = (text(&file), text(&mine));
    let show =
        run(&["receipt", "show", &session, "--data", text(&data), "--peer", &a, "--out", file, "--contribution", mine]);
    assert_eq!(show.status.code(), Some(0), "{show:?}");
    // What was written is said, beside the results.
    let told = String::from_utf8_lossy(&show.stderr);
    assert!(show.stdout.is_empty() && told.lines().all(|line| line.ends_with(" is written")), "{show:?}");
    assert_eq!(told.lines().count(), 2, "{told}");
    // The gateway holds the same one, and a peer that gave nothing has nothing to prove.
    let theirs = court.tacit("admin", &["receipt", "show", &session]);
    let document = std::fs::read(file).expect("a receipt");
    assert_eq!(theirs.out.as_bytes(), document);
    let none = run(&["receipt", "show", &session, "--data", text(&data), "--peer", &x, "--contribution", mine]);
    assert_eq!(none.status.code(), Some(3));

    let key = court.pin();
    let charter = court.tacit("admin", &["group", "consensus", &group.gid.to_string()]);
    let agreed = folder.join("charter.json");
    std::fs::write(&agreed, &charter.out).expect("a charter");
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
        let member = court.gateway.api("GET", &format!("/members/{}", group.full(giver)), None).ok().json();
        let fingerprint = member["fingerprint"].as_str().expect("a fingerprint");
        assert!(!plain.contains(fingerprint), "{giver} is named");
    }

    // A verifier that shares no code says the same, of the good one and of changed ones.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/verify_receipt.py");
    let stranger = |more: &[&str]| {
        let output = std::process::Command::new("python3").args([script, file]).args(more).output();
        output.expect("python3 runs")
    };
    let said = stranger(&["--key", &key, "--contribution", mine, "--consensus", text(&agreed)]);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    // The same documents one to a line; then one of them left out, changed, or under a signature of another one.
    let documents: Vec<String> = serde_json::from_str(&charter.out).expect("documents");
    let other = folder.join("other.json");
    let under = |documents: &[String]| {
        std::fs::write(&other, documents.join("\n")).expect("written");
        let both = [verify(&["--consensus", text(&other)]), stranger(&["--consensus", text(&other)])];
        both.map(|said| said.status.code())
    };
    assert_eq!(under(&documents), [Some(0); 2]);
    let last = documents.len() - 1;
    let mut swapped = documents.clone();
    swapped[last] = swapped[last].replacen(&signature_in(&documents[last]), &signature_in(&documents[0]), 1);
    let mut changed = documents.clone();
    changed[last] = changed[last].replacen("threshold\\\":1", "threshold\\\":2", 1);
    for forged in
        [&documents[1..], &documents[..last], &[&documents[..1], &documents[last..]].concat(), &swapped, &changed]
    {
        assert_ne!(forged, documents);
        assert_eq!(under(forged), [Some(3); 2], "{forged:?}");
    }
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

    // R10: sessions, receipts, keys that signed, parameters, decisions, calls and the version are in the logs, each with
    // time and signer: the gateway's is exported over https and verified as a file, the peers' own is their node's.
    let log = folder.join("log.jsonl");
    audit_at(&court, &["export", "--out", text(&log)]).held();
    let gateway = audit(&["verify", text(&log), "--key", &key]).held();
    let own = audit(&["check", "--data", text(&data)]).held();
    for (log, kinds) in [
        (&gateway, &["session", "receipt", "parameter", "consensus", "action", "software"][..]),
        (&own, &["key_use", "parameter", "action", "software"]),
    ] {
        for kind in kinds {
            assert!(log["kinds"][kind].as_u64() > Some(0), "{kind}: {log}");
        }
    }
    // The set of inputs is there by its digest: the statement is, which names it, and a stranger finds it again.
    let logged = std::fs::read_to_string(&log).expect("a log");
    let receipt: Value = serde_json::from_slice(&std::fs::read(file).expect("a receipt")).expect("JSON");
    let facts = receipt["log"]["entry"]["facts"].to_string();
    assert!(receipt["statement"]["frozen"].is_string() && logged.contains(&facts), "{facts}");
}
