//! Verification of an exported log, offline.

use core::str::FromStr;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Value, json};
use tacit_accord::log::export::{Broken, MAX_LINE, Report, Verifier};
use tacit_model::Fingerprint;
use tacit_pki::PublicKey;

use super::{print, refused};
use crate::command::fingerprint;
use crate::output::{Code, Failure};

/// A key as people have it: the fingerprint, or the key itself.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    Fingerprint(Fingerprint),
    Public(PublicKey),
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(fingerprint) = fingerprint(text) {
            return Ok(Self::Fingerprint(fingerprint));
        }
        PublicKey::from_base64(text)
            .map(Self::Public)
            .map_err(|_| "give a fingerprint (64 hexadecimal digits) or a public key (base64)".to_owned())
    }
}

impl Key {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Fingerprint(fingerprint) => *fingerprint,
            Self::Public(key) => key.fingerprint(),
        }
    }

    pub(crate) fn public(&self) -> Result<PublicKey, Failure> {
        match self {
            Self::Public(key) => Ok(*key),
            Self::Fingerprint(_) => Err(Failure::usage("--replica needs public keys, not fingerprints")),
        }
    }
}

pub(super) fn file(path: &Path, key: Option<&Key>, others: Vec<PublicKey>, json: bool) -> Result<(), Failure> {
    let unreadable = |e: std::io::Error| Failure::usage(format!("{} cannot be read: {e}", path.display()));
    let mut source = BufReader::with_capacity(1 << 20, std::fs::File::open(path).map_err(unreadable)?);
    let mut verifier = Verifier::new(key.map(Key::fingerprint), others);
    let mut line = Vec::new();
    let outcome = loop {
        line.clear();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(2);
        if std::io::Read::take(&mut source, limit).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break verifier.finish();
        }
        if let Err(broken) = verifier.line(&line) {
            break Err(broken);
        }
    };
    if let Err(broken) = &outcome {
        refused(json, broken)?;
    }
    let (value, text) = told(outcome, key.is_some())?;
    print(json, &value, |_| text.clone())
}

/// Takes a file in pieces as they come.
pub(super) struct Reader {
    verifier: Verifier,
    rest: Vec<u8>,
    broken: Option<Broken>,
}

impl Reader {
    pub(super) fn new(verifier: Verifier) -> Self {
        Self { verifier, rest: Vec::new(), broken: None }
    }

    pub(super) fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") || self.rest.len() > MAX_LINE {
                self.line();
            }
        }
    }

    fn line(&mut self) {
        if self.broken.is_none() {
            self.broken = self.verifier.line(&self.rest).err();
        }
        self.rest.clear();
    }

    pub(super) fn finish(mut self) -> Result<Report, Broken> {
        if !self.rest.is_empty() {
            self.line();
        }
        match self.broken {
            Some(broken) => Err(broken),
            None => self.verifier.finish(),
        }
    }
}

/// What a verification found, for programs and for people.
pub(super) fn told(outcome: Result<Report, Broken>, pinned: bool) -> Result<(Value, String), Failure> {
    let report = outcome.map_err(|b| Failure::new(Code::Refused, format!("the log does not hold: {b}")))?;
    let groups: Vec<Value> = report
        .groups
        .iter()
        .map(|(group, told)| {
            json!({
                "group": group, "name": told.name, "decisions": told.decisions,
                "consensus": told.consensus.to_string(), "signers": told.signers,
            })
        })
        .collect();
    let value = json!({
        "ok": true, "node": report.node.to_string(), "key": report.key.to_base64(), "pinned": pinned,
        "software": report.software, "entries": report.checkpoint.size, "root": report.checkpoint.root.to_string(),
        "writers": report.writers.iter().map(Fingerprint::to_string).collect::<Vec<_>>(),
        "first": report.span.map(|(first, _)| first.0), "last": report.span.map(|(_, last)| last.0),
        "witnesses": report.witnesses.iter().map(|(who, (size, at))| json!({ "witness": who.to_string(), "entries": size, "at": at.0 })).collect::<Vec<_>>(),
        "kinds": report.kinds, "groups": groups,
    });
    let mut text = format!("{} entries hold, root {}", report.checkpoint.size, report.checkpoint.root);
    for (kind, count) in &report.kinds {
        text.push_str(&format!("\n  {count:>8} {kind}"));
    }
    for (group, told) in &report.groups {
        text.push_str(&format!(
            "\n  group {group} ({}): {} decisions, consensus {}",
            told.name, told.decisions, told.consensus
        ));
    }
    for (witness, (size, at)) in &report.witnesses {
        text.push_str(&format!("\n  co-signed by {witness} over {size} entries at {at}"));
    }
    text.push_str(&format!("\nlog of node {}", report.node));
    if !pinned {
        text.push_str(", as the file itself says: compare this with the fingerprint you have, or give it with --key");
    }
    Ok((value, text))
}
