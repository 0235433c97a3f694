//! Clients' tasks under a gateway that does not keep the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tacit_accord::{Member, MemberRole, canonical};
use tacit_job::{Ask, Decline, Fault, Job, JobError, Report, Source, ToGateway, ToPeer, plan_of, status};
use tacit_link::{LinkConfig, LinkHub};
use tacit_model::api::{PeerPolicy, TaskRequest, TaskSignature};
use tacit_model::{Attempt, Clock, Fingerprint, SystemClock};
use tacit_party::source::SampleText;
use tacit_party::{PartyLimits, Policy};
use tacit_pki::envelope::{Context, sign_detached};

use crate::gateway::Open;
use crate::room::{
    ask, declined, is_done, job, learned, prepared, request, return_of_e, room, room_for, room_with, run_and_lose_e,
    trouble,
};
use crate::world::{Peer, World, identity, sign_first, sign_next};

#[tokio::test]
async fn rule3_second_opening_without_the_victim_is_refused() {
    let mut world = room().await;
    let first = ask(&world, 1);
    let whole = job(&world, &first, 1);
    let reports = world.gateway.run(&world.consensus, &whole).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    assert_eq!(learned(&world, &first).await.unwrap().1, 5);

    // Another request over the same records: what they gave, they gave together with e.
    let second = ask(&world, 2);
    let mut fewer = job(&world, &second, 2);
    fewer.inputs.retain(|input| *input != world.peers[4].fingerprint());
    for peer in 0..4 {
        assert_eq!(declined(&mut world, peer, &fewer).await, Decline::Policy);
        assert!(trouble(&world, peer).await.contains("with other members before"));
    }
    // With everybody it may be asked again.
    let third = ask(&world, 3);
    let again = job(&world, &third, 3);
    assert!(world.gateway.run(&world.consensus, &again).await.values().all(is_done));

    // The first request once more, without e: every computing peer refuses, also after a restart.
    for session in [4, 5] {
        let mut again = job(&world, &first, session);
        again.attempt = Attempt(1);
        again.inputs.retain(|input| *input != world.peers[4].fingerprint());
        // The recipient says what it said before: the sum of all five.
        let said = prepared(&mut world, 0, &again).await;
        assert!(matches!(&said, Report::Done { contributors: 5, agreement, .. } if agreement.is_some()), "{said:?}");
        for peer in 1..4 {
            assert_eq!(declined(&mut world, peer, &again).await, Decline::Frozen { done: None, session: None });
        }
        for peer in 0..5 {
            let fingerprint = world.peers[peer].fingerprint();
            world.peers[peer].close().await;
            world.peers[peer].open().await;
            world.gateway.hello(&fingerprint).await;
        }
    }
    assert_eq!(learned(&world, &first).await.unwrap().1, 5);
    world.close().await;
}

/// The history of a peer is about those whose data went in, not about those whom the job named.
#[tokio::test]
async fn rule3_who_was_lost_before_the_freeze_is_no_company() {
    for model in ["semi-honest", "guaranteed"] {
        let mut world = room().await;
        let in_model = |world: &World, nonce: u8| {
            let request = TaskRequest { model: model.to_owned(), ..request(world, nonce, "last_1h") };
            Ask::admit(request, None, &world.gateway.identity).unwrap()
        };
        let first = in_model(&world, 1);
        let attempt = job(&world, &first, 1);
        let done = run_and_lose_e(&mut world, &attempt).await;
        assert!(done.values().all(is_done), "{model}: {done:?}");
        assert_eq!(learned(&world, &first).await.unwrap().1, 4);

        // The difference of a sum with e and this one would be e's value, although both jobs name it.
        let lost = return_of_e(&mut world).await;
        let second = in_model(&world, 2);
        let whole = job(&world, &second, 2);
        for peer in 0..4 {
            assert_eq!(declined(&mut world, peer, &whole).await, Decline::Policy, "{model}");
        }
        // The same four may be asked again.
        let third = in_model(&world, 3);
        let mut fewer = job(&world, &third, 3);
        fewer.inputs.retain(|input| *input != lost);
        let reports = world.gateway.run(&world.consensus, &fewer).await;
        assert!(reports.values().all(is_done), "{model}: {reports:?}");
        world.close().await;
    }
}

