use tacit_engine::Lost;
use tacit_link::memory;

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
