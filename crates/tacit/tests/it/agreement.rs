//! Negotiations and the registry: separate processes over HTTPS, each with a key of its own.

use std::process::Stdio;

use serde_json::{Value, json};
use tacit_accord::Consensus;
use tacit_accord::negotiation::{Act, Agreement, sign_act};
use tacit_pki::keyfile;
use tempfile::TempDir;

use crate::harness::{Node, tacit};
use crate::transport::curl;

/// A gateway with https, and people who each run `tacit` with a key of their own.
pub(crate) struct Court {
    pub(crate) gateway: Node,
    pub(crate) keys: TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// What it printed as JSON, if it did what it was asked.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{} {}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.out))
    }

    /// It was refused with this exit code and these words.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{} {}", self.out, self.err);
        assert!(self.err.contains(words), "{words:?} is not in {:?}", self.err);
    }
}

impl Court {
    pub(crate) fn new() -> Self {
        Self::over(Node::with("gateway", &["--tls", "--roles", "manager"]))
    }

    /// With this gateway, which serves https.
    pub(crate) fn over(gateway: Node) -> Self {
        Self { gateway, keys: TempDir::new().expect("a folder") }
    }

    /// Made by the first who needs a key, for its owner only.
    pub(crate) fn key_folder(&self) -> std::path::PathBuf {
        self.keys.path().join("keys")
    }

    pub(crate) fn pin(&self) -> String {
        self.gateway.fingerprint()
    }

    /// Runs `tacit` against the gateway; with the owner's token only for `admin`.
    pub(crate) fn tacit(&self, who: &str, args: &[&str]) -> Ended {
        let mut command = tacit();
        command.args(args).args(["--node", &self.gateway.url(), "--pin", &self.pin(), "--json"]);
        if who == "admin" {
            command.arg("--token-file").arg(self.gateway.data().join("keys").join("owner.token"));
        }
        if args[0] == "negotiation" {
            command.arg("--keys").arg(self.key_folder()).args(["--as", who]);
        }
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("tacit runs");
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same for `tacit negotiation`.
    pub(crate) fn negotiate(&self, who: &str, args: &[&str]) -> Ended {
        self.tacit(who, &[&["negotiation"], args].concat())
    }

    /// What `tacit negotiation` tells people, somebody without a key of their own.
    pub(crate) fn shown(&self, args: &[&str]) -> String {
        let mut command = tacit();
        command.arg("negotiation").args(args).args(["--node", &self.gateway.url(), "--pin", &self.pin()]);
        let output = command.arg("--keys").arg(self.key_folder()).output().expect("tacit runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn key(&self, who: &str) -> String {
        self.negotiate(who, &["key"]).json()["key"].as_str().expect("a key").to_owned()
    }

    /// Alice and bob become the owners of group 1, with these changes of its charter; the negotiation, and the
    /// consensus that is in force then.
    #[track_caller]
    pub(crate) fn owned(&self, changes: &[&str]) -> (String, String) {
        let (alice, bob) = (self.key("alice"), self.key("bob"));
        let owners = ["--invite-key", &alice, "--invite-key", &bob, "--add-owner", &alice, "--add-owner", &bob];
        let new = self.negotiate("admin", &[&["new", "--group", "1"], &owners[..], changes].concat()).json();
        let id = text(&new, "negotiation").to_owned();
        for who in ["alice", "bob"] {
            self.negotiate(who, &["accept", &id]).json();
        }
        let state = self.negotiate("admin", &["accept", &id, "--as-manager"]).json();
        assert_eq!(text(&state, "outcome"), "in force");
        (id, text(&state, "decided").to_owned())
    }

    /// A raw request over https: the status and the answer.
    #[track_caller]
    pub(crate) fn raw(&self, method: &str, path: &str, body: Option<&Value>) -> (String, Value) {
        let url = format!("{}/api/v1{path}", self.gateway.url());
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut args = vec!["-k", "-X", method];
        if !body.is_empty() {
            args.extend(["-H", "content-type: application/json", "-d", &body]);
        }
        args.push(&url);
        let (code, status, answer) = curl(&args);
        assert_eq!(code, Some(0), "{answer}");
        (status, serde_json::from_str(&answer).unwrap_or_else(|e| panic!("no JSON ({e}): {answer}")))
    }
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {value}"))
}

/// One contribution of somebody, as it is shown.
fn contribution_of<'a>(state: &'a Value, key: &str) -> &'a Value {
    let list = state["contributions"].as_array().expect("a list");
    list.iter().find(|c| c["signer"] == key).unwrap_or_else(|| panic!("nothing of {key} in {state}"))
}

