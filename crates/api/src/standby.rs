//! One of several gateways: serves its edge while it leads, and says who does while it does not.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use tacit_model::Fingerprint;
use tacit_model::leading;
use tacit_model::problem::ProblemKind;
use tower::ServiceExt as _;

use crate::problem::ApiError;
use crate::{face_p2ds, guard};

/// The gateway that leads, for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadingGateway {
    /// Base URL of its edge.
    pub url: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
}

/// What a gateway serves right now. Clones share it.
#[derive(Clone, Default)]
pub struct Standby(Arc<RwLock<Now>>);

enum Now {
    Leading(Router),
    Following(Option<LeadingGateway>),
}

impl Default for Now {
    fn default() -> Self {
        Self::Following(None)
    }
}

impl Standby {
    /// From now on this edge is served: that of [`router`](crate::router).
    pub fn lead(&self, edge: Router) {
        self.set(Now::Leading(edge));
    }

    /// From now on every request is answered by 503 and, where it is known, the address of the gateway that leads.
    /// What was begun before comes to its end.
    pub fn follow(&self, leading: Option<LeadingGateway>) {
        self.set(Now::Following(leading));
    }

    /// For [`serve`](crate::serve).
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    fn set(&self, now: Now) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

async fn answer(State(standby): State<Standby>, request: Request) -> Response {
    let edge = match &*standby.0.read().unwrap_or_else(PoisonError::into_inner) {
        Now::Leading(edge) => Ok(edge.clone()),
        Now::Following(leading) => Err(leading.clone()),
    };
    let edge = edge.unwrap_or_else(|leading| {
        Router::new().fallback(move |request| following(request, leading)).layer(from_fn(guard::headers))
    });
    match edge.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn following(request: Request, leader: Option<LeadingGateway>) -> Response {
    let path = request.uri().path();
    if path == "/healthz" {
        return "ok\n".into_response();
    }
    let mut response = if face_p2ds::is_below(path) {
        (StatusCode::SERVICE_UNAVAILABLE, "ERR_SERVER").into_response()
    } else {
        let detail = match &leader {
            Some(leader) => format!("another gateway leads, at {}: ask there", leader.url),
            None => "no gateway leads right now: ask again, or ask another one".to_owned(),
        };
        ApiError::new(ProblemKind::Unavailable, detail).after(1).into_response()
    };
    let named = leader.map(|leader| leading::text(&leader.url, &leader.fingerprint));
    let named = named.and_then(|named| HeaderValue::from_str(&named).ok());
    response.headers_mut().insert(leading::HEADER, named.unwrap_or(HeaderValue::from_static("")));
    response
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use tacit_model::problem::Problem;

    use super::*;

    async fn ask(standby: &Standby, path: &str) -> (u16, HeaderValue, Vec<u8>) {
        let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
        let response = standby.router().oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        let leading = response.headers().get(leading::HEADER).cloned();
        let body = to_bytes(response.into_body(), 1 << 16).await.expect("a body");
        (status, leading.unwrap_or(HeaderValue::from_static("")), body.to_vec())
    }

    #[tokio::test]
    async fn w1_only_the_leading_gateway_serves_and_the_others_name_it() {
        let standby = Standby::default();
        assert_eq!(ask(&standby, "/api/v1/node").await.0, 503);
        assert_eq!(ask(&standby, "/healthz").await.0, 200);
        standby.lead(Router::new().route("/api/v1/node", get(|| async { "served" })));
        assert_eq!(ask(&standby, "/api/v1/node").await, (200, HeaderValue::from_static(""), b"served".to_vec()));
        let fingerprint = Fingerprint([7; 32]);
        standby.follow(Some(LeadingGateway { url: "https://b.example:7400".to_owned(), fingerprint }));
        let (status, leading, body) = ask(&standby, "/api/v1/node").await;
        assert_eq!((status, leading.as_bytes()), (503, format!("https://b.example:7400 {fingerprint}").as_bytes()));
        let problem: Problem = serde_json::from_slice(&body).expect("a problem");
        assert!(problem.detail.contains("https://b.example:7400"), "{problem:?}");
        let (status, _, word) = ask(&standby, "/p2ds-group-management/group-mgmt/groups").await;
        assert_eq!((status, &word[..]), (503, &b"ERR_SERVER"[..]));
    }
}
