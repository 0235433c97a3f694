//! This party's part in receipts: it signs what it computed, names its own leaf, and keeps a receipt only if it holds.
//!
//! What it needs for that is durable with the result, before anybody hears of the result, and stays until the receipt is
//! here: whichever of the two nodes is killed, the part is given again when they meet again. After a client's task it
//! becomes durable within a moment after the result, together with others, where that is faster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tacit_accord::ConsensusId;
use tacit_accord::log::{Hash, Kind};
use tacit_accord::receipt::{Contribution, Counted, Receipt, Statement, contribution_leaf};
use tacit_engine::{Outcome, Plan};
use tacit_job::{Awaited, Computed, Job, Own, ReceiptPart, SignedPart, ToGateway};
use tacit_model::{CLOCK_SKEW_MS, Fingerprint, SessionId, UnixMillis};
use tacit_store::{OwedRow, ReceiptRow, StoreError};
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::PartyError;
use crate::party::Inner;

/// So many are at hand; the others are in the database.
const EXPECTED: usize = 4096;
/// So many receipts are asked for at a time, the newest first.
const AWAITED: u32 = 256;

/// Sessions that are done here and whose receipts have not come, at hand.
#[derive(Default)]
pub(crate) struct Expected(Mutex<BTreeMap<SessionId, Mine>>);

impl Expected {
    fn put(&self, session: SessionId, mine: Mine) {
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if expected.len() >= EXPECTED {
            expected.pop_first();
        }
        expected.insert(session, mine);
    }

    fn take(&self, session: SessionId) -> Option<Mine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&session)
    }
}

/// Receipts that this party missed, as they come page by page. The next page is asked for when this one is kept, so that
/// neither side holds more than one.
#[derive(Default)]
pub(crate) struct Missed(Mutex<Page>);

#[derive(Default)]
struct Page {
    /// How many links there have been.
    link: u64,
    /// Receipts that came since the last page ended, and are looked at.
    looked_at: TaskTracker,
    /// Whether one of those could not be kept for now.
    failed: Arc<AtomicBool>,
    /// The sessions that were named with the own leaf, where there may be more. Of others the gateway cannot say yet whether
    /// the own data counted.
    named: Option<BTreeSet<SessionId>>,
}

impl Missed {
    fn page(&self) -> std::sync::MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the gateway can say whether the own data counted in this session.
    fn named(&self, session: SessionId) -> bool {
        self.page().named.as_ref().is_none_or(|named| named.contains(&session))
    }
}

/// What this party knows of a session whose receipt has not come.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Mine {
    /// The commitment to the own input, hexadecimal.
    commitment: Option<String>,
    /// What it signs, if it computed.
    statement: Option<String>,
    /// Leaves of all contributions, if it computed, hexadecimal.
    leaves: Vec<String>,
    /// What it took part in; rows of earlier versions do not say so.
    bound: Option<Bound>,
}

/// What this party checked before its session began: a receipt says the same, or is about something else. Without it
/// a gateway could issue one under a consensus, by compute peers and with a threshold of its own making.
#[derive(Clone, Serialize, Deserialize)]
struct Bound {
    charter: ConsensusId,
    /// Digest of the plan, hexadecimal.
    plan: String,
    threshold: u32,
    /// Ascending.
    compute: Vec<Fingerprint>,
}

impl Bound {
    fn of(job: &Job, plan: &Plan) -> Self {
        let mut compute = job.compute.clone();
        compute.sort_unstable();
        let threshold = u32::try_from(plan.request().charter_threshold).unwrap_or(u32::MAX);
        Self { charter: job.charter, plan: Hash(plan.digest().0).to_string(), threshold, compute }
    }

    fn holds(&self, statement: &Statement) -> bool {
        statement.consensus == self.charter
            && statement.plan == self.plan
            && statement.threshold == self.threshold
            && statement.compute == self.compute
    }
}

/// What a session left that its receipt needs.
pub(crate) struct Left {
    pub(crate) job: Job,
    pub(crate) plan: Plan,
    frozen: [u8; 32],
    binding: [u8; 32],
    agreement: Option<[u8; 32]>,
    commitment: Option<[u8; 32]>,
    contributions: Vec<(Fingerprint, [u8; 32])>,
    /// What was made durable of it.
    kept: Option<Mine>,
}

