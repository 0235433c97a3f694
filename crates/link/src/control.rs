//! Control links: JSON messages both ways between a peer and its gateway, or between replicas of a gateway.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tacit_model::Fingerprint;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::connection::Conn;
use crate::error::{CloseReason, LinkError};
use crate::frame::{Frame, Kind, MAX_FRAME};
use crate::handshake::Dial;
use crate::hub::{Host, Protocol};
use crate::outbox::Item;

/// The largest control message.
pub const MAX_CONTROL_MESSAGE: usize = 1 << 20;
/// The largest message between replicas.
pub const MAX_REPLICA_MESSAGE: usize = MAX_FRAME - 1;
/// Messages read from the link and not yet taken,
const INBOX: usize = 64;
/// and what they may take together: two of the longest.
const INBOX_BYTES: usize = 2 * MAX_FRAME;
/// A peer that lets more than this wait does not read. Larger than any message.
const OUTBOX: usize = 32 << 20;

/// The largest message of a protocol of JSON messages.
pub(crate) fn message_limit(protocol: Protocol) -> usize {
    if protocol == Protocol::Replica { MAX_REPLICA_MESSAGE } else { MAX_CONTROL_MESSAGE }
}

impl Host {
    /// Dials a gateway, trying the addresses in turn until the deadline.
    pub async fn dial_control(
        &self,
        gateway: Fingerprint,
        addrs: &[String],
        deadline: Duration,
    ) -> Result<ControlLink, LinkError> {
        self.dial_json(Protocol::Control, gateway, addrs, deadline).await
    }

    /// Dials another replica of this gateway, trying the addresses in turn until the deadline.
    pub async fn dial_replica(
        &self,
        replica: Fingerprint,
        addrs: &[String],
        deadline: Duration,
    ) -> Result<ControlLink, LinkError> {
        self.dial_json(Protocol::Replica, replica, addrs, deadline).await
    }

    async fn dial_json(
        &self,
        protocol: Protocol,
        peer: Fingerprint,
        addrs: &[String],
        deadline: Duration,
    ) -> Result<ControlLink, LinkError> {
        let host = &self.inner;
        let dial = Dial {
            host,
            peer,
            protocol,
            addrs,
            deadline: Instant::now() + deadline,
            under_way: &AtomicBool::new(false),
        };
        let conn = tokio::select! {
            () = host.hub.stop.cancelled() => return Err(LinkError::ShuttingDown),
            result = dial.run(|| false) => result?.ok_or(LinkError::Deadline(peer))?,
        };
        Ok(host.start_control(&conn))
    }
}

/// A message and the room that it takes until it is taken.
type Waiting = (Bytes, OwnedSemaphorePermit);

/// Where messages wait to be taken.
pub(crate) struct Inbox {
    messages: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl Inbox {
    fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (messages, taken) = mpsc::channel(INBOX);
        (Self { messages, room: Arc::new(Semaphore::new(INBOX_BYTES)) }, taken)
    }

    /// Waits until there is room. A reader that is gone closes the link itself.
    pub(crate) async fn put(&self, body: Bytes) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(length).await {
            let _gone = self.messages.send((body, room)).await;
        }
    }
}

/// One end of a control link. The link closes when this is dropped.
pub struct ControlLink {
    conn: Arc<Conn>,
    inbox: mpsc::Receiver<Waiting>,
}

