use std::collections::BTreeSet;

use tacit_model::UnixMillis;
use tacit_pki::envelope::{Context, sign_detached};
use tacit_pki::{Identity, PublicKey};

use crate::consensus::{SignatureLine, UncheckedConsensus};
use crate::{Charter, CharterError, Consensus, ConsensusId, Text};

/// A text that somebody wants to become the next consensus, with the signatures it has so far.
#[derive(Clone, Debug)]
pub struct Proposal {
    text: Text,
    id: ConsensusId,
    signatures: Vec<SignatureLine>,
}

/// Why a proposal did not become a consensus. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Somebody else decided in between.
    #[error("the charter was changed in the meantime; read the current one and propose again")]
    Stale,
    /// Not enough of those who may decide have signed.
    #[error("{have} of {need} needed signatures are there; the remaining owners must sign the same text")]
    MissingSignatures {
        /// How many valid signatures count.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// An owner is named who has not signed, and was none before.
    #[error("{0} of the new owners have not signed; who becomes an owner proves the key and agrees by signing")]
    UnsignedOwner(usize),
    /// A signature that does not verify.
    #[error("a signature does not verify")]
    BadSignature,
    /// Another manager key than the one pinned.
    #[error("this charter is under another manager key than the one that was pinned at registration")]
    ForeignManager,
    /// Another group.
    #[error("this charter belongs to another group")]
    ForeignGroup,
    /// The text is no charter.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// The text has no canonical form.
    #[error("the charter has no canonical form")]
    NoCanonicalForm,
}

impl Proposal {
    /// Proposes a charter after `current` (none for a new group).
    pub fn new(current: Option<&Consensus>, charter: Charter, now: UnixMillis) -> Result<Self, Refusal> {
        let text = Text {
            charter,
            previous: current.map(Consensus::id),
            sequence: current.map_or(1, |c| c.text().sequence + 1),
            decided_at: now,
        };
        let id = text.id().map_err(|_| Refusal::NoCanonicalForm)?;
        Ok(Self { text, id, signatures: Vec::new() })
    }

    /// What there is to sign.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// A text that was signed elsewhere, such as in a negotiation, with its signatures: keys and signatures
    /// over the consensus id, both base64.
    pub fn signed_elsewhere<'a>(
        text: Text,
        signatures: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Refusal> {
        let id = text.id().map_err(|_| Refusal::NoCanonicalForm)?;
        let line =
            |(key, signature): (&str, &str)| SignatureLine { key: key.to_owned(), signature: signature.to_owned() };
        Ok(Self { text, id, signatures: signatures.into_iter().map(line).collect() })
    }

    /// Signs it.
    pub fn sign(mut self, signer: &Identity) -> Self {
        let signature = sign_detached(signer, Context::Charter, &self.id.0);
        self.signatures.push(SignatureLine::new(signer.public_key(), signature));
        self
    }
}

/// The only way to change a charter.
///
/// The proposal must follow `current` directly and carry the signatures that `current` asks for: the
/// owners' quorum, or the manager alone while there are no owners. Whoever becomes an owner must have signed
/// too. A first one is signed by the manager and, if it names owners, by those too.
pub fn decide(current: Option<&Consensus>, proposal: Proposal) -> Result<Consensus, Refusal> {
    let Proposal { text, id, signatures } = proposal;
    check(current, UncheckedConsensus { id, text, signatures })
}

pub(crate) fn check(current: Option<&Consensus>, next: UncheckedConsensus) -> Result<Consensus, Refusal> {
    let expected = current.map_or(1, |c| c.text().sequence + 1);
    if next.text.previous != current.map(Consensus::id) || next.text.sequence != expected {
        return Err(Refusal::Stale);
    }
    if current.is_some_and(|c| c.charter().group != next.text.charter.group) {
        return Err(Refusal::ForeignGroup);
    }
    next.text.charter.check()?;
    match current {
        Some(current) => check_signatures(current.charter(), &current.charter().owners, &next)?,
        None => {
            let charter = &next.text.charter;
            if !next.signatures.iter().any(|line| line.key == charter.manager) {
                return Err(Refusal::MissingSignatures { have: 0, need: 1 });
            }
            check_signatures(charter, &[], &next)?;
        }
    }
    Ok(Consensus::new(next.id, next.text, next.signatures))
}

/// Whether those who may decide under `authority` have signed `next`, and everybody who is an owner in it and was none.
fn check_signatures(authority: &Charter, owners: &[String], next: &UncheckedConsensus) -> Result<(), Refusal> {
    if !next.signatures.iter().all(|line| line.holds(&next.id)) {
        return Err(Refusal::BadSignature);
    }
    let deciders: BTreeSet<&str> = if authority.owners.is_empty() {
        manager_or_deputy(authority, next)
    } else {
        authority.owners.iter().map(String::as_str).collect()
    };
    let need = match usize::try_from(authority.quorum) {
        Ok(quorum) if quorum > 0 && !authority.owners.is_empty() => quorum,
        _ if authority.owners.is_empty() => 1,
        _ => deciders.len(),
    };
    let signed: BTreeSet<&str> = next.signatures.iter().map(|line| line.key.as_str()).collect();
    let have = deciders.intersection(&signed).count();
    if have < need {
        return Err(Refusal::MissingSignatures { have, need });
    }
    // Nobody is made an owner, and no key is taken for somebody's, without a signature by it.
    let named = &next.text.charter.owners;
    let new = named.iter().filter(|key| !owners.contains(key) && !signed.contains(key.as_str()));
    match new.count() {
        0 => Ok(()),
        unsigned => Err(Refusal::UnsignedOwner(unsigned)),
    }
}

/// The keys of which one decides alone: the manager's, and those that signed and are a deputy's.
fn manager_or_deputy<'a>(authority: &'a Charter, next: &'a UncheckedConsensus) -> BTreeSet<&'a str> {
    let deputy = |key: &&str| {
        let key = PublicKey::from_base64(key).map(|key| key.fingerprint());
        key.is_ok_and(|key| authority.deputies.contains(&key))
    };
    let signed = next.signatures.iter().map(|line| line.key.as_str());
    // Without deputies no key is read.
    let deputies = signed.filter(|key| !authority.deputies.is_empty() && deputy(key));
    [authority.manager.as_str()].into_iter().chain(deputies).collect()
}
