//! Groups at work: who computes, in which order, how often, and in which shape.

use std::time::Duration;

use crate::harness::Node;
use crate::p2ds::{Config, ERROR, Group, INPUT, PRIVACY, STARTED, STOPPED};
use crate::sink::Sink;
use crate::wait::{let_pass, until};

#[test]
fn p7_only_verified_compute() {
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let mut group = Group::usual(&manager, &service, "g", &|peer| sink.url(peer), &Config::of(2, -1));
    group.join(&service, "c", INPUT, &sink.url("c"));
    group.join(&service, "w", PRIVACY, &sink.url("w"));

    group.start();
    for stranger in ["c", "w"] {
        assert_eq!(group.status(stranger), 0, "{stranger} was started without having been verified");
        let seat = group.seat(stranger);
        let reply = service.start(&group.full(stranger), &seat.code);
        assert!(reply.is_refusal(), "{stranger}: {reply:?}");
        let reply = service.inputs(&group.full(stranger), &seat.code, &["5;5".to_owned()]);
        reply.expect(400, "ERR_NOT_RUNNING");
    }
    group.give("a", &["1;3"]);
    group.give("b", &["2;5"]);
    assert_eq!(sink.wait_rows("a", 1), ["3;8"]);
    assert_eq!(sink.wait_rows("b", 1), ["3;8"]);

    // Verified in the middle of a run: everybody hears of it, and from the next start on it counts.
    group.stop();
    manager.verify(&group.full("c"), true);
    group.start();
    group.give("a", &["1;1"]);
    group.give("b", &["10;10"]);
    group.give("c", &["100;100"]);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 2), ["3;8", "111;111"]);
    }
    assert_eq!(sink.wait_rows("c", 1), ["111;111"]);
    assert_eq!(sink.rows("w"), Vec::<String>::new());
}

#[test]
fn p10_two_groups_at_once() {
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let found = |name: &str, config: &Config| {
        let prefix = name.to_owned();
        Group::usual(&manager, &service, name, &|peer| sink.url(&format!("{prefix}-{peer}")), config)
    };
    let small = found("small", &Config::of(2, 20));
    let large = found("large", &Config { field: 9223372036854775783, max: 1 << 40, items: 3, slots: 20, buffer: 1 });
    let value = |slot: u64| slot << 30;
    small.start();
    large.start();
    for slot in 0..20 {
        small.give("a", &[&format!("{slot};1")]);
        large.give_all("b", &[format!("{};{slot};7", value(slot))]);
        large.give_all("a", &[format!("{};{slot};0", value(slot))]);
        small.give("b", &[&format!("{slot};2")]);
    }
    let small_sums: Vec<String> = (0..20).map(|slot| format!("{};3", 2 * slot)).collect();
    let large_sums: Vec<String> = (0..20).map(|slot| format!("{};{};7", 2 * value(slot), 2 * slot)).collect();
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(&format!("small-{peer}"), 20), small_sums);
        assert_eq!(sink.wait_rows(&format!("large-{peer}"), 20), large_sums);
    }
    small.wait_all(STOPPED);
    large.wait_all(STOPPED);
}

