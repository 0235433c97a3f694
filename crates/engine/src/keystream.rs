//! Pairwise seeds and the pseudorandom streams that shares are expanded from.
//!
//! Seed = HKDF-SHA256 (RFC 5869) of a pair's fresh secret, with the session's binding as salt and
//! dealer, receiver and vector as info. Stream = AES-128-CTR (NIST SP 800-38A) over zeros.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::iv::FixedLength;
use tacit_model::Fingerprint;
use zeroize::{Zeroize, Zeroizing};

/// The library refused what it always accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CryptoFailed;

/// What a keystream starts from. Not printable; cleared when dropped.
pub(crate) struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// The seed of one vector from a dealer to a receiver. Both derive it, nobody else can.
    pub(crate) fn of_pair(
        secret: &[u8; 32],
        binding: &[u8; 32],
        dealer: &Fingerprint,
        receiver: &Fingerprint,
        vector: &str,
    ) -> Result<Self, CryptoFailed> {
        let info: [&[u8]; 4] = [b"tacit/share/v1", &dealer.0, &receiver.0, vector.as_bytes()];
        let mut seed = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, binding)
            .extract(secret)
            .expand(&info, SeedLength)
            .and_then(|okm| okm.fill(&mut *seed))
            .map_err(|_| CryptoFailed)?;
        Ok(Self(seed))
    }

    /// The stream from its beginning.
    pub(crate) fn stream(&self) -> Result<Keystream, CryptoFailed> {
        Keystream::new(&self.0)
    }
}

struct SeedLength;

impl KeyType for SeedLength {
    fn len(&self) -> usize {
        32
    }
}

/// An endless stream of bytes. The same seed gives the same stream in whatever pieces it is read.
pub(crate) struct Keystream {
    key: EncryptingKey,
    counter: u128,
    /// The block that was last begun, and how much of it was given out.
    block: [u8; BLOCK],
    used: usize,
}

const BLOCK: usize = 16;

impl Keystream {
    /// Key and first counter block from the halves of the seed.
    pub(crate) fn new(seed: &[u8; 32]) -> Result<Self, CryptoFailed> {
        let (key, counter) = seed.split_at(BLOCK);
        let key = UnboundCipherKey::new(&AES_128, key).and_then(EncryptingKey::ctr).map_err(|_| CryptoFailed)?;
        let counter = u128::from_be_bytes(counter.try_into().map_err(|_| CryptoFailed)?);
        Ok(Self { key, counter, block: [0; BLOCK], used: BLOCK })
    }

    /// The next bytes.
    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        let (rest, out) = out.split_at_mut(out.len().min(BLOCK - self.used));
        rest.copy_from_slice(&self.block[self.used..self.used + rest.len()]);
        self.used += rest.len();
        let (whole, last) = out.split_at_mut(out.len() - out.len() % BLOCK);
        if !whole.is_empty() {
            whole.fill(0);
            self.encrypt(whole);
        }
        if !last.is_empty() {
            let mut block = [0; BLOCK];
            self.encrypt(&mut block);
            last.copy_from_slice(&block[..last.len()]);
            self.used = last.len();
            self.block = block;
        }
    }

    fn encrypt(&mut self, zeros: &mut [u8]) {
        let context = EncryptionContext::Iv128(FixedLength::from(self.counter.to_be_bytes()));
        self.key.less_safe_encrypt(zeros, context).expect("CTR accepts any length with a counter of one block");
        self.counter = self.counter.wrapping_add((zeros.len() / BLOCK) as u128);
    }
}

impl Drop for Keystream {
    fn drop(&mut self) {
        self.block.zeroize();
        self.counter.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_matter_also_where_the_counter_wraps() {
        let mut seed = [0xff; 32];
        seed[0] = 3;
        let mut whole = vec![1; 5000];
        Keystream::new(&seed).expect("key").fill(&mut whole);
        let mut stream = Keystream::new(&seed).expect("key");
        let mut pieces = Vec::new();
        for size in (0..).take_while(|size| size * (size + 1) / 2 < 5000) {
            let mut piece = vec![7; size.min(5000 - pieces.len())];
            stream.fill(&mut piece);
            pieces.extend(piece);
        }
        assert_eq!(pieces, whole[..pieces.len()]);
        assert!(pieces.len() > 4500);
    }

    #[test]
    fn aes_ctr_test_vector() {
        // NIST SP 800-38A, F.5.1, first block: ciphertext xor plaintext.
        let mut seed = [0; 32];
        hex("2b7e151628aed2a6abf7158809cf4f3c", &mut seed[..16]);
        hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", &mut seed[16..]);
        let mut expected = [0; 16];
        hex("ec8cdf7398607cb0f2d21675ea9ea1e4", &mut expected);
        let mut block = [0; 16];
        Keystream::new(&seed).expect("key").fill(&mut block);
        assert_eq!(block, expected);
    }

    #[test]
    fn seeds_depend_on_everything() {
        let (a, b) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let seed = |secret: u8, binding: u8, from: &Fingerprint, to: &Fingerprint, vector: &str| {
            *Seed::of_pair(&[secret; 32], &[binding; 32], from, to, vector).expect("hkdf").0
        };
        let base = seed(1, 1, &a, &b, "x");
        assert_eq!(base, seed(1, 1, &a, &b, "x"));
        for other in
            [seed(2, 1, &a, &b, "x"), seed(1, 2, &a, &b, "x"), seed(1, 1, &b, &a, "x"), seed(1, 1, &a, &b, "y")]
        {
            assert_ne!(base, other);
        }
    }

    fn hex(text: &str, out: &mut [u8]) {
        for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex");
        }
    }
}
