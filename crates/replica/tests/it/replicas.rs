//! What is agreed on, who leads, what is left after losses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tacit_link::{LinkConfig, LinkError, LinkHub, Refusal};
use tacit_pki::Identity;
use tacit_replica::{Duty, LogKeeping, Replica, ReplicaError, ReplicaNode, ReplicaSetup};
use tacit_store::{ReplicaRows, Store, StoreError};
use time::OffsetDateTime;

use crate::cluster::{AT, Cluster, Others, PATIENCE, rows};

#[tokio::test]
async fn w1_what_one_wrote_all_hold_and_the_next_goes_on() {
    let mut cluster = Cluster::start(3).await;
    let (first, epoch) = cluster.leader().await;
    let up = cluster.node(first);
    up.store.set_setting("a", "1", AT).await.unwrap();
    // Many at once share agreements.
    let many = (0..50).map(|number| {
        let store = up.store.clone();
        async move { store.set_setting(&format!("many{number}"), "x", AT).await }
    });
    for done in futures_all(many).await {
        done.unwrap();
    }
    for number in 0..3 {
        cluster.until_setting(number, "a", "1").await;
        cluster.until_setting(number, "many49", "x").await;
    }
    // A node that follows writes nothing.
    let other = (first + 1) % 3;
    let refused = cluster.node(other).store.set_setting("a", "2", AT).await;
    assert!(matches!(refused, Err(StoreError::Replicas { .. })), "{refused:?}");

    cluster.down(first).await;
    let (second, later) = cluster.leader().await;
    assert!(second != first && later > epoch);
    let second = cluster.set("a", "3").await.unwrap();
    assert_eq!(cluster.node(second).store.setting("many0").await.unwrap().as_deref(), Some("x"));
    // Who was away takes what it missed.
    cluster.up(first).await;
    cluster.until_setting(first, "a", "3").await;
}

