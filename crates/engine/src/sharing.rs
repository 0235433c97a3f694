//! Linear secret sharing: how a vector becomes shares and how shares become a vector again.
//!
//! Shamir ("How to share a secret", 1979) and n-of-n additive sharing are the same code: `seeded`
//! receivers get pseudorandom shares that they expand from a seed, the shares of all others are
//! linear combinations of the secret and the seeded ones with constants that depend on the points
//! alone. Shamir with threshold t seeds t receivers, additive sharing n-1.
//!
//! Nothing here sends, draws or decides anything; it works in every field, also in the small ones
//! where the tests enumerate all randomness.

use tacit_algebra::Field;
use tacit_algebra::poly::{PointsError, lagrange_at};
use tacit_algebra::reed_solomon::{self, Consistency};

use crate::plan::Sharing;

/// A dealer's constants.
pub(crate) struct Dealer<F> {
    /// Receivers whose shares are expanded from seeds, in the order of [`Recipe::weights`].
    pub(crate) seeded: Vec<usize>,
    /// Receivers whose shares are computed and sent.
    pub(crate) explicit: Vec<Recipe<F>>,
    /// The dealer's own share, if it is a receiver.
    pub(crate) own: Option<Recipe<F>>,
}

/// One share as a combination of the secret (first weight) and the seeded shares.
pub(crate) struct Recipe<F> {
    /// Whose share it is: a position among the receivers.
    pub(crate) receiver: usize,
    weights: Vec<F>,
}

impl<F: Field> Dealer<F> {
    /// `own` is the dealer's position if it receives itself; the seeded receivers are those after it,
    /// or from `start` on for a dealer that does not.
    pub(crate) fn new(points: &[F], sharing: Sharing, own: Option<usize>, start: usize) -> Result<Self, PointsError> {
        let n = points.len();
        let (seeded, rest) = receivers(n, sharing, own, start);
        let recipe = |receiver: usize| -> Result<Recipe<F>, PointsError> {
            let weights = match sharing {
                Sharing::Shamir { .. } => {
                    let mut known = vec![F::ZERO];
                    known.extend(seeded.iter().map(|i| points[*i]));
                    lagrange_at(&known, points[receiver])?
                }
                Sharing::Additive => {
                    let mut weights = vec![-F::ONE; n];
                    weights[0] = F::ONE;
                    weights
                }
            };
            Ok(Recipe { receiver, weights })
        };
        let explicit = rest.into_iter().map(recipe).collect::<Result<_, _>>()?;
        let own = own.map(recipe).transpose()?;
        Ok(Self { seeded, explicit, own })
    }
}

/// The seeded receivers among n, and those that get a computed share by message.
pub(crate) fn receivers(n: usize, sharing: Sharing, own: Option<usize>, start: usize) -> (Vec<usize>, Vec<usize>) {
    let seeds = match sharing {
        Sharing::Shamir { threshold } => threshold,
        Sharing::Additive => n - 1,
    };
    let first = own.map_or(start, |own| own + 1);
    let mut seeded: Vec<usize> = (first..first + n).map(|i| i % n).filter(|i| Some(*i) != own).collect();
    let rest = seeded.split_off(seeds.min(seeded.len()));
    (seeded, rest)
}

impl<F: Field> Recipe<F> {
    /// The share of a vector: `secret` and one expanded vector per seeded receiver, equally long.
    pub(crate) fn share(&self, secret: &[F], seeded: &[&[F]], out: &mut [F]) {
        let mut columns: Vec<&[F]> = Vec::with_capacity(seeded.len() + 1);
        columns.push(secret);
        columns.extend(seeded);
        combine(&self.weights, &columns, out);
    }
}

/// Makes vectors from the shares of those who are still there.
pub(crate) struct Recombiner<F: Field> {
    points: Vec<F>,
    sharing: Sharing,
    /// Positions whose shares are used, ascending.
    alive: Vec<usize>,
    /// How many were found to be wrong.
    named: usize,
    /// How many shares may be wrong or missing, where silence counts as a wrong share.
    guaranteed: Option<usize>,
    /// How many did not come.
    lost: usize,
    /// How many shares it takes, those that were found to be wrong counted.
    needed: usize,
    weights: Vec<F>,
    check: Option<Consistency<F>>,
}

/// Why shares give no vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVector {
    TooFew { found: usize, needed: usize },
    Disagree,
}

