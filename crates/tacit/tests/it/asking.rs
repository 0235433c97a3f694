//! What a client keeps and takes of its tasks, at a real gateway whose members are played by the test.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tacit_job::{Job, Report, Request, ToGateway, ToPeer, Told, seal_result, sign_request, task_id};
use tacit_model::api::{NewTask, TaskRequest, TaskResult};
use tacit_model::{Clock, GroupId, SystemClock};
use tacit_pki::random;
use tacit_pki::result_key::ResultKey;

use crate::harness::tacit;
use crate::scripted::{ASKED, Member, Scene, done, each_says_of, with_key};

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn refusal(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a client noted of a word.
fn word_of<'a>(asked: &'a mut Value, word: &str) -> &'a mut Value {
    let begin = format!("{word} of ");
    let noted = asked.as_object_mut().expect("an object").iter_mut().find(|(name, _)| name.starts_with(&begin));
    noted.expect("it was noted").1
}

fn id_of(task: &Value) -> &str {
    task["id"].as_str().expect("an id")
}

/// All members compute, and those with these numbers seal the result for the client: 20, and what number of computation it is.
async fn computed_and_sealed_by(scene: &mut Scene, sealing: &[usize]) {
    let identities: Vec<_> = scene.members.iter().map(|member| member.identity.clone()).collect();
    let under = scene.charter();
    let says = |number: usize, job: &Job| {
        let ask = job.ask().expect("a client's task");
        let key = ask.request.result_key.as_deref().expect("a key");
        let mut report = done("aa", 20.0 + job.slot.0 as f64);
        let Report::Done { told, .. } = &mut report else { unreachable!() };
        *told = match told.take() {
            Some(Told::Open(result)) if sealing.contains(&number) => {
                let result = TaskResult { id: ask.id().to_string(), window: job.slot, ..*result };
                Some(Told::Sealed(seal_result(result, under, key, &identities[number]).expect("sealed")))
            }
            _ => None,
        };
        report
    };
    each_says_of(scene, says).await;
}

/// A gateway answers the same question under the same key with the same task. An earlier one, which this client's key opens as
/// well, is no answer: as if the gateway had confused two keys, or began to.
#[tokio::test]
async fn rule11_an_earlier_task_is_no_answer_under_an_idempotency_key() {
    let scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let command = with_key(&folder.path().join("hvac.key"), &scene.gateway.data());
    let kept = scene.gateway.data().join("asked_tasks.json");
    let ask = |word: &str, more: &str| {
        command(&format!("task run --group {} {ASKED} --idempotency-key {word} {more}", scene.gid))
    };
    let (monday, again, tuesday) =
        (json_of(&ask("monday", "")), json_of(&ask("monday", "")), json_of(&ask("tuesday", "")));
    assert_eq!(id_of(&monday), id_of(&again));
    assert_ne!(id_of(&monday), id_of(&tuesday));
    assert!(refusal(&ask("monday", "--min-participants 4")).contains("another question was asked"));

    // A gateway that knows nothing any more of what was taken is not asked the same anew.
    let read = || -> Value { serde_json::from_slice(&std::fs::read(&kept).expect("the file")).expect("JSON") };
    let tasks = || scene.gateway.api("GET", "/tasks", None).ok().json()["tasks"].as_array().map(Vec::len);
    let before = tasks();
    let mut gone = read();
    word_of(&mut gone, "tuesday")["taken"] = json!("00".repeat(16));
    std::fs::write(&kept, gone.to_string()).expect("written");
    let why = refusal(&ask("tuesday", ""));
    assert!(why.contains("is gone at the gateway") && why.contains("tuesday"), "{why}");
    // Nor is a task believed that the client does not know under this key.
    std::fs::remove_file(&kept).expect("removed");
    let why = refusal(&ask("monday", ""));
    assert!(why.contains("no task that the gateway could answer with") && why.contains(id_of(&monday)), "{why}");
    assert!(word_of(&mut read(), "monday").get("taken").is_none(), "nothing is believed of it");
    assert_eq!(tasks(), before);
}

