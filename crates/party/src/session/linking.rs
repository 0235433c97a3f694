//! Phase 2: the links of a session.

use std::sync::Arc;
use std::time::Duration;

use tacit_accord::Consensus;
use tacit_engine::{InputVector, Plan};
use tacit_job::{Fault, Job, Report};
use tacit_link::{Host, How, LinkError, SessionPort};
use tacit_model::Fingerprint;
use tokio::task::JoinSet;

use super::prepare::{Claim, Prepared};
use crate::drive::Seats;
use crate::pair_secrets::PairSecrets;
use crate::party::Inner;
use crate::policy::Policy;

/// A prepared session with a link to everybody this party exchanges messages with.
pub(super) struct Linked {
    pub(super) job: Job,
    pub(super) consensus: Arc<Consensus>,
    pub(super) plan: Plan,
    pub(super) me: usize,
    pub(super) nonces: Vec<[u8; 32]>,
    pub(super) input: Option<InputVector>,
    pub(super) port: SessionPort,
    pub(super) seats: Seats,
    pub(super) secrets: PairSecrets,
    pub(super) claim: Claim,
    /// What this party was willing by.
    pub(super) policy: Arc<Policy>,
}

/// No links; the detail is for the owner.
pub(super) struct Unlinked {
    pub(super) report: Box<Report>,
    pub(super) detail: String,
}

pub(super) async fn link(
    party: &Inner,
    prepared: Prepared,
    nonces: &[String],
    endpoints: &[String],
) -> Result<Linked, Unlinked> {
    let Prepared { job, consensus, plan, me, nonce, input, claim, policy, left_out: _ } = prepared;
    let nonces = check_nonces(&plan, me, &nonce, nonces)?;
    let peers = counterparts(&plan, me);
    // Those that are there must not go while others are waited for.
    let _kept = party.host.keep_links(peers.clone());
    let mut waiting = JoinSet::new();
    for peer in &peers {
        if !party.host.is_linked(peer) {
            let how = how(&plan, me, *peer, endpoints, &consensus);
            waiting.spawn(link_one(party.host.clone(), *peer, how, party.limits.link));
        }
    }
    let mut missing = Vec::new();
    let mut reasons = Vec::new();
    while let Some(done) = waiting.join_next().await {
        if let Ok(Err((peer, error))) = done {
            missing.push(peer);
            reasons.push(format!("{}: {error}", name_of(&consensus, &peer)));
        }
    }
    if missing.is_empty() {
        match open(party, &job, &plan, me, &peers) {
            Ok((port, seats, secrets)) => {
                return Ok(Linked { job, consensus, plan, me, nonces, input, port, seats, secrets, claim, policy });
            }
            Err(LinkError::NotLinked(peer)) => {
                missing.push(peer);
                reasons.push(format!("{}: its link was lost again", name_of(&consensus, &peer)));
            }
            Err(error) => return Err(given_up(error.to_string())),
        }
    }
    Err(Unlinked {
        report: Box::new(Report::Unlinked { missing }),
        detail: format!("slot {}: no link with {}", job.slot.counted(), reasons.join(", ")),
    })
}

/// The session over its links, with what they give while all of them are there.
fn open(
    party: &Inner,
    job: &Job,
    plan: &Plan,
    me: usize,
    peers: &[Fingerprint],
) -> Result<(SessionPort, Seats, PairSecrets), LinkError> {
    let port = party.host.open_session(job.session, peers.to_vec())?;
    let seats = Seats::new(plan, me, peers);
    let secrets = PairSecrets::of(plan, &port, &seats)?;
    Ok((port, seats, secrets))
}

/// Everybody with whom this member exchanges messages: computing peers talk to all, others to
/// computing peers only.
fn counterparts(plan: &Plan, me: usize) -> Vec<Fingerprint> {
    let members = plan.members();
    let wanted = |indices: &mut dyn Iterator<Item = usize>| -> Vec<Fingerprint> {
        indices.filter(|member| *member != me).map(|member| members[member]).collect()
    };
    if plan.compute().binary_search(&me).is_ok() {
        wanted(&mut (0..members.len()))
    } else {
        wanted(&mut plan.compute().iter().copied())
    }
}

/// Who dials. Others dial computing peers; of two computing peers the one with the smaller fingerprint
/// dials if the other can be reached, otherwise the other does.
fn how(plan: &Plan, me: usize, peer: Fingerprint, endpoints: &[String], consensus: &Consensus) -> How {
    let members = plan.members();
    let endpoint = |member: Fingerprint| {
        let told = plan.index_of(&member).and_then(|index| endpoints.get(index)).filter(|told| !told.is_empty());
        let charter = || consensus.charter().member(&member).map(|m| m.endpoint.clone()).unwrap_or_default();
        told.cloned().unwrap_or_else(charter)
    };
    let computes =
        |member: Fingerprint| plan.index_of(&member).is_some_and(|i| plan.compute().binary_search(&i).is_ok());
    let mine = members[me];
    let theirs = endpoint(peer);
    let dials = match (computes(mine), computes(peer)) {
        (true, false) => false,
        (true, true) if mine < peer => !theirs.is_empty(),
        (true, true) => !theirs.is_empty() && endpoint(mine).is_empty(),
        (false, _) => true,
    };
    if dials { How::Dial { addrs: vec![theirs] } } else { How::Await }
}

async fn link_one(host: Host, peer: Fingerprint, how: How, limit: Duration) -> Result<(), (Fingerprint, LinkError)> {
    host.link(peer, how, limit).await.map_err(|error| (peer, error))
}

/// All members' nonces, with our own among them: without it the seeds could be those of an earlier session.
fn check_nonces(plan: &Plan, me: usize, own: &[u8; 32], nonces: &[String]) -> Result<Vec<[u8; 32]>, Unlinked> {
    let read = |text: &String| {
        let mut nonce = [0; 32];
        hex::decode_to_slice(text, &mut nonce).map(|()| nonce).ok()
    };
    let nonces: Option<Vec<[u8; 32]>> = nonces.iter().map(read).collect();
    nonces
        .filter(|nonces| nonces.len() == plan.members().len() && nonces[me] == *own)
        .ok_or_else(|| given_up("the gateway sent other nonces than those of the members".to_owned()))
}

fn given_up(detail: String) -> Unlinked {
    Unlinked { report: Box::new(Report::Failed { fault: Fault::Ended, frozen: false }), detail }
}

fn name_of(consensus: &Consensus, member: &Fingerprint) -> String {
    consensus.charter().member(member).map_or_else(|| member.short(), |member| member.name.clone())
}
