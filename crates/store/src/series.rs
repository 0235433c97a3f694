//! Peer: series of samples, and which of them went into which tasks.

use std::collections::BTreeMap;

use tacit_model::{RunId, Slot, UnixMillis};

use crate::approvals::not_refused;
use crate::db::{Conn, Scalar, args, from_row};
use crate::spent::spend_one;
use crate::{Look, Redacted, SpendRow, Store, StoreError, What};

/// In the place of a series, which has a longer name: up to which moment samples were let go, of any.
const ALL: &str = "";

/// What was measured at a moment: millionths by the name of the series.
pub type Sample = (UnixMillis, BTreeMap<String, Redacted<i64>>);

/// What it did to add samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Samples that went to make room.
    pub gone: u64,
    /// Whether values were replaced by others that may have gone into a result.
    pub given: bool,
}

/// One sample of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleRow {
    /// The series.
    pub source: String,
    /// When.
    pub at: UnixMillis,
    /// In millionths.
    pub value: Redacted<i64>,
}
from_row!(SampleRow { source, at, value });

/// That a part of a series went into a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRow {
    /// The task, as a run.
    pub run: RunId,
    /// The id of the task: the number of the run is short enough to make a second task for.
    pub task: String,
    /// Which computation of it.
    pub slot: Slot,
    /// The series.
    pub source: String,
    /// Who asked.
    pub client: String,
    /// The first moment.
    pub from_ms: UnixMillis,
    /// The first moment after.
    pub to_ms: UnixMillis,
    /// Names the members that gave data together.
    pub members: [u8; 32],
    /// When.
    pub at: UnixMillis,
}

