//! What lets callers in: the admin key of the P2DS face, tokens and certificates of `/api/v1`.

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use tacit_gateway::Scope;
use tacit_model::api::{NewCertificate, Role, TaskScope};
use tacit_model::problem::ProblemKind;
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::token::{ApiToken, TokenHash};
use tacit_store::{Store, StoreError, TokenRow};

use crate::problem::ApiError;

/// The admin key of the P2DS face. Only its hash is kept; comparing takes the same time for every
/// wrong key.
#[derive(Clone)]
pub struct AdminKey([u8; 32]);

impl AdminKey {
    /// A key of these characters.
    pub fn new(text: &str) -> Self {
        Self(hash(text))
    }

    /// A key of which only the SHA-256 is known: 64 hexadecimal digits.
    pub fn from_hash(digits: &str) -> Option<Self> {
        digits.parse::<Fingerprint>().ok().map(|hash| Self(hash.0))
    }

    /// The SHA-256 of the key, for a configuration file.
    pub fn to_hash(&self) -> String {
        Fingerprint(self.0).to_string()
    }

    /// Whether this is the key.
    pub fn matches(&self, text: &str) -> bool {
        self.0.ct_eq(&hash(text)).into()
    }
}

/// Compares two secrets in a time that says nothing about them, not even their lengths.
pub(crate) fn same_secret(a: &str, b: &str) -> bool {
    hash(a).ct_eq(&hash(b)).into()
}

pub(crate) fn hash(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

/// Makes a token and keeps its hash. The text is shown to its owner once and kept nowhere.
pub async fn issue_token(store: &Store, role: Role, label: &str, now: UnixMillis) -> Result<ApiToken, IssueError> {
    issue_scoped_token(store, role, label, None, now).await
}

/// The same, limited to certain tasks.
pub(crate) async fn issue_scoped_token(
    store: &Store,
    role: Role,
    label: &str,
    tasks: Option<&TaskScope>,
    now: UnixMillis,
) -> Result<ApiToken, IssueError> {
    let token = ApiToken::generate()?;
    let scope = Scope { tasks: tasks.cloned(), certificate: false }.to_text();
    store.put_token(fingerprint(&token.hash())?.0, role.word(), label, &scope, now).await?;
    Ok(token)
}

/// Lets in whoever holds the key of this certificate. It is kept among the tokens: what a token is by the hash of
/// its text, a certificate is by the hash of its key.
pub(crate) async fn admit_certificate(
    store: &Store,
    new: NewCertificate,
    now: UnixMillis,
) -> Result<TokenRow, ApiError> {
    let scope_json = Scope { tasks: new.tasks, certificate: true }.to_text();
    let (hash, role) = (new.fingerprint.0, new.role.word().to_owned());
    match store.put_token(hash, &role, &new.label, &scope_json, now).await {
        Ok(()) => Ok(TokenRow { hash, role, label: new.label, scope_json, created: now, revoked: None }),
        Err(StoreError::Conflict { .. }) => {
            let why = "this certificate was admitted before; what it may do stays as it is, and a revoked one does not \
                       come back: let its owner make another key";
            Err(ApiError::new(ProblemKind::Conflict, why))
        }
        Err(error) => Err(error.into()),
    }
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The generator.
    #[error(transparent)]
    Pki(#[from] tacit_pki::PkiError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token's hash as the store keeps it.
pub(crate) fn fingerprint(hash: &TokenHash) -> Result<Fingerprint, tacit_pki::PkiError> {
    // The hash shows its bytes only as hexadecimal digits, 64 of them, like a fingerprint.
    hash.to_string().parse().map_err(|_| tacit_pki::PkiError::Token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_matches() {
        let key = AdminKey::new("k1");
        assert!(key.matches("k1"));
        assert!(["", "k", "k1 ", "K1"].iter().all(|wrong| !key.matches(wrong)));
        assert!(same_secret("a", "a") && !same_secret("a", "b") && !same_secret("", "a"));
    }
}