#[test]
fn a01_a02_a03_a05_a07_a10_a_statement_is_agreed_on_over_https() {
    let court = Court::new();
    let new = |title: &str| {
        court.negotiate("admin", &["new", "--title", title, "--invitations", "1", "--set", "deadline=5"]).json()
    };
    let (one, two) = (new("one"), new("two"));
    let id = text(&one, "negotiation");
    assert!(id.len() == 43 && id != text(&two, "negotiation"), "256 bits each: {id}");
    let (status, shown) = court.raw("GET", &format!("/negotiations/{id}"), None);
    assert_eq!((status.as_str(), &shown), ("200", &one["state"]));
    assert_eq!(text(&shown, "status"), "open");
    assert_eq!(court.raw("GET", &format!("/negotiations/{}", "A".repeat(43)), None).0, "404");
    let (status, problem) = court.raw("GET", "/negotiations", None);
    assert_eq!(status, "403");
    assert!(text(&problem, "detail").contains("must filter by consensus"));
    assert_eq!(court.raw("GET", "/negotiations?group=1", None).0, "403", "a group's list needs a token");
    // Contributions are read below their negotiation, and only the present ones.
    let at = |id: &str, number: u32| court.raw("GET", &format!("/negotiations/{id}/contributions/{number}"), None);
    assert_eq!(at(id, 1).0, "200");
    assert_eq!(at(text(&two, "negotiation"), 2).0, "404");
    assert_eq!(court.raw("GET", "/negotiations/x/contributions/1", None).0, "404");

    // Bob comes with the secret; different texts do not close, equal ones that accept do.
    let invitation = one["invitations"][0].as_str().expect("an invitation").to_owned();
    let state = court.negotiate("bob", &["join", &invitation, "--set", "deadline=6"]).json();
    assert_eq!((text(&state, "status"), state["round"].as_u64()), ("open", Some(2)));
    let state = court.negotiate("admin", &["accept", id, "--contribution", "1"]).json();
    assert_eq!(text(&state, "status"), "open");
    assert_eq!(at(id, 1).0, "404", "superseded");
    let history = court.negotiate("bob", &["show", id, "--all"]).json();
    assert_eq!(history.as_array().map(Vec::len), Some(3), "members see superseded ones too");
    court.negotiate("eve", &["show", id, "--all"]).refused(3, "shown to members");
    let number = contribution_of(&state, &court.key("admin"))["number"].to_string();
    let state = court.negotiate("bob", &["accept", id, "--contribution", &number]).json();
    assert_eq!(text(&state, "status"), "done");
    // The id follows from negotiation, text, signings and time.
    let agreement: Agreement = serde_json::from_str(text(&state, "agreement")).expect("an agreement");
    assert_eq!(agreement.id().expect("an id").to_string(), text(&state, "consensus"));
    assert_eq!((agreement.signings.len(), agreement.verify().is_ok()), (2, true));
    for (path, found) in [
        (format!("/negotiations/{}", text(&state, "consensus")), true),
        (format!("/negotiations?consensus={}", text(&state, "consensus")), true),
        (format!("/negotiations?consensus={}", "0".repeat(64)), false),
    ] {
        let (status, answer) = court.raw("GET", &path, None);
        assert_eq!(status, "200");
        let one = if path.contains('?') { answer["negotiations"][0].clone() } else { answer };
        assert_eq!(one == state, found, "{path}");
    }
    court.negotiate("bob", &["accept", id]).refused(1, "not open");
    let bad = json!({"signer": "x", "turn": 1, "act": "contribute", "text": "y", "signature": "z"});
    assert_eq!(court.raw("POST", &format!("/negotiations/{id}/acts"), Some(&bad)).0, "409");
}

