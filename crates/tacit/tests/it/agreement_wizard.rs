//! Wizards: interrupted, gone on with, and refused; the newcomer who only presses Enter.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agreement::{Court, text};
use crate::harness::{Node, tacit};
use crate::wait::until;

/// A wizard at work: what it says is read as it comes, Enter is pressed on demand.
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
    told: Arc<Mutex<String>>,
    readers: [JoinHandle<()>; 2],
}

impl Talk {
    fn start(args: &[&str], folder: &Path) -> Self {
        let mut child = tacit()
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tacit starts");
        let (said, words) = collect(child.stderr.take().expect("its words"));
        let (told, results) = collect(child.stdout.take().expect("its results"));
        Self { input: child.stdin.take(), child, said, told, readers: [words, results] }
    }

    fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    #[track_caller]
    fn wait_for(&self, words: &str) {
        until(&format!("the wizard to say {words:?}"), || {
            let said = self.said();
            if said.contains(words) { Ok(()) } else { Err(said) }
        });
    }

    /// Presses Enter so many times.
    fn enter(&mut self, times: usize) {
        // It may be gone already, which the next thing that is waited for tells.
        let _written = self.input.as_mut().expect("it listens").write_all("\n".repeat(times).as_bytes());
    }

    fn answer(&mut self, text: &str) {
        let _written = self.input.as_mut().expect("it listens").write_all(format!("{text}\n").as_bytes());
    }

    /// The power goes.
    fn kill(mut self) -> String {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        self.said()
    }

    /// Waits for the end: exit code, result, words.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String, String) {
        let status = until("the wizard to end", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => Err(self.said()),
        });
        // The pipes are read to their end within a moment.
        until("its last words", || {
            if self.readers.iter().all(JoinHandle::is_finished) { Ok(()) } else { Err(self.said()) }
        });
        let told = self.told.lock().expect("not poisoned").clone();
        (status.code(), told, self.said())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn collect(mut pipe: impl std::io::Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&text);
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = pipe.read(&mut bytes) {
            kept.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    });
    (text, reader)
}

/// The two wizards of a group with two owners.
struct Pair {
    court: Court,
    folder: TempDir,
}

impl Pair {
    fn new() -> Self {
        Self { court: Court::new(), folder: TempDir::new().expect("a folder") }
    }

    fn coordinator(&self) -> Talk {
        let token = self.court.gateway.data().join("keys").join("owner.token");
        let args = ["group", "create", "--ask", "--node", &self.court.gateway.url(), "--pin", &self.court.pin()];
        let more = ["--as", "coordinator", "--token-file", token.to_str().expect("a path")];
        Talk::start(&[&args[..], &more[..]].concat(), self.folder.path())
    }

    fn joiner(&self, invitation: &str) -> Talk {
        let args = ["join", invitation, "--ask", "--as", "joiner", "--gateway", &self.court.gateway.url()];
        Talk::start(&[&args[..], &["--gateway-fingerprint", &self.court.pin()]].concat(), self.folder.path())
    }

    /// Starts the coordinator and answers everything up to the invitation, which is returned.
    #[track_caller]
    fn begin(&self) -> (Talk, String) {
        let mut coordinator = self.coordinator();
        coordinator.enter(4);
        coordinator.wait_for("Set INVITATIONS (default: '0', proposed by this program)");
        coordinator.answer("1");
        coordinator.wait_for("Invitations pending: 1");
        let said = coordinator.said();
        let invitation = said.lines().find(|line| line.len() > 80 && line.contains('|')).expect("an invitation");
        (coordinator, invitation.trim().to_owned())
    }
}