#[tokio::test]
async fn w1_without_a_majority_nobody_leads_and_nothing_is_written() {
    let mut cluster = Cluster::start(3).await;
    let first = cluster.set("a", "1").await.unwrap();
    for number in (0..3).filter(|number| *number != first) {
        cluster.down(number).await;
    }
    // It may not have noticed yet; then it waits in vain.
    let refused = cluster.node(first).store.set_setting("a", "2", AT).await;
    assert!(matches!(refused, Err(StoreError::Replicas { .. })), "{refused:?}");
    let mut duty = cluster.node(first).replica.duty();
    let laid_down = duty.wait_for(|duty| !matches!(duty, Duty::Leading(_)));
    tokio::time::timeout(PATIENCE, laid_down).await.expect("the lead ends with the lease").unwrap();
    assert_eq!(cluster.node(first).store.setting("a").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn w1_lists_that_cannot_be_are_refused() {
    let cluster = Cluster::start(3).await;
    let node = &cluster.nodes[0];
    let open = async |nodes: Vec<ReplicaNode>, folder: &tempfile::TempDir| {
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let host = hub.host(Arc::clone(&node.identity), Others::new(BTreeSet::new())).unwrap();
        let rows = ReplicaRows::open(&folder.path().join("tacit.db").display().to_string()).await.unwrap();
        Replica::open(ReplicaSetup { host, nodes, rows, keeping: LogKeeping::default() }).await.map(drop)
    };
    let fresh = tempfile::tempdir().unwrap();
    for list in [&cluster.list[..2], &cluster.list[1..], &[&cluster.list[..], &cluster.list[..1]].concat()] {
        let refused = open(list.to_vec(), &fresh).await;
        assert!(matches!(refused, Err(ReplicaError::Nodes(_))), "{refused:?}");
    }
}

/// A data folder from an older copy has forgotten what its node acknowledged and whom it voted for.
#[tokio::test]
async fn w1_an_older_copy_of_a_folder_takes_part_no_more() {
    let mut cluster = Cluster::start(3).await;
    let first = cluster.set("a", "1").await.unwrap();
    let (kept, back) = ((first + 1) % 3, (first + 2) % 3);
    cluster.until_setting(back, "a", "1").await;
    cluster.down(back).await;
    let path = cluster.nodes[back].folder.path().join("tacit.db");
    let copy = std::fs::read(&path).unwrap();
    // A node that was only down goes on.
    cluster.up(back).await;
    cluster.set("a", "2").await.unwrap();
    cluster.until_setting(back, "a", "2").await;
    cluster.down(back).await;
    for more in ["tacit.db-wal", "tacit.db-shm"] {
        let _none = std::fs::remove_file(path.with_file_name(more));
    }
    std::fs::write(&path, copy).unwrap();
    cluster.up(back).await;
    let mut duty = cluster.node(back).replica.duty();
    let ended = duty.wait_for(|duty| *duty == Duty::Stopped);
    tokio::time::timeout(PATIENCE, ended).await.expect("it notices").unwrap();
    assert!(cluster.node(back).replica.has_forgotten());
    assert!(!cluster.node(kept).replica.has_forgotten());
    cluster.down(back).await;
    let rows = ReplicaRows::open(&cluster.database(back)).await.unwrap();
    let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let host = hub.host(Arc::clone(&cluster.nodes[back].identity), Others::new(BTreeSet::new())).unwrap();
    let setup = ReplicaSetup { host, nodes: cluster.list.clone(), rows, keeping: cluster.keeping };
    let again = Replica::open(setup).await.map(drop);
    assert!(matches!(again, Err(ReplicaError::Forgotten)), "{again:?}");
    // The others go on without it.
    cluster.set("a", "3").await.unwrap();
    cluster.until_setting(kept, "a", "3").await;
}

/// Strangers get no link, and a change that no message could carry is refused and harms nobody.
///
/// On several threads: while one is busy with the large change, the leader goes on being heard of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w1_strangers_and_oversized_changes_get_nowhere() {
    let cluster = Cluster::start(3).await;
    cluster.leader().await;
    let stranger = Identity::generate("g0", OffsetDateTime::UNIX_EPOCH).unwrap();
    let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let all = cluster.list.iter().map(|node| node.fingerprint).collect();
    let host = hub.host(Arc::new(stranger), Others::new(all)).unwrap();
    for node in &cluster.list {
        let refused = host.dial_replica(node.fingerprint, &node.addresses, PATIENCE).await.map(drop);
        assert!(matches!(refused, Err(LinkError::PeerRefused(Refusal::NotAdmitted))), "{refused:?}");
    }
    let refused = cluster.set("a", &"x".repeat(9 << 20)).await;
    assert_eq!(refused, Err(StoreError::TooLarge));
    let large = "x".repeat(512 << 10);
    let first = cluster.set("a", &large).await.unwrap();
    cluster.until_setting((first + 1) % 3, "a", &large).await;
}

/// The log stays short, and who was away for longer than it reaches is sent the rows.
#[tokio::test]
async fn w1_who_was_away_for_long_is_sent_all_rows() {
    let mut cluster = Cluster::start_keeping(3, LogKeeping { every: 10, entries: 5 }).await;
    let (first, _) = cluster.leader().await;
    let away = (first + 1) % 3;
    let write = async |cluster: &Cluster, from: usize, to: usize| {
        for number in from..to {
            // Some entries are long: not all rows are one message.
            let value = format!("{number}").repeat(1 + number % 7 * 5_000);
            cluster.set(&format!("s{}", number % 40), &value).await.unwrap();
        }
        cluster.set("last", &to.to_string()).await.unwrap();
    };
    write(&cluster, 0, 5).await;
    cluster.until_setting(away, "last", "5").await;
    cluster.down(away).await;
    let before = cluster.log(away).await;
    write(&cluster, 5, 80).await;
    let kept = cluster.until_short(first).await;
    assert!(kept.first() > before.last().map(|last| last + 1).as_ref(), "{kept:?} {before:?}");
    cluster.up(away).await;
    cluster.until_setting(away, "last", "80").await;
    cluster.until_same().await;
    // It goes on as before: with entries, after a restart, and in the lead.
    write(&cluster, 80, 90).await;
    cluster.until_setting(away, "last", "90").await;
    cluster.down(away).await;
    cluster.up(away).await;
    write(&cluster, 90, 120).await;
    cluster.until_same().await;
    cluster.until_short(away).await;
    cluster.down(first).await;
    write(&cluster, 120, 125).await;
    cluster.up(first).await;
    cluster.until_same().await;
}

/// Who leads sends nothing but the rows while it sends them. A node that took this for silence would depose it, again and
/// again, and never have the rows.
#[tokio::test]
async fn w1_who_takes_rows_slowly_does_not_stand_for_election() {
    let mut cluster = Cluster::start(3).await;
    cluster.set("a", "1").await.unwrap();
    cluster.until_same().await;
    let (first, epoch) = cluster.leader().await;
    let (slow, sender) = ((first + 1) % 3, (first + 2) % 3);
    // Only the test speaks to it.
    cluster.down(sender).await;
    cluster.down(first).await;
    let (_hub, host) = cluster.in_place_of(sender).await;
    let node = &cluster.list[slow];
    let mut to = host.dial_replica(node.fingerprint, &node.addresses, PATIENCE).await.unwrap();
    let voters = cluster.voters();
    // It may have stood already, since nobody was there, and be about to stand once more.
    let mut term = epoch;
    let begin = async {
        loop {
            term += 2;
            to.send(&cluster.piece(sender, term, &voters, 0, serde_json::json!("begin"))).unwrap();
            let answer: serde_json::Value = to.recv().await.unwrap();
            let taken = &answer["what"]["snapshot"];
            if taken["taken"] == true {
                return;
            }
            term = taken["vote"]["leader_id"]["term"].as_u64().unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, begin).await.expect("it takes the beginning");
    let setting = serde_json::json!([{"t": "a"}, {"t": "2"}, {"i": 1}]);
    let setting = rows("settings", &["name", "value", "updated"], setting);
    for (number, what) in [(1, setting), (2, serde_json::json!({"end": 1}))] {
        // Longer than any node keeps still that hears nothing.
        tokio::time::sleep(Duration::from_secs(3)).await;
        to.send(&cluster.piece(sender, term, &voters, number, what)).unwrap();
        let answer: serde_json::Value = to.recv().await.unwrap();
        assert_eq!(answer["what"]["snapshot"]["taken"], true, "it stood meanwhile: {answer}");
    }
    assert_eq!(cluster.node(slow).store.setting("a").await.unwrap().as_deref(), Some("2"));
}

/// Only who leads may send rows, in order, and all of them. Nothing else is touched, and nobody stops.
#[tokio::test]
async fn w1_snapshots_that_cannot_be_are_refused() {
    let mut cluster = Cluster::start(3).await;
    cluster.set("a", "1").await.unwrap();
    cluster.until_same().await;
    let (first, epoch) = cluster.leader().await;
    let (victim, evil) = ((first + 1) % 3, (first + 2) % 3);
    cluster.down(evil).await;
    let (_hub, host) = cluster.in_place_of(evil).await;
    let voters = cluster.voters();
    let piece = |leader: usize, term: u64, voters: &BTreeSet<u64>, number: u64, what: serde_json::Value| {
        cluster.piece(leader, term, voters, number, what)
    };
    let setting = ["name", "value", "updated"];
    let good = rows("settings", &setting, serde_json::json!([{"t": "a"}, {"t": "evil"}, {"i": 1}]));
    let (later, others) = (epoch + 5, BTreeSet::from([1, 2, 3]));
    let end = serde_json::json!({"end": 1});
    let bad = [
        ("not its own lead", piece(first, epoch, &voters, 0, good.clone())),
        ("an earlier term", piece(evil, epoch - 1, &voters, 0, good.clone())),
        ("other gateways", piece(evil, later, &others, 0, good.clone())),
        ("not the first", piece(evil, later, &voters, 1, good.clone())),
        ("a beginning that is not the first", piece(evil, later, &voters, 1, serde_json::json!("begin"))),
        ("rows are missing", piece(evil, later, &voters, 0, end)),
        (
            "no table of a gateway",
            piece(evil, later, &voters, 0, rows("input_rows", &["party"], serde_json::json!([{"t": "a"}]))),
        ),
        (
            "another schema",
            piece(evil, later, &voters, 0, rows("settings", &["name"], serde_json::json!([{"t": "a"}]))),
        ),
        ("a short row", piece(evil, later, &voters, 0, rows("settings", &setting, serde_json::json!([{"t": "a"}])))),
    ];
    let link = async || {
        let node = &cluster.list[victim];
        host.dial_replica(node.fingerprint, &node.addresses, PATIENCE).await.unwrap()
    };
    let mut to = link().await;
    for (why, piece) in bad {
        to.send(&piece).unwrap();
        let answer: serde_json::Value = to.recv().await.unwrap();
        assert_eq!(answer["what"]["snapshot"]["taken"], false, "{why}: {answer}");
    }
    // One that begins well and is garbled then ends the link, and what was begun is given up.
    to.send(&piece(evil, later, &voters, 0, good.clone())).unwrap();
    let answer: serde_json::Value = to.recv().await.unwrap();
    assert_eq!(answer["what"]["snapshot"]["taken"], true, "{answer}");
    to.send(&serde_json::json!({"number": 2, "what": {"snapshot": {"vote": "garbled"}}})).unwrap();
    assert!(to.recv::<serde_json::Value>().await.is_err());
    drop(to);
    let mut to = link().await;
    let twice = good["rows"]["rows"][0].clone();
    to.send(&piece(evil, later, &voters, 1, rows("settings", &setting, twice))).unwrap();
    let answer: serde_json::Value = to.recv().await.unwrap();
    assert_eq!(answer["what"]["snapshot"]["taken"], false, "the same row twice: {answer}");
    assert_eq!(cluster.node(victim).store.setting("a").await.unwrap().as_deref(), Some("1"));
    cluster.set("a", "2").await.unwrap();
    cluster.until_setting(victim, "a", "2").await;
}

/// Rows that were written without replicas would be missing on the others.
#[tokio::test]
async fn w1_a_database_with_a_past_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("tacit.db").display().to_string();
    let store = Store::open(&address).await.unwrap();
    store.create_group("g", "", AT).await.unwrap();
    store.close().await;
    assert!(matches!(ReplicaRows::open(&address).await, Err(StoreError::Conflict { .. })));
}

/// All of them, side by side.
async fn futures_all<T: Send + 'static>(all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}
