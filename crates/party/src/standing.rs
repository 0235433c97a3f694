//! What a party has to remember beside the columns of the store, as one durable value.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tacit_accord::MemberRole;
use tacit_job::{GatewayAt, StopReason};
use tacit_model::api::{PairingState, PeerPolicy};
use tacit_model::{Fingerprint, RunId, UnixMillis};
use tacit_store::Store;
use tokio::sync::Mutex;

use crate::PartyError;

/// How a party stands with its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The manager's public key as pinned at registration, base64.
    pub(crate) manager_key: String,
    /// Where the gateway's link port is.
    pub(crate) endpoints: Vec<String>,
    /// What the party registered as; the signed charter decides.
    pub(crate) role: MemberRole,
    /// The run it takes part in.
    #[serde(default)]
    pub(crate) run: Option<RunId>,
    /// How the last run ended.
    #[serde(default)]
    pub(crate) stopped: Option<StopReason>,
    /// Ended runs whose results are not all in batches yet.
    #[serde(default)]
    pub(crate) unflushed: BTreeSet<RunId>,
    /// What the gateway last said of the pairing.
    #[serde(default = "waiting")]
    pub(crate) pairing: PairingState,
    /// Whether the gateway's certificate came from the operator, or was compared by them; else it is a hint of
    /// the network, and this party does not compute.
    #[serde(default = "yes")]
    pub(crate) gateway_compared: bool,
    /// Labels by which tasks choose it.
    #[serde(default)]
    pub(crate) labels: BTreeSet<String>,
    /// Its own policy, in place of the node's.
    #[serde(default)]
    pub(crate) policy: Option<PeerPolicy>,
    /// The largest epoch that a leading gateway said; 0 where there is only one gateway.
    #[serde(default)]
    pub(crate) epoch: u64,
    /// The gateways among which it was said. Among others epochs begin anew: whoever signs the charter can so end those
    /// of a gateway that lied.
    #[serde(default)]
    pub(crate) among: Vec<Fingerprint>,
    /// Where the gateways were when one of them last said so.
    #[serde(default)]
    pub(crate) gateways: Vec<GatewayAt>,
    /// Gateways that a charter named and a later one does not: what they logged before stays proven.
    #[serde(default)]
    pub(crate) former: Vec<Fingerprint>,
    /// Which receipts the gateway has sent; an earlier version did not know, and may lack any.
    #[serde(default)]
    pub(crate) receipts: Received,
}

/// Up to when this party was sent all receipts. The newest one that it has does not tell: while those that it missed come
/// page by page, new ones come, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    /// All that were logged before; page by page.
    pub(crate) upto: UnixMillis,
    /// And all that came after over the link that was there last.
    all: bool,
}

impl Default for Received {
    fn default() -> Self {
        Self { upto: UnixMillis(0), all: false }
    }
}

impl Received {
    /// There is a link; `newest` is when the newest receipt that this party has was logged. `false` if nothing changes.
    pub(crate) fn begin(&mut self, newest: UnixMillis) -> bool {
        let was_all = std::mem::take(&mut self.all);
        if was_all {
            self.upto = self.upto.max(newest);
        }
        was_all
    }

    /// One that was sent could not be kept. `false` if nothing changes.
    pub(crate) fn lacks(&mut self) -> bool {
        std::mem::take(&mut self.all)
    }

    /// All were sent up to here, or `all` that there are. `false` if that is known.
    pub(crate) fn sent(&mut self, upto: UnixMillis, all: bool) -> bool {
        let before = *self;
        *self = Self { upto: self.upto.max(upto), all: self.all || all };
        *self != before
    }
}

fn yes() -> bool {
    true
}

fn waiting() -> PairingState {
    PairingState::Waiting
}

impl Standing {
    pub(crate) fn to_text(&self) -> Result<String, PartyError> {
        serde_json::to_string(self).map_err(|e| PartyError::Damaged(e.to_string()))
    }

    /// The largest epoch that was said among these gateways.
    pub(crate) fn epoch_among(&self, gateways: &[Fingerprint]) -> u64 {
        if self.among == gateways { self.epoch } else { 0 }
    }

    /// The charter named these gateways and names those now; `false` if none is gone that is not remembered.
    pub(crate) fn left(&mut self, before: &[Fingerprint], now: &[Fingerprint]) -> bool {
        let known = self.former.len();
        for gone in before.iter().filter(|gateway| !now.contains(gateway)) {
            if !self.former.contains(gone) {
                self.former.push(*gone);
            }
        }
        self.former.len() != known
    }

