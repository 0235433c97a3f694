//! Tasks of clients over the series of four peers, each a process of its own.

use serde_json::{Value, json};
use tacit_model::{Clock, SystemClock, UnixMillis};

use crate::harness::{Node, run};
use crate::http::{Reply, Request};
use crate::rooms::Rooms;
use crate::wait::{until, until_offers};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Four peers that give, compute and receive; the first one's node orchestrates, too.
struct Building {
    nodes: [Node; 4],
    keys: Vec<String>,
    gid: i64,
}

fn now() -> UnixMillis {
    SystemClock.now()
}

impl Building {
    fn found() -> Self {
        let nodes = NAMES.map(|name| {
            let roles = if name == "a" { "manager,peer" } else { "peer" };
            Node::with(name, &["--roles", roles])
        });
        let gateway = &nodes[0];
        let gid = gateway.api("POST", "/groups", Some(&json!({ "name": "building" }))).json()["gid"].as_i64();
        let gid = gid.expect("a number");
        let mut keys = Vec::new();
        for (name, node) in NAMES.iter().zip(&nodes) {
            let code = gateway.api("POST", &format!("/groups/{gid}/codes"), None).json();
            let joining = json!({
                "name": name, "role": "both", "gateway_url": format!("{}/api/v1", gateway.url()),
                "registration_code": code["code"], "operator": format!("tenant {name}"),
            });
            let joined = node.api("POST", "/peers", Some(&joining)).json();
            let verdict = json!({ "verified": true, "fingerprint": joined["fingerprint"] });
            gateway.api("POST", &format!("/members/{name}/verify"), Some(&verdict)).ok();
            keys.push(joined["fingerprint"].as_str().expect("a fingerprint").to_owned());
            let floor = if *name == "d" { "floor=4" } else { "floor=3" };
            node.api("PUT", &format!("/peers/{name}/labels"), Some(&json!({ "labels": ["rooms", floor] }))).ok();
        }
        let building = Self { nodes, keys, gid };
        for (peer, temperature) in ["20.5", "21.5", "24.25", "30"].into_iter().enumerate() {
            let occupied = if peer == 1 { "0" } else { "1" };
            building.measure(peer, 60_000, &[("temperature", temperature), ("occupancy", occupied)]);
        }
        building.until_offered(4);
        building
    }

    fn allow_conditions(&self) {
        self.rule("conditions", true.into());
    }

    /// The same rule at every peer.
    fn rule(&self, rule: &str, value: Value) {
        for (name, node) in NAMES.iter().zip(&self.nodes) {
            let path = format!("/peers/{name}/policy");
            let mut policy = node.api("GET", &path, None).ok().json()["policy"].clone();
            policy[rule] = value.clone();
            node.api("PUT", &path, Some(&policy)).ok();
        }
    }

    /// What the owner of a peer reads of its last trouble.
    fn trouble(&self, peer: usize) -> String {
        let path = format!("/peers/{}", NAMES[peer]);
        self.nodes[peer].api("GET", &path, None).ok().json()["last_error"].to_string()
    }

    /// A sample of so many milliseconds ago.
    fn measure(&self, peer: usize, ago: i64, values: &[(&str, &str)]) {
        let values: serde_json::Map<String, Value> =
            values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let body = json!({ "samples": [{ "at": now().plus(-ago).to_rfc3339(), "values": values }] });
        self.nodes[peer].api("POST", &format!("/peers/{}/samples", NAMES[peer]), Some(&body)).ok();
    }

    fn until_offered(&self, peers: usize) {
        let whole = |o: &Value| o["labels"].as_array().is_some_and(|l| l.len() == 2) && o["sources"] != json!([]);
        until_offers(peers, || self.nodes[0].offers(self.gid), whole);
    }

    fn question(&self, aggregator: &str, more: Value) -> Value {
        let mut task = json!({
            "group": self.gid, "purpose": "HVAC", "sources": ["temperature"], "aggregator": aggregator,
            "preselector": "last_1h", "decimals": 2, "least": "0", "most": "50", "tell_gateway": true,
        });
        for (name, value) in more.as_object().expect("fields") {
            task[name] = value.clone();
        }
        task
    }

    fn ask(&self, task: &Value) -> Value {
        self.nodes[0].api("POST", "/tasks", Some(&json!({ "task": task }))).ok().json()
    }

