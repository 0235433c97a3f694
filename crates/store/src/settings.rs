//! Small settings of the node that outlive it, such as the test mode.

use tacit_model::UnixMillis;

use crate::db::{Scalar, args};
use crate::{Store, StoreError};

impl Store {
    /// A setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let found: Option<Scalar<String>> =
            self.reader().await?.optional("SELECT value AS v FROM settings WHERE name = $1", args![name]).await?;
        Ok(found.map(|Scalar(value)| value))
    }

    /// Forgets a setting, if it is there.
    pub async fn clear_setting(&self, name: &str) -> Result<(), StoreError> {
        self.run_tx("clear_setting", name.to_owned(), |db, name| {
            Box::pin(async move {
                db.execute("DELETE FROM settings WHERE name = $1", args![name]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Sets a setting.
    pub async fn set_setting(&self, name: &str, value: &str, now: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("set_setting", (name.to_owned(), value.to_owned(), now), |db, (name, value, now)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO settings (name, value, updated) VALUES ($1, $2, $3)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated = excluded.updated",
                    args![name, value, now],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }
}
