//! From a TCP connection to a link: TLS, gate, hellos.
//!
//! ```text
//! dialler                         acceptor
//!    | ---- TLS 1.3, both keys ----> |   SNI names the party, ALPN the protocol
//!  gate?                           gate?   no: REFUSED, end
//!    | -- HELLO -------------------> |
//!    |                            versions, register
//!    | <------------------- HELLO -- |
//! versions, register
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tacit_model::Fingerprint;
use tacit_model::codec::Decode;
use tacit_pki::fingerprint_of_sni;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::{TlsConnector, TlsStream};
use tracing::debug;

use crate::connection::{Conn, Ends};
use crate::error::{LinkError, Refusal};
use crate::frame::{Deframer, Frame, FrameError, Kind};
use crate::hello::{Hello, MAX_HELLO};
use crate::hub::{HostInner, HubInner, Protocol};
use crate::outbox::Item;
use crate::stream::{SharedStream, Tls};
use crate::tls;

/// Buffers below TLS, by what travels.
const MPC_BUFFER: usize = 64 << 10;
const CONTROL_BUFFER: usize = 8 << 10;
/// Waiting between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// An address that has not answered for so long is not waited for alone.
const STAGGER: Duration = Duration::from_millis(150);
/// A refused peer gets so long to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// The accepting side, from TCP to a running link.
pub(crate) async fn accept(hub: &Arc<HubInner>, tcp: TcpStream) -> Result<(), LinkError> {
    tcp.set_nodelay(true).map_err(|e| LinkError::Network(e.kind()))?;
    let stream = BufReader::with_capacity(MPC_BUFFER, tcp);
    let tls = hub.acceptor.accept(stream).await.map_err(|e| LinkError::from_tls(&e, None))?;
    let session = tls.get_ref().1;
    let party = session.server_name().and_then(fingerprint_of_sni);
    let host = party.and_then(|p| hub.party(&p)).ok_or(LinkError::ShuttingDown)?;
    let protocol = session
        .alpn_protocol()
        .and_then(Protocol::from_alpn)
        .ok_or_else(|| LinkError::Handshake("no common ALPN protocol".into()))?;
    let peer = tls::fingerprint(session.peer_certificates())?;
    let mut tls = TlsStream::from(tls);

    if !host.gate.admit(protocol, &peer) {
        refuse(tls, Refusal::NotAdmitted).await;
        return Err(LinkError::NotAdmitted(peer));
    }
    let theirs = read_hello(&mut tls).await?;
    if let Err(error) = hub.config.versions.common(theirs.versions) {
        // Our hello tells the other side what it needs to come to the same conclusion.
        let _ = write_frame(&mut tls, &hub.hello().frame()).await;
        farewell(tls).await;
        host.mesh.fail_waiters(&peer, &error);
        return Err(error);
    }
    let ends = Ends {
        protocol,
        local: host.fingerprint,
        peer,
        dialled: false,
        hello: theirs,
        skew_ms: theirs.clock.since(hub.config.clock.now()),
        clock: Arc::clone(&hub.config.clock),
    };
    let conn = Arc::new(Conn::new(hub.next_conn(), &ends, SharedStream::new(tls)));
    conn.outbox.push(Item::frame(hub.hello().frame()));
    // Asked again: the answer may have changed while the hello was read.
    let adopted = match protocol {
        _ if !host.gate.admit(protocol, &peer) => Err(Refusal::NotAdmitted),
        Protocol::Control | Protocol::Replica => host.adopt_control(&conn),
        Protocol::Mpc => host.adopt_mpc(&conn),
    };
    if let Err(refusal) = adopted {
        if let Some(tls) = conn.stream.take() {
            refuse(tls, refusal).await;
        }
        debug!(%peer, ?protocol, %refusal, "refused");
    }
    Ok(())
}

