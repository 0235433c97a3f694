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