impl<F: Field> Recombiner<F> {
    /// At least `needed` shares have to come: t+1 make the vector, with 2t+1 no t of them can make a wrong one.
    pub(crate) fn new(points: &[F], sharing: Sharing, needed: usize) -> Result<Self, NoVector> {
        let mut this = Self {
            guaranteed: None,
            lost: 0,
            needed,
            points: points.to_vec(),
            sharing,
            alive: (0..points.len()).collect(),
            named: 0,
            weights: Vec::new(),
            check: None,
        };
        this.prepare()?;
        Ok(this)
    }

    /// For at least 2t+1+f shares of degree t of which at most f <= t are wrong or missing. Never opens to a wrong vector
    /// and never names an honest party even if more are missing, as long as at most t are wrong: another polynomial
    /// is further than f away.
    pub(crate) fn guaranteed(points: &[F], threshold: usize, faulty: usize) -> Result<Self, NoVector> {
        let mut this = Self::new(points, Sharing::Shamir { threshold }, 2 * threshold + 1)?;
        this.guaranteed = Some(faulty);
        Ok(this)
    }

    /// The same for shares of any degree d, d+1+t+f of them and more: d+1+t have to come, whoever is away already, since
    /// d+t that fit may be d honest ones and t that lie alike.
    pub(crate) fn decoding(points: &[F], degree: usize, threshold: usize, faulty: usize) -> Result<Self, NoVector> {
        let mut this = Self::new(points, Sharing::Shamir { threshold: degree }, degree + 1 + threshold)?;
        this.guaranteed = Some(faulty);
        Ok(this)
    }

    /// Positions whose shares are still wanted.
    pub(crate) fn alive(&self) -> &[usize] {
        &self.alive
    }

    /// Goes on without this position.
    pub(crate) fn without(&mut self, position: usize) -> Result<(), NoVector> {
        self.alive.retain(|p| *p != position);
        self.lost = self.points.len() - self.alive.len() - self.named;
        self.prepare()
    }

    /// The secret vector. `shares` belong to [`alive`](Self::alive) in that order and are equally long. Wrong
    /// shares are corrected where [`may_correct`](Self::may_correct) allows it; their positions are left out
    /// from now on and returned. Otherwise wrong shares are [`NoVector::Disagree`], and nobody is named.
    /// `random` draws challenges after the shares are fixed.
    pub(crate) fn open(
        &mut self,
        mut shares: Vec<Vec<F>>,
        random: &mut dyn FnMut(&mut [u8]),
        out: &mut [F],
    ) -> Result<Vec<usize>, NoVector> {
        let mut wrong = Vec::new();
        while let Some(suspects) = self.find_wrong(&shares, random)? {
            for index in suspects.into_iter().rev() {
                shares.remove(index);
                wrong.push(self.alive.remove(index));
                self.named += 1;
            }
            self.prepare()?;
        }
        let columns: Vec<&[F]> = shares.iter().take(self.weights.len()).map(Vec::as_slice).collect();
        combine(&self.weights, &columns, out);
        wrong.sort_unstable();
        Ok(wrong)
    }

    /// The secret vector, if all shares are there and fit each other. Nothing is corrected and nobody named. `random`
    /// draws challenges after the shares are fixed.
    pub(crate) fn open_consistent(&self, shares: &[&[F]], random: &mut dyn FnMut(&mut [u8]), out: &mut [F]) -> bool {
        if shares.len() != self.points.len() || !matches!(self.inconsistent(shares, random), Ok(None)) {
            return false;
        }
        combine(&self.weights, &shares[..self.weights.len()], out);
        true
    }

    /// Whether t wrong shares cannot make another vector, or another cheater, look right: of 3t+1 shares. With
    /// fewer, t cheaters can move the decoding to a polynomial of their own on which an honest share seems
    /// to be the wrong one. Cheaters that were named before count as there.
    fn may_correct(&self) -> bool {
        match self.sharing {
            Sharing::Shamir { .. } if self.guaranteed.is_some() => true,
            Sharing::Shamir { threshold } => corrects(self.alive.len() + self.named, threshold),
            Sharing::Additive => false,
        }
    }

