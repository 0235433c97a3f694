//! Decisions: the one path by which a charter changes. What is logged of them: see `decisions`.

use std::sync::{Arc, PoisonError};

use tacit_accord::log::Kind;
use tacit_accord::{Charter, Consensus, Proposal, UncheckedConsensus, decide};
use tacit_model::GroupId;
use tacit_pki::PublicKey;
use tokio::sync::MutexGuard;

use crate::{Gateway, GatewayError};

/// Whoever has this decides, and nobody else meanwhile.
pub(crate) type Deciding<'a> = MutexGuard<'a, ()>;

impl Gateway {
    /// The current consensus of a group.
    ///
    /// Checked from its first document once, then remembered: the chain in the database can only grow by
    /// this gateway's own decisions, and those pass the compare-and-swap of [`Gateway::conclude`].
    pub(crate) async fn current(&self, group: GroupId) -> Result<Arc<Consensus>, GatewayError> {
        let known = self.inner.charters.lock().unwrap_or_else(PoisonError::into_inner).get(&group).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let chain = self.inner.store.consensus_chain(group).await?;
        let current = self.verified_chain(&chain)?.ok_or(GatewayError::NotFound("group"))?;
        Ok(self.remember(current))
    }

    fn remember(&self, consensus: Consensus) -> Arc<Consensus> {
        let consensus = Arc::new(consensus);
        let mut charters = self.inner.charters.lock().unwrap_or_else(PoisonError::into_inner);
        let known = charters.entry(consensus.charter().group).or_insert_with(|| Arc::clone(&consensus));
        if known.text().sequence < consensus.text().sequence {
            *known = Arc::clone(&consensus);
        }
        Arc::clone(known)
    }

    /// Forgets a deleted group.
    pub(crate) fn forget_charter(&self, group: GroupId) {
        self.inner.charters.lock().unwrap_or_else(PoisonError::into_inner).remove(&group);
    }

    /// Reads a chain of documents and checks every step of it, as a peer would.
    fn verified_chain(&self, chain: &[String]) -> Result<Option<Consensus>, GatewayError> {
        let broken = |e: String| GatewayError::Bug(format!("the stored chain of consensus documents is broken: {e}"));
        let mut current: Option<Consensus> = None;
        for document in chain {
            let next = Consensus::read(document).map_err(|e| broken(e.to_string()))?;
            let checked = match &current {
                None => {
                    let manager = self.founder(&next);
                    next.check_first(&manager)
                }
                Some(known) => next.check_next(known),
            };
            current = Some(checked.map_err(|e| broken(e.to_string()))?);
        }
        Ok(current)
    }

    /// Who may have made a group of this gateway: its own manager, or that of another gateway over the same rows.
    fn founder(&self, first: &UncheckedConsensus) -> PublicKey {
        let own = self.inner.manager.public_key();
        let claimed = PublicKey::from_base64(first.claimed_manager()).ok();
        let of_ours = |key: &PublicKey| {
            let gateways = self.inner.lead.iter().flat_map(|lead| &lead.gateways);
            gateways.into_iter().any(|gateway| gateway.fingerprint == key.fingerprint())
        };
        claimed.filter(of_ours).unwrap_or(*own)
    }

    /// Changes a group's charter as its manager. Refused once the charter names owners.
    pub(crate) async fn decide_as_manager(
        &self,
        group: GroupId,
        change: impl FnOnce(&mut Charter),
    ) -> Result<Arc<Consensus>, GatewayError> {
        let deciding = self.inner.deciding.lock().await;
        self.decide_holding(&deciding, group, change).await
    }

    /// The same for callers that decide from rows: they read those rows while they hold the lock, and hold it until
    /// the rows say what was decided.
    ///
    /// The new consensus is durable and logged before it is sent to the members.
    pub(crate) async fn decide_holding(
        &self,
        _deciding: &Deciding<'_>,
        group: GroupId,
        change: impl FnOnce(&mut Charter),
    ) -> Result<Arc<Consensus>, GatewayError> {
        let current = self.current(group).await?;
        let mut charter = current.charter().clone();
        change(&mut charter);
        if charter == *current.charter() {
            return Ok(current);
        }
        if !current.charter().owners.is_empty() {
            return Err(GatewayError::Refused(format!(
                "this charter has {} owners, and they decide: propose the change with `tacit negotiation new --group {group}`",
                current.charter().owners.len()
            )));
        }
        let consensus = self.conclude(Some(&current), charter).await?;
        self.tell_members(&consensus);
        Ok(consensus)
    }

    /// Sends a new consensus to the connected members; others get it when they are back.
    pub(crate) fn tell_members(&self, consensus: &Consensus) {
        let documents = vec![consensus.to_document()];
        for (member, _) in self.inner.directory.of_group(consensus.charter().group) {
            self.inner.directory.send(&member, &tacit_job::ToPeer::Charter { documents: documents.clone() });
        }
    }

    /// Signs, decides and records. Callers hold the `deciding` lock or create the group.
    pub(crate) async fn conclude(
        &self,
        current: Option<&Consensus>,
        charter: Charter,
    ) -> Result<Arc<Consensus>, GatewayError> {
        let proposal = Proposal::new(current, charter, self.inner.clock.now())?.sign(&self.inner.manager);
        self.keep_consensus(current, decide(current, proposal)?).await
    }

    /// Makes a consensus durable, and logs it. Callers hold the `deciding` lock or create the group.
    pub(crate) async fn keep_consensus(
        &self,
        current: Option<&Consensus>,
        consensus: Consensus,
    ) -> Result<Arc<Consensus>, GatewayError> {
        let group = consensus.charter().group;
        let previous = current.map(|c| c.id().0);
        let document = consensus.to_document();
        let kept = self.inner.store.set_consensus(group, previous, consensus.id().0, &document, self.inner.clock.now());
        if let Err(error) = kept.await {
            // Another gateway on the same database may have decided: read the chain again next time.
            self.forget_charter(group);
            return Err(error.into());
        }
        let consensus = self.remember(consensus);
        self.log_consensus(current, &consensus).await?;
        Ok(consensus)
    }

    /// Appends to the log. Facts never hold data, and participants only as members may know them.
    pub(crate) async fn log<const N: usize>(&self, kind: Kind, facts: [(&str, String); N]) -> Result<(), GatewayError> {
        Ok(self.inner.log.append(kind, tacit_audit::facts(facts)).await.map(drop)?)
    }

    /// Logs something an operator did.
    pub(crate) async fn log_action(&self, group: GroupId, action: &str, on: &str) -> Result<(), GatewayError> {
        let facts = [("group", group.to_string()), ("action", action.to_owned()), ("on", on.to_owned())];
        self.log(Kind::Action, facts).await
    }
}
