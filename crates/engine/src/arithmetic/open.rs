//! Opening: a shared vector becomes public.
//!
//! Short vectors go from everybody to every recipient, who checks all n shares. Long vectors that
//! everybody learns go by [`slices`](super::slices): t+1 parties send their summands of a slice to its king,
//! who broadcasts; one random combination per king, with coefficients that are [tossed](super::toss) when
//! everybody heard all kings, opened the first way, finds a wrong result.

use std::ops::Range;

use tacit_algebra::Field;
use tacit_algebra::poly::lagrange_at;
use tacit_algebra::reed_solomon::{self, Consistency};
use zeroize::Zeroizing;

use super::linear::combine;
use super::slices::{Block, Route, Slices, slice};
use super::streams::draw;
use super::wire::{self, Kind};
use super::{Arithmetic, ArithmeticError, Shared, WINDOW};
use crate::keystream::Keystream;
use crate::sharing::corrects;

/// From so many parties on long vectors are opened by slices.
const SLICED_PARTIES: usize = 5;
/// Shorter vectors take one round.
const SLICED_LENGTH: usize = 16 * 1024;
/// Up to so many elements each tuple of shares is checked by itself.
const EXACT_UP_TO: usize = 64;
/// Bits of the check's randomness.
const CHECK_BITS: u32 = 61;

/// Whether so many numbers are opened to all by slices.
pub(crate) fn opens_by_slices(n: usize, length: usize) -> bool {
    n >= SLICED_PARTIES && length >= SLICED_LENGTH
}

