//! The registry's entries of sums that are opened with noise.

use super::{
    Aggregator, Codec, EDGES, Function, Joint, MAX_RECORDS, NAMES, Noisy, Parameter, Shape, VERIFIED, WIDE, evaluated,
    histogram, moments, noise,
};

const EPSILON: Parameter = Parameter {
    name: "epsilon",
    meaning: "how much a result may tell about what it hides, a decimal from 0.000001 to 20; less is more private and \
              noisier; must be set",
    accepts: noise::is_epsilon,
};
const HIDES: Parameter = Parameter {
    name: "hides",
    meaning: "record: each single record; peer: all records of a peer together, with max_records times the noise; record \
              unless set",
    accepts: |text| matches!(text, "record" | "peer"),
};

/// What holds for all of them.
macro_rules! leaks {
    ($opened:literal) => {
        concat!(
            $opened,
            " each with noise of the discrete Laplace distribution that nobody knows; their differences from the exact \
             numbers are never opened. Whoever gets several results over the same data learns more: the epsilons add up. \
             Any t+1 compute peers together can read every input; t learn nothing."
        )
    };
}

/// An entry to be completed.
const fn entry(name: &'static str, summary: &'static str, which: Noisy, records: Option<Codec>) -> Aggregator {
    Aggregator {
        input: match records {
            Some(_) => Shape::Records,
            None => Shape::Vector,
        },
        output: Shape::Statistics,
        accuracy: "noise_std_deviation in the result is the noise's standard deviation: 1 / (sqrt 2 sinh(1 / 2b)), about sqrt \
                   2 b, where b is what one record (or peer) can change, times the number of columns it changes, over \
                   epsilon",
        models: VERIFIED,
        refusals: "fewer than 2t+1 or more than 11 compute peers; bounds=declared; more than 4,194,304 coins, in malicious 65,536 \
                   (each number takes about 2 log2(46 b) of them)",
        records,
        ..evaluated::entry(name, summary, Function::Noise(which))
    }
}

/// All of them.
pub(super) const NOISY: [Aggregator; 4] = [
    Aggregator {
        parameters: &[EPSILON, NAMES],
        leakage: leaks!("Opened: the sums,"),
        ..entry("noisy_sum", "adds up vectors item by item and hides each peer's whole vector", Noisy::Sum, None)
    },
    Aggregator {
        parameters: &[EPSILON, HIDES, MAX_RECORDS],
        leakage: leaks!("Opened: the number of records,"),
        ..entry(
            "noisy_count",
            "counts records and hides each of them",
            Noisy::Count,
            Some(Codec {
                columns: (1, WIDE),
                terms: moments::count_terms,
                joint: Joint::Columns,
                decode: moments::count,
            }),
        )
    },
    Aggregator {
        parameters: &[EPSILON, HIDES, MAX_RECORDS, NAMES],
        leakage: leaks!("Opened: the number of records and the sum of each column,"),
        ..entry(
            "noisy_mean",
            "the mean of each column over all records; hides each of them",
            Noisy::Mean,
            Some(Codec {
                columns: (1, WIDE),
                terms: moments::mean_terms,
                joint: Joint::Columns,
                decode: moments::mean,
            }),
        )
    },
    Aggregator {
        parameters: &[EPSILON, HIDES, MAX_RECORDS, NAMES, EDGES],
        leakage: leaks!("Opened: for each column how many records fall into each bucket,"),
        ..entry(
            "noisy_histogram",
            "how many records fall into each of the public buckets, for each column; hides each record",
            Noisy::Histogram,
            Some(Codec {
                columns: (1, WIDE),
                terms: histogram::terms,
                joint: Joint::Columns,
                decode: histogram::histogram,
            }),
        )
    },
];