impl Left {
    /// `contributions` are those of the frozen set, if this party computed.
    pub(crate) fn of(job: Job, plan: Plan, outcome: &Outcome, contributions: Vec<(Fingerprint, [u8; 32])>) -> Self {
        Self {
            job,
            plan,
            frozen: outcome.frozen,
            binding: outcome.binding,
            agreement: outcome.values.as_ref().map(|_| outcome.agreement),
            commitment: outcome.receipt.as_ref().map(|receipt| receipt.commitment),
            contributions,
            kept: None,
        }
    }

    /// The same after a session that members' SMC providers computed; `hashes` are frozen set, binding, agreement.
    pub(crate) fn by_provider(
        job: Job,
        plan: Plan,
        (frozen, binding, agreement): ([u8; 32], [u8; 32], [u8; 32]),
        contributions: Vec<(Fingerprint, [u8; 32])>,
        me: &Fingerprint,
    ) -> Self {
        let commitment = contributions.iter().find(|(party, _)| party == me).map(|(_, commitment)| *commitment);
        Self { job, plan, frozen, binding, agreement: Some(agreement), commitment, contributions, kept: None }
    }

    /// As it is kept with the result.
    pub(crate) fn owed(&mut self, party: &Inner) -> OwedRow {
        let mine = self.mine(party);
        let body = serde_json::to_string(&mine).unwrap_or_default();
        self.kept = Some(mine);
        let Job { session, group, run, slot, .. } = self.job;
        OwedRow { session, gid: group, run, slot, body, at: party.clock.now() }
    }

    fn mine(&self, party: &Inner) -> Mine {
        let Self { job, plan, frozen, binding, agreement, contributions, .. } = self;
        let commitment = self.commitment.map(|commitment| Hash(commitment).to_string());
        let bound = Some(Bound::of(job, plan));
        if contributions.is_empty() || !job.compute.contains(&party.me) {
            return Mine { commitment, bound, ..Mine::default() };
        }
        let computed = Computed { job, plan, frozen: *frozen, contributions, binding: *binding, agreement: *agreement };
        let leaves = computed.leaves().iter().map(Hash::to_string).collect();
        Mine { commitment, statement: computed.statement().text().ok(), leaves, bound }
    }
}

impl Mine {
    fn read(row: &OwedRow) -> Self {
        serde_json::from_str(&row.body).unwrap_or_default()
    }

    fn leaf(&self, party: &Fingerprint) -> Option<String> {
        let commitment: Hash = self.commitment.as_ref()?.parse().ok()?;
        Some(contribution_leaf(party, &commitment.0).to_string())
    }
}

/// This party's part, sent after its report so that nobody waits for it.
pub(crate) fn give_part(party: &Arc<Inner>, mut left: Left) {
    let session = left.job.session;
    let later = if left.kept.is_none() { Some(left.owed(party)) } else { None };
    let mine = left.kept.unwrap_or_default();
    party.awaited.put(session, mine.clone());
    if let Some(owed) = later {
        // Together with others, a moment later.
        let party = Arc::clone(party);
        party.tasks.clone().spawn(async move {
            if let Err(error) = party.store.owe_later(&party.name, owed).await {
                debug!(party = %party.name, %error, "a part of a receipt was not kept");
            }
        });
    }
    if mine.statement.is_some() {
        key_used(party, "freeze", session);
    }
    send_part(party, session, mine);
}

fn send_part(party: &Inner, session: SessionId, mine: Mine) {
    let leaf = mine.leaf(&party.me);
    let signed = mine.statement.map(|statement| {
        let signature = Statement::sign_text(&statement, &party.identity);
        SignedPart { statement, signature, leaves: mine.leaves }
    });
    if signed.is_some() {
        key_used(party, "receipt", session);
    }
    party.line.send(&ToGateway::Receipt { session, part: Box::new(ReceiptPart { signed, leaf }) });
}

fn key_used(party: &Inner, used: &str, session: SessionId) {
    let facts = [("key", party.me.to_string()), ("use", used.to_owned()), ("on", session.to_string())];
    party.log.note(Kind::KeyUse, tacit_audit::facts(facts));
}

