//! What the owner of a party decides while it runs: its policy, and tasks that it is asked about.

use serde_json::Value;
use tacit_accord::log::Kind;
use tacit_audit::facts;
use tacit_job::{Ask, Micro};
use tacit_model::api::{PeerPolicy, SpentBody};
use tacit_model::{CLOCK_SKEW_MS, Fingerprint, Slot, UnixMillis};
use tacit_store::{ApprovalRow, SpentRow};

use super::{Inner, Party};
use crate::PartyError;
use crate::policy::{check, delta_text, is_late};
use crate::session::branch::check_branch;

/// A task that the owner is or was asked about.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The task's id.
    pub task: String,
    /// `waiting`, `approved`, `refused`, or `over` if nobody decided in time.
    pub state: String,
    /// What was asked, with its signatures.
    pub ask: Ask,
    /// The certificate of the client, if it signed.
    pub client: Option<Fingerprint>,
    /// When it was first asked, by this party's clock.
    pub asked: UnixMillis,
    /// When the owner decided.
    pub decided: Option<UnixMillis>,
}

/// Nobody has decided.
const WAITING: &str = "waiting";
/// The owner has said yes.
const APPROVED: &str = "approved";
/// Nobody has decided, and a decision would change nothing any more.
const OVER: &str = "over";
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
        Ok(self.inner.store.look().spent(&self.inner.name).await?.into_iter().map(body).collect())
    }

    /// Sets the policy, or goes back to the node's. A branch that it names anew must be here: the node's policy is read before
    /// its parties are, and is taken as it is. Each rule that changes is in the audit log before it is in
    /// force. Sessions whose links are not made yet are judged again.
    pub async fn set_policy(&self, own: Option<PeerPolicy>) -> Result<(), PartyError> {
        let party = &self.inner;
        if let Some(own) = &own {
            check(own)?;
        }
        let _one_at_a_time = party.deciding.lock().await;
        if let Some(own) = &own {
            check_branch(party, own)?;
        }
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
        let mut all = Vec::new();
        for row in party.store.approvals(&party.name, SHOWN).await? {
            let mut approval = read(row)?;
            if approval.state == WAITING
                && (is_given_up(&approval, party.clock.now())
                    || party.is_over(&approval.ask).await?
                    || party.is_known_done(&approval.ask).await?)
            {
                approval.state = OVER.to_owned();
            }
            all.push(approval);
        }
        Ok(all)
    }

    /// The owner's decision on a task that this party was asked to take part in. Durable when this returns; the
    /// gateway is rung, in case it waits. `TaskOver` if it would change nothing.
    pub async fn decide_approval(&self, task: &str, approved: bool) -> Result<Approval, PartyError> {
        let party = &self.inner;
        let state = if approved { "approved" } else { "refused" };
        let unknown = || PartyError::NoSuchTask(task.chars().take(100).collect());
        let asked = read(party.store.approval(&party.name, task).await?.ok_or_else(unknown)?)?;
        let (now, run) = (party.clock.now(), asked.ask.run());
        let Some(last) = last_to_come(&asked.ask, now) else { return Err(PartyError::TaskOver(asked.task)) };
        if is_given_up(&asked, now) || party.store.is_over(&party.name, run, last).await? {
            return Err(PartyError::TaskOver(asked.task));
        }
        let what = [
            ("action", "approval".to_owned()),
            ("peer", party.name.clone()),
            ("task", task.to_owned()),
            ("decision", state.to_owned()),
        ];
        party.log.append(Kind::Action, facts(what)).await?;
        // It may have been frozen meanwhile.
        if !party.store.decide_approval(&party.name, task, state, (run, last), now).await? {
            return Err(PartyError::TaskOver(asked.task));
        }
        party.tell_offer();
        read(party.store.approval(&party.name, task).await?.ok_or_else(unknown)?)
    }
}

impl Inner {
    /// Whether no computation of this task comes here any more: by this party's own clock and records alone, so that
    /// nobody else can keep an owner from refusing.
    async fn is_over(&self, ask: &Ask) -> Result<bool, PartyError> {
        match last_to_come(ask, self.clock.now()) {
            Some(last) => Ok(self.store.is_over(&self.name, ask.run(), last).await?),
            None => Ok(true),
        }
    }

