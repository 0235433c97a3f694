//! Bad input on every route: refused as the caller's mistake, in the words of the face, and without a
//! trace.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Node;
use crate::http::{Reply, Request, get};
use crate::p2ds::{Config, DEMO_PUBLIC, Group};
use crate::sink::Sink;

/// Texts that are no body of any call.
const NO_BODIES: [&str; 9] =
    ["", "{", "null", "[]", "7", "\"text\"", "{\"nobody\":\"knows this\"}", "{\"name\":{}}", "\u{0}"];
/// Parts of a path that name nothing.
const NOTHING: [&str; 7] = ["77", "nobody", "-1", "99999999999999999999", "%FF%FE", "%00", "x%2Fy"];

/// One byte more than is read. Not more, so that it is read to its end and the refusal arrives.
fn too_long() -> Vec<u8> {
    vec![b' '; (8 << 20) + 1]
}

/// A node at work, with one result computed, and what it told before the calls.
struct Site {
    node: Node,
    group: Group,
    sink: Sink,
    code: String,
    before: String,
}

impl Site {
    fn open() -> Self {
        let (node, sink) = (Node::start(), Sink::open());
        let manager = node.manager();
        let group = Group::usual(&manager, &node.peers(), "g", &|peer| sink.url(peer), &Config::of(2, -1));
        group.start();
        let code = manager.invite(group.gid);
        let mut site = Self { node, group, sink, code, before: String::new() };
        site.computes(1);
        site.before = site.at_rest();
        site
    }

    /// What the node tells once its log holds the receipt of the slot: its last entries come after the result.
    fn at_rest(&self) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let state = self.node.state();
            if state.contains("\"kind\":\"receipt\"") {
                return state;
            }
            assert!(Instant::now() < until, "no receipt: {state}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Computes one more slot.
    #[track_caller]
    fn computes(&self, slot: usize) {
        self.group.give("a", &["1;3"]);
        self.group.give("b", &["2;5"]);
        for peer in ["a", "b"] {
            assert_eq!(self.sink.wait_rows(peer, slot)[slot - 1], "3;8");
        }
    }

    /// Nothing changed, and the node still works.
    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(self.node.state(), self.before);
        self.computes(2);
    }
}

/// A path with a value for each of its parts in braces.
fn filled<'a>(path: &str, value: impl Fn(&str) -> &'a str) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => value(name).to_owned(),
        None => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A refusal in a word of the P2DS manual.
#[track_caller]
fn in_a_word(what: &str, reply: &Reply) {
    assert!(reply.is_refusal(), "{what}: {reply:?}");
    let word = reply.body.trim();
    let fits = word.starts_with("ERR_") && word.len() < 30 && word != "ERR_SUCCESS" && word != "ERR_SERVER";
    assert!(fits, "{what}: {reply:?}");
}

/// A refusal as RFC 9457 wants it.
#[track_caller]
fn as_a_problem(what: &str, reply: &Reply) {
    assert!(reply.is_refusal(), "{what}: {reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}: {reply:?}");
    let problem = reply.json();
    assert_eq!(problem["status"], reply.status, "{what}: {problem}");
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{what}: no {member} in {problem}");
    }
}

