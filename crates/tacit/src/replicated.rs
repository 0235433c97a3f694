//! One of several gateways that hold the same rows: it follows, and serves while it leads.
//!
//! ```text
//!   Following ──(a majority chose this node; it has all rows)──► Leading: log, gateway, HTTP edge, control links
//!       ▲                                                           │
//!       └────────(no majority heard of for the lease, or another)───┘
//! ```
//!
//! One that is elected and cannot serve ends: as long as it led, no other one could.
//!
//! Such a node is a gateway only: what peers hold never shares a database with rows that travel.

mod giving_up;

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tacit_api::{EdgeOptions, LeadingGateway, Metrics, ServeOptions, Standby};
use tacit_audit::{AuditError, AuditLog, AuditSetup};
use tacit_gateway::{Admitted, Gateway, GatewaySetup, Lead, Notifier};
use tacit_job::GatewayAt;
use tacit_link::{Gate, Host, LinkConfig, LinkHub, Protocol};
use tacit_model::{Clock, Fingerprint, SystemClock};
use tacit_pki::{Identity, keyfile};
use tacit_replica::{Duty, LogKeeping, Replica, ReplicaError, ReplicaNode, ReplicaSetup};
use tacit_store::{ReplicaRows, Store};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::giving_up::{Failing, cannot_lead};
use crate::config::{DataFolder, NodeConfig, Role};
use crate::discovery::Announcer;
use crate::node::{ToldToEnd, announce, in_use, key_fault, lock, runner_limits};
use crate::output::{Code, Failure};
use crate::process::Address;
use crate::retention::Keeps;

/// Whoever has taken up the lead has better to do than to clean up: questions wait.
const CLEAN_AFTER: Duration = Duration::from_secs(60);
/// After a lead that could not be taken up it is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Opens the node, says where it is, and serves until it is told to stop.
pub(crate) async fn run(data: DataFolder, config: NodeConfig) -> Result<(), Failure> {
    let mut told = ToldToEnd::listen()?;
    let Some(opened) = told.unless(Node::open(data, config)).await else { return Ok(()) };
    let mut node = opened?;
    let gateways = node.work.config.replication.nodes.len();
    node.work.address.tell(&format!("tacit {} is up, one of {gateways} gateways", env!("CARGO_PKG_VERSION")));
    let stopped = tokio::select! {
        () = told.heard() => Ok(()),
        // A replica that cannot keep up must not look as if it did.
        why = node.broken() => Err(why),
    };
    node.shutdown().await;
    stopped
}

/// A node that is up.
struct Node {
    work: Arc<Work>,
    hub: Arc<LinkHub>,
    stop: CancellationToken,
    duties: tokio::task::JoinHandle<()>,
    /// Why this gateway gave up a lead, if it did.
    given_up: oneshot::Receiver<Failure>,
    http: tokio::task::JoinHandle<()>,
    _lock: File,
}

/// What the lead is taken up with.
struct Work {
    data: DataFolder,
    config: NodeConfig,
    address: Address,
    clock: Arc<dyn Clock>,
    identity: Arc<Identity>,
    host: Host,
    gate: Arc<NodeGate>,
    store: Store,
    replica: Replica,
    standby: Standby,
    notifier: Option<Arc<dyn Notifier>>,
    edge: EdgeOptions,
    owner_token: Fingerprint,
    http: SocketAddr,
    links: SocketAddr,
}

/// What runs only while this node leads.
struct Leading {
    gateway: Gateway,
    log: AuditLog,
    stop: CancellationToken,
}

/// Lets the other replicas in, and members while this node leads. While it does not, members are told to try elsewhere.
struct NodeGate {
    replicas: BTreeSet<Fingerprint>,
    members: RwLock<Option<Admitted>>,
}

impl NodeGate {
    fn set(&self, members: Option<Admitted>) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
    }
}

impl Gate for NodeGate {
    fn admit(&self, protocol: Protocol, peer: &Fingerprint) -> bool {
        match protocol {
            Protocol::Replica => self.replicas.contains(peer),
            // Without a lead nobody takes the link, which says "busy", and not "unknown", to a member.
            Protocol::Control => {
                let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
                members.as_ref().is_none_or(|members| members.admit(protocol, peer))
            }
            _ => false,
        }
    }
}

