//! The k items with the largest sums.
//!
//! SEPIA's top-k (Burkhart, Dimitropoulos 2010) hashes keys, searches a threshold and compares the items above
//! it, and opens on the way how many there are. Here each sum carries its item's number in its lower
//! digits, which makes all numbers different; a network cuts sorted blocks to the k largest. Exact, and nothing is opened
//! but the k items.

use tacit_algebra::Field;

use super::order::{bits, network, room};
use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::exact::{big, ratio};
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

/// Items that can take part.
const MOST_ITEMS: usize = 100_000;
/// The most that are asked for.
const MOST: usize = 1000;

/// Sums with their item's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopK {
    names: Vec<String>,
    max_element: u128,
    k: usize,
    inputs: usize,
}

impl TopK {
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_comparisons()?;
        let items = settings.items();
        if items > MOST_ITEMS {
            return Err(PlanError::TooManyItems { items, limit: MOST_ITEMS });
        }
        Ok(Self {
            names: settings.names()?,
            max_element: settings.max_element(),
            k: settings.number("k", 10)?.min(items),
            inputs: settings.inputs(),
        })
    }

    /// One more than the largest number with its item's.
    fn end(&self, contributors: usize) -> Option<u128> {
        let sums = self.max_element.checked_mul(contributors as u128)?.checked_add(1)?;
        sums.checked_mul(self.names.len() as u128)
    }

    /// Bits of the numbers that are compared; the plan refused what has more.
    fn bits(&self) -> u32 {
        self.end(self.inputs).map_or(u128::BITS, bits)
    }
}

impl Evaluate for TopK {
    fn outputs(&self) -> usize {
        self.k
    }

    fn largest(&self, _: usize, contributors: usize) -> Option<u128> {
        self.end(contributors)?.checked_sub(1)
    }

    fn largest_inside(&self, _: usize) -> Option<u128> {
        room(self.bits())
    }

    fn cost(&self, _: usize, cost: &mut Cost) {
        network::top_cost(self.names.len(), self.k, self.bits(), cost);
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let items = self.names.len();
        let mut numbers = inputs.sum;
        numbers.scale(F::from_u64(items as u64));
        // Of equal sums the first item comes first.
        let marks: Vec<F> = (0..items).rev().map(|mark| F::from_u64(mark as u64)).collect();
        numbers.add_constant(&marks);
        network::top(arithmetic, numbers, self.k, self.bits()).await
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        if opened.windows(2).any(|pair| pair[0] <= pair[1]) {
            return Some(Err(NoResult::Impossible));
        }
        let items = self.names.len() as u128;
        let statistic = |number: &u128| {
            let item = usize::try_from(items - 1 - number % items).map_err(|_| NoResult::Impossible)?;
            Ok(Statistic::new(format!("sum({})", self.names[item]), ratio(&big(number / items), &big(1))?))
        };
        // Items that nobody has are none of the largest.
        Some(opened.iter().filter(|number| **number >= items).map(statistic).collect())
    }
}

/// Accepts how many are asked for.
pub(crate) fn is_k(text: &str) -> bool {
    text.parse::<usize>().is_ok_and(|k| (1..=MOST).contains(&k))
}
