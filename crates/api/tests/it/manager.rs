use serde_json::json;

use crate::world::{KEY, MGMT, PUBLIC_KEY, World, world};

const CONFIGURATION: &str = r#"{"field":"1013","gid":"1","maxElement":"1000","mpcProtocol":"additive","numberOfItems":"2","numberOfTimeSlots":"2"}"#;

async fn configure(w: &World, body: &str) -> crate::world::Reply {
    w.post(format!("{MGMT}/configuration?adminKey={KEY}")).json(body).await
}

#[tokio::test]
async fn p1_every_service_says_that_it_is_there() {
    let w = world().await;
    for path in [format!("{MGMT}/status"), format!("{MGMT}/status/"), "/p2ds-peer/status".to_owned()] {
        let reply = w.get(path).send().await;
        reply.says(200, "OK");
        assert!(reply.media_type().starts_with("text/plain"));
    }
}

#[tokio::test]
async fn p2_smoke_test_of_the_readme() {
    let w = world().await;
    let created = w.create_group("huhu").await;
    assert_eq!(created.status, 200);
    assert_eq!(created.json(), json!({ "gid": "1", "name": "huhu" }));
    assert_eq!(w.admin("GET", "/group/1").await.json(), json!({ "gid": "1", "name": "huhu" }));
    w.admin("DELETE", "/group/1").await.says(200, "ERR_SUCCESS");
    w.admin("GET", "/group/1").await.says(404, "ERR_NOT_FOUND");
    w.admin("DELETE", "/group/1").await.says(403, "ERR_NO_GROUP");
}

#[tokio::test]
async fn p4_a_code_is_good_for_one_registration() {
    let w = world().await;
    w.create_group("g").await;
    let (first, second) = (w.code(1).await, w.code(1).await);
    assert_ne!(first, second);
    assert_eq!((first.len(), second.len()), (16, 16));
    let register = |code: &str, query: &str| w.post(format!("{MGMT}/register/{code}?{query}")).send();

    // Whatever fails does not use the code up.
    register(&first, "name=a&type=9&url=u").await.says(400, "ERR_INV_DATA");
    register(&first, "name=&type=1&url=u").await.says(400, "ERR_INV_DATA");
    let done = register(&first, "name=a&type=1&url=http://a").await;
    assert_eq!(done.status, 200, "{}", done.text);
    let info =
        json!({ "gid": 1, "lastStatus": 0, "peerName": "a", "peerType": 1, "publicKey": null, "url": "http://a" });
    assert_eq!(done.json(), info);
    register(&first, "name=b&type=1&url=u").await.says(400, "ERR_INV_REG_CODE");
    register("0000000000000000", "name=b&type=1&url=u").await.says(400, "ERR_INV_REG_CODE");
    register(&second, "name=a&type=1&url=u").await.says(409, "ERR_INV_DATA");
    assert_eq!(register(&second, "name=b&type=2&url=u").await.status, 200);
}

#[tokio::test]
async fn p5_test_mode_on_and_off() {
    let w = world().await;
    w.create_group("g").await;
    w.admin("POST", "/testmode?on=true").await.says(200, "ERR_SUCCESS");
    assert_eq!(w.admin("POST", "/registration/1").await.json(), json!({ "gid": "1", "registrationCode": "TEST" }));
    w.admin("POST", "/testmode").await.says(200, "ERR_SUCCESS");
    assert_eq!(w.code(1).await.len(), 16);

    let w = crate::world::world_with(None, |edge| edge.options.test_mode_allowed = false).await;
    w.admin("POST", "/testmode?on=true").await.says(403, "ERR_INV_DATA");
    w.admin("POST", "/testmode?on=false").await.says(200, "ERR_SUCCESS");
}

