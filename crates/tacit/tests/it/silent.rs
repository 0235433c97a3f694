//! Members that answer nothing, or not yet.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tacit_accord::MemberRole;
use tacit_job::{Fault, Report, sign_request, task_id};
use tacit_model::api::{NewTask, TaskRequest};
use tacit_model::{Clock, Fingerprint, GroupId, SessionId, Slot, SystemClock};
use tacit_pki::Identity;
use tokio::task::spawn_blocking;

use crate::harness::Node;
use crate::http::Request;
use crate::scripted::{Member, Scene, done};
use crate::wait::PATIENCE;

/// Heartbeats alone keep nobody in the directory: who lets three deadlines pass in a row is gone from it, and who reported
/// anything meanwhile is not.
#[tokio::test]
async fn f20_a_member_that_answers_nothing_leaves_the_directory() {
    let scene = Scene::found().await;
    let url = format!("{}/api/v1/groups/{}/ping", scene.gateway.url(), scene.gid);
    let bearer = format!("Bearer {}", scene.gateway.token());
    for round in 0..3 {
        if round == 2 {
            scene.members[0].report(SessionId([7; 16]), Report::Pong);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Beside this thread, on which the members' links live.
        let (url, bearer) = (url.clone(), bearer.clone());
        let ping = move || Request::new("POST", &url).header("authorization", bearer).answer().ok().json();
        assert_eq!(spawn_blocking(ping).await.expect("an answer")["members"], 0);
    }
    scene.offering(1).await;
    let directory = scene.gateway.offers(scene.gid);
    assert_eq!(directory[0]["name"], "alice", "{directory}");
}

/// Once somebody is gone an attempt cannot succeed any more: it is repaired at once, and who had not reported by then is
/// asked again like who had.
#[tokio::test]
async fn f13_nobody_waits_for_an_attempt_without_one_that_is_gone() {
    let mut scene = Scene::found().await;
    let _task = scene.hand_in();
    let first = scene.members[0].prepared().await;
    scene.members[1].prepared().await;
    for member in &mut scene.members[2..] {
        member.asked().await;
    }
    let gone = scene.members.pop().expect("the last one").me;
    let second = scene.members[0].prepared().await;
    assert_ne!(second.session, first.session);
    let members = second.members();
    assert!(members.len() == 3 && !members.contains(&gone) && members.contains(&scene.members[2].me), "{members:?}");
}

/// Nor where it is back over a new link before the old one is known to be gone: it has given up what it was asked there.
#[tokio::test]
async fn f13_nobody_waits_for_one_that_was_asked_over_an_older_link() {
    let mut scene = Scene::found().await;
    let _task = scene.hand_in();
    let first = scene.members[0].prepared().await;
    scene.members[1].prepared().await;
    for member in &mut scene.members[2..] {
        member.asked().await;
    }
    let dorothy = &scene.members[3];
    let (identity, home) = (Arc::clone(&dorothy.identity), dorothy.home.clone());
    let _back = Member::connect("dorothy", GroupId(scene.gid), identity, home).await;
    let second = scene.members[0].prepared().await;
    assert_ne!(second.session, first.session);
    // The third had not said anything either, and was not waited for to the end.
    assert!(second.members().contains(&scene.members[2].me), "{:?}", second.members());
}

/// It is gone at once, without a word; who it was.
fn leaves(member: Member) -> (Fingerprint, Arc<Identity>, (Fingerprint, Vec<String>)) {
    let Member { me, identity, home, .. } = member;
    (me, identity, home)
}

/// Whichever phase somebody is lost in, before a set is frozen: the others are prepared anew without it, and the client gets
/// their result and no error. It comes back, and is in the next task.
#[tokio::test]
async fn f13_one_that_is_lost_in_any_phase_is_left_out_and_the_rest_finish() {
    let mut scene = Scene::found().await;
    for phase in ["Prepare", "Link", "Session"] {
        let id = scene.hand_in();
        let mut lost = scene.members.pop().expect("the fourth");
        let first = match phase {
            "Prepare" => lost.asked().await,
            _ => lost.prepared().await,
        };
        for member in &mut scene.members {
            assert_eq!(member.prepared().await.session, first.session, "{phase}");
        }
        if phase != "Prepare" {
            for member in &mut scene.members {
                member.linked(first.session, Report::Linked).await;
            }
        }
        if phase == "Session" {
            lost.linked(first.session, Report::Linked).await;
            for member in &mut scene.members {
                let fault = Fault::Lost { members: vec![lost.me] };
                member.session(first.session, Report::Failed { fault, frozen: false }).await;
            }
        }
        let (gone, identity, home) = leaves(lost);

        let mut second = first.clone();
        for member in &mut scene.members {
            second = member.prepared().await;
        }
        assert_ne!(second.session, first.session, "{phase}");
        assert_eq!((second.members().len(), second.members().contains(&gone)), (3, false), "{phase}");
        for member in &mut scene.members {
            member.linked(second.session, Report::Linked).await;
        }
        for member in &mut scene.members {
            member.session(second.session, done("aa", 20.0)).await;
        }
        let body = scene.ended(&id).await;
        assert_eq!((body["state"].as_str(), body["detail"].as_str()), (Some("done"), Some("")), "{phase}: {body}");
        assert_eq!(body["windows"].as_array().map(Vec::len), Some(1), "{phase}: {body}");
        assert_eq!(body["windows"][0]["result"]["statistics"][0]["value"], 20.0, "{phase}: {body}");
        scene.members.push(Member::connect("dorothy", GroupId(scene.gid), identity, home).await);
        scene.offering(4).await;
    }
}

/// Of four members that all compute one is killed, and while the others go on without it a second: two would be too few.
/// The first one has come back by then and is asked once more, and so is nobody twice.
#[tokio::test]
async fn f13_one_that_was_lost_is_asked_again_once_it_is_back_and_needed() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    let mut first = scene.members.pop().expect("the fourth");
    let session = first.asked().await.session;
    for member in &mut scene.members {
        assert_eq!(member.prepared().await.session, session);
    }
    let (gone, identity, home) = leaves(first);
    let mut second = scene.members.pop().expect("the third");
    assert!(!second.asked().await.members().contains(&gone));
    for member in &mut scene.members {
        assert!(!member.prepared().await.members().contains(&gone));
    }
    let gid = GroupId(scene.gid);
    let mut back = Member::connect("dorothy", gid, Arc::clone(&identity), home.clone()).await;
    scene.offering(4).await;
    drop(second);

    let third = back.prepared().await;
    assert_eq!(third.members().len(), 3);
    for member in &mut scene.members {
        assert_eq!(member.prepared().await.session, third.session);
    }
    // It leaves once more.
    drop(back);
    let _never_asked = Member::connect("dorothy", gid, identity, home).await;
    let body = scene.ended(&id).await;
    let why = body["detail"].as_str().expect("a reason");
    assert!(why.starts_with("2 of the members declined or got lost; 2 members can give"), "{body}");
}

