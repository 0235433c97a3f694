//! Deleting what is older than it is kept for, in pieces, so that nobody waits long behind it.
//!
//! **Nothing that was opened can be opened again.** The slots of a group's run are refused by the run itself, which is
//! closed for ever (`party_runs`). Those of a client's task are refused by their moment: before any of their records go,
//! it is durable up to which moment they may have gone, and from then on the party takes part in nothing that is for
//! that moment or an earlier one. That is one row, however many tasks there were. It never lies beyond the newest of those
//! records by more than clocks may differ: a clock that was once wrong by years shuts out no task of the years to come.

use tacit_model::UnixMillis;

use crate::db::{Scalar, args};
use crate::{Look, Store, StoreError};

/// Rows of one transaction at a party.
const PIECE: i64 = 2000;
/// Tasks, slots or other rows of one transaction at a gateway, which may have to be made by others within their patience.
const GATEWAY_PIECE: i64 = 200;
/// A record may be older than the moment that its task is for, by what clocks may differ and somewhat more.
const AHEAD_MS: i64 = 10 * 60_000;

/// What a purge removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Purged {
    /// Markers of input rows.
    pub rows: u64,
    /// Freezes.
    pub freezes: u64,
    /// Results.
    pub results: u64,
    /// Delivered results of the outbox.
    pub delivered: u64,
    /// Session ids.
    pub sessions: u64,
    /// Notes of what was given to tasks.
    pub asked: u64,
}

/// What a gateway's purge removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PurgedGateway {
    /// Tasks that were over, with their windows and notices.
    pub tasks: u64,
    /// Slots of runs that were over.
    pub slots: u64,
    /// Rows that the receiver was posted.
    pub received: u64,
}

/// Deletes what belongs to the slots of closed runs, and of tasks by a time of its own.
macro_rules! of_slots {
    ($table:literal, $key:literal, $time:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " o
             WHERE (o.run < 0 AND o.",
            $time,
            " < $1) OR EXISTS (SELECT 1 FROM party_runs q
                 WHERE q.party = o.party AND q.run = o.run AND q.run >= 0 AND q.closed < $1) LIMIT $2)"
        )
    };
}

/// The newest of what keeps a slot from being opened again, of whichever run.
const NEWEST: &str =
    "SELECT max(at) AS v FROM (SELECT max(ended) AS at FROM input_rows UNION ALL SELECT max(at) FROM freezes
     UNION ALL SELECT max(at) FROM results UNION ALL SELECT max(at) FROM sessions
     UNION ALL SELECT max(closed) FROM party_runs) AS newest";
const ROWS: &str = of_slots!("input_rows", "party, run, slot", "ended");
const FREEZES: &str = of_slots!("freezes", "party, run, slot", "at");
const RESULTS: &str = of_slots!("results", "party, run, slot", "at");
/// It shows a part of a result.
const EVIDENCE: &str = of_slots!("evidence", "party, session", "at");
const DELIVERED: &str = "DELETE FROM outbox WHERE (party, run, slot) IN (SELECT o.party, o.run, o.slot
     FROM outbox o JOIN outbox_batches b ON b.batch_key = o.batch_key WHERE b.delivered < $1 LIMIT $2)";
const SESSIONS: &str = "DELETE FROM sessions WHERE (party, session) IN (SELECT party, session FROM sessions o
     WHERE o.at < $1 AND (o.run < 0 OR NOT EXISTS (SELECT 1 FROM party_runs q
         WHERE q.party = o.party AND q.run = o.run AND (q.closed IS NULL OR q.closed >= $1))) LIMIT $2)";
/// What is known of a window stays as long as there may be samples of it. The samples of a branch are at its members, and
/// after a restore they are yet to be handed in: so a window that this party computed stays, too, as long as it is known who
/// was in it. That leaves it to those who gave to judge by this.
const ASKED: &str =
    "DELETE FROM asked WHERE (party, run, slot, source) IN (SELECT party, run, slot, source FROM asked o
     WHERE o.at < $1 AND NOT EXISTS (SELECT 1 FROM series s
         WHERE s.party = o.party AND s.source = o.source AND s.at < o.to_ms)
     AND NOT EXISTS (SELECT 1 FROM opened p WHERE p.party = o.party AND p.run = o.run AND p.slot = o.slot
         AND p.source = o.source) LIMIT $2)";
