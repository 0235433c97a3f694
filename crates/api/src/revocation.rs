//! Answers that go on for long end when what their caller showed is revoked.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use tacit_gateway::{Denied, client_of};
use tacit_model::problem::{Problem, ProblemKind};

use crate::caller::Caller;
use crate::edge::App;

/// Another node over the same rows revokes, too: so often it is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// What the caller hears.
const WHY: &str = "what this was asked with was revoked; an owner can issue a token, or admit another certificate";

/// The answer until its caller may not have it any more. A stream of events ends with one of the type `refused` that
/// holds a problem, any other answer breaks off.
pub(crate) fn until_revoked(app: App, caller: Caller, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let events = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let (parts, body) = response.into_parts();
    let state = Some((body.into_data_stream(), Box::pin(revoked(app, caller))));
    let pieces = stream::unfold(state, move |state| async move {
        let (mut body, mut gone) = state?;
        tokio::select! {
            // The end of an own task is told before the end of the stream.
            biased;
            piece = body.next() => Some((piece?, Some((body, gone)))),
            () = &mut gone => Some((last_word(events), None)),
        }
    });
    (parts, Body::from_stream(pieces)).into_response()
}

fn last_word(events: bool) -> Result<Bytes, axum::Error> {
    let problem = Problem::new(ProblemKind::Unauthenticated, WHY);
    match serde_json::to_string(&problem) {
        Ok(problem) if events => Ok(format!("event: refused\ndata: {problem}\n\n").into()),
        _ => Err(axum::Error::new(WHY)),
    }
}

async fn revoked(app: App, caller: Caller) {
    let mut news = app.revocations.subscribe();
    // A database that does not answer revokes nothing.
    while !matches!(client_of(&app.edge.store, caller.shown()).await, Err(Denied::Revoked(_) | Denied::Unknown(_))) {
        let _rung = tokio::time::timeout(LOOK, news.changed()).await;
    }
}