#[test]
fn refused_calls_change_nothing_on_the_p2ds_face() {
    let site = Site::open();
    let (m, p) = (site.node.manager(), site.node.peers());
    let (a, own) = (site.group.full("a"), site.group.seat("a").code.clone());
    let (x, gid) = (site.group.full("x"), site.group.gid);
    let long = "n".repeat(121);

    // Paths that lead nowhere.
    for nothing in NOTHING {
        let by_code = |base: &str, path: &str| format!("{base}{path}?registrationCode={own}");
        let calls = [
            ("GET", m.at(&format!("/group/{nothing}"))),
            ("DELETE", m.at(&format!("/group/{nothing}"))),
            ("POST", m.at(&format!("/registration/{nothing}"))),
            ("DELETE", m.at(&format!("/registration/{nothing}"))),
            ("POST", format!("{}/register/{nothing}?url=u&name=new&type=1", m.base)),
            ("POST", by_code(&m.base, &format!("/publicKey/{nothing}"))),
            ("GET", m.at(&format!("/peer/{nothing}"))),
            ("DELETE", m.at(&format!("/peer/{nothing}"))),
            ("POST", m.at(&format!("/verify/{nothing}?verified=true"))),
            ("GET", by_code(&m.base, &format!("/configuration/{nothing}"))),
            ("GET", by_code(&m.base, &format!("/groupInfo/{nothing}"))),
            ("POST", m.at(&format!("/start/{nothing}"))),
            ("POST", m.at(&format!("/stop/{nothing}"))),
            ("POST", format!("{}&status=3", by_code(&m.base, &format!("/status/{nothing}")))),
            ("GET", p.at(&format!("/peer/{nothing}"))),
            ("DELETE", p.at(&format!("/peer/{nothing}"))),
            ("POST", by_code(&p.base, &format!("/start/{nothing}"))),
            ("POST", by_code(&p.base, &format!("/stop/{nothing}"))),
            ("GET", format!("{}/{nothing}", m.base)),
            ("GET", format!("{}/{nothing}", p.base)),
            ("GET", format!("{}/p2ds-receiver/receiver/{nothing}", site.node.url())),
        ];
        for (method, url) in calls {
            in_a_word(&format!("{method} {url}"), &Request::new(method, &url).answer());
        }
    }

    // Bodies that say nothing, on every call that reads one.
    let input = format!("{}/input?registrationCode={own}", p.base);
    let inputs = format!("{}/inputs?registrationCode={own}", p.base);
    let readers = [
        m.at("/group"),
        m.at("/configuration"),
        format!("{}/publicKey/{a}?registrationCode={own}", m.base),
        format!("{}/register/{}?url=u&name=new&type=9", m.base, site.code),
        p.at("/peer"),
        input.clone(),
        inputs.clone(),
        site.node.receiver().address(),
    ];
    for url in &readers {
        for body in NO_BODIES {
            let reply = Request::new("POST", url).body("application/json", body).answer();
            in_a_word(&format!("POST {url} {body:?}"), &reply);
        }
        in_a_word(url, &Request::new("POST", url).body("application/json", vec![0xff; 1000]).answer());

        let reply = Request::new("POST", url).body("application/json", too_long()).answer();
        in_a_word(&format!("POST {url} with more than 8 MiB"), &reply);
        assert_eq!(reply.status, 413, "{url}");
    }

    // Not a call of this system any more: it took anybody's data and wrote them to its log.
    let url = format!("{}/receive", m.base);
    in_a_word(&url, &Request::new("POST", &url).json(&json!({ "data": ["3;8"] })).answer());

    // Bodies that are almost right.
    let almost = [
        (m.at("/group"), json!(["new"])),
        (m.at("/group"), json!({ "name": 7 })),
        (m.at("/group"), json!({ "name": "" })),
        (m.at("/group"), json!({ "name": "line\nbreak" })),
        (m.at("/group"), json!({ "name": long })),
        (m.at("/group"), json!({ "name": "g" })),
        (m.at("/configuration"), Config { items: 0, ..Config::default() }.json(gid)),
        (m.at("/configuration"), Config { slots: 0, ..Config::default() }.json(gid)),
        (m.at("/configuration"), Config { field: 1014, ..Config::default() }.json(gid)),
        (m.at("/configuration"), Config { items: u32::MAX, ..Config::default() }.json(gid)),
        (m.at("/configuration"), Config { buffer: u32::MAX, items: 0, ..Config::default() }.json(gid)),
        (m.at("/configuration"), Config::default().json(77)),
        (p.at("/peer"), peer(&m.base, "new", json!(1), "wrong")),
        (p.at("/peer"), peer(&m.base, "new", json!(3.5), &site.code)),
        (p.at("/peer"), peer(&m.base, "new", json!("king"), &site.code)),
        (p.at("/peer"), peer(&m.base, "", json!(1), &site.code)),
        (p.at("/peer"), peer(&m.base, "tab\there", json!(1), &site.code)),
        (p.at("/peer"), peer(&m.base, &long, json!(1), &site.code)),
        (p.at("/peer"), peer(&m.base, &a, json!(1), &site.code)),
        (p.at("/peer"), peer("http://127.0.0.1:1/", "new", json!(1), &site.code)),
        (p.at("/peer"), peer(&site.node.url(), "new", json!(1), &site.code)),
        (input.clone(), json!({ "peerName": a, "data": "1;x" })),
        (input.clone(), json!({ "peerName": a, "data": ["1;2"] })),
        (input.clone(), json!({ "peerName": x, "data": "1;2" })),
        (input.clone(), json!({ "peerName": "nobody", "data": "1;2" })),
        (inputs.clone(), json!({ "peerName": a, "data": ["1;2", "1;2;3"] })),
        (inputs.clone(), json!({ "peerName": a, "data": [] })),
        (inputs.clone(), json!({ "peerName": a, "data": ["1;2", 7] })),
        (site.node.receiver().address(), json!({ "data": ["3;8\u{1}"] })),
    ];
    for (url, body) in &almost {
        in_a_word(&format!("POST {url} {body}"), &Request::new("POST", url).json(body).answer());
    }

    // Arguments and codes.
    let status = |text: &str| format!("{}/status/{a}?registrationCode={own}{text}", m.base);
    let codes = [
        status(""),
        status("&status=9"),
        status("&status=-1"),
        status("&status=x"),
        format!("{}/status/{a}?registrationCode=wrong&status=3", m.base),
        format!("{}/publicKey/{a}?registrationCode=wrong", m.base),
        format!("{}/register/{}?url=u&name=&type=1", m.base, site.code),
        format!("{}/register/{}?url=u&name={a}&type=1", m.base, site.code),
        format!("{}/register/{}?url=u&name=new%0A&type=1", m.base, site.code),
        format!("{}/register/{}?url=u&name={long}&type=1", m.base, site.code),
        format!("{}/register/{}?url={}&name=new&type=1", m.base, site.code, "u".repeat(5000)),
        format!("{}/start/{a}?registrationCode={own}", p.base),
        format!("{}/start/{a}?registrationCode=wrong", p.base),
        format!("{}/stop/{a}", p.base),
        format!("{}/message/{x}/{a}/AdditiveMessage", p.base),
    ];
    for url in &codes {
        in_a_word(&format!("POST {url}"), &Request::new("POST", url).body("text/plain", "x").answer());
    }
    in_a_word(
        "no key",
        &Request::new("POST", &format!("{}/publicKey/{a}?registrationCode=", m.base))
            .body("text/plain", DEMO_PUBLIC)
            .answer(),
    );

    // Methods that a path does not know.
    for url in [
        m.at("/group"),
        m.at("/configuration"),
        m.at("/testmode"),
        format!("{}/status", m.base),
        input,
        inputs,
        p.at("/peer"),
    ] {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            in_a_word(&format!("{method} {url}"), &Request::new(method, &url).answer());
        }
    }
    site.is_untouched();
}

