use std::net::SocketAddr;

use tacit_engine::{Lost, PARKED_HARD_LIMIT};
use tacit_link::{Gate, How, LinkConfig, LinkHub, Protocol, memory};
use tacit_model::SessionId;
use tacit_pki::Identity;
use time::OffsetDateTime;

use super::*;

/// Three members in one process; member 0 is driven.
fn scene() -> (Vec<SessionPort>, Mailbox, Seats) {
    let ports = memory::mesh(3);
    let keys = (0..3).map(|_| OnceLock::new()).collect();
    // The others of a mesh come in their order.
    let seats =
        Seats { member_of: vec![1, 2], port_of: vec![None, Some(0), Some(1)], computes: vec![false; 3], me: 0, keys };
    (ports, Mailbox::new(3), seats)
}

#[tokio::test]
async fn messages_go_both_ways() {
    let (mut ports, mailbox, seats) = scene();
    let mut others = ports.split_off(1);
    let (inner, token) = (mailbox.clone(), CancellationToken::new());
    let engine = async move {
        inner.send(1, vec![1]);
        inner.send(2, vec![2]);
        let from = (inner.recv(2).await, inner.recv(1).await);
        inner.send(1, vec![3]);
        from
    };
    let echo = async {
        for (index, port) in others.iter_mut().enumerate() {
            let PortEvent::Message { from: 0, body } = port.recv().await else { panic!("lost") };
            assert_eq!(body[0], u8::try_from(index + 1).expect("small"));
            port.send(0, vec![body[0] * 10]).expect("open");
        }
    };
    let driven = drive(engine, &mut ports[0], &mailbox, &seats, Duration::from_secs(5), GoAhead::given(), &token);
    let (driven, ()) = tokio::join!(driven, echo);
    let (second, first) = driven.expect("not given up");
    assert_eq!((first.expect("came")[0], second.expect("came")[0]), (10, 20));
    // What was sent last is not forgotten.
    let PortEvent::Message { body, .. } = others[0].recv().await else { panic!("lost") };
    assert_eq!(&body[..], [3]);
}

#[tokio::test]
async fn who_is_too_late_is_lost_and_the_others_are_not() {
    let (mut ports, mailbox, seats) = scene();
    let mut others = ports.split_off(1);
    others[1].send(0, vec![7]).expect("open");
    let (inner, token) = (mailbox.clone(), CancellationToken::new());
    let engine = async move { (inner.recv(1).await, inner.recv(2).await) };
    let driven =
        drive(engine, &mut ports[0], &mailbox, &seats, Duration::from_millis(50), GoAhead::given(), &token).await;
    let (first, second) = driven.expect("not given up");
    assert_eq!(first, Err(Lost(1)));
    assert_eq!(&second.expect("came")[..], [7]);
}

#[tokio::test]
async fn it_can_be_given_up() {
    let (mut ports, mailbox, seats) = scene();
    let token = CancellationToken::new();
    let inner = mailbox.clone();
    let engine = async move { inner.recv(1).await };
    let driven = drive(engine, &mut ports[0], &mailbox, &seats, Duration::from_secs(60), GoAhead::given(), &token);
    let (driven, ()) = tokio::join!(driven, async { token.cancel() });
    assert_eq!(driven, Err(GivenUp::Aborted));
    // Nothing to wait for and nobody to blame.
    let (token, mailbox) = (CancellationToken::new(), Mailbox::new(3));
    let stuck = drive(
        std::future::pending::<()>(),
        &mut ports[0],
        &mailbox,
        &seats,
        Duration::from_millis(20),
        GoAhead::given(),
        &token,
    );
    assert_eq!(stuck.await, Err(GivenUp::Deadline));
}

/// Before the go-ahead nobody is too late, however long it takes; and without one the session is given up.
#[tokio::test]
async fn time_runs_from_the_go_ahead() {
    let (mut ports, mailbox, seats) = scene();
    let token = CancellationToken::new();
    let (starter, go_ahead) = GoAhead::awaited();
    let mut others = ports.split_off(1);
    let inner = mailbox.clone();
    let engine = async move { (inner.recv(1).await, inner.recv(2).await) };
    let driven = drive(engine, &mut ports[0], &mailbox, &seats, Duration::from_millis(20), go_ahead, &token);
    let later = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        others[0].send(0, vec![7]).expect("open");
        starter.start();
    };
    let (driven, ()) = tokio::join!(driven, later);
    let (first, second) = driven.expect("not given up");
    assert_eq!((&first.expect("in time")[..], second), (&[7][..], Err(Lost(2))));

    let (starter, go_ahead) = GoAhead::awaited();
    let (mailbox, engine) = (Mailbox::new(3), std::future::pending::<()>());
    let driven = drive(engine, &mut ports[0], &mailbox, &seats, Duration::from_secs(60), go_ahead, &token);
    let (driven, ()) = tokio::join!(driven, async { drop(starter) });
    assert_eq!(driven, Err(GivenUp::Aborted));
}

#[tokio::test]
async fn a_compute_peer_must_show_the_key_of_its_fingerprint() {
    let (mut ports, mailbox, mut seats) = scene();
    seats.computes = vec![false, true, false];
    let mut others = ports.split_off(1);
    others[0].send(0, vec![0; PublicKey::SPKI_LEN]).expect("open");
    let (inner, token) = (mailbox.clone(), CancellationToken::new());
    let engine = async move { inner.recv(1).await };
    let driven = drive(engine, &mut ports[0], &mailbox, &seats, Duration::from_secs(5), GoAhead::given(), &token).await;
    assert_eq!(driven.expect("not given up"), Err(Lost(1)));
}

