//! What results with noise cost a peer that only gives, which pays before its shares leave.

use std::time::Duration;

use tacit_job::{Ask, Job, ToPeer};
use tacit_model::Attempt;
use tacit_model::api::{PeerPolicy, TaskRequest};
use tacit_party::{PartyLimits, Policy};
use tacit_store::SpentRow;

use crate::room::{is_done, job, learned, request, room_with};
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
