//! Gateway: runs of a group's standing task and the fate of their slots.

use tacit_model::{Attempt, GroupId, RunId, SessionId, Slot, UnixMillis};

use crate::db::{Conn, Scalar, args, from_row, kept_as_word};
use crate::receipts::{GATEWAY_HOLDER, insert_owed};
use crate::{OwedRow, Store, StoreError, What, Windows};

/// How a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RunState {
    /// Going on.
    Open,
    /// All its slots are done.
    Done,
    /// It was stopped.
    Stopped,
    /// It ended by a failure.
    Failed,
}
kept_as_word!(RunState { Open = "open", Done = "done", Stopped = "stopped", Failed = "failed" });

/// How a slot stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SlotState {
    /// Being tried.
    Open,
    /// All agreed on a result.
    Done,
    /// Given up, visibly.
    Failed,
}
kept_as_word!(SlotState { Open = "open", Done = "done", Failed = "failed" });

/// One start-to-stop of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The group.
    pub gid: GroupId,
    /// The run, counted from 1 per group.
    pub run: RunId,
    /// The consensus it follows.
    pub consensus: [u8; 32],
    /// How it stands.
    pub state: RunState,
    /// Why it ended.
    pub reason: Option<String>,
    /// The first slot that has not ended.
    pub next_slot: Slot,
    /// When it started.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: Option<UnixMillis>,
}
from_row!(RunRow { gid, run, consensus, state, reason, next_slot, started, ended });

/// What is known of a slot at the gateway: never its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotOutcome {
    /// The group.
    pub gid: GroupId,
    /// The run.
    pub run: RunId,
    /// The slot.
    pub slot: Slot,
    /// The latest attempt.
    pub attempt: Attempt,
    /// The session of that attempt.
    pub session: SessionId,
    /// How it stands.
    pub state: SlotState,
    /// Why it failed.
    pub detail: Option<String>,
    /// How many gave input.
    pub contributors: Option<u32>,
    /// The commitment all agreed on.
    pub agreement: Option<Vec<u8>>,
    /// When this was last written.
    pub updated: UnixMillis,
}
from_row!(SlotOutcome { gid, run, slot, attempt, session, state, detail, contributors, agreement, updated });

impl Store {
    /// Starts a run. `Conflict(OpenRun)` if one is open.
    pub async fn start_run(&self, gid: GroupId, consensus: [u8; 32], now: UnixMillis) -> Result<RunRow, StoreError> {
        self.run_tx("start_run", (gid, consensus, now), |db, (gid, consensus, now)| {
            Box::pin(async move {
                let Scalar(run): Scalar<RunId> = db
                    .optional(
                        "UPDATE groups SET last_run = last_run + 1 WHERE gid = $1 RETURNING last_run AS v",
                        args![gid],
                    )
                    .await?
                    .ok_or(StoreError::NotFound { what: "group" })?;
                db.optional(
                    "INSERT INTO runs (gid, run, consensus, state, next_slot, started)
                     VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT DO NOTHING RETURNING *",
                    args![gid, run, consensus, RunState::Open, now],
                )
                .await?
                .ok_or_else(|| What::OpenRun.into())
            })
        })
        .await
    }

    /// The open run of a group.
    pub async fn open_run(&self, gid: GroupId) -> Result<Option<RunRow>, StoreError> {
        self.reader().await?.optional("SELECT * FROM runs WHERE gid = $1 AND state = 'open'", args![gid]).await
    }

    /// One run.
    pub async fn run(&self, gid: GroupId, run: RunId) -> Result<Option<RunRow>, StoreError> {
        self.reader().await?.optional("SELECT * FROM runs WHERE gid = $1 AND run = $2", args![gid, run]).await
    }

