//! Receipts and contributors' proofs: no byte of them is left unchecked.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tacit_accord::log::{Checkpoint, Entry, Hash, Kind, Tree, leaf_hash};
use tacit_accord::receipt::{Contribution, Logged, Receipt, ReceiptSignature, Statement};
use tacit_fuzz::keys::{MANAGER, identity};
use tacit_model::UnixMillis;
use tacit_pki::Identity;

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else { return };
    match how % 4 {
        // A document as it comes.
        0 => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            match Receipt::verify(text) {
                Ok(receipt) => assert_eq!(receipt.to_document().ok().as_deref(), Some(text.trim_end_matches('\n'))),
                Err(fault) => assert!(!fault.place.is_empty()),
            }
        }
        // Any statement, well signed and logged.
        1 => {
            let Ok(mut statement) = serde_json::from_slice::<Statement>(data) else { return };
            statement.compute = PEERS.iter().map(Identity::fingerprint).collect();
            if let Some(document) = receipt(statement).and_then(|receipt| receipt.to_document().ok()) {
                let _ = Receipt::verify(&document);
            }
        }
        // A contributor's proof as it comes.
        2 => {
            if let Ok(own) = serde_json::from_slice::<Contribution>(data) {
                let receipt = Receipt::verify(&RIGHT).expect("a right one");
                assert!(receipt.check_contribution(&own).is_err(), "nobody is under that root");
            }
        }
        // A right document with some bytes changed: place (two bytes), byte, ...
        _ => {
            let mut file = RIGHT.clone().into_bytes();
            for change in data.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
                file[at] = change[2];
            }
            let Ok(text) = String::from_utf8(file) else { return };
            assert_eq!(Receipt::verify(&text).is_ok(), text == *RIGHT, "a change was not noticed");
        }
    }
});

static PEERS: LazyLock<Vec<Identity>> = LazyLock::new(|| {
    let mut peers: Vec<Identity> = (3..6).map(identity).collect();
    peers.sort_by_key(Identity::fingerprint);
    peers
});

static RIGHT: LazyLock<String> = LazyLock::new(|| {
    let hash = |byte| Hash([byte; 32]).to_string();
    let statement = json!({
        "format": "tacit-receipt/1", "group": 1, "consensus": hash(1), "session": "02".repeat(16), "run": 3, "slot": 4,
        "attempt": 0, "task": { "aggregator": "sum", "items": 2 }, "plan": hash(3), "model": "semi-honest",
        "threshold": 1, "compute": PEERS.iter().map(Identity::fingerprint).collect::<Vec<_>>(),
        "contributors": { "count": 5, "root": hash(7) }, "recipients": 5, "guards": { "max_element": "1000" },
        "budget": Value::Null, "frozen": hash(4), "binding": hash(5), "agreement": Value::Null,
    });
    let statement = serde_json::from_value(statement).expect("a statement");
    receipt(statement).expect("signed").to_document().expect("canonical")
});

/// A receipt for this statement, signed by all peers and logged as the second of two entries.
fn receipt(statement: Statement) -> Option<Receipt> {
    let signatures: Option<Vec<ReceiptSignature>> = PEERS.iter().map(|peer| statement.sign(peer).ok()).collect();
    let signatures = signatures?;
    let agreement = statement.agreement.clone().unwrap_or_else(|| Hash([6; 32]).to_string());
    let facts = statement.facts(&signatures, &agreement).ok()?;
    let entry = Entry { at: UnixMillis(7), node: MANAGER.fingerprint(), kind: Kind::Receipt, facts };
    let first = leaf_hash(b"first");
    let mut tree = Tree::new();
    for leaf in [first, leaf_hash(entry.body().ok()?.as_bytes())] {
        tree.append(leaf, drop);
    }
    let checkpoint = Checkpoint::new(&MANAGER.fingerprint(), &tree).sign(&MANAGER).ok()?;
    let key = MANAGER.public_key().to_base64();
    let log = Logged { entry, number: 2, proof: vec![first.to_string()], checkpoint, key };
    Some(Receipt { statement, signatures, log })
}
