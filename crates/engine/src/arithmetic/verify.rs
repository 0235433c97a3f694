//! Verified products: what makes the arithmetic safe against t peers that deviate, t < n/2.
//!
//! Products are computed as in `semi-honest` and noted. A peer that deviates can add an error to a product that it
//! chooses without knowing more than before: shares that are dealt, and what kings see, are uniform whatever the others
//! do. Before anything is opened all noted products are checked together:
//!
//! ```text
//!   toss      coefficients; all products become one inner product  <x, y> = z
//!   fold      x, y in k parts: polynomials f, g with f(i) = x_i, g(i) = y_i; h = <f, g> is fixed by
//!             2k-1 inner products, one of which follows from z; toss r; go on with f(r), g(r), h(r)     log_k N times
//!   last      the same with a random pair at the point 0; open f(r), g(r), h(r); accept if f(r) g(r) = h(r)
//! ```
//!
//! Compression of inner products: Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai 2019; on Shamir shares: Goyal, Song 2020.
//!
//! Where n > 2t+1 honest shares could lie on no polynomial of degree t, because a dealer or a king told different
//! things to different peers. So each operation that makes new shares ends with a masked random combination of them,
//! which is opened and has to fit, before anything is computed from them (Goyal, Liu, Song 2019).
//!
//! **Error**: a wrong product, or shares that do not fit, are accepted with probability at most 2^7/p per
//! verification: 2^-54 in 2^61-1, where the planner allows 2^14 of them (2^-40). Small fields are refused.
//! **Leakage**: the random pair makes what is opened uniform but for errors that the cheaters chose themselves, so that
//! whether the computation ends early depends on them alone. **Blame**: nobody is named.
//!
//! **Cost**, N factors: 2 per fold and 4 more rounds; 6 to 30 elements per fold; three to four passes over the factors.
//! n > 2t+1: two rounds per operation.

use tacit_algebra::Field;
use tacit_algebra::poly::{PointsError, lagrange_at};
use zeroize::Zeroizing;

use super::context::Arithmetic;
use super::dealing::tiles;
use super::error::ArithmeticError;
use super::linear::{TILE, combine};
use super::share::Shared;
use super::streams::draw;
use crate::keystream::Keystream;

/// As soon as so many factors are noted, they are checked: what stays in cache, and takes much longer than the
/// check's rounds.
pub(crate) const BATCH: usize = 1 << 18;
/// Longer vectors are folded in few parts, which costs the least work; others in many, which costs the least rounds.
const LONG: usize = 4096;
const FEW: usize = 4;
/// Parts of short vectors, and the most factors that the last step takes.
const MANY: usize = 16;
/// Points below are those of parts.
const NO_CHALLENGE: u128 = 64;
/// A check is as sound as its field is large.
const CHECK_BITS: u32 = 61;

/// How many parts a vector of so many factors is folded in; `None`: it is short enough for the last step.
pub(crate) const fn parts(length: usize) -> Option<usize> {
    match length {
        0..=MANY => None,
        length if length > LONG => Some(FEW),
        _ => Some(MANY),
    }
}

/// Products that are not verified yet.
pub(super) struct Noted<F: Field> {
    left: Shared<F>,
    right: Shared<F>,
    results: Shared<F>,
    /// So many results in a row, each the sum of so many products.
    rows: Vec<(usize, usize)>,
}

impl<F: Field> Noted<F> {
    pub(super) fn new() -> Result<Self, ArithmeticError> {
        if F::BITS < CHECK_BITS {
            return Err(ArithmeticError::WrongCall { what: "products are verified in the fields 2^61-1 and 2^127-1" });
        }
        Ok(Self { left: Shared::zeros(0), right: Shared::zeros(0), results: Shared::zeros(0), rows: Vec::new() })
    }

    fn clear(&mut self) {
        [&mut self.left, &mut self.right, &mut self.results].into_iter().for_each(Shared::clear);
        self.rows.clear();
    }
}

