//! A room whose peers measure, and what a gateway asks of them for a client.

use std::collections::BTreeMap;
use std::time::Duration;

use tacit_accord::{Charter, MemberRole};
use tacit_job::{Ask, Decline, Job, Report, ToPeer, plan_of};
use tacit_model::api::TaskRequest;
use tacit_model::{Attempt, Clock, Fingerprint, SessionId, Slot, SystemClock};
use tacit_party::PartyLimits;
use tacit_party::source::SampleText;

use crate::world::{GROUP, Peer, World};

/// Four peers that give and compute, and one that only gives; each has measured once.
pub(crate) async fn room() -> World {
    room_for(PartyLimits::default().session).await
}

/// The same, with so much time for a session.
pub(crate) async fn room_for(session: Duration) -> World {
    room_with(session, |_| {}, |_| {}).await
}

/// The same, with policies and a charter of the test's choice.
pub(crate) async fn room_with(
    session: Duration,
    change_peers: impl FnOnce(&mut Vec<Peer>),
    change: impl FnOnce(&mut Charter),
) -> World {
    let world = World::with(
        |peers| {
            *peers = ["a", "b", "c", "d"].map(|name| Peer::new(name, MemberRole::Both)).into();
            peers.push(Peer::new("e", MemberRole::Input));
            for peer in &mut *peers {
                peer.limits = PartyLimits { link: Duration::from_secs(10), session, ..peer.limits };
            }
            change_peers(peers);
        },
        change,
    )
    .await;
    measure(&world, 60_000).await;
    world
}

/// Everybody measures something, so many milliseconds ago.
pub(crate) async fn measure(world: &World, ago: i64) {
    for (number, peer) in world.peers.iter().enumerate() {
        let values = BTreeMap::from([("level".to_owned(), tacit_store::Redacted((1 << number).to_string()))]);
        let sample = SampleText { at: SystemClock.now().plus(-ago), values };
        peer.party().add_samples(vec![sample]).await.unwrap();
    }
}

pub(crate) fn request(world: &World, nonce: u8, preselector: &str) -> TaskRequest {
    TaskRequest {
        preselector: preselector.to_owned(),
        most: "1000".to_owned(),
        recipients: vec![world.peers[0].fingerprint()],
        issued: SystemClock.now().to_rfc3339(),
        nonce: hex::encode([nonce; 16]),
        ..TaskRequest::about(GROUP, "level", "sum", "level")
    }
}

/// The same request, as the gateway admits it.
pub(crate) fn ask(world: &World, nonce: u8) -> Ask {
    Ask::admit(request(world, nonce, "last_1h"), None, &world.gateway.identity).unwrap()
}

/// An attempt at an ask with everybody.
pub(crate) fn job(world: &World, ask: &Ask, session: u8) -> Job {
    let charter = world.consensus.charter();
    Job {
        session: SessionId([session; 16]),
        group: GROUP,
        charter: world.consensus.id(),
        run: ask.run(),
        slot: Slot(0),
        attempt: Attempt(0),
        task: ask.task().unwrap(),
        inputs: charter.inputs().map(|m| m.fingerprint).collect(),
        compute: charter.computing().map(|m| m.fingerprint).collect(),
        recipients: ask.recipients(charter),
    }
}

/// What a peer says to a Prepare, with the right plan where there is one.
pub(crate) async fn prepared(world: &mut World, peer: usize, job: &Job) -> Report {
    let plan =
        plan_of(&world.consensus, job).map_or_else(|_| hex::encode([0; 32]), |plan| hex::encode(plan.digest().0));
    let peer = world.peers[peer].fingerprint();
    let prepare = ToPeer::Prepare { job: Box::new(job.clone()), plan };
    world.gateway.phase(&[peer], job.session, &prepare).await.remove(&peer).unwrap()
}

pub(crate) async fn declined(world: &mut World, peer: usize, job: &Job) -> Decline {
    match prepared(world, peer, job).await {
        Report::Declined { why } => why,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn trouble(world: &World, peer: usize) -> String {
    world.peers[peer].party().status().await.unwrap().last_trouble.unwrap().what
}

/// The sum and the number of contributors that the recipient was left with.
pub(crate) async fn learned(world: &World, ask: &Ask) -> Option<(String, u32)> {
    let results = world.peers[0].party().results(ask.run()).await.unwrap();
    results.first().map(|result| (format!("{:?}", result.values), result.contributors))
}

pub(crate) fn is_done(report: &Report) -> bool {
    matches!(report, Report::Done { .. })
}

/// An attempt that e, who only gives, is lost from after the links were made and before it gave anything; what the
/// others report.
pub(crate) async fn run_and_lose_e(world: &mut World, attempt: &Job) -> BTreeMap<Fingerprint, Report> {
    let members = attempt.members();
    let ready = world.gateway.prepare(&members, &world.consensus, attempt).await;
    let link = world.gateway.link_message(&world.consensus, attempt, &ready);
    let linked = world.gateway.phase(&members, attempt.session, &link).await;
    assert!(linked.values().all(|report| *report == Report::Linked), "{linked:?}");
    let lost = world.peers[4].fingerprint();
    world.peers[4].close().await;
    let others: Vec<Fingerprint> = members.into_iter().filter(|member| *member != lost).collect();
    world.gateway.phase(&others, attempt.session, &ToPeer::Session { session: attempt.session }).await
}

pub(crate) async fn return_of_e(world: &mut World) -> Fingerprint {
    let lost = world.peers[4].fingerprint();
    world.peers[4].open().await;
    world.gateway.hello(&lost).await;
    lost
}
