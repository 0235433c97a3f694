//! Pairing: registered with a code, compared by people, approved or refused, and remembered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Node, run};
use crate::http::Reply;
use crate::p2ds::{Config, INPUT, PRIVACY, STARTED};
use crate::sink::Sink;
use crate::wait::{until, within};

#[track_caller]
fn pair(manager: &Node, name: &str, decision: Value) -> Reply {
    manager.api("POST", &format!("/members/{name}/pairing"), Some(&decision))
}

/// Registers a peer of another node natively.
#[track_caller]
fn join(manager: &Node, peer: &Node, gid: i64, name: &str, role: &str) -> Reply {
    let code = manager.api("POST", &format!("/groups/{gid}/codes"), None).json()["code"].clone();
    let body = json!({
        "name": name, "role": role, "gateway_url": format!("{}/api/v1", manager.url()), "registration_code": code,
    });
    peer.api("POST", "/peers", Some(&body))
}

/// What the peer itself thinks of its pairing.
#[track_caller]
fn own_state(peer: &Node, name: &str) -> String {
    peer.api("GET", &format!("/peers/{name}"), None).ok().json()["pairing"].as_str().expect("a word").to_owned()
}

#[track_caller]
fn wait_own_state(peer: &Node, name: &str, wanted: &str) {
    until(&format!("{name} to hear that it is {wanted}"), || match own_state(peer, name) {
        state if state == wanted => Ok(()),
        state => Err(state),
    });
}

#[test]
fn f07_pairing_is_compared_approved_and_survives_restarts() {
    let mut manager = Node::with("manager", &["--roles", "manager"]);
    let mut peer = Node::with("peer", &["--roles", "peer"]);
    let group = manager.api("POST", "/groups", Some(&json!({ "name": "floor3" }))).json();
    let gid = group["gid"].as_i64().expect("a number");
    let mine = join(&manager, &peer, gid, "room1", "both").json();
    assert_eq!(mine["pairing"], "waiting", "{mine}");

    // Both sides show the same.
    let theirs = manager.api("GET", "/pairing", None).ok().json()["members"][0].clone();
    assert_eq!(theirs["pairing"], "waiting", "{theirs}");
    assert_eq!(theirs["fingerprint"], mine["fingerprint"]);
    assert_eq!(theirs["comparison_code"], mine["comparison_code"]);
    let gateway = manager.api("GET", "/node", None).ok().json()["fingerprint"].clone();
    assert_eq!(mine["gateway_fingerprint"], gateway);

    // Nothing was compared, or something else: it stays out of the roster.
    let wrong = [
        json!({ "decision": "approve" }),
        json!({ "decision": "approve", "comparison_code": "aaaaa aaaaa aaaaa aaaaa aaaaa aaaaa" }),
        json!({ "decision": "approve", "comparison_code": "" }),
        json!({ "decision": "approve", "fingerprint": gateway }),
        json!({ "decision": "believe" }),
    ];
    for wrong in wrong {
        let reply = pair(&manager, "room1", wrong);
        assert!(reply.is_refusal(), "{reply:?}");
    }
    // Half a code accuses nobody.
    let half = pair(&manager, "room1", json!({ "decision": "approve", "comparison_code": "aaaaa aaaaa" }));
    assert!(half.is_refusal() && half.body.contains("read all of it"), "{half:?}");
    let roster = |peer: &Node| peer.api("GET", "/peers/room1/roster", None).ok().json();
    assert_eq!(roster(&peer)["members"], json!([]));

    // A name that somebody has is not given again, whatever became of its bearer.
    let again = join(&manager, &peer, gid, "room1", "both");
    assert_eq!(again.status, 409, "{again:?}");
    let other = Node::with("other", &["--roles", "peer"]);
    let again = join(&manager, &other, gid, "room1", "both");
    assert_eq!(again.status, 409, "{again:?}");
    assert!(other.api("GET", "/peers", None).ok().json()["peers"].as_array().expect("a list").is_empty());

    // Waiting survives the restart of both, and so does what follows.
    manager.restart();
    peer.restart();
    assert_eq!(own_state(&peer, "room1"), "waiting");
    let code = mine["comparison_code"].as_str().expect("a code").to_uppercase().replace(' ', "");
    let data = manager.data();
    let data = data.to_str().expect("a path");
    let approved = run(&["pair", "approve", "room1", "--code", &code, "--data", data, "--json"]);
    assert!(approved.status.success(), "{approved:?}");
    wait_own_state(&peer, "room1", "registered");
    until("the roster to name room1", || {
        let roster = roster(&peer);
        if roster["members"][0]["name"] == "room1" { Ok(()) } else { Err(roster.to_string()) }
    });
    manager.restart();
    peer.restart();
    assert_eq!(own_state(&peer, "room1"), "registered");
    until("room1 to be connected again", || {
        let members = manager.api("GET", "/pairing", None).ok().json();
        let room1 = &members["members"][0];
        if room1["connected"] == true && room1["pairing"] == "registered" { Ok(()) } else { Err(members.to_string()) }
    });

    // Rejected, and thought over.
    assert_eq!(pair(&manager, "room1", json!({ "decision": "reject" })).ok().json()["pairing"], "rejected");
    wait_own_state(&peer, "room1", "rejected");
    let compared = json!({ "decision": "approve", "fingerprint": mine["fingerprint"] });
    assert_eq!(pair(&manager, "room1", compared.clone()).ok().json()["pairing"], "registered");
    wait_own_state(&peer, "room1", "registered");

    // Revoked: for ever, on both sides, over restarts.
    let revoked = run(&["pair", "revoke", "room1", "--reason", "stolen", "--data", data]);
    assert!(revoked.status.success(), "{revoked:?}");
    wait_own_state(&peer, "room1", "revoked");
    manager.restart();
    peer.restart();
    let refused = pair(&manager, "room1", compared);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(run(&["pair", "approve", "room1", "--code", &code, "--data", data]).status.code(), Some(3));
    let members = manager.api("GET", "/pairing", None).ok().json();
    assert_eq!(members["members"][0]["pairing"], "revoked", "{members}");
    assert_eq!(members["members"][0]["connected"], false, "{members}");
    assert_eq!(own_state(&peer, "room1"), "revoked");
}

