//! Degree reduction over rotating kings (Damgård, Nielsen 2007; Goyal, Song 2020).
//!
//! ```text
//!   masks      random -r, shared with degree t            [batches]
//!   send       lambda (a b + r) + zero share  -> king     additive shares of v = ab + r
//!   collect    king: v                        -> the n-1-t peers whose share of v is not zero
//!   read       share of ab = c v - share of r
//! ```
//!
//! v is uniform, so anybody may know it. As its sharing of degree t the polynomial is taken that is
//! zero at the points of the t peers after the king: their shares need no message, every other
//! share is v times a public constant. The additive sharing of v is masked by a sharing of zero,
//! so that the king learns v alone and not the other coefficients of ab.
//!
//! Each party is king of one slice of every block. Three rounds, of which those of consecutive blocks
//! overlap. Elements sent per party and product: (n-1-t)/(n-t) + (n-1)/n + (n-1-t)/n.

use std::ops::Range;

use tacit_algebra::Field;
use tacit_algebra::poly::lagrange_at;

use crate::arithmetic::context::Arithmetic;
use crate::arithmetic::error::ArithmeticError;
use crate::arithmetic::random::Batches;
use crate::arithmetic::slices::{Block, Route, Slices};
use crate::arithmetic::zero::Zero;

/// What kings need.
pub(in crate::arithmetic) struct King<F: Field> {
    /// This party's Lagrange coefficient among all.
    lambda: F,
    /// Per king: this party's share of 1 on the polynomial that is zero at the peers after the king.
    ones: Vec<F>,
    slices: Slices<F>,
}

impl<F: Field> King<F> {
    fn new(context: &Arithmetic<'_, F>) -> Result<Self, ArithmeticError> {
        let Arithmetic { n, t, me, points, .. } = context;
        let ones = (0..*n).map(|king| share_of_one(points, *t, king, *me)).collect::<Result<_, _>>()?;
        let slices = Slices::new(Route { senders: n - 1, receivers: t + 1 });
        Ok(Self { lambda: context.lambda_of_all()?, ones, slices })
    }
}

/// The value at `me`'s point of the polynomial of degree t that is 1 at zero and vanishes at the t
/// peers after the king.
pub(super) fn share_of_one<F: Field>(points: &[F], t: usize, king: usize, me: usize) -> Result<F, ArithmeticError> {
    let zeros = (1..=t).map(|i| points[(king + i) % points.len()]);
    let (above, below) = zeros.fold((F::ONE, F::ONE), |(above, below), x| (above * (points[me] - x), below * -x));
    let below = below.inv().ok_or(ArithmeticError::WrongCall { what: "evaluation points are not zero" })?;
    Ok(above * below)
}

