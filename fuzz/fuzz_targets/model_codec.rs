//! The binary codec of links: whatever is read has one encoding, and nothing is read twice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_model::codec::{Decode, Encode, Reader, put_bytes};
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};

fuzz_target!(|data: &[u8]| {
    // Every byte of the script reads one value from the rest.
    let Some((&length, data)) = data.split_first() else { return };
    let Some((script, bytes)) = data.split_at_checked(usize::from(length % 32)) else { return };
    let mut reader = Reader::new(bytes);
    let mut again = Vec::new();
    for &step in script {
        let limit = usize::from(step >> 4) * 16;
        let read = match step & 0xf {
            0 => one::<u8>(&mut reader, &mut again),
            1 => one::<u16>(&mut reader, &mut again),
            2 => one::<u32>(&mut reader, &mut again),
            3 => one::<u64>(&mut reader, &mut again),
            4 => one::<i64>(&mut reader, &mut again),
            5 => one::<u128>(&mut reader, &mut again),
            6 => one::<[u8; 7]>(&mut reader, &mut again),
            7 => one::<Fingerprint>(&mut reader, &mut again),
            8 => one::<SessionId>(&mut reader, &mut again),
            9 => one::<GroupId>(&mut reader, &mut again) && one::<RunId>(&mut reader, &mut again),
            10 => one::<Slot>(&mut reader, &mut again) && one::<Attempt>(&mut reader, &mut again),
            11 => one::<UnixMillis>(&mut reader, &mut again),
            12 => reader.take(limit).map(|taken| again.extend_from_slice(taken)).is_ok(),
            13 | 14 => reader.bytes(limit).map(|bytes| put(bytes, limit, &mut again)).is_ok(),
            _ => reader.text(limit).map(|text| put(text.as_bytes(), limit, &mut again)).is_ok(),
        };
        if !read {
            return;
        }
    }
    let rest = reader.rest();
    again.extend_from_slice(rest);
    assert_eq!(again, bytes);
    assert!(reader.finish().is_ok());
});

fn one<T: Decode + Encode>(reader: &mut Reader<'_>, again: &mut Vec<u8>) -> bool {
    T::decode(reader).map(|value| value.encode(again)).is_ok()
}

fn put(bytes: &[u8], limit: usize, again: &mut Vec<u8>) {
    assert!(bytes.len() <= limit);
    put_bytes(again, bytes);
}
