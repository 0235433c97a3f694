//! A whole session: every party puts in a vector, all learn the sum.
//!
//! In the time: everything from the barrier on, that is secrets of the session from the links, sharing, the
//! frozen set with its signatures and its commit to the database (synced to the disk), opening, checks and
//! the agreement value. Not in it: the plan, the links, drawing the input.

use super::messages::{Sample, Turn};
use super::meter::{Meter, peak_kib};
use super::seat::{Seat, element};
use crate::output::Failure;

/// How many vectors each party puts in at once where their bounds are proven.
pub(crate) const VECTORS: usize = 25;

/// `bits` of numbers whose range is proven; without, it is left to the parties that put them in.
pub(super) async fn run(seat: &mut Seat, turn: &Turn, items: usize, bits: Option<u32>) -> Result<Sample, Failure> {
    let (items, vectors) = if bits.is_some() { (items * VECTORS, VECTORS) } else { (items, 1) };
    let ready = match bits {
        Some(bits) => seat.prepare_bounded(turn, items, bits)?,
        None => seat.prepare(turn, items)?,
    };
    let element = |session: &_, party, index| match bits {
        Some(bits) => element(session, party, index) % (1 << bits),
        None => element(session, party, index),
    };
    let (rounds, field) = (ready.plan.forecast().rounds, ready.plan.field().name());
    let input: Vec<u64> = (0..items).map(|i| element(&turn.session, seat.me, i)).collect();
    seat.barrier.wait().await?;

    let meter = Meter::start();
    let me = seat.me;
    let session = seat.play(ready, async |plan, mailbox, mut environment| {
        Ok(tacit_engine::run(plan, me, mailbox, &mut environment, &turn.nonces, Some(input.into())).await?)
    });
    let (outcome, bytes_sent) = session.await?;
    let reading = meter.stop();

    let values = outcome.values.unwrap_or_default();
    let expected = |i| (0..seat.members.len()).map(|party| u128::from(element(&turn.session, party, i))).sum::<u128>();
    let right = values.len() == items && values.iter().enumerate().all(|(i, value)| *value == expected(i));
    Ok(Sample {
        nanos: reading.nanos(),
        cpu_micros: reading.cpu_micros,
        steps: if bits.is_some() { (vectors * seat.members.len()) as u64 } else { 1 },
        bytes_sent,
        rounds: Some(rounds as u64),
        peak_kib: peak_kib(),
        field: field.to_owned(),
        right,
    })
}
