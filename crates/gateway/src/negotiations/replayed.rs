//! Negotiations as they were replayed last: a look at one costs the steps that were taken since the last look, not all of
//! its signatures and texts anew.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tacit_accord::negotiation::{Event, JsonForm, Negotiation, Opening};
use tacit_store::NegotiationRow;

use crate::{Gateway, GatewayError};

/// So much is kept, in bytes of texts. What was not looked at for the longest time goes first.
const MOST: usize = 64 << 20;
/// What a negotiation counts besides its texts.
const APART: usize = 4 << 10;

/// What is kept, by id.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    looks: u64,
    size: usize,
    kept: BTreeMap<String, Kept>,
}

#[derive(Debug)]
struct Kept {
    looked: u64,
    size: usize,
    negotiation: Arc<Negotiation>,
}

impl Replayed {
    fn get(&self, id: &str) -> Option<Arc<Negotiation>> {
        self.kept.get(id).map(|kept| Arc::clone(&kept.negotiation))
    }

    fn keep(&mut self, id: &str, negotiation: Arc<Negotiation>, most: usize) {
        let size = APART + negotiation.contributions().iter().map(|c| c.text.len()).sum::<usize>();
        self.looks += 1;
        let before = self.kept.insert(id.to_owned(), Kept { looked: self.looks, size, negotiation });
        self.size = self.size + size - before.map_or(0, |kept| kept.size);
        while self.size > most {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.looked).map(|(id, _)| id.clone()) else {
                return;
            };
            self.size -= self.kept.remove(&oldest).map_or(0, |kept| kept.size);
        }
    }
}

impl Gateway {
    /// A negotiation as its stored steps make it, each checked when it is first read.
    pub(super) async fn replayed(&self, row: &NegotiationRow) -> Result<Arc<Negotiation>, GatewayError> {
        let broken = |e: &dyn core::fmt::Display| GatewayError::Bug(format!("a stored negotiation is broken: {e}"));
        let kept = || self.inner.negotiations.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().get(&row.id);
        let mut negotiation = match known {
            Some(negotiation) => negotiation,
            None => {
                let opening: Opening = serde_json::from_str(&row.opening).map_err(|e| broken(&e))?;
                Arc::new(Negotiation::open(opening).map_err(|e| broken(&e))?)
            }
        };
        // Steps are only ever added, also by another gateway over the same rows.
        let steps = self.inner.store.negotiation_steps(&row.id, negotiation.events()).await?;
        if !steps.is_empty() {
            let events = steps.iter().map(|body| serde_json::from_str(body)).collect::<Result<Vec<Event>, _>>();
            let after = Negotiation::clone(&negotiation).resume(&JsonForm, events.map_err(|e| broken(&e))?);
            negotiation = Arc::new(after.map_err(|e| broken(&e))?);
        }
        kept().keep(&row.id, Arc::clone(&negotiation), MOST);
        Ok(negotiation)
    }
}

#[cfg(test)]
mod tests {
    use tacit_accord::negotiation::{Authority, NegotiationId};
    use tacit_model::UnixMillis;

    use super::*;

    fn negotiation() -> Arc<Negotiation> {
        let opening = Opening {
            id: NegotiationId([1; 32]),
            opener: "alice".to_owned(),
            title: "t".to_owned(),
            at: UnixMillis(0),
            expires: UnixMillis(1),
            authority: Authority::default(),
            invitations: Vec::new(),
        };
        Arc::new(Negotiation::open(opening).expect("it opens"))
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_least_looked_at_goes_first() {
        let (mut all, one) = (Replayed::default(), negotiation());
        for id in ["a", "b", "a", "c"] {
            all.keep(id, Arc::clone(&one), 2 * APART);
        }
        assert_eq!(all.kept.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(all.size, 2 * APART);
        assert!(all.get("a").is_some_and(|kept| Arc::ptr_eq(&kept, &one)) && all.get("b").is_none());
        // One that is larger than everything that may be kept is not.
        all.keep("d", one, APART - 1);
        assert_eq!((all.kept.len(), all.size), (0, 0));
    }
}
