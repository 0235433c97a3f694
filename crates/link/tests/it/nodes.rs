//! Nodes for tests: hubs with one party each, gates that can be changed, and a raw client that
//! speaks TLS but need not keep to anything else.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tacit_link::{Gate, Host, How, LinkConfig, LinkError, LinkHub, PortEvent, Protocol, SessionPort, VersionRange};
use tacit_model::{Fingerprint, SessionId};
use tacit_pki::Identity;
use tacit_pki::https::{self, Trust};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Admits everybody but the banned.
#[derive(Default)]
pub(crate) struct Doorman(Mutex<HashSet<Fingerprint>>);

impl Doorman {
    pub(crate) fn ban(&self, peer: Fingerprint) {
        self.0.lock().unwrap().insert(peer);
    }
}

impl Gate for Doorman {
    fn admit(&self, _: Protocol, peer: &Fingerprint) -> bool {
        !self.0.lock().unwrap().contains(peer)
    }
}

pub(crate) struct Node {
    pub(crate) hub: LinkHub,
    pub(crate) host: Host,
    pub(crate) gate: Arc<Doorman>,
}

pub(crate) fn local() -> LinkConfig {
    LinkConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

pub(crate) fn identity(label: &str) -> Arc<Identity> {
    Arc::new(Identity::generate(label, OffsetDateTime::UNIX_EPOCH).unwrap())
}

impl Node {
    pub(crate) async fn new() -> Self {
        Self::with(local()).await
    }

    pub(crate) async fn with(config: LinkConfig) -> Self {
        let hub = LinkHub::bind(config).await.unwrap();
        let gate = Arc::new(Doorman::default());
        let host = hub.host(identity("party"), gate.clone()).unwrap();
        Self { hub, host, gate }
    }

    pub(crate) fn id(&self) -> Fingerprint {
        self.host.fingerprint()
    }

    pub(crate) fn addr(&self) -> String {
        self.hub.local_addr().to_string()
    }

    pub(crate) fn dial(&self) -> How {
        How::Dial { addrs: vec![self.addr()] }
    }

    pub(crate) async fn link_to(&self, other: &Self) -> Result<(), LinkError> {
        self.host.link(other.id(), other.dial(), SOON).await
    }
}

/// Two nodes with a link between them.
pub(crate) async fn pair() -> (Node, Node) {
    linked(local(), local()).await
}

pub(crate) async fn linked(a: LinkConfig, b: LinkConfig) -> (Node, Node) {
    let (a, b) = (Node::with(a).await, Node::with(b).await);
    join(&a, &b).await;
    (a, b)
}

pub(crate) async fn join(a: &Node, b: &Node) {
    let (dialled, awaited) = tokio::join!(a.link_to(b), b.host.link(a.id(), How::Await, SOON));
    dialled.unwrap();
    awaited.unwrap();
}

pub(crate) fn session(n: u8) -> SessionId {
    SessionId([n; 16])
}

pub(crate) async fn message(port: &mut SessionPort) -> (usize, Vec<u8>) {
    match event(port).await {
        PortEvent::Message { from, body } => (from, body.to_vec()),
        lost => panic!("{lost:?}"),
    }
}

pub(crate) async fn event(port: &mut SessionPort) -> PortEvent {
    tokio::time::timeout(SOON, port.recv()).await.expect("an event")
}

/// An address at which nobody listens. Below the range from which the system chooses, so that nobody is given it.
pub(crate) fn nobody() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 700).unwrap();
    let port = || 32_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 700;
    let mut all = std::iter::repeat_with(|| SocketAddr::from(([127, 0, 0, 1], port()))).take(700);
    all.find(|address| std::net::TcpListener::bind(address).is_ok()).expect("a free port")
}

/// Waits until something holds.
pub(crate) async fn until(what: impl Fn() -> bool) {
    for _ in 0..500 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("did not happen");
}

/// A TLS client with these names and this key, or none. It believes every server.
pub(crate) async fn raw(
    addr: SocketAddr,
    name: &str,
    alpn: &[u8],
    identity: Option<&Identity>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let anybody = Trust { pinned: Vec::new(), authorities: false, anybody: true };
    let mut config = https::client_config(anybody, identity).unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let tcp = TcpStream::connect(addr).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned()).unwrap(), tcp).await
}

/// Reads until the other side ends the connection; true if it does so soon.
pub(crate) async fn is_closed(tls: &mut TlsStream<TcpStream>) -> bool {
    let read = async {
        let mut sink = [0; 4096];
        while matches!(tls.read(&mut sink).await, Ok(n) if n > 0) {}
    };
    tokio::time::timeout(SOON, read).await.is_ok()
}

/// A frame by its parts.
pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + 1).unwrap().to_be_bytes().to_vec();
    out.push(kind);
    out.extend_from_slice(body);
    out
}

/// The hello of a node of this version.
pub(crate) fn hello() -> Vec<u8> {
    let VersionRange { min, max } = VersionRange::CURRENT;
    frame(1, &[&min.to_be_bytes()[..], &max.to_be_bytes(), b"\0\0\0\0\0\0\0\0rawrawra\x01\0\0\0"].concat())
}
