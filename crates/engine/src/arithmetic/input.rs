//! Inputs: a dealer's numbers become shares.

use tacit_algebra::Field;

use super::dealing::{Streams, Weights, tiles};
use super::streams::draw;
use super::wire::{self, Kind};
use super::{Arithmetic, ArithmeticError, Shared, WINDOW};

impl<F: Field> Arithmetic<'_, F> {
    /// Shares of `length` numbers of one dealer; `values` are given by the dealer only.
    ///
    /// One round; the dealer sends n-1-t elements per number, the t other shares are seeded.
    /// Semi-honest, t < n/2. Shamir 1979; Cramer, Damgård, Ishai 2005.
    pub async fn input(
        &mut self,
        dealer: usize,
        length: usize,
        values: Option<&[F]>,
    ) -> Result<Shared<F>, ArithmeticError> {
        if dealer >= self.n || values.is_some() != (dealer == self.me) {
            return Err(ArithmeticError::WrongCall {
                what: "the dealer is a compute peer and the only one with values",
            });
        }
        let mut lengths = vec![0; self.n];
        lengths[dealer] = length;
        let mut shared = self.input_all(&lengths, values.unwrap_or_default()).await?;
        Ok(shared.swap_remove(dealer))
    }

    /// Shares of everybody's numbers at once: `lengths[i]` of party i, `values` the own ones. Gives
    /// one shared vector per party.
    ///
    /// One round; each party sends n-1-t elements per own number.
    pub async fn input_all(&mut self, lengths: &[usize], values: &[F]) -> Result<Vec<Shared<F>>, ArithmeticError> {
        if lengths.len() != self.n || lengths[self.me] != values.len() {
            return Err(ArithmeticError::WrongCall { what: "one length per compute peer, and the own one fits" });
        }
        let operation = self.begin()?;
        let mut streams = self.input_streams()?;
        let result = self.share_inputs(operation, lengths, values, &mut streams).await;
        self.input = Some(streams);
        let shared = self.end(result)?;
        self.check_degree(&shared.iter().map(Shared::expose_shares).collect::<Vec<_>>()).await?;
        Ok(shared)
    }

    async fn share_inputs(
        &mut self,
        operation: u32,
        lengths: &[usize],
        values: &[F],
        streams: &mut Streams,
    ) -> Result<Vec<Shared<F>>, ArithmeticError> {
        let weights = self.input_weights()?;
        let chunk = wire::chunk::<F>();
        let mut out: Vec<Shared<F>> = lengths.iter().map(|length| Shared::zeros(*length)).collect();
        let chunks = lengths.iter().map(|length| length.div_ceil(chunk)).max().unwrap_or(0);
        let range = |number: usize, length: usize| (number * chunk).min(length)..((number + 1) * chunk).min(length);
        let ahead = WINDOW.min(chunks);
        for step in 0..chunks + ahead {
            let own = range(step, values.len());
            if !own.is_empty() {
                self.mailbox.drained().await;
                let own_share = &mut out[self.me].shares_mut()[own.clone()];
                self.deal_input(operation, &weights, streams, &values[own], own_share);
            }
            let Some(number) = step.checked_sub(ahead) else { continue };
            for dealer in self.others() {
                let range = range(number, lengths[dealer]);
                if range.is_empty() {
                    continue;
                }
                let share = &mut out[dealer].shares_mut()[range];
                if let Some(stream) = streams.from(dealer) {
                    draw(stream, share);
                    continue;
                }
                let message = self.recv(dealer).await?;
                let bytes = self.content(&message, dealer, Kind::Input, operation, share.len())?;
                F::decode_into(bytes, share).map_err(|_| self.malformed(dealer))?;
            }
        }
        Ok(out)
    }

    fn deal_input(&mut self, operation: u32, weights: &Weights<F>, streams: &mut Streams, values: &[F], own: &mut [F]) {
        let message = |_: &_| wire::message::<F>(Kind::Input, operation, values.len());
        let mut messages: Vec<Vec<u8>> = weights.explicit.iter().map(message).collect();
        for tile in tiles(values.len()) {
            let fill = |_: &[F], column: &mut [F]| column.copy_from_slice(&values[tile.clone()]);
            self.columns.deal(weights, streams, fill, &mut own[tile.clone()], &mut messages);
        }
        for ((receiver, _), message) in weights.explicit.iter().zip(messages) {
            self.send(*receiver, message);
        }
    }
}
