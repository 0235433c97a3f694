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
    Vote(Candidacy),
    Snapshot(Box<Piece>),
}

/// A vote is asked for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Candidacy {
    #[serde(flatten)]
    pub(crate) rpc: VoteRequest<u64>,
    /// Only whether there would be a vote: nobody is bound by the answer. A node that does not know this word votes, which
    /// it would do a moment later.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) trial: bool,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Gateways are upgraded one after the other: a vote is asked for as before, and a trial is a vote to who knows none.
    #[test]
    fn w1_a_question_for_a_vote_is_the_one_of_earlier_versions() {
        let vote = json!({"leader_id": {"term": 3, "voted_for": 7}, "committed": false});
        let asked = json!({"vote": {"vote": vote, "last_log_id": {"leader_id": 2, "index": 5}}});
        let What::Vote(known) = serde_json::from_value(asked.clone()).unwrap() else { panic!("no vote") };
        assert!(!known.trial && known.rpc.last_log_id.is_some_and(|last| last.index == 5));
        assert_eq!(serde_json::to_value(What::Vote(known.clone())).unwrap(), asked);
        let trial = serde_json::to_value(Candidacy { trial: true, ..known }).unwrap();
        assert_eq!(trial["trial"], true);
        assert!(serde_json::from_value::<VoteRequest<u64>>(trial).is_ok());
    }
}
