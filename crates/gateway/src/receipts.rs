//! Receipts: the compute peers' signatures under one statement, gathered after the result, logged and handed out.
//!
//! Nobody waits for a receipt: it follows the report of a slot, and the log groups what comes at the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tacit_accord::log::{Entry, Hash, Kind, ProofPlan, Tree};
use tacit_accord::receipt::{Logged, Receipt, ReceiptSignature, Statement};
use tacit_job::{Job, Own, ReceiptPart, ToPeer};
use tacit_model::{Fingerprint, SessionId};
use tacit_store::ReceiptRow;
use tokio::sync::mpsc;
use tracing::warn;

use crate::execution::Agreed;
use crate::{Gateway, GatewayError};

/// Parts that come later than this after the result are not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sessions whose parts are gathered.
#[derive(Clone, Default)]
pub(crate) struct Gathering(Arc<Mutex<BTreeMap<SessionId, Session>>>);

struct Session {
    members: Vec<Fingerprint>,
    parts: mpsc::UnboundedSender<(Fingerprint, ReceiptPart)>,
}

/// The parts of one session, as they come, until this is dropped.
pub(crate) struct Parts {
    session: SessionId,
    gathering: Gathering,
    parts: mpsc::UnboundedReceiver<(Fingerprint, ReceiptPart)>,
}

impl Gathering {
    /// Parts of this session are taken from now on, from its members.
    pub(crate) fn open(&self, job: &Job) -> Parts {
        let (sender, parts) = mpsc::unbounded_channel();
        let session = Session { members: job.members(), parts: sender };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job.session, session);
        Parts { session: job.session, gathering: self.clone(), parts }
    }

    /// A part; one of a stranger to the session is dropped.
    pub(crate) fn take(&self, member: Fingerprint, session: SessionId, part: ReceiptPart) {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&session).filter(|session| session.members.contains(&member)) {
            let _closed = session.parts.send((member, part));
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.gathering.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.session);
    }
}

/// What the parts of a session make together.
struct Gathered {
    statement: Statement,
    text: String,
    signatures: BTreeMap<Fingerprint, ReceiptSignature>,
    leaves: Vec<Hash>,
}

impl Gateway {
    /// Issues the receipt of a session that is done, in a task of its own. `asked` are those who could have given data:
    /// each of them, and nobody else, hears whether its own counted.
    pub(crate) fn issue_receipt(&self, asked: Vec<Fingerprint>, job: &Job, agreed: &Agreed, parts: Parts) {
        let (gateway, job, agreement) = (self.clone(), job.clone(), agreed.agreement.clone());
        self.inner.tasks.spawn(async move {
            let issued = gateway.gather_and_issue(&job, &asked, &agreement, parts).await;
            if let Err(error) = issued {
                warn!(session = %job.session, %error, "no receipt was issued");
            }
        });
    }

    async fn gather_and_issue(
        &self,
        job: &Job,
        inputs: &[Fingerprint],
        agreement: &str,
        parts: Parts,
    ) -> Result<(), GatewayError> {
        let (gathered, own) = gather(job, parts).await?;
        let Gathered { statement, text, signatures, leaves } = gathered;
        // As many as prove it: everybody who keeps the receipt verifies each of them.
        let signatures: Vec<ReceiptSignature> = signatures.into_values().take(statement.quorum()).collect();
        let bug = |e: tacit_accord::CanonicalError| GatewayError::Bug(e.to_string());
        let facts = statement.facts(&signatures, agreement).map_err(bug)?;
        let log = &self.inner.log;
        let number = log.append_later(Kind::Receipt, facts).await?;
        let head = log.checkpoint().await?;
        let proof = log.inclusion(number, head.checkpoint.size).await?;
        let row =
            log.entries(number, 1).await?.pop().ok_or_else(|| GatewayError::Bug("an entry is gone".to_owned()))?;
        let entry: Entry = serde_json::from_slice(&row.body).map_err(|e| GatewayError::Bug(e.to_string()))?;
        let log = Logged {
            entry,
            number,
            proof: proof.iter().map(Hash::to_string).collect(),
            checkpoint: head.note,
            key: log.key().to_base64(),
        };
        let receipt = Receipt { statement, signatures, log };
        // What is handed out holds; a defect here must not spread. Each signature was verified when it came.
        receipt.check_log(&text).map_err(|fault| GatewayError::Bug(fault.to_string()))?;
        let document = receipt.to_document().map_err(bug)?;
        let row = ReceiptRow {
            session: job.session,
            gid: job.group,
            run: job.run,
            slot: job.slot,
            body: document.clone(),
            own: None,
            at: self.inner.clock.now(),
        };
        self.inner.store.put_receipt("", row).await?;
        let mut members = job.members();
        members.extend(inputs);
        members.sort_unstable();
        members.dedup();
        for member in members {
            let own = own_of(&member, job, inputs, own.get(&member), &leaves)?;
            let receipt = ToPeer::Receipt { session: job.session, receipt: document.clone(), own };
            self.inner.directory.send(&member, &receipt);
        }
        Ok(())
    }
}

