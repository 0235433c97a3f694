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
const DDOF: Parameter = Parameter {
    name: "ddof",
    meaning: "what is taken off the number of records before dividing by it, 0 or 1; 1 unless set",
    accepts: |text| matches!(text, "0" | "1"),
};
const EDGES: Parameter = Parameter {
    name: "edges",
    meaning: "ascending whole numbers with commas between them, at most 1000: each begins a bucket that ends before \
              the next; must be set",
    accepts: settings::are_edges,
};
const INTERCEPT: Parameter = Parameter {
    name: "intercept",
    meaning: "whether there is a constant term, yes or no; yes unless set",
    accepts: |text| matches!(text, "yes" | "no"),
};

/// What holds for every sum.
macro_rules! leaks {
    ($opened:literal) => {
        concat!(
            $opened,
            " Any t+1 compute peers together (additive sharing: all of them) can read the same of every single input \
             peer; k input peers that put their own inputs together learn the same of the others' records. With two \
             contributors each learns the same of the other's."
        )
    };
}

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
const NEAREST: &str =
    "each decimal is the double nearest to the exact value of the opened sums: relative error at most 2^-53";
const WITH_ROOTS: &str = "computed exactly from the opened sums, then rounded: relative error at most 2^-50";
const NO_RECORDS: &str = "no records: no result";
const SUMMED: &str = "sums of what each peer encodes; a public function of the opened sums";

/// A statistic over records, to be completed.
const fn statistic(name: &'static str, summary: &'static str, codec: Codec) -> Aggregator {
    Aggregator {
        name,
        aliases: &[],
        version: 1,
        summary,
        parameters: &[MAX_RECORDS, PER_PEER, NAMES],
        input: Shape::Records,
        output: Shape::Statistics,
        models: ALL_MODELS,
        additive: true,
        leakage: "",
        accuracy: NEAREST,
        refusals: NO_RECORDS,
        protocol: SUMMED,
        code: "aggregate/moments.rs",
        function: Function::Sum,
        records: Some(codec),
    }
}

/// Terms grow with the number of columns.
const WIDE: usize = 4096;
/// Terms grow with its square.
const PAIRS: usize = 64;
/// Exact elimination takes its time.
const REGRESSION: usize = 16;

