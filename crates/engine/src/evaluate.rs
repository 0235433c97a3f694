//! Evaluation: what the compute peers do with the frozen shares before anything is opened.
//!
//! ```text
//!   encode ---> share ---> freeze ---> evaluate ---> open ---> decode
//!  contributor            all signed   compute peers  to the recipients only
//! ```
//!
//! An [`Evaluation`] is part of a plan: its aggregator's [`Function`] with the parameters read and the
//! ranges checked, so that no number on the way reaches the field's modulus. Most look at the sum of
//! all vectors alone; some at each contributor's. Whatever they open in between is masked and uniform.
//!
//! Shamir sharing, t < n/2: any t compute peers learn nothing. All of them have to stay to the end, since a product
//! needs them; a loss ends the session. `malicious`, where the registry offers it: a result that a compute peer made
//! wrong is never opened ([`Arithmetic::verify`]).

use tacit_algebra::Field;

use crate::aggregate::{Aggregator, NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::{PlanError, PlanRequest, Sharing};

mod correlation;
mod cost;
pub(crate) mod entropy;
mod filters;
pub(crate) mod keys;
pub(crate) mod logistic;
pub(crate) mod noise;
pub(crate) mod order;
pub(crate) mod peers;
mod presence;
mod primitives;
mod product;
pub(crate) mod top;

pub(crate) use cost::{Cost, round_micros};
pub use noise::{Noisy, Privacy};
pub use order::Order;
pub use primitives::{Operation, OperationCost, PEERS, Protocol, operations};

/// What is computed on shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Function {
    /// Nothing beyond the sum of all vectors: additions are local.
    Sum,
    /// The product over all contributors, item by item.
    Product,
    /// The power sum that Tsallis' entropy of the summed vector follows from.
    PowerSum,
    /// Which items at least so many contributors have, or how many such items there are.
    Presence(Presence),
    /// The weights of the items that at least so many contributors report.
    Correlation,
    /// The same questions about keys, of which each contributor gives a Bloom filter.
    Filter(Filtered),
    /// Numbers chosen by the order of all records.
    Order(Order),
    /// The items with the largest sums.
    TopK,
    /// The keys with the largest sums of weights.
    TopKeys,
    /// How many keys so many contributors have.
    KeyCardinality,
    /// Sums with noise for differential privacy.
    Noise(Noisy),
    /// The last column, 0 or 1, as a logistic function of the others.
    Logistic,
}

/// The questions about items that a contributor either has or does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The items that somebody has.
    Union,
    /// The items that everybody has.
    Intersection,
    /// The items that at least `min_peers` have.
    Threshold,
    /// How many items are in the union, or in the intersection.
    Cardinality,
    /// How many values somebody has.
    Distinct,
}

/// The questions about keys in filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// One about items, about the bits instead.
    Set(Presence),
    /// The bits that at least `min_peers` have with at least `min_weight` together, with their weights.
    Weighted,
}

/// A plan's function with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evaluation {
    Product(product::Product),
    PowerSum(entropy::PowerSum),
    Presence(presence::Items),
    Correlation(correlation::Correlation),
    Filters(filters::Filters),
    Ordered(order::Ordered),
    TopK(top::TopK),
    TopKeys(keys::TopKeys),
    KeyCardinality(keys::cardinality::KeyCardinality),
    Noise(noise::Noise),
    Logistic(logistic::Logistic),
}

/// The frozen inputs as a compute peer holds them.
pub(crate) struct Inputs<F: Field> {
    /// The sum over all contributors.
    pub(crate) sum: Shared<F>,
    /// Each contributor's vector, where the function [asks for it](Evaluate::each).
    pub(crate) each: Vec<Shared<F>>,
    /// How many contribute.
    pub(crate) contributors: usize,
    /// Which of the plan's input peers they are, ascending.
    pub(crate) who: Vec<usize>,
}

