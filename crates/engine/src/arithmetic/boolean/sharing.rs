//! Bits that somebody knows: random ones, own ones, and opening to one party.

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::gates::{DRAWN, draw, encode};
use super::planes::xor;
use super::{Planes, interval};
use crate::arithmetic::random::{contains, sets};
use crate::arithmetic::{Arithmetic, ArithmeticError};

/// Bits in the clear, plane by plane, as their owner has them.
pub(in crate::arithmetic) type Plain = Zeroizing<Vec<u64>>;

/// Who knows random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::arithmetic) enum Source {
    /// One party. Any t others miss at least one of its components.
    Party(usize),
    /// All parties of a set of n-t: it is the one component.
    Set(u64),
}

impl<F: Field> Arithmetic<'_, F> {
    /// Random bits, shared, and to those who know them in the clear. No message.
    pub(in crate::arithmetic) fn random_planes(
        &mut self,
        source: Source,
        planes: usize,
        words: usize,
    ) -> Result<(Planes, Option<Plain>), ArithmeticError> {
        let mut boolean = self.take_boolean()?;
        let mut bytes = Zeroizing::new(vec![0; DRAWN]);
        let mut out = Planes::zeros(boolean.structure.held.len(), planes, words);
        let knows = match source {
            Source::Party(party) => party == self.me,
            Source::Set(set) => contains(set, self.me),
        };
        let mut plain = knows.then(|| Zeroizing::new(vec![0; planes * words]));
        for (component, set) in boolean.structure.held.iter().enumerate() {
            let part_of = match source {
                Source::Party(party) => contains(*set, party),
                Source::Set(source) => *set == source,
            };
            if part_of {
                draw(&mut boolean.streams[component], &mut bytes, out.component_mut(component));
                if let Some(plain) = &mut plain {
                    xor(plain, out.component(component));
                }
            }
        }
        self.boolean = Some(boolean);
        Ok((out, plain))
    }

    /// Random bits that nobody knows. No message.
    pub(in crate::arithmetic) fn random_shared_planes(
        &mut self,
        planes: usize,
        words: usize,
    ) -> Result<Planes, ArithmeticError> {
        let mut boolean = self.take_boolean()?;
        let mut bytes = Zeroizing::new(vec![0; DRAWN]);
        let mut out = Planes::zeros(boolean.structure.held.len(), planes, words);
        for (component, stream) in boolean.streams.iter_mut().enumerate() {
            draw(stream, &mut bytes, out.component_mut(component));
        }
        self.boolean = Some(boolean);
        Ok(out)
    }

    /// Turns all bits round. No message: the first set's component changes.
    pub(in crate::arithmetic) fn negate(&self, planes: &mut Planes) {
        if self.says_public_bits() {
            planes.component_mut(0).iter_mut().for_each(|word| *word = !*word);
        }
    }

    /// Bits that everybody knows, shared: they are the first set's component. No message.
    pub(in crate::arithmetic) fn public_planes(&self, planes: usize, words: usize, plain: &[u64]) -> Planes {
        let mut out = Planes::zeros(self.components(), planes, words);
        if self.says_public_bits() {
            out.component_mut(0).copy_from_slice(plain);
        }
        out
    }

    /// Whether this party is in the first set.
    fn says_public_bits(&self) -> bool {
        let first = sets(self.n, self.t).next();
        let held = self.boolean.as_ref().and_then(|boolean| boolean.structure.held.first().copied());
        first.is_some() && first == held
    }

    /// More words of the stream that a set's parties share: not shared bits, they only know them all.
    pub(in crate::arithmetic) fn random_words_of_set(
        &mut self,
        set: u64,
        words: usize,
    ) -> Result<Option<Plain>, ArithmeticError> {
        let mut boolean = self.take_boolean()?;
        let place = boolean.structure.held.binary_search(&set);
        let drawn = place.ok().map(|component| {
            let mut out = Zeroizing::new(vec![0; words]);
            draw(&mut boolean.streams[component], &mut Zeroizing::new(vec![0; DRAWN]), &mut out);
            out
        });
        self.boolean = Some(boolean);
        Ok(drawn)
    }

    /// Shares of one party's bits, which it alone gives: the streams of its sets mask them.
    ///
    /// One round; it sends n-1-t bits per bit.
    pub(in crate::arithmetic) async fn share_planes(
        &mut self,
        dealer: usize,
        planes: usize,
        words: usize,
        plain: Option<&[u64]>,
    ) -> Result<Planes, ArithmeticError> {
        let operation = self.begin()?;
        let (n, t, me) = (self.n, self.t, self.me);
        let mut boolean = self.take_boolean()?;
        let mut bytes = Zeroizing::new(vec![0; DRAWN]);
        let mut out = Planes::zeros(boolean.structure.held.len(), planes, words);
        let mut said = plain.map(|plain| Zeroizing::new(plain.to_vec()));
        let mut heard = None;
        for component in 0..boolean.structure.held.len() {
            let set = boolean.structure.held[component];
            if !contains(set, dealer) {
                continue;
            }
            if set == interval(n, t, dealer) {
                heard = Some(component);
                continue;
            }
            draw(&mut boolean.streams[component], &mut bytes, out.component_mut(component));
            if let Some(said) = &mut said {
                xor(said, out.component(component));
            }
        }
        if let Some(said) = &said {
            out.component_mut(boolean.structure.own).copy_from_slice(said);
            for i in (1..n - t).filter(|_| !said.is_empty()) {
                self.send((me + i) % n, encode(operation, said));
            }
        }
        self.boolean = Some(boolean);
        match heard.filter(|_| dealer != me && planes * words > 0) {
            Some(component) => {
                let result = self.hear(operation, dealer, out.component_mut(component)).await;
                self.end(result).map(|()| out)
            }
            None => Ok(out),
        }
    }

    /// Opens bits to one party; the others get `None`.
    ///
    /// One round; the t parties after it send one bit per bit. They say the sums of the components that the receiver
    /// lacks. t parties that include it lack one component only, so they learn what is opened and no more.
    pub(in crate::arithmetic) async fn open_planes_to(
        &mut self,
        receiver: usize,
        shared: &Planes,
    ) -> Result<Option<Plain>, ArithmeticError> {
        let operation = self.begin()?;
        let (n, t, me) = (self.n, self.t, self.me);
        let boolean = self.take_boolean()?;
        let mut sum = Zeroizing::new(vec![0; shared.len() * shared.words()]);
        // Everybody says what nobody before it on the circle has.
        for (component, set) in boolean.structure.held.iter().enumerate() {
            let first = (0..n).map(|i| (receiver + i) % n).find(|i| contains(*set, *i));
            if first == Some(me) {
                xor(&mut sum, shared.component(component));
            }
        }
        self.boolean = Some(boolean);
        if sum.is_empty() {
            return Ok((me == receiver).then_some(sum));
        }
        if me != receiver {
            if (1..=t).any(|i| (receiver + i) % n == me) {
                self.send(receiver, encode(operation, &sum));
            }
            return Ok(None);
        }
        let mut said = Zeroizing::new(vec![0; sum.len()]);
        for i in 1..=t {
            let result = self.hear(operation, (receiver + i) % n, &mut said).await;
            self.end(result)?;
            xor(&mut sum, &said);
        }
        Ok(Some(sum))
    }
}
