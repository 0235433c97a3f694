//! A strict reader of DER (X.690) for the three small structures that no library of ours reads the
//! way we need: it takes definite, minimal lengths only and never allocates or panics.

/// Not DER, or not the value that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotDer;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Reads one value after the other from a run of bytes.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next value, which must carry `tag`.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        let (&found, rest) = self.0.split_first().ok_or(NotDer)?;
        if found != tag {
            return Err(NotDer);
        }
        let (len, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(len).ok_or(NotDer)?;
        self.0 = rest;
        Ok(content)
    }

    /// The same for a value that may be absent.
    pub(crate) fn take_optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, NotDer> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// Opens a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Reader<'a>, NotDer> {
        self.take(SEQUENCE).map(Reader)
    }

    /// A BIT STRING of whole bytes.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], NotDer> {
        match self.take(BIT_STRING)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(NotDer),
        }
    }

    /// An INTEGER that must have this one value, below 128.
    pub(crate) fn small_integer(&mut self, wanted: u8) -> Result<(), NotDer> {
        if self.take(INTEGER)? == [wanted] { Ok(()) } else { Err(NotDer) }
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), NotDer> {
        if self.0.is_empty() { Ok(()) } else { Err(NotDer) }
    }
}

/// An object identifier's content as dotted numbers.
pub(crate) fn dotted(oid: &[u8]) -> Result<String, NotDer> {
    let mut numbers: Vec<u64> = Vec::new();
    let (mut value, mut open) = (0_u64, false);
    for &byte in oid {
        // 0x80 in front is a padded, second spelling of the same number.
        if (!open && byte == 0x80) || value > u64::MAX >> 7 {
            return Err(NotDer);
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        open = byte & 0x80 != 0;
        if !open {
            if numbers.is_empty() {
                let first = (value / 40).min(2);
                numbers.push(first);
                value -= first * 40;
            }
            numbers.push(value);
            value = 0;
        }
    }
    if open || numbers.is_empty() {
        return Err(NotDer);
    }
    Ok(numbers.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
}

/// A definite length in its shortest form, up to 65,535.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), NotDer> {
    match bytes {
        [len @ 0..=0x7f, rest @ ..] => Ok((usize::from(*len), rest)),
        [0x81, len @ 0x80..=0xff, rest @ ..] => Ok((usize::from(*len), rest)),
        [0x82, high @ 1..=0xff, low, rest @ ..] => Ok((usize::from(*high) << 8 | usize::from(*low), rest)),
        _ => Err(NotDer),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dotted_numbers() {
        assert_eq!(dotted(&[0x2b, 0x81, 0x04, 0x00, 0x24]).as_deref(), Ok("1.3.132.0.36"));
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]).as_deref(), Ok("1.2.840.10045.2.1"));
        assert_eq!(dotted(&[0x88, 0x37]).as_deref(), Ok("2.999"));
        for wrong in [&[][..], &[0x2b, 0x81], &[0x2b, 0x80, 0x01], &[0xff; 12]] {
            assert_eq!(dotted(wrong), Err(NotDer));
        }
    }

    #[test]
    fn lengths_have_one_spelling() {
        assert!(length(&[0x7f]).is_ok());
        for wrong in [&[][..], &[0x80], &[0x81, 0x7f], &[0x82, 0x00, 0xff], &[0x83, 1, 0, 0], &[0xff]] {
            assert!(length(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            for tag in [SEQUENCE, INTEGER, OCTET_STRING, BIT_STRING] {
                let _ = reader.take_optional(tag);
            }
            let _ = reader.sequence().and_then(|mut inner| inner.bits());
            let _ = dotted(&bytes);
        }
    }
}
