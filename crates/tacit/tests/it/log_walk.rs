//! DESIGN rule 10 for logs: a whole working life of a group, and then every entry of every log, word for word.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tacit_model::{Clock, SystemClock};

use crate::agreement::{Court, text};
use crate::harness::{Node, files_below, run};
use crate::p2ds::{Config, Group, INPUT, PRIVACY};
use crate::sink::Sink;
use crate::wait::until;

/// What entries of a kind may say, by the names of the facts. Nothing else is said, so no fact is a hash of a share.
const FACTS: [(&str, &[&str]); 7] = [
    ("software", &["software"]),
    ("consensus", &["group", "consensus", "document"]),
    ("key_use", &["key", "use", "on"]),
    ("action", &["action", "by", "on", "role", "group"]),
    ("session", &["group", "run", "slot", "attempt", "session", "consensus", "state", "agreement"]),
    ("receipt", &["group", "session", "statement", "signatures", "agreement"]),
    ("witness", &["party", "log", "why", "known", "shown", "settled"]),
];

/// All entries of a node's log.
fn entries(node: &Node) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = Some(1);
    while let Some(from) = next {
        let page = node.api("GET", &format!("/log?from={from}&max=1000"), None).ok().json();
        let lines = page["entries"].as_array().expect("entries").iter();
        all.extend(lines.map(|line| text(line, "body").to_owned()));
        next = page["next"].as_i64();
    }
    all
}

/// What a node must keep to itself: its tokens, keys, and the key of its administrator.
fn secrets_of(node: &Node) -> Vec<String> {
    let mut secrets = vec![node.token(), node.admin_key().to_owned()];
    for file in files_below(&node.data().join("keys")) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let private = text.contains("PRIVATE KEY");
        secrets.extend(text.lines().filter(|line| private && line.len() > 40).map(str::to_owned));
    }
    secrets
}

