//! Clients that are told at an address.

use serde_json::{Value, json};
use tacit_model::Fingerprint;
use tacit_pki::PublicKey;
use tacit_pki::envelope::{Context, verify_detached};

use crate::harness::Port;
use crate::http::Request;
use crate::rooms::Rooms;
use crate::sink::{Post, Sink};
use crate::wait::until;

fn body(post: &Post) -> Value {
    serde_json::from_slice(&post.body).expect("JSON")
}

/// The last thing that was told at a place, once it says that the task is over.
#[track_caller]
fn last(sink: &Sink, place: &str) -> Post {
    until("the end of the task to be told", || {
        let posts = sink.posts(place);
        let over = posts.iter().find(|post| body(post)["state"] != "open").cloned();
        over.ok_or_else(|| format!("{} posts", posts.len()))
    })
}

/// What is told is signed by the gateway and comes until it is taken, also when receiver or gateway were down in
/// between; and only addresses are written to that the operator allows.
#[test]
fn f16_clients_are_told_where_they_may_be_and_nothing_is_lost() {
    let port = Port::reserve();
    let sink = Sink::open_at(port.number);
    let mut scene = Rooms::found_with(3, &["--allow-webhook", &sink.url("hooks")]);
    scene.measure("temperature", 0, &["20", "21", "22"]);
    let task = scene.question("mean", json!({}));
    let hand_in = |scene: &Rooms, task: &Value, url: &str| {
        scene.gateway.api("POST", "/tasks", Some(&json!({ "task": task, "notify": url })))
    };
    for url in [
        sink.url("elsewhere"),
        sink.url("hooksx"),
        sink.url("hooks/../elsewhere"),
        "http://127.0.0.1:1/hooks".to_owned(),
        "http://169.254.169.254/latest/".to_owned(),
        "file:///etc/passwd".to_owned(),
        String::new(),
    ] {
        let reply = hand_in(&scene, &task, &url);
        assert_eq!(reply.status, 403, "{url}: {reply:?}");
    }

    // Refused twice, told the third time.
    sink.refuse_next(2);
    let taken = hand_in(&scene, &task, &sink.url("hooks/a")).ok().json();
    let id = taken["id"].as_str().expect("an id");
    let told = last(&sink, "hooks/a");
    assert_eq!(sink.refused(), 2);
    assert_eq!(body(&told), scene.ended(id));
    assert_eq!(told.key.as_deref(), Some(format!("{id}-1-done").as_str()));
    let header = |name: &str| {
        let found = told.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name}: {:?}", told.headers))
    };
    let key = PublicKey::from_base64(header("tacit-key")).expect("a key");
    let node = scene.gateway.api("GET", "/node", None).ok().json();
    let pinned: Fingerprint = node["fingerprint"].as_str().expect("one").parse().expect("a fingerprint");
    assert_eq!(key.fingerprint(), pinned);
    let mut signature = [0; 64];
    hex::decode_to_slice(header("tacit-signature"), &mut signature).expect("a signature");
    verify_detached(&key, Context::Notice, &told.body, &signature).expect("it holds");
    let mut forged = told.body.clone();
    forged[10] ^= 1;
    assert!(verify_detached(&key, Context::Notice, &forged, &signature).is_err());

    // Under a word that was used: the same task, told from its beginning where its client says now.
    let new = json!({ "role": "viewer", "label": "ada", "tasks": {} });
    let token = scene.gateway.api("POST", "/tokens", Some(&new)).json()["token"].as_str().expect("one").to_owned();
    let again = |url: Option<String>| {
        let mut new = json!({ "task": task, "wait": false });
        if let Some(url) = url {
            new["notify"] = url.into();
        }
        let url = format!("{}/api/v1/tasks", scene.gateway.url());
        let request = Request::new("POST", &url).header("authorization", format!("Bearer {token}"));
        request.header("idempotency-key", "a word").json(&new).answer()
    };
    let taken = again(None).ok().json();
    let over = scene.ended(taken["id"].as_str().expect("an id"));
    let refused = again(Some(sink.url("elsewhere")));
    assert_eq!(refused.status, 403, "{refused:?}");
    for place in ["hooks/c", "hooks/d"] {
        assert_eq!(again(Some(sink.url(place))).ok().json()["id"], over["id"], "{place}");
        assert_eq!(body(&last(&sink, place)), over, "{place}");
    }
    assert!(sink.posts("elsewhere").is_empty());

    // The receiver is down when the task ends, and the gateway is killed.
    let url = sink.url("hooks/b");
    drop(sink);
    let repeated = scene.question("mean", json!({ "repeat": { "every_s": 1, "times": 2 } }));
    let taken = hand_in(&scene, &repeated, &url).ok().json();
    let id = taken["id"].as_str().expect("an id").to_owned();
    scene.gateway.restart();
    assert_eq!(scene.ended(&id)["windows"].as_array().map(Vec::len), Some(2));
    let sink = Sink::open_at(port.number);
    let told = body(&last(&sink, "hooks/b"));
    assert_eq!(told, scene.ended(&id));
    // Nobody is told of tasks that nobody wanted to be told of.
    scene.ask(&task);
    assert!(sink.posts("hooks/a").is_empty());
}
