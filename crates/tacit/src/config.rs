//! A node's configuration: `node.toml` in its data folder.

use std::net::{SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tacit_model::Fingerprint;
use tacit_model::api::PeerPolicy;
use tacit_party::Policy;

use crate::discovery::DiscoveryConfig;
use crate::output::Failure;
use crate::pulling::SourceConfig;

/// What a node is and where it listens. Every field can be left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeConfig {
    /// How the node is called in certificates and on its status page.
    pub(crate) name: String,
    /// What it does: `gateway`, `peer`, `receiver`.
    pub(crate) roles: Vec<Role>,
    /// Where HTTP is served. Plain http only on loopback, unless `tls` is on.
    pub(crate) http: SocketAddr,
    /// Serve https with the node's certificate.
    pub(crate) tls: bool,
    /// Allow plain http on other addresses than loopback, for instance behind a reverse proxy.
    pub(crate) allow_plain_http: bool,
    /// Where links are served. One port for all protocols.
    pub(crate) link: SocketAddr,
    /// Where others find the link port, `host:port`; the listening address if empty.
    pub(crate) advertise: String,
    /// Where others find HTTP; made from the listening address if empty.
    pub(crate) url: String,
    /// Certificates that this node's peers believe over https, by fingerprint, beside those that an authority of the
    /// system issued: of gateways that they join, of receivers of their results.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trusted: Vec<Fingerprint>,
    /// `sqlite:tacit.db` in the data folder, or `postgres://...`.
    pub(crate) store: String,
    /// Offer the P2DS paths.
    pub(crate) p2ds: P2dsConfig,
    /// Bounds.
    pub(crate) limits: Limits,
    /// What this node's peers are willing to take part in.
    pub(crate) policy: PeerPolicy,
    /// Another program that computes, for groups whose charter names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<ProviderConfig>,
    /// Where peers fetch samples of their series by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<SourceConfig>,
    /// Where clients of tasks may be told.
    pub(crate) webhooks: WebhooksConfig,
    /// How gateways are found.
    pub(crate) discovery: DiscoveryConfig,
    /// The gateways that can take over from each other, this one too; the same list on each of them.
    #[serde(skip_serializing_if = "ReplicationConfig::is_off")]
    pub(crate) replication: ReplicationConfig,
    /// Only for the role `bench`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bench: Option<BenchConfig>,
}

/// Where clients of tasks may be told what became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebhooksConfig {
    /// Addresses, such as `https://hooks.example.org/tacit/`: what begins with one of them is written to.
    pub(crate) allow: Vec<String>,
    /// Certificates of such addresses that no authority of the system issued, by fingerprint.
    pub(crate) pinned: Vec<Fingerprint>,
}

/// An SMC provider: see proto/smc.proto.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderConfig {
    /// Its name, as groups call it: `tacit group configure ... --parameter provider=NAME`.
    pub(crate) name: String,
    /// The Unix socket it listens on; a relative path begins in the data folder.
    pub(crate) socket: PathBuf,
    /// Whether the gateway's operator may ping it.
    #[serde(default)]
    pub(crate) pings: bool,
}

/// Which gateways hold the same rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReplicationConfig {
    /// All of them; a gateway without any is alone.
    pub(crate) nodes: Vec<ReplicaConfig>,
}

/// One of the gateways that hold the same rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplicaConfig {
    /// Its certificate, as its operator reads it out: `tacit key show`.
    pub(crate) fingerprint: Fingerprint,
    /// Where its link port is, `host:port`.
    pub(crate) link: String,
    /// Base address of its HTTP edge, for clients.
    pub(crate) url: String,
}

impl ReplicationConfig {
    pub(crate) fn is_on(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn is_off(&self) -> bool {
        !self.is_on()
    }
}

/// Whom a party of a bench obeys.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BenchConfig {
    /// The certificate of the process that gives the orders.
    pub(crate) conductor: Fingerprint,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Orchestrates groups (P2DS: group manager).
    #[value(alias = "manager")]
    Gateway,
    /// Hosts parties that give data or compute.
    Peer,
    /// Takes results that are posted to it.
    Receiver,
    /// One party of `tacit bench`; nothing else runs then.
    #[value(skip)]
    Bench,
}

/// The P2DS face.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct P2dsConfig {
    /// Whether it is there.
    pub(crate) enabled: bool,
    /// SHA-256 of the admin key, hexadecimal.
    pub(crate) admin_key_sha256: String,
    /// Whether the test mode may be switched on.
    pub(crate) test_mode: bool,
}

