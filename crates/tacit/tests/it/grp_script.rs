//! The manual's call sequence, with curl, unchanged.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Node, Port, tacit};
use crate::http::{Request, get};
use crate::p2ds::{Config, Manager, Receiver, STARTED, STOPPED};
use crate::transport::curl;
use crate::wait::until;

/// What the scripts know.
const DEFAULT_KEY: &str = "default-admin-key";
const PEERS: [&str; 5] = ["peerhans", "hanspeer", "ppeer1", "ppeer2", "ppeer3"];

/// Runs a script of the fixtures; every call in it must be answered by 200.
#[track_caller]
fn run_script(name: &str, services: Option<[&str; 3]>, calls: usize) {
    run_script_at(name, services, None, calls);
}

/// The same with a folder of curl's own settings.
#[track_caller]
fn run_script_at(name: &str, services: Option<[&str; 3]>, settings: Option<&Path>, calls: usize) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/p2ds");
    let mut script = Command::new("bash");
    script.arg(format!("{folder}/{name}")).stdin(Stdio::null());
    if let Some([manager, peer, receiver]) = services {
        script.env("M", manager).env("P", peer).env("R", receiver);
    }
    if let Some(folder) = settings {
        script.env("CURL_HOME", folder);
    }
    let output = script.output().expect("bash runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    let all_well = answers.len() == calls && answers.iter().all(|line| line.starts_with("HTTP/1.1 200"));
    assert!(all_well, "{name}: {answers:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn wait_statuses(manager: &Manager, wanted: i64) {
    for peer in PEERS {
        until(&format!("{peer} to have status {wanted}"), || {
            let status = manager.status(peer);
            if status == wanted { Ok(()) } else { Err(status.to_string()) }
        });
    }
}

/// From the end of `grp.sh` through a streaming run with `addInputs.sh`.
#[track_caller]
fn check_results(manager: &Manager, peer_url: &str, receiver: &Receiver, services: Option<[&str; 3]>) {
    // Each of the two input peers posts each result once.
    let first = ["3;8", "3;8", "7;9", "7;9"];
    receiver.wait_results(&first);
    wait_statuses(manager, STOPPED);
    assert!(manager.overview().contains("Stopped. All peers stopped."));

    manager.configure(1, &Config::of(2, -1));
    manager.start_group(1).expect(200, "ERR_SUCCESS");
    wait_statuses(manager, STARTED);
    for peer in ["hanspeer", "peerhans"] {
        until(&format!("{peer} to run"), || {
            let url = format!("{peer_url}/p2ds-peer/input?registrationCode=TEST");
            let body = serde_json::json!({ "peerName": peer, "data": "x" });
            let reply = Request::new("POST", &url).json(&body).answer();
            if reply.body.contains("ERR_NOT_RUNNING") { Err(reply.body) } else { Ok(()) }
        });
    }
    manager.wait_overview("Running. All peers are running.");
    run_script("addInputs.sh", services, 6);
    receiver.wait_results(&[&first[..], &["10;10", "10;10", "11;4", "11;4", "5;12", "5;12"]].concat());
    wait_statuses(manager, STARTED);
    manager.stop_group(1).expect(200, "ERR_SUCCESS");
    wait_statuses(manager, STOPPED);
}

#[test]
fn p1_three_services_apart() {
    let key = ["--test-mode", "--admin-key", DEFAULT_KEY];
    let manager = Node::with("manager", &[&key[..], &["--roles", "manager"]].concat());
    let peer = Node::with("peer", &[&key[..], &["--roles", "peer"]].concat());
    let receiver = Node::with("receiver", &[&key[..], &["--roles", "receiver"]].concat());

    get(&format!("{}/p2ds-group-management/group-mgmt/status", manager.url())).expect(200, "OK");
    get(&format!("{}/p2ds-peer/status", peer.url())).expect(200, "OK");
    get(&format!("{}/p2ds-receiver/receiver/show", receiver.url())).ok();
    for node in [&manager, &peer, &receiver] {
        assert!(node.is_healthy());
    }
    // Nobody does another's work.
    assert_eq!(get(&format!("{}/p2ds-peer/status", manager.url())).status, 404);
    assert_eq!(get(&format!("{}/p2ds-group-management/group-mgmt/status", peer.url())).status, 404);
    assert_eq!(get(&format!("{}/p2ds-receiver/receiver/show", peer.url())).status, 404);

    let (m, p, r) = (manager.url(), peer.url(), receiver.url());
    let services = Some([m.as_str(), p.as_str(), r.as_str()]);
    run_script("grp.sh", services, 26);
    check_results(&manager.manager(), &p, &receiver.receiver(), services);
}

/// The same with https everywhere: the services believe each other's certificates by their fingerprints only.
#[test]
fn p26_three_services_over_https() {
    let key = ["--test-mode", "--tls", "--admin-key", DEFAULT_KEY];
    let manager = Node::with("manager", &[&key[..], &["--roles", "manager"]].concat());
    let receiver = Node::with("receiver", &[&key[..], &["--roles", "receiver"]].concat());
    let trusted = [manager.fingerprint(), receiver.fingerprint()];
    let trust = ["--roles", "peer", "--trust", &trusted[0], "--trust", &trusted[1]];
    let peer = Node::with("peer", &[&key[..], &trust].concat());
    let (m, p, r) = (manager.url(), peer.url(), receiver.url());
    assert!([&m, &p, &r].into_iter().all(|url| url.starts_with("https://")));

    // The script's curl knows no fingerprints.
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join(".curlrc"), "insecure\n").expect("written");
    run_script_at("grp.sh", Some([&m, &p, &r]), Some(home.path()), 26);
    let page = format!("{r}/p2ds-receiver/receiver/show");
    until("the receiver to show both results of both peers", || {
        let (code, status, page) = curl(&["-k", &page]);
        assert_eq!((code, status.as_str()), (Some(0), "200"), "{page}");
        let shown = ["3;8", "7;9"].map(|row| page.matches(row).count());
        if shown == [2, 2] { Ok(()) } else { Err(page) }
    });
}

