//! Speed of the arithmetic with all parties as threads of this process, joined by channels:
//! `cargo bench -p tacit-engine --bench multiply [-- WORD...]`. One line per case: protocol cost
//! without TLS and without the kernel.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tacit_algebra::{F61, F127, Field};
use tacit_engine::Mailbox;
use tacit_engine::arithmetic::{Arithmetic, Setup, Shared};
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    for n in [3, 4, 5, 7, 9, 11] {
        if wanted("multiply61") {
            [10_000, 100_000, 1_000_000].into_iter().for_each(|size| multiply::<F61>("multiply61", n, size));
        }
        if wanted("multiply127") {
            multiply::<F127>("multiply127", n, 100_000);
        }
        if wanted("verified61") {
            verified(n);
        }
        if wanted("sequential") {
            sequential(n);
        }
        others::<F61>("61", n, &wanted);
        others::<F127>("127", n, &wanted);
    }
}

fn multiply<F: Field>(name: &str, n: usize, size: usize) {
    let prepare = async |context: &mut Arithmetic<'_, F>| {
        (random(context, size).await, random(context, size).await, Shared::zeros(size))
    };
    run(name, n, size, 1, prepare, async |context, (a, b, out)| {
        context.multiply_into(a, b, out).await.expect("product");
        black_box(&out);
    });
}

/// Products with their verification: what `tacit bench mul --model malicious` measures over links.
fn verified(n: usize) {
    let size = 1_000_000;
    let prepare = async |context: &mut Arithmetic<'_, F61>| {
        (random(context, size).await, random(context, size).await, Shared::zeros(size))
    };
    run("verified61", n, size, 1, prepare, async |context, (a, b, out)| {
        context.multiply_into(a, b, out).await.expect("product");
        context.verify().await.expect("all are honest");
        black_box(&out);
    });
}

fn sequential(n: usize) {
    let prepare = async |context: &mut Arithmetic<'_, F61>| (random(context, 1).await, random(context, 1).await);
    run("sequential", n, 1, 500, prepare, async |context, (a, b)| {
        for _ in 0..500 {
            context.multiply_assign(a, b).await.expect("product");
        }
    });
}

/// The other operations, one size each.
fn others<F: Field>(field: &str, n: usize, wanted: &impl Fn(&str) -> bool) {
    macro_rules! case {
        ($name:literal, $size:expr, |$context:ident, $a:ident| $call:expr) => {
            let name = format!("{}{field}", $name);
            if wanted(&name) {
                let prepare = async |context: &mut Arithmetic<'_, F>| random(context, $size).await;
                run(&name, n, $size, 1, prepare, async |$context, $a| _ = black_box($call.await.expect($name)));
            }
        };
    }
    case!("random", 300_000, |context, _a| context.random(300_000));
    case!("open", 300_000, |context, a| context.open(a));
    case!("inverse", 100_000, |context, a| context.inverse(a));
    case!("bits", 300_000, |context, _a| context.random_bits(300_000));
    case!("dot", 1_000_000, |context, a| context.dot(a, a, 100));
    case!("zero-short", 1000, |context, a| context.is_zero(a));
    case!("zero-long", 20_000, |context, a| context.is_zero(a));
}

async fn random<F: Field>(context: &mut Arithmetic<'_, F>, size: usize) -> Shared<F> {
    context.random(size).await.expect("random")
}

/// One party's wall time, CPU time and bytes sent.
type Run = (Duration, Duration, u64);

