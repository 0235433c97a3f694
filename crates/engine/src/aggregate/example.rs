//! Of every aggregator a configuration that works, as a user would type it.

use std::fmt;

use super::{Aggregator, Shape};

/// What has to be set, with values that are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The aggregator.
    pub name: &'static str,
    /// Numbers of a vector or record.
    pub items: usize,
    /// The largest number.
    pub max_element: u64,
    /// Settings.
    pub parameters: Vec<(&'static str, &'static str)>,
}

/// Settings that have no value unless they are set, or that show what an aggregator is for.
const VALUES: [(&str, &str); 8] = [
    ("edges", "0,18,65"),
    ("level", "0.95"),
    ("min_peers", "2"),
    ("positions", "10000"),
    ("epsilon", "0.5"),
    ("k", "5"),
    ("keys_as", "ipv4"),
    ("of", "threshold"),
];

impl Example {
    /// The one of this aggregator.
    pub fn of(aggregator: &Aggregator) -> Self {
        let columns = aggregator.records.map(|codec| codec.columns.0);
        let items = match (aggregator.input, aggregator.name) {
            (Shape::Vector | Shape::Statistics, _) => 24,
            (_, "top_keys" | "filter_weighted_intersection" | "logistic_regression") => 2,
            _ => columns.unwrap_or(1),
        };
        let max_element = match aggregator.name {
            "top_keys" => u64::from(u32::MAX),
            "product" => 10,
            _ => 1000,
        };
        let takes = |(name, _): &(&str, &str)| aggregator.parameters.iter().any(|parameter| parameter.name == *name);
        Self { name: aggregator.name, items, max_element, parameters: VALUES.into_iter().filter(takes).collect() }
    }
}

/// As options of `tacit group configure`.
impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--aggregator {} --items {} --max-element {}", self.name, self.items, self.max_element)?;
        self.parameters.iter().try_for_each(|(name, value)| write!(f, " --parameter {name}={value}"))
    }
}
