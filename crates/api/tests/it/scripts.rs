//! The call sequence of the P2DS scripts with a real gateway, real peers and links, in one process.

use std::time::Duration;

use serde_json::json;
use tacit_api::{PartyDesk, ServeOptions, serve};
use tacit_model::{GroupId, UnixMillis};
use tacit_party::PartyState;
use tacit_store::RunState;
use tokio::net::TcpListener;

use crate::world::{KEY, MGMT, PRIVATE_KEY, PUBLIC_KEY, Reply, World, world_with};

/// A node with all three services, reachable at `http://...`.
async fn services() -> (World, String) {
    let (w, base, _) = services_and_parties().await;
    (w, base)
}

async fn services_and_parties() -> (World, String, tacit_party::Parties) {
    // Two steps, because peers register at the node that hosts them.
    let mut w = world_with(None, |_| {}).await;
    let parties = w.parties().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut options = tacit_api::EdgeOptions::new(base.clone());
    options.admin_key = Some(tacit_api::AdminKey::new(KEY));
    options.p2ds_face = true;
    options.test_mode_allowed = true;
    options.loopback_names_only = true;
    w.router = tacit_api::router(tacit_api::Edge {
        gateway: Some(w.gateway.clone()),
        parties: Some(PartyDesk::from(parties.clone())),
        receiver: true,
        store: w.store.clone(),
        log: w.log.clone(),
        node: tacit_api::NodeInfo {
            name: "node".to_owned(),
            fingerprint: w.identity.fingerprint(),
            version: "0".to_owned(),
            link_address: None,
            roles: vec![],
            announcement: None,
        },
        clock: std::sync::Arc::new(tacit_model::SystemClock),
        options,
    });
    tokio::spawn(serve(listener, w.router.clone(), None, ServeOptions::default(), std::future::pending()));
    (w, base, parties)
}

const PEERS: [(&str, u8); 5] = [("peerhans", 1), ("hanspeer", 1), ("ppeer1", 2), ("ppeer2", 2), ("ppeer3", 2)];

async fn set_up(w: &World, base: &str, slots: &str) {
    w.admin("POST", "/testmode?on=true").await.says(200, "ERR_SUCCESS");
    assert_eq!(w.create_group("SimpleGroup").await.json(), json!({ "gid": "1", "name": "SimpleGroup" }));
    for (name, kind) in PEERS {
        assert_eq!(w.admin("POST", "/registration/1").await.json(), json!({ "gid": "1", "registrationCode": "TEST" }));
        let body = json!({ "finalResultsURL": format!("{base}/p2ds-receiver/receiver/receive"), "peerType": kind,
            "name": name, "privateKey": PRIVATE_KEY, "publicKey": PUBLIC_KEY, "registrationCode": "TEST",
            "groupMgmtURL": format!("{base}{MGMT}") });
        let joined = w.post(format!("/p2ds-peer/peer?adminKey={KEY}")).json(&body.to_string()).await;
        assert_eq!(joined.status, 200, "{} {:?}", joined.text, joined.headers.get("tacit-detail"));
        let expected = json!({ "gid": 1, "lastStatus": 0, "peerName": name, "peerType": kind, "publicKey": PUBLIC_KEY,
            "url": format!("{base}/p2ds-peer") });
        assert_eq!(joined.json(), expected);
        let listed = w.admin("GET", &format!("/peer/{name}")).await.json();
        assert_eq!((&listed["verified"], &listed["publicKey"]), (&json!(false), &json!(PUBLIC_KEY)));
    }
    // The peers dial their gateway; what follows would be refused before.
    wait(async || w.gateway.groups().await.unwrap()[0].members.iter().all(|m| m.connected)).await;
    for (name, _) in PEERS {
        assert_eq!(w.admin("POST", &format!("/verify/{name}?verified=true")).await.json()["verified"], true);
    }
    let configuration = json!({ "field": "1013", "gid": "1", "maxElement": "1000", "mpcProtocol": "additive",
        "numberOfItems": "2", "numberOfTimeSlots": slots });
    let set = w.post(format!("{MGMT}/configuration?adminKey={KEY}")).json(&configuration.to_string()).await;
    assert_eq!(set.status, 200, "{}", set.text);
}

async fn start(w: &World, name: &str) -> Reply {
    w.post(format!("/p2ds-peer/start/{name}?registrationCode=TEST")).send().await
}

async fn inputs(w: &World, name: &str, rows: &[&str]) {
    let body = json!({ "peerName": name, "data": rows }).to_string();
    w.post("/p2ds-peer/inputs?registrationCode=TEST").json(&body).await.says(200, "SUCCESS");
}

async fn shown(w: &World, row: &str) -> usize {
    w.get("/p2ds-receiver/receiver/show").send().await.text.matches(&format!(">{row}</td>")).count()
}

