//! Each rule of a peer's policy, under real processes: what it keeps the peer out of, and what its owner reads.

use serde_json::{Value, json};
use tacit_job::sign_request;
use tacit_model::api::TaskRequest;
use tacit_model::{Clock, SystemClock, UnixMillis};
use tacit_pki::{Identity, random};
use time::OffsetDateTime;

use crate::harness::run;
use crate::rooms::{Rooms, number};
use crate::wait::until;

/// Asks for the mean of new samples, signed by somebody or by nobody; how many gave.
#[track_caller]
fn contributors(scene: &Rooms, signer: Option<&Identity>) -> u64 {
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    let mut nonce = [0; 16];
    random::fill(&mut nonce).expect("randomness");
    let fresh = json!({ "issued": SystemClock.now().to_rfc3339(), "nonce": hex::encode(nonce) });
    let request: TaskRequest = serde_json::from_value(scene.question("mean", fresh)).expect("a request");
    let signature = signer.map(|signer| sign_request(&request, signer));
    let body = json!({ "task": request, "signature": signature });
    let answer = scene.gateway.api("POST", "/tasks", Some(&body)).ok().json();
    assert_eq!(answer["state"], "done", "{answer}");
    assert!(!answer.to_string().contains("polic"), "the client hears no reason: {answer}");
    answer["windows"][0]["contributors"].as_u64().expect("a number")
}

/// A rule keeps its peer out of a task that the others finish; loosened as far as the same task, it lets it in. The refusal
/// is DENIED (34), and why is its owner's to read.
#[test]
fn f05_each_rule_keeps_its_peer_out_and_its_owner_reads_why() {
    let scene = Rooms::found(4);
    let client = Identity::generate("client", OffsetDateTime::UNIX_EPOCH).expect("a key");
    let key = client.fingerprint().to_string();
    let other = "0a".repeat(32);
    let by_client = format!("the client {key} is not one that this peer's policy serves");
    let rules: [(Option<&Identity>, Value, Value, &str); 8] = [
        (
            None,
            json!({ "min_operators": 5 }),
            json!({ "min_operators": 4 }),
            "4 operators would give data, this peer's policy wants at least 5",
        ),
        (
            None,
            json!({ "min_participants": 4 }),
            json!({ "min_participants": 3 }),
            "3 members would give data, this peer's policy wants at least 4 for a task",
        ),
        (
            None,
            json!({ "clients": [key] }),
            json!({ "clients": [] }),
            "the client without a signature is not one that this peer's policy serves",
        ),
        (Some(&client), json!({ "clients": [other] }), json!({ "clients": [other, key] }), &by_client),
        (
            None,
            json!({ "tell_gateway": false }),
            json!({ "tell_gateway": true }),
            "the task tells the gateway the result, and this peer's policy does not",
        ),
        (
            None,
            json!({ "models": ["malicious"] }),
            json!({ "models": ["malicious", "semi-honest"] }),
            "the security model semi-honest is not one that this peer's policy allows",
        ),
        // By now it has given several times.
        (
            None,
            json!({ "tasks_per_minute": 1 }),
            json!({ "tasks_per_minute": 100 }),
            "within a minute, its policy allows 1",
        ),
        (None, json!({ "tasks_per_day": 1 }), json!({ "tasks_per_day": 100 }), "within a day, its policy allows 1"),
    ];
    for (signer, strict, loose, reason) in rules {
        scene.rooms[3].policy(strict.clone());
        assert_eq!(contributors(&scene, signer), 3, "{strict}");
        let why = scene.rooms[3].trouble();
        assert!(why.contains("DENIED (34)") && why.contains(reason), "{strict}: {why}");
        assert!(why.starts_with("task ") && !why.contains("slot"), "it is named as its owner knows it: {why}");
        assert!(!scene.gateway.log().contains(reason), "the gateway knows: {reason}");
        scene.rooms[3].policy(loose.clone());
        assert_eq!(contributors(&scene, signer), 4, "{loose}: {}", scene.rooms[3].trouble());
        scene.rooms[3].node.api("DELETE", "/peers/room3/policy", None).ok();
    }
    // It is the latest, and its owner reads since when.
    let me = scene.rooms[3].node.api("GET", "/peers/room3", None).ok().json();
    let at = me["last_error_at"].as_str().unwrap_or_else(|| panic!("{me}"));
    let moment = UnixMillis::from_rfc3339(at).unwrap_or_else(|| panic!("{me}"));
    assert!((0..600_000).contains(&SystemClock.now().since(moment)), "{me}");
    let data = scene.rooms[3].node.data();
    let shown = run(&["peer", "show", "room3", "--data", data.to_str().expect("a path")]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&format!("last trouble at {at}: ")), "{shown}");
    // A series that it does not give from it does not offer, so it is not even asked.
    let offers = || scene.gateway.offers(scene.gid).to_string().matches("temperature").count();
    for (sources, given) in [(json!(["humidity"]), 3), (json!(["humidity", "temperature"]), 4)] {
        scene.rooms[3].policy(json!({ "sources": sources }));
        until("the offers", || if offers() == given { Ok(()) } else { Err(offers().to_string()) });
        for room in &scene.rooms {
            room.measure("temperature", 0, "20");
        }
        let answer = scene.ask(&scene.question("mean", json!({})));
        assert_eq!(
            (&answer["state"], &answer["windows"][0]["contributors"]),
            (&json!("done"), &json!(given)),
            "{answer}"
        );
    }
}

