//! What somebody new to the program does: a second start, a reader that has gone, an answer that cannot be meant, a
//! question that takes long.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Node, Port, run, tacit};
use crate::http::Request;
use crate::rooms::Rooms;
use crate::wait::until;

/// An output whose reader has gone.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[track_caller]
fn refused(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{words}: {output:?}");
}

/// The nodes of the first `tacit up` stay reachable for every command that finds them by their folder.
#[test]
fn a_second_up_on_the_same_folder_is_refused_and_touches_nothing() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("coordinator");
    std::fs::create_dir_all(data.join("run")).expect("folders");
    std::fs::write(data.join("node.toml"), "name = \"coordinator\"\n").expect("a configuration");
    let address = data.join("run").join("addr.json");
    std::fs::write(&address, "{}").expect("an address");
    let lock = std::fs::File::create(data.join("lock")).expect("a lock");
    lock.try_lock().expect("nobody else has it");
    let up = || run(&["up", "--data", folder.path().to_str().expect("a path")]);
    refused(&up(), "another node is using");
    assert_eq!(std::fs::read_to_string(&address).expect("it is there"), "{}");
    let moved = run(&["up", "--data", folder.path().to_str().expect("a path"), "--http", "127.0.0.1:1"]);
    refused(&moved, "leave --http out");
}

#[test]
fn a_reader_that_has_gone_ends_a_command_quietly_and_a_service_never() {
    let output = tacit().args(["group", "aggregators"]).stdout(unread()).output().expect("tacit runs");
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]), "{output:?}");

    let folder = TempDir::new().expect("a folder");
    let port = Port::reserve();
    let mut service = tacit()
        .args(["p2ds", "--admin-key", "a-key", "--listen", &format!("127.0.0.1:{}", port.number), "--data"])
        .arg(folder.path().join("data"))
        .stdout(unread())
        .stderr(unread())
        .spawn()
        .expect("tacit starts");
    until("the service", || {
        assert_eq!(service.try_wait().expect("its state"), None, "it has ended");
        let url = format!("http://127.0.0.1:{}/healthz", port.number);
        Request::new("GET", &url).send().map(drop).map_err(|e| e.to_string())
    });
    service.kill().expect("it runs");
    service.wait().expect("it ends");
}

/// Only a reader that has gone is nobody's fault: a full disk is an error.
#[test]
fn a_demo_that_cannot_tell_its_story_has_failed() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let demo = tacit().args(["demo", "hospital", "--rounds", "1"]).stdout(full).output().expect("tacit runs");
    assert_eq!(demo.status.code(), Some(1), "{demo:?}");
    refused(&run(&["demo", "hospital", "--rounds", "0"]), "--rounds");
    refused(&run(&["demo", "attacks", "--rounds", "3"]), "--rounds belongs to");
}

/// What cannot be undone is asked about; nobody is there to answer, so nothing happens, before any node is asked.
#[test]
fn leaving_a_group_needs_a_yes() {
    refused(&run(&["peer", "leave", "alpha"]), "--yes");
}

/// What cannot be meant is said at once, and nothing is done.
#[test]
fn an_answer_that_cannot_be_meant_is_wrong_usage() {
    refused(&run(&["group", "slot-rules", "1", "--on-missing-input", "fail", "--slot", "5"]), "--first-slot");
    refused(&run(&["group", "slot-rules", "1", "--on-missing-input", "fail", "--deadline", "0"]), "--deadline");
    for alone in ["0", "1"] {
        refused(&run(&["group", "slot-rules", "1", "--on-missing-input", alone]), "at least 2");
    }
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("node");
    let data = data.to_str().expect("a path");
    refused(&run(&["init", "--yes", "--data", data, "--name", " alpha"]), "begins or ends with a space");
    for place in ["gw.example", "http://gw.example:7401"] {
        refused(&run(&["init", "--yes", "--data", data, "--advertise", place]), "this is HOST:PORT");
    }
    refused(&run(&["init", "--yes", "--data", data, "--http", "localhost:7400"]), "such as 127.0.0.1:7400");
    let here = folder.path().to_str().expect("a path");
    refused(&run(&["serve", "--config", here]), &format!("its file is meant: {here}/node.toml"));
    // A node would not start with it.
    refused(&run(&["init", "--yes", "--data", data, "--http", "0.0.0.0:7400"]), "(--tls, or --http 127.0.0.1:7400)");
    assert!(!folder.path().join("node").exists(), "nothing was written");
    for (wrong, word) in [
        ("url = \"foo\"", "url = \"foo\""),
        ("url = \"https://\"", "url"),
        ("name = \"a \"", "name"),
        ("advertise = \"127.0.0.1\"", "advertise: this is HOST:PORT"),
        ("advertise = \"http://127.0.0.1:7401\"", "advertise: this is HOST:PORT"),
        ("policy.epsilon_budgets = [\"temperature:2\"]", "a budget is NAME=DECIMAL"),
        ("policy.models = [\"honest\"]", "models are semi-honest"),
    ] {
        let file = folder.path().join("node.toml");
        std::fs::write(&file, format!("{wrong}\nhttp = \"127.0.0.1:0\"\nlink = \"127.0.0.1:0\"\n")).expect("a file");
        refused(&run(&["serve", "--config", file.to_str().expect("a path")]), word);
        assert!(!folder.path().join("tacit.db").exists(), "nothing was made");
    }

    let scene = Rooms::found(3);
    let data = scene.gateway.data();
    let at = |args: &[&str]| run(&[args, &["--data", data.to_str().expect("a path")]].concat());
    let group = scene.gid.to_string();
    refused(&at(&["group", "slot-rules", &group, "--on-missing-input", "9"]), "3 verified members give input");
    assert_eq!(at(&["group", "slot-rules", &group, "--on-missing-input", "3"]).status.code(), Some(0));
    refused(&at(&["group", "create", " offices"]), "space in front or behind");
    let room = scene.rooms[0].node.data();
    let join = ["join", "0123456789abcdef", "--name", "room9 ", "--gateway", &scene.gateway.url()];
    refused(&run(&[&join[..], &["--data", room.to_str().expect("a path")]].concat()), "space in front or behind");
}

