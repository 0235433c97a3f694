//! What the owner of a party decides while it runs: its policy, and tasks that it is asked about.

use serde_json::Value;
use tacit_accord::log::Kind;
use tacit_audit::facts;
use tacit_job::{Ask, Micro};
use tacit_model::api::{PeerPolicy, SpentBody};
use tacit_model::{Fingerprint, UnixMillis};
use tacit_store::{ApprovalRow, SpentRow};

use super::{Inner, Party};
use crate::PartyError;
use crate::policy::{check, delta_text};

/// A task that the owner is or was asked about.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The task's id.
    pub task: String,
    /// `waiting`, `approved` or `refused`.
    pub state: String,
    /// What was asked, with its signatures.
    pub ask: Ask,
    /// The certificate of the client, if it signed.
    pub client: Option<Fingerprint>,
    /// When it was first asked.
    pub asked: UnixMillis,
    /// When the owner decided.
    pub decided: Option<UnixMillis>,
}

/// So many are shown.
const SHOWN: i64 = 200;

impl Party {
    /// The policy in force, and whether it was set while the party ran.
    pub fn policy(&self) -> (bool, PeerPolicy) {
        let party = &self.inner;
        (party.standing.get().policy.is_some(), party.policy().rules.clone())
    }

    /// What results with noise have cost its series.
    pub async fn spent(&self) -> Result<Vec<SpentBody>, PartyError> {
        let body = |row: SpentRow| SpentBody {
            source: row.source,
            epsilon: Micro(row.epsilon).to_string(),
            delta: delta_text(row.delta),
            results: row.results,
        };
        Ok(self.inner.store.spent(&self.inner.name).await?.into_iter().map(body).collect())
    }

    /// Sets the policy, or goes back to the node's. Each rule that changes is in the audit log before it is in
    /// force. Sessions whose links are not made yet are judged again.
    pub async fn set_policy(&self, own: Option<PeerPolicy>) -> Result<(), PartyError> {
        let party = &self.inner;
        if let Some(own) = &own {
            check(own)?;
        }
        let _one_at_a_time = party.deciding.lock().await;
        let new = own.clone().unwrap_or_else(|| party.governing.of_node().clone());
        party.log_changes(&party.policy().rules, &new).await?;
        let kept = own.clone();
        party
            .standing
            .change(|standing| {
                standing.policy = kept;
                true
            })
            .await?;
        party.verified(new.verified);
        party.governing.set(own);
        party.tell_offer();
        Ok(())
    }

    /// The latest tasks that the owner is or was asked about, newest first.
    pub async fn approvals(&self) -> Result<Vec<Approval>, PartyError> {
        let party = &self.inner;
        party.store.approvals(&party.name, SHOWN).await?.into_iter().map(read).collect()
    }

    /// The owner's decision on a task that this party was asked to take part in. Durable when this returns; the
    /// gateway is rung, in case it waits.
    pub async fn decide_approval(&self, task: &str, approved: bool) -> Result<Approval, PartyError> {
        let party = &self.inner;
        let state = if approved { "approved" } else { "refused" };
        let unknown = || PartyError::NoSuchTask(task.chars().take(100).collect());
        if party.store.approval(&party.name, task).await?.is_none() {
            return Err(unknown());
        }
        let what = [
            ("action", "approval".to_owned()),
            ("peer", party.name.clone()),
            ("task", task.to_owned()),
            ("decision", state.to_owned()),
        ];
        party.log.append(Kind::Action, facts(what)).await?;
        party.store.decide_approval(&party.name, task, state, party.clock.now()).await?;
        party.tell_offer();
        read(party.store.approval(&party.name, task).await?.ok_or_else(unknown)?)
    }
}

impl Inner {
    async fn log_changes(&self, before: &PeerPolicy, after: &PeerPolicy) -> Result<(), PartyError> {
        let table = |policy: &PeerPolicy| match serde_json::to_value(policy) {
            Ok(Value::Object(table)) => table,
            _ => serde_json::Map::new(),
        };
        let (before, after) = (table(before), table(after));
        let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
        let facts: serde_json::Map<String, Value> = changed
            .map(|(name, value)| (format!("peer.{}.policy.{name}", self.name), Value::String(value.to_string())))
            .collect();
        if !facts.is_empty() {
            self.log.append(Kind::Parameter, facts).await?;
        }
        Ok(())
    }
}

fn read(row: ApprovalRow) -> Result<Approval, PartyError> {
    let ask = serde_json::from_str(&row.ask_json).map_err(|e| PartyError::Damaged(e.to_string()))?;
    let client = row.client.and_then(|client| client.parse().ok());
    Ok(Approval { task: row.task, state: row.state, ask, client, asked: row.asked, decided: row.decided })
}
