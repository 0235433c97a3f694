//! What waits to be written to one link, and the loop that writes it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tacit_model::SessionId;

use crate::frame::{DATA_OVERHEAD, Frame, HEAD, Kind, data_head, head};
use crate::stream::{SharedStream, lock, write_all};
use crate::traffic::Sent;

/// One write gathers about so much.
const GATHER: usize = 256 << 10;
/// Larger messages are written from their own buffer, smaller ones copied together.
const COPY_BELOW: usize = 16 << 10;

/// A frame ready to go.
pub(crate) struct Item {
    head: [u8; DATA_OVERHEAD],
    head_length: usize,
    body: Bytes,
}

impl Item {
    pub(crate) fn data(session: SessionId, more: bool, body: Bytes) -> Self {
        Self { head: data_head(session, more, body.len()), head_length: DATA_OVERHEAD, body }
    }

    pub(crate) fn close(session: SessionId) -> Self {
        Self::frame(Frame { kind: Kind::Close, body: Bytes::copy_from_slice(&session.0) })
    }

    pub(crate) fn frame(frame: Frame) -> Self {
        let mut out = [0; DATA_OVERHEAD];
        out[..HEAD].copy_from_slice(&head(frame.kind, frame.body.len()));
        Self { head: out, head_length: HEAD, body: frame.body }
    }

    /// Bytes on the wire, before TLS.
    pub(crate) fn len(&self) -> usize {
        self.head_length + self.body.len()
    }
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    writer: Option<Waker>,
    drained: Vec<Waker>,
    closed: bool,
}

/// The queue of one link. Sending never blocks; who sends much watches [`Outbox::queued`].
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    queued: AtomicUsize,
    /// Something was written since [`Outbox::is_stuck`] last looked.
    moved: AtomicBool,
}

impl Outbox {
    /// Queues a frame; after the end it is dropped.
    pub(crate) fn push(&self, item: Item) {
        let waker = {
            let mut waiting = lock(&self.waiting);
            if waiting.closed {
                return;
            }
            self.queued.fetch_add(item.len(), Ordering::Relaxed);
            waiting.items.push_back(item);
            waiting.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Bytes not yet handed to TLS.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether something waits and nothing of it could be written since the last look.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.moved.swap(false, Ordering::Relaxed) && self.queued() > 0
    }

    /// Ready once at most `below` bytes wait, or the link is gone.
    pub(crate) fn poll_drained(&self, cx: &Context<'_>, below: usize) -> Poll<()> {
        let mut waiting = lock(&self.waiting);
        if waiting.closed || self.queued() <= below {
            return Poll::Ready(());
        }
        if !waiting.drained.iter().any(|w| w.will_wake(cx.waker())) {
            waiting.drained.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Nothing more is taken; what waits is still written.
    pub(crate) fn close(&self) {
        let (writer, drained) = {
            let mut waiting = lock(&self.waiting);
            waiting.closed = true;
            (waiting.writer.take(), std::mem::take(&mut waiting.drained))
        };
        for waker in drained.into_iter().chain(writer) {
            waker.wake();
        }
    }

    /// Lets go what waits, once nobody writes it any more: sessions hold a link longer than it lasts.
    pub(crate) fn discard(&self) {
        drop(std::mem::take(&mut lock(&self.waiting).items));
    }

    /// Moves all that waits to `batch`; ready with false at the end.
    fn poll_batch(&self, cx: &Context<'_>, batch: &mut VecDeque<Item>) -> Poll<bool> {
        let mut waiting = lock(&self.waiting);
        if !waiting.items.is_empty() {
            std::mem::swap(&mut waiting.items, batch);
            return Poll::Ready(true);
        }
        if waiting.closed {
            return Poll::Ready(false);
        }
        waiting.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn written(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
        let drained = std::mem::take(&mut lock(&self.waiting).drained);
        for waker in drained {
            waker.wake();
        }
    }

    /// Writes until the queue is closed and empty, then ends the stream. What was written is told.
    pub(crate) async fn write_to(&self, stream: &SharedStream, sent: impl Fn(Sent)) -> io::Result<()> {
        let mut batch = VecDeque::new();
        let mut copied = Vec::new();
        while std::future::poll_fn(|cx| self.poll_batch(cx, &mut batch)).await {
            while !batch.is_empty() {
                let before = batch.len();
                let bytes = write_some(stream, &mut batch, &mut copied, &self.moved).await?;
                let frames = before - batch.len();
                sent(Sent { frames: frames as u64, bytes: bytes as u64 });
                self.written(bytes);
            }
            std::future::poll_fn(|cx| stream.poll_flush(cx)).await?;
        }
        std::future::poll_fn(|cx| stream.poll_shutdown(cx)).await
    }
}

/// Writes the front of the batch with one gathering write.
async fn write_some(
    stream: &SharedStream,
    batch: &mut VecDeque<Item>,
    copied: &mut Vec<u8>,
    moved: &AtomicBool,
) -> io::Result<usize> {
    copied.clear();
    let mut large: Vec<(usize, Bytes)> = Vec::new();
    let mut total = 0;
    while total < GATHER {
        let Some(item) = batch.pop_front() else { break };
        total += item.len();
        copied.extend_from_slice(&item.head[..item.head_length]);
        if item.body.len() < COPY_BELOW {
            copied.extend_from_slice(&item.body);
        } else {
            large.push((copied.len(), item.body));
        }
    }
    if large.is_empty() {
        write_all(stream, &mut [IoSlice::new(copied)], moved).await?;
    } else {
        let mut parts = Vec::with_capacity(2 * large.len() + 1);
        let mut start = 0;
        for (end, body) in &large {
            parts.push(IoSlice::new(&copied[start..*end]));
            parts.push(IoSlice::new(body));
            start = *end;
        }
        if start < copied.len() {
            parts.push(IoSlice::new(&copied[start..]));
        }
        write_all(stream, &mut parts, moved).await?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However slow: whoever takes a part of a frame now and then is not taken for one that reads nothing.
    #[test]
    fn only_what_waits_while_nothing_moves_is_stuck() {
        let outbox = Outbox::default();
        assert!(!outbox.is_stuck(), "nothing waits");
        outbox.push(Item::close(SessionId([0; 16])));
        assert!(outbox.is_stuck());
        outbox.moved.store(true, Ordering::Relaxed);
        assert!(!outbox.is_stuck());
        assert!(outbox.is_stuck());
    }

    #[test]
    fn what_nobody_will_write_is_not_kept() {
        let (outbox, body) = (Outbox::default(), Bytes::from(vec![1; 10]));
        let push = || outbox.push(Item::data(SessionId([0; 16]), false, body.clone()));
        push();
        outbox.close();
        assert!(!body.is_unique(), "it may still leave");
        outbox.discard();
        push();
        assert!(body.is_unique());
    }
}
