//! Opening a long vector by slices: each compute peer opens one slice for all and broadcasts it, so
//! that a peer sends 2(n-1)/n vectors instead of n-1.
//!
//! 1. Everybody sends the hash of a random number.
//! 2. Everybody sends its share of slice k to peer k, who checks and opens it.
//! 3. Peer k broadcasts slice k.
//! 4. Everybody, having all slices, sends its random number. The hash of all of them gives random
//!    coefficients; nobody could know them when the slices were sent, and nobody could choose his
//!    number by them. A wrong slice passes with probability 1/p.
//! 5. Everybody sends that combination of its share. They must lie on one polynomial and open to the
//!    combination of the slices.
//! 6. Everybody says whether it is content. Who is not (a loss, a wrong share, a wrong slice) gets
//!    the whole share of everybody else and corrects it as for short vectors. Whoever sees one who
//!    is not before it is done itself, is not either.

use bytes::Bytes;
use std::ops::Range;
use tacit_algebra::Field;

use super::{Collector, Opened, send_chunk};
use crate::environment::Environment;
use crate::keystream::Keystream;
use crate::session::freeze::OpeningAuthorised;
use crate::session::message::{self, CHECK, FINAL, HIDDEN, NONCE, OPENED, SLICE, malformed};
use crate::session::{CHUNK, Party, SessionError, WINDOW, chunk_range};
use crate::sharing::{NoVector, Recombiner};
use crate::transcript::Transcript;

const CONTENT: u8 = 0;
const NOT_CONTENT: u8 = 1;

/// Opens to all compute peers.
pub(super) async fn open<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    position: usize,
    authorised: OpeningAuthorised<F>,
) -> Result<Opened<F>, SessionError> {
    let n = party.plan.compute().len();
    let mut slices = Slices { position, share: authorised.share(), ends: vec![End::Unknown; n] };
    let elements = match slices.open(party, points).await {
        Ok(elements) => Some(elements),
        Err(Stop::NotContent) => None,
        Err(Stop::Error(error)) => return Err(error),
    };
    slices.agree_on_end(party, elements.is_some()).await?;
    let ends = slices.ends;
    let (elements, faults) = finish(party, points, &authorised, &ends, elements).await?;
    Ok(Opened { elements: Some(elements), frozen: Some(authorised.frozen().clone()), faults })
}

/// How another peer came out of the fast way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Unknown,
    Content,
    NotContent,
    Lost,
}

/// Why the fast way ends early.
enum Stop {
    NotContent,
    Error(SessionError),
}

impl From<NoVector> for Stop {
    fn from(_: NoVector) -> Self {
        Self::NotContent
    }
}

struct Slices<'s, F> {
    position: usize,
    share: &'s [F],
    ends: Vec<End>,
}

