//! How links come, stay one per pair, and go.

use std::time::Duration;

use tacit_link::{CloseReason, How, LinkConfig, LinkError, PortEvent, SessionPort};
use tacit_pki::sni_name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::nodes::{
    Node, SOON, event, frame, hello, identity, join, linked, local, message, nobody, pair, raw, session, until,
};

#[tokio::test]
async fn concurrent_callers_share_one_link_also_when_both_sides_dial() {
    for _ in 0..20 {
        let (a, b) = (Node::new().await, Node::new().await);
        let (w, x, y, z) = tokio::join!(a.link_to(&b), a.link_to(&b), b.link_to(&a), b.link_to(&a));
        assert_eq!((w, x, y, z), (Ok(()), Ok(()), Ok(()), Ok(())));
        let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
        let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
        at_a.send(0, vec![1]).unwrap();
        at_b.send(0, vec![2]).unwrap();
        assert_eq!(message(&mut at_b).await.1, [1]);
        assert_eq!(message(&mut at_a).await.1, [2]);
        assert_eq!((a.host.links().len(), b.host.links().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_warm_link_is_used_again_and_an_idle_one_closes() {
    let mut config = local();
    config.idle_link = Duration::from_millis(200);
    let (a, b) = linked(config.clone(), config).await;
    let port_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let port_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(a.host.is_linked(&b.id()), "a session keeps it");
    port_a.finish();
    port_b.finish();
    a.host.link(b.id(), How::Await, Duration::ZERO).await.unwrap();
    until(|| a.host.links().is_empty() && b.host.links().is_empty()).await;
    join(&a, &b).await;
}

/// One link may be long there before another is: whoever waits for both keeps the first.
#[tokio::test]
async fn a_link_that_is_kept_does_not_close_before_its_session() {
    let mut config = local();
    config.idle_link = Duration::from_millis(100);
    let (a, b) = linked(config.clone(), config).await;
    let kept = [(&a, &b), (&b, &a)].map(|(own, other)| own.host.keep_links(vec![other.id()]));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(a.host.is_linked(&b.id()) && b.host.is_linked(&a.id()), "nobody dials again here");
    drop(kept);
    until(|| a.host.links().is_empty() && b.host.links().is_empty()).await;
}

#[tokio::test]
async fn a_restarted_peer_replaces_its_dead_link() {
    let node = Node::new().await;
    let key = identity("restarts");
    let gate = node.gate.clone();
    let mut last = None;
    for _ in 0..3 {
        let hub = tacit_link::LinkHub::bind(local()).await.unwrap();
        let host = hub.host(key.clone(), gate.clone()).unwrap();
        host.link(node.id(), node.dial(), SOON).await.unwrap();
        // The old hub is not closed: its connection stays open, as after a cut cable.
        if let Some((old, old_host)) = last.replace((hub, host)) {
            until(|| node.host.links().len() == 1).await;
            std::mem::forget((old, old_host));
        }
    }
    assert_eq!(node.host.links().len(), 1);
    let (_hub, host) = last.unwrap();
    let mut at_node = node.host.open_session(session(1), vec![key.fingerprint()]).unwrap();
    let mut at_host = host.open_session(session(1), vec![node.id()]).unwrap();
    at_host.send(0, vec![5]).unwrap();
    assert_eq!(message(&mut at_node).await.1, [5]);
}

#[tokio::test]
async fn deadlines_hold_and_say_why() {
    let node = Node::new().await;
    let unknown = identity("nobody").fingerprint();
    let short = Duration::from_millis(200);
    assert_eq!(node.host.link(unknown, How::Await, short).await, Err(LinkError::Deadline(unknown)));
    let none = How::Dial { addrs: vec![] };
    assert_eq!(node.host.link(unknown, none, SOON).await, Err(LinkError::NoAddress(unknown)));
    let closed = nobody().to_string();
    let dial = How::Dial { addrs: vec![closed.clone()] };
    let refused = Err(LinkError::Network(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(node.host.link(unknown, dial, short).await, refused);
    assert_eq!(node.host.link(node.id(), How::Await, SOON).await, Err(LinkError::BadPeers));
    // The second address is right.
    let other = Node::new().await;
    let dial = How::Dial { addrs: vec![closed, other.addr()] };
    node.host.link(other.id(), dial, SOON).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_starts_late_is_found() {
    let node = Node::new().await;
    let addr = nobody();
    let key = identity("late");
    let fingerprint = key.fingerprint();
    let start = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut config = local();
        config.listen = addr;
        let hub = tacit_link::LinkHub::bind(config).await.unwrap();
        let host = hub.host(key, node.gate.clone()).unwrap();
        (hub, host)
    };
    let dial = How::Dial { addrs: vec![addr.to_string()] };
    let (linked, _late) = tokio::join!(node.host.link(fingerprint, dial, SOON), start);
    linked.unwrap();
}

#[tokio::test]
async fn parties_of_one_node_are_told_apart_by_name() {
    let node = Node::new().await;
    let second = node.hub.host(identity("second"), node.gate.clone()).unwrap();
    let other = Node::new().await;
    join(&other, &node).await;
    other.host.link(second.fingerprint(), node.dial(), SOON).await.unwrap();
    second.link(node.id(), node.dial(), SOON).await.unwrap();
    assert_eq!((node.host.links().len(), second.links().len(), other.host.links().len()), (2, 2, 2));
    node.hub.unhost(&second.fingerprint());
    until(|| node.host.links().len() == 1 && other.host.links().len() == 1).await;
    assert!(other.host.link(second.fingerprint(), node.dial(), Duration::from_millis(200)).await.is_err());
}

#[tokio::test]
async fn sessions_hear_of_a_peer_that_goes_down_after_its_last_message() {
    let (a, b) = pair().await;
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    at_b.send(0, vec![0; 3 << 20]).unwrap();
    b.hub.shutdown().await;
    assert_eq!(message(&mut at_a).await.1.len(), 3 << 20);
    assert_eq!(event(&mut at_a).await, PortEvent::Lost { from: 0, reason: CloseReason::Disconnected });
    assert_eq!(event(&mut at_b).await, PortEvent::Lost { from: 0, reason: CloseReason::Shutdown });
    assert_eq!(b.host.link(a.id(), How::Await, SOON).await, Err(LinkError::ShuttingDown));
    assert!(b.host.open_session(session(2), vec![a.id()]).is_err());
}

/// It says that it is there, and what waits for it would hold up one session after the other.
#[tokio::test]
async fn f13_a_link_whose_peer_reads_nothing_closes() {
    let mut config = local();
    config.unread = Duration::from_millis(300);
    closes_on_who_does_not_read(config).await;
}

/// Who reads a little now and then moves the queue, which must not grow all the same.
#[tokio::test]
async fn f13_a_link_on_which_too_much_waits_closes() {
    let mut config = local();
    config.max_queued = 32 << 20;
    closes_on_who_does_not_read(config).await;
}

async fn closes_on_who_does_not_read(config: LinkConfig) {
    let (node, mut port, mut tls) = beside_a_raw_peer(config).await;
    // More than the system takes off.
    for _ in 0..8 {
        port.send(0, vec![1; 8 << 20]).unwrap();
    }
    tls.write_all(&frame(5, b"")).await.unwrap();
    assert_eq!(event(&mut port).await, PortEvent::Lost { from: 0, reason: CloseReason::Unread });
    assert!(!node.host.is_linked(&port.peers()[0]));
}

/// What takes longer than silence may last is no silence.
#[tokio::test]
async fn f13_a_long_frame_on_a_slow_line_is_heard_while_it_comes() {
    let mut config = local();
    config.keep_alive_mpc = Duration::from_millis(400);
    let (_node, mut port, mut tls) = beside_a_raw_peer(config).await;
    let mut body = vec![0; 17 + (2 << 20)];
    body[..16].copy_from_slice(&session(1).0);
    let long = frame(3, &body);
    for part in long.chunks(128 << 10) {
        tls.write_all(part).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(message(&mut port).await.1.len(), 2 << 20);
}

/// Else it would keep the link, and what came of the frame, as long as it likes.
#[tokio::test]
async fn f13_a_frame_that_comes_by_single_bytes_is_silence() {
    let mut config = local();
    config.keep_alive_mpc = Duration::from_millis(400);
    let (_node, mut port, mut tls) = beside_a_raw_peer(config).await;
    tokio::spawn(async move {
        tls.write_all(&frame(3, &vec![0; 1 << 20])[..100]).await.unwrap();
        while tls.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(event(&mut port).await, PortEvent::Lost { from: 0, reason: CloseReason::Silent });
}

/// It hears something all the time; whoever sends that hears nothing else, and its own question waits behind it.
#[tokio::test]
async fn f13_who_only_listens_says_that_it_is_there() {
    let mut config = local();
    config.keep_alive_mpc = Duration::from_millis(400);
    let (_node, _port, tls) = beside_a_raw_peer(config).await;
    let (mut heard, mut said) = tokio::io::split(tls);
    let talking = tokio::spawn(async move {
        while said.write_all(&frame(6, b"")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let ping = async {
        let mut head = [0; 5];
        while head[4] != 5 {
            heard.read_exact(&mut head).await.unwrap();
            let [a, b, c, d, _] = head;
            let mut body = vec![0; usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap() - 1];
            heard.read_exact(&mut body).await.unwrap();
        }
    };
    tokio::time::timeout(SOON, ping).await.expect("a ping");
    talking.abort();
}

/// A node with a session with a peer that need not keep to anything.
async fn beside_a_raw_peer(config: LinkConfig) -> (Node, SessionPort, TlsStream<TcpStream>) {
    let node = Node::with(config).await;
    let key = identity("raw");
    let mut tls = raw(node.hub.local_addr(), &sni_name(node.id()), b"tacit-mpc/1", Some(&key)).await.unwrap();
    tls.write_all(&hello()).await.unwrap();
    node.host.link(key.fingerprint(), How::Await, SOON).await.unwrap();
    let port = node.host.open_session(session(1), vec![key.fingerprint()]).unwrap();
    (node, port, tls)
}