async fn wait(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_grp_sh_call_by_call() {
    let (w, base) = services().await;
    set_up(&w, &base, "2").await;
    for name in ["ppeer1", "ppeer2", "ppeer3", "hanspeer", "peerhans"] {
        let started = start(&w, name).await;
        assert_eq!(started.status, 200, "{name}: {} {:?}", started.text, started.headers.get("tacit-detail"));
        assert_eq!(started.json()["lastStatus"], 1);
    }
    start(&w, "ppeer1").await.says(400, "ERR_RUNNING");
    let page = w.get(format!("/p2ds-group-management/?adminKey={KEY}")).send().await.text;
    assert!(page.contains("Running. All peers are running."), "{page}");

    inputs(&w, "hanspeer", &["1;3", "4;5"]).await;
    for row in ["2;5", "3;4"] {
        let body = json!({ "peerName": "peerhans", "data": row }).to_string();
        w.post("/p2ds-peer/input?registrationCode=TEST").json(&body).await.says(200, "SUCCESS");
    }
    wait(async || shown(&w, "3;8").await == 2 && shown(&w, "7;9").await == 2).await;
    let stopped = "Stopped. All peers stopped.";
    wait(async || w.get(format!("/p2ds-group-management/?adminKey={KEY}")).send().await.text.contains(stopped)).await;
    for (name, _) in PEERS {
        assert_eq!(w.admin("GET", &format!("/peer/{name}")).await.json()["lastStatus"], "3");
    }
    // A peer may hear of the end a moment after its manager has told it here.
    let stop = async || w.post("/p2ds-peer/stop/ppeer1?registrationCode=TEST").send().await;
    wait(async || stop().await.status == 400).await;
    stop().await.says(400, "ERR_NOT_RUNNING");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_streaming_until_stopped_and_p25_deleting_a_running_group() {
    let (w, base) = services().await;
    set_up(&w, &base, "-1").await;
    w.admin("POST", "/start/1").await.says(200, "ERR_SUCCESS");
    wait(async || w.gateway.groups().await.unwrap()[0].members.iter().all(|m| m.last_status == 1)).await;
    // The peers hear of it over their links.
    for name in ["hanspeer", "peerhans"] {
        wait(async || w.api("GET", &format!("/peers/{name}")).send().await.json()["status"] == "running").await;
    }
    inputs(&w, "hanspeer", &["2;2", "6;1", "1;5"]).await;
    inputs(&w, "peerhans", &["8;8", "5;3", "4;7"]).await;
    for row in ["10;10", "11;4", "5;12"] {
        wait(async || shown(&w, row).await == 2).await;
    }
    inputs(&w, "hanspeer", &["7;0"]).await;
    inputs(&w, "peerhans", &["0;7"]).await;
    wait(async || shown(&w, "7;7").await == 2).await;
    let results = w.api("GET", "/peers/hanspeer/results?run=1").send().await.json();
    assert_eq!(results["results"][3]["values"], json!(["7", "7"]));
    let roster = w.api("GET", "/peers/hanspeer/roster").send().await.json();
    assert_eq!((roster["members"].as_array().unwrap().len(), &roster["threshold"]), (5, &json!(1)));

    w.admin("DELETE", "/group/1").await.says(200, "ERR_SUCCESS");
    w.admin("GET", "/group/1").await.says(404, "ERR_NOT_FOUND");
    wait(async || w.api("GET", "/peers/hanspeer").send().await.json()["status"] != "running").await;
    let body = json!({ "peerName": "hanspeer", "data": "1;1" }).to_string();
    w.post("/p2ds-peer/input?registrationCode=TEST").json(&body).await.says(400, "ERR_NOT_RUNNING");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_an_unverified_peer_does_not_start() {
    let (w, base) = services().await;
    set_up(&w, &base, "2").await;
    w.admin("POST", "/verify/ppeer3").await;
    start(&w, "ppeer3").await.says(400, "ERR_INV_DATA");
    w.admin("POST", "/verify/ppeer3?verified=true").await;
    assert_eq!(start(&w, "ppeer3").await.status, 200);
}

/// The gateway goes down after it recorded how a run ended, and before it told anybody: whoever is back is told
/// how it really ended.
#[tokio::test]
async fn p11_a_member_that_is_back_hears_how_its_run_ended() {
    let (w, base, mut parties) = services_and_parties().await;
    set_up(&w, &base, "-1").await;
    let name = "peerhans";
    let kept = async || {
        let members = w.store.members(GroupId(1)).await.unwrap();
        members.iter().find(|m| m.peer_name == name).unwrap().last_status.number()
    };
    for (state, status) in [(RunState::Failed, 2), (RunState::Done, 3), (RunState::Stopped, 3)] {
        let run = parties.get(name).unwrap().start().await.unwrap();
        // Away while the run ends.
        parties.shutdown().await;
        wait(async || w.gateway.groups().await.unwrap()[0].members.iter().all(|m| !m.connected)).await;
        w.store.end_run(GroupId(1), run, state, None, UnixMillis(1)).await.unwrap();
        assert_eq!(kept().await, 1);
        let back = w.parties().await;
        wait(async || back.get(name).unwrap().status().await.unwrap().run.is_none()).await;
        let here = back.get(name).unwrap().status().await.unwrap().state;
        assert_eq!(here == PartyState::Failed, status == 2, "{state:?}: {here:?}");
        assert_eq!(w.admin("GET", &format!("/peer/{name}")).await.json()["lastStatus"], json!(status.to_string()));
        parties = back;
    }
}
