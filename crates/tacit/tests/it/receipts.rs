//! Receipts outlive the processes that owe them, and tell nobody what went in.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tacit_accord::log::Hash;
use tacit_accord::receipt::{Contribution, Receipt, contribution_leaf};
use tacit_engine::commitment;

use crate::agreement::Court;
use crate::harness::{Node, run};
use crate::http::escaped;
use crate::p2ds::{Config, Group, INPUT, PRIVACY};
use crate::sink::Sink;
use crate::wait::{let_pass, until};

/// When the gateway is killed, after the last row of a slot was taken: before the session, in it, after its result.
const DELAYS: [u64; 3] = [0, 40, 120];

/// Sessions of which a node holds receipts: the gateway's, or those of a peer.
fn sessions(node: &Node, peer: Option<&str>) -> BTreeSet<String> {
    let path = match peer {
        Some(peer) => format!("/peers/{}/receipts", escaped(peer)),
        None => "/receipts".to_owned(),
    };
    let listed = node.api("GET", &path, None).ok().json();
    let lines = listed["receipts"].as_array().expect("a list").iter();
    lines.map(|line| line["session"].as_str().expect("a session").to_owned()).collect()
}

/// What a peer keeps for a session: the receipt, and what it says of the peer's own data.
fn kept(node: &Node, peer: &str, session: &str) -> (Receipt, Option<Contribution>) {
    let path = format!("/peers/{}/receipts/{session}", escaped(peer));
    let body = node.api("GET", &path, None).ok().json();
    let receipt = Receipt::verify(body["receipt"].as_str().expect("a receipt")).expect("it holds");
    (receipt, body["contribution"].as_str().map(|own| serde_json::from_str(own).expect("a contribution")))
}

/// The gateway is killed around the end of every slot, and in the end both nodes at once, as soon as there is a result.
#[test]
fn every_result_has_its_receipt_however_often_its_gateway_is_killed() {
    let mut gateway = Node::with("gateway", &["--tls", "--test-mode", "--roles", "manager"]);
    let mut peers = Node::with("peers", &["--test-mode", "--roles", "peer"]);
    let sink = Sink::open();
    let config = Config::of(1, -1);
    let group = Group::usual(&gateway.manager(), &peers.peers(), "g", &|peer| sink.url(peer), &config);
    group.start();
    for (slot, delay) in DELAYS.into_iter().enumerate() {
        group.give("a", &["1"]);
        group.give("b", &["2"]);
        let_pass(Duration::from_millis(delay));
        gateway.kill();
        gateway.restart();
        assert_eq!(sink.wait_rows("a", slot + 1).len(), slot + 1);
        group.wait_connected();
    }
    group.give("a", &["1"]);
    group.give("b", &["2"]);
    let slots = DELAYS.len() + 1;
    assert_eq!(sink.wait_rows("b", slots).len(), slots);
    gateway.kill();
    peers.kill();
    gateway.restart();
    peers.restart();

    let members = ["a", "b", "x", "y", "z"].map(|peer| group.full(peer));
    let issued = until("all receipts", || {
        let issued = sessions(&gateway, None);
        let held = members.iter().all(|member| sessions(&peers, Some(member)) == issued);
        if issued.len() == slots && held {
            Ok(issued)
        } else {
            Err(format!("{} of {slots}, held: {held}", issued.len()))
        }
    });
    let mut computed = BTreeSet::new();
    for session in &issued {
        for member in &members[..2] {
            let (receipt, own) = kept(&peers, member, session);
            receipt.check_contribution(&own.expect("its data counted")).expect("and this proves it");
            assert_eq!(receipt.statement.contributors.count, 2);
            computed.insert(receipt.statement.slot.0);
        }
        assert_eq!(kept(&peers, &members[2], session).1, None, "who gave nothing has nothing to prove");
    }
    assert_eq!(computed, (0..i64::try_from(slots).expect("few")).collect(), "one for each slot");
}

