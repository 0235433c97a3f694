//! What every request passes, outside in: counters, headers, host, problems, time, panics.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tacit_model::problem::ProblemKind;
use tacit_pki::https::is_this_machine;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::{Instrument as _, error};

use crate::edge::App;
use crate::face_p2ds;
use crate::problem::ApiError;

pub(crate) fn guarded(router: Router, app: &App) -> Router {
    let limit = app.edge.options.request_timeout;
    router
        .layer(from_fn(to_the_end))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), crate::body::bounded))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limit))
        .layer(from_fn(as_problem))
        .layer(from_fn(no_nul))
        .layer(from_fn_with_state(app.clone(), host))
        .layer(from_fn(headers))
        .layer(from_fn(count))
}

/// What changes something is done to its end, also if the caller hangs up or the time is over: half a
/// registration would be worse than an unheard answer.
async fn to_the_end(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) => panicked(Box::new(error)),
    }
}

/// Must never happen; if it does, the caller gets a problem and the others are served on.
fn panicked(_cause: Box<dyn core::any::Any + Send>) -> Response {
    error!("a request handler panicked: a defect of this program");
    ApiError::new(ProblemKind::Internal, "the node's log has the details; please report them").into_response()
}

/// Turns refusals that did not come from our handlers into problems.
async fn as_problem(request: Request, next: Next) -> Response {
    let face = face_p2ds::is_below(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if face {
        let word = if status.is_server_error() { "ERR_SERVER" } else { "ERR_INV_DATA" };
        let ours = kind.starts_with(b"text/");
        return if ours { response } else { (status, word).into_response() };
    }
    if kind == b"application/problem+json" || kind.starts_with(b"text/html") {
        return response;
    }
    let (kind, detail) = match status.as_u16() {
        404 => (ProblemKind::NotFound, "nothing is served at this path"),
        405 => (ProblemKind::MethodNotAllowed, "see /openapi.json"),
        413 => (ProblemKind::TooLarge, "send less at a time"),
        415 => (ProblemKind::UnsupportedMediaType, "send application/json"),
        400..=499 => (ProblemKind::BadRequest, "the request cannot be understood"),
        503 => (ProblemKind::Unavailable, "this took too long; it may still happen"),
        _ => (ProblemKind::Internal, "the node's log has the details"),
    };
    ApiError::new(kind, detail).into_response()
}

/// No name holds a NUL, and no database keeps one in a text.
async fn no_nul(request: Request, next: Next) -> Response {
    if request.uri().path_and_query().is_some_and(|text| text.as_str().contains("%00")) {
        if face_p2ds::is_below(request.uri().path()) {
            return (StatusCode::BAD_REQUEST, "ERR_INV_DATA").into_response();
        }
        return ApiError::new(ProblemKind::BadRequest, "addresses may not hold NUL characters").into_response();
    }
    next.run(request).await
}

/// Refuses requests for other names than loopback's, where plain http is served on loopback: a web
/// page whose name suddenly means 127.0.0.1 must not talk to this node.
async fn host(State(app): State<App>, request: Request, next: Next) -> Response {
    // RFC 9112, section 3.2: which of the two would be meant is anybody's guess.
    if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
        return ApiError::new(ProblemKind::BadRequest, "the request names more than one host").into_response();
    }
    if app.edge.options.loopback_names_only {
        let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let named = named.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
        if named.is_some_and(|named| !is_ours(named, &app.edge.options.public_url)) {
            let detail =
                "this node answers to localhost only; set url in node.toml to its address under the other name";
            return ApiError::new(ProblemKind::Forbidden, detail).into_response();
        }
    }
    next.run(request).await
}

fn is_ours(named: &str, public_url: &str) -> bool {
    let public = public_url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let host = host_of(named);
    is_this_machine(host) || public.is_some_and(|public| host_of(&public).eq_ignore_ascii_case(host))
}

/// The name without port and brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn count(request: Request, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let response_route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let route = response_route.unwrap_or_else(|| "none".to_owned());
    // Methods are a closed set here: a stranger must not fill the memory with new counters.
    let method =
        if ["GET", "POST", "PUT", "DELETE", "HEAD"].contains(&method.as_str()) { method } else { "other".to_owned() };
    let status = response.status().as_u16().to_string();
    ::metrics::counter!("http_requests_total", "method" => method, "route" => route, "status" => status).increment(1);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_and_of_the_public_address() {
        for ours in
            ["localhost", "localhost:7400", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "[::1]", "node.example:7400"]
        {
            assert!(is_ours(ours, "https://node.example:7400"), "{ours}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "10.0.0.1", "[::2]:1", "", "127.0.0.1.evil"] {
            assert!(!is_ours(foreign, "http://127.0.0.1:7400"), "{foreign}");
        }
    }
}
