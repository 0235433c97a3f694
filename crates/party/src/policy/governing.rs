//! The policy in force: the node's, or one that was set while the peer runs.

use std::sync::{Arc, PoisonError, RwLock};

use tacit_engine::{SecurityModel, aggregate};
use tacit_model::api::PeerPolicy;

use super::Policy;
use super::budget::{are_budgets, delta_of, epsilon_of};
use super::ranges::are_ranges;
use crate::PartyError;

/// Longer lists are not taken.
const MOST: usize = 1000;
/// Longer texts are not taken.
const LONGEST: usize = 200;

/// Holds the policy in force. Whoever judges takes one value and keeps to it.
pub(crate) struct Governing {
    /// What `node.toml` says.
    node: Policy,
    now: RwLock<Arc<Policy>>,
}

impl Governing {
    pub(crate) fn new(node: Policy, own: Option<PeerPolicy>) -> Self {
        let now = RwLock::new(Arc::new(with(&node, own)));
        Self { node, now }
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the node's policy says.
    pub(crate) fn of_node(&self) -> &PeerPolicy {
        &self.node.rules
    }

    /// Takes over a policy, or the node's again.
    pub(crate) fn set(&self, own: Option<PeerPolicy>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(with(&self.node, own));
    }
}

fn with(node: &Policy, own: Option<PeerPolicy>) -> Policy {
    let limits = node.clone();
    Policy { rules: own.unwrap_or_else(|| node.rules.clone()), ..limits }
}

/// Whether a policy can be meant: names that exist, lists and texts of a sensible length.
pub(crate) fn check(policy: &PeerPolicy) -> Result<(), PartyError> {
    let bad = |why: String| Err(PartyError::Policy(why));
    let lists = [&policy.aggregators, &policy.models, &policy.purposes, &policy.sources, &policy.branch];
    let lists = lists.into_iter().chain([&policy.epsilon_budgets, &policy.delta_budgets, &policy.ranges]);
    let keys = [&policy.verified, &policy.clients, &policy.parents];
    if lists.clone().any(|list| list.len() > MOST) || keys.iter().any(|list| list.len() > MOST) {
        return bad(format!("a list has at most {MOST} entries"));
    }
    if lists.flat_map(|list| list.iter()).any(|text| text.is_empty() || text.chars().count() > LONGEST) {
        return bad(format!("a text has 1 to {LONGEST} characters"));
    }
    if let Some(name) = policy.aggregators.iter().find(|name| aggregate::find(name).is_none()) {
        return bad(format!("there is no aggregator {name:?}; `tacit group aggregators` names all"));
    }
    if policy.models.iter().any(|name| SecurityModel::named(name).is_none()) {
        return bad("models are semi-honest, malicious and guaranteed".to_owned());
    }
    if !are_budgets(&policy.epsilon_budgets, epsilon_of) || !are_budgets(&policy.delta_budgets, delta_of) {
        let form =
            "a budget is NAME=DECIMAL, each name once: a series, * for all others, or (queue); such as temperature=2.5";
        return bad(form.to_owned());
    }
    if !are_ranges(&policy.ranges) {
        let form =
            "a range is NAME=FROM..TO, each name once: a series, or * for all others; such as temperature=-40..60";
        return bad(form.to_owned());
    }
    if policy.branch.len() > 1 {
        return bad("a peer gives the shares of one party: branch has at most one entry".to_owned());
    }
    if policy.keep_samples_hours == 0 {
        return bad("keep_samples_hours is at least 1: no value of it keeps samples for ever".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_cannot_be_meant_is_refused() {
        let list = |entry: &str| vec![entry.to_owned()];
        let wrong = [
            (PeerPolicy { epsilon_budgets: list("temperature:2"), ..PeerPolicy::default() }, "NAME=DECIMAL"),
            (PeerPolicy { delta_budgets: list("*=2"), ..PeerPolicy::default() }, "NAME=DECIMAL"),
            (PeerPolicy { ranges: list("temperature=60..-40"), ..PeerPolicy::default() }, "NAME=FROM..TO"),
            (PeerPolicy { models: list("honest"), ..PeerPolicy::default() }, "models are"),
            (PeerPolicy { aggregators: list("avg"), ..PeerPolicy::default() }, "no aggregator \"avg\""),
            (PeerPolicy { keep_samples_hours: 0, ..PeerPolicy::default() }, "keep_samples_hours is at least 1"),
        ];
        for (rules, words) in wrong {
            let policy = Policy::from(rules);
            assert!(policy.check().is_err_and(|why| why.to_string().contains(words)), "{words}");
            // One that an older version took still loads.
            let governing = Governing::new(Policy::default(), Some(policy.rules.clone()));
            assert_eq!(governing.policy().rules, policy.rules);
        }
        assert!(Policy::default().check().is_ok());
        let least = PeerPolicy { keep_samples_hours: 1, ..PeerPolicy::default() };
        assert!(Policy::from(least).check().is_ok());
    }
}
