//! Owners that refuse a task, or change the policy, while it is on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use tacit_job::{Ask, Decline, Fault, Job, Report, ToPeer};
use tacit_model::api::{PeerPolicy, TaskRequest};
use tacit_model::{Attempt, Clock, Fingerprint, Slot, SystemClock, UnixMillis};
use tacit_party::source::SampleText;
use tacit_party::{PartyError, PartyLimits, Policy};

use crate::room::{declined, is_done, job, learned, request, room, room_with, trouble};
use crate::world::World;

/// What an owner changes.
type Change = fn(&mut PeerPolicy);

/// A room where this peer asks its owner.
async fn room_with_an_owner(peer: usize) -> World {
    let policy = Policy::from(PeerPolicy { manual_approval: true, ..PeerPolicy::default() });
    // Those who are left alone by a refusal end soon.
    room_with(Duration::from_secs(10), |peers| peers[peer].policy = policy, |_| {}).await
}

fn ask(world: &World) -> Ask {
    Ask::admit(request(world, 1, "last_1h"), None, &world.gateway.identity).unwrap()
}

/// What this peer's owner says of a task is acknowledged.
async fn decide(world: &World, peer: usize, ask: &Ask, approved: bool) {
    let decided = world.peers[peer].party().decide_approval(&ask.id().to_string(), approved).await.unwrap();
    assert_eq!(decided.state, if approved { "approved" } else { "refused" });
}

/// An attempt that everybody is ready for, this peer with its owner's word; with what they said.
async fn ready(world: &mut World, peer: usize, ask: &Ask) -> (Job, BTreeMap<Fingerprint, Report>) {
    let first = job(world, ask, 100);
    assert_eq!(declined(world, peer, &first).await, Decline::Waiting);
    decide(world, peer, ask, true).await;
    let attempt = job(world, ask, 1);
    let prepared = world.gateway.prepare(&attempt.members(), &world.consensus, &attempt).await;
    (attempt, prepared)
}

#[tokio::test]
async fn f05_who_refuses_between_prepare_and_link_takes_no_part() {
    let mut world = room_with_an_owner(0).await;
    let ask = ask(&world);
    let (attempt, prepared) = ready(&mut world, 0, &ask).await;
    decide(&world, 0, &ask, false).await;
    let peer = world.peers[0].fingerprint();
    let link = world.gateway.link_message(&world.consensus, &attempt, &prepared);
    let said = world.gateway.phase(&[peer], attempt.session, &link).await;
    assert_eq!(said[&peer], Report::Declined { why: Decline::Policy });
    let why = trouble(&world, 0).await;
    assert!(why.contains("this peer's owner refused task"), "{why}");
    assert_eq!(world.peers[0].party().status().await.unwrap().open_sessions, 0);
    for member in attempt.members() {
        world.gateway.send(&member, &ToPeer::Abort { session: attempt.session });
    }

    // Its owner thinks again. What was computed then cannot be refused any more.
    decide(&world, 0, &ask, true).await;
    let again = Job { attempt: Attempt(1), ..job(&world, &ask, 2) };
    let done = world.gateway.run(&world.consensus, &again).await;
    assert!(done.values().all(is_done), "{done:?}");
    let late = world.peers[0].party().decide_approval(&ask.id().to_string(), false).await;
    assert!(matches!(late, Err(PartyError::TaskOver(_))), "{late:?}");
    world.close().await;
}

#[tokio::test]
async fn f05_who_refuses_after_the_links_freezes_nothing() {
    let mut world = room_with_an_owner(0).await;
    let ask = ask(&world);
    let (attempt, prepared) = ready(&mut world, 0, &ask).await;
    world.gateway.link(&world.consensus, &attempt, &prepared).await;
    decide(&world, 0, &ask, false).await;
    let session = ToPeer::Session { session: attempt.session };
    let ended = world.gateway.phase(&attempt.members(), attempt.session, &session).await;
    let (peer, gives) = (world.peers[0].fingerprint(), world.peers[4].fingerprint());
    assert_eq!(ended[&peer], Report::Failed { fault: Fault::Own, frozen: false });
    // Who only gives does not hear how it ends.
    assert!(!ended.iter().any(|(member, report)| *member != gives && is_done(report)), "{ended:?}");
    assert_eq!(learned(&world, &ask).await, None);
    let why = trouble(&world, 0).await;
    assert!(why.contains("this peer's owner has refused the task"), "{why}");
    let store = world.peers[0].store.clone().unwrap();
    assert_eq!(store.frozen(&world.peers[0].name, ask.run(), Slot(0)).await.unwrap(), None);
    world.close().await;
}

