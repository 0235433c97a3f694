//! One TLS stream used by a reading and a writing task at once.
//!
//! `tokio::io::split` would do, but hides the connection, and the exporter of RFC 8446 section 7.5
//! is asked for secrets while the stream is in use.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use zeroize::Zeroizing;

use crate::error::CloseReason;
use crate::frame::{Deframer, Frame};

/// The stream of a link. The buffer below TLS saves system calls on bulk data.
pub(crate) type Tls = TlsStream<BufReader<TcpStream>>;

/// How much encrypted data may wait inside TLS: what one system call can take.
const TLS_BUFFER: usize = 320 << 10;
/// So many bytes of a frame say as much as a whole one that the peer is there: a long frame may take its time on a slow line. Not a
/// byte alone, or who sends one now and then keeps a link, and what came of the frame, for ever.
const SIGN_OF_LIFE: usize = 64 << 10;
/// After so many frames, or bytes of them, what was read is delivered.
const FRAMES_PER_READ: usize = 256;
const BYTES_PER_READ: usize = 1 << 20;

/// Locks, also after a panic elsewhere: every critical section here leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stream while the link lives; nothing afterwards, whoever still holds the link.
pub(crate) struct SharedStream(Mutex<Option<Tls>>);

impl SharedStream {
    pub(crate) fn new(mut tls: Tls) -> Self {
        match &mut tls {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER)),
        }
        Self(Mutex::new(Some(tls)))
    }

    /// Takes the stream out; everything else fails from now on.
    pub(crate) fn take(&self) -> Option<Tls> {
        lock(&self.0).take()
    }

    /// A secret of this connection and `context` that only its two ends can compute.
    pub(crate) fn export(&self, label: &[u8], context: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let mut secret = Zeroizing::new([0; 32]);
        let stream = lock(&self.0);
        match stream.as_ref()? {
            TlsStream::Client(s) => s.get_ref().1.export_keying_material(&mut *secret, label, Some(context)),
            TlsStream::Server(s) => s.get_ref().1.export_keying_material(&mut *secret, label, Some(context)),
        }
        .ok()?;
        Some(secret)
    }

    fn with<R>(&self, f: impl FnOnce(Pin<&mut Tls>) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match lock(&self.0).as_mut() {
            Some(tls) => f(Pin::new(tls)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.with(|tls| match parts {
            [one] => tls.poll_write(cx, one),
            many => tls.poll_write_vectored(cx, many),
        })
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|tls| tls.poll_flush(cx))
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|tls| tls.poll_shutdown(cx))
    }
}

/// The reading side: bytes to frames.
pub(crate) struct FrameReader {
    deframer: Deframer,
    /// Bytes since the last sign of life.
    unheard: usize,
    ended: Option<CloseReason>,
}

impl FrameReader {
    pub(crate) fn new(limit: usize) -> Self {
        Self { deframer: Deframer::new(limit), unheard: 0, ended: None }
    }

    /// Appends whole frames to `out` as long as data is there; ready when there is at least one,
    /// or with the reason for which there will be none. `heard` is set at each sign of life.
    pub(crate) fn poll_frames(
        &mut self,
        stream: &SharedStream,
        cx: &mut Context<'_>,
        out: &mut Vec<Frame>,
        heard: &AtomicBool,
    ) -> Poll<Result<(), CloseReason>> {
        let mut guard = lock(&stream.0);
        let mut bytes = 0;
        // A frame can be longer than the bound: tokio's own budget lets others run meanwhile.
        while self.ended.is_none() && out.len() < FRAMES_PER_READ && (out.is_empty() || bytes < BYTES_PER_READ) {
            let Some(tls) = guard.as_mut() else {
                self.ended = Some(CloseReason::Local);
                break;
            };
            let mut tls = Pin::new(tls);
            let taken = match tls.as_mut().poll_fill_buf(cx) {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok([])) => {
                    self.ended = Some(CloseReason::Disconnected);
                    break;
                }
                Poll::Ready(Ok(chunk)) => {
                    let mut rest = chunk;
                    loop {
                        match self.deframer.feed(&mut rest) {
                            Ok(Some(frame)) => out.push(frame),
                            Ok(None) => break,
                            Err(error) => {
                                self.ended = Some(CloseReason::Misbehaved(error));
                                break;
                            }
                        }
                    }
                    chunk.len()
                }
                Poll::Ready(Err(error)) => {
                    self.ended = Some(match error.kind() {
                        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => CloseReason::Disconnected,
                        kind => CloseReason::Network(kind),
                    });
                    break;
                }
            };
            bytes += taken;
            tls.consume(taken);
            self.unheard += taken;
            if self.unheard >= SIGN_OF_LIFE || !out.is_empty() {
                self.unheard = 0;
                heard.store(true, Ordering::Relaxed);
            }
        }
        if out.is_empty() {
            Poll::Ready(Err(self.ended.unwrap_or(CloseReason::Disconnected)))
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

/// Writes all parts, in as few calls as the stream allows; `moved` is set whenever it takes some of them.
pub(crate) async fn write_all(stream: &SharedStream, parts: &mut [IoSlice<'_>], moved: &AtomicBool) -> io::Result<()> {
    let mut rest = parts;
    std::future::poll_fn(|cx| {
        while !rest.is_empty() {
            match ready!(stream.poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => IoSlice::advance_slices(&mut rest, count),
            }
            moved.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    })
    .await
}
