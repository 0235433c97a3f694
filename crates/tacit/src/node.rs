//! One running node: opens the data folder, wires the roles together, serves until told to stop.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tacit_api::{Metrics, ServeOptions};
use tacit_audit::{AuditLog, AuditSetup};
use tacit_gateway::{Admitted, Gateway, GatewaySetup, Notifier, RunnerLimits};
use tacit_link::discovery::Mdns;
use tacit_link::{Endpoint, LinkConfig, LinkHub};
use tacit_model::{Clock, Fingerprint, SystemClock};
use tacit_party::{HttpRules, Parties, PartiesSetup, PartyError, PartyLimits, Provider};
use tacit_pki::{Identity, keyfile};
use tacit_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{DataFolder, NodeConfig, Role};
use crate::discovery::Announcer;
use crate::output::{Code, Failure};
use crate::process::Address;
use crate::retention::Keeps;

/// A node that is up.
pub(crate) struct Node {
    pub(crate) address: Address,
    data: DataFolder,
    gateway: Option<Gateway>,
    parties: Option<Parties>,
    hub: Arc<LinkHub>,
    store: Store,
    log: AuditLog,
    stop: CancellationToken,
    http: tokio::task::JoinHandle<()>,
    /// Held as long as the node is up: two nodes never share a data folder.
    _lock: File,
}

impl Node {
    /// Opens everything in order: lock, keys, database, links, roles, HTTP. When this returns the node
    /// answers, and `run/addr.json` says where.
    pub(crate) async fn open(data: DataFolder, config: NodeConfig) -> Result<Self, Failure> {
        let notifier = check(&config)?;
        std::fs::create_dir_all(&data.0)?;
        let lock = lock(&data)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now().to_date_time()?;
        let identity = Arc::new(keyfile::load_or_create(&data.keys(), "node", &config.name, now).map_err(key_fault)?);
        let store = Store::open_alone(&config.store_url(&data.0)).await?;
        crate::token::ensure_owner(&data, &store, clock.now()).await?;

        let mut links = LinkConfig::new(config.link);
        links.idle_link = config.limits.idle_link()?;
        links.clock = clock.clone();
        let hub = Arc::new(LinkHub::bind(links).await.map_err(|e| in_use(config.link, &e.to_string()))?);
        let endpoint = crate::discovery::endpoint(&config, hub.local_addr());
        let link = match endpoint.now() {
            // No address yet: it may come.
            none if none.is_empty() => hub.local_addr().to_string(),
            link => link,
        };

        let listener = TcpListener::bind(config.http).await.map_err(|e| in_use(config.http, &e.to_string()))?;
        let http_addr = listener.local_addr()?;
        let url = match config.url.as_str() {
            "" => format!("{}://{}", if config.tls { "https" } else { "http" }, http_addr),
            url => url.trim_end_matches('/').to_owned(),
        };
        let address = Address { url, link: link.clone(), fingerprint: identity.fingerprint(), pid: std::process::id() };

        let log = AuditLog::open(AuditSetup {
            store: store.clone(),
            node: Arc::clone(&identity),
            clock: Arc::clone(&clock),
            software: concat!("tacit ", env!("CARGO_PKG_VERSION")).to_owned(),
            parameters: config.logged(),
        })
        .await?;

        let mdns = crate::discovery::mdns(&config);
        let has = |role| config.roles.contains(&role);
        let ground = Ground {
            data: &data,
            config: &config,
            hub: &hub,
            store: &store,
            log: &log,
            clock: &clock,
            identity: &identity,
            endpoint: &endpoint,
        };
        let gateway = if has(Role::Gateway) { Some(ground.gateway(notifier).await?) } else { None };
        let parties = if has(Role::Peer) { Some(ground.parties(mdns.clone()).await?) } else { None };

        let stop = CancellationToken::new();
        if let Some(parties) = &parties {
            crate::pulling::start(&config, &data.0, parties, &clock, &stop);
        }
        crate::retention::start(&config.limits, Keeps::All, Duration::ZERO, &store, &clock, &stop);
        let announcer = gateway.is_some().then(|| {
            Arc::new(Announcer {
                identity: Arc::clone(&identity),
                clock: Arc::clone(&clock),
                config: config.clone(),
                link: hub.local_addr(),
                http: http_addr,
            })
        });
        if let (Some(announcer), Some(mdns)) = (&announcer, mdns) {
            tokio::spawn(Arc::clone(announcer).keep(mdns, stop.clone()));
        }
        let edge_options = crate::edge::options(&config, &address, Metrics::install()?, hub.traffic())?;
        let edge =
            crate::edge::edge(&config, &address, &gateway, &parties, &store, &log, &clock, announcer, edge_options);
        let tls = config.tls.then(|| tacit_api::tls_config(&identity)).transpose()?;
        let options = ServeOptions { plain_http_anywhere: config.allow_plain_http, ..ServeOptions::default() };
        let stopping = stop.clone();
        let serving = tacit_api::serve(listener, tacit_api::router(edge), tls, options, async move {
            stopping.cancelled().await;
        });
        let http = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "HTTP ended");
            }
        });
        let node = Self { address, data, gateway, parties, hub, store, log, stop, http, _lock: lock };
        announce(&node.data, &node.address)?;
        Ok(node)
    }

    /// Ends the node in the reverse order. Nothing acknowledged is lost, also without this.
    pub(crate) async fn shutdown(self) {
        self.stop.cancel();
        let _ended = self.http.await;
        if let Some(parties) = self.parties {
            parties.shutdown().await;
        }
        if let Some(gateway) = self.gateway {
            gateway.shutdown().await;
        }
        if let Some(hub) = Arc::into_inner(self.hub) {
            hub.shutdown().await;
        }
        if let Err(error) = self.log.flush().await {
            tracing::error!(%error, "the last entries of the audit log");
        }
        self.store.close().await;
        let _gone = std::fs::remove_file(self.data.address());
    }
}

