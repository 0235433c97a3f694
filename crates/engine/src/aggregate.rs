//! The registry of aggregators: the one table that plans, plan digests, forecasts and documentation
//! come from. What is not in it is refused by name.

use std::fmt::Write;

use crate::plan::SecurityModel;

/// One function that a session can compute.
#[derive(Clone, Copy, Debug)]
pub struct Aggregator {
    /// Its name in tasks and plans.
    pub name: &'static str,
    /// Other names it is known by; a plan always carries [`name`](Self::name).
    pub aliases: &'static [&'static str],
    /// Raised whenever the same inputs could give another result or travel otherwise.
    pub version: u16,
    /// What it computes, in a line.
    pub summary: &'static str,
    /// What a task may set.
    pub parameters: &'static [Parameter],
    /// What each input peer gives.
    pub input: Shape,
    /// What each recipient gets.
    pub output: Shape,
    /// The models it is offered in.
    pub models: &'static [SecurityModel],
    /// Whether n-of-n additive sharing is offered.
    pub additive: bool,
    /// What somebody learns beyond the output, and what the output itself tells.
    pub leakage: &'static str,
    /// How exact the output is.
    pub accuracy: &'static str,
}

/// A setting of an aggregator.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in a task.
    pub name: &'static str,
    /// What it means and which values it takes.
    pub meaning: &'static str,
    /// Tells whether a value is acceptable.
    pub accepts: fn(&str) -> bool,
}

/// The form of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// As many whole numbers as the plan has items.
    Vector,
    /// One number.
    Scalar,
}

impl Shape {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Vector => "one whole number per item",
            Self::Scalar => "one number",
        }
    }
}

static REGISTRY: [Aggregator; 1] = [Aggregator {
    name: "sum",
    aliases: &["additive"],
    version: 1,
    summary: "adds up vectors item by item",
    parameters: &[],
    input: Shape::Vector,
    output: Shape::Vector,
    models: &[SecurityModel::SemiHonest],
    additive: true,
    leakage: "Nothing but the sums. Any t+1 compute peers together (additive sharing: all of them) can read every \
              input; k input peers that put their own inputs together learn the sum of the others'. With two \
              contributors each learns the other's input.",
    accuracy: "exact; a sum that would not fit is refused before it starts",
}];

/// All aggregators.
pub fn registry() -> &'static [Aggregator] {
    &REGISTRY
}

/// The aggregator of this name or alias.
pub fn find(name: &str) -> Option<&'static Aggregator> {
    registry().iter().find(|a| a.name == name || a.aliases.contains(&name))
}

/// The registry as a Markdown table, for the documentation.
pub fn documentation() -> String {
    let mut out = String::from(
        "| aggregator | version | what | input | output | models | accuracy | leakage |\n|---|---|---|---|---|---|---|---|\n",
    );
    for a in registry() {
        let aliases: String = a.aliases.iter().map(|alias| format!(" (`{alias}`)")).collect();
        let models: Vec<&str> = a.models.iter().map(|m| m.name()).collect();
        let _ = writeln!(
            out,
            "| `{}`{} | {} | {} | {} | {} | {}{} | {} | {} |",
            a.name,
            aliases,
            a.version,
            a.summary,
            a.input.describe(),
            a.output.describe(),
            models.join(", "),
            if a.additive { "; additive sharing" } else { "" },
            a.accuracy,
            a.leakage
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_unique() {
        let mut names: Vec<&str> =
            registry().iter().flat_map(|a| std::iter::once(a.name).chain(a.aliases.iter().copied())).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(find("additive").map(|a| a.name), Some("sum"));
        assert!(documentation().lines().all(|line| line.starts_with('|') && line.ends_with('|')));
    }
}
