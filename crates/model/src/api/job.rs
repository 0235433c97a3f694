//! What a peer shows its owner of the jobs it is asked to take part in. The client and the gateway see none of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{TaskRequest, TaskSignature};
use crate::{Attempt, Fingerprint, GroupId, RunId, Slot};

/// How a job stands at one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// The peer was asked; nothing was given yet.
    Asked,
    /// Its session runs.
    Computing,
    /// The peer takes no part.
    Declined,
    /// Computed: whoever is a recipient has the result.
    Done,
    /// It ended without a result.
    Failed,
    /// Given up before its session began, by the gateway or since the link to it was lost; nothing was given.
    GivenUp,
    /// The peer's node stopped before it heard of an end.
    Interrupted,
}

impl JobState {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Computing => "computing",
            Self::Declined => "declined",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One attempt at a computation that a peer was asked to take part in: who asked, what for, with whom, and what
/// became of it. Never data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobBody {
    /// Counted from 1 at this peer.
    pub number: i64,
    /// How it stands.
    pub state: JobState,
    /// Why it was declined or failed, and remarks; for the owner alone.
    pub detail: String,
    /// When the peer was asked, before anything else was done.
    pub asked: String,
    /// When it ended here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,

    /// The gateway that asked, by its certificate.
    pub gateway: Fingerprint,
    /// The group.
    pub group: GroupId,
    /// The consensus that the job is under, hexadecimal.
    pub consensus: String,
    /// The session.
    pub session: String,
    /// The run of the group's standing task, or the number that stands for a client's task.
    pub run: RunId,
    /// Which slot of the run, or which computation of the task; counted from 0.
    pub slot: Slot,
    /// How often it was tried before.
    pub attempt: Attempt,

    /// Id of the client's task; left out for the group's standing task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The client, by the certificate that it signed with. Left out if it did not sign, or the signatures were not found
    /// to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Fingerprint>,
    /// What the client asked for, to the letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<TaskRequest>>,
    /// The signatures under the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<JobSignatures>,

    /// What for.
    pub purpose: String,
    /// The sources: names of series, or `queue` for rows that were handed in for slots.
    pub sources: Vec<String>,
    /// Which records, or the moment at which the slot begins; left out where slots are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<JobWindow>,
    /// What is computed.
    pub aggregator: String,
    /// With which settings.
    pub parameters: BTreeMap<String, String>,
    /// The security model.
    pub model: String,
    /// How many corrupted operators are tolerated: any more of them together learn every input. Left out if the peer
    /// does not know the charter of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
    /// Everybody who takes part; of a large group all who compute, and some of the others.
    pub participants: Vec<JobParticipant>,
    /// So many others took part, too.
    #[serde(default, skip_serializing_if = "none_left_out")]
    pub participants_left_out: u32,
    /// What the recipients read, and what it tells.
    pub opened: String,
    /// Who reads the result beside the recipients among the participants.
    pub told: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn none_left_out(count: &u32) -> bool {
    *count == 0
}

/// The signatures under a client's task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSignatures {
    /// The client's, if it signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<TaskSignature>,
    /// The gateway's: it has authorised the client.
    pub gateway: TaskSignature,
    /// Whether this peer found both to hold. No, too, if the job was declined before that was looked at.
    pub hold: bool,
}

/// Which records go in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobWindow {
    /// From this moment on.
    pub from: String,
    /// Up to this one, which is not in it. Left out for a slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Somebody who takes part in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobParticipant {
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Its name; left out if the charter that the peer knows has no such member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Gives data.
    pub gives: bool,
    /// Computes on shares.
    pub computes: bool,
    /// Learns the result.
    pub learns: bool,
}

/// What a peer was asked to take part in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobList {
    /// Newest first.
    pub jobs: Vec<JobBody>,
}
