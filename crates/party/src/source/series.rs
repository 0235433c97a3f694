//! Series: what a peer measured over time, and which of it goes into a task.
//!
//! A series is a name and decimals by moment. Samples of several series at the same moment, or in the same
//! interval if the task says so, make a record.
//! Selection happens here, at the peer: nobody else learns what was left out, or why.

use std::collections::BTreeMap;

use tacit_engine::{Plan, RowShape};
use tacit_job::{Ask, MAX_SUMMED, Micro, Preselector, Scale, Terms, Window, is_source};
use tacit_model::{CLOCK_SKEW_MS, Slot, UnixMillis};
use tacit_store::{Look, Redacted, Sample, StoreError};

use super::Row;
use crate::policy::Policy;

/// More samples than this are not taken at once.
pub const MAX_SAMPLES: usize = 100_000;

/// What was measured at a moment, as it was handed in. Never shown.
pub struct SampleText {
    /// When.
    pub at: UnixMillis,
    /// Decimals by the name of the series.
    pub values: BTreeMap<String, Redacted<String>>,
}

/// Why samples were not taken; none was. Says where, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// No series of that name can be.
    #[error("a series has a name of 1 to 100 letters, digits and _-.:")]
    Name,
    /// Not a decimal.
    #[error("expected a decimal such as -3 or 21.5, with up to 6 places and 12 digits before them")]
    Value,
    /// Nothing was measured.
    #[error("no values")]
    Empty,
    /// Not measured yet.
    #[error("its moment lies in the future; set the clocks right")]
    Future,
}

/// Where the records end that a peer may have of a window now, by its clock: no later sample was taken.
pub(crate) fn end(window: Window, now: UnixMillis) -> UnixMillis {
    window.to.min(now.plus(CLOCK_SKEW_MS + 1)).max(window.from)
}

/// Whether it cannot have been measured yet, as far as clocks may differ.
pub fn is_future(at: UnixMillis, now: UnixMillis) -> bool {
    at.since(now) > CLOCK_SKEW_MS
}

/// Reads samples; the number of the first that is wrong, counted from 1, and why.
pub(crate) fn read(samples: Vec<SampleText>, now: UnixMillis) -> Result<Vec<Sample>, (usize, SampleError)> {
    let one = |sample: SampleText| {
        if sample.values.is_empty() {
            return Err(SampleError::Empty);
        }
        if is_future(sample.at, now) {
            return Err(SampleError::Future);
        }
        let mut values = BTreeMap::new();
        for (source, text) in sample.values {
            if !is_source(&source) {
                return Err(SampleError::Name);
            }
            let value: Micro = text.parse().map_err(|_| SampleError::Value)?;
            values.insert(source, Redacted(value.0));
        }
        Ok((sample.at, values))
    };
    samples.into_iter().enumerate().map(|(index, sample)| one(sample).map_err(|why| (index + 1, why))).collect()
}

/// What a peer gives to a computation of a task.
pub(crate) struct Selected {
    /// The numbers, in the shape of the plan.
    pub(crate) row: Row,
    /// What part of the series they are from.
    pub(crate) window: Window,
    /// Records that meet the conditions and are not within the bounds. For the owner only.
    pub(crate) left_out: usize,
    /// Records with a value that its series cannot have, by the owner's own word.
    pub(crate) beyond: usize,
}

