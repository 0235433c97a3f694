use serde_json::json;

use crate::desk::Fake;
use crate::world::{KEY, PRIVATE_KEY, PUBLIC_KEY, Reply, World, world_with};

async fn peers() -> (World, Fake) {
    let fake = Fake::default();
    (world_with(Some(fake.desk()), |_| {}).await, fake)
}

fn configuration(name: &str) -> String {
    json!({
        "finalResultsURL": "http://localhost:12001/p2ds-receiver/receiver/receive",
        "peerType": "1", "name": name, "privateKey": PRIVATE_KEY, "publicKey": PUBLIC_KEY,
        "registrationCode": "TEST", "groupMgmtURL": "http://localhost:12001/p2ds-group-management/group-mgmt",
    })
    .to_string()
}

async fn join(w: &World, body: &str) -> Reply {
    w.post(format!("/p2ds-peer/peer?adminKey={KEY}")).json(body).await
}

#[tokio::test]
async fn p6_a_peer_signs_up_with_its_configuration() {
    let (w, _) = peers().await;
    let done = join(&w, &configuration("peerhans")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let expected = json!({ "gid": 1, "lastStatus": 0, "peerName": "peerhans", "peerType": 1, "publicKey": PUBLIC_KEY,
        "url": "http://localhost:12001/p2ds-peer" });
    assert_eq!(done.json(), expected);
    join(&w, &configuration("peerhans")).await.says(409, "ERR_INV_DATA");
    join(&w, &configuration("b").replace("TEST", "nobody knows")).await.says(400, "ERR_INV_REG_CODE");
    join(&w, &configuration("b").replace(PUBLIC_KEY, "garbage")).await.says(400, "ERR_INV_CERT");
    join(&w, &configuration("b").replace(PRIVATE_KEY, "garbage")).await.says(400, "ERR_INV_CERT");
    join(&w, &configuration("b").replace("\"1\"", "\"9\"")).await.says(400, "ERR_INV_DATA");
    for body in ["", "{}", "[]", "nonsense"] {
        join(&w, body).await.says(400, "ERR_INV_DATA");
    }
}

#[tokio::test]
async fn p29_the_private_key_never_comes_back() {
    let (w, _) = peers().await;
    join(&w, &configuration("peerhans")).await;
    let shown = w.get(format!("/p2ds-peer/peer/peerhans?adminKey={KEY}")).send().await;
    let expected = json!({ "finalResultsURL": "http://localhost:12001/p2ds-receiver/receiver/receive",
        "groupMgmtURL": "http://localhost:12001/p2ds-group-management/group-mgmt", "name": "peerhans", "peerType": "1",
        "privateKey": null, "publicKey": PUBLIC_KEY, "registrationCode": "TEST" });
    assert_eq!(shown.json(), expected);
    for path in ["/api/v1/peers", "/api/v1/peers/peerhans"] {
        assert!(!w.get(path).token(&w.owner).send().await.text.contains(&PRIVATE_KEY[40..80]));
    }
    w.delete(format!("/p2ds-peer/peer/peerhans?adminKey={KEY}")).send().await.says(200, "SUCCESS");
    w.get(format!("/p2ds-peer/peer/peerhans?adminKey={KEY}")).send().await.says(404, "ERR_NO_PEER");
    w.delete(format!("/p2ds-peer/peer/peerhans?adminKey={KEY}")).send().await.says(404, "ERR_NO_PEER");
}

#[tokio::test]
async fn p11_started_twice_stopped_twice() {
    let (w, fake) = peers().await;
    fake.add("a", "CODE");
    let call = |what: &str, code: &str| w.post(format!("/p2ds-peer/{what}?registrationCode={code}")).send();
    call("start/a", "wrong").await.says(400, "ERR_INV_REG_CODE");
    call("stop/a", "CODE").await.says(400, "ERR_NOT_RUNNING");
    let started = call("start/a/", "CODE").await;
    assert_eq!((started.status.as_u16(), &started.json()["lastStatus"]), (200, &json!(1)));
    call("start/a", "CODE").await.says(400, "ERR_RUNNING");
    call("stop/a", "wrong").await.says(400, "ERR_INV_REG_CODE");
    call("stop/a", "CODE").await.says(200, "SUCCESS");
    call("stop/a/", "CODE").await.says(400, "ERR_NOT_RUNNING");
    call("start/nobody", "CODE").await.says(404, "ERR_NO_PEER");
}

#[tokio::test]
async fn p18_rows_are_checked_and_taken_all_or_none() {
    let (w, fake) = peers().await;
    fake.add("a", "CODE");
    let input = |body: &str| w.post("/p2ds-peer/input?registrationCode=CODE").json_owned(body);
    let inputs = |body: &str| w.post("/p2ds-peer/inputs/?registrationCode=CODE").json_owned(body);
    input(r#"{"peerName":"a","data":"1;3"}"#).await.says(400, "ERR_NOT_RUNNING");
    w.post("/p2ds-peer/start/a?registrationCode=CODE").send().await;

    w.post("/p2ds-peer/input?registrationCode=x")
        .json(r#"{"peerName":"a","data":"1;3"}"#)
        .await
        .says(400, "ERR_INV_REG_CODE");
    input(r#"{"peerName":"nobody","data":"1;3"}"#).await.says(400, "ERR_INV_REG_CODE");
    for wrong in ["1;a", "-1;2", "1,2", "", "1;", "1.5;2", "99999999999999999999;1", "1", "1;2;3"] {
        input(&format!(r#"{{"peerName":"a","data":"{wrong}"}}"#)).await.says(400, "ERR_INV_DATA");
        inputs(&format!(r#"{{"peerName":"a","data":["5;6","{wrong}","7;8"]}}"#)).await.says(400, "ERR_INV_DATA");
    }
    for body in ["", "{}", r#"{"peerName":"a"}"#, r#"{"peerName":"a","data":7}"#, r#"{"peerName":"a","data":[]}"#] {
        inputs(body).await.says(400, "ERR_INV_DATA");
    }
    assert!(fake.rows("a").is_empty());
    input(r#"{"peerName":"a","data":" 2 ; 5 "}"#).await.says(200, "SUCCESS");
    inputs(r#"{"peerName":"a","data":["1;3","4;5"]}"#).await.says(200, "SUCCESS");
    // One row without brackets, as the old notation writes it.
    inputs(r#"{"peerName":"a","data":"6;7"}"#).await.says(200, "SUCCESS");
    assert_eq!(fake.rows("a"), [[2, 5], [1, 3], [4, 5], [6, 7]]);

    let many = format!(r#"{{"peerName":"a","data":[{}"1;1"]}}"#, "\"1;1\",".repeat(100));
    let full = inputs(&many).await;
    full.says(429, "ERR_INV_DATA");
    assert_eq!(full.headers["retry-after"], "7");
    assert_eq!(fake.rows("a").len(), 4);
}

#[tokio::test]
async fn services_run_apart() {
    let only = world_with(None, |edge| {
        edge.gateway = None;
        edge.receiver = false;
        edge.parties = Some(Fake::default().desk());
    })
    .await;
    only.get("/p2ds-peer/status").send().await.says(200, "OK");
    for path in ["/p2ds-group-management/group-mgmt/status", "/p2ds-receiver/receiver/show", "/p2ds-group-management/"]
    {
        only.get(path).send().await.says(404, "ERR_NOT_FOUND");
    }
    only.api("GET", "/groups").send().await.is_problem(404, "not-found");
}
