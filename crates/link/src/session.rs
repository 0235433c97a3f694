//! One session's view of its peers: messages in, messages out.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tacit_model::{Fingerprint, SessionId};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::connection::Conn;
use crate::error::{CloseReason, LinkError};
use crate::frame::DATA_OVERHEAD;
use crate::hub::HostInner;
use crate::outbox::Item;
use crate::stream::lock;

/// So many messages of one peer wait to be taken: one without content takes memory, too.
const MESSAGES: usize = 1 << 20;
/// Counted for each message beside its content, where all sessions are counted together.
const MESSAGE_COST: usize = 64;

/// The exporter label of pairwise session secrets.
const LABEL: &[u8] = b"EXPORTER-tacit-mpc";

/// What a session hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortEvent {
    /// A whole message.
    Message {
        /// The sender, as index into the session's peers.
        from: usize,
        /// What was sent.
        body: Bytes,
    },
    /// Nothing more will come from this peer. Said once, after all of its messages.
    Lost {
        /// The peer, as index into the session's peers.
        from: usize,
        /// Why.
        reason: CloseReason,
    },
}

/// What a session sent and received. Bytes are frames with their heads, before TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Frames sent.
    pub frames_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Frames received.
    pub frames_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Frames for this session from somebody who is not in it, all dropped.
    pub strangers: u64,
}

/// How much a session accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimits {
    /// One message, all fragments together.
    pub(crate) message: usize,
    /// Of one peer, read but not yet taken.
    pub(crate) waiting: usize,
    /// The same in all sessions together.
    pub(crate) in_all: usize,
}

/// What all sessions with one peer hold of it, read but not yet taken.
pub(crate) type Held = Arc<AtomicUsize>;

#[derive(Default)]
struct Sender {
    lost: bool,
    partial: Vec<u8>,
    /// Bytes that are not taken yet.
    waiting: usize,
    /// How many there may be.
    room: usize,
    /// Whole messages that are not taken yet.
    messages: usize,
    /// These and those of other sessions.
    held: Held,
}

struct Inbox {
    events: VecDeque<PortEvent>,
    waker: Option<Waker>,
    senders: Vec<Sender>,
}

/// The receiving end of a session, where links deliver.
pub(crate) struct Mailbox {
    /// The connection each peer is heard on.
    sources: Vec<u64>,
    limits: SessionLimits,
    inbox: Mutex<Inbox>,
    frames_received: AtomicU64,
    bytes_received: AtomicU64,
    strangers: AtomicU64,
}

impl Mailbox {
    /// Peers by the connection that each is heard on.
    pub(crate) fn new(peers: Vec<(u64, Held)>, limits: SessionLimits) -> Self {
        let (sources, held): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
        let senders = held.into_iter().map(|held| Sender { room: limits.waiting, held, ..Sender::default() }).collect();
        Self {
            sources,
            limits,
            inbox: Mutex::new(Inbox { events: VecDeque::new(), waker: None, senders }),
            frames_received: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
        }
    }

    /// Which peer is heard on this connection, if any.
    pub(crate) fn sender_on(&self, conn: u64) -> Option<usize> {
        self.sources.iter().position(|source| *source == conn)
    }

