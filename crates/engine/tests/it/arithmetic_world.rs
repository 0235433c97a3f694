//! Parties of the arithmetic in one thread: lockstep for counting rounds, the simulator for delays.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tacit_algebra::Field;
use tacit_engine::arithmetic::{Arithmetic, Setup};
use tacit_engine::simulator::SplitMix;
use tacit_engine::{Counters, Mailbox, Simulator};
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

/// The largest threshold below n/2.
pub(crate) fn most(n: usize) -> usize {
    (n - 1) / 2
}

/// Bytes of a generator.
pub(crate) fn fill(random: &mut SplitMix, out: &mut [u8]) {
    out.chunks_mut(8).for_each(|out| out.copy_from_slice(&random.next_u64().to_le_bytes()[..out.len()]));
}

/// Distinct points all over the field, as fingerprints give them.
pub(crate) fn points<F: Field>(n: usize, seed: u64) -> Vec<F> {
    let mut points: Vec<F> = Vec::new();
    let mut random = SplitMix::new(seed);
    while points.len() < n {
        let mut bytes = [0; 16];
        fill(&mut random, &mut bytes);
        let point = F::from_u128(u128::from_le_bytes(bytes));
        if point != F::ZERO && !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

pub(crate) fn setup<F: Field>(mailbox: &Mailbox, me: usize, n: usize, t: usize, seed: u64) -> Setup<'_, F> {
    let secret = |i: usize, j: usize| {
        let mut secret = Zeroizing::new([0; 32]);
        fill(&mut SplitMix::new(seed ^ (((i.min(j) * 64 + i.max(j)) as u64) << 32)), &mut *secret);
        secret
    };
    Setup {
        mailbox,
        me,
        threshold: t,
        members: (0..n).collect(),
        fingerprints: (0..n).map(|i| Fingerprint([i as u8 + 1; 32])).collect(),
        points: points(n, seed),
        binding: [seed as u8; 32],
        pair_secrets: (0..n).map(|j| secret(me, j)).collect(),
        local_seed: secret(me, me),
    }
}

/// What a lockstep run cost.
pub(crate) struct Cost {
    /// Times at which messages were delivered, all at once.
    pub(crate) rounds: usize,
    pub(crate) counters: Vec<Counters>,
}

impl Cost {
    /// Elements that were sent on average, from bytes that are not headers.
    pub(crate) fn elements<F: Field>(&self) -> f64 {
        let total: u64 = self.counters.iter().map(|c| c.total_sent().bytes - 5 * c.total_sent().messages).sum();
        total as f64 / F::BYTES as f64 / self.counters.len() as f64
    }
}

/// What a party computes with; products verified if that is wanted.
pub(crate) fn context<F: Field>(
    mailbox: &Mailbox,
    me: usize,
    (n, t): (usize, usize),
    seed: u64,
    verified: bool,
) -> Arithmetic<'_, F> {
    let setup = setup(mailbox, me, n, t, seed);
    let context = if verified { Arithmetic::verified(setup) } else { Arithmetic::new(setup) };
    context.expect("setup")
}

/// Runs the same program as each party; all messages of a round arrive together.
pub(crate) fn lockstep<F: Field, T>(
    n: usize,
    t: usize,
    seed: u64,
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> T,
) -> (Vec<T>, Cost) {
    lockstep_of((n, t), seed, false, program)
}

/// The same, products verified if that is wanted.
pub(crate) fn lockstep_of<F: Field, T>(
    (n, t): (usize, usize),
    seed: u64,
    verified: bool,
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> T,
) -> (Vec<T>, Cost) {
    let mailboxes: Vec<Mailbox> = (0..n).map(|_| Mailbox::new(n)).collect();
    let party = |me: usize| {
        let (mailbox, program) = (&mailboxes[me], &program);
        async move { program(&mut context(mailbox, me, (n, t), seed, verified)).await }
    };
    let mut futures: Vec<Option<Pin<Box<dyn Future<Output = T> + '_>>>> =
        (0..n).map(|me| Some(Box::pin(party(me)) as Pin<Box<dyn Future<Output = T>>>)).collect();
    let mut results: Vec<Option<T>> = (0..n).map(|_| None).collect();
    let mut rounds = 0;
    loop {
        let mut flying = Vec::new();
        for me in 0..n {
            // Back-pressure: what is taken counts as sent, so a party may go on at once.
            loop {
                if let Some(future) = &mut futures[me]
                    && let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                {
                    (results[me], futures[me]) = (Some(result), None);
                }
                let taken = mailboxes[me].take_outgoing();
                if taken.is_empty() {
                    break;
                }
                flying.extend(taken.into_iter().map(|(to, message)| (me, to, message)));
            }
        }
        if flying.is_empty() {
            break;
        }
        rounds += 1;
        for (from, to, message) in flying {
            mailboxes[to].deliver(from, message).expect("room");
        }
    }
    let counters = mailboxes.iter().map(Mailbox::counters).collect();
    (results.into_iter().map(|r| r.expect("nobody waits for ever")).collect(), Cost { rounds, counters })
}

/// Runs the same program as each party; messages take random times.
pub(crate) fn delayed<F: Field, T>(
    n: usize,
    t: usize,
    seed: u64,
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> T,
) -> Vec<T> {
    delayed_of((n, t), seed, false, program)
}

/// The same, products verified if that is wanted.
pub(crate) fn delayed_of<F: Field, T>(
    (n, t): (usize, usize),
    seed: u64,
    verified: bool,
    program: impl AsyncFn(&mut Arithmetic<'_, F>) -> T,
) -> Vec<T> {
    let mut simulator = Simulator::new(n, seed);
    for me in 0..n {
        let (mailbox, program) = (simulator.mailbox(me), &program);
        simulator.spawn(me, async move { program(&mut context(&mailbox, me, (n, t), seed, verified)).await });
    }
    simulator.run().into_iter().map(|ended| ended.finished().expect("finished")).collect()
}

/// Numbers at the borders of the field, then random ones.
pub(crate) fn numbers<F: Field>(length: usize, seed: u64) -> Vec<F> {
    let borders = [F::ZERO, F::ONE, -F::ONE, F::from_u64(2), -F::from_u64(2), F::from_u128(F::MODULUS / 2)];
    let mut random = SplitMix::new(seed);
    let mut out: Vec<F> = borders.into_iter().take(length).collect();
    let rest = out.len();
    out.resize(length, F::ZERO);
    F::fill_uniform(&mut |bytes: &mut [u8]| fill(&mut random, bytes), &mut out[rest..]);
    // Borders against anything, not only against each other.
    for i in (1..length).rev() {
        out.swap(i, random.below(i as u64 + 1) as usize);
    }
    out
}