#[test]
fn s02_s03_s04_s06_s08_two_owners_found_a_group_with_enter() {
    let pair = Pair::new();
    let (coordinator, invitation) = pair.begin();
    let said = coordinator.said();
    for question in ["GROUP_NAME", "SHARING", "ON_MISSING_INPUT", "DEADLINE", "INVITATIONS"] {
        assert!(said.contains(&format!("Set {question} (default: '")), "{question}: {said}");
    }
    assert!(said.contains("Your initial proposal is contribution 1"), "{said}");
    let joiner = pair.joiner(&invitation);
    joiner.wait_for("with contribution 1.");
    let (code, founded, said) = coordinator.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("All invited peers have joined. Sending accept contribution."), "{said}");
    let (code, joined, said) = joiner.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("equals your default: agreed"), "{said}");
    let [founded, joined] = [founded, joined].map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    for same in ["consensus", "joint_id", "owners", "gid", "registry"] {
        assert_eq!(founded[same], joined[same], "{same} is the same on both sides");
    }
    assert_eq!(founded["owners"].as_array().map(Vec::len), Some(2));
    // S08: the address that both were told leads to the joint peer, and whoever knows it needs no token.
    let url = text(&joined, "registry");
    assert!(said.contains(url), "{said}");
    let path = url.split_once("/api/v1").expect("an address of the gateway").1;
    let (status, registry) = pair.court.raw("GET", path, None);
    assert_eq!((status.as_str(), &registry["joint_id"]), ("200", &founded["joint_id"]), "{registry}");
    assert_eq!((&registry["consensus"], &registry["owners"]), (&founded["consensus"], &founded["owners"]));
    let id = path.split('/').nth(2).expect("a negotiation");
    pair.court.negotiate("eve", &["registry", id, "--last", text(&founded, "consensus")]).json();
    // An administrator alone changes the group no more.
    let group = pair.court.tacit("admin", &["group", "show", &founded["gid"].to_string()]).json();
    assert_eq!((&group["consensus"], &group["owners"]), (&founded["consensus"], &founded["owners"]));
    pair.court.tacit("admin", &["group", "slot-rules", "1", "--on-missing-input", "wait"]).refused(3, "has 2 owners");
}

#[test]
fn r05_s04_what_differs_is_asked_and_an_abort_leaves_nothing() {
    let pair = Pair::new();
    let mut coordinator = pair.coordinator();
    coordinator.enter(3);
    coordinator.wait_for("Set DEADLINE");
    coordinator.answer("7");
    coordinator.answer("1");
    coordinator.wait_for("Invitations pending: 1");
    let said = coordinator.said();
    let invitation = said.lines().find(|line| line.len() > 80 && line.contains('|')).expect("an invitation").trim();
    let id = invitation.split('|').next().expect("an id");
    let contributions = || pair.court.negotiate("eve", &["show", id]).json()["contributions"].as_array().map(Vec::len);
    // Everything that equals the joiner's defaults is listed and agreed on; the one that differs stops.
    let mut joiner = pair.joiner(invitation);
    joiner.wait_for("slots/deadline_ms: proposed 7000 by ");
    let said = joiner.said();
    assert!(said.contains("sharing = \"shamir\" (proposed by ") && said.contains("your default: 300000"), "{said}");
    joiner.answer("abort");
    let (code, _, said) = joiner.end();
    assert_eq!((code, contributions()), (Some(3), Some(1)), "{said}");
    // Without anybody to ask the difference is refused, unless a flag agreed to exactly this value.
    let silent = |more: &[&str]| {
        let base = ["join", invitation, "--yes", "--as", "joiner", "--gateway", &pair.court.gateway.url()];
        Talk::start(&[&base[..], &["--gateway-fingerprint", &pair.court.pin()], more].concat(), pair.folder.path())
    };
    let (code, _, said) = silent(&[]).end();
    assert_eq!((code, contributions()), (Some(3), Some(1)), "{said}");
    let (code, _, said) = silent(&["--accept", "slots/deadline_ms=8000"]).end();
    assert_eq!((code, contributions()), (Some(3), Some(1)), "{said}");
    let (code, _, said) = silent(&["--accept", "slots/deadline_ms=7000"]).end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(coordinator.end().0, Some(0));
}

