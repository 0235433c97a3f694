//! The set operations on Bloom filters (SEPIA: Many et al. 2012): those of [`presence`](super::presence) and
//! [`correlation`](super::correlation) on the bits of filters instead of listed items.
//!
//! What is opened is a filter, and bits of different keys may fall together: a result has every key that it should have, and
//! others at the rate that it states. An intersection of filters has a few more bits than the filter of the intersection.

use tacit_algebra::Field;

use super::correlation::Correlation;
use super::presence::Items;
use super::{Cost, Evaluate, Filtered, Inputs, Settings};
use crate::aggregate::filter::{Filter, keys, read};
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

/// An operation on filters, and which keys are looked up in what comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filters {
    filter: Filter,
    keys: Vec<u64>,
    operation: Operation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Items(Items),
    Weighted(Correlation),
}

/// The same expression for whichever operation it is.
macro_rules! whichever {
    ($filters:expr, $operation:ident => $do:expr) => {
        match &$filters.operation {
            Operation::Items($operation) => $do,
            Operation::Weighted($operation) => $do,
        }
    };
}

impl Filters {
    pub(super) fn new(filtered: Filtered, settings: &Settings<'_>) -> Result<Self, PlanError> {
        let filter = read(settings.aggregator, settings.request)?;
        let positions = filter.positions();
        settings.check_work(positions)?;
        let operation = match filtered {
            Filtered::Set(question) => Operation::Items(Items::of_filter(question, positions, settings)?),
            Filtered::Weighted => Operation::Weighted(Correlation::of_filter(positions, settings)?),
        };
        let keys =
            settings.text("keys").map_or(Ok(Vec::new()), |text| keys(text).ok_or_else(|| settings.bad("keys")))?;
        Ok(Self { filter, keys, operation })
    }

    /// The chance that a key which nobody has looks as if somebody had it, where so many keys are there.
    pub(crate) fn false_positives_of(&self, keys: u128) -> f64 {
        self.filter.false_positives_of(keys)
    }
}

impl Evaluate for Filters {
    fn each(&self) -> bool {
        whichever!(self, f => f.each())
    }

    fn outputs(&self) -> usize {
        whichever!(self, f => f.outputs())
    }

    fn largest(&self, output: usize, contributors: usize) -> Option<u128> {
        whichever!(self, f => f.largest(output, contributors))
    }

    fn largest_inside(&self, contributors: usize) -> Option<u128> {
        whichever!(self, f => f.largest_inside(contributors))
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        whichever!(self, f => f.cost(contributors, cost));
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        whichever!(self, f => f.evaluate(arithmetic, inputs).await)
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        let filter = &self.filter;
        let positions = filter.positions();
        let (set, numbers) = match (&self.operation, opened) {
            (_, [one]) => (usize::try_from(*one).unwrap_or(usize::MAX), &[][..]),
            (_, numbers) => (numbers[..positions].iter().filter(|number| **number > 0).count(), numbers),
        };
        if set > positions {
            return Some(Err(NoResult::Impossible));
        }
        let Some(estimated) = filter.keys(set) else { return Some(Err(NoResult::FullFilter)) };
        let mut statistics = vec![
            Statistic::new("bits_set", set as f64),
            Statistic::new("keys_estimated", estimated),
            Statistic::new("false_positive_rate", filter.false_positives(set)),
        ];
        for key in &self.keys {
            // One number tells nothing of single keys.
            let Some((peers, weights)) = numbers.split_at_checked(positions) else { continue };
            let found = filter.look_up(peers, *key);
            statistics.push(Statistic::new(format!("peers({key})"), found as f64));
            if found > 0 && !weights.is_empty() {
                statistics.push(Statistic::new(format!("weight({key})"), filter.look_up(weights, *key) as f64));
            }
        }
        Some(Ok(statistics))
    }
}