/// Tells the gateway, after a hello, which receipts have not come.
pub(crate) async fn tell_awaited(party: &Inner) {
    party.missed.page().link += 1;
    let told = async {
        let newest = match party.store.receipts(&party.name, 1).await?.pop() {
            Some(newest) => party.store.receipt(&party.name, newest.session).await?,
            None => None,
        };
        let newest: Option<Receipt> = newest.and_then(|row| serde_json::from_str(&row.body).ok());
        let newest = believable(party, newest.map_or(UnixMillis(0), |receipt| receipt.log.entry.at));
        // Durable before anything that comes over this link is kept.
        party.standing.change(|standing| standing.receipts.begin(newest)).await?;
        // What was logged right before may have been on its way, and another gateway's clock may be behind.
        let from = party.standing.look(|standing| standing.receipts.upto).plus(-CLOCK_SKEW_MS);
        ask(party, newest, from).await
    };
    if let Err(error) = told.await {
        debug!(party = %party.name, %error, "the gateway was not asked for receipts");
    }
}

/// A gateway that says more would keep others from being asked for what is earlier.
fn believable(party: &Inner, upto: UnixMillis) -> UnixMillis {
    upto.min(party.clock.now().plus(CLOCK_SKEW_MS))
}

/// Asks for the receipts of the own sessions, and for a page of those that were logged at this moment or later; of a
/// gateway that knows no pages, for some after the `newest` that is here.
async fn ask(party: &Inner, newest: UnixMillis, from: UnixMillis) -> Result<(), PartyError> {
    let owed = party.store.all_owed(&party.name, AWAITED).await?;
    let all = u32::try_from(owed.len()).is_ok_and(|owed| owed < AWAITED);
    party.missed.page().named = if all { None } else { Some(owed.iter().map(|row| row.session).collect()) };
    let awaited = owed.iter().map(|row| Awaited { session: row.session, leaf: Mine::read(row).leaf(&party.me) });
    let awaited: Vec<Awaited> = awaited.collect();
    party.line.send(&ToGateway::ReceiptsAwaited { group: party.group, awaited, since: newest, from: Some(from) });
    Ok(())
}

/// The gateway has sent a page, up to this moment.
pub(crate) fn on_sent(party: &Arc<Inner>, upto: UnixMillis, more: bool) {
    let (link, looked_at, failed) = {
        let mut page = party.missed.page();
        (page.link, std::mem::take(&mut page.looked_at), std::mem::take(&mut page.failed))
    };
    let upto = believable(party, upto);
    let party = Arc::clone(party);
    party.tasks.clone().spawn(async move {
        looked_at.close();
        looked_at.wait().await;
        if failed.load(Ordering::Relaxed) {
            // Over the next link the same page is asked for again.
            return;
        }
        let next = async {
            // What a link brought that is gone is here; what came after it may not be.
            let lives = || party.missed.page().link == link;
            party.standing.change(|standing| standing.receipts.sent(upto, !more && lives())).await?;
            if more && lives() { ask(&party, upto, upto).await } else { Ok(()) }
        };
        if let Err(error) = next.await {
            debug!(party = %party.name, %error, "the gateway was not asked for the next receipts");
        }
    });
}

/// The gateway issues a receipt and lacks this party's part.
pub(crate) async fn on_wanted(party: &Inner, session: SessionId) {
    match party.store.owed(&party.name, session).await {
        Ok(Some(row)) => send_part(party, session, Mine::read(&row)),
        Ok(None) => {}
        Err(error) => debug!(party = %party.name, %error, "a part of a receipt was not given again"),
    }
}

/// A receipt of the gateway.
pub(crate) fn on_receipt(party: &Arc<Inner>, session: SessionId, document: String, own: Own) {
    let party = Arc::clone(party);
    let (looked_at, failed) = {
        let page = party.missed.page();
        (page.looked_at.token(), Arc::clone(&page.failed))
    };
    party.tasks.clone().spawn(async move {
        let _looked_at = looked_at;
        let Err(why) = keep(&party, session, document, own).await else { return };
        if matches!(why, Unkept::Store(_)) {
            failed.store(true, Ordering::Relaxed);
            if let Err(error) = party.standing.change(|standing| standing.receipts.lacks()).await {
                debug!(party = %party.name, %error, "that a receipt is lacking was not noted");
            }
        }
        party.trouble(format!("the receipt of session {session} was not kept: {why}"));
    });
}

/// Why a receipt was not kept.
#[derive(Debug, thiserror::Error)]
enum Unkept {
    /// Another time it may be.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Wrong(String),
}