#[test]
fn p11_start_stop_status() {
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let group = Group::usual(&manager, &service, "g", &|peer| sink.url(peer), &Config::of(2, -1));
    let seat = |peer: &str| (group.full(peer), group.seat(peer).code.clone());
    manager.wait_overview("Unknown. No peer has ever been started.");

    // One by one.
    let (a, code) = seat("a");
    service.stop(&a, &code).expect(400, "ERR_NOT_RUNNING");
    group.wait_connected();
    for peer in ["x", "y", "z", "b", "a"] {
        group.start_peer(peer);
    }
    service.start(&a, &code).expect(400, "ERR_RUNNING");
    service.start(&a, "wrong").expect(400, "ERR_INV_REG_CODE");
    service.stop(&a, "wrong").expect(400, "ERR_INV_REG_CODE");
    group.wait_all(STARTED);
    manager.wait_overview("Running. All peers are running.");
    group.give("a", &["1;2"]);
    group.give("b", &["3;4"]);
    assert_eq!(sink.wait_rows("a", 1), ["4;6"]);
    for peer in ["a", "b", "x", "y", "z"] {
        assert_eq!(group.status(peer), STARTED);
        let (name, code) = seat(peer);
        service.stop(&name, &code).expect(200, "SUCCESS");
        group.wait_status(peer, STOPPED);
    }
    service.stop(&a, &code).expect(400, "ERR_NOT_RUNNING");
    manager.wait_overview("Stopped. All peers stopped.");

    // All at once, twice.
    group.start();
    manager.start_group(group.gid).expect(200, "ERR_SUCCESS");
    manager.wait_overview("Running. All peers are running.");
    group.stop();
    group.wait_all(STOPPED);
    manager.stop_group(group.gid).expect(200, "ERR_SUCCESS");
    manager.start_group(77).expect(404, "ERR_NO_GROUP");

    // With an error: a value above the bound.
    group.start();
    group.give("a", &["1001;0"]);
    group.give("b", &["1;1"]);
    group.wait_all(ERROR);
    manager.wait_overview("Stopped with error. All peers stopped but last run was not successful.");
    assert_eq!(sink.rows("b"), ["4;6"]);

    // And well again.
    group.start();
    group.give("a", &["1;1"]);
    group.give("b", &["1;1"]);
    assert_eq!(sink.wait_rows("b", 2), ["4;6", "2;2"]);
}

#[test]
fn p13_start_order_irrelevant() {
    /// The manual's five seconds, more than the runner waits for anybody without a reason.
    const LATE: Duration = Duration::from_secs(5);
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let orders: [(&str, &[&str], &[&str]); 4] = [
        ("inputs-first", &["a", "b"], &["x", "y", "z"]),
        ("privacy-first", &["x", "y", "z"], &["a", "b"]),
        ("mixed", &["b", "y", "a"], &["z", "x"]),
        ("one-late", &["a", "x", "b", "z"], &["y"]),
    ];
    let groups: Vec<Group> = orders
        .iter()
        .map(|(name, _, _)| {
            let config = Config { buffer: 2, ..Config::default() };
            Group::usual(&manager, &service, name, &|peer| sink.url(&format!("{name}-{peer}")), &config)
        })
        .collect();
    groups.iter().for_each(Group::wait_connected);
    let give = |group: &Group, peers: &[&str]| {
        for peer in peers {
            group.start_peer(peer);
        }
        // Rows may come as soon as their own peer runs.
        if peers.contains(&"a") {
            group.give("a", &["1;3", "4;5"]);
        }
        if peers.contains(&"b") {
            group.give("b", &["2;5", "3;4"]);
        }
    };
    for (group, (_, early, _)) in groups.iter().zip(&orders) {
        give(group, early);
    }
    let_pass(LATE);
    for (group, (_, _, late)) in groups.iter().zip(&orders) {
        assert_eq!(sink.rows(&group.full("a")), Vec::<String>::new(), "{} went on without some", group.name);
        give(group, late);
    }
    for group in &groups {
        for peer in ["a", "b"] {
            assert_eq!(sink.wait_rows(&group.full(peer), 2), ["3;8", "7;9"], "{}", group.name);
        }
        group.wait_all(STOPPED);
    }
}

#[test]
fn p14_splits_of_six_values() {
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let (mine, yours) = ([1, 4, 2, 8, 9, 23], [10, 0, 30, 1000, 977, 5]);
    let rows = |values: &[u32], items: usize| -> Vec<String> {
        let row = |chunk: &[u32]| chunk.iter().map(u32::to_string).collect::<Vec<_>>().join(";");
        values.chunks(items).map(row).collect()
    };
    for (items, slots) in [(6_u32, 1), (3, 2), (2, 3), (1, 6)] {
        let name = format!("{slots}x{items}");
        let config = Config { field: 2147483647, ..Config::of(items, slots) };
        let group = Group::usual(&manager, &service, &name, &|peer| sink.url(&format!("{name}-{peer}")), &config);
        group.start();
        let items = usize::try_from(items).expect("small");
        group.give_all("a", &rows(&mine, items));
        group.give_all("b", &rows(&yours, items));
        group.wait_all(STOPPED);
        let count = usize::try_from(slots).expect("small");
        for peer in ["a", "b"] {
            let results = sink.wait_rows(&group.full(peer), count);
            assert_eq!(results.len(), count);
            assert_eq!(results.join(";"), "11;4;32;1008;986;28", "{name}");
        }
    }
}

