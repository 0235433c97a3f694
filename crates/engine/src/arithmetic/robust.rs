//! Products that come whatever t of n >= 4t+1 parties do, and that name who sent wrong shares.
//!
//! ```text
//!   send      share of degree 2t of ab + r, signed   to all
//!   decode    ab + r, at most t shares of which are wrong or missing
//!   then      share of ab = (ab + r) - share of degree t of r
//! ```
//!
//! r is the sum of streams of sets of n-t parties, and everybody computes its shares from keys: with f_A of degree t, 1 at zero and
//! 0 outside A, those of r are sums of s f_A, and those of degree 2t are sums of (s + s_1 x + ... + s_t x^t) f_A
//! (pseudorandom secret sharing and sharing of zero: Cramer, Damgård, Ishai 2005). The stream of the set of all honest parties is
//! uniform to the others, and these polynomials are all of degree 2t that vanish at t points: what is opened tells ab + r
//! alone, which is uniform. Every honest share is right by construction, so that decoding (Reed, Solomon 1960; Gao 2003) blames no
//! honest party; 4t+1 shares of degree 2t have one closest polynomial.
//!
//! Signatures are not looked at here: what was signed of a vector with a wrong share goes to the [`Notary`].
//!
//! One round, n-1 elements per product and party, and a signature per message; streams: t+1 elements per product and stream of a set.
//! Synchronous network: each multiplication is a phase of the mailbox.

use std::collections::VecDeque;
use std::ops::Range;

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::WINDOW;
use super::context::Arithmetic;
use super::dealing::tiles;
use super::error::ArithmeticError;
use super::linear::TILE;
use super::streams::draw;
use super::wire::{self, Kind};
use crate::keystream::Keystream;
use crate::sharing::{NoVector, Recombiner};

/// Who signs what this party says, and hears of what others signed.
pub(crate) trait Notary: Send + Sync {
    /// Signs the elements of a message: of which operation, and which of its messages.
    fn sign(&mut self, operation: u32, number: usize, elements: &[u8]) -> [u8; SIGNATURE];

    /// Hears of shares that are wrong; at most once of each party's.
    fn disputed(&mut self, disputed: Disputed);
}

/// What each party says that its shares of some masked products are, with its signature; some are wrong.
pub(crate) struct Disputed {
    pub(crate) operation: u32,
    /// Which message of the operation.
    pub(crate) number: usize,
    /// Elements and signature; `None` for who is not listened to.
    pub(crate) said: Vec<Option<(Vec<u8>, [u8; SIGNATURE])>>,
    /// Positions.
    pub(crate) wrong: Vec<usize>,
}

/// Bytes of a signature.
const SIGNATURE: usize = 64;

/// Where masks come from, and who has been found out.
pub(crate) struct Robust<'a, F: Field> {
    /// Streams of this party's sets, each with f_A at this party's point.
    streams: Vec<(F, Keystream)>,
    /// How many parties may be silent or lie.
    faulty: usize,
    /// Positions that are not listened to any more: silent, unreadable or wrong.
    out: Vec<usize>,
    /// Of these, whose shares were wrong.
    wrong: Vec<usize>,
    notary: Option<Box<dyn Notary + 'a>>,
    /// The mailbox's phase of the next multiplication.
    phase: u32,
}

impl<'a, F: Field> Robust<'a, F> {
    /// `streams` are known alike to all honest members of their sets that are listened to; multiplications take phases from
    /// `phase` on.
    pub(crate) fn new(streams: Vec<(F, Keystream)>, faulty: usize, listened: &[bool], phase: u32) -> Self {
        let out = (0..listened.len()).filter(|position| !listened[*position]).collect();
        Self { streams, faulty, out, wrong: Vec::new(), notary: None, phase }
    }

    /// Takes the next masks' shares of degree t off `narrow` and adds those of degree 2t to `wide`.
    fn mask(&mut self, point: F, t: usize, narrow: &mut [F], wide: &mut [F]) {
        let mut tile = Zeroizing::new(vec![F::ZERO; TILE.min(narrow.len())]);
        for range in tiles(narrow.len()) {
            let tile = &mut tile[..range.len()];
            for (weight, stream) in &mut self.streams {
                let (narrow, wide) = (&mut narrow[range.clone()], &mut wide[range.clone()]);
                mask_of_set(*weight, point, t, |_, tile| draw(stream, tile), tile, narrow, wide);
            }
        }
    }
}

/// One set's summand of the mask, from t+1 elements of its stream for each number: the power of the point that
/// they belong to goes with them. `weight` is f_A at the point.
fn mask_of_set<F: Field>(
    mut weight: F,
    point: F,
    t: usize,
    mut draw: impl FnMut(usize, &mut [F]),
    tile: &mut [F],
    narrow: &mut [F],
    wide: &mut [F],
) {
    for power in 0..=t {
        draw(power, tile);
        F::scale_add(wide, weight, tile);
        if power == 0 {
            F::scale_add(narrow, -weight, tile);
        }
        weight *= point;
    }
}

impl<'a, F: Field> Arithmetic<'a, F> {
    /// From now on products come whatever `faulty` parties do.
    pub(crate) fn make_robust(&mut self, robust: Robust<'a, F>, notary: Box<dyn Notary + 'a>) {
        self.robust = Some(Box::new(Robust { notary: Some(notary), ..robust }));
    }