static OTHERS: [&str; 7] = [
    EVIDENCE,
    "DELETE FROM outbox_batches WHERE batch_key IN (SELECT batch_key FROM outbox_batches b
         WHERE b.delivered < $1 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.batch_key = b.batch_key) LIMIT $2)",
    "DELETE FROM receipts_owed WHERE (holder, session) IN (SELECT holder, session FROM receipts_owed
         WHERE holder <> '' AND at < $1 LIMIT $2)",
    "DELETE FROM jobs WHERE (party, number) IN (SELECT party, number FROM jobs WHERE at < $1 LIMIT $2)",
    "DELETE FROM approvals WHERE (party, task) IN (SELECT party, task FROM approvals
         WHERE asked < $1 AND COALESCE(decided, asked) < $1 LIMIT $2)",
    // A task's only keep the slots of rows that are gone; its number is not used for anything else. No time is kept.
    "DELETE FROM party_runs WHERE (party, run) IN (SELECT party, run FROM party_runs q
         WHERE q.run < 0 AND q.pending = 0 AND CAST($1 AS BIGINT) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM input_rows i
             WHERE i.party = q.party AND i.run = q.run) LIMIT $2)",
    // No window names it any more.
    "DELETE FROM companies WHERE company IN (SELECT company FROM companies c WHERE CAST($1 AS BIGINT) IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM opened o WHERE o.company = c.company) LIMIT $2)",
];

/// The oldest tasks that are over. In this order everywhere: replicas must choose the same ones.
macro_rules! old_tasks {
    () => {
        "(SELECT id FROM tasks WHERE created < $1 AND updated < $1 AND state <> 'open' ORDER BY created, id LIMIT $2)"
    };
}
const TASK_WINDOWS: &str = concat!("DELETE FROM task_windows WHERE id IN ", old_tasks!());
const NOTICES: &str = concat!("DELETE FROM notices WHERE task IN ", old_tasks!());
const TASKS: &str = concat!("DELETE FROM tasks WHERE id IN ", old_tasks!());
const SLOTS: &str = "DELETE FROM slots WHERE (gid, run, slot) IN (SELECT s.gid, s.run, s.slot
     FROM slots s JOIN runs r ON r.gid = s.gid AND r.run = s.run JOIN groups g ON g.gid = r.gid
     WHERE r.ended < $1 AND r.run < g.last_run ORDER BY s.gid, s.run, s.slot LIMIT $2)";
static OLD_RUNS: [&str; 3] = [
    "DELETE FROM runs WHERE (gid, run) IN (SELECT r.gid, r.run FROM runs r JOIN groups g ON g.gid = r.gid
         WHERE r.ended < $1 AND r.run < g.last_run AND NOT EXISTS (SELECT 1 FROM slots s
             WHERE s.gid = r.gid AND s.run = r.run) ORDER BY r.gid, r.run LIMIT $2)",
    "DELETE FROM notices WHERE task IN (SELECT task FROM notices n WHERE n.next_at < $1 AND NOT EXISTS
         (SELECT 1 FROM tasks t WHERE t.id = n.task) ORDER BY task LIMIT $2)",
    "DELETE FROM receipts_owed WHERE holder = '' AND session IN (SELECT session FROM receipts_owed
         WHERE holder = '' AND at < $1 ORDER BY at, session LIMIT $2)",
];
const RECEIVED: &str = "DELETE FROM received WHERE id IN (SELECT id FROM received WHERE at < $1 ORDER BY id LIMIT $2)";
const RECEIVED_KEYS: &str = "DELETE FROM received_keys WHERE idempotency_key IN (SELECT idempotency_key
     FROM received_keys WHERE at < $1 ORDER BY at, idempotency_key LIMIT $2)";

