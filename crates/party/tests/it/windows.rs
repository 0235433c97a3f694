//! Which windows peers that only compute let be opened, under a gateway that cuts off who gives.

use tacit_accord::MemberRole;
use tacit_job::{Ask, Decline, Fault, Job, Report, ToPeer};
use tacit_model::api::{PeerPolicy, TaskRequest};
use tacit_model::{Attempt, Clock, SystemClock, UnixMillis};
use tacit_party::{PartyLimits, Policy};

use crate::room::{
    declined, is_done, job, learned, measure, prepared, request, return_of_e, room_with, run_and_lose_e, trouble,
};
use crate::world::{Peer, World};

/// Three that only compute, and d, e and f who only give: none of those learns whose data was in at last.
async fn delegated() -> World {
    let roles = |peers: &mut Vec<Peer>| {
        peers[..3].iter_mut().for_each(|peer| peer.role = MemberRole::Privacy);
        peers[3].role = MemberRole::Input;
        peers.push(Peer::new("f", MemberRole::Input));
        peers.iter_mut().for_each(|peer| peer.policy = of_two());
    };
    room_with(PartyLimits::default().session, roles, |_| {}).await
}

/// Two who give are enough.
fn of_two() -> Policy {
    Policy::from(PeerPolicy { min_participants: 2, ..PeerPolicy::default() })
}

/// An ask for these records.
fn ask_for(world: &World, nonce: u8, preselector: &str) -> Ask {
    let request = TaskRequest { min_participants: 2, ..request(world, nonce, preselector) };
    Ask::admit(request, None, &world.gateway.identity).unwrap()
}

/// Those who compute decline it, say that nobody is missing in it but somebody new, and from when on windows are free;
/// their owners read why.
async fn none_computes(world: &mut World, attempt: &Job) {
    for peer in 0..3 {
        let Decline::Apart { missing, until } = declined(world, peer, attempt).await else { panic!("another reason") };
        assert!(missing.is_empty(), "{missing:?}");
        assert!(until.since(SystemClock.now()).abs() < 250_000, "{until}");
        let why = trouble(world, peer).await;
        assert!(why.contains("may have been opened with other members, some of whom are in this one"), "{why}");
    }
}

#[tokio::test]
async fn rule3_who_was_cut_off_before_the_freeze_is_not_the_difference_of_two_sums() {
    let mut world = delegated().await;
    let first = ask_for(&world, 1, "last_1h");
    let attempt = job(&world, &first, 1);
    let done = run_and_lose_e(&mut world, &attempt).await;
    assert!(done.values().all(is_done), "{done:?}");
    assert_eq!(learned(&world, &first).await.unwrap().1, 2);
    let edge = SystemClock.now();

    // The same question with e once more: the difference would be its value, whose name was in both jobs.
    return_of_e(&mut world).await;
    let second = ask_for(&world, 2, "last_1h");
    let whole = job(&world, &second, 2);
    none_computes(&mut world, &whole).await;
    // The latest records may be those of before: nobody who computes knows whether there are new ones.
    let latest = ask_for(&world, 4, "now");
    let latest = job(&world, &latest, 4);
    none_computes(&mut world, &latest).await;

    // With e for records that nobody was asked for; and those once more.
    measure(&world, 0).await;
    let later = format!("{}/{}", edge.to_rfc3339(), edge.plus(3_600_000).to_rfc3339());
    for number in [5, 6] {
        let whole = ask_for(&world, number, &later);
        let attempt = job(&world, &whole, number);
        let reports = world.gateway.run(&world.consensus, &attempt).await;
        assert!(reports.values().all(is_done), "{reports:?}");
        assert_eq!(learned(&world, &whole).await.unwrap().1, 3);
    }

    // The other way round: it was in, and is cut off on the way. Those who compute find out at the freeze.
    let second = ask_for(&world, 7, &later);
    let attempt = job(&world, &second, 7);
    let done = run_and_lose_e(&mut world, &attempt).await;
    for peer in &world.peers[..3] {
        let Report::Failed { fault: Fault::Apart { missing, until }, frozen: false } = &done[&peer.fingerprint()]
        else {
            panic!("{done:?}")
        };
        assert_eq!(*missing, [world.peers[4].fingerprint()]);
        // The window goes on for an hour; what is measured later than its clocks allow was not in it.
        assert!((1..250_000).contains(&until.since(SystemClock.now())), "{until}");
    }
    assert_eq!(learned(&world, &second).await, None);
    let why = trouble(&world, 0).await;
    assert!(why.contains("may have been opened with other members, some of whom are in this one"), "{why}");
    // So what is measured after that may be asked for without e; one that only computes does not know what that will be.
    let beyond = format!("{}/{}", edge.plus(600_000).to_rfc3339(), edge.plus(1_200_000).to_rfc3339());
    let mut free = job(&world, &ask_for(&world, 8, &beyond), 8);
    let gone = world.peers[4].fingerprint();
    free.inputs.retain(|input| *input != gone);
    for peer in 0..3 {
        assert!(matches!(prepared(&mut world, peer, &free).await, Report::Prepared { .. }));
    }

    // They know after a restart.
    for peer in 0..3 {
        let fingerprint = world.peers[peer].fingerprint();
        world.peers[peer].close().await;
        world.peers[peer].open().await;
        world.gateway.hello(&fingerprint).await;
    }
    let third = ask_for(&world, 3, "last_1h");
    let again = job(&world, &third, 3);
    none_computes(&mut world, &again).await;
    world.close().await;
}

