//! What the face says and reads: words, numbers that may be texts, bodies of any media type.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tacit_gateway::GatewayError;
use tacit_model::api::PeerInfo;
use tacit_model::problem::ProblemKind;

use crate::desk::DeskError;
use crate::edge::{App, Shared};
use crate::extract::Args;
use crate::problem::ApiError;

/// Everything went well (group management).
pub(super) const ERR_SUCCESS: &str = "ERR_SUCCESS";
/// Everything went well (peer).
pub(super) const SUCCESS: &str = "SUCCESS";
/// The service is there.
pub(super) const OK: &str = "OK";

/// A refusal: a status, a word, and what to do about it.
#[derive(Debug)]
pub(super) struct FaceError {
    status: StatusCode,
    word: &'static str,
    detail: String,
    retry_after: Option<u64>,
}

/// What a handler of the face answers.
pub(super) type Answer<T> = Result<T, FaceError>;

macro_rules! refusals {
    ($($name:ident = $status:ident $word:literal;)*) => {
        impl FaceError {$(
            pub(super) fn $name(detail: impl Into<String>) -> Self {
                Self { status: StatusCode::$status, word: $word, detail: detail.into(), retry_after: None }
            }
        )*}
    };
}
refusals! {
    admin_key = FORBIDDEN "ERR_INV_ADMIN_KEY";
    reg_code = BAD_REQUEST "ERR_INV_REG_CODE";
    cert = BAD_REQUEST "ERR_INV_CERT";
    data = BAD_REQUEST "ERR_INV_DATA";
    running = BAD_REQUEST "ERR_RUNNING";
    not_running = BAD_REQUEST "ERR_NOT_RUNNING";
    not_found = NOT_FOUND "ERR_NOT_FOUND";
    no_group = NOT_FOUND "ERR_NO_GROUP";
    no_group_config = NOT_FOUND "ERR_NO_GROUP_CONFIG";
    no_peer = NOT_FOUND "ERR_NO_PEER";
}

impl FaceError {
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn detail(&self) -> &str {
        if self.detail.is_empty() { self.word } else { &self.detail }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// A refusal of somebody below, where "not found" has the given meaning.
    pub(super) fn from_below(error: impl Into<ApiError>, missing: fn(String) -> Self) -> Self {
        let error: ApiError = error.into();
        let detail = error.detail().to_owned();
        match error.kind() {
            ProblemKind::NotFound => missing(detail),
            ProblemKind::Conflict => Self::data(detail).with_status(StatusCode::CONFLICT),
            ProblemKind::TooLarge => Self::data(detail).with_status(StatusCode::PAYLOAD_TOO_LARGE),
            ProblemKind::Refused | ProblemKind::Forbidden => Self::data(detail).with_status(StatusCode::FORBIDDEN),
            ProblemKind::TooMany => Self {
                retry_after: error.retry_after(),
                ..Self::data(detail).with_status(StatusCode::TOO_MANY_REQUESTS)
            },
            // Not the caller's mistake: the node itself cannot go on.
            ProblemKind::Internal => Self::server(detail, StatusCode::INTERNAL_SERVER_ERROR, None),
            ProblemKind::Unavailable if error.retry_after().is_some() => {
                Self::server(detail, StatusCode::SERVICE_UNAVAILABLE, error.retry_after())
            }
            _ => Self::data(detail),
        }
    }

    fn server(detail: String, status: StatusCode, retry_after: Option<u64>) -> Self {
        Self { status, word: "ERR_SERVER", detail, retry_after }
    }
}

/// A refusal of the gateway about a group.
pub(super) fn group_error(error: GatewayError) -> FaceError {
    FaceError::from_below(error, FaceError::no_group)
}

/// A refusal of the gateway about a member.
pub(super) fn peer_error(error: GatewayError) -> FaceError {
    FaceError::from_below(error, FaceError::no_peer)
}

impl From<DeskError> for FaceError {
    fn from(error: DeskError) -> Self {
        let detail = error.to_string();
        match error {
            DeskError::NotFound => Self::no_peer(detail),
            DeskError::Running => Self::running(detail),
            DeskError::NotRunning => Self::not_running(detail),
            DeskError::Code => Self::reg_code(detail),
            // Not verified, no configuration, a gateway that does not answer: the old system said 500.
            DeskError::Refused(_) | DeskError::Unreachable(_) => Self::data(detail),
            other => Self::from_below(other, Self::no_peer),
        }
    }
}

impl IntoResponse for FaceError {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.word).into_response();
        let visible: String = self.detail.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        if let Ok(value) = HeaderValue::from_str(&visible)
            && !visible.is_empty()
        {
            response.headers_mut().insert("tacit-detail", value);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl Shared {
    /// Lets a call pass that knows the admin key.
    pub(super) fn admin(&self, args: &Args) -> Answer<()> {
        self.is_admin_key(args.text("adminKey"))
            .then_some(())
            .ok_or_else(|| FaceError::admin_key("wrong or no adminKey"))
    }

    pub(super) fn is_admin_key(&self, text: &str) -> bool {
        self.edge.options.admin_key.as_ref().is_some_and(|key| key.matches(text))
    }
}

/// Somebody who knows the admin key; others are refused before their body is read.
pub(super) struct Admin;

impl FromRequestParts<App> for Admin {
    type Rejection = FaceError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        let Ok(args) = Args::from_request_parts(parts, app).await;
        app.admin(&args).map(|()| Self)
    }
}

/// A body of any media type: the old clients were not strict about it.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = FaceError;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let refused = |rejection: BytesRejection| {
            FaceError::from_below(crate::extract::body_refused(rejection), FaceError::not_found)
        };
        Bytes::from_request(request, state).await.map(Self).map_err(refused)
    }
}

impl Body {
    /// Reads JSON; a missing body is invalid data, too.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Answer<T> {
        crate::extract::read_json(&self.0).map_err(|e| FaceError::data(e.detail()))
    }

    /// Reads text.
    pub(super) fn text(&self) -> Answer<&str> {
        core::str::from_utf8(&self.0).map_err(|_| FaceError::data("the body is not UTF-8"))
    }
}

/// A name or number in the path.
pub(super) struct PathText(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = FaceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| FaceError::not_found("the path is not UTF-8"))
    }
}

impl PathText {
    /// The number of a group; `missing` is said where it is none, as of an unknown group.
    pub(super) fn group(&self, missing: fn(String) -> FaceError) -> Answer<tacit_model::GroupId> {
        self.0.parse().map(tacit_model::GroupId).map_err(|_| missing("there is no such group".to_owned()))
    }
}

/// A number or a text, as the old system took both for its numbers.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    /// A JSON number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
}

impl Scalar {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }

    pub(super) fn integer<T: core::str::FromStr>(&self, name: &str) -> Answer<T> {
        self.text().parse().map_err(|_| FaceError::data(format!("{name} must be a number in its range")))
    }
}

/// One row or several; the old notation writes a list of one without brackets.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// Several.
    Many(Vec<String>),
    /// One.
    One(String),
}

impl OneOrMany {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::Many(texts) => texts,
            Self::One(text) => vec![text],
        }
    }
}

/// A member in the notation with natural numbers.
pub(super) fn natural(info: &PeerInfo) -> Value {
    json!(info)
}