/// It freezes nothing, and notes what it gives before that leaves.
#[tokio::test]
async fn f05_who_only_gives_and_refuses_after_the_links_gives_nothing() {
    let mut world = room_with_an_owner(4).await;
    let ask = ask(&world);
    let (attempt, prepared) = ready(&mut world, 4, &ask).await;
    world.gateway.link(&world.consensus, &attempt, &prepared).await;
    decide(&world, 4, &ask, false).await;
    let session = ToPeer::Session { session: attempt.session };
    let ended = world.gateway.phase(&attempt.members(), attempt.session, &session).await;
    let peer = world.peers[4].fingerprint();
    assert_eq!(ended[&peer], Report::Failed { fault: Fault::Ended, frozen: false });
    let why = trouble(&world, 4).await;
    assert!(why.contains("this peer's owner has refused the task"), "{why}");
    let store = world.peers[4].store.clone().unwrap();
    assert_eq!(store.look().asked_since(&world.peers[4].name, UnixMillis(0)).await.unwrap(), 0);
    // The others finish without it.
    assert!(ended.iter().all(|(member, report)| *member == peer || is_done(report)), "{ended:?}");
    assert_eq!(learned(&world, &ask).await.unwrap().1, 4);
    world.close().await;
}

/// What the policy forbids anyhow is no question for the owner.
#[tokio::test]
async fn f05_an_owner_is_not_asked_what_the_policy_declines() {
    let mut world = room_with_an_owner(0).await;
    let filter = vec!["level>=1".to_owned()];
    let request = TaskRequest { filter, ..request(&world, 1, "last_1h") };
    let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
    let attempt = job(&world, &ask, 1);
    assert_eq!(declined(&mut world, 0, &attempt).await, Decline::Policy);
    assert!(trouble(&world, 0).await.contains("only records that meet a condition"));
    assert!(world.peers[0].party().approvals().await.unwrap().is_empty());
    world.close().await;
}

/// Whatever a new policy forbids, it forbids a session that has no links yet, too.
#[tokio::test]
async fn f05_a_policy_that_changes_before_the_links_is_asked_all_that_prepare_asks() {
    let own = PeerPolicy { conditions: true, ..PeerPolicy::default() };
    let policy = Policy::from(own.clone());
    let mut world = room_with(PartyLimits::default().session, |peers| peers[0].policy = policy, |_| {}).await;
    // A record that is above what tasks take.
    let values = BTreeMap::from([("level".to_owned(), tacit_store::Redacted("5000".to_owned()))]);
    let sample = SampleText { at: SystemClock.now().plus(-30_000), values };
    world.peers[0].party().add_samples(vec![sample]).await.unwrap();
    let peer = world.peers[0].fingerprint();
    let changes: [(Change, &[&str], Decline, &str); 4] = [
        (|rules| rules.conditions = false, &["level>=1"], Decline::Policy, "only records that meet a condition"),
        (|rules| rules.conditions = false, &[], Decline::Policy, "which leaves 1 of this peer's records out"),
        (|rules| rules.epsilon_budgets.push("*=1".to_owned()), &[], Decline::Policy, "opens exact numbers"),
        (|rules| rules.manual_approval = true, &[], Decline::Waiting, "waits for this peer's owner"),
    ];
    for (number, (change, filter, why, words)) in (1..).zip(changes) {
        let filter = filter.iter().map(|condition| (*condition).to_owned()).collect();
        let request = TaskRequest { filter, ..request(&world, number, "last_1h") };
        let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
        let attempt = job(&world, &ask, number);
        let prepared = world.gateway.prepare(&[peer], &world.consensus, &attempt).await;
        assert!(matches!(prepared[&peer], Report::Prepared { .. }), "{words}: {prepared:?}");
        let mut rules = own.clone();
        change(&mut rules);
        world.peers[0].party().set_policy(Some(rules)).await.unwrap();
        let link = world.gateway.link_message(&world.consensus, &attempt, &prepared);
        let said = world.gateway.phase(&[peer], attempt.session, &link).await;
        assert_eq!(said[&peer], Report::Declined { why }, "{words}");
        let told = trouble(&world, 0).await;
        assert!(told.contains(words), "{told}");
        world.peers[0].party().set_policy(None).await.unwrap();
    }
    world.close().await;
}

/// What was willing by the policy of the links goes on by that one: of five operators four are left, which is too few by now.
#[tokio::test]
async fn f05_the_policy_of_the_links_judges_the_set_that_is_frozen() {
    let mut world = room().await;
    let ask = ask(&world);
    let attempt = job(&world, &ask, 1);
    let members = attempt.members();
    let prepared = world.gateway.prepare(&members, &world.consensus, &attempt).await;
    for peer in &world.peers[..4] {
        let wary = PeerPolicy { min_operators: 5, ..PeerPolicy::default() };
        peer.party().set_policy(Some(wary)).await.unwrap();
    }
    world.gateway.link(&world.consensus, &attempt, &prepared).await;
    let lost = world.peers[4].fingerprint();
    world.peers[4].close().await;
    let others: Vec<Fingerprint> = members.into_iter().filter(|member| *member != lost).collect();
    let session = ToPeer::Session { session: attempt.session };
    let ended = world.gateway.phase(&others, attempt.session, &session).await;
    let declined_the_set = |report: &Report| *report == Report::Failed { fault: Fault::Own, frozen: false };
    assert!(ended.values().all(declined_the_set), "{ended:?}");
    let why = trouble(&world, 0).await;
    assert!(why.contains("4 operators would give data, this peer's policy wants at least 5"), "{why}");
    world.close().await;
}
