//! The k keys with the largest sums, where nobody listed the keys before: addresses, say.
//!
//! SEPIA's top-k (Burkhart, Dimitropoulos 2010) hashes keys into arrays and opens counts while it searches a threshold. Here
//! the contributors' pairs of a key and a weight are sorted by key, the weights of equal neighbours are added up, and what
//! stands at the last of each key goes through the network of [`top`](super::top), the key in its lower digits. Exact; which
//! pairs meet follows from how many places there are; nothing is opened but the k keys and their sums.
//!
//! For m places: the sort (Batcher 1968; its stages as in [`network`]), m comparisons of neighbours, 2 m log2 m products for
//! the sums (prefix sums of segments: Hillis, Steele 1986; Blelloch 1990), and a network that cuts to k.

use tacit_algebra::Field;

use super::order::{bits, network, room};
use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::exact::{big, ratio};
use crate::aggregate::settings::{DEFAULT_MAX_WEIGHT, DEFAULT_TABLE};
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

pub(super) mod cardinality;

/// Places of all contributors together.
const MOST_PLACES: usize = 100_000;

/// Pairs of a key and a weight; empty places are key 0 with weight 0, which adds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopKeys {
    k: usize,
    /// Places of one contributor.
    most: usize,
    inputs: usize,
    /// How many keys there are: one more than the largest.
    keys: u128,
    max_weight: u128,
    ipv4: bool,
}

impl TopKeys {
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_comparisons()?;
        let most = places(settings.number("max_records", DEFAULT_TABLE)?, settings)?;
        let unless_set = usize::try_from(settings.max_element()).unwrap_or(usize::MAX).min(DEFAULT_MAX_WEIGHT);
        let max_weight = settings.number("max_weight", unless_set)?;
        let ipv4 = settings.text("keys_as") == Some("ipv4");
        if ipv4 && settings.max_element() > u128::from(u32::MAX) {
            return Err(settings.bad("keys_as"));
        }
        Ok(Self {
            k: settings.number("k", 10)?.min(most * settings.inputs()),
            most,
            inputs: settings.inputs(),
            keys: settings.max_element() + 1,
            max_weight: max_weight as u128,
            ipv4,
        })
    }

    /// One more than the largest sum with its key. A contributor may give the same key in all its places.
    fn end(&self, contributors: usize) -> Option<u128> {
        let sum = self.max_weight.checked_mul((contributors * self.most) as u128)?;
        sum.checked_add(1)?.checked_mul(self.keys)
    }

    /// Bits of the numbers of which the largest are taken; the plan refused what has more.
    fn bits(&self) -> u32 {
        self.end(self.inputs).map_or(u128::BITS, bits)
    }

    fn key_bits(&self) -> u32 {
        bits(self.keys - 1).max(1)
    }

    fn weight_bits(&self) -> u32 {
        bits(self.max_weight).max(1)
    }

    fn name(&self, key: u128) -> String {
        match u32::try_from(key) {
            Ok(address) if self.ipv4 => format!("sum({})", std::net::Ipv4Addr::from(address)),
            _ => format!("sum({key})"),
        }
    }

    /// Of sorted keys, 1 at the last of each and 0 elsewhere.
    async fn last<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        keys: &Shared<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let (before, after) = (keys.slice(0..keys.len() - 1), keys.slice(1..keys.len()));
        let rises = arithmetic.less_than(&before, &after, self.key_bits()).await?;
        Ok(last_of_each(&rises))
    }
}

/// So many places of each contributor, unless those of all are too many.
fn places(most: usize, settings: &Settings<'_>) -> Result<usize, PlanError> {
    let items = most.saturating_mul(settings.inputs());
    if items > MOST_PLACES { Err(PlanError::TooManyItems { items, limit: MOST_PLACES }) } else { Ok(most) }
}

/// 1 at the last place of each key and 0 elsewhere, of whether each key is less than the next.
fn last_of_each<F: Field>(rises: &Shared<F>) -> Shared<F> {
    Shared::concat(&[rises, &Shared::constant(&[F::ONE])])
}

