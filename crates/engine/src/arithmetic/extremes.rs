//! The least and the largest of many: tournaments (Knuth, The Art of Computer Programming 3, 5.3.3).
//!
//! For rows of w numbers: ceil(log2 w) times a comparison and a multiplication, w-1 comparisons per row. Nothing but the
//! shared result comes out, not even how many are equal. That the extreme is one party's number is for the caller to tell.
//! t < n/2, n <= 11; the promise is that of the comparison in the model at hand.

use tacit_algebra::Field;

use super::{Arithmetic, ArithmeticError, Shared};

/// Which end of the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Least,
    Largest,
}

impl<F: Field> Arithmetic<'_, F> {
    /// The least of each `width` consecutive numbers below 2^bits.
    pub async fn min(&mut self, x: &Shared<F>, width: usize, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        self.tournament(x, None, width, bits, End::Least).await.map(|(best, _)| best)
    }

    /// The largest of each `width` consecutive numbers below 2^bits.
    pub async fn max(&mut self, x: &Shared<F>, width: usize, bits: u32) -> Result<Shared<F>, ArithmeticError> {
        self.tournament(x, None, width, bits, End::Largest).await.map(|(best, _)| best)
    }

    /// The least of each `width` consecutive numbers below 2^bits, and the place of the first of them in its row.
    pub async fn argmin(
        &mut self,
        x: &Shared<F>,
        width: usize,
        bits: u32,
    ) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
        let places = places(x.len(), width);
        self.tournament(x, Some(places), width, bits, End::Least).await
    }

    /// The largest of each `width` consecutive numbers below 2^bits, and the place of the first of them in its row.
    pub async fn argmax(
        &mut self,
        x: &Shared<F>,
        width: usize,
        bits: u32,
    ) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
        let places = places(x.len(), width);
        self.tournament(x, Some(places), width, bits, End::Largest).await
    }

    /// Neighbours meet, the winner and what belongs to it goes on; a left-over goes on by itself.
    async fn tournament(
        &mut self,
        x: &Shared<F>,
        places: Option<Shared<F>>,
        width: usize,
        bits: u32,
        end: End,
    ) -> Result<(Shared<F>, Shared<F>), ArithmeticError> {
        if width == 0 || !x.len().is_multiple_of(width) {
            return Err(ArithmeticError::WrongCall { what: "the vector has whole rows" });
        }
        let rows = x.len() / width;
        let (mut width, mut level) = (width, vec![x.duplicate()]);
        level.extend(places);
        while width > 1 {
            let pairs = width / 2;
            let side = |from: &Shared<F>, right: usize| {
                let place = |i: usize| i / pairs * width + 2 * (i % pairs) + right;
                Shared::from_shares((0..rows * pairs).map(|i| from.expose_shares()[place(i)]).collect())
            };
            let (left, right) = (side(&level[0], 0), side(&level[0], 1));
            // The right one wins only where it is better.
            let wins = match end {
                End::Least => self.less_than(&right, &left, bits).await?,
                End::Largest => self.less_than(&left, &right, bits).await?,
            };
            let lefts: Vec<Shared<F>> = level.iter().map(|x| side(x, 0)).collect();
            let rights: Vec<Shared<F>> = level.iter().map(|x| side(x, 1)).collect();
            let all = |parts: &[Shared<F>]| Shared::concat(&parts.iter().collect::<Vec<_>>());
            let conditions = Shared::concat(&vec![&wins; level.len()]);
            let best = self.select(&conditions, &all(&rights), &all(&lefts)).await?;
            let next = pairs + width % 2;
            for (k, x) in level.iter_mut().enumerate() {
                let best = &best.expose_shares()[k * rows * pairs..][..rows * pairs];
                let mut shares = Vec::with_capacity(rows * next);
                for row in 0..rows {
                    shares.extend_from_slice(&best[row * pairs..][..pairs]);
                    shares.extend_from_slice(&x.expose_shares()[row * width + 2 * pairs..(row + 1) * width]);
                }
                *x = Shared::from_shares(shares);
            }
            width = next;
        }
        let mut level = level.into_iter();
        let empty = || Shared::zeros(0);
        Ok((level.next().unwrap_or_else(empty), level.next().unwrap_or_else(empty)))
    }
}

/// 0, 1, 2, ... in each row.
fn places<F: Field>(length: usize, width: usize) -> Shared<F> {
    let place = |i: usize| F::from_u64((i % width.max(1)) as u64);
    Shared::constant(&(0..length).map(place).collect::<Vec<F>>())
}
