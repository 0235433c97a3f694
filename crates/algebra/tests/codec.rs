//! Wire bytes and uniform sampling.

use proptest::prelude::*;
use tacit_algebra::{F61, F127, Field, Fp, Malformed};

/// A generator that is only good enough for tests (splitmix64).
struct Stream {
    state: u64,
    pending: Vec<u8>,
    drawn: usize,
}

impl Stream {
    fn new(seed: u64) -> Self {
        Self { state: seed, pending: Vec::new(), drawn: 0 }
    }

    /// Bytes that come before the generator's own.
    fn starting_with(bytes: Vec<u8>, seed: u64) -> Self {
        Self { pending: bytes, ..Self::new(seed) }
    }

    fn draw(&mut self, out: &mut [u8]) {
        assert!(out.len() <= 16 * 1024);
        while self.pending.len() < out.len() {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            self.pending.extend((z ^ (z >> 31)).to_le_bytes());
        }
        out.copy_from_slice(&self.pending[..out.len()]);
        self.pending.drain(..out.len());
        self.drawn += out.len();
    }

    fn elements<F: Field>(&mut self, n: usize) -> Vec<F> {
        let mut out = vec![F::ZERO; n];
        F::fill_uniform(&mut |bytes| self.draw(bytes), &mut out);
        out
    }
}

fn word<F: Field>(v: u128) -> Vec<u8> {
    v.to_le_bytes()[..F::BYTES].to_vec()
}

fn round_trip<F: Field>(values: &[u128]) {
    let xs: Vec<F> = values.iter().map(|v| F::from_u128(*v)).collect();
    let mut bytes = vec![0xaa];
    F::encode_slice(&xs, &mut bytes);
    assert_eq!(bytes.len(), 1 + xs.len() * F::BYTES);
    let mut single = vec![0xaa];
    xs.iter().for_each(|x| x.write_bytes(&mut single));
    assert_eq!(bytes, single);

    let mut decoded = vec![F::ONE];
    assert_eq!(F::decode_slice(&bytes[1..], &mut decoded), Ok(()));
    assert!(decoded[0] == F::ONE && decoded[1..] == xs);
    let mut placed = vec![F::ONE; xs.len()];
    assert_eq!(F::decode_into(&bytes[1..], &mut placed), Ok(()));
    assert!(placed == xs);
    for (x, bytes) in xs.iter().zip(bytes[1..].chunks(F::BYTES)) {
        assert!(F::from_bytes_checked(bytes) == Some(*x));
    }
}

fn refuses_malformed<F: Field>() {
    let top = if F::BYTES == 16 { u128::MAX } else { u64::MAX.into() };
    let p = F::modulus();
    assert!(F::from_bytes_checked(&word::<F>(p - 1)) == Some(-F::ONE));
    for bad in [p, p + 1, top / 2 + 1, top / 2 + p / 2, top - 1, top].into_iter().filter(|v| *v >= p) {
        assert!(F::from_bytes_checked(&word::<F>(bad)).is_none(), "{bad}");
        for at in 0..20 {
            let mut bytes = vec![0; 20 * F::BYTES];
            bytes[at * F::BYTES..][..F::BYTES].copy_from_slice(&word::<F>(bad));
            let mut out = vec![F::ONE];
            assert_eq!(F::decode_slice(&bytes, &mut out), Err(Malformed::NonCanonical));
            assert!(out == [F::ONE]);
            let mut out = vec![F::ONE; 20];
            assert_eq!(F::decode_into(&bytes, &mut out), Err(Malformed::NonCanonical));
            assert!(out == [F::ZERO; 20]);
        }
    }
    let element = F::BYTES;
    let found = element + 1;
    let mut out = Vec::<F>::new();
    let error = F::decode_slice(&vec![0; found], &mut out);
    assert_eq!(error, Err(Malformed::Length { found, element, expected: None }));
    let error = F::decode_into(&vec![0; element], &mut [F::ZERO; 2]);
    assert_eq!(error, Err(Malformed::Length { found: element, element, expected: Some(2) }));
    assert!(F::from_bytes_checked(&vec![0; element - 1]).is_none() && F::from_bytes_checked(&[]).is_none());
}

