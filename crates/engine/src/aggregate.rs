//! The registry of aggregators: the one table that plans, plan digests, forecasts and documentation
//! come from. What is not in it is refused by name.
//!
//! Each one encodes, shares, evaluates, opens, decodes. Statistics need no evaluation beyond the sum: each
//! input peer turns its records into a vector of sums of its own (a [`Term`] per number), the session adds
//! the vectors up without wrap-around, and recipients compute the result from the opened sums by a
//! public function. For the others a [`Function`] is evaluated on the shares, and only its result is opened.

use std::fmt::Write;

pub use crate::evaluate::peers::{PEER_WEIGHTS, peer_weights};
pub use crate::evaluate::{
    Filtered, Function, Noisy, Operation, OperationCost, Order, PEERS, Presence, Privacy, Protocol, operations,
};
use crate::evaluate::{entropy, keys, logistic, noise, order, peers, top};
use crate::plan::{LEVEL, SecurityModel};

mod covariance;
pub(crate) mod encoding;
mod evaluated;
pub(crate) mod exact;
mod example;
pub(crate) mod filter;
mod filtered;
mod histogram;
mod moments;
mod noisy;
pub(crate) mod records;
mod regression;
pub(crate) mod settings;
mod statistic;
mod sums;
#[cfg(test)]
mod tests;
pub(crate) mod ties;
mod weighted;

pub use encoding::RowShape;
pub use example::Example;
pub use filter::Filter;
pub(crate) use histogram::names as histogram_names;
pub use records::Term;
pub use settings::Settings;
pub use statistic::{NoResult, Statistic};
pub use ties::Joint;

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
    /// What is refused, and when there is no result.
    pub refusals: &'static str,
    /// How it is computed, with the papers it follows.
    pub protocol: &'static str,
    /// Where in this crate.
    pub code: &'static str,
    /// What is computed on shares before the opening.
    pub function: Function,
    /// For statistics over records: how rows become sums and sums the result.
    pub records: Option<Codec>,
}

/// From records to sums and from sums to the result.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// The least and the most columns of a record.
    pub columns: (usize, usize),
    /// What is added up of each record.
    pub terms: fn(&Settings) -> Vec<Term>,
    /// Which sums have to fit each other for there to be a result.
    pub joint: Joint,
    /// The result, from the sums of the terms.
    pub decode: fn(&Settings, &[u128]) -> Result<Vec<Statistic>, NoResult>,
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
    /// Any number of records up to `max_records`, one after the other; items is their length.
    Records,
    /// Named numbers.
    Statistics,
}

impl Shape {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Vector => "one whole number per item",
            Self::Records => "records of as many whole numbers as there are items; each peer its own number of them",
            Self::Statistics => "named decimals, beside the opened sums",
        }
    }
}

const MAX_RECORDS: Parameter = Parameter {
    name: "max_records",
    meaning: "the most records that one peer may give in a slot, 1 to 2^32; 10000 unless set",
    accepts: settings::is_record_limit,
};
const NAMES: Parameter = Parameter {
    name: "names",
    meaning: "the columns' names, with commas between them; x1,x2,... unless set",
    accepts: settings::are_names,
};
const ITEM_NAMES: Parameter = Parameter {
    name: "names",
    meaning: "the items' names, with commas between them; 1,2,... unless set",
    accepts: settings::are_names,
};
const PER_PEER: Parameter = Parameter {
    name: "per_peer",
    meaning: "yes: each peer counts once, with the mean of its own records rounded to the nearest whole number (halves up), and \
              what is opened is of these; no: each record counts; no unless set",
    accepts: |text| matches!(text, "yes" | "no"),
};
const EDGES: Parameter = Parameter {
    name: "edges",
    meaning: "ascending whole numbers with commas between them, at most 1000: each begins a bucket that ends before \
              the next; must be set",
    accepts: settings::are_edges,
};
/// What a task may set whatever its aggregator.
pub(crate) static COMMON: [Parameter; 2] = [
    Parameter {
        name: "bounds",
        meaning: "proven: the compute peers check, under sharing, that no number is out of bounds; declared: honest input \
              peers see to it (semi-honest only); proven unless set",
        accepts: |text| matches!(text, "proven" | "declared"),
    },
    Parameter {
        name: LEVEL,
        meaning: "not to be set, but of a quantile, where it is something else: tasks over branches set it to branch (the \
              session ends in shares) or root (its inputs are such shares)",
        accepts: |text| matches!(text, "branch" | "root"),
    },
];