    fn command(&self, args: &[&str]) -> std::process::Output {
        let node = &self.nodes[0];
        let token = node.data().join("keys").join("owner.token");
        run(&[args, &["--node", &node.url(), "--token-file", token.to_str().expect("a path")]].concat())
    }
}

#[track_caller]
fn number(body: &Value, name: &str) -> f64 {
    let statistics = body["windows"][0]["result"]["statistics"].as_array().unwrap_or_else(|| panic!("{body}"));
    let found = statistics.iter().find(|statistic| statistic["name"] == name);
    found.and_then(|s| s["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {body}"))
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

/// A question about those above a bound, or who meet a condition, would tell the number of the only one: the peers' policy
/// gives all records or none, unless its owner says otherwise.
#[test]
fn f05_no_condition_and_no_bound_singles_somebody_out() {
    let building = Building::found();
    let trouble = |peer: usize| building.trouble(peer);
    for (more, reason) in [
        (json!({ "filter": ["temperature>25"] }), "meet a condition (temperature>25)"),
        (json!({ "least": "25" }), "takes values from 25 to 50, which leaves 1 of this peer's records out"),
        (json!({ "most": "21" }), "takes values from 0 to 21, which leaves 1 of this peer's records out"),
    ] {
        let told = building.ask(&building.question("mean", more));
        assert_eq!((&told["state"], &told["windows"][0]["result"]), (&"failed".into(), &Value::Null), "{told}");
        let heard = trouble(2);
        assert!(heard.contains(reason) && heard.contains("set conditions"), "{heard}");
    }
    building.allow_conditions();
    let told = building.ask(&building.question("mean", json!({ "filter": ["temperature>21"] })));
    near(number(&told, "count"), 3.0);
}

/// Who asks with one bound after the other learns from the answers where a record lies, unless the owner has said what
/// values there can be: then the answer is the same whatever they are.
#[test]
fn f05_a_range_is_judged_without_a_look_at_the_records() {
    let building = Building::found();
    building.rule("ranges", json!(["temperature=0..40"]));
    // All records are within these bounds, and nobody says so.
    for (least, most) in [("0", "39"), ("1", "50")] {
        let told = building.ask(&building.question("mean", json!({ "least": least, "most": most })));
        assert_eq!((&told["state"], &told["windows"][0]["result"]), (&"failed".into(), &Value::Null), "{told}");
        let heard = building.trouble(2);
        assert!(heard.contains("has some from 0 to 40 by this peer's policy (ranges)"), "{heard}");
    }
    // A sensor that is broken is left out, and nobody says so either.
    building.measure(2, 30_000, &[("temperature", "45"), ("occupancy", "1")]);
    let told = building.ask(&building.question("mean", json!({})));
    near(number(&told, "mean(temperature)"), (20.5 + 21.5 + 24.25 + 30.0) / 4.0);
    assert!(building.trouble(2).contains("1 of this peer's records have a value that"), "{}", building.trouble(2));
    // Also where another series of the task has no range.
    let told = building.ask(&building.question("mean", json!({ "sources": ["temperature", "occupancy"] })));
    near(number(&told, "mean(temperature)"), (20.5 + 21.5 + 24.25 + 30.0) / 4.0);
}

#[test]
fn f15_tasks_over_series_equal_plaintext() {
    let building = Building::found();
    building.allow_conditions();
    // Older than an hour: not selected.
    building.measure(0, 4_000_000, &[("temperature", "50"), ("occupancy", "1")]);
    // The second of two records of b; `now` takes the latest.
    building.measure(1, 90_000, &[("temperature", "11.5"), ("occupancy", "1")]);
    // Above `most`: does not enter.
    building.measure(2, 120_000, &[("temperature", "51"), ("occupancy", "1")]);

    let mean = building.ask(&building.question("mean", json!({})));
    assert_eq!(mean["state"], "done", "{mean}");
    assert_eq!(mean["windows"][0]["contributors"], 4);
    near(number(&mean, "mean(temperature)"), (20.5 + 21.5 + 11.5 + 24.25 + 30.0) / 5.0);
    let longer = building.ask(&building.question("mean", json!({ "preselector": "last_75min" })));
    near(number(&longer, "mean(temperature)"), (20.5 + 50.0 + 21.5 + 11.5 + 24.25 + 30.0) / 6.0);

    let occupied = building.ask(&building.question("mean", json!({ "filter": ["occupancy>=1"] })));
    near(number(&occupied, "count"), 4.0);
    near(number(&occupied, "mean(temperature)"), (20.5 + 11.5 + 24.25 + 30.0) / 4.0);

    // The command as the facility manager types it; of two groups it must say which one it means.
    let typed = "task run --set rooms --source temperature --preselector last_1h --aggregator mean --purpose HVAC \
                 --decimals 2 --most 50 --model malicious --json";
    let typed: Vec<&str> = typed.split_whitespace().collect();
    let told: Value = serde_json::from_slice(&building.command(&typed).stdout).expect("JSON");
    assert_eq!(
        (&told["results"][0]["contributors"], &told["task"]["model"]),
        (&json!(4), &json!("malicious")),
        "{told}"
    );
    let garage = building.nodes[0].api("POST", "/groups", Some(&json!({ "name": "garage" })));
    assert_eq!(garage.status, 201, "{garage:?}");
    let unclear = building.command(&typed);
    assert_eq!(unclear.status.code(), Some(2), "{unclear:?}");
    assert!(
        String::from_utf8_lossy(&unclear.stderr).contains("add --group, one of 1 (building), 2 (garage)"),
        "{unclear:?}"
    );

    // Another reading, since the same one does not enter results with different members.
    for (peer, temperature) in ["19", "20", "21", "22"].into_iter().enumerate() {
        building.measure(peer, 0, &[("temperature", temperature), ("occupancy", "1")]);
    }
    let floor = json!({ "preselector": "now", "set": "rooms,floor=3" });
    let third = building.ask(&building.question("sum", floor.clone()));
    near(number(&third, "sum(temperature)"), 60.0);
    assert_eq!(third["windows"][0]["contributors"], 3);
    let spread = building.ask(&building.question("std_deviation", floor.clone()));
    near(number(&spread, "std_deviation(temperature)"), 1.0);
    let middle = building.ask(&building.question("median", floor));
    near(number(&middle, "median(temperature)"), 20.0);

    // Nobody is on the fifth floor, and no such aggregator is anywhere.
    let nobody = building.ask(&building.question("mean", json!({ "set": "floor=5" })));
    assert_eq!(nobody["state"], "failed");
    let unknown = json!({ "task": building.question("mode", json!({})) });
    let unknown = building.nodes[0].api("POST", "/tasks", Some(&unknown));
    assert_eq!(unknown.status, 422, "{unknown:?}");

    // Rule 10: no answer names a member.
    for answer in [&mean, &nobody, &third] {
        let text = answer["windows"].to_string();
        assert!(building.keys.iter().all(|key| !text.contains(key)), "{text}");
    }
}

#[test]
fn rule11_the_result_opens_for_its_recipients_only() {
    let building = Building::found();
    let gid = building.gid.to_string();
    let question = [
        "task",
        "run",
        "--group",
        &gid,
        "--source",
        "temperature",
        "--preselector",
        "last_1h",
        "--aggregator",
        "mean",
        "--purpose",
        "HVAC",
        "--decimals",
        "2",
        "--most",
        "50",
        "--json",
    ];
    // Sealed for the command: the gateway has it in no form that it could read.
    let output = building.command(&question);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mean = (20.5 + 21.5 + 24.25 + 30.0) / 4.0;
    let statistics = told["results"][0]["statistics"].as_array().expect("statistics").clone();
    let found = statistics.iter().find(|s| s["name"] == "mean(temperature)").and_then(|s| s["value"].as_f64());
    near(found.expect("a mean"), mean);
    let id = told["id"].as_str().expect("an id");
    let kept = building.nodes[0].api("GET", &format!("/tasks/{id}"), None).ok().json();
    assert!(
        kept["windows"][0]["result"].is_null() && kept["windows"][0]["sealed"].as_array().is_some_and(|s| s.len() == 2)
    );

    // It says by which manager key it knows the group; a member's owner reads the same.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let key = said.split("under the manager key ").nth(1).and_then(|rest| rest.split(',').next()).expect("a key");
    let roster = building.command(&["peer", "roster", NAMES[0]]);
    assert!(String::from_utf8_lossy(&roster.stdout).contains(&format!("manager key {key}")), "{said}: {roster:?}");

    // Its receipt names the task as the client knows it, not the number that stands for it.
    until("its receipt", || {
        let list = String::from_utf8_lossy(&building.command(&["receipt", "list"]).stdout).into_owned();
        let named = format!("task {}... computation 1", &id[..12]);
        if list.contains(&named) && !list.contains("run -") { Ok(()) } else { Err(list) }
    });

    // Compare me with the average: b asks for itself, and the client of the gateway hears nothing.
    let own = json!({ "recipients": [building.keys[1]], "tell_gateway": false });
    let own = building.ask(&building.question("mean", own));
    assert_eq!(own["state"], "done", "{own}");
    assert!(own["windows"][0].get("result").is_none() && own["windows"][0].get("sealed").is_none());
    let results = |peer: usize| {
        let all = building.nodes[peer].api("GET", &format!("/peers/{}/results", NAMES[peer]), None).ok().json();
        all["results"].as_array().cloned().unwrap_or_default()
    };
    assert_eq!(results(0).len(), 1, "a hears the first task only");
    assert_eq!(results(1).len(), 2);
    let stranger = building.question("mean", json!({ "recipients": ["00".repeat(32)] }));
    assert_eq!(building.nodes[0].api("POST", "/tasks", Some(&json!({ "task": stranger }))).status, 403);

    // F4: each peer shows its owner the whole task.
    let roster = building.nodes[2].api("GET", "/peers/c/roster", None).ok().json();
    let job = roster["last_job"].as_str().expect("a job");
    assert!(job.contains("HVAC") && job.contains("ticket"), "{job}");
}

#[test]
fn f12_rule3_who_is_there_takes_part_in_disjoint_windows() {
    let mut building = Building::found();
    let all = building.ask(&building.question("mean", json!({})));
    assert_eq!(all["windows"][0]["contributors"], 4, "{all}");
    building.nodes[3].kill();
    until("d to be away", || {
        let offers = building.nodes[0].offers(building.gid);
        if offers.as_array().is_some_and(|o| o.len() == 3) { Ok(()) } else { Err(offers.to_string()) }
    });
    // The difference of the two means would be d's value.
    let same = building.ask(&building.question("mean", json!({})));
    assert_eq!(same["state"], "failed", "{same}");
    let why = same["detail"].as_str().expect("a reason");
    // No names and no reasons, but where to find them.
    assert!(why.contains("`tacit peer show NAME`") && why.contains("`tacit policy approvals NAME`"), "{why}");
    assert!(why.contains("`tacit task run --approval SECONDS`"), "{why}");
    assert!(why.ends_with("ask for a later window") && !why.contains("other members"), "{why}");
    let trouble = building.nodes[1].api("GET", "/peers/b", None).ok().json();
    assert!(trouble["last_error"].as_str().is_some_and(|why| why.contains("other members")), "{trouble}");
    for peer in 0..3 {
        building.measure(peer, 0, &[("temperature", "20"), ("occupancy", "1")]);
    }
    let later = building.ask(&building.question("mean", json!({ "preselector": "now" })));
    assert_eq!(later["windows"][0]["contributors"], 3, "{later}");
    near(number(&later, "mean(temperature)"), 20.0);
}

/// Neither one client nor all of them together can leave so many tasks that the gateway drowns in them.
#[test]
fn w3_open_tasks_are_bounded_for_each_client_and_in_all() {
    let config = "roles = [\"gateway\"]\n[limits]\nopen_tasks = 5\nclient_tasks = 3\n";
    let mut scene = Rooms::found_at(Node::served("gateway", config), 3);
    let gid = scene.gid;
    let token = |label: &str| {
        let new = json!({ "role": "viewer", "label": label, "tasks": {} });
        scene.gateway.api("POST", "/tokens", Some(&new)).json()["token"].as_str().expect("a token").to_owned()
    };
    let (ada, ben) = (token("ada"), token("ben"));
    // Open for an hour, whether or not anybody is there to compute it.
    let asks = |node: &Node, token: &str, key: &str| {
        let task = json!({
            "group": gid, "purpose": "HVAC", "sources": ["temperature"], "aggregator": "mean",
            "repeat": { "every_s": 3600, "times": 2 },
        });
        let url = format!("{}/api/v1/tasks", node.url());
        let request = Request::new("POST", &url).header("authorization", format!("Bearer {token}"));
        request.header("idempotency-key", key).json(&json!({ "task": task, "wait": false })).answer()
    };
    let refused = |reply: Reply, setting: &str| {
        assert_eq!(reply.status, 429, "{reply:?}");
        let seconds = reply.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
        assert!(seconds.is_some_and(|seconds| seconds > 0), "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
        let problem = reply.json();
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(setting) && d.contains("ask")), "{problem}");
    };
    let first = asks(&scene.gateway, &ada, "a1").ok().json();
    // Whoever knows a request does not have its task, and the same request of its own client is no second one.
    let again = |token: &str, wait: bool| {
        let url = format!("{}/api/v1/tasks", scene.gateway.url());
        let request = Request::new("POST", &url).header("authorization", format!("Bearer {token}"));
        request.json(&json!({ "task": first["task"], "wait": wait })).answer()
    };
    for wait in [false, true] {
        let reply = again(&ben, wait);
        assert!(reply.status == 409 && reply.json()["results"].is_null(), "{reply:?}");
    }
    assert_eq!(again(&ada, false).ok().json()["id"], first["id"]);
    let first = first["id"].clone();
    for key in ["a2", "a3"] {
        asks(&scene.gateway, &ada, key).ok();
    }
    refused(asks(&scene.gateway, &ada, "a4"), "client_tasks");
    // The same once more is no other one.
    assert_eq!(asks(&scene.gateway, &ada, "a1").ok().json()["id"], first);
    // Somebody else is not in ada's way, until it is too much in all.
    for key in ["b1", "b2"] {
        asks(&scene.gateway, &ben, key).ok();
    }
    refused(asks(&scene.gateway, &ben, "b3"), "open_tasks");
    // Those of before a restart count.
    scene.gateway.restart();
    refused(asks(&scene.gateway, &ada, "a4"), "client_tasks");
    refused(asks(&scene.gateway, &ben, "b3"), "open_tasks");
    // Where one ends there is room for one.
    scene.gateway.api("DELETE", &format!("/tasks/{}", first.as_str().expect("an id")), None).ok();
    asks(&scene.gateway, &ada, "a4").ok();
    refused(asks(&scene.gateway, &ada, "a5"), "client_tasks");
}

