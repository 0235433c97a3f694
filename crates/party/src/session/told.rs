//! What a recipient tells of a client's task: nothing, the sealed result, or the result itself.

use std::collections::BTreeSet;

use tacit_accord::Charter;
use tacit_engine::{NoResult, Plan, Statistic};
use tacit_job::{Job, Told, seal_result};
use tacit_model::Fingerprint;
use tacit_model::api::{Decimal, StatisticBody, TaskResult};
use tacit_pki::Identity;

/// The statistics in the unit of the series.
pub(super) fn in_units(job: &Job, plan: &Plan, sums: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
    let made = plan.statistics(sums);
    let Some(ask) = job.ask() else { return made };
    let scale = ask.terms().ok()?.scale;
    match made {
        Some(made) => Some(made.map(|all| all.into_iter().map(|one| scale.decode(one)).collect())),
        None => Some(Ok(ask
            .request
            .sources
            .iter()
            .zip(sums)
            .map(|(source, sum)| {
                #[allow(clippy::cast_precision_loss, reason = "the whole number is told beside it")]
                let value = *sum as f64;
                scale.decode(Statistic { name: format!("{}({source})", ask.request.aggregator), value })
            })
            .collect())),
    }
}

/// What this recipient tells. Recipients of as many operators seal the result, and sign what they seal, as are more than may
/// be corrupted: a client that compares them does not believe a wrong one. Where nobody may be trusted they are so many that
/// it needs not give up either (`tacit_job::settle`).
pub(super) fn tell(
    job: &Job,
    charter: &Charter,
    me: &Identity,
    plan: &Plan,
    sums: &[u128],
    made: Option<&Result<Vec<Statistic>, NoResult>>,
    contributors: u32,
) -> Option<Told> {
    let ask = job.ask()?;
    let own = me.fingerprint();
    let tells = tellers(job, charter, plan.shares_needed()).any(|recipient| *recipient == own);
    if !tells || (!ask.request.tell_gateway && ask.request.result_key.is_none()) {
        return None;
    }
    let statistics = |all: &Vec<Statistic>| {
        all.iter().map(|one| StatisticBody { name: one.name.clone(), value: one.value }).collect()
    };
    let result = TaskResult {
        id: ask.id().to_string(),
        window: job.slot,
        statistics: made.and_then(|made| made.as_ref().ok()).map(statistics).unwrap_or_default(),
        no_result: made.and_then(|made| made.as_ref().err()).map(ToString::to_string),
        values: sums.iter().map(|sum| Decimal(*sum)).collect(),
        contributors,
    };
    match &ask.request.result_key {
        Some(key) if !ask.request.tell_gateway => seal_result(result, job.charter, key, me).map(Told::Sealed),
        _ => Some(Told::Open(Box::new(result))),
    }
}

/// One recipient of each operator, the first ones of the job: a second word of the same operator proves nothing.
fn tellers<'a>(job: &'a Job, charter: &'a Charter, operators: usize) -> impl Iterator<Item = &'a Fingerprint> {
    let mut heard = BTreeSet::new();
    let operator = |recipient| charter.member(recipient).map(|member| member.operator.as_str());
    job.recipients.iter().filter(move |recipient| heard.insert(operator(recipient))).take(operators)
}
