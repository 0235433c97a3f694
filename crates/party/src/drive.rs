//! The one pump between an engine session and the links.
//!
//! The engine's futures register no wakers: they go on after something was delivered or lost, after
//! outgoing messages were taken, or after the links' backlog went down. So each wake of this future
//! delivers all that arrived, polls the engine, and takes what it sent, until nothing moves.
//!
//! Nothing is allocated here per message, and nothing is copied.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tacit_engine::{Mailbox, Plan, QUEUE_LIMIT};
use tacit_job::GRACE;
use tacit_link::{CloseReason, PortEvent, SessionPort};
use tacit_model::Fingerprint;
use tacit_pki::PublicKey;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::go_ahead::GoAhead;

/// Why a session has no outcome at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// The gateway or the operator gave it up.
    Aborted,
    /// Time ran out, and nobody could be named.
    Deadline,
}

/// Who is who: members are numbered by the plan, links by the port.
pub struct Seats {
    member_of: Vec<usize>,
    port_of: Vec<Option<usize>>,
    /// Compute peers tell their public keys in the first message of a session: the charter holds
    /// fingerprints only, and the signatures under a frozen set need keys.
    computes: Vec<bool>,
    me: usize,
    keys: Arc<[OnceLock<PublicKey>]>,
}

impl Seats {
    /// The seats of a session as `me`, over a port with these peers.
    pub fn new(plan: &Plan, me: usize, peers: &[Fingerprint]) -> Self {
        let members = plan.members().len();
        let mut seats = Self {
            member_of: Vec::with_capacity(peers.len()),
            port_of: vec![None; members],
            computes: (0..members).map(|member| plan.compute().binary_search(&member).is_ok()).collect(),
            me,
            keys: (0..members).map(|_| OnceLock::new()).collect(),
        };
        for (port, peer) in peers.iter().enumerate() {
            let member = plan.index_of(peer).unwrap_or(usize::MAX);
            seats.member_of.push(member);
            if let Some(place) = seats.port_of.get_mut(member) {
                *place = Some(port);
            }
        }
        seats
    }

    /// The link to a member.
    pub fn port_of(&self, member: usize) -> Option<usize> {
        self.port_of.get(member).copied().flatten()
    }

    /// The public keys that compute peers told.
    pub fn keys(&self) -> Arc<[OnceLock<PublicKey>]> {
        Arc::clone(&self.keys)
    }

    /// Tells the own public key, if this party computes.
    pub fn tell_key(&self, port: &mut SessionPort, key: &PublicKey) {
        if self.computes[self.me] {
            for to in 0..self.member_of.len() {
                // Whoever is lost already is told of by the port.
                let _told = port.send(to, key.spki().to_vec());
            }
        }
    }

    /// Whether this message is the member's key; `Err` if it should be and is not.
    pub(crate) fn takes_key(&self, member: usize, fingerprint: &Fingerprint, body: &[u8]) -> Result<bool, ()> {
        if !self.computes[member] || self.keys[member].get().is_some() {
            return Ok(false);
        }
        match PublicKey::from_spki(body) {
            Ok(key) if key.fingerprint() == *fingerprint => {
                let _first = self.keys[member].set(key);
                Ok(true)
            }
            _ => Err(()),
        }
    }
}