/// Waits until everybody gave its part, or for long enough; the statement that enough compute peers signed.
async fn gather(job: &Job, mut parts: Parts) -> Result<(Gathered, BTreeMap<Fingerprint, Hash>), GatewayError> {
    let mut missing = job.members();
    let mut statements: Vec<Gathered> = Vec::new();
    let mut own = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !missing.is_empty() {
        let Ok(Some((member, part))) = tokio::time::timeout_at(deadline, parts.parts.recv()).await else { break };
        missing.retain(|waited| *waited != member);
        if let Some(leaf) = part.leaf.and_then(|leaf| leaf.parse().ok()) {
            own.insert(member, leaf);
        }
        let Some(signed) = part.signed else { continue };
        let known = match statements.iter_mut().find(|known| known.text == signed.statement) {
            Some(known) => known,
            None => match Gathered::new(job, signed.statement, &signed.leaves) {
                Some(new) => {
                    statements.push(new);
                    statements.last_mut().ok_or_else(|| GatewayError::Bug("no statement".to_owned()))?
                }
                None => continue,
            },
        };
        if known.statement.signer_of(&known.text, &signed.signature) == Ok(member) {
            known.signatures.insert(member, signed.signature);
        }
    }
    let chosen = statements.into_iter().max_by_key(|known| known.signatures.len());
    match chosen.filter(|chosen| chosen.signatures.len() >= chosen.statement.quorum()) {
        Some(chosen) => Ok((chosen, own)),
        None => Err(GatewayError::Unavailable("too few compute peers signed one statement".to_owned())),
    }
}

impl Gathered {
    /// A statement about this job whose root is the one over the leaves.
    fn new(job: &Job, text: String, leaves: &[String]) -> Option<Self> {
        let statement: Statement = serde_json::from_str(&text).ok()?;
        let leaves = leaves.iter().map(|leaf| leaf.parse().ok()).collect::<Option<Vec<Hash>>>()?;
        let root = tacit_accord::receipt::contributors_root(&leaves).to_string();
        let same = statement.text().ok()? == text
            && (statement.session, statement.consensus, statement.group) == (job.session, job.charter, job.group)
            && statement.contributors.count == leaves.len() as u64
            && statement.contributors.root == root;
        same.then_some(Self { statement, text, signatures: BTreeMap::new(), leaves })
    }
}

/// What a member hears of its own contribution.
fn own_of(
    member: &Fingerprint,
    job: &Job,
    inputs: &[Fingerprint],
    leaf: Option<&Hash>,
    leaves: &[Hash],
) -> Result<Own, GatewayError> {
    let rejected = |reason: &str| Ok(Own::Rejected { reason: reason.to_owned() });
    if !inputs.contains(member) {
        return Ok(Own::Nothing);
    }
    if !job.inputs.contains(member) {
        return rejected("there was no row for this slot before it closed");
    }
    match leaf.and_then(|leaf| leaves.iter().position(|other| other == leaf)) {
        Some(place) => {
            let index = u64::try_from(place).unwrap_or(u64::MAX);
            Ok(Own::Counted { index, proof: path(place, leaves)?.iter().map(Hash::to_string).collect() })
        }
        None => rejected("its shares were not complete at every compute peer when the inputs were frozen"),
    }
}

/// The inclusion proof of a leaf among some that are all at hand.
fn path(place: usize, leaves: &[Hash]) -> Result<Vec<Hash>, GatewayError> {
    let bug = |e: tacit_accord::log::ProofError| GatewayError::Bug(e.to_string());
    let plan = ProofPlan::inclusion(place as u64, leaves.len() as u64).map_err(bug)?;
    let mut read = Vec::new();
    for span in plan.spans() {
        // Kept subtrees cover 256 leaves each, and those of them in turn.
        let width = 1_usize << span.level;
        let from = usize::try_from(span.from).unwrap_or(usize::MAX);
        let count = usize::try_from(span.count).unwrap_or(0);
        let subtree = |index: usize| {
            let mut tree = Tree::new();
            leaves[index * width..(index + 1) * width].iter().for_each(|leaf| tree.append(*leaf, drop));
            tree.root()
        };
        read.push((from..from + count).map(subtree).collect());
    }
    plan.finish(&read).map_err(bug)
}
