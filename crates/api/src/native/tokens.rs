use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tacit_model::Fingerprint;
use tacit_model::api::{IssuedToken, NewCertificate, NewToken, TokenBody, TokenList};
use tacit_store::TokenRow;

use crate::auth::{IssueError, admit_certificate, issue_scoped_token, scope_of};
use crate::edge::App;
use crate::extract::{JsonBody, PathOf};
use crate::problem::ApiError;

pub(super) async fn issue(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), ApiError> {
    check_label(&new.label)?;
    let token =
        issue_scoped_token(&app.edge.store, new.role, &new.label, new.tasks.as_ref(), app.edge.clock.now()).await?;
    let issued = IssuedToken { id: token.hash().to_string(), role: new.role, token: token.expose_text().to_owned() };
    Ok((StatusCode::CREATED, Json(issued)))
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<TokenList>, ApiError> {
    let tokens = app.edge.store.tokens().await?;
    Ok(Json(TokenList { tokens: tokens.into_iter().map(body).collect() }))
}

pub(super) async fn admit(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewCertificate>,
) -> Result<(StatusCode, Json<TokenBody>), ApiError> {
    check_label(&new.label)?;
    let row = admit_certificate(&app.edge.store, new, app.edge.clock.now()).await?;
    Ok((StatusCode::CREATED, Json(body(row))))
}

fn check_label(label: &str) -> Result<(), ApiError> {
    let printable = !label.chars().any(char::is_control);
    if printable && (1..=120).contains(&label.chars().count()) {
        return Ok(());
    }
    Err(ApiError::invalid("label must have 1 to 120 printable characters"))
}

fn body(row: TokenRow) -> TokenBody {
    // What a newer program wrote here is no limit that this one could tell.
    let scope = scope_of(&row).unwrap_or_default();
    TokenBody {
        id: Fingerprint(row.hash).to_string(),
        role: row.role,
        label: row.label,
        certificate: scope.certificate,
        tasks: scope.tasks,
        created: row.created.to_rfc3339(),
        revoked: row.revoked.map(|at| at.to_rfc3339()),
    }
}

pub(super) async fn revoke(State(app): State<App>, PathOf(id): PathOf<String>) -> Result<StatusCode, ApiError> {
    // An id is a hash: 64 hexadecimal digits, as a fingerprint.
    let hash: Fingerprint = id.parse().map_err(|_| ApiError::not_found("token"))?;
    app.edge.store.revoke_token(hash.0, app.edge.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Store(error) => error.into(),
            IssueError::Pki(error) => Self::internal(&error),
        }
    }
}
