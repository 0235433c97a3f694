use std::io;

use tacit_model::{Fingerprint, SessionId};

use crate::frame::FrameError;
use crate::hello::VersionRange;

/// What can go wrong with links, grouped by fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The network failed.
    #[error("network: {0}")]
    Network(io::ErrorKind),
    /// Time ran out.
    #[error("no link with {0} before the deadline: is the peer running and its address right?")]
    Deadline(Fingerprint),
    /// A wait inside the handshake was too long.
    #[error("the peer did not finish the handshake in time")]
    HandshakeTimeout,
    /// Nobody gave an address.
    #[error("no address known for {0}")]
    NoAddress(Fingerprint),

    /// TLS failed; the text never holds data.
    #[error("TLS handshake: {0}")]
    Handshake(String),
    /// Somebody else holds the address.
    #[error("the peer at this address does not hold the key of {0}: compare fingerprints again")]
    WrongPeer(Fingerprint),
    /// The peer said no.
    #[error("refused by the peer: {0}")]
    PeerRefused(Refusal),
    /// No protocol version in common.
    #[error("no common protocol version: ours {ours}, theirs {theirs}; update the older node")]
    Version {
        /// What this node speaks.
        ours: VersionRange,
        /// What the peer speaks.
        theirs: VersionRange,
    },
    /// The peer broke the frame format.
    #[error("peer misbehaved: {0}")]
    Frame(#[from] FrameError),
    /// A control message that is not of the expected form; where, but not what.
    #[error("control message not understood at line {line}, column {column}")]
    BadMessage {
        /// Line in the JSON text.
        line: usize,
        /// Column in the JSON text.
        column: usize,
    },

    /// This host's gate does not admit the peer.
    #[error("{0} is not admitted here")]
    NotAdmitted(Fingerprint),
    /// The link ended.
    #[error("link closed: {0}")]
    Closed(CloseReason),
    /// There is no link with this peer.
    #[error("not linked with {0}")]
    NotLinked(Fingerprint),
    /// The id is or was in use here.
    #[error("session {0} is or was already open here")]
    DuplicateSession(SessionId),
    /// The list of peers names this host or names a peer twice.
    #[error("a session's peers must be distinct and not this host")]
    BadPeers,
    /// There is no peer with this index.
    #[error("the session has no peer number {0}")]
    NoSuchPeer(usize),
    /// A message above its limit.
    #[error("message of {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Its length.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The peer does not read and the queue is full.
    #[error("the peer does not read: queue full")]
    QueueFull,
    /// A value that JSON cannot hold.
    #[error("control message cannot be written as JSON")]
    Unwritable,
    /// Wrong use or configuration.
    #[error("configuration: {0}")]
    Config(&'static str),
    /// The hub is going down.
    #[error("shutting down")]
    ShuttingDown,
}

impl LinkError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Network(_)
            | Self::Deadline(_)
            | Self::HandshakeTimeout
            | Self::Closed(_)
            | Self::NotLinked(_)
            | Self::QueueFull
            | Self::Handshake(_) => true,
            Self::PeerRefused(refusal) => !matches!(refusal, Refusal::NotAdmitted),
            _ => false,
        }
    }

    /// Names the fault behind an I/O error of the TLS layer.
    pub(crate) fn from_tls(error: &io::Error, peer: Option<Fingerprint>) -> Self {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match (inner, peer) {
            (
                Some(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure)),
                Some(peer),
            ) => Self::WrongPeer(peer),
            (Some(tls), _) => Self::Handshake(tls.to_string()),
            (None, _) => Self::Network(error.kind()),
        }
    }
}

/// Why a peer refused a link. Travels as one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer's gate does not admit this host.
    #[error("not admitted there")]
    NotAdmitted,
    /// Both dialled at once and the other connection is the one to keep.
    #[error("another connection of the pair is being set up")]
    Duplicate,
    /// Nobody takes such links there, or too many wait.
    #[error("no capacity for such links there")]
    Busy,
    /// A reason of a newer version.
    #[error("for a reason this version does not know")]
    Other,
}

impl Refusal {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::NotAdmitted => 1,
            Self::Duplicate => 2,
            Self::Busy => 3,
            Self::Other => 0,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::NotAdmitted,
            2 => Self::Duplicate,
            3 => Self::Busy,
            _ => Self::Other,
        }
    }
}

/// Why a link, or a peer's part in a session, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed its side of the session.
    #[error("the peer left the session")]
    PeerLeft,
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Disconnected,
    /// The network failed.
    #[error("network: {0}")]
    Network(io::ErrorKind),
    /// Nothing was heard for too long.
    #[error("nothing heard from the peer")]
    Silent,
    /// Nothing could be written for too long, although something waited.
    #[error("the peer does not read what it is sent")]
    Unread,
    /// The gate does not admit the peer any more, or the link was closed by hand.
    #[error("the peer is no longer admitted")]
    Revoked,
    /// A newer connection of the same pair took over.
    #[error("replaced by a newer connection")]
    Replaced,
    /// Unused for long.
    #[error("idle")]
    Idle,
    /// The peer broke the frame format.
    #[error("peer misbehaved: {0}")]
    Misbehaved(FrameError),
    /// More arrived than may wait.
    #[error("the peer sent more than may wait to be read")]
    Overflow,
    /// This side dropped the link.
    #[error("closed at this side")]
    Local,
    /// The hub went down.
    #[error("shutting down")]
    Shutdown,
}
