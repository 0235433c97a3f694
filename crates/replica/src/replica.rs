//! One replica: opened, asked, ended.

use core::future::Future;
use core::pin::Pin;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::error::{ClientWriteError, InitializeError, RaftError};
use openraft::{Config, SnapshotPolicy};
use tacit_link::Host;
use tacit_store::{Change, NotAgreed, ReplicaRows, Replicator, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ear::{Ear, VOTERS_LEASE_MS};
use crate::election::{self, Candidate};
use crate::error::ReplicaError;
use crate::lead::{self, Duty};
use crate::log::Log;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::net::Ways;
use crate::receive::Receiver;
use crate::serve::{self, Voice};
use crate::types::{Raft, ReplicaNode, number_of};

/// How often the leader is heard of.
const HEARTBEAT_MS: u64 = 150;
/// How long a vote may take.
const VOTE_MS: u64 = 500;
/// How long an agreement may take. The leader has lost its majority long before.
const AGREE: Duration = Duration::from_secs(3);
/// Longer changes have more time: as many bytes a second as this.
const PACE: usize = 1 << 20;
/// Entries of one message.
const PAYLOAD: u64 = 64;
/// A change is at most half as long as a message, counted as text.
const MAX_CHANGE: usize = tacit_link::MAX_REPLICA_MESSAGE / 2;

/// What a replica is made of.
pub struct ReplicaSetup {
    /// This node's place on its link port. Its gate lets the other replicas in for [`tacit_link::Protocol::Replica`].
    pub host: Host,
    /// All replicas, this one too; the same on every node.
    pub nodes: Vec<ReplicaNode>,
    /// The node's rows.
    pub rows: ReplicaRows,
    /// How much of the log stays.
    pub keeping: LogKeeping,
}

/// How much of the log of agreed changes stays: the rows are there, and so is whoever missed little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogKeeping {
    /// Looked at whenever there are so many new entries.
    pub every: u64,
    /// So many entries stay. A node that misses more is sent all rows.
    pub entries: u64,
}

impl Default for LogKeeping {
    fn default() -> Self {
        Self { every: 1000, entries: 5000 }
    }
}

/// A running replica. Clones share it.
#[derive(Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

struct Inner {
    raft: Raft,
    nodes: Arc<BTreeMap<u64, ReplicaNode>>,
    duty: watch::Receiver<Duty>,
    forgotten: Arc<AtomicBool>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Replica {
    /// Takes up the log where it was left, answers the other replicas, and follows or leads.
    ///
    /// The first time all nodes of the list make the group together; a majority of them must be up.
    pub async fn open(setup: ReplicaSetup) -> Result<Self, ReplicaError> {
        let ReplicaSetup { host, nodes, rows, keeping } = setup;
        let me = number_of(&host.fingerprint());
        let nodes = numbered(nodes)?;
        if !nodes.contains_key(&me) {
            return Err(ReplicaError::Nodes("this node's own fingerprint is not on the list of replicas"));
        }
        let config = Config {
            cluster_name: "tacit".to_owned(),
            heartbeat_interval: HEARTBEAT_MS,
            // Raft starts no election by itself: see `election`. These are the other uses of its times.
            enable_elect: false,
            election_timeout_min: VOTE_MS,
            election_timeout_max: VOTERS_LEASE_MS,
            max_payload_entries: PAYLOAD,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(keeping.every.max(1)),
            max_in_snapshot_log_to_keep: keeping.entries,
            // A node that lags takes the entries as long as they are there.
            replication_lag_threshold: u64::MAX,
            ..Config::default()
        };
        let config = Arc::new(config.validate().map_err(start)?);
        rows.unstage().map_err(start)?;
        let rows = Arc::new(rows);
        let memory = Arc::new(Memory::open(Arc::clone(&rows)).await?);
        let forgotten = memory.lost();
        let machine = Machine::open(Arc::clone(&rows)).await.map_err(start)?;
        let ear = Ear::new(Instant::now());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let ways = Ways::new(&host, &nodes, ear.clone(), &tasks, &stop);
        let (log, voters) = (Log::new(Arc::clone(&rows)), ways.voters(me));
        let raft = Raft::new(me, config, ways, log.clone(), machine).await.map_err(start)?;
        let members: BTreeSet<u64> = nodes.keys().copied().collect();
        match raft.initialize(members.clone()).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                let known = raft.metrics().borrow().membership_config.membership().voter_ids().collect::<BTreeSet<_>>();
                // A node that joined late has not heard of the others yet.
                if !known.is_empty() && known != members {
                    return Err(ReplicaError::OtherNodes);
                }
            }
            Err(error) => return Err(start(error)),
        }
        let receiver = Arc::new(Receiver::new(rows, members.clone(), ear.clone()));
        let (told, duty) = watch::channel(Duty::Following(None));
        tasks.spawn(serve::serve(
            host,
            Voice { raft: raft.clone(), ear: ear.clone(), log: log.clone(), memory, receiver },
            tasks.clone(),
            stop.clone(),
        ));
        let candidate = Candidate { me, nodes: members, log, voters };
        tasks.spawn(election::stand(raft.clone(), candidate, ear, stop.clone()));
        tasks.spawn(lead::watch(raft.clone(), told));
        Ok(Self { inner: Arc::new(Inner { raft, nodes, duty, forgotten, stop, tasks }) })
    }

    /// What this node has to do, as of now and whenever it changes.
    pub fn duty(&self) -> watch::Receiver<Duty> {
        self.inner.duty.clone()
    }

    /// Whether [`Duty::Stopped`] is for good, since the data folder is an older copy: [`ReplicaError::Forgotten`].
    pub fn has_forgotten(&self) -> bool {
        self.inner.forgotten.load(Ordering::Acquire)
    }

    /// The node that [`Duty::Following`] names.
    pub fn node(&self, number: u64) -> Option<&ReplicaNode> {
        self.inner.nodes.get(&number)
    }

    /// All replicas.
    pub fn nodes(&self) -> impl Iterator<Item = &ReplicaNode> {
        self.inner.nodes.values()
    }

    /// Ends it; what was agreed on stays.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        inner.stop.cancel();
        if let Err(error) = inner.raft.shutdown().await {
            tracing::warn!(%error, "the replication did not end well");
        }
        inner.tasks.close();
        inner.tasks.wait().await;
    }
}

