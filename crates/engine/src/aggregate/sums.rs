//! The registry's entries of sums, and of what a public function makes of opened sums.

use super::{
    ALL_MODELS, Aggregator, Codec, EDGES, Function, Joint, MAX_RECORDS, NAMES, PER_PEER, Parameter, Shape, WIDE,
    covariance, histogram, moments, regression, weighted,
};

const DDOF: Parameter = Parameter {
    name: "ddof",
    meaning: "what is taken off the number of records before dividing by it, 0 or 1; 1 unless set",
    accepts: |text| matches!(text, "0" | "1"),
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

/// Terms grow with its square.
const PAIRS: usize = 64;
/// Exact elimination takes its time.
const REGRESSION: usize = 16;

pub(super) const SUMS: [Aggregator; 10] = [
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
