//! What an edge is made of, and what its handlers share.

use std::sync::Arc;
use std::time::Duration;

use tacit_audit::AuditLog;
use tacit_gateway::Gateway;
use tacit_link::Traffic;
use tacit_model::problem::ProblemKind;
use tacit_model::{Clock, Fingerprint};
use tacit_store::Store;
use tokio::sync::watch;

use crate::auth::AdminKey;
use crate::desk::PartyDesk;
use crate::face_p2ds::session::Sessions;
use crate::metrics::Metrics;
use crate::problem::ApiError;

/// Before a request's time is over, so much of it is left to answer in.
const TO_ANSWER: Duration = Duration::from_secs(5);

/// What a node offers over HTTP.
#[derive(Clone)]
pub struct Edge {
    /// The gateway, if this node is one.
    pub gateway: Option<Gateway>,
    /// The parties this node hosts, if it hosts any.
    pub parties: Option<PartyDesk>,
    /// Whether results may be posted to this node.
    pub receiver: bool,
    /// Rows: tokens, received results.
    pub store: Store,
    /// The node's audit log.
    pub log: AuditLog,
    /// What to tell of the node.
    pub node: NodeInfo,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The rest.
    pub options: EdgeOptions,
}

/// What a node tells of itself.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Version of the program.
    pub version: String,
    /// Where its link port is, `host:port`.
    pub link_address: Option<String>,
    /// What it does: `gateway`, `peer`, `receiver`, ...
    pub roles: Vec<String>,
    /// What it announces of itself as a gateway, signed just now; nothing if it is none.
    pub announcement: Option<Announce>,
}

/// Writes a gateway's announcement as of now.
#[derive(Clone)]
pub struct Announce(pub Arc<dyn Fn() -> Option<std::collections::BTreeMap<String, String>> + Send + Sync>);

impl core::fmt::Debug for Announce {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Announce")
    }
}

/// Settings of an edge.
#[derive(Clone)]
pub struct EdgeOptions {
    /// The key of the P2DS face. Without one, nobody administers through the face.
    pub admin_key: Option<AdminKey>,
    /// Whether the P2DS face is served.
    pub p2ds_face: bool,
    /// Whether the test mode may be switched on through the P2DS face.
    pub test_mode_allowed: bool,
    /// Where this edge is found, such as `https://node.example:7400`, without a slash at the end.
    pub public_url: String,
    /// Requests that name another host are refused, so that no web page can talk to a node on
    /// loopback under a name of its own. Set it where plain http is served on loopback.
    pub loopback_names_only: bool,
    /// Whether the status page shows groups and runs to everybody, not only to this machine.
    pub open_status: bool,
    /// Longest body in bytes.
    pub body_limit: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// Where counters are.
    pub metrics: Option<Metrics>,
    /// Counts what the node sends over its links.
    pub traffic: Option<Traffic>,
}

impl EdgeOptions {
    /// The usual settings, without P2DS face and counters.
    pub fn new(public_url: impl Into<String>) -> Self {
        Self {
            admin_key: None,
            p2ds_face: false,
            test_mode_allowed: false,
            public_url: public_url.into(),
            loopback_names_only: false,
            open_status: false,
            body_limit: 8 << 20,
            request_timeout: Duration::from_secs(60),
            metrics: None,
            traffic: None,
        }
    }
}

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) edge: Edge,
    pub(crate) sessions: Sessions,
    pub(crate) openapi: String,
    /// Rung when a token or certificate was revoked.
    pub(crate) revocations: watch::Sender<()>,
}

/// The state of every handler.
pub(crate) type App = Arc<Shared>;

impl Shared {
    pub(crate) fn gateway(&self) -> Result<&Gateway, ApiError> {
        self.edge.gateway.as_ref().ok_or_else(|| {
            ApiError::new(ProblemKind::NotFound, "this node is no gateway: ask the one where the group is")
        })
    }

    pub(crate) fn parties(&self) -> Result<&PartyDesk, ApiError> {
        self.edge.parties.as_ref().ok_or_else(|| {
            ApiError::new(ProblemKind::NotFound, "this node hosts no peers: ask the node where the peer is")
        })
    }

    pub(crate) fn receiver(&self) -> Result<(), ApiError> {
        let no = || ApiError::new(ProblemKind::NotFound, "this node is no receiver");
        self.edge.receiver.then_some(()).ok_or_else(no)
    }

    /// How long a request may be kept waiting on purpose: what it is told then still reaches the caller in time.
    pub(crate) fn patience(&self) -> Duration {
        let limit = self.edge.options.request_timeout;
        limit.saturating_sub(TO_ANSWER).max(limit / 2)
    }

    /// Where this node's P2DS peers say that they are.
    pub(crate) fn peer_url(&self) -> String {
        format!("{}/p2ds-peer", self.edge.options.public_url.trim_end_matches('/'))
    }
}
