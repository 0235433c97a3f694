//! The runs a party takes part in, and the rows it queues for them.

use std::sync::PoisonError;
use std::time::Duration;

use tacit_accord::SlotRules;
use tacit_job::{Request, Response, RowRules, StopReason, ToGateway};
use tacit_model::{GroupId, RunId, Slot, UnixMillis};
use tacit_store::{InputState, NewRow, Redacted, StoreError, What};
use tokio::task::JoinSet;
use tracing::warn;

use super::{Inner, Party, Trouble};
use crate::PartyError;
use crate::source::{AboveMax, Row, RowError, RowText, parse_row};

/// Whoever has just registered is linked to its gateway before that.
const SOON: Duration = Duration::from_secs(2);

impl Party {
    /// Asks the gateway to let it take part in the group's standing task. A link that is only being made is waited for.
    pub async fn start(&self) -> Result<RunId, PartyError> {
        let party = &self.inner;
        if party.standing.run().is_some() {
            return Err(PartyError::AlreadyRunning);
        }
        party.line.until_connected(SOON).await;
        match party.line.request(Request::Start, party.limits.request).await? {
            Response::Started { run, .. } => Ok(run),
            Response::Refused { why } => Err(party.why_refused(why)),
            _ => Err(PartyError::Answer("it answered something else than it was asked".to_owned())),
        }
    }

    /// Takes part no longer. Works also while the gateway is away; it hears of it later.
    pub async fn stop(&self) -> Result<(), PartyError> {
        let party = &self.inner;
        let run = party.standing.run().ok_or(PartyError::NotRunning)?;
        match party.line.request(Request::Stop, party.limits.request).await {
            Ok(Response::Refused { why }) => warn!(party = %party.name, why, "the gateway objects to the stop"),
            Ok(_) | Err(PartyError::Unreachable) => {}
            Err(error) => return Err(error),
        }
        party.end_run(run, StopReason::Finished).await
    }

    /// Queues rows, one per time slot, all of them or none; the slot of the first.
    pub async fn add_rows(&self, rows: &[RowText]) -> Result<Slot, PartyError> {
        let party = &self.inner;
        let shape = party.row_rules()?.shape;
        let mut parsed = Vec::with_capacity(rows.len());
        for (index, text) in rows.iter().enumerate() {
            let row = parse_row(text.expose(), Some(shape));
            parsed.push((None, row.map_err(|why| PartyError::InvalidData { row: index + 1, why })?));
        }
        party.queue(parsed).await.map(|(first, _)| first)
    }

    /// Queues rows in the order given, each with the start of its slot where the source knows it; the first slot
    /// that has no row yet. Where the charter gives slots their times, each row goes to the slot of its time.
    ///
    /// [`add_rows`](Self::add_rows) takes numbers above the group's maxElement; here the caller chooses.
    pub async fn add_timed_rows(
        &self,
        rows: Vec<(Option<UnixMillis>, Row)>,
        above_max: AboveMax,
    ) -> Result<Slot, PartyError> {
        let party = &self.inner;
        let rules = party.row_rules()?;
        if let Some(index) = rows.iter().position(|(_, row)| !rules.shape.fits(row.len())) {
            let why = RowError::shape(rows[index].1.len(), rules.shape);
            return Err(PartyError::InvalidData { row: index + 1, why });
        }
        if above_max == AboveMax::Refused
            && let Some((row, item, most)) = rules.above(rows.iter().map(|(_, row)| row.expose()))
        {
            let why = RowError::AboveMaxElement { item: item + 1, most };
            return Err(PartyError::InvalidData { row: row + 1, why });
        }
        if let Some(row) = party.gap(&rows) {
            return Err(PartyError::InvalidData { row, why: RowError::Gap });
        }
        party.queue(rows).await.map(|(_, next)| next)
    }
}

impl Inner {
    /// Takes part in a run from now on; rows are for its slots from this one on, where earlier ones are over.
    pub(crate) async fn begin_run(&self, run: RunId, from: Option<Slot>) -> Result<(), PartyError> {
        if let Some(other) = self.standing.run().filter(|other| *other != run) {
            self.end_run(other, StopReason::Finished).await?;
        }
        self.standing
            .change(|standing| {
                let new = standing.run != Some(run);
                standing.run = Some(run);
                standing.stopped = None;
                standing.unflushed.remove(&run);
                new
            })
            .await?;
        for other in self.store.unclosed_runs(&self.name).await?.into_iter().filter(|other| *other != run) {
            self.store.close_run_rows(&self.name, other, self.clock.now()).await?;
        }
        if let Some(from) = from.filter(|from| from.0 > 0) {
            if self.timed().is_some() {
                self.see_next(run, from);
            } else {
                self.store.skip_slots(&self.name, run, from).await?;
            }
        }
        self.announce_rows().await;
        Ok(())
    }

