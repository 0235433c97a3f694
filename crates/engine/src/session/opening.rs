//! The opening: shares of the frozen sum go to the recipients, and to nobody else.
//!
//! Each compute peer sends its whole share to each recipient; a recipient waits for all of them or
//! their loss, and needs t+1. Spare shares find wrong ones; of 3t+1 shares and more, wrong ones are also
//! corrected and named. Long vectors that the compute peers open to themselves travel by [`slices`] instead.

use bytes::Bytes;
use tacit_algebra::Field;

use super::freeze::{self, Frozen, OpeningAuthorised};
use super::message::{self, malformed};
use super::{CHUNK, Fault, FaultKind, Party, SessionError, WINDOW, chunk_range};
use crate::environment::Environment;
use crate::sharing::{NoVector, Recombiner};

mod slices;

/// What a member got out of the opening.
pub(super) struct Opened<F> {
    /// Items and common salt, for recipients.
    pub(super) elements: Option<Vec<F>>,
    /// The set, for whoever computes or receives.
    pub(super) frozen: Option<Frozen>,
    pub(super) faults: Vec<Fault>,
}

/// Opens the sum; a member that does not compute has nothing to be authorised for.
pub(super) async fn open<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    authorised: Option<OpeningAuthorised<F>>,
) -> Result<Opened<F>, SessionError> {
    match (authorised, party.position) {
        (Some(authorised), Some(position)) if party.plan.opens_by_slices() => {
            slices::open(party, points, position, authorised).await
        }
        (authorised, _) => open_to_each(party, points, authorised).await,
    }
}

async fn open_to_each<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    authorised: Option<OpeningAuthorised<F>>,
) -> Result<Opened<F>, SessionError> {
    let plan = party.plan;
    let chunks = party.opened_length().div_ceil(CHUNK);
    let others: Vec<usize> = plan.recipients().iter().copied().filter(|m| *m != party.me).collect();
    let mut collector = match plan.recipients().contains(&party.me) {
        true => Some(Collector::new(party, points)?),
        false => None,
    };
    for step in 0..chunks + WINDOW {
        if let Some(authorised) = &authorised
            && step < chunks
        {
            send_chunk(party, authorised, &others, step);
            party.mailbox.drained().await;
        }
        if let (Some(chunk), Some(collector)) = (step.checked_sub(WINDOW), &mut collector) {
            collector.receive(party, authorised.as_ref(), chunk).await?;
        }
    }
    let own_set = authorised.map(|authorised| authorised.frozen().clone());
    Ok(match collector {
        None => Opened { elements: None, frozen: own_set, faults: Vec::new() },
        Some(collector) => {
            let frozen = own_set.or(collector.frozen);
            Opened { elements: Some(collector.elements), frozen, faults: collector.faults }
        }
    })
}

/// One chunk of the own share to each of these recipients.
pub(super) fn send_chunk<F: Field, E: Environment>(
    party: &Party<'_, E>,
    authorised: &OpeningAuthorised<F>,
    recipients: &[usize],
    chunk: usize,
) {
    let share = &authorised.share()[chunk_range(chunk, party.opened_length())];
    for recipient in recipients {
        let header = match party.compute_position(*recipient) {
            None if chunk == 0 => authorised.header(),
            _ => Vec::new(),
        };
        party.mailbox.send(*recipient, message::elements(message::RESULT, chunk, &header, share));
    }
}

/// A recipient's side.
struct Collector<F: Field> {
    recombiner: Recombiner<F>,
    elements: Vec<F>,
    frozen: Option<Frozen>,
    faults: Vec<Fault>,
}

impl<F: Field> Collector<F> {
    fn new<E>(party: &Party<'_, E>, points: &[F]) -> Result<Self, SessionError>
    where
        E: Environment,
    {
        Ok(Self {
            recombiner: Recombiner::new(points, party.plan.sharing(), party.plan.shares_needed())?,
            elements: vec![F::ZERO; party.opened_length()],
            frozen: None,
            faults: Vec::new(),
        })
    }

    /// One chunk from every compute peer that is still there.
    async fn receive<E: Environment>(
        &mut self,
        party: &mut Party<'_, E>,
        authorised: Option<&OpeningAuthorised<F>>,
        chunk: usize,
    ) -> Result<(), SessionError> {
        let range = chunk_range(chunk, self.elements.len());
        let mut shares = Vec::with_capacity(self.recombiner.alive().len());
        for position in self.recombiner.alive().to_vec() {
            let member = party.plan.compute()[position];
            if let (true, Some(authorised)) = (member == party.me, authorised) {
                shares.push(authorised.share()[range.clone()].to_vec());
                continue;
            }
            match party.mailbox.recv(member).await {
                Ok(message) => shares.push(self.read(party, member, &message, chunk, range.len())?),
                Err(_) => self.recombiner.without(position)?,
            }
        }
        let wrong =
            self.recombiner.open(shares, &mut |bytes| party.environment.random(bytes), &mut self.elements[range])?;
        let fault = |position: usize| Fault { member: party.plan.compute()[position], kind: FaultKind::WrongShare };
        self.faults.extend(wrong.into_iter().map(fault));
        Ok(())
    }

    fn read<E: Environment>(
        &mut self,
        party: &Party<'_, E>,
        member: usize,
        message: &Bytes,
        chunk: usize,
        length: usize,
    ) -> Result<Vec<F>, SessionError> {
        let header_length = match (chunk, party.position) {
            (0, None) => freeze::header_length(party.plan),
            _ => 0,
        };
        let mut share = vec![F::ZERO; length];
        let header = message::read_elements(message, message::RESULT, chunk, header_length, &mut share)
            .map_err(|_| malformed(member))?;
        if !header.is_empty() {
            let frozen = freeze::read_header(party, member, header)?;
            match &self.frozen {
                None => self.frozen = Some(frozen),
                Some(first) if *first == frozen => {}
                Some(_) => return Err(SessionError::DisagreeingShares),
            }
        }
        Ok(share)
    }
}

impl From<NoVector> for SessionError {
    fn from(why: NoVector) -> Self {
        match why {
            NoVector::TooFew { found, needed } => Self::NotEnoughShares { found, needed },
            NoVector::Disagree => Self::DisagreeingShares,
        }
    }
}
