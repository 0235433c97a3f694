//! What clients may do by their limits, and for how long: tokens, and certificates over https.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};
use tacit_api::ServeOptions;
use tacit_model::Fingerprint;
use tacit_pki::https::{Trust, client_config};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::serve::served;
use crate::world::{World, identity, world, world_with};

/// A new token.
async fn issue(w: &World, role: &str, tasks: Value) -> String {
    let new = json!({ "role": role, "label": role, "tasks": tasks });
    let reply = w.api("POST", "/tokens").json(&new.to_string()).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()["token"].as_str().unwrap().to_owned()
}

/// Two groups, each with a member and a negotiation: what is of the second one is at these places.
async fn two_groups(w: &World) -> Vec<(&'static str, String)> {
    for group in ["one", "two"] {
        assert_eq!(w.api("POST", "/groups").json(&json!({ "name": group }).to_string()).await.status, 201);
    }
    w.member(1, "one:member", 3).await;
    w.member(2, "two:member", 3).await;
    vec![
        ("{gid}", "2".to_owned()),
        ("{name}", "two:member".to_owned()),
        ("{code}", w.code(2).await),
        ("{negotiation}", "x".repeat(43)),
        ("{session}", "0".repeat(32)),
        ("{id}", "x".to_owned()),
        ("{run}", "1".to_owned()),
        ("{number}", "1".to_owned()),
    ]
}

/// All operations of the OpenAPI document that need a role which fits, but for the open ones: method, and path at those places.
async fn operations(
    w: &World,
    places: &[(&'static str, String)],
    fits: impl Fn(&str) -> bool,
    open: &[&str],
) -> Vec<(String, String)> {
    let document = w.get("/openapi.json").send().await.json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let (method, path) = (method.to_uppercase(), path.strip_prefix("/api/v1").unwrap());
            if operation["x-role"].as_str().is_some_and(&fits) && !open.contains(&format!("{method} {path}").as_str()) {
                let path = places.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
                found.push((method, path));
            }
        }
    }
    found
}

/// Every operation that needs a role is listed in the OpenAPI document; whoever is limited to a group gets nowhere with
/// any of them but those that are about that group, or about none.
#[tokio::test]
async fn w3_who_is_limited_to_a_group_reaches_no_other_by_any_operation() {
    let w = world().await;
    let places = two_groups(&w).await;
    let token = issue(&w, "operator", json!({ "groups": [1] })).await;
    let call = |method: &str, path: &str| w.ask(method, format!("/api/v1{path}")).token(&token);
    // These leave out what is of other groups, or are about none.
    let open = [
        "GET /groups",
        "GET /pairing",
        "GET /receipts",
        "GET /tasks",
        "POST /tasks",
        "GET /tasks/{id}",
        "DELETE /tasks/{id}",
        "GET /tasks/{id}/events",
        "GET /node",
        "GET /log/checkpoint",
        "GET /log/inclusion",
        "GET /log/consistency",
    ];
    let closed = operations(&w, &places, |_| true, &open).await;
    for (method, path) in &closed {
        call(method, path).json("{}").await.is_problem(403, "forbidden");
    }
    assert!(closed.len() > 40, "{}", closed.len());

    let names = |reply: &Value, list: &str| -> Vec<String> {
        reply[list].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&call("GET", "/groups").send().await.json(), "groups"), ["one"]);
    assert_eq!(names(&call("GET", "/pairing").send().await.json(), "members"), ["one:member"]);
    let task = json!({ "task": { "group": 2, "purpose": "p", "sources": ["s"], "aggregator": "sum" } });
    call("POST", "/tasks").json(&task.to_string()).await.is_problem(403, "forbidden");
    call("GET", "/negotiations?group=2").send().await.is_problem(403, "forbidden");
    assert_eq!(call("GET", "/negotiations?group=1").send().await.status, 200);
    // Within its group it is an operator.
    assert_eq!(call("GET", "/groups/1").send().await.status, 200);
    assert_eq!(call("POST", "/groups/1/codes").send().await.status, 201);
    let code = w.code(1).await;
    assert_eq!(call("DELETE", &format!("/codes/{code}")).send().await.status, 204);
    let member = call("GET", "/members/one:member").send().await;
    assert_eq!(member.json()["gid"], 1, "{}", member.text);
    call("DELETE", "/groups/1").send().await.is_problem(403, "forbidden");
}

