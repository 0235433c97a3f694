//! Errors of `/api/v1`: every one is a problem of the closed list.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tacit_audit::AuditError;
use tacit_gateway::{GatewayError, NotAllowed};
use tacit_model::BadName;
use tacit_model::problem::{Problem, ProblemKind};
use tacit_store::StoreError;
use tracing::{error, warn};

use crate::desk::DeskError;

/// Why a request was not done. Nothing changed.
#[derive(Debug)]
pub(crate) struct ApiError {
    problem: Problem,
    retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(kind, detail), retry_after: None }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("there is no such {what}"))
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Invalid, detail)
    }

    /// The defect goes to the node's log, not to the caller.
    pub(crate) fn internal(what: &dyn core::fmt::Display) -> Self {
        error!(%what, "internal error");
        Self::new(ProblemKind::Internal, "the node's log has the details; please report them")
    }

    /// It may be tried again after so many seconds.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(crate) fn kind(&self) -> ProblemKind {
        self.problem.kind
    }

    pub(crate) fn detail(&self) -> &str {
        &self.problem.detail
    }

    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.problem.kind == ProblemKind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<BadName> for ApiError {
    fn from(error: BadName) -> Self {
        Self::invalid(format!("name: {error}"))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what } => Self::not_found(what),
            StoreError::Conflict { what } => Self::new(ProblemKind::Conflict, what.to_string()),
            StoreError::Busy | StoreError::Unavailable { .. } => {
                warn!(%error, "the database did not answer");
                Self {
                    retry_after: Some(5),
                    ..Self::new(ProblemKind::Unavailable, "the database does not answer right now; try again")
                }
            }
            StoreError::TooLarge => Self::new(ProblemKind::TooLarge, error.to_string()),
            StoreError::Replicas { .. } => Self::new(ProblemKind::Unavailable, error.to_string()).after(1),
            other => Self::internal(&other),
        }
    }
}

impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::NotFound(what) => Self::not_found(what),
            GatewayError::Conflict(why) => Self::new(ProblemKind::Conflict, why),
            GatewayError::Invalid(why) => Self::new(ProblemKind::Invalid, why),
            GatewayError::Forbidden(why) => Self::new(ProblemKind::Forbidden, why),
            GatewayError::Refused(why) => Self::new(ProblemKind::Refused, why),
            GatewayError::TooMany { why, retry_after } => Self::new(ProblemKind::TooMany, why).after(retry_after),
            GatewayError::Unavailable(why) => Self::new(ProblemKind::Unavailable, why),
            GatewayError::Store(error) => error.into(),
            other => Self::internal(&other),
        }
    }
}

impl From<NotAllowed> for ApiError {
    fn from(why: NotAllowed) -> Self {
        Self::new(ProblemKind::Forbidden, why.to_string())
    }
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::Proof(error) => Self::new(ProblemKind::Invalid, error.to_string()),
            AuditError::Closed => Self::new(ProblemKind::Unavailable, error.to_string()),
            other => Self::internal(&other),
        }
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        let detail = error.to_string();
        let kind = match error {
            DeskError::NotFound | DeskError::NotAsked => ProblemKind::NotFound,
            DeskError::Running | DeskError::NotRunning | DeskError::Conflict(_) => ProblemKind::Conflict,
            DeskError::Invalid(_) => ProblemKind::Invalid,
            DeskError::Refused(_) | DeskError::Code => ProblemKind::Refused,
            DeskError::TooMany { retry_after } => {
                return Self { retry_after: Some(retry_after), ..Self::new(ProblemKind::TooMany, detail) };
            }
            DeskError::Unreachable(_) => ProblemKind::Unavailable,
            DeskError::Internal(what) => return Self::internal(&what),
        };
        Self::new(kind, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trying again would not help, so it is not the server's fault to be unavailable.
    #[test]
    fn w1_a_write_too_large_for_the_replicas_is_the_callers_to_shorten() {
        let ways: [ApiError; 3] = [
            StoreError::TooLarge.into(),
            GatewayError::from(StoreError::TooLarge).into(),
            AuditError::Store(StoreError::TooLarge).into(),
        ];
        for error in ways {
            assert_eq!(error.retry_after(), None);
            assert_eq!(error.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
}
