//! A whole session: every party puts in a vector, all learn the sum.
//!
//! In the time: everything from the barrier on, that is secrets of the session from the links, sharing, the
//! frozen set with its signatures and its commit to the database (synced to the disk), opening, checks and
//! the agreement value. Not in it: the plan, the links, drawing the input.

use super::messages::{Sample, Turn};
use super::meter::{Meter, peak_kib};
use super::seat::{Seat, element};
use crate::output::Failure;

pub(super) async fn run(seat: &mut Seat, turn: &Turn, items: usize) -> Result<Sample, Failure> {
    let ready = seat.prepare(turn, items)?;
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
        steps: 1,
        bytes_sent,
        rounds: Some(rounds as u64),
        peak_kib: peak_kib(),
        field: field.to_owned(),
        right,
    })
}
