//! A peer that this node hosts: what it is made of, how it is opened, left and ended.

mod comparing;
mod gateway;
mod offers;
mod owner;
mod retention;
mod runs;
mod status;

pub use self::comparing::Comparison;
pub use self::offers::Offer;
pub use self::owner::Approval;
pub use self::status::{PartyState, PartyStatus, Trouble};

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tacit_audit::AuditLog;
use tacit_link::{Endpoint, Host, LinkHub};
use tacit_model::api::JobBody;
use tacit_model::{Clock, Fingerprint, GroupId, RunId, Slot};
use tacit_pki::{Identity, PublicKey};
use tacit_store::{Store, Windows};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::finder::Finder;
use crate::gateway_link::Line;
use crate::http::HttpPoster;
use crate::jobs::Jobs;
use crate::policy::{Governing, Policy};
use crate::provider::Provider;
use crate::provider::pings::Pings;
use crate::receipts::{Expected, Missed};
use crate::results::SlotResult;
use crate::roster::{Roster, RosterGate};
use crate::session::Sessions;
use crate::session::ahead::Ahead;
use crate::session::branch::{Kept, Siblings};
use crate::standing::{Standing, StandingCell};
use crate::{PartyError, gateway_link, outbox, session};

/// Results in one answer.
const RESULTS: u32 = 10_000;

/// What a party is made of. It must have joined a group before: see [`register`](crate::register).
pub struct PartySetup {
    /// Its name on this node and in its group.
    pub name: String,
    /// Its key and certificate, those it registered with.
    pub identity: Arc<Identity>,
    /// The node's links. Let go at [`Party::shutdown`].
    pub hub: Arc<LinkHub>,
    /// Rows.
    pub store: Store,
    /// The node's audit log, over the same rows.
    pub log: AuditLog,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What its operator is willing to take part in.
    pub policy: Policy,
    /// Posts results.
    pub http: HttpPoster,
    /// Bounds on waiting.
    pub limits: PartyLimits,
    /// Looks for the gateway when it is no longer where it was.
    pub finder: Option<Arc<Finder>>,
    /// Where the node's link port is, for the other members.
    pub endpoint: Endpoint,
    /// Another program that computes where a charter wants that.
    pub provider: Option<Provider>,
    /// The parties of the same node.
    pub siblings: Siblings,
}

/// Bounds on what a party waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartyLimits {
    /// The links of a session.
    pub link: Duration,
    /// A session; long vectors get more.
    pub session: Duration,
    /// The gateway's next step: a session that it does not continue in time is given up.
    pub step: Duration,
    /// The gateway's answer to a request.
    pub request: Duration,
    /// One round of dialling the gateway.
    pub dial: Duration,
    /// The first pause before dialling the gateway again; it doubles.
    pub reconnect_first: Duration,
    /// The longest such pause.
    pub reconnect_max: Duration,
    /// The first pause before posting results again; it doubles.
    pub retry_first: Duration,
    /// The longest such pause.
    pub retry_max: Duration,
    /// The first pause after a receiver refused results.
    pub retry_refused: Duration,
    /// Between two looks for samples that are older than the policy keeps.
    pub forget_every: Duration,
}

impl Default for PartyLimits {
    fn default() -> Self {
        Self {
            link: Duration::from_secs(5),
            session: Duration::from_secs(30),
            step: Duration::from_secs(120),
            request: Duration::from_secs(10),
            dial: Duration::from_secs(1),
            reconnect_first: Duration::from_millis(200),
            reconnect_max: Duration::from_secs(10),
            retry_first: Duration::from_millis(200),
            retry_max: Duration::from_secs(30),
            retry_refused: Duration::from_secs(60),
            forget_every: Duration::from_secs(60),
        }
    }
}

