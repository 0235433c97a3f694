//! Several nodes in one process, over real links on loopback.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use tacit_link::{Gate, Host, LinkConfig, LinkHub, Protocol};
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::Identity;
use tacit_replica::{Duty, LogKeeping, Replica, ReplicaNode, ReplicaSetup};
use tacit_store::{ReplicaRows, SnapshotPart, Store, StoreError};
use time::OffsetDateTime;

/// Far more than an election takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Lets the others in, until it is shut.
pub(crate) struct Others {
    all: BTreeSet<Fingerprint>,
    shut: AtomicBool,
}

impl Others {
    pub(crate) fn new(all: BTreeSet<Fingerprint>) -> Arc<Self> {
        Arc::new(Self { all, shut: AtomicBool::new(false) })
    }
}

impl Gate for Others {
    fn admit(&self, protocol: Protocol, peer: &Fingerprint) -> bool {
        protocol == Protocol::Replica && self.all.contains(peer) && !self.shut.load(Ordering::Relaxed)
    }
}

/// One node: what stays of it while it is down, and what runs while it is up.
pub(crate) struct Node {
    pub(crate) identity: Arc<Identity>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) up: Option<Up>,
}

pub(crate) struct Up {
    pub(crate) hub: LinkHub,
    pub(crate) host: Host,
    pub(crate) gate: Arc<Others>,
    pub(crate) replica: Replica,
    pub(crate) store: Store,
}

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) list: Vec<ReplicaNode>,
    pub(crate) keeping: LogKeeping,
}

