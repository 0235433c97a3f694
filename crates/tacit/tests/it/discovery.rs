//! Gateways that are found: on a network of its own, over IPv4 and IPv6, with and without multicast.

use std::time::Duration;

use crate::lab::{HTTP, LINK, Lab, Machine};
use crate::wait::within;

/// Long enough for a link to be noticed as dead and the gateway to be found again.
const PATIENCE: Duration = Duration::from_secs(60);

fn gateway(location: &str, sources: &str, mdns: bool) -> String {
    format!(
        "name = \"gw\"\nroles = [\"gateway\"]\nhttp = \"[::]:{HTTP}\"\ntls = true\nlink = \"[::]:{LINK}\"\n\
         [discovery]\nmdns = {mdns}\nlocation = \"{location}\"\nsources = [{sources}]\n"
    )
}

fn room(discovery: &str) -> String {
    format!(
        "name = \"room\"\nroles = [\"peer\"]\nhttp = \"127.0.0.1:{HTTP}\"\nlink = \"[::]:{LINK}\"\n\
         [discovery]\nlocation = \"R.08.03.123\"\nsources = [\"temperature\"]\nsearch_ms = 4000\n{discovery}\n"
    )
}

/// A group at a gateway, and a code for it.
fn code(gateway: &Machine) -> String {
    if gateway.told(&["group", "list"]).as_array().expect("a list").is_empty() {
        gateway.told(&["group", "create", "floor3"]);
    }
    gateway.told(&["group", "invite", "1"]).as_str().expect("a code").to_owned()
}

#[track_caller]
fn wait_connected(gateway: &Machine, peer: &str, connected: bool) {
    within(PATIENCE, &format!("{peer} to be connected: {connected}"), || {
        let members = gateway.told(&["pair", "list"]);
        let member = members.as_array().expect("a list").iter().find(|m| m["name"] == peer).expect("a member");
        if member["connected"] == connected { Ok(()) } else { Err(member.to_string()) }
    });
}

/// Does something that ends the peer's link, and waits until it has said hello on a new one. Whether the gateway
/// shows it as absent in between is chance: often it is back before the old link is missed.
#[track_caller]
fn comes_again(gateway: &Machine, peer: &str, change: impl FnOnce()) {
    let hellos = || {
        let said = |line: &&str| line.contains("member connected") && line.contains(&format!("\"{peer}\""));
        gateway.log().lines().filter(said).count()
    };
    let before = hellos();
    change();
    within(PATIENCE, &format!("another hello of {peer}"), || match hellos() {
        after if after > before => Ok(()),
        _ => Err("none yet".to_owned()),
    });
    wait_connected(gateway, peer, true);
}

/// A fresh peer without any address finds the gateway that is closest and wants its data, among three; it
/// computes only when its operator has compared that gateway.
#[test]
fn f08_a_fresh_peer_finds_its_gateway() {
    let lab = Lab::new();
    let mut gateways: Vec<Machine> = Vec::new();
    for (host, location, sources) in
        [(1, "R.08.03", "\"temperature\""), (2, "R.02", "\"temperature\""), (3, "R.08.03.123", "\"power\"")]
    {
        let mut machine = lab.machine(&[&format!("10.77.0.{host}/24"), &format!("fd77::{host}/64")]);
        machine.serve(&gateway(location, sources, true));
        gateways.push(machine);
    }
    let mut peer = lab.machine(&["10.77.0.10/24", "fd77::10/64"]);
    peer.serve(&room(""));
    let joined = peer.told(&["join", &code(&gateways[0]), "--name", "room1"]);
    assert_eq!(joined["gateway_fingerprint"], gateways[0].fingerprint().as_str(), "{joined}");
    assert_eq!((&joined["pairing"], &joined["gateway_compared"]), (&"waiting".into(), &false.into()), "{joined}");
    wait_connected(&gateways[0], "room1", true);

    // Found is not trusted; found twice neither.
    let joined = peer.told(&["join", &code(&gateways[0]), "--name", "room1b"]);
    assert_eq!(joined["gateway_compared"], false, "nobody has compared it: {joined}");
    let wrong = peer.run(&["pair", "approve", "room1", "--gateway", "--fingerprint", &gateways[1].fingerprint()]);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    let shown = gateways[0].told(&["pair", "list"])[0]["comparison_code"].as_str().expect("a code").to_owned();
    let compared = peer.told(&["pair", "approve", "room1", "--gateway", "--code", &shown]);
    assert_eq!(compared["gateway_compared"], true, "{compared}");
    let joined = peer.told(&["join", &code(&gateways[0]), "--name", "room1c"]);
    assert_eq!(joined["gateway_compared"], true, "its operator has compared it for another peer: {joined}");

    // One that has IPv6 only finds it too; and one that knows whom it wants is not sent elsewhere.
    let mut v6 = lab.machine(&["fd77::11/64"]);
    v6.serve(&room(""));
    let joined = v6.told(&["join", &code(&gateways[0]), "--name", "room2"]);
    assert_eq!(joined["gateway_fingerprint"], gateways[0].fingerprint().as_str(), "{joined}");
    wait_connected(&gateways[0], "room2", true);
    let far = gateways[1].fingerprint();
    let joined = v6.told(&["join", &code(&gateways[1]), "--name", "room3", "--gateway-fingerprint", &far]);
    assert_eq!(joined["gateway_fingerprint"], far.as_str(), "{joined}");
    assert_eq!(joined["gateway_compared"], true, "the operator said whom: {joined}");
    // Nobody here is that.
    let nobody = v6.run(&["join", "0123456789abcdef", "--name", "room4", "--gateway-fingerprint", &"0".repeat(64)]);
    assert_eq!(nobody.status.code(), Some(4), "{nobody:?}");
}

