//! How many different keys somebody has, everybody has, or at least so many have: exact, for keys that nobody listed before.
//!
//! Only the number is opened. All keys are sorted together with whose they are, which tells repetitions of the same
//! contributor apart from reports of several; what stays is counted for each key, and the keys that enough have are added up. So
//! a contributor that gives a key twice, against what it is to do, counts once. Filters estimate the same
//! ([`filters`](crate::evaluate::filters)) of more keys than can be sorted.

use tacit_algebra::Field;

use super::{last_of_each, places, sums_of_segments, sums_of_segments_cost};
use crate::aggregate::settings::DEFAULT_TABLE;
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::evaluate::order::{bits, network, room};
use crate::evaluate::presence::{Least, at_least, at_least_cost};
use crate::evaluate::{Cost, Evaluate, Inputs, Settings};
use crate::plan::PlanError;

/// Places of keys, the empty ones with a number beyond all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyCardinality {
    least: Least,
    /// Places of one contributor.
    most: usize,
    inputs: usize,
    /// What stands for an empty place: one more than any key.
    beyond: u128,
}

impl KeyCardinality {
    pub(in crate::evaluate) fn new(settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_comparisons()?;
        Ok(Self {
            least: Least::of(settings)?,
            most: places(settings.number("max_records", DEFAULT_TABLE)?, settings)?,
            inputs: settings.inputs(),
            beyond: settings.max_element() + 1,
        })
    }

    /// Of keys with whose they are; the plan refused what has more than can be compared.
    fn bits(&self) -> u32 {
        bits((self.beyond + 1).saturating_mul(self.inputs as u128))
    }
}

impl Evaluate for KeyCardinality {
    fn each(&self) -> bool {
        true
    }

    fn outputs(&self) -> usize {
        1
    }

    fn largest(&self, _: usize, contributors: usize) -> Option<u128> {
        Some((contributors * self.most) as u128)
    }

    fn largest_inside(&self, _: usize) -> Option<u128> {
        Some(room(self.bits())?.max((self.inputs * self.most) as u128))
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        let length = contributors * self.most;
        network::sort_pairs_cost(length, self.bits(), bits(self.beyond), cost);
        if self.least == Least::Peers(1) {
            cost.compare(2 * length - 1, self.bits());
        } else {
            cost.compare(3 * length - 2, self.bits());
            sums_of_segments_cost(length, cost);
            at_least_cost(length, contributors, cost);
            cost.multiply(length);
        }
        cost.dot(1, length);
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let keys: Vec<&Shared<F>> = inputs.each.iter().collect();
        let keys = Shared::concat(&keys);
        let length = keys.len();
        let mut whose = keys.duplicate();
        whose.scale(F::from_u64(self.inputs as u64));
        let owners: Vec<F> = (0..length).map(|place| F::from_u64((place / self.most) as u64)).collect();
        whose.add_constant(&owners);
        let (whose, keys) = arithmetic.sort_with(&whose, self.bits(), &keys, bits(self.beyond)).await?;

        let full = Shared::constant(&vec![F::from_u128(self.beyond); length]);
        let rest = length - 1;
        let (keys_before, keys_after) = (keys.slice(0..rest), keys.slice(1..length));
        if self.least == Least::Peers(1) {
            let (low, high) = (Shared::concat(&[&keys, &keys_before]), Shared::concat(&[&full, &keys_after]));
            let less = arithmetic.less_than(&low, &high, self.bits()).await?;
            let last = last_of_each(&less.slice(length..length + rest));
            return arithmetic.dot(&less.slice(0..length), &last, length).await;
        }
        let low = Shared::concat(&[&keys, &keys_before, &whose.slice(0..rest)]);
        let high = Shared::concat(&[&full, &keys_after, &whose.slice(1..length)]);
        let less = arithmetic.less_than(&low, &high, self.bits()).await?;
        let last = last_of_each(&less.slice(length..length + rest));
        // The first of a contributor's repetitions counts.
        let first = Shared::concat(&[&Shared::constant(&[F::ONE]), &less.slice(length + rest..less.len())]);
        let counts = sums_of_segments(arithmetic, &first, &last).await?;
        let n = inputs.contributors;
        let enough = at_least(arithmetic, &counts, n, self.least.of_so_many(n)).await?;
        let wanted = arithmetic.multiply(&less.slice(0..length), &last).await?;
        arithmetic.dot(&wanted, &enough, length).await
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        // At most 100,000: exact as a double.
        Some(Ok(opened.iter().map(|count| Statistic::new("keys", *count as f64)).collect()))
    }
}
