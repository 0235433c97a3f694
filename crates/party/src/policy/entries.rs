//! What an owner says of series, one by one: entries `NAME=VALUE`.

use std::collections::BTreeSet;

use tacit_job::is_source;

/// Every series that has no entry of its own.
pub(super) const ANY: &str = "*";

/// Name and value of an entry, if it names a series, all others, or `besides`.
pub(super) fn parts<'a>(entry: &'a str, besides: &[&str]) -> Option<(&'a str, &'a str)> {
    entry.rsplit_once('=').filter(|(name, _)| *name == ANY || besides.contains(name) || is_source(name))
}

/// Whether each entry can be read, and none names what another one does.
pub(super) fn are_entries<T>(entries: &[String], besides: &[&str], read: impl Fn(&str) -> Option<T>) -> bool {
    let mut names = BTreeSet::new();
    let mut is_entry = |(name, value)| read(value).is_some() && names.insert(name);
    entries.iter().all(|entry| parts(entry, besides).is_some_and(&mut is_entry))
}
