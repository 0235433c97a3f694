use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tacit_model::{Clock, SystemClock};

use crate::error::LinkError;
use crate::frame::{MAX_FRAME, MIN_FRAME};
use crate::hello::VersionRange;

/// What the engine lets wait of one member (its `PARKED_HARD_LIMIT`): a longer message, or more of them, no session could
/// take. Beside that one more may be on its way in fragments.
const MESSAGE: usize = 64 << 20;

/// Settings of a node's links.
#[derive(Clone)]
pub struct LinkConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The largest frame accepted, 1 KiB to 16 MiB.
    pub max_frame: usize,
    /// The largest message of a session, all fragments together.
    pub max_message: usize,
    /// How much of one peer may wait in one session to be taken before the peer counts as lost, where the session does not
    /// say more ([`SessionPort::let_wait`](crate::SessionPort::let_wait)).
    pub max_waiting: usize,
    /// How much of one peer may wait so in all sessions of a party together. Sessions take what comes at once, so that of an honest
    /// peer hardly more waits than the message that it is sending, and what had come before its session was open.
    pub max_waiting_in_all: usize,
    /// TLS and hello together.
    pub handshake_timeout: Duration,
    /// Handshakes at once.
    pub max_pending_handshakes: usize,
    /// Handshakes at once from one address (IPv6: one /64 network).
    pub max_pending_per_source: usize,
    /// An MPC link without an open session closes after so long.
    pub idle_link: Duration,
    /// A control link is pinged so often, and dead after twice as long in silence.
    pub keep_alive: Duration,
    /// The same for MPC links; longer, since a peer may compute for a while.
    pub keep_alive_mpc: Duration,
    /// A link closes of which nothing could be written for so long although something waited. A slow peer reads
    /// something in that time.
    pub unread: Duration,
    /// A link closes on which more bytes wait for its peer, who reads, but too slowly for what the sessions have for it.
    pub max_queued: usize,
    /// Bytes that may wait on one link for sessions that are not open yet.
    pub parked_bytes: usize,
    /// Sessions that may wait so on one link.
    pub parked_sessions: usize,
    /// How long they may.
    pub parked_time: Duration,
    /// See [`SessionPort::set_spin`](crate::SessionPort::set_spin); zero is off.
    pub spin: Duration,
    /// Protocol versions to offer; anything but the default is for tests.
    pub versions: VersionRange,
    /// The clock told in hellos.
    pub clock: Arc<dyn Clock>,
}

impl LinkConfig {
    /// The usual settings.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            max_frame: MAX_FRAME,
            max_message: MESSAGE,
            max_waiting: 2 * MESSAGE,
            max_waiting_in_all: 3 * MESSAGE,
            handshake_timeout: Duration::from_secs(10),
            max_pending_handshakes: 1024,
            max_pending_per_source: 256,
            idle_link: Duration::from_secs(60),
            keep_alive: Duration::from_secs(5),
            keep_alive_mpc: Duration::from_secs(15),
            unread: Duration::from_secs(60),
            max_queued: 512 << 20,
            parked_bytes: 64 << 20,
            parked_sessions: 64,
            parked_time: Duration::from_secs(30),
            spin: Duration::ZERO,
            versions: VersionRange::CURRENT,
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) fn check(&self) -> Result<(), LinkError> {
        if !(MIN_FRAME..=MAX_FRAME).contains(&self.max_frame) {
            return Err(LinkError::Config("max_frame must be between 1 KiB and 16 MiB"));
        }
        if self.versions.min > self.versions.max {
            return Err(LinkError::Config("versions: min is above max"));
        }
        let timeouts = [self.handshake_timeout, self.idle_link, self.keep_alive, self.keep_alive_mpc, self.unread];
        if timeouts.iter().any(Duration::is_zero) {
            return Err(LinkError::Config("time-outs must not be zero"));
        }
        Ok(())
    }
}
