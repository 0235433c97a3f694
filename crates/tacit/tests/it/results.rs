//! Results on their way out: buffered, retried, shown.

use serde_json::json;

use crate::harness::{Node, Port};
use crate::http::{Request, post_json};
use crate::p2ds::{Config, Group, STOPPED};
use crate::sink::Sink;
use crate::wait::until;

#[test]
fn p16_result_buffering_process() {
    let (node, sink) = (Node::start(), Sink::open());
    let rows: Vec<String> = (1..=10).map(|slot| format!("{slot};0")).collect();
    for (buffer, sizes) in [(1, &[1; 10][..]), (10, &[10]), (3, &[3, 3, 3, 1])] {
        let name = format!("by{buffer}");
        let config = Config { buffer, ..Config::of(2, 10) };
        let results = |peer: &str| sink.url(&format!("{name}-{peer}"));
        let group = Group::usual(&node.manager(), &node.peers(), &name, &results, &config);
        group.start();
        group.give_all("a", &rows);
        group.give_all("b", &rows);
        group.wait_all(STOPPED);
        for peer in ["a", "b"] {
            let sums: Vec<String> = (1..=10).map(|slot| format!("{};0", 2 * slot)).collect();
            assert_eq!(sink.wait_rows(&group.full(peer), 10), sums);
            let posts = sink.posts(&group.full(peer));
            let counts: Vec<usize> = posts.iter().map(|post| post.rows.len()).collect();
            assert_eq!(counts, sizes, "buffer of {buffer}");
            let mut keys: Vec<_> = posts.iter().map(|post| post.key.clone().expect("an idempotency key")).collect();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), sizes.len(), "each post has a key of its own");
        }
        // Privacy peers learn nothing, so they post nothing.
        assert!(["x", "y", "z"].iter().all(|peer| sink.posts(&group.full(peer)).is_empty()));
    }
}

#[test]
fn p16_a_stopped_stream_is_flushed() {
    let (node, sink) = (Node::start(), Sink::open());
    let config = Config { buffer: 10, ..Config::of(1, -1) };
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &config);
    group.start();
    group.give("a", &["1", "2", "3"]);
    group.give("b", &["1", "2", "3"]);
    until("three slots to be done", || {
        let slots = node.api("GET", &format!("/groups/{}/runs/1/slots", group.gid), None).ok().json();
        let done = slots["slots"].as_array().into_iter().flatten().filter(|slot| slot["state"] == "done").count();
        if done == 3 { Ok(()) } else { Err(slots.to_string()) }
    });
    assert!(sink.posts("a").is_empty(), "a buffer that is not full was posted in the middle of a run");
    group.stop();
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 3), ["2", "4", "6"]);
        assert_eq!(sink.posts(peer).len(), 1);
    }
}

#[test]
fn p16_a_receiver_that_is_down_misses_nothing() {
    let (node, sink) = (Node::start(), Sink::open());
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &Config::of(1, 4));
    sink.refuse_next(4);
    group.start();
    group.give("a", &["1", "2", "3", "4"]);
    group.give("b", &["1", "1", "1", "1"]);
    // The computation does not wait for the receiver.
    group.wait_all(STOPPED);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 4), ["2", "3", "4", "5"], "in the order of their slots");
        assert_eq!(sink.posts(peer).len(), 4, "taken once each");
    }
    assert_eq!(sink.refused(), 4);
}

#[test]
fn p16_results_wait_for_their_receiver_also_through_a_power_cut() {
    let (mut node, port) = (Node::start(), Port::reserve());
    let results = |peer: &str| format!("http://127.0.0.1:{}/{peer}", port.number);
    let config = Config { buffer: 3, ..Config::of(1, 4) };
    let group = Group::usual(&node.manager(), &node.peers(), "g", &results, &config);
    group.start();
    group.give("a", &["1", "2", "3", "4"]);
    group.give("b", &["1", "1", "1", "1"]);
    group.wait_all(STOPPED);
    node.kill();
    node.restart();
    let sink = Sink::open_at(port.number);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 4), ["2", "3", "4", "5"]);
        let sizes: Vec<usize> = sink.posts(peer).iter().map(|post| post.rows.len()).collect();
        assert_eq!(sizes, [3, 1], "{peer}");
    }
}

#[test]
fn p24_receiver_show() {
    let node = Node::with("receiver", &["--test-mode", "--roles", "receiver"]);
    let receiver = node.receiver();
    let address = receiver.address();
    for header in ["FROM", "WHEN", "DATA"] {
        assert!(receiver.page().contains(header), "{header}");
    }
    assert!(receiver.table().is_empty());
    post_json(&address, &json!({ "data": ["3;8", "7;9"], "peerName": null })).expect(200, "OK");
    post_json(&address, &json!({ "data": ["3;8"], "peerName": "a" })).expect(200, "OK");
    // The old notation of a list of one.
    post_json(&address, &json!({ "data": "10;10" })).expect(200, "OK");
    let table = receiver.table();
    let data: Vec<&str> = table.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(data, ["3;8", "7;9", "3;8", "10;10"], "in the order of their arrival");
    for row in &table {
        assert_eq!(row[0], "127.0.0.1");
        assert!(row[1].ends_with(" GMT") && row[1].split(' ').count() == 5, "{row:?}");
    }

    // A repetition under the same key counts once; text of strangers is no markup.
    for _ in 0..3 {
        let body = json!({ "data": ["<script>alert(1)</script>"] });
        Request::new("POST", &address).header("idempotency-key", "k1").json(&body).answer().expect(200, "OK");
    }
    let page = receiver.page();
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
    assert_eq!(receiver.table().len(), 5);
    for bad in ["", "null", "{}", "{\"data\":7}", "[\"3;8\"]"] {
        let reply = Request::new("POST", &address).body("application/json", bad).answer();
        assert!(reply.is_refusal(), "{bad}: {reply:?}");
    }
    assert_eq!(receiver.table().len(), 5);
}
