//! Frames of links: however the stream is cut, the same frames come out, and they are written as they were read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_link::frame::{Data, Deframer, Frame, FrameError, HEAD, Kind};

fuzz_target!(|data: &[u8]| {
    let Some((&[low, high, cut], bytes)) = data.split_first_chunk() else { return };
    let limit = usize::from(u16::from_le_bytes([low, high]));
    let (whole, whole_end) = frames(bytes, limit, bytes.len().max(1));
    let (pieces, pieces_end) = frames(bytes, limit, usize::from(cut) + 1);
    assert_eq!(whole, pieces);
    assert_eq!(whole_end, pieces_end);

    let mut again = Vec::new();
    for frame in &whole {
        assert!(frame.body.len() < limit, "kind and body fit the limit");
        frame.encode(&mut again);
        if frame.kind == Kind::Data
            && let Ok(data) = Data::decode(frame.body.clone())
        {
            assert_eq!(data.body, frame.body[17..]);
            assert_eq!(data.session.0, frame.body[..16]);
        }
    }
    assert!(bytes.starts_with(&again), "one encoding per frame");
    if let Ok(frame) = Frame::decode(bytes, limit) {
        assert_eq!(whole, [frame]);
        assert_eq!(again.len(), bytes.len());
    }
});

/// All frames of a stream that arrives in pieces of this length, and how it ended.
fn frames(bytes: &[u8], limit: usize, piece: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut deframer = Deframer::new(limit);
    let mut frames = Vec::new();
    for mut rest in bytes.chunks(piece) {
        loop {
            match deframer.feed(&mut rest) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(rest.is_empty(), "nothing is left lying, with {HEAD} bytes of head or without");
    }
    (frames, None)
}
