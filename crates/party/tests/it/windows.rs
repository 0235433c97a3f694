//! Which windows peers that only compute let be opened, under a gateway that cuts off who gives.

use tacit_accord::MemberRole;
use tacit_job::{Ask, Decline, Fault, Report};
use tacit_model::api::{PeerPolicy, TaskRequest};
use tacit_model::{Clock, SystemClock};
use tacit_party::{PartyLimits, Policy};

use crate::tasks::{
    declined, is_done, job, learned, measure, request, return_of_e, room_with, run_and_lose_e, trouble,
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

/// Those who compute decline it, and their owners read why.
async fn none_computes(world: &mut World, attempt: &tacit_job::Job) {
    for peer in 0..3 {
        assert_eq!(declined(world, peer, attempt).await, Decline::Policy);
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
        assert_eq!(done[&peer.fingerprint()], Report::Failed { fault: Fault::Own, frozen: false }, "{done:?}");
    }
    assert_eq!(learned(&world, &second).await, None);
    let why = trouble(&world, 0).await;
    assert!(why.contains("was opened with other members before"), "{why}");

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
