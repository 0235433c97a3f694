//! Several signatures under one text, checked together.
//!
//! `aws-lc-rs`, which makes and checks all others, checks one at a time. Who computes waits for all others' signatures under one
//! set: ten of them together take two thirds of the time that they take one by one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ed25519_dalek::{Signature, VerifyingKey, verify_batch};

use crate::PublicKey;

/// Fewer are as fast one by one.
const FROM: usize = 4;
/// So many keys are kept as points.
const KEPT: usize = 4096;

/// Keys of others as points of the curve: what a signature is checked with, and takes a tenth of the time to find.
static POINTS: Mutex<BTreeMap<[u8; 32], VerifyingKey>> = Mutex::new(BTreeMap::new());

/// Whether all of these are signatures under one text. `false` says nothing of a single one of them.
///
/// An honest signer's signature holds here if and only if it holds alone. Whoever has a key can make one that holds in some
/// company and not alone (with a part of small order, or a point written another way; Chalkias, Garillot, Nikolaenko, "Taming
/// the many EdDSAs", 2020): of no use against who checks, since it is that party's all the same, but not to be shown to others
/// as evidence.
pub(crate) fn hold_together(text: &[u8], signed: &[(&PublicKey, &[u8; 64])]) -> bool {
    if signed.len() < FROM {
        return false;
    }
    let Some(keys) = signed.iter().map(|(key, _)| point(key)).collect::<Option<Vec<_>>>() else { return false };
    let signatures: Vec<Signature> = signed.iter().map(|(_, signature)| Signature::from_bytes(signature)).collect();
    verify_batch(&vec![text; signed.len()], &signatures, &keys).is_ok()
}

fn point(key: &PublicKey) -> Option<VerifyingKey> {
    let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(point) = points.get(key.raw()) {
        return Some(*point);
    }
    let point = VerifyingKey::from_bytes(key.raw()).ok()?;
    if points.len() >= KEPT {
        points.clear();
    }
    points.insert(*key.raw(), point);
    Some(point)
}