#[tokio::test]
async fn p8_another_key_is_not_verified() {
    let w = world().await;
    w.create_group("g").await;
    let code = w.member(1, "a", 1).await;
    let verified = w.admin("POST", "/verify/a?verified=true").await;
    assert_eq!((verified.status.as_u16(), &verified.json()["verified"]), (200, &json!(true)));
    let upload =
        |code: &str, body: &str| w.post(format!("{MGMT}/publicKey/a?registrationCode={code}")).body(body.to_owned());

    for garbage in ["", "garbage", "AAAA", &PUBLIC_KEY[..80]] {
        upload(&code, garbage).await.says(400, "ERR_INV_CERT");
    }
    upload("wrong", PUBLIC_KEY).await.says(400, "ERR_INV_REG_CODE");
    assert_eq!(w.admin("GET", "/peer/a").await.json()["verified"], true);

    let done = upload(&code, PUBLIC_KEY).await;
    assert_eq!((done.status.as_u16(), &done.json()["publicKey"]), (200, &json!(PUBLIC_KEY)));
    let peer = w.admin("GET", "/peer/a").await.json();
    assert_eq!((&peer["verified"], &peer["gid"], &peer["peerType"]), (&json!(false), &json!("1"), &json!("1")));
    assert_eq!(peer["registrationCode"], json!(code));
    // Without the argument a peer is un-verified.
    w.admin("POST", "/verify/a?verified=true").await;
    assert_eq!(w.admin("POST", "/verify/a").await.json()["verified"], false);
    w.admin("POST", "/verify/nobody?verified=true").await.says(404, "ERR_NO_PEER");
}

#[tokio::test]
async fn p9_seven_fields_come_back() {
    let w = world().await;
    w.create_group("g").await;
    let code = w.member(1, "a", 1).await;
    let read = || w.get(format!("{MGMT}/configuration/a?registrationCode={code}")).send();
    read().await.says(404, "ERR_NO_GROUP_CONFIG");

    let done = configure(&w, CONFIGURATION).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let all = json!({ "field": "1013", "gid": "1", "maxElement": "1000", "mpcProtocol": "additive", "numberOfItems": "2",
        "numberOfTimeSlots": "2", "resultBufferSize": "1" });
    assert_eq!(read().await.json(), all);

    // Numbers as numbers, streaming, and a buffer.
    let numbers = r#"{"field":9223372036854775783,"gid":1,"maxElement":1000,"mpcProtocol":"additive","numberOfItems":3,"numberOfTimeSlots":-1,"resultBufferSize":10}"#;
    assert_eq!(configure(&w, numbers).await.status, 200);
    let all = json!({ "field": "9223372036854775783", "gid": "1", "maxElement": "1000", "mpcProtocol": "additive",
        "numberOfItems": "3", "numberOfTimeSlots": "-1", "resultBufferSize": "10" });
    assert_eq!(read().await.json(), all);

    for (wrong, with) in [
        ("\"1013\"", "\"1014\""),
        ("\"1013\"", "\"x\""),
        ("\"1013\"", "\"18446744073709551629\""),
        ("\"1000\"", "\"-1\""),
        ("\"numberOfItems\":\"2\"", "\"numberOfItems\":\"0\""),
        ("\"numberOfItems\":\"2\"", "\"numberOfItems\":\"2.5\""),
        ("\"numberOfTimeSlots\":\"2\"", "\"numberOfTimeSlots\":\"0\""),
        ("additive", "subtractive"),
        ("\"field\"", "\"feld\""),
        ("\"gid\":\"1\"", "\"gid\":\"one\""),
    ] {
        let body = CONFIGURATION.replace(wrong, with);
        assert_ne!(body, CONFIGURATION, "{wrong}");
        configure(&w, &body).await.says(400, "ERR_INV_DATA");
    }
    configure(&w, &CONFIGURATION.replace("\"gid\":\"1\"", "\"gid\":\"7\"")).await.says(404, "ERR_NO_GROUP");
    assert_eq!(read().await.json(), all);
    w.get(format!("{MGMT}/configuration/a?registrationCode=x")).send().await.says(400, "ERR_INV_REG_CODE");
    w.get(format!("{MGMT}/configuration/b?registrationCode=x")).send().await.says(404, "ERR_NO_PEER");
}

