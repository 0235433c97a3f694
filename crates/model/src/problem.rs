//! Errors at the HTTP edge: RFC 9457 problem details with a closed list of types.

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong; each has one HTTP status and one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The request cannot be understood.
    BadRequest,
    /// No token or certificate, or one that is unknown.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// A policy, a charter or a check said no.
    Refused,
    /// There is no such thing.
    NotFound,
    /// The method does not exist on this path.
    MethodNotAllowed,
    /// It clashes with what is there.
    Conflict,
    /// The body is above the limit.
    TooLarge,
    /// The media type is not one that is read here.
    UnsupportedMediaType,
    /// A value is outside what is allowed.
    Invalid,
    /// Too many rows or requests; try again later.
    TooMany,
    /// The node is starting or stopping, or a peer it needs cannot be reached.
    Unavailable,
    /// A defect of this program.
    Internal,
}

impl ProblemKind {
    /// The HTTP status code.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden | Self::Refused => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooMany => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    /// A short sentence for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be understood",
            Self::Unauthenticated => "No valid token was given",
            Self::Forbidden => "This token may not do that",
            Self::Refused => "Refused",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "This path does not take that method",
            Self::Conflict => "It clashes with what is already there",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMediaType => "This media type is not read here",
            Self::Invalid => "A value is outside what is allowed",
            Self::TooMany => "Too many; try again later",
            Self::Unavailable => "Not available right now",
            Self::Internal => "A defect of this program",
        }
    }
}

/// The body of every error answer (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:tacit:problem:<kind>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// Which of the closed list.
    pub kind: ProblemKind,
    /// A short sentence, the same for every problem of this kind.
    pub title: String,
    /// The HTTP status code, repeated.
    pub status: u16,
    /// What happened this time and what to do next. Never holds data or secrets.
    pub detail: String,
}

impl Problem {
    /// A problem with its explanation.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let word = serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        Self {
            type_uri: format!("urn:tacit:problem:{word}"),
            kind,
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
        }
    }
}