/// The other way round: everybody went into the first sum, and one is lost on the way to the second. The peers find out
/// at the freeze, and nothing is opened.
#[tokio::test]
async fn rule3_a_loss_on_the_way_does_not_make_a_second_set() {
    let mut world = room().await;
    let first = ask(&world, 1);
    let whole = job(&world, &first, 1);
    assert!(world.gateway.run(&world.consensus, &whole).await.values().all(is_done));

    let second = ask(&world, 2);
    let attempt = job(&world, &second, 2);
    let done = run_and_lose_e(&mut world, &attempt).await;
    assert!(done.values().all(|report| matches!(report, Report::Failed { frozen: false, .. })), "{done:?}");
    assert_eq!(learned(&world, &second).await, None);
    assert!(trouble(&world, 0).await.contains("exactly those contributors"));
    world.close().await;
}

/// Operators are counted in the set that is bound, not in the one that the job names: of five operators four are left
/// when e is lost, and nobody opens that.
#[tokio::test]
async fn f05_a_loss_leaves_no_fewer_operators_than_the_policy_wants() {
    let wary = |min_operators| PeerPolicy { min_operators, ..PeerPolicy::default() };
    let mut world = room_with(
        PartyLimits::default().session,
        |peers| peers[..4].iter_mut().for_each(|peer| peer.policy = Policy::from(wary(5))),
        |_| {},
    )
    .await;
    let first = ask(&world, 1);
    let attempt = job(&world, &first, 1);
    let done = run_and_lose_e(&mut world, &attempt).await;
    let declined_the_set = |report: &Report| *report == Report::Failed { fault: Fault::Own, frozen: false };
    assert!(done.values().all(declined_the_set), "{done:?}");
    assert_eq!(learned(&world, &first).await, None);
    for peer in 0..4 {
        let why = trouble(&world, peer).await;
        assert!(why.contains("4 operators would give data, this peer's policy wants at least 5"), "{why}");
    }
    // Nothing of it was bound.
    return_of_e(&mut world).await;
    let second = ask(&world, 2);
    let whole = job(&world, &second, 2);
    assert!(world.gateway.run(&world.consensus, &whole).await.values().all(is_done));
    assert_eq!(learned(&world, &second).await.unwrap().1, 5);

    // Who only gives signs no set: it looks at the worst one that the task would go on with, which is one with d, of the
    // same operator now.
    let e = world.peers[4].fingerprint();
    let mut charter = world.consensus.charter().clone();
    let operator_of_d = charter.member(&world.peers[3].fingerprint()).unwrap().operator.clone();
    charter.members.iter_mut().filter(|m| m.fingerprint == e).for_each(|m| m.operator.clone_from(&operator_of_d));
    world.consensus = sign_next(&world.consensus, charter, &world.manager);
    world.gateway.charter(&e, &world.consensus).await;
    world.peers[4].party().set_policy(Some(wary(3))).await.unwrap();
    for (number, least, willing) in [(3, 3, false), (4, 4, true), (5, 5, true)] {
        let request = TaskRequest { min_participants: least, ..request(&world, number, "last_1h") };
        let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
        let job = job(&world, &ask, number);
        match prepared(&mut world, 4, &job).await {
            Report::Prepared { .. } if willing => {}
            Report::Declined { why: Decline::Policy } if !willing => {
                assert!(trouble(&world, 4).await.contains("2 operators would give data"));
            }
            other => panic!("{least}: {other:?}"),
        }
    }
    world.close().await;
}