/// A peer hosted by this node. Clones are handles to the same one.
#[derive(Clone)]
pub struct Party {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) group: GroupId,
    pub(crate) me: Fingerprint,
    /// The one it pinned. Others may lead: see `gateways`.
    pub(crate) gateway: Fingerprint,
    pub(crate) final_results_url: Option<String>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) host: Host,
    pub(crate) store: Store,
    pub(crate) log: AuditLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) governing: Governing,
    pub(crate) http: HttpPoster,
    pub(crate) limits: PartyLimits,
    pub(crate) finder: Option<Arc<Finder>>,
    pub(crate) endpoint: Endpoint,
    pub(crate) provider: Option<Provider>,
    pub(crate) pings: Pings,
    pub(crate) standing: StandingCell,
    pub(crate) roster: Roster,
    pub(crate) sessions: Sessions,
    pub(crate) ahead: Ahead,
    /// Shares of this branch's totals.
    pub(crate) kept: Kept,
    pub(crate) siblings: Siblings,
    pub(crate) line: Line,
    /// Rung when there may be something to post.
    pub(crate) outbox: Notify,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    gate: Arc<RosterGate>,
    hub: Mutex<Option<Arc<LinkHub>>>,
    /// What went wrong, the latest first.
    troubles: Mutex<Vec<Trouble>>,
    /// The first slot without a row, of the run.
    next: Mutex<Option<(RunId, Slot)>>,
    /// What it was asked to take part in.
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) awaited: Expected,
    /// Receipts that it missed, on their way.
    pub(crate) missed: Missed,
    /// Held while a head of the gateway's log is looked at.
    pub(crate) witnessing: tokio::sync::Mutex<()>,
    /// Names of its series.
    pub(crate) sources: Mutex<BTreeSet<String>>,
    /// Held while the policy changes.
    pub(crate) deciding: tokio::sync::Mutex<()>,
    /// Shared while samples come, held alone while old ones go.
    measuring: tokio::sync::RwLock<()>,
    /// The `max_samples` of which the owner was told that it lets samples go.
    told_full: AtomicU64,
}

impl Party {
    /// Takes up the party where it was left: links, its run, results on their way.
    pub async fn open(setup: PartySetup) -> Result<Self, PartyError> {
        let inner = Arc::new(Inner::new(setup).await?);
        inner.siblings.add(&inner);
        inner.tasks.spawn(gateway_link::run(Arc::clone(&inner)));
        inner.tasks.spawn(retention::run(Arc::clone(&inner)));
        inner.tasks.spawn(session::give_up_abandoned(Arc::clone(&inner)));
        inner.tasks.spawn(Arc::clone(&inner.jobs).run(inner.stop.clone()));
        if let Some(url) = inner.final_results_url.clone() {
            inner.tasks.spawn(outbox::run(Arc::clone(&inner), url));
        }
        Ok(Self { inner })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.me
    }

    /// The gateway it pinned.
    pub fn gateway(&self) -> Fingerprint {
        self.inner.gateway
    }

    /// Its group.
    pub fn group(&self) -> GroupId {
        self.inner.group
    }

    /// What this party was last asked to take part in: the whole job, for its owner to see. It names who
    /// takes part and what is computed, never data.
    pub fn last_job(&self) -> Option<String> {
        serde_json::to_string(&*self.inner.jobs.last()?).ok()
    }

    /// What this party was asked to take part in and what became of it, newest first, at most so many; the last 100 are
    /// kept.
    pub async fn jobs(&self, max: u32) -> Result<Vec<JobBody>, PartyError> {
        self.inner.jobs.list(max).await
    }

    /// The last results of a run that this party learned, in order of slots, as many as one answer holds.
    pub async fn results(&self, run: RunId) -> Result<Vec<SlotResult>, PartyError> {
        Ok(self.results_from(run, None).await?.0)
    }

    /// The same from a slot on, if one is given; and whether one answer did not hold all.
    pub async fn results_from(&self, run: RunId, from: Option<Slot>) -> Result<(Vec<SlotResult>, bool), PartyError> {
        let which = from.map_or(Windows::Newest, Windows::From);
        let (rows, more) = self.inner.store.results(&self.inner.name, run, which, RESULTS).await?;
        let results: Result<Vec<SlotResult>, PartyError> = rows.into_iter().filter_map(SlotResult::read).collect();
        Ok((results?, more))
    }

    /// The signed charter it follows.
    pub fn consensus(&self) -> Option<tacit_accord::Consensus> {
        self.inner.roster.known().map(|known| (*known).clone())
    }

    /// Never lets this key in again, and closes its links.
    pub async fn revoke(&self, key: Fingerprint, reason: &str) -> Result<(), PartyError> {
        self.inner.store.revoke_key(key, reason, self.inner.clock.now()).await?;
        self.inner.gate.revoke([key]);
        self.inner.host.recheck(&key);
        Ok(())
    }