impl Store {
    /// Adds samples to a party's series, all or none; a sample of the same moment is replaced. Where the party would hold more
    /// than `limit`, the oldest moments go, and a little room is made. Up to which moment is kept:
    /// [`let_go_up_to`](Look::let_go_up_to). `QueueFull` if the newest moment alone has more.
    pub async fn add_samples(&self, party: &str, samples: Vec<Sample>, limit: u64) -> Result<Added, StoreError> {
        self.run_tx("add_samples", (party.to_owned(), samples, limit), |db, (party, samples, limit)| {
            Box::pin(async move {
                // From the first to the last moment of each series of which another value was known.
                let mut replaced: BTreeMap<&str, (UnixMillis, UnixMillis)> = BTreeMap::new();
                for (at, values) in samples {
                    for (source, value) in values {
                        let sql = "INSERT INTO series (party, source, at, value) VALUES ($1, $2, $3, $4)
                                   ON CONFLICT (party, source, at) DO NOTHING";
                        if db.execute(sql, args![party, source, at, value]).await? > 0 {
                            continue;
                        }
                        let sql = "UPDATE series SET value = $4
                                   WHERE party = $1 AND source = $2 AND at = $3 AND value <> $4";
                        if db.execute(sql, args![party, source, at, value]).await? > 0 {
                            let (first, last) = replaced.entry(source).or_insert((*at, *at));
                            (*first, *last) = ((*first).min(*at), (*last).max(*at));
                        }
                    }
                }
                let mut given = false;
                for (source, (first, last)) in replaced {
                    let sql = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM asked
                                   WHERE party = $1 AND source = $2 AND to_ms > $3 AND from_ms <= $4)
                               THEN 1 ELSE 0 END AS BIGINT) AS v";
                    let Scalar(went): Scalar<i64> = db.one(sql, args![party, source, first, last]).await?;
                    given |= went > 0;
                }
                let sql = "SELECT count(*) AS v FROM series WHERE party = $1";
                let Scalar(held): Scalar<u64> = db.one(sql, args![party]).await?;
                if held <= *limit {
                    return Ok(Added { gone: 0, given });
                }
                // A hundredth more than is needed: all are looked at for that, which must not be for every sample that comes.
                let last = i64::try_from(held - limit + limit / 100 - 1).unwrap_or(i64::MAX);
                let sql = "SELECT max(at) AS v FROM series WHERE party = $1
                           AND at < (SELECT max(at) FROM series WHERE party = $1)
                           AND at <= (SELECT at FROM series WHERE party = $1 ORDER BY at LIMIT 1 OFFSET $2)";
                let Scalar(upto): Scalar<Option<UnixMillis>> = db.one(sql, args![party, last]).await?;
                let mut gone = 0;
                if let Some(upto) = upto {
                    note_let_go(db, party, upto).await?;
                    let sql = "DELETE FROM series WHERE party = $1 AND at <= $2";
                    gone = db.execute(sql, args![party, upto]).await?;
                }
                let left = held.saturating_sub(gone);
                if left > *limit {
                    return Err(StoreError::QueueFull { pending: left, limit: *limit });
                }
                Ok(Added { gone, given })
            })
        })
        .await
    }

    /// The names of a party's series.
    pub async fn sources(&self, party: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT source AS v FROM series WHERE party = $1 ORDER BY source";
        let found: Vec<Scalar<String>> = self.reader().await?.all(sql, args![party]).await?;
        Ok(found.into_iter().map(|Scalar(source)| source).collect())
    }

    /// Deletes samples of these series from before a moment; how many. Up to which moment is kept. Each is a range of the key,
    /// so what stays is not looked at.
    pub async fn forget_samples(&self, party: &str, sources: &[String], before: UnixMillis) -> Result<u64, StoreError> {
        self.run_tx("forget_samples", (party.to_owned(), sources.to_owned(), before), |db, (party, sources, before)| {
            Box::pin(async move {
                let newest = "SELECT max(at) AS v FROM series WHERE party = $1 AND source = $2 AND at < $3";
                let sql = "DELETE FROM series WHERE party = $1 AND source = $2 AND at < $3";
                let mut gone = 0;
                for source in sources {
                    let Scalar(upto): Scalar<Option<UnixMillis>> = db.one(newest, args![party, source, before]).await?;
                    if let Some(upto) = upto {
                        note_let_go(db, party, upto).await?;
                        gone += db.execute(sql, args![party, source, before]).await?;
                    }
                }
                Ok(gone)
            })
        })
        .await
    }

    /// Notes that samples up to a moment were not taken: to whoever asks for them they are as good as let go.
    pub async fn note_not_taken(&self, party: &str, upto: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("note_not_taken", (party.to_owned(), upto), |db, (party, upto)| {
            Box::pin(async move { note_let_go(db, party, *upto).await })
        })
        .await
    }

    /// Notes what goes into a task, before it goes, and what that costs. Saying it again changes nothing.
    /// `Conflict(Budget)` if it costs more than it may, `Conflict(Overlap)`, with `disjoint`, if samples of its window
    /// went into another computation with other members, `Conflict(Refused)` if the owner has refused `approved`, the task that
    /// they were asked about; nothing is noted then.
    pub async fn note_asked(
        &self,
        party: &str,
        rows: Vec<AskedRow>,
        costs: Vec<SpendRow>,
        disjoint: bool,
        approved: Option<String>,
    ) -> Result<(), StoreError> {
        let args = (party.to_owned(), rows, costs, disjoint, approved);
        self.run_tx("note_asked", args, |db, (party, rows, costs, disjoint, approved)| {
            Box::pin(async move {
                if let Some(task) = approved {
                    not_refused(db, party, task).await?;
                }
                for row in rows {
                    note_one(db, party, row, *disjoint).await?;
                }
                for row in costs {
                    spend_one(db, party, row).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

impl Look {
    /// The samples of some series from one moment to before another, in order of time.
    pub async fn samples(
        &mut self,
        party: &str,
        source: &str,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<Vec<SampleRow>, StoreError> {
        let sql = "SELECT source, at, value FROM series
                   WHERE party = $1 AND source = $2 AND at >= $3 AND at < $4 ORDER BY at";
        self.conn().await?.all(sql, args![party, source, from, to]).await
    }

    /// The latest moment of which a sample was let go, if one ever was: what is held of a window that begins then or earlier
    /// may be a part of it only. Samples that are handed in again do not change that.
    pub async fn let_go_up_to(&mut self, party: &str) -> Result<Option<UnixMillis>, StoreError> {
        let sql = "SELECT upto AS v FROM opened_before WHERE party = $1 AND source = $2";
        let upto: Option<Scalar<UnixMillis>> = self.conn().await?.optional(sql, args![party, ALL]).await?;
        Ok(upto.map(|Scalar(upto)| upto))
    }

    /// Whether records of a window went into a computation with other members than this one has.
    pub async fn asked_with_others(&mut self, party: &str, row: &AskedRow) -> Result<bool, StoreError> {
        // By ranges beside the same members: a long history with them costs nothing.
        let sql = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM asked WHERE party = $1 AND source = $2 AND members < $5
                           AND to_ms > $3 AND from_ms < $4 AND NOT (run = $6 AND slot = $7 AND task = $8))
                       OR EXISTS (SELECT 1 FROM asked WHERE party = $1 AND source = $2 AND members > $5
                           AND to_ms > $3 AND from_ms < $4 AND NOT (run = $6 AND slot = $7 AND task = $8))
                   THEN 1 ELSE 0 END AS BIGINT) AS v";
        let args = args![party, row.source, row.from_ms, row.to_ms, row.members, row.run, row.slot, row.task];
        let Scalar(clashes): Scalar<i64> = self.conn().await?.one(sql, args).await?;
        Ok(clashes > 0)
    }

    /// How many computations took something since a moment; of one client, or of all.
    pub async fn asked_since(&mut self, party: &str, since: UnixMillis) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) AS v FROM (SELECT DISTINCT run, slot FROM asked WHERE party = $1 AND at >= $2) q";
        let Scalar(count) = self.conn().await?.one(sql, args![party, since]).await?;
        Ok(count)
    }
}

/// Makes durable that samples up to a moment go. It never goes back.
async fn note_let_go(db: &mut Conn, party: &str, upto: UnixMillis) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO opened_before (party, source, upto) VALUES ($1, $2, $3)
         ON CONFLICT (party, source) DO UPDATE SET upto = excluded.upto WHERE opened_before.upto < excluded.upto",
        args![party, ALL, upto],
    )
    .await
    .map(drop)
}

/// Notes that a part of a series goes into a computation; with `disjoint`, `Conflict(Overlap)` if samples of its window
/// went into another one with other members, and in any case if another task has the same number. Noted again, the window is all that was ever noted of it.
pub(crate) async fn note_one(db: &mut Conn, party: &str, row: &AskedRow, disjoint: bool) -> Result<(), StoreError> {
    let AskedRow { run, task, slot, source, client, from_ms, to_ms, members, at } = row;
    let noted = db
        .execute(
            "INSERT INTO asked (party, run, slot, source, client, from_ms, to_ms, members, at, task)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $11 WHERE $10 = 0 OR NOT (
                 EXISTS (SELECT 1 FROM asked WHERE party = $1 AND source = $4 AND members < $8
                     AND to_ms > $6 AND from_ms < $7 AND NOT (run = $2 AND slot = $3 AND task = $11))
                 OR EXISTS (SELECT 1 FROM asked WHERE party = $1 AND source = $4 AND members > $8
                     AND to_ms > $6 AND from_ms < $7 AND NOT (run = $2 AND slot = $3 AND task = $11)))
             ON CONFLICT (party, run, slot, source) DO UPDATE SET members = excluded.members,
                 from_ms = CASE WHEN excluded.from_ms < asked.from_ms THEN excluded.from_ms ELSE asked.from_ms END,
                 to_ms = CASE WHEN excluded.to_ms > asked.to_ms THEN excluded.to_ms ELSE asked.to_ms END
                 WHERE asked.task = excluded.task",
            args![party, run, slot, source, client, from_ms, to_ms, members, at, i64::from(disjoint), task],
        )
        .await?;
    if noted == 0 { Err(What::Overlap.into()) } else { Ok(()) }
}