#[test]
fn w3_tokens_idempotency_and_repeated_tasks() {
    let mut building = Building::found();
    let gateway = &building.nodes[0];
    let scope = json!({ "purposes": ["HVAC"], "aggregators": ["mean"], "sets": [""] });
    let new = json!({ "role": "viewer", "label": "hvac", "tasks": scope });
    let token = gateway.api("POST", "/tokens", Some(&new)).json()["token"].as_str().expect("a token").to_owned();
    let url = format!("{}/api/v1/tasks", gateway.url());
    let call = |token: &str, key: Option<&str>, task: &Value, wait: bool| -> Reply {
        let request = Request::new("POST", &url).header("authorization", format!("Bearer {token}"));
        let request = match key {
            Some(key) => request.header("idempotency-key", key.to_owned()),
            None => request,
        };
        request.json(&json!({ "task": task, "wait": wait })).answer()
    };
    let mean = building.question("mean", json!({}));
    assert_eq!(call(&token, None, &mean, true).ok().json()["state"], "done");
    for other in [
        building.question("sum", json!({})),
        building.question("mean", json!({ "purpose": "curiosity" })),
        building.question("mean", json!({ "set": "floor=3" })),
    ] {
        assert_eq!(call(&token, None, &other, true).status, 403, "{other}");
    }
    let looks = gateway.api("POST", "/tokens", Some(&json!({ "role": "viewer", "label": "looks" }))).json();
    assert_eq!(call(looks["token"].as_str().expect("a token"), None, &mean, true).status, 403);

    // The same key is the same task, also when it is over and when the gateway was started again.
    let first = call(&token, Some("k1"), &mean, true).ok().json();
    let again = call(&token, Some("k1"), &building.question("mean", json!({})), true).ok().json();
    assert_eq!(first["id"], again["id"]);
    assert_eq!(first["windows"], again["windows"]);
    // And another question under it is none of both.
    let other = call(&token, Some("k1"), &building.question("mean", json!({ "preselector": "now" })), true);
    assert!(other.status == 409 && other.body.contains("choose a new key"), "{other:?}");

    // Two computations, a second apart; the gateway is killed between taking and ending.
    // All four, also those who come back last.
    let repeated = building.question("mean", json!({ "repeat": { "every_s": 1, "times": 3 }, "min_participants": 4 }));
    let taken = call(&token, None, &repeated, false).ok().json();
    let id = taken["id"].as_str().expect("an id").to_owned();
    building.nodes[0].restart();
    let ended = until("the end of a repeated task", || {
        let body = building.nodes[0].api("GET", &format!("/tasks/{id}"), None).ok().json();
        if body["state"] == "open" { Err(body.to_string()) } else { Ok(body) }
    });
    let windows = ended["windows"].as_array().expect("windows");
    assert_eq!(windows.len(), 3, "{ended}");
    assert_eq!(windows[2]["state"], "done", "{ended}");
    let over = building.nodes[0].api("DELETE", &format!("/tasks/{id}"), None);
    assert_eq!(over.status, 409, "{over:?}");

    // Cancelled while it waits for its second computation.
    let long = building.question("mean", json!({ "repeat": { "every_s": 600, "times": 2 } }));
    let body = json!({ "task": long, "wait": false });
    let long = building.nodes[0].api("POST", "/tasks", Some(&body)).ok().json();
    let path = format!("/tasks/{}", long["id"].as_str().expect("an id"));
    assert_eq!(building.nodes[0].api("DELETE", &path, None).ok().json()["state"], "cancelled");
    assert_eq!(building.nodes[0].api("GET", &path, None).ok().json()["state"], "cancelled");
}