/// Bounds that operators may want to change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest request body in bytes.
    pub(crate) body: usize,
    /// Rows that may wait at one peer.
    pub(crate) queued_rows: u64,
    /// Sessions that a peer runs at once.
    pub(crate) sessions: usize,
    /// Seconds, or parts of one, after which an idle link between peers is closed.
    pub(crate) idle_link: f64,
    /// Seconds from the first row of a slot to its close, for new groups.
    pub(crate) slot_deadline: u64,
    /// Clients' tasks that may be open at a gateway at the same time.
    pub(crate) open_tasks: usize,
    /// The same, of one client.
    pub(crate) client_tasks: usize,
    /// Days for which what belongs to ended runs and tasks is kept, results too; 0 keeps it for ever.
    pub(crate) retention_days: u32,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: "tacit".to_owned(),
            roles: vec![Role::Gateway, Role::Peer, Role::Receiver],
            http: SocketAddr::from(([127, 0, 0, 1], 7400)),
            tls: false,
            allow_plain_http: false,
            link: SocketAddr::from(([127, 0, 0, 1], 7401)),
            advertise: String::new(),
            url: String::new(),
            trusted: Vec::new(),
            store: "sqlite:tacit.db".to_owned(),
            p2ds: P2dsConfig::default(),
            limits: Limits::default(),
            policy: PeerPolicy::default(),
            provider: None,
            sources: Vec::new(),
            webhooks: WebhooksConfig::default(),
            discovery: DiscoveryConfig::default(),
            replication: ReplicationConfig::default(),
            bench: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            queued_rows: 100_000,
            sessions: 8,
            idle_link: 60.0,
            slot_deadline: 300,
            open_tasks: 10_000,
            client_tasks: 1_000,
            retention_days: 365,
        }
    }
}

impl Limits {
    /// How long a link between peers may be idle.
    pub(crate) fn idle_link(&self) -> Result<Duration, Failure> {
        let unusable = || Failure::usage(format!("limits.idle_link = {}: give seconds, more than 0", self.idle_link));
        Duration::try_from_secs_f64(self.idle_link).ok().filter(|idle| !idle.is_zero()).ok_or_else(unusable)
    }
}

impl NodeConfig {
    /// Reads a configuration file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            let file = DataFolder(path.to_owned()).config();
            return Err(Failure::usage(format!(
                "{} is a folder; its file is meant: {}",
                path.display(),
                file.display()
            )));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::usage(format!("{} cannot be read ({e}); `tacit init` writes one", path.display())))?;
        toml::from_str(&text).map_err(|e| Failure::usage(format!("{} is not right:\n{e}", path.display())))
    }

    /// Refuses what cannot be meant, before anything is written or served.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |what: String| Err(Failure::usage(format!("node.toml: {what}")));
        if let Err(why) = tacit_pki::check_label(&self.name) {
            return wrong(format!("name = {:?}: {why}", self.name));
        }
        let host = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        if !self.url.is_empty() && host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
            return wrong(format!(
                "url = {:?} is where others find HTTP, such as \"https://alpha.example:7400\"; leave it out for the address \
                 that is listened on",
                self.url
            ));
        }
        if let Err(why) = advertised(&self.advertise) {
            return wrong(format!("advertise: {why}"));
        }
        // What `tacit policy set` refuses must not hold because a file says it.
        if let Err(why) = self.policy().check() {
            return wrong(format!("[policy]: {why}"));
        }
        Ok(())
    }

    /// What the peers of this node are willing to take part in.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            max_sessions: self.limits.sessions,
            max_queued_rows: self.limits.queued_rows,
            rules: self.policy.clone(),
        }
    }

    /// What the audit log says of this configuration: every setting by its path, but for what may hold a secret.
    pub(crate) fn logged(&self) -> Vec<(String, String)> {
        const SECRET: [&str; 4] = ["store", "p2ds.admin_key_sha256", "webhooks.allow", "sources"];
        let mut settings = Vec::new();
        if let Ok(toml::Value::Table(table)) = toml::Value::try_from(self) {
            table.into_iter().for_each(|(name, value)| flatten(name, value, &mut settings));
        }
        settings.retain(|(name, _)| !SECRET.contains(&name.as_str()));
        settings
    }

    /// The configuration as a file.
    pub(crate) fn to_text(&self) -> Result<String, Failure> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// The database URL, with a relative SQLite file put into the data folder.
    pub(crate) fn store_url(&self, data: &Path) -> String {
        in_folder(&self.store, data)
    }
}

/// Where others find the link port, or nothing. They dial it as it stands, so what nobody can dial is refused here: at
/// the others nothing but "invalid input" could be said of it.
pub(crate) fn advertised(text: &str) -> Result<(), Failure> {
    if text.is_empty() || is_place(text) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "this is HOST:PORT, such as alpha.example:7401 or [2001:db8::7]:7401, without http:// and without a path, not \
         {text:?}"
    )))
}

/// A name, an IPv4 address or an IPv6 address in brackets, and a port.
fn is_place(text: &str) -> bool {
    if text.starts_with('[') {
        return text.parse::<SocketAddrV6>().is_ok_and(|address| address.port() > 0);
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    // Parsing alone takes "+7401", too.
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_port && !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
}

/// A database URL, with a relative SQLite file put into a folder.
pub(crate) fn in_folder(url: &str, folder: &Path) -> String {
    match url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{}", folder.join(file).display()),
        None => url.to_owned(),
    }
}

