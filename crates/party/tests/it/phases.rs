//! The automaton of a session, and several of them.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use tacit_accord::MemberRole;
use tacit_job::{Ask, AskError, Decline, Fault, Job, Report, ToPeer, sign_request};
use tacit_model::api::{ParentTask, PeerPolicy, TaskRepeat, TaskRequest, TaskSignature};
use tacit_model::{Attempt, Fingerprint, GroupId, SessionId, Slot};
use tacit_party::{PartyLimits, Policy};

use crate::room::{declined, is_done, job, learned, request, room_with, trouble};
use crate::world::{Peer, RUN, World, identity};

/// Prepare, Link, Session: a step that does not follow the one before is answered by ABORTED, and what was prepared
/// is given up. In the right order each slot has a fresh result.
#[tokio::test]
async fn f17_only_prepare_link_session_in_this_order() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3", "4;5"]).await;
    world.peers[1].rows(&["2;5", "3;4"]).await;
    let peer = world.peers[0].fingerprint();
    let aborted = Report::Failed { fault: Fault::Order, frozen: false };
    assert_eq!(tacit_job::status(&aborted), (65, "ABORTED"));
    let link = |session| ToPeer::Link { session, nonces: vec!["00".repeat(32); 5], endpoints: vec![String::new(); 5] };

    // Of sessions that nobody has prepared.
    let (one, other) = (SessionId([90; 16]), SessionId([91; 16]));
    for (session, step) in [(one, link(one)), (other, ToPeer::Session { session: other })] {
        world.gateway.send(&peer, &step);
        assert_eq!(world.gateway.report(&peer, session).await, aborted);
    }

    // Session after Prepare; then the Link comes too late, and the id is used up.
    let job = world.job(0);
    let prepared = world.gateway.prepare(&[peer], &world.consensus, &job).await;
    assert!(matches!(prepared[&peer], Report::Prepared { .. }), "{prepared:?}");
    for step in [ToPeer::Session { session: job.session }, link(job.session)] {
        world.gateway.send(&peer, &step);
        assert_eq!(world.gateway.report(&peer, job.session).await, aborted);
    }
    let again = world.gateway.prepare(&[peer], &world.consensus, &job).await;
    assert_eq!(again[&peer], Report::Declined { why: Decline::Busy });
    assert_eq!(world.peers[0].party().status().await.unwrap().open_sessions, 0);

    let mut agreements = Vec::new();
    for slot in 0..2 {
        let job = world.job(slot);
        let reports = world.gateway.run(&world.consensus, &job).await;
        match &reports[&peer] {
            Report::Done { agreement: Some(agreement), .. } => agreements.push(agreement.clone()),
            other => panic!("{other:?}"),
        }
        // What is over is not run again.
        world.gateway.send(&peer, &ToPeer::Session { session: job.session });
        assert_eq!(world.gateway.report(&peer, job.session).await, aborted);
    }
    assert_ne!(agreements[0], agreements[1]);
    let results = world.peers[0].party().results(RUN).await.unwrap();
    assert_eq!(results.iter().map(|r| r.text()).collect::<Vec<_>>(), ["3;8", "7;9"]);
    world.close().await;
}

