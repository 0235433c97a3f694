//! Commands that talk to a node.

pub(crate) mod backup;
pub(crate) mod group;
pub(crate) mod init;
pub(crate) mod join;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod negotiation;
pub(crate) mod pair;
pub(crate) mod peer;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod source;
pub(crate) mod task;
pub(crate) mod token;
mod waiting;

use std::net::SocketAddr;

use serde::Serialize;
use tacit_model::{Fingerprint, ParseIdError};

use crate::output::{Failure, result_line};
use crate::wizard::say;

/// Prints a value as JSON, or what the closure makes of it for people.
pub(crate) fn print<T: Serialize>(json: bool, value: &T, people: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    if json {
        result_line(&serde_json::to_string(value)?)?;
    } else {
        let text = people(value);
        if !text.is_empty() {
            result_line(&text)?;
        }
    }
    Ok(())
}

/// Prints a list, each entry as the closure makes it for people. Where there is none they are told so beside the output: a
/// program that reads it finds nothing there.
pub(crate) fn print_all<T: Serialize>(
    json: bool,
    all: &[T],
    none: &str,
    people: impl FnMut(&T) -> String,
) -> Result<(), Failure> {
    if all.is_empty() && !json {
        return say(none);
    }
    print(json, &all, |all| all.iter().map(people).collect::<Vec<_>>().join("\n"))
}

/// A list within a line.
pub(crate) fn commas(list: &[String], none: &str) -> String {
    if list.is_empty() { none.to_owned() } else { list.join(",") }
}

/// So many of something: `1 row`, `2 rows`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A group as commands name it.
pub(crate) fn group_number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "a group is named by its number, which `tacit group list` shows".to_owned())
}

/// Where something listens.
pub(crate) fn ip_and_port(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("this is an IP address and a port, such as 127.0.0.1:7400, not {text:?}"))
}

/// A fingerprint as people paste it: in any case, with the spaces or colons between its digits that programs print.
pub(crate) fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    digits.parse::<Fingerprint>().map_err(|wrong: ParseIdError| match digits.len() {
        // The first digits are shown in lists, and are never enough to compare keys by.
        some @ 1.. if some < wrong.digits && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("these are {some} digits, and a fingerprint has {}: give all of them", wrong.digits)
        }
        _ => wrong.to_string(),
    })
}

/// `1 row is`, `2 rows are`.
pub(crate) fn are(number: usize, what: &str) -> String {
    format!("{} {}", counted(number, what), if number == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_number() {
        assert_eq!(group_number("12"), Ok(12));
        for name in ["isps", "", "1.5"] {
            assert!(group_number(name).expect_err("no number").contains("`tacit group list`"), "{name}");
        }
    }

    #[test]
    fn a_fingerprint_may_be_pasted_as_it_is_printed() {
        let key = Fingerprint(core::array::from_fn(|index| u8::try_from(index * 7).unwrap_or(u8::MAX)));
        let whole = key.to_string();
        let parted = |by: &str, each: usize| {
            let parts = whole.as_bytes().chunks(each).map(|part| String::from_utf8_lossy(part).into_owned());
            parts.collect::<Vec<_>>().join(by)
        };
        for pasted in [whole.clone(), whole.to_uppercase(), parted(" ", 4), parted(":", 2), format!(" {whole}\n")] {
            assert_eq!(fingerprint(&pasted), Ok(key), "{pasted}");
        }
        // What lists show is never enough.
        assert!(fingerprint(&key.short()).expect_err("too few").contains("16 digits, and a fingerprint has 64"));
        for wrong in ["", "alpha", &whole.replace('0', "-"), &format!("{whole}00")] {
            assert!(fingerprint(wrong).expect_err("none").contains("64"), "{wrong}");
        }
    }
}