/// As a service of systemd a node may open these sockets and no others. Without netlink it reads no address of its machine: it
/// announces none, finds nobody, and tells others to dial 0.0.0.0.
#[test]
fn f08_the_unit_of_the_service_lets_a_node_read_its_addresses() {
    let unit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/tacit.service");
    let unit = std::fs::read_to_string(unit).expect("the unit");
    let allowed = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies=")).expect("the families");
    for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"] {
        assert!(allowed.split_whitespace().any(|one| one == family), "{family} is not among {allowed}");
    }
}

/// Multicast is blocked, the first bootstrap address is dead: the peer joins through the second.
#[test]
fn w04_a_bootstrap_address_does_without_multicast() {
    let lab = Lab::new();
    let mut manager = lab.machine(&["10.77.0.1/24"]);
    manager.serve(&gateway("R.08", "", false));
    let mut peer = lab.machine(&["10.77.0.10/24"]);
    peer.serve(&room("mdns = false"));
    let code = code(&manager);
    let lost = peer.run(&["join", &code, "--name", "room1"]);
    assert_eq!(lost.status.code(), Some(2), "{lost:?}");
    peer.serve(&room(&format!(
        "mdns = false\nbootstrap = [\"https://10.77.0.1:{LINK}\", \"https://10.77.0.1:{HTTP}\"]"
    )));
    let joined = peer.told(&["join", &code, "--name", "room1"]);
    assert_eq!(joined["gateway_fingerprint"], manager.fingerprint().as_str(), "{joined}");
    wait_connected(&manager, "room1", true);
}

/// Both sides speak multicast, and the network drops it: nobody is found, and a bootstrap address does without.
#[test]
fn w04_multicast_that_the_network_drops_is_done_without() {
    let lab = Lab::new();
    let mut manager = lab.machine(&["10.77.0.1/24"]);
    let mut peer = lab.machine(&["10.77.0.10/24"]);
    for machine in [&manager, &peer] {
        lab.drop_multicast(machine);
    }
    manager.serve(&gateway("R.08", "", true));
    let code = code(&manager);
    peer.serve(&room(""));
    let lost = peer.run(&["join", &code, "--name", "room1"]);
    assert_eq!(lost.status.code(), Some(4), "{lost:?}");
    assert!(String::from_utf8_lossy(&lost.stderr).contains("bootstrap"), "what to do about it is said: {lost:?}");
    peer.serve(&room(&format!("bootstrap = [\"https://10.77.0.1:{HTTP}\"]")));
    let joined = peer.told(&["join", &code, "--name", "room1"]);
    assert_eq!(joined["gateway_fingerprint"], manager.fingerprint().as_str(), "{joined}");
    wait_connected(&manager, "room1", true);
}