/// What the attempts of one dial need to know.
pub(crate) struct Dial<'a> {
    pub(crate) host: &'a Arc<HostInner>,
    pub(crate) peer: Fingerprint,
    pub(crate) protocol: Protocol,
    pub(crate) addrs: &'a [String],
    pub(crate) deadline: Instant,
    /// Raised while an attempt is past TCP: breaks the tie when both sides dial.
    pub(crate) under_way: &'a AtomicBool,
}

impl Dial<'_> {
    /// Tries all addresses again and again until one answers, `done` says that it is not needed
    /// any more (then there is no connection), an answer is final, or time is up. An address that answers nothing
    /// does not hold the others up.
    pub(crate) async fn run(&self, done: impl Fn() -> bool) -> Result<Option<Arc<Conn>>, LinkError> {
        if self.addrs.is_empty() {
            return Err(LinkError::NoAddress(self.peer));
        }
        if !self.host.gate.admit(self.protocol, &self.peer) {
            return Err(LinkError::NotAdmitted(self.peer));
        }
        let mut pause = FIRST_PAUSE;
        let mut last = LinkError::Deadline(self.peer);
        loop {
            let mut hopeless = true;
            let mut connecting = Connecting::new(self.addrs, self.deadline);
            loop {
                if done() {
                    return Ok(None);
                }
                let Some(connected) = connecting.next().await else { break };
                let attempt = match connected {
                    Ok(tcp) => self.shake_hands(tcp, connecting.is_last(), &done).await,
                    Err(error) => Err(error),
                };
                self.under_way.store(false, Ordering::Release);
                last = match attempt {
                    Ok(conn) => return Ok(conn),
                    Err(error) => error,
                };
                debug!(peer = %self.peer, protocol = ?self.protocol, error = %last, "dial failed");
                hopeless &= !last.is_transient();
            }
            if hopeless {
                return Err(last);
            }
            if Instant::now() + pause >= self.deadline {
                return Err(last);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// In bounded time, so that whoever does not speak leaves some to the other addresses.
    async fn shake_hands(
        &self,
        tcp: TcpStream,
        last: bool,
        done: impl Fn() -> bool,
    ) -> Result<Option<Arc<Conn>>, LinkError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = if last { left } else { left / 2 };
        let limit = share.min(self.host.hub.config.handshake_timeout);
        match tokio::time::timeout(limit, self.attempt(tcp, done)).await {
            Ok(attempt) => attempt,
            Err(_) => Err(LinkError::HandshakeTimeout),
        }
    }

    async fn attempt(&self, tcp: TcpStream, done: impl Fn() -> bool) -> Result<Option<Arc<Conn>>, LinkError> {
        let hub = &self.host.hub;
        tcp.set_nodelay(true).map_err(network)?;
        self.under_way.store(true, Ordering::Release);
        if done() {
            return Ok(None);
        }
        let buffer = if self.protocol == Protocol::Mpc { MPC_BUFFER } else { CONTROL_BUFFER };
        let tls = TlsConnector::from(self.host.client_config(self.protocol))
            .connect(tls::server_name(self.peer)?, BufReader::with_capacity(buffer, tcp))
            .await
            .map_err(|e| LinkError::from_tls(&e, Some(self.peer)))?;
        if tls.get_ref().1.alpn_protocol() != Some(self.protocol.alpn()) {
            return Err(LinkError::Handshake("no common ALPN protocol".into()));
        }
        if !self.host.gate.admit(self.protocol, &self.peer) {
            return Err(LinkError::NotAdmitted(self.peer));
        }
        let mut tls = TlsStream::from(tls);
        write_frame(&mut tls, &hub.hello().frame()).await?;
        let theirs = read_hello(&mut tls).await?;
        hub.config.versions.common(theirs.versions)?;
        let ends = Ends {
            protocol: self.protocol,
            local: self.host.fingerprint,
            peer: self.peer,
            dialled: true,
            hello: theirs,
            skew_ms: theirs.clock.since(hub.config.clock.now()),
            clock: Arc::clone(&hub.config.clock),
        };
        Ok(Some(Arc::new(Conn::new(hub.next_conn(), &ends, SharedStream::new(tls)))))
    }
}

/// TCP connections to several addresses, the next one begun when those before have failed or take long (RFC 8305).
struct Connecting<'a> {
    addrs: std::slice::Iter<'a, String>,
    begun: JoinSet<io::Result<TcpStream>>,
    deadline: Instant,
}

