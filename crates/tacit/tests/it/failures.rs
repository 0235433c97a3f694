//! Members that are killed in the middle of a run.

use std::time::{Duration, Instant};

use crate::harness::Node;
use crate::p2ds::{Config, ERROR, Group, INPUT, PRIVACY, STARTED};
use crate::sink::Sink;
use crate::wait::until;

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

/// Two input peers on one node, five privacy peers on nodes of their own: t = 2.
struct Five {
    manager: Node,
    privacy: Vec<Node>,
    group: Group,
    sink: Sink,
    _inputs: Node,
}

impl Five {
    const NAMES: [&str; 5] = ["v", "w", "x", "y", "z"];

    fn start() -> Self {
        let (manager, inputs, sink) = (impatient_manager(), peer_node("inputs"), Sink::open());
        let privacy: Vec<Node> = Self::NAMES.iter().map(|name| peer_node(name)).collect();
        let mut group = Group::found(&manager.manager(), "g");
        for peer in ["a", "b"] {
            group.join(&inputs.peers(), peer, INPUT, &sink.url(peer));
        }
        for (name, node) in Self::NAMES.iter().zip(&privacy) {
            group.join(&node.peers(), name, PRIVACY, "");
        }
        group.verify_all();
        manager.manager().configure(group.gid, &Config::of(2, -1));
        group.start();
        let charter = manager.api("GET", &format!("/groups/{}", group.gid), None).ok().json();
        assert_eq!(charter["threshold"], 2, "{charter}");
        Self { manager, privacy, group, sink, _inputs: inputs }
    }

    /// Hands in rows `from..to` and waits for their sums, which must be the only ones after `before`.
    #[track_caller]
    fn computes(&self, range: std::ops::Range<usize>) {
        let rows: Vec<String> = range.clone().map(|slot| format!("{slot};1")).collect();
        let sums: Vec<String> = range.clone().map(|slot| format!("{};2", 2 * slot)).collect();
        for peer in ["a", "b"] {
            self.group.give_all(peer, &rows);
        }
        for peer in ["a", "b"] {
            assert_eq!(self.sink.wait_rows(peer, range.end)[range.start..], sums, "{peer}");
        }
    }
}

#[test]
fn p33_privacy_peer_killed_m5_t2() {
    let mut five = Five::start();
    five.computes(0..3);
    // As many as the threshold tolerates. Their absence is noticed once, not at each slot anew.
    let began = Instant::now();
    five.privacy[3].kill();
    five.computes(3..23);
    five.privacy[0].kill();
    five.computes(23..43);
    // The runner waits two seconds for somebody who may come back: forty times that, if it did so at each slot.
    let anew = Duration::from_secs(2) * 40;
    assert!(began.elapsed() < anew, "forty slots without one or two peers took {:?}", began.elapsed());

    // Back in the middle of the run, and needed: two others go.
    for lost in [0, 3] {
        five.privacy[lost].restart();
        five.group.wait_member_connected(Five::NAMES[lost]);
        five.group.wait_status(Five::NAMES[lost], STARTED);
    }
    five.privacy[1].kill();
    five.privacy[2].kill();
    five.computes(43..45);

    // One more than the threshold tolerates.
    five.privacy[4].kill();
    five.group.give("a", &["600;1"]);
    five.group.give("b", &["300;1"]);
    five.group.wait_all(ERROR);
    assert_eq!((five.sink.rows("a").len(), five.sink.rows("b").len()), (45, 45));
}

/// A kill in the middle of sessions. Between the moment in which a peer binds itself to an input set and
/// the one in which all have, a loss ends the slot: then that is seen, nothing is posted for it, and the
/// next start goes on. In all other moments the sum comes.
#[test]
fn p33_killed_at_work() {
    const ROWS: usize = 30;
    let mut five = Five::start();
    five.computes(0..1);
    let (mut done, mut before_this_run, mut failures) = (1, 0, 0);
    for lost in [3, 0, 4] {
        let rows: Vec<String> = (done..done + ROWS).map(|slot| format!("{slot};1")).collect();
        for peer in ["a", "b"] {
            five.group.give_all(peer, &rows);
        }
        five.sink.wait_rows("a", done + 3);
        five.privacy[lost].kill();
        let failed = until("the rows to be computed or the run to fail", || match five.sink.rows("a").len() {
            count if count >= done + ROWS => Ok(false),
            _ if five.group.status("a") == ERROR => Ok(true),
            count => Err(format!("{count} results")),
        });
        // All of them, or all up to the slot that failed; the same for both.
        let total = if failed { before_this_run + done_in_last_run(&five) } else { done + ROWS };
        let sums: Vec<String> = (done..total).map(|slot| format!("{};2", 2 * slot)).collect();
        for peer in ["a", "b"] {
            assert_eq!(five.sink.wait_rows(peer, total)[done..], sums, "{peer}");
        }
        done = total;
        five.privacy[lost].restart();
        five.group.wait_member_connected(Five::NAMES[lost]);
        if failed {
            failures += 1;
            before_this_run = done;
            five.group.wait_all(ERROR);
            five.group.start();
        }
    }
    eprintln!("{failures} of 3 kills ended a run");
    five.computes(done..done + 2);
}

/// How many slots of a group's last run are done.
#[track_caller]
fn done_in_last_run(five: &Five) -> usize {
    let runs = format!("/groups/{}/runs", five.group.gid);
    let run = five.manager.api("GET", &runs, None).ok().json()["runs"][0]["run"].clone();
    let slots = five.manager.api("GET", &format!("{runs}/{run}/slots"), None).ok().json();
    slots["slots"].as_array().into_iter().flatten().filter(|slot| slot["state"] == "done").count()
}
