//! The node's one TLS port and the parties on it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use tacit_model::Fingerprint;
use tacit_pki::Identity;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::config::LinkConfig;
use crate::connection::{Conn, Sink, serve};
use crate::control::ControlLink;
use crate::error::{CloseReason, LinkError, Refusal};
use crate::hello::Hello;
use crate::mesh::Mesh;
use crate::parking::ParkingLimits;
use crate::session::SessionLimits;
use crate::stream::lock;
use crate::traffic::Traffic;
use crate::{handshake, janitor, tls};

/// How long [`LinkHub::shutdown`] waits for last frames to leave.
const SHUTDOWN: Duration = Duration::from_secs(3);
/// Control links accepted but not yet taken.
const CONTROL_BACKLOG: usize = 1024;
/// Incoming control links of one peer: the one that it is known by until it has said hello on the next.
const CONTROL_LINKS: usize = 2;
/// Incoming links of one replica: it keeps three, and after a restart or a cut there may be as many dead ones.
const REPLICA_LINKS: usize = 8;

/// What a connection is for; TLS agrees on it by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// JSON between a peer and its gateway.
    Control,
    /// Sessions between parties that compute.
    Mpc,
    /// JSON between gateways that can take over from each other.
    Replica,
}

impl Protocol {
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Control => b"tacit-ctl/1",
            Self::Mpc => b"tacit-mpc/1",
            Self::Replica => b"tacit-rep/1",
        }
    }

    pub(crate) fn from_alpn(name: &[u8]) -> Option<Self> {
        [Self::Control, Self::Mpc, Self::Replica].into_iter().find(|p| p.alpn() == name)
    }
}

/// Decides who may have a link with a party.
///
/// Asked when the peer has proved its key and before any of its frames is read, whoever dialled,
/// and again by [`Host::recheck`]. Must not block.
pub trait Gate: Send + Sync {
    /// Whether this peer may have such a link.
    fn admit(&self, protocol: Protocol, peer: &Fingerprint) -> bool;
}

/// A node's links: one listening port, any number of parties. Must be made inside a tokio runtime.
/// Dropped, it closes everything without waiting.
pub struct LinkHub {
    inner: Arc<HubInner>,
}