impl<F: Field> Arithmetic<'_, F> {
    /// Whether products are verified before anything is opened.
    pub fn verifies(&self) -> bool {
        self.noted.is_some()
    }

    /// How many results of so many products each are computed at a time: all, unless they are noted.
    pub(super) fn piece(&self, width: usize) -> usize {
        if self.verifies() { (BATCH / width.max(1)).max(1) } else { usize::MAX }
    }

    /// Notes that each result is said to be the sum of `width` products of consecutive factors.
    pub(super) async fn note(
        &mut self,
        left: &[F],
        right: &[F],
        width: usize,
        results: &[F],
    ) -> Result<(), ArithmeticError> {
        let Some(noted) = self.noted.as_mut().filter(|_| !results.is_empty()) else { return Ok(()) };
        if left.len() != right.len() || left.len() != width * results.len() {
            return Err(ArithmeticError::WrongCall { what: "each result has its factors" });
        }
        noted.left.append(left);
        noted.right.append(right);
        noted.results.append(results);
        noted.rows.push((results.len(), width));
        if noted.left.len() >= BATCH { self.verify().await } else { Ok(()) }
    }

    /// Verifies all products that are not verified yet. Openings do so by themselves; to be called before shares leave
    /// in any other way.
    ///
    /// [`ArithmeticError::Unverified`]: a compute peer deviated. The module says what that promises and costs.
    pub async fn verify(&mut self) -> Result<(), ArithmeticError> {
        let Some(mut noted) = self.noted.take() else { return Ok(()) };
        let result = if noted.rows.is_empty() { Ok(()) } else { self.verify_noted(&mut noted).await };
        noted.clear();
        self.noted = Some(noted);
        self.end(result)
    }

    /// Whether new shares lie on polynomials of degree t. With n = 2t+1 the honest ones always do.
    pub(super) async fn check_degree(&mut self, shares: &[&[F]]) -> Result<(), ArithmeticError> {
        if !self.verifies() || self.n == 2 * self.t + 1 || shares.iter().all(|shares| shares.is_empty()) {
            return Ok(());
        }
        let mut sum = self.random_unchecked(1).await?;
        let mut coefficients = self.toss().await?;
        let mut tile = Zeroizing::new(vec![F::ZERO; TILE]);
        for shares in shares {
            for range in tiles(shares.len()) {
                let coefficient = &mut tile[..range.len()];
                draw(&mut coefficients, coefficient);
                sum.shares_mut()[0] += F::dot(coefficient, &shares[range]);
            }
        }
        let opened = self.open_alike(sum.expose_shares()).await;
        self.end(opened).map(|_| ())
    }

    /// Opens to all what may lie on no polynomial. Whose shares do not fit says nothing about who dealt them.
    async fn open_alike(&mut self, shares: &[F]) -> Result<Vec<F>, ArithmeticError> {
        let operation = self.begin()?;
        let everybody: Vec<usize> = (0..self.n).collect();
        self.open_to_each(operation, shares, &everybody).await.map_err(|error| match error {
            ArithmeticError::WrongShares { .. } => ArithmeticError::Unverified,
            other => other,
        })
    }

    async fn verify_noted(&mut self, noted: &mut Noted<F>) -> Result<(), ArithmeticError> {
        let masks = self.random_unchecked(2).await?;
        let mut coefficients = self.toss().await?;
        let mut claim = one_inner_product(noted, &mut coefficients);
        let (left, right) = (&mut noted.left, &mut noted.right);
        while let Some(parts) = parts(left.len()) {
            let stride = left.len().div_ceil(parts);
            for factors in [&mut *left, &mut *right] {
                factors.append(&vec![F::ZERO; parts * stride - factors.len()]);
            }
            let step = Step { first: 1, parts, stride };
            claim = self.fold(&step, left, right, claim).await?;
        }
        let masked = |mask: usize, factors: &Shared<F>| Shared::concat(&[&masks.slice(mask..mask + 1), factors]);
        let (mut left, mut right) = (masked(0, left), masked(1, right));
        let step = Step { first: 0, parts: left.len() - 1, stride: 1 };
        claim = self.fold(&step, &mut left, &mut right, claim).await?;
        let last = Zeroizing::new([left.expose_shares()[0], right.expose_shares()[0], claim]);
        let opened = self.open_alike(&*last).await?;
        if opened[0] * opened[1] == opened[2] { Ok(()) } else { Err(ArithmeticError::Unverified) }
    }

    /// One step: the factors become their polynomials' values at a point that is tossed; returns that of h.
    async fn fold(
        &mut self,
        step: &Step,
        left: &mut Shared<F>,
        right: &mut Shared<F>,
        claim: F,
    ) -> Result<F, ArithmeticError> {
        let local = step.inner_products(left.expose_shares(), right.expose_shares()).map_err(wrong_points)?;
        let mut products = Zeroizing::new(Vec::with_capacity(local.len() + 1));
        products.resize(local.len(), F::ZERO);
        // The opening at the end shows whether these fit.
        self.reduce_unchecked(|range, _, tile| tile.copy_from_slice(&local[range]), &mut products).await?;
        step.complete(&mut products, claim);
        let mut stream = self.toss().await?;
        let r = loop {
            let r = F::uniform(&mut |bytes: &mut [u8]| stream.fill(bytes));
            if r.to_u128() >= NO_CHALLENGE {
                break r;
            }
        };
        let weights = lagrange_at(&step.nodes(), r).map_err(wrong_points)?;
        [left, right].into_iter().for_each(|factors| step.evaluate(&weights, factors));
        let weights = lagrange_at(&step.points(), r).map_err(wrong_points)?;
        Ok(F::dot(&weights, &products))
    }
}