/// Commands that begin at the same moment, before the client has anything: all have the same key, and what each asked under
/// its own word is known afterwards.
#[tokio::test]
async fn w3_commands_at_once_lose_nothing_that_a_client_keeps() {
    const COUNT: usize = 6;
    let scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (key, token) = (folder.path().join("hvac.key"), scene.gateway.data().join("keys").join("owner.token"));
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let at_once: Vec<_> = (0..COUNT)
        .map(|number| {
            let typed = format!(
                "task run --group {} {ASKED} --node {} --token-file {} --result-key {} --idempotency-key word{number}",
                scene.gid,
                scene.gateway.url(),
                text(&token),
                text(&key)
            );
            let (out, err) = (Stdio::piped(), Stdio::piped());
            tacit().args(typed.split_whitespace()).stdout(out).stderr(err).spawn().expect("tacit starts")
        })
        .collect();
    let tasks: Vec<Value> =
        at_once.into_iter().map(|child| json_of(&child.wait_with_output().expect("its output"))).collect();
    let own = std::fs::read_to_string(&key).expect("the key");
    assert!(tasks.iter().all(|task| own.starts_with(task["task"]["result_key"].as_str().expect("a key"))), "{tasks:?}");
    let kept = |ending: &str| -> Value {
        let file = folder.path().join(format!("hvac.key.{ending}"));
        serde_json::from_slice(&std::fs::read(file).expect("the file")).expect("JSON")
    };
    assert!(kept("groups")[scene.gid.to_string()]["manager"].is_string());
    let mut asked = kept("asked");
    for (number, task) in tasks.iter().enumerate() {
        assert_eq!(word_of(&mut asked, &format!("word{number}"))["taken"], task["id"], "{tasks:?}");
    }
}

/// With one recipient of the two that a client must hear, nothing is computed: its result would be worth nothing to the
/// client, and the records would be spent. It waits as for anybody else.
#[tokio::test]
async fn rule11_a_sealed_task_waits_for_recipients_of_enough_operators() {
    let mut scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let command = with_key(&folder.path().join("hvac.key"), &scene.gateway.data());
    let (gid, alice, dorothy) = (scene.gid, scene.members[0].me, scene.members[3].me);
    let ask = || command(&format!("task run --group {gid} {ASKED} --recipient {alice} --recipient {dorothy}"));
    let Member { identity, home, .. } = scene.members.pop().expect("the fourth");
    scene.offering(3).await;
    let body = scene.ended(id_of(&json_of(&ask()))).await;
    assert_eq!((&body["state"], &body["windows"][0]["contributors"]), (&json!("failed"), &json!(0)), "{body}");
    let detail = body["detail"].as_str().expect("a text");
    assert!(detail.contains("recipients of 1 operators are there, and those of 2 must seal"), "{detail}");
    assert!(!detail.contains("dorothy"), "the client hears no names: {detail}");

    let taken = json_of(&ask());
    scene.members.push(Member::connect("dorothy", GroupId(gid), identity, home).await);
    computed_and_sealed_by(&mut scene, &[0, 3]).await;
    assert_eq!(scene.ended(id_of(&taken)).await["state"], "done");
    let show = format!("task show {} --json", id_of(&taken));
    let shown = json_of(&command(&show));
    assert_eq!(shown["results"][0]["statistics"][0]["value"], 20.0, "{shown}");

    let other = folder.path().join("other.key");
    let pair = ResultKey::generate().expect("a key");
    let text = format!("{}\n{}\n", pair.public(), STANDARD.encode(&*pair.expose_private()));
    std::fs::write(&other, text).expect("written");
    let output = with_key(&other, &scene.gateway.data())(&show);
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(why.contains("asked with another result key") && !why.contains("made it up"), "{why}");
}