#[tokio::test]
async fn p10_every_group_has_its_own_configuration() {
    let w = world().await;
    for (gid, name) in [(1, "a"), (2, "b")] {
        w.create_group(name).await;
        let body =
            CONFIGURATION.replace("\"gid\":\"1\"", &format!("\"gid\":\"{gid}\"")).replace("1000", &format!("{gid}00"));
        assert_eq!(configure(&w, &body).await.status, 200);
    }
    let (a, b) = (w.member(1, "pa", 1).await, w.member(2, "pb", 1).await);
    for (peer, code, bound) in [("pa", a, "100"), ("pb", b, "200")] {
        let read = w.get(format!("{MGMT}/configuration/{peer}?registrationCode={code}")).send().await.json();
        assert_eq!(read["maxElement"], bound);
    }
}

#[tokio::test]
async fn p25_what_is_deleted_cannot_be_used() {
    let w = world().await;
    w.create_group("g").await;
    let code = w.code(1).await;
    w.admin("DELETE", &format!("/registration/{code}")).await.says(200, "ERR_SUCCESS");
    w.admin("DELETE", &format!("/registration/{code}")).await.says(404, "ERR_NOT_FOUND");
    w.post(format!("{MGMT}/register/{code}?name=a&type=1&url=u")).send().await.says(400, "ERR_INV_REG_CODE");

    let code = w.member(1, "a", 1).await;
    w.admin("DELETE", "/peer/a").await.says(200, "ERR_SUCCESS");
    w.admin("GET", "/peer/a").await.says(404, "ERR_NO_PEER");
    w.get(format!("{MGMT}/groupInfo/a?registrationCode={code}")).send().await.says(404, "ERR_NO_PEER");

    let open = w.code(1).await;
    w.member(1, "b", 1).await;
    w.admin("DELETE", "/group/1").await.says(200, "ERR_SUCCESS");
    w.admin("GET", "/peer/b").await.says(404, "ERR_NO_PEER");
    w.post(format!("{MGMT}/register/{open}?name=c&type=1&url=u")).send().await.says(400, "ERR_INV_REG_CODE");
    w.admin("POST", "/registration/1").await.says(404, "ERR_NO_GROUP");
    w.admin("POST", "/start/1").await.says(404, "ERR_NO_GROUP");
}

#[tokio::test]
async fn members_see_each_other_and_report_their_status() {
    let w = world().await;
    w.create_group("g").await;
    let code = w.member(1, "swisscom:ddos-input-peer-1", 1).await;
    w.member(1, "p", 2).await;
    let name = "swisscom%3Addos-input-peer-1";
    let info = w.get(format!("{MGMT}/groupInfo/{name}?registrationCode={code}")).send().await.json();
    let names: Vec<_> = info["peers"].as_array().unwrap().iter().map(|p| p["peerName"].as_str().unwrap()).collect();
    assert_eq!(names, ["swisscom:ddos-input-peer-1", "p"]);
    assert_eq!(info["peers"][1]["peerType"], 2);
    w.get(format!("{MGMT}/groupInfo/{name}?registrationCode=x")).send().await.says(400, "ERR_INV_REG_CODE");

    let status = |value: &str| w.post(format!("{MGMT}/status/{name}?status={value}&registrationCode={code}")).send();
    status("3").await.says(200, "ERR_SUCCESS");
    for wrong in ["4", "-1", "x", ""] {
        status(wrong).await.says(400, "ERR_INV_DATA");
    }
    assert_eq!(w.admin("GET", &format!("/peer/{name}")).await.json()["lastStatus"], "3");
}

#[tokio::test]
async fn a_group_without_configuration_does_not_start() {
    let w = world().await;
    w.create_group("g").await;
    let reply = w.admin("POST", "/start/1").await;
    reply.says(400, "ERR_INV_DATA");
    assert!(reply.headers["tacit-detail"].to_str().unwrap().contains("configuration"));
    w.admin("POST", "/stop/1").await.says(200, "ERR_SUCCESS");
}

#[tokio::test]
async fn p21_messages_and_foreign_results_are_refused() {
    let w = world().await;
    w.post("/p2ds-peer/message/a/b/AdditiveMessage").form("data=x&signature=y").await.says(404, "ERR_NOT_FOUND");
    w.post(format!("{MGMT}/receive")).json(r#"{"data":["1"]}"#).await.says(404, "ERR_NOT_FOUND");
}
