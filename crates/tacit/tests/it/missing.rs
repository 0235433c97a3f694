//! Members that are missing, withdraw or fail on the way: who is left out, who is waited for, and what is read about it.

use serde_json::json;
use tacit_job::{Decline, Fault, Report, ToPeer};
use tacit_model::{Clock, GroupId, SessionId, SystemClock};

use crate::scripted::{Member, NAMES, Scene, done, each_says};

/// Those who compute refuse a set that makes a difference with an earlier one: none of them is blamed. Whoever is missing is
/// waited for; if nobody comes, the client reads what it can do, and the operator who is missing.
#[tokio::test]
async fn rule3_who_is_missing_is_waited_for_and_the_client_reads_what_it_can_do() {
    let mut scene = Scene::found().await;
    let until = SystemClock.now().plus(600_000);
    for comes_back in [true, false] {
        let Member { identity, home, me: missing, .. } = scene.members.pop().expect("the fourth");
        scene.offering(3).await;
        let id = scene.hand_in();
        for member in &mut scene.members {
            let session = member.asked().await.session;
            let why = Decline::Apart { missing: vec![missing], until };
            member.report(session, Report::Declined { why });
        }
        if comes_back {
            scene.members.push(Member::connect("dorothy", GroupId(scene.gid), identity, home).await);
            each_says(&mut scene, |_| done("aa", 20.0)).await;
            let body = scene.ended(&id).await;
            assert_eq!((&body["state"], &body["windows"][0]["contributors"]), (&json!("done"), &json!(4)), "{body}");
            continue;
        }
        let body = scene.ended(&id).await;
        assert_eq!(body["state"], "failed", "{body}");
        let detail = body["detail"].as_str().expect("a text");
        // The latest record may be 15 minutes old.
        let later = until.plus(15 * 60_000).to_rfc3339();
        for part in ["Ask again when all who gave then are there", &until.to_rfc3339(), &later] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        assert!(NAMES.iter().all(|name| !body.to_string().contains(name)), "the client hears no names: {body}");
        let log = scene.gateway.log();
        assert!(log.contains("dorothy gave to it and is not in this one"), "{log}");
    }
}

/// Two members found that the fourth's numbers are out of bounds: the client has its result, and the operator's log
/// names who cheated. What a single member says, who may lie, is quoted as its word.
#[tokio::test]
async fn p19_the_operator_reads_who_was_left_out_of_a_result_and_who_says_so() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    let mut session = SessionId([0; 16]);
    for member in &mut scene.members {
        session = member.prepared().await.session;
    }
    for member in &mut scene.members {
        member.linked(session, Report::Linked).await;
    }
    let who: Vec<_> = scene.members.iter().map(|member| member.me).collect();
    for (number, member) in scene.members.iter_mut().enumerate() {
        let mut report = done("aa", 20.0);
        let Report::Done { left_out, .. } = &mut report else { unreachable!() };
        match number {
            0 | 1 => left_out.push(Fault::OutOfBounds { members: vec![who[3]] }),
            3 => left_out.push(Fault::OutOfBounds { members: vec![who[2]] }),
            _ => {}
        }
        member.session(session, report).await;
    }
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "done", "{body}");
    assert!(NAMES.iter().all(|name| !body.to_string().contains(name)), "the client hears no names: {body}");
    let log = scene.gateway.log();
    let says = "dorothy says that numbers of cyril are out of bounds, which is left out; \
                numbers of dorothy are out of bounds, which is left out";
    assert!(log.contains(says), "{log}");
}