/// Of a repeated task one computation has too few signatures: its reason stands in its place, the others are shown, and the
/// command does not end well.
#[tokio::test]
async fn rule11_one_computation_without_enough_words_hides_no_other() {
    let mut scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("hvac.key");
    let command = with_key(&key, &scene.gateway.data());
    let asked = ASKED.replace("--no-wait --json", "");
    let run = format!("task run --group {} {asked} --every 1 --times 3", scene.gid);
    let waits = with_key(&key, &scene.gateway.data());
    let waits = tokio::task::spawn_blocking(move || waits(&run));
    for sealing in [&[0, 1][..], &[2], &[1, 3]] {
        computed_and_sealed_by(&mut scene, sealing).await;
    }
    let ran = waits.await.expect("it ran");
    let id = scene.gateway.api("GET", "/tasks", None).ok().json()["tasks"][0]["id"].as_str().expect("an id").to_owned();
    let told = command(&format!("task show {id} --json"));
    let body: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
    let values: Vec<_> = (0..2).map(|at| body["results"][at]["statistics"][0]["value"].clone()).collect();
    assert_eq!((told.status.code(), values), (Some(3), vec![json!(20.0), json!(22.0)]), "{body}");
    assert_eq!((&body["refused"][0]["window"], body["refused"][1].is_null()), (&json!(1), true), "{body}");
    for output in [ran, command(&format!("task show {id}")), command(&format!("task watch {id}"))] {
        let (shown, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let places =
            ["computation 1, 4", "computation 2: cyril alone signed", "computation 3, 4"].map(|it| shown.find(it));
        assert!(places[0].is_some() && places.is_sorted(), "{output:?}");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(why.contains("computation 2: cyril alone signed"), "{why}");
    }
}

/// Who watches a repeated task reads of each computation once, however many come after it.
#[tokio::test]
async fn a_watched_computation_is_told_once() {
    let mut scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("hvac.key");
    let (command, watches) = (with_key(&key, &scene.gateway.data()), with_key(&key, &scene.gateway.data()));
    let taken = json_of(&command(&format!("task run --group {} {ASKED} --every 1 --times 3", scene.gid)));
    let watch = format!("task watch {}", id_of(&taken));
    let watched = tokio::task::spawn_blocking(move || watches(&watch));
    for _ in 0..3 {
        computed_and_sealed_by(&mut scene, &[0, 1]).await;
    }
    let output = watched.await.expect("it ran");
    let shown = String::from_utf8_lossy(&output.stdout);
    for number in 1..=3 {
        assert_eq!(shown.matches(&format!("computation {number}, 4")).count(), 1, "{shown}");
    }
    assert!(output.status.success(), "{output:?}");
}

/// A member that is started anew numbers its questions from the beginning: it would take the answer to an earlier one for
/// the answer to another.
#[tokio::test]
async fn f11_answers_come_on_the_link_of_the_question_or_not_at_all() {
    let mut scene = Scene::found().await;
    let alice = &scene.members[0];
    let (identity, home) = (Arc::clone(&alice.identity), alice.home.clone());
    let task = TaskRequest {
        recipients: vec![alice.me],
        decimals: 2,
        most: "50".to_owned(),
        issued: SystemClock.now().to_rfc3339(),
        nonce: random::nonce().expect("a nonce"),
        ..TaskRequest::about(GroupId(scene.gid), "temperature", "mean", "HVAC")
    };
    let id = task_id(&task).to_string();
    let signature = Some(sign_request(&task, &identity));
    let new = Box::new(NewTask { task, signature, wait: true, notify: None });
    alice.link.send(&ToGateway::Request { number: 0, request: Request::Ask { new } }).expect("sent");
    scene.members[1].asked().await;
    let mut back = Member::connect("alice", GroupId(scene.gid), identity, home).await;
    back.next(|m| matches!(m, ToPeer::Pairing { .. }).then_some(())).await;
    let _over_anyhow = scene.gateway.api("DELETE", &format!("/tasks/{id}"), None);
    scene.ended(&id).await;
    back.link.send(&ToGateway::Request { number: 7, request: Request::Stop }).expect("sent");
    let answered = back.next(|m| if let ToPeer::Response { number, .. } = m { Some(number) } else { None }).await;
    assert_eq!(answered, 7);
}
