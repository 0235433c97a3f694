//! What bounds how much a peer tells: what results with noise cost one that only gives, which pays before its shares leave, and
//! how many computations there are.

use std::time::Duration;

use tacit_job::{Ask, Decline, Job, Report, ToPeer};
use tacit_model::Attempt;
use tacit_model::api::{PeerPolicy, TaskRequest};
use tacit_party::{PartyLimits, Policy};
use tacit_store::SpentRow;

use crate::room::{ask, declined, is_done, job, learned, prepared, request, room_with, trouble};
use crate::world::World;

/// What e has paid.
async fn paid(world: &World) -> Vec<SpentRow> {
    world.peers[4].store.as_ref().unwrap().look().spent(&world.peers[4].name).await.unwrap()
}

/// The last of a budget pays for an attempt that is given up on the way: the next attempt at the same is paid for, too.
#[tokio::test]
async fn rule9_the_last_of_a_budget_pays_for_every_attempt_at_one_result() {
    let policy = Policy::from(PeerPolicy { epsilon_budgets: vec!["level=1".to_owned()], ..PeerPolicy::default() });
    let limits = PartyLimits::default();
    let mut world = room_with(limits.session, |peers| peers[4].policy = policy, |_| {}).await;
    let request = TaskRequest {
        aggregator: "noisy_count".to_owned(),
        parameters: [("epsilon".to_owned(), "1".to_owned())].into(),
        ..request(&world, 1, "last_1h")
    };
    let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
    let attempt = job(&world, &ask, 1);
    let members = attempt.members();
    let ready = world.gateway.prepare(&members, &world.consensus, &attempt).await;
    world.gateway.link(&world.consensus, &attempt, &ready).await;
    // Nobody else is told to begin, so nothing is frozen.
    let gives = world.peers[4].fingerprint();
    world.gateway.send(&gives, &ToPeer::Session { session: attempt.session });
    let charged = async {
        while paid(&world).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), charged).await.expect("it pays before it gives");
    for member in &members {
        world.gateway.send(member, &ToPeer::Abort { session: attempt.session });
    }

    let again = Job { attempt: Attempt(1), ..job(&world, &ask, 2) };
    let reports = world.gateway.run(&world.consensus, &again).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    assert_eq!(learned(&world, &ask).await.unwrap().1, 5);
    let paid = paid(&world).await;
    assert_eq!(paid.iter().map(|row| (row.epsilon, row.results)).collect::<Vec<_>>(), [(1_000_000, 1)]);
    world.close().await;
}

/// A group that computes its slots all the time would otherwise use up what a policy allows to clients.
#[tokio::test]
async fn a_slot_of_the_group_is_none_of_the_tasks_of_a_minute() {
    let policy = Policy::from(PeerPolicy { tasks_per_minute: 1, ..PeerPolicy::default() });
    let mut world = room_with(PartyLimits::default().session, |peers| peers[0].policy = policy, |_| {}).await;
    world.peers[0].rows(&["1;3"]).await;
    let slot = world.job(0);
    let said = prepared(&mut world, 0, &slot).await;
    assert!(matches!(said, Report::Prepared { .. }), "{said:?}");
    let first = job(&world, &ask(&world, 1), 101);
    let said = prepared(&mut world, 0, &first).await;
    assert!(matches!(said, Report::Prepared { .. }), "{said:?}");
    // A task that is on its way is one.
    let second = job(&world, &ask(&world, 2), 102);
    assert_eq!(declined(&mut world, 0, &second).await, Decline::Policy);
    let why = trouble(&world, 0).await;
    assert!(why.contains("within a minute, its policy allows 1"), "{why}");
    world.close().await;
}
