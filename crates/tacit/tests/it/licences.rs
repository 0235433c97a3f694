//! Every dependency may be used: its licence is on the list of `deny.toml`, its source is the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// One TLS and one set of ciphers; see `deny.toml`.
const BANNED: [&str; 4] = ["ring", "openssl", "openssl-sys", "native-tls"];

#[test]
fn licences_are_on_the_list() {
    let allowed = allowed();
    let metadata = metadata();
    let resolved: BTreeSet<&str> =
        list(&metadata["resolve"]["nodes"]).iter().filter_map(|node| node["id"].as_str()).collect();
    assert!(resolved.len() > 100, "only {} packages", resolved.len());
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let (name, id) = (text(&package["name"]), text(&package["id"]));
        if !resolved.contains(id) {
            continue;
        }
        let licence = package["license"].as_str().unwrap_or_default();
        if !satisfied(licence, &allowed) {
            wrong.insert(name.to_owned(), format!("licence {licence:?}"));
        }
        let source = package["source"].as_str();
        let at_home = source.is_none() && Path::new(text(&package["manifest_path"])).starts_with(root());
        if !at_home && source != Some("registry+https://github.com/rust-lang/crates.io-index") {
            wrong.insert(name.to_owned(), format!("source {source:?}"));
        }
    }
    // The metadata list crates of switched-off features, too; the tree is what is built.
    for name in built() {
        if BANNED.contains(&name.as_str()) {
            wrong.insert(name, "banned".to_owned());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The names of all crates that are built for the workspace and its tests.
fn built() -> BTreeSet<String> {
    let tree = ["tree", "--workspace", "--locked", "--offline", "--target", "x86_64-unknown-linux-gnu"];
    let output = cargo(&[&tree[..], &["--edges", "all", "--prefix", "none", "--format", "{p}"]].concat());
    let names = output.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    let names: BTreeSet<String> = names.collect();
    assert!(names.contains("rustls") && names.contains("tacit-engine"), "{names:?}");
    names
}

/// What the list of `deny.toml` allows.
fn allowed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let rules: toml::Table = text.parse().expect("TOML");
    let allowed = rules["licenses"]["allow"].as_array().expect("licenses.allow");
    let allowed: BTreeSet<String> = allowed.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    assert!(allowed.contains("MIT"), "{allowed:?}");
    let denied: Vec<&str> =
        rules["bans"]["deny"].as_array().expect("bans.deny").iter().filter_map(|ban| ban["crate"].as_str()).collect();
    assert!(denied.iter().all(|name| BANNED.contains(name)), "mend BANNED: {denied:?}");
    allowed
}

fn metadata() -> Value {
    let metadata = ["metadata", "--format-version", "1", "--locked", "--offline"];
    let output = cargo(&[&metadata[..], &["--filter-platform", "x86_64-unknown-linux-gnu"]].concat());
    serde_json::from_str(&output).expect("cargo metadata is JSON")
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(args).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a licence expression (SPDX, annex D; or the slash of older packages) leaves a choice that is
/// allowed.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.any().is_some_and(|fits| fits && reader.words.is_empty())
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.words.first() == Some(&word);
        if there {
            self.words = &self.words[1..];
        }
        there
    }

    /// One OR another.
    fn any(&mut self) -> Option<bool> {
        let mut fits = self.all()?;
        while self.take("OR") {
            fits |= self.all()?;
        }
        Some(fits)
    }

    /// One AND another: binds more tightly than OR.
    fn all(&mut self) -> Option<bool> {
        let mut fits = self.one()?;
        while self.take("AND") {
            fits &= self.one()?;
        }
        Some(fits)
    }

    fn one(&mut self) -> Option<bool> {
        match self.next()? {
            "(" => {
                let fits = self.any()?;
                self.take(")").then_some(fits)
            }
            "OR" | "AND" | "WITH" | ")" => None,
            name if self.take("WITH") => {
                let exception = self.next()?;
                Some(self.allowed.contains(&format!("{name} WITH {exception}")))
            }
            name => Some(self.allowed.contains(name)),
        }
    }
}

#[test]
fn expressions_are_read_as_spdx_says() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    let yes = [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND Apache-2.0",
        "GPL-3.0 AND BSD-4-Clause OR MIT",
        "Apache-2.0 WITH LLVM-exception",
        "(GPL-3.0) OR (Apache-2.0 AND (MIT))",
    ];
    let no = [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT AND (GPL-3.0 OR BSD-4-Clause)",
        "GPL-3.0 WITH LLVM-exception",
        "MIT WITH LLVM-exception",
        "MIT OR",
        "(MIT",
        "MIT)",
        "MIT MIT",
        "OR MIT",
    ];
    for expression in yes {
        assert!(satisfied(expression, &allowed), "{expression}");
    }
    for expression in no {
        assert!(!satisfied(expression, &allowed), "{expression}");
    }
}
