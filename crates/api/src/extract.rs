//! Reading requests: refusals are problems of the list and never repeat what was sent.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tacit_model::problem::ProblemKind;

use crate::problem::ApiError;

/// A body of type `application/json`.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let detail = "send the body as Content-Type: application/json";
            return Err(ApiError::new(ProblemKind::UnsupportedMediaType, detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(body_refused)?;
        read_json(&bytes).map(Self)
    }
}

/// Whether the body is said to be JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json"
}

/// Reads JSON. What is wrong is told by its place; of the content only the names of missing fields.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // No database keeps a NUL in a text, and no name needs one.
    if bytes.windows(6).any(|six| six == b"\\u0000") {
        return Err(ApiError::new(ProblemKind::BadRequest, "texts may not hold NUL characters"));
    }
    // All bodies are objects. A reader would also take a list as one whose fields come in order.
    if bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|first| *first != b'{') {
        return Err(ApiError::new(ProblemKind::BadRequest, "the body must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let detail = match error.classify() {
            serde_json::error::Category::Data => match missing_field(&error.to_string()) {
                Some(name) => format!("the field {name} is missing ({place})"),
                None => format!("a field is unknown, doubled or of the wrong type at {place}"),
            },
            _ => format!("the body is no JSON at {place}"),
        };
        ApiError::new(ProblemKind::BadRequest, detail)
    })
}

fn missing_field(message: &str) -> Option<&str> {
    let name = message.strip_prefix("missing field `")?.split('`').next()?;
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_').then_some(name)
}

pub(crate) fn body_refused(rejection: BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "send less at a time; the limit is in node.toml, and lower for what needs no token";
            ApiError::new(ProblemKind::TooLarge, detail)
        }
        _ => ApiError::new(ProblemKind::BadRequest, "the body did not arrive in whole"),
    }
}

/// The variable parts of a path.
pub(crate) struct PathOf<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(ApiError::new(
                ProblemKind::NotFound,
                "a number in the path is not a number, or a name is not UTF-8",
            )),
        }
    }
}

/// The query of an address: each name once, the last one counts.
#[derive(Default)]
pub(crate) struct Args(BTreeMap<String, String>);

impl Args {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text of an argument, empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A truth as the old system read it: everything but `true` is false.
    pub(crate) fn truth(&self, name: &str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| ApiError::new(ProblemKind::BadRequest, format!("{name} must be a number")))
        };
        self.get(name).map(parse).transpose()
    }

    /// How long a list may be: `max`, from 1 to `limit`; `limit` without it or below 0.
    pub(crate) fn at_most(&self, limit: u32) -> Result<u32, ApiError> {
        Ok(self.number("max")?.and_then(|max| u32::try_from(max).ok()).unwrap_or(limit).clamp(1, limit))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Args {
    type Rejection = core::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        // A list of pairs, because a name that comes twice would be an error for a map.
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        Ok(pairs.map(|Query(pairs)| Self(pairs.into_iter().collect())).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use tacit_model::api::{NewGroup, RowsBody};

    use super::*;

    #[test]
    fn an_error_tells_the_place_and_never_the_value() {
        let error = |text: &str| {
            read_json::<RowsBody>(text.as_bytes()).err().map(|e| e.detail().to_owned()).unwrap_or_default()
        };
        assert!(error("{").contains("no JSON at line 1"));
        for text in [r#"{"rows":[{"values":["4711x"]}]}"#, r#"{"rows":"4711"}"#, r#"{"rows":[],"4711":1}"#] {
            let told = error(text);
            assert!(told.contains("line 1, column") && !told.contains("4711"), "{told}");
        }
        let missing = read_json::<NewGroup>(b"{}").err().map(|e| e.detail().to_owned()).unwrap_or_default();
        assert!(missing.contains("name is missing"), "{missing}");
    }
}
