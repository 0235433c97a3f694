//! The page behind an invitation's link, for the person who opens it in a browser: what to do with it.
//!
//! It does not ask whether the code is good, so it tells nobody, and looking at it uses nothing up.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use tacit_model::problem::ProblemKind;

use crate::edge::App;
use crate::extract::PathOf;
use crate::html::{esc, page};
use crate::problem::ApiError;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/join/{code}", get(invitation))
}

async fn invitation(State(app): State<App>, PathOf(code): PathOf<String>) -> Result<Response, ApiError> {
    if !(1..=64).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(ApiError::new(ProblemKind::NotFound, "this is no invitation: a code is letters and digits"));
    }
    app.gateway()?;
    let node = esc(&app.edge.node.name);
    let link = format!("{}/join/{code}", app.edge.options.public_url.trim_end_matches('/'));
    let body = format!(
        "<h1>You are invited</h1>\n\
         <p><b>{node}</b> invites you to a group that computes a common result over data which none of its members \
         shows to another.</p>\n\
         <p>On the machine that has your data, with Tacit installed and a node running (<code>tacit init</code>, \
         <code>tacit serve</code>), type:</p>\n\
         <p><code>tacit join {} --gateway-fingerprint FINGERPRINT --name YOURNAME</code></p>\n\
         <p>Ask the person who invited you for FINGERPRINT, by telephone or face to face. It is not written here, \
         because whoever stands between you and this page could change it.</p>\n\
         <p class=\"faint\">The link works once. Opening this page did not use it up.</p>\n",
        esc(&link)
    );
    Ok(page(StatusCode::OK, "Invitation", &body))
}