#[tokio::test]
async fn rule1_sybils_and_swapped_certificates_get_nothing_of_a_task() {
    // Links that nobody answers are given up soon.
    let change = |peers: &mut Vec<Peer>| peers.iter_mut().for_each(|peer| peer.limits.link = Duration::from_secs(1));
    let mut world = room_with(PartyLimits::default().session, change, |_| {}).await;
    let ask = ask(&world, 1);
    let sybil = identity("sybil");
    let stranger = sybil.fingerprint();

    // As computing peer, as input peer, as recipient; added, or in the place of a member.
    let changes: [fn(&mut Job, Fingerprint); 5] = [
        |job, stranger| job.compute.push(stranger),
        |job, stranger| job.inputs.push(stranger),
        |job, stranger| job.recipients.push(stranger),
        |job, stranger| job.compute[1] = stranger,
        |job, stranger| job.inputs[1] = stranger,
    ];
    for (number, change) in (1..).zip(changes) {
        let mut job = job(&world, &ask, number);
        change(&mut job, stranger);
        assert_eq!(declined(&mut world, 0, &job).await, Decline::Roster);
    }
    // Under a charter that only the gateway knows.
    let known = world.consensus.clone();
    let mut charter = known.charter().clone();
    charter.members.push(Member {
        name: "sybil".to_owned(),
        fingerprint: stranger,
        operator: "sybil".to_owned(),
        role: MemberRole::Both,
        endpoint: "127.0.0.1:1".to_owned(),
    });
    let forger = identity("no manager");
    charter.manager = forger.public_key().to_base64();
    let forged = sign_first(charter, &forger);
    world.gateway.send(&world.peers[0].fingerprint(), &ToPeer::Charter { documents: vec![forged.to_document()] });
    world.consensus = forged;
    let job_of_forged = job(&world, &ask, 10);
    assert_eq!(declined(&mut world, 0, &job_of_forged).await, Decline::Charter);
    world.consensus = known;

    // At a member's address there is somebody with another certificate: there is no link, so no share leaves.
    let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let _impostor = hub.host(Arc::clone(&sybil), Arc::new(Open)).unwrap();
    let job = job(&world, &ask, 11);
    let members = job.members();
    let ready = world.gateway.prepare(&members, &world.consensus, &job).await;
    let ToPeer::Link { session, nonces, endpoints } = world.gateway.link_message(&world.consensus, &job, &ready) else {
        panic!("a link message")
    };
    let endpoints = endpoints.iter().map(|_| hub.local_addr().to_string()).collect();
    let linked = world.gateway.phase(&members, session, &ToPeer::Link { session, nonces, endpoints }).await;
    assert!(!linked.values().any(|report| *report == Report::Linked), "{linked:?}");
    world.close().await;
}

/// Each half of the peers is told of other input peers, under one session.
#[tokio::test]
async fn rule3_two_jobs_of_one_session_open_nothing() {
    // Peers that computed other plans may wait for each other's messages: until the deadline.
    let mut world = room_for(Duration::from_secs(1)).await;
    let ask = ask(&world, 1);
    let whole = job(&world, &ask, 1);
    let mut fewer = whole.clone();
    fewer.inputs.retain(|input| *input != world.peers[3].fingerprint());
    let members = whole.members();
    let mut ready = BTreeMap::new();
    for (peer, member) in world.peers.iter().map(Peer::fingerprint).enumerate().collect::<Vec<_>>() {
        let told = if peer % 2 == 0 { &whole } else { &fewer };
        ready.insert(member, prepared(&mut world, peer, told).await);
    }
    let link = world.gateway.link_message(&world.consensus, &whole, &ready);
    world.gateway.phase(&members, whole.session, &link).await;
    let done = world.gateway.phase(&members, whole.session, &ToPeer::Session { session: whole.session }).await;
    // Who only gives does not hear how it ends.
    let gives = world.peers[4].fingerprint();
    assert!(!done.iter().any(|(member, report)| *member != gives && is_done(report)), "{done:?}");
    assert_eq!(learned(&world, &ask).await, None);
    world.close().await;
}