    /// All runs of a group, oldest first.
    pub async fn runs(&self, gid: GroupId) -> Result<Vec<RunRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM runs WHERE gid = $1 ORDER BY run", args![gid]).await
    }

    /// Ends an open run. `Conflict(RunEnded)` if it has ended.
    pub async fn end_run(
        &self,
        gid: GroupId,
        run: RunId,
        state: RunState,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (gid, run, state, reason.map(str::to_owned), now);
        self.run_tx("end_run", args, |db, (gid, run, state, reason, now)| {
            Box::pin(async move {
                run_is_open(db, *gid, *run).await?;
                db.execute(
                    "UPDATE runs SET state = $1, reason = $2, ended = $3 WHERE gid = $4 AND run = $5",
                    args![state, reason, now, gid, run],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Notes which slot comes next. `Conflict(Backwards)` if that is an earlier one than before.
    pub async fn set_next_slot(&self, gid: GroupId, run: RunId, next: Slot) -> Result<(), StoreError> {
        self.run_tx("set_next_slot", (gid, run, next), |db, (gid, run, next)| {
            Box::pin(async move {
                let before = run_is_open(db, *gid, *run).await?;
                if *next < before.next_slot {
                    return Err(What::Backwards.into());
                }
                db.execute("UPDATE runs SET next_slot = $1 WHERE gid = $2 AND run = $3", args![next, gid, run]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Durably takes the next attempt number of a slot, before the attempt begins: no number is given twice.
    ///
    /// `Conflict(RunEnded)` if the run is over, `Conflict(SlotUsed)` if the slot is.
    pub async fn record_attempt(
        &self,
        gid: GroupId,
        run: RunId,
        slot: Slot,
        session: SessionId,
        now: UnixMillis,
    ) -> Result<Attempt, StoreError> {
        self.run_one_write((gid, run, slot, session, now), |db, (gid, run, slot, session, now)| {
            Box::pin(async move {
                let taken: Vec<Scalar<Attempt>> = db
                    .all(
                        "INSERT INTO slots (gid, run, slot, attempt, session, state, updated)
                         SELECT $1, $2, $3, 0, $4, 'open', $5 WHERE EXISTS
                             (SELECT 1 FROM runs WHERE gid = $1 AND run = $2 AND state = 'open')
                         ON CONFLICT (gid, run, slot) DO UPDATE SET attempt = slots.attempt + 1,
                             session = excluded.session, updated = excluded.updated, detail = NULL
                         WHERE slots.state = 'open' RETURNING attempt AS v",
                        args![gid, run, slot, session.to_string(), now],
                    )
                    .await?;
                if let Some(Scalar(attempt)) = taken.first() {
                    return Ok(*attempt);
                }
                run_is_open(db, *gid, *run).await?;
                Err(What::SlotUsed.into())
            })
        })
        .await
    }

    /// Notes how the latest attempt of a slot stands. The attempt must be on record with that session, else
    /// `Conflict(Attempt)`; a slot that ended stays as it ended (`Conflict(SlotUsed)`, unless the same is said again).
    pub async fn slot_outcome(&self, outcome: SlotOutcome) -> Result<(), StoreError> {
        self.slot_outcome_owing(outcome, None).await
    }

    /// Like [`slot_outcome`](Self::slot_outcome); and that the result's receipt is owed is durable with it.
    pub async fn slot_outcome_owing(&self, outcome: SlotOutcome, owed: Option<OwedRow>) -> Result<(), StoreError> {
        self.run_tx("slot_outcome", (outcome, owed), |db, (new, owed)| {
            Box::pin(async move {
                let sql = "SELECT * FROM slots WHERE gid = $1 AND run = $2 AND slot = $3";
                let old: SlotOutcome = db
                    .optional(sql, args![new.gid, new.run, new.slot])
                    .await?
                    .ok_or(StoreError::NotFound { what: "attempt of this slot" })?;
                if (old.attempt, old.session) != (new.attempt, new.session) {
                    return Err(What::Attempt.into());
                }
                if old.state != SlotState::Open {
                    let same = (old.state, &old.agreement) == (new.state, &new.agreement);
                    return if same { Ok(()) } else { Err(What::SlotUsed.into()) };
                }
                db.execute(
                    "UPDATE slots SET state = $1, detail = $2, contributors = $3, agreement = $4, updated = $5
                     WHERE gid = $6 AND run = $7 AND slot = $8",
                    args![
                        new.state,
                        new.detail,
                        new.contributors,
                        new.agreement,
                        new.updated,
                        new.gid,
                        new.run,
                        new.slot,
                    ],
                )
                .await?;
                match owed {
                    Some(owed) => insert_owed(db, GATEWAY_HOLDER, owed).await,
                    None => Ok(()),
                }
            })
        })
        .await
    }

    /// One slot.
    pub async fn slot(&self, gid: GroupId, run: RunId, slot: Slot) -> Result<Option<SlotOutcome>, StoreError> {
        let sql = "SELECT * FROM slots WHERE gid = $1 AND run = $2 AND slot = $3";
        self.reader().await?.optional(sql, args![gid, run, slot]).await
    }

    /// Slots of a run, in order: at most so many.
    pub async fn slots(
        &self,
        gid: GroupId,
        run: RunId,
        which: Windows,
        most: u32,
    ) -> Result<Vec<SlotOutcome>, StoreError> {
        let mut db = self.reader().await?;
        match which {
            Windows::From(from) => {
                let sql = "SELECT * FROM slots WHERE gid = $1 AND run = $2 AND slot >= $3 ORDER BY slot LIMIT $4";
                db.all(sql, args![gid, run, from, most]).await
            }
            Windows::Newest => {
                let sql = "SELECT * FROM slots WHERE gid = $1 AND run = $2 ORDER BY slot DESC LIMIT $3";
                let mut rows: Vec<SlotOutcome> = db.all(sql, args![gid, run, most]).await?;
                rows.reverse();
                Ok(rows)
            }
        }
    }
}

async fn run_is_open(db: &mut Conn, gid: GroupId, run: RunId) -> Result<RunRow, StoreError> {
    let row: RunRow = db
        .optional("SELECT * FROM runs WHERE gid = $1 AND run = $2", args![gid, run])
        .await?
        .ok_or(StoreError::NotFound { what: "run" })?;
    if row.state == RunState::Open { Ok(row) } else { Err(What::RunEnded.into()) }
}
