use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tacit_gateway::{Scope, check_limits};
use tacit_model::Fingerprint;
use tacit_model::api::{IssuedToken, NewCertificate, NewToken, Role, TaskScope, TokenBody, TokenList};
use tacit_store::TokenRow;

use crate::auth::{IssueError, admit_certificate, issue_scoped_token};
use crate::caller::Did;
use crate::edge::App;
use crate::extract::{JsonBody, PathOf};
use crate::problem::ApiError;

pub(super) async fn issue(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Extension<Did>, Json<IssuedToken>), ApiError> {
    check(&app, &new.label, new.role, new.tasks.as_ref()).await?;
    let token =
        issue_scoped_token(&app.edge.store, new.role, &new.label, new.tasks.as_ref(), app.edge.clock.now()).await?;
    let issued = IssuedToken { id: token.hash().to_string(), role: new.role, token: token.expose_text().to_owned() };
    let did = Did { on: issued.id.clone(), role: issued.role };
    Ok((StatusCode::CREATED, Extension(did), Json(issued)))
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<TokenList>, ApiError> {
    let tokens = app.edge.store.tokens().await?;
    Ok(Json(TokenList { tokens: tokens.into_iter().map(body).collect() }))
}

pub(super) async fn admit(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewCertificate>,
) -> Result<(StatusCode, Extension<Did>, Json<TokenBody>), ApiError> {
    check(&app, &new.label, new.role, new.tasks.as_ref()).await?;
    let did = Did { on: new.fingerprint.to_string(), role: new.role };
    let row = admit_certificate(&app.edge.store, new, app.edge.clock.now()).await?;
    Ok((StatusCode::CREATED, Extension(did), Json(body(row))))
}

async fn check(app: &App, label: &str, role: Role, limits: Option<&TaskScope>) -> Result<(), ApiError> {
    if role == Role::Owner && limits.is_some_and(|limits| *limits != TaskScope::default()) {
        let detail = "an owner has no limits: it could issue itself a token without; limit an operator or a viewer";
        return Err(ApiError::invalid(detail));
    }
    if let Some(limits) = limits {
        check_limits(limits).map_err(ApiError::invalid)?;
        // One that comes later has a number that nobody knows yet: it would be in reach of whoever was meant for another.
        for group in &limits.groups {
            if app.edge.store.group(*group).await?.is_none() {
                return Err(ApiError::invalid(format!("groups: there is no group {group} at this node")));
            }
        }
    }
    let printable = !label.chars().any(char::is_control);
    if printable && (1..=120).contains(&label.chars().count()) {
        return Ok(());
    }
    Err(ApiError::invalid("label must have 1 to 120 printable characters"))
}

fn body(row: TokenRow) -> TokenBody {
    // What a newer program wrote here is no limit that this one could tell.
    let scope = Scope::of(&row).unwrap_or_default();
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
    // What it began ends with it, and so does what it still listens to.
    if let Some(gateway) = &app.edge.gateway {
        gateway.end_tasks_of(hash).await?;
    }
    app.revocations.send_replace(());
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
