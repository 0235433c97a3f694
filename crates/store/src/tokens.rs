//! Tokens of API clients: only their hashes.

use tacit_model::UnixMillis;

use crate::db::{args, from_row};
use crate::{Store, StoreError, What};

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The hash of the token.
    pub hash: [u8; 32],
    /// The role it gives, a word of the caller's.
    pub role: String,
    /// A name for people.
    pub label: String,
    /// What it is limited to, JSON in the caller's form.
    pub scope_json: String,
    /// When it was issued.
    pub created: UnixMillis,
    /// When it was revoked.
    pub revoked: Option<UnixMillis>,
}
from_row!(TokenRow { hash, role, label, scope_json, created, revoked });

impl Store {
    /// Keeps a token. `Conflict(Token)` if it is known.
    pub async fn put_token(
        &self,
        hash: [u8; 32],
        role: &str,
        label: &str,
        scope_json: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (hash, role.to_owned(), label.to_owned(), scope_json.to_owned(), now);
        self.run_tx("put_token", args, |db, (hash, role, label, scope, now)| {
            Box::pin(async move {
                let sql = "INSERT INTO tokens (hash, role, label, scope_json, created) VALUES ($1, $2, $3, $4, $5)
                           ON CONFLICT (hash) DO NOTHING";
                match db.execute(sql, args![hash, role, label, scope, now]).await? {
                    0 => Err(What::Token.into()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// One token, revoked or not.
    pub async fn token(&self, hash: [u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        self.reader().await?.optional("SELECT * FROM tokens WHERE hash = $1", args![hash]).await
    }

    /// All tokens, oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM tokens ORDER BY created, hash", &[]).await
    }

    /// Revokes a token. Saying it again changes nothing.
    pub async fn revoke_token(&self, hash: [u8; 32], now: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("revoke_token", (hash, now), |db, (hash, now)| {
            Box::pin(async move {
                let sql = "UPDATE tokens SET revoked = COALESCE(revoked, $1) WHERE hash = $2";
                match db.execute(sql, args![now, hash]).await? {
                    0 => Err(StoreError::NotFound { what: "token" }),
                    _ => Ok(()),
                }
            })
        })
        .await
    }
}
