//! What the owner of a peer reads of the tasks that the peer is asked to take part in, and what their client does not, under
//! real processes.

use serde_json::{Value, json};
use tacit_job::sign_request;
use tacit_model::api::TaskRequest;
use tacit_model::{Clock, SystemClock};
use tacit_pki::Identity;
use time::OffsetDateTime;

use crate::harness::run;
use crate::rooms::{Room, Rooms};
use crate::wait::until;

/// What the owner of a room reads, newest first.
fn jobs(room: &Room) -> Vec<Value> {
    let all = room.node.api("GET", &format!("/peers/{}/jobs", room.name), None).ok().json();
    all["jobs"].as_array().unwrap_or_else(|| panic!("{all}")).clone()
}

/// What a command prints for the owner of a room.
#[track_caller]
fn command(room: &Room, args: &[&str]) -> String {
    let token = room.node.data().join("keys").join("owner.token");
    let output = run(&[args, &["--node", &room.node.url(), "--token-file", token.to_str().expect("a path")]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn f04_each_owner_reads_who_asked_what_for_with_whom_and_how_it_ended_also_after_a_crash() {
    let mut scene = Rooms::found(4);
    scene.measure("temperature", 0, &["20", "21", "22", "23"]);
    scene.rooms[3].policy(json!({ "purposes": ["energy"] }));
    let client = Identity::generate("client", OffsetDateTime::UNIX_EPOCH).expect("a key");
    let fresh = json!({ "issued": SystemClock.now().to_rfc3339(), "nonce": "0b".repeat(16) });
    let request: TaskRequest = serde_json::from_value(scene.question("mean", fresh)).expect("a request");
    let signature = sign_request(&request, &client);
    let body = json!({ "task": request, "signature": signature });
    let answer = scene.gateway.api("POST", "/tasks", Some(&body)).ok().json();
    assert_eq!((&answer["state"], &answer["windows"][0]["contributors"]), (&json!("done"), &json!(3)), "{answer}");
    let id = answer["id"].as_str().expect("an id").to_owned();

    // Who took part.
    let done = until("the end of the job at a room", || {
        jobs(&scene.rooms[0]).into_iter().find(|job| job["state"] == "done").ok_or_else(|| "none".to_owned())
    });
    let text = |name: &str| done[name].as_str().unwrap_or_else(|| panic!("{name} in {done}")).to_owned();
    assert_eq!((text("task"), text("purpose"), text("aggregator")), (id.clone(), "HVAC".to_owned(), "mean".to_owned()));
    assert_eq!((text("client"), text("gateway")), (client.fingerprint().to_string(), scene.gateway.fingerprint()));
    assert_eq!(done["request"]["preselector"], "now");
    assert_eq!(done["request"]["most"], "50");
    assert_eq!(done["signatures"]["hold"], true);
    assert_eq!(done["signatures"]["client"]["signature"], json!(signature.signature));
    assert!(done["signatures"]["gateway"]["signature"].is_string());
    assert_eq!((&done["sources"], &done["parameters"]["names"]), (&json!(["temperature"]), &json!("temperature")));
    assert!(done["window"]["from"].is_string() && done["window"]["to"].is_string(), "{done}");
    assert_eq!((text("model"), &done["threshold"]), ("semi-honest".to_owned(), &json!(1)));
    assert_eq!(
        (text("told"), text("detail")),
        ("the gateway and its client, in clear".to_owned(), "3 members gave data".to_owned())
    );
    assert!(text("opened").contains("named decimals"), "{done}");
    let everybody = done["participants"].as_array().expect("a list");
    let mut named: Vec<_> = everybody.iter().map(|one| (one["name"].clone(), one["operator"].clone())).collect();
    named.sort_by_key(|(name, _)| name.to_string());
    assert_eq!(named[0], (json!("room0"), json!("tenant of room0")), "{done}");
    for room in &scene.rooms[..3] {
        let found = everybody.iter().find(|one| one["fingerprint"] == json!(room.key)).expect("a participant");
        assert_eq!((&found["gives"], &found["computes"], &found["learns"]), (&json!(true), &json!(true), &json!(true)));
    }

    // Who did not: why, its owner alone.
    let declined = jobs(&scene.rooms[3]).remove(0);
    assert_eq!((&declined["state"], &declined["task"]), (&json!("declined"), &json!(id)), "{declined}");
    let why = declined["detail"].as_str().expect("a reason");
    assert!(why.starts_with("DENIED (34)") && why.contains("HVAC"), "{why}");
    assert!(!answer.to_string().contains(why) && !scene.gateway.log().contains(why));
    let viewer = json!({ "role": "viewer", "label": "guest" });
    let viewer = scene.rooms[3].node.api("POST", "/tokens", Some(&viewer)).json()["token"].clone();
    let url = format!("{}/api/v1/peers/room3/jobs", scene.rooms[3].node.url());
    let bearer = format!("Bearer {}", viewer.as_str().expect("a token"));
    assert_eq!(crate::http::Request::new("GET", &url).header("authorization", bearer).answer().status, 403);

    // After a crash all that was asked is there: it was durable before anything was opened. Results name the task.
    scene.rooms[0].node.kill();
    scene.rooms[0].node.restart();
    let mut kept = jobs(&scene.rooms[0]).remove(0);
    assert!(kept["state"] == "done" || kept["state"] == "interrupted", "{kept}");
    // Its end is durable a moment later only.
    for end in ["state", "detail", "ended"] {
        kept[end] = done[end].clone();
    }
    assert_eq!(kept, done);
    let shown = command(&scene.rooms[1], &["peer", "jobs", "room1", "--max", "1"]);
    for part in [
        id.as_str(),
        &client.fingerprint().to_string(),
        &scene.gateway.fingerprint(),
        "HVAC",
        "temperature, now, values from 0 to 50",
        "mean, with",
        "semi-honest, threshold 1",
        "opened ",
        "the gateway and its client, in clear",
        "room0 of tenant of room0: gives, computes, learns the result",
        "3 members gave data",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    let machine: Value =
        serde_json::from_str(&command(&scene.rooms[3], &["peer", "jobs", "room3", "--json"])).expect("JSON");
    assert_eq!(machine[0], declined);
    let results = command(&scene.rooms[0], &["peer", "results", "room0", "--task", &id]);
    assert!(results.starts_with(&format!("task {id} computation 1")), "{results}");
    assert_eq!(command(&scene.rooms[0], &["peer", "results", "room0"]), results);
    assert_eq!(command(&scene.rooms[0], &["peer", "results", "room0", "--task", &"0".repeat(32)]), "");
}

/// A client sees which series there are for the sets that it may ask about, and how many offer them; not who.
#[test]
fn rule10_who_asks_for_tasks_sees_what_is_offered_and_not_by_whom() {
    let scene = Rooms::found(3);
    scene.measure("temperature", 0, &["20", "21", "22"]);
    for (room, floor) in scene.rooms.iter().zip(["floor=1", "floor=2", "floor=2"]) {
        let labels = json!({ "labels": ["offices", floor] });
        room.node.api("PUT", &format!("/peers/{}/labels", room.name), Some(&labels)).ok();
    }
    until("the labels", || {
        let offers = scene.gateway.offers(scene.gid);
        let labelled = offers.as_array().expect("a list").iter().filter(|offer| offer["labels"] != json!([])).count();
        if labelled == 3 { Ok(()) } else { Err(offers.to_string()) }
    });
    for (tasks, seen) in
        [(json!({}), 3), (json!({ "sets": ["offices,floor=2", "cellar"] }), 2), (json!({ "sets": [""] }), 3)]
    {
        let new = json!({ "role": "viewer", "label": "client", "tasks": tasks });
        let token = scene.gateway.api("POST", "/tokens", Some(&new)).json()["token"].clone();
        let call = |path: &str| scene.call(token.as_str(), "GET", &format!("/groups/{}{path}", scene.gid), &json!({}));
        let told = call("/offers").ok();
        let offers = told.json()["offers"].as_array().expect("a list").clone();
        assert_eq!(offers.len(), seen, "{offers:?}");
        assert!(offers.iter().all(|offer| offer["sources"] == json!(["temperature"])), "{offers:?}");
        for room in &scene.rooms {
            assert!(!told.body.contains(&room.name) && !told.body.contains(&room.key), "{}", told.body);
        }
        let refused = call("/directory");
        assert!(refused.status == 403 && refused.body.contains("how many took part"), "{refused:?}");
    }
}
