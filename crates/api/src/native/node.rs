use axum::Json;
use axum::extract::State;
use tacit_model::api::NodeBody;

use crate::edge::App;

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
