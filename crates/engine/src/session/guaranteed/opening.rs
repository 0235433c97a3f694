//! The opening of the model `guaranteed`: every recipient decodes, whatever t compute peers send or do not send.

use std::collections::BTreeMap;

use tacit_algebra::Field;

use super::{robust_open, tolerance};
use crate::environment::Environment;
use crate::session::freeze::{self, Frozen, OpeningAuthorised};
use crate::session::opening::{Opened, send_chunk};
use crate::session::{CHUNK, Fault, FaultKind, Party, SessionError, chunk_range, message};

/// Sends the own share to the recipients and, as one of them, puts the result together.
pub(in crate::session) async fn open<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    authorised: Option<OpeningAuthorised<F>>,
) -> Result<Opened<F>, SessionError> {
    let (tolerance, phases) = tolerance(party)?;
    let length = party.opened_length();
    let chunks = length.div_ceil(CHUNK);
    if let Some(authorised) = &authorised {
        let others: Vec<usize> = party.plan.recipients().iter().copied().filter(|m| *m != party.me).collect();
        for chunk in 0..chunks {
            send_chunk(party, authorised, &others, chunk);
            party.mailbox.drained().await;
        }
    }
    let own_set = authorised.as_ref().map(|authorised| authorised.frozen().clone());
    if !party.plan.recipients().contains(&party.me) {
        return Ok(Opened { elements: None, frozen: own_set, faults: Vec::new() });
    }
    party.mailbox.enter_phase(phases.result());
    let mut columns: Vec<Option<(Option<Frozen>, Vec<F>)>> = Vec::with_capacity(points.len());
    for member in party.plan.compute() {
        columns.push(match &authorised {
            Some(authorised) if *member == party.me => Some((own_set.clone(), authorised.share().to_vec())),
            _ => receive(party, *member, length, chunks).await,
        });
    }
    let frozen = match own_set {
        Some(own) => own,
        None => set_of_most(&columns, tolerance.faulty)?,
    };
    // Who says another set than n-t others did is not heard.
    let heard = |(set, share): (Option<Frozen>, Vec<F>)| set.is_none_or(|set| set == frozen).then_some(share);
    let columns = columns.into_iter().map(|column| column.and_then(heard)).collect();
    let mut elements = vec![F::ZERO; length];
    let wrong = robust_open(party, points, tolerance, columns, &mut elements)?;
    let liar = |position: usize| Fault { member: party.plan.compute()[position], kind: FaultKind::WrongShare };
    let faults = wrong.into_iter().map(liar).collect();
    Ok(Opened { elements: Some(elements), frozen: Some(frozen), faults })
}

/// A compute peer's whole share; `None` if it does not come or cannot be read.
async fn receive<F: Field, E: Environment>(
    party: &Party<'_, E>,
    member: usize,
    length: usize,
    chunks: usize,
) -> Option<(Option<Frozen>, Vec<F>)> {
    let outside = party.position.is_none();
    let mut share = vec![F::ZERO; length];
    let (mut set, mut whole) = (None, true);
    for chunk in 0..chunks {
        let message = party.mailbox.recv(member).await.ok()?;
        let header_length = match chunk {
            0 if outside => freeze::header_length(party.plan.inputs().len()),
            _ => 0,
        };
        let part = &mut share[chunk_range(chunk, length)];
        match message::read_elements(&message, message::RESULT, chunk, header_length, part) {
            Ok([]) => {}
            Ok(header) => match freeze::read_header(party, member, header) {
                Ok(frozen) => set = Some(frozen),
                Err(_) => whole = false,
            },
            Err(_) => whole = false,
        }
    }
    whole.then_some((set, share))
}

/// The set that n-t compute peers signed. No two sets have so many signatures.
fn set_of_most<F>(columns: &[Option<(Option<Frozen>, Vec<F>)>], faulty: usize) -> Result<Frozen, SessionError> {
    let sets = || columns.iter().flatten().filter_map(|(set, _)| set.as_ref());
    let mut votes: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    sets().for_each(|set| *votes.entry(set.digest).or_default() += 1);
    let needed = columns.len() - faulty;
    let found = votes.values().copied().max().unwrap_or(0);
    let most = votes.into_iter().find(|(_, votes)| *votes >= needed);
    let (digest, _) = most.ok_or(SessionError::NotEnoughShares { found, needed })?;
    sets().find(|set| set.digest == digest).cloned().ok_or(SessionError::NotEnoughShares { found, needed })
}
