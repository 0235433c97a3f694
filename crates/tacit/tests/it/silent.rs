//! Members whose links live and who answer nothing.

use std::time::Duration;

use tacit_job::Report;
use tacit_model::SessionId;

use crate::scripted::Scene;

/// Heartbeats alone keep nobody in the directory: who lets three deadlines pass in a row is gone from it, and who reported
/// anything meanwhile is not.
#[tokio::test]
async fn f20_a_member_that_answers_nothing_leaves_the_directory() {
    let scene = Scene::found().await;
    let ping = format!("/groups/{}/ping", scene.gid);
    for round in 0..3 {
        if round == 2 {
            scene.members[0].report(SessionId([7; 16]), Report::Pong);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(scene.gateway.api("POST", &ping, None).ok().json()["members"], 0);
    }
    scene.offering(1).await;
    let directory = scene.gateway.offers(scene.gid);
    assert_eq!(directory[0]["name"], "alice", "{directory}");
}
