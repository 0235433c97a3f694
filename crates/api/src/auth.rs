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
use tacit_model::api::{NewCertificate, Role, TaskScope, TaskSignature};
use tacit_model::problem::ProblemKind;
use tacit_pki::PublicKey;
use tacit_pki::token::{ApiToken, TokenHash};
use tacit_store::{Store, StoreError, TokenRow};

use crate::edge::App;
use crate::problem::ApiError;
use crate::serve::ShownCertificate;

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
    let scope = Scope { tasks: tasks.cloned(), certificate: false }.to_text();
    store.put_token(bytes(&token.hash())?, role.word(), label, &scope, now).await?;
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

/// What a token or certificate is limited to, as the store keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tasks: Option<TaskScope>,
    /// Whether it is a certificate and no token.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) certificate: bool,
}

impl Scope {
    fn to_text(&self) -> String {
        // Lists of texts always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a row says; nothing if a newer program wrote it, whose limits are not to be overlooked.
pub(crate) fn scope_of(row: &TokenRow) -> Option<Scope> {
    serde_json::from_str(&row.scope_json).ok()
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
    /// The hash of the token, or of the key in the certificate.
    id: [u8; 32],
    certificate: bool,
    /// Tells callers apart: the same as text.
    pub(crate) client: String,
    /// The tasks it may ask for.
    pub(crate) scope: Option<TaskScope>,
}

impl Caller {
    /// What it showed.
    pub(crate) fn kind(&self) -> &'static str {
        if self.certificate { "certificate" } else { "token" }
    }
}

/// Lets callers pass whose token has at least this role. What is done by an operation with a name here is in the
/// audit log, with the id of the token, before it is answered.
pub(crate) async fn require(
    State((app, role, operation)): State<(App, Role, Option<&'static str>)>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&app, request.headers(), request.extensions().get().copied()).await {
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
    let facts =
        [("action", operation.to_owned()), ("by", format!("{} {}", caller.kind(), &id[..16])), ("on", on.join(" "))];
    app.edge.log.append(Kind::Action, tacit_audit::facts(facts)).await?;
    Ok(())
}

/// The role of whoever asks, if a good token says one.
pub(crate) async fn role_of(app: &App, headers: &HeaderMap) -> Option<Role> {
    caller(app, headers, None).await.ok().map(|caller| caller.role)
}

/// Who asks: by the token, if one is sent, else by the certificate.
async fn caller(app: &App, headers: &HeaderMap, shown: Option<ShownCertificate>) -> Result<Caller, ApiError> {
    let refused = || {
        let detail = "send Authorization: Bearer with a token, or show an admitted certificate over https; `tacit init` \
                      writes the owner's token, an owner issues others";
        ApiError::new(ProblemKind::Unauthenticated, detail)
    };
    let text = match (headers.get(header::AUTHORIZATION), shown) {
        (None, Some(ShownCertificate(key))) => return known(app, key.0, true).await?.ok_or_else(refused),
        (text, _) => text.and_then(|value| value.to_str().ok()).ok_or_else(refused)?,
    };
    let (scheme, text) = text.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    let token = ApiToken::parse(text.trim()).map_err(|_| refused())?;
    let hash = bytes(&token.hash()).map_err(|_| refused())?;
    known(app, hash, false).await?.ok_or_else(refused)
}

/// Whom the store knows by this hash, and has not revoked.
async fn known(app: &App, id: [u8; 32], certificate: bool) -> Result<Option<Caller>, ApiError> {
    // Looked up by hash: what an index lookup may tell about a hash does not help to find its token.
    let row = app.edge.store.token(id).await?.filter(|row| row.revoked.is_none());
    Ok(row.and_then(|row| {
        let scope = scope_of(&row).filter(|scope| scope.certificate == certificate)?;
        let client = tacit_model::Fingerprint(id).to_string();
        Some(Caller { role: row.role.parse().ok()?, id, certificate, client, scope: scope.tasks })
    }))
}

/// What a key that signs tasks is limited to, if it is an admitted certificate's; refused if that was revoked.
pub(crate) async fn limits_of_signer(app: &App, signature: &TaskSignature) -> Result<Option<TaskScope>, ApiError> {
    // A key that cannot be read is refused with the signature.
    let Ok(key) = PublicKey::from_base64(&signature.key) else { return Ok(None) };
    let Some(row) = app.edge.store.token(key.fingerprint().0).await? else { return Ok(None) };
    let refused = |why| Err(ApiError::new(ProblemKind::Forbidden, why));
    match scope_of(&row) {
        _ if row.revoked.is_some() => refused("the key that signed this task was revoked; sign with another one"),
        Some(Scope { tasks: None, .. }) if row.role == Role::Viewer.word() => {
            refused("the key that signed this task may not ask for tasks; an owner can admit one that may")
        }
        Some(scope) => Ok(scope.tasks),
        None => refused("the key that signed this task has limits that this program cannot read; update it"),
    }
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
