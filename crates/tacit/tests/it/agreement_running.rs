//! A running group whose owners change it: at the next slot, and provably.

use serde_json::{Value, json};

use crate::agreement::Court;
use crate::harness::Node;
use crate::p2ds::{Config, Group, INPUT, PRIVACY};
use crate::sink::Sink;
use crate::wait::until;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {value}"))
}

/// Both owners put this forward and accept it; the consensus that is in force after.
#[track_caller]
fn decide(court: &Court, changes: &[&str]) -> String {
    let pin = court.pin();
    let base = ["new", "--group", "1", "--gateway", &pin];
    let id = text(&court.negotiate("alice", &[&base, changes].concat()).json(), "negotiation").to_owned();
    court.negotiate("alice", &["accept", &id]).json();
    let state = court.negotiate("bob", &["accept", &id]).json();
    assert_eq!(text(&state, "outcome"), "in force");
    text(&state, "decided").to_owned()
}

#[test]
fn r15_r17_r18_owners_change_a_running_group_at_the_next_slot() {
    let sink = Sink::open();
    let node = Node::with("gateway", &["--tls", "--test-mode", "--roles", "manager"]);
    let peers = Node::with("peers", &["--test-mode", "--roles", "peer"]);
    let (manager, service) = (node.manager(), peers.peers());
    let mut group = Group::found(&manager, "g").with_exact_names();
    for (peer, kind) in [("a", INPUT), ("b", INPUT), ("w", PRIVACY), ("x", PRIVACY), ("y", PRIVACY), ("z", PRIVACY)] {
        group.join(&service, peer, kind, &sink.url(peer));
    }
    group.verify_all();
    manager.configure(group.gid, &Config::of(1, -1));
    let court = Court::over(node);
    let (id, first) = court.owned(&[]);

    group.start();
    group.give("a", &["1"]);
    group.give("b", &["2"]);
    assert_eq!(sink.wait_rows("a", 1), ["3"]);

    // A member goes: the run goes on without it, and all nodes know the same consensus and the same parties.
    let second = decide(&court, &["--remove-member", "w"]);
    group.give("a", &["10"]);
    group.give("b", &["20"]);
    assert_eq!(sink.wait_rows("a", 2)[1..], ["30"]);
    let roster = |peer: &str| peers.api("GET", &format!("/peers/{peer}/roster"), None).ok().json();
    let names = |roster: &Value| {
        let members = roster["members"].as_array().expect("members");
        members.iter().map(|m| text(m, "name").to_owned()).collect::<Vec<_>>()
    };
    for peer in ["a", "b", "x", "y", "z"] {
        until(&format!("{peer} to know the consensus"), || {
            let roster = roster(peer);
            if roster["consensus"] == json!(second) { Ok(()) } else { Err(roster.to_string()) }
        });
        assert_eq!(names(&roster(peer)), ["a", "b", "x", "y", "z"]);
    }
    // A parameter changes: from the next slot on, larger values are let in.
    let larger =
        ["--set", "configuration/max_element=\"100000\"", "--set", "configuration/field=\"2305843009213693951\""];
    let third = decide(&court, &larger);
    group.give("a", &["70000"]);
    group.give("b", &["1"]);
    assert_eq!(sink.wait_rows("a", 3)[2..], ["70001"]);
    // Somebody new: not by the administrator's word, and not with another fingerprint than the one compared.
    group.join(&service, "c", INPUT, &sink.url("c"));
    let member = court.gateway.api("GET", "/members/c", None).ok().json();
    let own = text(&member, "fingerprint").to_owned();
    let verify = json!({"verified": true, "fingerprint": own});
    assert_eq!(court.gateway.api("POST", "/members/c/verify", Some(&verify)).status, 403);
    let wrong = format!("c={}", "0".repeat(64));
    let pin = court.pin();
    let base = ["new", "--group", "1", "--gateway", &pin, "--add-member"];
    court.negotiate("alice", &[&base[..], &[&wrong]].concat()).refused(3, "another fingerprint");
    let fourth = decide(&court, &["--add-member", &format!("c={own}")]);
    group.wait_member_connected("c");
    // It starts, and its rows are for the slots that follow, not for those that are over; nobody restarts anything.
    until("c to take part", || {
        let started = peers.api("POST", "/peers/c/start", None);
        if started.status == 200 { Ok(()) } else { Err(started.body) }
    });
    for slot in [3_usize, 4] {
        group.give("a", &["100"]);
        group.give("b", &["20"]);
        group.give("c", &["3"]);
        assert_eq!(sink.wait_rows("a", slot + 1)[slot..], ["123"]);
    }
    assert_eq!(sink.wait_rows("c", 2), ["123", "123"], "what was before it is not for it");
    let runs = court.gateway.api("GET", "/groups/1/runs", None).ok().json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "it is the same run: {runs}");
    // And goes again, while slots go on.
    let fifth = decide(&court, &["--remove-member", "c"]);
    group.give("a", &["7"]);
    group.give("b", &["8"]);
    assert_eq!(sink.wait_rows("a", 6)[5..], ["15"]);
    // Every consensus stays provable, and the registry says which one admitted whom.
    for known in [&first, &second, &third, &fourth, &fifth] {
        let served = court.negotiate("bob", &["registry", &id, "--last", known]).json();
        let admitted = |name: &str| {
            let parties = served["parties"].as_array().expect("parties");
            parties.iter().find(|p| p["name"] == name).map(|p| text(p, "admitted_by").to_owned())
        };
        assert_eq!((admitted("c"), admitted("w")), (None, None));
        assert!(admitted("a").is_some_and(|by| by != first && by != fourth), "a was there before there were owners");
    }
}