/// Scales the left factors, so that the sum of all products is the sum of the scaled results, which is returned.
fn one_inner_product<F: Field>(noted: &mut Noted<F>, coefficients: &mut Keystream) -> F {
    let (mut left, mut results) = (noted.left.shares_mut(), noted.results.expose_shares());
    let mut tile = Zeroizing::new(vec![F::ZERO; TILE]);
    let mut claim = F::ZERO;
    for (count, width) in &noted.rows {
        for range in tiles(*count) {
            let coefficients_here = &mut tile[..range.len()];
            draw(coefficients, coefficients_here);
            let (here, rest) = results.split_at(range.len());
            results = rest;
            claim += F::dot(coefficients_here, here);
            let (here, rest) = left.split_at_mut(range.len() * width);
            left = rest;
            match width {
                1 => here.iter_mut().zip(&*coefficients_here).for_each(|(factor, c)| *factor *= *c),
                0 => {}
                _ => {
                    here.chunks_exact_mut(*width).zip(&*coefficients_here).for_each(|(row, c)| F::scale_slice(row, *c))
                }
            }
        }
    }
    claim
}

/// How a pair of vectors is folded: part i of `parts` is the polynomials' value at the point i; at 0 there is a part
/// before them if `first` is 0, which does not count in the claimed sum.
struct Step {
    first: usize,
    parts: usize,
    stride: usize,
}

impl Step {
    /// Where the polynomials are given.
    fn nodes<F: Field>(&self) -> Vec<F> {
        (self.first..=self.parts).map(|i| F::from_u64(i as u64)).collect()
    }

    /// Where their inner product, of twice the degree, has to be known.
    fn points<F: Field>(&self) -> Vec<F> {
        let degree = 2 * (self.parts - self.first);
        (self.first..=self.first + degree).map(|i| F::from_u64(i as u64)).collect()
    }