/// Runs the engine over the port until it ends, is given up, or nobody can be waited for any more.
///
/// When `deadline` has passed since the go-ahead, whoever is waited for counts as lost, or who reads least of what has to be
/// sent before it goes on; each later wait, or each later step of a synchronous protocol, may take two seconds more. Nobody
/// is too late before it: others may still be making their links.
pub async fn drive<T>(
    engine: impl Future<Output = T>,
    port: &mut SessionPort,
    mailbox: &Mailbox,
    seats: &Seats,
    deadline: Duration,
    mut go_ahead: GoAhead,
    abort: &CancellationToken,
) -> Result<T, GivenUp> {
    let mut engine = pin!(engine);
    let mut aborted = pin!(abort.cancelled());
    let mut came = pin!(go_ahead.came());
    let mut first = None;
    let mut timer = pin!(sleep(deadline));
    // Each time-out loses somebody; when everybody had a turn it is over.
    let mut patience = seats.port_of.len();
    poll_fn(|cx| {
        if aborted.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(GivenUp::Aborted));
        }
        if first.is_none()
            && let Poll::Ready(given) = came.as_mut().poll(cx)
        {
            if !given {
                return Poll::Ready(Err(GivenUp::Aborted));
            }
            let due = Instant::now() + deadline;
            timer.as_mut().reset(due);
            first = Some(due);
        }
        loop {
            take_incoming(cx, port, mailbox, seats);
            let queued = port.queued_beyond(mailbox.spare());
            mailbox.set_queued(queued);
            if let Poll::Ready(outcome) = engine.as_mut().poll(cx) {
                send_outgoing(port, mailbox, seats);
                return Poll::Ready(Ok(outcome));
            }
            if send_outgoing(port, mailbox, seats) {
                continue;
            }
            if queued >= QUEUE_LIMIT && port.poll_drained(cx, QUEUE_LIMIT / 2, mailbox.spare()).is_ready() {
                continue;
            }
            let Some(first) = first else { return Poll::Pending };
            if overdue(cx, timer.as_mut(), mailbox, first).is_pending() {
                return Poll::Pending;
            }
            if patience == 0 || !give_up_one(port, mailbox, queued) {
                return Poll::Ready(Err(GivenUp::Deadline));
            }
            patience -= 1;
        }
    })
    .await
}

fn take_incoming(cx: &mut Context<'_>, port: &mut SessionPort, mailbox: &Mailbox, seats: &Seats) {
    while let Poll::Ready(event) = port.poll_recv(cx) {
        match event {
            PortEvent::Message { from, body } => {
                let member = seats.member_of.get(from).copied();
                let Some(member) = member.filter(|member| *member < seats.computes.len()) else { continue };
                let taken = port.peers().get(from).map_or(Err(()), |peer| seats.takes_key(member, peer, &body));
                let delivered = match taken {
                    Ok(true) => Ok(()),
                    Ok(false) => mailbox.deliver(member, body).map_err(drop),
                    Err(()) => Err(()),
                };
                if delivered.is_err() {
                    debug!(member, "a member sent what cannot be taken");
                    mailbox.lose(member);
                    // What else it sends would be read here, message by message, and a part of one kept.
                    port.give_up(from, CloseReason::Overflow);
                }
            }
            PortEvent::Lost { from, reason } => {
                debug!(member = seats.member_of.get(from), %reason, "a member is lost");
                if let Some(member) = seats.member_of.get(from) {
                    mailbox.lose(*member);
                }
            }
        }
    }
}

/// Whether there was anything.
fn send_outgoing(port: &mut SessionPort, mailbox: &Mailbox, seats: &Seats) -> bool {
    let outgoing = mailbox.take_outgoing();
    let any = !outgoing.is_empty();
    for (member, message) in outgoing {
        let sent = seats.port_of(member).map(|to| port.send(to, message));
        if !matches!(sent, Some(Ok(()))) {
            mailbox.lose(member);
        }
    }
    any
}

/// Whether somebody can be given up: whom the protocol waits for, or, if all but the spared ones have to read before it goes on
/// (`queued`), who reads least.
fn give_up_one(port: &mut SessionPort, mailbox: &Mailbox, queued: usize) -> bool {
    if let Some(member) = mailbox.waiting_for() {
        debug!(member, "a member is too late");
        mailbox.lose(member);
        return true;
    }
    let longest = port.longest_queue().filter(|_| queued >= QUEUE_LIMIT);
    if let Some(peer) = longest {
        debug!(peer = %port.peers()[peer], "a member does not read");
        port.give_up(peer, CloseReason::Unread);
    }
    longest.is_some()
}

/// Ready once time is up.
///
/// Each step of a synchronous protocol has its own end, two seconds after that of the step before: who waits for a silent
/// member until one end has sent its next message long before those who are ahead give it up.
fn overdue(cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>, mailbox: &Mailbox, first: Instant) -> Poll<()> {
    loop {
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let (now, phase) = (Instant::now(), mailbox.phase());
        let due = first + GRACE * phase;
        if phase == 0 {
            timer.as_mut().reset(now + GRACE);
        } else {
            timer.as_mut().reset(due);
            if now < due {
                continue;
            }
        }
        return Poll::Ready(());
    }
}

#[cfg(test)]
mod tests;
