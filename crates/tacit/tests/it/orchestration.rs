//! What FlexSMC promises of tasks: who sees what, who takes part, how an answer comes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tacit_model::{Clock, SystemClock, UnixMillis};

use crate::harness::files_below;
use crate::rooms::{Room, Rooms, number};
use crate::wait::until;

/// A value in the forms in which a program might keep it.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let whole: u64 = digits.parse().expect("a number");
    let (big, little) = (whole.to_be_bytes(), whole.to_le_bytes());
    // A database leaves out leading zeros.
    let first = big.iter().position(|byte| *byte != 0).unwrap_or(0);
    vec![text.as_bytes().to_vec(), digits.into_bytes(), big[first..].to_vec(), little.to_vec()]
}

fn holds(room_or_gateway: &crate::harness::Node, forms: &[Vec<u8>]) -> bool {
    let folders = [room_or_gateway.data()];
    let files = folders.iter().flat_map(|folder| files_below(folder));
    let mut contents: Vec<Vec<u8>> = files.map(|file| std::fs::read(file).unwrap_or_default()).collect();
    contents.push(room_or_gateway.log().into_bytes());
    contents.iter().any(|bytes| forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form)))
}

/// What a client can tell two answers apart by, without what is fresh in every task.
fn visible(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for name in ["id", "created"] {
        answer.as_object_mut().expect("a task").remove(name);
    }
    for name in ["issued", "nonce"] {
        answer["task"].as_object_mut().expect("a request").remove(name);
    }
    for window in answer["windows"].as_array_mut().expect("windows") {
        for name in ["at", "timing", "agreement"] {
            window.as_object_mut().expect("a window").remove(name);
        }
        window["result"].as_object_mut().expect("a result").remove("id");
    }
    answer
}

/// A room's value is in its own folder, and nowhere else: not at the gateway, not at the other rooms. And who
/// gave which value makes no difference to what the client sees.
#[test]
fn f01_f02_f03_a_value_stays_in_its_room_and_answers_name_nobody() {
    let scene = Rooms::found(4);
    let values = ["171717171.717171", "282828282.828282", "393939393.939393", "404040404.040404"];
    let wide = json!({ "decimals": 6, "most": "999999999" });
    scene.measure("temperature", 0, &values);
    let first = scene.ask(&scene.question("mean", wide.clone()));
    assert_eq!((&first["state"], &first["windows"][0]["contributors"]), (&"done".into(), &4.into()), "{first}");

    for (owner, value) in values.iter().enumerate() {
        let forms = forms(value);
        assert!(holds(&scene.rooms[owner].node, &forms), "the search finds what is there");
        assert!(!holds(&scene.gateway, &forms), "the gateway holds {value}");
        for (other, room) in scene.rooms.iter().enumerate().filter(|(other, _)| *other != owner) {
            assert!(!holds(&room.node, &forms), "room{other} holds {value}");
        }
    }

    let turned = [values[2], values[3], values[1], values[0]];
    scene.measure("temperature", 0, &turned);
    let second = scene.ask(&scene.question("mean", wide));
    assert_eq!(visible(&first), visible(&second));
    assert_ne!(first["windows"][0]["agreement"], second["windows"][0]["agreement"], "commitments are salted");
    let text = format!("{first}{second}");
    for Room { name, key, .. } in &scene.rooms {
        assert!(!text.contains(key) && !text.contains(name), "{text}");
    }
}

