//! A network of its own for whole nodes: network namespaces on one bridge, without any route elsewhere.
//!
//! Needs root and iproute2 (installed if it is not there). Without them the tests fail and say so.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::tacit;
use crate::wait::until;

/// The HTTP port and the link port of every node: each has its own addresses.
pub(crate) const HTTP: u16 = 7400;
pub(crate) const LINK: u16 = 7401;

/// The network. Everything in it ends when this is dropped.
pub(crate) struct Lab {
    name: String,
    ports: AtomicU32,
}

/// One machine of the network, and the node on it.
pub(crate) struct Machine {
    namespace: String,
    /// Its port of the bridge.
    port: String,
    folder: TempDir,
    child: Option<Child>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        static LABS: AtomicU32 = AtomicU32::new(0);
        need_ip();
        let name = format!("tacit{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let lab = Self { name, ports: AtomicU32::new(0) };
        add_namespace(&lab.name);
        ip(&["-n", &lab.name, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0"]);
        ip(&["-n", &lab.name, "link", "set", "bridge", "up"]);
        lab
    }

    /// A machine with these addresses on the bridge, such as `10.77.0.1/24` and `fd77::1/64`.
    pub(crate) fn machine(&self, addresses: &[&str]) -> Machine {
        let number = self.ports.fetch_add(1, Ordering::Relaxed);
        let (namespace, port) = (format!("{}-{number}", self.name), format!("port{number}"));
        add_namespace(&namespace);
        let machine = Machine { namespace, port: port.clone(), folder: TempDir::new().expect("a folder"), child: None };
        let inside = &machine.namespace;
        ip(&["-n", &self.name, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", inside]);
        ip(&["-n", &self.name, "link", "set", &port, "master", "bridge", "up"]);
        machine.ip(&["link", "set", "lo", "up"]);
        machine.ip(&["link", "set", "eth0", "up"]);
        for address in addresses {
            machine.add_address(address);
        }
        machine
    }

    /// The machine 10.77.0.1 with a gateway that is not looked for.
    pub(crate) fn gateway(&self) -> Machine {
        let mut machine = self.machine(&["10.77.0.1/24"]);
        machine.serve(&format!(
            "name = \"gw\"\nroles = [\"gateway\"]\nhttp = \"[::]:{HTTP}\"\ntls = true\nlink = \"[::]:{LINK}\"\n\
             [discovery]\nmdns = false\n"
        ));
        machine
    }

    /// Any program that runs where all machines are connected.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).stdin(Stdio::null());
        command
    }

    /// Machines with a peer each, `room1` and so on at 10.77.0.11 and so on, that are approved members of a new
    /// group of the gateway at 10.77.0.1, and connected. `more` is added to their configuration.
    pub(crate) fn rooms(&self, gateway: &Machine, count: usize, more: impl Fn(&Machine) -> String) -> Vec<Machine> {
        let fingerprint = gateway.fingerprint();
        gateway.told(&["group", "create", "floor3"]);
        let mut rooms = Vec::new();
        for number in 1..=count {
            let mut room = self.machine(&[&format!("10.77.0.{}/24", 10 + number)]);
            room.serve(&format!(
                "name = \"room{number}\"\nroles = [\"peer\"]\nhttp = \"127.0.0.1:{HTTP}\"\nlink = \"[::]:{LINK}\"\n\
                 [discovery]\nmdns = false\n{}",
                more(&room)
            ));
            let code = gateway.told(&["group", "invite", "1"]);
            let (code, name) = (code.as_str().expect("a code"), format!("room{number}"));
            let address = format!("https://10.77.0.1:{HTTP}");
            let joining = ["join", code, "--name", &name, "--gateway", &address, "--gateway-fingerprint", &fingerprint];
            let joined = room.told(&joining);
            let code = joined["comparison_code"].as_str().expect("a code");
            gateway.told(&["pair", "approve", &name, "--code", code]);
            rooms.push(room);
        }
        until("all rooms to be connected", || {
            let members = gateway.told(&["pair", "list"]);
            let there = members.as_array().expect("a list").iter().filter(|m| m["connected"] == true).count();
            if there == count { Ok(()) } else { Err(members.to_string()) }
        });
        rooms
    }

    /// From now on the network carries no multicast to this machine; whoever sends some hears nothing of that.
    pub(crate) fn drop_multicast(&self, machine: &Machine) {
        ip(&["-n", &self.name, "link", "set", &machine.port, "type", "bridge_slave", "mcast_flood", "off"]);
    }

    /// Pulls the machine's plug out of the network.
    pub(crate) fn cut(&self, machine: &Machine) {
        ip(&["-n", &self.name, "link", "set", &machine.port, "down"]);
    }

    /// Puts it in again.
    pub(crate) fn heal(&self, machine: &Machine) {
        ip(&["-n", &self.name, "link", "set", &machine.port, "up"]);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

impl Machine {
    /// Runs `ip` on this machine.
    pub(crate) fn ip(&self, args: &[&str]) {
        ip(&[&["-n", &self.namespace], args].concat());
    }

    pub(crate) fn add_address(&self, address: &str) {
        // Without waiting for duplicates: nobody else is there.
        let flags: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        self.ip(&[&["address", "add", address, "dev", "eth0"], flags].concat());
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the configuration and starts the node; waits until it is ready.
    pub(crate) fn serve(&mut self, config: &str) {
        std::fs::write(self.data().join("node.toml"), config).expect("a configuration");
        self.start();
    }

    pub(crate) fn start(&mut self) {
        self.kill();
        let address = self.data().join("run").join("addr.json");
        let _stale = std::fs::remove_file(&address);
        let log = std::fs::File::options().create(true).append(true).open(self.data().join("log")).expect("a log");
        let mut command = self.inside();
        command.arg("serve").arg("--config").arg(self.data().join("node.toml"));
        command.env("TACIT_LOG", "info").stdout(log.try_clone().expect("the log")).stderr(log);
        self.child = Some(command.spawn().expect("tacit starts"));
        until("the node to be ready", || {
            if std::fs::read_to_string(&address).is_ok_and(|text| serde_json::from_str::<Value>(&text).is_ok()) {
                return Ok(());
            }
            match self.child.as_mut().map(Child::try_wait) {
                Some(Ok(None)) => Err("not yet".to_owned()),
                other => panic!("the node ended while starting ({other:?}):\n{}", self.log()),
            }
        });
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }

    /// A command that runs on this machine.
    fn inside(&self) -> Command {
        let mut command = self.command(Path::new(tacit().get_program()));
        for name in ["TACIT_ADMIN_KEY", "TACIT_CONFIG", "TACIT_NODE", "TACIT_DATA"] {
            command.env_remove(name);
        }
        command
    }

    /// Any program that runs on this machine.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program).stdin(Stdio::null());
        command
    }

    /// Runs a command of the program against this machine's node.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.inside().args(args).arg("--data").arg(self.data()).arg("--json").output().expect("tacit runs")
    }

    /// The same, which must work; what it printed.
    #[track_caller]
    pub(crate) fn told(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}\n{}", self.log());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {output:?}"))
    }

    /// Whether this machine's node itself is ready; one that follows another is not. It serves https.
    pub(crate) fn is_ready(&self) -> bool {
        let url = format!("https://127.0.0.1:{HTTP}/readyz");
        let mut curl = self.command(Path::new("curl"));
        curl.args(["--insecure", "--silent", "--fail", "--noproxy", "*", "--max-time", "10", &url]);
        curl.output().expect("curl runs").status.success()
    }

    /// The node's certificate.
    pub(crate) fn fingerprint(&self) -> String {
        let text = std::fs::read_to_string(self.data().join("run").join("addr.json")).expect("a running node");
        let address: Value = serde_json::from_str(&text).expect("JSON");
        address["fingerprint"].as_str().expect("a fingerprint").to_owned()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data().join("log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("==== the log of {}:\n{}", self.namespace, self.log());
        }
        let _gone = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

#[track_caller]
fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("ip runs");
    assert!(output.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
}

/// A new one. What a killed process with the same number left behind is removed.
#[track_caller]
fn add_namespace(name: &str) {
    let _left = Command::new("ip").args(["netns", "del", name]).output();
    ip(&["netns", "add", name]);
}

/// Installs iproute2 where it is missing. A test that cannot have its network fails.
fn need_ip() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let there = || Command::new("ip").arg("-V").output().is_ok_and(|output| output.status.success());
        if !there() {
            let script = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq iproute2";
            let _tried = Command::new("sh").args(["-c", script]).status();
        }
        assert!(there(), "the tests of discovery need iproute2 (the program ip); install it");
        let probe = format!("tacit{}-probe", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &probe]).output().expect("ip runs");
        let _gone = Command::new("ip").args(["netns", "del", &probe]).output();
        assert!(made.status.success(), "the tests of discovery make network namespaces: run them as root. {made:?}");
    });
}
