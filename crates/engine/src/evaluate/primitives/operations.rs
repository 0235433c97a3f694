//! The list of operations.

use super::{Operation, Protocol};
use crate::evaluate::Cost;
use crate::evaluate::order::network;
use crate::plan::FieldChoice::{F61, F127};

/// Numbers at once in the documentation; many at once in [`LONG`].
const NUMBERS: usize = 1000;
const LONG: usize = 100_000;

const NOTHING: &str = "nothing";
const MASKED: &str = "nothing; where the field has room for long masks only, nothing but 2^-40";

const PRODUCT: Option<Protocol> = by(
    "Ben-Or, Goldwasser, Wigderson 1988; resharing (Gennaro, Rabin, Rabin 1998) with seeds, over kings (Damgård, Nielsen 2007) where marked K",
    "arithmetic/multiply.rs",
);
const VERIFIED_PRODUCT: Option<Protocol> = by(
    "the same, then verified (Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai 2019; Goyal, Song 2020; Goyal, Liu, Song 2019)",
    "arithmetic/verify.rs",
);
const ROBUST_PRODUCT: Option<Protocol> = by(
    "masked by pseudorandom sharings (Cramer, Damgård, Ishai 2005), opened and decoded (Gao 2003)",
    "arithmetic/robust.rs",
);
const VERIFIED: Option<Protocol> = by("the same products, verified", "arithmetic/verify.rs");
const DECODED: Option<Protocol> = by("the same products, decoded", "arithmetic/robust.rs");
const COMPARISON: Option<Protocol> = by(
    "masks with shared bits (Damgård et al. 2006), carry tree on replicated bits (Araki et al. 2016; Ito, Saito, Nishizeki 1987)",
    "arithmetic/compare.rs",
);
const MASKED_COMPARISON: Option<Protocol> = by(
    "masks of verified bits (Damgård, Fitzi, Kiltz, Nielsen, Toft 2006; Nishide, Ohta 2007)",
    "arithmetic/masked.rs",
);

