//! Leases: of several replicas on one database, one does a piece of work, and a late one is fenced off.

use tacit_model::UnixMillis;

use crate::db::{args, from_row};
use crate::{Store, StoreError, What};

/// A lease somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The work.
    pub name: String,
    /// Who does it.
    pub holder: String,
    /// Grows with every change of holder: whoever brings a smaller one is late.
    pub fence: i64,
    /// When somebody else may take it.
    pub expires: UnixMillis,
}
from_row!(Lease { name, holder, fence, expires });

impl Store {
    /// Takes or renews a lease for `millis`. `Conflict(Lease)` while somebody else holds it.
    pub async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        now: UnixMillis,
        millis: i64,
    ) -> Result<Lease, StoreError> {
        let args = (name.to_owned(), holder.to_owned(), now, now.plus(millis));
        self.run_tx("take_lease", args, |db, (name, holder, now, expires)| {
            Box::pin(async move {
                db.optional(
                    "INSERT INTO leases (name, holder, fence, expires) VALUES ($1, $2, 1, $3)
                     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires,
                         fence = leases.fence + CASE WHEN leases.holder = excluded.holder
                                                     AND leases.expires > $4 THEN 0 ELSE 1 END
                     WHERE leases.holder = excluded.holder OR leases.expires <= $4 RETURNING *",
                    args![name, holder, expires, now],
                )
                .await?
                .ok_or_else(|| What::Lease.into())
            })
        })
        .await
    }

    /// Gives a lease back. `Conflict(Lease)` if it is not held under this fence any more.
    pub async fn release_lease(&self, lease: &Lease, now: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("release_lease", (lease.clone(), now), |db, (lease, now)| {
            Box::pin(async move {
                let sql = "UPDATE leases SET expires = $1 WHERE name = $2 AND holder = $3 AND fence = $4";
                match db.execute(sql, args![now, lease.name, lease.holder, lease.fence]).await? {
                    0 => Err(What::Lease.into()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }
}
