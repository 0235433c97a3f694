//! Who holds what: keys, inputs, results. And groups that are too small to hide anything.

use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;

use crate::harness::{Node, files_below, run};
use crate::http::{Request, get};
use crate::p2ds::{Config, DEMO_PRIVATE, DEMO_PUBLIC, Group, INPUT, PRIVACY, PeerService, STOPPED};
use crate::sink::Sink;

/// Most of the demo key's secret number as it stands in [`DEMO_PRIVATE`].
fn scalar() -> &'static str {
    &DEMO_PRIVATE[44..104]
}

/// Where a secret occurs in what a node wrote: its folder (without its key files) and its log.
#[track_caller]
pub(crate) fn places(node: &Node, secret: &[u8]) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    let keys = node.data().join("keys");
    let mut places: Vec<String> = files_below(&node.data())
        .into_iter()
        .filter(|path| !path.starts_with(&keys))
        .filter(|path| holds(&std::fs::read(path).unwrap_or_default()))
        .map(|path| path.display().to_string())
        .collect();
    if holds(node.log().as_bytes()) {
        places.push("the log".to_owned());
    }
    places
}

#[test]
fn p22_key_formats() {
    let node = Node::start();
    let (manager, service) = (node.manager(), node.peers());
    let gid = manager.create_group("g");
    let mut code = manager.invite(gid);
    // The demo key of all five peers, as a label that can be compared; links use keys of their own.
    let mut fingerprints = Vec::new();
    for (name, kind) in [("a", INPUT), ("x", PRIVACY)] {
        let info = service.sign_up(&PeerService::config(&manager, name, kind, &code, "")).ok().json();
        assert_eq!(info["publicKey"], DEMO_PUBLIC);
        assert_eq!(manager.peer(name)["publicKey"], DEMO_PUBLIC);
        fingerprints.push(manager.peer(name)["fingerprint"].clone());
        code = manager.invite(gid);
    }
    assert!(fingerprints[0].is_string() && fingerprints[0] != fingerprints[1], "{fingerprints:?}");
    // The key may be folded into lines, as base64 tools do.
    let mut config = PeerService::config(&manager, "b", INPUT, &code, "");
    let folded: Vec<&str> = [&DEMO_PUBLIC[..64], &DEMO_PUBLIC[64..128], &DEMO_PUBLIC[128..]].into();
    config["publicKey"] = folded.join("\n").into();
    assert_eq!(service.sign_up(&config).ok().json()["publicKey"], DEMO_PUBLIC);
    code = manager.invite(gid);

    for (field, text) in [
        ("publicKey", "garbage"),
        ("publicKey", DEMO_PRIVATE),
        ("publicKey", &DEMO_PUBLIC[4..]),
        ("publicKey", &DEMO_PUBLIC.replace("AJig", "AJih")),
        ("privateKey", "garbage"),
        ("privateKey", DEMO_PUBLIC),
        ("privateKey", &DEMO_PRIVATE[..60]),
    ] {
        let mut config = PeerService::config(&manager, "c", INPUT, &code, "");
        config[field] = text.into();
        service.sign_up(&config).expect(400, "ERR_INV_CERT");
    }
    get(&service.at("/peer/c")).expect(404, "ERR_NO_PEER");
    // Nobody needs a key of the old system.
    let mut config = PeerService::config(&manager, "c", INPUT, &code, "");
    for field in ["publicKey", "privateKey"] {
        config.as_object_mut().expect("fields").remove(field);
    }
    service.sign_up(&config).ok();
    assert!(manager.peer("c")["publicKey"].is_null());

    // Tacit's own keys.
    let keys = files_below(&node.data().join("keys"));
    assert!(keys.iter().filter(|path| path.extension().is_some_and(|e| e == "key")).count() >= 4, "{keys:?}");
    for path in keys {
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        let wanted = if path.extension().is_some_and(|e| e == "crt") { 0o444 } else { 0o400 };
        assert_eq!(mode, wanted, "{}", path.display());
    }
}