/// The rooms of the demo find their gateway by multicast on the loopback interface; on a machine where nobody can
/// take part in that they are told an address, and all else is the same.
#[test]
fn w04_the_demo_finds_its_gateway_with_and_without_multicast() {
    let lab = Lab::new();
    for (first, multicast) in [("", true), ("echo 0 > /proc/sys/net/ipv4/igmp_max_memberships && ", false)] {
        let script = format!("{first}exec \"$0\" demo hvac --json");
        let machine = lab.machine(&[]);
        let mut demo = machine.command(std::path::Path::new("sh"));
        let output = demo.args(["-c", &script]).arg(crate::harness::tacit().get_program()).output().expect("it runs");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert!(output.status.success() && told["ok"] == true, "{told}");
        let by = &told["results"]["found_by"];
        let [heard, asked] = ["multicast", "bootstrap"].map(|how| by[how].as_u64().expect("a number"));
        assert_eq!(heard + asked, 15, "{told}");
        // On a busy machine an answer may come too late for a room, which then does as if there was none.
        assert_eq!(heard > 0, multicast, "{told}");
    }
}

/// A peer that computes gets another address: the others reach it there in the next computation.
#[test]
fn f13_a_computing_peer_is_reached_at_its_new_address() {
    let lab = Lab::new();
    let mut manager = lab.machine(&["10.77.0.1/24"]);
    manager.serve(&gateway("", "", false));
    let rooms = lab.rooms(&manager, 3, |_| String::new());
    let measure = || {
        for (number, room) in rooms.iter().enumerate() {
            let (name, value) = (format!("room{}", number + 1), format!("temperature={}", 20 + number));
            room.told(&["peer", "measure", &name, &value]);
        }
    };
    let everybody = || {
        within(PATIENCE, "everybody to take part", || {
            measure();
            let told = crate::series::ask(&manager, "now");
            if told["results"][0]["contributors"] == 3 { Ok(()) } else { Err(told.to_string()) }
        });
    };
    everybody();
    comes_again(&manager, "room1", || {
        // In this order: a second address of the same network would go with the first.
        rooms[0].ip(&["address", "del", "10.77.0.11/24", "dev", "eth0"]);
        rooms[0].add_address("10.77.0.21/24");
    });
    within(PATIENCE, "the new address in the directory", || {
        let directory = manager.told(&["group", "directory", "1"]).to_string();
        let moved = directory.contains("10.77.0.21:") && !directory.contains("10.77.0.11:");
        if moved { Ok(()) } else { Err(directory) }
    });
    everybody();
}

/// The gateway's address changes and later the network is cut: the peer is back each time, unaided, and stays
/// with the key that it pinned although another gateway is there.
#[test]
fn f13_f20_an_address_changes_and_the_network_is_cut() {
    let lab = Lab::new();
    let mut manager = lab.machine(&["10.77.0.1/24"]);
    manager.serve(&gateway("R.08", "", true));
    let mut other = lab.machine(&["10.77.0.2/24"]);
    other.serve(&gateway("R.08.03.123", "", true));
    let mut peer = lab.machine(&["10.77.0.10/24"]);
    peer.serve(&room(""));
    let fingerprint = manager.fingerprint();
    peer.told(&["join", &code(&manager), "--name", "room1", "--gateway-fingerprint", &fingerprint]);
    wait_connected(&manager, "room1", true);

    comes_again(&manager, "room1", || {
        manager.add_address("10.77.0.9/24");
        manager.ip(&["address", "del", "10.77.0.1/24", "dev", "eth0"]);
    });
    // Kept: after a restart it goes there at once.
    comes_again(&manager, "room1", || peer.start());

    // F20: who is silent leaves the directory within 30 s.
    peer.ip(&["link", "set", "eth0", "down"]);
    let silent = std::time::Instant::now();
    wait_connected(&manager, "room1", false);
    assert!(silent.elapsed() <= Duration::from_secs(30), "{:?}", silent.elapsed());
    peer.ip(&["link", "set", "eth0", "up"]);
    wait_connected(&manager, "room1", true);
    let mine = peer.told(&["peer", "list"]);
    assert_eq!(mine[0]["gateway_fingerprint"], fingerprint.as_str(), "{mine}");
}