#[tokio::test]
async fn f04_tampered_tasks_are_refused() {
    let mut world = room().await;
    let honest = ask(&world, 1);
    let tampered: [fn(&mut TaskRequest); 4] = [
        |request| request.purpose = "curiosity".to_owned(),
        |request| request.recipients.clear(),
        |request| request.min_participants = 2,
        |request| request.tell_gateway = true,
    ];
    for (number, change) in (1..).zip(tampered) {
        let changed = Ask { request: honest.request.with(change), ..honest.clone() };
        let job = job(&world, &changed, number);
        assert_eq!(declined(&mut world, 0, &job).await, Decline::Plan);
        assert!(trouble(&world, 0).await.contains("signature does not fit"));
    }
    // A ticket of another gateway, and a client's signature under something else.
    let foreign = Ask::admit((*honest.request).clone(), None, &identity("other gateway")).unwrap();
    let foreign = job(&world, &foreign, 10);
    assert_eq!(declined(&mut world, 0, &foreign).await, Decline::Plan);
    let client = identity("client");
    let mut signed = honest.clone();
    signed.client = Some(tacit_job::sign_request(&request(&world, 9, "last_1h"), &client));
    let signed = job(&world, &signed, 11);
    assert_eq!(declined(&mut world, 0, &signed).await, Decline::Plan);
    // A result number of its own, under which the same request could be asked twice.
    let mut renamed = job(&world, &honest, 12);
    renamed.run = tacit_model::RunId(-5);
    assert_eq!(declined(&mut world, 0, &renamed).await, Decline::Plan);
    world.close().await;
}

/// A gateway that signs for an aggregator that there is none of is answered with UNKNOWN_CMD (33), and nothing is computed.
#[tokio::test]
async fn f15_f19_an_unknown_aggregator_is_an_unknown_command() {
    let mut world = room().await;
    let honest = ask(&world, 1);
    let request = honest.request.with(|request| "mode".clone_into(&mut request.aggregator));
    let text = canonical(&request).unwrap();
    let signature = sign_detached(&world.gateway.identity, Context::Prepare, text.as_bytes());
    let ticket = TaskSignature { signature: hex::encode(signature), ..honest.ticket.clone() };
    let unknown = Ask { request, client: None, ticket };
    assert_eq!(unknown.verify(&world.gateway.identity.fingerprint()), Ok(None));
    let mut asked = job(&world, &honest, 1);
    asked.run = unknown.run();
    asked.task.aggregator = "mode".to_owned();
    asked.task.source = Source::Series(Box::new(unknown));
    for peer in 0..5 {
        let said = prepared(&mut world, peer, &asked).await;
        assert_eq!(status(&said), (33, "UNKNOWN_CMD"), "{said:?}");
        let why = trouble(&world, peer).await;
        assert!(why.contains("UNKNOWN_CMD (33): there is no aggregator \"mode\""), "{why}");
    }
    world.close().await;
}

/// All that a gateway hears of peers while they compute a task, and of their values nothing: neither as a number nor in bytes.
/// The result is for the recipient that the task names, so it does not hear that either.
#[tokio::test]
async fn f01_f02_what_peers_say_to_a_gateway_holds_no_value() {
    const VALUES: [u64; 5] = [712_345_679_112, 623_456_781_223, 534_567_812_334, 445_678_123_445, 356_781_234_556];
    let mut world = room().await;
    for (peer, value) in world.peers.iter().zip(VALUES) {
        let values = BTreeMap::from([("level".to_owned(), tacit_store::Redacted(value.to_string()))]);
        let sample = SampleText { at: SystemClock.now(), values };
        peer.party().add_samples(vec![sample]).await.unwrap();
    }
    let request = TaskRequest { most: "999999999999".to_owned(), ..request(&world, 1, "now") };
    let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
    let attempt = job(&world, &ask, 1);
    let reports = world.gateway.run(&world.consensus, &attempt).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    let sum = VALUES.iter().sum::<u64>();
    let (learned, contributors) = learned(&world, &ask).await.unwrap();
    assert!(learned.contains(&sum.to_string()) && contributors == 5, "the recipient knows: {learned}");
    // What follows a result is heard, too.
    for member in attempt.members() {
        let is_part = |message: &ToGateway| matches!(message, ToGateway::Receipt { .. }).then_some(());
        world.gateway.expect(&member, is_part).await;
    }
    let heard = world.gateway.heard();
    let kinds: BTreeSet<&str> = heard.iter().filter_map(|text| text.split('"').nth(1)).collect();
    let known = ["accepted", "hello", "offer", "receipt", "receipts_awaited", "report", "request", "rows", "witnessed"];
    assert!(kinds.contains("report") && kinds.contains("receipt"), "{kinds:?}");
    assert!(kinds.iter().all(|kind| known.contains(kind)), "{kinds:?}");
    for value in VALUES.into_iter().chain([sum]) {
        // In digits, and in the hexadecimal digits of its bytes, either way round.
        let [big, little] = [value.to_be_bytes(), value.to_le_bytes()].map(hex::encode);
        for form in [value.to_string(), big.trim_start_matches('0').to_owned(), little.trim_end_matches('0').to_owned()]
        {
            assert!(form.len() >= 10 && heard.iter().all(|text| !text.contains(&form)), "{value} as {form}");
        }
    }
    world.close().await;
}

