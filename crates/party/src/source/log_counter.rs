use core::str::FromStr;
use std::borrow::Cow;
use std::io::BufRead;

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use tacit_model::UnixMillis;

use super::lines::for_each_line;
use super::{SlotWindow, SourceError, stamp};

/// Longer lines are counted as bad.
const MAX_LINE: usize = 256 * 1024;

/// Which lines count.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LogPattern {
    /// `auth.log` of sshd: lines saying "Failed password" or "Invalid user".
    Sshd,
    /// `eve.json` of Suricata: lines with `event_type` "alert".
    Suricata,
    /// Lines that match. The line starts with its time (RFC 3339 or syslog), or the pattern has a group
    /// named `time` that catches it.
    Regex(Regex),
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCounts {
    /// Start of each slot and how many lines it has.
    pub slots: Vec<(UnixMillis, u64)>,
    /// Lines read.
    pub lines: u64,
    /// Lines that match and whose time is before the first or after the last slot.
    pub outside: u64,
    /// Lines that match and have no readable time, lines that are not of the expected form, and lines
    /// that are too long.
    pub bad: u64,
}

impl FromStr for LogPattern {
    type Err = SourceError;

    /// `sshd`, `suricata`, or a regular expression.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "sshd" => Ok(Self::Sshd),
            "suricata" => Ok(Self::Suricata),
            pattern => regex(pattern).map(Self::Regex),
        }
    }
}

/// Counts the matching lines of a log per time slot. Streams: the memory needed does not grow with the log.
pub fn count_log(reader: impl BufRead, pattern: &LogPattern, window: &SlotWindow) -> Result<LogCounts, SourceError> {
    let matcher = Matcher::new(pattern, window.middle())?;
    let mut counts =
        LogCounts { slots: window.starts().map(|start| (start, 0)).collect(), lines: 0, outside: 0, bad: 0 };
    for_each_line(reader, MAX_LINE, |line| {
        counts.lines += 1;
        match line.map_or(Seen::Bad, |line| matcher.look(line)) {
            Seen::Other => {}
            Seen::Bad => counts.bad += 1,
            Seen::At(moment) => match window.slot(moment) {
                Some(slot) => counts.slots[slot].1 += 1,
                None => counts.outside += 1,
            },
        }
    })?;
    Ok(counts)
}

enum Seen {
    Other,
    Bad,
    At(UnixMillis),
}

struct Matcher {
    near: UnixMillis,
    kind: Kind,
}

enum Kind {
    /// The time, then this.
    AfterTime(Regex),
    Json,
    Line(Regex),
}

#[derive(Deserialize)]
struct EveLine<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

impl Matcher {
    fn new(pattern: &LogPattern, near: UnixMillis) -> Result<Self, SourceError> {
        let kind = match pattern {
            // Anchored behind time and host: a user name that looks like a log line cannot pretend to be one.
            LogPattern::Sshd => Kind::AfterTime(regex(
                r"^ \S+ sshd(?:-session)?(?:\[\d+\])?: (?:message repeated \d+ times: \[ )?(?:Failed password|Invalid user) ",
            )?),
            LogPattern::Suricata => Kind::Json,
            LogPattern::Regex(regex) => Kind::Line(regex.clone()),
        };
        Ok(Self { near, kind })
    }

    fn look(&self, line: &[u8]) -> Seen {
        match &self.kind {
            Kind::AfterTime(regex) => match stamp::leading(line, self.near) {
                Some((moment, taken)) if regex.is_match(&line[taken..]) => Seen::At(moment),
                Some(_) => Seen::Other,
                None if line.is_empty() => Seen::Other,
                None => Seen::Bad,
            },
            Kind::Json => match serde_json::from_slice::<EveLine<'_>>(line) {
                Ok(eve) if eve.event_type == "alert" => stamp::whole(&eve.timestamp).map_or(Seen::Bad, Seen::At),
                Ok(_) => Seen::Other,
                Err(_) if line.is_empty() => Seen::Other,
                Err(_) => Seen::Bad,
            },
            Kind::Line(regex) => {
                let Some(found) = regex.captures(line) else { return Seen::Other };
                let text = found.name("time").map_or(line, |group| group.as_bytes());
                stamp::leading(text, self.near).map_or(Seen::Bad, |(moment, _)| Seen::At(moment))
            }
        }
    }
}

