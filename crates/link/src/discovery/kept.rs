//! What of a search is kept, on a network that may be full of liars: whoever wishes makes keys and announces them.
//!
//! Promise: a gateway that the peer is paired with is never crowded out, and announcements that say they come from one
//! address make room before others do. A stranger who forges addresses too can still crowd out gateways nobody here knows:
//! who joins such a network names the gateway's address.

use std::collections::BTreeMap;

use tacit_model::Fingerprint;

use super::{Found, Wishes, fits};

/// Announcements that are kept of one search.
const MAX_FOUND: usize = 256;

/// The gateways that were found, each once.
pub(super) struct Kept<'a> {
    wishes: &'a Wishes,
    most: usize,
    found: BTreeMap<Fingerprint, Found>,
}

impl<'a> Kept<'a> {
    pub(super) fn new(wishes: &'a Wishes) -> Self {
        Self { wishes, most: MAX_FOUND, found: BTreeMap::new() }
    }

    /// Keeps one more, in place of a worse one if there are as many as may be.
    pub(super) fn add(&mut self, one: Found) {
        let gateway = one.announcement.gateway;
        let one = match self.found.remove(&gateway) {
            Some(known) => one.merge(known),
            None => one,
        };
        self.found.insert(gateway, one);
        if self.found.len() > self.most
            && let Some(worst) = self.worst()
        {
            self.found.remove(&worst);
        }
    }

    pub(super) fn into_found(self) -> Vec<Found> {
        self.found.into_values().collect()
    }

    /// Who goes first: strangers, of them those that do not fit, of them one of the address that most are at.
    fn worst(&self) -> Option<Fingerprint> {
        let mut at: BTreeMap<&str, usize> = BTreeMap::new();
        for one in self.found.values() {
            *at.entry(place(one)).or_default() += 1;
        }
        let rank = |one: &&Found| {
            let trusted = self.wishes.trusted.contains(&one.announcement.gateway);
            (!trusted, !fits(one, self.wishes), at.get(place(one)).copied())
        };
        self.found.values().max_by_key(rank).map(|one| one.announcement.gateway)
    }
}

/// Where it says that it is.
fn place(one: &Found) -> &str {
    one.links.first().and_then(|link| link.rsplit_once(':')).map_or("", |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::super::announcement::tests::gateway;
    use super::*;

    #[test]
    fn f08_who_fills_the_network_with_announcements_crowds_out_nobody_who_is_trusted_or_elsewhere() {
        let say = |ip: &str, sources: &[&str]| {
            let (_, mut said) = gateway("gw", "", sources);
            said.addresses = vec![ip.parse().expect("an address")];
            Found::new(said, &[])
        };
        let (own, other) = (say("10.7.0.1", &["power"]), say("10.7.0.2", &[]));
        let wishes = Wishes {
            sources: vec!["temperature".to_owned()],
            trusted: [own.announcement.gateway].into(),
            ..Wishes::default()
        };
        for late in [false, true] {
            let mut kept = Kept { most: 4, ..Kept::new(&wishes) };
            let good = [own.clone(), other.clone()];
            if !late {
                good.iter().cloned().for_each(|one| kept.add(one));
            }
            for number in 0..8 {
                // Some do not even say that they are of use.
                kept.add(say("10.7.0.66", if number % 2 == 0 { &["power"] } else { &[] }));
            }
            if late {
                good.iter().cloned().for_each(|one| kept.add(one));
            }
            let found = kept.into_found();
            assert_eq!(found.len(), 4);
            assert!(good.iter().all(|one| found.contains(one)), "late {late}");
            assert!(found.iter().all(|one| *one == own || one.announcement.sources.is_empty()), "late {late}");
        }
    }
}