#[test]
fn a04_a06_a08_a23_only_what_a_key_signed_for_this_moment_counts() {
    let court = Court::new();
    // One signer alone: the first text that accepts is the consensus.
    let alone = court.negotiate("admin", &["new", "--title", "mine", "--set", "a=1"]).json();
    let id = text(&alone, "negotiation").to_owned();
    assert_eq!(text(&alone["state"], "status"), "open", "it is only talk");
    let state = court.negotiate("admin", &["contribute", &id, "--set", "a=2"]).json();
    assert_eq!(state["contributions"].as_array().map(Vec::len), Some(1), "it replaces the one before");
    let state = court.negotiate("admin", &["accept", &id]).json();
    assert_eq!(text(&state, "status"), "done");

    let new = court.negotiate("admin", &["new", "--invite-key", &court.key("bob"), "--set", "a=1"]).json();
    let id = text(&new, "negotiation").to_owned();
    let bob = keyfile::load(&court.key_folder(), "bob").expect("bob's key");
    let shown = text(contribution_of(&new["state"], &court.key("admin")), "text").to_owned();
    let act = Act::Contribute { text: shown.clone(), invitation: None, decision: None };
    let signed = sign_act(&bob, &id.parse().expect("an id"), 1, act).expect("signed");
    let good =
        json!({"signer": signed.signer, "turn": 1, "act": "contribute", "text": shown, "signature": signed.signature});
    let send = |body: &Value| court.raw("POST", &format!("/negotiations/{id}/acts"), Some(body)).0;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        send(&body)
    };
    // A tampered envelope, another key, another turn, a signature that is none, a text of another negotiation.
    assert_eq!(with(&|b| b["text"] = json!(shown.replace("\"a\":1", "\"a\":2"))), "403");
    assert_eq!(with(&|b| b["signer"] = json!(court.key("eve"))), "403");
    assert_eq!(with(&|b| b["signer"] = json!("nobody")), "403");
    assert_eq!(with(&|b| b["signature"] = json!("")), "403");
    assert_eq!(with(&|b| b["turn"] = json!(2)), "409");
    assert_eq!(with(&|b| b["act"] = json!("withdraw")), "403");
    assert_eq!(with(&|b| b["act"] = json!("destroy")), "400");
    assert_eq!(with(&|b| drop(b.as_object_mut().expect("an object").remove("signature"))), "400");
    // Nobody signed that: it is not even read.
    assert_eq!(with(&|b| b["text"] = json!("{\"a\": 1.5}")), "403");
    assert_eq!(with(&|b| b["turn"] = json!(-1)), "400");
    assert_eq!(court.raw("POST", "/negotiations/none/acts", Some(&good)).0, "404");
    assert_eq!(send(&good), "200");
    assert_eq!(send(&good), "409", "the same request is recognised");
    // Opening needs a token or an owner's signature, and a request is taken once.
    court.negotiate("eve", &["new", "--gateway", &court.pin()]).refused(3, "operator's token");
}