/// A gateway may prepare those who compute long before those who give: what counts is up to when these chose their records.
#[tokio::test]
async fn rule3_a_window_goes_on_until_the_freeze_and_not_until_prepare() {
    let mut world = delegated().await;
    let edge = SystemClock.now();
    measure(&world, 0).await;
    let window = format!("{}/{}", edge.to_rfc3339(), edge.plus(3_600_000).to_rfc3339());
    let attempt = job(&world, &ask_for(&world, 1, &window), 1);
    let members = attempt.members();
    let ready = world.gateway.prepare(&members, &world.consensus, &attempt).await;
    let link = world.gateway.link_message(&world.consensus, &attempt, &ready);
    world.gateway.phase(&members, attempt.session, &link).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let begun = SystemClock.now();
    let session = ToPeer::Session { session: attempt.session };
    let done = world.gateway.phase(&members, attempt.session, &session).await;
    assert!(done.values().all(is_done), "{done:?}");

    let mut fewer = job(&world, &ask_for(&world, 2, &window), 2);
    let gone = world.peers[4].fingerprint();
    fewer.inputs.retain(|input| *input != gone);
    for peer in 0..3 {
        let Decline::Apart { missing, until } = declined(&mut world, peer, &fewer).await else {
            panic!("another reason")
        };
        assert_eq!(missing, [gone]);
        // Their clocks may be two minutes ahead, and their records two more.
        assert!(until.since(begun) >= 240_000, "{until}");
    }
    world.close().await;
}

/// Who keeps records for a shorter time than the windows that it is asked for does not know with whom it computed what of them:
/// it says so, and not that there were others.
#[tokio::test]
async fn f05_who_forgets_too_early_reads_that_it_does() {
    let mut world = delegated().await;
    let short = PeerPolicy { min_participants: 2, keep_samples_hours: 1, ..PeerPolicy::default() };
    world.peers[0].party().set_policy(Some(short)).await.unwrap();
    let now = SystemClock.now();
    let old = format!("{}/{}", now.plus(-3 * 3_600_000).to_rfc3339(), now.plus(-2 * 3_600_000).to_rfc3339());
    for (number, peer) in world.peers.iter().enumerate().skip(3) {
        let values = [("level".to_owned(), tacit_store::Redacted((1 << number).to_string()))].into();
        let sample = tacit_party::source::SampleText { at: now.plus(-9_000_000), values };
        peer.party().add_samples(vec![sample]).await.unwrap();
    }
    let first = ask_for(&world, 1, &old);
    let attempt = job(&world, &first, 1);
    let reports = world.gateway.run(&world.consensus, &attempt).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    // It forgets at its start, too.
    let fingerprint = world.peers[0].fingerprint();
    world.peers[0].close().await;
    world.peers[0].open().await;
    world.gateway.hello(&fingerprint).await;
    let again = ask_for(&world, 2, "last_1d");
    let attempt = job(&world, &again, 2);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while matches!(prepared(&mut world, 0, &attempt).await, Report::Prepared { .. }) {
        assert!(tokio::time::Instant::now() < deadline, "it never forgets");
    }
    let why = trouble(&world, 0).await;
    assert!(why.contains("keep_samples_hours") && !why.contains("other members"), "{why}");
    world.close().await;
}

