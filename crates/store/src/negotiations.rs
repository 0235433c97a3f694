//! Gateway: negotiations, as their opening and the steps that were taken.

use tacit_model::{GroupId, UnixMillis};

use crate::db::{Scalar, args, from_row};
use crate::{Store, StoreError, What};

/// A negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiationRow {
    /// Its name.
    pub id: String,
    /// The group it is about, if it is about one.
    pub gid: Option<GroupId>,
    /// How it began, in the caller's form.
    pub opening: String,
    /// The id of what was agreed.
    pub agreement: Option<String>,
    /// The consensus of the group's charter that follows from it.
    pub decided: Option<String>,
    /// What became of that.
    pub outcome: Option<String>,
    /// When it was opened.
    pub created: UnixMillis,
}
from_row!(NegotiationRow { id, gid, opening, agreement, decided, outcome, created });

impl Store {
    /// Keeps a new negotiation. `Conflict(NegotiationReplay)` if its opener used this nonce before.
    pub async fn put_negotiation(
        &self,
        id: &str,
        gid: Option<GroupId>,
        nonce: &str,
        opening: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (id.to_owned(), gid, nonce.to_owned(), opening.to_owned(), now);
        self.run_tx("put_negotiation", args, |db, (id, gid, nonce, opening, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO negotiations (id, gid, nonce, opening, created) VALUES ($1, $2, $3, $4, $5)
                           ON CONFLICT (nonce) DO NOTHING";
                match db.execute(sql, args![id, gid, nonce, opening, now]).await? {
                    0 => Err(What::NegotiationReplay.into()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// One negotiation.
    pub async fn negotiation(&self, id: &str) -> Result<Option<NegotiationRow>, StoreError> {
        self.reader().await?.optional("SELECT * FROM negotiations WHERE id = $1", args![id]).await
    }

    /// The negotiation that ended in this agreement or in this consensus of a charter.
    pub async fn negotiation_of(&self, consensus: &str) -> Result<Option<NegotiationRow>, StoreError> {
        self.reader()
            .await?
            .optional("SELECT * FROM negotiations WHERE agreement = $1 OR decided = $1 LIMIT 1", args![consensus])
            .await
    }

    /// The negotiations about a group, oldest first; of more than a thousand the newest.
    pub async fn negotiations(&self, gid: GroupId) -> Result<Vec<NegotiationRow>, StoreError> {
        let sql = "SELECT * FROM negotiations WHERE gid = $1 ORDER BY created DESC, id DESC LIMIT 1000";
        let mut rows: Vec<NegotiationRow> = self.reader().await?.all(sql, args![gid]).await?;
        rows.reverse();
        Ok(rows)
    }

    /// Negotiations that decided something of which nobody knows yet what became of it.
    pub async fn unfinished_negotiations(&self) -> Result<Vec<NegotiationRow>, StoreError> {
        self.reader()
            .await?
            .all("SELECT * FROM negotiations WHERE decided IS NOT NULL AND outcome IS NULL ORDER BY created, id", &[])
            .await
    }

    /// The steps of a negotiation from this number on, counted from 0, in their order.
    pub async fn negotiation_steps(&self, id: &str, from: u32) -> Result<Vec<String>, StoreError> {
        let steps: Vec<Scalar<String>> = self
            .reader()
            .await?
            .all(
                "SELECT body AS v FROM negotiation_steps WHERE negotiation = $1 AND seq >= $2 ORDER BY seq",
                args![id, i64::from(from)],
            )
            .await?;
        Ok(steps.into_iter().map(|Scalar(body)| body).collect())
    }

    /// Adds step number `seq`, and with it what was agreed by it. `Conflict(NegotiationStep)` if that step was
    /// taken by somebody else.
    pub async fn add_negotiation_step(
        &self,
        id: &str,
        seq: u32,
        body: &str,
        agreed: Option<(String, Option<String>)>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (id.to_owned(), i64::from(seq), body.to_owned(), agreed, now);
        self.run_tx("add_negotiation_step", args, |db, (id, seq, body, agreed, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO negotiation_steps (negotiation, seq, body, created) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (negotiation, seq) DO NOTHING";
                if db.execute(sql, args![id, seq, body, now]).await? == 0 {
                    return Err(What::NegotiationStep.into());
                }
                if let Some((agreement, decided)) = agreed {
                    let sql =
                        "UPDATE negotiations SET agreement = $1, decided = $2 WHERE id = $3 AND agreement IS NULL";
                    if db.execute(sql, args![agreement, decided.as_deref(), id]).await? == 0 {
                        return Err(What::NegotiationStep.into());
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// Says what became of a decision; what was said first stays.
    pub async fn set_negotiation_outcome(&self, id: &str, outcome: &str) -> Result<(), StoreError> {
        self.run_tx("set_negotiation_outcome", (id.to_owned(), outcome.to_owned()), |db, (id, outcome)| {
            Box::pin(async move {
                let sql = "UPDATE negotiations SET outcome = COALESCE(outcome, $1) WHERE id = $2";
                db.execute(sql, args![outcome, id]).await.map(drop)
            })
        })
        .await
    }
}