impl From<String> for Unkept {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

async fn keep(party: &Inner, session: SessionId, document: String, own: Own) -> Result<(), Unkept> {
    let known = match party.awaited.take(session) {
        Some(mine) => Some(mine),
        None => match party.store.owed(&party.name, session).await? {
            Some(owed) => Some(Mine::read(&owed)),
            None if party.store.receipt(&party.name, session).await?.is_some() => return Ok(()),
            None => None,
        },
    };
    let (receipt, text) = Receipt::verify_with_text(&document).map_err(|fault| fault.to_string())?;
    let is_known = party.roster.id() == Some(receipt.statement.consensus);
    let (logged_by, gateways) = (receipt.gateway(), party.gateways());
    let ours = party.standing.look(|standing| standing.may_have_logged(&logged_by, &gateways, is_known));
    if !ours || receipt.statement.session != session {
        return Err("it is one of another gateway or session".to_owned().into());
    }
    if receipt.statement.group != party.group {
        return Err("it belongs to another group".to_owned().into());
    }
    let is_awaited = known.is_some();
    let mine = known.unwrap_or_default();
    match may_be_kept(party, &mine, &receipt, &text) {
        Ok(()) => {}
        // The gateway also shows receipts of sessions that this party was not in. One from before the charter changed
        // may well be good: nothing is wrong, and nothing is proven.
        Err(Unfit::Unchecked) if !is_awaited => {
            debug!(party = %party.name, %session, "a receipt under an earlier consensus was not kept");
            return Ok(());
        }
        Err(Unfit::Unchecked) => return Err("it is under a consensus that this peer cannot check".to_owned().into()),
        Err(Unfit::Wrong(why)) => return Err(why.into()),
    }
    let frozen = mine.leaf(&party.me).is_some_and(|leaf| mine.leaves.contains(&leaf));
    let own = match (own, mine.commitment) {
        (Own::Counted { index, proof }, Some(commitment)) => {
            let counted = Counted { commitment, index, proof };
            let own = Contribution { session, party: party.me, counted: Some(counted), reason: None };
            receipt.check_contribution(&own).map_err(|fault| fault.to_string())?;
            Some(own)
        }
        (Own::Rejected { .. }, _) if frozen => {
            return Err("the gateway says that this peer's data did not count, and it is in the frozen set"
                .to_owned()
                .into());
        }
        (Own::Rejected { reason }, _) => {
            Some(Contribution { session, party: party.me, counted: None, reason: Some(reason) })
        }
        // It is asked for by name when some of those that were are here.
        (Own::Nothing, Some(_)) if !party.missed.named(session) => {
            debug!(party = %party.name, %session, "a receipt came before it was asked for by name");
            return Ok(());
        }
        (_, Some(_)) => return Err("it does not say whether this peer's data counted".to_owned().into()),
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
    Ok(party.store.put_receipt(&party.name, row).await?)
}

/// Why a receipt, in itself whole, is not kept.
enum Unfit {
    /// It is about something else than this party knows.
    Wrong(String),
    /// Nothing that this party knows tells whether those who signed it are those who computed.
    Unchecked,
}

/// Whether those who signed are those who computed, as this party knows itself: a receipt says of them what it likes.
fn may_be_kept(party: &Inner, mine: &Mine, receipt: &Receipt, text: &str) -> Result<(), Unfit> {
    let consensus = party.roster.known().filter(|known| known.id() == receipt.statement.consensus);
    if let Some(known) = &consensus {
        receipt.check_charter(known.id(), known.charter()).map_err(|fault| Unfit::Wrong(fault.to_string()))?;
    }
    if mine.bound.as_ref().is_some_and(|bound| !bound.holds(&receipt.statement)) {
        return Err(Unfit::Wrong("it is about another computation than this peer took part in".to_owned()));
    }
    if mine.statement.as_ref().is_some_and(|signed| signed != text) {
        return Err(Unfit::Wrong("this peer signed another statement".to_owned()));
    }
    // The charter may have changed since the session. Then what this party knew in it vouches for those who signed; of
    // sessions that it was not in, and of those that an earlier version kept without `bound`, it knows nothing.
    match consensus.is_some() || mine.bound.is_some() || mine.statement.is_some() {
        true => Ok(()),
        false => Err(Unfit::Unchecked),
    }
}
