//! The P2DS face: the paths, words and number notations of CyberCAPTOR P2DS 4.4.3, so that its
//! scripts work unchanged.
//!
//! What differs on purpose: nobody's mistake is answered by a 5xx; results, inputs and keys are never
//! sent back to where they do not belong; peers talk over links, so `/message` is refused; pages ask
//! for the admin key. Beside the bare word of the old system a refusal carries a header
//! `tacit-detail` that says what to do.

mod manager;
mod page;
mod peer;
mod receiver;
pub(crate) mod session;
mod words;

use axum::Router;
use axum::routing::MethodRouter;

use crate::edge::App;

const MANAGER: &str = "/p2ds-group-management";
const PEER: &str = "/p2ds-peer";
const RECEIVER: &str = "/p2ds-receiver";

/// Whether a path belongs to this face.
pub(crate) fn is_below(path: &str) -> bool {
    [MANAGER, PEER, RECEIVER]
        .iter()
        .any(|base| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// The routes of the services that this node offers.
pub(crate) fn routes(app: &App) -> Router<App> {
    let mut router = Router::new();
    if app.edge.gateway.is_some() {
        router = router.merge(manager::routes()).merge(page::routes());
    }
    if app.edge.parties.is_some() {
        router = router.merge(peer::routes());
    }
    if app.edge.receiver {
        router = router.merge(receiver::routes());
    }
    router
}

/// Serves a path with and without a slash at its end; the old manager called both.
fn both(router: Router<App>, path: &str, methods: MethodRouter<App>) -> Router<App> {
    router.route(path, methods.clone()).route(&format!("{path}/"), methods)
}