    /// Positions whose shares were wrong, ascending.
    pub(crate) fn found_wrong(&self) -> Vec<usize> {
        let mut wrong = self.robust.as_ref().map(|robust| robust.wrong.clone()).unwrap_or_default();
        wrong.sort_unstable();
        wrong
    }

    pub(super) async fn reduce_robustly(
        &mut self,
        robust: &mut Robust<'a, F>,
        operation: u32,
        mut product: impl FnMut(Range<usize>, &[F], &mut [F]) + Send,
        out: &mut [F],
    ) -> Result<(), ArithmeticError> {
        self.mailbox.enter_phase(robust.phase);
        robust.phase += 1;
        let chunk = wire::chunk::<F>();
        let chunks = out.len().div_ceil(chunk);
        let range = |number: usize, length: usize| number * chunk..((number + 1) * chunk).min(length);
        let mut own: VecDeque<(Zeroizing<Vec<F>>, [u8; SIGNATURE])> = VecDeque::new();
        let ahead = WINDOW.min(chunks);
        for step in 0..chunks + ahead {
            if step < chunks {
                self.mailbox.drained().await;
                let range = range(step, out.len());
                let mut wide = Zeroizing::new(vec![F::ZERO; range.len()]);
                for tile in tiles(range.len()) {
                    let indices = range.start + tile.start..range.start + tile.end;
                    product(indices.clone(), &out[indices], &mut wide[tile]);
                }
                let narrow = &mut out[range];
                narrow.fill(F::ZERO);
                robust.mask(self.points[self.me], self.t, narrow, &mut wide);
                let mut elements = Vec::with_capacity(wide.len() * F::BYTES);
                F::encode_slice(&wide, &mut elements);
                let sign = |notary: &mut Box<dyn Notary + 'a>| notary.sign(operation, step, &elements);
                let signature = robust.notary.as_mut().map_or([0; SIGNATURE], sign);
                let mut message = wire::message::<F>(Kind::Robust, operation, wide.len() + SIGNATURE / F::BYTES);
                message.extend_from_slice(&signature);
                message.extend_from_slice(&elements);
                for other in self.others() {
                    self.send(other, message.clone());
                }
                own.push_back((wide, signature));
            }
            if let (Some(number), Some(own)) = (step.checked_sub(ahead), own.front()) {
                let range = range(number, out.len());
                let opened = self.decode_products(robust, operation, number, own).await?;
                F::add_assign_slice(&mut out[range], &opened);
            }
            if step >= ahead {
                own.pop_front();
            }
        }
        Ok(())
    }

    /// The masked products of one chunk, from all who are listened to.
    async fn decode_products(
        &mut self,
        robust: &mut Robust<'a, F>,
        operation: u32,
        number: usize,
        (own, signature): &(Zeroizing<Vec<F>>, [u8; SIGNATURE]),
    ) -> Result<Vec<F>, ArithmeticError> {
        let mut columns: Vec<(usize, Vec<F>)> = vec![(self.me, own.to_vec())];
        let mut signatures = vec![None; self.n];
        signatures[self.me] = Some(*signature);
        for other in self.others() {
            if robust.out.contains(&other) {
                continue;
            }
            let mut column = vec![F::ZERO; own.len()];
            let read = match self.recv(other).await {
                Ok(message) => {
                    let content = wire::content(&message, Kind::Robust, operation, SIGNATURE + own.len() * F::BYTES);
                    content.and_then(|content| content.split_first_chunk()).is_some_and(|(signature, bytes)| {
                        signatures[other] = Some(*signature);
                        F::decode_into(bytes, &mut column).is_ok()
                    })
                }
                Err(_) => false,
            };
            if read { columns.push((other, column)) } else { robust.out.push(other) }
        }
        columns.sort_unstable_by_key(|(position, _)| *position);
        let no_vector = |why| match why {
            NoVector::TooFew { .. } => ArithmeticError::Lost {
                member: robust.out.first().map_or(self.members[self.me], |position| self.members[*position]),
            },
            NoVector::Disagree => ArithmeticError::WrongShares { members: Vec::new() },
        };
        let mut recombiner =
            Recombiner::decoding(&self.points, 2 * self.t, self.t, robust.faulty).map_err(no_vector)?;
        for position in &robust.out {
            recombiner.without(*position).map_err(no_vector)?;
        }
        let mut opened = vec![F::ZERO; own.len()];
        let shares = columns.iter().map(|(_, column)| column.clone()).collect();
        let mut random = |bytes: &mut [u8]| self.local.fill(bytes);
        let wrong = recombiner.open(shares, &mut random, &mut opened).map_err(no_vector)?;
        if wrong.contains(&self.me) {
            return Err(ArithmeticError::Outvoted);
        }
        if let (false, Some(notary)) = (wrong.is_empty(), &mut robust.notary) {
            let mut said = vec![None; self.n];
            for (position, column) in &columns {
                let mut elements = Vec::with_capacity(column.len() * F::BYTES);
                F::encode_slice(column, &mut elements);
                said[*position] = signatures[*position].map(|signature| (elements, signature));
            }
            notary.disputed(Disputed { operation, number, said, wrong: wrong.clone() });
        }
        robust.out.extend(&wrong);
        robust.wrong.extend(wrong);
        Ok(opened)
    }
}

#[cfg(test)]
mod secrecy;