impl Node {
    async fn open(data: DataFolder, config: NodeConfig) -> Result<Self, Failure> {
        check(&config)?;
        let notifier = crate::webhooks::notifier(&config)?;
        std::fs::create_dir_all(&data.0)?;
        let lock = lock(&data)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now().to_date_time()?;
        let identity = Arc::new(keyfile::load_or_create(&data.keys(), "node", &config.name, now).map_err(key_fault)?);
        let me = identity.fingerprint();
        let own = config.replication.nodes.iter().find(|node| node.fingerprint == me).ok_or_else(|| {
            Failure::usage(format!("replication.nodes does not name this node, whose fingerprint is {me}"))
        })?;
        let owner_token = crate::token::ensure_file(&data)?;

        let mut links = LinkConfig::new(config.link);
        links.idle_link = config.limits.idle_link()?;
        links.clock = clock.clone();
        let hub = Arc::new(LinkHub::bind(links).await.map_err(|e| in_use(config.link, &e.to_string()))?);
        let listener = TcpListener::bind(config.http).await.map_err(|e| in_use(config.http, &e.to_string()))?;
        let http_addr = listener.local_addr()?;
        let address = Address {
            url: own.url.trim_end_matches('/').to_owned(),
            link: own.link.clone(),
            fingerprint: me,
            pid: std::process::id(),
        };

        let others = config.replication.nodes.iter().map(|node| node.fingerprint).filter(|node| *node != me);
        let gate = Arc::new(NodeGate { replicas: others.collect(), members: RwLock::default() });
        let host = hub.host(Arc::clone(&identity), Arc::clone(&gate) as Arc<dyn Gate>)?;
        let url = config.store_url(&data.0);
        let rows = ReplicaRows::open_alone(&url).await?;
        let nodes = config.replication.nodes.iter();
        let nodes = nodes.map(|node| ReplicaNode { fingerprint: node.fingerprint, addresses: vec![node.link.clone()] });
        let replica = Replica::open(ReplicaSetup {
            host: host.clone(),
            nodes: nodes.collect(),
            rows,
            keeping: LogKeeping::default(),
        })
        .await
        .map_err(replica_fault)?;
        let store = Store::open_replicated(&url, Arc::new(replica.clone())).await?;

        let stop = CancellationToken::new();
        let standby = Standby::default();
        let tls = config.tls.then(|| tacit_api::tls_config(&identity)).transpose()?;
        let options = ServeOptions { plain_http_anywhere: config.allow_plain_http, ..ServeOptions::default() };
        let stopping = stop.clone();
        let serving = tacit_api::serve(listener, standby.router(), tls, options, async move {
            stopping.cancelled().await;
        });
        let http = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "HTTP ended");
            }
        });
        let edge = crate::edge::options(&config, &address, Metrics::install()?, hub.traffic())?;
        let links = hub.local_addr();
        let work = Arc::new(Work {
            data,
            config,
            address,
            clock,
            identity,
            host,
            gate,
            store,
            replica,
            standby,
            notifier,
            edge,
            owner_token,
            http: http_addr,
            links,
        });
        let (give_up, given_up) = oneshot::channel();
        let duties = tokio::spawn(Arc::clone(&work).serve(stop.clone(), give_up));
        announce(&work.data, &work.address)?;
        Ok(Self { work, hub, stop, duties, given_up, http, _lock: lock })
    }

    /// Resolves when this gateway is of no use any more: the replication has ended by itself, or it gave up a lead.
    async fn broken(&mut self) -> Failure {
        let mut duty = self.work.replica.duty();
        tokio::select! {
            Ok(why) = &mut self.given_up => why,
            // The sender is gone only after it said so.
            _gone = duty.wait_for(|duty| *duty == Duty::Stopped) => ended(self.work.replica.has_forgotten()),
        }
    }

    async fn shutdown(self) {
        self.stop.cancel();
        let _ended = self.duties.await;
        let _ended = self.http.await;
        self.work.replica.shutdown().await;
        self.work.store.close().await;
        let _gone = std::fs::remove_file(self.work.data.address());
        drop(self.work);
        if let Some(hub) = Arc::into_inner(self.hub) {
            hub.shutdown().await;
        }
    }
}

