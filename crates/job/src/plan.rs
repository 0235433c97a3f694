use std::collections::BTreeMap;

use tacit_accord::{Charter, Configuration, Consensus, MAX_MEMBERS, Member, OnMissingInput, Sharing as CharterSharing};
use tacit_engine::aggregate::{PEER_WEIGHTS, Shape};
use tacit_engine::{
    LEVEL, Level, OnMissing, Plan, PlanError, PlanRequest, RowShape, SecurityModel, Sharing, aggregate,
};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

use crate::branches::check_whole;
use crate::job::PROVIDER;
use crate::{Job, Source, Task};

#[cfg(test)]
mod tests;

/// The parameter that names the security model.
pub(crate) const MODEL: &str = "security_model";

/// Why a job cannot be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// It names another consensus than the one it was compared with.
    #[error("the job is under another charter")]
    Charter,
    /// It names somebody who is not in the charter, or not in that role.
    #[error("{0} is not in the signed roster in that role")]
    Roster(Fingerprint),
    /// It leaves out input peers although the charter wants the rows of all.
    #[error("the charter wants the input of all {wanted} input peers and the job names {found} of them")]
    Inputs {
        /// How many the job names.
        found: usize,
        /// How many the charter has.
        wanted: usize,
    },
    /// Its task is not the one of the charter.
    #[error("the job's task is not the one the charter names")]
    Task,
    /// A number that is no number.
    #[error("{0} must be a decimal number below 2^64")]
    Number(&'static str),
    /// A security model that there is none of.
    #[error("security_model is semi-honest, malicious or guaranteed")]
    Model,
    /// The client's request cannot be taken.
    #[error(transparent)]
    Ask(#[from] crate::AskError),
    /// Of a branch some members are named and some are not.
    #[error("the job names some of branch {0:?} and not all; a branch takes part with all its members or not at all")]
    PartOfBranch(String),
    /// Too few branches.
    #[error(
        "{found} whole branches are named and the task wants {wanted}; a branch is an operator with at least 3 input members"
    )]
    FewBranches {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// One branch alone could read everything.
    #[error("branch {0:?} has more computing members here than may be corrupted: let others compute")]
    BranchReads(String),
    /// A setting that only tasks over branches make.
    #[error("level is set by tasks over branches alone: leave it out")]
    Level,
    /// A weight for somebody who is not there to give data.
    #[error(
        "peer_weights names {0:?}, which is no member of the group that gives data: name members as `tacit group show` \
         prints them, or by fingerprint"
    )]
    Weighed(String),
    /// What SMC providers do not compute.
    #[error("an SMC provider computes {0}; or leave out the parameter provider")]
    Provider(&'static str),
    /// A client's task asks for another program than the group agreed to compute with.
    #[error(
        "the charter does not name the SMC provider {0:?}: leave out the parameter provider, or have the group \
         configured with it"
    )]
    ProviderNotAgreed(String),
    /// The planner refuses it.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The plan of a job under a charter. Gateway and peers derive it from texts they hold themselves,
/// and compare digests; whoever computes another plan takes no part.
///
/// What is taken from the job rather than from the charter is checked here: everybody named must be
/// in the signed roster in that role, and the recipients must be those of the charter, or those that a
/// client's task names. The input peers of the standing task must be all of the charter's, or at least its
/// minimum where it has one; of a client's task, as many as it says.
pub fn plan_of(consensus: &Consensus, job: &Job) -> Result<Plan, JobError> {
    let charter = consensus.charter();
    if job.charter != consensus.id() || job.group != charter.group {
        return Err(JobError::Charter);
    }
    let entitled: Vec<Fingerprint> = match &job.task.source {
        Source::Queue if Task::standing(charter).as_ref() == Some(&job.task) => {
            check_inputs(charter, job)?;
            no_level(&job.task.parameters)?;
            charter.recipients().map(|m| m.fingerprint).collect()
        }
        Source::Series(ask) if ask.task()? == job.task && ask.run() == job.run => {
            if ask.request.group != charter.group || ask.terms()?.moment(job.slot).is_none() {
                return Err(JobError::Task);
            }
            check_provider(charter, &job.task)?;
            if ask.level() == Level::Root {
                check_whole(charter, job, ask)?;
            }
            ask.recipients(charter)
        }
        _ => return Err(JobError::Task),
    };
    all_in(&job.inputs, |m| charter.member(m).is_some_and(|m| m.role.gives_input()))?;
    all_in(&job.compute, |m| charter.member(m).is_some_and(|m| m.role.computes()))?;
    all_in(&job.recipients, |m| entitled.contains(m))?;
    let plan = Plan::build(request(charter, job)?)?;
    if job.task.provider().is_some() {
        check_provided(&plan)?;
    }
    Ok(plan)
}

