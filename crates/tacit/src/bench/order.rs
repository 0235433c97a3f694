//! Comparing and sorting shared numbers.
//!
//! In the time: everything from shared numbers to shared results, random masks and keys included; nothing is prepared
//! before. Outside of it: putting numbers in, the barrier, opening, and the comparison with the plain result.

use tacit_algebra::{F61, F127, Field};
use tacit_engine::Mailbox;
use tacit_engine::arithmetic::{Arithmetic, Shared};
use tacit_link::DATA_OVERHEAD;
use tacit_model::SessionId;

use super::messages::{Sample, Turn};
use super::meter::{Meter, peak_kib};
use super::multiply::{barrier, setup};
use super::seat::{Seat, element};
use crate::output::Failure;

/// Which work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// Is a < b, for so many pairs of 64-bit numbers?
    Compare(usize),
    /// So many 32-bit numbers in ascending order.
    Sort(usize),
}

pub(super) async fn run(seat: &mut Seat, turn: &Turn, task: Task) -> Result<Sample, Failure> {
    match task {
        // The smallest of the engine's fields that has 64-bit numbers.
        Task::Compare(_) => run_in::<F127>(seat, turn, task).await,
        Task::Sort(_) => run_in::<F61>(seat, turn, task).await,
    }
}

async fn run_in<F: Field>(seat: &mut Seat, turn: &Turn, task: Task) -> Result<Sample, Failure> {
    // The plan of a sum of one element names the same parties, threshold and points.
    let ready = seat.prepare(turn, 1)?;
    let me = seat.me;
    seat.barrier.wait().await?;
    let session = seat.play(ready, async |plan, mailbox, environment| {
        let arithmetic = Arithmetic::new(setup::<F>(plan, me, turn.threshold, mailbox, environment))?;
        measure(arithmetic, plan.members().len(), mailbox, &turn.session, task).await
    });
    Ok(session.await?.0)
}

async fn measure<F: Field>(
    mut arithmetic: Arithmetic<'_, F>,
    parties: usize,
    mailbox: &Mailbox,
    session: &SessionId,
    task: Task,
) -> Result<Sample, Failure> {
    let (length, steps) = match task {
        Task::Compare(length) => (length, length as u64),
        Task::Sort(length) => (length, 1),
    };
    let first = input(&mut arithmetic, session, 0, task, length).await?;
    let second = input(&mut arithmetic, session, 1, task, length).await?;
    barrier(mailbox, arithmetic.me(), parties).await?;

    let before = mailbox.counters();
    let meter = Meter::start();
    let result = match task {
        Task::Compare(_) => arithmetic.less_than(&first, &second, 64).await?,
        Task::Sort(_) => arithmetic.sort(&first, 32).await?,
    };
    let reading = meter.stop();
    let after = mailbox.counters();
    let messages = after.total_sent().messages - before.total_sent().messages;
    let bytes_sent = after.total_sent().bytes - before.total_sent().bytes + messages * DATA_OVERHEAD as u64;

    let opened = arithmetic.open(&result).await?;
    let number = |party| move |i| number(session, party, i, task);
    let expected: Vec<u64> = match task {
        Task::Compare(_) => (0..length).map(|i| u64::from(number(0)(i) < number(1)(i))).collect(),
        Task::Sort(_) => {
            let mut numbers: Vec<u64> = (0..length).map(number(0)).collect();
            numbers.sort_unstable();
            numbers
        }
    };
    let right = opened.len() == length && opened.iter().zip(expected).all(|(o, e)| o.to_u128() == u128::from(e));
    Ok(Sample {
        nanos: reading.nanos(),
        cpu_micros: reading.cpu_micros,
        steps,
        bytes_sent,
        rounds: None,
        peak_kib: peak_kib(),
        field: F::NAME.to_owned(),
        right,
    })
}

/// One party's numbers, shared.
async fn input<F: Field>(
    arithmetic: &mut Arithmetic<'_, F>,
    session: &SessionId,
    party: usize,
    task: Task,
    length: usize,
) -> Result<Shared<F>, Failure> {
    let own = arithmetic.me() == party;
    let numbers: Option<Vec<F>> =
        own.then(|| (0..length).map(|i| F::from_u64(number(session, party, i, task))).collect());
    Ok(arithmetic.input(party, length, numbers.as_deref()).await?)
}

/// The number that a party puts in at a place: of all 64 or 32 bits. Every eighth pair is equal.
fn number(session: &SessionId, party: usize, index: usize, task: Task) -> u64 {
    let party = if index.is_multiple_of(8) { 0 } else { party };
    match task {
        Task::Compare(_) => element(session, party, index) << 9 ^ element(session, party + 2, index),
        Task::Sort(_) => element(session, party, index) & 0xffff_ffff,
    }
}
