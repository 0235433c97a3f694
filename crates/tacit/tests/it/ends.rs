//! Clear ends of clients' tasks: by what they were asked with being revoked, and by failures of the gateway itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

use serde_json::{Value, json};
use tacit_job::sign_request;
use tacit_model::api::TaskRequest;
use tacit_model::{Clock, SystemClock};
use tacit_pki::Identity;

use crate::rooms::Rooms;
use crate::wait::{PATIENCE, until, until_offers};

/// An open stream of a task's events, of which the first has arrived.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(scene: &Rooms, token: &str, id: &str) -> Self {
        let url = scene.gateway.url();
        let address = url.strip_prefix("http://").expect("plain http");
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let head = format!(
            "GET /api/v1/tasks/{id}/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: \
             close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it is sent");
        let mut events = BufReader::new(stream);
        let mut line = String::new();
        while !line.starts_with("data:") {
            line.clear();
            assert!(events.read_line(&mut line).expect("a line") > 0, "no event");
        }
        Self(events)
    }

    /// All that comes until the stream is ended.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("the end of the stream");
        rest
    }
}

/// Id and text of a new token.
fn issue(scene: &Rooms, new: Value) -> (String, String) {
    let issued = scene.gateway.api("POST", "/tokens", Some(&new)).json();
    let text = |name: &str| issued[name].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned();
    (text("id"), text("token"))
}

fn revoke(scene: &Rooms, id: &str) {
    assert_eq!(scene.gateway.api("DELETE", &format!("/tokens/{id}"), None).status, 204);
}

fn id_of(task: &Value) -> String {
    task["id"].as_str().unwrap_or_else(|| panic!("{task}")).to_owned()
}

/// A task that has had its first computation of three.
fn begun(scene: &Rooms, id: &str) {
    until("the first computation", || {
        let task = scene.gateway.api("GET", &format!("/tasks/{id}"), None).ok().json();
        if task["windows"].as_array().is_some_and(|w| w.len() == 1) { Ok(()) } else { Err(task.to_string()) }
    });
}

/// Whoever revokes a token ends what was begun with it: those who wait for a task or watch it are told why, also when
/// the task is watched with one token and belongs to another. What others asked goes on.
#[test]
fn w3_revoking_ends_repeated_tasks_and_open_streams() {
    let mut scene = Rooms::found(3);
    scene.measure("temperature", 1000, &["20", "21", "22"]);
    let (client, token) = issue(&scene, json!({ "role": "viewer", "label": "client", "tasks": {} }));
    let (operator, watching) = issue(&scene, json!({ "role": "operator", "label": "screen" }));
    let often = || scene.question("mean", json!({ "repeat": { "every_s": 600, "times": 3 } }));
    let hand_in = |task: Value| scene.call(Some(&token), "POST", "/tasks", &json!({ "task": task, "wait": false }));
    let own = id_of(&hand_in(often()).ok().json());
    let other = id_of(&scene.hand_in(&often()));
    begun(&scene, &own);
    begun(&scene, &other);
    let (own_events, other_events) = (Events::open(&scene, &token, &own), Events::open(&scene, &watching, &other));

    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| scene.call(Some(&token), "POST", "/tasks", &json!({ "task": often() })));
        until("the third task", || {
            let tasks = scene.gateway.api("GET", "/tasks", None).ok().json();
            if tasks["tasks"].as_array().map(Vec::len) == Some(3) { Ok(()) } else { Err(tasks.to_string()) }
        });
        revoke(&scene, &client);
        waiting.join().expect("an answer")
    });
    let why = "the token or certificate of its client was revoked";
    let ended = waiting.ok().json();
    assert_eq!((&ended["state"], &ended["detail"]), (&json!("cancelled"), &json!(why)), "{ended}");
    let told = own_events.rest();
    assert!(told.contains("event: cancelled") && told.contains(why), "{told}");
    assert_eq!(scene.call(Some(&token), "GET", &format!("/tasks/{own}"), &json!({})).status, 401);

    // Its stream ends for the other one when that is revoked, and the task does not.
    revoke(&scene, &operator);
    let told = other_events.rest();
    assert!(told.contains("event: refused") && told.contains("revoked") && !told.contains(why), "{told}");

    // It stays so.
    scene.gateway.restart();
    let state = |id: &str| scene.gateway.api("GET", &format!("/tasks/{id}"), None).ok().json();
    let ended = state(&own);
    assert_eq!((&ended["state"], &ended["detail"]), (&json!("cancelled"), &json!(why)), "{ended}");
    assert_eq!(ended["windows"][0]["state"], "done", "{ended}");
    assert_eq!(state(&other)["state"], "open");
}