struct Anybody;

impl Gate for Anybody {
    fn admit(&self, _: Protocol, _: &Fingerprint) -> bool {
        true
    }
}

fn local() -> LinkConfig {
    LinkConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Two members with a real link; the process of the other one stands still as soon as it is made. It lives and reads nothing.
async fn beside_a_stopped_one() -> (LinkHub, SessionPort, Mailbox, Seats) {
    let identity = |name| Arc::new(Identity::generate(name, OffsetDateTime::UNIX_EPOCH).expect("a key"));
    let hub = LinkHub::bind(local()).await.expect("a port");
    let host = hub.host(identity("a"), Arc::new(Anybody)).expect("a party");
    let other = identity("b");
    let (me, peer, soon) = (host.fingerprint(), other.fingerprint(), Duration::from_secs(5));
    let how = How::Dial { addrs: vec![hub.local_addr().to_string()] };
    let (sender, linked) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ends = runtime.block_on(async {
            let hub = LinkHub::bind(local()).await.expect("a port");
            let host = hub.host(other, Arc::new(Anybody)).expect("a party");
            host.link(me, how, soon).await.expect("a link");
            (hub, host)
        });
        let _gone = sender.send((runtime, ends));
    });
    // Nobody runs it any more, and nobody closes its end.
    std::mem::forget(linked.await.expect("a link"));
    host.link(peer, How::Await, soon).await.expect("a link");
    let port = host.open_session(SessionId([1; 16]), vec![peer]).expect("a session");
    let keys = (0..2).map(|_| OnceLock::new()).collect();
    let seats = Seats { member_of: vec![1], port_of: vec![None, Some(0)], computes: vec![false; 2], me: 0, keys };
    (hub, port, Mailbox::new(2), seats)
}

/// Sends more than the system takes off, then goes on.
async fn send_much(mailbox: &Mailbox) {
    for _ in 0..64 {
        mailbox.send(1, vec![0; 1 << 20]);
    }
    mailbox.drained().await;
}

#[tokio::test]
async fn f13_a_member_that_reads_nothing_is_lost_and_the_session_goes_on() {
    let (_hub, mut port, mailbox, seats) = beside_a_stopped_one().await;
    let (inner, token) = (mailbox.clone(), CancellationToken::new());
    let engine = async move {
        send_much(&inner).await;
        inner.recv(1).await
    };
    let deadline = Duration::from_millis(50);
    let driven = drive(engine, &mut port, &mailbox, &seats, deadline, GoAhead::given(), &token).await;
    assert_eq!(driven.expect("not given up"), Err(Lost(1)));
}

/// In `guaranteed` the others do not even wait for the deadline.
#[tokio::test]
async fn rule5_nobody_waits_for_a_spared_member_that_reads_nothing() {
    let (_hub, mut port, mailbox, seats) = beside_a_stopped_one().await;
    let (inner, token) = (mailbox.clone(), CancellationToken::new());
    let engine = async move {
        inner.spare_slowest(1);
        send_much(&inner).await;
    };
    let deadline = Duration::from_secs(5);
    let driven = drive(engine, &mut port, &mailbox, &seats, deadline, GoAhead::given(), &token).await;
    assert_eq!(driven, Ok(()));
    assert!(port.queued_bytes() >= QUEUE_LIMIT, "it is all still there");
}

/// Nothing more of it is kept, and it hears so at once; the engine may go on for long.
#[tokio::test]
async fn who_sends_more_than_may_wait_is_given_up_at_the_port() {
    let hub = LinkHub::bind(local()).await.expect("a port");
    let host = |name| {
        let identity = Identity::generate(name, OffsetDateTime::UNIX_EPOCH).expect("a key");
        hub.host(Arc::new(identity), Arc::new(Anybody)).expect("a party")
    };
    let (a, b, soon) = (host("a"), host("b"), Duration::from_secs(5));
    let how = How::Dial { addrs: vec![hub.local_addr().to_string()] };
    let (dialled, awaited) =
        tokio::join!(a.link(b.fingerprint(), how, soon), b.link(a.fingerprint(), How::Await, soon));
    dialled.and(awaited).expect("a link");
    let mut port = a.open_session(SessionId([1; 16]), vec![b.fingerprint()]).expect("a session");
    let mut other = b.open_session(SessionId([1; 16]), vec![a.fingerprint()]).expect("a session");
    let keys = (0..2).map(|_| OnceLock::new()).collect();
    let seats = Seats { member_of: vec![1], port_of: vec![None, Some(0)], computes: vec![false; 2], me: 0, keys };
    let (mailbox, token) = (Mailbox::new(2), CancellationToken::new());
    mailbox.let_wait(&[1], 10);
    other.send(0, vec![0; 11]).expect("open");
    let engine = std::future::pending::<()>();
    let told = tokio::select! {
        ended = drive(engine, &mut port, &mailbox, &seats, soon, GoAhead::given(), &token) => panic!("{ended:?}"),
        told = other.recv() => told,
    };
    assert_eq!(told, PortEvent::Lost { from: 0, reason: CloseReason::PeerLeft });
}

/// More than a session can take would only cost memory.
#[test]
fn a_link_lets_wait_what_the_engine_takes() {
    let config = local();
    assert_eq!((config.max_message, config.max_waiting), (PARKED_HARD_LIMIT, 2 * PARKED_HARD_LIMIT));
}
