//! Peer: the queue of input rows. A row belongs to one party, one run and one slot, and to no other for ever.
//!
//! ```text
//! pending --commit_result--> done      the row's data is deleted in each case;
//!    |------fail_slot------> failed    the marker stays until the closed run is purged,
//!    '------close_run_rows-> unused    and the run's next slot number for ever
//! ```

use tacit_model::{RunId, Slot, UnixMillis};

use crate::db::{Conn, FromRow, Row, Scalar, ToValue, Value, args, from_row, kept_as_word};
use crate::{Redacted, Store, StoreError, What};

/// How an input row stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InputState {
    /// Waiting for its slot.
    Pending,
    /// Its slot has a result.
    Done,
    /// Its slot failed.
    Failed,
    /// The run ended before its slot; it is never carried to another run.
    Unused,
}
kept_as_word!(InputState { Pending = "pending", Done = "done", Failed = "failed", Unused = "unused" });

/// A row to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// When its slot starts, if the source says.
    pub slot_start: Option<UnixMillis>,
    /// The row, in the caller's encoding: a secret.
    pub data: Redacted<Vec<u8>>,
}

/// A row of the queue, or what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRow {
    /// Its slot.
    pub slot: Slot,
    /// How it stands.
    pub state: InputState,
    /// When its slot starts.
    pub slot_start: Option<UnixMillis>,
    /// The row itself, while it is pending.
    pub data: Option<Redacted<Vec<u8>>>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it came.
    pub created: UnixMillis,
    /// When it stopped pending.
    pub ended: Option<UnixMillis>,
}

impl FromRow for InputRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            slot: row.get("slot")?,
            state: row.get("state")?,
            slot_start: row.get("slot_start")?,
            data: row.get::<Option<Vec<u8>>>("data")?.map(Redacted),
            reason: row.get("reason")?,
            created: row.get("created")?,
            ended: row.get("ended")?,
        })
    }
}

impl Store {
    /// Queues rows for the slots after the last one ever used in that run, all of them or none; the first slot.
    ///
    /// `QueueFull` if more than `limit` rows would wait, `Conflict(RunEnded)` if the run's rows are closed. With no
    /// rows, the slot the next row would get.
    pub async fn append_rows(
        &self,
        party: &str,
        run: RunId,
        rows: &[NewRow],
        limit: usize,
        now: UnixMillis,
    ) -> Result<Slot, StoreError> {
        let args = (party.to_owned(), run, rows.to_vec(), limit, now);
        self.run_tx("append_rows", args, |db, (party, run, rows, limit, now)| {
            Box::pin(async move {
                let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                let first = reserve(db, party, *run, count, None, *limit).await?;
                let mut slot = first.0;
                for chunk in rows.chunks(CHUNK) {
                    let mut values = args![party, run, now].to_vec();
                    for row in chunk {
                        let row = [Value::Int(Some(slot)), row.slot_start.to_value(), row.data.to_value()];
                        values.extend_from_slice(&row);
                        slot += 1;
                    }
                    insert(db, chunk.len(), &values).await?;
                }
                Ok(first)
            })
        })
        .await
    }