/// What takes replicated bits that are not verified.
const SEMI_HONEST: &[SecurityModel] = &[SecurityModel::SemiHonest];
/// What takes comparisons.
const VERIFIED: &[SecurityModel] = &[SecurityModel::SemiHonest, SecurityModel::Malicious];
/// Everything that is encode, add up, decode; and what is made of products alone.
const ALL_MODELS: &[SecurityModel] = &[SecurityModel::SemiHonest, SecurityModel::Malicious, SecurityModel::Guaranteed];
/// Terms grow with the number of columns.
const WIDE: usize = 4096;
/// The parts of the registry, in its order.
const PARTS: [&[Aggregator]; 4] = [&sums::SUMS, &evaluated::EVALUATED, &filtered::FILTERED, &noisy::NOISY];

const COUNT: usize = sums::SUMS.len() + evaluated::EVALUATED.len() + filtered::FILTERED.len() + noisy::NOISY.len();

static REGISTRY: [Aggregator; COUNT] = {
    let mut all = [sums::SUMS[0]; COUNT];
    let (mut part, mut place, mut i) = (0, 0, 0);
    while i < all.len() {
        if place == PARTS[part].len() {
            (part, place) = (part + 1, 0);
        } else {
            all[i] = PARTS[part][place];
            (place, i) = (place + 1, i + 1);
        }
    }
    all
};

/// All aggregators.
pub fn registry() -> &'static [Aggregator] {
    &REGISTRY
}

/// The aggregator of this name or alias.
pub fn find(name: &str) -> Option<&'static Aggregator> {
    registry().iter().find(|a| a.name == name || a.aliases.contains(&name))
}

impl Aggregator {
    /// What a task may set, beyond what it may set whatever its aggregator.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().chain(&COMMON).find(|parameter| parameter.name == name)
    }
}

/// The names of all, with commas between them.
pub fn names() -> String {
    registry().iter().map(|a| a.name).collect::<Vec<_>>().join(", ")
}

/// The registry as Markdown, for the documentation.
pub fn documentation() -> String {
    let mut out = String::from(
        "| aggregator | version | what | input | output | models | accuracy | refused |\n|---|---|---|---|---|---|---|---|\n",
    );
    for a in registry() {
        let aliases: String = a.aliases.iter().map(|alias| format!(" (`{alias}`)")).collect();
        let _ = writeln!(
            out,
            "| `{}`{} | {} | {} | {} | {} | {}{} | {} | {} |",
            a.name,
            aliases,
            a.version,
            a.summary,
            a.input.describe(),
            a.output.describe(),
            models(a),
            [(a.additive, "; additive sharing"), (a.composes(), "; over branches")]
                .map(|(is, word)| if is { word } else { "" })
                .concat(),
            a.accuracy,
            a.refusals
        );
    }
    out.push_str("\n| aggregator | protocol | code |\n|---|---|---|\n");
    for a in registry() {
        let _ = writeln!(out, "| `{}` | {} | `{}` |", a.name, a.protocol, a.code);
    }
    out.push_str("\n| aggregator | what somebody learns |\n|---|---|\n");
    for a in registry() {
        let _ = writeln!(out, "| `{}` | {} |", a.name, a.leakage);
    }
    out.push_str("\n| aggregator | parameter | meaning |\n|---|---|---|\n");
    for p in &COMMON {
        let _ = writeln!(out, "| all | `{}` | {} |", p.name, p.meaning);
    }
    for a in registry() {
        for p in a.parameters {
            let _ = writeln!(out, "| `{}` | `{}` | {} |", a.name, p.name, p.meaning);
        }
    }
    out
}

/// Aggregators as plain text, for a terminal.
pub fn listing<'a>(aggregators: impl IntoIterator<Item = &'a Aggregator>) -> String {
    let mut out = String::new();
    for a in aggregators {
        let aliases: String = a.aliases.iter().map(|alias| format!(", also called {alias}")).collect();
        let _ = writeln!(out, "{}{aliases}: {}", a.name, a.summary);
        let _ = writeln!(out, "  input      {}", a.input.describe());
        let _ = writeln!(out, "  output     {}", a.output.describe());
        for p in a.parameters.iter().chain(&COMMON) {
            let _ = writeln!(out, "  parameter  {}: {}", p.name, p.meaning);
        }
        let _ = writeln!(out, "  models     {}", models(a));
        let _ = writeln!(out, "  learned    {}", a.leakage);
        let _ = writeln!(out, "  accuracy   {}", a.accuracy);
        let _ = writeln!(out, "  refused    {}", a.refusals);
        let example = Example::of(a);
        let _ = writeln!(out, "  example    tacit group configure 1 {example}");
    }
    out
}

fn models(aggregator: &Aggregator) -> String {
    aggregator.models.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
}
