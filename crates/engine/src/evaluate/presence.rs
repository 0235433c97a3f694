//! Sets over a public list of items: who has what stays secret, also how many have it.
//!
//! Each contributor gives a bit per item; the bits are added up, which is local. Whether a sum c of n
//! bits is at least k is a polynomial of degree n in c, computed with n-1 multiplications in
//! ceil(log2 n) of them after each other ([`at_least`]). The operations are those of SEPIA's Bloom
//! filters (Burkhart et al. 2010; Many et al. 2012), exact, for any public encoding of items.

use tacit_algebra::Field;
use tacit_algebra::poly::interpolate;

use super::{Cost, Evaluate, Inputs, Presence, Settings};
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

/// From summed bits to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Items {
    items: usize,
    least: Least,
    answer: Answer,
}

/// How many have to have an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Least {
    Peers(usize),
    All,
}

impl Least {
    /// What a task says that is about a union, an intersection, or what at least so many have.
    pub(super) fn of(settings: &Settings<'_>) -> Result<Self, PlanError> {
        match settings.text("of") {
            Some("threshold") => Ok(Self::Peers(settings.min_peers()?)),
            _ if settings.text("min_peers").is_some() => Err(settings.bad("min_peers")),
            Some("intersection") => Ok(Self::All),
            _ => Ok(Self::Peers(1)),
        }
    }

    /// The same of n contributors.
    pub(super) fn of_so_many(self, n: usize) -> usize {
        match self {
            Self::Peers(least) => least,
            Self::All => n,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// A bit per item.
    Bits,
    /// Per item how many have it, or 0.
    Counts,
    /// How many items.
    Cardinality,
    /// The same, as a statistic of this name.
    Named(&'static str),
}

impl Items {
    pub(super) fn new(question: Presence, settings: &Settings<'_>) -> Result<Self, PlanError> {
        let items = match question {
            Presence::Distinct => universe(settings)?,
            _ => settings.items(),
        };
        settings.check_work(items)?;
        Self::over(question, items, settings)
    }

    /// The same about the bits of filters.
    pub(super) fn of_filter(question: Presence, positions: usize, settings: &Settings<'_>) -> Result<Self, PlanError> {
        Self::over(question, positions, settings)
    }

    fn over(question: Presence, items: usize, settings: &Settings<'_>) -> Result<Self, PlanError> {
        let (least, answer) = match question {
            Presence::Union => (Least::Peers(1), Answer::Bits),
            Presence::Intersection => (Least::All, Answer::Bits),
            Presence::Threshold => {
                let counts = settings.text("counts") == Some("yes");
                (Least::Peers(settings.min_peers()?), if counts { Answer::Counts } else { Answer::Bits })
            }
            Presence::Cardinality => (Least::of(settings)?, Answer::Cardinality),
            Presence::Distinct => (Least::Peers(1), Answer::Named("distinct")),
        };
        Ok(Self { items, least, answer })
    }
}

/// The values of a distinct count: 0 up to the largest.
fn universe(settings: &Settings<'_>) -> Result<usize, PlanError> {
    let limit = crate::plan::MAX_ITEMS;
    let items = usize::try_from(settings.max_element()).unwrap_or(usize::MAX).saturating_add(1);
    if items > limit { Err(PlanError::TooManyItems { items, limit }) } else { Ok(items) }
}

impl Evaluate for Items {
    fn outputs(&self) -> usize {
        match self.answer {
            Answer::Bits | Answer::Counts => self.items,
            Answer::Cardinality | Answer::Named(_) => 1,
        }
    }

    fn largest(&self, _: usize, contributors: usize) -> Option<u128> {
        Some(match self.answer {
            Answer::Bits => 1,
            Answer::Counts => contributors as u128,
            Answer::Cardinality | Answer::Named(_) => self.items as u128,
        })
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        at_least_cost(self.items, contributors, cost);
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let n = inputs.contributors;
        let least = self.least.of_so_many(n);
        let counts = self.answer == Answer::Counts;
        let values = |count: usize| match (count >= least, counts) {
            (false, _) => 0,
            (true, true) => count as u64,
            (true, false) => 1,
        };
        let answers = function_of_count(arithmetic, &inputs.sum, n, values).await?;
        Ok(match self.answer {
            Answer::Bits | Answer::Counts => answers,
            Answer::Cardinality | Answer::Named(_) => answers.sum(),
        })
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        let Answer::Named(name) = self.answer else { return None };
        // At most 10,000,000: exact as a double.
        Some(Ok(opened.iter().map(|count| Statistic::new(name, *count as f64)).collect()))
    }
}

/// Whether each of these counts of 0 to `n` is at least `least`, shared, 1 or 0. Exact.
pub(super) async fn at_least<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    counts: &Shared<F>,
    n: usize,
    least: usize,
) -> Result<Shared<F>, ArithmeticError> {
    function_of_count(arithmetic, counts, n, |count| u64::from(count >= least)).await
}

/// A public function of shared numbers that are between 0 and n: the polynomial of degree n through its
/// values. n-1 products per number; ceil(log2 n) multiplications after each other.
async fn function_of_count<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    counts: &Shared<F>,
    n: usize,
    values: impl Fn(usize) -> u64,
) -> Result<Shared<F>, ArithmeticError> {
    let points: Vec<F> = (0..=n).map(|count| F::from_u64(count as u64)).collect();
    let values: Vec<F> = (0..=n).map(|count| F::from_u64(values(count))).collect();
    let wrong = |_| ArithmeticError::WrongCall { what: "counts stay below the modulus" };
    let mut coefficients = interpolate(&points, &values).map_err(wrong)?;
    coefficients.resize(n + 1, F::ZERO);
    let mut result = Shared::constant(&vec![coefficients[0]; counts.len()]);
    // The powers 1..=m, one after the other in one vector; each step multiplies them all by the last.
    let mut powers = counts.duplicate();
    let mut known = 1;
    while known < n {
        let length = counts.len();
        let more = known.min(n - known);
        let highest = powers.slice((known - 1) * length..known * length);
        let repeated: Vec<&Shared<F>> = std::iter::repeat_n(&highest, more).collect();
        let next = arithmetic.multiply(&powers.slice(0..more * length), &Shared::concat(&repeated)).await?;
        powers = Shared::concat(&[&powers, &next]);
        known += more;
    }
    for (power, coefficient) in coefficients[1..].iter().enumerate() {
        let power = powers.slice(power * counts.len()..(power + 1) * counts.len());
        result.scale_add(*coefficient, &power);
    }
    Ok(result)
}

/// What [`at_least`] takes.
pub(super) fn at_least_cost(length: usize, n: usize, cost: &mut Cost) {
    let mut known = 1;
    while known < n {
        let more = known.min(n - known);
        cost.multiply(more * length);
        known += more;
    }
}
