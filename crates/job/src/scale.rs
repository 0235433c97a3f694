//! Between the numbers of a source, which have decimals and a sign, and those of the engine, which have
//! neither.

use core::str::FromStr;

use tacit_engine::{Statistic, aggregate};

/// One, in millionths: the resolution in which series are kept.
pub const MICRO: i64 = 1_000_000;

/// A decimal with up to six places, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micro(pub i64);

/// A text that is no such decimal. Never says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a decimal such as -3 or 21.5, with up to 6 places and 12 digits before them")]
pub struct NotMicro;

impl FromStr for Micro {
    type Err = NotMicro;

    fn from_str(text: &str) -> Result<Self, NotMicro> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole, 12) || !plain(places, 6) {
            return Err(NotMicro);
        }
        let whole: i64 = whole.parse().map_err(|_| NotMicro)?;
        let places: i64 = format!("{places:0<6}").parse().map_err(|_| NotMicro)?;
        let size = whole * MICRO + places;
        Ok(Self(if negative { -size } else { size }))
    }
}

impl core::fmt::Display for Micro {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (size, one) = (self.0.unsigned_abs(), MICRO.unsigned_abs());
        let places = format!("{:06}", size % one);
        match places.trim_end_matches('0') {
            "" => write!(f, "{sign}{}", size / one),
            places => write!(f, "{sign}{}.{places}", size / one),
        }
    }
}

/// How values become whole numbers from 0: `(value - least) * 10^decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    least: Micro,
    most: Micro,
    decimals: u8,
}

/// How a statistic of scaled numbers relates to one of the numbers themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It moves and stretches with them, as a mean does.
    Level,
    /// It only stretches with them, as a standard deviation does.
    Spread,
    /// It stretches with their square, as a variance does.
    Square,
    /// It stays, as a count or a correlation does.
    Plain,
}

impl Scale {
    /// Values from `least` to `most`, rounded to so many places. `None` unless there is more than one such
    /// value and at most 6 places.
    pub fn new(least: Micro, most: Micro, decimals: u8) -> Option<Self> {
        (least < most && decimals <= 6).then_some(Self { least, most, decimals })
    }

    /// For values of which nothing was said: two places and both signs, as far as the aggregator allows.
    pub fn usual(aggregator: &str) -> Self {
        let million = Micro(1_000_000 * MICRO);
        let [least, zero] = [Micro(-million.0), Micro(0)];
        let wide = Self { least, most: million, decimals: 2 };
        let positive = Self { least: zero, ..wide };
        let name = aggregate::find(aggregator).map_or("", |found| found.name);
        let found = [wide, positive].into_iter().find(|scale| scale.suits(name));
        found.unwrap_or(Self { decimals: 0, ..positive })
    }

    /// The least value that enters.
    pub fn least(self) -> Micro {
        self.least
    }

    /// The largest value that enters.
    pub fn most(self) -> Micro {
        self.most
    }

    /// Decimal places that count.
    pub fn decimals(self) -> u8 {
        self.decimals
    }

    /// What one unit of a scaled number is, in millionths.
    fn unit(self) -> i64 {
        10_i64.pow(6 - u32::from(self.decimals))
    }

    /// The largest scaled number.
    pub fn largest(self) -> u64 {
        u64::try_from((self.most.0 - self.least.0) / self.unit()).unwrap_or(0)
    }

    /// The scaled number of a value, rounded to the nearest; `None` outside the bounds.
    pub fn encode(self, value: Micro) -> Option<u64> {
        if !(self.least..=self.most).contains(&value) {
            return None;
        }
        let unit = self.unit();
        // Up to 2 * 10^18: fits.
        u64::try_from((value.0 - self.least.0 + unit / 2) / unit).ok().filter(|scaled| *scaled <= self.largest())
    }

    /// Whether the aggregator's statistics can be told in the unit of the values.
    pub fn suits(self, aggregator: &str) -> bool {
        let plain = self.least.0 == 0 && self.decimals == 0;
        match aggregator {
            // A sum of moved values would need to know how many there were.
            "sum" => self.least.0 == 0,
            "mean" | "variance" | "std_deviation" | "covariance" | "correlation" | "count" => true,
            "min" | "max" | "median" | "quantile" | "range" => true,
            _ => plain,
        }
    }

    /// A statistic in the unit of the values.
    pub fn decode(self, statistic: Statistic) -> Statistic {
        let one = 10_f64.powi(i32::from(self.decimals));
        let value = match kind(&statistic.name) {
            Kind::Level => self.level(statistic.value),
            Kind::Spread => statistic.value / one,
            Kind::Square => statistic.value / (one * one),
            Kind::Plain => statistic.value,
        };
        Statistic { name: statistic.name, value }
    }