/// A gateway does not say why it lets a key in no more: whoever was only removed does not read that it was revoked.
#[test]
fn f07_a_removed_member_reads_that_it_may_only_be_removed() {
    let manager = Node::with("manager", &["--roles", "manager"]);
    let peer = Node::with("peer", &["--roles", "peer"]);
    let group = manager.api("POST", "/groups", Some(&json!({ "name": "floor3" }))).json();
    let mine = join(&manager, &peer, group["gid"].as_i64().expect("a number"), "room1", "both").json();
    let compared = json!({ "decision": "approve", "fingerprint": mine["fingerprint"] });
    pair(&manager, "room1", compared).ok();
    wait_own_state(&peer, "room1", "registered");
    assert_eq!(manager.api("DELETE", "/members/room1", None).status, 204);
    until("the peer to be refused", || {
        let me = peer.api("GET", "/peers/room1", None).ok().json();
        let trouble = me["last_error"].as_str().unwrap_or_default();
        if trouble == "the gateway's operator has revoked or removed this peer" { Ok(()) } else { Err(me.to_string()) }
    });
}

/// Established connections between two processes, as addresses of the first one's end and of the other's.
fn connections(one: &Node, other: &Node) -> Vec<(String, String)> {
    let of = |node: &Node| {
        let process = format!("/proc/{}", node.pid());
        let files = std::fs::read_dir(format!("{process}/fd")).expect("open files").flatten();
        let sockets: Vec<String> = files
            .filter_map(|file| std::fs::read_link(file.path()).ok()?.into_os_string().into_string().ok())
            .collect();
        let table = std::fs::read_to_string(format!("{process}/net/tcp")).expect("a table of connections");
        let mut ends = Vec::new();
        for row in table.lines().skip(1) {
            let row: Vec<&str> = row.split_whitespace().collect();
            // State 1 is an established connection.
            if row[3] == "01" && sockets.contains(&format!("socket:[{}]", row[9])) {
                ends.push((row[1].to_owned(), row[2].to_owned()));
            }
        }
        ends
    };
    let theirs = of(other);
    of(one).into_iter().filter(|(here, there)| theirs.contains(&(there.clone(), here.clone()))).collect()
}

/// The peer that is revoked has a warm link to another one and to the gateway. Both end; the rest go on.
#[test]
fn f07_revocation_acts_at_once_on_live_links() {
    let (manager, sink) = (Node::with("manager", &["--roles", "manager"]), Sink::open());
    let services: Vec<Node> = (0..2).map(|_| Node::with("peers", &["--roles", "peer"])).collect();
    let mut group = crate::p2ds::Group::found(&manager.manager(), "g");
    for (peer, kind, node) in
        [("a", INPUT, 0), ("b", INPUT, 0), ("x", PRIVACY, 0), ("y", PRIVACY, 0), ("z", PRIVACY, 0), ("w", PRIVACY, 1)]
    {
        group.join(&services[node].peers(), peer, kind, &sink.url(peer));
    }
    group.verify_all();
    manager.manager().configure(group.gid, &Config::of(2, -1));
    group.start();
    for (peer, row) in [("a", "1;3"), ("b", "2;5")] {
        group.give(peer, &[row]);
    }
    assert_eq!(sink.wait_rows("a", 1), ["3;8"]);
    assert!(!connections(&services[0], &services[1]).is_empty(), "they computed together");

    let name = group.full("w");
    let revoked = pair(&manager, &name, json!({ "decision": "revoke", "reason": "stolen" })).ok().json();
    // At once: the answer itself says that the link is gone.
    assert_eq!((&revoked["pairing"], &revoked["connected"]), (&json!("revoked"), &json!(false)), "{revoked}");
    wait_own_state(&services[1], &name, "revoked");
    // Long before it would have been idle for so long that it closes.
    within(Duration::from_secs(20), "the link between the peers to end", || {
        match connections(&services[0], &services[1]) {
            none if none.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        }
    });
    until("the others to hear of it", || {
        let roster = services[0].api("GET", &format!("/peers/{}/roster", group.full("x")), None).ok().json();
        let mut members = roster["members"].as_array().expect("a list").iter();
        if members.any(|member| member["name"] == name) { Err(roster.to_string()) } else { Ok(()) }
    });
    // The others compute on, without it.
    for peer in ["a", "b", "x", "y", "z"] {
        group.wait_status(peer, STARTED);
    }
    for (peer, row) in [("a", "4;0"), ("b", "5;1")] {
        group.give(peer, &[row]);
    }
    assert_eq!(sink.wait_rows("a", 2)[1], "9;1");
    let job = services[0].api("GET", &format!("/peers/{}/roster", group.full("x")), None).ok().json();
    let job = job["last_job"].as_str().expect("a job").to_owned();
    let key = revoked["fingerprint"].as_str().expect("a fingerprint");
    assert!(!job.contains(key), "the revoked peer was asked for again: {job}");
}
