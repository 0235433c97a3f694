//! Groups, codes, members, configurations: what an administrator does and nobody else.

use serde_json::{Value, json};

use crate::harness::{Node, run};
use crate::http::{Request, delete, get, post, post_json};
use crate::p2ds::{Config, DEMO_PUBLIC, Group, INPUT, Manager, PRIVACY, PeerService, number, truth};
use crate::wait::until;

/// Another EC public key in the manual's form (P-256); its private half was thrown away.
const OTHER_PUBLIC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEE560tRkV7PsvJ6CgH4VdfcCcW7eVz4ykXkCGMmBDtJL+8EBMlgLiOLzZzFikqpR7NEZoxju8gOnuvXT72rhqlQ==";

#[track_caller]
fn register(manager: &Manager, code: &str, name: &str, kind: &str) -> crate::http::Reply {
    post(&format!("{}/register/{code}?url=http://localhost/p&name={name}&type={kind}", manager.base))
}

#[test]
fn p2_smoke_create_delete_404() {
    let node = Node::start();
    let manager = node.manager();
    let group = post_json(&manager.at("/group"), &json!({ "name": "huhu" })).ok().json();
    assert_eq!((number(&group["gid"]), &group["name"]), (1, &json!("huhu")));
    assert_eq!(get(&manager.at("/group/1")).ok().json(), group);
    delete(&manager.at("/group/1")).expect(200, "ERR_SUCCESS");
    get(&manager.at("/group/1")).expect(404, "ERR_NOT_FOUND");
    delete(&manager.at("/group/1")).expect(403, "ERR_NO_GROUP");
}

#[test]
fn p3_admin_key_guards() {
    let node = Node::start();
    let (manager, service) = (node.manager(), node.peers());
    let mut group = Group::found(&manager, "g");
    group.join(&service, "a", INPUT, "");
    let (name, code) = (group.full("a"), manager.invite(group.gid));
    group.wait_connected();
    let before = node.state();

    let config = PeerService::config(&manager, "other", INPUT, &code, "");
    let settings = Config::default().json(group.gid);
    let gid = group.gid;
    let (m, p) = (&manager.base, &service.base);
    let routes: Vec<(&str, String, Option<Value>)> = vec![
        ("POST", format!("{m}/testmode?on=true"), None),
        ("POST", format!("{m}/group"), Some(json!({ "name": "h" }))),
        ("POST", format!("{m}/group"), None),
        ("GET", format!("{m}/group/{gid}"), None),
        ("GET", format!("{m}/group/77"), None),
        ("DELETE", format!("{m}/group/{gid}"), None),
        ("POST", format!("{m}/registration/{gid}"), None),
        ("DELETE", format!("{m}/registration/{code}"), None),
        ("GET", format!("{m}/peer/{name}"), None),
        ("GET", format!("{m}/peer/nobody"), None),
        ("DELETE", format!("{m}/peer/{name}"), None),
        ("POST", format!("{m}/verify/{name}?verified=true"), None),
        ("POST", format!("{m}/configuration"), Some(settings)),
        ("POST", format!("{m}/configuration"), None),
        ("POST", format!("{m}/start/{gid}"), None),
        ("POST", format!("{m}/stop/{gid}"), None),
        ("POST", format!("{p}/peer"), Some(config)),
        ("POST", format!("{p}/peer"), None),
        ("GET", format!("{p}/peer/{name}"), None),
        ("DELETE", format!("{p}/peer/{name}"), None),
    ];
    for (method, url, body) in routes {
        let joint = if url.contains('?') { '&' } else { '?' };
        let right = &manager.key;
        let wrong = [
            url.clone(),
            format!("{url}{joint}adminKey="),
            format!("{url}{joint}adminKey=wrong"),
            format!("{url}{joint}adminKey={right}x"),
            format!("{url}{joint}adminKey={}", &right[..right.len() - 1]),
            format!("{url}{joint}adminKey=default-admin-key"),
            format!("{url}{joint}registrationCode={right}"),
        ];
        for url in wrong {
            let request = Request::new(method, &url);
            let request = if let Some(body) = &body { request.json(body) } else { request };
            let reply = request.answer();
            assert_eq!((reply.status, reply.body.trim()), (403, "ERR_INV_ADMIN_KEY"), "{method} {url}");
        }
    }
    // The pages ask for the key, too; their forms do nothing for a stranger.
    let page = get(&format!("{}/", manager.pages));
    assert!(!page.body.contains(&name) && !page.body.contains(&code), "{page:?}");
    for form in ["createGroup", "startPeers", "stopPeers", "deleteGroup", "createRegistration", "setConfiguration"] {
        let url = format!("{}/{form}", manager.pages);
        let fields = format!("gid={gid}&name=h&token=0123456789abcdef");
        let reply = Request::new("POST", &url).body("application/x-www-form-urlencoded", fields).answer();
        assert!(reply.status < 500 && !reply.body.contains("has been"), "{form}: {reply:?}");
    }
    assert_eq!(node.state(), before);
}

