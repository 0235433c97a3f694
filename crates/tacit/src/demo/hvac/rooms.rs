//! The rooms' readings, and what they say in plain.

use std::ops::Range;

use tacit_model::UnixMillis;
use tacit_model::api::SampleBody;

use crate::output::{Code, Failure};

/// The building: floor 2, then floor 3.
pub(super) const ROOMS: [&str; 11] = [
    "room-21", "room-22", "room-23", "room-24", "room-25", "room-31", "room-32", "room-33", "room-34", "room-35",
    "room-36",
];
/// The floors, as labels, with their rooms.
pub(super) const FLOORS: [(&str, Range<usize>); 2] = [("floor=2", 0..5), ("floor=3", 5..11)];
/// A room is taken for occupied from so many lux on.
pub(super) const OCCUPIED: &str = "light>=300";
/// Minutes from one reading to the next, and how many there are of each room.
pub(super) const EVERY: i64 = 16;
pub(super) const READINGS: usize = 6;

/// What a room measured.
pub(super) struct Reading {
    minutes_before: i64,
    temperature: String,
    light: String,
}

impl Reading {
    fn temperature(&self) -> f64 {
        self.temperature.parse().unwrap_or(f64::NAN)
    }

    fn occupied(&self) -> bool {
        self.light.parse::<f64>().is_ok_and(|light| light >= 300.0)
    }

    /// As the device gives it.
    pub(super) fn sample(&self, now: UnixMillis) -> SampleBody {
        let values = [("temperature", &self.temperature), ("light", &self.light)];
        SampleBody {
            at: Some(now.plus(-self.minutes_before * 60_000).to_rfc3339()),
            values: values.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        }
    }
}

/// The built-in readings, room by room, the oldest first.
pub(super) fn read() -> Result<Vec<Vec<Reading>>, Failure> {
    let mut all: Vec<Vec<Reading>> = ROOMS.iter().map(|_| Vec::new()).collect();
    for line in include_str!("../../../data/hvac/rooms.csv").lines().skip(1) {
        let bad = || Failure::new(Code::Other, "the built-in readings are damaged");
        let [room, _, minutes, temperature, light] = line.split(',').collect::<Vec<_>>()[..] else { return Err(bad()) };
        let room = ROOMS.iter().position(|name| *name == room).ok_or_else(bad)?;
        let minutes_before = minutes.parse().map_err(|_| bad())?;
        all[room].push(Reading { minutes_before, temperature: temperature.to_owned(), light: light.to_owned() });
    }
    Ok(all)
}

/// The aligned window of the readings of this number: its begin and its end.
pub(super) fn window(now: UnixMillis, number: usize) -> (UnixMillis, UnixMillis) {
    let left = i64::try_from(READINGS - number).unwrap_or(0) * EVERY;
    (now.plus(-left * 60_000), now.plus((EVERY - left) * 60_000))
}

/// Mean temperature of those rooms that were occupied in a window, and how many were.
pub(super) fn plain(all: &[Vec<Reading>], rooms: impl Iterator<Item = usize>, window: usize) -> (f64, usize) {
    let occupied = rooms.filter_map(|room| all[room].get(window)).filter(|reading| reading.occupied());
    let values: Vec<f64> = occupied.map(Reading::temperature).collect();
    (values.iter().sum::<f64>() / values.len() as f64, values.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_has_a_reading_in_every_window() {
        let (all, now) = (read().unwrap(), UnixMillis(1_000_000_000_000));
        for readings in &all {
            assert_eq!(readings.len(), READINGS);
            for (number, reading) in readings.iter().enumerate() {
                let at = now.plus(-reading.minutes_before * 60_000);
                let (from, to) = window(now, number);
                assert!(from <= at && at < to, "{number}");
            }
        }
        // Somebody is on each floor at any time, or a mean would be asked for in vain.
        for (_, rooms) in FLOORS {
            assert!((0..READINGS).all(|number| plain(&all, rooms.clone(), number).1 >= 3));
        }
    }
}
