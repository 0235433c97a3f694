//! Functions of the order of all records: smallest, largest, their distance, quantiles, sorting.
//!
//! Each contributor gives as many places as records are allowed, empty ones with a number beyond all
//! others, so that nobody sees how many records it has. All places of a column go through a network of
//! comparisons; nothing is opened on the way.

use tacit_algebra::Field;

use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::exact::{big, ratio};
use crate::aggregate::settings::is_per_peer;
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

pub(super) mod network;

/// Places of all contributors and columns together.
const MOST_PLACES: usize = 100_000;
/// Digits of a quantile's level behind the point.
const LEVEL_DIGITS: usize = 6;

/// Which number of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Largest minus smallest.
    Range,
    /// The middle one, or the mean of the two in the middle.
    Median,
    /// The one below which a part of the records lies.
    Quantile,
    /// All of them.
    Sort,
}

impl Order {
    /// Whether empty places go below all records, above them, or first the one and then the other in two vectors.
    pub(crate) fn empty_below(self) -> &'static [bool] {
        match self {
            Self::Min | Self::Median | Self::Quantile | Self::Sort => &[false],
            Self::Max => &[true],
            Self::Range => &[false, true],
        }
    }

    /// Vectors of places.
    pub(crate) fn vectors(self) -> usize {
        self.empty_below().len()
    }
}

/// A function of order, column by column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordered {
    order: Order,
    names: Vec<String>,
    /// Places of one contributor and column.
    most: usize,
    inputs: usize,
    /// What stands for an empty place where those are above: one more than any number.
    beyond: u128,
    /// A quantile's level as a fraction.
    level: (u64, u64),
}

impl Ordered {
    pub(super) fn new(order: Order, settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_comparisons()?;
        let most = if is_per_peer(settings.request) { 1 } else { settings.number("max_records", 1)? };
        let places = most.saturating_mul(settings.items()).saturating_mul(settings.inputs());
        if places > MOST_PLACES {
            return Err(PlanError::TooManyItems { items: places, limit: MOST_PLACES });
        }
        let columns = if order == Order::Sort { 1 } else { MOST_PLACES };
        if settings.items() > columns {
            return Err(settings.bad_columns(1, columns));
        }
        Ok(Self {
            order,
            names: settings.column_names()?,
            most,
            inputs: settings.inputs(),
            beyond: settings.max_element() + 1,
            level: match order {
                Order::Quantile => settings.text("level").and_then(level).ok_or(settings.missing("level"))?,
                _ => (1, 2),
            },
        })
    }

    fn columns(&self) -> usize {
        self.names.len()
    }

    fn bits(&self) -> u32 {
        bits(self.beyond)
    }

    /// All contributors' places, column after column; of the lower ones if `low`.
    fn places<F: Field>(&self, inputs: &Inputs<F>, low: bool) -> Shared<F> {
        let start = if low && self.order == Order::Range { self.columns() * self.most } else { 0 };
        let column = |column: usize| {
            let from = start + column * self.most;
            inputs.each.iter().map(move |input| input.slice(from..from + self.most))
        };
        let parts: Vec<Shared<F>> = (0..self.columns()).flat_map(column).collect();
        Shared::concat(&parts.iter().collect::<Vec<_>>())
    }

    /// The quantile of each column, plus 1, times the level's denominator; zero where there are no records.
    ///
    /// In the sorted column the full places come first. With v_i = 1 where place i is full, v_(j-1) - v_j is 1 for
    /// the number j of records alone, and chooses among the quantiles of all possible numbers,
    /// which are linear in the sorted column.
    async fn quantile<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        sorted: Shared<F>,
        places: usize,
    ) -> Result<Shared<F>, ArithmeticError> {
        let beyond = vec![F::from_u128(self.beyond); sorted.len()];
        let full = arithmetic.less_than_public(&sorted, &beyond, self.bits()).await?;
        let (above, below) = self.level;
        let (mut chosen, mut quantiles) = (Vec::new(), Vec::new());
        for (full, sorted) in full.expose_shares().chunks_exact(places).zip(sorted.expose_shares().chunks_exact(places))
        {
            for records in 1..=places {
                let next = full.get(records).copied().unwrap_or(F::ZERO);
                chosen.push(full[records - 1] - next);
                let position = (records as u64 - 1) * above;
                let (at, part) = (usize::try_from(position / below).unwrap_or(0), position % below);
                let upper = sorted.get(at + 1).copied().unwrap_or(F::ZERO);
                let quantile = sorted[at] * F::from_u64(below - part) + upper * F::from_u64(part);
                quantiles.push(quantile + F::from_u64(below));
            }
        }
        arithmetic.dot(&Shared::from_shares(chosen), &Shared::from_shares(quantiles), places).await
    }
}

impl Evaluate for Ordered {
    fn each(&self) -> bool {
        true
    }

    fn outputs(&self) -> usize {
        if self.order == Order::Sort { self.inputs * self.most } else { self.columns() }
    }