/// A gateway may wait before each step, and not longer: what it leaves alone is given up, and nobody sends shares by what it was
/// willing to do long ago.
#[tokio::test]
async fn f17_a_step_that_comes_too_late_is_out_of_order() {
    let step = Duration::from_secs(2);
    let hurried = |peers: &mut Vec<Peer>| peers.iter_mut().for_each(|peer| peer.limits.step = step);
    let mut world = room_with(PartyLimits::default().session, hurried, |_| {}).await;
    let ask = Ask::admit(request(&world, 1, "last_1h"), None, &world.gateway.identity).unwrap();
    let aborted = Report::Failed { fault: Fault::Order, frozen: false };
    let (soon, late) = (step * 11 / 20, step * 21 / 20);
    for (attempt, pauses) in [(0, [late, soon]), (1, [soon, late]), (2, [soon, soon])] {
        let job = Job { attempt: Attempt(attempt), ..job(&world, &ask, u8::try_from(attempt).unwrap() + 1) };
        let members = job.members();
        let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
        let link = world.gateway.link_message(&world.consensus, &job, &prepared);
        tokio::time::sleep(pauses[0]).await;
        let linked = world.gateway.phase(&members, job.session, &link).await;
        if pauses[0] == late {
            assert!(linked.values().all(|report| *report == aborted), "{linked:?}");
            assert_eq!(world.peers[0].party().status().await.unwrap().open_sessions, 0);
            continue;
        }
        assert!(linked.values().all(|report| *report == Report::Linked), "{linked:?}");
        tokio::time::sleep(pauses[1]).await;
        let ended = world.gateway.phase(&members, job.session, &ToPeer::Session { session: job.session }).await;
        match pauses[1] == late {
            true => assert!(ended.values().all(|report| *report == aborted), "{ended:?}"),
            false => assert!(ended.values().all(is_done), "{ended:?}"),
        }
    }
    world.close().await;
}

/// Who computes deals its input as soon as it has its links. Nobody hears of it, and nothing is frozen or spent by it: an attempt
/// that is given up then is followed by another one, with whomever.
#[tokio::test]
async fn rule3_what_is_dealt_ahead_of_session_binds_nobody() {
    let mut world = room_with(PartyLimits::default().session, |_| {}, |_| {}).await;
    let ask = Ask::admit(request(&world, 1, "last_1h"), None, &world.gateway.identity).unwrap();
    for (number, without) in [(0, None), (1, Some(3)), (2, Some(4))] {
        let mut job = Job { attempt: Attempt(number), ..job(&world, &ask, u8::try_from(number).unwrap() + 1) };
        let without: Option<Fingerprint> = without.map(|place: usize| world.peers[place].fingerprint());
        job.inputs.retain(|member| Some(*member) != without);
        let members = job.members();
        let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
        world.gateway.link(&world.consensus, &job, &prepared).await;
        if number == 2 {
            let ended = world.gateway.phase(&members, job.session, &ToPeer::Session { session: job.session }).await;
            assert!(ended.values().all(is_done), "{ended:?}");
            continue;
        }
        // All that can be dealt is dealt.
        tokio::time::sleep(Duration::from_millis(100)).await;
        members.iter().for_each(|member| world.gateway.send(member, &ToPeer::Abort { session: job.session }));
        for member in &members {
            // It is the next thing that it says of the session.
            world.gateway.send(member, &ToPeer::Session { session: job.session });
            let aborted = Report::Failed { fault: Fault::Order, frozen: false };
            assert_eq!(world.gateway.report(member, job.session).await, aborted);
        }
        for peer in &world.peers {
            let status = peer.party().status().await.unwrap();
            assert!(status.open_sessions == 0 && status.last_trouble.is_none(), "{status:?}");
        }
    }
    assert_eq!(learned(&world, &ask).await.unwrap().1, 4);
    world.close().await;
}

/// How far ahead a slot is says the gateway, and a peer that only computes has no row by which it would know better. It has
/// nothing to tidy up behind it, and ends when it is told to.
#[tokio::test]
async fn f17_a_slot_far_ahead_keeps_no_peer_busy() {
    let mut world = World::small().await;
    let peer = world.peers[2].fingerprint();
    let job = world.job(1 << 62);
    let prepared = world.gateway.prepare(&[peer], &world.consensus, &job).await;
    assert!(matches!(prepared[&peer], Report::Prepared { .. }), "{prepared:?}");
    tokio::time::timeout(Duration::from_secs(60), world.close()).await.expect("the peers end");
}