/// What an admitted key signed ends with it, also where another client handed it in.
#[test]
fn w3_revoking_a_key_ends_what_it_signed() {
    let scene = Rooms::found(3);
    scene.measure("temperature", 1000, &["20", "21", "22"]);
    let signer = Identity::generate("client", time::OffsetDateTime::UNIX_EPOCH).expect("a key");
    let key = signer.fingerprint().to_string();
    let new = json!({ "fingerprint": key, "role": "viewer", "label": "key", "tasks": {} });
    assert_eq!(scene.gateway.api("POST", "/certificates", Some(&new)).status, 201);
    let signed = |number: u8| {
        let (issued, nonce) = (SystemClock.now().to_rfc3339(), format!("{number:032x}"));
        let repeat = json!({ "every_s": 600, "times": 3 });
        let task = scene.question("mean", json!({ "repeat": repeat, "issued": issued, "nonce": nonce }));
        let task: TaskRequest = serde_json::from_value(task).expect("a task");
        let signature = sign_request(&task, &signer);
        scene.gateway.api("POST", "/tasks", Some(&json!({ "task": task, "signature": signature, "wait": false })))
    };
    let id = id_of(&signed(1).ok().json());
    let unsigned = id_of(&scene.hand_in(&scene.question("mean", json!({ "repeat": { "every_s": 600, "times": 3 } }))));
    begun(&scene, &id);
    revoke(&scene, &key);
    let ended = scene.ended(&id);
    assert_eq!(ended["state"], "cancelled", "{ended}");
    assert!(ended["detail"].as_str().is_some_and(|why| why.contains("was revoked")), "{ended}");
    assert_eq!(scene.gateway.api("GET", &format!("/tasks/{unsigned}"), None).ok().json()["state"], "open");
    let again = signed(2);
    assert!(again.status == 403 && again.body.contains("was revoked"), "{again:?}");
}

/// A gateway that cannot record a computation ends its task, and says so; nothing is left open.
#[test]
fn f13_a_task_that_the_gateway_cannot_go_on_with_ends_clearly() {
    let mut scene = Rooms::found(3);
    scene.measure("temperature", 1000, &["20", "21", "22"]);
    let database = scene.gateway.data().join("tacit.db");
    let run = |sql: &str| {
        let open = rusqlite::Connection::open(&database).expect("the database");
        open.busy_timeout(PATIENCE).expect("it waits for its turn");
        open.execute_batch(sql).expect("it is run");
    };
    run("CREATE TRIGGER broken BEFORE INSERT ON task_windows BEGIN SELECT RAISE(ABORT, 'broken'); END");
    let ended = scene.ask(&scene.question("mean", json!({})));
    let of = |ended: &Value| (ended["state"].clone(), ended["detail"].as_str().unwrap_or_default().to_owned());
    let (state, why) = of(&ended);
    assert!(state == "failed" && why.contains("the gateway could not go on with it"), "{ended}");
    assert!(ended["windows"].as_array().is_some_and(Vec::is_empty), "{ended}");
    run("DROP TRIGGER broken");
    scene.gateway.restart();
    until_offers(3, || scene.gateway.offers(scene.gid), |offer| offer["sources"] != json!([]));
    let after = scene.gateway.api("GET", &format!("/tasks/{}", id_of(&ended)), None).ok().json();
    assert_eq!(of(&after), (state, why));
    assert_eq!(scene.ask(&scene.question("mean", json!({})))["state"], "done");
}
