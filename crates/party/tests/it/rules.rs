use std::sync::Arc;
use std::time::Duration;

use tacit_accord::{Consensus, Member, MemberRole, OnMissingInput, Proposal, decide};
use tacit_job::{Decline, Job, Report, ToPeer};
use tacit_link::{How, LinkConfig, LinkHub};
use tacit_model::api::PeerPolicy;
use tacit_model::{Attempt, Fingerprint, SessionId, Slot, UnixMillis};
use tacit_party::Policy;

use crate::gateway::Open;
use crate::world::{Peer, World, charter, identity, sign_first, sign_next};

fn strangers(count: usize) -> Vec<Member> {
    let stranger = |i| Member {
        name: format!("friend{i}"),
        fingerprint: identity("friend").fingerprint(),
        operator: format!("friend{i}"),
        role: MemberRole::Privacy,
        endpoint: "127.0.0.1:1".to_owned(),
    };
    (0..count).map(stranger).collect()
}

async fn declined(world: &mut World, peer: &Fingerprint, job: &Job, plan: String) -> Decline {
    let prepare = ToPeer::Prepare { job: Box::new(job.clone()), plan };
    match world.gateway.phase(&[*peer], job.session, &prepare).await.remove(peer) {
        Some(Report::Declined { why }) => why,
        other => panic!("{other:?}"),
    }
}

fn digest(consensus: &Consensus, job: &Job) -> String {
    hex::encode(tacit_job::plan_of(consensus, job).unwrap().digest().0)
}

async fn trouble(peer: &Peer) -> String {
    peer.party().status().await.unwrap().last_trouble.unwrap().what
}

#[tokio::test]
async fn rule1_gateway_naming_its_own_privacy_peers_gets_nothing() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3"]).await;
    let victim = world.peers[0].fingerprint();

    // In the job only: they are not in the signed roster.
    let mut job = world.job(0);
    let friends = strangers(2);
    job.compute = friends.iter().map(|m| m.fingerprint).collect();
    assert_eq!(declined(&mut world, &victim, &job, hex::encode([0; 32])).await, Decline::Roster);

    // Nor do they get a link.
    let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let friend = hub.host(identity("friend"), Arc::new(Open)).unwrap();
    let privacy = &world.peers[2];
    let dial = How::Dial { addrs: vec![privacy.endpoint.clone()] };
    assert!(friend.link(privacy.fingerprint(), dial, Duration::from_millis(500)).await.is_err());

    // Even a gateway that holds the manager key gets nothing of a peer that gives shares only to members
    // its own operator verified.
    let mut careful = World::with(
        |peers| {
            let verified = peers.iter().map(Peer::fingerprint).collect();
            let rules = PeerPolicy { verified_only: true, verified, ..PeerPolicy::default() };
            peers[0].policy = Policy::from(rules);
        },
        |_| {},
    )
    .await;
    careful.peers[0].rows(&["1;3"]).await;
    let victim = careful.peers[0].fingerprint();
    let mut charter = careful.consensus.charter().clone();
    charter.members.retain(|m| m.role == MemberRole::Input);
    charter.members.extend(strangers(3));
    careful.consensus = sign_next(&careful.consensus, charter, &careful.manager);
    careful.gateway.charter(&victim, &careful.consensus).await;
    let job = careful.job(0);
    let plan = digest(&careful.consensus, &job);
    assert_eq!(declined(&mut careful, &victim, &job, plan).await, Decline::Policy);
    assert!(trouble(&careful.peers[0]).await.contains("friend"));
    // What was declined cannot be linked or run either.
    careful.gateway.send(&victim, &ToPeer::Session { session: job.session });
    assert_eq!(careful.peers[0].party().status().await.unwrap().open_sessions, 0);
    careful.close().await;
    world.close().await;
}