/// A gateway that falls silent in the middle leaves nothing open, with nobody saying anything more, and the slot can be tried again.
#[tokio::test]
async fn rule3_a_session_that_is_not_continued_is_given_up() {
    let step = Duration::from_secs(2);
    let short = |peers: &mut Vec<Peer>| peers.iter_mut().for_each(|peer| peer.limits.step = step);
    let mut world = room_with(PartyLimits::default().session, short, |_| {}).await;
    let ask = Ask::admit(request(&world, 1, "last_1h"), None, &world.gateway.identity).unwrap();
    for number in 0..3 {
        let job = Job { attempt: Attempt(number), ..job(&world, &ask, u8::try_from(number).unwrap() + 1) };
        let members = job.members();
        let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
        assert!(prepared.values().all(|report| matches!(report, Report::Prepared { .. })), "{prepared:?}");
        if number > 0 {
            world.gateway.link(&world.consensus, &job, &prepared).await;
        }
        if number == 2 {
            let ended = world.gateway.phase(&members, job.session, &ToPeer::Session { session: job.session }).await;
            assert!(ended.values().all(is_done), "{ended:?}");
            continue;
        }
        for peer in &world.peers {
            assert_eq!(peer.party().status().await.unwrap().open_sessions, 1);
        }
        for peer in &world.peers {
            let given_up = async {
                while peer.party().status().await.unwrap().open_sessions > 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(10 * step, given_up).await.expect("it is given up");
        }
    }
    world.close().await;
}

/// A peer that computes finds its own row wrong when it deals, which may be before all have their links: it says so, and its slot is
/// over, when the session begins. Until then the attempt is given up like any other.
#[tokio::test]
async fn p19_a_wrong_row_of_who_computes_fails_in_session_and_not_before() {
    let both = |peers: &mut Vec<Peer>| {
        *peers = ["a", "b", "c"].map(|name| Peer::new(name, MemberRole::Both)).into();
    };
    let mut world = World::with(both, |_| {}).await;
    for (peer, row) in world.peers.iter().zip(["1000;1001", "1;1", "2;2"]) {
        peer.rows(&[row]).await;
    }
    let bad = world.peers[0].fingerprint();
    for number in 0..2 {
        let job = Job { attempt: Attempt(number), ..world.job(0) };
        let members = job.members();
        let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
        let willing = |report: &Report| matches!(report, Report::Prepared { .. });
        assert!(prepared.values().all(willing), "{prepared:?}");
        let link = world.gateway.link_message(&world.consensus, &job, &prepared);
        world.gateway.phase(&members, job.session, &link).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(world.peers[0].party().status().await.unwrap().last_trouble.is_none());
        if number == 0 {
            members.iter().for_each(|member| world.gateway.send(member, &ToPeer::Abort { session: job.session }));
            continue;
        }
        let ended = world.gateway.phase(&members, job.session, &ToPeer::Session { session: job.session }).await;
        assert_eq!(ended[&bad], Report::Failed { fault: Fault::Own, frozen: false });
        assert!(trouble(&world, 0).await.contains("above maxElement"));
        let again = Job { attempt: Attempt(2), ..world.job(0) };
        let again = world.gateway.prepare(&[bad], &world.consensus, &again).await;
        assert!(matches!(again[&bad], Report::Declined { why: Decline::Frozen { .. } }), "{again:?}");
    }
    world.close().await;
}

/// The thesis lets Prepare follow on Prepare, and on Link, within a session. Here a session id is used once (rule 4): within
/// one, the second Prepare is refused and the first one stands; what a repair prepares anew is a session of its own.
#[tokio::test]
async fn f17_prepare_after_prepare_or_link_is_a_session_of_its_own() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let mut attempt = |number| Job { attempt: Attempt(number), ..world.job(0) };
    let attempts = [attempt(0), attempt(1), attempt(2)];
    let members = attempts[0].members();
    let mut nonces = HashSet::new();
    let mut ready = Vec::new();
    for job in &attempts {
        let prepared = world.gateway.prepare(&members, &world.consensus, job).await;
        for report in prepared.values() {
            match report {
                Report::Prepared { nonce } => assert!(nonces.insert(nonce.clone()), "a nonce of before"),
                other => panic!("{other:?}"),
            }
        }
        let again = world.gateway.prepare(&members, &world.consensus, job).await;
        assert!(again.values().all(|r| *r == Report::Declined { why: Decline::Busy }), "{again:?}");
        if ready.is_empty() {
            // What is prepared next follows on Link.
            world.gateway.link(&world.consensus, job, &prepared).await;
            let again = world.gateway.prepare(&members, &world.consensus, job).await;
            assert!(again.values().all(|r| *r == Report::Declined { why: Decline::Busy }), "{again:?}");
        }
        ready.push(prepared);
    }
    let [_, given_up, last] = &attempts;
    let link = world.gateway.link_message(&world.consensus, last, &ready[2]);
    world.gateway.phase(&members, last.session, &link).await;
    let done = world.gateway.phase(&members, last.session, &ToPeer::Session { session: last.session }).await;
    assert!(done.values().all(|report| matches!(report, Report::Done { .. })), "{done:?}");
    // The one in between was never linked.
    let peer = world.peers[0].fingerprint();
    world.gateway.send(&peer, &ToPeer::Session { session: given_up.session });
    let aborted = Report::Failed { fault: Fault::Order, frozen: false };
    assert_eq!(world.gateway.report(&peer, given_up.session).await, aborted);
    let results = world.peers[0].party().results(RUN).await.unwrap();
    assert_eq!(results.iter().map(|r| r.text()).collect::<Vec<_>>(), ["3;8"]);
    world.close().await;
}

