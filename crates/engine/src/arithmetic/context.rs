//! [`Arithmetic`]: one party's place in a computation on shares.

use bytes::Bytes;
use tacit_algebra::Field;
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

use super::ArithmeticError;
use super::boolean::Boolean;
use super::dealing::{Columns, Streams, Weights};
use super::linear::TILE;
use super::multiply::{King, Reshare};
use super::random::{Batches, Subsets};
use super::robust::Robust;
use super::streams::{Purpose, Seeds};
use super::toss::Coins;
use super::verify::Noted;
use super::wire::{self, Kind};
use super::zero::Zero;
use crate::keystream::Keystream;
use crate::mailbox::Mailbox;

/// What a computation on shares needs. All lists are in the order of the compute peers, which is the
/// same for all.
pub struct Setup<'a, F> {
    /// The way to the other members.
    pub mailbox: &'a Mailbox,
    /// This party's place among the compute peers.
    pub me: usize,
    /// How many compute peers may put together what they see: 1 <= t < n/2.
    pub threshold: usize,
    /// The compute peers' indices in the mailbox.
    pub members: Vec<usize>,
    /// Their fingerprints.
    pub fingerprints: Vec<Fingerprint>,
    /// Their evaluation points: distinct and not zero. They belong to the fingerprint, never to a rank.
    pub points: Vec<F>,
    /// Names this computation and no other, ever: two contexts with the same binding and secrets
    /// would use the same randomness twice.
    pub binding: [u8; 32],
    /// The fresh secret with each other peer; the own entry is not used.
    pub pair_secrets: Vec<Zeroizing<[u8; 32]>>,
    /// Fresh from the party's own generator, known to nobody else.
    pub local_seed: Zeroizing<[u8; 32]>,
}

/// One party's context: the operations are methods of it.
///
/// Every compute peer calls the same operations in the same order with the same public arguments.
/// Model: `semi-honest`, any t < n/2 compute peers put together what they see: openings notice wrong shares,
/// products do not. [`verified`](Self::verified): any t < n/2 compute peers do what they like.
pub struct Arithmetic<'a, F: Field> {
    pub(super) mailbox: &'a Mailbox,
    pub(super) me: usize,
    pub(super) n: usize,
    pub(super) t: usize,
    pub(super) members: Vec<usize>,
    pub(super) points: Vec<F>,
    pub(super) seeds: Seeds,
    pub(super) local: Keystream,
    /// The number of the next operation.
    operation: u32,
    broken: Option<ArithmeticError>,
    /// Where the next chunk's roles start, so that work is spread evenly.
    turn: usize,
    /// One tile of work space.
    pub(super) tile: Zeroizing<Vec<F>>,
    pub(super) columns: Columns<F>,
    // Made when first needed: a sum needs none of them.
    pub(super) reshare: Option<Box<Reshare<F>>>,
    pub(super) king: Option<Box<King<F>>>,
    pub(super) batches: Option<Box<Batches<F>>>,
    pub(super) subsets: Option<Box<Subsets<F>>>,
    pub(super) zero: Option<Box<Zero<F>>>,
    pub(super) input: Option<Box<Streams>>,
    pub(super) boolean: Option<Box<Boolean>>,
    pub(super) coins: Option<Box<Coins>>,
    /// What is to be verified before anything is opened; `None`: nothing is.
    pub(super) noted: Option<Box<Noted<F>>>,
    /// What products are masked with if they have to come.
    pub(super) robust: Option<Box<Robust<'a, F>>>,
}

impl<'a, F: Field> Arithmetic<'a, F> {
    /// Checks the setup. Nothing is sent.
    pub fn new(setup: Setup<'a, F>) -> Result<Self, ArithmeticError> {
        let Setup { mailbox, me, threshold: t, members, fingerprints, points, binding, pair_secrets, local_seed } =
            setup;
        let n = members.len();
        let wrong = |what| Err(ArithmeticError::WrongCall { what });
        if me >= n || fingerprints.len() != n || points.len() != n || pair_secrets.len() != n {
            return wrong("one fingerprint, point and secret per compute peer, and `me` is one of them");
        }
        if t == 0 || 2 * t >= n {
            return wrong("the threshold must be at least 1 and below n/2");
        }
        // Distinct and not zero: checked by the first set of weights.
        let zero_too: Vec<F> = std::iter::once(F::ZERO).chain(points.iter().copied()).collect();
        if tacit_algebra::poly::barycentric_weights(&zero_too).is_err() {
            return wrong("evaluation points must be distinct and not zero");
        }
        Ok(Self {
            mailbox,
            me,
            n,
            t,
            members,
            points,
            seeds: Seeds { me, binding, fingerprints, secrets: pair_secrets },
            local: Keystream::new(&local_seed)?,
            operation: 0,
            broken: None,
            turn: 0,
            tile: Zeroizing::new(vec![F::ZERO; TILE]),
            columns: Columns::new(t),
            reshare: None,
            king: None,
            batches: None,
            subsets: None,
            zero: None,
            input: None,
            boolean: None,
            coins: None,
            noted: None,
            robust: None,
        })
    }