#[test]
fn r13_rule10_every_use_of_a_key_and_no_secret_is_in_the_logs() {
    let sink = Sink::open();
    let gateway = Node::with("gateway", &["--tls", "--test-mode", "--roles", "manager"]);
    let peers = Node::with("peers", &["--test-mode", "--roles", "peer"]);
    let (manager, service) = (gateway.manager(), peers.peers());
    let mut group = Group::found(&manager, "g").with_exact_names();
    for (peer, kind) in [("a", INPUT), ("b", INPUT), ("c", INPUT), ("x", PRIVACY), ("y", PRIVACY), ("z", PRIVACY)] {
        group.join(&service, peer, kind, &sink.url(peer));
    }
    group.verify_all();
    let config = Config { field: 2_305_843_009_213_693_951, max: 99_999_999, ..Config::of(1, -1) };
    manager.configure(group.gid, &config);
    let mut secrets: Vec<String> = [&gateway, &peers].into_iter().flat_map(secrets_of).collect();
    secrets.extend(group.seats.values().map(|seat| seat.code.clone()));

    // Owners by invitation, one of them with a one-time secret; parameters negotiated while the group runs.
    let court = Court::over(gateway);
    let new = court.negotiate("admin", &["new", "--group", "1", "--invitations", "2", "--title", "owners"]).json();
    let id = text(&new, "negotiation").to_owned();
    for (at, who) in ["alice", "bob"].into_iter().enumerate() {
        let invitation = new["invitations"][at].as_str().expect("an invitation");
        court.negotiate(who, &["join", invitation]).json();
        secrets.extend(invitation.split('|').map(str::to_owned));
    }
    let (alice, bob) = (court.key("alice"), court.key("bob"));
    court.negotiate("admin", &["contribute", &id, "--add-owner", &alice, "--add-owner", &bob]).json();
    court.negotiate("admin", &["accept", &id, "--as-manager"]).json();
    for who in ["alice", "bob"] {
        court.negotiate(who, &["accept", &id]).json();
    }
    let owners = court.tacit("admin", &["group", "show", "1"]).json()["owners"].as_array().map(Vec::len);
    assert_eq!(owners, Some(2));
    group.start();
    let rows = [("7340033", "5767171", "14155787"), ("2752513", "1310723", "5111819")];
    for (slot, (a, b, sum)) in rows.into_iter().enumerate() {
        group.give("a", &[a]);
        group.give("b", &[b]);
        group.give("c", &["1048583"]);
        assert_eq!(sink.wait_rows("a", slot + 1)[slot..], [sum]);
        secrets.extend([a, b, "1048583", sum].map(str::to_owned));
    }

    // A token for a client, and its task over a series.
    let token = json!({"label": "client", "role": "viewer"});
    let issued = court.gateway.api("POST", "/tokens", Some(&token));
    assert!(issued.status == 201 || issued.status == 200, "{issued:?}");
    secrets.push(text(&issued.json(), "token").to_owned());
    let at = SystemClock.now().plus(-60_000).to_rfc3339();
    for (peer, value) in [("a", "41943.25"), ("b", "52429.75"), ("c", "10485.5")] {
        let samples = json!({"samples": [{"at": at, "values": {"power": value}}]});
        peers.api("POST", &format!("/peers/{peer}/samples"), Some(&samples)).ok();
        secrets.push(value.to_owned());
    }
    let task = json!({"task": {
        "group": 1, "purpose": "log walk", "sources": ["power"], "aggregator": "sum", "preselector": "last_1h",
        "decimals": 2, "least": "0", "most": "100000", "tell_gateway": true,
    }, "wait": true});
    let told = until("the task", || {
        let reply = court.gateway.api("POST", "/tasks", Some(&task));
        let body = if (200..300).contains(&reply.status) { reply.json() } else { Value::Null };
        match body["state"].as_str() {
            Some("done") => Ok(body),
            _ => Err(reply.body),
        }
    });
    assert!(told.to_string().contains("104858.5"), "{told}");
    secrets.extend(["104858.5", "10485850", "4194325", "5242975", "1048550"].map(str::to_owned));
    // Receipts come after results; heads are witnessed after that.
    until("three receipts", || {
        let listed = court.gateway.api("GET", "/receipts", None).ok().json();
        if listed["receipts"].as_array().map(Vec::len) == Some(3) { Ok(()) } else { Err(listed.to_string()) }
    });
    group.stop();
    let data = court.gateway.data();
    let file = data.join("log.jsonl");
    let (data, file) = (data.to_str().expect("a path"), file.to_str().expect("a path"));
    let code = run(&["audit", "export", "--data", data, "--out", file, "--json"]);
    assert_eq!(code.status.code(), Some(0), "{}", String::from_utf8_lossy(&code.stderr));

    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        FACTS.into_iter().map(|(kind, facts)| (kind, facts.iter().copied().collect())).collect();
    let mut kinds = BTreeSet::new();
    for (name, node) in [("gateway", &court.gateway), ("peers", &peers)] {
        for body in entries(node) {
            for secret in &secrets {
                assert!(!body.contains(secret.as_str()), "{name}: {secret} is told: {body}");
            }
            let entry: Value = serde_json::from_str(&body).expect("an entry");
            let kind = text(&entry, "kind").to_owned();
            let facts = entry["facts"].as_object().expect("facts");
            // Parameters have names of their own: settings of the node, or a parameter of the charter with its value.
            if let Some(allowed) = allowed.get(&*kind) {
                let strange: Vec<_> = facts.keys().filter(|fact| !allowed.contains(fact.as_str())).collect();
                assert!(strange.is_empty(), "{name}: {kind} says {strange:?}: {body}");
            } else {
                assert_eq!(kind, "parameter", "{body}");
            }
            kinds.insert(kind);
        }
    }
    // Every signature under a receipt is in the log of the node whose key made it, once; who gave data only signed none.
    let fingerprint = |peer: &str| {
        let member = court.gateway.api("GET", &format!("/members/{peer}"), None).ok().json();
        text(&member, "fingerprint").to_owned()
    };
    let mut uses = Vec::new();
    let listed = court.gateway.api("GET", "/receipts", None).ok().json();
    for (peer, signs) in [("a", 0), ("b", 0), ("c", 0), ("x", 1), ("y", 1), ("z", 1)] {
        let key = fingerprint(peer);
        uses.push((json!({"key": key, "on": peer, "use": "registration"}).to_string(), 1));
        for line in listed["receipts"].as_array().expect("a list") {
            for used in ["receipt", "freeze"] {
                uses.push((json!({"key": key, "on": text(line, "session"), "use": used}).to_string(), signs));
            }
        }
    }
    // Who is not needed for a receipt may sign a moment later.
    until("every use in the log of its node", || {
        let own = entries(&peers);
        let found = |facts: &str| own.iter().filter(|body| body.contains(facts)).count();
        match uses.iter().find(|(facts, times)| found(facts) != *times) {
            Some((facts, times)) => Err(format!("{} times and not {times}: {facts}", found(facts))),
            None => Ok(()),
        }
    });
    let seen: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(seen, ["action", "consensus", "key_use", "parameter", "receipt", "session", "software"]);
}