/// At each place, the sum of the weights of its key up to there.
async fn sums_of_segments<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    weights: &Shared<F>,
    last: &Shared<F>,
) -> Result<Shared<F>, ArithmeticError> {
    let length = weights.len();
    let mut sums = weights.duplicate();
    // Whether the places from `distance` before this one on, that one included, have this one's key.
    let mut joined = Shared::constant(&vec![F::ONE; length - 1]).sub(&last.slice(0..length - 1));
    let mut distance = 1;
    while distance < length {
        let more = 2 * distance < length;
        // joined[i] speaks of place i + distance.
        let earlier = sums.slice(0..length - distance);
        let (left, right) = match more {
            true => {
                let far = joined.slice(distance..length - distance);
                let near = joined.slice(0..length - 2 * distance);
                (Shared::concat(&[&joined, &far]), Shared::concat(&[&earlier, &near]))
            }
            false => (joined.duplicate(), earlier),
        };
        let products = arithmetic.multiply(&left, &right).await?;
        let (added, rest) = (products.slice(0..length - distance), products.slice(length - distance..products.len()));
        sums.add_assign(&Shared::concat(&[&Shared::zeros(distance), &added]));
        (joined, distance) = (rest, 2 * distance);
    }
    Ok(sums)
}

fn sums_of_segments_cost(length: usize, cost: &mut Cost) {
    let mut distance = 1;
    while distance < length {
        cost.multiply(length - distance + length.saturating_sub(2 * distance));
        distance *= 2;
    }
}

impl Evaluate for TopKeys {
    fn each(&self) -> bool {
        true
    }

    fn outputs(&self) -> usize {
        self.k
    }

    fn largest(&self, _: usize, contributors: usize) -> Option<u128> {
        self.end(contributors)?.checked_sub(1)
    }

    fn largest_inside(&self, _: usize) -> Option<u128> {
        room(self.bits())
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        let places = contributors * self.most;
        network::sort_pairs_cost(places, self.key_bits(), self.weight_bits(), cost);
        cost.compare(places - 1, self.key_bits());
        sums_of_segments_cost(places, cost);
        cost.multiply(places);
        network::top_cost(places, self.k, self.bits(), cost);
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let all = |from: usize| {
            let parts: Vec<Shared<F>> = inputs.each.iter().map(|input| input.slice(from..from + self.most)).collect();
            Shared::concat(&parts.iter().collect::<Vec<_>>())
        };
        let (keys, weights) = (all(0), all(self.most));
        let (keys, weights) = arithmetic.sort_with(&keys, self.key_bits(), &weights, self.weight_bits()).await?;
        let last = self.last(arithmetic, &keys).await?;
        let mut numbers = sums_of_segments(arithmetic, &weights, &last).await?;
        // Of equal sums the smaller key comes first.
        numbers.scale(F::from_u128(self.keys));
        numbers.add_constant(&vec![F::from_u128(self.keys - 1); numbers.len()]);
        numbers.sub_assign(&keys);
        arithmetic.multiply_assign(&mut numbers, &last).await?;
        network::top(arithmetic, numbers, self.k, self.bits()).await
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        // Each key has one sum, so that numbers with a sum differ.
        if opened.windows(2).any(|pair| pair[0] < pair[1] || (pair[0] == pair[1] && pair[0] >= self.keys)) {
            return Some(Err(NoResult::Impossible));
        }
        let statistic = |number: &u128| {
            let name = self.name(self.keys - 1 - number % self.keys);
            Ok(Statistic::new(name, ratio(&big(number / self.keys), &big(1))?))
        };
        Some(opened.iter().filter(|number| **number >= self.keys).map(statistic).collect())
    }
}

/// Accepts how keys are shown.
pub(crate) fn is_form(text: &str) -> bool {
    matches!(text, "number" | "ipv4")
}
