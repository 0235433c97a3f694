//! Input sharing: every input peer deals its vector to the compute peers, who add up as it comes.
//!
//! Vectors travel in chunks; dealing a chunk and reading an earlier one take turns, so that memory
//! holds a few chunks per link however long the vectors are. What arrived of a contributor is
//! kept only if the plan may go on without it.

use std::ops::Range;

use bytes::Bytes;
use tacit_algebra::Field;
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

use super::message::{self, View, malformed};
use super::range::Layout;
use super::{InputVector, OwnInputError, Party, Receipt, SessionError, WINDOW, chunk_range};
use crate::environment::Environment;
use crate::evaluate::Evaluation;
use crate::keystream::{Keystream, Seed};
use crate::plan::OnMissing;
use crate::sharing::{Dealer, receivers};
use crate::transcript::Transcript;

/// Deals the own input, if there is one, and receives what the others deal, if this is a compute peer. With a layout,
/// what is dealt proves its range.
pub(super) async fn share<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    layout: Option<&Layout<F>>,
    input: Option<InputVector>,
) -> Result<(Option<Shared<F>>, Option<Receipt>), SessionError> {
    let chunks = party.dealt_length().div_ceil(super::CHUNK);
    let mut shared = match party.position {
        Some(position) => Some(Shared::new(party, position)?),
        None => None,
    };
    let (mut dealing, receipt) = match (input, party.plan.inputs().binary_search(&party.me)) {
        (Some(input), Ok(slot)) => {
            let (dealing, receipt) = Dealing::begin(party, points, layout, slot, input)?;
            if let Some(shared) = &mut shared {
                shared.contributions[slot].commitment = Some(receipt.commitment);
            }
            (Some(dealing), Some(receipt))
        }
        (Some(_), Err(_)) => return Err(OwnInputError::NotExpected.into()),
        (None, Ok(slot)) => {
            party.mailbox.send_all(party.other_compute_peers(), &[message::ABSENT]);
            if let Some(shared) = &mut shared {
                shared.contributions[slot].out = true;
            }
            (None, None)
        }
        (None, Err(_)) => (None, None),
    };
    for step in 0..chunks + WINDOW {
        // Somebody may still be making its links, and what it is sent until then waits in memory there.
        if step == WINDOW && chunks > WINDOW {
            party.environment.go_ahead().await;
        }
        if let Some(dealing) = &mut dealing
            && step < chunks
        {
            dealing.deal(party, step, shared.as_mut());
            party.mailbox.drained().await;
        }
        if let (Some(chunk), Some(shared)) = (step.checked_sub(WINDOW), &mut shared) {
            shared.receive(party, chunk).await?;
        }
    }
    Ok((shared, receipt))
}

/// The vector to be dealt, with its proof of range, and what proves later that the input was in.
pub(super) fn encode<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    layout: &Layout<F>,
    input: &InputVector,
) -> Result<(Receipt, Zeroizing<Vec<F>>), SessionError> {
    let mut own_salt = Zeroizing::new([0; 32]);
    party.environment.random(&mut *own_salt);
    let commitment = commitment(&party.binding, &party.plan.members()[party.me], &own_salt, input.expose());
    let mut random = |bytes: &mut [u8]| party.environment.random(bytes);
    let mut salt = Zeroizing::new(vec![F::ZERO; party.plan.field().salt_elements()]);
    F::fill_uniform(&mut random, &mut salt);
    let dealt = match party.plan.encode(input.expose()) {
        Some(encoded) => layout.encode(encoded.iter().copied(), &salt, &mut random),
        None => layout.encode(input.expose().iter().copied().map(u128::from), &salt, &mut random),
    };
    Ok((Receipt { commitment, salt: own_salt }, dealt))
}

/// A contributor's side.
struct Dealing<F: Field> {
    slot: usize,
    dealer: Dealer<F>,
    streams: Vec<Keystream>,
    input: InputVector,
    /// What is dealt where that is not the input itself.
    encoded: Option<Zeroizing<Vec<u128>>>,
    /// All that is dealt where bounds are proven.
    proven: Option<Zeroizing<Vec<F>>>,
    salt: Zeroizing<Vec<F>>,
    secret: Zeroizing<Vec<F>>,
    seeded: Vec<Zeroizing<Vec<F>>>,
    out: Zeroizing<Vec<F>>,
}