    /// Leaves the group: ends the run, deletes everything that is kept for this party on this node. The
    /// key file is the caller's.
    pub async fn leave(&self) -> Result<(), PartyError> {
        if self.inner.standing.run().is_some() {
            self.stop().await?;
        }
        self.shutdown().await;
        Ok(self.inner.store.delete_party(&self.inner.name).await?)
    }

    /// Ends all tasks and takes the party off the node's links. What is durable goes on at the next
    /// [`open`](Self::open).
    pub async fn shutdown(&self) {
        let party = &self.inner;
        party.stop.cancel();
        party.sessions.give_up_all();
        let hub = party.hub.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(hub) = hub {
            hub.unhost(&party.me);
        }
        party.tasks.close();
        party.tasks.wait().await;
        party.jobs.keep().await;
    }
}

impl Inner {
    async fn new(setup: PartySetup) -> Result<Self, PartyError> {
        let PartySetup {
            name,
            identity,
            hub,
            store,
            log,
            clock,
            policy,
            http,
            limits,
            finder,
            endpoint,
            provider,
            siblings,
        } = setup;
        let row = store.party(&name).await?.ok_or_else(|| PartyError::Unknown(name.clone()))?;
        let damaged = |what: &str| PartyError::Damaged(what.to_owned());
        let group = row.gid.ok_or_else(|| damaged("its group"))?;
        let gateway = row.gateway_fingerprint.ok_or_else(|| damaged("its gateway"))?;
        let me = identity.fingerprint();
        if row.fingerprint != Some(me) {
            return Err(PartyError::OtherKey);
        }
        let standing = Standing::from_text(&row.state)?;
        let manager = PublicKey::from_base64(&standing.manager_key)?;
        let governing = Governing::new(policy, standing.policy.clone());
        let gate = Arc::new(RosterGate::new(me, gateway, governing.policy().verified.clone()));
        gate.revoke(store.revoked_keys().await?.into_iter().map(|row| row.fingerprint));
        let roster = Roster::open(&name, group, manager, store.clone(), Arc::clone(&gate)).await?;
        let sources = store.sources(&name).await?.into_iter().collect();
        let jobs = Jobs::open(&name, store.clone(), Arc::clone(&clock)).await?;
        let host = hub.host(Arc::clone(&identity), Arc::clone(&gate) as Arc<dyn tacit_link::Gate>)?;
        Ok(Self {
            group,
            me,
            gateway,
            final_results_url: row.final_results_url.filter(|url| !url.is_empty()),
            identity,
            host,
            clock,
            governing,
            http,
            limits,
            finder,
            endpoint,
            provider,
            pings: Pings::default(),
            standing: StandingCell::new(store.clone(), name.clone(), standing),
            roster,
            sessions: Sessions::default(),
            ahead: Ahead::default(),
            kept: Kept::default(),
            siblings,
            next: Mutex::new(None),
            line: Line::default(),
            outbox: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            gate,
            hub: Mutex::new(Some(hub)),
            troubles: Mutex::default(),
            jobs,
            awaited: Expected::default(),
            missed: Missed::default(),
            witnessing: tokio::sync::Mutex::new(()),
            log,
            sources: Mutex::new(sources),
            deciding: tokio::sync::Mutex::new(()),
            measuring: tokio::sync::RwLock::new(()),
            told_full: AtomicU64::new(u64::MAX),
            name,
            store,
        })
    }

    /// The SMC provider that this job is computed with, if it wants one and this node knows it.
    pub(crate) fn provider_of(&self, job: &tacit_job::Job) -> Option<&Provider> {
        self.provider.as_ref().filter(|provider| job.task.provider() == Some(&provider.name))
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.governing.policy()
    }

    /// The operator verified these members.
    pub(crate) fn verified(&self, members: BTreeSet<Fingerprint>) {
        self.gate.set_verified(members);
    }

    /// Remembers what went wrong for the owner, and logs it.
    pub(crate) fn trouble(&self, what: String) {
        warn!(party = %self.name, "{what}");
        let trouble = Trouble { at: self.clock.now(), what };
        status::remember(&mut self.troubles.lock().unwrap_or_else(PoisonError::into_inner), trouble);
    }
}