/// The line that every introduction shows, word for word: places and signs count, and what does not count is said.
#[test]
fn f15_the_plain_command_counts_places_and_signs() {
    let building = Building::found();
    for (peer, temperature) in ["21.5", "-3", "0.25", "7"].into_iter().enumerate() {
        let name = NAMES[peer];
        building.nodes[peer]
            .api("PUT", &format!("/peers/{name}/labels"), Some(&json!({ "labels": ["offices", "x"] })))
            .ok();
        building.measure(peer, 0, &[("outside", temperature)]);
    }
    until("all offers of the outside", || {
        let offers = building.nodes[0].api("GET", &format!("/groups/{}/offers", building.gid), None).ok().json();
        let all = offers["offers"].as_array().expect("a list");
        let outside = |o: &&Value| o["sources"].as_array().is_some_and(|all| all.contains(&json!("outside")));
        let offices = |o: &&Value| o["labels"].as_array().is_some_and(|all| all.contains(&json!("offices")));
        let found = all.iter().filter(outside).filter(offices).count();
        if found == 4 { Ok(()) } else { Err(offers.to_string()) }
    });
    let typed = "task run --set offices --source outside --preselector last_1h --aggregator mean --purpose HVAC";
    let ask = |more: &str| {
        let typed = format!("{typed} {more} --json");
        let output = building.command(&typed.split_whitespace().collect::<Vec<_>>());
        assert!(output.status.success(), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let statistics = told["results"][0]["statistics"].as_array().unwrap_or_else(|| panic!("{told}")).clone();
        let mean = statistics.iter().find(|s| s["name"] == "mean(outside)").and_then(|s| s["value"].as_f64());
        (mean.unwrap_or_else(|| panic!("{told}")), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let trouble = |peer: usize| building.trouble(peer);
    let (mean, said) = ask("");
    near(mean, (21.5 - 3.0 + 0.25 + 7.0) / 4.0);
    assert!(said.contains("from -1000000 to 1000000") && said.contains("2 decimal places"), "{said}");
    assert!(!trouble(1).contains("records out"), "{}", trouble(1));

    // Bounds that leave somebody out, where that is allowed: its owner hears how much, and not from whom else.
    building.allow_conditions();
    let (mean, said) = ask("--least 0 --most 50 --decimals 0");
    near(mean, (22.0 + 0.0 + 7.0) / 3.0);
    assert!(!said.contains("note"), "{said}");
    let heard = trouble(1);
    assert!(heard.contains("leaves 1 of this peer's records out") && heard.contains("from 0 to 50"), "{heard}");
    assert!(!trouble(0).contains("records out"), "{}", trouble(0));
}
