use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tacit_accord::log::export::Verifier;
use tacit_accord::log::{Checkpoint, Hash, Tree, leaf_hash, verify_consistency, verify_inclusion};
use tacit_accord::negotiation::{Act, MAX_TEXT, OpeningRequest, sign_act};
use tacit_model::codec::put_bytes;
use tacit_model::{Clock as _, GroupId, SystemClock};
use tacit_pki::PublicKey;
use tacit_pki::envelope::{Context, sign_detached};

use crate::desk::Fake;
use crate::world::{Ask, MGMT, Reply, identity, world, world_with};

/// What the owner of a key signs to register with it, written down a second time on purpose.
fn registration_proof(code: &str, name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    ["register", code, name].iter().for_each(|part| put_bytes(&mut text, part.as_bytes()));
    text
}

#[tokio::test]
async fn roles_decide_who_may() {
    let w = world().await;
    let issue = async |role: &str| {
        let reply = w.api("POST", "/tokens").json(&json!({ "role": role, "label": role }).to_string()).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let body = reply.json();
        (body["token"].as_str().unwrap().to_owned(), body["id"].as_str().unwrap().to_owned())
    };
    let (viewer, _) = issue("viewer").await;
    let (operator, operator_id) = issue("operator").await;
    let call = |token: &str, method: &str, path: &str| w.ask(method, format!("/api/v1{path}")).token(token);

    assert_eq!(call(&operator, "POST", "/groups").json(r#"{"name":"g"}"#).await.status, 201);
    call(&viewer, "POST", "/groups").json(r#"{"name":"h"}"#).await.is_problem(403, "forbidden");
    call(&operator, "DELETE", "/groups/1").send().await.is_problem(403, "forbidden");
    call(&operator, "GET", "/tokens").send().await.is_problem(403, "forbidden");
    assert_eq!(call(&operator, "POST", "/groups/1/codes").send().await.status, 201);
    // Open codes are invitations: a viewer does not see them.
    assert_eq!(call(&viewer, "GET", "/groups/1").send().await.json().get("codes"), None);
    assert_eq!(call(&operator, "GET", "/groups/1").send().await.json()["codes"].as_array().unwrap().len(), 1);

    assert_eq!(w.api("DELETE", &format!("/tokens/{operator_id}")).send().await.status, 204);
    call(&operator, "GET", "/groups").send().await.is_problem(401, "unauthenticated");
    for header in ["", "Bearer", "Bearer x", "Basic dTpw", &format!("Bearer tacit_{}", "A".repeat(43)), "Bearer k3y"] {
        let reply = w.get("/api/v1/groups").header("authorization", header).send().await;
        reply.is_problem(401, "unauthenticated");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    w.get(format!("/api/v1/groups?token={viewer}")).send().await.is_problem(401, "unauthenticated");
    let listed = w.api("GET", "/tokens").send().await;
    assert!(!listed.text.contains(&viewer) && !listed.text.contains(&w.owner));
    assert_eq!(w.api("DELETE", "/groups/1").send().await.status, 204);
}

#[tokio::test]
async fn a_group_from_making_to_configuration() {
    let w = world().await;
    let made = w.api("POST", "/groups").json(r#"{"name":"attacks"}"#).await.json();
    assert_eq!((&made["gid"], &made["status"], &made["configuration"]), (&json!(1), &json!("unknown"), &json!(null)));
    w.api("POST", "/groups").json(r#"{"name":"attacks"}"#).await.is_problem(409, "conflict");
    let body = r#"{"field":9223372036854775783,"max_element":"1000","aggregator":"sum","items":288,"time_slots":-1}"#;
    let set = w.api("PUT", "/groups/1/configuration").json(body).await.json();
    assert_eq!(set["configuration"]["field"], "9223372036854775783");
    assert_eq!(set["configuration"]["result_buffer_size"], 1);
    let composite = body.replace("9223372036854775783", "1014");
    w.api("PUT", "/groups/1/configuration").json(&composite).await.is_problem(422, "invalid");
    w.api("PUT", "/groups/9/configuration").json(body).await.is_problem(404, "not-found");
    let rules = r#"{"on_missing_input":{"proceed":2},"deadline_ms":5000,"slot_ms":300000}"#;
    let set = w.api("PUT", "/groups/1/slot-rules").json(rules).await.json();
    assert_eq!(set["slots"], serde_json::from_str::<serde_json::Value>(rules).unwrap());
    // Of one input alone the result would be that input: no plan takes it, so no slot would ever have a result.
    let alone = rules.replace("2}", "1}");
    w.api("PUT", "/groups/1/slot-rules").json(&alone).await.is_problem(422, "invalid");
    let documents = w.api("GET", "/groups/1/consensus").send().await.json();
    assert_eq!(documents["documents"].as_array().unwrap().len(), 3);
    assert_eq!(w.api("GET", "/groups/1/runs").send().await.json(), json!({ "runs": [] }));
    w.api("GET", "/groups/1/runs/1/slots").send().await.is_problem(404, "not-found");
    w.api("POST", "/groups/1/start").send().await.is_problem(403, "refused");
    assert_eq!(w.api("POST", "/groups/1/stop").send().await.status, 204);
    let additive = w.api("POST", "/groups").json(r#"{"name":"hospital","sharing":"additive"}"#).await.json();
    assert_eq!(additive["sharing"], "additive");
}

#[tokio::test]
async fn verification_needs_the_fingerprint_that_registered() {
    let w = world().await;
    w.api("POST", "/groups").json(r#"{"name":"g"}"#).await;
    let code = w.api("POST", "/groups/1/codes").send().await.json()["code"].as_str().unwrap().to_owned();
    let peer = identity("a");
    let proof = sign_detached(&peer, Context::Message, &registration_proof(&code, "a"));
    let body = json!({ "fingerprint": peer.fingerprint(), "endpoint": "127.0.0.1:1", "operator": "org",
        "public_key": peer.public_key().to_base64(), "label_key": null, "proof": STANDARD.encode(proof) });
    let path = format!("/api/v1/register/{code}?name=a&type=3&url=http://a");

    // Somebody else's key, a proof for another name, halves.
    let mut wrong = body.clone();
    wrong["public_key"] = json!(identity("b").public_key().to_base64());
    w.post(&path).json(&wrong.to_string()).await.is_problem(422, "invalid");
    wrong["fingerprint"] = json!(null);
    w.post(&path).json(&wrong.to_string()).await.is_problem(403, "refused");
    w.post(path.replace("name=a", "name=b")).json(&body.to_string()).await.is_problem(403, "refused");
    let mut half = body.clone();
    half["proof"] = json!(null);
    w.post(&path).json(&half.to_string()).await.is_problem(422, "invalid");
    // Somebody who was told another gateway. None of these mistakes uses the code up.
    let mut elsewhere = body.clone();
    elsewhere["gateway"] = json!(identity("b").fingerprint());
    w.post(&path).json(&elsewhere.to_string()).await.is_problem(403, "refused");

    let done = w.post(&path).json(&body.to_string()).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.json()["gateway"]["fingerprint"], json!(w.identity.fingerprint()));
    assert_eq!(done.json()["gateway"]["endpoints"], json!([w.hub.local_addr().to_string()]));
    assert_eq!(done.json()["peerType"], 3);
    // Whoever did not hear the answer asks again, with the same key; nobody else may.
    let again = w.post(&path).json(&body.to_string()).await;
    assert_eq!((again.status, again.json()), (done.status, done.json()), "{}", again.text);
    let thief = identity("thief");
    let mut theirs = body.clone();
    theirs["fingerprint"] = json!(thief.fingerprint());
    theirs["public_key"] = json!(thief.public_key().to_base64());
    let proof = sign_detached(&thief, Context::Message, &registration_proof(&code, "a"));
    theirs["proof"] = json!(STANDARD.encode(proof));
    w.post(&path).json(&theirs.to_string()).await.is_problem(404, "not-found");
    w.post(path.replace("type=3", "type=1")).json(&body.to_string()).await.is_problem(404, "not-found");
    let proof = sign_detached(&peer, Context::Message, &registration_proof(&code, "b"));
    let mut renamed = body.clone();
    renamed["proof"] = json!(STANDARD.encode(proof));
    w.post(path.replace("name=a", "name=b")).json(&renamed.to_string()).await.is_problem(404, "not-found");

    let verify = |body: serde_json::Value| w.api("POST", "/members/a/verify").json_owned(&body.to_string());
    verify(json!({ "verified": true })).await.is_problem(422, "invalid");
    let other = identity("c").fingerprint();
    verify(json!({ "verified": true, "fingerprint": other })).await.is_problem(403, "refused");
    assert!(!w.gateway.member("a").await.unwrap().verified);
    let yes = verify(json!({ "verified": true, "fingerprint": peer.fingerprint() })).await.json();
    assert_eq!((&yes["verified"], &yes["role"], &yes["operator"]), (&json!(true), &json!("both"), &json!("org")));
    assert_eq!(verify(json!({ "verified": false })).await.json()["verified"], false);
    assert_eq!(w.api("GET", "/groups/1/members").send().await.json()["members"].as_array().unwrap().len(), 1);
    assert_eq!(w.api("DELETE", "/members/a").send().await.status, 204);
    w.api("GET", "/members/a").send().await.is_problem(404, "not-found");
}

/// A task that takes longer than a request may: its client learns the id, under which the task is found at once.
#[tokio::test]
async fn f16_who_waits_too_long_is_told_the_task_that_goes_on() {
    let w = world_with(None, |edge| edge.options.request_timeout = Duration::from_secs(2)).await;
    w.api("POST", "/groups").json(r#"{"name":"g"}"#).await;
    for name in ["a", "b", "c"] {
        let code = w.api("POST", "/groups/1/codes").send().await.json()["code"].as_str().unwrap().to_owned();
        let peer = identity(name);
        let proof = sign_detached(&peer, Context::Message, &registration_proof(&code, name));
        let body = json!({ "fingerprint": peer.fingerprint(), "endpoint": "127.0.0.1:1", "operator": name,
            "public_key": peer.public_key().to_base64(), "label_key": null, "proof": STANDARD.encode(proof) });
        let path = format!("/api/v1/register/{code}?name={name}&type=3&url=http://{name}");
        let done = w.post(&path).json(&body.to_string()).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let verdict = json!({ "verified": true, "fingerprint": peer.fingerprint() });
        let verified = w.api("POST", &format!("/members/{name}/verify")).json(&verdict.to_string()).await;
        assert_eq!(verified.status, 200, "{}", verified.text);
    }
    let task = json!({ "group": 1, "purpose": "HVAC", "sources": ["level"], "aggregator": "sum",
        "most": "1000", "tell_gateway": true });
    // One computation an hour after the other; and one that nobody can begin yet, by its client's clock.
    let mut repeated = task.clone();
    repeated["repeat"] = json!({ "every_s": 3600, "times": 2 });
    let mut early = task;
    early["issued"] = json!(SystemClock.now().plus(100_000).to_rfc3339());
    for task in [repeated, early] {
        let answer = w.api("POST", "/tasks").json(&json!({ "task": task, "wait": true }).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["state"], "open", "{body}");
        let id = body["id"].as_str().unwrap();
        assert!(w.store.task(id).await.unwrap().is_some(), "it would be lost with this gateway");
        assert_eq!(w.api("GET", &format!("/tasks/{id}")).send().await.json()["id"], id);
        assert_eq!(w.api("DELETE", &format!("/tasks/{id}")).send().await.json()["state"], "cancelled");
    }
}

#[tokio::test]
async fn peers_rows_and_results() {
    let fake = Fake::default();
    let w = world_with(Some(fake.desk()), |_| {}).await;
    let join = json!({ "name": "a:1", "role": "input", "gateway_url": "http://localhost:1/api/v1", "registration_code": "TEST" });
    let joined = w.api("POST", "/peers").json(&join.to_string()).await;
    assert_eq!(joined.status, 201, "{}", joined.text);
    assert_eq!(joined.json()["comparison_code"].as_str().unwrap().len(), 35);
    assert!(!joined.text.contains("TEST"));
    w.api("POST", "/peers").json(&join.to_string()).await.is_problem(409, "conflict");
    let rows = |body: &str| w.api("POST", "/peers/a:1/rows").json_owned(body);
    let one = r#"{"rows":[{"slot_start":"2026-03-04T00:05:00+01:00","values":[1,"2"]}]}"#;
    rows(one).await.is_problem(409, "conflict");
    assert_eq!(w.api("POST", "/peers/a:1/start").send().await.json()["status"], "running");
    w.api("POST", "/peers/a:1/start").send().await.is_problem(409, "conflict");
    assert_eq!(rows(one).await.json(), json!({ "accepted": 1, "next_slot": 1 }));

    for wrong in [
        r#"{"rows":[]}"#,
        r#"{"rows":[{"values":[]}]}"#,
        r#"{"rows":[{"values":[1,2]},{"values":[1,2,3]}]}"#,
        r#"{"rows":[{"values":[1,"18446744073709551616"]}]}"#,
        r#"{"rows":[{"slot_start":"yesterday","values":[1,2]}]}"#,
    ] {
        rows(wrong).await.is_problem(422, "invalid");
    }
    for wrong in
        [r#"{"rows":[{"values":[1,-4711]}]}"#, r#"{"rows":[{"values":[1.5,2]}]}"#, r#"{"rows":[{"values":"4711"}]}"#]
    {
        let reply = rows(wrong).await;
        reply.is_problem(400, "bad-request");
        assert!(!reply.text.contains("4711") && reply.text.contains("column"), "{}", reply.text);
    }
    assert_eq!(fake.rows("a:1"), [[1, 2]]);
    let many = json!({ "rows": vec![json!({ "values": [1, 1] }); 100] }).to_string();
    let full = rows(&many).await;
    full.is_problem(429, "too-many");
    assert_eq!(full.headers["retry-after"], "7");

    let results = w.api("GET", "/peers/a:1/results").send().await.json();
    assert_eq!(results["results"][0]["values"], json!(["3", "18446744073709551616"]));
    w.api("GET", "/peers/a:1/results?run=x").send().await.is_problem(400, "bad-request");
    assert_eq!(w.api("GET", "/peers/a:1/roster").send().await.json()["members"], json!([]));
    assert_eq!(w.api("POST", "/peers/a:1/stop").send().await.json()["status"], "stopped");
    assert_eq!(w.api("DELETE", "/peers/a:1").send().await.status, 204);
    w.api("GET", "/peers/a:1").send().await.is_problem(404, "not-found");
}

#[tokio::test]
async fn the_log_is_there_to_be_checked() {
    let w = world().await;
    w.api("POST", "/groups").json(r#"{"name":"g"}"#).await;
    w.api("POST", "/groups/1/codes").send().await;
    let first = w.api("GET", "/log?max=1").send().await.json();
    assert_eq!((first["entries"].as_array().unwrap().len(), &first["next"]), (1, &json!(2)));
    let all = w.api("GET", "/log").send().await.json();
    let entries = all["entries"].as_array().unwrap();
    let mut tree = Tree::new();
    for entry in entries {
        let leaf = leaf_hash(entry["body"].as_str().unwrap().as_bytes());
        assert_eq!(entry["hash"], leaf.to_string());
        tree.append(leaf, drop);
    }
    // R10: who called what, as the token's id; no code of a registration.
    let calls: Vec<&str> = entries.iter().filter_map(|e| e["body"].as_str()).filter(|b| b.contains("\"by\"")).collect();
    assert!(
        calls.iter().any(|call| call.contains("createGroup")) && calls.iter().any(|call| call.contains("inviteMember"))
    );
    let head = w.api("GET", "/log/checkpoint").send().await.json();
    let key = PublicKey::from_base64(head["key"].as_str().unwrap()).unwrap();
    let checkpoint = Checkpoint::open(head["checkpoint"].as_str().unwrap(), &key).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (tree.size(), tree.root()));
    assert_eq!(key.fingerprint(), w.identity.fingerprint());

    let hashes = |proof: &Value| -> Vec<Hash> {
        proof["proof"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
    };
    let size = checkpoint.size;
    for entry in 1..=size {
        let proof = w.api("GET", &format!("/log/inclusion?entry={entry}&size={size}")).send().await.json();
        let leaf = entries[usize::try_from(entry).unwrap() - 1]["hash"].as_str().unwrap().parse().unwrap();
        verify_inclusion(&leaf, entry - 1, size, &hashes(&proof), &checkpoint.root).unwrap();
    }
    let proof = w.api("GET", &format!("/log/consistency?from=1&size={size}")).send().await.json();
    let first = leaf_hash(entries[0]["body"].as_str().unwrap().as_bytes());
    verify_consistency((1, &first), (size, &checkpoint.root), &hashes(&proof)).unwrap();
    for wrong in ["inclusion?entry=0", "inclusion?entry=99", "consistency?from=99", "inclusion?entry=1&size=99"] {
        w.api("GET", &format!("/log/{wrong}")).send().await.is_problem(422, "invalid");
    }
    for wrong in ["inclusion", "inclusion?entry=x", "consistency?from=-1", "inclusion?entry=1&size="] {
        w.api("GET", &format!("/log/{wrong}")).send().await.is_problem(400, "bad-request");
    }
    let mut verifier = Verifier::new(Some(w.identity.fingerprint()), Vec::new());
    let export = w.api("GET", "/log/export").send().await;
    for line in export.text.split_inclusive('\n') {
        verifier.line(line.as_bytes()).unwrap();
    }
    assert_eq!(verifier.finish().unwrap().checkpoint.size, size);
    w.get("/api/v1/log/export").send().await.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn bodies_of_the_wrong_kind_or_size() {
    let w = world_with(None, |edge| edge.options.body_limit = 1000).await;
    let name = |count: usize| format!(r#"{{"name":"{}"}}"#, "n".repeat(count));
    w.api("POST", "/groups").body(name(3)).await.is_problem(415, "unsupported-media-type");
    w.api("POST", "/groups").form("name=g").await.is_problem(415, "unsupported-media-type");
    w.api("POST", "/groups").json(&name(2000)).await.is_problem(413, "too-large");
    w.api("POST", "/groups").json(r#"{"name":"g\u0000"}"#).await.is_problem(400, "bad-request");
    w.api("POST", "/groups").json(r#"{"name":"g","color":"red"}"#).await.is_problem(400, "bad-request");
    let latin = w.api("POST", "/groups").header("content-type", "application/json; charset=utf-8").body(name(3)).await;
    assert_eq!(latin.status, 201);
}

const PIECE: usize = 16 << 10;

/// Sends 8 MiB; the answer, and how many bytes were taken.
async fn long(call: Ask) -> (Reply, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counts = taken.clone();
    let pieces = stream::iter(0..512).map(move |_| {
        counts.fetch_add(PIECE, Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from_static(&[b' '; PIECE]))
    });
    let reply = call.body(Body::from_stream(pieces)).await;
    (reply, taken.load(Ordering::SeqCst))
}

/// The same at the P2DS face, where the key stands in the address: it is looked at before the body.
#[tokio::test]
async fn what_needs_a_key_of_the_face_is_not_read_without() {
    let fake = Fake::default();
    fake.add("a", "CODE");
    let w = world_with(Some(fake.desk()), |_| {}).await;
    for (path, status, limit) in [
        (format!("{MGMT}/group"), 403, 0),
        (format!("{MGMT}/configuration?adminKey=wrong"), 403, 0),
        ("/p2ds-peer/peer".to_owned(), 403, 0),
        ("/p2ds-peer/input".to_owned(), 400, 0),
        ("/p2ds-peer/inputs/?registrationCode=wrong".to_owned(), 400, 0),
        (format!("{MGMT}/register/CODE?name=a&type=1"), 413, 64 << 10),
        (format!("{MGMT}/publicKey/a?registrationCode=CODE"), 413, 64 << 10),
        ("/p2ds-group-management/login".to_owned(), 400, 64 << 10),
    ] {
        let (reply, taken) = long(w.post(&path).header("content-type", "application/x-www-form-urlencoded")).await;
        assert_eq!(reply.status.as_u16(), status, "{path}: {}", reply.text);
        assert!(
            (limit == taken) || (limit > 0 && (limit..=limit + PIECE).contains(&taken)),
            "{path}: {taken} bytes were taken"
        );
    }
    // Who knows a code may send as much as the node takes.
    let (reply, taken) = long(w.post("/p2ds-peer/inputs?registrationCode=CODE")).await;
    assert_eq!((reply.status.as_u16(), taken), (400, 8 << 20), "{}", reply.text);
}

/// What anybody may send is held in memory until it is there: no more of it than the longest that makes sense.
#[tokio::test]
async fn what_needs_no_token_is_short() {
    let w = world().await;
    let acts = format!("/negotiations/{}/acts", "x".repeat(43));
    let history = format!("/negotiations/{}/history", "x".repeat(43));
    for (path, limit) in [
        ("/register/CODE?name=a&type=1", 64 << 10),
        (history.as_str(), 64 << 10),
        ("/negotiations", 128 << 10),
        (acts.as_str(), (3 << 20) + (64 << 10)),
    ] {
        let call = w.post(format!("/api/v1{path}")).header("content-type", "application/json");
        let (reply, taken) = long(call).await;
        reply.is_problem(413, "too-large");
        assert!((limit..=limit + PIECE).contains(&taken), "{path}: {taken} bytes were taken");
    }

    // The longest of each that makes sense is read, and refused for what it says.
    let mut opening = json!({ "opener": "x", "title": "t", "expires": 1, "nonce": "n", "signature": "s" });
    opening["gateway"] = json!(w.identity.fingerprint());
    opening["invited"] = json!(vec!["k".repeat(60); 1000]);
    let opening = serde_json::to_string_pretty(&opening).unwrap();
    w.post("/api/v1/negotiations").json(&opening).await.is_problem(403, "refused");
    let text = "\\u00e9".repeat(MAX_TEXT / 2);
    let act = format!(r#"{{"signer":"x","turn":1,"act":"contribute","text":"{text}","signature":"s"}}"#);
    w.post(format!("/api/v1{acts}")).json(&act).await.is_problem(404, "not-found");
    let rows = json!({ "data": vec!["1;".repeat(100) + "1"; 1000] }).to_string();
    assert!(rows.len() > 64 << 10);
    assert_eq!(w.post("/api/v1/receiver/results").json(&rows).await.status, 204);
}

/// A thousand members that were admitted one by one leave a chain that no answer holds.
#[tokio::test]
async fn the_chain_of_a_group_is_told_in_pages() {
    let w = world().await;
    w.create_group("g").await;
    let gid = GroupId(1);
    let first = w.store.consensus_chain(gid).await.unwrap();
    let mut previous = w.store.consensus(gid).await.unwrap().map(|(id, _)| id);
    for id in [[1; 32], [2; 32]] {
        w.store.set_consensus(gid, previous, id, &"x".repeat(3 << 20), SystemClock.now()).await.unwrap();
        previous = Some(id);
    }
    // Who does not know pages is not given half of it.
    w.api("GET", "/groups/1/consensus").send().await.is_problem(422, "invalid");
    for (from, documents, next) in [(0, 2, json!(2)), (2, 1, json!(null)), (3, 0, json!(null))] {
        let page = w.api("GET", &format!("/groups/1/consensus?from={from}")).send().await.json();
        let told = page["documents"].as_array().unwrap();
        assert_eq!((told.len(), &page["next"]), (documents, &next), "from {from}");
        assert!(from > 0 || told[0] == json!(first[0]));
    }
}

/// Whoever waits for others asks often: what has not changed does not travel again.
#[tokio::test]
async fn a_negotiation_that_stands_as_it_did_is_not_told_again() {
    let (w, opener) = (world().await, identity("opener"));
    let request = OpeningRequest {
        gateway: w.identity.fingerprint(),
        title: "t".to_owned(),
        group: None,
        expires: SystemClock.now().plus(3_600_000),
        invited: Vec::new(),
        nonce: "n".repeat(16),
    };
    let mut opening = json!(request);
    opening["opener"] = json!(opener.public_key().to_base64());
    opening["signature"] = json!(request.sign(&opener).unwrap());
    let opened = w.api("POST", "/negotiations").json(&opening.to_string()).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let id = opened.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/negotiations/{id}");

    let first = w.get(&path).send().await;
    let tag = first.headers["etag"].to_str().unwrap();
    let again = w.get(&path).header("if-none-match", tag).send().await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    assert_eq!(w.get(&path).header("if-none-match", "\"another\"").send().await.json(), first.json());

    let act = sign_act(&opener, &id.parse().unwrap(), 1, Act::Cancel).unwrap();
    let act = json!({ "signer": act.signer, "turn": 1, "act": "cancel", "signature": act.signature }).to_string();
    assert_eq!(w.post(format!("{path}/acts")).json(&act).await.status, 200);
    let changed = w.get(&path).header("if-none-match", tag).send().await;
    assert_eq!((changed.status.as_u16(), &changed.json()["status"]), (200, &json!("cancelled")), "{}", changed.text);
}
