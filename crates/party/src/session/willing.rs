//! Between Prepare and Link: whether a party that was willing still is. Its owner may have changed the policy, or refused the
//! task.

use std::sync::Arc;

use tacit_engine::Plan;
use tacit_job::{AskError, Decline, Job};
use tacit_store::SpendRow;

use super::branch;
use super::prepare::{Declined, Prepared, ask_owner};
use crate::party::Inner;
use crate::policy::{Asked, Policy, QUEUE, TaskRefusal, Unread, freezes};

/// Judges a session again by the policy of now, which is the one that it goes on by. Where that is the same, and asks no
/// owner, there is nothing to be done.
pub(super) async fn still_willing(party: &Inner, prepared: &mut Prepared) -> Result<(), Declined> {
    let policy = party.policy();
    if !Arc::ptr_eq(&policy, &prepared.policy) {
        let spent = judge_again(party, &policy, prepared).await?;
        let claim = &mut prepared.claim;
        let charged = if freezes(&party.me, &prepared.job) { &mut claim.with_freeze } else { &mut claim.before };
        charged.spent = spent;
        prepared.policy = Arc::clone(&policy);
    }
    let Some(ask) = prepared.job.ask().filter(|_| asks_owner(&policy, &prepared.plan, prepared.me)) else {
        return Ok(());
    };
    let client = branch::client_of(party, &policy, ask)?;
    ask_owner(party, ask, client, party.clock.now()).await
}

/// The task that the owner was asked about before this party took part in it, if they were.
pub(super) fn asked_about(policy: &Policy, job: &Job, plan: &Plan, me: usize) -> Option<String> {
    job.ask().filter(|_| asks_owner(policy, plan, me)).map(|ask| ask.id().to_string())
}

/// Whether a party's owner is asked before it takes part in a client's task: about its own data.
fn asks_owner(policy: &Policy, plan: &Plan, me: usize) -> bool {
    policy.manual_approval && plan.inputs().binary_search(&me).is_ok()
}

/// What of Prepare depends on the policy; what the result costs by this one. The records are those that were selected then.
async fn judge_again(party: &Inner, policy: &Policy, prepared: &Prepared) -> Result<Vec<SpendRow>, Declined> {
    let Prepared { job, consensus, plan, me, claim, left_out, .. } = prepared;
    let charter = consensus.charter();
    let judged = policy.judge(&party.me, job, charter);
    judged.map_err(|refusal| Declined::new(Decline::Policy, refusal.to_string()))?;
    let refused = |refusal: TaskRefusal| Declined::new(refusal.decline(), refusal.to_string());
    let gives = plan.inputs().binary_search(me).is_ok();
    let now = party.clock.now();
    let mut look = party.store.look();
    let Some(ask) = job.ask() else {
        let sources: &[&str] = if gives { &[QUEUE] } else { &[] };
        return policy.judge_budget(party, &mut look, job, plan, sources, now).await.map_err(refused);
    };
    let unfit = |error: AskError| Declined::new(Decline::Plan, error.to_string());
    let client = branch::client_of(party, policy, ask)?;
    let terms = ask.terms().map_err(unfit)?;
    let at = terms.moment(job.slot).ok_or_else(|| Declined::new(Decline::Plan, "the task has no such computation"))?;
    let asked = Asked { ask, terms, me: party.me, client, at, now };
    policy.judge_task(&asked, job, charter).map_err(refused)?;
    let taken = if freezes(&party.me, job) { &claim.with_freeze.taken } else { &claim.before.taken };
    let sources: Vec<&str> = taken.iter().map(|row| row.source.as_str()).collect();
    let opened = &claim.with_freeze.opened;
    let unread = Unread { job, plan, opened, gives: gives.then_some(&*sources) };
    let spent = policy.judge_unread(party, &mut look, &asked, &unread).await.map_err(refused)?;
    if gives {
        policy.judge_read(party, &mut look, &asked, *left_out, taken).await.map_err(refused)?;
    }
    Ok(spent)
}
