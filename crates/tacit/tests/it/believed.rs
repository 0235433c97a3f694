//! What a client takes for its result, of recipients some of which say otherwise.

use std::sync::Arc;

use serde_json::{Value, json};
use tacit_job::{Fault, Report, Told, seal_result};
use tacit_model::api::TaskResult;
use tacit_pki::Identity;
use time::OffsetDateTime;

use crate::harness::run;
use crate::scripted::{ASKED, NAMES, Scene, done, each_says, third_says, with_key};

/// One member reports another result than the rest: the client gets an error and no number, and the operator's
/// log names who differs.
#[tokio::test]
async fn f21_a_result_that_differs_is_an_error_and_its_member_is_named() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    third_says(&mut scene, done("bb", 99.0)).await;
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "failed", "{body}");
    let window = &body["windows"][0];
    assert!(window.get("result").is_none() && window.get("sealed").is_none(), "{body}");
    assert!(NAMES.iter().all(|name| !body.to_string().contains(name)), "the client hears no names: {body}");
    let log = scene.gateway.log();
    assert!(log.contains("the results disagree: cyril differs"), "{log}");
}

/// In the model `guaranteed` one lying recipient of four voids nothing, neither by another result nor by doubts: the client
/// has the result of the others, nothing of the liar, and the operator reads who said otherwise.
#[tokio::test]
async fn rule5_a_lying_recipient_voids_no_guaranteed_result() {
    let mut scene = Scene::found().await;
    let lies = [
        (done("bb", 99.0), "the result of cyril differs"),
        (Report::Failed { fault: Fault::Shares, frozen: true }, "cyril reports: "),
    ];
    for (lie, says) in lies {
        let id = scene.hand_in_for("guaranteed");
        third_says(&mut scene, lie).await;
        let body = scene.ended(&id).await;
        assert_eq!(body["state"], "done", "{body}");
        assert_eq!(body["windows"][0]["result"]["statistics"][0]["value"], 20.0, "{body}");
        assert!(!body.to_string().contains("99.0"), "{body}");
        let log = scene.gateway.log();
        assert!(log.contains(says), "{log}");
    }
}

/// Recipients agreed, and one of them seals another result for the client. Where 2t+1 told, the client has the result that t+1
/// operators signed, and reads who lied; with fewer words it has none, and reads whose they are.
#[tokio::test]
async fn rule11_a_client_takes_what_enough_recipients_sealed_and_reads_who_lied() {
    let mut scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let command = with_key(&folder.path().join("result.key"), &scene.gateway.data());
    let gid = scene.gid;
    // The gateway could seal as well as any recipient, and sign with any key but a member's.
    let made_up = Arc::new(Identity::generate("gateway", OffsetDateTime::UNIX_EPOCH).expect("a key"));
    let cases = [
        ([Some(20.0), Some(20.0), Some(99.0)], false),
        ([Some(20.0), None, Some(99.0)], false),
        ([Some(99.0), Some(99.0), None], true),
        ([None, None, Some(99.0)], false),
    ];
    for (words, invented) in cases {
        let output = command(&format!("task run --group {gid} {ASKED} --model malicious"));
        let taken: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let (id, key) = (taken["id"].as_str().expect("an id"), taken["task"]["result_key"].as_str().expect("a key"));
        let identities: Vec<_> = scene.members.iter().map(|member| Arc::clone(&member.identity)).collect();
        let under = scene.charter();
        let says = |number: usize| {
            let Report::Done { agreement, contributors, faults, left_out, told, session } = done("aa", 20.0) else {
                unreachable!()
            };
            let Some(Told::Open(result)) = told else { unreachable!() };
            let sealed = words.get(number).copied().flatten().map(|value| {
                let mut result = TaskResult { id: id.to_owned(), ..*result };
                result.statistics[0].value = value;
                let teller = if invented { &made_up } else { &identities[number] };
                Told::Sealed(seal_result(result, under, key, teller).expect("sealed"))
            });
            Report::Done { agreement, contributors, faults, left_out, told: sealed, session }
        };
        each_says(&mut scene, says).await;
        assert_eq!(scene.ended(id).await["state"], "done");
        let (told, read) = (command(&format!("task show {id} --json")), command(&format!("task show {id}")));
        let why = String::from_utf8_lossy(&read.stderr);
        if words[0] == Some(20.0) && words[1].is_some() {
            let body: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
            assert_eq!(body["results"][0]["statistics"][0]["value"], 20.0, "{body}");
            let liar = format!("cyril of cyril ({}) told another result", scene.members[2].me);
            let remark = body["remarks"][0].as_str().expect("a remark");
            assert!(remark.contains(&liar) && !remark.contains("alice"), "{remark}");
            assert!(String::from_utf8_lossy(&read.stdout).contains(&liar), "{read:?}");
        } else {
            assert_eq!((told.status.code(), read.status.code()), (Some(3), Some(3)), "{told:?}");
            let body: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
            assert_eq!((&body["results"], &body["refused"][0]["window"]), (&json!([]), &json!(0)), "{body}");
            let shown = String::from_utf8_lossy(&read.stdout);
            assert!(!shown.contains("mean(temperature)"), "no number is shown: {shown}");
            let expected = match (invented, words[0]) {
                (true, _) => "no recipient that the group's charter of then names has signed what was told",
                (_, Some(_)) => "more than 1 operators say: alice, against cyril",
                (_, None) => "cyril alone signed the result, and members of more than 1 operators must",
            };
            assert!(why.contains(expected), "{why}");
        }
    }
}

