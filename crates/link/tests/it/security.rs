//! Who gets in, and what a listener on the wire sees.

use std::sync::{Arc, Mutex};

use tacit_link::{CloseReason, How, LinkError, PortEvent, Refusal, VersionRange};
use tacit_pki::sni_name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::nodes::{
    Node, SOON, event, hello, identity, is_closed, join, linked, local, message, pair, raw, session, until,
};

const MPC: &[u8] = b"tacit-mpc/1";

/// Whether a raw client gets as far as a hello.
async fn gets_in(node: &Node, name: &str, alpn: &[u8], key: Option<&tacit_pki::Identity>) -> bool {
    let Ok(mut tls) = raw(node.hub.local_addr(), name, alpn, key).await else { return false };
    let _ = tls.write_all(&hello()).await;
    let mut kind = [0; 5];
    tls.read_exact(&mut kind).await.is_ok() && kind[4] == 1
}

#[tokio::test]
async fn only_a_proved_key_dialling_a_known_party_gets_in() {
    let node = Node::new().await;
    let name = sni_name(node.id());
    let key = identity("client");
    assert!(gets_in(&node, &name, MPC, Some(&key)).await);
    assert!(!gets_in(&node, &name, MPC, None).await, "no certificate");
    assert!(!gets_in(&node, &sni_name(key.fingerprint()), MPC, Some(&key)).await, "a party that is not here");
    assert!(!gets_in(&node, "localhost", MPC, Some(&key)).await, "no party's name");
    assert!(!gets_in(&node, &name, b"h2", Some(&key)).await, "another protocol");
    node.host.close(&key.fingerprint());
    until(|| node.host.links().is_empty()).await;
}

#[tokio::test]
async fn a_server_with_another_key_is_refused() {
    // A man in the middle who answers for every name with a key of his own.
    let impostor = identity("impostor");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![impostor.certificate_der().clone()], impostor.tls_key())
        .map(|mut c| {
            c.alpn_protocols = vec![MPC.to_vec()];
            c
        })
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        while let Ok((tcp, _)) = listener.accept().await {
            let _ = acceptor.accept(tcp).await;
        }
    });
    let node = Node::new().await;
    let wanted = identity("wanted").fingerprint();
    let error = node.host.link(wanted, How::Dial { addrs: vec![addr] }, SOON).await;
    assert_eq!(error, Err(LinkError::WrongPeer(wanted)));
}

#[tokio::test]
async fn both_gates_are_asked() {
    let (a, b) = (Node::new().await, Node::new().await);
    b.gate.ban(a.id());
    assert_eq!(a.link_to(&b).await, Err(LinkError::PeerRefused(Refusal::NotAdmitted)));
    let control = a.host.dial_control(b.id(), &[b.addr()], SOON).await;
    assert_eq!(control.err(), Some(LinkError::PeerRefused(Refusal::NotAdmitted)));
    assert_eq!(b.link_to(&a).await, Err(LinkError::NotAdmitted(a.id())));
    assert!(a.host.links().is_empty() && b.host.links().is_empty());
}

#[tokio::test]
async fn revocation_ends_live_links_at_once() {
    let (a, b) = pair().await;
    let mut taken = b.host.control_links();
    let mut at_a = a.host.dial_control(b.id(), &[b.addr()], SOON).await.unwrap();
    let mut at_b = taken.recv().await.unwrap();
    at_a.send(&"late").unwrap();
    let mut port_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut port_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    b.gate.ban(a.id());
    b.host.recheck(&a.id());
    // Without any turn of the network.
    assert_eq!(port_b.try_recv(), Some(PortEvent::Lost { from: 0, reason: CloseReason::Revoked }));
    assert!(!b.host.is_linked(&a.id()));
    assert_eq!(at_b.recv::<String>().await, Err(LinkError::Closed(CloseReason::Revoked)));
    assert!(matches!(event(&mut port_a).await, PortEvent::Lost { from: 0, .. }));
    assert!(matches!(at_a.recv::<String>().await, Err(LinkError::Closed(_))));
    assert_eq!(a.link_to(&b).await, Err(LinkError::PeerRefused(Refusal::NotAdmitted)));
}

