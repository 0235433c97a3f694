//! The single operations that functions are made of: what each costs and rests on, in every model.
//!
//! Costs are the planner's: an operation counts with the same `Cost` that forecasts of aggregators are made of.

use std::ops::RangeInclusive;

use super::Cost;
use crate::arithmetic::can_compare;
use crate::plan::{FieldChoice, SecurityModel};

mod operations;

/// The numbers of compute peers that the documentation gives costs for.
pub const PEERS: RangeInclusive<usize> = 3..=11;

/// A protocol: what it is and where it is from, and the file that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// What is done; paper and year.
    pub source: &'static str,
    /// The file, below the engine's sources.
    pub code: &'static str,
}

/// One operation of [`Arithmetic`](crate::arithmetic::Arithmetic), or several that cost the same.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What it is called there, with the sizes that the cost is of.
    pub name: &'static str,
    /// On how many numbers at once its costs are documented.
    pub numbers: usize,
    /// In which field.
    pub field: FieldChoice,
    /// What t compute peers learn by it, besides what they may.
    pub leakage: &'static str,
    count: fn(&mut Cost, usize),
    ways: Ways,
}

/// What an operation takes, from nothing to verified shares of the result; keys that are agreed once are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationCost {
    /// Rounds on a network that delivers all messages of a round at once.
    pub rounds: usize,
    /// Bytes that one party sends, on average, without the headers of messages.
    pub bytes: u64,
    /// Microseconds, all parties on one machine with two cores: the model of [`Forecast`](crate::Forecast).
    pub micros: u64,
    /// Whether products go over kings.
    pub kings: bool,
}

/// In `semi-honest`, `malicious` and `guaranteed`; `None`: refused.
type Ways = [Option<Protocol>; 3];

/// All operations.
pub fn operations() -> &'static [Operation] {
    operations::OPERATIONS
}

impl Operation {
    /// How it is done in a model; `None` where it is refused.
    pub fn protocol(&self, model: SecurityModel) -> Option<Protocol> {
        let [semi_honest, malicious, guaranteed] = self.ways;
        match model {
            SecurityModel::SemiHonest => semi_honest,
            SecurityModel::Malicious => malicious,
            SecurityModel::Guaranteed => guaranteed,
        }
    }

    /// The cost for so many numbers among `n` compute peers with threshold `t`; `None` where it is refused.
    pub fn cost(&self, model: SecurityModel, n: usize, t: usize, numbers: usize) -> Option<OperationCost> {
        self.protocol(model)?;
        let parts = if model == SecurityModel::Guaranteed { 4 } else { 2 };
        if t == 0 || n <= parts * t || !can_compare(n, t) {
            return None;
        }
        let mut cost = Cost::new(n, t, self.field).in_model(model);
        (self.count)(&mut cost, numbers);
        cost.verify();
        Some(OperationCost { rounds: cost.rounds(), bytes: cost.bytes, micros: cost.micros(), kings: cost.kings })
    }
}
