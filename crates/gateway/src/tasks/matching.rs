//! Who takes part in a task: the set is translated, capabilities are matched, those who are there are
//! taken (FlexSMC, thesis 4.4.3.2), all of them from the signed roster.

use std::collections::BTreeSet;
use std::sync::Arc;

use tacit_accord::{Charter, Consensus};
use tacit_engine::{Level, Plan};
use tacit_job::{Ask, Job, JobError, Task, Terms, operators_of, tellers_needed};
use tacit_model::{Attempt, Fingerprint, GroupId, Slot};

use super::branches::{self, Whole};
use crate::directory::Offer;
use crate::left_out::LeftOut;
use crate::runs::new_session;
use crate::{Gateway, GatewayError};

/// What a member that is connected offers to tasks.
#[derive(Clone, Debug)]
pub struct MemberOffer {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Labels by which sets choose it.
    pub labels: BTreeSet<String>,
    /// Names of its series.
    pub sources: BTreeSet<String>,
}

/// Whether a member has what is asked for.
pub(super) fn fits(ask: &Ask, terms: &Terms, offer: &Offer) -> bool {
    terms.labels.iter().all(|label| offer.labels.contains(label))
        && terms.series(&ask.request).all(|source| offer.sources.contains(source))
}

impl Gateway {
    /// What the members that are connected offer.
    pub async fn offers(&self, group: GroupId) -> Result<Vec<MemberOffer>, GatewayError> {
        let consensus = self.current(group).await?;
        let named = |m: &Fingerprint| consensus.charter().member(m).is_some();
        let present = self.inner.directory.of_group(group).into_iter().filter(|(member, _)| named(member));
        let offer = |(fingerprint, present): (Fingerprint, crate::directory::Present)| MemberOffer {
            name: present.name,
            fingerprint,
            labels: present.offer.labels.clone(),
            sources: present.offer.sources.clone(),
        };
        Ok(present.map(offer).collect())
    }

    /// Whether a task could ever be computed by its group: a plan with all members, whoever is there.
    pub(super) async fn plan_task(&self, ask: &Ask) -> Result<(), GatewayError> {
        let consensus = self.current(ask.request.group).await?;
        let charter = consensus.charter();
        let task = ask.task().map_err(|e| GatewayError::Invalid(e.to_string()))?;
        let members = |wanted: &mut dyn Iterator<Item = &tacit_accord::Member>| wanted.map(|m| m.fingerprint).collect();
        let job = Job {
            session: new_session()?,
            group: charter.group,
            charter: consensus.id(),
            run: ask.run(),
            slot: Slot(0),
            attempt: Attempt(0),
            task,
            inputs: match ask.level() {
                Level::Root => members(&mut tacit_job::branches(charter).into_values().flatten()),
                Level::Flat | Level::Branch => members(&mut charter.inputs()),
            },
            compute: members(&mut charter.computing()),
            recipients: named_recipients(ask, charter)?,
        };
        match tacit_job::plan_of(&consensus, &job) {
            Ok(_) => Ok(()),
            Err(error) => Err(GatewayError::Refused(self.no_plan(ask.request.group, &error).await?)),
        }
    }