    /// Whether a receipt may be in this gateway's log: in that of one which the charter names now, or, where it is of
    /// another consensus than the known one, of one that was named before.
    pub(crate) fn may_have_logged(&self, gateway: &Fingerprint, now: &[Fingerprint], is_known: bool) -> bool {
        now.contains(gateway) || (!is_known && self.former.contains(gateway))
    }

    pub(crate) fn from_text(text: &str) -> Result<Self, PartyError> {
        serde_json::from_str(text).map_err(|e| PartyError::Damaged(e.to_string()))
    }
}

/// The one writer of a party's standing: changes are durable before anybody sees them.
pub(crate) struct StandingCell {
    store: Store,
    party: String,
    /// Held while a change is written.
    writing: Mutex<()>,
    seen: std::sync::Mutex<Standing>,
}

impl StandingCell {
    pub(crate) fn new(store: Store, party: String, standing: Standing) -> Self {
        Self { store, party, writing: Mutex::new(()), seen: std::sync::Mutex::new(standing) }
    }

    pub(crate) fn get(&self) -> Standing {
        self.lock().clone()
    }

    /// What somebody wants to know of it, without a copy of the rest.
    pub(crate) fn look<T>(&self, question: impl FnOnce(&Standing) -> T) -> T {
        question(&self.lock())
    }

    pub(crate) fn run(&self) -> Option<RunId> {
        self.look(|standing| standing.run)
    }

    pub(crate) fn epoch_among(&self, gateways: &[Fingerprint]) -> u64 {
        self.look(|standing| standing.epoch_among(gateways))
    }

    /// Changes it; `false` if the change says that there is nothing to change.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Standing) -> bool) -> Result<bool, PartyError> {
        let _writing = self.writing.lock().await;
        let mut next = self.get();
        if !change(&mut next) {
            return Ok(false);
        }
        self.store.set_party_state(&self.party, &next.to_text()?).await?;
        *self.lock() = next;
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_receipt_does_not_hide_those_that_were_missed() {
        let [start, early, late, later] = [0, 10, 20, 30].map(UnixMillis);
        // As it was written before there were any.
        let read = |text: &str| Standing::from_text(text).expect("a text");
        let mut standing = read("{\"manager_key\":\"\",\"endpoints\":[],\"role\":\"both\"}");
        let again = |standing: &Standing| read(&standing.to_text().expect("a text"));
        assert!(!standing.receipts.begin(late), "what it has is no sign that it has all before");
        assert_eq!(standing.receipts.upto, start);
        assert!(standing.receipts.sent(early, false) && !standing.receipts.sent(early, false));
        let mut standing = again(&standing);
        assert!(!standing.receipts.begin(late), "the link was lost between two pages");
        assert_eq!(standing.receipts.upto, early);
        assert!(standing.receipts.sent(late, true));
        // One that comes as it is issued, and is not kept, is asked for over the next link.
        let mut lacking = again(&standing);
        assert!(lacking.receipts.lacks() && !lacking.receipts.begin(later));
        assert_eq!(lacking.receipts.upto, late);
        // From now on what comes as it is issued is all that there is, until the link is lost.
        let mut standing = again(&standing);
        assert!(standing.receipts.begin(later));
        assert_eq!(standing.receipts.upto, later);
        assert!(!again(&standing).receipts.begin(later.plus(1)), "this link has brought nothing yet");
    }

    #[test]
    fn r15_what_a_former_gateway_logged_stays_proven() {
        let [one, two, three] = [1, 2, 3].map(|byte| Fingerprint([byte; 32]));
        // As it was written before there were any.
        let mut standing =
            Standing::from_text("{\"manager_key\":\"\",\"endpoints\":[],\"role\":\"both\"}").expect("a text");
        assert!(!standing.left(&[one], &[one, two]), "nobody is gone");
        assert!(standing.left(&[one, two], &[two]) && !standing.left(&[one, two], &[two]));
        let standing = Standing::from_text(&standing.to_text().expect("a text")).expect("it is kept");
        assert!(standing.may_have_logged(&two, &[two], true));
        assert!(standing.may_have_logged(&one, &[two], false), "under the charter that named it");
        assert!(!standing.may_have_logged(&one, &[two], true), "not under the one that does not");
        assert!(!standing.may_have_logged(&three, &[two], false));
    }
}
