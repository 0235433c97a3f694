//! The values that a series can have, as its owner says: so that an answer to a task does not depend on the records.
//!
//! A peer gives all its records of a window or none. Without a range, whoever chooses the bounds of tasks learns from
//! each answer whether a record is beyond them, and with bounds enough the record; nothing has to be computed for that.
//! With one, bounds that do not hold it are declined before any record is read, and under those that do a value beyond
//! the range, which is none that the series can have, stays out without a word.

use tacit_job::{Micro, Scale};
use tacit_model::api::TaskRequest;

use super::entries::{ANY, are_entries, parts};
use super::{Policy, TaskRefusal};

impl Policy {
    /// Whether the bounds of a task hold all values that its series can have, as far as they have a range.
    pub(super) fn judge_ranges(&self, request: &TaskRequest, scale: &Scale) -> Result<(), TaskRefusal> {
        for source in &request.sources {
            let Some((from, to)) = self.range_of(source) else { continue };
            // As it would be given: rounding may lift the largest beyond the bounds.
            if scale.encode(from).is_none() || scale.encode(to).is_none() {
                let (least, most) = (scale.least().to_string(), scale.most().to_string());
                let (from, to) = (from.to_string(), to.to_string());
                return Err(TaskRefusal::Range { name: source.clone(), from, to, least, most });
            }
        }
        Ok(())
    }

    /// The least and the largest value that a series can have, if that is said.
    pub(crate) fn range_of(&self, source: &str) -> Option<(Micro, Micro)> {
        let named = |wanted: &str| {
            let mut entries = self.ranges.iter().filter_map(|entry| parts(entry, &[]));
            entries.find(|(name, _)| *name == wanted).and_then(|(_, text)| read(text))
        };
        named(source).or_else(|| named(ANY))
    }
}

/// Whether entries are `NAME=FROM..TO`, names series or `*`, each once.
pub(super) fn are_ranges(entries: &[String]) -> bool {
    are_entries(entries, &[], read)
}

fn read(range: &str) -> Option<(Micro, Micro)> {
    let (from, to) = range.split_once("..")?;
    let (from, to): (Micro, Micro) = (from.parse().ok()?, to.parse().ok()?);
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use tacit_model::api::PeerPolicy;

    use super::*;

    #[test]
    fn a_tasks_bounds_hold_what_a_series_can_have() {
        let texts = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        let ranges = texts(&["temperature=-40..60.5", "*=0..100"]);
        assert!(are_ranges(&ranges));
        let policy = Policy::from(PeerPolicy { ranges, ..PeerPolicy::default() });
        let judge = |policy: &Policy, sources: &[&str], least: i64, most: i64| {
            let scale = Scale::new(Micro(least * 1_000_000), Micro(most * 1_000_000), 0).expect("a scale");
            let request =
                TaskRequest { sources: texts(sources), ..TaskRequest::about(tacit_model::GroupId(1), "", "sum", "") };
            policy.judge_ranges(&request, &scale)
        };
        assert_eq!(judge(&policy, &["temperature"], -40, 61).ok(), Some(()));
        let narrow = judge(&policy, &["temperature"], -40, 60).expect_err("60.5 is beyond");
        assert_eq!(narrow.to_string().matches("60.5").count(), 1, "{narrow}");
        assert!(judge(&policy, &["temperature", "co2"], -40, 61).is_err(), "co2 goes to 100");
        assert_eq!(judge(&policy, &["co2", "temperature"], -100, 100).ok(), Some(()));
        // What was said of one says nothing of another.
        let policy = Policy::from(PeerPolicy { ranges: texts(&["co2=0..1"]), ..PeerPolicy::default() });
        assert_eq!(judge(&policy, &["temperature", "co2"], 0, 1).ok(), Some(()));
        for wrong in ["co2", "co2=1", "co2=2..1", "co2=1..1", "co2=a..b", "c o=0..1", "(queue)=0..1", "=0..1"] {
            assert!(!are_ranges(&texts(&[wrong])), "{wrong}");
        }
        assert!(!are_ranges(&texts(&["co2=0..1", "co2=0..2"])));
    }
}
