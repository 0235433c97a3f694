use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use tacit_model::api::NodeBody;
use tacit_model::problem::ProblemKind;

use crate::edge::App;
use crate::problem::ApiError;

pub(super) async fn get(State(app): State<App>) -> Json<NodeBody> {
    let edge = &app.edge;
    Json(NodeBody {
        name: edge.node.name.clone(),
        software: edge.node.version.clone(),
        fingerprint: edge.node.fingerprint,
        roles: edge.node.roles.clone(),
        link_address: edge.node.link_address.clone(),
        public_url: edge.options.public_url.clone(),
        now: edge.clock.now().to_rfc3339(),
    })
}

/// What this gateway announces; anybody may read it.
pub(super) async fn announcement(State(app): State<App>) -> Result<Json<BTreeMap<String, String>>, ApiError> {
    let announced = app.edge.node.announcement.as_ref().and_then(|announce| announce.0());
    announced.map(Json).ok_or_else(|| ApiError::new(ProblemKind::NotFound, "this node announces no gateway"))
}