fn flatten(path: String, value: toml::Value, settings: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            table.into_iter().for_each(|(name, value)| flatten(format!("{path}.{name}"), value, settings));
        }
        toml::Value::String(text) => settings.push((path, text)),
        other => settings.push((path, other.to_string())),
    }
}

/// The files of a data folder.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder(pub(crate) PathBuf);

impl DataFolder {
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("node.toml")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn owner_token(&self) -> PathBuf {
        self.0.join("keys").join("owner.token")
    }

    pub(crate) fn address(&self) -> PathBuf {
        self.0.join("run").join("addr.json")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rule1_the_policy_can_be_set() {
        let friend = Fingerprint([7; 32]);
        let text = format!(
            "[policy]\nverified_only = true\nverified = [\"{friend}\"]\nmin_inputs = 5\n[limits]\nsessions = 3\n"
        );
        let config: NodeConfig = toml::from_str(&text).expect("a configuration");
        let rules = PeerPolicy {
            verified_only: true,
            verified: BTreeSet::from([friend]),
            min_inputs: 5,
            ..PeerPolicy::default()
        };
        let expected = Policy { max_sessions: 3, ..Policy::from(rules) };
        assert_eq!(config.policy(), expected);
        let again: NodeConfig = toml::from_str(&config.to_text().expect("text")).expect("its own text");
        assert_eq!(again.policy(), expected);
        assert_eq!(NodeConfig::default().policy(), Policy::default());
        assert!(toml::from_str::<NodeConfig>("[policy]\nverified_olny = true\n").is_err());
        // Those are limits of the node, under another heading.
        assert!(toml::from_str::<NodeConfig>("[policy]\nmax_sessions = 3\n").is_err());
    }

    #[test]
    fn rule9_a_policy_that_cannot_be_meant_is_refused_with_the_file() {
        let check = |rule: &str| {
            let config: NodeConfig = toml::from_str(&format!("[policy]\n{rule}\n")).expect("a configuration");
            config.check().map_err(|failure| failure.to_string())
        };
        assert_eq!(check("epsilon_budgets = [\"temperature=2\"]"), Ok(()));
        for (rule, words) in [
            ("epsilon_budgets = [\"temperature:2\"]", "a budget is NAME=DECIMAL"),
            ("delta_budgets = [\"temperature\"]", "a budget is NAME=DECIMAL"),
            ("models = [\"honest\"]", "models are semi-honest, malicious and guaranteed"),
            ("aggregators = [\"avg\"]", "there is no aggregator \"avg\""),
            ("keep_samples_hours = 0", "keep_samples_hours is at least 1"),
        ] {
            let refused = check(rule).expect_err(rule);
            assert!(refused.starts_with("node.toml: [policy]: the policy was not taken: "), "{refused}");
            assert!(refused.contains(words), "{rule}: {refused}");
        }
    }

    #[test]
    fn an_advertised_address_that_nobody_can_dial_is_refused() {
        let check = |advertise: &str| {
            let config = NodeConfig { advertise: advertise.to_owned(), ..NodeConfig::default() };
            config.check().map_err(|failure| failure.to_string())
        };
        for place in ["", "alpha.example:7401", "127.0.0.1:1", "gw_1:65535", "[::1]:7401", "[2001:db8::7]:7401"] {
            assert_eq!(check(place), Ok(()), "{place}");
        }
        for wrong in [
            "gw.example",
            "127.0.0.1",
            "http://127.0.0.1:7401",
            "https://gw.example:7401",
            "gw.example:7401/",
            "gw.example:7401/join",
            "gw.example:",
            "gw.example:0",
            "gw.example:65536",
            "gw.example:+7401",
            ":7401",
            "gw example:7401",
            "::1:7401",
            "[::1]",
            "[::1]:0",
            "[gw.example]:7401",
        ] {
            let refused = check(wrong).expect_err(wrong);
            assert!(refused.starts_with("node.toml: advertise: this is HOST:PORT, such as "), "{refused}");
            assert!(refused.contains(&format!("{wrong:?}")), "{refused}");
        }
    }

    #[test]
    fn links_may_be_idle_for_parts_of_a_second() {
        let read = |text: &str| {
            let config: NodeConfig = toml::from_str(&format!("[limits]\nidle_link = {text}\n")).expect("a number");
            config.limits.idle_link().map_err(|failure| failure.to_string())
        };
        assert_eq!((read("5"), read("0.05")), (Ok(Duration::from_secs(5)), Ok(Duration::from_millis(50))));
        for unusable in ["0", "-1", "nan", "inf", "1e300", "1e-30"] {
            assert!(read(unusable).is_err_and(|why| why.contains("limits.idle_link")), "{unusable}");
        }
    }
}