const fn by(source: &'static str, code: &'static str) -> Option<Protocol> {
    Some(Protocol { source, code })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "input_all: numbers of every party",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: Cost::input,
        ways: [
            by("Shamir 1979, t shares from seeds (Cramer, Damgård, Ishai 2005)", "arithmetic/input.rs"),
            by("the same; n > 2t+1: shares have to fit (Goyal, Liu, Song 2019)", "arithmetic/input.rs"),
            None,
        ],
    },
    Operation {
        name: "open, to all",
        numbers: NUMBERS,
        field: F61,
        leakage: "the numbers, to everybody",
        count: Cost::open,
        ways: [
            by("all n shares compared (Reed, Solomon 1960)", "arithmetic/open.rs"),
            by("the same, after all products before were verified", "arithmetic/open.rs"),
            None,
        ],
    },
    Operation {
        name: "open, to all, long vectors",
        numbers: LONG,
        field: F61,
        leakage: "the numbers, to everybody",
        count: Cost::open,
        ways: [
            by(
                "from n = 5 on by slices (Damgård, Nielsen 2007), checked by a random combination",
                "arithmetic/open.rs",
            ),
            by("the same, after all products before were verified", "arithmetic/open.rs"),
            None,
        ],
    },
    Operation {
        name: "open_to one",
        numbers: NUMBERS,
        field: F61,
        leakage: "the numbers, to one",
        count: Cost::open_to_one,
        ways: [
            by("all n shares compared (Reed, Solomon 1960)", "arithmetic/open.rs"),
            by("the same, after all products before were verified", "arithmetic/open.rs"),
            None,
        ],
    },
    Operation {
        name: "random",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: Cost::random,
        ways: [
            by(
                "keys of sets (Cramer, Damgård, Ishai 2005), or batches (Beerliová-Trubíniová, Hirt 2008)",
                "arithmetic/random.rs",
            ),
            by("the same; n > 2t+1: shares have to fit (Goyal, Liu, Song 2019)", "arithmetic/random.rs"),
            None,
        ],
    },
    Operation {
        name: "random_bits",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: Cost::random_bits,
        ways: [
            by(
                "signs of t+1 dealers multiplied (t = 1), or signs over roots (Damgård, Fitzi, Kiltz, Nielsen, Toft 2006)",
                "arithmetic/bits.rs",
            ),
            by("the same, and each squared and verified", "arithmetic/bits.rs"),
            None,
        ],
    },
    Operation {
        name: "multiply",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: Cost::multiply,
        ways: [PRODUCT, VERIFIED_PRODUCT, ROBUST_PRODUCT],
    },
    Operation {
        name: "multiply, long vectors",
        numbers: LONG,
        field: F61,
        leakage: NOTHING,
        count: Cost::multiply,
        ways: [PRODUCT, VERIFIED_PRODUCT, ROBUST_PRODUCT],
    },
    Operation {
        name: "dot of 10, matmul of inner dimension 10",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: |cost, numbers| cost.dot(numbers, 10),
        ways: [
            by("products of shares added up, then one reduction for each sum (as multiply)", "arithmetic/products.rs"),
            VERIFIED,
            DECODED,
        ],
    },
    Operation {
        name: "product of 8",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: |cost, numbers| cost.product(numbers, 8),
        ways: [by("a tree of products", "arithmetic/products.rs"), VERIFIED, DECODED],
    },
    Operation {
        name: "power, to the 13th",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: |cost, numbers| cost.power(numbers, 13),
        ways: [by("sliding windows of products", "arithmetic/products.rs"), VERIFIED, DECODED],
    },
    Operation {
        name: "select",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: Cost::multiply,
        ways: [by("a product", "arithmetic/compare.rs"), VERIFIED, DECODED],
    },
    Operation {
        name: "prefix_or of 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: |cost, numbers| cost.prefix_or(numbers, 32),
        ways: [by("products in Sklansky's tree (1960)", "arithmetic/compare.rs"), VERIFIED, DECODED],
    },
    Operation {
        name: "inverse",
        numbers: NUMBERS,
        field: F61,
        leakage: "an element that is zero, to everybody; otherwise nothing",
        count: Cost::inverse,
        ways: [
            by("the product with a random element is opened (Bar-Ilan, Beaver 1989)", "arithmetic/inverse.rs"),
            by("the same, verified before it is opened", "arithmetic/inverse.rs"),
            None,
        ],
    },
    Operation {
        name: "is_zero, equal",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: Cost::is_zero,
        ways: [
            by("opened under a mask of random bits, a tree of products (Nishide, Ohta 2007)", "arithmetic/equal.rs"),
            by("the same, bits and products verified", "arithmetic/equal.rs"),
            None,
        ],
    },
    Operation {
        name: "is_zero, equal, long vectors",
        numbers: 10_000,
        field: F61,
        leakage: NOTHING,
        count: Cost::is_zero,
        ways: [by("1 - a^(p-1) (Fermat; SEPIA: Burkhart et al. 2010)", "arithmetic/equal.rs"), VERIFIED, DECODED],
    },
    Operation {
        name: "less_than, is_negative, 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| cost.compare(numbers, 32),
        ways: [COMPARISON, MASKED_COMPARISON, None],
    },
    Operation {
        name: "less_than, is_negative, 64 bits",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: |cost, numbers| cost.compare(numbers, 64),
        ways: [COMPARISON, MASKED_COMPARISON, None],
    },
    Operation {
        name: "in_interval, 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| cost.compare(2 * numbers, 32),
        ways: [
            by("two comparisons at once", "arithmetic/compare.rs"),
            by("two comparisons at once", "arithmetic/masked.rs"),
            None,
        ],
    },
    Operation {
        name: "least_significant_bit, 16 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| cost.lowest_bit(numbers, 16),
        ways: [
            by(
                "as less_than without a gate; where masks have no room (Nishide, Ohta 2007) as less_than",
                "arithmetic/compare.rs",
            ),
            by("as less_than", "arithmetic/masked.rs"),
            None,
        ],
    },
    Operation {
        name: "decompose, 32 bits",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: |cost, numbers| cost.decompose(numbers, 32),
        ways: [
            by("as less_than with a prefix adder (Sklansky 1960), each bit to the field", "arithmetic/compare.rs"),
            None,
            None,
        ],
    },
    Operation {
        name: "min, max of 8, 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| network::extreme_cost(8, numbers, 32, 1, cost),
        ways: [
            by("a tournament of comparisons", "arithmetic/extremes.rs"),
            by("a tournament of verified comparisons", "arithmetic/extremes.rs"),
            None,
        ],
    },
    Operation {
        name: "argmin, argmax of 8, 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| network::extreme_cost(8, numbers, 32, 2, cost),
        ways: [
            by("a tournament of comparisons", "arithmetic/extremes.rs"),
            by("a tournament of verified comparisons", "arithmetic/extremes.rs"),
            None,
        ],
    },
    Operation {
        name: "sort in rows of 64, 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| network::sort_cost(64, numbers.div_ceil(64), 32, cost),
        ways: [
            by("merge exchange (Batcher 1968) on bit-sliced shares", "arithmetic/sort.rs"),
            by("merge exchange over verified comparisons", "arithmetic/network.rs"),
            None,
        ],
    },
    Operation {
        name: "sort, 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| network::sort_cost(numbers, 1, 32, cost),
        ways: [
            by("merge exchange (Batcher 1968) on bit-sliced shares", "arithmetic/sort.rs"),
            by("merge exchange over verified comparisons", "arithmetic/network.rs"),
            None,
        ],
    },
    Operation {
        name: "sort_with a payload, 32 and 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: MASKED,
        count: |cost, numbers| network::sort_pairs_cost(numbers, 32, 32, cost),
        ways: [
            by("merge exchange (Batcher 1968) on bit-sliced shares", "arithmetic/sort.rs"),
            by("merge exchange over verified comparisons", "arithmetic/network.rs"),
            None,
        ],
    },
    Operation {
        name: "shuffle, 32 bits",
        numbers: NUMBERS,
        field: F61,
        leakage: "nothing but 2^-40; no order is likelier than another but for 2^-40",
        count: |cost, numbers| cost.shuffle(numbers, 32),
        ways: [
            by("sorted by random shared keys of 40 + 2 log2 m bits (Batcher 1968)", "arithmetic/sort.rs"),
            None,
            None,
        ],
    },
    Operation {
        name: "truncate",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: Cost::truncate,
        ways: [by("Catrina, Saxena 2010", "arithmetic/fixed.rs"), None, None],
    },
    Operation {
        name: "fixed_multiply",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: Cost::fixed_multiply,
        ways: [by("a product, truncated (Catrina, Saxena 2010)", "arithmetic/fixed.rs"), None, None],
    },
    Operation {
        name: "fixed_divide, 38 bits",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: |cost, numbers| cost.divide(numbers, 38),
        ways: [by("normalisation, Newton's iteration (Catrina, Saxena 2010)", "arithmetic/fixed.rs"), None, None],
    },
    Operation {
        name: "fixed_sqrt, 38 bits",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: |cost, numbers| cost.sqrt(numbers, 38),
        ways: [by("the same (Catrina, Saxena 2010)", "arithmetic/fixed.rs"), None, None],
    },
    Operation {
        name: "fixed_exp",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: Cost::exp,
        ways: [by("a Taylor polynomial of x/64, squared six times", "arithmetic/exponential.rs"), None, None],
    },
    Operation {
        name: "fixed_log, 36 bits",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: |cost, numbers| cost.log(numbers, 36),
        ways: [by("normalisation, a Chebyshev series", "arithmetic/exponential.rs"), None, None],
    },
    Operation {
        name: "fixed_logistic, 38 bits",
        numbers: NUMBERS,
        field: F127,
        leakage: MASKED,
        count: |cost, numbers| cost.logistic(numbers, 38),
        ways: [by("comparisons, fixed_exp, Newton's iteration", "arithmetic/exponential.rs"), None, None],
    },
    Operation {
        name: "biased_bits, 64 bits of chance",
        numbers: NUMBERS,
        field: F61,
        leakage: NOTHING,
        count: Cost::coins,
        ways: [
            by("random bits compared (Dwork, Kenthapadi, McSherry, Mironov, Naor 2006)", "arithmetic/coins.rs"),
            by("the same, of verified bits and products", "arithmetic/coins.rs"),
            None,
        ],
    },
];