#[tokio::test]
async fn rule1_roster_not_signed_is_refused() {
    let mut world = World::small().await;
    let victim = world.peers[0].fingerprint();
    let before = world.peers[0].party().status().await.unwrap();

    // Signed by somebody else.
    let other = identity("other manager");
    let mut foreign = charter(&other, &world.gateway, before.roster.clone());
    foreign.members.extend(strangers(1));
    let foreign = sign_first(foreign, &other);
    // Signed, then changed.
    let mut changed = world.consensus.charter().clone();
    changed.threshold = 1;
    changed.name = "other".to_owned();
    let changed = sign_next(&world.consensus, changed, &world.manager).to_document().replace("ppeer1", "ppeer9");

    for document in [foreign.to_document(), changed, "{}".to_owned()] {
        world.gateway.send(&victim, &ToPeer::Charter { documents: vec![document] });
        world
            .gateway
            .expect(&victim, |m| {
                matches!(m, tacit_job::ToGateway::Accepted { known, .. }
            if *known == world.consensus.id())
                .then_some(())
            })
            .await;
        let after = world.peers[0].party().status().await.unwrap();
        assert_eq!((after.charter, &after.roster), (before.charter, &before.roster));
        assert!(after.last_trouble.unwrap().what.contains("charter was refused"));
    }
    world.close().await;
}

/// A newcomer has the pinned manager key and nothing else.
#[tokio::test]
async fn rule1_forged_first_charter_is_refused() {
    let mut world = World::small().await;
    world.peers[0].close().await;
    let mut newcomer = Peer::new("newcomer", MemberRole::Input);
    let edge = crate::receiver::Receiver::start().await;
    newcomer.join(&edge, &world.gateway, &world.manager).await;
    newcomer.open().await;
    let me = newcomer.fingerprint();
    world.gateway.hello(&me).await;

    let mut charter = world.consensus.charter().clone();
    charter.members.push(newcomer.member());
    let thief = identity("thief");
    let mut forged = charter.clone();
    forged.owners = vec![thief.public_key().to_base64()];
    // Decided by the manager in truth, then with the thief's signature alone.
    let proposal = Proposal::new(None, forged, UnixMillis(0)).unwrap().sign(&thief).sign(&world.manager);
    let mut forged: serde_json::Value = serde_json::from_str(&decide(None, proposal).unwrap().to_document()).unwrap();
    forged["signatures"].as_array_mut().unwrap().pop();
    // The last one of a chain whose beginning is not shown.
    let second = sign_next(&world.consensus, charter, &world.manager);
    for document in [forged.to_string(), second.to_document()] {
        world.gateway.send(&me, &ToPeer::Charter { documents: vec![document] });
    }
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while newcomer.party().status().await.unwrap().last_trouble.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    // The whole chain, in two messages.
    world.gateway.charter(&me, &world.consensus.clone()).await;
    world.gateway.charter(&me, &second).await;
    assert_eq!(newcomer.party().status().await.unwrap().charter, Some(second.id()));
    newcomer.close().await;
    newcomer.open().await;
    assert_eq!(newcomer.party().status().await.unwrap().charter, Some(second.id()));
    newcomer.close().await;
    world.close().await;
}

#[tokio::test]
async fn rule1_charter_not_chained_is_refused() {
    let mut world = World::small().await;
    let victim = world.peers[0].fingerprint();
    let first = world.consensus.clone();
    let renamed = |name: &str| {
        let mut charter = first.charter().clone();
        charter.name = name.to_owned();
        charter
    };
    // Another beginning under the right key, and one that skips its predecessor.
    let other_first = sign_first(renamed("fork"), &world.manager);
    let second = sign_next(&first, renamed("second"), &world.manager);
    let third = sign_next(&second, renamed("third"), &world.manager);
    for bad in [&other_first, &third] {
        world.gateway.send(&victim, &ToPeer::Charter { documents: vec![bad.to_document()] });
        let same = first.id();
        world
            .gateway
            .expect(&victim, |m| {
                matches!(m, tacit_job::ToGateway::Accepted { known, .. }
            if *known == same)
                .then_some(())
            })
            .await;
        assert_eq!(world.peers[0].party().status().await.unwrap().charter, Some(same));
    }
    // A job under a charter that this peer does not know.
    world.peers[0].rows(&["1;3"]).await;
    world.consensus = third.clone();
    let job = world.job(0);
    let plan = digest(&third, &job);
    assert_eq!(declined(&mut world, &victim, &job, plan).await, Decline::Charter);
    // In order they are taken, and a link of somebody who left is closed.
    let documents = vec![second.to_document(), third.to_document()];
    world.gateway.send(&victim, &ToPeer::Charter { documents });
    let last = third.id();
    world
        .gateway
        .expect(&victim, |m| {
            matches!(m, tacit_job::ToGateway::Accepted { known, .. }
        if *known == last)
            .then_some(())
        })
        .await;
    world.close().await;
}