    /// Whether the others have computed it, by the receipt.
    async fn is_known_done(&self, ask: &Ask) -> Result<bool, PartyError> {
        match last_to_come(ask, self.clock.now()) {
            Some(last) => Ok(self.store.has_receipt(&self.name, self.group, ask.run(), last).await?),
            None => Ok(true),
        }
    }

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

/// The last computation of a task, if it is not too late for it.
fn last_to_come(ask: &Ask, now: UnixMillis) -> Option<Slot> {
    let terms = ask.terms().ok()?;
    let last = Slot(terms.times - 1);
    let at = terms.moment(last)?;
    (!is_late(&ask.request, at, now)).then_some(last)
}

/// Whether the gateway waits no more for the owner's word, by this party's own clock: it began to wait before it asked here.
/// One that was interrupted may wait a little longer. What was approved may still be computed, so that it can be refused; and a
/// repeated task asks again until its last computation is too late.
fn is_given_up(asked: &Approval, now: UnixMillis) -> bool {
    let request = &asked.ask.request;
    let repeated = request.repeat.is_some_and(|repeat| repeat.times > 1);
    let waits_ms = i64::from(request.approval_s) * 1000 + CLOCK_SKEW_MS;
    asked.state != APPROVED && !repeated && now.since(asked.asked) > waits_ms
}

fn read(row: ApprovalRow) -> Result<Approval, PartyError> {
    let ask = serde_json::from_str(&row.ask_json).map_err(|e| PartyError::Damaged(e.to_string()))?;
    let client = row.client.and_then(|client| client.parse().ok());
    Ok(Approval { task: row.task, state: row.state, ask, client, asked: row.asked, decided: row.decided })
}

#[cfg(test)]
mod tests {
    use tacit_model::GroupId;
    use tacit_model::api::{TaskRepeat, TaskRequest, TaskSignature};

    use super::*;

    fn ask(approval_s: u32, repeat: Option<TaskRepeat>) -> Ask {
        let about = TaskRequest::about(GroupId(1), "temperature", "mean", "HVAC");
        let (issued, nonce) = ("1970-01-01T00:00:00Z".to_owned(), "00".repeat(16));
        let ticket = TaskSignature { key: String::new(), signature: String::new() };
        let request = TaskRequest { issued, nonce, approval_s, repeat, ..about }.into();
        Ask { request, client: None, ticket }
    }

    #[test]
    fn nobody_waits_for_a_word_after_the_time_that_the_client_gave() {
        let given_up = |state: &str, ask: &Ask, seconds: i64| {
            let (task, state, ask) = ("t".to_owned(), state.to_owned(), ask.clone());
            let asked = Approval { task, state, ask, client: None, asked: UnixMillis(10_000), decided: None };
            is_given_up(&asked, UnixMillis(seconds * 1000))
        };
        let (hasty, patient) = (ask(0, None), ask(600, None));
        assert_eq!([130, 131].map(|at| given_up(WAITING, &hasty, at)), [false, true], "2 minutes after it was asked");
        assert_eq!([730, 731].map(|at| given_up(WAITING, &patient, at)), [false, true], "its owner had 10 minutes");
        assert!(given_up("refused", &hasty, 131), "nobody asks for it any more");
        assert!(!given_up(APPROVED, &hasty, 131), "it may be computed, so that it can be refused");
        let repeated = ask(0, Some(TaskRepeat { every_s: 60, times: 11 }));
        assert!(!given_up(WAITING, &repeated, 600), "its next computation asks again");
    }

    #[test]
    fn a_decision_counts_until_the_last_computation_is_too_late() {
        let last = |ask: &Ask, seconds: i64| last_to_come(ask, UnixMillis(seconds * 1000));
        let (once, patient) = (ask(0, None), ask(600, None));
        assert_eq!((last(&once, 300), last(&once, 301)), (Some(Slot(0)), None), "5 minutes late");
        assert_eq!((last(&patient, 900), last(&patient, 901)), (Some(Slot(0)), None), "its owners had 10 minutes");
        let repeated = ask(0, Some(TaskRepeat { every_s: 60, times: 11 }));
        assert_eq!((last(&repeated, 900), last(&repeated, 901)), (Some(Slot(10)), None), "its last one is after 10");
        let damaged = Ask { request: once.request.with(|task| task.nonce.clear()), ..once };
        assert_eq!(last(&damaged, 0), None, "it would not be computed");
    }
}