/// What every function says of itself.
trait Evaluate {
    /// Whether it needs the contributors' vectors, not only their sum.
    fn each(&self) -> bool {
        false
    }

    /// How many numbers are opened.
    fn outputs(&self) -> usize;

    /// The largest that an output can be with so many contributors; `None` if beyond 2^128.
    fn largest(&self, output: usize, contributors: usize) -> Option<u128>;

    /// The largest that any number on the way can be.
    fn largest_inside(&self, contributors: usize) -> Option<u128> {
        (0..self.outputs()).try_fold(0, |most: u128, output| Some(most.max(self.largest(output, contributors)?)))
    }

    /// Adds up what it takes.
    fn cost(&self, contributors: usize, cost: &mut Cost);

    /// The outputs, shared.
    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError>;

    /// What recipients make of the opened numbers; `None` where those are the result.
    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        let _ = opened;
        None
    }
}

/// The same expression for whichever function it is.
macro_rules! whichever {
    ($evaluation:expr, $function:ident => $do:expr) => {
        match $evaluation {
            Evaluation::Product($function) => $do,
            Evaluation::PowerSum($function) => $do,
            Evaluation::Presence($function) => $do,
            Evaluation::Correlation($function) => $do,
            Evaluation::Filters($function) => $do,
            Evaluation::Ordered($function) => $do,
            Evaluation::TopK($function) => $do,
            Evaluation::TopKeys($function) => $do,
            Evaluation::KeyCardinality($function) => $do,
            Evaluation::Noise($function) => $do,
            Evaluation::Logistic($function) => $do,
        }
    };
}

impl Evaluation {
    /// The evaluation of a request whose parameters the aggregator knows; `None` for sums.
    pub(crate) fn new(aggregator: &'static Aggregator, request: &PlanRequest) -> Result<Option<Self>, PlanError> {
        let settings = Settings { aggregator, request };
        Ok(match aggregator.function {
            Function::Sum => None,
            Function::Product => Some(Self::Product(product::Product::new(&settings))),
            Function::PowerSum => Some(Self::PowerSum(entropy::PowerSum::new(&settings)?)),
            Function::Presence(question) => Some(Self::Presence(presence::Items::new(question, &settings)?)),
            Function::Correlation => Some(Self::Correlation(correlation::Correlation::new(&settings)?)),
            Function::Filter(filtered) => Some(Self::Filters(filters::Filters::new(filtered, &settings)?)),
            Function::Order(order) => Some(Self::Ordered(order::Ordered::new(order, &settings)?)),
            Function::TopK => Some(Self::TopK(top::TopK::new(&settings)?)),
            Function::TopKeys => Some(Self::TopKeys(keys::TopKeys::new(&settings)?)),
            Function::KeyCardinality => Some(Self::KeyCardinality(keys::cardinality::KeyCardinality::new(&settings)?)),
            Function::Logistic => Some(Self::Logistic(logistic::Logistic::new(&settings)?)),
            Function::Noise(noisy) => Some(Self::Noise(noise::Noise::new(noisy, &settings)?)),
        })
    }

    pub(crate) fn each(&self) -> bool {
        whichever!(self, f => f.each())
    }

    /// What its noise promises, if it has any.
    pub(crate) fn privacy(&self) -> Option<Privacy> {
        if let Self::Noise(noise) = self { Some(noise.privacy()) } else { None }
    }

    /// The rate at which keys look as if they were there, where so many are; `None` where nothing is approximate.
    pub(crate) fn false_positives_of(&self, keys: u128) -> Option<f64> {
        if let Self::Filters(filters) = self { Some(filters.false_positives_of(keys)) } else { None }
    }

    pub(crate) fn outputs(&self) -> usize {
        whichever!(self, f => f.outputs())
    }

    pub(crate) fn largest(&self, output: usize, contributors: usize) -> Option<u128> {
        whichever!(self, f => f.largest(output, contributors))
    }

