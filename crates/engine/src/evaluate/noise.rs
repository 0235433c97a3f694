//! Noise for differential privacy, sampled inside the computation: discrete Laplace on opened sums.
//!
//! Nobody knows the noise: its bits are coins that all compute peers toss together ([`coins`](crate::arithmetic)), so that
//! t of them can neither subtract it nor choose it; in `malicious` nothing is opened before the coins are verified. It is drawn
//! once, after the freeze; a lost compute peer ends the session, so that the same sums are never opened with other noise.
//!
//! A number hides one record (or all records of one peer, as the task says) if the sums with it and without it
//! could be mistaken for each other: with epsilon, their chances differ by a factor of at most e^epsilon, but for an event of
//! probability delta (Dwork, Roth 2014). Sums that one record changes by up to s together get noise of scale s/epsilon; where there are
//! several such groups, each gets an equal part of epsilon. Bounds are proven, so that no input changes more than that.

use num_bigint::{BigInt, BigUint};
use tacit_algebra::Field;

use super::{Cost, Evaluate, Inputs, Settings};
use crate::aggregate::encoding::Encoding;
use crate::aggregate::exact::{big, ratio};
use crate::aggregate::{NoResult, Statistic, histogram_names};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};
use crate::plan::{PlanError, SecurityModel};

mod geometric;

/// Coins of one session.
const MOST_COINS: usize = 1 << 22;
/// The same where they are verified: each takes 64 random bits.
const MOST_VERIFIED_COINS: usize = 1 << 16;
/// Digits of epsilon behind the point.
const DIGITS: usize = 6;
/// The largest epsilon, in units of its last digit. More protects nobody.
const LARGEST: u64 = 20_000_000;

/// Which sums get noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noisy {
    /// Of vectors.
    Sum,
    /// How many records there are.
    Count,
    /// How many records there are, and the sum of each column.
    Mean,
    /// How many records fall into each bucket.
    Histogram,
}

/// What noise promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Privacy {
    /// The factor is e to the power of this.
    pub epsilon: f64,
    /// The probability with which more may be learnt.
    pub delta: f64,
    /// Whether all of a peer's records are hidden, not only each of them.
    pub hides_peers: bool,
}

/// Sums of the same kind, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: &'static str,
    sums: usize,
    /// One over the scale of the noise.
    inverse_scale: (BigUint, BigUint),
    /// Of the bits of the noise's two parts.
    thresholds: Vec<u64>,
}

impl Group {
    fn new(name: &'static str, sums: usize, inverse_scale: (BigUint, BigUint)) -> Self {
        let thresholds = geometric::thresholds(&inverse_scale.0, &inverse_scale.1);
        Self { name, sums, inverse_scale, thresholds }
    }

    /// The largest that the noise can be; `None` if beyond 2^127.
    fn offset(&self) -> Option<u128> {
        let bits = u32::try_from(self.thresholds.len()).ok().filter(|bits| *bits < 127)?;
        Some((1 << bits) - 1)
    }

    fn coins(&self) -> usize {
        self.sums.saturating_mul(2 * self.thresholds.len())
    }

    /// The standard deviation of the noise: 1 / (sqrt 2 sinh(x/2)).
    fn deviation(&self) -> Result<f64, NoResult> {
        let (above, below) = &self.inverse_scale;
        let x = ratio(&above.clone().into(), &below.clone().into())?;
        Ok(1.0 / (std::f64::consts::SQRT_2 * (x / 2.0).sinh()))
    }
}

/// Sums with noise, as offsets above the most negative that they can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noise {
    which: Noisy,
    encoding: Encoding,
    names: Vec<String>,
    groups: Vec<Group>,
    /// In units of 10^-[`DIGITS`].
    epsilon: u64,
    hides_peers: bool,
}