impl LinkHub {
    /// Starts listening.
    pub async fn bind(config: LinkConfig) -> Result<Self, LinkError> {
        config.check()?;
        let listener = TcpListener::bind(config.listen).await.map_err(|e| LinkError::Network(e.kind()))?;
        let address = listener.local_addr().map_err(|e| LinkError::Network(e.kind()))?;
        let provider = tls::provider();
        let certificates = Arc::new(tls::Certificates::default());
        let acceptor = TlsAcceptor::from(tls::server_config(&provider, Arc::clone(&certificates))?);
        let mut epoch = [0; 8];
        aws_lc_rs::rand::fill(&mut epoch).map_err(|_| LinkError::Config("no randomness from the system"))?;
        let inner = Arc::new(HubInner {
            pending: Semaphore::new(config.max_pending_handshakes),
            config,
            traffic: Traffic::default(),
            address,
            provider,
            certificates,
            acceptor,
            epoch,
            hosts: RwLock::default(),
            conns: Mutex::default(),
            next_conn: AtomicU64::new(0),
            sources: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        inner.tasks.spawn(accept_loop(Arc::clone(&inner), listener));
        inner.tasks.spawn(janitor::run(Arc::clone(&inner)));
        Ok(Self { inner })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.address
    }

    /// Counts what this node sends over its links.
    pub fn traffic(&self) -> Traffic {
        self.inner.traffic.clone()
    }

    /// Adds a party of this node.
    pub fn host(&self, identity: Arc<Identity>, gate: Arc<dyn Gate>) -> Result<Host, LinkError> {
        let hub = &self.inner;
        if hub.stop.is_cancelled() {
            return Err(LinkError::ShuttingDown);
        }
        let party = identity.fingerprint();
        let key = tls::certified_key(&identity, &hub.provider)?;
        let control = tls::client_config(&hub.provider, Arc::clone(&key), Protocol::Control)?;
        let mpc = tls::client_config(&hub.provider, Arc::clone(&key), Protocol::Mpc)?;
        let replica = tls::client_config(&hub.provider, Arc::clone(&key), Protocol::Replica)?;
        let config = &hub.config;
        let host = Arc::new(HostInner {
            hub: Arc::clone(hub),
            fingerprint: party,
            gate,
            control,
            mpc,
            replica,
            mesh: Mesh::new(
                party,
                ParkingLimits {
                    bytes: config.parked_bytes,
                    sessions: config.parked_sessions,
                    time: config.parked_time,
                },
                SessionLimits {
                    message: config.max_message,
                    waiting: config.max_waiting,
                    in_all: config.max_waiting_in_all,
                },
            ),
            control_links: Mutex::new(None),
            replica_links: Mutex::new(None),
        });
        let mut hosts = hub.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if hosts.contains_key(&party) {
            return Err(LinkError::Config("this party is already on this node"));
        }
        hosts.insert(party, Arc::clone(&host));
        hub.certificates.add(party, key);
        Ok(Host { inner: host })
    }

    /// Takes a party off this node and closes its links.
    pub fn unhost(&self, party: &Fingerprint) {
        self.inner.certificates.remove(party);
        let host = self.inner.hosts.write().unwrap_or_else(PoisonError::into_inner).remove(party);
        if let Some(host) = host {
            host.mesh.shut();
            for conn in self.inner.conns_of(party) {
                conn.close(CloseReason::Shutdown);
            }
        }
    }

    /// Closes all links, lets queued frames leave for a moment, and stops listening.
    pub async fn shutdown(self) {
        self.inner.go_down();
        if tokio::time::timeout(SHUTDOWN, self.inner.tasks.wait()).await.is_err() {
            warn!("some links did not close in time");
        }
    }
}

impl Drop for LinkHub {
    fn drop(&mut self) {
        self.inner.go_down();
    }
}

pub(crate) struct HubInner {
    pub(crate) config: LinkConfig,
    pub(crate) traffic: Traffic,
    address: SocketAddr,
    provider: Arc<CryptoProvider>,
    certificates: Arc<tls::Certificates>,
    pub(crate) acceptor: TlsAcceptor,
    epoch: [u8; 8],
    hosts: RwLock<HashMap<Fingerprint, Arc<HostInner>>>,
    conns: Mutex<HashMap<u64, Arc<Conn>>>,
    next_conn: AtomicU64,
    pending: Semaphore,
    sources: Mutex<HashMap<IpAddr, usize>>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl HubInner {
    pub(crate) fn party(&self, party: &Fingerprint) -> Option<Arc<HostInner>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).get(party).cloned()
    }

    pub(crate) fn parties(&self) -> Vec<Arc<HostInner>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn conns(&self) -> Vec<Arc<Conn>> {
        lock(&self.conns).values().cloned().collect()
    }

    fn conns_of(&self, party: &Fingerprint) -> Vec<Arc<Conn>> {
        lock(&self.conns).values().filter(|c| c.local == *party).cloned().collect()
    }

    pub(crate) fn next_conn(&self) -> u64 {
        self.next_conn.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            versions: self.config.versions,
            clock: self.config.clock.now(),
            epoch: self.epoch,
            max_frame: u32::try_from(self.config.max_frame).unwrap_or(u32::MAX),
        }
    }

    fn go_down(&self) {
        self.stop.cancel();
        for host in self.parties() {
            host.mesh.shut();
            lock(&host.control_links).take();
            lock(&host.replica_links).take();
        }
        for conn in self.conns() {
            conn.close(CloseReason::Shutdown);
        }
        self.hosts.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.tasks.close();
    }
}

/// Takes one of the places of a source, as long as there are any.
struct SourcePlace {
    hub: Arc<HubInner>,
    source: IpAddr,
}