/// A peer that its policy keeps away is left out and the others finish; why, only its owner reads. The policy
/// is changed while the peer runs, survives a restart, and each change is in the owner's log.
#[test]
fn f05_a_peer_that_refuses_is_left_out_and_the_rest_finish() {
    let mut scene = Rooms::found(4);
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    let set = scene.rooms[3].policy(json!({ "purposes": ["science"] }));
    assert_eq!((&set["own"], &set["policy"]["purposes"]), (&true.into(), &json!(["science"])), "{set}");

    let answer = scene.ask(&scene.question("mean", json!({})));
    assert_eq!((&answer["state"], &answer["windows"][0]["contributors"]), (&"done".into(), &3.into()), "{answer}");
    assert!((number(&answer, "mean(temperature)") - 21.0).abs() < 1e-9, "{answer}");
    let why = scene.rooms[3].trouble();
    assert!(why.contains("purpose") && why.contains("HVAC") && why.contains("DENIED (34)"), "{why}");
    assert!(!answer.to_string().contains("polic"), "{answer}");
    assert!(!scene.gateway.log().contains("is not one that this peer's policy allows"));
    let log = scene.rooms[3].node.api("GET", "/log?max=1000", None).ok().body;
    assert!(log.contains("peer.room3.policy.purposes"), "{log}");

    // Of too few that are left there is no result.
    for room in &scene.rooms[1..3] {
        room.policy(json!({ "tasks": false }));
    }
    let few = scene.ask(&scene.question("mean", json!({})));
    assert_eq!(few["state"], "failed", "{few}");

    // The peer that was willing gave its reading once already; with others it gives the next one.
    scene.rooms[3].node.restart();
    let path = "/peers/room3/policy";
    assert_eq!(scene.rooms[3].node.api("GET", path, None).ok().json(), set);
    for (status, body) in [
        (400, json!({ "min_participants": "many" })),
        (400, json!({ "no_such_rule": true })),
        (422, json!({ "aggregators": ["no_such"] })),
        (422, json!({ "purposes": ["x".repeat(5000)] })),
    ] {
        assert_eq!(scene.rooms[3].node.api("PUT", path, Some(&body)).status, status, "{body}");
    }
    assert_eq!(scene.rooms[3].node.api("DELETE", path, None).ok().json()["own"], false);
}

/// A member that nobody has approved is shown no task, whatever it offers.
#[test]
fn f07_an_unapproved_peer_gets_no_task() {
    let mut scene = Rooms::found(3);
    let late = scene.join("late");
    scene.rooms.push(late);
    for (room, value) in scene.rooms.iter().zip(["20", "21", "22", "40"]) {
        room.measure("temperature", 0, value);
    }
    let answer = scene.ask(&scene.question("mean", json!({})));
    assert_eq!(answer["windows"][0]["contributors"], 3, "{answer}");
    assert_eq!(scene.rooms[3].last_job(), None);
    scene.approve(&scene.rooms[3]);
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    let answer = scene.ask(&scene.question("mean", json!({})));
    assert_eq!(answer["windows"][0]["contributors"], 4, "{answer}");
    assert!(scene.rooms[3].last_job().is_some_and(|job| job.contains("HVAC")));
}

/// Blocking, later, and as events: the same answer. Several tasks run beside each other at the same peers,
/// each in a session of its own.
#[test]
fn f16_f18_answers_come_at_once_or_later_and_tasks_run_beside_each_other() {
    let scene = Rooms::found(3);
    scene.measure("temperature", 0, &["20", "21", "22"]);
    let task = scene.question("mean", json!({}));
    let blocking = scene.ask(&task);
    let later = scene.hand_in(&task);
    assert_ne!(later["id"], blocking["id"]);
    let id = later["id"].as_str().expect("an id");
    let events = scene.gateway.api("GET", &format!("/tasks/{id}/events"), None).ok().body;
    let last = events.lines().filter_map(|line| line.strip_prefix("data:")).next_back().expect("an event");
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(visible(&blocking), visible(&last));
    assert_eq!(visible(&blocking), visible(&scene.ended(id)));
    // Of a repeated task each computation is told once.
    let repeated = scene.hand_in(&scene.question("mean", json!({ "repeat": { "every_s": 1, "times": 2 } })));
    let id = repeated["id"].as_str().expect("an id");
    let events = scene.gateway.api("GET", &format!("/tasks/{id}/events"), None).ok().body;
    let told = events.lines().filter_map(|line| line.strip_prefix("data:")).flat_map(|data| {
        let data: Value = serde_json::from_str(data).expect("JSON");
        data["windows"].as_array().expect("computations").iter().map(|one| one["window"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(told.collect::<Vec<_>>(), [0, 1], "{events}");

    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(|| scene.ask(&task))).collect();
        asked.into_iter().map(|answer| answer.join().expect("an answer")).collect()
    });
    for answer in &answers {
        assert_eq!(visible(&blocking), visible(answer));
    }
    // Unique sessions: the gateway's log, which follows the answers, names each.
    let sessions = until("all sessions in the log", || {
        let log = scene.gateway.api("GET", "/log?max=1000", None).ok().json();
        let entries = log["entries"].as_array().expect("entries").iter();
        let bodies = entries.filter_map(|entry| serde_json::from_str::<Value>(entry["body"].as_str()?).ok());
        let sessions: Vec<String> = bodies
            .filter(|body| body["kind"] == "session")
            .filter_map(|body| Some(body["facts"]["session"].as_str()?.to_owned()))
            .collect();
        if sessions.len() >= 8 { Ok(sessions) } else { Err(format!("{sessions:?}")) }
    });
    let different: BTreeSet<&String> = sessions.iter().collect();
    assert_eq!(different.len(), sessions.len(), "{sessions:?}");
}

/// Far more tasks at once than a peer computes beside each other: who is busy is waited for, and not left out.
#[test]
fn f18_thirty_tasks_at_once_have_everybody_in_them() {
    let scene = Rooms::found(4);
    scene.measure("temperature", 0, &["20", "21", "22", "23"]);
    let task = scene.question("mean", json!({}));
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..30).map(|_| scope.spawn(|| scene.ask(&task))).collect();
        asked.into_iter().map(|answer| answer.join().expect("an answer")).collect()
    });
    for answer in &answers {
        assert_eq!((&answer["state"], &answer["windows"][0]["contributors"]), (&"done".into(), &4.into()), "{answer}");
        assert!((number(answer, "mean(temperature)") - 21.5).abs() < 1e-9, "{answer}");
    }
}