    /// Indices into `shares` of those that are wrong; `None` if all fit.
    fn find_wrong(&self, shares: &[Vec<F>], random: &mut dyn FnMut(&mut [u8])) -> Result<Option<Vec<usize>>, NoVector> {
        let views: Vec<&[F]> = shares.iter().map(Vec::as_slice).collect();
        let (Some(check), Some(tuple)) = (&self.check, self.inconsistent(&views, random)?) else { return Ok(None) };
        if !self.may_correct() {
            return Err(NoVector::Disagree);
        }
        let points: Vec<F> = self.alive.iter().map(|p| self.points[*p]).collect();
        let decoded = reed_solomon::decode(&points, &tuple, check.degree()).map_err(|_| NoVector::Disagree)?;
        if self.guaranteed.is_some_and(|faulty| decoded.errors.len() + self.named + self.lost > faulty) {
            return Err(NoVector::Disagree);
        }
        // A tuple that failed the check differs somewhere.
        if decoded.errors.is_empty() { Err(NoVector::Disagree) } else { Ok(Some(decoded.errors)) }
    }

    /// A tuple of shares that do not fit each other, or a combination of them; `None` if all fit.
    fn inconsistent(&self, shares: &[&[F]], random: &mut dyn FnMut(&mut [u8])) -> Result<Option<Vec<F>>, NoVector> {
        let Some(check) = self.check.as_ref().filter(|c| c.redundancy() > 0) else { return Ok(None) };
        let length = shares.first().map_or(0, |v| v.len());
        if length <= EXACT_UP_TO || F::BITS < 61 {
            let first = check.first_inconsistent(shares).map_err(|_| NoVector::Disagree)?;
            return Ok(first.map(|k| shares.iter().map(|v| v[k]).collect()));
        }
        let mut challenges = vec![F::ZERO; length];
        F::fill_uniform(&mut |bytes: &mut [u8]| random(bytes), &mut challenges);
        let tuple = check.combine(shares, &challenges).map_err(|_| NoVector::Disagree)?;
        Ok((!check.check(&tuple)).then_some(tuple))
    }

    fn prepare(&mut self) -> Result<(), NoVector> {
        let found = self.alive.len();
        if found + self.named < self.needed {
            return Err(NoVector::TooFew { found, needed: self.needed });
        }
        let points: Vec<F> = self.alive.iter().map(|p| self.points[*p]).collect();
        match self.sharing {
            Sharing::Additive => self.weights = vec![F::ONE; found],
            Sharing::Shamir { threshold } => {
                // Plans have distinct points.
                let few = NoVector::TooFew { found, needed: threshold + 1 };
                self.weights =
                    lagrange_at(points.get(..=threshold).ok_or(few)?, F::ZERO).map_err(|_| NoVector::Disagree)?;
                self.check = Some(Consistency::new(&points, threshold).map_err(|_| NoVector::Disagree)?);
            }
        }
        Ok(())
    }
}

/// Whether so many shares of degree t have one closest polynomial, whatever t of them are.
pub(crate) fn corrects(shares: usize, threshold: usize) -> bool {
    shares > threshold.saturating_mul(3)
}

/// Short vectors are checked item by item, longer ones by a random combination.
const EXACT_UP_TO: usize = 64;

/// `out[k]` = sum over i of `weights[i] * columns[i][k]`, reduced once per eight terms.
pub(crate) fn combine<F: Field>(weights: &[F], columns: &[&[F]], out: &mut [F]) {
    debug_assert_eq!(weights.len(), columns.len());
    out.fill(F::ZERO);
    for (weights, columns) in weights.chunks(8).zip(columns.chunks(8)) {
        match weights.len() {
            1 => combine_some::<F, 1>(weights, columns, out),
            2 => combine_some::<F, 2>(weights, columns, out),
            3 => combine_some::<F, 3>(weights, columns, out),
            4 => combine_some::<F, 4>(weights, columns, out),
            5 => combine_some::<F, 5>(weights, columns, out),
            6 => combine_some::<F, 6>(weights, columns, out),
            7 => combine_some::<F, 7>(weights, columns, out),
            _ => combine_some::<F, 8>(weights, columns, out),
        }
    }
}

/// The number of terms is known to the compiler, so that the inner loop has no branches.
fn combine_some<F: Field, const K: usize>(weights: &[F], columns: &[&[F]], out: &mut [F]) {
    let weights: [F; K] = std::array::from_fn(|i| weights[i]);
    let columns: [&[F]; K] = std::array::from_fn(|i| &columns[i][..out.len()]);
    for k in 0..out.len() {
        let mut acc = F::Acc::default();
        F::acc_add(&mut acc, out[k]);
        for i in 0..K {
            F::acc_mul(&mut acc, weights[i], columns[i][k]);
        }
        out[k] = F::acc_reduce(acc);
    }
}

#[cfg(test)]
mod tests;