impl Store {
    /// Removes what parties keep of runs closed before `before`, and of tasks computed before then: markers, freezes,
    /// results, evidence, delivered posts, session ids, decisions of owners, notes of jobs; what they gave to tasks once
    /// the samples are gone; and what they kept for receipts that never came. What is not delivered stays, and so do the
    /// numbers of used slots of runs, receipts, and what noise cost.
    ///
    /// Tasks that are for a moment up to 10 minutes after `before`, or after the newest record if that is older, are over for
    /// ever: [`is_forgotten`](crate::Look::is_forgotten).
    pub async fn purge(&self, before: UnixMillis) -> Result<Purged, StoreError> {
        let upto = self.forget_up_to(before).await?;
        let purged = Purged {
            rows: self.in_pieces(&[ROWS], upto, PIECE).await?,
            freezes: self.in_pieces(&[FREEZES], upto, PIECE).await?,
            results: self.in_pieces(&[RESULTS], upto, PIECE).await?,
            delivered: self.in_pieces(&[DELIVERED], before, PIECE).await?,
            sessions: self.in_pieces(&[SESSIONS], upto, PIECE).await?,
            asked: self.in_pieces(&[ASKED], before, PIECE).await?,
        };
        for sql in &OTHERS {
            self.in_pieces(std::slice::from_ref(sql), before, PIECE).await?;
        }
        Ok(purged)
    }

    /// Removes what a gateway keeps of tasks that were over before `before`, whether or not their clients could be told,
    /// and of runs that ended before then, but for the last one of each group; what it owes for so long that nobody
    /// can help; and what a receiver was posted. Receipts, documents and the audit log stay.
    ///
    /// Works on replicas, too.
    pub async fn purge_gateway(&self, before: UnixMillis) -> Result<PurgedGateway, StoreError> {
        let tasks = self.in_pieces(&[TASK_WINDOWS, NOTICES, TASKS], before, GATEWAY_PIECE).await?;
        let slots = self.in_pieces(&[SLOTS], before, GATEWAY_PIECE).await?;
        for sql in &OLD_RUNS {
            self.in_pieces(std::slice::from_ref(sql), before, GATEWAY_PIECE).await?;
        }
        Ok(PurgedGateway { tasks, slots, received: self.purge_received(before).await? })
    }

    /// Forgets rows and keys that a receiver was posted before a time; how many rows.
    async fn purge_received(&self, before: UnixMillis) -> Result<u64, StoreError> {
        // A key that is gone lets its rows in again: it goes after them.
        let rows = self.in_pieces(&[RECEIVED], before, GATEWAY_PIECE).await?;
        self.in_pieces(&[RECEIVED_KEYS], before, GATEWAY_PIECE).await?;
        Ok(rows)
    }

    /// Makes durable what tasks may be forgotten from now on, which never goes back; before which moment records may go. What
    /// is recorded while the others go, by a clock that was set back meanwhile, is not among them.
    async fn forget_up_to(&self, before: UnixMillis) -> Result<UnixMillis, StoreError> {
        self.run_tx("forget_up_to", before, |db, before| {
            Box::pin(async move {
                let Scalar(newest): Scalar<Option<UnixMillis>> = db.one(NEWEST, &[]).await?;
                let Some(newest) = newest else { return Ok(UnixMillis(i64::MIN)) };
                let upto = newest.plus(1).min(*before);
                db.execute(
                    "INSERT INTO forgotten (one, upto) VALUES (1, $1)
                     ON CONFLICT (one) DO UPDATE SET upto = excluded.upto WHERE forgotten.upto < excluded.upto",
                    args![upto.plus(AHEAD_MS)],
                )
                .await?;
                Ok(upto)
            })
        })
        .await
    }

    /// Runs deletions of rows older than `$1`, each at most `$2` at once and all in one transaction, until the last of
    /// them finds none; how many that one deleted.
    async fn in_pieces(
        &self,
        deletions: &'static [&'static str],
        before: UnixMillis,
        piece: i64,
    ) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let gone = self
                .run_tx("purge", (deletions, before, piece), |db, (deletions, before, piece)| {
                    Box::pin(async move {
                        let mut gone = 0;
                        for sql in *deletions {
                            gone = db.execute(*sql, args![before, piece]).await?;
                        }
                        Ok(gone)
                    })
                })
                .await?;
            all += gone;
            if gone < piece.unsigned_abs() {
                return Ok(all);
            }
        }
    }
}

impl Look {
    /// Whether what parties of this node knew of tasks for a moment may have been deleted: such a task is over.
    pub async fn is_forgotten(&mut self, moment: UnixMillis) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) AS v FROM forgotten WHERE upto >= $1";
        let Scalar(rows): Scalar<i64> = self.conn().await?.one(sql, args![moment]).await?;
        Ok(rows > 0)
    }
}
