//! Who stands for election, and who does not.

use std::time::Duration;

use serde_json::json;

use crate::cluster::{Cluster, PATIENCE};

/// A follower whose link flaps would stand again and again while it hears nobody, and depose a healthy leader with the term
/// it has come to when it is back.
#[tokio::test]
async fn w1_who_was_cut_off_comes_back_with_the_term_it_had() {
    let cluster = Cluster::start(3).await;
    let first = cluster.set("a", "1").await.unwrap();
    cluster.until_same().await;
    let away = (first + 1) % 3;
    cluster.cut(away, true);
    let before = cluster.term(away).await;
    // In this time it would have stood several times.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(cluster.term(away).await, before);
    cluster.set("a", "2").await.unwrap();
    cluster.cut(away, false);
    cluster.until_setting(away, "a", "2").await;
}

/// Asking whether there would be a vote binds nobody. Who hears a leader would not vote, nor who has more of the log.
#[tokio::test]
async fn w1_who_is_asked_whether_it_would_vote_is_not_bound() {
    let mut cluster = Cluster::start(3).await;
    let first = cluster.set("a", "1").await.unwrap();
    cluster.until_same().await;
    let (asked, asks) = ((first + 1) % 3, (first + 2) % 3);
    cluster.down(asks).await;
    let (_hub, host) = cluster.in_place_of(asks).await;
    let (node, number) = (cluster.list[asked].clone(), cluster.number(asks));
    let mut to = host.dial_replica(node.fingerprint, &node.addresses, PATIENCE).await.unwrap();
    let mut would_vote = async |last: serde_json::Value| {
        let vote = json!({"leader_id": {"term": 9999, "voted_for": number}, "committed": false});
        let rpc = json!({"vote": vote, "last_log_id": last, "trial": true});
        to.send(&json!({"number": 1, "what": {"vote": rpc}})).unwrap();
        let answer: serde_json::Value = to.recv().await.unwrap();
        answer["what"]["vote"]["vote_granted"].as_bool()
    };
    let long = json!({"leader_id": 9998, "index": 9999});
    let mut until = async |wanted: bool| {
        // A node that is busy may not have heard of its leader for a moment, and one that is new says nothing.
        while would_vote(long.clone()).await != Some(wanted) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until(false)).await.expect("it hears its leader");
    cluster.down(first).await;
    tokio::time::timeout(PATIENCE, until(true)).await.expect("it hears nobody");
    assert_eq!(would_vote(json!(null)).await, Some(false));
    assert!(cluster.term(asked).await < 9998);
}