/// Which program gets the inputs is for the charter to say, not for a client or a gateway.
#[tokio::test]
async fn f15_a_task_for_a_provider_that_the_charter_does_not_name_is_refused() {
    let mut world = room().await;
    let mut request = request(&world, 1, "last_1h");
    request.parameters.insert("provider".to_owned(), "mpyc".to_owned());
    let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
    let asked = job(&world, &ask, 1);
    for peer in 0..5 {
        assert_eq!(declined(&mut world, peer, &asked).await, Decline::Plan);
        let why = trouble(&world, peer).await;
        assert!(why.contains("the charter does not name the SMC provider \"mpyc\""), "{why}");
    }
    // Under a charter that names it, it is refused for what it asks of a provider, if at all; another one is not agreed.
    let mut charter = world.consensus.charter().clone();
    charter.configuration.as_mut().unwrap().parameters.insert("provider".to_owned(), "mpyc".to_owned());
    world.consensus = sign_next(&world.consensus, charter, &world.manager);
    let planned = plan_of(&world.consensus, &job(&world, &ask, 2));
    assert!(matches!(planned, Err(JobError::Provider(_))), "{:?}", planned.err());
    let other = ask.request.with(|task| _ = task.parameters.insert("provider".to_owned(), "other".to_owned()));
    let other = Ask::admit(other.into(), None, &world.gateway.identity).unwrap();
    let refused = plan_of(&world.consensus, &job(&world, &other, 3));
    assert_eq!(refused.unwrap_err(), JobError::ProviderNotAgreed("other".to_owned()));
    world.close().await;
}

/// A peer that was cut off before its own freeze may be asked again, and is in one result only.
#[tokio::test]
async fn rule3_an_attempt_that_was_not_frozen_leaves_nothing() {
    let mut world = room().await;
    let ask = ask(&world, 1);
    let attempt = job(&world, &ask, 1);
    let mut members = attempt.members();
    let ready = world.gateway.prepare(&members, &world.consensus, &attempt).await;
    let link = world.gateway.link_message(&world.consensus, &attempt, &ready);
    world.gateway.phase(&members, attempt.session, &link).await;
    // One of the computing peers is never told to begin, and all are told to stop.
    members.sort_by_key(|member| *member != world.peers[0].fingerprint());
    for member in &members[1..] {
        world.gateway.send(member, &ToPeer::Session { session: attempt.session });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    for member in &members {
        world.gateway.send(member, &ToPeer::Abort { session: attempt.session });
    }
    let gives = world.peers[4].fingerprint();
    for member in members[1..].iter().filter(|member| **member != gives) {
        let report = world.gateway.report(member, attempt.session).await;
        // It was told, or others that were told before it had left already.
        let Report::Failed { frozen: false, fault } = &report else { panic!("{report:?}") };
        let left = |gone: &Fingerprint| gone != member && members.contains(gone);
        let is_true = match fault {
            Fault::Ended => true,
            Fault::Lost { members: lost } => !lost.is_empty() && lost.iter().all(left),
            _ => false,
        };
        assert!(is_true, "{report:?}");
    }
    // Without e: nothing was opened with it, so nothing stands against it.
    let mut fewer = job(&world, &ask, 2);
    fewer.attempt = Attempt(1);
    fewer.inputs.retain(|input| *input != world.peers[4].fingerprint());
    let reports = world.gateway.run(&world.consensus, &fewer).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    assert_eq!(learned(&world, &ask).await.unwrap().1, 4);
    world.close().await;
}
