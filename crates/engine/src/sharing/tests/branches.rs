//! Two levels: shares of branches' totals are dealt once more, and only the total of all is opened.

use super::*;

/// What a coalition sees: one compute peer of each branch (with `more`, a second one of the first branch), one compute
/// peer of the root, and whoever learns the result. Two branches of `m` compute peers and a root of three, all with t = 1.
///
/// Returns how often each view occurs for these totals, over all randomness.
fn views<F: Field>(m: usize, totals: [F; 2], more: bool) -> HashMap<u128, u64> {
    let points = |n: usize| (1..=n as u64).map(F::from_u64).collect::<Vec<F>>();
    let sharing = Sharing::Shamir { threshold: 1 };
    let branch = Dealer::new(&points(m), sharing, None, 0).expect("points");
    let root = Dealer::new(&points(3), sharing, None, 0).expect("points");
    let lambdas = lagrange_at(&points(m), F::ZERO).expect("points");
    let mut views = HashMap::new();
    for random in all::<F>(2 + 2 * m) {
        let (inside, outside) = random.split_at(2);
        let mut view = Vec::new();
        let mut opened = vec![F::ZERO; 3];
        for (number, total) in totals.into_iter().enumerate() {
            let shares = deal(&branch, m, total, &inside[number..=number]);
            for (member, share) in shares.iter().enumerate() {
                let seed = number * m + member;
                let dealt = deal(&root, 3, *share * lambdas[member], &outside[seed..=seed]);
                opened.iter_mut().zip(&dealt).for_each(|(sum, share)| *sum += *share);
                let corrupted = member == 0 || (more && number == 0 && member == 1);
                view.extend(if corrupted { dealt } else { vec![dealt[1]] });
            }
        }
        let total = lagrange_at(&points(3), F::ZERO).expect("points");
        assert!(F::dot(&total, &opened) == totals[0] + totals[1]);
        view.extend(opened);
        // As the digits of one number.
        let view = view.into_iter().fold(0, |digits, element| digits * F::MODULUS + element.to_u128());
        *views.entry(view).or_default() += 1;
    }
    views
}

fn pairs<F: Field>(first: &[u64]) -> Vec<[F; 2]> {
    // All with the same sum.
    first.iter().map(|value| [F::from_u64(*value), F::from_u64(3) - F::from_u64(*value)]).collect()
}

#[test]
fn w2_a_branch_s_total_is_secret_gf5() {
    let all: Vec<_> = pairs::<Fp<5>>(&[0, 4]).into_iter().map(|totals| views(3, totals, false)).collect();
    assert!(all.iter().all(|views| *views == all[0]));
}

#[test]
fn w2_a_branch_s_total_is_secret_gf7() {
    let all: Vec<_> = pairs::<Fp<7>>(&[0, 1, 6]).into_iter().map(|totals| views(2, totals, false)).collect();
    assert!(all.iter().all(|views| *views == all[0]));
}

/// The enumeration finds what there is to find: t+1 compute peers of a branch together know its total.
#[test]
fn w2_larger_coalitions_of_a_branch_are_told_apart() {
    let [a, b] = [[1, 2], [2, 1]].map(|[a, b]| views::<Fp<5>>(2, [Fp::from_u64(a), Fp::from_u64(b)], true));
    assert!(a != b);
}