    pub(crate) fn largest_inside(&self, contributors: usize) -> Option<u128> {
        whichever!(self, f => f.largest_inside(contributors))
    }

    pub(crate) fn cost(&self, contributors: usize, mut cost: Cost) -> Cost {
        whichever!(self, f => f.cost(contributors, &mut cost));
        cost.verify();
        cost
    }

    pub(crate) fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        if opened.len() != self.outputs() {
            return Some(Err(NoResult::Impossible));
        }
        whichever!(self, f => f.decode(opened))
    }

    pub(crate) async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        whichever!(self, f => f.evaluate(arithmetic, inputs).await)
    }
}

/// A task's settings, as the functions read them.
struct Settings<'r> {
    aggregator: &'static Aggregator,
    request: &'r PlanRequest,
}

impl Settings<'_> {
    fn items(&self) -> usize {
        self.request.items
    }

    fn max_element(&self) -> u128 {
        u128::from(self.request.max_element)
    }

    fn inputs(&self) -> usize {
        self.request.inputs.len()
    }

    fn text(&self, parameter: &str) -> Option<&str> {
        self.request.parameters.get(parameter).map(String::as_str)
    }

    /// A number that the registry accepted, or `unless_set`.
    fn number(&self, parameter: &str, unless_set: usize) -> Result<usize, PlanError> {
        self.text(parameter).map_or(Ok(unless_set), |text| text.parse().map_err(|_| self.bad(parameter)))
    }

    /// The least number of contributors: 1 to all of them; has to be set.
    fn min_peers(&self) -> Result<usize, PlanError> {
        let parameter = "min_peers";
        match self.number(parameter, 0)? {
            0 => Err(self.missing(parameter)),
            least if least <= self.inputs() => Ok(least),
            _ => Err(self.bad(parameter)),
        }
    }

    /// The items' names: `1`, `2`, ... unless set.
    fn names(&self) -> Result<Vec<String>, PlanError> {
        self.names_or("")
    }

    /// The columns' names: `x1`, `x2`, ... unless set.
    fn column_names(&self) -> Result<Vec<String>, PlanError> {
        self.names_or("x")
    }

    fn names_or(&self, prefix: &str) -> Result<Vec<String>, PlanError> {
        let names: Vec<String> = match self.text("names") {
            Some(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
            None => (1..=self.items()).map(|item| format!("{prefix}{item}")).collect(),
        };
        if names.len() == self.items() { Ok(names) } else { Err(self.bad("names")) }
    }

    /// Refuses vectors whose power table would not fit in memory.
    fn check_work(&self, items: usize) -> Result<(), PlanError> {
        let (items, limit) = (items.saturating_mul(self.inputs()), crate::plan::MAX_ITEMS);
        if items > limit { Err(PlanError::TooManyItems { items, limit }) } else { Ok(()) }
    }

    /// Refuses groups too large to compare numbers.
    fn check_comparisons(&self) -> Result<(), PlanError> {
        let (n, Sharing::Shamir { threshold }) = (self.request.compute.len(), self.request.sharing) else {
            return Ok(());
        };
        match crate::arithmetic::can_compare(n, threshold) {
            true => Ok(()),
            false => Err(PlanError::TooManyToCompare { count: n, name: self.aggregator.name }),
        }
    }

    fn missing(&self, parameter: &'static str) -> PlanError {
        PlanError::MissingParameter { name: self.aggregator.name, parameter }
    }

    fn unknown_peer(&self, parameter: &'static str, peer: &str) -> PlanError {
        PlanError::UnknownPeer { parameter, peer: peer.to_owned() }
    }

    fn bad_columns(&self, least: usize, most: usize) -> PlanError {
        PlanError::BadColumns { name: self.aggregator.name, columns: self.items(), least, most }
    }

    fn bad(&self, parameter: &str) -> PlanError {
        PlanError::BadParameter { name: self.aggregator.name, parameter: parameter.to_owned() }
    }
}
