use tacit_accord::CanonicalError;
use tacit_accord::log::{CheckpointError, ProofError};
use tacit_store::StoreError;

/// Why the log did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// No such entry, no such earlier log, or kept hashes that are gone.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored does not fit together.
    #[error("the stored log is damaged: {0}; restore a backup")]
    Damaged(String),
    /// The log was closed.
    #[error("the log is closed: this node is shutting down")]
    Closed,
    /// A defect of this program.
    #[error("the log cannot hold this entry: {0}")]
    Bug(String),
}

impl From<CheckpointError> for AuditError {
    fn from(error: CheckpointError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<CanonicalError> for AuditError {
    fn from(error: CanonicalError) -> Self {
        Self::Bug(error.to_string())
    }
}