#[test]
fn p3_the_manuals_key_is_refused_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a path");
    let start = |args: &[&str]| run(&[&["p2ds", "--listen", "127.0.0.1:0", "--data", data], args].concat());
    for (args, hint) in [
        (&["--admin-key", "default-admin-key"][..], "--test-mode"),
        (&[][..], "--admin-key"),
        (&["--admin-key", ""][..], "--admin-key"),
        (&["--test-mode"][..], "--admin-key"),
    ] {
        let output = start(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(hint), "{args:?}: {said}");
    }
    assert!(!std::path::Path::new(data).exists(), "a refused start left something behind");
}

#[test]
fn p4_one_time_codes() {
    let node = Node::start();
    let manager = node.manager();
    let gid = manager.create_group("g");
    let (first, second) = (manager.invite(gid), manager.invite(gid));
    assert_ne!(first, second);
    for code in [&first, &second] {
        let plain = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        assert!(code.len() == 16 && plain, "{code}");
    }

    let info = register(&manager, &first, "a", "1").ok().json();
    assert_eq!((&info["peerName"], number(&info["gid"]), number(&info["lastStatus"])), (&json!("a"), gid, 0));
    register(&manager, &first, "b", "1").expect(400, "ERR_INV_REG_CODE");
    register(&manager, "neverissued00000", "b", "1").expect(400, "ERR_INV_REG_CODE");

    // What fails does not use the code up: an unknown type, no type, no name, a name that is taken.
    for (name, kind) in [("b", "7"), ("b", "0"), ("b", "x"), ("b", ""), ("", "1"), ("a", "1")] {
        let reply = register(&manager, &second, name, kind);
        assert!(reply.is_refusal(), "{name:?} {kind:?}: {reply:?}");
    }
    register(&manager, &second, "b", "2").ok();

    // Withdrawn is as good as used.
    let third = manager.invite(gid);
    delete(&manager.at(&format!("/registration/{third}"))).expect(200, "ERR_SUCCESS");
    register(&manager, &third, "c", "1").expect(400, "ERR_INV_REG_CODE");
    assert!(delete(&manager.at(&format!("/registration/{third}"))).is_refusal());
    post(&manager.at("/registration/77")).expect(404, "ERR_NO_GROUP");
}

#[test]
fn p5_test_mode() {
    let node = Node::start();
    let manager = node.manager();
    let gid = manager.create_group("g");
    manager.test_mode(true);
    // Several codes may be open; each is good for one registration.
    assert_eq!((manager.invite(gid), manager.invite(gid)), ("TEST".to_owned(), "TEST".to_owned()));
    register(&manager, "TEST", "a", "1").ok();
    delete(&manager.at("/registration/TEST")).expect(200, "ERR_SUCCESS");
    register(&manager, "TEST", "b", "1").expect(400, "ERR_INV_REG_CODE");
    // Everything but `true` is off, also nothing.
    for off in ["/testmode?on=false", "/testmode", "/testmode?on=1"] {
        manager.test_mode(true);
        post(&manager.at(off)).expect(200, "ERR_SUCCESS");
        assert_eq!(manager.invite(gid).len(), 16, "{off}");
    }

    let strict = Node::with("strict", &["--roles", "manager"]);
    let manager = strict.manager();
    let refused = post(&manager.at("/testmode?on=true"));
    assert!(refused.is_refusal(), "{refused:?}");
    let gid = manager.create_group("g");
    assert_eq!(manager.invite(gid).len(), 16);
}

