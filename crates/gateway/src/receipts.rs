//! Receipts: the compute peers' signatures under one statement, gathered after the result, logged and handed out.
//!
//! ```text
//!  result ─► debt, durable with it ─► parts of the members ─► logged ─► receipt, durable; the debt is gone ─► members
//!               ▲                            │
//!               └── a restart, or too few ───┘   members ask for what they await, and are asked for their parts
//! ```
//!
//! Nobody waits for a receipt: it follows the report of a slot, and the log groups what comes at the same time. A debt
//! that this node could not pay before it ended is paid when its members are back.

mod answers;
mod gathered;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tacit_accord::Consensus;
use tacit_accord::log::{Entry, Hash, Kind};
use tacit_accord::receipt::{Logged, Receipt, ReceiptSignature};
use tacit_job::{Job, ReceiptPart, ToPeer};
use tacit_model::{Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};
use tacit_store::{GATEWAY_HOLDER, OwedRow, ReceiptRow};
use tokio::sync::mpsc;
use tracing::warn;

use crate::execution::Agreed;
use crate::{Gateway, GatewayError};
use answers::Answers;
use gathered::{Gathered, Heard};

/// Parts that come later than this after the result are not waited for, if there are enough.
const PATIENCE: Duration = Duration::from_secs(5);
/// A debt that cannot be paid after so long waits for a member that asks.
const AT_MOST: Duration = Duration::from_secs(600);
/// Where parts were late, the others' are given so long.
const LAST_CALL: Duration = Duration::from_millis(300);

/// Sessions whose parts are gathered.
#[derive(Clone, Default)]
pub(crate) struct Gathering(Arc<Mutex<BTreeMap<SessionId, Session>>>);

struct Session {
    /// Members that gave no part yet. A part is taken once: what waits to be read is bounded, however often a member
    /// sends while its session lasts. Who gives one again, as it was asked to, says the same again.
    silent: BTreeSet<Fingerprint>,
    parts: mpsc::UnboundedSender<(Fingerprint, ReceiptPart)>,
}

/// The parts of one session, as they come, until this is dropped.
pub(crate) struct Parts {
    session: SessionId,
    gathering: Gathering,
    parts: mpsc::UnboundedReceiver<(Fingerprint, ReceiptPart)>,
}

impl Gathering {
    /// Parts of this session are taken from now on, from its members; none if they are already.
    pub(crate) fn open(&self, session: SessionId, members: Vec<Fingerprint>) -> Option<Parts> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.contains_key(&session) {
            return None;
        }
        let (sender, parts) = mpsc::unbounded_channel();
        sessions.insert(session, Session { silent: members.into_iter().collect(), parts: sender });
        Some(Parts { session, gathering: self.clone(), parts })
    }

    /// Whether they are taken.
    fn gathers(&self, session: SessionId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }

    /// A member's first part; later ones, and those of strangers to the session, are dropped.
    pub(crate) fn take(&self, member: Fingerprint, session: SessionId, part: ReceiptPart) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get_mut(&session)
            && session.silent.remove(&member)
        {
            let _closed = session.parts.send((member, part));
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.gathering.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.session);
    }
}

/// A receipt that this gateway owes.
#[derive(Clone, Debug)]
pub(crate) struct Debt {
    session: SessionId,
    group: GroupId,
    run: RunId,
    slot: Slot,
    at: UnixMillis,
    terms: Terms,
}

/// What is kept of a debt besides its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Terms {
    agreement: String,
    /// Who could have given data: each of them, and nobody else, hears whether its own counted.
    offered: Vec<Fingerprint>,
    /// Whose data was to go in, as far as this gateway knows.
    asked: Vec<Fingerprint>,
    /// Who may give parts.
    members: Vec<Fingerprint>,
}

impl Debt {
    /// What follows from a result. `offered` are those who could have given data.
    pub(crate) fn of(
        offered: Vec<Fingerprint>,
        consensus: &Consensus,
        job: &Job,
        agreed: &Agreed,
        now: UnixMillis,
    ) -> Self {
        let charter = consensus.charter();
        let (asked, members) = match agreed.session == job.session {
            true => (job.inputs.clone(), job.members()),
            // Who was in the earlier session is not known any more.
            false => (offered.clone(), charter.members.iter().map(|member| member.fingerprint).collect()),
        };
        let terms = Terms { agreement: agreed.agreement.clone(), offered, asked, members };
        let (group, run, slot) = (job.group, job.run, job.slot);
        Self { session: agreed.session, group, run, slot, at: now, terms }
    }

