//! The router of an edge: every path that it serves, behind its guards.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tacit_model::problem::ProblemKind;
use tokio::sync::watch;

use crate::edge::{App, Edge, Shared};
use crate::face_p2ds::session::Sessions;
use crate::problem::ApiError;
use crate::{face_p2ds, guard, html, invitation, native, status};

/// The router of an edge, with all its guards.
pub fn router(edge: Edge) -> Router {
    let sessions = Sessions::default();
    let (openapi, revocations) = (crate::openapi_document(), watch::Sender::new(()));
    let app: App = Arc::new(Shared { edge, sessions, openapi, revocations });
    let mut router = native::operations(&app).into_router().merge(status::routes()).merge(invitation::routes());
    if app.edge.options.p2ds_face {
        router = router.merge(face_p2ds::routes(&app));
    }
    let router = router
        .route(html::STYLE_PATH, get(html::style))
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(app.edge.options.body_limit))
        .with_state(app.clone());
    guard::guarded(router, &app)
}

async fn nothing_there(OriginalUri(uri): OriginalUri) -> Response {
    if face_p2ds::is_below(uri.path()) {
        return (StatusCode::NOT_FOUND, "ERR_NOT_FOUND").into_response();
    }
    ApiError::new(ProblemKind::NotFound, "nothing is served at this path; see /openapi.json").into_response()
}

async fn wrong_method(OriginalUri(uri): OriginalUri) -> Response {
    if face_p2ds::is_below(uri.path()) {
        return (StatusCode::METHOD_NOT_ALLOWED, "ERR_NOT_FOUND").into_response();
    }
    ApiError::new(ProblemKind::MethodNotAllowed, "see /openapi.json for the methods of this path").into_response()
}
