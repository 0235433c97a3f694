//! The seam between a protocol and whoever drives it.
//!
//! A [`Mailbox`] has two sides. A protocol future calls [`send`](Mailbox::send),
//! [`recv`](Mailbox::recv) and [`drained`](Mailbox::drained); a driver (TLS links in production, the
//! [`Simulator`](crate::Simulator) in tests) calls [`deliver`](Mailbox::deliver),
//! [`lose`](Mailbox::lose), [`set_queued`](Mailbox::set_queued) and
//! [`take_outgoing`](Mailbox::take_outgoing).
//!
//! **The futures register no wakers.** The driver polls the protocol future again after it called
//! `deliver` or `lose`, after it took outgoing messages, and after `set_queued` went down; nothing
//! else can make progress. So one loop does: poll; take outgoing; if nothing was taken, wait for the
//! network; deliver; again.
//!
//! Time-outs are the driver's: [`waiting_for`](Mailbox::waiting_for) says whom the protocol waits for, and
//! `lose` ends the wait. Everybody behind a slow member waits too, so that equal time-outs all round
//! make honest members lose each other; give the session one deadline and lose only who is
//! waited for when it passes. A protocol also stands still while a member does not read what it is sent: then nobody is
//! waited for, and it is the one with the longest backlog that a time-out concerns. How many such members a protocol does
//! not wait for at all says [`spare`](Mailbox::spare).
//!
//! Messages of one sender arrive in the order they were sent, those of different senders in any
//! order. Members are named by their index in the plan. Nothing here authenticates anybody: the
//! driver says who a message is from.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

/// [`Mailbox::drained`] completes while fewer outgoing bytes than this are queued.
pub const QUEUE_LIMIT: usize = 1 << 20;
/// A driver stops reading from a sender ([`Mailbox::wants`]) above so many parked bytes.
pub const PARKED_SOFT_LIMIT: usize = 4 << 20;
/// [`Mailbox::deliver`] refuses a sender above so many parked bytes; more may wait of whom the plan has send more
/// ([`Mailbox::let_wait`]).
pub const PARKED_HARD_LIMIT: usize = 64 << 20;
/// And above so many parked messages: one without content takes memory, too.
const PARKED_MESSAGES: usize = 1 << 20;

/// One party's messages in one session. Clones are handles to the same mailbox.
#[derive(Clone)]
pub struct Mailbox(Arc<Mutex<Inner>>);

/// The sender is gone and everything it had sent was read. This is a loss, never cheating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("member {0} was lost")]
pub struct Lost(pub usize);

/// A sender parked more than may wait of it, said once. The message was dropped, the sender counts as lost, and the driver
/// should take nothing more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("member {0} sent more than may wait")]
pub struct Flooded(pub usize);

/// Messages and bytes of one direction of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many messages.
    pub messages: u64,
    /// How many bytes, without the framing of links.
    pub bytes: u64,
}

/// What went through a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sent to each member.
    pub sent: Vec<Traffic>,
    /// Delivered from each member.
    pub received: Vec<Traffic>,
    /// How often the protocol had to wait for a message.
    pub rounds: u64,
}

impl Counters {
    /// All that was sent.
    pub fn total_sent(&self) -> Traffic {
        self.sent
            .iter()
            .fold(Traffic::default(), |a, b| Traffic { messages: a.messages + b.messages, bytes: a.bytes + b.bytes })
    }
}