/// Two members that give, and three that compute, in the first slot of a run.
async fn run_with(parameters: serde_json::Value) -> (i64, Node, Vec<Member>, Vec<Member>) {
    let gateway = Node::with("gateway", &["--roles", "manager"]);
    let gid = gateway.api("POST", "/groups", Some(&json!({ "name": "g" }))).json()["gid"].as_i64().expect("one");
    let mut members = Vec::new();
    let (gives, computes) = (MemberRole::Input, MemberRole::Privacy);
    for (name, role) in
        [("alice", gives), ("bobby", gives), ("cyril", computes), ("dorothy", computes), ("emily", computes)]
    {
        members.push(Member::join(&gateway, gid, name, role).await);
    }
    let scene = Scene { gateway, gid, members };
    scene.offering(5).await;
    let Scene { gateway, members: mut inputs, .. } = scene;
    let computing = inputs.split_off(2);
    let configuration = json!({
        "field": "2305843009213693951", "max_element": "100", "aggregator": "sum", "items": 1, "time_slots": 1,
        "parameters": parameters,
    });
    gateway.api("PUT", &format!("/groups/{gid}/configuration"), Some(&configuration)).ok();
    gateway.api("POST", &format!("/groups/{gid}/start"), None).ok();
    for member in &mut inputs {
        member.gives(Slot(1)).await;
    }
    (gid, gateway, inputs, computing)
}

/// The same in a slot of a standing task, whose compute peers have no rows of their own: of three, of which two are needed, the
/// second is killed when the first is back.
#[tokio::test]
async fn p33_a_compute_peer_that_was_lost_is_asked_again_once_it_is_back_and_needed() {
    let (gid, _gateway, mut inputs, mut computing) = run_with(json!({})).await;
    let mut first = computing.pop().expect("the third");
    let session = first.asked().await.session;
    for member in inputs.iter_mut().chain(&mut computing) {
        assert_eq!(member.prepared().await.session, session);
    }
    let (gone, identity, home) = leaves(first);
    let mut second = computing.pop().expect("the second");
    assert!(!second.asked().await.compute.contains(&gone));
    for member in inputs.iter_mut().chain(&mut computing) {
        assert!(!member.prepared().await.compute.contains(&gone));
    }
    let mut back = Member::connect("emily", GroupId(gid), identity, home).await;
    back.gives(Slot(0)).await;
    drop(second);
    let third = back.prepared().await;
    assert_eq!((third.compute.len(), third.inputs.len()), (2, 2));
    assert!(third.compute.contains(&gone) && third.compute.contains(&computing[0].me));
}

