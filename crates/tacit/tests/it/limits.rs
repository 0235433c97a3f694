//! What may go in and what may come out: rows, bounds, fields.

use serde_json::json;

use crate::harness::Node;
use crate::http::{Request, post_json};
use crate::p2ds::{Config, ERROR, Group, STOPPED};
use crate::sink::Sink;

#[test]
fn p18_input_format() {
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    let group = Group::usual(&manager, &service, "g", &|peer| sink.url(peer), &Config::of(2, -1));
    let (name, code) = (group.full("a"), group.seat("a").code.clone());
    let input = |row: &str| service.input(&name, &code, row).expect("an answer");
    input("1;3").expect(400, "ERR_NOT_RUNNING");
    group.start();

    for bad in ["a;b", "1;x", "-1;2", "1.5;2", "1,2", "0x1;2", "1;\u{661}", "1e3;2", "", ";", "1;", "1;;2", "1 2;3"] {
        input(bad).expect(400, "ERR_INV_DATA");
    }
    for wrong_length in ["1", "1;2;3"] {
        input(wrong_length).expect(400, "ERR_INV_DATA");
    }
    input("18446744073709551616;1").expect(400, "ERR_INV_DATA");

    // Several rows: all of them or none.
    for bad in [&["5;5", "x;1"][..], &["5;5", "6;6", "7"], &["x;1", "5;5"], &["5;5", "5;5", ""], &[]] {
        let rows: Vec<String> = bad.iter().map(|row| (*row).to_owned()).collect();
        service.inputs(&name, &code, &rows).expect(400, "ERR_INV_DATA");
    }
    // Who are you?
    service.input(&name, "wrong", "1;3").expect("an answer").expect(400, "ERR_INV_REG_CODE");
    service.input(&name, "", "1;3").expect("an answer").expect(400, "ERR_INV_REG_CODE");
    service.input(&name, &group.seat("b").code, "1;3").expect("an answer").expect(400, "ERR_INV_REG_CODE");
    assert!(service.input("nobody", &code, "1;3").expect("an answer").is_refusal());
    // What is this?
    let url = format!("{}/input?registrationCode={code}", service.base);
    for body in ["", "null", "[]", "{", "{\"peerName\":1}", "{\"data\":\"1;3\"}", "{\"peerName\":\"g-a\",\"data\":{}}"]
    {
        let reply = Request::new("POST", &url).body("application/json", body).answer();
        assert!(reply.is_refusal(), "{body}: {reply:?}");
    }

    // White space was always taken, and a list of one without brackets, too.
    input(" 1 ; 3\n").expect(200, "SUCCESS");
    let url = format!("{}/inputs?registrationCode={code}", service.base);
    post_json(&url, &json!({ "peerName": name, "data": "4;5" })).expect(200, "SUCCESS");
    group.give("b", &["2;5", "3;4"]);
    // Nothing of all that was refused is among the sums.
    assert_eq!(sink.wait_rows("a", 2), ["3;8", "7;9"]);
}

#[test]
fn p19_max_element() {
    let (node, sink) = (Node::start(), Sink::open());
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &Config::of(3, -1));
    group.start();
    group.give("a", &["1000;0;12"]);
    group.give("b", &["0;1000;1000"]);
    assert_eq!(sink.wait_rows("a", 1), ["1000;1000;1012"]);

    // Its own peer does not send it: the round fails where everybody can see it.
    group.give("a", &["0;1001;0"]);
    group.give("b", &["1;1;1"]);
    group.wait_all(ERROR);
    let why = last_slot(&node, group.gid);
    assert!(why.contains("failed") && why.contains(&group.full("a")), "{why}");
    assert!(!why.contains("1001"), "the value is told: {why}");
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 1), ["1000;1000;1012"], "{peer} posted something for the failed round");
    }
}

/// What the manager tells of the last slot of a group's last run.
#[track_caller]
fn last_slot(node: &Node, gid: i64) -> String {
    let runs = node.api("GET", &format!("/groups/{gid}/runs"), None).ok().json();
    let run = &runs["runs"][0]["run"];
    let slots = node.api("GET", &format!("/groups/{gid}/runs/{run}/slots"), None).ok().json();
    slots["slots"].as_array().and_then(|slots| slots.last()).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn p20_field() {
    let (node, sink) = (Node::start(), Sink::open());
    let (manager, service) = (node.manager(), node.peers());
    // 1013 with the manual's bound of 1000: exact below, an error from 1013 on, never wrapped around.
    let mut done = 0;
    for (mine, yours, sum) in [(0, 0, Some("0")), (1000, 12, Some("1012")), (1000, 13, None), (1000, 1000, None)] {
        let name = format!("g{mine}-{yours}");
        let config = Config::of(1, 1);
        let group = Group::usual(&manager, &service, &name, &|_| sink.url("small"), &config);
        group.start();
        group.give("a", &[&mine.to_string()]);
        group.give("b", &[&yours.to_string()]);
        group.wait_all(if sum.is_some() { STOPPED } else { ERROR });
        match sum {
            Some(sum) => {
                done += 2;
                assert_eq!(sink.wait_rows("small", done)[done - 2..], [sum, sum]);
            }
            None => assert!(last_slot(&node, group.gid).contains("field"), "{}", last_slot(&node, group.gid)),
        }
    }
    assert_eq!(sink.rows("small").len(), done, "a sum that does not fit the field was posted");

    // "In doubt": 2^63 - 25, exact up to its last digit.
    let half = 4611686018427387891_u64;
    let field = 9223372036854775783_u64;
    let config = Config { field, max: half, items: 2, slots: 1, buffer: 1 };
    let group = Group::usual(&manager, &service, "big", &|peer| sink.url(peer), &config);
    group.start();
    group.give("a", &[&format!("{half};1")]);
    group.give("b", &[&format!("{half};9007199254740993")]);
    for peer in ["a", "b"] {
        assert_eq!(sink.wait_rows(peer, 1), [format!("{};9007199254740994", 2 * half)]);
    }
    assert_eq!(2 * half, field - 1);

    // No primes: 1 and 0 by convention, 1001 = 7 * 11 * 13, a Carmichael number, a square, a large product.
    let gid = manager.create_group("composite");
    for composite in ["0", "1", "4", "1001", "1014", "561", "1018081", "9223372036854775807", "18446744073709551615"] {
        let mut body = Config { max: 1, ..Config::default() }.json(gid);
        body["field"] = json!(composite);
        let reply = post_json(&manager.at("/configuration"), &body);
        assert!(reply.is_refusal(), "{composite}: {reply:?}");
    }
}
