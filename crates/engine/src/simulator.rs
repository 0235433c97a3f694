//! Many parties in one thread, from one seed: the test twin of links, clocks and processes.
//!
//! Every party is a future and its [`Mailbox`]. Messages take a random time, so that those of
//! different senders overtake each other while each pair stays in order. A party may
//! [crash](Simulator::crash_after) after any number of messages, and its messages may be
//! [rewritten](Simulator::rewrite) on their way out. A cheater is other code: spawn it. Silence
//! ends like in production: when nothing moves any more, those who wait for a party that is gone lose
//! it, and where a message was dropped, whoever has waited longest loses whom it waits for. When a test fails, the seed is printed; the same seed gives the same run.

use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::mailbox::{Counters, Mailbox};

mod environment;
mod random;

pub use environment::{Journal, SimulatedEnvironment};
pub use random::SplitMix;

/// A run of parties with results of type `T`.
pub struct Simulator<'a, T> {
    seed: u64,
    random: SplitMix,
    parties: Vec<Party<'a, T>>,
    flying: BinaryHeap<Flight>,
    /// When the last message of a pair arrives: `[from][to]`.
    last: Vec<Vec<u64>>,
    now: u64,
    launched: u64,
    delay: Delay,
    dropped: bool,
    in_flight: usize,
    most_in_flight: usize,
}

/// How long messages take.
#[derive(Clone, Copy)]
enum Delay {
    /// Up to so long, at random.
    Random(u64),
    /// No time.
    None,
    /// All the same.
    Round,
}

/// How a party ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It came to its result.
    Finished(T),
    /// It crashed, as the test wanted.
    Crashed,
    /// No future was spawned for it.
    Silent,
}

impl<T> Ended<T> {
    /// The result, if there is one.
    pub fn finished(self) -> Option<T> {
        match self {
            Self::Finished(result) => Some(result),
            Self::Crashed | Self::Silent => None,
        }
    }
}

impl<'a, T> Simulator<'a, T> {
    /// So many parties, none of them spawned yet.
    pub fn new(parties: usize, seed: u64) -> Self {
        let party = |_| Party {
            mailbox: Mailbox::new(parties),
            future: None,
            result: None,
            rewrite: None,
            crash_after: None,
            sent: 0,
            crashed: false,
            waits_since: 0,
        };
        Self {
            seed,
            random: SplitMix::new(seed),
            parties: (0..parties).map(party).collect(),
            flying: BinaryHeap::new(),
            last: vec![vec![0; parties]; parties],
            now: 0,
            launched: 0,
            delay: Delay::Random(1000),
            dropped: false,
            in_flight: 0,
            most_in_flight: 0,
        }
    }

    /// Messages arrive in the order they are sent, for measurements.
    pub fn without_delays(mut self) -> Self {
        self.delay = Delay::None;
        self
    }

    /// Every message takes one round, so that [`rounds`](Self::rounds) counts them.
    pub fn in_rounds(&mut self) {
        self.delay = Delay::Round;
    }

    /// After a run [`in_rounds`](Self::in_rounds): the length of the longest chain of messages that each came after the
    /// one before it.
    pub fn rounds(&self) -> u64 {
        self.now
    }

    /// A handle to the party's mailbox, for the future that is going to be it.
    pub fn mailbox(&self, party: usize) -> Mailbox {
        self.parties[party].mailbox.clone()
    }

    /// Makes this future the party's code, honest or not.
    pub fn spawn(&mut self, party: usize, future: impl Future<Output = T> + 'a) {
        self.parties[party].future = Some(Box::pin(future));
    }

    /// Lets the party vanish right after it sent so many messages (0: before the first).
    pub fn crash_after(&mut self, party: usize, messages: u64) {
        self.parties[party].crash_after = Some(messages);
    }

    /// Passes every message of the party through a function of receiver and content that may change
    /// or (`None`) drop it.
    pub fn rewrite(&mut self, party: usize, rewrite: impl FnMut(usize, Vec<u8>) -> Option<Vec<u8>> + 'a) {
        self.parties[party].rewrite = Some(Box::new(rewrite));
    }

    /// What went through the party's mailbox.
    pub fn counters(&self, party: usize) -> Counters {
        self.parties[party].mailbox.counters()
    }