/// Where those who give compute, too, each knows its own records: the latest ones may be asked for again as soon as they
/// are new, also of others, and whoever only computes that leaves it to them.
#[tokio::test]
async fn rule3_who_judges_by_its_own_records_is_not_judged_by_others() {
    let change = |peers: &mut Vec<Peer>| {
        peers[4].role = MemberRole::Privacy;
        peers.iter_mut().for_each(|peer| peer.policy = of_two());
    };
    let mut world = room_with(PartyLimits::default().session, change, |_| {}).await;
    let latest = |world: &World, nonce: u8, without: &[usize]| {
        let ask = ask_for(world, nonce, "now");
        let mut job = job(world, &ask, nonce);
        job.inputs.retain(|input| !without.iter().any(|one| *input == world.peers[*one].fingerprint()));
        job
    };
    let first = latest(&world, 1, &[3]);
    assert!(world.gateway.run(&world.consensus, &first).await.values().all(is_done));
    let second = latest(&world, 2, &[2]);
    assert_eq!(declined(&mut world, 0, &second).await, Decline::Policy);
    assert!(trouble(&world, 0).await.contains("went into a result with other members before"));
    measure(&world, 0).await;
    let second = latest(&world, 3, &[2]);
    let reports = world.gateway.run(&world.consensus, &second).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    world.close().await;
}

/// A second attempt at the same, prepared beside the first and with fewer members: it is refused at the last moment, and
/// changes nothing of what is known of the first.
#[tokio::test]
async fn rule3_an_attempt_that_is_refused_does_not_change_with_whom_was_given() {
    let mut world = delegated().await;
    let (d, e) = (world.peers[3].fingerprint(), world.peers[4].fingerprint());
    let ask = ask_for(&world, 1, "last_1h");
    let whole = job(&world, &ask, 1);
    let mut fewer = Job { attempt: Attempt(1), ..job(&world, &ask, 2) };
    fewer.inputs.retain(|input| *input != d);
    for attempt in [&whole, &fewer] {
        let ready = world.gateway.prepare(&attempt.members(), &world.consensus, attempt).await;
        world.gateway.link(&world.consensus, attempt, &ready).await;
    }
    // Nobody else is told to begin.
    world.gateway.send(&e, &ToPeer::Session { session: whole.session });
    let (store, name) = (world.peers[4].store.clone().unwrap(), world.peers[4].name.clone());
    let noted = async {
        while store.look().asked_since(&name, UnixMillis(0)).await.unwrap() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), noted).await.expect("it notes what it gives before");
    let told = world.gateway.phase(&[e], fewer.session, &ToPeer::Session { session: fewer.session }).await;
    assert_eq!(told[&e], Report::Failed { fault: Fault::Ended, frozen: false });

    // Its records may have gone into a result with d, and go into none without.
    let ask = ask_for(&world, 2, "last_1h");
    let mut without = job(&world, &ask, 3);
    without.inputs.retain(|input| *input != d);
    assert_eq!(declined(&mut world, 4, &without).await, Decline::Policy);
    let why = trouble(&world, 4).await;
    assert!(why.contains("with other members before"), "{why}");
    world.close().await;
}