#[test]
fn p15_streaming() {
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let group = Group::usual(&manager, &service, "g", &|peer| sink.url(peer), &Config::of(2, -1));
    group.start();
    group.give("a", &["2;2", "6;1", "1;5"]);
    for row in ["8;8", "5;3", "4;7"] {
        group.give("b", &[row]);
    }
    assert_eq!(sink.wait_rows("a", 3), ["10;10", "11;4", "5;12"]);

    // The one may be far ahead of the other, and rows may come whenever they come.
    let ahead: Vec<String> = (0..40).map(|slot| format!("{slot};0")).collect();
    group.give_all("a", &ahead);
    for slot in 0..40 {
        group.give("b", &[&format!("{slot};{slot}")]);
        if slot % 10 == 0 {
            sink.wait_rows("a", 4 + slot);
        }
    }
    let results = sink.wait_rows("b", 43);
    let wanted: Vec<String> = (0..40).map(|slot| format!("{};{slot}", 2 * slot)).collect();
    assert_eq!(results[3..], wanted);
    group.wait_all(STARTED);

    // A row that waits for the other one when the run ends is not carried over into the next run.
    group.give("a", &["999;999"]);
    group.stop();
    group.wait_all(STOPPED);
    let seat = group.seat("a");
    until("a to hear of the stop", || {
        let reply = service.input(&group.full("a"), &seat.code, "1;1").map_err(|e| e.to_string())?;
        if reply.body.contains("ERR_NOT_RUNNING") { Ok(()) } else { Err(reply.body) }
    });
    group.start();
    group.give("b", &["1;1"]);
    group.give("a", &["1;1"]);
    assert_eq!(sink.wait_rows("a", 44)[43..], ["2;2"]);
}

#[test]
fn p28_three_domains_288() {
    const FIVE_MINUTES: usize = 288;
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let domains = ["swisscom:ddos-input-peer-1", "domain 2/ü", "domain-3"];
    // A day of each domain, from a small generator so that failures can be repeated.
    let mut state = 20160301_u64;
    let mut day = || -> Vec<u64> {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % 5001
        };
        (0..FIVE_MINUTES).map(|_| next()).collect()
    };
    let days = [day(), day(), day()];
    let sums: Vec<String> =
        (0..FIVE_MINUTES).map(|at| days.iter().map(|day| day[at]).sum::<u64>().to_string()).collect();

    // The manual's way: the whole day as one row; and one row every five minutes.
    for (name, items, slots) in [("day", 288, 1), ("stream", 1, 288)] {
        let config = Config { field: 2147483647, max: 5000, items, slots, buffer: 100 };
        let mut group = Group::found(&manager, name);
        let kinds = [("1", INPUT), ("2", INPUT), ("3", INPUT), ("x", PRIVACY), ("y", PRIVACY), ("z", PRIVACY)];
        if name == "day" {
            group = group.with_exact_names();
        }
        let member = |at: &str| match at {
            "1" => domains[0].to_owned(),
            "2" => domains[1].to_owned(),
            "3" => domains[2].to_owned(),
            other => other.to_owned(),
        };
        for (at, kind) in kinds {
            group.join(&service, &member(at), kind, &sink.url(&format!("{name}{at}")));
        }
        group.verify_all();
        manager.configure(group.gid, &config);
        group.start();
        for (at, day) in ["1", "2", "3"].iter().zip(&days) {
            let texts: Vec<String> = day.iter().map(u64::to_string).collect();
            let rows = if items == 1 { texts } else { vec![texts.join(";")] };
            group.give_all(&member(at), &rows);
        }
        let count = usize::try_from(slots).expect("small");
        for at in ["1", "2", "3"] {
            let results = sink.wait_rows(&format!("{name}{at}"), count);
            assert_eq!(results.join(";"), sums.join(";"), "{name} {at}");
        }
        group.wait_all(STOPPED);
    }
}
