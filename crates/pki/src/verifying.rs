//! Signatures checked: one alone, or several under one text together.
//!
//! By ed25519-dalek, where everything else of ours is by aws-lc-rs: a process checks the signatures of the same few keys
//! again and again, and this one lets it keep them as points of the curve, has code for AVX-512 (half the time; see
//! `.cargo/config.toml`), and checks several together (two thirds of the time that they take one by one).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ed25519_dalek::{Signature, Verifier, VerifyingKey, verify_batch};

use crate::PublicKey;

/// Fewer are as fast one by one.
const FROM: usize = 4;
/// So many keys are kept as points.
const KEPT: usize = 4096;

/// Keys of others as points of the curve: what a signature is checked with, and takes a tenth of the time to find.
static POINTS: Mutex<BTreeMap<[u8; 32], VerifyingKey>> = Mutex::new(BTreeMap::new());

/// Whether this is the key's signature over this text (RFC 8032, section 5.1.7, without the cofactor: as OpenSSL and aws-lc say).
pub(crate) fn holds(text: &[u8], key: &PublicKey, signature: &[u8; 64]) -> bool {
    point(key).is_some_and(|key| key.verify(text, &Signature::from_bytes(signature)).is_ok())
}

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

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use proptest::prelude::*;

    use super::*;
    use crate::identity::tests::identity;

    /// The order of the group, RFC 8032 section 5.1, its lowest byte first.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    fn also_says_aws_lc(text: &[u8], key: &PublicKey, signature: &[u8; 64]) -> bool {
        let holds = holds(text, key, signature);
        assert_eq!(UnparsedPublicKey::new(&ED25519, key.raw()).verify(text, signature).is_ok(), holds);
        holds
    }

    proptest! {
        /// The two libraries are of one mind: what one party refuses, an auditor with other tools refuses, too.
        #[test]
        fn what_holds_here_holds_elsewhere(text in prop::collection::vec(any::<u8>(), 0..200), place in 0..64_usize, bit in 0..8_u32) {
            let signer = identity("a");
            let (key, other) = (signer.public_key(), identity("b"));
            let signature = signer.sign(&text).0;
            prop_assert!(also_says_aws_lc(&text, key, &signature));
            prop_assert!(!also_says_aws_lc(&text, other.public_key(), &signature));
            let mut flipped = signature;
            flipped[place] ^= 1_u8 << bit;
            prop_assert!(!also_says_aws_lc(&text, key, &flipped));
            let mut longer = text.clone();
            longer.push(0);
            prop_assert!(!also_says_aws_lc(&longer, key, &signature));
        }
    }

    #[test]
    fn the_same_point_written_another_way_is_refused() {
        let signer = identity("a");
        let mut signature = signer.sign(b"text").0;
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert!(!also_says_aws_lc(b"text", signer.public_key(), &signature));
        let neutral = [1].into_iter().chain([0; 63]).collect::<Vec<u8>>().try_into().expect("64 bytes");
        assert!(!also_says_aws_lc(b"text", signer.public_key(), &neutral));
    }
}
