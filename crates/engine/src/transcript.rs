//! SHA-256 over labelled, length-prefixed fields: what every digest of the engine is made with.

use aws_lc_rs::digest::{Context, SHA256};

/// A hash in progress. Two different lists of fields never give the same bytes.
pub(crate) struct Transcript(Context);

impl Transcript {
    /// Starts with the name of what is hashed.
    pub(crate) fn new(domain: &str) -> Self {
        let mut this = Self(Context::new(&SHA256));
        this.bytes(domain.as_bytes());
        this
    }

    /// Adds bytes with their length in front.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.raw(bytes)
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    /// Adds a part of a long field whose length was added before.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash.
    pub(crate) fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}
