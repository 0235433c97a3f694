use core::fmt;

use bytes::Bytes;
use tacit_model::UnixMillis;
use tacit_model::codec::{Decode, DecodeError, Encode, Reader};

use crate::error::LinkError;
use crate::frame::{Frame, Kind, MIN_FRAME};

/// Which versions of the link protocol a node speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl VersionRange {
    /// What this build speaks: 2, since control messages have their kind around what they say instead of in it.
    pub const CURRENT: Self = Self { min: 2, max: 2 };

    /// The newest version both speak.
    pub fn common(self, theirs: Self) -> Result<u16, LinkError> {
        let newest = self.max.min(theirs.max);
        if newest >= self.min.max(theirs.min) { Ok(newest) } else { Err(LinkError::Version { ours: self, theirs }) }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// The first frame on every link, in both directions. Bytes after the known ones are ignored, so
/// that later versions can add to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the sender speaks.
    pub versions: VersionRange,
    /// The sender's clock when it wrote this.
    pub clock: UnixMillis,
    /// Drawn at random when the sender's hub started: another epoch is another process.
    pub epoch: [u8; 8],
    /// The largest frame the sender accepts.
    pub max_frame: u32,
}

/// The largest hello of any version.
pub(crate) const MAX_HELLO: usize = 1024;

impl Hello {
    pub(crate) fn frame(&self) -> Frame {
        Frame { kind: Kind::Hello, body: Bytes::from(self.to_bytes()) }
    }

    /// The largest message part that fits a frame the sender of this hello accepts.
    pub(crate) fn max_frame(&self) -> usize {
        usize::try_from(self.max_frame).unwrap_or(usize::MAX)
    }
}

impl Encode for Hello {
    fn encode(&self, out: &mut Vec<u8>) {
        self.versions.min.encode(out);
        self.versions.max.encode(out);
        self.clock.encode(out);
        self.epoch.encode(out);
        self.max_frame.encode(out);
    }
}

impl Decode for Hello {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let versions = VersionRange { min: Decode::decode(input)?, max: Decode::decode(input)? };
        let clock = Decode::decode(input)?;
        let epoch = input.array()?;
        let max_frame: u32 = Decode::decode(input)?;
        input.rest();
        if versions.min > versions.max || usize::try_from(max_frame).is_ok_and(|m| m < MIN_FRAME) {
            return Err(DecodeError::Unknown);
        }
        Ok(Self { versions, clock, epoch, max_frame })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_hello_of_version_1_is_read_also_with_additions() {
        let hello = Hello {
            versions: VersionRange { min: 1, max: 2 },
            clock: UnixMillis(0x0102),
            epoch: *b"epoch..!",
            max_frame: 1 << 24,
        };
        let wire = b"\0\x01\0\x02\0\0\0\0\0\0\x01\x02epoch..!\x01\0\0\0";
        assert_eq!(hello.to_bytes(), wire);
        assert_eq!(Hello::from_bytes(wire), Ok(hello));
        let longer = [&wire[..], b"later"].concat();
        assert_eq!(Hello::from_bytes(&longer), Ok(hello));
        assert_eq!(Hello::from_bytes(&wire[..23]), Err(DecodeError::Truncated));
    }

    #[test]
    fn neighbours_talk_and_strangers_get_both_ranges() {
        let range = |min, max| VersionRange { min, max };
        assert_eq!(range(1, 2).common(range(2, 3)), Ok(2));
        assert_eq!(range(1, 1).common(range(1, 9)), Ok(1));
        let error = range(1, 2).common(range(3, 4));
        assert_eq!(error, Err(LinkError::Version { ours: range(1, 2), theirs: range(3, 4) }));
    }
}
