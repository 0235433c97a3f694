//! Members that answer nothing, or not yet.

use std::time::Duration;

use tacit_job::Report;
use tacit_model::SessionId;
use tokio::task::spawn_blocking;

use crate::http::Request;
use crate::scripted::Scene;

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
