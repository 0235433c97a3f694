//! Answering the other replicas.

use std::sync::Arc;

use openraft::error::RaftError;
use openraft::raft::{AppendEntriesResponse, VoteResponse};
use tacit_link::{ControlLink, Host};
use tacit_model::CLOCK_SKEW_MS;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use crate::ear::Ear;
use crate::log::Log;
use crate::memory::Memory;
use crate::message::{Answer, Answered, Ask, Candidacy, What};
use crate::receive::Receiver;
use crate::types::{LogIndex, Raft, number_of};

/// What answers: this node's Raft, and who notes what the others say.
#[derive(Clone)]
pub(crate) struct Voice {
    pub(crate) raft: Raft,
    pub(crate) ear: Ear,
    pub(crate) log: Log,
    pub(crate) memory: Arc<Memory>,
    pub(crate) receiver: Arc<Receiver>,
}

/// Takes the links of other replicas until told to stop. Who may come is the gate's matter.
pub(crate) async fn serve(host: Host, voice: Voice, tasks: TaskTracker, stop: CancellationToken) {
    let mut links = host.replica_links();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            link = links.recv() => match link {
                Some(link) => drop(tasks.spawn(answer(link, voice.clone(), stop.clone()))),
                None => return,
            },
        }
    }
}

async fn answer(mut link: ControlLink, Voice { raft, ear, mut log, memory, receiver }: Voice, stop: CancellationToken) {
    let skew_ms = link.skew_ms();
    let odd_clock = skew_ms.abs() > CLOCK_SKEW_MS;
    if odd_clock {
        warn!(replica = %link.peer().short(), skew_ms, "the clocks of two gateways differ by more than 2 minutes: set the clock");
    }
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            asked = link.recv::<Ask>() => asked,
        };
        let Ask { number, acknowledged, what } = match asked {
            Ok(asked) => asked,
            Err(error) => {
                debug!(replica = %link.peer().short(), %error, "replica link ended");
                return;
            }
        };
        let (stands, trial) = match &what {
            What::Vote(candidacy) => (candidacy.rpc.last_log_id, candidacy.trial),
            What::Append(_) | What::Snapshot(_) => (None, false),
        };
        if let What::Append(rpc) = &what
            && memory.lacks(&rpc.vote, acknowledged)
        {
            error!("this data folder is an older copy and lacks what this gateway had acknowledged: it ends for good");
            if let Err(error) = memory.give_up().await {
                error!(%error, "that could not be kept");
            }
            let _ended = raft.shutdown().await;
            return;
        }
        let term = if let What::Append(rpc) = &what { rpc.vote.leader_id.term } else { 0 };
        let what = match what {
            // It may have to hear first what it has forgotten.
            What::Vote(_) if ear.is_new(Instant::now()) => Ok(Answered::Failed),
            What::Append(rpc) => raft.append_entries(rpc).await.map(Answered::Append),
            What::Vote(Candidacy { trial: true, .. }) => {
                let answer = would_vote(&ear, &mut log, stands, odd_clock).await;
                Ok(answer.map_or(Answered::Failed, Answered::Vote))
            }
            What::Vote(candidacy) => raft.vote(candidacy.rpc).await.map(Answered::Vote),
            What::Snapshot(piece) => {
                let taken = receiver.take(&raft, number_of(&link.peer()), *piece).await;
                taken.map(Answered::Snapshot).map_err(RaftError::Fatal)
            }
        };
        match &what {
            Ok(Answered::Append(answer)) if !matches!(answer, AppendEntriesResponse::HigherVote(_)) => {
                ear.heard(Instant::now(), term)
            }
            Ok(Answered::Vote(answer)) if answer.vote_granted && trial => {}
            Ok(Answered::Vote(answer)) if answer.vote_granted => ear.voted(Instant::now()),
            Ok(Answered::Vote(answer)) if answer.last_log_id > stands => {
                ear.compared(Instant::now(), answer.last_log_id, stands);
            }
            _ => {}
        }
        let what = what.unwrap_or_else(|error| {
            warn!(%error, "the replication has stopped on this node");
            Answered::Failed
        });
        if link.send(&Answer { number, what }).is_err() {
            return;
        }
    }
}

/// Whether this node would vote for one with such a log: it hears no leader, and has nothing that the other one lacks.
async fn would_vote(ear: &Ear, log: &mut Log, stands: Option<LogIndex>, odd_clock: bool) -> Option<VoteResponse<u64>> {
    match log.promised().await {
        Ok((vote, last)) => {
            let granted = ear.may_vote(Instant::now(), odd_clock) && stands >= last;
            Some(VoteResponse::new(vote.unwrap_or_default(), last, granted))
        }
        Err(error) => {
            warn!(%error, "this node cannot say whether it would vote: its log cannot be read");
            None
        }
    }
}
