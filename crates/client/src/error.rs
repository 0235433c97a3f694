use std::time::Duration;

use tacit_model::problem::{Problem, ProblemKind};
use tacit_pki::https;

/// Why a call did not bring what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    // ---- the caller ----------------------------------------------------------------------------
    /// Not an address that is asked.
    #[error(transparent)]
    Address(#[from] https::NoAddress),
    /// A token that cannot be one.
    #[error("the token holds characters that no token has")]
    Token,
    /// TLS could not be set up.
    #[error("https cannot be used: {0}")]
    Setup(String),

    // ---- the node ------------------------------------------------------------------------------
    /// The node refused.
    #[error("{}", refusal(.0))]
    Refused(Box<Problem>),
    /// The node does not know the token that was given.
    #[error("the token in {from} is not known there: {}", .problem.detail)]
    UnknownToken {
        /// Where the token came from.
        from: String,
        /// What the node said.
        problem: Box<Problem>,
    },
    /// The node or the way to it failed.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// Whom: host and port.
        host: String,
        /// What the network or TLS said, and what to do then.
        reason: String,
    },
    /// Somebody answered, and neither in http nor in https as it was asked.
    #[error("{host}: {found}")]
    OtherProtocol {
        /// Whom: host and port.
        host: String,
        /// What it is, and what to do.
        found: https::OtherProtocol,
    },
    /// Of several gateways none answered as the one that leads; what each of them said.
    #[error("no gateway leads that could be asked: {0}; a majority of them is needed")]
    NobodyLeads(String),
    /// Somebody answered whose certificate is neither the pinned one nor issued by a trusted authority.
    #[error(
        "the certificate of {0} is not the expected one: somebody may stand in between. If the node is new, ask its \
         operator for the fingerprint and give it with --pin"
    )]
    Untrusted(String),
    /// Something else answered.
    #[error("the answer is not one of a Tacit node (status {0}); check the address")]
    Answer(u16),
    /// What was waited for did not happen in time.
    #[error("nothing after {} s; it may still happen", .0.as_secs())]
    TimedOut(Duration),
}

/// What is not there, the detail says by itself.
fn refusal(problem: &Problem) -> String {
    match problem.kind {
        ProblemKind::NotFound => problem.detail.clone(),
        _ => format!("{}: {}", problem.title, problem.detail),
    }
}

impl ClientError {
    /// The problem that the node named.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) | Self::UnknownToken { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// What kind of problem the node named.
    pub fn kind(&self) -> Option<ProblemKind> {
        self.problem().map(|problem| problem.kind)
    }
}