/// The issue's own words: `tacit p2ds --listen 127.0.0.1:12001 --test-mode --admin-key default-admin-key`.
/// If that port is in use on this machine, the same on another.
#[test]
fn p12_grp_script_unchanged() {
    let manuals = Port::wait_for(12001);
    let free = manuals.is_some();
    let reserved = manuals.unwrap_or_else(Port::reserve);
    let port = reserved.number;
    let listen = format!("127.0.0.1:{port}");
    let log = tempfile::NamedTempFile::new().expect("a log file");
    let mut command = tacit();
    command.args(["p2ds", "--listen", &listen, "--test-mode", "--admin-key", DEFAULT_KEY]);
    let out = log.reopen().expect("the log file");
    command.stdout(out.try_clone().expect("the log file")).stderr(out);
    let mut node = Ended(command.spawn().expect("tacit starts"));

    let url = format!("http://localhost:{port}");
    let written = || std::fs::read_to_string(log.path()).unwrap_or_default();
    until("the node to answer", || {
        let status = format!("{url}/p2ds-group-management/group-mgmt/status");
        let reply = Request::new("GET", &status.replace("localhost", "127.0.0.1")).send();
        reply.map(drop).map_err(|e| format!("{e}\n{}", written()))
    });
    // Without --data the folder is told, and goes with the node.
    let said = written();
    let folder = said.split_whitespace().find(|word| word.contains("tacit-p2ds-")).unwrap_or_default();
    assert!(std::path::Path::new(folder).is_dir(), "{said}");
    let token = std::fs::read_to_string(format!("{folder}/keys/owner.token")).expect("an owner token");

    let services = (!free).then_some([url.as_str(); 3]);
    run_script("grp.sh", services, 26);
    let ip_url = format!("http://127.0.0.1:{port}");
    let manager = Manager::new(&ip_url, DEFAULT_KEY, token.trim());
    check_results(&manager, &ip_url, &Receiver::new(&ip_url), services);

    let told = Command::new("kill").args(["-TERM", &node.0.id().to_string()]).status().expect("kill runs");
    assert!(told.success());
    let status = until("the node to end", || node.0.try_wait().ok().flatten().ok_or_else(written));
    assert!(status.success(), "{status}\n{}", written());
    assert!(!std::path::Path::new(folder).exists(), "{folder} was left behind");
}

/// A child that does not outlive the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
