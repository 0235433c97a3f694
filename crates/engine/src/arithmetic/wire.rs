//! Messages of the arithmetic: what it is, the number of the operation, elements.
//!
//! All parties run the same operations in the same order. A message of another operation is a
//! misbehaviour, never a wrong number.

use bytes::Bytes;
use tacit_algebra::Field;
use tacit_model::codec::Encode;

/// Bytes in front of the elements.
pub(super) const HEADER: usize = 5;
/// Bytes of elements in one message: full records of TLS, and all streams of a chunk in cache.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// What a message carries.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Shares of a dealer's input.
    Input = 1,
    /// Shares of a dealer's local product.
    Reshare = 2,
    /// Shares of a dealer's random elements.
    Mask = 3,
    /// Masked products, or shares of what is opened, to whoever puts them together.
    ToKing = 4,
    /// What came out.
    FromKing = 5,
    /// Shares of what is opened.
    Open = 6,
    /// Keys of subsets.
    Keys = 7,
    /// Components of shared bits.
    Bits = 8,
    /// The hash of a coin.
    Commit = 9,
    /// A coin.
    Coin = 10,
    /// Masked products, to be decoded.
    Robust = 11,
}

/// Elements of one message.
pub(super) const fn chunk<F: Field>() -> usize {
    CHUNK_BYTES / F::BYTES
}

/// A message to which so many elements are going to be appended.
pub(super) fn message<F: Field>(kind: Kind, operation: u32, elements: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + elements * F::BYTES);
    header(kind, operation, &mut out);
    out
}

/// The five bytes in front.
pub(super) fn header(kind: Kind, operation: u32, out: &mut Vec<u8>) {
    out.push(kind as u8);
    operation.encode(out);
}

/// The content of a message that must be of this kind and operation and so many bytes long.
pub(super) fn content(message: &Bytes, kind: Kind, operation: u32, bytes: usize) -> Option<&[u8]> {
    let mut expected = Vec::with_capacity(HEADER);
    header(kind, operation, &mut expected);
    let (front, content) = message.split_at_checked(HEADER)?;
    (front == expected && content.len() == bytes).then_some(content)
}