impl<F: Field> Arithmetic<'_, F> {
    /// The numbers, for everybody.
    ///
    /// One round and n-1 elements per number and party. From five parties and 16384 numbers on four rounds
    /// (five the first time) and (t+n-1)/n elements: t+1 shares of a slice go to its king, who broadcasts; the check is
    /// one random combination per king (a wrong result passes with probability <= 2^-60). All n shares are compared in
    /// the one, the result with t+1 of them in the other. Semi-honest: wrong shares are noticed, but
    /// cheaters may still keep the result to themselves. In the one round, where n >= 3t+1, they are also named.
    pub async fn open(&mut self, shared: &Shared<F>) -> Result<Vec<F>, ArithmeticError> {
        self.verify().await?;
        if opens_by_slices(self.n, shared.len()) {
            return self.open_by_slices(shared.expose_shares()).await;
        }
        let operation = self.begin()?;
        let everybody: Vec<usize> = (0..self.n).collect();
        let result = self.open_to_each(operation, shared.expose_shares(), &everybody).await;
        self.end(result)
    }

    /// The numbers, for these compute peers; the others get `None`.
    ///
    /// One round; each party sends one element per number to each recipient. A recipient compares
    /// all n shares.
    pub async fn open_to(
        &mut self,
        shared: &Shared<F>,
        recipients: &[usize],
    ) -> Result<Option<Vec<F>>, ArithmeticError> {
        let mut sorted = recipients.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.last().is_some_and(|last| *last >= self.n) {
            return Err(ArithmeticError::WrongCall { what: "recipients are compute peers" });
        }
        self.verify().await?;
        let operation = self.begin()?;
        let result = self.open_to_each(operation, shared.expose_shares(), &sorted).await;
        self.end(result).map(|numbers| sorted.contains(&self.me).then_some(numbers))
    }

    pub(super) async fn open_to_each(
        &mut self,
        operation: u32,
        shares: &[F],
        recipients: &[usize],
    ) -> Result<Vec<F>, ArithmeticError> {
        let chunk = wire::chunk::<F>();
        let chunks = shares.len().div_ceil(chunk);
        let range = |number: usize| number * chunk..((number + 1) * chunk).min(shares.len());
        let receives = recipients.contains(&self.me);
        let reader = Reader::new(self)?;
        let mut columns = Zeroizing::new(vec![F::ZERO; if receives { self.n * chunk.min(shares.len()) } else { 0 }]);
        let mut out = vec![F::ZERO; if receives { shares.len() } else { 0 }];
        let ahead = WINDOW.min(chunks);
        for step in 0..chunks + ahead {
            if step < chunks {
                self.mailbox.drained().await;
                let mut message = wire::message::<F>(Kind::Open, operation, range(step).len());
                F::encode_slice(&shares[range(step)], &mut message);
                for recipient in self.others().filter(|i| recipients.contains(i)) {
                    self.send(recipient, message.clone());
                }
            }
            let Some(number) = step.checked_sub(ahead).filter(|_| receives) else { continue };
            let range = range(number);
            let length = range.len();
            columns[self.me * length..][..length].copy_from_slice(&shares[range.clone()]);
            for sender in self.others() {
                let message = self.recv(sender).await?;
                let bytes = self.content(&message, sender, Kind::Open, operation, length)?;
                F::decode_into(bytes, &mut columns[sender * length..][..length]).map_err(|_| self.malformed(sender))?;
            }
            reader.read(&columns[..self.n * length], length, &mut self.local, &mut out[range])?;
        }
        Ok(out)
    }

    async fn open_by_slices(&mut self, shares: &[F]) -> Result<Vec<F>, ArithmeticError> {
        self.ready_to_toss().await?;
        let operation = self.begin()?;
        let lambdas = self.lambdas_of_kings()?;
        let route = Route { senders: self.t, receivers: 1 };
        let fill = |king: usize, range: Range<usize>, tile: &mut [F]| {
            tile.copy_from_slice(&shares[range]);
            F::scale_slice(tile, lambdas[king]);
        };
        let opened = self.gather(operation, shares.len(), route, fill, &mut |_| ()).await;
        let opened = self.end(opened)?;
        // Whoever shows its coin has heard all kings.
        let challenge = self.toss().await?;
        let operation = self.begin()?;
        let checked = self.check_kings(operation, shares, &opened, challenge).await;
        self.end(checked).map(|()| opened)
    }

    /// The coefficient of this party's share in the slice of each king; zero where it sends none.
    fn lambdas_of_kings(&self) -> Result<Vec<F>, ArithmeticError> {
        let (n, t, me) = (self.n, self.t, self.me);
        (0..n)
            .map(|king| {
                let points: Vec<F> = (0..=t).map(|i| self.points[(king + i) % n]).collect();
                let lambda = lagrange_at(&points, F::ZERO)
                    .map_err(|_| ArithmeticError::WrongCall { what: "evaluation points are distinct" })?;
                Ok(lambda.get((n + me - king) % n).copied().unwrap_or(F::ZERO))
            })
            .collect()
    }

    /// Adds summands up by slices, all blocks: each king transforms the sum of its slice, then everybody in
    /// the route gets it. Two rounds, those of consecutive blocks overlapping.
    pub(super) async fn gather(
        &mut self,
        operation: u32,
        length: usize,
        route: Route,
        mut fill: impl FnMut(usize, Range<usize>, &mut [F]) + Send,
        transform: &mut (impl FnMut(&mut [F]) + Send),
    ) -> Result<Vec<F>, ArithmeticError> {
        let mut tile = std::mem::take(&mut self.tile);
        let mut slices = Slices::new(route);
        let mut out = vec![F::ZERO; length];
        let block = block::<F>(self.n);
        let blocks = length.div_ceil(block);
        let block = |number: usize| {
            let range = number * block..((number + 1) * block).min(length);
            Block { operation, number, range }
        };
        for step in 0..blocks + 2 {
            if step < blocks {
                self.mailbox.drained().await;
                slices.send(self, &block(step), &mut fill, &mut tile);
            }
            let mut result = |_: usize, range: Range<usize>, sums: &[F]| out[range].copy_from_slice(sums);
            if let Some(number) = step.checked_sub(1).filter(|number| *number < blocks) {
                slices.collect(self, &block(number), transform, &mut result, &mut tile).await?;
            }
            if let Some(number) = step.checked_sub(2) {
                slices.read(self, &block(number), &mut result, &mut tile).await?;
            }
        }
        self.tile = tile;
        Ok(out)
    }

    /// Whether what the kings said is what the shares say: a random combination of each king's part,
    /// with coefficients that nobody knew before everybody heard all kings.
    async fn check_kings(
        &mut self,
        operation: u32,
        shares: &[F],
        opened: &[F],
        mut coefficients: Keystream,
    ) -> Result<(), ArithmeticError> {
        let everybody: Vec<usize> = (0..self.n).collect();
        let repeats = CHECK_BITS.div_ceil(F::BITS) as usize;
        let mut own = vec![F::ZERO; repeats * self.n];
        let mut said = own.clone();
        let block = block::<F>(self.n);
        for start in (0..opened.len()).step_by(block) {
            let range = start..(start + block).min(opened.len());
            for king in 0..self.n {
                let part = slice(&range, self.n, king);
                for piece in super::dealing::tiles(part.len()) {
                    let piece = part.start + piece.start..part.start + piece.end;
                    for repeat in 0..repeats {
                        let tile = &mut self.tile[..piece.len()];
                        draw(&mut coefficients, tile);
                        own[king * repeats + repeat] += F::dot(tile, &shares[piece.clone()]);
                        said[king * repeats + repeat] += F::dot(tile, &opened[piece.clone()]);
                    }
                }
            }
        }
        let right = self.open_to_each(operation, &own, &everybody).await?;
        // The king may be honest: t+1 summands have no redundancy, and any of their senders could have lied.
        if right == said { Ok(()) } else { Err(ArithmeticError::WrongShares { members: Vec::new() }) }
    }
}

