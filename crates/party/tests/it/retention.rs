//! How long what a peer measured stays with it.

use std::collections::BTreeMap;
use std::time::Duration;

use tacit_model::api::PeerPolicy;
use tacit_model::{Clock, SystemClock};
use tacit_party::Policy;
use tacit_store::{Redacted, Store};

use crate::world::{Peer, World};

const HOUR: i64 = 3_600_000;

/// A sample of each of these series, so old.
async fn measured(store: &Store, peer: &str, samples: &[(&str, i64)]) {
    let at = |ago: i64| SystemClock.now().plus(-ago);
    let sample = |(source, ago): &(&str, i64)| (at(*ago), BTreeMap::from([((*source).to_owned(), Redacted(1))]));
    store.add_samples(peer, samples.iter().map(sample).collect(), 100).await.unwrap();
}

/// Waits until the peer offers nothing but `fresh`, and holds nothing else.
async fn only_fresh(peer: &Peer) {
    let gone = async {
        loop {
            let held = peer.store.as_ref().unwrap().sources(&peer.name).await.unwrap();
            if held == ["fresh"] && peer.party().offer().sources.into_iter().eq(["fresh"]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("old samples go by themselves");
}

/// No sample comes any more: those that are too old go at the start all the same, and later from time to time.
#[tokio::test]
async fn rule12_samples_go_when_they_are_too_old() {
    let mut world = World::with(
        |peers| {
            peers[0].policy = Policy::from(PeerPolicy { keep_samples_hours: 1, ..PeerPolicy::default() });
            peers[0].limits.forget_every = Duration::from_secs(3600);
        },
        |_| {},
    )
    .await;
    let peer = &mut world.peers[0];
    peer.close().await;
    let store = Store::open(peer.database().to_str().unwrap()).await.unwrap();
    measured(&store, &peer.name, &[("old", 2 * HOUR), ("fresh", 60_000), ("fresh", 2 * HOUR)]).await;
    store.close().await;
    peer.open().await;
    only_fresh(peer).await;

    peer.close().await;
    peer.limits.forget_every = Duration::from_millis(20);
    peer.open().await;
    measured(peer.store.as_ref().unwrap(), &peer.name, &[("older", HOUR + 1000)]).await;
    only_fresh(peer).await;
    let now = SystemClock.now();
    let mut look = peer.store.as_ref().unwrap().look();
    assert_eq!(look.samples(&peer.name, "fresh", now.plus(-3 * HOUR), now).await.unwrap().len(), 1);
    drop(look);
    world.close().await;
}
