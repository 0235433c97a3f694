//! What results with noise may cost each series, in epsilon and delta (rule 9).
//!
//! The epsilons of all results over a series add up, whatever the windows: that is on the safe side. A series with
//! a budget is given to aggregators with noise only, since nothing bounds what exact results tell. The ledger is
//! [`tacit_store::SpendRow`]; a budget that is raised counts what was spent before.

use tacit_engine::Plan;
use tacit_job::{Job, MICRO, Micro};
use tacit_model::UnixMillis;
use tacit_store::{Look, SpendRow};

use super::entries::{ANY, are_entries, parts};
use super::{Policy, TaskRefusal};
use crate::party::Inner;

/// The rows that are handed in for the slots of a run, among series: none can have this name.
pub(crate) const QUEUE: &str = "(queue)";
/// Deltas are kept in 10^-15.
const FEMTO: f64 = 1e15;

impl Policy {
    /// What this plan costs the series; refused if that is more than they may cost, or if they have a budget
    /// and the plan has no noise.
    pub(crate) async fn judge_budget(
        &self,
        party: &Inner,
        look: &mut Look,
        job: &Job,
        plan: &Plan,
        sources: &[&str],
        now: UnixMillis,
    ) -> Result<Vec<SpendRow>, TaskRefusal> {
        let most = |source: &str| {
            let epsilon = budget(&self.epsilon_budgets, source, epsilon_of);
            let delta = budget(&self.delta_budgets, source, delta_of);
            (epsilon, delta)
        };
        let Some(privacy) = plan.privacy() else {
            let bounded = |source: &&&str| most(source) != (None, None);
            return match sources.iter().find(bounded) {
                None => Ok(Vec::new()),
                Some(source) => {
                    Err(TaskRefusal::Exact { name: (*source).to_owned(), aggregator: job.task.aggregator.clone() })
                }
            };
        };
        // Rounded upwards, but for what is left of a decimal number: nothing is free.
        let epsilon = (privacy.epsilon * MICRO as f64 - 1e-3).ceil().max(1.0) as i64;
        let delta = (privacy.delta * FEMTO).ceil() as i64;
        let before = look.spent(&party.name).await?;
        let mut scope = format!("{}/{}", party.gateway, party.group);
        if let Some(ask) = job.ask() {
            scope = format!("{scope}/{}", ask.id());
        }
        let mut costs = Vec::with_capacity(sources.len());
        for source in sources {
            let (most_epsilon, most_delta) = most(source);
            let spent = before.iter().find(|row| row.source == *source);
            let (spent_epsilon, spent_delta) = spent.map_or((0, 0), |row| (row.epsilon, row.delta));
            let cost = SpendRow {
                scope: scope.clone(),
                run: job.run,
                slot: job.slot,
                source: (*source).to_owned(),
                epsilon,
                delta,
                most_epsilon: most_epsilon.unwrap_or(i64::MAX),
                most_delta: most_delta.unwrap_or(i64::MAX),
                at: now,
            };
            let refused =
                |what, spent, cost, most| TaskRefusal::Spent { what, name: (*source).to_owned(), spent, cost, most };
            let over_epsilon = most_epsilon.filter(|most| spent_epsilon.saturating_add(epsilon) > *most);
            let over_delta = most_delta.filter(|most| spent_delta.saturating_add(delta) > *most);
            let refusal = match (over_epsilon, over_delta) {
                (Some(most), _) => {
                    let [spent, cost, most] = [spent_epsilon, epsilon, most].map(|value| Micro(value).to_string());
                    Some(refused("epsilon", spent, cost, most))
                }
                (None, Some(most)) => {
                    let [spent, cost, most] = [spent_delta, delta, most].map(delta_text);
                    Some(refused("delta", spent, cost, most))
                }
                (None, None) => None,
            };
            // An attempt that was given up after this peer's shares had left was paid for, and so is the next one.
            if let Some(refusal) = refusal
                && !look.is_charged(&party.name, &cost).await?
            {
                return Err(refusal);
            }
            costs.push(cost);
        }
        Ok(costs)
    }
}

/// A delta of the ledger, as a decimal.
pub(crate) fn delta_text(femto: i64) -> String {
    format!("{:e}", femto as f64 / FEMTO)
}

/// Whether entries are `NAME=DECIMAL`, names series, `*` or `(queue)`, each once.
pub(super) fn are_budgets(entries: &[String], read: fn(&str) -> Option<i64>) -> bool {
    are_entries(entries, &[QUEUE], read)
}

/// The budget of a series, if it has one. What cannot be read allows nothing: a value its series, and an entry whose
/// series cannot be told every series without an entry of its own. Policies of older versions are kept as they are.
fn budget(entries: &[String], source: &str, read: fn(&str) -> Option<i64>) -> Option<i64> {
    let of = |wanted: &str| {
        let mut named = entries.iter().filter_map(|entry| parts(entry, &[QUEUE])).filter(|(name, _)| *name == wanted);
        named.next().map(|(_, value)| read(value).unwrap_or(0))
    };
    let unreadable = || entries.iter().any(|entry| parts(entry, &[QUEUE]).is_none()).then_some(0);
    let any = || if source == QUEUE { None } else { of(ANY) };
    of(source).or_else(unreadable).or_else(any)
}

/// In millionths.
pub(super) fn epsilon_of(text: &str) -> Option<i64> {
    text.parse().ok().map(|Micro(value)| value).filter(|value| *value >= 0)
}

/// In 10^-15.
pub(super) fn delta_of(text: &str) -> Option<i64> {
    text.parse().ok().filter(|delta: &f64| (0.0..=1.0).contains(delta)).map(|delta| (delta * FEMTO).floor() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule9_budgets_are_read() {
        let texts = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        let entries = texts(&["temperature=2.5", "*=10", "odd=much"]);
        let epsilon = |source| budget(&entries, source, epsilon_of);
        assert_eq!(epsilon("temperature"), Some(2_500_000));
        assert_eq!((epsilon("co2"), epsilon(QUEUE)), (Some(10_000_000), None));
        assert_eq!(epsilon("odd"), Some(0), "what cannot be read allows nothing");
        assert_eq!(budget(&[], "co2", epsilon_of), None);
        for entry in ["co2:2", "co2", "c o 2=2", "=2", "(other)=1"] {
            let entries = texts(&["temperature=2.5", entry, "*=10"]);
            let epsilon = |source| budget(&entries, source, epsilon_of);
            assert_eq!((epsilon("co2"), epsilon(QUEUE)), (Some(0), Some(0)), "{entry} may be meant for it");
            assert_eq!(epsilon("temperature"), Some(2_500_000), "{entry} is not meant for it");
        }
        assert_eq!(budget(&texts(&["(queue)=1e-6"]), QUEUE, delta_of), Some(1_000_000_000));
        assert!(are_budgets(&texts(&["temperature=2.5", "*=10", "(queue)=0"]), epsilon_of));
        for wrong in ["temperature", "a b=1", "=1", "t=-1", "t=x", "(other)=1"] {
            assert!(!are_budgets(&texts(&[wrong]), epsilon_of), "{wrong}");
        }
        assert!(!are_budgets(&texts(&["t=1", "t=2"]), epsilon_of));
        assert!(!are_budgets(&texts(&["t=2"]), delta_of) && are_budgets(&texts(&["t=0.000001"]), delta_of));
        assert_eq!(delta_text(1_500_000), "1.5e-9");
    }
}
