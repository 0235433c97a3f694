//! What survives the end of a process.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Node, files_below, run, tacit};
use crate::http::{Request, escaped, get};
use crate::p2ds::{Config, Group, STARTED, STOPPED};
use crate::sink::Sink;
use crate::wait::until;

/// How often the power goes.
const POWER_CUTS: i32 = 8;

/// Stops a node with an open run in the middle, twice, and lets the run finish.
#[track_caller]
fn survives(mut node: Node) {
    let sink = Sink::open();
    let (manager, service) = (node.manager(), node.peers());
    let config = Config { buffer: 2, ..Config::of(2, 2 + 2 * POWER_CUTS) };
    let group = Group::usual(&manager, &service, "g", &|peer| sink.url(peer), &config);
    let invitation = manager.invite(group.gid);
    let facts = || {
        let mut facts: BTreeMap<String, Value> = BTreeMap::new();
        for peer in group.seats.keys() {
            let name = group.full(peer);
            facts.insert(format!("member {peer}"), manager.peer(&name));
            facts.insert(format!("peer {peer}"), get(&service.at(&format!("/peer/{name}"))).ok().json());
        }
        let code = &group.seat("a").code;
        let configuration = format!("{}/configuration/{}?registrationCode={code}", manager.base, group.full("a"));
        facts.insert("configuration".to_owned(), get(&configuration).ok().json());
        facts.insert("group".to_owned(), get(&manager.at(&format!("/group/{}", group.gid))).ok().json());
        facts
    };
    let keys = |node: &Node| -> BTreeMap<_, _> {
        let files = files_below(&node.data().join("keys"));
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a key file"))).collect()
    };

    // At rest.
    let (before, key_files) = (facts(), keys(&node));
    node.stop();
    node.restart();
    assert_eq!(facts(), before);
    assert_eq!(keys(&node), key_files);

    // At work: one slot done and not yet posted, one row waiting for the other.
    group.start();
    group.give("a", &["1;3", "4;5"]);
    group.give("b", &["2;5"]);
    node.stop();
    node.restart();
    group.wait_connected();
    for peer in group.seats.keys() {
        group.wait_status(peer, STARTED);
        group.wait_running(peer);
    }
    group.give("b", &["3;4"]);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 2), ["3;8", "7;9"]);
    }

    // After power cuts as soon as a result was heard of: whatever was about to be written then is lost.
    let mut sums = vec!["3;8", "7;9"];
    for _ in 0..POWER_CUTS {
        node.kill();
        node.restart();
        group.wait_connected();
        group.wait_running("a");
        group.wait_running("b");
        group.give("a", &["1;1", "2;2"]);
        group.give("b", &["9;9", "8;8"]);
        sums.extend(["10;10", "10;10"]);
        for peer in ["a", "b"] {
            assert_eq!(sink.wait_rows(peer, sums.len()), sums);
        }
    }
    group.wait_all(STOPPED);
    assert_eq!(keys(&node), key_files);
    let codes = node.api("GET", &format!("/groups/{}", group.gid), None).ok().json();
    assert_eq!(codes["codes"], serde_json::json!([invitation]), "{codes}");
}

#[test]
fn p27_persistence() {
    survives(Node::start());
}

/// The same with a link port of the system's choice, which is another one each time.
#[test]
fn p27_persistence_with_any_link_port() {
    survives(Node::without_link_port("node", &["--test-mode"]));
}

/// The end of a run while a peer is away: it hears of it when it is back, and posts what it still has.
#[test]
fn p27_a_peer_that_missed_the_stop_hears_of_it() {
    let sink = Sink::open();
    let manager = Node::with("manager", &["--test-mode", "--roles", "manager"]);
    let mut peers = Node::with("peers", &["--test-mode", "--roles", "peer"]);
    let config = Config { buffer: 10, ..Config::of(1, -1) };
    let group = Group::usual(&manager.manager(), &peers.peers(), "g", &|peer| sink.url(peer), &config);
    group.start();
    group.give("a", &["1", "2"]);
    group.give("b", &["1", "2"]);
    until("two slots to be done", || {
        let slots = manager.api("GET", &format!("/groups/{}/runs/1/slots", group.gid), None).ok().json();
        let done = slots["slots"].as_array().into_iter().flatten().filter(|slot| slot["state"] == "done").count();
        if done == 2 { Ok(()) } else { Err(slots.to_string()) }
    });
    peers.kill();
    group.stop();
    group.wait_all(STOPPED);
    peers.restart();
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 2), ["2", "4"]);
    }
    // Nobody believes to be running.
    group.wait_connected();
    for peer in ["x", "y", "z", "a", "b"] {
        until(&format!("{peer} to hear of the end"), || {
            let path = format!("/peers/{}", escaped(&group.full(peer)));
            let own = peers.api("GET", &path, None).ok().json();
            if own["status"] == "running" { Err(own.to_string()) } else { Ok(()) }
        });
        group.start_peer(peer);
    }
    group.give("a", &["5"]);
    group.give("b", &["5"]);
    group.wait_all(STARTED);
    group.stop();
}

