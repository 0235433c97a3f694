//! Linear combinations of short columns that lie behind each other in one arena.

use tacit_algebra::Field;

/// Elements that are worked on at a time: a few columns of so many stay in the first two cache levels.
pub(super) const TILE: usize = 2048;

/// `out[k]` = sum over i of `weights[i] * arena[i * stride + k]`, reduced once.
pub(super) fn combine<F: Field>(weights: &[F], arena: &[F], stride: usize, out: &mut [F]) {
    macro_rules! by_count {
        ($($k:literal)*) => {
            match weights.len() {
                $($k => combine_some::<F, $k>(weights, arena, stride, out),)*
                _ => combine_many(weights, arena, stride, out),
            }
        };
    }
    by_count!(1 2 3 4 5 6 7 8 9 10 11 12)
}

/// The number of terms is known to the compiler, so that the inner loop has no branches.
fn combine_some<F: Field, const K: usize>(weights: &[F], arena: &[F], stride: usize, out: &mut [F]) {
    let weights: [F; K] = std::array::from_fn(|i| weights[i]);
    let columns: [&[F]; K] = std::array::from_fn(|i| &arena[i * stride..][..out.len()]);
    for (k, out) in out.iter_mut().enumerate() {
        let mut acc = F::Acc::default();
        for i in 0..K {
            F::acc_mul(&mut acc, weights[i], columns[i][k]);
        }
        *out = F::acc_reduce(acc);
    }
}

/// Any number of terms, as many at a time as every accumulator holds.
fn combine_many<F: Field>(weights: &[F], arena: &[F], stride: usize, out: &mut [F]) {
    out.fill(F::ZERO);
    for (group, weights) in weights.chunks(15).enumerate() {
        for (k, out) in out.iter_mut().enumerate() {
            let mut acc = F::Acc::default();
            F::acc_add(&mut acc, *out);
            for (i, weight) in weights.iter().enumerate() {
                F::acc_mul(&mut acc, *weight, arena[(group * 15 + i) * stride + k]);
            }
            *out = F::acc_reduce(acc);
        }
    }
}

/// Clears secrets at memory speed; the barrier keeps it from being removed.
pub(super) fn forget<F: Field>(secrets: &mut [F]) {
    secrets.fill(F::ZERO);
    std::hint::black_box(secrets);
}

#[cfg(test)]
mod tests {
    use tacit_algebra::F61;

    use super::*;

    #[test]
    fn any_number_of_terms() {
        let element = |i: usize| F61::from_u64((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for terms in 0..70 {
            let weights: Vec<F61> = (0..terms).map(|i| element(i + 99)).collect();
            let arena: Vec<F61> = (0..terms * 5).map(element).collect();
            let mut out = [F61::ONE; 3];
            combine(&weights, &arena, 5, &mut out);
            for (k, found) in out.iter().enumerate() {
                let expected = (0..terms).map(|i| weights[i] * arena[i * 5 + k]).sum::<F61>();
                assert!(*found == expected, "{terms} terms");
            }
        }
    }
}