/// What SMC providers are given: a sum of whole vectors, among members that all give, compute and receive.
fn check_provided(plan: &Plan) -> Result<(), JobError> {
    let all: Vec<usize> = (0..plan.members().len()).collect();
    if plan.inputs() != all || plan.compute() != all || plan.recipients() != all {
        return Err(JobError::Provider(
            "among members that all give, compute and learn: let all join in the role both",
        ));
    }
    check_sums(plan.aggregator().name, plan.model())
}

/// SMC providers add up, among those who follow the protocol, and no more.
fn check_sums(aggregator: &str, model: SecurityModel) -> Result<(), JobError> {
    match (aggregator, model) {
        ("sum", SecurityModel::SemiHonest) => Ok(()),
        ("sum", _) => Err(JobError::Provider("under the semi-honest model only")),
        _ => Err(JobError::Provider("sums only: choose sum")),
    }
}

/// Who gives data is not the gateway's choice: it could name a victim and an accomplice who subtracts its
/// own row from the sum. Where the charter lets a slot go on with fewer, the plan checks its minimum.
fn check_inputs(charter: &Charter, job: &Job) -> Result<(), JobError> {
    let missing = charter.inputs().any(|m| !job.inputs.contains(&m.fingerprint));
    match charter.slots.on_missing_input {
        OnMissingInput::Fail | OnMissingInput::Wait if missing => {
            Err(JobError::Inputs { found: job.inputs.len(), wanted: charter.inputs().count() })
        }
        _ => Ok(()),
    }
}

/// Which program gets the inputs is for the members to agree on, not for a client: a task may ask for the provider that
/// the charter names, and for no other.
fn check_provider(charter: &Charter, task: &Task) -> Result<(), JobError> {
    let agreed = charter.configuration.as_ref().and_then(|c| c.parameters.get(PROVIDER));
    match task.provider() {
        Some(asked) if agreed != Some(asked) => Err(JobError::ProviderNotAgreed(asked.clone())),
        _ => Ok(()),
    }
}

fn no_level(parameters: &BTreeMap<String, String>) -> Result<(), JobError> {
    if names_level(parameters) { Err(JobError::Level) } else { Ok(()) }
}

/// Whether a setting makes a part of a result over branches. A quantile has a level, too, which is a number.
pub(crate) fn names_level(parameters: &BTreeMap<String, String>) -> bool {
    parameters.get(LEVEL).is_some_and(|text| Level::named(text).is_some())
}

/// Whether a configuration can be right for a group of the smallest size. Members come and go, so the
/// same numbers are looked at again for the members of the day.
pub fn check_configuration(configuration: &Configuration) -> Result<(), JobError> {
    smallest_plan(configuration).map(|_| ())
}

/// What a row may be under a configuration.
pub struct RowRules {
    /// How many numbers it has.
    pub shape: RowShape,
    bounds: Bounds,
}

enum Bounds {
    /// The same for all numbers of a vector: known without a plan, as rows come often.
    Same(u64),
    /// Those of a plan.
    Planned(Box<Plan>),
}

impl RowRules {
    /// Those of a configuration.
    pub fn of(configuration: &Configuration) -> Result<Self, JobError> {
        if aggregate::find(&configuration.aggregator).is_some_and(|aggregator| aggregator.input == Shape::Vector) {
            let shape = RowShape::Items(usize::try_from(configuration.items).unwrap_or(usize::MAX));
            return Ok(Self { shape, bounds: Bounds::Same(number(&configuration.max_element, "maxElement")?) });
        }
        let plan = smallest_plan(configuration)?;
        Ok(Self { shape: plan.row_shape(), bounds: Bounds::Planned(Box::new(plan)) })
    }