impl<F: Field> Dealing<F> {
    /// Draws the salts and sends the commitment ahead of all shares.
    fn begin<E: Environment>(
        party: &mut Party<'_, E>,
        points: &[F],
        layout: Option<&Layout<F>>,
        slot: usize,
        input: InputVector,
    ) -> Result<(Self, Receipt), SessionError> {
        let plan = party.plan;
        let dealer = Dealer::new(points, plan.sharing(), party.position, party.start_of(slot))
            .map_err(|_| SessionError::WrongCall { what: "a plan has distinct points" })?;
        let streams = dealer
            .seeded
            .iter()
            .map(|position| Ok(party.seed(party.me, plan.compute()[*position])?.stream()?))
            .collect::<Result<Vec<_>, SessionError>>()?;
        let mut salt = Zeroizing::new(vec![F::ZERO; plan.field().salt_elements()]);
        F::fill_uniform(&mut |bytes: &mut [u8]| party.environment.random(bytes), &mut salt);
        let mut own_salt = Zeroizing::new([0; 32]);
        party.environment.random(&mut *own_salt);
        let commitment = commitment(&party.binding, &plan.members()[party.me], &own_salt, input.expose());
        party.mailbox.send_all(party.other_compute_peers(), &message::plain(message::COMMITMENT, &[&commitment]));
        let size = party.dealt_length().min(super::CHUNK);
        let buffer = || Zeroizing::new(vec![F::ZERO; size]);
        let seeded = dealer.seeded.iter().map(|_| buffer()).collect();
        let encoded = plan.encode(input.expose());
        let mut random = |bytes: &mut [u8]| party.environment.random(bytes);
        let proven = layout.map(|layout| match &encoded {
            Some(encoded) => layout.encode(encoded.iter().copied(), &salt, &mut random),
            None => layout.encode(input.expose().iter().copied().map(u128::from), &salt, &mut random),
        });
        let (secret, out) = (buffer(), buffer());
        let dealing = Self { slot, dealer, streams, input, encoded, proven, salt, secret, seeded, out };
        Ok((dealing, Receipt { commitment, salt: own_salt }))
    }

    /// Sends the shares of one chunk and adds the own one.
    fn deal<E: Environment>(&mut self, party: &Party<'_, E>, chunk: usize, shared: Option<&mut Shared<F>>) {
        let range = chunk_range(chunk, party.dealt_length());
        let items = party.plan.items();
        self.secret.truncate(range.len());
        self.out.truncate(range.len());
        if let Some(proven) = &self.proven {
            self.secret.copy_from_slice(&proven[range.clone()]);
        }
        let declared = if self.proven.is_some() { 0..0 } else { range.clone() };
        for (element, index) in self.secret.iter_mut().zip(declared) {
            *element = match &self.encoded {
                _ if index >= items => self.salt[index - items],
                Some(encoded) => F::from_u128(encoded[index]),
                None => F::from_u64(self.input.expose()[index]),
            };
        }
        for (stream, elements) in self.streams.iter_mut().zip(&mut self.seeded) {
            elements.truncate(range.len());
            F::fill_uniform(&mut |bytes: &mut [u8]| stream.fill(bytes), elements);
        }
        let seeded: Vec<&[F]> = self.seeded.iter().map(|s| s.as_slice()).collect();
        for recipe in &self.dealer.explicit {
            recipe.share(&self.secret, &seeded, &mut self.out);
            let receiver = party.plan.compute()[recipe.receiver];
            party.mailbox.send(receiver, message::elements(message::SHARES, chunk, &[], &self.out));
        }
        if let (Some(recipe), Some(shared)) = (&self.dealer.own, shared) {
            recipe.share(&self.secret, &seeded, &mut self.out);
            shared.add_own(self.slot, range.start, &self.out);
        }
    }
}

/// A compute peer's side: its share of the sum so far.
pub(super) struct Shared<F: Field> {
    sum: Zeroizing<Vec<F>>,
    contributions: Vec<Contribution<F>>,
    /// Each one's share, in the order of the plan's inputs, where the evaluation asks for it.
    each: Option<Vec<Zeroizing<Vec<F>>>>,
    /// Elements that each contributor deals.
    dealt: usize,
    /// Whether the sum waits for the proof that a contribution is in range.
    proven: bool,
    /// Whether a contribution may have to be taken out again.
    keep: bool,
    scratch: Zeroizing<Vec<F>>,
}

/// The sum, and each contributor's share.
type Inputs<F> = (Zeroizing<Vec<F>>, Vec<Zeroizing<Vec<F>>>);