impl Noise {
    pub(super) fn new(which: Noisy, settings: &Settings<'_>) -> Result<Self, PlanError> {
        settings.check_comparisons()?;
        let encoding = Encoding::new(settings.aggregator, settings.request)?;
        let epsilon = settings.text("epsilon").ok_or_else(|| settings.missing("epsilon"))?;
        let epsilon = read_epsilon(epsilon).ok_or_else(|| settings.bad("epsilon"))?;
        let hides_peers = which == Noisy::Sum || settings.text("hides") == Some("peer");
        let records = match (&encoding, hides_peers) {
            (Encoding::Records(records), true) => u128::from(records.settings.max_records),
            _ => 1,
        };
        let (columns, max) = (settings.items(), settings.max_element());
        let length = encoding.length();
        // For each group: how many sums, and how much one record or peer changes them together.
        let changes: Vec<(&'static str, usize, u128)> = match which {
            Noisy::Sum => vec![("sum", length, max.saturating_mul(columns as u128))],
            Noisy::Count => vec![("count", 1, records)],
            Noisy::Mean => {
                std::iter::once(("count", 1, records)).chain([("sum", columns, max.saturating_mul(records))]).collect()
            }
            Noisy::Histogram => vec![("bucket", length, records)],
        };
        // Columns of a mean or of a histogram are groups of their own: a record is in each of them.
        let parts = match which {
            Noisy::Sum | Noisy::Count => 1,
            Noisy::Mean => 1 + columns,
            Noisy::Histogram => columns,
        };
        let group = |(name, sums, change): (&'static str, usize, u128)| {
            let below = BigUint::from(change.max(1)) * BigUint::from(parts) * BigUint::from(10u64.pow(DIGITS as u32));
            Group::new(name, sums, (BigUint::from(epsilon), below))
        };
        let groups: Vec<Group> = changes.into_iter().map(group).collect();
        let noise = Self { which, encoding, names: settings.names_of(which)?, groups, epsilon, hides_peers };
        let limit = match settings.request.model {
            SecurityModel::SemiHonest => MOST_COINS,
            SecurityModel::Malicious | SecurityModel::Guaranteed => MOST_VERIFIED_COINS,
        };
        match noise.coins() {
            coins if coins > limit => Err(PlanError::TooManyCoins { coins, limit, name: settings.aggregator.name }),
            _ => Ok(noise),
        }
    }

    fn coins(&self) -> usize {
        self.groups.iter().fold(0, |coins: usize, group| coins.saturating_add(group.coins()))
    }

    /// The group of each sum.
    fn group(&self, output: usize) -> &Group {
        let mut first = 0;
        let found = self.groups.iter().find(|group| {
            first += group.sums;
            output < first
        });
        // There is no output beyond the last group.
        found.unwrap_or(&self.groups[0])
    }

    pub(crate) fn privacy(&self) -> Privacy {
        let epsilon = self.epsilon as f64 / 10f64.powi(DIGITS as i32);
        // Each coin is off by up to 2^-65, and higher bits are left out.
        let away = |group: &Group| (2 * group.sums * (group.thresholds.len() + 1)) as f64 * 2f64.powi(-65);
        // 1 + e^epsilon is at most 2^(1 + 1.45 epsilon): a power of two, which is the same on all machines.
        let factor = 1 + (self.epsilon * 145).div_ceil(100 * 10u64.pow(DIGITS as u32));
        let delta = 2f64.powi(factor as i32) * self.groups.iter().map(away).sum::<f64>();
        Privacy { epsilon, delta, hides_peers: self.hides_peers }
    }

    /// The numbers behind opened sums: whole, possibly negative.
    fn sums(&self, opened: &[u128]) -> Result<Vec<BigInt>, NoResult> {
        let sum = |(output, opened): (usize, &u128)| {
            let offset = self.group(output).offset().ok_or(NoResult::TooLarge)?;
            Ok(big(*opened) - big(offset))
        };
        opened.iter().enumerate().map(sum).collect()
    }