/// A running group of five: z, which only computes, lives on the first node, all others on the second.
fn with_z_apart() -> (Node, Node, Node, Sink, Group) {
    let gateway = Node::with("gateway", &["--tls", "--test-mode", "--roles", "manager"]);
    let first = Node::with("first", &["--test-mode", "--roles", "peer"]);
    let second = Node::with("second", &["--test-mode", "--roles", "peer"]);
    let sink = Sink::open();
    let mut group = Group::found(&gateway.manager(), "g");
    group.join(&first.peers(), "z", PRIVACY, "");
    for (peer, kind) in [("a", INPUT), ("b", INPUT), ("x", PRIVACY), ("y", PRIVACY)] {
        group.join(&second.peers(), peer, kind, &sink.url(peer));
    }
    group.verify_all();
    group.manager.configure(group.gid, &Config::of(1, -1));
    group.start();
    (gateway, first, second, sink, group)
}

/// A receipt that is issued while its holder is away comes when it is back.
#[test]
fn a_member_that_was_away_gets_its_receipts_when_it_is_back() {
    let (gateway, mut first, _second, sink, group) = with_z_apart();
    group.give("a", &["1"]);
    group.give("b", &["2"]);
    assert_eq!(sink.wait_rows("a", 1), ["3"]);
    first.kill();
    // Two of three compute on; the third misses this receipt, and perhaps the one before.
    group.give("a", &["3"]);
    group.give("b", &["4"]);
    assert_eq!(sink.wait_rows("a", 2)[1..], ["7"]);
    let issued = until("two receipts", || {
        let issued = sessions(&gateway, None);
        if issued.len() == 2 { Ok(issued) } else { Err(format!("{issued:?}")) }
    });
    first.restart();
    let z = group.full("z");
    until("those that z computed in", || {
        let held = sessions(&first, Some(&z));
        if held.is_subset(&issued) && !held.is_empty() { Ok(()) } else { Err(format!("{held:?} of {issued:?}")) }
    });
}

/// More than a gateway sends at a time.
const LACKED: usize = 270;

/// A node that was restored from an older copy lacks receipts of which it knows nothing, and gets them page by page.
#[test]
fn a_member_that_was_restored_gets_all_receipts_that_it_lacks() {
    let (gateway, mut first, _second, _sink, group) = with_z_apart();
    let z = group.full("z");
    let all = |node: &Node, peer: Option<&str>, count: usize| {
        until("all receipts", || {
            let there = sessions(node, peer);
            if there.len() == count { Ok(there) } else { Err(format!("{} of {count}", there.len())) }
        })
    };
    group.give("a", &["1"]);
    group.give("b", &["2"]);
    all(&first, Some(&z), 1);
    first.stop();
    let files = ["tacit.db", "tacit.db-wal"].map(|name| first.data().join(name));
    let copy = files.clone().map(|file| std::fs::read(file).ok());
    first.restart();
    group.give_all("a", &vec!["3".to_owned(); LACKED]);
    group.give_all("b", &vec!["4".to_owned(); LACKED]);
    let issued = all(&gateway, None, 1 + LACKED);
    assert_eq!(all(&first, Some(&z), 1 + LACKED), issued);
    first.stop();
    for (file, copy) in files.iter().zip(copy) {
        match copy {
            Some(copy) => std::fs::write(file, copy).expect("restored"),
            None => drop(std::fs::remove_file(file)),
        }
    }
    first.restart();
    assert_eq!(all(&first, Some(&z), 1 + LACKED), issued);
}