/// Prepares once, then measures the work several times: the slowest party counts.
fn run<F: Field, S: Send>(
    name: &str,
    n: usize,
    size: usize,
    repeats: usize,
    prepare: impl AsyncFn(&mut Arithmetic<'_, F>) -> S + Sync,
    work: impl AsyncFn(&mut Arithmetic<'_, F>, &mut S) + Sync,
) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..n).map(|_| channel()).unzip();
    let runs = (4_000_000 / (size * repeats * n)).clamp(5, 40);
    let (walls, (cpu, bytes)) = std::thread::scope(|scope| {
        let (prepare, work) = (&prepare, &work);
        let threads: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(me, incoming)| {
                let outgoing = senders.clone();
                scope.spawn(move || {
                    let mailbox = Mailbox::new(n);
                    let setup = setup(&mailbox, me, n);
                    let context =
                        if name == "verified61" { Arithmetic::verified(setup) } else { Arithmetic::new(setup) };
                    let mut context: Arithmetic<'_, F> = context.expect("setup");
                    let future = async {
                        let mut state = prepare(&mut context).await;
                        let mut times = Vec::new();
                        for _ in 0..runs {
                            // All start together, and nobody leaves work to the next run.
                            context.open_to(&Shared::zeros(1), &(0..n).collect::<Vec<_>>()).await.expect("barrier");
                            let (start, cpu, bytes) = (Instant::now(), cpu(), mailbox.counters().total_sent().bytes);
                            work(&mut context, &mut state).await;
                            let bytes = mailbox.counters().total_sent().bytes - bytes;
                            times.push((start.elapsed(), self::cpu() - cpu, bytes));
                        }
                        times
                    };
                    drive(me, &mailbox, future, &incoming, &outgoing)
                })
            })
            .collect();
        drop(senders);
        let all: Vec<Vec<Run>> = threads.into_iter().map(|t| t.join().expect("party")).collect();
        let slowest = |i: usize| all.iter().map(|times| times[i].0).max().expect("parties");
        let mut walls: Vec<Duration> = (0..runs).map(slowest).collect();
        walls.sort_unstable();
        // The kernel counts CPU time in ticks, and roles rotate: only sums over all runs mean something.
        let total = |(cpu, bytes): (Duration, u64), run: &Run| (cpu + run.1, bytes + run.2);
        (walls, all.iter().flatten().fold((Duration::ZERO, 0), total))
    });
    let (best, median) = (walls[0].as_secs_f64(), walls[runs / 2].as_secs_f64());
    let elements = (size * repeats * runs) as f64;
    let (cpu, bytes) = (cpu.as_secs_f64() * 1e9 / elements, bytes as f64 / elements / n as f64);
    print!("{name:14} n={n:<2} {size:8} ");
    if repeats > 1 {
        let round = 1e6 / repeats as f64;
        println!("{:9.2} us/round (best {:.2}), {cpu:8.0} ns CPU of all", median * round, best * round);
    } else {
        let rate = size as f64 / 1e6;
        print!("{:9.2} M/s (best {:7.2}), {cpu:8.1} ns CPU of all, ", rate / median, rate / best);
        println!("{:5.1} per party; {bytes:5.1} bytes sent each", cpu / n as f64);
    }
}

/// What this thread has used (Linux).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

type Message = (usize, Vec<u8>);

/// A driver over channels.
fn drive<T>(
    me: usize,
    mailbox: &Mailbox,
    future: impl Future<Output = T>,
    incoming: &Receiver<Message>,
    outgoing: &[Sender<Message>],
) -> T {
    let mut future = pin!(future);
    loop {
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let taken = mailbox.take_outgoing();
        let sent = !taken.is_empty();
        for (to, message) in taken {
            // A party that is done has left.
            let _ = outgoing[to].send((me, message));
        }
        if let Poll::Ready(result) = polled {
            return result;
        }
        if !sent {
            let (from, message) = incoming.recv().expect("parties");
            mailbox.deliver(from, message).expect("room");
        }
        while let Ok((from, message)) = incoming.try_recv() {
            mailbox.deliver(from, message).expect("room");
        }
    }
}

fn setup<F: Field>(mailbox: &Mailbox, me: usize, n: usize) -> Setup<'_, F> {
    Setup {
        mailbox,
        me,
        threshold: (n - 1) / 2,
        members: (0..n).collect(),
        fingerprints: (0..n).map(|i| Fingerprint([i as u8; 32])).collect(),
        points: (0..n as u64).map(|i| F::from_u64((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect(),
        binding: [7; 32],
        pair_secrets: (0..n).map(|i| Zeroizing::new([(me.min(i) * 16 + me.max(i)) as u8; 32])).collect(),
        local_seed: Zeroizing::new([me as u8; 32]),
    }
}
