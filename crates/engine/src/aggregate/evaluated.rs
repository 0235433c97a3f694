//! The registry's entries of what is computed on shares before the opening.

use super::{
    ALL_MODELS, Aggregator, Function, ITEM_NAMES, MAX_RECORDS, NAMES, Order, PER_PEER, Parameter, Presence,
    SEMI_HONEST, Shape, VERIFIED, entropy, keys, logistic, order, peers, settings, top,
};

/// Accepts a number of contributors.
fn is_count(text: &str) -> bool {
    text.parse::<usize>().is_ok_and(|count| (1..=crate::plan::MAX_MEMBERS).contains(&count))
}

pub(super) const MIN_PEERS: Parameter = Parameter {
    name: "min_peers",
    meaning: "the least number of input peers, 1 to as many as there are; must be set",
    accepts: is_count,
};
pub(super) const MIN_PEERS_OF_THRESHOLD: Parameter = Parameter {
    name: "min_peers",
    meaning: "the least number of input peers, 1 to as many as there are; must be set with of=threshold, and only then",
    accepts: is_count,
};
pub(super) const MIN_PEERS_OR_WEIGHT: Parameter = Parameter {
    name: "min_peers",
    meaning: "the least number of input peers, 1 to as many as there are; must be set, unless min_peer_weight is",
    accepts: is_count,
};
pub(super) const PEER_WEIGHTS: Parameter = Parameter {
    name: peers::PEER_WEIGHTS,
    meaning: "how much the report of an input peer counts, NAME=WEIGHT with commas between them, by the member's name or \
              fingerprint, whole numbers up to 1000000; those who are not named count 1. Everybody sees them",
    accepts: |text| peers::peer_weights(text).is_some(),
};
pub(super) const MIN_PEER_WEIGHT: Parameter = Parameter {
    name: peers::MIN_PEER_WEIGHT,
    meaning: "the least that the input peers which report weigh together (peer_weights), a whole number up to what all of them \
              weigh, and above what one weighs unless min_peers is 2 or more; must be set with peer_weights",
    accepts: |text| text.parse::<u64>().is_ok_and(|least| least > 0),
};
pub(super) const COUNTS: Parameter = Parameter {
    name: "counts",
    meaning: "yes: the result says of each such item how many have it; no unless set",
    accepts: |text| matches!(text, "yes" | "no"),
};
pub(super) const LEARN: Parameter = Parameter {
    name: "learn",
    meaning: "events: only which they are; counts: also how many have each; weights: that and the sum of their weights; weights unless set",
    accepts: |text| matches!(text, "events" | "counts" | "weights"),
};
pub(super) const OF: Parameter = Parameter {
    name: "of",
    meaning: "union, intersection, or threshold (what at least min_peers have); union unless set",
    accepts: |text| matches!(text, "union" | "intersection" | "threshold"),
};
const Q: Parameter = Parameter {
    name: "q",
    meaning: "the exponent, a whole number from 2 to 16; 2 unless set",
    accepts: entropy::is_exponent,
};
pub(super) const MIN_WEIGHT: Parameter = Parameter {
    name: "min_weight",
    meaning: "the least sum of weights, a whole number; 0 unless set",
    accepts: |text| text.parse::<u64>().is_ok(),
};
const K: Parameter = Parameter { name: "k", meaning: "how many items, 1 to 1000; 10 unless set", accepts: top::is_k };
const KEYS_AS: Parameter = Parameter {
    name: "keys_as",
    meaning: "how keys are written in the result: number, or ipv4 as in 192.0.2.1; number unless set",
    accepts: keys::is_form,
};
const PAIRS: Parameter = Parameter {
    name: "max_records",
    meaning: "the most records that one peer may give in a slot; 100 unless set; records times input peers at most 100000",
    accepts: settings::is_record_limit,
};
pub(super) const MAX_WEIGHT: Parameter = Parameter {
    name: "max_weight",
    meaning: "the largest weight of a key; 1000, or maxElement, unless set",
    accepts: settings::is_weight,
};
const TABLE: Parameter = Parameter {
    name: "max_records",
    meaning: "the most records that one peer may give in a slot; 100 unless set; records times input peers at most 8192",
    accepts: settings::is_record_limit,
};
const MAXIMA: Parameter = Parameter {
    name: "maxima",
    meaning: "the largest value of each column but the last, with commas between them, at most maxElement and 16777216, \
              proven like it; maxElement unless set. Columns that fill little of their range cost accuracy",
    accepts: settings::are_maxima,
};
const ITERATIONS: Parameter = Parameter {
    name: "iterations",
    meaning: "steps of Newton's method, 1 to 20; 8 unless set",
    accepts: logistic::are_iterations,
};
const LEVEL: Parameter = Parameter {
    name: "level",
    meaning: "the part of the records below the quantile, from 0 to 1 with up to six digits behind the point; must be set",
    accepts: order::is_level,
};
const PLACES: Parameter = Parameter {
    name: "max_records",
    meaning: "the most records that one peer may give in a slot; 1 unless set; columns times records times input peers \
              at most 100000",
    accepts: settings::is_record_limit,
};