/// In the model `malicious` all three are needed: a run does not end because one of them is away for a moment.
#[tokio::test]
async fn p33_a_slot_waits_for_a_lost_compute_peer_where_its_plan_needs_all() {
    let (gid, gateway, mut inputs, mut computing) = run_with(json!({ "security_model": "malicious" })).await;
    let mut lost = computing.pop().expect("the third");
    let first = lost.asked().await.session;
    for member in inputs.iter_mut().chain(&mut computing) {
        assert_eq!(member.prepared().await.session, first);
    }
    let (gone, identity, home) = leaves(lost);
    // Longer than a slot waits for somebody that it can do without. The members' links live on this thread.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let group = gateway.api("GET", &format!("/groups/{gid}"), None).ok().json();
    let away = group["members"].as_array().expect("a list").iter().filter(|member| member["connected"] == false);
    assert_eq!((&group["status"], away.count()), (&json!("running"), 1), "{group}");
    let mut back = Member::connect("emily", GroupId(gid), identity, home).await;
    let second = back.prepared().await;
    assert!(second.session != first && second.compute.len() == 3 && second.compute.contains(&gone));
    for member in inputs.iter_mut().chain(&mut computing) {
        assert_eq!(member.prepared().await.session, second.session);
    }
}

/// Of three members all are needed in the model `malicious`: nothing is given up because one is away for a moment.
#[tokio::test]
async fn f13_who_is_lost_is_waited_for_where_the_plan_needs_all() {
    let mut scene = Scene::found_with(3).await;
    let task = json!({
        "group": scene.gid, "purpose": "HVAC", "sources": ["temperature"], "aggregator": "mean", "decimals": 2,
        "least": "0", "most": "50", "tell_gateway": true, "min_participants": 2, "model": "malicious",
    });
    scene.gateway.api("POST", "/tasks", Some(&json!({ "task": task, "wait": false }))).ok();
    let mut lost = scene.members.pop().expect("the third");
    let first = lost.asked().await.session;
    for member in &mut scene.members {
        assert_eq!(member.prepared().await.session, first);
    }
    let (gone, identity, home) = leaves(lost);
    let mut back = Member::connect("cyril", GroupId(scene.gid), identity, home).await;
    let second = back.prepared().await;
    assert!(second.session != first && second.compute.len() == 3 && second.compute.contains(&gone));
    for member in &mut scene.members {
        assert_eq!(member.prepared().await.session, second.session);
    }
}

/// One that only computes has no series to offer: it is asked again all the same.
#[tokio::test]
async fn f13_one_that_only_computes_is_asked_again_once_it_is_back_and_needed() {
    let mut scene = Scene::found().await;
    let task = json!({
        "group": scene.gid, "purpose": "HVAC", "sources": ["temperature"], "aggregator": "mean", "decimals": 2,
        "least": "0", "most": "50", "tell_gateway": true, "min_participants": 2,
    });
    scene.gateway.api("POST", "/tasks", Some(&json!({ "task": task, "wait": false }))).ok();
    let mut first = scene.members.pop().expect("the fourth");
    let session = first.asked().await.session;
    for member in &mut scene.members {
        assert_eq!(member.prepared().await.session, session);
    }
    let (gone, identity, home) = leaves(first);
    for member in &mut scene.members {
        assert!(!member.prepared().await.members().contains(&gone));
    }
    let gid = GroupId(scene.gid);
    let mut back = Member::arrive("dorothy", gid, identity, home).await;
    back.offer(gid, &["computes"], &[]);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !scene.gateway.offers(scene.gid).to_string().contains("computes") {
        assert!(tokio::time::Instant::now() < deadline, "its offer does not arrive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Without the third, two would be too few to compute.
    drop(scene.members.pop());

    let third = back.prepared().await;
    assert_eq!((third.compute.len(), third.inputs.len()), (3, 2));
    assert!(third.compute.contains(&gone) && !third.inputs.contains(&gone));
    for member in &mut scene.members {
        assert_eq!(member.prepared().await.session, third.session);
    }
}

/// The same question of a member is one task, however often it comes; so many that wait for its answer are kept, and no more.
#[tokio::test]
async fn w3_who_waits_for_the_same_answer_again_and_again_is_bounded() {
    let scene = Scene::found().await;
    let member = &scene.members[0];
    // Of a moment to come, so that it is not over meanwhile.
    let request = TaskRequest {
        recipients: vec![member.me],
        issued: SystemClock.now().plus(100_000).to_rfc3339(),
        nonce: "ab".repeat(16),
        ..TaskRequest::about(GroupId(scene.gid), "temperature", "mean", "HVAC")
    };
    let new = NewTask {
        signature: Some(sign_request(&request, &member.identity)),
        task: request.clone(),
        notify: None,
        wait: false,
    };
    member.ask(0, &new);
    let path = format!("/tasks/{}", task_id(&request));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while scene.gateway.api("GET", &path, None).status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the task is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in 1..1_100 {
        member.ask(number, &new);
    }
    let mut scene = scene;
    let why = scene.members[0].refused().await;
    assert!(why.contains("1000 tasks of this client are open"), "{why}");
}