#[test]
fn p22_a_readable_private_key_is_not_used() {
    let mut node = Node::start();
    node.stop();
    let key = node.data().join("keys").join("node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o444)).expect("rights");
    let data = node.data();
    let output =
        run(&["p2ds", "--listen", "127.0.0.1:0", "--admin-key", "k", "--data", data.to_str().expect("a path")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(2 | 3)), "{output:?}");
    assert!(said.contains("node.key") && said.contains("chmod"), "{said}");
}

#[test]
fn p29_private_keys_stay_private() {
    let node = Node::start();
    let (manager, service) = (node.manager(), node.peers());
    let group = Group::usual(&manager, &service, "g", &|_| String::new(), &Config::of(1, 1));
    let name = group.full("a");
    let seat = group.seat("a");
    let mut answers = vec![
        get(&service.at(&format!("/peer/{name}"))).ok().body,
        get(&manager.at(&format!("/peer/{name}"))).ok().body,
        get(&format!("{}/groupInfo/{name}?registrationCode={}", manager.base, seat.code)).ok().body,
        manager.overview(),
    ];
    for path in
        ["/node", "/groups", "/peers", &format!("/peers/{name}"), &format!("/members/{name}"), "/log", "/tokens"]
    {
        answers.push(node.api("GET", path, None).ok().body);
    }
    for answer in &answers {
        assert!(!answer.contains(scalar()) && !answer.contains(DEMO_PRIVATE), "{answer}");
        assert!(!answer.contains("PRIVATE KEY"), "{answer}");
    }
    // A key that cannot be read is not repeated, either.
    let broken = &DEMO_PRIVATE[..DEMO_PRIVATE.len() - 8];
    let mut config = PeerService::config(&manager, "c", INPUT, "x", "");
    config["privateKey"] = broken.into();
    let reply = service.sign_up(&config);
    assert!(reply.is_refusal() && !format!("{reply:?}").contains(scalar()), "{reply:?}");

    // Neither the imported key nor the node's own ones leave the key files, nor do token and admin key.
    let der = base64::engine::general_purpose::STANDARD.decode(DEMO_PRIVATE).expect("base64");
    assert_eq!(places(&node, scalar().as_bytes()), Vec::<String>::new());
    assert_eq!(places(&node, &der[33..]), Vec::<String>::new());
    assert_eq!(places(&node, node.token().as_bytes()), Vec::<String>::new());
    assert_eq!(places(&node, node.admin_key().as_bytes()), Vec::<String>::new());
    for path in files_below(&node.data().join("keys")) {
        let text = std::fs::read_to_string(&path).expect("a text");
        assert!(!text.contains(scalar()), "{}", path.display());
        if path.extension().is_some_and(|e| e == "key") {
            let secret = text.lines().nth(1).expect("a line of base64");
            assert_eq!(places(&node, secret.as_bytes()), Vec::<String>::new(), "{}", path.display());
        }
    }
}

#[test]
fn p29_too_small_groups_are_refused() {
    let node = Node::start();
    let (manager, service) = (node.manager(), node.peers());
    for (name, inputs, privacy) in [("few-privacy", 2, 2), ("few-inputs", 1, 3), ("none", 0, 0), ("no-inputs", 0, 3)] {
        let mut group = Group::found(&manager, name);
        for (count, kind, letter) in [(inputs, INPUT, "i"), (privacy, PRIVACY, "p")] {
            for at in 0..count {
                group.join(&service, &format!("{letter}{at}"), kind, "");
            }
        }
        group.verify_all();
        manager.configure(group.gid, &Config::of(1, 1));
        group.wait_connected();
        let reply = manager.start_group(group.gid);
        assert!(reply.is_refusal(), "{name}: {reply:?}");
        for (peer, seat) in &group.seats {
            let reply = service.start(&group.full(peer), &seat.code);
            assert!(reply.is_refusal(), "{name}: {reply:?}");
            assert_eq!(group.status(peer), 0, "{name}");
        }
    }
    // A third privacy peer that is not verified does not count.
    let mut group = Group::found(&manager, "unverified");
    for (peer, kind) in [("a", INPUT), ("b", INPUT), ("x", PRIVACY), ("y", PRIVACY)] {
        group.join(&service, peer, kind, "");
    }
    group.verify_all();
    group.join(&service, "z", PRIVACY, "");
    manager.configure(group.gid, &Config::of(1, 1));
    assert!(manager.start_group(group.gid).is_refusal());
    // And no group starts without a configuration.
    let unconfigured = manager.create_group("unconfigured");
    assert!(manager.start_group(unconfigured).is_refusal());
}

/// Inputs and results as numbers that occur nowhere else: only the peers that gave them may hold them,
/// and once a slot is over, nobody holds an input.
#[test]
fn p29_manager_and_privacy_peers_hold_no_values() {
    const MINE: u64 = 1_234_567_890_123;
    const YOURS: u64 = 2_345_678_901_234;
    let services = |name, roles| Node::with(name, &["--test-mode", "--roles", roles]);
    let manager = services("manager", "manager");
    let (mut mine, mut yours) = (services("node of a", "peer"), services("node of b", "peer"));
    let privacy = [services("x", "peer"), services("y", "peer"), services("z", "peer")];
    let sink = Sink::open();
    let mut group = Group::found(&manager.manager(), "g");
    group.join(&mine.peers(), "a", INPUT, &sink.url("a"));
    group.join(&yours.peers(), "b", INPUT, &sink.url("b"));
    for (name, node) in ["x", "y", "z"].iter().zip(&privacy) {
        group.join(&node.peers(), name, PRIVACY, &sink.url(name));
    }
    group.verify_all();
    let config = Config { field: 9223372036854775783, max: 1 << 50, ..Config::of(2, 1) };
    manager.manager().configure(group.gid, &config);
    group.start();
    group.give_all("a", &[format!("{MINE};0")]);
    group.give_all("b", &[format!("{YOURS};7")]);
    assert_eq!(sink.wait_rows("b", 1), [format!("{};7", MINE + YOURS)]);
    group.wait_all(STOPPED);
    sink.wait_rows("a", 1);

    // The written forms of a number: in digits, and as eight bytes either way round.
    let traces = |node: &Node, value: u64| -> Vec<String> {
        let forms = [value.to_string().into_bytes(), value.to_le_bytes().to_vec(), value.to_be_bytes().to_vec()];
        forms.iter().flat_map(|form| places(node, form)).collect()
    };
    for node in privacy.iter().chain([&manager]) {
        for value in [MINE, YOURS, MINE + YOURS] {
            assert_eq!(traces(node, value), Vec::<String>::new());
        }
    }
    assert_eq!(traces(&mine, YOURS), Vec::<String>::new());
    assert_eq!(traces(&yours, MINE), Vec::<String>::new());
    // The log of an input peer holds no number, either.
    for (node, value) in [(&mine, MINE), (&yours, YOURS)] {
        assert!(!node.log().contains(&value.to_string()));
        assert!(!node.log().contains(&(MINE + YOURS).to_string()));
    }
    // What the status page and the counters tell a stranger.
    for node in privacy.iter().chain([&manager, &mine, &yours]) {
        for page in ["/", "/metrics", "/healthz", "/readyz"] {
            let url = format!("{}{page}", node.url());
            let body = Request::new("GET", &url).answer().body;
            for value in [MINE, YOURS, MINE + YOURS] {
                assert!(!body.contains(&value.to_string()), "{page}");
            }
        }
    } // And its database is rid of the input: overwritten, not only forgotten.
    for (node, value) in [(&mut mine, MINE), (&mut yours, YOURS)] {
        node.stop();
        assert_eq!(traces(node, value), Vec::<String>::new());
    }
}