    /// The next row gets this slot, or a later one if earlier ones were used: those before are over elsewhere.
    pub async fn skip_slots(&self, party: &str, run: RunId, from: Slot) -> Result<(), StoreError> {
        self.run_one_write((party.to_owned(), run, from), |db, (party, run, from)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO party_runs (party, run, next_slot, pending) VALUES ($1, $2, $3, 0)
                     ON CONFLICT (party, run) DO UPDATE SET next_slot = excluded.next_slot
                     WHERE party_runs.next_slot < excluded.next_slot",
                    args![party, run, from],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Puts rows at slots of their own, all of them or none.
    ///
    /// A row that waits already is taken as the same. `Conflict(SlotUsed)` if a slot holds another row or was used,
    /// else as [`append_rows`](Self::append_rows).
    pub async fn put_rows_at(
        &self,
        party: &str,
        run: RunId,
        rows: &[(Slot, NewRow)],
        limit: usize,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (party.to_owned(), run, rows.to_vec(), limit, now);
        self.run_tx("put_rows_at", args, |db, (party, run, rows, limit, now)| {
            Box::pin(async move {
                for (slot, row) in rows {
                    put_at(db, party, *run, *slot, row, *limit, *now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The first slot of a run, from this one on, that has no row and never had one.
    pub async fn first_gap(&self, party: &str, run: RunId, from: Slot) -> Result<Slot, StoreError> {
        let mut reader = self.reader().await?;
        if input_row(&mut reader, party, run, from).await?.is_none() {
            return Ok(from);
        }
        let Scalar(gap): Scalar<Slot> = reader
            .one(
                "SELECT a.slot + 1 AS v FROM input_rows a WHERE a.party = $1 AND a.run = $2 AND a.slot >= $3
                 AND NOT EXISTS (SELECT 1 FROM input_rows b
                                 WHERE b.party = $1 AND b.run = $2 AND b.slot = a.slot + 1)
                 ORDER BY a.slot LIMIT 1",
                args![party, run, from],
            )
            .await?;
        Ok(gap)
    }

    /// The row of a slot, or what is left of it.
    pub async fn row(&self, party: &str, run: RunId, slot: Slot) -> Result<Option<InputRow>, StoreError> {
        input_row(&mut self.reader().await?, party, run, slot).await
    }

    /// All rows of a run, in order of their slots, without their data.
    pub async fn rows(&self, party: &str, run: RunId) -> Result<Vec<InputRow>, StoreError> {
        let sql = "SELECT slot, state, slot_start, CAST(NULL AS BYTEA) AS data, reason, created, ended
                   FROM input_rows WHERE party = $1 AND run = $2 ORDER BY slot";
        self.reader().await?.all(sql, args![party, run]).await
    }

    /// The slots from one on to before another whose rows wait, in order.
    pub async fn waiting_slots(
        &self,
        party: &str,
        run: RunId,
        from: Slot,
        upto: Slot,
    ) -> Result<Vec<Slot>, StoreError> {
        let sql = "SELECT slot AS v FROM input_rows
                   WHERE party = $1 AND run = $2 AND slot >= $3 AND slot < $4 AND state = 'pending' ORDER BY slot";
        let slots: Vec<Scalar<Slot>> = self.reader().await?.all(sql, args![party, run, from, upto]).await?;
        Ok(slots.into_iter().map(|Scalar(slot)| slot).collect())
    }

    /// How many rows of a run wait.
    pub async fn pending(&self, party: &str, run: RunId) -> Result<u64, StoreError> {
        Ok(queue(&mut self.reader().await?, party, run).await?.pending)
    }

    /// Ends the queue of a run: rows that still wait become `unused`; how many of them there are in all.
    pub async fn close_run_rows(&self, party: &str, run: RunId, now: UnixMillis) -> Result<u64, StoreError> {
        self.run_tx("close_run_rows", (party.to_owned(), run, now), |db, (party, run, now)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO party_runs (party, run, next_slot, pending, closed) VALUES ($1, $2, 0, 0, $3)
                     ON CONFLICT (party, run) DO UPDATE SET pending = 0,
                         closed = COALESCE(party_runs.closed, excluded.closed)",
                    args![party, run, now],
                )
                .await?;
                db.execute(
                    "UPDATE input_rows SET state = $1, data = NULL, ended = $2
                     WHERE party = $3 AND run = $4 AND state = 'pending'",
                    args![InputState::Unused, now, party, run],
                )
                .await?;
                let Scalar(unused) = db
                    .one(
                        "SELECT count(*) AS v FROM input_rows WHERE party = $1 AND run = $2 AND state = $3",
                        args![party, run, InputState::Unused],
                    )
                    .await?;
                Ok(unused)
            })
        })
        .await
    }

    /// The runs of a party whose rows are not closed: to be looked at after a restart. Those of tasks have no queue.
    pub async fn unclosed_runs(&self, party: &str) -> Result<Vec<RunId>, StoreError> {
        let runs: Vec<Scalar<RunId>> = self
            .reader()
            .await?
            .all(
                "SELECT run AS v FROM party_runs WHERE party = $1 AND run >= 0 AND closed IS NULL ORDER BY run",
                args![party],
            )
            .await?;
        Ok(runs.into_iter().map(|Scalar(run)| run).collect())
    }
}

/// Ends a row that stood as `was`, if it existed: its data goes, its marker stays, its slot is used for ever.
pub(crate) async fn spend_row(
    db: &mut Conn,
    party: &str,
    run: RunId,
    slot: Slot,
    was: Option<InputState>,
    (state, reason): (InputState, Option<&str>),
    now: UnixMillis,
) -> Result<(), StoreError> {
    let waiting = was == Some(InputState::Pending);
    db.execute(
        "INSERT INTO input_rows (party, run, slot, state, reason, created, ended)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (party, run, slot) DO UPDATE SET state = excluded.state, reason = excluded.reason,
             data = NULL, ended = excluded.ended",
        args![party, run, slot, state, reason, now],
    )
    .await?;
    db.execute(
        "INSERT INTO party_runs (party, run, next_slot, pending) VALUES ($1, $2, $3, 0)
         ON CONFLICT (party, run) DO UPDATE SET pending = party_runs.pending - $4,
             next_slot = CASE WHEN party_runs.next_slot > excluded.next_slot THEN party_runs.next_slot
                              ELSE excluded.next_slot END",
        args![party, run, slot.0.saturating_add(1), waiting],
    )
    .await?;
    Ok(())
}

/// Puts one row at its slot, unless it waits there already.
async fn put_at(
    db: &mut Conn,
    party: &str,
    run: RunId,
    slot: Slot,
    row: &NewRow,
    limit: usize,
    now: UnixMillis,
) -> Result<(), StoreError> {
    if let Some(old) = input_row(db, party, run, slot).await? {
        let same = old.state == InputState::Pending
            && old.data.as_ref() == Some(&row.data)
            && old.slot_start == row.slot_start;
        return if same { Ok(()) } else { Err(What::SlotUsed.into()) };
    }
    reserve(db, party, run, 1, Some(slot), limit).await?;
    insert(db, 1, args![party, run, now, slot, row.slot_start, row.data]).await
}

pub(crate) async fn input_row(
    db: &mut Conn,
    party: &str,
    run: RunId,
    slot: Slot,
) -> Result<Option<InputRow>, StoreError> {
    let sql = "SELECT slot, state, slot_start, data, reason, created, ended FROM input_rows
               WHERE party = $1 AND run = $2 AND slot = $3";
    db.optional(sql, args![party, run, slot]).await
}

/// The state of one run's queue. It outlives the rows, so that no slot number comes twice.
struct Queue {
    next_slot: Slot,
    pending: u64,
    closed: Option<UnixMillis>,
}
from_row!(Queue { next_slot, pending, closed });

async fn queue(db: &mut Conn, party: &str, run: RunId) -> Result<Queue, StoreError> {
    let sql = "SELECT next_slot, pending, closed FROM party_runs WHERE party = $1 AND run = $2";
    let found = db.optional(sql, args![party, run]).await?;
    Ok(found.unwrap_or(Queue { next_slot: Slot(0), pending: 0, closed: None }))
}

/// Makes room for `count` rows at `at`, or after the last slot ever used; the first slot.
async fn reserve(
    db: &mut Conn,
    party: &str,
    run: RunId,
    count: i64,
    at: Option<Slot>,
    limit: usize,
) -> Result<Slot, StoreError> {
    let queue = queue(db, party, run).await?;
    if queue.closed.is_some() {
        return Err(What::RunEnded.into());
    }
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    if queue.pending.saturating_add(count.unsigned_abs()) > limit {
        return Err(StoreError::QueueFull { pending: queue.pending, limit });
    }
    let first = at.unwrap_or(queue.next_slot);
    let next = first.0.checked_add(count).ok_or(What::SlotUsed)?.max(queue.next_slot.0);
    if count > 0 {
        db.execute(
            "INSERT INTO party_runs (party, run, next_slot, pending) VALUES ($1, $2, $3, $4)
             ON CONFLICT (party, run) DO UPDATE SET next_slot = excluded.next_slot,
                 pending = party_runs.pending + excluded.pending",
            args![party, run, next, count],
        )
        .await?;
    }
    Ok(first)
}

/// Rows per statement: 3 + 3 * 200 arguments, well under the limits of both databases.
const CHUNK: usize = 200;

/// Inserts pending rows; `values` holds party, run and time, then slot, start and data of each row.
async fn insert(db: &mut Conn, count: usize, values: &[Value<'_>]) -> Result<(), StoreError> {
    let mut sql = String::from("INSERT INTO input_rows (party, run, created, state, slot, slot_start, data) VALUES ");
    for index in 0..count {
        let at = 4 + 3 * index;
        let comma = if index == 0 { "" } else { ", " };
        sql.push_str(&format!("{comma}($1, $2, $3, 'pending', ${at}, ${}, ${})", at + 1, at + 2));
    }
    // The text holds numbers of parameters only.
    db.execute(sqlx::AssertSqlSafe(sql), values).await?;
    Ok(())
}
