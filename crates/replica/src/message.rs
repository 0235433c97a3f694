//! What replicas say to each other.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use serde::{Deserialize, Serialize};

use crate::receive::{Piece, Taken};
use crate::types::{LogIndex, Types};

/// From one replica to another.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Counts on each link; the answer carries it.
    pub(crate) number: u64,
    /// What the other one acknowledged to this leader before it was started anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<LogIndex>,
    pub(crate) what: What,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
    Snapshot(Box<Piece>),
}

/// And back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    pub(crate) what: Answered,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answered {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    Snapshot(Taken),
    /// It cannot, for now or for good; it says why in its own log.
    Failed,
}