const SUMS: [Aggregator; 10] = [
    Aggregator {
        name: "sum",
        aliases: &["additive"],
        version: 1,
        summary: "adds up vectors item by item",
        parameters: &[],
        input: Shape::Vector,
        output: Shape::Vector,
        models: ALL_MODELS,
        additive: true,
        leakage: "Nothing but the sums. Any t+1 compute peers together (additive sharing: all of them) can read every \
                  input; k input peers that put their own inputs together learn the sum of the others'. With two \
                  contributors each learns the other's input.",
        accuracy: "exact; a sum that would not fit is refused before it starts",
        refusals: "a sum that reaches the declared modulus: no result",
        protocol: "shares are added (Shamir 1979; additive n-of-n), without a message",
        code: "session/input.rs",
        function: Function::Sum,
        records: None,
    },
    Aggregator {
        parameters: &[MAX_RECORDS, PER_PEER],
        accuracy: "exact",
        refusals: "none",
        leakage: leaks!("Opened: the number of records of all peers."),
        ..statistic(
            "count",
            "counts records",
            Codec { columns: (1, WIDE), terms: moments::count_terms, joint: Joint::Columns, decode: moments::count },
        )
    },
    Aggregator {
        leakage: leaks!("Opened: the number of records and the sum of each column, not only their quotient."),
        ..statistic(
            "mean",
            "the mean of each column over all records",
            Codec { columns: (1, WIDE), terms: moments::mean_terms, joint: Joint::Columns, decode: moments::mean },
        )
    },
    Aggregator {
        parameters: &[MAX_RECORDS, PER_PEER, NAMES, DDOF],
        refusals: "no records, or as few as ddof: no result",
        leakage: leaks!("Opened: the number of records, and for each column the sum and the sum of squares."),
        ..statistic(
            "variance",
            "the mean and the variance of each column over all records",
            Codec {
                columns: (1, WIDE),
                terms: moments::variance_terms,
                joint: Joint::Columns,
                decode: moments::variance,
            },
        )
    },
    Aggregator {
        parameters: &[MAX_RECORDS, PER_PEER, NAMES, DDOF],
        accuracy: WITH_ROOTS,
        refusals: "no records, or as few as ddof: no result",
        leakage: leaks!("Opened: the number of records, and for each column the sum and the sum of squares."),
        ..statistic(
            "std_deviation",
            "the mean and the standard deviation of each column over all records",
            Codec {
                columns: (1, WIDE),
                terms: moments::variance_terms,
                joint: Joint::Columns,
                decode: moments::std_deviation,
            },
        )
    },
    Aggregator {
        parameters: &[MAX_RECORDS, NAMES],
        refusals: "weights that add up to zero: no result",
        code: "aggregate/weighted.rs",
        leakage: leaks!(
            "Opened: the sum of the weights and the weighted sum of each column. The number of records is not opened."
        ),
        ..statistic(
            "weighted_mean",
            "the mean of each column but the last, weighted by the last",
            Codec {
                columns: (2, WIDE),
                terms: weighted::terms,
                joint: Joint::Columns,
                decode: weighted::weighted_mean,
            },
        )
    },
    Aggregator {
        parameters: &[MAX_RECORDS, PER_PEER, NAMES, EDGES],
        accuracy: "exact",
        refusals: "edges that do not ascend; more than 1,048,576 buckets of all columns together",
        code: "aggregate/histogram.rs",
        leakage: leaks!(
            "Opened: for each column how many records fall into each bucket. With several columns, not which buckets \
             go together."
        ),
        ..statistic(
            "histogram",
            "how many records fall into each of the public buckets, for each column",
            Codec { columns: (1, WIDE), terms: histogram::terms, joint: Joint::Columns, decode: histogram::histogram },
        )
    },
    Aggregator {
        parameters: &[MAX_RECORDS, PER_PEER, NAMES, DDOF],
        refusals: "no records, or as few as ddof: no result",
        code: "aggregate/covariance.rs",
        leakage: leaks!(
            "Opened: the number of records, the sum of each column, and the sum of products of each pair of columns, \
             each with itself included."
        ),
        ..statistic(
            "covariance",
            "the covariance of each pair of columns over all records",
            Codec {
                columns: (2, PAIRS),
                terms: covariance::terms,
                joint: Joint::Columns,
                decode: covariance::covariance,
            },
        )
    },
    Aggregator {
        accuracy: WITH_ROOTS,
        refusals: "no records, or a column that is the same in all of them: no result",
        code: "aggregate/covariance.rs",
        leakage: leaks!(
            "Opened: the number of records, the sum of each column, and the sum of products of each pair of columns, \
             each with itself included. That gives means and variances, too."
        ),
        ..statistic(
            "correlation",
            "Pearson's correlation of each pair of columns over all records",
            Codec {
                columns: (2, PAIRS),
                terms: covariance::terms,
                joint: Joint::Pairs,
                decode: covariance::correlation,
            },
        )
    },
    Aggregator {
        parameters: &[MAX_RECORDS, PER_PEER, NAMES, INTERCEPT],
        protocol: "sums of products of columns; normal equations by fraction-free elimination (Bareiss 1968) in public",
        code: "aggregate/regression.rs",
        accuracy: WITH_ROOTS,
        refusals: "not more records than coefficients, or columns that depend on each other: no result; no R² where \
                   the last column is the same in all records; more than one predictor in guaranteed",
        leakage: leaks!(
            "Opened: X^T X, X^T y and y^T y, that is the number of records, the sum of each column, and the sum of \
             products of each pair of columns, each with itself included. That gives means, variances and \
             correlations, too."
        ),
        ..statistic(
            "linear_regression",
            "the last column as a linear function of the others (least squares): coefficients, standard errors, R²",
            Codec {
                columns: (2, REGRESSION),
                terms: regression::terms,
                joint: Joint::All,
                decode: regression::linear_regression,
            },
        )
    },
];

/// The parts of the registry, in its order.
const PARTS: [&[Aggregator]; 4] = [&SUMS, &evaluated::EVALUATED, &filtered::FILTERED, &noisy::NOISY];

const COUNT: usize = SUMS.len() + evaluated::EVALUATED.len() + filtered::FILTERED.len() + noisy::NOISY.len();

static REGISTRY: [Aggregator; COUNT] = {
    let mut all = [SUMS[0]; COUNT];
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
