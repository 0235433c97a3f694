//! Randomness from the operating system, and what is made of it directly.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::PkiError;

/// Digits and lowercase letters without `i`, `l`, `o` (taken for `1` and `0`) and `u` (taken for
/// `v`): Crockford's base 32. Exactly 32 characters, so five random bits choose one without bias.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Length of a registration code.
pub const REGISTRATION_CODE_LEN: usize = 16;

/// Fills `bytes` from the operating system's generator; on failure their content is unspecified.
pub fn fill(bytes: &mut [u8]) -> Result<(), PkiError> {
    SystemRandom::new().fill(bytes).map_err(|_| PkiError::Random)
}

/// 32 hexadecimal digits that make a text differ from all others.
pub fn nonce() -> Result<String, PkiError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// A one-time invitation: 16 characters of [`ALPHABET`], 80 bits.
pub fn registration_code() -> Result<String, PkiError> {
    let mut bytes = [0; REGISTRATION_CODE_LEN];
    fill(&mut bytes)?;
    // 32 divides 256: the remainder is unbiased.
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn alphabet_has_32_different_unambiguous_characters() {
        let set: BTreeSet<u8> = ALPHABET.iter().copied().collect();
        assert_eq!(set.len(), 32);
        assert!(b"iloOIL".iter().all(|c| !set.contains(c)));
    }

    #[test]
    fn codes_use_the_whole_alphabet_evenly() {
        let mut seen = BTreeMap::new();
        for _ in 0..2000 {
            let code = registration_code().expect("random");
            assert_eq!(code.len(), 16);
            for c in code.bytes() {
                assert!(ALPHABET.contains(&c));
                *seen.entry(c).or_insert(0_u32) += 1;
            }
        }
        // 1000 expected of each, standard deviation 31: eight of them never happen by chance.
        assert_eq!(seen.len(), 32);
        assert!(seen.values().all(|n| (750..1250).contains(n)), "{seen:?}");
    }

    #[test]
    fn two_fills_differ() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        fill(&mut a).expect("random");
        fill(&mut b).expect("random");
        assert_ne!(a, b);
    }
}