/// Rejected words are skipped, wherever they are and however the stream is cut.
fn rejection_is_deterministic<F: Field>(rejected_at: &[usize], total: usize, cut: usize) {
    let plain = Stream::new(7).elements::<F>(total);
    let mut bytes = Vec::new();
    F::encode_slice(&plain, &mut bytes);
    for at in rejected_at {
        let at = at % (bytes.len() / F::BYTES + 1) * F::BYTES;
        bytes.splice(at..at, word::<F>(F::modulus()));
    }
    let length = bytes.len();
    let mut whole = Stream::starting_with(bytes.clone(), 1);
    assert!(whole.elements::<F>(total) == plain);
    let mut pieces = Stream::starting_with(bytes, 1);
    let cut = cut % (total + 1);
    let mut joined = pieces.elements::<F>(cut);
    joined.extend(pieces.elements::<F>(total - cut));
    assert!(joined == plain);
    // Both ends stop right behind the last accepted word.
    assert_eq!(whole.drawn, pieces.drawn);
    assert!(whole.drawn <= length);
    assert!(whole.elements::<F>(3) == pieces.elements::<F>(3));
}

macro_rules! codec_tests {
    ($($name:ident: $field:ty;)*) => {$(
        mod $name {
            use super::*;
            type F = $field;

            #[test]
            fn malformed() {
                refuses_malformed::<F>();
            }

            #[test]
            fn long_fill_crosses_blocks() {
                rejection_is_deterministic::<F>(&[0, 1, 1023, 2047, 2048, 2049, 8191, 19_999, 20_005], 20_000, 2_047);
                assert!(Stream::new(1).elements::<F>(0).is_empty());
            }

            proptest! {
                #[test]
                fn bytes_round_trip(values in prop::collection::vec(any::<u128>(), 0..50)) {
                    round_trip::<F>(&values);
                }

                #[test]
                fn rejection(at in prop::collection::vec(any::<usize>(), 0..8), n in 1usize..40, cut in any::<usize>()) {
                    rejection_is_deterministic::<F>(&at, n, cut);
                }

                #[test]
                fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
                    let mut out = Vec::<F>::new();
                    if F::decode_slice(&bytes, &mut out).is_ok() {
                        let mut again = Vec::new();
                        F::encode_slice(&out, &mut again);
                        prop_assert_eq!(again, bytes);
                    }
                }
            }
        }
    )*};
}

codec_tests! {
    f61: F61;
    f127: F127;
    fp5: Fp<5>;
    fp1013: Fp<1013>;
    fp63: Fp<9_223_372_036_854_775_783>;
}

#[test]
fn small_field_is_uniform() {
    const N: usize = 50_000;
    let mut counts = [0usize; 5];
    for x in Stream::new(3).elements::<Fp<5>>(N) {
        counts[usize::try_from(x.to_u128()).expect("below 5")] += 1;
    }
    // Standard deviation is 89; six of them.
    assert!(counts.iter().all(|c| c.abs_diff(N / 5) < 540), "{counts:?}");
}

#[test]
fn recorded_words() {
    // The top bits are cut, then 0 and p - 1 are taken and p is skipped.
    let words = [7 << 61, (1 << 61) - 2, (1 << 61) - 1, u64::MAX, 5];
    let bytes = words.iter().flat_map(|w: &u64| w.to_le_bytes()).collect();
    let mut stream = Stream::starting_with(bytes, 0);
    let xs: Vec<u128> = stream.elements::<F61>(3).iter().map(|x| x.to_u128()).collect();
    assert_eq!(xs, [0, (1 << 61) - 2, 5]);
    assert_eq!(stream.drawn, 40);
}