    /// A scaled level in the unit of the values. The scaled one is as large as the bounds are wide and has the error of a
    /// double of that size, which the value, where it is much smaller, would show as digits that mean nothing.
    fn level(self, scaled: f64) -> f64 {
        let one = 10_f64.powi(i32::from(self.decimals));
        if self.least.0 == 0 {
            return scaled / one;
        }
        #[expect(clippy::cast_precision_loss, reason = "a decimal of at most 18 digits")]
        let least = self.least.0 as f64 / self.unit() as f64;
        let error = scaled.abs().max(least.abs()) * f64::EPSILON / one;
        let digits = (-error.log10()).floor().clamp(0.0, 17.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 17")]
        let digits = digits as usize;
        let value = (scaled + least) / one;
        format!("{value:.digits$}").parse().unwrap_or(value)
    }
}

fn kind(name: &str) -> Kind {
    match name.split('(').next().unwrap_or_default() {
        "mean" | "min" | "max" | "median" => Kind::Level,
        // Its name says which one.
        name if name.starts_with("quantile") => Kind::Level,
        "std_deviation" | "sum" | "range" => Kind::Spread,
        "variance" | "covariance" => Kind::Square,
        _ => Kind::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micro(text: &str) -> Micro {
        text.parse().expect("a decimal")
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(micro("-3"), Micro(-3_000_000));
        assert_eq!(micro("21.5"), Micro(21_500_000));
        assert_eq!(micro("0.000001"), Micro(1));
        for wrong in ["", "-", ".5", "1.", "1e3", "+1", "1.0000000", "1000000000000", "NaN", " 1", "--1", "1.-1"] {
            assert!(wrong.parse::<Micro>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_usual_suits_and_is_as_wide_as_may_be() {
        for (aggregator, usual) in [
            ("mean", ("-1000000", 2)),
            ("max", ("-1000000", 2)),
            ("sum", ("0", 2)),
            ("histogram", ("0", 0)),
            ("no such one", ("0", 0)),
        ] {
            let scale = Scale::usual(aggregator);
            assert_eq!((scale.least(), scale.decimals()), (micro(usual.0), usual.1), "{aggregator}");
            assert_eq!(scale.most(), micro("1000000"));
            assert!(scale.suits(aggregator), "{aggregator}");
        }
    }

    /// The usual bounds are a million wide: what was 43.7 is 43.7, and not 43.699999999953434.
    #[test]
    fn a_level_has_no_digits_that_mean_nothing() {
        let told =
            |scale: Scale, name: &str, value: f64| scale.decode(Statistic { name: name.to_owned(), value }).value;
        let usual = Scale::usual("max");
        for text in ["43.7", "-43.7", "0", "0.01", "999999.99", "-1000000", "21.05"] {
            let scaled = usual.encode(micro(text)).expect("within the bounds");
            let value: f64 = text.parse().expect("a number");
            assert_eq!(told(usual, "max(co2)", scaled as f64), value, "{text}");
        }
        let [a, b] = [micro("42.7"), micro("42.8")].map(|value| usual.encode(value).expect("within the bounds"));
        assert_eq!(told(usual, "mean(co2)", (a + b) as f64 / 2.0), 42.75);
        let third = told(usual, "mean(co2)", (a + a + b) as f64 / 3.0);
        assert!((third - 128.2 / 3.0).abs() < 1e-7 && third.to_string().len() < 14, "{third}");
        // Where the bounds begin at 0, all digits are true.
        let near = Scale::new(Micro(0), micro("100"), 1).expect("a scale");
        assert_eq!(told(near, "mean(co2)", 1282.0 / 3.0), 1282.0 / 3.0 / 10.0);
    }

    #[test]
    fn values_come_back() {
        let scale = Scale::new(micro("-40"), micro("60"), 2).expect("a scale");
        assert_eq!(scale.largest(), 10_000);
        for (value, scaled) in [("-40", 0), ("60", 10_000), ("21.555", 6156), ("-0.01", 3999)] {
            assert_eq!(scale.encode(micro(value)), Some(scaled), "{value}");
        }
        assert_eq!(scale.encode(micro("60.01")), None);
        assert_eq!(scale.encode(micro("-40.000001")), None);
        let told = |name: &str, value| scale.decode(Statistic { name: name.to_owned(), value }).value;
        assert!((told("mean(t)", 6150.0) - 21.5).abs() < 1e-12);
        assert!((told("std_deviation(t)", 150.0) - 1.5).abs() < 1e-12);
        assert!((told("variance(t)", 22_500.0) - 2.25).abs() < 1e-12);
        assert!((told("quantile_1/4(t)", 6150.0) - 21.5).abs() < 1e-12);
        assert!((told("count", 7.0) - 7.0).abs() < f64::EPSILON);
        assert!(Scale::new(micro("1"), micro("1"), 0).is_none() && Scale::new(micro("0"), micro("1"), 7).is_none());
        assert!(!scale.suits("sum") && !scale.suits("histogram") && scale.suits("mean"));
    }
}