#[test]
fn s07_a_coordinator_who_changes_a_parameter_loses_the_joiner() {
    let pair = Pair::new();
    let (coordinator, invitation) = pair.begin();
    coordinator.kill();
    let id = invitation.split('|').next().expect("an id").to_owned();
    let joiner = pair.joiner(&invitation);
    joiner.wait_for("You take part.");
    // The coordinator goes on by hand, with its own key, and changes more than the owners.
    let by_hand = |args: &[&str]| {
        let output = tacit()
            .args([&["negotiation"], args].concat())
            .args(["--as", "coordinator", "--node", &pair.court.gateway.url(), "--pin", &pair.court.pin(), "--json"])
            .current_dir(pair.folder.path())
            .output()
            .expect("tacit runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    };
    by_hand(&["contribute", &id, "--owners-joined", "--set", "slots/deadline_ms=1"]);
    by_hand(&["accept", &id, "--contribution", "3"]);
    let (code, _, said) = joiner.end();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("changed slots/deadline_ms after you looked at it"), "{said}");
    let state = pair.court.negotiate("eve", &["show", &id]).json();
    assert_eq!(state["status"], json!("open"));
}

/// Both wizards are killed after everything they say, and still reach the same end.
#[test]
fn s12_wizards_go_on_where_they_were_killed() {
    let pair = Pair::new();
    // After each answered question.
    for (question, answer) in
        [("GROUP_NAME", "ours"), ("SHARING", ""), ("ON_MISSING_INPUT", "wait"), ("DEADLINE", ""), ("INVITATIONS", "1")]
    {
        let mut coordinator = pair.coordinator();
        coordinator.wait_for(&format!("Set {question} ("));
        coordinator.answer(answer);
        // What was typed is not echoed into the pipe: the prompt, and then the answer as it was kept.
        coordinator.wait_for(&format!("{question}: {question}: {answer}"));
        coordinator.kill();
    }
    // While the group, the negotiation and the invitation come to be.
    let mut invitation = String::new();
    for words in ["Your key is", "Send invitations", "Invitations pending: 1"] {
        let coordinator = pair.coordinator();
        coordinator.wait_for(words);
        let said = coordinator.kill();
        assert!(said.contains("GROUP_NAME: ours (answered before)"), "{said}");
        if let Some(line) = said.lines().find(|line| line.len() > 80 && line.contains('|')) {
            assert!(invitation.is_empty() || invitation == line.trim(), "the invitation stays what it was");
            line.trim().clone_into(&mut invitation);
        }
    }
    // The joiner while it looks, and after it took part.
    let joiner = pair.joiner(&invitation);
    joiner.wait_for("Negotiation initialized by");
    joiner.kill();
    let mut joiner = pair.joiner(&invitation);
    joiner.wait_for("slots/on_missing_input: proposed \"wait\"");
    joiner.kill();
    joiner = pair.joiner(&invitation);
    joiner.wait_for("slots/on_missing_input: proposed \"wait\"");
    joiner.enter(1);
    joiner.wait_for("You take part.");
    joiner.kill();
    let coordinator = pair.coordinator();
    coordinator.wait_for("Sending accept contribution.");
    coordinator.kill();
    let joiner = pair.joiner(&invitation);
    let coordinator = pair.coordinator();
    let ends = [coordinator.end(), joiner.end()];
    assert!(ends.iter().all(|(code, _, _)| *code == Some(0)), "{ends:?}");
    let [founded, joined] = ends.map(|(_, text, _)| serde_json::from_str::<Value>(&text).expect("JSON"));
    assert_eq!((&founded["consensus"], &founded["joint_id"]), (&joined["consensus"], &joined["joint_id"]));
    let groups = pair.court.tacit("admin", &["group", "list"]).json();
    assert_eq!(groups.as_array().map(Vec::len), Some(1), "one group came of all this");
}

/// A newcomer who presses nothing but Enter ends as a working member: its rows are in the sum.
#[test]
fn r06_r22_enter_alone_makes_a_working_member() {
    let node = Node::with("gateway", &["--tls", "--roles", "manager"]);
    let peers = Node::with("peers", &["--roles", "peer"]);
    let (manager, pin) = (node.manager(), node.fingerprint());
    let group = crate::p2ds::Group::found(&manager, "g");
    for peer in ["b", "c"] {
        let code = manager.invite(group.gid);
        let gateway = format!("{}/api/v1", node.url());
        let body = json!({"name": peer, "role": "both", "gateway_url": gateway, "gateway_fingerprint": pin, "registration_code": code});
        assert_eq!(peers.api("POST", "/peers", Some(&body)).status, 201);
        manager.verify(peer, true);
    }
    let code = node.api("POST", "/groups/1/codes", None).json()["code"].as_str().expect("a code").to_owned();
    let folder = TempDir::new().expect("a folder");
    let link = format!("{}/join/{code}", node.url());
    // Another certificate than the one that was read out is not believed, and nothing is registered.
    let elsewhere = TempDir::new().expect("a folder");
    let wrong = "0".repeat(64);
    let mut mistaken = Talk::start(&["join", &link, "--ask", "--gateway-fingerprint", &wrong], elsewhere.path());
    mistaken.enter(40);
    let (status, _, said) = mistaken.end();
    assert_eq!(status, Some(3), "{said}");
    let join = ["join", &link, "--ask", "--gateway-fingerprint", &pin];
    let mut newcomer = Talk::start(&join, folder.path());
    newcomer.enter(40);
    newcomer.wait_for("Waiting until the group has verified you");
    let said = newcomer.said();
    for question in ["NODE_NAME", "HTTP", "LINK", "ADVERTISE", "PEER_NAME", "KEY", "ROLE", "OPERATOR", "RESULTS"] {
        assert!(said.contains(&format!("Set {question} (default: '")), "{question}: {said}");
    }
    assert!(said.contains("proposed by the manager of the gateway, equals your default: agreed"), "{said}");
    let own =
        said.lines().find_map(|line| line.strip_prefix("Registered peer with PEER_ID: ")).expect("an id").to_owned();
    // Killed while it waits, it goes on waiting, as the same peer.
    newcomer.kill();
    let mut newcomer = Talk::start(&join, folder.path());
    newcomer.enter(1);
    newcomer.wait_for("Waiting until the group has verified you");
    let members = node.api("GET", "/groups/1/members", None).json();
    let name = members["members"]
        .as_array()
        .expect("members")
        .iter()
        .find(|m| m["fingerprint"] == own)
        .map(|m| m["name"].as_str().expect("a name").to_owned())
        .expect("the newcomer");
    let verify = json!({"verified": true, "fingerprint": own});
    assert_eq!(node.api("POST", &format!("/members/{name}/verify"), Some(&verify)).status, 200);
    newcomer.wait_for("is a member by consensus");
    // It computes with the others.
    let configuration =
        json!({"field": "2305843009213693951", "max_element": "100", "aggregator": "sum", "items": 1, "time_slots": 1});
    assert_eq!(node.api("PUT", "/groups/1/configuration", Some(&configuration)).status, 200);
    until("all to be connected", || {
        let members = node.api("GET", "/groups/1/members", None).json();
        let all = members["members"].as_array().is_some_and(|m| m.iter().all(|m| m["connected"] == true));
        if all { Ok(()) } else { Err(members.to_string()) }
    });
    assert_eq!(node.api("POST", "/groups/1/start", None).json()["started"], json!(3));
    let row = |n: u32| json!({"rows": [{"values": [n]}]});
    for (peer, value) in [("b", 2), ("c", 3)] {
        until("the rows to be taken", || {
            let reply = peers.api("POST", &format!("/peers/{peer}/rows"), Some(&row(value)));
            if reply.status == 200 { Ok(()) } else { Err(reply.body) }
        });
    }
    let data = folder.path().join("tacit-node");
    let peer = |args: &[&str], data: &PathBuf| {
        let output =
            tacit().args(["peer"]).args(args).args(["--json", "--data"]).arg(data).output().expect("tacit runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    until("the newcomer's row to be taken", || {
        let told = peer(&["rows", &name, "4"], &data);
        if told.contains("accepted") { Ok(()) } else { Err(told) }
    });
    until("the sum", || {
        let told = peer(&["results", &name], &data);
        if told.contains("\"9\"") { Ok(()) } else { Err(told) }
    });
}

#[test]
fn s01_init_names_its_defaults_and_asks_nothing_twice() {
    let folder = TempDir::new().expect("a folder");
    let start = || Talk::start(&["init", "--ask", "--data", "n"], folder.path());
    let mut wizard = start();
    wizard.wait_for("Set NODE_NAME (default: 'tacit', proposed by this program)");
    wizard.answer("alpha");
    wizard.wait_for("Set ROLES (default: 'gateway,peer,receiver'");
    wizard.kill();
    let mut wizard = start();
    wizard.wait_for("NODE_NAME: alpha (answered before)");
    wizard.enter(5);
    let (code, told, said) = wizard.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(told.contains("tacit serve --config n/node.toml"), "{told}");
    for question in
        ["HTTP (default: '127.0.0.1:7400'", "LINK (default: '127.0.0.1:7401'", "STORE (default: 'sqlite:tacit.db'"]
    {
        assert!(said.contains(question), "{question}: {said}");
    }
    let config = std::fs::read_to_string(folder.path().join("n").join("node.toml")).expect("a configuration");
    assert!(config.contains("name = \"alpha\""), "{config}");
    assert!(!folder.path().join("n").join("wizard.json").exists(), "nothing is left to go on with");
    let (code, _, said) = start().end();
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn s01_init_asks_again_at_once_for_what_cannot_be_meant() {
    let folder = TempDir::new().expect("a folder");
    let start = || Talk::start(&["init", "--ask", "--data", "n"], folder.path());
    let mut wizard = start();
    wizard.wait_for("Set NODE_NAME");
    wizard.enter(1);
    wizard.answer("foo");
    wizard.wait_for("\"foo\" is none of gateway, peer, receiver");
    wizard.kill();
    // What was not taken is not remembered.
    let mut wizard = start();
    wizard.wait_for("Set ROLES");
    wizard.answer("peer");
    wizard.wait_for("Set HTTP");
    wizard.answer("127.0.0.1");
    wizard.wait_for("not \"127.0.0.1\"");
    wizard.answer("127.0.0.1:7409");
    wizard.enter(3);
    let (code, _, said) = wizard.end();
    assert_eq!(code, Some(0), "{said}");
    let config = std::fs::read_to_string(folder.path().join("n").join("node.toml")).expect("a configuration");
    assert!(config.contains("127.0.0.1:7409") && config.contains("\"peer\""), "{config}");
}

/// D4.3, 4.5: "the wizard asks if there is an existing identity key to be registered, or if it is to create a new one".
#[test]
fn r01_a_newcomer_may_bring_the_key_it_is_known_by() {
    let node = Node::with("gateway", &["--tls", "--roles", "manager,peer"]);
    let manager = node.manager();
    let group = crate::p2ds::Group::found(&manager, "g");
    let invited = || format!("{}/join/{}", node.url(), manager.invite(group.gid));
    let folder = TempDir::new().expect("a folder");
    let made = tacit().args(["key", "new", "--name", "alpha", "--json"]).current_dir(folder.path()).output();
    let made: Value = serde_json::from_slice(&made.expect("tacit runs").stdout).expect("a key");
    let own = made["fingerprint"].as_str().expect("a fingerprint");
    let pin = node.fingerprint();
    let link = invited();
    let join = |link: &str, key: &str, name: &str| {
        let args = ["join", link, "--ask", "--gateway-fingerprint", &pin, "--key", key, "--name", name];
        // The usual ports belong to the newcomer who only presses Enter.
        let ports = ["--http", "127.0.0.1:0", "--link", "127.0.0.1:0"];
        let mut talk = Talk::start(&[&args[..], &ports[..]].concat(), folder.path());
        talk.enter(40);
        talk
    };
    let (status, _, said) = join(&link, "keys/beta.key", "alpha").end();
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("keys/beta.key cannot be used") && said.contains("does not exist"), "{said}");
    // The mistake used nothing up: the same invitation, now with the right file.
    let newcomer = join(&link, "keys/alpha.key", "alpha");
    newcomer.wait_for(&format!("Registered peer with PEER_ID: {own}"));
    let kept = folder.path().join("keys").join("alpha.key");
    assert!(kept.exists(), "what was brought is copied, not moved");
    // While one peer has it, another of the same node may not: leaving would take the key from both.
    let args = ["join", &invited(), "--name", "beta", "--gateway-fingerprint", &pin, "--key", "keys/alpha.key"];
    let second = tacit().args(args).args(["--data", "tacit-node"]).current_dir(folder.path()).output();
    let second = second.expect("tacit runs");
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stderr).contains("has that key already"), "{second:?}");
    // A key that nobody brought is asked for in vain.
    let body = json!({"name": "gamma", "role": "input", "gateway_url": format!("{}/api/v1", node.url()),
        "gateway_fingerprint": pin, "registration_code": manager.invite(group.gid), "key": "0".repeat(64)});
    let reply = node.api("POST", "/peers", Some(&body));
    assert_eq!(reply.status, 422, "{}", reply.body);
    assert!(reply.body.contains("cannot be used"), "{}", reply.body);
}
