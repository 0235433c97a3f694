//! Exports of the audit log: nothing in the file is left unchecked.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use tacit_accord::log::export::{Broken, Report, Verifier, checkpoint_line, entry_line, header_line, signed_after};
use tacit_accord::log::{Checkpoint, Entry, Kind, Tree, leaf_hash};
use tacit_fuzz::keys::MANAGER;
use tacit_model::UnixMillis;

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else { return };
    match how % 3 {
        // A file as it comes.
        0 => {
            if let Err(broken) = verify(data) {
                assert!(!broken.to_string().is_empty());
            }
        }
        // A file of entries with any facts, well signed.
        1 => {
            let Ok(facts) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
            let bodies: Vec<String> = [Kind::Software, Kind::Consensus, Kind::Action]
                .into_iter()
                .filter_map(|kind| entry(kind, facts.clone()))
                .collect();
            let _ = verify(&export(&bodies, facts.get("software").and_then(Value::as_str).unwrap_or_default()));
        }
        // A right file with some bytes changed: place (two bytes), byte, ...
        _ => {
            let mut file = RIGHT.clone();
            for change in data.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
                file[at] = change[2];
            }
            let length = match data.chunks_exact(3).remainder() {
                [cut] => file.len().saturating_sub(usize::from(*cut)),
                _ => file.len(),
            };
            let file = &file[..length];
            assert_eq!(verify(file).is_ok(), *file == **RIGHT, "a change was not noticed");
        }
    }
});

static RIGHT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let facts = |number: u64| match json!({ "software": "x", "number": number.to_string() }) {
        Value::Object(facts) => facts,
        _ => Map::new(),
    };
    let body = |number| entry(if number == 0 { Kind::Software } else { Kind::Action }, facts(number));
    // More than one checkpoint.
    export(&(0..260).filter_map(body).collect::<Vec<_>>(), "x")
});

fn entry(kind: Kind, facts: Map<String, Value>) -> Option<String> {
    Entry { at: UnixMillis(1), node: MANAGER.fingerprint(), kind, facts }.body().ok()
}

fn export(bodies: &[String], software: &str) -> Vec<u8> {
    let sign = |size: usize| {
        let mut tree = Tree::new();
        bodies[..size].iter().for_each(|body| tree.append(leaf_hash(body.as_bytes()), drop));
        let note = Checkpoint::new(&MANAGER.fingerprint(), &tree).sign(&MANAGER).expect("its own log");
        checkpoint_line(&note).expect("canonical")
    };
    let mut file = header_line(MANAGER.public_key(), software).expect("canonical") + &sign(bodies.len());
    for (seq, body) in (1..).zip(bodies) {
        file += &entry_line(seq, &leaf_hash(body.as_bytes()), body);
        if signed_after(seq, bodies.len() as u64) {
            file += &sign(usize::try_from(seq).expect("small"));
        }
    }
    file.into_bytes()
}

fn verify(file: &[u8]) -> Result<Report, Broken> {
    let mut verifier = Verifier::new(None, Vec::new());
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        verifier.line(line)?;
    }
    verifier.finish()
}