/// An operator that is limited to some aggregators could have a group compute others; an owner with limits could issue
/// itself a token without.
#[tokio::test]
async fn w3_limits_hold_beyond_tasks() {
    let w = world().await;
    for limits in [json!({ "aggregators": ["sum"] }), json!({ "sets": ["a"] }), json!({ "purposes": ["p"] })] {
        let token = issue(&w, "operator", limits.clone()).await;
        let call = |method: &str, path: &str| w.ask(method, format!("/api/v1{path}")).token(&token);
        let refused = call("POST", "/groups").json(r#"{"name":"g"}"#).await;
        refused.is_problem(403, "forbidden");
        assert!(refused.text.contains("decides nothing"), "{}", refused.text);
        assert_eq!(call("GET", "/groups").send().await.status, 200);
        let new = json!({ "role": "owner", "label": "x", "tasks": limits });
        w.api("POST", "/tokens").json(&new.to_string()).await.is_problem(422, "invalid");
        let key = identity("another").fingerprint();
        let new = json!({ "role": "owner", "label": "x", "tasks": limits, "fingerprint": key });
        w.api("POST", "/certificates").json(&new.to_string()).await.is_problem(422, "invalid");
    }
    // Limits that limit nothing are none.
    let token = issue(&w, "operator", json!({})).await;
    assert_eq!(w.post("/api/v1/groups").token(&token).json(r#"{"name":"g"}"#).await.status, 201);
}

/// A limit to what is not there would only be noticed by whoever is refused everything; and one to a group that does not exist
/// yet would reach whichever comes next.
#[tokio::test]
async fn w3_limits_that_cannot_be_meant_are_refused() {
    let w = world().await;
    assert_eq!(w.api("POST", "/groups").json(r#"{"name":"one"}"#).await.status, 201);
    let key = identity("another").fingerprint();
    for (limits, what) in [
        (json!({ "groups": [1, 2] }), "no group 2"),
        (json!({ "groups": [0] }), "groups: 0"),
        (json!({ "sets": ["two words"] }), "sets"),
        (json!({ "purposes": [""] }), "purposes"),
        (json!({ "aggregators": ["summe"] }), "aggregators"),
    ] {
        for (path, fingerprint) in [("/tokens", None), ("/certificates", Some(key))] {
            let mut new = json!({ "role": "viewer", "label": "x", "tasks": limits });
            if let Some(key) = fingerprint {
                new["fingerprint"] = json!(key);
            }
            let reply = w.api("POST", path).json(&new.to_string()).await;
            reply.is_problem(422, "invalid");
            assert!(reply.text.contains(what), "{path}: {}", reply.text);
        }
    }
    issue(&w, "viewer", json!({ "groups": [1], "sets": ["", "a,b=1"], "purposes": ["p"], "aggregators": ["sum"] }))
        .await;
}

/// Rule 10: who asks for tasks is told how many took part. So it sees nobody: not who is there and free, nor what the peers
/// of the node were asked, nor the log. A viewer that asks for nothing looks as before.
#[tokio::test]
async fn rule10_who_asks_for_tasks_sees_nobody() {
    let w = world().await;
    let places = two_groups(&w).await;
    let open = [
        "GET /groups",
        "GET /groups/{gid}",
        "GET /groups/{gid}/consensus",
        "GET /groups/{gid}/offers",
        "GET /receipts",
        "GET /receipts/{session}",
        "GET /tasks",
        "POST /tasks",
        "GET /tasks/{id}",
        "DELETE /tasks/{id}",
        "GET /tasks/{id}/events",
        "GET /node",
        "GET /log/checkpoint",
        "GET /log/inclusion",
        "GET /log/consistency",
    ];
    let looks = w.api("POST", "/tokens").json(r#"{"role":"viewer","label":"looks"}"#).await.json();
    let looks = looks["token"].as_str().unwrap();
    let closed = operations(&w, &places, |role| role == "viewer", &open).await;
    assert!(closed.len() > 12, "{}", closed.len());
    for limits in [json!({}), json!({ "sets": ["a"] }), json!({ "groups": [2], "purposes": ["p"] })] {
        let token = issue(&w, "viewer", limits).await;
        let call = |method: &str, path: &str| w.ask(method, format!("/api/v1{path}")).token(&token);
        for (method, path) in &closed {
            let reply = call(method, path).json("{}").await;
            reply.is_problem(403, "forbidden");
            assert!(reply.text.contains("how many took part"), "{path}: {}", reply.text);
            let seen = w.ask(method, format!("/api/v1{path}")).token(looks).send().await.status;
            assert!(seen != 403 && seen != 401, "{path}: {seen}");
        }
        let group = call("GET", "/groups/2").send().await;
        assert_eq!(group.status, 200, "{}", group.text);
        assert_eq!(group.json()["members"], json!([]));
        assert!(!call("GET", "/groups").send().await.text.contains("two:member"));
        // Who knows a negotiation's id reads who is a candidate.
        call("GET", "/negotiations?group=2").send().await.is_problem(403, "forbidden");
    }
    assert_eq!(w.ask("GET", "/api/v1/negotiations?group=2".to_owned()).token(looks).send().await.status, 200);
    assert_eq!(
        w.ask("GET", "/api/v1/groups/2".to_owned()).token(looks).send().await.json()["members"][0]["name"],
        "two:member"
    );
}

/// A connection that stays, over which a certificate was shown.
struct Kept(BufReader<TlsStream<TcpStream>>);

impl Kept {
    async fn open(address: std::net::SocketAddr, own: &tacit_pki::Identity) -> Self {
        let anybody = Trust { pinned: Vec::new(), authorities: false, anybody: true };
        let connector = TlsConnector::from(Arc::new(client_config(anybody, Some(own)).unwrap()));
        let stream = TcpStream::connect(address).await.unwrap();
        Self(BufReader::new(connector.connect(address.ip().into(), stream).await.unwrap()))
    }

    /// Status and body of one more answer.
    async fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head =
            format!("{method} /api/v1{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}");
        self.0.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0, "the connection was closed");
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

const JSON: &str = "content-type: application/json\r\n";

/// An admitted certificate stands for a token wherever one is asked for, and no page of somebody else can use it; a bad
/// token beside it is refused; what the log says of it names it; and revoking it acts on connections that are open.
#[tokio::test]
async fn w3_a_certificate_is_a_token_until_it_is_revoked() {
    let w = world().await;
    let served = served(&w, true, ServeOptions::default()).await;
    let own = identity("client");
    let mut kept = Kept::open(served.address, &own).await;
    assert_eq!(kept.ask("GET", "/groups", "", "").await.0, 401);
    // Who is nobody may still open what needs no token: the refusal is about the signature.
    assert_eq!(kept.ask("GET", "/negotiations?group=1", "", "").await.0, 403);

    let key = own.fingerprint().to_string();
    let new = json!({ "fingerprint": key, "role": "operator", "label": "operator" });
    assert_eq!(w.api("POST", "/certificates").json(&new.to_string()).await.status, 201);
    let (status, group) = kept.ask("POST", "/groups", JSON, r#"{"name":"g"}"#).await;
    assert_eq!(status, 201, "{group}");
    assert_eq!(kept.ask("GET", "/negotiations?group=1", "", "").await.0, 200);

    // Pages can make a browser post texts and forms, and nothing, to other sites, with its certificate.
    for kind in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"] {
        for (path, body) in [("/groups/1/codes", ""), ("/groups", r#"{"name":"h"}"#)] {
            let (status, text) = kept.ask("POST", path, kind, body).await;
            assert_eq!(status, 415, "{kind} {text}");
        }
    }
    assert_eq!(kept.ask("POST", "/groups/1/codes", JSON, "").await.0, 201);

    let bad = format!("authorization: Bearer tacit_{}\r\n", "A".repeat(43));
    for headers in [bad.as_str(), "authorization: Bearer x\r\n", "authorization: Basic dTpw\r\n"] {
        for path in ["/groups", "/negotiations?group=1"] {
            let (status, text) = kept.ask("GET", path, headers, "").await;
            assert_eq!(status, 401, "{headers} {path} {text}");
        }
    }

    let log = w.api("GET", "/log?max=1000").send().await.json();
    let admitted = log["entries"].as_array().unwrap().iter().find_map(|entry| {
        let body: Value = serde_json::from_str(entry["body"].as_str()?).ok()?;
        (body["facts"]["action"] == "admitCertificate").then(|| body["facts"].clone())
    });
    let admitted = admitted.expect("an entry");
    assert_eq!((&admitted["on"], &admitted["role"]), (&json!(key), &json!("operator")), "{admitted}");

    assert_eq!(w.api("DELETE", &format!("/tokens/{key}")).send().await.status, 204);
    for path in ["/groups", "/negotiations?group=1"] {
        let (status, text) = kept.ask("GET", path, "", "").await;
        assert!(status == 401 && text.contains("was revoked"), "{status} {text}");
    }
}

/// A body that comes as soon as the token is revoked, and not before somebody waits for it.
fn body_after_revocation(w: &World, token: &str, body: &str) -> Body {
    let id = tacit_pki::token::ApiToken::parse(token).unwrap().hash().to_string();
    let revoke = w.api("DELETE", &format!("/tokens/{id}"));
    let body = Bytes::from(body.to_owned());
    Body::from_stream(stream::once(async move {
        assert_eq!(revoke.send().await.status, 204);
        Ok::<_, Infallible>(body)
    }))
}

/// Whoever got hold of a token could keep requests open without their last byte, and go on once it is revoked: with an
/// owner's token even issue itself another one.
#[tokio::test]
async fn what_is_half_sent_when_its_token_is_revoked_is_not_done() {
    let w = world().await;
    assert_eq!(w.api("POST", "/groups").json(r#"{"name":"g"}"#).await.status, 201);
    let gateway = Fingerprint([1; 32]);
    let opening =
        json!({ "opener": "x", "gateway": gateway, "title": "t", "expires": 1, "nonce": "n", "signature": "s" });
    let opening = opening.to_string();
    for (method, path, body) in [
        ("POST", "/tokens", r#"{"role":"owner","label":"another"}"#),
        ("POST", "/groups", r#"{"name":"h"}"#),
        ("DELETE", "/groups/1", "{}"),
        // Needs no token, but does more with one.
        ("POST", "/negotiations", opening.as_str()),
    ] {
        let token = issue(&w, "owner", Value::Null).await;
        let late = body_after_revocation(&w, &token, body);
        let call = w.ask(method, format!("/api/v1{path}")).token(&token).header("content-type", "application/json");
        let reply = call.body(late).await;
        reply.is_problem(401, "unauthenticated");
        assert!(reply.text.contains("was revoked"), "{path}: {}", reply.text);
    }
    let tokens = w.api("GET", "/tokens").send().await.text;
    assert!(!tokens.contains("another"), "{tokens}");
    assert_eq!(w.api("GET", "/groups").send().await.json()["groups"].as_array().unwrap().len(), 1);
}

/// The body is read before the handler runs: nothing of it is lost, and its limit stays that of the edge.
#[tokio::test]
async fn a_body_in_pieces_arrives_in_whole_and_within_its_limit() {
    let w = world_with(None, |edge| edge.options.body_limit = 1000).await;
    let call = |pieces: Vec<String>| {
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
        w.api("POST", "/groups").header("content-type", "application/json").body(Body::from_stream(pieces))
    };
    let made = call(["{\"name\"", ":", "\"in pieces\"}"].map(str::to_owned).to_vec()).await;
    assert_eq!((made.status.as_u16(), &made.json()["name"]), (201, &json!("in pieces")), "{}", made.text);
    let long = call(vec![" ".repeat(400); 3]).await;
    long.is_problem(413, "too-large");
    assert!(long.text.contains("the limit is in node.toml"), "{}", long.text);
}