/// An interrupt or a request to end, heard from the moment this is made.
pub(crate) struct ToldToEnd {
    terminate: Signal,
    interrupt: Signal,
}

impl ToldToEnd {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(crate) async fn heard(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// What comes of this, unless the end comes first.
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.heard() => None,
            done = work => Some(done),
        }
    }
}

/// What the roles of a node stand on.
struct Ground<'a> {
    data: &'a DataFolder,
    config: &'a NodeConfig,
    hub: &'a Arc<LinkHub>,
    store: &'a Store,
    log: &'a AuditLog,
    clock: &'a Arc<dyn Clock>,
    identity: &'a Arc<Identity>,
    endpoint: &'a Endpoint,
}

impl Ground<'_> {
    async fn gateway(&self, notifier: Option<Arc<dyn Notifier>>) -> Result<Gateway, Failure> {
        let admitted = Admitted::default();
        let host = self.hub.host(Arc::clone(self.identity), Arc::new(admitted.clone()))?;
        let now = self.clock.now().to_date_time()?;
        let manager = keyfile::load_or_create(&self.data.keys(), "manager", &self.config.name, now);
        let setup = GatewaySetup {
            host,
            identity: Arc::clone(self.identity),
            manager: Arc::new(manager.map_err(key_fault)?),
            store: self.store.clone(),
            log: self.log.clone(),
            clock: Arc::clone(self.clock),
            endpoint: self.endpoint.clone(),
            admitted,
            notifier,
            limits: runner_limits(self.config),
            lead: None,
        };
        Ok(Gateway::open(setup).await?)
    }

    async fn parties(&self, mdns: Option<Mdns>) -> Result<Parties, Failure> {
        let config = self.config;
        let setup = PartiesSetup {
            keys: self.data.keys(),
            hub: Arc::clone(self.hub),
            store: self.store.clone(),
            log: self.log.clone(),
            clock: Arc::clone(self.clock),
            policy: config.policy(),
            http: HttpRules {
                // A peer may join the gateway of its own node.
                pinned: [&config.trusted[..], &[self.identity.fingerprint()]].concat(),
                allow_plain_http: config.allow_plain_http,
                ..HttpRules::default()
            },
            limits: PartyLimits::default(),
            endpoint: self.endpoint.clone(),
            provider: config.provider.clone().map(|p| Provider {
                name: p.name,
                socket: self.data.0.join(p.socket),
                pings: p.pings,
            }),
            finder: Some(Arc::new(crate::discovery::finder(config, mdns)?)),
        };
        Parties::open(setup).await.map_err(party_fault)
    }
}