    /// As it is kept with the result.
    pub(crate) fn row(&self) -> OwedRow {
        OwedRow {
            session: self.session,
            gid: self.group,
            run: self.run,
            slot: self.slot,
            body: serde_json::to_string(&self.terms).unwrap_or_default(),
            at: self.at,
        }
    }

    fn read(row: &OwedRow) -> Result<Self, GatewayError> {
        let terms = serde_json::from_str(&row.body).map_err(|e| GatewayError::Bug(e.to_string()))?;
        Ok(Self { session: row.session, group: row.gid, run: row.run, slot: row.slot, at: row.at, terms })
    }
}

impl Gateway {
    /// Issues the receipt of a session that is done, in a task of its own. `parts` are those of the job's session.
    pub(crate) fn issue_receipt(&self, consensus: &Arc<Consensus>, debt: Debt, parts: Option<Parts>) {
        match parts.filter(|parts| parts.session == debt.session) {
            Some(parts) => self.pay(debt, parts, Some(Arc::clone(consensus))),
            // The members' parts left with a link that broke.
            None => self.pay_late(debt),
        }
    }

    /// Asks for the parts once more.
    pub(crate) fn pay_late(&self, debt: Debt) {
        let Some(parts) = self.inner.gathering.open(debt.session, debt.terms.members.clone()) else { return };
        self.inner.directory.send_all(&debt.terms.members, &ToPeer::PartWanted { session: debt.session });
        self.pay(debt, parts, None);
    }

    fn pay(&self, debt: Debt, parts: Parts, consensus: Option<Arc<Consensus>>) {
        let gateway = self.clone();
        self.inner.tasks.spawn(async move {
            let issued = tokio::select! {
                () = gateway.inner.stop.cancelled() => return,
                issued = gateway.gather_and_issue(&debt, parts, consensus) => issued,
            };
            if let Err(error) = issued {
                warn!(session = %debt.session, %error, "no receipt was issued yet");
            }
        });
    }

    async fn gather_and_issue(
        &self,
        debt: &Debt,
        mut parts: Parts,
        consensus: Option<Arc<Consensus>>,
    ) -> Result<(), GatewayError> {
        let chain = match consensus {
            Some(consensus) => vec![consensus],
            None => {
                // It may have been paid between the question and now.
                if self.inner.store.owed(GATEWAY_HOLDER, debt.session).await?.is_none() {
                    return Ok(());
                }
                self.chain_of(debt.group).await?
            }
        };
        let (gathered, heard) = gather(debt, &chain, &mut parts).await?;
        let answers = Answers::new(&gathered, &heard, &debt.terms);
        let row = self.log_receipt(debt, gathered, &answers).await?;
        let document = row.body.clone();
        self.inner.store.put_receipt(GATEWAY_HOLDER, row).await?;
        for member in answers.holders() {
            let own = answers.own_of(member, heard.get(member))?;
            let receipt = ToPeer::Receipt { session: debt.session, receipt: document.clone(), own };
            self.inner.directory.send(member, &receipt);
        }
        // Until here nobody else issues it.
        drop(parts);
        Ok(())
    }

    /// Logs what was gathered; the receipt.
    async fn log_receipt(
        &self,
        debt: &Debt,
        gathered: Gathered,
        answers: &Answers,
    ) -> Result<ReceiptRow, GatewayError> {
        let bug = |e: tacit_accord::CanonicalError| GatewayError::Bug(e.to_string());
        let (statement, signatures) = (gathered.statement, gathered.signatures);
        // As many as prove it: everybody who keeps the receipt verifies each of them.
        let signatures: Vec<ReceiptSignature> = signatures.into_values().take(statement.quorum()).collect();
        let facts = statement.facts(&signatures, &debt.terms.agreement).map_err(bug)?;
        let log = &self.inner.log;
        let number = log.append_later(Kind::Receipt, facts).await?;
        let head = log.checkpoint().await?;
        let proof = log.inclusion(number, head.checkpoint.size).await?;
        let row =
            log.entries(number, 1).await?.pop().ok_or_else(|| GatewayError::Bug("an entry is gone".to_owned()))?;
        let entry: Entry = serde_json::from_slice(&row.body).map_err(|e| GatewayError::Bug(e.to_string()))?;
        let at = entry.at;
        let log = Logged {
            entry,
            number,
            proof: proof.iter().map(Hash::to_string).collect(),
            checkpoint: head.note,
            key: log.key().to_base64(),
        };
        let receipt = Receipt { statement, signatures, log };
        // What is handed out holds; a defect here must not spread. Each signature was verified when it came.
        receipt.check_log(&gathered.text).map_err(|fault| GatewayError::Bug(fault.to_string()))?;
        let document = receipt.to_document().map_err(bug)?;
        let own = serde_json::to_string(answers).map_err(|e| GatewayError::Bug(e.to_string()))?;
        let (session, gid, run, slot) = (debt.session, debt.group, debt.run, debt.slot);
        Ok(ReceiptRow { session, gid, run, slot, body: document, own: Some(own), at })
    }

