//! This party's part in receipts: it signs what it computed, names its own leaf, and keeps a receipt only if it holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tacit_accord::log::{Hash, Kind};
use tacit_accord::receipt::{Contribution, Counted, Receipt, Statement, contribution_leaf};
use tacit_engine::{Outcome, Plan};
use tacit_job::{Computed, Job, Own, ReceiptPart, SignedPart, ToGateway};
use tacit_model::{Fingerprint, SessionId};
use tacit_store::ReceiptRow;

use crate::party::Inner;

/// Receipts that are waited for at most; older ones are given up.
const AWAITED: usize = 4096;

/// Sessions that are done here and whose receipts have not come.
#[derive(Default)]
pub(crate) struct Awaited(Mutex<BTreeMap<SessionId, Mine>>);

/// What this party knows of a session.
#[derive(Default)]
struct Mine {
    /// The commitment to the own input.
    commitment: Option<[u8; 32]>,
    /// What it signed.
    statement: Option<String>,
}

impl Awaited {
    fn put(&self, session: SessionId, mine: Mine) {
        let mut awaited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if awaited.len() >= AWAITED {
            awaited.pop_first();
        }
        awaited.insert(session, mine);
    }

    fn take(&self, session: SessionId) -> Mine {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&session).unwrap_or_default()
    }
}

/// What a session left that its receipt needs.
pub(crate) struct Left {
    frozen: [u8; 32],
    binding: [u8; 32],
    agreement: Option<[u8; 32]>,
    commitment: Option<[u8; 32]>,
    contributions: Vec<(Fingerprint, [u8; 32])>,
}

impl Left {
    /// `contributions` are those of the frozen set, if this party computed.
    pub(crate) fn of(outcome: &Outcome, contributions: Vec<(Fingerprint, [u8; 32])>) -> Self {
        Self {
            frozen: outcome.frozen,
            binding: outcome.binding,
            agreement: outcome.values.as_ref().map(|_| outcome.agreement),
            commitment: outcome.receipt.as_ref().map(|receipt| receipt.commitment),
            contributions,
        }
    }
}

/// This party's part, sent after its report so that nobody waits for it.
pub(crate) fn give_part(party: &Inner, job: &Job, plan: &Plan, left: Left) {
    let computes = job.compute.contains(&party.me) && !left.contributions.is_empty();
    let signed = computes.then(|| {
        let Left { frozen, binding, agreement, contributions, .. } = &left;
        let computed = Computed { job, plan, frozen: *frozen, contributions, binding: *binding, agreement: *agreement };
        let statement = computed.statement();
        let leaves = computed.leaves().iter().map(Hash::to_string).collect();
        let statement = statement.text().ok()?;
        let signature = Statement::sign_text(&statement, &party.identity);
        Some(SignedPart { statement, signature, leaves })
    });
    let signed = signed.flatten();
    let mine = Mine { commitment: left.commitment, statement: signed.as_ref().map(|signed| signed.statement.clone()) };
    let leaf = left.commitment.map(|commitment| contribution_leaf(&party.me, &commitment).to_string());
    party.awaited.put(job.session, mine);
    for used in ["freeze", "receipt"].into_iter().filter(|_| signed.is_some()) {
        let facts = [("key", party.me.to_string()), ("use", used.to_owned()), ("on", job.session.to_string())];
        party.log.note(Kind::KeyUse, tacit_audit::facts(facts));
    }
    let part = Box::new(ReceiptPart { signed, leaf });
    party.line.send(&ToGateway::Receipt { session: job.session, part });
}

/// A receipt of the gateway.
pub(crate) fn on_receipt(party: &Arc<Inner>, session: SessionId, document: String, own: Own) {
    let party = Arc::clone(party);
    party.tasks.clone().spawn(async move {
        if let Err(why) = keep(&party, session, document, own).await {
            party.trouble(format!("the receipt of session {session} was not kept: {why}"));
        }
    });
}

async fn keep(party: &Inner, session: SessionId, document: String, own: Own) -> Result<(), String> {
    let mine = party.awaited.take(session);
    let (receipt, text) = Receipt::verify_with_text(&document).map_err(|fault| fault.to_string())?;
    if receipt.gateway() != party.gateway || receipt.statement.session != session {
        return Err("it is one of another gateway or session".to_owned());
    }
    if receipt.statement.group != party.group {
        return Err("it belongs to another group".to_owned());
    }
    // The charter may have changed since; then the consensus it names is an earlier one.
    if let Some(known) = party.roster.known().filter(|known| known.id() == receipt.statement.consensus) {
        receipt.check_charter(known.id(), known.charter()).map_err(|fault| fault.to_string())?;
    }
    if mine.statement.is_some_and(|mine| mine != text) {
        return Err("this peer signed another statement".to_owned());
    }
    let own = match (own, mine.commitment) {
        (Own::Counted { index, proof }, Some(commitment)) => {
            let counted = Counted { commitment: Hash(commitment).to_string(), index, proof };
            let own = Contribution { session, party: party.me, counted: Some(counted), reason: None };
            receipt.check_contribution(&own).map_err(|fault| fault.to_string())?;
            Some(own)
        }
        (Own::Rejected { reason }, _) => {
            Some(Contribution { session, party: party.me, counted: None, reason: Some(reason) })
        }
        (_, Some(_)) => return Err("it does not say whether this peer's data counted".to_owned()),
        _ => None,
    };
    let statement = &receipt.statement;
    let row = ReceiptRow {
        session,
        gid: statement.group,
        run: statement.run,
        slot: statement.slot,
        body: document,
        own: own.map(|own| serde_json::to_string(&own)).transpose().map_err(|e| e.to_string())?,
        at: party.clock.now(),
    };
    party.store.put_receipt(&party.name, row).await.map_err(|e| e.to_string())
}
