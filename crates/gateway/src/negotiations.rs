//! Negotiations: opened, acted in, and put into force.
//!
//! The gateway keeps the events and checks them; it signs nothing for anybody. Where a group has no owners its
//! manager decides, whose key lives here: [`Gateway::accept_as_manager`] is that key's own signature.

mod replayed;

use std::collections::BTreeSet;
use std::sync::Arc;

use tacit_accord::log::Kind;
use tacit_accord::negotiation::{
    Act, Agreement, Authority, Contribution, JsonForm, Negotiation, NegotiationId, Opening, OpeningRequest, Resource,
    SignedAct, Wording, charter_text, history_holds, sign_act, sign_decision,
};
use tacit_accord::{Consensus, Proposal, decide};
use tacit_model::{CLOCK_SKEW_MS, Fingerprint, GroupId, UnixMillis};
use tacit_pki::{PublicKey, random};
use tacit_store::{NegotiationRow, StoreError, What};
use tracing::warn;

pub(crate) use self::replayed::Replayed;
use crate::pairing::revoked_key;
use crate::{Gateway, GatewayError};

/// The longest that a negotiation may stay open.
const LONGEST: i64 = 400 * 24 * 3600 * 1000;
/// How often a step is tried while others are faster.
const TRIES: usize = 20;
/// More than this of texts, in bytes, no negotiation has, superseded ones too: the present ones are read all at once, and whoever
/// opens one can invite a thousand keys of its own, each with as much as one key may have.
const MOST: usize = 256 << 20;
/// What is said of a decision that is followed now.
const IN_FORCE: &str = "in force";

/// A negotiation as it stands.
#[derive(Clone, Debug)]
pub struct NegotiationView {
    /// The group it is about.
    pub group: Option<GroupId>,
    /// All of it.
    pub negotiation: Arc<Negotiation>,
    /// The id of what was agreed.
    pub agreement: Option<String>,
    /// The consensus on the group's charter that follows from it.
    pub decided: Option<String>,
    /// What became of that.
    pub outcome: Option<String>,
    /// When this was looked at.
    pub now: UnixMillis,
}

impl Gateway {
    /// Opens a negotiation. About a group: by one of its owners or, while there is none, by an operator of this
    /// gateway. About nothing in particular: by an operator.
    pub async fn open_negotiation(
        &self,
        request: OpeningRequest,
        opener: String,
        signature: &str,
        by_operator: bool,
    ) -> Result<NegotiationView, GatewayError> {
        let now = self.inner.clock.now();
        if request.gateway != self.inner.identity.fingerprint() || !request.holds(&opener, signature) {
            return Err(GatewayError::Refused(
                "the signature is not valid for this request, this gateway and this key".to_owned(),
            ));
        }
        if request.expires.since(now) > LONGEST {
            return Err(GatewayError::Invalid("a negotiation ends within 400 days".to_owned()));
        }
        if request.nonce.len() < 16 || request.nonce.len() > 100 {
            return Err(GatewayError::Invalid("nonce must have 16 to 100 random characters".to_owned()));
        }
        if request.invited.iter().any(|key| PublicKey::from_base64(key).is_err()) {
            return Err(GatewayError::Invalid("a key that is invited cannot be read".to_owned()));
        }
        let group = request.group.map(GroupId);
        let authority = match group {
            None => Authority::default(),
            Some(group) => {
                let current = self.current(group).await?;
                let charter = current.charter();
                if charter.owners.is_empty() {
                    let manager = self.inner.manager.public_key().to_base64();
                    Authority { deciders: [manager].into(), quorum: 0 }
                } else {
                    Authority { deciders: charter.owners.iter().cloned().collect(), quorum: charter.quorum }
                }
            }
        };
        if !by_operator && !authority.deciders.contains(&opener) {
            return Err(GatewayError::Refused(
                "negotiations are opened by owners of the group, or with an operator's token".to_owned(),
            ));
        }
        let mut id = [0; 32];
        // Ids are typed as arguments of commands, where a dash in front means something else.
        while NegotiationId(id).to_string().starts_with('-') || id == [0; 32] {
            random::fill(&mut id).map_err(|e| GatewayError::Bug(e.to_string()))?;
        }
        let invitations = request.invitations();
        let (nonce, expires, title) = (request.nonce, request.expires, request.title);
        let opening = Opening { id: NegotiationId(id), opener, title, at: now, expires, authority, invitations };
        let negotiation = Arc::new(Negotiation::open(opening.clone())?);
        let body = serde_json::to_string(&opening).map_err(|e| GatewayError::Bug(e.to_string()))?;
        self.inner.store.put_negotiation(&opening.id.to_string(), group, &nonce, &body, now).await?;
        self.log_negotiation(group, "open", &opening.opener).await?;
        Ok(NegotiationView { group, negotiation, agreement: None, decided: None, outcome: None, now })
    }

