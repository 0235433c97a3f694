//! What a session needs from the party that runs it: randomness, secrets shared with other members,
//! a signature, and a place that remembers what was frozen.

use std::future::Future;

use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

use crate::evidence::Evidence;
use crate::plan::PlanDigest;

/// The party around a session. Real ones use the operating system's generator, the key exchange of
/// the links, the party's key and its database; [`SimulatedEnvironment`](crate::SimulatedEnvironment) is the test twin.
pub trait Environment: Send + Sync {
    /// Fills with random bytes that nobody else can guess and that never repeat, also not after a
    /// restored snapshot.
    fn random(&mut self, out: &mut [u8]);

    /// A secret that only this party and that member of the plan know, from the fresh key exchange
    /// of their link. Both get the same bytes. Read once per session; the engine derives from it
    /// with the plan and all members' nonces.
    fn pair_secret(&mut self, member: usize) -> [u8; 32];

    /// Signs the digest of a frozen input set with the party's key, in a context of its own.
    fn sign_freeze(&mut self, digest: &[u8; 32]) -> [u8; 64];

    /// Checks what [`sign_freeze`](Self::sign_freeze) of that member made.
    fn verify_freeze(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool;

    /// Checks several members' signatures under one digest; the first member whose signature does not hold.
    fn verify_freezes(&self, digest: &[u8; 32], signatures: &[(usize, [u8; 64])]) -> Result<(), usize> {
        let fails = |(member, signature): &&(usize, [u8; 64])| !self.verify_freeze(*member, digest, signature);
        signatures.iter().find(fails).map_or(Ok(()), |(member, _)| Err(*member))
    }

    /// Signs the digest of a message of the session with the party's key, in another context of its own.
    fn sign_message(&mut self, digest: &[u8; 32]) -> [u8; 64];

    /// Checks what [`sign_message`](Self::sign_message) of that member made.
    fn verify_message(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool;

    /// Comes back when all members are known to have their links, and not at all if the session is given up before. Asked
    /// before this party says the last of what others need to freeze a set (what it holds, or where bounds are proven its
    /// shares of the answers), and before it deals more than a few chunks: whatever the members that have begun do, nothing is
    /// frozen before all were let go ahead.
    fn go_ahead(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Makes the record durable, then returns. Refuses if another record of the same charter, task
    /// and slot is already there: a frozen slot stays as it is.
    fn freeze(&mut self, record: FreezeRecord) -> impl Future<Output = Result<(), FreezeRefused>> + Send;

    /// Takes what convicts a compute peer of a wrong share, before anybody (model `guaranteed`): one piece for each, as soon
    /// as there is one. It holds however the session ends after that, also if the session is given up.
    fn convicted(&mut self, evidence: Evidence);
}

/// The input set that a compute peer is about to sign. After it is durable, this peer takes part in
/// no other set for that slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezeRecord {
    /// The charter of the plan.
    pub charter: [u8; 32],
    /// The task of the plan.
    pub task: [u8; 32],
    /// The slot of the plan.
    pub slot: Slot,
    /// The session.
    pub session: SessionId,
    /// The attempt.
    pub attempt: Attempt,
    /// The plan.
    pub plan: PlanDigest,
    /// What is signed: binding, attempt, contributors and commitments.
    pub digest: [u8; 32],
    /// Whose inputs are in, ascending.
    pub contributors: Vec<Fingerprint>,
    /// The contributors' salted commitments, in the same order.
    pub commitments: Vec<[u8; 32]>,
}

/// Why a set is not frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FreezeRefused {
    /// The slot was frozen before, by another set or another attempt.
    #[error("this slot was frozen before; its result can only come from that session")]
    AlreadyFrozen,
    /// The record could not be made durable.
    #[error("the frozen set could not be stored; check the disk of this node")]
    NotDurable,
    /// This party does not want exactly those contributors. Nothing was recorded.
    #[error("this party's data must not go into a result of exactly those contributors")]
    Declined,
}
