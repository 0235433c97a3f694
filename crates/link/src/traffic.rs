//! What a node has sent over its links, by protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hub::Protocol;

/// Frames and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames.
    pub frames: u64,
    /// Bytes of frames with their heads, before TLS.
    pub bytes: u64,
}

/// Counts what all links of a node send after their handshakes, also those that have ended. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<[Counter; 3]>);

#[derive(Debug, Default)]
struct Counter {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// What was sent so far.
    pub fn sent(&self, protocol: Protocol) -> Sent {
        let counter = self.counter(protocol);
        Sent { frames: counter.frames.load(Ordering::Relaxed), bytes: counter.bytes.load(Ordering::Relaxed) }
    }

    pub(crate) fn count(&self, protocol: Protocol, sent: Sent) {
        let counter = self.counter(protocol);
        counter.frames.fetch_add(sent.frames, Ordering::Relaxed);
        counter.bytes.fetch_add(sent.bytes, Ordering::Relaxed);
    }

    fn counter(&self, protocol: Protocol) -> &Counter {
        let [control, mpc, replica] = &*self.0;
        match protocol {
            Protocol::Control => control,
            Protocol::Mpc => mpc,
            Protocol::Replica => replica,
        }
    }
}