/// What arrived of one input peer.
struct Contribution<F: Field> {
    member: usize,
    source: Source<F>,
    commitment: Option<[u8; 32]>,
    added: usize,
    out: bool,
}

enum Source<F: Field> {
    /// Computed here.
    Own { kept: Zeroizing<Vec<F>> },
    /// Expanded here.
    Seeded { seed: Seed, stream: Box<Keystream> },
    /// Received.
    Explicit { kept: Vec<Bytes> },
}

impl<F: Field> Shared<F> {
    fn new<E: Environment>(party: &mut Party<'_, E>, position: usize) -> Result<Self, SessionError> {
        let plan = party.plan;
        let n = plan.compute().len();
        let mut contributions = Vec::with_capacity(plan.inputs().len());
        for (slot, member) in plan.inputs().iter().copied().enumerate() {
            let dealer = party.compute_position(member);
            let source = if member == party.me {
                Source::Own { kept: Zeroizing::new(Vec::new()) }
            } else if receivers(n, plan.sharing(), dealer, party.start_of(slot)).0.contains(&position) {
                let seed = party.seed(member, party.me)?;
                let stream = Box::new(seed.stream()?);
                Source::Seeded { seed, stream }
            } else {
                Source::Explicit { kept: Vec::new() }
            };
            contributions.push(Contribution { member, source, commitment: None, added: 0, out: false });
        }
        Ok(Self {
            sum: Zeroizing::new(vec![F::ZERO; party.length()]),
            contributions,
            each: plan.evaluation().is_some_and(Evaluation::each).then(|| {
                let items = || Zeroizing::new(Vec::with_capacity(party.length()));
                plan.inputs().iter().map(|_| items()).collect()
            }),
            dealt: party.dealt_length(),
            proven: plan.bounds_proven(),
            keep: plan.bounds_proven() || matches!(plan.on_missing(), OnMissing::Proceed { .. }),
            scratch: Zeroizing::new(vec![F::ZERO; party.dealt_length().min(super::CHUNK)]),
        })
    }

    /// Which contributors' shares are complete, in the order of the plan's inputs.
    pub(super) fn view(&self) -> View {
        let complete = |c: &Contribution<F>| !c.out && c.added == self.dealt;
        self.contributions.iter().map(|c| c.commitment.filter(|_| complete(c))).collect()
    }

    /// This party's share of all that a contributor dealt.
    pub(super) fn share_of(&mut self, slot: usize, out: &mut [F]) -> Result<(), SessionError> {
        let scratch = &mut self.scratch;
        self.contributions[slot].again(scratch, |range, share| out[range].copy_from_slice(share))
    }

    /// Adds a share of a contributor's numbers and salt that turned out to be in range.
    pub(super) fn accept(&mut self, slot: usize, share: &[F]) {
        F::add_assign_slice(&mut self.sum, share);
        if let Some(each) = &mut self.each {
            each[slot].extend_from_slice(share);
        }
    }

    /// The share of the sum of exactly these contributors; and, where the evaluation asks for it, that of each.
    pub(super) fn into_inputs_of(mut self, contributors: &View) -> Result<Inputs<F>, SessionError> {
        for (slot, entry) in contributors.iter().enumerate() {
            if entry.is_none() && !self.proven {
                self.retract(slot)?;
            }
        }
        let each = self.each.unwrap_or_default().into_iter().zip(contributors);
        Ok((self.sum, each.filter(|(_, entry)| entry.is_some()).map(|(share, _)| share).collect()))
    }

    fn add_own(&mut self, slot: usize, start: usize, share: &[F]) {
        if !self.proven {
            if let Some(each) = &mut self.each {
                each[slot].extend_from_slice(share);
            }
            F::add_assign_slice(&mut self.sum[start..start + share.len()], share);
        }
        let contribution = &mut self.contributions[slot];
        contribution.added += share.len();
        if let (Source::Own { kept }, true) = (&mut contribution.source, self.keep) {
            // Growing would leave a copy behind.
            if kept.capacity() == 0 {
                kept.reserve_exact(self.dealt);
            }
            kept.extend_from_slice(share);
        }
    }

