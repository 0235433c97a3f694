//! Who may: the admin key of the P2DS face, and the tokens of `/api/v1`.

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tacit_accord::log::Kind;
use tacit_model::UnixMillis;
use tacit_model::api::{Role, TaskScope};
use tacit_model::problem::ProblemKind;
use tacit_pki::token::{ApiToken, TokenHash};
use tacit_store::{Store, StoreError};

use crate::edge::App;
use crate::problem::ApiError;

/// The admin key of the P2DS face. Only its hash is kept; comparing takes the same time for every
/// wrong key.
#[derive(Clone)]
pub struct AdminKey([u8; 32]);

impl AdminKey {
    /// The key that the old system fell back to without saying so.
    pub const OLD_DEFAULT: &'static str = "default-admin-key";

    /// A key of these characters.
    pub fn new(text: &str) -> Self {
        Self(hash(text))
    }

    /// A key of which only the SHA-256 is known: 64 hexadecimal digits.
    pub fn from_hash(digits: &str) -> Option<Self> {
        digits.parse::<tacit_model::Fingerprint>().ok().map(|hash| Self(hash.0))
    }

    /// The SHA-256 of the key, for a configuration file.
    pub fn to_hash(&self) -> String {
        tacit_model::Fingerprint(self.0).to_string()
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
    // Lists of texts always have a JSON form.
    let scope = serde_json::to_string(&Scope { tasks: tasks.cloned() }).unwrap_or_default();
    store.put_token(bytes(&token.hash())?, role.word(), label, &scope, now).await?;
    Ok(token)
}

/// What a token is limited to, as the store keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tasks: Option<TaskScope>,
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
pub(crate) fn bytes(hash: &TokenHash) -> Result<[u8; 32], tacit_pki::PkiError> {
    // The hash shows its bytes only as hexadecimal digits, 64 of them, like a fingerprint.
    let text = hash.to_string();
    text.parse::<tacit_model::Fingerprint>().map(|f| f.0).map_err(|_| tacit_pki::PkiError::Token)
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    /// The hash of the token.
    id: [u8; 32],
    /// Tells callers apart: the same as text.
    pub(crate) client: String,
    /// The tasks it may ask for.
    pub(crate) scope: Option<TaskScope>,
}

/// Lets callers pass whose token has at least this role. What is done by an operation with a name here is in the
/// audit log, with the id of the token, before it is answered.
pub(crate) async fn require(
    State((app, role, operation)): State<(App, Role, Option<&'static str>)>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&app, request.headers()).await {
        Ok(caller) if caller.role >= role => {
            request.extensions_mut().insert(caller.clone());
            let response = next.run(request).await;
            match operation.filter(|_| response.status().is_success()) {
                Some(operation) => match log_call(&app, &caller, operation, &params).await {
                    Ok(()) => response,
                    Err(error) => error.into_response(),
                },
                None => response,
            }
        }
        Ok(_) => {
            let detail = format!("this needs a token of role {} or higher", role.word());
            ApiError::new(ProblemKind::Forbidden, detail).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn log_call(app: &App, caller: &Caller, operation: &str, params: &RawPathParams) -> Result<(), ApiError> {
    let id = tacit_model::Fingerprint(caller.id).to_string();
    // A registration code is a secret, used or not; and who knows a negotiation's id may read it.
    const SECRET: [&str; 2] = ["code", "negotiation"];
    let on: Vec<&str> = params.iter().filter(|(name, _)| !SECRET.contains(name)).map(|(_, value)| value).collect();
    let facts = [("action", operation.to_owned()), ("by", format!("token {}", &id[..16])), ("on", on.join(" "))];
    app.edge.log.append(Kind::Action, tacit_audit::facts(facts)).await?;
    Ok(())
}

/// The role of whoever asks, if a good token says one.
pub(crate) async fn role_of(app: &App, headers: &HeaderMap) -> Option<Role> {
    caller(app, headers).await.ok().map(|caller| caller.role)
}

async fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let refused = || {
        let detail = "send Authorization: Bearer with a token; `tacit init` writes the owner's, an owner issues others";
        ApiError::new(ProblemKind::Unauthenticated, detail)
    };
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
    let (scheme, text) = text.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    let token = ApiToken::parse(text.trim()).map_err(|_| refused())?;
    let hash = bytes(&token.hash()).map_err(|_| refused())?;
    // Looked up by hash: what an index lookup may tell about a hash does not help to find its token.
    let row = app.edge.store.token(hash).await?.filter(|row| row.revoked.is_none()).ok_or_else(refused)?;
    let role = row.role.parse().map_err(|_| refused())?;
    // A limit of a newer program is not to be overlooked.
    let scope: Scope = serde_json::from_str(&row.scope_json).map_err(|_| refused())?;
    Ok(Caller { role, id: hash, client: token.hash().to_string(), scope: scope.tasks })
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
