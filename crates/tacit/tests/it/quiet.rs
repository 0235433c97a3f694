//! What can be seen on the network: nothing while nobody asks, and nothing in clear when somebody does.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::tacit;
use crate::lab::{Lab, Machine};
use crate::wait::{until, until_offers};

/// Writes all frames that pass between the machines into a file, each after its length. It has room for those that come while
/// it waits for its turn (SO_RCVBUFFORCE), where it may.
const SNIFFER: &str = "import socket, sys\n\
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n\
    try: frames.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)\n\
    except OSError: pass\n\
    out = open(sys.argv[1], 'wb', buffering=0)\n\
    while True:\n\
    \x20 frame = frames.recv(1 << 17)\n\
    \x20 out.write(len(frame).to_bytes(4, 'big') + frame)\n";

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

/// One direction of a connection over IPv4: addresses and ports from where and to where.
type Flow = [u8; 12];

/// The frames that the sniffer wrote; not one that it was writing when it ended.
fn frames(mut seen: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = seen.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("a length");
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        frames.push(frame);
        seen = rest;
    }
    frames
}

/// What TCP carries in a frame: for which flow, from which number on, whether the flow begins with it, and the bytes.
fn segment(frame: &[u8]) -> Option<(Flow, u32, bool, &[u8])> {
    let (ethernet, ip) = frame.split_at_checked(14)?;
    if ethernet[12..] != [0x08, 0x00] || *ip.get(9)? != 6 {
        return None;
    }
    let (head, length) = (usize::from(ip[0] & 15) * 4, u16::from_be_bytes([ip[2], ip[3]]));
    let addresses = ip.get(12..20)?;
    let tcp = ip.get(head..usize::from(length))?;
    let flow = [addresses, tcp.get(..4)?].concat().try_into().ok()?;
    let number = u32::from_be_bytes(tcp.get(4..8)?.try_into().ok()?);
    let begins = tcp.get(13)? & 2 != 0;
    Some((flow, number, begins, tcp.get(usize::from(tcp[12] >> 4) * 4..)?))
}

/// What was said on each flow whose beginning was seen, as far as it was seen without a hole.
fn said(seen: &[u8]) -> BTreeMap<Flow, Vec<u8>> {
    let (mut beginnings, mut parts) = (BTreeMap::new(), BTreeMap::<Flow, Vec<(u32, &[u8])>>::new());
    for (flow, number, begins, bytes) in frames(seen).into_iter().filter_map(segment) {
        if begins {
            beginnings.insert(flow, number.wrapping_add(1));
        } else if !bytes.is_empty() {
            parts.entry(flow).or_default().push((number, bytes));
        }
    }
    let whole = |(flow, first): (Flow, u32)| {
        let of_flow = parts.get(&flow).into_iter().flatten();
        let mut of_flow: Vec<_> = of_flow.map(|(number, bytes)| (number.wrapping_sub(first), *bytes)).collect();
        of_flow.sort_by_key(|(at, _)| *at);
        let mut whole = Vec::new();
        for (at, bytes) in of_flow {
            let at = usize::try_from(at).expect("a place");
            // What passed more than one port of the bridge, or was sent again, says nothing new.
            let Some(known) = whole.len().checked_sub(at) else { break };
            whole.extend_from_slice(bytes.get(known..).unwrap_or_default());
        }
        (flow, whole)
    };
    beginnings.into_iter().map(whole).collect()
}

/// Whether these are records of TLS 1.3 and nothing else; the last one may be cut off.
fn is_tls(mut said: &[u8]) -> bool {
    while let [kind, major, _, high, low, rest @ ..] = said {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // Change of cipher, alert, handshake, data; none is longer than 2^14 bytes and what ciphers add.
        if !(20..=23).contains(kind) || *major != 3 || length > (1 << 14) + 256 {
            return false;
        }
        // A ServerHello chooses version 1.3 in its extension supported_versions.
        if let (22, Some(hello @ [2, ..])) = (*kind, rest.get(..length))
            && !holds(hello, &[0x00, 0x2b, 0x00, 0x02, 0x03, 0x04])
        {
            return false;
        }
        said = rest.get(length..).unwrap_or_default();
    }
    true
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
    let said = said(&seen);
    for (flow, bytes) in &said {
        assert!(is_tls(bytes), "{flow:?} begins with {:02x?}", &bytes[..bytes.len().min(32)]);
    }
    // From room to room, as well as to the gateway.
    let among = |flow: &Flow| [flow[3] == 1, flow[7] == 1];
    for who in [[false, false], [false, true], [true, false]] {
        let spoke = said.iter().filter(|(flow, bytes)| among(flow) == who && bytes.len() > 1000).count();
        assert!(spoke > 0, "{who:?} of {} flows", said.len());
    }
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

/// What is installed is one file: it loads the system's C library and nothing else.
#[test]
fn f14_one_program_needs_no_other_library() {
    let loaded = Command::new("ldd").arg(tacit().get_program()).output().expect("ldd runs");
    assert!(loaded.status.success(), "{loaded:?}");
    let loaded = String::from_utf8(loaded.stdout).expect("text");
    let known = ["linux-vdso.", "libc.", "libm.", "libgcc_s.", "ld-linux-"];
    for line in loaded.lines() {
        let path = line.split_whitespace().next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(known.iter().any(|known| name.starts_with(known)), "{loaded}");
    }
}
