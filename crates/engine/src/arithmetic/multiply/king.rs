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
