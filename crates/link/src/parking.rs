//! Frames of sessions that are not open here yet. Peers start at slightly different moments, so
//! the first messages of a session may arrive before this side opened it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tacit_model::SessionId;
use tokio::time::Instant;

/// Counted for each parked frame beside its body.
const FRAME_COST: usize = 64;
/// So many refused sessions are remembered per link.
const REFUSED: usize = 256;

/// How much may wait on one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParkingLimits {
    pub(crate) bytes: usize,
    pub(crate) sessions: usize,
    pub(crate) time: Duration,
}

/// One parked frame.
pub(crate) enum Parked {
    Data { more: bool, body: Bytes },
    Close,
}

struct Lot {
    frames: Vec<Parked>,
    bytes: usize,
    since: Instant,
}

/// The parked frames of one link.
#[derive(Default)]
pub(crate) struct Parking {
    lots: HashMap<SessionId, Lot>,
    bytes: usize,
    refused: VecDeque<SessionId>,
}

impl Parking {
    /// Keeps a frame, or gives back a session that has to go because of it.
    pub(crate) fn park(&mut self, session: SessionId, frame: Parked, limits: &ParkingLimits) -> Option<SessionId> {
        if self.refused.contains(&session) {
            return None;
        }
        let cost = FRAME_COST + if let Parked::Data { body, .. } = &frame { body.len() } else { 0 };
        if self.bytes + cost > limits.bytes {
            self.refuse(session);
            return Some(session);
        }
        let mut out = None;
        if self.lots.len() >= limits.sessions && !self.lots.contains_key(&session) {
            out = self.lots.iter().min_by_key(|(_, lot)| lot.since).map(|(id, _)| *id);
            if let Some(oldest) = out {
                self.refuse(oldest);
            }
        }
        let lot = self.lots.entry(session).or_insert_with(|| Lot { frames: vec![], bytes: 0, since: Instant::now() });
        lot.frames.push(frame);
        lot.bytes += cost;
        self.bytes += cost;
        out
    }

    /// What waited for this session; an error if some of it was thrown away.
    pub(crate) fn take(&mut self, session: &SessionId) -> Result<Vec<Parked>, ()> {
        if self.refused.contains(session) {
            return Err(());
        }
        let Some(lot) = self.lots.remove(session) else { return Ok(vec![]) };
        self.bytes -= lot.bytes;
        Ok(lot.frames)
    }

    /// Throws away what waited too long, and names it.
    pub(crate) fn expire(&mut self, now: Instant, limits: &ParkingLimits) -> Vec<SessionId> {
        let old = |lot: &Lot| now.saturating_duration_since(lot.since) >= limits.time;
        let ids: Vec<_> = self.lots.iter().filter(|(_, lot)| old(lot)).map(|(id, _)| *id).collect();
        for id in &ids {
            self.refuse(*id);
        }
        ids
    }

    fn refuse(&mut self, session: SessionId) {
        if let Some(lot) = self.lots.remove(&session) {
            self.bytes -= lot.bytes;
        }
        if self.refused.len() == REFUSED {
            self.refused.pop_front();
        }
        self.refused.push_back(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ParkingLimits = ParkingLimits { bytes: 1000, sessions: 2, time: Duration::from_secs(30) };

    fn data(length: usize) -> Parked {
        Parked::Data { more: false, body: Bytes::from(vec![0; length]) }
    }

    #[test]
    fn limits_hold_and_what_was_lost_is_known() {
        let id = |n| SessionId([n; 16]);
        let mut parking = Parking::default();
        assert_eq!(parking.park(id(1), data(300), &LIMITS), None);
        assert_eq!(parking.park(id(1), data(700), &LIMITS), Some(id(1)));
        assert!(parking.take(&id(1)).is_err());
        assert_eq!(parking.bytes, 0);
        assert_eq!(parking.park(id(1), data(1), &LIMITS), None, "stays refused");
        assert_eq!(parking.park(id(2), data(1), &LIMITS), None);
        assert_eq!(parking.park(id(3), Parked::Close, &LIMITS), None);
        assert_eq!(parking.park(id(4), data(1), &LIMITS), Some(id(2)), "the oldest goes");
        assert_eq!(parking.take(&id(3)).map(|f| f.len()), Ok(1));
        assert_eq!(parking.take(&id(9)).map(|f| f.len()), Ok(0));
        assert_eq!(parking.expire(Instant::now() + LIMITS.time, &LIMITS), vec![id(4)]);
        assert_eq!(parking.bytes, 0);
    }
}
