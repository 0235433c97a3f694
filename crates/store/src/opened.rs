//! Peer that computes: over whose data it let results of clients' tasks be opened, and of which windows.
//!
//! A peer that gives knows what of its own went in with whom ([`AskedRow`](crate::AskedRow)). One that only computes has
//! nothing of its own in it, and who only gives does not learn whose data was in at last: so whoever computes remembers
//! the sets. Two results over the same records, one with somebody and one without, differ by what that one gave.

use std::collections::BTreeSet;
use std::sync::Arc;

use tacit_model::{Fingerprint, RunId, Slot, UnixMillis};

use crate::db::{Conn, Scalar, args, from_row};
use crate::{Look, Store, StoreError, What};

/// Those whose data goes into a result together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company {
    /// Names this company: givers, and those who judge for themselves.
    pub id: [u8; 32],
    /// Names the givers, as in [`AskedRow`](crate::AskedRow).
    pub members: [u8; 32],
    /// Who gives, ascending.
    pub givers: Vec<Fingerprint>,
    /// Those of them without whose freeze nothing is opened, ascending: each compares the records that it gives itself.
    pub judging: Vec<Fingerprint>,
    /// So many of those are more than may be corrupted.
    pub enough: usize,
    /// Whether this party gives, too.
    pub own: bool,
}

/// A window of a series over which a result is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedRow {
    /// The task, as a run.
    pub run: RunId,
    /// The id of the task: the number of the run is short enough to make a second task for.
    pub task: String,
    /// Which computation of it.
    pub slot: Slot,
    /// The series.
    pub source: String,
    /// The first moment.
    pub from_ms: UnixMillis,
    /// The first moment after.
    pub to_ms: UnixMillis,
    /// Whose records.
    pub company: Arc<Company>,
    /// When.
    pub at: UnixMillis,
}

/// Why a result would, or might, make a difference with earlier ones (rule 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clash {
    /// With results over overlapping windows, of others.
    Company(Apart),
    /// Windows up to this moment may have been let go of, and this one reaches back behind it.
    Forgotten(UnixMillis),
}

/// How a company differs from those of earlier results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// Who gave then and does not now, ascending.
    pub missing: Vec<Fingerprint>,
    /// A window that begins then or later overlaps none of them.
    pub until: UnixMillis,
}

/// A company of before, and where the last of its windows that overlap ends.
struct Before {
    givers: Vec<u8>,
    judging: Vec<u8>,
    own: i64,
    until: UnixMillis,
}
from_row!(Before { givers, judging, own, until });

impl Company {
    /// Whether the difference of two results would tell what somebody gave, as far as this party has to see to it: the
    /// companies share somebody, and of those whom they share neither all judge for themselves nor so many that one of
    /// them is honest. If this party gave to both, it judges by its own records.
    fn clashes(&self, before: &Before) -> bool {
        if self.own && before.own != 0 {
            return false;
        }
        let both = |mine: &[Fingerprint], theirs: &[u8]| {
            let (theirs, _) = theirs.as_chunks::<32>();
            theirs.iter().filter(|one| mine.binary_search(&Fingerprint(**one)).is_ok()).count()
        };
        both(&self.judging, &before.judging) < both(&self.givers, &before.givers).min(self.enough)
    }

    /// How this company differs from those of before with which it clashes, if there is one.
    fn apart(&self, before: &[Before]) -> Option<Apart> {
        let clashing: Vec<&Before> = before.iter().filter(|before| self.clashes(before)).collect();
        let until = clashing.iter().map(|before| before.until).max()?;
        let givers = clashing.iter().flat_map(|before| before.givers.as_chunks::<32>().0).map(|one| Fingerprint(*one));
        let missing: BTreeSet<Fingerprint> = givers.filter(|one| self.givers.binary_search(one).is_err()).collect();
        Some(Apart { missing: missing.into_iter().collect(), until })
    }
}

/// Windows that are let go of in one transaction, so that nobody waits long behind it.
const PIECE: i64 = 2000;

impl Look {
    /// Whether a result over records of this window was, or may have been, opened with another company that is not
    /// disjoint from this one, and which.
    pub async fn opened_with_others(&mut self, party: &str, row: &OpenedRow) -> Result<Option<Clash>, StoreError> {
        with_others(self.conn().await?, party, row).await
    }
}

