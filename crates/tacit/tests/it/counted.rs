//! How many messages a task takes: counted where they are sent, and not timed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Node;
use crate::http::get;
use crate::rooms::Rooms;
use crate::wait::until;

/// Tasks that are counted together.
const TASKS: u64 = 5;

/// Frames that a node has sent so far over links of this protocol.
fn sent(node: &Node, protocol: &str) -> u64 {
    let metrics = get(&format!("{}/metrics", node.url())).ok().body;
    let line = format!("tacit_link_sent_frames_total{{protocol=\"{protocol}\"}} ");
    let value = metrics.lines().find_map(|text| text.strip_prefix(&line)).unwrap_or_else(|| panic!("{metrics}"));
    value.parse().expect("a number")
}

/// What one task took, and ten pings.
#[derive(Debug)]
struct Counts {
    /// Frames of a session from one peer to one other: of two peers one sends more than the other.
    session: f64,
    /// Frames from the gateway to one peer, and from one peer to the gateway.
    asked: f64,
    answered: f64,
    /// Heads of the log among these, at most.
    heads: f64,
    /// The same of ten pings.
    pinged: f64,
    ponged: f64,
}

fn counts(peers: u32) -> Counts {
    let scene = Rooms::found(usize::try_from(peers).expect("few"));
    let values: Vec<String> = (0..peers).map(|room| (20 + room).to_string()).collect();
    scene.measure("temperature", 1000, &values.iter().map(String::as_str).collect::<Vec<_>>());
    // Links are made, and what is said of a first task is said.
    let sum = || {
        let told = scene.ask(&scene.question("sum", json!({ "preselector": "last_1h" })));
        assert_eq!(told["windows"][0]["contributors"], peers, "{told}");
    };
    sum();
    let control = || {
        let peers: u64 = scene.rooms.iter().map(|room| sent(&room.node, "control")).sum();
        [sent(&scene.gateway, "control"), peers]
    };
    // Receipts follow a task, and heads of the log follow those, at most one a second.
    let at_rest = || {
        let mut last = (control(), Instant::now());
        until("nothing more to be sent", || {
            let now = control();
            if now != last.0 {
                last = (now, Instant::now());
            }
            if last.1.elapsed() > Duration::from_millis(1600) { Ok(now) } else { Err(format!("{now:?}")) }
        })
    };
    let each = |now: u64, then: u64, times: u64| (now - then) as f64 / f64::from(peers) / times as f64;
    let [asked, answered] = at_rest();
    let in_sessions = || scene.rooms.iter().map(|room| sent(&room.node, "mpc")).sum::<u64>();
    let (session, begun) = (in_sessions(), Instant::now());
    (0..TASKS).for_each(|_| sum());
    // As many heads as seconds: on a slow machine more of them fall on the same tasks.
    let heads = (begun.elapsed().as_secs_f64() + 1.0) / TASKS as f64;
    let resting = Instant::now();
    let [after_asked, after_answered] = at_rest();
    // And who rests long on it asks every few seconds whether the others are there.
    let heads = heads + resting.elapsed().as_secs_f64() / 4.0 / TASKS as f64;
    let session = each(in_sessions(), session, TASKS) / f64::from(peers - 1);
    let path = format!("/groups/{}/ping?messages=10", scene.gid);
    let [pinged, ponged] = [after_asked, after_answered];
    let told = scene.gateway.api("POST", &path, None).ok().json();
    assert_eq!((&told["members"], &told["messages"]), (&peers.into(), &10.into()), "{told}");
    let [after_pinged, after_ponged] = control();
    Counts {
        session,
        asked: each(after_asked, asked, TASKS),
        answered: each(after_answered, answered, TASKS),
        heads,
        pinged: each(after_pinged, pinged, 1),
        ponged: each(after_ponged, ponged, 1),
    }
}

/// A task asks each peer three times (Prepare, Link, Session) and gets three answers, whether there are three peers or
/// five, and a session takes six or seven frames from one peer to another: what grows with their number is how many are
/// spoken to, not how often one waits. What nobody waits for (receipts, heads of the log, heartbeats) comes on top.
#[test]
fn f10_a_task_takes_the_same_few_messages_for_each_peer_however_many_there_are() {
    let (few, many) = (counts(3), counts(5));
    for counts in [&few, &many] {
        // The phases and the receipt, and what comes with the seconds: one more for each task is too many.
        let few = 3.0..=4.5 + counts.heads;
        assert!(few.contains(&counts.asked) && few.contains(&counts.answered), "{counts:?}");
        assert!((6.0..=7.0).contains(&counts.session), "{counts:?}");
        assert!((10.0..=13.0).contains(&counts.pinged) && (10.0..=13.0).contains(&counts.ponged), "{counts:?}");
    }
    assert!((few.session - many.session).abs() <= 0.5, "{few:?} {many:?}");
    assert!((few.asked - many.asked).abs() <= 1.0 + few.heads.max(many.heads), "{few:?} {many:?}");
}