/// The protocol's side.
impl Mailbox {
    /// A mailbox for a session of so many members.
    pub fn new(members: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            incoming: (0..members).map(|_| Incoming::default()).collect(),
            outgoing: Vec::new(),
            outgoing_bytes: 0,
            queued: 0,
            spare: 0,
            waiting_for: None,
            phase: 0,
            counters: Counters {
                sent: vec![Traffic::default(); members],
                received: vec![Traffic::default(); members],
                rounds: 0,
            },
        })))
    }

    /// Says that the protocol goes on to this step of a synchronous network, in which silence is given up one step
    /// after the other: whoever is late because it waited for somebody in an earlier step is not given up itself.
    pub fn enter_phase(&self, phase: u32) {
        self.lock().phase = phase;
    }

    /// Says that so many members may read nothing without anybody waiting for them: what they are sent waits in their links,
    /// and [`drained`](Self::drained) is about the others.
    pub fn spare_slowest(&self, members: usize) {
        self.lock().spare = members;
    }

    /// Lets so many bytes of each of these members wait to be read: for steps in which an honest one sends so much to whoever
    /// still waits for another one.
    pub fn let_wait(&self, members: &[usize], bytes: usize) {
        let mut inner = self.lock();
        for member in members {
            if let Some(incoming) = inner.incoming.get_mut(*member) {
                incoming.room = bytes;
            }
        }
    }

    /// Hands a message to the driver. Never waits; see [`drained`](Self::drained).
    pub fn send(&self, to: usize, message: Vec<u8>) {
        let mut inner = self.lock();
        let Some(traffic) = inner.counters.sent.get_mut(to) else { return };
        traffic.messages += 1;
        traffic.bytes += message.len() as u64;
        inner.outgoing_bytes += message.len();
        inner.outgoing.push((to, message));
    }

    /// Sends a copy to each.
    pub fn send_all(&self, to: impl IntoIterator<Item = usize>, message: &[u8]) {
        for to in to {
            self.send(to, message.to_vec());
        }
    }

    /// The next message of this sender; [`Lost`] once the driver said that the sender is gone and
    /// all that it had sent was read.
    pub fn recv(&self, from: usize) -> impl Future<Output = Result<Bytes, Lost>> + Send + use<> {
        Recv { mailbox: self.clone(), from, waited: false }
    }

    /// Back-pressure: completes while less than [`QUEUE_LIMIT`] bytes wait to be sent.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        Drained { mailbox: self.clone() }
    }
}

/// The driver's side.
impl Mailbox {
    /// Parks a message that arrived. What comes of a lost member is dropped: who was only too late did nothing wrong.
    pub fn deliver(&self, from: usize, message: impl Into<Bytes>) -> Result<(), Flooded> {
        let message = message.into();
        let mut inner = self.lock();
        let Some(incoming) = inner.incoming.get_mut(from) else { return Err(Flooded(from)) };
        if incoming.lost {
            return Ok(());
        }
        let full = incoming.messages.len() >= PARKED_MESSAGES;
        if full || incoming.parked + message.len() > incoming.room {
            incoming.lost = true;
            return Err(Flooded(from));
        }
        incoming.parked += message.len();
        let length = message.len() as u64;
        incoming.messages.push_back(message);
        let traffic = &mut inner.counters.received[from];
        traffic.messages += 1;
        traffic.bytes += length;
        Ok(())
    }

    /// Says that nothing more will come from this member. What was delivered stays readable.
    pub fn lose(&self, from: usize) {
        if let Some(incoming) = self.lock().incoming.get_mut(from) {
            incoming.lost = true;
        }
    }

    /// Whether the driver should go on reading from this member's link.
    pub fn wants(&self, from: usize) -> bool {
        self.lock().incoming.get(from).is_some_and(|i| !i.lost && i.parked < PARKED_SOFT_LIMIT)
    }

    /// Takes what the protocol sent since the last call, in order.
    pub fn take_outgoing(&self) -> Vec<(usize, Vec<u8>)> {
        let mut inner = self.lock();
        inner.outgoing_bytes = 0;
        std::mem::take(&mut inner.outgoing)
    }

    /// How many of the longest backlogs do not count.
    pub fn spare(&self) -> usize {
        self.lock().spare
    }

    /// Tells how many bytes the links still hold that were taken and not yet sent: the longest backlog but for
    /// [`spare`](Self::spare) longer ones.
    pub fn set_queued(&self, bytes: usize) {
        self.lock().queued = bytes;
    }

    /// The member whose message the protocol waits for, if it does: whom a time-out concerns.
    pub fn waiting_for(&self) -> Option<usize> {
        self.lock().waiting_for
    }

    /// The step of a synchronous protocol; 0 for all others. Drivers give up nobody in a later step as long as a party in
    /// an earlier one may still be waiting.
    pub fn phase(&self) -> u32 {
        self.lock().phase
    }

