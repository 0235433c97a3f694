use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::desk::Fake;
use crate::world::{KEY, MGMT, World, world_with};

const BODIES: [&str; 14] = [
    "",
    "{}",
    "[]",
    "null",
    "\"x\"",
    "{\"name\":null}",
    "{\"name\":\"\"}",
    "{\"name\":\"\\u0000\"}",
    "{\"name\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}",
    "{\"gid\":\"99999999999999999999\",\"field\":\"1013\",\"maxElement\":\"1\",\"mpcProtocol\":\"additive\",\"numberOfItems\":\"4294967296\",\"numberOfTimeSlots\":\"2\"}",
    "{\"gid\":\"1\",\"field\":\"1013\",\"maxElement\":\"1000000\",\"mpcProtocol\":\"additive\",\"numberOfItems\":\"2000000000\",\"numberOfTimeSlots\":\"2\"}",
    "{\"peerName\":\"a\",\"data\":\"x;y\"}",
    "token=x&gid=99999999999999999999",
    "\u{1f4a9}\u{202e}",
];

/// Path parts that are not what they should be.
const PARTS: [&str; 10] = [
    "0",
    "-1",
    "99999999999999999999",
    "9223372036854775807",
    "x",
    "%00",
    "%FF",
    "%2F..%2F..%2Fetc",
    "%3Cscript%3E",
    "a'%20OR%201=1--",
];

const QUERIES: [&str; 6] = [
    "",
    "?adminKey=k3y",
    "?adminKey=k3y&verified=maybe&on=x&status=x&type=x&name=&url=",
    "?registrationCode=&status=99999999999999999999&adminKey=k3y&name=%00&type=1",
    "?adminKey=k3y&adminKey=k3y&name=%FF%FE&type=1&url=%00",
    "?from=x&max=-1&run=99999999999999999999",
];

async fn ask(w: &World, method: &str, path: &str, body: &str, kind: &str) {
    let ask = w.ask(method, path).token(&w.owner).header("content-type", kind);
    let reply = ask.body(body.to_owned()).await;
    assert!(reply.status.as_u16() < 500, "{method} {path} {body}: {} {}", reply.status, reply.text);
    if reply.status.is_client_error() {
        if path.starts_with("/p2ds-") {
            let page = reply.media_type().starts_with("text/html");
            assert!(page || reply.text.starts_with("ERR_"), "{method} {path} {body}: {}", reply.text);
        } else {
            assert_eq!(reply.media_type(), "application/problem+json", "{method} {path} {body}: {}", reply.text);
        }
    }
}

/// Every path of every service, with parts, queries and bodies that make no sense.
#[tokio::test]
async fn every_refusal_is_4xx() {
    let fake = Fake::default();
    fake.add("a", "CODE");
    let w = world_with(Some(fake.desk()), |_| {}).await;
    w.create_group("g").await;
    w.member(1, "a", 1).await;

    let document: serde_json::Value = serde_json::from_str(&tacit_api::openapi_document()).unwrap();
    let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    for path in [
        "testmode",
        "group",
        "group/{x}",
        "registration/{x}",
        "register/{x}",
        "publicKey/{x}",
        "peer/{x}",
        "verify/{x}",
        "configuration",
        "configuration/{x}",
        "groupInfo/{x}",
        "start/{x}",
        "stop/{x}",
        "status/{x}",
        "status",
        "receive",
    ] {
        paths.push(format!("{MGMT}/{path}"));
    }
    for path in ["peer", "peer/{x}", "start/{x}", "stop/{x}", "input", "inputs", "message/{x}/b/c", "status"] {
        paths.push(format!("/p2ds-peer/{path}"));
    }
    for path in ["receive", "show"] {
        paths.push(format!("/p2ds-receiver/receiver/{path}"));
    }
    for path in
        ["", "createGroup", "startPeers", "setConfiguration", "verifyPeer", "deletePeer", "login", "logout", "nothing"]
    {
        paths.push(format!("/p2ds-group-management/{path}"));
    }
    paths.extend(
        ["/", "/healthz", "/metrics", "/nowhere", "/assets/../../etc/passwd", "/api/v1", "/api/v2/x"]
            .map(str::to_owned),
    );

    for path in &paths {
        let variable = path.contains('{');
        for part in if variable { &PARTS[..] } else { &PARTS[..1] } {
            let filled: String = path
                .split('/')
                .map(|piece| if piece.starts_with('{') { part } else { piece })
                .collect::<Vec<_>>()
                .join("/");
            for query in QUERIES {
                for method in ["GET", "POST", "PUT", "DELETE"] {
                    ask(&w, method, &format!("{filled}{query}"), "", "application/json").await;
                }
            }
        }
        let filled = path.replace("{gid}", "1").replace("{x}", "a").replace("{name}", "a").replace(['{', '}'], "");
        for body in BODIES {
            for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"] {
                for method in ["POST", "PUT"] {
                    ask(&w, method, &format!("{filled}?adminKey={KEY}&registrationCode=CODE"), body, kind).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let w = world_with(None, |_| {}).await;
    for path in ["/nowhere", "/api/v1", "/api/v1/nothing", "/api/v1/groups/1/nothing", "/%FF"] {
        w.api("GET", "/node").send().await;
        w.get(path).send().await.is_problem(404, "not-found");
    }
    w.ask("PATCH", "/api/v1/groups").send().await.is_problem(405, "method-not-allowed");
    w.ask("DELETE", "/healthz").send().await.is_problem(405, "method-not-allowed");
    w.get("/p2ds-peer/nothing").send().await.says(404, "ERR_NOT_FOUND");
    w.ask("PUT", format!("{MGMT}/group")).send().await.says(405, "ERR_NOT_FOUND");
}

#[tokio::test]
async fn what_breaks_or_hangs_is_still_answered() {
    let desk = tacit_api::PartyDesk::new()
        .list(|()| async { panic!("a defect") })
        .get(|_| std::future::pending())
        .remove(|_| async { Err(tacit_api::DeskError::Internal("secret detail".to_owned())) });
    let w = world_with(Some(desk), |edge| edge.options.request_timeout = Duration::from_secs(2)).await;
    w.api("GET", "/peers").send().await.is_problem(500, "internal");
    w.api("GET", "/peers/a").send().await.is_problem(503, "unavailable");
    w.post("/p2ds-peer/start/a?registrationCode=x").send().await.says(503, "ERR_SERVER");
    let broken = w.api("DELETE", "/peers/a").send().await;
    broken.is_problem(500, "internal");
    assert!(!broken.text.contains("secret"));
    assert_eq!(w.get("/healthz").send().await.status, 200);
}

#[tokio::test]
async fn what_was_begun_is_finished_when_the_caller_hangs_up() {
    let done = Arc::new(AtomicBool::new(false));
    let [begun, hung_up] = [(); 2].map(|()| Arc::new(Notify::new()));
    let (seen, entered, go_on) = (done.clone(), begun.clone(), hung_up.clone());
    let desk = tacit_api::PartyDesk::new().remove(move |_| {
        let (done, begun, hung_up) = (done.clone(), begun.clone(), hung_up.clone());
        async move {
            begun.notify_one();
            hung_up.notified().await;
            done.store(true, Ordering::SeqCst);
            Ok(())
        }
    });
    let w = world_with(Some(desk), |_| {}).await;
    tokio::select! {
        () = entered.notified() => {}
        _ = w.api("DELETE", "/peers/a").send() => panic!("answered before it is done"),
    }
    go_on.notify_one();
    for _ in 0..500 {
        if seen.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what was begun was given up");
}