    /// The first number above what is let in, if one is: its row and its place there, both counted from 0, and the limit.
    pub fn above<'a>(&self, rows: impl Iterator<Item = &'a [u64]>) -> Option<(usize, usize, u64)> {
        let bound = |item: usize| match &self.bounds {
            Bounds::Same(most) => *most,
            Bounds::Planned(plan) => plan.row_bound(item),
        };
        let above = |row: &[u64]| row.iter().enumerate().position(|(item, value)| *value > bound(item));
        rows.enumerate().find_map(|(number, row)| above(row).map(|item| (number, item, bound(item))))
    }
}

fn smallest_plan(configuration: &Configuration) -> Result<Plan, JobError> {
    let aggregator = aggregate::find(&configuration.aggregator)
        .ok_or_else(|| PlanError::UnknownAggregator { name: configuration.aggregator.clone() })?;
    no_level(&configuration.parameters)?;
    let (model, parameters) = model_of(&configuration.parameters)?;
    if configuration.parameters.contains_key(PROVIDER) {
        check_sums(aggregator.name, model)?;
    }
    let smallest = if model == SecurityModel::Guaranteed { 4 } else { 3 };
    let (inputs, parameters) = smallest_inputs(parameters);
    let compute: Vec<usize> = (inputs..inputs + smallest).collect();
    let members: Vec<Fingerprint> = (0..inputs + smallest).map(numbered).collect();
    let request = PlanRequest {
        session: SessionId([0; 16]),
        attempt: Attempt(0),
        slot: Slot(0),
        charter: [0; 32],
        task: [0; 32],
        aggregator: aggregator.name.to_owned(),
        aggregator_version: aggregator.version,
        parameters,
        sharing: Sharing::Shamir { threshold: 1 },
        charter_threshold: 1,
        charter_compute: compute.len(),
        model,
        items: usize::try_from(configuration.items).unwrap_or(usize::MAX),
        max_element: number(&configuration.max_element, "maxElement")?,
        modulus: Some(number(&configuration.field, "field")?),
        members,
        inputs: (0..inputs).collect(),
        compute,
        recipients: vec![0, 1],
        on_missing: match model {
            SecurityModel::Guaranteed => OnMissing::Proceed { min: 2 },
            SecurityModel::SemiHonest | SecurityModel::Malicious => OnMissing::Fail,
        },
    };
    Ok(Plan::build(request)?)
}

/// Some member that is not any other.
fn numbered(number: usize) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(number as u64).to_be_bytes());
    Fingerprint(bytes)
}

/// How many input peers the parameters take at least, and the parameters for so many: whoever is weighed by name is one of
/// them, and others weigh 1.
fn smallest_inputs(mut parameters: BTreeMap<String, String>) -> (usize, BTreeMap<String, String>) {
    let number = |name: &str| parameters.get(name).and_then(|text| text.parse::<u64>().ok());
    let mut least = number("min_peers").unwrap_or(0);
    let wanted = number("min_peer_weight").unwrap_or(0);
    let weights = parameters.get(PEER_WEIGHTS).and_then(|text| aggregate::peer_weights(text));
    let weights: Vec<u64> = weights.unwrap_or_default().into_values().collect();
    least = least.max(weights.len() as u64 + wanted.saturating_sub(weights.iter().sum()));
    if !weights.is_empty() {
        parameters.insert(PEER_WEIGHTS.to_owned(), placed_weights(weights.into_iter().enumerate()));
    }
    // Whatever is above what a plan can have is refused as too much.
    let most = MAX_MEMBERS as u64;
    (usize::try_from(least.clamp(2, most)).unwrap_or(2), parameters)
}

/// Weights by place, as the engine reads them.
fn placed_weights(weights: impl IntoIterator<Item = (usize, u64)>) -> String {
    weights.into_iter().map(|(place, weight)| format!("{place}={weight}")).collect::<Vec<_>>().join(",")
}

