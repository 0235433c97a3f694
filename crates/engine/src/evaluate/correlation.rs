//! Events that at least so many contributors report, with the sum of the weights they give them.
//!
//! SEPIA's event correlation (Burkhart et al. 2010): an event and its weight are opened only if enough
//! report it. Of every other event nothing is opened, not even that somebody reports it.

use tacit_algebra::Field;

use super::presence::{at_least, at_least_cost};
use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

/// The vectors hold a bit per event and then a weight per event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Correlation {
    names: Vec<String>,
    max_element: u128,
    min_peers: usize,
}

impl Correlation {
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_work(settings.items())?;
        Ok(Self { names: settings.names()?, max_element: settings.max_element(), min_peers: settings.min_peers()? })
    }
}

impl Evaluate for Correlation {
    fn outputs(&self) -> usize {
        2 * self.names.len()
    }

    fn largest(&self, output: usize, contributors: usize) -> Option<u128> {
        let contributors = contributors as u128;
        if output < self.names.len() { Some(contributors) } else { contributors.checked_mul(self.max_element) }
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        at_least_cost(self.names.len(), contributors, cost);
        cost.multiply(2 * self.names.len());
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let counts = inputs.sum.slice(0..self.names.len());
        let enough = at_least(arithmetic, &counts, inputs.contributors, self.min_peers).await?;
        arithmetic.multiply(&inputs.sum, &Shared::concat(&[&enough, &enough])).await
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        let (peers, weights) = opened.split_at(self.names.len());
        let mut statistics = Vec::new();
        for ((name, peers), weight) in self.names.iter().zip(peers).zip(weights) {
            // Whoever reports an event gives it a weight of at least 1.
            if (*peers > 0 && *peers < self.min_peers as u128) || weight < peers || (*peers == 0 && *weight > 0) {
                return Some(Err(NoResult::Impossible));
            }
            if *peers > 0 {
                statistics.push(Statistic::new(format!("peers({name})"), *peers as f64));
                statistics.push(Statistic::new(format!("weight({name})"), *weight as f64));
            }
        }
        Some(Ok(statistics))
    }
}
