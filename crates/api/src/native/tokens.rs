use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tacit_model::Fingerprint;
use tacit_model::api::{IssuedToken, NewToken, TokenBody, TokenList};

use crate::auth::{IssueError, issue_scoped_token};
use crate::edge::App;
use crate::extract::{JsonBody, PathOf};
use crate::problem::ApiError;

pub(super) async fn issue(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), ApiError> {
    let printable = !new.label.chars().any(char::is_control);
    if !printable || !(1..=120).contains(&new.label.chars().count()) {
        return Err(ApiError::invalid("label must have 1 to 120 printable characters"));
    }
    let token =
        issue_scoped_token(&app.edge.store, new.role, &new.label, new.tasks.as_ref(), app.edge.clock.now()).await?;
    let issued = IssuedToken { id: token.hash().to_string(), role: new.role, token: token.expose_text().to_owned() };
    Ok((StatusCode::CREATED, Json(issued)))
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<TokenList>, ApiError> {
    let tokens = app.edge.store.tokens().await?;
    let tokens = tokens
        .into_iter()
        .map(|row| TokenBody {
            id: Fingerprint(row.hash).to_string(),
            role: row.role,
            label: row.label,
            created: row.created.to_rfc3339(),
            revoked: row.revoked.map(|at| at.to_rfc3339()),
        })
        .collect();
    Ok(Json(TokenList { tokens }))
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