#[test]
fn r04_r08_r16_s05_owners_take_over_and_the_admin_alone_changes_nothing() {
    let mut court = Court::new();
    court.tacit("admin", &["group", "create", "isps"]).json();
    let before = court.tacit("admin", &["group", "slot-rules", "1", "--on-missing-input", "wait"]).json();
    assert_eq!(before["owners"], json!([]), "a group of one administrator is as easy as ever");
    let first = text(&before, "consensus").to_owned();

    let new = court.negotiate("admin", &["new", "--group", "1", "--invitations", "2", "--title", "owners"]).json();
    let id = text(&new, "negotiation").to_owned();
    let invitation = |at: usize| new["invitations"][at].as_str().expect("an invitation").to_owned();
    court.negotiate("eve", &["join", &format!("{id}|nonsense")]).refused(3, "invitation is unknown");
    court.negotiate("eve", &["contribute", &id]).refused(3, "has no part");
    court.negotiate("alice", &["join", &invitation(0)]).json();
    court.negotiate("eve", &["join", &invitation(0)]).refused(3, "used already");
    // Bob wants one parameter otherwise; the others stand as they were.
    court.negotiate("bob", &["join", &invitation(1), "--set", "slots/deadline_ms=4000"]).json();
    let people = court.shown(&["show", &id]);
    assert!(people.contains("open: 1/slots/deadline_ms") && !people.contains("open: 1/threshold"), "{people}");
    // The administrator agrees, and makes the two owners.
    let (alice, bob) = (court.key("alice"), court.key("bob"));
    court.negotiate("admin", &["contribute", &id, "--from", "3", "--add-owner", &alice, "--add-owner", &bob]).json();
    // Signed by everybody but one, for each one, nothing is in force; also not after a crash.
    let in_force = |court: &Court| text(&court.tacit("admin", &["group", "show", "1"]).json(), "consensus").to_owned();
    court.negotiate("alice", &["accept", &id]).json();
    assert_eq!(in_force(&court), first);
    let state = court.negotiate("admin", &["accept", &id, "--as-manager"]).json();
    assert_eq!((text(&state, "status"), in_force(&court)), ("open", first.clone()));
    assert_eq!(state["pending"], json!([bob]));
    court.gateway.restart();
    court.negotiate("alice", &["withdraw", &id]).json();
    let state = court.negotiate("bob", &["accept", &id]).json();
    assert_eq!((text(&state, "status"), in_force(&court)), ("open", first.clone()));
    let state = court
        .negotiate("alice", &["accept", &id, "--contribution", &contribution_of(&state, &bob)["number"].to_string()])
        .json();
    assert_eq!((text(&state, "status"), text(&state, "outcome")), ("done", "in force"));
    let owned = text(&state, "decided").to_owned();
    assert_eq!(in_force(&court), owned);
    let group = court.tacit("admin", &["group", "show", "1"]).json();
    assert_eq!((&group["slots"]["deadline_ms"], &group["owners"]), (&json!(4000), &json!([alice, bob])));

    // Now the administrator's key alone changes nothing.
    let configure = ["group", "configure", "1", "--items", "1", "--max-element", "9"];
    court.tacit("admin", &configure).refused(3, "has 2 owners");
    court.tacit("admin", &["group", "slot-rules", "1", "--on-missing-input", "fail"]).refused(3, "has 2 owners");
    court.tacit("admin", &["group", "delete", "1", "--yes"]).refused(3, "has owners");
    assert_eq!(in_force(&court), owned);
    // An owner needs no token, and one owner alone changes nothing either.
    let new = court
        .negotiate("alice", &["new", "--group", "1", "--gateway", &court.pin(), "--set", "slots/deadline_ms=7000"])
        .json();
    let id = text(&new, "negotiation").to_owned();
    court.negotiate("admin", &["accept", &id, "--as-manager"]).refused(3, "decides nothing");
    court.negotiate("admin", &["accept", &id]).refused(3, "has no part");
    court.negotiate("alice", &["accept", &id]).json();
    assert_eq!(in_force(&court), owned);
    // Bob rejects the parameter, reads, and accepts in the end.
    court.negotiate("bob", &["contribute", &id, "--reject", "slots/deadline_ms"]).json();
    let state = court.negotiate("bob", &["accept", &id, "--contribution", "2"]).json();
    assert_eq!(text(&state, "outcome"), "in force");
    // R16: what was written on the consensus before is refused, and the old one stays provable.
    let stale = court
        .negotiate("alice", &["new", "--group", "1", "--gateway", &court.pin(), "--set", "slots/deadline_ms=1"])
        .json();
    let late = court
        .negotiate("bob", &["new", "--group", "1", "--gateway", &court.pin(), "--set", "slots/deadline_ms=2"])
        .json();
    for who in ["alice", "bob"] {
        court.negotiate(who, &["accept", text(&late, "negotiation")]).json();
    }
    court
        .negotiate("alice", &["accept", text(&stale, "negotiation")])
        .refused(3, "another consensus than the last one");
    let documents = court.tacit("admin", &["group", "consensus", "1"]).json();
    let ids: Vec<String> = documents
        .as_array()
        .expect("documents")
        .iter()
        .map(|d| Consensus::read(d.as_str().expect("a text")).expect("a document").id().to_string())
        .collect();
    assert!(ids.contains(&first) && ids.contains(&owned) && ids.len() == 5, "{ids:?}");
    court.negotiate("bob", &["registry", &id, "--last", &owned]).json();
    court.negotiate("bob", &["registry", &id, "--last", &"0".repeat(64)]).refused(3, "rewritten or cut");
}