/// A member withdraws when links are made: it is left out, the others are prepared anew and finish. Whoever
/// says in the first phase that it cannot is left out, too. Each attempt is a session of its own.
#[tokio::test]
async fn f05_f18_a_member_that_withdraws_at_link_is_left_out_and_the_rest_finish() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    let first = scene.members[0].prepared().await;
    for member in &mut scene.members[1..] {
        member.prepared().await;
    }
    for (number, member) in scene.members.iter_mut().enumerate() {
        let report = if number == 3 { Report::Declined { why: Decline::Policy } } else { Report::Linked };
        member.linked(first.session, report).await;
    }
    let (rest, gone) = scene.members.split_at_mut(3);
    let mut second = None;
    for member in rest.iter_mut() {
        second = Some(member.prepared().await);
    }
    let second = second.expect("a job");
    assert_ne!(second.session, first.session);
    assert!(!second.members().contains(&gone[0].me) && second.members().len() == 3);
    // The one that withdrew is told that it is over, and asked nothing more.
    let of = first.session;
    gone[0].next(|m| matches!(m, ToPeer::Abort { session } if session == of).then_some(())).await;
    for member in rest.iter_mut() {
        member.linked(second.session, Report::Linked).await;
    }
    for member in rest.iter_mut() {
        member.session(second.session, done("aa", 20.0)).await;
    }
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "done", "{body}");
    assert_eq!(body["windows"][0]["result"]["statistics"][0]["value"], 20.0, "{body}");
}

/// Losses before the freeze are repaired without the lost member; what failed after it ends the task, whatever
/// class the failure has: nothing is opened twice.
#[tokio::test]
async fn f13_f19_failures_before_the_freeze_are_repaired_and_after_it_end_the_task() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    let first = scene.members[0].prepared().await.session;
    for member in &mut scene.members[1..] {
        member.prepared().await;
    }
    for member in &mut scene.members {
        member.linked(first, Report::Linked).await;
    }
    // Three say that the fourth was lost, which says nothing: its link goes.
    let gone = scene.members.pop().expect("the fourth");
    for member in &mut scene.members {
        let fault = Fault::Lost { members: vec![gone.me] };
        member.session(first, Report::Failed { fault, frozen: false }).await;
    }
    drop(gone);
    let mut second = first;
    for member in &mut scene.members {
        second = member.prepared().await.session;
    }
    assert_ne!(second, first);
    for member in &mut scene.members {
        member.linked(second, Report::Linked).await;
    }
    for member in &mut scene.members {
        member.session(second, Report::Failed { fault: Fault::FewShares, frozen: true }).await;
    }
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "failed", "{body}");
    assert!(body["windows"][0].get("result").is_none(), "{body}");
    // It ended for its members, too: they are free for the next one.
    let id = scene.hand_in();
    each_says(&mut scene, |_| done("aa", 20.0)).await;
    assert_eq!(scene.ended(&id).await["state"], "done");
}

/// The only recipient makes its result durable and is cut off before it says so: it is asked again when it is back, and the
/// client has its result.
#[tokio::test]
async fn f13_a_result_that_was_not_reported_is_told_when_its_recipient_is_back() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in_telling("semi-honest", &[scene.members[0].me]);
    let session = scene.members[0].prepared().await.session;
    for member in &mut scene.members[1..] {
        member.prepared().await;
    }
    for member in &mut scene.members {
        member.linked(session, Report::Linked).await;
    }
    scene.members[0].next(|m| matches!(m, ToPeer::Session { .. }).then_some(())).await;
    let Member { identity, home, .. } = scene.members.remove(0);
    for member in &mut scene.members {
        let Report::Done { contributors, faults, left_out, .. } = done("aa", 20.0) else { unreachable!() };
        let gave = Report::Done { agreement: None, contributors, faults, left_out, told: None, session: None };
        member.session(session, gave).await;
    }
    let mut back = Member::connect("alice", GroupId(scene.gid), identity, home).await;
    let again = back.asked().await.session;
    assert_ne!(again, session);
    for member in &mut scene.members {
        assert_eq!(member.asked().await.session, again);
        member.report(again, Report::Declined { why: Decline::Frozen { done: None, session: None } });
    }
    back.report(again, done("aa", 20.0));
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "done", "{body}");
    assert_eq!(body["windows"][0]["result"]["statistics"][0]["value"], 20.0, "{body}");
}