/// Nothing is computed for whoever may not ask, or asks for another time; and what FlexSMC's debug options did
/// (leave the computation out, choose the number of peers) no task can ask for.
#[test]
fn f11_f23_unauthorised_expired_and_debug_requests_are_refused() {
    let scene = Rooms::found(3);
    scene.measure("temperature", 0, &["20", "21", "22"]);
    let task = scene.question("mean", json!({}));
    let body = json!({ "task": task });
    assert_eq!(scene.call(None, "POST", "/tasks", &body).status, 401);
    let looks = json!({ "role": "viewer", "label": "looks" });
    let looks = scene.gateway.api("POST", "/tokens", Some(&looks)).json()["token"].as_str().expect("one").to_owned();
    assert_eq!(scene.call(Some(&looks), "POST", "/tasks", &body).status, 403);
    assert_eq!(scene.call(Some(&looks), "POST", &format!("/groups/{}/ping", scene.gid), &json!({})).status, 403);
    for minutes in [-10, 10] {
        let mut old = task.clone();
        old["issued"] = SystemClock.now().plus(minutes * 60_000).to_rfc3339().into();
        let reply = scene.gateway.api("POST", "/tasks", Some(&json!({ "task": old })));
        assert_eq!(reply.status, 403, "{reply:?}");
    }
    for option in ["minNumPeers", "maxNumPeers", "sortPeerIDs", "skipSMCBackend", "b.upload", "useLinkingPhase"] {
        let debug = scene.question("mean", json!({ "parameters": { option: "1" } }));
        let reply = scene.gateway.api("POST", "/tasks", Some(&json!({ "task": debug })));
        assert!(matches!(reply.status, 403 | 422), "{option}: {reply:?}");
    }
    for name in ["DBG_PINGPONG", "DBG_SET_CONFIG"] {
        let reply = scene.gateway.api("POST", "/tasks", Some(&json!({ "task": scene.question(name, json!({})) })));
        assert_eq!(reply.status, 422, "{reply:?}");
    }
    assert!(scene.rooms.iter().all(|room| room.last_job().is_none()), "no peer heard of any of these");
    assert_eq!(scene.ask(&task)["state"], "done");
}