    /// A negotiation by its id, or by the id of what was agreed in it.
    pub async fn negotiation(&self, id: &str) -> Result<NegotiationView, GatewayError> {
        let row = match self.inner.store.negotiation(id).await? {
            Some(row) => row,
            None => self.inner.store.negotiation_of(id).await?.ok_or(GatewayError::NotFound("negotiation"))?,
        };
        self.view_of(row).await
    }

    /// Tells the negotiations about a group, newest first and one after the other: all their texts at once could be more than
    /// a node has room for.
    pub async fn negotiations(
        &self,
        group: GroupId,
        mut tell: impl FnMut(&NegotiationView),
    ) -> Result<(), GatewayError> {
        for row in self.inner.store.negotiations(group).await?.into_iter().rev() {
            tell(&self.view_of(row).await?);
        }
        Ok(())
    }

    /// Everything that was ever put forward, for a member that signed the wish at about this time.
    pub async fn negotiation_history(
        &self,
        id: &str,
        signer: &str,
        at: UnixMillis,
        signature: &str,
    ) -> Result<Vec<Arc<Contribution>>, GatewayError> {
        let view = self.negotiation(id).await?;
        let fresh = self.inner.clock.now().since(at).abs() <= CLOCK_SKEW_MS;
        let own = view.negotiation.opening().id;
        if !fresh || !view.negotiation.is_member(signer) || !history_holds(signer, &own, at, signature) {
            return Err(GatewayError::Refused(
                "superseded contributions are shown to members, who sign the wish with the present time".to_owned(),
            ));
        }
        Ok(view.negotiation.contributions().to_vec())
    }

    /// Takes a step that somebody signed. If it makes a consensus on a charter, that is in force when this
    /// returns, or the view says why not.
    pub async fn act_in_negotiation(&self, id: &str, act: SignedAct) -> Result<NegotiationView, GatewayError> {
        for _ in 0..TRIES {
            let row = self.inner.store.negotiation(id).await?.ok_or(GatewayError::NotFound("negotiation"))?;
            let before = self.replayed(&row).await?;
            let now = self.inner.clock.now();
            let step = before.step(&JsonForm, act.clone(), now)?;
            if let Act::Contribute { text, .. } = &act.act {
                check_room(before.contributions().iter().map(|known| known.text.len()), text.len())?;
            }
            self.check_is_current(&row, &act).await?;
            let body = serde_json::to_string(&step.event).map_err(|e| GatewayError::Bug(e.to_string()))?;
            let agreed = match step.after.agreement() {
                Some(agreement) => {
                    let id = agreement.id().map_err(|e| GatewayError::Bug(e.to_string()))?;
                    Some((id.to_string(), agreement.decided().map(|id| id.to_string())))
                }
                None => None,
            };
            match self.inner.store.add_negotiation_step(id, before.events(), &body, agreed.clone(), now).await {
                Err(StoreError::Conflict { what: What::NegotiationStep }) => continue,
                other => other?,
            }
            let word = match &act.act {
                Act::Contribute { .. } => "contribute",
                Act::Withdraw => "withdraw",
                Act::Invite(_) => "invite",
                Act::Cancel => "cancel",
            };
            self.log_negotiation(row.gid, word, &act.signer).await?;
            if agreed.is_some() {
                self.log_negotiation(row.gid, "agree", &act.signer).await?;
                self.finish_negotiation(&self.negotiation_row(id).await?).await?;
            }
            return self.negotiation(id).await;
        }
        Err(StoreError::Busy.into())
    }

    /// Accepts a contribution with the manager's key, which decides while there are no owners.
    pub async fn accept_as_manager(&self, id: &str, number: u32) -> Result<NegotiationView, GatewayError> {
        let view = self.negotiation(id).await?;
        let own = view.negotiation.opening().id;
        let manager = &self.inner.manager;
        let key = manager.public_key().to_base64();
        if !view.negotiation.opening().authority.deciders.contains(&key) {
            return Err(GatewayError::Refused("the manager of this gateway decides nothing in it".to_owned()));
        }
        let chosen = view.negotiation.live().find(|c| c.number == number);
        let chosen = chosen.ok_or(GatewayError::NotFound("present contribution of this number"))?;
        let wording = Wording::read(&chosen.text).map_err(|e| GatewayError::Bug(e.to_string()))?.accepting();
        let mut decision = None;
        for part in wording.parts.iter().filter(|part| part.resource == Resource::Charter) {
            let text = charter_text(part).map_err(|e| GatewayError::Invalid(e.to_string()))?;
            let id = text.id().map_err(|e| GatewayError::Bug(e.to_string()))?;
            decision = Some(sign_decision(manager, &id));
        }
        let text = wording.to_text().map_err(|e| GatewayError::Bug(e.to_string()))?;
        let act = Act::Contribute { text, invitation: None, decision };
        let act = sign_act(manager, &own, view.negotiation.next_turn(&key), act);
        let act = act.map_err(|e| GatewayError::Bug(e.to_string()))?;
        Box::pin(self.act_in_negotiation(&own.to_string(), act)).await
    }

