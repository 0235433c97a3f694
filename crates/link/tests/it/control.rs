//! Control links.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tacit_link::{CloseReason, LinkError, MAX_CONTROL_MESSAGE, Refusal};
use tacit_model::{ManualClock, UnixMillis};
use tacit_pki::sni_name;
use tokio::io::AsyncWriteExt;

use crate::nodes::{Node, SOON, frame, hello, identity, local, raw, until};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Ask {
    question: String,
}

#[tokio::test]
async fn messages_go_both_ways_and_additions_are_ignored() {
    let mut config = local();
    config.clock = std::sync::Arc::new(ManualClock::new(UnixMillis(5_000)));
    let mut ahead = local();
    ahead.clock = std::sync::Arc::new(ManualClock::new(UnixMillis(7_500)));
    let (gateway, peer) = (Node::with(config).await, Node::with(ahead).await);
    let mut links = gateway.host.control_links();
    let mut at_peer = peer.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap();
    let mut at_gateway = links.recv().await.unwrap();
    assert_eq!((at_gateway.peer(), at_peer.peer()), (peer.id(), gateway.id()));
    assert_eq!((at_gateway.skew_ms(), at_peer.skew_ms()), (2_500, -2_500));
    at_peer.send(&serde_json::json!({"question": "how many?", "added_later": [1, 2]})).unwrap();
    assert_eq!(at_gateway.recv::<Ask>().await, Ok(Ask { question: "how many?".into() }));
    let sender = at_gateway.sender().clone();
    sender.send(&17).unwrap();
    assert_eq!(at_peer.recv::<u32>().await, Ok(17));
    // A message of another form is skipped, and its text stays out of the error.
    sender.send(&"secret").unwrap();
    sender.send(&18).unwrap();
    let error = at_peer.recv::<u32>().await.unwrap_err();
    assert!(matches!(error, LinkError::BadMessage { .. }) && !error.to_string().contains("secret"));
    assert_eq!(at_peer.recv::<u32>().await, Ok(18));
    let long = "x".repeat(MAX_CONTROL_MESSAGE);
    assert!(matches!(sender.send(&long), Err(LinkError::TooLarge { .. })));
    sender.send(&long[2..]).unwrap();
    assert_eq!(at_peer.recv::<String>().await.unwrap().len(), MAX_CONTROL_MESSAGE - 2);
}

/// Who has much to send waits until the other one has read some of it.
#[tokio::test]
async fn a_full_queue_has_room_again_when_it_was_read() {
    let (gateway, peer) = (Node::new().await, Node::new().await);
    let mut links = gateway.host.control_links();
    let _at_peer = peer.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap();
    let at_gateway = links.recv().await.unwrap();
    let sender = at_gateway.sender();
    let long = "x".repeat(MAX_CONTROL_MESSAGE - 2);
    let fill = || std::iter::repeat_with(|| sender.send(&long)).find_map(Result::err);
    assert_eq!(fill(), Some(LinkError::QueueFull));
    sender.room().await;
    assert_eq!(sender.send(&long), Ok(()));
    // Nor does anybody wait for a link that is gone.
    assert_eq!(fill(), Some(LinkError::QueueFull));
    sender.close();
    sender.room().await;
    assert_eq!(sender.send(&long), Err(LinkError::Closed(CloseReason::Local)));
}

#[tokio::test]
async fn the_last_message_arrives_before_the_end() {
    let (gateway, peer) = (Node::new().await, Node::new().await);
    let mut links = gateway.host.control_links();
    let at_peer = peer.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap();
    let mut at_gateway = links.recv().await.unwrap();
    at_peer.send(&1).unwrap();
    let sender = at_peer.sender();
    drop(at_peer);
    assert_eq!(at_gateway.recv::<u8>().await, Ok(1));
    assert_eq!(at_gateway.recv::<u8>().await, Err(LinkError::Closed(CloseReason::Disconnected)));
    assert_eq!(sender.send(&2), Err(LinkError::Closed(CloseReason::Local)));
    assert_eq!(sender.closed().await, CloseReason::Local);
}

#[tokio::test]
async fn without_a_taker_links_are_refused() {
    let (gateway, peer) = (Node::new().await, Node::new().await);
    let error = peer.host.dial_control(gateway.id(), &[gateway.addr()], Duration::from_secs(1)).await.err();
    assert_eq!(error, Some(LinkError::PeerRefused(Refusal::Busy)));
    let mut links = gateway.host.control_links();
    let _link = peer.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap();
    assert!(links.recv().await.is_some());
}

#[tokio::test]
async fn silence_is_noticed_and_answers_keep_a_link() {
    let mut config = local();
    config.keep_alive = Duration::from_millis(200);
    let gateway = Node::with(config.clone()).await;
    let peer = Node::with(config).await;
    let mut links = gateway.host.control_links();
    let _alive = peer.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap();
    let alive = links.recv().await.unwrap();
    // Says hello and nothing more.
    let key = identity("mute");
    let mut mute = raw(gateway.hub.local_addr(), &sni_name(gateway.id()), b"tacit-ctl/1", Some(&key)).await.unwrap();
    mute.write_all(&hello()).await.unwrap();
    let mut muted = links.recv().await.unwrap();
    let started = Instant::now();
    assert_eq!(muted.recv::<u8>().await, Err(LinkError::Closed(CloseReason::Silent)));
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(150) && waited < SOON, "{waited:?}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(gateway.host.links().iter().any(|l| l.peer == peer.id()));
    drop(alive);
    until(|| gateway.host.links().is_empty()).await;
}

