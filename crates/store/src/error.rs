use core::fmt;

/// Why the store did not do what it was asked to. Nothing has changed when one of these comes back.
///
/// No text in here holds data: not a name, not a code, not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be reached, or its disk refuses.
    #[error("the database is not available: {reason}; check its address, its disk and its permissions")]
    Unavailable {
        /// What the database or the operating system said.
        reason: String,
    },
    /// Others kept changing the same rows; the same call may succeed later.
    #[error("the database is busy: gave up after several tries; try again")]
    Busy,
    /// What is there does not allow this call.
    #[error("{what}")]
    Conflict {
        /// What stands in the way.
        what: What,
    },
    /// There is no such thing.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The input queue has no room for all these rows; none was taken.
    #[error("the input queue is full: {pending} rows wait, at most {limit} may; try again later")]
    QueueFull {
        /// Rows waiting now.
        pending: u64,
        /// How many may wait.
        limit: u64,
    },
    /// The data was written by a newer program. Downgrades are refused.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: start the newer \
         program, or restore a backup made before the upgrade"
    )]
    NewerSchema {
        /// The version found in the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The database holds something that this program cannot have written.
    #[error("the database is damaged or is not Tacit's: {reason}; restore a backup")]
    Corrupt {
        /// What was wrong.
        reason: String,
    },
    /// The other gateways over the same rows did not agree, or this one may not write.
    #[error("the gateways have not agreed on it: {reason}; ask again, or ask another gateway")]
    Replicas {
        /// Why.
        reason: String,
    },
    /// More than the other gateways over the same rows take at once. It was never proposed to them.
    #[error("too much at once for the gateways over the same rows; send less at a time")]
    TooLarge,
    /// The address given to [`Store::open`](crate::Store::open) cannot be used.
    #[error("not a database address: {reason}; give sqlite:PATH or postgres://USER@HOST/NAME")]
    Address {
        /// What was wrong.
        reason: String,
    },
    /// The database refused a statement of this crate: a bug.
    #[error("the database refused a statement (a bug of tacit-store): {reason}")]
    Statement {
        /// What the database said.
        reason: String,
    },
}

/// What stands in the way of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// A group of this tenant has this name.
    GroupName,
    /// A live member of this tenant has this name.
    PeerName,
    /// The member has another key by now.
    KeyChanged,
    /// The key was revoked and never comes back.
    KeyRevoked,
    /// The consensus is not the one the caller thought (compare-and-swap failed).
    Consensus,
    /// The group has an open run already.
    OpenRun,
    /// The run has ended, or its rows are closed.
    RunEnded,
    /// A counter would have gone backwards.
    Backwards,
    /// An older attempt, or another session than the recorded one.
    Attempt,
    /// The slot holds other input already, or was used.
    SlotUsed,
    /// The slot is frozen with another set or another attempt.
    Frozen,
    /// The slot has another result.
    ResultExists,
    /// The session id was used before.
    SessionUsed,
    /// An earlier session of the slot was under another charter or with other input peers.
    SlotBound,
    /// Samples of the window went into a computation with other members.
    Overlap,
    /// A result over records of the window was opened with other members, some of whom are in this one, too.
    Company,
    /// A series would cost more than it may.
    Budget,
    /// The owner has refused the task.
    Refused,
    /// A row of the batch is in another batch already, or the key names another batch.
    Batch,
    /// The log's head is not the one the caller thought (compare-and-swap failed).
    LogHead,
    /// This opening of a negotiation was sent before.
    NegotiationReplay,
    /// Somebody else took a step in the negotiation meanwhile (compare-and-swap failed).
    NegotiationStep,
    /// Such a token exists.
    Token,
    /// Such a task exists, or its client used the idempotency key before.
    Task,
    /// The database was written without replicas.
    NotReplicated,
    /// The database is one of several replicas.
    Replicated,
    /// Another node uses the database.
    InUse,
    /// Something of this key exists.
    Duplicate,
    /// A text holds a zero byte; PostgreSQL cannot keep one.
    ZeroByte,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GroupName => "a group of this name exists",
            Self::KeyChanged => "the key has changed meanwhile",
            Self::KeyRevoked => "this key was revoked and is never let in again; the peer needs a new one",
            Self::PeerName => "identity reserved: a peer of this name exists",
            Self::Consensus => "the consensus has changed meanwhile",
            Self::OpenRun => "the group has an open run",
            Self::RunEnded => "the run has ended",
            Self::Backwards => "a counter would go backwards",
            Self::Attempt => "another attempt or session is on record",
            Self::SlotUsed => "the slot was used already",
            Self::Frozen => "the slot is frozen with another set or attempt",
            Self::ResultExists => "the slot has another result",
            Self::SessionUsed => "the session id was used before",
            Self::SlotBound => "the slot is bound to another charter or other input peers",
            Self::Overlap => "what was asked for went into a result with other members meanwhile",
            Self::Company => "a result over what was asked for was opened with other members before",
            Self::Budget => "the budget of epsilon or delta of a series was spent meanwhile",
            Self::Refused => "this peer's owner has refused the task",
            Self::Batch => "a row belongs to another batch",
            Self::LogHead => "the log has grown meanwhile",
            Self::NegotiationReplay => "this opening of a negotiation was sent before",
            Self::NegotiationStep => {
                "somebody else took a step in this negotiation meanwhile; look at it and try again"
            }
            Self::Token => "such a token exists",
            Self::Task => "this task was handed in before",
            Self::NotReplicated => {
                "this database was written by a gateway without replicas, and the others would lack what it holds: \
                 begin with an empty data folder"
            }
            Self::Replicated => {
                "this database is one of several replicas, and what is written to it alone would be missing on the \
                 others: put [replication] back into node.toml, or begin with an empty data folder"
            }
            Self::InUse => {
                "another node uses this database, and each node needs one of its own: stop the other one, or name another \
                 database in store = \"...\" in node.toml. If this is a PostgreSQL and that node's machine has just \
                 vanished, try again in half a minute"
            }
            Self::Duplicate => "it exists already",
            Self::ZeroByte => "a text must not hold a zero byte",
        })
    }
}