#[tokio::test]
async fn a_session_cannot_be_hijacked_by_a_third_peer() {
    let (a, b, thief) = (Node::new().await, Node::new().await, Node::new().await);
    join(&a, &b).await;
    join(&thief, &a).await;
    let mut at_a = a.host.open_session(session(7), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(7), vec![a.id()]).unwrap();
    // The same id, opened towards a who has it open with b.
    let mut forged = thief.host.open_session(session(7), vec![a.id()]).unwrap();
    forged.send(0, b"forged".to_vec()).unwrap();
    until(|| at_a.stats().strangers == 1).await;
    drop(forged);
    until(|| at_a.stats().strangers == 2).await;
    at_b.send(0, b"true".to_vec()).unwrap();
    assert_eq!(message(&mut at_a).await, (0, b"true".to_vec()));
    assert_eq!(at_a.try_recv(), None);
    let dropped: usize = a.host.links().iter().map(|l| l.dropped_frames).sum();
    assert_eq!(dropped, 2);
}

#[tokio::test]
async fn parked_frames_of_a_stranger_never_reach_the_session() {
    let (a, b, thief) = (Node::new().await, Node::new().await, Node::new().await);
    join(&a, &b).await;
    join(&thief, &a).await;
    let mut forged = thief.host.open_session(session(7), vec![a.id()]).unwrap();
    forged.send(0, b"forged".to_vec()).unwrap();
    let mut marker = thief.host.open_session(session(8), vec![a.id()]).unwrap();
    let mut at_a8 = a.host.open_session(session(8), vec![thief.id()]).unwrap();
    marker.send(0, b"behind it".to_vec()).unwrap();
    assert_eq!(message(&mut at_a8).await.1, b"behind it");
    let mut at_a = a.host.open_session(session(7), vec![b.id()]).unwrap();
    assert_eq!(at_a.try_recv(), None);
}

#[tokio::test]
async fn versions_without_overlap_are_told_on_both_sides() {
    let old = VersionRange::CURRENT;
    let new = VersionRange { min: old.max + 1, max: old.max + 2 };
    let mut config = local();
    config.versions = new;
    let (a, b) = (Node::new().await, Node::with(config).await);
    let (dialler, acceptor) = tokio::join!(a.link_to(&b), b.host.link(a.id(), How::Await, SOON));
    assert_eq!(dialler, Err(LinkError::Version { ours: old, theirs: new }));
    assert_eq!(acceptor, Err(LinkError::Version { ours: new, theirs: old }));
}

#[tokio::test]
async fn secrets_are_the_same_at_both_ends_and_new_in_every_session_and_link() {
    let (a, b) = pair().await;
    let both = |n| {
        let at_a = a.host.open_session(session(n), vec![b.id()]).unwrap();
        let at_b = b.host.open_session(session(n), vec![a.id()]).unwrap();
        let (x, y) = (at_a.pair_secret(0).unwrap(), at_b.pair_secret(0).unwrap());
        assert_eq!(*x, *y);
        assert!(at_a.pair_secret(1).is_err());
        x
    };
    let (first, second) = (both(1), both(2));
    assert_ne!(*first, *second);
    assert_ne!(*first, [0; 32]);
    // Another connection, other parties, the same session id.
    let (c, d) = linked(local(), local()).await;
    let at_c = c.host.open_session(session(1), vec![d.id()]).unwrap();
    assert_ne!(*at_c.pair_secret(0).unwrap(), *first);
}

/// Copies one direction and keeps what it saw.
async fn tap(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, seen: Seen) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        seen.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

type Seen = Arc<Mutex<Vec<u8>>>;

/// What somebody on the wire does with the next bytes, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    /// One bit of them is turned.
    Flip,
    /// They are passed on, and then what came before them once more.
    Replay,
    /// They are passed on twice.
    Repeat,
    /// They are left out.
    Swallow,
}

/// Copies one direction until a trick is ordered.
async fn meddle(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    order: Arc<Mutex<Option<Trick>>>,
) {
    let mut buffer = [0; 4096];
    let mut before = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut bytes = buffer[..count].to_vec();
        let order = order.lock().unwrap().take();
        match order {
            None => {}
            Some(Trick::Flip) => bytes[count / 2] ^= 1,
            Some(Trick::Replay) => bytes.extend_from_slice(&before),
            Some(Trick::Repeat) => bytes.extend_from_within(..),
            Some(Trick::Swallow) => bytes.clear(),
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
        before = buffer[..count].to_vec();
    }
}

