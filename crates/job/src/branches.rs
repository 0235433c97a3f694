//! Tasks over branches: what a branch is asked for its part, and which members of the root make whole branches.
//!
//! In the group above, the **root**, one operator is one branch: its members that give input there are the compute peers
//! of the branch's own group, all of them. From the task at the root follows, word for word, what the branch is asked;
//! so the branch's peers see the true purpose, client and recipients, and nobody can ask them for something else.

use std::collections::{BTreeMap, BTreeSet};

use tacit_accord::{Charter, ConsensusId, Member};
use tacit_engine::Level;
use tacit_model::api::{ParentTask, TaskRequest};
use tacit_model::{Fingerprint, GroupId, Slot};

use crate::{Ask, AskError, Job, JobError};

/// The label of members that give shares of a branch.
pub const BRANCH_LABEL: &str = "branch";

/// A branch has at least so many compute peers, as every group that computes.
const LEAST_MEMBERS: usize = 3;
/// With fewer branches the total of one would follow from the own one.
const LEAST_BRANCHES: usize = 2;

impl Ask {
    /// Whether it stands alone, or is a part of a task over branches.
    pub fn level(&self) -> Level {
        level_of(&self.request)
    }

    /// At least so many branches take part.
    pub fn least_branches(&self) -> usize {
        usize::try_from(self.request.branches).unwrap_or(usize::MAX).max(LEAST_BRANCHES)
    }

    /// What a branch is asked for its part in a computation of this task under the root's charter.
    pub fn in_branch(&self, charter: ConsensusId, window: Slot, group: GroupId) -> Result<TaskRequest, AskError> {
        let moment = self.terms()?.moment(window);
        let moment = moment.ok_or_else(|| AskError::Field("the task above has no such computation".to_owned()))?;
        let above = ParentTask {
            task: (*self.request).clone(),
            client: self.client.clone(),
            ticket: self.ticket.clone(),
            charter: charter.to_string(),
            window,
        };
        Ok(TaskRequest {
            group,
            recipients: Vec::new(),
            result_key: None,
            tell_gateway: false,
            branches: 0,
            parent: Some(Box::new(above)),
            issued: moment.to_rfc3339(),
            repeat: None,
            ..(*self.request).clone()
        })
    }

    /// The task above, of which this one is exactly a branch's part.
    pub fn parent(&self) -> Result<Option<Self>, AskError> {
        above(&self.request)
    }
}

/// At which level a request stands, see [`Ask::level`].
pub(crate) fn level_of(request: &TaskRequest) -> Level {
    match (request.branches, &request.parent) {
        (_, Some(_)) => Level::Branch,
        (0, None) => Level::Flat,
        _ => Level::Root,
    }
}

/// What was asked above a request, see [`Ask::parent`].
pub(crate) fn above(request: &TaskRequest) -> Result<Option<Ask>, AskError> {
    let Some(parent) = &request.parent else { return Ok(None) };
    let unfit = || AskError::Field("the part of a branch must be what the task above asks for".to_owned());
    if parent.task.parent.is_some() || parent.task.branches == 0 {
        return Err(unfit());
    }
    let asked = parent.task.clone();
    let ask = Ask { request: asked.into(), client: parent.client.clone(), ticket: parent.ticket.clone() };
    let charter = parent.charter.parse().map_err(|_| unfit())?;
    if ask.in_branch(charter, parent.window, request.group)? != *request {
        return Err(unfit());
    }
    Ok(Some(ask))
}

/// The branches of a root: the operators of members that give input, and those members.
pub fn branches(charter: &Charter) -> BTreeMap<&str, Vec<&Member>> {
    let mut branches: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in charter.inputs() {
        branches.entry(&member.operator).or_default().push(member);
    }
    branches.retain(|_, members| members.len() >= LEAST_MEMBERS);
    branches
}

/// Every branch is in with all its members or not at all, there are enough of them, and none of them alone can read
/// what the root's compute peers hold.
pub(crate) fn check_whole(charter: &Charter, job: &Job, ask: &Ask) -> Result<(), JobError> {
    let mut found = 0;
    let mut covered: BTreeSet<Fingerprint> = BTreeSet::new();
    for (operator, members) in branches(charter) {
        let named = members.iter().filter(|member| job.inputs.contains(&member.fingerprint)).count();
        if named == 0 {
            continue;
        }
        if named < members.len() {
            return Err(JobError::PartOfBranch(operator.to_owned()));
        }
        found += 1;
        covered.extend(members.iter().map(|member| member.fingerprint));
    }
    if let Some(stranger) = job.inputs.iter().find(|member| !covered.contains(member)) {
        return Err(JobError::Roster(*stranger));
    }
    let wanted = ask.least_branches();
    if found < wanted {
        return Err(JobError::FewBranches { found, wanted });
    }
    let mut computing: BTreeMap<&str, usize> = BTreeMap::new();
    for member in job.compute.iter().filter_map(|member| charter.member(member)) {
        *computing.entry(&member.operator).or_default() += 1;
    }
    let threshold = usize::try_from(charter.threshold).unwrap_or(usize::MAX);
    match computing.into_iter().find(|(_, members)| *members > threshold) {
        Some((operator, _)) => Err(JobError::BranchReads(operator.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