    /// Puts into force what was agreed before a crash and is not in force yet.
    pub(crate) async fn finish_negotiations(&self) -> Result<(), GatewayError> {
        for row in self.inner.store.unfinished_negotiations().await? {
            match self.finish_negotiation(&row).await {
                // The database, or the other gateways, did not answer: the whole start is tried again.
                Err(GatewayError::Store(error)) => return Err(error.into()),
                // What concerns it alone keeps nobody else waiting.
                Err(error) => warn!(negotiation = row.id, %error, "what was agreed before is not in force"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn negotiation_row(&self, id: &str) -> Result<NegotiationRow, GatewayError> {
        self.inner.store.negotiation(id).await?.ok_or(GatewayError::NotFound("negotiation"))
    }

    async fn view_of(&self, row: NegotiationRow) -> Result<NegotiationView, GatewayError> {
        let negotiation = self.replayed(&row).await?;
        // It may have closed between the look at its row and the look at its steps.
        let closed = negotiation.agreement().is_some() && row.agreement.is_none();
        let row = if closed { self.negotiation_row(&row.id).await? } else { row };
        let NegotiationRow { gid: group, agreement, decided, outcome, .. } = row;
        Ok(NegotiationView { group, negotiation, agreement, decided, outcome, now: self.inner.clock.now() })
    }

    /// A text about another group, or on another consensus than the last one, is not taken.
    async fn check_is_current(&self, row: &NegotiationRow, act: &SignedAct) -> Result<(), GatewayError> {
        let Act::Contribute { text, .. } = &act.act else { return Ok(()) };
        let wording = Wording::read(text).map_err(|e| GatewayError::Invalid(e.to_string()))?;
        for part in wording.parts.iter().filter(|part| part.resource == Resource::Charter) {
            let Some(group) = row.gid.filter(|group| part.id == group.to_string()) else {
                return Err(GatewayError::Invalid(
                    "the text changes another group than the negotiation is about".to_owned(),
                ));
            };
            let current = self.current(group).await?;
            let next = current.text().sequence + 1;
            if part.on_last_consensus != Some(current.id()) || part.sequence != Some(next) {
                return Err(GatewayError::Conflict(format!(
                    "the text follows another consensus than the last one, {}: it was written before somebody else decided",
                    current.id()
                )));
            }
            let proposed = charter_text(part).map_err(|e| GatewayError::Invalid(e.to_string()))?.charter;
            if proposed.manager != current.charter().manager {
                return Err(GatewayError::Invalid("the manager of a group stays who it is".to_owned()));
            }
            for member in &proposed.members {
                if self.inner.store.revoked(member.fingerprint).await?.is_some() {
                    return Err(revoked_key(&member.name));
                }
            }
            if proposed.gateways != current.charter().gateways {
                self.check_gateways(&proposed.gateways)?;
            }
            if let Some(configuration) = &proposed.configuration {
                tacit_job::check_configuration(configuration).map_err(|e| GatewayError::Invalid(e.to_string()))?;
            }
        }
        Ok(())
    }

    /// Members obey the gateways of their charter and no others, so each of them must hold the group's rows.
    fn check_gateways(&self, named: &[Fingerprint]) -> Result<(), GatewayError> {
        let own = self.inner.identity.fingerprint();
        let holds_rows = |gateway: &Fingerprint| match &self.inner.lead {
            Some(lead) => lead.gateways.iter().any(|at| at.fingerprint == *gateway),
            None => *gateway == own,
        };
        if let Some(stranger) = named.iter().find(|gateway| !holds_rows(gateway)) {
            return Err(GatewayError::Invalid(format!(
                "gateway {stranger} does not hold this group's rows: a charter names gateways of one [replication] list \
                 (docs/failover.md)"
            )));
        }
        if named.iter().collect::<BTreeSet<_>>().len() != named.len() {
            return Err(GatewayError::Invalid("a gateway is named twice".to_owned()));
        }
        Ok(())
    }

    /// Puts into force what a negotiation decided, or records why that cannot be any more. Repeatable.
    async fn finish_negotiation(&self, row: &NegotiationRow) -> Result<(), GatewayError> {
        let (Some(group), Some(decided), None) = (row.gid, &row.decided, &row.outcome) else { return Ok(()) };
        let negotiation = self.replayed(row).await?;
        let Some(agreement) = negotiation.agreement() else { return Ok(()) };
        let deciding = self.inner.deciding.lock().await;
        let chain = self.inner.store.consensus_chain(group).await?;
        let known = chain.iter().filter_map(|document| Consensus::read(document).ok());
        if known.into_iter().any(|consensus| consensus.id().to_string() == *decided) {
            // Recorded before a crash, and not said to be.
            self.follow_roster(group).await?;
            return Ok(self.inner.store.set_negotiation_outcome(&row.id, IN_FORCE).await?);
        }
        let current = match self.current(group).await {
            Err(GatewayError::NotFound(_)) => {
                return Ok(self.inner.store.set_negotiation_outcome(&row.id, "the group is gone").await?);
            }
            other => other?,
        };
        let concluded = match proposal_of(agreement).and_then(|proposal| Ok(decide(Some(&current), proposal)?)) {
            Ok(consensus) => self.keep_consensus(Some(&current), consensus).await,
            Err(error) => Err(error),
        };
        match concluded {
            Ok(consensus) => {
                self.follow_roster(group).await?;
                drop(deciding);
                self.tell_members(&consensus);
                Ok(self.inner.store.set_negotiation_outcome(&row.id, IN_FORCE).await?)
            }
            Err(GatewayError::Conflict(why) | GatewayError::Refused(why) | GatewayError::Invalid(why)) => {
                warn!(%group, why, "what a negotiation decided cannot be put into force");
                Ok(self.inner.store.set_negotiation_outcome(&row.id, &format!("not in force: {why}")).await?)
            }
            Err(other) => Err(other),
        }
    }

    /// Members are verified if and only if the owners' charter lists them.
    async fn follow_roster(&self, group: GroupId) -> Result<(), GatewayError> {
        let current = self.current(group).await?;
        for row in self.inner.store.members(group).await? {
            let listed = row.fingerprint.is_some_and(|key| current.charter().member(&key).is_some());
            if listed && self.is_revoked(&row).await? {
                warn!(%group, name = row.peer_name, "the owners' charter lists a revoked key, which is not served");
            } else if row.verified != listed {
                self.inner.store.set_verified(row.pid, listed, row.fingerprint).await?;
            }
        }
        Ok(())
    }

    async fn log_negotiation(&self, group: Option<GroupId>, action: &str, key: &str) -> Result<(), GatewayError> {
        // The id of a negotiation lets whoever knows it read; the log has more readers than that.
        let signer = PublicKey::from_base64(key).map(|key| key.fingerprint().to_string()).unwrap_or_default();
        let group = group.map(|group| group.to_string()).unwrap_or_default();
        let action = format!("negotiation-{action}");
        self.log(Kind::Action, [("group", group), ("action", action), ("on", signer)]).await
    }
}

/// Whether there is room for one more text of this length. What is stored was taken, whatever it has.
fn check_room(known: impl Iterator<Item = usize>, text: usize) -> Result<(), GatewayError> {
    if known.sum::<usize>().saturating_add(text) <= MOST {
        return Ok(());
    }
    let why =
        "the texts of a negotiation have at most 256 MiB together, superseded ones too: open another one for the rest";
    Err(GatewayError::Invalid(why.to_owned()))
}

/// What the owners signed, as a proposal.
fn proposal_of(agreement: &Agreement) -> Result<Proposal, GatewayError> {
    let wording = agreement.verify().map_err(|e| GatewayError::Bug(e.to_string()))?;
    let part = wording.parts.iter().find(|part| part.resource == Resource::Charter);
    let part = part.ok_or_else(|| GatewayError::Bug("an agreement without the charter it decides".to_owned()))?;
    let text = charter_text(part).map_err(|e| GatewayError::Bug(e.to_string()))?;
    let signed = agreement.signings.iter().filter_map(|(key, s)| Some((key.as_str(), s.decision.as_deref()?)));
    Ok(Proposal::signed_elsewhere(text, signed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_all_keys_are_bounded_together() {
        // Each of them has what one key may have.
        let keys = |count| vec![16 << 20; count].into_iter();
        assert!(check_room(keys(15), 16 << 20).is_ok());
        assert!(check_room(keys(16), 0).is_ok());
        let why = check_room(keys(16), 1).map_err(|error| error.to_string());
        assert!(why.as_ref().is_err_and(|why| why.contains("256 MiB")), "{why:?}");
    }
}
