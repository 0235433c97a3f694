use tacit_accord::negotiation::NegotiationError;
use tacit_accord::{CharterError, Refusal};
use tacit_audit::AuditError;
use tacit_model::BadName;
use tacit_store::StoreError;

use crate::clients::{Denied, NotAllowed};

/// Why the gateway did not do what was asked. Nothing changed, unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// There is no such group, member, code or run.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It clashes with what is there.
    #[error("{0}")]
    Conflict(String),
    /// A value is not allowed; the text says which and what would be.
    #[error("{0}")]
    Invalid(String),
    /// Who asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// The charter or a check says no.
    #[error("{0}")]
    Refused(String),
    /// As much is under way as may be.
    #[error("{why}")]
    TooMany {
        /// What there is too much of, and what to do.
        why: String,
        /// Seconds after which to ask again.
        retry_after: u64,
    },
    /// Members are not reachable right now.
    #[error("{0}")]
    Unavailable(String),
    /// The database.
    #[error("the database did not answer as expected: {0}")]
    Store(StoreError),
    /// A defect of this program.
    #[error("internal error: {0}")]
    Bug(String),
}

impl From<BadName> for GatewayError {
    fn from(error: BadName) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { what } => Self::Conflict(what.to_string()),
            StoreError::NotFound { what } => Self::NotFound(what),
            other => Self::Store(other),
        }
    }
}

impl From<Denied> for GatewayError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Store(error) => error.into(),
            denied => Self::Forbidden(denied.to_string()),
        }
    }
}

impl From<NotAllowed> for GatewayError {
    fn from(why: NotAllowed) -> Self {
        Self::Forbidden(why.to_string())
    }
}

impl From<AuditError> for GatewayError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::Proof(error) => Self::Invalid(error.to_string()),
            AuditError::Closed => Self::Unavailable(error.to_string()),
            other => Self::Bug(other.to_string()),
        }
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stale => Self::Conflict(refusal.to_string()),
            Refusal::Charter(error) => error.into(),
            _ => Self::Refused(refusal.to_string()),
        }
    }
}

impl From<CharterError> for GatewayError {
    fn from(error: CharterError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<NegotiationError> for GatewayError {
    fn from(error: NegotiationError) -> Self {
        let said = error.to_string();
        match error {
            NegotiationError::NotOpen(_) | NegotiationError::Replayed { .. } => Self::Conflict(said),
            NegotiationError::Text(_) | NegotiationError::TooMuch(_) | NegotiationError::NothingToWithdraw => {
                Self::Invalid(said)
            }
            _ => Self::Refused(said),
        }
    }
}
