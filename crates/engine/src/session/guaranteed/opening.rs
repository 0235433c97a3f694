//! The opening of the model `guaranteed`: every recipient decodes, whatever t compute peers send or do not send.
//!
//! Each chunk of a share comes with its sender's signature, and what is wrong and not signed is silence: so whoever is named
//! for its share of the result signed it, and can be convicted before anybody: [`evidence`](crate::evidence).

use std::collections::BTreeMap;

use tacit_algebra::Field;

use super::conviction::{Dispute, Part};
use super::{bytes_of, robust_open, tolerance};
use crate::environment::Environment;
use crate::evidence::{self, Step};
use crate::session::freeze::{self, Frozen, OpeningAuthorised};
use crate::session::opening::{Opened, send_chunk};
use crate::session::{CHUNK, Fault, FaultKind, Party, SessionError, chunk_range, message};

/// A compute peer's whole share, as it signed it chunk by chunk.
struct Heard<F> {
    /// What it says was frozen; only members that do not compute are told.
    set: Option<Frozen>,
    share: Vec<F>,
    signatures: Vec<[u8; 64]>,
}

/// Sends the own share to the recipients and, as one of them, puts the result together.
pub(in crate::session) async fn open<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    authorised: Option<OpeningAuthorised<F>>,
) -> Result<Opened<F>, SessionError> {
    let (tolerance, phases) = tolerance(party.plan)?;
    party.mailbox.enter_phase(phases.result());
    let length = party.opened_length();
    let chunks = length.div_ceil(CHUNK);
    let mut own = None;
    if let Some(authorised) = &authorised {
        let others: Vec<usize> = party.plan.recipients().iter().copied().filter(|m| *m != party.me).collect();
        let mut signatures = Vec::with_capacity(chunks);
        for chunk in 0..chunks {
            send_chunk(party, authorised, &others, chunk);
            let part = &authorised.share()[chunk_range(chunk, length)];
            let digest = digest_of(party, &authorised.frozen().digest, chunk, part);
            let signature = party.environment.sign_message(&digest);
            party.mailbox.send_all(others.iter().copied(), &message::plain(message::SIGNED, &[&signature]));
            signatures.push(signature);
            party.mailbox.drained().await;
        }
        own = Some(Heard { set: Some(authorised.frozen().clone()), share: authorised.share().to_vec(), signatures });
    }
    let own_set = authorised.as_ref().map(|authorised| authorised.frozen().clone());
    if !party.plan.recipients().contains(&party.me) {
        return Ok(Opened { elements: None, frozen: own_set, faults: Vec::new() });
    }
    let mut columns: Vec<Option<Heard<F>>> = Vec::with_capacity(points.len());
    for member in party.plan.compute() {
        columns.push(match *member == party.me {
            true => own.take(),
            false if party.convicted.contains(&columns.len()) => None,
            false => receive(party, *member, length, chunks).await,
        });
    }
    let frozen = match own_set {
        Some(own) => own,
        None => set_of_most(&columns, tolerance.faulty)?,
    };
    // Who says another set than n-t others did is not heard.
    for column in &mut columns {
        if column.as_ref().and_then(|heard| heard.set.as_ref()).is_some_and(|set| *set != frozen) {
            *column = None;
        }
    }
    let shares = columns.iter().map(|column| column.as_ref().map(|heard| heard.share.clone())).collect();
    let mut elements = vec![F::ZERO; length];
    let wrong = robust_open(party, points, tolerance, shares, &mut elements)?;
    let mut liars = Vec::new();
    if !wrong.is_empty() {
        let dispute = Dispute { step: Step::Result, basis: frozen.digest, said: columns.iter().map(said).collect() };
        dispute.convict(party, tolerance.t, &wrong);
        liars = wrong.into_iter().filter(|position| party.convicted.contains(position)).collect();
    }
    let fault = |position: usize| Fault { member: party.plan.compute()[position], kind: FaultKind::WrongShare };
    let faults = liars.into_iter().map(fault).collect();
    Ok(Opened { elements: Some(elements), frozen: Some(frozen), faults })
}

/// What a compute peer signs of a chunk of its share.
fn digest_of<F: Field, E>(party: &Party<'_, E>, frozen: &[u8; 32], chunk: usize, part: &[F]) -> [u8; 32] {
    evidence::statement(&party.plan.digest(), &party.binding, Step::Result, frozen, chunk, &bytes_of(part))
}

/// What was heard, chunk by chunk; nothing without a signature under each.
fn said<F: Field>(heard: &Option<Heard<F>>) -> Option<Vec<Part>> {
    let heard = heard.as_ref()?;
    let length = heard.share.len();
    let part = |(chunk, signature): (usize, &[u8; 64])| Part {
        chunk,
        elements: bytes_of(&heard.share[chunk_range(chunk, length)]),
        signature: *signature,
    };
    let complete = heard.signatures.len() == length.div_ceil(CHUNK);
    complete.then(|| heard.signatures.iter().enumerate().map(part).collect())
}

/// A compute peer's whole share; `None` if it does not come or cannot be read.
async fn receive<F: Field, E: Environment>(
    party: &Party<'_, E>,
    member: usize,
    length: usize,
    chunks: usize,
) -> Option<Heard<F>> {
    let outside = party.position.is_none();
    let mut heard = Heard { set: None, share: vec![F::ZERO; length], signatures: Vec::with_capacity(chunks) };
    let mut whole = true;
    for chunk in 0..chunks {
        let message = party.mailbox.recv(member).await.ok()?;
        let header_length = match chunk {
            0 if outside => freeze::header_length(party.plan),
            _ => 0,
        };
        let part = &mut heard.share[chunk_range(chunk, length)];
        match message::read_elements(&message, message::RESULT, chunk, header_length, part) {
            Ok([]) => {}
            Ok(header) => match freeze::read_header(party, member, header) {
                Ok(frozen) => heard.set = Some(frozen),
                Err(_) => whole = false,
            },
            Err(_) => whole = false,
        }
        let message = party.mailbox.recv(member).await.ok()?;
        // Signatures are looked at where shares do not fit.
        if let Ok(Ok(signature)) = message::content(&message, message::SIGNED).map(<[u8; 64]>::try_from) {
            heard.signatures.push(signature);
        }
    }
    whole.then_some(heard)
}

/// The set that n-t compute peers signed. No two sets have so many signatures.
fn set_of_most<F>(columns: &[Option<Heard<F>>], faulty: usize) -> Result<Frozen, SessionError> {
    let sets = || columns.iter().flatten().filter_map(|heard| heard.set.as_ref());
    let mut votes: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    sets().for_each(|set| *votes.entry(set.digest).or_default() += 1);
    let needed = columns.len() - faulty;
    let found = votes.values().copied().max().unwrap_or(0);
    let most = votes.into_iter().find(|(_, votes)| *votes >= needed);
    let (digest, _) = most.ok_or(SessionError::NotEnoughShares { found, needed })?;
    sets().find(|set| set.digest == digest).cloned().ok_or(SessionError::NotEnoughShares { found, needed })
}