    /// The same, safe against t < n/2 compute peers that deviate: nothing is opened before all products that
    /// it could depend on are [verified](Self::verify). Fields of 61 bits and more.
    pub fn verified(setup: Setup<'a, F>) -> Result<Self, ArithmeticError> {
        let mut this = Self::new(setup)?;
        this.noted = Some(Box::new(Noted::new()?));
        Ok(this)
    }

    /// How many compute peers there are.
    pub fn parties(&self) -> usize {
        self.n
    }

    /// How many of them may put together what they see.
    pub fn threshold(&self) -> usize {
        self.t
    }

    /// This party's place among them.
    pub fn me(&self) -> usize {
        self.me
    }

    /// Starts an operation: its number, unless an earlier one failed.
    pub(super) fn begin(&mut self) -> Result<u32, ArithmeticError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.operation = self.operation.wrapping_add(1);
        Ok(self.operation)
    }

    /// Remembers a failure that leaves parties at different places.
    pub(super) fn end<T>(&mut self, result: Result<T, ArithmeticError>) -> Result<T, ArithmeticError> {
        if let Err(error) = &result {
            self.broken = Some(error.clone());
        }
        result
    }

    /// The next of n turns.
    pub(super) fn next_turn(&mut self) -> usize {
        let turn = self.turn;
        self.turn = (turn + 1) % self.n;
        turn
    }

    /// All positions but the own one, those after it first.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + use<F> {
        let (n, me) = (self.n, self.me);
        (1..n).map(move |i| (me + i) % n)
    }

    pub(super) fn send(&self, position: usize, message: Vec<u8>) {
        self.mailbox.send(self.members[position], message);
    }

    /// The next message of this peer.
    pub(super) async fn recv(&self, position: usize) -> Result<Bytes, ArithmeticError> {
        Ok(self.mailbox.recv(self.members[position]).await?)
    }

    /// The elements of a message, as bytes; it must be of this kind and operation.
    pub(super) fn content<'m>(
        &self,
        message: &'m Bytes,
        from: usize,
        kind: Kind,
        operation: u32,
        elements: usize,
    ) -> Result<&'m [u8], ArithmeticError> {
        wire::content(message, kind, operation, elements * F::BYTES).ok_or(self.malformed(from))
    }

    pub(super) fn malformed(&self, position: usize) -> ArithmeticError {
        ArithmeticError::Malformed { member: self.members[position] }
    }

    pub(super) fn input_streams(&mut self) -> Result<Box<Streams>, ArithmeticError> {
        match self.input.take() {
            Some(streams) => Ok(streams),
            None => Ok(Box::new(Streams::new(&self.seeds, self.n, self.t, Purpose::Input)?)),
        }
    }

    /// Weights for dealing secrets: the first column is the value at zero.
    pub(super) fn input_weights(&self) -> Result<Weights<F>, ArithmeticError> {
        Weights::new(&self.points, self.t, self.me, F::ZERO, F::ONE)
    }
}

/// Decodes bytes tile by tile and hands each tile with its place over. `Err` if an element is not
/// canonical.
pub(super) fn decode_tiles<F: Field>(
    bytes: &[u8],
    tile: &mut [F],
    mut each: impl FnMut(usize, &[F]),
) -> Result<(), tacit_algebra::Malformed> {
    for (i, bytes) in bytes.chunks(TILE * F::BYTES).enumerate() {
        let tile = &mut tile[..bytes.len() / F::BYTES];
        F::decode_into(bytes, tile)?;
        each(i * TILE, tile);
    }
    Ok(())
}
