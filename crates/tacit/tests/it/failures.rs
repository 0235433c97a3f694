//! Members that are killed in the middle of a run.

use crate::harness::Node;
use crate::p2ds::{Config, ERROR, Group, INPUT, PRIVACY, STARTED};
use crate::sink::Sink;

/// A manager whose slots close soon, for tests in which somebody does not come.
fn impatient_manager() -> Node {
    Node::with("manager", &["--test-mode", "--roles", "manager", "--slot-deadline", "2"])
}

fn peer_node(name: &str) -> Node {
    Node::with(name, &["--test-mode", "--roles", "peer"])
}

#[test]
fn p17_failure_sends_nothing() {
    let (manager, sink) = (impatient_manager(), Sink::open());
    let (mine, mut yours) = (peer_node("node of a"), peer_node("node of b"));
    let mut group = Group::found(&manager.manager(), "g");
    group.join(&mine.peers(), "a", INPUT, &sink.url("a"));
    group.join(&yours.peers(), "b", INPUT, &sink.url("b"));
    for peer in ["x", "y", "z"] {
        group.join(&mine.peers(), peer, PRIVACY, &sink.url(peer));
    }
    group.verify_all();
    manager.manager().configure(group.gid, &Config::of(2, -1));
    group.start();
    group.give("a", &["1;3", "4;5"]);
    group.give("b", &["2;5"]);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 1), ["3;8"]);
    }

    yours.kill();
    group.wait_all(ERROR);
    manager.manager().wait_overview("Stopped with error. All peers stopped but last run was not successful.");
    assert_eq!(sink.rows("a"), ["3;8"], "the failed slot was posted");

    // Back without a new registration, a new verification or a new configuration.
    yours.restart();
    group.start();
    group.give("a", &["4;5"]);
    group.give("b", &["3;4"]);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 2), ["3;8", "7;9"]);
    }
}

#[test]
fn p17_too_few_privacy_peers_send_nothing() {
    let (manager, sink) = (impatient_manager(), Sink::open());
    let (inputs, mut one, mut two) = (peer_node("inputs"), peer_node("node of x"), peer_node("node of y"));
    let three = peer_node("node of z");
    let mut group = Group::found(&manager.manager(), "g");
    for peer in ["a", "b"] {
        group.join(&inputs.peers(), peer, INPUT, &sink.url(peer));
    }
    for (peer, node) in [("x", &one), ("y", &two), ("z", &three)] {
        group.join(&node.peers(), peer, PRIVACY, "");
    }
    group.verify_all();
    manager.manager().configure(group.gid, &Config::of(1, -1));
    group.start();
    group.give("a", &["1"]);
    group.give("b", &["2"]);
    assert_eq!(sink.wait_rows("a", 1), ["3"]);

    // Two of three are gone, one may be: the threshold is not lowered.
    one.kill();
    two.kill();
    group.give("a", &["10"]);
    group.give("b", &["20"]);
    group.wait_all(ERROR);
    assert_eq!((sink.rows("a"), sink.rows("b").len()), (vec!["3".to_owned()], 1));

    one.restart();
    two.restart();
    group.start();
    group.give("a", &["100"]);
    group.give("b", &["200"]);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 2), ["3", "300"]);
    }
}

#[test]
fn p33_privacy_peer_killed_m5_t2() {
    let (manager, sink) = (impatient_manager(), Sink::open());
    let inputs = peer_node("inputs");
    let names = ["v", "w", "x", "y", "z"];
    let mut privacy: Vec<Node> = names.iter().map(|name| peer_node(name)).collect();
    let mut group = Group::found(&manager.manager(), "g");
    for peer in ["a", "b"] {
        group.join(&inputs.peers(), peer, INPUT, &sink.url(peer));
    }
    for (name, node) in names.iter().zip(&privacy) {
        group.join(&node.peers(), name, PRIVACY, "");
    }
    group.verify_all();
    manager.manager().configure(group.gid, &Config::of(2, -1));
    group.start();
    let charter = manager.api("GET", &format!("/groups/{}", group.gid), None).ok().json();
    assert_eq!(charter["threshold"], 2, "{charter}");

    // Rows are there before the first kill, so that it meets the run at work.
    let rows = |from: u32| -> Vec<String> { (from..from + 20).map(|slot| format!("{slot};1")).collect() };
    group.give_all("a", &rows(0));
    group.give_all("b", &rows(0));
    sink.wait_rows("a", 1);
    privacy[3].kill();
    sink.wait_rows("a", 20);
    privacy[0].kill();
    group.give_all("a", &rows(20));
    group.give_all("b", &rows(20));
    let sums: Vec<String> = (0..40).map(|slot| format!("{};2", 2 * slot)).collect();
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 40), sums);
    }

    // Back in the middle of the run, and needed: two others go.
    for lost in [0, 3] {
        privacy[lost].restart();
        group.wait_member_connected(names[lost]);
        group.wait_status(names[lost], STARTED);
    }
    privacy[1].kill();
    privacy[2].kill();
    group.give("a", &["500;1"]);
    group.give("b", &["500;1"]);
    assert_eq!(sink.wait_rows("b", 41)[40], "1000;2");

    // One more than the threshold tolerates.
    privacy[4].kill();
    group.give("a", &["600;1"]);
    group.give("b", &["300;1"]);
    group.wait_all(ERROR);
    assert_eq!((sink.rows("a").len(), sink.rows("b").len()), (41, 41));
}