impl Cluster {
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_keeping(count, LogKeeping::default()).await
    }

    pub(crate) async fn start_keeping(count: usize, keeping: LogKeeping) -> Self {
        let mut nodes = Vec::new();
        let mut list = Vec::new();
        for number in 0..count {
            let identity = Identity::generate(&format!("g{number}"), OffsetDateTime::UNIX_EPOCH).unwrap();
            let address = free().to_string();
            list.push(ReplicaNode { fingerprint: identity.fingerprint(), addresses: vec![address] });
            nodes.push(Node { identity: Arc::new(identity), folder: tempfile::tempdir().unwrap(), up: None });
        }
        let mut cluster = Self { nodes, list, keeping };
        for number in 0..count {
            cluster.up(number).await;
        }
        cluster
    }

    pub(crate) fn database(&self, number: usize) -> String {
        format!("sqlite:{}", self.nodes[number].folder.path().join("tacit.db").display())
    }

    pub(crate) async fn up(&mut self, number: usize) {
        let node = &self.nodes[number];
        let address = self.list[number].addresses[0].parse().unwrap();
        let hub = LinkHub::bind(LinkConfig::new(address)).await.unwrap();
        let me = node.identity.fingerprint();
        let others = self.list.iter().map(|node| node.fingerprint).filter(|node| *node != me).collect();
        let gate = Others::new(others);
        let host = hub.host(Arc::clone(&node.identity), gate.clone()).unwrap();
        let rows = ReplicaRows::open(&self.database(number)).await.unwrap();
        let setup = ReplicaSetup { host: host.clone(), nodes: self.list.clone(), rows, keeping: self.keeping };
        let replica = Replica::open(setup).await.unwrap();
        let store = Store::open_replicated(&self.database(number), Arc::new(replica.clone())).await.unwrap();
        self.nodes[number].up = Some(Up { hub, host, gate, replica, store });
    }

    pub(crate) async fn down(&mut self, number: usize) {
        if let Some(Up { hub, replica, store, .. }) = self.nodes[number].up.take() {
            replica.shutdown().await;
            store.close().await;
            hub.shutdown().await;
        }
    }

    /// Cuts the links of a node that runs and lets it have no new ones, or lets it have them again.
    pub(crate) fn cut(&self, number: usize, cut: bool) {
        let Up { host, gate, .. } = self.node(number);
        gate.shut.store(cut, Ordering::Relaxed);
        host.recheck_all();
    }

    /// The term that a node has voted in.
    pub(crate) async fn term(&self, number: usize) -> u64 {
        let rows = ReplicaRows::open(&self.database(number)).await.unwrap();
        let vote = rows.state("vote").await.unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&vote).unwrap()["leader_id"]["term"].as_u64().unwrap()
    }

    /// Where a test speaks under the key of a node that is down.
    pub(crate) async fn in_place_of(&self, number: usize) -> (LinkHub, Host) {
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let all = self.list.iter().map(|node| node.fingerprint).collect();
        let host = hub.host(Arc::clone(&self.nodes[number].identity), Others::new(all)).unwrap();
        (hub, host)
    }

    pub(crate) fn node(&self, number: usize) -> &Up {
        self.nodes[number].up.as_ref().unwrap()
    }

    /// The node that leads, and its epoch.
    pub(crate) async fn leader(&self) -> (usize, u64) {
        let look = async {
            loop {
                for (number, node) in self.nodes.iter().enumerate() {
                    if let Some(Up { replica, .. }) = &node.up
                        && let Duty::Leading(epoch) = *replica.duty().borrow()
                    {
                        return (number, epoch);
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("somebody leads")
    }

    /// Writes a setting through whoever leads, also if the lead changes hands meanwhile. The node that wrote.
    pub(crate) async fn set(&self, name: &str, value: &str) -> Result<usize, StoreError> {
        let write = async {
            loop {
                let (leader, _) = self.leader().await;
                match self.node(leader).store.set_setting(name, value, AT).await {
                    Err(StoreError::Replicas { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                    done => return done.map(|()| leader),
                }
            }
        };
        tokio::time::timeout(PATIENCE, write).await.expect("somebody writes")
    }

    /// The indices of the log that a node has on its disk.
    pub(crate) async fn log(&self, number: usize) -> Vec<u64> {
        let rows = ReplicaRows::open(&self.database(number)).await.unwrap();
        rows.entries(0, u64::MAX >> 1).await.unwrap().into_iter().map(|(index, _)| index).collect()
    }

    /// Waits until a node's log is as short as `every: 10, entries: 5` keeps it, which it becomes in the background.
    pub(crate) async fn until_short(&self, number: usize) -> Vec<u64> {
        let look = async {
            loop {
                let log = self.log(number).await;
                // What stays, what comes until it is looked at again, and what is on its way then.
                if log.len() <= 5 + 10 + 10 {
                    return log;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the log stays short")
    }

    /// All rows of a node.
    pub(crate) async fn rows(&self, number: usize) -> Vec<SnapshotPart> {
        let mut picture = ReplicaRows::open(&self.database(number)).await.unwrap().picture("applied").await.unwrap();
        let mut parts = Vec::new();
        while let Some(part) = picture.next().await.unwrap() {
            parts.push(part);
        }
        parts
    }

    /// Waits until all nodes that are up hold the same rows.
    pub(crate) async fn until_same(&self) {
        let look = async {
            loop {
                let first = self.rows(0).await;
                if !first.is_empty() && self.rows(1).await == first && self.rows(2).await == first {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("all hold the same rows");
    }

    /// The number under which Raft knows a node.
    pub(crate) fn number(&self, node: usize) -> u64 {
        u64::from_be_bytes(self.list[node].fingerprint.0[..8].try_into().unwrap())
    }

    pub(crate) fn voters(&self) -> BTreeSet<u64> {
        (0..3).map(|node| self.number(node)).collect()
    }

    /// A piece of a snapshot, as the node sends it that leads in this term.
    pub(crate) fn piece(
        &self,
        leader: usize,
        term: u64,
        voters: &BTreeSet<u64>,
        number: u64,
        what: serde_json::Value,
    ) -> serde_json::Value {
        serde_json::json!({"number": 1, "what": {"snapshot": {
            "vote": {"leader_id": {"term": term, "voted_for": self.number(leader)}, "committed": true},
            "meta": {
                "last_log_id": {"leader_id": term, "index": 9999},
                "last_membership": {"log_id": null, "membership": {"configs": [voters], "nodes":
                    voters.iter().map(|node| (node.to_string(), serde_json::json!({}))).collect::<serde_json::Map<_, _>>()}},
                "snapshot_id": "x",
            },
            "changed": 9999, "number": number, "what": what,
        }}})
    }

    /// Waits until a node holds this setting.
    pub(crate) async fn until_setting(&self, number: usize, name: &str, value: &str) {
        let look = async {
            while self.node(number).store.setting(name).await.unwrap().as_deref() != Some(value) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the node catches up");
    }
}

/// An address that is free now; tests of this file run in processes of their own. Below the range from which the system
/// chooses, so that no connection takes it while its node is down.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 500).unwrap() * 4;
    let port = || 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 2_000;
    let mut all = std::iter::repeat_with(|| SocketAddr::from(([127, 0, 0, 1], port()))).take(2_000);
    all.find(|address| std::net::TcpListener::bind(address).is_ok()).expect("a free port")
}

/// A row of a table, as it travels in a snapshot.
pub(crate) fn rows(table: &str, columns: &[&str], row: serde_json::Value) -> serde_json::Value {
    serde_json::json!({"rows": {"table": table, "columns": columns, "rows": [row]}})
}

pub(crate) const AT: UnixMillis = UnixMillis(1_790_000_000_000);