/// A victim and an accomplice who knows its own row: the sum of the two tells the victim's.
#[tokio::test]
async fn rule1_gateway_choosing_input_peers_gets_nothing() {
    for (on_missing, refused) in [
        (OnMissingInput::Fail, true),
        (OnMissingInput::Wait, true),
        (OnMissingInput::Proceed(3), true),
        (OnMissingInput::Proceed(2), false),
    ] {
        let mut world = World::with(
            |peers| peers.insert(2, Peer::new("third", MemberRole::Input)),
            |charter| charter.slots.on_missing_input = on_missing,
        )
        .await;
        world.peers[0].rows(&["1;3"]).await;
        let victim = world.peers[0].fingerprint();
        let mut job = world.job(0);
        job.inputs.truncate(2);
        let plan = tacit_job::plan_of(&world.consensus, &job);
        let plan = plan.map_or_else(|_| hex::encode([0; 32]), |plan| hex::encode(plan.digest().0));
        if refused {
            assert_eq!(declined(&mut world, &victim, &job, plan).await, Decline::Plan);
            let trouble = trouble(&world.peers[0]).await;
            let wanted = match on_missing {
                OnMissingInput::Proceed(_) => "a minimum of 3 contributors among 2",
                _ => "all 3 input peers and the job names 2",
            };
            assert!(trouble.contains(wanted), "{trouble}");
        } else {
            let prepared = world.gateway.prepare(&[victim], &world.consensus, &job).await;
            assert!(matches!(prepared[&victim], Report::Prepared { .. }), "{prepared:?}");
        }
        world.close().await;
    }
}

#[tokio::test]
async fn rule2_other_plan_digest_is_declined() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3"]).await;
    let victim = world.peers[0].fingerprint();
    // The plan of another slot, of fewer inputs, and none at all.
    let job = world.job(0);
    let mut other = job.clone();
    other.slot = Slot(1);
    let plan = digest(&world.consensus, &other);
    assert_eq!(declined(&mut world, &victim, &job, plan).await, Decline::Plan);
    let job = world.job(0);
    assert_eq!(declined(&mut world, &victim, &job, String::new()).await, Decline::Plan);
    // Another task than the charter's.
    let mut job = world.job(0);
    job.task.max_element = "5".to_owned();
    assert_eq!(declined(&mut world, &victim, &job, hex::encode([0; 32])).await, Decline::Plan);
    // A recipient that the charter does not name.
    let mut job = world.job(0);
    job.recipients = vec![world.peers[2].fingerprint()];
    assert_eq!(declined(&mut world, &victim, &job, hex::encode([0; 32])).await, Decline::Roster);
    // Another run, a session id that was used, a slot without a row.
    let mut job = world.job(0);
    job.run = tacit_model::RunId(2);
    assert_eq!(declined(&mut world, &victim, &job, hex::encode([0; 32])).await, Decline::NotRunning);
    job.run = crate::world::RUN;
    let plan = digest(&world.consensus, &job);
    assert_eq!(declined(&mut world, &victim, &job, plan).await, Decline::Busy);
    let job = world.job(1);
    let plan = digest(&world.consensus, &job);
    assert_eq!(declined(&mut world, &victim, &job, plan).await, Decline::NoRow);
    world.close().await;
}

#[tokio::test]
async fn rule3_second_attempt_after_freeze_is_declined() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let job = world.job(0);
    let reports = world.gateway.run(&world.consensus, &job).await;
    let Report::Done { agreement, .. } = &reports[&world.peers[0].fingerprint()] else { panic!("{reports:?}") };
    let mut again = world.job(0);
    again.attempt = Attempt(1);
    let plan = digest(&world.consensus, &again);
    for index in 0..world.peers.len() {
        let peer = world.peers[index].fingerprint();
        let done = if index < 2 { agreement.clone() } else { None };
        // The session that made it is named, so that its receipt can still be issued.
        let session = done.as_ref().map(|_| job.session);
        assert_eq!(declined(&mut world, &peer, &again, plan.clone()).await, Decline::Frozen { done, session });
    }
    world.close().await;
}

