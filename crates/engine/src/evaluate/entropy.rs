//! Tsallis' entropy of the summed vector (Tsallis 1988; as SEPIA computes it, Burkhart et al. 2010).
//!
//! With item sums s_i and their total S: (1 - sum (s_i / S)^q) / (q - 1). The powers are computed on
//! shares; S and sum s_i^q are opened, no s_i is.

use num_bigint::{BigInt, Sign};
use tacit_algebra::Field;

use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::exact::{big, ratio};
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

/// Opens the total and the power sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PowerSum {
    items: usize,
    max_element: u128,
    q: u32,
}

impl PowerSum {
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, PlanError> {
        let q = u32::try_from(settings.number("q", 2)?).map_err(|_| settings.bad("q"))?;
        Ok(Self { items: settings.items(), max_element: settings.max_element(), q })
    }

    fn largest_total(&self, contributors: usize) -> Option<u128> {
        self.max_element.checked_mul(contributors as u128)?.checked_mul(self.items as u128)
    }
}

impl Evaluate for PowerSum {
    fn outputs(&self) -> usize {
        2
    }

    fn largest(&self, output: usize, contributors: usize) -> Option<u128> {
        if output == 0 {
            return self.largest_total(contributors);
        }
        let item = self.max_element.checked_mul(contributors as u128)?;
        item.checked_pow(self.q)?.checked_mul(self.items as u128)
    }

    fn cost(&self, _: usize, cost: &mut Cost) {
        cost.power(self.items, u128::from(self.q));
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let total = inputs.sum.sum();
        let powers = arithmetic.power(&inputs.sum, u128::from(self.q)).await?;
        Ok(Shared::concat(&[&total, &powers.sum()]))
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        let [total, powers] = opened else { return Some(Err(NoResult::Impossible)) };
        Some(self.entropy(*total, *powers))
    }
}

impl PowerSum {
    fn entropy(&self, total: u128, powers: u128) -> Result<Vec<Statistic>, NoResult> {
        if total == 0 {
            return if powers == 0 { Err(NoResult::NoRecords) } else { Err(NoResult::Impossible) };
        }
        let (power_of_total, powers) = (big(total).pow(self.q), big(powers));
        if powers > power_of_total || powers < big(total) {
            return Err(NoResult::Impossible);
        }
        let above = &power_of_total - powers;
        let below = power_of_total * (self.q - 1);
        // To the nearest, halves up, as SEPIA rounds.
        let per_mille: BigInt = (&above * 2000 + &below) / (&below * 2);
        debug_assert!(per_mille.sign() != Sign::Minus);
        Ok(vec![
            Statistic::new("per_mille", ratio(&per_mille, &big(1))?),
            Statistic::new(format!("tsallis({})", self.q), ratio(&above, &below)?),
            Statistic::new("total", ratio(&big(total), &big(1))?),
        ])
    }
}

/// Accepts an exponent.
pub(crate) fn is_exponent(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|q| (2..=16).contains(&q))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropies_of_known_distributions() {
        let of = |q: u32, sums: &[u128]| {
            let function = PowerSum { items: sums.len(), max_element: 100, q };
            let powers = sums.iter().map(|s| s.pow(q)).sum();
            function.entropy(sums.iter().sum(), powers).map(|s| (s[0].value, s[1].value))
        };
        assert_eq!(of(2, &[5, 0, 0]), Ok((0.0, 0.0)));
        assert_eq!(of(2, &[1, 1, 1, 1]), Ok((750.0, 0.75)));
        assert_eq!(of(3, &[1, 1]), Ok((375.0, 0.375)));
        assert_eq!(of(2, &[1, 2]), Ok((444.0, 4.0 / 9.0)));
        assert_eq!(of(2, &[0, 0]), Err(NoResult::NoRecords));
        let function = PowerSum { items: 2, max_element: 100, q: 2 };
        assert_eq!(function.entropy(5, 26), Err(NoResult::Impossible));
        assert_eq!(function.entropy(5, 4), Err(NoResult::Impossible));
        assert_eq!(function.entropy(0, 1), Err(NoResult::Impossible));
    }
}