/// Of two receipts that a member awaits the gateway cannot read what it owes for the first one; the second one comes all the same.
#[test]
fn a_damaged_debt_is_not_in_the_way_of_other_receipts() {
    let (gateway, mut first, _second, _sink, group) = with_z_apart();
    let z = group.full("z");
    for row in ["1", "2"] {
        group.give("a", &[row]);
        group.give("b", &[row]);
    }
    let both = until("both receipts", || {
        let held = sessions(&first, Some(&z));
        if held.len() == 2 { Ok(held) } else { Err(format!("{held:?}")) }
    });
    first.stop();
    let damaged = both.first().expect("two");
    let change = |node: &Node, statements: [&str; 2]| {
        let rows = rusqlite::Connection::open(node.data().join("tacit.db")).expect("the database");
        for sql in statements {
            assert!(rows.execute(sql, [damaged]).expect("changed") > 0, "{sql}");
        }
    };
    // z names the newest first.
    let awaits =
        "INSERT INTO receipts_owed (holder, session, gid, run, slot, body, at) SELECT holder, session, gid, run, slot,
                  '{}', at + 1000 * (session = ?1) FROM receipts";
    change(&first, [awaits, "DELETE FROM receipts WHERE ?1 <> ''"]);
    let owes =
        "INSERT INTO receipts_owed (holder, session, gid, run, slot, body, at) SELECT holder, session, gid, run, slot,
                'damaged', at FROM receipts WHERE holder = '' AND session = ?1";
    change(&gateway, [owes, "DELETE FROM receipts WHERE holder = '' AND session = ?1"]);
    first.restart();
    let comes = until("the other one", || {
        let held = sessions(&first, Some(&z));
        if held.is_empty() { Err("nothing".to_owned()) } else { Ok(held) }
    });
    assert_eq!(comes.iter().collect::<Vec<_>>(), [both.last().expect("two")]);
}

/// DESIGN rule 10: everybody together, but for the contributor itself, cannot find its number between 0 and 1000.
#[test]
fn rule10_nobody_finds_an_input_by_trying_all_against_its_receipt() {
    let (node, sink) = (Node::start(), Sink::open());
    let config = Config::of(1, 1);
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &config);
    group.start();
    group.give("a", &["613"]);
    group.give("b", &["2"]);
    assert_eq!(sink.wait_rows("a", 1), ["615"]);
    let (a, b) = (group.full("a"), group.full("b"));
    let session = until("the receipt", || sessions(&node, Some(&b)).pop_first().ok_or_else(|| "none".to_owned()));
    until("that of a", || sessions(&node, Some(&a)).pop_first().ok_or_else(|| "none".to_owned()));
    // What b knows: the receipt, its own proof, in which the only sibling is a's leaf, and who a is.
    let (receipt, own) = kept(&node, &b, &session);
    let leaf: Hash = own.expect("it counted").counted.expect("it counted").proof[0].parse().expect("a hash");
    let a_is = node.api("GET", &format!("/members/{}", escaped(&a)), None).ok().json();
    let a_is = a_is["fingerprint"].as_str().expect("a fingerprint").parse().expect("a fingerprint");
    // Only the commitment stands between that and the number: with it, which a alone has, the leaf is found.
    let mine = kept(&node, &a, &session).1.expect("it counted").counted.expect("it counted").commitment;
    let mine: Hash = mine.parse().expect("a hash");
    assert_eq!(contribution_leaf(&a_is, &mine.0), leaf);
    let known = |text: &str| text.parse::<Hash>().expect("a hash").0;
    let statement = &receipt.statement;
    let published = [&statement.binding, &statement.plan, &statement.frozen, &statement.contributors.root];
    let mut salts = vec![[0; 32], [255; 32], receipt.statement.consensus.0, leaf.0];
    salts.extend(published.map(|text| known(text)));
    for salt in &salts {
        for input in 0..=1000 {
            let guess = commitment(&known(&statement.binding), &a_is, salt, &[input]);
            assert!(guess != mine.0 && contribution_leaf(&a_is, &guess) != leaf, "{input} was found");
        }
    }
    // Nor does the database of the node that hosts a hold the salt: no 32 bytes of it open the commitment.
    let rows = std::fs::read(node.data().join("tacit.db")).expect("a database");
    let wal = std::fs::read(node.data().join("tacit.db-wal")).unwrap_or_default();
    let binding = known(&statement.binding);
    for salt in rows.windows(32).chain(wal.windows(32)).filter(|bytes| bytes[..8] != [0; 8]) {
        let salt: &[u8; 32] = salt.try_into().expect("32 bytes");
        assert_ne!(commitment(&binding, &a_is, salt, &[613]), mine.0, "the salt was kept");
    }
}