/// Elements that are opened at a time: one message from each king.
fn block<F: Field>(n: usize) -> usize {
    wire::chunk::<F>() * n
}

/// A recipient of everybody's shares.
struct Reader<F: Field> {
    /// Below 3t+1 shares t cheaters could make an honest share look like the wrong one.
    names: bool,
    points: Vec<F>,
    members: Vec<usize>,
    lambda: Vec<F>,
    check: Consistency<F>,
}

impl<F: Field> Reader<F> {
    fn new(context: &Arithmetic<'_, F>) -> Result<Self, ArithmeticError> {
        let Arithmetic { points, members, t, .. } = context;
        let wrong = |_| ArithmeticError::WrongCall { what: "evaluation points are distinct" };
        let lambda = lagrange_at(&points[..=*t], F::ZERO).map_err(wrong)?;
        let check = Consistency::new(points, *t).map_err(wrong)?;
        let names = corrects(points.len(), *t);
        Ok(Self { names, points: points.clone(), members: members.clone(), lambda, check })
    }

    /// The numbers that n columns of `length` shares stand for, if all shares fit.
    fn read(&self, columns: &[F], length: usize, local: &mut Keystream, out: &mut [F]) -> Result<(), ArithmeticError> {
        let views: Vec<&[F]> = columns.chunks_exact(length).collect();
        let error = |_| ArithmeticError::WrongCall { what: "one column per party" };
        let wrong = if length <= EXACT_UP_TO || F::BITS < CHECK_BITS {
            let wrong = self.check.first_inconsistent(&views).map_err(error)?;
            wrong.map(|k| views.iter().map(|view| view[k]).collect())
        } else {
            let mut challenges = vec![F::ZERO; length];
            draw(local, &mut challenges);
            let tuple = self.check.combine(&views, &challenges).map_err(error)?;
            (!self.check.check(&tuple)).then_some(tuple)
        };
        if let Some(tuple) = wrong {
            if !self.names {
                return Err(ArithmeticError::WrongShares { members: Vec::new() });
            }
            let decoded = reed_solomon::decode(&self.points, &tuple, self.check.degree());
            let errors = decoded.map(|decoded| decoded.errors).unwrap_or_default();
            return Err(ArithmeticError::WrongShares { members: errors.iter().map(|i| self.members[*i]).collect() });
        }
        combine(&self.lambda, columns, length, out);
        Ok(())
    }
}
