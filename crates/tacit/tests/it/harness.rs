//! Real nodes as child processes: started, killed, started again, and gone when the test ends.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Reply, Request, get};
use crate::p2ds::{Manager, PeerService, Receiver};
use crate::wait::{PATIENCE, let_pass, until};

/// The administrator's key of all nodes that do not say otherwise.
pub(crate) const KEY: &str = "a-key-of-the-tests";
/// Stands for no `--link` at all.
const ANY_LINK_PORT: &str = "(any link port)";
/// How often a node may lose the race for its ports.
const STARTS: usize = 5;

/// The program under test.
pub(crate) fn tacit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacit"));
    command.stdin(Stdio::null()).env_remove("TACIT_ADMIN_KEY").env_remove("TACIT_CONFIG").env_remove("TACIT_NODE");
    command
}

/// Runs the program to its end, which must come.
#[track_caller]
pub(crate) fn run(args: &[&str]) -> Output {
    let mut child = tacit().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tacit starts");
    until(&format!("the end of tacit {}", args.join(" ")), || match child.try_wait() {
        Ok(Some(_)) => Ok(()),
        _ => Err("it runs".to_owned()),
    });
    child.wait_with_output().expect("its output")
}

/// A port that no other test uses as long as this value lives.
pub(crate) struct Port {
    pub(crate) number: u16,
    _reserved: File,
}

impl Port {
    /// Below the range from which the system chooses, so that no outgoing connection takes it while a
    /// killed node is down.
    pub(crate) fn reserve() -> Self {
        const FIRST: u16 = 20_000;
        const COUNT: u16 = 12_000;
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
        loop {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            assert!(step < COUNT, "no port is free");
            if let Some(port) = Self::take(FIRST + (start + step) % COUNT) {
                return port;
            }
        }
    }

    /// This port, if it is free, or becomes free soon because another run of the same test ends.
    pub(crate) fn wait_for(number: u16) -> Option<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::take(number) {
                None if Instant::now() < deadline && Self::is_reserved(number) => let_pass(Duration::from_millis(50)),
                other => return other,
            }
        }
    }

    fn take(number: u16) -> Option<Self> {
        let lock = Self::lock_file(number);
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Error(error)) => panic!("port locks do not work: {error}"),
        }
        TcpListener::bind(("127.0.0.1", number)).is_ok().then_some(Self { number, _reserved: lock })
    }

    /// Whether a test holds it, and not some other program.
    fn is_reserved(number: u16) -> bool {
        matches!(Self::lock_file(number).try_lock(), Err(TryLockError::WouldBlock))
    }

    fn lock_file(number: u16) -> File {
        let folder = std::env::temp_dir().join("tacit-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder for port locks");
        File::create(folder.join(number.to_string())).expect("a port lock")
    }
}

/// A running `tacit p2ds`.
pub(crate) struct Node {
    name: String,
    args: Vec<String>,
    folder: TempDir,
    http: Port,
    link: Port,
    scheme: &'static str,
    /// What its `node.toml` says besides its name and ports, if it is a `tacit serve`.
    config: Option<String>,
    child: Option<Child>,
}

impl Node {
    /// All services in one process, in test mode.
    pub(crate) fn start() -> Self {
        Self::with("node", &["--test-mode"])
    }

    /// Some services. The first argument is for messages; the others go to `tacit p2ds`.
    pub(crate) fn with(name: &str, args: &[&str]) -> Self {
        Self::begin(name, args, None)
    }

    /// A `tacit serve` whose `node.toml` says this besides its name and ports.
    pub(crate) fn served(name: &str, config: &str) -> Self {
        Self::begin(name, &[], Some(config))
    }

    fn begin(name: &str, args: &[&str], config: Option<&str>) -> Self {
        let mut last = String::new();
        for _ in 0..STARTS {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
            let tls =
                args.iter().any(|arg| arg == "--tls") || config.is_some_and(|config| config.contains("tls = true"));
            let scheme = if tls { "https" } else { "http" };
            let folder = TempDir::new().expect("a folder");
            let mut node = Self {
                name: name.to_owned(),
                args,
                folder,
                http: Port::reserve(),
                link: Port::reserve(),
                scheme,
                config: config.map(str::to_owned),
                child: None,
            };
            match node.try_start() {
                Ok(()) => return node,
                Err(why) if why.contains("cannot be listened on") => last = why,
                Err(why) => panic!("{why}"),
            }
        }
        panic!("{last}")
    }

    /// As [`with`](Self::with), but the system chooses the link port.
    pub(crate) fn without_link_port(name: &str, args: &[&str]) -> Self {
        Self::with(name, &[args, &[ANY_LINK_PORT]].concat())
    }

    /// Starts the process and waits until it answers.
    fn try_start(&mut self) -> Result<(), String> {
        let address = self.data().join("run").join("addr.json");
        let _stale = std::fs::remove_file(&address);
        let mut log = File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        writeln!(log, "---- start").expect("a log line");
        let mut command = self.command();
        command.env("TACIT_LOG", "info").stdout(log.try_clone().expect("the log file")).stderr(log);
        self.child = Some(command.spawn().expect("tacit starts"));
        enum Start {
            Up,
            Ended(ExitStatus),
        }
        let started = until(&format!("{} to be ready", self.name), || {
            if let Ok(text) = std::fs::read_to_string(&address)
                && serde_json::from_str::<Value>(&text).is_ok()
            {
                return Ok(Start::Up);
            }
            match self.child.as_mut().map(Child::try_wait) {
                Some(Ok(Some(status))) => Ok(Start::Ended(status)),
                _ => Err(format!("no run/addr.json; log:\n{}", self.log_end())),
            }
        });
        match started {
            Start::Up => Ok(()),
            Start::Ended(status) => {
                self.child = None;
                Err(format!("{} ended while starting ({status}):\n{}", self.name, self.log_end()))
            }
        }
    }

