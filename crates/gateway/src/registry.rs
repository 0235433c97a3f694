//! The registry: who is a party of a group, by which consensus, and the documents that prove it.

use tacit_accord::{Consensus, MemberRole, Registered, registry};
use tacit_model::{Fingerprint, GroupId};

use crate::{Gateway, GatewayError};

/// What this gateway says about a group's parties.
#[derive(Clone, Debug)]
pub struct RegistryView {
    /// The gateway's certificate.
    pub gateway: Fingerprint,
    /// The key under which the first document is signed.
    pub manager_key: String,
    /// The last consensus.
    pub consensus: String,
    /// The keys that own the group.
    pub owners: Vec<String>,
    /// What they are called together; none without owners.
    pub joint_id: Option<Fingerprint>,
    /// The parties that it admitted.
    pub parties: Vec<Registered>,
    /// Who registered and is not admitted yet.
    pub candidates: Vec<Candidate>,
    /// The signed documents, oldest first.
    pub documents: Vec<String>,
}

/// Somebody who registered and is not admitted yet.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its certificate, if it has one.
    pub fingerprint: Option<Fingerprint>,
    /// Who runs it.
    pub operator: String,
    /// What it wants to do.
    pub role: MemberRole,
    /// Where its link port is; empty if it only dials.
    pub endpoint: String,
}

impl Gateway {
    /// The same for somebody who holds an open registration code, and wants to look before using it.
    pub async fn registry_for_code(&self, code: &str) -> Result<(GroupId, RegistryView), GatewayError> {
        let group = self.inner.store.group_of_code(code).await?;
        let group = group.ok_or(GatewayError::NotFound("open registration code"))?;
        Ok((group, self.registry(group).await?))
    }

    /// The parties of a group, and who waits to become one.
    pub async fn registry(&self, group: GroupId) -> Result<RegistryView, GatewayError> {
        let current = self.current(group).await?;
        let documents = self.inner.store.consensus_chain(group).await?;
        // The parties are read from the documents, so that what is shown is what they prove.
        let mut chain: Vec<Consensus> = Vec::new();
        for document in &documents {
            let unchecked = Consensus::read(document).map_err(|e| GatewayError::Bug(e.to_string()))?;
            let id = unchecked.id();
            chain.extend(unchecked.recall(id));
        }
        let parties = registry(&chain);
        let rows = self.inner.store.members(group).await?;
        let admitted = |key: Option<Fingerprint>| parties.iter().any(|party| Some(party.fingerprint) == key);
        let candidates = rows
            .into_iter()
            .filter(|row| row.refusal.is_none() && !admitted(row.fingerprint))
            .map(|row| Candidate {
                name: row.peer_name,
                fingerprint: row.fingerprint,
                operator: row.operator,
                role: crate::members::role_of(row.peer_type),
                endpoint: row.link_endpoint.unwrap_or_default(),
            })
            .collect();
        Ok(RegistryView {
            gateway: self.inner.identity.fingerprint(),
            manager_key: current.charter().manager.clone(),
            consensus: current.id().to_string(),
            owners: current.charter().owners.clone(),
            joint_id: current.charter().joint_id(),
            parties,
            candidates,
            documents,
        })
    }
}
