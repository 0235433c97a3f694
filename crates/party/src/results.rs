//! Results as they are stored, shown and posted.

use serde::{Deserialize, Serialize};
use tacit_engine::{NoResult, Statistic};
use tacit_model::{Slot, UnixMillis};
use tacit_store::ResultRow;

use crate::PartyError;

/// The result of one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotResult {
    /// Which slot.
    pub slot: Slot,
    /// The values, one per item; where statistics are computed, the opened sums.
    pub values: Vec<u128>,
    /// The named numbers of a statistic.
    pub statistics: Vec<(String, f64)>,
    /// Why the sums make no statistic.
    pub no_result: Option<String>,
    /// How many gave data.
    pub contributors: u32,
    /// The commitment on which all recipients agreed, hexadecimal.
    pub agreement: String,
    /// When it was stored.
    pub at: UnixMillis,
    /// The id of the client's task.
    pub task: Option<String>,
}

impl SlotResult {
    /// `3;8`, as the P2DS manual writes it.
    pub fn text(&self) -> String {
        join(&self.values)
    }

    /// `None` for the mark of a slot whose result this party does not learn.
    pub(crate) fn read(row: ResultRow) -> Option<Result<Self, PartyError>> {
        if row.values_json.is_empty() {
            return None;
        }
        Some(Stored::read(&row.values_json).and_then(|stored| {
            Ok(Self {
                slot: row.slot,
                values: stored.sums()?,
                statistics: stored.statistics().to_vec(),
                no_result: stored.no_result().map(str::to_owned),
                contributors: row.contributors,
                agreement: hex::encode(&row.agreement),
                at: row.at,
                task: stored.task().map(str::to_owned),
            })
        }))
    }
}

/// What is kept of a result. Sums are decimal texts, since other readers round large JSON numbers.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Stored {
    /// The sums are the result.
    Sums(Vec<String>),
    /// A statistic of the sums.
    Statistics {
        /// The opened sums.
        sums: Vec<String>,
        /// What they make.
        #[serde(default)]
        statistics: Vec<(String, f64)>,
        /// Why they make nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        no_result: Option<String>,
        /// The id of the client's task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
    },
}

impl Stored {
    /// What is kept of these sums and of what the aggregator made of them, for a client's task.
    pub(crate) fn new(sums: &[u128], made: Option<Result<Vec<Statistic>, NoResult>>, task: Option<String>) -> Self {
        let sums = sums.iter().map(u128::to_string).collect();
        let (statistics, no_result) = match made {
            None if task.is_none() => return Self::Sums(sums),
            None => (Vec::new(), None),
            Some(Ok(statistics)) => (statistics.into_iter().map(|s| (s.name, s.value)).collect(), None),
            Some(Err(why)) => (Vec::new(), Some(why.to_string())),
        };
        Self::Statistics { sums, statistics, no_result, task }
    }

    /// As the store keeps it.
    pub(crate) fn text(&self) -> String {
        // Texts and finite numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn read(text: &str) -> Result<Self, PartyError> {
        serde_json::from_str(text).map_err(|_| damaged())
    }

    /// The sums.
    pub(crate) fn sums(&self) -> Result<Vec<u128>, PartyError> {
        let (Self::Sums(sums) | Self::Statistics { sums, .. }) = self;
        sums.iter().map(|text| text.parse().map_err(|_| damaged())).collect()
    }

    /// The sums as `3;8`, as the P2DS manual writes them.
    pub(crate) fn row(&self) -> Result<String, PartyError> {
        self.sums().map(|sums| join(&sums))
    }

    fn statistics(&self) -> &[(String, f64)] {
        match self {
            Self::Sums(_) => &[],
            Self::Statistics { statistics, .. } => statistics,
        }
    }

    fn no_result(&self) -> Option<&str> {
        match self {
            Self::Sums(_) => None,
            Self::Statistics { no_result, .. } => no_result.as_deref(),
        }
    }

    /// The id of the client's task that it is the result of.
    pub(crate) fn task(&self) -> Option<&str> {
        match self {
            Self::Sums(_) => None,
            Self::Statistics { task, .. } => task.as_deref(),
        }
    }
}

fn damaged() -> PartyError {
    PartyError::Damaged("a result".to_owned())
}

fn join(values: &[u128]) -> String {
    let texts: Vec<String> = values.iter().map(u128::to_string).collect();
    texts.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let values = [0, 7, u128::from(u64::MAX) + 1];
        let text = Stored::new(&values, None, None).text();
        assert_eq!(text, "[\"0\",\"7\",\"18446744073709551616\"]");
        let stored = Stored::read(&text).expect("what was written");
        assert_eq!(stored.sums().ok().as_deref(), Some(&values[..]));
        assert_eq!(stored.row().ok().as_deref(), Some("0;7;18446744073709551616"));
        assert!(stored.statistics().is_empty() && stored.no_result().is_none());
        assert!(Stored::read("[1]").is_err());
    }

    #[test]
    fn statistics_come_back_to_the_last_bit() {
        for value in [0.1 + 0.2, 1.0 / 3.0, 3.0, 123456.789e-30] {
            let made = vec![Statistic { name: "mean(x1)".to_owned(), value }];
            let stored = Stored::read(&Stored::new(&[3, 1], Some(Ok(made)), Some("0a".to_owned())).text())
                .expect("what was written");
            assert_eq!(stored.statistics(), [("mean(x1)".to_owned(), value)]);
            assert_eq!(stored.row().ok().as_deref(), Some("3;1"));
            assert_eq!(stored.task(), Some("0a"));
        }
        let none = Stored::read(&Stored::new(&[0, 0], Some(Err(NoResult::NoRecords)), None).text()).expect("the same");
        assert_eq!(none.no_result(), Some("no records"));
    }
}
