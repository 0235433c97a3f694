//! The one gate that needs a message.
//!
//! Every party multiplies the pairs of components that are its business, masks the sum with a share of zero and
//! with the streams of some sets, and says the result to the set that begins with it. Sets that begin with nobody get
//! their component from their stream. Whatever t parties see: either the component of all others is a stream that
//! they lack and that masks one honest summand, or they miss the one summand that is this component;
//! the zero shares make all other honest summands uniform. n = 3 is Araki, Furukawa, Lindell, Nof, Ohara 2016.

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::planes::xor;
use super::{Boolean, Origin, Planes, Structure};
use crate::arithmetic::wire::{self, Kind};
use crate::arithmetic::{Arithmetic, ArithmeticError};
use crate::keystream::Keystream;

/// Words that are multiplied at a time: all components of two planes stay in the first cache level.
const BLOCK: usize = 64;
/// Words of one message: a longer layer takes several rounds, so that no peer has to park much.
const MESSAGE_WORDS: usize = 1 << 17;

impl<F: Field> Arithmetic<'_, F> {
    /// Plane g of the result is `x[i] & y[j]` with (i, j) = `gates[g]`.
    ///
    /// One round for up to a mebibyte, n-1-t bits per gate and lane. Semi-honest: see the module.
    pub(in crate::arithmetic) async fn and(
        &mut self,
        x: &Planes,
        y: &Planes,
        gates: &[(usize, usize)],
    ) -> Result<Planes, ArithmeticError> {
        if gates.len() * x.words() <= MESSAGE_WORDS {
            return self.and_at_once(x, y, gates).await;
        }
        let mut out = Planes::zeros(x.components(), gates.len(), x.words());
        let at_once = (MESSAGE_WORDS / x.words()).max(1);
        for (number, gates) in gates.chunks(at_once).enumerate() {
            let some = self.and_at_once(x, y, gates).await?;
            (0..gates.len()).for_each(|i| out.copy_plane(number * at_once + i, &some, i));
        }
        Ok(out)
    }

    async fn and_at_once(
        &mut self,
        x: &Planes,
        y: &Planes,
        gates: &[(usize, usize)],
    ) -> Result<Planes, ArithmeticError> {
        let operation = self.begin()?;
        let mut boolean = self.take_boolean()?;
        let mut out = Planes::zeros(x.components(), gates.len(), x.words());
        let mut sum = Zeroizing::new(vec![0; gates.len() * x.words()]);
        product(&boolean.structure, x, y, gates, &mut sum);
        mask(&mut boolean, &mut sum, &mut out);
        let result = self.say(operation, &boolean.structure, &sum, &mut out).await;
        self.boolean = Some(boolean);
        self.end(result).map(|()| out)
    }

    /// Sends this party's component to its set and takes those of the other sets in.
    pub(super) async fn say(
        &mut self,
        operation: u32,
        structure: &Structure,
        own: &[u64],
        out: &mut Planes,
    ) -> Result<(), ArithmeticError> {
        let (n, t, me) = (self.n, self.t, self.me);
        if own.is_empty() {
            return Ok(());
        }
        out.component_mut(structure.own).copy_from_slice(own);
        let message = encode(operation, own);
        for i in 1..n - t {
            self.send((me + i) % n, message.clone());
        }
        for (component, origin) in structure.origins.iter().enumerate() {
            if let Origin::Party(party) = origin {
                self.hear(operation, *party, out.component_mut(component)).await?;
            }
        }
        Ok(())
    }

    /// Takes one message of words in.
    pub(super) async fn hear(&mut self, operation: u32, party: usize, out: &mut [u64]) -> Result<(), ArithmeticError> {
        let message = self.recv(party).await?;
        let bytes = wire::content(&message, Kind::Bits, operation, out.len() * 8).ok_or(self.malformed(party))?;
        out.iter_mut().zip(bytes.as_chunks::<8>().0).for_each(|(out, bytes)| *out = u64::from_le_bytes(*bytes));
        Ok(())
    }
}

pub(super) fn encode(operation: u32, words: &[u64]) -> Vec<u8> {
    let mut message = Vec::with_capacity(wire::HEADER + words.len() * 8);
    wire::header(Kind::Bits, operation, &mut message);
    words.iter().for_each(|word| message.extend_from_slice(&word.to_le_bytes()));
    message
}

/// This party's summands of all gates.
pub(super) fn product(structure: &Structure, x: &Planes, y: &Planes, gates: &[(usize, usize)], out: &mut [u64]) {
    let words = x.words();
    for ((i, j), out) in gates.iter().zip(out.chunks_exact_mut(words.max(1))) {
        for start in (0..words).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(words);
            let out = &mut out[range.clone()];
            let mut right = [0; BLOCK];
            for (a, bs) in &structure.terms {
                let right = &mut right[..out.len()];
                right.copy_from_slice(&y.plane(bs[0], *j)[range.clone()]);
                bs[1..].iter().for_each(|b| xor(right, &y.plane(*b, *j)[range.clone()]));
                let left = &x.plane(*a, *i)[range.clone()];
                out.iter_mut().zip(left).zip(right).for_each(|((out, left), right)| *out ^= left & *right);
            }
        }
    }
}

/// Masks the summand, and draws the components that come from streams.
fn mask(boolean: &mut Boolean, sum: &mut [u64], out: &mut Planes) {
    let mut bytes = Zeroizing::new(vec![0; DRAWN]);
    for stream in &mut boolean.zero {
        draw(stream, &mut bytes, sum);
    }
    for (component, origin) in boolean.structure.origins.iter().enumerate() {
        if let Origin::Stream { adds } = *origin {
            let fresh = out.component_mut(component);
            draw(&mut boolean.streams[component], &mut bytes, fresh);
            if adds {
                xor(sum, fresh);
            }
        }
    }
}

/// Bytes that are drawn at a time.
pub(super) const DRAWN: usize = 8192;

/// `out ^=` the stream's next words. `bytes` is work space.
pub(super) fn draw(stream: &mut Keystream, bytes: &mut [u8], out: &mut [u64]) {
    for out in out.chunks_mut(bytes.len() / 8) {
        let bytes = &mut bytes[..out.len() * 8];
        stream.fill(bytes);
        out.iter_mut().zip(bytes.as_chunks::<8>().0).for_each(|(out, bytes)| *out ^= u64::from_le_bytes(*bytes));
    }
}
