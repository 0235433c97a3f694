//! Peer: results on their way to `finalResultsURL`.
//!
//! A result waits, gets into a batch with a durable idempotency key before the first POST, and is posted under
//! that key until the receiver has it: nothing is lost, and nothing counts twice at a receiver that knows keys.

use tacit_model::{RunId, Slot, UnixMillis};

use crate::db::{args, from_row};
use crate::{Store, StoreError, What};

/// A result that waits for its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The slot it belongs to.
    pub slot: Slot,
    /// The values, JSON in the caller's form.
    pub values_json: String,
    /// When it came.
    pub created: UnixMillis,
}
from_row!(OutboxRow { slot, values_json, created });

/// Results that are posted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxBatch {
    /// The idempotency key of the POST.
    pub batch_key: String,
    /// Whose results.
    pub party: String,
    /// Of which run.
    pub run: RunId,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When to try next.
    pub next_at: UnixMillis,
    /// When it was put together.
    pub created: UnixMillis,
    /// The results, in order of slots.
    pub rows: Vec<OutboxRow>,
}

impl Store {
    /// The results of a run that are in no batch yet, in order of slots.
    pub async fn outbox_pending(&self, party: &str, run: RunId) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = "SELECT slot, values_json, created FROM outbox
                   WHERE party = $1 AND run = $2 AND batch_key IS NULL ORDER BY slot";
        self.reader().await?.all(sql, args![party, run]).await
    }

    /// Puts waiting results into a batch that is due at once. Saying the same again changes nothing;
    /// `Conflict(Batch)` if a result is in another batch, or the key names another one.
    pub async fn outbox_assign_batch(
        &self,
        party: &str,
        run: RunId,
        slots: &[Slot],
        batch_key: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (party.to_owned(), run, slots.to_vec(), batch_key.to_owned(), now);
        self.run_tx("outbox_assign_batch", args, |db, (party, run, slots, key, now)| {
            Box::pin(async move {
                let sql = "SELECT slot, values_json, created FROM outbox WHERE batch_key = $1 ORDER BY slot";
                let before: Vec<OutboxRow> = db.all(sql, args![key]).await?;
                let first = slots.iter().min().ok_or(StoreError::NotFound { what: "result for the batch" })?;
                let made = db
                    .execute(
                        "INSERT INTO outbox_batches (batch_key, party, run, first_slot, attempts, next_at, created)
                         VALUES ($1, $2, $3, $4, 0, $5, $5) ON CONFLICT (batch_key) DO NOTHING",
                        args![key, party, run, first, now],
                    )
                    .await?;
                if made == 0 {
                    let mut wanted = slots.clone();
                    wanted.sort_unstable();
                    wanted.dedup();
                    let same = before.iter().map(|row| row.slot).eq(wanted)
                        && self::batch(db, key).await?.is_some_and(|b| (&b.party, b.run) == (party, *run));
                    return if same { Ok(()) } else { Err(What::Batch.into()) };
                }
                for slot in slots {
                    let assigned = db
                        .execute(
                            "UPDATE outbox SET batch_key = $1 WHERE party = $2 AND run = $3 AND slot = $4
                             AND (batch_key IS NULL OR batch_key = $1)",
                            args![key, party, run, slot],
                        )
                        .await?;
                    if assigned == 0 {
                        return Err(What::Batch.into());
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// Notes that the receiver has a batch. Saying it again changes nothing.
    pub async fn outbox_delivered(&self, batch_key: &str, now: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("outbox_delivered", (batch_key.to_owned(), now), |db, (key, now)| {
            Box::pin(async move {
                let sql = "UPDATE outbox_batches SET delivered = COALESCE(delivered, $1) WHERE batch_key = $2";
                match db.execute(sql, args![now, key]).await? {
                    0 => Err(NO_BATCH),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Notes that a POST failed and when to try again.
    pub async fn outbox_retry(&self, batch_key: &str, next_at: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("outbox_retry", (batch_key.to_owned(), next_at), |db, (key, next_at)| {
            Box::pin(async move {
                let sql = "UPDATE outbox_batches SET attempts = attempts + 1, next_at = $1 WHERE batch_key = $2";
                match db.execute(sql, args![next_at, key]).await? {
                    0 => Err(NO_BATCH),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// All batches that are not delivered, also those that are not due; per party and run in order of slots.
    pub async fn outbox_batches_open(&self) -> Result<Vec<OutboxBatch>, StoreError> {
        let sql = "SELECT batch_key, party, run, attempts, next_at, created FROM outbox_batches
                   WHERE delivered IS NULL ORDER BY party, run, first_slot";
        let mut db = self.reader().await?;
        let heads: Vec<BatchHead> = db.all(sql, &[]).await?;
        let mut batches = Vec::with_capacity(heads.len());
        for head in heads {
            let sql = "SELECT slot, values_json, created FROM outbox WHERE batch_key = $1 ORDER BY slot";
            let rows = db.all(sql, args![head.batch_key]).await?;
            let BatchHead { batch_key, party, run, attempts, next_at, created } = head;
            batches.push(OutboxBatch { batch_key, party, run, attempts, next_at, created, rows });
        }
        Ok(batches)
    }
}

const NO_BATCH: StoreError = StoreError::NotFound { what: "batch" };

struct BatchHead {
    batch_key: String,
    party: String,
    run: RunId,
    attempts: u32,
    next_at: UnixMillis,
    created: UnixMillis,
}
from_row!(BatchHead { batch_key, party, run, attempts, next_at, created });

async fn batch(db: &mut crate::db::Conn, key: &str) -> Result<Option<BatchHead>, StoreError> {
    let sql = "SELECT batch_key, party, run, attempts, next_at, created FROM outbox_batches WHERE batch_key = $1";
    db.optional(sql, args![key]).await
}