    fn largest(&self, _: usize, _: usize) -> Option<u128> {
        match self.order {
            Order::Min | Order::Max | Order::Sort => Some(self.beyond),
            Order::Range => self.beyond.checked_mul(2),
            Order::Median | Order::Quantile => self.beyond.checked_mul(u128::from(self.level.1)),
        }
    }

    fn largest_inside(&self, contributors: usize) -> Option<u128> {
        Some(self.largest(0, contributors)?.max(room(self.bits())?))
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        let (places, columns, bits) = (contributors * self.most, self.columns(), self.bits());
        match self.order {
            Order::Min | Order::Max => network::extreme_cost(places, columns, bits, 1, cost),
            Order::Range => {
                network::extreme_cost(places, columns, bits, 1, cost);
                network::extreme_cost(places, columns, bits, 1, cost);
            }
            Order::Sort => network::sort_cost(places, columns, bits, cost),
            Order::Median | Order::Quantile => {
                network::sort_cost(places, columns, bits, cost);
                cost.compare(places * columns, bits);
                cost.multiply(columns);
            }
        }
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let places = inputs.contributors * self.most;
        let bits = self.bits();
        match self.order {
            Order::Min => arithmetic.min(&self.places(&inputs, false), places, bits).await,
            Order::Max => arithmetic.max(&self.places(&inputs, true), places, bits).await,
            Order::Range => {
                let mut low = arithmetic.min(&self.places(&inputs, false), places, bits).await?;
                let high = arithmetic.max(&self.places(&inputs, true), places, bits).await?;
                low.scale(-F::ONE);
                low.add_assign(&high);
                low.add_constant(&vec![F::from_u128(self.beyond); low.len()]);
                Ok(low)
            }
            Order::Median | Order::Quantile => {
                let sorted = arithmetic.sort_rows(&self.places(&inputs, false), places, bits).await?;
                self.quantile(arithmetic, sorted, places).await
            }
            Order::Sort => {
                let sorted = arithmetic.sort_rows(&self.places(&inputs, false), places, bits).await?;
                let missing = vec![F::from_u128(self.beyond); self.outputs() - sorted.len()];
                Ok(Shared::concat(&[&sorted, &Shared::constant(&missing)]))
            }
        }
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        let (above, below) = self.level;
        let number = |name: &str, opened: u128| -> Result<(String, u128, u128), NoResult> {
            let found = |what: &str, empty: bool, number: Option<u128>, below| match (empty, number) {
                (true, _) => Err(NoResult::NoRecords),
                (false, None) => Err(NoResult::Impossible),
                (false, Some(number)) => Ok((format!("{what}({name})"), number, below)),
            };
            match self.order {
                Order::Min | Order::Sort => found("min", opened == self.beyond, Some(opened), 1),
                Order::Max => found("max", opened == 0, opened.checked_sub(1), 1),
                Order::Range => found("range", opened == 0, opened.checked_sub(1 + self.beyond), 1),
                Order::Median => found("median", opened == 0, opened.checked_sub(2), 2),
                Order::Quantile => {
                    let below = u128::from(below);
                    let name = format!("quantile_{}", ratio(&big(u128::from(above)), &big(below))?);
                    found(&name, opened == 0, opened.checked_sub(below), below)
                }
            }
        };
        let statistic = |(name, above, below): (String, u128, u128)| -> Result<Statistic, NoResult> {
            Ok(Statistic::new(name, ratio(&big(above), &big(below))?))
        };
        if self.order == Order::Sort {
            let full = opened.iter().take_while(|number| **number < self.beyond).enumerate();
            let name = &self.names[0];
            return Some(full.map(|(at, number)| statistic((format!("{name}[{}]", at + 1), *number, 1))).collect());
        }
        Some(self.names.iter().zip(opened).map(|(name, opened)| statistic(number(name, *opened)?)).collect())
    }
}

/// How many bits a number takes.
pub(super) fn bits(largest: u128) -> u32 {
    128 - largest.leading_zeros()
}

/// What has to be below the modulus so that numbers of so many bits can be compared.
pub(super) fn room(bits: u32) -> Option<u128> {
    1u128.checked_shl(bits + 2).filter(|room| *room > 0)
}

/// A level from 0 to 1 as a fraction, such as 0.95.
fn level(text: &str) -> Option<(u64, u64)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > LEVEL_DIGITS || !part.bytes().all(|b| b.is_ascii_digit()) || !matches!(whole, "0" | "1") {
        return None;
    }
    let below = 10u64.pow(u32::try_from(part.len()).ok()?);
    let part = if part.is_empty() { 0 } else { part.parse().ok()? };
    let above = whole.parse::<u64>().ok()? * below + part;
    (above <= below).then_some((above, below))
}

/// Accepts a level.
pub(crate) fn is_level(text: &str) -> bool {
    level(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        assert_eq!(level("0.95"), Some((95, 100)));
        assert_eq!((level("0"), level("1"), level("0.5")), (Some((0, 1)), Some((1, 1)), Some((5, 10))));
        for wrong in ["", ".", ".5", "1.1", "2", "-0.5", "0.1234567", "0.5e1", "half", "0.+5"] {
            assert_eq!(level(wrong), None, "{wrong}");
        }
    }
}