    /// The job of a computation with those who are there and fit, or why there is none.
    pub(super) async fn match_task(
        &self,
        ask: &Ask,
        terms: &Terms,
        task: &Task,
        window: Slot,
        attempt: Attempt,
        without: &LeftOut,
    ) -> Result<Result<(Arc<Consensus>, Job), String>, GatewayError> {
        let consensus = self.current(ask.request.group).await?;
        let charter = consensus.charter();
        let directory = &self.inner.directory;
        // Whoever does not offer the aggregator, or computes nothing at all, is not asked, whatever its part would be.
        let serves = |services: &BTreeSet<String>| services.is_empty() || services.contains(&ask.request.aggregator);
        let connected =
            |m: &Fingerprint| directory.present(m).filter(|p| serves(&p.offer.services) && p.offer.sessions != Some(0));
        let present = |m: &Fingerprint| connected(m).filter(|_| !without.contains(m));
        // A branch's part takes all its compute peers, also one that has no records of its own.
        let computes = |m: &Fingerprint| match ask.level() {
            Level::Branch => connected(m).is_some(),
            Level::Flat | Level::Root => present(m).is_some(),
        };
        let fits = |m: &Fingerprint| present(m).is_some_and(|p| fits(ask, terms, &p.offer));
        let inputs: Vec<Fingerprint> = match ask.level() {
            Level::Root => {
                let Whole { members, found, all } = branches::whole(charter, present);
                let least = ask.least_branches();
                if found < least {
                    return Ok(Err(format!("{found} of {all} branches are there, and the task wants {least}")));
                }
                members
            }
            Level::Flat | Level::Branch => {
                let inputs: Vec<Fingerprint> = charter.inputs().map(|m| m.fingerprint).filter(fits).collect();
                let least = usize::try_from(ask.request.min_participants).unwrap_or(usize::MAX);
                if inputs.len() < least {
                    return Ok(Err(too_few(inputs.len(), least, ask.request.group)));
                }
                inputs
            }
        };
        let all = charter.computing().count();
        let compute: Vec<Fingerprint> = charter.computing().map(|m| m.fingerprint).filter(computes).collect();
        let needed = match ask.level() {
            // The group above knows a branch by all of them.
            Level::Branch => all,
            Level::Flat | Level::Root => {
                Plan::compute_needed(all, usize::try_from(charter.threshold).unwrap_or(usize::MAX))
            }
        };
        if compute.len() < needed {
            let found = compute.len();
            return Ok(Err(format!("{found} of {all} computing members are there, and {needed} are needed")));
        }
        let recipients: Vec<Fingerprint> = named_recipients(ask, charter)?.into_iter().filter(computes).collect();
        if recipients.is_empty() {
            return Ok(Err("none of the recipients is there".to_owned()));
        }
        // Of what fewer seal its client would take nothing, and the records would be spent.
        let needed = tellers_needed(&ask.request, charter);
        let found = operators_of(&recipients, charter);
        let sealed = ask.request.result_key.is_some() && !ask.request.tell_gateway;
        if sealed && found < needed {
            return Ok(Err(format!(
                "recipients of {found} operators are there, and those of {needed} must seal the result for its client to take it"
            )));
        }
        let job = Job {
            session: new_session()?,
            group: charter.group,
            charter: consensus.id(),
            run: ask.run(),
            slot: window,
            attempt,
            task: task.clone(),
            inputs,
            compute,
            recipients,
        };
        // Products, other models and additive sharing need more than that. Who is missing may be about to come back.
        let all_are_there = job.compute.len() == all && job.inputs.len() == charter.inputs().count();
        if !all_are_there && let Err(error @ JobError::Plan(_)) = tacit_job::plan_of(&consensus, &job) {
            return Ok(Err(self.no_plan(ask.request.group, &error).await?));
        }
        Ok(Ok((consensus, job)))
    }
}

fn named_recipients(ask: &Ask, charter: &Charter) -> Result<Vec<Fingerprint>, GatewayError> {
    let recipients = ask.recipients(charter);
    match ask.request.recipients.len() {
        0 => Ok(recipients),
        named if named == recipients.len() => Ok(recipients),
        _ => Err(GatewayError::Refused("a recipient is not a verified member of the group, or named twice".to_owned())),
    }
}

/// What a client hears if too few offer what it asks for: it may have mistyped a series or a label.
fn too_few(found: usize, least: usize, group: GroupId) -> String {
    let members = if found == 1 { "member" } else { "members" };
    format!(
        "{found} {members} can give what is asked for now, and the task wants {least}; `tacit task offers --group {group}` \
         shows what they give"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_what_nobody_has_hears_where_to_look() {
        let why = too_few(0, 3, GroupId(7));
        assert!(why.starts_with("0 members can give") && why.contains("`tacit task offers --group 7`"), "{why}");
        assert!(too_few(1, 3, GroupId(7)).starts_with("1 member can give"));
    }
}