impl Replicator for Replica {
    fn agree<'a>(&'a self, change: Change) -> Pin<Box<dyn Future<Output = Result<bool, NotAgreed>> + Send + 'a>> {
        Box::pin(async move {
            let unavailable = |reason: &str| StoreError::Replicas { reason: reason.to_owned() };
            let unheard = |reason: &str| Err(NotAgreed::Unheard(unavailable(reason)));
            let length = serde_json::to_string(&change).map_or(usize::MAX, |text| text.len());
            if length > MAX_CHANGE {
                return Err(NotAgreed::Unproposed(StoreError::TooLarge));
            }
            // Without the lease nothing is begun that could only wait.
            if !matches!(*self.inner.duty.borrow(), Duty::Leading(_)) {
                return Err(NotAgreed::Unproposed(unavailable("this gateway is not in the lead")));
            }
            match tokio::time::timeout(AGREE + travel(length), self.inner.raft.client_write(change)).await {
                Ok(Ok(done)) => Ok(done.data),
                // The lead may have ended with the change on its way.
                Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                    unheard("this gateway is not in the lead any more")
                }
                Ok(Err(error)) => unheard(&format!("the replication has stopped: {error}")),
                Err(_) => unheard("no majority of the gateways answers; it may still happen"),
            }
        })
    }
}

/// How long a change of this length may be on its way.
fn travel(length: usize) -> Duration {
    Duration::from_secs(u64::try_from(length / PACE).unwrap_or(0))
}

fn numbered(nodes: Vec<ReplicaNode>) -> Result<Arc<BTreeMap<u64, ReplicaNode>>, ReplicaError> {
    let count = nodes.len();
    let nodes: BTreeMap<u64, ReplicaNode> =
        nodes.into_iter().map(|node| (number_of(&node.fingerprint), node)).collect();
    match nodes.len() {
        distinct if distinct < count => Err(ReplicaError::Nodes("a replica is on the list twice")),
        // Two of two is no majority that survives a loss.
        0..3 => {
            Err(ReplicaError::Nodes("a list of replicas has at least 3 nodes: 3 survive the loss of one, 5 of two"))
        }
        _ => Ok(Arc::new(nodes)),
    }
}

fn start(error: impl std::error::Error) -> ReplicaError {
    ReplicaError::Start(error.to_string())
}