    pub(crate) fn count_stranger(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a message or fragment. False: the peer broke a limit and is now lost.
    pub(crate) fn deliver(&self, from: usize, more: bool, body: Bytes) -> bool {
        let length = body.len();
        self.frames_received.fetch_add(1, Ordering::Relaxed);
        self.bytes_received.fetch_add(u64::try_from(length + DATA_OVERHEAD).unwrap_or(0), Ordering::Relaxed);
        let mut inbox = lock(&self.inbox);
        let Some(sender) = inbox.senders.get_mut(from) else { return true };
        if sender.lost {
            return true;
        }
        let cost = if more { length } else { length + MESSAGE_COST };
        // Where one session has more to come, that much may come in it.
        let full = sender.held.load(Ordering::Relaxed) + cost > self.limits.in_all.max(sender.room);
        let too_many = full || sender.waiting + length > sender.room || sender.messages >= MESSAGES;
        if too_many || sender.partial.len() + length > self.limits.message {
            drop(inbox);
            self.lose(from, CloseReason::Overflow);
            return false;
        }
        sender.waiting += length;
        sender.held.fetch_add(cost, Ordering::Relaxed);
        if more {
            sender.partial.extend_from_slice(&body);
            return true;
        }
        let body = if sender.partial.is_empty() {
            body
        } else {
            let mut whole = std::mem::take(&mut sender.partial);
            whole.extend_from_slice(&body);
            Bytes::from(whole)
        };
        sender.messages += 1;
        inbox.events.push_back(PortEvent::Message { from, body });
        wake(inbox);
        true
    }

    /// Says, once, that nothing more will come from this peer.
    pub(crate) fn lose(&self, from: usize, reason: CloseReason) {
        let mut inbox = lock(&self.inbox);
        let Some(sender) = inbox.senders.get_mut(from) else { return };
        if !sender.lost {
            sender.lost = true;
            let partial = std::mem::take(&mut sender.partial).len();
            sender.waiting -= partial;
            sender.held.fetch_sub(partial, Ordering::Relaxed);
            inbox.events.push_back(PortEvent::Lost { from, reason });
            wake(inbox);
        }
    }

    fn take(&self, cx: Option<&Context<'_>>) -> Option<PortEvent> {
        let mut inbox = lock(&self.inbox);
        let event = inbox.events.pop_front();
        if let Some(PortEvent::Message { from, body }) = &event
            && let Some(sender) = inbox.senders.get_mut(*from)
        {
            sender.waiting = sender.waiting.saturating_sub(body.len());
            sender.messages = sender.messages.saturating_sub(1);
            sender.held.fetch_sub(body.len() + MESSAGE_COST, Ordering::Relaxed);
        }
        if let (None, Some(cx)) = (&event, cx)
            && !inbox.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker()))
        {
            inbox.waker = Some(cx.waker().clone());
        }
        event
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        for sender in &lock(&self.inbox).senders {
            sender.held.fetch_sub(sender.waiting + sender.messages * MESSAGE_COST, Ordering::Relaxed);
        }
    }
}

