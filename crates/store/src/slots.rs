//! Peer: what becomes of a slot: frozen before anything is opened, then a result or a visible failure.

use tacit_model::{Attempt, RunId, SessionId, Slot, UnixMillis};

use crate::approvals::not_refused;
use crate::db::{Conn, Scalar, args, from_row};
use crate::jobs::put_job;
use crate::opened::{OpenedRow, note_opened};
use crate::pages::fitting;
use crate::receipts::insert_owed;
use crate::rows::{input_row, spend_row};
use crate::series::{AskedRow, note_one};
use crate::spent::spend_one;
use crate::{InputState, JobRow, Look, OwedRow, SpendRow, Store, StoreError, What, Windows};

/// Whether a freeze is the first of its slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FreezeOutcome {
    /// The slot is frozen from now on.
    Fresh,
    /// It was frozen before with the same set in the same attempt.
    Same,
}

/// What a computing peer fixes when it freezes the inputs of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFreeze {
    /// The run.
    pub run: RunId,
    /// The slot.
    pub slot: Slot,
    /// The only attempt that may open anything.
    pub attempt: Attempt,
    /// The digest of the set that may be opened.
    pub set_digest: [u8; 32],
    /// The charter it is under.
    pub charter: [u8; 32],
    /// Names the input peers of the job, as [`Store::bind_inputs`] does.
    pub inputs: [u8; 32],
    /// The moment of a client's task that it is for: nothing is frozen for what may have been
    /// [forgotten](crate::Look::is_forgotten).
    pub moment: Option<UnixMillis>,
    /// What of the own series goes into the set, with those whose data is in.
    pub taken: Vec<AskedRow>,
    /// Whose records of which windows go into the result of a client's task.
    pub opened: Vec<OpenedRow>,
    /// Whether both must not overlap what went into computations with other members.
    pub disjoint: bool,
    /// What the result costs the own series.
    pub spent: Vec<SpendRow>,
    /// What the owner reads of the job: who is told later that it was computed is told all of it.
    pub job: Option<JobRow>,
    /// The task that the owner was asked about, if this peer asks its owner.
    pub approved: Option<String>,
}

/// The frozen input set of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenRow {
    /// The only attempt that may open anything.
    pub attempt: Attempt,
    /// The digest of the set that may be opened.
    pub set_digest: [u8; 32],
    /// Since when.
    pub at: UnixMillis,
}
from_row!(FrozenRow { attempt, set_digest, at });

/// The result of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultRow {
    /// The slot. [`Store::commit_result`] is told it once more and takes that one.
    pub slot: Slot,
    /// The session it came from.
    pub session: SessionId,
    /// The values, JSON in the caller's form.
    pub values_json: String,
    /// How many gave input.
    pub contributors: u32,
    /// The commitment all agreed on.
    pub agreement: Vec<u8>,
    /// When.
    pub at: UnixMillis,
}
from_row!(ResultRow { slot, session, values_json, contributors, agreement, at });

impl Store {
    /// Durably fixes the one set that may be opened for a slot, before the first opening share leaves, and with it what
    /// of the own series goes into that set: all or nothing.
    ///
    /// `Conflict(Frozen)` if another set or attempt is frozen, `Conflict(SlotUsed)` if the slot has ended, or
    /// may have and was forgotten,
    /// `Conflict(SlotBound)` if shares were given in it under another charter or with other input peers,
    /// `Conflict(RunEnded)` if the rows of the run are closed, `Conflict(Overlap)` if samples of those windows went
    /// into another computation with other members and must not, `Conflict(Company)` if records of others did,
    /// `Conflict(Budget)` if a series would cost more than it may, `Conflict(Refused)` if the owner has refused the task.
    pub async fn freeze(&self, party: &str, new: NewFreeze, now: UnixMillis) -> Result<FreezeOutcome, StoreError> {
        let alone = new.taken.is_empty()
            && new.opened.is_empty()
            && new.spent.is_empty()
            && new.job.is_none()
            && new.approved.is_none();
        let args = (party.to_owned(), new, now);
        if alone {
            return self.run_one_write(args, |db, (party, new, now)| Box::pin(fix_set(db, party, new, *now))).await;
        }
        self.run_tx("freeze", args, |db, (party, new, now)| {
            Box::pin(async move {
                for row in &new.taken {
                    note_one(db, party, row, new.disjoint).await?;
                }
                for row in &new.opened {
                    note_opened(db, party, row, new.disjoint).await?;
                }
                for row in &new.spent {
                    spend_one(db, party, row).await?;
                }
                if let Some(row) = &new.job {
                    put_job(db, party, row).await?;
                }
                let outcome = fix_set(db, party, new, *now).await?;
                // What was frozen before a refusal stays frozen.
                if let (FreezeOutcome::Fresh, Some(task)) = (outcome, &new.approved) {
                    not_refused(db, party, task).await?;
                }
                Ok(outcome)
            })
        })
        .await
    }