/// The owner is asked: until then nothing is given, after the deadline the peer is left out, and what was
/// approved once is approved for all computations of that task.
#[test]
fn f05_the_owner_of_a_peer_is_asked_before_it_takes_part() {
    let mut scene = Rooms::found(4);
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    scene.rooms[3].policy(json!({ "manual_approval": true }));
    let pending = |room: &Room| {
        let list = room.node.api("GET", &format!("/peers/{}/approvals", room.name), None).ok().json();
        list["approvals"].as_array().expect("a list").clone()
    };

    // Without time for owners the others finish.
    let hasty = scene.ask(&scene.question("mean", json!({})));
    assert_eq!((&hasty["state"], &hasty["windows"][0]["contributors"]), (&"done".into(), &3.into()), "{hasty}");
    assert_eq!(pending(&scene.rooms[3]).len(), 1, "the owner sees what was asked");

    // With time they wait for the owner; the approval survives a restart of the peer.
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    let patient = scene.hand_in(&scene.question("mean", json!({ "approval_s": 120 })));
    let id = patient["id"].as_str().expect("an id").to_owned();
    let asked = until("the owner to be asked", || {
        let list = pending(&scene.rooms[3]);
        let found = list.iter().find(|asked| asked["task"] == id.as_str()).cloned();
        found.ok_or_else(|| format!("{list:?}"))
    });
    assert_eq!((&asked["state"], &asked["request"]["purpose"]), (&"waiting".into(), &"HVAC".into()), "{asked}");
    assert_eq!(scene.gateway.api("GET", &format!("/tasks/{id}"), None).ok().json()["state"], "open");
    let path = format!("/peers/room3/approvals/{id}");
    assert_eq!(
        scene.rooms[3].node.api("PUT", &path, Some(&json!({ "approved": true }))).ok().json()["state"],
        "approved"
    );
    let answer = scene.ended(&id);
    assert_eq!((&answer["state"], &answer["windows"][0]["contributors"]), (&"done".into(), &4.into()), "{answer}");

    // What it has computed it cannot refuse any more; what the others computed without it does not wait any more.
    for approved in [false, true] {
        let late = scene.rooms[3].node.api("PUT", &path, Some(&json!({ "approved": approved })));
        assert!(late.status == 409 && late.body.contains("is over here"), "{late:?}");
    }
    until("the receipt of the first one", || {
        let list = pending(&scene.rooms[3]);
        let hasty = list.iter().find(|asked| asked["task"] != id.as_str()).ok_or("it is gone")?;
        if hasty["state"] == "over" { Ok(()) } else { Err(hasty.to_string()) }
    });

    // What was decided is still there after a restart.
    scene.rooms[3].node.restart();
    assert!(pending(&scene.rooms[3]).iter().any(|asked| asked["task"] == id.as_str() && asked["state"] == "approved"));

    // Refused: left out at once, and the client does not hear why.
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    let refused = scene.hand_in(&scene.question("mean", json!({ "approval_s": 120 })));
    let id = refused["id"].as_str().expect("an id").to_owned();
    let path = format!("/peers/room3/approvals/{id}");
    until("the owner to be asked again", || {
        match scene.rooms[3].node.api("PUT", &path, Some(&json!({ "approved": false }))).status {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    });
    let answer = scene.ended(&id);
    assert_eq!((&answer["state"], &answer["windows"][0]["contributors"]), (&"done".into(), &3.into()), "{answer}");
    assert_eq!(
        scene.rooms[3].node.api("PUT", "/peers/room3/approvals/none", Some(&json!({ "approved": true }))).status,
        404
    );

    // The deadline passes.
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    let late = scene.ask(&scene.question("mean", json!({ "approval_s": 1 })));
    assert_eq!((&late["state"], &late["windows"][0]["contributors"]), (&"done".into(), &3.into()), "{late}");
}

/// Thesis 3.1.2: a phone asks how it compares with the average of all, and nobody else learns either number.
#[test]
fn f16_a_peer_asks_for_itself_how_it_compares_with_the_average() {
    let scene = Rooms::found(3);
    scene.measure("distance", 0, &["4", "9", "11"]);
    let asked = scene.rooms[1].node.api(
        "POST",
        "/peers/room1/compare",
        Some(
            &json!({ "source": "distance", "purpose": "fitness", "preselector": "now", "decimals": 2, "most": "100" }),
        ),
    );
    let told = asked.ok().json();
    assert_eq!(
        (&told["own"], &told["average"], &told["contributors"]),
        (&"9".into(), &8.0.into(), &3.into()),
        "{told}"
    );
    for other in [0, 2] {
        let results = scene.rooms[other].node.api("GET", &format!("/peers/room{other}/results"), None).ok().json();
        assert_eq!(results["results"], json!([]), "{results}");
    }
    let tasks = scene.gateway.api("GET", "/tasks", None).ok().json();
    assert!(tasks["tasks"][0]["windows"][0].get("result").is_none(), "{tasks}");
}

/// The directory says who is there, since when and with what; tasks are matched to it, so that whoever does not offer
/// what is asked for is not even asked.
#[test]
fn f12_f20_the_directory_says_who_is_there_and_with_what() {
    let mut scene = Rooms::found(4);
    scene.measure("temperature", 0, &["20", "21", "22", "40"]);
    scene.rooms[3].policy(json!({ "aggregators": ["sum", "count"] }));
    let path = format!("/groups/{}/directory", scene.gid);
    let entry = |scene: &Rooms, number: usize| {
        let listed = scene.gateway.api("GET", &path, None).ok().json();
        assert_eq!(listed["members"].as_array().map(Vec::len), Some(4), "{listed}");
        let name = format!("room{number}");
        listed["members"]
            .as_array()
            .and_then(|all| all.iter().find(|m| m["name"] == name.as_str()))
            .expect("it")
            .clone()
    };
    let with = until("the offer", || {
        let found = entry(&scene, 3);
        if found["services"] == json!(["count", "sum"]) { Ok(found) } else { Err(found.to_string()) }
    });
    assert_eq!(
        (&with["available"], &with["role"], &with["sessions"]),
        (&true.into(), &"both".into(), &8.into()),
        "{with}"
    );
    assert_eq!((&with["sources"], &with["operator"]), (&json!(["temperature"]), &"tenant of room3".into()), "{with}");
    assert!(with["since"].is_string() && with["endpoint"].as_str().is_some_and(|at| at.contains(':')), "{with}");
    let mean = scene.ask(&scene.question("mean", json!({})));
    assert_eq!(mean["windows"][0]["contributors"], 3, "{mean}");
    assert_eq!(scene.rooms[3].last_job(), None, "it was not asked");

    let before = entry(&scene, 2)["since"].clone();
    scene.rooms[2].node.kill();
    let away = until("room2 to be away", || {
        let found = entry(&scene, 2);
        if found["available"] == false { Ok(found) } else { Err(found.to_string()) }
    });
    let [earlier, later] = [&before, &away["since"]].map(|at| at.as_str().and_then(UnixMillis::from_rfc3339));
    assert!(earlier.is_some() && later > earlier && away["sources"] == json!([]), "{before} {away}");
    scene.rooms[2].node.restart();
    until("room2 to be back", || {
        let found = entry(&scene, 2);
        if found["available"] == true && found["sources"] == json!(["temperature"]) {
            Ok(())
        } else {
            Err(found.to_string())
        }
    });
}

/// A task that is computed every second: one peer is lost in the middle and another one joins. Each computation is right
/// for those who took part, and the task goes on by itself.
#[test]
fn f12_f13_a_repeated_task_goes_on_while_members_leave_and_join() {
    let mut scene = Rooms::found(4);
    // A sum says who took part.
    let measure = |scene: &Rooms, gone: Option<usize>| {
        for (number, room) in scene.rooms.iter().enumerate().filter(|(number, _)| gone != Some(*number)) {
            room.measure("temperature", 0, &(1_u32 << number).to_string());
        }
    };
    scene.measure("temperature", 0, &["1", "2", "4", "8"]);
    let task = scene.question("sum", json!({ "repeat": { "every_s": 1, "times": 100 }, "decimals": 0 }));
    let id = scene.hand_in(&task)["id"].as_str().expect("an id").to_owned();
    let path = format!("/tasks/{id}");
    let until_sum = |scene: &Rooms, gone: Option<usize>, wanted: f64| {
        until(&format!("a sum of {wanted}"), || {
            measure(scene, gone);
            let body = scene.gateway.api("GET", &path, None).ok().json();
            assert_eq!(body["state"], "open", "{body}");
            let windows = body["windows"].as_array().expect("windows");
            let sums = windows.iter().map(|window| window["result"]["statistics"][0]["value"].as_f64());
            if sums.flatten().any(|sum| sum == wanted) { Ok(()) } else { Err(body.to_string()) }
        });
    };
    until_sum(&scene, None, 15.0);
    scene.rooms[3].node.kill();
    until_sum(&scene, Some(3), 7.0);
    let late = scene.join("late");
    scene.approve(&late);
    scene.rooms.push(late);
    until_sum(&scene, Some(3), 23.0);

    let body = scene.gateway.api("DELETE", &path, None).ok().json();
    for window in body["windows"].as_array().expect("windows") {
        match window["result"]["statistics"][0]["value"].as_f64() {
            Some(sum) => {
                let took_part = (sum as u64).count_ones();
                assert!(took_part >= 3 && window["contributors"] == took_part, "{window}");
            }
            None => assert!(window["state"] == "failed" && window["detail"] != "", "{window}"),
        }
    }
}