impl SourcePlace {
    fn take(hub: &Arc<HubInner>, address: IpAddr) -> Option<Self> {
        let source = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 => v4,
        };
        let mut sources = lock(&hub.sources);
        let count = sources.entry(source).or_insert(0);
        if *count >= hub.config.max_pending_per_source {
            return None;
        }
        *count += 1;
        Some(Self { hub: Arc::clone(hub), source })
    }
}

impl Drop for SourcePlace {
    fn drop(&mut self) {
        let mut sources = lock(&self.hub.sources);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

async fn accept_loop(hub: Arc<HubInner>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = hub.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, from)) => {
                hub.tasks.spawn(accept_one(Arc::clone(&hub), tcp, from));
            }
            Err(error) => {
                // Out of descriptors, mostly: those in use must get a chance to end.
                warn!(kind = ?error.kind(), "cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn accept_one(hub: Arc<HubInner>, tcp: TcpStream, from: SocketAddr) {
    let (Ok(_pending), Some(_place)) = (hub.pending.try_acquire(), SourcePlace::take(&hub, from.ip())) else {
        debug!(%from, "too many handshakes at once");
        return;
    };
    let limit = hub.config.handshake_timeout;
    let result = tokio::select! {
        () = hub.stop.cancelled() => return,
        result = tokio::time::timeout(limit, handshake::accept(&hub, tcp)) => result,
    };
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%from, %error, "incoming link refused"),
        Err(_) => debug!(%from, "incoming link too slow"),
    }
}

/// One party on a node's links. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    pub(crate) inner: Arc<HostInner>,
}

pub(crate) struct HostInner {
    pub(crate) hub: Arc<HubInner>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) gate: Arc<dyn Gate>,
    control: Arc<ClientConfig>,
    mpc: Arc<ClientConfig>,
    replica: Arc<ClientConfig>,
    pub(crate) mesh: Mesh,
    control_links: Mutex<Option<mpsc::Sender<ControlLink>>>,
    replica_links: Mutex<Option<mpsc::Sender<ControlLink>>>,
}

/// A live link, for status pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// With whom.
    pub peer: Fingerprint,
    /// For what.
    pub protocol: Protocol,
    /// Whether this side dialled.
    pub dialled: bool,
    /// The peer's clock minus ours when it was made.
    pub skew_ms: i64,
    /// Sessions open on it.
    pub sessions: usize,
    /// Bytes waiting to be written.
    pub queued_bytes: usize,
    /// Frames dropped because they belonged to no session of the peer.
    pub dropped_frames: usize,
}

impl Host {
    /// Who this is.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// Incoming control links, from now on to this receiver only. Without one they are refused.
    pub fn control_links(&self) -> mpsc::Receiver<ControlLink> {
        let (sender, receiver) = mpsc::channel(CONTROL_BACKLOG);
        *lock(&self.inner.control_links) = Some(sender);
        receiver
    }

    /// The same for links of replicas.
    pub fn replica_links(&self) -> mpsc::Receiver<ControlLink> {
        let (sender, receiver) = mpsc::channel(CONTROL_BACKLOG);
        *lock(&self.inner.replica_links) = Some(sender);
        receiver
    }

    /// Asks the gate about this peer's live links again and closes those not admitted any more.
    pub fn recheck(&self, peer: &Fingerprint) {
        self.end_links(|conn| conn.peer == *peer && !self.inner.gate.admit(conn.protocol, peer));
    }

    /// Asks the gate about all live links again.
    pub fn recheck_all(&self) {
        self.end_links(|conn| !self.inner.gate.admit(conn.protocol, &conn.peer));
    }

    /// Closes all links with this peer; its sessions hear of it at once.
    pub fn close(&self, peer: &Fingerprint) {
        self.end_links(|conn| conn.peer == *peer);
    }