/// "Did my data count?": who was in hears so with a proof, who came too late hears why, and nobody else hears it.
#[test]
fn rule10_why_data_did_not_count_is_told_to_its_owner_alone() {
    let court = Court::over(Node::with("gateway", &["--tls", "--test-mode", "--roles", "manager"]));
    let near = Node::with("near", &["--test-mode", "--roles", "peer"]);
    let far = Node::with("far", &["--test-mode", "--roles", "peer"]);
    let sink = Sink::open();
    let mut group = Group::found(&court.gateway.manager(), "g").with_exact_names();
    for (peer, kind) in [("a", INPUT), ("b", INPUT), ("x", PRIVACY), ("y", PRIVACY), ("z", PRIVACY)] {
        group.join(&near.peers(), peer, kind, &sink.url(peer));
    }
    group.join(&far.peers(), "c", INPUT, &sink.url("c"));
    group.verify_all();
    group.manager.configure(group.gid, &Config::of(1, -1));
    let rules = json!({ "on_missing_input": { "proceed": 2 }, "deadline_ms": 5000, "slot_ms": 0 });
    court.gateway.api("PUT", "/groups/1/slot-rules", Some(&rules)).ok();
    group.start();
    group.give("a", &["1"]);
    group.give("b", &["2"]);
    assert_eq!(sink.wait_rows("a", 1), ["3"], "the third was not waited for");
    let session =
        until("the receipt of the third", || sessions(&far, Some("c")).pop_first().ok_or_else(|| "none".to_owned()));
    let others = ["a", "b", "x", "y", "z"];
    until("those of the others", || match others.iter().map(|peer| sessions(&near, Some(peer)).len()).sum() {
        5 => Ok(()),
        count => Err(count.to_string()),
    });
    // The third: not counted, and why, as its own node tells it.
    let (receipt, own) = kept(&far, "c", &session);
    let own = own.expect("an answer");
    assert_eq!((&own.counted, receipt.statement.contributors.count), (&None, 2));
    let why = own.reason.clone().expect("a reason");
    assert_eq!(why, "there was no row for this slot before it closed");
    assert_eq!(receipt.check_contribution(&own).expect_err("it did not count").why, why);
    let data = far.data();
    let mine = court.keys.path().join("mine.json");
    let mine = mine.to_str().expect("a path");
    let show = ["receipt", "show", &session, "--peer", "c", "--contribution", mine, "--data"];
    assert_eq!(run(&[&show[..], &[data.to_str().expect("a path")]].concat()).status.code(), Some(0));
    assert!(std::fs::read_to_string(mine).expect("an answer").contains(&why));
    // Nobody else: not who counted, not who computed, not the gateway's operator, not whoever reads receipt or logs.
    let (receipt, own) = kept(&near, "a", &session);
    let own = own.expect("it counted");
    receipt.check_contribution(&own).expect("and this proves it");
    assert_eq!((own.reason, kept(&near, "x", &session).1), (None, None));
    let asked = court.gateway.api("GET", "/members/c", None).ok().json();
    let third = asked["fingerprint"].as_str().expect("a fingerprint").to_owned();
    let issued = court.gateway.api("GET", &format!("/receipts/{session}"), None).ok().body;
    assert!(issued.contains(&session) && !issued.contains(&third) && !issued.contains(&why), "{issued}");
    assert_eq!(near.api("GET", &format!("/peers/c/receipts/{session}"), None).status, 404);
    let mut told = vec![issued];
    for peer in others {
        told.push(near.api("GET", &format!("/peers/{peer}/receipts/{session}"), None).ok().body);
    }
    for node in [&court.gateway, &near] {
        told.push(node.api("GET", "/log?max=1000", None).ok().body);
    }
    for text in &told {
        assert!(!text.contains("no row for this slot"), "{text}");
    }
}