/// Who weighs how much, from members' names to their places among those who give data today. Members that are not there
/// today are left out.
fn place_weights(charter: &Charter, job: &Job, parameters: &mut BTreeMap<String, String>) -> Result<(), JobError> {
    let Some(text) = parameters.get(PEER_WEIGHTS) else { return Ok(()) };
    // What is no list is refused by the planner.
    let Some(weights) = aggregate::peer_weights(text) else { return Ok(()) };
    let members = job.members();
    let today: Vec<&Fingerprint> = members.iter().filter(|member| job.inputs.contains(member)).collect();
    let mut placed = BTreeMap::new();
    for (name, weight) in weights {
        let named = |member: &&Member| member.name == name || member.fingerprint.to_string() == name;
        let found = charter.inputs().find(named).ok_or_else(|| JobError::Weighed(name.to_owned()))?;
        if let Ok(place) = today.binary_search(&&found.fingerprint)
            && placed.insert(place, weight).is_some()
        {
            return Err(JobError::Weighed(name.to_owned()));
        }
    }
    match placed.is_empty() {
        true => _ = parameters.remove(PEER_WEIGHTS),
        false => _ = parameters.insert(PEER_WEIGHTS.to_owned(), placed_weights(placed)),
    }
    Ok(())
}

fn request(charter: &Charter, job: &Job) -> Result<PlanRequest, JobError> {
    let threshold = usize::try_from(charter.threshold).unwrap_or(usize::MAX);
    let members = job.members();
    let indices = |wanted: &[Fingerprint]| {
        let mut indices: Vec<usize> = wanted.iter().filter_map(|m| members.binary_search(m).ok()).collect();
        indices.sort_unstable();
        indices
    };
    let (model, mut parameters) = model_of(&job.task.parameters)?;
    place_weights(charter, job, &mut parameters)?;
    let version = aggregate::find(&job.task.aggregator).map_or(0, |a| a.version);
    Ok(PlanRequest {
        session: job.session,
        attempt: job.attempt,
        slot: job.slot,
        charter: job.charter.0,
        task: job.task.digest(job.run),
        aggregator: job.task.aggregator.clone(),
        aggregator_version: version,
        parameters,
        sharing: match charter.sharing {
            CharterSharing::Shamir => Sharing::Shamir { threshold },
            CharterSharing::Additive => Sharing::Additive,
        },
        charter_threshold: threshold,
        charter_compute: charter.computing().count(),
        model,
        items: usize::try_from(job.task.items).unwrap_or(usize::MAX),
        max_element: number(&job.task.max_element, "maxElement")?,
        modulus: job.task.modulus.as_deref().map(|text| number(text, "field")).transpose()?,
        inputs: indices(&job.inputs),
        compute: indices(&job.compute),
        recipients: indices(&job.recipients),
        members,
        on_missing: match job.task.on_missing_input {
            OnMissingInput::Proceed(min) => OnMissing::Proceed { min: usize::try_from(min).unwrap_or(usize::MAX) },
            OnMissingInput::Fail | OnMissingInput::Wait => OnMissing::Fail,
        },
    })
}

/// The security model that a task or a charter's configuration names among its parameters, and the aggregator's
/// own parameters. `semi-honest` unless set.
fn model_of(parameters: &BTreeMap<String, String>) -> Result<(SecurityModel, BTreeMap<String, String>), JobError> {
    let mut parameters = parameters.clone();
    // Who computes is not the aggregator's matter.
    parameters.remove(PROVIDER);
    let model = match parameters.remove(MODEL) {
        None => SecurityModel::SemiHonest,
        Some(name) => SecurityModel::named(&name).ok_or(JobError::Model)?,
    };
    Ok((model, parameters))
}

fn all_in(members: &[Fingerprint], fits: impl Fn(&Fingerprint) -> bool) -> Result<(), JobError> {
    members.iter().find(|m| !fits(m)).map_or(Ok(()), |m| Err(JobError::Roster(*m)))
}

fn number(text: &str, what: &'static str) -> Result<u64, JobError> {
    text.parse().map_err(|_| JobError::Number(what))
}