/// Where nothing can be made or written, the place is named in full, and what to do.
#[test]
fn a_place_that_cannot_be_used_is_named() {
    let folder = TempDir::new().expect("a folder");
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let (file, nowhere) = (folder.path().join("file"), folder.path().join("nowhere"));
    std::fs::write(&file, "").expect("an empty file");
    let in_the_way = format!("{} is a file and no folder; choose", file.display());
    let below = text(&file.join("x"));
    refused(&run(&["init", "--yes", "--data", &below]), &in_the_way);
    refused(&run(&["demo", "hospital", "--data", &below]), &in_the_way);
    refused(&run(&["demo", "hospital", "--data", &text(&file)]), &format!("{} cannot be listed: ", file.display()));
    let missing = format!("there is no folder {}; ", nowhere.display());
    let asked = "task run --source temperature --aggregator mean --purpose HVAC --no-wait --result-key";
    let (asked, key) = (asked.split(' ').collect::<Vec<_>>(), text(&nowhere.join("a.key")));
    refused(&run(&[&asked[..], &[key.as_str()]].concat()), &missing);

    let node = Node::with("gateway", &["--roles", "manager"]);
    let out = text(&nowhere.join("log.jsonl"));
    refused(&run(&["audit", "export", "--out", &out, "--data", &text(&node.data())]), &missing);
    let unknown = run(&["group", "list", "--node", &node.url(), "--token-file", &text(&file)]);
    let why = String::from_utf8_lossy(&unknown.stderr);
    assert!(unknown.status.code() == Some(3) && why.contains("the token that was sent is empty"), "{why}");
    std::fs::write(&file, "tacit_x").expect("no token");
    let unknown = run(&["group", "list", "--node", &node.url(), "--token-file", &text(&file)]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("the first `tacit serve` writes"), "{unknown:?}");
}

