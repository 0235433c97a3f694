//! How many tasks may be open: of each client, and in all. Who asks for more is told to come back. A long request counts as
//! several, so that nobody fills a gateway's memory with few.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::GatewayError;

/// Seconds after which somebody who was one too many may ask again.
const COME_BACK: u64 = 5;
/// For each so many bytes of its request a task counts as one more.
const LONG: usize = 16 << 10;

/// The places of open tasks.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_client: BTreeMap<String, usize>,
}

/// The place of one task, free again when this is dropped.
pub(super) struct Place {
    places: Places,
    client: String,
    /// As how many tasks it counts.
    weight: usize,
}

/// As how many tasks one counts whose request has so many bytes.
pub(super) fn weight(length: usize) -> usize {
    1 + length / LONG
}

impl Places {
    /// A place for a task that was taken already, whatever the bounds are.
    pub(super) fn keep(&self, client: &str, weight: usize) -> Place {
        self.put(&mut self.lock(), client, weight)
    }

    /// Whose place one more part takes that a peer asks for in the name of a client above: the peer's own, as long as
    /// nobody else asked for it; the client's, which has none left, if it has as many as may be.
    pub(super) fn charged<'c>(&self, peer: &'c str, client: &'c str, most_of_client: usize) -> &'c str {
        let has_room = self.lock().by_client.get(client).is_none_or(|own| *own < most_of_client);
        if has_room { peer } else { client }
    }

    /// A place for one more task, of at most so many in all and of one client. While there is room, the last one may be a
    /// long one.
    pub(super) fn take(
        &self,
        client: &str,
        weight: usize,
        most: usize,
        most_of_client: usize,
    ) -> Result<Place, GatewayError> {
        let too_many = |why| Err(GatewayError::TooMany { why, retry_after: COME_BACK });
        // Held until the place is taken: nobody comes in between.
        let mut taken = self.lock();
        let (all, own) = (taken.all, taken.by_client.get(client).copied().unwrap_or(0));
        if own >= most_of_client {
            return too_many(format!(
                "{own} tasks of this client are open, as many as this gateway takes of one (client_tasks under [limits] \
                 in its node.toml; a long one counts as several); wait until one has ended, or cancel one, and ask again"
            ));
        }
        if all >= most {
            return too_many(format!(
                "{all} tasks are open, as many as this gateway takes (open_tasks under [limits] in its node.toml; a long \
                 one counts as several); ask again when some have ended"
            ));
        }
        Ok(self.put(&mut taken, client, weight))
    }

    fn put(&self, taken: &mut Taken, client: &str, weight: usize) -> Place {
        taken.all += weight;
        *taken.by_client.entry(client.to_owned()).or_default() += weight;
        Place { places: self.clone(), client: client.to_owned(), weight }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn is_of(&self, client: &str) -> bool {
        self.client == client
    }

    /// A peer asks for the part that has this place, in the name of a client above. If another one took the place, it did
    /// not invent the part: the place is the client's from now on.
    pub(super) fn confirm(&mut self, peer: &str, client: &str) {
        if !self.is_of(peer) && !self.is_of(client) {
            *self = self.places.keep(client, self.weight);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(self.weight);
        if let Some(own) = taken.by_client.get_mut(&self.client) {
            *own = own.saturating_sub(self.weight);
            if *own == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_task_is_over() {
        let places = Places::default();
        let why = |client| match places.take(client, 1, 3, 2) {
            Err(GatewayError::TooMany { why, retry_after }) if retry_after > 0 => why,
            other => panic!("{:?}", other.err()),
        };
        let (first, _second) = (places.take("a", 1, 3, 2).unwrap(), places.take("a", 1, 3, 2).unwrap());
        assert!(why("a").contains("client_tasks"));
        let _third = places.take("b", 1, 3, 2).unwrap();
        assert!(why("b").contains("open_tasks"));
        drop(first);
        let _fourth = places.take("b", 1, 3, 2).unwrap();
        assert!(why("c").contains("open_tasks"));
        // Those of before a restart are kept, and count.
        let _fifth = places.keep("c", 1);
        assert_eq!(places.lock().all, 4);
        assert_eq!(places.lock().by_client.len(), 3);
    }

    #[test]
    fn f16_a_long_request_takes_the_places_of_several() {
        assert_eq!([1_000, LONG - 1, LONG, 4 * LONG].map(weight), [1, 1, 2, 5]);
        let places = Places::default();
        let mut long = places.take("a", 5, 6, 2).unwrap();
        assert!(places.take("a", 1, 6, 2).is_err(), "as if five were open");
        long.confirm("b", "c");
        let _usual = places.take("a", 1, 6, 2).unwrap();
        assert!(places.take("b", 1, 6, 2).is_err(), "and so in all");
        drop(long);
        assert_eq!(places.lock().all, 1);
        assert_eq!(places.lock().by_client.keys().collect::<Vec<_>>(), ["a"]);
    }

    /// A peer that invents parts fills its own places and nobody else's; what two ask for counts as the client's above, each
    /// client for itself.
    #[test]
    fn w2_parts_are_bounded_for_each_client_above_and_each_peer() {
        const MOST: usize = 2;
        let places = Places::default();
        let ask = |peer: &str, client: &str| places.take(places.charged(peer, client, MOST), 1, 99, MOST);
        let both = |client: &str| {
            ask("peer a", client).map(|mut place| {
                place.confirm("peer a", client);
                assert!(place.is_of("peer a"));
                place.confirm("peer b", client);
                assert!(place.is_of(client));
                place
            })
        };
        let held: Vec<Place> = ["x", "x", "y", "y", "z"].into_iter().map(|client| both(client).unwrap()).collect();
        assert!(both("x").is_err() && both("y").is_err());
        let invented: Vec<Place> = (0..MOST).map(|_| ask("peer c", "z").unwrap()).collect();
        assert!(ask("peer c", "z").is_err() && ask("peer c", "new").is_err());
        // Neither the client in whose name it did that, nor another peer, nor another client has fewer places.
        let last = both("z").unwrap();
        assert!(both("z").is_err());
        assert!(both("new").is_ok());
        assert_eq!(places.lock().all, held.len() + invented.len() + 1);
        drop((held, invented, last));
        assert_eq!(places.lock().all, 0);
        assert!(places.lock().by_client.is_empty());
    }
}
