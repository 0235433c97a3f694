//! Wire codec and uniform sampling for fields held in one machine word, written once for all
//! widths as methods of an `impl Field` block.

/// Bytes that one call of a generator fills at most: large enough for the cipher's bulk speed, small
/// enough to stay in the first-level cache until they are elements (15 % faster than 64 KiB).
pub(crate) const DRAW_BYTES: usize = 16 * 1024;

/// Forgets random bytes. `fill` runs at memory speed; the barrier keeps it from being removed.
pub(crate) fn forget(buffer: &mut [u8]) {
    buffer.fill(0);
    std::hint::black_box(buffer);
}

/// The codec methods of `Field` for a tuple struct around `$word` with `MODULUS < 2^(W-1)`.
macro_rules! word_codec {
    ($word:ident) => {
        #[inline]
        fn from_bytes_checked(bytes: &[u8]) -> Option<Self> {
            let w = <$word>::from_le_bytes(bytes.try_into().ok()?);
            if Self::any_excess(Self::excess(w)) { None } else { Some(Self(w)) }
        }

        #[inline]
        fn write_bytes(self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0.to_le_bytes());
        }

        fn encode_slice(xs: &[Self], out: &mut Vec<u8>) {
            let start = out.len();
            out.resize(start + xs.len() * Self::BYTES, 0);
            let (words, _) = out[start..].as_chunks_mut::<{ size_of::<$word>() }>();
            for (w, x) in words.iter_mut().zip(xs) {
                *w = x.0.to_le_bytes();
            }
        }

        fn decode_slice(bytes: &[u8], out: &mut Vec<Self>) -> Result<(), $crate::Malformed> {
            let (words, rest) = bytes.as_chunks::<{ size_of::<$word>() }>();
            if !rest.is_empty() {
                let (found, element) = (bytes.len(), Self::BYTES);
                return Err($crate::Malformed::Length { found, element, expected: None });
            }
            let start = out.len();
            out.resize(start + words.len(), Self::ZERO);
            let result = Self::decode_into(bytes, &mut out[start..]);
            if result.is_err() {
                out.truncate(start);
            }
            result
        }

        fn decode_into(bytes: &[u8], out: &mut [Self]) -> Result<(), $crate::Malformed> {
            let (words, rest) = bytes.as_chunks::<{ size_of::<$word>() }>();
            if !rest.is_empty() || words.len() != out.len() {
                return Err($crate::Malformed::Length {
                    found: bytes.len(),
                    element: Self::BYTES,
                    expected: Some(out.len()),
                });
            }
            let mut excess = 0;
            for (x, w) in out.iter_mut().zip(words) {
                let w = <$word>::from_le_bytes(*w);
                excess |= Self::excess(w);
                *x = Self(w);
            }
            if Self::any_excess(excess) {
                // No element is left out of range, even if the caller ignores the error.
                out.fill(Self::ZERO);
                return Err($crate::Malformed::NonCanonical);
            }
            Ok(())
        }

        fn fill_uniform(draw: &mut impl FnMut(&mut [u8]), out: &mut [Self]) {
            let mask = <$word>::MAX >> (<$word>::BITS - Self::BITS);
            let per_draw = $crate::field::codec::DRAW_BYTES / Self::BYTES;
            let mut buffer = vec![0u8; out.len().min(per_draw) * Self::BYTES];
            let mut done = 0;
            while done < out.len() {
                let out = &mut out[done..];
                let count = out.len().min(per_draw);
                let bytes = &mut buffer[..count * Self::BYTES];
                draw(bytes);
                let (words, _) = bytes.as_chunks::<{ size_of::<$word>() }>();
                let mut excess = 0;
                for (x, w) in out.iter_mut().zip(words) {
                    let w = <$word>::from_le_bytes(*w) & mask;
                    excess |= Self::excess(w);
                    *x = Self(w);
                }
                if !Self::any_excess(excess) {
                    done += count;
                    continue;
                }
                // Rare for the working fields: keep the accepted words in order, go on drawing.
                let accepted = words.iter().map(|w| <$word>::from_le_bytes(*w) & mask);
                let accepted = accepted.filter(|w| !Self::any_excess(Self::excess(*w)));
                let mut kept = 0;
                for (x, w) in out.iter_mut().zip(accepted) {
                    *x = Self(w);
                    kept += 1;
                }
                out[kept..count].fill(Self::ZERO);
                done += kept;
            }
            $crate::field::codec::forget(&mut buffer);
        }
    };
}

/// The test behind the codec. `excess(w)` has its top bit set exactly if `w >= p`, so that the
/// results of a whole vector can be joined by OR and looked at once.
macro_rules! word_excess {
    ($word:ident, $modulus:expr) => {
        #[inline(always)]
        const fn excess(w: $word) -> $word {
            // p <= 2^(W-1): a word with its top bit set is too large; for others the difference
            // has its top bit set exactly if it is negative.
            ($modulus - 1).wrapping_sub(w) | w
        }

        #[inline(always)]
        const fn any_excess(joined: $word) -> bool {
            joined >> (<$word>::BITS - 1) != 0
        }
    };
}