    /// The most bytes that were on their way at once, so far, all parties together. What parties have not read yet is
    /// their mailboxes' matter.
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight
    }

    /// Runs until everybody ended. Panics if parties wait for each other in a circle although every
    /// message arrived.
    pub fn run(&mut self) -> Vec<Ended<T>> {
        let _seed = SeedOnPanic(self.seed);
        for party in 0..self.parties.len() {
            self.poll(party);
        }
        loop {
            while let Some(flight) = self.flying.pop() {
                self.now = flight.arrives;
                self.arrive(flight);
            }
            let waiting: Vec<(usize, usize)> = self.waiting().collect();
            if waiting.is_empty() {
                break;
            }
            let gone = waiting.iter().find(|(_, awaited)| self.parties[*awaited].future.is_none());
            let since = |party: usize| (self.parties[party].mailbox.phase(), self.parties[party].waits_since);
            let longest = waiting.iter().min_by_key(|(party, _)| since(*party));
            let Some((party, awaited)) = gone.or(longest.filter(|_| self.dropped)).copied() else {
                panic!("parties wait for each other: {waiting:?}");
            };
            self.parties[party].mailbox.lose(awaited);
            self.poll(party);
        }
        self.parties.iter_mut().map(Party::end).collect()
    }

    /// Who waits for whom.
    fn waiting(&self) -> impl Iterator<Item = (usize, usize)> {
        let pending = self.parties.iter().enumerate().filter(|(_, p)| p.future.is_some());
        pending.map(|(index, p)| (index, p.mailbox.waiting_for().unwrap_or(index)))
    }

    fn arrive(&mut self, flight: Flight) {
        self.in_flight -= flight.size();
        let mailbox = &self.parties[flight.to].mailbox;
        match flight.message {
            Some(message) => {
                // A flood counts as a loss.
                let _ = mailbox.deliver(flight.from, message);
            }
            None => mailbox.lose(flight.from),
        }
        self.poll(flight.to);
    }

    fn poll(&mut self, index: usize) {
        loop {
            let party = &mut self.parties[index];
            let Some(future) = &mut party.future else { return };
            if party.crash_after == Some(0) && !party.crashed {
                self.crash(index);
                return;
            }
            let waited_for = party.mailbox.waiting_for();
            let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if party.mailbox.waiting_for() != waited_for {
                party.waits_since = self.now;
            }
            let outgoing = party.mailbox.take_outgoing();
            let moved = !outgoing.is_empty();
            if let Poll::Ready(result) = polled {
                party.result = Some(result);
                party.future = None;
            }
            for (to, message) in outgoing {
                if !self.parties[index].crashed {
                    self.send(index, to, message);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Vec<u8>) {
        let party = &mut self.parties[from];
        let message = match &mut party.rewrite {
            Some(rewrite) => rewrite(to, message),
            None => Some(message),
        };
        party.sent += 1;
        let crash = party.crash_after == Some(party.sent);
        match message {
            Some(message) => self.launch(from, to, Some(message)),
            None => self.dropped = true,
        }
        if crash {
            self.crash(from);
        }
    }

    fn crash(&mut self, index: usize) {
        let party = &mut self.parties[index];
        party.crashed = true;
        party.future = None;
        party.result = None;
        for to in (0..self.parties.len()).filter(|to| *to != index) {
            self.launch(index, to, None);
        }
    }

    fn launch(&mut self, from: usize, to: usize, message: Option<Vec<u8>>) {
        let delay = match self.delay {
            Delay::Random(longest) => self.random.below(longest),
            Delay::None => 0,
            Delay::Round => 1,
        };
        let arrives = (self.now + delay).max(self.last[from][to]);
        self.last[from][to] = arrives;
        self.launched += 1;
        let flight = Flight { arrives, number: self.launched, from, to, message };
        self.in_flight += flight.size();
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        self.flying.push(flight);
    }
}

struct Party<'a, T> {
    mailbox: Mailbox,
    future: Option<Pin<Box<dyn Future<Output = T> + 'a>>>,
    result: Option<T>,
    rewrite: Option<Rewrite<'a>>,
    crash_after: Option<u64>,
    sent: u64,
    crashed: bool,
    /// When it last got something to do.
    waits_since: u64,
}

type Rewrite<'a> = Box<dyn FnMut(usize, Vec<u8>) -> Option<Vec<u8>> + 'a>;

impl<T> Party<'_, T> {
    fn end(&mut self) -> Ended<T> {
        match self.result.take() {
            Some(result) => Ended::Finished(result),
            None if self.crashed => Ended::Crashed,
            None => Ended::Silent,
        }
    }
}

/// A message, or (`None`) the news that there will be no more.
struct Flight {
    arrives: u64,
    number: u64,
    from: usize,
    to: usize,
    message: Option<Vec<u8>>,
}

impl Flight {
    fn size(&self) -> usize {
        self.message.as_ref().map_or(0, Vec::len)
    }
}

/// The earliest is the greatest, because that is what a heap gives first.
impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.arrives, other.number).cmp(&(self.arrives, self.number))
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Flight {}

/// Says which seed a panic belongs to.
struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation failed with seed {}", self.0);
        }
    }
}