/// What holds for everything that is computed on shares.
macro_rules! leaks {
    ($($opened:literal),+) => {
        concat!(
            $($opened,)+
            " Nothing else is opened, to recipients neither. Any t+1 compute peers together can read every input; t learn \
             nothing. With two contributors each learns about the other's input what the result and its own tell."
        )
    };
}
pub(super) use leaks;

/// An entry to be completed.
pub(super) const fn entry(name: &'static str, summary: &'static str, function: Function) -> Aggregator {
    let (protocol, code) = how(function);
    Aggregator {
        name,
        aliases: &[],
        version: 1,
        summary,
        parameters: &[],
        input: Shape::Vector,
        output: Shape::Vector,
        models: SEMI_HONEST,
        additive: false,
        leakage: "",
        accuracy: "exact",
        refusals: "fewer than 2t+1 compute peers; items times input peers above 10,000,000",
        protocol,
        code,
        function,
        records: None,
    }
}

/// How a function is computed, and where.
const fn how(function: Function) -> (&'static str, &'static str) {
    match function {
        Function::Sum => ("shares are added (Shamir 1979)", "session/input.rs"),
        Function::Product => ("a tree of products", "evaluate/product.rs"),
        Function::PowerSum => ("powers by squaring, added up (Tsallis 1988)", "evaluate/entropy.rs"),
        Function::Presence(_) => (
            "counts, and on them the polynomial through the answers of 0 to n (SEPIA: Burkhart et al. 2010; Many et al. \
             2012)",
            "evaluate/presence.rs",
        ),
        Function::Correlation => (
            "counts as in threshold_union, weights compared, products (SEPIA: Burkhart et al. 2010)",
            "evaluate/correlation.rs",
        ),
        Function::Filter(_) => (
            "Bloom filters (Bloom 1970; bits: Kirsch, Mitzenmacher 2006); the set operations above on their bits (SEPIA: Many et \
             al. 2012); sizes: Swamidass, Baldi 2007",
            "evaluate/filters.rs",
        ),
        Function::Order(Order::Min | Order::Max | Order::Range) => ("a tournament of comparisons", "evaluate/order.rs"),
        Function::Order(_) => (
            "merge exchange (Batcher 1968; Knuth 5.2.2), on bits in semi-honest, empty places last",
            "arithmetic/sort.rs",
        ),
        Function::TopK => ("sorted blocks, merged and cut to k (Batcher 1968)", "evaluate/top.rs"),
        Function::TopKeys => (
            "pairs sorted by key (Batcher 1968), weights of equal keys added up (segmented prefix sums: Hillis, Steele 1986; \
             Blelloch 1990), then as top_k",
            "evaluate/keys.rs",
        ),
        Function::KeyCardinality => (
            "keys sorted with their owners (Batcher 1968), those of several counted (segmented prefix sums: Hillis, Steele 1986; \
             Blelloch 1990), and on the counts the polynomial of threshold_union",
            "evaluate/keys/cardinality.rs",
        ),
        Function::Noise(_) => (
            "sums, and on them discrete Laplace noise (Ghosh, Roughgarden, Sundararajan 2009) of coins that are tossed on \
             shares (Dwork, Kenthapadi, McSherry, Mironov, Naor 2006)",
            "evaluate/noise.rs",
        ),
        Function::Logistic => (
            "Newton's method (McCullagh, Nelder 1989) with fixed-point numbers (Catrina, Saxena 2010), L D L^T",
            "evaluate/logistic.rs",
        ),
    }
}

const REFUSES_ORDER: &str = "fewer than 2t+1 or more than 11 compute peers; more than 100000 records of all peers and \
                             columns; no records: no result";