/// Two sessions at the same peers, their phases interleaved, both on their way before either has ended.
#[tokio::test]
async fn f18_two_sessions_of_a_peer_run_beside_each_other() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3", "4;5"]).await;
    world.peers[1].rows(&["2;5", "3;4"]).await;
    let jobs = [world.job(0), world.job(1)];
    let members = jobs[0].members();
    let mut prepared = Vec::new();
    for job in &jobs {
        prepared.push(world.gateway.prepare(&members, &world.consensus, job).await);
    }
    for (job, prepared) in jobs.iter().zip(&prepared).rev() {
        world.gateway.link(&world.consensus, job, prepared).await;
    }
    assert_eq!(world.peers[0].party().status().await.unwrap().open_sessions, 2);
    for job in &jobs {
        for member in &members {
            world.gateway.send(member, &ToPeer::Session { session: job.session });
        }
    }
    for job in &jobs {
        for member in &members {
            let report = world.gateway.report(member, job.session).await;
            assert!(matches!(report, Report::Done { .. }), "{report:?}");
        }
    }
    for peer in &world.peers[..2] {
        let results = peer.party().results(RUN).await.unwrap();
        assert_eq!(results.iter().map(|r| r.text()).collect::<Vec<_>>(), ["3;8", "7;9"]);
        assert_eq!(peer.party().status().await.unwrap().open_sessions, 0);
    }
    world.close().await;
}

/// The owner changes their mind between Prepare and Link: the peer withdraws, and gives nothing.
#[tokio::test]
async fn f05_a_policy_that_changes_before_the_links_withdraws_the_peer() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let job = world.job(0);
    let members = job.members();
    let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
    let party = world.peers[0].party();
    let (own, mut policy) = party.policy();
    assert!(!own);
    policy.models = vec!["malicious".to_owned()];
    party.set_policy(Some(policy)).await.unwrap();
    let peer = world.peers[0].fingerprint();
    let link = world.gateway.link_message(&world.consensus, &job, &prepared);
    world.gateway.send(&peer, &link);
    assert_eq!(world.gateway.report(&peer, job.session).await, Report::Declined { why: Decline::Policy });
    let status = world.peers[0].party().status().await.unwrap();
    assert!(status.last_trouble.is_some_and(|t| t.what.contains("DENIED (34)") && t.what.contains("semi-honest")));
    assert_eq!((status.open_sessions, status.queued_rows), (0, 1), "the row waits for another session");
    // With the old policy the same slot is computed.
    world.peers[0].party().set_policy(None).await.unwrap();
    for member in &members[..] {
        world.gateway.send(member, &ToPeer::Abort { session: job.session });
    }
    let job = world.job(0);
    let reports = world.gateway.run(&world.consensus, &job).await;
    assert!(reports.values().all(|report| matches!(report, Report::Done { .. })), "{reports:?}");
    world.close().await;
}

