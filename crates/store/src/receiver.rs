//! Receiver: what was posted to it.

use tacit_model::UnixMillis;

use crate::db::{Scalar, ToValue, Value, args, from_row};
use crate::{Store, StoreError};

/// One received row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRow {
    /// In the order of arrival.
    pub id: i64,
    /// Who posted it.
    pub from_ip: String,
    /// The row as posted.
    pub data: String,
    /// When it came.
    pub at: UnixMillis,
}
from_row!(ReceivedRow { id, from_ip, data, at });

/// Rows per statement: at most 800 arguments, well under the limits of both databases, and a short text.
const CHUNK: usize = 200;

impl Store {
    /// Keeps posted rows, all or none; how many were kept: none if the key came before.
    pub async fn receive(
        &self,
        idempotency_key: Option<&str>,
        from_ip: &str,
        rows: &[String],
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        let args = (idempotency_key.map(str::to_owned), from_ip.to_owned(), rows.to_vec(), now);
        self.run_tx("receive", args, |db, (key, from_ip, rows, now)| {
            Box::pin(async move {
                if let Some(key) = key {
                    let sql = "INSERT INTO received_keys (idempotency_key, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                    if db.execute(sql, args![key, now]).await? == 0 {
                        return Ok(0);
                    }
                }
                if rows.is_empty() {
                    return Ok(0);
                }
                let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                let mut id = db.next_numbers("received", count).await? - count;
                let mut kept = 0;
                for chunk in rows.chunks(CHUNK) {
                    let mut values = Vec::with_capacity(4 * chunk.len());
                    for row in chunk {
                        id += 1;
                        values.extend([Value::Int(Some(id)), from_ip.to_value(), row.to_value(), now.to_value()]);
                    }
                    kept += db.insert("INSERT INTO received (id, from_ip, data, at) VALUES ", 4, &values).await?;
                }
                Ok(kept)
            })
        })
        .await
    }

    /// Received rows in the order of arrival: at most `limit`, leaving out the first `offset`; of more than one no more than
    /// so many bytes. Their sizes are looked at first, since a row may be as large as a post.
    pub async fn received(&self, limit: u32, offset: u64, bytes: usize) -> Result<Vec<ReceivedRow>, StoreError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let mut db = self.reader().await?;
        let sql = "SELECT CAST(octet_length(data) AS BIGINT) AS v FROM received ORDER BY id LIMIT $1 OFFSET $2";
        let sizes: Vec<Scalar<u64>> = db.all(sql, args![limit, offset]).await?;
        let mut room = u64::try_from(bytes).unwrap_or(u64::MAX);
        let fits = |Scalar(size): &&Scalar<u64>| {
            let fits = *size <= room;
            room = room.saturating_sub(*size);
            fits
        };
        let count = u32::try_from(sizes.iter().take_while(fits).count()).unwrap_or(limit).max(1);
        db.all("SELECT * FROM received ORDER BY id LIMIT $1 OFFSET $2", args![count.min(limit), offset]).await
    }
}