/// A function of the order of all records.
const fn ordered(name: &'static str, summary: &'static str, order: Order) -> Aggregator {
    Aggregator {
        parameters: &[PLACES, PER_PEER, NAMES],
        models: VERIFIED,
        input: Shape::Records,
        output: Shape::Statistics,
        refusals: REFUSES_ORDER,
        ..entry(name, summary, Function::Order(order))
    }
}

/// All of them.
pub(super) const EVALUATED: [Aggregator; 18] = [
    Aggregator {
        models: ALL_MODELS,
        leakage: leaks!("Opened: the products. A product of zero says that somebody's number is zero."),
        refusals: "fewer than 2t+1 compute peers; products that could reach 2^127-1 (maxElement to the power of the \
                   number of input peers); a product that reaches the declared modulus: no result",
        ..entry("product", "multiplies vectors item by item", Function::Product)
    },
    Aggregator {
        models: ALL_MODELS,
        aliases: &["tsallis_entropy"],
        parameters: &[Q],
        output: Shape::Statistics,
        leakage: leaks!(
            "Opened: the total of all items and the sum of the q-th powers of the items' sums; no item's sum. With two items \
             these two numbers tell both sums, but not which is which."
        ),
        accuracy: "per_mille is rounded to the nearest whole number (halves up), tsallis(q) to the nearest double, \
                   both from exact numbers",
        refusals: "fewer than 2t+1 compute peers; powers that could reach 2^127-1; a total of zero: no result",
        ..entry(
            "entropy",
            "Tsallis' entropy of the items' sums, (1 - sum (s_i / S)^q) / (q - 1), also in per mille",
            Function::PowerSum,
        )
    },
    Aggregator {
        parameters: &[MIN_PEERS_OR_WEIGHT, MIN_WEIGHT, PEER_WEIGHTS, MIN_PEER_WEIGHT, LEARN, ITEM_NAMES],
        models: VERIFIED,
        output: Shape::Statistics,
        leakage: leaks!(
            "Opened: of each event that at least min_peers report with at least min_weight, how many do and the sum of their weights (with learn=events neither, \
             with learn=counts not the weights). Of others not even \
             whether somebody reports them. With peer_weights, that an event is among them tells that those who report it weigh at \
             least min_peer_weight; this, and their number, can say that a peer whose weight it takes is among them."
        ),
        ..entry(
            "event_correlation",
            "the events that at least min_peers report (a weight above 0) with at least min_weight together, and who count at least \
             min_peer_weight: how many do, and the sum of their weights",
            Function::Correlation,
        )
    },
    Aggregator {
        models: ALL_MODELS,
        leakage: leaks!("Opened: which items somebody has; not who, nor how many."),
        ..entry(
            "set_union",
            "1 for each item that somebody has (a number above 0), otherwise 0",
            Function::Presence(Presence::Union),
        )
    },
    Aggregator {
        models: ALL_MODELS,
        leakage: leaks!("Opened: which items all contributors have; of the others not who has them, nor how many."),
        ..entry(
            "set_intersection",
            "1 for each item that all contributors have (a number above 0), otherwise 0",
            Function::Presence(Presence::Intersection),
        )
    },
    Aggregator {
        models: ALL_MODELS,
        parameters: &[MIN_PEERS, COUNTS],
        leakage: leaks!(
            "Opened: which items at least min_peers have (with counts: how many have them); of the others nothing."
        ),
        ..entry(
            "threshold_union",
            "1, or how many have it, for each item that at least min_peers have (a number above 0), otherwise 0",
            Function::Presence(Presence::Threshold),
        )
    },
    Aggregator {
        models: ALL_MODELS,
        parameters: &[OF, MIN_PEERS_OF_THRESHOLD],
        leakage: leaks!("Opened: one number, how many items so many have; not which, nor who."),
        ..entry(
            "set_cardinality",
            "how many items somebody has, everybody has, or at least min_peers have (a number above 0)",
            Function::Presence(Presence::Cardinality),
        )
    },
    Aggregator {
        models: ALL_MODELS,
        parameters: &[MAX_RECORDS],
        input: Shape::Records,
        output: Shape::Statistics,
        leakage: leaks!(
            "Opened: one number, how many values there are; not which, nor how many records or who has them."
        ),
        refusals: "fewer than 2t+1 compute peers; records of more than one number; maxElement times input peers above \
                   10,000,000",
        ..entry(
            "distinct_count",
            "how many different values there are in all records of all peers",
            Function::Presence(Presence::Distinct),
        )
    },
    Aggregator {
        leakage: leaks!("Opened: the smallest number of each column, which is one peer's."),
        ..ordered("min", "the smallest number of each column over all records", Order::Min)
    },
    Aggregator {
        leakage: leaks!("Opened: the largest number of each column, which is one peer's."),
        ..ordered("max", "the largest number of each column over all records", Order::Max)
    },
    Aggregator {
        leakage: leaks!(
            "Opened: the difference of the largest and the smallest number of each column; neither of them."
        ),
        ..ordered("range", "the largest minus the smallest number of each column over all records", Order::Range)
    },
    Aggregator {
        leakage: leaks!(
            "Opened: the median of each column, which is one peer's number or the mean of two; not how many records there are."
        ),
        accuracy: "exact: the middle record, or the mean of the two in the middle",
        ..ordered("median", "the median of each column over all records", Order::Median)
    },
    Aggregator {
        parameters: &[PLACES, PER_PEER, NAMES, LEVEL],
        leakage: leaks!(
            "Opened: the quantile of each column, which is one peer's number or lies between two; not how many records there are."
        ),
        accuracy: "exact, then rounded to the nearest double; between two records it is interpolated linearly (type 7 of \
                   Hyndman and Fan 1996, as in numpy)",
        ..ordered("quantile", "the quantile of each column over all records", Order::Quantile)
    },
    Aggregator {
        parameters: &[PLACES, NAMES],
        leakage: leaks!("Opened: all numbers in ascending order, and so how many there are; not whose they are."),
        refusals: "fewer than 2t+1 or more than 11 compute peers; records of more than one number; more than 100000 records \
                   of all peers",
        ..ordered("sort", "all records of one number each, in ascending order", Order::Sort)
    },
    Aggregator {
        parameters: &[K, ITEM_NAMES],
        models: VERIFIED,
        output: Shape::Statistics,
        leakage: leaks!("Opened: the k items with the largest sums and these sums, in their order; of others nothing."),
        accuracy: "exact; of equal sums the first item comes first; items with the sum 0 are left out",
        refusals: "fewer than 2t+1 or more than 11 compute peers; more than 100000 items",
        ..entry("top_k", "the k items with the largest sums, largest first", Function::TopK)
    },
    Aggregator {
        parameters: &[K, PAIRS, MAX_WEIGHT, KEYS_AS],
        models: VERIFIED,
        input: Shape::Records,
        output: Shape::Statistics,
        leakage: leaks!(
            "Opened: the k keys with the largest sums of weights and these sums, in their order; of other keys not even whether \
             somebody has them. A sum does not say who has the key, but a rare key may."
        ),
        accuracy: "exact; of equal sums the smaller key comes first; keys with the sum 0 are left out",
        refusals: "fewer than 2t+1 or more than 11 compute peers; records other than a key and its weight; more than 100000 \
                   records of all peers; largest sum times largest key above 2^124",
        ..entry(
            "top_keys",
            "records of a key (up to maxElement) and its weight: the k keys with the largest sums of weights, largest first",
            Function::TopKeys,
        )
    },
    Aggregator {
        parameters: &[OF, MIN_PEERS_OF_THRESHOLD, PAIRS],
        models: VERIFIED,
        input: Shape::Records,
        output: Shape::Statistics,
        leakage: leaks!(
            "Opened: one number, how many different keys so many have; not which, nor who, nor how many records there are."
        ),
        accuracy: "exact; who gives a key several times counts once",
        refusals: "fewer than 2t+1 or more than 11 compute peers; records of more than one number; more than 100000 records of \
                   all peers",
        ..entry(
            "key_cardinality",
            "how many different keys (numbers up to maxElement) somebody has, everybody has, or at least min_peers have",
            Function::KeyCardinality,
        )
    },
    Aggregator {
        parameters: &[TABLE, NAMES, MAXIMA, ITERATIONS],
        input: Shape::Records,
        output: Shape::Statistics,
        leakage: leaks!(
            "Opened: coefficients and standard errors, and before them one bit, whether the regression has converged; not how \
             many records there are."
        ),
        accuracy: "coefficients are within a hundredth of their standard error of the maximum-likelihood estimate, standard errors \
                   within 1 %",
        refusals: "fewer than 2t+1 or more than 11 compute peers; records of fewer than 2 or more than 9 numbers, the last of \
                   them 0 or 1; more than 8192 records of all peers; no convergence, columns that depend on each other or foretell \
                   the label: no result",
        ..entry(
            "logistic_regression",
            "how the chance that the last column is 1 depends on the others: coefficients of the log-odds, standard errors",
            Function::Logistic,
        )
    },
];
