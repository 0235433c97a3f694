//! Peer: the ledger of what results with noise cost each of its series.
//!
//! A charge is durable before anything can be opened that it pays for, and nothing takes it back: whoever crashes in
//! between, or gets no result, has paid.

use tacit_model::{RunId, Slot, UnixMillis};

use crate::db::{Conn, Scalar, args, from_row};
use crate::{Look, StoreError, What};

/// What a computation costs a series, and how much it may have cost then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRow {
    /// Which gateway and group, and which task: numbers of runs begin again elsewhere, a party may leave and join under
    /// its name, and the number that follows from a task's request is short enough to make a second one for.
    pub scope: String,
    /// The task or run.
    pub run: RunId,
    /// Which computation of it. It is opened once at most, so it costs once, however often it is tried.
    pub slot: Slot,
    /// The series.
    pub source: String,
    /// In millionths.
    pub epsilon: i64,
    /// In 10^-15.
    pub delta: i64,
    /// The most that the series may have cost altogether, in millionths.
    pub most_epsilon: i64,
    /// The same of delta, in 10^-15.
    pub most_delta: i64,
    /// When.
    pub at: UnixMillis,
}

/// What a series has cost so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentRow {
    /// The series.
    pub source: String,
    /// In millionths.
    pub epsilon: i64,
    /// In 10^-15.
    pub delta: i64,
    /// How many computations.
    pub results: u64,
}
from_row!(SpentRow { source, epsilon, delta, results });

impl Look {
    /// What the series of a party have cost, those that have.
    pub async fn spent(&mut self, party: &str) -> Result<Vec<SpentRow>, StoreError> {
        let sql = "SELECT source, CAST(sum(epsilon) AS BIGINT) AS epsilon, CAST(sum(delta) AS BIGINT) AS delta,
                       count(*) AS results
                   FROM spent WHERE party = $1 GROUP BY source ORDER BY source";
        self.conn().await?.all(sql, args![party]).await
    }

    /// Whether this computation was charged already.
    pub async fn is_charged(&mut self, party: &str, row: &SpendRow) -> Result<bool, StoreError> {
        is_charged(self.conn().await?, party, row).await
    }
}

async fn is_charged(db: &mut Conn, party: &str, row: &SpendRow) -> Result<bool, StoreError> {
    let SpendRow { scope, run, slot, source, .. } = row;
    let sql = "SELECT count(*) AS v FROM spent
               WHERE party = $1 AND run = $2 AND slot = $3 AND source = $4 AND scope = $5";
    let Scalar(known): Scalar<u64> = db.one(sql, args![party, run, slot, source, scope]).await?;
    Ok(known > 0)
}

/// Charges a series: `Conflict(Budget)` if that is more than it may cost. Charged already, it is not charged again.
pub(crate) async fn spend_one(db: &mut Conn, party: &str, row: &SpendRow) -> Result<(), StoreError> {
    let SpendRow { scope, run, slot, source, epsilon, delta, most_epsilon, most_delta, at } = row;
    let charged = db
        .execute(
            "INSERT INTO spent (party, run, slot, source, epsilon, delta, at, scope)
             SELECT $1, $2, $3, $4, $5, $6, $7, $10
             WHERE (SELECT CAST(COALESCE(sum(epsilon), 0) AS BIGINT) FROM spent WHERE party = $1 AND source = $4) <= $8
                 AND (SELECT CAST(COALESCE(sum(delta), 0) AS BIGINT) FROM spent WHERE party = $1 AND source = $4) <= $9
             ON CONFLICT (party, scope, run, slot, source) DO NOTHING",
            args![
                party,
                run,
                slot,
                source,
                epsilon,
                delta,
                at,
                most_epsilon.saturating_sub(*epsilon),
                most_delta.saturating_sub(*delta),
                scope
            ],
        )
        .await?;
    if charged > 0 {
        return Ok(());
    }
    if is_charged(db, party, row).await? { Ok(()) } else { Err(What::Budget.into()) }
}