    /// Shares of degree 2t of the inner products at all points but that of the last part.
    fn inner_products<F: Field>(&self, left: &[F], right: &[F]) -> Result<Zeroizing<Vec<F>>, PointsError> {
        let (nodes, points) = (self.nodes::<F>(), self.points::<F>());
        let part = |i: usize| i * self.stride..(i + 1) * self.stride;
        let mut out = Zeroizing::new(Vec::with_capacity(points.len() - 1));
        for i in 0..nodes.len() - 1 {
            out.push(F::dot(&left[part(i)], &right[part(i)]));
        }
        let weights: Vec<Vec<F>> =
            points[nodes.len()..].iter().map(|point| lagrange_at(&nodes, *point)).collect::<Result<_, _>>()?;
        let mut sums = Zeroizing::new(vec![F::ZERO; weights.len()]);
        let mut values = Zeroizing::new(vec![F::ZERO; 2 * TILE.min(self.stride)]);
        let (f, g) = values.split_at_mut(TILE.min(self.stride));
        for range in tiles(self.stride) {
            let (f, g) = (&mut f[..range.len()], &mut g[..range.len()]);
            for (weights, sum) in weights.iter().zip(sums.iter_mut()) {
                combine(weights, &left[range.start..], self.stride, f);
                combine(weights, &right[range.start..], self.stride, g);
                *sum += F::dot(f, g);
            }
        }
        out.extend_from_slice(&sums);
        Ok(out)
    }

    /// Puts in what the claim says of the last part.
    fn complete<F: Field>(&self, products: &mut Vec<F>, claim: F) {
        let last = self.parts - self.first;
        let others: F = products[1 - self.first..last].iter().copied().sum();
        products.insert(last, claim - others);
    }

    /// The polynomials' values, in place of the parts.
    fn evaluate<F: Field>(&self, weights: &[F], factors: &mut Shared<F>) {
        let mut tile = Zeroizing::new(vec![F::ZERO; TILE.min(self.stride)]);
        for range in tiles(self.stride) {
            let tile = &mut tile[..range.len()];
            combine(weights, &factors.expose_shares()[range.start..], self.stride, tile);
            factors.shares_mut()[range].copy_from_slice(tile);
        }
        factors.truncate(self.stride);
    }
}

fn wrong_points(_: PointsError) -> ArithmeticError {
    ArithmeticError::WrongCall { what: "points of parts are distinct" }
}

#[cfg(test)]
mod control_bits;

#[cfg(test)]
mod tests {
    use tacit_algebra::F61;

    use super::*;

    /// Whatever the lengths, right products fold to a right product, and one wrong result to a wrong one.
    #[test]
    fn folding_keeps_right_and_wrong() {
        let mut stream = Keystream::new(&[9; 32]).expect("key");
        let mut random = |length: usize| {
            let mut out = vec![F61::ZERO; length];
            draw(&mut stream, &mut out);
            out
        };
        for (length, wrong) in
            [1, 2, 15, 16, 17, 31, 257, 4096, 4097, 9000].into_iter().flat_map(|n| [(n, false), (n, true)])
        {
            // Shares of degree zero: everything is local.
            let (mut left, mut right) = (Shared::from_shares(random(length)), Shared::from_shares(random(length)));
            let mut claim = F61::dot(left.expose_shares(), right.expose_shares());
            if wrong {
                claim += F61::ONE;
            }
            let mut step = |left: &mut Shared<F61>, right: &mut Shared<F61>, step: Step| {
                let mut products = step.inner_products(left.expose_shares(), right.expose_shares()).expect("points");
                assert_eq!(products.len(), 2 * (step.parts - step.first));
                step.complete(&mut products, claim);
                let r = random(1)[0];
                claim = F61::dot(&lagrange_at(&step.points(), r).expect("points"), &products);
                let weights = lagrange_at(&step.nodes(), r).expect("points");
                step.evaluate(&weights, left);
                step.evaluate(&weights, right);
            };
            while let Some(parts) = parts(left.len()) {
                let stride = left.len().div_ceil(parts);
                let zeros = vec![F61::ZERO; parts * stride - left.len()];
                left.append(&zeros);
                right.append(&zeros);
                step(&mut left, &mut right, Step { first: 1, parts, stride });
            }
            let mask = Shared::from_shares(vec![F61::from_u64(77)]);
            let (mut left, mut right) = (Shared::concat(&[&mask, &left]), Shared::concat(&[&mask, &right]));
            let last = Step { first: 0, parts: left.len() - 1, stride: 1 };
            step(&mut left, &mut right, last);
            let product = left.expose_shares()[0] * right.expose_shares()[0];
            assert_eq!(product == claim, !wrong, "{length} factors");
        }
    }
}
