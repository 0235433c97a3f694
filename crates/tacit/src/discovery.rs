//! A node's part in discovery: what its gateway announces, and where its peers look.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tacit_link::Endpoint;
use tacit_link::discovery::{API, Announcement, GatewayRole, Mdns, Properties, Wishes, local_addresses};
use tacit_model::Clock;
use tacit_party::{Finder, FinderSetup};
use tacit_pki::Identity;
use tokio_util::sync::CancellationToken;

use crate::config::NodeConfig;
use crate::output::Failure;

/// How often the machine's addresses are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How gateways are found. Hints only: whom a peer believes is decided by pairing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DiscoveryConfig {
    /// Announce and browse `_tacit._tcp` on the local network. Nothing is sent while links are served on
    /// loopback only, unless `loopback` says so.
    pub(crate) mdns: bool,
    /// Where links are served on loopback only, announce and browse there: for several nodes on one machine that
    /// find each other, and nobody else.
    pub(crate) loopback: bool,
    /// Where this node is, from the large to the small with dots between: `R.08.03.123`.
    pub(crate) location: String,
    /// The kinds of data this node gives, or as a gateway is responsible for; all if empty.
    pub(crate) sources: Vec<String>,
    /// Addresses to ask where multicast does not reach, such as `https://10.0.0.1:7400`.
    pub(crate) bootstrap: Vec<String>,
    /// As a gateway: stand by, and be chosen after others.
    pub(crate) backup: bool,
    /// How long a search waits for answers, in milliseconds: who answers later is not chosen among.
    pub(crate) search_ms: u64,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            mdns: true,
            loopback: false,
            location: String::new(),
            sources: Vec::new(),
            bootstrap: Vec::new(),
            backup: false,
            search_ms: 1500,
        }
    }
}

/// Multicast, if this node takes part in it and the machine can.
pub(crate) fn mdns(config: &NodeConfig) -> Option<Mdns> {
    let alone = config.link.ip().is_loopback();
    if !config.discovery.mdns || (alone && !config.discovery.loopback) {
        return None;
    }
    match if alone { Mdns::on_loopback() } else { Mdns::open() } {
        Ok(mdns) => Some(mdns),
        Err(error) => {
            tracing::warn!(%error, "gateways are looked for at bootstrap addresses only");
            None
        }
    }
}

/// Looks for gateways on behalf of the node's peers.
pub(crate) fn finder(config: &NodeConfig, mdns: Option<Mdns>) -> Result<Finder, Failure> {
    let discovery = &config.discovery;
    let setup = FinderSetup {
        mdns,
        bootstrap: discovery.bootstrap.clone(),
        wishes: Wishes {
            location: discovery.location.clone(),
            sources: discovery.sources.clone(),
            ..Wishes::default()
        },
        patience: Duration::from_millis(discovery.search_ms),
        allow_plain_http: config.allow_plain_http,
    };
    Finder::new(setup).map_err(|e| Failure::usage(e.to_string()))
}

/// Where the link port is for others: what the operator says, else where it listens, else the machine's first
/// address as of now.
pub(crate) fn endpoint(config: &NodeConfig, listens: std::net::SocketAddr) -> Endpoint {
    if !config.advertise.is_empty() {
        return config.advertise.clone().into();
    }
    if !listens.ip().is_unspecified() {
        return listens.to_string().into();
    }
    let v4_only = listens.is_ipv4();
    Endpoint::new(move || {
        let first = local_addresses().into_iter().find(|ip| ip.is_ipv4() || !v4_only);
        first.map(|ip| std::net::SocketAddr::new(ip, listens.port()).to_string()).unwrap_or_default()
    })
}

/// What a gateway says of itself.
pub(crate) struct Announcer {
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: NodeConfig,
    /// The port of the links.
    pub(crate) link: std::net::SocketAddr,
    /// Where HTTP is.
    pub(crate) http: std::net::SocketAddr,
}

impl Announcer {
    /// As of now, signed; nothing if the configuration's texts do not fit, which is said when the node starts.
    pub(crate) fn now(&self) -> Option<(Announcement, Properties)> {
        let announcement = self.announcement();
        let properties = announcement.sign(&self.identity).ok()?;
        Some((announcement, properties))
    }

    fn announcement(&self) -> Announcement {
        let discovery = &self.config.discovery;
        Announcement {
            gateway: self.identity.fingerprint(),
            name: self.config.name.clone(),
            api: API,
            role: if discovery.backup { GatewayRole::Backup } else { GatewayRole::Primary },
            location: discovery.location.clone(),
            sources: discovery.sources.clone(),
            addresses: self.addresses(),
            port: self.port(),
            web: match self.config.url.as_str() {
                "" => format!("{}:{}", if self.config.tls { "https" } else { "http" }, self.http.port()),
                url => url.to_owned(),
            },
            at: self.clock.now(),
        }
    }

    /// The advertised address where it is one, else where the port listens, else all of the machine.
    fn addresses(&self) -> Vec<IpAddr> {
        let advertised = self.config.advertise.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']));
        match advertised.and_then(|host| host.parse().ok()) {
            Some(ip) => vec![ip],
            None if self.link.ip().is_unspecified() => local_addresses(),
            None => vec![self.link.ip()],
        }
    }

    fn port(&self) -> u16 {
        let advertised = self.config.advertise.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        advertised.unwrap_or_else(|| self.link.port())
    }

    /// Announces until told to stop, anew when the machine's addresses change.
    pub(crate) async fn keep(self: Arc<Self>, mdns: Mdns, stop: CancellationToken) {
        let mut said: Option<Vec<IpAddr>> = None;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            let addresses = self.addresses();
            if said.as_ref() == Some(&addresses) {
                continue;
            }
            let Some((announcement, properties)) = self.now() else { return };
            match mdns.announce(&announcement, &properties) {
                Ok(()) => said = Some(addresses),
                Err(error) => tracing::warn!(%error, "this gateway could not be announced"),
            }
        }
    }
}

/// Refuses texts that do not fit into an announcement, before anything is written.
pub(crate) fn check(config: &NodeConfig) -> Result<(), Failure> {
    let discovery = &config.discovery;
    let fits = |text: &str| text.len() <= 200 && !text.chars().any(char::is_control);
    if !fits(&discovery.location) || !fits(&discovery.sources.join(",")) || !fits(&config.name) {
        return Err(Failure::usage(
            "name, discovery.location and all of discovery.sources together have at most 200 printable bytes each",
        ));
    }
    if discovery.sources.iter().any(|source| source.contains(',')) {
        return Err(Failure::usage("a source in discovery.sources has no comma in its name"));
    }
    let address = |address: &String| address.starts_with("https://") || address.starts_with("http://");
    match discovery.bootstrap.iter().find(|text| !address(text)) {
        Some(text) => {
            Err(Failure::usage(format!("discovery.bootstrap: {text:?} is no address such as https://10.0.0.1:7400")))
        }
        None => Ok(()),
    }
}