#[tokio::test]
async fn a_flood_of_pings_without_reading_is_harmless() {
    let gateway = Node::new().await;
    let mut links = gateway.host.control_links();
    let key = identity("pinger");
    let mut tls = raw(gateway.hub.local_addr(), &sni_name(gateway.id()), b"tacit-ctl/1", Some(&key)).await.unwrap();
    tls.write_all(&hello()).await.unwrap();
    let _link = links.recv().await.unwrap();
    let pings = frame(5, b"").repeat(10_000);
    for _ in 0..100 {
        if tokio::time::timeout(Duration::from_millis(200), tls.write_all(&pings)).await.is_err() {
            break;
        }
    }
    assert!(gateway.host.links()[0].queued_bytes < 2 << 20);
}

/// An address that takes connections and never speaks, and one that does not even answer: the gateway behind the third
/// is reached all the same, and before long.
#[tokio::test]
async fn f11_an_address_that_is_silent_does_not_hide_the_others() {
    let (gateway, peer) = (Node::new().await, Node::new().await);
    let mut links = gateway.host.control_links();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    // Its queue has no place left, so that it drops what comes.
    let mut waiting = Vec::new();
    while let Ok(Ok(tcp)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(full.local_addr().unwrap()))
            .await
    {
        waiting.push(tcp);
        assert!(waiting.len() < 100, "the queue has no end");
    }
    let addresses = [silent.local_addr().unwrap().to_string(), full.local_addr().unwrap().to_string(), gateway.addr()];
    let mut at_peer = peer.host.dial_control(gateway.id(), &addresses, Duration::from_secs(4)).await.unwrap();
    let at_gateway = links.recv().await.unwrap();
    at_gateway.send(&7).unwrap();
    assert_eq!(at_peer.recv::<u8>().await, Ok(7));

    let nowhere = [full.local_addr().unwrap().to_string()];
    let error = peer.host.dial_control(gateway.id(), &nowhere, Duration::from_millis(300)).await.err();
    assert_eq!(error, Some(LinkError::HandshakeTimeout));
}

/// A peer has two control links with a gateway at most, while the newer one takes over: whoever opens more and more of
/// them fills nothing.
#[tokio::test]
async fn f11_a_newer_control_link_ends_the_older_ones() {
    let (gateway, peer, other) = (Node::new().await, Node::new().await, Node::new().await);
    let mut links = gateway.host.control_links();
    let _other = other.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap();
    let of_other = links.recv().await.unwrap();
    let (mut dialled, mut taken) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        dialled.push(peer.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap());
        taken.push(links.recv().await.unwrap());
    }
    assert_eq!(taken[0].recv::<u8>().await, Err(LinkError::Closed(CloseReason::Replaced)));
    assert!(matches!(dialled[0].recv::<u8>().await, Err(LinkError::Closed(_))));
    for link in taken[1..].iter().chain([&of_other]) {
        assert_eq!(link.sender().send(&1), Ok(()));
    }
    assert_eq!(gateway.host.links().len(), 3);
    taken[1].sender().replace();
    assert_eq!(taken[1].recv::<u8>().await, Err(LinkError::Closed(CloseReason::Replaced)));
}

/// More waits than is taken, and nothing is read meanwhile: that is this side's doing, and not the peer's silence.
#[tokio::test]
async fn f11_who_waits_for_a_slow_reader_is_not_taken_for_silent() {
    let mut config = local();
    config.keep_alive = Duration::from_millis(200);
    let (gateway, peer) = (Node::with(config.clone()).await, Node::with(config).await);
    let mut links = gateway.host.control_links();
    let at_peer = peer.host.dial_control(gateway.id(), &[gateway.addr()], SOON).await.unwrap();
    let mut at_gateway = links.recv().await.unwrap();
    for number in 0..200_u32 {
        at_peer.send(&number).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for number in 0..200_u32 {
        assert_eq!(at_gateway.recv::<u32>().await, Ok(number));
    }
}

/// A replica keeps a few links; one that opens more and more of them fills nothing, and its newest ones stay.
#[tokio::test]
async fn f11_links_of_one_replica_are_bounded() {
    let (gateway, replica) = (Node::new().await, Node::new().await);
    let mut links = gateway.host.replica_links();
    let (mut dialled, mut taken) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        dialled.push(replica.host.dial_replica(gateway.id(), &[gateway.addr()], SOON).await.unwrap());
        taken.push(links.recv().await.unwrap());
    }
    assert_eq!(taken[0].recv::<u8>().await, Err(LinkError::Closed(CloseReason::Replaced)));
    for link in &taken[1..] {
        assert_eq!(link.sender().send(&1), Ok(()));
    }
    assert_eq!(gateway.host.links().len(), 8);
}