/// Where the client gave its owner no time, the owner reads what the client has to do.
#[tokio::test]
async fn f05_an_owner_reads_that_the_client_gave_no_time_for_approval() {
    let asks = Policy::from(PeerPolicy { manual_approval: true, ..PeerPolicy::default() });
    let mut world = room_with(PartyLimits::default().session, |peers| peers[0].policy = asks, |_| {}).await;
    let repeat = Some(TaskRepeat { every_s: 60, times: 3 });
    for (nonce, approval_s, repeat, no_time, decide) in
        [(1, 0, None, true, false), (2, 600, None, false, true), (3, 0, repeat, true, true)]
    {
        let asked = TaskRequest { approval_s, repeat, ..request(&world, nonce, "last_1h") };
        let asked = Ask::admit(asked, None, &world.gateway.identity).unwrap();
        let job = job(&world, &asked, nonce);
        assert_eq!(declined(&mut world, 0, &job).await, Decline::Waiting);
        let why = trouble(&world, 0).await;
        assert!(why.contains(&format!("task {} waits for this peer's owner", asked.id())), "{why}");
        let says = (why.contains("`tacit task run --approval SECONDS`"), why.contains("`tacit policy approve "));
        assert_eq!(says, (no_time, decide), "{why}");
    }
    world.close().await;
}

/// A branch that is not here is refused when it is named, and not only when its part is asked for.
#[tokio::test]
async fn w2_a_policy_names_no_branch_that_is_not_here() {
    let rules = |branch: &str, purpose: &str| PeerPolicy {
        branch: vec![branch.to_owned()],
        purposes: vec![purpose.to_owned()],
        ..PeerPolicy::default()
    };
    let world = World::with(|peers| peers[0].policy = Policy::from(rules("gone", "level")), |_| {}).await;
    let party = world.peers[0].party();
    // Nor is it a branch of itself.
    for name in ["b1", world.peers[0].name.as_str()] {
        let refused = party.set_policy(Some(rules(name, "level"))).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("branch={name} is no party")) && refused.contains("has none"), "{refused}");
    }
    assert_eq!(party.policy(), (false, rules("gone", "level")));
    // One that was named before may have left: the other rules can be changed.
    party.set_policy(Some(rules("gone", "other"))).await.unwrap();
    party.set_policy(Some(PeerPolicy::default())).await.unwrap();
    world.close().await;
}

/// A series that its owner does not give from is not offered; a gateway that asks for it all the same, as a value or in a
/// condition, is declined, and the owner reads why.
#[tokio::test]
async fn f05_a_series_that_the_policy_does_not_name_is_not_given() {
    let rules = |sources: &[&str]| PeerPolicy {
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        conditions: true,
        ..PeerPolicy::default()
    };
    let first = |peers: &mut Vec<Peer>| peers[0].policy = Policy::from(rules(&["other"]));
    let mut world = room_with(PartyLimits::default().session, first, |_| {}).await;
    for (session, sources, filter, reason) in [
        (1, &["other"][..], vec![], Some("level")),
        (2, &["level"][..], vec!["other>=1".to_owned()], Some("other")),
        (3, &["level"][..], vec![], None),
        (4, &[][..], vec![], None),
    ] {
        world.peers[0].party().set_policy(Some(rules(sources))).await.unwrap();
        let asked = TaskRequest { filter, ..crate::room::request(&world, session, "last_1h") };
        let asked = Ask::admit(asked, None, &world.gateway.identity).unwrap();
        let asked = crate::room::job(&world, &asked, session);
        match reason {
            Some(series) => {
                assert_eq!(declined(&mut world, 0, &asked).await, Decline::Policy);
                let why = trouble(&world, 0).await;
                let says = format!("the series {series:?} is not one that this peer's policy gives from");
                assert!(why.contains("DENIED (34)") && why.contains(&says), "{why}");
            }
            None => {
                let peer = world.peers[0].fingerprint();
                let said = world.gateway.prepare(&[peer], &world.consensus, &asked).await;
                assert!(matches!(said[&peer], Report::Prepared { .. }), "{said:?}");
            }
        }
    }
    world.close().await;
}

