//! Frames: `length (4, big-endian) | kind (1) | body`. The length counts kind and body, so it is
//! never zero.
//!
//! A DATA body is `session id (16) | flags (1) | message`; bit 0 of the flags says that more
//! fragments of the same message follow, the other bits are zero. Pure functions; no I/O.

use bytes::{Buf, Bytes};
use tacit_model::SessionId;
use tacit_model::codec::DecodeError;

/// Bytes in front of a frame's body.
pub const HEAD: usize = 5;
/// What a DATA frame adds to its message.
pub const DATA_OVERHEAD: usize = HEAD + DATA_HEAD;
/// The largest frame any configuration can allow.
pub const MAX_FRAME: usize = 16 << 20;
/// The smallest limit a configuration may set.
pub const MIN_FRAME: usize = 1 << 10;
/// Session id and flags.
const DATA_HEAD: usize = 17;
/// Flag: more fragments of this message follow.
const MORE: u8 = 1;
/// What is reserved for a body before its bytes arrive.
const FIRST_RESERVE: usize = 1 << 20;

/// What a frame is. The numbers are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// First on every link, both ways.
    Hello = 1,
    /// Instead of a hello: no, and why.
    Refused = 2,
    /// A message of a session, or a fragment of one.
    Data = 3,
    /// The sender left this session.
    Close = 4,
    /// Are you there?
    Ping = 5,
    /// Yes.
    Pong = 6,
    /// A control message.
    Json = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Result<Self, FrameError> {
        Ok(match byte {
            1 => Self::Hello,
            2 => Self::Refused,
            3 => Self::Data,
            4 => Self::Close,
            5 => Self::Ping,
            6 => Self::Pong,
            7 => Self::Json,
            other => return Err(FrameError::UnknownKind(other)),
        })
    }
}

/// How a peer can break the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Length zero: not even a kind.
    #[error("empty frame")]
    Empty,
    /// Longer than this side allows.
    #[error("frame of {length} bytes, the limit is {limit}")]
    TooLong {
        /// What the frame claims.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A kind this version does not know.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// A kind that has no place here.
    #[error("frame {0:?} has no place here")]
    Unexpected(Kind),
    /// A body that does not decode.
    #[error("frame body: {0}")]
    Malformed(#[from] DecodeError),
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// What follows the kind.
    pub body: Bytes,
}

impl Frame {
    /// Appends the wire form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&head(self.kind, self.body.len()));
        out.extend_from_slice(&self.body);
    }

    /// Reads one frame that fills the bytes exactly.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, FrameError> {
        let mut rest = bytes;
        let frame = Deframer::new(limit).feed(&mut rest)?.ok_or(FrameError::Malformed(DecodeError::Truncated))?;
        if rest.is_empty() { Ok(frame) } else { Err(FrameError::Malformed(DecodeError::LeftOver)) }
    }
}

/// The five bytes in front of a body. Bodies are below [`MAX_FRAME`] everywhere.
pub(crate) fn head(kind: Kind, body: usize) -> [u8; HEAD] {
    let [a, b, c, d] = u32::try_from(body + 1).unwrap_or(u32::MAX).to_be_bytes();
    [a, b, c, d, kind as u8]
}

/// Everything of a DATA frame in front of its message.
pub(crate) fn data_head(session: SessionId, more: bool, message: usize) -> [u8; DATA_OVERHEAD] {
    let mut out = [0; DATA_OVERHEAD];
    out[..HEAD].copy_from_slice(&head(Kind::Data, DATA_HEAD + message));
    out[HEAD..HEAD + 16].copy_from_slice(&session.0);
    out[DATA_OVERHEAD - 1] = if more { MORE } else { 0 };
    out
}

/// A DATA body taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Which session it belongs to.
    pub session: SessionId,
    /// Whether more fragments of the message follow.
    pub more: bool,
    /// The message or fragment.
    pub body: Bytes,
}

impl Data {
    /// Reads a DATA body without copying the message.
    pub fn decode(mut body: Bytes) -> Result<Self, FrameError> {
        let (id, rest) = body.split_first_chunk::<16>().ok_or(DecodeError::Truncated)?;
        let session = SessionId(*id);
        let more = match rest.first() {
            Some(0) => false,
            Some(&MORE) => true,
            Some(_) => return Err(DecodeError::Unknown.into()),
            None => return Err(DecodeError::Truncated.into()),
        };
        body.advance(DATA_HEAD);
        Ok(Self { session, more, body })
    }
}

/// Cuts a stream of bytes into frames. A length is checked before anything is kept for it.
#[derive(Debug)]
pub struct Deframer {
    limit: usize,
    head: [u8; HEAD],
    have: usize,
    body: Vec<u8>,
}

impl Deframer {
    /// Frames of at most `limit` bytes, kind included.
    pub fn new(limit: usize) -> Self {
        Self { limit, head: [0; HEAD], have: 0, body: Vec::new() }
    }

    /// Takes bytes off the front of `input` until a frame is complete or `input` is empty.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        if self.have < HEAD {
            let count = (HEAD - self.have).min(input.len());
            let (head, rest) = input.split_at(count);
            self.head[self.have..self.have + count].copy_from_slice(head);
            self.have += count;
            *input = rest;
        }
        // The length is judged as soon as it is there, the kind only with it.
        if self.have < HEAD {
            if self.have >= 4 {
                self.length()?;
            }
            return Ok(None);
        }
        let want = self.length()? - 1;
        let kind = Kind::from_byte(self.head[HEAD - 1])?;
        if self.body.is_empty() && input.len() >= want {
            let (body, rest) = input.split_at(want);
            *input = rest;
            self.have = 0;
            return Ok(Some(Frame { kind, body: Bytes::copy_from_slice(body) }));
        }
        if self.body.capacity() == 0 {
            self.body.reserve_exact(want.min(FIRST_RESERVE));
        }
        let count = (want - self.body.len()).min(input.len());
        let (body, rest) = input.split_at(count);
        self.body.extend_from_slice(body);
        *input = rest;
        if self.body.len() < want {
            return Ok(None);
        }
        self.have = 0;
        Ok(Some(Frame { kind, body: Bytes::from(core::mem::take(&mut self.body)) }))
    }

    fn length(&self) -> Result<usize, FrameError> {
        let [a, b, c, d, _] = self.head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
