use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tacit_accord::ConsensusId;
use tacit_model::api::{NewTask, PairingState, TaskRequest, TaskResult};
use tacit_model::{Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};

use crate::{Awaited, Job, Own, ReceiptPart};

/// From a gateway to a peer over the control link. Unknown kinds are ignored by older peers.
///
/// All messages here travel as `{"prepare":{...}}`, not as `{"kind":"prepare",...}`: serde copies all that is beside a tag before
/// it reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToPeer {
    /// The consensus documents that follow the one the peer last reported, oldest first.
    Charter {
        /// Documents of `tacit_accord::Consensus`.
        documents: Vec<String>,
    },
    /// The gateway that speaks is one of several, and leads. The first message on the link then, before anything is
    /// asked of the peer.
    Lead {
        /// Grows whenever another gateway takes the lead: a peer does nothing for one that says a smaller number than
        /// it heard before.
        epoch: u64,
        /// Where all of them are. Hints: whom a peer believes is in its charter.
        gateways: Vec<GatewayAt>,
    },
    /// How far the pairing has come: said after a hello and whenever an operator decides.
    Pairing {
        /// How far.
        state: PairingState,
    },
    /// Take part in runs of the group's standing task from now on.
    Start {
        /// The group.
        group: GroupId,
        /// The run that is open.
        run: RunId,
        /// Its first slot that a row can still be for, if some are over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Slot>,
    },
    /// The run is over for this peer.
    Stop {
        /// The group.
        group: GroupId,
        /// The run.
        run: RunId,
        /// Why.
        reason: StopReason,
    },
    /// Phase 1: check the job, recompute the plan, fetch the input. Answered by a [`Report`].
    Prepare {
        /// What is to be done.
        job: Box<Job>,
        /// Digest of the plan, hexadecimal; a peer that computes another one declines.
        plan: String,
    },
    /// Phase 2: open the links of this session.
    Link {
        /// The session.
        session: SessionId,
        /// Each member's nonce, hexadecimal, in the order of the plan's members.
        nonces: Vec<String>,
        /// Where each member's link port is, in the same order; empty if it only dials.
        endpoints: Vec<String>,
    },
    /// Phase 3: all have their links, so agree on the input set and open its result.
    Session {
        /// The session.
        session: SessionId,
    },
    /// Answer with [`Report::Pong`].
    Ping {
        /// Chosen by the gateway; the answer carries it.
        session: SessionId,
    },
    /// Take a session of your SMC provider, give it this message, and answer with [`Report::Pong`] when it answered.
    PingProvider {
        /// Chosen by the gateway; the answer carries it. The provider's session lasts over all messages of it.
        session: SessionId,
        /// What the provider is told.
        number: u32,
        /// Whether another one follows. If not, the provider's session ends before the answer.
        more: bool,
    },
    /// Give this session up.
    Abort {
        /// The session.
        session: SessionId,
    },
    /// The head of the gateway's log, for the peer to witness. Answered by [`ToGateway::Witnessed`].
    Witness {
        /// What is shown.
        shown: Box<Shown>,
    },
    /// The receipt of a session that is done.
    Receipt {
        /// The session.
        session: SessionId,
        /// The document.
        receipt: String,
        /// Whether this peer's own data counted.
        own: Own,
    },
    /// A page of the receipts that the peer asked for has been sent. Only said to a peer that said from when.
    ReceiptsSent {
        /// All that were logged between the moment that it named and this one.
        upto: UnixMillis,
        /// Whether others follow, which it may ask for from there.
        more: bool,
    },
    /// Give your part towards this session's receipt once more. Answered by [`ToGateway::Receipt`].
    PartWanted {
        /// The session.
        session: SessionId,
    },
    /// The answer to a [`Request`].
    Response {
        /// The request's number.
        number: u64,
        /// The answer.
        response: Response,
    },
}

/// Where a gateway is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayAt {
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Its link port, `host:port`.
    pub endpoints: Vec<String>,
}

/// The head of a log, and why a witness should believe that it grew out of what it and others saw before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The signed note.
    pub checkpoint: String,
    /// Public key of the node whose log it is, base64 SubjectPublicKeyInfo.
    pub key: String,
    /// Entries of the last head that this peer accepted, as far as the gateway knows.
    pub from: u64,
    /// Proof of consistency from there, hexadecimal hashes.
    pub consistency: Vec<String>,
    /// What other members co-signed last.
    pub others: Vec<Cosigned>,
}