fn above() -> ParentTask {
    ParentTask {
        task: TaskRequest::about(GroupId(2), "temperature", "mean", "HVAC"),
        client: None,
        ticket: TaskSignature { key: String::new(), signature: String::new() },
        charter: String::new(),
        window: Slot(0),
    }
}

/// Whatever is changed in a task after client and gateway signed it, a peer notices.
#[test]
fn f04_a_task_that_was_changed_is_refused() {
    let (gateway, client) = (identity("gateway"), identity("client"));
    let request: TaskRequest = serde_json::from_value(json!({
        "group": 1, "purpose": "HVAC", "sources": ["temperature"], "aggregator": "mean", "most": "50",
        "issued": "2026-01-01T12:00:00Z", "nonce": "00".repeat(16),
    }))
    .unwrap();
    let signature = sign_request(&request, &client);
    let ask = Ask::admit(request, Some(signature), &gateway).unwrap();
    assert_eq!(ask.verify(&gateway.fingerprint()), Ok(Some(client.fingerprint())));
    // One for each field: a new one is to be added here.
    let changes: [fn(&mut TaskRequest); 23] = [
        |r| r.group = GroupId(2),
        |r| _ = r.parameters.insert("per_peer".to_owned(), "true".to_owned()),
        |r| r.decimals = 1,
        |r| "-1".clone_into(&mut r.least),
        |r| "malicious".clone_into(&mut r.model),
        |r| r.result_key = Some("x".to_owned()),
        |r| r.branches = 2,
        |r| r.parent = Some(Box::new(above())),
        |r| r.nonce = "01".repeat(16),
        |r| r.purpose.push('x'),
        |r| r.set.push('x'),
        |r| r.sources.push("co2".to_owned()),
        |r| r.filter.push("occupancy>=1".to_owned()),
        |r| "last_1h".clone_into(&mut r.preselector),
        |r| "count".clone_into(&mut r.aggregator),
        |r| "60".clone_into(&mut r.most),
        |r| r.min_participants = 2,
        |r| r.approval_s = 1,
        |r| r.align_s = 1,
        |r| r.tell_gateway = true,
        |r| r.recipients.push(Fingerprint([1; 32])),
        |r| r.repeat = Some(TaskRepeat { every_s: 1, times: 2 }),
        |r| "2026-01-01T12:00:01Z".clone_into(&mut r.issued),
    ];
    for (number, change) in changes.iter().enumerate() {
        let changed = Ask { request: ask.request.with(change), ..ask.clone() };
        assert!(matches!(changed.verify(&gateway.fingerprint()), Err(AskError::Signature(_))), "change {number}");
        // The gateway does not sign what the client did not.
        let readmitted = Ask::admit(changed.request.into(), ask.client.clone(), &gateway);
        assert!(matches!(readmitted, Err(AskError::Signature(_))), "change {number}");
    }
    assert!(ask.verify(&client.fingerprint()).is_err(), "the ticket is the gateway's");
    let mut swapped = ask.clone();
    swapped.ticket = ask.client.clone().unwrap();
    assert!(swapped.verify(&gateway.fingerprint()).is_err());
}