impl<'a> Connecting<'a> {
    fn new(addrs: &'a [String], deadline: Instant) -> Self {
        Self { addrs: addrs.iter(), begun: JoinSet::new(), deadline }
    }

    /// The next that is there, or could not be made; nothing when there are no more.
    async fn next(&mut self) -> Option<Result<TcpStream, LinkError>> {
        loop {
            if let Some(addr) = self.addrs.next().cloned() {
                self.begun.spawn(async move { TcpStream::connect(addr).await });
            }
            let limit = match self.addrs.len() {
                0 => self.deadline,
                _ => self.deadline.min(Instant::now() + STAGGER),
            };
            match tokio::time::timeout_at(limit, self.begun.join_next()).await {
                Ok(ended) => return ended.map(|ended| ended.map_err(io::Error::from).flatten().map_err(network)),
                Err(_) if limit < self.deadline => {}
                Err(_) => {
                    *self = Self::new(&[], self.deadline);
                    return Some(Err(LinkError::HandshakeTimeout));
                }
            }
        }
    }

    fn is_last(&self) -> bool {
        self.addrs.len() == 0 && self.begun.is_empty()
    }
}

fn network(error: io::Error) -> LinkError {
    LinkError::Network(error.kind())
}

async fn read_hello(tls: &mut Tls) -> Result<Hello, LinkError> {
    let frame = read_frame(tls).await?;
    match frame.kind {
        Kind::Hello => Ok(Hello::from_bytes(&frame.body).map_err(FrameError::from)?),
        Kind::Refused => Err(LinkError::PeerRefused(Refusal::from_byte(frame.body.first().copied().unwrap_or(0)))),
        other => Err(FrameError::Unexpected(other).into()),
    }
}

/// Reads exactly one short frame; what follows stays in the stream.
async fn read_frame(tls: &mut Tls) -> Result<Frame, LinkError> {
    let mut deframer = Deframer::new(MAX_HELLO);
    loop {
        let chunk = tls.fill_buf().await.map_err(|e| LinkError::from_tls(&e, None))?;
        if chunk.is_empty() {
            return Err(LinkError::Network(io::ErrorKind::UnexpectedEof));
        }
        let mut rest = chunk;
        let frame = deframer.feed(&mut rest)?;
        let taken = chunk.len() - rest.len();
        tls.consume(taken);
        if let Some(frame) = frame {
            return Ok(frame);
        }
    }
}

async fn write_frame(tls: &mut Tls, frame: &Frame) -> Result<(), LinkError> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    tls.write_all(&out).await.map_err(|e| LinkError::from_tls(&e, None))?;
    tls.flush().await.map_err(|e| LinkError::from_tls(&e, None))
}

async fn refuse(mut tls: Tls, refusal: Refusal) {
    let frame = Frame { kind: Kind::Refused, body: Bytes::copy_from_slice(&[refusal.to_byte()]) };
    if write_frame(&mut tls, &frame).await.is_ok() {
        farewell(tls).await;
    }
}

/// Ends politely: closing a socket with unread bytes in it would reset it, and the peer would
/// never read why.
async fn farewell(mut tls: Tls) {
    let _ = tokio::time::timeout(FAREWELL, async {
        let _ = tls.shutdown().await;
        let mut sink = [0; 512];
        for _ in 0..8 {
            if !matches!(tls.read(&mut sink).await, Ok(n) if n > 0) {
                break;
            }
        }
    })
    .await;
}
