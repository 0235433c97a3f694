//! Slots that have times: a row goes to the slot of its time, whenever and with whatever it is handed in.

use serde_json::{Value, json};

use crate::harness::Node;
use crate::http::Reply;
use crate::p2ds::{Config, Group, INPUT, PRIVACY};
use crate::sink::Sink;

/// Three input peers, and slots of a minute from midnight on; after five seconds, two rows are enough.
fn group(node: &Node, sink: &Sink) -> Group {
    let mut group = Group::found(&node.manager(), "g");
    for peer in ["a", "b", "c"] {
        group.join(&node.peers(), peer, INPUT, &sink.url(peer));
    }
    for peer in ["x", "y", "z"] {
        group.join(&node.peers(), peer, PRIVACY, "");
    }
    group.verify_all();
    node.manager().configure(group.gid, &Config::of(1, -1));
    let rules = json!({ "on_missing_input": { "proceed": 2 }, "deadline_ms": 5000, "slot_ms": 60_000,
        "first_slot": "2026-03-04T00:00:00Z" });
    let set = node.api("PUT", &format!("/groups/{}/slot-rules", group.gid), Some(&rules)).ok().json();
    assert_eq!(set["slots"]["first_slot"], "2026-03-04T00:00:00Z", "{set}");
    group.start();
    group
}

/// Hands in rows as `(second, value)`.
fn give(node: &Node, peer: &str, rows: &[(u32, u32)]) -> Reply {
    let row = |(second, value): &(u32, u32)| json!({ "slot_start": format!("2026-03-04T00:{:02}:{:02}Z", second / 60, second % 60), "values": [value.to_string()] });
    let rows: Vec<Value> = rows.iter().map(row).collect();
    node.api("POST", &format!("/peers/{peer}/rows"), Some(&json!({ "rows": rows })))
}

#[test]
fn p28_a_missing_row_shifts_nothing() {
    let (node, sink) = (Node::start(), Sink::open());
    let group = group(&node, &sink);
    let (a, b, c) = (group.full("a"), group.full("b"), group.full("c"));
    let taken = |reply: Reply| assert!(matches!(reply.status, 200 | 201), "{reply:?}");

    // Nothing of these is taken.
    let state = node.api("GET", &format!("/peers/{a}"), None).ok().body;
    for (wrong, status) in [(&[(0, 1), (90, 1)][..], 422), (&[(0, 1), (0, 2)], 409)] {
        let refused = give(&node, &a, wrong);
        assert_eq!(refused.status, status, "{refused:?}");
    }
    for row in [
        json!({ "values": ["1"] }),
        json!({ "slot_start": "2026-03-03T23:59:00Z", "values": ["1"] }),
        json!({ "slot_start": "2036-03-03T23:59:00Z", "values": ["1"] }),
    ] {
        let refused = node.api("POST", &format!("/peers/{a}/rows"), Some(&json!({ "rows": [row] })));
        assert_eq!(refused.status, 422, "{row}: {refused:?}");
        // As `tacit peer rows` hands them in.
        assert!(row.get("slot_start").is_some() || refused.body.contains("tacit source csv"), "{refused:?}");
    }
    assert_eq!(node.api("GET", &format!("/peers/{a}"), None).ok().body, state);

    // b and c give slot by slot, out of order, and once twice; a leaves out the third slot, between two batches.
    for (minute, value) in [(1, 20), (0, 10), (3, 40), (2, 30), (3, 40)] {
        taken(give(&node, &b, &[(minute * 60, value)]));
    }
    taken(give(&node, &c, &[(0, 100), (60, 200), (120, 300), (180, 400)]));
    taken(give(&node, &a, &[(0, 1), (60, 2)]));
    taken(give(&node, &a, &[(180, 4)]));
    for peer in ["a", "b", "c"] {
        assert_eq!(sink.wait_rows(peer, 4), ["111", "222", "330", "444"], "{peer}");
    }

    // Too late: the slot is over. The others are not held up.
    assert_eq!(give(&node, &a, &[(120, 3), (240, 5)]).status, 409);
    for (peer, value) in [(&a, 5), (&b, 50), (&c, 500)] {
        taken(give(&node, peer, &[(240, value)]));
    }
    assert_eq!(sink.wait_rows("a", 5)[4], "555");
}
