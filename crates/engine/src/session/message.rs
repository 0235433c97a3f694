//! The messages of a session: one byte that says what it is, then the content.
//!
//! | tag | from -> to | content |
//! |---|---|---|
//! | commitment | input peer -> compute peers | 32 bytes |
//! | absent | input peer -> compute peers | nothing: this peer has no input |
//! | shares | input peer -> compute peer | chunk number, elements |
//! | view | compute peers, all to all | per input peer 0, or 1 and its commitment |
//! | freeze | compute peers, all to all | digest, signature |
//! | result | compute peer -> recipient | chunk number, for chunk 0 to a pure recipient the frozen set (model `guaranteed`: and what was agreed) and a signature, elements |
//! | signed | compute peer -> recipient | model `guaranteed`: the signature over the chunk before it |
//! | hold, coin, answers | compute peers, all to all | the proof that inputs are in range, before the freeze; in the model `guaranteed` coin: also the hash of what was agreed, answers: number, signature, elements |
//! | keys, dropped, masked, agree | input and compute peers | the input of the model `guaranteed`; masked: chunk number, for chunk 0 a commitment and the hash of the keys, elements |
//! | hidden, slice, opened, nonce, check, final | compute peers, all to all | the opening by slices |
//!
//! Whoever reads knows which message comes next from whom; every other is a misbehaviour.

use bytes::Bytes;
use tacit_algebra::Field;
use tacit_model::codec::{Decode, DecodeError, Encode, Reader};

use super::{Misbehaviour, SessionError};

pub(super) const COMMITMENT: u8 = 1;
pub(super) const ABSENT: u8 = 2;
pub(super) const SHARES: u8 = 3;
pub(super) const VIEW: u8 = 4;
pub(super) const FREEZE: u8 = 5;
pub(super) const RESULT: u8 = 6;
pub(super) const SLICE: u8 = 7;
pub(super) const OPENED: u8 = 8;
pub(super) const NONCE: u8 = 9;
pub(super) const CHECK: u8 = 10;
pub(super) const FINAL: u8 = 11;
pub(super) const HIDDEN: u8 = 12;
pub(super) const HOLD: u8 = 13;
pub(super) const COIN: u8 = 14;
pub(super) const ANSWERS: u8 = 15;
pub(super) const KEYS: u8 = 16;
pub(super) const DROPPED: u8 = 17;
pub(super) const MASKED: u8 = 18;
pub(super) const AGREE: u8 = 19;
pub(super) const SIGNED: u8 = 20;

/// What a compute peer holds of each input peer, in the order of the plan's inputs.
pub(super) type View = Vec<Option<[u8; 32]>>;

/// A message of plain bytes.
pub(super) fn plain(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + parts.iter().map(|p| p.len()).sum::<usize>());
    out.push(tag);
    parts.iter().for_each(|p| out.extend_from_slice(p));
    out
}

/// A chunk of elements, with bytes in front of them.
pub(super) fn elements<F: Field>(tag: u8, chunk: usize, header: &[u8], elements: &[F]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + header.len() + elements.len() * F::BYTES);
    out.push(tag);
    (chunk as u32).encode(&mut out);
    out.extend_from_slice(header);
    F::encode_slice(elements, &mut out);
    out
}

/// Reads a chunk of elements into place; returns the bytes in front of them.
pub(super) fn read_elements<'a, F: Field>(
    message: &'a [u8],
    tag: u8,
    chunk: usize,
    header: usize,
    out: &mut [F],
) -> Result<&'a [u8], DecodeError> {
    let mut reader = Reader::new(message);
    if u8::decode(&mut reader)? != tag || u32::decode(&mut reader)? != chunk as u32 {
        return Err(DecodeError::Unknown);
    }
    let header = reader.take(header)?;
    F::decode_into(reader.rest(), out).map_err(|_| DecodeError::Unknown)?;
    Ok(header)
}

/// The content of a message that must have this tag.
pub(super) fn content(message: &Bytes, tag: u8) -> Result<&[u8], DecodeError> {
    match message.split_first() {
        Some((first, rest)) if *first == tag => Ok(rest),
        _ => Err(DecodeError::Unknown),
    }
}

/// The wire form of a view.
pub(super) fn put_view(view: &[Option<[u8; 32]>], out: &mut Vec<u8>) {
    for entry in view {
        out.push(u8::from(entry.is_some()));
        out.extend_from_slice(&entry.unwrap_or([0; 32]));
    }
}

/// Bytes of a view of so many input peers.
pub(super) const fn view_length(inputs: usize) -> usize {
    33 * inputs
}

/// Reads a view of so many input peers.
pub(super) fn read_view(bytes: &[u8], inputs: usize) -> Result<View, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut view = Vec::with_capacity(inputs);
    for _ in 0..inputs {
        view.push(match (u8::decode(&mut reader)?, <[u8; 32]>::decode(&mut reader)?) {
            (0, zeros) if zeros == [0; 32] => None,
            (1, commitment) => Some(commitment),
            _ => return Err(DecodeError::Unknown),
        });
    }
    reader.finish()?;
    Ok(view)
}

/// The error for a message of `member` that cannot be read.
pub(super) fn malformed(member: usize) -> SessionError {
    SessionError::PeerMisbehaved { member, what: Misbehaviour::Malformed }
}
