//! Answers that may be long: lengths are read first, and then only as many rows as one answer holds.

use crate::db::Scalar;

/// Bytes of one answer, unless its only row is longer.
pub(crate) const PAGE_BYTES: u64 = 4 << 20;

/// How many rows of these lengths one answer holds: one at least, if there is one.
pub(crate) fn fitting(lengths: &[Scalar<u64>]) -> u32 {
    let mut bytes = 0_u64;
    let fits = lengths.iter().take_while(|Scalar(length)| {
        bytes = bytes.saturating_add(*length);
        bytes <= PAGE_BYTES
    });
    u32::try_from(fits.count().max(1).min(lengths.len())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_bounded_and_never_empty() {
        let fits = |lengths: &[u64]| fitting(&lengths.iter().copied().map(Scalar).collect::<Vec<_>>());
        assert_eq!(fits(&[]), 0);
        assert_eq!(fits(&[PAGE_BYTES + 1, 1]), 1);
        assert_eq!(fits(&[PAGE_BYTES, 1]), 1);
        assert_eq!(fits(&[PAGE_BYTES - 1, 1, 1]), 2);
        assert_eq!(fits(&[1, u64::MAX, 1]), 1);
    }
}
