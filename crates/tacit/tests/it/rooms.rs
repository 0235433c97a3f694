//! A gateway by itself and rooms that measure, each a process of its own.

use serde_json::{Value, json};
use tacit_model::{Clock, SystemClock};

use crate::harness::Node;
use crate::http::{Reply, Request};
use crate::wait::{until, until_offers};

/// The scene: a group whose members give, compute and receive.
pub(crate) struct Rooms {
    pub(crate) gateway: Node,
    pub(crate) rooms: Vec<Room>,
    pub(crate) gid: i64,
}

/// One room.
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) key: String,
}

impl Rooms {
    /// So many rooms, approved and connected.
    pub(crate) fn found(count: usize) -> Self {
        Self::found_with(count, &[])
    }

    /// The same, with flags for the gateway.
    pub(crate) fn found_with(count: usize, flags: &[&str]) -> Self {
        Self::found_at(Node::with("gateway", &[&["--roles", "manager"], flags].concat()), count)
    }

    /// The same at a gateway that is there already.
    pub(crate) fn found_at(gateway: Node, count: usize) -> Self {
        let gid = gateway.api("POST", "/groups", Some(&json!({ "name": "building" }))).json()["gid"].as_i64();
        let mut scene = Self { gateway, rooms: Vec::new(), gid: gid.expect("a number") };
        for number in 0..count {
            let room = scene.join(&format!("room{number}"));
            scene.approve(&room);
            scene.rooms.push(room);
        }
        scene
    }

    /// A room that has registered, and that nobody has approved yet.
    pub(crate) fn join(&self, name: &str) -> Room {
        let node = Node::with(name, &["--roles", "peer"]);
        let code = self.gateway.api("POST", &format!("/groups/{}/codes", self.gid), None).json();
        let mut joining = json!({
            "name": name, "role": "both", "gateway_url": format!("{}/api/v1", self.gateway.url()),
            "registration_code": code["code"], "operator": format!("tenant of {name}"),
        });
        if self.gateway.url().starts_with("https") {
            joining["gateway_fingerprint"] = self.gateway.fingerprint().into();
        }
        let joined = node.api("POST", "/peers", Some(&joining)).json();
        let key = joined["fingerprint"].as_str().unwrap_or_else(|| panic!("{joined}")).to_owned();
        Room { name: name.to_owned(), node, key }
    }

    pub(crate) fn approve(&self, room: &Room) {
        let verdict = json!({ "verified": true, "fingerprint": room.key });
        self.gateway.api("POST", &format!("/members/{}/verify", room.name), Some(&verdict)).ok();
    }

    /// One sample of each room, so long ago, and the gateway knows of the series.
    pub(crate) fn measure(&self, source: &str, ago_ms: i64, values: &[&str]) {
        for (room, value) in self.rooms.iter().zip(values) {
            room.measure(source, ago_ms, value);
        }
        let rooms = self.rooms.len().min(values.len());
        let has = |o: &Value| o["sources"].as_array().is_some_and(|s| s.iter().any(|s| s == source));
        until_offers(rooms, || self.gateway.offers(self.gid), has);
    }

    /// A question about the temperature now; the gateway hears the answer.
    pub(crate) fn question(&self, aggregator: &str, more: Value) -> Value {
        let mut task = json!({
            "group": self.gid, "purpose": "HVAC", "sources": ["temperature"], "aggregator": aggregator,
            "preselector": "now", "decimals": 2, "least": "0", "most": "50", "tell_gateway": true,
        });
        for (name, value) in more.as_object().expect("fields") {
            task[name] = value.clone();
        }
        task
    }

    /// Asks, and waits for the end.
    pub(crate) fn ask(&self, task: &Value) -> Value {
        self.gateway.api("POST", "/tasks", Some(&json!({ "task": task }))).ok().json()
    }

    /// Asks without waiting for the end.
    pub(crate) fn hand_in(&self, task: &Value) -> Value {
        self.gateway.api("POST", "/tasks", Some(&json!({ "task": task, "wait": false }))).ok().json()
    }

    /// The task when it is over.
    pub(crate) fn ended(&self, id: &str) -> Value {
        until("the end of a task", || {
            let body = self.gateway.api("GET", &format!("/tasks/{id}"), None).ok().json();
            if body["state"] == "open" { Err(body.to_string()) } else { Ok(body) }
        })
    }

    /// A call to the gateway with a token of the caller's choice, or without.
    pub(crate) fn call(&self, token: Option<&str>, method: &str, path: &str, body: &Value) -> Reply {
        let url = format!("{}/api/v1{path}", self.gateway.url());
        let request = Request::new(method, &url).json(body);
        match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")).answer(),
            None => request.answer(),
        }
    }
}

impl Room {
    pub(crate) fn measure(&self, source: &str, ago_ms: i64, value: &str) {
        let at = SystemClock.now().plus(-ago_ms).to_rfc3339();
        let body = json!({ "samples": [{ "at": at, "values": { source: value } }] });
        self.node.api("POST", &format!("/peers/{}/samples", self.name), Some(&body)).ok();
    }

    /// Changes some rules of the policy.
    pub(crate) fn policy(&self, rules: Value) -> Value {
        let path = format!("/peers/{}/policy", self.name);
        let mut policy = self.node.api("GET", &path, None).ok().json()["policy"].clone();
        for (name, value) in rules.as_object().expect("rules") {
            policy[name] = value.clone();
        }
        self.node.api("PUT", &path, Some(&policy)).ok().json()
    }

    /// What its owner reads.
    pub(crate) fn trouble(&self) -> String {
        let me = self.node.api("GET", &format!("/peers/{}", self.name), None).ok().json();
        me["last_error"].as_str().unwrap_or_default().to_owned()
    }

    /// The last task that it was shown.
    pub(crate) fn last_job(&self) -> Option<String> {
        let roster = self.node.api("GET", &format!("/peers/{}/roster", self.name), None).ok().json();
        roster["last_job"].as_str().map(str::to_owned)
    }
}

/// A named number of the result of a task's first computation.
#[track_caller]
pub(crate) fn number(body: &Value, name: &str) -> f64 {
    let statistics = body["windows"][0]["result"]["statistics"].as_array().unwrap_or_else(|| panic!("{body}"));
    let found = statistics.iter().find(|statistic| statistic["name"] == name);
    found.and_then(|s| s["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {body}"))
}
