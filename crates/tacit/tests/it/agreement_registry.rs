//! The registry: who is a party, by which consensus; served over HTTPS, and proven by its documents.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::sync::Arc;

use serde_json::{Value, json};
use tacit_pki::keyfile;

use crate::agreement::{Court, text};
use crate::harness::{Node, run, tacit};
use crate::p2ds::{Group, PRIVACY};
use crate::wait::until;

/// A server with the gateway's own key and certificate that answers everything with a text of its own.
fn lying_server(gateway: &Node, answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let identity = keyfile::load(&gateway.data().join("keys"), "node").expect("the gateway's key");
    let tls = tacit_api::tls_config(&identity).expect("a configuration");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let Ok(server) = rustls::ServerConnection::new(Arc::clone(&tls)) else { return };
            let mut stream = rustls::StreamOwned::new(server, stream);
            let mut asked = [0; 4096];
            let _request = stream.read(&mut asked);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            let _sent = stream.write_all(format!("{head}{answer}").as_bytes());
            stream.conn.send_close_notify();
            let _sent = stream.flush();
        }
    });
    url
}

#[test]
fn r01_r03_r17_a_tampered_registry_is_detected_from_the_last_consensus() {
    let node = Node::with("gateway", &["--tls", "--roles", "manager"]);
    let peers = Node::with("peers", &["--roles", "peer"]);
    let manager = node.manager();
    let mut group = Group::found(&manager, "g");
    for peer in ["a", "b", "c"] {
        group.join(&peers.peers(), peer, PRIVACY, "");
    }
    group.verify_all();
    let served = node.api("GET", "/groups/1/registry", None).ok().json();
    let parties = served["parties"].as_array().expect("parties");
    assert_eq!(parties.len(), 3);
    for party in parties {
        assert_eq!(text(party, "fingerprint").len(), 64);
        assert_eq!(
            (&party["layer"], text(party, "role"), text(party, "admitted_by").len()),
            (&json!(2), "privacy", 64)
        );
    }
    let last = text(&served, "consensus").to_owned();
    let pin = node.fingerprint();
    let look = |url: &str| {
        let output = tacit()
            .args(["negotiation", "registry", &"x".repeat(43), "--node", url, "--pin", &pin, "--last", &last])
            .args(["--manager-key", text(&served, "manager_key"), "--json"])
            .output()
            .expect("tacit runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(look(&lying_server(&node, served.to_string())).0, Some(0), "unchanged, it is believed");
    // One byte of any party, of any document, of a signature, of the consensus; a party more or less.
    let whole = served.to_string();
    let places = [
        "\"operator\":\"",
        "\"admitted_by\":\"",
        "\"name\":\"",
        "\"fingerprint\":\"",
        "decided_at",
        "signature\\\":\\\"",
    ];
    for place in places {
        let at = whole.rfind(place).unwrap_or_else(|| panic!("no {place} in {whole}")) + place.len();
        let mut bytes = whole.clone().into_bytes();
        // Stays JSON: another letter or digit.
        let at = (at..bytes.len()).find(|at| bytes[*at].is_ascii_alphanumeric()).expect("a character");
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        let (code, said) = look(&lying_server(&node, String::from_utf8(bytes).expect("text")));
        assert_eq!(code, Some(3), "{place}: {said}");
    }
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut other = served.clone();
        change(&mut other);
        look(&lying_server(&node, other.to_string())).0
    };
    assert_eq!(changed(&|r| drop(r["parties"].as_array_mut().expect("a list").pop())), Some(3));
    assert_eq!(changed(&|r| drop(r["documents"].as_array_mut().expect("a list").pop())), Some(3));
    assert_eq!(changed(&|r| drop(r["documents"].as_array_mut().expect("a list").remove(0))), Some(3));
    assert_eq!(changed(&|r| r["documents"] = json!([])), Some(3));
    // A12: another key among the owners, or a joint id that is not theirs.
    assert_eq!(changed(&|r| r["owners"] = json!([r["manager_key"]])), Some(3));
    assert_eq!(changed(&|r| r["joint_id"] = json!("1".repeat(64))), Some(3));
    until("the gateway to be well", || if node.is_healthy() { Ok(()) } else { Err("not".to_owned()) });
}

/// Somebody registers with a new code, over https with the certificate pinned.
fn join(court: &Court, home: &Node, name: &str) -> Output {
    let code = court.gateway.api("POST", "/groups/1/codes", None).json();
    let (code, url, pin) = (text(&code, "code").to_owned(), court.gateway.url(), court.pin());
    let gateway = ["--gateway", &url, "--gateway-fingerprint", &pin];
    let data = home.data();
    let member = ["--name", name, "--data", data.to_str().expect("a path"), "--json"];
    run(&[&["join", &code], &gateway[..], &member[..]].concat())
}

/// The fingerprint of somebody who joined.
#[track_caller]
fn joined(court: &Court, home: &Node, name: &str) -> String {
    let joined = join(court, home, name);
    assert_eq!(joined.status.code(), Some(0), "{}", String::from_utf8_lossy(&joined.stderr));
    let joined: Value = serde_json::from_slice(&joined.stdout).expect("JSON");
    text(&joined, "fingerprint").to_owned()
}

/// A key that an operator revoked is not let in by owners who did not hear of it, and one that they have let in is
/// revoked at once all the same; the gateway serves its groups after that, too.
#[test]
fn f07_owners_do_not_let_a_revoked_key_in() {
    let mut court = Court::new();
    let home = Node::with("peer", &["--roles", "peer"]);
    court.tacit("admin", &["group", "create", "g"]).json();
    court.owned(&[]);
    let propose = |court: &Court, name: &str, key: &str| {
        let member = format!("{name}={key}");
        let new =
            court.negotiate("alice", &["new", "--group", "1", "--gateway", &court.pin(), "--add-member", &member]);
        let id = text(&new.json(), "negotiation").to_owned();
        court.negotiate("alice", &["accept", &id]).json();
        id
    };
    let decide = |court: &Court, name: &str, decision: &str| {
        let body = json!({"decision": decision, "reason": "stolen"});
        court.gateway.api("POST", &format!("/members/{name}/pairing"), Some(&body))
    };
    let stolen = joined(&court, &home, "c");
    let id = propose(&court, "c", &stolen);
    assert_eq!(decide(&court, "c", "revoke").ok().json()["pairing"], "revoked");
    court.negotiate("bob", &["accept", &id]).refused(3, "revoked");

    let listed = joined(&court, &home, "d");
    court.negotiate("bob", &["accept", &propose(&court, "d", &listed)]).json();
    // Who is a member is the owners' matter; whose key was stolen is not served meanwhile.
    assert_eq!(decide(&court, "d", "reject").status, 403);
    let revoked = decide(&court, "d", "revoke").ok().json();
    assert_eq!((&revoked["pairing"], &revoked["verified"]), (&json!("revoked"), &json!(false)));
    let late = format!("e={}", joined(&court, &home, "e"));
    let unaware = ["new", "--group", "1", "--gateway", &court.pin(), "--add-member", &late];
    court.negotiate("alice", &unaware).refused(3, "revoked");
    court.gateway.restart();
    let group = court.gateway.api("GET", "/groups/1", None).ok().json();
    assert_eq!(group["members"].as_array().map(Vec::len), Some(3), "{group}");
}

/// A11: an owned group admits by a consensus of all its owners and by nothing else; A13: what is not there is 404.
#[test]
fn a11_a13_a_member_is_admitted_by_a_consensus_of_all_owners_and_by_nothing_else() {
    let court = Court::new();
    let home = Node::with("peer", &["--roles", "peer"]);
    let pin = court.pin();
    court.tacit("admin", &["group", "create", "g"]).json();
    court.owned(&[]);

    // Somebody registers, over https with the certificate pinned. The name is taken then.
    let own = joined(&court, &home, "c");
    assert_ne!(join(&court, &home, "c").status.code(), Some(0), "one name, one member");
    let parties = || {
        let served = court.gateway.api("GET", "/groups/1/registry", None).ok().json();
        let names = |list: &Value| -> Vec<String> {
            list.as_array().expect("a list").iter().map(|party| text(party, "name").to_owned()).collect()
        };
        (names(&served["parties"]), names(&served["candidates"]), served)
    };
    assert_eq!((parties().0, parties().1), (vec![], vec!["c".to_owned()]));

    // Without a consensus; under one that nobody knows; by a stranger; with another key than the registered one.
    let verify = json!({"verified": true, "fingerprint": own});
    assert_eq!(court.gateway.api("POST", "/members/c/verify", Some(&verify)).status, 403);
    court.negotiate("alice", &["accept", &"A".repeat(43)]).refused(1, "no such negotiation");
    assert_eq!(court.raw("GET", &format!("/negotiations/{}", "0".repeat(64)), None).0, "404");
    let propose = |who: &str, name: &str, key: &str| {
        let member = format!("{name}={key}");
        court.negotiate(who, &["new", "--group", "1", "--gateway", &pin, "--add-member", &member])
    };
    propose("eve", "c", &own).refused(3, "");
    propose("alice", "c", &"0".repeat(64)).refused(3, "another fingerprint");
    propose("alice", "nobody", &own).refused(2, "nobody called nobody has registered");
    let id = text(&propose("alice", "c", &own).json(), "negotiation").to_owned();
    court.negotiate("eve", &["accept", &id]).refused(3, "has no part");
    court.negotiate("admin", &["accept", &id]).refused(3, "has no part");
    // One owner is not all; a text that was altered after it was signed is nobody's.
    court.negotiate("alice", &["accept", &id]).json();
    let shown = court.raw("GET", &format!("/negotiations/{id}"), None).1;
    let contribution = &shown["contributions"][0];
    let altered = text(contribution, "text").replace(&own, &"1".repeat(64));
    assert_ne!(altered, text(contribution, "text"));
    let body = json!({
        "signer": contribution["signer"], "turn": contribution["turn"].as_u64().expect("a number") + 1,
        "act": "contribute", "text": altered, "signature": contribution["signature"],
    });
    assert_eq!(court.raw("POST", &format!("/negotiations/{id}/acts"), Some(&body)).0, "403");
    assert_eq!(parties().0, Vec::<String>::new(), "nothing of that admits");
    // All of them.
    let state = court.negotiate("bob", &["accept", &id]).json();
    let decided = text(&state, "decided").to_owned();
    let (admitted, waiting, served) = parties();
    assert_eq!((admitted, waiting), (vec!["c".to_owned()], vec![]));
    assert_eq!((text(&served["parties"][0], "admitted_by"), text(&served, "consensus")), (&*decided, &*decided));
    // Once.
    propose("alice", "c", &own).refused(2, "nobody called c has registered");

    // A13.
    let status = |path: &str| court.gateway.api("GET", path, None).status;
    for (path, wanted) in [
        ("/members/c", 200),
        ("/members/d", 404),
        ("/groups/1/members", 200),
        ("/groups/2/members", 404),
        ("/groups/1/registry", 200),
        ("/groups/2/registry", 404),
        ("/groups/2", 404),
    ] {
        assert_eq!(status(path), wanted, "{path}");
    }
    let served = court.negotiate("eve", &["registry", &id, "--last", &decided]).json();
    assert_eq!(text(&served["parties"][0], "fingerprint"), own);
}