fn peer(manager: &str, name: &str, kind: Value, code: &str) -> Value {
    json!({ "finalResultsURL": "", "groupMgmtURL": manager, "name": name, "peerType": kind, "registrationCode": code })
}

#[test]
fn refused_calls_change_nothing_on_the_native_api() {
    let mut site = Site::open();
    let issued = site.node.api("POST", "/tokens", Some(&json!({ "role": "viewer", "label": "looks" })));
    let viewer = issued.json()["token"].as_str().unwrap_or_else(|| panic!("{issued:?}")).to_owned();
    site.before = site.node.state();

    let base = format!("{}/api/v1", site.node.url());
    let owner = site.node.token();
    let document = get(&format!("{}/openapi.json", site.node.url())).ok().json();
    let prefix =
        if document["paths"].as_object().is_some_and(|paths| paths.keys().all(|path| path.starts_with("/api/v1"))) {
            "/api/v1"
        } else {
            ""
        };
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if ["get", "put", "post", "delete", "patch"].contains(&method.as_str()) {
                let open = operation["security"].as_array().is_none_or(Vec::is_empty);
                let path = path.strip_prefix(prefix).unwrap_or(path).to_owned();
                operations.push((method.to_uppercase(), path, !operation["requestBody"].is_null(), open));
            }
        }
    }
    assert!(operations.len() > 30, "{operations:?}");

    for (method, path, reads, open) in &operations {
        let known = [("gid", "1"), ("run", "1"), ("name", &site.group.full("a")), ("code", &site.code)];
        let known = |part: &str| known.iter().find(|(name, _)| *name == part).map_or("x", |(_, value)| *value);
        let url = format!("{base}{}", filled(path, known));
        // Strangers.
        if !open {
            for header in ["", "Bearer", "Bearer x", "Basic eDp4", "bearer tacit_0000"] {
                let reply = Request::new(method, &url).header("authorization", header).answer();
                as_a_problem(&format!("{method} {url} as {header:?}"), &reply);
                assert_eq!(reply.status, 401, "{method} {url}");
            }
            assert_eq!(Request::new(method, &url).answer().status, 401, "{method} {url}");
        }
        // Somebody who may only look.
        if method != "GET" && !open {
            let reply = Request::new(method, &url).header("authorization", format!("Bearer {viewer}")).answer();
            as_a_problem(&format!("{method} {url} as a viewer"), &reply);
            assert_eq!(reply.status, 403, "{method} {url}");
        }
        let as_owner = |url: &str, kind: &str, body: &[u8]| {
            let request = Request::new(method, url).header("authorization", format!("Bearer {owner}"));
            request.body(kind, body.to_vec()).answer()
        };
        // Bodies that say nothing.
        if *reads {
            for body in NO_BODIES {
                // Old clients register without a body.
                if path.starts_with("/register/") && body.is_empty() {
                    continue;
                }
                let reply = as_owner(&url, "application/json", body.as_bytes());
                as_a_problem(&format!("{method} {url} {body:?}"), &reply);
            }
            as_a_problem(&format!("{method} {url} of bytes"), &as_owner(&url, "application/json", &[0xff; 1000]));

            let reply = as_owner(&url, "application/json", &too_long());
            as_a_problem(&format!("{method} {url} with more than 8 MiB"), &reply);
            assert_eq!(reply.status, 413, "{method} {url}");
        }
        // Paths that name nothing.
        if path.contains('{') {
            for nothing in NOTHING {
                let url = format!("{base}{}", filled(path, |_| nothing));
                let reply = as_owner(&url, "application/json", b"{}");
                as_a_problem(&format!("{method} {url}"), &reply);
            }
        }
    }

    // Almost right.
    let a = site.group.full("a");
    let configuration =
        json!({ "field": "1013", "max_element": "1000", "aggregator": "additive", "items": 2, "time_slots": 2 });
    let with = |field: &str, value: Value| {
        let mut body = configuration.clone();
        body[field] = value;
        body
    };
    let fingerprint = "00".repeat(32);
    let almost = [
        ("POST", "/groups".to_owned(), json!({ "name": "" })),
        ("POST", "/groups".to_owned(), json!({ "name": "g" })),
        ("POST", "/groups".to_owned(), json!({ "name": "h", "more": 1 })),
        ("POST", "/groups".to_owned(), json!({ "name": "h", "sharing": "loud" })),
        ("PUT", "/groups/1/configuration".to_owned(), with("field", json!("1014"))),
        ("PUT", "/groups/1/configuration".to_owned(), with("field", json!(-3))),
        (
            "PUT",
            "/groups/1/configuration".to_owned(),
            with("max_element", json!("340282366920938463463374607431768211456")),
        ),
        ("PUT", "/groups/1/configuration".to_owned(), with("items", json!(0))),
        ("PUT", "/groups/1/configuration".to_owned(), with("time_slots", json!(0))),
        ("PUT", "/groups/1/configuration".to_owned(), with("aggregator", json!("gossip"))),
        ("PUT", "/groups/1/configuration".to_owned(), with("result_buffer_size", json!(0))),
        ("PUT", "/groups/77/configuration".to_owned(), configuration.clone()),
        ("PUT", "/groups/1/slot-rules".to_owned(), json!({ "on_missing_input": "fail", "deadline_ms": 0 })),
        ("PUT", "/groups/1/slot-rules".to_owned(), json!({ "on_missing_input": "guess", "deadline_ms": 1000 })),
        ("POST", format!("/members/{a}/verify"), json!({ "verified": true })),
        ("POST", format!("/members/{a}/verify"), json!({ "verified": true, "fingerprint": fingerprint })),
        ("POST", format!("/members/{a}/verify"), json!({ "verified": "yes" })),
        (
            "POST",
            "/peers".to_owned(),
            json!({ "name": a, "role": "input", "gateway_url": base, "registration_code": site.code }),
        ),
        (
            "POST",
            "/peers".to_owned(),
            json!({ "name": "n", "role": "king", "gateway_url": base, "registration_code": site.code }),
        ),
        ("POST", format!("/peers/{a}/start"), Value::Null),
        ("POST", format!("/peers/{a}/rows"), json!({ "rows": [] })),
        ("POST", format!("/peers/{a}/rows"), json!({ "rows": [{ "values": [1, 2] }, { "values": [1] }] })),
        ("POST", format!("/peers/{a}/rows"), json!({ "rows": [{ "values": [1, -2] }] })),
        ("POST", format!("/peers/{a}/rows"), json!({ "rows": [{ "values": ["1", "18446744073709551616"] }] })),
        ("POST", format!("/peers/{a}/rows"), json!({ "rows": [{ "values": [1, 2], "slot_start": "yesterday" }] })),
        ("POST", "/tokens".to_owned(), json!({ "role": "king", "label": "x" })),
        ("POST", "/tokens".to_owned(), json!({ "role": "viewer", "label": "" })),
        ("POST", "/receiver/results".to_owned(), json!({ "data": ["3;x"] })),
        ("GET", "/log?from=x".to_owned(), Value::Null),
        ("GET", "/nothing".to_owned(), Value::Null),
        ("PATCH", "/groups".to_owned(), Value::Null),
        ("BREW", "/groups".to_owned(), Value::Null),
    ];
    for (method, path, body) in &almost {
        let reply = site.node.api(method, path, Some(body));
        as_a_problem(&format!("{method} {path} {body}"), &reply);
    }
    site.is_untouched();
}
