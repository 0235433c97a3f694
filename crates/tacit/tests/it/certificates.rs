//! Clients that show a certificate over https: what its key may ask for.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Node, run};
use crate::rooms::Rooms;

/// A new key, and its fingerprint.
fn key(folder: &Path, name: &str) -> (String, String) {
    let dir = folder.join("keys");
    let dir = dir.to_str().expect("a path");
    let made = told(&run(&["key", "new", "--dir", dir, "--name", name, "--json"]));
    let fingerprint = made["fingerprint"].as_str().expect("a fingerprint").to_owned();
    (format!("{dir}/{name}.key"), fingerprint)
}

#[track_caller]
fn told(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Refused, and why.
#[track_caller]
fn refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
}

/// An admitted certificate does as well as a token that is limited to tasks: by set, purpose, aggregator and group. The
/// limits bind what its key signs also where a token without limits hands it in.
#[test]
fn w3_a_client_certificate_is_limited_as_a_token_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (hvac, fingerprint) = key(folder.path(), "hvac");
    let (stranger, _) = key(folder.path(), "stranger");
    let scene = Rooms::found_at(Node::served("gateway", "roles = [\"gateway\"]\ntls = true\n"), 3);
    let (gateway, group) = (&scene.gateway, scene.gid.to_string());
    scene.measure("temperature", 1000, &["20", "21", "25"]);
    let (url, pin, data) = (gateway.url(), gateway.fingerprint(), gateway.data());
    let owner = |args: &[&str]| run(&[args, &["--data", data.to_str().expect("a path"), "--json"]].concat());
    let with = |who: &[&str], args: &[&str]| run(&[args, who, &["--node", &url, "--pin", &pin, "--json"]].concat());
    let asks = |who: &[&str], aggregator: &str, purpose: &str, set: &str| {
        let task = ["task", "run", "--group", &group, "--source", "temperature", "--tell-gateway"];
        with(who, &[&task[..], &["--aggregator", aggregator, "--purpose", purpose, "--set", set]].concat())
    };
    let as_hvac = ["--client-key", &hvac[..]];

    // Whom nobody has admitted is nobody.
    refused(&asks(&as_hvac, "mean", "HVAC", ""), "token");
    let label = ["token", "create", "viewer", "--label", "hvac", "--certificate", &fingerprint];
    let limits = ["--group", &group, "--set", "", "--purpose", "HVAC", "--aggregator", "mean"];
    let admitted = told(&owner(&[&label[..], &limits].concat()));
    assert_eq!((&admitted["id"], &admitted["certificate"]), (&fingerprint.as_str().into(), &true.into()));
    assert_eq!(admitted["tasks"]["purposes"], json!(["HVAC"]), "{admitted}");
    assert_eq!(told(&owner(&["token", "list"])).as_array().map(Vec::len), Some(2));
    // What it may do is not widened by saying it again.
    assert_eq!(owner(&label).status.code(), Some(1));

    let answer = told(&asks(&as_hvac, "mean", "HVAC", ""));
    assert_eq!(answer["results"][0]["statistics"][1]["value"], 22.0, "{answer}");
    for (aggregator, purpose, set, what) in [
        ("sum", "HVAC", "", "this certificate may not ask for this aggregator"),
        ("mean", "curiosity", "", "this certificate may not ask for this purpose"),
        ("mean", "HVAC", "floor=3", "this certificate may not ask for this set"),
    ] {
        refused(&asks(&as_hvac, aggregator, purpose, set), what);
    }
    refused(&with(&as_hvac, &["group", "create", "other"]), "role operator");
    refused(&asks(&["--client-key", &stranger], "mean", "HVAC", ""), "token");

    // The owner may ask for anything, and hand in anything but what this key signed beyond its limits.
    let token = data.join("keys").join("owner.token");
    let as_owner = ["--token-file", token.to_str().expect("a path")];
    told(&asks(&as_owner, "sum", "curiosity", ""));
    let both = [&as_owner[..], &as_hvac].concat();
    refused(&asks(&both, "sum", "HVAC", ""), "the key that signed this task may not ask for this aggregator");
    told(&asks(&both, "mean", "HVAC", ""));

    assert_eq!(owner(&["token", "revoke", &fingerprint]).status.code(), Some(0));
    refused(&asks(&as_hvac, "mean", "HVAC", ""), "this certificate was revoked");
    refused(&asks(&both, "mean", "HVAC", ""), "the key that signed this task was revoked");
}

/// A member asks for itself with its own key: if an owner has limited or revoked that key as a client's, so it stays.
#[test]
fn w3_the_limits_of_a_key_bind_a_member_that_asks_with_it() {
    let scene = Rooms::found(3);
    scene.measure("temperature", 1000, &["20", "21", "25"]);
    let compare = |room: usize| {
        let room = &scene.rooms[room];
        let question = json!({
            "source": "temperature", "purpose": "HVAC", "preselector": "last_1h", "decimals": 0, "least": "0",
            "most": "50",
        });
        room.node.api("POST", &format!("/peers/{}/compare", room.name), Some(&question))
    };
    assert_eq!(compare(0).ok().json()["average"], 22.0);
    let admit = |room: usize, limits: Value| {
        let key = &scene.rooms[room].key;
        let new = json!({ "fingerprint": key, "role": "viewer", "label": "room", "tasks": limits });
        assert_eq!(scene.gateway.api("POST", "/certificates", Some(&new)).status, 201);
    };
    admit(0, json!({ "aggregators": ["sum"] }));
    admit(1, json!({ "aggregators": ["mean"] }));
    let refused = |room: usize, why: &str| {
        let reply = compare(room);
        assert!(reply.status == 403 && reply.body.contains(why), "{reply:?}");
    };
    refused(0, "the key that signed this task may not ask for this aggregator");
    assert_eq!(compare(1).ok().json()["average"], 22.0);
    assert_eq!(scene.gateway.api("DELETE", &format!("/tokens/{}", scene.rooms[1].key), None).status, 204);
    refused(1, "the key that signed this task was revoked");
    assert_eq!(compare(2).ok().json()["average"], 22.0);
}
