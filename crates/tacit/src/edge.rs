//! What a node offers over HTTP: its roles, plugged into the edge.

use std::sync::Arc;

use tacit_api::{AdminKey, Edge, EdgeOptions, Metrics, NodeInfo};
use tacit_audit::AuditLog;
use tacit_gateway::Gateway;
use tacit_link::Traffic;
use tacit_model::Clock;
use tacit_party::Parties;
use tacit_store::Store;

use crate::config::{NodeConfig, Role};
use crate::discovery::Announcer;
use crate::output::Failure;
use crate::process::Address;

/// The edge of a node.
#[expect(clippy::too_many_arguments, reason = "the wiring of all roles")]
pub(crate) fn edge(
    config: &NodeConfig,
    address: &Address,
    gateway: &Option<Gateway>,
    parties: &Option<Parties>,
    store: &Store,
    log: &AuditLog,
    clock: &Arc<dyn Clock>,
    announcer: Option<Arc<Announcer>>,
    options: EdgeOptions,
) -> Edge {
    Edge {
        gateway: gateway.clone(),
        parties: parties.clone().map(Into::into),
        receiver: config.roles.contains(&Role::Receiver),
        store: store.clone(),
        log: log.clone(),
        node: NodeInfo {
            name: config.name.clone(),
            fingerprint: address.fingerprint,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link_address: Some(address.link.clone()),
            roles: config.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect(),
            announcement: announcer.map(|announcer| {
                let now = move || announcer.now().map(|(_, properties)| properties);
                tacit_api::Announce(Arc::new(now))
            }),
        },
        clock: Arc::clone(clock),
        options,
    }
}

/// Settings of the edge. All that can be wrong about them is in the configuration.
pub(crate) fn options(
    config: &NodeConfig,
    address: &Address,
    metrics: Metrics,
    traffic: Traffic,
) -> Result<EdgeOptions, Failure> {
    let mut options = EdgeOptions::new(address.url.clone());
    options.p2ds_face = config.p2ds.enabled;
    options.test_mode_allowed = config.p2ds.test_mode;
    options.body_limit = config.limits.body;
    options.loopback_names_only = !config.tls && !config.allow_plain_http;
    options.admin_key = admin_key(config)?;
    options.metrics = Some(metrics);
    options.traffic = Some(traffic);
    Ok(options)
}

/// The key of the P2DS face, if there is one.
pub(crate) fn admin_key(config: &NodeConfig) -> Result<Option<AdminKey>, Failure> {
    match config.p2ds.admin_key_sha256.as_str() {
        "" => Ok(None),
        digits => AdminKey::from_hash(digits)
            .map(Some)
            .ok_or_else(|| Failure::usage("p2ds.admin_key_sha256 must be 64 hexadecimal digits")),
    }
}
