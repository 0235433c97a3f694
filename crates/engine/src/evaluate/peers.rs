//! Weights of input peers: a report of some counts for more than one of others.
//!
//! The weights are public and part of the plan. What each contributor gives is its bit, proven to be one; the weighing is
//! done on shares, so that nobody gives itself another weight than the plan's. Whether the weights of those who report an
//! event reach the least is shared, too: a polynomial of the sum where all weights are little together, otherwise a
//! comparison.

use std::collections::BTreeMap;

use tacit_algebra::Field;

use super::order::{bits, room};
use super::presence::{at_least, at_least_cost};
use super::{Cost, Settings};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

/// The setting that says who weighs how much.
pub const PEER_WEIGHTS: &str = "peer_weights";
/// The setting that says what those who report have to weigh together.
pub(crate) const MIN_PEER_WEIGHT: &str = "min_peer_weight";
/// The most that one peer may weigh.
const MOST: u64 = 1_000_000;
/// Up to here the polynomial is cheaper than a comparison.
const POLYNOMIAL_UP_TO: u64 = 32;

/// What the reports of input peers weigh, and have to weigh together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerWeights {
    /// Of each of the plan's input peers.
    weights: Vec<u64>,
    least: u64,
}

impl PeerWeights {
    /// Those of a request, which names input peers by their place in its list; `None` where all count the same.
    ///
    /// Nobody's report alone may be enough, unless `min_peers` asks for others beside it: whose events are opened would be
    /// known, and a task could ask for one peer's.
    pub(super) fn new(settings: &Settings<'_>) -> Result<Option<Self>, PlanError> {
        let least = match (settings.text(MIN_PEER_WEIGHT), settings.text(PEER_WEIGHTS)) {
            (Some(least), _) => least.parse().map_err(|_| settings.bad(MIN_PEER_WEIGHT))?,
            (None, Some(_)) => return Err(settings.missing(MIN_PEER_WEIGHT)),
            (None, None) => return Ok(None),
        };
        let mut weights = vec![1; settings.inputs()];
        for (peer, weight) in settings.text(PEER_WEIGHTS).and_then(peer_weights).unwrap_or_default() {
            let place = peer.parse().ok().and_then(|place: usize| weights.get_mut(place));
            *place.ok_or_else(|| settings.unknown_peer(PEER_WEIGHTS, peer))? = weight;
        }
        let this = Self { weights, least };
        if this.total() < least {
            return Err(PlanError::PeersWeighTooLittle { total: this.total(), least });
        }
        let largest = this.weights.iter().copied().max().unwrap_or(0);
        if largest >= least && settings.number("min_peers", 1)? < 2 {
            return Err(PlanError::OnePeerWeighsEnough { weight: largest, least });
        }
        if this.compares() {
            settings.check_comparisons()?;
        }
        Ok(Some(this))
    }

    /// Of all input peers; a plan has at most 20,000.
    fn total(&self) -> u64 {
        self.weights.iter().sum()
    }

    fn compares(&self) -> bool {
        self.total() > POLYNOMIAL_UP_TO
    }

    fn bits(&self) -> u32 {
        bits(u128::from(self.total()))
    }

    pub(super) fn largest_inside(&self) -> Option<u128> {
        if self.compares() { room(self.bits()) } else { Some(u128::from(self.total())) }
    }

    pub(super) fn cost(&self, events: usize, cost: &mut Cost) {
        if self.compares() {
            cost.compare(events, self.bits());
        } else {
            at_least_cost(events, self.total() as usize, cost);
        }
    }

    /// 1 where the contributors that have the bit weigh enough, else 0, shared; `each` holds bits of the contributors `who`.
    pub(super) async fn enough<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        each: &[Shared<F>],
        who: &[usize],
    ) -> Result<Shared<F>, ArithmeticError> {
        let mut sum = Shared::zeros(each.first().map_or(0, Shared::len));
        for (bits, input) in each.iter().zip(who) {
            sum.scale_add(F::from_u64(self.weights[*input]), bits);
        }
        if !self.compares() {
            return at_least(arithmetic, &sum, self.total() as usize, self.least as usize).await;
        }
        let least = vec![F::from_u64(self.least); sum.len()];
        let light = arithmetic.less_than_public(&sum, &least, self.bits()).await?;
        Ok(Shared::constant(&vec![F::ONE; light.len()]).sub(&light))
    }
}

/// Who weighs how much, of a list such as `alpha=3,beta=2`; `None` if it is none, or names somebody twice.
pub fn peer_weights(text: &str) -> Option<BTreeMap<&str, u64>> {
    let mut weights = BTreeMap::new();
    for entry in text.split(',') {
        let (peer, weight) = entry.rsplit_once('=')?;
        let weight = weight.trim().parse().ok().filter(|weight| *weight <= MOST)?;
        if peer.trim().is_empty() || weights.insert(peer.trim(), weight).is_some() {
            return None;
        }
    }
    Some(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_weights_are_read_strictly() {
        let read = peer_weights("swisscom:ddos-1=3, a=b=0,gamma = 1000000").expect("a list");
        assert_eq!(read.into_iter().collect::<Vec<_>>(), [("a=b", 0), ("gamma", 1_000_000), ("swisscom:ddos-1", 3)]);
        for wrong in
            ["", "alpha", "alpha=", "=3", "alpha=-1", "alpha=1.5", "alpha=1000001", "alpha=1,alpha=1", "alpha=1,"]
        {
            assert_eq!(peer_weights(wrong), None, "{wrong}");
        }
    }
}