/// An earlier head that another member co-signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cosigned {
    /// The note with both signatures.
    pub note: String,
    /// Public key of that member, base64 SubjectPublicKeyInfo.
    pub key: String,
    /// Proof of consistency from that head to the one shown, hexadecimal hashes.
    pub consistency: Vec<String>,
}

/// Why a run is over for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All slots are done, or an operator stopped it.
    Finished,
    /// A slot failed and the charter ends the run then.
    Failed,
}

/// From a peer to its gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToGateway {
    /// First message: who is there and what it knows.
    Hello {
        /// The peer's name in its group.
        name: String,
        /// The peer's group.
        group: GroupId,
        /// Version of the program.
        software: String,
        /// The last consensus it accepted.
        known: Option<ConsensusId>,
        /// The run it takes part in.
        run: Option<RunId>,
        /// Where its link port is now, `host:port`; the charter's word holds if it says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
    },
    /// The consensus that is now the peer's last one.
    Accepted {
        /// The group.
        group: GroupId,
        /// The consensus.
        known: ConsensusId,
    },
    /// How many slots of the run have a row at this peer: rows exist for all slots below `upto`.
    Rows {
        /// The group.
        group: GroupId,
        /// The run.
        run: RunId,
        /// First slot without a row.
        upto: Slot,
    },
    /// What became of a phase of a session.
    Report {
        /// The session.
        session: SessionId,
        /// What became of it.
        report: Report,
    },
    /// What this peer gives towards the receipt of a session, after its report.
    Receipt {
        /// The session.
        session: SessionId,
        /// Its part.
        part: Box<ReceiptPart>,
    },
    /// After a hello, and after a [`ToPeer::ReceiptsSent`] that says that there are more: receipts that this peer waits
    /// for. Answered by those that there are, and by [`ToPeer::PartWanted`] for those that are being issued.
    ReceiptsAwaited {
        /// The group.
        group: GroupId,
        /// The newest of them.
        awaited: Vec<Awaited>,
        /// When the newest receipt that it has was logged; it may lack later ones of which it knows nothing. Only looked
        /// at where it does not say `from`.
        since: UnixMillis,
        /// It may lack any that was logged at this moment or later, and takes them page by page: each ends with a
        /// [`ToPeer::ReceiptsSent`]. Older peers do not say so, and are sent one page without that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<UnixMillis>,
    },
    /// The peer looked at the head of the gateway's log.
    Witnessed {
        /// Entries of the last head that it accepted.
        size: u64,
        /// That head as a signed note with the peer's cosignature, if it was the one shown now.
        cosigned: Option<String>,
        /// The peer's public key, base64 SubjectPublicKeyInfo.
        key: String,
    },
    /// What the peer offers to clients' tasks, in place of what it said before.
    Offer {
        /// The group.
        group: GroupId,
        /// Labels by which a task's set chooses it.
        labels: BTreeSet<String>,
        /// Data: names of its series.
        sources: BTreeSet<String>,
        /// Services: aggregators that it takes part in; all if empty.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        services: BTreeSet<String>,
        /// Resources: how many sessions it computes at once, if it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sessions: Option<u32>,
    },
    /// Something the peer's operator wants of the gateway.
    Request {
        /// Chosen by the peer; the response carries it.
        number: u64,
        /// What is wanted.
        request: Request,
    },
}

/// What became of a phase of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Report {
    /// The answer to a ping.
    Pong,
    /// Prepare: checked, and willing.
    Prepared {
        /// A fresh random number of 32 bytes, hexadecimal. All seeds of the session depend on it.
        nonce: String,
    },
    /// Prepare: not with me.
    Declined {
        /// Why, as far as the gateway may know.
        why: Decline,
    },
    /// Link: every link of the session is open.
    Linked,
    /// Link: these members could not be reached in time.
    Unlinked {
        /// The members.
        missing: Vec<Fingerprint>,
    },
    /// Session: the result is computed, and durable where this peer is a recipient.
    Done {
        /// Commitment to the result, hexadecimal; equal for all recipients. Opens to nobody else.
        agreement: Option<String>,
        /// How many contributed.
        contributors: u32,
        /// Members that sent shares of the result which did not fit and were corrected.
        faults: Vec<Fingerprint>,
        /// Input peers that are not in the result although they dealt: [`Fault::OutOfBounds`] and [`Fault::Disputed`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<Fault>,
        /// The result itself, as far as a client's task says that it is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Told>,
        /// The session that it came from, if that was an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    },
    /// Session: no result.
    Failed {
        /// What went wrong.
        fault: Fault,
        /// Whether this peer had bound itself to an input set; then the slot is not tried again.
        frozen: bool,
    },
}

