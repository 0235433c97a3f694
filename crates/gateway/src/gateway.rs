use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tacit_accord::Consensus;
use tacit_audit::AuditLog;
use tacit_link::{Endpoint, Host};
use tacit_model::{Clock, GroupId};
use tacit_pki::Identity;
use tacit_store::Store;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::GatewayError;
use crate::directory::Directory;
use crate::receipts::Gathering;
use crate::runs::Runs;
use crate::seats::Seats;
use crate::tasks::{Notifier, Tasks};
use crate::witness::Witnesses;

/// What a gateway is made of.
pub struct GatewaySetup {
    /// Its place on the node's link port. Its control links arrive here.
    pub host: Host,
    /// The gateway's own certificate.
    pub identity: Arc<Identity>,
    /// The key that decides for groups without owners.
    pub manager: Arc<Identity>,
    /// Rows.
    pub store: Store,
    /// The node's audit log, over the same rows.
    pub log: AuditLog,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where peers find the link port.
    pub endpoint: Endpoint,
    /// The members that may open a control link; shared with the gate of `host`.
    pub admitted: crate::control::Admitted,
    /// Bounds on what the runner waits for.
    pub limits: RunnerLimits,
    /// Writes to clients' addresses; nobody is written to if there is none.
    pub notifier: Option<Arc<dyn Notifier>>,
    /// Where it leads several gateways over the same rows; none if it is the only one.
    pub lead: Option<Lead>,
}

/// The lead of several gateways that hold the same rows, of which this one serves.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Grows with every new leader.
    pub epoch: u64,
    /// All of them, this one too.
    pub gateways: Vec<tacit_job::GatewayAt>,
}

/// Bounds on what the runner waits for.
#[derive(Clone, Copy, Debug)]
pub struct RunnerLimits {
    /// Answers to Prepare.
    pub prepare: Duration,
    /// Answers to Link.
    pub link: Duration,
    /// Answers to Session; more where peers take more ([`session_limit`](tacit_job::session_limit)).
    pub session: Duration,
    /// How long a missing computing member is waited for before a slot goes on without it.
    pub grace: Duration,
    /// How long a computation waits until none of its members is busy with as many others as it computes at once.
    pub seats: Duration,
    /// Attempts at one slot.
    pub attempts: u32,
    /// How long a slot of a new group stays open after its first row; its charter says so then.
    pub slot_deadline: Duration,
    /// Clients' tasks that may be open at the same time.
    pub open_tasks: usize,
    /// The same, of one client.
    pub client_tasks: usize,
}

impl Default for RunnerLimits {
    fn default() -> Self {
        Self {
            prepare: Duration::from_secs(5),
            link: Duration::from_secs(10),
            session: Duration::from_secs(60),
            grace: Duration::from_secs(2),
            // Peers take part in a client's task up to five minutes after its moment.
            seats: Duration::from_secs(120),
            attempts: 4,
            // The time-out of the old system (SEPIA: mpc.inputtimeout).
            slot_deadline: Duration::from_secs(300),
            open_tasks: 10_000,
            client_tasks: 1_000,
        }
    }
}

/// A running gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) host: Host,
    pub(crate) identity: Arc<Identity>,
    pub(crate) manager: Arc<Identity>,
    pub(crate) store: Store,
    pub(crate) log: AuditLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) endpoint: Endpoint,
    pub(crate) admitted: crate::control::Admitted,
    pub(crate) limits: RunnerLimits,
    pub(crate) lead: Option<Lead>,
    pub(crate) directory: Directory,
    pub(crate) seats: Seats,
    pub(crate) witnesses: Witnesses,
    pub(crate) gathering: Gathering,
    pub(crate) runs: Runs,
    pub(crate) client_tasks: Tasks,
    pub(crate) notifier: Option<Arc<dyn Notifier>>,
    /// Rung when there may be something to tell a client.
    pub(crate) news: tokio::sync::Notify,
    /// The current consensus of each group, checked.
    pub(crate) charters: std::sync::Mutex<BTreeMap<GroupId, Arc<Consensus>>>,
    pub(crate) negotiations: std::sync::Mutex<crate::negotiations::Replayed>,
    /// Held while a charter is decided and recorded: one decision at a time.
    pub(crate) deciding: Mutex<()>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Gateway {
    /// Opens the gateway: admits the known members, takes control links and goes on with open runs.
    pub async fn open(setup: GatewaySetup) -> Result<Self, GatewayError> {
        let inner = Arc::new(Inner {
            host: setup.host,
            identity: setup.identity,
            manager: setup.manager,
            store: setup.store,
            log: setup.log,
            clock: setup.clock,
            endpoint: setup.endpoint,
            admitted: setup.admitted,
            limits: setup.limits,
            lead: setup.lead,
            directory: Directory::default(),
            seats: Seats::default(),
            witnesses: Witnesses::default(),
            gathering: Gathering::default(),
            runs: Runs::default(),
            client_tasks: Tasks::default(),
            notifier: setup.notifier,
            news: tokio::sync::Notify::new(),
            charters: std::sync::Mutex::default(),
            negotiations: std::sync::Mutex::default(),
            deciding: Mutex::new(()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let gateway = Self { inner };
        if let Err(error) = gateway.take_up().await {
            // What was begun must not go on by itself.
            gateway.shutdown().await;
            return Err(error);
        }
        Ok(gateway)
    }

    async fn take_up(&self) -> Result<(), GatewayError> {
        let gateway = self;
        gateway.finish_negotiations().await?;
        gateway.admit_known().await?;
        gateway.log_missing_decisions().await?;
        gateway.settle_rosters().await?;
        gateway.accept_control_links();
        gateway.show_new_heads().await?;
        for group in gateway.inner.store.groups().await? {
            if let Some(run) = gateway.inner.store.open_run(group.gid).await? {
                gateway.continue_run(group.gid, run.run);
            }
        }
        gateway.continue_tasks().await?;
        gateway.tell_clients();
        Ok(())
    }

    /// Ends all tasks of the gateway; open runs go on at the next start.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// The gateway's certificate.
    pub fn fingerprint(&self) -> tacit_model::Fingerprint {
        self.inner.identity.fingerprint()
    }

    async fn admit_known(&self) -> Result<(), GatewayError> {
        for group in self.inner.store.groups().await? {
            self.admit_members(group.gid).await?;
        }
        self.inner.admitted.are_all();
        Ok(())
    }

    pub(crate) async fn admit_members(&self, group: GroupId) -> Result<(), GatewayError> {
        for member in self.inner.store.members(group).await? {
            if let Some(fingerprint) = member.fingerprint
                && !self.is_revoked(&member).await?
            {
                self.inner.admitted.admit(fingerprint);
            }
        }
        Ok(())
    }
}