    /// What went through so far.
    pub fn counters(&self) -> Counters {
        self.lock().counters.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Inner {
    incoming: Vec<Incoming>,
    outgoing: Vec<(usize, Vec<u8>)>,
    outgoing_bytes: usize,
    queued: usize,
    spare: usize,
    waiting_for: Option<usize>,
    phase: u32,
    counters: Counters,
}

struct Incoming {
    messages: VecDeque<Bytes>,
    parked: usize,
    /// How many bytes may be parked.
    room: usize,
    lost: bool,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { messages: VecDeque::new(), parked: 0, room: PARKED_HARD_LIMIT, lost: false }
    }
}

struct Recv {
    mailbox: Mailbox,
    from: usize,
    waited: bool,
}

impl Future for Recv {
    type Output = Result<Bytes, Lost>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let from = self.from;
        let mailbox = self.mailbox.clone();
        let mut inner = mailbox.lock();
        let Some(incoming) = inner.incoming.get_mut(from) else { return Poll::Ready(Err(Lost(from))) };
        if let Some(message) = incoming.messages.pop_front() {
            incoming.parked -= message.len();
            inner.waiting_for = None;
            return Poll::Ready(Ok(message));
        }
        if incoming.lost {
            inner.waiting_for = None;
            return Poll::Ready(Err(Lost(from)));
        }
        inner.waiting_for = Some(from);
        if !self.waited {
            inner.counters.rounds += 1;
            self.waited = true;
        }
        Poll::Pending
    }
}

struct Drained {
    mailbox: Mailbox,
}

impl Future for Drained {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let inner = self.mailbox.lock();
        if inner.outgoing_bytes + inner.queued < QUEUE_LIMIT { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn messages_of_a_lost_member_are_read_first() {
        let mailbox = Mailbox::new(2);
        assert!(poll(mailbox.recv(1)).is_pending());
        assert_eq!(mailbox.waiting_for(), Some(1));
        mailbox.deliver(1, vec![1]).expect("room");
        mailbox.deliver(1, vec![2]).expect("room");
        mailbox.lose(1);
        assert_eq!(poll(mailbox.recv(1)), Poll::Ready(Ok(Bytes::from_static(&[1]))));
        assert_eq!(poll(mailbox.recv(1)), Poll::Ready(Ok(Bytes::from_static(&[2]))));
        assert_eq!(poll(mailbox.recv(1)), Poll::Ready(Err(Lost(1))));
        assert_eq!(poll(mailbox.recv(7)), Poll::Ready(Err(Lost(7))));
        assert_eq!(mailbox.counters().rounds, 1);
    }

    #[test]
    fn back_pressure_counts_what_is_taken_and_what_is_not() {
        let mailbox = Mailbox::new(2);
        assert!(poll(mailbox.drained()).is_ready());
        mailbox.send(1, vec![0; QUEUE_LIMIT]);
        assert!(poll(mailbox.drained()).is_pending());
        let taken = mailbox.take_outgoing();
        assert_eq!(taken.len(), 1);
        assert!(poll(mailbox.drained()).is_ready());
        mailbox.set_queued(QUEUE_LIMIT);
        assert!(poll(mailbox.drained()).is_pending());
    }

    #[test]
    fn parked_bytes_are_limited() {
        let mailbox = Mailbox::new(2);
        let message = Bytes::from(vec![0; PARKED_SOFT_LIMIT]);
        let mut accepted = 0;
        while mailbox.deliver(1, message.clone()).is_ok() {
            accepted += message.len();
            assert!(!mailbox.wants(1));
        }
        assert_eq!(accepted, PARKED_HARD_LIMIT);
        // Said once; nothing more is kept.
        assert_eq!(mailbox.deliver(1, message.clone()), Ok(()));
        assert_eq!(mailbox.counters().received[1].bytes, PARKED_HARD_LIMIT as u64);
        assert_eq!(mailbox.deliver(0, message), Ok(()));
        assert_eq!(mailbox.deliver(9, vec![1]), Err(Flooded(9)));
    }

    #[test]
    fn parked_messages_without_content_are_limited() {
        let mailbox = Mailbox::new(2);
        let accepted = (0..=PARKED_MESSAGES).take_while(|_| mailbox.deliver(1, Bytes::new()).is_ok()).count();
        assert_eq!(accepted, PARKED_MESSAGES);
    }
}
