use aws_lc_rs::digest::{SHA256, digest};
use tacit_model::Fingerprint;

use crate::random::ALPHABET;

const GROUPS: usize = 6;
const PER_GROUP: usize = 5;

/// What two people read to each other while pairing: six groups of five characters, the same on
/// both sides whoever asks, different for anybody in the middle.
///
/// Whoever stands between A and B and offers key M to A and key N to B succeeds if
/// code(A, M) = code(N, B). Both keys may be searched for in advance, so the cost is that of a
/// collision: 30 characters of 5 bits make it 2^75 keys. Fewer characters would not do.
pub fn comparison_code(a: Fingerprint, b: Fingerprint) -> String {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    let mut text = b"tacit/v1/comparison\0".to_vec();
    text.extend_from_slice(&first.0);
    text.extend_from_slice(&second.0);
    let hash = digest(&SHA256, &text);

    let mut code = String::with_capacity(GROUPS * (PER_GROUP + 1));
    // A byte per character: 32 divides 256, so every character is equally likely.
    for (i, byte) in hash.as_ref().iter().take(GROUPS * PER_GROUP).enumerate() {
        if i > 0 && i % PER_GROUP == 0 {
            code.push(' ');
        }
        code.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_on_both_sides_and_only_there() {
        let (a, b, m) = (Fingerprint([1; 32]), Fingerprint([2; 32]), Fingerprint([3; 32]));
        assert_eq!(comparison_code(a, b), comparison_code(b, a));
        assert_ne!(comparison_code(a, m), comparison_code(m, b));
        assert_ne!(comparison_code(a, a), comparison_code(a, b));
    }

    #[test]
    fn six_groups_that_stay() {
        let code = comparison_code(Fingerprint([1; 32]), Fingerprint([2; 32]));
        assert_eq!(code.split(' ').count(), 6);
        assert!(code.split(' ').all(|group| group.len() == 5));
        // Neighbouring versions must show the same code.
        assert_eq!(code, "ghdf4 j85qq envan 21w4m 856hs k2m1j");
    }
}
