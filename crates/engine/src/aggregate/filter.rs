//! Bloom filters: sets of keys that need not be listed, at the price of false positives.
//!
//! A key sets `hashes` of `positions` bits (Bloom 1970); a filter in which all of them are set has the key, or looks as if it
//! had. The bits of a key come from two numbers of one SHA-256 (Kirsch, Mitzenmacher 2006), the same for everybody, without
//! a secret: whoever learns a filter can try keys.

use super::Aggregator;
use crate::plan::{PlanError, PlanRequest};
use crate::transcript::Transcript;

/// The most positions.
const MOST_POSITIONS: usize = 1_000_000;
/// The most hashes.
const MOST_HASHES: u64 = 32;
/// How many hashes unless a task says otherwise.
const HASHES: usize = 4;
/// The most keys that a task looks up.
const MOST_KEYS: usize = 1000;

/// The form of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    positions: usize,
    hashes: u64,
}

impl Filter {
    /// A filter of so many bits, so many of which a key sets; `None` beyond 1,000,000 or 32.
    pub fn new(positions: usize, hashes: u64) -> Option<Self> {
        let sound = (2..=MOST_POSITIONS).contains(&positions) && (1..=MOST_HASHES).contains(&hashes);
        sound.then_some(Self { positions, hashes })
    }

    /// How many bits.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// The bits of a key; two may be the same.
    pub fn bits_of(&self, key: u64) -> impl Iterator<Item = usize> + use<> {
        let mut transcript = Transcript::new("tacit/filter/v1");
        transcript.number(key);
        let hash = transcript.finish();
        let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| hash[at + i]));
        // An odd step visits more places.
        let (first, step, positions) = (number(0), number(8) | 1, self.positions as u64);
        (0..self.hashes).map(move |i| (first.wrapping_add(i.wrapping_mul(step)) % positions) as usize)
    }

    /// The least of the numbers at a key's bits: 0 if the filter does not have it.
    pub fn look_up(&self, numbers: &[u128], key: u64) -> u128 {
        self.bits_of(key).map(|bit| numbers.get(bit).copied().unwrap_or(0)).min().unwrap_or(0)
    }

    /// The chance that a key which is not there looks as if it was, where so many bits are set.
    pub fn false_positives(&self, set: usize) -> f64 {
        (set as f64 / self.positions as f64).powi(self.hashes as i32)
    }

    /// The same where so many different keys are there.
    pub fn false_positives_of(&self, keys: u128) -> f64 {
        let unset = (1.0 - 1.0 / self.positions as f64).powf(self.hashes as f64 * keys as f64);
        (1.0 - unset).powi(self.hashes as i32)
    }

    /// How many keys set so many bits, most likely (Swamidass, Baldi 2007); `None` where all are set.
    pub fn keys(&self, set: usize) -> Option<f64> {
        let (positions, unset) = (self.positions as f64, self.positions.checked_sub(set)? as f64);
        (unset > 0.0).then(|| -positions / self.hashes as f64 * (unset / positions).ln())
    }
}

/// The filter of a request, whose parameters the registry accepted.
pub(crate) fn read(aggregator: &'static Aggregator, request: &PlanRequest) -> Result<Filter, PlanError> {
    let name = aggregator.name;
    let number = |parameter: &'static str, unless_set: Option<usize>| {
        let text = request.parameters.get(parameter).map(|text| text.parse().ok());
        text.or(unless_set.map(Some)).ok_or(PlanError::MissingParameter { name, parameter })
    };
    let filter = match (number("positions", None)?, number("hashes", Some(HASHES))?) {
        (Some(positions), Some(hashes)) => Filter::new(positions, hashes as u64),
        _ => None,
    };
    filter.ok_or_else(|| PlanError::BadParameter { name, parameter: "positions".to_owned() })
}

/// The keys of a list.
pub(crate) fn keys(text: &str) -> Option<Vec<u64>> {
    let keys: Option<Vec<u64>> = text.split(',').map(|key| key.trim().parse().ok()).collect();
    keys.filter(|keys| keys.len() <= MOST_KEYS)
}

/// Accepts a number of positions.
pub(super) fn are_positions(text: &str) -> bool {
    text.parse().is_ok_and(|positions| Filter::new(positions, 1).is_some())
}

/// Accepts a number of hashes.
pub(super) fn are_hashes(text: &str) -> bool {
    text.parse().is_ok_and(|hashes| Filter::new(MOST_POSITIONS, hashes).is_some())
}

/// Accepts a list of keys.
pub(super) fn are_keys(text: &str) -> bool {
    keys(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_what_was_put_in_and_little_more() {
        let filter = Filter::new(10_000, 5).expect("a filter");
        let mut bits = vec![0u128; 10_000];
        (0..1000).for_each(|key| filter.bits_of(key * 7).for_each(|bit| bits[bit] = 1));
        assert!((0..1000).all(|key| filter.look_up(&bits, key * 7) == 1));
        let wrong = (10_000..30_000u64).filter(|key| filter.look_up(&bits, *key) == 1 && (key % 7 > 0 || *key >= 7000));
        let set = bits.iter().filter(|bit| **bit == 1).count();
        let (found, stated) = (wrong.count() as f64 / 20_000.0, filter.false_positives(set));
        assert!((stated - filter.false_positives_of(1000)).abs() < 0.003, "{stated}");
        assert!((found - stated).abs() < 0.004, "{found} of keys, {stated} stated");
        assert!((filter.keys(set).expect("not full") - 1000.0).abs() < 30.0);
        assert_eq!((filter.keys(0), filter.keys(10_000), filter.keys(10_001)), (Some(0.0), None, None));
        for (positions, hashes) in [(1, 1), (1_000_001, 1), (100, 0), (100, 33)] {
            assert_eq!(Filter::new(positions, hashes), None);
        }
    }

    /// Peers of different versions have to set the same bits.
    #[test]
    fn bits_of_keys_stay() {
        let filter = Filter::new(1_000_000, 3).expect("a filter");
        let bits: Vec<Vec<usize>> = [0, 1, u64::MAX].iter().map(|key| filter.bits_of(*key).collect()).collect();
        assert_eq!(bits, BITS);
    }

    const BITS: [[usize; 3]; 3] = [[50045, 955508, 860971], [731224, 557985, 384746], [433648, 399333, 916634]];
}
