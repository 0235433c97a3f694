//! Events that at least so many contributors report, with the sum of the weights they give them.
//!
//! SEPIA's event correlation (Burkhart et al. 2010): an event and its weight are opened only if enough
//! report it. Of every other event nothing is opened, not even that somebody reports it. Who reports may count
//! differently, too ([`peers`](super::peers)).

use tacit_algebra::Field;

use super::order::{bits, room};
use super::peers::PeerWeights;
use super::presence::{at_least, at_least_cost};
use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::settings::DEFAULT_MAX_WEIGHT;
use crate::aggregate::{NoResult, Statistic};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::PlanError;

/// The vectors hold a bit per event and then a weight per event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Correlation {
    events: usize,
    /// Of events; bits of filters have none.
    names: Vec<String>,
    max_element: u128,
    min_peers: usize,
    /// Compared with if above 1, the least that a reported event weighs.
    min_weight: u64,
    /// What those who report have to weigh themselves.
    peers: Option<PeerWeights>,
    inputs: usize,
    learn: Learn,
}

/// What is opened of an event that enough report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learn {
    /// That they do.
    Events,
    /// How many do.
    Counts,
    /// That, and the sum of their weights.
    Weights,
}

impl Correlation {
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_work(settings.items())?;
        let names = settings.names()?;
        Self::over(names.len(), names, settings.max_element(), settings)
    }

    /// The same about the bits of filters.
    pub(super) fn of_filter(positions: usize, settings: &Settings<'_>) -> Result<Self, PlanError> {
        let max_weight = settings.number("max_weight", DEFAULT_MAX_WEIGHT)?;
        Self::over(positions, Vec::new(), max_weight as u128, settings)
    }

    fn over(events: usize, names: Vec<String>, max_element: u128, settings: &Settings<'_>) -> Result<Self, PlanError> {
        let min_weight =
            settings.text("min_weight").map_or(Ok(0), |text| text.parse().map_err(|_| settings.bad("min_weight")));
        let peers = PeerWeights::new(settings)?;
        let min_peers = match &peers {
            Some(_) if settings.text("min_peers").is_none() => 1,
            _ => settings.min_peers()?,
        };
        let this = Self {
            events,
            names,
            max_element,
            min_peers,
            min_weight: min_weight?,
            peers,
            inputs: settings.inputs(),
            learn: match settings.text("learn") {
                Some("events") => Learn::Events,
                Some("counts") => Learn::Counts,
                _ => Learn::Weights,
            },
        };
        if this.compares() {
            settings.check_comparisons()?;
        }
        Ok(this)
    }
}

impl Correlation {
    fn compares(&self) -> bool {
        self.min_weight > 1
    }

    /// Bits of weights and of the least weight; the plan refused weights beyond.
    fn bits(&self) -> u32 {
        let weights = self.max_element.saturating_mul(self.inputs as u128);
        bits(weights.max(u128::from(self.min_weight)))
    }
}

impl Evaluate for Correlation {
    fn each(&self) -> bool {
        self.peers.is_some()
    }

    fn outputs(&self) -> usize {
        match self.learn {
            Learn::Events | Learn::Counts => self.events,
            Learn::Weights => 2 * self.events,
        }
    }

    fn largest(&self, output: usize, contributors: usize) -> Option<u128> {
        let contributors = contributors as u128;
        match self.learn {
            Learn::Events => Some(1),
            Learn::Counts | Learn::Weights if output < self.events => Some(contributors),
            Learn::Counts | Learn::Weights => contributors.checked_mul(self.max_element),
        }
    }

    fn largest_inside(&self, contributors: usize) -> Option<u128> {
        let largest = self.max_element.checked_mul(contributors as u128)?.max(contributors as u128);
        let largest = self.peers.as_ref().map_or(Some(0), PeerWeights::largest_inside)?.max(largest);
        if self.compares() { Some(largest.max(room(self.bits())?)) } else { Some(largest) }
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        if self.compares() {
            cost.compare(self.events, self.bits());
            cost.multiply(self.events);
        }
        at_least_cost(self.events, contributors, cost);
        if let Some(peers) = &self.peers {
            peers.cost(self.events, cost);
            cost.multiply(self.events);
        }
        if self.learn != Learn::Events {
            cost.multiply(self.outputs());
        }
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let counts = inputs.sum.slice(0..self.events);
        let mut enough = at_least(arithmetic, &counts, inputs.contributors, self.min_peers).await?;
        if self.compares() {
            let weights = inputs.sum.slice(self.events..2 * self.events);
            let least = vec![F::from_u64(self.min_weight); weights.len()];
            let light = arithmetic.less_than_public(&weights, &least, self.bits()).await?;
            let heavy = Shared::constant(&vec![F::ONE; light.len()]).sub(&light);
            arithmetic.multiply_assign(&mut enough, &heavy).await?;
        }
        if let Some(peers) = &self.peers {
            let reported: Vec<Shared<F>> = inputs.each.iter().map(|input| input.slice(0..self.events)).collect();
            let trusted = peers.enough(arithmetic, &reported, &inputs.who).await?;
            arithmetic.multiply_assign(&mut enough, &trusted).await?;
        }
        match self.learn {
            Learn::Events => Ok(enough),
            Learn::Counts => arithmetic.multiply(&counts, &enough).await,
            Learn::Weights => arithmetic.multiply(&inputs.sum, &Shared::concat(&[&enough, &enough])).await,
        }
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        if self.learn == Learn::Events {
            let seen = self.names.iter().zip(opened).filter(|(_, bit)| **bit > 0);
            return Some(Ok(seen.map(|(name, _)| Statistic::new(format!("event({name})"), 1.0)).collect()));
        }
        if self.learn == Learn::Counts {
            if opened.iter().any(|peers| *peers > 0 && *peers < self.min_peers as u128) {
                return Some(Err(NoResult::Impossible));
            }
            let seen = self.names.iter().zip(opened).filter(|(_, peers)| **peers > 0);
            return Some(Ok(seen.map(|(name, n)| Statistic::new(format!("peers({name})"), *n as f64)).collect()));
        }
        let (peers, weights) = opened.split_at(self.events);
        let mut statistics = Vec::new();
        for ((name, peers), weight) in self.names.iter().zip(peers).zip(weights) {
            // Whoever reports an event gives it a weight of at least 1. A weight below the reports is shown as it is nevertheless: it
            // says that somebody did not, who shall not void all events by that.
            if (*peers > 0 && *peers < self.min_peers as u128) || (*peers == 0 && *weight > 0) {
                return Some(Err(NoResult::Impossible));
            }
            if *peers > 0 && *weight < u128::from(self.min_weight) {
                return Some(Err(NoResult::Impossible));
            }
            if *peers > 0 {
                statistics.push(Statistic::new(format!("peers({name})"), *peers as f64));
                statistics.push(Statistic::new(format!("weight({name})"), *weight as f64));
            }
        }
        Some(Ok(statistics))
    }
}