    async fn chain_of(&self, group: GroupId) -> Result<Vec<Arc<Consensus>>, GatewayError> {
        let broken = || GatewayError::Bug("a stored consensus document is broken".to_owned());
        let recall = |document: &String| {
            let read = Consensus::read(document).map_err(|_| broken())?;
            let id = read.id();
            read.recall(id).map(Arc::new).ok_or_else(broken)
        };
        self.inner.store.consensus_chain(group).await?.iter().map(recall).collect()
    }
}

/// Waits until everybody gave its part, or for long enough; the statement that enough compute peers signed.
async fn gather(
    debt: &Debt,
    chain: &[Arc<Consensus>],
    parts: &mut Parts,
) -> Result<(Gathered, BTreeMap<Fingerprint, Heard>), GatewayError> {
    let mut missing = debt.terms.members.clone();
    let mut statements: Vec<Gathered> = Vec::new();
    let mut heard = BTreeMap::new();
    let begun = tokio::time::Instant::now();
    let mut deadline = begun + PATIENCE;
    let enough = |statements: &[Gathered]| statements.iter().any(Gathered::is_complete);
    while !missing.is_empty() {
        let Ok(received) = tokio::time::timeout_at(deadline, parts.parts.recv()).await else {
            if enough(&statements) || deadline >= begun + AT_MOST {
                break;
            }
            deadline = begun + AT_MOST;
            continue;
        };
        let Some((member, part)) = received else { break };
        missing.retain(|waited| *waited != member);
        heard.insert(member, part.leaf.and_then(|leaf| leaf.parse().ok()));
        let Some(signed) = part.signed else { continue };
        let known = match statements.iter().position(|known| known.text == signed.statement) {
            Some(known) => known,
            // One of each member at most: nobody gives two parts.
            None => match Gathered::new(debt, chain, signed.statement, &signed.leaves) {
                Some(new) => {
                    statements.push(new);
                    statements.len() - 1
                }
                None => continue,
            },
        };
        statements[known].sign(member, signed.signature);
        if deadline >= begun + AT_MOST && enough(&statements) {
            deadline = tokio::time::Instant::now() + LAST_CALL;
        }
    }
    let chosen = statements.into_iter().filter(Gathered::is_complete).max_by_key(|known| known.signatures.len());
    let too_few = || GatewayError::Unavailable("too few compute peers signed one statement".to_owned());
    chosen.map(|chosen| (chosen, heard)).ok_or_else(too_few)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(leaf: usize) -> ReceiptPart {
        ReceiptPart { signed: None, leaf: Some(leaf.to_string()) }
    }

    #[test]
    fn of_each_member_one_part_is_held() {
        let [one, two, stranger] = [1, 2, 3].map(|byte| Fingerprint([byte; 32]));
        let (gathering, session) = (Gathering::default(), SessionId([1; 16]));
        let mut parts = gathering.open(session, vec![one, two]).expect("nobody gathers them");
        (0..1000).for_each(|leaf| gathering.take(one, session, part(leaf)));
        gathering.take(stranger, session, part(0));
        gathering.take(two, session, part(7));
        gathering.take(one, SessionId([2; 16]), part(0));
        let mut held = || std::iter::from_fn(|| parts.parts.try_recv().ok()).collect::<Vec<_>>();
        assert_eq!(held(), [(one, part(0)), (two, part(7))]);
        // Nor is there room again once the first one was read.
        gathering.take(one, session, part(8));
        assert_eq!(held(), []);

        // Where they are gathered once more, each is heard once more.
        drop(parts);
        let mut parts = gathering.open(session, vec![one, two]).expect("nobody gathers them any more");
        gathering.take(one, session, part(9));
        assert_eq!(parts.parts.try_recv().ok(), Some((one, part(9))));
    }
}