impl Store {
    /// Deletes windows that end before a moment, the oldest first. What may have overlapped them is declined from then on.
    pub async fn forget_opened(&self, party: &str, before: UnixMillis) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let gone = self.forget_some(party, before, PIECE).await?;
            all += gone;
            if gone < PIECE.unsigned_abs() {
                return Ok(all);
            }
        }
    }

    async fn forget_some(&self, party: &str, before: UnixMillis, most: i64) -> Result<u64, StoreError> {
        self.run_tx("forget_opened", (party.to_owned(), before, most), |db, (party, before, most)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO opened_before (party, source, upto)
                     SELECT party, source, max(to_ms) FROM (SELECT party, source, to_ms FROM opened
                         WHERE party = $1 AND to_ms < $2 ORDER BY to_ms, run, slot, source LIMIT $3) AS old
                     WHERE to_ms < $2 GROUP BY party, source
                     ON CONFLICT (party, source) DO UPDATE SET upto = excluded.upto
                         WHERE opened_before.upto < excluded.upto",
                    args![party, before, most],
                )
                .await?;
                db.execute(
                    "DELETE FROM opened WHERE (party, run, slot, source) IN (SELECT party, run, slot, source FROM opened
                         WHERE party = $1 AND to_ms < $2 ORDER BY to_ms, run, slot, source LIMIT $3)",
                    args![party, before, most],
                )
                .await
            })
        })
        .await
    }
}

/// Notes over whose data a result is about to be opened; with `disjoint`, `Conflict(Company)` if it would make a
/// difference with an earlier one, and in any case `Conflict(SlotUsed)` if another task has the same number.
pub(crate) async fn note_opened(db: &mut Conn, party: &str, row: &OpenedRow, disjoint: bool) -> Result<(), StoreError> {
    if disjoint && with_others(db, party, row).await?.is_some() {
        return Err(What::Company.into());
    }
    let OpenedRow { run, task, slot, source, from_ms, to_ms, company, at } = row;
    let own = i64::from(company.own);
    let noted = db
        .execute(
            "INSERT INTO opened (party, run, slot, source, task, from_ms, to_ms, members, company, own, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (party, run, slot, source) DO UPDATE SET task = excluded.task WHERE opened.task = excluded.task",
            args![party, run, slot, source, task, from_ms, to_ms, company.members, company.id, own, at],
        )
        .await?;
    // Windows are known for longer than freezes may be: another task of this number would open one that nobody remembers.
    if noted == 0 {
        return Err(What::SlotUsed.into());
    }
    let bytes = |members: &[Fingerprint]| members.iter().flat_map(|member| member.0).collect::<Vec<u8>>();
    db.execute(
        "INSERT INTO companies (company, givers, judging) VALUES ($1, $2, $3) ON CONFLICT (company) DO NOTHING",
        args![company.id, bytes(&company.givers), bytes(&company.judging)],
    )
    .await
    .map(drop)
}

async fn with_others(db: &mut Conn, party: &str, row: &OpenedRow) -> Result<Option<Clash>, StoreError> {
    let OpenedRow { run, task, slot, source, from_ms, to_ms, company, .. } = row;
    // Most often nothing was opened with others at all, which two steps in an index tell. What this party has let go of
    // holds also where it gives: a branch's part is of records that its members may keep for longer.
    let sql = "SELECT upto AS v FROM opened_before WHERE party = $1 AND source = $2 AND upto > $4
               UNION ALL SELECT CAST(NULL AS BIGINT) AS v
               WHERE EXISTS (SELECT 1 FROM opened WHERE party = $1 AND source = $2 AND members < $3)
                   OR EXISTS (SELECT 1 FROM opened WHERE party = $1 AND source = $2 AND members > $3)";
    let found: Vec<Scalar<Option<UnixMillis>>> = db.all(sql, args![party, source, company.members, from_ms]).await?;
    if let Some(upto) = found.iter().find_map(|Scalar(upto)| *upto) {
        return Ok(Some(Clash::Forgotten(upto)));
    }
    if found.is_empty() {
        return Ok(None);
    }
    // By ranges beside the same members: a long history with them costs nothing.
    let sql = "SELECT c.givers, c.judging, o.own, max(o.to_ms) AS until FROM opened o
                   JOIN companies c ON c.company = o.company
                   WHERE o.party = $1 AND o.source = $2 AND o.members < $5 AND o.to_ms > $3 AND o.from_ms < $4
                       AND NOT (o.run = $6 AND o.slot = $7 AND o.task = $8)
                   GROUP BY c.company, c.givers, c.judging, o.own
               UNION SELECT c.givers, c.judging, o.own, max(o.to_ms) AS until FROM opened o
                   JOIN companies c ON c.company = o.company
                   WHERE o.party = $1 AND o.source = $2 AND o.members > $5 AND o.to_ms > $3 AND o.from_ms < $4
                       AND NOT (o.run = $6 AND o.slot = $7 AND o.task = $8)
                   GROUP BY c.company, c.givers, c.judging, o.own";
    let args = args![party, source, from_ms, to_ms, company.members, run, slot, task];
    let before: Vec<Before> = db.all(sql, args).await?;
    Ok(company.apart(&before).map(Clash::Company))
}
