//! Peers that are killed again and again while a client asks.
//!
//! `TACIT_PEER_KILLS` says how often (5 unless told), `TACIT_SEED` makes the moments repeatable.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tacit_model::{Clock, SystemClock};

use crate::harness::Node;
use crate::http::Request;
use crate::kill_nine::{Random, setting};
use crate::wait::{let_pass, until, until_offers};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// No task may take longer, whoever dies: it has its answer, good or bad.
const DEADLINE: Duration = Duration::from_secs(40);

/// A gateway of its own, and five peers that all give, compute and receive. Peer number i measures 2^i, so that a sum
/// tells whose values are in it.
struct Field {
    gateway: Node,
    peers: Vec<Mutex<Node>>,
    gid: i64,
}

/// What became of the tasks.
#[derive(Default)]
struct Tally {
    done: usize,
    refused: usize,
    whole: usize,
    slowest: Duration,
    ids: Vec<(String, Value)>,
    /// What was said where there was no result.
    why: Vec<String>,
}

impl Field {
    fn found() -> Self {
        let gateway = Node::with("gateway", &["--roles", "manager"]);
        let gid = gateway.api("POST", "/groups", Some(&json!({ "name": "field" }))).json()["gid"].as_i64();
        let gid = gid.expect("a number");
        let (mut peers, mut compared) = (Vec::new(), Vec::new());
        for name in NAMES {
            let node = Node::with(name, &["--roles", "peer"]);
            let code = gateway.api("POST", &format!("/groups/{gid}/codes"), None).json();
            let joining = json!({
                "name": name, "role": "both", "gateway_url": format!("{}/api/v1", gateway.url()),
                "registration_code": code["code"], "operator": format!("tenant {name}"),
            });
            let joined = node.api("POST", "/peers", Some(&joining)).json();
            compared.push(json!({ "name": name, "fingerprint": joined["fingerprint"] }));
            peers.push(Mutex::new(node));
        }
        // One decision for all. With one fingerprint that is another's, nobody is let in.
        let mut wrong = compared.clone();
        wrong[4]["fingerprint"] = compared[0]["fingerprint"].clone();
        let path = format!("/groups/{gid}/verify");
        assert_eq!(gateway.api("POST", &path, Some(&json!({ "members": wrong }))).status, 403);
        let members = gateway.api("GET", &format!("/groups/{gid}/members"), None).ok().json();
        let members = members["members"].as_array().expect("a list");
        assert!(members.len() == 5 && members.iter().all(|member| member["verified"] == false), "{members:?}");
        let verified = gateway.api("POST", &path, Some(&json!({ "members": compared }))).ok().json();
        assert_eq!(verified["members"].as_array().map(Vec::len), Some(5), "{verified}");
        let field = Self { gateway, peers, gid };
        field.measure();
        until_offers(NAMES.len(), || field.gateway.offers(gid), |offer| offer["sources"] != json!([]));
        field
    }

    /// A new sample of everybody who is alive: windows with other members must be disjoint.
    fn measure(&self) {
        for (number, peer) in self.peers.iter().enumerate() {
            let (url, token) = {
                // One that is being killed or started is left alone.
                let Ok(node) = peer.try_lock() else { continue };
                (format!("{}/api/v1/peers/{}/samples", node.url(), NAMES[number]), node.token())
            };
            let value = (1_u32 << number).to_string();
            let body = json!({ "samples": [{ "at": SystemClock.now().to_rfc3339(), "values": { "level": value } }] });
            let call = Request::new("POST", &url).header("authorization", format!("Bearer {token}")).json(&body);
            // It may be killed just now.
            let _cut_off = call.send();
        }
    }

