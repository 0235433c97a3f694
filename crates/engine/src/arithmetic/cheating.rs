//! What tests of compute peers that run other code share: parties of one seed, and a product to which one of them adds.

use std::ops::Range;

use tacit_algebra::{F61, Field};
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

use super::{Arithmetic, ArithmeticError, Setup, Shared};
use crate::Mailbox;

/// One of n peers with threshold t.
pub(super) fn setup(mailbox: &Mailbox, me: usize, (n, t): (usize, usize), seed: u8) -> Setup<'_, F61> {
    let secret = |a: usize, b: usize| Zeroizing::new([seed ^ (16 * a.min(b) + a.max(b)) as u8; 32]);
    Setup {
        mailbox,
        me,
        threshold: t,
        members: (0..n).collect(),
        fingerprints: (0..n).map(|i| Fingerprint([i as u8; 32])).collect(),
        points: (1..=n as u64).map(F61::from_u64).collect(),
        binding: [seed; 32],
        pair_secrets: (0..n).map(|other| secret(me, other)).collect(),
        local_seed: secret(me, me),
    }
}

/// In place of [`Arithmetic::multiply`]: deals its part of each product with this error, on a polynomial that fits everybody, the
/// cheater too.
pub(super) async fn multiply_wrongly(
    context: &mut Arithmetic<'_, F61>,
    a: &Shared<F61>,
    b: &Shared<F61>,
    error: F61,
) -> Result<Shared<F61>, ArithmeticError> {
    let (mut out, a, b) = (Shared::zeros(a.len()), a.expose_shares(), b.expose_shares());
    let product = |range: Range<usize>, _: &[F61], tile: &mut [F61]| {
        F61::mul_slice(tile, &a[range.clone()], &b[range]);
        tile.iter_mut().for_each(|product| *product += error);
    };
    context.reduce(product, out.shares_mut()).await?;
    context.note(a, b, 1, out.expose_shares()).await?;
    Ok(out)
}