/// A series holds no more samples than its owner allows, and none that are older, whether they come late or grew old. Whoever
/// let some go gives to no window that they were in.
#[test]
fn f05_samples_are_bounded_in_number_and_in_age() {
    let mut scene = Rooms::found(4);
    let (old, fresh) = (7_200_000, 1_800_000);
    scene.rooms[2].policy(json!({ "keep_samples_hours": 1 }));
    for room in &scene.rooms {
        room.measure("temperature", old, "50");
    }
    scene.rooms[3].policy(json!({ "keep_samples_hours": 1 }));
    // It looks for what is too old once a minute, and first of all when it was started.
    scene.rooms[3].node.restart();
    scene.measure("temperature", fresh, &["20", "21", "22", "23"]);
    for _ in 0..2 {
        // What is left of three hours is not given as three hours.
        let answer = scene.ask(&scene.question("mean", json!({ "preselector": "last_3h" })));
        assert_eq!(answer["state"], "failed", "{answer}");
        for room in &scene.rooms[2..] {
            let why = room.trouble();
            assert!(why.contains("this peer has let go of samples up to"), "{why}");
        }
        let answer = scene.ask(&scene.question("mean", json!({ "preselector": "last_1h" })));
        assert_eq!(answer["state"], "done", "{answer}");
        assert!((number(&answer, "mean(temperature)") - 21.5).abs() < 1e-9, "{answer}");
        // What was let go does not come back with a longer memory.
        for room in &scene.rooms[2..] {
            room.policy(json!({ "keep_samples_hours": 100 }));
        }
    }

    let room = &scene.rooms[0];
    let one_more = json!({ "samples": [{ "values": { "temperature": "24" } }] });
    room.policy(json!({ "max_samples": 2 }));
    room.node.api("POST", "/peers/room0/samples", Some(&one_more)).ok();
    let told = room.node.api("GET", "/peers/room0", None).ok().body;
    assert!(told.contains("no room for more than 2 samples"), "{told}");
    // Another one of the newest moment would be more than is kept in all.
    room.policy(json!({ "max_samples": 1 }));
    let both = json!({ "samples": [{ "values": { "temperature": "24", "humidity": "50" } }] });
    let refused = room.node.api("POST", "/peers/room0/samples", Some(&both));
    assert_eq!(refused.status, 429, "{refused:?}");
}