impl<F: Field> Slices<'_, F> {
    async fn open<E: Environment>(&mut self, party: &mut Party<'_, E>, points: &[F]) -> Result<Vec<F>, Stop> {
        let mut elements = vec![F::ZERO; self.share.len()];
        let mut nonce = [0; 32];
        party.environment.random(&mut nonce);
        let hidden = self.exchange(party, HIDDEN, &hide(&nonce)).await?;
        self.open_own_slice(party, points, &mut elements).await?;
        self.broadcast(party, &mut elements).await?;
        let nonces = self.exchange(party, NONCE, &nonce).await?;
        for ((nonce, hidden), member) in nonces.iter().zip(&hidden).zip(party.plan.compute()) {
            if hide(nonce) != **hidden {
                return Err(Stop::Error(malformed(*member)));
            }
        }
        self.check(party, points, &elements, &nonces).await?;
        Ok(elements)
    }

    async fn open_own_slice<E: Environment>(
        &mut self,
        party: &mut Party<'_, E>,
        points: &[F],
        elements: &mut [F],
    ) -> Result<(), Stop> {
        let mut recombiner = Recombiner::new(points, party.plan.sharing(), party.plan.shares_needed())?;
        let own = self.slice(self.position);
        for step in 0..self.most_chunks() + WINDOW {
            for (position, member) in self.others(party) {
                let part = self.part(position, step);
                if !part.is_empty() {
                    party.mailbox.send(member, message::elements(SLICE, step, &[], &self.share[part]));
                }
            }
            party.mailbox.drained().await;
            let Some(chunk) = step.checked_sub(WINDOW) else { continue };
            let range = chunk_range(chunk, own.len());
            let part = own.start + range.start..own.start + range.end;
            if part.is_empty() {
                continue;
            }
            let mut shares = Vec::with_capacity(self.ends.len());
            for (position, member) in party.plan.compute().iter().copied().enumerate() {
                let mut share = vec![F::ZERO; part.len()];
                if position == self.position {
                    share.copy_from_slice(&self.share[part.clone()]);
                } else {
                    let message = self.expect(party, position).await?;
                    read(member, &message, SLICE, chunk, &mut share)?;
                }
                shares.push(share);
            }
            let mut random = |bytes: &mut [u8]| party.environment.random(bytes);
            if !recombiner.open(shares, &mut random, &mut elements[part])?.is_empty() {
                return Err(Stop::NotContent);
            }
        }
        Ok(())
    }

    async fn broadcast<E: Environment>(&mut self, party: &Party<'_, E>, elements: &mut [F]) -> Result<(), Stop> {
        for step in 0..self.most_chunks() + WINDOW {
            let part = self.part(self.position, step);
            if !part.is_empty() {
                let message = message::elements(OPENED, step, &[], &elements[part]);
                party.mailbox.send_all(self.others(party).map(|(_, member)| member), &message);
            }
            party.mailbox.drained().await;
            let Some(chunk) = step.checked_sub(WINDOW) else { continue };
            for (position, member) in self.others(party).collect::<Vec<_>>() {
                let part = self.part(position, chunk);
                if !part.is_empty() {
                    let message = self.expect(party, position).await?;
                    read(member, &message, OPENED, chunk, &mut elements[part])?;
                }
            }
        }
        Ok(())
    }

    async fn check<E: Environment>(
        &mut self,
        party: &mut Party<'_, E>,
        points: &[F],
        elements: &[F],
        nonces: &[Vec<u8>],
    ) -> Result<(), Stop> {
        let mut transcript = Transcript::new("tacit/slices/v1");
        transcript.bytes(&party.binding);
        nonces.iter().for_each(|nonce| _ = transcript.bytes(nonce));
        let (of_share, of_elements) = self.combinations(&transcript.finish(), elements).map_err(Stop::Error)?;
        let mut bytes = Vec::with_capacity(F::BYTES);
        of_share.write_bytes(&mut bytes);
        let answers = self.exchange(party, CHECK, &bytes).await?;
        let mut shares = Vec::with_capacity(answers.len());
        for (answer, member) in answers.iter().zip(party.plan.compute()) {
            shares.push(vec![F::from_bytes_checked(answer).ok_or(Stop::Error(malformed(*member)))?]);
        }
        let mut opened = [F::ZERO];
        let mut recombiner = Recombiner::new(points, party.plan.sharing(), party.plan.shares_needed())?;
        let wrong = recombiner.open(shares, &mut |bytes| party.environment.random(bytes), &mut opened)?;
        if wrong.is_empty() && opened == [of_elements] { Ok(()) } else { Err(Stop::NotContent) }
    }

    /// The random combination of the own share and that of what was opened.
    fn combinations(&self, challenge: &[u8; 32], elements: &[F]) -> Result<(F, F), SessionError> {
        let mut stream = Keystream::new(challenge)?;
        let mut coefficients = Vec::new();
        let (mut of_share, mut of_elements) = (F::ZERO, F::ZERO);
        for (share, elements) in self.share.chunks(CHUNK).zip(elements.chunks(CHUNK)) {
            coefficients.resize(share.len(), F::ZERO);
            F::fill_uniform(&mut |bytes: &mut [u8]| stream.fill(bytes), &mut coefficients);
            of_share += F::dot(&coefficients, share);
            of_elements += F::dot(&coefficients, elements);
        }
        Ok((of_share, of_elements))
    }

    /// A short message of everybody, the own one included, in the order of the compute peers.
    async fn exchange<E: Environment>(
        &mut self,
        party: &Party<'_, E>,
        tag: u8,
        own: &[u8],
    ) -> Result<Vec<Vec<u8>>, Stop> {
        let message = message::plain(tag, &[own]);
        party.mailbox.send_all(self.others(party).map(|(_, member)| member), &message);
        let mut all = Vec::with_capacity(self.ends.len());
        for (position, member) in party.plan.compute().iter().copied().enumerate() {
            if position == self.position {
                all.push(own.to_vec());
                continue;
            }
            let message = self.expect(party, position).await?;
            match message::content(&message, tag) {
                Ok(content) if content.len() == own.len() => all.push(content.to_vec()),
                _ => return Err(Stop::Error(malformed(member))),
            }
        }
        Ok(all)
    }

    /// The next message of the fast way, unless its sender left it.
    async fn expect<E: Environment>(&mut self, party: &Party<'_, E>, position: usize) -> Result<Bytes, Stop> {
        match party.mailbox.recv(party.plan.compute()[position]).await {
            Err(_) => {
                self.ends[position] = End::Lost;
                Err(Stop::NotContent)
            }
            Ok(message) if message.as_ref() == [FINAL, NOT_CONTENT] => {
                self.ends[position] = End::NotContent;
                Err(Stop::NotContent)
            }
            Ok(message) => Ok(message),
        }
    }

    /// Tells all others how it went here and learns it from them.
    async fn agree_on_end<E: Environment>(&mut self, party: &Party<'_, E>, content: bool) -> Result<(), SessionError> {
        let end = if content { CONTENT } else { NOT_CONTENT };
        party.mailbox.send_all(self.others(party).map(|(_, member)| member), &[FINAL, end]);
        for (position, member) in self.others(party).collect::<Vec<_>>() {
            while self.ends[position] == End::Unknown {
                let Ok(message) = party.mailbox.recv(member).await else {
                    self.ends[position] = End::Lost;
                    break;
                };
                self.ends[position] = match message.as_ref() {
                    [FINAL, CONTENT] => End::Content,
                    [FINAL, NOT_CONTENT] => End::NotContent,
                    // What it sent before it knew.
                    [HIDDEN | SLICE | OPENED | NONCE | CHECK, ..] if !content => End::Unknown,
                    _ => return Err(malformed(member)),
                };
            }
        }
        Ok(())
    }

    fn others<'p, E>(&self, party: &'p Party<'_, E>) -> impl Iterator<Item = (usize, usize)> + use<'p, F, E> {
        let own = self.position;
        party.plan.compute().iter().copied().enumerate().filter(move |(position, _)| *position != own)
    }

    fn slice(&self, position: usize) -> Range<usize> {
        let (length, n) = (self.share.len(), self.ends.len());
        length * position / n..length * (position + 1) / n
    }

    /// One chunk of a peer's slice, as a range of the vector; empty behind its end.
    fn part(&self, position: usize, chunk: usize) -> Range<usize> {
        let slice = self.slice(position);
        let range = chunk_range(chunk, slice.len());
        slice.start + range.start..slice.start + range.end
    }

    fn most_chunks(&self) -> usize {
        self.share.len().div_ceil(self.ends.len()).div_ceil(CHUNK)
    }
}