/// The manager orchestrates and nothing more: rows are taken while it is away, and a run that it left
/// in the middle of a slot goes on when it is back.
#[test]
fn p27_a_run_survives_its_manager() {
    const ROWS: usize = 20;
    let sink = Sink::open();
    let mut manager = Node::with("manager", &["--test-mode", "--roles", "manager"]);
    let peers = Node::with("peers", &["--test-mode", "--roles", "peer"]);
    let group = Group::usual(&manager.manager(), &peers.peers(), "g", &|peer| sink.url(peer), &Config::of(2, -1));
    group.start();
    let mut sums = Vec::new();
    for round in 0..4 {
        let before = sums.len();
        let rows: Vec<String> = (before..before + ROWS).map(|slot| format!("{slot};1")).collect();
        sums.extend((before..before + ROWS).map(|slot| format!("{};2", 2 * slot)));
        if round % 2 == 0 {
            // Away before the rows come.
            manager.kill();
            group.give_all("a", &rows);
            group.give_all("b", &rows);
        } else {
            // Lost at work.
            group.give_all("a", &rows);
            group.give_all("b", &rows);
            sink.wait_rows("a", before + 2 + round);
            manager.kill();
        }
        manager.restart();
        for peer in ["a", "b"] {
            assert_eq!(sink.wait_rows(peer, sums.len()), sums, "{peer}, round {round}");
        }
    }
    group.wait_all(STARTED);
}

#[test]
fn p27_two_nodes_never_share_a_folder() {
    let node = Node::start();
    let data = node.data();
    let args = ["p2ds", "--listen", "127.0.0.1:0", "--admin-key", "k", "--data", data.to_str().expect("a path")];
    let output = crate::harness::run(&args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("another"), "{output:?}");
    assert!(node.is_healthy());
}

/// Half of a copy would start as an empty node with the old keys, and stand in the way of the next one.
#[test]
fn a_backup_that_fails_leaves_nothing_and_is_made_by_the_next_try() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copies) = (folder.path().join("node"), folder.path().join("copies"));
    let text = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    std::fs::create_dir(&data).expect("a folder");
    assert!(run(&["key", "new", "--dir", &text(&data.join("keys")), "--name", "node"]).status.success());
    std::fs::write(data.join("node.toml"), "name = \"alpha\"\n").expect("a configuration");
    let backup = || run(&["backup", "--data", &text(&data), "--to", &text(&copies.join("monday"))]);
    // Keys and configuration are copied by the time that the database is missed.
    let failed = backup();
    let why = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && why.contains("monday was not made") && why.contains("tacit.db"), "{why}");
    assert_eq!(std::fs::read_dir(&copies).expect("a folder").count(), 0, "{:?}", files_below(&copies));

    // What a copy forgets is all that it asks of a database.
    let tables = "CREATE TABLE input_rows (data); CREATE TABLE party_runs (pending); CREATE TABLE series (value);";
    let database = rusqlite::Connection::open(data.join("tacit.db")).expect("a database");
    database.execute_batch(tables).expect("tables");
    drop(database);
    let made = backup();
    assert!(made.status.success(), "{made:?}");
    let copied = ["keys/node.key", "node.toml", "tacit.db"].map(|file| copies.join("monday").join(file));
    assert!(copied.iter().all(|file| file.is_file()), "{:?}", files_below(&copies));
    assert_eq!(std::fs::read_dir(&copies).expect("a folder").count(), 1, "{:?}", files_below(&copies));
}

/// The copy of a running node starts with its results, and without the row that waits.
#[test]
fn a_backup_holds_results_and_keys_and_no_input() {
    const WAITING: u64 = 0x0123_4567_89ab;
    let (node, sink) = (Node::start(), Sink::open());
    let config = Config { max: 1 << 50, field: (1 << 61) - 1, ..Config::of(2, -1) };
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &config);
    group.start();
    group.give("a", &["1;3", &format!("{WAITING};4")]);
    group.give("b", &["2;5"]);
    assert_eq!(sink.wait_rows("b", 1), ["3;8"]);
    let holds = |folder: &std::path::Path, needle: &[u8]| {
        let bytes: Vec<Vec<u8>> = files_below(folder).iter().map(|f| std::fs::read(f).expect("a file")).collect();
        bytes.iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    };
    assert!(holds(&node.data(), &WAITING.to_le_bytes()), "the row waits somewhere else");

    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("copy");
    let (data, to_text) = (node.data(), to.to_str().expect("a path").to_owned());
    let arguments = ["backup", "--data", data.to_str().expect("a path"), "--to", &to_text];
    let made = run(&arguments);
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8_lossy(&made.stdout).contains("samples of series are not in it"), "{made:?}");
    assert!(!holds(&to, &WAITING.to_le_bytes()));
    assert!(!files_below(&data).iter().any(|file| file.to_string_lossy().ends_with("-in-progress")));
    for file in files_below(&to) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("a file").permissions());
        let public = file.extension().is_some_and(|e| e == "crt");
        assert!(public || mode & 0o077 == 0, "{}: {mode:o}", file.display());
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
    // A second one does not write over the first.
    let again = run(&arguments);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("choose a folder that does not exist yet"), "{again:?}");

    drop(node);
    let mut restored = tacit()
        .args(["p2ds", "--listen", "127.0.0.1:0", "--data", &to_text, "--test-mode", "--admin-key", "k"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("tacit starts");
    let address = until("the copy to start", || {
        std::fs::read_to_string(to.join("run").join("addr.json")).map_err(|e| e.to_string())
    });
    let address: Value = serde_json::from_str(&address).expect("JSON");
    let url = format!("{}/api/v1/peers/{}/results", address["url"].as_str().expect("an address"), group.full("b"));
    let token = std::fs::read_to_string(to.join("keys").join("owner.token")).expect("a token");
    let results = until("the copy to answer", || {
        let asked = Request::new("GET", &url).header("authorization", format!("Bearer {}", token.trim())).send();
        asked.map_err(|e| e.to_string())
    });
    restored.kill().expect("killed");
    restored.wait().expect("ended");
    assert!(results.body.contains("\"3\"") && results.body.contains("\"8\""), "{results:?}");
}