/// A service manager does not try these again: only a person can mend them.
#[test]
fn a_start_that_only_a_person_can_mend_ends_with_2_or_3() {
    let folder = TempDir::new().expect("a folder");
    let keys = folder.path().join("keys");
    let made = run(&["key", "new", "--dir", keys.to_str().expect("a path"), "--name", "node", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let anywhere = "http = \"127.0.0.1:0\"\nlink = \"127.0.0.1:0\"\n";
    let alone = format!(
        "roles = [\"gateway\"]\n{anywhere}[[replication.nodes]]\nfingerprint = {}\nlink = \"127.0.0.1:7401\"\n\
         url = \"http://127.0.0.1:7400\"\n",
        made["fingerprint"]
    );
    let serve = |file: &Path, config: &str| {
        std::fs::write(file, config).expect("a configuration");
        run(&["serve", "--config", file.to_str().expect("a path")])
    };
    refused(&serve(&folder.path().join("node.toml"), &alone), "at least 3 nodes");

    let scene = Rooms::found(0);
    let mut peer = Node::served("peer", "roles = [\"peer\"]\n");
    let code = scene.gateway.api("POST", &format!("/groups/{}/codes", scene.gid), None).json()["code"].clone();
    let url = format!("{}/api/v1", scene.gateway.url());
    let joining = json!({ "name": "room", "role": "both", "gateway_url": url, "registration_code": code });
    let fingerprint = peer.api("POST", "/peers", Some(&joining)).json()["fingerprint"].clone();
    peer.stop();
    let keys = peer.data().join("keys");
    let name = format!("party-{}", &fingerprint.as_str().expect("a fingerprint")[..32]);
    let (key, certificate) = (keys.join(format!("{name}.key")), keys.join(format!("{name}.crt")));
    let ends = |words: &str| {
        let ended = serve(&peer.data().join("node.toml"), &format!("roles = [\"peer\"]\n{anywhere}"));
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains(words), "{words}: {ended:?}");
    };
    let rights = |mode| std::fs::set_permissions(&key, Permissions::from_mode(mode)).expect("rights");
    rights(0o644);
    ends("is open to other users");
    rights(0o400);
    std::fs::remove_file(&certificate).expect("it is there");
    std::fs::copy(keys.join("node.crt"), &certificate).expect("a certificate of another key");
    ends("is the certificate of another key");
    std::fs::remove_file(&key).expect("it is there");
    ends("does not exist");
}

/// A code that went astray is taken back, and lets nobody in.
#[test]
fn a_registration_code_can_be_withdrawn() {
    let scene = Rooms::found(0);
    let data = scene.gateway.data();
    let at = |args: &[&str]| {
        let output = run(&[args, &["--data", data.to_str().expect("a path")]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let group = scene.gid.to_string();
    let (astray, kept) = (at(&["group", "invite", &group]), at(&["group", "invite", &group]));
    let codes = at(&["group", "codes", &group]);
    assert!(codes.lines().count() == 2 && codes.contains(&astray) && codes.contains(&kept), "{codes}");
    at(&["group", "withdraw", &astray]);
    assert_eq!(at(&["group", "codes", &group]), kept);
    let register = |code: &str| {
        let url = format!("{}/api/v1/register/{code}?name=late&url=&type=3", scene.gateway.url());
        Request::new("POST", &url).json(&json!({})).answer()
    };
    let refused = register(&astray);
    assert!((400..500).contains(&refused.status) && refused.body.contains("code"), "{refused:?}");
    // Nobody is left to let in.
    at(&["group", "withdraw", &kept]);
    assert_eq!(at(&["group", "codes", &group, "--json"]), "[]");
}

/// Silence looks like a command that did nothing; programs still read nothing, or an empty list.
#[test]
fn where_there_is_nothing_yet_people_are_told_so() {
    let scene = Rooms::found(0);
    let data = scene.gateway.data();
    let at = |args: &[&str]| run(&[args, &["--data", data.to_str().expect("a path")]].concat());
    let group = scene.gid.to_string();
    for (list, said) in [
        (&["group", "codes", &group][..], "no open code: `tacit group invite` draws one"),
        (&["group", "directory", &group], "no member yet"),
        (&["group", "slots", &group], "the group has not run yet"),
        (&["pair", "list"], "nobody has registered yet"),
        (&["task", "list"], "no task yet: `tacit task run` asks for a result"),
        (&["task", "offers", "--group", &group], "no member is connected"),
        (&["receipt", "list"], "no receipt yet"),
        (&["negotiation", "list", "--group", &group], "no negotiation yet"),
    ] {
        let people = at(list);
        let told = String::from_utf8_lossy(&people.stderr);
        assert!(people.status.code() == Some(0) && people.stdout.is_empty(), "{list:?}: {people:?}");
        assert!(told.lines().count() == 1 && told.contains(said), "{list:?}: {told}");
        let programs = at(&[list, &["--json"]].concat());
        assert_eq!(programs.stdout, b"[]\n", "{list:?}: {programs:?}");
        assert!(programs.stderr.is_empty(), "{list:?}: {programs:?}");
    }
}

/// Each computation of a repeated task is told when it ends; whoever stops listening hears that the task goes on.
#[test]
fn a_repeated_task_is_followed_and_goes_on_without_its_listener() {
    let scene = Rooms::found(3);
    scene.measure("temperature", 1000, &["20", "21", "25"]);
    let data = scene.gateway.data();
    let mut asking = tacit()
        .args(["task", "run", "--source", "temperature", "--aggregator", "mean", "--purpose", "HVAC"])
        .args(["--every", "5", "--times", "100", "--data"])
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tacit starts");
    let mut told = String::new();
    // Kept open: who writes to a closed pipe ends there, with what is left of the first result.
    let mut results = BufReader::new(asking.stdout.take().expect("its results"));
    results.read_line(&mut told).expect("a line");
    assert!(told.contains("computation"), "{told}");
    let pid = nix::unistd::Pid::from_raw(asking.id().try_into().expect("a number"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it runs");
    let ended = asking.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let id = said.split_once("task ").and_then(|(_, rest)| rest.split_once(" is taken")).map(|(id, _)| id.to_owned());
    let id = id.unwrap_or_else(|| panic!("{said}"));
    assert!(said.contains(&format!("tacit task cancel {id}")), "{said}");
    let now = scene.gateway.api("GET", &format!("/tasks/{id}"), None).ok().json();
    assert_eq!(now["state"], json!("open"), "{now}");
    let cancelled = run(&["task", "cancel", &id, "--data", data.to_str().expect("a path")]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
}
