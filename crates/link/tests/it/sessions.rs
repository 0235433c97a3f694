//! Messages of sessions.

use std::time::{Duration, Instant};

use tacit_link::{CloseReason, DATA_OVERHEAD, How, LinkError, PortEvent};
use tacit_pki::sni_name;
use tokio::io::AsyncWriteExt;

use crate::nodes::{Node, SOON, event, hello, identity, join, linked, local, message, pair, raw, session, until};

#[tokio::test]
async fn round_trips_are_not_held_up_by_delayed_acknowledgements() {
    let (a, b) = pair().await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    tokio::spawn(async move {
        while let PortEvent::Message { body, .. } = at_b.recv().await {
            // Two messages: together they are what Nagle's algorithm would hold back.
            at_b.send(0, body[..1].to_vec()).unwrap();
            tokio::task::yield_now().await;
            at_b.send(0, body.to_vec()).unwrap();
        }
    });
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        at_a.send(0, vec![1; 100]).unwrap();
        message(&mut at_a).await;
        message(&mut at_a).await;
        best = best.min(started.elapsed());
    }
    assert!(best < Duration::from_millis(10), "{best:?}");
}

#[tokio::test]
async fn large_messages_travel_in_fragments_in_order() {
    let mut small = local();
    small.max_frame = 1 << 20;
    let (a, b) = linked(local(), small).await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    let big: Vec<u8> = (0..40_u32 << 20).map(|i| u8::try_from((i ^ (i >> 11)) & 0xff).unwrap()).collect();
    at_a.send(0, big.clone()).unwrap();
    at_a.send(0, vec![]).unwrap();
    at_a.send(0, vec![7]).unwrap();
    at_b.send(0, big.clone()).unwrap();
    let mut got = vec![];
    for _ in 0..3 {
        got.push(message(&mut at_b).await.1);
    }
    assert!(got[0] == big && got[1].is_empty() && got[2] == [7]);
    assert!(message(&mut at_a).await.1 == big);
    let (sent, heard) = (at_a.stats(), at_b.stats());
    assert_eq!((sent.frames_sent, sent.bytes_sent), (heard.frames_received, heard.bytes_received));
    assert_eq!(sent.frames_sent, 41 + 2);
    assert_eq!(sent.bytes_sent, u64::try_from(big.len() + 1 + 43 * DATA_OVERHEAD).unwrap());
    at_a.drained(0).await;
    assert_eq!(at_a.queued_bytes(), 0);
}

/// Whoever sends no more before it has less to send would otherwise ask again and again, without a pause.
#[tokio::test]
async fn f13_what_waits_for_a_link_that_is_gone_holds_nobody_up() {
    let (a, b) = pair().await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let _at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    at_a.send(0, vec![1; 8 << 20]).unwrap();
    assert!(at_a.queued_bytes() > 1 << 20);
    a.host.close(&b.id());
    assert_eq!(at_a.queued_bytes(), 0);
    at_a.drained(0).await;
    assert_eq!(event(&mut at_a).await, PortEvent::Lost { from: 0, reason: CloseReason::Revoked });
}

