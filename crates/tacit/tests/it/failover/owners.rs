//! Owners say which of the gateways the members obey.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Building, TokenFile, mean, names};
use crate::wait::until;

/// Which gateways the members obey is for the owners to say. One that they take off the charter is left at once, also
/// while it leads; whichever other one leads after it serves the group, and so does the first again when they put it back.
#[test]
fn w1_r15_owners_name_the_gateways_that_members_obey() {
    let building = &mut Building::found();
    let (folder, token) = (TempDir::new().expect("a folder"), TokenFile::new(&building.token));
    let gid = building.gid.to_string();
    let negotiate = |building: &Building, args: &[&str]| {
        let keys = folder.path().join("keys");
        let keys = ["--keys", keys.to_str().expect("a path"), "--json"];
        building.cluster.command(&token, &[&["negotiation"], args, &keys].concat())
    };
    let told = |building: &Building, args: &[&str]| -> Value {
        let output = negotiate(building, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let key = told(building, &["key"])["key"].as_str().expect("a key").to_owned();
    let new = told(building, &["new", "--group", &gid, "--add-owner", &key]);
    let id = new["negotiation"].as_str().expect("an id");
    told(building, &["accept", id]);
    assert_eq!(told(building, &["accept", id, "--as-manager"])["outcome"], "in force");
    building.measure(&[20, 21, 22]);
    building.until_offered(3);

    let name = |building: &Building, gateways: &[String]| {
        let gateways = format!("gateways={}", json!(gateways));
        let new = negotiate(building, &["new", "--group", &gid, "--set", &gateways, "--set", "deputies=[]"]);
        let told: Value = serde_json::from_slice(&new.stdout).unwrap_or(Value::Null);
        told["negotiation"].as_str().map(str::to_owned).ok_or(new)
    };
    let all: Vec<String> = building.cluster.gateways.iter().map(|gateway| gateway.fingerprint.clone()).collect();
    // One that does not hold the rows would know nothing of the group; none at all, or one twice, is no charter.
    let strange = [all.clone(), vec!["1".repeat(64)]].concat();
    for (named, why) in [(&strange[..], "does not hold"), (&all[..0], "at least one gateway"), (&strange[..1], "")] {
        let named = if why.is_empty() { [named, named].concat() } else { named.to_vec() };
        let refusal = name(building, &named).expect_err("refused");
        let said = String::from_utf8_lossy(&refusal.stderr).into_owned();
        assert!(refusal.status.code() == Some(2) && said.contains(why), "{said}");
    }

    // The one that leads is taken off: it puts that into force, and has no members any more.
    let first = building.cluster.leader();
    let others: Vec<String> = all.iter().filter(|gateway| **gateway != all[first]).cloned().collect();
    let id = name(building, &others).expect("a negotiation");
    assert_eq!(told(building, &["accept", &id])["outcome"], "in force");
    let members = |building: &Building| building.told("GET", &format!("/groups/{}/members", building.gid), None);
    let connected = |members: &Value| {
        members["members"].as_array().expect("members").iter().filter(|m| m["connected"] == true).count()
    };
    until("all members to leave", || match members(building) {
        members if connected(&members) == 0 => Ok(()),
        members => Err(members.to_string()),
    });
    building.cluster.gateways[first].kill();
    building.measure(&[30, 31, 32]);
    building.until_offered(3);
    assert!((mean(&building.ask()) - 31.0).abs() < 1e-9);

    // Back on the charter it is obeyed again when it leads: like any other one.
    let id = name(building, &all).expect("a negotiation");
    assert_eq!(told(building, &["accept", &id])["outcome"], "in force");
    for peer in &building.peers {
        let path = format!(
            "/peers/{}/roster",
            peer.api("GET", "/peers", None).json()["peers"][0]["name"].as_str().expect("a name")
        );
        until("the charter to arrive", || {
            let decided = told(building, &["show", &id])["decided"].clone();
            let roster = peer.api("GET", &path, None).ok().json();
            if roster["consensus"] == decided { Ok(()) } else { Err(roster.to_string()) }
        });
    }
    let second = building.cluster.leader();
    building.cluster.gateways[first].start();
    until("the first to follow", || {
        let reply = building.cluster.gateways[first].call("", "GET", "/readyz", None).ok_or("it does not answer")?;
        if names(&reply, &building.cluster.gateways[second]) { Ok(()) } else { Err(format!("{reply:?}")) }
    });
    building.cluster.gateways[second].kill();
    building.measure(&[40, 41, 42]);
    building.until_offered(3);
    assert!((mean(&building.ask()) - 41.0).abs() < 1e-9);
}
