//! The parts of a receipt, on their way between a session's members and their gateway.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tacit_accord::log::Hash;
use tacit_accord::receipt::{Contributors, FORMAT, ReceiptSignature, Statement, contribution_leaf, contributors_root};
use tacit_engine::Plan;
use tacit_engine::aggregate::Privacy;
use tacit_model::{Fingerprint, SessionId};

use crate::Job;

/// What a member gives towards the receipt of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptPart {
    /// The statement with this member's signature, if it computed.
    pub signed: Option<SignedPart>,
    /// The leaf of its own contribution, hexadecimal, if it gave data. It tells the gateway nothing.
    pub leaf: Option<String>,
}

/// A receipt that a member waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The session, whose result is durable at the member.
    pub session: SessionId,
    /// The leaf of its own contribution, hexadecimal, if it gave data.
    pub leaf: Option<String>,
}

/// What a compute peer gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPart {
    /// The statement's canonical text.
    pub statement: String,
    /// The signature under it.
    pub signature: ReceiptSignature,
    /// Leaves of all contributions, hexadecimal, in the order of the root.
    pub leaves: Vec<String>,
}

/// What a member hears of its own contribution, and nobody else does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "own", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Own {
    /// It is in.
    Counted {
        /// Its place, from 0.
        index: u64,
        /// Hexadecimal hashes.
        proof: Vec<String>,
    },
    /// It is not.
    Rejected {
        /// Why.
        reason: String,
    },
    /// It was not asked for data.
    Nothing,
}

/// What a compute peer knows when its session is done.
pub struct Computed<'a> {
    /// What was asked.
    pub job: &'a Job,
    /// What was planned.
    pub plan: &'a Plan,
    /// The digest of the frozen set.
    pub frozen: [u8; 32],
    /// Contributors and their commitments, ascending.
    pub contributions: &'a [(Fingerprint, [u8; 32])],
    /// The digest of plan and nonces.
    pub binding: [u8; 32],
    /// The commitment to the result, if this peer is a recipient.
    pub agreement: Option<[u8; 32]>,
}

impl Computed<'_> {
    /// Leaves of the contributions, in order.
    pub fn leaves(&self) -> Vec<Hash> {
        self.contributions.iter().map(|(party, commitment)| contribution_leaf(party, commitment)).collect()
    }

    /// The statement that all compute peers derive alike.
    pub fn statement(&self) -> Statement {
        let (job, plan) = (self.job, self.plan);
        let hex = |digest: &[u8; 32]| Hash(*digest).to_string();
        let mut compute = job.compute.clone();
        compute.sort_unstable();
        let all_know = compute.iter().all(|peer| job.recipients.contains(peer));
        let mut guards = BTreeMap::from([("max_element".to_owned(), plan.max_element().to_string())]);
        if let Some(modulus) = plan.modulus() {
            guards.insert("modulus".to_owned(), modulus.to_string());
        }
        if let tacit_engine::OnMissing::Proceed { min } = plan.on_missing() {
            guards.insert("min_contributors".to_owned(), min.to_string());
        }
        Statement {
            format: FORMAT.to_owned(),
            group: job.group,
            consensus: job.charter,
            session: job.session,
            run: job.run,
            slot: job.slot,
            attempt: job.attempt,
            task: serde_json::to_value(&job.task).unwrap_or_default(),
            plan: hex(&plan.digest().0),
            model: plan.model().name().to_owned(),
            threshold: u32::try_from(plan.request().charter_threshold).unwrap_or(u32::MAX),
            compute,
            contributors: Contributors {
                count: self.contributions.len() as u64,
                root: contributors_root(&self.leaves()).to_string(),
            },
            recipients: u32::try_from(job.recipients.len()).unwrap_or(u32::MAX),
            guards,
            budget: plan.privacy().map(|privacy| charged(&privacy)),
            frozen: hex(&self.frozen),
            binding: hex(&self.binding),
            agreement: self.agreement.filter(|_| all_know).map(|agreement| hex(&agreement)),
        }
    }
}

/// What a result with noise costs, in texts that every peer writes alike.
fn charged(privacy: &Privacy) -> BTreeMap<String, String> {
    let hides = if privacy.hides_peers { "peer" } else { "record" };
    let pairs = [
        ("epsilon", privacy.epsilon.to_string()),
        ("delta", format!("{:e}", privacy.delta)),
        ("hides", hides.to_owned()),
    ];
    pairs.map(|(name, text)| (name.to_owned(), text)).into()
}
