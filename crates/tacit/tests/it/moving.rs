//! Peers that are members at two gateways: whichever is there, they serve it (FlexSMC, figure 4.3).

use std::time::Duration;

use serde_json::json;
use tacit_model::{Clock, SystemClock};

use crate::lab::{HTTP, LINK, Lab, Machine};
use crate::wait::within;

/// Long enough to dial, to look around and to dial again.
const PATIENCE: Duration = Duration::from_secs(60);

fn gateway(lab: &Lab, address: &str, location: &str) -> Machine {
    let mut machine = lab.machine(&[address]);
    machine.serve(&format!(
        "name = \"gw\"\nroles = [\"gateway\"]\nhttp = \"[::]:{HTTP}\"\ntls = true\nlink = \"[::]:{LINK}\"\n\
         [discovery]\nlocation = \"{location}\"\n"
    ));
    machine
}

/// A room that measures once, for both of its names.
fn room(lab: &Lab, number: usize) -> Machine {
    let mut machine = lab.machine(&[&format!("10.77.0.{}/24", 10 + number)]);
    let csv = machine.data().join("room.csv");
    let at = SystemClock.now().plus(-60_000).0;
    std::fs::write(&csv, format!("at,temperature\n{at},{}\n", 19 + number)).expect("a file");
    let source =
        |side: &str| format!("[[sources]]\npeer = \"room{number}-{side}\"\nevery_s = 1\ncsv = \"{}\"\n", csv.display());
    machine.serve(&format!(
        "name = \"room\"\nroles = [\"peer\"]\nhttp = \"127.0.0.1:{HTTP}\"\nlink = \"[::]:{LINK}\"\n{}{}\
         [discovery]\nlocation = \"R.08.03\"\nsearch_ms = 1000\n",
        source("north"),
        source("south")
    ));
    machine
}

/// The gateway's group gets all rooms, under their names for this gateway.
fn join_all(rooms: &[Machine], gateway: &Machine, address: &str, side: &str) {
    gateway.told(&["group", "create", "floor3"]);
    let (address, fingerprint) = (format!("https://{address}:{HTTP}"), gateway.fingerprint());
    for (number, room) in (1..).zip(rooms) {
        let code = gateway.told(&["group", "invite", "1"]);
        let (code, name) = (code.as_str().expect("a code"), format!("room{number}-{side}"));
        let to = ["--name", &name, "--gateway", &address, "--gateway-fingerprint", &fingerprint];
        let joined = room.told(&[&["join", code][..], &to].concat());
        gateway.told(&["pair", "approve", &name, "--code", joined["comparison_code"].as_str().expect("a code")]);
    }
}

/// A task at this gateway, until all three rooms take part.
#[track_caller]
fn everybody_computes_at(gateway: &Machine) {
    within(PATIENCE, "all rooms to take part", || {
        let told = crate::series::ask(gateway, "last_1h");
        let result = &told["results"][0];
        let mean =
            result["statistics"].as_array().and_then(|all| all.iter().find(|s| s["name"] == "mean(temperature)"));
        let right = result["contributors"] == 3 && mean.is_some_and(|mean| mean["value"] == 21.0);
        if right { Ok(()) } else { Err(told.to_string()) }
    });
}

/// Three rooms are members at two gateways. One goes, and comes back elsewhere when the other goes; then the first is back.
/// Each time the rooms compute at the one that is there, and nobody told them anything. A gateway that they never joined
/// announces itself all the while, and nearer.
#[test]
fn f12_f13_peers_move_between_two_gateways_unaided() {
    let lab = Lab::new();
    let mut north = gateway(&lab, "10.77.0.1/24", "R.08");
    let mut south = gateway(&lab, "10.77.0.2/24", "R.08");
    let stranger = gateway(&lab, "10.77.0.3/24", "R.08.03");
    let rooms: Vec<Machine> = (1..=3).map(|number| room(&lab, number)).collect();
    join_all(&rooms, &north, "10.77.0.1", "north");
    join_all(&rooms, &south, "10.77.0.2", "south");
    everybody_computes_at(&north);
    everybody_computes_at(&south);

    // The one gateway goes; when it is back, it is elsewhere, and the other one has gone.
    south.kill();
    everybody_computes_at(&north);
    south.ip(&["address", "del", "10.77.0.2/24", "dev", "eth0"]);
    south.add_address("10.77.0.9/24");
    north.kill();
    south.start();
    everybody_computes_at(&south);

    // And back.
    south.kill();
    north.start();
    everybody_computes_at(&north);

    for room in &rooms {
        let mine = room.told(&["peer", "list"]);
        let pins: Vec<_> = mine.as_array().expect("a list").iter().map(|peer| &peer["gateway_fingerprint"]).collect();
        assert_eq!(pins, [&json!(north.fingerprint()), &json!(south.fingerprint())], "{mine}");
        assert_eq!(mine[0]["connected"], true, "{mine}");
    }
    assert_eq!(stranger.told(&["pair", "list"]), json!([]));
}