#[tokio::test]
async fn p21_flipped_and_replayed_messages_deliver_nothing() {
    for trick in [Trick::Flip, Trick::Replay, Trick::Repeat, Trick::Swallow] {
        let (a, b) = (Node::new().await, Node::new().await);
        let order = Arc::new(Mutex::new(None));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addrs = vec![listener.local_addr().unwrap().to_string()];
        let (target, to_do) = (b.addr(), order.clone());
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let (cr, cw) = client.into_split();
            let (sr, sw) = TcpStream::connect(&target).await.unwrap().into_split();
            tokio::spawn(meddle(cr, sw, to_do));
            tokio::spawn(meddle(sr, cw, Arc::default()));
        });
        let (x, y) =
            tokio::join!(a.host.link(b.id(), How::Dial { addrs }, SOON), b.host.link(a.id(), How::Await, SOON));
        x.unwrap();
        y.unwrap();
        let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
        let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
        at_a.send(0, b"one".to_vec()).unwrap();
        assert_eq!(message(&mut at_b).await.1, b"one");
        *order.lock().unwrap() = Some(trick);
        at_a.send(0, b"two".to_vec()).unwrap();
        // A hole in the stream shows at the next message.
        if trick == Trick::Swallow {
            until(|| order.lock().unwrap().is_none()).await;
            at_a.send(0, b"three".to_vec()).unwrap();
        }
        let mut next = event(&mut at_b).await;
        // What came whole before the forgery may still arrive, once.
        if let (PortEvent::Message { body, .. }, Trick::Replay | Trick::Repeat) = (&next, trick) {
            assert_eq!(&body[..], b"two");
            next = event(&mut at_b).await;
        }
        assert!(matches!(next, PortEvent::Lost { from: 0, .. }), "{trick:?}: {next:?}");
    }
}

#[tokio::test]
async fn a_listener_on_the_wire_never_sees_what_is_sent() {
    const MARKER: &[u8] = b"the-number-of-attacks-was-4711";
    let (a, b) = (Node::new().await, Node::new().await);
    let seen = Seen::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let (target, log) = (b.addr(), seen.clone());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (cr, cw) = client.into_split();
            let (sr, sw) = TcpStream::connect(&target).await.unwrap().into_split();
            tokio::spawn(tap(cr, sw, log.clone()));
            tokio::spawn(tap(sr, cw, log.clone()));
        }
    });
    let through = How::Dial { addrs: vec![addr.clone()] };
    let (x, y) = tokio::join!(a.host.link(b.id(), through, SOON), b.host.link(a.id(), How::Await, SOON));
    x.unwrap();
    y.unwrap();
    let mut at_a = a.host.open_session(session(1), vec![b.id()]).unwrap();
    let mut at_b = b.host.open_session(session(1), vec![a.id()]).unwrap();
    at_a.send(0, MARKER.to_vec()).unwrap();
    at_b.send(0, MARKER.to_vec()).unwrap();
    assert_eq!(message(&mut at_a).await.1, MARKER);
    assert_eq!(message(&mut at_b).await.1, MARKER);
    let mut taken = b.host.control_links();
    let control = a.host.dial_control(b.id(), &[addr], SOON).await.unwrap();
    control.send(&std::str::from_utf8(MARKER).unwrap()).unwrap();
    assert_eq!(taken.recv().await.unwrap().recv::<String>().await.unwrap().as_bytes(), MARKER);
    let seen = seen.lock().unwrap();
    let session_id = session(1).0;
    assert!(seen.len() > 1000);
    assert!(!seen.windows(MARKER.len()).any(|w| w == MARKER));
    assert!(!seen.windows(16).any(|w| w == session_id));
}

#[tokio::test]
async fn slow_and_silent_clients_block_nobody_and_are_thrown_out() {
    let mut config = local();
    config.handshake_timeout = std::time::Duration::from_secs(2);
    let node = Node::with(config).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(node.hub.local_addr()).await.unwrap());
    }
    let key = identity("half-way");
    let mut half = raw(node.hub.local_addr(), &sni_name(node.id()), MPC, Some(&key)).await.unwrap();
    let other = Node::new().await;
    join(&other, &node).await;
    assert!(is_closed(&mut half).await, "no hello");
    let mut byte = [0];
    assert!(matches!(silent[0].read(&mut byte).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn one_source_cannot_take_all_places() {
    let mut config = local();
    config.max_pending_per_source = 4;
    config.handshake_timeout = std::time::Duration::from_secs(3);
    let node = Node::with(config).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(TcpStream::connect(node.hub.local_addr()).await.unwrap());
    }
    let mut extra = TcpStream::connect(node.hub.local_addr()).await.unwrap();
    let mut byte = [0];
    let started = std::time::Instant::now();
    assert!(matches!(extra.read(&mut byte).await, Ok(0) | Err(_)));
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "thrown out at once");
    // Others come through as soon as places are free again.
    join(&Node::new().await, &node).await;
}