    /// What starts it.
    fn command(&self) -> Command {
        let (http, link) = (self.http.number, self.link.number);
        let mut command = tacit();
        if let Some(config) = &self.config {
            let file = self.data().join("node.toml");
            let ports = format!("http = \"127.0.0.1:{http}\"\nlink = \"127.0.0.1:{link}\"");
            std::fs::create_dir_all(self.data()).expect("a folder");
            std::fs::write(&file, format!("name = \"{}\"\n{ports}\n{config}", self.name)).expect("a configuration");
            command.args(["serve", "--config"]).arg(file);
            return command;
        }
        command.args(["p2ds", "--listen", &format!("127.0.0.1:{http}")]).arg("--data").arg(self.data());
        command.args(self.args.iter().filter(|arg| *arg != ANY_LINK_PORT));
        if !self.has("--admin-key") {
            command.args(["--admin-key", KEY]);
        }
        if !self.has(ANY_LINK_PORT) {
            command.args(["--link", &format!("127.0.0.1:{link}")]);
        }
        command
    }

    fn has(&self, wanted: &str) -> bool {
        self.args.iter().any(|arg| arg == wanted)
    }

    /// Starts a node again that was killed or stopped: same folder, same ports.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.kill();
        // The port of a process that was just killed may need a moment.
        until(&format!("{} to start again", self.name), || self.try_start());
    }

    /// Ends the node as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }

    /// Asks the node to end, as a service manager would, and waits for it.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(told.success(), "{} cannot be told to end", self.name);
        let status = until(&format!("{} to end", self.name), || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log_end());
    }

    /// The process id of a running node.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running node").id()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Base address of its HTTP edge.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.http.number)
    }

    /// Where its link port is.
    pub(crate) fn link(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.link.number)
    }

    /// The node's group manager.
    pub(crate) fn manager(&self) -> Manager {
        let manager = Manager::new(&self.url(), self.admin_key(), &self.token());
        if self.scheme == "https" { manager.pinned(&self.fingerprint()) } else { manager }
    }

    /// The node's certificate.
    #[track_caller]
    pub(crate) fn fingerprint(&self) -> String {
        let text = std::fs::read_to_string(self.data().join("run").join("addr.json")).expect("an address");
        let address: Value = serde_json::from_str(&text).expect("JSON");
        address["fingerprint"].as_str().expect("a fingerprint").to_owned()
    }

    /// The node's peer service.
    pub(crate) fn peers(&self) -> PeerService {
        PeerService::new(&self.url(), self.admin_key(), &self.token())
    }

    /// The node's receiver.
    pub(crate) fn receiver(&self) -> Receiver {
        Receiver::new(&self.url())
    }

    pub(crate) fn admin_key(&self) -> &str {
        let given = self.args.iter().position(|arg| arg == "--admin-key").and_then(|at| self.args.get(at + 1));
        given.map_or(KEY, String::as_str)
    }

    /// The token of the node's owner, for `/api/v1`.
    pub(crate) fn token(&self) -> String {
        let path = self.data().join("keys").join("owner.token");
        std::fs::read_to_string(path).expect("an owner token").trim().to_owned()
    }

    /// A call to `/api/v1` as the owner.
    #[track_caller]
    pub(crate) fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let url = format!("{}/api/v1{path}", self.url());
        let request = Request::new(method, &url).header("authorization", format!("Bearer {}", self.token()));
        match body {
            Some(body) => request.json(body).answer(),
            None => request.answer(),
        }
    }

    /// What the members of a group offer to tasks.
    #[track_caller]
    pub(crate) fn offers(&self, gid: i64) -> Value {
        self.api("GET", &format!("/groups/{gid}/offers"), None).ok().json()["offers"].take()
    }

    /// Everything that the node tells its owner about groups and peers, for a comparison before and
    /// after. What changes by itself is left out.
    #[track_caller]
    pub(crate) fn state(&self) -> String {
        let mut state = String::new();
        let peers = self.api("GET", "/peers", None).ok().json();
        let names = peers["peers"].as_array().expect("a list").iter().filter_map(|peer| peer["name"].as_str());
        let policies = names.map(|name| format!("/peers/{name}/policy"));
        let all = ["/groups", "/negotiations?group=1", "/tasks", "/peers", "/receiver/results", "/tokens"];
        for path in all.map(str::to_owned).into_iter().chain(policies) {
            let reply = self.api("GET", &path, None);
            state.push_str(&format!("{path} {}\n{}\n", reply.status, reply.body));
        }
        // Each start of the program is an entry.
        let log = self.api("GET", "/log?max=1000", None).ok().json();
        for entry in log["entries"].as_array().into_iter().flatten() {
            let body = entry["body"].as_str().unwrap_or_default();
            if !body.contains("\"kind\":\"software\"") && !body.contains("\"kind\":\"parameter\"") {
                state.push_str(&format!("{body}\n"));
            }
        }
        state
    }

    /// All that the node wrote to its terminal so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Whether the node answers at all.
    #[track_caller]
    pub(crate) fn is_healthy(&self) -> bool {
        get(&format!("{}/healthz", self.url())).status == 200
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() || std::env::var_os("TACIT_SHOW_LOGS").is_some() {
            eprintln!("==== the log of {} ends like this:\n{}", self.name, self.log_end());
        }
    }
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