impl StoreError {
    /// Whether the database is well and only the call was not to be done.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::NotFound { .. } | Self::QueueFull { .. } | Self::TooLarge)
    }

    pub(crate) fn corrupt(reason: impl Into<String>) -> Self {
        Self::Corrupt { reason: reason.into() }
    }
}

impl From<What> for StoreError {
    fn from(what: What) -> Self {
        Self::Conflict { what }
    }
}

/// Of a database's own message only the first line: details may quote data.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => from_database(&*error),
            sqlx::Error::Io(error) => Self::Unavailable { reason: error.to_string() },
            sqlx::Error::Tls(error) => Self::Unavailable { reason: format!("TLS: {error}") },
            sqlx::Error::PoolTimedOut => Self::Unavailable { reason: "no free connection in time".into() },
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unavailable { reason: "the store was closed".into() }
            }
            sqlx::Error::Configuration(error) => Self::Address { reason: error.to_string() },
            sqlx::Error::ColumnDecode { index, .. } => Self::corrupt(format!("column {index} holds a wrong type")),
            sqlx::Error::Protocol(reason) => Self::Unavailable { reason },
            other => Self::Statement { reason: other.to_string() },
        }
    }
}

/// The same, of a database that runs statements in place.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(failure, message) => {
                let message = message.unwrap_or_else(|| failure.to_string());
                match failure.extended_code {
                    // SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
                    1555 | 2067 => What::Duplicate.into(),
                    code => from_sqlite(i64::from(code), message.lines().next().unwrap_or_default().to_owned()),
                }
            }
            rusqlite::Error::InvalidColumnType(_, name, _) => {
                Self::corrupt(format!("column {name:?} holds a wrong type"))
            }
            error @ (rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)) => Self::corrupt(error.to_string()),
            other => Self::Statement { reason: other.to_string() },
        }
    }
}

/// The low byte is the primary result code: https://sqlite.org/rescode.html
fn from_sqlite(code: i64, reason: String) -> StoreError {
    match code & 0xff {
        5 | 6 => StoreError::Busy,
        3 | 8 | 10 | 13 | 14 | 23 => StoreError::Unavailable { reason },
        11 | 26 => StoreError::Corrupt { reason },
        _ => StoreError::Statement { reason },
    }
}

fn from_database(error: &dyn sqlx::error::DatabaseError) -> StoreError {
    let reason = error.message().lines().next().unwrap_or_default().to_owned();
    let code = error.code().unwrap_or_default();
    if error.is_unique_violation() {
        return What::Duplicate.into();
    }
    if let Ok(code) = code.parse::<i64>()
        && error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
    {
        return from_sqlite(code, reason);
    }
    match &*code {
        // Serialisation failure, deadlock, lock not available.
        "40001" | "40P01" | "55P03" => StoreError::Busy,
        // Classes: connection, authorisation, no such database, resources, operator intervention, system error.
        code if ["08", "28", "3D", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Unavailable { reason }
        }
        code if code.starts_with("XX") => StoreError::Corrupt { reason },
        _ => StoreError::Statement { reason },
    }
}
