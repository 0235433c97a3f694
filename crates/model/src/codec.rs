//! The binary wire codec of links: big-endian lengths, left-over bytes are an error, nothing is
//! allocated before its length is known to be there.
//!
//! Field elements travel little-endian in bulk through their own codec (`tacit_algebra::Field`);
//! this one is for what surrounds them.

/// What can be wrong with bytes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("truncated")]
    Truncated,
    /// Bytes are left after the value.
    #[error("left-over bytes")]
    LeftOver,
    /// A length is above what this value may have.
    #[error("length above the limit")]
    TooLong,
    /// A tag or value that has no meaning here.
    #[error("unknown value")]
    Unknown,
    /// Text that is not UTF-8.
    #[error("not UTF-8")]
    NotText,
}

/// Writes itself to a buffer.
pub trait Encode {
    /// Appends the wire form.
    fn encode(&self, out: &mut Vec<u8>);

    /// The wire form alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Reads itself from a buffer.
pub trait Decode: Sized {
    /// Takes the value off the front.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that fills the bytes exactly.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A cursor over untrusted bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Truncated)
    }

    /// Bytes with a 32-bit length in front, at most `limit`.
    pub fn bytes(&mut self, limit: usize) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(u32::decode(self)?).map_err(|_| DecodeError::TooLong)?;
        if length > limit {
            return Err(DecodeError::TooLong);
        }
        self.take(length)
    }

    /// Text with a 32-bit length in front, at most `limit` bytes.
    pub fn text(&mut self, limit: usize) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes(limit)?).map_err(|_| DecodeError::NotText)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// An error unless everything was read.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::LeftOver) }
    }
}

/// Appends bytes with their 32-bit length in front.
///
/// Lengths above `u32::MAX` cannot occur: every sender is bound by the frame limit.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl Encode for $kind {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
        impl Decode for $kind {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(input.array()?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i64, u128);

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array()
    }
}

macro_rules! newtypes {
    ($($name:path),*) => {$(
        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }
        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Decode::decode(input).map(Self)
            }
        }
    )*};
}
newtypes!(
    crate::Fingerprint,
    crate::SessionId,
    crate::GroupId,
    crate::RunId,
    crate::Slot,
    crate::Attempt,
    crate::UnixMillis
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_checked_before_anything_is_taken() {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, b"abc");
        assert_eq!(Reader::new(&bytes).bytes(2), Err(DecodeError::TooLong));
        assert_eq!(Reader::new(&bytes).bytes(3), Ok(&b"abc"[..]));
        assert_eq!(Reader::new(&bytes[..6]).bytes(3), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[0xff; 8]).bytes(usize::MAX), Err(DecodeError::Truncated));
        assert_eq!(u16::from_bytes(&[0, 1, 2]), Err(DecodeError::LeftOver));
    }
}