/// Bounds on what the runner waits for.
pub(crate) fn runner_limits(config: &NodeConfig) -> RunnerLimits {
    let limits = &config.limits;
    RunnerLimits {
        slot_deadline: Duration::from_secs(limits.slot_deadline),
        open_tasks: limits.open_tasks,
        client_tasks: limits.client_tasks,
        ..RunnerLimits::default()
    }
}

/// Refuses settings that cannot be, before anything is written. What is found out later is found out half way; and of
/// several gateways, by the one that was elected. What is made of them for that is handed back.
pub(crate) fn check(config: &NodeConfig) -> Result<Option<Arc<dyn Notifier>>, Failure> {
    config.check()?;
    check_http(config)?;
    config.limits.idle_link().map(drop)?;
    crate::discovery::check(config)?;
    crate::pulling::check(config)?;
    crate::edge::admin_key(config).map(drop)?;
    crate::webhooks::notifier(config)
}

/// Plain http stays on this machine, unless the operator says otherwise. Asked before anything is written.
pub(crate) fn check_http(config: &NodeConfig) -> Result<(), Failure> {
    if config.tls || config.allow_plain_http || config.http.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(tacit_api::ServeError::PlainHttp(config.http).to_string()))
}

/// Says in `run/addr.json` where the node is. Written whole or not at all.
pub(crate) fn announce(data: &DataFolder, address: &Address) -> Result<(), Failure> {
    let path = data.address();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, serde_json::to_string(address)?)?;
    Ok(std::fs::rename(fresh, path)?)
}

/// Takes the data folder for this process alone, as long as the file is held.
pub(crate) fn lock(data: &DataFolder) -> Result<File, Failure> {
    let opened = File::options().create(true).truncate(false).write(true).open(data.lock());
    let next = "start it as the user whose folder this is, or choose another data folder";
    let file = opened.map_err(Failure::at(&data.lock(), "opened", next))?;
    file.try_lock().map_err(|_| {
        Failure::usage(format!("another node is using {}; stop it or choose another data folder", data.0.display()))
    })?;
    Ok(file)
}

pub(crate) fn key_fault(error: tacit_pki::PkiError) -> Failure {
    Failure::new(Code::Refused, error.to_string())
}

/// A peer's key that must not be used needs a person, as the node's own does.
fn party_fault(error: PartyError) -> Failure {
    match error {
        PartyError::Pki(_) | PartyError::OtherKey => Failure::new(Code::Refused, error.to_string()),
        other => other.into(),
    }
}

pub(crate) fn in_use(address: SocketAddr, error: &str) -> Failure {
    Failure::new(
        Code::Usage,
        format!("{address} cannot be listened on: {error}; choose another address or stop what uses it"),
    )
}

/// What the certificate of a node is called in texts to people.
pub(crate) fn fingerprint_text(fingerprint: &Fingerprint) -> String {
    format!("{fingerprint} ({})", fingerprint.short())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings that nothing but an edge or a notifier reads, and what is said of them.
    pub(crate) fn wrong_settings() -> Vec<(NodeConfig, &'static str)> {
        let with = |change: fn(&mut NodeConfig)| {
            let mut config = NodeConfig { roles: vec![Role::Gateway], ..NodeConfig::default() };
            change(&mut config);
            config
        };
        vec![
            (with(|config| config.webhooks.allow = vec!["ftp://example.org".to_owned()]), "webhooks.allow: "),
            (with(|config| config.p2ds.admin_key_sha256 = "secret".to_owned()), "p2ds.admin_key_sha256"),
            (with(|config| config.limits.idle_link = 0.0), "limits.idle_link"),
            (with(|config| config.discovery.bootstrap = vec!["10.0.0.1".to_owned()]), "discovery.bootstrap"),
        ]
    }

    #[tokio::test]
    async fn settings_that_cannot_be_are_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        for (config, words) in wrong_settings() {
            let data = DataFolder(folder.path().join("data"));
            let refused = Node::open(data, config).await.err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(refused.contains(words), "{words}: {refused}");
            assert!(!folder.path().join("data").exists(), "{words}");
        }
    }
}