/// Answers those who are not content, and is answered if this peer is one of them.
async fn finish<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    authorised: &OpeningAuthorised<F>,
    ends: &[End],
    elements: Option<Vec<F>>,
) -> Result<(Vec<F>, Vec<crate::session::Fault>), SessionError> {
    let asking = |(position, member): (usize, &usize)| (ends[position] == End::NotContent).then_some(*member);
    let asking: Vec<usize> = party.plan.compute().iter().enumerate().filter_map(asking).collect();
    let mut collector = match elements {
        Some(_) => None,
        None => {
            let mut collector = Collector::new(party, points)?;
            for (position, end) in ends.iter().enumerate() {
                if *end == End::Lost {
                    collector.recombiner.without(position)?;
                }
            }
            Some(collector)
        }
    };
    let chunks = if asking.is_empty() && collector.is_none() { 0 } else { party.opened_length().div_ceil(CHUNK) };
    for step in 0..chunks + WINDOW {
        if step < chunks {
            send_chunk(party, authorised, &asking, step);
            party.mailbox.drained().await;
        }
        if let (Some(chunk), Some(collector)) = (step.checked_sub(WINDOW).filter(|c| *c < chunks), &mut collector) {
            collector.receive(party, Some(authorised), chunk).await?;
        }
    }
    match (elements, collector) {
        (Some(elements), _) => Ok((elements, Vec::new())),
        (None, Some(collector)) => Ok((collector.elements, collector.faults)),
        (None, None) => Err(SessionError::DisagreeingShares),
    }
}

fn hide(nonce: &[u8]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/nonce/v1");
    transcript.bytes(nonce);
    transcript.finish()
}

fn read<F: Field>(member: usize, message: &[u8], tag: u8, chunk: usize, out: &mut [F]) -> Result<(), Stop> {
    message::read_elements(message, tag, chunk, 0, out).map_err(|_| Stop::Error(malformed(member)))?;
    Ok(())
}
