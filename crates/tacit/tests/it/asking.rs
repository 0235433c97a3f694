//! What a client keeps and takes of its tasks, at a real gateway whose members are played by the test.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::tacit;
use crate::scripted::{ASKED, Scene, with_key};

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn refusal(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn id_of(task: &Value) -> &str {
    task["id"].as_str().expect("an id")
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

    // The answer is a task that was not asked under this key by what the client knows.
    let read = || -> Value { serde_json::from_slice(&std::fs::read(&kept).expect("the file")).expect("JSON") };
    let mut exchanged = read();
    exchanged["monday"]["taken"] = tuesday["id"].clone();
    std::fs::write(&kept, exchanged.to_string()).expect("written");
    let why = refusal(&ask("monday", ""));
    assert!(why.contains(id_of(&monday)) && why.contains(id_of(&tuesday)) && why.contains("monday"), "{why}");
    std::fs::remove_file(&kept).expect("removed");
    let why = refusal(&ask("monday", ""));
    assert!(why.contains("no task that the gateway could answer with") && why.contains(id_of(&monday)), "{why}");
    assert!(read()["monday"].get("taken").is_none(), "nothing is believed of it");
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
    let asked = kept("asked");
    for (number, task) in tasks.iter().enumerate() {
        assert_eq!(asked[format!("word{number}")]["taken"], task["id"], "{asked}");
    }
}