impl Work {
    /// Takes up the lead and lays it down, as the duty says. A lead that cannot be taken up is given up in the end.
    async fn serve(self: Arc<Self>, stop: CancellationToken, give_up: oneshot::Sender<Failure>) {
        let mut duty = self.replica.duty();
        let mut leading: Option<(u64, Leading)> = None;
        let (mut begun, mut failing) = (None, Failing::default());
        loop {
            let now = *duty.borrow_and_update();
            if let Some((epoch, lead)) = leading.take_if(|(epoch, _)| now != Duty::Leading(*epoch)) {
                tracing::info!(epoch, "this gateway leads no more");
                self.lay_down(lead, now).await;
                continue;
            }
            if let (Duty::Leading(epoch), None) = (now, &leading) {
                match self.take_up(epoch, &mut begun).await {
                    Ok(lead) => {
                        tracing::info!(epoch, "this gateway leads");
                        (begun, failing) = (None, Failing::default());
                        leading = Some((epoch, lead));
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(epoch, %error, "the lead could not be taken up");
                        self.gate.set(None);
                        if failing.again(epoch, &error, Instant::now()) {
                            // Nobody listens only if the node ends anyhow.
                            let _told = give_up.send(cannot_lead(&error));
                            break;
                        }
                    }
                }
            } else if leading.is_none() {
                failing = Failing::default();
            }
            if leading.is_none() {
                self.standby.follow(self.leading(now));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = duty.changed() => if changed.is_err() { break },
                // A lead that could not be taken up is tried again.
                () = tokio::time::sleep(AGAIN), if leading.is_none() && matches!(now, Duty::Leading(_)) => {}
            }
        }
        if let Some((_, lead)) = leading {
            self.lay_down(lead, Duty::Following(None)).await;
        }
    }

    /// What can fail is the database's fault, or the other gateways': the rest was checked at the start. `begun` is the log
    /// of the try before at the same lead, which says already that this program has started.
    async fn take_up(&self, epoch: u64, begun: &mut Option<(u64, AuditLog)>) -> Result<Leading, Failure> {
        let gateways = self.config.replication.nodes.iter();
        let gateways =
            gateways.map(|node| GatewayAt { fingerprint: node.fingerprint, endpoints: vec![node.link.clone()] });
        let lead = Lead { epoch, gateways: gateways.collect() };
        crate::token::make_known(self.owner_token, &self.store, self.clock.now()).await?;
        let log = match begun.take() {
            Some((of, log)) if of == epoch => log,
            _ => self.open_log().await?,
        };
        *begun = Some((epoch, log.clone()));
        let admitted = Admitted::default();
        self.gate.set(Some(admitted.clone()));
        let gateway = Gateway::open(GatewaySetup {
            host: self.host.clone(),
            identity: Arc::clone(&self.identity),
            // One key for both: a deputy signs with the key of its certificate.
            manager: Arc::clone(&self.identity),
            store: self.store.clone(),
            log: log.clone(),
            clock: Arc::clone(&self.clock),
            endpoint: self.address.link.clone().into(),
            admitted,
            notifier: self.notifier.clone(),
            limits: runner_limits(&self.config),
            lead: Some(lead),
        })
        .await?;
        // Nothing of what follows fails: what is begun from here on goes on until `stop`.
        let stop = CancellationToken::new();
        let announcer = Arc::new(Announcer {
            identity: Arc::clone(&self.identity),
            clock: Arc::clone(&self.clock),
            config: self.config.clone(),
            link: self.links,
            http: self.http,
        });
        let edge = crate::edge::edge(
            &self.config,
            &self.address,
            &Some(gateway.clone()),
            &None,
            &self.store,
            &log,
            &self.clock,
            Some(Arc::clone(&announcer)),
            self.edge.clone(),
        );
        crate::retention::start(&self.config.limits, Keeps::Gateway, CLEAN_AFTER, &self.store, &self.clock, &stop);
        self.standby.lead(tacit_api::router(edge));
        if let Some(mdns) = crate::discovery::mdns(&self.config) {
            tokio::spawn(announcer.keep(mdns, stop.clone()));
        }
        Ok(Leading { gateway, log, stop })
    }

