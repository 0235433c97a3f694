//! One established connection: its queue, its state, and the tasks that serve it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tacit_model::{CLOCK_SKEW_MS, Clock, Fingerprint, SessionId, UnixMillis};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::control::Inbox;
use crate::error::CloseReason;
use crate::frame::{Data, Frame, FrameError, Kind};
use crate::hello::Hello;
use crate::hub::{HostInner, Protocol};
use crate::outbox::{Item, Outbox};
use crate::stream::{FrameReader, SharedStream, lock};

/// How long the last frames may take to leave.
const LINGER: Duration = Duration::from_secs(2);
/// No answer to a ping is queued behind more than this.
const PONG_BELOW: usize = 1 << 20;

pub(crate) struct Conn {
    /// Unique in its hub.
    pub(crate) id: u64,
    pub(crate) protocol: Protocol,
    pub(crate) local: Fingerprint,
    pub(crate) peer: Fingerprint,
    /// Whether this side dialled.
    pub(crate) dialled: bool,
    /// The peer's first frame.
    pub(crate) hello: Hello,
    /// The peer's clock minus ours when its hello arrived.
    pub(crate) skew_ms: i64,
    clock: Arc<dyn Clock>,
    /// When it was made, by that clock and by the steady one.
    made: (UnixMillis, Instant),
    pub(crate) outbox: Outbox,
    pub(crate) stream: SharedStream,
    /// Something arrived since the janitor last looked.
    pub(crate) heard: AtomicBool,
    /// What arrived waits for its reader here, and nothing more is read meanwhile.
    pub(crate) held_up: AtomicBool,
    /// Somebody asked for this link since the janitor last looked.
    pub(crate) touched: AtomicBool,
    /// Open sessions on it.
    pub(crate) sessions: AtomicUsize,
    /// Frames that belonged to no open session of the peer.
    pub(crate) dropped: AtomicUsize,
    closed: Mutex<Option<CloseReason>>,
    stop: CancellationToken,
    abort: CancellationToken,
}

/// What the two ends know when a connection is made.
pub(crate) struct Ends {
    pub(crate) protocol: Protocol,
    pub(crate) local: Fingerprint,
    pub(crate) peer: Fingerprint,
    pub(crate) dialled: bool,
    pub(crate) hello: Hello,
    pub(crate) skew_ms: i64,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Conn {
    pub(crate) fn new(id: u64, ends: &Ends, stream: SharedStream) -> Self {
        Self {
            id,
            protocol: ends.protocol,
            local: ends.local,
            peer: ends.peer,
            dialled: ends.dialled,
            hello: ends.hello,
            skew_ms: ends.skew_ms,
            clock: Arc::clone(&ends.clock),
            made: (ends.clock.now(), Instant::now()),
            outbox: Outbox::default(),
            stream,
            heard: AtomicBool::new(true),
            held_up: AtomicBool::new(false),
            touched: AtomicBool::new(true),
            sessions: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            closed: Mutex::new(None),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Ends the connection; the first reason stays.
    pub(crate) fn close(&self, reason: CloseReason) {
        {
            let mut closed = lock(&self.closed);
            if closed.is_some() {
                return;
            }
            *closed = Some(reason);
        }
        self.outbox.close();
        if !matches!(reason, CloseReason::Idle | CloseReason::Local | CloseReason::Shutdown | CloseReason::Disconnected)
        {
            self.abort.cancel();
        }
        self.stop.cancel();
    }

    /// Whether the clock that was told to the peer was set since, by more than clocks may differ.
    pub(crate) fn clock_was_set(&self) -> bool {
        let (then, steady) = self.made;
        let passed = i64::try_from(steady.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.clock.now().since(then).saturating_sub(passed).saturating_abs() > CLOCK_SKEW_MS
    }

    /// Why it ended, if it did.
    pub(crate) fn closed(&self) -> Option<CloseReason> {
        *lock(&self.closed)
    }

    pub(crate) fn reason(&self) -> CloseReason {
        self.closed().unwrap_or(CloseReason::Disconnected)
    }

    /// Resolves when the connection is closed.
    pub(crate) async fn ended(&self) {
        self.stop.cancelled().await;
    }
}

/// Where the frames of a connection go.
pub(crate) enum Sink {
    Mesh(Arc<HostInner>),
    Control(Inbox),
}

/// Serves a connection until it ends.
pub(crate) async fn serve(host: Arc<HostInner>, conn: Arc<Conn>, sink: Sink, limit: usize) {
    debug!(peer = %conn.peer, protocol = ?conn.protocol, "link up");
    let writer = tokio::spawn({
        let (conn, traffic) = (Arc::clone(&conn), host.hub.traffic.clone());
        async move {
            let result = tokio::select! {
                biased;
                () = conn.abort.cancelled() => Ok(()),
                result = conn.outbox.write_to(&conn.stream, |sent| traffic.count(conn.protocol, sent)) => result,
            };
            if let Err(error) = result {
                conn.close(CloseReason::Network(error.kind()));
            }
        }
    });
    let reason = tokio::select! {
        biased;
        () = conn.stop.cancelled() => conn.reason(),
        reason = read(&conn, &sink, limit) => reason,
    };
    conn.close(reason);
    let reason = conn.reason();
    host.forget(&conn);
    drop(sink);
    if tokio::time::timeout(LINGER, writer).await.is_err() {
        conn.abort.cancel();
    }
    conn.stream.take();
    conn.outbox.discard();
    debug!(peer = %conn.peer, protocol = ?conn.protocol, %reason, "link down");
}

async fn read(conn: &Arc<Conn>, sink: &Sink, limit: usize) -> CloseReason {
    let mut reader = FrameReader::new(limit);
    let mut frames = Vec::new();
    loop {
        let next = std::future::poll_fn(|cx| reader.poll_frames(&conn.stream, cx, &mut frames, &conn.heard));
        if let Err(reason) = next.await {
            return reason;
        }
        for frame in frames.drain(..) {
            if let Err(error) = dispatch(conn, sink, frame).await {
                return CloseReason::Misbehaved(error);
            }
        }
    }
}

async fn dispatch(conn: &Arc<Conn>, sink: &Sink, frame: Frame) -> Result<(), FrameError> {
    match (frame.kind, sink) {
        (Kind::Data, Sink::Mesh(host)) => host.mesh.data(conn, Data::decode(frame.body)?),
        (Kind::Close, Sink::Mesh(host)) => host.mesh.peer_left(conn, session_of(&frame)?),
        (Kind::Json, Sink::Control(inbox)) => {
            conn.held_up.store(true, Ordering::Relaxed);
            inbox.put(frame.body).await;
            conn.held_up.store(false, Ordering::Relaxed);
        }
        (Kind::Ping, _) => {
            if conn.outbox.queued() < PONG_BELOW {
                conn.outbox.push(Item::frame(Frame { kind: Kind::Pong, body: Bytes::new() }));
            }
        }
        (Kind::Pong, _) => {}
        (kind, _) => return Err(FrameError::Unexpected(kind)),
    }
    Ok(())
}

fn session_of(frame: &Frame) -> Result<SessionId, FrameError> {
    use tacit_model::codec::Decode;
    Ok(SessionId::from_bytes(&frame.body)?)
}