/// A result on its way to the client of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Told {
    /// In clear: the task names the gateway as a recipient.
    Open(Box<TaskResult>),
    /// Sealed for the client's key, base64.
    Sealed(String),
}

/// Why a peer declines a job. The owner of the peer sees the details, the gateway only this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decline {
    /// The peer knows another charter.
    Charter,
    /// The job names somebody who is not in the roster, or not in that role.
    Roster,
    /// The peer computes another plan, or one that is refused.
    Plan,
    /// The peer's policy.
    Policy,
    /// With whom it would be computed, its result would make a difference with an earlier one, which would tell what somebody
    /// gave. Not the policy's choice, and nobody's fault: it can be asked with the same members, or later.
    Apart {
        /// Who gave to earlier results over these records and does not now; nobody, if there is only somebody new.
        missing: Vec<Fingerprint>,
        /// Windows that begin then or later are free.
        until: UnixMillis,
    },
    /// The peer's owner is asked and has not answered yet.
    Waiting,
    /// There is no row for this slot.
    NoRow,
    /// This slot was bound to an input set before. If it is done, the commitment to the result.
    Frozen {
        /// The recorded agreement, if the result is durable here.
        done: Option<String>,
        /// The session that it came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    },
    /// The peer does not take part in this run.
    NotRunning,
    /// The session id was used before, too many sessions are open, or one that was frozen for the slot goes on.
    Busy,
}

/// What went wrong in a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// These members were lost before the inputs were frozen.
    Lost {
        /// The members.
        members: Vec<Fingerprint>,
    },
    /// These members gave no input.
    MissingInput {
        /// The members.
        members: Vec<Fingerprint>,
    },
    /// This member broke the protocol.
    Misbehaved {
        /// The member.
        member: Fingerprint,
    },
    /// The compute peers found, under sharing, that numbers of these input peers are not in `[0, maxElement]`.
    OutOfBounds {
        /// The members.
        members: Vec<Fingerprint>,
    },
    /// What the compute peers hold of these input peers does not fit together: an input peer told them different
    /// things, or one of them lies. Accuses nobody.
    Disputed {
        /// The input peers.
        members: Vec<Fingerprint>,
    },
    /// Some compute peer told the others different things; which one cannot be told, and whoever reports it is not
    /// at fault.
    Equivocated,
    /// The shares that arrived disagree: somebody's was wrong.
    Shares,
    /// Too few shares arrived.
    FewShares,
    /// The result is not below the declared modulus, or out of range.
    Range,
    /// [`Decline::Apart`] at the freeze: those who were lost on the way leave a set that makes a difference with an earlier one.
    Apart {
        /// Who gave to earlier results over these records and is not in this set.
        missing: Vec<Fingerprint>,
        /// Windows that begin then or later are free.
        until: UnixMillis,
    },
    /// The session was given up or ran out of time.
    Ended,
    /// A step was asked for that does not follow the one before: Prepare, Link, Session is the order.
    Order,
    /// A reason of this peer itself, such as a full disk or an own row that breaks the agreed bound. Which
    /// one is for its owner only.
    Own,
}

impl Fault {
    /// Whether it is a reason to leave an input peer out of a result.
    pub fn leaves_out(&self) -> bool {
        matches!(self, Self::OutOfBounds { .. } | Self::Disputed { .. })
    }

    /// Whether somebody cheated, and neither another attempt nor leaving out whoever reports it would mend that.
    pub fn is_cheating(&self) -> bool {
        self.leaves_out() || matches!(self, Self::Equivocated)
    }
}

/// What a peer's operator wants of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Compute a task that the peer asks for itself: it signs it and is its only recipient.
    Ask {
        /// The task.
        new: Box<NewTask>,
    },
    /// Compute the group's part of a task over branches, which this compute peer was asked to take part in above.
    Branch {
        /// What follows from the task above; see [`Ask::in_branch`](crate::Ask::in_branch).
        task: Box<TaskRequest>,
    },
    /// Take part in the group's standing task.
    Start,
    /// Stop taking part.
    Stop,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Response {
    /// The peer takes part in this run.
    Started {
        /// The run.
        run: RunId,
        /// Its first slot that a row can still be for, if some are over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Slot>,
    },
    /// The task that the peer asked for, or the branch's part, is over.
    Asked {
        /// How it ended.
        state: String,
        /// Why, as a client may know it.
        detail: String,
    },
    /// The peer no longer takes part.
    Stopped,
    /// Refused, and why.
    Refused {
        /// What to tell the operator.
        why: String,
    },
}
