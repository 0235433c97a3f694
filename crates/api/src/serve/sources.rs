//! How many connections each source has: one alone must not use up those of a listener.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Open connections by where they come from.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    /// So many of each.
    each: usize,
    this_machine: bool,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    sources: Sources,
    /// None, if it is not counted.
    source: Option<IpAddr>,
}

impl Sources {
    /// So many of each, of this machine only if it counts.
    pub(super) fn new(each: usize, this_machine: bool) -> Self {
        Self { each, this_machine, open: Arc::default() }
    }

    /// A place for one more connection from there, unless there are as many as may be. This machine is usually not counted:
    /// its reverse proxy speaks for everybody.
    pub(super) fn place(&self, from: IpAddr) -> Option<Place> {
        let source = source(from);
        if source.is_loopback() && !self.this_machine {
            return Some(Place { sources: self.clone(), source: None });
        }
        let mut open = self.open();
        let count = open.get(&source).copied().unwrap_or(0);
        if count >= self.each {
            return None;
        }
        open.insert(source, count + 1);
        Some(Place { sources: self.clone(), source: Some(source) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        let mut open = self.sources.open();
        match open.get(&source).copied().unwrap_or(0) {
            // Who is gone leaves nothing behind: strangers must not fill the memory with addresses.
            0 | 1 => open.remove(&source),
            count => open.insert(source, count - 1),
        };
    }
}

/// Connections that found no place. An operator hears of them, and no flood of them fills the log.
#[derive(Default)]
pub(super) struct TurnedAway {
    told: Option<Instant>,
    untold: u64,
}

impl TurnedAway {
    /// One more; how many there were since this was last told, if it is to be told now.
    pub(super) fn one_more(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now < told + TOLD_AGAIN) {
            return None;
        }
        self.told = Some(now);
        Some(core::mem::take(&mut self.untold))
    }
}

/// Between two lines of the log.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// By what connections are counted: who has one address of IPv6 has 2^64, all with the same first half.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_source_leaves_places_to_the_others() {
        let sources = Sources::new(2, false);
        let first = sources.place(ip("192.0.2.1")).unwrap();
        let _second = sources.place(ip("::ffff:192.0.2.1")).unwrap();
        assert!(sources.place(ip("192.0.2.1")).is_none());
        let other = sources.place(ip("192.0.2.2"));
        assert!(other.is_some());
        drop(first);
        let _third = sources.place(ip("192.0.2.1")).unwrap();
        assert!(sources.place(ip("192.0.2.1")).is_none());
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one_source() {
        let sources = Sources::new(1, false);
        let _place = sources.place(ip("2001:db8:0:1::1")).unwrap();
        assert!(sources.place(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(sources.place(ip("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn this_machine_has_as_many_as_it_likes() {
        let sources = Sources::new(1, false);
        let places = ["127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1"].map(|from| sources.place(ip(from)));
        assert!(places.iter().all(Option::is_some));
        assert!(sources.open().is_empty());
    }

    #[test]
    fn an_operator_hears_once_a_minute_how_many_were_turned_away() {
        let mut turned_away = TurnedAway::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let told = [0, 0, 59, 60, 61, 120].map(|seconds| turned_away.one_more(after(seconds)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }

    #[test]
    fn who_is_gone_leaves_nothing_behind() {
        let sources = Sources::new(2, false);
        let places = [sources.place(ip("192.0.2.1")), sources.place(ip("192.0.2.1")), sources.place(ip("192.0.2.1"))];
        assert_eq!(sources.open().get(&ip("192.0.2.1")), Some(&2));
        drop(places);
        assert!(sources.open().is_empty());
    }
}
