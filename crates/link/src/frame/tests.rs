use super::*;

/// Frames as version 1 wrote them; they must stay readable for ever.
const RECORDED: [(&str, Kind, &[u8]); 4] = [
    ("0000000105", Kind::Ping, b""),
    ("0000000202_01", Kind::Refused, &[1]),
    (
        "0000001503_000102030405060708090a0b0c0d0e0f_00_616263",
        Kind::Data,
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, b'a', b'b', b'c'],
    ),
    ("0000000307_7b7d", Kind::Json, b"{}"),
];

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'_').collect();
    digits.chunks(2).map(|d| u8::from_str_radix(core::str::from_utf8(d).unwrap_or("zz"), 16).unwrap_or(0xee)).collect()
}

#[test]
fn recorded_frames_are_read_and_written_alike() {
    for (text, kind, body) in RECORDED {
        let wire = bytes(text);
        let frame = Frame { kind, body: Bytes::copy_from_slice(body) };
        assert_eq!(Frame::decode(&wire, MAX_FRAME), Ok(frame.clone()), "{text}");
        let mut out = Vec::new();
        frame.encode(&mut out);
        assert_eq!(out, wire, "{text}");
    }
}

#[test]
fn the_data_head_is_the_recorded_one() {
    let id = SessionId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let mut wire = data_head(id, false, 3).to_vec();
    wire.extend_from_slice(b"abc");
    assert_eq!(wire, bytes(RECORDED[2].0));
    let frame = Frame::decode(&wire, MAX_FRAME).map(|f| Data::decode(f.body));
    assert_eq!(frame, Ok(Ok(Data { session: id, more: false, body: Bytes::from_static(b"abc") })));
}

#[test]
fn every_truncation_waits_and_every_cut_gives_the_same_frames() {
    let mut wire = Vec::new();
    for (text, ..) in RECORDED {
        wire.extend(bytes(text));
    }
    for cut in 0..=wire.len() {
        let mut deframer = Deframer::new(MAX_FRAME);
        let mut found = 0;
        for part in [&wire[..cut], &wire[cut..]] {
            let mut rest = part;
            while let Ok(Some(_)) = deframer.feed(&mut rest) {
                found += 1;
            }
            assert!(rest.is_empty());
        }
        assert_eq!(found, RECORDED.len(), "cut at {cut}");
    }
    let first = bytes(RECORDED[2].0);
    for length in 0..first.len() {
        assert_eq!(Frame::decode(&first[..length], MAX_FRAME), Err(FrameError::Malformed(DecodeError::Truncated)));
    }
}

#[test]
fn lengths_are_refused_before_a_body_is_kept() {
    assert_eq!(Frame::decode(&[0, 0, 0, 0, 3], 100), Err(FrameError::Empty));
    assert_eq!(Frame::decode(&[0, 0, 0, 0], 100), Err(FrameError::Empty));
    assert_eq!(Frame::decode(&[0, 0, 0, 101], 100), Err(FrameError::TooLong { length: 101, limit: 100 }));
    let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    assert_eq!(Frame::decode(&[0xff; 64], 100), Err(FrameError::TooLong { length: most, limit: 100 }));
    assert_eq!(Frame::decode(&[0, 0, 0, 1, 99], 100), Err(FrameError::UnknownKind(99)));
    let mut deframer = Deframer::new(MAX_FRAME);
    let mut input = &[1, 0, 0, 0, 3][..];
    assert_eq!(deframer.feed(&mut input), Ok(None));
    assert!(deframer.body.capacity() <= FIRST_RESERVE);
}

#[test]
fn data_with_unknown_flags_or_without_a_head_is_refused() {
    assert_eq!(Data::decode(Bytes::from_static(&[0; 15])), Err(DecodeError::Truncated.into()));
    assert_eq!(Data::decode(Bytes::from_static(&[0; 16])), Err(DecodeError::Truncated.into()));
    assert_eq!(Data::decode(Bytes::from_static(&[2; 17])), Err(DecodeError::Unknown.into()));
}