impl ControlLink {
    pub(crate) fn new(conn: Arc<Conn>) -> (Self, Inbox) {
        let (inbox, taken) = Inbox::new();
        (Self { conn, inbox: taken }, inbox)
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Fingerprint {
        self.conn.peer
    }

    /// The peer's clock minus ours, in milliseconds, when the link was made.
    pub fn skew_ms(&self) -> i64 {
        self.conn.skew_ms
    }

    /// Whether this node's clock was set since, by more than clocks may differ: the peer knows of another one.
    pub fn clock_was_set(&self) -> bool {
        self.conn.clock_was_set()
    }

    /// Differs after every restart of the peer's node.
    pub fn epoch(&self) -> [u8; 8] {
        self.conn.hello.epoch
    }

    /// A way to send that can be cloned and kept elsewhere.
    pub fn sender(&self) -> ControlSender {
        ControlSender { conn: Arc::clone(&self.conn) }
    }

    /// Sends a message; see [`ControlSender::send`].
    pub fn send<M: Serialize + ?Sized>(&self, message: &M) -> Result<(), LinkError> {
        send(&self.conn, message)
    }

    /// The next message. A message of another form is an error and is skipped; the link lives on.
    /// Cancelling the wait loses nothing.
    pub async fn recv<M: DeserializeOwned>(&mut self) -> Result<M, LinkError> {
        let body = self.inbox.recv().await;
        if self.conn.closed() == Some(CloseReason::Revoked) {
            return Err(LinkError::Closed(CloseReason::Revoked));
        }
        let (body, _room) = body.ok_or_else(|| LinkError::Closed(self.conn.reason()))?;
        serde_json::from_slice(&body).map_err(|e| LinkError::BadMessage { line: e.line(), column: e.column() })
    }

    /// Closes the link; what was sent still leaves.
    pub fn close(self) {}
}

impl Drop for ControlLink {
    fn drop(&mut self) {
        self.conn.close(CloseReason::Local);
    }
}

/// Sends on a control link.
#[derive(Clone)]
pub struct ControlSender {
    conn: Arc<Conn>,
}

impl ControlSender {
    /// Who is at the other end.
    pub fn peer(&self) -> Fingerprint {
        self.conn.peer
    }

    /// Queues a message and returns at once.
    pub fn send<M: Serialize + ?Sized>(&self, message: &M) -> Result<(), LinkError> {
        send(&self.conn, message)
    }

    /// Queues a message that was written once for many.
    pub fn send_encoded(&self, message: &Encoded) -> Result<(), LinkError> {
        queue(&self.conn, message.0.clone())
    }

    /// Waits until the queue is half empty, where it was full, or the link is gone.
    pub async fn room(&self) {
        std::future::poll_fn(|cx| self.conn.outbox.poll_drained(cx, OUTBOX / 2)).await;
    }

    /// Closes the link; what was sent still leaves.
    pub fn close(&self) {
        self.conn.close(CloseReason::Local);
    }

    /// The same, because the peer is there over a newer link.
    pub fn replace(&self) {
        self.conn.close(CloseReason::Replaced);
    }

    /// Waits until the link is closed.
    pub async fn closed(&self) -> CloseReason {
        self.conn.ended().await;
        self.conn.reason()
    }
}

/// A message as it travels, the same for everybody it is sent to.
#[derive(Clone)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Writes the message.
    pub fn new<M: Serialize + ?Sized>(message: &M) -> Result<Self, LinkError> {
        Self::within(message, MAX_CONTROL_MESSAGE)
    }

    fn within<M: Serialize + ?Sized>(message: &M, limit: usize) -> Result<Self, LinkError> {
        let body = serde_json::to_vec(message).map_err(|_| LinkError::Unwritable)?;
        if body.len() > limit {
            return Err(LinkError::TooLarge { length: body.len(), limit });
        }
        Ok(Self(Bytes::from(body)))
    }
}

fn send<M: Serialize + ?Sized>(conn: &Conn, message: &M) -> Result<(), LinkError> {
    queue(conn, Encoded::within(message, message_limit(conn.protocol))?.0)
}

fn queue(conn: &Conn, body: Bytes) -> Result<(), LinkError> {
    if let Some(reason) = conn.closed() {
        return Err(LinkError::Closed(reason));
    }
    if conn.outbox.queued() + body.len() > OUTBOX {
        return Err(LinkError::QueueFull);
    }
    conn.outbox.push(Item::frame(Frame { kind: Kind::Json, body }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long: who sends faster than is taken fills no more than so much memory.
    #[tokio::test]
    async fn f11_what_waits_to_be_taken_is_bounded_by_its_length() {
        let (inbox, mut taken) = Inbox::new();
        let longest = Bytes::from(vec![0; MAX_REPLICA_MESSAGE]);
        inbox.put(longest.clone()).await;
        inbox.put(longest.clone()).await;
        let mut third = std::pin::pin!(inbox.put(longest.clone()));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut third).await.is_err(), "no room is left");
        drop(taken.recv().await);
        third.await;
        for _ in 0..2 {
            let (body, _room) = taken.recv().await.expect("a message");
            assert_eq!(body.len(), MAX_REPLICA_MESSAGE);
        }
    }
}