/// Who names one recipient believes that one: the result is its word, and says so. Another member's or the gateway's is not.
#[tokio::test]
async fn rule11_a_result_of_one_recipient_is_shown_as_its_word() {
    let mut scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let command = with_key(&folder.path().join("result.key"), &scene.gateway.data());
    let (gid, bobby) = (scene.gid, scene.members[1].me);
    for teller in [1, 0] {
        let output = command(&format!("task run --group {gid} {ASKED} --recipient {bobby}"));
        let taken: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let (id, key) = (taken["id"].as_str().expect("an id"), taken["task"]["result_key"].as_str().expect("a key"));
        let (under, identity) = (scene.charter(), Arc::clone(&scene.members[teller].identity));
        let says = |number: usize| {
            let mut report = done("aa", 20.0);
            let Report::Done { told, agreement, .. } = &mut report else { unreachable!() };
            *told = match told.take() {
                Some(Told::Open(result)) if number == 1 => {
                    let result = TaskResult { id: id.to_owned(), ..*result };
                    Some(Told::Sealed(seal_result(result, under, key, &identity).expect("sealed")))
                }
                _ => None,
            };
            // Only the recipient has a result to agree on.
            *agreement = agreement.take().filter(|_| number == 1);
            report
        };
        each_says(&mut scene, says).await;
        assert_eq!(scene.ended(id).await["state"], "done");
        let read = command(&format!("task show {id}"));
        let (shown, why) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
        match teller {
            1 => {
                let word = format!("rests on the word of bobby of bobby ({bobby}) alone, who signed it");
                assert!(shown.contains(&word) && shown.contains("20"), "{read:?}");
            }
            _ => assert!(read.status.code() == Some(3) && why.contains("no recipient"), "{read:?}"),
        }
    }
}

/// A client keeps the manager key under which it saw a group first, and the last decision: what is shown later must go on
/// from there. Who names the key need not trust the first sight.
#[tokio::test]
async fn rule1_a_client_is_not_shown_another_group_in_the_place_of_its_own() {
    let scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (key, groups) = (folder.path().join("hvac.key"), folder.path().join("hvac.key.groups"));
    let token = scene.gateway.data().join("keys").join("owner.token");
    let path = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    let command = |more: &str| {
        let (gid, node) = (scene.gid, scene.gateway.url());
        let typed = format!(
            "task run --group {gid} {ASKED} --node {node} --token-file {} --result-key {} {more}",
            path(&token),
            path(&key)
        );
        run(&typed.split_whitespace().collect::<Vec<_>>())
    };
    let asks = |more: &str| {
        let output = command(more);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let refuses = |more: &str| {
        let output = command(more);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let first = asks("");
    assert!(first.contains("seen for the first time") && first.contains("hvac.key.groups"), "{first}");
    let kept: Value = serde_json::from_slice(&std::fs::read(&groups).expect("the file")).expect("JSON");
    let manager = kept[scene.gid.to_string()]["manager"].as_str().expect("a key").to_owned();
    let own = tacit_pki::PublicKey::from_base64(&manager).expect("a key");
    assert!(first.contains(&own.fingerprint().to_string()), "{first}");
    assert!(!asks("").contains("first time"));

    let foreign = Identity::generate("foreign", OffsetDateTime::UNIX_EPOCH).expect("a key");
    let write = |manager: &str, consensus: &str| {
        let known = json!({ scene.gid.to_string(): { "manager": manager, "consensus": consensus } });
        std::fs::write(&groups, known.to_string()).expect("written");
    };
    let last = kept[scene.gid.to_string()]["consensus"].as_str().expect("an id").to_owned();
    write(&foreign.public_key().to_base64(), &last);
    assert!(refuses("").contains("another manager key"), "as if the gateway had exchanged the group");
    write(&manager, &"ab".repeat(32));
    assert!(refuses("").contains("rewritten or cut"), "as if it kept a decision back");
    std::fs::remove_file(&groups).expect("removed");
    assert!(refuses(&format!("--manager-key {}", foreign.fingerprint())).contains("--manager-key"));
    assert!(!groups.exists(), "nothing is kept of it");
    assert!(!asks(&format!("--manager-key {}", own.fingerprint())).contains("first time"));
    assert!(!asks("").contains("first time"), "what was named is kept");
}