    /// Reads and adds one chunk of every contributor that is still in.
    async fn receive<E: Environment>(&mut self, party: &Party<'_, E>, chunk: usize) -> Result<(), SessionError> {
        let range = chunk_range(chunk, self.dealt);
        for (slot, contribution) in self.contributions.iter_mut().enumerate() {
            if contribution.out || matches!(contribution.source, Source::Own { .. }) {
                continue;
            }
            let scratch = &mut self.scratch[..range.len()];
            match contribution.receive(party.mailbox, chunk, scratch, self.keep).await {
                Ok(true) if self.proven => contribution.added += range.len(),
                Ok(true) => {
                    F::add_assign_slice(&mut self.sum[range.clone()], scratch);
                    if let Some(each) = &mut self.each {
                        each[slot].extend_from_slice(scratch);
                    }
                    contribution.added += range.len();
                }
                Ok(false) => contribution.out = true,
                // A compute peer has to stay to the end; an input peer only has to leave others alone.
                Err(error) if party.compute_position(contribution.member).is_some() => return Err(error),
                Err(error @ SessionError::PeerMisbehaved { .. }) if !self.keep => return Err(error),
                Err(_) => contribution.out = true,
            }
        }
        Ok(())
    }

    /// Takes out what was added of a contributor.
    fn retract(&mut self, slot: usize) -> Result<(), SessionError> {
        let (scratch, sum) = (&mut self.scratch, &mut self.sum);
        self.contributions[slot].again(scratch, |range, share| F::sub_assign_slice(&mut sum[range], share))?;
        self.contributions[slot].added = 0;
        Ok(())
    }
}

impl<F: Field> Contribution<F> {
    /// Goes through all that was received or expanded a second time.
    fn again(&self, scratch: &mut [F], mut visit: impl FnMut(Range<usize>, &[F])) -> Result<(), SessionError> {
        if self.added == 0 {
            return Ok(());
        }
        let lost = SessionError::WrongCall { what: "contributions are kept where they are read again" };
        let mut stream = match &self.source {
            Source::Seeded { seed, .. } => Some(seed.stream()?),
            _ => None,
        };
        for chunk in 0..self.added.div_ceil(super::CHUNK) {
            let range = chunk_range(chunk, self.added);
            let share = &mut scratch[..range.len()];
            match (&self.source, &mut stream) {
                (Source::Own { kept }, _) => share.copy_from_slice(kept.get(range.clone()).ok_or(lost.clone())?),
                (Source::Explicit { kept }, _) => {
                    let message = kept.get(chunk).ok_or(lost.clone())?;
                    message::read_elements(message, message::SHARES, chunk, 0, share)
                        .map_err(|_| malformed(self.member))?;
                }
                (Source::Seeded { .. }, Some(stream)) => {
                    F::fill_uniform(&mut |bytes: &mut [u8]| stream.fill(bytes), share);
                }
                (Source::Seeded { .. }, None) => return Err(lost),
            }
            visit(range, share);
        }
        Ok(())
    }

    /// One chunk into `out`; `false` if this input peer has no input.
    async fn receive(
        &mut self,
        mailbox: &crate::Mailbox,
        chunk: usize,
        out: &mut [F],
        keep: bool,
    ) -> Result<bool, SessionError> {
        let member = self.member;
        let lost = |_| SessionError::LostBeforeFreeze { member };
        if self.commitment.is_none() {
            let first = mailbox.recv(member).await.map_err(lost)?;
            if first.as_ref() == [message::ABSENT] {
                return Ok(false);
            }
            let commitment = message::content(&first, message::COMMITMENT).map_err(|_| malformed(member))?;
            self.commitment = Some(commitment.try_into().map_err(|_| malformed(member))?);
        }
        match &mut self.source {
            Source::Own { .. } => {}
            Source::Seeded { stream, .. } => F::fill_uniform(&mut |bytes: &mut [u8]| stream.fill(bytes), out),
            Source::Explicit { kept } => {
                let message = mailbox.recv(member).await.map_err(lost)?;
                message::read_elements(&message, message::SHARES, chunk, 0, out).map_err(|_| malformed(member))?;
                if keep {
                    kept.push(message);
                }
            }
        }
        Ok(true)
    }
}

/// Binds a contributor to its input without telling anything about it: SHA-256 of the session's
/// [binding](super::Outcome::binding), the contributor, 256 bits of salt and the input.
pub fn commitment(binding: &[u8; 32], member: &Fingerprint, salt: &[u8; 32], input: &[u64]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/commitment/v1");
    transcript.bytes(binding).bytes(&member.0).bytes(salt).number(input.len() as u64);
    let mut buffer = Zeroizing::new([0u8; 4096]);
    for values in input.chunks(512) {
        for (bytes, value) in buffer.chunks_exact_mut(8).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        transcript.raw(&buffer[..values.len() * 8]);
    }
    transcript.finish()
}
