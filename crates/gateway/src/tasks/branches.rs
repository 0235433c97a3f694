//! Tasks over branches, from both sides: the part that a branch computes, and which branches a root asks.
//!
//! The root's gateway asks members like any others; those that give shares of a branch ask, each, their own gateway for
//! the branch's part, while they prepare. So branches work at the same time, and no gateway speaks for another.

use std::collections::BTreeSet;
use std::time::Duration;

use tacit_accord::Charter;
use tacit_engine::Level;
use tacit_job::{Ask, BRANCH_LABEL, Job, Response};
use tacit_model::api::{NewTask, TaskRequest};
use tacit_model::{CLOCK_SKEW_MS, Fingerprint};
use tracing::info;

use super::{PATIENCE, TaskWatch};
use crate::clients::signer;
use crate::directory::Present;
use crate::{Gateway, GatewayError};

impl Gateway {
    /// A compute peer of a group has its part of a task over branches computed: once, whoever of them asks first.
    pub(crate) async fn part_of_branch(&self, member: Fingerprint, task: TaskRequest) -> Response {
        let here = self.inner.directory.present(&member).is_some_and(|present| present.group == task.group);
        let consensus = self.current(task.group).await;
        let computes = |charter: &Charter| charter.member(&member).is_some_and(|member| member.role.computes());
        if !here || task.parent.is_none() || !consensus.is_ok_and(|consensus| computes(consensus.charter())) {
            let why = "a compute peer asks for the part of its own group in a task above".to_owned();
            return Response::Refused { why };
        }
        // Of many clients above, and of each as many as it may have.
        let limits = &self.inner.limits;
        let waiting =
            self.inner.client_tasks.waiting.take(&format!("member {member}"), 1, usize::MAX, limits.open_tasks);
        let _waiting = match waiting {
            Ok(waiting) => waiting,
            Err(error) => return Response::Refused { why: error.to_string() },
        };
        let taken = self.take_part(member, task).await;
        match taken {
            Ok(task) => {
                let body = task.ended().await;
                Response::Asked { state: body.state, detail: body.detail }
            }
            Err(error) => Response::Refused { why: error.to_string() },
        }
    }

    /// Takes a part, or finds it. All that this gateway knows of the task above is what one compute peer says, which may
    /// have invented it: so long as no other one asks for the same, the part counts as that peer's own. Then it counts
    /// as the client's of the task above, so that neither fills the places of others.
    async fn take_part(&self, member: Fingerprint, task: TaskRequest) -> Result<TaskWatch, GatewayError> {
        let client = client_above(&task);
        let asks = format!("member {member}");
        let new = NewTask { task, signature: None, notify: None, wait: false };
        let _one_at_a_time = self.inner.client_tasks.parts.lock().await;
        let most = self.inner.limits.client_tasks;
        let charged = self.inner.client_tasks.places.charged(&asks, &client, most);
        let part = self.take_task(new, &client, charged, None).await?;
        if let Some(open) = self.open_tasks().get_mut(&part.now().id) {
            open.place.confirm(&asks, &client);
        }
        Ok(part)
    }

    /// How long members may prepare: those of branches compute their part meanwhile.
    pub(crate) fn prepare_limit(&self, job: &Job) -> Duration {
        let limits = self.inner.limits;
        match job.ask().filter(|ask| ask.level() == Level::Root) {
            None => limits.prepare,
            Some(ask) => {
                PATIENCE
                    + 2 * limits.prepare
                    + limits.link
                    + Duration::from_secs(30 + u64::from(ask.request.approval_s))
            }
        }
    }
}

/// Whose a part is: the client's of the task above, by the key under it, as far as it signed; else its gateway's.
fn client_above(task: &TaskRequest) -> String {
    let Some(parent) = &task.parent else { return String::new() };
    let signer = signer(parent.client.as_ref()).or_else(|| signer(Some(&parent.ticket)));
    format!("client above {}", signer.map(|key| key.to_string()).unwrap_or_default())
}

/// The group above may have waited so long for busy members before it asked for a part, in milliseconds: as long as peers take
/// part after the moment that a task is for.
const WAITED_MS: i64 = 5 * 60_000;

/// How long ago a task may have been issued when it is handed in, in milliseconds. A part has the moment of the task above.
pub(super) fn oldest(request: &TaskRequest) -> i64 {
    match request.parent {
        None => CLOCK_SKEW_MS,
        Some(_) => WAITED_MS + i64::from(request.approval_s) * 1000,
    }
}

/// The branches that a task above could be computed over.
pub(super) struct Whole {
    /// Members of all branches that are there with all their members.
    pub(super) members: Vec<Fingerprint>,
    /// How many branches those are.
    pub(super) found: usize,
    /// How many branches the charter has.
    pub(super) all: usize,
}

/// The whole branches of a root among those who are there; those that are left out are named in the log.
pub(super) fn whole(charter: &Charter, present: impl Fn(&Fingerprint) -> Option<Present>) -> Whole {
    let mut whole = Whole { members: Vec::new(), found: 0, all: 0 };
    let mut left_out = BTreeSet::new();
    for (name, members) in tacit_job::branches(charter) {
        whole.all += 1;
        let speaks = |member: &Fingerprint| present(member).is_some_and(|p| p.offer.labels.contains(BRANCH_LABEL));
        match members.iter().all(|member| speaks(&member.fingerprint)) {
            true => {
                whole.found += 1;
                whole.members.extend(members.iter().map(|member| member.fingerprint));
            }
            false => _ = left_out.insert(name),
        }
    }
    if !left_out.is_empty() {
        info!(?left_out, "branches that are not there with all their members");
    }
    whole
}

/// What a client hears if not all branches took part; names are for the log.
pub(super) fn remark(ask: &Ask, job: &Job, charter: &Charter) -> String {
    if ask.level() != Level::Root {
        return String::new();
    }
    let branches = tacit_job::branches(charter);
    let took_part = |members: &&Vec<&tacit_accord::Member>| members.iter().any(|m| job.inputs.contains(&m.fingerprint));
    let (found, all) = (branches.values().filter(took_part).count(), branches.len());
    if found < all { format!("{found} of {all} branches took part") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use tacit_model::api::{ParentTask, TaskSignature};
    use tacit_model::{GroupId, Slot};

    use super::*;
    use crate::RunnerLimits;

    /// Members above may be busy as long as they are waited for, clocks may differ, and owners above may be asked first.
    #[test]
    fn w2_a_part_may_be_as_old_as_the_wait_above_made_it() {
        let flat = TaskRequest { approval_s: 60, ..TaskRequest::about(GroupId(1), "energy", "mean", "energy") };
        assert_eq!(oldest(&flat), CLOCK_SKEW_MS);
        let nobody = TaskSignature { key: String::new(), signature: String::new() };
        let parent =
            ParentTask { task: flat.clone(), client: None, ticket: nobody, charter: String::new(), window: Slot(0) };
        let part = TaskRequest { parent: Some(Box::new(parent)), ..flat };
        let waited = i64::try_from(RunnerLimits::default().seats.as_millis()).expect("minutes");
        assert!(oldest(&part) >= waited + CLOCK_SKEW_MS + 60_000);
    }
}
