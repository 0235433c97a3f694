//! Products of shared numbers.
//!
//! In the time: products only, as the systems measure it that ours are compared with. Before it two parties put
//! in a vector each, and all wait for each other; after it the product is opened and compared, every element.
//! Model `malicious`: the verification of all products is in the time, too.

use tacit_algebra::{F61, Field};
use tacit_engine::arithmetic::{Arithmetic, Setup, Shared};
use tacit_engine::{Environment, Mailbox, Plan, SecurityModel};
use tacit_link::DATA_OVERHEAD;
use tacit_model::SessionId;
use tacit_party::PartyEnvironment;
use zeroize::Zeroizing;

use super::messages::{Sample, Turn};
use super::meter::{Meter, Reading, peak_kib};
use super::seat::{Seat, element};
use crate::output::{Code, Failure};

/// Which products.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Of two vectors of so many elements, at once; [`VECTORS`] times.
    Vector(usize),
    /// So many, each of which needs the one before.
    Chain(usize),
}

/// Vector products of one run.
const VECTORS: usize = 5;

impl Shape {
    /// Elements of a vector.
    fn length(self) -> usize {
        match self {
            Self::Vector(elements) => elements,
            Self::Chain(_) => 1,
        }
    }

    /// Products one after the other.
    fn depth(self) -> usize {
        match self {
            Self::Vector(_) => VECTORS,
            Self::Chain(rounds) => rounds,
        }
    }
}

pub(super) async fn run(seat: &mut Seat, turn: &Turn, shape: Shape) -> Result<Sample, Failure> {
    // The plan of a sum of one element names the same parties, threshold and points.
    let ready = seat.prepare(turn, 1)?;
    let me = seat.me;
    seat.barrier.wait().await?;
    let session = seat.play(ready, async |plan, mailbox, environment| {
        let setup = setup::<F61>(plan, me, turn.threshold, mailbox, environment);
        let arithmetic = match SecurityModel::named(&turn.model) {
            Some(SecurityModel::Malicious) => Arithmetic::verified(setup)?,
            _ => Arithmetic::new(setup)?,
        };
        measure(arithmetic, plan.members().len(), mailbox, &turn.session, shape).await
    });
    let (Measured { reading, bytes_sent, right }, _) = session.await?;
    Ok(Sample {
        nanos: reading.nanos(),
        cpu_micros: reading.cpu_micros,
        steps: (shape.length() * shape.depth()) as u64,
        bytes_sent,
        rounds: match shape {
            Shape::Vector(_) => None,
            Shape::Chain(rounds) => Some(rounds as u64),
        },
        peak_kib: peak_kib(),
        field: F61::NAME.to_owned(),
        right,
    })
}

/// What the arithmetic of any field needs.
pub(super) fn setup<'m, F: Field>(
    plan: &Plan,
    me: usize,
    threshold: usize,
    mailbox: &'m Mailbox,
    mut environment: PartyEnvironment,
) -> Setup<'m, F> {
    let members = plan.members().len();
    let mut local_seed = Zeroizing::new([0; 32]);
    environment.random(&mut *local_seed);
    Setup {
        mailbox,
        me,
        threshold,
        members: (0..members).collect(),
        fingerprints: plan.members().to_vec(),
        points: plan.points().iter().map(|point| F::from_u128(*point)).collect(),
        // Names the session, whose id is never used twice.
        binding: plan.digest().0,
        pair_secrets: (0..members).map(|member| Zeroizing::new(environment.pair_secret(member))).collect(),
        local_seed,
    }
}

struct Measured {
    reading: Reading,
    bytes_sent: u64,
    right: bool,
}

async fn measure(
    mut arithmetic: Arithmetic<'_, F61>,
    parties: usize,
    mailbox: &Mailbox,
    session: &SessionId,
    shape: Shape,
) -> Result<Measured, Failure> {
    let (mut product, factor) = inputs(&mut arithmetic, session, shape.length()).await?;
    barrier(mailbox, arithmetic.me(), parties).await?;

    let before = mailbox.counters().total_sent();
    let meter = Meter::start();
    for _ in 0..shape.depth() {
        arithmetic.multiply_assign(&mut product, &factor).await?;
    }
    arithmetic.verify().await?;
    let reading = meter.stop();
    let after = mailbox.counters().total_sent();
    let heads = (after.messages - before.messages) * DATA_OVERHEAD as u64;

    let opened = arithmetic.open(&product).await?;
    let expected = |i| input(session, 0, i) * input(session, 1, i).pow_vartime(shape.depth() as u128);
    let right = opened.iter().enumerate().all(|(i, product)| *product == expected(i));
    Ok(Measured { reading, bytes_sent: after.bytes - before.bytes + heads, right })
}

/// The first party's vector and the second's.
async fn inputs(
    arithmetic: &mut Arithmetic<'_, F61>,
    session: &SessionId,
    length: usize,
) -> Result<(Shared<F61>, Shared<F61>), Failure> {
    let me = arithmetic.me();
    let own: Vec<F61> = if me < 2 { (0..length).map(|i| input(session, me, i)).collect() } else { Vec::new() };
    let first = arithmetic.input(0, length, (me == 0).then_some(own.as_slice())).await?;
    let second = arithmetic.input(1, length, (me == 1).then_some(own.as_slice())).await?;
    Ok((first, second))
}

fn input(session: &SessionId, party: usize, index: usize) -> F61 {
    F61::from_u64(element(session, party, index))
}

/// Lets all parties go on at the same moment, inside a session.
pub(super) async fn barrier(mailbox: &Mailbox, me: usize, parties: usize) -> Result<(), Failure> {
    let others = || (0..parties).filter(|party| *party != me);
    mailbox.send_all(others(), &[0]);
    for party in others() {
        let lost = |_| Failure::new(Code::Unreachable, "a party of the bench was lost");
        mailbox.recv(party).await.map_err(lost)?;
    }
    Ok(())
}