    /// Asks once; what is told must be true.
    fn ask(&self, tally: &mut Tally) {
        self.measure();
        let task = json!({
            "group": self.gid, "purpose": "level", "sources": ["level"], "aggregator": "sum", "preselector": "now",
            "decimals": 0, "least": "0", "most": "1000", "tell_gateway": true, "min_participants": 3,
        });
        let started = Instant::now();
        let body = self.gateway.api("POST", "/tasks", Some(&json!({ "task": task }))).ok().json();
        let took = started.elapsed();
        assert!(took < DEADLINE, "{} s: {body}", took.as_secs());
        tally.slowest = tally.slowest.max(took);
        let window = &body["windows"][0];
        match body["state"].as_str() {
            Some("done") => {
                // A task that is done has its result, and that is the sum of whom it counts.
                let sum = window["result"]["statistics"][0]["value"].as_f64().unwrap_or_else(|| panic!("{body}"));
                let sum = sum as u64;
                assert!(sum < 1 << NAMES.len(), "{body}");
                assert_eq!(u64::from(sum.count_ones()), window["contributors"].as_u64().expect("a count"), "{body}");
                assert!(sum.count_ones() >= 3, "{body}");
                tally.done += 1;
                tally.whole += usize::from(sum.count_ones() == 5);
            }
            Some("failed") => {
                let why = body["detail"].as_str().filter(|why| !why.is_empty());
                tally.why.push(why.unwrap_or_else(|| panic!("no reason: {body}")).to_owned());
                assert!(window["result"].is_null(), "{body}");
                tally.refused += 1;
            }
            _ => panic!("neither done nor refused: {body}"),
        }
        tally.ids.push((body["id"].as_str().expect("an id").to_owned(), body["windows"].clone()));
    }
}

#[test]
fn f13_kill_nine_of_peers_under_tasks() {
    let kills = setting("TACIT_PEER_KILLS", 4);
    let seed = setting("TACIT_SEED", 13);
    eprintln!("{kills} kills, seed {seed}");
    let field = Arc::new(Field::found());
    let over = Arc::new(AtomicBool::new(false));
    let asking = std::thread::spawn({
        let (field, over) = (Arc::clone(&field), Arc::clone(&over));
        move || {
            let mut tally = Tally::default();
            while !over.load(Ordering::Relaxed) {
                field.ask(&mut tally);
            }
            tally
        }
    });
    let mut random = Random(seed);
    for _ in 0..kills {
        let_pass(Duration::from_millis(random.below(300)));
        let victim = usize::try_from(random.below(5)).expect("small");
        let mut node = field.peers[victim].lock().unwrap_or_else(PoisonError::into_inner);
        node.kill();
        let_pass(Duration::from_millis(random.below(200)));
        node.restart();
    }
    over.store(true, Ordering::Relaxed);
    let mut tally = asking.join().unwrap_or_else(|_| panic!("a task was wrong, late or lost"));

    // Nobody needs a person: everybody is back.
    let whole = tally.whole;
    until("all peers to take part again", || {
        field.ask(&mut tally);
        if tally.whole > whole { Ok(()) } else { Err(format!("{} tasks", tally.ids.len())) }
    });
    eprintln!(
        "{} tasks: {} done ({} with all five), {} refused; the slowest took {} ms",
        tally.ids.len(),
        tally.done,
        tally.whole,
        tally.refused,
        tally.slowest.as_millis()
    );
    // One dies at a time, and the others are enough: before the freeze a task is repaired, so what ends it is a death after
    // that, or a difference with an earlier result.
    let ends =
        |why: &str| why.starts_with("the computation was given up") || why.starts_with("no result: with an earlier");
    assert!(tally.why.iter().all(|why| ends(why)), "{:?}", tally.why);
    // How many are refused depends on how many tasks fit between two kills.
    assert!(tally.done > 0, "{} of {} are answered", tally.done, tally.ids.len());
    // What was told once stays told.
    for (id, windows) in &tally.ids {
        let body = field.gateway.api("GET", &format!("/tasks/{id}"), None).ok().json();
        assert_eq!((&body["windows"], body["state"] == "open"), (windows, false), "{body}");
    }
}