    /// The live links.
    pub fn links(&self) -> Vec<LinkStatus> {
        let status = |conn: &Arc<Conn>| LinkStatus {
            peer: conn.peer,
            protocol: conn.protocol,
            dialled: conn.dialled,
            skew_ms: conn.skew_ms,
            sessions: conn.sessions.load(Ordering::Relaxed),
            queued_bytes: conn.outbox.queued(),
            dropped_frames: conn.dropped.load(Ordering::Relaxed),
        };
        self.inner.hub.conns_of(&self.inner.fingerprint).iter().filter(|c| c.closed().is_none()).map(status).collect()
    }

    fn end_links(&self, which: impl Fn(&Conn) -> bool) {
        for conn in self.inner.hub.conns_of(&self.inner.fingerprint) {
            if which(&conn) {
                conn.close(CloseReason::Revoked);
                self.inner.forget(&conn);
            }
        }
    }
}

impl HostInner {
    pub(crate) fn client_config(&self, protocol: Protocol) -> Arc<ClientConfig> {
        match protocol {
            Protocol::Control => Arc::clone(&self.control),
            Protocol::Mpc => Arc::clone(&self.mpc),
            Protocol::Replica => Arc::clone(&self.replica),
        }
    }

    /// Starts serving an MPC connection; a refusal gives the reason.
    pub(crate) fn adopt_mpc(self: &Arc<Self>, conn: &Arc<Conn>) -> Result<(), Refusal> {
        let replaced = self.mesh.register(conn)?;
        if let Some(old) = replaced {
            old.close(CloseReason::Replaced);
            self.forget(&old);
        }
        self.start(conn, Sink::Mesh(Arc::clone(self)), self.hub.config.max_frame);
        Ok(())
    }

    /// Starts serving an incoming connection of JSON messages.
    pub(crate) fn adopt_control(self: &Arc<Self>, conn: &Arc<Conn>) -> Result<(), Refusal> {
        let links = if conn.protocol == Protocol::Replica { &self.replica_links } else { &self.control_links };
        let taker = lock(links).clone().ok_or(Refusal::Busy)?;
        let place = taker.try_reserve().map_err(|_| Refusal::Busy)?;
        self.make_room_for(conn);
        place.send(self.start_control(conn));
        Ok(())
    }

    /// A peer has so many incoming links of JSON messages at most. Whoever opens more has lost those before, or fills the port.
    fn make_room_for(&self, new: &Conn) {
        let most = if new.protocol == Protocol::Replica { REPLICA_LINKS } else { CONTROL_LINKS };
        let alike = |conn: &Arc<Conn>| conn.protocol == new.protocol && conn.peer == new.peer && !conn.dialled;
        let mut older: Vec<_> = self.hub.conns_of(&self.fingerprint).into_iter().filter(alike).collect();
        older.sort_by_key(|conn| conn.id);
        older.truncate((older.len() + 1).saturating_sub(most));
        for conn in older {
            conn.close(CloseReason::Replaced);
            self.forget(&conn);
        }
    }

    /// Starts serving a connection of JSON messages.
    pub(crate) fn start_control(self: &Arc<Self>, conn: &Arc<Conn>) -> ControlLink {
        let (link, inbox) = ControlLink::new(Arc::clone(conn));
        self.start(conn, Sink::Control(inbox), crate::control::message_limit(conn.protocol) + 1);
        link
    }

    fn start(self: &Arc<Self>, conn: &Arc<Conn>, sink: Sink, limit: usize) {
        lock(&self.hub.conns).insert(conn.id, Arc::clone(conn));
        self.hub.tasks.spawn(serve(Arc::clone(self), Arc::clone(conn), sink, limit));
        // What changed while the handshake ran must not be missed.
        if self.hub.stop.is_cancelled() {
            conn.close(CloseReason::Shutdown);
        } else if !self.gate.admit(conn.protocol, &conn.peer) {
            conn.close(CloseReason::Revoked);
            self.forget(conn);
        }
    }

    /// Takes a closed connection out of all registers and tells its sessions.
    pub(crate) fn forget(&self, conn: &Arc<Conn>) {
        lock(&self.hub.conns).remove(&conn.id);
        if conn.protocol == Protocol::Mpc {
            self.mesh.detach(conn);
        }
    }
}
