//! How long what a peer measured stays with it.

use std::collections::BTreeMap;
use std::time::Duration;

use tacit_job::{Ask, Decline, Report};
use tacit_model::api::PeerPolicy;
use tacit_model::{Clock, SystemClock};
use tacit_party::source::SampleText;
use tacit_party::{PartyLimits, Policy};
use tacit_store::{Redacted, Store};

use crate::room::{ask, declined, is_done, job, measure, prepared, request, room, room_with, trouble};
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

/// A sensor that brings more than is kept goes on measuring: the oldest go, what is left is offered, and its owner hears of it
/// once.
#[tokio::test]
async fn of_too_many_samples_the_oldest_go_and_the_owner_hears_of_it() {
    let policy = Policy::from(PeerPolicy { max_samples: 2, ..PeerPolicy::default() });
    let mut world = World::with(|peers| peers[0].policy = policy, |_| {}).await;
    let peer = &mut world.peers[0];
    let now = SystemClock.now();
    for (source, ago) in [("old", 40_000), ("fresh", 30_000), ("fresh", 20_000)] {
        let values = BTreeMap::from([(source.to_owned(), Redacted("1".to_owned()))]);
        peer.party().add_samples(vec![SampleText { at: now.plus(-ago), values }]).await.unwrap();
    }
    only_fresh(peer).await;
    let trouble = peer.party().status().await.unwrap().last_trouble.unwrap();
    assert!(trouble.what.contains("no room for more than 2 samples"), "{}", trouble.what);
    peer.party().tell_owner("something else".to_owned());
    let values = BTreeMap::from([("fresh".to_owned(), Redacted("1".to_owned()))]);
    peer.party().add_samples(vec![SampleText { at: now.plus(-10_000), values }]).await.unwrap();
    assert_eq!(peer.party().status().await.unwrap().last_trouble.unwrap().what, "something else");
    world.close().await;
}

/// What is left of a window would pass for all of it, and nobody would see that from the result.
#[tokio::test]
async fn rule8_who_let_samples_go_gives_to_no_window_that_they_were_in() {
    let few = Policy::from(PeerPolicy { max_samples: 2, ..PeerPolicy::default() });
    let mut world = room_with(PartyLimits::default().session, |peers| peers[3].policy = few, |_| {}).await;
    let edge = SystemClock.now().plus(-50_000);
    for ago in [40_000, 20_000] {
        measure(&world, ago).await;
    }
    let whole = job(&world, &ask(&world, 1), 1);
    assert_eq!(declined(&mut world, 3, &whole).await, Decline::NoRow);
    let why = trouble(&world, 3).await;
    assert!(why.contains("let go of samples up to") && why.contains("max_samples"), "{why}");
    // The others have all that they measured.
    assert!(matches!(prepared(&mut world, 2, &whole).await, Report::Prepared { .. }));
    // So after a restart, and each time.
    let fingerprint = world.peers[3].fingerprint();
    world.peers[3].close().await;
    world.peers[3].open().await;
    world.gateway.hello(&fingerprint).await;
    let again = job(&world, &ask(&world, 2), 2);
    assert_eq!(declined(&mut world, 3, &again).await, Decline::NoRow);
    assert!(trouble(&world, 3).await.contains("let go of samples up to"));
    // Of what came after those it has all.
    let later = format!("{}/{}", edge.to_rfc3339(), edge.plus(HOUR).to_rfc3339());
    let later = Ask::admit(request(&world, 3, &later), None, &world.gateway.identity).unwrap();
    let later = job(&world, &later, 3);
    assert!(matches!(prepared(&mut world, 3, &later).await, Report::Prepared { .. }));
    world.close().await;
}

/// The same members may be asked for the same again: the difference of the two results is what one of them changed.
#[tokio::test]
async fn rule3_who_changes_what_went_into_a_result_reads_what_that_tells() {
    let mut world = room().await;
    let at = SystemClock.now().plus(-10_000);
    let level = async |world: &World, value: &str| {
        let values = BTreeMap::from([("level".to_owned(), Redacted(value.to_owned()))]);
        world.peers[3].party().add_samples(vec![SampleText { at, values }]).await.unwrap();
        trouble(world, 3).await
    };
    world.peers[3].party().tell_owner("something else".to_owned());
    assert_eq!(level(&world, "5").await, "something else");
    assert_eq!(level(&world, "6").await, "something else", "nobody was given it");
    let attempt = job(&world, &ask(&world, 1), 1);
    let reports = world.gateway.run(&world.consensus, &attempt).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    assert_eq!(level(&world, "6.0").await, "something else", "it is the same value");
    let why = level(&world, "7").await;
    assert!(why.contains("may have gone into results before"), "{why}");
    world.close().await;
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