#[test]
fn p6_automatic_sign_up() {
    let node = Node::start();
    let (manager, service) = (node.manager(), node.peers());
    let gid = manager.create_group("g");
    let code = manager.invite(gid);
    let config = PeerService::config(&manager, "a", INPUT, &code, "http://127.0.0.1:9/r");
    let info = service.sign_up(&config).ok().json();
    assert_eq!((number(&info["gid"]), number(&info["peerType"]), &info["publicKey"]), (gid, 1, &json!(DEMO_PUBLIC)));
    assert_eq!(info["url"], json!(service.base));

    let member = manager.peer("a");
    assert!(!truth(&member["verified"]), "{member}");
    assert_eq!((&member["publicKey"], &member["url"]), (&json!(DEMO_PUBLIC), &json!(service.base)));
    assert_eq!((number(&member["gid"]), number(&member["peerType"]), number(&member["lastStatus"])), (gid, 1, 0));
    let listed = get(&format!("{}/groupInfo/a?registrationCode={code}", manager.base)).ok().json();
    assert_eq!(listed["peers"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["peers"][0]["peerName"], json!("a"));

    let shown = get(&service.at("/peer/a")).ok().json();
    for field in ["finalResultsURL", "groupMgmtURL", "name", "publicKey", "registrationCode"] {
        assert_eq!(shown[field], config[field], "{field}");
    }

    // A sign-up that the manager refuses leaves nothing behind on the peer's side.
    service.sign_up(&PeerService::config(&manager, "b", INPUT, &code, "")).expect(400, "ERR_INV_REG_CODE");
    get(&service.at("/peer/b")).expect(404, "ERR_NO_PEER");
    get(&manager.at("/peer/b")).expect(404, "ERR_NO_PEER");
}

#[test]
fn p8_key_replacement_unverifies() {
    let node = Node::start();
    let manager = node.manager();
    let mut group = Group::found(&manager, "g");
    group.join(&node.peers(), "a", INPUT, "");
    group.verify_all();
    let (name, code) = (group.full("a"), group.seat("a").code.clone());
    let upload = |name: &str, code: &str, key: &str| {
        let url = format!("{}/publicKey/{name}?registrationCode={code}", manager.base);
        Request::new("POST", &url).body("text/plain", key).answer()
    };
    let verified = || truth(&manager.peer(&name)["verified"]);

    for garbage in ["", "garbage", "AAAA", &DEMO_PUBLIC[..100], &DEMO_PUBLIC.replace("AJig", "AJih")] {
        upload(&name, &code, garbage).expect(400, "ERR_INV_CERT");
    }
    upload(&name, "wrong", OTHER_PUBLIC).expect(400, "ERR_INV_REG_CODE");
    upload("nobody", &code, OTHER_PUBLIC).expect(404, "ERR_NO_PEER");
    assert!(verified(), "a refused key un-verified the peer");

    assert_eq!(upload(&name, &code, OTHER_PUBLIC).ok().json()["publicKey"], json!(OTHER_PUBLIC));
    assert!(!verified());
    let refused = node.peers().start(&name, &code);
    assert!(refused.is_refusal(), "{refused:?}");
    manager.verify(&name, true);
    assert!(verified());
    // Not saying "true" takes it back, as it always did.
    let member = post(&manager.at(&format!("/verify/{name}"))).ok().json();
    assert!(!truth(&member["verified"]), "{member}");
}

#[test]
fn p9_configuration_seven_fields() {
    let node = Node::start();
    let manager = node.manager();
    let mut group = Group::found(&manager, "g");
    group.join(&node.peers(), "a", INPUT, "");
    let (gid, code) = (group.gid, group.seat("a").code.clone());
    let read = || get(&format!("{}/configuration/{}?registrationCode={code}", manager.base, group.full("a")));
    read().expect(404, "ERR_NO_GROUP_CONFIG");

    let texts = json!({
        "field": "1013", "gid": gid.to_string(), "maxElement": "1000", "mpcProtocol": "additive",
        "numberOfItems": "2", "numberOfTimeSlots": "-1", "resultBufferSize": "3",
    });
    let numbers = json!({
        "field": 2147483647, "gid": gid, "maxElement": 65535, "mpcProtocol": "additive",
        "numberOfItems": 288, "numberOfTimeSlots": 5, "resultBufferSize": 10,
    });
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for wanted in [&texts, &numbers] {
        let set = post_json(&manager.at("/configuration"), wanted).ok().json();
        let got = read().ok().json();
        for (field, value) in wanted.as_object().expect("fields") {
            assert_eq!(word(&got[field]), word(value), "{field} in {got}");
            assert_eq!(word(&set[field]), word(value), "{field} in {set}");
        }
        assert_eq!(got.as_object().map(serde_json::Map::len), Some(7), "{got}");
    }

    // The script leaves the buffer out and the manual shows 0; both mean one result per post.
    for buffer in [None, Some(json!("0")), Some(json!(-4))] {
        let mut body = texts.clone();
        match buffer {
            None => drop(body.as_object_mut().expect("fields").remove("resultBufferSize")),
            Some(size) => body["resultBufferSize"] = size,
        }
        post_json(&manager.at("/configuration"), &body).ok();
        assert_eq!(word(&read().ok().json()["resultBufferSize"]), "1");
    }

    let last = read().ok().json();
    let bad = [
        ("field", json!("abc")),
        ("field", json!("")),
        ("field", json!("-7")),
        ("field", json!("1014")),
        ("field", json!("18446744073709551629")),
        ("field", json!(10.5)),
        ("field", Value::Null),
        ("maxElement", json!("-1")),
        ("maxElement", json!("x")),
        ("maxElement", json!("1e3")),
        ("numberOfItems", json!("0")),
        ("numberOfItems", json!("-2")),
        ("numberOfItems", json!("x")),
        ("numberOfTimeSlots", json!("0")),
        ("numberOfTimeSlots", json!("99999999999")),
        ("mpcProtocol", json!("topk2")),
        ("mpcProtocol", json!("")),
        ("mpcProtocol", json!(7)),
        ("resultBufferSize", json!("x")),
        ("gid", json!("x")),
        ("gid", json!([1])),
    ];
    for (field, value) in bad {
        let mut body = texts.clone();
        body[field] = value;
        let reply = post_json(&manager.at("/configuration"), &body);
        assert!(reply.is_refusal(), "{field}: {body} {reply:?}");
    }
    for field in ["field", "gid", "maxElement", "mpcProtocol", "numberOfItems", "numberOfTimeSlots"] {
        let mut body = texts.clone();
        body.as_object_mut().expect("fields").remove(field);
        assert!(post_json(&manager.at("/configuration"), &body).is_refusal(), "without {field}");
    }
    let mut nowhere = texts.clone();
    nowhere["gid"] = json!("77");
    post_json(&manager.at("/configuration"), &nowhere).expect(404, "ERR_NO_GROUP");
    assert!(post(&manager.at("/configuration")).is_refusal());
    get(&format!("{}/configuration/{}?registrationCode=x", manager.base, group.full("a")))
        .expect(400, "ERR_INV_REG_CODE");
    get(&format!("{}/configuration/nobody?registrationCode={code}", manager.base)).expect(404, "ERR_NO_PEER");
    assert_eq!(read().ok().json(), last);
}

#[test]
fn p25_deletion() {
    let node = Node::start();
    let (manager, service) = (node.manager(), node.peers());
    let receiver = node.receiver();
    let address = receiver.address();
    let mut group = Group::usual(&manager, &service, "g", &|_| address.clone(), &Config::of(1, -1));
    group.join(&service, "c", INPUT, "");

    // A member, on both services.
    let (name, seat) = (group.full("c"), group.seat("c").clone());
    delete(&manager.at(&format!("/peer/{name}"))).expect(200, "ERR_SUCCESS");
    get(&manager.at(&format!("/peer/{name}"))).expect(404, "ERR_NO_PEER");
    delete(&manager.at(&format!("/peer/{name}"))).expect(404, "ERR_NO_PEER");
    let refused = service.start(&name, &seat.code);
    assert!(refused.is_refusal(), "a deleted member was started: {refused:?}");
    delete(&service.at(&format!("/peer/{name}"))).expect(200, "SUCCESS");
    get(&service.at(&format!("/peer/{name}"))).expect(404, "ERR_NO_PEER");
    delete(&service.at(&format!("/peer/{name}"))).expect(404, "ERR_NO_PEER");
    group.seats.remove("c");

    // Its name is free again.
    group.join(&service, "c", PRIVACY, "");
    let again = group.full("c");
    delete(&manager.at(&format!("/peer/{again}"))).expect(200, "ERR_SUCCESS");
    delete(&service.at(&format!("/peer/{again}"))).expect(200, "SUCCESS");
    group.seats.remove("c");

    // A running group stops when it is deleted.
    group.start();
    group.give("a", &["1"]);
    group.give("b", &["2"]);
    receiver.wait_results(&["3", "3"]);
    let open = manager.invite(group.gid);
    group.delete().expect(200, "ERR_SUCCESS");
    get(&manager.at(&format!("/group/{}", group.gid))).expect(404, "ERR_NOT_FOUND");
    for peer in group.seats.keys() {
        get(&manager.at(&format!("/peer/{}", group.full(peer)))).expect(404, "ERR_NO_PEER");
    }
    register(&manager, &open, "late", "1").expect(400, "ERR_INV_REG_CODE");
    for (peer, seat) in &group.seats {
        until(&format!("{peer} to hear that its group is gone"), || {
            let reply = service.input(&group.full(peer), &seat.code, "1").map_err(|e| e.to_string())?;
            if reply.body.contains("ERR_NOT_RUNNING") { Ok(()) } else { Err(reply.body) }
        });
    }
    assert_eq!(receiver.results().len(), 2);
}