/// Ten parties reach a consensus by the command line alone.
#[test]
fn ten_parties_reach_a_consensus_in_a_script() {
    let court = Court::new();
    court.tacit("admin", &["group", "create", "ten"]).json();
    let new = court
        .negotiate("admin", &["new", "--group", "1", "--invitations", "10", "--set", "slots/deadline_ms=9000"])
        .json();
    let id = text(&new, "negotiation").to_owned();
    let names: Vec<String> = (0..10).map(|i| format!("party{i}")).collect();
    for (name, invitation) in names.iter().zip(new["invitations"].as_array().expect("invitations")) {
        court.negotiate(name, &["join", invitation.as_str().expect("a text")]).json();
    }
    let keys: Vec<String> = names.iter().map(|name| court.key(name)).collect();
    let mut propose = vec!["contribute", id.as_str(), "--set", "quorum=7"];
    keys.iter().for_each(|key| propose.extend(["--add-owner", key]));
    court.negotiate("admin", &propose).json();
    court.negotiate("admin", &["accept", &id, "--as-manager"]).json();
    for name in &names {
        let state = court.negotiate(name, &["accept", &id]).json();
        assert_eq!(text(&state, "status") == "done", name == "party9", "all of them, and not before");
    }
    // From now on seven of ten decide.
    let new = court
        .negotiate("party3", &["new", "--group", "1", "--gateway", &court.pin(), "--set", "slots/deadline_ms=8000"])
        .json();
    for (count, name) in names.iter().enumerate().take(7) {
        let state = court.negotiate(name, &["accept", text(&new, "negotiation")]).json();
        assert_eq!(text(&state, "status") == "done", count == 6);
    }
}

#[test]
fn r07_a_proposal_goes_to_an_expert_and_comes_back_unchanged() {
    let court = Court::new();
    court.tacit("admin", &["group", "create", "g"]).json();
    let new = court.negotiate("admin", &["new", "--group", "1", "--invitations", "1"]).json();
    let id = text(&new, "negotiation").to_owned();
    let file = court.keys.path().join("proposal.txt");
    let path = file.to_str().expect("a path").to_owned();
    court.negotiate("eve", &["export", &id, &path]).json();
    let exported = std::fs::read_to_string(&file).expect("the file");
    assert!(exported.contains("# Proposal in negotiation") && exported.contains("threshold = 1"), "{exported}");
    assert_eq!(court.negotiate("eve", &["import", &id, &path, "--compare"]).json()["unchanged"], json!(true));
    std::fs::write(&file, exported.replace("slots~1deadline_ms = 300000", "slots~1deadline_ms = 5000"))
        .expect("written");
    assert_eq!(court.negotiate("eve", &["import", &id, &path, "--compare"]).json()["unchanged"], json!(false));
    court.negotiate("eve", &["import", &id, &path]).refused(3, "has no part");
    let state = court.negotiate("admin", &["import", &id, &path]).json();
    assert!(text(contribution_of(&state, &court.key("admin")), "text").contains("\"slots/deadline_ms\":5000"));
    let explained = court.negotiate("eve", &["explain", &id]).json();
    for word in ["What is agreed", "slots/deadline_ms = 5000", "gateway", "cannot add a member"] {
        assert!(text(&explained, "explanation").contains(word), "{word}: {explained}");
    }
}

#[test]
fn r01_r02_keys_are_exchanged_out_of_band() {
    let folder = TempDir::new().expect("a folder");
    let tacit = |args: &[&str]| {
        let output = tacit().args(["key"]).args(args).current_dir(folder.path()).output().expect("tacit runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for name in ["alpha", "mallory"] {
        assert_eq!(tacit(&["new", "--name", name]).0, Some(0));
        assert_eq!(tacit(&["export", "--name", name, "--to", &format!("{name}.txt")]).0, Some(0));
    }
    let fingerprint = tacit(&["show", "--name", "alpha"]).1.trim().to_owned();
    let import = |file: &str| tacit(&["import", file, "--fingerprint", &fingerprint, "--dir", "theirs"]).0;
    assert_eq!(import("mallory.txt"), Some(3));
    // Also where the text claims the right fingerprint.
    let swapped = std::fs::read_to_string(folder.path().join("mallory.txt")).expect("a text");
    let own = swapped.lines().last().expect("a line").to_owned();
    std::fs::write(folder.path().join("swapped.txt"), swapped.replace(&own, &format!("fingerprint  {fingerprint}")))
        .expect("written");
    assert_eq!(import("swapped.txt"), Some(3));
    assert_eq!(import("theirs"), Some(2), "not a file");
    assert!(!folder.path().join("theirs").exists(), "nothing was kept");
    assert_eq!((import("alpha.txt"), import("alpha.txt")), (Some(0), Some(0)));
    assert!(folder.path().join("theirs").join("alpha.pub").exists());
}
