//! The registry's entries of set operations on Bloom filters.

use super::evaluated::{
    COUNTS, LEARN, MAX_WEIGHT, MIN_PEER_WEIGHT, MIN_PEERS, MIN_PEERS_OF_THRESHOLD, MIN_PEERS_OR_WEIGHT, MIN_WEIGHT, OF,
    PEER_WEIGHTS, entry, leaks,
};
use super::{ALL_MODELS, Aggregator, Filtered, Function, MAX_RECORDS, Parameter, Presence, Shape, VERIFIED, filter};

const POSITIONS: Parameter = Parameter {
    name: "positions",
    meaning: "bits of the filters, 2 to 1000000; must be set. n keys and k hashes: false positives at the rate (1 - e^(-kn/positions))^k, \
              which is least at k = 0.69 positions/n",
    accepts: filter::are_positions,
};
const HASHES: Parameter =
    Parameter { name: "hashes", meaning: "bits that a key sets, 1 to 32; 4 unless set", accepts: filter::are_hashes };
const KEYS: Parameter = Parameter {
    name: "keys",
    meaning: "up to 1000 keys, with commas between them, that are looked up in the result; everybody sees which",
    accepts: filter::are_keys,
};

/// What holds for all filters that are opened.
macro_rules! filter_leaks {
    ($opened:literal) => {
        leaks!(
            $opened,
            " Whoever gets the filter can try any key, and learns more than the stated rate allows only about keys that share \
             bits."
        )
    };
}

const fn on_filters(name: &'static str, summary: &'static str, filtered: Filtered) -> Aggregator {
    Aggregator {
        models: ALL_MODELS,
        parameters: &[POSITIONS, HASHES, KEYS, MAX_RECORDS],
        input: Shape::Records,
        output: Shape::Statistics,
        accuracy: "no key is missed; keys that are not there are found at the rate that the plan states for as many keys as may come, and \
                   the result for those that came (bits_set over positions, to the power of hashes); keys_estimated is an estimate",
        refusals: "fewer than 2t+1 compute peers; positions times input peers above 10,000,000; a filter with all bits set: \
                   no result",
        ..entry(name, summary, Function::Filter(filtered))
    }
}

/// All of them.
pub(super) const FILTERED: [Aggregator; 5] = [
    Aggregator {
        leakage: filter_leaks!("Opened: the filter of the keys that somebody has; not who, nor how many."),
        ..on_filters("filter_union", "a Bloom filter of the keys that somebody has", Filtered::Set(Presence::Union))
    },
    Aggregator {
        leakage: filter_leaks!(
            "Opened: which bits all contributors' filters have; of the others not who has them, nor how many."
        ),
        ..on_filters(
            "filter_intersection",
            "a Bloom filter of the keys that all contributors have",
            Filtered::Set(Presence::Intersection),
        )
    },
    Aggregator {
        parameters: &[POSITIONS, HASHES, KEYS, MAX_RECORDS, MIN_PEERS, COUNTS],
        leakage: filter_leaks!(
            "Opened: which bits at least min_peers' filters have (with counts: how many have them); of the others nothing."
        ),
        ..on_filters(
            "filter_threshold_union",
            "a Bloom filter of the keys that at least min_peers have; with counts also how many",
            Filtered::Set(Presence::Threshold),
        )
    },
    Aggregator {
        parameters: &[POSITIONS, HASHES, MAX_RECORDS, OF, MIN_PEERS_OF_THRESHOLD],
        leakage: leaks!("Opened: one number, how many bits so many filters have; not which, nor whose."),
        ..on_filters(
            "filter_cardinality",
            "about how many keys somebody has, everybody has, or at least min_peers have",
            Filtered::Set(Presence::Cardinality),
        )
    },
    Aggregator {
        models: VERIFIED,
        parameters: &[
            POSITIONS,
            HASHES,
            KEYS,
            MAX_RECORDS,
            MIN_PEERS_OR_WEIGHT,
            MIN_WEIGHT,
            MAX_WEIGHT,
            PEER_WEIGHTS,
            MIN_PEER_WEIGHT,
            LEARN,
        ],
        leakage: filter_leaks!(
            "Opened: of each bit that at least min_peers' filters have with at least min_weight together, how many do and the sum of \
             their weights (with learn=events neither, with learn=counts not the weights). Of others nothing. With peer_weights \
             that also tells that those who have it weigh at least min_peer_weight."
        ),
        ..on_filters(
            "filter_weighted_intersection",
            "records of a key and its weight: a Bloom filter of the keys that at least min_peers have with at least min_weight \
             together, with counts and weights, which may be too large but not too small",
            Filtered::Weighted,
        )
    },
];
