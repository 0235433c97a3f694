//! Several gateways: the peer goes on to another one, and leaves one that leads no more.

use tacit_job::{GatewayAt, Report, ToGateway, ToPeer};
use tacit_model::SessionId;

use crate::gateway::ScriptedGateway;
use crate::world::{World, identity, sign_next};

fn lead(epoch: u64, gateway: &ScriptedGateway) -> ToPeer {
    let endpoints = vec![gateway.address.to_string()];
    ToPeer::Lead { epoch, gateways: vec![GatewayAt { fingerprint: gateway.identity.fingerprint(), endpoints }] }
}

#[tokio::test]
async fn w1_a_gateway_of_an_earlier_epoch_is_left() {
    let mut world = World::small().await;
    let me = world.peers[0].fingerprint();
    let second = ScriptedGateway::start(identity("second")).await;

    // Where the second one is comes from the first. It is believed because the charter names it.
    world.gateway.send(&me, &lead(4, &second));
    let mut charter = world.consensus.charter().clone();
    charter.gateways.push(second.identity.fingerprint());
    let next = sign_next(&world.consensus, charter, &world.manager);
    world.gateway.charter(&me, &next).await;
    drop(std::mem::replace(&mut world.gateway, second));
    world.gateway.hello(&me).await;
    assert_eq!(world.peers[0].party().status().await.unwrap().gateway, world.gateway.identity.fingerprint());

    // It leads after the first one did; an older number is one of somebody who does not know.
    world.gateway.send(&me, &lead(5, &world.gateway));
    world.gateway.send(&me, &lead(4, &world.gateway));
    world.gateway.hello(&me).await;

    // Whoever has not said that it leads is not obeyed.
    let heard = world.job(0);
    let unheard = tacit_job::Job { session: SessionId([200; 16]), ..heard.clone() };
    let prepare = |job: &tacit_job::Job| ToPeer::Prepare { job: Box::new(job.clone()), plan: String::new() };
    world.gateway.send(&me, &prepare(&unheard));
    world.gateway.send(&me, &lead(5, &world.gateway));
    world.gateway.send(&me, &prepare(&heard));
    let first = |message: &ToGateway| match message {
        ToGateway::Report { session, report: Report::Declined { .. } } => Some(*session),
        _ => None,
    };
    assert_eq!(world.gateway.expect(&me, first).await, heard.session);
}

/// An epoch that cannot be is refused; one that can be, and is a lie all the same, ends with the charter's gateways.
#[tokio::test]
async fn w1_a_lie_about_the_epoch_ends_with_the_next_charter() {
    let mut world = World::small().await;
    let me = world.peers[0].fingerprint();
    world.gateway.send(&me, &lead(7, &world.gateway));
    world.gateway.send(&me, &lead(u64::MAX, &world.gateway));
    world.gateway.hello(&me).await;
    let trouble = world.peers[0].party().status().await.unwrap().last_trouble.unwrap().what;
    assert!(trouble.contains(&u64::MAX.to_string()), "{trouble}");

    // The number before still counts: whoever says it is obeyed, whoever says less is left.
    world.gateway.send(&me, &lead(6, &world.gateway));
    world.gateway.hello(&me).await;
    world.gateway.send(&me, &lead(900_000, &world.gateway));
    world.gateway.send(&me, &lead(7, &world.gateway));
    world.gateway.hello(&me).await;

    // A late gateway that brings the charter with other gateways is obeyed.
    let mut charter = world.consensus.charter().clone();
    charter.gateways.push(identity("second").fingerprint());
    let next = sign_next(&world.consensus, charter, &world.manager);
    world.gateway.send(&me, &lead(8, &world.gateway));
    world.gateway.charter(&me, &next).await;
    world.consensus = next;
    assert!(obeyed(&mut world, 1).await);
}

/// Of several gateways one stays, and says no epoch.
#[tokio::test]
async fn w1_one_gateway_alone_is_obeyed_after_several() {
    let mut world = World::small().await;
    let me = world.peers[0].fingerprint();
    let mut charter = world.consensus.charter().clone();
    charter.gateways.push(identity("second").fingerprint());
    let several = sign_next(&world.consensus, charter.clone(), &world.manager);
    world.gateway.charter(&me, &several).await;
    world.gateway.send(&me, &lead(5, &world.gateway));
    // The next link is one of a gateway that was started without the others.
    world.gateway.send(&me, &lead(4, &world.gateway));
    world.gateway.hello(&me).await;
    charter.gateways.pop();
    let alone = sign_next(&several, charter, &world.manager);
    world.gateway.charter(&me, &alone).await;
    world.consensus = alone;
    assert!(obeyed(&mut world, 1).await);
}

/// Whether the first peer answers a job.
async fn obeyed(world: &mut World, slot: i64) -> bool {
    let me = world.peers[0].fingerprint();
    let job = world.job(slot);
    world.gateway.send(&me, &ToPeer::Prepare { job: Box::new(job.clone()), plan: String::new() });
    let answer = |message: &ToGateway| match message {
        ToGateway::Report { session, report: Report::Declined { .. } } => Some(*session),
        _ => None,
    };
    world.gateway.expect(&me, answer).await == job.session
}