/// Why a peer has nothing to give.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NothingToGive {
    #[error("the task has no such computation")]
    Window,
    #[error("there are no records in {0}")]
    NoRecords(Window),
    #[error(
        "this peer has let go of samples up to {upto} (max_samples, keep_samples_hours), so it gives to no window that begins \
         then or earlier, as {window} does: a part of it would pass for the whole; ask for a window that begins later, or keep \
         more than the longest window that is asked for"
    )]
    LetGo { window: Window, upto: UnixMillis },
    #[error("there are {found} records, and the task takes {most} of a peer")]
    TooMany { found: usize, most: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The mean of the own records that a preselector takes now, as far as they are within the bounds; of a part of them, none.
pub(crate) async fn own_mean(
    look: &mut Look,
    party: &str,
    source: &str,
    preselector: Preselector,
    scale: &Scale,
    now: UnixMillis,
) -> Result<Option<Micro>, StoreError> {
    let window = preselector.window(now);
    let mut values: Vec<Micro> =
        look.samples(party, source, window.from, window.to).await?.iter().map(|s| Micro(s.value.0)).collect();
    if preselector.is_now() {
        values.drain(..values.len().saturating_sub(1));
    } else if look.let_go_up_to(party).await?.is_some_and(|upto| upto >= window.from) {
        return Ok(None);
    }
    values.retain(|value| scale.encode(*value).is_some());
    let sum: i128 = values.iter().map(|value| i128::from(value.0)).sum();
    let count = i128::try_from(values.len()).unwrap_or(i128::MAX);
    Ok(sum.checked_div(count).and_then(|mean| i64::try_from(mean).ok()).map(Micro))
}

/// Selects the records of a computation.
pub(crate) async fn select(
    look: &mut Look,
    party: &str,
    ask: &Ask,
    terms: &Terms,
    slot: Slot,
    plan: &Plan,
    policy: &Policy,
) -> Result<Selected, NothingToGive> {
    let mut window = terms.window(slot).ok_or(NothingToGive::Window)?;
    let request = &ask.request;
    let mut records: BTreeMap<UnixMillis, BTreeMap<&str, Micro>> = BTreeMap::new();
    let mut series: Vec<&str> = terms.series(request).collect();
    series.sort_unstable();
    series.dedup();
    for source in &series {
        for sample in look.samples(party, source, window.from, window.to).await? {
            // In order of time: of an interval the latest stays.
            records.entry(terms.record_of(sample.at).from).or_default().insert(source, Micro(sample.value.0));
        }
    }
    records.retain(|_, values| values.len() == series.len());
    if terms.preselector.is_now() {
        let latest = records.pop_last();
        records = latest.into_iter().collect();
        if let Some((at, _)) = records.first_key_value() {
            window = terms.record_of(*at);
        }
    }
    // After the samples were read, so that none of them can have gone unnoticed.
    if let Some(upto) = look.let_go_up_to(party).await?.filter(|upto| *upto >= window.from) {
        return Err(NothingToGive::LetGo { window, upto });
    }
    if records.is_empty() {
        return Err(NothingToGive::NoRecords(window));
    }
    let meets = |values: &BTreeMap<&str, Micro>| {
        terms.filter.iter().all(|c| values.get(c.source.as_str()).is_some_and(|value| c.holds(*value)))
    };
    // Nor does a value enter that its series cannot have, whatever the bounds are.
    let ranges: BTreeMap<&str, _> =
        series.iter().filter_map(|source| policy.range_of(source).map(|range| (*source, range))).collect();
    let can_be = |values: &BTreeMap<&str, Micro>| {
        values.iter().all(|(source, value)| ranges.get(source).is_none_or(|(from, to)| (from..=to).contains(&value)))
    };
    // A value out of bounds does not enter; what it is nobody hears.
    let scaled = |values: &BTreeMap<&str, Micro>| -> Option<Vec<u64>> {
        request.sources.iter().map(|source| values.get(source.as_str()).and_then(|v| terms.scale.encode(*v))).collect()
    };
    let most = match plan.row_shape() {
        RowShape::Records { most, .. } => most,
        RowShape::Items(_) => MAX_SUMMED,
    };
    // All of the window count: how many meet a condition is nobody's to learn, neither from a refusal.
    if u64::try_from(records.len()).unwrap_or(u64::MAX) > most {
        return Err(NothingToGive::TooMany { found: records.len(), most });
    }
    let (possible, beyond): (Vec<_>, Vec<_>) = records.values().partition(|values| can_be(values));
    let beyond = beyond.len();
    let met: Vec<Option<Vec<u64>>> = possible.into_iter().filter(|values| meets(values)).map(scaled).collect();
    let left_out = met.iter().filter(|row| row.is_none()).count();
    let rows: Vec<Vec<u64>> = met.into_iter().flatten().collect();
    let row = match plan.row_shape() {
        RowShape::Records { .. } => rows.concat(),
        RowShape::Items(items) => {
            let mut sums = vec![0_u64; items];
            for row in &rows {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum = sum.saturating_add(*value));
            }
            sums
        }
    };
    rows.into_iter().for_each(|mut row| zeroize::Zeroize::zeroize(&mut row));
    Ok(Selected { row: Row::new(row), window, left_out, beyond })
}