    /// Ends a run: its rows are unused from now on, its results are flushed. The owner reads of one that failed.
    pub(crate) async fn end_run(&self, run: RunId, reason: StopReason) -> Result<(), PartyError> {
        let ended = self
            .standing
            .change(|standing| {
                let takes_part = standing.run == Some(run);
                if takes_part {
                    standing.run = None;
                    standing.stopped = Some(reason);
                    standing.unflushed.insert(run);
                }
                takes_part
            })
            .await?;
        if ended {
            self.sessions.give_up_waiting(|other| other == run);
            self.ahead.clear();
            self.outbox.notify_one();
            let rows = self.drop_rows(run).await?;
            if reason == StopReason::Failed {
                self.tell_failed(run, rows);
            }
        }
        Ok(())
    }

    /// Tells the owner that a run failed. What went wrong before may be the reason, and stays in sight.
    fn tell_failed(&self, run: RunId, rows: u64) {
        let before = self.troubles.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
        self.trouble(failed(run, self.group, rows, before));
    }

    /// Deletes the rows that wait, and says how many. The queue stays open where that is cheap, since this party may be
    /// started again in the same run; it is closed when another run begins.
    async fn drop_rows(&self, run: RunId) -> Result<u64, PartyError> {
        const CHEAP: u64 = 1000;
        let pending = self.store.pending(&self.name, run).await?;
        if pending > CHEAP {
            self.store.close_run_rows(&self.name, run, self.clock.now()).await?;
            return Ok(pending);
        }
        let mut failing = JoinSet::new();
        for row in self.store.rows(&self.name, run).await?.into_iter().filter(|row| row.state == InputState::Pending) {
            let (store, name, now) = (self.store.clone(), self.name.clone(), self.clock.now());
            failing.spawn(async move { store.fail_slot(&name, run, row.slot, "stopped before its slot", now).await });
        }
        while let Some(done) = failing.join_next().await {
            done.map_err(|_| PartyError::Stopping)??;
        }
        Ok(pending)
    }

    /// Tells the gateway for which slots there are rows.
    pub(crate) async fn announce_rows(&self) {
        let Some(run) = self.standing.run() else { return };
        match self.next_slot(run).await {
            Ok(Some(upto)) => {
                let upto = self.see_next(run, upto);
                self.line.send(&ToGateway::Rows { group: self.group, run, upto });
            }
            Ok(None) => {}
            Err(error) => self.trouble(format!("the queue cannot be read: {error}")),
        }
    }

    /// The rules of slots with times, if the charter has them.
    pub(crate) fn timed(&self) -> Option<SlotRules> {
        let rules = self.roster.known()?.charter().slots.clone();
        rules.start_of(Slot(0)).map(|_| rules)
    }

    /// Where slots have times, a slot that this peer had no row for ends, and the rows behind it count.
    pub(crate) async fn announce_passed(&self) {
        if self.timed().is_some() {
            self.announce_rows().await;
        }
    }