/// One that reads nothing costs a session this peer, and not the others. Its link stays: other sessions may move on it.
#[tokio::test]
async fn f13_who_reads_nothing_can_be_spared_or_given_up() {
    let (a, b) = pair().await;
    let key = identity("reads nothing");
    let mut tls = raw(a.hub.local_addr(), &sni_name(a.id()), b"tacit-mpc/1", Some(&key)).await.unwrap();
    tls.write_all(&hello()).await.unwrap();
    a.host.link(key.fingerprint(), How::Await, SOON).await.unwrap();
    let mut at_a = a.host.open_session(session(1), vec![b.id(), key.fingerprint()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    assert_eq!(at_a.longest_queue(), None);
    // More than the system takes off.
    for _ in 0..8 {
        at_a.send(1, vec![1; 8 << 20]).unwrap();
    }
    assert_eq!(at_a.longest_queue(), Some(1));
    assert!(at_a.queued_bytes() > 1 << 20);
    assert_eq!((at_a.queued_beyond(1), at_a.queued_beyond(2)), (0, 0));
    std::future::poll_fn(|cx| at_a.poll_drained(cx, 0, 1)).await;
    at_a.give_up(1, CloseReason::Unread);
    assert_eq!((at_a.queued_bytes(), at_a.longest_queue()), (0, None));
    at_a.drained(0).await;
    assert_eq!(event(&mut at_a).await, PortEvent::Lost { from: 1, reason: CloseReason::Unread });
    at_a.send(1, vec![2]).unwrap();
    at_a.send(0, vec![3]).unwrap();
    assert_eq!(message(&mut at_b).await.1, [3]);
    assert!(a.host.is_linked(&key.fingerprint()));
}

#[tokio::test]
async fn the_total_limit_of_a_message_holds_on_both_sides() {
    let mut small = local();
    small.max_frame = 1024;
    small.max_message = 4000;
    let (a, b) = linked(local(), small).await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    assert_eq!(at_b.send(0, vec![0; 4001]), Err(LinkError::TooLarge { length: 4001, limit: 4000 }));
    at_a.send(0, vec![0; 4000]).unwrap();
    assert_eq!(message(&mut at_b).await.1.len(), 4000);
    at_a.send(0, vec![0; 4001]).unwrap();
    assert_eq!(event(&mut at_b).await, PortEvent::Lost { from: 0, reason: CloseReason::Overflow });
    assert_eq!(event(&mut at_a).await, PortEvent::Lost { from: 0, reason: CloseReason::PeerLeft });
}

#[tokio::test]
async fn who_sends_more_than_is_taken_is_lost() {
    let mut small = local();
    small.max_waiting = 10_000;
    let (a, b) = linked(local(), small).await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    for _ in 0..11 {
        at_a.send(0, vec![0; 1000]).unwrap();
    }
    until(|| at_b.stats().frames_received == 11).await;
    for _ in 0..10 {
        message(&mut at_b).await;
    }
    assert_eq!(event(&mut at_b).await, PortEvent::Lost { from: 0, reason: CloseReason::Overflow });
}

#[tokio::test]
async fn a_session_that_has_more_to_come_lets_more_wait() {
    let mut small = local();
    small.max_waiting = 10_000;
    let (a, b) = linked(local(), small).await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    at_b.let_wait(0, 11_000);
    for _ in 0..12 {
        at_a.send(0, vec![0; 1000]).unwrap();
    }
    until(|| at_b.stats().frames_received == 12).await;
    for _ in 0..11 {
        message(&mut at_b).await;
    }
    assert_eq!(event(&mut at_b).await, PortEvent::Lost { from: 0, reason: CloseReason::Overflow });
}

/// However many sessions a peer is in, and whether they end or not: what it makes a node keep has one limit.
#[tokio::test]
async fn what_waits_of_one_peer_in_all_sessions_has_a_limit() {
    let mut small = local();
    (small.max_waiting, small.max_waiting_in_all) = (6_000, 10_000);
    let (a, b) = linked(local(), small).await;
    let open = |n| {
        let at_a = a.host.open_session(session(n), vec![b.id()]).unwrap();
        (at_a, b.host.open_session(session(n), vec![a.id()]).unwrap())
    };
    let ((mut a1, mut b1), (mut a2, mut b2)) = (open(1), open(2));
    a1.send(0, vec![0; 5_000]).unwrap();
    a2.send(0, vec![0; 5_000]).unwrap();
    assert_eq!(event(&mut b2).await, PortEvent::Lost { from: 0, reason: CloseReason::Overflow });
    assert_eq!(event(&mut a2).await, PortEvent::Lost { from: 0, reason: CloseReason::PeerLeft });
    // What was taken makes room, and so does what nobody will take any more.
    assert_eq!(message(&mut b1).await.1.len(), 5_000);
    a1.send(0, vec![0; 6_000]).unwrap();
    until(|| b1.stats().frames_received == 2).await;
    drop(b1);
    let (mut a3, mut b3) = open(3);
    a3.send(0, vec![0; 6_000]).unwrap();
    assert_eq!(message(&mut b3).await.1.len(), 6_000);
    // Not what waits on a link that is gone.
    let (mut a4, b4) = open(4);
    a4.send(0, vec![0; 6_000]).unwrap();
    until(|| b4.stats().frames_received == 1).await;
    a.host.close(&b.id());
    until(|| !a.host.is_linked(&b.id()) && !b.host.is_linked(&a.id())).await;
    join(&a, &b).await;
    let (mut a5, mut b5) = open(5);
    a5.send(0, vec![0; 6_000]).unwrap();
    assert_eq!(event(&mut b5).await, PortEvent::Lost { from: 0, reason: CloseReason::Overflow });
}

#[tokio::test]
async fn messages_that_come_before_the_session_is_open_wait_for_it() {
    let (a, b) = pair().await;
    let mut early = a.host.open_session(session(1), vec![b.id()]).unwrap();
    for i in 0..100 {
        early.send(0, vec![i; 10]).unwrap();
    }
    let mut marker = a.host.open_session(session(2), vec![b.id()]).unwrap();
    let mut at_b2 = b.host.open_session(session(2), vec![a.id()]).unwrap();
    marker.send(0, vec![]).unwrap();
    message(&mut at_b2).await;
    drop(early);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut late = b.host.open_session(session(1), vec![a.id()]).unwrap();
    for i in 0..100 {
        assert_eq!(message(&mut late).await, (0, vec![i; 10]));
    }
    assert_eq!(event(&mut late).await, PortEvent::Lost { from: 0, reason: CloseReason::PeerLeft });
    assert_eq!(late.try_recv(), None, "lost once");
}

#[tokio::test]
async fn what_waits_too_long_or_too_much_is_refused_and_both_sides_hear_it() {
    let mut config = local();
    config.parked_time = Duration::from_millis(40);
    config.parked_bytes = 5000;
    let (a, b) = linked(local(), config).await;
    for (id, length) in [(1, 10), (2, 6000)] {
        let mut early = a.host.open_session(session(id), vec![b.id()]).unwrap();
        early.send(0, vec![0; length]).unwrap();
        assert_eq!(event(&mut early).await, PortEvent::Lost { from: 0, reason: CloseReason::PeerLeft });
        let mut late = b.host.open_session(session(id), vec![a.id()]).unwrap();
        assert_eq!(event(&mut late).await, PortEvent::Lost { from: 0, reason: CloseReason::Overflow });
    }
}

#[tokio::test]
async fn ids_and_peers_are_checked() {
    let (a, b) = pair().await;
    let stranger = Node::new().await;
    let open = |n, peers| a.host.open_session(session(n), peers).err();
    assert_eq!(open(1, vec![stranger.id()]), Some(LinkError::NotLinked(stranger.id())));
    assert_eq!(open(1, vec![a.id()]), Some(LinkError::BadPeers));
    assert_eq!(open(1, vec![b.id(), b.id()]), Some(LinkError::BadPeers));
    let mut port = a.host.open_session(session(1), vec![b.id()]).unwrap();
    assert_eq!(open(1, vec![b.id()]), Some(LinkError::DuplicateSession(session(1))));
    assert_eq!(port.send(1, vec![]), Err(LinkError::NoSuchPeer(1)));
    drop(port);
    assert_eq!(open(1, vec![b.id()]), Some(LinkError::DuplicateSession(session(1))), "ids never repeat");
}

#[tokio::test]
async fn an_end_can_be_told_or_quiet_and_late_frames_are_dropped() {
    let (a, b) = pair().await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    at_a.send(0, b"last".to_vec()).unwrap();
    at_a.finish();
    assert_eq!(message(&mut at_b).await.1, b"last");
    at_b.send(0, b"late".to_vec()).unwrap();
    drop(at_b);
    let mut next_a = a.host.open_session(session(2), vec![b.id()]).unwrap();
    let mut next_b = b.host.open_session(session(2), vec![a.id()]).unwrap();
    next_b.send(0, b"next".to_vec()).unwrap();
    drop(next_b);
    assert_eq!(message(&mut next_a).await.1, b"next");
    assert_eq!(event(&mut next_a).await, PortEvent::Lost { from: 0, reason: CloseReason::PeerLeft });
}

#[tokio::test]
async fn many_sessions_share_a_link_and_spinning_works() {
    let (a, b, c) = (Node::new().await, Node::new().await, Node::new().await);
    join(&a, &b).await;
    join(&b, &c).await;
    join(&c, &a).await;
    let nodes = [&a, &b, &c];
    let mut tasks = vec![];
    for id in 0..8_u8 {
        for i in 0..3 {
            let peers: Vec<_> = (0..3).filter(|j| *j != i).map(|j| nodes[j].id()).collect();
            let mut port = nodes[i].host.open_session(session(id), peers).unwrap();
            port.set_spin(Duration::from_micros(if id == 0 { 200 } else { 0 }));
            tasks.push(tokio::spawn(async move {
                for round in 0..50_u8 {
                    port.send(0, vec![id, round]).unwrap();
                    port.send(1, vec![id, round]).unwrap();
                    for _ in 0..2 {
                        assert_eq!(message(&mut port).await.1[0], id);
                    }
                }
                port.finish();
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(a.host.links().len(), 2);
}