    fn statistics(&self, opened: &[u128]) -> Result<Vec<Statistic>, NoResult> {
        let sums = self.sums(opened)?;
        let whole = |name: String, sum: &BigInt| Ok(Statistic::new(name, ratio(sum, &big(1))?));
        let mut out: Vec<Statistic> = match self.which {
            Noisy::Sum => {
                let named = self.names.iter().zip(&sums);
                named.map(|(name, sum)| whole(format!("sum({name})"), sum)).collect::<Result<_, NoResult>>()?
            }
            Noisy::Count => vec![whole("count".to_owned(), &sums[0])?],
            Noisy::Histogram => {
                self.names.iter().zip(&sums).map(|(name, sum)| whole(name.clone(), sum)).collect::<Result<_, _>>()?
            }
            Noisy::Mean => {
                if sums[0] <= big(0) {
                    return Err(NoResult::OnlyNoise);
                }
                let mean = |(name, sum)| Ok(Statistic::new(format!("mean({name})"), ratio(sum, &sums[0])?));
                let means = self.names.iter().zip(&sums[1..]).map(mean);
                std::iter::once(whole("count".to_owned(), &sums[0])).chain(means).collect::<Result<_, NoResult>>()?
            }
        };
        let Privacy { epsilon, delta, .. } = self.privacy();
        out.push(Statistic::new("epsilon", epsilon));
        out.push(Statistic::new("delta", delta));
        for group in &self.groups {
            out.push(Statistic::new(format!("noise_std_deviation({})", group.name), group.deviation()?));
        }
        Ok(out)
    }
}

impl Evaluate for Noise {
    fn outputs(&self) -> usize {
        self.encoding.length()
    }

    fn largest(&self, output: usize, contributors: usize) -> Option<u128> {
        let sum = self.encoding.bound(output).checked_mul(contributors as u128)?;
        sum.checked_add(self.group(output).offset()?.checked_mul(2)?)
    }

    fn largest_inside(&self, contributors: usize) -> Option<u128> {
        // The bounds of a group's sums are the same.
        let mut first = 0;
        self.groups.iter().try_fold(0, |most: u128, group| {
            let largest = self.largest(first, contributors)?;
            first += group.sums;
            Some(most.max(largest))
        })
    }

    fn cost(&self, _: usize, cost: &mut Cost) {
        cost.coins(self.coins());
    }

    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        // For each sum the bits of what is added, then those of what is taken away.
        let of_a_sum = |group: &Group| [&group.thresholds[..], &group.thresholds[..]].concat();
        let thresholds: Vec<u64> = self.groups.iter().flat_map(|group| of_a_sum(group).repeat(group.sums)).collect();
        let coins = arithmetic.biased_bits(&thresholds).await?;
        let mut coins = coins.expose_shares();
        let mut noise = Vec::with_capacity(self.outputs());
        for group in &self.groups {
            let bits = group.thresholds.len();
            let offset = F::from_u128(group.offset().unwrap_or_default());
            for _ in 0..group.sums {
                let (own, rest) = coins.split_at(2 * bits);
                let (plus, minus) = own.split_at(bits);
                // From the highest bit down: twice what is above, and the bit.
                let difference = plus.iter().zip(minus).rev();
                noise.push(difference.fold(F::ZERO, |above, (plus, minus)| above + above + *plus - *minus) + offset);
                coins = rest;
            }
        }
        Ok(inputs.sum.add(&Shared::from_shares(noise)))
    }

    fn decode(&self, opened: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        Some(self.statistics(opened))
    }
}

impl Settings<'_> {
    /// The names of what opened sums are, or of the columns.
    fn names_of(&self, which: Noisy) -> Result<Vec<String>, PlanError> {
        match which {
            Noisy::Sum | Noisy::Count => self.names(),
            Noisy::Mean => self.column_names(),
            Noisy::Histogram => match Encoding::new(self.aggregator, self.request)? {
                Encoding::Records(records) => Ok(histogram_names(&records.settings)),
                _ => Err(self.bad("edges")),
            },
        }
    }
}

/// A positive decimal in units of its last possible digit.
fn read_epsilon(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > DIGITS || !digits(whole) || !digits(part) {
        return None;
    }
    let number: u64 = format!("{whole}{part:0<DIGITS$}").parse().ok()?;
    (1..=LARGEST).contains(&number).then_some(number)
}

/// Accepts an epsilon.
pub(crate) fn is_epsilon(text: &str) -> bool {
    read_epsilon(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilons() {
        assert_eq!((read_epsilon("1"), read_epsilon("0.5")), (Some(1_000_000), Some(500_000)));
        assert_eq!((read_epsilon("0.000001"), read_epsilon("20.0")), (Some(1), Some(20_000_000)));
        for wrong in ["", "0", "0.0", "-1", "+1", "1e3", "20.000001", "0.0000001", ".5", "1.+1", "9999", "inf"] {
            assert_eq!(read_epsilon(wrong), None, "{wrong}");
        }
    }
}
