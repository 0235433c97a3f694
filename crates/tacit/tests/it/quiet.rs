//! What can be seen on the network: nothing while nobody asks, and nothing in clear when somebody does.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::lab::{Lab, Machine};
use crate::wait::{until, until_offers};

/// Writes all frames that pass between the machines into a file.
const SNIFFER: &str = "import socket, sys\n\
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n\
    out = open(sys.argv[1], 'wb', buffering=0)\n\
    while True: out.write(frames.recv(1 << 17))\n";

struct Sniffer(Child);

impl Sniffer {
    fn start(lab: &Lab, file: &Path) -> Self {
        let mut command = lab.command("python3");
        command.args(["-c", SNIFFER]).arg(file).stdout(Stdio::null());
        let sniffer = Self(command.spawn().expect("python3 runs"));
        until("the sniffer to listen", || if file.exists() { Ok(()) } else { Err("no file".to_owned()) });
        sniffer
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Connections of a room with other rooms: those of sessions.
fn sessions(room: &Machine) -> Vec<String> {
    let output = room.command(Path::new("ss")).args(["-Htn", "state", "established"]).output().expect("ss runs");
    assert!(output.status.success(), "{output:?}");
    let others = |line: &&str| {
        let peer = line.split_whitespace().next_back().and_then(|to| to.rsplit_once(':')).map_or("", |(host, _)| host);
        let peer = peer.trim_matches(['[', ']']).trim_start_matches("::ffff:");
        peer.starts_with("10.77.0.") && peer != "10.77.0.1"
    };
    String::from_utf8_lossy(&output.stdout).lines().filter(others).map(str::to_owned).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// On a network without a route anywhere, from the first start on: idle peers have no connection with each other;
/// one appears on an authorised request and goes when it is idle; whoever listens sees TLS 1.3 and no value, no
/// name, no word of a task.
#[test]
fn f06_f11_f14_w5_listeners_see_nothing_and_idle_peers_have_no_connections() {
    let lab = Lab::new();
    let manager = lab.gateway();
    let file = manager.data().join("frames");
    let sniffer = Sniffer::start(&lab, &file);
    let rooms = lab.rooms(&manager, 3, |_| "[limits]\nidle_link = 5\n".to_owned());
    for (room, temperature) in rooms.iter().zip(["21.171717", "22.282828", "23.393939"]) {
        let routes = room.command(Path::new("ip")).args(["route"]).output().expect("ip runs");
        assert!(!String::from_utf8_lossy(&routes.stdout).contains("default"), "{routes:?}");
        let name = room.told(&["peer", "list"])[0]["name"].as_str().expect("a name").to_owned();
        room.told(&["peer", "measure", &name, &format!("temperature={temperature}")]);
        room.told(&["peer", "labels", &name, "offices-with-a-label"]);
    }
    let whole = |o: &Value| o["sources"] != serde_json::json!([]) && o["labels"] != serde_json::json!([]);
    until_offers(3, || manager.told(&["task", "offers", "--group", "1"]), whole);
    assert!(rooms.iter().all(|room| sessions(room).is_empty()), "{:?}", sessions(&rooms[0]));

    let question = [
        "task",
        "run",
        "--group",
        "1",
        "--source",
        "temperature",
        "--aggregator",
        "mean",
        "--purpose",
        "a-purpose-in-a-word",
        "--decimals",
        "6",
        "--most",
        "50",
        "--tell-gateway",
    ];
    let told = manager.told(&question);
    let mean = told["results"][0]["statistics"]
        .as_array()
        .and_then(|all| all.iter().find(|s| s["name"] == "mean(temperature)"));
    let mean = mean.and_then(|s| s["value"].as_f64()).unwrap_or_else(|| panic!("{told}"));
    assert!((mean - (21.171717 + 22.282828 + 23.393939) / 3.0).abs() < 1e-9, "{told}");
    assert!(rooms.iter().any(|room| !sessions(room).is_empty()), "the peers computed without a connection");
    until("the connections to go", || {
        let left: Vec<String> = rooms.iter().flat_map(sessions).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });

    drop(sniffer);
    let seen = std::fs::read(&file).expect("frames");
    // ServerHello's extension supported_versions: TLS 1.3.
    assert!(seen.len() > 20_000 && holds(&seen, &[0x00, 0x2b, 0x00, 0x02, 0x03, 0x04]), "{} bytes", seen.len());
    let secrets = [
        "21.171717",
        "22.282828",
        "23.393939",
        "171717",
        "282828",
        "393939",
        "temperature",
        "offices-with-a-label",
        "a-purpose-in-a-word",
        "prepare",
        "room1",
    ];
    for secret in secrets {
        assert!(!holds(&seen, secret.as_bytes()), "{secret} was sent in clear");
    }
    for value in [21_171_717_u64, 22_282_828, 23_393_939] {
        assert!(
            !holds(&seen, &value.to_le_bytes()) && !holds(&seen, &value.to_be_bytes()),
            "{value} was sent in clear"
        );
    }
}