    /// Whether a slot is over at this party: frozen, given up, or with a result. It is not computed again.
    pub async fn is_over(&self, party: &str, run: RunId, slot: Slot) -> Result<bool, StoreError> {
        let sql = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM freezes WHERE party = $1 AND run = $2 AND slot = $3)
                       OR EXISTS (SELECT 1 FROM results WHERE party = $1 AND run = $2 AND slot = $3)
                       OR EXISTS (SELECT 1 FROM input_rows
                           WHERE party = $1 AND run = $2 AND slot = $3 AND state <> 'pending')
                   THEN 1 ELSE 0 END AS BIGINT) AS v";
        let Scalar(over): Scalar<i64> = self.reader().await?.one(sql, args![party, run, slot]).await?;
        Ok(over == 1)
    }

    /// What is frozen for a slot.
    pub async fn frozen(&self, party: &str, run: RunId, slot: Slot) -> Result<Option<FrozenRow>, StoreError> {
        frozen(&mut self.reader().await?, party, run, slot).await
    }

    /// Stores the result of a slot, deletes its input, and puts it into the outbox if asked: all or nothing.
    ///
    /// The same result again changes nothing; another one is `Conflict(ResultExists)`, and a slot that failed
    /// before is `Conflict(SlotUsed)`.
    pub async fn commit_result(
        &self,
        party: &str,
        run: RunId,
        slot: Slot,
        result: ResultRow,
        outbox: bool,
    ) -> Result<(), StoreError> {
        self.commit_result_owing(party, run, slot, result, outbox, None).await
    }

    /// Like [`commit_result`](Self::commit_result); and what the result's receipt needs is durable with it.
    pub async fn commit_result_owing(
        &self,
        party: &str,
        run: RunId,
        slot: Slot,
        result: ResultRow,
        outbox: bool,
        owed: Option<OwedRow>,
    ) -> Result<(), StoreError> {
        let args = (party.to_owned(), run, slot, result, outbox, owed);
        self.run_tx("commit_result", args, |db, (party, run, slot, new, outbox, owed)| {
            Box::pin(async move {
                let stored = db
                    .execute(
                        "INSERT INTO results (party, run, slot, session, values_json, contributors, agreement, at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (party, run, slot) DO NOTHING",
                        args![
                            party,
                            run,
                            slot,
                            new.session.to_string(),
                            new.values_json,
                            new.contributors,
                            new.agreement,
                            new.at,
                        ],
                    )
                    .await?;
                if stored == 0 {
                    let old = stored_result(db, party, *run, *slot).await?;
                    let same = old.is_some_and(|old| {
                        (old.session, &old.values_json, &old.agreement)
                            == (new.session, &new.values_json, &new.agreement)
                    });
                    return if same { Ok(()) } else { Err(What::ResultExists.into()) };
                }
                let was = input_row(db, party, *run, *slot).await?.map(|row| row.state);
                if was == Some(InputState::Failed) {
                    return Err(What::SlotUsed.into());
                }
                spend_row(db, party, *run, *slot, was, (InputState::Done, None), new.at).await?;
                if let Some(owed) = owed {
                    insert_owed(db, party, owed).await?;
                }
                if *outbox {
                    db.execute(
                        "INSERT INTO outbox (party, run, slot, values_json, created) VALUES ($1, $2, $3, $4, $5)",
                        args![party, run, slot, new.values_json, new.at],
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Stores the result of a slot of a client's task that this party [froze](Store::freeze): there is no input row to
    /// delete and nothing to post, so it is one statement. Otherwise as [`commit_result`](Self::commit_result).
    pub async fn commit_task_result(&self, party: &str, run: RunId, result: ResultRow) -> Result<(), StoreError> {
        self.run_one_write((party.to_owned(), run, result), |db, (party, run, new)| {
            Box::pin(async move {
                let session = new.session.to_string();
                let stored = db
                    .execute(
                        "INSERT INTO results (party, run, slot, session, values_json, contributors, agreement, at)
                         SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE NOT EXISTS (SELECT 1 FROM input_rows
                             WHERE party = $1 AND run = $2 AND slot = $3)
                         ON CONFLICT (party, run, slot) DO NOTHING",
                        args![party, run, new.slot, session, new.values_json, new.contributors, new.agreement, new.at],
                    )
                    .await?;
                if stored > 0 {
                    return Ok(());
                }
                match stored_result(db, party, *run, new.slot).await? {
                    Some(old)
                        if (old.session, &old.values_json, &old.agreement)
                            == (new.session, &new.values_json, &new.agreement) =>
                    {
                        Ok(())
                    }
                    Some(_) => Err(What::ResultExists.into()),
                    None => Err(What::SlotUsed.into()),
                }
            })
        })
        .await
    }

    /// Gives a slot up: its input is deleted and it is never used again. `Conflict(ResultExists)` if it has a result.
    pub async fn fail_slot(
        &self,
        party: &str,
        run: RunId,
        slot: Slot,
        reason: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (party.to_owned(), run, slot, reason.to_owned(), now);
        self.run_tx("fail_slot", args, |db, (party, run, slot, reason, now)| {
            Box::pin(async move {
                let was = input_row(db, party, *run, *slot).await?.map(|row| row.state);
                match was {
                    Some(InputState::Done) => Err(What::ResultExists.into()),
                    Some(InputState::Failed | InputState::Unused) => Ok(()),
                    Some(InputState::Pending) | None => {
                        let end = (InputState::Failed, Some(reason.as_str()));
                        spend_row(db, party, *run, *slot, was, end, *now).await
                    }
                }
            })
        })
        .await
    }

    /// The result of a slot.
    pub async fn result(&self, party: &str, run: RunId, slot: Slot) -> Result<Option<ResultRow>, StoreError> {
        stored_result(&mut self.reader().await?, party, run, slot).await
    }

    /// Results of a run, in order of slots, for one answer: at most `most`, and about 4 MiB of them, but one always; and
    /// whether there are more on that side. What one answer does not hold is not read; slots whose result the party does not
    /// learn are not there.
    pub async fn results(
        &self,
        party: &str,
        run: RunId,
        which: Windows,
        most: u32,
    ) -> Result<(Vec<ResultRow>, bool), StoreError> {
        let mut db = self.reader().await?;
        // One more, to know of it.
        let looked = most.saturating_add(1);
        let (lengths, mut rows): (Vec<Scalar<u64>>, Vec<ResultRow>) = match which {
            Windows::From(from) => {
                let sql = "SELECT CAST(LENGTH(values_json) AS BIGINT) AS v FROM results
                           WHERE party = $1 AND run = $2 AND slot >= $3 AND values_json <> '' ORDER BY slot LIMIT $4";
                let lengths: Vec<Scalar<u64>> = db.all(sql, args![party, run, from, looked]).await?;
                let sql = "SELECT * FROM results
                           WHERE party = $1 AND run = $2 AND slot >= $3 AND values_json <> '' ORDER BY slot LIMIT $4";
                let fits = fitting(&lengths).min(most);
                let rows = db.all(sql, args![party, run, from, fits]).await?;
                (lengths, rows)
            }
            Windows::Newest => {
                let sql = "SELECT CAST(LENGTH(values_json) AS BIGINT) AS v FROM results
                           WHERE party = $1 AND run = $2 AND values_json <> '' ORDER BY slot DESC LIMIT $3";
                let lengths: Vec<Scalar<u64>> = db.all(sql, args![party, run, looked]).await?;
                let sql = "SELECT * FROM results
                           WHERE party = $1 AND run = $2 AND values_json <> '' ORDER BY slot DESC LIMIT $3";
                let rows = db.all(sql, args![party, run, fitting(&lengths).min(most)]).await?;
                (lengths, rows)
            }
        };
        if which == Windows::Newest {
            rows.reverse();
        }
        let more = rows.len() < lengths.len();
        Ok((rows, more))
    }

    /// The runs of which a party holds results, oldest first: clients' tasks by the moment of their first result, since
    /// their numbers follow from the request; then the group's by their numbers.
    pub async fn result_runs(&self, party: &str) -> Result<Vec<RunId>, StoreError> {
        let sql = "SELECT run AS v FROM results WHERE party = $1 GROUP BY run
                   ORDER BY CASE WHEN run < 0 THEN 0 ELSE 1 END, CASE WHEN run < 0 THEN min(at) ELSE run END, run";
        let runs: Vec<Scalar<RunId>> = self.reader().await?.all(sql, args![party]).await?;
        Ok(runs.into_iter().map(|Scalar(run)| run).collect())
    }
}

impl Look {
    /// Whether nothing is known of a task's slot, which is for `moment`: no row, no session that gave shares, no freeze;
    /// and nothing was [forgotten](Self::is_forgotten). One question instead of four.
    pub async fn is_untouched(
        &mut self,
        party: &str,
        run: RunId,
        slot: Slot,
        moment: UnixMillis,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM freezes WHERE party = $1 AND run = $2 AND slot = $3)
                       OR EXISTS (SELECT 1 FROM input_rows WHERE party = $1 AND run = $2 AND slot = $3)
                       OR EXISTS (SELECT 1 FROM sessions WHERE party = $1 AND run = $2 AND slot = $3)
                       OR EXISTS (SELECT 1 FROM forgotten WHERE upto >= $4)
                   THEN 0 ELSE 1 END AS BIGINT) AS v";
        let Scalar(untouched): Scalar<i64> = self.conn().await?.one(sql, args![party, run, slot, moment]).await?;
        Ok(untouched == 1)
    }
}

/// The freeze itself: one writing statement, that does nothing if it is refused.
async fn fix_set(db: &mut Conn, party: &str, new: &NewFreeze, now: UnixMillis) -> Result<FreezeOutcome, StoreError> {
    let NewFreeze { run, slot, attempt, set_digest, charter, inputs, moment, .. } = new;
    let fresh = db
        .execute(
            "INSERT INTO freezes (party, run, slot, attempt, set_digest, at)
             SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM input_rows
                 WHERE party = $1 AND run = $2 AND slot = $3 AND state <> 'pending')
             AND NOT EXISTS (SELECT 1 FROM party_runs WHERE party = $1 AND run = $2 AND closed IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM sessions
                 WHERE party = $1 AND run = $2 AND slot = $3 AND (charter <> $7 OR inputs <> $8))
             AND NOT EXISTS (SELECT 1 FROM forgotten WHERE upto >= $9)
             ON CONFLICT (party, run, slot) DO NOTHING",
            args![party, run, slot, attempt, set_digest, now, charter, inputs, moment],
        )
        .await?;
    if fresh > 0 {
        return Ok(FreezeOutcome::Fresh);
    }
    match frozen(db, party, *run, *slot).await? {
        Some(old) if old.attempt != *attempt || old.set_digest != *set_digest => Err(What::Frozen.into()),
        old => match input_row(db, party, *run, *slot).await? {
            Some(row) if row.state != InputState::Pending => Err(What::SlotUsed.into()),
            _ if old.is_some() => Ok(FreezeOutcome::Same),
            _ => {
                let sql = "SELECT count(*) AS v FROM sessions
                           WHERE party = $1 AND run = $2 AND slot = $3 AND (charter <> $4 OR inputs <> $5)";
                let Scalar(others): Scalar<u64> = db.one(sql, args![party, run, slot, charter, inputs]).await?;
                let sql = "SELECT count(*) AS v FROM forgotten WHERE upto >= $1";
                let Scalar(gone): Scalar<u64> = db.one(sql, args![moment]).await?;
                Err(match (others, gone) {
                    (1.., _) => What::SlotBound.into(),
                    (0, 1..) => What::SlotUsed.into(),
                    (0, 0) => What::RunEnded.into(),
                })
            }
        },
    }
}

async fn frozen(db: &mut Conn, party: &str, run: RunId, slot: Slot) -> Result<Option<FrozenRow>, StoreError> {
    let sql = "SELECT attempt, set_digest, at FROM freezes WHERE party = $1 AND run = $2 AND slot = $3";
    db.optional(sql, args![party, run, slot]).await
}

async fn stored_result(db: &mut Conn, party: &str, run: RunId, slot: Slot) -> Result<Option<ResultRow>, StoreError> {
    let sql = "SELECT * FROM results WHERE party = $1 AND run = $2 AND slot = $3";
    db.optional(sql, args![party, run, slot]).await
}