impl<F: Field> Arithmetic<'_, F> {
    /// This party's Lagrange coefficient for the value at zero from all n points.
    pub(in crate::arithmetic) fn lambda_of_all(&self) -> Result<F, ArithmeticError> {
        let lambda = lagrange_at(&self.points, F::ZERO);
        Ok(lambda.map_err(|_| ArithmeticError::WrongCall { what: "distinct points" })?[self.me])
    }

    pub(in crate::arithmetic) fn take_zero(&mut self) -> Result<Box<Zero<F>>, ArithmeticError> {
        match self.zero.take() {
            Some(zero) => Ok(zero),
            None => Ok(Box::new(Zero::new(&self.seeds, self.n, self.t)?)),
        }
    }

    pub(super) async fn over_kings(
        &mut self,
        operation: u32,
        mut product: impl FnMut(Range<usize>, &[F], &mut [F]) + Send,
        out: &mut [F],
    ) -> Result<(), ArithmeticError> {
        let mut king = match self.king.take() {
            Some(king) => king,
            None => Box::new(King::new(self)?),
        };
        let mut batches = self.take_batches()?;
        let mut zero = self.take_zero()?;
        let mut tile = std::mem::take(&mut self.tile);
        let block = Batches::<F>::block(self.n, self.t);
        let blocks = out.len().div_ceil(block);
        let length = out.len();
        let block = |number: usize| {
            let range = number * block..((number + 1) * block).min(length);
            Block { operation, number, range }
        };
        let King { lambda, ones, slices } = &mut *king;
        for step in 0..blocks + 3 {
            if step < blocks {
                self.mailbox.drained().await;
                batches.deal(self, operation, block(step).range.len());
            }
            if let Some(number) = step.checked_sub(1).filter(|number| *number < blocks) {
                let block = block(number);
                let masks = batches.collect(self, operation, block.range.len()).await?;
                let fill = |_: usize, range: Range<usize>, summand: &mut [F]| {
                    product(range.clone(), &out[range.clone()], summand);
                    let masks = &masks[range.start - block.range.start..range.end - block.range.start];
                    for ((summand, mask), out) in summand.iter_mut().zip(masks).zip(&mut out[range]) {
                        *summand = *lambda * (*summand + *mask);
                        *out = -*mask;
                    }
                    zero.add_to(summand);
                };
                slices.send(self, &block, fill, &mut tile);
                batches.recycle(masks);
            }
            let mut result = |king: usize, range: Range<usize>, values: &[F]| {
                F::scale_add(&mut out[range], ones[king], values);
            };
            if let Some(number) = step.checked_sub(2).filter(|number| *number < blocks) {
                slices.collect(self, &block(number), &mut |_| (), &mut result, &mut tile).await?;
            }
            if let Some(number) = step.checked_sub(3) {
                slices.read(self, &block(number), &mut result, &mut tile).await?;
            }
        }
        self.tile = tile;
        self.zero = Some(zero);
        self.batches = Some(batches);
        self.king = Some(king);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tacit_algebra::F61;

    use super::*;
    use crate::arithmetic::Shared;
    use crate::arithmetic::cheating::setup;
    use crate::{Ended, Simulator};

    /// The first byte of messages (the table is in arithmetic/wire.rs).
    const TO_KING: u8 = 4;
    const FROM_KING: u8 = 5;
    const OPEN: u8 = 6;
    const LENGTH: usize = 40;

    type Opened = Result<Vec<F61>, ArithmeticError>;

    /// The product over kings, however short and however few they are, and its check where n > 2t+1.
    async fn by_kings(context: &mut Arithmetic<'_, F61>, a: &[F61], b: &[F61]) -> Result<Shared<F61>, ArithmeticError> {
        let mut out = Shared::zeros(a.len());
        let operation = context.begin()?;
        let multiply = |range: Range<usize>, _: &[F61], tile: &mut [F61]| {
            F61::mul_slice(tile, &a[range.clone()], &b[range]);
        };
        let result = context.over_kings(operation, multiply, out.shares_mut()).await;
        context.end(result)?;
        context.check_degree(&[out.expose_shares()]).await?;
        context.note(a, b, 1, out.expose_shares()).await?;
        Ok(out)
    }

    /// 3 * 5 * 5, many times. Also counts what honest party 2 sends to kings, and to an opening of the result.
    fn two_layers(n: usize, t: usize, change: bool) -> (Vec<Ended<Opened>>, usize, usize) {
        let mut simulator: Simulator<'_, Opened> = Simulator::new(n, 3);
        for me in 0..n {
            let mailbox = simulator.mailbox(me);
            simulator.spawn(me, async move {
                let mut context = Arithmetic::verified(setup(&mailbox, me, (n, t), 7))?;
                let own = if me == 1 { [[3; LENGTH], [5; LENGTH]].concat() } else { Vec::new() };
                let own: Vec<F61> = own.into_iter().map(F61::from_u64).collect();
                let mut lengths = vec![0; n];
                lengths[1] = 2 * LENGTH;
                let shared = context.input_all(&lengths, &own).await?.swap_remove(1);
                let (a, b) = shared.expose_shares().split_at(LENGTH);
                let first = by_kings(&mut context, a, b).await?;
                let second = by_kings(&mut context, first.expose_shares(), b).await?;
                context.open(&second).await
            });
        }
        let mut first = change;
        simulator.rewrite(0, move |_, mut message| {
            if message[0] == FROM_KING && std::mem::take(&mut first) {
                message[5] ^= 1;
            }
            Some(message)
        });
        let counts = Rc::new((Cell::new(0), Cell::new(0)));
        let counter = Rc::clone(&counts);
        simulator.rewrite(2, move |_, message| {
            counter.0.set(counter.0.get() + usize::from(message[0] == TO_KING));
            counter.1.set(counter.1.get() + usize::from(message[0] == OPEN && message.len() >= 8 * LENGTH / n));
            Some(message)
        });
        (simulator.run(), counts.0.get(), counts.1.get())
    }

    /// Groups of four and six, whose products [`reduce`](Arithmetic::reduce) sends over no kings today: a king that tells one
    /// peer another number than the rest is found all the same, before anything is multiplied with it.
    #[test]
    fn rule6_kings_of_few_that_equivocate_are_found_before_the_next_layer() {
        for (n, t) in [(4, 1), (6, 2), (6, 1), (7, 2)] {
            let (ends, both, opened) = two_layers(n, t, false);
            assert!(both > 0 && opened > 0, "{n} {t}");
            for end in ends {
                assert_eq!(end, Ended::Finished(Ok(vec![F61::from_u64(75); LENGTH])), "{n} {t}");
            }
            let (ends, first, opened) = two_layers(n, t, true);
            for end in &ends[1..] {
                // Whoever waits for one that stopped loses it.
                let stopped = |error: &ArithmeticError| {
                    matches!(error, ArithmeticError::Unverified | ArithmeticError::Lost { .. })
                };
                assert!(matches!(end, Ended::Finished(Err(error)) if stopped(error)), "{n} {t}: {end:?}");
            }
            assert!(ends[1..].contains(&Ended::Finished(Err(ArithmeticError::Unverified))), "{n} {t}");
            assert!(first < both, "{n} {t}: nothing is multiplied after a layer that does not fit");
            assert_eq!(opened, 0, "{n} {t}");
        }
    }
}
