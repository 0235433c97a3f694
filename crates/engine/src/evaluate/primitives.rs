//! The table of single operations in docs/protocols.md, from the counts that forecasts are made of.

use std::fmt::Write;
use std::ops::RangeInclusive;

use super::Cost;
use super::order::network;
use crate::arithmetic::{KING_FROM, KING_LENGTH, can_compare};
use crate::plan::{FieldChoice, SecurityModel};

/// The numbers of compute peers that the documentation gives costs for.
pub const PEERS: RangeInclusive<usize> = 3..=11;
/// Numbers at once in the table; many at once in [`LONG`].
const NUMBERS: usize = 1000;
const LONG: usize = 100_000;

const SEMI_HONEST: &[SecurityModel] = &[SecurityModel::SemiHonest];
const VERIFIED: &[SecurityModel] = &[SecurityModel::SemiHonest, SecurityModel::Malicious];
const ALL: &[SecurityModel] = &[SecurityModel::SemiHonest, SecurityModel::Malicious, SecurityModel::Guaranteed];

/// One operation on so many numbers at once.
struct Operation {
    name: &'static str,
    numbers: usize,
    field: FieldChoice,
    models: &'static [SecurityModel],
    count: fn(&mut Cost, usize),
    protocol: fn(SecurityModel) -> (&'static str, &'static str),
}

const OPERATIONS: [Operation; 9] = [
    Operation {
        name: "multiply",
        numbers: NUMBERS,
        field: FieldChoice::F61,
        models: ALL,
        count: Cost::multiply,
        protocol: product,
    },
    Operation {
        name: "multiply, long vectors",
        numbers: LONG,
        field: FieldChoice::F61,
        models: ALL,
        count: Cost::multiply,
        protocol: product,
    },
    Operation {
        name: "power, to the 13th",
        numbers: NUMBERS,
        field: FieldChoice::F61,
        models: ALL,
        count: |cost, numbers| cost.power(numbers, 13),
        protocol: product,
    },
    Operation {
        name: "less_than, 32 bits",
        numbers: NUMBERS,
        field: FieldChoice::F61,
        models: VERIFIED,
        count: |cost, numbers| cost.compare(numbers, 32),
        protocol: comparison,
    },
    Operation {
        name: "less_than, 64 bits",
        numbers: NUMBERS,
        field: FieldChoice::F127,
        models: VERIFIED,
        count: |cost, numbers| cost.compare(numbers, 64),
        protocol: comparison,
    },
    Operation {
        name: "order of 64 numbers in rows, 32 bits",
        numbers: NUMBERS,
        field: FieldChoice::F61,
        models: VERIFIED,
        count: |cost, numbers| network::sort_cost(64, numbers.div_ceil(64), 32, cost),
        protocol: |model| match model {
            SecurityModel::SemiHonest => ("merge exchange (Batcher 1968) on bit-sliced shares", "`arithmetic/sort.rs`"),
            _ => ("merge exchange over masked comparisons", "`evaluate/order/network.rs`"),
        },
    },
    Operation {
        name: "truncate",
        numbers: NUMBERS,
        field: FieldChoice::F127,
        models: SEMI_HONEST,
        count: Cost::truncate,
        protocol: |_| ("Catrina, Saxena 2010", "`arithmetic/fixed.rs`"),
    },
    Operation {
        name: "fixed_divide, 38 bits",
        numbers: NUMBERS,
        field: FieldChoice::F127,
        models: SEMI_HONEST,
        count: |cost, numbers| cost.divide(numbers, 38),
        protocol: |_| ("normalisation, Newton's iteration (Catrina, Saxena 2010)", "`arithmetic/fixed.rs`"),
    },
    Operation {
        name: "biased bit, 64 bits of chance",
        numbers: NUMBERS,
        field: FieldChoice::F61,
        models: SEMI_HONEST,
        count: Cost::coins,
        protocol: |_| ("Dwork, Kenthapadi, McSherry, Mironov, Naor 2006", "`arithmetic/coins.rs`"),
    },
];

fn product(model: SecurityModel) -> (&'static str, &'static str) {
    match model {
        SecurityModel::SemiHonest => (
            "Ben-Or, Goldwasser, Wigderson 1988; resharing (Gennaro, Rabin, Rabin 1998) with seeds, over kings \
             (Damgård, Nielsen 2007) where marked K",
            "`arithmetic/multiply.rs`",
        ),
        SecurityModel::Malicious => (
            "the same, then verified (Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai 2019; Goyal, Song 2020; Goyal, Liu, \
             Song 2019)",
            "`arithmetic/verify.rs`",
        ),
        SecurityModel::Guaranteed => (
            "masked by pseudorandom sharings (Cramer, Damgård, Ishai 2005), opened and decoded (Gao 2003)",
            "`arithmetic/robust.rs`",
        ),
    }
}

fn comparison(model: SecurityModel) -> (&'static str, &'static str) {
    match model {
        SecurityModel::SemiHonest => (
            "masks with shared bits (Damgård et al. 2006), carry tree on replicated bits (Araki et al. 2016; Ito, \
             Saito, Nishizeki 1987)",
            "`arithmetic/compare.rs`",
        ),
        _ => (
            "masks of verified bits (Damgård, Fitzi, Kiltz, Nielsen, Toft 2006; Nishide, Ohta 2007)",
            "`arithmetic/masked.rs`",
        ),
    }
}

/// The table as Markdown: rounds and elements that one party sends per number, by the number of compute peers.
pub fn documentation() -> String {
    let mut out = String::from("| operation | numbers at once | field | model | protocol | code |");
    PEERS.for_each(|n| _ = write!(out, " n = {n} |"));
    out.push_str("\n|---|---|---|---|---|---|");
    out.push_str(&"---|".repeat(PEERS.count()));
    out.push('\n');
    for operation in &OPERATIONS {
        for model in operation.models {
            let (protocol, code) = (operation.protocol)(*model);
            let Operation { name, numbers, field, .. } = operation;
            let (model_name, field) = (model.name(), field.name());
            _ = write!(out, "| {name} | {numbers} | {field} | {model_name} | {protocol} | {code} |");
            for n in PEERS {
                _ = write!(out, " {} |", cell(operation, *model, n).unwrap_or_else(|| "refused".to_owned()));
            }
            out.push('\n');
        }
    }
    out
}

/// `rounds; elements`, with the largest threshold of the model.
fn cell(operation: &Operation, model: SecurityModel, n: usize) -> Option<String> {
    let t = match model {
        SecurityModel::Guaranteed => (n - 1) / 4,
        SecurityModel::SemiHonest | SecurityModel::Malicious => (n - 1) / 2,
    };
    if t == 0 || !can_compare(n, t) {
        return None;
    }
    let mut cost = Cost::new(n, t, operation.field).in_model(model);
    (operation.count)(&mut cost, operation.numbers);
    cost.verify();
    let elements = cost.bytes as f64 / operation.field.bytes() as f64 / operation.numbers as f64;
    let kings = model != SecurityModel::Guaranteed && n >= KING_FROM && operation.numbers >= KING_LENGTH;
    Some(format!("{}; {elements:.2}{}", cost.rounds, if kings { " K" } else { "" }))
}