fn regex(pattern: &str) -> Result<Regex, SourceError> {
    const SIZE_LIMIT: usize = 1 << 20;
    RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().map_err(|e| SourceError::Pattern(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(start: &str) -> SlotWindow {
        let start = UnixMillis::from_rfc3339(start).expect("RFC 3339");
        SlotWindow::new(start, 3_600_000, 24).expect("24 slots")
    }

    fn busy(counts: &LogCounts) -> Vec<(usize, u64)> {
        counts.slots.iter().enumerate().filter(|(_, (_, n))| *n > 0).map(|(slot, (_, n))| (slot, *n)).collect()
    }

    #[test]
    fn sshd_in_both_time_forms() {
        let log = "Mar  4 00:10:00 bastion sshd[811]: Failed password for root from 192.0.2.7 port 4022 ssh2\n\
                   Mar  4 00:10:01 bastion sshd[811]: Invalid user admin from 192.0.2.7 port 4022\n\
                   Mar  4 00:10:02 bastion sshd[811]: Accepted publickey for eve from 192.0.2.9 port 22 ssh2\n\
                   Mar  4 00:10:02 bastion cron[811]: sshd[1]: Failed password for nobody\n\
                   2026-03-04T23:59:59.999999+00:00 bastion sshd-session[9]: Failed password for invalid user x\n\
                   2026-03-05T00:30:00.5+01:00 bastion sshd[9]: Failed password for y from 192.0.2.7 port 1 ssh2\n\
                   Mar  5 00:00:00 bastion sshd[811]: Invalid user late from 192.0.2.7 port 4022\n\
                   not a log line\n\n";
        let counts = count_log(log.as_bytes(), &LogPattern::Sshd, &day("2026-03-04T00:00:00Z")).expect("readable");
        assert_eq!(busy(&counts), [(0, 2), (23, 2)]);
        assert_eq!((counts.lines, counts.outside, counts.bad), (9, 1, 1));
    }

    #[test]
    fn suricata_counts_alerts_only() {
        let log = "{\"timestamp\":\"2026-03-04T01:02:03.123456+0000\",\"event_type\":\"alert\",\"alert\":{\"severity\":2}}\n\
                   {\"timestamp\":\"2026-03-04T01:02:03.123456+0000\",\"event_type\":\"flow\"}\n\
                   {\"timestamp\":\"2026-03-04T03:02:03.123456+0200\",\"event_type\":\"alert\",\"x\":\"event_type\"}\n\
                   {\"event_type\":\"alert\"}\n\
                   {broken\n";
        let counts = count_log(log.as_bytes(), &LogPattern::Suricata, &day("2026-03-04T00:00:00Z")).expect("readable");
        assert_eq!(busy(&counts), [(1, 2)]);
        assert_eq!(counts.bad, 2);
    }

    #[test]
    fn any_pattern_with_the_time_where_it_says() {
        let pattern: LogPattern = r#"\[(?P<time>[^\]]+)\] "POST /login" 401"#.parse().expect("a pattern");
        let log =
            b"192.0.2.1 - [2026-03-04T05:00:00Z] \"POST /login\" 401\n\xff\xfe - [x] \"POST /login\" 401\nother\n";
        let counts = count_log(&log[..], &pattern, &day("2026-03-04T00:00:00Z")).expect("readable");
        assert_eq!(busy(&counts), [(5, 1)]);
        assert_eq!(counts.bad, 1);
        assert!(matches!("(".parse::<LogPattern>(), Err(SourceError::Pattern(_))));
    }
}
