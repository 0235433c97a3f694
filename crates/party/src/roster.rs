//! Which charter a party believes, and whom it therefore lets in.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use tacit_accord::{Consensus, ConsensusId, Refusal};
use tacit_link::{Gate, Protocol};
use tacit_model::{Fingerprint, GroupId};
use tacit_pki::PublicKey;
use tacit_store::Store;

use crate::PartyError;

/// The last consensus of a party's group, with the gate that follows from it.
///
/// The first one must be signed under the manager key that was pinned at registration, each later one
/// must follow the one before. It is durable before anybody hears that it was accepted.
pub(crate) struct Roster {
    party: String,
    group: GroupId,
    manager: PublicKey,
    store: Store,
    known: RwLock<Option<Arc<Consensus>>>,
    gate: Arc<RosterGate>,
}

/// Lets in the members of the signed roster for sessions. For control it lets in the gateways that the charter names;
/// without a charter the one that was pinned.
pub(crate) struct RosterGate {
    me: Fingerprint,
    pinned: Fingerprint,
    lists: RwLock<Lists>,
}

#[derive(Default)]
struct Lists {
    members: BTreeSet<Fingerprint>,
    gateways: BTreeSet<Fingerprint>,
    revoked: BTreeSet<Fingerprint>,
    /// Fingerprints that the operator verified in person.
    verified: BTreeSet<Fingerprint>,
}

impl RosterGate {
    pub(crate) fn new(me: Fingerprint, pinned: Fingerprint, verified: BTreeSet<Fingerprint>) -> Self {
        let lists = Lists { gateways: BTreeSet::from([pinned]), verified, ..Lists::default() };
        Self { me, pinned, lists: RwLock::new(lists) }
    }

    /// The gateways that may orchestrate, the pinned one first if it still may.
    pub(crate) fn gateways(&self) -> Vec<Fingerprint> {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        let mut gateways: Vec<_> = lists.gateways.difference(&lists.revoked).copied().collect();
        gateways.sort_by_key(|gateway| *gateway != self.pinned);
        gateways
    }

    pub(crate) fn set_verified(&self, verified: BTreeSet<Fingerprint>) {
        self.lists.write().unwrap_or_else(PoisonError::into_inner).verified = verified;
    }

    pub(crate) fn revoke(&self, keys: impl IntoIterator<Item = Fingerprint>) {
        self.lists.write().unwrap_or_else(PoisonError::into_inner).revoked.extend(keys);
    }

    fn set_members(&self, consensus: &Consensus) {
        let members = consensus.charter().members.iter().map(|member| member.fingerprint);
        let members = members.filter(|member| *member != self.me).collect();
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        lists.members = members;
        lists.gateways = consensus.charter().gateways.iter().copied().collect();
    }
}

impl Gate for RosterGate {
    fn admit(&self, protocol: Protocol, peer: &Fingerprint) -> bool {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        if lists.revoked.contains(peer) {
            return false;
        }
        match protocol {
            Protocol::Control => lists.gateways.contains(peer),
            Protocol::Mpc => lists.members.contains(peer) || lists.verified.contains(peer),
            _ => false,
        }
    }
}

impl Roster {
    /// Reads what the party knew before.
    pub(crate) async fn open(
        party: &str,
        group: GroupId,
        manager: PublicKey,
        store: Store,
        gate: Arc<RosterGate>,
    ) -> Result<Self, PartyError> {
        let known = match store.known_consensus(party).await? {
            Some((id, document)) => {
                let known = Consensus::read(&document)?.recall(ConsensusId(id)).ok_or(Refusal::Stale)?;
                Some(Arc::new(known))
            }
            None => None,
        };
        if let Some(known) = &known {
            gate.set_members(known);
        }
        Ok(Self { party: party.to_owned(), group, manager, store, known: RwLock::new(known), gate })
    }

    /// The consensus in force.
    pub(crate) fn known(&self) -> Option<Arc<Consensus>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its id.
    pub(crate) fn id(&self) -> Option<ConsensusId> {
        self.known().map(|known| known.id())
    }

    /// Takes the documents that follow the known one, oldest first, as far as they hold; a newcomer takes
    /// the whole chain from the first one, signed by the pinned manager. The first that does not hold
    /// ends it: those before stay accepted.
    pub(crate) async fn accept(&self, documents: &[String]) -> Result<(), PartyError> {
        let before = self.known();
        let mut known = before.clone();
        let mut last = None;
        let mut refused = None;
        for document in documents {
            match self.follow(known.as_deref(), document) {
                Ok(None) => {}
                Ok(Some(next)) => {
                    known = Some(Arc::new(next));
                    last = Some(document);
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if let (Some(known), Some(document)) = (known, last) {
            let expected = before.map(|before| before.id().0);
            self.store.set_known_consensus(&self.party, expected, known.id().0, document).await?;
            self.gate.set_members(&known);
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        }
        refused.map_or(Ok(()), Err)
    }

    /// The consensus in this document, if it follows; none if it is the known one.
    fn follow(&self, known: Option<&Consensus>, document: &str) -> Result<Option<Consensus>, PartyError> {
        let unchecked = Consensus::read(document)?;
        let next = match known {
            Some(known) if known.id() == unchecked.id() => return Ok(None),
            Some(known) => unchecked.check_next(known)?,
            None => unchecked.check_first(&self.manager)?,
        };
        if next.charter().group != self.group {
            return Err(Refusal::ForeignGroup.into());
        }
        Ok(Some(next))
    }
}