    async fn open_log(&self) -> Result<AuditLog, AuditError> {
        AuditLog::open(AuditSetup {
            store: self.store.clone(),
            node: Arc::clone(&self.identity),
            clock: Arc::clone(&self.clock),
            software: concat!("tacit ", env!("CARGO_PKG_VERSION")).to_owned(),
            parameters: self.config.logged(),
        })
        .await
    }

    /// Nobody is served any more from here on; members' links close, and they look for the one that leads.
    async fn lay_down(&self, lead: Leading, now: Duty) {
        self.standby.follow(self.leading(now));
        lead.stop.cancel();
        lead.gateway.shutdown().await;
        self.gate.set(None);
        if let Err(error) = lead.log.flush().await {
            tracing::debug!(%error, "entries of the audit log that nobody was told of are lost");
        }
    }

    fn leading(&self, now: Duty) -> Option<LeadingGateway> {
        let Duty::Following(Some(number)) = now else { return None };
        let fingerprint = self.replica.node(number)?.fingerprint;
        let node = self.config.replication.nodes.iter().find(|node| node.fingerprint == fingerprint)?;
        Some(LeadingGateway { url: node.url.trim_end_matches('/').to_owned(), fingerprint })
    }
}

/// The replication has ended by itself. An older copy of a data folder must not be started again.
fn ended(forgotten: bool) -> Failure {
    match forgotten {
        true => replica_fault(ReplicaError::Forgotten),
        false => Failure::usage("the replication has ended; the log says why. Start the node again"),
    }
}

/// What only a person can mend: the list in `node.toml`, or an old data folder.
fn replica_fault(error: ReplicaError) -> Failure {
    match error {
        ReplicaError::Nodes(_) | ReplicaError::OtherNodes => Failure::usage(error.to_string()),
        ReplicaError::Forgotten => Failure::new(Code::Refused, error.to_string()),
        other => other.into(),
    }
}

/// Refuses what cannot be, before anything is written.
fn check(config: &NodeConfig) -> Result<(), Failure> {
    crate::node::check(config)?;
    if config.roles.iter().any(|role| !matches!(role, Role::Gateway | Role::Receiver))
        || !config.roles.contains(&Role::Gateway)
    {
        return Err(Failure::usage(
            "a node with [replication] is a gateway (and receiver) only: its rows go to other nodes, and those of peers \
             must not; set roles = [\"gateway\"] and run peers as nodes of their own",
        ));
    }
    if !config.store.starts_with("sqlite:") {
        return Err(Failure::usage(
            "a node with [replication] keeps its rows in SQLite: set store = \"sqlite:tacit.db\" in node.toml",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn w1_a_gateway_that_could_not_lead_with_its_settings_is_refused_before_it_can_be_elected() {
        let folder = tempfile::tempdir().expect("a folder");
        for (config, words) in crate::node::tests::wrong_settings() {
            let data = DataFolder(folder.path().join("data"));
            let refused = Node::open(data, config).await.err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(refused.contains(words), "{words}: {refused}");
            assert!(!folder.path().join("data").exists(), "{words}");
        }
    }

    #[test]
    fn w1_an_owner_token_that_nobody_can_read_is_refused_before_the_gateway_can_be_elected() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder(folder.path().to_owned());
        std::fs::create_dir_all(data.keys()).expect("a folder");
        let made = crate::token::ensure_file(&data).expect("a token");
        assert_eq!(crate::token::ensure_file(&data).expect("the same"), made);
        std::fs::remove_file(data.owner_token()).expect("removed");
        std::fs::write(data.owner_token(), "secret").expect("written");
        let refused = crate::token::ensure_file(&data).expect_err("no token").to_string();
        assert!(refused.contains("owner.token") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn w1_a_gateway_with_an_older_copy_is_not_told_to_start_again() {
        let (forgotten, other) = (ended(true).to_string(), ended(false).to_string());
        assert!(forgotten.contains("older copy") && forgotten.contains("a new key"), "{forgotten}");
        assert!(forgotten.contains("on the list of all gateways"), "{forgotten}");
        assert!(!forgotten.contains("Start the node again"), "{forgotten}");
        assert!(other.contains("Start the node again"), "{other}");
    }
}
