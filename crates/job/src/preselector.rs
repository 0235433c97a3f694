//! Which records of a series a task takes.

use core::fmt;

use tacit_model::UnixMillis;

/// Windows longer than this are not taken: ten years.
const LONGEST_MS: i64 = 10 * 366 * 86_400_000;
/// The latest record counts as the present one so long.
const FRESH_MS: i64 = 15 * 60_000;

/// Which records of a series a task takes, relative to when it was asked. Applied by each peer to its own
/// series, so that nobody else sees more than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preselector {
    /// The latest record, if it is not older than 15 minutes.
    Now,
    /// The records of so many milliseconds before.
    Last {
        /// How long.
        ms: i64,
    },
    /// The records from one moment to before another.
    Between {
        /// The first moment.
        from: UnixMillis,
        /// The first moment after.
        to: UnixMillis,
    },
}

/// Records from `from` to before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The first moment.
    pub from: UnixMillis,
    /// The first moment after.
    pub to: UnixMillis,
}

/// A text that is no preselector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a preselector is now, last_45s, last_30min, last_1h, last_2d, or two moments such as 2026-01-01T00:00:00Z/2026-01-01T01:00:00Z, \
     the first before the second"
)]
pub struct NoPreselector;

impl Preselector {
    /// Reads `now`, `last_5min` (`last_5Mins`), `last_1h` (`last_1Hours`), `last_90s`, `last_2d`, `FROM/TO`.
    pub fn parse(text: &str) -> Result<Self, NoPreselector> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Some((from, to)) = text.split_once('/') {
            let moment = |text| UnixMillis::from_rfc3339(text).ok_or(NoPreselector);
            let (from, to) = (moment(from)?, moment(to)?);
            let fits = (1..=LONGEST_MS).contains(&to.since(from));
            return if fits { Ok(Self::Between { from, to }) } else { Err(NoPreselector) };
        }
        let length = text.strip_prefix("last_").ok_or(NoPreselector)?;
        let digits = length.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = length.split_at(digits);
        let unit_ms = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "secs" => 1_000,
            "min" | "mins" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            _ => return Err(NoPreselector),
        };
        let ms = count.parse::<i64>().ok().and_then(|count| count.checked_mul(unit_ms));
        match ms.filter(|ms| (1..=LONGEST_MS).contains(ms)) {
            Some(ms) => Ok(Self::Last { ms }),
            None => Err(NoPreselector),
        }
    }

    /// The records that are meant at a moment.
    pub fn window(self, at: UnixMillis) -> Window {
        match self {
            // The moment itself belongs to it.
            Self::Now => Window { from: at.plus(-FRESH_MS), to: at.plus(1) },
            Self::Last { ms } => Window { from: at.plus(-ms), to: at },
            Self::Between { from, to } => Window { from, to },
        }
    }

    /// Whether only the latest record of the window counts.
    pub fn is_now(self) -> bool {
        self == Self::Now
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f15_preselectors_of_the_thesis_are_read() {
        let last = |ms| Ok(Preselector::Last { ms });
        for (text, expected) in [
            ("now", Ok(Preselector::Now)),
            ("last_5Mins", last(300_000)),
            ("last_1h", last(3_600_000)),
            ("last_24Hours", last(86_400_000)),
            ("last_90s", last(90_000)),
            ("last_0min", Err(NoPreselector)),
            ("last_min", Err(NoPreselector)),
            ("last_-1h", Err(NoPreselector)),
            ("last_9223372036854775807d", Err(NoPreselector)),
            ("yesterday", Err(NoPreselector)),
            ("", Err(NoPreselector)),
            ("2026-01-01T01:00:00Z/2026-01-01T00:00:00Z", Err(NoPreselector)),
        ] {
            assert_eq!(Preselector::parse(text), expected, "{text}");
        }
        let between = Preselector::parse("1970-01-01T00:00:01Z/1970-01-01T00:00:02Z").expect("two moments");
        assert_eq!(between.window(UnixMillis(9)), Window { from: UnixMillis(1000), to: UnixMillis(2000) });
    }

    #[test]
    fn windows_end_before_the_moment_of_asking() {
        let at = UnixMillis(10_000_000);
        let window = Preselector::Last { ms: 1000 }.window(at);
        assert_eq!((window.from, window.to), (at.plus(-1000), at));
        let next = Preselector::Last { ms: 1000 }.window(at.plus(1000));
        assert_eq!((next.from, next.to), (at, at.plus(1000)));
    }
}