fn wake(mut inbox: std::sync::MutexGuard<'_, Inbox>) {
    let waker = inbox.waker.take();
    drop(inbox);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The sending end towards one peer.
pub(crate) enum Outlet {
    Link(Arc<Conn>),
    /// The same, to a peer that was given up.
    GivenUp(Arc<Conn>),
    Memory {
        mailbox: Arc<Mailbox>,
        from: usize,
        secret: Zeroizing<[u8; 32]>,
    },
}

/// One party's end of a session. Dropped, it tells the peers that this side left; see
/// [`SessionPort::finish`] for the quiet end.
pub struct SessionPort {
    id: SessionId,
    peers: Vec<Fingerprint>,
    mailbox: Arc<Mailbox>,
    outlets: Vec<Outlet>,
    host: Option<Arc<HostInner>>,
    max_message: usize,
    frames_sent: u64,
    bytes_sent: u64,
    spin: Duration,
    spinning: Option<Instant>,
    quiet: bool,
}

impl SessionPort {
    pub(crate) fn new(
        id: SessionId,
        peers: Vec<Fingerprint>,
        mailbox: Arc<Mailbox>,
        outlets: Vec<Outlet>,
        host: Option<Arc<HostInner>>,
        spin: Duration,
    ) -> Self {
        let max_message = mailbox.limits.message;
        Self {
            id,
            peers,
            mailbox,
            outlets,
            host,
            max_message,
            frames_sent: 0,
            bytes_sent: 0,
            spin,
            spinning: None,
            quiet: false,
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The peers, without this party. Their positions are the indices used everywhere here.
    pub fn peers(&self) -> &[Fingerprint] {
        &self.peers
    }

    /// Queues a message and returns at once. A message to a lost peer is dropped: the loss is told
    /// by [`PortEvent::Lost`].
    pub fn send(&mut self, to: usize, message: Vec<u8>) -> Result<(), LinkError> {
        if message.len() > self.max_message {
            return Err(LinkError::TooLarge { length: message.len(), limit: self.max_message });
        }
        let message = Bytes::from(message);
        match self.outlets.get(to).ok_or(LinkError::NoSuchPeer(to))? {
            Outlet::Link(conn) => {
                let part = conn.hello.max_frame() - DATA_OVERHEAD;
                let mut rest = message;
                loop {
                    let body = rest.split_to(rest.len().min(part));
                    let last = rest.is_empty();
                    self.frames_sent += 1;
                    self.bytes_sent += u64::try_from(body.len() + DATA_OVERHEAD).unwrap_or(0);
                    conn.outbox.push(Item::data(self.id, !last, body));
                    if last {
                        return Ok(());
                    }
                }
            }
            Outlet::GivenUp(_) => Ok(()),
            Outlet::Memory { mailbox, from, .. } => {
                self.frames_sent += 1;
                self.bytes_sent += u64::try_from(message.len() + DATA_OVERHEAD).unwrap_or(0);
                mailbox.deliver(*from, false, message);
                Ok(())
            }
        }
    }

    /// The longest backlog, in bytes, of any link of this session. Whoever produces bulk data
    /// waits while this is above some 256 KiB, and keeps receiving meanwhile.
    pub fn queued_bytes(&self) -> usize {
        self.outlets.iter().map(Outlet::queued).max().unwrap_or(0)
    }

    /// The same of all links but the `spare` ones with the longest backlogs, whatever waits there.
    pub fn queued_beyond(&self, spare: usize) -> usize {
        if spare == 0 {
            return self.queued_bytes();
        }
        let mut queued: Vec<usize> = self.outlets.iter().map(Outlet::queued).collect();
        queued.sort_unstable_by(|a, b| b.cmp(a));
        queued.get(spare).copied().unwrap_or(0)
    }

    /// The peer with the longest backlog.
    pub fn longest_queue(&self) -> Option<usize> {
        let queued = self.outlets.iter().map(Outlet::queued).enumerate().filter(|(_, queued)| *queued > 0);
        queued.max_by_key(|(_, queued)| *queued).map(|(peer, _)| peer)
    }

    /// Ready once no link of this session, but for `spare` ones, has more than `below` bytes waiting.
    pub fn poll_drained(&self, cx: &Context<'_>, below: usize, spare: usize) -> Poll<()> {
        let mut full = 0;
        for outlet in &self.outlets {
            if let Outlet::Link(conn) = outlet
                && conn.outbox.poll_drained(cx, below).is_pending()
            {
                full += 1;
                // One of these has to move before it can be ready.
                if full > spare {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    /// Waits until no link of this session has more than `below` bytes waiting.
    pub async fn drained(&self, below: usize) {
        std::future::poll_fn(|cx| self.poll_drained(cx, below, 0)).await;
    }

    /// Goes on without a peer: nothing more is sent to it, heard from it or kept of it in this session, which is told by
    /// [`PortEvent::Lost`], and what waits for it holds nobody up. Its link stays, as others may still move on it.
    pub fn give_up(&mut self, peer: usize, reason: CloseReason) {
        let Some(outlet) = self.outlets.get_mut(peer) else { return };
        if let Outlet::Link(conn) = outlet {
            let conn = Arc::clone(conn);
            conn.outbox.push(Item::close(self.id));
            *outlet = Outlet::GivenUp(conn);
        }
        self.mailbox.lose(peer, reason);
    }

    /// Lets so many bytes of a peer wait to be taken, if that is more than the settings say: for sessions in which it may have
    /// to send so much at once.
    pub fn let_wait(&self, peer: usize, bytes: usize) {
        if let Some(sender) = lock(&self.mailbox.inbox).senders.get_mut(peer) {
            sender.room = sender.room.max(bytes);
        }
    }

    /// The next event. Pending for ever once all peers are lost and everything was taken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<PortEvent> {
        if let Some(event) = self.mailbox.take(Some(cx)) {
            self.spinning = None;
            return Poll::Ready(event);
        }
        if !self.spin.is_zero() {
            self.keep_awake(cx);
        }
        Poll::Pending
    }

    /// The next event.
    pub async fn recv(&mut self) -> PortEvent {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next event if it is already there.
    pub fn try_recv(&mut self) -> Option<PortEvent> {
        self.mailbox.take(None)
    }

    /// A secret that only this party and that peer can compute, the same at both ends, another one
    /// for every session and every connection: the TLS exporter (RFC 8446 section 7.5) of their
    /// link with the session id as context.
    pub fn pair_secret(&self, peer: usize) -> Result<Zeroizing<[u8; 32]>, LinkError> {
        match self.outlets.get(peer).ok_or(LinkError::NoSuchPeer(peer))? {
            Outlet::Link(conn) | Outlet::GivenUp(conn) => {
                conn.stream.export(LABEL, &self.id.0).ok_or_else(|| LinkError::Closed(conn.reason()))
            }
            Outlet::Memory { secret, .. } => Ok(secret.clone()),
        }
    }

    /// The peer's clock minus ours, in milliseconds, when the link was made.
    pub fn skew_ms(&self, peer: usize) -> Result<i64, LinkError> {
        match self.outlets.get(peer).ok_or(LinkError::NoSuchPeer(peer))? {
            Outlet::Link(conn) | Outlet::GivenUp(conn) => Ok(conn.skew_ms),
            Outlet::Memory { .. } => Ok(0),
        }
    }

    /// For so long after a message, waiting polls the network instead of sleeping. Saves waking
    /// an idle core each round; costs that core while a round is open. Off unless configured.
    pub fn set_spin(&mut self, spin: Duration) {
        self.spin = spin;
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            frames_sent: self.frames_sent,
            bytes_sent: self.bytes_sent,
            frames_received: self.mailbox.frames_received.load(Ordering::Relaxed),
            bytes_received: self.mailbox.bytes_received.load(Ordering::Relaxed),
            strangers: self.mailbox.strangers.load(Ordering::Relaxed),
        }
    }

    /// Ends this side without telling the peers, because all of them know: the protocol is over.
    /// What was sent is still delivered.
    pub fn finish(mut self) {
        self.quiet = true;
    }

    /// Lets the runtime look at the network once more instead of sleeping.
    fn keep_awake(&mut self, cx: &mut Context<'_>) {
        let now = Instant::now();
        let since = *self.spinning.get_or_insert(now);
        if now.duration_since(since) < self.spin {
            std::thread::yield_now();
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        }
    }
}

impl Outlet {
    fn queued(&self) -> usize {
        match self {
            // What waits for a link that is gone waits for nothing; nor does [`SessionPort::poll_drained`] wait for it.
            Self::Link(conn) if conn.closed().is_some() => 0,
            Self::Link(conn) => conn.outbox.queued(),
            Self::GivenUp(_) | Self::Memory { .. } => 0,
        }
    }
}

impl Drop for SessionPort {
    fn drop(&mut self) {
        for outlet in &self.outlets {
            match outlet {
                Outlet::Link(conn) if !self.quiet => conn.outbox.push(Item::close(self.id)),
                Outlet::Memory { mailbox, from, .. } if !self.quiet => mailbox.lose(*from, CloseReason::PeerLeft),
                _ => {}
            }
        }
        if let Some(host) = &self.host {
            host.mesh.end_session(self.id, &self.outlets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has no content takes memory, too; what was taken makes room again.
    #[test]
    fn messages_without_content_that_nobody_takes_are_limited() {
        let mailbox =
            Mailbox::new(vec![(7, Held::default())], SessionLimits { message: 100, waiting: 100, in_all: usize::MAX });
        for _ in 0..MESSAGES {
            assert!(mailbox.deliver(0, false, Bytes::new()));
        }
        assert!(matches!(mailbox.take(None), Some(PortEvent::Message { from: 0, .. })));
        assert!(mailbox.deliver(0, false, Bytes::new()));
        assert!(!mailbox.deliver(0, false, Bytes::new()));
        let last = std::iter::from_fn(|| mailbox.take(None)).last();
        assert_eq!(last, Some(PortEvent::Lost { from: 0, reason: CloseReason::Overflow }));
    }
}