/// Other computing members would not know of the first attempt, and could open another set.
#[tokio::test]
async fn rule3_slot_stays_with_its_first_charter_and_inputs() {
    let mut world = World::with(
        |peers| peers.insert(2, Peer::new("third", MemberRole::Input)),
        |charter| charter.slots.on_missing_input = OnMissingInput::Proceed(2),
    )
    .await;
    for peer in &world.peers[..3] {
        peer.rows(&["1;3", "4;5"]).await;
    }
    let victim = world.peers[0].fingerprint();
    let frozen = Decline::Frozen { done: None, session: None };

    // Shares are given, and the session ends before the freeze.
    let job = world.job(0);
    let members = job.members();
    let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
    let link = world.gateway.link_message(&world.consensus, &job, &prepared);
    world.gateway.phase(&members, job.session, &link).await;
    world.gateway.send(&victim, &ToPeer::Session { session: job.session });
    tokio::time::sleep(Duration::from_millis(200)).await;
    for member in &members {
        world.gateway.send(member, &ToPeer::Abort { session: job.session });
    }
    let report = world.gateway.report(&victim, job.session).await;
    assert!(matches!(report, Report::Failed { frozen: false, .. }), "{report:?}");

    // With the same input peers it may be tried again, with others not, also after a restart.
    let mut fewer = world.job(0);
    fewer.inputs.pop();
    let plan = digest(&world.consensus, &fewer);
    assert_eq!(declined(&mut world, &victim, &fewer, plan).await, frozen);
    world.peers[0].close().await;
    world.peers[0].open().await;
    world.gateway.hello(&victim).await;
    world.start_run(0, crate::world::RUN).await;
    let mut fewer = world.job(0);
    fewer.inputs.remove(1);
    let plan = digest(&world.consensus, &fewer);
    assert_eq!(declined(&mut world, &victim, &fewer, plan).await, frozen);
    let same = world.job(0);
    let prepared = world.gateway.prepare(&[victim], &world.consensus, &same).await;
    assert!(matches!(prepared[&victim], Report::Prepared { .. }), "{prepared:?}");

    // Nor under another charter; the next slot is free.
    let mut charter = world.consensus.charter().clone();
    charter.members.extend(strangers(2));
    world.consensus = sign_next(&world.consensus, charter, &world.manager);
    world.gateway.charter(&victim, &world.consensus.clone()).await;
    let job = world.job(0);
    let plan = digest(&world.consensus, &job);
    assert_eq!(declined(&mut world, &victim, &job, plan).await, frozen);
    assert!(trouble(&world.peers[0]).await.contains("under another charter"));
    let next = world.job(1);
    let prepared = world.gateway.prepare(&[victim], &world.consensus, &next).await;
    assert!(matches!(prepared[&victim], Report::Prepared { .. }), "{prepared:?}");
    world.close().await;
}

#[tokio::test]
async fn rule4_nonces_of_an_earlier_session_are_refused() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let job = world.job(0);
    let members = job.members();
    let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
    let nonces: Vec<String> = members.iter().map(|_| hex::encode([1; 32])).collect();
    let endpoints = members.iter().map(|_| String::new()).collect();
    let link = ToPeer::Link { session: job.session, nonces, endpoints };
    let reports = world.gateway.phase(&members, job.session, &link).await;
    assert!(reports.values().all(|r| matches!(r, Report::Failed { frozen: false, .. })), "{reports:?}");
    let distinct: std::collections::BTreeSet<_> = prepared.values().map(crate::gateway::nonce).collect();
    assert_eq!(distinct.len(), members.len());
    world.close().await;
}

#[tokio::test]
async fn sessions_are_limited() {
    let mut world = World::with(|peers| peers[0].policy.max_sessions = 2, |_| {}).await;
    world.peers[0].rows(&["1;3", "1;3", "1;3"]).await;
    let victim = world.peers[0].fingerprint();
    let mut sessions: Vec<SessionId> = Vec::new();
    for slot in 0..2 {
        let job = world.job(slot);
        sessions.push(job.session);
        let reports = world.gateway.prepare(&[victim], &world.consensus, &job).await;
        assert!(matches!(reports[&victim], Report::Prepared { .. }));
    }
    let job = world.job(2);
    let plan = digest(&world.consensus, &job);
    assert_eq!(declined(&mut world, &victim, &job, plan).await, Decline::Busy);
    world.gateway.send(&victim, &ToPeer::Abort { session: sessions[0] });
    let job = world.job(2);
    let reports = world.gateway.prepare(&[victim], &world.consensus, &job).await;
    assert!(matches!(reports[&victim], Report::Prepared { .. }));
    world.close().await;
}
