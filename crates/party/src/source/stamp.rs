//! The times at the start of log lines.

use tacit_model::UnixMillis;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// The moment at the start of a line, and how many bytes it takes.
///
/// RFC 3339 (also with `+0000` and a blank for the `T`), or the syslog form `Mar  4 14:00:01`, which has
/// neither year nor zone: it is read as UTC, in the year that brings it nearest to `near`.
pub(super) fn leading(line: &[u8], near: UnixMillis) -> Option<(UnixMillis, usize)> {
    if line.first()?.is_ascii_digit() { rfc3339(line) } else { syslog(line, near) }
}

/// A whole text that is a moment.
pub(super) fn whole(text: &str) -> Option<UnixMillis> {
    rfc3339(text.as_bytes()).filter(|(_, taken)| *taken == text.len()).map(|(moment, _)| moment)
}

fn rfc3339(line: &[u8]) -> Option<(UnixMillis, usize)> {
    let shape = line.get(..19)?;
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !separators.iter().all(|(at, b)| shape[*at] == *b) || !matches!(shape[10], b'T' | b't' | b' ') {
        return None;
    }
    let date = Date::from_calendar_date(
        i32::from(digits::<u16>(&shape[..4])?),
        Month::try_from(digits::<u8>(&shape[5..7])?).ok()?,
        digits(&shape[8..10])?,
    )
    .ok()?;
    let mut taken = 19;
    let mut millis = 0;
    if line.get(taken) == Some(&b'.') {
        let fraction = line[taken + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if fraction == 0 {
            return None;
        }
        for place in 0..3 {
            let digit = line[taken + 1..].get(place).filter(|_| place < fraction).map_or(0, |b| u16::from(b - b'0'));
            millis = millis * 10 + digit;
        }
        taken += 1 + fraction;
    }
    let (offset, more) = zone(&line[taken..])?;
    let moment = PrimitiveDateTime::new(date, clock(&shape[11..19], millis)?).assume_offset(offset);
    Some((unix_millis(moment)?, taken + more))
}

fn zone(text: &[u8]) -> Option<(UtcOffset, usize)> {
    match text.first()? {
        b'Z' | b'z' => Some((UtcOffset::UTC, 1)),
        sign @ (b'+' | b'-') => {
            let colon = usize::from(text.get(3) == Some(&b':'));
            let hours: i8 = digits(text.get(1..3)?)?;
            let minutes: i8 = digits(text.get(3 + colon..5 + colon)?)?;
            let turn = if *sign == b'-' { -1 } else { 1 };
            Some((UtcOffset::from_hms(turn * hours, turn * minutes, 0).ok()?, 5 + colon))
        }
        _ => None,
    }
}

fn syslog(line: &[u8], near: UnixMillis) -> Option<(UnixMillis, usize)> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = MONTHS.iter().position(|m| line.get(..3) == Some(m))?;
    let month = Month::try_from(u8::try_from(month + 1).ok()?).ok()?;
    if line.get(3) != Some(&b' ') || line.get(6) != Some(&b' ') {
        return None;
    }
    let day = if line[4] == b' ' { digits(&line[5..6])? } else { digits(&line[4..6])? };
    let clock = clock(line.get(7..15)?, 0)?;
    let year = OffsetDateTime::from_unix_timestamp(near.0.div_euclid(1000)).ok()?.year();
    (year - 1..=year + 1)
        .filter_map(|year| Date::from_calendar_date(year, month, day).ok())
        .filter_map(|date| unix_millis(PrimitiveDateTime::new(date, clock).assume_utc()))
        .min_by_key(|moment| moment.since(near).unsigned_abs())
        .map(|moment| (moment, 15))
}

fn clock(text: &[u8], millis: u16) -> Option<Time> {
    if text[2] != b':' || text[5] != b':' {
        return None;
    }
    // A leap second is counted with the second before it.
    let second: u8 = digits(&text[6..8])?;
    let second = if second == 60 { 59 } else { second };
    Time::from_hms_milli(digits(&text[..2])?, digits(&text[3..5])?, second, millis).ok()
}

fn unix_millis(moment: OffsetDateTime) -> Option<UnixMillis> {
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(UnixMillis)
}

fn digits<N: core::str::FromStr>(text: &[u8]) -> Option<N> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::from_rfc3339(text).expect("RFC 3339")
    }

    #[test]
    fn zones_become_utc() {
        for text in ["2026-03-04T14:00:01Z", "2026-03-04T15:00:01+01:00", "2026-03-04T15:00:01+0100"] {
            assert_eq!(whole(text), Some(at("2026-03-04T14:00:01Z")), "{text}");
        }
        assert_eq!(whole("2026-03-04T09:30:01.123456-0430"), Some(at("2026-03-04T14:00:01.123Z")));
        assert_eq!(whole("2026-03-04T09:30:01.5Z"), Some(at("2026-03-04T09:30:01.5Z")));
        assert_eq!(whole("2026-03-04T09:30:01"), None);
        assert_eq!(whole("2026-02-30T09:30:01Z"), None);
    }

    #[test]
    fn a_year_is_chosen_that_brings_the_line_near() {
        let near = at("2026-01-01T12:00:00Z");
        let stamp = |line: &str| leading(line.as_bytes(), near).map(|(moment, _)| moment);
        assert_eq!(stamp("Dec 31 23:59:59 host sshd[1]: x"), Some(at("2025-12-31T23:59:59Z")));
        assert_eq!(stamp("Jan  1 00:00:00 host sshd[1]: x"), Some(at("2026-01-01T00:00:00Z")));
        assert_eq!(stamp("Feb 29 00:00:00 host"), None, "no leap year is near");
        assert_eq!(stamp("Foo  1 00:00:00 host"), None);
        assert_eq!(stamp("Jan"), None);
    }
}
