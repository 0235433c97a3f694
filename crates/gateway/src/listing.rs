//! The directory of a group as it is shown: who is there, since when, where, and with what.

use std::collections::BTreeSet;

use tacit_accord::MemberRole;
use tacit_model::{Fingerprint, GroupId, UnixMillis};

use crate::{Gateway, GatewayError};

/// A member of the signed roster, and what is known of it now.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// What it does.
    pub role: MemberRole,
    /// Who runs it.
    pub operator: String,
    /// Whether its control link is open and alive: a silent one is closed after twice the keep-alive, 10 s.
    pub available: bool,
    /// Since when it is there, or away; unknown if it has been away since this gateway started.
    pub since: Option<UnixMillis>,
    /// Where it says its link port is, or the charter; empty if it only dials.
    pub endpoint: String,
    /// Labels by which sets choose it.
    pub labels: BTreeSet<String>,
    /// Data: names of its series.
    pub sources: BTreeSet<String>,
    /// Services: aggregators that it takes part in; all if empty.
    pub services: BTreeSet<String>,
    /// Resources: how many sessions it computes at once; 0 if it is away, or does not say.
    pub sessions: u32,
}

impl Gateway {
    /// All members of the signed roster. What a member offers is its own word; nothing is believed by it.
    pub async fn listing(&self, group: GroupId) -> Result<Vec<Listed>, GatewayError> {
        let consensus = self.current(group).await?;
        let directory = &self.inner.directory;
        let listed = |member: &tacit_accord::Member| {
            let present = directory.present(&member.fingerprint).filter(|present| present.group == group);
            let since = present.as_ref().map(|present| present.since).or_else(|| directory.left(&member.fingerprint));
            let available = present.is_some();
            let (endpoint, offer) = present.map(|present| (present.endpoint, present.offer)).unwrap_or_default();
            Listed {
                name: member.name.clone(),
                fingerprint: member.fingerprint,
                role: member.role,
                operator: member.operator.clone(),
                available,
                since,
                endpoint: endpoint.unwrap_or_else(|| member.endpoint.clone()),
                labels: offer.labels.clone(),
                sources: offer.sources.clone(),
                services: offer.services.clone(),
                sessions: offer.sessions.unwrap_or_default(),
            }
        };
        Ok(consensus.charter().members.iter().map(listed).collect())
    }
}