    /// The first slot of a run without a row.
    async fn next_slot(&self, run: RunId) -> Result<Option<Slot>, PartyError> {
        if self.timed().is_some() {
            let from = self.seen_next(run).unwrap_or(Slot(0));
            return Ok(Some(self.store.first_gap(&self.name, run, from).await?));
        }
        match self.store.append_rows(&self.name, run, &[], usize::MAX, self.clock.now()).await {
            Ok(slot) => Ok(Some(slot)),
            Err(StoreError::Conflict { what: What::RunEnded }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes up to where there are rows; the highest known, whoever was first to tell.
    pub(super) fn see_next(&self, run: RunId, upto: Slot) -> Slot {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = match *next {
            Some((of, known)) if of == run => known.max(upto),
            _ => upto,
        };
        *next = Some((run, highest));
        highest
    }

    pub(super) fn seen_next(&self, run: RunId) -> Option<Slot> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).filter(|(of, _)| *of == run).map(|(_, slot)| slot)
    }

    fn row_rules(&self) -> Result<RowRules, PartyError> {
        self.standing.run().ok_or(PartyError::NotRunning)?;
        let known = self.roster.known().ok_or(PartyError::NotVerified)?;
        let configuration = known.charter().configuration.as_ref().ok_or(PartyError::NoConfiguration)?;
        RowRules::of(configuration).map_err(|_| PartyError::NoConfiguration)
    }

    /// The first row, counted from 1, whose slot does not follow that of the row before: where slots have
    /// a length, a missing row must not shift those behind it.
    fn gap(&self, rows: &[(Option<UnixMillis>, Row)]) -> Option<usize> {
        if self.timed().is_some() {
            return None;
        }
        let slot_ms = self.roster.known().map_or(0, |known| i64::from(known.charter().slots.slot_ms));
        let follows = |pair: &[(Option<UnixMillis>, Row)]| match (pair[0].0, pair[1].0) {
            (Some(before), Some(after)) => after.since(before) == slot_ms,
            _ => true,
        };
        if slot_ms == 0 { None } else { rows.windows(2).position(|pair| !follows(pair)).map(|index| index + 2) }
    }

    /// Queues rows; the first slot they took, and the first that has no row now.
    async fn queue(&self, rows: Vec<(Option<UnixMillis>, Row)>) -> Result<(Slot, Slot), PartyError> {
        let run = self.standing.run().ok_or(PartyError::NotRunning)?;
        let encode = |(slot_start, row): &(Option<UnixMillis>, Row)| NewRow {
            slot_start: *slot_start,
            data: Redacted(row.expose().iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        let encoded: Vec<NewRow> = rows.iter().map(encode).collect();
        let limit = usize::try_from(self.policy().max_queued_rows).unwrap_or(usize::MAX);
        if let Some(rules) = self.timed() {
            return self.put(run, &rules, encoded, limit).await;
        }
        let first = match self.store.append_rows(&self.name, run, &encoded, limit, self.clock.now()).await {
            Err(StoreError::Conflict { what: What::RunEnded }) => return Err(PartyError::NotRunning),
            other => other?,
        };
        let upto = Slot(first.0.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX)));
        encoded.into_iter().for_each(wipe);
        for (slot, (_, row)) in (first.0..).map(Slot).zip(rows) {
            self.ahead.queued(run, slot, row);
        }
        let upto = self.see_next(run, upto);
        self.line.send(&ToGateway::Rows { group: self.group, run, upto });
        Ok((first, upto))
    }

    /// Puts each row into the slot of its time, all of them or none; as [`queue`](Self::queue).
    async fn put(
        &self,
        run: RunId,
        rules: &SlotRules,
        rows: Vec<NewRow>,
        limit: usize,
    ) -> Result<(Slot, Slot), PartyError> {
        let next = self.next_slot(run).await?.unwrap_or(Slot(0));
        let far = next.0.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut placed = Vec::with_capacity(rows.len());
        for (row, number) in rows.into_iter().zip(1..) {
            let why = match row.slot_start.and_then(|start| rules.slot_at(start)) {
                Some(slot) if slot.0 < far => {
                    placed.push((slot, row));
                    continue;
                }
                Some(_) => RowError::FarAhead,
                None => RowError::OffSlot {
                    first: rules.start_of(Slot(0)).unwrap_or(UnixMillis(0)),
                    minutes: i64::from(rules.slot_ms) / 60_000,
                },
            };
            placed.into_iter().for_each(|(_, row)| wipe(row));
            wipe(row);
            return Err(PartyError::InvalidData { row: number, why });
        }
        let first = placed.iter().map(|(slot, _)| *slot).min().unwrap_or(next);
        let put = self.store.put_rows_at(&self.name, run, &placed, limit, self.clock.now()).await;
        placed.into_iter().for_each(|(_, row)| wipe(row));
        match put {
            Err(StoreError::Conflict { what: What::RunEnded }) => return Err(PartyError::NotRunning),
            Err(StoreError::Conflict { what: What::SlotUsed }) => return Err(PartyError::SlotTaken),
            other => other?,
        }
        self.announce_rows().await;
        Ok((first, self.seen_next(run).unwrap_or(next)))
    }
}

fn wipe(row: NewRow) {
    let mut data = row.data.0;
    zeroize::Zeroize::zeroize(&mut data);
}

/// What stands before the trouble that was the latest until then.
const BEFORE: &str = "; before that, at ";

/// What the owner reads of a run that failed: why it did, the gateway does not tell its members.
fn failed(run: RunId, group: GroupId, rows: u64, before: Option<Trouble>) -> String {
    let rows = match rows {
        0 => String::new(),
        1 => "; 1 row that waited was given up".to_owned(),
        rows => format!("; {rows} rows that waited were given up"),
    };
    let before = before.map_or_else(String::new, |Trouble { at, what }| {
        // Of several runs that failed, the latest two.
        let what = what.split_once(BEFORE).map_or(what.as_str(), |(latest, _)| latest);
        format!("{BEFORE}{at}: {what}")
    });
    format!(
        "run {run} ended with an error at the gateway, whose operator reads why with `tacit group slots {group}`{rows}{before}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_reads_what_a_failed_run_gave_up_and_what_went_wrong_before() {
        let told = |rows, before| failed(RunId(2), GroupId(7), rows, before);
        let alone = told(0, None);
        assert!(alone.starts_with("run 2 ended with an error") && alone.ends_with("`tacit group slots 7`"), "{alone}");
        assert!(told(1, None).ends_with("; 1 row that waited was given up"));
        let trouble = |what: String| Some(Trouble { at: UnixMillis(0), what });
        let first = told(3, trouble("slot 1 was declined".to_owned()));
        assert!(first.contains("; 3 rows that waited were given up; before that, at 1970-01-01"), "{first}");
        assert!(first.ends_with(": slot 1 was declined"), "{first}");
        let second = told(0, trouble(first));
        assert!(second.ends_with("; 3 rows that waited were given up"), "it does not grow: {second}");
    }
}
